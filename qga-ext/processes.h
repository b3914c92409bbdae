/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "qga-ext/pids.h"
#include "qga-ext/system.h"

/* Which process is largest, and which one swaps, with bounded work on a guest with any
 * number of processes: a round over all of them is done in slices, and the answer is that
 * of the last whole round.
 *
 *   largest   most resident and swapped-out memory together
 *   swapping  most growth since the round before, of major faults (a page each) and
 *             swapped-out memory together; none where nothing grew
 *
 * Kernel threads have no memory of their own and aren't counted. */

/* Where growth is remembered: by pid modulo this many. Two processes that share a place
 * take it from each other, and neither is then found to be swapping; pids are given out
 * in turn, so that it takes more than this many processes, or luck. A power of two. */
#define CAGMA_PROCESS_BASELINES 4096u

typedef struct {
  bool known;
  uint32_t pid;
  uint64_t rss;  /* bytes */
  uint64_t swap; /* bytes */
} CagmaProcess;

typedef struct {
  CagmaProcess largest;
  CagmaProcess swapping;
  uint64_t n_processes;
} CagmaProcessRound;

typedef struct {
  uint32_t pid; /* 0: free */
  uint32_t start_ticks;
  uint64_t major_faults;
  uint64_t swap;
} CagmaProcessBaseline;

typedef struct {
  const CagmaSystem *system;
  CagmaProcessRound current; /* as far as it is */
  uint64_t current_growth;   /* of current.swapping, in bytes */
  CagmaProcessRound whole;   /* the last that was finished */
  bool has_whole;
  uint64_t whole_us;     /* when it was finished */
  uint64_t began_ticks;  /* when the current round began, in clock ticks since boot */
  uint64_t before_ticks; /* when the one before it did; 0: there is none */
  CagmaPids pids;
  CagmaProcessBaseline baselines[CAGMA_PROCESS_BASELINES];
} CagmaProcesses;

/* The time it takes to look at a process is 10 to 30 µs on a machine of today. */
typedef struct {
  uint32_t processes;
  uint64_t us;
} CagmaProcessBudget;

/* Its memory must be zeroes. The system must outlive it. */
void cagma_processes_init(CagmaProcesses *processes, const CagmaSystem *system);

/* Goes on with the round, until it is finished or the budget is used up. At least one
 * process is looked at. swap_in_use FALSE: no process has any, so that half the work can
 * be saved. */
void cagma_processes_scan(CagmaProcesses *processes, CagmaProcessBudget budget, bool swap_in_use);

/* The last whole round, or where there is none yet the current one. *whole says which;
 * *age_us is the time since the round was finished, 0 where it isn't. */
const CagmaProcessRound *cagma_processes_result(const CagmaProcesses *processes, bool *whole,
                                                uint64_t *age_us);
