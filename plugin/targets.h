/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* The targets that were asked for, kept outside the process so that a daemon that
 * is killed knows its own moves again. A file a domain in a directory on tmpfs,
 * named by UUID; replaced whole, never edited. The run id (libvirt's domain id)
 * tells a domain's runs apart. */

typedef struct CagmaTargets CagmaTargets;

/* Makes the directory where it isn't there. */
CagmaTargets *cagma_targets_open(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cagma_targets_close(CagmaTargets *targets);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaTargets, cagma_targets_close)

gboolean cagma_targets_put(CagmaTargets *targets, const char *uuid, int run_id, uint64_t target_kib,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* 0 where nothing is known of this run of the domain. */
uint64_t cagma_targets_get(CagmaTargets *targets, const char *uuid, int run_id);

void cagma_targets_drop(CagmaTargets *targets, const char *uuid);
