/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/sim/contest.h"

/* What is expected of ours over many scenarios together, as a test: TAP. */
typedef struct {
  /* The mean over the scenarios of the part of the guests' time that is lost, at most so
   * many times that of each of the others. */
  double stalled[N_OTHERS];
  double no_worse;   /* at least in so many of the scenarios no worse than the best other */
  double distance;   /* the median of case_distance, at most */
  double much_worse; /* at most in so many of the scenarios half as bad again as the best other */
  double reversals;  /* in all, at most so many times qubes' */
} Expectations;

/* NULL where there are none of that name. */
const Expectations *expectations_by_name(const char *name);

/* FALSE where something isn't as expected. */
gboolean expectations_check(const Expectations *expected, GPtrArray *cases);
