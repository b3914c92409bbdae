/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/record-fields.h"

#include <string.h>
#include <zlib.h>

#include "plugin/inputs.h"
#include "policy/decision.h"
#include "policy/units.h"

/* Sums of a few sizes, and of what 16384 domains can have; both fit 64 bits many times. */
#define SIZE (4 * CAGMA_MAX_KIB)
#define SIZES (CAGMA_MAX_KIB << 15)
/* 285 years: sums and differences of some stay far from overflowing. */
#define TIME ((uint64_t)1 << 53)
/* A guest's own word, which the policy clamps where it uses it. */
#define ANY UINT64_MAX
#define COUNT UINT32_MAX
#define FLAG 1

/* Refuses, by not compiling, what has no place in a record: pointers above all. */
#define KIND(member)                                                                                         \
  _Generic((member),                                                                                         \
      int: CAGMA_FIELD_U32,                                                                                  \
      uint32_t: CAGMA_FIELD_U32,                                                                             \
      uint64_t: CAGMA_FIELD_U64,                                                                             \
      uint64_t *: CAGMA_FIELD_U64,                                                                           \
      int64_t: CAGMA_FIELD_I64)
#define FIELD(type, member, largest)                                                                         \
  {                                                                                                          \
    .name = #member, .offset = offsetof(type, member), .kind = KIND(((type *)NULL)->member),                 \
    .count = sizeof((type *)NULL)->member / (KIND(((type *)NULL)->member) == CAGMA_FIELD_U32 ? 4 : 8),       \
    .most = (largest)                                                                                        \
  }
#define TABLE(type, list)                                                                                    \
  {                                                                                                          \
    .fields = (list), .n_fields = G_N_ELEMENTS(list), .size = sizeof(type)                                   \
  }

static const CagmaField sample_list[] = {
  FIELD(CagmaSample, source, CAGMA_SAMPLE_CHANNEL),
  FIELD(CagmaSample, has, COUNT),
  FIELD(CagmaSample, actual_kib, ANY),
  FIELD(CagmaSample, usable_kib, ANY),
  FIELD(CagmaSample, unused_kib, ANY),
  FIELD(CagmaSample, caches_kib, ANY),
  FIELD(CagmaSample, swap_in_kib, ANY),
  FIELD(CagmaSample, swap_out_kib, ANY),
  FIELD(CagmaSample, major_faults, ANY),
  FIELD(CagmaSample, rss_kib, ANY),
  FIELD(CagmaSample, stamp, ANY),
  FIELD(CagmaSample, block_read_kib, ANY),
  FIELD(CagmaSample, swap_used_kib, ANY),
  FIELD(CagmaSample, swap_total_kib, ANY),
  FIELD(CagmaSample, largest_kib, ANY),
  FIELD(CagmaSample, swapping_kib, ANY),
  FIELD(CagmaSample, swappable_kib, ANY),
  FIELD(CagmaSample, refault_file_kib, ANY),
  FIELD(CagmaSample, refault_anon_kib, ANY),
  FIELD(CagmaSample, vcpus, ANY),
  FIELD(CagmaSample, load1_permille, ANY),
  FIELD(CagmaSample, load5_permille, ANY),
  FIELD(CagmaSample, load15_permille, ANY),
  FIELD(CagmaSample, cap_kib, ANY),
  FIELD(CagmaSample, driver, ANY),
};
const CagmaFieldTable cagma_sample_fields = TABLE(CagmaSample, sample_list);

static const CagmaField input_list[] = {
  FIELD(CagmaInput, kind, CAGMA_INPUT_WITHDRAWN),
  FIELD(CagmaInput, kib, SIZE),
  FIELD(CagmaInput, source, CAGMA_SAMPLE_CHANNEL),
};
const CagmaFieldTable cagma_input_fields = TABLE(CagmaInput, input_list);

static const CagmaField terms_list[] = {
  FIELD(CagmaDomain, config.mode, CAGMA_MODE_ENFORCE),
  FIELD(CagmaDomain, config.estimator, CAGMA_N_ESTIMATORS - 1),
  FIELD(CagmaDomain, config.guarantee_kib, SIZE),
  FIELD(CagmaDomain, config.limit_kib, SIZE),
  FIELD(CagmaDomain, config.shares, CAGMA_SHARES_MAX),
  FIELD(CagmaDomain, config.rate_permille, CAGMA_RATE_MAX_PERMILLE),
  FIELD(CagmaDomain, config.source, CAGMA_SOURCE_SWAPPING),
  FIELD(CagmaDomain, config.headroom_kib, SIZE),
  FIELD(CagmaDomain, config.headroom_permille, CAGMA_HEADROOM_MAX_PERMILLE),
  FIELD(CagmaDomain, config.emergency, FLAG),
  FIELD(CagmaDomain, config.given, COUNT),
  FIELD(CagmaDomain, managed, FLAG),
  FIELD(CagmaDomain, pinned, FLAG),
  FIELD(CagmaDomain, unresponsive, FLAG),
  FIELD(CagmaDomain, yields, FLAG),
  FIELD(CagmaDomain, max_kib, CAGMA_MAX_KIB),
  FIELD(CagmaDomain, overhead_kib, SIZE),
  FIELD(CagmaDomain, report_period_us, TIME),
  FIELD(CagmaDomain, without, COUNT),
};
const CagmaFieldTable cagma_terms_fields = TABLE(CagmaDomain, terms_list);

static const CagmaField learned_list[] = {
  FIELD(CagmaDomain, target_kib, SIZE),
  FIELD(CagmaDomain, actual_kib, SIZE),
  FIELD(CagmaDomain, has_actual, FLAG),
  FIELD(CagmaDomain, settled, FLAG),
  FIELD(CagmaDomain, driver, CAGMA_DRIVER_UP),
  FIELD(CagmaDomain, cap_kib, SIZE),
  FIELD(CagmaDomain, still_since_us, TIME),
  FIELD(CagmaDomain, began_us, TIME),
  FIELD(CagmaDomain, moves, FLAG),
  FIELD(CagmaDomain, move, CAGMA_MOVE_SHRINK),
  FIELD(CagmaDomain, move_from_kib, SIZE),
  FIELD(CagmaDomain, move_us, TIME),
  FIELD(CagmaDomain, move_mark_kib, SIZE),
  FIELD(CagmaDomain, move_mark_us, TIME),
  FIELD(CagmaDomain, moved_us, TIME),
  FIELD(CagmaDomain, stuck_until_us, TIME),
  FIELD(CagmaDomain, stuck_count, COUNT),
  FIELD(CagmaDomain, stuck_shrinking, FLAG),
  FIELD(CagmaDomain, waits, FLAG),
  FIELD(CagmaDomain, withdraw, FLAG),
  FIELD(CagmaDomain, source, CAGMA_SAMPLE_CHANNEL),
  FIELD(CagmaDomain, reported, FLAG),
  FIELD(CagmaDomain, contradictory, FLAG),
  FIELD(CagmaDomain, stamp, ANY),
  FIELD(CagmaDomain, has_stamp, FLAG),
  FIELD(CagmaDomain, report_us, TIME),
  FIELD(CagmaDomain, figures_us, TIME),
  FIELD(CagmaDomain, has_figures, FLAG),
  FIELD(CagmaDomain, used_kib, SIZE),
  FIELD(CagmaDomain, available_kib, SIZE),
  FIELD(CagmaDomain, free_kib, SIZE),
  FIELD(CagmaDomain, rss_kib, SIZE),
  FIELD(CagmaDomain, swap_used_kib, SIZE),
  FIELD(CagmaDomain, swap_total_kib, SIZE),
  FIELD(CagmaDomain, has_swap_used, FLAG),
  FIELD(CagmaDomain, swappable_kib, SIZE),
  FIELD(CagmaDomain, largest_kib, SIZE),
  FIELD(CagmaDomain, swapping_kib, SIZE),
  FIELD(CagmaDomain, has_counters, COUNT),
  FIELD(CagmaDomain, counters_us, TIME),
  FIELD(CagmaDomain, swap_in_kib, SIZE),
  FIELD(CagmaDomain, swap_out_kib, SIZE),
  FIELD(CagmaDomain, major_faults, SIZE),
  FIELD(CagmaDomain, refault_file_kib, SIZE),
  FIELD(CagmaDomain, refault_anon_kib, SIZE),
  FIELD(CagmaDomain, block_read_kib, SIZE),
  FIELD(CagmaDomain, has_block_read, FLAG),
  FIELD(CagmaDomain, block_read_us, TIME),
  FIELD(CagmaDomain, swap_back_kib, SIZE),
  FIELD(CagmaDomain, pushed_out_kib, SIZE),
  FIELD(CagmaDomain, cache_back_kib, SIZE),
  FIELD(CagmaDomain, swap_in_kib_per_s, SIZE),
  FIELD(CagmaDomain, swap_out_kib_per_s, SIZE),
  FIELD(CagmaDomain, faults_per_s, SIZE),
  FIELD(CagmaDomain, block_read_kib_per_s, SIZE),
  FIELD(CagmaDomain, consumption_kib_per_s, SIZE),
  FIELD(CagmaDomain, prev_used_kib, SIZE),
  FIELD(CagmaDomain, prev_used_us, TIME),
  FIELD(CagmaDomain, prev_swapped_kib, SIZE),
  FIELD(CagmaDomain, shrunk_us, TIME),
  FIELD(CagmaDomain, shrunk_from_kib, SIZE),
  FIELD(CagmaDomain, shrunk_swap_in_kib, SIZE),
  FIELD(CagmaDomain, shrunk_swap_out_kib, SIZE),
  FIELD(CagmaDomain, faults_before_per_s, SIZE),
  FIELD(CagmaDomain, block_read_before_kib_per_s, SIZE),
  FIELD(CagmaDomain, cache_back_before_kib, SIZE),
  FIELD(CagmaDomain, regain_kib, SIZE),
  FIELD(CagmaDomain, regain_until_us, TIME),
  FIELD(CagmaDomain, hurt_count, COUNT),
  FIELD(CagmaDomain, emergency, FLAG),
  FIELD(CagmaDomain, pressed_us, TIME),
  FIELD(CagmaDomain, pressed_swapped_kib, SIZE),
  FIELD(CagmaDomain, pressed_faults, SIZE),
  FIELD(CagmaDomain, wolf_events, COUNT),
  FIELD(CagmaDomain, wolf_count, COUNT),
  FIELD(CagmaDomain, deaf_until_us, TIME),
  FIELD(CagmaDomain, queue.set, CAGMA_QUEUE_RELEASE),
  FIELD(CagmaDomain, queue.ticket, ANY),
  FIELD(CagmaDomain, queue.critical_kib, SIZE),
  FIELD(CagmaDomain, queue.least_kib, SIZE),
  FIELD(CagmaDomain, queue.releases, COUNT),
  FIELD(CagmaDomain, queue.ring, SIZE),
  FIELD(CagmaDomain, loadavg.vcpus, SIZE),
  FIELD(CagmaDomain, loadavg.load1_permille, SIZE),
  FIELD(CagmaDomain, loadavg.load5_permille, SIZE),
  FIELD(CagmaDomain, loadavg.load15_permille, SIZE),
  FIELD(CagmaDomain, loadavg.load_us, TIME),
  FIELD(CagmaDomain, loadavg.heard, FLAG),
  FIELD(CagmaDomain, loadavg.size_kib, SIZE),
  FIELD(CagmaDomain, loadavg.change_kib, SIZE),
  FIELD(CagmaDomain, loadavg.look_us, TIME),
  FIELD(CagmaDomain, loadavg.ticked_us, TIME),
  FIELD(CagmaDomain, missratio.bucket_kib, SIZE),
  FIELD(CagmaDomain, missratio.miss_kib, SIZE),
  FIELD(CagmaDomain, missratio.fed_us, TIME),
  FIELD(CagmaDomain, missratio.has_curve, FLAG),
  FIELD(CagmaDomain, missratio.size_kib, SIZE),
  FIELD(CagmaDomain, missratio.epoch_us, TIME),
  FIELD(CagmaDomain, missratio.ticked_us, TIME),
  FIELD(CagmaDomain, missratio.source, CAGMA_SAMPLE_CHANNEL),
  FIELD(CagmaDomain, missratio.has_counters, COUNT),
  FIELD(CagmaDomain, missratio.swap_in_kib, SIZE),
  FIELD(CagmaDomain, missratio.refault_file_kib, SIZE),
  FIELD(CagmaDomain, missratio.major_faults, SIZE),
  FIELD(CagmaDomain, missratio.probe, CAGMA_PROBE_BACK),
  FIELD(CagmaDomain, missratio.missed_kib, SIZE),
  FIELD(CagmaDomain, missratio.reread_kib, SIZE),
  FIELD(CagmaDomain, missratio.hold, COUNT),
  FIELD(CagmaDomain, above_since_us, TIME),
  FIELD(CagmaDomain, distrusted, FLAG),
};
const CagmaFieldTable cagma_learned_fields = TABLE(CagmaDomain, learned_list);

static const CagmaField settings_list[] = {
  FIELD(CagmaHost, budget, CAGMA_BUDGET_FIXED),
  FIELD(CagmaHost, budget_kib, SIZE),
  FIELD(CagmaHost, total_kib, SIZE),
  FIELD(CagmaHost, available_kib, SIZE),
  FIELD(CagmaHost, merged_kib, SIZE),
  FIELD(CagmaHost, reserve_kib, SIZE),
  FIELD(CagmaHost, incoming_kib, SIZES),
  FIELD(CagmaHost, pool_kib, SIZE),
  FIELD(CagmaHost, learning, FLAG),
  FIELD(CagmaHost, left_us, TIME),
  FIELD(CagmaHost, surplus, CAGMA_SURPLUS_RECLAIM),
  FIELD(CagmaHost, policy, CAGMA_N_POLICIES - 1),
  FIELD(CagmaHost, period_us, TIME),
  FIELD(CagmaHost, without, COUNT),
};
const CagmaFieldTable cagma_settings_fields = TABLE(CagmaHost, settings_list);

static const CagmaField kept_list[] = {
  FIELD(CagmaHost, measured_kib, SIZES), FIELD(CagmaHost, trusted_kib, SIZES),
  FIELD(CagmaHost, trusted_us, TIME),    FIELD(CagmaHost, spread_us, TIME),
  FIELD(CagmaHost, pool_low, FLAG),      FIELD(CagmaHost, queue_round_us, TIME),
  FIELD(CagmaHost, queue_tickets, ANY),
};
const CagmaFieldTable cagma_kept_fields = TABLE(CagmaHost, kept_list);

static const CagmaField decision_list[] = {
  FIELD(CagmaDecision, state, CAGMA_N_STATES - 1),
  FIELD(CagmaDecision, why, CAGMA_WHY_ENOUGH),
  FIELD(CagmaDecision, managed, FLAG),
  FIELD(CagmaDecision, estimator, CAGMA_N_ESTIMATORS - 1),
  FIELD(CagmaDecision, shares, CAGMA_SHARES_MAX),
  FIELD(CagmaDecision, max_kib, CAGMA_MAX_KIB),
  FIELD(CagmaDecision, guarantee_kib, SIZE),
  FIELD(CagmaDecision, limit_kib, SIZE),
  FIELD(CagmaDecision, has_actual, FLAG),
  FIELD(CagmaDecision, has_figures, FLAG),
  FIELD(CagmaDecision, has_counters, FLAG),
  FIELD(CagmaDecision, actual_kib, SIZE),
  FIELD(CagmaDecision, rss_kib, SIZE),
  FIELD(CagmaDecision, swap_in_kib_per_s, SIZE),
  FIELD(CagmaDecision, swap_out_kib_per_s, SIZE),
  FIELD(CagmaDecision, figures_age_us, 2 * TIME),
  FIELD(CagmaDecision, report_age_us, 2 * TIME),
  FIELD(CagmaDecision, demand.used_kib, SIZE),
  FIELD(CagmaDecision, demand.available_kib, SIZE),
  FIELD(CagmaDecision, demand.headroom_kib, SIZE),
  FIELD(CagmaDecision, demand.critical_kib, SIZES),
  FIELD(CagmaDecision, demand.demand_kib, SIZE),
  FIELD(CagmaDecision, demand.bare_kib, SIZE),
  FIELD(CagmaDecision, demand.wish_kib, SIZE),
  FIELD(CagmaDecision, demand.blind, FLAG),
  FIELD(CagmaDecision, demand.regains, FLAG),
  FIELD(CagmaDecision, demand.source, CAGMA_SOURCE_SWAPPING),
  FIELD(CagmaDecision, demand.rate_permille, CAGMA_RATE_MAX_PERMILLE),
  FIELD(CagmaDecision, demand.approximated, FLAG),
  FIELD(CagmaDecision, demand.swap_back_kib, SIZE),
  FIELD(CagmaDecision, demand.foreseen_kib, SIZE),
  FIELD(CagmaDecision, demand.consumption_kib_per_s, SIZE),
  FIELD(CagmaDecision, demand.cache_back_kib, SIZE),
  FIELD(CagmaDecision, demand.footprint_kib, SIZE),
  FIELD(CagmaDecision, demand.heard, FLAG),
  FIELD(CagmaDecision, demand.load1_permille, COUNT),
  FIELD(CagmaDecision, demand.load5_permille, COUNT),
  FIELD(CagmaDecision, demand.load15_permille, COUNT),
  FIELD(CagmaDecision, demand.free_permille, COUNT),
  FIELD(CagmaDecision, demand.change_kib, SIZE),
  FIELD(CagmaDecision, demand.wait_us, 2 * TIME),
  FIELD(CagmaDecision, demand.probe, CAGMA_PROBE_BACK),
  FIELD(CagmaDecision, demand.touched_kib, SIZE),
  FIELD(CagmaDecision, demand.missed_kib, SIZE),
  FIELD(CagmaDecision, demand.hold, COUNT),
  FIELD(CagmaDecision, charge_kib, SIZE),
  FIELD(CagmaDecision, standing_kib, SIZE),
  FIELD(CagmaDecision, least_kib, SIZE),
  FIELD(CagmaDecision, entitled_kib, SIZE),
  FIELD(CagmaDecision, queue_set, CAGMA_QUEUE_RELEASE),
  FIELD(CagmaDecision, queue_releases, COUNT),
  FIELD(CagmaDecision, queue_critical_kib, SIZE),
  FIELD(CagmaDecision, target_kib, SIZE),
  FIELD(CagmaDecision, waits_kib, SIZE),
  FIELD(CagmaDecision, move, CAGMA_MOVE_SHRINK),
  FIELD(CagmaDecision, move_from_kib, SIZE),
  FIELD(CagmaDecision, move_to_kib, SIZE),
  FIELD(CagmaDecision, stuck_left_us, 2 * TIME),
  FIELD(CagmaDecision, deaf_left_us, 2 * TIME),
};
const CagmaFieldTable cagma_decision_fields = TABLE(CagmaDecision, decision_list);

static const CagmaField verdict_list[] = {
  FIELD(CagmaVerdict, policy, CAGMA_N_POLICIES - 1),
  FIELD(CagmaVerdict, fit, CAGMA_FIT_QUEUE),
  FIELD(CagmaVerdict, in_hand_kib, SIZES),
  FIELD(CagmaVerdict, coming_kib, SIZES),
  FIELD(CagmaVerdict, pool_kib, SIZE),
  FIELD(CagmaVerdict, shortfall_kib, SIZES),
  FIELD(CagmaVerdict, dry_run, FLAG),
  FIELD(CagmaVerdict, guard, CAGMA_GUARD_REFUSED),
};
const CagmaFieldTable cagma_verdict_fields = TABLE(CagmaVerdict, verdict_list);

static uint32_t
sum_of_tables(void)
{
  const CagmaFieldTable *tables[] = { &cagma_sample_fields,   &cagma_input_fields,    &cagma_terms_fields,
                                      &cagma_learned_fields,  &cagma_settings_fields, &cagma_kept_fields,
                                      &cagma_decision_fields, &cagma_verdict_fields };
  uLong sum = crc32(0, NULL, 0);

  for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
    for (size_t j = 0; j < tables[i]->n_fields; j++) {
      const CagmaField *field = &tables[i]->fields[j];
      g_autofree char *line = g_strdup_printf("%zu %s %d %zu %" G_GUINT64_FORMAT, i, field->name, field->kind,
                                              field->count, field->most);

      sum = crc32(sum, (const Bytef *)line, (uInt)strlen(line));
    }
  }
  return (uint32_t)sum;
}

uint32_t
cagma_fields_fingerprint(void)
{
  static gsize once;
  static uint32_t fingerprint;

  if (g_once_init_enter(&once)) {
    fingerprint = sum_of_tables();
    g_once_init_leave(&once, 1);
  }
  return fingerprint;
}

void
cagma_put_number(GByteArray *out, uint64_t value)
{
  uint8_t bytes[10];
  guint n = 0;

  for (; value >= 0x80; value >>= 7)
    bytes[n++] = (uint8_t)(value | 0x80);
  bytes[n++] = (uint8_t)value;
  g_byte_array_append(out, bytes, n);
}

static uint64_t
fold(int64_t value)
{
  return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static int64_t
unfold(uint64_t folded)
{
  return (int64_t)((folded >> 1) ^ (folded & 1 ? UINT64_MAX : 0));
}

void
cagma_put_signed(GByteArray *out, int64_t value)
{
  cagma_put_number(out, fold(value));
}

void
cagma_put_text(GByteArray *out, const char *text)
{
  guint length = text ? (guint)strlen(text) : 0;

  cagma_put_number(out, length);
  if (length)
    g_byte_array_append(out, (const guint8 *)text, length);
}

static gboolean
fail(CagmaCursor *in)
{
  in->at = in->end;
  return FALSE;
}

gboolean
cagma_get_number(CagmaCursor *in, uint64_t most, uint64_t *value)
{
  *value = 0;
  for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
    uint64_t byte = *in->at++;

    /* Of the tenth byte only one bit is left. */
    if (shift == 63 && byte > 1)
      return fail(in);
    *value |= (byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return *value <= most || fail(in);
  }
  return fail(in);
}

gboolean
cagma_get_signed(CagmaCursor *in, uint64_t most, int64_t *value)
{
  uint64_t folded;

  *value = 0;
  if (!cagma_get_number(in, UINT64_MAX, &folded))
    return FALSE;
  if ((folded >> 1) + (folded & 1) > most)
    return fail(in);
  *value = unfold(folded);
  return TRUE;
}

gboolean
cagma_get_text(CagmaCursor *in, char *text, size_t size)
{
  uint64_t length;

  text[0] = '\0';
  if (!cagma_get_number(in, size - 1, &length) || length > (size_t)(in->end - in->at))
    return fail(in);
  if (!g_utf8_validate((const char *)in->at, (gssize)length, NULL))
    return fail(in);
  memcpy(text, in->at, length);
  text[length] = '\0';
  in->at += length;
  return TRUE;
}

static uint64_t
load(const CagmaField *field, const void *record, size_t index)
{
  const char *at = (const char *)record + field->offset;
  uint32_t narrow;
  uint64_t wide;

  if (field->kind == CAGMA_FIELD_U32) {
    memcpy(&narrow, at + index * sizeof narrow, sizeof narrow);
    return narrow;
  }
  memcpy(&wide, at + index * sizeof wide, sizeof wide);
  return wide;
}

static gboolean
store(const CagmaField *field, void *record, size_t index, uint64_t value)
{
  char *at = (char *)record + field->offset;
  uint32_t narrow = (uint32_t)value;
  uint64_t size = field->kind == CAGMA_FIELD_I64 && (int64_t)value < 0 ? -value : value;

  if (size > field->most)
    return FALSE;
  if (field->kind == CAGMA_FIELD_U32)
    memcpy(at + index * sizeof narrow, &narrow, sizeof narrow);
  else
    memcpy(at + index * sizeof value, &value, sizeof value);
  return TRUE;
}

static void
put_zeros(GByteArray *out, uint64_t zeros)
{
  const uint8_t zero = 0;

  if (!zeros)
    return;
  g_byte_array_append(out, &zero, 1);
  cagma_put_number(out, zeros - 1);
}

void
cagma_put_fields(GByteArray *out, const CagmaFieldTable *table, const void *record, const void *before)
{
  uint64_t zeros = 0;

  for (size_t i = 0; i < table->n_fields; i++) {
    const CagmaField *field = &table->fields[i];

    for (size_t j = 0; j < field->count; j++) {
      uint64_t value = load(field, record, j) - (before ? load(field, before, j) : 0);

      if (before || field->kind == CAGMA_FIELD_I64)
        value = fold((int64_t)value);
      if (!value) {
        zeros++;
        continue;
      }
      put_zeros(out, zeros);
      zeros = 0;
      cagma_put_number(out, value);
    }
  }
  put_zeros(out, zeros);
}

/* The next of numbers of which zeros are written as how many there are. */
static gboolean
get_next(CagmaCursor *in, uint64_t *zeros, uint64_t *value)
{
  *value = 0;
  if (*zeros) {
    --*zeros;
    return TRUE;
  }
  return cagma_get_number(in, UINT64_MAX, value) && (*value || cagma_get_number(in, UINT64_MAX, zeros));
}

gboolean
cagma_get_fields(CagmaCursor *in, const CagmaFieldTable *table, void *record, const void *before)
{
  uint64_t zeros = 0, value;

  for (size_t i = 0; i < table->n_fields; i++) {
    const CagmaField *field = &table->fields[i];

    for (size_t j = 0; j < field->count; j++) {
      if (!get_next(in, &zeros, &value))
        return FALSE;
      if (before || field->kind == CAGMA_FIELD_I64)
        value = (uint64_t)unfold(value);
      if (!store(field, record, j, value + (before ? load(field, before, j) : 0)))
        return fail(in);
    }
  }
  /* More zeros than there are members. */
  return zeros == 0 || fail(in);
}

gboolean
cagma_skip_fields(CagmaCursor *in, const CagmaFieldTable *table)
{
  uint64_t zeros = 0, value;

  for (size_t i = 0; i < table->n_fields; i++)
    for (size_t j = 0; j < table->fields[i].count; j++)
      if (!get_next(in, &zeros, &value))
        return FALSE;
  return zeros == 0 || fail(in);
}

static size_t
width(const CagmaField *field)
{
  return field->count * (field->kind == CAGMA_FIELD_U32 ? sizeof(uint32_t) : sizeof(uint64_t));
}

void
cagma_copy_fields(const CagmaFieldTable *table, void *to, const void *from)
{
  for (size_t i = 0; i < table->n_fields; i++) {
    const CagmaField *field = &table->fields[i];

    memcpy((char *)to + field->offset, (const char *)from + field->offset, width(field));
  }
}

gboolean
cagma_same_fields(const CagmaFieldTable *table, const void *a, const void *b)
{
  for (size_t i = 0; i < table->n_fields; i++) {
    const CagmaField *field = &table->fields[i];

    if (memcmp((const char *)a + field->offset, (const char *)b + field->offset, width(field)) != 0)
      return FALSE;
  }
  return TRUE;
}
