/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/generate.h"

#include <math.h>

#include "policy/sim/random.h"
#include "policy/units.h"

#define HOST_MIN_KIB ((double)CAGMA_GIB(2))
#define HOST_MAX_KIB ((double)CAGMA_GIB(64))
#define GUESTS_MIN 2
#define GUESTS_MAX 12
/* The least that a host has for each of its guests, … */
#define ROOM_KIB CAGMA_MIB(384)
/* … and what a guest has beside its kernel. */
#define LEAST_KIB CAGMA_MIB(48)
#define GUARANTEES_PERMILLE 800

/* A guest while it is being invented. */
typedef struct {
  CagmaSimGuest *guest;
  double weight;
  double need_kib; /* its mean working set, kernel included */
} Draft;

typedef struct {
  CagmaRandom random;
  CagmaScenario *scenario;
  Draft drafts[GUESTS_MAX];
  double room_kib; /* the host less its reserve */
} Draw;

static double
between(Draw *draw, double low, double high)
{
  return cagma_random_between(&draw->random, low, high);
}

/* As often between 1 and 2 as between 8 and 16. */
static double
scaled(Draw *draw, double low, double high)
{
  return exp(between(draw, log(low), log(high)));
}

static gboolean
chance(Draw *draw, double probability)
{
  return cagma_random_unit(&draw->random) < probability;
}

static uint32_t
count(Draw *draw, uint32_t low, uint32_t high)
{
  return low + (uint32_t)between(draw, 0, (double)(high - low) + 1);
}

static uint64_t
whole_mib(double kib)
{
  return CAGMA_MIB((uint64_t)fmax(1, round(kib / 1024)));
}

/* To tenths: what people write. */
static int64_t
seconds(double s)
{
  return (int64_t)round(s * 10) * (CAGMA_SECOND_US / 10);
}

static double
duration_s(const Draw *draw)
{
  return (double)draw->scenario->duration_us / (double)CAGMA_SECOND_US;
}

static void
draw_disk(Draw *draw)
{
  static const struct {
    double iops[2], mib_per_s[2], latency_us[2];
    uint64_t swap_read_kib;
  } devices[] = {
    { { 80, 200 }, { 80, 200 }, { 5000, 12000 }, 32 },  /* a hard disk */
    { { 5000, 80000 }, { 200, 550 }, { 80, 250 }, 32 }, /* a flash disk */
    { { 500, 5000 }, { 50, 250 }, { 500, 2000 }, 32 },  /* a network disk, rationed */
    { { 1e5, 6e5 }, { 1500, 6000 }, { 15, 90 }, 4 },    /* NVMe, read ahead turned off */
  };
  guint32 kind = count(draw, 0, G_N_ELEMENTS(devices) - 1);
  CagmaSimDisk *disk = &draw->scenario->disk;

  disk->iops = (uint32_t)scaled(draw, devices[kind].iops[0], devices[kind].iops[1]);
  disk->kib_per_s = whole_mib(1024 * scaled(draw, devices[kind].mib_per_s[0], devices[kind].mib_per_s[1]));
  disk->latency_us = (int64_t)scaled(draw, devices[kind].latency_us[0], devices[kind].latency_us[1]);
  disk->swap_read_kib = devices[kind].swap_read_kib;
}

static void
draw_host(Draw *draw)
{
  static const int64_t periods_s[] = { 1, 2, 3, 3, 3, 5 };
  CagmaScenario *scenario = draw->scenario;

  scenario->duration_us = CAGMA_SECOND_US * count(draw, 180, 480);
  scenario->period_us = CAGMA_SECOND_US * periods_s[count(draw, 0, G_N_ELEMENTS(periods_s) - 1)];
  scenario->memory_kib = whole_mib(scaled(draw, HOST_MIN_KIB, HOST_MAX_KIB));
  scenario->reserve_kib = whole_mib(between(draw, 0.03, 0.1) * (double)scenario->memory_kib);
  scenario->pool_kib =
      chance(draw, 0.2) ? 0 : whole_mib(between(draw, 0.01, 0.04) * (double)scenario->memory_kib);
  draw->room_kib = (double)(scenario->memory_kib - scenario->reserve_kib);
  draw_disk(draw);
}

static double
draw_overcommit(Draw *draw)
{
  double kind = cagma_random_unit(&draw->random);

  if (kind < 0.5)
    return between(draw, 0.6, 0.9);
  return kind < 0.85 ? between(draw, 0.9, 1.05) : between(draw, 1.05, 1.25);
}

/* The lives that a part's size can lead. */
typedef void (*Life)(Draw *draw, double kib, CagmaPhase *phases, size_t *n);

#define LIFE_PHASES 5

static void
live_steadily(Draw *draw, double kib, CagmaPhase *phases, size_t *n)
{
  phases[0].size_kib = whole_mib(kib);
  phases[0].ramp_us = chance(draw, 0.3) ? seconds(between(draw, 5, 60)) : 0;
  *n = 1;
}

static void
live_in_stages(Draw *draw, double kib, CagmaPhase *phases, size_t *n)
{
  *n = count(draw, 2, LIFE_PHASES);
  for (size_t i = 0; i < *n; i++) {
    double slot_s = duration_s(draw) / (double)*n;

    phases[i].from_us = i == 0 ? 0 : seconds(slot_s * ((double)i + between(draw, 0, 0.8)));
    phases[i].size_kib = whole_mib(kib * between(draw, 0.3, 1.7));
    phases[i].ramp_us = chance(draw, 0.4) ? 0 : seconds(scaled(draw, 1, slot_s));
  }
}

static void
live_leaking(Draw *draw, double kib, CagmaPhase *phases, size_t *n)
{
  double from_s = between(draw, 10, duration_s(draw) / 2);
  double ramp_s = between(draw, 30, duration_s(draw) / 2);

  phases[0].size_kib = whole_mib(kib * 0.4);
  phases[1].from_us = seconds(from_s);
  phases[1].size_kib = whole_mib(kib * between(draw, 1.2, 2));
  phases[1].ramp_us = seconds(ramp_s);
  *n = 2;
  if (chance(draw, 0.5))
    return;
  phases[2].from_us = seconds(from_s + ramp_s);
  phases[2].size_kib = phases[0].size_kib;
  *n = 3;
}

static void
live_in_bursts(Draw *draw, double kib, CagmaPhase *phases, size_t *n)
{
  phases[0].size_kib = whole_mib(kib * 0.8);
  phases[0].burst_kib = whole_mib(kib * between(draw, 0.3, 1));
  phases[0].burst_every_us = seconds(between(draw, 20, 120));
  phases[0].burst_us = seconds(between(draw, 5, 20));
  *n = 1;
}

static void
live_walking(Draw *draw, double kib, CagmaPhase *phases, size_t *n)
{
  phases[0].size_kib = whole_mib(kib);
  phases[0].walk_kib = whole_mib(kib * between(draw, 0.02, 0.15));
  phases[0].walk_every_us = seconds(between(draw, 1, 15));
  *n = 1;
}

/* Phases a tenth of a second apart at least, with one pace for all. */
static void
finish_phases(Draw *draw, CagmaPhase *phases, size_t n, int64_t sweep_us)
{
  for (size_t i = 0; i < n; i++) {
    if (i > 0 && phases[i].from_us <= phases[i - 1].from_us)
      phases[i].from_us = phases[i - 1].from_us + CAGMA_SECOND_US / 10;
    phases[i].sweep_us = sweep_us;
    if (phases[i].walk_kib == 0 && chance(draw, 0.2))
      phases[i].walk_kib = whole_mib((double)phases[i].size_kib * 0.03);
  }
}

static void
add_part(Draw *draw, CagmaSimGuest *guest, CagmaPartKind kind, Life live, double kib, int64_t sweep_us)
{
  CagmaPart *part = &guest->parts[guest->n_parts++];

  part->kind = kind;
  part->access =
      chance(draw, kind == CAGMA_PART_FILE ? 0.3 : 0.1) ? CAGMA_ACCESS_CYCLIC : CAGMA_ACCESS_RANDOM;
  part->phases = g_new(CagmaPhase, LIFE_PHASES);
  for (size_t i = 0; i < LIFE_PHASES; i++)
    cagma_sim_phase_init(&part->phases[i]);
  live(draw, kib, part->phases, &part->n_phases);
  finish_phases(draw, part->phases, part->n_phases, sweep_us);
}

/* A hot part that lives, and beside it perhaps a cold one and a cache. */
static void
draw_parts(Draw *draw, Draft *draft)
{
  static const Life lives[] = { live_steadily, live_in_stages, live_in_stages,
                                live_leaking,  live_in_bursts, live_walking };
  CagmaSimGuest *guest = draft->guest;
  double left_kib = draft->need_kib - (double)guest->kernel_kib;
  double cold_kib = chance(draw, 0.5) ? left_kib * between(draw, 0.05, 0.3) : 0;
  double file_kib = chance(draw, 0.6) ? left_kib * between(draw, 0.05, 0.5) : 0;
  Life live = lives[count(draw, 0, G_N_ELEMENTS(lives) - 1)];

  guest->parts = g_new0(CagmaPart, 3);
  add_part(draw, guest, CAGMA_PART_ANON, live, left_kib - cold_kib - file_kib, seconds(scaled(draw, 2, 60)));
  if (cold_kib > 0)
    add_part(draw, guest, CAGMA_PART_ANON, live_steadily, cold_kib,
             chance(draw, 0.3) ? 0 : seconds(between(draw, 120, 600)));
  if (file_kib > 0) {
    live = chance(draw, 0.5) ? live_steadily : live_in_stages;
    add_part(draw, guest, CAGMA_PART_FILE, live, file_kib, seconds(scaled(draw, 5, 240)));
  }
}

static void
draw_tasks(Draw *draw, CagmaSimGuest *guest)
{
  if (!chance(draw, 0.25))
    return;
  guest->disk = g_new0(CagmaDiskPhase, 2);
  guest->n_disk = 2;
  guest->disk[0].from_us = seconds(between(draw, 0, duration_s(draw) / 2));
  guest->disk[0].tasks = count(draw, 1, 4);
  guest->disk[0].io_kib = (uint64_t)4 << count(draw, 0, 8);
  guest->disk[1].from_us = guest->disk[0].from_us + seconds(between(draw, 10, duration_s(draw) / 2));
  guest->disk[1].io_kib = guest->disk[0].io_kib;
}

/* Something happens, and after a while it is over. */
static void
befall(Draw *draw, CagmaSimGuest *guest, CagmaBefalls what, CagmaBefalls end)
{
  guest->events = g_new0(CagmaSimEvent, 2);
  guest->n_events = what == end ? 1 : 2;
  guest->events[0].what = what;
  guest->events[0].at_us = seconds(between(draw, 5, duration_s(draw) / 2));
  guest->events[1].what = end;
  guest->events[1].at_us = guest->events[0].at_us + seconds(between(draw, 10, duration_s(draw) / 2));
}

static void
draw_mishap(Draw *draw, CagmaSimGuest *guest)
{
  static const struct {
    CagmaBefalls what, end;
  } mishaps[] = {
    { CAGMA_BEFALLS_STUCK, CAGMA_BEFALLS_MOVES },    { CAGMA_BEFALLS_STUCK, CAGMA_BEFALLS_STUCK },
    { CAGMA_BEFALLS_SILENT, CAGMA_BEFALLS_TRUTH },   { CAGMA_BEFALLS_SHORT, CAGMA_BEFALLS_TRUTH },
    { CAGMA_BEFALLS_PLENTY, CAGMA_BEFALLS_TRUTH },   { CAGMA_BEFALLS_NONSENSE, CAGMA_BEFALLS_TRUTH },
    { CAGMA_BEFALLS_REBOOT, CAGMA_BEFALLS_REBOOT },  { CAGMA_BEFALLS_PAUSE, CAGMA_BEFALLS_RESUME },
    { CAGMA_BEFALLS_PRETENDS, CAGMA_BEFALLS_MOVES },
  };
  guint32 which = count(draw, 0, G_N_ELEMENTS(mishaps) - 1);

  befall(draw, guest, mishaps[which].what, mishaps[which].end);
}

static void
draw_presence(Draw *draw, CagmaSimGuest *guest)
{
  if (chance(draw, 0.08))
    guest->arrives_us = seconds(between(draw, 10, duration_s(draw) / 2));
  if (chance(draw, 0.06))
    guest->leaves_us = seconds(between(draw, duration_s(draw) * 0.6, duration_s(draw)));
}

static void
draw_reports(Draw *draw, CagmaSimGuest *guest)
{
  double kind = cagma_random_unit(&draw->random);

  guest->delay_us = (int64_t)scaled(draw, 20, 500) * 1000;
  guest->loss_permille = chance(draw, 0.7) ? 0 : count(draw, 1, 50);
  if (kind < 0.7)
    return;
  guest->reports = kind < 0.97 ? CAGMA_REPORTS_BALLOON : CAGMA_REPORTS_NONE;
  guest->report_us = CAGMA_SECOND_US * count(draw, 1, 5);
}

static void
draw_config(Draw *draw, CagmaSimGuest *guest)
{
  static const uint32_t shares[] = { 500, 2000, 4000 };

  if (chance(draw, 0.25)) {
    guest->config.shares = shares[count(draw, 0, G_N_ELEMENTS(shares) - 1)];
    guest->config.given |= CAGMA_GIVEN_SHARES;
  }
  if (chance(draw, 0.1)) {
    guest->config.headroom_permille = 10 * count(draw, 5, 25);
    guest->config.given |= CAGMA_GIVEN_HEADROOM;
  }
  if (chance(draw, 0.05)) {
    guest->config.emergency = FALSE;
    guest->config.given |= CAGMA_GIVEN_EMERGENCY;
  }
}

static void
draw_machine(Draw *draw, CagmaSimGuest *guest)
{
  guest->vcpus = 1u << count(draw, 0, 3);
  guest->swap_kib = chance(draw, 0.04) ? 0 : whole_mib((double)guest->memory_kib * between(draw, 0.5, 2));
  guest->balloon_up_kib_per_s = whole_mib(scaled(draw, (double)CAGMA_MIB(300), (double)CAGMA_MIB(3000)));
  guest->balloon_down_kib_per_s = whole_mib(scaled(draw, (double)CAGMA_MIB(100), (double)CAGMA_MIB(1000)));
  guest->free_page_reporting = chance(draw, 0.2);
}

/* Sizes that aren't the sum's business. */
static void
draw_sizes(Draw *draw, Draft *draft)
{
  CagmaSimGuest *guest = draft->guest;
  double most_kib = draw->room_kib * 0.9;

  guest->kernel_kib = whole_mib(between(draw, 50, 100) * 1024 + draft->need_kib * 0.01);
  draft->need_kib = fmax(draft->need_kib, (double)(guest->kernel_kib + 2 * LEAST_KIB));
  guest->memory_kib =
      whole_mib(fmax(draft->need_kib * 1.1, fmin(draft->need_kib * between(draw, 1.3, 2.4), most_kib)));
  guest->memory_kib = cagma_max_kib(guest->memory_kib, CAGMA_MIB(256));
  guest->config.guarantee_kib =
      whole_mib(fmax(draft->need_kib * between(draw, 0.2, 0.6), (double)(guest->kernel_kib + LEAST_KIB)));
  guest->config.given |= CAGMA_GIVEN_GUARANTEE;
  if (!chance(draw, 0.15))
    return;
  guest->config.limit_kib = whole_mib((double)guest->memory_kib * between(draw, 0.8, 1));
  guest->config.limit_kib = cagma_max_kib(guest->config.limit_kib, guest->config.guarantee_kib);
  guest->config.given |= CAGMA_GIVEN_LIMIT;
}

static void
draw_guest(Draw *draw, Draft *draft, size_t index)
{
  CagmaSimGuest *guest = draft->guest;

  g_free(guest->name);
  guest->name = g_strdup_printf("guest%zu", index + 1);
  draw_sizes(draw, draft);
  draw_config(draw, guest);
  draw_machine(draw, guest);
  draw_reports(draw, guest);
  draw_parts(draw, draft);
  draw_tasks(draw, guest);
  if (chance(draw, 0.07))
    draw_mishap(draw, guest);
  else
    draw_presence(draw, guest);
}

/* Without a driver a guest holds all its memory: few hosts have large ones of that kind. */
static void
draw_driverless(Draw *draw)
{
  for (size_t i = 0; i < draw->scenario->n_guests; i++) {
    CagmaSimGuest *guest = &draw->scenario->guests[i];

    if (chance(draw, 0.05) && (double)guest->memory_kib < draw->room_kib * 0.15 && guest->n_events == 0)
      guest->driver = FALSE;
  }
}

static uint64_t
least_start(const CagmaSimGuest *guest)
{
  return guest->driver ? guest->config.guarantee_kib : guest->memory_kib;
}

static uint64_t
most_start(const CagmaSimGuest *guest)
{
  return guest->driver && guest->config.limit_kib ? guest->config.limit_kib : guest->memory_kib;
}

/* Guarantees together stay within their part of the room, each above its kernel. */
static void
fit_guarantees(Draw *draw)
{
  CagmaScenario *scenario = draw->scenario;
  double allowed_kib = draw->room_kib * GUARANTEES_PERMILLE / 1000, least_kib = 0, sum_kib = 0;

  for (size_t i = 0; i < scenario->n_guests; i++) {
    least_kib += (double)(scenario->guests[i].kernel_kib + LEAST_KIB) * scenario->guests[i].count;
    sum_kib += (double)least_start(&scenario->guests[i]) * scenario->guests[i].count;
  }
  if (sum_kib <= allowed_kib)
    return;
  for (size_t i = 0; i < scenario->n_guests; i++) {
    CagmaSimGuest *guest = &scenario->guests[i];
    double keep = fmax(0, (allowed_kib - least_kib) / (sum_kib - least_kib));
    uint64_t base_kib = guest->kernel_kib + LEAST_KIB;
    double above_kib = (double)cagma_above(guest->config.guarantee_kib, base_kib);

    guest->driver = TRUE;
    guest->config.guarantee_kib = base_kib + CAGMA_MIB((uint64_t)(above_kib * keep / 1024));
  }
}

/* What is left above the least is spread unevenly: who runs has been balloned somehow. */
static void
draw_starts(Draw *draw)
{
  CagmaScenario *scenario = draw->scenario;
  double left_kib = draw->room_kib * between(draw, 0.85, 1), sum = 0;
  double parts[GUESTS_MAX];

  for (size_t i = 0; i < scenario->n_guests; i++) {
    const CagmaSimGuest *guest = &scenario->guests[i];

    left_kib -= (double)least_start(guest) * guest->count;
    parts[i] = (double)(most_start(guest) - least_start(guest)) * between(draw, 0.2, 1) * guest->count;
    sum += parts[i];
  }
  for (size_t i = 0; i < scenario->n_guests; i++) {
    CagmaSimGuest *guest = &scenario->guests[i];
    double more_kib = sum > 0 ? fmax(0, left_kib) * parts[i] / sum / guest->count : 0;

    guest->start_kib = least_start(guest) + CAGMA_MIB((uint64_t)(more_kib / 1024));
    guest->start_kib = cagma_min_kib(guest->start_kib, most_start(guest));
  }
}

/* Entries, weights and needs; large hosts don't only have large guests. */
static void
draw_entries(Draw *draw)
{
  CagmaScenario *scenario = draw->scenario;
  uint32_t n = count(draw, GUESTS_MIN, GUESTS_MAX);
  double weights = 0, need_kib = draw_overcommit(draw) * (double)scenario->memory_kib;

  n = MIN(n, (uint32_t)(scenario->memory_kib / ROOM_KIB));
  scenario->guests = g_new0(CagmaSimGuest, n);
  while (n > 0) {
    Draft *draft = &draw->drafts[scenario->n_guests];

    draft->guest = &scenario->guests[scenario->n_guests++];
    cagma_sim_guest_init(draft->guest);
    if (scenario->n_guests > 1 && chance(draw, 0.12))
      draft->guest->count = count(draw, 1, MIN(n, 3));
    n -= draft->guest->count;
    draft->weight = scaled(draw, 1, 6);
    weights += draft->weight * draft->guest->count;
  }
  for (size_t i = 0; i < scenario->n_guests; i++)
    draw->drafts[i].need_kib = need_kib * draw->drafts[i].weight / weights;
}

void
cagma_scenario_generate(uint32_t seed, CagmaScenario *scenario)
{
  Draw draw = { .random = cagma_random_stream(seed, 0), .scenario = scenario };

  cagma_scenario_init(scenario);
  g_free(scenario->name);
  scenario->name = g_strdup_printf("random-%u", seed);
  scenario->seed = seed;
  draw_host(&draw);
  draw_entries(&draw);
  for (size_t i = 0; i < scenario->n_guests; i++)
    draw_guest(&draw, &draw.drafts[i], i);
  draw_driverless(&draw);
  fit_guarantees(&draw);
  draw_starts(&draw);
}
