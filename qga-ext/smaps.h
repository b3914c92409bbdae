/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* /proc/PID/smaps, as a stream: which parts of a process's own memory have pages in swap.
 * Memory that is shared, or a file's, isn't told of: its pages aren't found by the
 * process's page table. See proc(5).
 *
 * The text is the kernel's, but names in it are anybody's; it escapes their newlines.
 * What isn't understood is passed over. */

/* The beginning of a line, up to the inode, has at most 16+1+16+1+4+1+16+1+9+1+20. */
#define CAGMA_SMAPS_HEAD 96

typedef struct {
  uint64_t start;
  uint64_t end; /* exclusive */
} CagmaRange;

typedef struct {
  char head[CAGMA_SMAPS_HEAD]; /* of the line at hand */
  size_t length;
  CagmaRange range; /* of the mapping at hand; empty: it is none of interest */
} CagmaSmaps;

void cagma_smaps_init(CagmaSmaps *smaps);

/* Takes bytes up to the end of a line that completes a range, or all of them. Returns how
 * many were taken; *range is empty where there is none. */
size_t cagma_smaps_feed(CagmaSmaps *smaps, const char *bytes, size_t length, CagmaRange *range);
