/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/estimator.h"

/* The `loadavg` estimator, after Baruchi & Midorikawa's adaptive memory for Xen: the load
 * of 1 minute says whether memory is to be added or removed, free memory and the loads of 5
 * and 15 minutes say how much, and a grace period follows each change, longer for a larger
 * one. Their text names no numbers; these are ours. Every 5 s, outside grace:
 *
 *     l1 > 0.8 and f < 0.20: add 256 MiB if f < 0.08 or (l5 > 1 and l15 > 0.8), else 64 MiB
 *     l1 < 0.4 and f > 0.35: remove 128 MiB if f > 0.60 and max(l5, l15) < 0.4, else 32 MiB,
 *                            but no more than leaves f ≥ 0.15
 *     grace = clamp(10 + 50 × (amount / 256 MiB) × min(1, f / 0.20), 10, 120) s, twice that
 *             after a removal
 *
 * l: load average a vCPU, as the guest's agent tells. f: free part of the size that the
 * domain should have, (size − used) / size, and not of the one it happens to have: what
 * waits for memory, or for somebody to want what it can spare, isn't asked for again.
 *
 * Without recent loads it stays where it is. The critical amount is the configured
 * headroom; in an emergency the size becomes at least used + critical. */

#define CAGMA_LOADAVG_LOOK_US (5 * CAGMA_SECOND_US)

/* An average of one minute says nothing of now after as long. */
#define CAGMA_LOADAVG_STALE_US (60 * CAGMA_SECOND_US)

#define CAGMA_LOADAVG_BUSY_PERMILLE 800
#define CAGMA_LOADAVG_LONG_BUSY_PERMILLE 1000 /* of 5 minutes; with BUSY of 15 */
#define CAGMA_LOADAVG_IDLE_PERMILLE 400
#define CAGMA_LOADAVG_LITTLE_PERMILLE 200
#define CAGMA_LOADAVG_LEAST_PERMILLE 80
#define CAGMA_LOADAVG_MUCH_PERMILLE 350
#define CAGMA_LOADAVG_MOST_PERMILLE 600
#define CAGMA_LOADAVG_KEEP_PERMILLE 150

#define CAGMA_LOADAVG_ADD_MUCH_KIB CAGMA_MIB(256)
#define CAGMA_LOADAVG_ADD_KIB CAGMA_MIB(64)
#define CAGMA_LOADAVG_REMOVE_MUCH_KIB CAGMA_MIB(128)
#define CAGMA_LOADAVG_REMOVE_KIB CAGMA_MIB(32)

#define CAGMA_LOADAVG_GRACE_US (10 * CAGMA_SECOND_US)
#define CAGMA_LOADAVG_GRACE_MORE_US (50 * CAGMA_SECOND_US)
#define CAGMA_LOADAVG_GRACE_MAX_US (120 * CAGMA_SECOND_US)

extern const CagmaEstimator cagma_estimator_loadavg;
