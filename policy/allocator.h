/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/fill.h"
#include "policy/host.h"
#include "policy/units.h"

/* Who gets what when it does not all fit? Several answers, each a module of its own behind
 * one interface: shares.h, queue.h, utility.h. All of them only say what each domain should
 * have: that growth takes no more than is in hand, that donors give in steps and in time,
 * and what each is guaranteed, is the plan's. */

/* One domain's claim, in and out. Sizes in KiB, limits already applied:
 * guarantee ≤ demand ≤ limit, but that no demand is below least. */
typedef struct {
  uint64_t standing_kib; /* what it has, or is on its way to */
  uint64_t guarantee_kib;
  uint64_t demand_kib;
  uint64_t bare_kib; /* at most the demand: what it can't do without */
  uint64_t wish_kib; /* at least the demand: what would be of use to it */
  uint64_t limit_kib;
  uint64_t least_kib; /* at most its standing: it isn't brought below this (floor.h) */
  uint64_t free_kib;  /* of what it stands at, memory that its guest has no use for at all */
  uint32_t shares;
  gboolean may_grow;
  gboolean may_shrink;   /* can give at all … */
  gboolean may_spread;   /* may be handed what nobody needs */
  gboolean ready;        /* … and give now: its last move is over, and what it did has been seen */
  uint64_t entitled_kib; /* out: what it should have */
  uint64_t corners;      /* the allocator's own notes */
} CagmaClaim;

typedef enum {
  CAGMA_FIT_EASY,   /* memory in hand meets every demand */
  CAGMA_FIT_LEVEL,  /* … and of what nobody needs, who has much gives to who has little */
  CAGMA_FIT_TAKE,   /* every demand is met once others gave what they don't need */
  CAGMA_FIT_SHARED, /* not every demand can be met: guarantees, then by the allocator's rule */
  CAGMA_FIT_SHORT,  /* not even the guarantees fit */
  CAGMA_FIT_QUEUE,  /* `queue`: some wait, or release */
} CagmaFit;

/* What there is to allocate, and among whom. Amounts may be negative: more is promised than
 * there is. */
typedef struct {
  CagmaClaim *claims;
  const size_t *claimants; /* each claim's domain: index into host->domains */
  size_t n;
  int64_t in_hand_kib;    /* may be granted now … */
  uint64_t pool_kib;      /* … of it in emergencies only */
  int64_t expected_kib;   /* will be in hand beyond the pool once shrinks under way are over */
  uint64_t untouched_kib; /* promised to others than the claimants, and not taken by them */
  CagmaVessel *vessels;   /* room for as many as there are claims */
  uint64_t below_kib;     /* what the claimants stand below their guarantees, together */
  gboolean calm;          /* nothing is on its way, so that what is left over can be told */
  uint64_t shortfall_kib; /* out: guarantees beyond what there is (0 but for SHORT) */
} CagmaAllocation;

typedef struct CagmaDecision CagmaDecision;

typedef struct {
  const char *name;
  /* Has its own say in what a domain demands. May be NULL. */
  void (*demand)(CagmaDomain *domain, CagmaDemand *demand);
  gboolean wishes; /* serves them where all demands are met, and spreads what nobody needs */
  /* Sets each claim's entitled_kib. Allocates no memory of its own. */
  CagmaFit (*allocate)(CagmaHost *host, CagmaAllocation *allocation, int64_t now_us);
  /* What it does where not all needs fit, as part of a sentence. */
  const char *rule;
  /* Appends how it came to the domain's entitlement: a further sentence, or the rest of one,
   * without a full stop. */
  void (*explain)(GString *text, const CagmaDecision *decision);
} CagmaAllocator;

/* NULL for what is no kind. */
const CagmaAllocator *cagma_allocator_of(CagmaAllocatorKind kind);

/* The one of the host's policy. */
const CagmaAllocator *cagma_host_allocator(const CagmaHost *host);

/* A domain that can't give keeps what it has, whatever it is entitled to. */
static inline uint64_t
cagma_claim_floor(const CagmaClaim *claim)
{
  return cagma_max_kib(claim->guarantee_kib, claim->may_shrink ? claim->least_kib : claim->standing_kib);
}

/* And one that can't take is entitled to no more than it has. */
static inline uint64_t
cagma_claim_ceiling(const CagmaClaim *claim)
{
  uint64_t demand_kib =
      claim->may_grow ? claim->demand_kib : cagma_min_kib(claim->demand_kib, claim->standing_kib);

  return cagma_max_kib(demand_kib, cagma_claim_floor(claim));
}

/* What it lacks. */
static inline uint64_t
cagma_claim_need(const CagmaClaim *claim)
{
  return claim->may_grow ? cagma_above(claim->demand_kib, claim->standing_kib) : 0;
}

/* What allocators by need have in common: entitles all where it fits, and where not even
 * guarantees do. With reclaim, memory nobody needs goes back to the host; without, it stays
 * where it is until somebody needs it.
 *
 *   EASY    entitled = demand for growers; others keep what they have (or, with
 *           reclaim, come down to their demand)
 *   TAKE    what is missing is taken from the donors in proportion to what each
 *           can spare (standing − demand)
 *   SHORT   entitled = guarantee; *shortfall_kib: by how much they exceed what there is
 *   SHARED  nobody is entitled yet: *capacity_kib, what is in hand and what all stand at,
 *           is to be shared out, with nobody below his floor or above his ceiling
 */
CagmaFit cagma_allocate_by_need(CagmaClaim *claims, size_t n, int64_t in_hand_kib, gboolean reclaim,
                                uint64_t *capacity_kib, uint64_t *shortfall_kib);
