/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "policy/sim/history.h"
#include "policy/sim/scenario.h"

/* A scenario from what was seen of a host (history.h): a guess, from figures, at what its
 * guests wanted, to be run under other policies. For each guest, in each window of time:
 *
 *     own     = held by kernel and processes + swapped out; held = actual − free − page cache
 *     cold    = the most that stayed swapped out for a minute, less what was swapped in
 *               meanwhile; of own, the part that isn't touched
 *     hot     = own − cold − kernel
 *     cache   = page cache; while evicted pages come back, at least what it was before
 *     sweep   = the least of what was swapped out, divided by what of it came back in a second;
 *               of the cache: what it lacked, divided by what was read again in a second
 *
 * Sizes go into the scenario as straight lines, within 8 MiB or 2 % of their largest. A pace
 * that was only seen while the disk was at its limit was the disk's, not the guest's: it is
 * then at least the default, a sweep in 30 s, as where nothing came back at all.
 *
 *     host    = median of: in hand + promised to guests + reserve
 *     disk    = the highest rates seen, at least the default
 *
 * What isn't in a record is guessed: kernels keep the default, or less where less was held.
 * Reboots, pauses, and balloons that stick aren't taken over. */

/* A new scenario, which has passed cagma_scenario_check; its description says what of it was
 * guessed, and how. NULL with a CAGMA_SCENARIO_ERROR where none can be made: there were no
 * guests, or their configurations contradict each other. */
CagmaScenario *cagma_infer(const CagmaHistory *history, GError **error) G_GNUC_WARN_UNUSED_RESULT;
