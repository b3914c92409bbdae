/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/shares.h"

#include "policy/decision.h"
#include "policy/plan.h"
#include "policy/units.h"

__extension__ typedef unsigned __int128 Wide;

/* The tiers, one above the other, and what is there already. */
typedef struct {
  uint64_t floors_kib;
  uint64_t bares_kib;
  uint64_t demands_kib;
  uint64_t wishes_kib;
  uint64_t standings_kib;
  uint64_t lacks_kib; /* of wishes */
} Tiers;

static uint64_t
wish_of(const CagmaClaim *claim)
{
  uint64_t wish_kib = claim->may_grow ? claim->wish_kib : cagma_min_kib(claim->wish_kib, claim->standing_kib);

  return cagma_max_kib(wish_kib, cagma_claim_ceiling(claim));
}

/* Nobody waits for what is given to none without shares. */
static uint64_t
bare_of(const CagmaClaim *claim)
{
  if (claim->shares == 0)
    return cagma_claim_floor(claim);
  return cagma_clamp_kib(claim->bare_kib, cagma_claim_floor(claim), cagma_claim_ceiling(claim));
}

static Tiers
add_up(const CagmaAllocation *allocation)
{
  Tiers tiers = { 0 };

  for (size_t i = 0; i < allocation->n; i++) {
    const CagmaClaim *claim = &allocation->claims[i];

    tiers.floors_kib += cagma_claim_floor(claim);
    tiers.bares_kib += bare_of(claim);
    tiers.demands_kib += cagma_claim_ceiling(claim);
    tiers.wishes_kib += wish_of(claim);
    tiers.standings_kib += claim->standing_kib;
    if (claim->may_grow)
      tiers.lacks_kib += cagma_above(wish_of(claim), claim->standing_kib);
  }
  return tiers;
}

/* Slack fills the same part for all of what is left up to their limits: how far somebody may grow
 * is the best guess of how far he will. Shares are for what is short. */
static uint64_t
slack_weight(const CagmaVessel *vessel, uint32_t shares)
{
  return shares ? (vessel->high_kib - vessel->low_kib) / CAGMA_MIB(4) + 1 : 0;
}

/* Shares out what there is: to demands, to wishes where these are all met, and what is left
 * as slack where these are, too. */
static void
level(CagmaAllocation *allocation, uint64_t capacity_kib, const Tiers *tiers)
{
  for (size_t i = 0; i < allocation->n; i++) {
    const CagmaClaim *claim = &allocation->claims[i];
    CagmaVessel vessel = { .base_kib = claim->guarantee_kib,
                           .low_kib = cagma_claim_floor(claim),
                           .high_kib = bare_of(claim),
                           .weight = claim->shares };

    if (capacity_kib >= tiers->bares_kib) {
      vessel.low_kib = vessel.high_kib;
      vessel.high_kib = cagma_claim_ceiling(claim);
    }
    if (capacity_kib >= tiers->demands_kib) {
      vessel.low_kib = vessel.high_kib;
      vessel.high_kib = wish_of(claim);
    }
    if (capacity_kib >= tiers->wishes_kib) {
      vessel.base_kib = vessel.low_kib = vessel.high_kib;
      vessel.high_kib = cagma_max_kib(claim->limit_kib, vessel.low_kib);
      vessel.weight = slack_weight(&vessel, claim->shares);
    }
    allocation->vessels[i] = vessel;
  }
  cagma_fill(allocation->vessels, allocation->n, capacity_kib);
}

/* What a domain lacks of what it could use, rather than of what is left over. */
static uint64_t
lacks(const CagmaClaim *claim, uint64_t level_kib)
{
  return claim->may_grow ? cagma_above(cagma_min_kib(level_kib, wish_of(claim)), claim->standing_kib) : 0;
}

/* All wishes fit into what is in hand: who has more than he wishes for keeps it, or gives it
 * back to the host. */
static CagmaFit
meet_wishes(CagmaAllocation *allocation, gboolean reclaim)
{
  for (size_t i = 0; i < allocation->n; i++) {
    CagmaClaim *claim = &allocation->claims[i];
    uint64_t wish_kib = wish_of(claim);

    claim->entitled_kib = claim->standing_kib + lacks(claim, wish_kib);
    if (reclaim && claim->ready)
      claim->entitled_kib -= cagma_above(claim->standing_kib, wish_kib);
  }
  return CAGMA_FIT_EASY;
}

/* They don't all fit, and nobody has more than his part: it is what is in hand that goes by
 * shares. */
static CagmaFit
meet_in_part(CagmaAllocation *allocation)
{
  for (size_t i = 0; i < allocation->n; i++) {
    CagmaClaim *claim = &allocation->claims[i];

    claim->entitled_kib = claim->standing_kib + lacks(claim, allocation->vessels[i].level_kib);
  }
  return CAGMA_FIT_EASY;
}

static uint64_t
worth_spreading(const CagmaClaim *claim, uint64_t more_kib, uint64_t less_kib, uint64_t times)
{
  uint64_t kib = claim->may_spread ? cagma_above(more_kib, less_kib) : 0;
  uint64_t least_kib =
      cagma_max_kib(CAGMA_SPREAD_MIN_KIB, cagma_permille(claim->standing_kib, CAGMA_SPREAD_MIN_PERMILLE));

  return kib >= times * least_kib ? kib : 0;
}

/* Giving is done at once, taking only where it is twice as much: what wavers isn't taken
 * and given in turns. */
static uint64_t
worth_giving(const CagmaClaim *claim, uint64_t level_kib)
{
  return worth_spreading(claim, level_kib, claim->entitled_kib, 1);
}

static uint64_t
worth_taking(const CagmaClaim *claim, uint64_t level_kib)
{
  return worth_spreading(claim, claim->standing_kib, level_kib, 2);
}

static uint64_t
part_of(uint64_t amount_kib, uint64_t part_kib, uint64_t whole_kib)
{
  return whole_kib ? (uint64_t)((Wide)amount_kib * part_kib / whole_kib) : 0;
}

/* What nobody needs is handed out, and taken from who has more of it than others for who
 * has less, where that is worth a call. left_kib: of what is in hand. */
static CagmaFit
spread(CagmaAllocation *allocation, uint64_t left_kib)
{
  uint64_t lack_kib = 0, excess_kib = 0, give_kib, take_kib;

  for (size_t i = 0; i < allocation->n; i++) {
    const CagmaClaim *claim = &allocation->claims[i];
    uint64_t level_kib = allocation->vessels[i].level_kib;

    lack_kib += worth_giving(claim, level_kib);
    excess_kib += worth_taking(claim, level_kib);
  }
  give_kib = cagma_min_kib(lack_kib, left_kib);
  take_kib = cagma_min_kib(lack_kib - give_kib, excess_kib);

  for (size_t i = 0; i < allocation->n; i++) {
    CagmaClaim *claim = &allocation->claims[i];
    uint64_t level_kib = allocation->vessels[i].level_kib;
    uint64_t lacking_kib = worth_giving(claim, level_kib);
    uint64_t exceeding_kib = worth_taking(claim, level_kib);

    claim->entitled_kib += part_of(lacking_kib, give_kib, lack_kib);
    claim->entitled_kib -= part_of(exceeding_kib, take_kib, excess_kib);
  }
  return take_kib ? CAGMA_FIT_LEVEL : CAGMA_FIT_EASY;
}

/* What is missing, take_kib, comes from those above their level, in proportion. */
static CagmaFit
take(CagmaAllocation *allocation, uint64_t take_kib)
{
  uint64_t ready_kib = 0;

  for (size_t i = 0; i < allocation->n; i++) {
    const CagmaClaim *claim = &allocation->claims[i];

    if (claim->ready)
      ready_kib += cagma_above(claim->standing_kib, allocation->vessels[i].level_kib);
  }
  /* Donors that aren't ready give later; those that are don't wait for them. */
  take_kib = cagma_min_kib(take_kib, ready_kib);

  for (size_t i = 0; i < allocation->n; i++) {
    CagmaClaim *claim = &allocation->claims[i];
    uint64_t level_kib = allocation->vessels[i].level_kib;

    claim->entitled_kib = claim->standing_kib + lacks(claim, level_kib);
    if (claim->ready)
      claim->entitled_kib -= part_of(cagma_above(claim->standing_kib, level_kib), take_kib, ready_kib);
  }
  return CAGMA_FIT_TAKE;
}

static CagmaFit
fall_short(CagmaAllocation *allocation, const Tiers *tiers, uint64_t capacity_kib)
{
  for (size_t i = 0; i < allocation->n; i++)
    allocation->claims[i].entitled_kib = cagma_claim_floor(&allocation->claims[i]);
  allocation->shortfall_kib = tiers->floors_kib - capacity_kib;
  return CAGMA_FIT_SHORT;
}

static CagmaFit
share_out(CagmaAllocation *allocation)
{
  for (size_t i = 0; i < allocation->n; i++)
    allocation->claims[i].entitled_kib = allocation->vessels[i].level_kib;
  return CAGMA_FIT_SHARED;
}

/* It rests since it was last spread, and since somebody left; but where somebody leaves all the
 * time, not forever. */
static gboolean
does_slack_rest(const CagmaHost *host, int64_t now_us)
{
  int64_t rested_us = now_us - host->spread_us;

  return rested_us < CAGMA_SPREAD_US ||
         (now_us - host->left_us < CAGMA_SPREAD_US && rested_us < CAGMA_SPREAD_AT_LEAST_US);
}

static CagmaFit
allocate(CagmaHost *host, CagmaAllocation *allocation, int64_t now_us)
{
  const gboolean reclaim = host->surplus == CAGMA_SURPLUS_RECLAIM;
  const Tiers tiers = add_up(allocation);
  const gboolean slack_rests = does_slack_rest(host, now_us);
  /* Nobody is to give for what others might take, and haven't. But it isn't there to meet needs. */
  const int64_t forgiven_kib = MIN(allocation->expected_kib + (int64_t)allocation->untouched_kib, 0);
  const int64_t expected_kib = MAX(allocation->expected_kib, forgiven_kib);
  const uint64_t capacity_kib = (uint64_t)MAX(expected_kib + (int64_t)tiers.standings_kib, 0);
  uint64_t need_kib = 0;
  int64_t left_kib;

  allocation->shortfall_kib = 0;
  if (capacity_kib < tiers.floors_kib)
    return fall_short(allocation, &tiers, capacity_kib);
  if ((int64_t)tiers.lacks_kib <= expected_kib && (reclaim || !allocation->calm || slack_rests))
    return meet_wishes(allocation, reclaim);

  level(allocation, capacity_kib, &tiers);
  if (capacity_kib < tiers.demands_kib)
    return share_out(allocation);
  for (size_t i = 0; i < allocation->n; i++)
    need_kib += lacks(&allocation->claims[i], allocation->vessels[i].level_kib);
  if ((int64_t)need_kib > expected_kib)
    return take(allocation, (uint64_t)((int64_t)need_kib - expected_kib));

  if (capacity_kib < tiers.wishes_kib)
    return meet_in_part(allocation);
  meet_wishes(allocation, FALSE);
  host->spread_us = now_us;
  left_kib = MIN(allocation->expected_kib, allocation->in_hand_kib - (int64_t)allocation->pool_kib);
  return spread(allocation, (uint64_t)MAX(left_kib - (int64_t)need_kib, 0));
}

static void
explain(GString *text, const CagmaDecision *decision)
{
  const CagmaDemand *demand = &decision->demand;
  uint64_t entitled_kib = decision->entitled_kib,
           needed_kib = cagma_min_kib(demand->demand_kib, entitled_kib);
  uint64_t useful_kib = cagma_clamp_kib(demand->wish_kib, needed_kib, entitled_kib);
  uint64_t use_mib = cagma_mib(useful_kib) - cagma_mib(needed_kib);
  uint64_t slack_mib = cagma_mib(entitled_kib) - cagma_mib(useful_kib);

  if (!entitled_kib)
    return;
  g_string_append_printf(text, ". With %u shares it is entitled to " CAGMA_MIB_FORMAT, decision->shares,
                         cagma_mib(entitled_kib));
  if (!use_mib && !slack_mib)
    return;
  g_string_append_printf(text, ": " CAGMA_MIB_FORMAT " that it needs", cagma_mib(needed_kib));
  if (use_mib)
    g_string_append_printf(text, ", %" PRIu64 " that would be of use to it", use_mib);
  if (slack_mib)
    g_string_append_printf(text, ", %" PRIu64 " of what nobody needs", slack_mib);
}

const CagmaAllocator cagma_allocator_shares = {
  .name = "shares",
  .wishes = TRUE,
  .allocate = allocate,
  .rule = "guarantees first, the rest by shares",
  .explain = explain,
};
