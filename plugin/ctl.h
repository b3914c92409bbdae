/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "policy/config.h"

/* cagmactl's commands. Each returns the exit status. */

#define CAGMA_EXIT_OK 0
#define CAGMA_EXIT_FAILED 1 /* what was asked for isn't so: no such domain, an invalid file */
#define CAGMA_EXIT_USAGE 2
#define CAGMA_EXIT_NO_DAEMON 3

typedef struct {
  const char *run_dir;
  gboolean json;
  gboolean color;      /* stdout is a terminal that wants colour */
  int interval_ms;     /* top */
  int count;           /* top; 0: for ever */
  const char *caption; /* top: a file */
  const char *uri;     /* enable, disable */
  gboolean dry_run;
  CagmaConfig config; /* enable: what was asked for is marked as given */
  /* simulate, replay; NULL where nothing is asked for */
  char **policies; /* each one or several with commas between */
  gint64 seed;     /* -1: the scenario's */
  const char *surplus;
  char **without;   /* rules; as policies */
  const char *plot; /* a file */
  const char *plot_policy;
  gboolean guests; /* a row for each */
  /* replay */
  gboolean all;         /* no limit on what is shown */
  const char *explain;  /* a domain */
  const char *at;       /* a time */
  const char *scenario; /* a file */
} CagmaCtl;

int cagma_ctl_status(const CagmaCtl *ctl, int argc, char **argv);
int cagma_ctl_explain(const CagmaCtl *ctl, int argc, char **argv);
int cagma_ctl_top(const CagmaCtl *ctl, int argc, char **argv);
int cagma_ctl_enable(const CagmaCtl *ctl, int argc, char **argv);
int cagma_ctl_disable(const CagmaCtl *ctl, int argc, char **argv);
int cagma_ctl_simulate(const CagmaCtl *ctl, int argc, char **argv);
int cagma_ctl_replay(const CagmaCtl *ctl, int argc, char **argv);
int cagma_ctl_check(const CagmaCtl *ctl, int argc, char **argv);
