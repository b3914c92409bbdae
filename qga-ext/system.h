/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qga-ext/proc.h"

/* The files of /proc that the agent reads again and again: opened once and kept open, so
 * that a reading under memory pressure needs no new inode, and read into a fixed buffer. */

typedef enum {
  CAGMA_PRESSURE_MEMORY,
  CAGMA_PRESSURE_IO,
  CAGMA_PRESSURE_CPU,
  CAGMA_N_PRESSURES,
} CagmaResource;

typedef struct {
  int proc_fd; /* the directory */
  int meminfo_fd;
  int vmstat_fd;
  int loadavg_fd;
  int pressure_fds[CAGMA_N_PRESSURES]; /* -1: the kernel has none */
  int online_fd;                       /* /sys/devices/system/cpu/online */
  uint64_t page_bytes;
  uint64_t ticks_per_s; /* the unit of CagmaProcessStat.start_ticks */
} CagmaSystem;

/* The directory is "/proc" but in tests. FALSE with errno where that or its meminfo isn't
 * there; what else is missing just isn't told. Nothing is ever closed: the agent has one
 * system for its life. */
bool cagma_system_open(CagmaSystem *system, const char *proc) __attribute__((warn_unused_result));

bool cagma_system_meminfo(const CagmaSystem *system, CagmaMeminfo *meminfo)
    __attribute__((warn_unused_result));
bool cagma_system_vmstat(const CagmaSystem *system, CagmaVmstat *vmstat) __attribute__((warn_unused_result));
bool cagma_system_load(const CagmaSystem *system, CagmaLoad *load) __attribute__((warn_unused_result));
bool cagma_system_pressure(const CagmaSystem *system, CagmaResource resource, CagmaPressure *pressure)
    __attribute__((warn_unused_result));

/* CPUs that are online; at least 1. */
uint64_t cagma_system_vcpus(const CagmaSystem *system);

/* The name of the resource's file below /proc/pressure. */
const char *cagma_resource_name(CagmaResource resource);

/* Reads a file from its beginning. Returns how many bytes there are, 0 where it is empty,
 * and -1 where it can't be read or doesn't fit. */
long cagma_read_fd(int fd, char *buffer, size_t size);

/* The same for a file that is opened for it, relative to a directory. */
long cagma_read_at(int directory_fd, const char *path, char *buffer, size_t size);
