/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/oracle.h"

#include "policy/sim/generate.h"
#include "policy/units.h"
#include "tests/policy/scenarios.h"

#define RANDOM_SCENARIOS 10

static double
play(const CagmaScenario *scenario, const CagmaSchedule *schedule)
{
  CagmaSimResult result;
  double stall_s;

  cagma_sim_run(scenario, &(CagmaContestant){ .schedule = schedule }, NULL, &result);
  g_assert_cmpuint(result.total.floor_violations, ==, 0);
  g_assert_cmpuint(result.reserve_violations, ==, 0);
  stall_s = result.total.stall_s;
  cagma_sim_result_clear(&result);
  return stall_s;
}

static double
stall_after(const CagmaScenario *scenario, unsigned runs)
{
  g_autoptr(CagmaSchedule) schedule = cagma_oracle_search(scenario, runs, NULL, NULL);

  return play(scenario, schedule);
}

static uint64_t
floor_of(const CagmaSimGuest *guest)
{
  return guest->driver ? guest->config.guarantee_kib : guest->memory_kib;
}

static uint64_t
most_of(const CagmaSimGuest *guest)
{
  return guest->driver ? guest->config.limit_kib : guest->memory_kib;
}

/* Who is there has his guarantee, nobody more than his limit, and all together no more than
 * there is; where guarantees alone are more, or kernels, nothing else is given. */
static void
assert_fits(const CagmaScenario *scenario, const CagmaSchedule *schedule)
{
  for (size_t t = 0; t < schedule->n_times; t++) {
    uint64_t sum_kib = 0, least_kib = 0;
    size_t i = 0;

    for (size_t e = 0; e < scenario->n_guests; e++) {
      const CagmaSimGuest *guest = &scenario->guests[e];

      for (uint32_t k = 0; k < guest->count; k++, i++) {
        uint64_t target_kib = schedule->targets_kib[t * schedule->n_guests + i];

        sum_kib += target_kib;
        if (!target_kib)
          continue;
        g_assert_cmpuint(target_kib, >=, floor_of(guest));
        g_assert_cmpuint(target_kib, <=, most_of(guest));
        /* A kernel and what it keeps free: less than an eighth. */
        least_kib += cagma_max_kib(floor_of(guest), guest->kernel_kib + guest->memory_kib / 8);
      }
    }
    g_assert_cmpuint(i, ==, schedule->n_guests);
    g_assert_cmpuint(sum_kib, <=, cagma_max_kib(scenario->memory_kib - scenario->reserve_kib, least_kib));
  }
}

static void
test_random(void)
{
  uint32_t seed = (uint32_t)g_test_rand_int_range(0, 1000000);

  for (uint32_t i = 0; i < RANDOM_SCENARIOS; i++) {
    CagmaScenario scenario;
    g_autoptr(CagmaSchedule) schedule = NULL, plan = NULL;
    double first_s, tenth_s;

    g_test_message("scenario %u", seed + i);
    cagma_scenario_generate(seed + i, &scenario);
    scenarios_check(&scenario);
    first_s = stall_after(&scenario, 1);
    tenth_s = stall_after(&scenario, 10);
    schedule = cagma_oracle_search(&scenario, 20, NULL, NULL);
    assert_fits(&scenario, schedule);
    /* The search begins with what two seconds' foresight brings. */
    plan = cagma_oracle_foresee(&scenario, &(CagmaSight){ .ahead_s = 2 });
    assert_fits(&scenario, plan);
    g_assert_cmpfloat(play(&scenario, plan), ==, first_s);
    g_assert_cmpfloat(tenth_s, <=, first_s);
    g_assert_cmpfloat(play(&scenario, schedule), <=, tenth_s);
    cagma_scenario_clear(&scenario);
  }
}

/* Whatever is out of sight, a plan keeps to what there is. */
static void
test_sights(void)
{
  static const CagmaSight sights[] = {
    { .ahead_s = 0 },
    { .ahead_s = -3 },
    { .ahead_s = 5, .heard = TRUE },
    { .ahead_s = 0, .anon = TRUE },
    { .ahead_s = 0, .by_shares = TRUE },
    { .ahead_s = -1000000, .heard = TRUE, .anon = TRUE, .by_shares = TRUE }
  };
  uint32_t seed = (uint32_t)g_test_rand_int_range(0, 1000000);

  for (uint32_t i = 0; i < RANDOM_SCENARIOS; i++) {
    CagmaScenario scenario;

    g_test_message("scenario %u", seed + i);
    cagma_scenario_generate(seed + i, &scenario);
    scenarios_check(&scenario);
    for (size_t k = 0; k < G_N_ELEMENTS(sights); k++) {
      g_autoptr(CagmaSchedule) plan = cagma_oracle_foresee(&scenario, &sights[k]);

      assert_fits(&scenario, plan);
    }
    cagma_scenario_clear(&scenario);
  }
}

/* One guest whose memory is all hot, beside one that touches all of his once in ten minutes;
 * there is room for the first, and half of the second. */
static CagmaScenario *
hot_and_cold(void)
{
  CagmaScenario *scenario = scenarios_host(1700, 120);

  scenarios_add_part(scenarios_add_guest(scenario, "hot", 850), CAGMA_PART_ANON, 1000, 2);
  scenarios_add_part(scenarios_add_guest(scenario, "cold", 850), CAGMA_PART_ANON, 1000, 600);
  scenarios_check(scenario);
  return scenario;
}

static double
stall_split(const CagmaScenario *scenario, uint64_t hot_mib)
{
  uint64_t targets_kib[] = { CAGMA_MIB(hot_mib), scenario->memory_kib - CAGMA_MIB(hot_mib) };
  const CagmaSchedule schedule = {
    .interval_us = CAGMA_SECOND_US, .n_guests = 2, .n_times = 1, .targets_kib = targets_kib
  };

  return play(scenario, &schedule);
}

/* As good as the best of all ways to split it once and for all, within 5 %. */
static void
test_split(void)
{
  g_autoptr(CagmaScenario) scenario = hot_and_cold();
  double best_s = G_MAXDOUBLE, even_s = stall_split(scenario, 850), oracle_s;

  for (uint64_t hot_mib = 300; hot_mib <= 1400; hot_mib += 20)
    best_s = MIN(best_s, stall_split(scenario, hot_mib));
  oracle_s = stall_after(scenario, CAGMA_ORACLE_RUNS);
  /* It matters how it is split. */
  g_assert_cmpfloat(even_s, >, 5 * best_s);
  g_assert_cmpfloat(oracle_s, <=, 1.05 * best_s);
}

/* Two who are large by turns fit at each moment, though not in halves; the first one's balloon
 * takes 20 s, so that it must be asked long before the other one wants what it has. Then nobody
 * need stall. */
static void
test_turns(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_host(2400, 120);
  CagmaSimGuest *guest = scenarios_add_guest(scenario, "first", 1700);
  CagmaPart *part = scenarios_add_part(guest, CAGMA_PART_ANON, 1400, 5);
  double none_s, oracle_s;
  CagmaSimResult result;

  guest->balloon_down_kib_per_s = CAGMA_MIB(50);
  scenarios_add_phase(part, 40, 200, 5);
  part = scenarios_add_part(scenarios_add_guest(scenario, "second", 700), CAGMA_PART_ANON, 200, 5);
  scenarios_add_phase(part, 70, 1400, 5)->ramp_us = 5 * CAGMA_SECOND_US;
  scenarios_check(scenario);
  cagma_sim_run(scenario, &(CagmaContestant){ .peer = cagma_peer_by_name("none") }, NULL, &result);
  none_s = result.total.stall_s;
  cagma_sim_result_clear(&result);
  oracle_s = stall_after(scenario, CAGMA_ORACLE_RUNS);
  g_assert_cmpfloat(none_s, >, 20);
  g_assert_cmpfloat(oracle_s, <, 0.5);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/oracle/random", test_random);
  g_test_add_func("/oracle/sights", test_sights);
  g_test_add_func("/oracle/split", test_split);
  g_test_add_func("/oracle/turns", test_turns);
  return g_test_run();
}
