/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The `queue` allocator, and cagma-classic with it. Numbers in MiB, computed by hand.
 * Guests stand at 1024, with a headroom of 64, a guarantee of 256 and source `sum`, so
 * that C = 1.1 × what they use. */
#include "model.h"
#include "policy/queue.h"
#include "rig.h"

static void
set_up(Rig *rig, uint64_t in_hand_mib, size_t n, const uint64_t *available_mib)
{
  rig_init(rig, n * 1024 + in_hand_mib);
  rig->host.policy = CAGMA_POLICY_CLASSIC;
  for (size_t i = 0; i < n; i++)
    rig_add(rig, 4096, 1024, available_mib[i])->config.source = CAGMA_SOURCE_SUM;
  rig_pass(rig, 3);
}

/* Swaps, a page, without its swap mattering to its footprint. */
static void
swap(Rig *rig, size_t index)
{
  rig->samples[index].swap_out_kib += 4;
  rig->samples[index].swap_in_kib += 4;
}

static uint64_t
target_mib(const Rig *rig, size_t index)
{
  return (rig->plan.decisions[index].target_kib + 512) / 1024;
}

/* The arithmetic of releases: surplus, counts and the ring. */
static void
test_releases(void)
{
  static const struct {
    const char *what;
    uint32_t releases; /* before */
    uint64_t ring;     /* each of the last five */
    uint64_t available, critical, least;
    uint64_t released, critical_after;
  } cases[] = {
    { "what is above the critical amount", 0, 0, 500, 200, 64, 300, 200 },
    { "the ninth, whatever it released before", 8, 400, 500, 200, 64, 300, 200 },
    { "the tenth: the mean, where that is more", 9, 400, 500, 200, 64, 400, 100 },
    { "the tenth: the surplus, where that is more", 9, 200, 500, 200, 64, 300, 200 },
    { "the tenth: no further than the least", 9, 480, 500, 200, 64, 436, 64 },
    { "the mean is above all there is", 9, 900, 500, 200, 64, 436, 64 },
    { "the critical amount is never raised", 9, 400, 500, 50, 64, 450, 50 },
    { "the thirtieth", 29, 400, 500, 200, 64, 400, 100 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaQueuePlace place = { .set = CAGMA_QUEUE_RELEASE,
                              .releases = cases[i].releases,
                              .critical_kib = CAGMA_MIB(cases[i].critical),
                              .least_kib = CAGMA_MIB(cases[i].least) };

    g_test_message("%s", cases[i].what);
    for (size_t k = 0; k < CAGMA_QUEUE_RING; k++)
      place.ring[k] = CAGMA_MIB(cases[i].ring);
    g_assert_cmpuint(cagma_queue_release(&place, CAGMA_MIB(cases[i].available - cases[i].critical),
                                         CAGMA_MIB(cases[i].available)),
                     ==, CAGMA_MIB(cases[i].released));
    g_assert_cmpuint(place.critical_kib, ==, CAGMA_MIB(cases[i].critical_after));
    g_assert_cmpuint(place.releases, ==, cases[i].releases + 1);
  }
}

/* A surplus of 10, 20 … 100, then 1: the mean of the last five is 80. */
static void
test_ring_holds_the_last_five(void)
{
  CagmaQueuePlace place = { .critical_kib = CAGMA_MIB(200) };

  for (uint64_t surplus = 10; surplus <= 100; surplus += 10)
    g_assert_cmpuint(cagma_queue_release(&place, CAGMA_MIB(surplus), CAGMA_MIB(200 + surplus)), ==,
                     CAGMA_MIB(surplus));
  g_assert_cmpuint(cagma_queue_release(&place, CAGMA_MIB(1), CAGMA_MIB(201)), ==, CAGMA_MIB(80));
  g_assert_cmpuint(place.critical_kib, ==, CAGMA_MIB(121));
  /* What was released counts, not what was over: 70, 80, 90, 100, 80 are 84. */
  place.critical_kib = CAGMA_MIB(121);
  g_assert_cmpuint(cagma_queue_release(&place, CAGMA_MIB(1), CAGMA_MIB(122)), ==, CAGMA_MIB(84));
}

/* Nobody who hasn't swapped asks for anything, or is asked. */
static void
test_critical_amount_is_unset_until_it_swaps(void)
{
  Rig rig;

  set_up(&rig, 0, 2, (const uint64_t[]){ 24, 924 });
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  g_assert_cmpuint(rig.domains[0].queue.critical_kib, ==, 0);
  g_assert_cmpint(rig.domains[0].queue.set, ==, CAGMA_QUEUE_NEITHER);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_ENOUGH);

  swap(&rig, 0);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  /* C = 1.1 × 1000. */
  g_assert_cmpuint(rig.domains[0].queue.critical_kib, ==, CAGMA_MIB(1100));
  g_assert_cmpint(rig.domains[0].queue.set, ==, CAGMA_QUEUE_ALLOC);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_WAITS);
  g_assert_cmpuint(rig.plan.decisions[0].waits_kib, ==, CAGMA_MIB(1076));
  /* The other has 924 available, more than its C of 110: swapping is no want there. */
  swap(&rig, 1);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(rig.domains[1].queue.critical_kib, ==, 0);
  rig_clear(&rig);
}

/* target + CMA − AVM, at once and not at the next round. */
static void
test_alloc_is_served_from_memory_in_hand(void)
{
  Rig rig;

  set_up(&rig, 2000, 1, (const uint64_t[]){ 24 });
  rig_decide(&rig);
  swap(&rig, 0);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 1024 + 1100 - 24);
  g_assert_cmpint(rig.plan.verdict.fit, ==, CAGMA_FIT_EASY);
  rig_clear(&rig);
}

static void
test_who_waits_longest_is_served_first(void)
{
  Rig rig;

  set_up(&rig, 0, 3, (const uint64_t[]){ 24, 24, 24 });
  for (size_t i = 3; i-- > 0;) {
    swap(&rig, i);
    rig_pass(&rig, 1);
    rig_decide(&rig);
  }
  /* 1076 for each: the last of the three came first. */
  rig.host.budget_kib += CAGMA_MIB(1500);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 2), ==, 2100);
  g_assert_cmpuint(target_mib(&rig, 1), ==, 1024 + 424);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 0);
  g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_WAITS);
  g_assert_cmpuint(rig.plan.decisions[1].waits_kib / 1024, ==, 1076 - 424);

  /* But for an emergency, which also has what the pool keeps from the others. */
  rig.host.pool_kib = CAGMA_MIB(300);
  swap(&rig, 0);
  rig_pass(&rig, 1);
  g_assert_true(rig_press(&rig, 0));
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 2100);
  g_assert_cmpuint(target_mib(&rig, 2), ==, 1024 + 424);
  rig_clear(&rig);
}

static void
test_release_only_where_the_host_cannot_give(void)
{
  static const struct {
    uint64_t in_hand, target;
  } cases[] = { { 16, 0 }, { 15, 724 }, { 0, 724 } };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Rig rig;

    set_up(&rig, cases[i].in_hand, 1, (const uint64_t[]){ 500 });
    rig.domains[0].queue.critical_kib = CAGMA_MIB(200);
    rig_decide(&rig);
    g_assert_cmpuint(target_mib(&rig, 0), ==, cases[i].target);
    g_assert_cmpuint(rig.domains[0].queue.releases, ==, cases[i].target ? 1 : 0);
    if (cases[i].target)
      g_assert_cmpint(rig_why(&rig, 0), ==, CAGMA_WHY_RELEASES);
    rig_clear(&rig);
  }
}

/* What is under way isn't asked for twice, as the original did. */
static void
test_what_is_coming_is_in_hand_soon(void)
{
  Rig rig;

  set_up(&rig, 0, 2, (const uint64_t[]){ 500, 500 });
  rig.domains[0].queue.critical_kib = rig.domains[1].queue.critical_kib = CAGMA_MIB(200);
  rig.domains[1].hold = "paused";
  rig_decide(&rig);
  cagma_domain_set(&rig.domains[0], rig.plan.decisions[0].target_kib, rig.now_us);
  rig.domains[1].hold = NULL;
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(rig.plan.n_steps, ==, 0);
  /* It never came. */
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 1), ==, 724);
  rig_clear(&rig);
}

static void
test_a_round_is_three_seconds(void)
{
  Rig rig;

  set_up(&rig, 0, 1, (const uint64_t[]){ 500 });
  rig.domains[0].queue.critical_kib = CAGMA_MIB(490);
  for (int second = 0; second < 30; second++) {
    rig_decide(&rig);
    g_assert_cmpuint(rig.plan.n_steps, ==, second % 3 ? 0 : 1);
    rig_obey(&rig);
    /* Its available memory is back, and the host's is gone. */
    rig.samples[0].usable_kib = CAGMA_MIB(500);
    rig.host.budget_kib = rig.samples[0].actual_kib;
    rig_pass(&rig, 1);
  }
  g_assert_cmpuint(rig.domains[0].queue.releases, ==, 10);
  rig_clear(&rig);
}

static void
test_change_of_set_resets_count_and_ring(void)
{
  Rig rig;
  CagmaQueuePlace *place;

  set_up(&rig, 0, 1, (const uint64_t[]){ 500 });
  place = &rig.domains[0].queue;
  place->critical_kib = CAGMA_MIB(490);
  rig_decide(&rig);
  g_assert_cmpint(place->set, ==, CAGMA_QUEUE_RELEASE);
  g_assert_cmpuint(place->releases, ==, 1);

  /* Equal, to what a balloon can tell. */
  rig.samples[0].usable_kib = CAGMA_MIB(492);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  g_assert_cmpint(place->set, ==, CAGMA_QUEUE_NEITHER);
  g_assert_cmpuint(place->releases, ==, 0);
  for (size_t i = 0; i < CAGMA_QUEUE_RING; i++)
    g_assert_cmpuint(place->ring[i], ==, 0);
  rig_clear(&rig);
}

/* A guest that swaps again while it is made to release asks for memory instead. */
static void
test_swapping_ends_releasing(void)
{
  Rig rig;

  set_up(&rig, 0, 1, (const uint64_t[]){ 500 });
  rig.domains[0].queue.critical_kib = CAGMA_MIB(200);
  rig_decide(&rig);
  g_assert_cmpint(rig.domains[0].queue.set, ==, CAGMA_QUEUE_RELEASE);
  swap(&rig, 0);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  /* 1.1 × 524, of which 500 are there. */
  g_assert_cmpuint(rig.domains[0].queue.critical_kib / 1024, ==, 576);
  g_assert_cmpint(rig.domains[0].queue.set, ==, CAGMA_QUEUE_ALLOC);
  rig_clear(&rig);
}

/* A dead or new guest has no place from before. */
static void
test_restart_forgets_the_place(void)
{
  Rig rig;

  set_up(&rig, 0, 1, (const uint64_t[]){ 500 });
  rig.domains[0].queue.critical_kib = CAGMA_MIB(200);
  cagma_domain_restart(&rig.domains[0], CAGMA_MIB(1024), rig.now_us);
  g_assert_cmpuint(rig.domains[0].queue.critical_kib, ==, 0);
  rig_clear(&rig);
}

/* The queue would have it wait for the next round, and for those to release that have
 * a critical amount; one below its guarantee waits for neither. */
static void
test_guarantees_do_not_wait_for_the_queue(void)
{
  Rig rig;

  set_up(&rig, 0, 2, (const uint64_t[]){ 500, 900 });
  rig_decide(&rig);
  rig.domains[0].config.guarantee_kib = CAGMA_MIB(1100);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 1), <, 1024);
  rig_obey(&rig);
  for (int i = 0; i < 10; i++) {
    rig_pass(&rig, 1);
    rig_decide(&rig);
    rig_obey(&rig);
  }
  g_assert_cmpuint(cagma_domain_standing(&rig.domains[0]), ==, CAGMA_MIB(1100));
  rig_clear(&rig);
}

static void
test_release_stops_at_the_guarantee(void)
{
  Rig rig;

  set_up(&rig, 0, 1, (const uint64_t[]){ 900 });
  rig.domains[0].queue.critical_kib = CAGMA_MIB(100);
  rig.domains[0].config.guarantee_kib = CAGMA_MIB(800);
  rig_decide(&rig);
  g_assert_cmpuint(target_mib(&rig, 0), ==, 800);
  rig_clear(&rig);
}

/* Its purpose: one swaps, the others once did and have too much now. */
static void
test_starved_guest_is_fed_by_those_that_release(void)
{
  Model model;

  model_init(&model, 3, CAGMA_GIB(4), CAGMA_GIB(3), 5);
  model.host.policy = CAGMA_POLICY_CLASSIC;
  for (size_t i = 0; i < model.n; i++) {
    model_place(&model, i, CAGMA_GIB(1), CAGMA_MIB(100));
    model.guests[i].domain.config.source = CAGMA_SOURCE_SUM;
  }
  model_run(&model, 5);
  for (size_t i = 1; i < model.n; i++)
    model.guests[i].domain.queue.critical_kib = CAGMA_MIB(200);
  model.guests[0].working_kib = CAGMA_MIB(1300);
  model_run(&model, 60);
  g_assert_cmpuint(model.guests[0].swapped_kib, ==, 0);
  g_assert_cmpuint(model.guests[0].actual_kib, >, CAGMA_MIB(1360));
  for (size_t i = 1; i < model.n; i++)
    g_assert_cmpuint(model_usable(&model.guests[i]), >=, CAGMA_MIB(60));
  model_clear(&model);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/queue/release", test_releases);
  g_test_add_func("/queue/ring", test_ring_holds_the_last_five);
  g_test_add_func("/queue/unset", test_critical_amount_is_unset_until_it_swaps);
  g_test_add_func("/queue/alloc", test_alloc_is_served_from_memory_in_hand);
  g_test_add_func("/queue/first", test_who_waits_longest_is_served_first);
  g_test_add_func("/queue/cannot-give", test_release_only_where_the_host_cannot_give);
  g_test_add_func("/queue/coming", test_what_is_coming_is_in_hand_soon);
  g_test_add_func("/queue/round", test_a_round_is_three_seconds);
  g_test_add_func("/queue/set", test_change_of_set_resets_count_and_ring);
  g_test_add_func("/queue/swaps-again", test_swapping_ends_releasing);
  g_test_add_func("/queue/restart", test_restart_forgets_the_place);
  g_test_add_func("/queue/guarantees", test_guarantees_do_not_wait_for_the_queue);
  g_test_add_func("/queue/floor", test_release_stops_at_the_guarantee);
  g_test_add_func("/queue/starved", test_starved_guest_is_fed_by_those_that_release);
  return g_test_run();
}
