/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/guard.h"

#include <inttypes.h>

#include "policy/floor.h"
#include "policy/units.h"

G_DEFINE_QUARK(cagma_guard_error_quark, cagma_guard_error)

static gboolean
refuse(GError **error, CagmaGuardError code, const CagmaStep *step, const char *what, uint64_t bound_kib)
{
  g_set_error(error, CAGMA_GUARD_ERROR, code, "domain %zu, target %" PRIu64 " KiB: %s %" PRIu64 " KiB",
              step->domain, step->target_kib, what, bound_kib);
  return FALSE;
}

/* What the domain must be taken to hold once its target is target_kib. */
static uint64_t
holds(const CagmaDomain *d, uint64_t target_kib)
{
  uint64_t most = target_kib;

  /* Bounded by its hypervisor, which does as it was last asked. */
  if (d->cap_kib) {
    if (d->actual_kib > most)
      most = d->actual_kib;
    return d->cap_kib > most ? d->cap_kib : most;
  }
  if (!d->managed || d->config.mode != CAGMA_MODE_ENFORCE || !d->settled || d->distrusted || d->pinned ||
      !target_kib)
    return d->max_kib;
  if (d->actual_kib > most)
    most = d->actual_kib;
  if (d->rss_kib > d->overhead_kib && d->rss_kib - d->overhead_kib > most)
    most = d->rss_kib - d->overhead_kib;
  return most < d->max_kib ? most : d->max_kib;
}

static int64_t
in_hand(const CagmaHost *host)
{
  int64_t left = host->budget == CAGMA_BUDGET_FIXED
                     ? (int64_t)host->budget_kib
                     : (int64_t)host->available_kib - (int64_t)host->merged_kib;

  left -= (int64_t)host->reserve_kib + (int64_t)host->incoming_kib;
  for (size_t i = 0; i < host->n_domains; i++) {
    const CagmaDomain *d = host->domains[i];
    int64_t held = (int64_t)holds(d, d->target_kib);

    if (host->budget == CAGMA_BUDGET_AUTO)
      held = MAX(held + (int64_t)d->overhead_kib - (int64_t)d->rss_kib, 0);
    left -= held;
  }
  return left;
}

/* What a guest that nothing else protects can't do without, by its own figures. */
static uint64_t
vital(const CagmaDomain *d)
{
  uint64_t needs = d->used_kib, goes = 0;

  /* What it was given since it told of these may be in use. */
  if (d->actual_kib > d->available_kib)
    needs = MAX(needs, d->actual_kib - d->available_kib);
  needs += CAGMA_FLOOR_MARGIN_KIB;
  if (d->swap_total_kib > d->swap_used_kib)
    goes = MIN(d->swappable_kib, d->swap_total_kib - d->swap_used_kib) / 2;
  return goes < needs ? needs - goes : 0;
}

static gboolean
check_step(const CagmaDomain *d, const CagmaStep *step, int64_t now_us, GError **error)
{
  uint64_t asked = step->target_kib;
  uint64_t stood = d->actual_kib > d->target_kib ? d->actual_kib : d->target_kib;
  /* Asking a shrink under way to go less far takes nothing. */
  gboolean eases = d->move == CAGMA_MOVE_SHRINK && asked >= d->target_kib;

  if (!d->managed || d->config.mode != CAGMA_MODE_ENFORCE || d->hold || d->unresponsive || d->distrusted ||
      !d->settled)
    return refuse(error, CAGMA_GUARD_ERROR_REACH, step, "hands are off this domain, which stands at", stood);
  if (asked > d->config.limit_kib || asked > d->max_kib)
    return refuse(error, CAGMA_GUARD_ERROR_LIMIT, step, "above the limit of",
                  MIN(d->config.limit_kib, d->max_kib));
  if (!asked || (asked < stood && asked < d->config.guarantee_kib))
    return refuse(error, CAGMA_GUARD_ERROR_FLOOR, step, "below the guarantee of", d->config.guarantee_kib);
  if (asked < d->actual_kib && !eases && !(cagma_domain_fresh(d, now_us) && cagma_domain_seen_since_move(d)))
    return refuse(error, CAGMA_GUARD_ERROR_BLIND, step, "no recent figures, so it must keep its",
                  d->actual_kib);
  if (d->yields && asked < d->actual_kib && !eases && asked < vital(d))
    return refuse(error, CAGMA_GUARD_ERROR_FLOOR, step, "below what its guest can't do without,", vital(d));
  return TRUE;
}

gboolean
cagma_guard_check(const CagmaHost *host, const CagmaPlan *plan, int64_t now_us, GError **error)
{
  int64_t left = in_hand(host);

  for (size_t i = 0; i < plan->n_steps; i++) {
    const CagmaStep *step = &plan->steps[i];
    const CagmaDomain *d;
    uint64_t before, after;

    if (step->domain >= host->n_domains)
      return refuse(error, CAGMA_GUARD_ERROR_REACH, step, "no such domain; size", 0);
    if (plan->decisions[step->domain].target_kib != step->target_kib)
      return refuse(error, CAGMA_GUARD_ERROR_TWICE, step,
                    "not what was decided:", plan->decisions[step->domain].target_kib);

    d = host->domains[step->domain];
    if (!check_step(d, step, now_us, error))
      return FALSE;
    before = holds(d, d->target_kib);
    after = holds(d, step->target_kib);
    if (after <= before)
      continue;
    left -= (int64_t)(after - before);
    if (left < 0)
      return refuse(error, CAGMA_GUARD_ERROR_IN_HAND, step, "more than is in hand, by", (uint64_t)-left);
  }
  return TRUE;
}
