/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "policy/explain.h"
#include "rig.h"

static void
assert_says(Rig *rig, size_t index, const char *reason)
{
  g_autofree char *said = cagma_explain_reason(&rig->plan.decisions[index]);

  g_assert_cmpstr(said, ==, reason);
}

static void
test_reasons_of_a_growth_and_of_a_gift(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 0);
  rig_add(&rig, 4096, 1024, 564);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  assert_says(&rig, 0, "needs 64 MiB more; waits for memory in hand");
  assert_says(&rig, 1, "gives to others: has 564 MiB available and needs 64 MiB");
  rig_obey(&rig);
  rig_pass(&rig, 1);
  rig_decide(&rig);
  assert_says(&rig, 0, "has 0 MiB available and needs 64 MiB");
  rig_clear(&rig);
}

static void
test_reason_of_a_hold_is_the_owner_s(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 0)->hold = "is being migrated";
  rig_decide(&rig);
  assert_says(&rig, 0, "is being migrated");
  rig_clear(&rig);
}

static void
test_reason_of_silence_tells_since_when(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 500);
  rig.silent[0] = TRUE;
  rig_pass(&rig, 42);
  rig_decide(&rig);
  assert_says(&rig, 0, "its guest last reported 42 s ago; not shrunk without recent figures");
  rig_clear(&rig);
}

/* There's a sentence for each, and none twice but by design. */
static void
test_every_reason_has_its_sentence(void)
{
  Rig rig;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 1024, 500);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  for (int why = 0; why <= CAGMA_WHY_ENOUGH; why++) {
    g_autofree char *reason = NULL;

    rig.plan.decisions[0].why = (CagmaWhy)why;
    reason = cagma_explain_reason(&rig.plan.decisions[0]);
    g_assert_cmpstr(reason, !=, "unknown");
    g_assert_cmpstr(reason, !=, "");
    g_assert_false(g_str_has_suffix(reason, "."));
    g_assert_null(strchr(reason, '\n'));
  }
  rig_clear(&rig);
}

static void
test_whole_explanation(void)
{
  Rig rig;
  g_autofree char *text = NULL;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 1024, 10);
  rig.samples[0].swap_out_kib = CAGMA_MIB(1000);
  rig_pass(&rig, 1);
  rig.samples[0].swap_in_kib = CAGMA_MIB(100);
  rig.domains[0].consumption_kib_per_s = 0;
  rig.domains[0].pushed_out_kib = 0;
  rig_pass(&rig, 1);
  rig_decide(&rig);
  text = cagma_explain(&rig.plan.decisions[0], &rig.plan.verdict);
  g_assert_cmpstr(
      text, ==,
      "growing: has 10 MiB available and needs 174 MiB.\n"
      "figures: the balloon leaves it 1024 MiB of 4096 MiB, it uses 1014 MiB and has 10 MiB available (0 s "
      "ago); "
      "its process holds 1024 MiB resident; it swaps in 102400 and out 0 KiB/s. It is charged 1024 MiB.\n"
      "estimator critical: used 1014 MiB + critical 174 MiB (headroom 64 MiB, lately swapped 100 MiB "
      "× "
      "1.1). Within its guarantee of 256 MiB and limit of 4096 MiB it should have 1188 MiB.\n"
      "allocator shares: in hand 7168 MiB; memory in hand meets every need. With 1000 shares it is entitled "
      "to "
      "1188 MiB.\n"
      "plan: set it from 1024 MiB to 1188 MiB.\n");
  rig_clear(&rig);
}

static void
assert_explains(Rig *rig, size_t index, const char *line)
{
  g_autofree char *text = cagma_explain(&rig->plan.decisions[index], &rig->plan.verdict);

  if (!strstr(text, line))
    g_error("\"%s\" isn't in:\n%s", line, text);
}

static void
test_footprint_and_where_it_is_from(void)
{
  Rig rig;
  CagmaSample sample;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 1024, 24)->config.source = CAGMA_SOURCE_MAX;
  rig_pass(&rig, 3);
  rig_decide(&rig);
  assert_explains(
      &rig, 0,
      "used 1000 MiB + critical 1100 MiB (headroom 64 MiB, or the footprint of its largest process "
      "1000 MiB × 1.1, taken from its balloon's statistics for want of an agent's)");
  sample = rig_channel(&rig, 0);
  sample.has |= CAGMA_HAS_LARGEST;
  sample.largest_kib = CAGMA_MIB(300);
  cagma_domain_feed(&rig.domains[0], &sample, rig.now_us);
  rig_decide(&rig);
  assert_explains(
      &rig, 0,
      "critical 330 MiB (headroom 64 MiB, or the footprint of its largest process 300 MiB × 1.1). "
      "Within");
  rig_clear(&rig);
}

static void
test_wish_and_what_it_is_from(void)
{
  Rig rig;

  rig_init(&rig, 1024 + 300);
  rig_add(&rig, 4096, 1024, 500)->config.rate_permille = 1000;
  rig_pass(&rig, 3);
  rig.domains[0].cache_back_kib = CAGMA_MIB(200);
  rig.domains[0].consumption_kib_per_s = CAGMA_MIB(50);
  rig_decide(&rig);
  assert_says(&rig, 0, "has 500 MiB available and needs 64 MiB; could use a size of up to 1224 MiB");
  assert_explains(
      &rig, 0,
      "estimator critical: used 524 MiB + critical 64 MiB (headroom 64 MiB, lately swapped 0 MiB × 1.0); "
      "it takes up another 150 MiB before memory can arrive, at 51200 KiB/s; it lately read 200 MiB of its "
      "page cache again. Within its guarantee of 256 MiB and limit of 4096 MiB it should have 588 MiB, and "
      "could use up to 1224 MiB.\n");
  assert_explains(&rig, 0,
                  "With 1000 shares it is entitled to 1224 MiB: 588 MiB that it needs, 636 that would be of "
                  "use to it.\n");

  /* Nothing in hand, and one who has more than he wishes for: it waits. */
  rig_add(&rig, 4096, 300, 200);
  rig.host.budget_kib = CAGMA_MIB(1324);
  rig_pass(&rig, 3);
  rig.domains[0].cache_back_kib = CAGMA_MIB(200);
  rig.domains[0].consumption_kib_per_s = 0;
  rig_decide(&rig);
  assert_says(&rig, 0, "could use 44 MiB more; waits for memory in hand");
  rig_clear(&rig);
}

static void
test_what_nobody_needs(void)
{
  Rig rig;

  rig_init(&rig, 2500);
  rig.host.without = 0;
  rig_add(&rig, 4096, 1900, 1464);
  rig_add(&rig, 4096, 500, 64);
  rig_pass(&rig, 10);
  rig_decide(&rig);
  assert_says(&rig, 0, "gives to those who have less to spare: has 1464 MiB available and needs 64 MiB");
  assert_explains(&rig, 0, "memory in hand meets every need, and what nobody needs is levelled");
  assert_says(&rig, 1,
              "has 64 MiB available and needs 64 MiB; is handed what nobody needs, up to a size of 600 MiB");
  assert_explains(&rig, 1, "it should have 500 MiB.\n");
  assert_explains(
      &rig, 1,
      "With 1000 shares it is entitled to 600 MiB: 500 MiB that it needs, 100 of what nobody needs.\n");
  rig_clear(&rig);
}

static void
test_place_in_the_queue(void)
{
  Rig rig;

  rig_init(&rig, 2048);
  rig.host.policy = CAGMA_POLICY_CLASSIC;
  rig_add(&rig, 4096, 1024, 10);
  rig_add(&rig, 4096, 1024, 500);
  rig_pass(&rig, 3);
  rig.domains[1].queue.critical_kib = CAGMA_MIB(200);
  rig_decide(&rig);
  assert_explains(&rig, 0, "allocator queue: in hand 0 MiB");
  assert_explains(&rig, 0, "it has had no need to swap, so that its critical amount isn't set");
  assert_explains(
      &rig, 1,
      "its critical amount is set to 200 MiB, it has more than its critical amount, released 1 times");
  assert_says(
      &rig, 1,
      "the host has nothing to give; releases from its 500 MiB available what it has above its critical "
      "amount of 200 MiB");
  rig_clear(&rig);
}

static void
test_guard_has_the_last_word(void)
{
  Rig rig;
  g_autoptr(GError) refusal = g_error_new(G_FILE_ERROR, 0, "domain 0: below the guarantee of 5 KiB");

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 1024, 10);
  rig_pass(&rig, 3);
  rig_decide(&rig);
  cagma_verdict_judge(&rig.plan.verdict, NULL);
  assert_explains(&rig, 0, "MiB.\nguard: found the plan to keep every guarantee.\n");
  rig.plan.verdict.dry_run = TRUE;
  assert_explains(&rig, 0, "guard: found the plan to keep every guarantee; dry run: nothing was set.\n");
  cagma_verdict_judge(&rig.plan.verdict, refusal);
  assert_explains(
      &rig, 0,
      "guard: refused the whole plan, so that nothing was moved: domain 0: below the guarantee of 5 KiB.\n");
  rig_clear(&rig);
}

/* What is said is of the moment of the decision, whatever becomes of the domain. */
static void
test_decision_stands_for_itself(void)
{
  Rig rig;
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  rig_init(&rig, 2048);
  rig_add(&rig, 4096, 1024, 0);
  rig_add(&rig, 4096, 1024, 564)->hold = "is paused";
  rig_pass(&rig, 3);
  rig_decide(&rig);
  before = cagma_explain(&rig.plan.decisions[1], &rig.plan.verdict);
  cagma_domain_init(&rig.domains[1], 0);
  memset(&rig.host, 0, sizeof rig.host);
  after = cagma_explain(&rig.plan.decisions[1], &rig.plan.verdict);
  g_assert_cmpstr(before, ==, after);
  g_assert_nonnull(strstr(before, "held: is paused.\nfigures: the balloon leaves it 1024 MiB"));
  rig_clear(&rig);
}

/* As much of it as there is room for, and no half of a character. */
static void
test_long_hold_is_cut(void)
{
  g_autofree char *ascii = g_strnfill(CAGMA_HOLD_BYTES + 5, 'x');
  g_autofree char *wide = g_strdup_printf("%.*sé and more", CAGMA_HOLD_BYTES - 2, ascii);
  const struct {
    const char *hold;
    size_t kept;
  } cases[] = {
    { "", 0 },
    { "is paused", 9 },
    { ascii, CAGMA_HOLD_BYTES - 1 },
    { wide, CAGMA_HOLD_BYTES - 2 },
  };
  CagmaDomain domain;
  CagmaDecision decision;

  cagma_domain_init(&domain, 1);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    memset(&decision, 0xff, sizeof decision);
    domain.hold = cases[i].hold;
    cagma_decision_begin(&decision, &domain, 1);
    g_assert_cmpuint(strlen(decision.hold), ==, cases[i].kept);
    g_assert_true(g_str_has_prefix(cases[i].hold, decision.hold));
  }
}

static void
test_of_an_unmanaged_domain_there_is_little_to_say(void)
{
  Rig rig;
  g_autofree char *text = NULL;

  rig_init(&rig, 8192);
  rig_add(&rig, 4096, 1024, 10)->managed = FALSE;
  rig_decide(&rig);
  text = cagma_explain(&rig.plan.decisions[0], &rig.plan.verdict);
  g_assert_cmpstr(text, ==,
                  "unmanaged: no configuration for it; all that it may hold is counted as taken.\n");
  rig_clear(&rig);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/explain/reason/growth-and-gift", test_reasons_of_a_growth_and_of_a_gift);
  g_test_add_func("/explain/reason/hold", test_reason_of_a_hold_is_the_owner_s);
  g_test_add_func("/explain/reason/silence", test_reason_of_silence_tells_since_when);
  g_test_add_func("/explain/reason/every", test_every_reason_has_its_sentence);
  g_test_add_func("/explain/whole", test_whole_explanation);
  g_test_add_func("/explain/footprint", test_footprint_and_where_it_is_from);
  g_test_add_func("/explain/wish", test_wish_and_what_it_is_from);
  g_test_add_func("/explain/spread", test_what_nobody_needs);
  g_test_add_func("/explain/queue", test_place_in_the_queue);
  g_test_add_func("/explain/guard", test_guard_has_the_last_word);
  g_test_add_func("/explain/self-contained", test_decision_stands_for_itself);
  g_test_add_func("/explain/long-hold", test_long_hold_is_cut);
  g_test_add_func("/explain/unmanaged", test_of_an_unmanaged_domain_there_is_little_to_say);
  return g_test_run();
}
