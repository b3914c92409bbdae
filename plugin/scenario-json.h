/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/scenario.h"

/* Scenarios as JSON, cagma-scenario(5), docs/scenario.schema.json. */

#define CAGMA_SCENARIO_MAX_BYTES (4 * 1024 * 1024)

/* Reads and checks a scenario (cagma_scenario_check), so that what is returned can be
 * run. len -1: text ends with a NUL. NULL with a CAGMA_SCENARIO_ERROR that names the line
 * where it isn't JSON, and otherwise the JSON path of what is wrong. */
CagmaScenario *cagma_scenario_parse(const char *text, gssize len, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same for a file; a GFileError where it can't be read. */
CagmaScenario *cagma_scenario_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The scenario, which must have passed cagma_scenario_check, as a file for people: what
 * holds by default is left out. Reading it gives the same scenario again; of a guest's
 * configuration, only what the format knows. Free with g_free. */
char *cagma_scenario_to_json(const CagmaScenario *scenario);
