/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <time.h>
#include <xenstore.h>

#include "plugin/penalty.h"
#include "plugin/xen-guests.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"
#include "tests/qga-ext/store.h"

/* Xen's guests, through libxenstore, on a xenstore of the test's own. The clock can be
 * put forward. */

#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define VALUE STORE_HOME "data/cagma"
#define HOST STORE_HOME "data/cagma-host"
#define LIMIT CAGMA_XEN_GUEST_FIRES_PER_S

static gint64 forward_us;

gint64
g_get_monotonic_time(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 + forward_us;
}

typedef struct {
  char *dir;
  Store *store;
  CagmaGuests *guests;
  unsigned domid; /* the hypervisor's: where the domain runs; 0: nowhere */
  int driver;     /* what it was told; −1: nothing */
  unsigned n_down;
  char *reason;
  unsigned n_stats;
  unsigned n_loads;
  unsigned n_pressure;
  CagmaSample sample; /* of the last but the loads */
  gboolean removes;   /* the domain, when it says something */
} Fixture;

static gboolean
find_domid(gpointer data, const char *uuid, unsigned *domid)
{
  Fixture *f = data;

  g_assert_cmpstr(uuid, ==, UUID);
  *domid = f->domid;
  return f->domid != 0;
}

static void
note_driver(gpointer data, unsigned domid, gboolean up)
{
  Fixture *f = data;

  g_assert_cmpuint(domid, ==, f->domid);
  f->driver = up;
}

static void
on_down(void *owner, const char *uuid, const char *reason)
{
  Fixture *f = owner;

  g_assert_cmpstr(uuid, ==, UUID);
  f->n_down++;
  g_free(f->reason);
  f->reason = g_strdup(reason);
}

static void
on_message(void *owner, const char *uuid, const CagmaAgentMessage *message)
{
  Fixture *f = owner;

  g_assert_cmpstr(uuid, ==, UUID);
  f->n_stats += message->kind == CAGMA_AGENT_STATS;
  f->n_loads += message->kind == CAGMA_AGENT_LOAD;
  f->n_pressure += message->kind == CAGMA_AGENT_PRESSURE;
  if (message->kind == CAGMA_AGENT_LOAD)
    g_assert_cmpuint(message->sample.load1_permille, ==, 410);
  else
    f->sample = message->sample;
  if (f->removes)
    f->guests->remove(f->guests, UUID);
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  static const CagmaGuestsListener listener = { .down = on_down, .message = on_message };
  const CagmaXenGuestsHost host = { .domid = find_domid, .driver = note_driver, .data = f };
  g_autofree char *path = NULL;

  (void)unused;
  forward_us = 0;
  kit_log_clear();
  f->dir = kit_tmpdir();
  path = g_build_filename(f->dir, "socket", NULL);
  g_setenv("XENSTORED_PATH", path, TRUE);
  f->store = store_new(path);
  store_write(f->store, "data", "");
  store_write(f->store, "control/feature-poweroff", "1");
  f->domid = 7;
  f->driver = -1;
  f->guests = cagma_xen_guests_new(&host, &listener, f);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  if (f->guests)
    f->guests->free(f->guests);
  store_free(f->store);
  kit_remove(f->dir);
  g_free(f->reason);
}

/* What the guest's agent writes. */
static void
say(Fixture *f, unsigned seq, unsigned pressure_seq)
{
  g_autofree char *value =
      g_strdup_printf("{\"seq\":%u,\"pressure-seq\":%u,\"time-us\":1,\"stats\":{\"available\":1048576},"
                      "\"load\":{\"load1m\":0.41,\"load5m\":0.2,\"load15m\":0}}",
                      seq, pressure_seq);

  store_write(f->store, VALUE, value);
}

/* Added, and its value read for the first time. */
static void
add(Fixture *f)
{
  f->guests->add(f->guests, UUID);
  g_assert_cmpint(f->driver, ==, FALSE);
  KIT_WAIT(f->driver == TRUE);
  KIT_WAIT(store_requests(f->store, STORE_WATCH) > 0);
}

static unsigned
n_said(const Fixture *f)
{
  return f->n_stats + f->n_pressure;
}

static void
go_live(Fixture *f)
{
  add(f);
  say(f, 1, 0);
  KIT_WAIT(n_said(f) == 1);
}

static void
test_heard(Fixture *f, gconstpointer unused)
{
  g_autofree char *told = NULL;

  (void)unused;
  /* Perhaps of an agent that is no more: not to be believed. */
  say(f, 5, 5);
  add(f);
  f->guests->add(f->guests, UUID);
  told = store_read(f->store, HOST);
  g_assert_cmpstr(told, ==, CAGMA_XEN_GUEST_WANTED);
  say(f, 6, 5);
  KIT_WAIT(n_said(f) > 0);
  g_assert_cmpuint(f->n_stats, ==, 1);
  g_assert_cmpuint(f->sample.stamp, ==, 6);
  g_assert_cmpuint(f->sample.usable_kib, ==, 1024);
  g_assert_cmpint(f->sample.source, ==, CAGMA_SAMPLE_CHANNEL);
  g_assert_cmpuint(f->sample.has & CAGMA_HAS_STAMP, !=, 0);
  say(f, 7, 5);
  KIT_WAIT(f->n_stats == 2);
  /* An agent that begins anew. */
  say(f, 1, 0);
  KIT_WAIT(f->n_stats == 3);
  g_assert_cmpuint(f->n_loads + f->n_pressure + f->n_down, ==, 0);
  g_assert_cmpuint(store_requests(f->store, STORE_WATCH), ==, 1);
}

static void
test_driver(Fixture *f, gconstpointer unused)
{
  (void)unused;
  store_remove(f->store, "control/feature-poweroff");
  f->guests->add(f->guests, UUID);
  /* The directory, the two that tell of a driver, the value. */
  store_await_request(f->store, STORE_READ, 3);
  say(f, 2, 0);
  KIT_WAIT(n_said(f) > 0);
  g_assert_cmpint(f->driver, ==, FALSE);
  /* One that says it has none is believed before what its kernel says of itself. */
  store_write(f->store, "control/feature-balloon", "0");
  store_write(f->store, "control/feature-poweroff", "1");
  say(f, 3, 0);
  KIT_WAIT(f->sample.stamp == 3);
  g_assert_cmpint(f->driver, ==, FALSE);
  store_write(f->store, "control/feature-balloon", "1");
  say(f, 4, 0);
  KIT_WAIT(f->driver == TRUE);
}

/* A toolstack may have made room for the answer; the guest hasn't given one. */
static void
test_driver_not_told(Fixture *f, gconstpointer unused)
{
  (void)unused;
  store_write(f->store, "control/feature-balloon", "");
  f->guests->add(f->guests, UUID);
  KIT_WAIT(f->driver == TRUE);
}

static void
test_pressure(Fixture *f, gconstpointer unused)
{
  (void)unused;
  go_live(f);
  say(f, 2, 2);
  KIT_WAIT(f->n_pressure == 1);
  say(f, 3, 2);
  KIT_WAIT(f->n_stats == 2);
  /* Read late: that there was one shows all the same. */
  say(f, 9, 5);
  KIT_WAIT(f->n_pressure == 2);
  /* An agent that begins anew has seen none. */
  say(f, 1, 0);
  KIT_WAIT(f->n_stats == 3);
  g_assert_cmpuint(f->n_pressure, ==, 2);
}

static void
test_load(Fixture *f, gconstpointer unused)
{
  (void)unused;
  go_live(f);
  f->guests->ask_load(f->guests, UUID);
  f->guests->ask_load(f->guests, "00000000-0000-0000-0000-000000000000");
  say(f, 2, 0);
  KIT_WAIT(n_said(f) == 2);
  g_assert_cmpuint(f->n_loads, ==, 1);
  say(f, 3, 0);
  KIT_WAIT(n_said(f) == 3);
  g_assert_cmpuint(f->n_loads, ==, 1);
}

/* The guest itself, whose values may have any bytes in them. */
static void
write_bytes(const char *data, gsize length)
{
  struct xs_handle *xs = xs_open(0);

  g_assert_nonnull(xs);
  g_assert_true(xs_write(xs, XBT_NULL, VALUE, data, (unsigned)length));
  xs_close(xs);
}

#define STATS "\"stats\":{\"available\":1048576}"

static void
test_junk(Fixture *f, gconstpointer unused)
{
  static const char *const values[] = {
    "",
    "{",
    "[1]",
    "null",
    "{\"return\":{\"available\":1048576}}",
    "{" STATS "}",
    "{\"seq\":8," STATS "}",
    "{\"pressure-seq\":8," STATS "}",
    "{\"seq\":0,\"pressure-seq\":0," STATS "}",
    "{\"seq\":8,\"pressure-seq\":9," STATS "}",
    "{\"seq\":-8,\"pressure-seq\":0," STATS "}",
    "{\"seq\":8.5,\"pressure-seq\":0," STATS "}",
    "{\"seq\":99999999999999999999,\"pressure-seq\":0," STATS "}",
    "{\"seq\":\"8\",\"pressure-seq\":0," STATS "}",
    "{\"seq\":8,\"pressure-seq\":0}",
    "{\"seq\":8,\"pressure-seq\":0,\"stats\":[]}",
    "{\"seq\":8,\"pressure-seq\":0,\"stats\":{\"available\":-1}}",
    "{\"seq\":8,\"pressure-seq\":0," STATS ",\"load\":{\"load1m\":-1}}",
  };
  g_autofree char *huge = g_strnfill(4000, ' '), *deep = g_strnfill(2000, '[');

  (void)unused;
  go_live(f);
  for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
    guint reads = store_requests(f->store, STORE_READ);

    store_write(f->store, VALUE, values[i]);
    KIT_WAIT(store_requests(f->store, STORE_READ) > reads);
    forward_us += G_USEC_PER_SEC;
  }
  store_write(f->store, VALUE, deep);
  write_bytes("\0{\"seq\":8,\"pressure-seq\":0," STATS "}", 48);
  write_bytes("\xff\xfe{}", 4);
  memcpy(huge, "{\"seq\":8,\"pressure-seq\":0," STATS "}",
         strlen("{\"seq\":8,\"pressure-seq\":0," STATS "}"));
  write_bytes(huge, 4000);
  /* None was heard; each is complained of, but not often. */
  KIT_WAIT(kit_logged("its value in xenstore is"));
  store_write(f->store, VALUE,
              "{\"seq\":9,\"pressure-seq\":0,\"stats\":{\"available\":9223372036854775807,"
              "\"swap-total\":9223372036854775807,\"swap-free\":0,\"pages-swapped-in\":9223372036854775807,"
              "\"pages-swapped-out\":9223372036854775807}}");
  KIT_WAIT(n_said(f) > 1);
  g_assert_cmpuint(n_said(f), ==, 2);
  g_assert_cmpuint(f->sample.stamp, ==, 9);
  g_assert_cmpuint(f->sample.usable_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(f->sample.swap_used_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(f->sample.swap_in_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(kit_logged("its value in xenstore is"), ==, 1);
}

/* However often it fires, one read is under way. */
static void
test_one_read(Fixture *f, gconstpointer unused)
{
  guint reads;

  (void)unused;
  go_live(f);
  forward_us += G_USEC_PER_SEC;
  reads = store_requests(f->store, STORE_READ);
  store_hold(f->store, STORE_READ, TRUE);
  store_fire(f->store, LIMIT);
  KIT_WAIT(store_requests(f->store, STORE_READ) > reads);
  store_fire(f->store, 1);
  /* Once over its rate, all of them were seen. */
  KIT_WAIT(kit_logged("times a second"));
  g_assert_cmpuint(store_requests(f->store, STORE_READ), ==, reads + 1);
}

static void
test_coalesced(Fixture *f, gconstpointer unused)
{
  guint reads;

  (void)unused;
  go_live(f);
  forward_us += G_USEC_PER_SEC;
  reads = store_requests(f->store, STORE_READ);
  /* What is written while it is read is read after it. */
  for (unsigned seq = 2; seq <= LIMIT; seq++)
    say(f, seq, 0);
  KIT_WAIT(f->sample.stamp == LIMIT);
  g_assert_cmpuint(store_requests(f->store, STORE_READ), <=, reads + LIMIT);
  g_assert_cmpuint(store_requests(f->store, STORE_UNWATCH), ==, 0);
}

static void
flood(Fixture *f)
{
  guint unwatched = store_requests(f->store, STORE_UNWATCH);

  forward_us += G_USEC_PER_SEC;
  store_fire(f->store, LIMIT + 1);
  KIT_WAIT(store_requests(f->store, STORE_UNWATCH) > unwatched);
  /* A read of before it is done, and has only to be told of. */
  while (g_main_context_iteration(NULL, FALSE))
    ;
}

static void
test_flood(Fixture *f, gconstpointer unused)
{
  gint64 seconds = CAGMA_PENALTY_S;
  unsigned seq = 1;

  (void)unused;
  go_live(f);
  for (unsigned i = 0; i < 8; i++) {
    guint watched = store_requests(f->store, STORE_WATCH), said = n_said(f);

    flood(f);
    g_assert_cmpuint(kit_logged("times a second"), ==, i + 1);
    g_assert_cmpuint(f->n_down, ==, 0);
    /* It is read when it is asked. */
    forward_us += (seconds - 1) * G_USEC_PER_SEC;
    seq++;
    say(f, seq, seq);
    f->guests->ask(f->guests, UUID);
    KIT_WAIT(n_said(f) > said);
    g_assert_cmpuint(f->sample.stamp, ==, seq);
    g_assert_cmpuint(store_requests(f->store, STORE_WATCH), ==, watched);
    forward_us += G_USEC_PER_SEC;
    f->guests->ask(f->guests, UUID);
    KIT_WAIT(store_requests(f->store, STORE_WATCH) > watched);
    say(f, ++seq, 0);
    KIT_WAIT(f->sample.stamp == seq);
    seconds = MIN(2 * seconds, CAGMA_PENALTY_MAX_S);
  }
  g_assert_cmpuint(f->n_down, ==, 0);
}

/* One that is read only now and then isn't gone because nothing came meanwhile; one that
 * writes no more is. */
static void
test_flood_then_silence(Fixture *f, gconstpointer unused)
{
  (void)unused;
  go_live(f);
  flood(f);
  forward_us += CAGMA_XEN_GUEST_SILENT_US + 1;
  f->guests->ask(f->guests, UUID);
  KIT_WAIT(f->n_down == 1);
  kit_assert_has(f->reason, "no longer writes");
}

static void
test_lost(Fixture *f, gconstpointer unused)
{
  (void)unused;
  go_live(f);
  forward_us += CAGMA_XEN_GUEST_SILENT_US / 2;
  f->guests->ask(f->guests, UUID);
  g_assert_cmpuint(f->n_down, ==, 0);
  forward_us += CAGMA_XEN_GUEST_SILENT_US;
  f->guests->ask(f->guests, UUID);
  g_assert_cmpuint(f->n_down, ==, 1);
  kit_assert_has(f->reason, "no longer writes");
  f->guests->ask(f->guests, UUID);
  g_assert_cmpuint(f->n_down, ==, 1);
  say(f, 2, 0);
  KIT_WAIT(n_said(f) == 2);
}

static void
test_reboot(Fixture *f, gconstpointer unused)
{
  (void)unused;
  go_live(f);
  store_remove(f->store, VALUE);
  KIT_WAIT(f->n_down == 1);
  f->domid = 0;
  f->guests->ask(f->guests, UUID);
  f->guests->ask(f->guests, UUID);
  KIT_WAIT(store_requests(f->store, STORE_UNWATCH) == 1);
  f->domid = 8;
  store_write(f->store, "/local/domain/8/data", "");
  f->guests->ask(f->guests, UUID);
  g_assert_cmpint(f->driver, ==, FALSE);
  KIT_WAIT(store_requests(f->store, STORE_WATCH) == 2);
  g_assert_cmpuint(store_writes(f->store, "/local/domain/8/data/cagma-host"), ==, 1);
  store_write(f->store, "/local/domain/8/control/feature-poweroff", "1");
  f->guests->ask(f->guests, UUID);
  KIT_WAIT(f->driver == TRUE);
  /* It would be a stranger's. */
  say(f, 2, 0);
  store_write(f->store, "/local/domain/8/data/cagma",
              "{\"seq\":1,\"pressure-seq\":0,\"stats\":{\"available\":2097152}}");
  KIT_WAIT(n_said(f) == 2);
  g_assert_cmpuint(f->sample.usable_kib, ==, 2048);
  g_assert_cmpuint(f->sample.stamp, ==, 1);
}

/* What was read where it ran before is nothing to it. */
static void
test_gone_in_mid_read(Fixture *f, gconstpointer unused)
{
  guint reads;

  (void)unused;
  go_live(f);
  reads = store_requests(f->store, STORE_READ);
  store_hold(f->store, STORE_READ, TRUE);
  say(f, 2, 0);
  KIT_WAIT(store_requests(f->store, STORE_READ) > reads);
  f->domid = 0;
  forward_us += CAGMA_XEN_GUEST_SILENT_US + 1;
  f->guests->ask(f->guests, UUID);
  g_assert_cmpuint(f->n_down, ==, 1);
  f->guests->remove(f->guests, UUID);
  f->guests->remove(f->guests, UUID);
  store_disconnect(f->store);
  KIT_WAIT(kit_logged("the connection to xenstore broke"));
  g_assert_cmpuint(n_said(f), ==, 1);
}

/* A value that was read just before the domain went on elsewhere isn't that of where it is
 * now. */
static void
test_read_too_late(Fixture *f, gconstpointer unused)
{
  guint reads;
  unsigned said;

  (void)unused;
  go_live(f);
  reads = store_requests(f->store, STORE_READ);
  say(f, 2, 0);
  /* It is asked for in the loop's next turn, and told of in a later one. */
  while (store_requests(f->store, STORE_READ) == reads)
    g_main_context_iteration(NULL, FALSE);
  said = n_said(f);
  f->domid = 8;
  store_write(f->store, "/local/domain/8/data", "");
  store_write(f->store, "/local/domain/8/control/feature-poweroff", "1");
  store_write(f->store, "/local/domain/8/data/cagma",
              "{\"seq\":5,\"pressure-seq\":0,\"stats\":{\"available\":1048576}}");
  forward_us += CAGMA_XEN_GUEST_SILENT_US + 1;
  f->guests->ask(f->guests, UUID);
  g_assert_cmpuint(f->n_down, ==, 1);
  KIT_WAIT(f->driver == TRUE);
  store_write(f->store, "/local/domain/8/data/cagma",
              "{\"seq\":6,\"pressure-seq\":0,\"stats\":{\"available\":1048576}}");
  KIT_WAIT(f->sample.stamp == 6);
  g_assert_cmpuint(n_said(f), ==, said + 1);
}

/* A directory that isn't there isn't made: it would stay for good. */
static void
test_no_directory(Fixture *f, gconstpointer unused)
{
  (void)unused;
  store_remove(f->store, "data");
  f->guests->add(f->guests, UUID);
  store_await_request(f->store, STORE_TRANSACTION_END, 0);
  KIT_WAIT(f->driver == TRUE);
  g_assert_cmpuint(store_writes(f->store, HOST), ==, 0);
  g_assert_cmpuint(store_requests(f->store, STORE_WATCH), ==, 0);
  store_write(f->store, "data", "");
  forward_us += 2 * G_USEC_PER_SEC;
  f->guests->ask(f->guests, UUID);
  KIT_WAIT(store_requests(f->store, STORE_WATCH) == 1);
}

static void
test_conflict(Fixture *f, gconstpointer unused)
{
  guint ended;

  (void)unused;
  store_refuse(f->store, STORE_TRANSACTION_END, "EAGAIN");
  f->guests->add(f->guests, UUID);
  /* Tried again, but not for ever. */
  store_await_request(f->store, STORE_TRANSACTION_END, 9);
  KIT_WAIT(f->driver == TRUE);
  ended = store_requests(f->store, STORE_TRANSACTION_END);
  g_assert_cmpuint(ended, ==, 10);
  f->guests->ask(f->guests, UUID);
  store_refuse(f->store, STORE_TRANSACTION_END, NULL);
  forward_us += 2 * G_USEC_PER_SEC;
  f->guests->ask(f->guests, UUID);
  KIT_WAIT(store_requests(f->store, STORE_WATCH) == 1);
}

static void
test_broken(Fixture *f, gconstpointer unused)
{
  (void)unused;
  go_live(f);
  store_disconnect(f->store);
  forward_us += CAGMA_XEN_GUEST_SILENT_US + 1;
  f->guests->ask(f->guests, UUID);
  g_assert_cmpuint(f->n_down, ==, 1);
  KIT_WAIT(kit_logged("the connection to xenstore broke"));
  while (store_requests(f->store, STORE_WATCH) == 1) {
    f->guests->ask(f->guests, UUID);
    kit_breathe();
  }
  say(f, 2, 0);
  KIT_WAIT(n_said(f) == 2);
}

static void
test_absent(Fixture *f, gconstpointer unused)
{
  g_autofree char *nowhere = g_build_filename(f->dir, "nowhere", NULL);

  (void)unused;
  g_setenv("XENSTORED_PATH", nowhere, TRUE);
  f->guests->add(f->guests, UUID);
  KIT_WAIT(kit_logged("xenstore can't be opened"));
  f->guests->ask(f->guests, UUID);
  g_assert_cmpuint(f->n_down, ==, 0);
}

/* Where xenstored hangs, guests go, and nothing else. */
static void
test_hang(Fixture *f, gconstpointer unused)
{
  gint64 began_us;

  (void)unused;
  go_live(f);
  store_hold(f->store, STORE_READ, TRUE);
  say(f, 2, 0);
  forward_us += CAGMA_XEN_GUEST_SILENT_US + 1;
  began_us = g_get_monotonic_time();
  f->guests->ask(f->guests, UUID);
  g_assert_cmpuint(f->n_down, ==, 1);
  f->guests->ask(f->guests, UUID);
  g_assert_cmpint(g_get_monotonic_time() - began_us, <, G_USEC_PER_SEC);
}

/* How many threads of this process are xenstore's. */
static unsigned
n_threads(void)
{
  g_autoptr(GDir) threads = g_dir_open("/proc/self/task", 0, NULL);
  const char *thread;
  unsigned n = 0;

  g_assert_nonnull(threads);
  while ((thread = g_dir_read_name(threads))) {
    g_autofree char *path = g_build_filename("/proc/self/task", thread, "comm", NULL), *name = NULL;

    n += g_file_get_contents(path, &name, NULL, NULL) && g_str_equal(name, "cagma-xenstore\n");
  }
  return n;
}

/* What has hung until all ended isn't made up for, maybe with another xenstored. */
static void
test_hung_at_end(Fixture *f, gconstpointer unused)
{
  g_autofree char *path = g_build_filename(f->dir, "other", NULL);
  guint reads;

  (void)unused;
  go_live(f);
  reads = store_requests(f->store, STORE_READ);
  store_hold(f->store, STORE_READ, TRUE);
  say(f, 2, 0);
  KIT_WAIT(store_requests(f->store, STORE_READ) > reads);
  f->guests->free(g_steal_pointer(&f->guests));
  g_assert_cmpuint(n_threads(), >, 0);
  g_setenv("XENSTORED_PATH", path, TRUE);
  store_free(f->store);
  f->store = store_new(path);
  KIT_WAIT(n_threads() == 0);
  g_assert_cmpuint(store_requests(f->store, STORE_UNWATCH), ==, 0);
  g_assert_cmpuint(store_requests(f->store, STORE_RM), ==, 0);
}

static void
test_end(Fixture *f, gconstpointer unused)
{
  g_autofree char *told = NULL;

  (void)unused;
  go_live(f);
  f->guests->free(g_steal_pointer(&f->guests));
  told = store_read(f->store, HOST);
  g_assert_null(told);
  g_assert_cmpuint(store_requests(f->store, STORE_UNWATCH), ==, 1);
}

static void
test_removed_while_heard(Fixture *f, gconstpointer unused)
{
  (void)unused;
  go_live(f);
  f->removes = TRUE;
  f->guests->ask_load(f->guests, UUID);
  say(f, 2, 2);
  KIT_WAIT(store_requests(f->store, STORE_RM) == 1);
  g_assert_cmpuint(f->n_loads, ==, 1);
  g_assert_cmpuint(n_said(f), ==, 1);
}

#define ADD(path, test) g_test_add("/xen/guests/" path, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  ADD("heard", test_heard);
  ADD("driver", test_driver);
  ADD("driver-not-told", test_driver_not_told);
  ADD("pressure", test_pressure);
  ADD("load", test_load);
  ADD("junk", test_junk);
  ADD("one-read", test_one_read);
  ADD("coalesced", test_coalesced);
  ADD("flood", test_flood);
  ADD("flood-then-silence", test_flood_then_silence);
  ADD("lost", test_lost);
  ADD("reboot", test_reboot);
  ADD("gone-in-mid-read", test_gone_in_mid_read);
  ADD("read-too-late", test_read_too_late);
  ADD("no-directory", test_no_directory);
  ADD("conflict", test_conflict);
  ADD("broken", test_broken);
  ADD("absent", test_absent);
  ADD("hang", test_hang);
  ADD("hung-at-end", test_hung_at_end);
  ADD("end", test_end);
  ADD("removed-while-heard", test_removed_while_heard);
  return g_test_run();
}
