/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/runs.h"

#include <math.h>
#include <unistd.h>

#include "plugin/table.h"
#include "policy/sim/oracle.h"
#include "policy/units.h"
#include "xml/error.h"

#define NAME_MAX_CHARS 40
/* The terminal's current line. */
#define WIPE "\r\033[K"

void
cagma_run_clear(CagmaRun *run)
{
  g_free(run->name);
  cagma_sim_result_clear(&run->result);
}

static const char *const surpluses[] = {
  [CAGMA_SURPLUS_LEAVE] = "leave", [CAGMA_SURPLUS_RECLAIM] = "reclaim"
};

const char *
cagma_surplus_name(CagmaSurplus surplus)
{
  return surpluses[surplus];
}

gboolean
cagma_surplus_from_name(const char *name, CagmaSurplus *surplus)
{
  for (size_t i = 0; i < G_N_ELEMENTS(surpluses); i++)
    if (g_str_equal(name, surpluses[i])) {
      *surplus = (CagmaSurplus)i;
      return TRUE;
    }
  return FALSE;
}

/* What is shown of each policy and guest. */
typedef enum {
  UNIT_S,
  UNIT_MIB,   /* shown in MiB, GiB or TiB */
  UNIT_MIB_S, /* and these times seconds */
  UNIT_US,
  UNIT_PERMILLE,
  UNIT_PART, /* of 1 */
  UNIT_NUMBER,
} Unit;

typedef enum {
  OF_FIGURES, /* CagmaSimFigures */
  OF_RESULT,  /* CagmaSimResult: of a policy only */
} Whose;

typedef struct {
  const char *key;     /* in JSON */
  const char *heading; /* in the table; NULL: JSON only */
  Unit unit;
  Whose whose;
  size_t offset;
} Field;

#define FIGURE(key, heading, unit, member)                                                                   \
  {                                                                                                          \
    key, heading, unit, OF_FIGURES, G_STRUCT_OFFSET(CagmaSimFigures, member)                                 \
  }
#define RESULT(key, heading, unit, member)                                                                   \
  {                                                                                                          \
    key, heading, unit, OF_RESULT, G_STRUCT_OFFSET(CagmaSimResult, member)                                   \
  }

static const Field fields[] = {
  FIGURE("stall-s", ">STALL", UNIT_S, stall_s),
  FIGURE("short-mib-s", ">SHORT", UNIT_MIB_S, short_mib_s),
  FIGURE("swapped-in-mib", ">IN", UNIT_MIB, swapped_in_mib),
  FIGURE("swapped-out-mib", ">OUT", UNIT_MIB, swapped_out_mib),
  FIGURE("refaulted-mib", ">CACHE", UNIT_MIB, refaulted_mib),
  FIGURE("oom-kills", ">OOM", UNIT_NUMBER, oom_kills),
  FIGURE("floor-violations", ">FLOOR", UNIT_NUMBER, floor_violations),
  RESULT("reserve-violations", ">RESERVE", UNIT_NUMBER, reserve_violations),
  FIGURE("calls", NULL, UNIT_NUMBER, calls),
  FIGURE("reversals", ">TURNS", UNIT_NUMBER, reversals),
  FIGURE("moved-mib", ">MOVED", UNIT_MIB, moved_mib),
  FIGURE("allocated-mib", ">MEAN", UNIT_MIB, allocated_mib),
  FIGURE("needed-mib", NULL, UNIT_MIB, needed_mib),
  FIGURE("maximum-mib", NULL, UNIT_MIB, maximum_mib),
  { "saved-permille", ">SAVED", UNIT_PERMILLE, OF_FIGURES, 0 },
  RESULT("fairness", ">FAIR", UNIT_PART, fairness),
  RESULT("over-mib-s", NULL, UNIT_MIB_S, over_mib_s),
  RESULT("host-swap-mib-s", NULL, UNIT_MIB_S, host_swap_mib_s),
  RESULT("decisions", NULL, UNIT_NUMBER, decisions),
  RESULT("decision-us", ">TIME", UNIT_US, decision_us),
};

#define N_FIELDS G_N_ELEMENTS(fields)

/* Against guests that keep all their memory. */
static double
saved_permille(const CagmaSimFigures *figures)
{
  return figures->maximum_mib > 0 ? 1000 * (1 - figures->allocated_mib / figures->maximum_mib) : 0;
}

/* NAN where guests have no such figure; result NULL: a guest's. */
static double
value_of(const Field *field, const CagmaSimFigures *figures, const CagmaSimResult *result)
{
  gconstpointer from = field->whose == OF_FIGURES ? (gconstpointer)figures : (gconstpointer)result;

  if (!from)
    return NAN;
  if (field->unit == UNIT_PERMILLE)
    return saved_permille(figures);
  if (field->unit == UNIT_NUMBER)
    return (double)G_STRUCT_MEMBER(uint64_t, from, field->offset);
  return G_STRUCT_MEMBER(double, from, field->offset);
}

/* How a column is written: every value of it alike, so that they can be compared. */
typedef struct {
  const char *unit;
  double divisor;
  int decimals;
} Scale;

static Scale
scale_of(Unit unit, double most)
{
  static const char *const sizes[][2] = { { "MiB", "MiB·s" }, { "GiB", "GiB·s" }, { "TiB", "TiB·s" } };
  Scale scale = { .unit = "", .divisor = 1 };
  size_t size = 0;

  switch (unit) {
  case UNIT_NUMBER:
    break;
  case UNIT_PART:
    scale.decimals = 3;
    break;
  case UNIT_PERMILLE:
    scale.unit = "‰";
    break;
  case UNIT_S:
  case UNIT_US:
    scale.unit = unit == UNIT_S ? "s" : "µs";
    scale.decimals = most < 10000 ? 1 : 0;
    break;
  case UNIT_MIB:
  case UNIT_MIB_S:
    for (; size + 1 < G_N_ELEMENTS(sizes) && most / scale.divisor >= 100000; size++)
      scale.divisor *= 1024;
    scale.unit = sizes[size][unit == UNIT_MIB_S];
    scale.decimals = most / scale.divisor < 1000 ? 1 : 0;
    break;
  }
  return scale;
}

/* A row's values, of those fields that have a column. */
typedef struct {
  char *name;
  gboolean is_guest;
  double values[N_FIELDS];
} Row;

static void
row_free(gpointer data)
{
  Row *row = data;

  g_free(row->name);
  g_free(row);
}

static void
add_row(GPtrArray *rows, const char *name, const CagmaSimFigures *figures, const CagmaSimResult *result)
{
  Row *row = g_new0(Row, 1);

  row->is_guest = !result;
  row->name = row->is_guest ? g_strconcat("  ", name, NULL) : g_strdup(name);
  for (size_t i = 0; i < N_FIELDS; i++)
    row->values[i] = value_of(&fields[i], figures, result);
  g_ptr_array_add(rows, row);
}

typedef void (*EachGuest)(gpointer user_data, const char *name, const CagmaSimFigures *figures);

static void
each_guest(const CagmaRun *run, EachGuest visit, gpointer user_data)
{
  const CagmaScenario *scenario = run->scenario;
  const CagmaSimFigures *figures = run->result.guests;

  for (size_t i = 0; i < scenario->n_guests; i++)
    for (uint32_t number = 1; number <= scenario->guests[i].count; number++) {
      g_autofree char *name = cagma_sim_guest_name(&scenario->guests[i], number);

      visit(user_data, name, figures++);
    }
}

static void
add_guest_row(gpointer rows, const char *name, const CagmaSimFigures *figures)
{
  g_autofree char *shown = cagma_printable(name, NAME_MAX_CHARS);

  add_row(rows, shown, figures, NULL);
}

static GPtrArray *
rows_of(const CagmaRun *runs, size_t n, gboolean guests)
{
  GPtrArray *rows = g_ptr_array_new_with_free_func(row_free);

  for (size_t i = 0; i < n; i++) {
    add_row(rows, runs[i].name, &runs[i].result.total, &runs[i].result);
    if (guests)
      each_guest(&runs[i], add_guest_row, rows);
  }
  return rows;
}

static double
most_in(GPtrArray *rows, size_t field)
{
  double most = 0;

  for (guint i = 0; i < rows->len; i++)
    most = fmax(most, fabs(((const Row *)rows->pdata[i])->values[field]));
  return most;
}

static void
add_value(CagmaTable *table, double value, Scale scale)
{
  g_autofree char *text =
      isnan(value) ? g_strdup("") : g_strdup_printf("%.*f", scale.decimals, value / scale.divisor);

  cagma_table_cell(table, text);
}

static char *
format_rows(GPtrArray *rows, gboolean color)
{
  const char *headings[N_FIELDS + 2] = { "POLICY" };
  size_t columns[N_FIELDS], n = 0;
  Scale scales[N_FIELDS];
  g_autoptr(CagmaTable) table = NULL;

  for (size_t i = 0; i < N_FIELDS; i++) {
    if (!fields[i].heading)
      continue;
    scales[n] = scale_of(fields[i].unit, most_in(rows, i));
    columns[n] = i;
    headings[++n] = fields[i].heading;
  }
  table = cagma_table_new(headings);
  cagma_table_row(table, "1");
  cagma_table_cell(table, "");
  for (size_t i = 0; i < n; i++)
    cagma_table_cell(table, scales[i].unit);
  for (guint k = 0; k < rows->len; k++) {
    const Row *row = rows->pdata[k];

    cagma_table_row(table, row->is_guest ? "2" : NULL);
    cagma_table_cell(table, row->name);
    for (size_t i = 0; i < n; i++)
      add_value(table, row->values[columns[i]], scales[i]);
  }
  return cagma_table_format(table, color, 0);
}

char *
cagma_runs_format(const CagmaRun *runs, size_t n, gboolean guests, gboolean color)
{
  g_autoptr(GPtrArray) rows = rows_of(runs, n, guests);

  return format_rows(rows, color);
}

static void
add_member(JsonBuilder *builder, const char *name, const char *text)
{
  json_builder_set_member_name(builder, name);
  json_builder_add_string_value(builder, text);
}

static void
add_number(JsonBuilder *builder, const char *name, double number)
{
  json_builder_set_member_name(builder, name);
  json_builder_add_double_value(builder, number);
}

static void
add_fields(JsonBuilder *builder, const CagmaSimFigures *figures, const CagmaSimResult *result)
{
  for (size_t i = 0; i < N_FIELDS; i++) {
    double value = value_of(&fields[i], figures, result);

    if (isnan(value))
      continue;
    json_builder_set_member_name(builder, fields[i].key);
    if (fields[i].unit == UNIT_NUMBER)
      json_builder_add_int_value(builder, (gint64)value);
    else
      json_builder_add_double_value(builder, value);
  }
}

static void
add_guest_json(gpointer builder, const char *name, const CagmaSimFigures *figures)
{
  json_builder_begin_object(builder);
  add_member(builder, "name", name);
  add_fields(builder, figures, NULL);
  json_builder_end_object(builder);
}

void
cagma_scenario_add_json(const CagmaScenario *scenario, JsonBuilder *builder)
{
  json_builder_begin_object(builder);
  add_member(builder, "name", scenario->name);
  json_builder_set_member_name(builder, "seed");
  json_builder_add_int_value(builder, scenario->seed);
  json_builder_set_member_name(builder, "guests");
  json_builder_add_int_value(builder, (gint64)cagma_scenario_count(scenario));
  add_number(builder, "duration-s", (double)scenario->duration_us / (double)CAGMA_SECOND_US);
  add_number(builder, "memory-mib", (double)scenario->memory_kib / 1024);
  add_number(builder, "reserve-mib", (double)scenario->reserve_kib / 1024);
  add_member(builder, "surplus", cagma_surplus_name(scenario->surplus));
  json_builder_end_object(builder);
}

void
cagma_runs_add_json(const CagmaRun *runs, size_t n, JsonBuilder *builder)
{
  json_builder_begin_array(builder);
  for (size_t i = 0; i < n; i++) {
    json_builder_begin_object(builder);
    add_member(builder, "policy", runs[i].name);
    add_fields(builder, &runs[i].result.total, &runs[i].result);
    json_builder_set_member_name(builder, "guests");
    json_builder_begin_array(builder);
    each_guest(&runs[i], add_guest_json, builder);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
  }
  json_builder_end_array(builder);
}

/* How far a long run is, on a line that is wiped. */
typedef struct {
  const char *policy;
  int percent; /* -1: nothing is shown */
} Progress;

static gboolean
show_progress(gpointer user_data, int64_t now_us, int64_t duration_us)
{
  Progress *progress = user_data;
  /* The time before the start is negative. */
  int percent = (int)(MAX(now_us, 0) * 100 / duration_us);

  if (percent != progress->percent)
    g_printerr(WIPE "policy %s: %d %%", progress->policy, percent);
  progress->percent = percent;
  return TRUE;
}

static void
wipe(const Progress *progress)
{
  if (progress->percent >= 0)
    g_printerr(WIPE);
}

static int64_t
clock_us(void)
{
  return g_get_monotonic_time();
}

static void
show_search(gpointer unused, unsigned done, unsigned runs)
{
  (void)unused;
  g_printerr(WIPE "policy " CAGMA_ORACLE ": searching, run %u of up to %u", done + 1, runs);
}

static CagmaSchedule *
search(const CagmaScenario *scenario)
{
  CagmaSchedule *schedule;
  gboolean shown = isatty(STDERR_FILENO);

  schedule = cagma_oracle_search(scenario, CAGMA_ORACLE_RUNS, shown ? show_search : NULL, NULL);
  if (shown)
    g_printerr(WIPE);
  return schedule;
}

void
cagma_run_go(CagmaRun *run)
{
  CagmaContestant contestant = run->contestant;
  g_autoptr(CagmaSchedule) schedule = NULL;
  Progress progress = { .policy = run->name, .percent = -1 };
  CagmaSimOptions options = {
    .trace = run->trace,
    .clock = clock_us,
    .progress = isatty(STDERR_FILENO) ? show_progress : NULL,
    .user_data = &progress,
  };

  if (!contestant.policy && !contestant.peer) {
    schedule = search(run->scenario);
    contestant.schedule = schedule;
  }
  cagma_sim_run(run->scenario, &contestant, &options, &run->result);
  wipe(&progress);
}
