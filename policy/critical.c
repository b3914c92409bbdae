/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/critical.h"

#include "policy/rules.h"
#include "policy/units.h"

static uint64_t
foreseen(const CagmaDomain *domain, int64_t horizon_us)
{
  uint64_t horizon_ms = (uint64_t)CLAMP(horizon_us / 1000, 0, CAGMA_HORIZON_MAX_MS);
  uint64_t taken_kib = cagma_permille(domain->consumption_kib_per_s, horizon_ms);
  uint64_t size_kib;

  /* Of the size that the figures are of: what was granted since isn't to be a reason
   * to grant more before the guest was heard again. */
  size_kib = cagma_min_kib(cagma_domain_standing(domain), domain->used_kib + domain->available_kib);
  return cagma_min_kib(taken_kib, cagma_permille(size_kib, CAGMA_FORESEEN_MAX_PERMILLE));
}

/* S. What the agent tells of processes counts only where it tells of any: that one of
 * them swaps needn't be. */
static uint64_t
footprint(const CagmaDomain *domain, gboolean *approximated)
{
  gboolean told = domain->largest_kib || domain->swapping_kib;

  *approximated = domain->config.source == CAGMA_SOURCE_SUM ? !domain->has_swap_used : !told;
  if (told && domain->config.source == CAGMA_SOURCE_MAX)
    return cagma_max_kib(domain->largest_kib, domain->swapping_kib);
  if (told && domain->config.source == CAGMA_SOURCE_SWAPPING)
    return domain->swapping_kib;
  return domain->used_kib + cagma_domain_swapped(domain);
}

/* The original's: whole footprints. */
static void
estimate_footprint(const CagmaDomain *domain, CagmaDemand *demand)
{
  demand->footprint_kib = footprint(domain, &demand->approximated);
  demand->critical_kib = cagma_max_kib(cagma_permille(demand->footprint_kib, domain->config.rate_permille),
                                       demand->headroom_kib);
  demand->demand_kib = domain->used_kib + demand->critical_kib;
}

/* Whose swap is full, or has none, is killed for want of headroom, not slowed down. A balloon's
 * statistics tell of swap only by what goes there just now. */
static gboolean
has_swap_to_go_to(const CagmaDomain *domain, uint64_t headroom_kib)
{
  return domain->has_swap_used ? domain->swap_total_kib >= domain->swap_used_kib + headroom_kib
                               : domain->swap_out_kib_per_s > 0;
}

static void
estimate_deficit(const CagmaDomain *domain, CagmaDemand *demand)
{
  if (!(domain->without & CAGMA_RULE_SWAP_BACK))
    demand->swap_back_kib = domain->swap_back_kib;
  if (domain->available_kib < demand->headroom_kib && !(domain->without & CAGMA_RULE_PUSHED_OUT))
    demand->swap_back_kib = cagma_max_kib(demand->swap_back_kib, domain->pushed_out_kib);
  demand->critical_kib =
      cagma_permille(demand->swap_back_kib, domain->config.rate_permille) + demand->headroom_kib;
  demand->demand_kib = domain->used_kib + demand->critical_kib;
  if (has_swap_to_go_to(domain, demand->headroom_kib))
    demand->bare_kib =
        demand->demand_kib - cagma_permille(demand->headroom_kib, 1000 - CAGMA_BARE_HEADROOM_PERMILLE);
}

/* What would be of use beside. */
static void
wish(const CagmaDomain *domain, CagmaDemand *demand)
{
  demand->wish_kib = demand->demand_kib + cagma_above(demand->foreseen_kib, demand->headroom_kib);
  if (domain->cache_back_kib < CAGMA_CACHE_BACK_MIN_KIB || domain->without & CAGMA_RULE_CACHE_BACK)
    return;
  demand->cache_back_kib = domain->cache_back_kib;
  demand->wish_kib = cagma_max_kib(demand->wish_kib,
                                   domain->used_kib + domain->available_kib +
                                       cagma_permille(domain->cache_back_kib, domain->config.rate_permille));
}

static void
estimate(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand)
{
  demand->source = domain->config.source;
  demand->rate_permille = domain->config.rate_permille;
  demand->consumption_kib_per_s = domain->consumption_kib_per_s;
  demand->headroom_kib = cagma_headroom(domain);
  if (!(domain->without & CAGMA_RULE_FORESEEN))
    demand->foreseen_kib = foreseen(domain, horizon_us);

  if (domain->config.source == CAGMA_SOURCE_DEFICIT)
    estimate_deficit(domain, demand);
  else
    estimate_footprint(domain, demand);
  wish(domain, demand);
}

static void
explain(GString *text, const CagmaDemand *demand)
{
  static const char *const footprints[] = {
    [CAGMA_SOURCE_DEFICIT] = "",
    [CAGMA_SOURCE_MAX] = "the footprint of its largest process",
    [CAGMA_SOURCE_SUM] = "all it uses and has swapped out",
    [CAGMA_SOURCE_SWAPPING] = "the footprint of its swapping process",
  };
  g_autofree char *rate =
      g_strdup_printf("%u.%u", demand->rate_permille / 1000, demand->rate_permille % 1000 / 100);

  g_string_append_printf(
      text, "used " CAGMA_MIB_FORMAT " + critical " CAGMA_MIB_FORMAT " (headroom " CAGMA_MIB_FORMAT,
      cagma_mib(demand->used_kib), cagma_mib(demand->critical_kib), cagma_mib(demand->headroom_kib));
  if (demand->source == CAGMA_SOURCE_DEFICIT)
    g_string_append_printf(text, ", lately swapped " CAGMA_MIB_FORMAT " × %s)",
                           cagma_mib(demand->swap_back_kib), rate);
  else
    g_string_append_printf(
        text, ", or %s " CAGMA_MIB_FORMAT " × %s%s)",
        footprints[CLAMP(demand->source, 0, CAGMA_SOURCE_SWAPPING)], cagma_mib(demand->footprint_kib), rate,
        demand->approximated ? ", taken from its balloon's statistics for want of an agent's" : "");
  if (demand->foreseen_kib > demand->headroom_kib)
    g_string_append_printf(
        text, "; it takes up another " CAGMA_MIB_FORMAT " before memory can arrive, at %" PRIu64 " KiB/s",
        cagma_mib(demand->foreseen_kib), demand->consumption_kib_per_s);
  if (demand->cache_back_kib)
    g_string_append_printf(text, "; it lately read " CAGMA_MIB_FORMAT " of its page cache again",
                           cagma_mib(demand->cache_back_kib));
}

const CagmaEstimator cagma_estimator_critical = {
  .needs_figures = TRUE,
  .estimate = estimate,
  .explain = explain,
};
