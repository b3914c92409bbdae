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

static uint64_t
level_at(const CagmaVessel *vessel, unsigned bits, uint64_t lambda)
{
  Wide above = (Wide)vessel->weight * lambda >> bits;
  Wide level = vessel->base_kib + above;

  if (level >= vessel->high_kib)
    return cagma_max_kib(vessel->high_kib, vessel->low_kib);
  return cagma_max_kib((uint64_t)level, vessel->low_kib);
}

static uint64_t
total_at(const Row *row, uint64_t lambda)
{
  uint64_t total_kib = 0;

  for (size_t i = 0; i < row->n; i++)
    total_kib += level_at(&row->vessels[i], row->bits, lambda);
  return total_kib;
}

/* The least λ at which every vessel that has a weight is full. */
static uint64_t
highest(const Row *row)
{
  uint64_t highest_lambda = 0;

  for (size_t i = 0; i < row->n; i++) {
    const CagmaVessel *vessel = &row->vessels[i];
    uint64_t lambda;

    if (!takes(vessel))
      continue;
    lambda =
        (uint64_t)(((Wide)cagma_above(vessel->high_kib, vessel->base_kib) << row->bits) / vessel->weight) + 1;
    highest_lambda = lambda > highest_lambda ? lambda : highest_lambda;
  }
  return highest_lambda;
}

/* Where a straight line between the ends comes to the total: exact where no vessel runs full
 * or dry in between. */
static uint64_t
on_the_line(uint64_t low, uint64_t high, uint64_t low_kib, uint64_t high_kib, uint64_t total_kib)
{
  uint64_t rise_kib = cagma_max_kib(high_kib - low_kib, 1);

  return low + 1 + (uint64_t)((Wide)(total_kib - low_kib) * (high - low - 1) / rise_kib);
}

/* Halving and guessing in turns: a guess is mostly far better, and halving keeps one that isn't
 * from taking long. */
static uint64_t
fitting(const Row *row, uint64_t total_kib)
{
  uint64_t low = 0, high = highest(row);
  uint64_t low_kib = total_at(row, low), high_kib = total_at(row, high);

  /* Those without a weight don't fill up. */
  if (high_kib <= total_kib)
    return high;
  /* What's left in the end is less than a KiB for each. */
  for (unsigned pass = 0; high - low > 1 && total_kib - low_kib >= row->n; pass++) {
    uint64_t at = pass % 2 ? low + (high - low) / 2 : on_the_line(low, high, low_kib, high_kib, total_kib);
    uint64_t at_kib = total_at(row, at);

    if (at_kib > total_kib) {
      high = at;
      high_kib = at_kib;
    } else {
      low = at;
      low_kib = at_kib;
    }
  }
  return low;
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
