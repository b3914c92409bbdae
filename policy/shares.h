/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/allocator.h"

/* The `shares` allocator: guarantees first, then four tiers, each of which is served where all
 * of the one before is. Up to what there is, C = in hand + Σ standing, levels are
 *
 *     Σ bare > C     min(bare, guarantee + λ × shares)
 *     Σ demand > C   min(demand, max(bare, guarantee + λ × shares))
 *     Σ wish > C     min(wish, max(demand, guarantee + λ × shares))
 *     else           wish + λ × (limit − wish): slack, 0 without shares
 *
 * λ such that all of it is handed out: weighted max-min fairness (fill.h). One that isn't ready
 * has its level like all others: were it to keep what it has for the moment, each cycle would
 * have other levels than the last.
 *
 * Where demands don't all fit, levels are what each is entitled to. Where something is missing
 * to the wishes, it comes from those who stand above their level, in proportion. Where nothing
 * is, who has more than he wishes for keeps it; and from time to time (CAGMA_SPREAD_US), while
 * nothing is on its way and nobody has just left, what is in hand is handed to those who stand far below their level,
 * and, where it doesn't suffice, who stands far above gives of it. With reclaim it goes back to
 * the host instead.
 *
 * What domains that have just begun might take, and haven't (untouched), counts as there, so
 * that nobody gives for it. It isn't in hand, so that it isn't granted either. */

extern const CagmaAllocator cagma_allocator_shares;
