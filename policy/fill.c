/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/fill.h"

#include <glib.h>

#include "policy/units.h"

__extension__ typedef unsigned __int128 Wide;

/* Vessels, and what λ counts in: 2^−bits KiB for each unit of weight. */
typedef struct {
  const CagmaVessel *vessels;
  size_t n;
  unsigned bits;
} Row;

static gboolean
takes(const CagmaVessel *vessel)
{
  return vessel->weight && vessel->high_kib > vessel->low_kib;
}

/* For the lightest vessel λ counts in 2^−20 KiB, so that it is exact for heavy ones too: at
 * most 2^62, as no size is above CAGMA_MAX_KIB. */
static unsigned
bits_for(const CagmaVessel *vessels, size_t n)
{
  uint64_t least = UINT64_MAX;

  for (size_t i = 0; i < n; i++) {
    if (takes(&vessels[i]))
      least = cagma_min_kib(least, vessels[i].weight);
  }
  return 20 + 63 - (unsigned)__builtin_clzll(least);
}

/* Without branches, which would go either way. */
static uint64_t
level_at(const CagmaVessel *vessel, unsigned bits, uint64_t lambda)
{
  Wide above = (Wide)vessel->weight * lambda >> bits;
  uint64_t level_kib = vessel->base_kib + (uint64_t)MIN(above, (Wide)CAGMA_MAX_KIB);
  uint64_t high_kib = cagma_max_kib(vessel->high_kib, vessel->low_kib);

  return cagma_clamp_kib(level_kib, vessel->low_kib, high_kib);
}

/* What the levels come to at some λ, and the weight of those that aren't full there. */
typedef struct {
  uint64_t lambda;
  uint64_t total_kib;
  uint64_t weight;
} Point;

static Point
look_at(const Row *row, uint64_t lambda)
{
  Point point = { .lambda = lambda };

  for (size_t i = 0; i < row->n; i++) {
    const CagmaVessel *vessel = &row->vessels[i];
    uint64_t level_kib = level_at(vessel, row->bits, lambda);

    point.total_kib += level_kib;
    point.weight += level_kib < vessel->high_kib ? vessel->weight : 0;
  }
  return point;
}

/* No less than the least λ at which every vessel that has a weight is full. */
static uint64_t
highest(const Row *row)
{
  uint64_t most_kib = 0, least_weight = UINT64_MAX;

  for (size_t i = 0; i < row->n; i++) {
    const CagmaVessel *vessel = &row->vessels[i];

    if (!takes(vessel))
      continue;
    most_kib = cagma_max_kib(most_kib, cagma_above(vessel->high_kib, vessel->base_kib));
    least_weight = MIN(least_weight, vessel->weight);
  }
  return (uint64_t)(((Wide)most_kib << row->bits) / least_weight) + 1;
}

/* Where the total is reached if all that aren't full rise and none of them runs full: beyond
 * where it is only by what rounds up. */
static uint64_t
straight_on(const Row *row, const Point *from, uint64_t total_kib)
{
  return from->lambda + 1 +
         (uint64_t)(((Wide)(total_kib - from->total_kib) << row->bits) / MAX(from->weight, 1));
}

/* Newton's steps from below: each comes to the next vessels that run full. Halving each fourth
 * time keeps it from taking long where there are many of those, or some that don't rise yet. */
static uint64_t
fitting(const Row *row, uint64_t total_kib)
{
  Point low = look_at(row, 0), at = look_at(row, highest(row));
  uint64_t high = at.lambda;

  /* Those without a weight don't fill up. */
  if (at.total_kib <= total_kib)
    return high;
  /* What's left in the end is less than a KiB for each. */
  for (unsigned pass = 1; high - low.lambda > 1 && total_kib - low.total_kib >= row->n; pass++) {
    uint64_t next = pass % 4 ? straight_on(row, &low, total_kib) : low.lambda + (high - low.lambda) / 2;

    at = look_at(row, CLAMP(next, low.lambda + 1, high - 1));
    if (at.total_kib > total_kib)
      high = at.lambda;
    else
      low = at;
  }
  return low.lambda;
}

uint64_t
cagma_fill(CagmaVessel *vessels, size_t n, uint64_t total_kib)
{
  uint64_t lows_kib = 0, highs_kib = 0, sum_kib = 0, lambda;
  Row row = { .vessels = vessels, .n = n };

  for (size_t i = 0; i < n; i++) {
    lows_kib += vessels[i].low_kib;
    highs_kib += cagma_max_kib(vessels[i].high_kib, vessels[i].low_kib);
  }
  if (highs_kib <= total_kib || lows_kib >= total_kib) {
    for (size_t i = 0; i < n; i++)
      vessels[i].level_kib = highs_kib <= total_kib ? cagma_max_kib(vessels[i].high_kib, vessels[i].low_kib)
                                                    : vessels[i].low_kib;
    return highs_kib <= total_kib ? highs_kib : lows_kib;
  }

  row.bits = bits_for(vessels, n);
  lambda = fitting(&row, total_kib);
  for (size_t i = 0; i < n; i++) {
    vessels[i].level_kib = level_at(&vessels[i], row.bits, lambda);
    sum_kib += vessels[i].level_kib;
  }
  return sum_kib;
}
