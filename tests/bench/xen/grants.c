/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* grants RUNS: one bed, QEMU's or Xen's. A guest is made to swap, RUNS times in each of the place's ways, and says
 * itself when that began. All moments are µs of the host's clock; 0: never.
 *   # FIGURES WAY,PERIOD-S,FIRST,STALL,CALL,ARRIVED,LAST,SWAPPED-KIB,GRANT-KIB,ERROR
 *   # SPEED US                  what a known amount of work takes where the daemon runs
 * FIRST, LAST: pages were swapped out. STALL: a pressure trigger as the agent's fired. CALL: libvirtd was first asked to
 * give it more, GRANT in all. ARRIVED: it has that, as its hypervisor says. ERROR: of the guest's moments (FIRST, LAST,
 * STALL) against the host's. The tests' judge looks on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "tests/live/cases.h"
#include "tests/live/daemon.h"
#include "tests/live/guest.h"
#include "tests/live/judge.h"
#include "tests/live/look.h"

enum { BUSY, DONOR };

/* As bench-latency: 80 MiB are available, the work takes 200; 96 MiB are in hand. Of these each would then be handed
 * half beforehand, which isn't worth a call: they stay in hand. */
#define BUSY_MIB 160
#define DONOR_MIB 256
#define MAXIMUM_MIB 448
#define GUARANTEE_MIB 96
#define IN_HAND_MIB 96
#define WORK "--mem", "200", "--tasks", "4"
#define BUSY_TERMS "<memory><guarantee unit='MiB'>96</guarantee><shares>400</shares></memory>"
#define DONOR_TERMS "<memory><guarantee unit='MiB'>96</guarantee><shares>1000</shares></memory>"

#define STATE_S 120
#define RESET_S 60
#define RUN_S 45
#define LEAST_S "5"
#define MAXIMUM_DELAY_US (2 * G_USEC_PER_SEC)
#define LIMIT_S "30"
/* The log and the balloon are looked at so often. */
#define LOOK_US (10 * 1000)
#define LOOK_CLOSELY_US (2 * 1000)
/* A PV guest holds some 100 KiB more than its target, and targets are no whole pages. */
#define NEARLY_KIB 512
#define SPEED_BYTES (8 << 20)
#define SPEED_ROUNDS 5

static guint runs = 5;

static Guest *
guest(Bed *bed, guint index)
{
  return bed->guests->pdata[index];
}

/* The best of some, since others have the machine too. */
static void
report_speed(void)
{
  g_autofree guchar *bytes = g_malloc0(SPEED_BYTES);
  int64_t least_us = G_MAXINT64;

  for (guint i = 0; i < SPEED_ROUNDS; i++) {
    int64_t began_us = g_get_monotonic_time();
    g_autofree char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, SPEED_BYTES);

    least_us = MIN(least_us, g_get_monotonic_time() - began_us);
  }
  g_test_message("SPEED %" PRId64, least_us);
}

static void
start(Bed *bed)
{
  report_speed();
  guest_start_defined(bed, "busy", BUSY_MIB, MAXIMUM_MIB, GUARANTEE_MIB, place_options);
  guest_start_defined(bed, "donor", DONOR_MIB, MAXIMUM_MIB, GUARANTEE_MIB, place_options);
  guest_configure(guest(bed, BUSY), BUSY_TERMS, TERMS_BALANCED, GUARANTEE_MIB, MAXIMUM_MIB);
  guest_configure(guest(bed, DONOR), DONOR_TERMS, TERMS_BALANCED, GUARANTEE_MIB, MAXIMUM_MIB);
  for (guint i = BUSY; i <= DONOR; i++) {
    guest_await_agent(guest(bed, i));
    guest_await_report(guest(bed, i));
    place_prepare(guest(bed, i));
    guest_await_rest(guest(bed, i), RESET_S);
  }
}

/* As an operator does it, while no daemon runs. */
static void
reset(Guest *guest, guint mib)
{
  virDomainPtr domain = guest_domain(guest);

  g_assert_cmpint(virDomainSetMemoryFlags(domain, mib * 1024, VIR_DOMAIN_AFFECT_LIVE), ==, 0);
  virDomainFree(domain);
  guest_await_actual(guest, mib * 1024 - NEARLY_KIB, mib * 1024 + NEARLY_KIB, RESET_S);
  guest_await_rest(guest, RESET_S);
}

/* Until it has asked both to stay where they are, it lends nothing. */
static gboolean
knows_targets(gpointer data)
{
  return daemon_number(data, "busy", "target-kib") != 0 && daemon_number(data, "donor", "target-kib") != 0;
}

/* With a period of a second until both have settled. */
static void
start_daemon(Bed *bed, const Way *way)
{
  g_autofree char *period = g_strdup_printf("period=%us", way->period_s);

  /* It is to know nothing of the last run. */
  g_assert_cmpint(bed_run((const char *[]){ "rm", "-rf", bed->run_dir, NULL }, NULL, NULL, NULL), ==, 0);
  daemon_configure(bed, IN_HAND_MIB, NULL);
  daemon_start(bed, NULL);
  for (guint i = BUSY; i <= DONOR; i++)
    daemon_await_source(bed, guest(bed, i)->name, way->source, STATE_S);
  bed_await(STATE_S, knows_targets, bed, "cagmad knows what both were last asked to be");
  case_await_steady(bed);
  daemon_configure(bed, IN_HAND_MIB, period);
}

/* A run. */

/* What tests/bench/latency/swapwatch.c says, by the guest's clock; 0: never. */
typedef struct {
  int64_t first_us;
  int64_t error_us;
  int64_t last_us;
  uint64_t pages;
  int64_t stall_us;
} Said;

typedef struct {
  Bed *bed;
  const char *tag;
  int64_t since_us;
  Look *look;
  Call grant; /* at_us 0: none yet */
  int64_t arrived_us;
  Said said;
} Run;

static gboolean
has_said(Run *run)
{
  g_autofree char *path = place_console(guest(run->bed, BUSY));
  g_autofree char *start = g_strdup_printf("SWAPWATCH %s ", run->tag);
  g_autofree char *text = NULL;
  const char *line;

  if (!g_file_get_contents(path, &text, NULL, NULL))
    return FALSE;
  line = strstr(text, start);
  /* All of it. */
  return line && strchr(line, '\n') &&
         sscanf(line + strlen(start), "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNd64,
                &run->said.first_us, &run->said.error_us, &run->said.last_us, &run->said.pages,
                &run->said.stall_us) == 5;
}

static void
look_for_grant(Run *run)
{
  judge_read(run->bed);
  for (guint i = 0; i < run->bed->calls->len && !run->grant.at_us; i++) {
    const Call *call = &g_array_index(run->bed->calls, Call, i);

    if (call->at_us >= run->since_us && call->guest == guest(run->bed, BUSY) &&
        call->kib > BUSY_MIB * 1024 + NEARLY_KIB)
      run->grant = *call;
  }
}

/* Asking QEMU through libvirt takes the domain's job, which the daemon gives way to: not before the call. */
static void
look_for_arrival(Run *run)
{
  Sighting sighting = { 0 };

  if (look_at(run->look, &sighting) && sighting.actual_kib + NEARLY_KIB >= run->grant.kib)
    run->arrived_us = sighting.told_us;
}

static void
follow(Run *run)
{
  int64_t deadline_us = run->since_us + RUN_S * G_USEC_PER_SEC;

  while (!has_said(run)) {
    if (g_get_real_time() >= deadline_us)
      g_error("%s: nothing is heard from the guest", run->tag);
    if (!run->grant.at_us)
      look_for_grant(run);
    if (run->grant.at_us && !run->arrived_us)
      look_for_arrival(run);
    g_usleep(run->grant.at_us && !run->arrived_us ? LOOK_CLOSELY_US : LOOK_US);
  }
}

static int64_t
to_host(int64_t guest_us, int64_t offset_us)
{
  return guest_us ? guest_us - offset_us : 0;
}

static void
report(const Run *run, const Way *way, const Clock *before, const Clock *after)
{
  const Said *said = &run->said;
  int64_t offset_us = (before->offset_us + after->offset_us) / 2;
  int64_t drift_us = ABS(after->offset_us - before->offset_us);
  /* libvirtd's log has whole ms. */
  int64_t error_us = MAX(before->error_us, after->error_us) + drift_us / 2 + said->error_us + 500;
  uint64_t grant_kib = run->grant.at_us ? run->grant.kib - (uint64_t)BUSY_MIB * 1024 : 0;

  g_test_message("clock %" PRId64 " and %" PRId64 ", %" PRId64 " apart; first page %" PRId64,
                 before->error_us, after->error_us, drift_us, said->error_us);
  g_test_message("FIGURES %s,%u,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRIu64
                 ",%" PRIu64 ",%" PRId64,
                 way->name, way->period_s, to_host(said->first_us, offset_us),
                 to_host(said->stall_us, offset_us), run->grant.at_us, run->arrived_us,
                 to_host(said->last_us, offset_us), said->pages * 4, grant_kib, error_us);
}

static void
run_once(Bed *bed, const Way *way, guint number)
{
  g_autofree char *tag = g_strdup_printf("%s-%u", way->name, number);
  g_autofree char *pid = NULL;
  Run run = { .bed = bed, .tag = tag, .look = look_new(bed->uri, guest(bed, BUSY)->uuid) };
  Clock before, after;

  for (guint i = BUSY; i <= DONOR; i++)
    place_run_agent(guest(bed, i), way->agent);
  reset(guest(bed, BUSY), BUSY_MIB);
  reset(guest(bed, DONOR), DONOR_MIB);
  start_daemon(bed, way);
  before = place_clock(guest(bed, BUSY));
  /* Any moment of a short period, and of the guests' reports. */
  g_usleep((gulong)g_random_int_range(0, MAXIMUM_DELAY_US));
  run.since_us = g_get_real_time();
  pid = guest_control(guest(bed, BUSY), (const char *[]){ "exec", "/usr/bin/swapwatch", tag, LEAST_S, LIMIT_S,
                                                          "/bin/work", WORK, NULL });
  follow(&run);
  after = place_clock(guest(bed, BUSY));
  daemon_stop(bed);
  look_free(run.look);
  report(&run, way, &before, &after);
}

static void
measure(Bed *bed)
{
  for (guint number = 0; number < runs; number++)
    for (const Way *way = place_ways; way->name; way++)
      run_once(bed, way, number);
}

static void
add(Bed *bed)
{
  bed_add(bed, "/grants", measure);
}

int
main(int argc, char **argv)
{
  if (argc > 1)
    runs = (guint)atoi(argv[1]);
  return bed_main(argc, argv, start, add);
}
