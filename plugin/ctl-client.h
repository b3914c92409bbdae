/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "plugin/ctl.h"

/* cagmactl's way to the daemon. NULL where it fails, with the reason and what to do
 * printed to stderr and *status set to the exit status. */

typedef struct _CagmaStatus1 CagmaStatus1;

CagmaStatus1 *cagma_ctl_connect(const CagmaCtl *ctl, int *status);

/* a{sv} of the host; aa{sv} of the domains, sorted by name. Free with
 * g_variant_unref. */
GVariant *cagma_ctl_get_host(CagmaStatus1 *daemon, int *status);
GPtrArray *cagma_ctl_get_domains(CagmaStatus1 *daemon, int *status);

/* Fields of an a{sv}; the value given where it has none. */
const char *cagma_ctl_text(GVariant *info, const char *key, const char *otherwise);
guint64 cagma_ctl_number(GVariant *info, const char *key, guint64 otherwise);
gint64 cagma_ctl_signed(GVariant *info, const char *key, gint64 otherwise);
gboolean cagma_ctl_has(GVariant *info, const char *key);

/* "512 MiB", or "–" where the field is absent. Free with g_free. */
char *cagma_ctl_size(GVariant *info, const char *key);
