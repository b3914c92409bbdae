/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"
#include "policy/read-back.h"
#include "policy/rules.h"
#include "rig.h"

/* When a guest is asked to bring back, and for how much. tests/plugin/test-readback.c has what
 * the daemon makes of it. */

#define SWAPPED_MIB 200

/* A guest on a host of its own that had 1024 MiB and now has 1280, of which 400 are available
 * beyond what is swapped out. */
typedef struct {
  Rig rig;
  CagmaDomain *domain;
  CagmaReadBack state;
} Fixture;

static void
report(Fixture *f, uint64_t usable_mib, uint64_t swapped_mib)
{
  CagmaSample *sample = &f->rig.samples[0];

  sample->has |= CAGMA_HAS_SWAP_USED;
  sample->usable_kib = CAGMA_MIB(usable_mib);
  sample->swap_used_kib = CAGMA_MIB(swapped_mib);
  rig_pass(&f->rig, 1);
}

static uint64_t
due_mib(Fixture *f)
{
  return cagma_mib(cagma_read_back_due(&f->state, f->domain, TRUE, f->rig.now_us));
}

static void
move(Fixture *f, uint64_t target_mib)
{
  cagma_domain_set(f->domain, CAGMA_MIB(target_mib), f->rig.now_us);
  f->rig.samples[0].actual_kib = f->rig.samples[0].rss_kib = CAGMA_MIB(target_mib);
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  (void)unused;
  rig_init(&f->rig, 4096);
  f->domain = rig_add(&f->rig, 2048, 1024, 100);
  report(f, 100, SWAPPED_MIB);
  g_assert_cmpuint(due_mib(f), ==, 0);
  move(f, 1280);
  /* It has arrived with the first report; the second is the first of what it has since. */
  report(f, 400, SWAPPED_MIB);
  g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_NONE);
  g_assert_cmpuint(due_mib(f), ==, 0);
  report(f, 400, SWAPPED_MIB);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  rig_clear(&f->rig);
}

static void
test_as_much_as_there_is_room_for(Fixture *f, gconstpointer unused)
{
  (void)unused;
  g_assert_cmpuint(due_mib(f), ==, SWAPPED_MIB);
  report(f, 200, SWAPPED_MIB);
  g_assert_cmpuint(due_mib(f), ==, 200 - 64);
  /* Four MiB are worth it, three aren't. */
  report(f, 68, SWAPPED_MIB);
  g_assert_cmpuint(due_mib(f), ==, 4);
  report(f, 67, SWAPPED_MIB);
  g_assert_cmpuint(due_mib(f), ==, 0);
}

static void
test_once_a_second(Fixture *f, gconstpointer unused)
{
  (void)unused;
  g_assert_cmpuint(due_mib(f), ==, SWAPPED_MIB);
  f->rig.now_us += CAGMA_READ_BACK_INTERVAL_US - 1;
  g_assert_cmpuint(due_mib(f), ==, 0);
  f->rig.now_us += 1;
  g_assert_cmpuint(due_mib(f), ==, SWAPPED_MIB);
}

/* What came in then would be taken for harm done by the shrink, and given memory for. */
static void
test_not_within_the_window_of_a_shrink(Fixture *f, gconstpointer unused)
{
  (void)unused;
  move(f, 1200);
  report(f, 320, SWAPPED_MIB);
  g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_NONE);
  g_assert_cmpint(f->domain->shrunk_us, ==, f->rig.now_us - CAGMA_SECOND_US);
  for (int64_t end_us = f->domain->shrunk_us + CAGMA_HURT_WINDOW_US; f->rig.now_us <= end_us;
       report(f, 320, SWAPPED_MIB))
    g_assert_cmpuint(due_mib(f), ==, 0);
  /* The growth before it isn't forgotten. */
  g_assert_cmpuint(due_mib(f), ==, SWAPPED_MIB);
}

static void
test_not_while_its_balloon_moves(Fixture *f, gconstpointer unused)
{
  (void)unused;
  cagma_domain_set(f->domain, CAGMA_MIB(1400), f->rig.now_us);
  report(f, 400, SWAPPED_MIB);
  g_assert_cmpint(f->domain->move, ==, CAGMA_MOVE_GROW);
  g_assert_cmpuint(due_mib(f), ==, 0);
}

static void
test_only_whom_we_act_on(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->domain->managed = FALSE;
  g_assert_cmpuint(due_mib(f), ==, 0);
  f->domain->managed = TRUE;
  f->domain->config.mode = CAGMA_MODE_OBSERVE;
  g_assert_cmpuint(due_mib(f), ==, 0);
  f->domain->config.mode = CAGMA_MODE_ENFORCE;
  f->domain->hold = "it is migrating";
  g_assert_cmpuint(due_mib(f), ==, 0);
  f->domain->hold = NULL;
  f->domain->unresponsive = TRUE;
  g_assert_cmpuint(due_mib(f), ==, 0);
  f->domain->unresponsive = FALSE;
  f->domain->yields = TRUE;
  g_assert_cmpuint(due_mib(f), ==, 0);
  f->domain->yields = FALSE;
  g_assert_cmpuint(cagma_read_back_due(&f->state, f->domain, FALSE, f->rig.now_us), ==, 0);
  g_assert_cmpuint(due_mib(f), ==, SWAPPED_MIB);
}

static void
test_the_original_does_not(void)
{
  g_assert_true(cagma_reads_back(cagma_policy_of(CAGMA_POLICY_CAGMA), 0));
  g_assert_true(cagma_reads_back(cagma_policy_of(CAGMA_POLICY_CAGMA), CAGMA_RULE_SPREAD));
  g_assert_false(cagma_reads_back(cagma_policy_of(CAGMA_POLICY_CAGMA), CAGMA_RULE_READ_BACK));
  g_assert_false(cagma_reads_back(cagma_policy_of(CAGMA_POLICY_CLASSIC), 0));
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *path;
    void (*test)(Fixture *, gconstpointer);
  } tests[] = {
    { "/read-back/room", test_as_much_as_there_is_room_for },
    { "/read-back/once-a-second", test_once_a_second },
    { "/read-back/after-a-shrink", test_not_within_the_window_of_a_shrink },
    { "/read-back/moving", test_not_while_its_balloon_moves },
    { "/read-back/whom", test_only_whom_we_act_on },
  };

  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
    g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
  g_test_add_func("/read-back/policies", test_the_original_does_not);
  return g_test_run();
}
