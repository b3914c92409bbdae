/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/sim.h"

#include <string.h>

#include "policy/sim/generate.h"
#include "policy/sim/schedule.h"
#include "policy/sim/world.h"
#include "tests/policy/scenarios.h"

/* Runs with a schedule of one guest's sizes in MiB, each for so many seconds. */
static void
play(CagmaScenario *scenario, int64_t interval_s, const uint64_t *mib, size_t n,
     const CagmaSimOptions *options, CagmaSimResult *result)
{
  g_autofree uint64_t *targets_kib = g_new(uint64_t, n);
  CagmaSchedule schedule = {
    .interval_us = interval_s * CAGMA_SECOND_US, .n_guests = 1, .n_times = n, .targets_kib = targets_kib
  };

  for (size_t i = 0; i < n; i++)
    targets_kib[i] = CAGMA_MIB(mib[i]);
  scenarios_check(scenario);
  g_assert_cmpuint(cagma_scenario_count(scenario), ==, 1);
  cagma_sim_run(scenario, &(CagmaContestant){ .schedule = &schedule }, options, result);
}

static void
run_peer(CagmaScenario *scenario, const CagmaPeer *peer, const CagmaSimOptions *options,
         CagmaSimResult *result)
{
  scenarios_check(scenario);
  cagma_sim_run(scenario, &(CagmaContestant){ .peer = peer }, options, result);
}

/* Bit for bit. */
static gboolean
same(const CagmaSimResult *a, const CagmaSimResult *b)
{
  return a->n_guests == b->n_guests && memcmp(&a->total, &b->total, sizeof a->total) == 0 &&
         memcmp(a->guests, b->guests, a->n_guests * sizeof *a->guests) == 0 &&
         a->reserve_violations == b->reserve_violations && a->over_mib_s == b->over_mib_s &&
         a->host_swap_mib_s == b->host_swap_mib_s && a->fairness == b->fairness &&
         a->decisions == b->decisions;
}

static void
test_deterministic(void)
{
  uint32_t seed = (uint32_t)g_test_rand_int_range(0, 1000000);
  const CagmaContestant contestants[] = {
    { .policy = cagma_policy_by_name("cagma") },
    { .policy = cagma_policy_by_name("cagma-classic") },
    { .peer = cagma_peer_by_name("qubes") },
    { .peer = cagma_peer_by_name("squeezed") },
  };
  CagmaScenario scenario;

  g_test_message("scenario %u", seed);
  cagma_scenario_generate(seed, &scenario);
  scenarios_check(&scenario);
  for (size_t i = 0; i < G_N_ELEMENTS(contestants); i++) {
    CagmaSimResult first, again;

    cagma_sim_run(&scenario, &contestants[i], NULL, &first);
    cagma_sim_run(&scenario, &contestants[i], NULL, &again);
    g_assert_true(same(&first, &again));
    g_assert_cmpfloat(first.total.allocated_mib, >, 0);
    cagma_sim_result_clear(&first);
    cagma_sim_result_clear(&again);
  }
  cagma_scenario_clear(&scenario);
}

/* Where chance has a part, another seed is another run. */
static void
test_seed(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 30);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "walks", 1500);
  CagmaPart *part = scenarios_add_part(guest, CAGMA_PART_ANON, 500, 5);
  CagmaSimResult first, other;

  part->phases[0].walk_kib = CAGMA_MIB(50);
  part->phases[0].walk_every_us = CAGMA_SECOND_US;
  run_peer(scenario, cagma_peer_by_name("none"), NULL, &first);
  scenario->seed++;
  run_peer(scenario, cagma_peer_by_name("none"), NULL, &other);
  g_assert_cmpfloat(first.total.needed_mib, !=, other.total.needed_mib);
  cagma_sim_result_clear(&first);
  cagma_sim_result_clear(&other);
}

/* In the first 101 ticks it has 1000 MiB; the balloon goes 50 a tick; for 90 ticks it has 500. */
static void
test_schedule(void)
{
  static const uint64_t mib[] = { 1000, 500 };
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 20);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 1000);
  CagmaSimResult result;

  scenarios_add_part(guest, CAGMA_PART_ANON, 200, 5);
  play(scenario, 10, mib, 2, NULL, &result);
  g_assert_cmpfloat_with_epsilon(result.total.allocated_mib, (101 * 1000 + 9 * 750 + 90 * 500) / 200.0, 0.01);
  g_assert_cmpuint(result.total.calls, ==, 1);
  g_assert_cmpuint(result.total.reversals, ==, 0);
  g_assert_cmpfloat(result.total.moved_mib, ==, 500);
  /* Its kernel's 80, the 66 that it keeps free, and 200. */
  g_assert_cmpfloat_with_epsilon(result.total.needed_mib, 346, 0.01);
  g_assert_cmpfloat_with_epsilon(result.total.maximum_mib, 2048, 0.01);
  g_assert_cmpfloat(result.total.short_mib_s, ==, 0);
  g_assert_cmpfloat(result.total.stall_s, ==, 0);
  g_assert_cmpfloat_with_epsilon(result.fairness, 1, 1e-9);
  cagma_sim_result_clear(&result);
}

/* Down by 200 to 800, up to 900, down to 800, …: ten calls. */
static void
test_reversals(void)
{
  static const uint64_t mib[] = { 800, 900, 800, 900, 800, 900, 800, 900, 800, 900 };
  static const uint64_t stairs[] = { 900, 800, 700, 600, 700, 800, 900, 1000, 1100, 1200 };
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 10);
  CagmaSimResult result;

  scenarios_add_guest(scenario, "one", 1000);
  play(scenario, 1, mib, 10, NULL, &result);
  g_assert_cmpuint(result.total.calls, ==, 10);
  g_assert_cmpuint(result.total.reversals, ==, 9);
  g_assert_cmpfloat(result.total.moved_mib, ==, 200 + 9 * 100);
  cagma_sim_result_clear(&result);

  play(scenario, 1, stairs, 10, NULL, &result);
  g_assert_cmpuint(result.total.calls, ==, 10);
  g_assert_cmpuint(result.total.reversals, ==, 1);
  g_assert_cmpfloat(result.total.moved_mib, ==, 1000);
  cagma_sim_result_clear(&result);
}

/* Of the guarantee of 600 MiB: twice gone below, once from above and once from below; to grow
 * below it is none. */
static void
test_floor(void)
{
  static const uint64_t mib[] = { 700, 600, 500, 400, 550, 650 };
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 6);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 1000);
  CagmaSimResult result;

  guest->config.guarantee_kib = CAGMA_MIB(600);
  guest->config.given |= CAGMA_GIVEN_GUARANTEE;
  play(scenario, 1, mib, 6, NULL, &result);
  g_assert_cmpuint(result.total.calls, ==, 6);
  g_assert_cmpuint(result.total.floor_violations, ==, 2);
  g_assert_cmpuint(result.reserve_violations, ==, 0);
  cagma_sim_result_clear(&result);
}

/* A schedule waits for what is in hand: of the 500 wanted there are 200. */
static void
test_in_hand(void)
{
  static const uint64_t mib[] = { 1500 };
  g_autoptr(CagmaScenario) scenario = scenarios_host(1300, 10);
  CagmaSimResult result;

  scenario->reserve_kib = CAGMA_MIB(100);
  scenarios_add_guest(scenario, "one", 1000);
  play(scenario, 10, mib, 1, NULL, &result);
  g_assert_cmpuint(result.total.calls, ==, 1);
  g_assert_cmpfloat(result.total.moved_mib, ==, 200);
  g_assert_cmpuint(result.reserve_violations, ==, 0);
  g_assert_cmpfloat(result.over_mib_s, ==, 0);
  cagma_sim_result_clear(&result);
}

static void
give_all(G_GNUC_UNUSED gpointer memory, CagmaPeerHost *host, G_GNUC_UNUSED int64_t now_us)
{
  for (size_t i = 0; i < host->n_guests; i++)
    host->guests[i].target_kib = host->guests[i].max_kib;
}

/* Two guests of 1000 MiB are given 2048 each where there are 3000: both calls promise what
 * isn't there, 1096 too much in all ticks but the first. */
static void
test_reserve(void)
{
  static const CagmaPeer generous = { .name = "generous", .period_us = CAGMA_SECOND_US, .decide = give_all };
  g_autoptr(CagmaScenario) scenario = scenarios_host(3100, 10);
  CagmaSimResult result;

  scenario->reserve_kib = CAGMA_MIB(100);
  scenarios_add_guest(scenario, "one", 1000)->count = 2;
  run_peer(scenario, &generous, NULL, &result);
  g_assert_cmpuint(result.total.calls, ==, 2);
  g_assert_cmpuint(result.reserve_violations, ==, 2);
  g_assert_cmpfloat_with_epsilon(result.over_mib_s, 9.9 * 1096, 0.01);
  g_assert_cmpfloat(result.host_swap_mib_s, ==, 0);
  g_assert_cmpuint(result.decisions, ==, 10);
  cagma_sim_result_clear(&result);
}

/* A shrink from 1000 MiB is called off where the host has 800: where its balloon was seen at
 * 1000, back up to there promises nothing that the host doesn't count with anyway. */
static void
test_called_off(void)
{
  static const struct {
    double seen_mib;
    uint64_t target_mib;
    uint64_t violations;
  } calls[] = {
    { 1000, 950, 0 }, { 1000, 1000, 0 }, { 1000, 1001, 1 }, { 900, 900, 0 }, { 900, 950, 1 }, { 0, 850, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
    g_autoptr(CagmaScenario) scenario = scenarios_host(800, 10);
    CagmaSimSoul soul = { .present = TRUE, .seen_kib = calls[i].seen_mib * 1024 };
    CagmaSimFigures figures = { 0 };
    CagmaSimResult result = { .guests = &figures, .n_guests = 1 };
    CagmaWorld world = { .scenario = scenario, .guests = &soul, .n = 1, .result = &result };

    scenarios_add_guest(scenario, "one", 1000);
    cagma_body_init(&soul.body, &scenario->guests[0], 1);
    cagma_body_place(&soul.body);
    soul.body.asked_kib = CAGMA_MIB(600);
    soul.body.actual_kib = (double)CAGMA_MIB(900);
    world.promised_kib = cagma_world_promised(&soul);
    cagma_world_set(&world, 0, CAGMA_MIB(calls[i].target_mib));
    g_assert_cmpuint(result.reserve_violations, ==, calls[i].violations);
    g_assert_cmpfloat(world.promised_kib, ==, cagma_world_promised(&soul));
  }
}

/* What a system sees of its first guest, ten times a second. */
typedef struct {
  unsigned running, periods;
  int64_t began_us, first_us, last_us; /* first and last seen running */
  int64_t moved_us;                    /* first told of another size than it had at first */
  uint64_t reported_kib, stamp, stamps;
} Seen;

static Seen seen;

static gpointer
begin_watching(G_GNUC_UNUSED size_t n_guests)
{
  seen = (Seen){ 0 };
  return NULL;
}

static void
watch(G_GNUC_UNUSED gpointer memory, CagmaPeerHost *host, int64_t now_us)
{
  const CagmaPeerGuest *guest = &host->guests[0];

  if (!seen.periods++)
    seen.began_us = now_us;
  if (guest->running && !seen.running++)
    seen.first_us = now_us - seen.began_us;
  if (guest->running)
    seen.last_us = now_us - seen.began_us;
  if (guest->sample.stamp != seen.stamp)
    seen.stamps++;
  seen.stamp = guest->sample.stamp;
  if (guest->reported_at_kib && !seen.reported_kib)
    seen.reported_kib = guest->reported_at_kib;
  if (guest->reported_at_kib != seen.reported_kib && !seen.moved_us)
    seen.moved_us = now_us - seen.began_us;
}

static const CagmaPeer watcher = {
  .name = "watcher",
  .period_us = CAGMA_SIM_TICK_US,
  .start = begin_watching,
  .decide = watch,
};

/* There from 10 to 30 s, it boots for ten. */
static void
test_comes_and_goes(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 40);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 1000);
  CagmaSimResult result;

  scenarios_add_part(guest, CAGMA_PART_ANON, 300, 5);
  guest->arrives_us = 10 * CAGMA_SECOND_US;
  guest->leaves_us = 30 * CAGMA_SECOND_US;
  run_peer(scenario, &watcher, NULL, &result);
  g_assert_cmpint(seen.first_us, ==, 20 * CAGMA_SECOND_US);
  g_assert_cmpint(seen.last_us, ==, 30 * CAGMA_SECOND_US - CAGMA_SIM_TICK_US);
  g_assert_cmpfloat_with_epsilon(result.total.maximum_mib, 2048 * 20 / 40.0, 0.01);
  /* 2048 for 100 ticks, down by 50 in each of 20, and by 48; 1000 for the rest. */
  g_assert_cmpfloat_with_epsilon(result.total.allocated_mib,
                                 (100 * 2048.0 + 20 * 2048.0 - 50 * 210.0 + 80 * 1000.0) / 400, 0.01);
  g_assert_cmpuint(result.total.calls, ==, 0);
  cagma_sim_result_clear(&result);
}

/* While it is paused nothing befalls it, and it says nothing: of 60 reports, 20 aren't made. */
static void
test_pause(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 40);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 1000);
  CagmaSimResult through, paused;

  guest->reports = CAGMA_REPORTS_BALLOON;
  scenarios_add_part(guest, CAGMA_PART_ANON, 1500, 5);
  run_peer(scenario, &watcher, NULL, &through);
  g_assert_cmpuint(seen.stamp, ==, 60);
  scenarios_add_event(guest, 10, CAGMA_BEFALLS_PAUSE);
  scenarios_add_event(guest, 30, CAGMA_BEFALLS_RESUME);
  run_peer(scenario, &watcher, NULL, &paused);
  g_assert_cmpfloat(through.total.stall_s, >, 20);
  g_assert_cmpfloat_with_epsilon(paused.total.stall_s, through.total.stall_s / 2, 2);
  g_assert_cmpuint(seen.stamp, >=, 39);
  g_assert_cmpuint(seen.stamp, <=, 41);
  cagma_sim_result_clear(&through);
  cagma_sim_result_clear(&paused);
}

/* One that boots isn't paused, and one that is paused goes on when it is reset: ours, which holds off
 * from what is paused, and the guest are of one mind. */
static void
test_pause_and_boot(void)
{
  static const CagmaBefalls befalls[][2] = { { CAGMA_BEFALLS_REBOOT, CAGMA_BEFALLS_PAUSE },
                                             { CAGMA_BEFALLS_PAUSE, CAGMA_BEFALLS_REBOOT } };

  for (size_t i = 0; i < G_N_ELEMENTS(befalls); i++) {
    g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 120);
    CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 512);
    CagmaSimResult result;

    guest->reports = CAGMA_REPORTS_BALLOON;
    scenarios_add_part(guest, CAGMA_PART_ANON, 600, 5);
    scenarios_add_event(guest, 10, befalls[i][0]);
    scenarios_add_event(guest, 15, befalls[i][1]);
    scenarios_check(scenario);
    cagma_sim_run(scenario, &(CagmaContestant){ .policy = cagma_policy_by_name("cagma") }, NULL, &result);
    /* It comes back with 512, and lacks a third of what it needs until it is given more. */
    g_assert_cmpuint(result.total.calls, >, 0);
    g_assert_cmpfloat(result.total.stall_s, <, 40);
    cagma_sim_result_clear(&result);
  }
}

/* A reboot: gone for ten seconds at its full size, and without what it had. */
static void
test_reboot(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 40);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 2048);
  CagmaSimResult result;

  scenarios_add_event(guest, 10, CAGMA_BEFALLS_REBOOT);
  run_peer(scenario, &watcher, NULL, &result);
  g_assert_cmpuint(seen.running, ==, 300);
  g_assert_cmpfloat_with_epsilon(result.total.allocated_mib, 2048, 0.01);
  cagma_sim_result_clear(&result);
}

/* Asked at the beginning to shrink by 500, it does so from 10 s on: a hundred ticks at 1000
 * MiB, nine on the way. */
static void
test_stuck(void)
{
  static const uint64_t mib[] = { 500 };
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 20);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 1000);
  CagmaSimResult result;

  scenarios_add_event(guest, 0, CAGMA_BEFALLS_STUCK);
  scenarios_add_event(guest, 10, CAGMA_BEFALLS_MOVES);
  play(scenario, 20, mib, 1, NULL, &result);
  g_assert_cmpuint(result.total.calls, ==, 1);
  g_assert_cmpfloat_with_epsilon(result.total.allocated_mib, (100 * 1000 + 9 * 750 + 91 * 500) / 200.0, 0.01);
  cagma_sim_result_clear(&result);
}

/* A pretender's memory is with it: what it has isn't what it is said to have. */
static void
test_pretends(void)
{
  static const uint64_t mib[] = { 500 };
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 20);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 1000);
  CagmaSimResult result;

  scenarios_add_part(guest, CAGMA_PART_ANON, 700, 5);
  scenarios_add_event(guest, 0, CAGMA_BEFALLS_PRETENDS);
  play(scenario, 20, mib, 1, NULL, &result);
  g_assert_cmpfloat(result.total.allocated_mib, <, 550);
  g_assert_cmpfloat(result.total.stall_s, ==, 0);
  g_assert_cmpfloat(result.total.short_mib_s, ==, 0);
  cagma_sim_result_clear(&result);
}

/* One report a second, since twenty seconds before the start. */
static void
run_reporting(CagmaScenario *scenario, uint32_t loss_permille, int64_t delay_us)
{
  CagmaSimGuest *guest = &scenario->guests[0];
  CagmaSimResult result;

  guest->reports = CAGMA_REPORTS_BALLOON;
  guest->loss_permille = loss_permille;
  guest->delay_us = delay_us;
  run_peer(scenario, &watcher, NULL, &result);
  cagma_sim_result_clear(&result);
}

static void
test_loss(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 400);

  scenarios_add_guest(scenario, "one", 1000);
  run_reporting(scenario, 0, 0);
  g_assert_cmpuint(seen.stamp, ==, 420);
  /* Of 400, half, within five deviations of ten. */
  run_reporting(scenario, 500, 0);
  g_assert_cmpuint(seen.stamps, >, 150);
  g_assert_cmpuint(seen.stamps, <, 250);
  run_reporting(scenario, 1000, 0);
  g_assert_cmpuint(seen.stamps, ==, 0);
}

/* From a reboot at 10 s on it is silent; at 20 s it says 2048, not 1000. A second at most until
 * it says so, and the delay until that arrives. */
static void
test_delay(void)
{
  for (int64_t delay_us = 0; delay_us <= 9 * CAGMA_SECOND_US; delay_us += CAGMA_SECOND_US) {
    g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 40);
    CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 1000);

    scenarios_add_event(guest, 10, CAGMA_BEFALLS_REBOOT);
    guest->balloon_down_kib_per_s = 1024;
    run_reporting(scenario, 0, delay_us);
    g_assert_cmpuint(seen.reported_kib, ==, CAGMA_MIB(1000));
    g_assert_cmpint(seen.moved_us, >=, 20 * CAGMA_SECOND_US + delay_us);
    g_assert_cmpint(seen.moved_us, <=, 21 * CAGMA_SECOND_US + delay_us);
  }
}

static void
test_silent(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 40);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "one", 1000);

  scenarios_add_event(guest, 10, CAGMA_BEFALLS_SILENT);
  scenarios_add_event(guest, 30, CAGMA_BEFALLS_TRUTH);
  run_reporting(scenario, 0, 0);
  /* Twenty before the start, ten, and ten. */
  g_assert_cmpuint(seen.stamp, >=, 39);
  g_assert_cmpuint(seen.stamp, <=, 41);
}

/* A guest of 1500 MiB in 900, until another one leaves. Where it has an agent, and its policy asks
 * for that, what was pushed out comes back soon. */
static double
stalled_s(const char *policy, CagmaReports reports, gboolean read_back)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(2600, 300);
  CagmaSimGuest *leaves = scenarios_add_guest(scenario, "leaves", 1500), *stays;
  CagmaSimResult result;
  double stall_s;

  scenario->disk.iops = 150;
  scenario->disk.latency_us = 6700;
  leaves->leaves_us = 60 * CAGMA_SECOND_US;
  scenarios_add_part(leaves, CAGMA_PART_ANON, 1200, 2);
  stays = scenarios_add_guest(scenario, "stays", 1000);
  scenarios_add_part(stays, CAGMA_PART_ANON, 1500, 5);
  stays->reports = reports;
  scenario->read_back = read_back;
  scenarios_check(scenario);
  cagma_sim_run(scenario, &(CagmaContestant){ .policy = cagma_policy_by_name(policy) }, NULL, &result);
  stall_s = result.guests[1].stall_s;
  cagma_sim_result_clear(&result);
  return stall_s;
}

static void
test_reads_back(void)
{
  double with_s = stalled_s("cagma", CAGMA_REPORTS_AGENT, TRUE),
         without_s = stalled_s("cagma", CAGMA_REPORTS_AGENT, FALSE),
         agentless_with_s = stalled_s("cagma", CAGMA_REPORTS_BALLOON, TRUE),
         agentless_without_s = stalled_s("cagma", CAGMA_REPORTS_BALLOON, FALSE),
         classic_with_s = stalled_s("cagma-classic", CAGMA_REPORTS_AGENT, TRUE),
         classic_without_s = stalled_s("cagma-classic", CAGMA_REPORTS_AGENT, FALSE);

  g_test_message("%.0f s with, %.0f without", with_s, without_s);
  g_assert_cmpfloat(with_s, <, 0.8 * without_s);
  g_assert_cmpfloat(agentless_with_s, ==, agentless_without_s);
  g_assert_cmpfloat(classic_with_s, ==, classic_without_s);
}

static gboolean
stop_at_five(gpointer user_data, int64_t now_us, int64_t duration_us)
{
  unsigned *calls = user_data;

  g_assert_cmpint(duration_us, ==, 10 * CAGMA_SECOND_US);
  (*calls)++;
  return now_us < 5 * CAGMA_SECOND_US;
}

/* Called each second from the twentieth before the start on; what was run until then counts. */
static void
test_progress(void)
{
  static const uint64_t mib[] = { 800, 900, 800, 900, 800, 900, 800, 900, 800, 900 };
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 10);
  unsigned calls = 0;
  const CagmaSimOptions options = { .progress = stop_at_five, .user_data = &calls };
  CagmaSimResult result;

  scenarios_add_guest(scenario, "one", 1000);
  play(scenario, 1, mib, 10, &options, &result);
  g_assert_cmpuint(calls, ==, 26);
  g_assert_cmpuint(result.total.calls, ==, 5);
  g_assert_cmpfloat_with_epsilon(result.total.maximum_mib, 2048, 0.01);
  cagma_sim_result_clear(&result);
}

static int64_t
tick_by_seven(void)
{
  static int64_t now_us;

  return now_us += 7;
}

static void
test_clock(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 30);
  const CagmaSimOptions options = { .clock = tick_by_seven };
  CagmaSimResult result;

  scenarios_add_guest(scenario, "one", 1000);
  scenarios_check(scenario);
  cagma_sim_run(scenario, &(CagmaContestant){ .policy = cagma_policy_by_name("cagma") }, &options, &result);
  g_assert_cmpuint(result.decisions, >=, 10);
  g_assert_cmpfloat_with_epsilon(result.decision_us, 7, 1e-9);
  cagma_sim_result_clear(&result);
  run_peer(scenario, cagma_peer_by_name("none"), NULL, &result);
  g_assert_cmpuint(result.decisions, ==, 3);
  g_assert_cmpfloat(result.decision_us, ==, 0);
  cagma_sim_result_clear(&result);
}

/* What is drawn is what is counted: twice in each of 600 points. */
static void
test_trace(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(3000, 120);
  CagmaSimTrace trace = { 0 };
  const CagmaSimOptions options = { .trace = &trace };
  CagmaSimResult result;
  CagmaSimGuest *guest;
  double seconds;

  guest = scenarios_add_guest(scenario, "short", 1000);
  scenarios_add_part(guest, CAGMA_PART_ANON, 1400, 5);
  guest = scenarios_add_guest(scenario, "well", 1500);
  scenarios_add_part(guest, CAGMA_PART_ANON, 400, 5);
  run_peer(scenario, cagma_peer_by_name("none"), &options, &result);
  g_assert_cmpint(trace.interval_us, ==, 200000);
  g_assert_cmpuint(trace.n_points, ==, 600);
  g_assert_cmpuint(trace.n_guests, ==, 2);
  seconds = (double)trace.interval_us / 1e6;
  for (size_t i = 0; i < 2; i++) {
    const CagmaSimFigures *figures = &result.guests[i];
    double allocated = 0, needed = 0, lacking = 0, swapped = 0, stalled = 0;

    for (size_t t = 0; t < trace.n_points; t++) {
      const CagmaSimPoint *point = &trace.points[i * trace.n_points + t];

      allocated += point->allocated_mib / 600;
      needed += point->needed_mib / 600;
      lacking += point->short_mib * seconds;
      swapped += point->swap_mib_per_s * seconds;
      stalled += point->stalled * seconds;
    }
    g_assert_cmpfloat_with_epsilon(allocated, figures->allocated_mib, 0.01);
    g_assert_cmpfloat_with_epsilon(needed, figures->needed_mib, 0.01);
    g_assert_cmpfloat_with_epsilon(lacking, figures->short_mib_s, 1);
    g_assert_cmpfloat_with_epsilon(swapped, figures->swapped_in_mib + figures->swapped_out_mib, 1);
    g_assert_cmpfloat_with_epsilon(stalled, figures->stall_s, 0.01);
  }
  /* 1400 + 80 + 66 in 1000. */
  g_assert_cmpfloat_with_epsilon(result.guests[0].short_mib_s, 120 * 546, 1);
  g_assert_cmpfloat(result.guests[0].stall_s, >, 60);
  g_assert_cmpfloat(result.guests[1].stall_s, ==, 0);
  cagma_sim_trace_clear(&trace);
  cagma_sim_result_clear(&result);
}

/* One runs all the time, the other a part x of it: (1 + x)² / 2 (1 + x²). */
static void
test_fairness(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(3000, 60);
  CagmaSimResult result;
  double x;

  scenarios_add_part(scenarios_add_guest(scenario, "short", 1000), CAGMA_PART_ANON, 1400, 5);
  scenarios_add_part(scenarios_add_guest(scenario, "well", 1500), CAGMA_PART_ANON, 400, 5);
  run_peer(scenario, cagma_peer_by_name("none"), NULL, &result);
  x = 1 - result.guests[0].stall_s / 60;
  g_assert_cmpfloat(x, <, 0.6);
  g_assert_cmpfloat_with_epsilon(result.fairness, (1 + x) * (1 + x) / (2 * (1 + x * x)), 1e-9);
  cagma_sim_result_clear(&result);
}

/* The point of CAGMA: one who swaps slows down those who share his disk. */
static void
test_shared_disk(void)
{
  double alone_s = 0;

  for (unsigned swapper = 0; swapper < 2; swapper++) {
    g_autoptr(CagmaScenario) scenario = scenarios_host(4096, 60);
    CagmaSimGuest *guest = scenarios_add_guest(scenario, "disk-bound", 1000);
    CagmaSimResult result;

    scenario->disk.iops = 150;
    scenario->disk.latency_us = 6700;
    guest->disk = g_new0(CagmaDiskPhase, 1);
    guest->disk[0] = (CagmaDiskPhase){ .tasks = 1, .io_kib = 4 };
    guest->n_disk = 1;
    guest = scenarios_add_guest(scenario, "swapper", swapper ? 1000 : 1800);
    scenarios_add_part(guest, CAGMA_PART_ANON, 1500, 5);
    run_peer(scenario, cagma_peer_by_name("none"), NULL, &result);
    if (swapper)
      g_assert_cmpfloat(result.guests[0].stall_s, >, 20);
    else
      alone_s = result.guests[0].stall_s;
    cagma_sim_result_clear(&result);
  }
  g_assert_cmpfloat(alone_s, ==, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/sim/deterministic", test_deterministic);
  g_test_add_func("/sim/seed", test_seed);
  g_test_add_func("/sim/schedule", test_schedule);
  g_test_add_func("/sim/reversals", test_reversals);
  g_test_add_func("/sim/floor", test_floor);
  g_test_add_func("/sim/in-hand", test_in_hand);
  g_test_add_func("/sim/reserve", test_reserve);
  g_test_add_func("/sim/called-off", test_called_off);
  g_test_add_func("/sim/comes-and-goes", test_comes_and_goes);
  g_test_add_func("/sim/pause", test_pause);
  g_test_add_func("/sim/reboot", test_reboot);
  g_test_add_func("/sim/stuck", test_stuck);
  g_test_add_func("/sim/pretends", test_pretends);
  g_test_add_func("/sim/loss", test_loss);
  g_test_add_func("/sim/delay", test_delay);
  g_test_add_func("/sim/pause-and-boot", test_pause_and_boot);
  g_test_add_func("/sim/silent", test_silent);
  g_test_add_func("/sim/reads-back", test_reads_back);
  g_test_add_func("/sim/progress", test_progress);
  g_test_add_func("/sim/clock", test_clock);
  g_test_add_func("/sim/trace", test_trace);
  g_test_add_func("/sim/fairness", test_fairness);
  g_test_add_func("/sim/shared-disk", test_shared_disk);
  return g_test_run();
}
