/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in MiB, computed by hand. A guest has 2 GiB of <memory>, of which its kernel keeps
 * 80 MiB, and 66 free: 1.5 times 22 MiB for each of its two zones. It has two CPUs, which take
 * up 1 GiB a second each; its balloon grows by 1000 MiB a second and shrinks by 500. */
#include "policy/sim/body.h"

#include "tests/policy/lives.h"
#include "tests/policy/scenarios.h"

#define MIB(n) ((double)CAGMA_MIB(n))

/* One guest alone on a host, whose start size is start_mib. */
typedef struct {
  CagmaScenario *scenario;
  CagmaSimGuest *guest;
  Lives *lives;
  CagmaBody *body;
} Alone;

static Alone
alone(uint64_t start_mib)
{
  Alone a = { .scenario = scenarios_host(16384, 600) };

  a.guest = scenarios_add_guest(a.scenario, "guest", start_mib);
  return a;
}

static void
begin(Alone *a)
{
  scenarios_check(a->scenario);
  a->lives = lives_new(a->scenario);
  a->body = &a->lives->bodies[0];
}

static void
end(Alone *a)
{
  lives_free(a->lives);
  cagma_scenario_free(a->scenario);
}

static void
live_ticks(Alone *a, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    lives_tick(a->lives);
}

static void
live_seconds(Alone *a, unsigned n)
{
  live_ticks(a, 10 * n);
}

/* The mean of what was lost of so many seconds. */
static double
stalled_over(Alone *a, unsigned seconds)
{
  double sum = 0;

  for (unsigned i = 0; i < 10 * seconds; i++) {
    lives_tick(a->lives);
    sum += a->body->stalled;
  }
  return sum / (10 * seconds);
}

static double
resident(const Alone *a, size_t part)
{
  return a->body->parts[part].resident_kib / 1024;
}

static double
absent(const Alone *a, size_t part)
{
  return a->body->parts[part].absent_kib / 1024;
}

static void
assert_mib(double kib, double mib, double within_mib)
{
  g_assert_cmpfloat_with_epsilon(kib / 1024, mib, within_mib);
}

/* 204.8 MiB a tick, until it has its 1500. */
static void
test_grows(void)
{
  Alone a = alone(2048);

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 1500, 10);
  begin(&a);
  live_ticks(&a, 1);
  g_assert_cmpfloat_with_epsilon(resident(&a, 0), 204.8, 0.001);
  live_ticks(&a, 6);
  g_assert_cmpfloat_with_epsilon(resident(&a, 0), 1433.6, 0.001);
  live_ticks(&a, 1);
  g_assert_cmpfloat_with_epsilon(resident(&a, 0), 1500, 0.001);
  g_assert_cmpfloat(stalled_over(&a, 5), ==, 0);
  g_assert_cmpfloat(a.body->swap_out_kib, ==, 0);
  assert_mib(cagma_body_free(a.body), 2048 - 80 - 1500, 0.001);
  assert_mib(cagma_body_available(a.body), 2048 - 80 - 1500 - 66, 0.001);
  assert_mib(cagma_body_needed(a.body), 80 + 66 + 1500, 0.001);
  end(&a);
}

/* Of 1990 MiB, 88 don't fit beside the kernel and what it keeps free. */
static void
test_watermark(void)
{
  static const struct {
    uint64_t memory_mib;
    double kept_kib; /* 1.5 times 4 × √KiB; of 22 MiB a zone; of 5 % of 1 GiB */
  } sizes[] = { { 256, 3072 }, { 512, 4344.46 }, { 2048, 67584 }, { 640, 49152 }, { 8192, 101376 } };
  Alone a = alone(2048);

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 1990, 0);
  begin(&a);
  live_seconds(&a, 30);
  g_assert_cmpfloat_with_epsilon(resident(&a, 0), 1902, 1);
  g_assert_cmpfloat_with_epsilon(absent(&a, 0), 88, 1);
  assert_mib(cagma_body_free(a.body), 66, 1);
  assert_mib(cagma_body_swapped(a.body), 88, 1);
  g_assert_cmpfloat(cagma_body_available(a.body), <=, MIB(1));

  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
    CagmaBody body;

    a.guest->memory_kib = CAGMA_MIB(sizes[i].memory_mib);
    cagma_body_init(&body, a.guest, 1);
    g_assert_cmpfloat_with_epsilon(body.watermark_kib, sizes[i].kept_kib, 0.01);
  }
  end(&a);
}

/* 1048 MiB at 500 a second, all of it free. */
static void
test_balloon_takes_free(void)
{
  Alone a = alone(2048);

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 500, 5);
  begin(&a);
  live_seconds(&a, 2);
  lives_set(a.lives, 0, CAGMA_MIB(1000));
  live_seconds(&a, 1);
  assert_mib(a.body->actual_kib, 1548, 0.001);
  live_seconds(&a, 2);
  assert_mib(a.body->actual_kib, 1000, 0.001);
  g_assert_cmpfloat(a.body->swap_out_kib, ==, 0);
  g_assert_cmpfloat(a.body->stalled, ==, 0);
  assert_mib(cagma_body_free(a.body), 1000 - 80 - 500, 0.001);

  lives_set(a.lives, 0, CAGMA_MIB(1150));
  live_ticks(&a, 1);
  assert_mib(a.body->actual_kib, 1100, 0.001);
  live_ticks(&a, 1);
  assert_mib(a.body->actual_kib, 1150, 0.001);
  end(&a);
}

/* With 1200 MiB there is room for 1054 of 1600: the cold half makes it. */
static void
test_cold_goes_first(void)
{
  Alone a = alone(2048);

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 800, 5);
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 800, 0);
  begin(&a);
  live_seconds(&a, 5);
  lives_set(a.lives, 0, CAGMA_MIB(1200));
  live_seconds(&a, 60);
  assert_mib(a.body->actual_kib, 1200, 0.5);
  g_assert_cmpfloat_with_epsilon(resident(&a, 0), 800, 2);
  g_assert_cmpfloat_with_epsilon(resident(&a, 1), 254, 2);
  assert_mib(cagma_body_swapped(a.body), 546, 2);
  g_assert_cmpfloat(stalled_over(&a, 5), <, 0.01);
  end(&a);
}

/* Files are dropped before anything is swapped, and read again where they are wanted. */
static void
test_files(void)
{
  Alone a = alone(2048);

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 800, 5);
  scenarios_add_part(a.guest, CAGMA_PART_FILE, 800, 400);
  a.guest->parts[1].access = CAGMA_ACCESS_CYCLIC;
  begin(&a);
  live_seconds(&a, 420);
  g_assert_cmpfloat_with_epsilon(resident(&a, 1), 800, 1);
  assert_mib(cagma_body_cached(a.body), 800, 1);
  assert_mib(a.body->block_read_kib, 800, 1);
  /* 2048 − 80 − 1600 free, and the cache; the kernel keeps 66 of each. */
  assert_mib(cagma_body_available(a.body), 368 + 800 - 132, 1);
  g_assert_cmpfloat(a.body->refault_file_kib, ==, 0);

  lives_set(a.lives, 0, CAGMA_MIB(1200));
  live_seconds(&a, 30);
  g_assert_cmpfloat(a.body->swap_out_kib, ==, 0);
  g_assert_cmpfloat_with_epsilon(resident(&a, 0), 800, 0.001);
  g_assert_cmpfloat_with_epsilon(resident(&a, 1), 254, 4);
  g_assert_cmpfloat(a.body->refault_file_kib, >, 0);
  end(&a);
}

/* A file that isn't read again is read once, and is then the first to go. */
static void
test_file_read_once(void)
{
  Alone a = alone(2048);

  scenarios_add_part(a.guest, CAGMA_PART_FILE, 800, 0);
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 400, 5);
  begin(&a);
  live_seconds(&a, 60);
  assert_mib(cagma_body_cached(a.body), 800, 1);
  assert_mib(a.body->block_read_kib, 800, 1);
  lives_set(a.lives, 0, CAGMA_MIB(800));
  live_seconds(&a, 30);
  assert_mib(a.body->block_read_kib, 800, 1);
  g_assert_cmpfloat(a.body->refault_file_kib, ==, 0);
  g_assert_cmpfloat(a.body->swap_out_kib, ==, 0);
  g_assert_cmpfloat(resident(&a, 0), <, 300);
  end(&a);
}

/* What its parts want in one tick, by what is missing of them. Reads of 100 µs one at a time,
 * two threads; a page alone from swap, 16 KiB of a file. */
static void
test_wants(void)
{
  static const struct {
    CagmaPartKind kind;
    CagmaAccess access;
    double absent_mib, missed_kib, requests, kib;
  } parts[] = {
    { CAGMA_PART_ANON, CAGMA_ACCESS_RANDOM, 0, 0, 0, 4 },
    /* A hundredth of the part is touched in a tick; a tenth of that is missed. */
    { CAGMA_PART_ANON, CAGMA_ACCESS_RANDOM, 100, 1024, 256, 4 },
    { CAGMA_PART_FILE, CAGMA_ACCESS_RANDOM, 100, 1024, 64, 16 },
    /* A cycle that doesn't fit misses all it touches; of one that does, a fiftieth … */
    { CAGMA_PART_ANON, CAGMA_ACCESS_CYCLIC, 100, 10240, 320, 32 },
    { CAGMA_PART_ANON, CAGMA_ACCESS_CYCLIC, 10, 204.8, 6.4, 32 },
    { CAGMA_PART_FILE, CAGMA_ACCESS_CYCLIC, 100, 10240, 80, 128 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
    Alone a = alone(2048);
    CagmaPart *part = scenarios_add_part(a.guest, parts[i].kind, 1000, 10);
    const CagmaSimDisk *disk = &a.scenario->disk;
    double waits_s = parts[i].requests * cagma_disk_latency_s(disk, parts[i].kib) / 2;

    part->access = parts[i].access;
    begin(&a);
    a.body->parts[0].absent_kib = MIB(1) * parts[i].absent_mib;
    a.body->parts[0].resident_kib = MIB(1000) - a.body->parts[0].absent_kib;
    cagma_body_want(a.body, disk, 0, 0, 0.1);
    g_assert_cmpfloat_with_epsilon(a.body->parts[0].missed_kib, parts[i].missed_kib, 0.01);
    /* Of a cycle, more comes in than was absent: what goes out for that is written at once. */
    if (parts[i].missed_kib <= parts[i].absent_mib * 1024)
      g_assert_cmpfloat_with_epsilon(a.body->paging.waits_s, waits_s, 1e-6);
    end(&a);
  }
}

/* 1500 MiB in 1000: 854 have room, and it waits for the others. With its memory back it is
 * well again. */
static void
test_thrashes(void)
{
  Alone a = alone(2048);
  double in_kib;

  a.scenario->disk.iops = 2000;
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 1500, 5);
  begin(&a);
  live_seconds(&a, 5);
  lives_set(a.lives, 0, CAGMA_MIB(1000));
  live_seconds(&a, 60);
  assert_mib(cagma_body_resident(a.body), 854, 8);
  g_assert_cmpfloat(stalled_over(&a, 10), >, 0.5);
  in_kib = a.body->swap_in_kib;
  live_seconds(&a, 10);
  /* Reads of a page each and writes of 128 KiB: at most 2000 in all. */
  g_assert_cmpfloat(a.body->swap_in_kib - in_kib, <=, 10 * 2000 * 4.0);
  g_assert_cmpfloat(a.body->swap_in_kib - in_kib, >, 10 * 2000 * 4.0 * 0.7);
  g_assert_cmpuint(a.body->oom_kills, ==, 0);

  lives_set(a.lives, 0, CAGMA_MIB(2048));
  live_seconds(&a, 200);
  assert_mib(cagma_body_resident(a.body), 1500, 1);
  g_assert_cmpfloat(stalled_over(&a, 5), <, 0.01);
  end(&a);
}

static void
slow_disk(Alone *a)
{
  a->scenario->disk.iops = 150;
  a->scenario->disk.latency_us = 6700;
}

/* As if its balloon had. */
static void
push_out(Alone *a, double mib)
{
  a->body->parts[0].absent_kib += MIB(1) * mib;
  a->body->parts[0].resident_kib -= MIB(1) * mib;
}

/* 650 MiB of 1500 were pushed out, and there is room for them again. On a disk of 150 requests a
 * second its faults bring back 4 KiB with each, its agent 32 KiB with sixteen of eighteen. */
static void
test_brings_back(void)
{
  double back_mib[2], stalled[2];

  for (int asked = 0; asked < 2; asked++) {
    Alone a = alone(2048);
    double before_kib;

    slow_disk(&a);
    scenarios_add_part(a.guest, CAGMA_PART_ANON, 1500, 5);
    begin(&a);
    live_seconds(&a, 5);
    lives_set(a.lives, 0, CAGMA_MIB(1000));
    live_seconds(&a, 120);
    g_assert_cmpfloat(absent(&a, 0), >, 500);
    lives_set(a.lives, 0, CAGMA_MIB(2048));
    live_seconds(&a, 2);
    before_kib = a.body->swap_in_kib;
    for (int i = 0; i < 12; i++) {
      if (asked)
        cagma_body_read_back(a.body, CAGMA_MIB(700), a.lives->now_us);
      live_seconds(&a, 5);
    }
    back_mib[asked] = (a.body->swap_in_kib - before_kib) / 1024;
    stalled[asked] = stalled_over(&a, 5);
    if (asked)
      g_assert_cmpfloat(a.body->brought_kib, >=, back_mib[1] * 1024 * 0.8);
    else
      g_assert_cmpfloat(a.body->brought_kib, ==, 0);
    end(&a);
  }
  g_assert_cmpfloat(back_mib[0], <=, 60 * 150 * 4 / 1024.0);
  g_assert_cmpfloat(back_mib[1], >=, 60 * 150 * 32 / 1024.0 * 0.75);
  g_assert_cmpfloat(back_mib[1], <=, 60 * 150 * 32 / 1024.0);
  g_assert_cmpfloat(stalled[1], <, stalled[0]);
}

/* No more than was asked for, for five seconds, and of 2048 a sixteenth stays available: 1500 and
 * the kernel's 80 and twice 66 leave 336 of it, of which 128 do. */
static void
test_brings_back_no_more_than_it_may(void)
{
  static const struct {
    uint64_t asked_mib, size_mib;
    unsigned seconds;
    double back_mib;
  } cases[] = {
    { 0, 2048, 30, 0 },
    { 100, 2048, 30, 100 },
    { 5000, 2048, 60, 600 },
    { 5000, 1400, 60, 1400 - 80 - 66 - 900 - 128 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Alone a = alone(2048);

    a.scenario->disk.iops = 100000;
    a.scenario->disk.latency_us = 10;
    scenarios_add_part(a.guest, CAGMA_PART_ANON, 1500, 0);
    begin(&a);
    live_seconds(&a, 5);
    push_out(&a, 600);
    lives_set(a.lives, 0, CAGMA_MIB(cases[i].size_mib));
    live_seconds(&a, 5);
    cagma_body_read_back(a.body, CAGMA_MIB(cases[i].asked_mib), a.lives->now_us);
    live_seconds(&a, cases[i].seconds);
    assert_mib(a.body->brought_kib, cases[i].back_mib, 1);
    assert_mib(cagma_body_swapped(a.body), 600 - cases[i].back_mib, 1);
    end(&a);
  }
}

/* What comes back takes the place of page cache, however slow the guest itself is, so that it holds no
 * more than its size. */
static void
test_bringing_back_drops_page_cache(void)
{
  Alone a = alone(2048);
  double cached_kib;

  slow_disk(&a);
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 900, 5);
  scenarios_add_part(a.guest, CAGMA_PART_FILE, 900, 0);
  begin(&a);
  live_seconds(&a, 120);
  push_out(&a, 300);
  lives_set(a.lives, 0, CAGMA_MIB(1600));
  live_seconds(&a, 10);
  cached_kib = cagma_body_cached(a.body);
  for (int i = 0; i < 600; i++) {
    if (i % 50 == 0)
      cagma_body_read_back(a.body, CAGMA_MIB(300), a.lives->now_us);
    lives_tick(a.lives);
    g_assert_cmpfloat(MIB(80) + cagma_body_resident(a.body), <=, a.body->truly_kib + 1);
  }
  g_assert_cmpfloat(a.body->brought_kib, >, MIB(200));
  g_assert_cmpfloat(cagma_body_cached(a.body), <, cached_kib - MIB(100));
  end(&a);
}

static void
test_stops_bringing_back_unless_asked_again(void)
{
  Alone a = alone(2048);
  double after_five_kib;

  slow_disk(&a);
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 1500, 0);
  begin(&a);
  live_seconds(&a, 5);
  push_out(&a, 600);
  cagma_body_read_back(a.body, CAGMA_MIB(600), a.lives->now_us);
  live_seconds(&a, 5);
  after_five_kib = a.body->brought_kib;
  assert_mib(after_five_kib, 5 * 150 * 32 / 1024.0, 2);
  live_seconds(&a, 5);
  g_assert_cmpfloat(a.body->brought_kib, ==, after_five_kib);
  cagma_body_read_back(a.body, CAGMA_MIB(600), a.lives->now_us);
  live_seconds(&a, 5);
  g_assert_cmpfloat(a.body->brought_kib, >, 1.9 * after_five_kib);
  end(&a);
}

/* The less it has, the more it stalls. */
static void
test_monotone(void)
{
  double last = 1;

  for (uint64_t size_mib = 700; size_mib <= 1700; size_mib += 100) {
    Alone a = alone(2048);
    double stalled;

    scenarios_add_part(a.guest, CAGMA_PART_ANON, 1200, 8);
    begin(&a);
    live_seconds(&a, 3);
    lives_set(a.lives, 0, CAGMA_MIB(size_mib));
    live_seconds(&a, 30);
    stalled = stalled_over(&a, 30);
    g_assert_cmpfloat(stalled, <=, last + 0.005);
    if (size_mib >= 1400) /* 1200 + 80 + 66 */
      g_assert_cmpfloat(stalled, <, 0.001);
    if (size_mib == 700)
      g_assert_cmpfloat(stalled, >, 0.5);
    last = stalled;
    end(&a);
  }
}

/* Without swap the largest part is killed, stays away for ten seconds, and comes again. */
static void
test_oom(void)
{
  Alone a = alone(2048);

  a.guest->swap_kib = 0;
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 300, 5);
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 900, 5);
  begin(&a);
  live_seconds(&a, 3);
  lives_set(a.lives, 0, CAGMA_MIB(1150));
  live_seconds(&a, 10);
  /* The balloon takes no more than what is free above the mark … */
  g_assert_cmpuint(a.body->oom_kills, ==, 0);
  assert_mib(a.body->actual_kib, 1200 + 80 + 66, 1);
  end(&a);

  /* … but where a part finds no room, it is killed. */

  a = alone(1150);
  a.guest->swap_kib = 0;
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 300, 5);
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 900, 5);
  begin(&a);
  live_seconds(&a, 4);
  g_assert_cmpuint(a.body->oom_kills, ==, 1);
  g_assert_cmpfloat_with_epsilon(resident(&a, 0), 300, 0.001);
  g_assert_cmpfloat(resident(&a, 1), ==, 0);
  g_assert_cmpfloat(a.body->stalled, ==, 1);
  g_assert_cmpfloat(a.body->swap_out_kib, ==, 0);
  live_seconds(&a, 8);
  g_assert_cmpfloat(resident(&a, 1), >, 0);
  live_seconds(&a, 6);
  g_assert_cmpuint(a.body->oom_kills, ==, 2);
  end(&a);
}

/* What has no room, and nowhere to go, doesn't stay either, though nothing more comes in. */
static void
test_oom_of_what_is_there(void)
{
  static const struct {
    uint64_t swap_mib, oom_kills;
  } cases[] = { { 0, 1 }, { 600, 1 }, { 1200, 0 } };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Alone a = alone(2048);

    a.guest->swap_kib = CAGMA_MIB(cases[i].swap_mib);
    scenarios_add_part(a.guest, CAGMA_PART_ANON, 1500, 0);
    begin(&a);
    live_seconds(&a, 3);
    g_assert_cmpuint(a.body->oom_kills, ==, 0);
    a.body->asked_kib = CAGMA_MIB(512);
    a.body->actual_kib = a.body->truly_kib = (double)CAGMA_MIB(512);
    live_seconds(&a, 5);
    g_assert_cmpuint(a.body->oom_kills, ==, cases[i].oom_kills);
    end(&a);
  }
}

/* Waiting for room is pressure, and for what was there before; a first read of a file isn't. */
static void
test_pressure(void)
{
  Alone cramped = alone(1150), reads = alone(2048);

  cramped.guest->swap_kib = 0;
  scenarios_add_part(cramped.guest, CAGMA_PART_ANON, 1200, 5);
  begin(&cramped);
  live_ticks(&cramped, 6);
  g_assert_cmpfloat(cramped.body->pressed, >, 0.1);
  end(&cramped);

  scenarios_add_part(reads.guest, CAGMA_PART_FILE, 1000, 5);
  begin(&reads);
  live_ticks(&reads, 3);
  g_assert_cmpfloat(reads.body->stalled, >, 0.1);
  g_assert_cmpfloat(reads.body->pressed, ==, 0);
  end(&reads);
}

/* No more is swapped out than there is swap, however many parts make room in one tick. */
static void
test_swap_is_full(void)
{
  Alone a = alone(1000);
  CagmaPart *part;

  a.guest->swap_kib = CAGMA_MIB(60);
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 50, 0);
  scenarios_add_part(a.guest, CAGMA_PART_ANON, 500, 0);
  part = scenarios_add_part(a.guest, CAGMA_PART_ANON, 100, 5);
  scenarios_add_phase(part, 5, 600, 5);
  begin(&a);
  for (unsigned i = 0; i < 60; i++) {
    live_ticks(&a, 1);
    g_assert_cmpfloat(cagma_body_swapped(a.body), <=, MIB(60) + 1);
  }
  assert_mib(cagma_body_swapped(a.body), 60, 0.1);
  end(&a);
}

/* Once files have been missed for a sweep, a quarter of what goes is anonymous memory that
 * isn't touched. */
static void
test_anonymous_share(void)
{
  Alone a = alone(2048);
  double out_kib, back_kib, files_kib;

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 900, 0);
  scenarios_add_part(a.guest, CAGMA_PART_FILE, 800, 5);
  begin(&a);
  live_seconds(&a, 40);
  lives_set(a.lives, 0, CAGMA_MIB(1400));
  live_seconds(&a, 3);
  g_assert_cmpfloat(a.body->swap_out_kib, ==, 0);
  live_seconds(&a, 5);
  out_kib = a.body->swap_out_kib;
  back_kib = a.body->refault_file_kib;
  files_kib = a.body->parts[1].absent_kib;
  live_ticks(&a, 5);
  out_kib = a.body->swap_out_kib - out_kib;
  files_kib = a.body->refault_file_kib - back_kib + a.body->parts[1].absent_kib - files_kib;
  g_assert_cmpfloat(out_kib, >, MIB(1));
  g_assert_cmpfloat_with_epsilon(out_kib / (out_kib + files_kib), 0.25, 0.01);
  end(&a);
}

/* It says it gave, and has it all the same. */
static void
test_pretends(void)
{
  Alone a = alone(2048);

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 1500, 5);
  begin(&a);
  a.body->balloon = CAGMA_BALLOON_PRETENDS;
  live_seconds(&a, 2);
  lives_set(a.lives, 0, CAGMA_MIB(1000));
  live_seconds(&a, 5);
  assert_mib(a.body->actual_kib, 1000, 0.001);
  assert_mib(a.body->truly_kib, 2048, 0.001);
  g_assert_cmpfloat_with_epsilon(resident(&a, 0), 1500, 0.001);
  g_assert_cmpfloat(a.body->swap_out_kib, ==, 0);
  end(&a);
}

/* Neither a balloon that sticks nor one that has no driver moves. */
static void
test_does_not_move(void)
{
  for (unsigned driverless = 0; driverless < 2; driverless++) {
    Alone a = alone(driverless ? 2048 : 1500);

    a.guest->driver = !driverless;
    scenarios_add_part(a.guest, CAGMA_PART_ANON, 500, 5);
    begin(&a);
    a.body->balloon = driverless ? CAGMA_BALLOON_MOVES : CAGMA_BALLOON_STICKS;
    lives_set(a.lives, 0, CAGMA_MIB(800));
    live_seconds(&a, 10);
    assert_mib(a.body->actual_kib, driverless ? 2048 : 1500, 0.001);
    lives_set(a.lives, 0, CAGMA_MIB(2000));
    live_seconds(&a, 10);
    assert_mib(a.body->actual_kib, driverless ? 2048 : 1500, 0.001);
    end(&a);
  }
}

/* A reboot takes ten seconds at its full size; then its balloon goes where it was asked to. */
static void
test_reboot(void)
{
  Alone a = alone(1000);

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 950, 5);
  begin(&a);
  live_seconds(&a, 20);
  g_assert_cmpfloat(a.body->swap_out_kib, >, 0);
  cagma_body_boot(a.body, a.lives->now_us);
  g_assert_cmpfloat(a.body->swap_out_kib, ==, 0);
  g_assert_cmpfloat(cagma_body_resident(a.body), ==, 0);
  assert_mib(a.body->touched_kib, 80, 0.001);
  live_ticks(&a, 100);
  g_assert_cmpint(a.body->state, ==, CAGMA_BODY_BOOTING);
  assert_mib(a.body->actual_kib, 2048, 0.001);
  g_assert_cmpfloat(cagma_body_resident(a.body), ==, 0);
  live_ticks(&a, 1);
  g_assert_cmpint(a.body->state, ==, CAGMA_BODY_RUNS);
  /* In that tick its balloon has gone 50 MiB. */
  assert_mib(a.body->actual_kib, 1998, 0.001);
  live_seconds(&a, 10);
  assert_mib(a.body->actual_kib, 1000, 1);
  end(&a);
}

/* Nothing happens in a guest that is paused. */
static void
test_paused(void)
{
  Alone a = alone(1000);
  CagmaBody before;

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 1500, 5);
  begin(&a);
  live_seconds(&a, 10);
  a.body->state = CAGMA_BODY_PAUSED;
  before = *a.body;
  lives_set(a.lives, 0, CAGMA_MIB(2000));
  live_seconds(&a, 10);
  g_assert_cmpfloat(a.body->actual_kib, ==, before.actual_kib);
  g_assert_cmpfloat(a.body->swap_in_kib, ==, before.swap_in_kib);
  g_assert_cmpfloat(resident(&a, 0) * 1024, ==, before.parts[0].resident_kib);
  g_assert_cmpfloat(a.body->stalled, ==, 0);
  end(&a);
}

/* What the host backs only grows, unless the guest reports what it has freed. */
static void
test_touched(void)
{
  for (unsigned reports = 0; reports < 2; reports++) {
    Alone a = alone(2048);
    CagmaPart *part = scenarios_add_part(a.guest, CAGMA_PART_ANON, 1200, 5);

    scenarios_add_phase(part, 10, 300, 5);
    a.guest->free_page_reporting = reports;
    begin(&a);
    live_seconds(&a, 5);
    assert_mib(a.body->touched_kib, 1280, 0.001);
    live_seconds(&a, 15);
    assert_mib(a.body->touched_kib, reports ? 380 : 1280, 0.001);
    /* Never more than its balloon leaves it. */
    lives_set(a.lives, 0, CAGMA_MIB(1000));
    live_seconds(&a, 5);
    assert_mib(a.body->touched_kib, reports ? 380 : 1000, 0.001);
    end(&a);
  }
}

/* Half of the guests' memory is swapped out by the host: of a hundredth of 1000 MiB touched
 * in a tick, 5 MiB. */
static void
test_host_swaps(void)
{
  Alone a = alone(2048);

  scenarios_add_part(a.guest, CAGMA_PART_ANON, 1000, 10);
  begin(&a);
  live_seconds(&a, 5);
  g_assert_cmpfloat(a.body->stalled, ==, 0);
  cagma_body_want(a.body, &a.scenario->disk, 0.5, a.lives->now_us, 0.1);
  assert_mib(a.body->host_missed_kib, 5, 0.001);
  cagma_body_live(a.body, 1, a.lives->now_us, 0.1);
  g_assert_cmpfloat(a.body->stalled, >, 0.3);
  /* Its own kernel has no part in that. */
  g_assert_cmpfloat(a.body->swap_in_kib, ==, 0);
  end(&a);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/body/grows", test_grows);
  g_test_add_func("/body/watermark", test_watermark);
  g_test_add_func("/body/balloon-takes-free", test_balloon_takes_free);
  g_test_add_func("/body/cold-goes-first", test_cold_goes_first);
  g_test_add_func("/body/files", test_files);
  g_test_add_func("/body/file-read-once", test_file_read_once);
  g_test_add_func("/body/wants", test_wants);
  g_test_add_func("/body/thrashes", test_thrashes);
  g_test_add_func("/body/brings-back", test_brings_back);
  g_test_add_func("/body/brings-back/bounds", test_brings_back_no_more_than_it_may);
  g_test_add_func("/body/brings-back/page-cache", test_bringing_back_drops_page_cache);
  g_test_add_func("/body/brings-back/time", test_stops_bringing_back_unless_asked_again);
  g_test_add_func("/body/monotone", test_monotone);
  g_test_add_func("/body/oom", test_oom);
  g_test_add_func("/body/oom-of-what-is-there", test_oom_of_what_is_there);
  g_test_add_func("/body/pressure", test_pressure);
  g_test_add_func("/body/swap-is-full", test_swap_is_full);
  g_test_add_func("/body/anonymous-share", test_anonymous_share);
  g_test_add_func("/body/pretends", test_pretends);
  g_test_add_func("/body/does-not-move", test_does_not_move);
  g_test_add_func("/body/reboot", test_reboot);
  g_test_add_func("/body/paused", test_paused);
  g_test_add_func("/body/touched", test_touched);
  g_test_add_func("/body/host-swaps", test_host_swaps);
  return g_test_run();
}
