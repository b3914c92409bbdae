/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sample.h"
#include "policy/units.h"

static void
test_clamp_bounds_every_figure(void)
{
  CagmaSample sample = {
    .actual_kib = UINT64_MAX,
    .usable_kib = UINT64_MAX,
    .unused_kib = UINT64_MAX,
    .caches_kib = UINT64_MAX,
    .swap_in_kib = UINT64_MAX,
    .swap_out_kib = UINT64_MAX,
    .major_faults = UINT64_MAX,
    .rss_kib = UINT64_MAX,
    .block_read_kib = UINT64_MAX,
    .stamp = UINT64_MAX,
    .refault_file_kib = UINT64_MAX,
    .refault_anon_kib = UINT64_MAX,
    .vcpus = UINT64_MAX,
    .load1_permille = UINT64_MAX,
    .load5_permille = UINT64_MAX,
    .load15_permille = UINT64_MAX,
  };

  cagma_sample_clamp(&sample, CAGMA_GIB(4));
  g_assert_cmpuint(sample.actual_kib, ==, CAGMA_GIB(4));
  g_assert_cmpuint(sample.usable_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.unused_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.caches_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.swap_in_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.swap_out_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.major_faults, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.rss_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.block_read_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.stamp, ==, UINT64_MAX);
  g_assert_cmpuint(sample.refault_file_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.refault_anon_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.vcpus, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.load1_permille, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.load5_permille, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.load15_permille, ==, CAGMA_MAX_KIB);
}

static void
test_clamp_leaves_sound_figures_alone(void)
{
  CagmaSample sample = { .actual_kib = 1000, .usable_kib = 300, .swap_in_kib = 7, .rss_kib = 900 };

  cagma_sample_clamp(&sample, 1000);
  g_assert_cmpuint(sample.actual_kib, ==, 1000);
  g_assert_cmpuint(sample.usable_kib, ==, 300);
  g_assert_cmpuint(sample.swap_in_kib, ==, 7);
  g_assert_cmpuint(sample.rss_kib, ==, 900);
}

static void
test_available(void)
{
  static const struct {
    const char *what;
    uint32_t has;
    uint64_t usable, unused, caches;
    gboolean known;
    uint64_t available;
  } cases[] = {
    { "usable", CAGMA_HAS_ACTUAL | CAGMA_HAS_USABLE, 300, 0, 0, TRUE, 300 },
    { "usable goes before the rest",
      CAGMA_HAS_ACTUAL | CAGMA_HAS_USABLE | CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES, 300, 1, 2, TRUE, 300 },
    { "unused and caches in its place", CAGMA_HAS_ACTUAL | CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES, 0, 100, 250,
      TRUE, 350 },
    { "unused alone is nothing", CAGMA_HAS_ACTUAL | CAGMA_HAS_UNUSED, 0, 100, 0, FALSE, 0 },
    { "caches alone are nothing", CAGMA_HAS_ACTUAL | CAGMA_HAS_CACHES, 0, 0, 100, FALSE, 0 },
    { "nothing", CAGMA_HAS_ACTUAL, 0, 0, 0, FALSE, 0 },
    { "all of it", CAGMA_HAS_ACTUAL | CAGMA_HAS_USABLE, 1000, 0, 0, TRUE, 1000 },
    { "more than it has", CAGMA_HAS_ACTUAL | CAGMA_HAS_USABLE, 1001, 0, 0, FALSE, 0 },
    { "a sum of more than it has", CAGMA_HAS_ACTUAL | CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES, 0, 600, 600, FALSE,
      0 },
    { "of an unknown size", CAGMA_HAS_USABLE, 300, 0, 0, FALSE, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const CagmaSample sample = { .has = cases[i].has,
                                 .actual_kib = 1000,
                                 .usable_kib = cases[i].usable,
                                 .unused_kib = cases[i].unused,
                                 .caches_kib = cases[i].caches };
    uint64_t available = 0;

    g_test_message("%s", cases[i].what);
    g_assert_true(cagma_sample_available(&sample, &available) == cases[i].known);
    g_assert_cmpuint(available, ==, cases[i].available);
  }
}

static void
test_reuse(void)
{
  CagmaReuse reuse;

  /* Whole KiB a bucket, and all of the memory covered. */
  cagma_reuse_init(&reuse, 6401);
  g_assert_cmpuint(reuse.bucket_kib, ==, 101);
  cagma_reuse_init(&reuse, 6400);
  g_assert_cmpuint(reuse.bucket_kib, ==, 100);
  cagma_reuse_add(&reuse, 0, 1);
  cagma_reuse_add(&reuse, 99, 2);
  cagma_reuse_add(&reuse, 100, 4);
  cagma_reuse_add(&reuse, 6399, 8);
  cagma_reuse_add(&reuse, 6400, 16);
  cagma_reuse_add(&reuse, UINT64_MAX, 16);
  g_assert_cmpuint(reuse.kib[0], ==, 3);
  g_assert_cmpuint(reuse.kib[1], ==, 4);
  g_assert_cmpuint(reuse.kib[63], ==, 8);
  cagma_reuse_add(&reuse, 0, UINT64_MAX);
  cagma_reuse_add(&reuse, 0, UINT64_MAX);
  g_assert_cmpuint(reuse.kib[0], ==, CAGMA_MAX_KIB);

  cagma_reuse_init(&reuse, 0);
  cagma_reuse_add(&reuse, 0, 1);
  g_assert_cmpuint(reuse.kib[0], ==, 1);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/sample/clamp/bounds", test_clamp_bounds_every_figure);
  g_test_add_func("/sample/clamp/sound", test_clamp_leaves_sound_figures_alone);
  g_test_add_func("/sample/available", test_available);
  g_test_add_func("/sample/reuse", test_reuse);
  return g_test_run();
}
