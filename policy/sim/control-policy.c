/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/guard.h"
#include "policy/plan.h"
#include "policy/policy.h"
#include "policy/read-back.h"
#include "policy/rules.h"
#include "policy/sim/world.h"

/* Our policies, driven as the daemon drives them (plugin/manager-*.c): figures of all each
 * period, those of moving balloons five times a second, a decision each period, when a
 * balloon has arrived, when a guest's figures show that it is short, and at once in an emergency. */

/* plugin/manager-rounds.c: FIGURES_MAX_US, WATCH_INTERVAL_MS. */
#define FIGURES_MAX_US (3 * CAGMA_SECOND_US)
#define WATCH_US ((int64_t)200000)

typedef struct {
  CagmaWorld *world;
  const CagmaPolicy *policy;
  CagmaHost host;
  CagmaPlan plan;
  CagmaDomain *domains; /* one a guest */
  CagmaReadBack *read_backs;
  gboolean reads_back;     /* asks for it */
  CagmaSample *statistics; /* of its balloon, as last delivered */
  CagmaDomain **present;   /* host.domains */
  size_t *indices;         /* and which guests they are */
  int64_t sample_us, decide_us, decided_us, watch_us;
  gboolean decide;
  gboolean is_short; /* somebody is */
} Control;

static void
gather_present(Control *control)
{
  size_t n = 0;

  for (size_t i = 0; i < control->world->n; i++) {
    if (!control->world->guests[i].present)
      continue;
    control->present[n] = &control->domains[i];
    control->indices[n++] = i;
  }
  control->host.n_domains = n;
}

/* Says what a domain is, as its description does. */
static void
describe(Control *control, size_t guest)
{
  const CagmaSimGuest *spec = control->world->guests[guest].body.spec;
  CagmaDomain *domain = &control->domains[guest];

  cagma_domain_init(domain, cagma_world_clock(control->world));
  domain->config = spec->config;
  domain->managed = spec->config.mode != CAGMA_MODE_OFF;
  domain->max_kib = spec->memory_kib;
  domain->report_period_us = spec->report_us;
  domain->without = control->host.without;
  if (!(spec->config.given & CAGMA_GIVEN_ESTIMATOR))
    domain->config.estimator = control->policy->estimator;
  if (!(spec->config.given & CAGMA_GIVEN_SOURCE))
    domain->config.source = control->policy->source;
  control->statistics[guest] = (CagmaSample){ 0 };
}

static gpointer
start(CagmaWorld *world, const CagmaContestant *contestant)
{
  const CagmaScenario *scenario = world->scenario;
  Control *control = g_new0(Control, 1);

  control->world = world;
  control->domains = g_new0(CagmaDomain, world->n);
  control->read_backs = g_new0(CagmaReadBack, world->n);
  control->reads_back = scenario->read_back && cagma_reads_back(contestant->policy, contestant->without);
  control->statistics = g_new0(CagmaSample, world->n);
  control->present = g_new0(CagmaDomain *, world->n);
  control->indices = g_new0(size_t, world->n);
  control->policy = contestant->policy;
  control->host.policy = contestant->policy->kind;
  control->host.without = contestant->without;
  control->host.budget = CAGMA_BUDGET_FIXED;
  control->host.budget_kib = scenario->memory_kib;
  control->host.reserve_kib = scenario->reserve_kib;
  control->host.pool_kib = scenario->pool_kib;
  control->host.surplus = scenario->surplus;
  control->host.period_us = scenario->period_us;
  control->host.domains = control->present;
  control->sample_us = control->decide_us = control->watch_us = world->now_us;
  for (size_t i = 0; i < world->n; i++) {
    describe(control, i);
    if (world->guests[i].present)
      cagma_domain_restart(&control->domains[i], world->guests[i].body.asked_kib, cagma_world_clock(world));
  }
  gather_present(control);
  return control;
}

static void
end(gpointer user_data)
{
  Control *control = user_data;

  cagma_plan_clear(&control->plan);
  g_free(control->domains);
  g_free(control->read_backs);
  g_free(control->statistics);
  g_free(control->present);
  g_free(control->indices);
  g_free(control);
}

static void
arrived(gpointer user_data, size_t guest)
{
  Control *control = user_data;

  describe(control, guest);
  cagma_domain_restart(&control->domains[guest], control->world->guests[guest].body.asked_kib,
                       cagma_world_clock(control->world));
  gather_present(control);
}

static void
rebooted(gpointer user_data, size_t guest)
{
  Control *control = user_data;

  cagma_domain_restart(&control->domains[guest], control->domains[guest].target_kib,
                       cagma_world_clock(control->world));
}

static void
left(gpointer user_data, size_t guest)
{
  Control *control = user_data;

  (void)guest;
  gather_present(control);
  control->host.left_us = cagma_world_clock(control->world);
}

static void
paused(gpointer user_data, size_t guest, gboolean on)
{
  Control *control = user_data;

  control->domains[guest].hold = on ? "paused" : NULL;
}

/* Asks for a domain's figures. */
static void
look(Control *control, size_t guest)
{
  CagmaDomain *domain = &control->domains[guest];
  CagmaSample sample = control->statistics[guest];
  gboolean moved = domain->move != CAGMA_MOVE_NONE;

  sample.source = CAGMA_SAMPLE_BALLOON;
  cagma_world_look(control->world, guest, &sample);
  cagma_domain_feed(domain, &sample, cagma_world_clock(control->world));
  control->decide = control->decide || (moved && domain->move == CAGMA_MOVE_NONE);
}

/* The agent answers what was asked last time before what is asked now. */
static void
read_back(Control *control, size_t guest, int64_t now_us)
{
  CagmaReadBack *state = &control->read_backs[guest];
  const CagmaBody *body = &control->world->guests[guest].body;
  uint64_t kib;

  if (state->due && state->asked)
    cagma_read_back_answered(state, (uint64_t)body->brought_kib, cagma_body_swapped(body) < 1);
  kib = cagma_read_back_due(state, &control->domains[guest], control->reads_back, now_us);
  if (kib)
    cagma_world_read_back(control->world, guest, kib);
}

static void
reported(gpointer user_data, size_t guest, const CagmaSimReport *report)
{
  Control *control = user_data;
  CagmaDomain *domain = &control->domains[guest];
  int64_t now_us = cagma_world_clock(control->world);
  CagmaDemand demand;

  if (report->sample.source == CAGMA_SAMPLE_BALLOON) {
    control->statistics[guest] = report->sample;
    return;
  }
  cagma_domain_feed(domain, &report->sample, now_us);
  read_back(control, guest, now_us);
  if (!report->pressure) {
    control->is_short = control->is_short || cagma_is_short(domain);
    return;
  }
  cagma_estimate(domain, cagma_host_horizon_us(&control->host, domain), &demand);
  if (cagma_domain_press(domain, demand.critical_kib, now_us))
    control->decide = TRUE;
}

static void
decide(Control *control)
{
  CagmaWorld *world = control->world;
  int64_t now_us = cagma_world_clock(world), since_us = cagma_world_decides(world);
  g_autoptr(GError) error = NULL;

  control->decide = control->is_short = FALSE;
  control->decided_us = world->now_us;
  cagma_decide(&control->host, now_us, &control->plan);
  if (!cagma_guard_check(&control->host, &control->plan, now_us, &error))
    g_error("the guard refuses a plan of the simulator's: %s", error->message);
  cagma_world_decided(world, since_us);

  for (size_t i = 0; i < control->plan.n_steps; i++) {
    const CagmaStep *step = &control->plan.steps[i];

    cagma_domain_set(control->present[step->domain], step->target_kib, now_us);
    cagma_world_set(world, control->indices[step->domain], step->target_kib);
  }
}

static void
tick(gpointer user_data)
{
  Control *control = user_data;
  CagmaWorld *world = control->world;
  gboolean all = world->now_us >= control->sample_us, watch = world->now_us >= control->watch_us;

  for (size_t i = 0; i < control->host.n_domains; i++) {
    if (all || (watch && control->present[i]->move != CAGMA_MOVE_NONE))
      look(control, control->indices[i]);
  }
  if (all)
    control->sample_us = world->now_us + MIN(control->host.period_us, FIGURES_MAX_US);
  if (watch)
    control->watch_us = world->now_us + WATCH_US;
  if (world->now_us < 0)
    return;
  if (world->now_us >= control->decide_us) {
    control->decide_us = world->now_us + control->host.period_us;
    control->decide = TRUE;
  }
  if (control->is_short && world->now_us - control->decided_us >= CAGMA_SHORT_INTERVAL_US)
    control->decide = TRUE;
  if (control->decide)
    decide(control);
}

const CagmaControl cagma_control_policy = {
  .start = start,
  .arrived = arrived,
  .rebooted = rebooted,
  .left = left,
  .paused = paused,
  .reported = reported,
  .tick = tick,
  .end = end,
};
