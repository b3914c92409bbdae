/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/sim.h"

#include <string.h>

#include "policy/sim/reporter.h"
#include "policy/sim/world.h"

#define TICK_S ((double)CAGMA_SIM_TICK_US / 1e6)
#define MIB 1024.0

/* Room for one tick's loads on the disk, kept over the run. */
typedef struct {
  CagmaWorld world;
  const CagmaControl *control;
  gpointer controller;
  CagmaLoad *loads;
  const CagmaDiskPhase **tasks;
  double *present_s;
} Run;

int64_t
cagma_world_decides(const CagmaWorld *world)
{
  return world->options->clock ? world->options->clock() : 0;
}

void
cagma_world_decided(CagmaWorld *world, int64_t since_us)
{
  CagmaSimResult *result = world->result;

  result->decisions++;
  if (world->options->clock)
    result->decision_us +=
        ((double)(world->options->clock() - since_us) - result->decision_us) / (double)result->decisions;
}

double
cagma_world_promised(const CagmaSimSoul *soul)
{
  const CagmaBody *body = &soul->body;

  if (!soul->present)
    return 0;
  if (body->state == CAGMA_BODY_BOOTING || !body->spec->driver)
    return (double)body->spec->memory_kib;
  return MAX(body->actual_kib, (double)body->asked_kib);
}

static void
sum_promises(CagmaWorld *world)
{
  world->promised_kib = 0;
  for (size_t i = 0; i < world->n; i++)
    world->promised_kib += cagma_world_promised(&world->guests[i]);
}

double
cagma_world_touched(const CagmaWorld *world)
{
  double sum_kib = 0;

  for (size_t i = 0; i < world->n; i++)
    sum_kib += world->guests[i].body.touched_kib;
  return sum_kib;
}

void
cagma_world_look(CagmaWorld *world, size_t guest, CagmaSample *sample)
{
  const CagmaBody *body = &world->guests[guest].body;

  world->guests[guest].seen_kib = MAX(body->actual_kib, body->touched_kib);
  sample->has |= CAGMA_HAS_ACTUAL | CAGMA_HAS_RSS | CAGMA_HAS_BLOCK_READ;
  sample->actual_kib = (uint64_t)body->actual_kib;
  sample->rss_kib = (uint64_t)body->touched_kib;
  sample->block_read_kib = (uint64_t)(body->block_read_kib + body->swap_in_kib);
}

void
cagma_world_read_back(CagmaWorld *world, size_t guest, uint64_t kib)
{
  cagma_body_read_back(&world->guests[guest].body, kib, world->now_us);
}

void
cagma_world_set(CagmaWorld *world, size_t guest, uint64_t target_kib)
{
  CagmaSimSoul *soul = &world->guests[guest];
  CagmaSimFigures *figures = &world->result->guests[guest];
  uint64_t from_kib = soul->body.asked_kib;
  CagmaMove direction = target_kib > from_kib ? CAGMA_MOVE_GROW : CAGMA_MOVE_SHRINK;
  double before_kib = cagma_world_promised(soul), after_kib;

  figures->calls++;
  if (target_kib == from_kib)
    return;
  figures->moved_mib += ABS((double)target_kib - (double)from_kib) / MIB;
  figures->reversals += soul->direction != CAGMA_MOVE_NONE && soul->direction != direction;
  soul->direction = direction;
  if (target_kib < from_kib && target_kib < soul->body.spec->config.guarantee_kib)
    figures->floor_violations++;
  soul->body.asked_kib = target_kib;
  after_kib = cagma_world_promised(soul);
  world->promised_kib += after_kib - before_kib;
  /* A host sees whole KiB. And a shrink that is called off promises nothing new, however far
   * its balloon has gone on since it was last looked at: the host counts with that size. Nor
   * does what the guest was seen to hold in spite of its balloon. */
  if (after_kib > MAX(before_kib, soul->seen_kib) + 1 &&
      world->promised_kib > cagma_world_budget(world) + (double)world->n)
    world->result->reserve_violations++;
}

static void
enter(Run *run, size_t guest)
{
  CagmaSimSoul *soul = &run->world.guests[guest];

  soul->present = TRUE;
  soul->says = CAGMA_BEFALLS_TRUTH;
  cagma_reporter_begin(&run->world, guest);
}

uint64_t
cagma_sim_guest_seed(const CagmaScenario *scenario, size_t guest)
{
  return cagma_random_stream(scenario->seed, guest + 1).state;
}

static void
people(Run *run)
{
  CagmaWorld *world = &run->world;
  size_t guest = 0;

  for (size_t e = 0; e < world->scenario->n_guests; e++) {
    const CagmaSimGuest *spec = &world->scenario->guests[e];

    for (uint32_t k = 0; k < spec->count; k++, guest++) {
      CagmaSimSoul *soul = &world->guests[guest];
      uint64_t seed = cagma_sim_guest_seed(world->scenario, guest);

      cagma_body_init(&soul->body, spec, seed);
      soul->random = cagma_random_stream(seed, 77);
      if (spec->arrives_us)
        continue;
      cagma_body_place(&soul->body);
      enter(run, guest);
    }
  }
}

static void
befall(Run *run, size_t guest, CagmaBefalls what)
{
  CagmaWorld *world = &run->world;
  CagmaSimSoul *soul = &world->guests[guest];

  switch (what) {
  case CAGMA_BEFALLS_STUCK:
    soul->body.balloon = CAGMA_BALLOON_STICKS;
    break;
  case CAGMA_BEFALLS_MOVES:
    soul->body.balloon = CAGMA_BALLOON_MOVES;
    break;
  case CAGMA_BEFALLS_PRETENDS:
    soul->body.balloon = CAGMA_BALLOON_PRETENDS;
    break;
  case CAGMA_BEFALLS_TRUTH:
  case CAGMA_BEFALLS_SHORT:
  case CAGMA_BEFALLS_PLENTY:
  case CAGMA_BEFALLS_NONSENSE:
  case CAGMA_BEFALLS_SILENT:
    soul->says = what;
    break;
  case CAGMA_BEFALLS_REBOOT:
    cagma_body_boot(&soul->body, world->now_us);
    cagma_reporter_begin(world, guest);
    run->control->paused(run->controller, guest, FALSE);
    run->control->rebooted(run->controller, guest);
    break;
  case CAGMA_BEFALLS_PAUSE:
    if (soul->body.state != CAGMA_BODY_RUNS)
      break;
    soul->body.state = CAGMA_BODY_PAUSED;
    run->control->paused(run->controller, guest, TRUE);
    break;
  case CAGMA_BEFALLS_RESUME:
    soul->body.state = soul->body.state == CAGMA_BODY_PAUSED ? CAGMA_BODY_RUNS : soul->body.state;
    run->control->paused(run->controller, guest, FALSE);
    break;
  }
}

static void
come_and_go(Run *run, size_t guest)
{
  CagmaWorld *world = &run->world;
  CagmaSimSoul *soul = &world->guests[guest];
  const CagmaSimGuest *spec = soul->body.spec;

  if (soul->present && spec->leaves_us && world->now_us >= spec->leaves_us) {
    soul->present = FALSE;
    cagma_body_leave(&soul->body);
    run->control->left(run->controller, guest);
  } else if (!soul->present && spec->arrives_us && world->now_us >= spec->arrives_us &&
             (!spec->leaves_us || world->now_us < spec->leaves_us)) {
    soul->body.asked_kib = spec->driver ? spec->start_kib : spec->memory_kib;
    cagma_body_boot(&soul->body, world->now_us);
    enter(run, guest);
    run->control->arrived(run->controller, guest);
  }
  while (soul->present && soul->event < spec->n_events && world->now_us >= spec->events[soul->event].at_us)
    befall(run, guest, spec->events[soul->event++].what);
}

static const CagmaDiskPhase *
tasks_of(const CagmaSimSoul *soul, int64_t now_us)
{
  const CagmaDiskPhase *phase = NULL;

  if (soul->body.state != CAGMA_BODY_RUNS)
    return NULL;
  for (size_t i = 0; i < soul->body.spec->n_disk && soul->body.spec->disk[i].from_us <= now_us; i++)
    phase = &soul->body.spec->disk[i];
  return phase && phase->tasks ? phase : NULL;
}

/* The guests live through one tick on the disk they share. */
static void
live(Run *run)
{
  CagmaWorld *world = &run->world;
  const CagmaSimDisk *disk = &world->scenario->disk;
  int64_t course_us = MAX(world->now_us, 0);
  double touched_kib = cagma_world_touched(world), slowness;
  double host_swapped = 0;
  size_t n_loads = 0, n_tasks = 0;

  if (touched_kib > (double)world->scenario->memory_kib)
    host_swapped = 1 - (double)world->scenario->memory_kib / touched_kib;
  for (size_t i = 0; i < world->n; i++) {
    CagmaBody *body = &world->guests[i].body;
    const CagmaDiskPhase *tasks = tasks_of(&world->guests[i], world->now_us), *back;

    if (!world->guests[i].present)
      continue;
    cagma_body_want(body, disk, host_swapped, course_us, TICK_S);
    if (body->paging.disk_s > 0)
      run->loads[n_loads++] = body->paging;
    if (body->ballooning.disk_s > 0)
      run->loads[n_loads++] = body->ballooning;
    if (tasks)
      run->tasks[n_tasks++] = tasks;
    back = cagma_body_want_back(body, disk, world->now_us);
    if (back)
      run->tasks[n_tasks++] = back;
  }
  slowness = cagma_disk_slowness(disk, run->loads, n_loads, run->tasks, n_tasks, TICK_S);

  for (size_t i = 0; i < world->n; i++) {
    const CagmaDiskPhase *tasks = tasks_of(&world->guests[i], world->now_us);
    CagmaBody *body = &world->guests[i].body;

    if (!world->guests[i].present)
      continue;
    cagma_body_live(body, slowness, course_us, TICK_S);
    cagma_body_live_back(body, disk, slowness, TICK_S);
    if (tasks) {
      double alone = cagma_disk_slowness(disk, NULL, 0, &tasks, 1, TICK_S);
      double stalled = 1 - alone / MAX(slowness, alone);

      body->stalled = body->spec->n_parts ? (body->stalled + stalled) / 2 : stalled;
    }
  }
}

static void
measure(Run *run)
{
  CagmaWorld *world = &run->world;
  CagmaSimResult *result = world->result;

  result->over_mib_s += MAX(world->promised_kib - cagma_world_budget(world), 0) / MIB * TICK_S;
  result->host_swap_mib_s +=
      MAX(cagma_world_touched(world) - (double)world->scenario->memory_kib, 0) / MIB * TICK_S;
  for (size_t i = 0; i < world->n; i++) {
    const CagmaBody *body = &world->guests[i].body;
    CagmaSimFigures *figures = &result->guests[i];
    double needed_kib = cagma_body_needed(body);

    if (!world->guests[i].present)
      continue;
    run->present_s[i] += TICK_S;
    figures->stall_s += body->stalled * TICK_S;
    figures->swapped_in_mib += (body->swapped_kib - body->paged_kib) / MIB;
    figures->swapped_out_mib += body->paged_kib / MIB;
    figures->refaulted_mib += body->read_back_kib / MIB;
    figures->short_mib_s += MAX(needed_kib - body->truly_kib, 0) / MIB * TICK_S;
    figures->allocated_mib += body->actual_kib / MIB * TICK_S;
    figures->needed_mib += needed_kib / MIB * TICK_S;
    figures->maximum_mib += (double)body->spec->memory_kib / MIB * TICK_S;
  }
}

static void
draw(const Run *run)
{
  const CagmaWorld *world = &run->world;
  CagmaSimTrace *trace = world->options->trace;
  size_t point;

  if (!trace)
    return;
  point = (size_t)(world->now_us / trace->interval_us);
  if (point >= trace->n_points)
    return;
  for (size_t i = 0; i < world->n; i++) {
    const CagmaBody *body = &world->guests[i].body;
    CagmaSimPoint *at = &trace->points[i * trace->n_points + point];
    double part = (double)CAGMA_SIM_TICK_US / (double)trace->interval_us;
    double needed_kib = cagma_body_needed(body);

    at->allocated_mib += (float)(body->actual_kib / MIB * part);
    at->needed_mib += (float)(needed_kib / MIB * part);
    at->short_mib += (float)(MAX(needed_kib - body->truly_kib, 0) / MIB * part);
    at->swap_mib_per_s += (float)(body->swapped_kib / MIB / TICK_S * part);
    at->stalled += (float)(body->stalled * part);
  }
}

static void
sum_up(Run *run, double seconds)
{
  CagmaSimResult *result = run->world.result;
  CagmaSimFigures *total = &result->total;
  double sum = 0, squares = 0, n = 0;

  for (size_t i = 0; i < result->n_guests; i++) {
    CagmaSimFigures *figures = &result->guests[i];

    figures->oom_kills = run->world.guests[i].body.oom_kills;
    figures->allocated_mib /= seconds;
    figures->needed_mib /= seconds;
    figures->maximum_mib /= seconds;
    total->short_mib_s += figures->short_mib_s;
    total->swapped_in_mib += figures->swapped_in_mib;
    total->swapped_out_mib += figures->swapped_out_mib;
    total->refaulted_mib += figures->refaulted_mib;
    total->stall_s += figures->stall_s;
    total->moved_mib += figures->moved_mib;
    total->allocated_mib += figures->allocated_mib;
    total->needed_mib += figures->needed_mib;
    total->maximum_mib += figures->maximum_mib;
    total->calls += figures->calls;
    total->reversals += figures->reversals;
    total->floor_violations += figures->floor_violations;
    total->oom_kills += figures->oom_kills;
    if (run->present_s[i] > 0) {
      double runs = 1 - figures->stall_s / run->present_s[i];

      sum += runs;
      squares += runs * runs;
      n++;
    }
  }
  result->fairness = squares > 0 ? sum * sum / (n * squares) : 1;
}

static gboolean
goes_on(const Run *run)
{
  const CagmaSimOptions *options = run->world.options;

  if (!options->progress || run->world.now_us % CAGMA_SECOND_US)
    return TRUE;
  return options->progress(options->user_data, run->world.now_us, run->world.scenario->duration_us);
}

static const CagmaControl *
control_of(const CagmaContestant *contestant)
{
  if (contestant->policy)
    return &cagma_control_policy;
  return contestant->peer ? &cagma_control_peer : &cagma_control_schedule;
}

static void
tick(Run *run)
{
  CagmaWorld *world = &run->world;

  for (size_t i = 0; i < world->n; i++) {
    come_and_go(run, i);
    if (world->now_us == -CAGMA_SIM_BEFORE_US * 3 / 4 && world->guests[i].present)
      cagma_body_arrive(&world->guests[i].body);
    /* Nothing counts before the start. */
    if (world->now_us == 0)
      world->guests[i].body.oom_kills = 0;
  }
  live(run);
  sum_promises(world);
  if (world->now_us >= 0) {
    measure(run);
    draw(run);
  }
  for (size_t i = 0; i < world->n; i++) {
    if (world->guests[i].present)
      cagma_reporter_tick(world, i, run->control->reported, run->controller);
  }
  run->control->tick(run->controller);
  world->now_us += CAGMA_SIM_TICK_US;
}

static void
begin_trace(CagmaSimTrace *trace, size_t n_guests, int64_t duration_us)
{
  /* As many points as a picture is wide. */
  const int64_t points = 600;

  trace->interval_us = MAX(duration_us / points / CAGMA_SIM_TICK_US, 1) * CAGMA_SIM_TICK_US;
  trace->n_points = (size_t)(duration_us / trace->interval_us);
  trace->n_guests = n_guests;
  trace->points = g_new0(CagmaSimPoint, MAX(trace->n_points * n_guests, 1));
}

void
cagma_sim_run(const CagmaScenario *scenario, const CagmaContestant *contestant,
              const CagmaSimOptions *options, CagmaSimResult *result)
{
  static const CagmaSimOptions none = { 0 };
  size_t n = cagma_scenario_count(scenario);
  g_autofree CagmaSimSoul *guests = g_new0(CagmaSimSoul, n);
  g_autofree CagmaLoad *loads = g_new0(CagmaLoad, 2 * n);
  g_autofree const CagmaDiskPhase **tasks = g_new0(const CagmaDiskPhase *, 2 * n);
  g_autofree double *present_s = g_new0(double, n);
  Run run = {
    .world = { .scenario = scenario,
               .guests = guests,
               .n = n,
               .now_us = -CAGMA_SIM_BEFORE_US,
               .result = result,
               .options = options ? options : &none },
    .control = control_of(contestant),
    .loads = loads,
    .tasks = tasks,
    .present_s = present_s,
  };

  memset(result, 0, sizeof *result);
  result->n_guests = n;
  result->guests = g_new0(CagmaSimFigures, n);
  if (run.world.options->trace)
    begin_trace(run.world.options->trace, n, scenario->duration_us);
  people(&run);
  run.controller = run.control->start(&run.world, contestant);
  while (run.world.now_us < scenario->duration_us && goes_on(&run))
    tick(&run);
  run.control->end(run.controller);
  for (size_t i = 0; i < n; i++)
    g_clear_pointer(&guests[i].reports, g_array_unref);
  sum_up(&run, (double)MAX(run.world.now_us, CAGMA_SIM_TICK_US) / 1e6);
}

void
cagma_sim_result_clear(CagmaSimResult *result)
{
  g_free(result->guests);
  memset(result, 0, sizeof *result);
}

void
cagma_sim_trace_clear(CagmaSimTrace *trace)
{
  g_free(trace->points);
  memset(trace, 0, sizeof *trace);
}
