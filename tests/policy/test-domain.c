/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/domain.h"
#include "policy/units.h"
#include "rig.h"

/* One domain of 4 GiB that stands at 2 GiB, settled and fresh. */
typedef struct {
  Rig rig;
  CagmaDomain *domain;
  CagmaSample *sample;
} Fixture;

static void
set_up(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  rig_init(&f->rig, 8192);
  f->domain = rig_add(&f->rig, 4096, 2048, 500);
  f->sample = &f->rig.samples[0];
  rig_pass(&f->rig, 2);
  g_assert_true(f->domain->settled);
  g_assert_true(cagma_domain_fresh(f->domain, f->rig.now_us));
}

static void
tear_down(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  rig_clear(&f->rig);
}

static void
pass_with_ticks(Fixture *f, int64_t seconds)
{
  while (seconds-- > 0) {
    rig_pass(&f->rig, 1);
    cagma_domain_tick(f->domain, f->rig.now_us);
  }
}

/* The balloon is asked for, and gets at once to, mib. */
static void
resize(Fixture *f, uint64_t mib)
{
  cagma_domain_set(f->domain, CAGMA_MIB(mib), f->rig.now_us);
  f->sample->actual_kib = CAGMA_MIB(mib);
}

static void
test_charge(void)
{
  static const struct {
    const char *what;
    uint64_t actual, target, rss;
    gboolean unmanaged, observed, unsettled, distrusted;
    uint64_t charge;
  } cases[] = {
    { "its size", 2000, 2000, 1000, FALSE, FALSE, FALSE, FALSE, 2000 },
    { "what it was told to grow to", 2000, 3000, 1000, FALSE, FALSE, FALSE, FALSE, 3000 },
    { "what it has until it has shrunk", 2000, 1000, 1000, FALSE, FALSE, FALSE, FALSE, 2000 },
    { "resident memory less overhead, where that's more", 2000, 2000, 2400, FALSE, FALSE, FALSE, FALSE,
      2300 },
    { "never more than <memory>", 2000, 2000, 9000, FALSE, FALSE, FALSE, FALSE, 4096 },
    { "in full while its target isn't known", 2000, 0, 1000, FALSE, FALSE, FALSE, FALSE, 4096 },
    { "in full while unmanaged", 2000, 2000, 1000, TRUE, FALSE, FALSE, FALSE, 4096 },
    { "in full while observed", 2000, 2000, 1000, FALSE, TRUE, FALSE, FALSE, 4096 },
    { "in full until settled", 2000, 2000, 1000, FALSE, FALSE, TRUE, FALSE, 4096 },
    { "in full while distrusted", 2000, 2000, 1000, FALSE, FALSE, FALSE, TRUE, 4096 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaDomain domain;

    g_test_message("%s", cases[i].what);
    cagma_domain_init(&domain, 0);
    domain.max_kib = CAGMA_MIB(4096);
    domain.overhead_kib = CAGMA_MIB(100);
    domain.has_actual = TRUE;
    domain.actual_kib = CAGMA_MIB(cases[i].actual);
    domain.target_kib = CAGMA_MIB(cases[i].target);
    domain.rss_kib = CAGMA_MIB(cases[i].rss);
    domain.managed = !cases[i].unmanaged;
    domain.config.mode = cases[i].observed ? CAGMA_MODE_OBSERVE : CAGMA_MODE_ENFORCE;
    domain.settled = !cases[i].unsettled;
    domain.distrusted = cases[i].distrusted;
    g_assert_cmpuint(cagma_domain_charge(&domain), ==, CAGMA_MIB(cases[i].charge));
  }
}

static void
test_restart_is_charged_in_full_until_settled(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpuint(cagma_domain_charge(f->domain), ==, CAGMA_MIB(2048));
  cagma_domain_restart(f->domain, CAGMA_MIB(2048), f->rig.now_us);
  f->sample->actual_kib = CAGMA_MIB(4096);
  rig_pass(&f->rig, 3);
  g_assert_cmpuint(cagma_domain_charge(f->domain), ==, CAGMA_MIB(4096));
  f->sample->actual_kib = CAGMA_MIB(2048);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(cagma_domain_charge(f->domain), ==, CAGMA_MIB(2048));
}

/* A balloon with no driver behind it keeps its size and says nothing. */
static void
test_without_a_report_nothing_settles(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  cagma_domain_restart(f->domain, CAGMA_MIB(2048), f->rig.now_us);
  f->rig.silent[0] = TRUE;
  rig_pass(&f->rig, 100);
  g_assert_false(f->domain->settled);
}

/* One that moves has a driver behind it, although its guest tells nothing. */
static void
test_without_a_report_what_moved_settles(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->actual_kib = CAGMA_MIB(4096);
  cagma_domain_restart(f->domain, CAGMA_MIB(2048), f->rig.now_us);
  f->rig.silent[0] = TRUE;
  rig_pass(&f->rig, 1);
  /* What any waver comes to is no sign of it. */
  f->sample->actual_kib -= CAGMA_REACHED_KIB;
  rig_pass(&f->rig, 30);
  g_assert_false(f->domain->moves);
  g_assert_false(f->domain->settled);

  f->sample->actual_kib -= CAGMA_MIB(100);
  rig_pass(&f->rig, 1);
  g_assert_true(f->domain->moves);
  g_assert_false(f->domain->settled);
  f->sample->actual_kib = CAGMA_MIB(2048);
  rig_pass(&f->rig, 1);
  g_assert_true(f->domain->settled);
  g_assert_false(f->domain->reported);
  g_assert_cmpuint(cagma_domain_charge(f->domain), ==, CAGMA_MIB(2048));

  /* After a restart it has to move again. */
  cagma_domain_restart(f->domain, CAGMA_MIB(2048), f->rig.now_us);
  rig_pass(&f->rig, 30);
  g_assert_false(f->domain->settled);
}

static void
test_free_memory_is_what_the_guest_calls_unused(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpuint(f->domain->free_kib, ==, 0);
  f->sample->has |= CAGMA_HAS_UNUSED;
  f->sample->unused_kib = CAGMA_MIB(300);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->free_kib, ==, CAGMA_MIB(300));
  /* Some of what is unused is no more available than that. */
  f->sample->unused_kib = CAGMA_MIB(700);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->free_kib, ==, CAGMA_MIB(500));
  f->sample->has &= ~(uint32_t)CAGMA_HAS_UNUSED;
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->free_kib, ==, 0);
}

static void
test_what_stands_still_settles_elsewhere_too(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  cagma_domain_restart(f->domain, CAGMA_MIB(1024), f->rig.now_us);
  rig_pass(&f->rig, 5);
  g_assert_false(f->domain->settled);
  rig_pass(&f->rig, 2);
  g_assert_true(f->domain->settled);
}

static void
test_counters_backwards_are_a_reboot(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->swap_in_kib = f->sample->swap_out_kib = 5000;
  f->sample->major_faults = 70;
  rig_pass(&f->rig, 1);
  f->sample->major_faults = 69;
  f->sample->actual_kib = CAGMA_MIB(4096);
  rig_pass(&f->rig, 1);
  g_assert_false(f->domain->settled);
  g_assert_false(f->domain->has_figures);
  g_assert_cmpuint(f->domain->target_kib, ==, CAGMA_MIB(2048));
  g_assert_cmpuint(f->domain->swap_in_kib_per_s, ==, 0);
}

static void
test_stale_after_ten_seconds(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->rig.silent[0] = TRUE;
  rig_pass(&f->rig, 10);
  g_assert_true(cagma_domain_fresh(f->domain, f->rig.now_us));
  rig_pass(&f->rig, 1);
  g_assert_false(cagma_domain_fresh(f->domain, f->rig.now_us));
}

static void
test_stale_after_four_long_periods(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->domain->report_period_us = 5 * CAGMA_SECOND_US;
  f->rig.silent[0] = TRUE;
  rig_pass(&f->rig, 20);
  g_assert_true(cagma_domain_fresh(f->domain, f->rig.now_us));
  rig_pass(&f->rig, 1);
  g_assert_false(cagma_domain_fresh(f->domain, f->rig.now_us));
}

/* Its first stamp may be of yesterday. */
static void
test_first_stamp_is_no_report(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample sample = *f->sample;

  cagma_domain_restart(f->domain, CAGMA_MIB(2048), f->rig.now_us);
  sample.has |= CAGMA_HAS_STAMP;
  sample.stamp = 77;
  cagma_domain_feed(f->domain, &sample, f->rig.now_us + 1);
  cagma_domain_feed(f->domain, &sample, f->rig.now_us + 2);
  g_assert_false(f->domain->reported);
  sample.stamp = 78;
  cagma_domain_feed(f->domain, &sample, f->rig.now_us + 3);
  g_assert_true(f->domain->reported);
}

static void
test_more_usable_than_it_has_is_contradictory(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->usable_kib = CAGMA_MIB(2049);
  rig_pass(&f->rig, 1);
  g_assert_true(f->domain->contradictory);
  g_assert_false(cagma_domain_fresh(f->domain, f->rig.now_us));
  f->sample->usable_kib = CAGMA_MIB(700);
  rig_pass(&f->rig, 1);
  g_assert_true(cagma_domain_fresh(f->domain, f->rig.now_us));
  g_assert_cmpuint(f->domain->used_kib, ==, CAGMA_MIB(2048 - 700));
}

/* What is usable of one size says nothing of another. */
static void
test_no_figures_while_the_balloon_moves(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->actual_kib = CAGMA_MIB(1900);
  f->sample->usable_kib = CAGMA_MIB(100);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->used_kib, ==, CAGMA_MIB(2048 - 500));
  g_assert_false(cagma_domain_seen_since_move(f->domain));
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->used_kib, ==, CAGMA_MIB(1900 - 100));
  g_assert_true(cagma_domain_seen_since_move(f->domain));
}

static void
test_swap_back_decays_by_half_lives(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->swap_out_kib = CAGMA_MIB(4000);
  f->sample->swap_in_kib = CAGMA_MIB(800);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->swap_back_kib, ==, CAGMA_MIB(800));
  g_assert_cmpuint(f->domain->swap_in_kib_per_s, ==, CAGMA_MIB(800));
  rig_pass(&f->rig, 10);
  g_assert_cmpuint(f->domain->swap_back_kib, >=, CAGMA_MIB(370));
  g_assert_cmpuint(f->domain->swap_back_kib, <=, CAGMA_MIB(480));
  rig_pass(&f->rig, 200);
  g_assert_cmpuint(f->domain->swap_back_kib, <, CAGMA_MIB(1));
}

static void
test_pushed_out_decays_and_is_bounded_likewise(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->swap_out_kib = CAGMA_MIB(800);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->pushed_out_kib, ==, CAGMA_MIB(800));
  f->sample->swap_in_kib = CAGMA_MIB(300);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->pushed_out_kib, ==, CAGMA_MIB(500));
  rig_pass(&f->rig, 10);
  g_assert_cmpuint(f->domain->pushed_out_kib, >=, CAGMA_MIB(230));
  g_assert_cmpuint(f->domain->pushed_out_kib, <=, CAGMA_MIB(300));
}

static void
test_swap_back_is_no_more_than_is_swapped_out(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->swap_out_kib = CAGMA_MIB(1000);
  f->sample->swap_in_kib = CAGMA_MIB(900);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->swap_back_kib, ==, CAGMA_MIB(100));
}

static void
test_cache_back_decays_and_is_bounded(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->has |= CAGMA_HAS_REFAULT;
  f->sample->refault_file_kib = CAGMA_GIB(7);
  rig_pass(&f->rig, 1);
  /* With the first figure there's nothing to compare. */
  g_assert_cmpuint(f->domain->cache_back_kib, ==, 0);
  f->sample->refault_file_kib += CAGMA_MIB(800);
  f->sample->refault_anon_kib += CAGMA_MIB(50);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->cache_back_kib, ==, CAGMA_MIB(800));
  rig_pass(&f->rig, 10);
  g_assert_cmpuint(f->domain->cache_back_kib, >=, CAGMA_MIB(396));
  g_assert_cmpuint(f->domain->cache_back_kib, <=, CAGMA_MIB(400));
  /* The same pages again and again: there can't be more than it has. */
  f->sample->refault_file_kib += CAGMA_GIB(40);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->cache_back_kib, ==, CAGMA_GIB(4));
  f->sample->has &= ~(uint32_t)CAGMA_HAS_REFAULT;
  rig_pass(&f->rig, 200);
  g_assert_cmpuint(f->domain->cache_back_kib, <, CAGMA_MIB(1));
}

static void
test_refaults_backwards_are_a_reboot(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  for (int way = 0; way < 2; way++) {
    f->sample->has |= CAGMA_HAS_REFAULT;
    f->sample->refault_file_kib = f->sample->refault_anon_kib = 1000;
    rig_pass(&f->rig, 1);
    f->sample->refault_file_kib = 2000;
    rig_pass(&f->rig, 10);
    g_assert_true(f->domain->settled);
    g_assert_cmpuint(f->domain->cache_back_kib, >, 0);
    f->sample->refault_file_kib = way ? 2000 : 1999;
    f->sample->refault_anon_kib = way ? 999 : 1000;
    f->sample->actual_kib = CAGMA_MIB(4096);
    rig_pass(&f->rig, 1);
    g_assert_false(f->domain->settled);
    g_assert_cmpuint(f->domain->cache_back_kib, ==, 0);
    f->sample->refault_file_kib = 0;
    f->sample->refault_anon_kib = 0;
    f->sample->actual_kib = CAGMA_MIB(2048);
    rig_pass(&f->rig, 10);
  }
}

static void
test_consumption_counts_what_is_swapped_out_too(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->usable_kib = CAGMA_MIB(400);
  f->sample->swap_out_kib = CAGMA_MIB(50);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->consumption_kib_per_s, ==, CAGMA_MIB(150));
  rig_pass(&f->rig, 2);
  g_assert_cmpuint(f->domain->consumption_kib_per_s, >=, CAGMA_MIB(73));
  g_assert_cmpuint(f->domain->consumption_kib_per_s, <=, CAGMA_MIB(77));
}

static void
test_stuck_move_is_withdrawn_and_left_ever_longer(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  static const int64_t backoffs_s[] = { 30, 60, 120, 240, 480, 600, 600 };

  for (size_t i = 0; i < G_N_ELEMENTS(backoffs_s); i++) {
    cagma_domain_set(f->domain, CAGMA_MIB(1024), f->rig.now_us);
    pass_with_ticks(f, 4);
    g_assert_false(f->domain->withdraw);
    pass_with_ticks(f, 1);
    g_assert_true(f->domain->withdraw);
    g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_NONE);
    g_assert_cmpint(f->domain->stuck_until_us - f->rig.now_us, ==, backoffs_s[i] * CAGMA_SECOND_US);

    cagma_domain_set(f->domain, CAGMA_MIB(2048), f->rig.now_us);
    g_assert_false(f->domain->withdraw);
    pass_with_ticks(f, backoffs_s[i] - 1);
    g_assert_true(f->domain->stuck_until_us != 0);
    pass_with_ticks(f, 1);
    g_assert_false(f->domain->stuck_until_us != 0);
  }
}

/* Nobody looked, for a libvirtd that was away: it may have arrived. */
static void
test_move_that_was_not_looked_at_is_not_stuck(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample arrived = { .has = CAGMA_HAS_ACTUAL, .actual_kib = CAGMA_MIB(1024) };

  cagma_domain_set(f->domain, CAGMA_MIB(1024), f->rig.now_us);
  f->rig.now_us += 20 * CAGMA_SECOND_US;
  cagma_domain_tick(f->domain, f->rig.now_us);
  g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_SHRINK);
  g_assert_false(f->domain->withdraw);
  cagma_domain_feed(f->domain, &arrived, f->rig.now_us);
  g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_NONE);
  cagma_domain_tick(f->domain, f->rig.now_us);
  g_assert_false(f->domain->withdraw);
  g_assert_cmpint(f->domain->stuck_until_us, ==, 0);
}

/* What is out there goes on being withdrawn, whoever refused that. */
static void
test_refused_withdrawal_is_due_again(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  int64_t stuck_until_us;

  cagma_domain_set(f->domain, CAGMA_MIB(1024), f->rig.now_us);
  pass_with_ticks(f, 5);
  g_assert_true(f->domain->withdraw);
  cagma_domain_set(f->domain, CAGMA_MIB(2048), f->rig.now_us);
  g_assert_false(f->domain->withdraw);
  stuck_until_us = f->domain->stuck_until_us;
  cagma_domain_refused(f->domain, CAGMA_MIB(1024), f->rig.now_us);
  g_assert_true(f->domain->withdraw);
  /* Nor is that a reason to leave it alone for longer. */
  g_assert_cmpint(f->domain->stuck_until_us, ==, stuck_until_us);
  g_assert_true(f->domain->stuck_shrinking);

  /* But one that stands where it was asked to has nothing to withdraw. */
  cagma_domain_set(f->domain, CAGMA_MIB(2048), f->rig.now_us);
  cagma_domain_set(f->domain, CAGMA_MIB(1024), f->rig.now_us);
  cagma_domain_refused(f->domain, CAGMA_MIB(2048), f->rig.now_us);
  g_assert_false(f->domain->withdraw);
}

static void
test_move_that_succeeds_forgives(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->domain->stuck_count = 3;
  resize(f, 1900);
  rig_pass(&f->rig, 1);
  g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_NONE);
  g_assert_cmpuint(f->domain->stuck_count, ==, 0);
}

static void
test_move_with_progress_is_not_stuck(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  cagma_domain_set(f->domain, CAGMA_MIB(1024), f->rig.now_us);
  for (int i = 0; i < 10; i++) {
    f->sample->actual_kib -= CAGMA_MIB(3);
    pass_with_ticks(f, 4);
  }
  g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_SHRINK);
}

static void
test_paused_move_is_not_stuck(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  cagma_domain_set(f->domain, CAGMA_MIB(1024), f->rig.now_us);
  f->domain->hold = "paused";
  pass_with_ticks(f, 60);
  f->domain->hold = NULL;
  pass_with_ticks(f, 4);
  g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_SHRINK);
  pass_with_ticks(f, 2);
  g_assert_true(f->domain->withdraw);
}

/* Somebody else, or want of memory in the guest, moved it beyond. */
static void
test_going_past_the_target_ends_a_move(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  cagma_domain_set(f->domain, CAGMA_MIB(2500), f->rig.now_us);
  f->sample->actual_kib = CAGMA_MIB(3000);
  rig_pass(&f->rig, 1);
  g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_NONE);
  g_assert_cmpuint(cagma_domain_standing(f->domain), ==, CAGMA_MIB(3000));
}

static void
test_hurt(gconstpointer data G_GNUC_UNUSED)
{
  static const struct {
    const char *what;
    uint64_t swap_out_mib, swap_in_mib, faults, block_read_mib, before_faults;
    int after_s;
    gboolean hurts;
  } cases[] = {
    { "nothing", 0, 0, 0, 0, 0, 1, FALSE },
    { "2 MiB swapped out and in", 2, 2, 0, 0, 0, 1, TRUE },
    { "1 MiB swapped in", 100, 1, 0, 0, 0, 1, FALSE },
    { "1 MiB swapped out: more was out before", 1, 10, 0, 0, 0, 1, FALSE },
    { "only swapped out", 100, 0, 0, 0, 0, 1, FALSE },
    { "100 major faults a second", 0, 0, 100, 0, 0, 1, TRUE },
    { "99 of them", 0, 0, 99, 0, 0, 1, FALSE },
    { "356 of them, 256 for 1 MiB swapped in", 0, 1, 356, 0, 0, 1, TRUE },
    { "355 of them, 256 for 1 MiB swapped in", 0, 1, 355, 0, 0, 1, FALSE },
    { "not 4 times what there was before", 0, 0, 300, 0, 100, 1, FALSE },
    { "4 times what there was before", 0, 0, 400, 0, 100, 1, TRUE },
    { "8 MiB/s read", 0, 0, 0, 8, 0, 1, TRUE },
    { "7 MiB/s read", 0, 0, 0, 7, 0, 1, FALSE },
    { "swapped at the end of the window", 2, 2, 0, 0, 0, 20, TRUE },
    { "swapped after it", 2, 2, 0, 0, 0, 21, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Fixture f;

    g_test_message("%s", cases[i].what);
    set_up(&f, NULL);
    f.sample->swap_out_kib = CAGMA_MIB(100);
    f.sample->major_faults += cases[i].before_faults;
    rig_pass(&f.rig, 1);
    resize(&f, 1900);
    rig_pass(&f.rig, cases[i].after_s - 1);
    f.sample->swap_out_kib += CAGMA_MIB(cases[i].swap_out_mib);
    f.sample->swap_in_kib += CAGMA_MIB(cases[i].swap_in_mib);
    f.sample->major_faults += cases[i].faults;
    f.sample->block_read_kib += CAGMA_MIB(cases[i].block_read_mib);
    rig_pass(&f.rig, 1);
    g_assert_cmpuint(f.domain->regain_kib, ==, cases[i].hurts ? CAGMA_MIB(2048) : 0);
    tear_down(&f, NULL);
  }
}

/* Where the guest tells of its page cache, that counts, and no fault nor read. */
static void
test_hurt_by_refaults(gconstpointer data G_GNUC_UNUSED)
{
  static const struct {
    const char *what;
    uint64_t before_mib, refault_mib, anon_mib, faults, block_read_mib;
    int64_t after_s;
    gboolean hurts;
  } cases[] = {
    { "16 MiB of files came back", 0, 16, 0, 0, 0, 1, TRUE },
    { "15 MiB", 0, 15, 0, 0, 0, 1, FALSE },
    { "anonymous memory, which swap-in tells of", 0, 0, 16, 0, 0, 1, FALSE },
    { "major faults and reads, but nothing came back", 0, 0, 0, 5000, 500, 1, FALSE },
    { "twice what there was before", 20, 22, 0, 0, 0, 1, TRUE },
    { "less than twice", 20, 20, 0, 0, 0, 1, FALSE },
    { "at the end of the window", 0, 16, 0, 0, 0, 20, TRUE },
    { "after it", 0, 16, 0, 0, 0, 21, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Fixture f;

    g_test_message("%s", cases[i].what);
    set_up(&f, NULL);
    f.sample->has |= CAGMA_HAS_REFAULT;
    rig_pass(&f.rig, 1);
    f.sample->refault_file_kib += CAGMA_MIB(cases[i].before_mib);
    rig_pass(&f.rig, 1);
    resize(&f, 1900);
    rig_pass(&f.rig, cases[i].after_s - 1);
    /* 20 MiB decay to 18.7 in a second. */
    f.sample->refault_file_kib += CAGMA_MIB(cases[i].refault_mib);
    f.sample->refault_anon_kib += CAGMA_MIB(cases[i].anon_mib);
    f.sample->major_faults += cases[i].faults;
    f.sample->block_read_kib += CAGMA_MIB(cases[i].block_read_mib);
    rig_pass(&f.rig, 1);
    g_assert_cmpuint(f.domain->regain_kib, ==, cases[i].hurts ? CAGMA_MIB(2048) : 0);
    tear_down(&f, NULL);
  }
}

/* A guest that swaps in already has another trouble; the shrink isn't to blame for it. */
static void
test_what_swaps_in_before_is_not_hurt_by_the_shrink(gconstpointer data G_GNUC_UNUSED)
{
  for (int more = 0; more < 2; more++) {
    Fixture f;

    set_up(&f, NULL);
    f.sample->swap_out_kib = CAGMA_MIB(100);
    rig_pass(&f.rig, 1);
    f.sample->swap_in_kib += CAGMA_HURT_BEFORE_KIB_PER_S + (more ? CAGMA_PAGE_KIB : 0);
    rig_pass(&f.rig, 1);
    resize(&f, 1900);
    f.sample->swap_out_kib += CAGMA_MIB(10);
    f.sample->swap_in_kib += CAGMA_MIB(10);
    rig_pass(&f.rig, 1);
    g_assert_cmpuint(f.domain->regain_kib, ==, more ? 0 : CAGMA_MIB(2048));
    tear_down(&f, NULL);
  }
}

static void
test_each_hurt_is_spared_longer(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  static const int64_t backoffs_s[] = { 60, 120, 240, 480, 900, 900 };

  f->sample->swap_out_kib = CAGMA_MIB(1000);
  for (size_t i = 0; i < G_N_ELEMENTS(backoffs_s); i++) {
    resize(f, 1900);
    f->sample->swap_out_kib += CAGMA_MIB(10);
    f->sample->swap_in_kib += CAGMA_MIB(10);
    pass_with_ticks(f, 1);
    g_assert_cmpint(f->domain->regain_until_us - f->rig.now_us, ==, backoffs_s[i] * CAGMA_SECOND_US);
    resize(f, 2048);
    pass_with_ticks(f, backoffs_s[i] - 1);
    g_assert_cmpuint(f->domain->regain_kib, ==, CAGMA_MIB(2048));
    pass_with_ticks(f, 1);
    g_assert_cmpuint(f->domain->regain_kib, ==, 0);
  }
  /* One that doesn't hurt makes up for all of them. */
  resize(f, 1900);
  pass_with_ticks(f, 22);
  g_assert_cmpuint(f->domain->hurt_count, ==, 0);
}

static void
test_resident_memory_above_the_balloon_is_distrusted(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->rss_kib = CAGMA_MIB(2048 + 129);
  rig_pass(&f->rig, 30);
  g_assert_false(f->domain->distrusted);
  rig_pass(&f->rig, 1);
  g_assert_true(f->domain->distrusted);
  f->sample->rss_kib = CAGMA_MIB(2048 + 128);
  rig_pass(&f->rig, 1);
  g_assert_false(f->domain->distrusted);
}

/* Two samples a microsecond apart, all figures at their greatest. */
static void
test_rates_stay_in_bounds(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample sample = *f->sample;

  sample.has = CAGMA_HAS_STAMP - 1;
  sample.has |= CAGMA_HAS_BLOCK_READ;
  sample.usable_kib = 0;
  sample.swap_out_kib = CAGMA_MIB(10);
  sample.major_faults = sample.block_read_kib = UINT64_MAX;
  cagma_domain_feed(f->domain, &sample, f->rig.now_us + 1);
  /* 510 MiB and 10 MiB in a microsecond. */
  g_assert_cmpuint(f->domain->consumption_kib_per_s, ==, CAGMA_MIB(510) * 1000000);
  g_assert_cmpuint(f->domain->swap_out_kib_per_s, ==, CAGMA_MIB(10) * 1000000);
  g_assert_cmpuint(f->domain->faults_per_s, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(f->domain->block_read_kib_per_s, ==, CAGMA_MAX_KIB);
}

/* Counters that no guest could have reached: nothing of such a report is believed, and the
 * next one begins anew. */
static void
test_swapping_faster_than_any_guest_is_not_believed(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->sample->usable_kib = CAGMA_MIB(400);
  f->sample->swap_out_kib += CAGMA_SWAP_MAX_KIB_PER_S;
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->swap_out_kib_per_s, ==, CAGMA_SWAP_MAX_KIB_PER_S);
  g_assert_false(f->domain->contradictory);

  f->sample->usable_kib = CAGMA_MIB(300);
  f->sample->swap_out_kib += CAGMA_SWAP_MAX_KIB_PER_S + CAGMA_PAGE_KIB;
  rig_pass(&f->rig, 1);
  g_assert_true(f->domain->contradictory);
  g_assert_false(cagma_domain_fresh(f->domain, f->rig.now_us));
  g_assert_cmpuint(f->domain->available_kib, ==, CAGMA_MIB(400));

  f->sample->swap_in_kib += CAGMA_MIB(1);
  rig_pass(&f->rig, 1);
  g_assert_false(f->domain->contradictory);
  g_assert_cmpuint(f->domain->available_kib, ==, CAGMA_MIB(300));
  g_assert_cmpuint(f->domain->swap_back_kib, ==, 0);
  f->sample->swap_in_kib += CAGMA_MIB(1);
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->swap_back_kib, ==, CAGMA_MIB(1));
}

static void
test_owner_s_part_outlives_a_restart(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  f->domain->hold = "saving";
  f->domain->config.shares = 42;
  cagma_domain_restart(f->domain, 0, f->rig.now_us);
  g_assert_cmpstr(f->domain->hold, ==, "saving");
  g_assert_cmpuint(f->domain->config.shares, ==, 42);
  g_assert_cmpuint(f->domain->max_kib, ==, CAGMA_MIB(4096));
  g_assert_true(f->domain->managed);
  g_assert_cmpuint(f->domain->target_kib, ==, 0);
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *path;
    void (*test)(Fixture *f, gconstpointer data);
  } tests[] = {
    { "/domain/restart/charged-in-full", test_restart_is_charged_in_full_until_settled },
    { "/domain/restart/no-report-no-settling", test_without_a_report_nothing_settles },
    { "/domain/restart/no-report-but-moved", test_without_a_report_what_moved_settles },
    { "/domain/restart/settles-elsewhere", test_what_stands_still_settles_elsewhere_too },
    { "/domain/restart/counters-backwards", test_counters_backwards_are_a_reboot },
    { "/domain/restart/owner-s-part", test_owner_s_part_outlives_a_restart },
    { "/domain/fresh/ten-seconds", test_stale_after_ten_seconds },
    { "/domain/fresh/four-periods", test_stale_after_four_long_periods },
    { "/domain/fresh/first-stamp", test_first_stamp_is_no_report },
    { "/domain/fresh/contradictory", test_more_usable_than_it_has_is_contradictory },
    { "/domain/fresh/moving", test_no_figures_while_the_balloon_moves },
    { "/domain/swap-back/decays", test_swap_back_decays_by_half_lives },
    { "/domain/swap-back/bounded", test_swap_back_is_no_more_than_is_swapped_out },
    { "/domain/pushed-out", test_pushed_out_decays_and_is_bounded_likewise },
    { "/domain/free", test_free_memory_is_what_the_guest_calls_unused },
    { "/domain/cache-back", test_cache_back_decays_and_is_bounded },
    { "/domain/restart/refaults-backwards", test_refaults_backwards_are_a_reboot },
    { "/domain/consumption", test_consumption_counts_what_is_swapped_out_too },
    { "/domain/rates", test_rates_stay_in_bounds },
    { "/domain/absurd-rates", test_swapping_faster_than_any_guest_is_not_believed },
    { "/domain/stuck/backoff", test_stuck_move_is_withdrawn_and_left_ever_longer },
    { "/domain/stuck/not-looked-at", test_move_that_was_not_looked_at_is_not_stuck },
    { "/domain/stuck/withdrawal-refused", test_refused_withdrawal_is_due_again },
    { "/domain/stuck/forgiven", test_move_that_succeeds_forgives },
    { "/domain/stuck/progress", test_move_with_progress_is_not_stuck },
    { "/domain/stuck/paused", test_paused_move_is_not_stuck },
    { "/domain/move/past-the-target", test_going_past_the_target_ends_a_move },
    { "/domain/hurt/backoff", test_each_hurt_is_spared_longer },
    { "/domain/distrust", test_resident_memory_above_the_balloon_is_distrusted },
  };

  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/domain/charge", test_charge);
  g_test_add_data_func("/domain/hurt/signs", NULL, test_hurt);
  g_test_add_data_func("/domain/hurt/refaults", NULL, test_hurt_by_refaults);
  g_test_add_data_func("/domain/hurt/before", NULL, test_what_swaps_in_before_is_not_hurt_by_the_shrink);
  for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
    g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
  return g_test_run();
}
