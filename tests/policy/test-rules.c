/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each rule's absence changes. Numbers in MiB, computed by hand. */
#include "policy/rules.h"

#include "rig.h"

static void
test_names(void)
{
  static const struct {
    const char *name;
    CagmaRule rule;
  } cases[] = {
    { "foreseen", CAGMA_RULE_FORESEEN },
    { "swap-back", CAGMA_RULE_SWAP_BACK },
    { "pushed-out", CAGMA_RULE_PUSHED_OUT },
    { "cache-back", CAGMA_RULE_CACHE_BACK },
    { "emergency", CAGMA_RULE_EMERGENCY },
    { "pool", CAGMA_RULE_POOL },
    { "spread", CAGMA_RULE_SPREAD },
    { "slow-take", CAGMA_RULE_SLOW_TAKE },
    { "hurt", CAGMA_RULE_HURT },
    { "deadband", CAGMA_RULE_DEADBAND },
    { "read-back", CAGMA_RULE_READ_BACK },
  };

  g_assert_cmpuint(G_N_ELEMENTS(cases), ==, CAGMA_N_RULES);
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaRule rule = 0;

    g_assert_cmpstr(cagma_rule_name(i), ==, cases[i].name);
    g_assert_cmpuint(1u << i, ==, cases[i].rule);
    g_assert_true(cagma_rule_from_name(cases[i].name, &rule));
    g_assert_cmpuint(rule, ==, cases[i].rule);
  }
}

static void
test_what_is_none(void)
{
  static const char *const names[] = { NULL, "", "Spread", "spread ", "spreads", "pushed out" };
  CagmaRule rule = CAGMA_RULE_POOL;

  g_assert_null(cagma_rule_name(CAGMA_N_RULES));
  g_assert_null(cagma_rule_name(UINT_MAX));
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
    g_assert_false(cagma_rule_from_name(names[i], &rule));
  g_assert_cmpuint(rule, ==, CAGMA_RULE_POOL);
}

/* 1000 used and 10 available, and every sign of more. */
static void
test_estimates(void)
{
  static const struct {
    uint32_t without;
    uint64_t demand, wish;
  } cases[] = {
    /* 64 on top, and 200 pushed out × 1.1; 3 s at 100 a second; 30 of the cache × 1.1. */
    { 0, 1000 + 64 + 220, 1000 + 64 + 220 + 300 - 64 },
    { CAGMA_RULE_FORESEEN, 1284, 1284 },
    { CAGMA_RULE_PUSHED_OUT, 1000 + 64 + 110, 1174 + 236 },
    { CAGMA_RULE_PUSHED_OUT | CAGMA_RULE_SWAP_BACK, 1064, 1064 + 236 },
    { CAGMA_RULE_PUSHED_OUT | CAGMA_RULE_SWAP_BACK | CAGMA_RULE_FORESEEN, 1064, 1010 + 110 },
    { CAGMA_RULE_PUSHED_OUT | CAGMA_RULE_SWAP_BACK | CAGMA_RULE_FORESEEN | CAGMA_RULE_CACHE_BACK, 1064,
      1064 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Rig rig;
    CagmaDomain *domain;
    CagmaDemand demand;

    rig_init(&rig, 8192);
    domain = rig_add(&rig, 4096, 1010, 10);
    rig_pass(&rig, 3);
    domain->swap_back_kib = CAGMA_MIB(100);
    domain->pushed_out_kib = CAGMA_MIB(200);
    domain->cache_back_kib = CAGMA_MIB(100);
    domain->consumption_kib_per_s = CAGMA_MIB(100);
    domain->without = cases[i].without;
    cagma_estimate(domain, 3 * CAGMA_SECOND_US, &demand);
    g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(cases[i].demand));
    g_assert_cmpuint(demand.wish_kib, ==, CAGMA_MIB(cases[i].wish));
    rig_clear(&rig);
  }
}

static void
test_emergency(void)
{
  for (int without = 0; without < 2; without++) {
    Rig rig;

    rig_init(&rig, 8192);
    rig_add(&rig, 4096, 1024, 10)->without = without ? CAGMA_RULE_EMERGENCY : 0;
    rig_pass(&rig, 3);
    g_assert_true(rig_press(&rig, 0) == !without);
    rig_clear(&rig);
  }
}

static void
test_pool(void)
{
  for (int without = 0; without < 2; without++) {
    Rig rig;

    rig_init(&rig, 1024 + 200);
    rig.host.pool_kib = CAGMA_MIB(200);
    rig.host.without |= without ? CAGMA_RULE_POOL : 0;
    rig_add(&rig, 4096, 1024, 500);
    rig_pass(&rig, 3);
    rig_decide(&rig);
    g_assert_cmpuint(rig.plan.verdict.pool_kib, ==, without ? 0 : CAGMA_MIB(200));
    rig_clear(&rig);
  }
}

static void
test_spread(void)
{
  for (int without = 0; without < 2; without++) {
    Rig rig;

    rig_init(&rig, 2048);
    rig.host.without = without ? CAGMA_RULE_SPREAD : 0;
    rig_add(&rig, 4096, 1024, 500);
    rig_pass(&rig, 10);
    rig_decide(&rig);
    g_assert_cmpuint(rig_target_mib(&rig, 0), ==, without ? 0 : 2048);
    rig_clear(&rig);
  }
}

/* 400 wanted, and 500 to spare. */
static void
test_slow_take(void)
{
  for (int without = 0; without < 2; without++) {
    Rig rig;

    rig_init(&rig, 4096);
    rig.host.without |= without ? CAGMA_RULE_SLOW_TAKE : 0;
    rig_add(&rig, 4096, 2048, 0)->config.headroom_kib = CAGMA_MIB(400);
    rig_add(&rig, 4096, 2048, 564);
    rig_pass(&rig, 3);
    rig_decide(&rig);
    g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 2048 - (without ? 400 : 250));
    rig_clear(&rig);
  }
}

static void
test_hurt(void)
{
  for (int without = 0; without < 2; without++) {
    Rig rig;
    CagmaDomain *domain;

    rig_init(&rig, 8192);
    domain = rig_add(&rig, 4096, 2048, 500);
    domain->without = without ? CAGMA_RULE_HURT : 0;
    rig_pass(&rig, 3);
    cagma_domain_set(domain, CAGMA_MIB(1900), rig.now_us);
    rig.samples[0].actual_kib = CAGMA_MIB(1900);
    rig.samples[0].swap_out_kib += CAGMA_MIB(10);
    rig.samples[0].swap_in_kib += CAGMA_MIB(10);
    rig_pass(&rig, 1);
    g_assert_cmpuint(domain->regain_kib, ==, without ? 0 : CAGMA_MIB(2048));
    rig_clear(&rig);
  }
}

/* 19 wanted; 2 % of 1024 is 20. */
static void
test_deadband(void)
{
  for (int without = 0; without < 2; without++) {
    Rig rig;

    rig_init(&rig, 8192);
    rig_add(&rig, 4096, 1024, 45)->without = without ? CAGMA_RULE_DEADBAND : 0;
    rig_pass(&rig, 3);
    rig_decide(&rig);
    g_assert_cmpuint(rig_target_mib(&rig, 0), ==, without ? 1024 + 19 : 0);
    rig_clear(&rig);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/rules/names", test_names);
  g_test_add_func("/rules/none", test_what_is_none);
  g_test_add_func("/rules/estimates", test_estimates);
  g_test_add_func("/rules/emergency", test_emergency);
  g_test_add_func("/rules/pool", test_pool);
  g_test_add_func("/rules/spread", test_spread);
  g_test_add_func("/rules/slow-take", test_slow_take);
  g_test_add_func("/rules/hurt", test_hurt);
  g_test_add_func("/rules/deadband", test_deadband);
  return g_test_run();
}
