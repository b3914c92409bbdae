/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/libvirt-events.h"

#include <libvirt/libvirt.h>

/* A file descriptor libvirt waits on, or a timer of its. */
typedef struct {
  GSource source;
  int id;
  /* descriptors */
  int fd;
  gpointer tag; /* under lock; NULL: nothing is waited for */
  virEventHandleCallback on_handle;
  /* timers */
  int interval_ms; /* under lock; negative: it rests */
  virEventTimeoutCallback on_timeout;

  void *opaque;
  virFreeCallback free_opaque;
} Event;

/* libvirt has one loop a process, and knows its parts by number: so do we. */
static struct {
  GMutex lock;
  GHashTable *events; /* Event by id */
  int last_id;
} loop;

static _Thread_local gboolean held_off;

static GIOCondition
to_glib(int events)
{
  GIOCondition condition = 0;

  if (events & VIR_EVENT_HANDLE_READABLE)
    condition |= G_IO_IN;
  if (events & VIR_EVENT_HANDLE_WRITABLE)
    condition |= G_IO_OUT;
  if (events & VIR_EVENT_HANDLE_ERROR)
    condition |= G_IO_ERR;
  if (events & VIR_EVENT_HANDLE_HANGUP)
    condition |= G_IO_HUP;
  return condition;
}

static int
to_libvirt(GIOCondition condition)
{
  int events = 0;

  if (condition & G_IO_IN)
    events |= VIR_EVENT_HANDLE_READABLE;
  if (condition & G_IO_OUT)
    events |= VIR_EVENT_HANDLE_WRITABLE;
  if (condition & (G_IO_ERR | G_IO_NVAL))
    events |= VIR_EVENT_HANDLE_ERROR;
  if (condition & G_IO_HUP)
    events |= VIR_EVENT_HANDLE_HANGUP;
  return events;
}

static gboolean
dispatch_handle(GSource *source, GSourceFunc callback, gpointer user_data)
{
  Event *event = (Event *)source;
  int events = 0;

  (void)callback;
  (void)user_data;
  g_mutex_lock(&loop.lock);
  if (event->tag)
    events = to_libvirt(g_source_query_unix_fd(source, event->tag));
  g_mutex_unlock(&loop.lock);
  if (events)
    event->on_handle(event->id, event->fd, events, event->opaque);
  return G_SOURCE_CONTINUE;
}

/* With the lock held. */
static void
rearm(Event *event)
{
  if (event->interval_ms < 0)
    g_source_set_ready_time(&event->source, -1);
  else
    g_source_set_ready_time(&event->source, g_get_monotonic_time() + (int64_t)event->interval_ms * 1000);
}

static gboolean
dispatch_timeout(GSource *source, GSourceFunc callback, gpointer user_data)
{
  Event *event = (Event *)source;
  gboolean rests;

  (void)callback;
  (void)user_data;
  g_mutex_lock(&loop.lock);
  rests = event->interval_ms < 0;
  rearm(event);
  g_mutex_unlock(&loop.lock);
  if (!rests)
    event->on_timeout(event->id, event->opaque);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs handle_funcs = { .dispatch = dispatch_handle };
static GSourceFuncs timeout_funcs = { .dispatch = dispatch_timeout };

static Event *
event_new(GSourceFuncs *funcs, void *opaque, virFreeCallback free_opaque)
{
  Event *event = (Event *)g_source_new(funcs, sizeof(Event));

  event->opaque = opaque;
  event->free_opaque = free_opaque;
  return event;
}

/* With the lock held. */
static int
add(Event *event)
{
  event->id = ++loop.last_id;
  g_hash_table_insert(loop.events, GINT_TO_POINTER(event->id), event);
  g_source_attach(&event->source, NULL);
  return event->id;
}

/* With the lock held. A descriptor that nothing is asked of leaves the loop: a
 * hung-up one would make it turn for ever. */
static void
wait_for(Event *event, int events)
{
  if (event->tag && events) {
    g_source_modify_unix_fd(&event->source, event->tag, to_glib(events));
  } else if (event->tag) {
    g_source_remove_unix_fd(&event->source, event->tag);
    event->tag = NULL;
  } else if (events) {
    event->tag = g_source_add_unix_fd(&event->source, event->fd, to_glib(events));
  }
}

static int
add_handle(int fd, int events, virEventHandleCallback callback, void *opaque, virFreeCallback free_opaque)
{
  Event *event;
  int id;

  if (held_off)
    return -1;
  event = event_new(&handle_funcs, opaque, free_opaque);
  event->fd = fd;
  event->on_handle = callback;
  g_mutex_lock(&loop.lock);
  wait_for(event, events);
  id = add(event);
  g_mutex_unlock(&loop.lock);
  return id;
}

static int
add_timeout(int interval_ms, virEventTimeoutCallback callback, void *opaque, virFreeCallback free_opaque)
{
  Event *event;
  int id;

  if (held_off)
    return -1;
  event = event_new(&timeout_funcs, opaque, free_opaque);
  event->interval_ms = interval_ms;
  event->on_timeout = callback;
  g_mutex_lock(&loop.lock);
  rearm(event);
  id = add(event);
  g_mutex_unlock(&loop.lock);
  return id;
}

static void
update_handle(int id, int events)
{
  Event *event;

  g_mutex_lock(&loop.lock);
  event = g_hash_table_lookup(loop.events, GINT_TO_POINTER(id));
  if (event)
    wait_for(event, events);
  g_mutex_unlock(&loop.lock);
}

static void
update_timeout(int id, int interval_ms)
{
  Event *event;

  g_mutex_lock(&loop.lock);
  event = g_hash_table_lookup(loop.events, GINT_TO_POINTER(id));
  if (event) {
    event->interval_ms = interval_ms;
    rearm(event);
  }
  g_mutex_unlock(&loop.lock);
}

static gboolean
free_later(gpointer user_data)
{
  Event *event = user_data;

  if (event->free_opaque)
    event->free_opaque(event->opaque);
  g_source_unref(&event->source);
  return G_SOURCE_REMOVE;
}

static int
remove_event(int id)
{
  gpointer value;

  g_mutex_lock(&loop.lock);
  if (!g_hash_table_steal_extended(loop.events, GINT_TO_POINTER(id), NULL, &value))
    value = NULL;
  g_mutex_unlock(&loop.lock);
  if (!value)
    return -1;
  g_source_destroy(value);
  /* From the loop, where it can't be in use: callers hold locks that freeing takes. */
  g_idle_add_full(G_PRIORITY_DEFAULT, free_later, value, NULL);
  return 0;
}

void
cagma_libvirt_events_register(void)
{
  loop.events = g_hash_table_new(NULL, NULL);
  virEventRegisterImpl(add_handle, update_handle, remove_event, add_timeout, update_timeout, remove_event);
}

void
cagma_libvirt_events_hold_off(void)
{
  held_off = TRUE;
}

void
cagma_libvirt_events_resume(void)
{
  held_off = FALSE;
}
