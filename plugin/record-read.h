/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "plugin/inputs.h"
#include "plugin/record-format.h"
#include "policy/decision.h"
#include "policy/host.h"

/* Reads a record (record-format.h), block by block, whatever has happened to it: what is
 * damaged is told and passed over, up to the next block that is whole. Files may be
 * anybody's: memory is bounded by what is really there and by CAGMA_RECORD_PAYLOAD_MAX,
 * every number by what the policy can compute with. */

#define CAGMA_RECORD_ERROR (cagma_record_error_quark())
GQuark cagma_record_error_quark(void);

typedef enum {
  CAGMA_RECORD_ERROR_FOREIGN, /* no record */
  CAGMA_RECORD_ERROR_VERSION, /* one of another version */
  CAGMA_RECORD_ERROR_DAMAGE,  /* made to be costly to read, or nearly nothing of it is whole */
} CagmaRecordError;

typedef enum {
  CAGMA_LOST_DAMAGED, /* bytes that are no block */
  CAGMA_LOST_CUT_OFF, /* a last block that isn't whole: a crash, a full disk, or it is being written */
  CAGMA_LOST_MISSING, /* of a block there's no trace: it couldn't be written, or was cut out */
  CAGMA_LOST_UNKNOWN, /* a block that is whole, but makes no sense */
} CagmaLost;

typedef struct {
  uint64_t number; /* the domain's */
  uint64_t target_kib;
} CagmaRecordStep;

/* What has been read: of the members, those its kind says. Valid during the call. */
typedef struct {
  uint64_t offset;    /* in the file: of the block, or of what is lost … */
  uint64_t bytes;     /* … and how long that is */
  gboolean lost;      /* something is, and why; no kind then */
  gboolean other_run; /* LOST_MISSING: what follows is of another run of the daemon */
  gboolean block_end; /* the block is over; no kind then */
  CagmaItemKind kind;
  CagmaLost why;

  uint64_t number;    /* the domain's: STATE, ADDED, REMOVED, TERMS, INPUT, DECISION */
  int64_t now_us;     /* ADDED, DECIDING */
  int64_t real_us;    /* DECIDING: µs since 1970 */
  gboolean begins;    /* KEYFRAME: a run of the daemon */
  size_t n_domains;   /* KEYFRAME */
  CagmaHost host;     /* KEYFRAME, DECIDING (settings only); never its domains */
  CagmaDomain domain; /* STATE, TERMS (the owner's part only); never its hold */
  gboolean held;      /* STATE, TERMS */
  char hold[CAGMA_HOLD_BYTES];
  char uuid[CAGMA_RECORD_UUID_BYTES]; /* STATE, ADDED */
  char name[CAGMA_RECORD_NAME_BYTES];
  /* INPUT; of a sample that follows damage, has is 0 until the next keyframe: it was
   * written as what had changed. */
  CagmaInput input;             /* INPUT */
  CagmaVerdict verdict;         /* DECIDED */
  const CagmaRecordStep *steps; /* DECIDED */
  size_t n_steps;
  CagmaDecision decision; /* DECISION */
} CagmaRecordItem;

typedef void (*CagmaRecordFunc)(const CagmaRecordItem *item, void *user_data);

/* Calls func for each item in order, to the end. FALSE where it can't be read, is no record
 * at all, or one of another version. */
gboolean cagma_record_read(GInputStream *stream, CagmaRecordFunc func, void *user_data,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
