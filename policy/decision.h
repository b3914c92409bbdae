/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/allocator.h"
#include "policy/host.h"
#include "policy/state.h"

/* What was decided, and all that is needed to say why: a decision for each domain, and
 * a verdict for the host. Both are plain values without pointers, so that they outlive
 * what they are of, and can be recorded and read back. */

/* Why a domain is, or isn't, moved. */
typedef enum {
  CAGMA_WHY_UNMANAGED,
  CAGMA_WHY_OBSERVED,
  CAGMA_WHY_HELD,
  CAGMA_WHY_UNRESPONSIVE,
  CAGMA_WHY_STUCK,
  CAGMA_WHY_WITHDRAWN,  /* a move that didn't come about is taken back */
  CAGMA_WHY_SPARED,     /* a shrink that presses a guest which it could kill is */
  CAGMA_WHY_REASSERTED, /* an unknown target is made known */
  CAGMA_WHY_DISTRUSTED,
  CAGMA_WHY_DRIVERLESS, /* no balloon driver has come up in its guest */
  CAGMA_WHY_STARTING,
  CAGMA_WHY_SILENT, /* the guest has never reported */
  CAGMA_WHY_STALE,
  CAGMA_WHY_CONTRADICTORY,
  CAGMA_WHY_BELOW_GUARANTEE,
  CAGMA_WHY_SHORT,     /* less available than critical: grows */
  CAGMA_WHY_EMERGENCY, /* the same, and its guest says so: grows at once */
  CAGMA_WHY_WISHES,    /* needs nothing: grows by what would be of use to it */
  CAGMA_WHY_SPREAD,    /* nor that: is handed what nobody needs */
  CAGMA_WHY_PRESSED,   /* its guest reports pressure, but isn't short */
  CAGMA_WHY_DEAF,      /* its guest cried wolf: its events aren't listened to */
  CAGMA_WHY_WAITS,     /* would grow: nothing in hand yet */
  CAGMA_WHY_ABOVE_LIMIT,
  CAGMA_WHY_GIVES,     /* gives what it can spare to others */
  CAGMA_WHY_LEVELS,    /* gives of what nobody needs to who has less of it */
  CAGMA_WHY_POOL,      /* gives some of what it can spare to the emergency pool */
  CAGMA_WHY_RELEASES,  /* gives what it has above its critical amount (queue.h) */
  CAGMA_WHY_RECLAIMED, /* gives what it can spare back to the host */
  CAGMA_WHY_SHARES,    /* not everything fits: comes down to its share */
  CAGMA_WHY_AT_SHARE,  /* not everything fits, and it has its share */
  CAGMA_WHY_MOVING,    /* the balloon is on its way */
  CAGMA_WHY_ENOUGH,
} CagmaWhy;

/* A hold's reason is kept as far as it fits: the longest one of the daemon's own, that
 * of a mediated device, does. */
#define CAGMA_HOLD_BYTES 96

/* Times are how long ago, or how much longer, counted from the decision. */
struct CagmaDecision {
  CagmaState state;
  CagmaWhy why;

  /* What the owner says of the domain. */
  gboolean managed;
  CagmaEstimatorKind estimator;
  uint32_t shares;
  uint64_t max_kib;
  uint64_t guarantee_kib;
  uint64_t limit_kib;

  /* Its figures; used and available are the demand's. */
  gboolean has_actual;
  gboolean has_figures;
  gboolean has_counters;
  uint64_t actual_kib;
  uint64_t rss_kib;
  uint64_t swap_in_kib_per_s;
  uint64_t swap_out_kib_per_s;
  int64_t figures_age_us; /* since the figures were taken */
  int64_t report_age_us;  /* since it reported anything new */

  /* The estimator's reasoning. */
  CagmaDemand demand;

  /* The allocator's share. */
  uint64_t charge_kib;
  uint64_t standing_kib;
  uint64_t least_kib;    /* it isn't brought below this (floor.h); 0: not for that reason */
  uint64_t entitled_kib; /* the allocator's word; 0 where it had none */
  CagmaQueueSet queue_set;
  uint32_t queue_releases;
  uint64_t queue_critical_kib; /* 0: unset, or another allocator */

  /* The plan's step. */
  uint64_t target_kib; /* to be set now; 0: nothing */
  uint64_t waits_kib;  /* growth that waits for memory to come in */
  CagmaMove move;      /* under way already … */
  uint64_t move_from_kib;
  uint64_t move_to_kib;
  int64_t stuck_left_us; /* left alone for so much longer; 0: it isn't */
  int64_t deaf_left_us;  /* not listened to for so much longer; 0: it is */

  char hold[CAGMA_HOLD_BYTES]; /* why hands are off it; empty: they aren't */
};

typedef enum {
  CAGMA_GUARD_UNASKED,
  CAGMA_GUARD_PASSED,
  CAGMA_GUARD_REFUSED, /* the whole plan: nothing was moved */
} CagmaGuardOutcome;

/* The longest of the guard's messages, with the longest numbers, is some 140 long. */
#define CAGMA_REFUSAL_BYTES 192

/* The host's part, one for all the decisions made at the same moment. */
typedef struct {
  CagmaPolicyKind policy;
  CagmaFit fit;
  int64_t in_hand_kib;    /* before the plan */
  uint64_t coming_kib;    /* from shrinks already under way */
  uint64_t pool_kib;      /* of what is in hand, kept for emergencies */
  uint64_t shortfall_kib; /* guarantees beyond what there is */
  gboolean dry_run;       /* the owner carries nothing out */
  CagmaGuardOutcome guard;
  char refusal[CAGMA_REFUSAL_BYTES]; /* the guard's reason; empty: it didn't refuse */
} CagmaVerdict;

/* As much of a hold's reason as fits, whole characters only; NULL: empty. */
void cagma_hold_copy(char hold[CAGMA_HOLD_BYTES], const char *reason);

/* Begins a decision: takes the domain's figures and settings as they are at now_us, and
 * clears the rest. */
void cagma_decision_begin(CagmaDecision *decision, const CagmaDomain *domain, int64_t now_us);

/* Notes what the guard said of the plan: refusal NULL where it passed. */
void cagma_verdict_judge(CagmaVerdict *verdict, const GError *refusal);
