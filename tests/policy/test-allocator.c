/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What allocators have in common. Numbers in MiB, computed by hand. */
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

#define UNTOLD 12345
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
  { "neither in hand nor to spare: to be shared out, nobody entitled yet",
    200,
    FALSE,
    CAGMA_FIT_SHARED,
    0,
    { { 1500, 200, 2000, 1000, FREE, UNTOLD }, { 500, 300, 2000, 1000, FREE, UNTOLD } } },
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
  uint64_t shortfall_kib, capacity_kib;
  int64_t all = c->in_hand;
  size_t n = 0;

  while (n < DOMAINS_MAX && c->domains[n].demand) {
    const Domain *domain = &c->domains[n];

    all += (int64_t)domain->standing;
    claims[n++] = (CagmaClaim){
      .standing_kib = CAGMA_MIB(domain->standing),
      .guarantee_kib = CAGMA_MIB(domain->guarantee),
      .demand_kib = CAGMA_MIB(domain->demand),
      .shares = domain->shares,
      .may_grow = domain->may_grow,
      .may_shrink = domain->may_shrink,
      .ready = domain->ready,
      .entitled_kib = CAGMA_MIB(UNTOLD),
    };
  }
  g_assert_cmpint(
      cagma_allocate_by_need(claims, n, c->in_hand * 1024, c->reclaim, &capacity_kib, &shortfall_kib), ==,
      c->fit);
  g_assert_cmpuint(shortfall_kib, ==, c->shortfall);
  g_assert_cmpuint(capacity_kib, ==, all > 0 ? CAGMA_MIB((uint64_t)all) : 0);
  for (size_t i = 0; i < n; i++)
    g_assert_cmpuint(claims[i].entitled_kib, ==, CAGMA_MIB(c->domains[i].entitled));
}

static void
test_nobody_is_fine(void)
{
  uint64_t shortfall_kib = 1, capacity_kib = 1;

  g_assert_cmpint(cagma_allocate_by_need(NULL, 0, -5, FALSE, &capacity_kib, &shortfall_kib), ==,
                  CAGMA_FIT_SHORT);
  g_assert_cmpuint(shortfall_kib, ==, 0);
  g_assert_cmpuint(capacity_kib, ==, 0);
  g_assert_cmpint(cagma_allocate_by_need(NULL, 0, 5, FALSE, &capacity_kib, &shortfall_kib), ==,
                  CAGMA_FIT_EASY);
  g_assert_cmpuint(capacity_kib, ==, 5);
}

/* What a claim may come to, by what its domain may do. */
static void
test_bounds_of_a_claim(void)
{
  static const struct {
    const char *what;
    uint64_t standing, demand;
    gboolean may_grow, may_shrink;
    uint64_t floor, ceiling, need;
  } bounds[] = {
    { "free, and short", 500, 800, TRUE, TRUE, 300, 800, 300 },
    { "free, with more than it needs", 900, 800, TRUE, TRUE, 300, 800, 0 },
    { "can't give", 900, 800, TRUE, FALSE, 900, 900, 0 },
    { "can't give, and is below its guarantee", 200, 800, TRUE, FALSE, 300, 800, 600 },
    { "can't take", 500, 800, FALSE, TRUE, 300, 500, 0 },
    { "can't take, and is below its guarantee", 200, 800, FALSE, TRUE, 300, 300, 0 },
    { "can't do either", 500, 800, FALSE, FALSE, 500, 500, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(bounds); i++) {
    const CagmaClaim claim = { .standing_kib = bounds[i].standing,
                               .guarantee_kib = 300,
                               .demand_kib = bounds[i].demand,
                               .may_grow = bounds[i].may_grow,
                               .may_shrink = bounds[i].may_shrink };

    g_test_message("%s", bounds[i].what);
    g_assert_cmpuint(cagma_claim_floor(&claim), ==, bounds[i].floor);
    g_assert_cmpuint(cagma_claim_ceiling(&claim), ==, bounds[i].ceiling);
    g_assert_cmpuint(cagma_claim_need(&claim), ==, bounds[i].need);
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
  g_test_add_func("/allocator/bounds", test_bounds_of_a_claim);
  return g_test_run();
}
