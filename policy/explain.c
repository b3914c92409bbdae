/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/explain.h"

#include <inttypes.h>

#include "policy/units.h"

#define MIB_FORMAT "%" PRIu64 " MiB"

static uint64_t
mib(uint64_t kib)
{
  return (kib + 512) / 1024;
}

static uint64_t
seconds(int64_t us)
{
  return us > 0 ? (uint64_t)(us / CAGMA_SECOND_US) : 0;
}

char *
cagma_explain_reason(const CagmaDecision *decision)
{
  const CagmaDemand *demand = &decision->demand;

  switch (decision->why) {
  case CAGMA_WHY_UNMANAGED:
    return g_strdup("no configuration for it; all that it may hold is counted as taken");
  case CAGMA_WHY_OBSERVED:
    return g_strdup_printf("observed only; would have " MIB_FORMAT, mib(demand->demand_kib));
  case CAGMA_WHY_HELD:
    return g_strdup(decision->hold[0] ? decision->hold : "held");
  case CAGMA_WHY_UNRESPONSIVE:
    return g_strdup("its QEMU does not answer; left alone until it does");
  case CAGMA_WHY_STUCK:
    return g_strdup_printf(
        "its balloon did not move, or couldn't be asked to; left alone for another %" PRIu64 " s",
        seconds(decision->stuck_left_us));
  case CAGMA_WHY_WITHDRAWN:
    return g_strdup_printf(
        "its balloon isn't where it was asked to be; that is withdrawn, it keeps " MIB_FORMAT,
        mib(decision->target_kib));
  case CAGMA_WHY_SPARED:
    return g_strdup_printf("its guest reports pressure while it is shrunk; it keeps " MIB_FORMAT,
                           mib(decision->target_kib));
  case CAGMA_WHY_REASSERTED:
    return g_strdup_printf("its balloon's target was not known; it is set to " MIB_FORMAT,
                           mib(decision->target_kib));
  case CAGMA_WHY_DISTRUSTED:
    return g_strdup_printf("holds " MIB_FORMAT " resident although its balloon leaves it " MIB_FORMAT
                           "; counted in full",
                           mib(decision->rss_kib), mib(decision->actual_kib));
  case CAGMA_WHY_DRIVERLESS:
    return g_strdup("no balloon driver has come up in its guest yet; left alone until one has");
  case CAGMA_WHY_STARTING:
    return g_strdup("started or rebooted; counted in full until its balloon has settled");
  case CAGMA_WHY_SILENT:
    return g_strdup(
        "its guest has not reported since it started: still booting, or without a balloon driver or "
        "an agent that would");
  case CAGMA_WHY_STALE:
    return g_strdup_printf("its guest last reported %" PRIu64 " s ago; not shrunk without recent figures",
                           seconds(decision->report_age_us));
  case CAGMA_WHY_CONTRADICTORY:
    return g_strdup("its guest's figures are missing or contradict each other");
  case CAGMA_WHY_BELOW_GUARANTEE:
    return g_strdup_printf("is below its guarantee of " MIB_FORMAT, mib(decision->guarantee_kib));
  case CAGMA_WHY_SHORT:
    return g_strdup_printf("has " MIB_FORMAT " available and needs " MIB_FORMAT, mib(demand->available_kib),
                           mib(demand->critical_kib));
  case CAGMA_WHY_WISHES:
    return g_strdup_printf("has " MIB_FORMAT " available and needs " MIB_FORMAT
                           "; could use a size of up to " MIB_FORMAT,
                           mib(demand->available_kib), mib(demand->critical_kib), mib(demand->wish_kib));
  case CAGMA_WHY_SPREAD:
    return g_strdup_printf("has " MIB_FORMAT " available and needs " MIB_FORMAT
                           "; is handed what nobody needs, up to a size of " MIB_FORMAT,
                           mib(demand->available_kib), mib(demand->critical_kib),
                           mib(decision->entitled_kib));
  case CAGMA_WHY_EMERGENCY:
    return g_strdup_printf("its guest reports pressure: it has " MIB_FORMAT
                           " available and needs " MIB_FORMAT,
                           mib(demand->available_kib), mib(demand->critical_kib));
  case CAGMA_WHY_PRESSED:
    return g_strdup_printf("its guest reports pressure, but has " MIB_FORMAT
                           " available and needs " MIB_FORMAT,
                           mib(demand->available_kib), mib(demand->critical_kib));
  case CAGMA_WHY_DEAF:
    return g_strdup_printf(
        "its guest reported pressure %d times without swapping; not listened to for another "
        "%" PRIu64 " s",
        CAGMA_WOLF_EVENTS, seconds(decision->deaf_left_us));
  case CAGMA_WHY_WAITS:
    return g_strdup_printf("%s " MIB_FORMAT " more; waits for memory in hand",
                           decision->standing_kib < demand->demand_kib ? "needs" : "could use",
                           mib(decision->waits_kib));
  case CAGMA_WHY_ABOVE_LIMIT:
    return g_strdup_printf("is above its limit of " MIB_FORMAT, mib(decision->limit_kib));
  case CAGMA_WHY_GIVES:
    return g_strdup_printf("gives to others: has " MIB_FORMAT " available and needs " MIB_FORMAT,
                           mib(demand->available_kib), mib(demand->critical_kib));
  case CAGMA_WHY_LEVELS:
    return g_strdup_printf("gives to those who have less to spare: has " CAGMA_MIB_FORMAT
                           " available and needs " CAGMA_MIB_FORMAT,
                           cagma_mib(demand->available_kib), cagma_mib(demand->critical_kib));
  case CAGMA_WHY_POOL:
    return g_strdup_printf("gives to the emergency pool: has " MIB_FORMAT " available and needs " MIB_FORMAT,
                           mib(demand->available_kib), mib(demand->critical_kib));
  case CAGMA_WHY_RELEASES:
    return g_strdup_printf("the host has nothing to give; releases from its " MIB_FORMAT
                           " available what it has above its critical amount of " MIB_FORMAT,
                           mib(demand->available_kib), mib(decision->queue_critical_kib));
  case CAGMA_WHY_RECLAIMED:
    return g_strdup_printf("gives back to the host: has " MIB_FORMAT " available and needs " MIB_FORMAT,
                           mib(demand->available_kib), mib(demand->critical_kib));
  case CAGMA_WHY_SHARES:
    return g_strdup_printf("not all needs fit; its share is " MIB_FORMAT, mib(decision->entitled_kib));
  case CAGMA_WHY_AT_SHARE:
    return g_strdup_printf("needs " MIB_FORMAT ", but not all needs fit; it has its share",
                           mib(demand->demand_kib));
  case CAGMA_WHY_MOVING:
    return g_strdup_printf("its balloon is on its way from " MIB_FORMAT " to " MIB_FORMAT,
                           mib(decision->move_from_kib), mib(decision->move_to_kib));
  case CAGMA_WHY_ENOUGH:
    return g_strdup_printf("has " MIB_FORMAT " available and needs " MIB_FORMAT, mib(demand->available_kib),
                           mib(demand->critical_kib));
  }
  return g_strdup("unknown");
}

static void
explain_figures(GString *text, const CagmaDecision *decision)
{
  g_string_append_printf(text, "figures: ");
  if (decision->has_actual)
    g_string_append_printf(text, "the balloon leaves it " MIB_FORMAT " of " MIB_FORMAT,
                           mib(decision->actual_kib), mib(decision->max_kib));
  else
    g_string_append_printf(text, "its balloon's size is not known; its memory is " MIB_FORMAT,
                           mib(decision->max_kib));
  if (decision->has_figures)
    g_string_append_printf(text,
                           ", it uses " MIB_FORMAT " and has " MIB_FORMAT " available (%" PRIu64 " s ago)",
                           mib(decision->demand.used_kib), mib(decision->demand.available_kib),
                           seconds(decision->figures_age_us));
  if (decision->rss_kib)
    g_string_append_printf(text, "; its process holds " MIB_FORMAT " resident", mib(decision->rss_kib));
  if (decision->has_counters)
    g_string_append_printf(text, "; it swaps in %" PRIu64 " and out %" PRIu64 " KiB/s",
                           decision->swap_in_kib_per_s, decision->swap_out_kib_per_s);
  g_string_append_printf(text, ". It is charged " MIB_FORMAT ".\n", mib(decision->charge_kib));
}

static void
explain_demand(GString *text, const CagmaDecision *decision)
{
  const CagmaDemand *demand = &decision->demand;

  g_string_append_printf(text, "estimator %s: ", cagma_estimator_to_string(decision->estimator));
  cagma_demand_explain(text, decision->estimator, demand);
  if (demand->regains)
    g_string_append_printf(text, "; a shrink hurt it, so it is given back what it had");
  g_string_append_printf(
      text, ". Within its guarantee of " MIB_FORMAT " and limit of " MIB_FORMAT " it should have " MIB_FORMAT,
      mib(decision->guarantee_kib), mib(decision->limit_kib), mib(demand->demand_kib));
  if (mib(demand->wish_kib) > mib(demand->demand_kib))
    g_string_append_printf(text, ", and could use up to " MIB_FORMAT, mib(demand->wish_kib));
  if (decision->least_kib)
    g_string_append_printf(text,
                           ". Its balloon would give in to any target: it isn't shrunk below " MIB_FORMAT
                           ", which its guest can't do without",
                           mib(decision->least_kib));
  g_string_append(text, ".\n");
}

static void
explain_share(GString *text, const CagmaDecision *decision, const CagmaVerdict *verdict)
{
  const CagmaPolicy *policy = cagma_policy_of(verdict->policy);
  const CagmaAllocator *allocator = cagma_allocator_of(policy ? policy->allocator : CAGMA_ALLOCATOR_SHARES);
  static const char *const fits[] = {
    [CAGMA_FIT_EASY] = "memory in hand meets every need",
    [CAGMA_FIT_LEVEL] = "memory in hand meets every need, and what nobody needs is levelled",
    [CAGMA_FIT_TAKE] = "every need is met with what others can spare",
    [CAGMA_FIT_SHARED] = "not all needs fit: ",
    [CAGMA_FIT_SHORT] = "not even the guarantees fit: what stands stands",
    [CAGMA_FIT_QUEUE] = "not all needs fit: ",
  };
  gboolean ruled = verdict->fit == CAGMA_FIT_SHARED || verdict->fit == CAGMA_FIT_QUEUE;

  g_string_append_printf(text, "allocator %s: in hand %" PRId64 " MiB", allocator->name,
                         verdict->in_hand_kib / 1024);
  if (verdict->coming_kib)
    g_string_append_printf(text, ", " MIB_FORMAT " coming in from shrinks under way",
                           mib(verdict->coming_kib));
  if (verdict->pool_kib)
    g_string_append_printf(text, " (of it " MIB_FORMAT " kept for emergencies)", mib(verdict->pool_kib));
  g_string_append_printf(text, "; %s%s", fits[verdict->fit], ruled ? allocator->rule : "");
  if (verdict->shortfall_kib)
    g_string_append_printf(text, " (" MIB_FORMAT " short)", mib(verdict->shortfall_kib));
  allocator->explain(text, decision);
  g_string_append_printf(text, ".\n");
}

static void
explain_step(GString *text, const CagmaDecision *decision)
{
  if (decision->target_kib)
    g_string_append_printf(text, "plan: set it from " MIB_FORMAT " to " MIB_FORMAT,
                           mib(decision->standing_kib), mib(decision->target_kib));
  else
    g_string_append_printf(text, "plan: nothing to set; it stands at " MIB_FORMAT,
                           mib(decision->standing_kib));
  if (decision->waits_kib)
    g_string_append_printf(text, "; another " MIB_FORMAT " once memory is in hand", mib(decision->waits_kib));
  g_string_append(text, ".\n");
}

static void
explain_guard(GString *text, const CagmaDecision *decision, const CagmaVerdict *verdict)
{
  if (verdict->guard == CAGMA_GUARD_REFUSED)
    g_string_append_printf(text, "guard: refused the whole plan, so that nothing was moved: %s.\n",
                           verdict->refusal);
  else if (verdict->guard == CAGMA_GUARD_PASSED && decision->target_kib)
    g_string_append_printf(text, "guard: found the plan to keep every guarantee%s.\n",
                           verdict->dry_run ? "; dry run: nothing was set" : "");
}

char *
cagma_explain(const CagmaDecision *decision, const CagmaVerdict *verdict)
{
  g_autofree char *reason = cagma_explain_reason(decision);
  GString *text = g_string_new(NULL);

  g_string_append_printf(text, "%s: %s.\n", cagma_state_to_string(decision->state), reason);
  if (decision->managed) {
    explain_figures(text, decision);
    explain_demand(text, decision);
    explain_share(text, decision, verdict);
    explain_step(text, decision);
  }
  explain_guard(text, decision, verdict);
  return g_string_free(text, FALSE);
}
