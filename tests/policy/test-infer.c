/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "policy/plan.h"
#include "policy/rules.h"
#include "policy/sim/infer.h"
#include "policy/sim/sim.h"
#include "policy/units.h"
#include "tests/policy/lives.h"

/* A scenario's guests are lived through, what a host sees of them is gathered, and the
 * scenario inferred from that is held against the truth. */

#define S CAGMA_SECOND_US

static CagmaPhase
phase(int64_t from_s, uint64_t mib, int64_t ramp_s, int64_t sweep_s)
{
  CagmaPhase made;

  cagma_sim_phase_init(&made);
  made.from_us = from_s * S;
  made.size_kib = CAGMA_MIB(mib);
  made.ramp_us = ramp_s * S;
  made.sweep_us = sweep_s * S;
  return made;
}

static CagmaSimGuest *
add_guest(CagmaScenario *scenario, const char *name, uint64_t memory_mib, uint64_t start_mib)
{
  CagmaSimGuest *guest;

  scenario->guests = g_renew(CagmaSimGuest, scenario->guests, scenario->n_guests + 1);
  guest = &scenario->guests[scenario->n_guests++];
  cagma_sim_guest_init(guest);
  g_free(guest->name);
  guest->name = g_strdup(name);
  guest->memory_kib = CAGMA_MIB(memory_mib);
  guest->start_kib = CAGMA_MIB(start_mib);
  return guest;
}

static void
add_part(CagmaSimGuest *guest, CagmaPartKind kind, const CagmaPhase *phases, size_t n)
{
  guest->parts = g_renew(CagmaPart, guest->parts, guest->n_parts + 1);
  guest->parts[guest->n_parts++] =
      (CagmaPart){ .kind = kind, .phases = g_memdup2(phases, n * sizeof *phases), .n_phases = n };
}

static CagmaScenario *
new_scenario(uint64_t host_mib, int64_t duration_s)
{
  CagmaScenario *scenario = g_new0(CagmaScenario, 1);

  cagma_scenario_init(scenario);
  scenario->memory_kib = CAGMA_MIB(host_mib);
  scenario->reserve_kib = CAGMA_MIB(128);
  scenario->pool_kib = CAGMA_MIB(64);
  scenario->duration_us = duration_s * S;
  return scenario;
}

/* A host that sees them. */
typedef struct {
  const CagmaScenario *scenario;
  Lives *lives;
  CagmaHost host;
  CagmaPlan plan;
  CagmaDomain *domains, **present;
  CagmaSample *samples;
  CagmaSeen *seen;
  gboolean *known;
  gboolean acts;
  CagmaHistory *history;
} Watch;

static void
watch_init(Watch *watch, const CagmaScenario *scenario, gboolean acts)
{
  *watch = (Watch){ .scenario = scenario,
                    .lives = lives_new(scenario),
                    .domains = g_new0(CagmaDomain, scenario->n_guests),
                    .present = g_new0(CagmaDomain *, scenario->n_guests),
                    .samples = g_new0(CagmaSample, scenario->n_guests),
                    .seen = g_new0(CagmaSeen, scenario->n_guests),
                    .known = g_new0(gboolean, scenario->n_guests),
                    .acts = acts,
                    .history = cagma_history_new() };
  watch->host = (CagmaHost){ .budget = CAGMA_BUDGET_FIXED,
                             .budget_kib = scenario->memory_kib,
                             .reserve_kib = scenario->reserve_kib,
                             .pool_kib = scenario->pool_kib,
                             .surplus = scenario->surplus,
                             .period_us = scenario->period_us,
                             .domains = watch->present };
}

static void
watch_clear(Watch *watch)
{
  lives_free(watch->lives);
  cagma_plan_clear(&watch->plan);
  cagma_history_free(watch->history);
  g_free(watch->domains);
  g_free(watch->present);
  g_free(watch->samples);
  g_free(watch->seen);
  g_free(watch->known);
}

static int64_t
clock_of(const Watch *watch)
{
  return watch->lives->now_us + 500 * S;
}

static void
look_at(Watch *watch, size_t i)
{
  const CagmaSimGuest *spec = &watch->scenario->guests[i];
  CagmaDomain *domain = &watch->domains[i];
  gboolean there = lives_is_there(watch->lives, i);
  CagmaSample sample;

  if (there && !watch->known[i]) {
    cagma_domain_init(domain, clock_of(watch));
    domain->config = spec->config;
    domain->managed = TRUE;
    domain->max_kib = spec->memory_kib;
    domain->report_period_us = spec->report_us;
    cagma_domain_restart(domain, spec->start_kib, clock_of(watch));
  }
  watch->known[i] = there;
  if (!there)
    return;
  lives_look(watch->lives, i, &sample);
  cagma_domain_feed(domain, &sample, clock_of(watch));
  if (watch->lives->bodies[i].state != CAGMA_BODY_RUNS || watch->lives->now_us % S)
    return;
  lives_report(watch->lives, i, &watch->samples[i]);
  cagma_domain_feed(domain, &watch->samples[i], clock_of(watch));
}

static void
decide(Watch *watch)
{
  size_t n = 0, which[16];

  for (size_t i = 0; i < watch->scenario->n_guests; i++) {
    if (!watch->known[i])
      continue;
    watch->present[n] = &watch->domains[i];
    watch->seen[n] = (CagmaSeen){ .id = watch->scenario->guests[i].name,
                                  .name = watch->scenario->guests[i].name,
                                  .domain = &watch->domains[i],
                                  .sample = &watch->samples[i] };
    which[n++] = i;
  }
  watch->host.n_domains = n;
  cagma_decide(&watch->host, clock_of(watch), &watch->plan);
  cagma_history_add(watch->history, watch->lives->now_us, &watch->host, watch->plan.verdict.in_hand_kib,
                    watch->seen, n);
  for (size_t s = 0; watch->acts && s < watch->plan.n_steps; s++) {
    const CagmaStep *step = &watch->plan.steps[s];

    cagma_domain_set(watch->present[step->domain], step->target_kib, clock_of(watch));
    lives_set(watch->lives, which[step->domain], step->target_kib);
  }
}

static CagmaScenario *
watch_and_infer(CagmaScenario *scenario, gboolean acts)
{
  g_autoptr(GError) error = NULL;
  CagmaScenario *inferred;
  Watch watch;

  g_assert_true(cagma_scenario_check(scenario, &error));
  watch_init(&watch, scenario, acts);
  while (watch.lives->now_us < scenario->duration_us) {
    lives_tick(watch.lives);
    for (size_t i = 0; watch.lives->now_us % (2 * LIVES_TICK_US) == 0 && i < scenario->n_guests; i++)
      look_at(&watch, i);
    if (watch.lives->now_us % scenario->period_us == 0)
      decide(&watch);
  }
  inferred = cagma_infer(watch.history, &error);
  g_assert_no_error(error);
  watch_clear(&watch);
  return inferred;
}

static void
assert_near(const char *what, double is, double should, double within)
{
  if (is < should - within || is > should + within)
    g_error("%s is %.1f, should be %.1f ± %.1f", what, is, should, within);
}

static void
assert_meant(const CagmaSimGuest *is, const CagmaSimGuest *should, CagmaPartKind kind, int64_t at_s,
             double within_mib)
{
  /* The first decision, where the inferred time begins, was at the first period's end. */
  g_autofree char *what = g_strdup_printf("%s's %s at %d s", should->name,
                                          kind == CAGMA_PART_ANON ? "own memory" : "cache", (int)at_s);

  assert_near(what, lives_meant_kib(is, kind, at_s * S) / 1024,
              lives_meant_kib(should, kind, at_s * S) / 1024, within_mib);
}

/* With room enough, everything is seen as it is. */
static void
test_needs(void)
{
  static const int64_t times_s[] = { 10, 50, 75, 90, 110, 150, 200, 220, 290 };
  const CagmaPhase ramp[] = { phase(0, 300, 0, 20), phase(60, 900, 60, 20), phase(210, 400, 0, 20) };
  const CagmaPhase even[] = { phase(0, 500, 0, 5) };
  const CagmaPhase cache[] = { phase(0, 200, 0, 10) };
  g_autoptr(CagmaScenario) truth = new_scenario(4096, 300);
  g_autoptr(CagmaScenario) inferred = NULL;
  CagmaSimGuest *first = add_guest(truth, "web", 2048, 1500), *second;
  CagmaSimResult of_truth, of_inferred;

  first->config.guarantee_kib = CAGMA_MIB(400);
  first->config.given |= CAGMA_GIVEN_GUARANTEE;
  first->config.shares = 500;
  add_part(first, CAGMA_PART_ANON, ramp, G_N_ELEMENTS(ramp));
  add_part(first, CAGMA_PART_FILE, cache, G_N_ELEMENTS(cache));
  second = add_guest(truth, "db", 1024, 1024);
  second->vcpus = 3;
  second->swap_kib = CAGMA_MIB(700);
  second->report_us = 2 * S;
  add_part(second, CAGMA_PART_ANON, even, G_N_ELEMENTS(even));
  inferred = watch_and_infer(truth, TRUE);

  g_assert_cmpuint(inferred->n_guests, ==, 2);
  g_assert_cmpuint(inferred->memory_kib, ==, truth->memory_kib);
  g_assert_cmpuint(inferred->reserve_kib, ==, truth->reserve_kib);
  g_assert_cmpuint(inferred->pool_kib, ==, truth->pool_kib);
  g_assert_cmpint(inferred->period_us, ==, truth->period_us);
  assert_near("duration", (double)inferred->duration_us / 1e6, 300, 3);
  g_assert_cmpuint(inferred->disk.iops, ==, truth->disk.iops);
  g_assert_nonnull(strstr(inferred->description, "The disk is guessed"));
  g_assert_nonnull(strstr(inferred->description, "for 0 of 2"));
  for (size_t i = 0; i < 2; i++) {
    const CagmaSimGuest *is = &inferred->guests[i], *should = &truth->guests[i];

    g_assert_cmpstr(is->name, ==, should->name);
    g_assert_cmpuint(is->memory_kib, ==, should->memory_kib);
    g_assert_cmpuint(is->start_kib, ==, should->start_kib);
    g_assert_cmpuint(is->kernel_kib, ==, should->kernel_kib);
    g_assert_cmpuint(is->swap_kib, ==, should->swap_kib);
    g_assert_cmpuint(is->vcpus, ==, should->vcpus);
    g_assert_cmpuint(is->config.guarantee_kib, ==, should->config.guarantee_kib);
    g_assert_cmpuint(is->config.limit_kib, ==, should->config.limit_kib);
    g_assert_cmpuint(is->config.shares, ==, should->config.shares);
    g_assert_cmpint(is->report_us, ==, should->report_us);
    g_assert_cmpint(is->reports, ==, CAGMA_REPORTS_AGENT);
    g_assert_true(is->driver);
    g_assert_cmpint(is->arrives_us, ==, 0);
    g_assert_cmpint(is->leaves_us, ==, 0);
    for (size_t k = 0; k < G_N_ELEMENTS(times_s); k++) {
      /* A ramp of 10 MiB/s, seen each 3 s; 2 % of tolerance. */
      assert_meant(is, should, CAGMA_PART_ANON, times_s[k], 40);
      /* A cache takes a few sweeps to fill. */
      if (times_s[k] >= 50)
        assert_meant(is, should, CAGMA_PART_FILE, times_s[k], 10);
    }
  }
  /* And it can be run: what guests need, and what they get, is much the same. */
  cagma_sim_run(truth, &(CagmaContestant){ .policy = cagma_policy_of(CAGMA_POLICY_CAGMA) }, NULL, &of_truth);
  cagma_sim_run(inferred, &(CagmaContestant){ .policy = cagma_policy_of(CAGMA_POLICY_CAGMA) }, NULL,
                &of_inferred);
  assert_near("needed", of_inferred.total.needed_mib, of_truth.total.needed_mib,
              0.05 * of_truth.total.needed_mib);
  assert_near("allocated", of_inferred.total.allocated_mib, of_truth.total.allocated_mib,
              0.1 * of_truth.total.allocated_mib);
  cagma_sim_result_clear(&of_truth);
  cagma_sim_result_clear(&of_inferred);
}

static int64_t
sweep_of(const CagmaSimGuest *guest, CagmaPartKind kind)
{
  for (size_t i = 0; i < guest->n_parts; i++)
    if (guest->parts[i].kind == kind && guest->parts[i].phases[0].sweep_us)
      return guest->parts[i].phases[0].sweep_us;
  g_error("%s has no such part", guest->name);
}

/* A guest that doesn't fit pages: on a disk that can do more, as another shows, so does its
 * pace. */
static void
test_pace(void)
{
  static const struct {
    int64_t sweep_s;
    uint32_t iops;
    gboolean known;
  } cases[] = {
    { 10, 100000, TRUE },
    { 60, 100000, TRUE },
    { 10, 150, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const CagmaPhase hot[] = { phase(0, 100, 0, cases[i].sweep_s), phase(20, 700, 5, cases[i].sweep_s) };
    const CagmaPhase loud[] = { phase(0, 100, 0, 2), phase(120, 700, 0, 2), phase(150, 100, 0, 2) };
    g_autoptr(CagmaScenario) truth = new_scenario(2048, 240);
    g_autoptr(CagmaScenario) inferred = NULL;
    double sweep_s;

    truth->disk.iops = cases[i].iops;
    truth->disk.latency_us = MAX(S / cases[i].iops, 1);
    add_part(add_guest(truth, "hot", 1024, 512), CAGMA_PART_ANON, hot, G_N_ELEMENTS(hot));
    add_part(add_guest(truth, "loud", 1024, 512), CAGMA_PART_ANON, loud, G_N_ELEMENTS(loud));
    inferred = watch_and_infer(truth, FALSE);
    sweep_s = (double)sweep_of(&inferred->guests[0], CAGMA_PART_ANON) / 1e6;
    if (cases[i].known) {
      g_assert_nonnull(strstr(inferred->description, "for 2 of 2"));
      assert_near("sweep", sweep_s, (double)cases[i].sweep_s, 0.35 * (double)cases[i].sweep_s);
    } else {
      /* The disk's pace, of some three minutes, isn't taken for the guest's. */
      g_assert_null(strstr(inferred->description, "for 2 of 2"));
      g_assert_cmpfloat(sweep_s, <=, 30);
      g_assert_cmpfloat(sweep_s, >=, 0.65 * (double)cases[i].sweep_s);
    }
    assert_meant(&inferred->guests[0], &truth->guests[0], CAGMA_PART_ANON, 150, 40);
  }
}

/* What stays swapped out isn't in use. */
static void
test_cold(void)
{
  const CagmaPhase hot[] = { phase(0, 100, 0, 5), phase(20, 300, 0, 5) };
  const CagmaPhase cold[] = { phase(0, 400, 0, 0) };
  g_autoptr(CagmaScenario) truth = new_scenario(2048, 240);
  g_autoptr(CagmaScenario) inferred = NULL;
  CagmaSimGuest *guest = add_guest(truth, "idle", 1024, 600);
  double cold_mib = 0;

  add_part(guest, CAGMA_PART_ANON, hot, G_N_ELEMENTS(hot));
  add_part(guest, CAGMA_PART_ANON, cold, G_N_ELEMENTS(cold));
  inferred = watch_and_infer(truth, FALSE);
  for (size_t i = 0; i < inferred->guests[0].n_parts; i++) {
    const CagmaPart *part = &inferred->guests[0].parts[i];

    if (!part->phases[0].sweep_us)
      cold_mib += (double)part->phases[part->n_phases - 1].size_kib / 1024;
  }
  /* 600 leave 520 beside the kernel, and its marks, of 700. */
  assert_near("cold", cold_mib, 700 - 520 + 60, 40);
  assert_meant(&inferred->guests[0], guest, CAGMA_PART_ANON, 150, 20);
}

/* A cache that is read again and again is larger than what is cached. */
static void
test_cache(void)
{
  const CagmaPhase grows[] = { phase(0, 100, 0, 10), phase(100, 400, 0, 10) };
  const CagmaPhase files[] = { phase(0, 400, 0, 20) };
  g_autoptr(CagmaScenario) truth = new_scenario(2048, 240);
  g_autoptr(CagmaScenario) inferred = NULL;
  CagmaSimGuest *guest = add_guest(truth, "files", 1024, 750);

  truth->disk.iops = 100000;
  truth->disk.latency_us = 10;
  add_part(guest, CAGMA_PART_ANON, grows, G_N_ELEMENTS(grows));
  add_part(guest, CAGMA_PART_FILE, files, G_N_ELEMENTS(files));
  inferred = watch_and_infer(truth, FALSE);
  assert_meant(&inferred->guests[0], guest, CAGMA_PART_FILE, 80, 20);
  assert_meant(&inferred->guests[0], guest, CAGMA_PART_FILE, 200, 60);
  assert_near("sweep", (double)sweep_of(&inferred->guests[0], CAGMA_PART_FILE) / 1e6, 20, 8);
}

/* The highest rates seen make the disk. */
static void
test_disk(void)
{
  const CagmaPhase hot[] = { phase(0, 100, 0, 2), phase(20, 700, 5, 2) };
  g_autoptr(CagmaScenario) truth = new_scenario(2048, 120);
  g_autoptr(CagmaScenario) inferred = NULL;

  truth->disk.iops = 3000;
  truth->disk.latency_us = 333;
  add_part(add_guest(truth, "hot", 1024, 512), CAGMA_PART_ANON, hot, G_N_ELEMENTS(hot));
  inferred = watch_and_infer(truth, FALSE);
  assert_near("requests", inferred->disk.iops, 3000, 600);
  g_assert_cmpint(inferred->disk.latency_us, ==, S / inferred->disk.iops);
  g_assert_nonnull(strstr(inferred->description, "as fast as was seen"));
}

static void
test_come_and_go(void)
{
  const CagmaPhase even[] = { phase(0, 200, 0, 20) };
  g_autoptr(CagmaScenario) truth = new_scenario(4096, 200);
  g_autoptr(CagmaScenario) inferred = NULL;
  CagmaSimGuest *late, *early;

  add_part(add_guest(truth, "stays", 1024, 512), CAGMA_PART_ANON, even, 1);
  late = add_guest(truth, "late", 1024, 700);
  late->arrives_us = 60 * S;
  add_part(late, CAGMA_PART_ANON, even, 1);
  early = add_guest(truth, "early", 1024, 600);
  early->leaves_us = 90 * S;
  inferred = watch_and_infer(truth, TRUE);
  g_assert_cmpuint(inferred->n_guests, ==, 3);
  g_assert_cmpstr(inferred->guests[1].name, ==, "early");
  g_assert_cmpstr(inferred->guests[2].name, ==, "late");
  assert_near("leaves", (double)inferred->guests[1].leaves_us / 1e6, 91.5, 2);
  g_assert_cmpint(inferred->guests[1].arrives_us, ==, 0);
  assert_near("arrives", (double)inferred->guests[2].arrives_us / 1e6, 61.5, 2);
  g_assert_cmpuint(inferred->guests[2].start_kib, ==, CAGMA_MIB(700));
  g_assert_cmpint(inferred->guests[2].leaves_us, ==, 0);
}

/* Longer than there are windows: they grow, and bounds hold. */
static void
test_long(void)
{
  const CagmaPhase steps[] = { phase(0, 200, 0, 20), phase(1500, 600, 0, 20), phase(2400, 300, 300, 20) };
  g_autoptr(CagmaScenario) truth = new_scenario(2048, 3600);
  g_autoptr(CagmaScenario) inferred = NULL;
  CagmaSimGuest *guest = add_guest(truth, "steps", 1024, 1024);

  add_part(guest, CAGMA_PART_ANON, steps, G_N_ELEMENTS(steps));
  inferred = watch_and_infer(truth, FALSE);
  assert_near("duration", (double)inferred->duration_us / 1e6, 3600, 3);
  for (int64_t at_s = 100; at_s < 3500; at_s += 400)
    assert_meant(&inferred->guests[0], guest, CAGMA_PART_ANON, at_s, 30);
  /* A window is 16 s by now. */
  assert_meant(&inferred->guests[0], guest, CAGMA_PART_ANON, 1475, 30);
  assert_meant(&inferred->guests[0], guest, CAGMA_PART_ANON, 1520, 30);
}

/* Where the daemon asked for it, so do the policies that are tried. */
static void
test_reading_back(void)
{
  const CagmaSample nothing = { 0 };
  CagmaDomain domain;
  CagmaSeen seen = { .id = "1", .name = "guest", .domain = &domain, .sample = &nothing };

  cagma_domain_init(&domain, S);
  domain.managed = TRUE;
  domain.max_kib = CAGMA_GIB(1);
  g_assert_true(cagma_config_fit(&domain.config, domain.max_kib, NULL));
  for (uint32_t without = 0; without <= CAGMA_RULE_READ_BACK; without += CAGMA_RULE_READ_BACK) {
    const CagmaHost host = { .period_us = S, .without = without | CAGMA_RULE_POOL };
    g_autoptr(CagmaHistory) history = cagma_history_new();
    g_autoptr(CagmaScenario) inferred = NULL;
    g_autoptr(GError) error = NULL;

    cagma_history_add(history, 0, &host, (int64_t)CAGMA_GIB(1), &seen, 1);
    cagma_history_add(history, 10 * S, &host, (int64_t)CAGMA_GIB(1), &seen, 1);
    inferred = cagma_infer(history, &error);
    g_assert_no_error(error);
    g_assert_cmpint(inferred->read_back, ==, !without);
    g_assert_cmpint(strstr(inferred->description, "asked to bring back") != NULL, ==, !without);
  }
}

/* What can't be a scenario is said to be none; what has odd names becomes one. */
static void
test_odd(void)
{
  static const char *const names[] = { "a\tb", "", "twin", "twin",
                                       "a name that goes on and on, for more than sixty-four characters, "
                                       "as libvirt allows, and is cut" };
  g_autoptr(CagmaHistory) none = cagma_history_new();
  g_autoptr(CagmaHistory) odd = cagma_history_new();
  g_autoptr(CagmaScenario) inferred = NULL;
  g_autoptr(GError) error = NULL;
  CagmaDomain domains[G_N_ELEMENTS(names)], *unmanaged = &domains[0];
  CagmaSeen seen[G_N_ELEMENTS(names)];
  const CagmaSample nothing = { 0 };
  const CagmaHost host = { .reserve_kib = CAGMA_MIB(100), .period_us = S };

  g_assert_null(cagma_infer(none, &error));
  g_assert_error(error, CAGMA_SCENARIO_ERROR, CAGMA_SCENARIO_ERROR_VALUE);
  g_clear_error(&error);

  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    static const char *const ids[] = { "1", "2", "3", "4", "5" };

    cagma_domain_init(&domains[i], S);
    domains[i].managed = TRUE;
    domains[i].max_kib = CAGMA_GIB(1);
    g_assert_true(cagma_config_fit(&domains[i].config, domains[i].max_kib, NULL));
    seen[i] = (CagmaSeen){ .id = ids[i], .name = names[i], .domain = &domains[i], .sample = &nothing };
  }
  cagma_history_add(odd, 0, &host, (int64_t)CAGMA_GIB(1), seen, G_N_ELEMENTS(names));
  inferred = cagma_infer(odd, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(inferred->guests[0].name, ==, "a?b");
  g_assert_cmpstr(inferred->guests[1].name, ==, "guest");
  g_assert_cmpstr(inferred->guests[2].name, ==, "twin");
  g_assert_cmpstr(inferred->guests[3].name, ==, "twin-4");
  g_assert_cmpint(g_utf8_strlen(inferred->guests[4].name, -1), <=, 64);
  /* Each charged in full, and what was in hand, and the reserve. */
  g_assert_cmpuint(inferred->memory_kib, ==, CAGMA_GIB(6) + CAGMA_MIB(100));
  g_assert_cmpint(inferred->guests[0].reports, ==, CAGMA_REPORTS_NONE);
  g_assert_false(inferred->guests[0].driver);
  g_assert_nonnull(strstr(inferred->description, "5 never reported"));
  g_clear_pointer(&inferred, cagma_scenario_free);

  /* One that isn't balanced any more has left, and its memory isn't the guests'. */
  unmanaged->managed = FALSE;
  cagma_history_add(odd, 10 * S, &host, (int64_t)CAGMA_GIB(1), seen, G_N_ELEMENTS(names));
  inferred = cagma_infer(odd, &error);
  g_assert_no_error(error);
  g_assert_cmpint(inferred->guests[0].leaves_us, ==, 10 * S);
  g_assert_cmpint(inferred->guests[1].leaves_us, ==, 0);
  g_clear_pointer(&inferred, cagma_scenario_free);

  /* The rest of a record longer than a scenario can be is left out. */
  cagma_history_add(odd, CAGMA_SIM_DURATION_MAX_US + S, &host, 0, seen, 1);
  inferred = cagma_infer(odd, &error);
  g_assert_no_error(error);
  g_assert_cmpint(inferred->duration_us, ==, 11 * S);
  g_assert_nonnull(strstr(inferred->description, "ends after 24 hours"));
  g_clear_pointer(&inferred, cagma_scenario_free);

  /* Contradictions, as in a forged record. */
  domains[1].config.guarantee_kib = CAGMA_GIB(2);
  domains[1].config.given = CAGMA_GIVEN_GUARANTEE;
  cagma_history_add(odd, 20 * S, &host, (int64_t)CAGMA_GIB(1), seen, G_N_ELEMENTS(names));
  g_assert_null(cagma_infer(odd, &error));
  g_assert_error(error, CAGMA_SCENARIO_ERROR, CAGMA_SCENARIO_ERROR_VALUE);
  g_assert_nonnull(strstr(error->message, "no scenario can be made of it: $.guests[1]"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/infer/needs", test_needs);
  g_test_add_func("/infer/pace", test_pace);
  g_test_add_func("/infer/cold", test_cold);
  g_test_add_func("/infer/cache", test_cache);
  g_test_add_func("/infer/disk", test_disk);
  g_test_add_func("/infer/come-and-go", test_come_and_go);
  g_test_add_func("/infer/long", test_long);
  g_test_add_func("/infer/reading-back", test_reading_back);
  g_test_add_func("/infer/odd", test_odd);
  return g_test_run();
}
