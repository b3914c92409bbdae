/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "plugin/backend.h"
#include "plugin/conf.h"
#include "policy/domain.h"
#include "policy/plan.h"
#include "policy/read-back.h"
#include "xml/domain.h"

/* What is known of a domain's QEMU guest agent. A stock one isn't asked what it can't
 * answer. */
typedef enum {
  CAGMA_AGENT_UNKNOWN,
  CAGMA_AGENT_UNABLE,
  CAGMA_AGENT_ABLE,
} CagmaAgentKnown;

/* A domain as the manager knows it: the policy's view, what its XML said, and what
 * is under way with it. */
typedef struct {
  CagmaDomain policy; /* stays where it is: CagmaHost points to it */
  char uuid[CAGMA_UUID_SIZE];
  char *name;
  int id;

  CagmaDomainXml *xml; /* NULL: not described yet */
  gboolean begins;     /* it began to run under our eyes: its balloon's target is the XML's */
  gboolean paused;
  gboolean busy; /* a job runs on it */
  char *hold;    /* policy.hold points here */

  /* Requests. */
  unsigned wanted;      /* bits, 1 << CagmaRequestKind */
  unsigned in_flight;   /* the tag of the one under way; 0: none */
  unsigned disregard;   /* the tag of one whose answer is of an earlier run; 0: none */
  gboolean setting;     /* the one under way is a SET … */
  uint64_t setting_kib; /* … to this */
  gboolean awaited;     /* by the round of samples */
  int64_t occupied_since_us;

  /* Its guests' agents. */
  gboolean listened;        /* to its own agent's channel */
  unsigned agent_in_flight; /* the tag of the AGENT request under way; 0: none */
  gboolean agent_stale;     /* its answer may be another agent's */
  CagmaAgentKnown agent;    /* whether its QEMU guest agent knows the memory commands */
  int64_t agent_next_us;    /* not asked again before, after it failed … */
  int64_t agent_backoff_us; /* … for longer each time, until there is another one … */
  int64_t agent_hung_us;    /* … unless it lately held the worker that asked it; 0: it never did */
  int64_t agent_asked_us;
  CagmaReadBack read_back;
  int64_t load_next_us;    /* its load isn't asked for before, by either way */
  unsigned stats_period_s; /* asked for by us; 0: not */
  gboolean stats_period_due;
  int64_t stats_period_next_us; /* not tried again before */
  gboolean describe_again;      /* its last description failed */
  uint64_t previous_target_kib; /* what libvirt was last asked for: holds if the next is refused */
  gboolean resumed;             /* its target is what an earlier daemon announced */
  char *complaint;              /* what was last logged of it … */
  int64_t complained_us;        /* … and when */
  int64_t lost_us;              /* since when losses of its agent are counted … */
  unsigned n_lost;              /* … and how many there were */

  /* What was decided last, and what is told of it. */
  CagmaDecision decision;
  gboolean decided;
  int64_t change_kib;
  char *changed; /* ISO 8601, UTC */
  gboolean status_written;
  int64_t status_us;
  CagmaState status_state;
  CagmaWhy status_why;
  uint64_t status_target_kib;
  uint64_t status_guarantee_kib;
  uint64_t status_limit_kib;
  uint64_t would_kib; /* dry run: what was last said */
} CagmaManaged;

CagmaManaged *cagma_managed_new(const char *uuid, const char *name, int id, int64_t now_us);
void cagma_managed_free(CagmaManaged *managed);

/* Logs a warning, unless it is what was lately said: most troubles come back each period. */
void cagma_managed_complain(CagmaManaged *managed, const char *message);

/* Takes over a description; xml is transferred. Keeps what was learned. */
void cagma_managed_describe(CagmaManaged *managed, CagmaDomainXml *xml, gboolean paused,
                            const CagmaConf *conf);

/* Sets policy.hold from what is known: the first reason there is. */
void cagma_managed_update_hold(CagmaManaged *managed);

/* TRUE where a configuration exists that can't be followed. */
gboolean cagma_managed_is_invalid(const CagmaManaged *managed);
