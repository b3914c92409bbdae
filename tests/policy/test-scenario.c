/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "policy/sim/course.h"
#include "policy/sim/fields.h"
#include "policy/sim/generate.h"
#include "policy/units.h"
#include "tests/policy/scenarios.h"

static void
assert_passes(CagmaScenario *scenario)
{
  g_autoptr(GError) error = NULL;

  if (!cagma_scenario_check(scenario, &error))
    g_error("%s: %s", scenario->name, error->message);
}

static void
assert_refused(CagmaScenario *scenario, const char *beginning)
{
  g_autoptr(GError) error = NULL;

  if (cagma_scenario_check(scenario, &error))
    g_error("passes, but should be refused with %s", beginning);
  g_assert_error(error, CAGMA_SCENARIO_ERROR, CAGMA_SCENARIO_ERROR_VALUE);
  if (!g_str_has_prefix(error->message, beginning))
    g_error("%s, but not %s", error->message, beginning);
}

/* What scenario.h says of the defaults. */
static void
test_defaults(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_full();
  CagmaSimGuest *guest = &scenario->guests[0];

  guest->start_kib = 0;
  assert_passes(scenario);
  g_assert_cmpuint(scenario->memory_kib, ==, CAGMA_GIB(8));
  g_assert_cmpuint(scenario->reserve_kib, ==, CAGMA_GIB(8) / 20);
  g_assert_cmpuint(scenario->pool_kib, ==, CAGMA_GIB(8) / 50);
  g_assert_cmpint(scenario->duration_us, ==, 600 * CAGMA_SECOND_US);
  g_assert_cmpuint(scenario->disk.iops, ==, 150);
  g_assert_cmpint(guest->reports, ==, CAGMA_REPORTS_AGENT);
  g_assert_cmpint(guest->report_us, ==, CAGMA_SECOND_US);
  g_assert_true(guest->driver);
  g_assert_cmpuint(guest->config.limit_kib, ==, guest->memory_kib);
  g_assert_cmpuint(guest->start_kib, ==, guest->memory_kib);
}

/* Every number of every table, at its bounds and beyond them. */
typedef struct {
  CagmaScenario *scenario;
  size_t tried;
} Bounds;

static void
try_number(Bounds *bounds, const CagmaField *field, void *at, const char *path)
{
  uint64_t kept = cagma_field_number(field, at);
  gboolean room_above = field->high < G_MAXUINT32 || (field->type != CAGMA_FIELD_COUNT);

  if (room_above) {
    cagma_field_set_number(field, at, field->high + 1);
    assert_refused(bounds->scenario, path);
  }
  if (field->low > 0) {
    cagma_field_set_number(field, at, field->low - 1);
    assert_refused(bounds->scenario, path);
  }
  if (field->type == CAGMA_FIELD_SECONDS || field->type == CAGMA_FIELD_MILLISECONDS) {
    cagma_field_set_number(field, at, (uint64_t)-1);
    assert_refused(bounds->scenario, path);
  }
  cagma_field_set_number(field, at, kept);
  assert_passes(bounds->scenario);
  bounds->tried++;
}

static void
try_choice(Bounds *bounds, const CagmaField *field, void *at, const char *path)
{
  uint64_t kept = cagma_field_number(field, at);
  unsigned int n = 0;

  while (field->name_at(n))
    n++;
  cagma_field_set_number(field, at, n);
  assert_refused(bounds->scenario, path);
  cagma_field_set_number(field, at, kept);
  bounds->tried++;
}

static void
try_text(Bounds *bounds, const CagmaField *field, void *at, const char *path)
{
  g_autofree char *long_text = g_strnfill(field->high + 1, 'x');
  const char *const bad[] = { NULL, "\xff", "a\nb", "a\033[2J", long_text };
  char **text = (char **)((char *)at + field->offset);
  char *kept = *text;

  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    *text = (char *)bad[i];
    assert_refused(bounds->scenario, path);
  }
  *text = kept;
  bounds->tried++;
}

static void try_fields(Bounds *bounds, const CagmaFields *fields, void *at, const char *path);

static void
try_list(Bounds *bounds, const CagmaField *field, void *at, const char *path)
{
  size_t *n = (size_t *)((char *)at + field->n_offset), kept = *n;
  char *elements = cagma_field_list(field, at, n);
  g_autofree char *element = g_strconcat(path, "[0]", NULL);

  g_assert_cmpuint(kept, >, 0);
  *n = field->high + 1;
  assert_refused(bounds->scenario, path);
  if (field->low > 0) {
    *n = field->low - 1;
    assert_refused(bounds->scenario, path);
  }
  *n = kept;
  try_fields(bounds, field->fields, elements, element);
}

static void
try_fields(Bounds *bounds, const CagmaFields *fields, void *at, const char *path)
{
  for (size_t i = 0; i < fields->n; i++) {
    const CagmaField *field = &fields->field[i];
    g_autofree char *name = g_strdup_printf("%s.%s", path, field->name);

    if (field->type == CAGMA_FIELD_LIST)
      try_list(bounds, field, at, name);
    else if (field->type == CAGMA_FIELD_OBJECT)
      try_fields(bounds, field->fields, (char *)at + field->offset, name);
    else if (field->type == CAGMA_FIELD_TEXT)
      try_text(bounds, field, at, name);
    else if (field->type == CAGMA_FIELD_CHOICE)
      try_choice(bounds, field, at, name);
    else if (field->type != CAGMA_FIELD_FLAG)
      try_number(bounds, field, at, name);
  }
}

static void
test_bounds(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_full();
  Bounds bounds = { .scenario = scenario };

  try_fields(&bounds, &cagma_scenario_fields, scenario, "$");
  g_assert_cmpuint(bounds.tried, >, 50);
}

static void
test_copy(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_full();
  g_autoptr(CagmaScenario) copy = cagma_scenario_copy(scenario);
  g_autoptr(CagmaScenario) again = NULL;

  scenarios_assert_same(scenario, copy);
  g_assert_true(copy->name != scenario->name);
  again = cagma_scenario_copy(copy);
  copy->guests[0].parts[0].phases[1].size_kib++;
  scenarios_assert_same(scenario, again);
  /* What is cleared can be cleared again. */
  cagma_scenario_clear(copy);
  g_assert_null(copy->guests);
  g_assert_cmpuint(copy->n_guests, ==, 0);
  cagma_scenario_free(NULL);
}

static void
add_entry(CagmaScenario *scenario, const char *name, uint32_t count)
{
  CagmaSimGuest *guest;

  scenario->guests = g_renew(CagmaSimGuest, scenario->guests, scenario->n_guests + 1);
  guest = &scenario->guests[scenario->n_guests++];
  cagma_sim_guest_init(guest);
  g_free(guest->name);
  guest->name = g_strdup(name);
  guest->count = count;
}

static void
test_names_and_numbers(void)
{
  static const struct {
    const char *a, *b;
    uint32_t n_a, n_b;
    gboolean pass;
  } cases[] = {
    { "web", "db", 1, 1, TRUE },     { "web", "web", 1, 1, FALSE },   { "web", "web", 1, 5, TRUE },
    { "web", "web", 2, 5, FALSE },   { "web", "web-5", 5, 1, FALSE }, { "web", "web-6", 5, 1, TRUE },
    { "web", "web-1", 5, 5, TRUE },  { "web", "web-01", 5, 1, TRUE }, { "a", "b", 5000, 5000, TRUE },
    { "a", "b", 5000, 5001, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(CagmaScenario) scenario = g_new(CagmaScenario, 1);

    cagma_scenario_init(scenario);
    add_entry(scenario, cases[i].a, cases[i].n_a);
    add_entry(scenario, cases[i].b, cases[i].n_b);
    g_assert_cmpuint(cagma_scenario_count(scenario), ==, cases[i].n_a + cases[i].n_b);
    if (cases[i].pass)
      assert_passes(scenario);
    else
      assert_refused(scenario, "$.guests");
  }
}

static void
test_guest_name(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_full();
  g_autofree char *second = cagma_sim_guest_name(&scenario->guests[0], 2);
  g_autofree char *only = NULL;

  g_assert_cmpstr(second, ==, "web-2");
  scenario->guests[0].count = 1;
  only = cagma_sim_guest_name(&scenario->guests[0], 1);
  g_assert_cmpstr(only, ==, "web");
}

/* The generator. */

#define SEEDS 2000

/* The size that all parts of all guests have, on average over time. */
static double
mean_need_kib(const CagmaScenario *scenario)
{
  double sum = 0;

  for (size_t i = 0; i < scenario->n_guests; i++) {
    const CagmaSimGuest *guest = &scenario->guests[i];

    sum += (double)guest->kernel_kib * guest->count;
    for (size_t k = 0; k < guest->n_parts; k++) {
      CagmaCourse course;
      double of_part = 0;
      int64_t n = scenario->duration_us / CAGMA_SECOND_US;

      cagma_course_init(&course, &guest->parts[k], k);
      for (int64_t s = 0; s < n; s++) {
        cagma_course_go(&course, s * CAGMA_SECOND_US);
        of_part += course.size_kib;
      }
      sum += of_part / (double)n * guest->count;
    }
  }
  return sum;
}

static void
assert_runs_on_its_host(const CagmaScenario *scenario)
{
  uint64_t room_kib = scenario->memory_kib - scenario->reserve_kib, starts_kib = 0, guarantees_kib = 0;

  for (size_t i = 0; i < scenario->n_guests; i++) {
    const CagmaSimGuest *guest = &scenario->guests[i];

    g_assert_cmpuint(guest->start_kib, >=, guest->config.guarantee_kib);
    g_assert_cmpuint(guest->start_kib, <=, guest->driver ? guest->config.limit_kib : guest->memory_kib);
    if (!guest->driver)
      g_assert_cmpuint(guest->start_kib, ==, guest->memory_kib);
    starts_kib += guest->start_kib * guest->count;
    guarantees_kib += guest->config.guarantee_kib * guest->count;
  }
  g_assert_cmpuint(starts_kib, <=, room_kib);
  g_assert_cmpuint(guarantees_kib, <=, cagma_permille(room_kib, 800));
}

static void
test_generated(void)
{
  size_t tight = 0;

  for (uint32_t seed = 0; seed < SEEDS; seed++) {
    g_autoptr(CagmaScenario) scenario = g_new(CagmaScenario, 1);
    double overcommit;

    cagma_scenario_generate(seed, scenario);
    assert_passes(scenario);
    g_assert_cmpuint(cagma_scenario_count(scenario), >=, 2);
    g_assert_cmpuint(cagma_scenario_count(scenario), <=, 12);
    g_assert_cmpuint(scenario->memory_kib, >=, CAGMA_GIB(2));
    g_assert_cmpuint(scenario->memory_kib, <=, CAGMA_GIB(64));
    g_assert_cmpint(scenario->duration_us, >=, 180 * CAGMA_SECOND_US);
    g_assert_cmpint(scenario->duration_us, <=, 480 * CAGMA_SECOND_US);
    assert_runs_on_its_host(scenario);
    overcommit = mean_need_kib(scenario) / (double)scenario->memory_kib;
    g_assert_cmpfloat(overcommit, >, 0.3);
    g_assert_cmpfloat(overcommit, <, 1.8);
    tight += overcommit > 0.75 && overcommit < 1.15;
  }
  g_assert_cmpuint(tight, >, SEEDS * 6 / 10);
}

static void
test_generated_again(void)
{
  for (uint32_t seed = G_MAXUINT32 - 50; seed >= 50; seed++) {
    g_autoptr(CagmaScenario) scenario = g_new(CagmaScenario, 1);
    g_autoptr(CagmaScenario) again = g_new(CagmaScenario, 1);
    g_autoptr(CagmaScenario) other = g_new(CagmaScenario, 1);

    cagma_scenario_generate(seed, scenario);
    cagma_scenario_generate(seed, again);
    cagma_scenario_generate(seed + 1, other);
    scenarios_assert_same(scenario, again);
    g_assert_cmpuint(scenario->memory_kib, !=, other->memory_kib);
  }
}

/* Whatever a field can be, some scenario has it, and something else too. */
static void
note_values(const CagmaFields *fields, const void *at, GHashTable *seen)
{
  for (size_t i = 0; i < fields->n; i++) {
    const CagmaField *field = &fields->field[i];
    size_t n;

    if (field->type == CAGMA_FIELD_LIST) {
      const char *elements = cagma_field_list(field, at, &n);

      for (size_t k = 0; k < n; k++)
        note_values(field->fields, elements + k * field->fields->size, seen);
    } else if (field->type == CAGMA_FIELD_OBJECT) {
      note_values(field->fields, (const char *)at + field->offset, seen);
    } else if (field->type != CAGMA_FIELD_TEXT) {
      g_hash_table_add(seen,
                       g_strdup_printf("%s %" G_GUINT64_FORMAT, field->name, cagma_field_number(field, at)));
    }
  }
}

static void
test_generated_varies(void)
{
  static const char *const wanted[] = {
    "driver 0",        "driver 1",
    "reports 0",       "reports 1",
    "reports 2",       "emergency 0",
    "swap-mib 0",      "arrives-s 0",
    "leaves-s 0",      "kind 0",
    "kind 1",          "access 0",
    "access 1",        "sweep-s 0",
    "what 0",          "what 1",
    "what 2",          "what 3",
    "what 4",          "what 5",
    "what 6",          "what 7",
    "what 8",          "what 9",
    "what 10",         "count 1",
    "count 2",         "count 3",
    "ramp-s 0",        "walk-mib 0",
    "burst-mib 0",     "shares 500",
    "shares 4000",     "period-s 1000000",
    "loss-permille 0", "pool-mib 0",
    "swap-read-kib 4", "free-page-reporting 1",
  };
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

  for (uint32_t seed = 0; seed < SEEDS; seed++) {
    g_autoptr(CagmaScenario) scenario = g_new(CagmaScenario, 1);

    cagma_scenario_generate(seed, scenario);
    note_values(&cagma_scenario_fields, scenario, seen);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++)
    if (!g_hash_table_contains(seen, wanted[i]))
      g_error("none of %d scenarios has %s", SEEDS, wanted[i]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/scenario/defaults", test_defaults);
  g_test_add_func("/scenario/bounds", test_bounds);
  g_test_add_func("/scenario/copy", test_copy);
  g_test_add_func("/scenario/names-and-numbers", test_names_and_numbers);
  g_test_add_func("/scenario/guest-name", test_guest_name);
  g_test_add_func("/scenario/generated", test_generated);
  g_test_add_func("/scenario/generated-again", test_generated_again);
  g_test_add_func("/scenario/generated-varies", test_generated_varies);
  return g_test_run();
}
