/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/plan.h"

#include <stddef.h>
#include <string.h>

#include "policy/allocator.h"
#include "policy/floor.h"
#include "policy/rules.h"
#include "policy/units.h"

__extension__ typedef unsigned __int128 Wide;

void
cagma_plan_clear(CagmaPlan *plan)
{
  g_free(plan->steps);
  g_free(plan->decisions);
  g_free(plan->claims);
  g_free(plan->grants_kib);
  g_free(plan->vessels);
  g_free(plan->claimants);
  memset(plan, 0, sizeof *plan);
}

static void
begin(CagmaPlan *plan, size_t n)
{
  if (n > plan->room) {
    plan->room = n * 2;
    plan->steps = g_renew(CagmaStep, plan->steps, plan->room);
    plan->decisions = g_renew(CagmaDecision, plan->decisions, plan->room);
    plan->claims = g_renew(CagmaClaim, plan->claims, plan->room);
    plan->grants_kib = g_renew(uint64_t, plan->grants_kib, plan->room);
    plan->vessels = g_renew(CagmaVessel, plan->vessels, plan->room);
    plan->claimants = g_renew(size_t, plan->claimants, plan->room);
  }
  plan->n_steps = 0;
  plan->n_decisions = n;
  memset(&plan->verdict, 0, sizeof plan->verdict);
  plan->below_kib = 0;
  plan->untouched_kib = 0;
  plan->tops_up = FALSE;
}

static void
say(CagmaDecision *decision, CagmaState state, CagmaWhy why)
{
  decision->state = state;
  decision->why = why;
}

static void
step(CagmaPlan *plan, size_t index, uint64_t target_kib)
{
  plan->decisions[index].target_kib = target_kib;
  plan->steps[plan->n_steps++] = (CagmaStep){ .domain = index, .target_kib = target_kib };
}

/* Whether the domain can be acted on at all. Says why where it can't. */
static gboolean
within_reach(const CagmaDomain *domain, CagmaDecision *decision)
{
  if (!domain->managed)
    say(decision, CAGMA_STATE_UNMANAGED, CAGMA_WHY_UNMANAGED);
  else if (domain->hold)
    say(decision, CAGMA_STATE_HELD, CAGMA_WHY_HELD);
  else if (domain->unresponsive)
    say(decision, CAGMA_STATE_STUCK, CAGMA_WHY_UNRESPONSIVE);
  else if (domain->config.mode != CAGMA_MODE_ENFORCE)
    say(decision, CAGMA_STATE_STEADY, CAGMA_WHY_OBSERVED);
  else if (domain->distrusted)
    say(decision, CAGMA_STATE_DISTRUSTED, CAGMA_WHY_DISTRUSTED);
  else if (domain->driver == CAGMA_DRIVER_DOWN)
    say(decision, CAGMA_STATE_HELD, CAGMA_WHY_DRIVERLESS);
  else if (!domain->settled && domain->reported)
    say(decision, CAGMA_STATE_STEADY, CAGMA_WHY_STARTING);
  else if (!domain->settled)
    say(decision, CAGMA_STATE_BLIND, CAGMA_WHY_SILENT);
  else
    return TRUE;
  return FALSE;
}

/* Sets right what is out there before anything new is asked: a stuck move's target
 * is withdrawn, one that isn't known is made known. TRUE where it took a step. */
static gboolean
put_right(const CagmaDomain *domain, size_t index, gboolean may_shrink, CagmaPlan *plan)
{
  const CagmaConfig *config = &domain->config;
  gboolean spares = domain->withdraw && domain->move == CAGMA_MOVE_SHRINK;
  uint64_t to_kib;

  if (domain->withdraw && domain->target_kib < domain->actual_kib)
    to_kib = cagma_max_kib(domain->target_kib, cagma_min_kib(domain->actual_kib, config->limit_kib));
  else if (domain->withdraw)
    to_kib = cagma_max_kib(domain->actual_kib, cagma_min_kib(config->guarantee_kib, domain->target_kib));
  else if (!domain->target_kib)
    to_kib = cagma_clamp_kib(domain->actual_kib, config->guarantee_kib, config->limit_kib);
  else
    return FALSE;

  /* Where its limit was lowered meanwhile, keeping its size can't be asked for.
   * And a guest may say that its size is nothing. */
  if (!to_kib || to_kib == domain->target_kib || to_kib > config->limit_kib ||
      (to_kib < domain->actual_kib && (!may_shrink || to_kib < cagma_floor(domain))))
    return FALSE;
  if (spares)
    say(&plan->decisions[index], CAGMA_STATE_STEADY, CAGMA_WHY_SPARED);
  else if (domain->withdraw)
    say(&plan->decisions[index], CAGMA_STATE_STUCK, CAGMA_WHY_WITHDRAWN);
  else
    say(&plan->decisions[index], CAGMA_STATE_STEADY, CAGMA_WHY_REASSERTED);
  step(plan, index, to_kib);
  return TRUE;
}

/* What to say of a domain that isn't moved now. */
static void
say_at_rest(const CagmaDomain *domain, gboolean fresh, int64_t now_us, CagmaDecision *decision)
{
  gboolean has_enough = decision->demand.available_kib >= decision->demand.critical_kib;

  if (domain->stuck_until_us)
    say(decision, CAGMA_STATE_STUCK, CAGMA_WHY_STUCK);
  else if (domain->move == CAGMA_MOVE_GROW)
    say(decision, domain->emergency ? CAGMA_STATE_EMERGENCY : CAGMA_STATE_GROWING, CAGMA_WHY_MOVING);
  else if (domain->move == CAGMA_MOVE_SHRINK)
    say(decision, CAGMA_STATE_SHRINKING, CAGMA_WHY_MOVING);
  else if (domain->contradictory)
    say(decision, CAGMA_STATE_BLIND, CAGMA_WHY_CONTRADICTORY);
  else if (!fresh)
    say(decision, CAGMA_STATE_BLIND, domain->reported ? CAGMA_WHY_STALE : CAGMA_WHY_SILENT);
  else if (now_us < domain->deaf_until_us)
    say(decision, CAGMA_STATE_STEADY, CAGMA_WHY_DEAF);
  else if (domain->pressed_us && now_us - domain->pressed_us < CAGMA_EMERGENCY_US && has_enough)
    say(decision, CAGMA_STATE_STEADY, CAGMA_WHY_PRESSED);
  else
    say(decision, CAGMA_STATE_STEADY, CAGMA_WHY_ENOUGH);
}

/* Whether growing from standing_kib to to_kib is worth a call. */
static gboolean
worth_growing(const CagmaDomain *domain, uint64_t standing_kib, uint64_t to_kib)
{
  uint64_t wanted_kib = cagma_above(to_kib, standing_kib);
  uint64_t least_kib =
      cagma_max_kib(CAGMA_GROW_DEADBAND_KIB, cagma_permille(standing_kib, CAGMA_GROW_DEADBAND_PERMILLE));

  if (wanted_kib == 0)
    return FALSE;
  if (standing_kib < domain->config.guarantee_kib || domain->without & CAGMA_RULE_DEADBAND)
    return TRUE;
  /* Nor is a need forgotten that wavers about the deadband while memory is on its
   * way: it would be asked for again and again, and never be taken. */
  if (domain->swap_in_kib_per_s || domain->swap_out_kib_per_s || domain->waits)
    least_kib = CAGMA_GROW_SWAPPING_KIB;
  return wanted_kib >= least_kib;
}

static gboolean
worth_wishing(const CagmaDomain *domain, const CagmaClaim *claim, int64_t now_us)
{
  gboolean gave = domain->target_kib < domain->move_from_kib;

  if (gave && now_us - domain->move_us < CAGMA_WISH_REST_US)
    return FALSE;
  return cagma_above(claim->wish_kib, claim->standing_kib) >=
         cagma_max_kib(CAGMA_WISH_MIN_KIB, cagma_permille(claim->standing_kib, CAGMA_WISH_MIN_PERMILLE));
}

static void
make_claim(const CagmaHost *host, const CagmaDomain *domain, const CagmaDecision *decision, gboolean fresh,
           gboolean may_shrink, int64_t now_us, CagmaClaim *claim)
{
  const CagmaAllocator *allocator = cagma_host_allocator(host);
  uint64_t least_kib = cagma_min_kib(decision->least_kib, decision->standing_kib);

  *claim = (CagmaClaim){
    .standing_kib = decision->standing_kib,
    .guarantee_kib = domain->config.guarantee_kib,
    /* Without figures the guarantee is the only claim. */
    .demand_kib =
        cagma_max_kib(fresh ? decision->demand.demand_kib : domain->config.guarantee_kib, least_kib),
    .bare_kib = cagma_max_kib(fresh ? decision->demand.bare_kib : domain->config.guarantee_kib, least_kib),
    .wish_kib = cagma_max_kib(fresh ? decision->demand.wish_kib : domain->config.guarantee_kib, least_kib),
    .limit_kib = domain->config.limit_kib,
    .least_kib = least_kib,
    .free_kib = cagma_above(domain->free_kib, cagma_headroom(domain)),
    .shares = domain->config.shares,
    .may_shrink = fresh && !domain->stuck_until_us,
    .ready = may_shrink,
  };
  /* Nobody is asked to give for a need too small to be served. */
  claim->may_grow = worth_growing(domain, claim->standing_kib, claim->demand_kib) ||
                    (allocator->wishes && worth_wishing(domain, claim, now_us));
  claim->may_spread = allocator->wishes && may_shrink && claim->shares &&
                      now_us - MAX(domain->moved_us, domain->began_us) >= CAGMA_SPREAD_US &&
                      !(host->without & CAGMA_RULE_SPREAD);
}

/* What a domain that has just started is charged and hasn't taken, or is giving back: its balloon
 * goes from its full size to where it was asked to be. */
static uint64_t
untouched(const CagmaDomain *domain, uint64_t charge_kib, int64_t now_us)
{
  int64_t age_us = now_us - domain->began_us;
  uint64_t kib = 0;

  if (!domain->managed || domain->settled)
    return 0;
  if (age_us < CAGMA_STARTING_US)
    kib = cagma_above(charge_kib, cagma_above(domain->rss_kib, domain->overhead_kib));
  if (domain->target_kib && domain->moves && age_us < CAGMA_STARTING_MOVES_US &&
      now_us - domain->still_since_us < CAGMA_SETTLE_US)
    kib = cagma_max_kib(kib, cagma_above(charge_kib, domain->target_kib));
  return kib;
}

/* Looks at one domain, and enters its claim where it has one. */
static void
consider(CagmaHost *host, size_t index, int64_t now_us, CagmaPlan *plan, size_t *n_claims)
{
  CagmaDomain *domain = host->domains[index];
  int64_t horizon_us = cagma_host_horizon_us(host, domain);
  CagmaDecision *decision = &plan->decisions[index];
  CagmaClaim *claim = &plan->claims[*n_claims];
  const CagmaAllocator *allocator = cagma_host_allocator(host);
  gboolean fresh, below, may_shrink;

  cagma_domain_tick(domain, now_us);
  cagma_decision_begin(decision, domain, now_us);
  decision->charge_kib = cagma_domain_charge(domain);
  decision->standing_kib = cagma_domain_standing(domain);
  decision->least_kib = cagma_floor(domain);
  if (domain->managed)
    cagma_estimate(domain, horizon_us, &decision->demand);
  if (domain->managed && allocator->demand)
    allocator->demand(domain, &decision->demand);
  if (!within_reach(domain, decision)) {
    plan->untouched_kib += untouched(domain, decision->charge_kib, now_us);
    return;
  }

  fresh = cagma_domain_fresh(domain, now_us);
  below = decision->standing_kib < domain->config.guarantee_kib;
  say_at_rest(domain, fresh, now_us, decision);
  may_shrink = fresh && cagma_domain_seen_since_move(domain) && !domain->stuck_until_us;
  if (put_right(domain, index, may_shrink, plan) || !domain->target_kib)
    return;
  if (domain->stuck_until_us && !(domain->stuck_shrinking && fresh))
    return;
  if (!fresh && !below)
    return;

  make_claim(host, domain, decision, fresh, may_shrink, now_us, claim);
  plan->below_kib += cagma_above(claim->guarantee_kib, claim->standing_kib);
  plan->claimants[(*n_claims)++] = index;
}

static uint64_t
shrink_at_most(const CagmaHost *host, const CagmaPlan *plan, const CagmaClaim *claim)
{
  uint64_t spare_kib = cagma_above(claim->standing_kib, claim->demand_kib);
  uint64_t most_kib;

  if (plan->verdict.fit == CAGMA_FIT_QUEUE || host->without & CAGMA_RULE_SLOW_TAKE)
    return cagma_above(claim->standing_kib, claim->entitled_kib);
  if (plan->verdict.fit == CAGMA_FIT_SHARED || plan->verdict.fit == CAGMA_FIT_SHORT)
    most_kib = cagma_max_kib(cagma_permille(claim->standing_kib, CAGMA_TAKE_NEEDED_PERMILLE),
                             cagma_permille(spare_kib, CAGMA_TAKE_SPARE_PERMILLE));
  else if (plan->verdict.fit == CAGMA_FIT_TAKE)
    most_kib = cagma_max_kib(cagma_permille(spare_kib, CAGMA_TAKE_SPARE_PERMILLE),
                             cagma_min_kib(claim->free_kib, spare_kib));
  else
    most_kib = cagma_permille(spare_kib,
                              host->surplus == CAGMA_SURPLUS_RECLAIM || plan->verdict.fit == CAGMA_FIT_LEVEL
                                  ? CAGMA_TAKE_IDLE_PERMILLE
                                  : 0);
  return cagma_max_kib(
      most_kib, cagma_min_kib(CAGMA_TAKE_MIN_KIB, cagma_above(claim->standing_kib, claim->entitled_kib)));
}

static uint64_t
noise_of(const CagmaClaim *claim)
{
  return cagma_max_kib(CAGMA_SHRINK_DEADBAND_KIB,
                       cagma_permille(claim->standing_kib, CAGMA_SHRINK_DEADBAND_PERMILLE));
}

static uint64_t
shrink_deadband(const CagmaPlan *plan, const CagmaClaim *claim)
{
  /* Somebody waits for it, so that even a little is worth the call. */
  if (plan->verdict.fit == CAGMA_FIT_TAKE || plan->verdict.fit == CAGMA_FIT_LEVEL ||
      plan->verdict.fit == CAGMA_FIT_QUEUE || plan->below_kib)
    return 0;
  return noise_of(claim);
}

/* What a donor can spare without giving so much that noise calls it back. */
static uint64_t
calm_spare(const CagmaClaim *claim)
{
  uint64_t spare_kib = cagma_above(claim->standing_kib, claim->demand_kib);

  return claim->may_shrink ? cagma_above(spare_kib, noise_of(claim)) : 0;
}

/* How far down the donor goes now; its standing where it stays. */
static uint64_t
shrink_to(const CagmaHost *host, const CagmaPlan *plan, const CagmaClaim *claim, uint64_t limit_kib)
{
  uint64_t wanted_kib = cagma_above(claim->standing_kib, claim->entitled_kib);
  uint64_t to_kib = claim->standing_kib, deadband_kib = shrink_deadband(plan, claim), spare_kib = 0;
  /* A guarantee of nothing is no wish to see the guest's kernel starve. */
  uint64_t floor_kib = cagma_max_kib(claim->guarantee_kib, cagma_min_kib(CAGMA_HEADROOM_MIN_KIB, limit_kib));

  floor_kib = cagma_max_kib(floor_kib, claim->least_kib);
  if (!claim->ready)
    return to_kib;
  /* Many donors of a little each would be many calls for nothing: each gives a
   * piece worth it, and the last ones none. */
  if (plan->verdict.fit == CAGMA_FIT_TAKE && wanted_kib > 0)
    wanted_kib = cagma_max_kib(
        wanted_kib, cagma_min_kib(CAGMA_TAKE_MIN_KIB, cagma_above(claim->standing_kib, claim->demand_kib)));
  if (plan->tops_up)
    wanted_kib = cagma_min_kib(wanted_kib, calm_spare(claim));
  /* Stops half the deadband short, lest noise call it back. But what it doesn't need
   * itself isn't kept while others are short. */
  if (plan->verdict.fit == CAGMA_FIT_SHARED || plan->verdict.fit == CAGMA_FIT_SHORT)
    spare_kib = cagma_min_kib(wanted_kib, cagma_above(claim->standing_kib, claim->demand_kib));
  wanted_kib = wanted_kib > deadband_kib ? wanted_kib - deadband_kib / 2 : 0;
  if (spare_kib >= CAGMA_GROW_SWAPPING_KIB)
    wanted_kib = cagma_max_kib(wanted_kib, spare_kib);
  if (wanted_kib > 0)
    to_kib -= cagma_min_kib(wanted_kib, shrink_at_most(host, plan, claim));
  to_kib = cagma_max_kib(cagma_min_kib(to_kib, limit_kib), floor_kib);
  /* Nothing is set above its limit, be it a step towards it. */
  return to_kib > limit_kib ? claim->standing_kib : to_kib;
}

static CagmaWhy
why_shrinks(const CagmaPlan *plan, const CagmaClaim *claim, uint64_t limit_kib)
{
  if (claim->standing_kib > limit_kib)
    return CAGMA_WHY_ABOVE_LIMIT;
  if (plan->verdict.fit == CAGMA_FIT_QUEUE)
    return CAGMA_WHY_RELEASES;
  if (plan->verdict.fit == CAGMA_FIT_TAKE)
    return plan->tops_up ? CAGMA_WHY_POOL : CAGMA_WHY_GIVES;
  if (plan->verdict.fit == CAGMA_FIT_LEVEL)
    return CAGMA_WHY_LEVELS;
  return plan->verdict.fit == CAGMA_FIT_EASY ? CAGMA_WHY_RECLAIMED : CAGMA_WHY_SHARES;
}

static void
plan_shrinks(const CagmaHost *host, CagmaPlan *plan, size_t n_claims, uint64_t missing_kib)
{
  for (size_t i = 0; i < n_claims; i++) {
    const CagmaClaim *claim = &plan->claims[i];
    size_t index = plan->claimants[i];
    uint64_t limit_kib = host->domains[index]->config.limit_kib;
    uint64_t to_kib = shrink_to(host, plan, claim, limit_kib);

    if (to_kib >= claim->standing_kib)
      continue;
    /* So little can't be told from a balloon that didn't move. */
    if (claim->standing_kib - to_kib <= CAGMA_REACHED_KIB && claim->standing_kib <= limit_kib &&
        !plan->below_kib)
      continue;
    if (plan->verdict.fit == CAGMA_FIT_TAKE && claim->standing_kib <= limit_kib) {
      if (missing_kib == 0)
        continue;
      missing_kib = cagma_above(missing_kib, claim->standing_kib - to_kib);
    }
    say(&plan->decisions[index], CAGMA_STATE_SHRINKING, why_shrinks(plan, claim, limit_kib));
    step(plan, index, to_kib);
  }
}

/* What growing to to_kib takes out of what is in hand. */
static uint64_t
cost_of(const CagmaDecision *decision, uint64_t to_kib)
{
  return cagma_above(to_kib, decision->charge_kib);
}

static uint64_t
part_of(uint64_t amount, uint64_t granted, uint64_t total)
{
  if (granted >= total)
    return amount;
  return (uint64_t)((Wide)amount * granted / total);
}

/* What is missing to guarantees, in proportion where memory in hand doesn't suffice.
 * Returns what it leaves. */
static uint64_t
grant_guarantees(CagmaPlan *plan, size_t n_claims, uint64_t in_hand_kib)
{
  uint64_t missing_kib = 0, granted_kib;

  for (size_t i = 0; i < n_claims; i++) {
    const CagmaClaim *claim = &plan->claims[i];

    if (claim->may_grow)
      missing_kib += cost_of(&plan->decisions[plan->claimants[i]],
                             cagma_min_kib(claim->guarantee_kib, claim->entitled_kib));
  }
  granted_kib = cagma_min_kib(missing_kib, in_hand_kib);

  for (size_t i = 0; i < n_claims; i++) {
    const CagmaClaim *claim = &plan->claims[i];
    const CagmaDecision *decision = &plan->decisions[plan->claimants[i]];
    uint64_t cost_kib = cost_of(decision, cagma_min_kib(claim->guarantee_kib, claim->entitled_kib));

    plan->grants_kib[i] = decision->charge_kib;
    if (claim->may_grow)
      plan->grants_kib[i] += part_of(cost_kib, granted_kib, missing_kib);
  }
  return in_hand_kib - granted_kib;
}

/* Grants by shares to those in an emergency, or to the others, so that one who wants
 * very much doesn't keep one who wants a little waiting. Returns what it leaves. */
static uint64_t
grant_by_shares(const CagmaHost *host, CagmaPlan *plan, size_t n_claims, gboolean emergency,
                uint64_t left_kib)
{
  uint64_t granted_kib = 0;

  for (size_t i = 0; i < n_claims; i++) {
    const CagmaClaim *claim = &plan->claims[i];
    uint64_t has_kib = plan->grants_kib[i];
    gboolean takes = claim->may_grow && host->domains[plan->claimants[i]]->emergency == emergency;

    plan->vessels[i] = (CagmaVessel){
      .base_kib = has_kib,
      .low_kib = has_kib,
      .high_kib = takes ? cagma_max_kib(claim->entitled_kib, has_kib) : has_kib,
      .weight = claim->shares,
    };
    granted_kib += has_kib;
  }
  left_kib += granted_kib;
  granted_kib = cagma_fill(plan->vessels, n_claims, left_kib);
  for (size_t i = 0; i < n_claims; i++)
    plan->grants_kib[i] = plan->vessels[i].level_kib;
  return cagma_above(left_kib, granted_kib);
}

/* Guarantees first, then emergencies, who may use the pool, then the rest. */
static void
grant(const CagmaHost *host, CagmaPlan *plan, size_t n_claims)
{
  uint64_t left_kib = grant_guarantees(
      plan, n_claims, plan->verdict.in_hand_kib > 0 ? (uint64_t)plan->verdict.in_hand_kib : 0);

  for (size_t i = 0; i < n_claims; i++) {
    if (host->domains[plan->claimants[i]]->emergency) {
      left_kib = grant_by_shares(host, plan, n_claims, TRUE, left_kib);
      break;
    }
  }
  grant_by_shares(host, plan, n_claims, FALSE, cagma_above(left_kib, plan->verdict.pool_kib));
}

/* What it is to get in the end. The queue entitles nobody to what isn't there. */
static uint64_t
asked_of(const CagmaPlan *plan, const CagmaClaim *claim)
{
  return plan->verdict.fit == CAGMA_FIT_QUEUE ? cagma_max_kib(claim->demand_kib, claim->entitled_kib)
                                              : claim->entitled_kib;
}

static void
wait_for(CagmaDomain *domain, uint64_t waits_kib, CagmaDecision *decision)
{
  decision->waits_kib = waits_kib;
  say(decision, domain->emergency ? CAGMA_STATE_EMERGENCY : decision->state, CAGMA_WHY_WAITS);
  domain->waits = TRUE;
}

static CagmaWhy
why_grows(const CagmaClaim *claim)
{
  if (claim->standing_kib < claim->guarantee_kib)
    return CAGMA_WHY_BELOW_GUARANTEE;
  if (claim->standing_kib < claim->demand_kib)
    return CAGMA_WHY_SHORT;
  return claim->standing_kib < claim->wish_kib ? CAGMA_WHY_WISHES : CAGMA_WHY_SPREAD;
}

static void
plan_growths(const CagmaHost *host, CagmaPlan *plan, size_t n_claims)
{
  for (size_t i = 0; i < n_claims; i++) {
    CagmaClaim *claim = &plan->claims[i];

    claim->may_grow =
        (claim->may_grow &&
         worth_growing(host->domains[plan->claimants[i]], claim->standing_kib, asked_of(plan, claim))) ||
        (claim->may_spread && claim->entitled_kib >= claim->standing_kib + CAGMA_GROW_DEADBAND_KIB);
  }
  grant(host, plan, n_claims);

  for (size_t i = 0; i < n_claims; i++) {
    const CagmaClaim *claim = &plan->claims[i];
    size_t index = plan->claimants[i];
    CagmaDomain *domain = host->domains[index];
    CagmaDecision *decision = &plan->decisions[index];
    uint64_t to_kib = cagma_min_kib(plan->grants_kib[i], claim->entitled_kib);

    domain->waits = FALSE;
    if (!claim->may_grow)
      continue;
    decision->waits_kib = asked_of(plan, claim) - cagma_max_kib(to_kib, claim->standing_kib);
    if (to_kib < claim->standing_kib + (decision->waits_kib ? CAGMA_GROW_SWAPPING_KIB : 1)) {
      wait_for(domain, asked_of(plan, claim) - claim->standing_kib, decision);
      continue;
    }
    if (domain->emergency)
      say(decision, CAGMA_STATE_EMERGENCY, CAGMA_WHY_EMERGENCY);
    else
      say(decision, CAGMA_STATE_GROWING, why_grows(claim));
    step(plan, index, to_kib);
  }
}

/* Domains that stay as they are although they hold, or need, something else. */
static void
say_shared(const CagmaHost *host, CagmaPlan *plan, size_t n_claims)
{
  for (size_t i = 0; i < n_claims; i++) {
    const CagmaClaim *claim = &plan->claims[i];
    size_t index = plan->claimants[i];
    CagmaDecision *decision = &plan->decisions[index];

    decision->entitled_kib = claim->entitled_kib;
    if (decision->target_kib || decision->state != CAGMA_STATE_STEADY || decision->why == CAGMA_WHY_WAITS)
      continue;
    if (claim->standing_kib > host->domains[index]->config.limit_kib)
      say(decision, CAGMA_STATE_OVER, CAGMA_WHY_ABOVE_LIMIT);
    else if (plan->verdict.in_hand_kib < 0 && claim->standing_kib > claim->entitled_kib)
      say(decision, CAGMA_STATE_OVER, CAGMA_WHY_SHARES);
    else if ((plan->verdict.fit == CAGMA_FIT_SHARED || plan->verdict.fit == CAGMA_FIT_SHORT) &&
             claim->demand_kib > claim->standing_kib)
      say(decision, host->domains[index]->emergency ? CAGMA_STATE_EMERGENCY : CAGMA_STATE_STEADY,
          CAGMA_WHY_AT_SHARE);
  }
}

/* Where the queue is what allocates, its word is the domain's place in it. */
static void
note_places(const CagmaHost *host, CagmaPlan *plan)
{
  for (size_t i = 0; i < host->n_domains; i++) {
    const CagmaQueuePlace *place = &host->domains[i]->queue;
    CagmaDecision *decision = &plan->decisions[i];

    decision->queue_set = place->set;
    decision->queue_releases = place->releases;
    decision->queue_critical_kib = place->critical_kib;
  }
}

/* Whether what the donor can spare comes now, or soon. */
static gboolean
gives_soon(const CagmaDomain *domain, const CagmaClaim *claim, int64_t now_us)
{
  return claim->ready || now_us - domain->move_us <= CAGMA_COMING_US;
}

/* How much of the pool is to be in hand after the plan: all of it, less what
 * emergencies take, as far as it can be had without anybody going short or noise
 * calling it back; and it isn't topped up before half of it is gone, lest every
 * wavering of the figures cost a donor a call. */
static uint64_t
pool_to_keep(CagmaHost *host, CagmaPlan *plan, size_t n_claims, int64_t expected_kib, int64_t now_us)
{
  uint64_t urgent_kib = 0;
  int64_t room_kib = expected_kib, pool_kib;
  gboolean needed = FALSE;

  /* The original has none. */
  if (host->pool_kib == 0 || host->without & CAGMA_RULE_POOL ||
      cagma_policy_of(host->policy)->allocator == CAGMA_ALLOCATOR_QUEUE)
    return 0;
  for (size_t i = 0; i < n_claims; i++) {
    const CagmaClaim *claim = &plan->claims[i];
    const CagmaDomain *domain = host->domains[plan->claimants[i]];
    uint64_t need_kib = claim->may_grow ? cagma_above(claim->demand_kib, claim->standing_kib) : 0;

    room_kib -= (int64_t)need_kib;
    if (domain->emergency)
      urgent_kib += need_kib;
    if (gives_soon(domain, claim, now_us))
      room_kib += (int64_t)calm_spare(claim);
    needed = needed || need_kib > 0;
  }

  if (expected_kib >= (int64_t)host->pool_kib)
    host->pool_low = FALSE;
  else if (expected_kib < (int64_t)host->pool_kib / 2)
    host->pool_low = TRUE;
  pool_kib = (int64_t)cagma_above(host->pool_kib, urgent_kib);
  if (!needed && !host->pool_low)
    pool_kib = MIN(pool_kib, expected_kib);
  plan->tops_up = !needed && expected_kib >= 0;
  return (uint64_t)CLAMP(room_kib, 0, pool_kib);
}

static CagmaFit
allocate(CagmaHost *host, CagmaPlan *plan, size_t n_claims, int64_t expected_kib, int64_t now_us)
{
  CagmaAllocation allocation = {
    .claims = plan->claims,
    .claimants = plan->claimants,
    .n = n_claims,
    .in_hand_kib = plan->verdict.in_hand_kib,
    .pool_kib = plan->verdict.pool_kib,
    .expected_kib = expected_kib,
    .below_kib = plan->below_kib,
    .untouched_kib = plan->untouched_kib,
    .vessels = plan->vessels,
    .calm = plan->verdict.coming_kib == 0,
  };
  CagmaFit fit = cagma_host_allocator(host)->allocate(host, &allocation, now_us);

  plan->verdict.shortfall_kib = allocation.shortfall_kib;
  return fit;
}

/* With thousands of domains, most of a decision is waiting for their memory. */
#define AHEAD 6

static void
fetch(const CagmaDomain *domain)
{
  for (size_t at = 0; at < offsetof(CagmaDomain, queue); at += 64)
    __builtin_prefetch((const char *)domain + at);
}

void
cagma_decide(CagmaHost *host, int64_t now_us, CagmaPlan *plan)
{
  int64_t expected_kib;
  uint64_t need_kib = 0;
  size_t n_claims = 0;

  begin(plan, host->n_domains);
  plan->verdict.policy = host->policy;
  for (size_t i = 0; i < host->n_domains; i++) {
    if (i + AHEAD < host->n_domains)
      fetch(host->domains[i + AHEAD]);
    consider(host, i, now_us, plan, &n_claims);
  }

  plan->verdict.in_hand_kib = cagma_host_measure(host, now_us);
  plan->verdict.coming_kib = cagma_host_coming(host, now_us);
  expected_kib = host->measured_kib + (int64_t)plan->verdict.coming_kib;
  plan->verdict.pool_kib = pool_to_keep(host, plan, n_claims, expected_kib, now_us);
  expected_kib -= (int64_t)plan->verdict.pool_kib;
  plan->verdict.fit = allocate(host, plan, n_claims, expected_kib, now_us);

  for (size_t i = 0; i < n_claims; i++)
    need_kib += cagma_above(plan->claims[i].entitled_kib, plan->claims[i].standing_kib);
  if (!host->learning)
    plan_shrinks(host, plan, n_claims,
                 (int64_t)need_kib > expected_kib ? (uint64_t)((int64_t)need_kib - expected_kib) : 0);
  plan_growths(host, plan, n_claims);
  say_shared(host, plan, n_claims);
  if (cagma_policy_of(host->policy)->allocator == CAGMA_ALLOCATOR_QUEUE)
    note_places(host, plan);
}
