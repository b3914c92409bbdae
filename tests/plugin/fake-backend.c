/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/plugin/fake-backend.h"

#include <gio/gio.h>
#include <inttypes.h>

#include "policy/units.h"
#include "xml/domain.h"

/* A balloon on its way: so much at a turn, so often. */
#define STEP_KIB CAGMA_MIB(32)
#define STEP_MS 5

#define CHANNEL(name) "<channel type='unix'><target type='virtio' name='" name "'/></channel>"

struct FakeBackend {
  CagmaBackend backend;
  const CagmaListener *listener;
  void *owner;
  GPtrArray *guests;
  GQueue asked; /* CagmaRequest to be answered on the next turn */
  GQueue held;  /* CagmaRequest to be answered when released */
  guint answer_source;
  guint balloon_source;
  gboolean connected;
  int last_id;
  FakeHostMemory host_memory;
  FakeJudge judge;
  void *judge_data;
};

static FakeGuest *
find(FakeBackend *fake, const char *uuid)
{
  for (guint i = 0; i < fake->guests->len; i++) {
    FakeGuest *guest = fake->guests->pdata[i];

    if (guest->runs && g_str_equal(guest->uuid, uuid))
      return guest;
  }
  return NULL;
}

static char *
describe(const FakeGuest *guest)
{
  if (guest->xml)
    return g_strdup(guest->xml);
  return g_strdup_printf(
      "<domain type='%s' id='%d'><name>%s</name><uuid>%s</uuid><metadata>%s%s%s</metadata>"
      "<memory unit='KiB'>%" PRIu64 "</memory><currentMemory unit='KiB'>%" PRIu64 "</currentMemory>"
      "<devices>%s%s%s</devices></domain>",
      guest->xen ? "xen" : "kvm", guest->id, guest->name, guest->uuid, guest->config ? guest->config : "",
      guest->metadata ? guest->metadata : "", guest->status ? guest->status : "", guest->memory_kib,
      guest->actual_kib,
      guest->no_balloon        ? "<memballoon model='none'/>"
      : guest->no_stats_period ? "<memballoon model='virtio'/>"
                               : "<memballoon model='virtio'><stats period='1'/></memballoon>",
      guest->passed_through ? "<hostdev mode='subsystem' type='pci' managed='yes'><source><address "
                              "domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source></hostdev>"
                            : "",
      guest->channel && guest->agent_channel ? CHANNEL(CAGMA_CHANNEL_NAME) CHANNEL("org.qemu.guest_agent.0")
      : guest->channel                       ? CHANNEL(CAGMA_CHANNEL_NAME)
      : guest->agent_channel                 ? CHANNEL("org.qemu.guest_agent.0")
                                             : "");
}

static void
look(FakeGuest *guest, CagmaSample *sample)
{
  sample->has = CAGMA_HAS_ACTUAL;
  sample->actual_kib = guest->actual_kib;
  if (guest->xen) {
    sample->has |= CAGMA_HAS_RSS | CAGMA_HAS_CAP | CAGMA_HAS_DRIVER;
    sample->rss_kib = guest->actual_kib;
    sample->cap_kib = guest->bound_kib;
    sample->driver = !guest->driverless;
    return;
  }
  sample->has |= CAGMA_HAS_STAMP | (guest->rss_kib ? CAGMA_HAS_RSS : 0);
  sample->rss_kib = guest->rss_kib;
  if (!guest->dumb) {
    sample->has |= CAGMA_HAS_USABLE | CAGMA_HAS_SWAP;
    sample->usable_kib = cagma_above(guest->actual_kib, guest->used_kib);
    sample->swap_in_kib = guest->swap_in_kib;
    sample->swap_out_kib = guest->swap_out_kib;
    sample->stamp = ++guest->stamp;
  }
}

static gboolean
move_balloons(gpointer user_data)
{
  FakeBackend *fake = user_data;
  gboolean moving = FALSE;

  for (guint i = 0; i < fake->guests->len; i++) {
    FakeGuest *guest = fake->guests->pdata[i];

    if (!guest->target_kib || guest->sticks || guest->target_kib == guest->actual_kib)
      continue;
    moving = TRUE;
    if (guest->target_kib > guest->actual_kib)
      guest->actual_kib += MIN(STEP_KIB, guest->target_kib - guest->actual_kib);
    else
      guest->actual_kib -= MIN(STEP_KIB, guest->actual_kib - guest->target_kib);
  }
  if (moving)
    return G_SOURCE_CONTINUE;
  fake->balloon_source = 0;
  return G_SOURCE_REMOVE;
}

/* Also after it stopped. */
static void
backend_hurry(CagmaBackend *backend, const char *uuid)
{
  FakeGuest *guest = find((FakeBackend *)backend, uuid);

  if (guest)
    guest->n_hurried++;
}

static void
backend_listen(CagmaBackend *backend, const char *uuid, gboolean on)
{
  FakeBackend *fake = (FakeBackend *)backend;

  for (guint i = 0; i < fake->guests->len; i++) {
    FakeGuest *guest = fake->guests->pdata[i];

    if (!g_str_equal(guest->uuid, uuid))
      continue;
    g_assert_cmpint(guest->listened, !=, on);
    guest->listened = on;
  }
}

static void
backend_ask(CagmaBackend *backend, const char *uuid)
{
  FakeGuest *guest = find((FakeBackend *)backend, uuid);

  g_assert_true(guest && guest->listened);
  guest->n_channel_asks++;
}

static void
backend_ask_load(CagmaBackend *backend, const char *uuid)
{
  FakeGuest *guest = find((FakeBackend *)backend, uuid);

  g_assert_true(guest && guest->listened);
  guest->n_load_asks++;
}

static void
backend_read_back(CagmaBackend *backend, const char *uuid, uint64_t max_kib)
{
  FakeGuest *guest = find((FakeBackend *)backend, uuid);

  g_assert_true(guest && guest->listened);
  guest->n_read_backs++;
  guest->read_back_kib = max_kib;
}

static void
carry_out(FakeBackend *fake, FakeGuest *guest, CagmaRequest *request)
{
  switch (request->kind) {
  case CAGMA_REQUEST_DESCRIBE:
    if (request->stats_period_s) {
      guest->stats_period_s = request->stats_period_s;
      request->stats_period_set = TRUE;
    }
    request->xml = describe(guest);
    request->max_kib = guest->memory_kib;
    request->paused = guest->paused;
    break;
  case CAGMA_REQUEST_SAMPLE:
    look(guest, &request->sample);
    break;
  case CAGMA_REQUEST_SET:
    guest->target_kib = guest->bound_kib = request->target_kib;
    if (!fake->balloon_source)
      fake->balloon_source = g_timeout_add(STEP_MS, move_balloons, fake);
    break;
  case CAGMA_REQUEST_STATUS:
    g_free(guest->status);
    guest->status = g_strdup(request->status_xml);
    if (guest->n_status++ > 0)
      guest->status_gap_us = MIN(guest->status_gap_us, g_get_monotonic_time() - guest->status_us);
    guest->status_us = g_get_monotonic_time();
    break;
  case CAGMA_REQUEST_AGENT:
    if (strstr(request->command, "guest-info"))
      request->reply = g_strdup(guest->agent_info);
    else if (strstr(request->command, "guest-get-load") && guest->agent_load)
      request->reply = g_strdup(guest->agent_load);
    else
      request->reply = g_strdup(guest->agent_reply);
    guest->n_agent_loads += strstr(request->command, "guest-get-load") != NULL;
    g_assert_nonnull(request->reply);
    break;
  }
}

static void
answer(FakeBackend *fake, CagmaRequest *request, CagmaOutcome outcome)
{
  FakeGuest *guest = find(fake, request->uuid);

  request->outcome = guest ? outcome : CAGMA_OUTCOME_GONE;
  if (request->outcome == CAGMA_OUTCOME_DONE)
    carry_out(fake, guest, request);
  else if (request->outcome == CAGMA_OUTCOME_FAILED)
    g_set_error(&request->error, G_IO_ERROR, G_IO_ERROR_FAILED, "the fake says no");
  fake->listener->completed(fake->owner, request);
}

static gboolean
answer_all(gpointer user_data)
{
  FakeBackend *fake = user_data;
  CagmaRequest *request;

  fake->answer_source = 0;
  for (guint n = g_queue_get_length(&fake->asked); n > 0; n--) {
    FakeGuest *guest;

    request = g_queue_pop_head(&fake->asked);
    guest = find(fake, request->uuid);
    if (guest && guest->silent[request->kind])
      g_queue_push_tail(&fake->held, request);
    else if (guest && guest->migrates && (request->kind == CAGMA_REQUEST_SET || request->jobs))
      answer(fake, request, CAGMA_OUTCOME_BUSY);
    else
      answer(fake, request, guest ? guest->outcome[request->kind] : CAGMA_OUTCOME_GONE);
  }
  return G_SOURCE_REMOVE;
}

static void
backend_open(CagmaBackend *backend, const CagmaListener *listener, void *owner)
{
  FakeBackend *fake = (FakeBackend *)backend;

  fake->listener = listener;
  fake->owner = owner;
}

static void
backend_submit(CagmaBackend *backend, CagmaRequest *request)
{
  FakeBackend *fake = (FakeBackend *)backend;
  FakeGuest *guest = find(fake, request->uuid);

  g_assert_true(fake->connected);
  if (guest) {
    guest->n_asked[request->kind]++;
    if (request->kind == CAGMA_REQUEST_SAMPLE)
      guest->job_asked = request->jobs;
    if (request->kind == CAGMA_REQUEST_AGENT)
      guest->agent_asked = request->command;
    if (request->kind == CAGMA_REQUEST_SET) {
      if (fake->judge)
        fake->judge(guest, request->target_kib, fake->judge_data);
      g_array_append_val(guest->sets, request->target_kib);
    }
  }
  g_queue_push_tail(&fake->asked, request);
  if (!fake->answer_source)
    fake->answer_source = g_idle_add_full(G_PRIORITY_DEFAULT, answer_all, fake, NULL);
}

static gboolean
backend_host_memory(CagmaBackend *backend, CagmaHostMemory *memory, GError **error)
{
  return ((FakeBackend *)backend)->host_memory(memory, error);
}

static void
backend_close(CagmaBackend *backend)
{
  FakeBackend *fake = (FakeBackend *)backend;

  g_clear_handle_id(&fake->answer_source, g_source_remove);
  g_queue_clear_full(&fake->asked, (GDestroyNotify)cagma_request_free);
  g_queue_clear_full(&fake->held, (GDestroyNotify)cagma_request_free);
  fake->connected = FALSE;
  fake->listener = NULL;
}

static void
guest_free(gpointer data)
{
  FakeGuest *guest = data;

  g_free(guest->name);
  g_free(guest->config);
  g_free(guest->metadata);
  g_free(guest->xml);
  g_free(guest->status);
  g_array_unref(guest->sets);
  g_free(guest);
}

FakeBackend *
fake_new(void)
{
  FakeBackend *fake = g_new0(FakeBackend, 1);

  fake->backend = (CagmaBackend){ .open = backend_open,
                                  .submit = backend_submit,
                                  .hurry = backend_hurry,
                                  .listen = backend_listen,
                                  .ask = backend_ask,
                                  .ask_load = backend_ask_load,
                                  .read_back = backend_read_back,
                                  .host_memory = backend_host_memory,
                                  .close = backend_close };
  fake->guests = g_ptr_array_new_with_free_func(guest_free);
  g_queue_init(&fake->asked);
  g_queue_init(&fake->held);
  return fake;
}

CagmaBackend *
fake_backend(FakeBackend *fake)
{
  return &fake->backend;
}

void
fake_host_memory(FakeBackend *fake, FakeHostMemory host_memory)
{
  fake->host_memory = host_memory;
}

void
fake_judge(FakeBackend *fake, FakeJudge judge, void *user_data)
{
  fake->judge = judge;
  fake->judge_data = user_data;
}

FakeGuest *
fake_add(FakeBackend *fake, const char *name, uint64_t memory_mib, uint64_t actual_mib, uint64_t used_mib,
         const char *config)
{
  FakeGuest *guest = g_new0(FakeGuest, 1);
  g_autofree char *uuid = g_uuid_string_random();

  g_strlcpy(guest->uuid, uuid, sizeof guest->uuid);
  guest->name = g_strdup(name);
  guest->memory_kib = CAGMA_MIB(memory_mib);
  guest->actual_kib = CAGMA_MIB(actual_mib);
  guest->used_kib = CAGMA_MIB(used_mib);
  guest->config = g_strdup(config);
  guest->status_gap_us = G_MAXINT64;
  guest->sets = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  g_ptr_array_add(fake->guests, guest);
  return guest;
}

void
fake_tell(FakeBackend *fake, FakeGuest *guest, CagmaEventKind kind)
{
  CagmaEvent event = { .kind = kind, .name = guest->name, .actual_kib = guest->actual_kib };

  g_strlcpy(event.uuid, guest->uuid, sizeof event.uuid);
  if (fake->connected)
    fake->listener->event(fake->owner, &event);
}

void
fake_speak(FakeBackend *fake, FakeGuest *guest, const CagmaSample *sample, gboolean pressure)
{
  fake->listener->guest(fake->owner, guest->uuid, sample, pressure);
}

void
fake_bring_back(FakeBackend *fake, FakeGuest *guest, uint64_t kib, gboolean done)
{
  fake->listener->read_back(fake->owner, guest->uuid, kib, done);
}

void
fake_lose(FakeBackend *fake, FakeGuest *guest, const char *reason)
{
  fake->listener->guest_lost(fake->owner, guest->uuid, reason);
}

void
fake_configure(FakeBackend *fake, FakeGuest *guest, const char *config)
{
  g_free(guest->config);
  guest->config = g_strdup(config);
  if (guest->runs)
    fake_tell(fake, guest, CAGMA_EVENT_CHANGED);
}

static void
running_free(gpointer data)
{
  CagmaRunning *running = data;

  g_free(running->name);
  g_free(running);
}

void
fake_connect(FakeBackend *fake)
{
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(running_free);

  for (guint i = 0; i < fake->guests->len; i++) {
    FakeGuest *guest = fake->guests->pdata[i];
    CagmaRunning *running;

    if (!guest->runs)
      continue;
    running = g_new0(CagmaRunning, 1);
    g_strlcpy(running->uuid, guest->uuid, sizeof running->uuid);
    running->name = g_strdup(guest->name);
    running->id = guest->id;
    g_ptr_array_add(list, running);
  }
  fake->connected = TRUE;
  fake->listener->connected(fake->owner, list);
}

void
fake_disconnect(FakeBackend *fake)
{
  CagmaRequest *request;

  fake->connected = FALSE;
  fake->listener->disconnected(fake->owner, "the fake hung up");
  while ((request = g_queue_pop_head(&fake->asked)) || (request = g_queue_pop_head(&fake->held))) {
    FakeGuest *guest = find(fake, request->uuid);

    request->outcome = CAGMA_OUTCOME_LOST;
    request->unasked = guest && guest->unasked;
    fake->listener->completed(fake->owner, request);
  }
}

gboolean
fake_is_open(FakeBackend *fake)
{
  return fake->listener != NULL;
}

void
fake_start(FakeBackend *fake, FakeGuest *guest)
{
  guest->runs = TRUE;
  guest->id = ++fake->last_id;
  guest->target_kib = 0;
  guest->bound_kib = guest->actual_kib;
  guest->stamp = 0;
  fake_tell(fake, guest, CAGMA_EVENT_STARTED);
}

void
fake_stop(FakeBackend *fake, FakeGuest *guest)
{
  guest->runs = FALSE;
  g_clear_pointer(&guest->status, g_free);
  fake_tell(fake, guest, CAGMA_EVENT_STOPPED);
}

static gint
is_of(gconstpointer request, gconstpointer guest)
{
  return g_strcmp0(((const CagmaRequest *)request)->uuid, ((const FakeGuest *)guest)->uuid);
}

void
fake_release(FakeBackend *fake, FakeGuest *guest, CagmaOutcome outcome)
{
  GList *item;

  while ((item = g_queue_find_custom(&fake->held, guest, is_of))) {
    CagmaRequest *request = item->data;

    g_queue_delete_link(&fake->held, item);
    answer(fake, request, outcome);
  }
}

unsigned
fake_n_held(FakeBackend *fake, FakeGuest *guest)
{
  unsigned n = 0;

  for (GList *item = fake->held.head; item; item = item->next)
    n += is_of(item->data, guest) == 0;
  return n;
}

void
fake_free(FakeBackend *fake)
{
  g_clear_handle_id(&fake->answer_source, g_source_remove);
  g_clear_handle_id(&fake->balloon_source, g_source_remove);
  g_queue_clear_full(&fake->asked, (GDestroyNotify)cagma_request_free);
  g_queue_clear_full(&fake->held, (GDestroyNotify)cagma_request_free);
  g_ptr_array_unref(fake->guests);
  g_free(fake);
}
