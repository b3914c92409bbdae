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
cagma_explain_reason(const CagmaHost *host, const CagmaPlan *plan, size_t index, int64_t now_us)
{
  const CagmaDomain *domain = host->domains[index];
  const CagmaDecision *decision = &plan->decisions[index];
  const CagmaDemand *demand = &decision->demand;

  switch (decision->why) {
  case CAGMA_WHY_UNMANAGED:
    return g_strdup("no configuration for it; its whole memory is counted as taken");
  case CAGMA_WHY_OBSERVED:
    return g_strdup_printf("observed only; would have " MIB_FORMAT, mib(demand->demand_kib));
  case CAGMA_WHY_HELD:
    return g_strdup(domain->hold ? domain->hold : "held");
  case CAGMA_WHY_UNRESPONSIVE:
    return g_strdup("its QEMU does not answer; left alone until it does");
  case CAGMA_WHY_STUCK:
    return g_strdup_printf("its balloon did not move; left alone for another %" PRIu64 " s",
                           seconds(domain->stuck_until_us - now_us));
  case CAGMA_WHY_WITHDRAWN:
    return g_strdup_printf("its balloon did not move; the request is withdrawn, it keeps " MIB_FORMAT,
                           mib(decision->target_kib));
  case CAGMA_WHY_REASSERTED:
    return g_strdup_printf("its balloon's target was not known; it stays at " MIB_FORMAT,
                           mib(decision->target_kib));
  case CAGMA_WHY_DISTRUSTED:
    return g_strdup_printf("holds " MIB_FORMAT " resident although its balloon leaves it " MIB_FORMAT
                           "; counted in full",
                           mib(domain->rss_kib), mib(domain->actual_kib));
  case CAGMA_WHY_STARTING:
    return g_strdup("started or rebooted; counted in full until its balloon has settled");
  case CAGMA_WHY_SILENT:
    return g_strdup("its guest has not reported since it started: still booting, or no balloon driver");
  case CAGMA_WHY_STALE:
    return g_strdup_printf("its guest last reported %" PRIu64 " s ago; not shrunk without recent figures",
                           seconds(now_us - domain->report_us));
  case CAGMA_WHY_CONTRADICTORY:
    return g_strdup("its guest's figures are missing or contradict each other");
  case CAGMA_WHY_BELOW_GUARANTEE:
    return g_strdup_printf("is below its guarantee of " MIB_FORMAT, mib(domain->config.guarantee_kib));
  case CAGMA_WHY_SHORT:
    return g_strdup_printf("has " MIB_FORMAT " available and needs " MIB_FORMAT, mib(demand->available_kib),
                           mib(demand->critical_kib));
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
        CAGMA_WOLF_EVENTS, seconds(domain->deaf_until_us - now_us));
  case CAGMA_WHY_WAITS:
    return g_strdup_printf("needs " MIB_FORMAT " more; waits for memory in hand", mib(decision->waits_kib));
  case CAGMA_WHY_ABOVE_LIMIT:
    return g_strdup_printf("is above its limit of " MIB_FORMAT, mib(domain->config.limit_kib));
  case CAGMA_WHY_GIVES:
    return g_strdup_printf("gives to others: has " MIB_FORMAT " available and needs " MIB_FORMAT,
                           mib(demand->available_kib), mib(demand->critical_kib));
  case CAGMA_WHY_POOL:
    return g_strdup_printf("gives to the emergency pool: has " MIB_FORMAT " available and needs " MIB_FORMAT,
                           mib(demand->available_kib), mib(demand->critical_kib));
  case CAGMA_WHY_RELEASES:
    return g_strdup_printf("the host has nothing to give; releases from its " MIB_FORMAT
                           " available what it has above its critical amount of " MIB_FORMAT,
                           mib(demand->available_kib), mib(domain->queue.critical_kib));
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
                           mib(domain->move_from_kib), mib(domain->target_kib));
  case CAGMA_WHY_ENOUGH:
    return g_strdup_printf("has " MIB_FORMAT " available and needs " MIB_FORMAT, mib(demand->available_kib),
                           mib(demand->critical_kib));
  }
  return g_strdup("unknown");
}

static void
explain_figures(GString *text, const CagmaDomain *domain, const CagmaDecision *decision, int64_t now_us)
{
  g_string_append_printf(text, "figures: ");
  if (domain->has_actual)
    g_string_append_printf(text, "the balloon leaves it " MIB_FORMAT " of " MIB_FORMAT,
                           mib(domain->actual_kib), mib(domain->max_kib));
  else
    g_string_append_printf(text, "its balloon's size is not known; its memory is " MIB_FORMAT,
                           mib(domain->max_kib));
  if (domain->has_figures)
    g_string_append_printf(
        text, ", it uses " MIB_FORMAT " and has " MIB_FORMAT " available (%" PRIu64 " s ago)",
        mib(domain->used_kib), mib(domain->available_kib), seconds(now_us - domain->figures_us));
  if (domain->rss_kib)
    g_string_append_printf(text, "; its process holds " MIB_FORMAT " resident", mib(domain->rss_kib));
  if (domain->has_counters)
    g_string_append_printf(text, "; it swaps in %" PRIu64 " and out %" PRIu64 " KiB/s",
                           domain->swap_in_kib_per_s, domain->swap_out_kib_per_s);
  g_string_append_printf(text, ". It is charged " MIB_FORMAT ".\n", mib(decision->charge_kib));
}

static void
explain_critical(GString *text, const CagmaDomain *domain, const CagmaDemand *demand)
{
  static const char *const footprints[] = {
    [CAGMA_SOURCE_DEFICIT] = "",
    [CAGMA_SOURCE_MAX] = "the footprint of its largest process",
    [CAGMA_SOURCE_SUM] = "all it uses and has swapped out",
    [CAGMA_SOURCE_SWAPPING] = "the footprint of its swapping process",
  };
  g_autofree char *rate = g_strdup_printf("%u.%u", domain->config.rate_permille / 1000,
                                          domain->config.rate_permille % 1000 / 100);

  g_string_append_printf(text, "used " MIB_FORMAT " + critical " MIB_FORMAT " (headroom " MIB_FORMAT,
                         mib(demand->used_kib), mib(demand->critical_kib), mib(demand->headroom_kib));
  if (domain->config.source == CAGMA_SOURCE_DEFICIT)
    g_string_append_printf(text, ", lately swapped " MIB_FORMAT " × %s)", mib(demand->swap_back_kib), rate);
  else
    g_string_append_printf(
        text, ", or %s " MIB_FORMAT " × %s%s)", footprints[domain->config.source], mib(demand->footprint_kib),
        rate, demand->approximated ? ", taken from its balloon's statistics for want of an agent's" : "");
}

static void
explain_demand(GString *text, const CagmaDomain *domain, const CagmaDemand *demand)
{
  g_string_append_printf(text, "estimator %s: ", cagma_estimator_to_string(domain->config.estimator));
  if (domain->config.estimator == CAGMA_ESTIMATOR_STATIC)
    g_string_append_printf(text, "its guarantee");
  else if (!domain->has_figures)
    g_string_append_printf(text, "without figures it stays where it is");
  else
    explain_critical(text, domain, demand);
  if (demand->foreseen_kib && demand->foreseen_kib == demand->headroom_kib)
    g_string_append_printf(
        text, "; the headroom is what it takes up before memory can arrive, at %" PRIu64 " KiB/s",
        domain->consumption_kib_per_s);
  if (domain->regain_kib && domain->regain_kib == demand->demand_kib)
    g_string_append_printf(text, "; a shrink hurt it, so it is given back what it had");
  g_string_append_printf(
      text,
      ". Within its guarantee of " MIB_FORMAT " and limit of " MIB_FORMAT " it should have " MIB_FORMAT ".\n",
      mib(domain->config.guarantee_kib), mib(domain->config.limit_kib), mib(demand->demand_kib));
}

static void
explain_place(GString *text, const CagmaQueuePlace *place)
{
  static const char *const sets[] = {
    [CAGMA_QUEUE_NEITHER] = "it neither asks nor releases",
    [CAGMA_QUEUE_ALLOC] = "it asks for memory",
    [CAGMA_QUEUE_RELEASE] = "it has more than its critical amount",
  };

  if (!place->critical_kib)
    g_string_append_printf(text, "; it has had no need to swap, so that its critical amount isn't set");
  else
    g_string_append_printf(text, "; its critical amount is set to " MIB_FORMAT ", %s, released %u times",
                           mib(place->critical_kib), sets[place->set], place->releases);
}

static void
explain_share(GString *text, const CagmaHost *host, const CagmaPlan *plan, const CagmaDomain *domain,
              const CagmaDecision *decision)
{
  gboolean classic = host->policy == CAGMA_POLICY_CLASSIC;
  static const char *const fits[] = {
    [CAGMA_FIT_EASY] = "memory in hand meets every need",
    [CAGMA_FIT_TAKE] = "every need is met with what others can spare",
    [CAGMA_FIT_SHARED] = "not all needs fit: guarantees first, the rest by shares",
    [CAGMA_FIT_SHORT] = "not even the guarantees fit: what stands stands",
    [CAGMA_FIT_QUEUE] = "those who have waited longest are served first",
  };

  g_string_append_printf(text, "allocator %s: in hand %" PRId64 " MiB", classic ? "queue" : "shares",
                         plan->in_hand_kib / 1024);
  if (plan->coming_kib)
    g_string_append_printf(text, ", " MIB_FORMAT " coming in from shrinks under way", mib(plan->coming_kib));
  if (plan->pool_kib)
    g_string_append_printf(text, " (of it " MIB_FORMAT " kept for emergencies)", mib(plan->pool_kib));
  g_string_append_printf(text, "; %s", fits[plan->fit]);
  if (plan->shortfall_kib)
    g_string_append_printf(text, " (" MIB_FORMAT " short)", mib(plan->shortfall_kib));
  if (classic)
    explain_place(text, &domain->queue);
  else if (decision->entitled_kib)
    g_string_append_printf(text, ". With %u shares it is entitled to " MIB_FORMAT, domain->config.shares,
                           mib(decision->entitled_kib));
  g_string_append_printf(text, ".\n");
}

char *
cagma_explain(const CagmaHost *host, const CagmaPlan *plan, size_t index, int64_t now_us)
{
  const CagmaDomain *domain = host->domains[index];
  const CagmaDecision *decision = &plan->decisions[index];
  g_autofree char *reason = cagma_explain_reason(host, plan, index, now_us);
  GString *text = g_string_new(NULL);

  g_string_append_printf(text, "%s: %s.\n", cagma_state_to_string(decision->state), reason);
  if (domain->managed) {
    explain_figures(text, domain, decision, now_us);
    explain_demand(text, domain, &decision->demand);
    explain_share(text, host, plan, domain, decision);
    if (decision->target_kib)
      g_string_append_printf(text, "plan: set it from " MIB_FORMAT " to " MIB_FORMAT ".\n",
                             mib(decision->standing_kib), mib(decision->target_kib));
    else
      g_string_append_printf(text, "plan: nothing to set; it stands at " MIB_FORMAT ".\n",
                             mib(decision->standing_kib));
  }
  return g_string_free(text, FALSE);
}
