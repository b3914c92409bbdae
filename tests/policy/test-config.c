/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes in MiB, for a domain of 4096. */
#include <string.h>

#include "policy/config.h"
#include "policy/units.h"

#define G CAGMA_GIVEN_GUARANTEE
#define L CAGMA_GIVEN_LIMIT

static void
test_fit(void)
{
  static const struct {
    const char *what;
    uint32_t given;
    uint64_t guarantee, limit, fitted_guarantee, fitted_limit;
    const char *error; /* what it must mention; NULL: fits */
  } cases[] = {
    { "no limit is all of <memory>", 0, 256, 0, 256, 4096, NULL },
    { "both given", G | L, 512, 2048, 512, 2048, NULL },
    { "as much as there is", G | L, 4096, 4096, 4096, 4096, NULL },
    { "a default limit is cut to <memory>", 0, 256, 8192, 256, 4096, NULL },
    { "a default guarantee is cut to <memory>", 0, 8192, 0, 4096, 4096, NULL },
    { "a default guarantee yields to the limit given", L, 512, 300, 300, 300, NULL },
    { "a default limit yields to the guarantee given", G, 2048, 1024, 2048, 2048, NULL },
    { "a limit of 0 given is no limit", L, 256, 0, 256, 4096, NULL },
    { "limit above <memory>", L, 256, 4097, 0, 0, "limit" },
    { "guarantee above <memory>", G, 4097, 0, 0, 0, "guarantee" },
    { "guarantee above limit", G | L, 2048, 1024, 0, 0, "above limit" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    CagmaConfig config;
    gboolean fits;

    g_test_message("%s", cases[i].what);
    cagma_config_init(&config);
    config.given = cases[i].given;
    config.guarantee_kib = CAGMA_MIB(cases[i].guarantee);
    config.limit_kib = CAGMA_MIB(cases[i].limit);
    fits = cagma_config_fit(&config, CAGMA_MIB(4096), &error);
    if (cases[i].error) {
      g_assert_false(fits);
      g_assert_error(error, CAGMA_CONFIG_ERROR, CAGMA_CONFIG_ERROR_RANGE);
      g_assert_nonnull(strstr(error->message, cases[i].error));
      g_assert_cmpuint(config.guarantee_kib, ==, CAGMA_MIB(cases[i].guarantee));
      g_assert_cmpuint(config.limit_kib, ==, CAGMA_MIB(cases[i].limit));
    } else {
      g_assert_no_error(error);
      g_assert_true(fits);
      g_assert_cmpuint(config.guarantee_kib, ==, CAGMA_MIB(cases[i].fitted_guarantee));
      g_assert_cmpuint(config.limit_kib, ==, CAGMA_MIB(cases[i].fitted_limit));
    }
  }
}

static void
test_defaults(void)
{
  CagmaConfig config;

  cagma_config_init(&config);
  g_assert_cmpint(config.mode, ==, CAGMA_MODE_ENFORCE);
  g_assert_cmpint(config.estimator, ==, CAGMA_ESTIMATOR_CRITICAL);
  g_assert_cmpuint(config.guarantee_kib, ==, CAGMA_MIB(256));
  g_assert_cmpuint(config.limit_kib, ==, 0);
  g_assert_cmpuint(config.shares, ==, 1000);
  g_assert_cmpuint(config.rate_permille, ==, 1100);
  g_assert_cmpuint(config.headroom_permille, ==, 100);
  g_assert_true(config.emergency);
  g_assert_cmpuint(config.given, ==, 0);
}

static void
test_names_go_both_ways(void)
{
  CagmaMode mode = CAGMA_MODE_OFF;
  CagmaEstimatorKind estimator = CAGMA_ESTIMATOR_CRITICAL;
  CagmaCriticalSource source = CAGMA_SOURCE_DEFICIT;
  unsigned int n;

  for (n = 0; cagma_mode_to_string((CagmaMode)n); n++) {
    g_assert_true(cagma_mode_from_string(cagma_mode_to_string((CagmaMode)n), &mode));
    g_assert_cmpuint(mode, ==, n);
  }
  g_assert_cmpuint(n, ==, CAGMA_MODE_ENFORCE + 1);
  for (n = 0; cagma_estimator_to_string((CagmaEstimatorKind)n); n++) {
    g_assert_true(cagma_estimator_from_string(cagma_estimator_to_string((CagmaEstimatorKind)n), &estimator));
    g_assert_cmpuint(estimator, ==, n);
  }
  g_assert_cmpuint(n, >=, CAGMA_ESTIMATOR_STATIC + 1);
  for (n = 0; cagma_source_to_string((CagmaCriticalSource)n); n++) {
    g_assert_true(cagma_source_from_string(cagma_source_to_string((CagmaCriticalSource)n), &source));
    g_assert_cmpuint(source, ==, n);
  }
  g_assert_cmpuint(n, ==, CAGMA_SOURCE_SWAPPING + 1);

  g_assert_false(cagma_mode_from_string("Enforce", &mode));
  g_assert_false(cagma_estimator_from_string("", &estimator));
  g_assert_false(cagma_source_from_string(NULL, &source));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/config/fit", test_fit);
  g_test_add_func("/config/defaults", test_defaults);
  g_test_add_func("/config/names", test_names_go_both_ways);
  return g_test_run();
}
