/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/scanner.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "qga-ext/clock.h"

void
cagma_scanner_init(CagmaScanner *scanner, const CagmaSystem *system)
{
  cagma_processes_init(&scanner->processes, system);
}

static void
notify(int fd)
{
  const uint64_t once = 1;

  /* It waits only where 2^64 - 2 of them weren't read. */
  (void)!write(fd, &once, sizeof(once));
}

static bool
was_notified(int fd)
{
  uint64_t times;

  return read(fd, &times, sizeof(times)) == (ssize_t)sizeof(times);
}

static void *
run(void *data)
{
  CagmaScanner *scanner = data;

  cagma_thread_be_nice(0);
  for (;;) {
    if (!was_notified(scanner->wake_fd))
      continue;
    cagma_processes_scan(&scanner->processes, CAGMA_SCAN_BUDGET, scanner->swap_in_use);
    scanner->busy = false;
    notify(scanner->done_fd);
  }
  return NULL;
}

bool
cagma_scanner_start(CagmaScanner *scanner)
{
  scanner->wake_fd = eventfd(0, EFD_CLOEXEC);
  scanner->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  scanner->has_thread = scanner->wake_fd >= 0 && scanner->done_fd >= 0 &&
                        cagma_thread_start(scanner->stack, sizeof(scanner->stack), run, scanner);
  return scanner->has_thread;
}

/* That something was done may be about the time before: then it is waited on. */
static void
await(const CagmaScanner *scanner, int wait_ms)
{
  const uint64_t until_us = cagma_clock_us() + (uint64_t)wait_ms * 1000;
  uint64_t now_us;

  while (scanner->busy && (now_us = cagma_clock_us()) < until_us) {
    struct pollfd done = { .fd = scanner->done_fd, .events = POLLIN };

    if (poll(&done, 1, (int)((until_us - now_us + 999) / 1000)) > 0)
      (void)was_notified(scanner->done_fd);
  }
}

void
cagma_scanner_go_on(CagmaScanner *scanner, bool swap_in_use, int wait_ms)
{
  if (!scanner->has_thread) {
    cagma_processes_scan(&scanner->processes, CAGMA_SCAN_BUDGET, swap_in_use);
    return;
  }
  if (scanner->busy)
    return;
  scanner->swap_in_use = swap_in_use;
  scanner->busy = true;
  notify(scanner->wake_fd);
  await(scanner, wait_ms);
}

const CagmaProcessRound *
cagma_scanner_result(CagmaScanner *scanner, bool *whole, uint64_t *age_us)
{
  const uint64_t now_us = cagma_clock_us();

  if (!scanner->busy) {
    scanner->round = *cagma_processes_result(&scanner->processes, &scanner->whole, &scanner->age_us);
    scanner->taken_us = now_us;
  }
  *whole = scanner->whole;
  *age_us = scanner->whole ? scanner->age_us + (now_us - scanner->taken_us) : 0;
  return &scanner->round;
}
