/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/allocator.h"

/* The `queue` allocator: who gets what as the original CAGMA (Wu & Sun 2017,
 * Eklipsorz/CAGMA) has it, without its defects.
 *
 *     guest, when it swaps: C = rate × S (estimator.h); if AVM < C: CMA = C
 *     AVM < CMA → ALLOC set, AVM > CMA → RELEASE set, equal or CMA unset → neither;
 *     a change of set resets the count of releases and their ring
 *     host, every 3 s, where it can't give, for each in RELEASE:
 *         n += 1 ; a = AVM − CMA
 *         if n ≥ 10: m = mean(last 5 a); if m > a: a = min(m, AVM − least), CMA = AVM − a
 *         target −= a ; ring.push(a)
 *     for each in ALLOC, who waits longest first: target += min(CMA − AVM, in hand)
 *
 * What differs from the original, and why:
 *   - It can give where it has something worth giving, CAGMA_QUEUE_GIVE_KIB, rather
 *     than anything at all; and what is coming from shrinks under way counts, lest it
 *     be asked for twice.
 *   - A guest that swaps sets its CMA also while the host can't give: else nobody
 *     would know that it is short, and it might be made to release.
 *   - A CMA is lowered to the headroom, `least`, and not to nothing.
 *   - ALLOC is served at each decision, emergencies first, not in the order of the
 *     host's list, where the first takes all.
 *   - "Equal" is within CAGMA_REACHED_KIB: a balloon comes no nearer.
 *   - A guest is heard when it swaps or stalls; there when its kswapd wakes.
 *   - Guarantees come first, and where memory in hand doesn't meet them it is left to
 *     `shares`: the queue would ask only those that have a CMA.
 *   - The plan's and the guard's rules hold as for any allocator. */

#define CAGMA_QUEUE_PERIOD_US (3 * CAGMA_SECOND_US)
#define CAGMA_QUEUE_RELEASES 10
#define CAGMA_QUEUE_GIVE_KIB CAGMA_MIB(16)

/* EASY where all have what they ask for and none releases, else QUEUE. */
extern const CagmaAllocator cagma_allocator_queue;

/* The guest's part: sets the domain's CMA where it swaps and lacks memory, and makes
 * the demand what that CMA asks for; what it stands at while there's none. Other
 * estimators' demands, and those without figures, stay as they are. */
void cagma_queue_demand(CagmaDomain *domain, CagmaDemand *demand);

/* One release: counts it, and returns how much, KiB; lowers the CMA where the ring says so.
 * surplus_kib: AVM − CMA. */
uint64_t cagma_queue_release(CagmaQueuePlace *place, uint64_t surplus_kib, uint64_t available_kib);
