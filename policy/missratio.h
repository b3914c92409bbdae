/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/estimator.h"

/* The `missratio` estimator, after VMMB (balancing for unmodified guests): how much of what
 * the domain touches it would have to fetch from a disk if it had m, and the least m where
 * that is little.
 *
 *     miss(m) = what was touched again at a reuse distance ≥ m (CagmaReuse), halved each
 *               epoch of 10 s
 *     MRC(m)  = miss(m) / miss(0)
 *     size    = least m with MRC(m) ≤ 5 %, in straight lines between the buckets' ends
 *
 * A size within 2 % of the last one is the last one. It grows at once, and falls by an
 * eighth an epoch at most (VMMB: 10–15 %): an epoch in which little was touched is no
 * evidence yet.
 *
 * Where no source tells reuse distances, misses are probed for, epoch by epoch, with what
 * the guest counts: swap-in, and reread, the larger of refaults of files and of major faults
 * that aren't swap-ins.
 *
 *     2 MiB swapped in, or 8 MiB reread and twice as much as in the epoch before:
 *         size = 107.5 % of what it has, held for 6 epochs
 *     else size −= 1.5 %, as long as it is less than 6 % (or 32 MiB) below what it has: the
 *         effect of the last step has to be seen
 *
 * Either way a guest that has never swapped anything, nor told of swap, is left what it uses
 * and the headroom: it may have none to go to. The critical amount is the configured headroom; in an
 * emergency the size becomes at least used + critical. */

#define CAGMA_MISSRATIO_EPOCH_US (10 * CAGMA_SECOND_US)
#define CAGMA_MISSRATIO_MISSES_PERMILLE 50
#define CAGMA_MISSRATIO_DEADBAND_PERMILLE 20
#define CAGMA_MISSRATIO_FALL_PERMILLE 125
/* So little was touched that it says nothing. */
#define CAGMA_MISSRATIO_LEAST_KIB CAGMA_MIB(4)
/* So many epochs without a word, and the source is gone. */
#define CAGMA_MISSRATIO_STALE_EPOCHS 3

#define CAGMA_PROBE_DOWN_PERMILLE 15
#define CAGMA_PROBE_BACK_PERMILLE 75
#define CAGMA_PROBE_HOLD_EPOCHS 6
/* Beyond what the plan takes for noise (plan.h). */
#define CAGMA_PROBE_AHEAD_PERMILLE 60
#define CAGMA_PROBE_AHEAD_KIB CAGMA_MIB(32)
#define CAGMA_PROBE_SWAPPED_KIB CAGMA_MIB(2)
#define CAGMA_PROBE_REREAD_KIB CAGMA_MIB(8)

extern const CagmaEstimator cagma_estimator_missratio;

/* Takes in what was touched since the last call. Passed over where its buckets aren't those
 * of the domain's <memory>. */
void cagma_missratio_feed(CagmaDomain *domain, const CagmaReuse *reuse, int64_t now_us);

/* miss(m), KiB an epoch or so: what the domain would miss with size_kib. */
uint64_t cagma_missratio_misses(const CagmaMissratio *state, uint64_t size_kib);
