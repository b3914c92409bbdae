/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory goes where it is needed, by the rules its owners set. */

#include <string.h>

#include "daemon.h"
#include "guest.h"
#include "judge.h"
#include "xml/status.h"

/* The guests: memory 256 MiB, of which an idle one uses 70. With autodeflate on (the first
 * two) and off. The last has no configuration. */
enum { A, B, C, D, E };

/* Within two periods, on a machine that has other things to do. */
#define SOON_US (10 * G_USEC_PER_SEC)
#define GUARANTEE_MIB 96
#define MEMORY_MIB 256
/* With what else the guest uses more than half its memory, and much more than a starved one has. */
#define WORK_MIB 110
/* Seconds: about three here. */
#define GROWS_S 60
#define CALM_S 90

static Guest *
guest(Bed *bed, guint index)
{
  return bed->guests->pdata[index];
}

static void
start(Bed *bed)
{
  guest_start(bed, "a", 128, MEMORY_MIB, GUARANTEE_MIB, "--autodeflate on");
  guest_start(bed, "b", 128, MEMORY_MIB, GUARANTEE_MIB, "--autodeflate off");
  guest_start(bed, "c", 224, MEMORY_MIB, GUARANTEE_MIB, "--autodeflate on");
  guest_start(bed, "d", 224, MEMORY_MIB, GUARANTEE_MIB, "--autodeflate off");
  guest_start(bed, "e", 128, 160, 0, "");
  for (guint i = A; i <= E; i++) {
    guest_await_agent(guest(bed, i));
    guest_await_report(guest(bed, i));
    guest_await_rest(guest(bed, i), GROWS_S);
  }
  daemon_configure(bed, 4, NULL);
  daemon_start(bed, NULL);
  for (guint i = A; i <= D; i++)
    daemon_await_state(bed, guest(bed, i)->name, "steady", "available", GROWS_S);
}

/* Starves a guest, and sees it fed by the others, who come to no harm. */
static void
starve_and_feed(Bed *bed, Guest *starved)
{
  uint64_t before_kib = guest_actual_kib(starved);
  int64_t began_us = g_get_real_time();
  uint64_t swapped_kib[E];

  for (guint i = A; i < E; i++)
    swapped_kib[i] = guest_swapped_out_kib(guest(bed, i));
  guest_work(starved, WORK_MIB);
  guest_await_actual(starved, before_kib + 64 * 1024, MEMORY_MIB * 1024, GROWS_S);
  guest_await_calm(starved, CALM_S);

  judge_await_call(bed, NULL, TRUE, began_us, 1);
  for (guint i = A; i < E; i++)
    if (guest(bed, i) != starved)
      g_assert_cmpuint(guest_swapped_out_kib(guest(bed, i)), ==, swapped_kib[i]);
  guest_stop_work(starved);
}

static void
test_starved_guest_is_fed_by_idle_neighbours(Bed *bed)
{
  uint64_t swapped_kib = guest_swapped_out_kib(guest(bed, A));

  starve_and_feed(bed, guest(bed, A));
  /* One that fills slowly may be fed before it swaps, which is no fault. */
  g_test_message("swapped out %d KiB", (int)(guest_swapped_out_kib(guest(bed, A)) - swapped_kib));
}

static void
test_without_autodeflate_too(Bed *bed)
{
  starve_and_feed(bed, guest(bed, B));
}

static void
test_metadata_takes_effect_within_two_periods(Bed *bed)
{
  Guest *changed = guest(bed, D);
  uint64_t before_kib;
  g_autofree char *lower = NULL;
  g_autofree char *higher = NULL;
  guint limit_mib, guarantee_mib;
  Call call;

  /* Nobody moves for needs of its own meanwhile. */
  for (guint i = A; i <= D; i++)
    guest_await_rest(guest(bed, i), GROWS_S);
  daemon_await_state(bed, changed->name, "steady", NULL, GROWS_S);
  before_kib = guest_actual_kib(changed);
  limit_mib = (guint)(before_kib / 1024) - 24;
  guarantee_mib = (guint)(before_kib / 1024) - 4;

  lower = g_strdup_printf("<memory><guarantee unit='MiB'>%d</guarantee><limit unit='MiB'>%u</limit></memory>",
                          GUARANTEE_MIB, limit_mib);
  guest_configure(changed, lower, TERMS_BALANCED, GUARANTEE_MIB, limit_mib);
  call = judge_await_call(bed, changed, TRUE, judge_configured_us(changed), GROWS_S);
  g_assert_cmpint(call.at_us - judge_configured_us(changed), <=, SOON_US);
  g_assert_cmpuint(call.kib, <=, limit_mib * 1024);
  guest_await_actual(changed, 0, limit_mib * 1024, GROWS_S);
  daemon_await_state(bed, changed->name, "steady", NULL, GROWS_S);

  higher = g_strdup_printf("<memory><guarantee unit='MiB'>%u</guarantee></memory>", guarantee_mib);
  guest_configure(changed, higher, TERMS_BALANCED, guarantee_mib, MEMORY_MIB);
  call = judge_await_call(bed, changed, FALSE, judge_configured_us(changed), GROWS_S);
  g_assert_cmpint(call.at_us - judge_configured_us(changed), <=, SOON_US);
  guest_await_actual(changed, guarantee_mib * 1024, MEMORY_MIB * 1024, GROWS_S);
  g_assert_cmpint(daemon_number(bed, changed->name, "guarantee-kib"), ==, guarantee_mib * 1024);

  guest_configure(changed, "<memory><guarantee unit='MiB'>96</guarantee></memory>", TERMS_BALANCED,
                  GUARANTEE_MIB, MEMORY_MIB);
}

static gboolean
status_says_invalid(gpointer data)
{
  g_autofree char *text = guest_status_metadata(data);

  return text && strstr(text, "invalid") && strstr(text, "lots");
}

static void
test_invalid_configuration_leaves_its_domain_alone(Bed *bed)
{
  Guest *invalid = guest(bed, D);
  int64_t since_us;
  uint64_t actual_kib;

  guest_configure(invalid, "<memory><guarantee unit='MiB'>lots</guarantee></memory>", TERMS_OUTSIDE, 0, 0);
  daemon_await_state(bed, invalid->name, "invalid", "guarantee", GROWS_S);
  guest_await_rest(invalid, GROWS_S);
  actual_kib = guest_actual_kib(invalid);
  /* It is counted in full from now on; the others are to have what they need all the same. */
  daemon_configure(bed, 32, NULL);
  since_us = g_get_real_time();
  starve_and_feed(bed, guest(bed, C));
  g_assert_cmpuint(judge_count(bed, invalid, since_us), ==, 0);
  g_assert_cmpuint(guest_actual_kib(invalid), ==, actual_kib);

  /* Written at most each ten seconds. */
  bed_await(GROWS_S, status_says_invalid, invalid, "the status metadata of %s says what is wrong",
            invalid->name);

  guest_configure(invalid, "<memory><guarantee unit='MiB'>96</guarantee></memory>", TERMS_BALANCED,
                  GUARANTEE_MIB, MEMORY_MIB);
  daemon_await_state(bed, invalid->name, "steady", NULL, GROWS_S);
}

static void
test_unmanaged_guest_is_untouched(Bed *bed)
{
  daemon_await_state(bed, "e", "unmanaged", "no configuration", GROWS_S);
  g_assert_cmpuint(judge_count(bed, guest(bed, E), 0), ==, 0);
  g_assert_cmpuint(guest_actual_kib(guest(bed, E)), ==, guest(bed, E)->current_kib);
  g_assert_null(guest_status_metadata(guest(bed, E)));
  g_assert_cmpint(daemon_number(bed, "e", "charge-kib"), ==, guest(bed, E)->memory_kib);
}

static void
test_tool_shows_what_is(Bed *bed)
{
  g_autofree char *table = daemon_ctl(bed, (const char *[]){ "status", NULL });
  g_autofree char *one = daemon_ctl(bed, (const char *[]){ "status", "a", NULL });
  g_autofree char *why = daemon_ctl(bed, (const char *[]){ "explain", "a", NULL });
  g_autofree char *json = daemon_ctl(bed, (const char *[]){ "--json", "explain", "a", NULL });
  g_autoptr(JsonNode) explained = json_from_string(json, NULL);

  g_assert_nonnull(strstr(table, "budget"));
  g_assert_nonnull(strstr(table, "unmanaged"));
  g_assert_nonnull(strstr(one, guest(bed, A)->uuid));
  g_assert_nonnull(strstr(why, "estimator critical"));
  g_assert_nonnull(
      strstr(json_object_get_string_member(json_node_get_object(explained), "explanation"), "plan:"));
  guest_await_rest(guest(bed, A), GROWS_S);
  g_assert_cmpint(daemon_number(bed, "a", "actual-kib"), ==, (gint64)guest_actual_kib(guest(bed, A)));
  g_assert_cmpint(daemon_number(bed, NULL, "in-hand-kib"), >=, 0);
}

/* Written at most each ten seconds, it may still say what was before. */
static gboolean
status_is_right(gpointer data)
{
  g_autofree char *text = guest_status_metadata(data);
  g_autoptr(CagmaStatus) status = NULL;
  g_autoptr(GError) error = NULL;

  if (!text)
    return FALSE;
  status = cagma_status_parse(text, -1, &error);
  g_assert_no_error(error);
  return status->guarantee_kib == GUARANTEE_MIB * 1024 && g_strcmp0(status->source, "balloon-stats") == 0 &&
         status->actual_kib >= GUARANTEE_MIB * 1024;
}

static void
test_status_metadata_is_there_while_it_runs(Bed *bed)
{
  for (guint i = A; i <= D; i++)
    bed_await(GROWS_S, status_is_right, guest(bed, i), "%s has its status in its metadata",
              guest(bed, i)->name);
  daemon_stop(bed);
  for (guint i = A; i <= E; i++)
    g_assert_null(guest_status_metadata(guest(bed, i)));
}

/* As one tries it first: with nothing known of targets. */
static void
test_dry_run_sets_nothing(Bed *bed)
{
  g_autofree char *targets = g_build_filename(bed->run_dir, "targets", NULL);
  Guest *starved = guest(bed, B);
  guint before;

  bed_run((const char *[]){ "rm", "-r", targets, NULL }, NULL, NULL, NULL);
  daemon_configure(bed, 0, NULL);
  daemon_start(bed, "--dry-run");
  daemon_await_state(bed, starved->name, "steady", "available", GROWS_S);
  before = daemon_log_count(bed, "c: would set");
  guest_work(starved, WORK_MIB);
  guest_await_swapping(starved, 8);
  /* The others would give: first the one that has most. */
  daemon_await_state(bed, guest(bed, C)->name, "shrinking", NULL, GROWS_S);
  daemon_await_log(bed, "c: would set", before, GROWS_S);
  for (guint i = A; i <= D; i++)
    g_assert_null(guest_status_metadata(guest(bed, i)));
  guest_stop_work(starved);
  daemon_stop(bed);
}

typedef struct {
  Bed *bed;
  Guest *guest;
  gint64 used_kib;
} Filled;

static gboolean
is_filled(gpointer data)
{
  Filled *filled = data;

  return daemon_number(filled->bed, filled->guest->name, "used-kib") >= filled->used_kib;
}

/* What nobody needs is where work may come, before it comes. */
static void
test_idle_memory_is_handed_out(Bed *bed)
{
  Guest *least = guest(bed, A);
  Filled filled = { .bed = bed };
  uint64_t swapped_kib;

  for (guint i = B; i <= D; i++)
    if (guest_actual_kib(guest(bed, i)) < guest_actual_kib(least))
      least = guest(bed, i);
  /* All can have all; to those who nearly do it isn't worth a call. */
  daemon_configure(bed, 4 * MEMORY_MIB, NULL);
  daemon_start(bed, NULL);
  guest_await_actual(least, MEMORY_MIB * 1024, MEMORY_MIB * 1024, GROWS_S);
  for (guint i = A; i <= D; i++) {
    guest_await_actual(guest(bed, i), (MEMORY_MIB - 64) * 1024, MEMORY_MIB * 1024, GROWS_S);
    guest_await_rest(guest(bed, i), GROWS_S);
  }

  swapped_kib = guest_swapped_out_kib(least);
  filled.guest = least;
  filled.used_kib = daemon_number(bed, least->name, "used-kib") + (WORK_MIB - 10) * 1024;
  guest_work(least, WORK_MIB);
  bed_await(GROWS_S, is_filled, &filled, "%s has filled its memory", least->name);
  g_assert_cmpuint(guest_swapped_out_kib(least), ==, swapped_kib);
  guest_stop_work(least);
  daemon_stop(bed);
}

static void
add(Bed *bed)
{
  bed_add(bed, "/live/balance/starved-guest-is-fed-by-idle-neighbours",
          test_starved_guest_is_fed_by_idle_neighbours);
  bed_add(bed, "/live/balance/without-autodeflate-too", test_without_autodeflate_too);
  bed_add(bed, "/live/balance/metadata-takes-effect-within-two-periods",
          test_metadata_takes_effect_within_two_periods);
  bed_add(bed, "/live/balance/invalid-configuration-leaves-its-domain-alone",
          test_invalid_configuration_leaves_its_domain_alone);
  bed_add(bed, "/live/balance/unmanaged-guest-is-untouched", test_unmanaged_guest_is_untouched);
  bed_add(bed, "/live/balance/tool-shows-what-is", test_tool_shows_what_is);
  bed_add(bed, "/live/balance/status-metadata-is-there-while-it-runs",
          test_status_metadata_is_there_while_it_runs);
  bed_add(bed, "/live/balance/dry-run-sets-nothing", test_dry_run_sets_nothing);
  bed_add(bed, "/live/balance/idle-memory-is-handed-out", test_idle_memory_is_handed_out);
}

int
main(int argc, char **argv)
{
  return bed_main(argc, argv, start, add);
}
