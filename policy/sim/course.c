/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/course.h"

#include <string.h>

void
cagma_course_init(CagmaCourse *course, const CagmaPart *part, uint64_t seed)
{
  memset(course, 0, sizeof *course);
  course->part = part;
  course->walks = cagma_random_stream(seed, 0);
  course->bursts = cagma_random_stream(seed, 1);
}

static void
begin_phase(CagmaCourse *course, const CagmaPhase *phase)
{
  course->from_kib = course->size_kib;
  course->wander_kib = 0;
  course->walk_us = phase->from_us + phase->walk_every_us;
  course->window_us = phase->from_us;
  course->burst_from_us = INT64_MAX;
}

static double
ramp(const CagmaCourse *course, const CagmaPhase *phase, int64_t now_us)
{
  double done;

  if (now_us - phase->from_us >= phase->ramp_us)
    return (double)phase->size_kib;
  done = (double)(now_us - phase->from_us) / (double)phase->ramp_us;
  return course->from_kib + ((double)phase->size_kib - course->from_kib) * done;
}

static void
walk(CagmaCourse *course, const CagmaPhase *phase, int64_t now_us)
{
  while (phase->walk_kib && now_us >= course->walk_us) {
    double step_kib = (double)phase->walk_kib;
    double most_kib = (double)phase->size_kib;

    course->wander_kib += cagma_random_between(&course->walks, -step_kib, step_kib);
    course->wander_kib = CLAMP(course->wander_kib, -most_kib, most_kib);
    course->walk_us += phase->walk_every_us;
  }
}

static gboolean
bursts(CagmaCourse *course, const CagmaPhase *phase, int64_t now_us)
{
  while (phase->burst_kib && now_us >= course->window_us) {
    double room_us = (double)(phase->burst_every_us - phase->burst_us);

    course->burst_from_us =
        course->window_us + (int64_t)cagma_random_between(&course->bursts, 0, MAX(room_us, 0));
    course->window_us += phase->burst_every_us;
  }
  return phase->burst_kib && now_us >= course->burst_from_us &&
         now_us < course->burst_from_us + phase->burst_us;
}

/* Goes on within the phase in force. */
static void
go_within(CagmaCourse *course, int64_t now_us)
{
  const CagmaPhase *phase = &course->part->phases[course->phase - 1];

  walk(course, phase, now_us);
  course->size_kib = MAX(ramp(course, phase, now_us) + course->wander_kib, 0);
  if (bursts(course, phase, now_us))
    course->size_kib += (double)phase->burst_kib;
  course->sweep_us = phase->sweep_us;
}

void
cagma_course_go(CagmaCourse *course, int64_t now_us)
{
  const CagmaPart *part = course->part;

  while (course->phase < part->n_phases && now_us >= part->phases[course->phase].from_us) {
    const CagmaPhase *next = &part->phases[course->phase];

    /* To its end, lest the course depend on when it is looked at. */
    if (course->phase > 0)
      go_within(course, next->from_us - 1);
    begin_phase(course, next);
    course->phase++;
  }
  if (course->phase > 0)
    go_within(course, now_us);
}
