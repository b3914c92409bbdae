/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/loadavg.h"

#include "policy/units.h"

static void
learn(CagmaDomain *domain, const CagmaSample *sample, int64_t now_us)
{
  CagmaLoadavg *state = &domain->loadavg;

  if (sample->has & CAGMA_HAS_VCPUS)
    state->vcpus = sample->vcpus;
  if (!(sample->has & CAGMA_HAS_LOAD))
    return;
  state->load1_permille = sample->load1_permille;
  state->load5_permille = sample->load5_permille;
  state->load15_permille = sample->load15_permille;
  state->load_us = now_us;
}

static uint64_t
free_permille(const CagmaDomain *domain, uint64_t size_kib)
{
  return size_kib ? cagma_above(size_kib, domain->used_kib) * 1000 / size_kib : 0;
}

static uint64_t
addition(const CagmaLoadavg *state, uint64_t free)
{
  gboolean long_busy = state->load5_permille > CAGMA_LOADAVG_LONG_BUSY_PERMILLE * state->vcpus &&
                       state->load15_permille > CAGMA_LOADAVG_BUSY_PERMILLE * state->vcpus;

  return free < CAGMA_LOADAVG_LEAST_PERMILLE || long_busy ? CAGMA_LOADAVG_ADD_MUCH_KIB
                                                          : CAGMA_LOADAVG_ADD_KIB;
}

static uint64_t
removal(const CagmaDomain *domain, uint64_t free)
{
  const CagmaLoadavg *state = &domain->loadavg;
  gboolean long_idle =
      MAX(state->load5_permille, state->load15_permille) < CAGMA_LOADAVG_IDLE_PERMILLE * state->vcpus;
  uint64_t amount_kib = free > CAGMA_LOADAVG_MOST_PERMILLE && long_idle ? CAGMA_LOADAVG_REMOVE_MUCH_KIB
                                                                        : CAGMA_LOADAVG_REMOVE_KIB;
  uint64_t least_kib =
      (domain->used_kib * 1000 + 999 - CAGMA_LOADAVG_KEEP_PERMILLE) / (1000 - CAGMA_LOADAVG_KEEP_PERMILLE);

  return cagma_min_kib(amount_kib, cagma_above(state->size_kib, least_kib));
}

static int64_t
grace_us(uint64_t amount_kib, uint64_t free, gboolean removed)
{
  uint64_t part = MIN(1000, free * 1000 / CAGMA_LOADAVG_LITTLE_PERMILLE);
  int64_t grace = CAGMA_LOADAVG_GRACE_US + (int64_t)(CAGMA_LOADAVG_GRACE_MORE_US * amount_kib /
                                                     CAGMA_LOADAVG_ADD_MUCH_KIB * part / 1000);

  return MIN(grace, CAGMA_LOADAVG_GRACE_MAX_US) * (removed ? 2 : 1);
}

static void
resize(CagmaDomain *domain, uint64_t size_kib, int64_t now_us)
{
  const CagmaConfig *config = &domain->config;
  CagmaLoadavg *state = &domain->loadavg;
  uint64_t before_kib = state->size_kib, free = free_permille(domain, before_kib);

  state->size_kib = cagma_clamp_kib(size_kib, config->guarantee_kib, config->limit_kib);
  if (state->size_kib == before_kib)
    return;
  state->change_kib = (int64_t)state->size_kib - (int64_t)before_kib;
  state->look_us = now_us + grace_us((uint64_t)ABS(state->change_kib), free, state->size_kib < before_kib);
}

static void
look(CagmaDomain *domain, int64_t now_us)
{
  CagmaLoadavg *state = &domain->loadavg;
  uint64_t free = free_permille(domain, state->size_kib);

  state->look_us = now_us + CAGMA_LOADAVG_LOOK_US;
  if (state->load1_permille > CAGMA_LOADAVG_BUSY_PERMILLE * state->vcpus &&
      free < CAGMA_LOADAVG_LITTLE_PERMILLE)
    resize(domain, state->size_kib + addition(state, free), now_us);
  else if (state->load1_permille < CAGMA_LOADAVG_IDLE_PERMILLE * state->vcpus &&
           free > CAGMA_LOADAVG_MUCH_PERMILLE)
    resize(domain, state->size_kib - removal(domain, free), now_us);
}

static void
tick(CagmaDomain *domain, int64_t now_us)
{
  CagmaLoadavg *state = &domain->loadavg;

  state->heard = state->vcpus && state->load_us && now_us - state->load_us <= CAGMA_LOADAVG_STALE_US;
  /* What it should have had long ago, before another estimator took over, is void. */
  if (!state->heard || !state->size_kib || now_us - state->ticked_us > CAGMA_LOADAVG_STALE_US) {
    state->size_kib = cagma_domain_standing(domain);
    state->change_kib = 0;
    state->look_us = now_us;
  }
  state->ticked_us = now_us;
  if (!domain->has_figures)
    return;
  if (domain->emergency)
    state->size_kib = cagma_max_kib(state->size_kib, domain->used_kib + cagma_headroom(domain));
  if (state->heard && now_us >= state->look_us)
    look(domain, now_us);
}

static uint32_t
per_vcpu(uint64_t load_permille, const CagmaLoadavg *state)
{
  return state->vcpus ? (uint32_t)MIN(load_permille / state->vcpus, UINT32_MAX) : 0;
}

static void
estimate(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand)
{
  const CagmaLoadavg *state = &domain->loadavg;

  (void)horizon_us;
  demand->headroom_kib = demand->critical_kib = cagma_headroom(domain);
  demand->heard = state->heard;
  demand->load1_permille = per_vcpu(state->load1_permille, state);
  demand->load5_permille = per_vcpu(state->load5_permille, state);
  demand->load15_permille = per_vcpu(state->load15_permille, state);
  demand->change_kib = state->change_kib;
  demand->wait_us = MAX(state->look_us - state->ticked_us, 0);
  demand->demand_kib = state->heard ? state->size_kib : cagma_domain_standing(domain);
  if (domain->emergency)
    demand->demand_kib = cagma_max_kib(demand->demand_kib, domain->used_kib + demand->critical_kib);
  demand->free_permille = (uint32_t)free_permille(domain, demand->demand_kib);
}

static void
explain(GString *text, const CagmaDemand *demand)
{
  if (!demand->heard) {
    g_string_append(text, "without an agent that tells its load it stays where it is");
    return;
  }
  g_string_append_printf(text, "load of %u.%02u, %u.%02u and %u.%02u a vCPU over 1, 5 and 15 minutes",
                         demand->load1_permille / 1000, demand->load1_permille % 1000 / 10,
                         demand->load5_permille / 1000, demand->load5_permille % 1000 / 10,
                         demand->load15_permille / 1000, demand->load15_permille % 1000 / 10);
  g_string_append_printf(text, ", %u %% of what it should have unused", demand->free_permille / 10);
  if (demand->change_kib)
    g_string_append_printf(text, "; last " CAGMA_MIB_FORMAT " were %s",
                           cagma_mib((uint64_t)ABS(demand->change_kib)),
                           demand->change_kib > 0 ? "added" : "removed");
  g_string_append_printf(text, "; looked at again in %" PRId64 " s",
                         (demand->wait_us + CAGMA_SECOND_US - 1) / CAGMA_SECOND_US);
}

const CagmaEstimator cagma_estimator_loadavg = {
  .needs_figures = TRUE,
  .tick = tick,
  .learn = learn,
  .estimate = estimate,
  .explain = explain,
};
