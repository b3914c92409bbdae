/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/read-back.h"

#include "policy/estimator.h"
#include "policy/rules.h"
#include "policy/units.h"

gboolean
cagma_reads_back(const CagmaPolicy *policy, uint32_t without)
{
  return policy->kind != CAGMA_POLICY_CLASSIC && !(without & CAGMA_RULE_READ_BACK);
}

static void
leave(CagmaReadBack *state, const char *why)
{
  state->due = FALSE;
  state->over = why;
}

/* A growth that has arrived is a beginning. */
static void
note_growth(CagmaReadBack *state, const CagmaDomain *domain)
{
  if (domain->move != CAGMA_MOVE_NONE || !domain->has_actual)
    return;
  if (state->actual_kib && cagma_above(domain->actual_kib, state->actual_kib) > CAGMA_REACHED_KIB)
    *state = (CagmaReadBack){ .due = TRUE, .next_us = state->next_us };
  state->actual_kib = domain->actual_kib;
}

/* The agent says that it is through only when it is asked again, which for so little it isn't. */
static gboolean
is_through(const CagmaReadBack *state, const CagmaDomain *domain)
{
  return state->asked && domain->has_swap_used && cagma_domain_seen_since_move(domain) &&
         domain->swap_used_kib < CAGMA_READ_BACK_LEAST_KIB;
}

/* By its newest figures. */
static uint64_t
room(const CagmaDomain *domain)
{
  if (!domain->has_figures || !domain->has_swap_used || !cagma_domain_seen_since_move(domain))
    return 0;
  return cagma_min_kib(domain->swap_used_kib, cagma_above(domain->available_kib, cagma_headroom(domain)));
}

uint64_t
cagma_read_back_due(CagmaReadBack *state, const CagmaDomain *domain, gboolean may_ask, int64_t now_us)
{
  uint64_t room_kib;

  note_growth(state, domain);
  if (!state->due || !may_ask || domain->move != CAGMA_MOVE_NONE)
    return 0;
  /* Guests of Xen are heard through xenstore, and can't be asked. */
  if (domain->yields)
    return 0;
  if (!domain->managed || domain->config.mode != CAGMA_MODE_ENFORCE || domain->hold || domain->unresponsive)
    return 0;
  /* What comes in now would be taken for the shrink's harm. */
  if (domain->shrunk_us && now_us - domain->shrunk_us <= CAGMA_HURT_WINDOW_US)
    return 0;
  if (is_through(state, domain)) {
    leave(state, "next to nothing of it is left in swap");
    return 0;
  }
  room_kib = room(domain);
  if (room_kib < CAGMA_READ_BACK_LEAST_KIB || now_us < state->next_us)
    return 0;
  if (state->idle++ >= CAGMA_READ_BACK_IDLE_MAX) {
    leave(state, "its guest brings nothing more back");
    return 0;
  }
  state->next_us = now_us + CAGMA_READ_BACK_INTERVAL_US;
  state->asked = TRUE;
  return room_kib;
}

void
cagma_read_back_answered(CagmaReadBack *state, uint64_t kib, gboolean done)
{
  /* Unasked, it says nothing. */
  if (!state->due || !state->asked)
    return;
  if (kib > state->kib)
    state->idle = 0;
  state->kib = cagma_min_kib(kib, CAGMA_MAX_KIB);
  if (done)
    leave(state, "its guest has been through what was swapped out");
}
