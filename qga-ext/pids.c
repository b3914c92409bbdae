/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/pids.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "qga-ext/proc.h"
#include "qga-ext/system.h"
#include "qga-ext/text.h"

#ifndef __GLIBC__
#define dirent64 dirent /* the same */
#endif

/* "4294967295/pagemap" */
#define PATH_BYTES 24

void
cagma_pids_begin(CagmaPids *pids, int proc_fd)
{
  pids->proc_fd = proc_fd;
  pids->at = 0;
  pids->length = 0;
  lseek(proc_fd, 0, SEEK_SET);
}

uint32_t
cagma_pids_next(CagmaPids *pids)
{
  for (;;) {
    const struct dirent64 *entry;
    uint32_t pid;

    if (pids->at >= pids->length) {
      pids->at = 0;
      pids->length = syscall(SYS_getdents64, pids->proc_fd, pids->entries, sizeof(pids->entries));
      if (pids->length <= 0)
        return 0;
    }
    entry = (const struct dirent64 *)(const void *)(pids->entries + pids->at);
    pids->at += entry->d_reclen;
    if (cagma_proc_pid(entry->d_name, &pid))
      return pid;
  }
}

/* With its NUL. */
static CagmaText
path_of(uint32_t pid, const char *file, char bytes[PATH_BYTES])
{
  CagmaText path = cagma_text_init(bytes, PATH_BYTES);

  cagma_text_uint(&path, pid);
  cagma_text_string(&path, "/");
  cagma_text_bytes(&path, file, strlen(file) + 1);
  return path;
}

int
cagma_pid_open(int proc_fd, uint32_t pid, const char *file)
{
  char bytes[PATH_BYTES];

  return openat(proc_fd, path_of(pid, file, bytes).data, O_RDONLY | O_CLOEXEC);
}

long
cagma_pid_read(int proc_fd, uint32_t pid, const char *file, char *buffer, size_t size)
{
  char bytes[PATH_BYTES];

  return cagma_read_at(proc_fd, path_of(pid, file, bytes).data, buffer, size);
}
