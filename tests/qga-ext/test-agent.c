/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <unistd.h>

#include "qga-ext/frame.h"
#include "qga-ext/protocol.h"
#include "tests/qga-ext/kit.h"

/* The program itself, on a socket. */

/* What it may hold resident whatever is done to it, in KiB. The sanitizers' own memory is
 * not the agent's. */
#define RSS_LIMIT_KIB 1536

#define PING "{\"execute\":\"guest-ping\"}"
#define PONG "{\"return\": {}}"

/* A literal, NULs included. */
#define TEXT(literal) literal, sizeof(literal) - 1

typedef struct {
  Kit *kit;
  Program *agent;
  Client *client;
} Fixture;

static void
set_up(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->kit = kit_new();
  f->agent = agent_start(f->kit, "--proc", f->kit->proc, NULL);
  f->client = client_connect(f->kit, "agent");
}

/* Whatever was done to it: it still answers, and is no larger. */
static void
tear_down(Fixture *f, gconstpointer unused)
{
  g_autofree char *path = kit_path(f->kit, "agent");

  (void)unused;
  if (f->client != NULL) {
    g_autofree char *reply = client_ask(f->client, "\xFF{\"execute\":\"guest-sync-delimited\","
                                                   "\"arguments\":{\"id\":4711}}");
    g_assert_cmpstr(reply, ==, "\xFF{\"return\": 4711}");
    client_free(f->client);
  }
  if (g_getenv("CAGMA_TEST_SANITIZED") == NULL)
    g_assert_cmpuint(program_status_kib(f->agent, "VmRSS:"), <=, RSS_LIMIT_KIB);
  program_stop(f->agent);
  g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
  kit_free(f->kit);
}

static void
assert_answers(Fixture *f)
{
  g_autofree char *reply = client_ask(f->client, PING);

  g_assert_cmpstr(reply, ==, PONG);
}

static void
commands_are_answered(Fixture *f, gconstpointer unused)
{
  static const char *const cases[][2] = {
    { PING, PONG },
    { "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":12},\"id\":\"a\"}",
      "{\"return\": 12, \"id\": \"a\"}" },
    { "{\"execute\":\"guest-info\"}", "\"name\": \"guest-set-pressure-trigger\"" },
    { "{\"execute\":\"guest-get-memory-stats\"}", "{\"return\": {\"total\": 228986880, " },
    { "{\"execute\":\"guest-get-load\"}", "{\"return\": {\"load1m\": 0.00, " },
    { "{\"execute\":\"guest-get-pressure\"}", "{\"return\": {\"memory\": {\"some\": {\"avg10\": 0.00, " },
    { "{\"execute\":\"guest-exec\"}", "\"class\": \"CommandNotFound\"" },
  };

  (void)unused;
  /* The agent has written its trigger's line to what is a file here. */
  kit_write(f->kit, "pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *reply = client_ask(f->client, cases[i][0]);
    assert_has(reply, cases[i][1]);
  }
}

static void
a_delimited_sync_ends_what_was_before(Fixture *f, gconstpointer unused)
{
  static const char *const before[] = { "", "{\"execute\": \"gue", "junk {{{ \"", "\xFF\xFF" };

  (void)unused;
  for (gsize i = 0; i < G_N_ELEMENTS(before); i++) {
    g_autofree char *reply = NULL;

    client_send(f->client, before[i], strlen(before[i]));
    reply = client_ask(f->client, "\xFF{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":-1}}");
    g_assert_cmpstr(reply, ==, "\xFF{\"return\": -1}");
  }
}

static void
lines_may_be_split_and_merged(Fixture *f, gconstpointer unused)
{
  static const char both[] = PING "\n{\"execute\":\"guest-sync\",\"arguments\":{\"id\":8}}\n";

  (void)unused;
  for (gsize cut = 0; cut < sizeof(both); cut++) {
    g_autofree char *first = NULL, *second = NULL;

    client_send(f->client, both, cut);
    g_usleep(500); /* so that it mostly is two readings; either way it must work */
    client_send(f->client, both + cut, sizeof(both) - 1 - cut);
    first = client_line(f->client);
    second = client_line(f->client);
    g_assert_cmpstr(first, ==, PONG);
    g_assert_cmpstr(second, ==, "{\"return\": 8}");
  }
}

static void
a_request_needs_no_newline(Fixture *f, gconstpointer unused)
{
  g_autofree char *reply = NULL;

  (void)unused;
  client_send(f->client, PING, strlen(PING));
  reply = client_line(f->client);
  g_assert_cmpstr(reply, ==, PONG);
}

static void
a_request_over_64_kib_is_refused_once(Fixture *f, gconstpointer unused)
{
  const gsize fill = CAGMA_MESSAGE_MAX - strlen("{\"execute\":\"\"}");
  g_autofree char *name = g_strnfill(fill, 'x');
  g_autofree char *fits = g_strdup_printf("{\"execute\":\"%s\"}", name);
  g_autofree char *longer = g_strdup_printf("{\"execute\":\"x%s\"}", name);
  g_autofree char *reply_fits = client_ask(f->client, fits);
  g_autofree char *reply_longer = client_ask(f->client, longer);

  (void)unused;
  g_assert_cmpuint(strlen(fits), ==, CAGMA_MESSAGE_MAX);
  assert_has(reply_fits, "CommandNotFound");
  assert_has(reply_longer, "the request is longer than 64 KiB");
  assert_answers(f);
}

static void
ten_megabytes_without_a_newline_pass_by(Fixture *f, gconstpointer unused)
{
  const gsize size = 10 * 1024 * 1024;
  g_autofree char *endless = g_strnfill(size, 'x');
  g_autofree char *reply = NULL;

  (void)unused;
  client_send(f->client, endless, size);
  reply = client_line(f->client);
  assert_has(reply, "the request is longer than 64 KiB");
  client_send(f->client, "\n", 1);
  assert_answers(f);
}

static void
junk_costs_an_error_and_nothing_else(Fixture *f, gconstpointer unused)
{
  g_autofree char *deep = g_strnfill(10000, '[');
  const struct {
    const char *junk;
    gsize length;
  } cases[] = {
    { deep, 10000 },
    { TEXT("{\"execute\":\"\xC3\x28\"}") },
    { TEXT("\0\0{\"execute\":\"guest-ping\"}\0") },
    { TEXT("\0") },
    { TEXT("{\"execute\":\"guest-\0ping\"}") },
    { TEXT("{\"execute\":\"guest-ping\",}") },
    { TEXT("}}}") },
    { TEXT("\"") },
    { TEXT("{\"execute\":\"guest-sync\",\"arguments\":{\"id\":1e999}}") },
  };

  (void)unused;
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *reply = NULL;

    note(cases[i].junk);
    client_send(f->client, cases[i].junk, cases[i].length);
    client_send(f->client, "\n", 1);
    reply = client_line(f->client);
    assert_has(reply, "{\"error\": {\"class\": \"GenericError\", ");
    assert_answers(f);
  }
}

static void
a_hundred_thousand_junk_requests_are_borne(Fixture *f, gconstpointer unused)
{
  static const char *const junk[] = { "{\"execute\":\"nonsense\"}\n", "{\"a\":[[[\n", "\"\\u\n", "{}\n" };
  g_autoptr(GString) block = g_string_new(NULL);

  (void)unused;
  for (gsize i = 0; i < 100; i++)
    g_string_append(block, junk[i % G_N_ELEMENTS(junk)]);
  for (gsize i = 0; i < 1000; i++) {
    client_send(f->client, block->str, block->len);
    for (gsize reply = 0; reply < 100; reply++) {
      g_autofree char *line = client_line(f->client);
      g_assert_true(g_str_has_prefix(line, "{\"error\": "));
    }
  }
  assert_answers(f);
}

/* It stops reading before it would have to remember more, and loses nothing. */
static void
a_reader_that_never_reads_holds_itself_up(Fixture *f, gconstpointer unused)
{
  g_autoptr(GString) flood = g_string_new(NULL);
  gsize sent, replies = 0;

  (void)unused;
  for (gsize i = 0; i < 100000; i++)
    g_string_append(flood, "{\"execute\":\"guest-info\"}\n");
  sent = client_send_for(f->client, flood->str, flood->len, G_USEC_PER_SEC / 2);
  g_assert_cmpuint(sent, <, flood->len);
  if (g_getenv("CAGMA_TEST_SANITIZED") == NULL)
    g_assert_cmpuint(program_status_kib(f->agent, "VmRSS:"), <=, RSS_LIMIT_KIB);

  /* All that it took is answered once it is read from. */
  for (; replies < sent / strlen("{\"execute\":\"guest-info\"}\n"); replies++) {
    g_autofree char *line = client_line(f->client);
    g_assert_true(g_str_has_prefix(line, "{\"return\": {\"version\": "));
  }
  /* And the last one, cut off where it took no more. */
  if (sent % strlen("{\"execute\":\"guest-info\"}\n") > 0) {
    g_autofree char *line = client_ask(f->client, "");
    g_assert_nonnull(line);
  }
}

static void
the_next_client_gets_nothing_of_the_last(Fixture *f, gconstpointer unused)
{
  (void)unused;
  for (gsize i = 0; i < 200; i++)
    client_say(f->client, "{\"execute\":\"guest-info\"}");
  client_send(f->client, "{\"execute\": \"half", 16);
  client_free(g_steal_pointer(&f->client));
  f->client = client_connect(f->kit, "agent");
  assert_answers(f);
}

/* A client that has come and gone while another was served leaves nothing either. */
static void
a_client_in_a_hurry_leaves_nothing(Fixture *f, gconstpointer unused)
{
  (void)unused;
  for (gsize i = 0; i < 20; i++) {
    Client *hasty = client_connect(f->kit, "agent");

    client_say(hasty, "{\"execute\":\"guest-info\"}");
    client_send(hasty, "{\"execute\": \"half", 16);
    client_free(hasty);
    client_free(g_steal_pointer(&f->client));
    f->client = client_connect(f->kit, "agent");
    assert_answers(f);
  }
}

static void
clients_are_served_one_after_the_other(Fixture *f, gconstpointer unused)
{
  g_autoptr(Client) second = client_connect(f->kit, "agent");
  g_autofree char *reply = NULL;

  (void)unused;
  client_say(second, PING);
  g_assert_true(client_is_silent(second, 50000));
  assert_answers(f);
  client_free(f->client);
  f->client = g_steal_pointer(&second);
  reply = client_line(f->client);
  g_assert_cmpstr(reply, ==, PONG);
}

#define ASK_STATS "{\"execute\":\"guest-get-memory-stats\"}"

/* Asks until the processes are told like that. */
static void
await_processes(Fixture *f, const char *text)
{
  for (const gint64 end_us = g_get_monotonic_time() + KIT_LIMIT_US;;) {
    g_autofree char *reply = client_ask(f->client, ASK_STATS);

    if (strstr(reply, text) != NULL)
      return;
    g_assert_cmpint(g_get_monotonic_time(), <, end_us);
    g_usleep(1000);
  }
}

/* Where there is no memory left, nothing comes back that opens a file. */
static void
a_process_that_is_waited_for_keeps_nothing_up(Fixture *f, gconstpointer unused)
{
  g_autofree char *event = NULL;

  (void)unused;
  await_processes(f, "\"truncated\": false");
  kit_hold_process(f->kit, 7);
  kit_write_process(f->kit, 8, 0, 1, 1, 1 << 30, 0);
  for (guint i = 0; i < 10; i++) {
    g_autofree char *before = client_ask(f->client, ASK_STATS);

    assert_has(before, "{\"return\": {\"total\": ");
    assert_has(before, "\"largest-process\": {\"pid\": 1, ");
  }
  kit_write(f->kit, "vmstat", "pswpin 0\npswpout 3\n");
  event = client_line(f->client);
  assert_has(event, "\"pages-swapped-out\": 3, ");
  kit_let_process_go(f->kit, 7);

  await_processes(f, "\"largest-process\": {\"pid\": 8, ");
}

/* A /proc of files has no PSI: the trigger's line is written, but nothing can be polled,
 * and the swap counters are watched instead. */
static void
swapping_is_told_where_there_is_no_psi(Fixture *f, gconstpointer unused)
{
  g_autofree char *armed = client_ask(f->client, "{\"execute\":\"guest-set-pressure-trigger\",\"arguments\":"
                                                 "{\"stall\":50000,\"window\":1000000,\"level\":\"full\"}}");
  g_autofree char *path = g_build_filename(f->kit->proc, "pressure", "memory", NULL);
  g_autofree char *line = NULL, *event = NULL, *again = NULL, *disarmed = NULL;
  gint64 first_us;

  (void)unused;
  assert_has(armed, "{\"return\": {\"watch\": \"swap\", ");
  g_assert_true(g_file_get_contents(path, &line, NULL, NULL));
  g_assert_cmpstr(line, ==, "full 50000 1000000");
  g_assert_true(client_is_silent(f->client, 600000));

  /* Before it: a test that waits for the processor only makes the gap longer. */
  first_us = g_get_monotonic_time();
  kit_write(f->kit, "vmstat", "pswpin 0\npswpout 3\n");
  event = client_line(f->client);
  assert_has(event, "{\"event\": \"GUEST_MEMORY_PRESSURE\", \"timestamp\": {\"seconds\": ");
  assert_has(event, ", \"data\": {\"total\": 228986880, ");
  assert_has(event, "\"pages-swapped-out\": 3, ");
  g_assert_true(client_is_silent(f->client, 300000));

  kit_write(f->kit, "vmstat", "pswpin 1\npswpout 3\n");
  again = client_line(f->client);
  assert_has(again, "\"pages-swapped-in\": 1, ");
  g_assert_cmpint(g_get_monotonic_time() - first_us, >, 700000); /* once in a window */

  disarmed =
      client_ask(f->client, "{\"execute\":\"guest-set-pressure-trigger\",\"arguments\":{\"stall\":0}}");
  g_assert_cmpstr(disarmed, ==, "{\"return\": {\"watch\": \"none\"}}");
  kit_write(f->kit, "vmstat", "pswpin 9\npswpout 9\n");
  g_assert_true(client_is_silent(f->client, 700000));
}

/* Replies that nobody reads are in the way of the event; it comes behind them, with the
 * figures of the moment it is written. */
static void
an_event_waits_for_room_and_then_tells_the_newest(Fixture *f, gconstpointer unused)
{
  g_autoptr(GString) flood = g_string_new(NULL);
  g_autofree char *line = NULL;
  gsize events = 0;

  (void)unused;
  for (gsize i = 0; i < 2000; i++)
    g_string_append(flood, "{\"execute\":\"guest-info\"}\n");
  client_send_for(f->client, flood->str, flood->len, G_USEC_PER_SEC / 4);
  kit_write(f->kit, "vmstat", "pswpin 1\npswpout 1\n");
  g_usleep(600000);
  kit_write(f->kit, "vmstat", "pswpin 1\npswpout 22\n");
  g_usleep(600000);
  while (events == 0) {
    g_free(line);
    line = client_line(f->client);
    events += g_str_has_prefix(line, "{\"event\": ") ? 1 : 0;
  }
  assert_has(line, "\"pages-swapped-out\": 22, ");
  g_free(g_steal_pointer(&line));
  /* The rest, so that the connection can go on. */
  client_free(g_steal_pointer(&f->client));
  f->client = client_connect(f->kit, "agent");
}

/* The number of times it has woken; that others took its processor is their doing. */
static guint64
switches(const Program *agent)
{
  return program_status_kib(agent, "\nvoluntary_ctxt_switches:");
}

/* One that never sleeps would use 70 on an idle machine, and half of that beside a neighbour. */
#define IDLE_TICKS 10

static void
idle_it_does_nothing(Fixture *f, gconstpointer unused)
{
  g_autofree char *disarmed =
      client_ask(f->client, "{\"execute\":\"guest-set-pressure-trigger\",\"arguments\":{\"stall\":0}}");
  guint64 before, ticks;

  (void)unused;
  assert_has(disarmed, "none");
  g_usleep(300000);
  before = switches(f->agent);
  ticks = program_cpu_ticks(f->agent);
  g_usleep(700000);
  g_assert_cmpuint(switches(f->agent) - before, <=, 1);
  g_assert_cmpuint(program_cpu_ticks(f->agent) - ticks, <=, IDLE_TICKS);
}

static void
a_port_that_is_not_there_is_waited_for(void)
{
  g_autoptr(Kit) kit = kit_new();
  g_autofree char *port = kit_path(kit, "ports/of/guest");
  g_autofree char *logfile = kit_path(kit, "log");
  g_autofree char *text = NULL;
  const char *argv[] = {
    g_getenv("CAGMA_GUEST_AGENT"), "-m", "virtio-serial", "-p", port, "-l", logfile, "--proc", kit->proc, NULL
  };
  g_autoptr(Program) agent = program_start(argv);
  guint64 before, ticks, began_us;

  for (gint64 end = g_get_monotonic_time() + KIT_LIMIT_US;
       text == NULL || strstr(text, "waiting for") == NULL;) {
    g_assert_cmpint(g_get_monotonic_time(), <, end);
    g_clear_pointer(&text, g_free);
    g_file_get_contents(logfile, &text, NULL, NULL);
    g_usleep(1000);
  }
  g_usleep(50000);
  before = switches(agent);
  ticks = program_cpu_ticks(agent);
  began_us = (guint64)g_get_monotonic_time();
  g_usleep(1000000);
  /* The swap counters are watched, four times a second; nothing more. */
  g_assert_cmpuint(switches(agent) - before, <=, ((guint64)g_get_monotonic_time() - began_us) / 125000 + 1);
  g_assert_cmpuint(program_cpu_ticks(agent) - ticks, <=, IDLE_TICKS);
}

static void
wrong_options_are_refused(void)
{
  static const char *const cases[][3] = {
    { "--method", "carrier-pigeon", "unknown method carrier-pigeon" },
    { "--method", "unix-listen", "needs a --path" },
    { "--nonsense", NULL, "nonsense" },
    { "extra", NULL, "unexpected argument extra" },
    { "--proc", "/nonexistent", "/nonexistent: No such file or directory" },
    { "--logfile", "/nonexistent/log", "/nonexistent/log: No such file or directory" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    const char *argv[] = { g_getenv("CAGMA_GUEST_AGENT"), cases[i][0], cases[i][1], NULL };
    g_autofree char *messages = NULL;
    int status = 0;

    note(cases[i][0]);
    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                               &messages, &status, NULL));
    g_assert_cmpint(status, !=, 0);
    assert_has(messages, cases[i][2]);
  }
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
  add("/agent/commands-are-answered", commands_are_answered);
  add("/agent/a-delimited-sync-ends-what-was-before", a_delimited_sync_ends_what_was_before);
  add("/agent/lines-may-be-split-and-merged", lines_may_be_split_and_merged);
  add("/agent/a-request-needs-no-newline", a_request_needs_no_newline);
  add("/agent/a-request-over-64-kib-is-refused-once", a_request_over_64_kib_is_refused_once);
  add("/agent/ten-megabytes-without-a-newline-pass-by", ten_megabytes_without_a_newline_pass_by);
  add("/agent/junk-costs-an-error-and-nothing-else", junk_costs_an_error_and_nothing_else);
  add("/agent/a-hundred-thousand-junk-requests-are-borne", a_hundred_thousand_junk_requests_are_borne);
  add("/agent/a-reader-that-never-reads-holds-itself-up", a_reader_that_never_reads_holds_itself_up);
  add("/agent/the-next-client-gets-nothing-of-the-last", the_next_client_gets_nothing_of_the_last);
  add("/agent/a-client-in-a-hurry-leaves-nothing", a_client_in_a_hurry_leaves_nothing);
  add("/agent/clients-are-served-one-after-the-other", clients_are_served_one_after_the_other);
  add("/agent/swapping-is-told-where-there-is-no-psi", swapping_is_told_where_there_is_no_psi);
  add("/agent/a-process-that-is-waited-for-keeps-nothing-up", a_process_that_is_waited_for_keeps_nothing_up);
  add("/agent/an-event-waits-for-room-and-then-tells-the-newest",
      an_event_waits_for_room_and_then_tells_the_newest);
  add("/agent/idle-it-does-nothing", idle_it_does_nothing);
  g_test_add_func("/agent/a-port-that-is-not-there-is-waited-for", a_port_that_is_not_there_is_waited_for);
  g_test_add_func("/agent/wrong-options-are-refused", wrong_options_are_refused);
  return g_test_run();
}
