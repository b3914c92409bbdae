/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/estimator.h"

#include <string.h>

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

static void
estimate_critical(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand)
{
  uint64_t headroom_kib = domain->config.headroom_kib;

  if (domain->config.headroom_permille)
    headroom_kib = cagma_permille(domain->used_kib, domain->config.headroom_permille);
  demand->foreseen_kib = foreseen(domain, horizon_us);
  headroom_kib = cagma_max_kib(headroom_kib, CAGMA_HEADROOM_MIN_KIB);
  demand->headroom_kib = cagma_max_kib(headroom_kib, demand->foreseen_kib);

  if (domain->config.source != CAGMA_SOURCE_DEFICIT) {
    demand->footprint_kib = footprint(domain, &demand->approximated);
    demand->critical_kib = cagma_max_kib(cagma_permille(demand->footprint_kib, domain->config.rate_permille),
                                         demand->headroom_kib);
    demand->demand_kib = domain->used_kib + demand->critical_kib;
    return;
  }

  demand->swap_back_kib = domain->swap_back_kib;
  if (domain->available_kib < headroom_kib)
    demand->swap_back_kib = cagma_max_kib(demand->swap_back_kib, domain->pushed_out_kib);
  demand->critical_kib =
      cagma_permille(demand->swap_back_kib, domain->config.rate_permille) + demand->headroom_kib;
  demand->demand_kib = domain->used_kib + demand->critical_kib;
}

void
cagma_estimate(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand)
{
  const CagmaConfig *config = &domain->config;

  memset(demand, 0, sizeof *demand);
  demand->used_kib = domain->used_kib;
  demand->available_kib = domain->available_kib;

  if (config->estimator == CAGMA_ESTIMATOR_STATIC)
    demand->demand_kib = config->guarantee_kib;
  else if (domain->has_figures)
    estimate_critical(domain, horizon_us, demand);
  else
    demand->demand_kib = cagma_domain_standing(domain);

  cagma_demand_bound(domain, demand);
}

void
cagma_demand_bound(const CagmaDomain *domain, CagmaDemand *demand)
{
  const CagmaConfig *config = &domain->config;

  demand->demand_kib = cagma_max_kib(demand->demand_kib, domain->regain_kib);
  if (config->shares == 0)
    demand->demand_kib = cagma_min_kib(demand->demand_kib, cagma_domain_standing(domain));
  demand->demand_kib = cagma_clamp_kib(demand->demand_kib, config->guarantee_kib, config->limit_kib);
}
