/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Sizes laid down beforehand: what the oracle plays. Shrinks are set when they are due,
 * growth as far as memory is in hand. */
typedef struct CagmaSchedule {
  int64_t interval_us;
  size_t n_guests;
  size_t n_times;
  uint64_t *targets_kib; /* [time * n_guests + guest]; 0: as it is */
} CagmaSchedule;
