/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/domain.h"

/* How much memory does a domain need, and why? */

/* Below this an amount of available memory is no headroom at all: a Linux guest's
 * watermarks and per-CPU lists take tens of MiB. */
#define CAGMA_HEADROOM_MIN_KIB CAGMA_MIB(64)

/* Foreseen consumption asks at most for this part of the domain's own size at
 * once: a burst is not a trend. */
#define CAGMA_FORESEEN_MAX_PERMILLE 500

/* Beyond this a rate says nothing of what will be taken up. */
#define CAGMA_HORIZON_MAX_MS ((int64_t)60 * 1000)

typedef struct {
  uint64_t used_kib;      /* what the guest holds on to */
  uint64_t available_kib; /* AVM: what it could still take without swapping */
  uint64_t swap_back_kib; /* what of its swapped memory it has lately shown to need */
  uint64_t foreseen_kib;  /* what it will have taken up before memory can arrive */
  uint64_t headroom_kib;
  uint64_t footprint_kib; /* S; 0 with source deficit */
  gboolean approximated;  /* S isn't what the source means, but what the balloon tells */
  uint64_t critical_kib;  /* CMA: the available memory it needs not to swap */
  uint64_t demand_kib;    /* the size that follows, between guarantee and limit */
} CagmaDemand;

/* The demand by the domain's estimator. horizon_us: how long memory takes to
 * arrive when it is needed (two reports and the period).
 *
 * critical (Wu & Sun's CAGMA, source `deficit`):
 *     CMA    = rate × swap_back + headroom
 *     target = actual + CMA − AVM = used + CMA
 *   headroom = max(64 MiB, configured, consumption × horizon)
 *   swap_back = what it lately swapped in; and while it has less available than the
 *   first two of these, what it lately swapped out, since memory pushed out for lack
 *   of room will be wanted back before anything of it has been swapped in.
 *
 * critical, the other sources (Eklipsorz/CAGMA: C = 1.1 × S, target + C − AVM):
 *     CMA    = max(rate × S, headroom)
 *     target = actual + CMA − AVM = used + CMA
 *   max       S = footprint of the largest process, as the guest's agent tells
 *   swapping  S = footprint of the process that swaps; 0 where the agent sees none
 *   sum       S = used + swapped out (total − available + swap used)
 *   Without an agent S = used + max(0, swapped out − swapped in) by the balloon's
 *   counters, whatever the source: approximated. The headroom is the least since an S
 *   of nothing would let available memory fall to nothing (a defect of the original).
 *
 * static: the guarantee.
 *
 * A domain without figures demands what it stands at; one with 0 shares nothing
 * beyond its guarantee but what it already has. After a shrink that hurt, what it
 * had before is demanded until the backoff ends. */
void cagma_estimate(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand);

/* Brings demand->demand_kib within what holds for every estimate: what a hurtful
 * shrink took, 0 shares, guarantee, limit. For who changes a demand afterwards. */
void cagma_demand_bound(const CagmaDomain *domain, CagmaDemand *demand);
