/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "plugin/backend.h"
#include "plugin/conf.h"
#include "plugin/managed.h"
#include "plugin/targets.h"

/* The manager: keeps the domains, asks the backend for their figures every period,
 * has the policy decide, and carries the plan out. On the main loop; never blocks. */

typedef struct CagmaManager CagmaManager;

/* backend and targets are the caller's and must outlive it; conf is borrowed until
 * the next cagma_manager_configure. */
CagmaManager *cagma_manager_new(CagmaBackend *backend, CagmaTargets *targets, const CagmaConf *conf,
                                gboolean dry_run);
void cagma_manager_free(CagmaManager *manager);

/* From now on, all that the policy is told and decides is appended to the file (record.h).
 * Before cagma_manager_start. */
gboolean cagma_manager_record(CagmaManager *manager, const char *path,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The file may have been moved away: goes on in one of the same name. */
void cagma_manager_reopen_record(CagmaManager *manager);

/* Opens the backend and begins. */
void cagma_manager_start(CagmaManager *manager);

/* Removes the status from all domains, then calls done; at the latest after a few
 * seconds. */
void cagma_manager_stop(CagmaManager *manager, GSourceFunc done, gpointer user_data);

/* Another configuration holds from now on. The uri can't change. */
void cagma_manager_configure(CagmaManager *manager, const CagmaConf *conf);

/* A domain is about to start that will take memory_kib: that isn't given away. */
void cagma_manager_expect(CagmaManager *manager, const char *uuid, const char *name, uint64_t memory_kib);
void cagma_manager_expect_no_more(CagmaManager *manager, const char *uuid);

/* Calls answered once: with TRUE as soon as what is expected could be taken as a whole, all of
 * it being free on the host; with FALSE where that doesn't come about within half a minute,
 * or nothing more comes in. Perhaps at once. */
typedef void (*CagmaRoomAnswer)(gboolean is_free, gpointer user_data);
void cagma_manager_await_room(CagmaManager *manager, CagmaRoomAnswer answered, gpointer user_data);

/* TRUE while decisions are made: connected, and lately. */
gboolean cagma_manager_is_alive(CagmaManager *manager);

/* What cagmactl shows: a{sv} of the host, aa{sv} of all domains; floating. */
GVariant *cagma_manager_host_info(CagmaManager *manager);
GVariant *cagma_manager_domain_infos(CagmaManager *manager);

/* The last decision on a domain, by name or UUID, in sentences; NULL: no such
 * domain runs. Free with g_free. */
char *cagma_manager_explain(CagmaManager *manager, const char *name_or_uuid);
