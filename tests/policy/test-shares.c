/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who gets what by shares. Numbers in MiB, computed by hand. */
#include "policy/shares.h"

#include "policy/plan.h"

#define DOMAINS_MAX 4
#define NOW (1000 * CAGMA_SECOND_US)

enum {
  GROW = 1 << 0,
  SHRINK = 1 << 1,
  READY = 1 << 2,
  SPREAD = 1 << 3,
  BUSY = GROW | SHRINK, /* its balloon is on its way, or hasn't been seen since */
  FREE = GROW | SHRINK | READY,
  RESTED = FREE | SPREAD,
};

typedef struct {
  uint64_t standing, guarantee, demand, wish, limit;
  uint32_t shares;
  unsigned may;
  uint64_t entitled;
} Domain;

typedef enum { LEAVE, RECLAIM, UNDER_WAY } Circumstances;

typedef struct {
  const char *what;
  int64_t in_hand; /* with the pool */
  int64_t expected;
  uint64_t untouched;
  Circumstances when;
  CagmaFit fit;
  uint64_t shortfall;
  Domain domains[DOMAINS_MAX];
} Case;

static const Case cases[] = {
  /* Demands, by shares above the guarantees. */
  { "demands: equally: 2000 less 500 of guarantees, 750 each",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_SHARED,
    0,
    { { 1500, 200, 2000, 2000, 8000, 1000, FREE, 950 }, { 500, 300, 2000, 2000, 8000, 1000, FREE, 1050 } } },
  { "demands: 1 to 3",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_SHARED,
    0,
    { { 1000, 200, 2000, 2000, 8000, 500, FREE, 600 }, { 1000, 200, 2000, 2000, 8000, 1500, FREE, 1400 } } },
  { "demands: who needs less than his share leaves the rest to the others",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_SHARED,
    0,
    { { 1000, 100, 300, 300, 8000, 1000, FREE, 300 },
      { 1000, 100, 2000, 2000, 8000, 1000, FREE, 1350 },
      { 1000, 100, 2000, 2000, 8000, 1000, FREE, 1350 } } },
  { "demands: no shares, no more than the guarantee",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_SHARED,
    0,
    { { 1000, 256, 1000, 1000, 8000, 0, FREE, 256 }, { 1000, 256, 3000, 3000, 8000, 1000, FREE, 1744 } } },
  { "demands: who can't give keeps what he has, and has no share on top",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_SHARED,
    0,
    { { 1500, 100, 2000, 2000, 8000, 1000, GROW, 1500 },
      { 500, 100, 2000, 2000, 8000, 1000, FREE, 250 },
      { 0, 100, 2000, 2000, 8000, 1000, FREE, 250 } } },
  { "demands: not to be ready changes nothing",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_SHARED,
    0,
    { { 1500, 200, 2000, 2000, 8000, 1000, BUSY, 950 }, { 500, 300, 2000, 2000, 8000, 1000, FREE, 1050 } } },
  { "demands: who can't take has no claim on more than he has",
    200,
    200,
    0,
    LEAVE,
    CAGMA_FIT_SHARED,
    0,
    { { 500, 100, 2000, 2000, 8000, 1000, SHRINK | READY, 500 },
      { 500, 100, 2000, 2000, 8000, 1000, FREE, 700 } } },
  { "demands: out of a debt",
    -1000,
    -1000,
    0,
    LEAVE,
    CAGMA_FIT_SHARED,
    0,
    { { 1000, 256, 1000, 1000, 8000, 1000, FREE, 500 }, { 1000, 256, 1000, 1000, 8000, 1000, FREE, 500 } } },
  { "demands: what others wish for doesn't count",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_SHARED,
    0,
    { { 1000, 200, 1500, 1500, 8000, 1000, FREE, 1000 },
      { 1000, 200, 1500, 4000, 8000, 1000, FREE, 1000 } } },

  /* Not even guarantees. */
  { "short: guarantees of 1200, and 1000 to meet them",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_SHORT,
    200,
    { { 900, 600, 2000, 2000, 8000, 1000, FREE, 600 }, { 100, 600, 2000, 2000, 8000, 1000, FREE, 600 } } },
  { "short: with nothing at all",
    -1500,
    -1500,
    0,
    LEAVE,
    CAGMA_FIT_SHORT,
    600,
    { { 900, 300, 2000, 2000, 8000, 1000, FREE, 300 }, { 100, 300, 2000, 2000, 8000, 1000, FREE, 300 } } },
  { "short: who can't give counts with what he has",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_SHORT,
    300,
    { { 900, 600, 2000, 2000, 8000, 1000, GROW, 900 }, { 300, 600, 2000, 2000, 8000, 1000, FREE, 600 } } },

  /* Wishes. */
  { "wishes: met where all of them fit",
    500,
    500,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 1000, 1400, 8000, 1000, FREE, 1400 }, { 1000, 256, 600, 700, 8000, 1000, FREE, 1000 } } },
  { "wishes: met with memory on its way, too",
    0,
    400,
    0,
    UNDER_WAY,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 1000, 1400, 8000, 1000, FREE, 1400 }, { 1000, 256, 600, 700, 8000, 1000, FREE, 1000 } } },
  { "wishes: demands come first",
    300,
    300,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 1200, 1200, 8000, 1000, FREE, 1200 },
      { 1000, 256, 1000, 2000, 8000, 1000, FREE, 1100 } } },
  { "wishes: equal parts of what is in hand",
    600,
    600,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 200, 1000, 3000, 8000, 1000, FREE, 1300 },
      { 1000, 200, 1000, 3000, 8000, 1000, FREE, 1300 } } },
  { "wishes: by shares above the guarantee, 1 to 2",
    700,
    700,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 700, 200, 700, 3000, 8000, 1000, FREE, 900 }, { 1100, 200, 1100, 3000, 8000, 2000, FREE, 1600 } } },
  { "wishes: who has more than his part as it is gets nothing, nor gives",
    300,
    300,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 1500, 200, 1500, 3000, 8000, 1000, FREE, 1500 }, { 500, 200, 500, 3000, 8000, 1000, FREE, 800 } } },
  /* Of 3000, 500 are slack: some 250 for each. */
  { "wishes: taken from who has more than his level",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1000, 1500, 8000, 1000, FREE, 1500 },
      { 2000, 256, 1000, 1000, 8000, 1000, FREE, 1500 } } },
  { "wishes: taken down to what others wish for themselves",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 200, 1000, 2000, 8000, 1000, FREE, 1200 }, { 1400, 200, 500, 1200, 8000, 1000, FREE, 1200 } } },
  { "wishes: who can't take has none",
    500,
    500,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 900, 1400, 8000, 1000, SHRINK | READY, 1000 } } },

  /* What is missing is taken. Of 3100, 300 are slack, to 1651, 1851 and 1801 parts (6600 / 4 + 1). */
  { "take: those above their level give, in proportion",
    100,
    100,
    0,
    LEAVE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1400, 1400, 8000, 1000, FREE, 1400 },
      { 1000, 256, 600, 600, 8000, 1000, FREE, 775 },
      { 1000, 256, 800, 800, 8000, 1000, FREE, 925 } } },
  { "take: all there is to spare",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1400, 1400, 8000, 1000, FREE, 1400 }, { 1000, 256, 600, 600, 8000, 1000, FREE, 600 } } },
  /* 500 of slack, to 1676, 1851 and 1851 parts. */
  { "take: the one that isn't ready gives later, the other doesn't wait for it",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1300, 1300, 8000, 1000, FREE, 1300 },
      { 1000, 256, 600, 600, 8000, 1000, BUSY, 1000 },
      { 1000, 256, 600, 600, 8000, 1000, FREE, 772 } } },
  { "take: who has slack gives before who has none",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1100, 1100, 8000, 1000, FREE, 1100 },
      { 2000, 256, 996, 996, 8000, 1000, FREE, 1900 },
      { 1000, 256, 996, 996, 8000, 1000, FREE, 1000 } } },
  { "take: a debt",
    -100,
    -100,
    0,
    LEAVE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1000, 1000, 8000, 1000, FREE, 1000 }, { 1000, 256, 900, 900, 8000, 1000, FREE, 900 } } },

  /* What domains might take that have just begun. */
  { "untouched: nobody gives for it",
    -300,
    -300,
    300,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 1000, 1000, 8000, 1000, RESTED, 1000 },
      { 1000, 256, 900, 900, 8000, 1000, RESTED, 1000 } } },
  { "untouched: but for the rest of a debt",
    -400,
    -400,
    300,
    LEAVE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1000, 1000, 8000, 1000, RESTED, 1000 },
      { 1000, 256, 900, 900, 8000, 1000, RESTED, 900 } } },
  { "untouched: nor is it there for needs",
    0,
    0,
    1000,
    LEAVE,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1100, 1100, 8000, 1000, RESTED, 1100 },
      { 1000, 256, 600, 600, 8000, 1000, RESTED, 900 } } },
  { "untouched: isn't spread",
    0,
    0,
    1000,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 496, 496, 8000, 1000, RESTED, 500 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 500 } } },

  /* Slack: of 2392, 900 are not needed. 200 parts ((1792 - 996) / 4 + 1) and 100. */
  { "spread: in proportion to what is left up to their limits",
    892,
    892,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 996, 996, 1792, 1000, RESTED, 1596 }, { 500, 256, 496, 496, 892, 1000, RESTED, 796 } } },
  /* Of 1592, 600 are not needed. */
  { "spread: whatever their shares",
    592,
    592,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 496, 496, 8000, 2000, RESTED, 796 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 796 } } },
  { "spread: on top of wishes",
    692,
    692,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 496, 596, 8100, 1000, RESTED, 896 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 796 } } },
  { "spread: all have their limits",
    2000,
    2000,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 496, 496, 700, 2000, RESTED, 700 }, { 500, 256, 496, 496, 600, 1000, RESTED, 600 } } },
  { "spread: not to who has no shares",
    592,
    592,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 496, 496, 8000, 0, FREE, 500 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 1092 } } },
  { "spread: not to who hasn't rested, nor his part to others",
    592,
    592,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 496, 496, 8000, 1000, FREE, 500 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 796 } } },
  { "spread: not the pool",
    792,
    592,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 496, 496, 8000, 1000, RESTED, 796 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 796 } } },
  { "spread: not what isn't trusted yet",
    296,
    592,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 496, 496, 8000, 1000, RESTED, 648 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 648 } } },
  { "spread: not while memory is on its way",
    592,
    592,
    0,
    UNDER_WAY,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 496, 496, 8000, 2000, RESTED, 500 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 500 } } },
  { "spread: 6 % are worth it",
    120,
    120,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 2000, 256, 2000, 2000, 8000, 1000, RESTED, 2120 } } },
  { "spread: less isn't",
    119,
    119,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 2000, 256, 2000, 2000, 8000, 1000, RESTED, 2000 } } },
  { "spread: nor 63 of a small one",
    63,
    63,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 400, 256, 400, 400, 8000, 1000, RESTED, 400 } } },
  { "spread: 64 are",
    64,
    64,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 400, 256, 400, 400, 8000, 1000, RESTED, 464 } } },
  { "spread: the needy one first",
    352,
    352,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 500, 256, 596, 596, 8000, 1000, FREE, 596 }, { 300, 256, 296, 296, 8000, 1000, RESTED, 429 } } },

  /* Of 2500, 1508 are not needed: levels of 1250. */
  { "level: who has much gives to who has little",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_LEVEL,
    0,
    { { 2000, 256, 496, 496, 8000, 1000, RESTED, 1250 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 500 } } },
  { "level: no more than what isn't in hand",
    200,
    200,
    0,
    LEAVE,
    CAGMA_FIT_LEVEL,
    0,
    { { 2000, 256, 496, 496, 8000, 1000, RESTED, 1350 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 700 } } },
  { "level: not who hasn't rested",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 2000, 256, 496, 496, 8000, 1000, FREE, 2000 }, { 500, 256, 496, 496, 8000, 1000, RESTED, 500 } } },
  { "level: nor for who hasn't",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 2000, 256, 496, 496, 8000, 1000, RESTED, 2000 }, { 500, 256, 496, 496, 8000, 1000, FREE, 500 } } },
  { "level: not for little",
    0,
    0,
    0,
    LEAVE,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 496, 496, 8000, 1000, RESTED, 1000 }, { 900, 256, 496, 496, 8000, 1000, RESTED, 900 } } },

  /* What nobody needs is the host's. */
  { "reclaim: down to what would be of use",
    500,
    500,
    0,
    RECLAIM,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 1400, 1400, 8000, 1000, RESTED, 1400 },
      { 1000, 256, 600, 700, 8000, 1000, RESTED, 700 } } },
  { "reclaim: not from who isn't ready",
    500,
    500,
    0,
    RECLAIM,
    CAGMA_FIT_EASY,
    0,
    { { 1000, 256, 600, 600, 8000, 1000, BUSY, 1000 } } },
  { "reclaim: what others need is taken first",
    100,
    100,
    0,
    RECLAIM,
    CAGMA_FIT_TAKE,
    0,
    { { 1000, 256, 1400, 1400, 8000, 1000, RESTED, 1400 },
      { 1000, 256, 600, 600, 8000, 1000, RESTED, 700 } } },
};

static CagmaFit
allocate(CagmaHost *host, CagmaAllocation *allocation)
{
  CagmaVessel *vessels = g_new0(CagmaVessel, allocation->n + 1);
  CagmaFit fit;

  allocation->vessels = vessels;
  fit = cagma_allocator_shares.allocate(host, allocation, NOW);
  g_free(vessels);
  return fit;
}

static CagmaClaim
claim_of(const Domain *domain)
{
  return (CagmaClaim){
    .standing_kib = CAGMA_MIB(domain->standing),
    .guarantee_kib = CAGMA_MIB(domain->guarantee),
    .demand_kib = CAGMA_MIB(domain->demand),
    .wish_kib = CAGMA_MIB(domain->wish),
    .limit_kib = CAGMA_MIB(domain->limit),
    .shares = domain->shares,
    .may_grow = (domain->may & GROW) != 0,
    .may_shrink = (domain->may & SHRINK) != 0,
    .ready = (domain->may & READY) != 0,
    .may_spread = (domain->may & SPREAD) != 0,
  };
}

static void
test_case(gconstpointer data)
{
  const Case *c = data;
  CagmaHost host = { .surplus = c->when == RECLAIM ? CAGMA_SURPLUS_RECLAIM : CAGMA_SURPLUS_LEAVE };
  CagmaClaim claims[DOMAINS_MAX];
  CagmaAllocation allocation = {
    .claims = claims,
    .in_hand_kib = c->in_hand * 1024,
    .pool_kib = c->in_hand > c->expected ? CAGMA_MIB((uint64_t)(c->in_hand - c->expected)) : 0,
    .expected_kib = c->expected * 1024,
    .untouched_kib = CAGMA_MIB(c->untouched),
    .calm = c->when != UNDER_WAY,
  };
  CagmaFit fit;

  for (; allocation.n < DOMAINS_MAX && c->domains[allocation.n].demand; allocation.n++)
    claims[allocation.n] = claim_of(&c->domains[allocation.n]);
  fit = allocate(&host, &allocation);
  g_assert_cmpint(fit, ==, c->fit);
  g_assert_cmpuint(allocation.shortfall_kib, ==, CAGMA_MIB(c->shortfall));
  /* To within a share's rounding. */
  for (size_t i = 0; i < allocation.n; i++)
    g_assert_cmpuint(cagma_mib(claims[i].entitled_kib), ==, c->domains[i].entitled);
}

/* Of 1400 or 1200, what each can't do without comes first, then the rest of its demand. */
static void
test_headroom_comes_after_what_others_lack(void)
{
  static const struct {
    const char *what;
    int64_t there;
    uint64_t bare[2], entitled[2];
  } splits[] = {
    { "one wants much headroom: the other has what it lacks first", 1400, { 400, 900 }, { 500, 900 } },
    { "what is left makes up for who has less", 1500, { 400, 900 }, { 600, 900 } },
    { "until they are level", 1900, { 400, 900 }, { 950, 950 } },
    { "not even that fits", 1200, { 400, 900 }, { 400, 800 } },
    { "nor for either", 700, { 400, 900 }, { 350, 350 } },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(splits); i++) {
    const Domain domain = { 500, 200, 1000, 1000, 8000, 1000, FREE, 0 };
    CagmaHost host = { .surplus = CAGMA_SURPLUS_LEAVE };
    CagmaClaim claims[] = { claim_of(&domain), claim_of(&domain) };
    CagmaAllocation allocation = { .claims = claims, .n = 2, .calm = TRUE };
    CagmaFit fit;

    g_test_message("%s", splits[i].what);
    allocation.in_hand_kib = allocation.expected_kib = (splits[i].there - 1000) * 1024;
    for (size_t j = 0; j < 2; j++)
      claims[j].bare_kib = CAGMA_MIB(splits[i].bare[j]);
    fit = allocate(&host, &allocation);
    g_assert_cmpint(fit, ==, CAGMA_FIT_SHARED);
    for (size_t j = 0; j < 2; j++)
      g_assert_cmpuint(cagma_mib(claims[j].entitled_kib), ==, splits[i].entitled[j]);
  }
}

static void
test_spreads_from_time_to_time(void)
{
  const Domain domain = { 1000, 256, 500, 500, 4000, 1000, RESTED, 0 };
  CagmaHost host = { .surplus = CAGMA_SURPLUS_LEAVE };
  CagmaClaim claim = claim_of(&domain);
  CagmaAllocation allocation = { .claims = &claim, .n = 1, .calm = TRUE };

  allocation.in_hand_kib = allocation.expected_kib = 1000 * 1024;
  allocate(&host, &allocation);
  g_assert_cmpuint(claim.entitled_kib, ==, CAGMA_MIB(2000));
  g_assert_cmpint(host.spread_us, ==, NOW);
  for (int seconds = 0; seconds < 12; seconds++) {
    host.spread_us = NOW - seconds * CAGMA_SECOND_US;
    allocate(&host, &allocation);
    g_assert_cmpuint(claim.entitled_kib, ==, CAGMA_MIB(seconds < 10 ? 1000 : 2000));
  }
  /* Nor is what somebody leaves behind slack at once: he may be back. Needs don't wait for that. */
  for (int seconds = 0; seconds < 12; seconds++) {
    host.spread_us = NOW - 59 * CAGMA_SECOND_US;
    host.left_us = NOW - seconds * CAGMA_SECOND_US;
    allocate(&host, &allocation);
    g_assert_cmpuint(claim.entitled_kib, ==, CAGMA_MIB(seconds < 10 ? 1000 : 2000));
  }
  /* Unless somebody leaves all the time. */
  host.spread_us = NOW - 60 * CAGMA_SECOND_US;
  host.left_us = NOW;
  allocate(&host, &allocation);
  g_assert_cmpuint(claim.entitled_kib, ==, CAGMA_MIB(2000));
  host.left_us = NOW;
  claim.demand_kib = claim.wish_kib = CAGMA_MIB(1800);
  allocate(&host, &allocation);
  g_assert_cmpuint(claim.entitled_kib, ==, CAGMA_MIB(1800));
}

/* 792 are there, of which 496 are trusted, and 200 of these kept: 296 are handed out. */
static void
test_neither_the_pool_nor_what_is_not_trusted_is_spread(void)
{
  const Domain domains[] = { { 500, 256, 496, 496, 8000, 1000, RESTED, 648 },
                             { 500, 256, 496, 496, 8000, 1000, RESTED, 648 } };
  CagmaHost host = { .surplus = CAGMA_SURPLUS_LEAVE };
  CagmaClaim claims[] = { claim_of(&domains[0]), claim_of(&domains[1]) };
  CagmaAllocation allocation = { .claims = claims, .n = 2, .calm = TRUE };

  allocation.in_hand_kib = 496 * 1024;
  allocation.pool_kib = CAGMA_MIB(200);
  allocation.expected_kib = 592 * 1024;
  allocate(&host, &allocation);
  for (size_t i = 0; i < 2; i++)
    g_assert_cmpuint(cagma_mib(claims[i].entitled_kib), ==, domains[i].entitled);
}

static void
test_nobody_is_fine(void)
{
  CagmaHost host = { .surplus = CAGMA_SURPLUS_LEAVE };
  CagmaAllocation allocation = { .calm = TRUE, .expected_kib = 5, .in_hand_kib = 5 };
  CagmaFit fit;

  fit = allocate(&host, &allocation);
  g_assert_cmpint(fit, ==, CAGMA_FIT_EASY);
  allocation.expected_kib = -5;
  fit = allocate(&host, &allocation);
  g_assert_cmpint(fit, ==, CAGMA_FIT_TAKE);
  g_assert_cmpuint(allocation.shortfall_kib, ==, 0);
}

static void
test_greatest_figures_do_not_overflow(void)
{
  const size_t n = 1000;
  g_autofree CagmaClaim *claims = g_new0(CagmaClaim, n);
  CagmaHost host = { .surplus = CAGMA_SURPLUS_LEAVE };
  CagmaAllocation allocation = { .claims = claims, .n = n, .calm = TRUE };
  CagmaFit fit;
  /* Demands, wishes and slack are what doesn't fit; all get the same. */
  static const uint64_t demands_kib[] = { CAGMA_MAX_KIB, CAGMA_MAX_KIB / 4, CAGMA_MAX_KIB / 4 };
  static const uint64_t wishes_kib[] = { CAGMA_MAX_KIB, CAGMA_MAX_KIB, CAGMA_MAX_KIB / 4 };

  allocation.in_hand_kib = allocation.expected_kib = (int64_t)(n * (CAGMA_MAX_KIB / 4));
  for (size_t tier = 0; tier < G_N_ELEMENTS(demands_kib); tier++) {
    for (size_t i = 0; i < n; i++)
      claims[i] = (CagmaClaim){ .standing_kib = CAGMA_MAX_KIB / 4,
                                .demand_kib = demands_kib[tier],
                                .wish_kib = wishes_kib[tier],
                                .limit_kib = CAGMA_MAX_KIB,
                                .shares = CAGMA_SHARES_MAX,
                                .may_grow = TRUE,
                                .may_shrink = TRUE,
                                .may_spread = TRUE,
                                .ready = TRUE };
    fit = allocate(&host, &allocation);
    g_assert_cmpint(fit, ==, tier == 0 ? CAGMA_FIT_SHARED : CAGMA_FIT_EASY);
    for (size_t i = 0; i < n; i++) {
      g_assert_cmpuint(claims[i].entitled_kib, <=, CAGMA_MAX_KIB / 2);
      g_assert_cmpuint(claims[i].entitled_kib, >=, CAGMA_MAX_KIB / 2 - 1);
    }
    host.spread_us = 0;
  }
}

static uint64_t
draw_kib(int most_kib)
{
  return (uint64_t)g_test_rand_int_range(0, most_kib);
}

static CagmaClaim
invent(void)
{
  CagmaClaim claim = { .standing_kib = draw_kib(1 << 22), .guarantee_kib = draw_kib(1 << 20) };

  claim.demand_kib = claim.guarantee_kib + draw_kib(1 << 21);
  claim.bare_kib = draw_kib(2) ? draw_kib((int)claim.demand_kib + 1) : claim.demand_kib;
  claim.wish_kib = claim.demand_kib + (draw_kib(2) ? draw_kib(1 << 21) : 0);
  claim.limit_kib = claim.wish_kib + draw_kib(1 << 22);
  claim.shares = draw_kib(6) ? (uint32_t)draw_kib(5000) : 0;
  /* Growing to a guarantee is always worth it. */
  claim.may_grow = claim.standing_kib < claim.guarantee_kib || draw_kib(4);
  claim.may_shrink = draw_kib(4) != 0;
  claim.ready = claim.may_shrink && draw_kib(3);
  claim.may_spread = claim.ready && claim.shares && draw_kib(3);
  return claim;
}

typedef struct {
  uint64_t floors_kib, demands_kib, standings_kib, grown_kib, given_kib, entitled_kib;
  gboolean weighted_could; /* somebody with shares has less than he asked for */
} Sums;

static Sums
add_up(const CagmaClaim *claims, size_t n)
{
  Sums sums = { 0 };

  for (size_t i = 0; i < n; i++) {
    const CagmaClaim *claim = &claims[i];

    sums.floors_kib += cagma_claim_floor(claim);
    sums.demands_kib += cagma_claim_ceiling(claim);
    sums.standings_kib += claim->standing_kib;
    sums.entitled_kib += claim->entitled_kib;
    sums.grown_kib += cagma_above(claim->entitled_kib, claim->standing_kib);
    sums.given_kib += cagma_above(claim->standing_kib, claim->entitled_kib);
    sums.weighted_could =
        sums.weighted_could || (claim->shares && claim->entitled_kib < cagma_claim_ceiling(claim));
  }
  return sums;
}

/* Whatever the claims: what holds for each of them, by the kind of fit. */
static void
assert_within_bounds(const CagmaClaim *claim, CagmaFit fit, gboolean reclaim)
{
  uint64_t wish_kib = cagma_max_kib(claim->wish_kib, claim->guarantee_kib);

  if (fit == CAGMA_FIT_SHARED) {
    g_assert_cmpuint(claim->entitled_kib, >=, cagma_claim_floor(claim));
    g_assert_cmpuint(claim->entitled_kib, <=, cagma_claim_ceiling(claim));
    return;
  }
  if (fit == CAGMA_FIT_SHORT) {
    g_assert_cmpuint(claim->entitled_kib, ==, cagma_claim_floor(claim));
    return;
  }
  /* Nobody grows who can't, or beyond his limit; and beyond his wish only by spreading. */
  if (claim->entitled_kib > claim->standing_kib) {
    g_assert_true(claim->may_grow || claim->may_spread);
    g_assert_cmpuint(claim->entitled_kib, <=, claim->limit_kib);
    g_assert_true(claim->may_spread || claim->entitled_kib <= wish_kib);
  }
  /* Nobody gives who can't now, or of what he needs; of what is of use to him only for needs. */
  if (claim->entitled_kib < claim->standing_kib) {
    g_assert_true(claim->ready);
    g_assert_cmpuint(claim->entitled_kib, >=, claim->demand_kib);
    g_assert_true(fit == CAGMA_FIT_TAKE || claim->entitled_kib >= wish_kib);
    g_assert_true(fit == CAGMA_FIT_TAKE || reclaim || (fit == CAGMA_FIT_LEVEL && claim->may_spread));
  }
}

static void
test_whatever_the_claims(void)
{
  uint64_t seen[CAGMA_FIT_QUEUE] = { 0 };

  for (int round = 0; round < 40000; round++) {
    CagmaClaim claims[8];
    CagmaHost host = { .surplus = draw_kib(3) ? CAGMA_SURPLUS_LEAVE : CAGMA_SURPLUS_RECLAIM };
    CagmaAllocation allocation = { .claims = claims, .n = 1 + draw_kib(8), .calm = draw_kib(3) != 0 };
    int64_t expected_kib, there_kib, missing_kib;
    CagmaFit fit;
    Sums sums;

    for (size_t i = 0; i < allocation.n; i++)
      claims[i] = invent();
    allocation.in_hand_kib = g_test_rand_int_range(-(1 << 22), 1 << 23);
    allocation.pool_kib = draw_kib(1 << 18);
    allocation.expected_kib = allocation.in_hand_kib - (int64_t)allocation.pool_kib;
    allocation.untouched_kib = draw_kib(3) ? 0 : draw_kib(1 << 20);
    /* What others haven't touched makes up for what is missing, and no more. */
    expected_kib = MIN(allocation.expected_kib + (int64_t)allocation.untouched_kib, 0);
    expected_kib = MAX(expected_kib, allocation.expected_kib);

    fit = allocate(&host, &allocation);
    seen[fit]++;
    sums = add_up(claims, allocation.n);
    for (size_t i = 0; i < allocation.n; i++)
      assert_within_bounds(&claims[i], fit, host.surplus == CAGMA_SURPLUS_RECLAIM);
    there_kib = expected_kib + (int64_t)sums.standings_kib;
    missing_kib = (int64_t)sums.floors_kib - MAX(there_kib, 0);
    g_assert_true((fit == CAGMA_FIT_SHORT) == (missing_kib > 0));
    g_assert_cmpint((int64_t)allocation.shortfall_kib, ==, MAX(missing_kib, 0));
    g_assert_true((fit == CAGMA_FIT_SHARED || fit == CAGMA_FIT_SHORT) ==
                  (MAX(there_kib, 0) < (int64_t)MAX(sums.demands_kib, sums.floors_kib)));
    /* All of it is handed out, and no more. */
    if (fit == CAGMA_FIT_SHARED) {
      g_assert_cmpint((int64_t)sums.entitled_kib, <=, there_kib);
      g_assert_true(!sums.weighted_could || (int64_t)(sums.entitled_kib + allocation.n) >= there_kib);
    }
    /* What is given is what is missing, and no more. */
    if (fit == CAGMA_FIT_TAKE)
      g_assert_cmpint((int64_t)sums.given_kib, <=, (int64_t)sums.grown_kib - expected_kib);
    if (fit == CAGMA_FIT_EASY)
      g_assert_cmpint((int64_t)sums.grown_kib, <=, MAX(expected_kib, 0));
  }
  for (size_t i = 0; i < G_N_ELEMENTS(seen); i++)
    g_assert_cmpuint(seen[i], >, 50);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strdup_printf("/shares/%s", cases[i].what);

    g_test_add_data_func(path, &cases[i], test_case);
  }
  g_test_add_func("/shares/headroom-last", test_headroom_comes_after_what_others_lack);
  g_test_add_func("/shares/from-time-to-time", test_spreads_from_time_to_time);
  g_test_add_func("/shares/pool-and-trust", test_neither_the_pool_nor_what_is_not_trusted_is_spread);
  g_test_add_func("/shares/nobody", test_nobody_is_fine);
  g_test_add_func("/shares/greatest-figures", test_greatest_figures_do_not_overflow);
  g_test_add_func("/shares/whatever", test_whatever_the_claims);
  return g_test_run();
}
