/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "policy/sim/oracle.h"

/* A scenario, and what became of its guests under each of the systems compared. */

typedef enum {
  NONE,
  MOM,
  PROXMOX,
  QUBES,
  SQUEEZED,
  CLASSIC,
  N_OTHERS,
  CAGMA = N_OTHERS,
  ORACLE,
  AMPLE, /* none, but each guest has its whole <memory>: what it stalls anyway */
  N_CONTESTANTS,
} Contestant;

typedef struct {
  CagmaScenario *scenario;
  CagmaSimResult results[N_CONTESTANTS];
  double guest_s;
  Contestant best;   /* of the others: who stalls least */
  gboolean has_room; /* to be better in than the best */
  char *failure;     /* what ours doesn't meet of the criterion; NULL: nothing */
} Case;

typedef struct {
  unsigned runs; /* simulations of the oracle's search … */
  gboolean sees; /* … in whose place a plan is made by what is in sight */
  CagmaSight sight;
  uint32_t without; /* rules of ours left out, CagmaRule bits */
} ContestSettings;

const char *contestant_name(Contestant contestant);

/* Takes the scenario, which must have passed its check. Free with case_free. */
Case *case_new(CagmaScenario *scenario);
void case_free(gpointer at);

/* Runs all contestants over all cases (Case), on all processors. */
void contest_run(GPtrArray *cases, const ContestSettings *settings);

double case_stall_s(const Case *c, Contestant contestant);
/* The part of the guests' time that is lost. */
double case_stalled(const Case *c, Contestant contestant);
double case_best_s(const Case *c);
/* Whether ours is no worse than the other, but for what doesn't matter. */
gboolean case_is_no_worse(const Case *c, Contestant other);
/* Where there is room: 0 where ours is as good as the oracle, 1 as the best of the others. */
double case_distance(const Case *c);
