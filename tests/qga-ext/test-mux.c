/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qga-ext/mux.h"
#include "tests/qga-ext/kit.h"

/* A multiplexer whose stock agent is this test, at the other end of a socket. */
typedef struct {
  Kit *kit;
  int listener;
  int stock; /* our end of the connection */
  CagmaLog log;
  CagmaMux mux;
  char to_stock[CAGMA_MUX_TO_STOCK_BYTES];
  char to_host_bytes[65536];
  CagmaQueue to_host;
} Fixture;

static void
set_up(Fixture *f, gconstpointer unused)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  char *path;

  (void)unused;
  f->kit = kit_new();
  path = kit_path(f->kit, "stock");
  g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
  f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(bind(f->listener, (const struct sockaddr *)&address, sizeof(address)), ==, 0);
  g_assert_cmpint(listen(f->listener, 1), ==, 0);
  g_assert_true(cagma_log_open(&f->log, NULL, false));
  cagma_mux_init(&f->mux, g_steal_pointer(&path), &f->log, epoll_create1(EPOLL_CLOEXEC), 0, f->to_stock);
  f->to_host = cagma_queue_init(f->to_host_bytes, sizeof(f->to_host_bytes));
  g_assert_true(cagma_mux_connect(&f->mux));
  f->stock = accept(f->listener, NULL, NULL);
  g_assert_cmpint(f->stock, >=, 0);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  cagma_mux_close(&f->mux);
  close(f->mux.epoll_fd);
  close(f->stock);
  close(f->listener);
  g_free((char *)f->mux.path);
  kit_free(f->kit);
}

/* What the stock agent has got since. Free with g_free(). */
static char *
stock_got(Fixture *f)
{
  static char bytes[2 * CAGMA_MUX_TO_STOCK_BYTES];
  const gssize n = recv(f->stock, bytes, sizeof(bytes), MSG_DONTWAIT);

  return g_strndup(bytes, n > 0 ? (gsize)n : 0);
}

/* The stock agent says it, in steps of that many bytes. */
static void
stock_says_in_steps(Fixture *f, const char *text, gsize step)
{
  for (gsize at = 0; at < strlen(text); at += step)
    cagma_mux_relay(&f->mux, text + at, MIN(step, strlen(text) - at), &f->to_host);
}

static void
stock_says(Fixture *f, const char *text)
{
  stock_says_in_steps(f, text, 1000);
}

static void
assert_host_got(Fixture *f, const char *expected)
{
  g_assert_cmpmem(cagma_queue_front(&f->to_host), cagma_queue_length(&f->to_host), expected,
                  strlen(expected));
  cagma_queue_clear(&f->to_host);
}

/* The stock agent answers the barrier it was asked last, and complains about its 0xFF. */
static void
answer_barrier(Fixture *f, gsize step)
{
  g_autofree char *question = stock_got(f);
  g_autofree char *answer = NULL;
  const char *id = g_strrstr(question, "{\"id\": ");

  g_assert_nonnull(id);
  g_assert_nonnull(strstr(question, "\xFF{\"execute\": \"guest-sync-delimited\""));
  answer = g_strdup_printf("{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, stray "
                           "'\\uFFFD'\"}}\n\xFF{\"return\": %" G_GUINT64_FORMAT "}\n",
                           g_ascii_strtoull(id + strlen("{\"id\": "), NULL, 10));
  stock_says_in_steps(f, answer, step);
}

static void
forward(Fixture *f, const char *message)
{
  CagmaRequest request;
  const gboolean is_request = cagma_dispatch_owner(&request, message, strlen(message)) != CAGMA_NO_REQUEST;

  cagma_mux_forward(&f->mux, message, strlen(message), is_request ? &request : NULL);
}

static void
what_is_left_of_an_earlier_client_is_dropped(Fixture *f, gconstpointer unused)
{
  g_autofree char *much = g_strnfill(10000, 'x');

  (void)unused;
  stock_says(f, "{\"return\": {\"to\": \"somebody else\"}}\n");
  stock_says(f, "\xFF{\"return\": 12}\n");
  stock_says(f, much);
  stock_says(f, "\nhalf a line\n");
  answer_barrier(f, 1);
  assert_host_got(f, "");
  stock_says(f, "{\"return\": {}}\n");
  assert_host_got(f, "{\"return\": {}}\n");
}

static void
requests_and_replies_are_passed_as_they_are(Fixture *f, gconstpointer unused)
{
  g_autofree char *got = NULL;

  (void)unused;
  answer_barrier(f, 1000);
  forward(f, "{ \"execute\" : \"guest-ping\" }");
  cagma_mux_forward_bytes(&f->mux, "\r\n", 2);
  got = stock_got(f);
  g_assert_cmpstr(got, ==, "{ \"execute\" : \"guest-ping\" }\r\n");
  g_assert_false(cagma_mux_is_idle(&f->mux));
  stock_says(f, "{\"return\": ");
  g_assert_false(cagma_mux_is_idle(&f->mux));
  stock_says(f, "{}}\n");
  assert_host_got(f, "{\"return\": {}}\n");
  g_assert_true(cagma_mux_is_idle(&f->mux));
}

static void
where_replies_can_not_be_counted_a_barrier_tells(Fixture *f, gconstpointer unused)
{
  static const char *const uncountable[] = { "junk", "{\"execute\":\"guest-shutdown\"}",
                                             "{\"execute\":\"guest-suspend-ram\"}", "{\"execute\":1}" };

  (void)unused;
  answer_barrier(f, 1000);
  for (gsize i = 0; i < G_N_ELEMENTS(uncountable); i++) {
    for (gsize step = 1; step < 50; step += 6) {
      g_autofree char *got = NULL;

      forward(f, uncountable[i]);
      got = stock_got(f);
      g_assert_cmpstr(got, ==, uncountable[i]);
      g_assert_false(cagma_mux_is_idle(&f->mux));
      cagma_mux_become_idle(&f->mux);
      cagma_mux_become_idle(&f->mux); /* asks once */
      stock_says_in_steps(f, "{\"error\": {\"class\": \"x\"}}\n{\"return\": 5}\n{\"error\": 1}\n", step);
      g_assert_false(cagma_mux_is_idle(&f->mux));
      answer_barrier(f, step);
      g_assert_true(cagma_mux_is_idle(&f->mux));
      assert_host_got(f, "{\"error\": {\"class\": \"x\"}}\n{\"return\": 5}\n{\"error\": 1}\n");
    }
  }
}

/* A reply that was half passed on when the barrier was asked, and one that is longer than
 * the barrier's answer could be. */
static void
a_barrier_does_not_disturb_replies(Fixture *f, gconstpointer unused)
{
  g_autofree char *much = g_strnfill(5000, 'x');
  g_autofree char *line = g_strdup_printf("{\"return\": \"%s\"}\n", much);
  g_autofree char *expected = g_strconcat("{\"return\": 1}\n", line, line, "\xFF{\"return\": 7}\n", NULL);

  (void)unused;
  for (gsize step = 1; step < 9000; step = step * 3 + 1) {
    answer_barrier(f, 1000);
    forward(f, "{\"execute\":\"guest-file-read\"}");
    g_free(stock_got(f));
    stock_says(f, "{\"return\"");
    cagma_mux_become_idle(&f->mux);
    stock_says(f, ": 1}\n");
    g_assert_cmpuint(f->mux.owed, ==, 0);
    g_assert_false(cagma_mux_is_idle(&f->mux)); /* not before the barrier is answered */
    stock_says_in_steps(f, line, step);
    stock_says_in_steps(f, line, step);
    stock_says_in_steps(f, "\xFF{\"return\": 7}\n", step);
    answer_barrier(f, step);
    assert_host_got(f, expected);
    g_assert_true(cagma_mux_is_idle(&f->mux));
    cagma_mux_become_idle(&f->mux);
  }
}

static void
while_a_new_connection_is_cleared_nothing_is_lost(Fixture *f, gconstpointer unused)
{
  (void)unused;
  forward(f, "{\"execute\":\"guest-ping\"}");
  cagma_mux_become_idle(&f->mux); /* must wait for the connection's own barrier */
  answer_barrier(f, 3);
  g_assert_false(cagma_mux_is_idle(&f->mux));
  cagma_mux_become_idle(&f->mux);
  stock_says(f, "{\"return\": {}}\n");
  answer_barrier(f, 3);
  g_assert_true(cagma_mux_is_idle(&f->mux));
  assert_host_got(f, "{\"return\": {}}\n");
}

#define ELEMENT(enabled, name)                                                                               \
  "{\"enabled\": " enabled ", \"name\": \"" name "\", \"success-response\": true}"
#define PING ELEMENT("true", "guest-ping")
#define STATS ELEMENT("true", "guest-get-memory-stats")
#define LOAD ELEMENT("true", "guest-get-load")
#define PRESSURE ELEMENT("true", "guest-get-pressure")
#define TRIGGER ELEMENT("false", "guest-set-pressure-trigger")
#define COMMANDS "\"supported_commands\": ["

static void
info_names_our_commands_too(Fixture *f, gconstpointer unused)
{
  /* Behind host comes the command that not every kernel lets be, and then rest. */
  static const struct {
    const char *stock, *host, *rest;
  } cases[] = {
    { "{\"return\": {\"version\": \"7.2\", " COMMANDS PING "]}}\n",
      "{\"return\": {\"version\": \"7.2\", " COMMANDS PING ", " STATS ", " LOAD ", " PRESSURE ", " TRIGGER
      ", ",
      "]}}\n" },
    { "{\"return\": {" COMMANDS LOAD "], \"x\": [1]}}\n",
      "{\"return\": {" COMMANDS LOAD ", " STATS ", " PRESSURE ", " TRIGGER ", ", "], \"x\": [1]}}\n" },
    { "{\"error\": {\"class\": \"GenericError\", \"desc\": \"[not now]\"}}\n",
      "{\"error\": {\"class\": \"GenericError\", \"desc\": \"[not now]\"}}\n", NULL },
  };
  const char *read_back = cagma_read_back_can() ? ELEMENT("true", "guest-read-back-memory")
                                                : ELEMENT("false", "guest-read-back-memory");

  (void)unused;
  answer_barrier(f, 1000);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *host = g_strconcat(cases[i].host, cases[i].rest ? read_back : "", cases[i].rest, NULL);

    for (gsize step = 1; step < 200; step += 13) {
      forward(f, "{\"execute\":\"guest-info\"}");
      stock_says_in_steps(f, cases[i].stock, step);
      assert_host_got(f, host);
      /* The next line is another matter. */
      stock_says(f, "{\"return\": {\"supported_commands\": []}}\n");
      assert_host_got(f, "{\"return\": {\"supported_commands\": []}}\n");
    }
  }
}

static void
a_stock_agent_that_goes_is_noticed(Fixture *f, gconstpointer unused)
{
  (void)unused;
  answer_barrier(f, 1000);
  forward(f, "{\"execute\":\"guest-ping\"}");
  g_assert_cmpint(cagma_mux_read(&f->mux, &f->to_host), ==, CAGMA_MUX_NOTHING);
  g_assert_cmpint(send(f->stock, "{\"ret", 5, 0), ==, 5);
  cagma_mux_handle(&f->mux, EPOLLIN);
  g_assert_cmpint(cagma_mux_read(&f->mux, &f->to_host), ==, CAGMA_MUX_READ);
  assert_host_got(f, "{\"ret");
  shutdown(f->stock, SHUT_RDWR);
  cagma_mux_handle(&f->mux, EPOLLHUP);
  g_assert_cmpint(cagma_mux_read(&f->mux, &f->to_host), ==, CAGMA_MUX_LOST);
  g_assert_cmpuint(f->mux.owed, ==, 1);
  g_assert_true(f->mux.mid_line);
  cagma_mux_close(&f->mux);
  g_assert_true(cagma_mux_is_idle(&f->mux));
}

static void
no_more_is_read_than_there_is_room_for(Fixture *f, gconstpointer unused)
{
  g_autofree char *much = g_strnfill(60000, 'x');

  (void)unused;
  answer_barrier(f, 1000);
  f->to_host.size = 5000;
  g_assert_cmpint(send(f->stock, much, 60000, 0), ==, 60000);
  while (cagma_mux_read(&f->mux, &f->to_host) == CAGMA_MUX_READ)
    continue;
  g_assert_cmpuint(cagma_queue_length(&f->to_host), ==, 5000 - CAGMA_MUX_GROWTH);
  g_assert_true(f->mux.readable);
}

/* Who gets an error where its peer has just gone may take it for worse: qemu-ga exits. */
static void
closing_is_an_end_and_no_error(Fixture *f, gconstpointer unused)
{
  static char bytes[2 * CAGMA_MUX_TO_STOCK_BYTES];
  gssize n;

  (void)unused;
  g_assert_cmpint(write(f->stock, "{\"return\": {}}\n", 15), ==, 15);
  cagma_mux_close(&f->mux);
  do {
    n = recv(f->stock, bytes, sizeof(bytes), MSG_DONTWAIT);
  } while (n > 0);
  g_assert_cmpint(n, ==, 0);
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
  add("/mux/what-is-left-of-an-earlier-client-is-dropped", what_is_left_of_an_earlier_client_is_dropped);
  add("/mux/requests-and-replies-are-passed-as-they-are", requests_and_replies_are_passed_as_they_are);
  add("/mux/where-replies-can-not-be-counted-a-barrier-tells",
      where_replies_can_not_be_counted_a_barrier_tells);
  add("/mux/a-barrier-does-not-disturb-replies", a_barrier_does_not_disturb_replies);
  add("/mux/while-a-new-connection-is-cleared-nothing-is-lost",
      while_a_new_connection_is_cleared_nothing_is_lost);
  add("/mux/info-names-our-commands-too", info_names_our_commands_too);
  add("/mux/a-stock-agent-that-goes-is-noticed", a_stock_agent_that_goes_is_noticed);
  add("/mux/closing-is-an-end-and-no-error", closing_is_an_end_and_no_error);
  add("/mux/no-more-is-read-than-there-is-room-for", no_more_is_read_than_there_is_room_for);
  return g_test_run();
}
