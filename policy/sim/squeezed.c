/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of squeezed, XCP-ng's and XenServer's (xapi-project/xen-api, commit e2ee48d6883e:
 * ocaml/squeezed/lib/squeeze.ml; constants and what it is told in src/squeeze_xen.ml, the
 * thread that balances in src/memory_server.ml). In our own words:
 *
 *   10 s after the last balancing ended: balances, if one step, nobody counted out, would
 *   change a target. Balancing is a step each second until nothing is to be changed and all
 *   targets are reached. A step:
 *     a guest's driver is stuck if its balloon isn't at its target and hasn't moved towards it
 *     for more than 5 s of this balancing, however new the target is; it is until it moves.
 *     Active: has a driver that isn't stuck.
 *     surplus = free + Σ active max(0, size − minimum − 2 × 4 KiB) − 72 MiB, not below 0
 *     γ = surplus / Σ active (maximum − minimum), held between 0 and 1
 *     an active guest's target = minimum + γ × (maximum − minimum)
 *     as long as any of these is below its guest's size, only those that are, are set; then
 *     the others.
 *     A guest that was active or not yet looked at, and is not any more, is asked to be
 *     the smaller of its target and its size, held between minimum and maximum.
 *   A balloon within 4 KiB of a target has reached it.
 *
 * 72 MiB: Xen's emergency pool of 64 MiB and 8 MiB beside. In earlier versions these were 9 MiB
 * together.
 *
 * Without a counterpart: nobody asks for room before he starts a guest (reserve_memory), and
 * reservations; a guest's constant offset between target and size; maxmem, by which Xen holds
 * guests to their target; dom0; and the flag "uncooperative" after 20 s, which changes nothing.
 * A guest that hasn't booted isn't in it here; what it holds isn't free anyway. */
#include "policy/sim/peers.h"
#include "policy/units.h"

#define CHECK_US (10 * CAGMA_SECOND_US)
#define STEP_US CAGMA_SECOND_US
#define STUCK_US (5 * CAGMA_SECOND_US)
#define KEEP_FREE_KIB ((int64_t)(64 + 8) * 1024)
#define INACCURACY_KIB 4

typedef struct {
  int64_t target_kib, least_kib, most_kib;
  int64_t size_kib;
  int64_t wanted_kib;
  gboolean has_driver;
  gboolean active;

  /* Of this balancing. */
  gboolean watched;
  gboolean stuck;
  gboolean counted_out;
  int64_t last_size_kib;
  int64_t progress_us;
} Guest;

typedef struct {
  gboolean begun;
  gboolean balancing;
  int64_t next_us;
  size_t n;
  Guest guests[];
} Squeezed;

static gpointer
start(size_t n_guests)
{
  Squeezed *squeezed = g_malloc0(sizeof(Squeezed) + n_guests * sizeof(Guest));

  squeezed->n = n_guests;
  return squeezed;
}

static void
look(Squeezed *squeezed, const CagmaPeerHost *host)
{
  for (size_t i = 0; i < squeezed->n; i++) {
    const CagmaPeerGuest *peer = &host->guests[i];
    Guest *guest = &squeezed->guests[i];
    CagmaSample sample = cagma_peer_sample(peer);

    guest->has_driver = peer->running && peer->has_driver && (sample.has & CAGMA_HAS_ACTUAL);
    guest->target_kib = (int64_t)cagma_min_kib(peer->target_kib, CAGMA_MAX_KIB);
    guest->least_kib = (int64_t)cagma_peer_minimum(peer);
    guest->most_kib = (int64_t)cagma_peer_maximum(peer);
    guest->size_kib = (int64_t)sample.actual_kib;
    if (!peer->running)
      guest->watched = guest->stuck = guest->counted_out = FALSE;
  }
}

static gboolean
has_reached(const Guest *guest, int64_t target_kib)
{
  return ABS(guest->size_kib - target_kib) <= INACCURACY_KIB;
}

static void
watch(Guest *guest, int64_t now_us)
{
  gboolean there = has_reached(guest, guest->target_kib);
  int64_t moved_kib;

  if (!guest->watched) {
    guest->watched = TRUE;
    guest->stuck = guest->counted_out = FALSE;
    guest->last_size_kib = guest->size_kib;
    guest->progress_us = now_us;
  }
  moved_kib = guest->size_kib - guest->last_size_kib;
  guest->last_size_kib = guest->size_kib;
  if (!there && (guest->target_kib > guest->size_kib ? moved_kib > 0 : moved_kib < 0)) {
    guest->progress_us = now_us;
    guest->stuck = FALSE;
  }
  if (!there && now_us - guest->progress_us > STUCK_US)
    guest->stuck = TRUE;
}

/* Sets what each active guest should be. */
static void
want(Squeezed *squeezed, int64_t free_kib)
{
  double surplus, total_range = 0, gamma = 0;

  for (size_t i = 0; i < squeezed->n; i++) {
    const Guest *guest = &squeezed->guests[i];

    if (!guest->active)
      continue;
    free_kib += MAX(guest->size_kib - guest->least_kib - 2 * INACCURACY_KIB, 0);
    total_range += (double)(guest->most_kib - guest->least_kib);
  }
  surplus = (double)MAX(free_kib - KEEP_FREE_KIB, 0);
  if (surplus > 0)
    gamma = surplus < total_range ? surplus / total_range : 1;
  for (size_t i = 0; i < squeezed->n; i++) {
    Guest *guest = &squeezed->guests[i];

    guest->wanted_kib = guest->least_kib + (int64_t)(gamma * (double)(guest->most_kib - guest->least_kib));
  }
}

static gboolean
is_to_free(const Guest *guest)
{
  return guest->active && guest->wanted_kib < guest->size_kib && !has_reached(guest, guest->wanted_kib);
}

static gboolean
frees_first(const Squeezed *squeezed)
{
  for (size_t i = 0; i < squeezed->n; i++) {
    if (is_to_free(&squeezed->guests[i]))
      return TRUE;
  }
  return FALSE;
}

/* Leaves in wanted_kib what this step sets. Returns whether it changes a target; *there:
 * whether all active guests have reached theirs. */
static gboolean
plan(Squeezed *squeezed, uint64_t free_kib, gboolean *there)
{
  gboolean frees, changes = FALSE;

  want(squeezed, (int64_t)cagma_min_kib(free_kib, CAGMA_MAX_KIB));
  frees = frees_first(squeezed);
  *there = TRUE;
  for (size_t i = 0; i < squeezed->n; i++) {
    Guest *guest = &squeezed->guests[i];

    if (!guest->active || (frees && !is_to_free(guest)))
      guest->wanted_kib = guest->target_kib;
    changes = changes || guest->wanted_kib != guest->target_kib;
    *there = *there && (!guest->active || has_reached(guest, guest->target_kib));
  }
  return changes;
}

static void
count_out(Guest *guest)
{
  if (guest->active || !guest->has_driver) {
    guest->counted_out = FALSE;
    return;
  }
  if (!guest->counted_out)
    guest->wanted_kib = CLAMP(MIN(guest->target_kib, guest->size_kib), guest->least_kib, guest->most_kib);
  guest->counted_out = TRUE;
}

/* Whether balancing goes on. */
static gboolean
step(Squeezed *squeezed, CagmaPeerHost *host, int64_t now_us)
{
  gboolean there, changes;

  for (size_t i = 0; i < squeezed->n; i++) {
    Guest *guest = &squeezed->guests[i];

    if (guest->has_driver)
      watch(guest, now_us);
    guest->active = guest->has_driver && !guest->stuck;
  }
  changes = plan(squeezed, host->unclaimed_kib, &there);
  for (size_t i = 0; i < squeezed->n; i++) {
    Guest *guest = &squeezed->guests[i];

    count_out(guest);
    if (guest->wanted_kib != guest->target_kib)
      host->guests[i].target_kib = (uint64_t)guest->wanted_kib;
  }
  return changes || !there;
}

static gboolean
is_unbalanced(Squeezed *squeezed, const CagmaPeerHost *host)
{
  gboolean there;

  for (size_t i = 0; i < squeezed->n; i++)
    squeezed->guests[i].active = squeezed->guests[i].has_driver;
  return plan(squeezed, host->unclaimed_kib, &there);
}

static void
decide(gpointer memory, CagmaPeerHost *host, int64_t now_us)
{
  Squeezed *squeezed = memory;

  if (!squeezed->begun) {
    squeezed->begun = TRUE;
    squeezed->next_us = now_us + CHECK_US;
  }
  if (now_us < squeezed->next_us)
    return;
  look(squeezed, host);
  if (!squeezed->balancing) {
    squeezed->balancing = is_unbalanced(squeezed, host);
    for (size_t i = 0; i < squeezed->n; i++)
      squeezed->guests[i].watched = FALSE;
  }
  if (squeezed->balancing)
    squeezed->balancing = step(squeezed, host, now_us);
  squeezed->next_us = now_us + (squeezed->balancing ? STEP_US : CHECK_US);
}

const CagmaPeer cagma_peer_squeezed = {
  .name = "squeezed",
  .summary = "XenServer's squeezed: all guests at one ratio between minimum and maximum, whatever they use",
  .period_us = STEP_US,
  .before_us = CHECK_US,
  .on_xen = TRUE,
  .start = start,
  .decide = decide,
  .end = g_free,
};
