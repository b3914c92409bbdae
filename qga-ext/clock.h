/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#define CAGMA_US_PER_S ((uint64_t)1000000)

/* Time that never jumps, in µs from some moment. */
uint64_t cagma_clock_us(void);

/* Time since boot, suspension included, in µs: what /proc counts in. */
uint64_t cagma_clock_boot_us(void);

/* The time of day, in µs since 1970. */
uint64_t cagma_clock_real_us(void);
