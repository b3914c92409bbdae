/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/policy/lives.h"

Lives *
lives_new(const CagmaScenario *scenario)
{
  Lives *lives = g_new0(Lives, 1);

  lives->scenario = scenario;
  lives->n = scenario->n_guests;
  lives->bodies = g_new0(CagmaBody, lives->n);
  lives->loads = g_new0(CagmaLoad, 2 * lives->n);
  lives->tasks = g_new0(const CagmaDiskPhase *, lives->n);
  for (size_t i = 0; i < lives->n; i++) {
    const CagmaSimGuest *spec = &scenario->guests[i];

    g_assert_cmpuint(spec->count, ==, 1);
    cagma_body_init(&lives->bodies[i], spec, i + 1);
    if (spec->arrives_us)
      continue;
    cagma_body_place(&lives->bodies[i]);
    cagma_body_arrive(&lives->bodies[i]);
  }
  return lives;
}

void
lives_free(Lives *lives)
{
  g_free(lives->bodies);
  g_free(lives->loads);
  g_free(lives->tasks);
  g_free(lives);
}

gboolean
lives_is_there(const Lives *lives, size_t guest)
{
  return lives->bodies[guest].state != CAGMA_BODY_ABSENT;
}

static void
come_and_go(Lives *lives, size_t guest)
{
  CagmaBody *body = &lives->bodies[guest];
  const CagmaSimGuest *spec = body->spec;

  if (lives_is_there(lives, guest) && spec->leaves_us && lives->now_us >= spec->leaves_us) {
    cagma_body_leave(body);
  } else if (!lives_is_there(lives, guest) && lives->now_us >= spec->arrives_us &&
             (!spec->leaves_us || lives->now_us < spec->leaves_us)) {
    body->asked_kib = spec->start_kib;
    cagma_body_boot(body, lives->now_us);
  }
}

void
lives_tick(Lives *lives)
{
  const double tick_s = (double)LIVES_TICK_US / 1e6;
  size_t n_loads = 0, n_tasks = 0;
  double slowness;

  for (size_t i = 0; i < lives->n; i++) {
    CagmaBody *body = &lives->bodies[i];
    const CagmaDiskPhase *back;

    come_and_go(lives, i);
    cagma_body_want(body, &lives->scenario->disk, 0, lives->now_us, tick_s);
    lives->loads[n_loads++] = body->paging;
    lives->loads[n_loads++] = body->ballooning;
    back = cagma_body_want_back(body, &lives->scenario->disk, lives->now_us);
    if (back)
      lives->tasks[n_tasks++] = back;
  }
  slowness =
      cagma_disk_slowness(&lives->scenario->disk, lives->loads, n_loads, lives->tasks, n_tasks, tick_s);
  for (size_t i = 0; i < lives->n; i++) {
    if (!lives_is_there(lives, i))
      continue;
    cagma_body_live(&lives->bodies[i], slowness, lives->now_us, tick_s);
    cagma_body_live_back(&lives->bodies[i], &lives->scenario->disk, slowness, tick_s);
  }
  lives->now_us += LIVES_TICK_US;
}

void
lives_report(const Lives *lives, size_t guest, CagmaSample *sample)
{
  const CagmaBody *body = &lives->bodies[guest];

  *sample = (CagmaSample){
    .source = CAGMA_SAMPLE_CHANNEL,
    .has = CAGMA_HAS_USABLE | CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES | CAGMA_HAS_SWAP | CAGMA_HAS_FAULTS |
           CAGMA_HAS_SWAP_USED | CAGMA_HAS_REFAULT | CAGMA_HAS_VCPUS,
    .usable_kib = (uint64_t)cagma_body_available(body),
    .unused_kib = (uint64_t)cagma_body_free(body),
    .caches_kib = (uint64_t)cagma_body_cached(body),
    .swap_in_kib = (uint64_t)body->swap_in_kib,
    .swap_out_kib = (uint64_t)body->swap_out_kib,
    .major_faults = (uint64_t)(body->swap_in_kib / 4),
    .swap_used_kib = (uint64_t)cagma_body_swapped(body),
    .swap_total_kib = body->spec->swap_kib,
    .refault_file_kib = (uint64_t)body->refault_file_kib,
    .refault_anon_kib = (uint64_t)body->refault_anon_kib,
    .vcpus = body->spec->vcpus,
  };
}

void
lives_look(const Lives *lives, size_t guest, CagmaSample *sample)
{
  const CagmaBody *body = &lives->bodies[guest];

  *sample = (CagmaSample){
    .source = CAGMA_SAMPLE_BALLOON,
    .has = CAGMA_HAS_ACTUAL | CAGMA_HAS_RSS | CAGMA_HAS_BLOCK_READ,
    .actual_kib = (uint64_t)body->actual_kib,
    .rss_kib = (uint64_t)body->touched_kib,
    .block_read_kib = (uint64_t)(body->block_read_kib + body->swap_in_kib),
  };
}

void
lives_set(Lives *lives, size_t guest, uint64_t target_kib)
{
  lives->bodies[guest].asked_kib = target_kib;
}

double
lives_meant_kib(const CagmaSimGuest *guest, CagmaPartKind kind, int64_t at_us)
{
  double sum_kib = 0;

  for (size_t i = 0; i < guest->n_parts; i++) {
    CagmaCourse course;

    if (guest->parts[i].kind != kind)
      continue;
    cagma_course_init(&course, &guest->parts[i], 1);
    for (int64_t now_us = 0; now_us <= at_us; now_us += LIVES_TICK_US)
      cagma_course_go(&course, now_us);
    sum_kib += course.size_kib;
  }
  return sum_kib;
}
