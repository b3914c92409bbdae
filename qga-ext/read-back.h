/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/uio.h>

#include "qga-ext/pids.h"
#include "qga-ext/smaps.h"
#include "qga-ext/system.h"

/* Brings swapped-out memory back before it is touched: once there is room again, a process
 * gets its pages back one fault after the other, a request to the disk each (250 a second on
 * a disk of 150 requests, 117 MiB in minutes), and in the order of their addresses
 * neighbours come back with one request (seven pages in each, the same in 20 s; measured in
 * a guest with Linux 6.1).
 *
 * Processes with most in swap come first. Where a process has pages in swap, smaps tells by
 * mapping and pagemap by page; they are asked for with process_madvise(MADV_WILLNEED),
 * which brings them as far as the swap cache: those that nobody wants are dropped from there
 * without having to be written again. Memory that is shared stays where it is.
 *
 * Nothing here is fast: it waits for the disk. See reader.h for who runs it. */

/* Asked for at a time, and how many places of the disk that may be: what a process that
 * wants a page meanwhile has in front of it. */
#define CAGMA_READ_BACK_SLICE ((uint64_t)512 << 10)
#define CAGMA_READ_BACK_RANGES 16u

/* Left available, lest it be reclaimed again what was brought back: a part of the guest's
 * memory, but at least as much. The host knows better, and asks for no more than it wants. */
#define CAGMA_READ_BACK_MARGIN_PART 16u
#define CAGMA_READ_BACK_MARGIN ((uint64_t)16 << 20)

/* And left of what the process's control groups may have (cgroup.h): beyond it each page pushes out
 * another of theirs, or has one of their processes killed. */
#define CAGMA_READ_BACK_GROUP_MARGIN (2 * CAGMA_READ_BACK_SLICE)

/* A process with less in swap isn't worth the look. */
#define CAGMA_READ_BACK_LEAST ((uint64_t)256 << 10)

/* So many processes, those with most. Not one after the other until there are no more: what
 * comes back counts as swapped out until it is touched, so that they would be found again
 * and again, with less each time. */
#define CAGMA_READ_BACK_PROCESSES 64u

/* What is asked of the kernel; other than the kernel's in tests. */
typedef struct {
  /* Returns a descriptor of the process, or -1 with errno. */
  int (*open)(uint32_t pid);
  /* Asks for pages. Returns how many bytes were taken notice of, or -1 with errno. */
  ssize_t (*advise)(int fd, const struct iovec *ranges, size_t n);
  /* Waits until the page is there. */
  void (*await)(uint32_t pid, void *page);
} CagmaReadBackCalls;

extern const CagmaReadBackCalls cagma_read_back_calls;

typedef struct {
  uint32_t pid;
  uint64_t swap; /* bytes */
} CagmaSwapped;

typedef struct {
  const CagmaReadBackCalls *calls;
  uint64_t page_bytes;
  int proc_fd; /* -1: not opened yet */
  int meminfo_fd;

  /* The processes, and how many of them had their turn. */
  bool looked;
  CagmaSwapped found[CAGMA_READ_BACK_PROCESSES];
  unsigned int n_found;
  unsigned int at;
  CagmaPids pids;

  /* The process at hand: -1 where there is none. */
  int process_fd;
  int smaps_fd;
  int pagemap_fd;
  CagmaSmaps smaps;
  char text[16 * 1024]; /* of smaps; of other files while there is no process at hand */
  size_t text_at;
  size_t text_length;
  CagmaRange range; /* what is left of the mapping at hand */
  uint64_t entries[512];

  /* What came of it since the last reset. */
  uint64_t bytes; /* asked for */
  uint64_t processes;
  uint64_t refused; /* processes that we may not do this to */
} CagmaReadBack;

typedef enum {
  CAGMA_READ_BACK_MORE,
  CAGMA_READ_BACK_NO_ROOM,
  CAGMA_READ_BACK_OVER, /* all processes were gone through */
} CagmaReadBackResult;

/* The system's directory is opened anew at the first step: a file that is read by two at a
 * time makes one wait for the other. */
void cagma_read_back_init(CagmaReadBack *read_back, const CagmaReadBackCalls *calls);

/* Begins anew with the process that has most. */
void cagma_read_back_reset(CagmaReadBack *read_back);

/* Asks for a slice, of max_bytes at most, of the process at hand, or goes on to the next one.
 * Returns early, having done nothing worth telling, at until_us. */
CagmaReadBackResult cagma_read_back_step(CagmaReadBack *read_back, const CagmaSystem *system,
                                         uint64_t max_bytes, uint64_t until_us);

/* FALSE where the kernel can't (Linux before 5.13), or doesn't let us. Asks it once. */
bool cagma_read_back_can(void);
