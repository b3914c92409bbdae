/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/domain.h"

/* How much memory does a domain need, and why? Several answers, each a module of its own
 * behind one interface: critical.h, loadavg.h, missratio.h, and `static`: the guarantee. */

/* Below this an amount of available memory is no headroom at all: a Linux guest's
 * watermarks and per-CPU lists take tens of MiB. */
#define CAGMA_HEADROOM_MIN_KIB CAGMA_MIB(64)

/* A demand, and the numbers it was reasoned with. Plain values: it outlives its domain. */
typedef struct {
  uint64_t used_kib;      /* what the guest holds on to */
  uint64_t available_kib; /* AVM: what it could still take without swapping */
  uint64_t headroom_kib;  /* available memory to keep */
  uint64_t critical_kib;  /* CMA: the available memory it needs not to swap */
  uint64_t demand_kib;    /* the size that follows, between guarantee and limit */
  uint64_t bare_kib;      /* of it, what it can't do without; the estimator may leave it 0: all */
  uint64_t wish_kib;      /* at least that: what would be of use to it */
  gboolean blind;         /* no figures of its guest: it stays where it is */
  gboolean regains;       /* a shrink hurt it: the demand is what it had before */

  /* critical */
  CagmaCriticalSource source;
  uint32_t rate_permille;
  gboolean approximated;          /* S isn't what the source means, but what the balloon tells */
  uint64_t swap_back_kib;         /* what of its swapped memory it has lately shown to need */
  uint64_t foreseen_kib;          /* what it will have taken up before memory can arrive … */
  uint64_t consumption_kib_per_s; /* … at this pace */
  uint64_t cache_back_kib;        /* page cache it lately read again; 0: little */
  uint64_t footprint_kib;         /* S; 0 with source deficit */

  /* loadavg */
  gboolean heard;          /* its loads are known */
  uint32_t load1_permille; /* a vCPU */
  uint32_t load5_permille;
  uint32_t load15_permille;
  uint32_t free_permille; /* of what it should have: what it doesn't use */
  int64_t change_kib;     /* the last change of what it should have */
  int64_t wait_us;        /* until it is looked at next */

  /* missratio */
  CagmaProbe probe;
  uint64_t touched_kib; /* touched again lately, as far as a size could have kept it */
  uint64_t missed_kib;  /* of it, with what it should have; probing: in the last epoch */
  uint32_t hold;        /* probing: epochs to go by before the next step down */
} CagmaDemand;

/* Its name is the configuration's (cagma_estimator_to_string). */
typedef struct {
  gboolean needs_figures; /* without the guest's figures the domain stays where it is */
  /* Time passes. May be NULL. */
  void (*tick)(CagmaDomain *domain, int64_t now_us);
  /* Takes what of a sample, already clamped, is for this estimator alone. May be NULL. */
  void (*learn)(CagmaDomain *domain, const CagmaSample *sample, int64_t now_us);
  /* Fills in the demand, which begins zeroed but for used and available. horizon_us: how
   * long memory takes to arrive when it is needed. */
  void (*estimate)(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand);
  /* Appends why, as the end of a sentence without a full stop. Not asked where it is blind. */
  void (*explain)(GString *text, const CagmaDemand *demand);
} CagmaEstimator;

/* NULL for what is no kind. */
const CagmaEstimator *cagma_estimator_of(CagmaEstimatorKind kind);

/* What policy/domain.c passes on to the domain's estimator. */
void cagma_estimator_tick(CagmaDomain *domain, int64_t now_us);
void cagma_estimator_learn(CagmaDomain *domain, const CagmaSample *sample, int64_t now_us);

/* The demand by the domain's estimator. horizon_us as above (two reports and the period).
 *
 * A domain without figures demands what it stands at; one with 0 shares nothing
 * beyond its guarantee but what it already has. After a shrink that hurt, what it
 * had before is demanded until the backoff ends. */
void cagma_estimate(const CagmaDomain *domain, int64_t horizon_us, CagmaDemand *demand);

/* Brings demand->demand_kib within what holds for every estimate: what a hurtful
 * shrink took, 0 shares, guarantee, limit. For who changes a demand afterwards. */
void cagma_demand_bound(const CagmaDomain *domain, CagmaDemand *demand);

/* The estimator's reasoning, without what bounds it: the end of a sentence without a full
 * stop. */
void cagma_demand_explain(GString *text, CagmaEstimatorKind kind, const CagmaDemand *demand);

/* The available memory that the domain's configuration wants kept: what is configured, at
 * least CAGMA_HEADROOM_MIN_KIB. */
uint64_t cagma_headroom(const CagmaDomain *domain);

/* Whether its newest figures are of less than its headroom, and more could be given: that isn't left to
 * the period's end. */
gboolean cagma_is_short(const CagmaDomain *domain);
