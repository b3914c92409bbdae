/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/qga-ext/kit.h"

/* The multiplexer in front of the stock qemu-ga (CAGMA_STOCK_AGENT). */

typedef struct {
  Kit *kit;
  char *socket;
  Program *stock;
  Program *agent;
  Client *client;
} Fixture;

static void
start_stock(Fixture *f)
{
  g_autofree char *pidfile = kit_path(f->kit, "stock.pid");
  g_autofree char *logfile = kit_path(f->kit, "stock.log");
  const char *argv[] = { g_getenv("CAGMA_STOCK_AGENT"),
                         "-m",
                         "unix-listen",
                         "-p",
                         f->socket,
                         "-t",
                         f->kit->directory,
                         "-f",
                         pidfile,
                         "-l",
                         logfile,
                         NULL };

  g_remove(f->socket);
  f->stock = program_start(argv);
  /* Speaks to it once, so that it is there when the agent looks for it. */
  g_autoptr(Client) client = client_connect(f->kit, "stock");
  g_autofree char *reply = client_ask(client, "{\"execute\":\"guest-ping\"}");
  g_assert_cmpstr(reply, ==, "{\"return\": {}}");
}

static void
stop_stock(Fixture *f)
{
  program_kill(g_steal_pointer(&f->stock));
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->kit = kit_new();
  f->socket = kit_path(f->kit, "stock");
  start_stock(f);
  f->agent = agent_start(f->kit, "--multiplex", f->socket, NULL);
  f->client = client_connect(f->kit, "agent");
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  client_free(f->client);
  program_stop(f->agent);
  if (f->stock != NULL)
    stop_stock(f);
  g_free(f->socket);
  kit_free(f->kit);
}

static void
assert_reply(Fixture *f, const char *request, const char *expected)
{
  g_autofree char *reply = client_ask(f->client, request);

  assert_has(reply, expected);
}

/* The number behind "return": or in a member of it. */
static gint64
number_in(const char *reply, const char *before)
{
  const char *at = strstr(reply, before);

  g_assert_nonnull(at);
  return g_ascii_strtoll(at + strlen(before), NULL, 10);
}

static void
stock_and_own_commands_are_answered_side_by_side(Fixture *f, gconstpointer unused)
{
  (void)unused;
  for (gsize i = 0; i < 20; i++) {
    assert_reply(f, "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":9007199254740993}}",
                 "{\"return\": 9007199254740993}");
    assert_reply(f, "{\"execute\":\"guest-get-memory-stats\",\"id\":3}", "{\"return\": {\"total\": ");
    assert_reply(f, "{\"execute\":\"guest-ping\",\"id\":[1]}", "{\"return\": {}, \"id\": [1]}");
    assert_reply(f, "{\"execute\":\"guest-get-load\"}", "{\"return\": {\"load1m\": ");
    assert_reply(f, "{\"execute\":\"guest-get-osinfo\"}", "\"kernel-release\": ");
    assert_reply(f,
                 "{\"execute\":\"guest-set-pressure-trigger\",\"arguments\":{\"stall\":1,\"window\":500000}}",
                 "events can't be sent on this channel");
    assert_reply(f, "{\"execute\":\"guest-nonsense\"}", "The command guest-nonsense has not been found");
  }
}

static void
info_is_that_of_both(Fixture *f, gconstpointer unused)
{
  g_autofree char *info = client_ask(f->client, "{\"execute\":\"guest-info\"}");

  (void)unused;
  assert_has(info, "\"name\": \"guest-fsfreeze-freeze\"");
  assert_has(info, "\"name\": \"guest-exec\"");
  assert_has(info, "{\"enabled\": true, \"name\": \"guest-get-memory-stats\", \"success-response\": true}");
  assert_has(info,
             "{\"enabled\": false, \"name\": \"guest-set-pressure-trigger\", \"success-response\": true}");
  assert_reply(f, "{\"execute\":\"guest-ping\"}", "{\"return\": {}}");
}

/* All at once: the replies come in the order of the requests. */
static void
replies_keep_the_order_of_requests(Fixture *f, gconstpointer unused)
{
  g_autoptr(GString) requests = g_string_new(NULL);

  (void)unused;
  for (int i = 0; i < 200; i++) {
    g_string_append_printf(requests, "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":%d}}\n", i);
    g_string_append_printf(requests, "{\"execute\":\"guest-get-load\",\"id\":%d}\n", i);
    if (i % 20 == 0)
      g_string_append(requests, "junk\n{\"execute\":\"guest-info\",\"id\":\"info\"}\n");
  }
  client_send(f->client, requests->str, requests->len);
  for (int i = 0; i < 200; i++) {
    g_autofree char *sync = g_strdup_printf("{\"return\": %d}", i);
    g_autofree char *own_id = g_strdup_printf(", \"id\": %d}", i);
    g_autofree char *first = client_line(f->client);
    g_autofree char *second = client_line(f->client);

    g_assert_cmpstr(first, ==, sync);
    assert_has(second, "{\"return\": {\"load1m\": ");
    g_assert_true(g_str_has_suffix(second, own_id));
    if (i % 20 == 0) {
      g_autofree char *junk = client_line(f->client);
      g_autofree char *info = client_line(f->client);

      assert_has(junk, "JSON parse error, invalid keyword 'junk'");
      assert_has(info, "\"name\": \"guest-get-pressure\"");
    }
  }
}

static void
files_of_megabytes_pass(Fixture *f, gconstpointer unused)
{
  g_autofree char *path = kit_path(f->kit, "file");
  g_autofree char *open_for_writing = g_strdup_printf(
      "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"%s\",\"mode\":\"w+\"}}", path);
  g_autofree char *opened = client_ask(f->client, open_for_writing);
  const gint64 handle = number_in(opened, "{\"return\": ");
  const gsize size = 3 * 1024 * 1024;
  g_autofree guchar *data = g_malloc(size);
  g_autofree char *base64 = NULL, *write = NULL, *read = NULL, *close = NULL, *rewind = NULL, *written = NULL;
  g_autofree char *got = NULL, *contents = NULL, *expected = NULL;
  gsize length;

  (void)unused;
  for (gsize i = 0; i < size; i++)
    data[i] = (guchar)(i * 7 + i / 251);
  base64 = g_base64_encode(data, size);
  write = g_strdup_printf("{\"execute\":\"guest-file-write\",\"arguments\":{\"handle\":%" G_GINT64_FORMAT
                          ",\"buf-b64\":\"%s\"}}",
                          handle, base64);
  rewind = g_strdup_printf("{\"execute\":\"guest-file-seek\",\"arguments\":{\"handle\":%" G_GINT64_FORMAT
                           ",\"offset\":0,\"whence\":\"set\"}}",
                           handle);
  read = g_strdup_printf("{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":%" G_GINT64_FORMAT
                         ",\"count\":%" G_GSIZE_FORMAT "}}",
                         handle, size);
  close = g_strdup_printf(
      "{\"execute\":\"guest-file-close\",\"arguments\":{\"handle\":%" G_GINT64_FORMAT "}}", handle);

  written = client_ask(f->client, write);
  assert_has(written, "\"count\": 3145728");
  assert_reply(f, "{\"execute\":\"guest-get-load\"}", "{\"return\": {\"load1m\": ");
  assert_reply(f, rewind, "{\"return\": ");
  got = client_ask(f->client, read);
  expected = g_strdup_printf("\"buf-b64\": \"%s\"", base64);
  g_assert_nonnull(strstr(got, expected));
  assert_reply(f, close, "{\"return\": {}}");
  g_assert_true(g_file_get_contents(path, &contents, &length, NULL));
  g_assert_cmpmem(contents, length, data, size);
}

static void
programs_are_run(Fixture *f, gconstpointer unused)
{
  g_autofree char *started = client_ask(
      f->client, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/echo\",\"arg\":[\"-n\","
                 "\"guest-get-memory-stats\"],\"capture-output\":true}}");
  g_autofree char *status =
      g_strdup_printf("{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":%" G_GINT64_FORMAT "}}",
                      number_in(started, "\"pid\": "));
  g_autofree char *reply = NULL;
  const gint64 end = g_get_monotonic_time() + KIT_LIMIT_US;

  (void)unused;
  do {
    g_free(reply);
    reply = client_ask(f->client, status);
    g_assert_cmpint(g_get_monotonic_time(), <, end);
  } while (strstr(reply, "\"exited\": true") == NULL);
  assert_has(reply, "\"exitcode\": 0");
  assert_has(reply, "Z3Vlc3QtZ2V0LW1lbW9yeS1zdGF0cw==");
}

static void
requests_may_come_in_pieces(Fixture *f, gconstpointer unused)
{
  static const char both[] = "{\"execute\":\"guest-get-load\"}\n{\"execute\":\"guest-ping\"}\n";

  (void)unused;
  for (gsize cut = 1; cut < sizeof(both) - 1; cut += 3) {
    g_autofree char *own = NULL, *stock = NULL;

    client_send(f->client, both, cut);
    g_usleep(500);
    client_send(f->client, both + cut, sizeof(both) - 1 - cut);
    own = client_line(f->client);
    stock = client_line(f->client);
    assert_has(own, "load1m");
    g_assert_cmpstr(stock, ==, "{\"return\": {}}");
  }
  /* Over several lines, as only the stock agent takes it. */
  client_send(f->client, "{ \"execute\":\n\"guest-ping\",\n\"id\": 5 }\n", 37);
  g_autofree char *reply = client_line(f->client);
  g_assert_cmpstr(reply, ==, "{\"return\": {}, \"id\": 5}");
  assert_reply(f, "{\"execute\":\"guest-get-load\"}", "load1m");
}

static void
without_the_stock_agent_the_rest_goes_on(Fixture *f, gconstpointer unused)
{
  (void)unused;
  assert_reply(f, "{\"execute\":\"guest-ping\"}", "{\"return\": {}}");
  stop_stock(f);
  assert_reply(f, "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":1}}", "");
  assert_reply(f, "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":2}}", "{\"return\": 2}");
  assert_reply(f, "{\"execute\":\"guest-get-memory-stats\"}", "{\"return\": {\"total\": ");
  assert_reply(
      f, "{\"execute\":\"guest-get-osinfo\",\"id\":4}",
      "{\"error\": {\"class\": \"GenericError\", \"desc\": \"the stock guest agent is not connected\"}, "
      "\"id\": 4}");
  assert_reply(f, "{\"execute\":\"guest-info\"}", "\"version\": \"" CAGMA_VERSION "\"");
  start_stock(f);
  assert_reply(f, "{\"execute\":\"guest-get-osinfo\"}", "\"kernel-release\": ");
  assert_reply(f, "{\"execute\":\"guest-info\"}", "\"name\": \"guest-fsfreeze-freeze\"");
}

/* It is killed while it owes a reply: the host isn't left to wait. */
static void
a_reply_that_was_owed_becomes_an_error(Fixture *f, gconstpointer unused)
{
  g_autofree char *reply = NULL;

  (void)unused;
  assert_reply(f, "{\"execute\":\"guest-ping\"}", "{\"return\": {}}");
  g_assert_cmpint(kill(f->stock->pid, SIGSTOP), ==, 0);
  client_say(f->client, "{\"execute\":\"guest-get-osinfo\"}");
  client_say(f->client, "{\"execute\":\"guest-get-load\"}"); /* waits for its turn */
  g_assert_true(client_is_silent(f->client, 100000));
  stop_stock(f);
  reply = client_line(f->client);
  assert_has(reply, "the stock guest agent has gone");
  g_free(reply);
  reply = client_line(f->client);
  assert_has(reply, "load1m");
}

/* A command that isn't answered when it succeeds doesn't become an error, and doesn't keep
 * ours waiting. */
static void
a_silent_command_is_not_waited_for(Fixture *f, gconstpointer unused)
{
  (void)unused;
  g_assert_cmpint(kill(f->stock->pid, SIGSTOP), ==, 0);
  client_say(f->client, "{\"execute\":\"guest-shutdown\"}");
  g_assert_true(client_is_silent(f->client, 100000));
  stop_stock(f); /* before it could */
  assert_reply(f, "{\"execute\":\"guest-get-load\"}", "load1m");
}

/* What the stock agent still has to say to a host that has gone, the next one never hears. */
static void
the_next_host_gets_nothing_of_the_last(Fixture *f, gconstpointer unused)
{
  (void)unused;
  for (gsize i = 0; i < 10; i++) {
    for (gsize n = 0; n < 20; n++)
      client_say(f->client, "{\"execute\":\"guest-get-osinfo\"}");
    client_send(f->client, "{\"execute\": \"half", 16);
    client_free(f->client);
    f->client = client_connect(f->kit, "agent");
    assert_reply(f, "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":77}}", "{\"return\": 77}");
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
  if (g_getenv("CAGMA_STOCK_AGENT") == NULL) {
    g_print("1..0 # SKIP there is no qemu-ga\n");
    return 0;
  }
  add("/stock/stock-and-own-commands-are-answered-side-by-side",
      stock_and_own_commands_are_answered_side_by_side);
  add("/stock/info-is-that-of-both", info_is_that_of_both);
  add("/stock/replies-keep-the-order-of-requests", replies_keep_the_order_of_requests);
  add("/stock/files-of-megabytes-pass", files_of_megabytes_pass);
  add("/stock/programs-are-run", programs_are_run);
  add("/stock/requests-may-come-in-pieces", requests_may_come_in_pieces);
  add("/stock/without-the-stock-agent-the-rest-goes-on", without_the_stock_agent_the_rest_goes_on);
  add("/stock/a-reply-that-was-owed-becomes-an-error", a_reply_that_was_owed_becomes_an_error);
  add("/stock/a-silent-command-is-not-waited-for", a_silent_command_is_not_waited_for);
  add("/stock/the-next-host-gets-nothing-of-the-last", the_next_host_gets_nothing_of_the_last);
  return g_test_run();
}
