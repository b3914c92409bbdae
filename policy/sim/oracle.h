/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/schedule.h"
#include "policy/sim/sim.h"

/* The oracle: the best that a search finds, knowing what every guest will touch and when.
 *
 * A plan gives memory second by second to the parts in the order of what a KiB that is missing
 * costs the disk: touches a second, times the time to read it back (and to write out another in
 * its place); a cycle all or nothing. It looks ahead, so that memory is there before a part
 * grows. Guarantees and limits hold. What nobody needs is spread.
 * The search runs the scenario with many such plans, which differ in how far they look ahead,
 * in how much is kept on top, and in how much each guest counts, and keeps the one whose
 * guests stall least. */

#define CAGMA_ORACLE_RUNS 40

/* What it knows is 64 bytes for each guest and second: it looks at no more than these, which are
 * half a GiB. */
#define CAGMA_ORACLE_GUEST_SECONDS_MAX (8 << 20)
gboolean cagma_oracle_bears(const CagmaScenario *scenario);

/* Called before each run of the scenario. */
typedef void (*CagmaOracleProgress)(gpointer user_data, unsigned done, unsigned runs);

/* Finds the schedule with the least stall, in at most so many runs; free with
 * cagma_schedule_free. progress may be NULL. */
CagmaSchedule *cagma_oracle_search(const CagmaScenario *scenario, unsigned runs, CagmaOracleProgress progress,
                                   gpointer user_data);

/* One plan without a search: what could be done by somebody who sees at each moment what every
 * guest touches, and for so many seconds what it is going to, but no further; or doesn't see all
 * of that. How much of the oracle's lead is knowledge can be told by it. */
typedef struct {
  int ahead_s;        /* below 0: what it sees is of so long ago */
  gboolean heard;     /* it sees guests that report; the others keep the sizes they start with */
  gboolean anon;      /* it sees processes' memory, and no page cache */
  gboolean by_shares; /* where not all fits, it goes by shares, and not to what costs the disk most */
} CagmaSight;

CagmaSchedule *cagma_oracle_foresee(const CagmaScenario *scenario, const CagmaSight *sight);

void cagma_schedule_free(CagmaSchedule *schedule);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaSchedule, cagma_schedule_free)
