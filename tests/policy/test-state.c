/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/state.h"

static void
test_names_go_both_ways(void)
{
  for (int state = 0; state < CAGMA_N_STATES; state++) {
    CagmaState back = CAGMA_N_STATES;

    g_assert_nonnull(cagma_state_to_string((CagmaState)state));
    g_assert_true(cagma_state_from_string(cagma_state_to_string((CagmaState)state), &back));
    g_assert_cmpint(back, ==, state);
  }
}

static void
test_names_are_the_documented_ones(void)
{
  g_assert_cmpstr(cagma_state_to_string(CAGMA_STATE_STEADY), ==, "steady");
  g_assert_cmpstr(cagma_state_to_string(CAGMA_STATE_EMERGENCY), ==, "emergency");
  g_assert_cmpstr(cagma_state_to_string(CAGMA_STATE_INVALID), ==, "invalid");
}

static void
test_what_is_no_state(void)
{
  CagmaState state = CAGMA_STATE_OVER;

  g_assert_null(cagma_state_to_string(CAGMA_N_STATES));
  g_assert_false(cagma_state_from_string("Steady", &state));
  g_assert_false(cagma_state_from_string("", &state));
  g_assert_false(cagma_state_from_string(NULL, &state));
  g_assert_cmpint(state, ==, CAGMA_STATE_OVER);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/state/both-ways", test_names_go_both_ways);
  g_test_add_func("/state/documented", test_names_are_the_documented_ones);
  g_test_add_func("/state/none", test_what_is_no_state);
  return g_test_run();
}
