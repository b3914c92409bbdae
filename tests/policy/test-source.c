/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose word counts when a guest speaks by its balloon and by its agent. Numbers in
 * MiB. */
#include "rig.h"

/* One domain of 4 GiB that stands at 2 GiB; its balloon says that 500 are available. */
typedef struct {
  Rig rig;
  CagmaDomain *domain;
  CagmaSample *balloon;
} Fixture;

static void
set_up(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  rig_init(&f->rig, 8192);
  f->domain = rig_add(&f->rig, 4096, 2048, 500);
  f->balloon = &f->rig.samples[0];
  f->balloon->swap_in_kib = f->balloon->swap_out_kib = CAGMA_MIB(100);
  f->balloon->major_faults = 1000;
  rig_pass(&f->rig, 2);
}

static void
tear_down(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  rig_clear(&f->rig);
}

static void
speak(Fixture *f, uint64_t usable_mib)
{
  CagmaSample sample = rig_channel(&f->rig, 0);

  sample.usable_kib = CAGMA_MIB(usable_mib);
  cagma_domain_feed(f->domain, &sample, f->rig.now_us);
}

static void
assert_available(const Fixture *f, CagmaSampleSource source, uint64_t mib)
{
  g_assert_cmpint(f->domain->source, ==, source);
  g_assert_cmpuint(f->domain->available_kib, ==, CAGMA_MIB(mib));
}

static void
test_better_source_takes_over_at_once(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  assert_available(f, CAGMA_SAMPLE_BALLOON, 500);
  speak(f, 300);
  assert_available(f, CAGMA_SAMPLE_CHANNEL, 300);
  g_assert_cmpuint(f->domain->used_kib, ==, CAGMA_MIB(2048 - 300));
}

static void
test_worse_source_is_passed_over_while_the_better_speaks(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  for (int i = 0; i < 20; i++) {
    speak(f, 300);
    rig_pass(&f->rig, 5);
    assert_available(f, CAGMA_SAMPLE_CHANNEL, 300);
  }
}

static void
test_falls_back_when_the_better_is_silent(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  speak(f, 300);
  rig_pass(&f->rig, 6);
  /* That was the first stamp of it, which may be of any age. */
  assert_available(f, CAGMA_SAMPLE_BALLOON, 300);
  g_assert_true(cagma_domain_fresh(f->domain, f->rig.now_us));
  rig_pass(&f->rig, 1);
  assert_available(f, CAGMA_SAMPLE_BALLOON, 500);
  speak(f, 200);
  assert_available(f, CAGMA_SAMPLE_CHANNEL, 200);
}

static void
test_falls_back_at_once_when_the_better_is_lost(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  speak(f, 300);
  cagma_domain_source_lost(f->domain, CAGMA_SAMPLE_CHANNEL);
  rig_pass(&f->rig, 2);
  assert_available(f, CAGMA_SAMPLE_BALLOON, 500);
}

/* Nothing but its figures keeps a shrink from killing such a guest: without its agent they aren't
 * gone by, however recent they are. */
static void
test_one_that_yields_is_blind_at_once(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  speak(f, 300);
  g_assert_true(cagma_domain_fresh(f->domain, f->rig.now_us));
  f->domain->yields = TRUE;
  cagma_domain_source_lost(f->domain, CAGMA_SAMPLE_AGENT);
  g_assert_true(cagma_domain_fresh(f->domain, f->rig.now_us));
  cagma_domain_source_lost(f->domain, CAGMA_SAMPLE_CHANNEL);
  g_assert_false(cagma_domain_fresh(f->domain, f->rig.now_us));
  speak(f, 300);
  g_assert_true(cagma_domain_fresh(f->domain, f->rig.now_us));
}

/* What isn't listened to can't be missed, nor can the last resort. */
static void
test_loss_of_another_source_changes_nothing(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  cagma_domain_source_lost(f->domain, CAGMA_SAMPLE_CHANNEL);
  g_assert_cmpuint(f->domain->has_counters, !=, 0);
  speak(f, 300);
  cagma_domain_source_lost(f->domain, CAGMA_SAMPLE_BALLOON);
  assert_available(f, CAGMA_SAMPLE_CHANNEL, 300);
}

/* An agent without the one figure that all depends on must not make the domain blind. */
static void
test_agent_that_tells_nothing_available_is_passed_over(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  for (int i = 0; i < 20; i++) {
    CagmaSample sample = rig_channel(&f->rig, 0);

    sample.has &= ~(uint32_t)CAGMA_HAS_USABLE;
    sample.has |= CAGMA_HAS_UNUSED;
    cagma_domain_feed(f->domain, &sample, f->rig.now_us);
    rig_pass(&f->rig, 1);
  }
  assert_available(f, CAGMA_SAMPLE_BALLOON, 500);
  g_assert_true(cagma_domain_fresh(f->domain, f->rig.now_us));
}

static void
test_unused_and_caches_are_as_good(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample sample = rig_channel(&f->rig, 0);

  sample.has = (sample.has & ~(uint32_t)CAGMA_HAS_USABLE) | CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES;
  sample.unused_kib = CAGMA_MIB(100);
  sample.caches_kib = CAGMA_MIB(50);
  cagma_domain_feed(f->domain, &sample, f->rig.now_us);
  assert_available(f, CAGMA_SAMPLE_CHANNEL, 150);
}

/* The balloon's counters are a second old and more; those of an agent may lack some. */
static void
test_counters_of_two_sources_are_no_reboot(gconstpointer data G_GNUC_UNUSED)
{
  static const struct {
    const char *what;
    uint32_t lacks_first;
    uint64_t swapped_mib, faults;
  } cases[] = {
    { "the agent is behind", 0, 90, 900 },
    { "the agent is ahead", 0, 110, 1100 },
    { "no swap counters at first", CAGMA_HAS_SWAP, 90, 900 },
    { "no fault counters at first", CAGMA_HAS_FAULTS, 90, 900 },
    { "no counters at first", CAGMA_HAS_SWAP | CAGMA_HAS_FAULTS, 90, 900 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Fixture f;
    CagmaSample sample;

    g_test_message("%s", cases[i].what);
    set_up(&f, NULL);
    for (int turn = 0; turn < 3; turn++) {
      sample = rig_channel(&f.rig, 0);
      sample.has &= ~cases[i].lacks_first;
      sample.swap_in_kib = sample.swap_out_kib = CAGMA_MIB(cases[i].swapped_mib);
      sample.major_faults = cases[i].faults;
      cagma_domain_feed(f.domain, &sample, f.rig.now_us);
      g_assert_true(f.domain->settled);
      rig_pass(&f.rig, 1);
      sample.has = rig_channel(&f.rig, 0).has;
      cagma_domain_feed(f.domain, &sample, f.rig.now_us);
      g_assert_true(f.domain->settled);
      /* Nothing was swapped: the difference is between the sources, not in time. */
      g_assert_cmpuint(f.domain->swap_back_kib, ==, 0);
      g_assert_cmpuint(f.domain->pushed_out_kib, ==, 0);
      g_assert_cmpuint(f.domain->swap_in_kib_per_s, ==, 0);
      g_assert_cmpuint(f.domain->faults_per_s, ==, 0);
      rig_pass(&f.rig, 8);
      g_assert_cmpint(f.domain->source, ==, CAGMA_SAMPLE_BALLOON);
      g_assert_true(f.domain->settled);
      g_assert_cmpuint(f.domain->swap_back_kib, ==, 0);
    }
    tear_down(&f, NULL);
  }
}

/* The balloon's own counters, from before the reboot, must not make a second of it. */
static void
test_reboot_told_by_the_agent_is_one_reboot(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample sample;

  speak(f, 300);
  sample = rig_channel(&f->rig, 0);
  sample.swap_in_kib = sample.swap_out_kib = sample.major_faults = 10;
  f->rig.now_us += 1000;
  cagma_domain_feed(f->domain, &sample, f->rig.now_us);
  g_assert_cmpint(f->domain->source, ==, CAGMA_SAMPLE_CHANNEL);
  for (int i = 0; i < 10; i++) {
    f->balloon->swap_in_kib = i < 5 ? CAGMA_MIB(100) : 20;
    rig_pass(&f->rig, 1);
    cagma_domain_feed(f->domain, &sample, f->rig.now_us);
    g_assert_cmpint(f->domain->source, ==, CAGMA_SAMPLE_CHANNEL);
    g_assert_true(f->domain->has_figures);
  }
}

/* A shrink is watched across a change of sources: what was swapped in before it, by
 * another's counter, is no harm; and what was swapped in since is not forgotten. */
static void
test_harm_is_counted_across_sources(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample sample;

  cagma_domain_set(f->domain, CAGMA_MIB(1900), f->rig.now_us);
  f->balloon->actual_kib = CAGMA_MIB(1900);
  f->balloon->swap_in_kib += 1500;
  f->balloon->swap_out_kib += 1500;
  rig_pass(&f->rig, 1);
  g_assert_cmpuint(f->domain->regain_kib, ==, 0);

  sample = rig_channel(&f->rig, 0);
  sample.swap_in_kib = sample.swap_out_kib = CAGMA_MIB(500);
  cagma_domain_feed(f->domain, &sample, f->rig.now_us);
  g_assert_cmpuint(f->domain->regain_kib, ==, 0);
  sample.swap_in_kib += 500;
  sample.swap_out_kib += 500;
  cagma_domain_feed(f->domain, &sample, f->rig.now_us + CAGMA_SECOND_US);
  g_assert_cmpuint(f->domain->regain_kib, ==, 0);
  sample.swap_in_kib += 100;
  sample.swap_out_kib += 100;
  cagma_domain_feed(f->domain, &sample, f->rig.now_us + 2 * CAGMA_SECOND_US);
  g_assert_cmpuint(f->domain->regain_kib, ==, CAGMA_MIB(2048));
}

/* The host's own view of the guest is nobody's report. */
static void
test_size_and_resident_memory_count_whoever_speaks(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  speak(f, 300);
  f->balloon->actual_kib = CAGMA_MIB(2000);
  f->balloon->rss_kib = CAGMA_MIB(1234);
  f->balloon->block_read_kib = CAGMA_MIB(70);
  rig_pass(&f->rig, 1);
  g_assert_cmpint(f->domain->source, ==, CAGMA_SAMPLE_CHANNEL);
  g_assert_cmpuint(f->domain->actual_kib, ==, CAGMA_MIB(2000));
  g_assert_cmpuint(f->domain->rss_kib, ==, CAGMA_MIB(1234));
  g_assert_cmpuint(f->domain->block_read_kib_per_s, ==, CAGMA_MIB(70));
  speak(f, 300);
  g_assert_cmpuint(f->domain->used_kib, ==, CAGMA_MIB(2000 - 300));
}

/* The agent doesn't know where the balloon is. But what is swapped is swapped. */
static void
test_agent_tells_no_figures_of_a_moving_balloon(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample sample;

  speak(f, 300);
  cagma_domain_set(f->domain, CAGMA_MIB(3000), f->rig.now_us);
  f->rig.now_us += CAGMA_SECOND_US / 2;
  sample = rig_channel(&f->rig, 0);
  sample.usable_kib = CAGMA_MIB(700);
  sample.swap_in_kib += CAGMA_MIB(10);
  sample.swap_out_kib += CAGMA_MIB(30);
  cagma_domain_feed(f->domain, &sample, f->rig.now_us);
  assert_available(f, CAGMA_SAMPLE_CHANNEL, 300);
  g_assert_cmpuint(f->domain->used_kib, ==, CAGMA_MIB(2048 - 300));
  g_assert_false(f->domain->contradictory);
  g_assert_cmpuint(f->domain->swap_back_kib, ==, CAGMA_MIB(10));
  g_assert_cmpuint(f->domain->pushed_out_kib, ==, CAGMA_MIB(20));

  f->balloon->actual_kib = CAGMA_MIB(3000);
  rig_pass(&f->rig, 1);
  cagma_domain_feed(f->domain, &sample, f->rig.now_us);
  assert_available(f, CAGMA_SAMPLE_CHANNEL, 700);
  g_assert_cmpuint(f->domain->used_kib, ==, CAGMA_MIB(3000 - 700));
}

static void
test_agent_s_swap_used_is_believed(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample sample = rig_channel(&f->rig, 0);

  sample.has |= CAGMA_HAS_SWAP_USED;
  sample.swap_used_kib = CAGMA_MIB(77);
  cagma_domain_feed(f->domain, &sample, f->rig.now_us);
  g_assert_cmpuint(cagma_domain_swapped(f->domain), ==, CAGMA_MIB(77));
  cagma_domain_source_lost(f->domain, CAGMA_SAMPLE_CHANNEL);
  g_assert_cmpuint(cagma_domain_swapped(f->domain), ==, 0);
}

/* Twenty reports a second forget no faster and no slower than one in ten seconds. */
static void
test_forgetting_is_a_matter_of_time(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample sample;

  speak(f, 300);
  sample = rig_channel(&f->rig, 0);
  sample.swap_in_kib += CAGMA_MIB(400);
  sample.swap_out_kib += CAGMA_MIB(1200);
  cagma_domain_feed(f->domain, &sample, f->rig.now_us += CAGMA_SECOND_US / 20);
  f->domain->consumption_kib_per_s = CAGMA_MIB(3200);
  for (int i = 0; i < 200; i++)
    cagma_domain_feed(f->domain, &sample, f->rig.now_us += CAGMA_SECOND_US / 20);
  g_assert_cmpuint(f->domain->swap_back_kib, >, CAGMA_MIB(198));
  g_assert_cmpuint(f->domain->swap_back_kib, <, CAGMA_MIB(202));
  g_assert_cmpuint(f->domain->consumption_kib_per_s, >, CAGMA_MIB(97));
  g_assert_cmpuint(f->domain->consumption_kib_per_s, <, CAGMA_MIB(103));
}

/* As with all counters: those of two sources aren't compared, nor do they make a reboot. */
static void
test_refaults_of_two_sources(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample sample;

  f->balloon->has |= CAGMA_HAS_REFAULT;
  f->balloon->refault_file_kib = CAGMA_MIB(100);
  rig_pass(&f->rig, 2);
  for (int turn = 0; turn < 2; turn++) {
    sample = rig_channel(&f->rig, 0);
    sample.refault_file_kib = turn ? CAGMA_MIB(900) : CAGMA_MIB(10);
    cagma_domain_feed(f->domain, &sample, f->rig.now_us);
    g_assert_cmpint(f->domain->source, ==, CAGMA_SAMPLE_CHANNEL);
    g_assert_true(f->domain->settled);
    g_assert_cmpuint(f->domain->cache_back_kib, ==, 0);
    cagma_domain_source_lost(f->domain, CAGMA_SAMPLE_CHANNEL);
    rig_pass(&f->rig, 3);
    g_assert_cmpint(f->domain->source, ==, CAGMA_SAMPLE_BALLOON);
    g_assert_true(f->domain->settled);
    g_assert_cmpuint(f->domain->cache_back_kib, ==, 0);
  }
}

/* Loads say nothing of memory: whoever tells them, the source of figures stays. */
static void
test_loads_come_from_anybody(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
  CagmaSample load = { .source = CAGMA_SAMPLE_AGENT, .has = CAGMA_HAS_LOAD, .load1_permille = 1500 };

  f->domain->config.estimator = CAGMA_ESTIMATOR_LOADAVG;
  speak(f, 300);
  cagma_domain_feed(f->domain, &load, f->rig.now_us);
  g_assert_cmpuint(f->domain->loadavg.load1_permille, ==, 1500);
  assert_available(f, CAGMA_SAMPLE_CHANNEL, 300);
  load.source = CAGMA_SAMPLE_CHANNEL;
  load.load1_permille = 2500;
  cagma_domain_source_lost(f->domain, CAGMA_SAMPLE_CHANNEL);
  rig_pass(&f->rig, 3);
  cagma_domain_feed(f->domain, &load, f->rig.now_us);
  g_assert_cmpuint(f->domain->loadavg.load1_permille, ==, 2500);
  assert_available(f, CAGMA_SAMPLE_BALLOON, 500);

  /* Nobody else's estimator is bothered with them. */
  f->domain->config.estimator = CAGMA_ESTIMATOR_CRITICAL;
  load.load1_permille = 7;
  cagma_domain_feed(f->domain, &load, f->rig.now_us);
  g_assert_cmpuint(f->domain->loadavg.load1_permille, ==, 2500);
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *path;
    void (*test)(Fixture *f, gconstpointer data);
  } tests[] = {
    { "/source/better-at-once", test_better_source_takes_over_at_once },
    { "/source/worse-passed-over", test_worse_source_is_passed_over_while_the_better_speaks },
    { "/source/silent", test_falls_back_when_the_better_is_silent },
    { "/source/lost", test_falls_back_at_once_when_the_better_is_lost },
    { "/source/lost-one-that-yields", test_one_that_yields_is_blind_at_once },
    { "/source/other-lost", test_loss_of_another_source_changes_nothing },
    { "/source/nothing-available", test_agent_that_tells_nothing_available_is_passed_over },
    { "/source/unused-and-caches", test_unused_and_caches_are_as_good },
    { "/source/one-reboot", test_reboot_told_by_the_agent_is_one_reboot },
    { "/source/harm", test_harm_is_counted_across_sources },
    { "/source/host-s-view", test_size_and_resident_memory_count_whoever_speaks },
    { "/source/moving", test_agent_tells_no_figures_of_a_moving_balloon },
    { "/source/swap-used", test_agent_s_swap_used_is_believed },
    { "/source/refaults", test_refaults_of_two_sources },
    { "/source/loads", test_loads_come_from_anybody },
    { "/source/forgetting", test_forgetting_is_a_matter_of_time },
  };

  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/source/no-reboot", NULL, test_counters_of_two_sources_are_no_reboot);
  for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
    g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
  return g_test_run();
}
