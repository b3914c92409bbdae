/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/channels.h"

#include <inttypes.h>
#include <libvirt/libvirt.h>
#include <string.h>

#include "plugin/backend.h"
#include "plugin/libvirt-glue.h"
#include "plugin/penalty.h"

/* How often something that failed is tried again: an open, a sync. */
#define RETRY_US (2 * G_USEC_PER_SEC)
#define RETRY_MAX_US (30 * G_USEC_PER_SEC)

#define ASK_STATS "{\"execute\":\"guest-get-memory-stats\"}\n"

/* What may wait for the thread for one channel; it waits itself while libvirtd does. */
#define SENDING_MAX 4

/* What a guest doesn't read waits in the socket to its QEMU, which holds some 270 requests. Behind
 * a full one libvirtd keeps it, and then the stream's end too; and five kept so, whosever, and it
 * reads nothing more from the connection. So a channel that isn't read is closed long before, also
 * where nobody is there to read it. Figures may be written unasked: only a sync's answer shows that
 * requests are read, and one is asked for from time to time. */
#define PROOF_EVERY 32
#define UNREAD_MAX 96

/* What a guest's agent complains of is logged this often. */
#define COMPLAINT_INTERVAL_US (60 * G_USEC_PER_SEC)

/* At half a second's window PSI reports 25 ms of stall within it: 23–56 ms after the
 * first page is swapped out. */
#define TRIGGER_STALL_US 25000
#define TRIGGER_WINDOW_US 500000

/* Longer than from one report to the next. */
#define READ_BACK_MS 5000

typedef enum {
  CHANNEL_CLOSED,
  CHANNEL_OPENING,
  CHANNEL_OPEN, /* nobody has answered yet */
  CHANNEL_LIVE,
} ChannelState;

typedef struct Channels Channels;

/* Main loop only, but for what a task carries. */
typedef struct {
  int refs;
  Channels *channels; /* NULL once removed */
  char uuid[CAGMA_UUID_SIZE];
  ChannelState state;
  virStreamPtr stream;
  CagmaAgentLines lines;
  int64_t sync;
  int64_t retry_at_us;
  int64_t retry_us;
  unsigned unanswered; /* of those sent */
  unsigned sending;    /* tasks of it that the thread has */
  unsigned unread;     /* requests since it was opened, or a sync was last answered */
  CagmaPenalty penalty;
  int64_t complained_us; /* when the agent's complaint was last logged; 0: never */
  int64_t second_us;     /* when the present second began, and what came in it */
  gsize second_bytes;
  unsigned second_lines;
  unsigned second_events;
} Channel;

typedef enum {
  TASK_OPEN,
  TASK_SEND,
  TASK_CLOSE,
  TASK_QUIT,
} TaskKind;

typedef struct {
  TaskKind kind;
  Channel *channel; /* OPEN, SEND: a reference; only the main loop looks into it */
  virStreamPtr stream;
  char *text;
  gboolean failed; /* SEND */
  char uuid[CAGMA_UUID_SIZE];
  GError *error;
} Task;

struct Channels {
  CagmaGuests guests;
  int refs;   /* the owner's and the thread's */
  int closed; /* atomic */
  char *uri;
  const CagmaGuestsListener *listener;
  void *owner;
  GHashTable *by_uuid;
  GAsyncQueue *tasks;
};

static void
channels_unref(gpointer data)
{
  Channels *channels = data;

  if (!g_atomic_int_dec_and_test(&channels->refs))
    return;
  g_async_queue_unref(channels->tasks);
  g_free(channels->uri);
  g_free(channels);
}

static Channel *
channel_ref(Channel *channel)
{
  g_atomic_int_inc(&channel->refs);
  return channel;
}

static void
channel_unref(gpointer data)
{
  Channel *channel = data;

  if (!g_atomic_int_dec_and_test(&channel->refs))
    return;
  cagma_agent_lines_clear(&channel->lines);
  g_free(channel);
}

static void
task_free(Task *task)
{
  g_clear_pointer(&task->channel, channel_unref);
  g_clear_error(&task->error);
  g_free(task->text);
  g_free(task);
}

static Task *
new_task(TaskKind kind)
{
  Task *task = g_new0(Task, 1);

  task->kind = kind;
  return task;
}

/* The thread: whatever may wait for the daemon. */

static virStreamPtr
open_stream(virConnectPtr conn, const char *uuid, GError **error)
{
  g_autoptr(virDomain) domain = virDomainLookupByUUIDString(conn, uuid);
  virStreamPtr stream;

  if (!domain) {
    cagma_libvirt_error(error, "virDomainLookupByUUIDString");
    return NULL;
  }
  stream = virStreamNew(conn, VIR_STREAM_NONBLOCK);
  if (stream && virDomainOpenChannel(domain, CAGMA_CHANNEL_NAME, stream, 0) == 0)
    return stream;
  cagma_libvirt_error(error, "virDomainOpenChannel");
  if (stream)
    virStreamFree(stream);
  return NULL;
}

static gboolean opened(gpointer user_data);
static gboolean sent(gpointer user_data);

static void
run_open(Channels *channels, virConnectPtr *conn, Task *task)
{
  /* Nobody waits for what is left to be opened. */
  if (g_atomic_int_get(&channels->closed)) {
    task_free(task);
    return;
  }
  if (*conn && virConnectIsAlive(*conn) != 1) {
    virConnectClose(*conn);
    *conn = NULL;
  }
  if (!*conn)
    *conn = cagma_libvirt_open(channels->uri, &task->error);
  if (*conn)
    task->stream = open_stream(*conn, task->uuid, &task->error);
  g_idle_add_full(G_PRIORITY_DEFAULT, opened, task, NULL);
}

static gpointer
run(gpointer data)
{
  Channels *channels = data;
  virConnectPtr conn = NULL;
  gboolean quit = FALSE;

  while (!quit) {
    Task *task = g_async_queue_pop(channels->tasks);

    switch (task->kind) {
    case TASK_OPEN:
      run_open(channels, &conn, task);
      continue;
    case TASK_SEND:
      /* A request that finds no room is lost; the next one asks the same. One that fails
       * may be all that tells of a connection's end. */
      task->failed = virStreamSend(task->stream, task->text, strlen(task->text)) == -1;
      g_idle_add_full(G_PRIORITY_DEFAULT, sent, task, NULL);
      continue;
    case TASK_CLOSE:
      virStreamAbort(task->stream);
      virStreamFree(task->stream);
      break;
    case TASK_QUIT:
      quit = TRUE;
      break;
    }
    task_free(task);
  }
  if (conn)
    virConnectClose(conn);
  channels_unref(channels);
  return NULL;
}

/* The main loop. */

static void
send_text(Channel *channel, const char *text)
{
  Task *task;

  if (channel->sending >= SENDING_MAX)
    return;
  channel->sending++;
  channel->unread++;
  task = new_task(TASK_SEND);
  task->channel = channel_ref(channel);
  virStreamRef(channel->stream);
  task->stream = channel->stream;
  task->text = g_strdup(text);
  g_async_queue_push(channel->channels->tasks, task);
}

static void
retry_later(Channel *channel)
{
  channel->retry_at_us = g_get_monotonic_time() + channel->retry_us;
  channel->retry_us = MIN(channel->retry_us * 2, RETRY_MAX_US);
}

static void
close_stream(Channel *channel)
{
  Task *task;

  if (!channel->stream)
    return;
  virStreamEventRemoveCallback(channel->stream);
  task = new_task(TASK_CLOSE);
  task->stream = g_steal_pointer(&channel->stream);
  g_async_queue_push(channel->channels->tasks, task);
}

static void
say_down(Channel *channel, const char *reason)
{
  gboolean was_live = channel->state == CHANNEL_LIVE;

  channel->state = channel->stream ? CHANNEL_OPEN : CHANNEL_CLOSED;
  if (was_live)
    channel->channels->listener->down(channel->channels->owner, channel->uuid, reason);
}

static void
shut(Channel *channel, const char *reason)
{
  close_stream(channel);
  say_down(channel, reason);
  retry_later(channel);
}

static void
quarantine(Channel *channel)
{
  int64_t seconds = cagma_penalty_strike(&channel->penalty, g_get_monotonic_time());

  g_warning("domain %s: writes more than %d KiB/s to its channel; it is cut off for %" G_GINT64_FORMAT " s",
            channel->uuid, CAGMA_CHANNEL_BYTES_PER_S / 1024, seconds);
  shut(channel, "writes too much");
  channel->retry_at_us = channel->penalty.released_us;
}

/* The same number until it is answered. */
static void
send_sync(Channel *channel)
{
  g_autofree char *text = g_strdup_printf(
      "\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%" G_GINT64_FORMAT "}}\n",
      channel->sync);

  send_text(channel, text);
}

static void
sync_agent(Channel *channel)
{
  channel->sync = g_random_int();
  send_sync(channel);
  retry_later(channel);
}

static void
ask_stats(Channel *channel)
{
  if (channel->unanswered < CAGMA_CHANNEL_UNANSWERED_MAX) {
    send_text(channel, ASK_STATS);
  } else {
    say_down(channel, "the agent does not answer");
    sync_agent(channel);
  }
}

static void
on_synced(Channel *channel)
{
  g_autofree char *trigger = g_strdup_printf(
      "{\"execute\":\"guest-set-pressure-trigger\",\"arguments\":{\"resource\":\"memory\",\"level\":\"some\","
      "\"stall\":%d,\"window\":%d}}\n",
      TRIGGER_STALL_US, TRIGGER_WINDOW_US);

  channel->state = CHANNEL_LIVE;
  channel->retry_us = RETRY_US;
  channel->unanswered = 0;
  send_text(channel, trigger);
  g_message("domain %s: its agent answers", channel->uuid);
  ask_stats(channel);
}

/* Its own words, so not often. */
static void
complain(Channel *channel, const char *what)
{
  int64_t now_us = g_get_monotonic_time();

  if (channel->complained_us && now_us - channel->complained_us < COMPLAINT_INTERVAL_US)
    return;
  channel->complained_us = now_us;
  g_message("domain %s: its agent: %s", channel->uuid, what);
}

static void
on_line(const char *line, gsize length, gpointer user_data)
{
  Channel *channel = user_data;
  CagmaAgentMessage message;
  g_autoptr(GError) error = NULL;

  /* The line before may have ended it. */
  if (!channel->channels || !channel->stream || ++channel->second_lines > CAGMA_CHANNEL_LINES_PER_S)
    return;
  if (!cagma_agent_message_parse(line, length, &message, &error)) {
    g_debug("domain %s: its agent says something that is %s", channel->uuid, error->message);
    return;
  }
  if (message.kind == CAGMA_AGENT_SYNC && message.sync == channel->sync) {
    channel->unread = 0;
    channel->sync = g_random_int();
    if (channel->state == CHANNEL_OPEN)
      on_synced(channel);
    return;
  }
  /* Before the sync's answer, it may be anything's. */
  if (channel->state != CHANNEL_LIVE)
    return;
  if (message.kind == CAGMA_AGENT_ERROR)
    complain(channel, message.error);
  if (message.kind == CAGMA_AGENT_STATS)
    channel->unanswered = 0;
  if (message.kind == CAGMA_AGENT_PRESSURE && ++channel->second_events > CAGMA_CHANNEL_EVENTS_PER_S)
    return;
  if (message.kind == CAGMA_AGENT_STATS || message.kind == CAGMA_AGENT_PRESSURE ||
      message.kind == CAGMA_AGENT_LOAD || message.kind == CAGMA_AGENT_READ_BACK)
    channel->channels->listener->message(channel->channels->owner, channel->uuid, &message);
}

/* FALSE where it wrote too much. */
static gboolean
within_rate(Channel *channel, gsize bytes)
{
  int64_t now_us = g_get_monotonic_time();

  if (now_us - channel->second_us >= G_USEC_PER_SEC) {
    channel->second_us = now_us;
    channel->second_bytes = 0;
    channel->second_lines = 0;
    channel->second_events = 0;
  }
  channel->second_bytes += bytes;
  return channel->second_bytes <= CAGMA_CHANNEL_BYTES_PER_S;
}

static void
drain(Channel *channel)
{
  char data[16 * 1024];
  int n;

  while (channel->stream && (n = virStreamRecv(channel->stream, data, sizeof data)) != -2) {
    if (n <= 0) {
      shut(channel, n == 0 ? "the channel was closed" : "the channel failed");
      return;
    }
    if (!within_rate(channel, (gsize)n)) {
      quarantine(channel);
      return;
    }
    cagma_agent_lines_feed(&channel->lines, data, (gsize)n, on_line, channel);
  }
}

static void
on_stream(virStreamPtr stream, int events, void *opaque)
{
  Channel *channel = channel_ref(opaque);

  if (channel->channels && channel->stream == stream) {
    if (events & VIR_STREAM_EVENT_READABLE)
      drain(channel);
    if (channel->channels && channel->stream == stream &&
        (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP)))
      shut(channel, "the channel was closed");
  }
  channel_unref(channel);
}

static gboolean
sent(gpointer user_data)
{
  Task *task = user_data;
  Channel *channel = task->channel;

  channel->sending--;
  /* Not before: while the thread waits for libvirtd, no guest is to blame for that. */
  channel->unanswered += g_str_equal(task->text, ASK_STATS);
  if (task->failed && channel->channels && channel->stream == task->stream)
    shut(channel, "the channel failed");
  virStreamFree(task->stream);
  task_free(task);
  return G_SOURCE_REMOVE;
}

/* A stream that is only freed stays open at its other end. */
static gpointer
abandon(gpointer stream)
{
  virStreamAbort(stream);
  virStreamFree(stream);
  return NULL;
}

/* Takes the stream over, or gives it back where nobody wants it any more. */
static gboolean
opened(gpointer user_data)
{
  Task *task = user_data;
  Channel *channel = task->channel;
  Channels *channels = channel->channels;

  if (!channels && task->stream) {
    /* Our own thread may have ended. */
    g_thread_unref(g_thread_new("cagma-abandon", abandon, g_steal_pointer(&task->stream)));
  } else if (channels && task->error) {
    g_debug("domain %s: %s", channel->uuid, task->error->message);
    channel->state = CHANNEL_CLOSED;
    retry_later(channel);
  } else if (channels) {
    channel->stream = g_steal_pointer(&task->stream);
    channel->state = CHANNEL_OPEN;
    channel->unread = 0;
    cagma_agent_lines_clear(&channel->lines);
    cagma_agent_lines_init(&channel->lines);
    /* Without a reference: it is never called once removed, and libvirt's remote driver
     * never calls the function that would give one back. */
    if (virStreamEventAddCallback(
            channel->stream, VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP,
            on_stream, channel, NULL) < 0)
      shut(channel, "the channel failed");
    else
      sync_agent(channel);
  }
  task_free(task);
  return G_SOURCE_REMOVE;
}

static void
open_channel(Channel *channel)
{
  Task *task = new_task(TASK_OPEN);

  channel->state = CHANNEL_OPENING;
  task->channel = channel_ref(channel);
  g_strlcpy(task->uuid, channel->uuid, sizeof task->uuid);
  g_async_queue_push(channel->channels->tasks, task);
}

static void
try_again(Channel *channel)
{
  if (g_get_monotonic_time() < channel->retry_at_us)
    return;
  if (channel->state == CHANNEL_OPEN)
    sync_agent(channel);
  else if (channel->state == CHANNEL_CLOSED)
    open_channel(channel);
}

static void
drop(Channel *channel)
{
  close_stream(channel);
  channel->channels = NULL;
  channel_unref(channel);
}

static void
channels_free(CagmaGuests *guests)
{
  Channels *channels = (Channels *)guests;
  GHashTableIter iter;
  gpointer channel;

  g_atomic_int_set(&channels->closed, TRUE);
  g_hash_table_iter_init(&iter, channels->by_uuid);
  while (g_hash_table_iter_next(&iter, NULL, &channel)) {
    g_hash_table_iter_steal(&iter);
    drop(channel);
  }
  g_clear_pointer(&channels->by_uuid, g_hash_table_unref);
  g_async_queue_push(channels->tasks, new_task(TASK_QUIT));
  channels_unref(channels);
}

static void
channels_add(CagmaGuests *guests, const char *uuid)
{
  Channels *channels = (Channels *)guests;
  Channel *channel;

  if (g_hash_table_contains(channels->by_uuid, uuid))
    return;
  channel = g_new0(Channel, 1);
  channel->refs = 1;
  channel->channels = channels;
  channel->retry_us = RETRY_US;
  g_strlcpy(channel->uuid, uuid, sizeof channel->uuid);
  cagma_agent_lines_init(&channel->lines);
  g_hash_table_insert(channels->by_uuid, channel->uuid, channel);
  open_channel(channel);
}

static void
channels_remove(CagmaGuests *guests, const char *uuid)
{
  Channels *channels = (Channels *)guests;
  Channel *channel = g_hash_table_lookup(channels->by_uuid, uuid);

  if (!channel)
    return;
  g_hash_table_remove(channels->by_uuid, uuid);
  drop(channel);
}

static void
channels_ask(CagmaGuests *guests, const char *uuid)
{
  Channels *channels = (Channels *)guests;
  Channel *channel = g_hash_table_lookup(channels->by_uuid, uuid);

  if (!channel)
    return;
  if (channel->stream && channel->unread >= UNREAD_MAX) {
    shut(channel, "nobody reads its channel");
  } else if (channel->state == CHANNEL_LIVE) {
    if (channel->unread >= PROOF_EVERY)
      send_sync(channel);
    ask_stats(channel);
  } else {
    try_again(channel);
  }
}

static void
channels_ask_load(CagmaGuests *guests, const char *uuid)
{
  Channels *channels = (Channels *)guests;
  Channel *channel = g_hash_table_lookup(channels->by_uuid, uuid);

  if (channel && channel->state == CHANNEL_LIVE)
    send_text(channel, "{\"execute\":\"guest-get-load\"}\n");
}

/* Asked again before its time is over it goes on, else it ends. */
static void
channels_read_back(CagmaGuests *guests, const char *uuid, uint64_t max_kib)
{
  Channels *channels = (Channels *)guests;
  Channel *channel = g_hash_table_lookup(channels->by_uuid, uuid);
  g_autofree char *text = NULL;

  if (!channel || channel->state != CHANNEL_LIVE)
    return;
  text = g_strdup_printf("{\"execute\":\"guest-read-back-memory\",\"arguments\":{\"max-bytes\":%" PRIu64
                         ",\"time-ms\":%d}}\n",
                         max_kib * 1024, READ_BACK_MS);
  send_text(channel, text);
}

CagmaGuests *
cagma_channels_new(const char *uri, const CagmaGuestsListener *listener, void *owner)
{
  Channels *channels = g_new0(Channels, 1);

  channels->guests = (CagmaGuests){ .add = channels_add,
                                    .remove = channels_remove,
                                    .ask = channels_ask,
                                    .ask_load = channels_ask_load,
                                    .read_back = channels_read_back,
                                    .free = channels_free };
  channels->refs = 2;
  channels->uri = g_strdup(uri);
  channels->listener = listener;
  channels->owner = owner;
  channels->by_uuid = g_hash_table_new(g_str_hash, g_str_equal);
  channels->tasks = g_async_queue_new();
  g_thread_unref(g_thread_new("cagma-channels", run, channels));
  return &channels->guests;
}
