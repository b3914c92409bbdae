/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the guest: starts a program that will swap, and says when swapping out began and when it had ended.
 *
 *   swapwatch TAG LEAST-S LIMIT-S PROGRAM ARGUMENT…
 *
 * Writes one line to the console, which the host can read without asking the guest anything:
 *   SWAPWATCH TAG FIRST-US ERROR-US LAST-US PAGES STALL-US
 * FIRST: the first page was swapped out, by the guest's clock, at most ERROR before. LAST: the last one was,
 * with none for a whole second after, nor in the LEAST seconds from the first on; 0 where LIMIT came first. FIRST is
 * 0 where nothing was swapped out. STALL: a pressure trigger as our agent's fired; 0: it didn't, or there are none.
 * Then the program is ended. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_US 1000000
/* Before the first page: reading /proc/vmstat takes an emulated guest some 0.2 ms. */
#define POLL_MS 2
/* After it the work is to have the processor; the last page is a matter of seconds. */
#define POLL_AFTER_MS 20
/* So long without a page, and swapping out is over. */
#define QUIET_US SECOND_US
/* µs of stall, and the time they are counted in: the agent's default. */
#define TRIGGER "some 25000 500000"

typedef struct {
  int64_t first_us;
  int64_t error_us;
  int64_t last_us;
  uint64_t pages;
  int64_t stall_us;
  int quiet;
} Seen;

static int64_t
now_us(void)
{
  struct timespec t;

  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

static void
fail(const char *what)
{
  perror(what);
  exit(EXIT_FAILURE);
}

static uint64_t
swapped_out(int fd)
{
  static char text[16 * 1024];
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  const char *line;

  if (n <= 0)
    fail("/proc/vmstat");
  text[n] = '\0';
  line = strstr(text, "\npswpout ");
  return line ? strtoull(line + strlen("\npswpout "), NULL, 10) : 0;
}

/* -1: this kernel has no such thing. */
static int
arm_trigger(void)
{
  int fd = open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC);

  if (fd >= 0 && write(fd, TRIGGER, sizeof TRIGGER) < 0)
    fail("/proc/pressure/memory");
  return fd;
}

static void
wait_for_stall(struct pollfd *trigger, int ms, Seen *seen)
{
  if (poll(trigger, 1, ms) <= 0)
    return;
  seen->stall_us = now_us();
  trigger->fd = -1; /* the first one is what is wanted */
}

static pid_t
start(char **argv)
{
  pid_t pid = fork();

  if (pid < 0)
    fail("fork");
  if (pid > 0)
    return pid;
  execv(argv[0], argv);
  fail(argv[0]);
  return 0;
}

static void
watch(int fd, struct pollfd *trigger, uint64_t before, int64_t least_us, int64_t limit_us, Seen *seen)
{
  int64_t began_us = now_us(), read_us = began_us;
  uint64_t last = before;

  while (!seen->quiet && read_us - began_us < limit_us) {
    int64_t previous_us = read_us;
    uint64_t pages;

    wait_for_stall(trigger, seen->first_us ? POLL_AFTER_MS : POLL_MS, seen);
    pages = swapped_out(fd);
    read_us = now_us();
    if (pages != last && !seen->first_us) {
      seen->first_us = read_us;
      seen->error_us = read_us - previous_us;
    }
    if (pages != last)
      seen->last_us = read_us;
    last = pages;
    seen->quiet =
        seen->first_us && read_us - seen->last_us >= QUIET_US && read_us - seen->first_us >= least_us;
  }
  seen->pages = last - before;
}

int
main(int argc, char **argv)
{
  const struct sched_param first = { .sched_priority = 1 };
  Seen seen = { 0 };
  int vmstat = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
  int console = open("/dev/console", O_WRONLY | O_CLOEXEC);
  struct pollfd trigger = { .events = POLLPRI };
  uint64_t before;
  pid_t child;

  if (argc < 5 || vmstat < 0 || console < 0)
    fail("swapwatch TAG LEAST-S LIMIT-S PROGRAM ARGUMENT…");
  before = swapped_out(vmstat);
  trigger.fd = arm_trigger();
  child = start(&argv[4]);
  /* Neither swapped out itself nor waiting for those that are. */
  if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 || sched_setscheduler(0, SCHED_FIFO, &first) < 0)
    fail("mlockall, sched_setscheduler");
  watch(vmstat, &trigger, before, strtoll(argv[2], NULL, 10) * SECOND_US,
        strtoll(argv[3], NULL, 10) * SECOND_US, &seen);
  kill(child, SIGTERM);
  waitpid(child, NULL, 0);
  dprintf(console, "SWAPWATCH %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %" PRId64 "\n", argv[1],
          seen.first_us, seen.error_us, seen.quiet ? seen.last_us : 0, seen.pages, seen.stall_us);
  return EXIT_SUCCESS;
}
