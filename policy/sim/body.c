/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/body.h"

#include <math.h>
#include <string.h>

/* How fast a CPU can take up memory it never had, and at which pace of touches it is busy. */
#define FILL_KIB_PER_S ((double)CAGMA_GIB(1))
#define BUSY_KIB_PER_S ((double)CAGMA_MIB(256))
/* Of what is pushed out, the part that is looked for among anonymous memory while files are
 * wanted back (measured, swappiness 60: 0.22 to 0.25). */
#define ANON_SHARE 0.25
/* Writes to swap that are under way together. */
#define WRITES_AT_ONCE 8.0
/* An agent that brings back: requests at once, for how long unless it is asked again, and what
 * it leaves available (qga-ext/read-back.h; plugin/channels.c: READ_BACK_MS). */
#define BACK_AT_ONCE 16
#define BACK_US (5 * CAGMA_SECOND_US)
#define BACK_MARGIN_PART 16
#define BACK_MARGIN_KIB ((double)CAGMA_MIB(16))
/* A cycle of which more is missing doesn't fit. */
#define CYCLE_MISSING 0.02
#define CRAMPED_US CAGMA_SECOND_US
/* Sizes come and go by parts of pages. */
#define ROUNDING_KIB CAGMA_MIB(1)

/* The high mark is 1.5 times min_free_kbytes: 4 × √(size in KiB) (mm/page_alloc.c) or, in guests
 * with transparent huge pages, which smaller ones haven't, 22 MiB for each zone but no more than
 * 5 % (mm/khugepaged.c: set_recommended_min_free_kbytes). */
static double
watermark_of(uint64_t memory_kib)
{
  double small_kib = 4 * sqrt((double)memory_kib), zones, large_kib;

  if (memory_kib < CAGMA_MIB(550)) /* 512 MiB beside what the kernel takes first */
    return 1.5 * small_kib;
  zones = memory_kib < CAGMA_MIB(3584) ? 2 : 3;
  large_kib = MIN(zones * (double)CAGMA_MIB(22), 0.05 * (double)memory_kib);
  return 1.5 * MAX(small_kib, large_kib);
}

void
cagma_body_init(CagmaBody *body, const CagmaSimGuest *spec, uint64_t seed)
{
  memset(body, 0, sizeof *body);
  body->spec = spec;
  body->n_parts = spec->n_parts;
  body->watermark_kib = watermark_of(spec->memory_kib);
  for (size_t i = 0; i < spec->n_parts; i++) {
    cagma_course_init(&body->parts[i].course, &spec->parts[i], seed + i + 1);
    body->parts[i].anon = spec->parts[i].kind == CAGMA_PART_ANON;
    body->parts[i].cyclic = spec->parts[i].access == CAGMA_ACCESS_CYCLIC;
  }
}

static void
forget(CagmaBody *body)
{
  for (size_t i = 0; i < body->n_parts; i++) {
    body->parts[i].resident_kib = body->parts[i].absent_kib = body->parts[i].missing_s = 0;
    body->parts[i].away_until_us = 0;
  }
  body->touched_kib = body->stalled = body->busy = 0;
  body->swapped_kib = body->paged_kib = body->read_back_kib = 0;
  body->swap_in_kib = body->swap_out_kib = body->block_read_kib = 0;
  body->refault_file_kib = body->refault_anon_kib = 0;
  body->back_kib = body->brought_kib = 0;
  body->back.tasks = 0;
  body->cramped_us = 0;
}

void
cagma_body_boot(CagmaBody *body, int64_t now_us)
{
  forget(body);
  body->state = CAGMA_BODY_BOOTING;
  body->boots_until_us = now_us + CAGMA_SIM_AWAY_US;
  body->actual_kib = body->truly_kib = (double)body->spec->memory_kib;
  body->touched_kib = (double)body->spec->kernel_kib;
}

void
cagma_body_place(CagmaBody *body)
{
  forget(body);
  body->state = CAGMA_BODY_RUNS;
  body->asked_kib = body->spec->driver ? body->spec->start_kib : body->spec->memory_kib;
  body->actual_kib = body->truly_kib = (double)body->spec->memory_kib;
}

void
cagma_body_arrive(CagmaBody *body)
{
  body->actual_kib = body->truly_kib = (double)body->asked_kib;
}

void
cagma_body_leave(CagmaBody *body)
{
  forget(body);
  body->state = CAGMA_BODY_ABSENT;
  body->actual_kib = body->truly_kib = 0;
}

double
cagma_body_resident(const CagmaBody *body)
{
  double sum_kib = 0;

  for (size_t i = 0; i < body->n_parts; i++)
    sum_kib += body->parts[i].resident_kib;
  return sum_kib;
}

double
cagma_body_swapped(const CagmaBody *body)
{
  double sum_kib = 0;

  for (size_t i = 0; i < body->n_parts; i++)
    sum_kib += body->parts[i].anon ? body->parts[i].absent_kib : 0;
  return sum_kib;
}

double
cagma_body_cached(const CagmaBody *body)
{
  double sum_kib = 0;

  for (size_t i = 0; i < body->n_parts; i++)
    sum_kib += body->parts[i].anon ? 0 : body->parts[i].resident_kib;
  return sum_kib;
}

double
cagma_body_free(const CagmaBody *body)
{
  return MAX(body->truly_kib - (double)body->spec->kernel_kib - cagma_body_resident(body), 0);
}

double
cagma_body_available(const CagmaBody *body)
{
  double cached_kib = cagma_body_cached(body);
  double kept_kib = body->watermark_kib + MIN(cached_kib / 2, body->watermark_kib);

  return MAX(cagma_body_free(body) + cached_kib - kept_kib, 0);
}

double
cagma_body_needed(const CagmaBody *body)
{
  double sum_kib = (double)body->spec->kernel_kib + body->watermark_kib;

  if (body->state == CAGMA_BODY_ABSENT)
    return 0;
  for (size_t i = 0; i < body->n_parts; i++)
    if (body->parts[i].course.sweep_us)
      sum_kib += body->parts[i].course.size_kib;
  return sum_kib;
}

static gboolean
is_away(const CagmaBodyPart *part, int64_t now_us)
{
  return now_us < part->away_until_us;
}

/* What is given up goes from everywhere alike. */
static void
give_up(CagmaBodyPart *part, double size_kib)
{
  double held_kib = part->resident_kib + part->absent_kib;

  if (held_kib <= size_kib)
    return;
  part->resident_kib *= size_kib / held_kib;
  part->absent_kib *= size_kib / held_kib;
}

/* What the part wants this tick. */
static void
want_part(CagmaBody *body, CagmaBodyPart *part, int64_t now_us, double tick_s)
{
  double size_kib, held_kib, sweep_s, touched;

  cagma_course_go(&part->course, now_us);
  size_kib = is_away(part, now_us) ? 0 : part->course.size_kib;
  sweep_s = (double)part->course.sweep_us / 1e6;
  touched = part->course.sweep_us ? MIN(tick_s / sweep_s, 1) : 0;
  give_up(part, size_kib);
  held_kib = part->resident_kib + part->absent_kib;
  part->new_kib = size_kib - held_kib;
  /* A file that isn't read again is read once. */
  if (part->anon || !part->course.sweep_us)
    part->new_kib = MIN(part->new_kib, FILL_KIB_PER_S * body->spec->vcpus * tick_s);
  else if (part->cyclic)
    part->new_kib = MIN(part->new_kib, size_kib * touched);
  else
    part->new_kib *= touched;
  part->missed_kib = part->absent_kib * touched;
  if (part->cyclic && part->absent_kib > CYCLE_MISSING * held_kib)
    part->missed_kib = held_kib * touched;
  else if (part->cyclic)
    part->missed_kib = MIN(CYCLE_MISSING * held_kib * touched, part->absent_kib);
  part->missing_s = part->missed_kib > 0 ? part->missing_s + tick_s : 0;
  body->busy += part->course.sweep_us && size_kib > 0 ? size_kib / sweep_s / BUSY_KIB_PER_S : 0;
}

/* Memory it takes; the rest of a cycle that doesn't fit goes out as it comes in. */
static double
room_for(const CagmaBodyPart *part)
{
  return part->new_kib + MIN(part->missed_kib, part->absent_kib);
}

static void
want_reads(CagmaBody *body, const CagmaBodyPart *part, const CagmaSimDisk *disk)
{
  const CagmaPart *spec = part->course.part;
  double at_once = body->spec->vcpus;
  double kib = cagma_disk_read_kib(disk, spec->kind, spec->access);

  cagma_load_add(&body->paging, disk, part->missed_kib / kib, kib, at_once);
  if (part->anon) {
    cagma_load_add(&body->paging, disk,
                   MAX(part->missed_kib - part->absent_kib, 0) / (double)disk->swap_write_kib,
                   (double)disk->swap_write_kib, WRITES_AT_ONCE);
    return;
  }
  /* A file's first reading is mostly in order. */
  cagma_load_add(&body->paging, disk, part->new_kib / (double)disk->file_cyclic_kib,
                 (double)disk->file_cyclic_kib, at_once);
}

static double
age_of(const CagmaBodyPart *part)
{
  return part->course.sweep_us ? (double)part->course.sweep_us / 1e6 : 1e9;
}

static size_t
oldest_first(CagmaBody *body, CagmaBodyPart **parts)
{
  for (size_t i = 0; i < body->n_parts; i++) {
    size_t at = i;

    while (at > 0 && age_of(parts[at - 1]) < age_of(&body->parts[i])) {
      parts[at] = parts[at - 1];
      at--;
    }
    parts[at] = &body->parts[i];
    parts[at]->evicted_kib = 0;
  }
  return body->n_parts;
}

static void
want_writes(CagmaBody *body, const CagmaSimDisk *disk, double kib, gboolean for_balloon)
{
  cagma_load_add(for_balloon ? &body->ballooning : &body->paging, disk, kib / (double)disk->swap_write_kib,
                 (double)disk->swap_write_kib, for_balloon ? 1 : WRITES_AT_ONCE);
}

typedef struct {
  double wanted_kib, pushed_kib;
  double paging_kib; /* of it, what comes in wants; the rest is for the balloon */
  double swap_left_kib;
} Push;

static void
push_part(CagmaBody *body, const CagmaSimDisk *disk, CagmaBodyPart *part, double most_kib, Push *push)
{
  double kib = MIN(most_kib, part->resident_kib - part->evicted_kib);

  kib = MIN(kib, push->wanted_kib - push->pushed_kib);
  if (part->anon) {
    double paging_kib;

    kib = MIN(kib, MAX(push->swap_left_kib, 0));
    paging_kib = CLAMP(push->paging_kib - push->pushed_kib, 0, kib);
    push->swap_left_kib -= kib;
    want_writes(body, disk, paging_kib, FALSE);
    want_writes(body, disk, kib - paging_kib, TRUE);
  }
  part->evicted_kib += kib;
  push->pushed_kib += kib;
}

/* What of a part isn't touched while the kernel looks through all anonymous memory once. */
static double
idle(const CagmaBody *body, const CagmaBodyPart *part, double looked_for_kib_per_s)
{
  double anon_kib = cagma_body_resident(body) - cagma_body_cached(body);

  return exp(-anon_kib / looked_for_kib_per_s / age_of(part));
}

/* The kernel notices when pages come back that it has pushed out once already. */
static gboolean
files_are_wanted_back(const CagmaBody *body)
{
  for (size_t i = 0; i < body->n_parts; i++) {
    const CagmaBodyPart *part = &body->parts[i];

    if (!part->anon && part->missed_kib > 0 && part->missing_s >= age_of(part))
      return TRUE;
  }
  return FALSE;
}

/* Chooses who goes: first for what comes in, then for the balloon. Files first, but for a share
 * of anonymous memory where they are missed. */
static void
push_out(CagmaBody *body, const CagmaSimDisk *disk, double push_kib, double balloon_push_kib, double tick_s)
{
  CagmaBodyPart *parts[CAGMA_SIM_PARTS_MAX];
  size_t n = oldest_first(body, parts);
  Push push = { .wanted_kib = push_kib + balloon_push_kib,
                .paging_kib = push_kib,
                .swap_left_kib = (double)body->spec->swap_kib - cagma_body_swapped(body) };
  double share_kib = files_are_wanted_back(body) ? ANON_SHARE * push.wanted_kib : 0;

  for (size_t i = 0; i < n && share_kib > push.pushed_kib; i++)
    if (parts[i]->anon)
      push_part(body, disk, parts[i],
                (share_kib - push.pushed_kib) * idle(body, parts[i], share_kib / tick_s), &push);
  for (size_t i = 0; i < n; i++)
    if (!parts[i]->anon)
      push_part(body, disk, parts[i], parts[i]->resident_kib, &push);
  for (size_t i = 0; i < n; i++)
    if (parts[i]->anon)
      push_part(body, disk, parts[i], parts[i]->resident_kib, &push);
  body->pushed_kib = MIN(push.pushed_kib, push_kib);
  body->balloon_kib -= MAX(push.wanted_kib - MAX(push.pushed_kib, push_kib), 0);
}

static void
want_host(CagmaBody *body, const CagmaSimDisk *disk, double host_swapped, double tick_s)
{
  for (size_t i = 0; i < body->n_parts; i++) {
    const CagmaBodyPart *part = &body->parts[i];
    double kib = cagma_disk_read_kib(disk, CAGMA_PART_ANON, part->course.part->access), missed_kib;

    if (!part->course.sweep_us)
      continue;
    missed_kib = part->resident_kib * MIN(tick_s * 1e6 / (double)part->course.sweep_us, 1) * host_swapped;
    cagma_load_add(&body->paging, disk, missed_kib / kib, kib, body->spec->vcpus);
    body->host_missed_kib += missed_kib;
  }
  want_writes(body, disk, body->host_missed_kib, FALSE);
}

void
cagma_body_want(CagmaBody *body, const CagmaSimDisk *disk, double host_swapped, int64_t now_us, double tick_s)
{
  double spare_kib, above_kib, push_kib;
  gboolean deflates = (double)body->asked_kib >= body->actual_kib;

  memset(&body->paging, 0, sizeof body->paging);
  memset(&body->ballooning, 0, sizeof body->ballooning);
  body->in_kib = body->balloon_kib = body->pushed_kib = body->busy = body->host_missed_kib = 0;
  if (body->state == CAGMA_BODY_BOOTING && now_us >= body->boots_until_us)
    body->state = CAGMA_BODY_RUNS;
  if (body->state != CAGMA_BODY_RUNS)
    return;

  for (size_t i = 0; i < body->n_parts; i++) {
    want_part(body, &body->parts[i], now_us, tick_s);
    body->in_kib += room_for(&body->parts[i]);
  }
  above_kib =
      body->truly_kib - (double)body->spec->kernel_kib - cagma_body_resident(body) - body->watermark_kib;
  spare_kib = MAX(above_kib, 0);
  push_kib = MAX(body->in_kib - spare_kib, 0) + MAX(-above_kib, 0);
  if (!deflates && body->spec->driver && body->balloon == CAGMA_BALLOON_MOVES)
    body->balloon_kib =
        MIN((double)body->spec->balloon_down_kib_per_s * tick_s, body->actual_kib - (double)body->asked_kib);

  for (size_t i = 0; i < body->n_parts; i++)
    want_reads(body, &body->parts[i], disk);
  push_out(body, disk, push_kib, MAX(body->balloon_kib - MAX(spare_kib - body->in_kib, 0), 0), tick_s);
  if (host_swapped > 0)
    want_host(body, disk, host_swapped, tick_s);
}

static void
live_part(CagmaBody *body, CagmaBodyPart *part, double pace, double pushed, double balloon_pushed)
{
  double missed_kib = part->missed_kib * pace;
  double back_kib = MIN(missed_kib, part->absent_kib);
  double new_kib = part->new_kib * pace;
  double out_kib;

  /* What is pushed out for what comes in goes with its pace. */
  out_kib = MIN(part->evicted_kib * (pushed + balloon_pushed), part->resident_kib);
  part->resident_kib += back_kib + new_kib - out_kib;
  part->absent_kib += out_kib - back_kib;
  if (part->anon) {
    body->swap_in_kib += missed_kib;
    body->refault_anon_kib += missed_kib;
    body->swap_out_kib += out_kib + missed_kib - back_kib;
    body->swapped_kib += missed_kib + out_kib + missed_kib - back_kib;
    body->paged_kib += out_kib + missed_kib - back_kib;
  } else {
    body->block_read_kib += missed_kib + new_kib;
    body->refault_file_kib += missed_kib;
    body->read_back_kib += missed_kib;
  }
}

static void
kill_largest(CagmaBody *body, int64_t now_us)
{
  CagmaBodyPart *largest = NULL;

  for (size_t i = 0; i < body->n_parts; i++) {
    CagmaBodyPart *part = &body->parts[i];

    if (part->anon &&
        (!largest || part->resident_kib + part->absent_kib > largest->resident_kib + largest->absent_kib))
      largest = part;
  }
  if (!largest)
    return;
  largest->resident_kib = largest->absent_kib = 0;
  largest->away_until_us = now_us + CAGMA_SIM_AWAY_US;
  body->oom_kills++;
  body->cramped_us = 0;
}

static void
move_balloon(CagmaBody *body, double pace, double tick_s)
{
  double up_kib = MIN((double)body->spec->balloon_up_kib_per_s * tick_s,
                      MAX((double)body->asked_kib - body->actual_kib, 0));

  if (body->state != CAGMA_BODY_RUNS || !body->spec->driver || body->balloon == CAGMA_BALLOON_STICKS)
    return;
  if (body->balloon == CAGMA_BALLOON_PRETENDS) {
    body->actual_kib += CLAMP((double)body->asked_kib - body->actual_kib,
                              -(double)body->spec->balloon_down_kib_per_s * tick_s, up_kib);
    body->truly_kib = MAX(body->truly_kib, body->actual_kib);
    return;
  }
  body->actual_kib += up_kib - body->balloon_kib * pace;
  body->truly_kib = body->actual_kib;
}

void
cagma_body_live(CagmaBody *body, double slowness, int64_t now_us, double tick_s)
{
  double pace = cagma_load_progress(&body->paging, slowness, tick_s), balloon_pace, cap = 1, push_kib = 0;
  double spare_kib = MAX(cagma_body_free(body) - body->watermark_kib, 0), evicted_kib = 0;
  double held_kib = (double)body->spec->kernel_kib + cagma_body_resident(body) - body->pushed_kib;
  gboolean waits = FALSE, misses = body->host_missed_kib > 0;

  body->stalled = body->pressed = body->swapped_kib = body->paged_kib = body->read_back_kib = 0;
  if (body->state != CAGMA_BODY_RUNS)
    return;
  balloon_pace = cagma_load_progress(&body->ballooning, slowness, tick_s);

  /* No more comes in than room can be made for. */
  if (body->in_kib > spare_kib + body->pushed_kib)
    cap = (spare_kib + body->pushed_kib) / body->in_kib;
  /* Nor can stay what has no room, and nowhere to go. */
  if (held_kib > body->truly_kib + (double)ROUNDING_KIB)
    cap = 0;
  for (size_t i = 0; i < body->n_parts; i++) {
    waits = waits || body->parts[i].missed_kib + body->parts[i].new_kib > 0;
    misses = misses || body->parts[i].missed_kib > 0;
    evicted_kib += body->parts[i].evicted_kib;
  }
  push_kib = evicted_kib > 0 ? body->pushed_kib / evicted_kib : 0;
  for (size_t i = 0; i < body->n_parts; i++)
    live_part(body, &body->parts[i], pace * cap, push_kib * pace, (1 - push_kib) * balloon_pace);

  if (waits || body->host_missed_kib > 0)
    body->stalled = 1 - pace * cap;
  if (misses || cap < 1)
    body->pressed = 1 - pace * cap;
  for (size_t i = 0; i < body->n_parts; i++) {
    if (is_away(&body->parts[i], now_us) && body->parts[i].course.size_kib > 0)
      body->stalled = 1;
  }
  body->busy = MIN(MAX(body->busy, body->stalled * body->spec->vcpus), body->spec->vcpus);
  body->cramped_us = cap < 0.99 ? body->cramped_us + (int64_t)(tick_s * 1e6) : 0;
  if (body->cramped_us >= CRAMPED_US)
    kill_largest(body, now_us);

  move_balloon(body, balloon_pace, tick_s);
  body->touched_kib = MAX(body->touched_kib, (double)body->spec->kernel_kib + cagma_body_resident(body));
  if (body->spec->free_page_reporting)
    body->touched_kib = (double)body->spec->kernel_kib + cagma_body_resident(body);
  body->touched_kib = MIN(body->touched_kib, body->truly_kib);
}

void
cagma_body_read_back(CagmaBody *body, uint64_t kib, int64_t now_us)
{
  body->back_kib = (double)kib;
  body->back_until_us = now_us + BACK_US;
}

static double
may_come_back(const CagmaBody *body)
{
  double margin_kib = MAX((double)body->spec->memory_kib / BACK_MARGIN_PART, BACK_MARGIN_KIB);

  return MIN(MIN(body->back_kib, cagma_body_swapped(body)), cagma_body_available(body) - margin_kib);
}

const CagmaDiskPhase *
cagma_body_want_back(CagmaBody *body, const CagmaSimDisk *disk, int64_t now_us)
{
  gboolean goes_on = body->state == CAGMA_BODY_RUNS && now_us < body->back_until_us;

  body->back.tasks = goes_on && may_come_back(body) >= (double)disk->swap_read_kib ? BACK_AT_ONCE : 0;
  body->back.io_kib = disk->swap_read_kib;
  return body->back.tasks ? &body->back : NULL;
}

static CagmaBodyPart *
most_swapped(CagmaBody *body)
{
  CagmaBodyPart *most = NULL;

  for (size_t i = 0; i < body->n_parts; i++) {
    CagmaBodyPart *part = &body->parts[i];

    if (part->anon && (!most || part->absent_kib > most->absent_kib))
      most = part;
  }
  return most;
}

/* What comes back takes the place of page cache. */
static void
drop_cache(CagmaBody *body, double kib)
{
  CagmaBodyPart *parts[CAGMA_SIM_PARTS_MAX];
  size_t n = oldest_first(body, parts);

  for (size_t i = 0; i < n && kib > 0; i++) {
    double out_kib = parts[i]->anon ? 0 : MIN(parts[i]->resident_kib, kib);

    parts[i]->resident_kib -= out_kib;
    parts[i]->absent_kib += out_kib;
    kib -= out_kib;
  }
}

void
cagma_body_live_back(CagmaBody *body, const CagmaSimDisk *disk, double slowness, double tick_s)
{
  double served, kib, rest_kib, held_kib;

  if (!body->back.tasks)
    return;
  served = cagma_disk_tasks_served(disk, &body->back, slowness, tick_s);
  kib = MAX(MIN(served * (double)body->back.io_kib, may_come_back(body)), 0);
  rest_kib = kib;
  for (size_t i = 0; i < body->n_parts && rest_kib > 0; i++) {
    CagmaBodyPart *part = most_swapped(body);
    double part_kib;

    if (!part || part->absent_kib <= 0)
      break;
    part_kib = MIN(rest_kib, part->absent_kib);
    part->absent_kib -= part_kib;
    part->resident_kib += part_kib;
    rest_kib -= part_kib;
  }
  kib -= rest_kib;
  body->back_kib -= kib;
  body->brought_kib += kib;
  body->swap_in_kib += kib;
  body->swapped_kib += kib;
  held_kib = (double)body->spec->kernel_kib + cagma_body_resident(body) + body->watermark_kib;
  drop_cache(body, CLAMP(held_kib - body->truly_kib, 0, kib));
}
