/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/allocator.h"

#include "policy/config.h"
#include "policy/units.h"

__extension__ typedef unsigned __int128 Wide;

/* λ, what each share is worth, in 1/1024 KiB. */
#define LEVEL_ONE 1024

/* A domain that can't give keeps what it has, whatever it is entitled to. */
static uint64_t
floor_of(const CagmaClaim *claim)
{
  return claim->may_shrink ? claim->guarantee_kib : cagma_max_kib(claim->guarantee_kib, claim->standing_kib);
}

/* And one that can't take is entitled to no more than it has. */
static uint64_t
ceiling_of(const CagmaClaim *claim)
{
  uint64_t demand_kib =
      claim->may_grow ? claim->demand_kib : cagma_min_kib(claim->demand_kib, claim->standing_kib);

  return cagma_max_kib(demand_kib, floor_of(claim));
}

static uint64_t
at_level(const CagmaClaim *claim, uint64_t level)
{
  Wide share = claim->guarantee_kib + (Wide)claim->shares * level / LEVEL_ONE;
  uint64_t ceiling_kib = ceiling_of(claim);

  return share < ceiling_kib ? cagma_max_kib((uint64_t)share, floor_of(claim)) : ceiling_kib;
}

static uint64_t
total_at_level(const CagmaClaim *claims, size_t n, uint64_t level)
{
  uint64_t total = 0;

  for (size_t i = 0; i < n; i++)
    total += at_level(&claims[i], level);
  return total;
}

/* The least level at which everybody has all he asks for. */
static uint64_t
highest_level(const CagmaClaim *claims, size_t n)
{
  uint64_t highest = 0;

  for (size_t i = 0; i < n; i++) {
    uint64_t room_kib = cagma_above(ceiling_of(&claims[i]), claims[i].guarantee_kib);

    if (claims[i].shares)
      highest = cagma_max_kib(highest, room_kib * LEVEL_ONE / claims[i].shares + 1);
  }
  return highest;
}

/* The highest level at which the entitlements fit, by bisection: some 30 passes
 * whatever the number of domains or the shape of their demands. */
static uint64_t
fitting_level(const CagmaClaim *claims, size_t n, uint64_t capacity_kib)
{
  uint64_t low = 0, high = highest_level(claims, n);

  while (low < high) {
    uint64_t middle = low + (high - low + 1) / 2;
    uint64_t total_kib = total_at_level(claims, n, middle);

    if (total_kib > capacity_kib) {
      high = middle - 1;
      continue;
    }
    low = middle;
    /* What's left is less than a KiB for each. */
    if (capacity_kib - total_kib < n)
      break;
  }
  return low;
}

static CagmaFit
share_out(CagmaClaim *claims, size_t n, int64_t capacity_kib, uint64_t *shortfall_kib)
{
  uint64_t floors_kib = 0, level;

  for (size_t i = 0; i < n; i++)
    floors_kib += floor_of(&claims[i]);

  if (capacity_kib < 0 || floors_kib > (uint64_t)capacity_kib) {
    for (size_t i = 0; i < n; i++)
      claims[i].entitled_kib = floor_of(&claims[i]);
    *shortfall_kib = floors_kib - (capacity_kib < 0 ? 0 : (uint64_t)capacity_kib);
    return CAGMA_FIT_SHORT;
  }

  level = fitting_level(claims, n, (uint64_t)capacity_kib);
  for (size_t i = 0; i < n; i++)
    claims[i].entitled_kib = at_level(&claims[i], level);
  return CAGMA_FIT_SHARED;
}

static uint64_t
need_of(const CagmaClaim *claim)
{
  return claim->may_grow ? cagma_above(claim->demand_kib, claim->standing_kib) : 0;
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

CagmaFit
cagma_allocate_shares(CagmaClaim *claims, size_t n, int64_t in_hand_kib, gboolean reclaim,
                      uint64_t *shortfall_kib)
{
  uint64_t need_kib = 0, spare_kib = 0, ready_kib = 0, take_kib;
  int64_t capacity_kib = in_hand_kib;
  CagmaFit fit;

  *shortfall_kib = 0;
  for (size_t i = 0; i < n; i++) {
    need_kib += need_of(&claims[i]);
    spare_kib += spare_of(&claims[i]);
    ready_kib += ready_of(&claims[i]);
    capacity_kib += (int64_t)claims[i].standing_kib;
  }

  take_kib = (int64_t)need_kib > in_hand_kib ? (uint64_t)((int64_t)need_kib - in_hand_kib) : 0;
  if (take_kib > spare_kib)
    return share_out(claims, n, capacity_kib, shortfall_kib);

  /* Donors that aren't ready give later; those that are don't wait for them. */
  fit = take_kib > 0 ? CAGMA_FIT_TAKE : CAGMA_FIT_EASY;
  if (reclaim || take_kib > ready_kib)
    take_kib = ready_kib;
  for (size_t i = 0; i < n; i++) {
    uint64_t ready = ready_of(&claims[i]);
    uint64_t part = ready_kib ? (uint64_t)((Wide)ready * take_kib / ready_kib) : 0;

    claims[i].entitled_kib = claims[i].standing_kib + need_of(&claims[i]) - part;
  }
  return fit;
}
