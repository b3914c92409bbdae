/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qga-ext/xenstore.h"
#include "tests/qga-ext/station.h"

/* The agent on xenstore: what may go wrong between the two. */

static void
messages_may_come_in_single_bytes(Station *f, gconstpointer unused)
{
  (void)unused;
  store_split(f->store, TRUE);
  for (guint i = 0; i < 5; i++) {
    store_fire(f->store, 3);
    g_free(station_order(f, SELDOM));
  }
  store_split(f->store, FALSE);
  g_assert_cmpuint(store_await_connection(f->store, 0), ==, 1);
}

/* Logged once, tried with patience, and told once it is granted. */
static void
a_refused_value_is_tried_again(Station *f, gconstpointer unused)
{
  static const char message[] = "xenstore refuses to write data/cagma: EACCES; ";
  g_autofree char *told = NULL;
  guint requests, writes;
  gint64 began_us;

  (void)unused;
  store_refuse(f->store, STORE_WRITE, "EACCES");
  requests = store_requests(f->store, STORE_WRITE);
  writes = store_writes(f->store, DATA);
  began_us = g_get_monotonic_time();
  kit_write(f->kit, "vmstat", "pswpin 0\npswpout 7\n");
  store_await_request(f->store, STORE_WRITE, requests + 2);
  g_assert_cmpint(g_get_monotonic_time() - began_us, >=, 3 * G_USEC_PER_SEC); /* 1 s, and 2 */
  kit_write(f->kit, "vmstat", "pswpin 0\npswpout 8\n");
  g_assert_cmpuint(station_logged(f, message), ==, 1);

  store_refuse(f->store, STORE_WRITE, NULL);
  told = store_await_write(f->store, DATA, writes);
  assert_has(told, "\"pages-swapped-out\": 8");
  g_assert_cmpuint(member(told, "pressure-seq"), >, 0);
  g_assert_cmpuint(station_logged(f, message), ==, 1);
}

/* What an error is called is the store's affair; what can't be read doesn't get into the log. */
static void
any_refusal_is_borne(Station *f, gconstpointer unused)
{
  g_autofree char *long_name = g_strnfill(3000, 'E');
  const struct {
    const char *error;
    const char *logged;
  } cases[] = {
    { "ENOSPC", ": ENOSPC; trying" }, { "EQUOTA", ": EQUOTA; trying" },
    { "EINVAL", ": EINVAL; trying" }, { "E2BIG", ": E2BIG; trying" },
    { "\n\033[2J", ": ; trying" },    { long_name, ": EEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE; trying" },
  };

  (void)unused;
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    store_refuse(f->store, STORE_WRITE, cases[i].error);
    station_start_agent(f);
    station_await_log(f, cases[i].logged);
    program_stop(f->agent);
  }
  station_start_agent(f);
}

static void
it_works_without_a_watch_and_without_orders(Station *f, gconstpointer unused)
{
  g_autofree char *first = NULL;

  (void)unused;
  store_refuse(f->store, STORE_WATCH, "ENOSPC");
  store_refuse(f->store, STORE_READ, "EACCES");
  station_start_agent(f);
  first = store_await_write(f->store, DATA, 0);
  g_assert_cmpuint(member(first, "seq"), ==, 1);
  station_await_log(f, "xenstore refuses to read data/cagma-host: EACCES; ");
  station_await_log(f, "xenstore refuses to watch data/cagma-host: ENOSPC; ");
  g_usleep(500000);
  /* It isn't tried again and again. */
  g_assert_cmpuint(store_requests(f->store, STORE_WATCH), <=, 2);
  g_assert_cmpuint(store_requests(f->store, STORE_READ), <=, 4);

  /* Orders are looked for as often as the watch; by the defaults this took longer than is waited. */
  store_refuse(f->store, STORE_READ, NULL);
  store_write(f->store, ORDERS, "{\"interval-ms\": 100}");
  g_free(store_await_write(f->store, DATA, store_writes(f->store, DATA) + 5));
}

static void
a_lost_connection_is_made_anew(Station *f, gconstpointer unused)
{
  g_autofree char *before = store_read(f->store, DATA);
  g_autofree char *after = NULL;
  guint watches = store_requests(f->store, STORE_WATCH);
  const guint writes = store_writes(f->store, DATA);

  (void)unused;
  store_disconnect(f->store);
  after = store_await_write(f->store, DATA, writes);
  g_assert_cmpuint(member(after, "seq"), ==, member(before, "seq") + 1);
  store_await_request(f->store, STORE_WATCH, watches);
  g_free(station_order(f, "{\"interval-ms\": 59000, \"stall-us\": 0}"));
  station_await_log(f, "the connection has ended");
  station_await_log(f, "it works now");
}

static void
what_is_not_there_yet_is_waited_for(Station *f, gconstpointer unused)
{
  (void)unused;
  store_free(f->store);
  g_assert_cmpint(unlink(f->socket), ==, 0);
  station_start_agent(f);
  station_await_log(f, "No such file or directory; trying again and again");
  f->store = store_new(f->socket);
  g_free(store_await_write(f->store, DATA, 0));
  g_assert_cmpuint(station_logged(f, "trying again and again"), ==, 1);
}

/* A header and what follows, in words of 32 bits. */
static void
nonsense_ends_the_connection(Station *f, gconstpointer unused)
{
  static const guint32 cases[][5] = {
    { STORE_WATCH_EVENT, 0, 0, 4097, 0 },                               /* too long */
    { STORE_WRITE, 1, 0, G_MAXUINT32, 0 }, { STORE_WRITE, 1, 0, 4, 0 }, /* an answer to nothing */
    { STORE_ERROR, 0, 0, 4, 0 },           { 0xABCDEF, 0, 0, 4, 0 },
  };
  const gint64 began_us = g_get_monotonic_time();

  (void)unused;
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    const guint connections = store_await_connection(f->store, 0);
    const guint writes = store_writes(f->store, DATA);

    store_send(f->store, (const char *)cases[i], sizeof(cases[i]));
    store_await_connection(f->store, connections);
    g_free(store_await_write(f->store, DATA, writes));
  }
  g_assert_cmpint(g_get_monotonic_time() - began_us, >=, (gint64)(G_N_ELEMENTS(cases) * 190000));
}

static void
an_answer_to_another_request_ends_the_connection(Station *f, gconstpointer unused)
{
  static const guint32 answer[] = { STORE_WRITE, 0xABCDEF, 0, 0 };
  const guint writes = store_writes(f->store, DATA);
  const guint requests = store_requests(f->store, STORE_WRITE);

  (void)unused;
  store_hold(f->store, STORE_WRITE, TRUE);
  store_fire(f->store, 1);
  store_await_request(f->store, STORE_WRITE, requests);
  store_send(f->store, (const char *)answer, sizeof(answer));
  station_await_log(f, "an answer to nothing");
  store_hold(f->store, STORE_WRITE, FALSE);
  g_free(store_await_write(f->store, DATA, writes));
}

/* Whoever talks nonsense all the time isn't spoken to more often than every 10 s. */
static void
nonsense_again_and_again_is_met_with_patience(Station *f, gconstpointer unused)
{
  static const guint32 nonsense[4] = { STORE_ERROR, 0, 0, 0 };
  guint connections = store_await_connection(f->store, 0);
  const gint64 end_us = g_get_monotonic_time() + 2 * G_USEC_PER_SEC;

  (void)unused;
  store_refuse(f->store, STORE_WRITE, "EIO");
  while (g_get_monotonic_time() < end_us) {
    store_send(f->store, (const char *)nonsense, sizeof(nonsense));
    g_usleep(1000);
  }
  /* After 200, 400, 800, 1600 ms. */
  g_assert_cmpuint(store_await_connection(f->store, 0) - connections, <=, 4);
  g_assert_cmpuint(station_logged(f, "trying again and again"), <=, 2);
}

/* A client by itself, and who has its other side. */
typedef struct {
  Kit *kit;
  int listener;
  int epoll_fd;
  int peer;
  CagmaXenstore xenstore;
} Pair;

static const CagmaLog to_stderr = { .fd = STDERR_FILENO };

static void
pair_set_up(Pair *f, gconstpointer unused)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  CagmaXenstoreMessage message;
  static char path[sizeof(address.sun_path)];
  g_autofree char *in_kit = NULL;

  (void)unused;
  signal(SIGPIPE, SIG_IGN);
  f->kit = kit_new();
  in_kit = kit_path(f->kit, "peer");
  g_strlcpy(path, in_kit, sizeof(path));
  g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
  f->listener = socket(AF_UNIX, SOCK_STREAM, 0);
  f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  g_assert_cmpint(bind(f->listener, (const struct sockaddr *)&address, sizeof(address)), ==, 0);
  g_assert_cmpint(listen(f->listener, 1), ==, 0);
  f->xenstore = (CagmaXenstore){ .fd = -1 };
  cagma_xenstore_open(&f->xenstore, path, &to_stderr, f->epoll_fd, 1);
  f->peer = accept(f->listener, NULL, NULL);
  g_assert_false(cagma_xenstore_next(&f->xenstore, &message));
}

static void
pair_tear_down(Pair *f, gconstpointer unused)
{
  (void)unused;
  cagma_xenstore_close(&f->xenstore);
  close(f->peer);
  close(f->listener);
  close(f->epoll_fd);
  kit_free(f->kit);
}

static void
pair_answer(Pair *f, guint32 type, guint32 request_id)
{
  const guint32 header[4] = { type, request_id, 0, 0 };

  g_assert_cmpint(write(f->peer, header, sizeof(header)), ==, sizeof(header));
  cagma_xenstore_handle(&f->xenstore, EPOLLIN);
}

/* The kernel itself refuses what it is asked through its device: with a watch that is as if
 * xenstore had, and with anything else the end. Here it is a socket whose other side has
 * stopped reading. */
static void
a_watch_that_can_not_be_written_is_refused(Pair *f, gconstpointer unused)
{
  CagmaXenstoreMessage message;

  (void)unused;
  g_assert_cmpint(shutdown(f->peer, SHUT_RD), ==, 0);
  cagma_xenstore_request(&f->xenstore, CAGMA_XS_WATCH, ORDERS, "t", 2, 0);
  g_assert_cmpuint(cagma_xenstore_due_us(&f->xenstore), ==, 0);
  g_assert_true(cagma_xenstore_next(&f->xenstore, &message));
  g_assert_cmpint(message.type, ==, CAGMA_XS_WATCH);
  g_assert_true(message.refused);
  g_assert_cmpstr(message.payload, ==, "Broken pipe");
  g_assert_true(cagma_xenstore_is_idle(&f->xenstore));
  g_assert_false(cagma_xenstore_next(&f->xenstore, &message));

  cagma_xenstore_request(&f->xenstore, CAGMA_XS_WRITE, DATA, "{}", 2, 0);
  g_assert_false(cagma_xenstore_is_idle(&f->xenstore));
  g_assert_cmpint(f->xenstore.fd, ==, -1);
}

/* So do older kernels. Nothing else may be answered like that. */
static void
a_watch_may_be_answered_without_a_number(Pair *f, gconstpointer unused)
{
  CagmaXenstoreMessage message;

  (void)unused;
  cagma_xenstore_request(&f->xenstore, CAGMA_XS_WATCH, ORDERS, "t", 2, 0);
  pair_answer(f, STORE_WATCH, 0);
  g_assert_true(cagma_xenstore_next(&f->xenstore, &message));
  g_assert_cmpint(message.type, ==, CAGMA_XS_WATCH);
  g_assert_false(message.refused);
  g_assert_true(cagma_xenstore_is_idle(&f->xenstore));

  cagma_xenstore_request(&f->xenstore, CAGMA_XS_WRITE, DATA, "{}", 2, 0);
  pair_answer(f, STORE_WRITE, 0);
  g_assert_false(cagma_xenstore_next(&f->xenstore, &message));
  g_assert_cmpint(f->xenstore.fd, ==, -1);
}

/* Who was stopped itself, or waited for memory, looks for the answer before it gives up. */
static void
an_answer_that_is_there_is_not_too_late(Pair *f, gconstpointer unused)
{
  CagmaXenstoreMessage message;

  (void)unused;
  cagma_xenstore_request(&f->xenstore, CAGMA_XS_WRITE, DATA, "{}", 2, 0);
  pair_answer(f, STORE_WRITE, f->xenstore.request_id);
  cagma_xenstore_tick(&f->xenstore, 10 * CAGMA_XENSTORE_REPLY_US);
  g_assert_true(cagma_xenstore_next(&f->xenstore, &message));
  g_assert_cmpint(message.type, ==, CAGMA_XS_WRITE);
  g_assert_false(cagma_xenstore_next(&f->xenstore, &message));

  cagma_xenstore_request(&f->xenstore, CAGMA_XS_WRITE, DATA, "{}", 2, 0);
  cagma_xenstore_tick(&f->xenstore, CAGMA_XENSTORE_REPLY_US - 1);
  g_assert_cmpint(f->xenstore.fd, >=, 0);
  cagma_xenstore_tick(&f->xenstore, CAGMA_XENSTORE_REPLY_US);
  g_assert_cmpint(f->xenstore.fd, ==, -1);
}

static void
who_never_answers_is_left(Station *f, gconstpointer unused)
{
  const guint writes = store_writes(f->store, DATA);

  (void)unused;
  store_hold(f->store, STORE_WRITE, TRUE);
  store_fire(f->store, 1);
  store_await_connection(f->store, 1);
  store_hold(f->store, STORE_WRITE, FALSE);
  g_assert_cmpuint(station_logged(f, "no answer"), ==, 1);
  /* The new connection may have asked while nobody answered. */
  g_free(store_await_write(f->store, DATA, writes));
}

#define ADD_PAIR(name, test) g_test_add(name, Pair, NULL, pair_set_up, test, pair_tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  station_add("/xenstore/messages-may-come-in-single-bytes", SELDOM, messages_may_come_in_single_bytes);
  station_add("/xenstore/a-refused-value-is-tried-again", SELDOM_ALERT, a_refused_value_is_tried_again);
  station_add_without_agent("/xenstore/any-refusal-is-borne", any_refusal_is_borne);
  station_add_without_agent("/xenstore/it-works-without-a-watch-and-without-orders",
                            it_works_without_a_watch_and_without_orders);
  station_add("/xenstore/a-lost-connection-is-made-anew", SELDOM, a_lost_connection_is_made_anew);
  station_add_without_agent("/xenstore/what-is-not-there-yet-is-waited-for",
                            what_is_not_there_yet_is_waited_for);
  station_add("/xenstore/nonsense-ends-the-connection", SELDOM, nonsense_ends_the_connection);
  station_add("/xenstore/an-answer-to-another-request-ends-the-connection", SELDOM,
              an_answer_to_another_request_ends_the_connection);
  station_add("/xenstore/nonsense-again-and-again-is-met-with-patience", SELDOM,
              nonsense_again_and_again_is_met_with_patience);
  ADD_PAIR("/xenstore/a-watch-that-can-not-be-written-is-refused",
           a_watch_that_can_not_be_written_is_refused);
  ADD_PAIR("/xenstore/a-watch-may-be-answered-without-a-number", a_watch_may_be_answered_without_a_number);
  ADD_PAIR("/xenstore/an-answer-that-is-there-is-not-too-late", an_answer_that_is_there_is_not_too_late);
  station_add("/xenstore/who-never-answers-is-left", SELDOM, who_never_answers_is_left);
  return g_test_run();
}
