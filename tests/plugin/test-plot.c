/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <math.h>
#include <string.h>

#include "plugin/plot-series.h"
#include "plugin/plot.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"

/* A scenario with its run, laid down by hand. */
typedef struct {
  CagmaScenario *scenario;
  CagmaSimResult result;
  CagmaSimTrace trace;
} Fixture;

/* Entries named a, b, c …: 256 MiB guaranteed, at most 1500. */
static void
fixture_init(Fixture *f, size_t n_entries, uint32_t count, size_t n_points)
{
  *f = (Fixture){ .scenario = g_new0(CagmaScenario, 1) };
  cagma_scenario_init(f->scenario);
  g_free(f->scenario->name);
  f->scenario->name = g_strdup("test");
  g_free(f->scenario->description);
  f->scenario->description = g_strdup("One line.");
  f->scenario->duration_us = 10 * CAGMA_SECOND_US;
  f->scenario->guests = g_new0(CagmaSimGuest, n_entries);
  f->scenario->n_guests = n_entries;
  for (size_t i = 0; i < n_entries; i++) {
    CagmaSimGuest *guest = &f->scenario->guests[i];

    cagma_sim_guest_init(guest);
    g_free(guest->name);
    guest->name = g_strdup_printf("%c", (char)('a' + i));
    guest->count = count;
    guest->memory_kib = CAGMA_MIB(2000);
    guest->config.guarantee_kib = CAGMA_MIB(256);
    guest->config.limit_kib = CAGMA_MIB(1500);
  }
  f->result.n_guests = n_entries * count;
  f->result.guests = g_new0(CagmaSimFigures, f->result.n_guests);
  f->trace.interval_us = n_points ? f->scenario->duration_us / (int64_t)n_points : CAGMA_SECOND_US;
  f->trace.n_points = n_points;
  f->trace.n_guests = f->result.n_guests;
  f->trace.points = g_new0(CagmaSimPoint, n_points * f->trace.n_guests + 1);
}

static void
fixture_clear(Fixture *f)
{
  cagma_scenario_free(f->scenario);
  cagma_sim_result_clear(&f->result);
  cagma_sim_trace_clear(&f->trace);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void
set_point(Fixture *f, size_t guest, size_t at, float allocated, float needed, float swap)
{
  f->trace.points[guest * f->trace.n_points + at] = (CagmaSimPoint){ .allocated_mib = allocated,
                                                                     .needed_mib = needed,
                                                                     .short_mib = MAX(needed - allocated, 0),
                                                                     .swap_mib_per_s = swap };
}

static char *
draw(const Fixture *f)
{
  const CagmaPlot plot = { f->scenario, "cagma", &f->result, &f->trace };

  return cagma_plot_svg(&plot);
}

static GPtrArray *
panels_of(const Fixture *f, size_t n_points)
{
  return cagma_plot_panels(f->scenario, &f->result, &f->trace, n_points);
}

/* Well-formed, and of nothing but what a picture needs. */
static xmlDocPtr
parse(const char *svg)
{
  static const char *const elements[] = { "svg",   "style", "title", "rect", "text",
                                          "tspan", "line",  "path",  "g" };
  xmlDocPtr document = xmlReadMemory(svg, (int)strlen(svg), "plot.svg", NULL, XML_PARSE_NONET);

  g_assert_nonnull(document);
  for (xmlNodePtr node = xmlDocGetRootElement(document); node;) {
    gboolean known = node->type != XML_ELEMENT_NODE;

    for (size_t i = 0; !known && i < G_N_ELEMENTS(elements); i++)
      known = g_str_equal((const char *)node->name, elements[i]);
    if (!known)
      g_error("draws a <%s>", (const char *)node->name);
    if (node->children) {
      node = node->children;
      continue;
    }
    while (node && !node->next)
      node = node->parent;
    node = node ? node->next : NULL;
  }
  return document;
}

static void
test_a_panel_each(void)
{
  g_auto(Fixture) f;
  g_autoptr(GPtrArray) panels = NULL;
  const CagmaPlotPanel *panel;

  fixture_init(&f, 2, 2, 2);
  set_point(&f, 3, 0, 512, 300, 0);
  set_point(&f, 3, 1, 512, 700, 8);
  f.result.guests[3] = (CagmaSimFigures){ .stall_s = 1.5, .short_mib_s = 940 };
  f.scenario->guests[1].config.limit_kib = 0;
  panels = panels_of(&f, 100);

  g_assert_cmpuint(cagma_plot_n_panels(f.scenario), ==, 4);
  g_assert_cmpuint(panels->len, ==, 4);
  panel = panels->pdata[3];
  g_assert_cmpuint(panel->n_guests, ==, 1);
  g_assert_true(panel->entry == &f.scenario->guests[1]);
  g_assert_cmpfloat(panel->guarantee_mib, ==, 256);
  /* No limit: its <memory>. */
  g_assert_cmpfloat(panel->limit_mib, ==, 2000);
  g_assert_cmpfloat(panel->stall_s, ==, 1.5);
  g_assert_cmpfloat(panel->short_mib_s, ==, 940);
  g_assert_cmpuint(panel->n_points, ==, 2);
  g_assert_cmpfloat(panel->points[0].allocated_mib, ==, 512);
  g_assert_cmpfloat(panel->points[0].needed_mib, ==, 300);
  g_assert_cmpfloat(panel->points[0].short_mib, ==, 0);
  g_assert_cmpfloat(panel->points[1].short_mib, ==, 188);
  g_assert_cmpfloat(panel->points[1].swap_mib_per_s, ==, 8);
}

/* What one guest has too much of doesn't hide what another lacks. */
static void
test_sums_of_entries(void)
{
  g_auto(Fixture) f;
  g_autoptr(GPtrArray) panels = NULL;
  const CagmaPlotPanel *panel;

  fixture_init(&f, 2, 7, 1);
  for (size_t i = 0; i < 14; i++)
    f.result.guests[i].stall_s = (double)i;
  set_point(&f, 7, 0, 500, 200, 1);
  set_point(&f, 8, 0, 300, 400, 2);
  panels = panels_of(&f, 100);

  g_assert_cmpuint(cagma_plot_n_panels(f.scenario), ==, 2);
  g_assert_cmpuint(panels->len, ==, 2);
  panel = panels->pdata[1];
  g_assert_cmpstr(panel->name, ==, "b");
  g_assert_cmpuint(panel->n_guests, ==, 7);
  g_assert_cmpfloat(panel->guarantee_mib, ==, 7 * 256);
  g_assert_cmpfloat(panel->limit_mib, ==, 7 * 1500);
  g_assert_cmpfloat(panel->stall_s, ==, 7 + 8 + 9 + 10 + 11 + 12 + 13);
  g_assert_cmpfloat(panel->points[0].allocated_mib, ==, 800);
  g_assert_cmpfloat(panel->points[0].needed_mib, ==, 600);
  g_assert_cmpfloat(panel->points[0].short_mib, ==, 100);
  g_assert_cmpfloat(panel->points[0].swap_mib_per_s, ==, 3);
}

static void
test_sum_of_the_others(void)
{
  g_auto(Fixture) f;
  g_autoptr(GPtrArray) panels = NULL;
  const CagmaPlotPanel *others;

  fixture_init(&f, 14, 2, 1);
  for (size_t i = 0; i < 28; i++)
    set_point(&f, i, 0, (float)(i + 1), 0, 0);
  panels = panels_of(&f, 100);

  g_assert_cmpuint(panels->len, ==, CAGMA_PLOT_PANELS);
  g_assert_cmpuint(cagma_plot_n_panels(f.scenario), ==, CAGMA_PLOT_PANELS);
  others = panels->pdata[CAGMA_PLOT_PANELS - 1];
  g_assert_null(others->entry);
  g_assert_cmpuint(others->n_guests, ==, 6);
  g_assert_cmpfloat(others->points[0].allocated_mib, ==, 23 + 24 + 25 + 26 + 27 + 28);
}

/* Of several moments the one at which most is missing, else the one at which least is
 * left; their mean swap rate. */
static void
test_worst_moment(void)
{
  static const struct {
    float needed[3];
    double drawn;
  } cases[] = {
    { { 100, 200, 150 }, 200 },
    { { 550, 900, 600 }, 900 },
    { { 100, 100, 501 }, 501 },
    { { 501, 0, 0 }, 501 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Fixture) f;
    g_autoptr(GPtrArray) panels = NULL;
    const CagmaPlotPanel *panel;

    fixture_init(&f, 1, 1, 6);
    for (size_t k = 0; k < 3; k++) {
      set_point(&f, 0, k, 1, 0, 0);
      set_point(&f, 0, 3 + k, 500, cases[i].needed[k], (float)k);
    }
    panels = panels_of(&f, 2);
    panel = panels->pdata[0];
    g_assert_cmpuint(panel->n_points, ==, 2);
    g_assert_cmpfloat(panel->points[1].needed_mib, ==, cases[i].drawn);
    g_assert_cmpfloat(panel->points[1].swap_mib_per_s, ==, 1);
  }
}

/* One panel: from x 90, 1162 wide for 10 s; from y 160, 340 high for 1500 MiB, the limit,
 * and 6 % more; swap below it, 26 high for 10 MiB/s, ends at 160 + 340 + 7 + 26. */
static void
test_places(void)
{
  g_auto(Fixture) f;
  g_autofree char *svg = NULL;

  fixture_init(&f, 1, 1, 2);
  set_point(&f, 0, 0, 1060, 530, 0);
  set_point(&f, 0, 1, 795, 1060, 7.5f);
  svg = draw(&f);

  /* 1060 of 1590 is two thirds: 500 − 226.7; 795 a half: 500 − 170; 530 a third. */
  kit_assert_has(svg, "stroke=\"#3a7fb8\" stroke-width=\"1.4\" d=\"M90 273.3H90V273.3H671V330H1252\"");
  kit_assert_has(svg, "stroke=\"#1f2933\" stroke-width=\"1.4\" d=\"M90 386.7H90V386.7H671V273.3H1252\"");
  kit_assert_has(svg, "<path fill=\"#d8e7f4\" d=\"M90 500H90V273.3H671V330H1252V500Z\"");
  /* What is missing ends where what is needed does. */
  kit_assert_has(svg, "<path fill=\"#f4a698\" d=\"M90 500H90V273.3H1252V500Z\"");
  /* 7.5 of 10 MiB/s: 533 − 19.5. */
  kit_assert_has(svg, "<path fill=\"#c2410c\" d=\"M90 533H90V533H671V513.5H1252V533Z\"");
  kit_assert_has(svg, ">10 MiB/s</text>");
  /* The guarantee at 256 of 1590: 500 − 54.7; the limit at 1500: 500 − 320.8. */
  kit_assert_has(svg, "y1=\"445.3\" x2=\"1252\" y2=\"445.3\" stroke=\"#5f6b76\" stroke-dasharray=\"2 3\"");
  kit_assert_has(svg, "y1=\"179.2\" x2=\"1252\" y2=\"179.2\" stroke=\"#5f6b76\" stroke-dasharray=\"7 4\"");
  kit_assert_has(svg, ">512 MiB</text>");
  kit_assert_has(svg, ">1 GiB</text>");
  kit_assert_has(svg, ">1.5 GiB</text>");
  kit_assert_has(svg, ">5 s</text>");
}

static void
test_words(void)
{
  static CagmaSimEvent events[] = { { 2 * CAGMA_SECOND_US, CAGMA_BEFALLS_STUCK },
                                    { 9900 * CAGMA_SECOND_US / 1000, CAGMA_BEFALLS_PLENTY } };
  g_auto(Fixture) f;
  g_autofree char *svg = NULL;

  fixture_init(&f, 2, 1, 1);
  g_free(f.scenario->description);
  f.scenario->description = g_strdup("What it shows.");
  f.scenario->seed = 77;
  f.scenario->memory_kib = CAGMA_GIB(4);
  f.scenario->reserve_kib = CAGMA_MIB(256);
  f.scenario->guests[1].events = g_memdup2(events, sizeof(events));
  f.scenario->guests[1].n_events = G_N_ELEMENTS(events);
  f.result.total = (CagmaSimFigures){ .stall_s = 12.345,
                                      .short_mib_s = 1234.5,
                                      .swapped_in_mib = 0.25,
                                      .swapped_out_mib = 99,
                                      .moved_mib = 0.001 };
  f.result.guests[0].stall_s = 12;
  set_point(&f, 0, 0, 300, 300, 0);
  set_point(&f, 1, 0, 1400, 300, 0);
  svg = draw(&f);

  kit_assert_has(svg, ">What it shows.<");
  kit_assert_has(svg, "Host 4 GiB, reserve 256 MiB · 2 guests · 10 s · seed 77");
  kit_assert_has(svg, "Stall 12.3 s · short 1.2 GiB·s · swapped in 256 KiB, out 99 MiB · moved 1 KiB");
  /* A limit far above is told, not drawn. */
  kit_assert_has(svg, ">stall 12.0 s · short 0 · limit 1.5 GiB<");
  kit_assert_has(svg, ">stall 0 s · short 0<");
  kit_assert_has(svg, "each panel has its own scale");
  kit_assert_has(svg, "text-anchor:end");
  kit_assert_has(svg, "class=\"s h\">stuck<");
  /* Near the end, on the left of its mark. */
  kit_assert_has(svg, "class=\"s h e\">lies: plenty<");
}

/* A long description takes lines, at most three, and moves the rest down. */
static void
test_description(void)
{
  static const struct {
    size_t words; /* of nine characters and a blank */
    size_t lines;
    const char *legend; /* where it is */
  } cases[] = {
    { 0, 0, "y=\"95\" >guarantee<" },    { 1, 1, "y=\"112\" >guarantee<" },
    { 17, 1, "y=\"112\" >guarantee<" },  { 18, 2, "y=\"129\" >guarantee<" },
    { 34, 2, "y=\"129\" >guarantee<" },  { 35, 3, "y=\"146\" >guarantee<" },
    { 200, 3, "y=\"146\" >guarantee<" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Fixture) f;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *svg = NULL;
    g_auto(GStrv) lines = NULL;

    fixture_init(&f, 1, 1, 1);
    for (size_t k = 0; k < cases[i].words; k++)
      g_string_append(text, k ? " äöüäöüäöü" : "äöüäöüäöü");
    g_free(f.scenario->description);
    f.scenario->description = g_strdup(text->str);
    svg = draw(&f);
    lines = g_strsplit(svg, ">äöüäöüäöü", -1);
    g_assert_cmpuint(g_strv_length(lines) - 1, ==, cases[i].lines);
    kit_assert_has(svg, cases[i].legend);
  }
}

static char *
text_at(xmlDocPtr document, const char *path)
{
  xmlXPathContextPtr context = xmlXPathNewContext(document);
  xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)path, context);
  xmlChar *text = xmlXPathCastToString(found);
  char *copy = g_strdup((const char *)text);

  xmlFree(text);
  xmlXPathFreeObject(found);
  xmlXPathFreeContext(context);
  return copy;
}

static void
test_hostile_names(void)
{
  static const struct {
    const char *name;
    const char *shown;
  } cases[] = {
    { "</title><script>alert(1)</script>", "</title><script>alert(1)</script>" },
    { "a&b'c\"d", "a&b'c\"d" },
    { "&lt;&#x41;", "&lt;&#x41;" },
    { "e\033[2Jvil\n", "e\xef\xbf\xbd[2Jvil\xef\xbf\xbd" },
    { "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd" },
    /* U+FFFE and U+FFFF: valid UTF-8, and no XML. */
    { "x\xef\xbf\xbe\xef\xbf\xbf", "x\xef\xbf\xbd\xef\xbf\xbd" },
    { "漢字", "漢字" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Fixture) f;
    g_autofree char *svg = NULL;
    g_autofree char *scenario = NULL;
    g_autofree char *guest = NULL;
    xmlDocPtr document;

    fixture_init(&f, 1, 1, 1);
    g_free(f.scenario->name);
    g_free(f.scenario->description);
    g_free(f.scenario->guests[0].name);
    f.scenario->name = g_strdup(cases[i].name);
    f.scenario->description = g_strdup(cases[i].name);
    f.scenario->guests[0].name = g_strdup(cases[i].name);
    svg = draw(&f);
    document = parse(svg);
    scenario = text_at(document, "string(/*/*[local-name()='title'])");
    guest = text_at(document, "string(/*/*[local-name()='g']/*[local-name()='title'])");
    g_assert_cmpstr(scenario, ==, cases[i].shown);
    g_assert_cmpstr(guest, ==, cases[i].shown);
    xmlFreeDoc(document);
  }
}

static void
test_long_name_is_cut(void)
{
  g_auto(Fixture) f;
  g_autofree char *svg = NULL;

  fixture_init(&f, 12, 1, 1);
  g_free(f.scenario->guests[0].name);
  f.scenario->guests[0].name = g_strnfill(64, 'w');
  svg = draw(&f);
  kit_assert_has(svg, "wwwww…</text>");
}

/* No coordinate leaves the picture, whatever happened. */
static void
assert_inside(const char *svg)
{
  static const char *const patterns[2] = { "(?: x| x1| x2)=\"([^\"]*)\"|[MH]([0-9.-]+)",
                                           "(?: y| y1| y2)=\"([^\"]*)\"|V([0-9.-]+)" };
  int bounds[2];

  g_assert_null(strstr(svg, "nan"));
  g_assert_null(strstr(svg, "inf"));
  g_assert_cmpint(sscanf(strstr(svg, "viewBox"), "viewBox=\"0 0 %d %d\"", &bounds[0], &bounds[1]), ==, 2);
  for (size_t i = 0; i < 2; i++) {
    g_autoptr(GRegex) regex = g_regex_new(patterns[i], 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    unsigned n = 0;

    for (g_regex_match(regex, svg, 0, &match); g_match_info_matches(match); n++) {
      g_autofree char *attribute = g_match_info_fetch(match, 1);
      g_autofree char *command = g_match_info_fetch(match, 2);
      double value = g_ascii_strtod(attribute && *attribute ? attribute : command, NULL);

      if (!(value >= 0 && value <= bounds[i]))
        g_error("%f is outside 0 to %d", value, bounds[i]);
      g_match_info_next(match, NULL);
    }
    g_assert_cmpuint(n, >, 10);
  }
}

static void
randomize(Fixture *f)
{
  for (size_t i = 0; i < f->scenario->n_guests; i++) {
    CagmaSimGuest *guest = &f->scenario->guests[i];

    guest->config.limit_kib = CAGMA_MIB(g_test_rand_int_range(256, 20000));
    guest->config.guarantee_kib = (uint64_t)g_test_rand_int_range(0, (int)guest->config.limit_kib);
    guest->n_events = (size_t)g_test_rand_int_range(0, 20);
    guest->events = g_new0(CagmaSimEvent, guest->n_events);
    for (size_t k = 0; k < guest->n_events; k++)
      guest->events[k] = (CagmaSimEvent){ f->scenario->duration_us * (int64_t)k / (int64_t)guest->n_events,
                                          (CagmaBefalls)g_test_rand_int_range(0, CAGMA_BEFALLS_RESUME + 1) };
  }
  for (size_t i = 0; i < f->trace.n_points * f->trace.n_guests; i++)
    f->trace.points[i] = (CagmaSimPoint){
      .allocated_mib = (float)g_test_rand_double_range(0, 4000),
      .needed_mib = (float)g_test_rand_double_range(0, 4000),
      .short_mib = g_test_rand_bit() ? (float)g_test_rand_double_range(0, 4000) : 0,
      .swap_mib_per_s = g_test_rand_bit() ? (float)g_test_rand_double_range(0, 5000) : 0,
    };
}

static void
test_random_runs(void)
{
  for (int i = 0; i < 20; i++) {
    g_auto(Fixture) f;
    g_autofree char *svg = NULL;

    fixture_init(&f, (size_t)g_test_rand_int_range(1, 16), (uint32_t)g_test_rand_int_range(1, 4),
                 (size_t)(g_test_rand_bit() ? g_test_rand_int_range(0, 4) : g_test_rand_int_range(4, 2000)));
    randomize(&f);
    svg = draw(&f);
    xmlFreeDoc(parse(svg));
    assert_inside(svg);
  }
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/plot/a-panel-each", test_a_panel_each);
  g_test_add_func("/plot/sums-of-entries", test_sums_of_entries);
  g_test_add_func("/plot/sum-of-the-others", test_sum_of_the_others);
  g_test_add_func("/plot/worst-moment", test_worst_moment);
  g_test_add_func("/plot/places", test_places);
  g_test_add_func("/plot/words", test_words);
  g_test_add_func("/plot/description", test_description);
  g_test_add_func("/plot/hostile-names", test_hostile_names);
  g_test_add_func("/plot/long-name-is-cut", test_long_name_is_cut);
  g_test_add_func("/plot/random-runs", test_random_runs);
  return g_test_run();
}
