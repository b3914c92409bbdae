/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "qga-ext/dispatch.h"
#include "tests/qga-ext/kit.h"

typedef struct {
  Kit *kit;
  CagmaSystem system;
  CagmaScanner *scanner;
  CagmaDispatch dispatch;
  guint triggers_set;
} Fixture;

static void
set_trigger(void *data)
{
  Fixture *f = data;

  f->triggers_set++;
  f->dispatch.watch = f->dispatch.trigger.stall_us > 0 ? CAGMA_WATCH_PSI : CAGMA_WATCH_NONE;
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->kit = kit_new();
  g_assert_true(cagma_system_open(&f->system, f->kit->proc));
  f->scanner = g_new0(CagmaScanner, 1);
  cagma_scanner_init(f->scanner, &f->system);
  f->dispatch = (CagmaDispatch){ .version = CAGMA_VERSION,
                                 .system = &f->system,
                                 .scanner = f->scanner,
                                 .set_trigger = set_trigger,
                                 .set_trigger_data = f };
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  g_free(f->scanner);
  kit_free(f->kit);
}

static char *
ask_bytes(Fixture *f, const char *request, gsize length)
{
  char bytes[CAGMA_REPLY_MAX];
  CagmaText reply = cagma_text_init(bytes, sizeof(bytes));

  cagma_dispatch(&f->dispatch, request, length, &reply);
  g_assert_false(reply.overflow);
  g_assert_true(g_utf8_validate(bytes + (*bytes == '\xFF'), (gssize)reply.length - (*bytes == '\xFF'), NULL));
  return g_strndup(bytes, reply.length);
}

static char *
ask(Fixture *f, const char *request)
{
  return ask_bytes(f, request, strlen(request));
}

static void
assert_reply(Fixture *f, const char *request, const char *expected)
{
  g_autofree char *reply = ask(f, request);
  g_autofree char *line = g_strconcat(expected, "\n", NULL);

  note(request);
  g_assert_cmpstr(reply, ==, line);
}

#define GENERIC(desc) "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" desc "\"}}"

static void
replies_are_those_of_qemu_ga(Fixture *f, gconstpointer unused)
{
  static const char *const cases[][2] = {
    { "{\"execute\":\"guest-ping\"}", "{\"return\": {}}" },
    { "{\"execute\":\"guest-ping\",\"arguments\":{}}", "{\"return\": {}}" },
    { "{\"execute\":\"guest-ping\",\"id\":{\"a\": [1, \"\\u00e9\"]}}",
      "{\"return\": {}, \"id\": {\"a\": [1, \"\\u00e9\"]}}" },
    { "{\"id\":\"x\\\"y\",\"execute\":\"guest-ping\"}", "{\"return\": {}, \"id\": \"x\\\"y\"}" },
    { "{\"execute\":\"guest-ping\",\"id\":null}", "{\"return\": {}, \"id\": null}" },
    { "{\"execute\":\"guest-ping\",\"id\":[\n1,\r\t\"a b\"\n]}", "{\"return\": {}, \"id\": [1,\"a b\"]}" },
    { "{\"execute\":\"guest-ping\",\"id\":1.5e3}", "{\"return\": {}, \"id\": 1.5e3}" },
    { "{\"\\u0065xecute\":\"guest\\u002dping\"}", "{\"return\": {}}" },
    { "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":123456789012}}", "{\"return\": 123456789012}" },
    { "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":-9223372036854775808}}",
      "{\"return\": -9223372036854775808}" },
    { "{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":5}}", "\xFF{\"return\": 5}" },
    { "{\"execute\":\"guest-sync-delimited\",\"id\":1}",
      "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Parameter 'id' is missing\"}, \"id\": 1}" },
    { "hello", GENERIC("JSON parse error, invalid keyword") },
    { "[1]", GENERIC("QMP input must be a JSON object") },
    { "7", GENERIC("QMP input must be a JSON object") },
    { "{}", GENERIC("QMP input lacks member 'execute'") },
    { "{\"execute\":1}", GENERIC("QMP input member 'execute' must be a string") },
    { "{\"execute\":\"guest-ping\",\"x\":1}", GENERIC("QMP input member 'x' is unexpected") },
    { "{\"execute\":\"guest-ping\",\"arguments\":[]}",
      GENERIC("QMP input member 'arguments' must be an object") },
    { "{\"execute\":\"guest-ping\",\"arguments\":{\"z\":2}}", GENERIC("Parameter 'z' is unexpected") },
    { "{\"execute\":\"guest-sync\"}", GENERIC("Parameter 'id' is missing") },
    { "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":1,\"z\":2}}",
      GENERIC("Parameter 'z' is unexpected") },
    { "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":\"x\"}}",
      GENERIC("Invalid parameter type for 'id', expected: integer") },
    { "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":18446744073709551615}}",
      GENERIC("Invalid parameter type for 'id', expected: integer") },
    { "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":1.5}}",
      GENERIC("Invalid parameter type for 'id', expected: integer") },
    { "{\"execute\":\"guest-ping\",\"execute\":\"guest-info\"}", GENERIC("JSON parse error, duplicate key") },
    { "{\"execute\":\"\xC3(\"}", GENERIC("JSON parse error, invalid UTF-8 sequence in string") },
    { "{\"execute\":\"guest-foo\"}", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command "
                                     "guest-foo has not been found\"}}" },
    { "{\"execute\":\"a\\u0000b\\\"\"}",
      "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command "
      "a\\u0000b\\\" has not been found\"}}" },
    { "{\"execute\":\"guest-get-memory-stats-long-name-long-name-long-name-long-name-long-name\"}",
      "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command ... has not been found\"}}" },
    { "{\"execute\":\"\"}",
      "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command  has not been found\"}}" },
  };

  (void)unused;
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
    assert_reply(f, cases[i][0], cases[i][1]);
}

static void
an_id_is_echoed_up_to_its_limit(Fixture *f, gconstpointer unused)
{
  g_autofree char *fits = g_strnfill(CAGMA_ID_MAX, '7');
  g_autofree char *request = g_strdup_printf("{\"execute\":\"guest-ping\",\"id\":%s}", fits);
  g_autofree char *longer = g_strdup_printf("{\"execute\":\"guest-ping\",\"id\":7%s}", fits);
  g_autofree char *expected = g_strdup_printf("{\"return\": {}, \"id\": %s}", fits);

  (void)unused;
  assert_reply(f, request, expected);
  assert_reply(f, longer, GENERIC("QMP input member 'id' is too long"));
}

static void
info_lists_every_command(Fixture *f, gconstpointer unused)
{
  static const char *const names[] = {
    "guest-get-memory-stats", "guest-get-load", "guest-get-pressure", "guest-set-pressure-trigger",
    "guest-read-back-memory", "guest-info",     "guest-ping",         "guest-sync",
    "guest-sync-delimited"
  };
  g_autofree char *reply = NULL;

  (void)unused;
  f->dispatch.read_back = &cagma_read_back_calls;
  reply = ask(f, "{\"execute\":\"guest-info\"}");
  assert_has(reply, "{\"return\": {\"version\": \"" CAGMA_VERSION "\", \"supported_commands\": [{");
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *element =
        g_strdup_printf("{\"enabled\": true, \"name\": \"%s\", \"success-response\": true}", names[i]);
    assert_has(reply, element);
  }
}

static void
without_events_the_trigger_is_refused(Fixture *f, gconstpointer unused)
{
  g_autofree char *info = NULL;

  (void)unused;
  f->dispatch.set_trigger = NULL;
  assert_reply(f,
               "{\"execute\":\"guest-set-pressure-trigger\",\"arguments\":{\"stall\":1,\"window\":500000}}",
               GENERIC("events can't be sent on this channel"));
  info = ask(f, "{\"execute\":\"guest-info\"}");
  assert_has(info, "{\"enabled\": false, \"name\": \"guest-set-pressure-trigger\"");
}

#define READ_BACK(arguments) "{\"execute\":\"guest-read-back-memory\",\"arguments\":{" arguments "}}"

static void
read_back_may_be_impossible(Fixture *f, gconstpointer unused)
{
  g_autofree char *info = ask(f, "{\"execute\":\"guest-info\"}");

  (void)unused;
  assert_has(info, "{\"enabled\": false, \"name\": \"guest-read-back-memory\"");
  assert_reply(f, READ_BACK("\"max-bytes\":1,\"time-ms\":1"),
               GENERIC("the kernel doesn't let processes' memory be brought back"));
}

static void
read_back_is_checked_and_begun(Fixture *f, gconstpointer unused)
{
  static const char *const bad[][2] = {
    { READ_BACK(""), GENERIC("Parameter 'max-bytes' is missing") },
    { READ_BACK("\"max-bytes\":1"), GENERIC("Parameter 'time-ms' is missing") },
    { READ_BACK("\"max-bytes\":0,\"time-ms\":1"), GENERIC("Parameter 'max-bytes' must be above 0") },
    { READ_BACK("\"max-bytes\":-1,\"time-ms\":1"), GENERIC("Parameter 'max-bytes' must be above 0") },
    { READ_BACK("\"max-bytes\":1,\"time-ms\":0"), GENERIC("Parameter 'time-ms' must be 1 to 10000") },
    { READ_BACK("\"max-bytes\":1,\"time-ms\":10001"), GENERIC("Parameter 'time-ms' must be 1 to 10000") },
    { READ_BACK("\"max-bytes\":1,\"time-ms\":\"1\""),
      GENERIC("Invalid parameter type for 'time-ms', expected: integer") },
    { READ_BACK("\"max-bytes\":1,\"time-ms\":1,\"pid\":1"), GENERIC("Parameter 'pid' is unexpected") },
  };
  static CagmaSystem lasting; /* the reader's thread goes on after this test */
  g_autofree char *info = NULL;

  (void)unused;
  lasting = f->system;
  f->dispatch.system = &lasting;
  f->dispatch.read_back = &cagma_read_back_calls;
  info = ask(f, "{\"execute\":\"guest-info\"}");
  assert_has(info, "{\"enabled\": true, \"name\": \"guest-read-back-memory\"");
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
    assert_reply(f, bad[i][0], bad[i][1]);
  g_assert_null(f->dispatch.reader);
  assert_reply(f, READ_BACK("\"max-bytes\":9223372036854775807,\"time-ms\":10000"),
               "{\"return\": {\"bytes\": 0, \"processes\": 0, \"done\": false}}");
  g_assert_nonnull(f->dispatch.reader);
}

static void
triggers_are_checked_before_they_are_set(Fixture *f, gconstpointer unused)
{
  static const struct {
    const char *arguments, *reply;
    guint64 stall_us, window_us;
    gboolean full;
  } good[] = {
    { "\"stall\":1,\"window\":500000",
      "{\"watch\": \"psi\", \"resource\": \"memory\", \"level\": \"some\", \"stall\": 1, \"window\": 500000}",
      1, 500000, FALSE },
    { "\"resource\":\"memory\",\"level\":\"full\",\"stall\":10000000,\"window\":10000000",
      "{\"watch\": \"psi\", \"resource\": \"memory\", \"level\": \"full\", \"stall\": 10000000, \"window\": "
      "10000000}",
      10000000, 10000000, TRUE },
    { "\"stall\":0", "{\"watch\": \"none\"}", 0, 0, FALSE },
    { "\"stall\":0,\"window\":1", "{\"watch\": \"none\"}", 0, 0, FALSE },
  };
  static const char *const bad[][2] = {
    { "", "Parameter 'stall' is missing" },
    { "\"stall\":1", "Parameter 'window' is missing" },
    { "\"stall\":\"1\",\"window\":500000", "Invalid parameter type for 'stall', expected: integer" },
    { "\"stall\":-1,\"window\":500000", "Parameter 'stall' must be 0 to 'window'" },
    { "\"stall\":500001,\"window\":500000", "Parameter 'stall' must be 0 to 'window'" },
    { "\"stall\":1,\"window\":499999", "Parameter 'window' must be 500000 to 10000000" },
    { "\"stall\":1,\"window\":10000001", "Parameter 'window' must be 500000 to 10000000" },
    { "\"stall\":1,\"window\":-500000", "Parameter 'window' must be 500000 to 10000000" },
    { "\"stall\":1,\"window\":500000,\"level\":\"none\"", "Parameter 'level' must be 'some' or 'full'" },
    { "\"stall\":1,\"window\":500000,\"level\":1", "Parameter 'level' must be 'some' or 'full'" },
    { "\"stall\":1,\"window\":500000,\"resource\":\"io\"", "Parameter 'resource' must be 'memory'" },
    { "\"stall\":1,\"window\":500000,\"more\":1", "Parameter 'more' is unexpected" },
  };

  (void)unused;
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autofree char *request =
        g_strdup_printf("{\"execute\":\"guest-set-pressure-trigger\",\"arguments\":{%s}}", good[i].arguments);
    g_autofree char *expected = g_strdup_printf("{\"return\": %s}", good[i].reply);
    assert_reply(f, request, expected);
    g_assert_cmpuint(f->triggers_set, ==, i + 1);
    g_assert_cmpuint(f->dispatch.trigger.stall_us, ==, good[i].stall_us);
    g_assert_cmpuint(f->dispatch.trigger.window_us, ==, good[i].window_us);
    g_assert_cmpint(f->dispatch.trigger.full, ==, good[i].full);
  }
  f->triggers_set = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *request =
        g_strdup_printf("{\"execute\":\"guest-set-pressure-trigger\",\"arguments\":{%s}}", bad[i][0]);
    g_autofree char *expected =
        g_strdup_printf("{\"error\": {\"class\": \"GenericError\", \"desc\": \"%s\"}}", bad[i][1]);
    assert_reply(f, request, expected);
    g_assert_cmpuint(f->triggers_set, ==, 0);
  }
}

static void
memory_stats_are_those_of_the_kernel(Fixture *f, gconstpointer unused)
{
  g_autofree char *reply = NULL;

  (void)unused;
  kit_write(f->kit, "vmstat",
            "pswpin 11\npswpout 12\npgmajfault 13\nworkingset_refault_anon 14\nworkingset_refault_file 15\n"
            "oom_kill 18446744073709551615\n");
  reply = ask(f, "{\"execute\":\"guest-get-memory-stats\"}");
  assert_has(reply, "{\"return\": {\"total\": 228986880, \"free\": 88571904, \"available\": 92176384, "
                    "\"cached\": 10432512, \"committed\": 20742144, \"swap-total\": 536866816, "
                    "\"swap-free\": 536866816, \"swap-cached\": 0, \"page-size\": ");
  assert_has(reply, ", \"pages-swapped-in\": 11, \"pages-swapped-out\": 12, \"major-faults\": 13, "
                    "\"refaults-anon\": 14, \"refaults-file\": 15, \"oom-kills\": 18446744073709551615, "
                    "\"vcpus\": ");
  assert_has(reply, ", \"swappable\": 10215424, ");
  assert_has(reply, "\"largest-process\": {\"pid\": 1, \"rss\": ");
  assert_has(reply, ", \"process-scan\": {\"processes\": 1, \"truncated\": false, \"age\": ");
  g_assert_null(strstr(reply, "swapping-process"));
}

static void
what_the_kernel_doesnt_tell_is_left_out(Fixture *f, gconstpointer unused)
{
  g_autofree char *reply = NULL;

  (void)unused;
  kit_write(f->kit, "meminfo", "MemTotal: 1000 kB\nMemFree: 10 kB\n");
  kit_write(f->kit, "vmstat", "");
  reply = ask(f, "{\"execute\":\"guest-get-memory-stats\"}");
  assert_has(reply, "{\"return\": {\"total\": 1024000, \"free\": 10240, \"page-size\": ");
  g_assert_null(strstr(reply, "available"));
  g_assert_null(strstr(reply, "swapped"));
  kit_write(f->kit, "meminfo", "MemTotal: -1 kB\nMemFree: 10 kB\n");
  assert_reply(f, "{\"execute\":\"guest-get-memory-stats\"}", GENERIC("the memory figures can't be read"));
}

static void
load_and_pressure_are_those_of_the_kernel(Fixture *f, gconstpointer unused)
{
#define ZERO "{\"avg10\": 0.00, \"avg60\": 0.00, \"avg300\": 0.00, \"total\": 0}"
  (void)unused;
  kit_write(f->kit, "loadavg", "0.05 12.50 3.00 1/2 3\n");
  assert_reply(f, "{\"execute\":\"guest-get-load\"}",
               "{\"return\": {\"load1m\": 0.05, \"load5m\": 12.50, "
               "\"load15m\": 3.00}}");
  kit_write(f->kit, "pressure/io", "some avg10=1.05 avg60=0.20 avg300=0.00 total=12\n");
  assert_reply(f, "{\"execute\":\"guest-get-pressure\"}",
               "{\"return\": {\"memory\": {\"some\": " ZERO ", \"full\": " ZERO "}, "
               "\"io\": {\"some\": {\"avg10\": 1.05, \"avg60\": 0.20, \"avg300\": 0.00, \"total\": 12}}, "
               "\"cpu\": {\"some\": {\"avg10\": 7.21, \"avg60\": 1.41, \"avg300\": 0.29, \"total\": 923015}, "
               "\"full\": " ZERO "}, \"trigger\": {\"watch\": \"none\"}}}");
  kit_write(f->kit, "pressure/io", "");
  kit_write(f->kit, "pressure/cpu", "");
  kit_write(f->kit, "pressure/memory", "");
  assert_reply(f, "{\"execute\":\"guest-get-pressure\"}",
               GENERIC("the kernel has no pressure stall information"));
  kit_write(f->kit, "loadavg", "");
  assert_reply(f, "{\"execute\":\"guest-get-load\"}", GENERIC("the load can't be read"));
}

static const CagmaProcessBudget unlimited = { .processes = G_MAXUINT32, .us = G_MAXUINT64 };

static const CagmaProcessRound *
scan(Fixture *f, CagmaProcessBudget budget)
{
  gboolean whole;
  bool is_whole;
  uint64_t age_us;
  const CagmaProcessRound *round;

  cagma_processes_scan(&f->scanner->processes, budget, true);
  round = cagma_processes_result(&f->scanner->processes, &is_whole, &age_us);
  whole = is_whole;
  g_assert_true(whole || age_us == 0);
  return round;
}

static void
the_largest_process_is_found(Fixture *f, gconstpointer unused)
{
  const guint64 page = f->system.page_bytes;
  const CagmaProcessRound *round;

  (void)unused;
  kit_write_process(f->kit, 100, 0, 5, 4096, 1000, 0);
  kit_write_process(f->kit, 200, 0, 5, 4096, 600, 1000 * page / 1024);
  kit_write_process(f->kit, 300, 0, 5, 0, 9000, 0); /* a kernel thread */
  round = scan(f, unlimited);
  g_assert_cmpuint(round->n_processes, ==, 3);
  g_assert_cmpuint(round->largest.pid, ==, 200);
  g_assert_cmpuint(round->largest.rss, ==, 600 * page);
  g_assert_cmpuint(round->largest.swap, ==, 1000 * page);
  g_assert_false(round->swapping.known);
}

static void
the_process_that_swaps_is_the_one_that_grew_most(Fixture *f, gconstpointer unused)
{
  const guint64 page_kib = f->system.page_bytes / 1024;
  const CagmaProcessRound *round;

  (void)unused;
  kit_write_process(f->kit, 100, 1000, 5, 4096, 10, 5000);
  kit_write_process(f->kit, 200, 0, 5, 4096, 10, 0);
  kit_write_process(f->kit, 300, 50, 5, 4096, 10, 100);
  g_assert_false(scan(f, unlimited)->swapping.known); /* what was before doesn't count */

  kit_write_process(f->kit, 100, 1010, 5, 4096, 10, 5000);      /* 10 faults */
  kit_write_process(f->kit, 200, 5, 5, 4096, 10, 6 * page_kib); /* 5 faults, 6 pages */
  kit_write_process(f->kit, 300, 40, 5, 4096, 10, 50);          /* backwards */
  round = scan(f, unlimited);
  g_assert_cmpuint(round->swapping.pid, ==, 200);
  g_assert_cmpuint(round->swapping.swap, ==, 6 * page_kib * 1024);

  g_assert_false(scan(f, unlimited)->swapping.known); /* nothing grew since */

  kit_write_process(f->kit, 200, 900, 6, 4096, 10, 9000); /* another process by that pid, begun long ago */
  kit_write_process(f->kit, 300, 41, 5, 4096, 10, 50);
  g_assert_cmpuint(scan(f, unlimited)->swapping.pid, ==, 300);

  kit_write_process(f->kit, 400, 2, G_MAXUINT32, 4096, 10, 0); /* begun since the last round */
  g_assert_cmpuint(scan(f, unlimited)->swapping.pid, ==, 400);
}

static void
thousands_of_processes_are_looked_at_in_slices(Fixture *f, gconstpointer unused)
{
  const CagmaProcessBudget slice = { .processes = 100, .us = G_MAXUINT64 };
  const CagmaProcessBudget instant = { .processes = G_MAXUINT32, .us = 0 };
  const CagmaProcessRound *round;
  guint slices = 0;
  bool whole = false;
  uint64_t age_us;

  (void)unused;
  for (guint pid = 2; pid <= 3000; pid++)
    kit_write_process(f->kit, pid, 0, 5, 4096, pid, 0);
  round = scan(f, instant);
  g_assert_cmpuint(round->n_processes, ==, 1);
  round = scan(f, slice);
  g_assert_cmpuint(round->n_processes, ==, 101);
  g_assert_true(round->largest.known);
  for (; !whole; slices++) {
    cagma_processes_scan(&f->scanner->processes, slice, true);
    round = cagma_processes_result(&f->scanner->processes, &whole, &age_us);
  }
  g_assert_cmpuint(slices, ==, 29);
  g_assert_cmpuint(round->n_processes, ==, 3000);
  g_assert_cmpuint(round->largest.pid, ==, 3000);

  /* Until the next round is finished, it is the whole one that is told. */
  kit_write_process(f->kit, 2, 0, 5, 4096, 100000, 0);
  round = scan(f, slice);
  g_assert_cmpuint(round->largest.pid, ==, 3000);
  round = scan(f, unlimited);
  g_assert_cmpuint(round->largest.pid, ==, 2);
}

static void
events_carry_the_whole_figures(Fixture *f, gconstpointer unused)
{
  char bytes[CAGMA_REPLY_MAX];
  CagmaText event = cagma_text_init(bytes, sizeof(bytes));
  CagmaMemoryStats stats;
  g_autofree char *line = NULL;

  (void)unused;
  g_assert_true(cagma_read_memory_stats(f->dispatch.system, f->dispatch.scanner, &stats));
  cagma_write_event(&event, UINT64_C(1700000000000042), &stats);
  g_assert_false(event.overflow);
  line = g_strndup(bytes, event.length);
  g_assert_true(g_str_has_prefix(line,
                                 "{\"event\": \"GUEST_MEMORY_PRESSURE\", \"timestamp\": {\"seconds\": "
                                 "1700000000, \"microseconds\": 42}, \"data\": {\"total\": 228986880, "));
  g_assert_true(g_str_has_suffix(line, "}}}\n"));
}

/* With every figure as large as can be there is room for it, and for an id. */
static void
the_largest_reply_fits(Fixture *f, gconstpointer unused)
{
  const CagmaFigure figure = { .value = UINT64_MAX, .known = true };
  const CagmaProcess process = { true, G_MAXUINT32, UINT64_MAX, UINT64_MAX };
  const CagmaMemoryStats stats = {
    .meminfo = { figure, figure, figure, figure, figure, figure, figure, figure, figure, figure },
    .has_vmstat = true,
    .vmstat = { figure, figure, figure, figure, figure, figure },
    .page_bytes = UINT64_MAX,
    .vcpus = UINT64_MAX,
    .processes = { process, process, UINT64_MAX },
    .processes_age_us = UINT64_MAX,
  };
  char bytes[CAGMA_REPLY_MAX];
  CagmaText event = cagma_text_init(bytes, sizeof(bytes));

  (void)f, (void)unused;
  cagma_write_event(&event, UINT64_MAX, &stats);
  g_assert_false(event.overflow);
  g_assert_cmpuint(event.length + CAGMA_ID_MAX, <, CAGMA_REPLY_MAX);
}

static void
add(const char *path, void (*test)(Fixture *, gconstpointer))
{
  g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  add("/dispatch/replies-are-those-of-qemu-ga", replies_are_those_of_qemu_ga);
  add("/dispatch/an-id-is-echoed-up-to-its-limit", an_id_is_echoed_up_to_its_limit);
  add("/dispatch/info-lists-every-command", info_lists_every_command);
  add("/dispatch/without-events-the-trigger-is-refused", without_events_the_trigger_is_refused);
  add("/dispatch/read-back-may-be-impossible", read_back_may_be_impossible);
  add("/dispatch/read-back-is-checked-and-begun", read_back_is_checked_and_begun);
  add("/dispatch/triggers-are-checked-before-they-are-set", triggers_are_checked_before_they_are_set);
  add("/dispatch/memory-stats-are-those-of-the-kernel", memory_stats_are_those_of_the_kernel);
  add("/dispatch/what-the-kernel-doesnt-tell-is-left-out", what_the_kernel_doesnt_tell_is_left_out);
  add("/dispatch/load-and-pressure-are-those-of-the-kernel", load_and_pressure_are_those_of_the_kernel);
  add("/dispatch/events-carry-the-whole-figures", events_carry_the_whole_figures);
  add("/dispatch/the-largest-reply-fits", the_largest_reply_fits);
  add("/processes/the-largest-process-is-found", the_largest_process_is_found);
  add("/processes/the-process-that-swaps-is-the-one-that-grew-most",
      the_process_that_swaps_is_the_one_that_grew_most);
  add("/processes/thousands-of-processes-are-looked-at-in-slices",
      thousands_of_processes_are_looked_at_in_slices);
  return g_test_run();
}
