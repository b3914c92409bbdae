/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"

#include "policy/allocator.h"

static void
test_pairs(void)
{
  static const struct {
    const char *name, *allocator;
    CagmaPolicyKind kind;
    CagmaEstimatorKind estimator;
    CagmaCriticalSource source;
  } cases[] = {
    { "cagma", "shares", CAGMA_POLICY_CAGMA, CAGMA_ESTIMATOR_CRITICAL, CAGMA_SOURCE_DEFICIT },
    { "cagma-classic", "queue", CAGMA_POLICY_CLASSIC, CAGMA_ESTIMATOR_CRITICAL, CAGMA_SOURCE_MAX },
    { "baruchi", "shares", CAGMA_POLICY_BARUCHI, CAGMA_ESTIMATOR_LOADAVG, CAGMA_SOURCE_DEFICIT },
    { "vmmb", "utility", CAGMA_POLICY_VMMB, CAGMA_ESTIMATOR_MISSRATIO, CAGMA_SOURCE_DEFICIT },
    { "static", "shares", CAGMA_POLICY_STATIC, CAGMA_ESTIMATOR_STATIC, CAGMA_SOURCE_DEFICIT },
  };

  g_assert_cmpuint(G_N_ELEMENTS(cases), ==, CAGMA_N_POLICIES);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const CagmaPolicy *policy = cagma_policy_by_name(cases[i].name);
    CagmaHost host = { .policy = cases[i].kind };

    g_assert_nonnull(policy);
    g_assert_true(policy == cagma_policy_of(cases[i].kind));
    g_assert_cmpint(policy->kind, ==, cases[i].kind);
    g_assert_cmpint(policy->estimator, ==, cases[i].estimator);
    g_assert_cmpint(policy->source, ==, cases[i].source);
    g_assert_cmpstr(cagma_allocator_of(policy->allocator)->name, ==, cases[i].allocator);
    g_assert_true(cagma_host_allocator(&host) == cagma_allocator_of(policy->allocator));
  }
}

static void
test_what_is_none(void)
{
  g_assert_null(cagma_policy_by_name("mom"));
  g_assert_null(cagma_policy_by_name(NULL));
  g_assert_null(cagma_policy_of((CagmaPolicyKind)CAGMA_N_POLICIES));
  g_assert_null(cagma_policy_of((CagmaPolicyKind)-1));
  g_assert_null(cagma_allocator_of((CagmaAllocatorKind)(CAGMA_ALLOCATOR_UTILITY + 1)));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/pairs", test_pairs);
  g_test_add_func("/policy/none", test_what_is_none);
  return g_test_run();
}
