/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "plugin/backend-libvirt.h"
#include "plugin/libvirt-glue.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"
#include "xml/memory.h"
#include "xml/status.h"

/* The libvirt backend against libvirt's own test driver. test:///default is one and the
 * same host for all connections of a process (one from a file is each connection's own),
 * so the test changes it through a connection of its own. Its one domain is "test". */

#define NEW "11111111-2222-3333-4444-555555555555"
#define NEW_XML                                                                                              \
  "<domain type='test'><name>new</name><uuid>" NEW "</uuid><memory unit='MiB'>512</memory>"                  \
  "<os><type>hvm</type></os><devices><memballoon model='virtio'/></devices></domain>"

typedef struct {
  CagmaBackend *backend;
  virConnectPtr conn; /* the operator's */
  char uuid[CAGMA_UUID_SIZE];
  unsigned n_connected;
  unsigned n_disconnected;
  GPtrArray *names;   /* that ran when connected */
  GPtrArray *answers; /* CagmaRequest */
  int listens;
  GString *events; /* "kind:name " of each */
} Fixture;

static void
on_connected(void *owner, GPtrArray *running)
{
  Fixture *f = owner;

  f->n_connected++;
  for (guint i = 0; i < running->len; i++) {
    const CagmaRunning *one = running->pdata[i];

    g_assert_true(g_uuid_string_is_valid(one->uuid));
    g_assert_cmpint(one->id, >, 0);
    g_ptr_array_add(f->names, g_strdup(one->name));
    if (g_str_equal(one->name, "test"))
      g_strlcpy(f->uuid, one->uuid, sizeof f->uuid);
  }
}

static void
on_disconnected(void *owner, const char *reason)
{
  Fixture *f = owner;

  (void)reason;
  f->n_disconnected++;
}

/* How libvirt refuses to tell of a domain's job; 0: as the test driver does. */
static int job_error;

int
virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info)
{
  (void)domain;
  (void)info;
  return -1;
}

int
virGetLastErrorCode(void)
{
  virErrorPtr error = virGetLastError();

  if (job_error)
    return job_error;
  return error ? error->code : VIR_ERR_OK;
}

static void
on_event(void *owner, const CagmaEvent *event)
{
  Fixture *f = owner;

  g_string_append_printf(f->events, "%d:%s ", event->kind, event->name);
}

static void
on_completed(void *owner, CagmaRequest *request)
{
  Fixture *f = owner;

  g_ptr_array_add(f->answers, request);
}

static const CagmaListener listener = {
  .connected = on_connected, .disconnected = on_disconnected, .event = on_event, .completed = on_completed
};

static int
ignore(virConnectPtr conn, virDomainPtr domain, int event, int detail, void *opaque)
{
  (void)conn;
  (void)domain;
  (void)event;
  (void)detail;
  (void)opaque;
  return 0;
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  (void)unused;
  kit_log_clear();
  f->names = g_ptr_array_new_with_free_func(g_free);
  f->answers = g_ptr_array_new_with_free_func((GDestroyNotify)cagma_request_free);
  f->events = g_string_new(NULL);
  f->conn = virConnectOpen("test:///default");
  g_assert_nonnull(f->conn);
  /* libvirt's test driver has one queue of events for all its connections, and looks whether
   * anybody listens before it takes the queue's lock (virObjectEventStateQueueRemote): an event
   * that comes as the last one stops listening stays in the queue, and all later ones behind it.
   * So somebody listens all the time. */
  f->listens = virConnectDomainEventRegisterAny(f->conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                VIR_DOMAIN_EVENT_CALLBACK(ignore), NULL, NULL);
  g_assert_cmpint(f->listens, >=, 0);
  f->backend = cagma_backend_libvirt_new("test:///default");
  f->backend->open(f->backend, &listener, f);
  KIT_WAIT(f->n_connected == 1);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->backend->close(f->backend);
  virConnectDomainEventDeregisterAny(f->conn, f->listens);
  virConnectClose(f->conn);
  /* libvirt frees callbacks from the main loop, after connections are closed. */
  for (int i = 0; i < 30; i++)
    kit_breathe();
  g_ptr_array_unref(f->names);
  g_ptr_array_unref(f->answers);
  g_string_free(f->events, TRUE);
}

/* The answer is the fixture's. */
static const CagmaRequest *
ask(Fixture *f, CagmaRequest *request)
{
  guint n = f->answers->len;

  request->tag = n + 1;
  f->backend->submit(f->backend, request);
  KIT_WAIT(f->answers->len > n);
  g_assert_cmpuint(((CagmaRequest *)f->answers->pdata[n])->tag, ==, n + 1);
  return f->answers->pdata[n];
}

static gboolean
happened(Fixture *f, CagmaEventKind kind, const char *name)
{
  g_autofree char *wanted = g_strdup_printf("%d:%s ", kind, name);

  return strstr(f->events->str, wanted) != NULL;
}

static virDomainPtr
domain_of(Fixture *f)
{
  virDomainPtr domain = virDomainLookupByName(f->conn, "test");

  g_assert_nonnull(domain);
  return domain;
}

static void
test_lists(Fixture *f, gconstpointer unused)
{
  (void)unused;
  g_assert_cmpuint(f->names->len, ==, 1);
  g_assert_cmpstr(f->names->pdata[0], ==, "test");
  g_assert_cmpuint(f->n_disconnected, ==, 0);
}

static void
test_describes(Fixture *f, gconstpointer unused)
{
  const CagmaRequest *answer = ask(f, cagma_request_new(CAGMA_REQUEST_DESCRIBE, f->uuid));

  (void)unused;
  g_assert_no_error(answer->error);
  g_assert_cmpint(answer->outcome, ==, CAGMA_OUTCOME_DONE);
  kit_assert_has(answer->xml, "<name>test</name>");
  g_assert_cmpuint(answer->max_kib, ==, CAGMA_GIB(8));
  g_assert_false(answer->paused);
  g_assert_false(answer->stats_period_set);
}

static void
test_sets_the_statistics_period(Fixture *f, gconstpointer unused)
{
  CagmaRequest *request = cagma_request_new(CAGMA_REQUEST_DESCRIBE, f->uuid);
  const CagmaRequest *answer;

  (void)unused;
  request->stats_period_s = 1;
  answer = ask(f, request);
  g_assert_cmpint(answer->outcome, ==, CAGMA_OUTCOME_DONE);
  g_assert_no_error(answer->error);
  g_assert_nonnull(answer->xml);
  g_assert_true(answer->stats_period_set);
}

static void
test_describes_paused(Fixture *f, gconstpointer unused)
{
  g_autoptr(virDomain) domain = domain_of(f);
  const CagmaRequest *answer;

  (void)unused;
  g_assert_cmpint(virDomainSuspend(domain), ==, 0);
  answer = ask(f, cagma_request_new(CAGMA_REQUEST_DESCRIBE, f->uuid));
  g_assert_cmpint(virDomainResume(domain), ==, 0);
  g_assert_true(answer->paused);
}

static void
test_sets(Fixture *f, gconstpointer unused)
{
  g_autoptr(virDomain) domain = domain_of(f);
  CagmaRequest *request = cagma_request_new(CAGMA_REQUEST_SET, f->uuid);
  const CagmaRequest *answer;
  virDomainInfo info;

  (void)unused;
  request->target_kib = CAGMA_GIB(1);
  answer = ask(f, request);
  g_assert_no_error(answer->error);
  g_assert_cmpint(answer->outcome, ==, CAGMA_OUTCOME_DONE);
  g_assert_cmpint(virDomainGetInfo(domain, &info), ==, 0);
  g_assert_cmpuint(info.memory, ==, CAGMA_GIB(1));

  /* Refused, with libvirt's reason. */
  request = cagma_request_new(CAGMA_REQUEST_SET, f->uuid);
  request->target_kib = CAGMA_GIB(100);
  answer = ask(f, request);
  g_assert_cmpint(answer->outcome, ==, CAGMA_OUTCOME_FAILED);
  g_assert_nonnull(answer->error);
  g_assert_true(answer->error->domain == CAGMA_LIBVIRT_ERROR);
  kit_assert_has(answer->error->message, "virDomainSetMemoryFlags");
  g_assert_cmpint(answer->error->code, ==, VIR_ERR_INVALID_ARG);
}

/* While a migration comes in, its QEMU is asked nothing: libvirt would have that wait for the end. */
static void
test_leaves_what_arrives(Fixture *f, gconstpointer unused)
{
  g_autoptr(virDomain) domain = domain_of(f);
  CagmaRequest *request = cagma_request_new(CAGMA_REQUEST_SET, f->uuid);
  unsigned long before_kib = virDomainGetMaxMemory(domain);
  const CagmaRequest *answer;

  (void)unused;
  job_error = VIR_ERR_OPERATION_UNSUPPORTED;
  request->target_kib = CAGMA_GIB(1);
  answer = ask(f, request);
  g_assert_cmpint(answer->outcome, ==, CAGMA_OUTCOME_BUSY);
  g_assert_cmpuint(virDomainGetMaxMemory(domain), ==, before_kib);
  request = cagma_request_new(CAGMA_REQUEST_SAMPLE, f->uuid);
  request->jobs = TRUE;
  answer = ask(f, request);
  g_assert_cmpint(answer->outcome, ==, CAGMA_OUTCOME_BUSY);
  job_error = 0;
}

static void
test_samples(Fixture *f, gconstpointer unused)
{
  g_autoptr(virDomain) fresh = NULL;
  CagmaRequest *request = cagma_request_new(CAGMA_REQUEST_SAMPLE, NEW);
  const CagmaRequest *answer;

  (void)unused;
  fresh = virDomainCreateXML(f->conn, NEW_XML, 0);
  g_assert_nonnull(fresh);
  request->block_reads = TRUE;
  answer = ask(f, request);
  g_assert_cmpint(virDomainDestroy(fresh), ==, 0);
  g_assert_no_error(answer->error);
  g_assert_cmpint(answer->outcome, ==, CAGMA_OUTCOME_DONE);
  g_assert_true(answer->sample.has & CAGMA_HAS_ACTUAL);
  g_assert_true(answer->sample.has & CAGMA_HAS_SWAP);
  g_assert_cmpuint(answer->sample.actual_kib, ==, CAGMA_MIB(512));
  /* It has no disk to read from. */
  g_assert_false(answer->sample.has & CAGMA_HAS_BLOCK_READ);
}

/* Metadata outside any file: what virsh would show. */
static char *
metadata(Fixture *f, const char *uri)
{
  g_autoptr(virDomain) domain = domain_of(f);

  return virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, uri, VIR_DOMAIN_AFFECT_LIVE);
}

static void
assert_writing(Fixture *f, const char *text, CagmaOutcome outcome)
{
  const CagmaRequest *answer;
  CagmaRequest *request = cagma_request_new(CAGMA_REQUEST_STATUS, f->uuid);

  request->status_xml = g_strdup(text);
  answer = ask(f, request);
  g_assert_cmpint(answer->outcome, ==, outcome);
}

static void
test_writes_status(Fixture *f, gconstpointer unused)
{
  g_autofree char *found = NULL;

  (void)unused;
  assert_writing(f, "<status state='steady'/>", CAGMA_OUTCOME_DONE);
  found = metadata(f, CAGMA_STATUS_URI);
  kit_assert_has(found, "steady");
  assert_writing(f, NULL, CAGMA_OUTCOME_DONE);
  g_assert_null(metadata(f, CAGMA_STATUS_URI));
  /* Removing what isn't there is no failure. */
  assert_writing(f, NULL, CAGMA_OUTCOME_DONE);
  assert_writing(f, "<not xml", CAGMA_OUTCOME_FAILED);
  /* Our own is no news. */
  for (int i = 0; i < 10; i++)
    kit_breathe();
  g_assert_false(happened(f, CAGMA_EVENT_CHANGED, "test"));
}

static void
test_metadata_event(Fixture *f, gconstpointer unused)
{
  g_autoptr(virDomain) domain = domain_of(f);

  (void)unused;
  g_assert_cmpint(virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT,
                                       "<memory><shares>5</shares></memory>", "cagma", CAGMA_MEMORY_URI,
                                       VIR_DOMAIN_AFFECT_LIVE),
                  ==, 0);
  KIT_WAIT(happened(f, CAGMA_EVENT_CHANGED, "test"));
  g_assert_cmpint(virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, NULL, NULL, CAGMA_MEMORY_URI,
                                       VIR_DOMAIN_AFFECT_LIVE),
                  ==, 0);
}

static void
test_lifecycle_events(Fixture *f, gconstpointer unused)
{
  g_autoptr(virDomain) fresh = virDomainCreateXML(f->conn, NEW_XML, 0);
  const CagmaRequest *answer;

  (void)unused;
  g_assert_nonnull(fresh);
  KIT_WAIT(happened(f, CAGMA_EVENT_STARTED, "new"));
  g_assert_cmpint(virDomainSuspend(fresh), ==, 0);
  KIT_WAIT(happened(f, CAGMA_EVENT_PAUSED, "new"));
  g_assert_cmpint(virDomainResume(fresh), ==, 0);
  KIT_WAIT(happened(f, CAGMA_EVENT_RESUMED, "new"));
  answer = ask(f, cagma_request_new(CAGMA_REQUEST_DESCRIBE, NEW));
  g_assert_cmpint(answer->outcome, ==, CAGMA_OUTCOME_DONE);
  g_assert_cmpint(virDomainDestroy(fresh), ==, 0);
  KIT_WAIT(happened(f, CAGMA_EVENT_STOPPED, "new"));
  for (CagmaRequestKind kind = CAGMA_REQUEST_DESCRIBE; kind <= CAGMA_REQUEST_STATUS; kind++) {
    CagmaRequest *request = cagma_request_new(kind, NEW);

    request->target_kib = CAGMA_MIB(256);
    answer = ask(f, request);
    if (answer->outcome != CAGMA_OUTCOME_GONE)
      g_error("request %d: outcome %d, %s", kind, answer->outcome,
              answer->error ? answer->error->message : "");
  }
}

/* What begins while a connection is being made is neither lost nor told twice. */
static void
test_starts_while_connecting(Fixture *f, gconstpointer unused)
{
  (void)unused;
  for (int turn = 0; turn < 20; turn++) {
    g_autoptr(virDomain) fresh = NULL;
    gboolean listed = FALSE;

    f->backend->close(f->backend);
    g_ptr_array_set_size(f->names, 0);
    g_string_truncate(f->events, 0);
    f->n_connected = 0;
    f->backend = cagma_backend_libvirt_new("test:///default");
    f->backend->open(f->backend, &listener, f);
    for (int i = 0; i < turn; i++)
      g_usleep(100);
    fresh = virDomainCreateXML(f->conn, NEW_XML, 0);
    g_assert_nonnull(fresh);
    KIT_WAIT(f->n_connected == 1);
    for (guint i = 0; i < f->names->len; i++)
      listed = listed || g_str_equal(f->names->pdata[i], "new");
    KIT_WAIT(listed || happened(f, CAGMA_EVENT_STARTED, "new"));
    g_assert_cmpint(virDomainDestroy(fresh), ==, 0);
    KIT_WAIT(happened(f, CAGMA_EVENT_STOPPED, "new"));
  }
}

typedef struct {
  virDomainPtr domain;
  unsigned n;
} Flood;

static gboolean
flood(gpointer user_data)
{
  Flood *f = user_data;
  g_autofree char *text = g_strdup_printf("<memory><shares>%u</shares></memory>", f->n++ % 2 + 1);

  g_assert_cmpint(virDomainSetMetadata(f->domain, VIR_DOMAIN_METADATA_ELEMENT, text, "cagma",
                                       CAGMA_MEMORY_URI, VIR_DOMAIN_AFFECT_LIVE),
                  ==, 0);
  return G_SOURCE_CONTINUE;
}

/* Guests may bring about events at any rate; that mustn't keep it from being connected. */
static void
test_connects_however_much_happens(Fixture *f, gconstpointer unused)
{
  g_autoptr(virDomain) domain = domain_of(f);
  Flood events = { .domain = domain };
  guint source;

  (void)unused;
  f->backend->close(f->backend);
  f->n_connected = 0;
  source = g_idle_add_full(G_PRIORITY_DEFAULT, flood, &events, NULL);
  f->backend = cagma_backend_libvirt_new("test:///default");
  f->backend->open(f->backend, &listener, f);
  KIT_WAIT(f->n_connected == 1);
  g_source_remove(source);
  g_assert_cmpint(virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, NULL, NULL, CAGMA_MEMORY_URI,
                                       VIR_DOMAIN_AFFECT_LIVE),
                  ==, 0);
}

static void
test_connects_again_and_again(Fixture *f, gconstpointer unused)
{
  CagmaBackend *backend = cagma_backend_libvirt_new("test:///no/such/file.xml");

  (void)unused;
  backend->open(backend, &listener, f);
  KIT_WAIT(kit_logged("trying again in 500 ms") > 0);
  g_assert_cmpuint(f->n_connected, ==, 1);
  backend->close(backend);
}

static void
test_closed_at_once(Fixture *f, gconstpointer unused)
{
  CagmaBackend *backend = cagma_backend_libvirt_new("test:///default");
  CagmaBackend *unopened = cagma_backend_libvirt_new("test:///default");

  (void)unused;
  backend->open(backend, &listener, f);
  backend->submit(backend, cagma_request_new(CAGMA_REQUEST_DESCRIBE, f->uuid));
  backend->close(backend);
  unopened->close(unopened);
  for (int i = 0; i < 20; i++)
    kit_breathe();
  g_assert_cmpuint(f->n_connected, ==, 1);
  g_assert_cmpuint(f->answers->len, ==, 0);
}

#define ADD(name, function) g_test_add("/libvirt/" name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;

  kit_init(&argc, &argv);
  if (!cagma_libvirt_join_main_loop(&error))
    g_error("%s", error->message);
  ADD("lists", test_lists);
  ADD("describes", test_describes);
  ADD("sets-the-statistics-period", test_sets_the_statistics_period);
  ADD("describes-paused", test_describes_paused);
  ADD("sets", test_sets);
  ADD("leaves-what-arrives", test_leaves_what_arrives);
  ADD("samples", test_samples);
  ADD("writes-status", test_writes_status);
  ADD("metadata-event", test_metadata_event);
  ADD("lifecycle-events", test_lifecycle_events);
  ADD("starts-while-connecting", test_starts_while_connecting);
  ADD("connects-however-much-happens", test_connects_however_much_happens);
  ADD("connects-again-and-again", test_connects_again_and_again);
  ADD("closed-at-once", test_closed_at_once);
  return g_test_run();
}
