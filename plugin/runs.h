/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "plugin/contestants.h"

/* Scenarios run under one contestant after the other, and what that did to the guests, for
 * people and as JSON. */

/* A run, and its result. Cleared by cagma_run_clear. */
typedef struct {
  char *name; /* the contestant's, as it is shown */
  const CagmaScenario *scenario;
  CagmaContestant contestant; /* empty: the oracle */
  CagmaSimTrace *trace;       /* filled in where not NULL */
  CagmaSimResult result;
} CagmaRun;

void cagma_run_clear(CagmaRun *run);

/* Runs it. Where stderr is a terminal, it is said there how far it is. */
void cagma_run_go(CagmaRun *run);

/* A table with a row for each run, and with guests one for each guest below it. The runs'
 * scenarios have the same guests. Free with g_free. */
char *cagma_runs_format(const CagmaRun *runs, size_t n, gboolean guests, gboolean color);

/* Adds an array, an object for each run. */
void cagma_runs_add_json(const CagmaRun *runs, size_t n, JsonBuilder *builder);

/* Adds an object that says which scenario it is. */
void cagma_scenario_add_json(const CagmaScenario *scenario, JsonBuilder *builder);

/* leave or reclaim. */
const char *cagma_surplus_name(CagmaSurplus surplus);
/* FALSE for what is neither. */
gboolean cagma_surplus_from_name(const char *name, CagmaSurplus *surplus);
