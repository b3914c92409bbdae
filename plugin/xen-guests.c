/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/xen-guests.h"

#include <errno.h>

#include "plugin/backend.h"
#include "plugin/penalty.h"
#include "plugin/xen-store.h"

/* How often a watch that could not be set is tried again. */
#define RETRY_US (2 * G_USEC_PER_SEC)
#define RETRY_MAX_US (30 * G_USEC_PER_SEC)

/* What a guest's agent writes wrongly is logged this often. */
#define COMPLAINT_INTERVAL_US (60 * G_USEC_PER_SEC)

#define SILENT "the agent no longer writes to xenstore"

typedef struct Xenstore Xenstore;

typedef enum {
  WATCH_NONE,
  WATCH_ASKED,
  WATCH_SET,
} WatchState;

/* Main loop only, but for the references. */
typedef struct {
  int refs;
  Xenstore *xenstore; /* NULL once removed */
  char uuid[CAGMA_UUID_SIZE];
  gboolean found; /* it runs, as domid */
  unsigned domid;
  WatchState watch;
  char token[CAGMA_STORE_TOKEN_SIZE]; /* of the watch that is asked for or set */
  int64_t watch_next_us;              /* not before then */
  int64_t retry_us;
  gboolean reading;
  gboolean again; /* it fired meanwhile */
  gboolean known; /* its value was read, … */
  uint64_t seq;   /* … and was this; 0: there was none */
  uint64_t pressure_seq;
  gboolean live;   /* seq was seen to go on */
  int64_t news_us; /* when it last did */
  gboolean load_wanted;
  gboolean driver;
  CagmaPenalty penalty;
  int64_t second_us; /* when the present second began, and what came in it */
  unsigned second_fires;
  int64_t complained_us; /* when its value was last complained of; 0: never */
  int64_t greeted_us;    /* when it was last said to write; 0: never */
} Guest;

struct Xenstore {
  CagmaGuests guests;
  CagmaXenGuestsHost host;
  const CagmaGuestsListener *listener;
  void *owner;
  CagmaStore *store;
  GHashTable *by_uuid;
  GHashTable *by_token; /* those watched; the guest's token, the guest */
  uint64_t last_token;
};

static Guest *
guest_ref(Guest *guest)
{
  g_atomic_int_inc(&guest->refs);
  return guest;
}

static void
guest_unref(gpointer data)
{
  Guest *guest = data;

  if (g_atomic_int_dec_and_test(&guest->refs))
    g_free(guest);
}

static void
say_down(Guest *guest, const char *reason)
{
  gboolean was_live = guest->live;

  guest->live = FALSE;
  if (was_live)
    guest->xenstore->listener->down(guest->xenstore->owner, guest->uuid, reason);
}

static void
push(Guest *guest, CagmaStoreKind kind)
{
  CagmaStoreTask task = {
    .kind = kind, .domid = guest->domid, .text = CAGMA_XEN_GUEST_WANTED, .look_for_driver = !guest->driver
  };

  if (kind != CAGMA_STORE_READ)
    g_strlcpy(task.token, guest->token, sizeof task.token);
  if (kind != CAGMA_STORE_LEAVE) {
    task.data = guest_ref(guest);
    task.free_data = guest_unref;
  }
  cagma_store_push(guest->xenstore->store, &task);
}

static void
ask_watch(Guest *guest)
{
  Xenstore *xenstore = guest->xenstore;

  /* A number of its own for each: a watch that ended may still fire. */
  g_snprintf(guest->token, sizeof guest->token, "cagma-%" G_GUINT64_FORMAT, ++xenstore->last_token);
  g_hash_table_insert(xenstore->by_token, guest->token, guest);
  guest->watch = WATCH_ASKED;
  push(guest, CAGMA_STORE_WATCH);
}

static void
forget_watch(Guest *guest)
{
  if (guest->watch != WATCH_NONE)
    g_hash_table_remove(guest->xenstore->by_token, guest->token);
  guest->watch = WATCH_NONE;
  *guest->token = '\0';
}

/* take_back: its agent needn't write any more. */
static void
leave(Guest *guest, gboolean take_back)
{
  CagmaStoreTask task = { .kind = CAGMA_STORE_LEAVE, .domid = guest->domid, .take_back = take_back };

  if (!guest->found)
    return;
  g_strlcpy(task.token, guest->token, sizeof task.token);
  forget_watch(guest);
  cagma_store_push(guest->xenstore->store, &task);
}

static void
ask_value(Guest *guest)
{
  if (guest->reading) {
    guest->again = TRUE;
    return;
  }
  guest->reading = TRUE;
  push(guest, CAGMA_STORE_READ);
}

/* FALSE where it fired too often. */
static gboolean
within_rate(Guest *guest)
{
  int64_t now_us = g_get_monotonic_time();

  if (now_us - guest->second_us >= G_USEC_PER_SEC) {
    guest->second_us = now_us;
    guest->second_fires = 0;
  }
  return ++guest->second_fires <= CAGMA_XEN_GUEST_FIRES_PER_S;
}

static void
on_fired(void *owner, const char *token)
{
  Xenstore *xenstore = owner;
  Guest *guest = g_hash_table_lookup(xenstore->by_token, token);
  int64_t seconds;

  if (!guest)
    return;
  if (within_rate(guest)) {
    ask_value(guest);
    return;
  }
  seconds = cagma_penalty_strike(&guest->penalty, g_get_monotonic_time());
  g_warning("domain %s: writes to xenstore more than %d times a second; for %" G_GINT64_FORMAT
            " s it is read once a period",
            guest->uuid, CAGMA_XEN_GUEST_FIRES_PER_S, seconds);
  leave(guest, FALSE);
  guest->again = FALSE;
  guest->watch_next_us = guest->penalty.released_us;
}

/* The guest's own doing, so not often. */
static void
complain(Guest *guest, const char *what)
{
  int64_t now_us = g_get_monotonic_time();

  if (guest->complained_us && now_us - guest->complained_us < COMPLAINT_INTERVAL_US)
    return;
  guest->complained_us = now_us;
  g_message("domain %s: its value in xenstore is %s", guest->uuid, what);
}

/* So is that it comes and goes. */
static void
say_up(Guest *guest)
{
  int64_t now_us = g_get_monotonic_time();

  if (guest->greeted_us && now_us - guest->greeted_us < COMPLAINT_INTERVAL_US)
    return;
  guest->greeted_us = now_us;
  g_message("domain %s: its agent writes to xenstore", guest->uuid);
}

static void
tell(Guest *guest, CagmaAgentKind kind, const CagmaSample *sample)
{
  CagmaAgentMessage message = { .kind = kind, .sample = *sample };

  /* What was told before may have ended it. */
  if (guest->xenstore)
    guest->xenstore->listener->message(guest->xenstore->owner, guest->uuid, &message);
}

static void
take_news(Guest *guest, const CagmaAgentValue *value)
{
  gboolean pressure = value->pressure_seq && value->pressure_seq != guest->pressure_seq;

  if (!guest->live)
    say_up(guest);
  guest->live = TRUE;
  guest->news_us = g_get_monotonic_time();
  guest->seq = value->seq;
  guest->pressure_seq = value->pressure_seq;
  if (value->has_load && guest->load_wanted) {
    guest->load_wanted = FALSE;
    tell(guest, CAGMA_AGENT_LOAD, &value->load);
  }
  tell(guest, pressure ? CAGMA_AGENT_PRESSURE : CAGMA_AGENT_STATS, &value->stats);
}

static gboolean
is_silent(const Guest *guest)
{
  return guest->live && g_get_monotonic_time() - guest->news_us > CAGMA_XEN_GUEST_SILENT_US;
}

static void
take_value(Guest *guest, const char *text, gsize length)
{
  CagmaAgentValue value;
  g_autoptr(GError) error = NULL;

  if (!cagma_agent_value_parse(text, length, &value, &error)) {
    complain(guest, error->message);
    return;
  }
  /* The first may be what an agent left that is no more: only the next tells. */
  if (!guest->known) {
    guest->known = TRUE;
    guest->seq = value.seq;
    guest->pressure_seq = value.pressure_seq;
  } else if (value.seq != guest->seq) {
    take_news(guest, &value);
  } else if (is_silent(guest)) {
    say_down(guest, SILENT);
  }
}

static void
take_none(Guest *guest)
{
  guest->known = TRUE;
  guest->seq = 0;
  guest->pressure_seq = 0;
  say_down(guest, "what it wrote to xenstore is gone");
}

static void
watched(Guest *guest, const CagmaStoreTask *task)
{
  /* Another may have been asked for since. */
  if (guest->watch != WATCH_ASKED || !g_str_equal(guest->token, task->token))
    return;
  if (!task->error) {
    guest->watch = WATCH_SET;
    guest->retry_us = RETRY_US;
    return;
  }
  g_debug("domain %s: xenstore: %s", guest->uuid, g_strerror(task->error));
  forget_watch(guest);
  guest->watch_next_us = g_get_monotonic_time() + guest->retry_us;
  guest->retry_us = MIN(guest->retry_us * 2, RETRY_MAX_US);
}

static void
was_read(Guest *guest, const CagmaStoreTask *task)
{
  gboolean again = guest->again;

  guest->reading = FALSE;
  guest->again = FALSE;
  /* It may run under another number by now. */
  if (guest->found && guest->domid == task->domid) {
    if (task->driver) {
      guest->driver = TRUE;
      guest->xenstore->host.driver(guest->xenstore->host.data, guest->domid, TRUE);
    }
    if (!task->error)
      take_value(guest, task->value, task->length);
    else if (task->error == ENOENT)
      take_none(guest);
  }
  /* The owner may have removed it meanwhile. */
  if (again && guest->xenstore && guest->found)
    ask_value(guest);
}

static void
on_done(void *owner, const CagmaStoreTask *task)
{
  Guest *guest = task->data;

  (void)owner;
  if (!guest->xenstore)
    return;
  if (task->kind == CAGMA_STORE_WATCH)
    watched(guest, task);
  else
    was_read(guest, task);
}

static void
on_lost(void *owner)
{
  Xenstore *xenstore = owner;
  GHashTableIter iter;
  gpointer guest;

  g_hash_table_iter_init(&iter, xenstore->by_uuid);
  while (g_hash_table_iter_next(&iter, NULL, &guest))
    forget_watch(guest);
}

/* Where it runs now. A reboot, or a restore, gave it another number. */
static void
find(Guest *guest)
{
  CagmaXenGuestsHost *host = &guest->xenstore->host;
  unsigned domid = 0;
  gboolean found = host->domid(host->data, guest->uuid, &domid);

  if (found && guest->found && domid == guest->domid)
    return;
  leave(guest, FALSE);
  guest->found = found;
  guest->domid = domid;
  guest->known = FALSE;
  guest->driver = FALSE;
  guest->watch_next_us = guest->penalty.released_us;
  guest->retry_us = RETRY_US;
  if (found)
    host->driver(host->data, domid, FALSE);
}

static void
look_after(Guest *guest)
{
  int64_t now_us = g_get_monotonic_time();

  /* One that isn't watched may have written; it is read first, unless that hangs. */
  if (is_silent(guest) && (guest->watch == WATCH_SET || guest->reading))
    say_down(guest, SILENT);
  if (!guest->live)
    find(guest);
  if (!guest->found)
    return;
  if (guest->watch == WATCH_NONE && now_us >= guest->watch_next_us)
    ask_watch(guest);
  /* Also where a watch should tell: it may have been lost. */
  if (guest->watch == WATCH_NONE || !guest->live)
    ask_value(guest);
}

static void
xenstore_ask(CagmaGuests *guests, const char *uuid)
{
  Guest *guest = g_hash_table_lookup(((Xenstore *)guests)->by_uuid, uuid);

  if (guest)
    look_after(guest);
}

static void
xenstore_ask_load(CagmaGuests *guests, const char *uuid)
{
  Guest *guest = g_hash_table_lookup(((Xenstore *)guests)->by_uuid, uuid);

  /* It comes with its next figures. */
  if (guest)
    guest->load_wanted = TRUE;
}

static void
xenstore_add(CagmaGuests *guests, const char *uuid)
{
  Xenstore *xenstore = (Xenstore *)guests;
  Guest *guest;

  if (g_hash_table_contains(xenstore->by_uuid, uuid))
    return;
  guest = g_new0(Guest, 1);
  guest->refs = 1;
  guest->xenstore = xenstore;
  guest->retry_us = RETRY_US;
  g_strlcpy(guest->uuid, uuid, sizeof guest->uuid);
  g_hash_table_insert(xenstore->by_uuid, guest->uuid, guest);
  look_after(guest);
}

static void
drop(Guest *guest)
{
  leave(guest, TRUE);
  guest->xenstore = NULL;
  guest_unref(guest);
}

static void
xenstore_remove(CagmaGuests *guests, const char *uuid)
{
  Xenstore *xenstore = (Xenstore *)guests;
  Guest *guest = g_hash_table_lookup(xenstore->by_uuid, uuid);

  if (!guest)
    return;
  g_hash_table_remove(xenstore->by_uuid, uuid);
  drop(guest);
}

static void
xenstore_free(CagmaGuests *guests)
{
  Xenstore *xenstore = (Xenstore *)guests;
  GHashTableIter iter;
  gpointer guest;

  g_hash_table_iter_init(&iter, xenstore->by_uuid);
  while (g_hash_table_iter_next(&iter, NULL, &guest)) {
    g_hash_table_iter_steal(&iter);
    drop(guest);
  }
  cagma_store_free(xenstore->store);
  g_hash_table_unref(xenstore->by_token);
  g_hash_table_unref(xenstore->by_uuid);
  g_free(xenstore);
}

CagmaGuests *
cagma_xen_guests_new(const CagmaXenGuestsHost *host, const CagmaGuestsListener *listener, void *owner)
{
  static const CagmaStoreListener store_listener = { .fired = on_fired, .done = on_done, .lost = on_lost };
  Xenstore *xenstore = g_new0(Xenstore, 1);

  xenstore->guests = (CagmaGuests){ .add = xenstore_add,
                                    .remove = xenstore_remove,
                                    .ask = xenstore_ask,
                                    .ask_load = xenstore_ask_load,
                                    .free = xenstore_free };
  xenstore->host = *host;
  xenstore->listener = listener;
  xenstore->owner = owner;
  xenstore->by_uuid = g_hash_table_new(g_str_hash, g_str_equal);
  xenstore->by_token = g_hash_table_new(g_str_hash, g_str_equal);
  xenstore->store = cagma_store_new(&store_listener, xenstore);
  return &xenstore->guests;
}
