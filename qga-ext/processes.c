/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/processes.h"

#include <string.h>

#include "qga-ext/clock.h"

_Static_assert((CAGMA_PROCESS_BASELINES & (CAGMA_PROCESS_BASELINES - 1)) == 0, "a power of two");

/* /proc/PID/status has 1.5 KiB, and up to 11 bytes more for each group, before VmSwap. */
#define PROCESS_FILE_BYTES ((size_t)16 * 1024)

void
cagma_processes_init(CagmaProcesses *processes, const CagmaSystem *system)
{
  processes->system = system;
}

/* By how much, in bytes, faults and swap grew since the process was last seen. A process
 * that began after that has grown from nothing. */
static uint64_t
growth_of(CagmaProcesses *processes, uint32_t pid, const CagmaProcessStat *stat, uint64_t swap)
{
  CagmaProcessBaseline *baseline = &processes->baselines[pid & (CAGMA_PROCESS_BASELINES - 1)];
  const bool same = baseline->pid == pid && baseline->start_ticks == (uint32_t)stat->start_ticks;
  const bool is_new = processes->before_ticks > 0 && stat->start_ticks >= processes->before_ticks;
  uint64_t faults = 0, swapped = 0;

  if (same) {
    faults = stat->major_faults > baseline->major_faults ? stat->major_faults - baseline->major_faults : 0;
    swapped = swap > baseline->swap ? swap - baseline->swap : 0;
  } else if (is_new) {
    faults = stat->major_faults;
    swapped = swap;
  }
  *baseline = (CagmaProcessBaseline){
    .pid = pid,
    .start_ticks = (uint32_t)stat->start_ticks,
    .major_faults = stat->major_faults,
    .swap = swap,
  };
  return faults * processes->system->page_bytes + swapped;
}

static void
look_at(CagmaProcesses *processes, uint32_t pid, bool swap_in_use)
{
  static char text[PROCESS_FILE_BYTES];
  CagmaProcessRound *round = &processes->current;
  CagmaProcess process = { .known = true, .pid = pid };
  CagmaProcessStat stat;
  uint64_t growth;
  long length = cagma_pid_read(processes->system->proc_fd, pid, "stat", text, sizeof(text));

  if (length < 0 || !cagma_proc_stat(text, (size_t)length, &stat) || stat.vsize == 0)
    return;
  process.rss = stat.rss_pages * processes->system->page_bytes;
  if (swap_in_use) {
    CagmaFigure swap = { .known = false };

    length = cagma_pid_read(processes->system->proc_fd, pid, "status", text, sizeof(text));
    /* What can't be told of its swap isn't missed. */
    if (length < 0 || !cagma_proc_status(text, (size_t)length, &swap))
      swap.known = false;
    process.swap = swap.known ? swap.value : 0;
  }
  round->n_processes++;
  if (!round->largest.known || process.rss + process.swap > round->largest.rss + round->largest.swap)
    round->largest = process;
  growth = growth_of(processes, pid, &stat, process.swap);
  if (growth > processes->current_growth) {
    processes->current_growth = growth;
    round->swapping = process;
  }
}

static uint64_t
boot_ticks(const CagmaProcesses *processes)
{
  return cagma_clock_boot_us() / (CAGMA_US_PER_S / processes->system->ticks_per_s);
}

static void
finish_round(CagmaProcesses *processes)
{
  processes->whole = processes->current;
  processes->has_whole = true;
  processes->whole_us = cagma_clock_us();
  processes->before_ticks = processes->began_ticks;
  processes->began_ticks = 0;
}

static void
begin_round(CagmaProcesses *processes)
{
  memset(&processes->current, 0, sizeof(processes->current));
  processes->current_growth = 0;
  processes->began_ticks = boot_ticks(processes);
  cagma_pids_begin(&processes->pids, processes->system->proc_fd);
}

void
cagma_processes_scan(CagmaProcesses *processes, CagmaProcessBudget budget, bool swap_in_use)
{
  const uint64_t began_us = cagma_clock_us();
  uint32_t looked = 0;

  if (processes->began_ticks == 0)
    begin_round(processes);
  do {
    const uint32_t pid = cagma_pids_next(&processes->pids);

    if (pid == 0) {
      finish_round(processes);
      return;
    }
    look_at(processes, pid, swap_in_use);
    looked++;
  } while (looked < budget.processes && cagma_clock_us() - began_us < budget.us);
}

const CagmaProcessRound *
cagma_processes_result(const CagmaProcesses *processes, bool *whole, uint64_t *age_us)
{
  *whole = processes->has_whole;
  *age_us = processes->has_whole ? cagma_clock_us() - processes->whole_us : 0;
  return processes->has_whole ? &processes->whole : &processes->current;
}
