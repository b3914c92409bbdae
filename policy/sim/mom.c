/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of MOM, the Memory Overcommitment Manager of oVirt (oVirt/mom 0.6.5, commit
 * 3de1c8e6bcb9): doc/balloon.rules with doc/mom-balloon.conf; what its names stand for is in
 * mom/Entity.py, Monitor.py, PolicyEngine.py, GuestMonitor.py and Collectors/. In our own words:
 *
 *   every 5 s   for each guest and for the host, the figures are put with the last 10
 *               (a guest whose figures aren't complete is left out until they are)
 *   every 10 s  free = mean(host's free memory) / host's memory
 *               used = mean(size) − mean(guest's free memory)
 *     free < 20 %: shrink.  slack = 20 % × free / 20 %, or free − 5 % where free ≤ 5 %
 *               least = max(minimum, used + slack × size)
 *               target = max(size × 95 %, least), where that isn't above size
 *     else, below its maximum: grow.  least = max(minimum, used + 20 % × size)
 *               target = min(max(size × 105 %, least), maximum)
 *               a change of no more than 0.25 % of the size isn't made.
 *
 * The host's free memory is MemFree + Buffers + Cached there; here the host has no cache of
 * its own. The guest's is MemFree alone: its page cache counts as used.
 *
 * The minimum: vdsm hands over a number, and so it is here. With MOM's libvirt interface
 * it is <memtune><min_guarantee>, which QEMU's driver doesn't take; where it is set, max() of
 * a text and a number ends the evaluation for all guests.
 *
 * Without a counterpart: KSM and CPU tuning, the guests' processes' faults on the host
 * (collected, not used by these rules), the seconds until a new guest is discovered. */
#include <math.h>

#include "policy/sim/peers.h"
#include "policy/units.h"

#define COLLECT_US (5 * CAGMA_SECOND_US)
#define DECIDE_US (10 * CAGMA_SECOND_US)
#define HISTORY 10

#define PRESSURE 0.20 /* part of the host's memory that is free: pressure below, … */
#define CRITICAL 0.05 /* … and severe pressure from here on */
#define GUEST_FREE 0.20
#define CHANGE_MOST 0.05
#define CHANGE_LEAST 0.0025

/* What MOM's libvirt interface must get of a guest lest it leave it out; the minor faults
 * and total memory it asks for too come with these. */
#define NEEDED (CAGMA_HAS_ACTUAL | CAGMA_HAS_UNUSED | CAGMA_HAS_FAULTS | CAGMA_HAS_SWAP)

typedef struct {
  uint64_t kib[HISTORY];
  size_t n;
  size_t next;
} History;

typedef struct {
  History size, unused;
  gboolean ready; /* its last figures were complete */
} Guest;

typedef struct {
  gboolean begun;
  int64_t collect_us; /* the next time */
  int64_t decide_us;
  History host_free;
  Guest guests[];
} Mom;

static gpointer
start(size_t n_guests)
{
  return g_malloc0(sizeof(Mom) + n_guests * sizeof(Guest));
}

static void
put(History *history, uint64_t kib)
{
  history->kib[history->next] = kib;
  history->next = (history->next + 1) % HISTORY;
  history->n = MIN(history->n + 1, HISTORY);
}

static double
mean(const History *history)
{
  uint64_t sum_kib = 0;

  for (size_t i = 0; i < history->n; i++)
    sum_kib += history->kib[i];
  return (double)sum_kib / (double)history->n;
}

static void
collect(Mom *mom, const CagmaPeerHost *host)
{
  put(&mom->host_free, cagma_min_kib(host->free_kib, CAGMA_MAX_KIB));
  for (size_t i = 0; i < host->n_guests; i++) {
    Guest *guest = &mom->guests[i];
    CagmaSample sample = cagma_peer_sample(&host->guests[i]);

    if (!host->guests[i].running)
      *guest = (Guest){ 0 };
    guest->ready = host->guests[i].running && (sample.has & NEEDED) == NEEDED;
    if (!guest->ready)
      continue;
    put(&guest->size, sample.actual_kib);
    put(&guest->unused, sample.unused_kib);
  }
}

static gboolean
is_worth_it(double size, double target)
{
  return fabs(target - size) > CHANGE_LEAST * size;
}

static void
shrink(const Guest *guest, CagmaPeerGuest *peer, double size, double host_free)
{
  double slack = host_free <= CRITICAL ? -0.05 + host_free : GUEST_FREE * (host_free / PRESSURE);
  double used = mean(&guest->size) - mean(&guest->unused);
  double least = MAX((double)cagma_peer_minimum(peer), used + slack * size);
  double target = MAX(size * (1 - CHANGE_MOST), least);

  if (target <= size && is_worth_it(size, target))
    peer->target_kib = (uint64_t)target;
}

static void
grow(const Guest *guest, CagmaPeerGuest *peer, double size)
{
  double most = (double)cagma_peer_maximum(peer);
  double used = mean(&guest->size) - mean(&guest->unused);
  double least = MAX((double)cagma_peer_minimum(peer), used + GUEST_FREE * size);
  double target = MIN(MAX(size * (1 + CHANGE_MOST), least), most);

  if (size < most && is_worth_it(size, target))
    peer->target_kib = (uint64_t)target;
}

static void
balance(const Mom *mom, CagmaPeerHost *host)
{
  double host_free;

  if (!host->total_kib)
    return;
  host_free = mean(&mom->host_free) / (double)host->total_kib;
  for (size_t i = 0; i < host->n_guests; i++) {
    const Guest *guest = &mom->guests[i];
    size_t newest = (guest->size.next + HISTORY - 1) % HISTORY;

    if (!guest->ready)
      continue;
    if (host_free < PRESSURE)
      shrink(guest, &host->guests[i], (double)guest->size.kib[newest], host_free);
    else
      grow(guest, &host->guests[i], (double)guest->size.kib[newest]);
  }
}

static void
decide(gpointer memory, CagmaPeerHost *host, int64_t now_us)
{
  Mom *mom = memory;

  if (!mom->begun) {
    mom->begun = TRUE;
    mom->collect_us = now_us;
    mom->decide_us = now_us + DECIDE_US;
  }
  if (now_us >= mom->collect_us) {
    collect(mom, host);
    mom->collect_us = now_us + COLLECT_US;
  }
  if (now_us >= mom->decide_us) {
    balance(mom, host);
    mom->decide_us = now_us + DECIDE_US;
  }
}

const CagmaPeer cagma_peer_mom = {
  .name = "mom",
  .summary =
      "oVirt's Memory Overcommitment Manager: steps of 5 %, shrinking all below 20 % of free host memory",
  .period_us = COLLECT_US,
  .before_us = DECIDE_US,
  .start = start,
  .decide = decide,
  .end = g_free,
};
