/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/live/guest.h"

/* What differs between the two beds: place-qemu.c, place-xen.c; grants is linked with one of them, and with its
 * look. */

/* So that no period's decision comes before, or after, an event's. */
#define LONG_PERIOD_S 60

/* A way in which the daemon hears of a guest's need. */
typedef struct {
  const char *name;
  const char *source; /* as the status names it */
  guint period_s;
  gboolean agent; /* ours runs in the guests */
} Way;

/* Ends with one without a name. */
extern const Way place_ways[];

/* For `lab domain`. */
extern const char place_options[];

/* Once, after the guest has booted: 256 MiB of zram as swap, and what place_clock asks. */
void place_prepare(Guest *guest);

void place_run_agent(Guest *guest, gboolean run);

/* Where the host finds what the guest's console says; free with g_free. */
char *place_console(Guest *guest);

/* The guest's clock less ours. Its time was read somewhere between a question and the answer: the offset is taken
 * at the middle, and is wrong by half the time between the two at the most. Of several questions the quickest
 * counts. */
typedef struct {
  int64_t offset_us;
  int64_t error_us;
} Clock;

Clock place_clock(Guest *guest);
