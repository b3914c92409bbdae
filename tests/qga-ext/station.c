/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/qga-ext/station.h"

#include <string.h>

/* As in test-agent.c. */
#define RSS_LIMIT_KIB 1536

void
station_start_agent(Station *f)
{
  f->agent = agent_start(f->kit, "--method", "xenstore", "--path", f->socket, "--proc", f->kit->proc,
                         "--verbose", NULL);
}

static void
set_up_without_agent(Station *f, gconstpointer unused)
{
  (void)unused;
  f->kit = kit_new();
  f->socket = kit_path(f->kit, "xenstore");
  f->logfile = kit_path(f->kit, "log");
  f->store = store_new(f->socket);
}

static void
set_up(Station *f, gconstpointer orders)
{
  set_up_without_agent(f, NULL);
  store_write(f->store, ORDERS, orders);
  station_start_agent(f);
  g_free(store_await_answer(f->store, DATA, 1)); /* they are read again once they are watched */
}

/* Whatever was done to it: it is no larger, and still does what it is asked. */
static void
tear_down(Station *f, gconstpointer unused)
{
  const guint writes = store_writes(f->store, DATA);

  (void)unused;
  for (StoreType type = 0; type < STORE_TYPES; type++)
    store_refuse(f->store, type, NULL);
  store_write(f->store, ORDERS, "{\"interval-ms\": 100}");
  g_free(store_await_write(f->store, DATA, writes + 2));
  if (g_getenv("CAGMA_TEST_SANITIZED") == NULL)
    g_assert_cmpuint(program_status_kib(f->agent, "VmRSS:"), <=, RSS_LIMIT_KIB);
  program_stop(f->agent);
  store_free(f->store);
  kit_free(f->kit);
  g_free(f->socket);
  g_free(f->logfile);
}

guint64
member(const char *value, const char *name)
{
  g_autofree char *key = g_strdup_printf("\"%s\": ", name);
  const char *found = strstr(value, key);

  g_assert_nonnull(found);
  return g_ascii_strtoull(found + strlen(key), NULL, 10);
}

guint
station_logged(const Station *f, const char *text)
{
  g_autofree char *log = NULL;
  guint n = 0;

  if (!g_file_get_contents(f->logfile, &log, NULL, NULL))
    return 0;
  for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
    n++;
  return n;
}

void
station_await_log(const Station *f, const char *text)
{
  for (const gint64 end_us = g_get_monotonic_time() + KIT_LIMIT_US; station_logged(f, text) == 0;) {
    if (g_get_monotonic_time() > end_us)
      g_error("never logged: %s", text);
    g_usleep(1000);
  }
}

char *
station_order(Station *f, const char *orders)
{
  const guint reads = store_requests(f->store, STORE_READ);

  if (orders != NULL)
    store_write(f->store, ORDERS, orders);
  else
    store_remove(f->store, ORDERS);
  return store_await_answer(f->store, DATA, reads);
}

void
station_add(const char *path, const char *orders, void (*test)(Station *, gconstpointer))
{
  g_test_add(path, Station, orders, set_up, test, tear_down);
}

void
station_add_without_agent(const char *path, void (*test)(Station *, gconstpointer))
{
  g_test_add(path, Station, NULL, set_up_without_agent, test, tear_down);
}
