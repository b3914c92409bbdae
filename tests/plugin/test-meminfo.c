/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/meminfo.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"

static void
test_parse(void)
{
  static const struct {
    const char *text;
    gboolean good;
    uint64_t total_kib;
    uint64_t available_kib;
  } cases[] = {
    { "MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:   8192 kB\n", TRUE, 16384, 8192 },
    { "MemAvailable: 0 kB\nMemTotal: 1 kB", TRUE, 1, 0 },
    { "MemTotal:1 kB\nMemAvailable:1 kB\n", TRUE, 1, 1 },
    { "", FALSE, 0, 0 },
    { "MemTotal: 16384 kB\n", FALSE, 0, 0 },
    { "MemAvailable: 16384 kB\n", FALSE, 0, 0 },
    { "XMemTotal: 1 kB\nXMemAvailable: 1 kB\n", FALSE, 0, 0 },
    { "MemTotal: kB\nMemAvailable: 1 kB\n", FALSE, 0, 0 },
    { "MemTotal: -1 kB\nMemAvailable: 1 kB\n", FALSE, 0, 0 },
    { "MemTotal: +1 kB\nMemAvailable: 1 kB\n", FALSE, 0, 0 },
    { "MemTotal: 1 MB\nMemAvailable: 1 kB\n", FALSE, 0, 0 },
    { "MemTotal: 1\nMemAvailable: 1 kB\n", FALSE, 0, 0 },
    { "MemTotal: 99999999999999999999999 kB\nMemAvailable: 1 kB\n", FALSE, 0, 0 },
    { "MemTotal: 4398046511105 kB\nMemAvailable: 1 kB\n", FALSE, 0, 0 },
    { "MemTotal: 4398046511104 kB\nMemAvailable: 1 kB\n", TRUE, CAGMA_MAX_KIB, 1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaHostMemory memory = { 0 };

    if (cagma_meminfo_parse(cases[i].text, &memory) != cases[i].good)
      g_error("case %zu: %s", i, cases[i].text);
    if (!cases[i].good)
      continue;
    g_assert_cmpuint(memory.total_kib, ==, cases[i].total_kib);
    g_assert_cmpuint(memory.available_kib, ==, cases[i].available_kib);
  }
}

static void
test_this_host(void)
{
  CagmaHostMemory memory = { 0 };
  g_autoptr(GError) error = NULL;

  g_assert_true(cagma_host_memory_read(&memory, &error));
  g_assert_no_error(error);
  g_assert_cmpuint(memory.total_kib, >, CAGMA_MIB(64));
  g_assert_cmpuint(memory.available_kib, >, 0);
  g_assert_cmpuint(memory.available_kib, <=, memory.total_kib);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/meminfo/parse", test_parse);
  g_test_add_func("/meminfo/this-host", test_this_host);
  return g_test_run();
}
