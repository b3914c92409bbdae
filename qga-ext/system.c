/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/system.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* /proc/vmstat, the longest, has 4 KiB in Linux 6.1 and 5 KiB in 6.18. */
#define FILE_BYTES ((size_t)16 * 1024)

static char text[FILE_BYTES];

const char *
cagma_resource_name(CagmaResource resource)
{
  static const char *const names[] = { "memory", "io", "cpu" };

  return names[resource];
}

/* seq_file hands out at most a page at a time: to be read until there is no more. */
long
cagma_read_fd(int fd, char *buffer, size_t size)
{
  size_t length = 0;

  while (length < size) {
    const ssize_t got = pread(fd, buffer + length, size - length, (off_t)length);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0)
      return (long)length;
    length += (size_t)got;
  }
  return -1;
}

long
cagma_read_at(int directory_fd, const char *path, char *buffer, size_t size)
{
  const int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
  long length;

  if (fd < 0)
    return -1;
  length = cagma_read_fd(fd, buffer, size);
  close(fd);
  return length;
}

static int
open_at(int directory_fd, const char *path)
{
  return openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
}

static uint64_t
system_constant(int name, uint64_t fallback)
{
  const long value = sysconf(name);

  return value > 0 ? (uint64_t)value : fallback;
}

bool
cagma_system_open(CagmaSystem *system, const char *proc)
{
  static const char *const pressures[] = { "pressure/memory", "pressure/io", "pressure/cpu" };

  system->proc_fd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (system->proc_fd < 0)
    return false;
  system->meminfo_fd = open_at(system->proc_fd, "meminfo");
  if (system->meminfo_fd < 0)
    return false;
  system->vmstat_fd = open_at(system->proc_fd, "vmstat");
  system->loadavg_fd = open_at(system->proc_fd, "loadavg");
  for (int i = 0; i < CAGMA_N_PRESSURES; i++)
    system->pressure_fds[i] = open_at(system->proc_fd, pressures[i]);
  system->online_fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
  system->page_bytes = system_constant(_SC_PAGESIZE, 4096);
  system->ticks_per_s = system_constant(_SC_CLK_TCK, 100);
  return true;
}

bool
cagma_system_meminfo(const CagmaSystem *system, CagmaMeminfo *meminfo)
{
  const long length = cagma_read_fd(system->meminfo_fd, text, sizeof(text));

  return length >= 0 && cagma_proc_meminfo(text, (size_t)length, meminfo);
}

bool
cagma_system_vmstat(const CagmaSystem *system, CagmaVmstat *vmstat)
{
  const long length = cagma_read_fd(system->vmstat_fd, text, sizeof(text));

  return length >= 0 && cagma_proc_vmstat(text, (size_t)length, vmstat);
}

bool
cagma_system_load(const CagmaSystem *system, CagmaLoad *load)
{
  const long length = cagma_read_fd(system->loadavg_fd, text, sizeof(text));

  return length >= 0 && cagma_proc_loadavg(text, (size_t)length, load);
}

bool
cagma_system_pressure(const CagmaSystem *system, CagmaResource resource, CagmaPressure *pressure)
{
  const long length = cagma_read_fd(system->pressure_fds[resource], text, sizeof(text));

  return length >= 0 && cagma_proc_pressure(text, (size_t)length, pressure);
}

uint64_t
cagma_system_vcpus(const CagmaSystem *system)
{
  const long length = cagma_read_fd(system->online_fd, text, sizeof(text));
  uint64_t n = 0;

  if (length < 0 || !cagma_proc_cpu_list(text, (size_t)length, &n) || n == 0)
    return 1;
  return n;
}
