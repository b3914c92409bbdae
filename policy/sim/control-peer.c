/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/world.h"

/* The other systems, each at its own pace. */

typedef struct {
  CagmaWorld *world;
  const CagmaPeer *peer;
  gpointer memory;
  CagmaPeerHost host;
  int64_t decide_us;
  gboolean news;
} Control;

static gpointer
start(CagmaWorld *world, const CagmaContestant *contestant)
{
  Control *control = g_new0(Control, 1);

  control->world = world;
  control->peer = contestant->peer;
  control->memory = contestant->peer->start ? contestant->peer->start(world->n) : NULL;
  control->host.guests = g_new0(CagmaPeerGuest, world->n);
  control->host.n_guests = world->n;
  control->decide_us = -contestant->peer->before_us;
  /* Linux' view, of which MOM and Proxmox leave a fifth by themselves. What Xen has free is without
   * the reserve (unclaimed). */
  control->host.total_kib = world->scenario->memory_kib;
  for (size_t i = 0; i < world->n; i++) {
    control->host.guests[i].config = &world->guests[i].body.spec->config;
    control->host.guests[i].max_kib = world->guests[i].body.spec->memory_kib;
  }
  return control;
}

static void
end(gpointer user_data)
{
  Control *control = user_data;

  if (control->peer->end)
    control->peer->end(control->memory);
  g_free(control->host.guests);
  g_free(control);
}

static void
begins(gpointer user_data, size_t guest)
{
  Control *control = user_data;

  control->host.guests[guest].sample = (CagmaSample){ 0 };
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
  Control *control = user_data;

  /* What the others read, the balloon's driver writes. */
  if (!control->world->guests[guest].body.spec->driver)
    return;
  control->host.guests[guest].sample = report->sample;
  /* Its own program in the guest looks there, whatever else reports. */
  if (control->peer->looks_inside && !(report->sample.has & CAGMA_HAS_SWAP_USED)) {
    control->host.guests[guest].sample.has |= CAGMA_HAS_SWAP_USED;
    control->host.guests[guest].sample.swap_used_kib = report->swapped_kib;
  }
  control->host.guests[guest].reported_at_kib = report->actual_kib;
  control->news = control->peer->at_reports;
}

/* What Xen has free: a guest that grows takes it page by page, and the reserve stands for
 * what dom0 has. */
static uint64_t
unclaimed(const CagmaWorld *world)
{
  double unclaimed_kib = cagma_world_budget(world);

  for (size_t i = 0; i < world->n; i++)
    unclaimed_kib -= world->guests[i].body.truly_kib;
  return (uint64_t)MAX(unclaimed_kib, 0);
}

static void
decide(Control *control)
{
  CagmaWorld *world = control->world;
  CagmaPeerHost *host = &control->host;
  int64_t since_us;

  host->free_kib = (uint64_t)MAX((double)host->total_kib - cagma_world_touched(world), 0);
  host->unclaimed_kib = unclaimed(world);
  for (size_t i = 0; i < host->n_guests; i++) {
    CagmaPeerGuest *guest = &host->guests[i];

    guest->running =
        world->guests[i].body.state == CAGMA_BODY_RUNS || world->guests[i].body.state == CAGMA_BODY_PAUSED;
    guest->has_driver = guest->running && world->guests[i].body.spec->driver;
    guest->target_kib = world->guests[i].body.asked_kib;
    if (guest->running)
      cagma_world_look(world, i, &guest->sample);
    if (guest->running && control->peer->on_xen)
      guest->sample.actual_kib = (uint64_t)world->guests[i].body.truly_kib;
  }
  since_us = cagma_world_decides(world);
  control->peer->decide(control->memory, host, cagma_world_clock(world));
  cagma_world_decided(world, since_us);
  for (size_t i = 0; i < host->n_guests; i++) {
    if (world->now_us >= 0 && host->guests[i].running &&
        host->guests[i].target_kib != world->guests[i].body.asked_kib)
      cagma_world_set(world, i, host->guests[i].target_kib);
  }
}

static gboolean
is_moving(const CagmaWorld *world)
{
  for (size_t i = 0; i < world->n; i++) {
    const CagmaBody *body = &world->guests[i].body;

    if (body->state == CAGMA_BODY_BOOTING ||
        (body->state == CAGMA_BODY_RUNS && ABS(body->actual_kib - (double)body->asked_kib) > 1024))
      return TRUE;
  }
  return FALSE;
}

static void
tick(gpointer user_data)
{
  Control *control = user_data;
  CagmaWorld *world = control->world;

  if (world->now_us < -control->peer->before_us)
    return;
  if (world->now_us < control->decide_us && !control->news &&
      !(control->peer->at_arrivals && is_moving(world)))
    return;
  if (world->now_us >= control->decide_us)
    control->decide_us = world->now_us + control->peer->period_us;
  control->news = FALSE;
  decide(control);
}

const CagmaControl cagma_control_peer = {
  .start = start,
  .arrived = begins,
  .rebooted = begins,
  .left = begins,
  .paused = paused,
  .reported = reported,
  .tick = tick,
  .end = end,
};
