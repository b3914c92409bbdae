/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* How long a guest that says too much isn't listened to: the first time for
 * CAGMA_PENALTY_S, doubled each time up to the maximum. One that behaves for as long as
 * the maximum is forgiven. */
#define CAGMA_PENALTY_S 60
#define CAGMA_PENALTY_MAX_S 3600

typedef struct {
  unsigned strikes;
  int64_t released_us; /* the end of the last one; 0: there was none */
} CagmaPenalty;

/* Another one begins. Returns how long it is, in seconds. */
int64_t cagma_penalty_strike(CagmaPenalty *penalty, int64_t now_us);
