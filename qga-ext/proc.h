/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What Linux writes below /proc, read as text: no I/O here. See proc(5) and
 * Documentation/accounting/psi.rst.
 *
 * The text needn't end with a NUL or a newline. Each function returns FALSE, with the
 * result undefined, where the text is malformed: a figure that is wanted isn't a number,
 * has another unit than expected, doesn't fit, or comes twice; or one that every kernel
 * has is missing. Lines that nobody wants may be anything. */

/* A figure that not every kernel has. */
typedef struct {
  uint64_t value;
  bool known;
} CagmaFigure;

/* /proc/meminfo, in bytes. */
typedef struct {
  CagmaFigure total; /* always known, as is free */
  CagmaFigure free;
  CagmaFigure available; /* Linux 3.14 */
  CagmaFigure cached;
  CagmaFigure swap_total;
  CagmaFigure swap_free;
  CagmaFigure swap_cached; /* in memory again, with its place in swap still kept */
  CagmaFigure committed;
  CagmaFigure active_anon; /* neither locked nor in huge pages of hugetlbfs, as is the next */
  CagmaFigure inactive_anon;
} CagmaMeminfo;

bool cagma_proc_meminfo(const char *text, size_t length, CagmaMeminfo *meminfo)
    __attribute__((warn_unused_result));

/* /proc/vmstat: events since boot. At least one is known. */
typedef struct {
  CagmaFigure pages_swapped_in; /* unknown without CONFIG_SWAP */
  CagmaFigure pages_swapped_out;
  CagmaFigure major_faults;
  CagmaFigure refaults_anon; /* Linux 5.9 */
  CagmaFigure refaults_file; /* Linux 3.15; until 5.8 the one figure there was */
  CagmaFigure oom_kills;     /* Linux 4.13 */
} CagmaVmstat;

bool cagma_proc_vmstat(const char *text, size_t length, CagmaVmstat *vmstat)
    __attribute__((warn_unused_result));

/* One line of /proc/pressure/RESOURCE: averages in hundredths of a percent, total in µs. */
typedef struct {
  uint64_t avg10;
  uint64_t avg60;
  uint64_t avg300;
  uint64_t total_us;
} CagmaStall;

typedef struct {
  CagmaStall some;
  bool has_full; /* not for cpu before Linux 5.13 */
  CagmaStall full;
} CagmaPressure;

bool cagma_proc_pressure(const char *text, size_t length, CagmaPressure *pressure)
    __attribute__((warn_unused_result));

/* /proc/loadavg, in hundredths. */
typedef struct {
  uint64_t load1m;
  uint64_t load5m;
  uint64_t load15m;
} CagmaLoad;

bool cagma_proc_loadavg(const char *text, size_t length, CagmaLoad *load) __attribute__((warn_unused_result));

/* /proc/PID/stat. */
typedef struct {
  uint64_t major_faults;
  uint64_t start_ticks; /* clock ticks from boot to the start of the process */
  uint64_t vsize;       /* bytes of address space; 0: a kernel thread, or one about to end */
  uint64_t rss_pages;
} CagmaProcessStat;

bool cagma_proc_stat(const char *text, size_t length, CagmaProcessStat *stat)
    __attribute__((warn_unused_result));

/* VmSwap of /proc/PID/status, in bytes. Unknown for kernel threads. */
bool cagma_proc_status(const char *text, size_t length, CagmaFigure *swap)
    __attribute__((warn_unused_result));

/* How many CPUs a list as "0-3,5" names (/sys/devices/system/cpu/online). */
bool cagma_proc_cpu_list(const char *text, size_t length, uint64_t *n) __attribute__((warn_unused_result));

/* A process's id, from the name of its directory. FALSE for all other names. */
bool cagma_proc_pid(const char *name, uint32_t *pid) __attribute__((warn_unused_result));
