/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/cgroup.h"

#include <string.h>

#include "qga-ext/pids.h"
#include "qga-ext/system.h"
#include "qga-ext/text.h"

/* From /proc, where it is mounted on every system with systemd or OpenRC. */
#define ROOT "../sys/fs/cgroup"

/* A longer path is taken for one without limits. */
#define PATH_MAX_BYTES 1024

/* UINT64_MAX for "max", and where there is no such file. */
static uint64_t
read_bytes(int proc_fd, const char *group, size_t length, const char *file)
{
  char path_bytes[PATH_MAX_BYTES + 64], bytes[32];
  CagmaText path = cagma_text_init(path_bytes, sizeof(path_bytes));
  uint64_t value = 0;
  long got;

  cagma_text_string(&path, ROOT);
  cagma_text_bytes(&path, group, length);
  cagma_text_bytes(&path, file, strlen(file) + 1);
  if (path.overflow)
    return UINT64_MAX;
  got = cagma_read_at(proc_fd, path.data, bytes, sizeof(bytes));
  if (got <= 0 || *bytes < '0' || *bytes > '9')
    return UINT64_MAX;
  for (long i = 0; i < got && bytes[i] >= '0' && bytes[i] <= '9'; i++)
    value = value * 10 + (uint64_t)(bytes[i] - '0');
  return value;
}

static uint64_t
room_in(int proc_fd, const char *group, size_t length)
{
  const uint64_t max = read_bytes(proc_fd, group, length, "/memory.max");
  const uint64_t high = read_bytes(proc_fd, group, length, "/memory.high");
  const uint64_t limit = max < high ? max : high;
  uint64_t used;

  if (limit == UINT64_MAX)
    return UINT64_MAX;
  used = read_bytes(proc_fd, group, length, "/memory.current");
  return limit > used ? limit - used : 0;
}

/* The line of version 2 is "0::/PATH"; those of version 1 have another number. */
static const char *
find_group(const char *text, size_t length, size_t *group_length)
{
  const char *end = text + length;

  for (const char *line = text, *next; line < end; line = next) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));

    next = newline != NULL ? newline + 1 : end;
    if (next - line < 4 || memcmp(line, "0::/", 4) != 0)
      continue;
    *group_length = (size_t)((newline != NULL ? newline : end) - line) - 3;
    return line + 3;
  }
  return NULL;
}

uint64_t
cagma_cgroup_room(int proc_fd, uint32_t pid)
{
  char text[PATH_MAX_BYTES];
  const long got = cagma_pid_read(proc_fd, pid, "cgroup", text, sizeof(text));
  uint64_t least = UINT64_MAX;
  size_t length = 0;
  const char *group = got > 0 ? find_group(text, (size_t)got, &length) : NULL;

  /* The root has no limit. */
  while (group != NULL && length > 1) {
    const uint64_t room = room_in(proc_fd, group, length);

    least = room < least ? room : least;
    while (length > 1 && group[length - 1] != '/')
      length--;
    length--;
  }
  return least;
}
