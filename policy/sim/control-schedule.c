/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/schedule.h"
#include "policy/sim/world.h"

typedef struct {
  CagmaWorld *world;
  const CagmaSchedule *schedule;
} Control;

static gpointer
start(CagmaWorld *world, const CagmaContestant *contestant)
{
  Control *control = g_new0(Control, 1);

  control->world = world;
  control->schedule = contestant->schedule;
  return control;
}

static void
nothing(gpointer user_data, size_t guest)
{
  (void)user_data;
  (void)guest;
}

static void
paused(gpointer user_data, size_t guest, gboolean on)
{
  (void)user_data;
  (void)guest;
  (void)on;
}

static void
reported(gpointer user_data, size_t guest, const CagmaSimReport *report)
{
  (void)user_data;
  (void)guest;
  (void)report;
}

/* Smaller changes wait: each is a call. */
#define WORTH_KIB CAGMA_MIB(4)

static void
tick(gpointer user_data)
{
  Control *control = user_data;
  CagmaWorld *world = control->world;
  const CagmaSchedule *schedule = control->schedule;
  size_t time;
  double left_kib;

  if (world->now_us < 0 || schedule->n_times == 0)
    return;
  time = MIN((size_t)(world->now_us / schedule->interval_us), schedule->n_times - 1);
  left_kib = cagma_world_budget(world) - world->promised_kib;

  for (size_t i = 0; i < world->n; i++) {
    const CagmaBody *body = &world->guests[i].body;
    uint64_t target_kib = schedule->targets_kib[time * schedule->n_guests + i];

    if (target_kib && body->state == CAGMA_BODY_RUNS && target_kib + WORTH_KIB < body->asked_kib)
      cagma_world_set(world, i, target_kib);
  }
  for (size_t i = 0; i < world->n; i++) {
    const CagmaBody *body = &world->guests[i].body;
    uint64_t target_kib = schedule->targets_kib[time * schedule->n_guests + i], most_kib;

    if (left_kib < (double)WORTH_KIB || body->state != CAGMA_BODY_RUNS || target_kib <= body->asked_kib)
      continue;
    most_kib = (uint64_t)(cagma_world_promised(&world->guests[i]) + left_kib);
    target_kib = cagma_min_kib(target_kib, most_kib);
    if (target_kib < body->asked_kib + WORTH_KIB)
      continue;
    left_kib -= MAX((double)target_kib - cagma_world_promised(&world->guests[i]), 0);
    cagma_world_set(world, i, target_kib);
  }
}

static void
end(gpointer user_data)
{
  g_free(user_data);
}

const CagmaControl cagma_control_schedule = {
  .start = start,
  .arrived = nothing,
  .rebooted = nothing,
  .left = nothing,
  .paused = paused,
  .reported = reported,
  .tick = tick,
  .end = end,
};
