/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Random numbers that stay the same for ever: SplitMix64 (Steele, Lea, Flood: Fast
 * splittable pseudorandom number generators, OOPSLA 2014). */
typedef struct {
  uint64_t state;
} CagmaRandom;

static inline uint64_t
cagma_random_next(CagmaRandom *random)
{
  uint64_t z = random->state += 0x9e3779b97f4a7c15;

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/* Another generator for each stream of the same seed. */
static inline CagmaRandom
cagma_random_stream(uint64_t seed, uint64_t stream)
{
  CagmaRandom random = { seed ^ (stream * 0xd1342543de82ef95 + 1) };

  random.state = cagma_random_next(&random);
  return random;
}

/* From 0 up to, and without, 1. */
static inline double
cagma_random_unit(CagmaRandom *random)
{
  return (double)(cagma_random_next(random) >> 11) / (double)(UINT64_C(1) << 53);
}

static inline double
cagma_random_between(CagmaRandom *random, double low, double high)
{
  return low + (high - low) * cagma_random_unit(random);
}
