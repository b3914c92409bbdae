/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "qga-ext/clock.h"
#include "qga-ext/publisher.h"
#include "tests/qga-ext/station.h"

/* The agent on xenstore: what it tells, and when. */

static void
the_longest_value_fits(void)
{
  const CagmaFigure figure = { .value = UINT64_MAX, .known = true };
  const CagmaProcess process = { .known = true, .pid = UINT32_MAX, .rss = UINT64_MAX, .swap = UINT64_MAX };
  const CagmaLoad load = { UINT64_MAX, UINT64_MAX, UINT64_MAX };
  const CagmaMemoryStats stats = {
    .meminfo = { figure, figure, figure, figure, figure, figure, figure, figure, figure, figure },
    .has_vmstat = true,
    .vmstat = { figure, figure, figure, figure, figure, figure },
    .page_bytes = UINT64_MAX,
    .vcpus = UINT64_MAX,
    .processes = { .largest = process, .swapping = process, .n_processes = UINT64_MAX },
    .processes_age_us = UINT64_MAX,
  };
  char bytes[CAGMA_PUBLISHED_MAX];
  CagmaText text = cagma_text_init(bytes, sizeof(bytes));

  cagma_write_published(&text, UINT64_MAX, UINT64_MAX, UINT64_MAX, &stats, &load);
  g_assert_false(text.overflow);
  g_test_message("%zu bytes", text.length);
  /* All of it is there. */
  g_assert_nonnull(g_strstr_len(bytes, (gssize)text.length, "\"committed\""));
  g_assert_nonnull(g_strstr_len(bytes, (gssize)text.length, "\"swappable\""));
}

static void
orders_are_read_strictly(void)
{
  static const struct {
    const char *text;
    const char *problem; /* NULL: none */
    guint64 interval_us, stall_us, window_us;
  } cases[] = {
    { "{\"interval-ms\": 1000, \"stall-us\": 30000, \"window-us\": 700000}", NULL, 1000000, 30000, 700000 },
    { "{}", NULL, 5000000, 25000, 500000 },
    { " {\"interval-ms\":100} ", NULL, 100000, 25000, 500000 },
    { "{\"interval-ms\":60000,\"another\":[{}]}", NULL, 60000000, 25000, 500000 },
    { "{\"stall-us\": 0}", NULL, 5000000, 0, 500000 },
    { "{\"stall-us\": 500000}", NULL, 5000000, 500000, 500000 },
    { "{\"stall-us\": 500001}", "stall-us must be 0 to window-us", 0, 0, 0 },
    { "{\"stall-us\": -1}", "stall-us must be 0 to window-us", 0, 0, 0 },
    { "{\"window-us\": 10000000}", NULL, 5000000, 25000, 10000000 },
    { "{\"window-us\": 499999}", "window-us must be 500000 to 10000000", 0, 0, 0 },
    { "{\"window-us\": 10000001}", "window-us must be 500000 to 10000000", 0, 0, 0 },
    { "{\"interval-ms\": 99}", "interval-ms must be 100 to 60000", 0, 0, 0 },
    { "{\"interval-ms\": 60001}", "interval-ms must be 100 to 60000", 0, 0, 0 },
    { "{\"interval-ms\": 18446744073709551716}", "interval-ms must be 100 to 60000", 0, 0, 0 },
    { "{\"interval-ms\": 1e3}", "interval-ms must be 100 to 60000", 0, 0, 0 },
    { "{\"interval-ms\": \"1000\"}", "interval-ms must be 100 to 60000", 0, 0, 0 },
    { "{\"interval-ms\": null}", "interval-ms must be 100 to 60000", 0, 0, 0 },
    { "[1000]", "not an object", 0, 0, 0 },
    { "1000", "not an object", 0, 0, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaOrders orders = { .interval_us = 1 };
    const char *problem = NULL;
    const bool valid = cagma_orders_parse(&orders, cases[i].text, strlen(cases[i].text), &problem);

    note(cases[i].text);
    g_assert_cmpstr(problem, ==, cases[i].problem);
    g_assert_cmpint(valid, ==, cases[i].problem == NULL);
    g_assert_cmpuint(orders.interval_us, ==, valid ? cases[i].interval_us : 1);
    g_assert_cmpuint(orders.trigger.stall_us, ==, cases[i].stall_us);
    g_assert_cmpuint(orders.trigger.window_us, ==, cases[i].window_us);
  }
}

static void
figures_are_published_at_the_start(Station *f, gconstpointer unused)
{
  g_autofree char *first = NULL;

  (void)unused;
  station_start_agent(f);
  first = store_await_write(f->store, DATA, 0);
  g_assert_true(g_str_has_prefix(first, "{\"seq\": 1, \"pressure-seq\": 0, \"time-us\": 1"));
  assert_has(first, ", \"stats\": {\"total\": 228986880, ");
  assert_has(first, "\"process-scan\": {\"processes\": 1, ");
  g_assert_true(
      g_str_has_suffix(first, ", \"load\": {\"load1m\": 0.00, \"load5m\": 0.00, \"load15m\": 0.00}}"));
  g_assert_null(strchr(first, '\n'));
}

static void
figures_are_published_at_the_interval(Station *f, gconstpointer unused)
{
  const gint64 began_us = g_get_monotonic_time();
  g_autofree char *value = station_order(f, "{\"interval-ms\": 200, \"stall-us\": 0}");
  const guint64 first = member(value, "seq");

  (void)unused;
  g_free(value);
  value = store_await_write(f->store, DATA, (guint)first + 9); /* each of them was written */
  g_assert_cmpint(g_get_monotonic_time() - began_us, >=, 2000000);
  g_assert_cmpuint(member(value, "seq"), >=, first + 10);
  g_assert_cmpuint(member(value, "pressure-seq"), ==, 0);
}

/* The figures are those of the moment, every time. */
static void
figures_are_fresh(Station *f, gconstpointer unused)
{
  g_autofree char *value = NULL;

  (void)unused;
  kit_write(f->kit, "vmstat", "pswpin 41\npswpout 42\n");
  value = station_order(f, "{\"interval-ms\": 59999, \"stall-us\": 0}");
  assert_has(value, "\"pages-swapped-in\": 41, \"pages-swapped-out\": 42, ");
}

static void
without_orders_it_is_every_five_seconds(Station *f, gconstpointer unused)
{
  const gint64 began_us = g_get_monotonic_time();
  g_autofree char *value = station_order(f, NULL);

  (void)unused;
  g_free(value);
  value = store_await_write(f->store, DATA, store_writes(f->store, DATA));
  g_assert_cmpint(g_get_monotonic_time() - began_us, >=, 5000000);
}

static void
new_orders_are_answered_at_once(Station *f, gconstpointer unused)
{
  static const char *const orders[] = { SELDOM, "{\"interval-ms\": 59000}",
                                        NULL,   "{\"interval-ms\": 58000}",
                                        "junk", SELDOM };

  (void)unused;
  for (gsize i = 0; i < G_N_ELEMENTS(orders); i++)
    g_free(station_order(f, orders[i]));
}

static void
hostile_orders_are_borne(Station *f, gconstpointer unused)
{
  g_autofree char *huge = g_strnfill(4000, '9');
  g_autofree char *deep = g_strnfill(4000, '[');
  const char *const cases[] = {
    huge,
    deep,
    "",
    " ",
    "{",
    "\xFF\xFE",
    "{\"interval-ms\": 100, \"interval-ms\": 100}",
    "{\"interval-ms\": -5}",
  };
  guint writes;

  (void)unused;
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *value = NULL;

    note(cases[i]);
    value = station_order(f, cases[i]);
    g_assert_cmpuint(member(value, "seq"), >, 0);
  }
  writes = store_writes(f->store, DATA);
  g_usleep(500000);
  g_assert_cmpuint(store_writes(f->store, DATA), ==, writes); /* every 5 s, that is */
  g_assert_cmpuint(station_logged(f, "going by the defaults"), >=, 4);
}

/* A /proc of files has no PSI: the swap counters are watched instead. */
static void
pressure_is_told_at_once(Station *f, gconstpointer unused)
{
  const guint writes = store_writes(f->store, DATA);
  g_autofree char *value = NULL, *later = NULL;

  (void)unused;
  kit_write(f->kit, "vmstat", "pswpin 0\npswpout 3\n");
  value = store_await_write(f->store, DATA, writes);
  assert_has(value, "\"pages-swapped-out\": 3");
  g_assert_cmpuint(member(value, "pressure-seq"), ==, member(value, "seq"));

  /* Who reads late sees that there was pressure all the same. */
  later = station_order(f, SELDOM);
  g_assert_cmpuint(member(later, "seq"), >, member(value, "seq"));
  g_assert_cmpuint(member(later, "pressure-seq"), ==, member(value, "seq"));
}

static void
the_trigger_can_be_disarmed(Station *f, gconstpointer unused)
{
  guint writes;

  (void)unused;
  g_free(station_order(f, SELDOM));
  writes = store_writes(f->store, DATA);
  kit_write(f->kit, "vmstat", "pswpin 5\npswpout 5\n");
  g_usleep(600000);
  g_assert_cmpuint(store_writes(f->store, DATA), ==, writes);
}

/* Arming it anew would begin a new window: it is left alone where it stays the same. */
static void
the_trigger_is_as_ordered(Station *f, gconstpointer unused)
{
  g_autofree char *path = g_build_filename(f->kit->proc, "pressure", "memory", NULL);
  g_autofree char *line = NULL;
  guint armed;

  (void)unused;
  g_free(station_order(f, "{\"interval-ms\": 60000, \"stall-us\": 40000, \"window-us\": 900000}"));
  g_assert_true(g_file_get_contents(path, &line, NULL, NULL));
  g_assert_cmpstr(line, ==, "some 40000 900000");
  armed = station_logged(f, "pressure is watched through");
  g_free(station_order(f, "{\"interval-ms\": 59000, \"stall-us\": 40000, \"window-us\": 900000}"));
  g_assert_cmpuint(station_logged(f, "pressure is watched through"), ==, armed);
}

static void
a_flood_of_news_is_answered_20_times_a_second(Station *f, gconstpointer unused)
{
  const guint writes = store_writes(f->store, DATA), reads = store_requests(f->store, STORE_READ);
  const gint64 began_us = g_get_monotonic_time();
  guint more_reads, more_writes, most;

  (void)unused;
  for (guint i = 0; i < 100; i++) {
    store_fire(f->store, 100);
    g_usleep(10000);
  }
  more_reads = store_requests(f->store, STORE_READ) - reads;
  more_writes = store_writes(f->store, DATA) - writes;
  most = (guint)((g_get_monotonic_time() - began_us) / 50000) + 1;
  g_assert_cmpuint(more_reads, <=, most);
  g_assert_cmpuint(more_writes, <=, most);
  g_assert_cmpuint(more_writes, >=, 2);
}

/* Where there is no memory left, nothing comes back that opens a file. */
static void
a_process_that_is_waited_for_keeps_nothing_up(Station *f, gconstpointer unused)
{
  guint writes;
  g_autofree char *value = NULL;

  (void)unused;
  kit_hold_process(f->kit, 7);
  value = station_order(f, "{\"interval-ms\": 100}");
  writes = store_writes(f->store, DATA);
  g_free(store_await_write(f->store, DATA, writes + 20)); /* it looks at processes once a second */
  kit_let_process_go(f->kit, 7);

  kit_write_process(f->kit, 8, 0, 1, 1, 1 << 30, 0);
  do {
    g_free(value);
    value = store_await_write(f->store, DATA, store_writes(f->store, DATA));
    g_assert_cmpuint(store_writes(f->store, DATA) - writes, <, 200);
  } while (strstr(value, "\"largest-process\": {\"pid\": 8, ") == NULL);
}

/* Faster than any trigger fires: without the program around it. */
static void
pressure_is_told_20_times_a_second(void)
{
  g_autoptr(Kit) kit = kit_new();
  g_autofree char *socket = kit_path(kit, "xenstore");
  g_autoptr(Store) store = store_new(socket);
  const CagmaOptions options = { .method = CAGMA_METHOD_XENSTORE, .path = socket };
  const CagmaLog log = { .fd = STDERR_FILENO };
  static CagmaGuest guest;
  static CagmaPublisher publisher;
  const gint64 began_us = g_get_monotonic_time();
  guint writes;

  guest.log = &log;
  guest.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  g_assert_true(cagma_system_open(&guest.system, kit->proc));
  cagma_scanner_init(&guest.scanner, &guest.system);
  cagma_trigger_init(&guest.trigger, &guest.system, guest.epoll_fd, CAGMA_TAG_TRIGGER);
  g_assert_true(cagma_publisher.open(&publisher, &options, &guest));
  while (g_get_monotonic_time() - began_us < G_USEC_PER_SEC) {
    cagma_publisher.handle(&publisher, CAGMA_TAG_WAY, EPOLLIN, cagma_clock_us());
    cagma_publisher.turn(&publisher, true, cagma_clock_us());
    g_usleep(1000);
  }
  writes = store_writes(store, DATA);
  g_assert_cmpuint(writes, <=, (guint)((g_get_monotonic_time() - began_us) / 50000) + 1);
  g_assert_cmpuint(writes, >=, 3);
  cagma_publisher.close(&publisher);
  close(guest.epoll_fd);
}

static void
idle_it_does_nothing(Station *f, gconstpointer unused)
{
  guint64 before, ticks;

  (void)unused;
  g_usleep(500000);
  before = program_status_kib(f->agent, "\nvoluntary_ctxt_switches:");
  ticks = program_cpu_ticks(f->agent);
  g_usleep(700000);
  g_assert_cmpuint(program_status_kib(f->agent, "\nvoluntary_ctxt_switches:") - before, <=, 1);
  g_assert_cmpuint(program_cpu_ticks(f->agent) - ticks, <=, 10); /* of 70 */
}

static void
wrong_options_are_refused(void)
{
  g_autofree char *long_path = g_strnfill(200, 'x');
  const char *const cases[][3] = {
    { "--multiplex=/tmp/socket", NULL, "--multiplex needs a port: " },
    { "--path", long_path, "path is too long: xxx" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    const char *argv[] = { g_getenv("CAGMA_GUEST_AGENT"), "-m", "xenstore", cases[i][0], cases[i][1], NULL };
    g_autofree char *messages = NULL;
    int status = 0;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                               &messages, &status, NULL));
    g_assert_cmpint(status, !=, 0);
    assert_has(messages, cases[i][2]);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/publisher/the-longest-value-fits", the_longest_value_fits);
  g_test_add_func("/publisher/orders-are-read-strictly", orders_are_read_strictly);
  station_add_without_agent("/publisher/figures-are-published-at-the-start",
                            figures_are_published_at_the_start);
  station_add("/publisher/figures-are-published-at-the-interval", SELDOM,
              figures_are_published_at_the_interval);
  station_add("/publisher/figures-are-fresh", SELDOM, figures_are_fresh);
  station_add("/publisher/without-orders-it-is-every-five-seconds", SELDOM,
              without_orders_it_is_every_five_seconds);
  station_add("/publisher/new-orders-are-answered-at-once", SELDOM, new_orders_are_answered_at_once);
  station_add("/publisher/hostile-orders-are-borne", SELDOM, hostile_orders_are_borne);
  station_add("/publisher/pressure-is-told-at-once", SELDOM_ALERT, pressure_is_told_at_once);
  station_add("/publisher/the-trigger-can-be-disarmed", SELDOM_ALERT, the_trigger_can_be_disarmed);
  station_add("/publisher/the-trigger-is-as-ordered", SELDOM, the_trigger_is_as_ordered);
  station_add("/publisher/a-process-that-is-waited-for-keeps-nothing-up", SELDOM,
              a_process_that_is_waited_for_keeps_nothing_up);
  station_add("/publisher/a-flood-of-news-is-answered-20-times-a-second", SELDOM,
              a_flood_of_news_is_answered_20_times_a_second);
  g_test_add_func("/publisher/pressure-is-told-20-times-a-second", pressure_is_told_20_times_a_second);
  station_add("/publisher/idle-it-does-nothing", SELDOM, idle_it_does_nothing);
  g_test_add_func("/publisher/wrong-options-are-refused", wrong_options_are_refused);
  return g_test_run();
}
