/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/queue.h"

#include <string.h>

#include "policy/decision.h"
#include "policy/shares.h"
#include "policy/units.h"

void
cagma_queue_demand(CagmaDomain *domain, CagmaDemand *demand)
{
  CagmaQueuePlace *place = &domain->queue;
  gboolean swaps = domain->swap_out_kib_per_s > 0 || domain->emergency;

  if (domain->config.estimator != CAGMA_ESTIMATOR_CRITICAL || !domain->has_figures)
    return;
  place->least_kib = demand->headroom_kib;
  if (swaps && domain->available_kib < demand->critical_kib)
    place->critical_kib = demand->critical_kib;
  demand->critical_kib = place->critical_kib;
  demand->demand_kib =
      place->critical_kib ? domain->used_kib + place->critical_kib : cagma_domain_standing(domain);
  demand->wish_kib = 0;
  demand->bare_kib = 0;
  cagma_demand_bound(domain, demand);
}

static uint64_t
mean_of_ring(const CagmaQueuePlace *place)
{
  uint64_t sum_kib = 0;

  for (size_t i = 0; i < CAGMA_QUEUE_RING; i++)
    sum_kib += place->ring[i];
  return sum_kib / CAGMA_QUEUE_RING;
}

uint64_t
cagma_queue_release(CagmaQueuePlace *place, uint64_t surplus_kib, uint64_t available_kib)
{
  uint64_t amount_kib = surplus_kib;

  place->releases++;
  if (place->releases >= CAGMA_QUEUE_RELEASES) {
    uint64_t most_kib = cagma_above(available_kib, place->least_kib);

    amount_kib = cagma_max_kib(surplus_kib, cagma_min_kib(mean_of_ring(place), most_kib));
    if (amount_kib > surplus_kib)
      place->critical_kib = cagma_min_kib(place->critical_kib, available_kib - amount_kib);
  }
  place->ring[place->releases % CAGMA_QUEUE_RING] = amount_kib;
  return amount_kib;
}

static CagmaQueueSet
set_of(const CagmaClaim *claim)
{
  if (claim->standing_kib + CAGMA_REACHED_KIB < claim->demand_kib)
    return CAGMA_QUEUE_ALLOC;
  return claim->standing_kib > claim->demand_kib + CAGMA_REACHED_KIB ? CAGMA_QUEUE_RELEASE
                                                                     : CAGMA_QUEUE_NEITHER;
}

/* Between rounds only a guest's own cry for memory changes its set. */
static void
assign(CagmaHost *host, CagmaQueuePlace *place, const CagmaClaim *claim, gboolean round)
{
  CagmaQueueSet set = set_of(claim);

  if (set == place->set || (!round && set != CAGMA_QUEUE_ALLOC))
    return;
  place->set = set;
  place->ticket = ++host->queue_tickets;
  place->releases = 0;
  memset(place->ring, 0, sizeof place->ring);
}

static uint64_t
need_of(const CagmaDomain *domain, const CagmaClaim *claim)
{
  if (domain->queue.set != CAGMA_QUEUE_ALLOC || !claim->may_grow)
    return 0;
  return cagma_above(claim->demand_kib, claim->entitled_kib);
}

/* What those ask for who joined ALLOC no later than with that ticket. */
static uint64_t
needed_until(const CagmaHost *host, const size_t *claimants, const CagmaClaim *claims, size_t n,
             gboolean emergency, uint64_t ticket)
{
  uint64_t needed_kib = 0;

  for (size_t i = 0; i < n; i++) {
    const CagmaDomain *domain = host->domains[claimants[i]];

    if (domain->emergency == emergency && domain->queue.ticket <= ticket)
      needed_kib += need_of(domain, &claims[i]);
  }
  return needed_kib;
}

/* The highest ticket up to which all can be served, by bisection: no order to keep, no
 * room to sort in. */
static uint64_t
served_until(const CagmaHost *host, const size_t *claimants, const CagmaClaim *claims, size_t n,
             gboolean emergency, uint64_t budget_kib)
{
  uint64_t low = 0, high = host->queue_tickets;

  while (low < high) {
    uint64_t middle = high - (high - low) / 2;

    if (needed_until(host, claimants, claims, n, emergency, middle) <= budget_kib)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

/* Serves ALLOC, who joined first first; the last one served gets what is left. Returns
 * what it leaves. */
static uint64_t
serve(const CagmaHost *host, const size_t *claimants, CagmaClaim *claims, size_t n, gboolean emergency,
      uint64_t budget_kib)
{
  uint64_t last = served_until(host, claimants, claims, n, emergency, budget_kib);
  uint64_t left_kib = budget_kib - needed_until(host, claimants, claims, n, emergency, last);

  for (size_t i = 0; i < n; i++) {
    const CagmaDomain *domain = host->domains[claimants[i]];
    uint64_t need_kib = need_of(domain, &claims[i]);

    if (domain->emergency != emergency)
      continue;
    if (domain->queue.ticket <= last) {
      claims[i].entitled_kib += need_kib;
    } else if (domain->queue.ticket == last + 1) {
      need_kib = cagma_min_kib(need_kib, left_kib);
      claims[i].entitled_kib += need_kib;
      left_kib -= need_kib;
    }
  }
  return left_kib;
}

/* One round of releases. TRUE where there was one. */
static gboolean
release(CagmaHost *host, const size_t *claimants, CagmaClaim *claims, size_t n)
{
  gboolean released = FALSE;

  for (size_t i = 0; i < n; i++) {
    CagmaDomain *domain = host->domains[claimants[i]];
    CagmaClaim *claim = &claims[i];
    uint64_t amount_kib;

    if (domain->queue.set != CAGMA_QUEUE_RELEASE || !claim->ready)
      continue;
    amount_kib =
        cagma_queue_release(&domain->queue, claim->standing_kib - claim->demand_kib, domain->available_kib);
    claim->entitled_kib = cagma_max_kib(cagma_above(claim->standing_kib, amount_kib), claim->guarantee_kib);
    released = TRUE;
  }
  return released;
}

static CagmaFit
allocate(CagmaHost *host, CagmaAllocation *allocation, int64_t now_us)
{
  const size_t *claimants = allocation->claimants;
  CagmaClaim *claims = allocation->claims;
  gboolean round = !host->queue_round_us || now_us - host->queue_round_us >= CAGMA_QUEUE_PERIOD_US;
  uint64_t left_kib = allocation->in_hand_kib > 0 ? (uint64_t)allocation->in_hand_kib : 0;
  gboolean released = FALSE, waiting = FALSE;
  size_t n = allocation->n;

  if ((int64_t)allocation->below_kib > MAX(allocation->expected_kib + (int64_t)allocation->pool_kib, 0))
    return cagma_allocator_shares.allocate(host, allocation, now_us);

  for (size_t i = 0; i < n; i++) {
    assign(host, &host->domains[claimants[i]]->queue, &claims[i], round);
    claims[i].entitled_kib = claims[i].standing_kib;
    if (claims[i].may_grow && claims[i].standing_kib < claims[i].guarantee_kib) {
      left_kib = cagma_above(left_kib, claims[i].guarantee_kib - claims[i].standing_kib);
      claims[i].entitled_kib = claims[i].guarantee_kib;
    }
  }
  if (round) {
    host->queue_round_us = now_us;
    if (allocation->expected_kib < (int64_t)CAGMA_QUEUE_GIVE_KIB)
      released = release(host, claimants, claims, n);
  }

  left_kib = serve(host, claimants, claims, n, TRUE, left_kib);
  serve(host, claimants, claims, n, FALSE, cagma_above(left_kib, allocation->pool_kib));
  for (size_t i = 0; i < n && !waiting; i++)
    waiting = need_of(host->domains[claimants[i]], &claims[i]) > 0;
  return released || waiting ? CAGMA_FIT_QUEUE : CAGMA_FIT_EASY;
}

static void
explain(GString *text, const CagmaDecision *decision)
{
  static const char *const sets[] = {
    [CAGMA_QUEUE_NEITHER] = "it neither asks nor releases",
    [CAGMA_QUEUE_ALLOC] = "it asks for memory",
    [CAGMA_QUEUE_RELEASE] = "it has more than its critical amount",
  };

  if (!decision->queue_critical_kib)
    g_string_append_printf(text, "; it has had no need to swap, so that its critical amount isn't set");
  else
    g_string_append_printf(
        text, "; its critical amount is set to " CAGMA_MIB_FORMAT ", %s, released %u times",
        cagma_mib(decision->queue_critical_kib), sets[CLAMP(decision->queue_set, 0, CAGMA_QUEUE_RELEASE)],
        decision->queue_releases);
}

const CagmaAllocator cagma_allocator_queue = {
  .name = "queue",
  .demand = cagma_queue_demand,
  .allocate = allocate,
  .rule = "those who have waited longest are served first",
  .explain = explain,
};
