/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/reader.h"

#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qga-ext/clock.h"
#include "qga-ext/thread.h"

/* A step has 6 KiB; and what the C library needs. */
#define STACK_BYTES (CAGMA_THREAD_STACK_MIN + (size_t)32 * 1024 * CAGMA_THREAD_STACK_FACTOR)

#define NICE 10

struct CagmaReader {
  _Alignas(16) char stack[STACK_BYTES];
  const CagmaSystem *system;
  int wake_fd;
  /* The asker's own. */
  bool told;         /* that it is done */
  uint64_t asked_us; /* 0: never */
  CagmaReadBack read_back;

  /* Said by the asker. */
  _Atomic int64_t left; /* bytes */
  _Atomic uint64_t until_us;
  _Atomic bool begin_anew;
  /* Said by the thread. The asker clears them where it has it begin anew. */
  _Atomic uint64_t bytes;
  _Atomic uint64_t processes;
  _Atomic uint64_t slice_us; /* when the slice at hand was begun; 0: none is */
  _Atomic bool done;
  _Atomic bool may_not;
};

static void
tell(CagmaReader *reader, CagmaReadBackResult result)
{
  const CagmaReadBack *read_back = &reader->read_back;

  reader->bytes = read_back->bytes;
  reader->processes = read_back->processes;
  if (result != CAGMA_READ_BACK_OVER)
    return;
  reader->may_not = read_back->refused > 0 && read_back->bytes == 0;
  reader->done = true;
}

static void
work(CagmaReader *reader)
{
  CagmaReadBack *read_back = &reader->read_back;
  CagmaReadBackResult result = CAGMA_READ_BACK_MORE;

  if (atomic_exchange(&reader->begin_anew, false))
    cagma_read_back_reset(read_back);
  while (result == CAGMA_READ_BACK_MORE && !reader->done && reader->left > 0 &&
         cagma_clock_us() < reader->until_us) {
    const uint64_t before = read_back->bytes;
    int64_t left = reader->left;

    reader->slice_us = cagma_clock_us();
    result = cagma_read_back_step(read_back, reader->system, left > 0 ? (uint64_t)left : 0, reader->until_us);
    reader->slice_us = 0;
    /* Unless it has been asked for so much anew meanwhile. */
    atomic_compare_exchange_strong(&reader->left, &left, left - (int64_t)(read_back->bytes - before));
    tell(reader, result);
  }
}

static void *
run(void *data)
{
  CagmaReader *reader = data;
  uint64_t times;

  cagma_thread_be_nice(NICE);
  for (;;)
    if (read(reader->wake_fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
      work(reader);
  return NULL;
}

CagmaReader *
cagma_reader_new(const CagmaSystem *system, const CagmaReadBackCalls *calls)
{
  CagmaReader *reader =
      mmap(NULL, sizeof(CagmaReader), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (reader == MAP_FAILED)
    return NULL;
  reader->system = system;
  cagma_read_back_init(&reader->read_back, calls);
  reader->wake_fd = eventfd(0, EFD_CLOEXEC);
  if (reader->wake_fd >= 0 && cagma_thread_start(reader->stack, sizeof(reader->stack), run, reader))
    return reader;
  if (reader->wake_fd >= 0)
    close(reader->wake_fd);
  munmap(reader, sizeof(CagmaReader));
  return NULL;
}

CagmaReadBackProgress
cagma_reader_go_on(CagmaReader *reader, uint64_t max_bytes, uint64_t time_us)
{
  const uint64_t now_us = cagma_clock_us(), once = 1;
  const bool forgotten = now_us - reader->asked_us >= CAGMA_READER_FORGETS_US, done = reader->done;
  CagmaReadBackProgress progress = { .bytes = reader->bytes, .processes = reader->processes, .done = done };

  reader->asked_us = now_us;
  if (done && !reader->told && !forgotten) {
    reader->told = true;
    return progress;
  }
  if (done || forgotten) {
    progress = (CagmaReadBackProgress){ .bytes = 0 };
    reader->bytes = reader->processes = 0;
    reader->begin_anew = true;
    reader->done = reader->told = false;
  }
  reader->left = max_bytes < INT64_MAX ? (int64_t)max_bytes : INT64_MAX;
  reader->until_us = now_us + time_us;
  /* It waits only where 2^64 - 2 of them weren't read. */
  (void)!write(reader->wake_fd, &once, sizeof(once));
  return progress;
}

bool
cagma_reader_is_stuck(const CagmaReader *reader)
{
  const uint64_t slice_us = reader->slice_us;

  return slice_us != 0 && cagma_clock_us() - slice_us >= CAGMA_READER_STUCK_US;
}

bool
cagma_reader_may(const CagmaReader *reader)
{
  return !reader->may_not;
}
