/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest.h"

/* The judge knows nothing of cagmad but what it does: it reads every call that sets
 * a guest's memory from libvirtd's log, sees the guests' true sizes through their
 * watches, and keeps accounts of its own.
 *   Floor    no call shrinks a guest below its guarantee, and none gets smaller below it
 *   Limit    no call sets a guest above its limit
 *   In hand  no call that raises a guest makes the sum of what all must be taken to
 *            hold more than the budget less the reserve
 *   Hands    no call at all for a guest that hands are off, nor any but LIVE ones */

typedef struct {
  int64_t at_us; /* real time, of libvirtd's log */
  Guest *guest;
  uint64_t kib;
} Call;

/* Reads what is new in the log. */
void judge_read(Bed *bed);

/* Judges all that happened and wasn't judged yet. */
void judge(Bed *bed);

/* What all guests must be taken to hold now. */
uint64_t judge_held_kib(Bed *bed);

/* The daemon's calls for a guest (NULL: any) since a time. */
guint judge_count(Bed *bed, Guest *guest, int64_t since_us);

/* Waits for the first call since a time that shrinks (or grows) a guest (NULL: any). */
Call judge_await_call(Bed *bed, Guest *guest, gboolean shrinks, int64_t since_us, int seconds);

/* When the guest's configuration was last set, by libvirtd's log. */
int64_t judge_configured_us(Guest *guest);
