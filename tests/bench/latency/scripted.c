/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a pressure event's bytes to the call that gives the guest memory: the daemon's manager, policy, guard,
 * worker pool, line cutter and parser as they are, with guests and libvirt played by this program.
 *
 *   scripted DOMAINS HUNG EVENTS PERIOD-MS DIR
 *
 * Of DOMAINS guests HUNG have a QEMU that hangs for ever from the first event on. The guests, a thread of
 * their own, speak through a socket each; the main loop reads it as it reads libvirt's streams. An event is
 * sent at a random moment, by one guest after the other, with a grant due each time: before, its memory was
 * freed, and an operator set the balloon back. Measured is from before the bytes are written to where the
 * worker would call virDomainSetMemoryFlags. DIR, empty and on a tmpfs as /run/cagma is, keeps the announced targets.
 *
 * Prints, of all events, how many, and median, 99th percentile and maximum in µs; the same of its parts (Part), of
 * the events that met no request about the same guest, and of those that did: a domain has one at a time. Last,
 * how many events no call came of. */
#include <errno.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin/agent-reply.h"
#include "plugin/libvirt-glue.h"
#include "plugin/manager.h"
#include "plugin/pool.h"
#include "policy/units.h"

/* Workers have a connection, which must only be there. */
#define URI "test:///default"

#define MEMORY_MIB 1024
#define BASE_MIB 512
/* One grant takes it there; and to hand out so little beforehand isn't worth a call. */
#define LIMIT_MIB 572
#define GUARANTEE_MIB 256
#define USED_MIB 128     /* idle: it neither needs nor is asked for anything */
#define PRESSED_MIB 508  /* less left than the headroom, 64 MiB, which would take all up to the limit */
#define SWAPPED_PAGES 64 /* between one event and the next */

/* What calls take that ask libvirtd alone, and those that ask QEMU (measured with tests/lab: 70 µs, and 1–5 ms
 * as the machine is idle or not). */
#define CALL_US 70
#define MONITOR_US 2000
/* How long an agent takes to answer. */
#define AGENT_US 2000

/* Between what is done to a guest and its next event, so that events meet the period anywhere. */
#define PAUSE_LEAST_US 20000
#define PAUSE_MOST_US 80000
/* A grant that takes longer isn't one. */
#define CALL_MAX_US (2 * G_USEC_PER_SEC)
#define SETTLE_MAX_US (60 * G_USEC_PER_SEC)
#define SET_BACK_MAX_US (G_USEC_PER_SEC / 2)
#define STEP_US 500

typedef struct Bench Bench;

/* Of one event, µs. */
typedef enum {
  PART_HEARD,   /* from its bytes to the main loop's having cut and read the line */
  PART_DECIDED, /* to the request's being handed to the workers */
  PART_CALLED,  /* to the call */
  PART_ALL,
  N_PARTS,
} Part;

typedef struct {
  int64_t part_us[N_PARTS];
  gboolean met; /* a request about the same guest was under way */
} Latency;

/* Shared by the main loop, the workers and the guests' thread: under the lock, but for what never changes. */
typedef struct {
  Bench *bench;
  char uuid[CAGMA_UUID_SIZE];
  char name[16];
  gboolean hangs;
  int ends[2];           /* the guest's and the host's end of its channel */
  CagmaAgentLines lines; /* main loop only, as the next */
  unsigned n_under_way;  /* requests */
  uint64_t actual_kib;
  uint64_t used_kib;
  uint64_t swapped_pages;
  uint64_t stamp;
  uint64_t shown_kib;    /* its size as the manager was last told */
  gboolean target_known; /* the manager's first call is to make it so */
  gboolean inside;       /* a call to its QEMU hangs */
  int64_t sent_us;       /* its last event's bytes, … */
  gboolean met;          /* … met a request about the same guest, … */
  int64_t heard_us;      /* … the main loop had its line, … */
  int64_t submitted_us;  /* … the decision was handed to the workers, … */
  int64_t called_us;     /* … and one would have called; 0: not yet */
} Guest;

struct Bench {
  CagmaBackend backend;
  const CagmaListener *listener;
  void *owner;
  CagmaPool *pool;
  CagmaManager *manager;
  GMainLoop *loop;
  GAsyncQueue *asked; /* Guest: a question to its agent */
  GMutex lock;
  Guest *guests;
  unsigned n_guests;
  unsigned n_hung;
  gboolean hanging;
  unsigned n_events;
  GArray *latencies; /* Latency */
  unsigned n_missed;
};

/* Workers know nothing but their request. */
static Bench *the_bench;

static Guest *
find(Bench *bench, const char *uuid)
{
  return &bench->guests[g_ascii_strtoull(uuid + 24, NULL, 10)];
}

/* libvirt's part. */

static char *
describe(const Guest *guest)
{
  return g_strdup_printf(
      "<domain type='kvm' id='1'><name>%s</name><uuid>%s</uuid><metadata>"
      "<cagma:memory xmlns:cagma='urn:cagma:memory:1'><cagma:guarantee unit='MiB'>%d</cagma:guarantee>"
      "<cagma:limit unit='MiB'>%d</cagma:limit></cagma:memory>"
      "</metadata><memory unit='MiB'>%d</memory><currentMemory unit='MiB'>%d</currentMemory><devices>"
      "<channel type='unix'><target type='virtio' name='org.cagma.guest.0'/></channel>"
      "<memballoon model='virtio'><stats period='1'/></memballoon></devices></domain>",
      guest->name, guest->uuid, GUARANTEE_MIB, LIMIT_MIB, MEMORY_MIB, BASE_MIB);
}

static void
look(Guest *guest, CagmaSample *sample)
{
  sample->has = CAGMA_HAS_ACTUAL | CAGMA_HAS_USABLE | CAGMA_HAS_SWAP | CAGMA_HAS_RSS | CAGMA_HAS_STAMP;
  sample->actual_kib = guest->actual_kib;
  sample->usable_kib = cagma_above(guest->actual_kib, guest->used_kib);
  sample->swap_out_kib = guest->swapped_pages * 4;
  sample->rss_kib = guest->actual_kib;
  sample->stamp = ++guest->stamp;
}

/* With the lock held. The balloon is there when the call returns. */
static void
set(Guest *guest, uint64_t target_kib)
{
  if (guest->submitted_us && !guest->called_us && target_kib > guest->actual_kib)
    guest->called_us = g_get_monotonic_time();
  guest->actual_kib = target_kib;
  guest->target_known = TRUE;
}

/* FALSE where the domain can't be asked: virDomainGetControlInfo says so while another call hangs in it. The first hangs. */
static gboolean
may_ask(Guest *guest, CagmaRequest *request)
{
  gboolean occupied = FALSE, hangs;

  g_usleep(CALL_US);
  g_mutex_lock(&guest->bench->lock);
  hangs = guest->hangs && guest->bench->hanging;
  occupied = hangs && guest->inside;
  guest->inside = hangs;
  g_mutex_unlock(&guest->bench->lock);
  if (hangs && !occupied)
    g_usleep(G_MAXULONG);
  if (occupied)
    request->outcome = CAGMA_OUTCOME_OCCUPIED;
  return !occupied;
}

static void
work(virConnectPtr conn, GHashTable *domains, CagmaRequest *request)
{
  Guest *guest = find(the_bench, request->uuid);

  (void)conn;
  (void)domains;
  request->outcome = CAGMA_OUTCOME_DONE;
  if (request->kind != CAGMA_REQUEST_DESCRIBE && !may_ask(guest, request))
    return;
  /* A job is asked for before anything is changed. */
  if (request->kind != CAGMA_REQUEST_SAMPLE)
    g_usleep(CALL_US);
  g_mutex_lock(&guest->bench->lock);
  if (request->kind == CAGMA_REQUEST_DESCRIBE)
    request->xml = describe(guest);
  else if (request->kind == CAGMA_REQUEST_SAMPLE)
    look(guest, &request->sample);
  else if (request->kind == CAGMA_REQUEST_SET)
    set(guest, request->target_kib);
  g_mutex_unlock(&guest->bench->lock);
  g_usleep(request->kind == CAGMA_REQUEST_DESCRIBE ? CALL_US : MONITOR_US);
}

static void
done(void *owner, CagmaRequest *request)
{
  Bench *bench = owner;
  Guest *guest = find(bench, request->uuid);
  uint64_t shown_kib = request->kind == CAGMA_REQUEST_SAMPLE && request->outcome == CAGMA_OUTCOME_DONE
                           ? request->sample.actual_kib
                           : 0;

  guest->n_under_way--;
  bench->listener->completed(bench->owner, request);
  if (!shown_kib)
    return;
  g_mutex_lock(&bench->lock);
  guest->shown_kib = shown_kib;
  g_mutex_unlock(&bench->lock);
}

static void
on_line(const char *line, gsize length, gpointer user_data)
{
  Guest *guest = user_data;
  CagmaAgentMessage message;
  g_autoptr(GError) error = NULL;

  if (!cagma_agent_message_parse(line, length, &message, &error))
    g_error("%s", error->message);
  message.sample.source = CAGMA_SAMPLE_CHANNEL;
  if (message.kind == CAGMA_AGENT_PRESSURE) {
    g_mutex_lock(&guest->bench->lock);
    guest->heard_us = g_get_monotonic_time();
    guest->met = guest->n_under_way > 0;
    g_mutex_unlock(&guest->bench->lock);
  }
  guest->bench->listener->guest(guest->bench->owner, guest->uuid, &message.sample,
                                message.kind == CAGMA_AGENT_PRESSURE);
}

static gboolean
on_readable(gint fd, GIOCondition condition, gpointer user_data)
{
  Guest *guest = user_data;
  char data[16 * 1024];
  ssize_t n;

  (void)condition;
  while ((n = read(fd, data, sizeof data)) > 0)
    cagma_agent_lines_feed(&guest->lines, data, (gsize)n, on_line, guest);
  return G_SOURCE_CONTINUE;
}

static void
backend_listen(CagmaBackend *backend, const char *uuid, gboolean on)
{
  Guest *guest = find((Bench *)backend, uuid);

  if (on)
    g_unix_fd_add(guest->ends[1], G_IO_IN, on_readable, guest);
}

static void
backend_ask(CagmaBackend *backend, const char *uuid)
{
  Bench *bench = (Bench *)backend;

  g_async_queue_push(bench->asked, find(bench, uuid));
}

static void
backend_submit(CagmaBackend *backend, CagmaRequest *request)
{
  Bench *bench = (Bench *)backend;
  Guest *guest = find(bench, request->uuid);

  guest->n_under_way++;
  if (request->kind == CAGMA_REQUEST_SET) {
    g_mutex_lock(&bench->lock);
    if (guest->heard_us && !guest->submitted_us)
      guest->submitted_us = g_get_monotonic_time();
    g_mutex_unlock(&bench->lock);
  }
  cagma_pool_push(bench->pool, request);
}

static void
backend_hurry(CagmaBackend *backend, const char *uuid)
{
  cagma_pool_hurry(((Bench *)backend)->pool, uuid);
}

static void
backend_close(CagmaBackend *backend)
{
  (void)backend;
}

static void
running_free(gpointer data)
{
  CagmaRunning *running = data;

  g_free(running->name);
  g_free(running);
}

static gboolean
connect_all(gpointer user_data)
{
  Bench *bench = user_data;
  g_autoptr(GPtrArray) running = g_ptr_array_new_with_free_func(running_free);

  for (unsigned i = 0; i < bench->n_guests; i++) {
    CagmaRunning *one = g_new0(CagmaRunning, 1);

    g_strlcpy(one->uuid, bench->guests[i].uuid, sizeof one->uuid);
    one->name = g_strdup(bench->guests[i].name);
    one->id = 1;
    g_ptr_array_add(running, one);
  }
  bench->listener->connected(bench->owner, running);
  return G_SOURCE_REMOVE;
}

static void
backend_open(CagmaBackend *backend, const CagmaListener *listener, void *owner)
{
  Bench *bench = (Bench *)backend;

  bench->listener = listener;
  bench->owner = owner;
  g_idle_add(connect_all, bench);
}

/* The guests' part. */

/* As the agent writes it. The moment is taken before the bytes are out. */
static void
speak(Guest *guest, gboolean event)
{
  g_autofree char *data = NULL, *line = NULL;
  uint64_t available_kib;
  size_t length;

  g_mutex_lock(&guest->bench->lock);
  available_kib = cagma_above(guest->actual_kib, guest->used_kib);
  data = g_strdup_printf(
      "{\"total\": %d, \"free\": 2572288, \"available\": %" PRIu64 ", \"cached\": 11337728, "
      "\"committed\": 222842880, \"swap-total\": 536866816, \"swap-free\": 536854528, \"page-size\": 4096, "
      "\"pages-swapped-in\": 0, \"pages-swapped-out\": %" PRIu64
      ", \"major-faults\": 0, \"refaults-anon\": 0, "
      "\"refaults-file\": 0, \"oom-kills\": 0, \"vcpus\": 1, \"largest-process\": {\"pid\": 108, \"rss\": "
      "4247552, \"swap\": 0}, \"process-scan\": {\"processes\": 6, \"truncated\": false, \"age\": 17523032}}",
      BASE_MIB * 1024 * 1024, available_kib * 1024, guest->swapped_pages);
  g_mutex_unlock(&guest->bench->lock);
  line =
      event
          ? g_strdup_printf("{\"event\": \"GUEST_MEMORY_PRESSURE\", \"timestamp\": {\"seconds\": 1795270070, "
                            "\"microseconds\": 291180}, \"data\": %s}\n",
                            data)
          : g_strdup_printf("{\"return\": %s}\n", data);
  length = strlen(line);

  g_mutex_lock(&guest->bench->lock);
  if (event) {
    guest->heard_us = guest->submitted_us = guest->called_us = 0;
    guest->sent_us = g_get_monotonic_time();
  }
  g_mutex_unlock(&guest->bench->lock);
  if (write(guest->ends[0], line, length) != (ssize_t)length)
    g_error("a guest's channel: %s", g_strerror(errno));
}

static gpointer
answer_questions(gpointer user_data)
{
  Bench *bench = user_data;

  for (;;) {
    Guest *guest = g_async_queue_pop(bench->asked);

    g_usleep(AGENT_US / MAX(bench->n_guests, 1)); /* they all do so at once */
    if (!guest->hangs)
      speak(guest, FALSE);
  }
  return NULL;
}

typedef gboolean (*Condition)(Guest *guest);

/* Polls with the lock held, since nothing it waits for is worth waking somebody who is measured. */
static gboolean
await(Guest *guest, Condition holds, int64_t most_us)
{
  int64_t end_us = g_get_monotonic_time() + most_us;
  gboolean held = FALSE;

  while (!held && g_get_monotonic_time() < end_us) {
    g_mutex_lock(&guest->bench->lock);
    held = holds(guest);
    g_mutex_unlock(&guest->bench->lock);
    if (!held)
      g_usleep(STEP_US);
  }
  return held;
}

static gboolean
has_target(Guest *guest)
{
  return guest->target_known;
}

static gboolean
was_called(Guest *guest)
{
  return guest->called_us != 0;
}

static gboolean
is_shown_as_it_is(Guest *guest)
{
  return guest->shown_kib == guest->actual_kib;
}

static gboolean
is_shown_at_base(Guest *guest)
{
  return guest->actual_kib == CAGMA_MIB(BASE_MIB) && guest->shown_kib == guest->actual_kib;
}

static gboolean
tell_balloon(gpointer user_data)
{
  Guest *guest = user_data;
  CagmaEvent event = { .kind = CAGMA_EVENT_BALLOON, .name = guest->name, .actual_kib = CAGMA_MIB(BASE_MIB) };

  g_strlcpy(event.uuid, guest->uuid, sizeof event.uuid);
  guest->bench->listener->event(guest->bench->owner, &event);
  return G_SOURCE_REMOVE;
}

/* Its work is done, and an operator sets it back to where it was: again, where a move that was decided before came
 * in between. */
static void
set_back(Guest *guest)
{
  int64_t end_us = g_get_monotonic_time() + SETTLE_MAX_US;

  g_mutex_lock(&guest->bench->lock);
  guest->used_kib = CAGMA_MIB(USED_MIB);
  g_mutex_unlock(&guest->bench->lock);
  speak(guest, FALSE);
  do {
    if (g_get_monotonic_time() > end_us)
      g_error("%s does not come back to its size", guest->name);
    g_mutex_lock(&guest->bench->lock);
    guest->actual_kib = CAGMA_MIB(BASE_MIB);
    g_mutex_unlock(&guest->bench->lock);
    g_idle_add(tell_balloon, guest);
  } while (!await(guest, is_shown_at_base, SET_BACK_MAX_US));
  speak(guest, FALSE);
}

static void
note(Bench *bench, const Guest *guest)
{
  Latency latency = { .part_us = { guest->heard_us - guest->sent_us, guest->submitted_us - guest->heard_us,
                                   guest->called_us - guest->submitted_us,
                                   guest->called_us - guest->sent_us },
                      .met = guest->met };

  g_array_append_val(bench->latencies, latency);
}

static void
press(Bench *bench, Guest *guest)
{
  g_mutex_lock(&bench->lock);
  guest->used_kib = CAGMA_MIB(PRESSED_MIB);
  guest->swapped_pages += SWAPPED_PAGES;
  g_mutex_unlock(&bench->lock);
  speak(guest, TRUE);
  if (await(guest, was_called, CALL_MAX_US)) {
    note(bench, guest);
    if (!await(guest, is_shown_as_it_is, SETTLE_MAX_US))
      g_error("%s is not looked at after its growth", guest->name);
  } else {
    bench->n_missed++;
  }
  set_back(guest);
}

static gpointer
play(gpointer user_data)
{
  Bench *bench = user_data;
  unsigned n_healthy = bench->n_guests - bench->n_hung;

  for (unsigned i = 0; i < bench->n_guests; i++)
    if (!await(&bench->guests[i], has_target, SETTLE_MAX_US))
      g_error("%s does not settle", bench->guests[i].name);
  g_mutex_lock(&bench->lock);
  bench->hanging = TRUE;
  g_mutex_unlock(&bench->lock);
  for (unsigned i = 0; i < bench->n_events; i++) {
    g_usleep((gulong)g_random_int_range(PAUSE_LEAST_US, PAUSE_MOST_US));
    press(bench, &bench->guests[i % n_healthy]);
  }
  g_main_loop_quit(bench->loop);
  return NULL;
}

/* The frame. */

static void
populate(Bench *bench)
{
  bench->guests = g_new0(Guest, bench->n_guests);
  for (unsigned i = 0; i < bench->n_guests; i++) {
    Guest *guest = &bench->guests[i];

    guest->bench = bench;
    g_snprintf(guest->uuid, sizeof guest->uuid, "00000000-0000-4000-8000-%012u", i);
    g_snprintf(guest->name, sizeof guest->name, "vm-%u", i);
    guest->hangs = i >= bench->n_guests - bench->n_hung;
    guest->actual_kib = CAGMA_MIB(BASE_MIB);
    guest->used_kib = CAGMA_MIB(USED_MIB);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, guest->ends) < 0 ||
        !g_unix_set_fd_nonblocking(guest->ends[1], TRUE, NULL))
      g_error("socketpair: %s", g_strerror(errno));
    cagma_agent_lines_init(&guest->lines);
  }
}

static int
by_size(gconstpointer a, gconstpointer b)
{
  const int64_t *first = a, *second = b;

  return (*first > *second) - (*first < *second);
}

/* met: only those that did, or didn't; -1: all. */
static void
report_part(const Bench *bench, const char *name, Part part, int met)
{
  g_autoptr(GArray) sorted = g_array_new(FALSE, FALSE, sizeof(int64_t));

  for (guint i = 0; i < bench->latencies->len; i++) {
    const Latency *latency = &g_array_index(bench->latencies, Latency, i);

    if (met < 0 || met == latency->met)
      g_array_append_val(sorted, latency->part_us[part]);
  }
  if (!sorted->len)
    return;
  g_array_sort(sorted, by_size);
  /* Nearest rank. */
  g_print("%s %u %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n", name, sorted->len,
          g_array_index(sorted, int64_t, (sorted->len - 1) / 2),
          g_array_index(sorted, int64_t, (sorted->len * 99 + 99) / 100 - 1),
          g_array_index(sorted, int64_t, sorted->len - 1));
}

static void
report(const Bench *bench)
{
  report_part(bench, "all", PART_ALL, -1);
  report_part(bench, "heard", PART_HEARD, -1);
  report_part(bench, "decided", PART_DECIDED, -1);
  report_part(bench, "called", PART_CALLED, -1);
  report_part(bench, "alone", PART_ALL, FALSE);
  report_part(bench, "met", PART_ALL, TRUE);
  g_print("without-call %u\n", bench->n_missed);
}

int
main(int argc, char **argv)
{
  Bench bench = { .backend = { .open = backend_open,
                               .submit = backend_submit,
                               .listen = backend_listen,
                               .ask = backend_ask,
                               .hurry = backend_hurry,
                               .close = backend_close } };
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  CagmaTargets *targets;
  CagmaConf *conf;

  if (argc != 6)
    g_error("usage: scripted DOMAINS HUNG EVENTS PERIOD-MS DIR");
  bench.n_guests = (unsigned)strtoul(argv[1], NULL, 10);
  bench.n_hung = (unsigned)strtoul(argv[2], NULL, 10);
  bench.n_events = (unsigned)strtoul(argv[3], NULL, 10);
  if (bench.n_guests <= bench.n_hung)
    g_error("all hang");
  text = g_strdup_printf("[host]\nuri=" URI "\nbudget=%uMiB\nreserve=0\nperiod=%sms\n",
                         bench.n_guests * MEMORY_MIB, argv[4]);
  conf = cagma_conf_parse(text, -1, &error);
  targets = conf ? cagma_targets_open(argv[5], &error) : NULL;
  if (!targets || !cagma_libvirt_join_main_loop(&error))
    g_error("%s", error->message);

  the_bench = &bench;
  bench.latencies = g_array_new(FALSE, FALSE, sizeof(Latency));
  bench.asked = g_async_queue_new();
  populate(&bench);
  bench.pool = cagma_pool_new(URI, work, done, &bench);
  bench.manager = cagma_manager_new(&bench.backend, targets, conf, FALSE);
  bench.loop = g_main_loop_new(NULL, FALSE);
  cagma_manager_start(bench.manager);
  g_thread_unref(g_thread_new("questions", answer_questions, &bench));
  g_thread_unref(g_thread_new("guests", play, &bench));
  g_main_loop_run(bench.loop);
  report(&bench);
  /* Threads that hang can't be ended: what they use ends with the process. */
  return EXIT_SUCCESS;
}
