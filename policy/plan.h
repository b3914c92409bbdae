/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

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
/* Fast give, slow take. At most half of what a donor can spare goes in one step,
 * so that its next figures are seen before the rest; a quarter where nobody waits
 * for it; an eighth of its size where it needs the memory itself (VMMB: 10–15 %
 * an epoch). */
#define CAGMA_TAKE_SPARE_PERMILLE 500
#define CAGMA_TAKE_IDLE_PERMILLE 250
#define CAGMA_TAKE_NEEDED_PERMILLE 125

/* Why a domain is, or isn't, moved. */
typedef enum {
  CAGMA_WHY_UNMANAGED,
  CAGMA_WHY_OBSERVED,
  CAGMA_WHY_HELD,
  CAGMA_WHY_UNRESPONSIVE,
  CAGMA_WHY_STUCK,
  CAGMA_WHY_WITHDRAWN,  /* a move that didn't come about is taken back */
  CAGMA_WHY_REASSERTED, /* an unknown target is made known */
  CAGMA_WHY_DISTRUSTED,
  CAGMA_WHY_STARTING,
  CAGMA_WHY_SILENT, /* the guest has never reported */
  CAGMA_WHY_STALE,
  CAGMA_WHY_CONTRADICTORY,
  CAGMA_WHY_BELOW_GUARANTEE,
  CAGMA_WHY_SHORT,     /* less available than critical: grows */
  CAGMA_WHY_EMERGENCY, /* the same, and its guest says so: grows at once */
  CAGMA_WHY_PRESSED,   /* its guest reports pressure, but isn't short */
  CAGMA_WHY_DEAF,      /* its guest cried wolf: its events aren't listened to */
  CAGMA_WHY_WAITS,     /* would grow: nothing in hand yet */
  CAGMA_WHY_ABOVE_LIMIT,
  CAGMA_WHY_GIVES,     /* gives what it can spare to others */
  CAGMA_WHY_POOL,      /* gives some of what it can spare to the emergency pool */
  CAGMA_WHY_RELEASES,  /* gives what it has above its critical amount (queue.h) */
  CAGMA_WHY_RECLAIMED, /* gives what it can spare back to the host */
  CAGMA_WHY_SHARES,    /* not everything fits: comes down to its share */
  CAGMA_WHY_AT_SHARE,  /* not everything fits, and it has its share */
  CAGMA_WHY_MOVING,    /* the balloon is on its way */
  CAGMA_WHY_ENOUGH,
} CagmaWhy;

typedef struct {
  CagmaState state;
  CagmaWhy why;
  CagmaDemand demand;
  uint64_t charge_kib;
  uint64_t standing_kib;
  uint64_t entitled_kib; /* the allocator's word; 0 where it had none */
  uint64_t target_kib;   /* to be set now; 0: nothing */
  uint64_t waits_kib;    /* growth that waits for memory to come in */
} CagmaDecision;

typedef struct {
  size_t domain; /* index into host->domains */
  uint64_t target_kib;
} CagmaStep;

typedef struct {
  CagmaStep *steps; /* shrinks, then growths: to be carried out in this order */
  size_t n_steps;
  CagmaDecision *decisions; /* one a domain */
  size_t n_decisions;
  CagmaFit fit;
  int64_t in_hand_kib;    /* before the plan */
  uint64_t coming_kib;    /* from shrinks already under way */
  uint64_t shortfall_kib; /* guarantees beyond what there is */
  uint64_t pool_kib;      /* of what is in hand, kept for emergencies */
  gboolean tops_up;       /* nobody needs anything but the pool */
  uint64_t below_kib;     /* what domains stand below their guarantees, together */

  /* Room kept between cycles. */
  CagmaClaim *claims;
  CagmaClaim *grants;
  size_t *claimants;
  size_t room;
} CagmaPlan;

/* Frees what the plan holds. A zeroed plan is an empty one. */
void cagma_plan_clear(CagmaPlan *plan);

/* Decides for the whole host: ticks each domain, measures, estimates, allocates,
 * plans. Allocates only when there are more domains than ever before. The plan
 * still has to pass cagma_guard_check. */
void cagma_decide(CagmaHost *host, int64_t now_us, CagmaPlan *plan);
