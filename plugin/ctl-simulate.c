/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "plugin/ctl.h"
#include "plugin/output.h"
#include "plugin/plot.h"
#include "plugin/runs.h"
#include "plugin/scenario-json.h"
#include "policy/rules.h"
#include "policy/sim/oracle.h"
#include "policy/units.h"
#include "xml/error.h"
#include "xml/size.h"

/* cagmactl simulate SCENARIO: runs a scenario under one policy after the other, and shows
 * what each did to the guests. */

#define NAME_MAX_CHARS 40
#define MESSAGE_MAX_CHARS 1000

typedef struct {
  const CagmaCtl *ctl;
  CagmaScenario *scenario;
  GArray *entrants;
  uint32_t without;     /* rules of ours */
  CagmaSurplus surplus; /* where one is asked for */
  CagmaRun *runs;       /* one each */
  guint plotted;        /* which of them is drawn */
  CagmaSimTrace trace;  /* its */
  FILE *plot;           /* NULL: none is */
} Simulation;

static void
simulation_clear(Simulation *simulation)
{
  for (guint i = 0; simulation->runs && i < simulation->entrants->len; i++)
    cagma_run_clear(&simulation->runs[i]);
  g_free(simulation->runs);
  g_clear_pointer(&simulation->entrants, g_array_unref);
  g_clear_pointer(&simulation->scenario, cagma_scenario_free);
  cagma_sim_trace_clear(&simulation->trace);
  g_clear_pointer(&simulation->plot, fclose);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Simulation, simulation_clear)

static const CagmaEntrant *
entrant_of(const Simulation *simulation, guint i)
{
  return &g_array_index(simulation->entrants, CagmaEntrant, i);
}

static void
print_table(const Simulation *simulation)
{
  const CagmaScenario *scenario = simulation->scenario;
  size_t count = cagma_scenario_count(scenario);
  g_autofree char *name = cagma_printable(scenario->name, NAME_MAX_CHARS);
  g_autofree char *host = cagma_size_format(scenario->memory_kib);
  g_autofree char *reserve = cagma_size_format(scenario->reserve_kib);
  g_autofree char *rules = cagma_rules_format(simulation->without);
  g_autofree char *table = cagma_runs_format(simulation->runs, simulation->entrants->len,
                                             simulation->ctl->guests, simulation->ctl->color);

  g_print("%s: %zu guest%s, %.10g s, seed %u; host %s, reserve %s, surplus %s%s%s\n%s", name, count,
          count == 1 ? "" : "s", (double)scenario->duration_us / (double)CAGMA_SECOND_US, scenario->seed,
          host, reserve, cagma_surplus_name(scenario->surplus), *rules ? "; ours without " : "", rules,
          table);
}

static void
print_json(const Simulation *simulation)
{
  g_autoptr(JsonBuilder) builder = json_builder_new();
  g_autofree char *rules = cagma_rules_format(simulation->without);
  g_autoptr(JsonNode) root = NULL;
  g_autofree char *text = NULL;

  json_builder_begin_object(builder);
  json_builder_set_member_name(builder, "scenario");
  cagma_scenario_add_json(simulation->scenario, builder);
  json_builder_set_member_name(builder, "without");
  json_builder_add_string_value(builder, rules);
  json_builder_set_member_name(builder, "policies");
  cagma_runs_add_json(simulation->runs, simulation->entrants->len, builder);
  json_builder_end_object(builder);
  root = json_builder_get_root(builder);
  text = json_to_string(root, TRUE);
  g_print("%s\n", text);
}

static void
run(Simulation *simulation, guint i)
{
  const CagmaEntrant *entrant = entrant_of(simulation, i);
  CagmaRun *run = &simulation->runs[i];

  run->name = g_strdup(entrant->name);
  run->scenario = simulation->scenario;
  run->contestant = entrant->contestant;
  run->contestant.without = entrant->contestant.policy ? simulation->without : 0;
  run->trace = simulation->plot && i == simulation->plotted ? &simulation->trace : NULL;
  cagma_run_go(run);
}

static gboolean
failed(const char *path, const char *reason)
{
  g_autofree char *name = g_filename_display_name(path);
  g_autofree char *message = cagma_printable(reason, MESSAGE_MAX_CHARS);

  g_printerr("cagmactl: %s: %s\n", name, message);
  return FALSE;
}

static gboolean
write_plot(Simulation *simulation)
{
  CagmaPlot plot = { .scenario = simulation->scenario,
                     .policy = entrant_of(simulation, simulation->plotted)->name,
                     .result = &simulation->runs[simulation->plotted].result,
                     .trace = &simulation->trace };
  g_autofree char *svg = cagma_plot_svg(&plot);
  gboolean written = fputs(svg, simulation->plot) != EOF;

  /* A full disk may show only here. */
  written &= fclose(g_steal_pointer(&simulation->plot)) == 0;
  return written || failed(simulation->ctl->plot, g_strerror(errno));
}

/* The first one asked for; unasked, our own. */
static gboolean
choose_plotted(Simulation *simulation)
{
  const CagmaCtl *ctl = simulation->ctl;
  const char *name = ctl->plot_policy;

  if (!name && ctl->policies)
    return TRUE;
  if (!name)
    name = "cagma";
  for (guint i = 0; i < simulation->entrants->len; i++)
    if (g_str_equal(entrant_of(simulation, i)->name, name)) {
      simulation->plotted = i;
      return TRUE;
    }
  g_printerr("cagmactl: --plot-policy: %s isn't among the policies to simulate\n", name);
  return FALSE;
}

/* What the command line asks for, before any file is touched. */
static gboolean
take_options(Simulation *simulation)
{
  const CagmaCtl *ctl = simulation->ctl;
  g_autoptr(GError) error = NULL;

  if (ctl->explain || ctl->at || ctl->scenario || ctl->all) {
    g_printerr("cagmactl: --explain, --at, --scenario and --all go with replay\n");
    return FALSE;
  }
  if (ctl->plot_policy && !ctl->plot) {
    g_printerr("cagmactl: --plot-policy goes with --plot\n");
    return FALSE;
  }
  simulation->entrants = cagma_entrants_parse((const char *const *)ctl->policies, &error);
  if (!simulation->entrants) {
    g_printerr("cagmactl: --policy: %s\n", error->message);
    return FALSE;
  }
  if (!cagma_rules_parse((const char *const *)ctl->without, &simulation->without, &error)) {
    g_printerr("cagmactl: --without: %s\n", error->message);
    return FALSE;
  }
  if (ctl->surplus && !cagma_surplus_from_name(ctl->surplus, &simulation->surplus)) {
    g_printerr("cagmactl: --surplus takes leave or reclaim\n");
    return FALSE;
  }
  return choose_plotted(simulation);
}

/* Where nobody asked for it, one that can't be had doesn't cost the others' results. */
static gboolean
admit_oracle(Simulation *simulation)
{
  const CagmaScenario *scenario = simulation->scenario;
  g_autofree char *reason = NULL;

  if (cagma_oracle_bears(scenario))
    return TRUE;
  reason = g_strdup_printf("%zu guests for %" PRId64 " s are more than it can look at (guests × seconds: %d)",
                           cagma_scenario_count(scenario), scenario->duration_us / CAGMA_SECOND_US,
                           CAGMA_ORACLE_GUEST_SECONDS_MAX);
  for (guint i = 0; i < simulation->entrants->len; i++) {
    if (!cagma_entrant_is_oracle(entrant_of(simulation, i)))
      continue;
    if (simulation->ctl->policies || i == simulation->plotted) {
      g_printerr("cagmactl: " CAGMA_ORACLE ": %s\n", reason);
      return FALSE;
    }
    g_printerr("cagmactl: without " CAGMA_ORACLE ": %s\n", reason);
    simulation->plotted -= i < simulation->plotted;
    g_array_remove_index(simulation->entrants, i--);
  }
  return TRUE;
}

static gboolean
load(Simulation *simulation, const char *path)
{
  const CagmaCtl *ctl = simulation->ctl;
  g_autoptr(GError) error = NULL;

  simulation->scenario = cagma_scenario_load(path, &error);
  if (!simulation->scenario)
    return failed(path, error->message);
  if (ctl->seed >= 0)
    simulation->scenario->seed = (guint32)ctl->seed;
  if (ctl->surplus)
    simulation->scenario->surplus = simulation->surplus;
  return admit_oracle(simulation);
}

/* Before anything is run, so that an hour's run doesn't fail at its end. */
static gboolean
open_plot(Simulation *simulation, const char *scenario_path)
{
  const char *path = simulation->ctl->plot;
  g_autoptr(GError) error = NULL;

  if (!path)
    return TRUE;
  simulation->plot = cagma_output_open(path, scenario_path, &error);
  return simulation->plot || failed(path, error->message);
}

int
cagma_ctl_simulate(const CagmaCtl *ctl, int argc, char **argv)
{
  g_auto(Simulation) simulation = { .ctl = ctl };

  if (argc != 1) {
    g_printerr("cagmactl: simulate takes one scenario\n");
    return CAGMA_EXIT_USAGE;
  }
  if (!take_options(&simulation))
    return CAGMA_EXIT_USAGE;
  if (!load(&simulation, argv[0]) || !open_plot(&simulation, argv[0]))
    return CAGMA_EXIT_FAILED;

  /* Nobody names none, and the oracle is left out only of others. */
  g_assert(simulation.entrants->len > 0);
  simulation.runs = g_new0(CagmaRun, simulation.entrants->len);
  for (guint i = 0; i < simulation.entrants->len; i++)
    run(&simulation, i);
  if (ctl->json)
    print_json(&simulation);
  else
    print_table(&simulation);
  if (ctl->plot && !write_plot(&simulation))
    return CAGMA_EXIT_FAILED;
  return CAGMA_EXIT_OK;
}
