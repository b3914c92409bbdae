/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/read-back.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "qga-ext/cgroup.h"
#include "qga-ext/clock.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PAGE_IS_SWAPPED ((uint64_t)1 << 62)

typedef struct {
  struct iovec ranges[CAGMA_READ_BACK_RANGES];
  size_t n;
  uint64_t bytes;
} Slice;

static int
open_process(uint32_t pid)
{
  return (int)syscall(SYS_pidfd_open, pid, 0);
}

static ssize_t
advise(int fd, const struct iovec *ranges, size_t n)
{
  return syscall(SYS_process_madvise, fd, ranges, n, MADV_WILLNEED, 0);
}

/* Reading a byte of it waits for its page. Where that isn't allowed (Yama), nothing waits:
 * then others wait longer for us. */
static void
await_page(uint32_t pid, void *page)
{
  char byte;
  const struct iovec here = { .iov_base = &byte, .iov_len = 1 };
  const struct iovec there = { .iov_base = page, .iov_len = 1 };

  (void)!process_vm_readv((pid_t)pid, &here, 1, &there, 1, 0);
}

const CagmaReadBackCalls cagma_read_back_calls = { open_process, advise, await_page };

bool
cagma_read_back_can(void)
{
  static enum { UNKNOWN, CAN, CANNOT } answer;
  static _Alignas(16) char page[1];
  const uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
  const struct iovec own = { .iov_base = (void *)((uintptr_t)page & ~(page_bytes - 1)),
                             .iov_len = page_bytes };
  int fd;

  if (answer != UNKNOWN)
    return answer == CAN;
  answer = CANNOT;
  fd = open_process((uint32_t)getpid());
  if (fd < 0)
    return false;
  if (advise(fd, &own, 1) >= 0)
    answer = CAN;
  close(fd);
  return answer == CAN;
}

static void
close_fd(int *fd)
{
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

static void
leave_process(CagmaReadBack *read_back)
{
  close_fd(&read_back->process_fd);
  close_fd(&read_back->smaps_fd);
  close_fd(&read_back->pagemap_fd);
}

void
cagma_read_back_init(CagmaReadBack *read_back, const CagmaReadBackCalls *calls)
{
  memset(read_back, 0, sizeof(*read_back));
  read_back->calls = calls;
  read_back->proc_fd = read_back->meminfo_fd = -1;
  read_back->process_fd = read_back->smaps_fd = read_back->pagemap_fd = -1;
  cagma_read_back_reset(read_back);
}

void
cagma_read_back_reset(CagmaReadBack *read_back)
{
  leave_process(read_back);
  read_back->n_found = read_back->at = 0;
  read_back->looked = false;
  read_back->bytes = read_back->processes = read_back->refused = 0;
}

static bool
open_system(CagmaReadBack *read_back, const CagmaSystem *system)
{
  if (read_back->proc_fd < 0)
    read_back->proc_fd = openat(system->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (read_back->meminfo_fd < 0)
    read_back->meminfo_fd = openat(system->proc_fd, "meminfo", O_RDONLY | O_CLOEXEC);
  read_back->page_bytes = system->page_bytes;
  return read_back->proc_fd >= 0 && read_back->meminfo_fd >= 0 && read_back->page_bytes > 0;
}

/* What may be brought back now, in bytes. */
static uint64_t
room(const CagmaReadBack *read_back)
{
  char text[4096]; /* /proc/meminfo has 1.5 KiB */
  const long length = cagma_read_fd(read_back->meminfo_fd, text, sizeof(text));
  CagmaMeminfo meminfo;
  uint64_t available, margin;

  if (length < 0 || !cagma_proc_meminfo(text, (size_t)length, &meminfo))
    return 0;
  available = meminfo.available.known ? meminfo.available.value : meminfo.free.value;
  margin = meminfo.total.value / CAGMA_READ_BACK_MARGIN_PART;
  if (margin < CAGMA_READ_BACK_MARGIN)
    margin = CAGMA_READ_BACK_MARGIN;
  return available > margin ? available - margin : 0;
}

/* Most first; of as much the higher pid first. */
static bool
comes_before(const CagmaSwapped *a, const CagmaSwapped *b)
{
  return a->swap > b->swap || (a->swap == b->swap && a->pid > b->pid);
}

/* Into its place among those found, where it is among the first of them. */
static void
insert(CagmaReadBack *read_back, CagmaSwapped process)
{
  unsigned int i = read_back->n_found;

  if (i == CAGMA_READ_BACK_PROCESSES) {
    if (!comes_before(&process, &read_back->found[i - 1]))
      return;
    i--;
  } else {
    read_back->n_found++;
  }
  for (; i > 0 && comes_before(&process, &read_back->found[i - 1]); i--)
    read_back->found[i] = read_back->found[i - 1];
  read_back->found[i] = process;
}

static void
find_processes(CagmaReadBack *read_back)
{
  uint32_t pid;

  read_back->looked = true;
  cagma_pids_begin(&read_back->pids, read_back->proc_fd);
  while ((pid = cagma_pids_next(&read_back->pids)) != 0) {
    const long length =
        cagma_pid_read(read_back->proc_fd, pid, "status", read_back->text, sizeof(read_back->text));
    CagmaSwapped process = { .pid = pid };
    CagmaFigure swap;

    if (length < 0 || !cagma_proc_status(read_back->text, (size_t)length, &swap) || !swap.known)
      continue;
    process.swap = swap.value;
    if (swap.value >= CAGMA_READ_BACK_LEAST)
      insert(read_back, process);
  }
}

/* A process that has gone is just not there; one that is another by now is looked at all
 * the same. */
static bool
enter_process(CagmaReadBack *read_back, uint32_t pid)
{
  read_back->process_fd = read_back->calls->open(pid);
  read_back->smaps_fd = cagma_pid_open(read_back->proc_fd, pid, "smaps");
  read_back->pagemap_fd = cagma_pid_open(read_back->proc_fd, pid, "pagemap");
  if (read_back->process_fd < 0 || read_back->smaps_fd < 0 || read_back->pagemap_fd < 0) {
    read_back->refused += errno == EACCES || errno == EPERM;
    leave_process(read_back);
    return false;
  }
  cagma_smaps_init(&read_back->smaps);
  read_back->text_at = read_back->text_length = 0;
  read_back->range = (CagmaRange){ .start = 0 };
  read_back->processes++;
  return true;
}

/* FALSE where there are no more processes. */
static bool
next_process(CagmaReadBack *read_back)
{
  if (!read_back->looked)
    find_processes(read_back);
  while (read_back->at < read_back->n_found)
    if (enter_process(read_back, read_back->found[read_back->at++].pid))
      return true;
  return false;
}

static uint32_t
pid_at_hand(const CagmaReadBack *read_back)
{
  return read_back->found[read_back->at - 1].pid;
}

/* FALSE at the end of the process, or where it has gone. */
static bool
next_range(CagmaReadBack *read_back)
{
  while (read_back->range.start >= read_back->range.end) {
    if (read_back->text_at == read_back->text_length) {
      const ssize_t got = read(read_back->smaps_fd, read_back->text, sizeof(read_back->text));

      if (got <= 0)
        return false;
      read_back->text_at = 0;
      read_back->text_length = (size_t)got;
    }
    read_back->text_at += cagma_smaps_feed(&read_back->smaps, read_back->text + read_back->text_at,
                                           read_back->text_length - read_back->text_at, &read_back->range);
  }
  return true;
}

/* FALSE where it doesn't fit. */
static bool
add_page(Slice *slice, uint64_t address, uint64_t page_bytes, uint64_t max_bytes)
{
  struct iovec *last = slice->n > 0 ? &slice->ranges[slice->n - 1] : NULL;

  if (slice->bytes + page_bytes > max_bytes)
    return false;
  if (last == NULL || (uint64_t)(uintptr_t)last->iov_base + last->iov_len != address) {
    if (slice->n == CAGMA_READ_BACK_RANGES)
      return false;
    last = &slice->ranges[slice->n++];
    *last = (struct iovec){ .iov_base = (void *)(uintptr_t)address };
  }
  last->iov_len += page_bytes;
  slice->bytes += page_bytes;
  return true;
}

/* Adds what is swapped of the next pages of the range. FALSE where the slice is full. */
static bool
look_at_pages(CagmaReadBack *read_back, Slice *slice, uint64_t max_bytes)
{
  const size_t n_entries = sizeof(read_back->entries) / sizeof(*read_back->entries);
  const uint64_t page_bytes = read_back->page_bytes;
  const uint64_t pages = (read_back->range.end - read_back->range.start) / page_bytes;
  const ssize_t got = pread(read_back->pagemap_fd, read_back->entries,
                            (pages < n_entries ? pages : n_entries) * sizeof(*read_back->entries),
                            (off_t)(read_back->range.start / page_bytes * sizeof(*read_back->entries)));

  if (got < (ssize_t)sizeof(*read_back->entries)) {
    read_back->range.start = read_back->range.end;
    return true;
  }
  for (size_t i = 0; i < (size_t)got / sizeof(*read_back->entries); i++) {
    if ((read_back->entries[i] & PAGE_IS_SWAPPED) != 0 &&
        !add_page(slice, read_back->range.start, page_bytes, max_bytes))
      return false;
    read_back->range.start += page_bytes;
  }
  return true;
}

/* FALSE where the process has no more. */
static bool
collect(CagmaReadBack *read_back, Slice *slice, uint64_t max_bytes, uint64_t until_us)
{
  while (next_range(read_back)) {
    if (!look_at_pages(read_back, slice, max_bytes) || cagma_clock_us() >= until_us)
      return true;
  }
  return false;
}

static void
ask_for(CagmaReadBack *read_back, uint32_t pid, const Slice *slice)
{
  const struct iovec *last = &slice->ranges[slice->n - 1];
  const ssize_t taken = read_back->calls->advise(read_back->process_fd, slice->ranges, slice->n);

  if (taken < 0) {
    read_back->refused += errno == EPERM || errno == ENOSYS;
    return;
  }
  read_back->bytes += (uint64_t)taken;
  read_back->calls->await(pid, (char *)last->iov_base + last->iov_len - read_back->page_bytes);
}

CagmaReadBackResult
cagma_read_back_step(CagmaReadBack *read_back, const CagmaSystem *system, uint64_t max_bytes,
                     uint64_t until_us)
{
  Slice slice = { .n = 0 };
  uint64_t bytes;
  bool more;

  if (!open_system(read_back, system))
    return CAGMA_READ_BACK_OVER;
  bytes = room(read_back);
  bytes = bytes < max_bytes ? bytes : max_bytes;
  if (bytes < read_back->page_bytes)
    return CAGMA_READ_BACK_NO_ROOM;
  if (read_back->process_fd < 0 && !next_process(read_back))
    return CAGMA_READ_BACK_OVER;
  /* A container at its own limit is short of that, and not of the guest's memory. */
  if (cagma_cgroup_room(read_back->proc_fd, pid_at_hand(read_back)) < CAGMA_READ_BACK_GROUP_MARGIN) {
    leave_process(read_back);
    return CAGMA_READ_BACK_MORE;
  }
  more = collect(read_back, &slice, bytes < CAGMA_READ_BACK_SLICE ? bytes : CAGMA_READ_BACK_SLICE, until_us);
  if (slice.n > 0)
    ask_for(read_back, pid_at_hand(read_back), &slice);
  if (!more)
    leave_process(read_back);
  return CAGMA_READ_BACK_MORE;
}
