/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

#include "policy/units.h"

/* Once a domain has more memory, its guest is asked to bring back what it had to swap out for
 * want of it: touched page by page, that takes it tens of seconds on a slow disk. It brings
 * back no more than it has room for above its headroom, so that nobody has to give for it;
 * and it is asked with its reports, until it is through, or goes on no more. */

/* Below this it isn't worth a request. */
#define LEAST_KIB CAGMA_MIB(4)
/* Events may bring reports every 50 ms. */
#define INTERVAL_US CAGMA_SECOND_US
/* So many answers without progress, or requests without an answer, and it is left. A slow disk
 * that others use too brings nothing for a while. */
#define IDLE_MAX 20

static void
leave(CagmaManaged *managed, const char *why)
{
  managed->read_back.due = FALSE;
  g_debug("%s: %s; brought back %" PRIu64 " MiB", managed->name, why, managed->read_back.kib / 1024);
}

/* A growth that has arrived is a beginning. */
static void
note_growth(CagmaManaged *managed)
{
  const CagmaDomain *policy = &managed->policy;
  CagmaReadBackState *state = &managed->read_back;

  if (policy->move != CAGMA_MOVE_NONE || !policy->has_actual)
    return;
  if (state->actual_kib && cagma_above(policy->actual_kib, state->actual_kib) > CAGMA_REACHED_KIB)
    *state = (CagmaReadBackState){ .due = TRUE, .next_us = state->next_us };
  state->actual_kib = policy->actual_kib;
}

/* The agent says that it is through only when it is asked again, which for so little it isn't. */
static gboolean
is_through(const CagmaManaged *managed)
{
  const CagmaDomain *policy = &managed->policy;

  return managed->read_back.asked && policy->has_swap_used && cagma_domain_seen_since_move(policy) &&
         policy->swap_used_kib < LEAST_KIB;
}

/* By its newest figures. */
static uint64_t
room(const CagmaDomain *policy)
{
  if (!policy->has_figures || !policy->has_swap_used || !cagma_domain_seen_since_move(policy))
    return 0;
  return cagma_min_kib(policy->swap_used_kib, cagma_above(policy->available_kib, cagma_headroom(policy)));
}

static gboolean
may_be_asked(const CagmaManager *manager, const CagmaManaged *managed)
{
  const CagmaDomain *policy = &managed->policy;

  return manager->conf->read_back && !manager->dry_run && policy->managed &&
         policy->config.mode == CAGMA_MODE_ENFORCE && !policy->hold && !policy->unresponsive;
}

void
cagma_manager_read_back(CagmaManager *manager, CagmaManaged *managed)
{
  CagmaReadBackState *state = &managed->read_back;
  int64_t now_us = g_get_monotonic_time();
  uint64_t room_kib;

  note_growth(managed);
  if (!state->due || !may_be_asked(manager, managed) || managed->policy.move != CAGMA_MOVE_NONE)
    return;
  if (is_through(managed)) {
    leave(managed, "next to nothing of it is left in swap");
    return;
  }
  room_kib = room(&managed->policy);
  if (room_kib < LEAST_KIB || now_us < state->next_us)
    return;
  if (state->idle++ >= IDLE_MAX) {
    leave(managed, "its guest brings nothing more back");
    return;
  }
  state->next_us = now_us + INTERVAL_US;
  state->asked = TRUE;
  g_debug("%s: its guest is asked to bring back up to %" PRIu64 " MiB of %" PRIu64
          " MiB that are swapped out",
          managed->name, room_kib / 1024, managed->policy.swap_used_kib / 1024);
  manager->backend->read_back(manager->backend, managed->uuid, room_kib);
}

void
cagma_manager_on_read_back(void *owner, const char *uuid, uint64_t kib, gboolean done)
{
  CagmaManager *manager = owner;
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, uuid);
  CagmaReadBackState *state = managed ? &managed->read_back : NULL;

  /* Unasked, it says nothing. */
  if (!state || !state->due || !state->asked)
    return;
  if (kib > state->kib)
    state->idle = 0;
  state->kib = cagma_min_kib(kib, CAGMA_MAX_KIB);
  if (done)
    leave(managed, "its guest has been through what was swapped out");
}
