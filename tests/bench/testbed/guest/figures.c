/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the guest's kernel says of itself.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tasks.h"

/* As the kernel cuts the name off, in /proc/PID/stat. */
#define AGENT_COMM "(cagma-guest-age)"

static char text[16 * 1024];

static const char *
read_text(int fd)
{
  const ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);

  text[n > 0 ? n : 0] = '\0';
  return text;
}

/* The number after a label that begins a line; 0 where it isn't there. */
static uint64_t
number_after(const char *from, const char *label)
{
  const size_t length = strlen(label);

  while (from != NULL && strncmp(from, label, length) != 0) {
    from = strchr(from, '\n');
    from = from == NULL ? NULL : from + 1;
  }
  return from == NULL ? 0 : strtoull(from + length, NULL, 10);
}

/* The disks are named by links to their devices. */
static int
open_stat_of(const char *link)
{
  char device[64], path[PATH_MAX];
  const ssize_t n = readlink(link, device, sizeof device - 1);

  if (n < 0)
    return -1;
  device[n] = '\0';
  snprintf(path, sizeof path, "/sys/block/%s/stat", device);
  return open(path, O_RDONLY | O_CLOEXEC);
}

Figures *
figures_open(void)
{
  static Figures figures = { .agent = -1 };

  figures.meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
  figures.vmstat = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
  figures.pressure = open("/proc/pressure/memory", O_RDONLY | O_CLOEXEC);
  figures.swap_stat = open_stat_of("/dev/swap");
  figures.data_stat = open_stat_of("/dev/data");
  if (figures.meminfo < 0 || figures.vmstat < 0 || figures.pressure < 0 || figures.swap_stat < 0)
    return NULL;
  return &figures;
}

void
figures_find_agent(Figures *figures)
{
  DIR *processes = opendir("/proc");
  const struct dirent *entry;

  if (figures->agent >= 0)
    close(figures->agent);
  figures->agent = -1;
  while (processes != NULL && figures->agent < 0 && (entry = readdir(processes)) != NULL) {
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && strstr(read_text(fd), AGENT_COMM) != NULL)
      figures->agent = fd;
    else if (fd >= 0)
      close(fd);
  }
  if (processes != NULL)
    closedir(processes);
}

/* User and system time, fields 14 and 15 of /proc/PID/stat (proc(5)). */
static uint64_t
cpu_us(const char *stat)
{
  const char *after = strrchr(stat, ')');
  uint64_t user, system;

  if (after == NULL || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                              &user, &system) != 2)
    return 0;
  return (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void
read_disk(int fd, DiskFigures *disk)
{
  sscanf(read_text(fd), "%" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64, &disk->reads,
         &disk->read_sectors, &disk->writes, &disk->write_sectors);
}

void
figures_read(Figures *figures)
{
  const char *total;

  figures->available_kib = number_after(read_text(figures->meminfo), "MemAvailable:");
  read_text(figures->vmstat);
  figures->swap_in_pages = number_after(text, "pswpin ");
  figures->swap_out_pages = number_after(text, "pswpout ");
  figures->inflated_pages = number_after(text, "balloon_inflate ");
  figures->deflated_pages = number_after(text, "balloon_deflate ");
  total = strstr(read_text(figures->pressure), "full ");
  total = total == NULL ? NULL : strstr(total, "total=");
  figures->stalled_us = total == NULL ? 0 : strtoull(total + strlen("total="), NULL, 10);
  figures->agent_us = cpu_us(read_text(figures->agent));
  read_disk(figures->swap_stat, &figures->swap);
  read_disk(figures->data_stat, &figures->data);
}
