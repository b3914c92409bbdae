/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/course.h"

#include "policy/units.h"

#define SECONDS(n) ((int64_t)((n)*CAGMA_SECOND_US))
#define MIB(n) ((double)CAGMA_MIB(n))
#define TICK_US (CAGMA_SECOND_US / 10)

/* Nothing before 5 s; 100 MiB; from 10 s on to 300 in 20 s; from 40 s on down to 50 in 50 s,
 * which is cut short at 50 s: at 300 − 250 / 5 = 250; from there to 450 in 20 s; not touched. */
static CagmaPhase ramps[] = {
  { .from_us = SECONDS(5), .size_kib = CAGMA_MIB(100), .sweep_us = SECONDS(7) },
  { .from_us = SECONDS(10), .size_kib = CAGMA_MIB(300), .ramp_us = SECONDS(20), .sweep_us = SECONDS(7) },
  { .from_us = SECONDS(40), .size_kib = CAGMA_MIB(50), .ramp_us = SECONDS(50), .sweep_us = SECONDS(3) },
  { .from_us = SECONDS(50), .size_kib = CAGMA_MIB(450), .ramp_us = SECONDS(20) },
};
static const CagmaPart ramping = { .phases = ramps, .n_phases = G_N_ELEMENTS(ramps) };

static const struct {
  int64_t at_us;
  double mib, sweep_s;
} stations[] = {
  { SECONDS(0), 0, 0 },    { SECONDS(4.9), 0, 0 },    { SECONDS(5), 100, 7 },  { SECONDS(10), 100, 7 },
  { SECONDS(15), 150, 7 }, { SECONDS(20), 200, 7 },   { SECONDS(30), 300, 7 }, { SECONDS(39.9), 300, 7 },
  { SECONDS(40), 300, 3 }, { SECONDS(45), 275, 3 },   { SECONDS(50), 250, 0 }, { SECONDS(60), 350, 0 },
  { SECONDS(70), 450, 0 }, { SECONDS(1000), 450, 0 },
};

static void
test_ramps(void)
{
  CagmaCourse course;

  cagma_course_init(&course, &ramping, 1);
  for (size_t i = 0; i < G_N_ELEMENTS(stations); i++) {
    cagma_course_go(&course, stations[i].at_us);
    g_assert_cmpfloat_with_epsilon(course.size_kib / 1024, stations[i].mib, 0.001);
    g_assert_cmpfloat_with_epsilon((double)course.sweep_us / 1e6, stations[i].sweep_s, 1e-9);
  }
}

static CagmaPhase walks[] = {
  { .size_kib = CAGMA_MIB(100), .walk_kib = CAGMA_MIB(30), .walk_every_us = SECONDS(2) },
};
static const CagmaPart walking = { .phases = walks, .n_phases = 1 };

/* Up to a step every two seconds, and no change in between; within nothing and twice the size,
 * both of which so long a walk comes to. */
static void
test_walk(void)
{
  CagmaCourse course;
  double least_kib = MIB(100), most_kib = MIB(100), last_kib = MIB(100);
  unsigned steps = 0;

  cagma_course_init(&course, &walking, 3);
  for (int64_t at_us = 0; at_us < SECONDS(4000); at_us += TICK_US) {
    cagma_course_go(&course, at_us);
    if (course.size_kib != last_kib) {
      g_assert_cmpint(at_us % SECONDS(2), ==, 0);
      g_assert_cmpfloat(ABS(course.size_kib - last_kib), <=, MIB(30));
      steps++;
    }
    last_kib = course.size_kib;
    least_kib = MIN(least_kib, last_kib);
    most_kib = MAX(most_kib, last_kib);
  }
  g_assert_cmpfloat_with_epsilon(least_kib, 0, 0.001);
  g_assert_cmpfloat_with_epsilon(most_kib, MIB(200), 0.001);
  /* All but those that stay at a bound. */
  g_assert_cmpuint(steps, >, 1500);
}

static CagmaPhase outbreaks[] = {
  { .from_us = SECONDS(3),
    .size_kib = CAGMA_MIB(100),
    .burst_kib = CAGMA_MIB(70),
    .burst_every_us = SECONDS(20),
    .burst_us = SECONDS(4) },
};
static const CagmaPart bursting = { .phases = outbreaks, .n_phases = 1 };

/* One of 4 s in each window of 20 s, at another moment in each. */
static void
test_bursts(void)
{
  const unsigned n_windows = 50;
  CagmaCourse course;
  double first_s = -1, least_s = 20, most_s = 0;

  cagma_course_init(&course, &bursting, 5);
  for (unsigned w = 0; w < n_windows; w++) {
    unsigned ticks = 0, edges = 0;
    gboolean was = FALSE;

    for (int64_t t_us = 0; t_us < SECONDS(20); t_us += TICK_US) {
      gboolean is;

      cagma_course_go(&course, SECONDS(3) + w * SECONDS(20) + t_us);
      is = course.size_kib > MIB(100);
      g_assert_cmpfloat(course.size_kib, ==, is ? MIB(170) : MIB(100));
      ticks += is;
      edges += is && !was;
      if (is && !was)
        first_s = (double)t_us / 1e6;
      was = is;
    }
    g_assert_cmpuint(edges, ==, 1);
    g_assert_cmpuint(ticks, ==, 40);
    least_s = MIN(least_s, first_s);
    most_s = MAX(most_s, first_s);
  }
  /* Fifty moments from 0 to 16 s. */
  g_assert_cmpfloat(least_s, <, 3);
  g_assert_cmpfloat(most_s, >, 13);
}

static CagmaPhase mixed[] = {
  { .size_kib = CAGMA_MIB(100), .walk_kib = CAGMA_MIB(10), .walk_every_us = SECONDS(0.7) },
  { .from_us = SECONDS(30.3),
    .size_kib = CAGMA_MIB(200),
    .ramp_us = SECONDS(60),
    .walk_kib = CAGMA_MIB(10),
    .walk_every_us = SECONDS(0.7),
    .burst_kib = CAGMA_MIB(70),
    .burst_every_us = SECONDS(9.3),
    .burst_us = SECONDS(2) },
  { .from_us = SECONDS(77.7),
    .size_kib = CAGMA_MIB(150),
    .ramp_us = SECONDS(30),
    .walk_kib = CAGMA_MIB(10),
    .walk_every_us = SECONDS(0.7) },
};
static const CagmaPart mixing = { .phases = mixed, .n_phases = G_N_ELEMENTS(mixed) };

/* The same from the same seed, whether it is looked at ten times a second, or every second;
 * another one from another seed. */
static void
test_same(void)
{
  CagmaCourse often, seldom, other;
  unsigned different = 0;

  cagma_course_init(&often, &mixing, 11);
  cagma_course_init(&seldom, &mixing, 11);
  cagma_course_init(&other, &mixing, 12);
  for (int64_t at_us = 0; at_us < SECONDS(150); at_us += TICK_US) {
    cagma_course_go(&often, at_us);
    cagma_course_go(&other, at_us);
    if (at_us % CAGMA_SECOND_US)
      continue;
    cagma_course_go(&seldom, at_us);
    g_assert_cmpfloat(often.size_kib, ==, seldom.size_kib);
    g_assert_cmpint(often.sweep_us, ==, seldom.sweep_us);
    different += often.size_kib != other.size_kib;
  }
  g_assert_cmpuint(different, >, 140);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/course/ramps", test_ramps);
  g_test_add_func("/course/walk", test_walk);
  g_test_add_func("/course/bursts", test_bursts);
  g_test_add_func("/course/same", test_same);
  return g_test_run();
}
