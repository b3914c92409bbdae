/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/fields.h"

#include "policy/sim/scenario.h"
#include "policy/units.h"

#define NAME_MAX_CHARS 64
#define DESCRIPTION_MAX_CHARS 2000
#define PACE_MAX_KIB_PER_S CAGMA_GIB(1024)
#define PERIOD_MIN_US (CAGMA_SECOND_US / 10)
#define PERIOD_MAX_US (3600 * CAGMA_SECOND_US)

static const char *
pick(const char *const *names, size_t n_names, unsigned int value)
{
  return value < n_names ? names[value] : NULL;
}

static const char *
surplus_name(unsigned int value)
{
  static const char *const names[] = { [CAGMA_SURPLUS_LEAVE] = "leave", [CAGMA_SURPLUS_RECLAIM] = "reclaim" };

  return pick(names, G_N_ELEMENTS(names), value);
}

static const char *
estimator_name(unsigned int value)
{
  return cagma_estimator_to_string((CagmaEstimatorKind)value);
}

static const char *
reports_name(unsigned int value)
{
  static const char *const names[] = {
    [CAGMA_REPORTS_AGENT] = "agent",
    [CAGMA_REPORTS_BALLOON] = "balloon",
    [CAGMA_REPORTS_NONE] = "none",
  };

  return pick(names, G_N_ELEMENTS(names), value);
}

static const char *
kind_name(unsigned int value)
{
  static const char *const names[] = { [CAGMA_PART_ANON] = "anon", [CAGMA_PART_FILE] = "file" };

  return pick(names, G_N_ELEMENTS(names), value);
}

static const char *
access_name(unsigned int value)
{
  static const char *const names[] = { [CAGMA_ACCESS_RANDOM] = "random", [CAGMA_ACCESS_CYCLIC] = "cyclic" };

  return pick(names, G_N_ELEMENTS(names), value);
}

static const char *
befalls_name(unsigned int value)
{
  static const char *const names[] = {
    [CAGMA_BEFALLS_STUCK] = "stuck",       [CAGMA_BEFALLS_MOVES] = "moves",
    [CAGMA_BEFALLS_PRETENDS] = "pretends", [CAGMA_BEFALLS_TRUTH] = "truth",
    [CAGMA_BEFALLS_SHORT] = "short",       [CAGMA_BEFALLS_PLENTY] = "plenty",
    [CAGMA_BEFALLS_NONSENSE] = "nonsense", [CAGMA_BEFALLS_SILENT] = "silent",
    [CAGMA_BEFALLS_REBOOT] = "reboot",     [CAGMA_BEFALLS_PAUSE] = "pause",
    [CAGMA_BEFALLS_RESUME] = "resume",
  };

  return pick(names, G_N_ELEMENTS(names), value);
}

static void
init_scenario(void *at)
{
  cagma_scenario_init(at);
}

static void
init_guest(void *at)
{
  cagma_sim_guest_init(at);
}

static void
init_phase(void *at)
{
  cagma_sim_phase_init(at);
}

static void
init_disk_phase(void *at)
{
  *(CagmaDiskPhase *)at = (CagmaDiskPhase){ .io_kib = 64 };
}

/* What every field has. */
#define FIELD(kind, field_name, type_of, member, least, most)                                                \
  .name = (field_name), .type = CAGMA_FIELD_##kind, .offset = offsetof(type_of, member), .low = (least),     \
  .high = (most)
#define FIELDS(type_of, table, initial)                                                                      \
  {                                                                                                          \
    .field = (table), .n = G_N_ELEMENTS(table), .size = sizeof(type_of), .init = (initial)                   \
  }
#define LIST(type_of, member) .n_offset = offsetof(type_of, n_##member)

static const CagmaField phase_table[] = {
  { FIELD(SECONDS, "from-s", CagmaPhase, from_us, 0, CAGMA_SIM_DURATION_MAX_US) },
  { FIELD(MIB, "mib", CagmaPhase, size_kib, 0, CAGMA_MAX_KIB), .required = TRUE },
  { FIELD(SECONDS, "ramp-s", CagmaPhase, ramp_us, 0, CAGMA_SIM_DURATION_MAX_US) },
  { FIELD(SECONDS, "sweep-s", CagmaPhase, sweep_us, 0, CAGMA_SIM_DURATION_MAX_US) },
  { FIELD(MIB, "walk-mib", CagmaPhase, walk_kib, 0, CAGMA_MAX_KIB) },
  { FIELD(SECONDS, "walk-every-s", CagmaPhase, walk_every_us, 0, CAGMA_SIM_DURATION_MAX_US) },
  { FIELD(MIB, "burst-mib", CagmaPhase, burst_kib, 0, CAGMA_MAX_KIB) },
  { FIELD(SECONDS, "burst-every-s", CagmaPhase, burst_every_us, 0, CAGMA_SIM_DURATION_MAX_US) },
  { FIELD(SECONDS, "burst-s", CagmaPhase, burst_us, 0, CAGMA_SIM_DURATION_MAX_US) },
};
static const CagmaFields phase_fields = FIELDS(CagmaPhase, phase_table, init_phase);

static const CagmaField part_table[] = {
  { FIELD(CHOICE, "kind", CagmaPart, kind, 0, 0), .required = TRUE, .name_at = kind_name },
  { FIELD(CHOICE, "access", CagmaPart, access, 0, 0), .name_at = access_name },
  { FIELD(LIST, "phases", CagmaPart, phases, 1, CAGMA_SIM_PHASES_MAX), LIST(CagmaPart, phases),
    .required = TRUE, .fields = &phase_fields },
};
static const CagmaFields part_fields = FIELDS(CagmaPart, part_table, NULL);

static const CagmaField disk_phase_table[] = {
  { FIELD(SECONDS, "from-s", CagmaDiskPhase, from_us, 0, CAGMA_SIM_DURATION_MAX_US) },
  { FIELD(COUNT, "tasks", CagmaDiskPhase, tasks, 0, 10000), .required = TRUE },
  { FIELD(KIB, "io-kib", CagmaDiskPhase, io_kib, 1, CAGMA_GIB(1)) },
};
static const CagmaFields disk_phase_fields = FIELDS(CagmaDiskPhase, disk_phase_table, init_disk_phase);

static const CagmaField event_table[] = {
  { FIELD(SECONDS, "at-s", CagmaSimEvent, at_us, 0, CAGMA_SIM_DURATION_MAX_US), .required = TRUE },
  { FIELD(CHOICE, "what", CagmaSimEvent, what, 0, 0), .required = TRUE, .name_at = befalls_name },
};
static const CagmaFields event_fields = FIELDS(CagmaSimEvent, event_table, NULL);

static const CagmaField guest_table[] = {
  { FIELD(TEXT, "name", CagmaSimGuest, name, 1, NAME_MAX_CHARS), .required = TRUE },
  { FIELD(COUNT, "count", CagmaSimGuest, count, 1, CAGMA_SIM_GUESTS_MAX) },
  { FIELD(MIB, "guarantee-mib", CagmaSimGuest, config.guarantee_kib, 0, CAGMA_MAX_KIB),
    .given = CAGMA_GIVEN_GUARANTEE },
  { FIELD(MIB, "limit-mib", CagmaSimGuest, config.limit_kib, 0, CAGMA_MAX_KIB), .given = CAGMA_GIVEN_LIMIT },
  { FIELD(COUNT, "shares", CagmaSimGuest, config.shares, 0, CAGMA_SHARES_MAX), .given = CAGMA_GIVEN_SHARES },
  { FIELD(CHOICE, "estimator", CagmaSimGuest, config.estimator, 0, 0), .name_at = estimator_name,
    .given = CAGMA_GIVEN_ESTIMATOR },
  { FIELD(PERCENT, "headroom-percent", CagmaSimGuest, config.headroom_permille, 0,
          CAGMA_HEADROOM_MAX_PERMILLE),
    .given = CAGMA_GIVEN_HEADROOM },
  { FIELD(MIB, "headroom-mib", CagmaSimGuest, config.headroom_kib, 0, CAGMA_MAX_KIB),
    .given = CAGMA_GIVEN_HEADROOM },
  { FIELD(FLAG, "emergency", CagmaSimGuest, config.emergency, 0, 1), .given = CAGMA_GIVEN_EMERGENCY },
  { FIELD(MIB, "memory-mib", CagmaSimGuest, memory_kib, CAGMA_MIB(16), CAGMA_MAX_KIB), .required = TRUE },
  { FIELD(MIB, "start-mib", CagmaSimGuest, start_kib, 0, CAGMA_MAX_KIB) },
  { FIELD(MIB, "kernel-mib", CagmaSimGuest, kernel_kib, CAGMA_MIB(1), CAGMA_MAX_KIB) },
  { FIELD(MIB, "swap-mib", CagmaSimGuest, swap_kib, 0, CAGMA_MAX_KIB) },
  { FIELD(COUNT, "vcpus", CagmaSimGuest, vcpus, 1, 4096) },
  { FIELD(FLAG, "driver", CagmaSimGuest, driver, 0, 1) },
  { FIELD(MIB, "balloon-up-mib-per-s", CagmaSimGuest, balloon_up_kib_per_s, CAGMA_MIB(1),
          PACE_MAX_KIB_PER_S) },
  { FIELD(MIB, "balloon-down-mib-per-s", CagmaSimGuest, balloon_down_kib_per_s, CAGMA_MIB(1),
          PACE_MAX_KIB_PER_S) },
  { FIELD(FLAG, "free-page-reporting", CagmaSimGuest, free_page_reporting, 0, 1) },
  { FIELD(CHOICE, "reports", CagmaSimGuest, reports, 0, 0), .name_at = reports_name },
  { FIELD(SECONDS, "report-s", CagmaSimGuest, report_us, PERIOD_MIN_US, PERIOD_MAX_US) },
  { FIELD(SECONDS, "delay-s", CagmaSimGuest, delay_us, 0, 60 * CAGMA_SECOND_US) },
  { FIELD(COUNT, "loss-permille", CagmaSimGuest, loss_permille, 0, 1000) },
  { FIELD(SECONDS, "arrives-s", CagmaSimGuest, arrives_us, 0, CAGMA_SIM_DURATION_MAX_US) },
  { FIELD(SECONDS, "leaves-s", CagmaSimGuest, leaves_us, 0, CAGMA_SIM_DURATION_MAX_US) },
  { FIELD(LIST, "parts", CagmaSimGuest, parts, 0, CAGMA_SIM_PARTS_MAX), LIST(CagmaSimGuest, parts),
    .fields = &part_fields },
  { FIELD(LIST, "disk", CagmaSimGuest, disk, 0, CAGMA_SIM_PHASES_MAX), LIST(CagmaSimGuest, disk),
    .fields = &disk_phase_fields },
  { FIELD(LIST, "events", CagmaSimGuest, events, 0, CAGMA_SIM_EVENTS_MAX), LIST(CagmaSimGuest, events),
    .fields = &event_fields },
};
const CagmaFields cagma_sim_guest_fields = FIELDS(CagmaSimGuest, guest_table, init_guest);

static const CagmaField host_table[] = {
  { FIELD(MIB, "memory-mib", CagmaScenario, memory_kib, CAGMA_MIB(64), CAGMA_MAX_KIB) },
  { FIELD(MIB, "reserve-mib", CagmaScenario, reserve_kib, 0, CAGMA_MAX_KIB) },
  { FIELD(MIB, "pool-mib", CagmaScenario, pool_kib, 0, CAGMA_MAX_KIB) },
  { FIELD(SECONDS, "period-s", CagmaScenario, period_us, PERIOD_MIN_US, PERIOD_MAX_US) },
  { FIELD(CHOICE, "surplus", CagmaScenario, surplus, 0, 0), .name_at = surplus_name },
  { FIELD(FLAG, "read-back", CagmaScenario, read_back, 0, 1) },
};
static const CagmaFields host_fields = FIELDS(CagmaScenario, host_table, NULL);

static const CagmaField device_table[] = {
  { FIELD(COUNT, "iops", CagmaSimDisk, iops, 1, 10000000) },
  { FIELD(MIB, "mib-per-s", CagmaSimDisk, kib_per_s, CAGMA_MIB(1), PACE_MAX_KIB_PER_S) },
  { FIELD(MILLISECONDS, "latency-ms", CagmaSimDisk, latency_us, 1, 10 * CAGMA_SECOND_US) },
  { FIELD(KIB, "swap-read-kib", CagmaSimDisk, swap_read_kib, 4, CAGMA_MIB(64)) },
  { FIELD(KIB, "swap-write-kib", CagmaSimDisk, swap_write_kib, 4, CAGMA_MIB(64)) },
  { FIELD(KIB, "file-random-kib", CagmaSimDisk, file_random_kib, 4, CAGMA_MIB(64)) },
  { FIELD(KIB, "file-cyclic-kib", CagmaSimDisk, file_cyclic_kib, 4, CAGMA_MIB(64)) },
};
static const CagmaFields device_fields = FIELDS(CagmaSimDisk, device_table, NULL);

static const CagmaField scenario_table[] = {
  { FIELD(TEXT, "name", CagmaScenario, name, 1, NAME_MAX_CHARS), .required = TRUE },
  { FIELD(TEXT, "description", CagmaScenario, description, 0, DESCRIPTION_MAX_CHARS) },
  { FIELD(COUNT, "seed", CagmaScenario, seed, 0, G_MAXUINT32) },
  { FIELD(SECONDS, "duration-s", CagmaScenario, duration_us, CAGMA_SECOND_US, CAGMA_SIM_DURATION_MAX_US) },
  { .name = "host", .type = CAGMA_FIELD_OBJECT, .offset = 0, .fields = &host_fields },
  { FIELD(OBJECT, "disk", CagmaScenario, disk, 0, 0), .fields = &device_fields },
  { FIELD(LIST, "guests", CagmaScenario, guests, 1, CAGMA_SIM_GUESTS_MAX), LIST(CagmaScenario, guests),
    .required = TRUE, .fields = &cagma_sim_guest_fields },
};
const CagmaFields cagma_scenario_fields = FIELDS(CagmaScenario, scenario_table, init_scenario);

uint64_t
cagma_field_scale(CagmaFieldType type)
{
  switch (type) {
  case CAGMA_FIELD_PERCENT:
    return 10;
  case CAGMA_FIELD_MIB:
    return CAGMA_MIB(1);
  case CAGMA_FIELD_SECONDS:
    return (uint64_t)CAGMA_SECOND_US;
  case CAGMA_FIELD_MILLISECONDS:
    return (uint64_t)CAGMA_SECOND_US / 1000;
  default:
    return 1;
  }
}

uint64_t
cagma_field_number(const CagmaField *field, const void *at)
{
  const char *member = (const char *)at + field->offset;
  int64_t time_us;

  switch (field->type) {
  case CAGMA_FIELD_COUNT:
  case CAGMA_FIELD_PERCENT:
    return *(const uint32_t *)member;
  case CAGMA_FIELD_KIB:
  case CAGMA_FIELD_MIB:
    return *(const uint64_t *)member;
  case CAGMA_FIELD_SECONDS:
  case CAGMA_FIELD_MILLISECONDS:
    time_us = *(const int64_t *)member;
    return time_us < 0 ? G_MAXUINT64 : (uint64_t)time_us;
  case CAGMA_FIELD_FLAG:
    return *(const gboolean *)member != FALSE;
  case CAGMA_FIELD_CHOICE:
    return *(const unsigned int *)member;
  default:
    g_assert_not_reached();
  }
}

void
cagma_field_set_number(const CagmaField *field, void *at, uint64_t number)
{
  char *member = (char *)at + field->offset;

  switch (field->type) {
  case CAGMA_FIELD_COUNT:
  case CAGMA_FIELD_PERCENT:
    *(uint32_t *)member = (uint32_t)number;
    return;
  case CAGMA_FIELD_KIB:
  case CAGMA_FIELD_MIB:
    *(uint64_t *)member = number;
    return;
  case CAGMA_FIELD_SECONDS:
  case CAGMA_FIELD_MILLISECONDS:
    *(int64_t *)member = (int64_t)number;
    return;
  case CAGMA_FIELD_FLAG:
    *(gboolean *)member = number != 0;
    return;
  case CAGMA_FIELD_CHOICE:
    *(unsigned int *)member = (unsigned int)number;
    return;
  default:
    g_assert_not_reached();
  }
}

void *
cagma_field_list(const CagmaField *field, const void *at, size_t *n)
{
  *n = *(const size_t *)((const char *)at + field->n_offset);
  return *(void *const *)((const char *)at + field->offset);
}

static void
clear_list(const CagmaField *field, void *at)
{
  size_t n;
  char *elements = cagma_field_list(field, at, &n);

  for (size_t i = 0; i < n; i++)
    cagma_fields_clear(field->fields, elements + i * field->fields->size);
  g_free(elements);
  *(void **)((char *)at + field->offset) = NULL;
  *(size_t *)((char *)at + field->n_offset) = 0;
}

void
cagma_fields_clear(const CagmaFields *fields, void *at)
{
  for (size_t i = 0; i < fields->n; i++) {
    const CagmaField *field = &fields->field[i];

    if (field->type == CAGMA_FIELD_TEXT)
      g_clear_pointer((char **)((char *)at + field->offset), g_free);
    else if (field->type == CAGMA_FIELD_LIST)
      clear_list(field, at);
  }
}

static void
own_list(const CagmaField *field, void *at)
{
  size_t n;
  const char *theirs = cagma_field_list(field, at, &n);
  char *elements = g_memdup2(theirs, n * field->fields->size);

  for (size_t i = 0; i < n; i++)
    cagma_fields_own(field->fields, elements + i * field->fields->size);
  *(void **)((char *)at + field->offset) = elements;
}

void
cagma_fields_own(const CagmaFields *fields, void *at)
{
  for (size_t i = 0; i < fields->n; i++) {
    const CagmaField *field = &fields->field[i];

    if (field->type == CAGMA_FIELD_TEXT) {
      char **text = (char **)((char *)at + field->offset);

      *text = g_strdup(*text);
    } else if (field->type == CAGMA_FIELD_LIST) {
      own_list(field, at);
    }
  }
}
