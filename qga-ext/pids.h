/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The processes below /proc, without allocating: readdir() does. */

typedef struct {
  int proc_fd;
  long length; /* of directory entries that wait in the buffer below */
  long at;
  _Alignas(8) char entries[2048];
} CagmaPids;

/* The directory is the caller's, and its position is moved: not shared with anybody. */
void cagma_pids_begin(CagmaPids *pids, int proc_fd);

/* The next process; 0 at the end of all, which is also where an error leads. */
uint32_t cagma_pids_next(CagmaPids *pids);

/* A file of a process, for reading. Returns its descriptor, or -1 with errno. */
int cagma_pid_open(int proc_fd, uint32_t pid, const char *file);

/* Returns the length of the file, or -1 where the process is gone. */
long cagma_pid_read(int proc_fd, uint32_t pid, const char *file, char *buffer, size_t size);
