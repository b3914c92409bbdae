/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/clock.h"

#include <time.h>

static uint64_t
clock_us(clockid_t id)
{
  struct timespec now;

  clock_gettime(id, &now);
  return (uint64_t)now.tv_sec * CAGMA_US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

uint64_t
cagma_clock_us(void)
{
  return clock_us(CLOCK_MONOTONIC);
}

uint64_t
cagma_clock_boot_us(void)
{
  return clock_us(CLOCK_BOOTTIME);
}

uint64_t
cagma_clock_real_us(void)
{
  return clock_us(CLOCK_REALTIME);
}
