/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest says that it is short. Numbers in MiB, computed by hand. */
#include <string.h>

#include "model.h"
#include "policy/explain.h"
#include "rig.h"

#define EVENT_US (CAGMA_SECOND_US / 20)

/* Rounded: sharing out leaves a few KiB. */
static uint64_t
target_mib(const Rig *rig, size_t index)
{
  return (rig->plan.decisions[index].target_kib + 512) / 1024;
}

static void
assert_says(Rig *rig, size_t index, const char *reason)
{
  g_autofree char *said = cagma_explain_reason(&rig->plan.decisions[index]);

  g_assert_cmpstr(said, ==, reason);
}

/* Events a second apart, with pages swapped out in between or not. Returns how many
 * of them were emergencies. */
static int
press(Rig *rig, int times, uint64_t swapped_kib)
{
  int heard = 0;

  for (int i = 0; i < times; i++) {
    rig_pass(rig, 1);
    rig->samples[0].swap_out_kib += swapped_kib;
    heard += rig_press(rig, 0);
  }
  return heard;
}

static void
test_emergency_is_granted_at_once(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 500);
  rig_pass(&rig, 3);
  /* Between two samples of its balloon: figures come with the event. */
  rig.samples[0].usable_kib = CAGMA_MIB(10);
  rig.now_us += EVENT_US;
  rig_speak(&rig, 0);
  rig.domains[0].consumption_kib_per_s = 0;
  g_assert_true(rig_press(&rig, 0));
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 1014 + 64);
  g_assert_cmpint(rig.plan.decisions[0].state, ==, CAGMA_STATE_EMERGENCY);
  assert_says(&rig, 0, "its guest reports pressure: it has 10 MiB available and needs 64 MiB");

  rig_obey(&rig);
  rig.now_us += EVENT_US;
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig.plan.decisions[0].state, ==, CAGMA_STATE_EMERGENCY);
  assert_says(&rig, 0, "its balloon is on its way from 1024 MiB to 1078 MiB");
  rig_clear(&rig);
}

static void
test_pressure_alone_is_no_shortage(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 64);
  rig_pass(&rig, 3);
  rig.samples[0].swap_out_kib = 100;
  g_assert_false(rig_press(&rig, 0));
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpint(rig.plan.decisions[0].state, ==, CAGMA_STATE_STEADY);
  assert_says(&rig, 0, "its guest reports pressure, but has 64 MiB available and needs 64 MiB");
  rig_pass(&rig, 10);
  rig_decide(&rig);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_ENOUGH);

  rig.samples[0].usable_kib = CAGMA_MIB(64) - 4;
  g_assert_true(rig_press(&rig, 0));
  rig_clear(&rig);
}

/* It has what it may have: the sentence doesn't claim that this is enough. */
static void
test_at_its_limit_it_is_not_said_to_have_enough(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 1024, 1024, 10);
  rig.domains[0].config.emergency = FALSE;
  rig_pass(&rig, 3);
  rig_press(&rig, 0);
  rig_decide(&rig);
  g_assert_cmpint(rig_why(&rig, 0), !=, CAGMA_WHY_PRESSED);
  rig_clear(&rig);
}

static void
test_emergencies_can_be_switched_off(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 10);
  rig.domains[0].config.emergency = FALSE;
  rig_pass(&rig, 3);
  g_assert_cmpint(press(&rig, 3, 100), ==, 0);
  rig_decide(&rig);
  /* The period sees to it all the same. */
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_SHORT);
  rig_clear(&rig);
}

static void
test_emergency_ends_unless_confirmed(void)
{
  Rig rig;

  rig_init(&rig, 1024);
  rig_add(&rig, 4096, 1024, 10);
  rig_pass(&rig, 3);
  g_assert_cmpint(press(&rig, 1, 100), ==, 1);
  rig_pass(&rig, 9);
  rig_decide(&rig);
  /* There is nothing to give; that it is an emergency still shows. */
  g_assert_cmpint(rig.plan.decisions[0].state, ==, CAGMA_STATE_EMERGENCY);
  g_assert_cmpint(press(&rig, 1, 100), ==, 1);
  rig_pass(&rig, 9);
  rig_decide(&rig);
  g_assert_true(rig.domains[0].emergency);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_false(rig.domains[0].emergency);
  rig_clear(&rig);
}

/* Donors are asked in the same moment for what isn't in hand. */
static void
test_donors_are_asked_in_the_same_moment(void)
{
  Rig rig;

  rig_init(&rig, 2048 + 20);
  rig_add(&rig, 4096, 1024, 10);
  rig_add(&rig, 4096, 1024, 564);
  rig_pass(&rig, 3);
  g_assert_cmpint(press(&rig, 1, 0), ==, 1);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 1024 + 20);
  g_assert_cmpuint(target_mib(&rig, 1), ==, 1024 - 34);
  g_assert_cmpuint(rig.plan.decisions[0].waits_kib / 1024, ==, 34);
  rig_clear(&rig);
}

/* Emergencies before others, although the others have more shares. */
static void
test_emergency_is_served_before_others(void)
{
  Rig rig;

  rig_init(&rig, 2048 + 500 + 40);
  rig_add(&rig, 4096, 1024, 10);
  rig_add(&rig, 4096, 1024, 10)->config.shares = 100000;
  /* Somebody gives, so that all is met in the end and nobody's share is the bound. */
  rig_add(&rig, 4096, 500, 400);
  rig_pass(&rig, 3);
  g_assert_cmpint(press(&rig, 1, 0), ==, 1);
  rig_decide(&rig);
  g_assert_cmpint(rig.plan.verdict.fit, ==, CAGMA_FIT_TAKE);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 1024 + 40);
  g_assert_cmpuint(target_mib(&rig, 1), ==, 0);
  rig_clear(&rig);
}

static void
test_events_while_the_balloon_moves_multiply_nothing(void)
{
  Rig rig;
  uint64_t target_kib;

  rig_init(&rig, 8192);
  rig_add(&rig, 8192, 1024, 10);
  rig_pass(&rig, 3);
  rig_speak(&rig, 0);
  press(&rig, 1, CAGMA_MIB(100));
  rig_decide(&rig);
  target_kib = rig.plan.decisions[0].target_kib;
  g_assert_cmpuint(target_kib, >, CAGMA_MIB(1078));
  cagma_domain_set(&rig.domains[0], target_kib, rig.now_us);

  /* Two seconds of events, and the balloon stays where it is. */
  for (int i = 0; i < 40; i++) {
    rig.now_us += EVENT_US;
    rig.samples[0].usable_kib = CAGMA_MIB(i % 10);
    rig.samples[0].swap_out_kib += 4;
    g_assert_true(rig_press(&rig, 0));
    rig_decide(&rig);
    g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  }
  rig_clear(&rig);
}

static void
test_crying_wolf_deafens_ever_longer(void)
{
  static const int64_t backoffs_s[] = { 30, 60, 120, 240, 480, 600, 600 };
  Rig rig;

  rig_init(&rig, 1024);
  rig_add(&rig, 4096, 1024, 10);
  rig_pass(&rig, 3);
  press(&rig, 1, 100);
  for (size_t i = 0; i < G_N_ELEMENTS(backoffs_s); i++) {
    int heard = press(&rig, 5, 0);

    g_assert_cmpint(heard, ==, 4);
    g_assert_false(rig.domains[0].emergency);
    g_assert_cmpint(rig.domains[0].deaf_until_us - rig.now_us, ==, backoffs_s[i] * CAGMA_SECOND_US);
    /* Not even when it swaps. */
    g_assert_cmpint(press(&rig, (int)backoffs_s[i] - 1, i % 2 ? 100 : 0), ==, 0);
    rig_decide(&rig);
    g_assert_false(rig.domains[0].emergency);
    rig_pass(&rig, 1);
  }
  rig_clear(&rig);
}

static void
test_deafness_shows(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 500);
  rig_pass(&rig, 3);
  press(&rig, 6, 0);
  rig_decide(&rig);
  assert_says(&rig, 0,
              "its guest reported pressure 5 times without swapping; not listened to for another 30 s");
  rig_pass(&rig, 40);
  rig_decide(&rig);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_ENOUGH);
  rig_clear(&rig);
}

static void
test_who_behaves_is_forgiven(void)
{
  Rig rig;

  rig_init(&rig, 1024);
  rig_add(&rig, 4096, 1024, 10);
  rig_pass(&rig, 3);
  for (int i = 0; i < 3; i++) {
    press(&rig, 6, 0);
    rig_pass(&rig, 130);
  }
  g_assert_cmpuint(rig.domains[0].wolf_count, ==, 3);
  rig_pass(&rig, 600);
  press(&rig, 6, 0);
  g_assert_cmpuint(rig.domains[0].wolf_count, ==, 1);
  g_assert_cmpint(rig.domains[0].deaf_until_us - rig.now_us, <=, 30 * CAGMA_SECOND_US);
  rig_clear(&rig);
}

static void
test_swapping_in_between_is_no_wolf(void)
{
  Rig rig;

  rig_init(&rig, 1024);
  rig_add(&rig, 4096, 1024, 10);
  rig_pass(&rig, 3);
  for (int i = 0; i < 10; i++) {
    g_assert_cmpint(press(&rig, 4, 0), ==, 4);
    g_assert_cmpint(press(&rig, 1, 4), ==, 1);
  }
  rig_clear(&rig);
}

/* A guest without swap reads its programs back from disk instead, until it kills. */
static void
test_without_swap_major_faults_bear_it_out(void)
{
  Rig rig;

  rig_init(&rig, 1024);
  rig_add(&rig, 4096, 1024, 10);
  rig_pass(&rig, 3);
  for (int i = 0; i < 20; i++) {
    rig.samples[0].major_faults += 16;
    g_assert_cmpint(press(&rig, 1, 0), ==, 1);
  }
  for (int i = 0; i < 5; i++) {
    rig.samples[0].major_faults += 15;
    press(&rig, 1, 0);
  }
  g_assert_cmpint(rig.domains[0].deaf_until_us, >, rig.now_us);
  rig_clear(&rig);
}

/* Else it would reboot, or pretend to, whenever it is found out. */
static void
test_reboot_does_not_make_a_wolf_a_lamb(void)
{
  Rig rig;

  rig_init(&rig, 4096);
  rig_add(&rig, 4096, 1024, 10);
  rig.samples[0].major_faults = 1000;
  rig_pass(&rig, 3);
  press(&rig, 6, 0);
  g_assert_cmpint(rig.domains[0].deaf_until_us, >, rig.now_us);
  rig.samples[0].major_faults = 0;
  g_assert_cmpint(press(&rig, 10, 0), ==, 0);
  g_assert_cmpuint(rig.domains[0].wolf_count, ==, 1);
  rig_clear(&rig);
}

/* Guarantees hold against guests that press twenty times a second and lie in all they
 * say. The checker (check.h) judges each of the decisions; here also the outcome. */
static void
test_hostile_streams(gconstpointer data)
{
  const CagmaPolicyKind policy = (CagmaPolicyKind)GPOINTER_TO_INT(data);
  uint64_t steps = 0;

  for (guint32 seed = 1; seed <= 20; seed++) {
    Model model;

    model_init(&model, 4, CAGMA_GIB(4), CAGMA_GIB(5), seed);
    model.host.policy = policy;
    model.host.reserve_kib = CAGMA_MIB(256);
    model.host.pool_kib = CAGMA_MIB(256);
    if (seed % 2) {
      model.host.budget = CAGMA_BUDGET_AUTO;
      model.host.total_kib = CAGMA_GIB(5);
    }
    for (size_t i = 0; i < model.n; i++) {
      model_place(&model, i, CAGMA_GIB(1), CAGMA_MIB(300));
      model.guests[i].domain.config.guarantee_kib = CAGMA_MIB(600);
      model.guests[i].domain.config.source = (CagmaCriticalSource)(seed % 4);
      model.guests[i].speaks = TRUE;
    }
    model.guests[0].domain.config.limit_kib = CAGMA_MIB(2500);
    model.guests[1].domain.config.limit_kib = CAGMA_MIB(3000);
    for (int second = 0; second < 10; second++)
      model_run(&model, 1);

    for (size_t i = 0; i < 2; i++) {
      model.guests[i].presses = TRUE;
      model.guests[i].says = (i + seed / 4) % 2 ? MODEL_SAYS_NONSENSE : MODEL_SAYS_SHORT;
    }
    for (int turn = 0; turn < 60 * 20; turn++) {
      model_live(&model, EVENT_US);
      model_decide(&model);
      g_assert_cmpuint(model.guests[0].called_kib, <=, CAGMA_MIB(2500));
      g_assert_cmpuint(model.guests[1].called_kib, <=, CAGMA_MIB(3000));
      g_assert_cmpuint(model.guests[2].called_kib, >=, CAGMA_MIB(600));
      g_assert_cmpuint(model.guests[3].called_kib, >=, CAGMA_MIB(600));
      if (model.host.budget == CAGMA_BUDGET_AUTO)
        g_assert_cmpuint(model.host.available_kib, >=, model.host.reserve_kib);
    }
    /* Honest ones, too, have what they need. */
    g_assert_cmpuint(model_usable(&model.guests[2]), >, CAGMA_MIB(60));
    g_assert_cmpuint(model_usable(&model.guests[3]), >, CAGMA_MIB(60));
    steps += model_steps(&model);
    model_clear(&model);
  }
  g_assert_cmpuint(steps, >, 100);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/pressure/emergency", test_emergency_is_granted_at_once);
  g_test_add_func("/pressure/no-shortage", test_pressure_alone_is_no_shortage);
  g_test_add_func("/pressure/limit", test_at_its_limit_it_is_not_said_to_have_enough);
  g_test_add_func("/pressure/off", test_emergencies_can_be_switched_off);
  g_test_add_func("/pressure/ends", test_emergency_ends_unless_confirmed);
  g_test_add_func("/pressure/donors", test_donors_are_asked_in_the_same_moment);
  g_test_add_func("/pressure/before-others", test_emergency_is_served_before_others);
  g_test_add_func("/pressure/moving", test_events_while_the_balloon_moves_multiply_nothing);
  g_test_add_func("/pressure/wolf/backoff", test_crying_wolf_deafens_ever_longer);
  g_test_add_func("/pressure/wolf/shows", test_deafness_shows);
  g_test_add_func("/pressure/wolf/forgiven", test_who_behaves_is_forgiven);
  g_test_add_func("/pressure/wolf/swapping", test_swapping_in_between_is_no_wolf);
  g_test_add_func("/pressure/wolf/no-swap", test_without_swap_major_faults_bear_it_out);
  g_test_add_func("/pressure/wolf/reboot", test_reboot_does_not_make_a_wolf_a_lamb);
  g_test_add_data_func("/pressure/hostile/cagma", GINT_TO_POINTER(CAGMA_POLICY_CAGMA), test_hostile_streams);
  g_test_add_data_func("/pressure/hostile/cagma-classic", GINT_TO_POINTER(CAGMA_POLICY_CLASSIC),
                       test_hostile_streams);
  return g_test_run();
}
