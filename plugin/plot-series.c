/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/plot-series.h"

static void
panel_free(gpointer data)
{
  CagmaPlotPanel *panel = data;

  g_free(panel->name);
  g_free(panel->points);
  g_free(panel);
}

static CagmaPlotPoint
sum_at(const CagmaPlotPanel *panel, const CagmaSimTrace *trace, size_t at)
{
  CagmaPlotPoint sum = { 0 };

  for (size_t i = panel->first; i < panel->first + panel->n_guests; i++) {
    const CagmaSimPoint *point = &trace->points[i * trace->n_points + at];

    sum.allocated_mib += (double)point->allocated_mib;
    sum.needed_mib += (double)point->needed_mib;
    sum.short_mib += (double)point->short_mib;
    sum.swap_mib_per_s += (double)point->swap_mib_per_s;
  }
  return sum;
}

/* How much is missing; among moments at which nothing is, how nearly. */
static gboolean
is_worse(const CagmaPlotPoint *a, const CagmaPlotPoint *b)
{
  if (a->short_mib != b->short_mib)
    return a->short_mib > b->short_mib;
  return a->needed_mib - a->allocated_mib > b->needed_mib - b->allocated_mib;
}

static CagmaPlotPoint
worst_of(const CagmaPlotPanel *panel, const CagmaSimTrace *trace, size_t from, size_t to)
{
  CagmaPlotPoint worst = sum_at(panel, trace, from);
  double swap = worst.swap_mib_per_s;

  for (size_t at = from + 1; at < to; at++) {
    CagmaPlotPoint point = sum_at(panel, trace, at);

    swap += point.swap_mib_per_s;
    if (is_worse(&point, &worst))
      worst = point;
  }
  worst.swap_mib_per_s = swap / (double)(to - from);
  return worst;
}

static void
add_points(CagmaPlotPanel *panel, const CagmaSimTrace *trace, size_t n_points)
{
  panel->n_points = MIN(n_points, trace->n_points);
  panel->points = g_new0(CagmaPlotPoint, panel->n_points);
  for (size_t i = 0; i < panel->n_points; i++)
    panel->points[i] = worst_of(panel, trace, i * trace->n_points / panel->n_points,
                                (i + 1) * trace->n_points / panel->n_points);
}

static void
add_figures(CagmaPlotPanel *panel, const CagmaSimResult *result)
{
  for (size_t i = panel->first; i < panel->first + panel->n_guests; i++) {
    panel->stall_s += result->guests[i].stall_s;
    panel->short_mib_s += result->guests[i].short_mib_s;
  }
}

static void
add_entry(CagmaPlotPanel *panel, const CagmaSimGuest *entry, size_t count)
{
  uint64_t limit_kib = entry->config.limit_kib ? entry->config.limit_kib : entry->memory_kib;

  panel->n_guests += count;
  panel->guarantee_mib += (double)entry->config.guarantee_kib * (double)count / 1024;
  panel->limit_mib += (double)limit_kib * (double)count / 1024;
}

static CagmaPlotPanel *
new_panel(GPtrArray *panels, size_t first, char *name, const CagmaSimGuest *entry)
{
  CagmaPlotPanel *panel = g_new0(CagmaPlotPanel, 1);

  panel->first = first;
  panel->name = name;
  panel->entry = entry;
  g_ptr_array_add(panels, panel);
  return panel;
}

static void
add_each_guest(GPtrArray *panels, const CagmaScenario *scenario)
{
  size_t guest = 0;

  for (size_t i = 0; i < scenario->n_guests; i++) {
    const CagmaSimGuest *entry = &scenario->guests[i];

    for (uint32_t number = 1; number <= entry->count; number++, guest++)
      add_entry(new_panel(panels, guest, cagma_sim_guest_name(entry, number), entry), entry, 1);
  }
}

static void
add_each_entry(GPtrArray *panels, const CagmaScenario *scenario)
{
  gboolean all = scenario->n_guests <= CAGMA_PLOT_PANELS;
  size_t n_own = all ? scenario->n_guests : CAGMA_PLOT_PANELS - 1;
  CagmaPlotPanel *others = NULL;
  size_t guest = 0;

  for (size_t i = 0; i < scenario->n_guests; i++) {
    const CagmaSimGuest *entry = &scenario->guests[i];

    if (i < n_own)
      add_entry(new_panel(panels, guest, g_strdup(entry->name), entry), entry, entry->count);
    else if (!others)
      others = new_panel(panels, guest, g_strdup("all others"), NULL);
    if (i >= n_own)
      add_entry(others, entry, entry->count);
    guest += entry->count;
  }
}

size_t
cagma_plot_n_panels(const CagmaScenario *scenario)
{
  size_t count = cagma_scenario_count(scenario);

  return count <= CAGMA_PLOT_PANELS ? count : MIN(scenario->n_guests, CAGMA_PLOT_PANELS);
}

GPtrArray *
cagma_plot_panels(const CagmaScenario *scenario, const CagmaSimResult *result, const CagmaSimTrace *trace,
                  size_t n_points)
{
  GPtrArray *panels = g_ptr_array_new_with_free_func(panel_free);

  if (cagma_scenario_count(scenario) <= CAGMA_PLOT_PANELS)
    add_each_guest(panels, scenario);
  else
    add_each_entry(panels, scenario);
  for (guint i = 0; i < panels->len; i++) {
    add_figures(panels->pdata[i], result);
    add_points(panels->pdata[i], trace, n_points);
  }
  return panels;
}
