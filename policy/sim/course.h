/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/random.h"
#include "policy/sim/scenario.h"

/* The course of a part: how large it is at a time, and how fast it is touched. Depends on
 * nothing but the part and the seed, nor on how often it is looked at, so that all contestants
 * meet the same guests, and the oracle can know it. */
typedef struct {
  const CagmaPart *part;
  CagmaRandom walks, bursts;
  size_t phase; /* the one in force, counted from 1; 0: none yet */
  double from_kib;
  double wander_kib;
  int64_t walk_us;       /* the next step of its walk */
  int64_t burst_from_us; /* the window's burst … */
  int64_t window_us;     /* … and the window after it */
  /* Where it is now. */
  double size_kib;
  int64_t sweep_us; /* 0: not touched */
} CagmaCourse;

void cagma_course_init(CagmaCourse *course, const CagmaPart *part, uint64_t seed);

/* Goes on to now_us, which must not be before the last one. */
void cagma_course_go(CagmaCourse *course, int64_t now_us);
