/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/estimator.h"

#include <string.h>

#include "policy/critical.h"
#include "policy/loadavg.h"
#include "policy/missratio.h"
#include "policy/rules.h"
#include "policy/units.h"

static void
estimate_static(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand)
{
  (void)horizon_us;
  demand->demand_kib = domain->config.guarantee_kib;
}

static void
explain_static(GString *text, const CagmaDemand *demand)
{
  (void)demand;
  g_string_append(text, "its guarantee");
}

static const CagmaEstimator static_estimator = {
  .estimate = estimate_static,
  .explain = explain_static,
};

static const CagmaEstimator *const estimators[CAGMA_N_ESTIMATORS] = {
  [CAGMA_ESTIMATOR_CRITICAL] = &cagma_estimator_critical,
  [CAGMA_ESTIMATOR_STATIC] = &static_estimator,
  [CAGMA_ESTIMATOR_LOADAVG] = &cagma_estimator_loadavg,
  [CAGMA_ESTIMATOR_MISSRATIO] = &cagma_estimator_missratio,
};

const CagmaEstimator *
cagma_estimator_of(CagmaEstimatorKind kind)
{
  return (unsigned int)kind < CAGMA_N_ESTIMATORS ? estimators[kind] : NULL;
}

void
cagma_estimator_tick(CagmaDomain *domain, int64_t now_us)
{
  const CagmaEstimator *estimator = estimators[domain->config.estimator];

  if (estimator->tick)
    estimator->tick(domain, now_us);
}

void
cagma_estimator_learn(CagmaDomain *domain, const CagmaSample *sample, int64_t now_us)
{
  const CagmaEstimator *estimator = estimators[domain->config.estimator];

  if (estimator->learn)
    estimator->learn(domain, sample, now_us);
}

void
cagma_estimate(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand)
{
  const CagmaEstimator *estimator = estimators[domain->config.estimator];

  memset(demand, 0, sizeof *demand);
  demand->used_kib = domain->used_kib;
  demand->available_kib = domain->available_kib;
  demand->blind = estimator->needs_figures && !domain->has_figures;

  if (demand->blind)
    demand->demand_kib = cagma_domain_standing(domain);
  else
    estimator->estimate(domain, horizon_us, demand);

  cagma_demand_bound(domain, demand);
}

void
cagma_demand_bound(const CagmaDomain *domain, CagmaDemand *demand)
{
  const CagmaConfig *config = &domain->config;

  /* What isn't estimated has no headroom to do without. What a shrink that hurt took can wait for what
   * others lack now: it is of before, and the harm may have had another reason. */
  if (!demand->bare_kib)
    demand->bare_kib = demand->demand_kib;
  demand->regains = domain->regain_kib > demand->demand_kib;
  demand->demand_kib = cagma_max_kib(demand->demand_kib, domain->regain_kib);
  if (config->shares == 0)
    demand->demand_kib = cagma_min_kib(demand->demand_kib, cagma_domain_standing(domain));
  demand->demand_kib = cagma_clamp_kib(demand->demand_kib, config->guarantee_kib, config->limit_kib);
  if (demand->blind)
    demand->bare_kib = demand->demand_kib;
  demand->bare_kib = cagma_clamp_kib(demand->bare_kib, config->guarantee_kib, demand->demand_kib);
  demand->wish_kib = config->shares ? cagma_clamp_kib(demand->wish_kib, demand->demand_kib, config->limit_kib)
                                    : demand->demand_kib;
}

void
cagma_demand_explain(GString *text, CagmaEstimatorKind kind, const CagmaDemand *demand)
{
  const CagmaEstimator *estimator = cagma_estimator_of(kind);

  if (demand->blind)
    g_string_append(text, "without figures it stays where it is");
  else if (estimator)
    estimator->explain(text, demand);
}

uint64_t
cagma_headroom(const CagmaDomain *domain)
{
  const CagmaConfig *config = &domain->config;
  uint64_t headroom_kib = config->headroom_permille
                              ? cagma_permille(domain->used_kib, config->headroom_permille)
                              : config->headroom_kib;

  return cagma_max_kib(headroom_kib, CAGMA_HEADROOM_MIN_KIB);
}

gboolean
cagma_is_short(const CagmaDomain *domain)
{
  if (!domain->managed || domain->config.mode != CAGMA_MODE_ENFORCE || domain->hold ||
      domain->without & CAGMA_RULE_EMERGENCY)
    return FALSE;
  return domain->has_figures && domain->move == CAGMA_MOVE_NONE &&
         domain->available_kib < cagma_headroom(domain) && domain->actual_kib < domain->config.limit_kib;
}
