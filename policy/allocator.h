/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* Who gets what when it does not all fit? */

/* One domain's claim, in and out. Sizes in KiB, limits already applied:
 * guarantee ≤ demand ≤ limit. */
typedef struct {
  uint64_t standing_kib; /* what it has, or is on its way to */
  uint64_t guarantee_kib;
  uint64_t demand_kib;
  uint32_t shares;
  gboolean may_grow;
  gboolean may_shrink;   /* can give at all … */
  gboolean ready;        /* … and give now: its last move is over, and what it did has been seen */
  uint64_t entitled_kib; /* out: what it should have */
} CagmaClaim;

typedef enum {
  CAGMA_FIT_EASY,   /* memory in hand meets every demand */
  CAGMA_FIT_TAKE,   /* every demand is met once others gave what they don't need */
  CAGMA_FIT_SHARED, /* not every demand can be met: guarantees, then by shares */
  CAGMA_FIT_SHORT,  /* not even the guarantees fit */
  CAGMA_FIT_QUEUE,  /* `queue`: some wait, or release */
} CagmaFit;

/* The `shares` allocator: guarantee first, then demand by shares.
 *
 * in_hand_kib may be negative: more is promised than there is. With reclaim,
 * memory nobody needs goes back to the host; without, it stays where it is until
 * somebody needs it.
 *
 *   EASY    entitled = demand for growers; others keep what they have (or, with
 *           reclaim, come down to their demand)
 *   TAKE    what is missing is taken from the donors in proportion to what each
 *           can spare (standing − demand)
 *   SHARED  entitled = min(demand, guarantee + λ × shares), λ such that all of it
 *           is handed out: weighted max-min fairness above the guarantee. One that
 *           isn't ready has its share like all others: were it to keep what it has
 *           for the moment, each cycle would have other shares than the last.
 *   SHORT   entitled = guarantee
 *
 * shortfall_kib: how much the guarantees exceed what there is (0 but for SHORT). */
CagmaFit cagma_allocate_shares(CagmaClaim *claims, size_t n, int64_t in_hand_kib, gboolean reclaim,
                               uint64_t *shortfall_kib);
