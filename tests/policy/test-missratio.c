/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in MiB, computed by hand, where KiB doesn't stand. */
#include "policy/missratio.h"

#include <string.h>

#include "policy/units.h"

#define SECONDS(n) ((n)*CAGMA_SECOND_US)
#define START SECONDS(1000)
#define MAX_KIB CAGMA_MIB(6400) /* buckets of 100 */

/* A guarantee of 100, a headroom of 64; it has swapped before. */
static CagmaDomain
domain_of(uint64_t size_mib, uint64_t used_mib)
{
  CagmaDomain domain;

  cagma_domain_init(&domain, START);
  domain.config.estimator = CAGMA_ESTIMATOR_MISSRATIO;
  domain.config.headroom_permille = 0;
  domain.config.guarantee_kib = CAGMA_MIB(100);
  domain.max_kib = MAX_KIB;
  g_assert_true(cagma_config_fit(&domain.config, domain.max_kib, NULL));
  domain.has_actual = TRUE;
  domain.actual_kib = CAGMA_MIB(size_mib);
  domain.has_figures = TRUE;
  domain.used_kib = CAGMA_MIB(used_mib);
  domain.available_kib = CAGMA_MIB(size_mib - used_mib);
  domain.has_counters = CAGMA_COUNTERS;
  domain.swap_out_kib = CAGMA_MIB(10);
  return domain;
}

static CagmaDemand
demand_of(const CagmaDomain *domain)
{
  CagmaDemand demand;

  cagma_estimate(domain, SECONDS(3), &demand);
  return demand;
}

/* 900 again at once, 60 after 300 and more of others, 40 after 900 and more. */
static void
feed(CagmaDomain *domain, int64_t now_us)
{
  CagmaReuse reuse;

  cagma_reuse_init(&reuse, MAX_KIB);
  cagma_reuse_add(&reuse, 0, CAGMA_MIB(450));
  cagma_reuse_add(&reuse, CAGMA_MIB(100) - 1, CAGMA_MIB(450));
  cagma_reuse_add(&reuse, CAGMA_MIB(300), CAGMA_MIB(60));
  cagma_reuse_add(&reuse, CAGMA_MIB(999), CAGMA_MIB(40));
  cagma_reuse_add(&reuse, MAX_KIB, CAGMA_GIB(100)); /* no size would keep that */
  cagma_missratio_feed(domain, &reuse, now_us);
}

static void
test_misses(void)
{
  static const struct {
    uint64_t size, misses;
  } cases[] = { { 0, 1000 }, { 50, 550 }, { 100, 100 }, { 300, 100 }, { 350, 70 }, { 400, 40 },
                { 900, 40 }, { 975, 10 }, { 1000, 0 },  { 6399, 0 },  { 6400, 0 }, { 9999, 0 } };
  CagmaDomain domain = domain_of(1000, 500);

  feed(&domain, START);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, CAGMA_MIB(cases[i].size)), ==,
                     CAGMA_MIB(cases[i].misses));
}

/* As a record may have it that is anybody's. */
static void
test_curve_without_buckets(void)
{
  CagmaDomain domain = domain_of(1000, 500);

  domain.missratio.has_curve = TRUE;
  g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, CAGMA_MIB(100)), ==, 0);
  demand_of(&domain);
}

static void
test_feeds_add_up_and_fade(void)
{
  CagmaDomain domain = domain_of(1000, 500);
  CagmaReuse other;

  feed(&domain, START);
  feed(&domain, START);
  g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, 0), ==, CAGMA_MIB(2000));
  cagma_domain_tick(&domain, START);
  g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, 0), ==, CAGMA_MIB(1000));
  cagma_domain_tick(&domain, START + SECONDS(9));
  g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, 0), ==, CAGMA_MIB(1000));
  cagma_domain_tick(&domain, START + SECONDS(10));
  g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, 0), ==, CAGMA_MIB(500));

  /* Buckets of another <memory> mean nothing; and those of the old one don't any more. */
  cagma_reuse_init(&other, 2 * MAX_KIB);
  cagma_reuse_add(&other, 0, CAGMA_MIB(1));
  cagma_missratio_feed(&domain, &other, START + SECONDS(11));
  g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, 0), ==, CAGMA_MIB(500));
  domain.max_kib = 2 * MAX_KIB;
  cagma_missratio_feed(&domain, &other, START + SECONDS(11));
  g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, 0), ==, CAGMA_MIB(1));
}

/* 50 of 1000 may be missed: 300 + 100 × (100 − 50) / 60. */
#define LEAST_KIB (CAGMA_MIB(300) + 85334)

static void
test_the_least_size(void)
{
  static const struct {
    const char *what;
    uint64_t size, demand_kib;
  } cases[] = {
    { "grows at once", 200, LEAST_KIB },
    { "and by little", 375, LEAST_KIB },
    { "but not within 2 %", 376, CAGMA_MIB(376) },
    { "nor does it fall before the epoch is over", 391, CAGMA_MIB(391) },
    { "however much", 5000, CAGMA_MIB(5000) },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain = domain_of(cases[i].size, 100);
    CagmaDemand demand;

    g_test_message("%s", cases[i].what);
    feed(&domain, START);
    cagma_domain_tick(&domain, START);
    demand = demand_of(&domain);
    g_assert_cmpuint(demand.demand_kib, ==, cases[i].demand_kib);
    g_assert_cmpuint(demand.critical_kib, ==, CAGMA_MIB(64));
    g_assert_cmpint(demand.probe, ==, CAGMA_PROBE_NONE);
  }
}

static void
test_it_falls_by_an_eighth_an_epoch(void)
{
  /* 1000, 875, 765.625, … in KiB, rounded up each time */
  static const uint64_t sizes_kib[] = { 1024000, 896000, 784000, 686000,    600250,
                                        525219,  459567, 402122, LEAST_KIB, LEAST_KIB };
  CagmaDomain domain = domain_of(1000, 100);

  for (size_t epoch = 0; epoch < G_N_ELEMENTS(sizes_kib); epoch++) {
    feed(&domain, START + SECONDS((int64_t)epoch * 10));
    cagma_domain_tick(&domain, START + SECONDS((int64_t)epoch * 10));
    g_assert_cmpuint(demand_of(&domain).demand_kib, ==, sizes_kib[epoch]);
    /* The decisions in between change nothing. */
    cagma_domain_tick(&domain, START + SECONDS((int64_t)epoch * 10 + 5));
    g_assert_cmpuint(demand_of(&domain).demand_kib, ==, sizes_kib[epoch]);
  }
}

/* A guest that has never swapped may have no swap. */
static void
test_one_that_never_swapped_keeps_what_it_uses(void)
{
  CagmaDomain domain = domain_of(1000, 600);

  domain.swap_out_kib = 0;
  for (int64_t epoch = 0; epoch < 20; epoch++) {
    feed(&domain, START + SECONDS(epoch * 10));
    cagma_domain_tick(&domain, START + SECONDS(epoch * 10));
  }
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(664));
  domain.used_kib = CAGMA_MIB(900);
  cagma_domain_tick(&domain, START + SECONDS(200));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(964));
  /* It tells that it has some. */
  domain.swap_total_kib = 4;
  feed(&domain, START + SECONDS(210));
  cagma_domain_tick(&domain, START + SECONDS(210));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(964) - CAGMA_MIB(964) / 8);
}

static void
test_emergency(void)
{
  CagmaDomain domain = domain_of(400, 390);

  feed(&domain, START);
  cagma_domain_tick(&domain, START);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(400));
  g_assert_true(cagma_domain_press(&domain, demand_of(&domain).critical_kib, START));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(454));
  cagma_domain_tick(&domain, START + SECONDS(1));
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(454));
}

static void
test_too_little_says_nothing(void)
{
  CagmaDomain domain = domain_of(200, 100);
  CagmaReuse reuse;

  cagma_reuse_init(&reuse, MAX_KIB);
  cagma_reuse_add(&reuse, CAGMA_MIB(3000), CAGMA_MISSRATIO_LEAST_KIB - 1);
  cagma_missratio_feed(&domain, &reuse, START);
  cagma_domain_tick(&domain, START);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(200));
}

/* Probing. */

static void
pass_epoch(CagmaDomain *domain, int64_t *now_us)
{
  *now_us += CAGMA_MISSRATIO_EPOCH_US;
  cagma_domain_tick(domain, *now_us);
}

static void
test_probing_goes_down_no_further_than_was_followed(void)
{
  static const uint64_t sizes_kib[] = { 1008640, 993511, 978609, 963930, 949472, 949472, 949472 };
  CagmaDomain domain = domain_of(1000, 100);
  int64_t now_us = START;

  cagma_domain_tick(&domain, now_us);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1000));
  for (size_t epoch = 0; epoch < G_N_ELEMENTS(sizes_kib); epoch++) {
    pass_epoch(&domain, &now_us);
    g_assert_cmpuint(demand_of(&domain).demand_kib, ==, sizes_kib[epoch]);
  }
  g_assert_cmpint(demand_of(&domain).probe, ==, CAGMA_PROBE_HOLD);
  domain.actual_kib = 949472;
  pass_epoch(&domain, &now_us);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, 949472 - 949472 * 15 / 1000);
}

static void
test_misses_give_back(void)
{
  static const struct {
    const char *what;
    uint64_t swapped_in_kib, faults, refaulted_kib;
    CagmaProbe probe;
  } cases[] = {
    { "nothing", 0, 0, 0, CAGMA_PROBE_DOWN },
    { "swap-in", CAGMA_MIB(2), 512, 0, CAGMA_PROBE_BACK },
    { "a little swap-in", CAGMA_MIB(2) - 4, 511, 0, CAGMA_PROBE_DOWN },
    { "faults", 0, 2048, 0, CAGMA_PROBE_BACK },
    { "a few faults", 0, 2047, 0, CAGMA_PROBE_DOWN },
    { "faults, most of them swap-ins", CAGMA_MIB(1), 2303, 0, CAGMA_PROBE_DOWN },
    { "refaults", 0, 0, CAGMA_MIB(8), CAGMA_PROBE_BACK },
    { "a few refaults, which are faults too", 0, 2047, CAGMA_MIB(8) - 4, CAGMA_PROBE_DOWN },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain = domain_of(1000, 100);
    int64_t now_us = START;

    g_test_message("%s", cases[i].what);
    cagma_domain_tick(&domain, now_us);
    domain.swap_in_kib = cases[i].swapped_in_kib;
    domain.major_faults = cases[i].faults;
    domain.refault_file_kib = cases[i].refaulted_kib;
    pass_epoch(&domain, &now_us);
    g_assert_cmpint(demand_of(&domain).probe, ==, cases[i].probe);
    g_assert_cmpuint(demand_of(&domain).demand_kib, ==,
                     cases[i].probe == CAGMA_PROBE_BACK ? CAGMA_MIB(1075) : CAGMA_MIB(985));
  }
}

static void
test_what_was_given_back_is_held(void)
{
  CagmaDomain domain = domain_of(1000, 100);
  int64_t now_us = START;

  cagma_domain_tick(&domain, now_us);
  domain.swap_in_kib = CAGMA_MIB(5);
  pass_epoch(&domain, &now_us);
  domain.actual_kib = CAGMA_MIB(1075);
  for (int epoch = 0; epoch < 6; epoch++) {
    g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1075));
    pass_epoch(&domain, &now_us);
    g_assert_cmpint(demand_of(&domain).probe, ==, CAGMA_PROBE_HOLD);
  }
  pass_epoch(&domain, &now_us);
  g_assert_cmpint(demand_of(&domain).probe, ==, CAGMA_PROBE_DOWN);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, 1100800 - 16512);
}

/* Reading files is no sign of want as long as it is no more than before. Swap-in always is;
 * but nobody gets further ahead of what he has than one step. */
static void
test_steady_misses(void)
{
  CagmaDomain reader = domain_of(1000, 100), swapper = domain_of(1000, 100);
  int64_t now_us = START;

  cagma_domain_tick(&reader, now_us);
  cagma_domain_tick(&swapper, now_us);
  for (int epoch = 0; epoch < 8; epoch++) {
    reader.refault_file_kib += CAGMA_MIB(20);
    swapper.swap_in_kib += CAGMA_MIB(20);
    cagma_domain_tick(&swapper, now_us + CAGMA_MISSRATIO_EPOCH_US);
    pass_epoch(&reader, &now_us);
    g_assert_cmpint(demand_of(&swapper).probe, ==, CAGMA_PROBE_BACK);
    g_assert_cmpuint(demand_of(&swapper).demand_kib, ==, CAGMA_MIB(1075));
    if (epoch > 0)
      g_assert_cmpint(demand_of(&reader).probe, !=, CAGMA_PROBE_BACK);
  }
  /* Held for 6 epochs after the first. */
  g_assert_cmpint(demand_of(&reader).probe, ==, CAGMA_PROBE_DOWN);
}

/* Counters of another source start anywhere. */
static void
test_another_source_is_not_compared(void)
{
  CagmaDomain domain = domain_of(1000, 100);
  int64_t now_us = START;

  cagma_domain_tick(&domain, now_us);
  domain.source = CAGMA_SAMPLE_CHANNEL;
  domain.swap_in_kib = CAGMA_GIB(7);
  pass_epoch(&domain, &now_us);
  g_assert_cmpint(demand_of(&domain).probe, ==, CAGMA_PROBE_HOLD);
  g_assert_cmpuint(demand_of(&domain).demand_kib, ==, CAGMA_MIB(1000));
  pass_epoch(&domain, &now_us);
  g_assert_cmpint(demand_of(&domain).probe, ==, CAGMA_PROBE_DOWN);
}

static void
test_probing_starts_when_the_source_is_gone(void)
{
  CagmaDomain domain = domain_of(1000, 100);
  int64_t now_us = START;

  feed(&domain, now_us);
  cagma_domain_tick(&domain, now_us);
  for (int epoch = 0; epoch < 3; epoch++) {
    pass_epoch(&domain, &now_us);
    g_assert_cmpint(demand_of(&domain).probe, ==, CAGMA_PROBE_NONE);
  }
  pass_epoch(&domain, &now_us);
  g_assert_cmpint(demand_of(&domain).probe, !=, CAGMA_PROBE_NONE);
}

static void
test_explanations(void)
{
  CagmaDomain domain = domain_of(1000, 100);
  CagmaDemand demand;
  g_autoptr(GString) curve = g_string_new(NULL), probe = g_string_new(NULL);

  cagma_domain_tick(&domain, START);
  domain.swap_in_kib = CAGMA_MIB(5);
  cagma_domain_tick(&domain, START + SECONDS(10));
  demand = demand_of(&domain);
  cagma_demand_explain(probe, CAGMA_ESTIMATOR_MISSRATIO, &demand);
  g_assert_cmpstr(probe->str, ==,
                  "no source tells what it touches, so misses are probed for: 5 MiB read back in the last "
                  "epoch, so it is given back a little");

  domain = domain_of(200, 100);
  feed(&domain, START);
  feed(&domain, START);
  cagma_domain_tick(&domain, START);
  demand = demand_of(&domain);
  cagma_demand_explain(curve, CAGMA_ESTIMATOR_MISSRATIO, &demand);
  g_assert_cmpstr(curve->str, ==,
                  "of 1000 MiB touched again lately it would miss 50 MiB with what it should have");
}

/* Whatever is fed, the curve falls, and the least size is the least. */
static void
test_curves(void)
{
  for (int round = 0; round < 2000; round++) {
    CagmaDomain domain = domain_of(100, 50);
    CagmaReuse reuse;
    uint64_t total, least_kib;

    cagma_reuse_init(&reuse, MAX_KIB);
    for (int i = g_test_rand_int_range(1, 20); i > 0; i--)
      cagma_reuse_add(&reuse, (uint64_t)(g_test_rand_double() * (double)MAX_KIB),
                      (uint64_t)1 << g_test_rand_int_range(0, 64));
    cagma_missratio_feed(&domain, &reuse, START);
    cagma_domain_tick(&domain, START);
    if (!domain.missratio.has_curve)
      continue;
    for (uint64_t size_kib = 0; size_kib < MAX_KIB; size_kib += 12345)
      g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, size_kib), >=,
                       cagma_missratio_misses(&domain.missratio, size_kib + 12345));
    total = cagma_missratio_misses(&domain.missratio, 0);
    least_kib = domain.missratio.size_kib;
    g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, least_kib), <=, total / 20 + 1);
    if (least_kib > CAGMA_MIB(102))
      g_assert_cmpuint(cagma_missratio_misses(&domain.missratio, least_kib - 2), >=, total * 50 / 1000);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/missratio/misses", test_misses);
  g_test_add_func("/missratio/feeds-add-up-and-fade", test_feeds_add_up_and_fade);
  g_test_add_func("/missratio/curve-without-buckets", test_curve_without_buckets);
  g_test_add_func("/missratio/least-size", test_the_least_size);
  g_test_add_func("/missratio/falls-by-an-eighth", test_it_falls_by_an_eighth_an_epoch);
  g_test_add_func("/missratio/never-swapped", test_one_that_never_swapped_keeps_what_it_uses);
  g_test_add_func("/missratio/emergency", test_emergency);
  g_test_add_func("/missratio/too-little", test_too_little_says_nothing);
  g_test_add_func("/missratio/curves", test_curves);
  g_test_add_func("/missratio/probe/down", test_probing_goes_down_no_further_than_was_followed);
  g_test_add_func("/missratio/probe/back", test_misses_give_back);
  g_test_add_func("/missratio/probe/hold", test_what_was_given_back_is_held);
  g_test_add_func("/missratio/probe/steady", test_steady_misses);
  g_test_add_func("/missratio/probe/another-source", test_another_source_is_not_compared);
  g_test_add_func("/missratio/probe/source-gone", test_probing_starts_when_the_source_is_gone);
  g_test_add_func("/missratio/explanations", test_explanations);
  return g_test_run();
}
