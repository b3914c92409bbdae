/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/allocator.h"

/* The `utility` allocator, after VMMB: memory goes where it saves most misses. Where not all
 * fits, each domain has its guarantee, and again and again the chunk k is given that has the
 * greatest
 *
 *     shares × (miss(m) − miss(m + k)) / k
 *
 * over all domains and, looking ahead, all k. The greatest over all k is the slope of the
 * lower convex hull of miss from m on. So this comes to walking down each domain's hull as
 * far as it is steeper than λ, λ such that all of it is handed out; found by bisection, some
 * 40 passes whatever the number of domains. What is left for segments as steep as λ is handed
 * out in proportion to their lengths, the last one in part.
 *
 * miss(m), from the guarantee up to the demand:
 *   - with estimator `missratio`, by its reuse distances (missratio.h)
 *   - with any other, without reuse distances, and where the demand is somebody else's word
 *     (an emergency, a shrink that hurt), a straight line that falls by 1 KiB a KiB: what
 *     the domain lacks is missed once an epoch
 *
 * shares: twice as many, and its misses count twice. Among straight lines alone, more shares
 * come first, until their demand is met; equal ones get equal parts of what each asks for.
 *
 * Where all fits: entitled = demand + slack in proportion to demand, for those that grow, where
 * surplus is left with the domains. Who has enough isn't called for the sake of slack, nor
 * has one with 0 shares any. */

extern const CagmaAllocator cagma_allocator_utility;
