/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may break breaks: the daemon, libvirtd, a QEMU, a guest. */

#include <signal.h>

#include "cases.h"
#include "daemon.h"
#include "guest.h"
#include "judge.h"

enum { X, Y, Z, LATE };

#define GUARANTEE_MIB 96
#define MEMORY_MIB 256
#define WORK_MIB 110
#define FED_MIB 200
#define GROWS_S 60
#define STATE_S 90
/* From the start of the work to the call that gives memory, which takes some two seconds here. Were
 * the hung QEMU waited for, it would never come. */
#define PROMPT_US (30 * G_USEC_PER_SEC)

static Guest *
guest(Bed *bed, guint index)
{
  return bed->guests->pdata[index];
}

static void
start(Bed *bed)
{
  guest_start(bed, "x", 128, MEMORY_MIB, GUARANTEE_MIB, "");
  guest_start(bed, "y", 224, MEMORY_MIB, GUARANTEE_MIB, "");
  guest_start(bed, "z", 224, MEMORY_MIB, GUARANTEE_MIB, "");
  for (guint i = X; i <= Z; i++) {
    guest_await_agent(guest(bed, i));
    guest_await_report(guest(bed, i));
    guest_await_rest(guest(bed, i), GROWS_S);
  }
  daemon_configure(bed, 4, NULL);
  daemon_start(bed, NULL);
  for (guint i = X; i <= Z; i++)
    daemon_await_state(bed, guest(bed, i)->name, "steady", "available", STATE_S);
}

static void
kill_in_mid_move(Bed *bed, Guest *starved, gboolean shrinks, gboolean forgets)
{
  const MidMove move = { WORK_MIB, FED_MIB, shrinks, forgets };

  case_killed_in_mid_move(bed, starved, &move);
}

static void
test_killed_while_it_shrinks(Bed *bed)
{
  kill_in_mid_move(bed, guest(bed, X), TRUE, FALSE);
}

static void
test_killed_while_it_grows(Bed *bed)
{
  kill_in_mid_move(bed, guest(bed, Y), FALSE, FALSE);
}

static void
test_killed_and_its_memory_lost(Bed *bed)
{
  kill_in_mid_move(bed, guest(bed, Z), TRUE, TRUE);
}

static void
test_libvirtd_restarts(Bed *bed)
{
  case_libvirtd_restarts(bed, guest(bed, X), WORK_MIB, FED_MIB);
}

static void
test_stopped_qemu_delays_nobody(Bed *bed)
{
  Guest *starved = guest(bed, Y), *stopped = guest(bed, Z);
  int64_t since_us;
  Call call;

  case_await_steady(bed);
  guest_agree(stopped, TERMS_HELD);
  guest_signal(stopped, SIGSTOP);
  since_us = g_get_real_time();
  /* At once, while the daemon has yet to notice. */
  guest_work(starved, WORK_MIB);
  call = judge_await_call(bed, starved, FALSE, since_us, GROWS_S);
  g_assert_cmpint(call.at_us - since_us, <=, PROMPT_US);
  case_await_fed(starved, FED_MIB);
  daemon_await_state(bed, stopped->name, "stuck", "does not answer", STATE_S);
  guest_signal(stopped, SIGCONT);
  guest_agree(stopped, TERMS_BALANCED);
  daemon_await_state(bed, stopped->name, "steady", "available", STATE_S);
}

static void
test_guest_reboots(Bed *bed)
{
  Guest *rebooted = guest(bed, Z);
  virDomainPtr domain = guest_domain(rebooted);
  uint64_t actual_kib;

  case_await_steady(bed);
  actual_kib = guest_actual_kib(rebooted);
  rebooted->rebooted_us = g_get_real_time();
  g_assert_cmpint(virDomainReset(domain, 0), ==, 0);
  virDomainFree(domain);
  /* It boots with all its memory, whatever its balloon was, and is counted so. */
  daemon_await_state(bed, rebooted->name, "blind", "has not reported since it started", STATE_S);
  g_assert_cmpint(daemon_number(bed, rebooted->name, "charge-kib"), ==, (gint64)rebooted->memory_kib);
  daemon_await_state(bed, rebooted->name, "steady", "available", STATE_S);
  g_assert_cmpint(daemon_number(bed, rebooted->name, "charge-kib"), <, (gint64)rebooted->memory_kib);
  guest_await_actual(rebooted, actual_kib / 2, MEMORY_MIB * 1024 - 1, GROWS_S);
  guest_await_agent(rebooted);
}

typedef struct {
  Bed *bed;
  Guest *guest;
} Charged;

static gboolean
is_charged(gpointer data)
{
  Charged *charged = data;

  /* It may have been given some of what nobody needs by now. */
  return daemon_number(charged->bed, charged->guest->name, "charge-kib") <=
         (gint64)guest_actual_kib(charged->guest);
}

static void
test_guest_that_starts_is_adopted(Bed *bed)
{
  Guest *late;
  Charged charged = { bed, NULL };

  daemon_configure(bed, MEMORY_MIB, NULL);
  late = guest_start(bed, "late", 128, MEMORY_MIB, GUARANTEE_MIB, "--stats none");
  guest_await_agent(late);
  guest_await_rest(late, STATE_S);
  g_assert_cmpuint(guest_actual_kib(late), ==, late->current_kib);
  daemon_await_state(bed, late->name, "steady", "available", STATE_S);
  /* libvirt says it has all its memory until its balloon has come down. */
  charged.guest = late;
  bed_await(STATE_S, is_charged, &charged, "late is charged no more than it has");
  guest_work(late, WORK_MIB);
  case_await_fed(late, FED_MIB);
  guest_destroy(late);
}

static void
add(Bed *bed)
{
  bed_add(bed, "/live/loss/killed-while-it-shrinks", test_killed_while_it_shrinks);
  bed_add(bed, "/live/loss/killed-while-it-grows", test_killed_while_it_grows);
  bed_add(bed, "/live/loss/killed-and-its-memory-lost", test_killed_and_its_memory_lost);
  bed_add(bed, "/live/loss/killed-at-rest-moves-nothing", case_killed_at_rest);
  bed_add(bed, "/live/loss/libvirtd-restarts", test_libvirtd_restarts);
  bed_add(bed, "/live/loss/stopped-qemu-delays-nobody", test_stopped_qemu_delays_nobody);
  bed_add(bed, "/live/loss/guest-reboots", test_guest_reboots);
  bed_add(bed, "/live/loss/guest-that-starts-is-adopted", test_guest_that_starts_is_adopted);
}

int
main(int argc, char **argv)
{
  return bed_main(argc, argv, start, add);
}
