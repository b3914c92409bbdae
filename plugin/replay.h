/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "plugin/rebuild.h"
#include "policy/sim/history.h"
#include "policy/sim/sim.h"

/* A record looked through as a whole: what is in it, whether today's code decides the same,
 * and where another policy would have decided differently.
 *
 * Times count from the record's first decision, by the daemon's own clock within a run of it
 * and by the wall clock from run to run; they never run backwards. */

/* Losses and differences beyond this are only counted. */
#define CAGMA_REPLAY_LOSSES_MAX 1000

typedef struct {
  CagmaLost why;
  uint64_t offset, bytes; /* rebuild.h */
  int64_t after_us;       /* the last decision before it; 0 where there's none */
  int64_t again_us;       /* the first one that can be made again; −1: none can */
} CagmaReplayLoss;

/* What was called for, or would have been. */
typedef struct {
  uint64_t calls;
  uint64_t moved_kib;
  uint64_t reversals; /* calls in the other direction than the domain's last one */
  uint64_t refused;   /* plans, by the guard: nothing of them counts */
} CagmaReplayTotals;

typedef struct {
  int64_t first_real_us; /* of the first decision: wall clock, µs since 1970 */
  int64_t last_us;
  size_t n_runs; /* of the daemon */
  size_t n_decisions;
  size_t n_known; /* of them, can be made again */
  gboolean dry_run;
  uint32_t policies;      /* that were in force: bit 1 << CagmaPolicyKind … */
  CagmaPolicyKind policy; /* … and the last of them */
  CagmaReplayTotals totals;

  GArray *losses; /* CagmaReplayLoss */
  size_t n_losses;

  /* Decisions that today's code makes differently, and the first one of them: of which
   * domain (NULL: of the host as a whole), and both decisions on it, as sentences. */
  size_t n_unlike;
  int64_t unlike_us;
  char *unlike_name;
  char *unlike_was;
  char *unlike_is;

  GHashTable *machines; /* UUIDs, with their numbers (GSIZE_TO_POINTER) */
  CagmaHistory *history;
  size_t n_until; /* decisions until the time asked for */
} CagmaSurvey;

void cagma_survey_free(CagmaSurvey *survey);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaSurvey, cagma_survey_free)

/* Looks through it once; at_us: the time asked for. Errors are cagma_record_read's. */
CagmaSurvey *cagma_survey(GInputStream *stream, int64_t at_us, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* From at_us to until_us, times decisions long, it was so that other was set, in the same
 * direction, on a domain. Of figures that vary, the first ones. */
typedef struct {
  int64_t at_us;
  int64_t until_us;
  uint32_t times;
  char *name;
  uint64_t had_kib;
  uint64_t was_kib;   /* set; 0: nothing was */
  uint64_t would_kib; /* have been set; 0: nothing */
  char *reason;       /* the other policy's; NULL: it gives none */
  CagmaMove was, would;
} CagmaDifference;

typedef struct {
  size_t n_decisions;         /* that the other policy made */
  size_t n_different;         /* of them, with a difference */
  CagmaReplayTotals recorded; /* in the same time */
  /* What it wants isn't carried out, so that it wants it again: the same wish, again and
   * again within half a minute, counts once, at its largest. */
  CagmaReplayTotals would;
  GArray *differences;  /* CagmaDifference, in order of their beginning, up to a limit */
  size_t n_differences; /* in all */
} CagmaComparison;

void cagma_comparison_free(CagmaComparison *comparison);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaComparison, cagma_comparison_free)

/* Goes through the record that was surveyed again, with another policy (shadow.h). Targets
 * within CAGMA_REACHED_KIB of each other are the same. What was recorded since the survey
 * is left out. */
CagmaComparison *cagma_compare(GInputStream *stream, const CagmaSurvey *survey,
                               const CagmaContestant *contestant, const CagmaSurplus *surplus, size_t limit,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
