/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single decisions, numbers in MiB, computed by hand. Unless said otherwise guests
 * have 64 MiB of headroom, a guarantee of 256 and 1000 shares. */
#include "policy/rules.h"

#include "rig.h"

static void
test_growth_from_memory_in_hand(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 10);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  /* 1014 used and 64 on top. */
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1078);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_SHORT);
  g_assert_cmpint(rig.plan.decisions[0].state, ==, CAGMA_STATE_GROWING);
  g_assert_cmpint(rig.plan.verdict.in_hand_kib, ==, CAGMA_MIB(3072));
  rig_clear(&rig);
}

static void
test_small_need_is_left_alone_unless_it_swaps(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 1024, 45);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  /* 19 MiB wanted; 2 % of 1024 is 20. */
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);

  rig.samples[0].swap_out_kib += 100;
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1043);
  rig_clear(&rig);
}

/* Two-phase: the donor shrinks now, the other grows when that has come about. */
static void
test_free_first_then_give(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 0);
  rig_add(&rig, 4096, 1024, 564);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  /* 64 wanted of 500 to spare. */
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 1024 - 64);
  g_assert_cmpint(rig_why(&rig, 1), ==, CAGMA_WHY_GIVES);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 0);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_WAITS);
  g_assert_cmpuint(rig.plan.decisions[0].waits_kib, ==, CAGMA_MIB(64));

  rig_obey(&rig);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1024 + 64);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 0);
  rig_clear(&rig);
}

static void
test_donor_gives_half_of_what_it_can_spare_at_once(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 2048, 0);
  rig_add(&rig, 4096, 2048, 564);
  rig.domains[0].config.headroom_kib = CAGMA_MIB(400);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 2048 - 250);
  rig_clear(&rig);
}

/* 400 wanted of 500 to spare. What isn't even page cache goes at once, but for the headroom. */
static void
test_what_a_donor_has_free_is_given_at_once(void)
{
  static const struct {
    uint64_t free, given;
  } cases[] = { { 0, 250 }, { 64, 250 }, { 314, 250 }, { 364, 300 }, { 464, 400 }, { 564, 400 } };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Rig rig;

    rig_init(&rig, 4096);
    rig_add(&rig, 4096, 2048, 0)->config.headroom_kib = CAGMA_MIB(400);
    rig_add(&rig, 4096, 2048, 564);
    rig.samples[1].has |= CAGMA_HAS_UNUSED;
    rig.samples[1].unused_kib = CAGMA_MIB(cases[i].free);
    rig_pass(&rig, 3);
    rig_decide(&rig);
    g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 2048 - cases[i].given);
    rig_clear(&rig);
  }
}

/* It could use 200 more. 5 % of 1024 are 51. */
static void
test_small_wish_is_not_served(void)
{
  static const struct {
    uint64_t cache_back, target;
  } cases[] = { { 50, 0 }, { 52, 1024 + 52 }, { 200, 1024 + 200 } };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Rig rig;

    rig_init(&rig, 8192);
    rig_add(&rig, 4096, 1024, 500)->config.rate_permille = 1000;
    rig_pass(&rig, 3);
    rig.domains[0].cache_back_kib = CAGMA_MIB(cases[i].cache_back);
    rig_decide(&rig);
    g_assert_cmpuint(rig_target_mib(&rig, 0), ==, cases[i].target);
    g_assert_cmpint(rig_why(&rig, 0), ==, cases[i].target ? CAGMA_WHY_WISHES : CAGMA_WHY_ENOUGH);
    rig_clear(&rig);
  }
}

/* For what it did without a moment ago no call is made; one that needs to grow has its wish as well. */
static void
test_who_just_gave_wishes_in_vain(void)
{
  static const struct {
    uint64_t from, available;
    int64_t seconds;
    uint64_t target;
    CagmaWhy why;
  } cases[] = {
    { 1200, 500, 3, 0, CAGMA_WHY_ENOUGH },           { 1200, 500, 9, 0, CAGMA_WHY_ENOUGH },
    { 1200, 500, 10, 1024 + 200, CAGMA_WHY_WISHES }, { 1200, 20, 3, 1024 + 200, CAGMA_WHY_SHORT },
    { 900, 500, 3, 1024 + 200, CAGMA_WHY_WISHES },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Rig rig;

    rig_init(&rig, 8192);
    rig_add(&rig, 4096, cases[i].from, cases[i].available)->config.rate_permille = 1000;
    cagma_domain_set(&rig.domains[0], CAGMA_MIB(1024), rig.now_us);
    rig.samples[0].actual_kib = rig.samples[0].rss_kib = CAGMA_MIB(1024);
    rig_pass(&rig, cases[i].seconds);
    rig.domains[0].cache_back_kib = CAGMA_MIB(200);
    rig_decide(&rig);
    g_assert_cmpuint(rig_target_mib(&rig, 0), ==, cases[i].target);
    g_assert_cmpint(rig_why(&rig, 0), ==, cases[i].why);
    rig_clear(&rig);
  }
}

/* Not all of it fits: what is in hand is given, and nobody waits for the rest as if in need. */
static void
test_wish_takes_what_is_in_hand(void)
{
  Rig rig;

  rig_init(&rig, 1024 + 100);
  rig_add(&rig, 4096, 1024, 500)->config.rate_permille = 1000;
  rig_pass(&rig, 3);
  rig.domains[0].cache_back_kib = CAGMA_MIB(300);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1024 + 100);
  g_assert_cmpuint(rig.plan.decisions[0].waits_kib, ==, 0);
  rig_obey(&rig);
  rig_pass(&rig, 2);
  rig.domains[0].cache_back_kib = CAGMA_MIB(300);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_ENOUGH);
  rig_clear(&rig);
}

/* Another allocator serves no wishes: nobody gives for one, nor is more than needed given. */
static void
test_who_serves_no_wishes_takes_nothing_for_them(void)
{
  static const CagmaPolicyKind policies[] = { CAGMA_POLICY_CLASSIC, CAGMA_POLICY_VMMB };

  for (size_t i = 0; i < G_N_ELEMENTS(policies); i++) {
    Rig rig;

    rig_init(&rig, 2048);
    rig.host.policy = policies[i];
    rig.host.without = 0;
    rig_add(&rig, 4096, 1024, 50);
    rig_add(&rig, 4096, 1024, 900);
    rig_pass(&rig, 3);
    rig.domains[0].cache_back_kib = CAGMA_MIB(500);
    rig_decide(&rig);
    g_assert_cmpuint(rig.plan.n_steps, ==, 0);
    rig_clear(&rig);
  }
}

/* One that has just started may take 1024 more without asking. In its first minute nobody gives
 * for that; what others need is given only as far as it is in hand all the same. */
static void
test_nobody_gives_for_what_a_starting_domain_has_not_taken(void)
{
  Rig rig;

  rig_init(&rig, 3072 - 1024);
  rig_add(&rig, 2048, 1024, 500);
  rig_add(&rig, 2048, 1024, 500);
  rig_pass(&rig, 3);
  cagma_domain_restart(&rig.domains[1], CAGMA_MIB(1024), rig.now_us);
  rig.silent[1] = TRUE;
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpint(rig.plan.verdict.in_hand_kib, ==, -(int64_t)CAGMA_MIB(1024));
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);

  rig.samples[0].usable_kib = CAGMA_MIB(10);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig.plan.verdict.fit, !=, CAGMA_FIT_SHORT);

  rig.samples[0].usable_kib = CAGMA_MIB(500);
  rig_pass(&rig, 60);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), <, 1024);
  g_assert_cmpuint(rig_target_mib(&rig, 0), >, 0);
  rig_clear(&rig);
}

/* Nor later while its balloon is on its way to what was asked of it: 10 MiB a second from 2048 down
 * to 1024. What it holds beyond that is its own, and no reason to make another short. */
static void
test_nobody_gives_for_what_a_starting_domain_gives_back(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 2048, 1024, 960);
  rig_add(&rig, 2048, 2048, 1900);
  cagma_domain_restart(&rig.domains[1], CAGMA_MIB(1024), rig.now_us);
  for (int s = 0; s < 100; s++) {
    rig.samples[1].actual_kib -= CAGMA_MIB(10);
    rig.samples[1].rss_kib = rig.samples[1].actual_kib;
    rig_pass(&rig, 1);
    /* That it moves isn't known at first. */
    if (s == 0)
      continue;
    rig_decide(&rig);
    g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 0);
  }
  /* Where it stands still it has come to rest, at more than there is. */
  rig_pass(&rig, 6);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, >=, 1);
  rig_clear(&rig);
}

/* Spreading follows no move of the last ten seconds, and none that is on its way. */
static void
test_spread_is_for_those_at_rest(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig.host.without = 0;
  rig_add(&rig, 2048, 1024, 500);
  rig_add(&rig, 2048, 1024, 500);
  rig_pass(&rig, 3);
  cagma_domain_set(&rig.domains[0], CAGMA_MIB(1100), rig.now_us);
  rig.samples[0].actual_kib = CAGMA_MIB(1100);
  rig_pass(&rig, 9);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 0);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 2048);
  g_assert_cmpint(rig_why(&rig, 1), ==, CAGMA_WHY_SPREAD);
  rig_obey(&rig);
  rig_pass(&rig, 9);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 2048);
  rig_clear(&rig);
}

/* Levels of 1200 for both; a quarter of what can be spared goes at once. */
static void
test_levelling_takes_a_quarter(void)
{
  Rig rig;

  rig_init(&rig, 2400);
  rig.host.without = 0;
  rig_add(&rig, 4096, 1900, 1464);
  rig_add(&rig, 4096, 500, 64);
  rig_pass(&rig, 12);
  rig_decide(&rig);
  g_assert_cmpint(rig.plan.verdict.fit, ==, CAGMA_FIT_LEVEL);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_LEVELS);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1900 - 1400 / 4);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 0);
  /* 10 s later what came in is handed out. */
  rig_obey(&rig);
  rig_pass(&rig, 10);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 500 + 350);
  rig_clear(&rig);
}

static void
test_donor_is_not_asked_again_before_it_has_reported(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 2048, 0);
  rig_add(&rig, 4096, 2048, 564);
  rig.domains[0].config.headroom_kib = CAGMA_MIB(400);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  rig_obey(&rig);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 0);
  rig_obey(&rig);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  /* 150 of the 400 still missing, and 250 to spare. */
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 2048 - 250 - 125);
  rig_clear(&rig);
}

/* Memory that was promised and doesn't come is asked of another. */
static void
test_stuck_donor_is_replaced(void)
{
  Rig rig;

  rig_init(&rig, 3072);
  rig_add(&rig, 4096, 1024, 0);
  rig_add(&rig, 4096, 1024, 964);
  rig_add(&rig, 4096, 1024, 64);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 960);
  cagma_domain_set(&rig.domains[1], rig.plan.decisions[1].target_kib, rig.now_us);

  rig.samples[2].usable_kib = CAGMA_MIB(564);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 2), ==, 0);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 2), ==, 1024 - 64);
  rig_clear(&rig);
}

static void
test_stuck_move_is_withdrawn(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 2048, 1000);
  rig_pass(&rig, 3);
  cagma_domain_set(&rig.domains[0], CAGMA_MIB(1500), rig.now_us);
  rig_pass(&rig, 5);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 2048);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_WITHDRAWN);
  cagma_domain_set(&rig.domains[0], rig.plan.decisions[0].target_kib, rig.now_us);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_STUCK);
  rig_clear(&rig);
}

static void
test_growth_that_does_not_come_about_is_withdrawn_to_the_guarantee(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 500);
  rig.domains[0].config.guarantee_kib = CAGMA_MIB(1200);
  rig_pass(&rig, 3);
  cagma_domain_set(&rig.domains[0], CAGMA_MIB(2048), rig.now_us);
  rig_pass(&rig, 5);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1200);
  rig_clear(&rig);
}

/* Its target can't be set to its size, which is above the limit now. */
static void
test_stuck_above_a_lowered_limit_is_left_alone(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 2048, 1000);
  rig_pass(&rig, 3);
  cagma_domain_set(&rig.domains[0], CAGMA_MIB(1500), rig.now_us);
  rig.domains[0].config.limit_kib = CAGMA_MIB(1800);
  rig_pass(&rig, 5);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_STUCK);
  rig_clear(&rig);
}

static void
test_unknown_target_is_reasserted(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 2048, 1000);
  rig_pass(&rig, 3);
  cagma_domain_restart(&rig.domains[0], 0, rig.now_us);
  rig_pass(&rig, 7);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 2048);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_REASSERTED);
  rig_clear(&rig);
}

static void
test_below_its_guarantee_one_grows_before_all_others(void)
{
  Rig rig;

  rig_init(&rig, 2048 + 100);
  rig_add(&rig, 4096, 1024, 0);
  rig_add(&rig, 4096, 1024, 0);
  rig.domains[1].config.guarantee_kib = CAGMA_MIB(1124);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 0);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 1124);
  g_assert_cmpint(rig_why(&rig, 1), ==, CAGMA_WHY_BELOW_GUARANTEE);
  rig_clear(&rig);
}

/* It has 1024 and is asked for 124, which don't come: it isn't asked again for a while. But where
 * it is short in the meantime, it grows; one that didn't grow when it was asked to doesn't. */
static void
test_who_could_not_shrink_may_grow(void)
{
  for (int grows = 0; grows < 2; grows++) {
    Rig rig;

    rig_init(&rig, 2048);
    rig_add(&rig, 4096, 1024, 500)->without = CAGMA_RULE_FORESEEN;
    rig_pass(&rig, 3);
    cagma_domain_set(&rig.domains[0], CAGMA_MIB(grows ? 1124 : 900), rig.now_us);
    rig_pass(&rig, 5);
    rig_decide(&rig);
    g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_WITHDRAWN);
    rig_obey(&rig);
    rig_pass(&rig, 1);
    rig.samples[0].usable_kib = 0;
    rig_pass(&rig, 1);
    rig_decide(&rig);
    g_assert_cmpuint(rig_target_mib(&rig, 0), ==, grows ? 0 : 1024 + 64);
    g_assert_cmpint(rig_why(&rig, 0), ==, grows ? CAGMA_WHY_STUCK : CAGMA_WHY_SHORT);
    if (!grows) {
      rig_obey(&rig);
      rig_pass(&rig, 1);
      g_assert_cmpuint(rig.domains[0].stuck_count, ==, 1);
    }
    rig_clear(&rig);
  }
}

/* Even without figures: the guarantee asks for none. */
static void
test_below_its_guarantee_a_blind_one_grows(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 900);
  rig.domains[0].config.guarantee_kib = CAGMA_MIB(1500);
  rig.silent[0] = TRUE;
  rig_pass(&rig, 20);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1500);
  rig_clear(&rig);
}

/* A raised guarantee eases a shrink under way although its guest fell silent. */
static void
test_raised_guarantee_eases_a_blind_shrink(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 3072, 2500);
  rig_pass(&rig, 3);
  cagma_domain_set(&rig.domains[0], CAGMA_MIB(1024), rig.now_us);
  rig.silent[0] = TRUE;
  for (int second = 0; second < 12; second++) {
    rig.samples[0].actual_kib -= CAGMA_MIB(10);
    rig_pass(&rig, 1);
  }
  rig.domains[0].config.guarantee_kib = CAGMA_MIB(1500);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1500);
  rig_clear(&rig);
}

static void
test_last_bit_of_a_guarantee_is_taken_from_who_has_a_bit_too_much(void)
{
  Rig rig;

  /* 10 missing to the guarantee, less than a donor's deadband of 30. */
  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 0);
  rig_add(&rig, 4096, 1024, 0);
  rig.domains[0].config.guarantee_kib = CAGMA_MIB(1034);
  rig.domains[1].config.guarantee_kib = CAGMA_MIB(1000);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpint(rig.plan.verdict.fit, ==, CAGMA_FIT_SHARED);
  g_assert_cmpuint(rig_target_mib(&rig, 1), >=, 1000);
  g_assert_cmpuint(rig_target_mib(&rig, 1), <=, 1014);
  rig_clear(&rig);
}

static void
test_without_figures_nobody_is_shrunk(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 0);
  rig_add(&rig, 4096, 1024, 900);
  rig.silent[1] = TRUE;
  rig_pass(&rig, 20);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig_why(&rig, 1), ==, CAGMA_WHY_STALE);
  g_assert_cmpint(rig.plan.decisions[1].state, ==, CAGMA_STATE_BLIND);
  rig_clear(&rig);
}

static void
test_out_of_reach(void)
{
  static const struct {
    CagmaWhy why;
    CagmaState state;
  } cases[] = {
    { CAGMA_WHY_UNMANAGED, CAGMA_STATE_UNMANAGED },   { CAGMA_WHY_HELD, CAGMA_STATE_HELD },
    { CAGMA_WHY_UNRESPONSIVE, CAGMA_STATE_STUCK },    { CAGMA_WHY_OBSERVED, CAGMA_STATE_STEADY },
    { CAGMA_WHY_DISTRUSTED, CAGMA_STATE_DISTRUSTED }, { CAGMA_WHY_SILENT, CAGMA_STATE_BLIND },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Rig rig;
    CagmaDomain *domain;

    rig_init(&rig, 8192);
    domain = rig_add(&rig, 4096, 1024, 0);
    rig_pass(&rig, 3);
    domain->managed = cases[i].why != CAGMA_WHY_UNMANAGED;
    domain->hold = cases[i].why == CAGMA_WHY_HELD ? "saving" : NULL;
    domain->unresponsive = cases[i].why == CAGMA_WHY_UNRESPONSIVE;
    domain->distrusted = cases[i].why == CAGMA_WHY_DISTRUSTED;
    if (cases[i].why == CAGMA_WHY_OBSERVED)
      domain->config.mode = CAGMA_MODE_OBSERVE;
    if (cases[i].why == CAGMA_WHY_SILENT)
      cagma_domain_restart(domain, CAGMA_MIB(1024), rig.now_us);
    rig_decide(&rig);
    g_assert_cmpuint(rig.plan.n_steps, ==, 0);
    g_assert_cmpint(rig_why(&rig, 0), ==, cases[i].why);
    g_assert_cmpint(rig.plan.decisions[0].state, ==, cases[i].state);
    rig_clear(&rig);
  }
}

static void
test_above_its_limit_one_shrinks(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 2048, 1500);
  rig.domains[0].config.limit_kib = CAGMA_MIB(1500);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1500);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_ABOVE_LIMIT);
  rig_clear(&rig);
}

static void
test_reclaim_takes_a_quarter_of_what_is_idle(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 2048, 1064);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  rig.host.surplus = CAGMA_SURPLUS_RECLAIM;
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 2048 - 250);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_RECLAIMED);
  rig_clear(&rig);
}

static void
test_debt_is_paid_by_shrinking_only(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 2048, 10);
  rig_add(&rig, 4096, 2048, 10);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpint(rig.plan.verdict.in_hand_kib, ==, -(int64_t)CAGMA_MIB(2048));
  g_assert_cmpint(rig.plan.verdict.fit, ==, CAGMA_FIT_SHARED);
  /* An eighth at once, since they need it themselves. */
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 2048 - 256);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 2048 - 256);
  rig_clear(&rig);
}

static void
test_guarantees_that_do_not_fit(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 10);
  rig_add(&rig, 4096, 1024, 10);
  for (size_t i = 0; i < 2; i++)
    rig.domains[i].config.guarantee_kib = CAGMA_MIB(1500);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpint(rig.plan.verdict.fit, ==, CAGMA_FIT_SHORT);
  g_assert_cmpuint(rig.plan.verdict.shortfall_kib, ==, CAGMA_MIB(952));
  g_assert_cmpuint(rig.plan.below_kib, ==, CAGMA_MIB(952));
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  rig_clear(&rig);
}

/* 100 in hand, one wants 2000 and one 20, both of the same weight. */
static void
test_small_need_is_served_beside_a_great_one(void)
{
  Rig rig;

  rig_init(&rig, 1024 + 512 + 2600 + 100);
  rig_add(&rig, 8192, 1024, 0);
  rig_add(&rig, 4096, 512, 44);
  rig_add(&rig, 4096, 2600, 2300);
  rig.domains[0].config.headroom_kib = CAGMA_MIB(2000);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpint(rig.plan.verdict.fit, ==, CAGMA_FIT_TAKE);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 532);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1024 + 80);
  rig_clear(&rig);
}

/* A need that passed the deadband once is served when the memory is there, though
 * it wavers: else donors would be shrunk for nothing, again and again. */
static void
test_need_that_others_gave_for_is_not_forgotten(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 40);
  rig_add(&rig, 4096, 1024, 564);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_WAITS);
  rig_obey(&rig);
  rig.samples[0].usable_kib = CAGMA_MIB(46);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1024 + 18);
  rig_clear(&rig);
}

static void
test_nobody_gives_for_a_need_too_small_to_be_served(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 46);
  rig_add(&rig, 4096, 1024, 564);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  rig_clear(&rig);
}

/* A guarantee of nothing: used by nobody, but its kernel still has to live. */
static void
test_guarantee_of_nothing_leaves_something(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 100, 90);
  rig.domains[0].config.guarantee_kib = 0;
  rig.domains[0].config.estimator = CAGMA_ESTIMATOR_STATIC;
  rig.host.surplus = CAGMA_SURPLUS_RECLAIM;
  for (int second = 0; second < 30; second++) {
    rig_pass(&rig, 1);
    rig_decide(&rig);
    rig_obey(&rig);
  }
  g_assert_cmpuint(rig.domains[0].actual_kib, >=, CAGMA_MIB(64));
  g_assert_cmpuint(rig.domains[0].actual_kib, <=, CAGMA_MIB(84));
  rig_clear(&rig);
}

/* Shared, 1024 for each: the one that has 40 more gives less half its deadband of 31.9,
 * lest noise call it back. */
static void
test_shrink_stops_short_of_what_noise_would_call_back(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1064, 0)->config.headroom_kib = CAGMA_MIB(300);
  rig_add(&rig, 4096, 984, 0)->config.headroom_kib = CAGMA_MIB(300);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpint(rig.plan.verdict.fit, ==, CAGMA_FIT_SHARED);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 1039);
  rig_clear(&rig);
}

/* 1500 for each: the third isn't shrunk because the first, on its way to its share,
 * can't give more just now. */
static void
test_what_is_under_way_changes_no_shares(void)
{
  Rig rig;

  rig_init(&rig, 4500);
  rig_add(&rig, 4096, 2200, 0);
  rig_add(&rig, 4096, 800, 0);
  rig_add(&rig, 4096, 1500, 0);
  for (size_t i = 0; i < 3; i++)
    rig.domains[i].config.headroom_kib = CAGMA_MIB(3000);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 0), ==, 2200 - 275);
  g_assert_cmpuint(rig_target_mib(&rig, 2), ==, 0);
  rig_obey(&rig);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 800 + 275);
  g_assert_cmpuint(rig_target_mib(&rig, 2), ==, 0);
  rig_clear(&rig);
}

/* 24 wanted, and three who could give: two give a piece worth the call. */
static void
test_no_more_donors_are_asked_than_it_takes(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 40);
  for (size_t i = 0; i < 3; i++)
    rig_add(&rig, 4096, 1024, 564);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 2);
  g_assert_cmpuint(rig_target_mib(&rig, 1), ==, 1024 - 16);
  g_assert_cmpuint(rig_target_mib(&rig, 2), ==, 1024 - 16);
  rig_clear(&rig);
}

/* Two reports and a period: as long as it takes memory to arrive. */
static void
test_consumption_is_foreseen_as_far_as_reports_reach(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 2048, 1000);
  rig.domains[0].report_period_us = 2 * CAGMA_SECOND_US;
  rig_pass(&rig, 3);
  rig.samples[0].usable_kib = CAGMA_MIB(980);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.decisions[0].demand.foreseen_kib, ==, CAGMA_MIB(5 * 20));
  rig_clear(&rig);
}

static void
test_growth_stuck_above_a_lowered_limit_is_left_alone(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1500, 500);
  rig_pass(&rig, 3);
  cagma_domain_set(&rig.domains[0], CAGMA_MIB(2048), rig.now_us);
  rig.domains[0].config.limit_kib = CAGMA_MIB(1200);
  rig_pass(&rig, 5);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  rig_clear(&rig);
}

static void
test_empty_host(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpuint(rig.plan.n_decisions, ==, 0);
  rig_clear(&rig);
}

/* Room is made once, not in each cycle. */
static void
test_room_is_kept(void)
{
  Rig rig;
  const CagmaStep *steps;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 10);
  rig_decide(&rig);
  steps = rig.plan.steps;
  rig_add(&rig, 4096, 1024, 10);
  for (int i = 0; i < 10; i++)
    rig_decide(&rig);
  g_assert_true(rig.plan.steps == steps);
  rig_clear(&rig);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/plan/grow/in-hand", test_growth_from_memory_in_hand);
  g_test_add_func("/plan/grow/deadband", test_small_need_is_left_alone_unless_it_swaps);
  g_test_add_func("/plan/grow/small-beside-great", test_small_need_is_served_beside_a_great_one);
  g_test_add_func("/plan/grow/not-forgotten", test_need_that_others_gave_for_is_not_forgotten);
  g_test_add_func("/plan/take/free-first", test_free_first_then_give);
  g_test_add_func("/plan/take/half-at-once", test_donor_gives_half_of_what_it_can_spare_at_once);
  g_test_add_func("/plan/take/free-at-once", test_what_a_donor_has_free_is_given_at_once);
  g_test_add_func("/plan/wish/small", test_small_wish_is_not_served);
  g_test_add_func("/plan/wish/having-given", test_who_just_gave_wishes_in_vain);
  g_test_add_func("/plan/wish/in-part", test_wish_takes_what_is_in_hand);
  g_test_add_func("/plan/wish/others", test_who_serves_no_wishes_takes_nothing_for_them);
  g_test_add_func("/plan/untouched", test_nobody_gives_for_what_a_starting_domain_has_not_taken);
  g_test_add_func("/plan/untouched/moving", test_nobody_gives_for_what_a_starting_domain_gives_back);
  g_test_add_func("/plan/spread/at-rest", test_spread_is_for_those_at_rest);
  g_test_add_func("/plan/spread/level", test_levelling_takes_a_quarter);
  g_test_add_func("/plan/take/seen-first", test_donor_is_not_asked_again_before_it_has_reported);
  g_test_add_func("/plan/take/stuck-donor", test_stuck_donor_is_replaced);
  g_test_add_func("/plan/take/not-for-nothing", test_nobody_gives_for_a_need_too_small_to_be_served);
  g_test_add_func("/plan/take/no-more-donors", test_no_more_donors_are_asked_than_it_takes);
  g_test_add_func("/plan/shared/stops-short", test_shrink_stops_short_of_what_noise_would_call_back);
  g_test_add_func("/plan/shared/under-way", test_what_is_under_way_changes_no_shares);
  g_test_add_func("/plan/foreseen", test_consumption_is_foreseen_as_far_as_reports_reach);
  g_test_add_func("/plan/stuck/growth-above-limit", test_growth_stuck_above_a_lowered_limit_is_left_alone);
  g_test_add_func("/plan/stuck/shrink", test_stuck_move_is_withdrawn);
  g_test_add_func("/plan/stuck/growth", test_growth_that_does_not_come_about_is_withdrawn_to_the_guarantee);
  g_test_add_func("/plan/stuck/shrink-then-growth", test_who_could_not_shrink_may_grow);
  g_test_add_func("/plan/stuck/above-limit", test_stuck_above_a_lowered_limit_is_left_alone);
  g_test_add_func("/plan/reassert", test_unknown_target_is_reasserted);
  g_test_add_func("/plan/guarantee/first", test_below_its_guarantee_one_grows_before_all_others);
  g_test_add_func("/plan/guarantee/blind", test_below_its_guarantee_a_blind_one_grows);
  g_test_add_func("/plan/guarantee/eases", test_raised_guarantee_eases_a_blind_shrink);
  g_test_add_func("/plan/guarantee/last-bit",
                  test_last_bit_of_a_guarantee_is_taken_from_who_has_a_bit_too_much);
  g_test_add_func("/plan/guarantee/do-not-fit", test_guarantees_that_do_not_fit);
  g_test_add_func("/plan/guarantee/nothing", test_guarantee_of_nothing_leaves_something);
  g_test_add_func("/plan/blind", test_without_figures_nobody_is_shrunk);
  g_test_add_func("/plan/out-of-reach", test_out_of_reach);
  g_test_add_func("/plan/limit", test_above_its_limit_one_shrinks);
  g_test_add_func("/plan/reclaim", test_reclaim_takes_a_quarter_of_what_is_idle);
  g_test_add_func("/plan/debt", test_debt_is_paid_by_shrinking_only);
  g_test_add_func("/plan/empty", test_empty_host);
  g_test_add_func("/plan/room", test_room_is_kept);
  return g_test_run();
}
