/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "plugin/record-read.h"
#include "policy/host.h"
#include "policy/plan.h"

/* Goes through a record and does again what was done: tells the policy what it was told,
 * and has it decide. By the same program, the same is decided, bit by bit.
 *
 * Damage costs what was in the damaged blocks. The policy's state rests on all that came
 * before, so that after damage it isn't known until the record's next keyframe
 * (CAGMA_RECORD_KEYFRAME_BLOCKS decisions at the most); what was recorded of decisions in
 * between is told all the same. */

typedef struct {
  CagmaDomain policy;
  uint64_t number; /* in the record; another one's in another run of the daemon */
  char uuid[CAGMA_RECORD_UUID_BYTES];
  char *name;
  char hold[CAGMA_HOLD_BYTES]; /* policy.hold points here */

  /* The last sample of each source, as it came; has is 0 where there was none. */
  CagmaSample samples[CAGMA_SAMPLE_CHANNEL + 1];

  /* What was recorded as decided at this moment: that something changed, or a step.
   * Where nothing is recorded, what the policy decides is what was decided. */
  gboolean is_recorded;
  CagmaDecision recorded;
} CagmaRebuiltDomain;

typedef struct {
  int64_t now_us;  /* the daemon's clock */
  int64_t real_us; /* wall clock, µs since 1970 */

  CagmaRebuiltDomain **domains; /* in the order of host->domains */
  size_t n_domains;

  /* Where FALSE, host and plan mean nothing; domains are those that are known of, with
   * nothing but their names and what was recorded of them. */
  gboolean known;
  CagmaHost *host;
  /* After the decision: what the policy decides here, with the guard's word as recorded … */
  const CagmaPlan *plan;
  /* … whether that is what was recorded, wherever something was … */
  gboolean same;
  /* … and what was carried out: nothing where the guard refused. */
  const CagmaRecordStep *steps;
  size_t n_steps;
  const CagmaVerdict *verdict; /* as recorded */
} CagmaMoment;

/* Each may be NULL. */
typedef struct {
  /* What is known begins anew, with a run of the daemon: all domains are others. */
  void (*begins)(void *user_data);
  /* Just before the policy is told something of a domain. */
  void (*input)(const CagmaRebuiltDomain *domain, const CagmaInput *input, void *user_data);
  /* Just before a decision that can be made again: what is in host and domains is what the
   * policy had before it. May be copied, not changed. */
  void (*deciding)(const CagmaMoment *moment, void *user_data);
  /* Just after it, before any step is carried out. */
  void (*decided)(const CagmaMoment *moment, void *user_data);
  /* Something is lost (record-read.h), at an offset in the file. */
  void (*lost)(CagmaLost why, uint64_t offset, uint64_t bytes, void *user_data);
} CagmaRebuildFuncs;

/* Goes through it all. Errors are cagma_record_read's. */
gboolean cagma_rebuild(GInputStream *stream, const CagmaRebuildFuncs *funcs, void *user_data,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What is lost, as a sentence without a full stop. Free with g_free. */
char *cagma_lost_to_text(CagmaLost why, uint64_t offset, uint64_t bytes);

/* Of a record, no more than its first decisions, and of these those made by then. The wall
 * clock may have been set back in between. */
typedef struct {
  size_t n_decisions;
  int64_t real_us;
} CagmaUntil;

/* The last decision until then on a domain, by name or UUID, in sentences; ends with when it
 * was made. NULL with G_IO_ERROR_NOT_FOUND where there's none, or with
 * cagma_record_read's errors. funcs->lost may be given, the others not. Free with g_free. */
char *cagma_rebuild_explain(GInputStream *stream, const char *name_or_uuid, const CagmaUntil *until,
                            const CagmaRebuildFuncs *funcs, void *user_data,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
