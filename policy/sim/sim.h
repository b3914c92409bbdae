/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"
#include "policy/sim/peer.h"
#include "policy/sim/scenario.h"

/* The simulator: a scenario's guests live, one contestant after the other moves their
 * memory, and it is measured what that does to them. The same scenario, seed and
 * contestant give the same result. */

/* Who decides: exactly one of these. */
typedef struct {
  const CagmaPolicy *policy; /* ours (policy.h), through the same code as the daemon's */
  const CagmaPeer *peer;
  const struct CagmaSchedule *schedule; /* the oracle's, or a test's (oracle.h) */
  uint32_t without;                     /* rules of ours left out, CagmaRule bits (rules.h) */
} CagmaContestant;

/* Sums over the guests it stands for, and over time from the scenario's start. */
typedef struct {
  double short_mib_s; /* working set that has no room */
  double swapped_in_mib;
  double swapped_out_mib;
  double refaulted_mib; /* page cache read again because it had been evicted */
  double
      stall_s; /* lost waiting for the shared disk, for own or others' paging, and 10 s after an OOM kill */
  double moved_mib;     /* targets' changes */
  double allocated_mib; /* mean size over time */
  double needed_mib;    /* mean working set, kernel included */
  double maximum_mib;   /* mean <memory> of the running */
  uint64_t calls;
  uint64_t reversals;        /* calls in the other direction than the guest's last one */
  uint64_t floor_violations; /* calls that took a guest below its guarantee */
  uint64_t oom_kills;
} CagmaSimFigures;

typedef struct {
  CagmaSimFigures *guests; /* one each */
  size_t n_guests;
  CagmaSimFigures total;
  uint64_t reserve_violations; /* calls that promised more than host − reserve */
  double over_mib_s;           /* promised beyond host − reserve, whoever did it */
  double host_swap_mib_s;      /* touched by guests beyond the host's memory */
  double fairness; /* Jain's index of the guests' stall: (Σx)² / (n Σx²), x = 1 − stalled part */
  uint64_t decisions;
  double decision_us; /* mean time of one, by the caller's clock; 0 without one */
} CagmaSimResult;

/* What a guest was like over time, for pictures. */
typedef struct {
  float allocated_mib;
  float needed_mib;
  float short_mib;      /* of that, has no room, whatever its balloon says */
  float swap_mib_per_s; /* in and out */
  float stalled;        /* part of the time */
} CagmaSimPoint;

typedef struct {
  int64_t interval_us;
  size_t n_points; /* per guest */
  size_t n_guests;
  CagmaSimPoint *points; /* [guest * n_points + point] */
} CagmaSimTrace;

typedef struct {
  CagmaSimTrace *trace;   /* filled in where not NULL; cleared by cagma_sim_trace_clear */
  int64_t (*clock)(void); /* to time decisions with; policy/ has none. NULL: not timed */
  /* Called each simulated second or so; FALSE ends the run, whose result then covers what
   * was run. NULL: not called. */
  gboolean (*progress)(gpointer user_data, int64_t now_us, int64_t duration_us);
  gpointer user_data;
} CagmaSimOptions;

/* Runs the scenario, which must have passed cagma_scenario_check. options may be NULL.
 * The result is cleared by cagma_sim_result_clear. */
void cagma_sim_run(const CagmaScenario *scenario, const CagmaContestant *contestant,
                   const CagmaSimOptions *options, CagmaSimResult *result);

void cagma_sim_result_clear(CagmaSimResult *result);
void cagma_sim_trace_clear(CagmaSimTrace *trace);
