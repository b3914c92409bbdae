/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/publisher.h"

#include <string.h>

#include "qga-ext/clock.h"
#include "qga-ext/dispatch.h"

enum { TAG_XENSTORE = CAGMA_TAG_WAY };

/* There is one watch; what its news is called doesn't matter. */
#define TOKEN "cagma"

/* Of xenstore's messages in one turn: the rest is for the next. */
#define MESSAGES_AT_ONCE 16

_Static_assert(CAGMA_PUBLISHED_MAX + sizeof(CAGMA_PUBLISHED_PATH) <= CAGMA_XENSTORE_REQUEST_MAX,
               "room for what is written");

void
cagma_write_published(CagmaText *text, uint64_t seq, uint64_t pressure_seq, uint64_t real_us,
                      const CagmaMemoryStats *stats, const CagmaLoad *load)
{
  cagma_text_string(text, "{");
  cagma_write_key(text, "seq");
  cagma_text_uint(text, seq);
  cagma_write_key(text, "pressure-seq");
  cagma_text_uint(text, pressure_seq);
  cagma_write_key(text, "time-us");
  cagma_text_uint(text, real_us);
  cagma_write_key(text, "stats");
  cagma_write_memory_stats(text, stats);
  if (load != NULL) {
    cagma_write_key(text, "load");
    cagma_write_load(text, load);
  }
  cagma_text_string(text, "}");
}

static void
arm_trigger(CagmaPublisher *publisher)
{
  CagmaGuest *guest = publisher->guest;
  const CagmaWatch watch = cagma_trigger_set(&guest->trigger, &publisher->orders.trigger, cagma_clock_us());

  cagma_log_verbose(guest->log, "pressure is watched through %s",
                    watch == CAGMA_WATCH_PSI    ? "PSI"
                    : watch == CAGMA_WATCH_SWAP ? "swap counters"
                                                : "nothing");
}

static bool
open_publisher(void *way, const CagmaOptions *options, CagmaGuest *guest)
{
  CagmaPublisher *publisher = way;

  publisher->guest = guest;
  publisher->orders = cagma_orders_default();
  publisher->refused_us = CAGMA_REFUSED_MIN_US;
  arm_trigger(publisher);
  cagma_xenstore_open(&publisher->xenstore, options->path, guest->log, guest->epoll_fd, TAG_XENSTORE);
  return true;
}

/* FALSE where there are no figures. */
static bool
put_value(CagmaPublisher *publisher, CagmaText *text, CagmaMemoryStats *stats)
{
  CagmaGuest *guest = publisher->guest;
  CagmaLoad load;
  const bool has_load = cagma_system_load(&guest->system, &load);

  if (!cagma_read_memory_stats(&guest->system, &guest->scanner, stats))
    return false;
  cagma_write_published(text, publisher->seq, publisher->pressure_seq, cagma_clock_real_us(), stats,
                        has_load ? &load : NULL);
  return !text->overflow;
}

static void
rehearse(void *way)
{
  CagmaPublisher *publisher = way;
  char bytes[CAGMA_PUBLISHED_MAX];
  CagmaText text = cagma_text_init(bytes, sizeof(bytes));
  CagmaMemoryStats stats;

  if (!put_value(publisher, &text, &stats))
    cagma_log(publisher->guest->log, "the memory figures can't be read");
}

/* The processes are as of the last look at them; the next look follows, once the figures
 * are on their way. */
static void
publish(CagmaPublisher *publisher, uint64_t now_us)
{
  char bytes[CAGMA_PUBLISHED_MAX];
  CagmaText text = cagma_text_init(bytes, sizeof(bytes));
  CagmaMemoryStats stats;

  publisher->next_us = now_us + publisher->orders.interval_us;
  publisher->not_before_us = now_us + CAGMA_EVENT_INTERVAL_US;
  publisher->seq++;
  if (publisher->pressure) {
    publisher->pressure_seq = publisher->seq;
    cagma_log_verbose(publisher->guest->log, "telling of memory pressure");
  }
  publisher->pressure = false;
  if (!put_value(publisher, &text, &stats))
    return;
  cagma_xenstore_request(&publisher->xenstore, CAGMA_XS_WRITE, CAGMA_PUBLISHED_PATH, text.data, text.length,
                         now_us);
  if (now_us < publisher->next_scan_us)
    return;
  publisher->next_scan_us = now_us + CAGMA_PUBLISHED_SCAN_US;
  cagma_scanner_go_on(&publisher->guest->scanner, cagma_swap_in_use(&stats.meminfo), 0);
}

/* Once, until it is granted again. */
static void
complain(CagmaPublisher *publisher, bool *complained, const char *what, const CagmaXenstoreMessage *message)
{
  char why[32];
  size_t length = 0;

  for (; length < message->length && length < sizeof(why) - 1; length++) {
    if (message->payload[length] < ' ' || message->payload[length] > '~')
      break;
    why[length] = message->payload[length];
  }
  why[length] = '\0';
  if (!*complained)
    cagma_log(publisher->guest->log, "xenstore refuses %s: %s; trying again and again", what, why);
  *complained = true;
}

static void
follow(CagmaPublisher *publisher, const CagmaOrders *orders)
{
  const CagmaTriggerSpec before = publisher->orders.trigger;

  publisher->orders = *orders;
  /* Arming it again would begin a new window. */
  if (before.stall_us != orders->trigger.stall_us || before.window_us != orders->trigger.window_us)
    arm_trigger(publisher);
  cagma_log_verbose(publisher->guest->log, "figures are asked for every %u ms",
                    (unsigned int)(orders->interval_us / 1000));
}

static bool
does_not_exist(const CagmaXenstoreMessage *message)
{
  static const char name[] = "ENOENT";

  return message->refused && message->length >= sizeof(name) - 1 &&
         memcmp(message->payload, name, sizeof(name) - 1) == 0;
}

static void
handle_orders(CagmaPublisher *publisher, const CagmaXenstoreMessage *message)
{
  CagmaOrders orders = cagma_orders_default();
  const char *problem = NULL;

  if (message->refused && !does_not_exist(message))
    complain(publisher, &publisher->read_complained, "to read " CAGMA_ORDERS_PATH, message);
  else
    publisher->read_complained = false;
  if (!message->refused && !cagma_orders_parse(&orders, message->payload, message->length, &problem) &&
      problem != publisher->orders_problem)
    cagma_log(publisher->guest->log, CAGMA_ORDERS_PATH ": %s; going by the defaults", problem);
  publisher->orders_problem = problem;
  follow(publisher, &orders);
  publisher->next_us = 0;
}

static void
handle_watch(CagmaPublisher *publisher, const CagmaXenstoreMessage *message, uint64_t now_us)
{
  publisher->watched = !message->refused;
  if (!message->refused) {
    publisher->watch_complained = false;
    return;
  }
  complain(publisher, &publisher->watch_complained, "to watch " CAGMA_ORDERS_PATH, message);
  publisher->read_due = true; /* as often as the watch is tried for */
  publisher->next_watch_us = now_us + CAGMA_REFUSED_MAX_US;
}

static void
handle_written(CagmaPublisher *publisher, const CagmaXenstoreMessage *message, uint64_t now_us)
{
  if (!message->refused) {
    publisher->write_complained = false;
    publisher->refused_us = CAGMA_REFUSED_MIN_US;
    cagma_xenstore_is_well(&publisher->xenstore);
    return;
  }
  complain(publisher, &publisher->write_complained, "to write " CAGMA_PUBLISHED_PATH, message);
  publisher->next_us = publisher->not_before_us = now_us + publisher->refused_us;
  publisher->refused_us *= 2;
  if (publisher->refused_us > CAGMA_REFUSED_MAX_US)
    publisher->refused_us = CAGMA_REFUSED_MAX_US;
}

static void
handle_message(CagmaPublisher *publisher, const CagmaXenstoreMessage *message, uint64_t now_us)
{
  switch (message->type) {
  case CAGMA_XS_READ:
    handle_orders(publisher, message);
    break;
  case CAGMA_XS_WATCH:
    handle_watch(publisher, message, now_us);
    break;
  case CAGMA_XS_WRITE:
    handle_written(publisher, message, now_us);
    break;
  case CAGMA_XS_WATCH_EVENT:
    publisher->read_due = true;
    break;
  case CAGMA_XS_ERROR:
  default:
    break;
  }
}

static void
handle(void *way, uint32_t tag, uint32_t events, uint64_t now_us)
{
  CagmaPublisher *publisher = way;

  (void)tag, (void)now_us;
  cagma_xenstore_handle(&publisher->xenstore, events);
}

/* Whatever was under way on the old connection is lost. */
static void
notice_connection(CagmaPublisher *publisher)
{
  if (publisher->connections == publisher->xenstore.connections)
    return;
  publisher->connections = publisher->xenstore.connections;
  publisher->read_due = true;
  publisher->watched = false;
  publisher->next_read_us = publisher->next_watch_us = publisher->next_us = 0;
}

static uint64_t
value_due_us(const CagmaPublisher *publisher)
{
  const uint64_t wanted_us = publisher->pressure ? 0 : publisher->next_us;

  return wanted_us > publisher->not_before_us ? wanted_us : publisher->not_before_us;
}

/* Something else comes before the watch, which waits for an answer (xenstore.h). A watch
 * begins with news, so that the orders are read again once it is set. */
static void
ask_for_what_is_due(CagmaPublisher *publisher, uint64_t now_us)
{
  CagmaXenstore *xenstore = &publisher->xenstore;

  if (now_us >= value_due_us(publisher)) {
    publish(publisher, now_us);
  } else if (publisher->read_due && now_us >= publisher->next_read_us) {
    publisher->read_due = false;
    publisher->next_read_us = now_us + CAGMA_EVENT_INTERVAL_US;
    cagma_xenstore_request(xenstore, CAGMA_XS_READ, CAGMA_ORDERS_PATH, NULL, 0, now_us);
  } else if (!publisher->watched && now_us >= publisher->next_watch_us) {
    cagma_xenstore_request(xenstore, CAGMA_XS_WATCH, CAGMA_ORDERS_PATH, TOKEN, sizeof(TOKEN), now_us);
  }
}

static void
turn(void *way, bool pressure, uint64_t now_us)
{
  CagmaPublisher *publisher = way;
  CagmaXenstoreMessage message;

  publisher->pressure |= pressure;
  cagma_xenstore_tick(&publisher->xenstore, now_us);
  for (int i = 0; i < MESSAGES_AT_ONCE && cagma_xenstore_next(&publisher->xenstore, &message); i++)
    handle_message(publisher, &message, now_us);
  notice_connection(publisher);
  if (cagma_xenstore_is_idle(&publisher->xenstore))
    ask_for_what_is_due(publisher, now_us);
}

static uint64_t
earlier(uint64_t a_us, uint64_t b_us)
{
  return a_us < b_us ? a_us : b_us;
}

static uint64_t
due_us(const void *way)
{
  const CagmaPublisher *publisher = way;
  uint64_t due_us = cagma_xenstore_due_us(&publisher->xenstore);

  if (!cagma_xenstore_is_idle(&publisher->xenstore))
    return due_us;
  due_us = earlier(due_us, value_due_us(publisher));
  if (publisher->read_due)
    due_us = earlier(due_us, publisher->next_read_us);
  if (!publisher->watched)
    due_us = earlier(due_us, publisher->next_watch_us);
  return due_us;
}

static void
close_publisher(void *way)
{
  CagmaPublisher *publisher = way;

  cagma_xenstore_close(&publisher->xenstore);
}

const CagmaWay cagma_publisher = {
  .open = open_publisher,
  .rehearse = rehearse,
  .handle = handle,
  .turn = turn,
  .due_us = due_us,
  .close = close_publisher,
};
