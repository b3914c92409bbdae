/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Thousands of random hosts living random lives. Whatever happens to them, no plan
 * breaks a guarantee (check.h), and no plan that does passes the guard. */

#include "check.h"
#include "policy/guard.h"
#include "policy/rules.h"

#define HOSTS 1500
#define SECONDS 120
#define GUESTS_MAX 8

static int32_t
draw(Model *model, int32_t below)
{
  return g_rand_int_range(model->rand, 0, below);
}

static uint64_t
draw_kib(Model *model, uint64_t least_kib, uint64_t most_kib)
{
  return least_kib + (uint64_t)(g_rand_double(model->rand) * (double)(most_kib - least_kib));
}

static void
configure(Model *model, CagmaDomain *domain)
{
  CagmaConfig *config = &domain->config;
  static const uint32_t shares[] = { 0, 1, 1000, 1000, 2000, CAGMA_SHARES_MAX };

  config->limit_kib = draw_kib(model, CAGMA_MIB(64), domain->max_kib);
  config->guarantee_kib = draw(model, 8) ? draw_kib(model, 0, config->limit_kib) : 0;
  config->shares = shares[draw(model, G_N_ELEMENTS(shares))];
  config->headroom_permille = (uint32_t)draw(model, 300);
  config->rate_permille = (uint32_t)draw(model, 3000) + 100;
  config->source = (CagmaCriticalSource)draw(model, CAGMA_SOURCE_SWAPPING + 1);
  config->emergency = draw(model, 5) != 0;
  config->estimator = draw(model, 2) ? cagma_policy_of(model->host.policy)->estimator
                                     : (CagmaEstimatorKind)draw(model, CAGMA_N_ESTIMATORS);
  config->mode = draw(model, 10) ? CAGMA_MODE_ENFORCE : CAGMA_MODE_OBSERVE;
  domain->managed = draw(model, 15) != 0;
}

static void
invent(Model *model, guint32 seed)
{
  g_autoptr(GRand) first = g_rand_new_with_seed(seed);
  size_t n = (size_t)g_rand_int_range(first, 1, GUESTS_MAX + 1);
  uint64_t max_kib = CAGMA_MIB(g_rand_int_range(first, 128, 8192));

  model_init(model, n, max_kib, 0, seed);
  /* From hopelessly over to more than enough. */
  model->host.budget_kib = draw_kib(model, 0, n * max_kib + CAGMA_GIB(1));
  model->host.budget = draw(model, 2) ? CAGMA_BUDGET_AUTO : CAGMA_BUDGET_FIXED;
  model->host.total_kib = model->host.budget_kib;
  model->host.available_kib = model->host.total_kib;
  model->others_kib = draw_kib(model, 0, CAGMA_MIB(512));
  model->host.reserve_kib = draw_kib(model, 0, CAGMA_MIB(512));
  model->host.pool_kib = draw(model, 3) ? draw_kib(model, 0, model->host.budget_kib / 10) : 0;
  model->host.policy = (CagmaPolicyKind)draw(model, CAGMA_N_POLICIES);
  model->host.surplus = draw(model, 2) ? CAGMA_SURPLUS_RECLAIM : CAGMA_SURPLUS_LEAVE;
  model->host.without = draw(model, 4) ? 0 : (uint32_t)draw(model, 1 << CAGMA_N_RULES);

  for (size_t i = 0; i < n; i++) {
    ModelGuest *guest = &model->guests[i];

    configure(model, &guest->domain);
    guest->domain.without = model->host.without;
    guest->working_kib = draw_kib(model, 0, max_kib * 5 / 4);
    guest->cache_kib = draw_kib(model, 0, max_kib);
    guest->noise_kib = draw_kib(model, 0, CAGMA_MIB(200));
    guest->balloon_kib_per_s = draw_kib(model, 0, CAGMA_MIB(1000));
    guest->report_period_us = draw(model, 5) ? CAGMA_SECOND_US : 5 * CAGMA_SECOND_US;
    guest->domain.report_period_us = guest->report_period_us;
    guest->speaks = draw(model, 2) != 0;
    guest->presses = draw(model, 3) == 0;
    guest->traced = draw(model, 2) != 0;
    guest->vcpus = (uint64_t)draw(model, 4);
    if (draw(model, 3) == 0)
      model_bound(model, i);
    if (draw(model, 2))
      model_place(model, i, draw_kib(model, CAGMA_MIB(64), max_kib), guest->working_kib / 4);
  }
}

/* Something that happens to one guest. */
static void
befall(Model *model, size_t index)
{
  ModelGuest *guest = &model->guests[index];
  CagmaDomain *domain = &guest->domain;

  switch (draw(model, 18)) {
  case 0:
    guest->working_kib = draw_kib(model, 0, domain->max_kib);
    break;
  case 1: /* the daemon sees it start again, and may not know what it was asked for */
    model_boot(model, index);
    guest->called_kib = draw(model, 2) ? guest->called_kib : 0;
    cagma_domain_restart(domain, guest->called_kib, model->now_us);
    guest->told_cap_kib = guest->called_kib ? guest->told_cap_kib : 0;
    guest->told_by_agent = guest->told_ever = FALSE;
    break;
  case 2: /* a reboot nobody told of */
    model_boot(model, index);
    break;
  case 3: /* an operator's setmem */
    guest->asked_kib = draw_kib(model, CAGMA_MIB(32), domain->max_kib);
    break;
  case 4: /* deflates for want of memory */
    guest->actual_kib =
        draw_kib(model, guest->actual_kib, guest->bounded ? guest->actual_kib : domain->max_kib);
    break;
  case 5:
    domain->hold = domain->hold ? NULL : "paused";
    guest->paused = domain->hold && draw(model, 2);
    break;
  case 6:
    domain->unresponsive = !domain->unresponsive;
    break;
  case 7: /* its metadata change */
    configure(model, domain);
    break;
  case 8:
    guest->says = (ModelSays)draw(model, MODEL_SAYS_NOTHING + 1);
    break;
  case 9:
    guest->balloon = (ModelBalloon)draw(model, MODEL_BALLOON_PRETENDS + 1);
    break;
  case 10: /* a start is prepared, or was */
    model->host.incoming_kib = draw(model, 2) ? draw_kib(model, 0, CAGMA_GIB(4)) : 0;
    break;
  case 11: /* its agent starts, or dies */
    guest->speaks = !guest->speaks;
    break;
  case 12:
    guest->presses = !guest->presses;
    break;
  case 13: /* its channel is unplugged, or its owner thinks so */
    cagma_domain_source_lost(domain, CAGMA_SAMPLE_CHANNEL);
    guest->told_ever = guest->told_ever && !guest->told_by_agent;
    guest->told_by_agent = FALSE;
    break;
  case 14: /* who sees its pages comes or goes */
    guest->traced = !guest->traced;
    break;
  case 15: /* another policy, after a restart of the daemon */
    model->host.policy = (CagmaPolicyKind)draw(model, CAGMA_N_POLICIES);
    break;
  case 16: /* its balloon driver comes up, or isn't there */
    guest->driverless = !guest->driverless;
    break;
  default: /* the host's own needs, or its budget */
    model->others_kib = draw_kib(model, 0, CAGMA_GIB(2));
    if (model->host.budget == CAGMA_BUDGET_FIXED)
      model->host.budget_kib = draw_kib(model, 0, model->n * domain->max_kib);
    model->host.merged_kib = draw_kib(model, 0, CAGMA_MIB(256));
    model->host.pool_kib = draw_kib(model, 0, CAGMA_MIB(512));
    break;
  }
}

/* Puts a random call into the plan, in place of the domain's own where it has one. */
static void
tamper(Model *model, size_t index, uint64_t target_kib)
{
  CagmaPlan *plan = &model->plan;

  plan->decisions[index].target_kib = target_kib;
  for (size_t i = 0; i < plan->n_steps; i++) {
    if (plan->steps[i].domain == index) {
      plan->steps[i].target_kib = target_kib;
      return;
    }
  }
  plan->steps[plan->n_steps++] = (CagmaStep){ .domain = index, .target_kib = target_kib };
}

/* A plan that was tampered with is refused just where it breaks a guarantee. */
static gboolean
try_guard(Model *model)
{
  size_t index = (size_t)draw(model, (int32_t)model->n);
  const CagmaConfig *config = &model->guests[index].domain.config;
  const uint64_t targets[] = { draw_kib(model, 0, config->guarantee_kib),
                               draw_kib(model, config->guarantee_kib, config->limit_kib),
                               config->limit_kib + 1, draw_kib(model, 1, 2 * model->domains[index]->max_kib),
                               0 };
  uint64_t target_kib = targets[draw(model, G_N_ELEMENTS(targets))];
  g_autoptr(GError) error = NULL;
  int64_t left_kib = check_left(model);
  const char *broken = NULL;
  gboolean accepted;

  tamper(model, index, target_kib);
  for (size_t i = 0; i < model->plan.n_steps && !broken; i++)
    broken = check_call(model, model->plan.steps[i].domain, model->plan.steps[i].target_kib, &left_kib);
  accepted = cagma_guard_check(&model->host, &model->plan, model->now_us, &error);
  if (broken && accepted)
    g_error("seed %u: the guard lets pass: domain %zu to %" G_GUINT64_FORMAT " KiB: %s", model->seed, index,
            target_kib, broken);
  g_assert_true(accepted == (error == NULL));
  return broken != NULL;
}

static void
test_no_plan_breaks_a_guarantee(void)
{
  guint32 base = (guint32)g_test_rand_int();
  uint64_t steps = 0, refused = 0;

  for (guint32 i = 0; i < HOSTS; i++) {
    Model model;

    invent(&model, base + i);
    for (int second = 0; second < SECONDS; second++) {
      if (draw(&model, 4) == 0)
        befall(&model, (size_t)draw(&model, (int32_t)model.n));
      model_live(&model, CAGMA_SECOND_US);
      model_decide(&model);
      if (draw(&model, 3) == 0) {
        /* The decision again, to be spoilt: what was just called is part of it now. */
        cagma_decide(&model.host, model.now_us, &model.plan);
        check_plan(&model);
        refused += try_guard(&model);
      }
    }
    steps += model_steps(&model);
    model_clear(&model);
  }
  g_test_message("%" G_GUINT64_FORMAT " calls judged, %" G_GUINT64_FORMAT " plans refused", steps, refused);
  /* The histories must be such that there's something to judge. */
  g_assert_cmpuint(steps, >, HOSTS * 5);
  g_assert_cmpuint(refused, >, HOSTS * 5);
}

/* The same host twice gives the same plans: nothing but the arguments counts. */
static void
test_decisions_repeat(void)
{
  Model models[2];

  for (int m = 0; m < 2; m++) {
    invent(&models[m], 4711);
    for (int second = 0; second < SECONDS; second++) {
      befall(&models[m], (size_t)draw(&models[m], (int32_t)models[m].n));
      model_run(&models[m], 1);
    }
  }
  g_assert_cmpuint(model_steps(&models[0]), >, 0);
  for (size_t i = 0; i < models[0].n; i++) {
    g_assert_cmpuint(models[0].guests[i].steps, ==, models[1].guests[i].steps);
    g_assert_cmpuint(models[0].guests[i].called_kib, ==, models[1].guests[i].called_kib);
  }
  model_clear(&models[0]);
  model_clear(&models[1]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/property/no-plan-breaks-a-guarantee", test_no_plan_breaks_a_guarantee);
  g_test_add_func("/property/decisions-repeat", test_decisions_repeat);
  return g_test_run();
}
