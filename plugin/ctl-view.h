/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* How status and top show things. All return new strings, free with g_free. */

/* A line or two on the host. */
char *cagma_ctl_view_host(GVariant *host);

/* The table of domains. history: NULL, or a bar for each domain by UUID. */
char *cagma_ctl_view_domains(GPtrArray *domains, GHashTable *history, gboolean color, int width);

/* "12 / 0 KiB/s"; "+256 MiB at 2026-11-21T12:00:00Z". */
char *cagma_ctl_swap(GVariant *info);
char *cagma_ctl_change(GVariant *info);
