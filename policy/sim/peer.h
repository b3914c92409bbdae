/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/config.h"
#include "policy/sample.h"

/* The rules of other systems, in our own words, to be compared with. Each sees what the
 * original sees, as often as the scenario's guests report, and says what the original would set; none is held by our guarantees.
 * Where the original's settings can be chosen, its defaults hold. */

typedef struct {
  /* in */
  gboolean running;          /* has booted */
  const CagmaConfig *config; /* guarantee and limit stand for the original's minimum and maximum */
  uint64_t max_kib;          /* the domain's <memory> */
  CagmaSample sample;        /* the newest, as it was reported; actual_kib as the hypervisor has it now */
  uint64_t reported_at_kib;  /* actual_kib when the guest made its report; 0: not told */
  gboolean has_driver;       /* its balloon was ever seen to work */
  /* in: what it was last asked to be. out: what it is asked to be now; the same: nothing. */
  uint64_t target_kib;
} CagmaPeerGuest;

typedef struct {
  uint64_t total_kib; /* the host's memory */
  uint64_t free_kib;  /* of it, not touched by anyone: Linux' view (MOM, Proxmox) */
  /* What no guest has now, whatever it was promised: Xen's view (squeezed, qmemman). */
  uint64_t unclaimed_kib;
  CagmaPeerGuest *guests; /* the same guest is always at the same place */
  size_t n_guests;
} CagmaPeerHost;

typedef struct {
  const char *name;
  const char *summary;   /* a sentence without a full stop */
  int64_t period_us;     /* how often it decides */
  int64_t before_us;     /* so long it has run when the scenario begins; what it decides by then isn't done */
  gboolean at_reports;   /* and whenever a guest's report arrives */
  gboolean at_arrivals;  /* and while guests start, or balloons move */
  gboolean on_xen;       /* knows sizes from the hypervisor, not from guests' balloons */
  gboolean looks_inside; /* has a program of its own in its guests */
  /* What it remembers; NULL where it remembers nothing. */
  gpointer (*start)(size_t n_guests);
  void (*decide)(gpointer memory, CagmaPeerHost *host, int64_t now_us);
  void (*end)(gpointer memory);
} CagmaPeer;

/* none, mom, proxmox, qubes, squeezed; NULL behind the last one. */
extern const CagmaPeer *const cagma_peers[];

const CagmaPeer *cagma_peer_by_name(const char *name);
