/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "policy/sim/scenario.h"

/* The disk that all guests share. A request takes its latency alone; where more is wanted than
 * the disk can do, each request waits its turn, so that all take longer by one factor. Who
 * waits wants less: a closed queueing network, solved for that factor each tick. */

/* What somebody would do in a tick were the disk idle. */
typedef struct {
  double waits_s; /* of his own time, waiting for requests, one after the other */
  double disk_s;  /* of the disk's time */
} CagmaLoad;

/* The disk's own time for a request of this size, and how long it takes alone. */
double cagma_disk_time_s(const CagmaSimDisk *disk, double kib);
double cagma_disk_latency_s(const CagmaSimDisk *disk, double kib);

/* What a read of a part's pages brings. Linux reads ahead of a page swapped in as far as
 * that was of use before (mm/swap_state.c: swapin_nr_pages): at random places, not at all. */
double cagma_disk_read_kib(const CagmaSimDisk *disk, CagmaPartKind kind, CagmaAccess access);

/* Adds requests: so many, each of so many KiB, at_once under way together. */
void cagma_load_add(CagmaLoad *load, const CagmaSimDisk *disk, double requests, double kib, double at_once);

/* The part of a tick's work that gets done. */
static inline double
cagma_load_progress(const CagmaLoad *load, double slowness, double tick_s)
{
  return tick_s / (tick_s + load->waits_s * slowness);
}

/* How many requests of disk-bound tasks are served in the tick. */
double cagma_disk_tasks_served(const CagmaSimDisk *disk, const CagmaDiskPhase *phase, double slowness,
                               double tick_s);

/* The least factor, at least 1, at which the disk can do what is then wanted. */
double cagma_disk_slowness(const CagmaSimDisk *disk, const CagmaLoad *loads, size_t n_loads,
                           const CagmaDiskPhase *const *tasks, size_t n_tasks, double tick_s);
