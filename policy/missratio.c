/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/missratio.h"

#include <string.h>

#include "policy/units.h"

__extension__ typedef unsigned __int128 Wide;

/* miss(i × bucket). */
static uint64_t
miss_at(const CagmaMissratio *state, size_t i)
{
  return i < CAGMA_REUSE_BUCKETS ? state->miss_kib[i] : 0;
}

void
cagma_missratio_feed(CagmaDomain *domain, const CagmaReuse *reuse, int64_t now_us)
{
  CagmaMissratio *state = &domain->missratio;
  uint64_t sum_kib = 0;
  CagmaReuse own;

  cagma_reuse_init(&own, domain->max_kib);
  if (reuse->bucket_kib != own.bucket_kib)
    return;
  if (state->bucket_kib != own.bucket_kib)
    memset(state->miss_kib, 0, sizeof state->miss_kib);
  state->bucket_kib = own.bucket_kib;
  state->fed_us = now_us;
  for (size_t i = CAGMA_REUSE_BUCKETS; i-- > 0;) {
    sum_kib = cagma_min_kib(sum_kib + cagma_min_kib(reuse->kib[i], CAGMA_MAX_KIB), CAGMA_MAX_KIB);
    state->miss_kib[i] = cagma_min_kib(state->miss_kib[i] + sum_kib, CAGMA_MAX_KIB);
  }
}

uint64_t
cagma_missratio_misses(const CagmaMissratio *state, uint64_t size_kib)
{
  /* A record may say that there's a curve where there's none. */
  uint64_t i = state->bucket_kib ? size_kib / state->bucket_kib : CAGMA_REUSE_BUCKETS;
  uint64_t from_kib, fallen_kib;

  if (i >= CAGMA_REUSE_BUCKETS)
    return 0;
  from_kib = miss_at(state, i);
  fallen_kib = from_kib - miss_at(state, i + 1);
  return from_kib - (uint64_t)((Wide)fallen_kib * (size_kib % state->bucket_kib) / state->bucket_kib);
}

/* The least m with MRC(m) ≤ 5 %. */
static uint64_t
least_size(const CagmaMissratio *state)
{
  uint64_t allowed_kib = cagma_permille(miss_at(state, 0), CAGMA_MISSRATIO_MISSES_PERMILLE);
  uint64_t fall_kib, part_kib;
  size_t i = 1;

  while (miss_at(state, i) > allowed_kib)
    i++;
  fall_kib = miss_at(state, i - 1) - miss_at(state, i);
  part_kib =
      (uint64_t)(((Wide)(miss_at(state, i - 1) - allowed_kib) * state->bucket_kib + fall_kib - 1) / fall_kib);
  return (i - 1) * state->bucket_kib + part_kib;
}

static void
follow_curve(CagmaMissratio *state, gboolean epoch_ends)
{
  uint64_t least_kib = least_size(state), size_kib = state->size_kib;
  uint64_t band_kib = cagma_permille(size_kib, CAGMA_MISSRATIO_DEADBAND_PERMILLE);

  state->probe = CAGMA_PROBE_NONE;
  if (least_kib > size_kib + band_kib)
    state->size_kib = least_kib;
  else if (epoch_ends && least_kib + band_kib < size_kib)
    state->size_kib =
        cagma_max_kib(least_kib, size_kib - cagma_permille(size_kib, CAGMA_MISSRATIO_FALL_PERMILLE));
}

static uint64_t
since(const CagmaDomain *domain, uint32_t counter, uint64_t now, uint64_t before)
{
  return domain->has_counters & domain->missratio.has_counters & counter ? cagma_above(now, before) : 0;
}

/* Whether what the guest counted in the epoch says that it has too little. */
static gboolean
misses_rose(CagmaDomain *domain)
{
  CagmaMissratio *state = &domain->missratio;
  uint64_t before_kib = state->reread_kib;
  uint64_t swapped_kib = since(domain, CAGMA_HAS_SWAP, domain->swap_in_kib, state->swap_in_kib);
  uint64_t faulted_kib =
      since(domain, CAGMA_HAS_FAULTS, domain->major_faults, state->major_faults) * CAGMA_PAGE_KIB;
  uint64_t refaulted_kib =
      since(domain, CAGMA_HAS_REFAULT, domain->refault_file_kib, state->refault_file_kib);

  state->reread_kib = cagma_max_kib(refaulted_kib, cagma_above(faulted_kib, swapped_kib));
  state->missed_kib = swapped_kib + state->reread_kib;
  return swapped_kib >= CAGMA_PROBE_SWAPPED_KIB ||
         (state->reread_kib >= CAGMA_PROBE_REREAD_KIB && state->reread_kib >= 2 * before_kib);
}

static void
probe(CagmaDomain *domain)
{
  CagmaMissratio *state = &domain->missratio;
  uint64_t standing_kib = cagma_domain_standing(domain);
  uint64_t ahead_kib =
      cagma_max_kib(cagma_permille(standing_kib, CAGMA_PROBE_AHEAD_PERMILLE), CAGMA_PROBE_AHEAD_KIB);
  gboolean comparable = state->source == domain->source;

  state->probe = CAGMA_PROBE_HOLD;
  if (comparable && misses_rose(domain)) {
    state->probe = CAGMA_PROBE_BACK;
    state->size_kib = cagma_max_kib(state->size_kib,
                                    standing_kib + cagma_permille(standing_kib, CAGMA_PROBE_BACK_PERMILLE));
    state->hold = CAGMA_PROBE_HOLD_EPOCHS;
  } else if (state->hold) {
    state->hold--;
  } else if (comparable && state->size_kib + ahead_kib > standing_kib) {
    state->probe = CAGMA_PROBE_DOWN;
    state->size_kib -= cagma_permille(state->size_kib, CAGMA_PROBE_DOWN_PERMILLE);
  }
}

static void
begin_epoch(CagmaDomain *domain, int64_t now_us)
{
  CagmaMissratio *state = &domain->missratio;

  state->epoch_us = now_us;
  state->source = domain->source;
  state->has_counters = domain->has_counters;
  state->swap_in_kib = domain->swap_in_kib;
  state->refault_file_kib = domain->refault_file_kib;
  state->major_faults = domain->major_faults;
  for (size_t i = 0; i < CAGMA_REUSE_BUCKETS; i++)
    state->miss_kib[i] /= 2;
}

/* What it is left whatever the misses. */
static uint64_t
least_left(const CagmaDomain *domain)
{
  gboolean swaps = domain->swap_out_kib > 0 || domain->swap_used_kib > 0 || domain->swap_total_kib > 0;

  return swaps && !domain->emergency ? 0 : domain->used_kib + cagma_headroom(domain);
}

static void
bound(CagmaDomain *domain)
{
  const CagmaConfig *config = &domain->config;
  CagmaMissratio *state = &domain->missratio;

  if (domain->emergency)
    state->hold = CAGMA_PROBE_HOLD_EPOCHS;
  state->size_kib = cagma_max_kib(state->size_kib, least_left(domain));
  state->size_kib = cagma_clamp_kib(state->size_kib, config->guarantee_kib, config->limit_kib);
}

static void
tick(CagmaDomain *domain, int64_t now_us)
{
  CagmaMissratio *state = &domain->missratio;
  const int64_t stale_us = CAGMA_MISSRATIO_STALE_EPOCHS * CAGMA_MISSRATIO_EPOCH_US;
  gboolean epoch_ends = now_us - state->epoch_us >= CAGMA_MISSRATIO_EPOCH_US;

  state->has_curve = state->bucket_kib && now_us - state->fed_us <= stale_us &&
                     miss_at(state, 0) >= CAGMA_MISSRATIO_LEAST_KIB;
  if (!domain->has_figures)
    return;
  /* What it should have had long ago, before another estimator took over, is void. */
  if (!state->size_kib || now_us - state->ticked_us > stale_us) {
    state->size_kib = cagma_domain_standing(domain);
    state->probe = CAGMA_PROBE_HOLD;
    state->hold = 0;
    begin_epoch(domain, now_us);
    epoch_ends = FALSE;
  }
  state->ticked_us = now_us;

  if (state->has_curve)
    follow_curve(state, epoch_ends);
  else if (epoch_ends)
    probe(domain);
  bound(domain);
  if (epoch_ends)
    begin_epoch(domain, now_us);
}

static void
estimate(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand)
{
  const CagmaMissratio *state = &domain->missratio;

  (void)horizon_us;
  demand->headroom_kib = demand->critical_kib = cagma_headroom(domain);
  demand->demand_kib = state->size_kib ? state->size_kib : cagma_domain_standing(domain);
  demand->demand_kib = cagma_max_kib(demand->demand_kib, least_left(domain));
  demand->probe = state->has_curve ? CAGMA_PROBE_NONE : state->probe;
  demand->hold = state->hold;
  demand->missed_kib =
      state->has_curve ? cagma_missratio_misses(state, demand->demand_kib) : state->missed_kib;
  demand->touched_kib = state->has_curve ? miss_at(state, 0) : 0;
}

static void
explain(GString *text, const CagmaDemand *demand)
{
  if (demand->touched_kib) {
    g_string_append_printf(text,
                           "of " CAGMA_MIB_FORMAT " touched again lately it would miss " CAGMA_MIB_FORMAT
                           " with what it should have",
                           cagma_mib(demand->touched_kib), cagma_mib(demand->missed_kib));
    return;
  }
  g_string_append_printf(text, "no source tells what it touches, so misses are probed for: ");
  g_string_append_printf(text, CAGMA_MIB_FORMAT " read back in the last epoch, ",
                         cagma_mib(demand->missed_kib));
  if (demand->probe == CAGMA_PROBE_BACK)
    g_string_append(text, "so it is given back a little");
  else if (demand->probe == CAGMA_PROBE_DOWN)
    g_string_append(text, "so it should have a little less");
  else if (demand->hold)
    g_string_append_printf(text, "next step down in %" PRId64 " s",
                           demand->hold * (CAGMA_MISSRATIO_EPOCH_US / CAGMA_SECOND_US));
  else
    g_string_append(text, "next step down once the last one has been made");
}

const CagmaEstimator cagma_estimator_missratio = {
  .needs_figures = TRUE,
  .tick = tick,
  .estimate = estimate,
  .explain = explain,
};
