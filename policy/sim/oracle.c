/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/oracle.h"

#include <stdlib.h>
#include <string.h>

#include "policy/fill.h"
#include "policy/sim/world.h"

#define STEP_US CAGMA_SECOND_US
#define MARGIN_PERMILLE 20

typedef struct {
  double value; /* of a KiB */
  double kib;
  size_t guest;
  gboolean whole; /* all or nothing */
} Item;

/* What all guests will touch: a figure for each part and second. */
typedef struct {
  const CagmaScenario *scenario;
  size_t n_guests, n_times;
  const CagmaSimGuest **specs;
  double *watermarks_kib;
  float *sizes_kib; /* [(guest × CAGMA_SIM_PARTS_MAX + part) × n_times + time] */
  float *sweeps_s;  /* 0: not touched */
  /* Over all times, [guest × CAGMA_SIM_PARTS_MAX + part]: the mean size, and how often it is touched
   * at most, 1/s. */
  double *still_kib;
  double *still_rate;

  /* Room for one moment of a plan. */
  Item *items;
  double *given_kib;
  CagmaVessel *vessels;
} Future;

/* What one plan does differently from another. */
typedef struct {
  unsigned ahead_s;
  unsigned margin_permille; /* on top of each part */
  gboolean still;           /* one size for all times */
  double *counts;           /* how much each guest does */
  CagmaSight sight;         /* but for its ahead_s: none, for the oracle */
} Way;

/* Writes down what one guest will touch. */
static void
foresee_guest(Future *future, size_t guest, const CagmaSimGuest *spec)
{
  CagmaBody body;

  future->specs[guest] = spec;
  cagma_body_init(&body, spec, cagma_sim_guest_seed(future->scenario, guest));
  future->watermarks_kib[guest] = body.watermark_kib;
  for (size_t p = 0; p < body.n_parts; p++) {
    CagmaCourse *course = &body.parts[p].course;
    float *sizes_kib = &future->sizes_kib[(guest * CAGMA_SIM_PARTS_MAX + p) * future->n_times];
    float *sweeps_s = &future->sweeps_s[(guest * CAGMA_SIM_PARTS_MAX + p) * future->n_times];

    double *still_kib = &future->still_kib[guest * CAGMA_SIM_PARTS_MAX + p];
    double *still_rate = &future->still_rate[guest * CAGMA_SIM_PARTS_MAX + p];

    for (size_t t = 0; t < future->n_times; t++) {
      cagma_course_go(course, (int64_t)t * STEP_US);
      sizes_kib[t] = (float)course->size_kib;
      sweeps_s[t] = (float)course->sweep_us / 1e6f;
      *still_kib += (double)sizes_kib[t] / (double)future->n_times;
      if (sweeps_s[t] > 0)
        *still_rate = MAX(*still_rate, 1 / (double)sweeps_s[t]);
    }
  }
}

static Future *
future_new(const CagmaScenario *scenario)
{
  Future *future = g_new0(Future, 1);
  size_t n = cagma_scenario_count(scenario);

  future->scenario = scenario;
  future->n_times = (size_t)(scenario->duration_us / STEP_US) + 1;
  future->specs = g_new0(const CagmaSimGuest *, n);
  future->watermarks_kib = g_new0(double, n);
  future->sizes_kib = g_new0(float, n *CAGMA_SIM_PARTS_MAX * future->n_times);
  future->sweeps_s = g_new0(float, n *CAGMA_SIM_PARTS_MAX * future->n_times);
  future->still_kib = g_new0(double, n *CAGMA_SIM_PARTS_MAX + 1);
  future->still_rate = g_new0(double, n *CAGMA_SIM_PARTS_MAX + 1);
  future->items = g_new(Item, n * CAGMA_SIM_PARTS_MAX + 1);
  future->given_kib = g_new0(double, n + 1);
  future->vessels = g_new0(CagmaVessel, n + 1);
  for (size_t e = 0; e < scenario->n_guests; e++) {
    for (uint32_t k = 0; k < scenario->guests[e].count; k++)
      foresee_guest(future, future->n_guests++, &scenario->guests[e]);
  }
  return future;
}

static void
future_free(Future *future)
{
  g_free(future->specs);
  g_free(future->watermarks_kib);
  g_free(future->sizes_kib);
  g_free(future->sweeps_s);
  g_free(future->still_kib);
  g_free(future->still_rate);
  g_free(future->items);
  g_free(future->given_kib);
  g_free(future->vessels);
  g_free(future);
}

static gboolean
is_there(const CagmaSimGuest *spec, int64_t at_us)
{
  return at_us >= spec->arrives_us && (!spec->leaves_us || at_us < spec->leaves_us);
}

/* The disk's time for a KiB that is missing once. */
static double
cost_of(const CagmaSimDisk *disk, const CagmaPart *part)
{
  double read_kib = cagma_disk_read_kib(disk, part->kind, part->access);
  double cost_s = cagma_disk_time_s(disk, read_kib) / read_kib;

  if (part->kind == CAGMA_PART_ANON)
    cost_s += cagma_disk_time_s(disk, (double)disk->swap_write_kib) / (double)disk->swap_write_kib;
  return cost_s;
}

/* A part as it will be within what the plan looks ahead. */
static Item
foresee(const Future *future, const Way *way, size_t guest, size_t p, size_t time)
{
  const CagmaPart *part = &future->specs[guest]->parts[p];
  const float *sizes_kib = &future->sizes_kib[(guest * CAGMA_SIM_PARTS_MAX + p) * future->n_times];
  const float *sweeps_s = &future->sweeps_s[(guest * CAGMA_SIM_PARTS_MAX + p) * future->n_times];
  size_t late_s = (size_t)MAX(-way->sight.ahead_s, 0);
  size_t from = time > late_s ? time - late_s : 0, to = MIN(from + way->ahead_s, future->n_times - 1);
  Item item = { .guest = guest, .whole = part->access == CAGMA_ACCESS_CYCLIC };
  double rate = 0;

  if (way->still) {
    item.kib = future->still_kib[guest * CAGMA_SIM_PARTS_MAX + p];
    rate = future->still_rate[guest * CAGMA_SIM_PARTS_MAX + p];
  }
  for (size_t t = from; !way->still && t <= to; t++) {
    item.kib = MAX(item.kib, (double)sizes_kib[t]);
    if (sweeps_s[t] > 0)
      rate = MAX(rate, 1 / (double)sweeps_s[t]);
  }
  item.kib *= 1 + way->margin_permille / 1000.0;
  if (way->sight.anon && part->kind != CAGMA_PART_ANON)
    item.kib = 0;
  /* What isn't touched again costs once, when it is pushed out. */
  item.value = MAX(rate, 1e-4) * cost_of(&future->scenario->disk, part) * way->counts[guest] /
               future->specs[guest]->vcpus;
  return item;
}

static int
by_value(gconstpointer a, gconstpointer b)
{
  double x = ((const Item *)a)->value, y = ((const Item *)b)->value;

  return x < y ? 1 : x > y ? -1 : 0;
}

/* Between which sizes it may be; one that isn't seen keeps its own. */
static gboolean
is_seen(const Way *way, const CagmaSimGuest *spec)
{
  return !way->sight.heard || spec->reports != CAGMA_REPORTS_NONE;
}

static double
least_of(const Way *way, const CagmaSimGuest *spec)
{
  if (!spec->driver)
    return (double)spec->memory_kib;
  return (double)(is_seen(way, spec) ? spec->config.guarantee_kib : spec->start_kib);
}

static double
most_of(const Way *way, const CagmaSimGuest *spec)
{
  if (!spec->driver)
    return (double)spec->memory_kib;
  return (double)(is_seen(way, spec) ? spec->config.limit_kib : spec->start_kib);
}

/* What's left over is spread by halves of the room that each has, lest one guest get all. */
static void
spread(const Future *future, const Way *way, size_t time, double left_kib)
{
  double *given_kib = future->given_kib, room_kib = 0;

  for (size_t i = 0; i < future->n_guests; i++) {
    if (is_there(future->specs[i], (int64_t)time * STEP_US))
      room_kib += MAX(most_of(way, future->specs[i]) - given_kib[i], 0);
  }
  if (room_kib <= 0 || left_kib <= 0)
    return;
  for (size_t i = 0; i < future->n_guests; i++) {
    if (is_there(future->specs[i], (int64_t)time * STEP_US))
      given_kib[i] += MAX(most_of(way, future->specs[i]) - given_kib[i], 0) * MIN(left_kib / room_kib, 1);
  }
}

/* Parts in order of what they cost the disk. Returns what is left of left_kib, from which guarantees
 * were taken: what a guest's parts take comes out of its guarantee before it costs. */
static double
give_by_cost(const Future *future, const Way *way, size_t n_items, double left_kib)
{
  Item *items = future->items;
  double *given_kib = future->given_kib;

  qsort(items, n_items, sizeof *items, by_value);
  for (size_t k = 0; k < n_items; k++) {
    size_t i = items[k].guest;
    double least_kib = least_of(way, future->specs[i]);
    double kib = MIN(items[k].kib, MAX(most_of(way, future->specs[i]) - given_kib[i], 0));
    double costs_kib = MAX(given_kib[i] + kib - MAX(least_kib, given_kib[i]), 0);

    if (costs_kib > left_kib) {
      if (items[k].whole)
        continue;
      kib -= costs_kib - MAX(left_kib, 0);
      costs_kib = MAX(left_kib, 0);
    }
    given_kib[i] += MAX(kib, 0);
    left_kib -= costs_kib;
  }
  return left_kib;
}

/* All that each needs, or its share. */
static double
give_by_shares(const Future *future, const Way *way, size_t time, size_t n_items, double left_kib)
{
  CagmaVessel *vessels = future->vessels;
  double *given_kib = future->given_kib, total_kib = left_kib;

  for (size_t k = 0; k < n_items; k++)
    given_kib[future->items[k].guest] += future->items[k].kib;
  for (size_t i = 0; i < future->n_guests; i++) {
    const CagmaSimGuest *spec = future->specs[i];
    double least_kib = least_of(way, spec);

    vessels[i] = (CagmaVessel){ .weight = cagma_max_kib(spec->config.shares, 1) };
    if (!is_there(spec, (int64_t)time * STEP_US))
      continue;
    vessels[i].low_kib = (uint64_t)least_kib;
    vessels[i].high_kib = (uint64_t)CLAMP(given_kib[i], least_kib, most_of(way, spec));
    total_kib += least_kib;
  }
  left_kib = total_kib - (double)cagma_fill(vessels, future->n_guests, (uint64_t)MAX(total_kib, 0));
  for (size_t i = 0; i < future->n_guests; i++)
    given_kib[i] = (double)vessels[i].level_kib;
  return left_kib;
}

static void
plan_time(const Future *future, const Way *way, size_t time)
{
  const CagmaScenario *scenario = future->scenario;
  double *given_kib = future->given_kib;
  double left_kib = (double)(scenario->memory_kib - scenario->reserve_kib);
  size_t n_items = 0;

  for (size_t i = 0; i < future->n_guests; i++) {
    const CagmaSimGuest *spec = future->specs[i];

    given_kib[i] = 0;
    if (!is_there(spec, (int64_t)time * STEP_US))
      continue;
    given_kib[i] = MIN((double)spec->kernel_kib + future->watermarks_kib[i], most_of(way, spec));
    left_kib -= MAX(given_kib[i], least_of(way, spec));
    for (size_t p = 0; p < spec->n_parts; p++)
      future->items[n_items++] = foresee(future, way, i, p, time);
  }
  if (way->sight.by_shares)
    left_kib = give_by_shares(future, way, time, n_items, left_kib);
  else
    left_kib = give_by_cost(future, way, n_items, left_kib);
  for (size_t i = 0; i < future->n_guests; i++) {
    if (is_there(future->specs[i], (int64_t)time * STEP_US))
      given_kib[i] = MAX(given_kib[i], least_of(way, future->specs[i]));
  }
  spread(future, way, time, left_kib);
}

static CagmaSchedule *
plan(const Future *future, const Way *way)
{
  CagmaSchedule *schedule = g_new0(CagmaSchedule, 1);

  schedule->interval_us = STEP_US;
  schedule->n_guests = future->n_guests;
  schedule->n_times = future->n_times;
  schedule->targets_kib = g_new0(uint64_t, future->n_guests * future->n_times);
  for (size_t t = 0; t < future->n_times; t++) {
    plan_time(future, way, t);
    for (size_t i = 0; i < future->n_guests; i++)
      schedule->targets_kib[t * future->n_guests + i] = (uint64_t)future->given_kib[i];
  }
  return schedule;
}

void
cagma_schedule_free(CagmaSchedule *schedule)
{
  if (!schedule)
    return;
  g_free(schedule->targets_kib);
  g_free(schedule);
}

typedef struct {
  const Future *future;
  unsigned runs, runs_left;
  CagmaOracleProgress progress; /* may be NULL */
  gpointer user_data;
  double stall_s;
  CagmaSchedule *best;
  Way way; /* the best one's; counts its own */
} Search;

/* Tries a way; TRUE where it is better than all before. */
static gboolean
try_way(Search *search, const Way *way)
{
  CagmaSchedule *schedule;
  CagmaSimResult result;
  double stall_s;

  if (search->runs_left == 0)
    return FALSE;
  if (search->progress)
    search->progress(search->user_data, search->runs - search->runs_left, search->runs);
  search->runs_left--;
  schedule = plan(search->future, way);
  cagma_sim_run(search->future->scenario, &(CagmaContestant){ .schedule = schedule }, NULL, &result);
  stall_s = result.total.stall_s;
  cagma_sim_result_clear(&result);
  if (search->best && stall_s >= search->stall_s) {
    cagma_schedule_free(schedule);
    return FALSE;
  }
  cagma_schedule_free(search->best);
  search->best = schedule;
  search->stall_s = stall_s;
  search->way.ahead_s = way->ahead_s;
  search->way.margin_permille = way->margin_permille;
  search->way.still = way->still;
  if (search->way.counts != way->counts)
    memcpy(search->way.counts, way->counts, search->future->n_guests * sizeof *way->counts);
  return TRUE;
}

/* One guest after the other counts for more, or for less, as long as it helps. */
static void
climb(Search *search, double *counts)
{
  static const double factors[] = { 0.02, 4, 0.25 };
  CagmaRandom random = cagma_random_stream(search->future->scenario->seed, 4711);
  size_t n = search->future->n_guests;

  for (unsigned fruitless = 0; search->runs_left > 0 && search->stall_s > 0 && fruitless < 3 * n;
       fruitless++) {
    size_t guest = cagma_random_next(&random) % n;
    Way way = search->way;

    memcpy(counts, search->way.counts, n * sizeof *counts);
    counts[guest] *= factors[cagma_random_next(&random) % G_N_ELEMENTS(factors)];
    way.counts = counts;
    if (try_way(search, &way))
      fruitless = 0;
  }
}

gboolean
cagma_oracle_bears(const CagmaScenario *scenario)
{
  return cagma_scenario_count(scenario) * (uint64_t)(scenario->duration_us / STEP_US) <=
         CAGMA_ORACLE_GUEST_SECONDS_MAX;
}

CagmaSchedule *
cagma_oracle_search(const CagmaScenario *scenario, unsigned runs, CagmaOracleProgress progress,
                    gpointer user_data)
{
  static const unsigned aheads_s[] = { 2, 5, 12, 30, 90 };
  static const unsigned margins[] = { MARGIN_PERMILLE, 80 };
  Future *future = future_new(scenario);
  g_autofree double *best_counts = g_new(double, future->n_guests + 1);
  g_autofree double *counts = g_new(double, future->n_guests + 1);
  Search search = { .future = future,
                    .runs = runs,
                    .runs_left = runs,
                    .progress = progress,
                    .user_data = user_data,
                    .way.counts = best_counts };

  for (size_t i = 0; i < future->n_guests; i++)
    best_counts[i] = counts[i] = 1;
  for (size_t m = 0; m < G_N_ELEMENTS(margins); m++) {
    for (size_t a = 0; a < G_N_ELEMENTS(aheads_s); a++)
      try_way(&search, &(Way){ .ahead_s = aheads_s[a], .margin_permille = margins[m], .counts = counts });
  }
  try_way(&search, &(Way){ .still = TRUE, .counts = counts });
  climb(&search, counts);
  future_free(future);
  return search.best;
}

CagmaSchedule *
cagma_oracle_foresee(const CagmaScenario *scenario, const CagmaSight *sight)
{
  Future *future = future_new(scenario);
  double *counts = g_new(double, future->n_guests + 1);
  CagmaSchedule *schedule;

  for (size_t i = 0; i < future->n_guests; i++)
    counts[i] = 1;
  schedule = plan(future, &(Way){ .ahead_s = (unsigned)MAX(sight->ahead_s, 0),
                                  .margin_permille = MARGIN_PERMILLE,
                                  .counts = counts,
                                  .sight = *sight });
  g_free(counts);
  future_free(future);
  return schedule;
}
