/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/allocator.h"

#include "policy/queue.h"
#include "policy/shares.h"
#include "policy/units.h"
#include "policy/utility.h"

__extension__ typedef unsigned __int128 Wide;

static const CagmaAllocator *const allocators[] = {
  [CAGMA_ALLOCATOR_SHARES] = &cagma_allocator_shares,
  [CAGMA_ALLOCATOR_QUEUE] = &cagma_allocator_queue,
  [CAGMA_ALLOCATOR_UTILITY] = &cagma_allocator_utility,
};

const CagmaAllocator *
cagma_allocator_of(CagmaAllocatorKind kind)
{
  return (unsigned int)kind < G_N_ELEMENTS(allocators) ? allocators[kind] : NULL;
}

const CagmaAllocator *
cagma_host_allocator(const CagmaHost *host)
{
  return allocators[cagma_policy_of(host->policy)->allocator];
}

static uint64_t
spare_of(const CagmaClaim *claim)
{
  return claim->may_shrink ? cagma_above(claim->standing_kib, claim->demand_kib) : 0;
}

static uint64_t
ready_of(const CagmaClaim *claim)
{
  return claim->ready ? spare_of(claim) : 0;
}

static CagmaFit
fit_floors(CagmaClaim *claims, size_t n, int64_t capacity_kib, uint64_t *shortfall_kib)
{
  uint64_t floors_kib = 0;

  for (size_t i = 0; i < n; i++)
    floors_kib += cagma_claim_floor(&claims[i]);
  if (capacity_kib >= 0 && floors_kib <= (uint64_t)capacity_kib)
    return CAGMA_FIT_SHARED;

  for (size_t i = 0; i < n; i++)
    claims[i].entitled_kib = cagma_claim_floor(&claims[i]);
  *shortfall_kib = floors_kib - (capacity_kib < 0 ? 0 : (uint64_t)capacity_kib);
  return CAGMA_FIT_SHORT;
}

CagmaFit
cagma_allocate_by_need(CagmaClaim *claims, size_t n, int64_t in_hand_kib, gboolean reclaim,
                       uint64_t *capacity_kib, uint64_t *shortfall_kib)
{
  uint64_t need_kib = 0, spare_kib = 0, ready_kib = 0, take_kib;
  int64_t all_kib = in_hand_kib;
  CagmaFit fit;

  *shortfall_kib = 0;
  for (size_t i = 0; i < n; i++) {
    need_kib += cagma_claim_need(&claims[i]);
    spare_kib += spare_of(&claims[i]);
    ready_kib += ready_of(&claims[i]);
    all_kib += (int64_t)claims[i].standing_kib;
  }
  *capacity_kib = all_kib > 0 ? (uint64_t)all_kib : 0;

  take_kib = (int64_t)need_kib > in_hand_kib ? (uint64_t)((int64_t)need_kib - in_hand_kib) : 0;
  if (take_kib > spare_kib)
    return fit_floors(claims, n, all_kib, shortfall_kib);

  /* Donors that aren't ready give later; those that are don't wait for them. */
  fit = take_kib > 0 ? CAGMA_FIT_TAKE : CAGMA_FIT_EASY;
  if (reclaim || take_kib > ready_kib)
    take_kib = ready_kib;
  for (size_t i = 0; i < n; i++) {
    uint64_t ready = ready_of(&claims[i]);
    uint64_t part = ready_kib ? (uint64_t)((Wide)ready * take_kib / ready_kib) : 0;

    claims[i].entitled_kib = claims[i].standing_kib + cagma_claim_need(&claims[i]) - part;
  }
  return fit;
}
