/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>

#include "policy/sim/sim.h"

/* What a picture's panels show (plot.h): a guest each where there are few, else the sums
 * of each entry's guests, and in the last panel those of all entries that are left. */

#define CAGMA_PLOT_PANELS 12

typedef struct {
  double allocated_mib;
  double needed_mib;
  double short_mib; /* of each guest's need, what has no room */
  double swap_mib_per_s;
} CagmaPlotPoint;

typedef struct {
  char *name;                 /* as the scenario has it: not to be shown unescaped */
  const CagmaSimGuest *entry; /* the scenario's; NULL: several entries */
  size_t first;               /* guest */
  size_t n_guests;
  double guarantee_mib; /* sums, of guests that run or not */
  double limit_mib;
  double stall_s;
  double short_mib_s;
  CagmaPlotPoint *points;
  size_t n_points;
} CagmaPlotPanel;

size_t cagma_plot_n_panels(const CagmaScenario *scenario);

/* n_points is the most that a panel has. Where the trace has more, a point is the moment
 * among several at which most was missing, so that no shortage is lost, with their mean
 * swap rate. Returns CagmaPlotPanel; free with g_ptr_array_unref. */
GPtrArray *cagma_plot_panels(const CagmaScenario *scenario, const CagmaSimResult *result,
                             const CagmaSimTrace *trace, size_t n_points);
