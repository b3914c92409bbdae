/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest.h"

/* Tests of whatever hypervisor: each is for bed_add's function to call with its guests. */

/* Those that are balanced now are steady, and their balloons rest. */
void case_await_steady(Bed *bed);

/* A starved guest gets so much, comes to rest, and its work is ended. */
void case_await_fed(Guest *starved, guint least_mib);

/* The daemon is killed at the first call that shrinks (or grows) somebody for the starved. What
 * happens while there is none, and after it has come again, is for the judge. */
typedef struct {
  guint work_mib;
  guint least_mib; /* what the starved is to have in the end */
  gboolean shrinks;
  gboolean forgets; /* /run is lost too */
} MidMove;
void case_killed_in_mid_move(Bed *bed, Guest *starved, const MidMove *move);

void case_killed_at_rest(Bed *bed);

/* While a guest is starved. */
void case_libvirtd_restarts(Bed *bed, Guest *starved, guint work_mib, guint least_mib);

/* A guest in need doesn't wait for the period, nor for news of its donor: the first grant and the
 * request to the donor come at once, be it by its event, and from 16 MiB in hand, or by figures that
 * came before that. */
void case_emergency(Bed *bed, Guest *starved, Guest *donor, guint work_mib);
