/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of Proxmox VE's automatic ballooning (pve-manager 9.2.11, commit 14a22df35955:
 * PVE/AutoBalloon.pm compute_alg1 and PVE/Service/pvestatd.pm auto_ballooning; what the
 * figures are is in qemu-server's PVE/QemuServer.pm vmstatus, commit e6352be67f70). In our own
 * words, every 10 s, in bytes:
 *
 *   goal = 80 % of the host's memory − what of it is used; within ± 10 MiB nothing is done
 *   In it are all guests with a balloon, a minimum and shares. Relaxed are those whose free
 *   memory is above a quarter of their minimum, and whose size isn't below it.
 *   goal > 0: it is spread over those that aren't relaxed; what then remains, over all, where
 *             nothing could be spread. goal < 0: likewise, the relaxed first.
 *   Spreading: each pass, over those that aren't done:
 *             pot = Σ (size now − minimum) + what remains
 *             fair = minimum + pot × shares / Σ shares, held between minimum and maximum
 *             fair below its size: it shrinks to it, by 100 MiB at most (also while memory
 *             is to be given); above, and memory is to be given: it grows likewise; else it is done
 *             passes go on until nothing remains or a pass changes nothing.
 *
 * A size is what the balloon is at, not what it was asked to be. A guest's free memory is
 * MemFree; where it reports none, it isn't relaxed. query-balloon answers for a guest without a
 * driver too: it is taken for one that can be shrunk.
 *
 * Without a counterpart: free page reporting, which qemu-server turns on in every guest (here the
 * scenario says); guests locked by a migration are left out; a guest is asked to be its
 * minimum as soon as it starts, where here the scenario says how it starts; containers. */
#include <math.h>

#include "policy/sim/peers.h"
#include "policy/units.h"

#define PERIOD_US (10 * CAGMA_SECOND_US)
#define TARGET_PERCENT 80
#define MIB ((int64_t)1024 * 1024)
#define STEP (100 * MIB)
#define DEAD_ZONE (10 * MIB)
#define FREE_PART 0.25

/* Sums of bytes: whole, lest rounding keep the passes going. */
__extension__ typedef __int128 Wide;

typedef struct {
  CagmaPeerGuest *guest;
  int64_t size, least, most; /* bytes, like all here */
  int64_t target;
  double shares;
  gboolean relaxed;
  gboolean done;
} Candidate;

typedef struct {
  Wide pot;
  double shares;
} Pool;

typedef enum {
  OF_RELAXED,
  OF_PRESSED,
  OF_ALL,
} Of;

static gpointer
start(size_t n_guests)
{
  return g_new0(Candidate, n_guests + 1);
}

static int64_t
bytes(uint64_t kib)
{
  return (int64_t)cagma_min_kib(kib, CAGMA_MAX_KIB) * 1024;
}

static size_t
gather(Candidate *candidates, CagmaPeerHost *host)
{
  size_t n = 0;

  for (size_t i = 0; i < host->n_guests; i++) {
    CagmaPeerGuest *guest = &host->guests[i];
    CagmaSample sample = cagma_peer_sample(guest);
    uint64_t least_kib = cagma_peer_minimum(guest);
    int64_t unused = sample.has & CAGMA_HAS_UNUSED ? bytes(sample.unused_kib) : 0;

    if (!guest->running || !(sample.has & CAGMA_HAS_ACTUAL) || !sample.actual_kib || !least_kib ||
        !guest->config->shares)
      continue;
    candidates[n++] = (Candidate){
      .guest = guest,
      .size = bytes(sample.actual_kib),
      .target = bytes(sample.actual_kib),
      .least = bytes(least_kib),
      .most = bytes(cagma_peer_maximum(guest)),
      .shares = guest->config->shares,
      .relaxed = (double)unused > (double)bytes(least_kib) * FREE_PART && sample.actual_kib >= least_kib,
    };
  }
  return n;
}

static gboolean
is_of(const Candidate *candidate, Of of)
{
  return of == OF_ALL || candidate->relaxed == (of == OF_RELAXED);
}

static Pool
pool_of(const Candidate *candidates, size_t n, Of of, Wide remains)
{
  Pool pool = { .pot = remains };

  for (size_t i = 0; i < n; i++) {
    if (!is_of(&candidates[i], of) || candidates[i].done)
      continue;
    pool.pot += candidates[i].target - candidates[i].least;
    pool.shares += candidates[i].shares;
  }
  return pool;
}

/* How much larger its target gets. */
static int64_t
move(Candidate *candidate, const Pool *pool, gboolean give)
{
  double share = trunc((double)pool->pot / pool->shares * candidate->shares);
  int64_t most = candidate->most - candidate->least;
  int64_t fair = candidate->least + (share < 0 ? 0 : share < (double)most ? (int64_t)share : most);
  int64_t before = candidate->target;

  if (give && fair > candidate->size)
    candidate->target = MIN(candidate->size + STEP, fair);
  else if (fair < candidate->size)
    candidate->target = MAX(candidate->size - STEP, fair);
  else
    candidate->done = TRUE;
  return candidate->target - before;
}

/* What of the amount couldn't be spread. */
static Wide
spread(Candidate *candidates, size_t n, Of of, Wide amount)
{
  Wide remains = amount;
  gboolean changed = TRUE;

  for (size_t i = 0; i < n; i++)
    candidates[i].done = FALSE;
  while (remains != 0 && changed) {
    Pool pool = pool_of(candidates, n, of, remains);

    changed = FALSE;
    for (size_t i = 0; i < n; i++) {
      int64_t change;

      if (!is_of(&candidates[i], of) || candidates[i].done)
        continue;
      change = move(&candidates[i], &pool, amount > 0);
      changed = changed || change != 0;
      remains -= change;
    }
  }
  return remains;
}

static void
decide(gpointer memory, CagmaPeerHost *host, G_GNUC_UNUSED int64_t now_us)
{
  Candidate *candidates = memory;
  size_t n = gather(candidates, host);
  int64_t total = bytes(host->total_kib), used = total - bytes(host->free_kib);
  Wide goal = (Wide)((double)total * TARGET_PERCENT / 100 - (double)used);
  Wide remains;

  if (goal >= -DEAD_ZONE && goal <= DEAD_ZONE)
    return;
  remains = spread(candidates, n, goal > 0 ? OF_PRESSED : OF_RELAXED, goal);
  if (goal > 0 ? remains >= goal : remains <= goal)
    (void)spread(candidates, n, OF_ALL, remains);
  for (size_t i = 0; i < n; i++) {
    if (candidates[i].target != candidates[i].size)
      candidates[i].guest->target_kib = (uint64_t)candidates[i].target / 1024;
  }
}

const CagmaPeer cagma_peer_proxmox = {
  .name = "proxmox",
  .summary = "Proxmox VE's automatic ballooning: steps of 100 MiB by shares, keeping the host 80 % used",
  .period_us = PERIOD_US,
  .start = start,
  .decide = decide,
  .end = g_free,
};
