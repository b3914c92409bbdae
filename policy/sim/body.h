/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/course.h"
#include "policy/sim/device.h"
#include "policy/units.h"

/* A guest's body: its memory, and what its kernel does with it. Each tick has three steps:
 * every body says what it would do were the disk idle (want), the disk says how much slower
 * it is (device.h), and every body lives through the tick at that pace (live).
 *
 * The model, after Linux's:
 *   - Pages of a part are touched at its pace, size / sweep. Of those that are swapped out or
 *     not in the cache, as many are missed; each must be read first.
 *   - Free memory is kept above the kernel's high mark: some 66 MiB of 2 GiB.
 *   - Whatever comes in beyond that pushes other pages out: of files first, and of each kind
 *     those that weren't touched for longest. Where files have been missed for a sweep, a
 *     quarter of what goes is looked for among anonymous memory (swappiness 60, mm/vmscan.c:
 *     get_scan_count); of what is found there, so much goes as isn't touched while the kernel
 *     looks through all of it once. Files are dropped; the rest is written to swap, several
 *     pages at once.
 *   - Pages touched in a cycle that doesn't fit are pushed out just before they are wanted.
 *   - Pages wanted in order are read ahead of; a page swapped in at random comes alone.
 *   - What is read takes the thread that wants it its time; writing is done beside it.
 *   - The balloon takes free pages, and where there are none, what the kernel pushes out.
 *   - An agent that was asked to brings back what is swapped out, of the part that misses most
 *     first, neighbours together and several requests at once; nobody waits for that.
 *   - Where nothing more can be pushed out, the largest part is killed, and starts anew. */

/* How long a killed part stays away, and a reboot takes. */
#define CAGMA_SIM_AWAY_US (10 * CAGMA_SECOND_US)

typedef struct {
  CagmaCourse course;
  gboolean anon, cyclic;
  double resident_kib;
  double absent_kib;  /* ANON: swapped out. FILE: evicted, having been in the cache */
  double missed_kib;  /* this tick's wants: touched, and not there … */
  double new_kib;     /* … and pages never touched before */
  double missing_s;   /* some have been missed for so long */
  double evicted_kib; /* pushed out this tick, at full pace */
  int64_t away_until_us;
} CagmaBodyPart;

typedef enum {
  CAGMA_BODY_ABSENT, /* not started yet, or has left */
  CAGMA_BODY_BOOTING,
  CAGMA_BODY_RUNS,
  CAGMA_BODY_PAUSED,
} CagmaBodyState;

typedef enum {
  CAGMA_BALLOON_MOVES,
  CAGMA_BALLOON_STICKS,
  CAGMA_BALLOON_PRETENDS,
} CagmaBalloonKind;

typedef struct {
  const CagmaSimGuest *spec;
  CagmaBodyPart parts[CAGMA_SIM_PARTS_MAX];
  size_t n_parts;
  CagmaBodyState state;
  int64_t boots_until_us;
  CagmaBalloonKind balloon;

  uint64_t asked_kib; /* what the hypervisor was last asked for */
  double actual_kib;  /* what the balloon says it leaves the guest */
  double truly_kib;   /* what it has: more where its balloon pretends */
  double touched_kib; /* what the host backs */
  double watermark_kib;

  /* Wants of this tick, at full pace: what it takes of the guest's own time, and of the
   * disk's. */
  CagmaLoad paging;
  CagmaLoad ballooning;
  double in_kib;          /* memory wanted for what comes in */
  double balloon_kib;     /* and for the balloon */
  double pushed_kib;      /* of the victims, what is for the first of these */
  double host_missed_kib; /* resident here, but swapped out by the host */

  /* What its agent was asked to bring back, and brings back this tick. */
  double back_kib;
  int64_t back_until_us;
  CagmaDiskPhase back;
  double brought_kib; /* since its boot */

  /* What came of it. */
  double stalled;       /* part of this tick lost waiting, or for want of what was killed … */
  double pressed;       /* … for room, or for memory that it had before: what pressure/memory counts */
  double swapped_kib;   /* swapped in and out in this tick */
  double paged_kib;     /* swapped out in this tick */
  double read_back_kib; /* of files, having been evicted before */
  double busy;          /* CPUs used or waited for */
  int64_t cramped_us;   /* could make no room for so long */
  uint64_t oom_kills;

  /* Counters since its boot. */
  double swap_in_kib, swap_out_kib, refault_file_kib, refault_anon_kib, block_read_kib;
} CagmaBody;

void cagma_body_init(CagmaBody *body, const CagmaSimGuest *spec, uint64_t seed);

/* Starts, or starts anew, at its full size; its balloon goes to where it was last asked to
 * once it has booted. */
void cagma_body_boot(CagmaBody *body, int64_t now_us);
/* Runs, its balloon still to go from its full size to its start size … */
void cagma_body_place(CagmaBody *body);
/* … which it then has at once. */
void cagma_body_arrive(CagmaBody *body);
void cagma_body_leave(CagmaBody *body);

/* host_swapped: the part of guests' memory that the host itself has swapped out. */
void cagma_body_want(CagmaBody *body, const CagmaSimDisk *disk, double host_swapped, int64_t now_us,
                     double tick_s);
/* slowness: how many times longer than alone a request takes now. */
void cagma_body_live(CagmaBody *body, double slowness, int64_t now_us, double tick_s);

/* Its agent is asked to bring back so much of what it has swapped out (qga-ext/read-back.h). */
void cagma_body_read_back(CagmaBody *body, uint64_t kib, int64_t now_us);
/* What that asks of the disk in this tick, beside cagma_body_want; NULL: nothing. */
const CagmaDiskPhase *cagma_body_want_back(CagmaBody *body, const CagmaSimDisk *disk, int64_t now_us);
/* After cagma_body_live. */
void cagma_body_live_back(CagmaBody *body, const CagmaSimDisk *disk, double slowness, double tick_s);

double cagma_body_resident(const CagmaBody *body);
double cagma_body_swapped(const CagmaBody *body);
double cagma_body_cached(const CagmaBody *body);
double cagma_body_free(const CagmaBody *body);
/* What it says is available: free memory and cache, less what the kernel keeps (si_mem_available). */
double cagma_body_available(const CagmaBody *body);
/* Its working set, its kernel included: what it must have lest it page. */
double cagma_body_needed(const CagmaBody *body);
