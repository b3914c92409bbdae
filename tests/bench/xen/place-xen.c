/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "place.h"

#define QUESTIONS 20
#define ANSWER_MS (20 * 1000)

/* Xen has no balloon statistics: without our agent nobody knows what a guest needs. */
const Way place_ways[] = {
  { "events", "xenstore", LONG_PERIOD_S, TRUE },
  { NULL, NULL, 0, FALSE },
};

const char place_options[] = "";

/* Its first process has seen to the swap, and to our agent. */
void
place_prepare(Guest *guest)
{
  g_autofree char *pid = guest_control(guest, (const char *[]){ "exec", "errand", "clock", NULL });
}

void
place_run_agent(Guest *guest, gboolean run)
{
  (void)guest;
  g_assert_true(run);
}

char *
place_console(Guest *guest)
{
  return g_strdup_printf("/var/log/xen/guest-%s.log", guest->name);
}

static void
await_change(struct xs_handle *store)
{
  struct pollfd ready = { .fd = xs_fileno(store), .events = POLLIN };
  unsigned int n;
  char **event;

  g_assert_cmpint(poll(&ready, 1, ANSWER_MS), ==, 1);
  event = xs_read_watch(store, &n);
  free(event);
}

/* One question, to guest/errand.c; the guest's time, µs. */
static int64_t
ask(struct xs_handle *store, const char *ask_path, const char *told_path, guint number)
{
  g_autofree char *question = g_strdup_printf("%u", number);
  int64_t told_us = 0;
  guint answered = 0;

  g_assert_true(xs_write(store, XBT_NULL, ask_path, question, (unsigned int)strlen(question)));
  while (answered != number) {
    char *text;

    await_change(store);
    text = xs_read(store, XBT_NULL, told_path, NULL);
    if (text && sscanf(text, "%u %" SCNd64, &answered, &told_us) != 2)
      answered = 0;
    free(text);
  }
  return told_us;
}

Clock
place_clock(Guest *guest)
{
  virDomainPtr domain = guest_domain(guest);
  g_autofree char *ask_path = g_strdup_printf("/local/domain/%u/data/lab/ask", virDomainGetID(domain));
  g_autofree char *told_path = g_strdup_printf("/local/domain/%u/data/lab/told", virDomainGetID(domain));
  struct xs_handle *store = xs_open(0);
  Clock clock = { 0, G_MAXINT64 };

  virDomainFree(domain);
  g_assert_true(store && xs_watch(store, told_path, "told"));
  /* xenstored says first that the watch is there. */
  await_change(store);
  for (guint number = 1; number <= QUESTIONS; number++) {
    int64_t asked_us = g_get_real_time();
    /* Not what answered the last one of before. */
    int64_t told_us = ask(store, ask_path, told_path, (guint)(asked_us / 1000 % 1000000) * 1000 + number);
    int64_t took_us = g_get_real_time() - asked_us;

    if (took_us / 2 >= clock.error_us)
      continue;
    clock.error_us = took_us / 2;
    clock.offset_us = told_us - (asked_us + took_us / 2);
  }
  xs_close(store);
  return clock;
}
