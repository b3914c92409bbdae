/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hypervisor that bounds what a domain holds, and protects no guest: Xen. */
#include "policy/explain.h"
#include "policy/floor.h"
#include "rig.h"

static void
test_floor(void)
{
  static const struct {
    const char *what;
    uint64_t usable, swap_total, swap_used, swappable, floor;
    gboolean stands;
  } cases[] = {
    { "used and the margin", 500, 0, 0, 0, 1548 + 64, FALSE },
    { "half of what can go", 500, 1000, 0, 300, 1548 + 64 - 150, FALSE },
    { "half of the room there is for it", 500, 1000, 900, 300, 1548 + 64 - 50, FALSE },
    { "nothing that isn't known to be able to go", 500, 1000, 0, 0, 1548 + 64, FALSE },
    { "no swap is left", 500, 1000, 2000, 300, 1548 + 64, FALSE },
    { "more than it has", 0, 0, 0, 0, 2048 + 64, FALSE },
    { "one that stands its ground needs none", 500, 0, 0, 0, 0, TRUE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Rig rig;
    CagmaSample *sample = &rig.samples[0];

    g_test_message("%s", cases[i].what);
    rig_init(&rig, 8192);
    rig_add(&rig, 4096, 2048, cases[i].usable);
    sample->has |= CAGMA_HAS_SWAP_USED | CAGMA_HAS_SWAPPABLE;
    sample->swap_total_kib = CAGMA_MIB(cases[i].swap_total);
    sample->swap_used_kib = CAGMA_MIB(cases[i].swap_used);
    sample->swappable_kib = CAGMA_MIB(cases[i].swappable);
    if (!cases[i].stands)
      rig_bound(&rig, 0);
    rig_pass(&rig, 1);
    g_assert_cmpuint(cagma_floor(&rig.domains[0]), ==, CAGMA_MIB(cases[i].floor));
    rig_clear(&rig);
  }
}

/* Blind, it isn't known what it needs. */
static void
test_no_floor_without_figures(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 2048, 500)->yields = TRUE;
  cagma_domain_restart(&rig.domains[0], CAGMA_MIB(2048), rig.now_us);
  g_assert_cmpuint(cagma_floor(&rig.domains[0]), ==, 0);
  rig_clear(&rig);
}

/* Nobody counts on what isn't to be had. The queue alone entitles by releases, of which what
 * is too much isn't carried out. */
static void
assert_counted_on(const Rig *rig)
{
  for (size_t i = 0; i < rig->host.n_domains; i++) {
    const CagmaDecision *decision = &rig->plan.decisions[i];
    uint64_t least_kib = MIN(decision->least_kib, decision->standing_kib);

    if (decision->entitled_kib && rig->plan.verdict.fit != CAGMA_FIT_QUEUE)
      g_assert_cmpuint(decision->entitled_kib, >=, least_kib);
  }
}

/* One that is starved, and one whose configuration wants it down to a fraction of what it
 * uses. Decides and obeys until nothing moves any more; returns the lowest size. */
static uint64_t
take_all_there_is(CagmaPolicyKind policy, CagmaEstimatorKind estimator, gboolean yields)
{
  Rig rig;
  uint64_t lowest_kib = UINT64_MAX;

  rig_init(&rig, 3072);
  rig.host.policy = policy;
  rig.host.surplus = CAGMA_SURPLUS_RECLAIM;
  rig_add(&rig, 4096, 1024, 10);
  rig.samples[0].swap_out_kib = CAGMA_GIB(2);
  rig_add(&rig, 4096, 2048, 500)->config.estimator = estimator;
  rig.domains[1].config.shares = 1;
  rig.domains[0].config.guarantee_kib = CAGMA_MIB(2048);
  rig.domains[1].queue.critical_kib = CAGMA_MIB(1);
  if (yields) {
    rig_bound(&rig, 0);
    rig_bound(&rig, 1);
  }
  for (int second = 0; second < 60; second++) {
    rig_pass(&rig, 1);
    rig_decide(&rig);
    assert_counted_on(&rig);
    rig_obey(&rig);
    /* It uses what it uses, at any size. */
    rig.samples[1].usable_kib = cagma_above(rig.samples[1].actual_kib, CAGMA_MIB(1548));
    rig.samples[0].usable_kib = CAGMA_MIB(10);
    rig.samples[0].swap_out_kib += CAGMA_MIB(10);
    lowest_kib = MIN(lowest_kib, rig.samples[1].actual_kib);
  }
  rig_clear(&rig);
  return lowest_kib;
}

static void
test_nobody_is_shrunk_to_death(void)
{
  uint64_t stood_its_ground_kib = take_all_there_is(CAGMA_POLICY_CAGMA, CAGMA_ESTIMATOR_STATIC, FALSE);
  uint64_t yielded_kib = take_all_there_is(CAGMA_POLICY_CAGMA, CAGMA_ESTIMATOR_STATIC, TRUE);

  for (int policy = 0; policy < CAGMA_N_POLICIES; policy++) {
    for (int estimator = 0; estimator < CAGMA_N_ESTIMATORS; estimator++) {
      uint64_t lowest_kib = take_all_there_is((CagmaPolicyKind)policy, (CagmaEstimatorKind)estimator, TRUE);

      g_assert_cmpuint(lowest_kib, >=, CAGMA_MIB(1548 + 64));
    }
  }
  /* Where the guest's own driver protects it, it does come down. */
  g_assert_cmpuint(stood_its_ground_kib, <, CAGMA_MIB(1500));
  /* And what it doesn't need is taken. */
  g_assert_cmpuint(yielded_kib, <, CAGMA_MIB(1700));
}

/* It stands below what it can't do without: that is no claim to more. */
static void
test_floor_is_no_reason_to_grow(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 1024, 10)->config.estimator = CAGMA_ESTIMATOR_STATIC;
  rig_bound(&rig, 0);
  rig_pass(&rig, 1);
  g_assert_cmpuint(cagma_floor(&rig.domains[0]), >, CAGMA_MIB(1024));
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  rig_clear(&rig);
}

/* Half of the way to its limit would still be above it. */
static void
test_limit_below_the_floor_waits(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 2048, 500)->config.limit_kib = CAGMA_MIB(1024);
  rig_bound(&rig, 0);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig.plan.decisions[0].state, ==, CAGMA_STATE_OVER);
  rig.samples[0].usable_kib = CAGMA_MIB(1200);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1024);
  rig_clear(&rig);
}

/* What an earlier daemon asked for, and is to be taken back, isn't made a shrink to the limit. */
static void
test_withdrawing_is_no_shrink_to_death(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 2048, 500)->config.limit_kib = CAGMA_MIB(1200);
  rig_bound(&rig, 0);
  rig_pass(&rig, 1);
  rig.domains[0].target_kib = CAGMA_MIB(1024);
  rig.domains[0].withdraw = TRUE;
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  rig_clear(&rig);
}

/* The charge of what its hypervisor bounds. */
static void
test_charge(void)
{
  static const struct {
    const char *what;
    uint64_t actual, target, cap, charge;
    gboolean unmanaged, unsettled, pinned;
  } cases[] = {
    { "its cap, taken up or not", 1000, 1500, 1500, 1500, FALSE, FALSE, FALSE },
    { "what it has until it has shrunk", 2000, 1000, 1000, 2000, FALSE, FALSE, FALSE },
    { "a target that isn't enforced yet", 1000, 1500, 1000, 1500, FALSE, FALSE, FALSE },
    { "what somebody else lets it have", 1000, 1000, 1800, 1800, FALSE, FALSE, FALSE },
    { "also before it has settled", 1000, 1500, 1500, 1500, FALSE, TRUE, FALSE },
    { "also where nobody manages it", 1000, 0, 1500, 1500, TRUE, TRUE, FALSE },
    { "also where it is pinned", 1000, 1000, 1500, 1500, FALSE, FALSE, TRUE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain;

    g_test_message("%s", cases[i].what);
    cagma_domain_init(&domain, 0);
    domain.max_kib = CAGMA_MIB(4096);
    domain.managed = !cases[i].unmanaged;
    domain.settled = !cases[i].unsettled;
    domain.pinned = cases[i].pinned;
    domain.has_actual = TRUE;
    domain.actual_kib = CAGMA_MIB(cases[i].actual);
    domain.target_kib = CAGMA_MIB(cases[i].target);
    domain.cap_kib = CAGMA_MIB(cases[i].cap);
    g_assert_cmpuint(cagma_domain_charge(&domain), ==, CAGMA_MIB(cases[i].charge));
  }
}

/* A daemon that begins finds its domains bounded: none is counted in full, nor asked to stay
 * where it is. */
static void
test_unknown_target_is_the_cap(void)
{
  Rig rig;
  CagmaDomain *domain;

  rig_init(&rig, 8192);
  domain = rig_add(&rig, 4096, 1024, 500);
  cagma_domain_restart(domain, 0, rig.now_us);
  g_assert_cmpuint(cagma_domain_charge(domain), ==, CAGMA_MIB(4096));
  rig_bound(&rig, 0);
  rig_pass(&rig, 2);
  g_assert_cmpuint(domain->target_kib, ==, CAGMA_MIB(1024));
  g_assert_cmpuint(cagma_domain_charge(domain), ==, CAGMA_MIB(1024));
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_ENOUGH);
  rig_clear(&rig);
}

static void
test_reboot_keeps_the_cap_and_a_start_does_not(void)
{
  Rig rig;
  CagmaDomain *domain;

  rig_init(&rig, 8192);
  domain = rig_add(&rig, 4096, 1024, 500);
  rig_bound(&rig, 0);
  rig_pass(&rig, 1);
  cagma_domain_restart(domain, domain->target_kib, rig.now_us);
  g_assert_cmpuint(cagma_domain_charge(domain), ==, CAGMA_MIB(1024));

  /* While it is being shrunk, it holds more than its cap. */
  rig.samples[0].cap_kib = CAGMA_MIB(600);
  rig_pass(&rig, 1);
  cagma_domain_restart(domain, CAGMA_MIB(600), rig.now_us);
  g_assert_cmpuint(cagma_domain_charge(domain), ==, CAGMA_MIB(1024));

  cagma_domain_restart(domain, 0, rig.now_us);
  g_assert_cmpuint(cagma_domain_charge(domain), ==, CAGMA_MIB(4096));
  rig_clear(&rig);
}

/* However much resident memory it is said to have. */
static void
test_bounded_is_not_distrusted(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 1024, 500);
  rig_bound(&rig, 0);
  rig.samples[0].rss_kib = CAGMA_MIB(2048);
  rig_pass(&rig, 60);
  g_assert_false(rig.domains[0].distrusted);
  g_assert_cmpuint(cagma_domain_charge(&rig.domains[0]), ==, CAGMA_MIB(1024));
  rig_clear(&rig);
}

/* Until its driver is up it isn't moved, whatever it reports and needs. */
static void
test_without_a_driver_it_is_not_moved(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 1024, 10);
  cagma_domain_restart(&rig.domains[0], CAGMA_MIB(1024), rig.now_us);
  rig_bound(&rig, 0);
  rig.samples[0].driver = 0;
  rig_pass(&rig, 20);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig.plan.decisions[0].state, ==, CAGMA_STATE_HELD);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_DRIVERLESS);
  g_assert_cmpuint(rig.plan.decisions[0].charge_kib, ==, CAGMA_MIB(1024));
  g_assert_false(rig.domains[0].settled);

  rig.samples[0].driver = 1;
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), >, 1024);

  /* One that goes down again isn't relied on either. */
  rig.samples[0].driver = 0;
  rig_pass(&rig, 1);
  g_assert_false(rig.domains[0].settled);
  rig_clear(&rig);
}

/* A driver, but no agent: nothing is known of it, so that it keeps what it has. */
static void
test_without_an_agent_it_is_blind(void)
{
  const uint32_t report = CAGMA_HAS_REPORT;
  Rig rig;

  rig_init(&rig, 1024);
  rig_add(&rig, 4096, 1024, 500);
  cagma_domain_restart(&rig.domains[0], CAGMA_MIB(1024), rig.now_us);
  rig.samples[0].has &= ~report;
  rig.silent[0] = TRUE;
  rig_bound(&rig, 0);
  rig_add(&rig, 4096, 1024, 10);
  rig_pass(&rig, 20);
  rig_decide(&rig);
  g_assert_true(rig.domains[0].settled);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 0);
  g_assert_cmpint(rig.plan.decisions[0].state, ==, CAGMA_STATE_BLIND);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_SILENT);
  rig_clear(&rig);
}

/* Being asked to grow succeeds with nothing free, and the guest takes it whenever there is
 * something: nobody else gets that meanwhile. */
static void
test_what_may_still_be_taken_is_in_nobody_s_hand(void)
{
  for (int budget = 0; budget < 2; budget++) {
    Rig rig;

    rig_init(&rig, 3072);
    rig_add(&rig, 4096, 1024, 500);
    rig_add(&rig, 4096, 1024, 10);
    rig_bound(&rig, 0);
    rig_bound(&rig, 1);
    if (budget) {
      rig.host.budget = CAGMA_BUDGET_AUTO;
      rig.host.total_kib = CAGMA_MIB(3072);
      rig.host.available_kib = CAGMA_MIB(1024);
    }
    /* An operator's word. */
    rig.samples[0].cap_kib = CAGMA_MIB(2000);
    rig_pass(&rig, 1);
    rig_decide(&rig);
    g_assert_cmpint(rig.plan.verdict.in_hand_kib, ==, (int64_t)CAGMA_MIB(48));
    g_assert_cmpuint(rig_target_mib(&rig, 1), <=, 1024 + 48);

    /* What the other is taking isn't free any more, and is its own already. */
    rig.samples[0].actual_kib = rig.samples[0].rss_kib = CAGMA_MIB(1500);
    rig.host.available_kib = CAGMA_MIB(1024 - 476);
    rig_pass(&rig, 1);
    rig_decide(&rig);
    g_assert_cmpint(rig.plan.verdict.in_hand_kib, ==, (int64_t)CAGMA_MIB(48));
    rig_clear(&rig);
  }
}

/* Pressed while it is shrunk: at once where nothing else would stop that, and anywhere when it has
 * gone on for five seconds. One that gave next to nothing until then is left alone for a while. */
static void
test_shrink_that_presses_is_called_off(void)
{
  static const struct {
    gboolean yields;
    int64_t since_us;
    uint64_t actual_mib; /* of 2048 that are to be 1200 */
    gboolean called_off, stuck;
  } cases[] = {
    { FALSE, CAGMA_SHRINK_PRESSED_US - 1, 1700, FALSE, FALSE },
    { FALSE, CAGMA_SHRINK_PRESSED_US, 1700, TRUE, FALSE },
    { FALSE, CAGMA_SHRINK_PRESSED_US, 1836, TRUE, FALSE },
    { FALSE, CAGMA_SHRINK_PRESSED_US, 1837, TRUE, TRUE },
    { TRUE, 0, 1700, TRUE, FALSE },
    { TRUE, 0, 2000, TRUE, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Rig rig;
    g_autofree char *reason = NULL;

    rig_init(&rig, 8192);
    rig_add(&rig, 4096, 2048, 1000);
    if (cases[i].yields)
      rig_bound(&rig, 0);
    rig_pass(&rig, 1);
    cagma_domain_set(&rig.domains[0], CAGMA_MIB(1200), rig.now_us);
    rig.samples[0].actual_kib = CAGMA_MIB(cases[i].actual_mib);
    rig_pass(&rig, 1);
    rig.domains[0].move_us = rig.now_us - cases[i].since_us;
    g_assert_cmpint(rig_press(&rig, 0), ==, cases[i].called_off);
    rig_decide(&rig);
    g_assert_cmpuint(rig_target_mib(&rig, 0), ==, cases[i].called_off ? cases[i].actual_mib : 0);
    g_assert_cmpint(rig.domains[0].stuck_until_us != 0, ==, cases[i].stuck);
    if (cases[i].called_off && cases[i].actual_mib == 1700) {
      g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_SPARED);
      reason = cagma_explain_reason(&rig.plan.decisions[0]);
      g_assert_cmpstr(reason, ==, "its guest reports pressure while it is shrunk; it keeps 1700 MiB");
    }
    rig_clear(&rig);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/floor/formula", test_floor);
  g_test_add_func("/floor/blind", test_no_floor_without_figures);
  g_test_add_func("/floor/all-policies", test_nobody_is_shrunk_to_death);
  g_test_add_func("/floor/no-reason-to-grow", test_floor_is_no_reason_to_grow);
  g_test_add_func("/floor/above-the-limit", test_limit_below_the_floor_waits);
  g_test_add_func("/floor/withdrawn", test_withdrawing_is_no_shrink_to_death);
  g_test_add_func("/floor/spared", test_shrink_that_presses_is_called_off);
  g_test_add_func("/cap/charge", test_charge);
  g_test_add_func("/cap/unknown-target", test_unknown_target_is_the_cap);
  g_test_add_func("/cap/reboot", test_reboot_keeps_the_cap_and_a_start_does_not);
  g_test_add_func("/cap/distrust", test_bounded_is_not_distrusted);
  g_test_add_func("/cap/overcommit", test_what_may_still_be_taken_is_in_nobody_s_hand);
  g_test_add_func("/driver/down", test_without_a_driver_it_is_not_moved);
  g_test_add_func("/driver/no-agent", test_without_an_agent_it_is_blind);
  return g_test_run();
}
