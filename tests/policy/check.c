/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include <inttypes.h>

#include "policy/guard.h"

/* The design's charge, by the test's own figures. */
static int64_t
charged(const ModelGuest *guest, uint64_t target_kib)
{
  const CagmaDomain *domain = &guest->domain;
  int64_t resident_kib = (int64_t)guest->told_rss_kib - (int64_t)domain->overhead_kib;
  int64_t most_kib = MAX((int64_t)target_kib, (int64_t)guest->told_actual_kib);

  if (guest->told_cap_kib)
    return MAX(most_kib, (int64_t)guest->told_cap_kib);
  if (!domain->managed || domain->config.mode != CAGMA_MODE_ENFORCE)
    return (int64_t)domain->max_kib;
  if (!domain->settled || domain->distrusted || target_kib == 0)
    return (int64_t)domain->max_kib;
  return MIN(MAX(most_kib, resident_kib), (int64_t)domain->max_kib);
}

static int64_t
weight(const Model *model, const ModelGuest *guest)
{
  int64_t held_kib = charged(guest, guest->called_kib);

  if (model->host.budget == CAGMA_BUDGET_AUTO)
    held_kib = MAX(held_kib + (int64_t)guest->domain.overhead_kib - (int64_t)guest->told_rss_kib, 0);
  return held_kib;
}

int64_t
check_left(const Model *model)
{
  const CagmaHost *host = &model->host;
  int64_t left_kib = host->budget == CAGMA_BUDGET_FIXED
                         ? (int64_t)host->budget_kib
                         : (int64_t)host->available_kib - (int64_t)host->merged_kib;

  left_kib -= (int64_t)host->reserve_kib + (int64_t)host->incoming_kib;
  for (size_t i = 0; i < model->n; i++)
    left_kib -= weight(model, &model->guests[i]);
  return left_kib;
}

static gboolean
may_be_shrunk(const Model *model, const ModelGuest *guest)
{
  int64_t most_us = MAX(4 * guest->domain.report_period_us, 10 * CAGMA_SECOND_US);

  return guest->told_new_us != 0 && guest->told_sane && model->now_us - guest->told_new_us <= most_us;
}

/* Whether a guest that nothing protects would be left what it needs, with what it says could
 * be swapped out of the way. */
static gboolean
survives(const ModelGuest *guest, uint64_t target_kib)
{
  int64_t used_kib = (int64_t)guest->told_actual_kib - (int64_t)guest->told_usable_kib;
  uint64_t swaps_kib = MIN(guest->told_swappable_kib, guest->told_free_swap_kib);

  return (int64_t)target_kib + (int64_t)MIN(swaps_kib / 2, CAGMA_MAX_KIB) >=
         used_kib + (int64_t)CAGMA_MIB(64);
}

const char *
check_call(const Model *model, size_t index, uint64_t target_kib, int64_t *left_kib)
{
  const ModelGuest *guest = &model->guests[index];
  const CagmaDomain *domain = &guest->domain;
  uint64_t highest_kib = MAX(guest->told_actual_kib, guest->called_kib);
  /* Asking a shrink under way to go less far takes nothing. */
  gboolean eases = domain->move == CAGMA_MOVE_SHRINK && target_kib >= guest->called_kib;
  int64_t more_kib = charged(guest, target_kib) - charged(guest, guest->called_kib);

  if (!domain->managed || domain->config.mode != CAGMA_MODE_ENFORCE || domain->hold || domain->unresponsive ||
      domain->distrusted || (guest->bounded && guest->driverless))
    return "a domain that hands are off";
  if (target_kib > domain->config.limit_kib || target_kib > domain->max_kib)
    return "above the limit";
  if (target_kib < highest_kib && target_kib < domain->config.guarantee_kib)
    return "below the guarantee";
  if (target_kib < guest->told_actual_kib && !eases && !may_be_shrunk(model, guest))
    return "a blind shrink";
  if (guest->bounded && target_kib < guest->told_actual_kib && !eases && !survives(guest, target_kib))
    return "a shrink to death";
  if (target_kib == 0)
    return "nothing at all";
  if (more_kib > 0) {
    *left_kib -= more_kib;
    if (*left_kib < 0)
      return "more than is in hand";
  }
  return NULL;
}

void
check_plan(Model *model)
{
  const CagmaPlan *plan = &model->plan;
  int64_t left_kib = check_left(model);
  g_autofree gboolean *seen = g_new0(gboolean, model->n);
  GError *error = NULL;

  for (size_t i = 0; i < plan->n_steps; i++) {
    const CagmaStep *step = &plan->steps[i];
    const char *broken;

    g_assert_cmpuint(step->domain, <, model->n);
    g_assert_false(seen[step->domain]);
    seen[step->domain] = TRUE;
    broken = check_call(model, step->domain, step->target_kib, &left_kib);
    if (broken)
      g_error("seed %u, second %" PRId64 ": domain %zu to %" PRIu64 " KiB (why %d): %s", model->seed,
              model->now_us / CAGMA_SECOND_US - 1000, step->domain, step->target_kib,
              plan->decisions[step->domain].why, broken);
  }
  if (!cagma_guard_check(&model->host, plan, model->now_us, &error))
    g_error("seed %u, second %" PRId64 ": the guard refuses: %s (why %d)", model->seed,
            model->now_us / CAGMA_SECOND_US - 1000, error->message,
            plan->decisions[plan->steps[0].domain].why);
}
