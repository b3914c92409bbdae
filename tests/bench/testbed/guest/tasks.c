/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * tasks PORT: the tasks of CAGMA's experiment, in the guest, by a schedule that comes over a virtio port.
 *
 * The host writes lines; times are µs since "go", sizes KiB:
 *   steps N                                  of an iteration of a memory task
 *   seed N                                   of the tasks' random numbers
 *   task ID memory|disk START-US SIZE-KIB    of that size; SIZE of one transfer for a disk task
 *   go END-US                                all tasks end then
 * The guest answers with lines:
 *   R                                        ready for a schedule
 *   G                                        "go" has been received: time 0
 *   T ID START-US                            a task was started
 *   I ID START-US END-US                     an iteration is complete
 *   X ID END-US                              a task died before its time
 *   S US AVAILABLE-KIB SWAP-IN SWAP-OUT INFLATED DEFLATED STALLED-US AGENT-US, then for swap and data disk each:
 *     READS SECTORS WRITES SECTORS           all since the guest's start, the first five in pages but for KiB
 *   E TEXT                                   what failed
 *   D LOST                                   done; lines that had no room
 *
 * The parent must get through in a guest that thrashes: it is locked in memory, has real-time priority, and
 * asks nothing of its tasks, which leave their times in locked memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tasks.h"

enum {
  TICK_MS = 50, /* how late a task may start */
  SAMPLE_US = 500000,
  OUT_BYTES = 1 << 20, /* some minutes of what a guest has to say */
  LINE_BYTES = 256,
  END_TICKS = 600, /* 30 s: a killed task first has its page from the slow disk */
};

typedef struct {
  bool memory;
  int64_t start_us;
  uint64_t size_kib;
  pid_t pid; /* 0: not started yet, or dead */
  bool started;
  uint64_t drained;
} Task;

typedef struct {
  int port;
  char *out;
  size_t out_from, out_to;
  uint64_t lost;
  char in[LINE_BYTES];
  size_t in_len;
  Task tasks[MAX_TASKS];
  Slot *slots;
  Figures *figures;
  uint64_t steps, seed;
  int64_t go_us, end_us;
  bool going;
} Parent;

int64_t
tasks_now_us(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
fail(const char *what)
{
  fprintf(stderr, "tasks: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

/* What the host doesn't read in time waits in a buffer. */
static void
flush(Parent *parent)
{
  while (parent->out_from < parent->out_to) {
    const ssize_t n = write(parent->port, parent->out + parent->out_from, parent->out_to - parent->out_from);

    if (n <= 0)
      return;
    parent->out_from += (size_t)n;
  }
  parent->out_from = parent->out_to = 0;
}

static void __attribute__((format(printf, 2, 3))) say(Parent *parent, const char *format, ...)
{
  char line[LINE_BYTES];
  va_list arguments;
  int n;

  va_start(arguments, format);
  n = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (n < 0 || n >= (int)sizeof line - 1 || parent->out_to + (size_t)n + 1 > OUT_BYTES) {
    parent->lost++;
    return;
  }
  line[n++] = '\n';
  memcpy(parent->out + parent->out_to, line, (size_t)n);
  parent->out_to += (size_t)n;
}

static int64_t
elapsed_us(const Parent *parent)
{
  return tasks_now_us() - parent->go_us;
}

static void
start_task(Parent *parent, size_t id)
{
  Task *task = &parent->tasks[id];
  const pid_t pid = fork();

  if (pid < 0) {
    say(parent, "E fork: %s", strerror(errno));
    return;
  }
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (task->memory)
      task_memory(&parent->slots[id], task->size_kib, parent->steps, parent->seed * MAX_TASKS + id);
    task_disk(&parent->slots[id], task->size_kib);
  }
  task->pid = pid;
  task->started = true;
  say(parent, "T %zu %" PRId64, id, elapsed_us(parent));
}

static void
start_due(Parent *parent)
{
  const int64_t now_us = elapsed_us(parent);

  for (size_t id = 0; id < MAX_TASKS; id++) {
    const Task *task = &parent->tasks[id];

    if (task->size_kib > 0 && !task->started && task->start_us <= now_us)
      start_task(parent, id);
  }
}

static void
drain(Parent *parent, size_t id)
{
  Task *task = &parent->tasks[id];
  Slot *slot = &parent->slots[id];
  const uint64_t done = slot->done;

  if (done - task->drained > SLOT_ITERATIONS) {
    parent->lost += done - task->drained - SLOT_ITERATIONS;
    task->drained = done - SLOT_ITERATIONS;
  }
  for (; task->drained < done; task->drained++) {
    const Iteration *iteration = &slot->iterations[task->drained % SLOT_ITERATIONS];
    const int64_t end_us = iteration->end_us - parent->go_us;

    if (end_us <= parent->end_us)
      say(parent, "I %zu %" PRId64 " %" PRId64, id, iteration->start_us - parent->go_us, end_us);
  }
}

static void
reap(Parent *parent)
{
  pid_t pid;

  while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
    for (size_t id = 0; id < MAX_TASKS; id++) {
      if (parent->tasks[id].pid != pid)
        continue;
      parent->tasks[id].pid = 0;
      if (parent->going)
        say(parent, "X %zu %" PRId64, id, elapsed_us(parent));
      if (parent->slots[id].failed[0] != '\0')
        say(parent, "E task %zu: %s", id, parent->slots[id].failed);
    }
  }
}

static void
sample(Parent *parent)
{
  Figures *f = parent->figures;
  const int64_t now_us = elapsed_us(parent);

  figures_read(f);
  say(parent,
      "S %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
      " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
      now_us, f->available_kib, f->swap_in_pages, f->swap_out_pages, f->inflated_pages, f->deflated_pages,
      f->stalled_us, f->agent_us, f->swap.reads, f->swap.read_sectors, f->swap.writes, f->swap.write_sectors,
      f->data.reads, f->data.read_sectors, f->data.writes, f->data.write_sectors);
}

static bool
any_left(const Parent *parent)
{
  for (size_t id = 0; id < MAX_TASKS; id++) {
    if (parent->tasks[id].pid > 0)
      return true;
  }
  return false;
}

static void
end_tasks(Parent *parent)
{
  sample(parent);
  parent->going = false;
  for (size_t id = 0; id < MAX_TASKS; id++) {
    if (parent->tasks[id].pid > 0)
      kill(parent->tasks[id].pid, SIGKILL);
  }
  for (int tick = 0; tick < END_TICKS && any_left(parent); tick++) {
    reap(parent);
    flush(parent);
    poll(NULL, 0, TICK_MS);
  }
  if (any_left(parent))
    say(parent, "E tasks don't end");
  for (size_t id = 0; id < MAX_TASKS; id++)
    drain(parent, id);
  say(parent, "D %" PRIu64, parent->lost);
  memset(parent->tasks, 0, sizeof parent->tasks);
  memset(parent->slots, 0, MAX_TASKS * sizeof *parent->slots);
  parent->lost = 0;
}

static void
go(Parent *parent, int64_t end_us)
{
  figures_find_agent(parent->figures);
  parent->go_us = tasks_now_us();
  parent->end_us = end_us;
  parent->going = true;
  say(parent, "G");
  sample(parent); /* the first and the last are the two ends of what is counted */
}

static void
obey(Parent *parent, const char *line)
{
  size_t id;
  char kind[8], rest;
  int64_t time_us;
  uint64_t number;

  if (parent->going) {
    say(parent, "E busy: %.80s", line);
  } else if (sscanf(line, "steps %" SCNu64 "%c", &number, &rest) == 1) {
    parent->steps = number;
  } else if (sscanf(line, "seed %" SCNu64 "%c", &number, &rest) == 1) {
    parent->seed = number;
  } else if (sscanf(line, "go %" SCNd64 "%c", &time_us, &rest) == 1) {
    go(parent, time_us);
  } else if (sscanf(line, "task %zu %7s %" SCNd64 " %" SCNu64 "%c", &id, kind, &time_us, &number, &rest) ==
                 4 &&
             id < MAX_TASKS) {
    parent->tasks[id] =
        (Task){ .memory = strcmp(kind, "memory") == 0, .start_us = time_us, .size_kib = number };
  } else {
    say(parent, "E not understood: %.80s", line);
  }
}

static void
take_in(Parent *parent, char c)
{
  if (c == '\n') {
    parent->in[parent->in_len] = '\0';
    parent->in_len = 0;
    obey(parent, parent->in);
  } else if (parent->in_len < sizeof parent->in - 1) {
    parent->in[parent->in_len++] = c;
  }
}

static void
hear(Parent *parent)
{
  char bytes[LINE_BYTES];
  ssize_t n;

  while ((n = read(parent->port, bytes, sizeof bytes)) > 0) {
    for (ssize_t i = 0; i < n; i++)
      take_in(parent, bytes[i]);
  }
}

static void
serve(Parent *parent)
{
  int64_t sampled_us = 0;

  say(parent, "R");
  for (;;) {
    struct pollfd port = { .fd = parent->port, .events = POLLIN };

    poll(&port, 1, TICK_MS);
    if (port.revents & POLLHUP)
      poll(NULL, 0, TICK_MS); /* nobody is at the other end */
    hear(parent);
    reap(parent);
    for (size_t id = 0; id < MAX_TASKS && parent->going; id++)
      drain(parent, id);
    if (parent->going)
      start_due(parent);
    if (tasks_now_us() - sampled_us >= SAMPLE_US) {
      sampled_us = tasks_now_us();
      sample(parent);
    }
    if (parent->going && elapsed_us(parent) >= parent->end_us)
      end_tasks(parent);
    flush(parent);
  }
}

static void *
map_shared(size_t bytes)
{
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  if (memory == MAP_FAILED)
    fail("mmap");
  return memory;
}

/* Neither swapped out itself nor behind those that are; nor killed for the memory its tasks use. */
static void
take_precedence(void)
{
  const struct sched_param first = { .sched_priority = 1 };
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

  if (fd < 0 || write(fd, "-1000", 5) < 0)
    fail("oom_score_adj");
  close(fd);
  if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 ||
      sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first) < 0)
    fail("mlockall, sched_setscheduler");
}

int
main(int argc, char **argv)
{
  static Parent parent = { .steps = 1 };

  if (argc != 2) {
    fputs("usage: tasks PORT\n", stderr);
    return 2;
  }
  parent.port = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (parent.port < 0)
    fail(argv[1]);
  parent.figures = figures_open();
  if (parent.figures == NULL)
    fail("/proc");
  parent.slots = map_shared(MAX_TASKS * sizeof *parent.slots);
  parent.out = map_shared(OUT_BYTES);
  take_precedence();
  serve(&parent);
}
