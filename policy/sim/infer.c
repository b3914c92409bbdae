/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/infer.h"

#include <math.h>
#include <string.h>

#include "policy/rules.h"
#include "policy/units.h"

#define TOLERANCE_KIB ((double)CAGMA_MIB(8))
#define TOLERANCE_PART 0.02
/* The simulator's tick: nothing happens within less. */
#define TICK_US ((int64_t)100000)
/* What stays swapped out for so long without being wanted isn't in use. */
#define COLD_US (60 * CAGMA_SECOND_US)
/* Less says nothing of a pace. */
#define POOL_MIN_KIB CAGMA_MIB(8)
#define FLOW_MIN_KIB CAGMA_MIB(1)
#define SWEEP_MIN_S 0.5
#define SWEEP_MAX_S 600.0
/* Of the most the disk can do: beyond it, who waits, waits for the disk. */
#define SATURATED 0.7
/* As JSON, a scenario is to stay below its format's limit (plugin/scenario-json.h). */
#define KNOTS_IN_ALL ((size_t)20000)

/* A guest's own windows that say something, and what follows from them. */
typedef struct {
  size_t n;
  size_t knots_max; /* of each part's sizes */
  int64_t at_us[CAGMA_HISTORY_WINDOWS];
  const CagmaHistoryWindow *windows[CAGMA_HISTORY_WINDOWS];
  gboolean saturated[CAGMA_HISTORY_WINDOWS];
  double hot_kib[CAGMA_HISTORY_WINDOWS];
  double cold_kib[CAGMA_HISTORY_WINDOWS];
  double cache_kib[CAGMA_HISTORY_WINDOWS];
} Series;

typedef struct {
  const CagmaHistory *history;
  CagmaScenario *scenario;
  GHashTable *names;
  gboolean saturated[CAGMA_HISTORY_WINDOWS]; /* the disk */
  /* Guests of each kind. */
  size_t n_paced;  /* their pace was seen … */
  size_t n_silent; /* … nothing was */
} Inference;

/* As people write them. */
static uint64_t
round_kib(double kib)
{
  return CAGMA_MIB((uint64_t)(kib / (double)CAGMA_MIB(1) + 0.5));
}

static int64_t
round_us(int64_t us)
{
  return MAX((us + TICK_US / 2) / TICK_US * TICK_US, TICK_US);
}

static double
value_between(const Series *series, const double *values, size_t a, size_t b, size_t at)
{
  double part =
      (double)(series->at_us[at] - series->at_us[a]) / (double)(series->at_us[b] - series->at_us[a]);

  return values[a] + (values[b] - values[a]) * part;
}

/* The value between two knots that is farthest from the line between them; a where none is. */
static size_t
farthest(const Series *series, const double *values, size_t a, size_t b, double *distance)
{
  size_t at = a;

  *distance = 0;
  for (size_t i = a + 1; i < b; i++) {
    double is = fabs(values[i] - value_between(series, values, a, b, i));

    if (is > *distance) {
      *distance = is;
      at = i;
    }
  }
  return at;
}

/* Straight lines through some of the values (Douglas & Peucker, the worst first). Returns
 * how many knots there are. */
static size_t
find_knots(const Series *series, const double *values, double tolerance_kib, gboolean *is_knot)
{
  size_t n = 1;

  memset(is_knot, 0, CAGMA_HISTORY_WINDOWS * sizeof *is_knot);
  is_knot[0] = TRUE;
  if (series->n > 1) {
    is_knot[series->n - 1] = TRUE;
    n++;
  }
  for (; n < series->knots_max; n++) {
    double worst_kib = tolerance_kib;
    size_t split = 0, a = 0;

    for (size_t b = 1; b < series->n; b++) {
      double distance_kib;
      size_t at;

      if (!is_knot[b])
        continue;
      at = farthest(series, values, a, b, &distance_kib);
      if (distance_kib > worst_kib) {
        worst_kib = distance_kib;
        split = at;
      }
      a = b;
    }
    if (!split)
      break;
    is_knot[split] = TRUE;
  }
  return n;
}

static double
most_of(const double *values, size_t n)
{
  double most = 0;

  for (size_t i = 0; i < n; i++)
    most = MAX(most, values[i]);
  return most;
}

/* Adds a part of these sizes, unless it is never worth one. */
static void
add_part(CagmaSimGuest *guest, const Series *series, const double *values, CagmaPartKind kind, double sweep_s)
{
  double most_kib = most_of(values, series->n);
  CagmaPart *part = &guest->parts[guest->n_parts];
  gboolean is_knot[CAGMA_HISTORY_WINDOWS];
  int64_t from_us = 0;
  size_t n;

  if (most_kib < (double)CAGMA_MIB(1))
    return;
  guest->n_parts++;
  n = find_knots(series, values, MAX(TOLERANCE_KIB, TOLERANCE_PART * most_kib), is_knot);
  *part = (CagmaPart){ .kind = kind, .phases = g_new0(CagmaPhase, n) };
  for (size_t i = 0; i < series->n; i++) {
    CagmaPhase *phase = &part->phases[part->n_phases];
    uint64_t size_kib = round_kib(values[i]);
    int64_t at_us = round_us(series->at_us[i]);

    if (!is_knot[i])
      continue;
    /* Where it stays the same, or two knots fall together, no phase is needed. */
    if (part->n_phases == 0 || (size_kib != phase[-1].size_kib && at_us > from_us)) {
      cagma_sim_phase_init(phase);
      phase->from_us = part->n_phases ? from_us : 0;
      phase->ramp_us = part->n_phases ? at_us - from_us : 0;
      phase->size_kib = size_kib;
      phase->sweep_us = (int64_t)(sweep_s * 10 + 0.5) * (CAGMA_SECOND_US / 10);
      part->n_phases++;
    }
    from_us = at_us;
  }
}

/* What isn't touched: stayed swapped out for a minute, and wasn't wanted. */
static double
cold_of(const Series *series)
{
  uint64_t cold_kib = 0;

  for (size_t i = 0; i < series->n; i++) {
    uint64_t least_kib = UINT64_MAX, in_kib = 0;
    size_t j = i;

    for (; j < series->n; j++) {
      least_kib = cagma_min_kib(least_kib, series->windows[j]->least_swapped_kib);
      in_kib += series->windows[j]->swapped_in_kib;
      if (series->at_us[j] - series->at_us[i] >= COLD_US)
        break;
    }
    if (j < series->n)
      cold_kib = cagma_max_kib(cold_kib, cagma_above(least_kib, in_kib));
  }
  return (double)cold_kib;
}

/* While evicted pages come back, the cache is smaller than it should be: it is taken for
 * what it was before, or, where it has always been so, for what it becomes. */
static void
find_cache(Series *series)
{
  double is_kib = 0;

  for (size_t i = 0; i < series->n; i++) {
    double cached_kib = (double)series->windows[i]->cached_kib;

    is_kib = series->windows[i]->reread_kib >= FLOW_MIN_KIB ? MAX(cached_kib, is_kib) : cached_kib;
    series->cache_kib[i] = is_kib;
  }
  for (size_t i = series->n; i-- > 1;)
    if (series->windows[i - 1]->reread_kib >= FLOW_MIN_KIB)
      series->cache_kib[i - 1] = MAX(series->cache_kib[i - 1], series->cache_kib[i]);
}

typedef struct {
  double least_s; /* while the disk wasn't at its limit; INFINITY: not seen */
  double saturated_s;
} Pace;

/* In a window, so much of a pool came back. */
static void
note_pace(Pace *pace, const Series *series, size_t i, double pool_kib, double flow_kib)
{
  double *least_s = series->saturated[i] ? &pace->saturated_s : &pace->least_s;
  double elapsed_s = (double)(series->at_us[i] - series->at_us[i - 1]) / (double)CAGMA_SECOND_US;

  if (pool_kib >= (double)POOL_MIN_KIB && flow_kib >= (double)FLOW_MIN_KIB)
    *least_s = MIN(*least_s, elapsed_s * pool_kib / flow_kib);
}

/* The sweep that follows; *known where it isn't a guess. */
static double
sweep_of(const Pace *pace, gboolean *known)
{
  CagmaPhase usual;
  double usual_s;

  cagma_sim_phase_init(&usual);
  usual_s = (double)usual.sweep_us / (double)CAGMA_SECOND_US;
  *known = isfinite(pace->least_s) || pace->saturated_s < usual_s;
  return CLAMP(MIN(pace->least_s, MIN(pace->saturated_s, *known ? INFINITY : usual_s)), SWEEP_MIN_S,
               SWEEP_MAX_S);
}

static double
anon_sweep(const Series *series, double cold_kib, gboolean *known)
{
  Pace pace = { INFINITY, INFINITY };

  for (size_t i = 1; i < series->n; i++) {
    double most_kib =
        (double)cagma_max_kib(series->windows[i - 1]->swapped_kib, series->windows[i]->swapped_kib);

    note_pace(&pace, series, i, most_kib - cold_kib, (double)series->windows[i]->swapped_in_kib);
  }
  return sweep_of(&pace, known);
}

static double
cache_sweep(const Series *series, gboolean *known)
{
  Pace pace = { INFINITY, INFINITY };

  for (size_t i = 1; i < series->n; i++)
    note_pace(&pace, series, i, series->cache_kib[i] - (double)series->windows[i]->cached_kib,
              (double)series->windows[i]->reread_kib);
  return sweep_of(&pace, known);
}

static void
gather(const Inference *inference, const CagmaHistoryGuest *from, Series *series)
{
  series->n = 0;
  series->knots_max = CLAMP(KNOTS_IN_ALL / inference->scenario->n_guests, 2, CAGMA_SIM_PHASES_MAX);
  for (size_t i = 0; i < CAGMA_HISTORY_WINDOWS; i++) {
    if (!from->windows[i].n)
      continue;
    series->windows[series->n] = &from->windows[i];
    series->saturated[series->n] = inference->saturated[i];
    series->at_us[series->n++] = from->windows[i].at_us;
  }
}

static void
find_parts(Inference *inference, const CagmaHistoryGuest *from, CagmaSimGuest *guest)
{
  g_autofree Series *series = g_new(Series, 1);
  gboolean anon_known, cache_known;
  double cold_kib, anon_s, cache_s;

  gather(inference, from, series);
  if (!series->n) {
    inference->n_silent++;
    return;
  }
  cold_kib = cold_of(series);
  find_cache(series);
  anon_s = anon_sweep(series, cold_kib, &anon_known);
  cache_s = cache_sweep(series, &cache_known);
  inference->n_paced += anon_known;
  for (size_t i = 0; i < series->n; i++) {
    double own_kib = (double)cagma_above(series->windows[i]->own_kib, guest->kernel_kib);

    series->cold_kib[i] = MIN(cold_kib, own_kib);
    series->hot_kib[i] = own_kib - series->cold_kib[i];
  }
  guest->parts = g_new0(CagmaPart, 3);
  add_part(guest, series, series->hot_kib, CAGMA_PART_ANON, anon_s);
  add_part(guest, series, series->cold_kib, CAGMA_PART_ANON, 0);
  add_part(guest, series, series->cache_kib, CAGMA_PART_FILE, cache_s);
}

/* As much of it as can be a guest's name, and as nobody else has. */
static char *
name_of(Inference *inference, const char *name, guint number)
{
  g_autoptr(GString) fit = g_string_new(NULL);
  g_autofree char *plain = NULL;

  for (const char *p = name; *p && g_utf8_strlen(fit->str, -1) < 56; p = g_utf8_next_char(p))
    g_string_append_unichar(fit, g_unichar_isprint(g_utf8_get_char(p)) ? g_utf8_get_char(p) : '?');
  if (!fit->len)
    g_string_append(fit, "guest");
  plain = g_strdup(fit->str);
  for (; !g_hash_table_add(inference->names, g_strdup(fit->str)); number++)
    g_string_printf(fit, "%s-%u", plain, number + 1);
  return g_strdup(fit->str);
}

static CagmaReports
reports_of(const CagmaHistoryGuest *from)
{
  if (!from->reported)
    return CAGMA_REPORTS_NONE;
  return from->source == CAGMA_SAMPLE_CHANNEL ? CAGMA_REPORTS_AGENT : CAGMA_REPORTS_BALLOON;
}

/* What isn't the policy's own was chosen, if only by cagmad.conf; what is isn't the guest's. */
static void
infer_config(const Inference *inference, const CagmaConfig *from, CagmaConfig *config)
{
  const CagmaPolicy *policy = cagma_policy_of(inference->history->host.policy);
  CagmaConfig defaults;

  cagma_config_init(&defaults);
  *config = *from;
  if (config->estimator != policy->estimator)
    config->given |= CAGMA_GIVEN_ESTIMATOR;
  else if (!(config->given & CAGMA_GIVEN_ESTIMATOR))
    config->estimator = defaults.estimator;
  if (config->source != policy->source)
    config->given |= CAGMA_GIVEN_SOURCE;
  else if (!(config->given & CAGMA_GIVEN_SOURCE))
    config->source = defaults.source;
}

static void
infer_guest(Inference *inference, guint index)
{
  const CagmaHistoryGuest *from = inference->history->guests->pdata[index];
  CagmaSimGuest *guest = &inference->scenario->guests[index];

  cagma_sim_guest_init(guest);
  g_free(guest->name);
  guest->name = name_of(inference, from->name, index);
  infer_config(inference, &from->config, &guest->config);
  guest->memory_kib = from->max_kib;
  guest->start_kib = cagma_min_kib(from->start_kib, from->max_kib);
  if (from->figures_us)
    guest->kernel_kib =
        cagma_clamp_kib(guest->kernel_kib, CAGMA_MIB(1), MAX(from->least_own_kib, CAGMA_MIB(1)));
  guest->kernel_kib = cagma_min_kib(guest->kernel_kib, cagma_max_kib(from->max_kib / 2, CAGMA_MIB(1)));
  if (guest->start_kib)
    guest->start_kib = cagma_max_kib(guest->start_kib, guest->kernel_kib + 1);
  if (from->swap_total_kib)
    guest->swap_kib = from->swap_total_kib;
  if (from->vcpus)
    guest->vcpus = (uint32_t)MIN(from->vcpus, 4096);
  guest->driver = from->reported || from->moved;
  guest->reports = reports_of(from);
  if (from->report_us > 0)
    guest->report_us = CLAMP(from->report_us, TICK_US, 3600 * CAGMA_SECOND_US);
  guest->arrives_us = from->arrives_us;
  guest->leaves_us = from->leaves_us;
  find_parts(inference, from, guest);
}

static int
compare_sizes(gconstpointer a, gconstpointer b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

static uint64_t
median_whole(const CagmaHistory *history)
{
  uint64_t means_kib[CAGMA_HISTORY_WINDOWS];
  size_t n = 0;

  for (size_t i = 0; i < CAGMA_HISTORY_WINDOWS; i++)
    if (history->n_whole[i])
      means_kib[n++] = history->whole_kib[i] / history->n_whole[i];
  if (!n)
    return 0;
  qsort(means_kib, n, sizeof *means_kib, compare_sizes);
  return means_kib[n / 2];
}

/* Returns whether what was seen is more than the default. */
static gboolean
infer_disk(Inference *inference)
{
  const CagmaHistory *history = inference->history;
  CagmaSimDisk *disk = &inference->scenario->disk;
  gboolean seen = history->peak_requests_per_s > disk->iops || history->peak_kib_per_s > disk->kib_per_s;

  if (history->peak_requests_per_s > disk->iops) {
    disk->iops = (uint32_t)MIN(history->peak_requests_per_s, 10000000);
    disk->latency_us = MAX(CAGMA_SECOND_US / disk->iops, 1);
  }
  disk->kib_per_s = cagma_min_kib(cagma_max_kib(disk->kib_per_s, history->peak_kib_per_s), CAGMA_GIB(1024));
  return seen;
}

static void
find_saturation(Inference *inference)
{
  const CagmaHistory *history = inference->history;
  double most =
      SATURATED * inference->scenario->disk.iops * (double)history->window_us / (double)CAGMA_SECOND_US;

  for (size_t w = 0; w < CAGMA_HISTORY_WINDOWS; w++) {
    double requests = 0;

    for (guint g = 0; g < history->guests->len; g++) {
      const CagmaHistoryWindow *window = &((const CagmaHistoryGuest *)history->guests->pdata[g])->windows[w];

      requests +=
          (double)cagma_history_requests(window->swapped_in_kib, window->swapped_out_kib, window->reread_kib);
    }
    inference->saturated[w] = requests >= most;
  }
}

static void
describe(const Inference *inference, gboolean disk_seen)
{
  const CagmaHistory *history = inference->history;
  CagmaScenario *scenario = inference->scenario;
  size_t n = scenario->n_guests;
  GString *text = g_string_new("Inferred from a record. What guests hold is what they used and had swapped "
                               "out, and their page cache, in each of at most 256 spans of time. ");

  g_string_append_printf(text, "How fast they touch it showed in what came back from swap for %zu of %zu",
                         inference->n_paced, n);
  if (inference->n_paced < n)
    g_string_append(text, "; of the others it is guessed: all of it in 30 s");
  if (inference->n_silent)
    g_string_append_printf(text, ", and %zu never reported, and use nothing here", inference->n_silent);
  g_string_append_printf(text, ". The disk is %s: %u requests and %" G_GUINT64_FORMAT " MiB a second. ",
                         disk_seen ? "as fast as was seen" : "guessed, since nothing faster was seen",
                         scenario->disk.iops, scenario->disk.kib_per_s / 1024);
  g_string_append(text,
                  "The host's memory is the median of what was in hand, promised and reserved. Kernels, "
                  "the pace of balloons and delays of reports are guessed. Reboots, pauses and stuck "
                  "balloons aren't in it.");
  if (scenario->read_back)
    g_string_append(text,
                    " What guests were asked to bring back counts as touched, a page with each request.");
  if (history->cut)
    g_string_append(text, " It ends after 24 hours; the record doesn't.");
  if (history->crowded)
    g_string_append(text, " There were more guests; they are left out.");
  g_free(scenario->description);
  scenario->description = g_string_free(text, FALSE);
}

static void
infer_host(Inference *inference)
{
  const CagmaHistory *history = inference->history;
  CagmaScenario *scenario = inference->scenario;
  int64_t period_us = CLAMP(history->host.period_us, TICK_US, 3600 * CAGMA_SECOND_US);

  g_free(scenario->name);
  scenario->name = g_strdup("recorded");
  scenario->duration_us =
      CLAMP(round_us(history->last_us + period_us), CAGMA_SECOND_US, CAGMA_SIM_DURATION_MAX_US);
  scenario->memory_kib = median_whole(history);
  scenario->reserve_kib = history->host.reserve_kib;
  scenario->pool_kib = history->host.pool_kib;
  scenario->period_us = period_us;
  scenario->surplus = history->host.surplus;
  scenario->read_back = !(history->host.without & CAGMA_RULE_READ_BACK);
}

CagmaScenario *
cagma_infer(const CagmaHistory *history, GError **error)
{
  g_autoptr(CagmaScenario) scenario = g_new0(CagmaScenario, 1);
  g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  Inference inference = { .history = history, .scenario = scenario, .names = names };
  gboolean disk_seen;

  cagma_scenario_init(scenario);
  infer_host(&inference);
  disk_seen = infer_disk(&inference);
  find_saturation(&inference);
  scenario->guests = g_new0(CagmaSimGuest, history->guests->len);
  scenario->n_guests = history->guests->len;
  for (guint i = 0; i < history->guests->len; i++)
    infer_guest(&inference, i);
  describe(&inference, disk_seen);
  if (!cagma_scenario_check(scenario, error)) {
    g_prefix_error(error, "no scenario can be made of it: ");
    return NULL;
  }
  return g_steal_pointer(&scenario);
}
