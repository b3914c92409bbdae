/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/sim.h"

/* A run of the simulator as one picture: an SVG document without scripts or links, black
 * on white. A panel for each guest, or each entry (plot-series.h), on one axis of time:
 * what it had, what it needed, what was missing, its guarantee and limit in MiB, and its
 * swapping below, in MiB/s. */

typedef struct {
  const CagmaScenario *scenario; /* names in it may be anything */
  const char *policy;
  const CagmaSimResult *result;
  const CagmaSimTrace *trace;
} CagmaPlot;

/* The document, UTF-8. Free with g_free. */
char *cagma_plot_svg(const CagmaPlot *plot);
