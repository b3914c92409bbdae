/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model.h"

/* Judges a plan by the design's guarantees 1 to 3 and 7, from what the test itself
 * knows; shares no code with planner or guard. Also asserts that the guard accepts
 * the plan: the planner must not rely on being stopped. Aborts, naming the seed. */
void check_plan(Model *model);

/* Whether the call would break a guarantee, and which; NULL where it wouldn't.
 * left_kib is what calls may still raise Σ charge by, and is lowered by this one. */
const char *check_call(const Model *model, size_t index, uint64_t target_kib, int64_t *left_kib);

/* By how much calls may raise Σ charge now; negative where it's exceeded already. */
int64_t check_left(const Model *model);
