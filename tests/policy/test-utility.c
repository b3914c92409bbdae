/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in MiB, computed by hand. */
#include "policy/utility.h"

#include <string.h>

#include "policy/missratio.h"
#include "policy/units.h"

#define NOW (1000 * CAGMA_SECOND_US)
#define BUCKET_KIB CAGMA_MIB(100)
#define MAX_KIB (CAGMA_REUSE_BUCKETS * BUCKET_KIB)
#define DOMAINS 8

typedef struct {
  CagmaHost host;
  CagmaDomain domains[DOMAINS];
  CagmaDomain *pointers[DOMAINS];
  CagmaClaim claims[DOMAINS];
  size_t claimants[DOMAINS];
  CagmaAllocation allocation;
} Fixture;

static void
set_up(Fixture *f)
{
  memset(f, 0, sizeof *f);
  f->host.domains = f->pointers;
  f->allocation.claims = f->claims;
  f->allocation.claimants = f->claimants;
}

/* misses: at 0, 100, 200 …, in MiB; NULL: a straight line. */
static CagmaClaim *
add(Fixture *f, uint64_t standing, uint64_t guarantee, uint64_t demand, uint32_t shares,
    const uint64_t *misses, size_t n_misses)
{
  size_t i = f->allocation.n++;
  CagmaDomain *domain = &f->domains[i];

  f->host.n_domains = f->allocation.n;
  f->pointers[i] = domain;
  f->claimants[i] = i;
  cagma_domain_init(domain, NOW);
  domain->max_kib = domain->config.limit_kib = MAX_KIB;
  if (misses) {
    domain->config.estimator = CAGMA_ESTIMATOR_MISSRATIO;
    domain->missratio.has_curve = TRUE;
    domain->missratio.bucket_kib = BUCKET_KIB;
    for (size_t k = 0; k < n_misses; k++)
      domain->missratio.miss_kib[k] = CAGMA_MIB(misses[k]);
  }
  f->claims[i] = (CagmaClaim){
    .standing_kib = CAGMA_MIB(standing),
    .guarantee_kib = CAGMA_MIB(guarantee),
    .demand_kib = CAGMA_MIB(demand),
    .shares = shares,
    .may_grow = TRUE,
    .may_shrink = TRUE,
    .ready = TRUE,
  };
  return &f->claims[i];
}

static void
expect(Fixture *f, int64_t in_hand_mib, CagmaFit expected)
{
  CagmaFit fit;

  f->allocation.in_hand_kib = f->allocation.expected_kib = in_hand_mib * 1024;
  fit = cagma_allocator_utility.allocate(&f->host, &f->allocation, NOW);
  g_assert_cmpint(fit, ==, expected);
}

static const uint64_t hot[] = { 2000, 1000, 600, 200, 100 }; /* 4, 4, 1, 1 a KiB from 100 on */
static const uint64_t cliff[] = { 900, 900, 900, 900, 900 }; /* nothing until 500, then all */
static const uint64_t bend[] = {
  1000, 1000, 950, 500, 450, 50
}; /* from 100: 2.5 up to 300, 2.25 up to 500 */

#define HOT hot, G_N_ELEMENTS(hot)
#define CLIFF cliff, G_N_ELEMENTS(cliff)
#define BEND bend, G_N_ELEMENTS(bend)
#define LINE NULL, 0

/* All stand at their guarantee of 100, and demand 500. */
static void
test_memory_goes_where_it_saves_most(void)
{
  static const struct {
    int64_t in_hand;
    uint32_t shares[4];       /* of hot, line, cliff, bend */
    uint64_t entitled_kib[4]; /* beyond the guarantee */
  } cases[] = {
    { 0, { 1, 1, 1, 1 }, { 0, 0, 0, 0 } },
    /* hot falls by 4 up to 300 */
    { 150, { 1, 1, 1, 1 }, { CAGMA_MIB(150), 0, 0, 0 } },
    { 200, { 1, 1, 1, 1 }, { CAGMA_MIB(200), 0, 0, 0 } },
    /* bend by 2.5 up to 300, 2.25 up to 500, looking over what it first loses by */
    { 300, { 1, 1, 1, 1 }, { CAGMA_MIB(200), 0, 0, CAGMA_MIB(100) } },
    /* cliff, seen from 100, by 900 in 400: as much as bend's second part; 400 and 200 share 300 */
    { 700, { 1, 1, 1, 1 }, { CAGMA_MIB(200), 0, CAGMA_MIB(200), CAGMA_MIB(300) } },
    { 1000, { 1, 1, 1, 1 }, { CAGMA_MIB(200), 0, CAGMA_MIB(400), CAGMA_MIB(400) } },
    /* then hot's 200 and the line's 400, by 1 a KiB both, share 150 */
    { 1150, { 1, 1, 1, 1 }, { CAGMA_MIB(250), CAGMA_MIB(100), CAGMA_MIB(400), CAGMA_MIB(400) } },
    /* shares weigh: the line's 1 counts 5 times */
    { 300, { 1, 5, 1, 1 }, { 0, CAGMA_MIB(300), 0, 0 } },
    { 500, { 1, 5, 1, 1 }, { CAGMA_MIB(100), CAGMA_MIB(400), 0, 0 } },
    /* and those of the steepest not at all */
    { 300, { 0, 1, 1, 1 }, { 0, 0, CAGMA_MIB(66) + 682, CAGMA_MIB(200) + CAGMA_MIB(33) + 341 } },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Fixture f;

    set_up(&f);
    add(&f, 100, 100, 500, cases[i].shares[0] * 1000, HOT);
    add(&f, 100, 100, 500, cases[i].shares[1] * 1000, LINE);
    add(&f, 100, 100, 500, cases[i].shares[2] * 1000, CLIFF);
    add(&f, 100, 100, 500, cases[i].shares[3] * 1000, BEND);
    expect(&f, cases[i].in_hand, CAGMA_FIT_SHARED);
    for (size_t k = 0; k < 4; k++) {
      g_test_message("case %zu, domain %zu", i, k);
      /* Less than a KiB each is lost by rounding. */
      g_assert_cmpuint(f.claims[k].entitled_kib, ==, CAGMA_MIB(100) + cases[i].entitled_kib[k]);
    }
  }
}

static void
test_floors_and_ceilings(void)
{
  Fixture f;

  /* One that can't give keeps what it has, one that can't take gets no more. */
  set_up(&f);
  add(&f, 400, 100, 500, 1000, LINE)->may_shrink = FALSE;
  add(&f, 200, 100, 500, 1000, HOT)->may_grow = FALSE;
  add(&f, 300, 100, 500, 1000, LINE);
  expect(&f, 0, CAGMA_FIT_SHARED);
  /* 900: 400 + 200 (all by 4 that it may) + 300: 100 and 400 that tie share what's left */
  g_assert_cmpuint(f.claims[1].entitled_kib, ==, CAGMA_MIB(200));
  g_assert_cmpuint(f.claims[0].entitled_kib, ==, CAGMA_MIB(400) + CAGMA_MIB(200) / 5);
  g_assert_cmpuint(f.claims[2].entitled_kib, ==, CAGMA_MIB(100) + CAGMA_MIB(200) * 4 / 5);
}

static void
test_short(void)
{
  Fixture f;

  set_up(&f);
  add(&f, 300, 400, 500, 1000, HOT);
  add(&f, 300, 400, 500, 1000, LINE);
  expect(&f, 50, CAGMA_FIT_SHORT);
  g_assert_cmpuint(f.allocation.shortfall_kib, ==, CAGMA_MIB(150));
  g_assert_cmpuint(f.claims[0].entitled_kib, ==, CAGMA_MIB(400));
  g_assert_cmpuint(f.claims[1].entitled_kib, ==, CAGMA_MIB(400));
}

/* What somebody else says it needs, its curve knows nothing of. */
static void
test_emergencies_and_regained_memory_are_lines(void)
{
  for (int way = 0; way < 4; way++) {
    Fixture f;

    set_up(&f);
    add(&f, 100, 100, 500, 1000, CLIFF);
    add(&f, 100, 100, 500, 1000, LINE);
    f.domains[0].emergency = way == 1;
    f.domains[0].regain_kib = way == 2 ? CAGMA_MIB(500) : 0;
    f.domains[0].missratio.has_curve = way != 3;
    expect(&f, 400, CAGMA_FIT_SHARED);
    g_assert_cmpuint(f.claims[0].entitled_kib, ==, way == 0 ? CAGMA_MIB(500) : CAGMA_MIB(300));
    g_assert_cmpuint(f.claims[1].entitled_kib, ==, way == 0 ? CAGMA_MIB(100) : CAGMA_MIB(300));
  }
}

static void
test_slack(void)
{
  static const struct {
    CagmaSurplus surplus;
    uint64_t pool;
    uint64_t entitled[4];
  } cases[] = {
    /* 90 of 390 are left; of them 300/1800, 600/1800 */
    { CAGMA_SURPLUS_LEAVE, 0, { 315, 630, 900, 0 } },
    { CAGMA_SURPLUS_LEAVE, 45, { 307, 615, 900, 0 } },
    { CAGMA_SURPLUS_LEAVE, 90, { 300, 600, 900, 0 } },
    { CAGMA_SURPLUS_RECLAIM, 0, { 300, 600, 900, 0 } },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Fixture f;

    set_up(&f);
    f.host.surplus = cases[i].surplus;
    add(&f, 200, 100, 300, 1000, LINE);
    add(&f, 400, 100, 600, 1000, HOT);
    add(&f, 900, 100, 900, 1000, HOT);
    f.allocation.pool_kib = CAGMA_MIB(cases[i].pool);
    expect(&f, 390, CAGMA_FIT_EASY);
    for (size_t k = 0; k < 3; k++)
      g_assert_cmpuint(f.claims[k].entitled_kib / 1024, ==, cases[i].entitled[k]);
  }
}

static void
test_slack_ends_at_the_limit(void)
{
  Fixture f;

  set_up(&f);
  add(&f, 200, 100, 300, 1000, LINE);
  add(&f, 200, 100, 300, 0, LINE);
  f.domains[0].config.limit_kib = CAGMA_MIB(350);
  expect(&f, 1000, CAGMA_FIT_EASY);
  g_assert_cmpuint(f.claims[0].entitled_kib, ==, CAGMA_MIB(350));
  g_assert_cmpuint(f.claims[1].entitled_kib, ==, CAGMA_MIB(300));
}

static void
test_donors(void)
{
  Fixture f;

  set_up(&f);
  add(&f, 200, 100, 300, 1000, LINE);
  add(&f, 600, 100, 500, 1000, HOT);
  add(&f, 900, 100, 500, 1000, CLIFF);
  expect(&f, 50, CAGMA_FIT_TAKE);
  g_assert_cmpuint(f.claims[0].entitled_kib, ==, CAGMA_MIB(300));
  g_assert_cmpuint(f.claims[1].entitled_kib, ==, CAGMA_MIB(590));
  g_assert_cmpuint(f.claims[2].entitled_kib, ==, CAGMA_MIB(860));
}

/* The rule as VMMB has it, on a grid of buckets: again and again the best chunk of all, the
 * last one in part. */
static void
brute_force(uint64_t misses[][CAGMA_REUSE_BUCKETS + 1], const CagmaClaim *claims, size_t n, double left,
            double *given)
{
  size_t at[DOMAINS];

  for (size_t i = 0; i < n; i++) {
    at[i] = claims[i].guarantee_kib / BUCKET_KIB;
    given[i] = (double)claims[i].guarantee_kib;
  }
  while (left > 0) {
    double best = -1, length;
    size_t best_i = 0, best_to = 0;

    for (size_t i = 0; i < n; i++) {
      for (size_t to = at[i] + 1; to <= claims[i].demand_kib / BUCKET_KIB; to++) {
        double saved = (double)(misses[i][at[i]] - misses[i][to]) * claims[i].shares / (double)(to - at[i]);

        if (saved > best) {
          best = saved;
          best_i = i;
          best_to = to;
        }
      }
    }
    if (best < 0)
      return;
    length = (double)((best_to - at[best_i]) * BUCKET_KIB);
    given[best_i] += MIN(length, left);
    left -= length;
    at[best_i] = best_to;
  }
}

/* How much a domain misses with size, on the hull of its curve from its guarantee to its
 * demand: the lowest line between any two points around it. */
static double
on_hull(const uint64_t *misses, const CagmaClaim *claim, double size)
{
  size_t first = claim->guarantee_kib / BUCKET_KIB, last = claim->demand_kib / BUCKET_KIB;
  double x = size / (double)BUCKET_KIB, lowest = G_MAXDOUBLE;

  for (size_t a = first; a <= last && (double)a <= x; a++) {
    for (size_t b = last; b + 1 > first && (double)b >= x; b--) {
      double part = b > a ? (x - (double)a) / (double)(b - a) : 0;

      lowest = MIN(lowest, (double)misses[a] + ((double)misses[b] - (double)misses[a]) * part);
      if (b == 0)
        break;
    }
  }
  return lowest;
}

static void
invent_curve(CagmaDomain *domain, uint64_t *misses)
{
  uint64_t miss_kib = (uint64_t)g_test_rand_int_range(0, 1 << 24);

  for (size_t k = 0; k < CAGMA_REUSE_BUCKETS; k++) {
    domain->missratio.miss_kib[k] = misses[k] = miss_kib;
    /* Flat stretches and cliffs. */
    if (g_test_rand_int_range(0, 3) == 0)
      miss_kib -= (uint64_t)(g_test_rand_double() * (double)miss_kib);
  }
  misses[CAGMA_REUSE_BUCKETS] = 0;
}

static void
test_as_good_as_chunk_by_chunk(void)
{
  for (int round = 0; round < 3000; round++) {
    uint64_t misses[DOMAINS][CAGMA_REUSE_BUCKETS + 1], floors_kib = 0, total_kib = 0, room_kib = 0;
    double given[DOMAINS], ours = 0, theirs = 0, wholes = 0, left;
    size_t n = (size_t)g_test_rand_int_range(1, DOMAINS + 1);
    Fixture f;

    set_up(&f);
    for (size_t i = 0; i < n; i++) {
      uint64_t guarantee = (uint64_t)g_test_rand_int_range(0, CAGMA_REUSE_BUCKETS);
      uint64_t demand = (uint64_t)g_test_rand_int_range((int)guarantee, CAGMA_REUSE_BUCKETS) + 1;

      add(&f, guarantee * 100, guarantee * 100, demand * 100, (uint32_t)g_test_rand_int_range(0, 3000),
          CLIFF);
      invent_curve(&f.domains[i], misses[i]);
      floors_kib += guarantee * BUCKET_KIB;
      room_kib += (demand - guarantee) * BUCKET_KIB;
    }
    left = g_test_rand_double() * (double)room_kib / 1024;
    /* Not all of it: else there's nothing to share out. */
    expect(&f, (int64_t)left, CAGMA_FIT_SHARED);
    left = (double)((int64_t)left * 1024);
    brute_force(misses, f.claims, n, left, given);
    for (size_t i = 0; i < n; i++) {
      const CagmaClaim *claim = &f.claims[i];

      g_assert_cmpuint(claim->entitled_kib, >=, claim->guarantee_kib);
      g_assert_cmpuint(claim->entitled_kib, <=, claim->demand_kib);
      total_kib += claim->entitled_kib;
      ours += on_hull(misses[i], claim, (double)claim->entitled_kib) * claim->shares;
      theirs += on_hull(misses[i], claim, given[i]) * claim->shares;
      wholes += (double)misses[i][0] * claim->shares;
    }
    g_assert_cmpuint(total_kib, <=, floors_kib + (uint64_t)left);
    g_assert_cmpuint(total_kib + n, >=, floors_kib + (uint64_t)left);
    /* A KiB of each is lost by rounding. */
    if (ABS(ours - theirs) > wholes / 1e4 + 1)
      g_error("round %d: %g missed, by chunks %g", round, ours, theirs);
  }
}

static void
test_greatest_figures_do_not_overflow(void)
{
  enum { MANY = 16384 };
  g_autofree CagmaDomain *domains = g_new0(CagmaDomain, 2);
  g_autofree CagmaClaim *claims = g_new0(CagmaClaim, MANY);
  g_autofree size_t *claimants = g_new0(size_t, MANY);
  CagmaDomain *pointers[] = { &domains[0], &domains[1] };
  CagmaHost host = { .domains = pointers, .n_domains = 2 };
  CagmaAllocation allocation = { .claims = claims, .claimants = claimants, .n = MANY };
  uint64_t total_kib = 0;
  CagmaFit fit;

  domains[0].config.estimator = CAGMA_ESTIMATOR_MISSRATIO;
  domains[0].missratio.has_curve = TRUE;
  domains[0].missratio.bucket_kib = 1;
  domains[0].missratio.miss_kib[0] = domains[0].missratio.miss_kib[1] = CAGMA_MAX_KIB;
  for (size_t i = 0; i < MANY; i++) {
    claimants[i] = i % 2;
    claims[i] = (CagmaClaim){ .standing_kib = CAGMA_MAX_KIB / 2,
                              .demand_kib = CAGMA_MAX_KIB,
                              .shares = CAGMA_SHARES_MAX,
                              .may_grow = TRUE,
                              .may_shrink = TRUE,
                              .ready = TRUE };
  }
  fit = cagma_allocator_utility.allocate(&host, &allocation, NOW);
  g_assert_cmpint(fit, ==, CAGMA_FIT_SHARED);
  for (size_t i = 0; i < MANY; i++)
    total_kib += claims[i].entitled_kib;
  g_assert_cmpuint(total_kib, <=, CAGMA_MAX_KIB / 2 * MANY);
  g_assert_cmpuint(total_kib, >=, CAGMA_MAX_KIB / 2 * MANY - MANY);
  g_assert_cmpuint(claims[0].entitled_kib, >=, 2);
}

static void
test_nobody(void)
{
  Fixture f;

  set_up(&f);
  expect(&f, 5, CAGMA_FIT_EASY);
  expect(&f, -5, CAGMA_FIT_SHORT);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/utility/where-it-saves-most", test_memory_goes_where_it_saves_most);
  g_test_add_func("/utility/floors-and-ceilings", test_floors_and_ceilings);
  g_test_add_func("/utility/short", test_short);
  g_test_add_func("/utility/lines", test_emergencies_and_regained_memory_are_lines);
  g_test_add_func("/utility/slack", test_slack);
  g_test_add_func("/utility/slack-ends-at-the-limit", test_slack_ends_at_the_limit);
  g_test_add_func("/utility/donors", test_donors);
  g_test_add_func("/utility/chunk-by-chunk", test_as_good_as_chunk_by_chunk);
  g_test_add_func("/utility/greatest-figures", test_greatest_figures_do_not_overflow);
  g_test_add_func("/utility/nobody", test_nobody);
  return g_test_run();
}
