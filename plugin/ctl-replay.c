/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <gio/gio.h>
#include <inttypes.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "plugin/ctl.h"
#include "plugin/output.h"
#include "plugin/replay.h"
#include "plugin/runs.h"
#include "plugin/scenario-json.h"
#include "plugin/table.h"
#include "policy/sim/infer.h"
#include "policy/units.h"
#include "xml/error.h"

/* cagmactl replay RECORD: what is in a record, what another policy would have decided, and
 * what the model expects of it. */

#define MESSAGE_MAX_CHARS 2000
#define NAME_MAX_CHARS 40
/* Without --all. */
#define SHOWN_MAX 40
/* With it, and in JSON. */
#define KEPT_MAX 1000000
#define LOSSES_SHOWN_MAX 20
#define WRAP_CHARS 100
/* The largest time that is taken, in seconds: 285 years. */
#define AT_MAX_S 9e9

typedef struct {
  const CagmaCtl *ctl;
  const char *path;
  GArray *entrants; /* NULL: nobody else is asked */
  uint32_t without;
  gboolean has_surplus;
  CagmaSurplus surplus;
  int64_t at_us; /* the time asked for, since the beginning … */
  gboolean has_real;
  int64_t at_real_us; /* … or by the wall clock */
  CagmaSurvey *survey;
  GPtrArray *comparisons;  /* CagmaComparison, one for each entrant */
  CagmaScenario *recorded; /* the scenario inferred … */
  CagmaScenario *asked;    /* … and as it is with the surplus asked for */
  GError *no_model;        /* why there's none */
  GArray *runs;            /* CagmaRun */
  FILE *out;               /* for the scenario */
} Replay;

static void
run_clear(gpointer data)
{
  cagma_run_clear(data);
}

static void
comparison_free(gpointer data)
{
  cagma_comparison_free(data);
}

static void
replay_clear(Replay *replay)
{
  g_clear_pointer(&replay->entrants, g_array_unref);
  g_clear_pointer(&replay->survey, cagma_survey_free);
  g_clear_pointer(&replay->comparisons, g_ptr_array_unref);
  g_clear_pointer(&replay->runs, g_array_unref);
  g_clear_pointer(&replay->recorded, cagma_scenario_free);
  g_clear_pointer(&replay->asked, cagma_scenario_free);
  g_clear_pointer(&replay->out, fclose);
  g_clear_error(&replay->no_model);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Replay, replay_clear)

static gboolean
failed(const char *path, const char *reason)
{
  g_autofree char *name = g_filename_display_name(path);
  g_autofree char *message = cagma_printable(reason, MESSAGE_MAX_CHARS);

  g_printerr("cagmactl: %s: %s\n", name, message);
  return FALSE;
}

static gboolean
wrong(const char *message)
{
  g_printerr("cagmactl: %s\n", message);
  return FALSE;
}

/* The record, which is gone through more than once. */
static GInputStream *
open_record(const Replay *replay)
{
  g_autoptr(GFile) file = g_file_new_for_path(replay->path);
  g_autoptr(GError) error = NULL;
  GInputStream *stream;

  if (g_file_test(replay->path, G_FILE_TEST_EXISTS) && !g_file_test(replay->path, G_FILE_TEST_IS_REGULAR)) {
    failed(replay->path, "is no regular file");
    return NULL;
  }
  stream = (GInputStream *)g_file_read(file, NULL, &error);
  if (!stream)
    failed(replay->path, error->message);
  return stream;
}

/* Times, as they are shown and taken. */

static double
seconds(int64_t us)
{
  return (double)us / (double)CAGMA_SECOND_US;
}

static char *
time_text(int64_t us)
{
  return g_strdup_printf("%.1f s", seconds(us));
}

static char *
iso_text(int64_t real_us)
{
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(real_us / CAGMA_SECOND_US);

  return time ? g_date_time_format_iso8601(time) : g_strdup("a time that makes no sense");
}

/* --at, as time since the record's beginning, or as wall clock. */
static gboolean
take_time(Replay *replay)
{
  const char *at = replay->ctl->at;
  g_autoptr(GTimeZone) zone = g_time_zone_new_local();
  g_autoptr(GDateTime) time = NULL;
  char *end;
  double since_s;

  replay->at_us = INT64_MAX;
  if (!at)
    return TRUE;
  since_s = g_ascii_strtod(at, &end);
  if (end != at && (*end == '\0' || strcmp(end, "s") == 0 || strcmp(end, " s") == 0) && since_s >= 0 &&
      since_s <= AT_MAX_S) {
    /* Times are shown to a tenth: what was shown is meant. */
    replay->at_us = (int64_t)((since_s + 0.05) * (double)CAGMA_SECOND_US);
    return TRUE;
  }
  time = g_date_time_new_from_iso8601(at, zone);
  if (!time)
    return wrong("--at takes seconds from the record's beginning, or a time as in 2026-01-31T12:00:00Z");
  /* All of that second. */
  replay->at_real_us = (g_date_time_to_unix(time) + 1) * CAGMA_SECOND_US - 1;
  replay->has_real = TRUE;
  return TRUE;
}

/* A text of one line, on lines that a terminal has room for. */
static void
print_wrapped(const char *text)
{
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  glong column = 0;

  for (size_t i = 0; words[i]; i++) {
    glong width = g_utf8_strlen(words[i], -1);

    if (column && column + 1 + width > WRAP_CHARS) {
      g_print("\n");
      column = 0;
    }
    g_print("%s%s", column ? " " : "", words[i]);
    column += width + (column ? 1 : 0);
  }
  g_print("\n");
}

/* What is damaged. */

static char *
loss_text(const CagmaReplayLoss *loss)
{
  g_autofree char *what = cagma_lost_to_text(loss->why, loss->offset, loss->bytes);
  g_autofree char *from = time_text(loss->after_us);
  g_autofree char *to = time_text(loss->again_us);

  if (loss->again_us < 0)
    return g_strdup_printf("%s; what was decided after %s can't be made again", what, from);
  return g_strdup_printf("%s; what was decided between %s and %s can't be made again", what, from, to);
}

static void
say_losses(const Replay *replay)
{
  const CagmaSurvey *survey = replay->survey;

  for (guint i = 0; i < survey->losses->len && i < LOSSES_SHOWN_MAX; i++) {
    g_autofree char *text = loss_text(&g_array_index(survey->losses, CagmaReplayLoss, i));

    failed(replay->path, text);
  }
  if (survey->n_losses > LOSSES_SHOWN_MAX) {
    g_autofree char *text = g_strdup_printf("and %zu more such places", survey->n_losses - LOSSES_SHOWN_MAX);

    failed(replay->path, text);
  }
}

/* The summary. */

static char *
policies_text(uint32_t policies)
{
  g_autoptr(GString) names = g_string_new(NULL);

  for (int kind = 0; kind < CAGMA_N_POLICIES; kind++)
    if (policies & 1u << kind)
      g_string_append_printf(names, "%s%s", names->len ? ", " : "",
                             cagma_policy_of((CagmaPolicyKind)kind)->name);
  return g_string_free(g_steal_pointer(&names), FALSE);
}

static const char *
plural(size_t n)
{
  return n == 1 ? "" : "s";
}

static void
print_unlike(const CagmaSurvey *survey)
{
  g_autofree char *when = time_text(survey->unlike_us);
  g_autofree char *name = survey->unlike_name ? cagma_printable(survey->unlike_name, NAME_MAX_CHARS) : NULL;
  g_autofree char *was = survey->unlike_was ? cagma_printable(survey->unlike_was, MESSAGE_MAX_CHARS) : NULL;
  g_autofree char *is = survey->unlike_is ? cagma_printable(survey->unlike_is, MESSAGE_MAX_CHARS) : NULL;

  if (!name) {
    g_print("  the first one at %s, for the host as a whole\n", when);
    return;
  }
  g_print("  the first one at %s, for %s:\n    recorded: %s\n    now:      %s\n", when, name, was, is);
}

static void
print_summary(const Replay *replay)
{
  const CagmaSurvey *survey = replay->survey;
  const CagmaReplayTotals *totals = &survey->totals;
  g_autofree char *file = g_filename_display_name(replay->path);
  g_autofree char *shown = cagma_printable(file, MESSAGE_MAX_CHARS);
  g_autofree char *from = iso_text(survey->first_real_us);
  g_autofree char *span = time_text(survey->last_us);
  g_autofree char *policies = policies_text(survey->policies);
  size_t n_machines = g_hash_table_size(survey->machines);

  if (!survey->n_decisions) {
    g_print("%s: nothing was decided\n", shown);
    return;
  }
  g_print("%s: %s from %s on, %zu run%s of cagmad, %zu domain%s, policy %s%s\n", shown, span, from,
          survey->n_runs, plural(survey->n_runs), n_machines, plural(n_machines), policies,
          survey->dry_run ? "; a dry run: nothing was carried out" : "");
  g_print("%zu decision%s, %" PRIu64 " call%s, " CAGMA_MIB_FORMAT " moved, %" PRIu64 " turn%s; "
          "%" PRIu64 " refused by the guard\n",
          survey->n_decisions, plural(survey->n_decisions), totals->calls, plural(totals->calls),
          cagma_mib(totals->moved_kib), totals->reversals, plural(totals->reversals), totals->refused);
  if (survey->n_unlike) {
    g_print("%zu of them can be made again; %zu come%s out otherwise than recorded\n", survey->n_known,
            survey->n_unlike, survey->n_unlike == 1 ? "s" : "");
    print_unlike(survey);
  } else {
    g_print("%zu of them can be made again, and come out as recorded, bit by bit\n", survey->n_known);
  }
}

/* What another policy would have decided. */

static const CagmaEntrant *
entrant_of(const Replay *replay, guint i)
{
  return &g_array_index(replay->entrants, CagmaEntrant, i);
}

static void
add_size(CagmaTable *table, uint64_t kib)
{
  g_autofree char *text = kib ? g_strdup_printf(CAGMA_MIB_FORMAT, cagma_mib(kib)) : g_strdup("–");

  cagma_table_cell(table, text);
}

static void
add_difference(CagmaTable *table, const CagmaDifference *difference)
{
  g_autofree char *from = time_text(difference->at_us);
  g_autofree char *until = difference->times > 1 ? time_text(difference->until_us) : g_strdup("");
  g_autofree char *times = g_strdup_printf("%u", difference->times);
  g_autofree char *name = cagma_printable(difference->name, NAME_MAX_CHARS);

  cagma_table_row(table, NULL);
  cagma_table_cell(table, from);
  cagma_table_cell(table, until);
  cagma_table_cell(table, times);
  cagma_table_cell(table, name);
  add_size(table, difference->had_kib);
  add_size(table, difference->was_kib);
  add_size(table, difference->would_kib);
  cagma_table_cell(table, difference->reason ? difference->reason : "");
}

static size_t
shown_of(const Replay *replay, const CagmaComparison *comparison)
{
  return replay->ctl->all ? comparison->differences->len : MIN(comparison->differences->len, SHOWN_MAX);
}

static void
print_comparison(const Replay *replay, guint i)
{
  static const char *const headings[] = { ">FROM", ">UNTIL",     ">TIMES", "DOMAIN", ">HAD",
                                          ">SET",  ">WOULD SET", "WHY",    NULL };
  const CagmaComparison *comparison = replay->comparisons->pdata[i];
  const CagmaEntrant *entrant = entrant_of(replay, i);
  size_t shown = shown_of(replay, comparison);
  g_autoptr(CagmaTable) table = cagma_table_new(headings);
  g_autofree char *text = NULL;

  g_print("\n%s, asked %zu time%s, would have decided otherwise at %zu%s%s\n", entrant->name,
          comparison->n_decisions, plural(comparison->n_decisions), comparison->n_different,
          entrant->contestant.peer ? ": " : "",
          entrant->contestant.peer ? entrant->contestant.peer->summary : "");
  if (!comparison->n_differences)
    return;
  for (size_t k = 0; k < shown; k++)
    add_difference(table, &g_array_index(comparison->differences, CagmaDifference, k));
  text = cagma_table_format(table, replay->ctl->color, 0);
  g_print("%s", text);
  if (comparison->n_differences > shown)
    g_print("and %zu more%s\n", comparison->n_differences - shown,
            replay->ctl->all ? "" : "; --all shows them");
}

static void
add_totals(CagmaTable *table, const char *name, const CagmaReplayTotals *totals)
{
  g_autofree char *calls = g_strdup_printf("%" PRIu64, totals->calls);
  g_autofree char *moved = g_strdup_printf(CAGMA_MIB_FORMAT, cagma_mib(totals->moved_kib));
  g_autofree char *turns = g_strdup_printf("%" PRIu64, totals->reversals);
  g_autofree char *refused = g_strdup_printf("%" PRIu64, totals->refused);

  cagma_table_row(table, NULL);
  cagma_table_cell(table, name);
  cagma_table_cell(table, calls);
  cagma_table_cell(table, moved);
  cagma_table_cell(table, turns);
  cagma_table_cell(table, refused);
}

static void
print_totals(const Replay *replay)
{
  static const char *const headings[] = { "POLICY", ">CALLS", ">MOVED", ">TURNS", ">REFUSED", NULL };
  g_autoptr(CagmaTable) table = cagma_table_new(headings);
  g_autofree char *text = NULL;

  add_totals(table, "recorded", &((CagmaComparison *)replay->comparisons->pdata[0])->recorded);
  for (guint i = 0; i < replay->entrants->len; i++)
    add_totals(table, entrant_of(replay, i)->name,
               &((CagmaComparison *)replay->comparisons->pdata[i])->would);
  text = cagma_table_format(table, replay->ctl->color, 0);
  g_print("\nAsked for, each time from what was really there:\n%s", text);
}

static void
print_model(const Replay *replay)
{
  g_autofree char *table = NULL;

  if (!replay->runs) {
    g_print("\nNo model: %s\n", replay->no_model->message);
    return;
  }
  table = cagma_runs_format((const CagmaRun *)(void *)replay->runs->data, replay->runs->len,
                            replay->ctl->guests, replay->ctl->color);
  g_print("\nWhat a model of these guests expects. It is inferred from figures, and isn't what happened.\n");
  print_wrapped(replay->recorded->description);
  g_print("%s", table);
}

static void
print_text(const Replay *replay)
{
  print_summary(replay);
  if (!replay->entrants || !replay->survey->n_decisions)
    return;
  for (guint i = 0; i < replay->entrants->len; i++)
    print_comparison(replay, i);
  print_totals(replay);
  print_model(replay);
}

/* The same as JSON. */

static void
put_text(JsonBuilder *builder, const char *name, const char *text)
{
  json_builder_set_member_name(builder, name);
  if (text)
    json_builder_add_string_value(builder, text);
  else
    json_builder_add_null_value(builder);
}

static void
put_number(JsonBuilder *builder, const char *name, uint64_t number)
{
  json_builder_set_member_name(builder, name);
  json_builder_add_int_value(builder, (gint64)number);
}

static void
put_seconds(JsonBuilder *builder, const char *name, int64_t us)
{
  json_builder_set_member_name(builder, name);
  json_builder_add_double_value(builder, seconds(us));
}

/* null: nothing. */
static void
put_mib(JsonBuilder *builder, const char *name, uint64_t kib)
{
  json_builder_set_member_name(builder, name);
  if (kib)
    json_builder_add_double_value(builder, (double)kib / 1024);
  else
    json_builder_add_null_value(builder);
}

static void
put_totals(JsonBuilder *builder, const CagmaReplayTotals *totals)
{
  put_number(builder, "calls", totals->calls);
  json_builder_set_member_name(builder, "moved-mib");
  json_builder_add_double_value(builder, (double)totals->moved_kib / 1024);
  put_number(builder, "reversals", totals->reversals);
  put_number(builder, "refused", totals->refused);
}

static void
put_losses(JsonBuilder *builder, const CagmaSurvey *survey)
{
  json_builder_set_member_name(builder, "lost");
  json_builder_begin_array(builder);
  for (guint i = 0; i < survey->losses->len; i++) {
    const CagmaReplayLoss *loss = &g_array_index(survey->losses, CagmaReplayLoss, i);
    g_autofree char *text = loss_text(loss);

    json_builder_begin_object(builder);
    put_number(builder, "offset", loss->offset);
    put_number(builder, "bytes", loss->bytes);
    put_seconds(builder, "after-s", loss->after_us);
    if (loss->again_us >= 0)
      put_seconds(builder, "until-s", loss->again_us);
    put_text(builder, "what", text);
    json_builder_end_object(builder);
  }
  json_builder_end_array(builder);
}

static void
put_survey(JsonBuilder *builder, const CagmaSurvey *survey)
{
  g_autofree char *from = iso_text(survey->first_real_us);
  g_autofree char *policies = policies_text(survey->policies);

  json_builder_set_member_name(builder, "record");
  json_builder_begin_object(builder);
  if (survey->n_decisions)
    put_text(builder, "from", from);
  put_seconds(builder, "duration-s", survey->last_us);
  put_number(builder, "runs", survey->n_runs);
  put_number(builder, "domains", g_hash_table_size(survey->machines));
  put_text(builder, "policy", policies);
  json_builder_set_member_name(builder, "dry-run");
  json_builder_add_boolean_value(builder, survey->dry_run);
  put_number(builder, "decisions", survey->n_decisions);
  put_totals(builder, &survey->totals);
  put_number(builder, "again", survey->n_known);
  put_number(builder, "unlike", survey->n_unlike);
  if (survey->n_unlike) {
    json_builder_set_member_name(builder, "first-unlike");
    json_builder_begin_object(builder);
    put_seconds(builder, "at-s", survey->unlike_us);
    put_text(builder, "domain", survey->unlike_name);
    put_text(builder, "recorded", survey->unlike_was);
    put_text(builder, "now", survey->unlike_is);
    json_builder_end_object(builder);
  }
  put_number(builder, "losses", survey->n_losses);
  put_losses(builder, survey);
  json_builder_end_object(builder);
}

static void
put_difference(JsonBuilder *builder, const CagmaDifference *difference)
{
  json_builder_begin_object(builder);
  put_seconds(builder, "at-s", difference->at_us);
  put_seconds(builder, "until-s", difference->until_us);
  put_number(builder, "times", difference->times);
  put_text(builder, "domain", difference->name);
  put_mib(builder, "had-mib", difference->had_kib);
  put_mib(builder, "set-mib", difference->was_kib);
  put_mib(builder, "would-set-mib", difference->would_kib);
  put_text(builder, "why", difference->reason);
  json_builder_end_object(builder);
}

static void
put_comparison(JsonBuilder *builder, const Replay *replay, guint i)
{
  const CagmaComparison *comparison = replay->comparisons->pdata[i];
  size_t shown = shown_of(replay, comparison);

  json_builder_begin_object(builder);
  put_text(builder, "policy", entrant_of(replay, i)->name);
  put_number(builder, "decisions", comparison->n_decisions);
  put_number(builder, "different", comparison->n_different);
  put_totals(builder, &comparison->would);
  json_builder_set_member_name(builder, "recorded");
  json_builder_begin_object(builder);
  put_totals(builder, &comparison->recorded);
  json_builder_end_object(builder);
  json_builder_set_member_name(builder, "differences");
  json_builder_begin_array(builder);
  for (size_t k = 0; k < shown; k++)
    put_difference(builder, &g_array_index(comparison->differences, CagmaDifference, k));
  json_builder_end_array(builder);
  put_number(builder, "not-shown", comparison->n_differences - shown);
  json_builder_end_object(builder);
}

static void
put_model(JsonBuilder *builder, const Replay *replay)
{
  json_builder_set_member_name(builder, "model");
  json_builder_begin_object(builder);
  if (replay->runs) {
    json_builder_set_member_name(builder, "scenario");
    cagma_scenario_add_json(replay->recorded, builder);
    put_text(builder, "how", replay->recorded->description);
    json_builder_set_member_name(builder, "policies");
    cagma_runs_add_json((const CagmaRun *)(void *)replay->runs->data, replay->runs->len, builder);
  } else {
    put_text(builder, "none", replay->no_model->message);
  }
  json_builder_end_object(builder);
}

static void
print_node(JsonBuilder *builder)
{
  g_autoptr(JsonNode) root = json_builder_get_root(builder);
  g_autofree char *text = json_to_string(root, TRUE);

  g_print("%s\n", text);
}

static void
print_json(const Replay *replay)
{
  g_autoptr(JsonBuilder) builder = json_builder_new();

  json_builder_begin_object(builder);
  put_survey(builder, replay->survey);
  if (replay->entrants && replay->survey->n_decisions) {
    json_builder_set_member_name(builder, "policies");
    json_builder_begin_array(builder);
    for (guint i = 0; i < replay->entrants->len; i++)
      put_comparison(builder, replay, i);
    json_builder_end_array(builder);
    put_model(builder, replay);
  }
  json_builder_end_object(builder);
  print_node(builder);
}

/* Doing it. */

static gboolean
survey(Replay *replay)
{
  g_autoptr(GInputStream) stream = open_record(replay);
  g_autoptr(GError) error = NULL;

  if (!stream)
    return FALSE;
  replay->survey = cagma_survey(stream, replay->at_us, &error);
  if (!replay->survey)
    return failed(replay->path, error->message);
  say_losses(replay);
  return TRUE;
}

static gboolean
compare(Replay *replay)
{
  size_t limit = replay->ctl->all ? KEPT_MAX : SHOWN_MAX;

  replay->comparisons = g_ptr_array_new_with_free_func(comparison_free);
  for (guint i = 0; i < replay->entrants->len; i++) {
    CagmaContestant contestant = entrant_of(replay, i)->contestant;
    g_autoptr(GInputStream) stream = open_record(replay);
    g_autoptr(GError) error = NULL;
    CagmaComparison *comparison;

    if (!stream)
      return FALSE;
    contestant.without = contestant.policy ? replay->without : 0;
    comparison = cagma_compare(stream, replay->survey, &contestant,
                               replay->has_surplus ? &replay->surplus : NULL, limit, &error);
    if (!comparison)
      return failed(replay->path, error->message);
    g_ptr_array_add(replay->comparisons, comparison);
  }
  return TRUE;
}

static void
infer(Replay *replay)
{
  replay->recorded = cagma_infer(replay->survey->history, &replay->no_model);
  if (!replay->recorded)
    return;
  replay->asked = cagma_scenario_copy(replay->recorded);
  if (replay->has_surplus)
    replay->asked->surplus = replay->surplus;
}

static void
run(Replay *replay, const char *name, const CagmaScenario *scenario, const CagmaContestant *contestant)
{
  CagmaRun run = { .name = g_strdup(name), .scenario = scenario, .contestant = *contestant };

  cagma_run_go(&run);
  g_array_append_val(replay->runs, run);
}

/* The recorded policy first; not a second time, where nothing else is asked of it. */
static void
run_model(Replay *replay)
{
  const CagmaPolicy *policy = cagma_policy_of(replay->survey->policy);
  const CagmaContestant recorded = { .policy = policy };
  g_autofree char *name = g_strdup_printf("%s, recorded", policy->name);

  replay->runs = g_array_new(FALSE, TRUE, sizeof(CagmaRun));
  g_array_set_clear_func(replay->runs, run_clear);
  run(replay, name, replay->recorded, &recorded);
  for (guint i = 0; i < replay->entrants->len; i++) {
    const CagmaEntrant *entrant = entrant_of(replay, i);
    CagmaContestant contestant = entrant->contestant;

    if (contestant.policy == policy && !replay->without &&
        replay->asked->surplus == replay->recorded->surplus)
      continue;
    contestant.without = contestant.policy ? replay->without : 0;
    run(replay, entrant->name, replay->asked, &contestant);
  }
}

static gboolean
write_scenario(Replay *replay)
{
  g_autofree char *text = NULL;
  gboolean written;

  if (!replay->recorded)
    return failed(replay->path, replay->no_model->message);
  text = cagma_scenario_to_json(replay->recorded);
  if (strlen(text) > CAGMA_SCENARIO_MAX_BYTES)
    return failed(replay->ctl->scenario, "would be larger than a scenario may be, so it is left empty");
  written = fputs(text, replay->out) != EOF;
  /* A full disk may show only here. */
  written &= fclose(g_steal_pointer(&replay->out)) == 0;
  return written || failed(replay->ctl->scenario, g_strerror(errno));
}

/* Reasons come from the record, which may be anybody's. */
static void
print_lines(const char *text)
{
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

  for (size_t i = 0; lines[i] && (*lines[i] || lines[i + 1]); i++) {
    g_autofree char *line = cagma_printable(lines[i], MESSAGE_MAX_CHARS);

    g_print("%s\n", line);
  }
}

static int
explain(const Replay *replay)
{
  static const CagmaRebuildFuncs said = { 0 };
  g_autoptr(GInputStream) stream = NULL;
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  const CagmaUntil until = {
    .n_decisions = replay->has_real ? SIZE_MAX : replay->survey->n_until,
    .real_us = replay->has_real ? replay->at_real_us : INT64_MAX,
  };

  stream = open_record(replay);
  if (!stream)
    return CAGMA_EXIT_FAILED;
  text = cagma_rebuild_explain(stream, replay->ctl->explain, &until, &said, NULL, &error);
  if (!text) {
    failed(replay->path, error->message);
    return CAGMA_EXIT_FAILED;
  }
  if (replay->ctl->json) {
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    put_text(builder, "domain", replay->ctl->explain);
    put_text(builder, "explanation", text);
    json_builder_end_object(builder);
    print_node(builder);
  } else {
    print_lines(text);
  }
  return CAGMA_EXIT_OK;
}

/* Nobody knows a record's guests beforehand. */
static gboolean
has_oracle(const Replay *replay)
{
  for (guint i = 0; i < replay->entrants->len; i++)
    if (cagma_entrant_is_oracle(entrant_of(replay, i)))
      return TRUE;
  return FALSE;
}

/* What the command line asks for, before any file is touched. */
static gboolean
take_options(Replay *replay)
{
  const CagmaCtl *ctl = replay->ctl;
  g_autoptr(GError) error = NULL;

  if (ctl->explain && (ctl->policies || ctl->scenario))
    return wrong("--explain says what was decided, without --policy and --scenario");
  if (ctl->plot || ctl->plot_policy || ctl->seed >= 0)
    return wrong("--plot, --plot-policy and --seed go with simulate");
  if (ctl->at && !ctl->explain)
    return wrong("--at goes with --explain");
  if ((ctl->without || ctl->surplus) && !ctl->policies)
    return wrong("--without and --surplus go with --policy");
  if (ctl->policies)
    replay->entrants = cagma_entrants_parse((const char *const *)ctl->policies, &error);
  if (error) {
    g_prefix_error(&error, "--policy: ");
    return wrong(error->message);
  }
  if (replay->entrants && has_oracle(replay))
    return wrong("--policy: " CAGMA_ORACLE " knows what comes, which nobody does here; write a --scenario "
                 "and simulate it");
  if (!cagma_rules_parse((const char *const *)ctl->without, &replay->without, &error)) {
    g_prefix_error(&error, "--without: ");
    return wrong(error->message);
  }
  replay->has_surplus = ctl->surplus != NULL;
  if (ctl->surplus && !cagma_surplus_from_name(ctl->surplus, &replay->surplus))
    return wrong("--surplus takes leave or reclaim");
  return TRUE;
}

/* Before anything takes long. */
static gboolean
open_scenario(Replay *replay)
{
  const char *path = replay->ctl->scenario;
  g_autoptr(GError) error = NULL;

  /* Where there's no model, what is there stays. */
  if (!path || !replay->recorded)
    return TRUE;
  replay->out = cagma_output_open(path, replay->path, &error);
  return replay->out || failed(path, error->message);
}

int
cagma_ctl_replay(const CagmaCtl *ctl, int argc, char **argv)
{
  g_auto(Replay) replay = { .ctl = ctl };

  if (argc != 1) {
    g_printerr("cagmactl: replay takes one record\n");
    return CAGMA_EXIT_USAGE;
  }
  replay.path = argv[0];
  if (!take_options(&replay) || !take_time(&replay))
    return CAGMA_EXIT_USAGE;
  if (!survey(&replay))
    return CAGMA_EXIT_FAILED;
  if (ctl->explain)
    return explain(&replay);
  if (replay.entrants || ctl->scenario)
    infer(&replay);
  if (!open_scenario(&replay))
    return CAGMA_EXIT_FAILED;
  if (replay.entrants && !compare(&replay))
    return CAGMA_EXIT_FAILED;
  if (replay.entrants && replay.recorded)
    run_model(&replay);
  if (ctl->json)
    print_json(&replay);
  else
    print_text(&replay);
  if (ctl->scenario && !write_scenario(&replay))
    return CAGMA_EXIT_FAILED;
  return CAGMA_EXIT_OK;
}
