/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sharing out, in KiB computed by hand, and what holds for whatever is shared out. */
#include "policy/fill.h"

#include <glib.h>

#include "policy/config.h"
#include "policy/units.h"

#define VESSELS_MAX 4

typedef struct {
  const char *what;
  uint64_t total;
  CagmaVessel vessels[VESSELS_MAX]; /* base, low, high, weight, and the level expected */
} Case;

static const Case cases[] = {
  { "nobody there", 1000, { { 0 } } },
  { "room for all", 1000, { { 0, 0, 300, 1, 300 }, { 0, 0, 400, 5, 400 } } },
  { "to the last KiB", 700, { { 0, 0, 300, 1, 300 }, { 0, 0, 400, 5, 400 } } },
  { "nothing to share", 0, { { 0, 0, 300, 1, 0 }, { 0, 0, 400, 5, 0 } } },
  { "less than the lows: they have them all the same",
    100,
    { { 0, 80, 300, 1, 80 }, { 0, 60, 400, 5, 60 } } },
  { "equal parts", 300, { { 0, 0, 300, 7, 150 }, { 0, 0, 400, 7, 150 } } },
  { "1 to 2", 300, { { 0, 0, 300, 500, 100 }, { 0, 0, 400, 1000, 200 } } },
  { "1 to 2 above where they begin", 400, { { 60, 60, 300, 1, 120 }, { 160, 160, 400, 2, 280 } } },
  { "who is full leaves the rest",
    600,
    { { 0, 0, 100, 1, 100 }, { 0, 0, 900, 1, 250 }, { 0, 0, 900, 1, 250 } } },
  { "who has much already gets nothing",
    600,
    { { 0, 400, 900, 1, 400 }, { 0, 0, 900, 1, 100 }, { 0, 0, 900, 1, 100 } } },
  { "and little where others come up to it",
    1500,
    { { 0, 400, 900, 1, 500 }, { 0, 0, 900, 1, 500 }, { 0, 0, 900, 1, 500 } } },
  { "no weight, no more than the low", 500, { { 50, 100, 900, 0, 100 }, { 0, 0, 900, 1, 400 } } },
  { "nor what others have no room for", 500, { { 0, 100, 900, 0, 100 }, { 0, 0, 200, 1, 200 } } },
  { "unless all can be full", 1100, { { 0, 100, 900, 0, 900 }, { 0, 0, 200, 1, 200 } } },
  { "no weights at all", 500, { { 0, 100, 900, 0, 100 }, { 0, 50, 200, 0, 50 } } },
  { "full above its high", 500, { { 0, 200, 100, 1, 200 }, { 0, 0, 900, 1, 300 } } },
  { "one that has no room, and one that has no weight",
    500,
    { { 0, 100, 100, 5, 100 }, { 0, 0, 1000, 0, 0 } } },
  { "the heaviest beside its like",
    CAGMA_GIB(3),
    { { 0, 0, CAGMA_MAX_KIB, (uint64_t)1 << 50, CAGMA_GIB(1) },
      { 0, 0, CAGMA_MAX_KIB, (uint64_t)1 << 50, CAGMA_GIB(1) },
      { 0, 0, CAGMA_MAX_KIB, (uint64_t)1 << 50, CAGMA_GIB(1) } } },
  { "a million to one",
    1000001,
    { { 0, 0, CAGMA_MAX_KIB, CAGMA_SHARES_MAX, 1000000 }, { 0, 0, CAGMA_MAX_KIB, 1, 1 } } },
};

/* What isn't handed out, at most: a KiB for each, and what λ's last step is worth to the heavy
 * ones of a very mixed lot. */
static uint64_t
rest_at_most(const CagmaVessel *vessels, size_t n)
{
  uint64_t least = UINT64_MAX, rest_kib = 0;

  for (size_t i = 0; i < n; i++)
    least = vessels[i].weight ? MIN(least, vessels[i].weight) : least;
  for (size_t i = 0; i < n; i++)
    rest_kib += 1 + (vessels[i].weight / least >> 19);
  return rest_kib;
}

static void
test_case(gconstpointer data)
{
  const Case *c = data;
  CagmaVessel vessels[VESSELS_MAX];
  uint64_t sum_kib = 0, returned_kib;
  size_t n = 0;

  for (; n < VESSELS_MAX && c->vessels[n].high_kib; n++) {
    vessels[n] = c->vessels[n];
    vessels[n].level_kib = 12345;
  }
  returned_kib = cagma_fill(vessels, n, c->total);
  for (size_t i = 0; i < n; i++) {
    sum_kib += vessels[i].level_kib;
    g_assert_cmpuint(vessels[i].level_kib, <=, c->vessels[i].level_kib);
    g_assert_cmpuint(vessels[i].level_kib + rest_at_most(vessels, n), >=, c->vessels[i].level_kib);
  }
  g_assert_cmpuint(returned_kib, ==, sum_kib);
}

/* Sizes and weights of all orders of magnitude. */
static uint64_t
draw(unsigned bits)
{
  uint64_t number = (uint64_t)(uint32_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();

  return number >> (63 - g_test_rand_int_range(0, (int)bits)) >> 1;
}

static size_t
invent(CagmaVessel *vessels, size_t most)
{
  size_t n = (size_t)g_test_rand_int_range(1, (int)most + 1);
  unsigned weight_bits = (unsigned)g_test_rand_int_range(1, 51),
           size_bits = (unsigned)g_test_rand_int_range(4, 43);

  for (size_t i = 0; i < n; i++) {
    vessels[i].base_kib = draw(size_bits);
    vessels[i].low_kib = cagma_max_kib(vessels[i].base_kib, draw(size_bits));
    vessels[i].high_kib =
        g_test_rand_int_range(0, 4) ? vessels[i].low_kib + draw(size_bits) : draw(size_bits);
    vessels[i].high_kib = MIN(vessels[i].high_kib, CAGMA_MAX_KIB);
    vessels[i].weight = g_test_rand_int_range(0, 8) ? draw(weight_bits) : 0;
  }
  return n;
}

static gboolean
is_full(const CagmaVessel *vessel)
{
  return vessel->level_kib >= vessel->high_kib;
}

/* One that could take more is no better off, for its weight, than any that was raised. */
static void
assert_fair(const CagmaVessel *could, const CagmaVessel *raised)
{
  __extension__ typedef unsigned __int128 Wide;
  Wide had = raised->level_kib - raised->base_kib - 1, has = could->level_kib + 1 - could->base_kib;

  if (!could->weight || is_full(could) || raised->level_kib <= raised->low_kib)
    return;
  g_assert_true(had * could->weight <= has * raised->weight);
}

static void
test_fills_as_far_as_it_goes_and_fairly(void)
{
  for (int round = 0; round < 30000; round++) {
    CagmaVessel vessels[12];
    size_t n = invent(vessels, G_N_ELEMENTS(vessels));
    uint64_t lows_kib = 0, highs_kib = 0, total_kib, sum_kib = 0;
    gboolean somebody_could = FALSE;

    for (size_t i = 0; i < n; i++) {
      lows_kib += vessels[i].low_kib;
      highs_kib += cagma_max_kib(vessels[i].high_kib, vessels[i].low_kib);
    }
    total_kib = (uint64_t)(g_test_rand_double() * 1.1 * (double)highs_kib);
    g_assert_cmpuint(cagma_fill(vessels, n, total_kib), <=, cagma_max_kib(total_kib, lows_kib));

    for (size_t i = 0; i < n; i++) {
      sum_kib += vessels[i].level_kib;
      somebody_could = somebody_could || (vessels[i].weight && !is_full(&vessels[i]));
      g_assert_cmpuint(vessels[i].level_kib, >=, vessels[i].low_kib);
      g_assert_cmpuint(vessels[i].level_kib, <=, cagma_max_kib(vessels[i].high_kib, vessels[i].low_kib));
      if (!vessels[i].weight && highs_kib > total_kib)
        g_assert_cmpuint(vessels[i].level_kib, ==, vessels[i].low_kib);
    }
    if (somebody_could && total_kib > lows_kib)
      g_assert_cmpuint(sum_kib + rest_at_most(vessels, n), >=, total_kib);
    for (size_t i = 0; i < n; i++) {
      for (size_t j = 0; j < n; j++)
        assert_fair(&vessels[i], &vessels[j]);
    }
  }
}

/* More to share out makes nobody's part smaller; but for the last KiB, which isn't. */
static void
test_more_is_less_for_nobody(void)
{
  for (int round = 0; round < 5000; round++) {
    CagmaVessel some[8], more[8];
    size_t n = invent(some, G_N_ELEMENTS(some));
    uint64_t highs_kib = 0, total_kib, rest_kib = rest_at_most(some, n);

    for (size_t i = 0; i < n; i++) {
      highs_kib += cagma_max_kib(some[i].high_kib, some[i].low_kib);
      more[i] = some[i];
    }
    total_kib = (uint64_t)(g_test_rand_double() * (double)highs_kib);
    cagma_fill(some, n, total_kib);
    cagma_fill(more, n, total_kib + rest_kib + draw(40));
    for (size_t i = 0; i < n; i++)
      g_assert_cmpuint(more[i].level_kib, >=, some[i].level_kib);
  }
}

/* A thousand of the largest, the heaviest and the lightest, with room for one in two. */
static void
test_greatest_figures_do_not_overflow(void)
{
  const size_t n = 1000;
  g_autofree CagmaVessel *vessels = g_new0(CagmaVessel, n);
  const uint64_t total_kib = n * (CAGMA_MAX_KIB / 2);
  uint64_t sum_kib;

  for (int mixed = 0; mixed < 2; mixed++) {
    for (size_t i = 0; i < n; i++)
      vessels[i] =
          (CagmaVessel){ .high_kib = CAGMA_MAX_KIB, .weight = mixed && i % 4 == 0 ? 1 : (uint64_t)1 << 50 };
    sum_kib = cagma_fill(vessels, n, total_kib);
    g_assert_cmpuint(sum_kib, <=, total_kib);
    g_assert_cmpuint(sum_kib + rest_at_most(vessels, n), >=, total_kib);
    g_assert_cmpuint(vessels[1].level_kib, <=, mixed ? CAGMA_MAX_KIB / 3 * 2 : CAGMA_MAX_KIB / 2);
    g_assert_cmpuint(vessels[n - 1].level_kib, ==, vessels[1].level_kib);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strdup_printf("/fill/%s", cases[i].what);

    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/fill/fair-and-full", test_fills_as_far_as_it_goes_and_fairly);
  g_test_add_func("/fill/monotone", test_more_is_less_for_nobody);
  g_test_add_func("/fill/greatest-figures", test_greatest_figures_do_not_overflow);
  return g_test_run();
}
