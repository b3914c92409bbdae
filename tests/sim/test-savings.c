/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory saved against static allocation, where surplus memory is given back to the host. */
#include <string.h>

#include "plugin/scenario-json.h"
#include "policy/policy.h"
#include "policy/sim/sim.h"
#include "policy/units.h"

#define SEEDS 5

/* Baruchi & Midorikawa, in machines of 3 GiB: mean MiB, of which 22 to 54 % were saved. */
static const struct {
  const char *guest;
  double mean_mib;
} reported[] = {
  { "dbench-10", 1580 }, { "dbench-150", 1892 },   { "dbench-200", 2378 },
  { "sysbench", 1404 },  { "kernel-build", 1607 },
};
#define STATIC_MIB 3072.0
#define SAVED_LEAST 0.22
#define SAVED_MOST 0.54
/* Measured over 40 seeds: all together save 49 to 51 %; of the reported means, 78 to 84 % (DBench;
 * its page cache counts for less here) and up to 117 % (kernel builds, after whose peaks memory
 * goes back step by step). 2.1 to 2.6 % of the guests' time is lost for it, 4.4 % at most of any
 * guest's; with static sizes 0.1 %. */
#define OF_REPORTED 1.25
#define LOST_ALL 0.035
#define LOST_ONE 0.06

static CagmaScenario *
load(uint32_t seed)
{
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, "baruchi.json", NULL);
  g_autoptr(GError) error = NULL;
  CagmaScenario *scenario = cagma_scenario_load(path, &error);

  g_assert_no_error(error);
  g_assert_cmpuint(cagma_scenario_count(scenario), ==, G_N_ELEMENTS(reported));
  scenario->seed = seed;
  return scenario;
}

static void
run_ours(const CagmaScenario *scenario, CagmaSimResult *result)
{
  cagma_sim_run(scenario, &(CagmaContestant){ .policy = cagma_policy_by_name("cagma") }, NULL, result);
  g_assert_cmpuint(result->total.floor_violations, ==, 0);
  g_assert_cmpuint(result->reserve_violations, ==, 0);
  g_assert_cmpuint(result->total.oom_kills, ==, 0);
}

static double
saved(const CagmaSimFigures *figures)
{
  return 1 - figures->allocated_mib / figures->maximum_mib;
}

static void
check(const CagmaScenario *scenario, const CagmaSimResult *ours, const CagmaSimResult *none)
{
  double seconds = (double)scenario->duration_us / CAGMA_SECOND_US;

  for (size_t i = 0; i < G_N_ELEMENTS(reported); i++) {
    const CagmaSimFigures *figures = &ours->guests[i];

    g_assert_cmpstr(scenario->guests[i].name, ==, reported[i].guest);
    g_test_message("%s: %.0f MiB, %.1f %% saved (reported: %.0f, %.1f %%); %.2f %% of its time lost",
                   reported[i].guest, figures->allocated_mib, 100 * saved(figures), reported[i].mean_mib,
                   100 * (1 - reported[i].mean_mib / STATIC_MIB), 100 * figures->stall_s / seconds);
    g_assert_cmpfloat_with_epsilon(none->guests[i].allocated_mib, STATIC_MIB, 0.01);
    g_assert_cmpfloat(figures->allocated_mib, <=, OF_REPORTED * reported[i].mean_mib);
    g_assert_cmpfloat(saved(figures), >=, SAVED_LEAST);
    g_assert_cmpfloat(figures->stall_s, <=, none->guests[i].stall_s + LOST_ONE * seconds);
  }
  g_test_message("all: %.1f %% saved; %.2f %% of the time lost, %.2f without", 100 * saved(&ours->total),
                 100 * ours->total.stall_s / seconds / G_N_ELEMENTS(reported),
                 100 * none->total.stall_s / seconds / G_N_ELEMENTS(reported));
  g_assert_cmpfloat(saved(&ours->total), >=, SAVED_LEAST);
  g_assert_cmpfloat(saved(&ours->total), <=, SAVED_MOST);
  g_assert_cmpfloat(ours->total.stall_s, <=,
                    none->total.stall_s + LOST_ALL * seconds * G_N_ELEMENTS(reported));
}

static void
test_reclaim(void)
{
  for (uint32_t seed = 1; seed <= SEEDS; seed++) {
    g_autoptr(CagmaScenario) scenario = load(seed);
    CagmaSimResult ours, none;

    g_assert_cmpint(scenario->surplus, ==, CAGMA_SURPLUS_RECLAIM);
    run_ours(scenario, &ours);
    cagma_sim_run(scenario, &(CagmaContestant){ .peer = cagma_peer_by_name("none") }, NULL, &none);
    check(scenario, &ours, &none);
    cagma_sim_result_clear(&ours);
    cagma_sim_result_clear(&none);
  }
}

/* Where it isn't to go back, nothing is taken from them, and nothing is lost. */
static void
test_leave(void)
{
  g_autoptr(CagmaScenario) scenario = load(1);
  CagmaSimResult ours;

  scenario->surplus = CAGMA_SURPLUS_LEAVE;
  run_ours(scenario, &ours);
  g_assert_cmpfloat(saved(&ours.total), <=, 0.02);
  g_assert_cmpfloat(ours.total.stall_s, <=, 0.002 * (double)scenario->duration_us / CAGMA_SECOND_US * 5);
  cagma_sim_result_clear(&ours);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/savings/reclaim", test_reclaim);
  g_test_add_func("/savings/leave", test_leave);
  return g_test_run();
}
