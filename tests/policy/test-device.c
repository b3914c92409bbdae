/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers computed by hand. */
#include "policy/sim/device.h"

#include "policy/sim/random.h"
#include "policy/units.h"

#define TICK_S 0.1

/* 100 requests a second, two at once; 100 MiB a second, 40 µs for 4 KiB. */
static const CagmaSimDisk disk = {
  .iops = 100,
  .kib_per_s = CAGMA_MIB(100),
  .latency_us = 20000,
  .swap_read_kib = 32,
  .swap_write_kib = 128,
  .file_random_kib = 16,
  .file_cyclic_kib = 256,
};

static void
assert_near(double is, double should)
{
  g_assert_cmpfloat_with_epsilon(is, should, 1e-9);
}

static void
test_request(void)
{
  CagmaSimDisk one_by_one = disk;

  assert_near(cagma_disk_time_s(&disk, 4), 0.0100390625);
  assert_near(cagma_disk_latency_s(&disk, 4), 0.0200390625);
  assert_near(cagma_disk_time_s(&disk, 1024), 0.02);
  assert_near(cagma_disk_latency_s(&disk, 1024), 0.03);
  /* Nobody waits less than the disk takes. */
  one_by_one.latency_us = 1000;
  assert_near(cagma_disk_latency_s(&one_by_one, 4), 0.0100390625);
}

static void
test_read(void)
{
  assert_near(cagma_disk_read_kib(&disk, CAGMA_PART_ANON, CAGMA_ACCESS_RANDOM), 4);
  assert_near(cagma_disk_read_kib(&disk, CAGMA_PART_ANON, CAGMA_ACCESS_CYCLIC), 32);
  assert_near(cagma_disk_read_kib(&disk, CAGMA_PART_FILE, CAGMA_ACCESS_RANDOM), 16);
  assert_near(cagma_disk_read_kib(&disk, CAGMA_PART_FILE, CAGMA_ACCESS_CYCLIC), 256);
}

/* Ten pages read one after the other, then as many two at a time. */
static void
test_load(void)
{
  CagmaLoad load = { 0 };

  cagma_load_add(&load, &disk, 10, 4, 1);
  assert_near(load.waits_s, 0.200390625);
  assert_near(load.disk_s, 0.100390625);
  cagma_load_add(&load, &disk, 10, 4, 2);
  assert_near(load.waits_s, 0.3005859375);
  assert_near(load.disk_s, 0.20078125);

  load = (CagmaLoad){ .waits_s = 0.1, .disk_s = 0.05 };
  assert_near(cagma_load_progress(&load, 1, TICK_S), 0.5);
  assert_near(cagma_load_progress(&load, 3, TICK_S), 0.25);
  load.waits_s = 0;
  assert_near(cagma_load_progress(&load, 100, TICK_S), 1);
}

static double
slowness_of(const CagmaLoad *loads, size_t n)
{
  return cagma_disk_slowness(&disk, loads, n, NULL, 0, TICK_S);
}

static double
disk_time(const CagmaLoad *loads, size_t n, double slowness)
{
  double sum_s = 0;

  for (size_t i = 0; i < n; i++)
    sum_s += loads[i].disk_s * cagma_load_progress(&loads[i], slowness, TICK_S);
  return sum_s;
}

/* Who waits for each page keeps the disk half idle: two don't disturb each other. */
static void
test_alone(void)
{
  CagmaLoad loads[2] = { { 0 } };

  g_assert_cmpfloat(slowness_of(NULL, 0), ==, 1);
  for (size_t i = 0; i < 2; i++) {
    cagma_load_add(&loads[i], &disk, 10, 4, 1);
    g_assert_cmpfloat(slowness_of(loads, i + 1), ==, 1);
  }
}

/* Eight of them: 8 × 0.100390625 × 0.1 / (0.1 + 0.200390625 s) = 0.1, s = 3.50877. */
static void
test_saturated(void)
{
  CagmaLoad loads[8] = { { 0 } };
  double slowness;

  for (size_t i = 0; i < 8; i++)
    cagma_load_add(&loads[i], &disk, 10, 4, 1);
  slowness = slowness_of(loads, 8);
  g_assert_cmpfloat_with_epsilon(slowness, 3.50877, 0.004);
  g_assert_cmpfloat_with_epsilon(disk_time(loads, 8, slowness), TICK_S, 0.0002);
}

/* What can't be slowed down enough is given up at a bound, and nothing goes wrong. */
static void
test_hopeless(void)
{
  CagmaLoad load = { .waits_s = 0, .disk_s = 1 };

  g_assert_cmpfloat(slowness_of(&load, 1), >=, 1e6);
}

/* Loads of all sizes: the disk is never used for more than the tick, is used for all of it
 * where anybody is slowed down, and nobody is faster for another's load. */
static void
test_monotone(void)
{
  CagmaRandom random = cagma_random_stream((uint64_t)g_test_rand_int(), 0);

  for (unsigned round = 0; round < 200; round++) {
    CagmaLoad loads[12] = { { 0 } };
    double slowness, last = 1;

    for (size_t i = 0; i < 12; i++) {
      cagma_load_add(&loads[i], &disk, cagma_random_between(&random, 0, 100), 4,
                     cagma_random_between(&random, 1, 16));
      slowness = slowness_of(loads, i + 1);
      g_assert_cmpfloat(slowness, >=, last * 0.998);
      g_assert_cmpfloat(disk_time(loads, i + 1, slowness), <=, TICK_S * 1.0001);
      if (slowness > 1)
        g_assert_cmpfloat(disk_time(loads, i + 1, slowness), >=, TICK_S * 0.998);
      last = slowness;
    }
  }
}

/* Three tasks keep it busy: 3 × 0.1 / (0.0200390625 s) × 0.0100390625 = 0.1, s = 1.50292, and
 * are served 9.961 times in a tick. One isn't disturbed: 4.990 times. */
static void
test_tasks(void)
{
  const CagmaDiskPhase one = { .tasks = 1, .io_kib = 4 }, three = { .tasks = 3, .io_kib = 4 };
  const CagmaDiskPhase *both[] = { &three, &one };
  CagmaLoad reader = { 0 };
  double slowness = cagma_disk_slowness(&disk, NULL, 0, both, 1, TICK_S), more;

  g_assert_cmpfloat_with_epsilon(slowness, 1.50292, 0.002);
  g_assert_cmpfloat_with_epsilon(cagma_disk_tasks_served(&disk, &three, slowness, TICK_S), 9.961, 0.02);
  g_assert_cmpfloat(cagma_disk_slowness(&disk, NULL, 0, both + 1, 1, TICK_S), ==, 1);
  g_assert_cmpfloat_with_epsilon(cagma_disk_tasks_served(&disk, &one, 1, TICK_S), 4.990, 0.001);

  /* Four: two thirds again, 4 / 3 × 1.50292. A guest that pages beside them slows them more. */
  more = cagma_disk_slowness(&disk, NULL, 0, both, 2, TICK_S);
  g_assert_cmpfloat_with_epsilon(more, 2.00389, 0.003);
  cagma_load_add(&reader, &disk, 10, 4, 1);
  g_assert_cmpfloat(cagma_disk_slowness(&disk, &reader, 1, both, 2, TICK_S), >, more + 0.3);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/device/request", test_request);
  g_test_add_func("/device/read", test_read);
  g_test_add_func("/device/load", test_load);
  g_test_add_func("/device/alone", test_alone);
  g_test_add_func("/device/saturated", test_saturated);
  g_test_add_func("/device/hopeless", test_hopeless);
  g_test_add_func("/device/monotone", test_monotone);
  g_test_add_func("/device/tasks", test_tasks);
  return g_test_run();
}
