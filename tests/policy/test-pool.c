/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The emergency pool. Numbers in MiB, computed by hand. Guests have 64 of headroom, a
 * guarantee of 256 and 1000 shares, unless said otherwise. */
#include "model.h"
#include "rig.h"

/* Rounded: sharing out leaves a few KiB. */
static uint64_t
target_mib(const Rig *rig, size_t index)
{
  return (rig->plan.decisions[index].target_kib + 512) / 1024;
}

/* A host with in_hand to give and a pool of 200; guest 0 stands at 1024 and has
 * `available`, guest 1 at 1024 and can spare `spare`. */
static void
set_up(Rig *rig, uint64_t in_hand_mib, uint64_t available_mib, uint64_t spare_mib)
{
  rig_init(rig, 2048 + in_hand_mib);
  rig->host.pool_kib = CAGMA_MIB(200);
  rig_add(rig, 4096, 1024, available_mib);
  rig_add(rig, 4096, 1024, 64 + spare_mib);
  rig_pass(rig, 3);
}

static void
test_who_gets_what(void)
{
  static const struct {
    const char *what;
    uint64_t in_hand, available, spare;
    gboolean emergency;
    uint64_t target, donor, pool;
  } cases[] = {
    /* 54 are needed where 10 are available; a donor gives half of its spare at most, at
     * least 16, and keeps 30 against noise. */
    { "enough for both", 300, 10, 0, FALSE, 1078, 0, 200 },
    { "ordinary growth leaves it alone", 200, 10, 500, FALSE, 0, 1024 - 54, 200 },
    { "ordinary growth takes what is above it", 230, 10, 500, FALSE, 1054, 1024 - 24, 200 },
    { "and fills it up", 100, 10, 500, FALSE, 0, 1024 - 154, 200 },
    { "but goes short for none of it", 200, 10, 0, FALSE, 1078, 0, 146 },
    { "nor for what noise would call back", 200, 10, 30, FALSE, 1078, 0, 146 },
    { "nor for what isn't there", 30, 10, 0, FALSE, 1054, 0, 0 },
    { "an emergency takes it", 200, 10, 500, TRUE, 1078, 0, 146 },
    { "an emergency takes all of it", 40, 10, 0, TRUE, 1064, 0, 0 },
    { "and donors give the rest", 40, 10, 500, TRUE, 1064, 1024 - 160, 146 },
    { "nobody needs it", 200, 64, 500, FALSE, 0, 0, 200 },
    { "not topped up with half of it there", 100, 64, 500, FALSE, 0, 0, 100 },
    { "topped up with less", 99, 64, 500, FALSE, 0, 1024 - 101, 200 },
    { "topped up as far as can be spared", 50, 64, 130, FALSE, 0, 1024 - 65, 149 },
    { "not topped up by what noise would call back", 50, 64, 30, FALSE, 0, 0, 50 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Rig rig;

    g_test_message("%s", cases[i].what);
    set_up(&rig, cases[i].in_hand, cases[i].available, cases[i].spare);
    if (cases[i].emergency)
      g_assert_true(rig_press(&rig, 0));
    rig_decide(&rig);
    g_assert_cmpuint(rig.plan.verdict.pool_kib / 1024, ==, cases[i].pool);
    g_assert_cmpuint(target_mib(&rig, 0), ==, cases[i].target);
    g_assert_cmpuint(target_mib(&rig, 1), ==, cases[i].donor);
    rig_clear(&rig);
  }
}

static void
test_guarantees_use_it(void)
{
  Rig rig;

  set_up(&rig, 200, 500, 0);
  rig.domains[0].config.guarantee_kib = CAGMA_MIB(1224);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 1224);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_BELOW_GUARANTEE);
  rig_clear(&rig);
}

static void
test_without_shares_nothing_of_it(void)
{
  Rig rig;

  set_up(&rig, 200, 10, 0);
  rig.domains[0].config.shares = 0;
  rig_press(&rig, 0);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 0);
  rig_clear(&rig);
}

static void
test_topping_up_is_said_to_be_that(void)
{
  Rig rig;

  set_up(&rig, 50, 64, 500);
  rig_decide(&rig);
  g_assert_cmpint(rig_why(&rig, 1), ==, CAGMA_WHY_POOL);
  rig_clear(&rig);

  set_up(&rig, 50, 10, 500);
  rig_decide(&rig);
  g_assert_cmpint(rig_why(&rig, 1), ==, CAGMA_WHY_GIVES);
  rig_clear(&rig);
}

/* Half of it gone, it is filled up again, and not only by half. */
static void
test_once_begun_it_is_filled_up(void)
{
  Rig rig;

  set_up(&rig, 90, 64, 150);
  for (int i = 0; i < 20; i++) {
    rig_decide(&rig);
    rig_obey(&rig);
    rig_pass(&rig, 3);
  }
  g_assert_cmpint(rig.plan.verdict.in_hand_kib, ==, CAGMA_MIB(200));
  rig_clear(&rig);
}

/* A donor whose balloon wavers of itself never gets ready to give. */
static void
test_nobody_starves_beside_it_for_a_donor_that_is_never_ready(void)
{
  Rig rig;

  set_up(&rig, 100, 10, 500);
  for (int i = 0; i < 8; i++) {
    rig.samples[1].actual_kib = CAGMA_MIB(i % 2 ? 1019 : 1024);
    rig_pass(&rig, 1);
  }
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 1), ==, 0);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 1078);
  rig_clear(&rig);
}

static void
test_both_budgets(void)
{
  Rig rig;

  set_up(&rig, 0, 10, 500);
  rig.host.budget = CAGMA_BUDGET_AUTO;
  rig.host.total_kib = CAGMA_GIB(16);
  rig.host.available_kib = CAGMA_MIB(230);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 1054);
  g_assert_cmpuint(target_mib(&rig, 1), ==, 1024 - 24);
  rig_press(&rig, 0);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 1078);
  rig_clear(&rig);
}

/* A pool that can't be filled calls nobody back and forth, however figures waver. */
static void
test_calm_although_it_cannot_be_filled(gconstpointer data)
{
  Model model;

  model_init(&model, 6, CAGMA_GIB(4), CAGMA_GIB(6) + CAGMA_MIB(40), 7);
  model.host.policy = (CagmaPolicyKind)GPOINTER_TO_INT(data);
  model.host.pool_kib = CAGMA_MIB(400);
  for (size_t i = 0; i < model.n; i++) {
    model_place(&model, i, CAGMA_GIB(1), CAGMA_MIB(830));
    model.guests[i].noise_kib = CAGMA_MIB(24);
    model.guests[i].speaks = i % 2;
  }
  for (int second = 0; second < 5; second++)
    model_live(&model, CAGMA_SECOND_US);
  model_run(&model, 600);
  g_assert_cmpint(model.plan.verdict.in_hand_kib, <, CAGMA_MIB(200));
  g_assert_cmpuint(model_reversals(&model), ==, 0);
  g_assert_cmpuint(model_steps(&model), <=, 3 * model.n);
  model_clear(&model);
}

/* One that ramps is fed at once out of the pool, and the pool is there for the next. */
static void
test_pool_is_there_for_the_next(void)
{
  Model model;

  model_init(&model, 4, CAGMA_GIB(4), CAGMA_GIB(8) + CAGMA_MIB(300), 3);
  model.host.pool_kib = CAGMA_MIB(300);
  for (size_t i = 0; i < model.n; i++) {
    model_place(&model, i, CAGMA_GIB(2), CAGMA_MIB(400));
    model.guests[i].speaks = TRUE;
  }
  model_run(&model, 10);
  for (size_t i = 0; i < 2; i++) {
    uint64_t before_kib = model.guests[i].actual_kib;

    model.guests[i].working_kib = CAGMA_MIB(2100);
    model.guests[i].presses = TRUE;
    model_live(&model, CAGMA_SECOND_US);
    g_assert_true(model.guests[i].domain.emergency);
    model_decide(&model);
    g_assert_cmpuint(model.guests[i].called_kib, >=, before_kib + CAGMA_MIB(100));
    model_run(&model, 60);
    g_assert_cmpuint(model_usable(&model.guests[i]), >, 0);
    g_assert_cmpint(model.plan.verdict.in_hand_kib, >=, CAGMA_MIB(150));
  }
  model_clear(&model);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/pool/who-gets-what", test_who_gets_what);
  g_test_add_func("/pool/guarantees", test_guarantees_use_it);
  g_test_add_func("/pool/no-shares", test_without_shares_nothing_of_it);
  g_test_add_func("/pool/says", test_topping_up_is_said_to_be_that);
  g_test_add_func("/pool/filled-up", test_once_begun_it_is_filled_up);
  g_test_add_func("/pool/never-ready", test_nobody_starves_beside_it_for_a_donor_that_is_never_ready);
  g_test_add_func("/pool/budgets", test_both_budgets);
  g_test_add_data_func("/pool/calm/cagma", GINT_TO_POINTER(CAGMA_POLICY_CAGMA),
                       test_calm_although_it_cannot_be_filled);
  g_test_add_data_func("/pool/calm/cagma-classic", GINT_TO_POINTER(CAGMA_POLICY_CLASSIC),
                       test_calm_although_it_cannot_be_filled);
  g_test_add_func("/pool/next", test_pool_is_there_for_the_next);
  return g_test_run();
}
