/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/decision.h"
#include "policy/host.h"

/* The plan: which domains shrink now, which grow now, which growth waits for
 * which shrink; and why, for each domain. */

/* Smaller changes aren't worth a call: noise in a guest's figures is of this size. */
#define CAGMA_GROW_DEADBAND_KIB CAGMA_MIB(8)
#define CAGMA_GROW_DEADBAND_PERMILLE 20
#define CAGMA_SHRINK_DEADBAND_KIB CAGMA_MIB(16)
#define CAGMA_SHRINK_DEADBAND_PERMILLE 30
/* A guest that swaps is given less than that too. */
#define CAGMA_GROW_SWAPPING_KIB CAGMA_MIB(4)

/* The least a donor is asked for at once, where it has as much to spare. */
#define CAGMA_TAKE_MIN_KIB CAGMA_MIB(16)
/* Fast give, slow take. At most half of what a donor can spare goes in one step, or all of
 * it that is free, so that its next figures are seen before the rest; a quarter where nobody waits
 * for it; an eighth of its size where it needs the memory itself (VMMB: 10–15 %
 * an epoch). */
#define CAGMA_TAKE_SPARE_PERMILLE 500
#define CAGMA_TAKE_IDLE_PERMILLE 250
#define CAGMA_TAKE_NEEDED_PERMILLE 125

/* For so long after its start, others aren't made short for what a domain might take. */
#define CAGMA_STARTING_US (60 * CAGMA_SECOND_US)
/* And as long as its balloon moves, for what it is giving back: a large one takes minutes. */
#define CAGMA_STARTING_MOVES_US (600 * CAGMA_SECOND_US)

/* What nobody needs is handed to a domain only when its balloon has rested for this long:
 * what others wanted a moment ago they may want again. */
#define CAGMA_WISH_MIN_KIB CAGMA_MIB(16)
#define CAGMA_WISH_MIN_PERMILLE 50
#define CAGMA_SPREAD_US (10 * CAGMA_SECOND_US)
/* Nobody's wish is served so soon after he gave: what he could do without is of little use. */
#define CAGMA_WISH_REST_US (10 * CAGMA_SECOND_US)
/* What a domain that has just left held waits as long; where domains leave all the time, no
 * longer than this. */
#define CAGMA_SPREAD_AT_LEAST_US (60 * CAGMA_SECOND_US)
#define CAGMA_SPREAD_MIN_KIB CAGMA_MIB(64)
#define CAGMA_SPREAD_MIN_PERMILLE 60

/* Who is short by figures that come between periods has it decided at once, but for this long
 * after the last decision: figures of many come together. */
#define CAGMA_SHORT_INTERVAL_US (CAGMA_SECOND_US / 5)

typedef struct {
  size_t domain; /* index into host->domains */
  uint64_t target_kib;
} CagmaStep;

typedef struct {
  CagmaStep *steps; /* shrinks, then growths: to be carried out in this order */
  size_t n_steps;
  CagmaDecision *decisions; /* one a domain */
  size_t n_decisions;
  CagmaVerdict verdict;
  gboolean tops_up;       /* nobody needs anything but the pool */
  uint64_t untouched_kib; /* promised to domains out of reach, and not taken by them */
  uint64_t below_kib;     /* what domains stand below their guarantees, together */

  /* Room kept between cycles. */
  CagmaClaim *claims;
  uint64_t *grants_kib;
  CagmaVessel *vessels;
  size_t *claimants;
  size_t room;
} CagmaPlan;

/* Frees what the plan holds. A zeroed plan is an empty one. */
void cagma_plan_clear(CagmaPlan *plan);

/* Decides for the whole host: ticks each domain, measures, estimates, allocates,
 * plans. Allocates only when there are more domains than ever before. The plan
 * still has to pass cagma_guard_check. */
void cagma_decide(CagmaHost *host, int64_t now_us, CagmaPlan *plan);
