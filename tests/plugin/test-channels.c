/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libvirt/libvirt.h>
#include <string.h>
#include <time.h>

#include "plugin/channels.h"
#include "plugin/penalty.h"
#include "tests/plugin/kit.h"

/* The guests' channels on a libvirt of the test's own: the program's functions of
 * libvirt's names come before the library's. So does its clock, which can be put
 * forward. */

#define STATS "{\"return\":{\"available\":1048576}}\n"
#define EVENT "{\"event\":\"GUEST_MEMORY_PRESSURE\",\"data\":{\"available\":1048576}}\n"
#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"

static gint64 forward_us;

gint64
g_get_monotonic_time(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 + forward_us;
}

struct _virStream {
  int refs;
  gboolean aborted;
  virStreamEventCallback callback;
  void *opaque;
  GString *sent;
  GString *in;
  int end; /* what follows it: -2, 0 or -1 */
};

static struct {
  GMutex lock;
  GCond changed;
  GPtrArray *streams; /* all there ever were, kept until the test's end */
  unsigned n_sent;
  gboolean shut; /* opening waits */
  unsigned n_waiting;
  gboolean refuses;
  gboolean send_fails;
  unsigned n_opens;
} libvirt;

/* Any address will do. */
static char conn, domain;

static void
enter(void)
{
  g_mutex_lock(&libvirt.lock);
}

static void
leave(void)
{
  g_mutex_unlock(&libvirt.lock);
}

virConnectPtr
virConnectOpen(const char *name)
{
  (void)name;
  return (virConnectPtr)(void *)&conn;
}

int
virConnectSetKeepAlive(virConnectPtr c, int interval, unsigned int count)
{
  (void)c, (void)interval, (void)count;
  return 0;
}

int
virConnectIsAlive(virConnectPtr c)
{
  (void)c;
  return 1;
}

int
virConnectClose(virConnectPtr c)
{
  (void)c;
  return 0;
}

virDomainPtr
virDomainLookupByUUIDString(virConnectPtr c, const char *uuid)
{
  (void)c;
  g_assert_cmpstr(uuid, ==, UUID);
  return (virDomainPtr)(void *)&domain;
}

int
virDomainFree(virDomainPtr d)
{
  (void)d;
  return 0;
}

virStreamPtr
virStreamNew(virConnectPtr c, unsigned int flags)
{
  virStreamPtr stream = g_new0(struct _virStream, 1);

  (void)c;
  g_assert_cmpuint(flags, ==, VIR_STREAM_NONBLOCK);
  stream->refs = 1;
  stream->end = -2;
  stream->in = g_string_new(NULL);
  stream->sent = g_string_new(NULL);
  enter();
  g_ptr_array_add(libvirt.streams, stream);
  leave();
  return stream;
}

int
virDomainOpenChannel(virDomainPtr d, const char *name, virStreamPtr stream, unsigned int flags)
{
  int result;

  (void)d, (void)stream, (void)flags;
  g_assert_cmpstr(name, ==, "org.cagma.guest.0");
  enter();
  libvirt.n_waiting++;
  while (libvirt.shut)
    g_cond_wait(&libvirt.changed, &libvirt.lock);
  libvirt.n_waiting--;
  libvirt.n_opens++;
  result = libvirt.refuses ? -1 : 0;
  /* Nothing is open, so nothing has to be closed. */
  if (result < 0)
    stream->aborted = TRUE;
  leave();
  return result;
}

int
virStreamRef(virStreamPtr stream)
{
  enter();
  stream->refs++;
  leave();
  return 0;
}

int
virStreamFree(virStreamPtr stream)
{
  enter();
  g_assert_cmpint(stream->refs, >, 0);
  stream->refs--;
  leave();
  return 0;
}

int
virStreamAbort(virStreamPtr stream)
{
  enter();
  g_assert_cmpint(stream->refs, >, 0);
  g_assert_null(stream->callback);
  stream->aborted = TRUE;
  leave();
  return 0;
}

int
virStreamSend(virStreamPtr stream, const char *data, size_t length)
{
  int result = (int)length;

  enter();
  g_assert_cmpint(stream->refs, >, 0);
  if (libvirt.send_fails)
    result = -1;
  else
    g_string_append_len(stream->sent, data, (gssize)length);
  libvirt.n_sent++;
  leave();
  return result;
}

int
virStreamRecv(virStreamPtr stream, char *data, size_t length)
{
  int n;

  g_assert_false(stream->aborted);
  n = (int)MIN(length, stream->in->len);
  if (n == 0)
    return stream->end;
  memcpy(data, stream->in->str, (size_t)n);
  g_string_erase(stream->in, 0, n);
  return n;
}

int
virStreamEventAddCallback(virStreamPtr stream, int events, virStreamEventCallback callback, void *opaque,
                          virFreeCallback release)
{
  (void)events, (void)release; /* as the remote driver, which never calls it */
  stream->callback = callback;
  stream->opaque = opaque;
  return 0;
}

int
virStreamEventRemoveCallback(virStreamPtr stream)
{
  g_assert_nonnull(stream->callback);
  stream->callback = NULL;
  return 0;
}

/* The guest's side. */

typedef struct {
  CagmaGuests *guests;
  unsigned n_down;
  char *reason;
  unsigned n_stats;
  unsigned n_loads;
  unsigned n_read_backs;
  unsigned n_pressure;
  gboolean removes; /* the channel, when it says something … */
  gboolean frees;   /* … or all of them */
} Fixture;

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
  if (message->kind == CAGMA_AGENT_LOAD)
    g_assert_cmpuint(message->sample.load1_permille, ==, 410);
  else if (message->kind == CAGMA_AGENT_READ_BACK)
    g_assert_cmpuint(message->read_back_kib, ==, 8);
  else
    g_assert_cmpuint(message->sample.usable_kib, ==, 1024);
  f->n_stats += message->kind == CAGMA_AGENT_STATS;
  f->n_loads += message->kind == CAGMA_AGENT_LOAD;
  f->n_read_backs += message->kind == CAGMA_AGENT_READ_BACK;
  f->n_pressure += message->kind == CAGMA_AGENT_PRESSURE;
  if (f->removes)
    f->guests->remove(f->guests, UUID);
  if (f->frees)
    f->guests->free(g_steal_pointer(&f->guests));
}

static unsigned
n_streams(void)
{
  unsigned n;

  enter();
  n = libvirt.streams->len;
  leave();
  return n;
}

/* The stream that is being read, if any. */
static virStreamPtr
stream_open(void)
{
  virStreamPtr stream = NULL;

  enter();
  if (libvirt.streams->len)
    stream = libvirt.streams->pdata[libvirt.streams->len - 1];
  leave();
  return stream && stream->callback ? stream : NULL;
}

/* What it was told; with the lock held. */
static GString *
stream_sent(void)
{
  virStreamPtr stream = libvirt.streams->pdata[libvirt.streams->len - 1];

  return stream->sent;
}

static unsigned
n_sent(void)
{
  unsigned n;

  enter();
  n = libvirt.n_sent;
  leave();
  return n;
}

static gboolean
was_sent(const char *fragment)
{
  virStreamPtr stream = stream_open();
  gboolean found;

  enter();
  found = stream && strstr(stream->sent->str, fragment);
  leave();
  return found;
}

static void
say_bytes(const char *data, gsize length)
{
  virStreamPtr stream = stream_open();

  g_assert_nonnull(stream);
  g_string_append_len(stream->in, data, (gssize)length);
  stream->callback(stream, VIR_STREAM_EVENT_READABLE, stream->opaque);
}

static void
say(const char *text)
{
  say_bytes(text, strlen(text));
}

static void
answer_sync(void)
{
  const char *mark = "\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":";
  g_autofree char *line = NULL;
  guint64 id;

  KIT_WAIT(was_sent(mark));
  enter();
  id = g_ascii_strtoull(g_strrstr(stream_sent()->str, mark) + strlen(mark), NULL, 10);
  g_string_truncate(stream_sent(), 0);
  leave();
  line = g_strdup_printf("\xff{\"return\": %" G_GUINT64_FORMAT "}\n", id);
  say(line);
}

static void
go_live(void)
{
  KIT_WAIT(stream_open());
  answer_sync();
  KIT_WAIT(was_sent("guest-get-memory-stats"));
  g_assert_true(was_sent("guest-set-pressure-trigger"));
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  static const CagmaGuestsListener listener = { .down = on_down, .message = on_message };

  (void)unused;
  kit_log_clear();
  memset(&libvirt, 0, sizeof libvirt);
  libvirt.streams = g_ptr_array_new();
  f->guests = cagma_channels_new("fake:///", &listener, f);
}

static gboolean
all_closed(void)
{
  gboolean closed = TRUE;

  enter();
  for (guint i = 0; i < libvirt.streams->len; i++) {
    virStreamPtr stream = libvirt.streams->pdata[i];

    closed = closed && stream->refs == 0 && stream->aborted && !stream->callback;
  }
  leave();
  return closed;
}

/* Whatever happened, nothing stays open at libvirt's end, and nothing is lost. */
static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  if (f->guests)
    f->guests->free(f->guests);
  KIT_WAIT(all_closed());
  for (guint i = 0; i < libvirt.streams->len; i++) {
    virStreamPtr stream = libvirt.streams->pdata[i];

    g_string_free(stream->in, TRUE);
    g_string_free(stream->sent, TRUE);
    g_free(stream);
  }
  g_ptr_array_unref(libvirt.streams);
  g_free(f->reason);
}

static void
test_sync(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->guests->add(f->guests, UUID);
  f->guests->add(f->guests, UUID);
  KIT_WAIT(stream_open());
  KIT_WAIT(was_sent("guest-sync-delimited"));
  /* Of an earlier reader, or nobody's. */
  say(STATS EVENT "half a line");
  say("\n{\"return\": 1}\n\xff{\"return\": -1}\n");
  g_assert_cmpuint(f->n_stats + f->n_pressure, ==, 0);
  answer_sync();
  KIT_WAIT(was_sent("guest-get-memory-stats"));
  g_assert_true(was_sent("\"stall\":25000,\"window\":500000"));
  say("{\"return\": {\"watch\": \"psi\"}}\n");
  say("{\"return\":{\"avail");
  say("able\":1048576}}\n\n" EVENT "nonsense\n" STATS);
  g_assert_cmpuint(f->n_stats, ==, 2);
  g_assert_cmpuint(f->n_pressure, ==, 1);
  g_assert_cmpuint(f->n_down, ==, 0);
  g_assert_cmpuint(n_streams(), ==, 1);
}

static void
test_silent_agent(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->guests->add(f->guests, UUID);
  go_live();
  for (int i = 0; i < CAGMA_CHANNEL_UNANSWERED_MAX - 1; i++) {
    g_assert_cmpuint(f->n_down, ==, 0);
    f->guests->ask(f->guests, UUID);
    for (int k = 0; k < 5; k++)
      kit_breathe();
  }
  /* Each counts once it was sent. */
  KIT_WAIT((f->guests->ask(f->guests, UUID), f->n_down == 1));
  g_assert_cmpstr(f->reason, ==, "the agent does not answer");
  /* Late answers come before that to the new sync. */
  say(STATS);
  g_assert_cmpuint(f->n_stats, ==, 0);
  go_live();
  say(STATS);
  g_assert_cmpuint(f->n_stats, ==, 1);
  g_assert_cmpuint(n_streams(), ==, 1);
  /* Answers in time count anew. */
  for (int i = 0; i < 3 * CAGMA_CHANNEL_UNANSWERED_MAX; i++) {
    f->guests->ask(f->guests, UUID);
    kit_breathe();
    say(STATS);
  }
  g_assert_cmpuint(f->n_down, ==, 1);
}

static void
reopens_after(Fixture *f, int64_t us)
{
  unsigned before = n_streams();

  forward_us += us - G_USEC_PER_SEC;
  f->guests->ask(f->guests, UUID);
  for (int i = 0; i < 5; i++)
    kit_breathe();
  g_assert_cmpuint(n_streams(), ==, before);
  forward_us += 2 * G_USEC_PER_SEC;
  f->guests->ask(f->guests, UUID);
  KIT_WAIT(n_streams() == before + 1);
  KIT_WAIT(stream_open());
}

/* What a guest doesn't read fills the socket to its QEMU: long before, the stream is closed. */
static void
test_unread(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->guests->add(f->guests, UUID);
  go_live();
  /* It only writes. */
  while (n_sent() < 200 && !f->n_down) {
    forward_us += G_USEC_PER_SEC;
    f->guests->ask(f->guests, UUID);
    kit_breathe();
    if (!f->n_down)
      say(STATS);
  }
  g_assert_cmpuint(f->n_down, ==, 1);
  g_assert_cmpstr(f->reason, ==, "nobody reads its channel");
  g_assert_cmpuint(n_sent(), <=, 100);
  g_assert_null(stream_open());

  /* Nor is one that nobody ever answered kept. */
  reopens_after(f, 2 * G_USEC_PER_SEC);
  for (unsigned i = 0; n_streams() == 2 && i < 300; i++) {
    forward_us += 31 * G_USEC_PER_SEC;
    f->guests->ask(f->guests, UUID);
    kit_breathe();
  }
  KIT_WAIT(stream_open());
  g_assert_cmpuint(n_streams(), ==, 3);
  g_assert_cmpuint(n_sent(), <=, 200);

  /* One that reads is asked to prove it, and goes on. */
  go_live();
  for (unsigned i = 0; i < 200; i++) {
    forward_us += G_USEC_PER_SEC;
    f->guests->ask(f->guests, UUID);
    kit_breathe();
    if (was_sent("guest-sync-delimited"))
      answer_sync();
    say(STATS);
  }
  g_assert_cmpuint(n_streams(), ==, 3);
  g_assert_cmpuint(f->n_down, ==, 1);
}

static void
test_load(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->guests->add(f->guests, UUID);
  /* While nobody answers, there's nobody to ask. */
  f->guests->ask_load(f->guests, UUID);
  go_live();
  g_assert_false(was_sent("guest-get-load"));
  f->guests->ask_load(f->guests, UUID);
  KIT_WAIT(was_sent("guest-get-load"));
  say("{\"return\": {\"load1m\": 0.41, \"load5m\": 0.17, \"load15m\": 0.06}}\n");
  g_assert_cmpuint(f->n_loads, ==, 1);
  f->guests->ask_load(f->guests, "00000000-0000-0000-0000-000000000000");
}

static void
test_read_back(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->guests->add(f->guests, UUID);
  f->guests->read_back(f->guests, UUID, 12);
  go_live();
  g_assert_false(was_sent("guest-read-back-memory"));
  f->guests->read_back(f->guests, UUID, 12);
  KIT_WAIT(was_sent(
      "{\"execute\":\"guest-read-back-memory\",\"arguments\":{\"max-bytes\":12288,\"time-ms\":5000}}"));
  say("{\"return\": {\"bytes\": 8192, \"processes\": 1, \"done\": true}}\n");
  g_assert_cmpuint(f->n_read_backs, ==, 1);
  f->guests->read_back(f->guests, "00000000-0000-0000-0000-000000000000", 12);
}

static void
test_ends(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->guests->add(f->guests, UUID);
  for (int end = 0; end >= -1; end--) {
    go_live();
    stream_open()->end = end;
    say(STATS);
    g_assert_null(stream_open());
    reopens_after(f, 2 * G_USEC_PER_SEC);
  }
  go_live();
  stream_open()->callback(stream_open(), VIR_STREAM_EVENT_HANGUP, stream_open()->opaque);
  g_assert_cmpuint(f->n_down, ==, 3);
  g_assert_cmpuint(f->n_stats, ==, 2);
}

/* Where nothing else tells that the connection is gone. */
static void
test_send_fails(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->guests->add(f->guests, UUID);
  go_live();
  enter();
  libvirt.send_fails = TRUE;
  leave();
  f->guests->ask(f->guests, UUID);
  KIT_WAIT(f->n_down == 1);
  g_assert_null(stream_open());
  enter();
  libvirt.send_fails = FALSE;
  leave();
  reopens_after(f, 2 * G_USEC_PER_SEC);
  go_live();
}

static void
test_refused(Fixture *f, gconstpointer unused)
{
  (void)unused;
  libvirt.refuses = TRUE;
  f->guests->add(f->guests, UUID);
  /* Waiting longer each time. */
  for (int i = 0; i < 10; i++) {
    KIT_WAIT(n_streams() == (unsigned)i + 1 && libvirt.n_opens == (unsigned)i + 1);
    for (int k = 0; k < 5; k++)
      kit_breathe();
    f->guests->ask(f->guests, UUID);
    for (int k = 0; k < 5; k++)
      kit_breathe();
    g_assert_cmpuint(n_streams(), ==, i + 1);
    forward_us += 31 * G_USEC_PER_SEC;
    f->guests->ask(f->guests, UUID);
  }
  g_assert_cmpuint(f->n_down, ==, 0);
}

static void
flood(void)
{
  g_autofree char *junk = g_strnfill(CAGMA_CHANNEL_BYTES_PER_S + 1, 'x');

  say_bytes(junk, CAGMA_CHANNEL_BYTES_PER_S + 1);
}

static void
test_quarantine(Fixture *f, gconstpointer unused)
{
  int64_t seconds = CAGMA_PENALTY_S;

  (void)unused;
  f->guests->add(f->guests, UUID);
  go_live();
  for (unsigned i = 1; i <= 8; i++) {
    flood();
    g_assert_null(stream_open());
    g_assert_cmpuint(kit_logged("it is cut off"), ==, i);
    g_assert_cmpuint(f->n_down, ==, 1);
    reopens_after(f, seconds * G_USEC_PER_SEC);
    seconds = MIN(2 * seconds, CAGMA_PENALTY_MAX_S);
  }
  go_live();
  /* It behaves. */
  forward_us += (int64_t)CAGMA_PENALTY_MAX_S * G_USEC_PER_SEC;
  say(STATS);
  flood();
  g_assert_cmpstr(f->reason, ==, "writes too much");
  reopens_after(f, (int64_t)CAGMA_PENALTY_S * G_USEC_PER_SEC);
}

/* Below the bytes that cut it off. */
static void
test_many_lines(Fixture *f, gconstpointer unused)
{
  g_autoptr(GString) events = g_string_new(NULL), errors = g_string_new(NULL);

  (void)unused;
  f->guests->add(f->guests, UUID);
  go_live();
  forward_us += G_USEC_PER_SEC;
  for (int i = 0; i < 2000; i++) {
    g_string_append(events, EVENT);
    g_string_append(errors, "{\"error\":{\"desc\":\"a\\nb\"}}\n");
  }
  say(events->str);
  g_assert_cmpuint(f->n_pressure, ==, CAGMA_CHANNEL_EVENTS_PER_S);
  for (int i = 0; i < 20; i++) {
    forward_us += G_USEC_PER_SEC;
    say(errors->str);
  }
  g_assert_cmpuint(kit_logged("its agent: a"), ==, 1);
  g_assert_cmpuint(kit_logged("a\nb"), ==, 0);
  forward_us += G_USEC_PER_SEC;
  say(EVENT STATS);
  g_assert_cmpuint(f->n_pressure, ==, CAGMA_CHANNEL_EVENTS_PER_S + 1);
  g_assert_cmpuint(f->n_stats, ==, 1);
  forward_us += G_USEC_PER_SEC;
  for (int i = 0; i < 1000; i++)
    say(STATS);
  g_assert_cmpuint(f->n_stats, ==, 1 + CAGMA_CHANNEL_LINES_PER_S);
  g_assert_cmpuint(f->n_down, ==, 0);
}

static void
test_removed_within_its_message(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->guests->add(f->guests, UUID);
  go_live();
  f->removes = TRUE;
  say(STATS STATS STATS EVENT);
  g_assert_cmpuint(f->n_stats, ==, 1);
  g_assert_null(stream_open());
  f->guests->ask(f->guests, UUID);
  f->guests->remove(f->guests, UUID);
  /* And back. */
  f->removes = FALSE;
  f->guests->add(f->guests, UUID);
  go_live();
  f->frees = TRUE;
  say(EVENT STATS);
  g_assert_cmpuint(f->n_pressure, ==, 1);
  g_assert_cmpuint(f->n_stats, ==, 1);
  g_assert_cmpuint(f->n_down, ==, 0);
}

static void
let_open(void)
{
  enter();
  libvirt.shut = FALSE;
  g_cond_broadcast(&libvirt.changed);
  leave();
}

static unsigned
n_waiting(void)
{
  unsigned n;

  enter();
  n = libvirt.n_waiting;
  leave();
  return n;
}

/* tear_down sees that the stream which nobody wanted is closed. */
static void
test_removed_while_opening(Fixture *f, gconstpointer unused)
{
  (void)unused;
  libvirt.shut = TRUE;
  f->guests->add(f->guests, UUID);
  KIT_WAIT(n_waiting() == 1);
  f->guests->remove(f->guests, UUID);
  f->guests->add(f->guests, UUID);
  f->guests->ask(f->guests, UUID);
  let_open();
  go_live();
  g_assert_cmpuint(n_streams(), ==, 2);
}

static void
test_freed_while_opening(Fixture *f, gconstpointer unused)
{
  (void)unused;
  libvirt.shut = TRUE;
  f->guests->add(f->guests, UUID);
  KIT_WAIT(n_waiting() == 1);
  for (int i = 0; i < 10; i++) {
    f->guests->remove(f->guests, UUID);
    f->guests->add(f->guests, UUID);
  }
  f->guests->free(g_steal_pointer(&f->guests));
  let_open();
  KIT_WAIT(n_waiting() == 0 && all_closed());
  /* What waited behind it isn't opened any more. */
  g_assert_cmpuint(n_streams(), ==, 1);
}

/* libvirtd hangs: nothing waits for it, and nothing piles up. */
static void
test_hung_daemon(Fixture *f, gconstpointer unused)
{
  unsigned before;

  (void)unused;
  f->guests->add(f->guests, UUID);
  go_live();
  KIT_WAIT(n_sent() == 3);
  before = n_sent();
  for (int i = 0; i < 100; i++) {
    forward_us += 60 * G_USEC_PER_SEC;
    f->guests->ask(f->guests, UUID);
  }
  for (int i = 0; i < 20; i++)
    kit_breathe();
  /* The main loop didn't turn, so that for all it knew they weren't sent. */
  g_assert_cmpuint(n_sent() - before, <=, 4);
  /* Nor can an agent have answered them. */
  g_assert_cmpuint(f->n_down, ==, 0);
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *path;
    void (*test)(Fixture *, gconstpointer);
  } tests[] = {
    { "/channels/sync", test_sync },
    { "/channels/silent-agent", test_silent_agent },
    { "/channels/unread", test_unread },
    { "/channels/load", test_load },
    { "/channels/read-back", test_read_back },
    { "/channels/ends", test_ends },
    { "/channels/send-fails", test_send_fails },
    { "/channels/refused", test_refused },
    { "/channels/quarantine", test_quarantine },
    { "/channels/many-lines", test_many_lines },
    { "/channels/removed-within-its-message", test_removed_within_its_message },
    { "/channels/removed-while-opening", test_removed_while_opening },
    { "/channels/freed-while-opening", test_freed_while_opening },
    { "/channels/hung-daemon", test_hung_daemon },
  };

  kit_init(&argc, &argv);
  g_assert_cmpint(virInitialize(), ==, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
    g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
  return g_test_run();
}
