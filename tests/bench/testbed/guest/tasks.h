/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The parts of `tasks`, the guest's side of the testbed. */

enum {
  MAX_TASKS = 32,
  SLOT_ITERATIONS = 256, /* the parent looks twenty times a second */
  PAGE_BYTES = 4096,
};

typedef struct {
  int64_t start_us; /* tasks_now_us */
  int64_t end_us;
} Iteration;

/* Where a task leaves its times; only the parent reads it. Locked in memory by the parent. */
typedef struct {
  _Atomic uint64_t done;
  Iteration iterations[SLOT_ITERATIONS]; /* number n is at n % SLOT_ITERATIONS */
  char failed[64];                       /* why the task has ended by itself */
} Slot;

/* CLOCK_MONOTONIC. */
int64_t tasks_now_us(void);

/* The tasks: run until killed. */
_Noreturn void task_memory(Slot *slot, uint64_t size_kib, uint64_t steps, uint64_t seed);
_Noreturn void task_disk(Slot *slot, uint64_t transfer_kib);

typedef struct {
  uint64_t reads, read_sectors, writes, write_sectors; /* /sys/block/DISK/stat */
} DiskFigures;

/* The kernel's own figures, all but the first counters since the guest's start. */
typedef struct {
  uint64_t available_kib;
  uint64_t swap_in_pages, swap_out_pages;
  uint64_t inflated_pages, deflated_pages; /* what the balloon took and gave back */
  uint64_t stalled_us;                     /* PSI memory, full */
  uint64_t agent_us;                       /* CPU time of cagma-guest-agent; 0 where it doesn't run */
  DiskFigures swap, data;
  /* private: open files; -1 where there is none */
  int meminfo, vmstat, pressure, agent, swap_stat, data_stat;
} Figures;

/* Opens all files that figures_read needs, so that it allocates little; NULL with errno. */
Figures *figures_open(void);
/* Looks for the agent's process. */
void figures_find_agent(Figures *figures);
void figures_read(Figures *figures);
