/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/device.h"

/* The factor is found within one in a thousand. */
#define SLOWNESS_MAX 1e6
#define SLOWNESS_STEPS 30
#define PAGE_KIB 4.0

double
cagma_disk_time_s(const CagmaSimDisk *disk, double kib)
{
  return 1.0 / disk->iops + kib / (double)disk->kib_per_s;
}

double
cagma_disk_latency_s(const CagmaSimDisk *disk, double kib)
{
  double alone_s = (double)disk->latency_us / 1e6 + kib / (double)disk->kib_per_s;

  return MAX(alone_s, cagma_disk_time_s(disk, kib));
}

double
cagma_disk_read_kib(const CagmaSimDisk *disk, CagmaPartKind kind, CagmaAccess access)
{
  if (kind == CAGMA_PART_ANON)
    return access == CAGMA_ACCESS_CYCLIC ? (double)disk->swap_read_kib : PAGE_KIB;
  return (double)(access == CAGMA_ACCESS_CYCLIC ? disk->file_cyclic_kib : disk->file_random_kib);
}

void
cagma_load_add(CagmaLoad *load, const CagmaSimDisk *disk, double requests, double kib, double at_once)
{
  load->waits_s += requests * cagma_disk_latency_s(disk, kib) / at_once;
  load->disk_s += requests * cagma_disk_time_s(disk, kib);
}

double
cagma_disk_tasks_served(const CagmaSimDisk *disk, const CagmaDiskPhase *phase, double slowness, double tick_s)
{
  double kib = (double)phase->io_kib;

  return phase->tasks * tick_s / (cagma_disk_latency_s(disk, kib) * slowness);
}

static double
disk_time(const CagmaSimDisk *disk, const CagmaLoad *loads, size_t n_loads,
          const CagmaDiskPhase *const *tasks, size_t n_tasks, double slowness, double tick_s)
{
  double sum_s = 0;

  for (size_t i = 0; i < n_loads; i++)
    sum_s += loads[i].disk_s * cagma_load_progress(&loads[i], slowness, tick_s);
  for (size_t i = 0; i < n_tasks; i++)
    sum_s += cagma_disk_tasks_served(disk, tasks[i], slowness, tick_s) *
             cagma_disk_time_s(disk, (double)tasks[i]->io_kib);
  return sum_s;
}

double
cagma_disk_slowness(const CagmaSimDisk *disk, const CagmaLoad *loads, size_t n_loads,
                    const CagmaDiskPhase *const *tasks, size_t n_tasks, double tick_s)
{
  double low = 1, high = 2;

  if (disk_time(disk, loads, n_loads, tasks, n_tasks, low, tick_s) <= tick_s)
    return 1;
  while (high < SLOWNESS_MAX && disk_time(disk, loads, n_loads, tasks, n_tasks, high, tick_s) > tick_s) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < SLOWNESS_STEPS && high - low > low / 1000; i++) {
    double middle = (low + high) / 2;

    if (disk_time(disk, loads, n_loads, tasks, n_tasks, middle, tick_s) > tick_s)
      low = middle;
    else
      high = middle;
  }
  return high;
}
