/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/record.h"
#include "plugin/replay.h"
#include "policy/guard.h"
#include "policy/sim/infer.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"
#include "tests/policy/lives.h"

/* cagmactl replay as an operator runs it, on records of guests that live (lives.h). */

#define S CAGMA_SECOND_US

/* A host under a policy, and its recorder. */
typedef struct {
  char *dir;
  char *path;
  CagmaScenario *scenario;
  Lives *lives;
  const CagmaPolicy *policy;
  CagmaHost host;
  CagmaPlan plan;
  CagmaRecorder *recorder;
  CagmaDomain *domains;
  CagmaDomain *present[8];
  size_t which[8];
  gboolean *known;
  int64_t clock_us; /* the daemon's at the scenario's start */
  unsigned refuse;  /* every so many decisions the guard refuses; 0: never */
  unsigned n_decisions, n_calls;
} Rig;

static void
add_guest(CagmaScenario *scenario, const char *name, uint64_t start_mib, uint64_t first_mib, int64_t then_s,
          uint64_t then_mib)
{
  CagmaPhase *phases = g_new0(CagmaPhase, 2);
  CagmaSimGuest *guest;

  scenario->guests = g_renew(CagmaSimGuest, scenario->guests, scenario->n_guests + 1);
  guest = &scenario->guests[scenario->n_guests++];
  cagma_sim_guest_init(guest);
  g_free(guest->name);
  guest->name = g_strdup(name);
  guest->memory_kib = CAGMA_MIB(2048);
  guest->start_kib = CAGMA_MIB(start_mib);
  guest->parts = g_new0(CagmaPart, 1);
  guest->n_parts = 1;
  cagma_sim_phase_init(&phases[0]);
  cagma_sim_phase_init(&phases[1]);
  phases[0].size_kib = CAGMA_MIB(first_mib);
  phases[1].size_kib = CAGMA_MIB(then_mib);
  phases[1].from_us = then_s * S;
  phases[0].sweep_us = phases[1].sweep_us = 5 * S;
  guest->parts[0] = (CagmaPart){ .kind = CAGMA_PART_ANON, .phases = phases, .n_phases = 2 };
}

/* One outgrows its size while the other has plenty. */
static Rig *
rig_new(CagmaPolicyKind policy)
{
  Rig *rig = g_new0(Rig, 1);
  g_autoptr(GError) error = NULL;

  rig->dir = kit_tmpdir();
  rig->path = g_build_filename(rig->dir, "record", NULL);
  rig->clock_us = 7000 * S;
  rig->policy = cagma_policy_of(policy);
  rig->scenario = g_new0(CagmaScenario, 1);
  cagma_scenario_init(rig->scenario);
  rig->scenario->memory_kib = CAGMA_MIB(4608);
  rig->scenario->reserve_kib = CAGMA_MIB(256);
  rig->scenario->pool_kib = CAGMA_MIB(64);
  add_guest(rig->scenario, "busy", 700, 400, 60, 1000);
  add_guest(rig->scenario, "idle", 1800, 300, 100, 320);
  g_assert_true(cagma_scenario_check(rig->scenario, &error));
  rig->host = (CagmaHost){ .budget = CAGMA_BUDGET_FIXED,
                           .budget_kib = CAGMA_MIB(2900),
                           .reserve_kib = rig->scenario->reserve_kib,
                           .pool_kib = rig->scenario->pool_kib,
                           .period_us = 3 * S,
                           .policy = policy,
                           .domains = rig->present };
  return rig;
}

static int64_t
now_of(const Rig *rig)
{
  return rig->clock_us + rig->lives->now_us;
}

static gboolean
tell(Rig *rig, size_t guest, const CagmaInput *input)
{
  cagma_recorder_input(rig->recorder, &rig->domains[guest], input);
  return cagma_input_apply(&rig->domains[guest], input);
}

static void
come(Rig *rig, size_t guest)
{
  const CagmaSimGuest *spec = &rig->scenario->guests[guest];
  const CagmaInput restart = { .kind = CAGMA_INPUT_RESTART, .now_us = now_of(rig), .kib = spec->start_kib };
  g_autofree char *uuid = g_strdup_printf("00000000-0000-0000-0000-%012zu", guest);
  CagmaDomain *domain = &rig->domains[guest];

  cagma_domain_init(domain, now_of(rig));
  rig->present[rig->host.n_domains] = domain;
  rig->which[rig->host.n_domains++] = guest;
  cagma_recorder_add(rig->recorder, domain, uuid, spec->name, now_of(rig));
  domain->config = spec->config;
  domain->config.estimator = rig->policy->estimator;
  domain->config.source = rig->policy->source;
  domain->managed = TRUE;
  domain->max_kib = spec->memory_kib;
  domain->report_period_us = spec->report_us;
  tell(rig, guest, &restart);
  rig->known[guest] = TRUE;
}

static void
look_at(Rig *rig, size_t guest)
{
  CagmaInput input = { .kind = CAGMA_INPUT_SAMPLE, .now_us = now_of(rig) };
  CagmaInput pressure = { .kind = CAGMA_INPUT_PRESSURE, .now_us = now_of(rig) };
  const CagmaBody *body = &rig->lives->bodies[guest];
  CagmaDemand demand;

  if (!rig->known[guest])
    come(rig, guest);
  lives_look(rig->lives, guest, &input.sample);
  tell(rig, guest, &input);
  if (rig->lives->now_us % S)
    return;
  lives_report(rig->lives, guest, &input.sample);
  tell(rig, guest, &input);
  if (body->paged_kib == 0)
    return;
  cagma_estimate(&rig->domains[guest], cagma_host_horizon_us(&rig->host, &rig->domains[guest]), &demand);
  pressure.kib = demand.critical_kib;
  tell(rig, guest, &pressure);
}

static void
decide(Rig *rig)
{
  g_autoptr(GError) refusal = NULL;

  cagma_recorder_deciding(rig->recorder, now_of(rig));
  cagma_decide(&rig->host, now_of(rig), &rig->plan);
  g_assert_true(cagma_guard_check(&rig->host, &rig->plan, now_of(rig), NULL));
  if (rig->refuse && rig->n_decisions % rig->refuse == 0)
    refusal = g_error_new(CAGMA_GUARD_ERROR, CAGMA_GUARD_ERROR_FLOOR, "for the test's sake");
  cagma_verdict_judge(&rig->plan.verdict, refusal);
  cagma_recorder_decided(rig->recorder, &rig->plan);
  rig->n_decisions++;
  for (size_t i = 0; !refusal && i < rig->plan.n_steps; i++) {
    const CagmaStep *step = &rig->plan.steps[i];
    const CagmaInput set = { .kind = CAGMA_INPUT_SET, .now_us = now_of(rig), .kib = step->target_kib };

    rig->n_calls++;
    tell(rig, rig->which[step->domain], &set);
    lives_set(rig->lives, rig->which[step->domain], step->target_kib);
  }
}

/* A run of the daemon: it opens the record, and closes it in the end. */
static void
rig_run(Rig *rig, int64_t seconds)
{
  g_autoptr(GError) error = NULL;

  rig->host.n_domains = 0;
  rig->recorder = cagma_recorder_open(rig->path, &rig->host, &error);
  g_assert_no_error(error);
  rig->lives = lives_new(rig->scenario);
  rig->domains = g_new0(CagmaDomain, rig->scenario->n_guests);
  rig->known = g_new0(gboolean, rig->scenario->n_guests);
  while (rig->lives->now_us < seconds * S) {
    lives_tick(rig->lives);
    for (size_t i = 0; rig->lives->now_us % (S / 5) == 0 && i < rig->scenario->n_guests; i++)
      look_at(rig, i);
    if (rig->lives->now_us % rig->host.period_us == 0)
      decide(rig);
  }
  g_clear_pointer(&rig->recorder, cagma_recorder_close);
  g_clear_pointer(&rig->lives, lives_free);
  g_clear_pointer(&rig->domains, g_free);
  g_clear_pointer(&rig->known, g_free);
}

static void
rig_free(Rig *rig)
{
  cagma_plan_clear(&rig->plan);
  cagma_scenario_free(rig->scenario);
  kit_remove(rig->dir);
  g_free(rig->path);
  g_free(rig);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_free)

static KitRun *
replay_path(const char *path, const char *const *args)
{
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  const char *const env[] = { "LC_ALL=C.UTF-8", "TZ=UTC", NULL };

  g_ptr_array_add(argv, (gpointer)g_getenv("CAGMACTL"));
  g_ptr_array_add(argv, (gpointer) "replay");
  g_ptr_array_add(argv, (gpointer)path);
  for (size_t i = 0; args && args[i]; i++)
    g_ptr_array_add(argv, (gpointer)args[i]);
  g_ptr_array_add(argv, NULL);
  return kit_run((const char *const *)argv->pdata, env, "", 0);
}

static KitRun *
replay(const Rig *rig, const char *const *args)
{
  return replay_path(rig->path, args);
}

static void
assert_fine(const KitRun *run)
{
  if (run->status != 0)
    g_error("exit status %d: %s", run->status, run->err);
  g_assert_cmpstr(run->err, ==, "");
}

static JsonObject *
json_of(const KitRun *run, JsonNode **node)
{
  g_autoptr(GError) error = NULL;

  *node = json_from_string(run->out, &error);
  g_assert_no_error(error);
  return json_node_get_object(*node);
}

static JsonObject *
policy_of(JsonObject *root, guint i)
{
  return json_array_get_object_element(json_object_get_array_member(root, "policies"), i);
}

/* What was recorded is what the rig did, and comes out the same. */
static void
test_summary(void)
{
  static const char *const args[] = { "--json", NULL };
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autoptr(KitRun) text = NULL;
  g_autoptr(KitRun) json = NULL;
  g_autoptr(JsonNode) node = NULL;
  g_autofree char *calls = NULL;
  JsonObject *record;

  rig->refuse = 10;
  rig_run(rig, 240);
  g_assert_cmpuint(rig->n_calls, >, 3);
  text = replay(rig, NULL);
  assert_fine(text);
  calls = g_strdup_printf("80 decisions, %u calls, ", rig->n_calls);
  kit_assert_has(text->out, ": 237.0 s from 2");
  kit_assert_has(text->out, " on, 1 run of cagmad, 2 domains, policy cagma\n");
  kit_assert_has(text->out, calls);
  kit_assert_has(text->out, "; 8 refused by the guard\n");
  kit_assert_has(text->out, "80 of them can be made again, and come out as recorded, bit by bit\n");

  json = replay(rig, args);
  assert_fine(json);
  record = json_object_get_object_member(json_of(json, &node), "record");
  g_assert_cmpint(json_object_get_int_member(record, "decisions"), ==, 80);
  g_assert_cmpint(json_object_get_int_member(record, "again"), ==, 80);
  g_assert_cmpint(json_object_get_int_member(record, "unlike"), ==, 0);
  g_assert_cmpint(json_object_get_int_member(record, "calls"), ==, rig->n_calls);
  g_assert_cmpint(json_object_get_int_member(record, "refused"), ==, 8);
  g_assert_cmpint(json_object_get_int_member(record, "domains"), ==, 2);
  g_assert_cmpfloat(json_object_get_double_member(record, "duration-s"), ==, 237);
  g_assert_cmpuint(json_array_get_length(json_object_get_array_member(record, "lost")), ==, 0);
}

/* The policy that was recorded differs nowhere; nor do its totals. */
static void
test_same_policy(void)
{
  static const CagmaPolicyKind kinds[] = { CAGMA_POLICY_CAGMA, CAGMA_POLICY_CLASSIC, CAGMA_POLICY_BARUCHI,
                                           CAGMA_POLICY_VMMB };

  for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
    g_autofree char *policy = g_strdup_printf("--policy=%s", cagma_policy_of(kinds[i])->name);
    const char *const args[] = { policy, "--json", NULL };
    g_autoptr(Rig) rig = rig_new(kinds[i]);
    g_autoptr(KitRun) run = NULL;
    g_autoptr(JsonNode) node = NULL;
    JsonObject *would, *was, *model;

    /* Twice the daemon, under which nothing of the first run holds. */
    rig_run(rig, 150);
    rig->clock_us += 1000 * S;
    rig_run(rig, 90);
    run = replay(rig, args);
    assert_fine(run);
    would = policy_of(json_of(run, &node), 0);
    was = json_object_get_object_member(would, "recorded");
    g_assert_cmpint(json_object_get_int_member(would, "decisions"), ==, 80);
    g_assert_cmpint(json_object_get_int_member(would, "different"), ==, 0);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(would, "differences")), ==, 0);
    g_assert_cmpint(json_object_get_int_member(would, "calls"), ==, rig->n_calls);
    g_assert_cmpint(json_object_get_int_member(was, "calls"), ==, rig->n_calls);
    g_assert_cmpint(json_object_get_int_member(would, "reversals"), ==,
                    json_object_get_int_member(was, "reversals"));
    g_assert_cmpfloat(json_object_get_double_member(would, "moved-mib"), ==,
                      json_object_get_double_member(was, "moved-mib"));
    /* Nothing else is asked of it, so that it is run once. */
    model = json_object_get_object_member(json_node_get_object(node), "model");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(model, "policies")), ==, 1);
  }
}

/* Others would have done other things: who gives each guest its guarantee and no more, and
 * who does nothing. */
static void
test_other_policies(void)
{
  static const char *const args[] = { "--policy=static,none", "--policy=mom", "--json", "--all", NULL };
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autoptr(KitRun) run = NULL;
  g_autoptr(JsonNode) node = NULL;
  JsonObject *root, *none, *mom, *was, *model;
  JsonArray *differences;
  unsigned n_set = 0, n_repeated = 0;

  rig_run(rig, 240);
  run = replay(rig, args);
  assert_fine(run);
  root = json_of(run, &node);
  g_assert_cmpint(json_object_get_int_member(policy_of(root, 0), "different"), >, 0);

  none = policy_of(root, 1);
  g_assert_cmpstr(json_object_get_string_member(none, "policy"), ==, "none");
  g_assert_cmpint(json_object_get_int_member(none, "calls"), ==, 0);
  g_assert_cmpint(json_object_get_int_member(none, "not-shown"), ==, 0);
  was = json_object_get_object_member(none, "recorded");
  g_assert_cmpint(json_object_get_int_member(was, "calls"), ==, rig->n_calls);
  differences = json_object_get_array_member(none, "differences");
  g_assert_cmpuint(json_array_get_length(differences), >, 0);
  for (guint i = 0; i < json_array_get_length(differences); i++) {
    JsonObject *difference = json_array_get_object_element(differences, i);
    const char *name = json_object_get_string_member(difference, "domain");

    n_set += (unsigned)json_object_get_int_member(difference, "times");
    g_assert_true(json_object_get_null_member(difference, "would-set-mib"));
    g_assert_false(json_object_get_null_member(difference, "set-mib"));
    g_assert_true(json_object_get_null_member(difference, "why"));
    g_assert_true(g_str_equal(name, "busy") || g_str_equal(name, "idle"));
    g_assert_cmpfloat(json_object_get_double_member(difference, "until-s"), >=,
                      json_object_get_double_member(difference, "at-s"));
  }
  /* It looks every ten seconds, so that several calls may be one difference. */
  g_assert_cmpuint(n_set, <=, rig->n_calls);

  /* mom wants to hand out what is free, time and again: that is one difference, and one call
   * for each guest, between what is really done to it. */
  mom = policy_of(root, 2);
  differences = json_object_get_array_member(mom, "differences");
  for (guint i = 0; i < json_array_get_length(differences); i++) {
    JsonObject *difference = json_array_get_object_element(differences, i);

    n_repeated += json_object_get_int_member(difference, "times") > 5;
  }
  g_assert_cmpuint(n_repeated, >, 0);
  g_assert_cmpint(json_object_get_int_member(mom, "calls"), >, 0);
  g_assert_cmpint(json_object_get_int_member(mom, "calls"), <=, json_array_get_length(differences));
  g_assert_cmpint(json_object_get_int_member(mom, "different"), >, json_array_get_length(differences));

  model = json_object_get_object_member(root, "model");
  g_assert_cmpstr(json_object_get_string_member(policy_of(model, 0), "policy"), ==, "cagma, recorded");
  g_assert_cmpstr(json_object_get_string_member(policy_of(model, 1), "policy"), ==, "static");
  g_assert_cmpstr(json_object_get_string_member(policy_of(model, 2), "policy"), ==, "none");
  g_assert_cmpstr(json_object_get_string_member(policy_of(model, 3), "policy"), ==, "mom");
  /* The one that was short for want of memory is expected to be with who does nothing. */
  g_assert_cmpfloat(json_object_get_double_member(policy_of(model, 2), "short-mib-s"), >,
                    2 * json_object_get_double_member(policy_of(model, 0), "short-mib-s"));
  kit_assert_has(json_object_get_string_member(model, "how"), "Inferred from a record.");
}

/* Rules left out, and another surplus, make it another policy. */
static void
test_options(void)
{
  static const struct {
    const char *option;
    const char *says;
  } cases[] = {
    { "--surplus=reclaim", "\"surplus\" : \"leave\"" },
    { "--without=foreseen,pool", "\"policy\" : \"cagma\"" },
  };
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);

  rig_run(rig, 240);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const char *const args[] = { "--policy=cagma", cases[i].option, "--json", NULL };
    g_autoptr(KitRun) run = replay(rig, args);
    g_autoptr(JsonNode) node = NULL;
    JsonObject *root, *model;

    assert_fine(run);
    root = json_of(run, &node);
    g_assert_cmpint(json_object_get_int_member(policy_of(root, 0), "different"), >, 0);
    model = json_object_get_object_member(root, "model");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(model, "policies")), ==, 2);
    kit_assert_has(run->out, cases[i].says);
  }
}

static void
test_listing(void)
{
  static const char *const args[] = { "--policy=none,cagma-classic", NULL };
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autoptr(KitRun) run = NULL;

  rig_run(rig, 240);
  run = replay(rig, args);
  assert_fine(run);
  g_assert_null(strchr(run->out, '\033'));
  kit_assert_has(run->out, "\nnone, asked 20 times, would have decided otherwise at ");
  kit_assert_has(run->out, "leaves each guest at the size it starts with\n");
  kit_assert_has(run->out, "FROM");
  kit_assert_has(run->out, "WOULD SET");
  kit_assert_has(run->out, "\ncagma-classic, asked 80 times, would have decided otherwise at ");
  kit_assert_has(run->out, "\nAsked for, each time from what was really there:\nPOLICY ");
  kit_assert_has(run->out, "\nrecorded ");
  kit_assert_has(run->out, "It is inferred from figures, and isn't what happened.\n");
  kit_assert_has(run->out, "\ncagma, recorded ");
}

static void
test_explain(void)
{
  static const char *const late[] = { "--explain=busy", NULL };
  static const char *const early[] = { "--explain=busy", "--at=3", NULL };
  static const char *const iso[] = { "--explain=idle", "--at=2000-01-01T00:00:00Z", NULL };
  static const char *const future[] = { "--explain=00000000-0000-0000-0000-000000000001",
                                        "--at=2100-01-01T00:00:00", "--json", NULL };
  static const char *const unknown[] = { "--explain=nobody", NULL };
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autoptr(KitRun) of_late = NULL;
  g_autoptr(KitRun) of_early = NULL;
  g_autoptr(KitRun) of_iso = NULL;
  g_autoptr(KitRun) of_future = NULL;
  g_autoptr(KitRun) of_unknown = NULL;

  rig_run(rig, 240);
  of_late = replay(rig, late);
  assert_fine(of_late);
  kit_assert_has(of_late->out, "MiB");
  kit_assert_has(of_late->out, "decided: 2");
  of_early = replay(rig, early);
  assert_fine(of_early);
  g_assert_cmpstr(of_early->out, !=, of_late->out);
  of_future = replay(rig, future);
  assert_fine(of_future);
  kit_assert_has(of_future->out, "\"explanation\" : ");

  of_iso = replay(rig, iso);
  g_assert_cmpint(of_iso->status, ==, 1);
  kit_assert_has(of_iso->err, "no decision on a domain 'idle' is recorded until then");
  of_unknown = replay(rig, unknown);
  g_assert_cmpint(of_unknown->status, ==, 1);
  kit_assert_has(of_unknown->err, "no decision on a domain 'nobody'");
}

/* What is inferred can be simulated. */
static void
test_scenario(void)
{
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autofree char *path = g_build_filename(rig->dir, "inferred.json", NULL);
  const char *const args[] = { "--scenario", path, NULL };
  const char *const check[] = { g_getenv("CAGMACTL"), "check", path, NULL };
  const char *const simulate[] = { g_getenv("CAGMACTL"), "simulate", path, "--policy=none", NULL };
  g_autoptr(KitRun) run = NULL;
  g_autoptr(KitRun) checked = NULL;
  g_autoptr(KitRun) simulated = NULL;

  rig_run(rig, 120);
  run = replay(rig, args);
  assert_fine(run);
  checked = kit_run(check, NULL, "", 0);
  assert_fine(checked);
  simulated = kit_run(simulate, NULL, "", 0);
  assert_fine(simulated);
  kit_assert_has(simulated->out, "recorded: 2 guests, 120 s, ");
}

/* The record isn't written over, and what is there stays where there's no model to be written. */
static void
test_scenario_that_is_not_written(void)
{
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autofree char *path = g_build_filename(rig->dir, "mine.json", NULL);
  const char *const over[] = { "--scenario", rig->path, NULL };
  const char *const mine[] = { "--scenario", path, NULL };
  const char *const drawn[] = { "--plot", path, NULL };
  g_autoptr(KitRun) first = NULL, second = NULL, third = NULL;
  g_autofree char *before = NULL, *after = NULL, *text = NULL;
  gsize length, length_after;

  rig_run(rig, 120);
  g_assert_true(g_file_get_contents(rig->path, &before, &length, NULL));
  first = replay(rig, over);
  g_assert_cmpint(first->status, ==, 1);
  kit_assert_has(first->err, ": is what is read; it isn't written over");
  g_assert_true(g_file_get_contents(rig->path, &after, &length_after, NULL));
  g_assert_cmpmem(after, length_after, before, length);

  third = replay(rig, drawn);
  g_assert_cmpint(third->status, ==, 2);
  kit_assert_has(third->err, "--plot, --plot-policy and --seed go with simulate");

  g_assert_cmpint(g_remove(rig->path), ==, 0);
  rig->scenario->n_guests = 0;
  rig_run(rig, 30);
  rig->scenario->n_guests = 2;
  g_assert_true(g_file_set_contents(path, "mine", -1, NULL));
  second = replay(rig, mine);
  g_assert_cmpint(second->status, ==, 1);
  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  g_assert_cmpstr(text, ==, "mine");
}

static void
damage(const char *path, gsize at, gsize length)
{
  g_autofree char *text = NULL;
  gsize size;

  g_assert_true(g_file_get_contents(path, &text, &size, NULL));
  g_assert_cmpuint(at + length, <=, size);
  memset(text + at, 0x55, length);
  g_assert_true(g_file_set_contents(path, text, (gssize)size, NULL));
}

/* Another boot's clock begins anew: time goes on, though the run's beginning is lost. */
static void
test_reboot(void)
{
  static const char *const args[] = { "--json", NULL };
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autoptr(KitRun) run = NULL;
  g_autoptr(JsonNode) node = NULL;
  JsonObject *record;
  struct stat status;

  rig_run(rig, 240);
  g_assert_cmpint(stat(rig->path, &status), ==, 0);
  rig->clock_us = 10 * S;
  rig_run(rig, 240);
  damage(rig->path, (gsize)status.st_size + CAGMA_RECORD_BLOCK_HEADER, 5);
  run = replay(rig, args);
  g_assert_cmpint(run->status, ==, 0);
  record = json_object_get_object_member(json_of(run, &node), "record");
  g_assert_cmpint(json_object_get_int_member(record, "decisions"), <, 160);
  g_assert_cmpfloat(json_object_get_double_member(record, "duration-s"), >=, 237 + 120);
  g_assert_cmpfloat(json_object_get_double_member(record, "duration-s"), <=, 240 + 240);
}

/* It says where, and goes on with the rest. */
static void
test_damage(void)
{
  static const char *const args[] = { "--policy=cagma", "--json", NULL };
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autoptr(KitRun) run = NULL;
  g_autoptr(KitRun) compared = NULL;
  g_autoptr(JsonNode) node = NULL;
  JsonObject *root, *record, *loss;
  struct stat status;
  gint64 again;

  rig_run(rig, 600);
  g_assert_cmpint(stat(rig->path, &status), ==, 0);
  damage(rig->path, (gsize)status.st_size / 2, 10);
  g_assert_cmpint(truncate(rig->path, status.st_size - 5), ==, 0);
  run = replay(rig, NULL);
  g_assert_cmpint(run->status, ==, 0);
  kit_assert_has(run->err, " are damaged; what was decided between ");
  kit_assert_has(run->err, " are the beginning of a block; ");
  kit_assert_has(run->out, " can be made again, and come out as recorded, bit by bit\n");

  compared = replay(rig, args);
  g_assert_cmpint(compared->status, ==, 0);
  root = json_of(compared, &node);
  record = json_object_get_object_member(root, "record");
  again = json_object_get_int_member(record, "again");
  g_assert_cmpint(again, >=, 200 - 2 - CAGMA_RECORD_KEYFRAME_BLOCKS);
  g_assert_cmpint(again, <, 198);
  /* The one that was damaged, and the last one. */
  g_assert_cmpint(json_object_get_int_member(record, "decisions"), ==, 198);
  g_assert_cmpint(json_object_get_int_member(policy_of(root, 0), "decisions"), ==, again);
  g_assert_cmpint(json_object_get_int_member(policy_of(root, 0), "different"), ==, 0);
  loss = json_array_get_object_element(json_object_get_array_member(record, "lost"), 0);
  g_assert_cmpint(json_object_get_int_member(loss, "offset"), <=, status.st_size / 2);
  g_assert_cmpint(json_object_get_int_member(loss, "bytes"), >=, 10);
  g_assert_cmpfloat(json_object_get_double_member(loss, "until-s"), >,
                    json_object_get_double_member(loss, "after-s"));
}

/* Today's code decides otherwise: here, since the record says that other memory was there. */
static void
test_unlike(void)
{
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autoptr(GFile) file = NULL;
  g_autoptr(GFileInputStream) stream = NULL;
  g_autoptr(CagmaSurvey) survey = NULL;
  g_autoptr(KitRun) run = NULL;
  g_autoptr(GError) error = NULL;

  /* A decision that isn't the policy's: who changes the host between deciding and decided
   * has decided with something else than was recorded. */
  rig_run(rig, 30);
  rig->host.n_domains = 0;
  rig->recorder = cagma_recorder_open(rig->path, &rig->host, &error);
  g_assert_no_error(error);
  rig->lives = lives_new(rig->scenario);
  rig->domains = g_new0(CagmaDomain, rig->scenario->n_guests);
  rig->known = g_new0(gboolean, rig->scenario->n_guests);
  lives_tick(rig->lives);
  look_at(rig, 0);
  cagma_recorder_deciding(rig->recorder, now_of(rig));
  rig->domains[0].max_kib += CAGMA_MIB(1);
  cagma_decide(&rig->host, now_of(rig), &rig->plan);
  cagma_verdict_judge(&rig->plan.verdict, NULL);
  cagma_recorder_decided(rig->recorder, &rig->plan);
  g_clear_pointer(&rig->recorder, cagma_recorder_close);
  g_clear_pointer(&rig->lives, lives_free);
  g_clear_pointer(&rig->domains, g_free);
  g_clear_pointer(&rig->known, g_free);

  run = replay(rig, NULL);
  assert_fine(run);
  kit_assert_has(run->out, "2 runs of cagmad");
  kit_assert_has(run->out, "11 of them can be made again; 1 comes out otherwise than recorded\n");
  kit_assert_has(run->out, ", for busy:\n    recorded: ");
  file = g_file_new_for_path(rig->path);
  stream = g_file_read(file, NULL, &error);
  g_assert_no_error(error);
  survey = cagma_survey(G_INPUT_STREAM(stream), 0, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(survey->n_unlike, ==, 1);
  g_assert_cmpint(survey->unlike_us, ==, survey->last_us);
}

static void
test_usage(void)
{
  static const struct {
    const char *args[3];
    int status;
    const char *says;
  } cases[] = {
    { { "another" }, 2, "replay takes one record" },
    { { "--policy=oracle" }, 2, "oracle knows what comes" },
    { { "--policy=cagmo" }, 2, "--policy: no policy is named 'cagmo'" },
    { { "--policy=cagma", "--without=luck" }, 2, "--without: no rule is named 'luck'" },
    { { "--policy=cagma", "--surplus=keep" }, 2, "--surplus takes leave or reclaim" },
    { { "--surplus=leave" }, 2, "go with --policy" },
    { { "--at=3" }, 2, "--at goes with --explain" },
    { { "--explain=busy", "--policy=cagma" }, 2, "--explain says what was decided" },
    { { "--explain=busy", "--at=soon" }, 2, "--at takes seconds" },
    { { "--explain=busy", "--at=-1" }, 2, "--at takes seconds" },
    { { "--explain=busy", "--at=nan" }, 2, "--at takes seconds" },
    { { "--explain=busy", "--at=1e300" }, 2, "--at takes seconds" },
    { { "--scenario=/nonexistent/x.json" }, 1, "/nonexistent/x.json: No such file" },
    { { "--scenario=/dev/full" }, 1, "/dev/full: No space left" },
  };
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);

  rig_run(rig, 30);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(KitRun) run = replay(rig, cases[i].args);

    if (run->status != cases[i].status)
      g_error("case %zu: exit status %d, %s%s", i, run->status, run->out, run->err);
    kit_assert_has(run->err, cases[i].says);
  }
}

/* Files that are something else, and records of nothing. */
static void
test_foreign_files(void)
{
  static const char *const policy[] = { "--policy=cagma", NULL };
  static const struct {
    const char *text;
    const char *says;
  } cases[] = {
    { "", "is no record of cagmad" },
    { "[cagmad]\nuri=\033[2J\n", "is no record of cagmad" },
  };
  char *dir = kit_tmpdir();
  g_autofree char *fifo = g_build_filename(dir, "fifo", NULL);
  g_autoptr(KitRun) missing = replay_path("/nonexistent/record", NULL);
  g_autoptr(KitRun) directory = replay_path(dir, NULL);
  g_autoptr(KitRun) waiting = NULL;
  g_autoptr(Rig) rig = rig_new(CAGMA_POLICY_CAGMA);
  g_autoptr(KitRun) empty = NULL;

  g_assert_cmpint(missing->status, ==, 1);
  kit_assert_has(missing->err, "/nonexistent/record: ");
  g_assert_cmpint(directory->status, ==, 1);
  kit_assert_has(directory->err, ": is no regular file");
  g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
  waiting = replay_path(fifo, NULL);
  g_assert_cmpint(waiting->status, ==, 1);
  kit_assert_has(waiting->err, ": is no regular file");
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = kit_write(dir, "file", cases[i].text, -1);
    g_autoptr(KitRun) run = replay_path(path, policy);

    g_assert_cmpint(run->status, ==, 1);
    g_assert_cmpstr(run->out, ==, "");
    kit_assert_has(run->err, path);
    kit_assert_has(run->err, cases[i].says);
  }
  /* A daemon that was killed before it decided. */
  rig_run(rig, 0);
  empty = replay(rig, policy);
  g_assert_cmpint(empty->status, ==, 0);
  kit_assert_has(empty->out, ": nothing was decided\n");
  kit_remove(dir);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/replay/summary", test_summary);
  g_test_add_func("/replay/same-policy", test_same_policy);
  g_test_add_func("/replay/other-policies", test_other_policies);
  g_test_add_func("/replay/options", test_options);
  g_test_add_func("/replay/listing", test_listing);
  g_test_add_func("/replay/explain", test_explain);
  g_test_add_func("/replay/scenario", test_scenario);
  g_test_add_func("/replay/scenario-that-is-not-written", test_scenario_that_is_not_written);
  g_test_add_func("/replay/reboot", test_reboot);
  g_test_add_func("/replay/damage", test_damage);
  g_test_add_func("/replay/unlike", test_unlike);
  g_test_add_func("/replay/usage", test_usage);
  g_test_add_func("/replay/foreign-files", test_foreign_files);
  return g_test_run();
}
