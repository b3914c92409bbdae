/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/scenario.h"

/* What the tests of scenarios share. */

/* A scenario that passes its check and has something in every list. */
CagmaScenario *scenarios_full(void);

/* Fails the test where a field differs. */
void scenarios_assert_same(const CagmaScenario *a, const CagmaScenario *b);

/* Scenarios put together piece by piece. What is added is the scenario's, and stays where it
 * is only until the next one is added. */

/* A host without reserve and pool, and without guests; its disk is fast. */
CagmaScenario *scenarios_host(uint64_t memory_mib, int64_t duration_s);
/* A guest of 2 GiB with CAGMA's own configuration, and nothing in it. */
CagmaSimGuest *scenarios_add_guest(CagmaScenario *scenario, const char *name, uint64_t start_mib);
/* A part of the guest that has this size from the beginning. */
CagmaPart *scenarios_add_part(CagmaSimGuest *guest, CagmaPartKind kind, uint64_t size_mib, int64_t sweep_s);
CagmaPhase *scenarios_add_phase(CagmaPart *part, int64_t from_s, uint64_t size_mib, int64_t sweep_s);
void scenarios_add_event(CagmaSimGuest *guest, int64_t at_s, CagmaBefalls what);
/* Fails the test where it can't be run. */
void scenarios_check(CagmaScenario *scenario);
