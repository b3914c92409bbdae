/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/policy/scenarios.h"

#include "policy/sim/fields.h"
#include "policy/units.h"

static void
fill_guest(CagmaSimGuest *guest)
{
  CagmaPart *part;

  cagma_sim_guest_init(guest);
  g_free(guest->name);
  guest->name = g_strdup("web");
  guest->count = 2;
  guest->start_kib = CAGMA_GIB(1);
  guest->parts = part = g_new0(CagmaPart, 1);
  guest->n_parts = 1;
  part->phases = g_new(CagmaPhase, 2);
  part->n_phases = 2;
  cagma_sim_phase_init(&part->phases[0]);
  cagma_sim_phase_init(&part->phases[1]);
  part->phases[0].size_kib = CAGMA_MIB(300);
  part->phases[1].from_us = 60 * CAGMA_SECOND_US;
  guest->disk = g_new0(CagmaDiskPhase, 1);
  guest->n_disk = 1;
  guest->disk[0].tasks = 3;
  guest->disk[0].io_kib = 2048;
  guest->events = g_new0(CagmaSimEvent, 1);
  guest->n_events = 1;
  guest->events[0].at_us = 30 * CAGMA_SECOND_US;
  guest->events[0].what = CAGMA_BEFALLS_REBOOT;
}

CagmaScenario *
scenarios_full(void)
{
  CagmaScenario *scenario = g_new(CagmaScenario, 1);

  cagma_scenario_init(scenario);
  scenario->guests = g_new(CagmaSimGuest, 1);
  scenario->n_guests = 1;
  fill_guest(&scenario->guests[0]);
  return scenario;
}

static void assert_same_fields(const CagmaFields *fields, const void *a, const void *b);

static void
assert_same_list(const CagmaField *field, const void *a, const void *b)
{
  size_t n_a, n_b, size = field->fields->size;
  const char *of_a = cagma_field_list(field, a, &n_a);
  const char *of_b = cagma_field_list(field, b, &n_b);

  g_assert_cmpuint(n_a, ==, n_b);
  g_assert_true(n_a == 0 || of_a != of_b);
  for (size_t i = 0; i < n_a; i++)
    assert_same_fields(field->fields, of_a + i * size, of_b + i * size);
}

static void
assert_same_field(const CagmaField *field, const void *a, const void *b)
{
  switch (field->type) {
  case CAGMA_FIELD_TEXT:
    g_assert_cmpstr(*(char *const *)((const char *)a + field->offset), ==,
                    *(char *const *)((const char *)b + field->offset));
    return;
  case CAGMA_FIELD_OBJECT:
    assert_same_fields(field->fields, (const char *)a + field->offset, (const char *)b + field->offset);
    return;
  case CAGMA_FIELD_LIST:
    assert_same_list(field, a, b);
    return;
  default:
    if (cagma_field_number(field, a) != cagma_field_number(field, b))
      g_error("%s: %" G_GUINT64_FORMAT " isn't %" G_GUINT64_FORMAT, field->name, cagma_field_number(field, a),
              cagma_field_number(field, b));
  }
}

static void
assert_same_fields(const CagmaFields *fields, const void *a, const void *b)
{
  for (size_t i = 0; i < fields->n; i++)
    assert_same_field(&fields->field[i], a, b);
  if (fields == &cagma_sim_guest_fields)
    g_assert_cmpuint(((const CagmaSimGuest *)a)->config.given, ==, ((const CagmaSimGuest *)b)->config.given);
}

void
scenarios_assert_same(const CagmaScenario *a, const CagmaScenario *b)
{
  assert_same_fields(&cagma_scenario_fields, a, b);
}

CagmaScenario *
scenarios_host(uint64_t memory_mib, int64_t duration_s)
{
  CagmaScenario *scenario = g_new(CagmaScenario, 1);

  cagma_scenario_init(scenario);
  scenario->memory_kib = CAGMA_MIB(memory_mib);
  scenario->reserve_kib = scenario->pool_kib = 0;
  scenario->duration_us = duration_s * CAGMA_SECOND_US;
  scenario->disk.iops = 50000;
  scenario->disk.kib_per_s = CAGMA_MIB(500);
  scenario->disk.latency_us = 100;
  return scenario;
}

CagmaSimGuest *
scenarios_add_guest(CagmaScenario *scenario, const char *name, uint64_t start_mib)
{
  CagmaSimGuest *guest;

  scenario->guests = g_renew(CagmaSimGuest, scenario->guests, scenario->n_guests + 1);
  guest = &scenario->guests[scenario->n_guests++];
  cagma_sim_guest_init(guest);
  g_free(guest->name);
  guest->name = g_strdup(name);
  guest->start_kib = CAGMA_MIB(start_mib);
  return guest;
}

CagmaPart *
scenarios_add_part(CagmaSimGuest *guest, CagmaPartKind kind, uint64_t size_mib, int64_t sweep_s)
{
  CagmaPart *part;

  guest->parts = g_renew(CagmaPart, guest->parts, guest->n_parts + 1);
  part = &guest->parts[guest->n_parts++];
  *part = (CagmaPart){ .kind = kind };
  scenarios_add_phase(part, 0, size_mib, sweep_s);
  return part;
}

CagmaPhase *
scenarios_add_phase(CagmaPart *part, int64_t from_s, uint64_t size_mib, int64_t sweep_s)
{
  CagmaPhase *phase;

  part->phases = g_renew(CagmaPhase, part->phases, part->n_phases + 1);
  phase = &part->phases[part->n_phases++];
  cagma_sim_phase_init(phase);
  phase->from_us = from_s * CAGMA_SECOND_US;
  phase->size_kib = CAGMA_MIB(size_mib);
  phase->sweep_us = sweep_s * CAGMA_SECOND_US;
  return phase;
}

void
scenarios_add_event(CagmaSimGuest *guest, int64_t at_s, CagmaBefalls what)
{
  guest->events = g_renew(CagmaSimEvent, guest->events, guest->n_events + 1);
  guest->events[guest->n_events++] = (CagmaSimEvent){ .at_us = at_s * CAGMA_SECOND_US, .what = what };
}

void
scenarios_check(CagmaScenario *scenario)
{
  g_autoptr(GError) error = NULL;

  if (!cagma_scenario_check(scenario, &error))
    g_error("%s: %s", scenario->name, error->message);
}
