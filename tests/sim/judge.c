/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judges the default policy: by every scenario given (a directory: all in it), and by random
 * ones, against every other system and the oracle. Prints a row a scenario; says what it
 * fails by. With --expect it is a test: it fails by what is expected of all scenarios
 * together (expect.h).
 *
 *   judge [--random N] [--seed S] [--runs R] [--foresight SECONDS [--heard] [--anon] [--by-shares]]
 *         [--without RULE,…] [--expect random|shipped] [SCENARIO…] */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/scenario-json.h"
#include "policy/rules.h"
#include "policy/sim/generate.h"
#include "policy/sim/oracle.h"
#include "tests/sim/contest.h"
#include "tests/sim/expect.h"

#define NO_FORESIGHT G_MININT

static int n_random, runs = CAGMA_ORACLE_RUNS, foresight_s = NO_FORESIGHT;
static gboolean heard, anon, by_shares;
static int64_t seed = -1;
static char *left_out, *expect;
static char **files;

static const GOptionEntry entries[] = {
  { "random", 0, 0, G_OPTION_ARG_INT, &n_random, "random scenarios", "N" },
  { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of the first of them", "S" },
  { "runs", 0, 0, G_OPTION_ARG_INT, &runs, "simulations of the oracle's search", "R" },
  { "foresight", 0, 0, G_OPTION_ARG_INT, &foresight_s,
    "in the oracle's place, a plan that knows so many seconds ahead; below 0, what was so long ago",
    "SECONDS" },
  { "heard", 0, 0, G_OPTION_ARG_NONE, &heard, "… and only of guests that report", NULL },
  { "anon", 0, 0, G_OPTION_ARG_NONE, &anon, "… and nothing of page cache", NULL },
  { "by-shares", 0, 0, G_OPTION_ARG_NONE, &by_shares, "… and goes by shares, not by what the disk saves",
    NULL },
  { "without", 0, 0, G_OPTION_ARG_STRING, &left_out, "rules of ours left out", "RULE,…" },
  { "expect", 0, 0, G_OPTION_ARG_STRING, &expect, "test what is expected of such scenarios",
    "random|shipped" },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, "SCENARIO…" },
  G_OPTION_ENTRY_NULL,
};

static gboolean
parse_rules(uint32_t *without)
{
  g_auto(GStrv) names = g_strsplit(left_out ? left_out : "", ",", -1);

  for (size_t i = 0; names[i]; i++) {
    CagmaRule rule;

    if (!cagma_rule_from_name(names[i], &rule)) {
      g_printerr("judge: no rule '%s'\n", names[i]);
      return FALSE;
    }
    *without |= rule;
  }
  return TRUE;
}

static gboolean
load_file(GPtrArray *cases, const char *path)
{
  g_autoptr(GError) error = NULL;
  CagmaScenario *scenario = cagma_scenario_load(path, &error);

  if (scenario)
    g_ptr_array_add(cases, case_new(scenario));
  else
    g_printerr("judge: %s: %s\n", path, error->message);
  return scenario != NULL;
}

static int
by_name(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gboolean
load_directory(GPtrArray *cases, const char *path)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GDir) dir = g_dir_open(path, 0, &error);
  g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
  const char *name;

  if (!dir) {
    g_printerr("judge: %s\n", error->message);
    return FALSE;
  }
  while ((name = g_dir_read_name(dir))) {
    if (g_str_has_suffix(name, ".json"))
      g_ptr_array_add(paths, g_build_filename(path, name, NULL));
  }
  g_ptr_array_sort(paths, by_name);
  for (guint i = 0; i < paths->len; i++) {
    if (!load_file(cases, paths->pdata[i]))
      return FALSE;
  }
  return TRUE;
}

static gboolean
load(GPtrArray *cases)
{
  for (size_t i = 0; files && files[i]; i++) {
    if (g_file_test(files[i], G_FILE_TEST_IS_DIR) ? !load_directory(cases, files[i])
                                                  : !load_file(cases, files[i]))
      return FALSE;
  }
  return TRUE;
}

static void
generate(GPtrArray *cases)
{
  for (int i = 0; i < n_random; i++) {
    CagmaScenario *scenario = g_new0(CagmaScenario, 1);
    g_autoptr(GError) error = NULL;

    cagma_scenario_generate((uint32_t)(seed + i), scenario);
    if (!cagma_scenario_check(scenario, &error))
      g_error("seed %" G_GINT64_FORMAT ": %s", seed + i, error->message);
    g_ptr_array_add(cases, case_new(scenario));
  }
}

/* In a test all but its points are comments. */
static const char *
margin(void)
{
  return expect ? "# " : "";
}

static void
print_row(const Case *c)
{
  double room_mib = (double)(c->scenario->memory_kib - c->scenario->reserve_kib) / 1024;

  g_print("%s%-24.24s %7.0f", margin(), c->scenario->name, c->guest_s);
  for (Contestant i = NONE; i < N_CONTESTANTS; i++)
    g_print(" %8.1f", case_stall_s(c, i));
  g_print(" %5.2f", c->results[AMPLE].total.needed_mib / room_mib);
  g_print("  %4" G_GUINT64_FORMAT " %s%s\n", c->results[CAGMA].total.reversals,
          c->has_room ? "room " : "     ", c->failure ? c->failure : "");
}

typedef struct {
  unsigned failed, with_room;
  double stall_s[N_CONTESTANTS], reversals[N_CONTESTANTS], oom_kills[N_CONTESTANTS];
} Sums;

static void
add(Sums *sums, const Case *c)
{
  sums->failed += c->failure != NULL;
  sums->with_room += c->has_room;
  for (Contestant i = NONE; i < N_CONTESTANTS; i++) {
    sums->stall_s[i] += case_stall_s(c, i);
    sums->reversals[i] += (double)c->results[i].total.reversals;
    sums->oom_kills[i] += (double)c->results[i].total.oom_kills;
  }
}

static void
print_sum(const char *what, const double sums[N_CONTESTANTS])
{
  g_print("%s%-24s %7s", margin(), what, "");
  for (Contestant i = NONE; i < N_CONTESTANTS; i++)
    g_print(" %8.0f", sums[i]);
  g_print("\n");
}

/* Returns how many fail the criterion. */
static unsigned
print_table(GPtrArray *cases)
{
  Sums sums = { 0 };

  g_print("%s%-24s %7s", margin(), "scenario", "guest-s");
  for (Contestant i = NONE; i < N_CONTESTANTS; i++)
    g_print(" %8.8s", contestant_name(i));
  g_print("  need reversals\n");
  for (guint i = 0; i < cases->len; i++) {
    print_row(cases->pdata[i]);
    add(&sums, cases->pdata[i]);
  }
  print_sum("all: stall", sums.stall_s);
  print_sum("all: reversals", sums.reversals);
  print_sum("all: OOM kills", sums.oom_kills);
  g_print("%s%u scenarios, %u with room, %u failed\n", margin(), cases->len, sums.with_room, sums.failed);
  return sums.failed;
}

static gboolean
judge(const ContestSettings *settings, const Expectations *expected)
{
  g_autoptr(GPtrArray) cases = g_ptr_array_new_with_free_func(case_free);
  unsigned failed;

  if (!load(cases))
    return FALSE;
  generate(cases);
  contest_run(cases, settings);
  failed = print_table(cases);
  return expected ? expectations_check(expected, cases) : failed == 0;
}

int
main(int argc, char **argv)
{
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_autoptr(GError) error = NULL;
  ContestSettings settings = { 0 };

  setlocale(LC_ALL, "");
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error)) {
    g_printerr("judge: %s\n", error->message);
    return 2;
  }
  if (expect && !expectations_by_name(expect)) {
    g_printerr("judge: nothing is expected of '%s'\n", expect);
    return 2;
  }
  if (!parse_rules(&settings.without))
    return 2;
  if (foresight_s == NO_FORESIGHT && (heard || anon || by_shares)) {
    g_printerr("judge: --heard, --anon and --by-shares go with --foresight\n");
    return 2;
  }
  settings.runs = (unsigned)MAX(runs, 1);
  settings.sees = foresight_s != NO_FORESIGHT;
  settings.sight = (CagmaSight){ foresight_s, heard, anon, by_shares };
  if (seed < 0)
    seed = g_random_int_range(0, 1000000);
  if (n_random > 0)
    g_print("%srandom scenarios: %d, seeds %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT "\n", margin(),
            n_random, seed, seed + n_random - 1);
  return judge(&settings, expectations_by_name(expect)) ? EXIT_SUCCESS : EXIT_FAILURE;
}
