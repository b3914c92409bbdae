/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/scenario.h"

#include "policy/sim/fields.h"
#include "policy/units.h"

/* Shorter intervals of walks and bursts aren't told apart by what looks once in a while. */
#define INTERVAL_MIN_US (CAGMA_SECOND_US / 10)

GQuark
cagma_scenario_error_quark(void)
{
  return g_quark_from_static_string("cagma-scenario-error");
}

void
cagma_scenario_init(CagmaScenario *scenario)
{
  *scenario = (CagmaScenario){
    .name = g_strdup("unnamed"),
    .description = g_strdup(""),
    .seed = 1,
    .duration_us = 600 * CAGMA_SECOND_US,
    .memory_kib = CAGMA_GIB(8),
    .period_us = 3 * CAGMA_SECOND_US,
    .surplus = CAGMA_SURPLUS_LEAVE,
    .read_back = TRUE,
    .disk =
        (CagmaSimDisk){
            .iops = 150,
            .kib_per_s = CAGMA_MIB(120),
            .latency_us = 6700,
            .swap_read_kib = 32,
            .swap_write_kib = 128,
            .file_random_kib = 16,
            .file_cyclic_kib = 128,
        },
  };
  cagma_scenario_reserve(scenario);
}

void
cagma_scenario_reserve(CagmaScenario *scenario)
{
  scenario->reserve_kib = cagma_permille(scenario->memory_kib, 50);
  scenario->pool_kib = cagma_permille(scenario->memory_kib, 20);
}

void
cagma_sim_guest_init(CagmaSimGuest *guest)
{
  *guest = (CagmaSimGuest){
    .name = g_strdup(""),
    .count = 1,
    .memory_kib = CAGMA_GIB(2),
    .kernel_kib = CAGMA_MIB(80),
    .swap_kib = CAGMA_GIB(2),
    .vcpus = 2,
    .driver = TRUE,
    .balloon_up_kib_per_s = CAGMA_MIB(1000),
    .balloon_down_kib_per_s = CAGMA_MIB(500),
    .reports = CAGMA_REPORTS_AGENT,
    .report_us = CAGMA_SECOND_US,
    .delay_us = CAGMA_SECOND_US / 20,
  };
  cagma_config_init(&guest->config);
}

void
cagma_sim_phase_init(CagmaPhase *phase)
{
  *phase = (CagmaPhase){
    .sweep_us = 30 * CAGMA_SECOND_US,
    .walk_every_us = 5 * CAGMA_SECOND_US,
    .burst_every_us = 60 * CAGMA_SECOND_US,
    .burst_us = 10 * CAGMA_SECOND_US,
  };
}

void
cagma_scenario_clear(CagmaScenario *scenario)
{
  cagma_fields_clear(&cagma_scenario_fields, scenario);
}

CagmaScenario *
cagma_scenario_copy(const CagmaScenario *scenario)
{
  CagmaScenario *copy = g_memdup2(scenario, sizeof *scenario);

  cagma_fields_own(&cagma_scenario_fields, copy);
  return copy;
}

void
cagma_scenario_free(CagmaScenario *scenario)
{
  if (!scenario)
    return;
  cagma_scenario_clear(scenario);
  g_free(scenario);
}

size_t
cagma_scenario_count(const CagmaScenario *scenario)
{
  size_t n = 0;

  for (size_t i = 0; i < scenario->n_guests; i++)
    n += scenario->guests[i].count;
  return n;
}

char *
cagma_sim_guest_name(const CagmaSimGuest *guest, uint32_t number)
{
  return guest->count == 1 ? g_strdup(guest->name) : g_strdup_printf("%s-%u", guest->name, number);
}

/* Errors are put together from the inside: what is wrong begins with its field, and each
 * struct around it puts its own name in front. */
static gboolean wrong(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
wrong(GError **error, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  if (error)
    *error = g_error_new_valist(CAGMA_SCENARIO_ERROR, CAGMA_SCENARIO_ERROR_VALUE, format, args);
  va_end(args);
  return FALSE;
}

static gboolean
check_number(const CagmaField *field, const void *at, GError **error)
{
  uint64_t number = cagma_field_number(field, at);
  double scale = (double)cagma_field_scale(field->type);
  char low[G_ASCII_DTOSTR_BUF_SIZE], high[G_ASCII_DTOSTR_BUF_SIZE], is[G_ASCII_DTOSTR_BUF_SIZE];

  if (number >= field->low && number <= field->high)
    return TRUE;
  if (number == G_MAXUINT64)
    return wrong(error, ".%s: is negative", field->name);
  g_ascii_formatd(low, sizeof low, "%.10g", (double)field->low / scale);
  g_ascii_formatd(high, sizeof high, "%.10g", (double)field->high / scale);
  g_ascii_formatd(is, sizeof is, "%.10g", (double)number / scale);
  return wrong(error, ".%s: must be %s to %s, is %s", field->name, low, high, is);
}

static gboolean
check_text(const CagmaField *field, const void *at, GError **error)
{
  const char *text = *(char *const *)((const char *)at + field->offset);
  uint64_t n = 0;

  if (!text || !g_utf8_validate(text, -1, NULL))
    return wrong(error, ".%s: isn't UTF-8", field->name);
  for (const char *p = text; *p; p = g_utf8_next_char(p), n++)
    if (!g_unichar_isprint(g_utf8_get_char(p)))
      return wrong(error, ".%s: has a character that can't be printed", field->name);
  if (n < field->low || n > field->high)
    return wrong(error, ".%s: must have %u to %u characters, has %" G_GUINT64_FORMAT, field->name,
                 (unsigned int)field->low, (unsigned int)field->high, n);
  return TRUE;
}

static gboolean check_fields(const CagmaFields *fields, const void *at, GError **error);

static gboolean
check_list(const CagmaField *field, const void *at, GError **error)
{
  size_t n;
  const char *elements = cagma_field_list(field, at, &n);

  if (n < field->low || n > field->high)
    return wrong(error, ".%s: must have %u to %u elements, has %zu", field->name, (unsigned int)field->low,
                 (unsigned int)field->high, n);
  for (size_t i = 0; i < n; i++) {
    if (!check_fields(field->fields, elements + i * field->fields->size, error)) {
      g_prefix_error(error, ".%s[%zu]", field->name, i);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_object(const CagmaField *field, const void *at, GError **error)
{
  if (check_fields(field->fields, (const char *)at + field->offset, error))
    return TRUE;
  g_prefix_error(error, ".%s", field->name);
  return FALSE;
}

static gboolean
check_field(const CagmaField *field, const void *at, GError **error)
{
  switch (field->type) {
  case CAGMA_FIELD_TEXT:
    return check_text(field, at, error);
  case CAGMA_FIELD_OBJECT:
    return check_object(field, at, error);
  case CAGMA_FIELD_LIST:
    return check_list(field, at, error);
  case CAGMA_FIELD_CHOICE:
    return field->name_at((unsigned int)cagma_field_number(field, at)) ||
           wrong(error, ".%s: is none of its values", field->name);
  case CAGMA_FIELD_FLAG:
    return TRUE;
  default:
    return check_number(field, at, error);
  }
}

static gboolean
check_fields(const CagmaFields *fields, const void *at, GError **error)
{
  for (size_t i = 0; i < fields->n; i++)
    if (!check_field(&fields->field[i], at, error))
      return FALSE;
  return TRUE;
}

/* What no table says: how fields go together. */
static gboolean
check_phase(const CagmaPhase *phase, GError **error)
{
  if (phase->walk_kib && phase->walk_every_us < INTERVAL_MIN_US)
    return wrong(error, ".walk-every-s: a walk needs at least 0.1");
  if (phase->burst_kib && phase->burst_every_us < INTERVAL_MIN_US)
    return wrong(error, ".burst-every-s: bursts need at least 0.1");
  if (phase->burst_kib && (phase->burst_us == 0 || phase->burst_us > phase->burst_every_us))
    return wrong(error, ".burst-s: must be more than 0 and no more than burst-every-s");
  return TRUE;
}

static gboolean
check_phases(const CagmaPart *part, GError **error)
{
  for (size_t i = 0; i < part->n_phases; i++) {
    if (i > 0 && part->phases[i].from_us <= part->phases[i - 1].from_us)
      return wrong(error, ".phases[%zu].from-s: isn't after the phase before", i);
    if (!check_phase(&part->phases[i], error)) {
      g_prefix_error(error, ".phases[%zu]", i);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_order(const CagmaSimGuest *guest, GError **error)
{
  for (size_t i = 1; i < guest->n_disk; i++)
    if (guest->disk[i].from_us <= guest->disk[i - 1].from_us)
      return wrong(error, ".disk[%zu].from-s: isn't after the one before", i);
  for (size_t i = 1; i < guest->n_events; i++)
    if (guest->events[i].at_us < guest->events[i - 1].at_us)
      return wrong(error, ".events[%zu].at-s: is before the event before", i);
  return TRUE;
}

static gboolean
check_sizes(CagmaSimGuest *guest, GError **error)
{
  g_autoptr(GError) unfit = NULL;

  if (!cagma_config_fit(&guest->config, guest->memory_kib, &unfit))
    return wrong(error, ": %s", unfit->message);
  if (guest->start_kib == 0) {
    if (guest->config.limit_kib <= guest->kernel_kib)
      return wrong(error, ".%s: leaves nothing beside kernel-mib, %" PRIu64,
                   guest->config.given & CAGMA_GIVEN_LIMIT ? "limit-mib" : "memory-mib",
                   guest->kernel_kib / 1024);
    guest->start_kib = guest->config.limit_kib;
  }
  if (guest->start_kib > guest->memory_kib)
    return wrong(error, ".start-mib: is above memory-mib");
  if (guest->start_kib <= guest->kernel_kib)
    return wrong(error, ".start-mib: leaves nothing beside kernel-mib, %" PRIu64, guest->kernel_kib / 1024);
  return TRUE;
}

static gboolean
check_guest(CagmaSimGuest *guest, int64_t duration_us, GError **error)
{
  if (!check_sizes(guest, error) || !check_order(guest, error))
    return FALSE;
  if (guest->arrives_us >= duration_us)
    return wrong(error, ".arrives-s: isn't before the scenario's end");
  if (guest->leaves_us && guest->leaves_us <= guest->arrives_us)
    return wrong(error, ".leaves-s: isn't after arrives-s");
  for (size_t i = 0; i < guest->n_parts; i++) {
    if (!check_phases(&guest->parts[i], error)) {
      g_prefix_error(error, ".parts[%zu]", i);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_names(const CagmaScenario *scenario, GError **error)
{
  g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

  for (size_t i = 0; i < scenario->n_guests; i++) {
    const CagmaSimGuest *guest = &scenario->guests[i];

    for (uint32_t number = 1; number <= guest->count; number++) {
      char *name = cagma_sim_guest_name(guest, number);

      if (!g_hash_table_add(names, name))
        return wrong(error, "$.guests[%zu].name: there is another guest '%s'", i, name);
    }
  }
  return TRUE;
}

static gboolean
check_guests(CagmaScenario *scenario, GError **error)
{
  if (cagma_scenario_count(scenario) > CAGMA_SIM_GUESTS_MAX)
    return wrong(error, "$.guests: make %zu guests, %d at most", cagma_scenario_count(scenario),
                 CAGMA_SIM_GUESTS_MAX);
  for (size_t i = 0; i < scenario->n_guests; i++) {
    if (!check_guest(&scenario->guests[i], scenario->duration_us, error)) {
      g_prefix_error(error, "$.guests[%zu]", i);
      return FALSE;
    }
  }
  return check_names(scenario, error);
}

gboolean
cagma_scenario_check(CagmaScenario *scenario, GError **error)
{
  if (!check_fields(&cagma_scenario_fields, scenario, error)) {
    g_prefix_error(error, "$");
    return FALSE;
  }
  if (scenario->reserve_kib + scenario->pool_kib >= scenario->memory_kib)
    return wrong(error, "$.host: reserve-mib and pool-mib leave guests nothing");
  return check_guests(scenario, error);
}
