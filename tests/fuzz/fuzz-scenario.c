/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/scenario-json.h"
#include "tests/fuzz/fuzz.h"

/* A scenario that is taken can be run, and says the same again once written and read. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaScenario) scenario = cagma_scenario_parse((const char *)data, (gssize)size, &error);
  g_autofree char *json = NULL;
  g_autofree char *json_again = NULL;

  if (!scenario) {
    g_assert_true(error->domain == CAGMA_SCENARIO_ERROR);
    fuzz_check_error(error);
    return 0;
  }
  g_assert_true(cagma_scenario_check(scenario, NULL));
  json = cagma_scenario_to_json(scenario);
  g_autoptr(CagmaScenario) again = cagma_scenario_parse(json, -1, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(cagma_scenario_count(again), ==, cagma_scenario_count(scenario));
  json_again = cagma_scenario_to_json(again);
  g_assert_cmpstr(json_again, ==, json);
  return 0;
}
