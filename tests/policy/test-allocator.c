/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in MiB, computed by hand. */
#include "policy/allocator.h"
#include "policy/config.h"
#include "policy/units.h"

#define DOMAINS_MAX 4

typedef struct {
  uint64_t standing, guarantee, demand;
  uint32_t shares;
  gboolean may_grow, may_shrink, ready;
  uint64_t entitled;
} Domain;

typedef struct {
  const char *what;
  int64_t in_hand;
  gboolean reclaim;
  CagmaFit fit;
  uint64_t shortfall;
  Domain domains[DOMAINS_MAX];
} Case;

#define FREE TRUE, TRUE, TRUE /* may grow, may shrink, ready */

static const Case cases[] = {
  { "easy: in hand meets the demand, others keep what they have",
    500,
    FALSE,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 1400, 1000, FREE, 1400 }, { 1000, 256, 600, 1000, FREE, 1000 } } },
  { "easy to the last bit", 400, FALSE, CAGMA_FIT_EASY, 0, { { 1000, 256, 1400, 1000, FREE, 1400 } } },
  { "easy, reclaim: nobody keeps what he doesn't need",
    500,
    TRUE,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 1400, 1000, FREE, 1400 }, { 1000, 256, 600, 1000, FREE, 600 } } },
  { "take: 300 missing, spare 400 and 200: 2 to 1",
    100,
    FALSE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1400, 1000, FREE, 1400 },
      { 1000, 256, 600, 1000, FREE, 800 },
      { 1000, 256, 800, 1000, FREE, 900 } } },
  { "take all there is to spare",
    0,
    FALSE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1400, 1000, FREE, 1400 }, { 1000, 256, 600, 1000, FREE, 600 } } },
  { "take, reclaim: the rest goes to the host",
    100,
    TRUE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1400, 1000, FREE, 1400 },
      { 1000, 256, 600, 1000, FREE, 600 },
      { 1000, 256, 800, 1000, FREE, 800 } } },
  { "take: the one that isn't ready gives later, the other doesn't wait for it",
    0,
    FALSE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1300, 1000, FREE, 1300 },
      { 1000, 256, 600, 1000, TRUE, TRUE, FALSE, 1000 },
      { 1000, 256, 600, 1000, FREE, 700 } } },
  { "take: who is ready gives all it can, if the others can't just now",
    0,
    FALSE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1300, 1000, FREE, 1300 },
      { 1000, 256, 600, 1000, TRUE, TRUE, FALSE, 1000 },
      { 1000, 256, 800, 1000, FREE, 800 } } },
  { "more is promised than there is: the debt is taken from who can spare",
    -300,
    FALSE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 800, 1000, FREE, 900 }, { 1000, 256, 600, 1000, FREE, 800 } } },
  { "shared equally: 2000 less 500 of guarantees, 750 each",
    0,
    FALSE,
    CAGMA_FIT_SHARED,
    0,
    { { 1500, 200, 2000, 1000, FREE, 950 }, { 500, 300, 2000, 1000, FREE, 1050 } } },
  { "shared 1 to 3",
    0,
    FALSE,
    CAGMA_FIT_SHARED,
    0,
    { { 1000, 200, 2000, 500, FREE, 600 }, { 1000, 200, 2000, 1500, FREE, 1400 } } },
  { "shared: who needs less than his share leaves the rest to the others",
    0,
    FALSE,
    CAGMA_FIT_SHARED,
    0,
    { { 1000, 100, 300, 1000, FREE, 300 },
      { 1000, 100, 2000, 1000, FREE, 1350 },
      { 1000, 100, 2000, 1000, FREE, 1350 } } },
  { "shared: no shares, no more than the guarantee",
    0,
    FALSE,
    CAGMA_FIT_SHARED,
    0,
    { { 1000, 256, 1000, 0, FREE, 256 }, { 1000, 256, 3000, 1000, FREE, 1744 } } },
  { "shared: who can't give keeps what he has, and has no share on top",
    0,
    FALSE,
    CAGMA_FIT_SHARED,
    0,
    { { 1500, 100, 2000, 1000, TRUE, FALSE, FALSE, 1500 },
      { 500, 100, 2000, 1000, FREE, 250 },
      { 0, 100, 2000, 1000, FREE, 250 } } },
  { "shared: not to be ready changes nothing",
    0,
    FALSE,
    CAGMA_FIT_SHARED,
    0,
    { { 1500, 200, 2000, 1000, TRUE, TRUE, FALSE, 950 }, { 500, 300, 2000, 1000, FREE, 1050 } } },
  { "shared: who can't take has no claim on more than he has",
    200,
    FALSE,
    CAGMA_FIT_SHARED,
    0,
    { { 500, 100, 2000, 1000, FALSE, TRUE, TRUE, 500 }, { 500, 100, 2000, 1000, FREE, 700 } } },
  { "shared out of a debt",
    -1000,
    FALSE,
    CAGMA_FIT_SHARED,
    0,
    { { 1000, 256, 1000, 1000, FREE, 500 }, { 1000, 256, 1000, 1000, FREE, 500 } } },
  { "short: guarantees of 1200, and 1000 to meet them",
    0,
    FALSE,
    CAGMA_FIT_SHORT,
    CAGMA_MIB(200),
    { { 900, 600, 2000, 1000, FREE, 600 }, { 100, 600, 2000, 1000, FREE, 600 } } },
  { "short with nothing at all",
    -1500,
    FALSE,
    CAGMA_FIT_SHORT,
    CAGMA_MIB(600),
    { { 900, 300, 2000, 1000, FREE, 300 }, { 100, 300, 2000, 1000, FREE, 300 } } },
  { "short: who can't give counts with what he has",
    0,
    FALSE,
    CAGMA_FIT_SHORT,
    CAGMA_MIB(300),
    { { 900, 600, 2000, 1000, TRUE, FALSE, FALSE, 900 }, { 300, 600, 2000, 1000, FREE, 600 } } },
};

static void
test_case(gconstpointer data)
{
  const Case *c = data;
  CagmaClaim claims[DOMAINS_MAX];
  uint64_t shortfall_kib;
  size_t n = 0;

  while (n < DOMAINS_MAX && c->domains[n].demand) {
    const Domain *domain = &c->domains[n];

    claims[n++] = (CagmaClaim){
      .standing_kib = CAGMA_MIB(domain->standing),
      .guarantee_kib = CAGMA_MIB(domain->guarantee),
      .demand_kib = CAGMA_MIB(domain->demand),
      .shares = domain->shares,
      .may_grow = domain->may_grow,
      .may_shrink = domain->may_shrink,
      .ready = domain->ready,
    };
  }
  g_assert_cmpint(cagma_allocate_shares(claims, n, c->in_hand * 1024, c->reclaim, &shortfall_kib), ==,
                  c->fit);
  g_assert_cmpuint(shortfall_kib, ==, c->shortfall);
  /* To within a share's rounding. */
  for (size_t i = 0; i < n; i++)
    g_assert_cmpuint((claims[i].entitled_kib + 8) / 1024, ==, c->domains[i].entitled);
}

static void
test_nobody_is_fine(void)
{
  uint64_t shortfall_kib = 1;

  g_assert_cmpint(cagma_allocate_shares(NULL, 0, -5, FALSE, &shortfall_kib), ==, CAGMA_FIT_SHORT);
  g_assert_cmpuint(shortfall_kib, ==, 0);
  g_assert_cmpint(cagma_allocate_shares(NULL, 0, 5, FALSE, &shortfall_kib), ==, CAGMA_FIT_EASY);
}

static void
test_greatest_figures_do_not_overflow(void)
{
  static CagmaClaim claims[16384];
  uint64_t shortfall_kib, total_kib = 0;

  for (size_t i = 0; i < G_N_ELEMENTS(claims); i++)
    claims[i] = (CagmaClaim){ .standing_kib = CAGMA_MAX_KIB / 2,
                              .demand_kib = CAGMA_MAX_KIB,
                              .shares = CAGMA_SHARES_MAX,
                              .may_grow = TRUE,
                              .may_shrink = TRUE,
                              .ready = TRUE };
  g_assert_cmpint(cagma_allocate_shares(claims, G_N_ELEMENTS(claims), 0, FALSE, &shortfall_kib), ==,
                  CAGMA_FIT_SHARED);
  for (size_t i = 0; i < G_N_ELEMENTS(claims); i++)
    total_kib += claims[i].entitled_kib;
  g_assert_cmpuint(total_kib, <=, CAGMA_MAX_KIB / 2 * G_N_ELEMENTS(claims));
  g_assert_cmpuint(claims[0].entitled_kib, >=, CAGMA_MAX_KIB / 2 - CAGMA_SHARES_MAX);
}

/* Whatever the claims: nobody gets less than his floor or more than he asked for,
 * all together no more than there is, and nothing stays unused that somebody wants. */
static void
test_shared_is_feasible_and_full(void)
{
  for (int round = 0; round < 20000; round++) {
    CagmaClaim claims[8];
    size_t n = (size_t)g_test_rand_int_range(1, 9);
    uint64_t shortfall_kib, total_kib = 0, capacity_kib, unmet_kib = 0, floors_kib = 0;
    int64_t in_hand_kib = g_test_rand_int_range(0, 1 << 20);

    capacity_kib = (uint64_t)in_hand_kib;
    for (size_t i = 0; i < n; i++) {
      claims[i].guarantee_kib = (uint64_t)g_test_rand_int_range(0, 1 << 20);
      claims[i].demand_kib = claims[i].guarantee_kib + (uint64_t)g_test_rand_int_range(0, 1 << 22);
      claims[i].standing_kib = (uint64_t)g_test_rand_int_range(0, 1 << 22);
      claims[i].shares = (uint32_t)g_test_rand_int_range(1, 5000);
      claims[i].may_grow = TRUE;
      claims[i].may_shrink = g_test_rand_int_range(0, 4) != 0;
      claims[i].ready = claims[i].may_shrink;
      capacity_kib += claims[i].standing_kib;
      floors_kib += MAX(claims[i].guarantee_kib, claims[i].may_shrink ? 0 : claims[i].standing_kib);
    }
    if (cagma_allocate_shares(claims, n, in_hand_kib, FALSE, &shortfall_kib) != CAGMA_FIT_SHARED) {
      g_assert_true(shortfall_kib == (floors_kib > capacity_kib ? floors_kib - capacity_kib : 0) ||
                    shortfall_kib == 0);
      continue;
    }
    for (size_t i = 0; i < n; i++) {
      total_kib += claims[i].entitled_kib;
      unmet_kib += cagma_above(claims[i].demand_kib, claims[i].entitled_kib);
      g_assert_cmpuint(claims[i].entitled_kib, >=, claims[i].guarantee_kib);
      g_assert_true(claims[i].entitled_kib <= claims[i].demand_kib || !claims[i].may_shrink);
    }
    g_assert_cmpuint(total_kib, <=, capacity_kib);
    g_assert_true(unmet_kib == 0 || capacity_kib - total_kib <= n * 8);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strdup_printf("/allocator/%s", cases[i].what);

    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/allocator/nobody", test_nobody_is_fine);
  g_test_add_func("/allocator/greatest-figures", test_greatest_figures_do_not_overflow);
  g_test_add_func("/allocator/feasible-and-full", test_shared_is_feasible_and_full);
  return g_test_run();
}
