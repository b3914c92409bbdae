/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard, handed one plan after another: it believes none. */
#include "policy/guard.h"
#include "rig.h"

typedef struct {
  const char *what;
  uint64_t target_mib;
  void (*spoil)(Rig *rig); /* makes the host such that the plan is a bad one */
  int refused;             /* CagmaGuardError, or -1: to be accepted */
} Case;

static void
unmanage(Rig *rig)
{
  rig->domains[0].managed = FALSE;
}

static void
observe(Rig *rig)
{
  rig->domains[0].config.mode = CAGMA_MODE_OBSERVE;
}

static void
hold(Rig *rig)
{
  rig->domains[0].hold = "migrating";
}

static void
hang(Rig *rig)
{
  rig->domains[0].unresponsive = TRUE;
}

static void
distrust(Rig *rig)
{
  rig->domains[0].distrusted = TRUE;
}

static void
restart(Rig *rig)
{
  cagma_domain_restart(&rig->domains[0], CAGMA_MIB(2048), rig->now_us);
}

static void
silence(Rig *rig)
{
  rig->silent[0] = TRUE;
  rig_pass(rig, 11);
}

static void
contradict(Rig *rig)
{
  rig->samples[0].usable_kib = CAGMA_MIB(3000);
  rig_pass(rig, 1);
}

static void
raise_guarantee(Rig *rig)
{
  rig->domains[0].config.guarantee_kib = CAGMA_MIB(3000);
}

static void
lower_limit(Rig *rig)
{
  rig->domains[0].config.limit_kib = CAGMA_MIB(1500);
}

static void
reserve_all_but_500(Rig *rig)
{
  rig->host.reserve_kib = CAGMA_MIB(8192 - 2048 - 1024 - 500);
}

static void
let_another_start(Rig *rig)
{
  rig->host.incoming_kib = CAGMA_MIB(8192 - 2048 - 1024 - 500);
}

static void
claim_much_in_hand(Rig *rig)
{
  reserve_all_but_500(rig);
  rig->plan.verdict.in_hand_kib = (int64_t)CAGMA_GIB(100);
}

static void
have_500_available(Rig *rig)
{
  rig->host.budget = CAGMA_BUDGET_AUTO;
  rig->host.available_kib = CAGMA_MIB(700);
  rig->host.merged_kib = CAGMA_MIB(200);
}

/* On its way from 2048 to 1024, and silent since. */
static void
shrink_and_silence(Rig *rig)
{
  silence(rig);
  cagma_domain_set(&rig->domains[0], CAGMA_MIB(1024), rig->now_us);
}

static void
grow_beyond(Rig *rig)
{
  cagma_domain_set(&rig->domains[0], CAGMA_MIB(3500), rig->now_us);
  raise_guarantee(rig);
}

/* 1548 MiB used, 64 of margin, and 100 of 200 MiB of swap that may take what can go. */
static void
yield_with_swap(Rig *rig)
{
  CagmaSample *sample = &rig->samples[0];

  sample->has |= CAGMA_HAS_SWAP_USED | CAGMA_HAS_SWAPPABLE;
  sample->swap_total_kib = CAGMA_MIB(300);
  sample->swap_used_kib = CAGMA_MIB(100);
  sample->swappable_kib = CAGMA_MIB(1000);
  rig_bound(rig, 0);
  rig_pass(rig, 1);
}

static void
yield(Rig *rig)
{
  rig_bound(rig, 0);
  rig_pass(rig, 1);
}

static void
yield_and_shrink(Rig *rig)
{
  yield(rig);
  cagma_domain_set(&rig->domains[0], CAGMA_MIB(1024), rig->now_us);
}

/* Somebody lets it have more than we asked for. */
static void
raise_cap(Rig *rig)
{
  yield(rig);
  rig->samples[0].cap_kib = CAGMA_MIB(2500);
  rig_pass(rig, 1);
  reserve_all_but_500(rig);
}

static const Case cases[] = {
  { "a shrink", 1024, NULL, -1 },
  { "a growth", 3000, NULL, -1 },
  { "a shrink to the guarantee", 256, NULL, -1 },
  { "a growth to the limit", 4096, NULL, -1 },
  { "below the guarantee", 255, NULL, CAGMA_GUARD_ERROR_FLOOR },
  { "to nothing", 0, NULL, CAGMA_GUARD_ERROR_FLOOR },
  { "a shrink of one below its guarantee", 2000, raise_guarantee, CAGMA_GUARD_ERROR_FLOOR },
  { "a growth of one below its guarantee", 2500, raise_guarantee, -1 },
  { "taking back growth to below the guarantee", 2500, grow_beyond, CAGMA_GUARD_ERROR_FLOOR },
  { "above the limit", 4097, NULL, CAGMA_GUARD_ERROR_LIMIT },
  { "staying above a lowered limit", 2048, lower_limit, CAGMA_GUARD_ERROR_LIMIT },
  { "down to a lowered limit", 1500, lower_limit, -1 },
  { "an unmanaged domain", 3000, unmanage, CAGMA_GUARD_ERROR_REACH },
  { "an observed domain", 3000, observe, CAGMA_GUARD_ERROR_REACH },
  { "a held domain", 3000, hold, CAGMA_GUARD_ERROR_REACH },
  { "a domain that doesn't answer", 3000, hang, CAGMA_GUARD_ERROR_REACH },
  { "a distrusted domain", 3000, distrust, CAGMA_GUARD_ERROR_REACH },
  { "a starting domain", 3000, restart, CAGMA_GUARD_ERROR_REACH },
  { "a shrink without recent figures", 1024, silence, CAGMA_GUARD_ERROR_BLIND },
  { "a growth without recent figures", 3000, silence, -1 },
  { "a shrink on figures that contradict each other", 1024, contradict, CAGMA_GUARD_ERROR_BLIND },
  { "easing a blind shrink under way", 1500, shrink_and_silence, -1 },
  { "furthering a blind shrink under way", 1000, shrink_and_silence, CAGMA_GUARD_ERROR_BLIND },
  { "what a guest that yields can do without", 1612, yield, -1 },
  { "more than it can do without", 1611, yield, CAGMA_GUARD_ERROR_FLOOR },
  { "what it can do without or swap out", 1512, yield_with_swap, -1 },
  { "more than it can swap out", 1511, yield_with_swap, CAGMA_GUARD_ERROR_FLOOR },
  { "easing a shrink to its death", 1500, yield_and_shrink, -1 },
  { "what is in hand under a higher cap", 2548, raise_cap, -1 },
  { "more than is in hand under a higher cap", 2549, raise_cap, CAGMA_GUARD_ERROR_IN_HAND },
  { "what is in hand", 2548, reserve_all_but_500, -1 },
  { "more than is in hand", 2549, reserve_all_but_500, CAGMA_GUARD_ERROR_IN_HAND },
  { "what is kept for another", 2549, let_another_start, CAGMA_GUARD_ERROR_IN_HAND },
  { "what the plan says is in hand", 2549, claim_much_in_hand, CAGMA_GUARD_ERROR_IN_HAND },
  { "what is available", 2548, have_500_available, -1 },
  { "more than is available", 2549, have_500_available, CAGMA_GUARD_ERROR_IN_HAND },
};

static void
set_up(Rig *rig)
{
  rig_init(rig, 8192);
  rig_add(rig, 4096, 2048, 500);
  rig_add(rig, 4096, 1024, 500);
  rig_pass(rig, 3);
  rig_decide(rig);
  g_assert_cmpuint(rig->plan.n_steps, ==, 0);
}

static void
plan_step(Rig *rig, size_t index, uint64_t target_kib)
{
  rig->plan.decisions[index].target_kib = target_kib;
  rig->plan.steps[rig->plan.n_steps++] = (CagmaStep){ .domain = index, .target_kib = target_kib };
}

static void
assert_judged(Rig *rig, int refused)
{
  g_autoptr(GError) error = NULL;

  g_assert_true(cagma_guard_check(&rig->host, &rig->plan, rig->now_us, &error) == (refused < 0));
  if (refused < 0)
    g_assert_no_error(error);
  else
    g_assert_error(error, CAGMA_GUARD_ERROR, refused);
}

static void
test_case(gconstpointer data)
{
  const Case *c = data;
  Rig rig;

  set_up(&rig);
  if (c->spoil)
    c->spoil(&rig);
  plan_step(&rig, 0, CAGMA_MIB(c->target_mib));
  assert_judged(&rig, c->refused);
  rig_clear(&rig);
}

/* Each alone is in hand; both together aren't. */
static void
test_steps_add_up(void)
{
  Rig rig;

  set_up(&rig);
  reserve_all_but_500(&rig);
  plan_step(&rig, 0, CAGMA_MIB(2348));
  assert_judged(&rig, -1);
  plan_step(&rig, 1, CAGMA_MIB(1224));
  assert_judged(&rig, -1);
  rig.plan.n_steps = 1;
  plan_step(&rig, 1, CAGMA_MIB(1225));
  assert_judged(&rig, CAGMA_GUARD_ERROR_IN_HAND);
  rig_clear(&rig);
}

/* A shrink frees nothing before it has come about. */
static void
test_what_shrinks_pays_for_nothing_yet(void)
{
  Rig rig;

  set_up(&rig);
  rig.host.budget_kib = CAGMA_MIB(3072);
  plan_step(&rig, 0, CAGMA_MIB(1048));
  plan_step(&rig, 1, CAGMA_MIB(1124));
  assert_judged(&rig, CAGMA_GUARD_ERROR_IN_HAND);
  rig_clear(&rig);
}

static void
test_two_targets_for_one(void)
{
  Rig rig;

  set_up(&rig);
  plan_step(&rig, 0, CAGMA_MIB(3000));
  plan_step(&rig, 0, CAGMA_MIB(1000));
  assert_judged(&rig, CAGMA_GUARD_ERROR_TWICE);
  rig_clear(&rig);
}

static void
test_no_such_domain(void)
{
  Rig rig;

  set_up(&rig);
  rig.plan.steps[rig.plan.n_steps++] = (CagmaStep){ .domain = 2, .target_kib = CAGMA_MIB(3000) };
  assert_judged(&rig, CAGMA_GUARD_ERROR_REACH);
  rig_clear(&rig);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path =
        g_strdup_printf("/guard/%s/%s", cases[i].refused < 0 ? "accepts" : "refuses", cases[i].what);

    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/guard/refuses/more together than is in hand", test_steps_add_up);
  g_test_add_func("/guard/refuses/growth paid by a shrink of the same plan",
                  test_what_shrinks_pays_for_nothing_yet);
  g_test_add_func("/guard/refuses/two targets for one", test_two_targets_for_one);
  g_test_add_func("/guard/refuses/no such domain", test_no_such_domain);
  return g_test_run();
}
