/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "qga-ext/proc.h"
#include "tests/qga-ext/kit.h"

/* The files in data/ are those of a lab guest with Debian 12's kernel, 6.1. */
static char *
read_data(const char *name, gsize *length)
{
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", name, NULL);
  g_autoptr(GError) error = NULL;
  char *text = NULL;

  g_file_get_contents(path, &text, length, &error);
  g_assert_no_error(error);
  return text;
}

/* A copy of exactly the text, so that a read beyond the end is seen. */
static char *
exactly(const char *text)
{
  return *text != '\0' ? g_memdup2(text, strlen(text)) : g_strdup("");
}

static void
assert_known(const CagmaFigure *figure, uint64_t value)
{
  g_assert_true(figure->known);
  g_assert_cmpuint(figure->value, ==, value);
}

static void
a_real_guest_is_read(void)
{
  gsize length;
  CagmaMeminfo meminfo;
  CagmaVmstat vmstat;
  CagmaPressure pressure;
  CagmaLoad load;
  CagmaProcessStat stat;
  CagmaFigure swap;
  g_autofree char *meminfo_text = read_data("meminfo", &length);

  g_assert_true(cagma_proc_meminfo(meminfo_text, length, &meminfo));
  assert_known(&meminfo.total, 223620 * UINT64_C(1024));
  assert_known(&meminfo.free, 86496 * UINT64_C(1024));
  assert_known(&meminfo.available, 90016 * UINT64_C(1024));
  assert_known(&meminfo.cached, 10188 * UINT64_C(1024));
  assert_known(&meminfo.swap_total, 524284 * UINT64_C(1024));
  assert_known(&meminfo.swap_free, 524284 * UINT64_C(1024));
  assert_known(&meminfo.swap_cached, 0);
  assert_known(&meminfo.committed, 20256 * UINT64_C(1024));

  g_autofree char *vmstat_text = read_data("vmstat", &length);
  g_assert_true(cagma_proc_vmstat(vmstat_text, length, &vmstat));
  assert_known(&vmstat.pages_swapped_in, 0);
  assert_known(&vmstat.pages_swapped_out, 0);
  assert_known(&vmstat.major_faults, 0);
  assert_known(&vmstat.refaults_anon, 0);
  assert_known(&vmstat.refaults_file, 0);
  assert_known(&vmstat.oom_kills, 0);

  g_autofree char *pressure_text = read_data("pressure-cpu", &length);
  g_assert_true(cagma_proc_pressure(pressure_text, length, &pressure));
  g_assert_cmpuint(pressure.some.avg10, ==, 721);
  g_assert_cmpuint(pressure.some.avg60, ==, 141);
  g_assert_cmpuint(pressure.some.avg300, ==, 29);
  g_assert_cmpuint(pressure.some.total_us, ==, 923015);
  g_assert_true(pressure.has_full);
  g_assert_cmpuint(pressure.full.total_us, ==, 0);

  g_autofree char *load_text = read_data("loadavg", &length);
  g_assert_true(cagma_proc_loadavg(load_text, length, &load));
  g_assert_cmpuint(load.load1m, ==, 0);

  g_autofree char *stat_text = read_data("stat", &length);
  g_assert_true(cagma_proc_stat(stat_text, length, &stat));
  g_assert_cmpuint(stat.major_faults, ==, 0);
  g_assert_cmpuint(stat.start_ticks, ==, 67);
  g_assert_cmpuint(stat.vsize, ==, 2314240);
  g_assert_cmpuint(stat.rss_pages, ==, 437);

  g_autofree char *status_text = read_data("status", &length);
  g_assert_true(cagma_proc_status(status_text, length, &swap));
  assert_known(&swap, 0);
}

static void
meminfo_is_in_bytes_and_strict(void)
{
#define HEAD "MemTotal: 1000 kB\nMemFree: 10 kB\n"
  static const struct {
    const char *text;
    gboolean ok;
  } cases[] = {
    { HEAD, TRUE },
    { "MemTotal:1000 kB\nMemFree:\t 10 kB", TRUE },
    { HEAD "Unknown: lots\n\n:\nCached\n", TRUE },
    { HEAD "HugePages_Total: 5\n", TRUE },
    { HEAD "Dirty: x\nMemAvailableX: 1\n", TRUE },
    { HEAD "SwapCached: x\n", FALSE },
    { "", FALSE },
    { "\n", FALSE },
    { "MemTotal: 1000 kB\n", FALSE },
    { "MemFree: 1000 kB\n", FALSE },
    { "MemTotal: 1000\nMemFree: 10 kB\n", FALSE },
    { "MemTotal: 1000 MB\nMemFree: 10 kB\n", FALSE },
    { "MemTotal: 1000 kB \nMemFree: 10 kB\n", FALSE },
    { "MemTotal:  kB\nMemFree: 10 kB\n", FALSE },
    { "MemTotal: -1 kB\nMemFree: 10 kB\n", FALSE },
    { "MemTotal: 1.5 kB\nMemFree: 10 kB\n", FALSE },
    { "MemTotal: 0x10 kB\nMemFree: 10 kB\n", FALSE },
    { "MemTotal: 18014398509481983 kB\nMemFree: 10 kB\n", TRUE },
    { "MemTotal: 18014398509481984 kB\nMemFree: 10 kB\n", FALSE },
    { "MemTotal: 99999999999999999999 kB\nMemFree: 10 kB\n", FALSE },
    { HEAD "MemFree: 10 kB\n", FALSE },
    { HEAD "MemAvailable: many kB\n", FALSE },
    { HEAD "Cached: 1", FALSE },
    { " " HEAD, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = exactly(cases[i].text);
    CagmaMeminfo meminfo;
    const gboolean ok = cagma_proc_meminfo(text, strlen(cases[i].text), &meminfo);

    note(cases[i].text);
    g_assert_cmpint(ok, ==, cases[i].ok);
    if (i > 3 || !ok)
      continue;
    assert_known(&meminfo.total, 1024000);
    assert_known(&meminfo.free, 10240);
    g_assert_false(meminfo.available.known);
    g_assert_false(meminfo.cached.known);
  }
}

static void
vmstat_is_read_from_all_kernels(void)
{
  static const struct {
    const char *text;
    gboolean ok, in, anon, file;
    uint64_t file_value;
  } cases[] = {
    { "pswpin 1\npswpout 2\npgmajfault 3\n", TRUE, TRUE, FALSE, FALSE, 0 },
    { "pgmajfault 3\n", TRUE, FALSE, FALSE, FALSE, 0 }, /* no CONFIG_SWAP */
    { "workingset_refault 9\n", TRUE, FALSE, FALSE, TRUE, 9 },
    { "workingset_refault 9\nworkingset_refault_file 7\n", TRUE, FALSE, FALSE, TRUE, 7 },
    { "workingset_refault_anon 8\nworkingset_refault_file 7", TRUE, FALSE, TRUE, TRUE, 7 },
    { "workingset_refault_file 18446744073709551615\n", TRUE, FALSE, FALSE, TRUE, UINT64_MAX },
    { "pswpin 1 x\n", FALSE, FALSE, FALSE, FALSE, 0 },
    { "pswpin 18446744073709551616\n", FALSE, FALSE, FALSE, FALSE, 0 },
    { "pswpin -1\n", FALSE, FALSE, FALSE, FALSE, 0 },
    { "pswpin \n", FALSE, FALSE, FALSE, FALSE, 0 },
    { "pswpin 1\npswpin 1\n", FALSE, FALSE, FALSE, FALSE, 0 },
    { "pswpinx 1\n", FALSE, FALSE, FALSE, FALSE, 0 },
    { "nr_free_pages 1\n", FALSE, FALSE, FALSE, FALSE, 0 },
    { "", FALSE, FALSE, FALSE, FALSE, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = exactly(cases[i].text);
    CagmaVmstat vmstat;
    const gboolean ok = cagma_proc_vmstat(text, strlen(cases[i].text), &vmstat);

    note(cases[i].text);
    g_assert_cmpint(ok, ==, cases[i].ok);
    if (!ok)
      continue;
    g_assert_cmpint(vmstat.pages_swapped_in.known, ==, cases[i].in);
    g_assert_cmpint(vmstat.refaults_anon.known, ==, cases[i].anon);
    g_assert_cmpint(vmstat.refaults_file.known, ==, cases[i].file);
    if (cases[i].file)
      g_assert_cmpuint(vmstat.refaults_file.value, ==, cases[i].file_value);
  }
}

static void
pressure_needs_a_some_line(void)
{
#define SOME "some avg10=1.05 avg60=0.20 avg300=100.00 total=12\n"
#define FULL "full avg10=0.00 avg60=0.00 avg300=0.00 total=18446744073709551615\n"
  static const struct {
    const char *text;
    gboolean ok, full;
  } cases[] = {
    { SOME FULL, TRUE, TRUE },
    { SOME, TRUE, FALSE },
    { FULL SOME, TRUE, TRUE },
    { SOME "more of it\n", TRUE, FALSE },
    { FULL, FALSE, FALSE },
    { "", FALSE, FALSE },
    { SOME SOME, FALSE, FALSE },
    { SOME FULL FULL, FALSE, FALSE },
    { "some avg10=1.0 avg60=0.20 avg300=0.00 total=12\n", FALSE, FALSE },
    { "some avg10=1 avg60=0.20 avg300=0.00 total=12\n", FALSE, FALSE },
    { "some avg10=.05 avg60=0.20 avg300=0.00 total=12\n", FALSE, FALSE },
    { "some avg10=-1.05 avg60=0.20 avg300=0.00 total=12\n", FALSE, FALSE },
    { "some avg10=nan avg60=0.20 avg300=0.00 total=12\n", FALSE, FALSE },
    { "some avg10=999999999999999999.00 avg60=0.20 avg300=0.00 total=12\n", FALSE, FALSE },
    { "some avg10=1.05 avg60=0.20 avg300=0.00 total=12 x\n", FALSE, FALSE },
    { "some avg10=1.05 avg60=0.20 avg300=0.00 total=\n", FALSE, FALSE },
    { "some avg10=1.05 avg60=0.20 avg300=0.00\n", FALSE, FALSE },
    { "some avg10=1.05 avg60=0.20 avg300=0.0", FALSE, FALSE },
    { SOME "full avg10=1.05\n", FALSE, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = exactly(cases[i].text);
    CagmaPressure pressure;
    const gboolean ok = cagma_proc_pressure(text, strlen(cases[i].text), &pressure);

    note(cases[i].text);
    g_assert_cmpint(ok, ==, cases[i].ok);
    if (!ok)
      continue;
    g_assert_cmpint(pressure.has_full, ==, cases[i].full);
    g_assert_cmpuint(pressure.some.avg10, ==, 105);
    g_assert_cmpuint(pressure.some.avg300, ==, 10000);
    g_assert_cmpuint(pressure.some.total_us, ==, 12);
    if (pressure.has_full)
      g_assert_cmpuint(pressure.full.total_us, ==, UINT64_MAX);
  }
}

static void
loads_are_hundredths(void)
{
  static const char *const bad[] = { "",
                                     "1",
                                     "1.0 2.00 3.00",
                                     "1.00 2.00",
                                     "1.00 2.00 3.0",
                                     "1.00,2.00,3.00",
                                     "x 2.00 3.00",
                                     "1.00 2.00 3.000",
                                     "-1.00 2.00 3.00" };
  static const char good[] = "1.05 20.50 300.99 2/100 1234\n";
  CagmaLoad load;

  g_assert_true(cagma_proc_loadavg(good, strlen(good), &load));
  g_assert_cmpuint(load.load1m, ==, 105);
  g_assert_cmpuint(load.load5m, ==, 2050);
  g_assert_cmpuint(load.load15m, ==, 30099);
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *text = exactly(bad[i]);
    note(bad[i]);
    g_assert_false(cagma_proc_loadavg(text, strlen(bad[i]), &load));
  }
}

static void
stat_copes_with_any_name(void)
{
#define FIELDS(majflt, rss)                                                                                  \
  " S 1 2 3 4 -1 6 7 8 " majflt " 10 11 12 13 14 -20 16 17 18 4711 8192 " rss " 25 26\n"
  static const struct {
    const char *text;
    gboolean ok;
  } cases[] = {
    { "7 (a)" FIELDS("9", "3"), TRUE },
    { "7 ()" FIELDS("9", "3"), TRUE },
    { "7 (a b) S 1 (c)" FIELDS("9", "3"), TRUE },
    { "7 (a\n) S 0 0 0)" FIELDS("9", "3"), TRUE },
    { "7 (\xFF\x01)" FIELDS("9", "3"), TRUE },
    { "7 (a) S 1 2 3 4 -1 6 7 8 9 10 11 12 13 14 -20 16 17 18 4711 8192", FALSE }, /* a field less */
    { "7 (a", FALSE },
    { "", FALSE },
    { "7 (a)", FALSE },
    { "7 (a) ", FALSE },
    { "7 (a) S", FALSE },
    { "7 (a)" FIELDS("-9", "3"), FALSE },
    { "7 (a)" FIELDS("99999999999999999999", "3"), FALSE },
    { "7 (a)" FIELDS("9", "x"), FALSE },
    { "7 (a)" FIELDS("9", "3x"), FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = exactly(cases[i].text);
    CagmaProcessStat stat;
    const gboolean ok = cagma_proc_stat(text, strlen(cases[i].text), &stat);

    note(cases[i].text);
    g_assert_cmpint(ok, ==, cases[i].ok);
    if (!ok)
      continue;
    g_assert_cmpuint(stat.major_faults, ==, 9);
    g_assert_cmpuint(stat.start_ticks, ==, 4711);
    g_assert_cmpuint(stat.vsize, ==, 8192);
    g_assert_cmpuint(stat.rss_pages, ==, 3);
  }
}

static void
status_tells_swap_where_there_is_any(void)
{
  static const struct {
    const char *text;
    gboolean ok, known;
    uint64_t swap;
  } cases[] = {
    { "Name:\tx\nVmSwap:\t     128 kB\nThreads:\t1\n", TRUE, TRUE, 131072 },
    { "Name:\tkthreadd\nThreads:\t1\n", TRUE, FALSE, 0 },
    { "Name:\tVmSwap: 5\n", TRUE, FALSE, 0 },
    { "VmSwap: x kB\n", FALSE, FALSE, 0 },
    { "VmSwap: 5\n", FALSE, FALSE, 0 },
    { "VmSwap: 5 kB\nVmSwap: 5 kB\n", FALSE, FALSE, 0 },
    { "VmSwap: 18446744073709551615 kB\n", FALSE, FALSE, 0 },
    { "", FALSE, FALSE, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = exactly(cases[i].text);
    CagmaFigure swap;
    const gboolean ok = cagma_proc_status(text, strlen(cases[i].text), &swap);

    note(cases[i].text);
    g_assert_cmpint(ok, ==, cases[i].ok);
    if (!ok)
      continue;
    g_assert_cmpint(swap.known, ==, cases[i].known);
    if (swap.known)
      g_assert_cmpuint(swap.value, ==, cases[i].swap);
  }
}

static void
cpus_are_counted(void)
{
  static const struct {
    const char *text;
    uint64_t n; /* 0: malformed */
  } cases[] = {
    { "0\n", 1 }, { "0-3\n", 4 }, { "0-1,3,8-11", 7 }, { "", 0 },
    { "\n", 0 },  { "3-1", 0 },   { "0,", 0 },         { "a", 0 },
    { "0-", 0 },  { "0 1", 0 },   { "0\n\n", 0 },      { "0-18446744073709551615", 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = exactly(cases[i].text);
    uint64_t n;
    const gboolean ok = cagma_proc_cpu_list(text, strlen(cases[i].text), &n);

    note(cases[i].text);
    g_assert_cmpint(ok, ==, cases[i].n > 0);
    if (ok)
      g_assert_cmpuint(n, ==, cases[i].n);
  }
}

static void
only_numbers_are_processes(void)
{
  static const char *const bad[] = { "", "0", "01", "1x", "self", "-1", "4294967296", " 1", "." };
  uint32_t pid;

  g_assert_true(cagma_proc_pid("4294967295", &pid));
  g_assert_cmpuint(pid, ==, G_MAXUINT32);
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    note(bad[i]);
    g_assert_false(cagma_proc_pid(bad[i], &pid));
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/proc/a-real-guest-is-read", a_real_guest_is_read);
  g_test_add_func("/proc/meminfo-is-in-bytes-and-strict", meminfo_is_in_bytes_and_strict);
  g_test_add_func("/proc/vmstat-is-read-from-all-kernels", vmstat_is_read_from_all_kernels);
  g_test_add_func("/proc/pressure-needs-a-some-line", pressure_needs_a_some_line);
  g_test_add_func("/proc/loads-are-hundredths", loads_are_hundredths);
  g_test_add_func("/proc/stat-copes-with-any-name", stat_copes_with_any_name);
  g_test_add_func("/proc/status-tells-swap-where-there-is-any", status_tells_swap_where_there_is_any);
  g_test_add_func("/proc/cpus-are-counted", cpus_are_counted);
  g_test_add_func("/proc/only-numbers-are-processes", only_numbers_are_processes);
  return g_test_run();
}
