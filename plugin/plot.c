/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/plot.h"

#include <math.h>
#include <string.h>

#include "plugin/plot-series.h"
#include "policy/units.h"
#include "xml/error.h"
#include "xml/size.h"

/* Lengths are pixels. */
#define WIDTH 1280
#define MARGIN 28
#define FOOTER 18
#define AXIS 62 /* room for figures on the left of a panel */
#define TITLE 26
#define SWAP_GAP 7
#define SWAP_HEIGHT 26
#define ROW_GAP 14
#define COLUMN_GAP 26
#define SAMPLE 22 /* in the legend */
/* A point is at least this wide. */
#define POINT 1.5
/* A panel below this has no room for all figures above it. */
#define NARROW 400

#define MINUTE_US (60 * CAGMA_SECOND_US)
/* Of a character of the panels' and of the small text, on the safe side. */
#define NAME_CHAR 8.5
#define SMALL_CHAR 6.4
#define TEXT_CHARS 170
#define NAME_CHARS 40
#define DESCRIPTION_LINES 3
/* The header's lines: the first of the description, from one to the next, and from its last
 * to the figures, the legend and the panels. */
#define DESCRIPTION 62
#define LINE 17
#define TO_FIGURES 24
#define TO_LEGEND 50
#define TO_PANELS 72

#define DARK "#1f2933"
#define GREY "#5f6b76"
#define PALE "#e4e8ec"
#define ALLOCATED "#3a7fb8"
#define ALLOCATED_FILL "#d8e7f4"
#define SHORT_FILL "#f4a698"
#define SWAPPED "#c2410c"

/* Attributes of the lines that bound an allocation. */
#define BOUND "stroke=\"" GREY "\" stroke-dasharray="
#define GUARANTEE "\"2 3\""
#define LIMIT "\"7 4\""

#define FONTS "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
/* Small, end, middle, name, halo, grid. */
#define STYLE                                                                                                \
  ".s{font-size:11px}.e{text-anchor:end}.m{text-anchor:middle}.n{font-weight:600}"                           \
  ".h{paint-order:stroke;stroke:#fff;stroke-width:3px}.g{stroke:" PALE "}"

typedef struct {
  GString *svg;
  const CagmaPlot *plot;
  GPtrArray *panels;
  GPtrArray *description; /* its lines */
  double below;           /* where its last one is */
  unsigned columns;
  double panel_width; /* of what is drawn, without the axis' figures */
  double panel_height;
  double row; /* from one panel to the one below */
  double height;
  double top_mib; /* one scale for all panels; 0: each has its own */
  double top_swap_mib_per_s;
} Picture;

/* Where one panel is drawn. */
typedef struct {
  double left;
  double top;
  double top_mib;
} Place;

/* printf would write the locale's decimal point. */
static void
add_px(GString *svg, double px)
{
  long tenths = lround(px * 10);

  g_string_append_printf(svg, tenths % 10 ? "%s%ld.%ld" : "%s%ld", tenths < 0 ? "-" : "", labs(tenths) / 10,
                         labs(tenths) % 10);
}

static void
add_attribute(GString *svg, const char *name, double px)
{
  g_string_append_printf(svg, " %s=\"", name);
  add_px(svg, px);
  g_string_append_c(svg, '"');
}

/* What XML can't hold, not even escaped, is replaced like other characters that aren't
 * printable. */
static void
add_text(GString *svg, const char *text, gsize max_chars)
{
  g_autofree char *printable = cagma_printable(text, max_chars);
  g_autoptr(GString) clean = g_string_new(NULL);
  g_autofree char *escaped = NULL;

  for (const char *p = printable; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);

    g_string_append_unichar(clean, c == 0xfffe || c == 0xffff ? 0xfffd : c);
  }
  escaped = g_markup_escape_text(clean->str, -1);
  g_string_append(svg, escaped);
}

static void
add_label(GString *svg, double x, double y, const char *attributes, const char *text)
{
  g_string_append(svg, "<text");
  add_attribute(svg, "x", x);
  add_attribute(svg, "y", y);
  g_string_append_printf(svg, " %s>", attributes);
  add_text(svg, text, TEXT_CHARS);
  g_string_append(svg, "</text>\n");
}

static void
add_line(GString *svg, double x1, double y1, double x2, double y2, const char *attributes)
{
  g_string_append(svg, "<line");
  add_attribute(svg, "x1", x1);
  add_attribute(svg, "y1", y1);
  add_attribute(svg, "x2", x2);
  add_attribute(svg, "y2", y2);
  g_string_append_printf(svg, " %s/>\n", attributes);
}

static void
add_rect(GString *svg, double x, double y, double width, double height, const char *attributes)
{
  g_string_append(svg, "<rect");
  add_attribute(svg, "x", x);
  add_attribute(svg, "y", y);
  add_attribute(svg, "width", width);
  add_attribute(svg, "height", height);
  g_string_append_printf(svg, " %s/>\n", attributes);
}

/* "1234", "12.3", "0.45": three figures, all of those before the point. */
static char *
figure(double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  const char *format = value >= 99.95 ? "%.0f" : value >= 9.995 ? "%.1f" : value >= 0.005 ? "%.2f" : "%.0f";

  return g_strdup(g_ascii_formatd(text, sizeof(text), format, value));
}

static char *
size(double mib)
{
  uint64_t kib = (uint64_t)(mib * 1024 + 0.5);

  return kib == 0 ? g_strdup("0") : cagma_size_format(kib);
}

/* "24 GiB·s" */
static char *
size_seconds(double mib_s)
{
  g_autofree char *text = size(mib_s);

  return g_str_equal(text, "0") ? g_steal_pointer(&text) : g_strconcat(text, "·s", NULL);
}

/* "90 s", "12 min", "1.5 h": in minutes or hours where steps of this length allow it. */
static char *
duration(int64_t us, int64_t step_us)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  const char *unit = "s";
  int64_t unit_us = CAGMA_SECOND_US;

  if (us == 0)
    return g_strdup("0");
  if (step_us >= 30 * MINUTE_US) {
    unit = "h";
    unit_us = 60 * MINUTE_US;
  } else if (step_us >= MINUTE_US) {
    unit = "min";
    unit_us = MINUTE_US;
  }
  g_ascii_formatd(text, sizeof(text), "%.4g", (double)us / (double)unit_us);
  return g_strdup_printf("%s %s", text, unit);
}

/* The largest of it that a panel has to show; a limit only where it isn't far above. */
static double
top_of(const CagmaPlotPanel *panel)
{
  double top = panel->guarantee_mib;

  for (size_t i = 0; i < panel->n_points; i++) {
    const CagmaPlotPoint *point = &panel->points[i];

    top = MAX(top, MAX(point->allocated_mib + point->short_mib, point->needed_mib));
  }
  if (panel->limit_mib <= top * 2)
    top = MAX(top, panel->limit_mib);
  return MAX(top, 1) * 1.06;
}

/* One scale where all guests can still be seen in it. */
static double
common_top(GPtrArray *panels)
{
  double least = INFINITY, most = 0;

  for (guint i = 0; i < panels->len; i++) {
    double top = top_of(panels->pdata[i]);

    least = MIN(least, top);
    most = MAX(most, top);
  }
  return most <= least * 2.5 ? most : 0;
}

/* 1, 2 or 5 times a power of ten. */
static double
round_up(double value)
{
  double unit = pow(10, floor(log10(value)));

  return value <= unit ? unit : value <= 2 * unit ? 2 * unit : value <= 5 * unit ? 5 * unit : 10 * unit;
}

static double
swap_top(GPtrArray *panels)
{
  double most = 0;

  for (guint i = 0; i < panels->len; i++) {
    const CagmaPlotPanel *panel = panels->pdata[i];

    for (size_t k = 0; k < panel->n_points; k++)
      most = MAX(most, panel->points[k].swap_mib_per_s);
  }
  return round_up(MAX(most, 1));
}

static double
mib_step(double top_mib, double height)
{
  double most = height > 200 ? 6 : 4;
  double step = 1;

  while (top_mib / step > most)
    step *= 2;
  return step;
}

static int64_t
time_step(int64_t duration_us, double width)
{
  static const int steps_s[] = {
    1, 2, 5, 10, 30, /* minutes: */ 60, 120, 300, 600, 1800, 3600, 7200, 4 * 3600
  };
  int64_t most = (int64_t)(width / 60);
  /* Of several minutes nobody wants to read the seconds. */
  size_t i = duration_us < 5 * MINUTE_US ? 0 : 5;

  while (i + 1 < G_N_ELEMENTS(steps_s) && duration_us / (steps_s[i] * CAGMA_SECOND_US) > most)
    i++;
  return steps_s[i] * CAGMA_SECOND_US;
}

static double
x_of(const Picture *picture, const Place *place, int64_t at_us)
{
  int64_t duration_us = picture->plot->scenario->duration_us;

  return place->left + picture->panel_width * (double)MIN(at_us, duration_us) / (double)duration_us;
}

static double
y_of(const Picture *picture, const Place *place, double mib)
{
  return place->top + picture->panel_height * (1 - mib / place->top_mib);
}

/* Where the panel's point i begins. */
static double
x_of_point(const Picture *picture, const Place *place, const CagmaPlotPanel *panel, size_t i)
{
  const CagmaSimTrace *trace = picture->plot->trace;

  return x_of(picture, place, (int64_t)(i * trace->n_points / panel->n_points) * trace->interval_us);
}

typedef double (*Height)(const Picture *picture, const Place *place, const CagmaPlotPoint *point);

static double
y_allocated(const Picture *picture, const Place *place, const CagmaPlotPoint *point)
{
  return y_of(picture, place, point->allocated_mib);
}

static double
y_needed(const Picture *picture, const Place *place, const CagmaPlotPoint *point)
{
  return y_of(picture, place, point->needed_mib);
}

static double
y_short(const Picture *picture, const Place *place, const CagmaPlotPoint *point)
{
  return y_of(picture, place, point->allocated_mib + point->short_mib);
}

static double
swap_base(const Picture *picture, const Place *place)
{
  return place->top + picture->panel_height + SWAP_GAP + SWAP_HEIGHT;
}

static double
y_swap(const Picture *picture, const Place *place, const CagmaPlotPoint *point)
{
  return swap_base(picture, place) - SWAP_HEIGHT * point->swap_mib_per_s / picture->top_swap_mib_per_s;
}

/* The points as a line of steps; where base is a number, as the area down to it. */
static void
add_steps(const Picture *picture, const Place *place, const CagmaPlotPanel *panel, Height height, double base,
          const char *attributes)
{
  GString *svg = picture->svg;
  double last = NAN;

  if (panel->n_points == 0)
    return;
  g_string_append_printf(svg, "<path %s d=\"M", attributes);
  add_px(svg, place->left);
  g_string_append_c(svg, ' ');
  add_px(svg, isnan(base) ? height(picture, place, panel->points) : base);
  for (size_t i = 0; i < panel->n_points; i++) {
    double y = round(height(picture, place, &panel->points[i]) * 10) / 10;

    if (y == last)
      continue;
    g_string_append_c(svg, 'H');
    add_px(svg, x_of_point(picture, place, panel, i));
    g_string_append_c(svg, 'V');
    add_px(svg, y);
    last = y;
  }
  g_string_append_c(svg, 'H');
  add_px(svg, x_of_point(picture, place, panel, panel->n_points));
  if (!isnan(base)) {
    g_string_append_c(svg, 'V');
    add_px(svg, base);
    g_string_append_c(svg, 'Z');
  }
  g_string_append(svg, "\"/>\n");
}

static void
add_mib_axis(const Picture *picture, const Place *place)
{
  double right = place->left + picture->panel_width;
  double step = mib_step(place->top_mib, picture->panel_height);

  for (int i = 0; i * step <= place->top_mib; i++) {
    g_autofree char *label = size(i * step);
    double y = y_of(picture, place, i * step);

    if (i > 0)
      add_line(picture->svg, place->left, y, right, y, "class=\"g\"");
    add_label(picture->svg, place->left - 7, y + 4, "class=\"s e\" fill=\"" GREY "\"", label);
  }
}

static void
add_times(const Picture *picture, const Place *place, gboolean labelled)
{
  int64_t duration_us = picture->plot->scenario->duration_us;
  int64_t step_us = time_step(duration_us, picture->panel_width);
  double base = swap_base(picture, place);

  for (int64_t at_us = 0; at_us <= duration_us; at_us += step_us) {
    g_autofree char *label = duration(at_us, step_us);
    double x = x_of(picture, place, at_us);

    if (at_us > 0 && at_us < duration_us)
      add_line(picture->svg, x, place->top, x, base, "class=\"g\"");
    if (labelled)
      add_label(picture->svg, x, base + 16, "class=\"s m\" fill=\"" GREY "\"", label);
  }
}

static void
add_bound(const Picture *picture, const Place *place, double mib, const char *attributes)
{
  double y = y_of(picture, place, mib);

  if (mib <= place->top_mib)
    add_line(picture->svg, place->left, y, place->left + picture->panel_width, y, attributes);
}

static const char *
name_of(CagmaBefalls what)
{
  switch (what) {
  case CAGMA_BEFALLS_STUCK:
    return "stuck";
  case CAGMA_BEFALLS_MOVES:
    return "moves again";
  case CAGMA_BEFALLS_PRETENDS:
    return "pretends";
  case CAGMA_BEFALLS_TRUTH:
    return "tells the truth";
  case CAGMA_BEFALLS_SHORT:
    return "lies: short";
  case CAGMA_BEFALLS_PLENTY:
    return "lies: plenty";
  case CAGMA_BEFALLS_NONSENSE:
    return "nonsense";
  case CAGMA_BEFALLS_SILENT:
    return "silent";
  case CAGMA_BEFALLS_REBOOT:
    return "reboot";
  case CAGMA_BEFALLS_PAUSE:
    return "paused";
  case CAGMA_BEFALLS_RESUME:
    return "resumed";
  }
  return "?";
}

/* Its name on the first of two lines that has room; on neither where none has. */
static void
add_event_name(const Picture *picture, const Place *place, double x, const char *name, double free_from[2])
{
  double width = (double)g_utf8_strlen(name, -1) * SMALL_CHAR + 8;
  gboolean right = x + width <= place->left + picture->panel_width;
  double left = right ? x : x - width;

  for (int line = 0; line < 2; line++) {
    if (left < free_from[line])
      continue;
    add_label(picture->svg, right ? x + 4 : x - 4, place->top + 11 + line * 13,
              right ? "class=\"s h\"" : "class=\"s h e\"", name);
    free_from[line] = left + width;
    return;
  }
}

static void
add_events(const Picture *picture, const Place *place, const CagmaPlotPanel *panel)
{
  double free_from[2] = { place->left, place->left };

  for (size_t i = 0; panel->entry && i < panel->entry->n_events; i++) {
    const CagmaSimEvent *event = &panel->entry->events[i];
    double x = x_of(picture, place, event->at_us);

    add_line(picture->svg, x, place->top, x, swap_base(picture, place), BOUND "\"1 2\"");
    add_event_name(picture, place, x, name_of(event->what), free_from);
  }
}

static void
add_title(const Picture *picture, const Place *place, const CagmaPlotPanel *panel)
{
  g_autofree char *stall = figure(panel->stall_s);
  g_autofree char *missing = size_seconds(panel->short_mib_s);
  g_autofree char *limit = size(panel->limit_mib);
  g_autofree char *count = panel->n_guests > 1 ? g_strdup_printf("× %zu", panel->n_guests) : g_strdup("");
  g_autofree char *far =
      panel->limit_mib > place->top_mib ? g_strdup_printf(" · limit %s", limit) : g_strdup("");
  g_autofree char *facts = picture->panel_width < NARROW
                               ? g_strdup_printf("stall %s s%s", stall, far)
                               : g_strdup_printf("stall %s s · short %s%s", stall, missing, far);
  double room = picture->panel_width - (double)g_utf8_strlen(facts, -1) * SMALL_CHAR - 16;
  double y = place->top - 9;

  g_string_append(picture->svg, "<text class=\"n\"");
  add_attribute(picture->svg, "x", place->left);
  add_attribute(picture->svg, "y", y);
  g_string_append_c(picture->svg, '>');
  add_text(picture->svg, panel->name, (gsize)MAX(room / NAME_CHAR - (double)g_utf8_strlen(count, -1), 4));
  if (*count)
    g_string_append_printf(picture->svg, "<tspan dx=\"5\" fill=\"" GREY "\">%s</tspan>", count);
  g_string_append(picture->svg, "</text>\n");
  add_label(picture->svg, place->left + picture->panel_width, y, "class=\"s e\" fill=\"" GREY "\"", facts);
}

static void
add_swap(const Picture *picture, const Place *place, const CagmaPlotPanel *panel)
{
  double base = swap_base(picture, place);
  double right = place->left + picture->panel_width;
  g_autofree char *label = g_strdup_printf("%.0f MiB/s", picture->top_swap_mib_per_s);

  add_line(picture->svg, place->left, base - SWAP_HEIGHT, right, base - SWAP_HEIGHT, "class=\"g\"");
  add_steps(picture, place, panel, y_swap, base, "fill=\"" SWAPPED "\"");
  add_line(picture->svg, place->left, base, right, base, "stroke=\"" GREY "\"");
  add_label(picture->svg, place->left - 7, base - SWAP_HEIGHT + 10, "class=\"s e\" fill=\"" SWAPPED "\"",
            label);
}

static void
add_panel(const Picture *picture, guint i, double left, double top)
{
  const CagmaPlotPanel *panel = picture->panels->pdata[i];
  Place place = { left, top, picture->top_mib > 0 ? picture->top_mib : top_of(panel) };
  double bottom = y_of(picture, &place, 0);

  g_string_append(picture->svg, "<g>\n<title>");
  add_text(picture->svg, panel->name, TEXT_CHARS);
  g_string_append(picture->svg, "</title>\n");
  add_title(picture, &place, panel);
  add_steps(picture, &place, panel, y_short, bottom, "fill=\"" SHORT_FILL "\"");
  add_steps(picture, &place, panel, y_allocated, bottom, "fill=\"" ALLOCATED_FILL "\"");
  add_times(picture, &place, i + picture->columns >= picture->panels->len);
  add_mib_axis(picture, &place);
  add_bound(picture, &place, panel->guarantee_mib, BOUND GUARANTEE);
  add_bound(picture, &place, panel->limit_mib, BOUND LIMIT);
  add_steps(picture, &place, panel, y_allocated, NAN,
            "fill=\"none\" stroke=\"" ALLOCATED "\" stroke-width=\"1.4\"");
  add_steps(picture, &place, panel, y_needed, NAN, "fill=\"none\" stroke=\"" DARK "\" stroke-width=\"1.4\"");
  add_line(picture->svg, left, bottom, left + picture->panel_width, bottom, "stroke=\"" GREY "\"");
  add_swap(picture, &place, panel);
  add_events(picture, &place, panel);
  g_string_append(picture->svg, "</g>\n");
}

/* Lines of at most TEXT_CHARS; what is left after the last one is left out. */
static GPtrArray *
lines_of(const char *text)
{
  GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *printable = cagma_printable(text, DESCRIPTION_LINES * TEXT_CHARS);
  const char *at = printable;

  while (*at && lines->len < DESCRIPTION_LINES) {
    const char *end = g_utf8_strlen(at, -1) > TEXT_CHARS ? g_utf8_offset_to_pointer(at, TEXT_CHARS) : NULL;
    const char *space = end ? g_utf8_strrchr(at, end - at, ' ') : NULL;
    gssize length = space ? space - at : end ? end - at : (gssize)strlen(at);

    g_ptr_array_add(lines, g_strndup(at, (gsize)length));
    at += length;
    at += *at == ' ';
  }
  return lines;
}

static void
add_heading(const Picture *picture)
{
  GString *svg = picture->svg;

  g_string_append_printf(svg, "<text x=\"%d\" y=\"40\" font-size=\"21\" font-weight=\"600\">", MARGIN);
  add_text(svg, picture->plot->scenario->name, NAME_CHARS);
  g_string_append(svg, "<tspan dx=\"7\" fill=\"" GREY "\" font-weight=\"400\">under</tspan>");
  g_string_append(svg, "<tspan dx=\"7\">");
  add_text(svg, picture->plot->policy, NAME_CHARS);
  g_string_append(svg, "</tspan></text>\n");
}

static void
add_facts(const Picture *picture)
{
  const CagmaScenario *scenario = picture->plot->scenario;
  g_autofree char *host = cagma_size_format(scenario->memory_kib);
  g_autofree char *reserve = cagma_size_format(scenario->reserve_kib);
  g_autofree char *lasts = duration(scenario->duration_us, scenario->duration_us / 2);
  size_t count = cagma_scenario_count(scenario);
  g_autofree char *facts = g_strdup_printf("Host %s, reserve %s · %zu guest%s · %s · seed %u", host, reserve,
                                           count, count == 1 ? "" : "s", lasts, scenario->seed);

  add_label(picture->svg, WIDTH - MARGIN, 40, "class=\"e\" fill=\"" GREY "\"", facts);
}

static void
add_figures(const Picture *picture)
{
  const CagmaSimFigures *total = &picture->plot->result->total;
  g_autofree char *stall = figure(total->stall_s);
  g_autofree char *missing = size_seconds(total->short_mib_s);
  g_autofree char *in = size(total->swapped_in_mib);
  g_autofree char *out = size(total->swapped_out_mib);
  g_autofree char *moved = size(total->moved_mib);
  g_autofree char *figures = g_strdup_printf("Stall %s s · short %s · swapped in %s, out %s · moved %s",
                                             stall, missing, in, out, moved);

  add_label(picture->svg, MARGIN, picture->below + TO_FIGURES, "font-weight=\"600\"", figures);
}

static void
add_description(const Picture *picture)
{
  for (guint i = 0; i < picture->description->len; i++)
    add_label(picture->svg, MARGIN, DESCRIPTION + (double)i * LINE, "fill=\"" GREY "\"",
              picture->description->pdata[i]);
}

static void
add_legend(const Picture *picture)
{
  static const struct {
    const char *label;
    double width;
    const char *fill; /* of the area */
    const char *line; /* its attributes */
    double above;     /* where it is drawn */
  } entries[] = {
    { "allocated", 112, ALLOCATED_FILL, "stroke=\"" ALLOCATED "\" stroke-width=\"1.6\"", 9 },
    { "needed", 98, NULL, "stroke=\"" DARK "\" stroke-width=\"1.6\"", 4 },
    { "missing", 102, SHORT_FILL, NULL, 0 },
    { "swapped in and out", 178, SWAPPED, NULL, 0 },
    { "guarantee", 118, NULL, BOUND GUARANTEE, 4 },
    { "limit", 90, NULL, BOUND LIMIT, 4 },
  };
  GString *svg = picture->svg;
  double x = MARGIN, y = picture->below + TO_LEGEND;

  for (size_t i = 0; i < G_N_ELEMENTS(entries); i++) {
    g_autofree char *fill = g_strdup_printf("fill=\"%s\"", entries[i].fill);

    if (entries[i].fill)
      add_rect(svg, x, y - 9, SAMPLE, 10, fill);
    if (entries[i].line)
      add_line(svg, x, y - entries[i].above, x + SAMPLE, y - entries[i].above, entries[i].line);
    add_label(svg, x + SAMPLE + 6, y, "", entries[i].label);
    x += entries[i].width;
  }
  if (picture->top_mib == 0)
    add_label(svg, WIDTH - MARGIN, y, "class=\"e\" fill=\"" GREY "\"",
              "each panel has its own scale of memory");
}

static void
lay_out(Picture *picture, guint n)
{
  guint rows;

  picture->columns = n <= 4 ? 1 : n <= 8 ? 2 : 3;
  rows = (n + picture->columns - 1) / picture->columns;
  picture->panel_width =
      (WIDTH - 2 * MARGIN - (picture->columns - 1) * COLUMN_GAP) / (double)picture->columns - AXIS;
  picture->panel_height = n == 1 ? 340 : n == 2 ? 230 : n == 3 ? 180 : 140;
  picture->row = TITLE + picture->panel_height + SWAP_GAP + SWAP_HEIGHT + ROW_GAP;
  picture->below = DESCRIPTION + ((double)picture->description->len - 1) * LINE;
  picture->height = picture->below + TO_PANELS + rows * picture->row + FOOTER;
}

static void
add_panels(const Picture *picture)
{
  for (guint i = 0; i < picture->panels->len; i++) {
    guint column = i % picture->columns, row = i / picture->columns;

    add_panel(picture, i, MARGIN + AXIS + column * (AXIS + picture->panel_width + COLUMN_GAP),
              picture->below + TO_PANELS + TITLE + row * picture->row);
  }
}

static void
add_document(const Picture *picture)
{
  GString *svg = picture->svg;

  g_string_append_printf(
      svg,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"%d\" height=\"%.0f\" "
      "viewBox=\"0 0 %d %.0f\" font-family=\"" FONTS "\" font-size=\"13\" fill=\"" DARK "\">\n<style>" STYLE
      "</style>\n",
      WIDTH, picture->height, WIDTH, picture->height);
  g_string_append(svg, "<title>");
  add_text(svg, picture->plot->scenario->name, TEXT_CHARS);
  g_string_append(svg, "</title>\n");
  add_rect(svg, 0, 0, WIDTH, picture->height, "fill=\"#fff\"");
  add_heading(picture);
  add_facts(picture);
  add_description(picture);
  add_figures(picture);
  add_legend(picture);
  add_panels(picture);
  g_string_append(svg, "</svg>\n");
}

char *
cagma_plot_svg(const CagmaPlot *plot)
{
  g_autoptr(GPtrArray) panels = NULL;
  g_autoptr(GPtrArray) description = lines_of(plot->scenario->description);
  Picture picture = { .svg = g_string_new(NULL), .plot = plot, .description = description };

  lay_out(&picture, (guint)cagma_plot_n_panels(plot->scenario));
  panels =
      cagma_plot_panels(plot->scenario, plot->result, plot->trace, (size_t)(picture.panel_width / POINT));
  picture.panels = panels;
  picture.top_mib = common_top(panels);
  picture.top_swap_mib_per_s = swap_top(panels);
  add_document(&picture);
  return g_string_free(picture.svg, FALSE);
}
