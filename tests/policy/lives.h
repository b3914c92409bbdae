/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/body.h"

/* A scenario's guests (policy/sim), lived through by a test tick by tick, so that it can tell
 * what it likes of them to whom it likes. They begin settled at their start sizes. */

#define LIVES_TICK_US ((int64_t)100000)

typedef struct {
  const CagmaScenario *scenario;
  CagmaBody *bodies; /* one for each entry: their counts are 1 */
  CagmaLoad *loads;
  const CagmaDiskPhase **tasks;
  size_t n;
  int64_t now_us; /* since the scenario's start */
} Lives;

Lives *lives_new(const CagmaScenario *scenario);
void lives_free(Lives *lives);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lives, lives_free)

/* Lives through a tick; guests arrive and leave at its beginning. */
void lives_tick(Lives *lives);
gboolean lives_is_there(const Lives *lives, size_t guest);

/* What its agent tells, and what the host sees of it. */
void lives_report(const Lives *lives, size_t guest, CagmaSample *sample);
void lives_look(const Lives *lives, size_t guest, CagmaSample *sample);

void lives_set(Lives *lives, size_t guest, uint64_t target_kib);

/* How large a guest's parts are meant to be at a time, KiB. */
double lives_meant_kib(const CagmaSimGuest *guest, CagmaPartKind kind, int64_t at_us);
