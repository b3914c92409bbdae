/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of Qubes OS' qmemman (QubesOS/qubes-core-admin 4.4.0, commit 1ad5f9b84dc1:
 * qubes/qmemman/algo.py and systemstate.py, events in qubes/tools/qmemmand.py; the guest's side
 * in QubesOS/qubes-linux-utils, commit 25063069abf5: qmemman/meminfo-writer.c, which its service
 * starts with "30000 100000"). In our own words, in bytes where nothing else is said:
 *
 *   Guest, every 100 ms: used = size − free − buffers − cached + swap used. It is written where
 *   it differs by more than 30 000 KiB from what was last written, or is more by 15 000 KiB
 *   and above 10/13 of the size, and the first time.
 *   Host, at each such write and whenever a guest comes or goes, one after the other:
 *     holds = max(size, target)        preferred = max(min(1.3 × used, maximum), 200 MiB)
 *     free = what Xen has free / 1.00781 − Σ max(0, target − size)
 *     in hand = free − 50 MiB − Σ (preferred − holds)
 *     in hand > 0: each gets 99.9 % of preferred + in hand × preferred / Σ preferred, at most its
 *       maximum. What is above that is divided evenly among the others, 99.9 % of it, again
 *       and again.
 *     else: who holds more than he prefers, by 10 MiB or more, goes to what he prefers. What
 *       is free beyond 50 MiB and beyond what they give is spread over the others, in proportion
 *       to what they prefer (the original subtracts what is given from what is free; so it is
 *       here); where that is negative, nobody gets anything.
 *     It isn't done unless it moves more than 150 MiB, free's distance from 50 MiB included; or
 *       someone below what he prefers gets more than 15 MiB; or free is below 35 MiB.
 *     Those that get less come first. A guest is set to its target once free less what it is to
 *       get is 45 MiB; if it isn't after 5 waits of 100 ms, the guest gets what there is, and
 *       that is all for now. Whoever should have shrunk, holds 12.5 MiB more than its target
 *       and hasn't moved at all since this began is left out …
 *   … until it holds no more than its target and 25 MiB, or less than it prefers.
 *
 * Guests are taken in their order here; there in the order in which they came. Where two
 * writes of one guest wait, they are one here.
 *
 * Without a counterpart: its guests' own program, which looks each 100 ms (here they report as the
 * scenario says, each second by default); dom0, with its boost of 350 MiB; memory hotplug; the 16 MiB by which
 * Xen's and the guest's view of a size differ; requests for memory before a guest starts
 * (do_balloon), so nobody is asked to make room for one that does; guests without a minimum. A
 * guest without a driver has no file to read its size from, and writes nothing. */
#include <math.h>

#include "policy/sim/peers.h"
#include "policy/units.h"

#define TRY_US ((int64_t)100000)
#define TRIES 5

#define WRITE_KIB ((uint64_t)30000)

/* Bytes, as doubles: whole ones are exact up to 8 PiB, and the original scales with
 * floating point too. */
#define MIB ((double)1024 * 1024)
#define CACHE_FACTOR 1.3
#define PREFERRED_LEAST (200 * MIB)
#define KEEP_FREE (50 * MIB)
#define KEEP_FREE_PART 0.9
#define OVERHEAD (1.0 / 1.00781)
#define ROUNDING 0.999
#define MOVES_LEAST (150 * MIB)
#define GETS_LEAST (15 * MIB)
#define GIVES_LEAST (10 * MIB)

#define NEEDED (CAGMA_HAS_ACTUAL | CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES)

typedef struct {
  uint64_t size_kib, unused_kib, caches_kib, swapped_kib;
} Figures;

typedef struct {
  gboolean here;
  Figures seen;         /* the last that were looked at */
  uint64_t written_kib; /* used, as last written; 0: never */
  uint64_t turn;        /* of the write that waits to be taken in; 0: none */

  gboolean told; /* used is known */
  double used;   /* as taken in */
  double size;   /* at the moment of a decision */
  double target; /* what was last asked */
  double maximum;
  double wanted;       /* what the balancing under way asks */
  double before;       /* what it held when that began */
  uint64_t target_kib; /* target, as the guest's record has it */
  gboolean no_progress;
} Guest;

typedef struct {
  uint64_t turns;     /* handed out */
  uint64_t list_turn; /* of guests that came or went; 0: none */
  double xen_free;

  /* The balancing under way: whom it still has to set. */
  size_t at, n_requests;
  guint tries; /* left; 0: isn't waiting */
  int64_t try_us;

  size_t *requests;
  size_t n;
  Guest guests[];
} Qubes;

static gpointer
start(size_t n_guests)
{
  Qubes *qubes = g_malloc0(sizeof(Qubes) + n_guests * sizeof(Guest));

  qubes->n = n_guests;
  qubes->requests = g_new0(size_t, n_guests + 1);
  return qubes;
}

static void
end(gpointer memory)
{
  Qubes *qubes = memory;

  g_free(qubes->requests);
  g_free(qubes);
}

static Figures
figures_of(const CagmaPeerGuest *peer, const CagmaSample *sample)
{
  Figures figures = { .size_kib = cagma_min_kib(peer->reported_at_kib, CAGMA_MAX_KIB),
                      .unused_kib = sample->unused_kib,
                      .caches_kib = sample->caches_kib };

  if (sample->has & CAGMA_HAS_SWAP_USED)
    figures.swapped_kib = sample->swap_used_kib;
  else if (sample->has & CAGMA_HAS_SWAP)
    figures.swapped_kib = cagma_above(sample->swap_out_kib, sample->swap_in_kib);
  return figures;
}

static gboolean
is_same(const Figures *a, const Figures *b)
{
  return a->size_kib == b->size_kib && a->unused_kib == b->unused_kib && a->caches_kib == b->caches_kib &&
         a->swapped_kib == b->swapped_kib;
}

static gboolean
is_written(uint64_t used_kib, uint64_t written_kib, uint64_t size_kib)
{
  uint64_t change_kib = used_kib > written_kib ? used_kib - written_kib : written_kib - used_kib;

  if (change_kib > WRITE_KIB || !written_kib)
    return TRUE;
  return used_kib > written_kib && used_kib / 10 > (size_kib + 12) / 13 && change_kib > WRITE_KIB / 2;
}

/* The guest's side. */
static void
report(Qubes *qubes, Guest *guest, const CagmaPeerGuest *peer, const CagmaSample *sample)
{
  Figures figures = figures_of(peer, sample);
  uint64_t size_kib = figures.size_kib ? figures.size_kib : sample->actual_kib;
  uint64_t with_kib = size_kib + figures.swapped_kib;
  uint64_t without_kib = figures.unused_kib + figures.caches_kib;

  if (guest->written_kib && is_same(&figures, &guest->seen))
    return;
  guest->seen = figures;
  if (with_kib < without_kib || !is_written(with_kib - without_kib, guest->written_kib, size_kib))
    return;
  guest->written_kib = with_kib - without_kib;
  if (!guest->turn)
    guest->turn = ++qubes->turns;
}

static void
list(Qubes *qubes, const CagmaPeerHost *host)
{
  for (size_t i = 0; i < qubes->n; i++) {
    Guest *guest = &qubes->guests[i];

    if (host->guests[i].running == guest->here)
      continue;
    *guest = (Guest){ .here = host->guests[i].running };
    if (!qubes->list_turn)
      qubes->list_turn = ++qubes->turns;
  }
}

static void
look(Qubes *qubes, const CagmaPeerHost *host)
{
  qubes->xen_free = trunc((double)cagma_min_kib(host->unclaimed_kib, CAGMA_MAX_KIB) * 1024 * OVERHEAD);
  for (size_t i = 0; i < qubes->n; i++) {
    const CagmaPeerGuest *peer = &host->guests[i];
    Guest *guest = &qubes->guests[i];
    CagmaSample sample = cagma_peer_sample(peer);
    uint64_t target_kib = cagma_min_kib(peer->target_kib, CAGMA_MAX_KIB);

    if (!guest->here)
      continue;
    if (guest->target_kib != target_kib) {
      guest->target_kib = target_kib;
      guest->target = (double)target_kib * 1024;
    }
    guest->size = sample.has & CAGMA_HAS_ACTUAL ? (double)sample.actual_kib * 1024 : guest->target;
    guest->maximum = (double)cagma_peer_maximum(peer) * 1024;
    if (peer->has_driver && (sample.has & NEEDED) == NEEDED)
      report(qubes, guest, peer, &sample);
  }
}

static double
holds(const Guest *guest)
{
  return MAX(guest->size, guest->target);
}

static double
preferred(const Guest *guest)
{
  return trunc(MAX(MIN(guest->used * CACHE_FACTOR, guest->maximum), PREFERRED_LEAST));
}

static gboolean
is_in(const Guest *guest)
{
  return guest->here && guest->told && !guest->no_progress;
}

static double
free_of(const Qubes *qubes)
{
  double unused = 0;

  for (size_t i = 0; i < qubes->n; i++) {
    if (qubes->guests[i].here)
      unused += MAX(qubes->guests[i].target - qubes->guests[i].size, 0);
  }
  return qubes->xen_free - unused;
}

static void
request(Qubes *qubes, size_t i, double wanted)
{
  qubes->guests[i].wanted = wanted;
  qubes->requests[qubes->n_requests++] = i;
}

/* Divides what is above somebody's maximum among those below theirs. */
static void
divide(Qubes *qubes, double left, size_t takers)
{
  while (left > 0 && takers > 0) {
    double bonus = trunc(ROUNDING * (left / (double)takers));
    double next_left = 0;
    size_t next_takers = takers;

    for (size_t i = 0; i < qubes->n; i++) {
      Guest *guest = &qubes->guests[i];

      if (!is_in(guest) || guest->wanted >= guest->maximum)
        continue;
      guest->wanted += bonus;
      if (guest->wanted < guest->maximum)
        continue;
      next_left += guest->wanted - guest->maximum;
      guest->wanted = guest->maximum;
      next_takers--;
    }
    left = next_left;
    takers = next_takers;
  }
}

static void
balance_plenty(Qubes *qubes, double in_hand, double preferred_by_all)
{
  double left = 0;
  size_t takers = 0;

  for (size_t i = 0; i < qubes->n; i++) {
    Guest *guest = &qubes->guests[i];
    double scale;

    if (!is_in(guest))
      continue;
    scale = preferred(guest) / preferred_by_all;
    guest->wanted = trunc(ROUNDING * (preferred(guest) + scale * in_hand));
    takers += guest->wanted <= guest->maximum;
    left += MAX(guest->wanted - guest->maximum, 0);
    guest->wanted = MIN(guest->wanted, guest->maximum);
  }
  divide(qubes, left, takers);
  for (int gives = 1; gives >= 0; gives--) {
    for (size_t i = 0; i < qubes->n; i++) {
      const Guest *guest = &qubes->guests[i];

      if (is_in(guest) && (guest->wanted < holds(guest)) == gives)
        request(qubes, i, guest->wanted);
    }
  }
}

static gboolean
is_donor(const Guest *guest)
{
  return preferred(guest) < holds(guest) || holds(guest) >= guest->maximum;
}

static void
balance_short(Qubes *qubes, double spare)
{
  double preferred_by_takers = 0;

  for (size_t i = 0; i < qubes->n; i++) {
    const Guest *guest = &qubes->guests[i];

    if (!is_in(guest))
      continue;
    if (!is_donor(guest)) {
      preferred_by_takers += preferred(guest);
    } else if (holds(guest) - preferred(guest) >= GIVES_LEAST) {
      spare -= holds(guest) - preferred(guest);
      request(qubes, i, preferred(guest));
    }
  }
  if (spare < 0)
    return;
  for (size_t i = 0; i < qubes->n; i++) {
    const Guest *guest = &qubes->guests[i];

    if (is_in(guest) && !is_donor(guest))
      request(qubes, i,
              MIN(trunc(ROUNDING * (holds(guest) + preferred(guest) / preferred_by_takers * spare)),
                  guest->maximum));
  }
}

static gboolean
is_worth_it(const Qubes *qubes, double free)
{
  double moved = fabs(free - KEEP_FREE);

  if (KEEP_FREE - free > GETS_LEAST)
    return TRUE;
  for (size_t i = 0; i < qubes->n_requests; i++) {
    const Guest *guest = &qubes->guests[qubes->requests[i]];
    double change = guest->wanted - guest->target;

    moved += fabs(change);
    if (guest->target < preferred(guest) && change > GETS_LEAST)
      return TRUE;
  }
  return moved > MOVES_LEAST;
}

static void
readmit(Qubes *qubes)
{
  for (size_t i = 0; i < qubes->n; i++) {
    Guest *guest = &qubes->guests[i];

    if (guest->told && (holds(guest) <= guest->target + KEEP_FREE / 2 || holds(guest) < preferred(guest)))
      guest->no_progress = FALSE;
  }
}

static void
balance(Qubes *qubes)
{
  double needed = 0, preferred_by_all = 0, free;

  qubes->at = qubes->n_requests = 0;
  readmit(qubes);
  free = free_of(qubes);
  for (size_t i = 0; i < qubes->n; i++) {
    const Guest *guest = &qubes->guests[i];

    if (!is_in(guest))
      continue;
    needed += preferred(guest) - holds(guest);
    preferred_by_all += preferred(guest);
  }
  if (free - KEEP_FREE - needed > 0)
    balance_plenty(qubes, free - KEEP_FREE - needed, preferred_by_all);
  else
    balance_short(qubes, free - KEEP_FREE);
  if (!is_worth_it(qubes, free))
    qubes->n_requests = 0;
  for (size_t i = 0; i < qubes->n; i++)
    qubes->guests[i].before = holds(&qubes->guests[i]);
}

/* Xen refuses less than nothing, and gives nobody more than its maximum: what is left when a
 * round is given up can be above it. */
static void
set(Qubes *qubes, CagmaPeerHost *host, size_t i, double target)
{
  Guest *guest = &qubes->guests[i];

  if (target < 0)
    return;
  guest->target = MIN(target, guest->maximum);
  guest->target_kib = (uint64_t)(guest->target / 1024);
  host->guests[i].target_kib = guest->target_kib;
}

static void
give_up(Qubes *qubes, CagmaPeerHost *host)
{
  size_t last = qubes->requests[qubes->at];

  for (size_t i = 0; i < qubes->at; i++) {
    Guest *guest = &qubes->guests[qubes->requests[i]];

    if (guest->here && holds(guest) > guest->target + KEEP_FREE / 4 && holds(guest) == guest->before)
      guest->no_progress = TRUE;
  }
  set(qubes, host, last, free_of(qubes) + holds(&qubes->guests[last]) - KEEP_FREE);
  qubes->at = qubes->n_requests;
}

static gboolean
fits(const Qubes *qubes, const Guest *guest)
{
  return free_of(qubes) - (guest->wanted - holds(guest)) >= KEEP_FREE_PART * KEEP_FREE;
}

/* TRUE once the guest's wait is over; its turn to be set may have passed by then. */
static gboolean
has_waited(Qubes *qubes, CagmaPeerHost *host, int64_t now_us)
{
  if (!qubes->tries)
    return TRUE;
  if (now_us < qubes->try_us)
    return FALSE;
  qubes->try_us = now_us + TRY_US;
  if (--qubes->tries == 0)
    give_up(qubes, host);
  return TRUE;
}

/* Goes on with the balancing under way; TRUE once it is over. */
static gboolean
carry_on(Qubes *qubes, CagmaPeerHost *host, int64_t now_us)
{
  while (qubes->at < qubes->n_requests) {
    size_t i = qubes->requests[qubes->at];

    if (qubes->guests[i].here) {
      if (!has_waited(qubes, host, now_us))
        return FALSE;
      if (qubes->at == qubes->n_requests)
        break;
      if (!fits(qubes, &qubes->guests[i])) {
        if (!qubes->tries) {
          qubes->tries = TRIES;
          qubes->try_us = now_us + TRY_US;
        }
        return FALSE;
      }
      set(qubes, host, i, qubes->guests[i].wanted);
    }
    qubes->tries = 0;
    qubes->at++;
  }
  return TRUE;
}

/* Takes in what happened first of what hasn't been taken in; FALSE where all has. */
static gboolean
take_in(Qubes *qubes)
{
  uint64_t first = qubes->list_turn ? qubes->list_turn : UINT64_MAX;
  Guest *writer = NULL;

  for (size_t i = 0; i < qubes->n; i++) {
    Guest *guest = &qubes->guests[i];

    if (guest->turn && guest->turn < first) {
      first = guest->turn;
      writer = guest;
    }
  }
  if (first == UINT64_MAX)
    return FALSE;
  if (!writer) {
    qubes->list_turn = 0;
    return TRUE;
  }
  writer->turn = 0;
  writer->told = TRUE;
  writer->used = (double)writer->written_kib * 1024;
  return TRUE;
}

static void
decide(gpointer memory, CagmaPeerHost *host, int64_t now_us)
{
  Qubes *qubes = memory;

  list(qubes, host);
  look(qubes, host);
  while (carry_on(qubes, host, now_us) && take_in(qubes))
    balance(qubes);
}

const CagmaPeer cagma_peer_qubes = {
  .name = "qubes",
  .summary = "Qubes OS' qmemman: 1.3 times what each uses, the rest in proportion, at each change",
  .period_us = TRY_US,
  .at_reports = TRUE,
  .at_arrivals = TRUE,
  .on_xen = TRUE,
  .looks_inside = TRUE,
  .start = start,
  .decide = decide,
  .end = end,
};
