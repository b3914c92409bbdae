/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same daemon, on Xen: one test program in dom0, one boot. */

#include <libvirt/virterror.h>
#include <string.h>

#include "plugin/penalty.h"
#include "tests/live/cases.h"
#include "tests/live/daemon.h"
#include "tests/live/guest.h"
#include "tests/live/judge.h"

/* Two with our agent, and one without, which is never to be touched. */
enum { A, B, MUTE, GUESTS };

#define GUARANTEE_MIB 128
#define MEMORY_MIB 320
#define MUTE_MIB 128
/* A has some 80 MiB available, B 200. */
#define USED_MIB 80
#define WORK_MIB 120
#define FED_MIB 192
/* Some 30 more than either needs. */
#define PLENTY_MIB 184
#define GROWS_S 90
#define CALM_S 90
#define STATE_S 120
#define BOOT_S 120

static Guest *
guest(Bed *bed, guint index)
{
  return bed->guests->pdata[index];
}

static void
start(Bed *bed)
{
  guest_start_defined(bed, "a", 160, MEMORY_MIB, GUARANTEE_MIB, "");
  guest_start_defined(bed, "b", 288, MEMORY_MIB, GUARANTEE_MIB, "");
  guest_start(bed, "mute", MUTE_MIB, MEMORY_MIB, 64, "--append cagma.agent=off");
  guest_agree(guest(bed, MUTE), TERMS_HELD);
  for (guint i = A; i < GUESTS; i++) {
    guest_await_agent(guest(bed, i));
    guest_await_report(guest(bed, i));
    guest_await_rest(guest(bed, i), GROWS_S);
  }
  daemon_configure(bed, 4, NULL);
  daemon_start(bed, NULL);
  for (guint i = A; i <= B; i++)
    daemon_await_source(bed, guest(bed, i)->name, "xenstore", STATE_S);
  case_await_steady(bed);
}

/* The one that has less, which work makes short, and the other one. */
static Guest *
poorer(Bed *bed)
{
  return guest_actual_kib(guest(bed, A)) < guest_actual_kib(guest(bed, B)) ? guest(bed, A) : guest(bed, B);
}

static Guest *
richer(Bed *bed)
{
  return poorer(bed) == guest(bed, A) ? guest(bed, B) : guest(bed, A);
}

/* Fed by the other one, who comes to no harm. */
static void
starve_and_feed(Bed *bed)
{
  Guest *starved = poorer(bed), *donor = richer(bed);
  uint64_t before_kib = guest_actual_kib(starved), donor_swapped_kib = guest_swapped_out_kib(donor);
  int64_t began_us = g_get_real_time();

  guest_work(starved, WORK_MIB);
  judge_await_call(bed, starved, FALSE, began_us, GROWS_S);
  guest_await_actual(starved, before_kib + 32 * 1024, MEMORY_MIB * 1024, GROWS_S);
  guest_await_calm(starved, CALM_S);
  judge_await_call(bed, donor, TRUE, began_us, 1);
  g_assert_cmpuint(guest_swapped_out_kib(donor), ==, donor_swapped_kib);
  guest_stop_work(starved);
}

static void
test_starved_guest_is_fed_by_its_neighbour(Bed *bed)
{
  starve_and_feed(bed);
}

/* How much it has depends on what became of the last test: its work is 40 MiB too much for it. */
static void
test_emergency_does_not_wait_for_the_period(Bed *bed)
{
  Guest *starved;

  case_await_steady(bed);
  starved = poorer(bed);
  case_emergency(bed, starved, richer(bed), (guint)(guest_actual_kib(starved) / 1024) - USED_MIB + 40);
}

static void
test_guest_without_agent_is_left_alone(Bed *bed)
{
  daemon_await_state(bed, "mute", "blind", "its guest has not reported since it started", STATE_S);
  g_assert_cmpint(daemon_number(bed, "mute", "charge-kib"), ==, MUTE_MIB * 1024);
  g_assert_cmpuint(judge_count(bed, guest(bed, MUTE), 0), ==, 0);
}

static void
test_metadata_takes_effect(Bed *bed)
{
  Guest *changed = richer(bed);
  guint limit_mib, guarantee_mib;
  g_autofree char *lower = NULL;
  g_autofree char *higher = NULL;

  case_await_steady(bed);
  limit_mib = (guint)(guest_actual_kib(changed) / 1024) - 24;
  guarantee_mib = limit_mib + 16;

  lower = g_strdup_printf("<memory><guarantee unit='MiB'>%d</guarantee><limit unit='MiB'>%u</limit></memory>",
                          GUARANTEE_MIB, limit_mib);
  guest_configure(changed, lower, TERMS_BALANCED, GUARANTEE_MIB, limit_mib);
  guest_await_actual(changed, 0, limit_mib * 1024, GROWS_S);
  daemon_await_state(bed, changed->name, "steady", NULL, STATE_S);

  higher = g_strdup_printf("<memory><guarantee unit='MiB'>%u</guarantee></memory>", guarantee_mib);
  guest_configure(changed, higher, TERMS_BALANCED, guarantee_mib, MEMORY_MIB);
  guest_await_actual(changed, guarantee_mib * 1024, MEMORY_MIB * 1024, GROWS_S);

  guest_configure(changed, "<memory><guarantee unit='MiB'>128</guarantee></memory>", TERMS_BALANCED,
                  GUARANTEE_MIB, MEMORY_MIB);
}

static void
test_killed_while_it_shrinks(Bed *bed)
{
  const MidMove move = { WORK_MIB, FED_MIB, .shrinks = TRUE, .forgets = TRUE };

  case_await_steady(bed);
  case_killed_in_mid_move(bed, poorer(bed), &move);
}

static void
test_libvirtd_restarts(Bed *bed)
{
  case_libvirtd_restarts(bed, poorer(bed), WORK_MIB, FED_MIB);
}

static void
test_guest_reboots(Bed *bed)
{
  Guest *rebooted = guest(bed, B);
  virDomainPtr domain = guest_domain(rebooted);
  uint64_t actual_kib = guest_actual_kib(rebooted);
  unsigned int id = virDomainGetID(domain);

  case_await_steady(bed);
  rebooted->rebooted_us = g_get_real_time();
  g_assert_cmpint(virDomainReboot(domain, 0), ==, 0);
  virDomainFree(domain);
  daemon_await_state(bed, rebooted->name, "blind", NULL, STATE_S);
  /* It is another domain to Xen, and must be found again. */
  daemon_await_source(bed, rebooted->name, "xenstore", STATE_S);
  rebooted->back_us = g_get_real_time();
  domain = guest_domain(rebooted);
  g_assert_cmpuint(virDomainGetID(domain), !=, id);
  virDomainFree(domain);
  guest_await_agent(rebooted);
  case_await_steady(bed);
  g_assert_cmpuint(guest_actual_kib(rebooted), >=, MIN(actual_kib, GUARANTEE_MIB * 1024));
}

/* Hostile guests. */

/* What no agent writes; printf's format. */
static const char *const lies[] = {
  "",
  "{",
  "null",
  "[1]",
  "{\"seq\": 1}",
  "{\"seq\": -1, \"stats\": {}}",
  "{\"seq\": 18446744073709551616, \"stats\": {\"total\": 1}}",
  "{\"seq\": 3, \"pressure-seq\": 3, \"time-us\": 1, \"stats\": {\"total\": -1, \"available\": 1}, \"load\": "
  "{}}",
  "{\"seq\": 4, \"pressure-seq\": 4, \"time-us\": 1, \"stats\": {\"total\": \"much\"}, \"load\": {}}",
  "{\"seq\": 5, \"seq\": 6, \"pressure-seq\": 4, \"time-us\": 1, \"stats\": {}, \"load\": {}}",
  "\\000\\377\\001\\200\\n{}",
};

static void
run_in(Guest *hostile, const char *script)
{
  g_autofree char *output = guest_control(hostile, (const char *[]){ "run", "/bin/sh", "-c", script, NULL });
}

static void
test_hostile_values(Bed *bed)
{
  Guest *hostile = guest(bed, MUTE);

  for (guint i = 0; i < G_N_ELEMENTS(lies); i++) {
    g_autofree char *script = g_strdup_printf("printf '%s' | errand put data/cagma", lies[i]);

    run_in(hostile, script);
  }
  run_in(hostile, "head -c 1024 /dev/urandom | errand put data/cagma");
  run_in(hostile, "yes '[' | tr -d '\\n' | head -c 1400 | errand put data/cagma");
  /* Beyond its quota, and beyond what a request may be. */
  run_in(hostile, "head -c 2040 /dev/zero | errand put data/cagma || true");
  run_in(hostile, "head -c 4096 /dev/zero | errand put data/cagma || true");
  /* Under it, where there should be nothing. */
  run_in(hostile, "echo x | errand put data/cagma/below");
  daemon_await_state(bed, hostile->name, "blind", NULL, STATE_S);
  g_assert_cmpint(daemon_number(bed, hostile->name, "charge-kib"), ==, MUTE_MIB * 1024);
  g_assert_cmpuint(daemon_log_count(bed, "its value in xenstore is"), >=, 1);
}

/* It writes as fast as xenstored lets it; another one is fed meanwhile. */
static void
test_flood(Bed *bed)
{
  guint before = daemon_log_count(bed, "times a second");
  Guest *hostile = guest(bed, MUTE);
  int64_t told_us;

  case_await_steady(bed);
  hostile->work =
      guest_control(hostile, (const char *[]){ "exec", "errand", "flood", "data/cagma", "600", NULL });
  daemon_await_log(bed, "times a second", before, STATE_S);
  told_us = g_get_monotonic_time();
  starve_and_feed(bed);
  guest_stop_work(hostile);
  /* Told once for each time that it is passed over, however often it did it. */
  g_assert_cmpint(daemon_log_count(bed, "times a second"), <=,
                  before + 1 + (g_get_monotonic_time() - told_us) / G_USEC_PER_SEC / CAGMA_PENALTY_S);
}

static void
test_quota(Bed *bed)
{
  Guest *hostile = guest(bed, MUTE);

  run_in(hostile, "errand fill data/junk");
  run_in(hostile, "echo '{}' | errand put data/cagma || true");
  daemon_await_state(bed, hostile->name, "blind", NULL, STATE_S);
  starve_and_feed(bed);
}

/* Room for a start. */

static uint64_t
free_kib(Bed *bed)
{
  Sighting sighting = { 0 };

  watch_last(guest(bed, A)->watch, &sighting);
  return sighting.host_free_kib;
}

/* Xen has no memory for it unless somebody gives some back. */
static void
test_start_makes_room(Bed *bed)
{
  guint current_mib;
  g_autofree char *xml = NULL;
  Guest *late;

  case_await_steady(bed);
  daemon_stop(bed);
  current_mib = (guint)(free_kib(bed) / 1024) + 32;
  xml = guest_xml(bed, "late", current_mib, current_mib, GUARANTEE_MIB, "");
  g_assert_null(virDomainCreateXML(bed->conn, xml, 0));
  g_test_message("%u MiB, without us: %s", current_mib, virGetLastErrorMessage());

  daemon_configure(bed, (guint)(free_kib(bed) / 1024), "budget=auto\nreserve=0");
  daemon_start(bed, NULL);
  case_await_steady(bed);
  late = guest_start_xml(bed, "late", current_mib, current_mib, GUARANTEE_MIB, xml);
  guest_await_agent(late);
  case_await_steady(bed);
  guest_destroy(late);
  daemon_configure(bed, 4, NULL);
}

/* What Xen had free at least since then. */
static uint64_t
least_free_kib(Bed *bed, int64_t since_us)
{
  uint64_t least_kib = G_MAXUINT64;
  Sighting sighting;

  for (guint n = 0; watch_nth(guest(bed, A)->watch, n, &sighting); n++)
    if (sighting.asked_us >= since_us)
      least_kib = MIN(least_kib, sighting.host_free_kib);
  return least_kib;
}

/* There is some to give, and nothing beyond it is. */
static void
test_free_memory_is_the_budget(Bed *bed)
{
  Guest *starved = poorer(bed);
  uint64_t before_kib = guest_actual_kib(starved), reserve_kib = free_kib(bed) - 24 * 1024;
  g_autofree char *conf = g_strdup_printf("budget=auto\nreserve=%" G_GUINT64_FORMAT "KiB", reserve_kib);
  int64_t since_us;

  daemon_configure(bed, 24, conf);
  since_us = g_get_real_time();
  guest_work(starved, WORK_MIB);
  guest_await_actual(starved, before_kib + 32 * 1024, MEMORY_MIB * 1024, GROWS_S);
  guest_await_calm(starved, CALM_S);
  g_test_message("free: %" G_GUINT64_FORMAT " KiB at least, reserve %" G_GUINT64_FORMAT,
                 least_free_kib(bed, since_us), reserve_kib);
  /* Each holds a little more than its target. */
  g_assert_cmpuint(least_free_kib(bed, since_us), >=, reserve_kib - 1024);
  guest_stop_work(starved);
  daemon_configure(bed, 4, NULL);
}

/* No guarantee protects these, and nothing in Xen does. */
static void
test_reclaiming_kills_nobody(Bed *bed)
{
  static const char unprotected[] = "<memory><guarantee unit='MiB'>1</guarantee></memory>";
  uint64_t before_kib, swapped_kib[GUESTS];

  /* They have more than they need. */
  daemon_configure(bed, 160, NULL);
  guest_await_actual(richer(bed), PLENTY_MIB * 1024, MEMORY_MIB * 1024, GROWS_S);
  guest_await_rest(poorer(bed), GROWS_S);
  before_kib = guest_actual_kib(richer(bed));
  for (guint i = A; i <= B; i++) {
    guest_configure(guest(bed, i), unprotected, TERMS_BALANCED, 1, MEMORY_MIB);
    swapped_kib[i] = guest_swapped_out_kib(guest(bed, i));
  }
  daemon_configure(bed, 4, "surplus=reclaim");
  guest_await_actual(richer(bed), 0, before_kib - 32 * 1024, GROWS_S);
  for (guint i = A; i <= B; i++) {
    guest_await_rest(guest(bed, i), GROWS_S);
    run_in(guest(bed, i), "true");
    g_assert_cmpuint(guest_swapped_out_kib(guest(bed, i)), <=, swapped_kib[i] + 1024);
    guest_configure(guest(bed, i), "<memory><guarantee unit='MiB'>128</guarantee></memory>", TERMS_BALANCED,
                    GUARANTEE_MIB, MEMORY_MIB);
  }
  daemon_configure(bed, 4, NULL);
}

static void
add(Bed *bed)
{
  bed_add(bed, "/xen/starved-guest-is-fed-by-its-neighbour", test_starved_guest_is_fed_by_its_neighbour);
  bed_add(bed, "/xen/emergency-does-not-wait-for-the-period", test_emergency_does_not_wait_for_the_period);
  bed_add(bed, "/xen/guest-without-agent-is-left-alone", test_guest_without_agent_is_left_alone);
  bed_add(bed, "/xen/metadata-takes-effect", test_metadata_takes_effect);
  bed_add(bed, "/xen/hostile-values", test_hostile_values);
  bed_add(bed, "/xen/flood", test_flood);
  bed_add(bed, "/xen/quota", test_quota);
  bed_add(bed, "/xen/killed-while-it-shrinks", test_killed_while_it_shrinks);
  bed_add(bed, "/xen/libvirtd-restarts", test_libvirtd_restarts);
  bed_add(bed, "/xen/guest-reboots", test_guest_reboots);
  bed_add(bed, "/xen/free-memory-is-the-budget", test_free_memory_is_the_budget);
  bed_add(bed, "/xen/killed-at-rest-moves-nothing", case_killed_at_rest);
  bed_add(bed, "/xen/start-makes-room", test_start_makes_room);
  bed_add(bed, "/xen/reclaiming-kills-nobody", test_reclaiming_kills_nobody);
}

int
main(int argc, char **argv)
{
  return bed_main(argc, argv, start, add);
}
