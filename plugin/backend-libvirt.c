/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/backend-libvirt.h"

#include <gio/gio.h>
#include <libvirt/libvirt.h>

#include "plugin/hypervisor.h"
#include "plugin/libvirt-glue.h"
#include "plugin/libvirt-ops.h"
#include "plugin/pool.h"
#include "xml/memory.h"

/* Pauses between attempts to connect: libvirtd restarts within a second or two. */
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 30000

#define N_EVENTS 8

/* A connection with its event callbacks. Opened and closed on threads of its own,
 * since both talk to the daemon; used on the main loop. */
typedef struct LibvirtBackend LibvirtBackend;

typedef struct {
  LibvirtBackend *self; /* a reference */
  unsigned number;      /* which one, of those there have been */
  virConnectPtr conn;
  CagmaHypervisor *hypervisor;
  int callbacks[N_EVENTS];
  int n_callbacks;
  GPtrArray *running;
} Link;

struct LibvirtBackend {
  CagmaBackend backend;
  int refs; /* the owner's, and one for each thing under way */
  char *uri;
  const CagmaListener *listener;
  void *owner;
  CagmaPool *pool;
  CagmaHypervisor *hypervisor; /* once connected */
  CagmaGuests *guests;
  Link *link;
  unsigned last_number;
  gboolean missed; /* something happened while there was no list to be connected with */
  unsigned retry_ms;
  guint retry_source;
  gboolean closed;
};

static void
unref(gpointer data)
{
  LibvirtBackend *self = data;

  if (!g_atomic_int_dec_and_test(&self->refs))
    return;
  g_free(self->uri);
  g_free(self);
}

static LibvirtBackend *
ref(LibvirtBackend *self)
{
  g_atomic_int_inc(&self->refs);
  return self;
}

static void
running_free(gpointer data)
{
  CagmaRunning *running = data;

  g_free(running->name);
  g_free(running);
}

static void on_close(virConnectPtr conn, int reason, void *opaque);

static gpointer
link_close(gpointer data)
{
  Link *link = data;

  for (int i = 0; i < link->n_callbacks; i++)
    virConnectDomainEventDeregisterAny(link->conn, link->callbacks[i]);
  virConnectUnregisterCloseCallback(link->conn, on_close);
  virConnectClose(link->conn);
  g_ptr_array_unref(link->running);
  unref(link->self);
  g_free(link);
  return NULL;
}

/* On a thread of its own: a daemon that hangs must not hang us. */
static void
link_drop(Link *link)
{
  if (link)
    g_thread_unref(g_thread_new("cagma-unlink", link_close, link));
}

static void
emit(LibvirtBackend *self, virDomainPtr domain, CagmaEvent *event)
{
  if (self->closed || virDomainGetUUIDString(domain, event->uuid) < 0)
    return;
  /* The owner doesn't know yet what runs, and the list may be older than this. But what guests
   * can bring about at any rate is no reason for another one. */
  if (!self->link) {
    self->missed |= event->kind == CAGMA_EVENT_STARTED || event->kind == CAGMA_EVENT_STOPPED;
    return;
  }
  event->name = virDomainGetName(domain);
  self->listener->event(self->owner, event);
}

static void
emit_kind(LibvirtBackend *self, virDomainPtr domain, CagmaEventKind kind)
{
  CagmaEvent event = { .kind = kind };

  emit(self, domain, &event);
}

/* On Xen a reboot is a start, under another number, and then the stop of what was. */
static void
emit_stopped(LibvirtBackend *self, virDomainPtr domain)
{
  char uuid[CAGMA_UUID_SIZE];
  gboolean runs = self->hypervisor && self->hypervisor->runs && virDomainGetUUIDString(domain, uuid) == 0 &&
                  self->hypervisor->runs(self->hypervisor, uuid);

  emit_kind(self, domain, runs ? CAGMA_EVENT_REBOOTED : CAGMA_EVENT_STOPPED);
}

static int
on_lifecycle(virConnectPtr conn, virDomainPtr domain, int what, int detail, void *opaque)
{
  /* Out of S3 it is the same run: its balloon's target stands, and so does what is known of it. */
  gboolean wakes = what == VIR_DOMAIN_EVENT_STARTED && detail == VIR_DOMAIN_EVENT_STARTED_WAKEUP;

  (void)conn;
  switch (what) {
  case VIR_DOMAIN_EVENT_STARTED:
    emit_kind(opaque, domain, wakes ? CAGMA_EVENT_RESUMED : CAGMA_EVENT_STARTED);
    break;
  case VIR_DOMAIN_EVENT_SUSPENDED:
  case VIR_DOMAIN_EVENT_PMSUSPENDED:
  /* Its guest did. Its QEMU still holds its memory, and may go on; when it ends, STOPPED says so. */
  case VIR_DOMAIN_EVENT_CRASHED:
    emit_kind(opaque, domain, CAGMA_EVENT_PAUSED);
    break;
  case VIR_DOMAIN_EVENT_RESUMED:
    emit_kind(opaque, domain, CAGMA_EVENT_RESUMED);
    break;
  case VIR_DOMAIN_EVENT_STOPPED:
    emit_stopped(opaque, domain);
    break;
  default:
    break;
  }
  return 0;
}

static void
on_reboot(virConnectPtr conn, virDomainPtr domain, void *opaque)
{
  (void)conn;
  emit_kind(opaque, domain, CAGMA_EVENT_REBOOTED);
}

static void
on_balloon(virConnectPtr conn, virDomainPtr domain, unsigned long long actual_kib, void *opaque)
{
  CagmaEvent event = { .kind = CAGMA_EVENT_BALLOON, .actual_kib = actual_kib };

  (void)conn;
  emit(opaque, domain, &event);
}

static void
on_metadata(virConnectPtr conn, virDomainPtr domain, int type, const char *uri, void *opaque)
{
  (void)conn;
  /* Our own status is no news. */
  if (type == VIR_DOMAIN_METADATA_ELEMENT && uri && g_str_equal(uri, CAGMA_MEMORY_URI))
    emit_kind(opaque, domain, CAGMA_EVENT_CHANGED);
}

static void
on_agent(virConnectPtr conn, virDomainPtr domain, int state, int reason, void *opaque)
{
  (void)conn;
  (void)state;
  (void)reason;
  emit_kind(opaque, domain, CAGMA_EVENT_AGENT);
}

static void
on_device_added(virConnectPtr conn, virDomainPtr domain, const char *alias, void *opaque)
{
  (void)conn;
  (void)alias;
  emit_kind(opaque, domain, CAGMA_EVENT_DEVICE_ADDED);
}

static void
on_device_removed(virConnectPtr conn, virDomainPtr domain, const char *alias, void *opaque)
{
  (void)conn;
  (void)alias;
  emit_kind(opaque, domain, CAGMA_EVENT_CHANGED);
}

static void
link_register(Link *link, LibvirtBackend *self)
{
  const struct {
    int id;
    virConnectDomainEventGenericCallback callback;
  } wanted[] = {
    { VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle) },
    { VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reboot) },
    { VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon) },
    { VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata) },
    { VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent) },
    { VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device_added) },
    { VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device_removed) },
  };

  G_STATIC_ASSERT(G_N_ELEMENTS(wanted) <= N_EVENTS);
  for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
    /* A driver without some event (Xen has no balloon's) does without it. */
    int id =
        virConnectDomainEventRegisterAny(link->conn, NULL, wanted[i].id, wanted[i].callback, self, unref);

    if (id < 0)
      continue;
    ref(self);
    link->callbacks[link->n_callbacks++] = id;
  }
}

static void
link_add(Link *link, virDomainPtr domain)
{
  int id = (int)virDomainGetID(domain);
  CagmaRunning *running;

  if (link->hypervisor->is_host && link->hypervisor->is_host(id))
    return;
  running = g_new0(CagmaRunning, 1);
  virDomainGetUUIDString(domain, running->uuid);
  running->name = g_strdup(virDomainGetName(domain));
  running->id = id;
  g_ptr_array_add(link->running, running);
}

static gboolean
link_list(Link *link, GError **error)
{
  virDomainPtr *domains = NULL;
  int n;

  g_ptr_array_set_size(link->running, 0);
  n = virConnectListAllDomains(link->conn, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);

  if (n < 0) {
    cagma_libvirt_error(error, "listing domains");
    return FALSE;
  }
  for (int i = 0; i < n; i++) {
    link_add(link, domains[i]);
    virDomainFree(domains[i]);
  }
  free(domains);
  return TRUE;
}

typedef struct {
  LibvirtBackend *self;
  unsigned number;
  Link *link;
  GError *error;
} Attempt;

static gboolean connect_begin(gpointer user_data);

static void
retry_later(LibvirtBackend *self)
{
  self->retry_source =
      g_timeout_add_full(G_PRIORITY_DEFAULT, self->retry_ms, connect_begin, ref(self), unref);
  self->retry_ms = MIN(self->retry_ms * 2, RETRY_MAX_MS);
}

typedef struct {
  LibvirtBackend *self;
  unsigned number;
} Lost;

static void
lost_free(gpointer data)
{
  Lost *lost = data;

  unref(lost->self);
  g_free(lost);
}

static gboolean
drop_lost(gpointer user_data)
{
  Lost *lost = user_data;
  LibvirtBackend *self = lost->self;

  /* One that was dropped before may still have something to say. */
  if (self->closed || !self->link || self->link->number != lost->number)
    return G_SOURCE_REMOVE;
  link_drop(g_steal_pointer(&self->link));
  cagma_pool_reset(self->pool);
  self->listener->disconnected(self->owner, "the connection to libvirt was lost");
  retry_later(self);
  return G_SOURCE_REMOVE;
}

static void
note_lost(const Link *link)
{
  Lost *lost = g_new0(Lost, 1);

  lost->self = ref(link->self);
  lost->number = link->number;
  g_idle_add_full(G_PRIORITY_DEFAULT, drop_lost, lost, lost_free);
  /* cppcheck-suppress memleak ; it is the source's */
}

/* Inside libvirt's own dispatch, so only noted here. */
static void
on_close(virConnectPtr conn, int reason, void *opaque)
{
  (void)conn;
  (void)reason;
  note_lost(opaque);
}

static void
on_guest_lost(void *owner, const char *uuid, const char *reason)
{
  LibvirtBackend *self = owner;

  self->listener->guest_lost(self->owner, uuid, reason);
}

static void
on_guest(void *owner, const char *uuid, const CagmaAgentMessage *message)
{
  LibvirtBackend *self = owner;

  if (message->kind == CAGMA_AGENT_READ_BACK)
    self->listener->read_back(self->owner, uuid, message->read_back_kib, message->read_back_done);
  else
    self->listener->guest(self->owner, uuid, &message->sample, message->kind == CAGMA_AGENT_PRESSURE);
}

static const CagmaGuestsListener guests_listener = { .down = on_guest_lost, .message = on_guest };

static gpointer connect_list(gpointer data);

static void
take_over(LibvirtBackend *self, Link *link)
{
  self->link = link;
  if (self->hypervisor)
    return;
  self->hypervisor = link->hypervisor;
  self->guests = link->hypervisor->listen(link->hypervisor, self->uri, &guests_listener, self);
}

static gboolean
connect_end(gpointer user_data)
{
  Attempt *attempt = user_data;
  LibvirtBackend *self = attempt->self;

  if (self->closed) {
    link_drop(attempt->link);
  } else if (!attempt->error && self->missed) {
    self->missed = FALSE;
    g_thread_unref(g_thread_new("cagma-connect", connect_list, attempt));
    return G_SOURCE_REMOVE;
  } else if (attempt->error) {
    g_message("%s; trying again in %u ms", attempt->error->message, self->retry_ms);
    retry_later(self);
  } else {
    take_over(self, attempt->link);
    self->retry_ms = RETRY_FIRST_MS;
    self->listener->connected(self->owner, self->link->running);
    if (virConnectIsAlive(self->link->conn) != 1)
      note_lost(self->link);
  }
  g_clear_error(&attempt->error);
  unref(self);
  g_free(attempt);
  return G_SOURCE_REMOVE;
}

static gpointer
connect_list(gpointer data)
{
  Attempt *attempt = data;

  if (!link_list(attempt->link, &attempt->error))
    link_close(g_steal_pointer(&attempt->link));
  g_idle_add_full(G_PRIORITY_DEFAULT, connect_end, attempt, NULL);
  return NULL;
}

static gpointer
connect_run(gpointer data)
{
  Attempt *attempt = data;
  virConnectPtr conn = cagma_libvirt_open(attempt->self->uri, &attempt->error);
  CagmaHypervisor *hypervisor = conn ? cagma_hypervisor_of(conn, &attempt->error) : NULL;
  Link *link;

  if (!hypervisor) {
    if (conn)
      virConnectClose(conn);
    g_idle_add_full(G_PRIORITY_DEFAULT, connect_end, attempt, NULL);
    return NULL;
  }
  link = g_new0(Link, 1);
  link->self = ref(attempt->self);
  link->number = attempt->number;
  link->conn = conn;
  link->hypervisor = hypervisor;
  link->running = g_ptr_array_new_with_free_func(running_free);
  attempt->link = link;
  /* The link outlives its callback, which drivers inside the process never free. */
  virConnectRegisterCloseCallback(conn, on_close, link, NULL);
  /* Events first, then the list; if one comes before the list is taken over, another
   * list is made, so that nothing falls in between. */
  link_register(link, attempt->self);
  return connect_list(attempt);
}

static gboolean
connect_begin(gpointer user_data)
{
  LibvirtBackend *self = user_data;
  Attempt *attempt;

  self->retry_source = 0;
  if (self->closed)
    return G_SOURCE_REMOVE;
  attempt = g_new0(Attempt, 1);
  attempt->self = ref(self);
  attempt->number = ++self->last_number;
  self->missed = FALSE;
  g_thread_unref(g_thread_new("cagma-connect", connect_run, attempt));
  return G_SOURCE_REMOVE;
}

static void
completed(void *owner, CagmaRequest *request)
{
  LibvirtBackend *self = owner;

  self->listener->completed(self->owner, request);
}

static void
backend_listen(CagmaBackend *backend, const char *uuid, gboolean on)
{
  LibvirtBackend *self = (LibvirtBackend *)backend;

  if (on)
    self->guests->add(self->guests, uuid);
  else
    self->guests->remove(self->guests, uuid);
}

static void
backend_ask(CagmaBackend *backend, const char *uuid)
{
  LibvirtBackend *self = (LibvirtBackend *)backend;

  self->guests->ask(self->guests, uuid);
}

static void
backend_ask_load(CagmaBackend *backend, const char *uuid)
{
  LibvirtBackend *self = (LibvirtBackend *)backend;

  self->guests->ask_load(self->guests, uuid);
}

static void
backend_read_back(CagmaBackend *backend, const char *uuid, uint64_t max_kib)
{
  LibvirtBackend *self = (LibvirtBackend *)backend;

  if (self->guests->read_back)
    self->guests->read_back(self->guests, uuid, max_kib);
}

static void
backend_open(CagmaBackend *backend, const CagmaListener *listener, void *owner)
{
  LibvirtBackend *self = (LibvirtBackend *)backend;

  self->listener = listener;
  self->owner = owner;
  self->pool = cagma_pool_new(self->uri, cagma_libvirt_work, completed, self);
  connect_begin(self);
}

static void
backend_submit(CagmaBackend *backend, CagmaRequest *request)
{
  LibvirtBackend *self = (LibvirtBackend *)backend;

  cagma_pool_push(self->pool, request);
}

static void
backend_hurry(CagmaBackend *backend, const char *uuid)
{
  LibvirtBackend *self = (LibvirtBackend *)backend;

  cagma_pool_hurry(self->pool, uuid);
}

static gboolean
backend_host_memory(CagmaBackend *backend, CagmaHostMemory *memory, GError **error)
{
  LibvirtBackend *self = (LibvirtBackend *)backend;

  if (self->hypervisor)
    return self->hypervisor->host_memory(self->hypervisor, memory, error);
  g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED, "libvirt was not reached yet");
  return FALSE;
}

static void
backend_close(CagmaBackend *backend)
{
  LibvirtBackend *self = (LibvirtBackend *)backend;

  self->closed = TRUE;
  if (self->retry_source)
    g_source_remove(self->retry_source);
  g_clear_pointer(&self->pool, cagma_pool_free);
  if (self->guests)
    self->guests->free(self->guests);
  link_drop(g_steal_pointer(&self->link));
  unref(self);
}

CagmaBackend *
cagma_backend_libvirt_new(const char *uri)
{
  LibvirtBackend *self = g_new0(LibvirtBackend, 1);

  self->refs = 1;
  self->uri = g_strdup(uri);
  self->retry_ms = RETRY_FIRST_MS;
  self->backend = (CagmaBackend){ .open = backend_open,
                                  .submit = backend_submit,
                                  .hurry = backend_hurry,
                                  .listen = backend_listen,
                                  .ask = backend_ask,
                                  .ask_load = backend_ask_load,
                                  .read_back = backend_read_back,
                                  .host_memory = backend_host_memory,
                                  .close = backend_close };
  return &self->backend;
}
