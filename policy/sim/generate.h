/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/sim/scenario.h"

/* Invents a scenario: the same seed gives the same one, which always passes
 * cagma_scenario_check. For tests that must not know what they are run on.
 *
 *   host    2–64 GiB, of which 3–10 % are reserve and 0–4 % pool; a hard disk, a flash
 *           disk, a network disk or NVMe
 *   guests  2–12, with different working sets, which together need 0.6–1.3 of the host
 *           on average over time, in 7 of 10 scenarios 0.8–1.1
 *   starts  fit the host less its reserve: it has been running; guarantees are at most
 *           80 % of that
 *   time    3–8 minutes
 *
 * Now and then a guest has no balloon driver or no agent, arrives, leaves, reboots, is
 * paused, lies, falls silent, or its balloon sticks or pretends. Clear what it fills with
 * cagma_scenario_clear. */
void cagma_scenario_generate(uint32_t seed, CagmaScenario *scenario);
