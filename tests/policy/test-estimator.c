/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in MiB, computed by hand. */
#include "policy/estimator.h"
#include "policy/rules.h"
#include "policy/units.h"

#define SECONDS(n) ((n)*CAGMA_SECOND_US)

static CagmaDomain
domain_that_uses(uint64_t used_mib, uint64_t available_mib)
{
  CagmaDomain domain;

  cagma_domain_init(&domain, SECONDS(1));
  domain.max_kib = CAGMA_GIB(8);
  g_assert_true(cagma_config_fit(&domain.config, domain.max_kib, NULL));
  domain.has_actual = TRUE;
  domain.actual_kib = CAGMA_MIB(used_mib + available_mib);
  domain.has_figures = TRUE;
  domain.used_kib = CAGMA_MIB(used_mib);
  domain.available_kib = CAGMA_MIB(available_mib);
  return domain;
}

static void
test_critical(void)
{
  static const struct {
    const char *what;
    uint64_t used;
    uint32_t headroom_permille;
    uint64_t headroom, swap_back;
    uint32_t rate;
    uint64_t consumption_per_s;
    uint64_t critical, demand, wish;
  } cases[] = {
    { "10 % of what is used", 1000, 100, 0, 0, 1100, 0, 100, 1100, 1100 },
    { "64 MiB at the least", 500, 100, 0, 0, 1100, 0, 64, 564, 564 },
    { "a fixed headroom", 1000, 0, 200, 0, 1100, 0, 200, 1200, 1200 },
    { "a fixed headroom of too little", 1000, 0, 10, 0, 1100, 0, 64, 1064, 1064 },
    { "what was swapped back × 1.1", 1000, 100, 0, 300, 1100, 0, 100 + 330, 1430, 1430 },
    { "what was swapped back × 2", 1000, 100, 0, 300, 2000, 0, 100 + 600, 1700, 1700 },
    { "3 s of consumption, where that's more than the headroom", 1000, 100, 0, 0, 1100, 50, 100, 1100, 1150 },
    { "3 s of consumption, where that's less", 1000, 100, 0, 0, 1100, 20, 100, 1100, 1100 },
    { "consumption of half its size at the most", 1000, 100, 0, 0, 1100, 9000, 100, 1100, 1550 },
    { "never below the guarantee", 50, 100, 0, 0, 1100, 0, 64, 256, 256 },
    { "never above the limit", 8000, 500, 0, 0, 1100, 0, 4000, 8192, 8192 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain = domain_that_uses(cases[i].used, 100);
    CagmaDemand demand;

    g_test_message("%s", cases[i].what);
    domain.config.headroom_permille = cases[i].headroom_permille;
    domain.config.headroom_kib = CAGMA_MIB(cases[i].headroom);
    domain.config.rate_permille = cases[i].rate;
    domain.swap_back_kib = CAGMA_MIB(cases[i].swap_back);
    domain.consumption_kib_per_s = CAGMA_MIB(cases[i].consumption_per_s);
    cagma_estimate(&domain, SECONDS(3), &demand);
    g_assert_cmpuint(demand.critical_kib, ==, CAGMA_MIB(cases[i].critical));
    g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(cases[i].demand));
    g_assert_cmpuint(demand.wish_kib, ==, CAGMA_MIB(cases[i].wish));
  }
}

/* Who is, has it decided at once: where that can change something, and by figures of its present size. */
static void
test_short(void)
{
  static const struct {
    const char *what;
    gboolean managed;
    CagmaMode mode;
    const char *hold;
    uint32_t without;
    gboolean has_figures;
    CagmaMove move;
    uint64_t available, limit;
    gboolean is_short;
  } cases[] = {
    { "less than the headroom", TRUE, CAGMA_MODE_ENFORCE, NULL, 0, TRUE, CAGMA_MOVE_NONE, 99, 4096, TRUE },
    { "as much", TRUE, CAGMA_MODE_ENFORCE, NULL, 0, TRUE, CAGMA_MOVE_NONE, 100, 4096, FALSE },
    { "at its limit", TRUE, CAGMA_MODE_ENFORCE, NULL, 0, TRUE, CAGMA_MOVE_NONE, 0, 1024, FALSE },
    { "its balloon moves", TRUE, CAGMA_MODE_ENFORCE, NULL, 0, TRUE, CAGMA_MOVE_GROW, 0, 4096, FALSE },
    { "no figures", TRUE, CAGMA_MODE_ENFORCE, NULL, 0, FALSE, CAGMA_MOVE_NONE, 0, 4096, FALSE },
    { "held", TRUE, CAGMA_MODE_ENFORCE, "paused", 0, TRUE, CAGMA_MOVE_NONE, 0, 4096, FALSE },
    { "observed", TRUE, CAGMA_MODE_OBSERVE, NULL, 0, TRUE, CAGMA_MOVE_NONE, 0, 4096, FALSE },
    { "unmanaged", FALSE, CAGMA_MODE_ENFORCE, NULL, 0, TRUE, CAGMA_MOVE_NONE, 0, 4096, FALSE },
    { "without the rule", TRUE, CAGMA_MODE_ENFORCE, NULL, CAGMA_RULE_EMERGENCY, TRUE, CAGMA_MOVE_NONE, 0,
      4096, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain;

    g_test_message("%s", cases[i].what);
    cagma_domain_init(&domain, 0);
    domain.managed = cases[i].managed;
    domain.config.mode = cases[i].mode;
    domain.config.headroom_permille = 100;
    domain.config.limit_kib = CAGMA_MIB(cases[i].limit);
    domain.hold = cases[i].hold;
    domain.without = cases[i].without;
    domain.has_figures = cases[i].has_figures;
    domain.move = cases[i].move;
    domain.actual_kib = CAGMA_MIB(1024);
    domain.used_kib = CAGMA_MIB(1000);
    domain.available_kib = CAGMA_MIB(cases[i].available);
    g_assert_cmpint(cagma_is_short(&domain), ==, cases[i].is_short);
  }
}

/* 1000 used, a headroom of 100: 1100 are needed. */
static void
test_what_would_be_of_use_beside(void)
{
  static const struct {
    const char *what;
    uint64_t available, cache_back, consumption_per_s;
    uint32_t rate, shares;
    uint64_t limit, wish, cache_told;
  } cases[] = {
    { "nothing", 100, 0, 0, 1100, 1000, 8192, 1100, 0 },
    { "cache that came back × 1.1, on top of the cache it has", 300, 100, 0, 1100, 1000, 8192, 1410, 100 },
    { "× 2", 300, 100, 0, 2000, 1000, 8192, 1500, 100 },
    { "so little cache says nothing", 300, 3, 0, 1100, 1000, 8192, 1100, 0 },
    { "a little more does", 300, 4, 0, 1000, 1000, 8192, 1304, 4 },
    { "less than what is needed anyway", 10, 50, 0, 1100, 1000, 8192, 1100, 50 },
    { "what is foreseen, where that's more", 100, 100, 100, 1100, 1000, 8192, 1300, 100 },
    { "the cache, where that's more", 300, 100, 100, 1100, 1000, 8192, 1410, 100 },
    { "no more than the limit", 300, 100, 100, 1100, 1000, 1200, 1200, 100 },
    { "nothing without shares", 300, 100, 100, 1100, 0, 8192, 1100, 100 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain = domain_that_uses(1000, cases[i].available);
    CagmaDemand demand;

    g_test_message("%s", cases[i].what);
    domain.config.headroom_permille = 100;
    domain.config.rate_permille = cases[i].rate;
    domain.config.shares = cases[i].shares;
    domain.config.limit_kib = CAGMA_MIB(cases[i].limit);
    domain.cache_back_kib = CAGMA_MIB(cases[i].cache_back);
    domain.consumption_kib_per_s = CAGMA_MIB(cases[i].consumption_per_s);
    cagma_estimate(&domain, SECONDS(3), &demand);
    g_assert_cmpuint(demand.wish_kib, ==, CAGMA_MIB(cases[i].wish));
    g_assert_cmpuint(demand.cache_back_kib, ==, CAGMA_MIB(cases[i].cache_told));
    g_assert_cmpuint(demand.critical_kib, ==, CAGMA_MIB(100));
    g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(1100));
  }
}

/* 1000 used, a headroom of 100. What can't be done without is less than the demand only for who
 * has swap to go to, and isn't killed for want of it. */
static void
test_bare_need(void)
{
  static const struct {
    const char *what;
    gboolean told;
    uint64_t swap_total, swap_used, bare, swapped_out;
  } cases[] = {
    { "a quarter of the headroom, where there is swap", TRUE, 500, 0, 1025, 0 },
    { "as much as the headroom is enough", TRUE, 500, 400, 1025, 0 },
    { "all of it, where swap is all but full", TRUE, 500, 401, 1100, 0 },
    { "or there is none", TRUE, 0, 0, 1100, 0 },
    { "or nobody tells", FALSE, 500, 0, 1100, 0 },
    { "but that something goes there", FALSE, 0, 0, 1025, 1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain = domain_that_uses(1000, 100);
    CagmaDemand demand;

    g_test_message("%s", cases[i].what);
    domain.config.headroom_permille = 100;
    domain.has_swap_used = cases[i].told;
    domain.swap_total_kib = CAGMA_MIB(cases[i].swap_total);
    domain.swap_used_kib = CAGMA_MIB(cases[i].swap_used);
    domain.swap_out_kib_per_s = CAGMA_MIB(cases[i].swapped_out);
    cagma_estimate(&domain, SECONDS(3), &demand);
    g_assert_cmpuint(demand.bare_kib, ==, CAGMA_MIB(cases[i].bare));
  }
}

/* It is within what holds for every demand, and the whole of one that is no estimate. */
static void
test_bare_need_is_bounded(void)
{
  CagmaDomain domain = domain_that_uses(1000, 100);
  CagmaDemand demand;

  domain.config.headroom_permille = 100;
  domain.has_swap_used = TRUE;
  domain.swap_total_kib = CAGMA_MIB(500);
  domain.config.limit_kib = CAGMA_MIB(1010);
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.bare_kib, ==, CAGMA_MIB(1010));
  domain.config.limit_kib = CAGMA_MIB(8192);
  domain.config.guarantee_kib = CAGMA_MIB(1050);
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.bare_kib, ==, CAGMA_MIB(1050));
  domain.regain_kib = CAGMA_MIB(3000);
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(3000));
  g_assert_cmpuint(demand.bare_kib, ==, CAGMA_MIB(1050));
  domain.has_figures = FALSE;
  domain.regain_kib = 0;
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.bare_kib, ==, demand.demand_kib);
}

static void
test_what_was_pushed_out_counts_while_there_is_no_room(void)
{
  static const struct {
    uint64_t available, swap_back, pushed_out, counts;
  } cases[] = {
    { 10, 0, 300, 300 }, /* it ramps: nothing was swapped in yet */
    { 10, 200, 300, 300 },  { 10, 400, 300, 400 },
    { 64, 0, 300, 0 }, /* there is room: what was pushed out was idle */
    { 500, 200, 300, 200 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain = domain_that_uses(500, cases[i].available);
    CagmaDemand demand;

    domain.swap_back_kib = CAGMA_MIB(cases[i].swap_back);
    domain.pushed_out_kib = CAGMA_MIB(cases[i].pushed_out);
    cagma_estimate(&domain, SECONDS(3), &demand);
    g_assert_cmpuint(demand.swap_back_kib, ==, CAGMA_MIB(cases[i].counts));
    g_assert_cmpuint(demand.critical_kib, ==, CAGMA_MIB(64) + CAGMA_MIB(cases[i].counts) * 11 / 10);
  }
}

/* What was granted for a need isn't a reason to foresee more of it. */
static void
test_a_grant_alone_raises_nothing(void)
{
  CagmaDomain domain = domain_that_uses(1000, 0);
  CagmaDemand before, after;

  domain.consumption_kib_per_s = CAGMA_MIB(9000);
  cagma_estimate(&domain, SECONDS(3), &before);
  g_assert_cmpuint(before.foreseen_kib, ==, CAGMA_MIB(500));
  domain.actual_kib = CAGMA_MIB(1500);
  cagma_estimate(&domain, SECONDS(3), &after);
  g_assert_cmpuint(after.foreseen_kib, ==, before.foreseen_kib);
  g_assert_cmpuint(after.demand_kib, ==, before.demand_kib);
  g_assert_cmpuint(after.wish_kib, ==, before.wish_kib);
}

static void
test_without_figures_it_demands_what_it_stands_at(void)
{
  CagmaDomain domain = domain_that_uses(1000, 1000);
  CagmaDemand demand;

  domain.has_figures = FALSE;
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(2000));
}

/* CAGMA's own sources. 1000 used, 100 available, a headroom of 100, a rate of 1.1. */
static void
test_footprints(void)
{
  static const struct {
    const char *what;
    CagmaCriticalSource source;
    uint64_t largest, swapping, out, in;
    gboolean agent;
    uint64_t swap_used, footprint, critical;
    gboolean approximated;
  } cases[] = {
    { "the largest process", CAGMA_SOURCE_MAX, 600, 200, 50, 0, TRUE, 50, 600, 660, FALSE },
    { "that swaps", CAGMA_SOURCE_MAX, 600, 700, 50, 0, TRUE, 50, 700, 770, FALSE },
    { "the swapping process", CAGMA_SOURCE_SWAPPING, 600, 200, 50, 0, TRUE, 50, 200, 220, FALSE },
    { "a small one", CAGMA_SOURCE_SWAPPING, 600, 20, 50, 0, TRUE, 50, 20, 100, FALSE },
    { "none swaps", CAGMA_SOURCE_SWAPPING, 600, 0, 50, 0, TRUE, 50, 0, 100, FALSE },
    { "all, by the agent", CAGMA_SOURCE_SUM, 600, 200, 500, 0, TRUE, 50, 1050, 1155, FALSE },
    { "all, by the balloon", CAGMA_SOURCE_SUM, 0, 0, 500, 300, FALSE, 0, 1200, 1320, TRUE },
    { "largest, by the balloon", CAGMA_SOURCE_MAX, 0, 0, 500, 300, FALSE, 0, 1200, 1320, TRUE },
    { "swapping, by the balloon", CAGMA_SOURCE_SWAPPING, 0, 0, 500, 300, FALSE, 0, 1200, 1320, TRUE },
    { "more in than out", CAGMA_SOURCE_MAX, 0, 0, 300, 500, FALSE, 0, 1000, 1100, TRUE },
    { "agent without processes", CAGMA_SOURCE_MAX, 0, 0, 500, 0, TRUE, 50, 1050, 1155, TRUE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain = domain_that_uses(1000, 100);
    CagmaDemand demand;

    g_test_message("%s", cases[i].what);
    domain.config.source = cases[i].source;
    domain.largest_kib = CAGMA_MIB(cases[i].largest);
    domain.swapping_kib = CAGMA_MIB(cases[i].swapping);
    domain.swap_out_kib = CAGMA_MIB(cases[i].out);
    domain.swap_in_kib = CAGMA_MIB(cases[i].in);
    domain.has_swap_used = cases[i].agent;
    domain.swap_used_kib = CAGMA_MIB(cases[i].swap_used);
    /* What it lately swapped is the deficit's business. */
    domain.swap_back_kib = domain.pushed_out_kib = CAGMA_MIB(900);
    cagma_estimate(&domain, SECONDS(3), &demand);
    g_assert_cmpuint(demand.footprint_kib, ==, CAGMA_MIB(cases[i].footprint));
    g_assert_cmpuint(demand.critical_kib, ==, CAGMA_MIB(cases[i].critical));
    g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(1000 + cases[i].critical));
    g_assert_cmpint(demand.approximated, ==, cases[i].approximated);
  }
}

static void
test_wildest_footprints_end_at_the_limit(void)
{
  for (int source = CAGMA_SOURCE_MAX; source <= CAGMA_SOURCE_SWAPPING; source++) {
    CagmaDomain domain = domain_that_uses(1000, 0);
    CagmaDemand demand;

    domain.config.source = (CagmaCriticalSource)source;
    domain.config.rate_permille = CAGMA_RATE_MAX_PERMILLE;
    domain.used_kib = domain.largest_kib = domain.swapping_kib = domain.swap_out_kib = CAGMA_MAX_KIB;
    cagma_estimate(&domain, INT64_MAX, &demand);
    g_assert_cmpuint(demand.critical_kib, >=, CAGMA_MAX_KIB);
    g_assert_cmpuint(demand.demand_kib, ==, CAGMA_GIB(8));
  }
}

static void
test_static_demands_the_guarantee(void)
{
  CagmaDomain domain = domain_that_uses(4000, 100);
  CagmaDemand demand;

  domain.config.estimator = CAGMA_ESTIMATOR_STATIC;
  domain.config.guarantee_kib = CAGMA_MIB(700);
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(700));
}

static void
test_without_shares_it_demands_no_more_than_it_has(void)
{
  CagmaDomain domain = domain_that_uses(1000, 50);
  CagmaDemand demand;

  domain.config.shares = 0;
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(1050));

  domain.config.guarantee_kib = CAGMA_MIB(2000);
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(2000));
}

static void
test_what_a_hurtful_shrink_took_is_demanded_back(void)
{
  CagmaDomain domain = domain_that_uses(1000, 500);
  CagmaDemand demand;

  domain.regain_kib = CAGMA_MIB(3000);
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(3000));

  domain.config.limit_kib = CAGMA_MIB(2500);
  cagma_estimate(&domain, SECONDS(3), &demand);
  g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(2500));
}

static void
test_wildest_figures_end_at_the_limit(void)
{
  CagmaDomain domain = domain_that_uses(1000, 0);
  CagmaDemand demand;

  domain.used_kib = domain.swap_back_kib = domain.consumption_kib_per_s = CAGMA_MAX_KIB;
  domain.cache_back_kib = CAGMA_MAX_KIB;
  domain.config.rate_permille = CAGMA_RATE_MAX_PERMILLE;
  domain.config.headroom_permille = CAGMA_HEADROOM_MAX_PERMILLE;
  cagma_estimate(&domain, INT64_MAX, &demand);
  g_assert_cmpuint(demand.demand_kib, ==, CAGMA_GIB(8));
  g_assert_cmpuint(demand.wish_kib, ==, CAGMA_GIB(8));
  g_assert_cmpuint(demand.foreseen_kib, ==, CAGMA_MIB(500));
}

/* What holds for each of them: it is bounded, stays where it is without figures, and speaks. */
static void
test_every_estimator(void)
{
  for (unsigned int kind = 0; kind < CAGMA_N_ESTIMATORS; kind++) {
    CagmaDomain domain = domain_that_uses(1000, 1000);
    g_autoptr(GString) text = g_string_new(NULL);
    CagmaDemand demand;

    g_assert_nonnull(cagma_estimator_to_string((CagmaEstimatorKind)kind));
    domain.config.estimator = (CagmaEstimatorKind)kind;
    domain.config.guarantee_kib = CAGMA_MIB(2100);
    cagma_domain_tick(&domain, SECONDS(1));
    cagma_estimate(&domain, SECONDS(3), &demand);
    g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(2100));
    g_assert_cmpuint(demand.used_kib, ==, CAGMA_MIB(1000));
    g_assert_false(demand.blind);
    cagma_demand_explain(text, domain.config.estimator, &demand);
    g_assert_cmpuint(text->len, >, 0);
    g_assert_cmpint(text->str[text->len - 1], !=, '.');

    domain.has_figures = FALSE;
    domain.config.guarantee_kib = 0;
    cagma_estimate(&domain, SECONDS(3), &demand);
    g_assert_true(demand.blind == (kind != CAGMA_ESTIMATOR_STATIC));
    g_assert_cmpuint(demand.demand_kib, ==, demand.blind ? CAGMA_MIB(2000) : 0);
  }
  g_assert_null(cagma_estimator_of((CagmaEstimatorKind)CAGMA_N_ESTIMATORS));
  g_assert_null(cagma_estimator_to_string((CagmaEstimatorKind)CAGMA_N_ESTIMATORS));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/estimator/short", test_short);
  g_test_add_func("/estimator/critical", test_critical);
  g_test_add_func("/estimator/wish", test_what_would_be_of_use_beside);
  g_test_add_func("/estimator/bare", test_bare_need);
  g_test_add_func("/estimator/bare-bounds", test_bare_need_is_bounded);
  g_test_add_func("/estimator/grant-raises-nothing", test_a_grant_alone_raises_nothing);
  g_test_add_func("/estimator/pushed-out", test_what_was_pushed_out_counts_while_there_is_no_room);
  g_test_add_func("/estimator/no-figures", test_without_figures_it_demands_what_it_stands_at);
  g_test_add_func("/estimator/footprints", test_footprints);
  g_test_add_func("/estimator/wildest-footprints", test_wildest_footprints_end_at_the_limit);
  g_test_add_func("/estimator/static", test_static_demands_the_guarantee);
  g_test_add_func("/estimator/no-shares", test_without_shares_it_demands_no_more_than_it_has);
  g_test_add_func("/estimator/regain", test_what_a_hurtful_shrink_took_is_demanded_back);
  g_test_add_func("/estimator/every", test_every_estimator);
  g_test_add_func("/estimator/wildest-figures", test_wildest_figures_end_at_the_limit);
  return g_test_run();
}
