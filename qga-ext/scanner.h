/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdatomic.h>

#include "qga-ext/processes.h"
#include "qga-ext/thread.h"

/* Looks through the processes in a thread beside the agent's own. Each look opens files: for
 * that the kernel allocates pages, and where it has none and can't push out any either (zram
 * with pages that can't be compressed), it doesn't come back for minutes. The agent would be
 * silent just then, and as real-time task take 95 % of a guest's only CPU.
 *
 * The two are never at it together: asked, the thread has the processes until it is no longer
 * busy, and meanwhile what it found before is told. */

typedef struct {
  CagmaProcesses processes; /* the thread's while it is busy, else the asker's */
  bool swap_in_use;
  _Atomic bool busy;

  bool has_thread;
  int wake_fd;
  int done_fd; /* readable some time after it was no longer busy */

  /* What is told: as of taken_us. */
  CagmaProcessRound round;
  bool whole;
  uint64_t age_us;
  uint64_t taken_us;

  _Alignas(16) char stack[CAGMA_THREAD_STACK_MIN]; /* a look needs 2 KiB of it */
} CagmaScanner;

/* Its memory must be zeroes. The system must outlive it. Without a thread, whoever asks
 * does the looking. */
void cagma_scanner_init(CagmaScanner *scanner, const CagmaSystem *system);

/* Never ended: from now on the scanner has to stay. FALSE with errno where there is none. */
bool cagma_scanner_start(CagmaScanner *scanner) __attribute__((warn_unused_result));

/* How far the processes are looked through at a time: on a machine of today some 500 to
 * 1000 of them, for a hundredth of the time that is between two polls of the host at most. */
#define CAGMA_SCAN_BUDGET ((CagmaProcessBudget){ .processes = 1024, .us = 10000 })

/* Enough for one look, where there is memory for it and a CPU to be had. */
#define CAGMA_SCAN_WAIT_MS 20

/* Has it go on. wait_ms: for the thread to be through with that, at most; there is no wait
 * where it still hasn't done what it was asked before. swap_in_use as for
 * cagma_processes_scan(). */
void cagma_scanner_go_on(CagmaScanner *scanner, bool swap_in_use, int wait_ms);

/* As cagma_processes_result(); valid until the next call. */
const CagmaProcessRound *cagma_scanner_result(CagmaScanner *scanner, bool *whole, uint64_t *age_us);
