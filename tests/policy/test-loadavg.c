/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in MiB, computed by hand. */
#include "policy/loadavg.h"

#include <string.h>

#include "policy/units.h"

#define SECONDS(n) ((n)*CAGMA_SECOND_US)
#define START SECONDS(1000)

static void
tell_load(CagmaDomain *domain, uint64_t load1, uint64_t load5, uint64_t load15, int64_t now_us)
{
  CagmaSample sample = { .source = CAGMA_SAMPLE_CHANNEL,
                         .has = CAGMA_HAS_LOAD | CAGMA_HAS_VCPUS,
                         .load1_permille = load1,
                         .load5_permille = load5,
                         .load15_permille = load15,
                         .vcpus = 2 };

  cagma_estimator_of(CAGMA_ESTIMATOR_LOADAVG)->learn(domain, &sample, now_us);
}

/* 2 vCPUs, a guarantee of 256 MiB, a limit of 8 GiB, a headroom of 64 MiB. */
static CagmaDomain
domain_of(uint64_t size_mib, uint64_t used_mib)
{
  CagmaDomain domain;

  cagma_domain_init(&domain, START);
  domain.config.estimator = CAGMA_ESTIMATOR_LOADAVG;
  domain.config.headroom_permille = 0;
  domain.max_kib = CAGMA_GIB(8);
  g_assert_true(cagma_config_fit(&domain.config, domain.max_kib, NULL));
  domain.has_actual = TRUE;
  domain.actual_kib = CAGMA_MIB(size_mib);
  domain.has_figures = TRUE;
  domain.used_kib = CAGMA_MIB(used_mib);
  domain.available_kib = CAGMA_MIB(size_mib - used_mib);
  return domain;
}

static CagmaDemand
demand_of(const CagmaDomain *domain)
{
  CagmaDemand demand;

  cagma_estimate(domain, SECONDS(3), &demand);
  return demand;
}

/* Loads of the whole guest, which has two vCPUs, in permille. */
static const struct {
  const char *what;
  uint64_t size, used;
  uint64_t load1, load5, load15;
  uint64_t demand;
  int64_t grace_s; /* 0: no change, looked at again after 5 s */
} cases[] = {
  /* 19.5 % free: 64. Grace 10 + 50 × 64/256 × 0.975 = 22.1875, in permille of 195/200 */
  { "busy, little unused", 1000, 805, 1700, 0, 0, 1064, 22 },
  { "busy, very little unused", 1000, 921, 1700, 0, 0, 1256, 29 },
  { "busy, nothing unused", 1000, 1000, 1700, 0, 0, 1256, 10 },
  { "busy for long", 1000, 805, 1700, 2002, 1602, 1256, 58 },
  { "busy for long, but not for 15 minutes", 1000, 805, 1700, 2002, 1600, 1064, 22 },
  { "busy for long, but no more than that", 1000, 805, 1700, 2000, 1602, 1064, 22 },
  { "not quite busy", 1000, 805, 1600, 4000, 4000, 1000, 0 },
  { "busy, with enough unused", 1000, 800, 1700, 0, 0, 1000, 0 },
  { "neither busy nor idle", 1000, 200, 800, 0, 0, 1000, 0 },
  /* 35.1 % free: 32. 2 × (10 + 50 × 32/256) */
  { "idle, much unused", 1000, 649, 798, 798, 798, 968, 32 },
  { "idle, not so much unused", 1000, 650, 798, 0, 0, 1000, 0 },
  { "idle for long, most unused", 2000, 600, 798, 798, 798, 1872, 70 },
  { "idle, most unused, but busy before", 2000, 600, 798, 800, 0, 1968, 32 },
  { "idle, most unused, but busy long before", 2000, 600, 798, 0, 800, 1968, 32 },
  /* 60 % free is not more than 60 % */
  { "idle for long, much unused", 2000, 800, 0, 0, 0, 1968, 32 },
  /* the guarantee: 16 MiB are left of 32. 2 × (10 + 50 × 16/256) = 26.25 */
  { "no lower than the guarantee", 272, 100, 0, 0, 0, 256, 26 },
  { "at the guarantee", 256, 10, 0, 0, 0, 256, 0 },
  { "no higher than the limit", 8160, 8160, 1700, 0, 0, 8192, 10 },
};

static void
test_rules(void)
{
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain = domain_of(cases[i].size, cases[i].used);
    CagmaDemand demand;

    g_test_message("%s", cases[i].what);
    tell_load(&domain, cases[i].load1, cases[i].load5, cases[i].load15, START);
    cagma_domain_tick(&domain, START);
    demand = demand_of(&domain);
    g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(cases[i].demand));
    g_assert_cmpint(demand.wait_us / CAGMA_SECOND_US, ==, cases[i].grace_s ? cases[i].grace_s : 5);
    g_assert_cmpint(demand.change_kib, ==, ((int64_t)cases[i].demand - (int64_t)cases[i].size) * 1024);
    g_assert_cmpuint(demand.critical_kib, ==, CAGMA_MIB(64));
  }
}

/* 0.15 of what it should have stays unused: a domain of 40 MiB without a guarantee, of which
 * 24 are used, may come down to 24 / 0.85, however little that is. */
static void
test_a_removal_leaves_some_unused(void)
{
  CagmaDomain domain = domain_of(40, 24);

  domain.config.guarantee_kib = 0;
  tell_load(&domain, 0, 0, 0, START);
  cagma_domain_tick(&domain, START);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, 24 * 1024 * 100 / 85 + 1);
}

static void
test_a_change_is_followed_by_grace(void)
{
  CagmaDomain domain = domain_of(1000, 805);

  tell_load(&domain, 1700, 0, 0, START);
  cagma_domain_tick(&domain, START);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1064));
  /* It is short again at once, but its last grant hasn't shown yet. */
  domain.used_kib = CAGMA_MIB(1060);
  cagma_domain_tick(&domain, START + SECONDS(22));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1064));
  cagma_domain_tick(&domain, START + SECONDS(23));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1320));
}

/* Where nothing changes, it is looked at each 5 s, and not at each decision. */
static void
test_it_is_looked_at_every_five_seconds(void)
{
  CagmaDomain domain = domain_of(1000, 500);

  tell_load(&domain, 1700, 0, 0, START);
  cagma_domain_tick(&domain, START);
  domain.used_kib = CAGMA_MIB(900);
  cagma_domain_tick(&domain, START + SECONDS(4));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1000));
  cagma_domain_tick(&domain, START + SECONDS(5));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1064));
}

/* It asks by what it should have, not by what it has: for what it waits for it doesn't ask
 * again, and what nobody took isn't offered on and on. */
static void
test_what_is_not_carried_out_is_not_repeated(void)
{
  CagmaDomain hungry = domain_of(1000, 990), idle = domain_of(2000, 600);

  for (int64_t s = 0; s < 3600; s += 5) {
    tell_load(&hungry, 9000, 9000, 9000, START + SECONDS(s));
    tell_load(&idle, 0, 0, 0, START + SECONDS(s));
    cagma_domain_tick(&hungry, START + SECONDS(s));
    cagma_domain_tick(&idle, START + SECONDS(s));
  }
  /* 1000 + 256 = 1256, of which 21 % are unused: enough. */
  g_assert_cmpuint(demand_of(&hungry).demand_kib, ==, CAGMA_MIB(1256));
  /* Down until 35 % are unused: 600 / 0.65 = 923; 1872, …, 1488 (60 %), then by 32 to 912. */
  g_assert_cmpuint(demand_of(&idle).demand_kib, ==, CAGMA_MIB(912));
}

static void
test_without_loads_it_stays(void)
{
  CagmaDomain domain = domain_of(1000, 990);
  CagmaSample sample = { .has = CAGMA_HAS_LOAD, .load1_permille = 9000 };
  g_autoptr(GString) text = g_string_new(NULL);
  CagmaDemand demand;

  cagma_domain_tick(&domain, START);
  demand = demand_of(&domain);
  g_assert_cmpuint(demand.demand_kib, ==, CAGMA_MIB(1000));
  cagma_demand_explain(text, CAGMA_ESTIMATOR_LOADAVG, &demand);
  g_assert_nonnull(strstr(text->str, "without an agent that tells its load it stays where it is"));

  /* A load of who knows how many vCPUs says nothing. */
  cagma_estimator_learn(&domain, &sample, START);
  cagma_domain_tick(&domain, START + SECONDS(5));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1000));

  tell_load(&domain, 1700, 0, 0, START + SECONDS(10));
  cagma_domain_tick(&domain, START + SECONDS(10));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1256));

  /* The agent died: it stays where it stands now. */
  domain.actual_kib = CAGMA_MIB(1100);
  for (int64_t s = 11; s <= 71; s++)
    cagma_domain_tick(&domain, START + SECONDS(s));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1100));
  g_assert_false(demand_of(&domain).heard);
}

static void
test_emergency(void)
{
  CagmaDomain domain = domain_of(1000, 990);

  tell_load(&domain, 0, 0, 0, START);
  cagma_domain_tick(&domain, START);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1000));
  g_assert_true(cagma_domain_press(&domain, demand_of(&domain).critical_kib, START + SECONDS(1)));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(990 + 64));
  cagma_domain_tick(&domain, START + SECONDS(1));
  /* It isn't forgotten when the emergency is over. */
  cagma_domain_tick(&domain, START + SECONDS(12));
  g_assert_false(domain.emergency);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(990 + 64));
}

static void
test_emergency_without_loads(void)
{
  CagmaDomain domain = domain_of(1000, 990);

  cagma_domain_tick(&domain, START);
  g_assert_true(cagma_domain_press(&domain, demand_of(&domain).critical_kib, START));
  cagma_domain_tick(&domain, START);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(990 + 64));
}

/* What it should have had before another estimator took over for a while is void. */
static void
test_it_begins_anew_after_a_pause(void)
{
  CagmaDomain domain = domain_of(1000, 990);

  tell_load(&domain, 1700, 0, 0, START);
  cagma_domain_tick(&domain, START);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1256));
  domain.actual_kib = CAGMA_MIB(3000);
  domain.used_kib = CAGMA_MIB(2200);
  tell_load(&domain, 900, 0, 0, START + SECONDS(100));
  cagma_domain_tick(&domain, START + SECONDS(100));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(3000));
}

static void
test_explanation(void)
{
  CagmaDomain domain = domain_of(1000, 805);
  g_autoptr(GString) text = g_string_new(NULL);
  CagmaDemand demand;

  tell_load(&domain, 1700, 2500, 110, START);
  cagma_domain_tick(&domain, START);
  demand = demand_of(&domain);
  cagma_demand_explain(text, CAGMA_ESTIMATOR_LOADAVG, &demand);
  g_assert_cmpstr(text->str, ==,
                  "load of 0.85, 1.25 and 0.05 a vCPU over 1, 5 and 15 minutes, 24 % of what it should have "
                  "unused; last 64 MiB were added; looked at again in 23 s");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/loadavg/rules", test_rules);
  g_test_add_func("/loadavg/removal-leaves-some-unused", test_a_removal_leaves_some_unused);
  g_test_add_func("/loadavg/grace", test_a_change_is_followed_by_grace);
  g_test_add_func("/loadavg/every-five-seconds", test_it_is_looked_at_every_five_seconds);
  g_test_add_func("/loadavg/not-repeated", test_what_is_not_carried_out_is_not_repeated);
  g_test_add_func("/loadavg/without-loads", test_without_loads_it_stays);
  g_test_add_func("/loadavg/emergency", test_emergency);
  g_test_add_func("/loadavg/emergency-without-loads", test_emergency_without_loads);
  g_test_add_func("/loadavg/after-a-pause", test_it_begins_anew_after_a_pause);
  g_test_add_func("/loadavg/explanation", test_explanation);
  return g_test_run();
}
