/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/estimator.h"

/* The `critical` estimator: the available memory that a guest needs not to swap.
 *
 * Source `deficit`, after Wu & Sun's CAGMA (2017):
 *     CMA    = rate × swap_back + headroom
 *     target = actual + CMA − AVM = used + CMA
 *   headroom = max(64 MiB, configured)
 *   swap_back = what it lately swapped in; and while it has less available than the
 *   headroom, what it lately swapped out, since memory pushed out for lack of room
 *   will be wanted back before anything of it has been swapped in.
 *
 * What would be of use beside, its wish, is served where all demands are:
 *   foreseen   consumption × horizon: what it will have taken up before memory can arrive,
 *              as far as the headroom doesn't cover it
 *   cache      used + AVM + rate × cache_back. Available memory counts the page cache; where
 *              some of it is read again soon after its eviction, all of it is in use.
 * Where not all demands fit, a quarter of the headroom has to do for who has swap to go to:
 * while one guest keeps memory for what may come, another swaps.
 *
 * The other sources, as the original program has it (Eklipsorz/CAGMA: C = 1.1 × S,
 * target + C − AVM):
 *     CMA    = max(rate × S, headroom)
 *     target = actual + CMA − AVM = used + CMA
 *   max       S = footprint of the largest process, as the guest's agent tells
 *   swapping  S = footprint of the process that swaps; 0 where the agent sees none
 *   sum       S = used + swapped out (total − available + swap used)
 *   Without an agent S = used + max(0, swapped out − swapped in) by the balloon's
 *   counters, whatever the source: approximated. The headroom is the least since an S
 *   of nothing would let available memory fall to nothing (a defect of the original). */

/* Of the headroom, what it can't do without where it can swap for the rest. */
#define CAGMA_BARE_HEADROOM_PERMILLE 250

/* Foreseen consumption asks at most for this part of the domain's own size at
 * once: a burst is not a trend. */
#define CAGMA_FORESEEN_MAX_PERMILLE 500

/* Page cache that came back lately, below which it says nothing. */
#define CAGMA_CACHE_BACK_MIN_KIB CAGMA_MIB(4)

/* Beyond this a rate says nothing of what will be taken up. */
#define CAGMA_HORIZON_MAX_MS ((int64_t)60 * 1000)

extern const CagmaEstimator cagma_estimator_critical;
