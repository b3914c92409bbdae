/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

/* What policy/read-back.h decides, done. */

static gboolean
is_on(const CagmaManager *manager)
{
  return manager->conf->read_back && !manager->dry_run &&
         cagma_reads_back(cagma_policy_of(manager->host.policy), manager->host.without);
}

static void
say_over(const CagmaManaged *managed, gboolean was_due)
{
  const CagmaReadBack *state = &managed->read_back;

  if (was_due && !state->due)
    g_debug("%s: %s; brought back %" PRIu64 " MiB", managed->name, state->over, state->kib / 1024);
}

void
cagma_manager_read_back(CagmaManager *manager, CagmaManaged *managed)
{
  gboolean was_due = managed->read_back.due;
  uint64_t kib =
      cagma_read_back_due(&managed->read_back, &managed->policy, is_on(manager), g_get_monotonic_time());

  say_over(managed, was_due);
  if (!kib)
    return;
  g_debug("%s: its guest is asked to bring back up to %" PRIu64 " MiB of %" PRIu64
          " MiB that are swapped out",
          managed->name, kib / 1024, managed->policy.swap_used_kib / 1024);
  manager->backend->read_back(manager->backend, managed->uuid, kib);
}

void
cagma_manager_on_read_back(void *owner, const char *uuid, uint64_t kib, gboolean done)
{
  CagmaManager *manager = owner;
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, uuid);
  gboolean was_due = managed && managed->read_back.due;

  if (!managed)
    return;
  cagma_read_back_answered(&managed->read_back, kib, done);
  say_over(managed, was_due);
}
