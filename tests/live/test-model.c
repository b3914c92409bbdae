/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulator's model of a guest (policy/sim/body.h) against real ones: the same work, the
 * same moves of the balloon, the same disk, and how far apart the two are.
 *
 * Guests live through their cases, some at once; then each case is played in the model too,
 * with what can be known of the guest beforehand: what it uses at rest. */

#include <glib.h>
#include <math.h>
#include <stdlib.h>

#include <libvirt/virterror.h>

#include "guest.h"
#include "policy/sim/device.h"
#include "policy/sim/sim.h"
#include "policy/units.h"

#define LOOK_US (G_USEC_PER_SEC / 10)
#define REST_S 60
#define END_S 120
#define TASKS 4
#define SLACK_S 3
/* What a read brings is the kernel's rule, and hardly varies. */
#define READ_FACTOR 1.25

/* The disk, swap and data together: throttled by QEMU, a rotating one's requests and an
 * SSD's bandwidth, so that it is the requests that count. */
#define IOPS 500
#define BANDWIDTH_MIB 150

#define PARTS_MAX 2
#define MOVES_MAX 2

/* What is done to a guest: seconds from the case's start, MiB. */
typedef struct {
  guint mib; /* 0: none */
  gboolean file, cyclic;
  guint from_s;
  guint fill_mib_per_s; /* ANON only; 0: as fast as it goes */
  guint pages_per_s;    /* 0: isn't touched again */
} Work;

typedef struct {
  guint at_s, mib;
} Move;

typedef struct {
  const char *name;
  guint memory_mib, start_mib;
  Work work[PARTS_MAX];
  Move moves[MOVES_MAX];
  guint end_s;
} Plan;

typedef enum {
  ACTUAL,
  AVAILABLE,
  SWAP_IN, /* these: since the case's start */
  SWAP_OUT,
  FILE_READ,
  SWAP_IN_REQUESTS, /* thousands; the model doesn't tell */
  SWAP_OUT_REQUESTS,
  FILE_REQUESTS,
  N_FIGURES,
} Figure;

/* MiB, if nothing else is said. */
typedef struct {
  double at_s;
  double is[N_FIGURES];
} Point;

typedef struct {
  const Plan *plan;
  Guest *guest;
  virDomainPtr domain;
  int64_t began_us;
  double before[N_FIGURES];
  guint moves_done;
  uint64_t unused_kib, caches_kib; /* at rest */
  GArray *real;
} Case;

enum { RANDOM, CYCLIC, COLD, CACHE, MIXED, IDLE, N_CASES };

/* With all at once two processors would be busy with emulating, rather than the guests with
 * waiting for their disks. */
#define AT_ONCE 3

/* A guest of 144 MiB has room for some 55 to 65; where that isn't enough, its root file system,
 * in a tmpfs, goes to swap first. Balloons move late: under TCG they want much of a processor. */
static const Plan plans[N_CASES] = {
  [RANDOM] = { .name = "random",
               .memory_mib = 256,
               .start_mib = 144,
               .work = { { .mib = 90, .fill_mib_per_s = 15, .pages_per_s = 4000 } },
               .moves = { { 14, 256 } },
               .end_s = 40 },
  [CYCLIC] = { .name = "cyclic",
               .memory_mib = 256,
               .start_mib = 144,
               .work = { { .mib = 90, .cyclic = TRUE, .fill_mib_per_s = 15, .pages_per_s = 6000 } },
               .moves = { { 14, 256 } },
               .end_s = 22 },
  [COLD] = { .name = "cold",
             .memory_mib = 256,
             .start_mib = 144,
             .work = { { .mib = 80, .fill_mib_per_s = 40 },
                       { .mib = 30, .from_s = 4, .fill_mib_per_s = 25, .pages_per_s = 2000 } },
             .moves = { { 24, 120 } },
             .end_s = 36 },
  [CACHE] = { .name = "cache",
              .memory_mib = 256,
              .start_mib = 144,
              .work = { { .mib = 90, .file = TRUE, .cyclic = TRUE, .pages_per_s = 3000 } },
              .moves = { { 12, 256 } },
              .end_s = 24 },
  /* All fits but what isn't touched again. */
  [MIXED] = { .name = "mixed",
              .memory_mib = 256,
              .start_mib = 144,
              .work = { { .mib = 40 },
                        { .mib = 50, .file = TRUE, .cyclic = TRUE, .from_s = 2, .pages_per_s = 4000 } },
              .end_s = 36 },
  [IDLE] = { .name = "idle",
             .memory_mib = 640,
             .start_mib = 640,
             .moves = { { 24, 256 }, { 34, 640 } },
             .end_s = 40 },
};

static Case cases[N_CASES];
G_STATIC_ASSERT(N_CASES % AT_ONCE == 0);

/* The real guests. */

static void
throttle(virDomainPtr domain, const char *disk)
{
  virTypedParameterPtr parameters = NULL;
  int n = 0, size = 0;

  virTypedParamsAddString(&parameters, &n, &size, VIR_DOMAIN_BLOCK_IOTUNE_GROUP_NAME, "disk");
  virTypedParamsAddULLong(&parameters, &n, &size, VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC, IOPS);
  virTypedParamsAddULLong(&parameters, &n, &size, VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC,
                          CAGMA_MIB(BANDWIDTH_MIB) * 1024);
  if (virDomainSetBlockIoTune(domain, disk, parameters, n, VIR_DOMAIN_AFFECT_LIVE) < 0)
    g_error("%s: %s", disk, virGetLastErrorMessage());
  virTypedParamsFree(parameters, n);
}

static uint64_t
statistic(virDomainPtr domain, virDomainMemoryStatTags tag)
{
  virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
  int n = virDomainMemoryStats(domain, stats, G_N_ELEMENTS(stats), 0);

  for (int i = 0; i < n; i++)
    if (stats[i].tag == (int)tag)
      return stats[i].val;
  g_error("%s doesn't tell its memory statistic %d", virDomainGetName(domain), (int)tag);
}

static void
read_disks(virDomainPtr domain, double is[N_FIGURES])
{
  virDomainBlockStatsStruct swap, data;

  g_assert_cmpint(virDomainBlockStats(domain, "vda", &swap, sizeof swap), ==, 0);
  g_assert_cmpint(virDomainBlockStats(domain, "vdb", &data, sizeof data), ==, 0);
  is[SWAP_IN] = (double)swap.rd_bytes / (1 << 20);
  is[SWAP_OUT] = (double)swap.wr_bytes / (1 << 20);
  is[FILE_READ] = (double)data.rd_bytes / (1 << 20);
  is[SWAP_IN_REQUESTS] = (double)swap.rd_req / 1000;
  is[SWAP_OUT_REQUESTS] = (double)swap.wr_req / 1000;
  is[FILE_REQUESTS] = (double)data.rd_req / 1000;
}

static void
look(Case *one)
{
  Point point = { .at_s = (double)(g_get_monotonic_time() - one->began_us) / G_USEC_PER_SEC };

  read_disks(one->domain, point.is);
  for (Figure i = SWAP_IN; i < N_FIGURES; i++)
    point.is[i] -= one->before[i];
  point.is[ACTUAL] = (double)statistic(one->domain, VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON) / 1024;
  point.is[AVAILABLE] = (double)statistic(one->domain, VIR_DOMAIN_MEMORY_STAT_USABLE) / 1024;
  g_array_append_val(one->real, point);
}

static void
do_work(Case *one, const Work *work)
{
  g_autoptr(GString) command = g_string_new(NULL);

  g_string_append_printf(command, "sleep %u; exec /bin/work %s %u --tasks %d --stat /run/work.%u",
                         work->from_s, work->file ? "--read" : "--mem", work->mib, work->cyclic ? 1 : TASKS,
                         work->from_s);
  if (work->cyclic && !work->file)
    g_string_append(command, " --in-order");
  if (work->fill_mib_per_s)
    g_string_append_printf(command, " --ramp %u", work->fill_mib_per_s);
  if (work->pages_per_s)
    g_string_append_printf(command, " --pace %u", work->pages_per_s);
  else
    g_string_append(command, " --hold");
  g_free(guest_control(one->guest, (const char *[]){ "exec", "/bin/sh", "-c", command->str, NULL }));
}

static void
begin(Case *one)
{
  read_disks(one->domain, one->before);
  one->unused_kib = statistic(one->domain, VIR_DOMAIN_MEMORY_STAT_UNUSED);
  one->caches_kib = statistic(one->domain, VIR_DOMAIN_MEMORY_STAT_DISK_CACHES);
  one->began_us = g_get_monotonic_time();
  look(one);
  for (guint i = 0; i < PARTS_MAX; i++)
    if (one->plan->work[i].mib)
      do_work(one, &one->plan->work[i]);
}

static gboolean
has_ended(const Case *one)
{
  return one->real->len && g_array_index(one->real, Point, one->real->len - 1).at_s >= one->plan->end_s;
}

static void
move_when_due(Case *one)
{
  const Move *move = &one->plan->moves[one->moves_done];

  if (one->moves_done == MOVES_MAX || !move->mib ||
      g_get_monotonic_time() < one->began_us + move->at_s * G_USEC_PER_SEC)
    return;
  g_assert_cmpint(virDomainSetMemoryFlags(one->domain, CAGMA_MIB(move->mib), VIR_DOMAIN_AFFECT_LIVE), ==, 0);
  one->moves_done++;
}

/* Those that live through their cases now. */
static gboolean
all_have_ended(gpointer data)
{
  Case *some = data;
  gboolean ended = TRUE;

  for (guint i = 0; i < AT_ONCE; i++) {
    if (has_ended(&some[i]))
      continue;
    ended = FALSE;
    move_when_due(&some[i]);
    look(&some[i]);
  }
  return ended;
}

static void
live_through(Case *some)
{
  for (guint i = 0; i < AT_ONCE; i++)
    begin(&some[i]);
  bed_await(END_S, all_have_ended, some, "cases end");
  /* Its work would go on. */
  for (guint i = 0; i < AT_ONCE; i++)
    g_assert_cmpint(virDomainSuspend(some[i].domain), ==, 0);
}

static void
start(Bed *bed)
{
  for (guint i = 0; i < N_CASES; i++) {
    cases[i].plan = &plans[i];
    cases[i].guest =
        guest_start(bed, plans[i].name, plans[i].start_mib, plans[i].memory_mib, 0, "--data 128");
    cases[i].domain = guest_domain(cases[i].guest);
    cases[i].real = g_array_new(FALSE, FALSE, sizeof(Point));
  }
  for (guint i = 0; i < N_CASES; i++) {
    guest_await_agent(cases[i].guest);
    guest_await_report(cases[i].guest);
    guest_await_rest(cases[i].guest, REST_S);
    throttle(cases[i].domain, "vda");
    throttle(cases[i].domain, "vdb");
  }
}

/* The model. */

/* The contestant: moves the balloon as the test did, and keeps what it is told. There is one
 * at a time. */
static const Plan *played;
static GArray *told;

static void
decide(gpointer memory, CagmaPeerHost *host, int64_t now_us)
{
  static int64_t began_us;
  CagmaPeerGuest *guest = &host->guests[0];
  const CagmaSample *sample = &guest->sample;
  Point point = { 0 };

  (void)memory;
  if (told->len == 0)
    began_us = now_us;
  point.at_s = (double)(now_us - began_us) / G_USEC_PER_SEC;
  point.is[ACTUAL] = (double)sample->actual_kib / 1024;
  point.is[AVAILABLE] = (double)sample->usable_kib / 1024;
  point.is[SWAP_IN] = (double)sample->swap_in_kib / 1024;
  point.is[SWAP_OUT] = (double)sample->swap_out_kib / 1024;
  point.is[FILE_READ] = (double)(sample->block_read_kib - sample->swap_in_kib) / 1024;
  g_array_append_val(told, point);
  for (guint i = 0; i < MOVES_MAX; i++)
    if (played->moves[i].mib && point.at_s >= played->moves[i].at_s)
      guest->target_kib = CAGMA_MIB(played->moves[i].mib);
}

static const CagmaPeer mover = {
  .name = "mover",
  .summary = "Moves the balloon as the test does",
  .period_us = LOOK_US,
  .decide = decide,
};

/* From from_us on of this size, filled in ramp_us and then touched. */
static void
add_part(CagmaSimGuest *guest, const Work *work)
{
  CagmaPart *part = &guest->parts[guest->n_parts++];
  /* A file not from 0 on, where guests have been for a while before the start. */
  int64_t from_us = work->from_s * CAGMA_SECOND_US + (work->file ? 1 : 0), fill_us = 0;

  part->kind = work->file ? CAGMA_PART_FILE : CAGMA_PART_ANON;
  part->access = work->cyclic ? CAGMA_ACCESS_CYCLIC : CAGMA_ACCESS_RANDOM;
  part->n_phases = 2;
  part->phases = g_new0(CagmaPhase, 2);
  if (work->fill_mib_per_s)
    fill_us = work->mib * CAGMA_SECOND_US / work->fill_mib_per_s;
  for (guint i = 0; i < 2; i++) {
    cagma_sim_phase_init(&part->phases[i]);
    part->phases[i].size_kib = CAGMA_MIB(work->mib);
    part->phases[i].from_us = from_us;
    part->phases[i].sweep_us = 0;
  }
  part->phases[0].ramp_us = fill_us;
  part->phases[1].from_us += MAX(fill_us, 1);
  if (work->pages_per_s)
    part->phases[1].sweep_us = work->mib * 256 * CAGMA_SECOND_US / work->pages_per_s;
}

static void
add_guest(CagmaScenario *scenario, const Case *one)
{
  static const Work none = { 0 };
  CagmaSimGuest *guest = g_new0(CagmaSimGuest, 1);

  cagma_sim_guest_init(guest);
  g_free(guest->name);
  guest->name = g_strdup(one->plan->name);
  guest->memory_kib = CAGMA_MIB(one->plan->memory_mib);
  guest->start_kib = CAGMA_MIB(one->plan->start_mib);
  guest->swap_kib = CAGMA_MIB(512);
  guest->vcpus = TASKS;
  /* QEMU's TCG takes pages one by one. */
  guest->balloon_down_kib_per_s = CAGMA_MIB(250);
  guest->reports = CAGMA_REPORTS_BALLOON;
  guest->report_us = LOOK_US;
  guest->delay_us = 0;
  /* Its root file system, in a tmpfs, can be swapped out; what else it has isn't given. */
  guest->kernel_kib = guest->start_kib - one->unused_kib - one->caches_kib;
  guest->parts = g_new0(CagmaPart, PARTS_MAX + 1);
  add_part(guest, &none);
  guest->parts[0].phases[0].size_kib = guest->parts[0].phases[1].size_kib = one->caches_kib;
  for (guint i = 0; i < PARTS_MAX; i++)
    if (one->plan->work[i].mib)
      add_part(guest, &one->plan->work[i]);
  scenario->guests = guest;
  scenario->n_guests = 1;
}

/* What scenarios have that say nothing of their disk. */
static CagmaSimDisk
default_disk(void)
{
  CagmaScenario scenario;
  CagmaSimDisk disk;

  cagma_scenario_init(&scenario);
  disk = scenario.disk;
  cagma_scenario_clear(&scenario);
  return disk;
}

/* The disk's pace is that of the real one. */
static GArray *
play(const Case *one, CagmaSimDisk disk)
{
  CagmaScenario scenario;
  g_autoptr(GError) error = NULL;
  CagmaContestant contestant = { .peer = &mover };
  CagmaSimResult result;

  cagma_scenario_init(&scenario);
  scenario.duration_us = one->plan->end_s * CAGMA_SECOND_US;
  disk.iops = IOPS;
  disk.kib_per_s = CAGMA_MIB(BANDWIDTH_MIB);
  disk.latency_us = CAGMA_SECOND_US / IOPS;
  scenario.disk = disk;
  add_guest(&scenario, one);
  if (!cagma_scenario_check(&scenario, &error))
    g_error("%s", error->message);

  played = one->plan;
  told = g_array_new(FALSE, FALSE, sizeof(Point));
  cagma_sim_run(&scenario, &contestant, NULL, &result);
  cagma_sim_result_clear(&result);
  cagma_scenario_clear(&scenario);
  return told;
}

/* What is read off either. */

static const Point *
point_at(const GArray *series, guint i)
{
  return &g_array_index(series, Point, i);
}

/* Between the points, a straight line. */
static double
value(const GArray *series, Figure figure, double at_s)
{
  guint i = 1;
  double part;

  while (i + 1 < series->len && point_at(series, i)->at_s < at_s)
    i++;
  part = (at_s - point_at(series, i - 1)->at_s) / (point_at(series, i)->at_s - point_at(series, i - 1)->at_s);
  part = CLAMP(part, 0, 1);
  return point_at(series, i - 1)->is[figure] * (1 - part) + point_at(series, i)->is[figure] * part;
}

static double
grown(const GArray *series, Figure figure, double from_s, double to_s)
{
  return value(series, figure, to_s) - value(series, figure, from_s);
}

static double
pace(const GArray *series, Figure figure, double from_s, double to_s)
{
  return grown(series, figure, from_s, to_s) / (to_s - from_s);
}

/* How long after from_s the figure has gone this part of the way it goes until to_s; 0: it goes nowhere. */
static double
time_to(const GArray *series, Figure figure, double from_s, double to_s, double part)
{
  double first = value(series, figure, from_s);
  double way = value(series, figure, to_s) - first;

  for (guint i = 0; i < series->len; i++)
    if (point_at(series, i)->at_s > from_s && (point_at(series, i)->is[figure] - first) / way >= part)
      return point_at(series, i)->at_s - from_s;
  return 0;
}

/* When the figure was first above this; 0: never. */
static double
first_above(const GArray *series, Figure figure, double mib)
{
  for (guint i = 0; i < series->len; i++)
    if (point_at(series, i)->is[figure] > mib)
      return point_at(series, i)->at_s;
  return 0;
}

/* The two, side by side. */
typedef struct {
  const Case *one;
  GArray *model;
} Pair;

static void
pair_clear(Pair *pair)
{
  g_clear_pointer(&pair->model, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

/* Tells both. */
static void
tell(const Pair *pair, const char *what, const char *unit, double real, double model)
{
  g_test_message("%-6s  %-48s %7.2f  model %7.2f %-5s  real/model %.2f", pair->one->plan->name, what, real,
                 model, unit, real / model);
}

static gboolean
is_within(double real, double model, double factor)
{
  return real > 0 && real <= model * factor && model <= real * factor;
}

/* Holds them to a factor either way. All are told before the test fails. */
static void
compare(const Pair *pair, const char *what, const char *unit, double real, double model, double factor)
{
  tell(pair, what, unit, real, model);
  if (!is_within(real, model, factor))
    g_test_fail_printf("%s, %s: not within a factor of %g", pair->one->plan->name, what, factor);
}

/* Paces: a machine that is busy makes a real guest slower, never faster. What its requests bring is
 * held to more tightly. */
static void
compare_at_most(const Pair *pair, const char *what, const char *unit, double real, double model,
                double factor)
{
  tell(pair, what, unit, real, model);
  if (!(real > 0 && real <= model * factor))
    g_test_fail_printf("%s, %s: more than %g times the model's", pair->one->plan->name, what, factor);
}

/* Times, 0 for what didn't happen. Where it is little, it depends on what else the machine does, and
 * isn't held to the factor. */
static void
compare_s(const Pair *pair, const char *what, double real_s, double model_s, double factor)
{
  tell(pair, what, "s", real_s, model_s);
  if (real_s == 0 || model_s == 0 ||
      !(is_within(real_s, model_s, factor) || fabs(real_s - model_s) <= SLACK_S))
    g_test_fail_printf("%s, %s: not within a factor of %g", pair->one->plan->name, what, factor);
}

/* And these to a difference. */
static void
compare_mib(const Pair *pair, const char *what, double real, double model, double mib)
{
  g_test_message("%-6s  %-48s %7.2f  model %7.2f MiB    difference %+.2f", pair->one->plan->name, what, real,
                 model, real - model);
  if (!(fabs(real - model) <= mib))
    g_test_fail_printf("%s, %s: not within %g MiB", pair->one->plan->name, what, mib);
}

static void
compare_first(const Pair *pair, const char *what, Figure figure, double above_mib, double factor)
{
  compare(pair, what, "s", first_above(pair->one->real, figure, above_mib),
          first_above(pair->model, figure, above_mib), factor);
}

static void
compare_grown(const Pair *pair, const char *what, Figure figure, double from_s, double to_s, double factor)
{
  compare(pair, what, "MiB", grown(pair->one->real, figure, from_s, to_s),
          grown(pair->model, figure, from_s, to_s), factor);
}

static void
compare_pace(const Pair *pair, const char *what, Figure figure, double from_s, double to_s, double factor)
{
  compare_at_most(pair, what, "MiB/s", pace(pair->one->real, figure, from_s, to_s),
                  pace(pair->model, figure, from_s, to_s), factor);
}

static void
compare_time(const Pair *pair, const char *what, Figure figure, double from_s, double to_s, double part,
             double factor)
{
  compare_s(pair, what, time_to(pair->one->real, figure, from_s, to_s, part),
            time_to(pair->model, figure, from_s, to_s, part), factor);
}

/* When the balloon has arrived where it was sent: under TCG that takes as long as the processor is
 * busy with others. */
static double
arrived(const GArray *series, const Move *move)
{
  for (guint i = 0; i < series->len; i++)
    if (point_at(series, i)->at_s > move->at_s && fabs(point_at(series, i)->is[ACTUAL] - move->mib) < 1)
      return point_at(series, i)->at_s;
  return 0;
}

/* How much more there is of it once the balloon has arrived, and how fast that comes. */
static void
compare_recovery(const Pair *pair, const char *what, Figure figure)
{
  const Plan *plan = pair->one->plan;
  double real_s = arrived(pair->one->real, &plan->moves[0]), model_s = arrived(pair->model, &plan->moves[0]);
  double real, model;

  real = grown(pair->one->real, figure, real_s, plan->end_s);
  model = grown(pair->model, figure, model_s, plan->end_s);
  /* What came while the balloon was on its way isn't in it: that may be all. */
  tell(pair, what, "MiB", real, model);
  if (!(real <= 3 * model))
    g_test_fail_printf("%s, %s: more than 3 times the model's", plan->name, what);
  tell(pair, "half of that after", "s", time_to(pair->one->real, figure, real_s, plan->end_s, 0.5),
       time_to(pair->model, figure, model_s, plan->end_s, 0.5));
  tell(pair, "nine tenths of that after", "s", time_to(pair->one->real, figure, real_s, plan->end_s, 0.9),
       time_to(pair->model, figure, model_s, plan->end_s, 0.9));
}

/* At a time when the balloon has stood still for longer than reports take. */
static void
compare_available(const Pair *pair, const char *what, double at_s)
{
  compare_mib(pair, what, value(pair->one->real, AVAILABLE, at_s), value(pair->model, AVAILABLE, at_s), 24);
}

/* What a request brings or takes: whatever the load. */
static double
request_kib(const GArray *real, Figure mib, Figure requests, double from_s, double to_s)
{
  return grown(real, mib, from_s, to_s) * 1.024 / grown(real, requests, from_s, to_s);
}

/* Both, each second. */
static void
tell_course(const Pair *pair)
{
  const GArray *of[] = { pair->one->real, pair->model };

  g_test_message("%-6s   s: actual, available MiB; swap-in, swap-out, read MiB/s  |  the model's",
                 pair->one->plan->name);
  for (guint s = 1; s <= pair->one->plan->end_s; s++) {
    g_autoptr(GString) line = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(of); i++)
      g_string_append_printf(line, "%s %6.1f %6.1f  %5.2f %5.2f %5.2f", i ? "  |" : "",
                             value(of[i], ACTUAL, s), value(of[i], AVAILABLE, s),
                             pace(of[i], SWAP_IN, s - 1, s), pace(of[i], SWAP_OUT, s - 1, s),
                             pace(of[i], FILE_READ, s - 1, s));
    g_test_message("%-6s  %2u:%s", pair->one->plan->name, s, line->str);
  }
}

/* Reads and writes at random places: page by page, so that coming back takes long. */
static void
test_random(void)
{
  const Case *one = &cases[RANDOM];
  CagmaSimDisk disk = default_disk();
  double read_kib = cagma_disk_read_kib(&disk, CAGMA_PART_ANON, CAGMA_ACCESS_RANDOM);
  g_auto(Pair) pair = { one, play(one, disk) };
  /* It thrashes, and has been given memory. */
  double from_s = 8, raised_s = one->plan->moves[0].at_s, end_s = one->plan->end_s;

  tell_course(&pair);
  compare_first(&pair, "first page swapped out after", SWAP_OUT, 0, 2);
  compare_first(&pair, "first MiB swapped in after", SWAP_IN, 1, 2);
  compare_grown(&pair, "swapped out before it thrashes", SWAP_OUT, 0, from_s, 2);
  compare_pace(&pair, "swap-in while it thrashes", SWAP_IN, from_s, raised_s, 2);
  /* The kernel writes ahead, in bursts: only the sum is alike. */
  compare_grown(&pair, "swapped out before it has memory", SWAP_OUT, 0, raised_s, 2);
  compare_available(&pair, "available while it thrashes", raised_s - 1);
  compare_recovery(&pair, "swapped in once it has memory", SWAP_IN);
  compare(&pair, "a swap-in while it thrashes brings", "KiB",
          request_kib(one->real, SWAP_IN, SWAP_IN_REQUESTS, from_s, raised_s), read_kib, READ_FACTOR);
  compare(&pair, "a swap-in while it recovers brings", "KiB",
          request_kib(one->real, SWAP_IN, SWAP_IN_REQUESTS, raised_s, end_s), read_kib, READ_FACTOR);
  compare(&pair, "a swap-out takes", "KiB", request_kib(one->real, SWAP_OUT, SWAP_OUT_REQUESTS, 0, raised_s),
          (double)disk.swap_write_kib, 4);
}

/* Reads and writes in order: all of it is always missing, and what is read ahead is used. */
static void
test_cyclic(void)
{
  const Case *one = &cases[CYCLIC];
  g_auto(Pair) pair = { one, play(one, default_disk()) };
  double from_s = 8, raised_s = one->plan->moves[0].at_s;

  tell_course(&pair);
  compare_first(&pair, "first page swapped out after", SWAP_OUT, 0, 2);
  compare_first(&pair, "first MiB swapped in after", SWAP_IN, 1, 2);
  compare_pace(&pair, "swap-in while it thrashes", SWAP_IN, from_s, raised_s, 2);
  compare_pace(&pair, "swap-out while it thrashes", SWAP_OUT, from_s, raised_s, 2);
  compare_recovery(&pair, "swapped in once it has memory", SWAP_IN);
}

/* A model that is wrong is told from one that is right. The real guest's pace depends on the load of
 * the machine: what its requests bring decides. */
static void
test_half_the_read_ahead_shows(void)
{
  const Case *one = &cases[CYCLIC];
  CagmaSimDisk disk = default_disk();
  g_auto(Pair) right = { one, play(one, disk) };
  g_auto(Pair) wrong = { 0 };
  double from_s = 8, raised_s = one->plan->moves[0].at_s, right_pace, wrong_pace;
  double brings_kib = request_kib(one->real, SWAP_IN, SWAP_IN_REQUESTS, from_s, raised_s);

  compare(&right, "a swap-in brings", "KiB", brings_kib, (double)disk.swap_read_kib, READ_FACTOR);
  disk.swap_read_kib /= 2;
  g_assert_cmpfloat(brings_kib, >, READ_FACTOR * (double)disk.swap_read_kib);
  wrong = (Pair){ one, play(one, disk) };
  right_pace = pace(right.model, SWAP_IN, from_s, raised_s);
  wrong_pace = pace(wrong.model, SWAP_IN, from_s, raised_s);
  g_test_message("%-6s  with half the read-ahead the model swaps in %.2f MiB/s instead of %.2f",
                 one->plan->name, wrong_pace, right_pace);
  g_assert_cmpfloat(right_pace / wrong_pace, >, 1.5);
}

/* What isn't touched goes before what is, for others and for the balloon. */
static void
test_cold(void)
{
  const Case *one = &cases[COLD];
  g_auto(Pair) pair = { one, play(one, default_disk()) };
  double shrunk_s = one->plan->moves[0].at_s, end_s = one->plan->end_s;

  tell_course(&pair);
  compare_grown(&pair, "swapped out for the hot part and itself", SWAP_OUT, 0, shrunk_s, 2);
  compare_mib(&pair, "swapped in", value(one->real, SWAP_IN, end_s), value(pair.model, SWAP_IN, end_s), 3);
  compare_grown(&pair, "swapped out for the balloon", SWAP_OUT, shrunk_s, end_s, 2);
  compare_time(&pair, "balloon down without free pages, nine tenths in", ACTUAL, shrunk_s, end_s, 0.9, 5);
}

/* A file that is read in cycles. */
static void
test_cache(void)
{
  const Case *one = &cases[CACHE];
  g_auto(Pair) pair = { one, play(one, default_disk()) };
  double from_s = 6, raised_s = one->plan->moves[0].at_s;

  tell_course(&pair);
  compare_pace(&pair, "read while it doesn't fit", FILE_READ, from_s, raised_s, 2);
  compare_recovery(&pair, "read once it has memory", FILE_READ);
  compare_available(&pair, "available while it doesn't fit", 5);
  compare(&pair, "a read brings", "KiB", request_kib(one->real, FILE_READ, FILE_REQUESTS, from_s, raised_s),
          (double)default_disk().file_cyclic_kib, READ_FACTOR);
}

/* Such a file and memory that isn't touched again: the file pays, then slowly the memory. */
static void
test_mixed(void)
{
  const Case *one = &cases[MIXED];
  g_auto(Pair) pair = { one, play(one, default_disk()) };
  double end_s = one->plan->end_s;

  tell_course(&pair);
  compare_first(&pair, "first page swapped out after", SWAP_OUT, 0, 2);
  compare_grown(&pair, "swapped out in the end", SWAP_OUT, 0, end_s, 2);
  compare_time(&pair, "half of that after", SWAP_OUT, 0, end_s, 0.5, 2);
  compare_at_most(&pair, "read in the end", "MiB", value(one->real, FILE_READ, end_s),
                  value(pair.model, FILE_READ, end_s), 2);
}

static void
test_balloon(void)
{
  const Case *one = &cases[IDLE];
  g_auto(Pair) pair = { one, play(one, default_disk()) };
  double down_s = one->plan->moves[0].at_s, up_s = one->plan->moves[1].at_s, end_s = one->plan->end_s;

  tell_course(&pair);
  compare_time(&pair, "balloon down with free pages, nine tenths in", ACTUAL, down_s, up_s, 0.9, 5);
  compare_time(&pair, "balloon up, nine tenths in", ACTUAL, up_s, end_s, 0.9, 5);
  compare_available(&pair, "available at rest", down_s - 0.5);
  compare_available(&pair, "available when small", up_s - 0.5);
  compare_mib(&pair, "swapped out", value(one->real, SWAP_OUT, end_s), value(pair.model, SWAP_OUT, end_s), 1);
}

static void
add(Bed *bed)
{
  double load;

  (void)bed;
  for (guint i = 0; i < N_CASES; i += AT_ONCE)
    live_through(&cases[i]);
  if (getloadavg(&load, 1) == 1)
    g_test_message("load of the machine: %.1f", load);
  g_test_add_func("/live/model/random", test_random);
  g_test_add_func("/live/model/cyclic", test_cyclic);
  g_test_add_func("/live/model/half-the-read-ahead-shows", test_half_the_read_ahead_shows);
  g_test_add_func("/live/model/cold", test_cold);
  g_test_add_func("/live/model/cache", test_cache);
  g_test_add_func("/live/model/mixed", test_mixed);
  g_test_add_func("/live/model/balloon", test_balloon);
}

int
main(int argc, char **argv)
{
  return bed_main(argc, argv, start, add);
}
