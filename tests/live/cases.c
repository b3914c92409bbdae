/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cases.h"

#include "daemon.h"
#include "judge.h"

#define GROWS_S 60
#define CALM_S 90
#define STATE_S 90
/* Longer than slack rests (CAGMA_SPREAD_US). */
#define QUIET_US (15 * G_USEC_PER_SEC)

/* Emergencies: from the first page seen swapped out. Here 0.1 s; and for a loaded machine. The period is
 * LONG_PERIOD_US then. */
#define EMERGENCY_US (15 * G_USEC_PER_SEC)
/* Other domains' figures are older than what counts as recent. */
#define OLD_US (11 * G_USEC_PER_SEC)
/* From a call's being sent to its being logged. */
#define CALL_US (2 * G_USEC_PER_SEC)
#define LONG_PERIOD_US (300 * G_USEC_PER_SEC)

static gboolean
is_balanced(Guest *guest)
{
  return guest_terms(guest) == TERMS_BALANCED && guest->ended_us == G_MAXINT64;
}

static void
await_steady(Bed *bed, const char *reason)
{
  for (guint i = 0; i < bed->guests->len; i++) {
    Guest *guest = bed->guests->pdata[i];

    if (is_balanced(guest))
      daemon_await_state(bed, guest->name, "steady", reason, STATE_S);
  }
  for (guint i = 0; i < bed->guests->len; i++) {
    Guest *guest = bed->guests->pdata[i];

    if (is_balanced(guest))
      guest_await_rest(guest, STATE_S);
  }
}

void
case_await_steady(Bed *bed)
{
  await_steady(bed, NULL);
}

void
case_await_fed(Guest *starved, guint least_mib)
{
  guest_await_actual(starved, least_mib * 1024, starved->memory_kib, GROWS_S);
  guest_await_calm(starved, CALM_S);
  guest_stop_work(starved);
}

static void
forget_targets(Bed *bed)
{
  g_autofree char *targets = g_build_filename(bed->run_dir, "targets", NULL);

  g_assert_cmpint(bed_run((const char *[]){ "rm", "-r", targets, NULL }, NULL, NULL, NULL), ==, 0);
}

void
case_killed_in_mid_move(Bed *bed, Guest *starved, const MidMove *move)
{
  int64_t began_us = g_get_real_time(), killed_us;

  guest_work(starved, move->work_mib);
  judge_await_call(bed, move->shrinks ? NULL : starved, move->shrinks, began_us, GROWS_S);
  daemon_kill(bed);
  killed_us = g_get_real_time();
  for (guint i = 0; i < bed->guests->len; i++) {
    Guest *guest = bed->guests->pdata[i];

    if (!is_balanced(guest))
      continue;
    guest_await_rest(guest, GROWS_S);
    g_assert_cmpuint(guest_actual_kib(guest), >=, guest_guarantee_kib(guest));
  }
  /* What was on its way may still be carried out. */
  g_assert_cmpuint(judge_count(bed, NULL, killed_us + CALL_US), ==, 0);
  if (move->forgets)
    forget_targets(bed);
  daemon_start(bed, NULL);
  case_await_fed(starved, move->least_mib);
}

static gboolean
is_past(gpointer data)
{
  const int64_t *at_us = data;

  return g_get_real_time() >= *at_us;
}

static gboolean
is_quiet(gpointer data)
{
  return judge_count(data, NULL, g_get_real_time() - QUIET_US) == 0;
}

void
case_killed_at_rest(Bed *bed)
{
  int64_t since_us, until_us;

  case_await_steady(bed);
  /* Reports of what the last test did are all in. */
  bed_await(STATE_S, is_quiet, bed, "nothing is moved any more");
  daemon_kill(bed);
  since_us = g_get_real_time();
  daemon_start(bed, NULL);
  /* And their balloons rest, long enough for whatever the daemon might want. */
  until_us = g_get_real_time() + QUIET_US;
  await_steady(bed, "available");
  bed_await(STATE_S, is_past, &until_us, "a new daemon has had its time");
  g_assert_cmpuint(judge_count(bed, NULL, since_us), ==, 0);
}

static gboolean
is_connected(gpointer data)
{
  return daemon_is_connected(data);
}

void
case_libvirtd_restarts(Bed *bed, Guest *starved, guint work_mib, guint least_mib)
{
  guint before = daemon_log_count(bed, "connected to");

  case_await_steady(bed);
  guest_work(starved, work_mib);
  bed_restart_libvirtd(bed);
  daemon_await_log(bed, "connected to", before, STATE_S);
  bed_await(STATE_S, is_connected, bed, "cagmad is connected again");
  guest_await_agent(starved);
  case_await_fed(starved, least_mib);
}

/* When the guest was first seen to have swapped out more than so much; 0: it hasn't. */
static int64_t
first_swapped_us(Guest *guest, uint64_t before_kib)
{
  Sighting sighting;

  for (guint n = 0; watch_nth(guest->watch, n, &sighting); n++)
    if (sighting.swap_out_kib > before_kib)
      return sighting.told_us;
  return 0;
}

/* The first page swapped out may not be long past. How long the work took until then is the guest's. */
static void
assert_prompt(Guest *starved, uint64_t swapped_kib, int64_t began_us, int64_t at_us, const char *what)
{
  int64_t swaps_us = first_swapped_us(starved, swapped_kib);

  if (swaps_us)
    g_test_message("%s %.3f s after the first page was seen swapped out", what,
                   (double)(at_us - swaps_us) / G_USEC_PER_SEC);
  else
    g_test_message("%s, and no page was seen swapped out", what);
  g_test_message("%s %.3f s after the work began", what, (double)(at_us - began_us) / G_USEC_PER_SEC);
  if (swaps_us)
    g_assert_cmpint(at_us - swaps_us, <=, EMERGENCY_US);
}

#define PRESSED "its guest reports pressure: it has"

void
case_emergency(Bed *bed, Guest *starved, Guest *donor, guint work_mib)
{
  uint64_t before_kib = guest_actual_kib(starved), donor_kib = guest_actual_kib(donor);
  uint64_t swapped_kib = guest_swapped_out_kib(starved);
  int64_t configured_us, old_us, began_us;
  guint pressed = daemon_log_count(bed, PRESSED);
  Call grown, shrunk;

  daemon_configure(bed, 16, "pool=16MiB\nperiod=300s");
  configured_us = g_get_real_time();
  old_us = configured_us + OLD_US;
  bed_await(GROWS_S, is_past, &old_us, "what the daemon knows of the donor is old");

  began_us = g_get_real_time();
  guest_work(starved, work_mib);
  grown = judge_await_call(bed, starved, FALSE, began_us, GROWS_S);
  shrunk = judge_await_call(bed, donor, TRUE, began_us, GROWS_S);
  /* From the pool at once; or, where figures came before the event and showed the shortage, from what
   * the donor gave. A balloon may stand so far from the target that the call adds to
   * (CAGMA_REACHED_KIB). */
  g_assert_cmpuint(grown.kib, <=,
                   before_kib + 16 * 1024 + (donor_kib - MIN(shrunk.kib, donor_kib)) + 2 * 1024);
  /* What it would like beyond what it needs not to swap is the period's. */
  guest_await_actual(starved, before_kib + 32 * 1024, starved->memory_kib, GROWS_S);
  g_test_message("fed after %.1f s", (double)(g_get_real_time() - began_us) / G_USEC_PER_SEC);
  guest_await_calm(starved, CALM_S);
  /* No period ended. */
  g_assert_cmpint(g_get_real_time() - configured_us, <, LONG_PERIOD_US);
  /* Its sightings are all in by now. */
  assert_prompt(starved, swapped_kib, began_us, grown.at_us, "first growth");
  assert_prompt(starved, swapped_kib, began_us, shrunk.at_us, "the donor was asked");
  g_test_message("%s",
                 daemon_log_count(bed, PRESSED) > pressed ? "its event was heard" : "its figures came first");
  guest_stop_work(starved);
  daemon_configure(bed, 4, NULL);
}
