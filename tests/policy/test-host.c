/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in MiB, computed by hand. */
#include "policy/host.h"
#include "policy/units.h"
#include "rig.h"

static void
assert_in_hand(Rig *rig, int64_t mib)
{
  g_assert_cmpint(cagma_host_measure(&rig->host, rig->now_us) / 1024, ==, mib);
}

static void
test_fixed_budget_less_charges(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  assert_in_hand(&rig, 8192);
  rig_add(&rig, 4096, 2048, 500);
  rig_add(&rig, 4096, 1024, 500);
  assert_in_hand(&rig, 8192 - 3072);
  rig.host.reserve_kib = CAGMA_MIB(1000);
  rig.host.incoming_kib = CAGMA_MIB(2000);
  assert_in_hand(&rig, 8192 - 3072 - 3000);
  rig.host.budget_kib = CAGMA_MIB(4096);
  assert_in_hand(&rig, 4096 - 3072 - 3000);
  rig_clear(&rig);
}

/* Resident memory of a domain is no longer among what is available; the rest of its
 * charge is, and isn't free. */
static void
test_auto_budget_less_what_may_still_be_touched(void)
{
  Rig rig;
  CagmaDomain *domain;

  rig_init(&rig, 0);
  domain = rig_add(&rig, 4096, 2048, 500);
  domain->overhead_kib = CAGMA_MIB(100);
  domain->rss_kib = CAGMA_MIB(1148);
  rig.host.budget = CAGMA_BUDGET_AUTO;
  rig.host.total_kib = CAGMA_GIB(16);
  rig.host.available_kib = CAGMA_MIB(10000);
  rig.host.reserve_kib = CAGMA_MIB(500);
  rig.host.merged_kib = CAGMA_MIB(200);
  assert_in_hand(&rig, 10000 - 500 - 200 - (2048 + 100 - 1148));

  /* All of it touched, and more: nothing left to subtract, nothing to add. */
  domain->rss_kib = CAGMA_MIB(5000);
  rig.host.trusted_us = 0;
  assert_in_hand(&rig, 10000 - 500 - 200);
  rig_clear(&rig);
}

static void
test_auto_budget_falls_at_once_and_rises_slowly(void)
{
  Rig rig;

  rig_init(&rig, 0);
  rig.host.budget = CAGMA_BUDGET_AUTO;
  rig.host.total_kib = CAGMA_MIB(10000);
  rig.host.available_kib = CAGMA_MIB(5000);
  assert_in_hand(&rig, 5000);
  rig.host.available_kib = CAGMA_MIB(1000);
  assert_in_hand(&rig, 1000);
  rig.host.available_kib = CAGMA_MIB(5000);
  assert_in_hand(&rig, 1000);
  rig_pass(&rig, 1);
  /* 5 % of the host a second. */
  assert_in_hand(&rig, 1500);
  rig_pass(&rig, 4);
  assert_in_hand(&rig, 3500);
  g_assert_cmpint(rig.host.measured_kib, ==, CAGMA_MIB(5000));
  rig_pass(&rig, 1000);
  assert_in_hand(&rig, 5000);
  rig_clear(&rig);
}

static void
test_auto_budget_after_a_very_long_time(void)
{
  Rig rig;

  rig_init(&rig, 0);
  rig.host.budget = CAGMA_BUDGET_AUTO;
  rig.host.total_kib = CAGMA_MAX_KIB;
  assert_in_hand(&rig, 0);
  rig.host.available_kib = CAGMA_MAX_KIB;
  rig.now_us = INT64_MAX / 2;
  cagma_host_measure(&rig.host, rig.now_us);
  g_assert_cmpint(rig.host.trusted_kib, >, (int64_t)CAGMA_MAX_KIB - 1024);
  g_assert_cmpint(rig.host.trusted_kib, <=, (int64_t)CAGMA_MAX_KIB);
  rig_clear(&rig);
}

/* Host and guest aren't measured at one moment: memory counts once it has arrived. */
static void
test_auto_budget_trusts_no_moving_balloon(void)
{
  Rig rig;

  rig_init(&rig, 0);
  rig_add(&rig, 4096, 2048, 1500);
  rig.host.budget = CAGMA_BUDGET_AUTO;
  rig.host.total_kib = CAGMA_GIB(16);
  rig.host.available_kib = CAGMA_MIB(8000);
  rig_pass(&rig, 1);
  assert_in_hand(&rig, 8000);

  cagma_domain_set(&rig.domains[0], CAGMA_MIB(1048), rig.now_us);
  rig.samples[0].actual_kib = rig.samples[0].rss_kib = CAGMA_MIB(1548);
  rig.host.available_kib = CAGMA_MIB(8500);
  rig_pass(&rig, 1);
  assert_in_hand(&rig, 8000);
  g_assert_cmpuint(cagma_host_coming(&rig.host, rig.now_us), ==, CAGMA_MIB(1000));

  rig.samples[0].actual_kib = rig.samples[0].rss_kib = CAGMA_MIB(1048);
  rig.host.available_kib = CAGMA_MIB(9000);
  rig_pass(&rig, 10);
  assert_in_hand(&rig, 9000);
  g_assert_cmpuint(cagma_host_coming(&rig.host, rig.now_us), ==, 0);
  rig_clear(&rig);
}

static void
test_what_drags_is_not_coming(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 2048, 1500);
  cagma_domain_set(&rig.domains[0], CAGMA_MIB(1048), rig.now_us);
  rig_pass(&rig, 3);
  g_assert_cmpuint(cagma_host_coming(&rig.host, rig.now_us), ==, CAGMA_MIB(1000));
  rig_pass(&rig, 1);
  g_assert_cmpuint(cagma_host_coming(&rig.host, rig.now_us), ==, 0);

  /* 700 MiB in 5 s: the last 300 won't take 3 s more. */
  rig.samples[0].actual_kib = CAGMA_MIB(1348);
  rig.samples[0].rss_kib = 0;
  rig_pass(&rig, 1);
  g_assert_cmpuint(cagma_host_coming(&rig.host, rig.now_us), ==, CAGMA_MIB(300));
  /* But 500 MiB would. */
  rig.samples[0].actual_kib = CAGMA_MIB(1548);
  rig_pass(&rig, 1);
  g_assert_cmpuint(cagma_host_coming(&rig.host, rig.now_us), ==, 0);
  rig_clear(&rig);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/host/fixed", test_fixed_budget_less_charges);
  g_test_add_func("/host/auto/touched", test_auto_budget_less_what_may_still_be_touched);
  g_test_add_func("/host/auto/slow-rise", test_auto_budget_falls_at_once_and_rises_slowly);
  g_test_add_func("/host/auto/long-time", test_auto_budget_after_a_very_long_time);
  g_test_add_func("/host/auto/moving", test_auto_budget_trusts_no_moving_balloon);
  g_test_add_func("/host/coming", test_what_drags_is_not_coming);
  return g_test_run();
}
