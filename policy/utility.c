/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/utility.h"

#include "policy/decision.h"
#include "policy/missratio.h"
#include "policy/units.h"

__extension__ typedef unsigned __int128 Wide;

/* λ, a slope: saved misses × shares for a KiB, in 1/1024. */
#define SLOPE_ONE 1024

/* A point of a curve, and how far a walk down its hull has come. */
typedef struct {
  uint64_t size_kib;
  uint64_t misses_kib;
} Point;

typedef struct {
  const CagmaClaim *claim;
  const CagmaMissratio *curve; /* NULL: a straight line */
  uint64_t corners;            /* bit i: the hull has a corner at i buckets, still ahead */
  Point at;
} Walk;

/* The curve that says what the claim's domain misses, or NULL. */
static const CagmaMissratio *
curve_of(const CagmaDomain *domain)
{
  if (domain->config.estimator != CAGMA_ESTIMATOR_MISSRATIO || !domain->missratio.has_curve ||
      domain->emergency || domain->regain_kib)
    return NULL;
  return &domain->missratio;
}

static Point
point(const CagmaClaim *claim, const CagmaMissratio *curve, uint64_t size_kib)
{
  uint64_t misses_kib =
      curve ? cagma_missratio_misses(curve, size_kib) : cagma_above(cagma_claim_ceiling(claim), size_kib);

  return (Point){ .size_kib = size_kib, .misses_kib = misses_kib };
}

/* Whether b lies on or above the line from a to c: no corner of the lower hull. */
static gboolean
is_above(Point a, Point b, Point c)
{
  return (Wide)(a.misses_kib - b.misses_kib) * (c.size_kib - b.size_kib) <=
         (Wide)(b.misses_kib - c.misses_kib) * (b.size_kib - a.size_kib);
}

/* The corners of the hull between the claim's floor and its ceiling, as bits: the ends of
 * buckets, less those that a later point makes no corner. */
static uint64_t
find_corners(const CagmaClaim *claim, const CagmaMissratio *curve)
{
  const Point end = point(claim, curve, cagma_claim_ceiling(claim));
  Point hull[CAGMA_REUSE_BUCKETS + 1];
  uint64_t corners = 0, i;
  size_t n = 0;

  hull[n++] = point(claim, curve, cagma_claim_floor(claim));
  for (i = hull[0].size_kib / curve->bucket_kib + 1; i < CAGMA_REUSE_BUCKETS; i++) {
    Point next = point(claim, curve, i * curve->bucket_kib);

    if (next.size_kib >= end.size_kib)
      break;
    while (n > 1 && is_above(hull[n - 2], hull[n - 1], next))
      n--;
    hull[n++] = next;
  }
  while (n > 1 && is_above(hull[n - 2], hull[n - 1], end))
    n--;
  while (n-- > 1)
    corners |= (uint64_t)1 << (hull[n].size_kib / curve->bucket_kib);
  return corners;
}

static Walk
begin_walk(const CagmaHost *host, const CagmaAllocation *allocation, size_t i)
{
  const CagmaClaim *claim = &allocation->claims[i];
  const CagmaMissratio *curve = curve_of(host->domains[allocation->claimants[i]]);

  return (Walk){
    .claim = claim,
    .curve = curve,
    .corners = claim->corners,
    .at = point(claim, curve, cagma_claim_floor(claim)),
  };
}

/* The next corner, or the ceiling. FALSE where the walk is over. */
static gboolean
look_ahead(const Walk *walk, Point *next)
{
  uint64_t ceiling_kib = cagma_claim_ceiling(walk->claim);

  if (walk->at.size_kib >= ceiling_kib)
    return FALSE;
  if (walk->curve && walk->corners)
    *next =
        point(walk->claim, walk->curve, (uint64_t)__builtin_ctzll(walk->corners) * walk->curve->bucket_kib);
  else
    *next = point(walk->claim, walk->curve, ceiling_kib);
  return TRUE;
}

static void
go_on(Walk *walk, Point next)
{
  walk->at = next;
  walk->corners &= walk->corners - 1;
}

/* Whether the way down to there is steeper than that slope. */
static gboolean
is_steeper(const Walk *walk, Point next, Wide slope)
{
  return (Wide)(walk->at.misses_kib - next.misses_kib) * walk->claim->shares * SLOPE_ONE >
         (Wide)(next.size_kib - walk->at.size_kib) * slope;
}

/* Where the walk leads as long as it is steeper than that slope. */
static uint64_t
walk_down(Walk *walk, Wide slope)
{
  Point next;

  while (look_ahead(walk, &next) && is_steeper(walk, next, slope))
    go_on(walk, next);
  return walk->at.size_kib;
}

static uint64_t
total_at_slope(const CagmaHost *host, const CagmaAllocation *allocation, Wide slope)
{
  uint64_t total_kib = 0;

  for (size_t i = 0; i < allocation->n; i++) {
    Walk walk = begin_walk(host, allocation, i);

    total_kib += walk_down(&walk, slope);
  }
  return total_kib;
}

/* No hull is steeper than that. */
static Wide
steepest(const CagmaHost *host, const CagmaAllocation *allocation)
{
  Wide highest = 0;

  for (size_t i = 0; i < allocation->n; i++) {
    Walk walk = begin_walk(host, allocation, i);
    Point next;

    if (look_ahead(&walk, &next))
      highest = MAX(highest, (Wide)(walk.at.misses_kib - next.misses_kib) * walk.claim->shares * SLOPE_ONE /
                                 (next.size_kib - walk.at.size_kib));
  }
  return highest + 1;
}

/* The least slope at which what is steeper fits. */
static Wide
fitting_slope(const CagmaHost *host, const CagmaAllocation *allocation, uint64_t capacity_kib)
{
  Wide low = 0, high = steepest(host, allocation);

  while (low < high) {
    Wide middle = low + (high - low) / 2;

    if (total_at_slope(host, allocation, middle) <= capacity_kib)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* How much further the walk leads where it is as steep as that slope, which is to say
 * steeper than the next lower one there is. */
static uint64_t
walk_on(Walk *walk, Wide slope)
{
  uint64_t from_kib = walk->at.size_kib;

  return (slope ? walk_down(walk, slope - 1) : cagma_claim_ceiling(walk->claim)) - from_kib;
}

static void
hand_out(const CagmaHost *host, CagmaAllocation *allocation, uint64_t capacity_kib)
{
  Wide slope = fitting_slope(host, allocation, capacity_kib);
  uint64_t left_kib = capacity_kib, as_steep_kib = 0;

  for (size_t i = 0; i < allocation->n; i++) {
    Walk walk = begin_walk(host, allocation, i);

    left_kib -= walk_down(&walk, slope);
    as_steep_kib += walk_on(&walk, slope);
  }
  for (size_t i = 0; i < allocation->n; i++) {
    Walk walk = begin_walk(host, allocation, i);
    uint64_t steeper_kib = walk_down(&walk, slope), more_kib = walk_on(&walk, slope);

    if (as_steep_kib > left_kib)
      more_kib = (uint64_t)((Wide)more_kib * left_kib / as_steep_kib);
    allocation->claims[i].entitled_kib = steeper_kib + more_kib;
  }
}

/* On top of what those need that grow: slack in proportion to demand. */
static void
add_slack(const CagmaHost *host, CagmaAllocation *allocation)
{
  int64_t slack_kib = MIN(allocation->in_hand_kib - (int64_t)allocation->pool_kib, allocation->expected_kib);
  uint64_t demand_kib = 0;

  for (size_t i = 0; i < allocation->n; i++) {
    slack_kib -= (int64_t)cagma_claim_need(&allocation->claims[i]);
    demand_kib += allocation->claims[i].demand_kib;
  }
  if (slack_kib <= 0)
    return;
  for (size_t i = 0; i < allocation->n; i++) {
    CagmaClaim *claim = &allocation->claims[i];
    uint64_t limit_kib = host->domains[allocation->claimants[i]]->config.limit_kib;

    if (cagma_claim_need(claim) && claim->shares)
      claim->entitled_kib = cagma_min_kib(
          claim->entitled_kib + (uint64_t)((Wide)claim->demand_kib * (uint64_t)slack_kib / demand_kib),
          limit_kib);
  }
}

static CagmaFit
allocate(CagmaHost *host, CagmaAllocation *allocation, int64_t now_us)
{
  gboolean reclaim = host->surplus == CAGMA_SURPLUS_RECLAIM;
  uint64_t capacity_kib;
  CagmaFit fit = cagma_allocate_by_need(allocation->claims, allocation->n, allocation->expected_kib, reclaim,
                                        &capacity_kib, &allocation->shortfall_kib);

  (void)now_us;
  if (fit == CAGMA_FIT_EASY && !reclaim)
    add_slack(host, allocation);
  if (fit != CAGMA_FIT_SHARED)
    return fit;
  for (size_t i = 0; i < allocation->n; i++) {
    const CagmaMissratio *curve = curve_of(host->domains[allocation->claimants[i]]);

    allocation->claims[i].corners = curve ? find_corners(&allocation->claims[i], curve) : 0;
  }
  hand_out(host, allocation, capacity_kib);
  return fit;
}

static void
explain(GString *text, const CagmaDecision *decision)
{
  if (decision->entitled_kib)
    g_string_append_printf(text, ". Its misses counting %u times, it is entitled to " CAGMA_MIB_FORMAT,
                           decision->shares, cagma_mib(decision->entitled_kib));
}

const CagmaAllocator cagma_allocator_utility = {
  .name = "utility",
  .allocate = allocate,
  .rule = "guarantees first, the rest where it saves most misses",
  .explain = explain,
};
