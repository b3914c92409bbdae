/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <inttypes.h>
#include <stdint.h>

/* Units. Inside CAGMA a size is a uint64_t of KiB, a ratio an integer permille,
 * a time an int64_t of microseconds on a monotonic clock that the caller reads. */

/* The largest size CAGMA computes with: 4 PiB. It leaves room to multiply by a
 * ratio and to sum over 16384 domains without leaving 64 bits. Larger values are
 * refused where they enter (xml/, plugin/conf.c) or clamped (policy/sample.c). */
#define CAGMA_MAX_KIB ((uint64_t)1 << 42)

#define CAGMA_MIB(n) ((uint64_t)(n)*1024)
#define CAGMA_GIB(n) ((uint64_t)(n)*1024 * 1024)

/* Sizes for people. */
#define CAGMA_MIB_FORMAT "%" PRIu64 " MiB"

static inline uint64_t
cagma_mib(uint64_t kib)
{
  return (kib + 512) / 1024;
}

#define CAGMA_SECOND_US ((int64_t)1000000)

/* value × permille / 1000. value ≤ CAGMA_MAX_KIB, permille ≤ 2^20. */
static inline uint64_t
cagma_permille(uint64_t value, uint64_t permille)
{
  return value * permille / 1000;
}

static inline uint64_t
cagma_min_kib(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static inline uint64_t
cagma_max_kib(uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

/* a − b, or 0 where b is larger. */
static inline uint64_t
cagma_above(uint64_t a, uint64_t b)
{
  return a > b ? a - b : 0;
}

static inline uint64_t
cagma_clamp_kib(uint64_t value, uint64_t low, uint64_t high)
{
  return value < low ? low : value > high ? high : value;
}
