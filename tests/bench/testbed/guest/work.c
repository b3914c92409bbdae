/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The tasks of the experiment, as its authors describe them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tasks.h"

enum {
  WORDS_PER_PAGE = PAGE_BYTES / sizeof(uint64_t),
  LINE_BYTES = 64,
  WORDS_PER_LINE = LINE_BYTES / sizeof(uint64_t),
  LINES_PER_PAGE = PAGE_BYTES / LINE_BYTES,
};

static _Noreturn void
give_up(Slot *slot, const char *what)
{
  snprintf(slot->failed, sizeof slot->failed, "%s: %s", what, strerror(errno));
  exit(EXIT_FAILURE);
}

/* When memory runs out, a task is to go and nothing else. */
static void
offer_to_oom_killer(Slot *slot)
{
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

  if (fd < 0 || write(fd, "500", 3) < 0)
    give_up(slot, "oom_score_adj");
  close(fd);
}

static uint8_t *
map_memory(Slot *slot, size_t bytes)
{
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (memory == MAP_FAILED)
    give_up(slot, "mmap");
  return memory;
}

static void
completed(Slot *slot, int64_t start_us)
{
  const uint64_t n = slot->done;

  slot->iterations[n % SLOT_ITERATIONS] = (Iteration){ .start_us = start_us, .end_us = tasks_now_us() };
  slot->done = n + 1;
}

/* splitmix64 (Steele, Lea, Flood 2014): any seed will do. */
static uint64_t
next_random(uint64_t *state)
{
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/* Of pages numbers, without a division. */
static size_t
random_page(uint64_t *state, uint64_t pages)
{
  return (size_t)((next_random(state) >> 32) * pages >> 32);
}

/* Of a page that word which is touched. Were it the first of each page, all would share a few
 * sets of the processor's caches, and each touch go to the memory that other machines share. */
static size_t
word_of(size_t page)
{
  return page * WORDS_PER_PAGE + page % LINES_PER_PAGE * WORDS_PER_LINE;
}

void
task_memory(Slot *slot, uint64_t size_kib, uint64_t steps, uint64_t seed)
{
  const uint64_t pages = size_kib * 1024 / PAGE_BYTES;
  uint64_t state = seed;
  volatile uint64_t *memory;

  offer_to_oom_killer(slot);
  memory = (volatile uint64_t *)map_memory(slot, pages * PAGE_BYTES);
  for (size_t page = 0; page < pages; page++)
    memory[word_of(page)] = next_random(&state);
  for (;;) {
    const int64_t start_us = tasks_now_us();

    for (uint64_t step = 0; step < steps; step++) {
      volatile uint64_t *word = &memory[word_of(random_page(&state, pages))];

      if (step % 2 == 0)
        *word = step;
      else
        (void)*word;
    }
    completed(slot, start_us);
  }
}

void
task_disk(Slot *slot, uint64_t transfer_kib)
{
  const size_t bytes = transfer_kib * 1024;
  const int fd = open("/dev/data", O_RDWR | O_DIRECT | O_SYNC | O_CLOEXEC);
  uint8_t *buffer;

  if (fd < 0)
    give_up(slot, "/dev/data");
  offer_to_oom_killer(slot);
  buffer = map_memory(slot, bytes);
  memset(buffer, 1, bytes);
  for (;;) {
    const int64_t start_us = tasks_now_us();

    if (pwrite(fd, buffer, bytes, 0) != (ssize_t)bytes ||
        pread(fd, buffer, bytes, (off_t)bytes) != (ssize_t)bytes ||
        pwrite(fd, buffer, bytes, (off_t)(2 * bytes)) != (ssize_t)bytes)
      give_up(slot, "/dev/data");
    completed(slot, start_us);
  }
}
