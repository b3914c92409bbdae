/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the whole loop does for guests that live (model.h), one decision a second. */

#include "check.h"
#include "policy/rules.h"

#define MIB(kib) ((kib) / 1024)

/* Guests of 4 GiB that stand at size_mib and touch working_mib, without noise. */
static void
gather(Model *model, size_t n, uint64_t budget_mib, uint64_t size_mib, uint64_t working_mib)
{
  model_init(model, n, CAGMA_GIB(4), CAGMA_MIB(budget_mib), 1);
  for (size_t i = 0; i < n; i++)
    model_place(model, i, CAGMA_MIB(size_mib), CAGMA_MIB(working_mib));
  model_run(model, 10);
}

static void
assert_does_not_swap(Model *model, size_t index, int64_t seconds)
{
  uint64_t before_kib = model->guests[index].swap_in_kib;

  model_run(model, seconds);
  g_assert_cmpuint(model->guests[index].swap_in_kib, ==, before_kib);
}

static void
test_starved_guest_is_fed_by_idle_neighbours(void)
{
  Model model;

  gather(&model, 4, 6144, 1536, 300);
  model.guests[0].working_kib = CAGMA_MIB(3000);
  model_run(&model, 60);

  g_assert_cmpuint(model.guests[0].swapped_kib, ==, 0);
  g_assert_cmpuint(MIB(model_usable(&model.guests[0])), >=, 200);
  assert_does_not_swap(&model, 0, 60);
  for (size_t i = 1; i < 4; i++)
    g_assert_cmpuint(model.guests[i].swap_in_kib, ==, 0);
  model_clear(&model);
}

static void
test_starved_guest_is_fed_on_an_auto_budget(void)
{
  Model model;

  gather(&model, 4, 0, 1536, 300);
  model.host.budget = CAGMA_BUDGET_AUTO;
  model.host.total_kib = CAGMA_GIB(8);
  model.host.reserve_kib = CAGMA_MIB(512);
  model.others_kib = CAGMA_MIB(600);
  model.guests[0].working_kib = CAGMA_MIB(3000);
  model_run(&model, 90);

  g_assert_cmpuint(model.guests[0].swapped_kib, ==, 0);
  assert_does_not_swap(&model, 0, 60);
  g_assert_cmpuint(model.host.available_kib, >=, model.host.reserve_kib);
  model_clear(&model);
}

/* Memory in hand goes where it's needed by the first decision that sees the need. */
static void
test_memory_in_hand_is_given_at_once(void)
{
  const CagmaDemand *demand;
  Model model;

  /* Not beforehand. */
  model_init(&model, 2, CAGMA_GIB(4), CAGMA_MIB(8192), 1);
  model.host.without = CAGMA_RULE_SPREAD;
  for (size_t i = 0; i < 2; i++)
    model_place(&model, i, CAGMA_MIB(1024), CAGMA_MIB(600));
  model_run(&model, 10);
  model.guests[0].working_kib = CAGMA_MIB(1400);
  model_live(&model, CAGMA_SECOND_US);
  model_decide(&model);

  demand = &model.plan.decisions[0].demand;
  g_assert_cmpuint(demand->demand_kib, >, CAGMA_MIB(1100));
  /* It has taken up much of late, and is expected to go on. */
  g_assert_cmpuint(demand->wish_kib, >, demand->demand_kib + CAGMA_MIB(100));
  g_assert_cmpuint(model.guests[0].asked_kib, ==, demand->wish_kib);
  model_clear(&model);
}

typedef struct {
  CagmaBudgetKind budget;
  CagmaSurplus surplus;
  uint32_t fill_permille; /* of the budget, by what guests touch */
  uint32_t size_mib;      /* of each to begin with; of the budget there are 2048 for each */
} Steady;

#define STEADY_HOSTS 40
/* Levelling goes by quarters, and only among those that have rested. */
#define CONVERGED_S 600

/* A random host whose guests do the same all the time. */
static void
gather_steady(Model *model, const Steady *steady, guint32 seed, uint64_t noise_kib)
{
  size_t n = 2 + seed % 5;
  uint64_t budget_kib = n * CAGMA_GIB(2), touched_kib = cagma_permille(budget_kib, steady->fill_permille);

  model_init(model, n, CAGMA_GIB(4), budget_kib, seed);
  model->host.budget = steady->budget;
  model->host.total_kib = budget_kib + n * CAGMA_MIB(100);
  model->host.surplus = steady->surplus;
  for (size_t i = 0; i < n; i++) {
    ModelGuest *guest = &model->guests[i];
    uint64_t part_kib =
        i + 1 < n ? (uint64_t)(g_rand_double(model->rand) * (double)touched_kib) : touched_kib;

    part_kib = MIN(part_kib, CAGMA_MIB(3500));
    touched_kib -= part_kib;
    model_place(model, i, CAGMA_MIB(steady->size_mib), CAGMA_MIB(100));
    guest->working_kib = part_kib;
    guest->noise_kib = noise_kib;
    guest->domain.config.shares = (uint32_t)g_rand_int_range(model->rand, 1, 4) * 500;
    if (seed % 3 == 0)
      guest->report_period_us = guest->domain.report_period_us = 5 * CAGMA_SECOND_US;
  }
}

static void
test_steady_state_is_still(gconstpointer data)
{
  for (guint32 seed = 1; seed <= STEADY_HOSTS; seed++) {
    Model model;
    uint32_t steps;

    gather_steady(&model, data, seed, 0);
    model_run(&model, CONVERGED_S);
    steps = model_steps(&model);
    model_run(&model, 300);
    if (model_steps(&model) != steps)
      g_error("seed %u: %u steps in steady state", seed, model_steps(&model) - steps);
    model_clear(&model);
  }
}

/* Noise may tip a guest that stands at the very edge of a deadband, once, and not back. */
static void
test_noise_is_not_followed(gconstpointer data)
{
  uint32_t steps = 0, reversals = 0;

  for (guint32 seed = 1; seed <= STEADY_HOSTS; seed++) {
    Model model;

    gather_steady(&model, data, seed, CAGMA_MIB(6));
    model_run(&model, CONVERGED_S);
    steps -= model_steps(&model);
    reversals -= model_reversals(&model);
    model_run(&model, 300);
    steps += model_steps(&model);
    reversals += model_reversals(&model);
    model_clear(&model);
  }
  g_assert_cmpuint(steps, <=, STEADY_HOSTS / 10);
  g_assert_cmpuint(reversals, <=, 1);
}

static void
test_shrink_that_hurts_is_given_back_and_not_repeated(void)
{
  Model model;
  ModelGuest *guest;
  uint32_t steps, last = 0, gap = 0, shrinks = 0, gaps[8] = { 0 };
  uint64_t before_kib;

  /* The guest believes that 600 MiB of what it touches could be dropped. */
  gather(&model, 1, 8192, 2048, 1500);
  guest = &model.guests[0];
  guest->overstated_kib = CAGMA_MIB(600);
  model.host.surplus = CAGMA_SURPLUS_RECLAIM;

  for (uint32_t second = 1; second <= 1200; second++) {
    before_kib = guest->asked_kib;
    steps = guest->steps;
    model_run(&model, 1);
    if (guest->steps == steps || guest->asked_kib > before_kib || second - last < 30)
      continue;
    /* A shrink after a pause: the start of a new attempt. */
    gap = last ? second - last : 0;
    if (shrinks < G_N_ELEMENTS(gaps))
      gaps[shrinks] = gap;
    shrinks++;
    last = second;
  }
  g_assert_cmpuint(shrinks, >=, 2);
  g_assert_cmpuint(shrinks, <=, 8);
  for (uint32_t i = 2; i < MIN(shrinks, G_N_ELEMENTS(gaps)); i++)
    g_assert_cmpuint(gaps[i], >, gaps[i - 1]);
  g_assert_cmpuint(guest->swapped_kib, <, CAGMA_MIB(64));
  model_clear(&model);
}

static void
test_short_guests_converge_to_their_shares(void)
{
  Model model;
  uint32_t steps;
  /* 256 MiB each, and 5376 MiB by shares. */
  static const uint64_t fair_mib[] = { 256 + 896, 256 + 1792, 256 + 2688 };

  gather(&model, 3, 6144, 2048, 1000);
  for (size_t i = 0; i < 3; i++) {
    model.guests[i].domain.config.shares = (uint32_t)(i + 1) * 1000;
    model.guests[i].working_kib = CAGMA_MIB(4000);
  }
  model_run(&model, 300);
  for (size_t i = 0; i < 3; i++) {
    g_assert_cmpuint(MIB(model.guests[i].actual_kib), >=, fair_mib[i] * 95 / 100);
    g_assert_cmpuint(MIB(model.guests[i].actual_kib), <=, fair_mib[i] * 105 / 100);
  }
  steps = model_steps(&model);
  model_run(&model, 300);
  g_assert_cmpuint(model_steps(&model), ==, steps);
  /* What the largest needs shows only while it is given more: until then the others have it. */
  g_assert_cmpuint(model_reversals(&model), <=, 1);
  model_clear(&model);
}

static void
test_without_shares_a_guest_gets_its_guarantee(void)
{
  Model model;

  gather(&model, 3, 4096, 1365, 1000);
  model.guests[0].domain.config.shares = 0;
  for (size_t i = 0; i < 3; i++)
    model.guests[i].working_kib = CAGMA_MIB(3000);
  model_run(&model, 120);

  g_assert_cmpuint(MIB(model.guests[0].actual_kib), >=, 256);
  g_assert_cmpuint(MIB(model.guests[0].actual_kib), <=, 256 + 16);
  g_assert_cmpuint(MIB(model.guests[1].actual_kib), >=, 1800);
  model_clear(&model);
}

static void
test_idle_memory_is_reclaimed_without_harm(void)
{
  Model model;
  const ModelGuest *guest;

  gather(&model, 1, 8192, 4096, 500);
  guest = &model.guests[0];
  model.host.surplus = CAGMA_SURPLUS_RECLAIM;
  model_run(&model, 60);

  /* 560 MiB used, 64 MiB headroom, and the deadband of a shrink. */
  g_assert_cmpuint(MIB(guest->actual_kib), >=, 560 + 60);
  g_assert_cmpuint(MIB(guest->actual_kib), <=, 560 + 64 + 24);
  g_assert_cmpuint(guest->swap_in_kib, ==, 0);
  g_assert_cmpuint(guest->reversals, ==, 0);
  model_clear(&model);
}

static void
test_idle_memory_stays_where_nobody_needs_it(void)
{
  Model model;

  gather(&model, 2, 8192, 4096, 500);
  model_run(&model, 60);
  g_assert_cmpuint(model_steps(&model), ==, 0);
  model_clear(&model);
}

/* What is in hand that nobody needs goes to those who might, the same part for all of what is
 * left up to their limits, and then stays there. */
static void
test_idle_memory_is_spread_and_stays_there(void)
{
  Model model;
  uint64_t sum_kib = 0;
  uint32_t steps;

  gather(&model, 3, 8192, 1024, 300);
  model.guests[2].working_kib = CAGMA_MIB(700);
  model_run(&model, 60);
  for (size_t i = 0; i < 3; i++) {
    sum_kib += model.guests[i].actual_kib;
    g_assert_cmpuint(model.guests[i].steps, >=, 1);
    g_assert_cmpuint(model.guests[i].steps, <=, 3);
    g_assert_cmpuint(model.guests[i].swap_in_kib, ==, 0);
  }
  g_assert_cmpuint(MIB(sum_kib), >=, 8192 - 8192 * CAGMA_SPREAD_MIN_PERMILLE / 1000);
  g_assert_cmpuint(model.guests[2].actual_kib, >, model.guests[1].actual_kib + CAGMA_MIB(200));
  g_assert_cmpuint(model_reversals(&model), ==, 0);
  steps = model_steps(&model);
  model_run(&model, 300);
  g_assert_cmpuint(model_steps(&model), ==, steps);
  model_clear(&model);
}

/* And is there again when somebody needs it, wherever it was handed to. */
static void
test_what_was_spread_comes_back(void)
{
  Model model;

  gather(&model, 3, 8192, 1024, 300);
  model_run(&model, 60);
  model.guests[0].working_kib = CAGMA_MIB(3800);
  model.guests[0].speaks = model.guests[0].presses = TRUE;
  model_run(&model, 30);
  g_assert_cmpuint(model_usable(&model.guests[0]), >=, CAGMA_MIB(64));
  g_assert_cmpuint(model.guests[0].swapped_kib, ==, 0);
  for (size_t i = 1; i < 3; i++)
    g_assert_cmpuint(model.guests[i].swap_in_kib, ==, 0);
  model_clear(&model);
}

typedef struct {
  ModelBalloon balloon;
  uint64_t kib_per_s;
} BadDonor;

/* The starved guest needs 500 MiB, and gets it from two donors. The bad one has 2000 MiB
 * to spare, the good one 1000. */
static int64_t
seconds_until_fed(const BadDonor *bad)
{
  Model model;
  int64_t seconds = 0;

  model_init(&model, 3, CAGMA_GIB(4), CAGMA_MIB(5632), 1);
  model.host.without = CAGMA_RULE_SPREAD;
  for (size_t i = 0; i < 3; i++)
    model_place(&model, i, CAGMA_MIB(i == 1 ? 2560 : 1536), CAGMA_MIB(400));
  model_run(&model, 10);
  g_assert_cmpuint(model_steps(&model), ==, 0);
  model.guests[1].balloon = bad->balloon;
  model.guests[1].balloon_kib_per_s = bad->kib_per_s;
  model.guests[0].working_kib = CAGMA_MIB(1900);
  do {
    model_run(&model, 1);
    seconds++;
  } while (seconds < 120 && model.guests[0].actual_kib < CAGMA_MIB(1900 + 64) + MODEL_KERNEL_KIB);
  model_clear(&model);
  return seconds;
}

static void
test_bad_donor_keeps_nobody_waiting(void)
{
  const BadDonor good = { MODEL_BALLOON_MOVES, CAGMA_MIB(400) };
  const BadDonor stuck = { MODEL_BALLOON_STICKS, 0 };
  const BadDonor drags = { MODEL_BALLOON_MOVES, CAGMA_MIB(1) };
  int64_t best = seconds_until_fed(&good), beside_stuck, beside_dragging;

  g_test_message("fed after %d s; with a stuck donor %d s, with one that drags %d s", (int)best,
                 (int)seconds_until_fed(&stuck), (int)seconds_until_fed(&drags));
  g_assert_cmpint(best, <=, 8);
  beside_stuck = seconds_until_fed(&stuck);
  beside_dragging = seconds_until_fed(&drags);
  g_assert_cmpint(beside_stuck, <=, best + 4);
  g_assert_cmpint(beside_dragging, <=, best + 4);
}

static void
test_liar_takes_nothing_that_is_guaranteed(void)
{
  Model model;
  const uint64_t guarantee_kib = CAGMA_MIB(1024);

  gather(&model, 3, 4608, 1536, 800);
  model.guests[0].says = MODEL_SAYS_SHORT;
  model.guests[0].domain.config.limit_kib = CAGMA_MIB(3000);
  for (size_t i = 1; i < 3; i++)
    model.guests[i].domain.config.guarantee_kib = guarantee_kib;
  for (int second = 0; second < 300; second++) {
    model_run(&model, 1);
    g_assert_cmpuint(model.guests[0].asked_kib, <=, CAGMA_MIB(3000));
    g_assert_cmpuint(model.guests[1].asked_kib, >=, guarantee_kib);
    g_assert_cmpuint(model.guests[2].asked_kib, >=, guarantee_kib);
  }
  /* And what the honest ones need they keep: it's within their share. */
  g_assert_cmpuint(model.guests[1].swap_in_kib, ==, 0);
  g_assert_cmpuint(model.guests[2].swap_in_kib, ==, 0);
  model_clear(&model);
}

/* One who wants all there is doesn't keep one who wants a little waiting. */
static void
test_small_need_is_met_beside_a_great_one(void)
{
  Model model;
  int64_t seconds = 0;

  gather(&model, 3, 6144, 2048, 300);
  model.guests[0].says = MODEL_SAYS_SHORT;
  model.guests[1].working_kib = CAGMA_MIB(2300);
  do {
    model_run(&model, 1);
    seconds++;
  } while (seconds < 120 && (model.guests[1].swapped_kib || model_usable(&model.guests[1]) < CAGMA_MIB(64)));
  g_assert_cmpint(seconds, <=, 20);
  model_clear(&model);
}

/* A guest below its guarantee is served although donors are all but at their share. */
static void
test_guarantee_is_met_to_the_last_bit(void)
{
  Model model;

  gather(&model, 3, 3072, 1024, 900);
  for (size_t i = 0; i < 3; i++)
    model.guests[i].working_kib = CAGMA_MIB(2000);
  model_run(&model, 60);
  model.guests[0].domain.config.guarantee_kib = model.guests[0].actual_kib + CAGMA_MIB(12);
  model_run(&model, 30);
  g_assert_cmpuint(model.guests[0].actual_kib, >=, model.guests[0].domain.config.guarantee_kib);
  model_clear(&model);
}

static void
test_reboot_disturbs_neighbours_no_longer_than_it_takes(void)
{
  Model model;
  uint32_t steps;

  gather(&model, 3, 6144, 2048, 1000);
  model_run(&model, 30);
  model_boot(&model, 1);
  cagma_domain_restart(&model.guests[1].domain, model.guests[1].called_kib, model.now_us);
  model_run(&model, 120);
  steps = model_steps(&model);
  g_assert_true(model.guests[1].domain.settled);
  for (size_t i = 0; i < 3; i++)
    g_assert_cmpuint(model.guests[i].swap_in_kib, ==, 0);
  model_run(&model, 120);
  g_assert_cmpuint(model_steps(&model), ==, steps);
  model_clear(&model);
}

int
main(int argc, char **argv)
{
  static const Steady steady[] = {
    { CAGMA_BUDGET_FIXED, CAGMA_SURPLUS_LEAVE, 300, 1024 },
    { CAGMA_BUDGET_FIXED, CAGMA_SURPLUS_LEAVE, 600, 1024 },
    { CAGMA_BUDGET_AUTO, CAGMA_SURPLUS_LEAVE, 300, 1024 },
    { CAGMA_BUDGET_AUTO, CAGMA_SURPLUS_LEAVE, 600, 1024 },
    { CAGMA_BUDGET_FIXED, CAGMA_SURPLUS_LEAVE, 600, 2048 },
    { CAGMA_BUDGET_FIXED, CAGMA_SURPLUS_LEAVE, 950, 2048 },
    { CAGMA_BUDGET_FIXED, CAGMA_SURPLUS_LEAVE, 1050, 2048 },
    { CAGMA_BUDGET_FIXED, CAGMA_SURPLUS_LEAVE, 1300, 2048 },
    { CAGMA_BUDGET_FIXED, CAGMA_SURPLUS_RECLAIM, 600, 2048 },
    { CAGMA_BUDGET_FIXED, CAGMA_SURPLUS_RECLAIM, 950, 2048 },
    { CAGMA_BUDGET_AUTO, CAGMA_SURPLUS_LEAVE, 850, 2048 },
    { CAGMA_BUDGET_AUTO, CAGMA_SURPLUS_LEAVE, 1300, 2048 },
    { CAGMA_BUDGET_AUTO, CAGMA_SURPLUS_RECLAIM, 850, 2048 },
    { CAGMA_BUDGET_AUTO, CAGMA_SURPLUS_RECLAIM, 1050, 2048 },
  };

  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/behaviour/starved-fed-by-neighbours", test_starved_guest_is_fed_by_idle_neighbours);
  g_test_add_func("/behaviour/starved-fed-on-auto-budget", test_starved_guest_is_fed_on_an_auto_budget);
  g_test_add_func("/behaviour/in-hand-given-at-once", test_memory_in_hand_is_given_at_once);
  for (size_t i = 0; i < G_N_ELEMENTS(steady); i++) {
    g_autofree char *name =
        g_strdup_printf("%s/%s/%u/%u", steady[i].budget == CAGMA_BUDGET_AUTO ? "auto" : "fixed",
                        steady[i].surplus == CAGMA_SURPLUS_LEAVE ? "leave" : "reclaim",
                        steady[i].fill_permille, steady[i].size_mib);
    g_autofree char *still = g_strdup_printf("/behaviour/calm/still/%s", name);
    g_autofree char *noise = g_strdup_printf("/behaviour/calm/noise/%s", name);

    g_test_add_data_func(still, &steady[i], test_steady_state_is_still);
    g_test_add_data_func(noise, &steady[i], test_noise_is_not_followed);
  }
  g_test_add_func("/behaviour/hurt-given-back", test_shrink_that_hurts_is_given_back_and_not_repeated);
  g_test_add_func("/behaviour/shares", test_short_guests_converge_to_their_shares);
  g_test_add_func("/behaviour/no-shares", test_without_shares_a_guest_gets_its_guarantee);
  g_test_add_func("/behaviour/reclaim", test_idle_memory_is_reclaimed_without_harm);
  g_test_add_func("/behaviour/leave", test_idle_memory_stays_where_nobody_needs_it);
  g_test_add_func("/behaviour/spread", test_idle_memory_is_spread_and_stays_there);
  g_test_add_func("/behaviour/spread-comes-back", test_what_was_spread_comes_back);
  g_test_add_func("/behaviour/bad-donor", test_bad_donor_keeps_nobody_waiting);
  g_test_add_func("/behaviour/liar", test_liar_takes_nothing_that_is_guaranteed);
  g_test_add_func("/behaviour/small-need", test_small_need_is_met_beside_a_great_one);
  g_test_add_func("/behaviour/guarantee", test_guarantee_is_met_to_the_last_bit);
  g_test_add_func("/behaviour/reboot", test_reboot_disturbs_neighbours_no_longer_than_it_takes);
  return g_test_run();
}
