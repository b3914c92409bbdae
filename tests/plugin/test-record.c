/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/manager.h"
#include "plugin/rebuild.h"
#include "plugin/record.h"
#include "policy/explain.h"
#include "policy/guard.h"
#include "policy/units.h"
#include "tests/plugin/fake-backend.h"
#include "tests/plugin/kit.h"
#include "xml/memory.h"

/* The record: fields, writing, reading whatever is left of it, and doing it again. */

/* Fields. */

static const struct {
  const char *name;
  const CagmaFieldTable *table;
} tables[] = {
  { "sample", &cagma_sample_fields },     { "input", &cagma_input_fields },
  { "terms", &cagma_terms_fields },       { "learned", &cagma_learned_fields },
  { "settings", &cagma_settings_fields }, { "kept", &cagma_kept_fields },
  { "decision", &cagma_decision_fields }, { "verdict", &cagma_verdict_fields },
};

static uint64_t
draw_up_to(uint64_t most)
{
  uint64_t value = ((uint64_t)(guint32)g_test_rand_int() << 32) | (guint32)g_test_rand_int();

  /* Small numbers, zeros and the largest are as likely as all others together. */
  switch (g_test_rand_int_range(0, 4)) {
  case 0:
    return 0;
  case 1:
    return most;
  case 2:
    value >>= g_test_rand_int_range(0, 64);
    break;
  default:
    break;
  }
  return most == UINT64_MAX ? value : value % (most + 1);
}

static void
put_member(const CagmaField *field, void *record, size_t index, uint64_t value)
{
  char *at = (char *)record + field->offset;
  uint32_t narrow = (uint32_t)value;

  if (field->kind == CAGMA_FIELD_U32)
    memcpy(at + index * sizeof narrow, &narrow, sizeof narrow);
  else
    memcpy(at + index * sizeof value, &value, sizeof value);
}

static void
fill_record(const CagmaFieldTable *table, void *record)
{
  for (size_t i = 0; i < table->n_fields; i++) {
    const CagmaField *field = &table->fields[i];

    for (size_t j = 0; j < field->count; j++) {
      uint64_t value = draw_up_to(field->most);

      if (field->kind == CAGMA_FIELD_I64 && g_test_rand_bit())
        value = -value;
      put_member(field, record, j, value);
    }
  }
}

static void
test_round_trip_of_random_records(void)
{
  for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
    const CagmaFieldTable *table = tables[i].table;
    g_autofree char *written = g_malloc0(table->size);
    g_autofree char *before = g_malloc0(table->size);
    g_autofree char *read = g_malloc0(table->size);

    for (int round = 0; round < 500; round++) {
      g_autoptr(GByteArray) bytes = g_byte_array_new();
      CagmaCursor in;

      fill_record(table, written);
      memset(read, 0, table->size);
      cagma_put_fields(bytes, table, written, NULL);
      in = (CagmaCursor){ bytes->data, bytes->data + bytes->len };
      g_assert_true(cagma_get_fields(&in, table, read, NULL));
      g_assert_true(in.at == in.end);
      g_assert_true(cagma_same_fields(table, written, read));
      /* And nothing beside them. */
      g_assert_cmpmem(read, table->size, written, table->size);

      g_byte_array_set_size(bytes, 0);
      fill_record(table, before);
      cagma_put_fields(bytes, table, written, before);
      memset(read, 0, table->size);
      in = (CagmaCursor){ bytes->data, bytes->data + bytes->len };
      g_assert_true(cagma_get_fields(&in, table, read, before));
      g_assert_true(in.at == in.end);
      g_assert_cmpmem(read, table->size, written, table->size);
      in = (CagmaCursor){ bytes->data, bytes->data + bytes->len };
      g_assert_true(cagma_skip_fields(&in, table));
      g_assert_true(in.at == in.end);

      for (guint cut = 0; cut < bytes->len; cut++) {
        in = (CagmaCursor){ bytes->data, bytes->data + cut };
        g_assert_false(cagma_get_fields(&in, table, read, before));
        in = (CagmaCursor){ bytes->data, bytes->data + cut };
        g_assert_false(cagma_skip_fields(&in, table));
      }
    }
  }
}

static void
test_beyond_the_largest_is_refused(void)
{
  for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
    const CagmaFieldTable *table = tables[i].table;
    g_autofree char *record = g_malloc0(table->size);

    for (size_t j = 0; j < table->n_fields; j++) {
      const CagmaField *field = &table->fields[j];
      g_autoptr(GByteArray) bytes = g_byte_array_new();
      CagmaCursor in;

      g_assert_cmpuint(field->count, >=, 1);
      g_assert_cmpuint(field->most, >=, 1);
      if (field->most == UINT64_MAX || (field->kind == CAGMA_FIELD_U32 && field->most == UINT32_MAX))
        continue;
      memset(record, 0, table->size);
      put_member(field, record, field->count - 1, field->most + 1);
      cagma_put_fields(bytes, table, record, NULL);
      in = (CagmaCursor){ bytes->data, bytes->data + bytes->len };
      g_assert_false(cagma_get_fields(&in, table, record, NULL));
      g_assert_true(in.at == in.end);
    }
  }
}

static void
test_numbers(void)
{
  static const struct {
    int64_t value;
    gboolean is_signed;
    const char *bytes;
    gsize length;
  } cases[] = {
    { 0, FALSE, "\x00", 1 },
    { 127, FALSE, "\x7f", 1 },
    { 128, FALSE, "\x80\x01", 2 },
    { 300, FALSE, "\xac\x02", 2 },
    { -1, FALSE, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 },
    { 0, TRUE, "\x00", 1 },
    { -1, TRUE, "\x01", 1 },
    { 1, TRUE, "\x02", 1 },
    { -64, TRUE, "\x7f", 1 },
    { 64, TRUE, "\x80\x01", 2 },
    { INT64_MIN, TRUE, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    CagmaCursor in;
    uint64_t number;
    int64_t value;

    if (cases[i].is_signed)
      cagma_put_signed(bytes, cases[i].value);
    else
      cagma_put_number(bytes, (uint64_t)cases[i].value);
    g_assert_cmpmem(bytes->data, bytes->len, cases[i].bytes, cases[i].length);
    in = (CagmaCursor){ bytes->data, bytes->data + bytes->len };
    if (cases[i].is_signed) {
      g_assert_true(cagma_get_signed(&in, UINT64_MAX, &value));
      g_assert_cmpint(value, ==, cases[i].value);
    } else {
      g_assert_true(cagma_get_number(&in, UINT64_MAX, &number));
      g_assert_cmpuint(number, ==, (uint64_t)cases[i].value);
    }
  }
}

static void
test_numbers_that_are_none(void)
{
  static const struct {
    const char *bytes;
    gsize length;
    uint64_t most;
  } cases[] = {
    { "", 0, UINT64_MAX },
    { "\x80", 1, UINT64_MAX },
    { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, UINT64_MAX },
    { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, UINT64_MAX },
    { "\x05", 1, 4 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
    CagmaCursor in = { bytes, bytes + cases[i].length };
    uint64_t number;

    g_assert_false(cagma_get_number(&in, cases[i].most, &number));
    /* And nothing after it either. */
    g_assert_true(in.at == in.end);
  }
}

static void
test_texts(void)
{
  static const struct {
    const char *bytes;
    gsize length;
    const char *text; /* NULL: none */
  } cases[] = {
    { "\x00", 1, "" },
    { "\x02hi", 3, "hi" },
    { "\x07"
      "1234567",
      8, "1234567" },
    { "\x08"
      "12345678",
      9, NULL },
    { "\x03hi", 3, NULL },
    { "\x02h\xff", 3, NULL },
    { "\x02h\0", 3, NULL },
    { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, NULL },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
    CagmaCursor in = { bytes, bytes + cases[i].length };
    char text[8];

    g_assert_cmpint(cagma_get_text(&in, text, sizeof text), ==, cases[i].text != NULL);
    if (cases[i].text)
      g_assert_cmpstr(text, ==, cases[i].text);
  }
}

/* Members of a struct as its header declares them: one a line. */
static GHashTable *
members_of(const char *header, const char *type)
{
  g_autofree char *path = g_build_filename(g_getenv("CAGMA_SOURCE"), header, NULL);
  g_autofree char *text = NULL, *bare = NULL, *members_text = NULL;
  g_autofree char *shape =
      g_strdup_printf("typedef struct \\{\n([^{}]*)\\} %s;|struct %s \\{\n([^{}]*)\\};", type, type);
  g_autoptr(GRegex) comment = g_regex_new("/\\*.*?\\*/", G_REGEX_DOTALL, 0, NULL);
  g_autoptr(GRegex) body = g_regex_new(shape, 0, 0, NULL);
  g_autoptr(GRegex) member =
      g_regex_new("^\\s+(?:const\\s+)?\\w+ \\**(\\w+)(?:\\[\\w+\\])?;", G_REGEX_MULTILINE, 0, NULL);
  g_autoptr(GMatchInfo) found = NULL, match = NULL;
  GHashTable *members = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  bare = g_regex_replace_literal(comment, text, -1, 0, "", 0, NULL);
  if (!g_regex_match(body, bare, 0, &found))
    g_error("%s isn't in %s", type, header);
  members_text = g_match_info_fetch(found, g_match_info_get_match_count(found) - 1);
  for (g_regex_match(member, members_text, 0, &match); g_match_info_matches(match);
       g_match_info_next(match, NULL))
    g_hash_table_add(members, g_match_info_fetch(match, 1));
  g_assert_cmpuint(g_hash_table_size(members), >, 3);
  return members;
}

static gboolean
is_in(const char *name, const CagmaFieldTable *const *of, size_t n)
{
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < of[i]->n_fields; j++)
      if (g_str_equal(of[i]->fields[j].name, name))
        return TRUE;
  return FALSE;
}

/* A member that no table has would be missing from every record. */
static void
test_no_member_is_forgotten(void)
{
  static const CagmaFieldTable *const domain[] = { &cagma_terms_fields, &cagma_learned_fields };
  static const CagmaFieldTable *const host[] = { &cagma_settings_fields, &cagma_kept_fields };
  static const CagmaFieldTable *const sample[] = { &cagma_sample_fields };
  static const CagmaFieldTable *const input[] = { &cagma_input_fields };
  static const CagmaFieldTable *const decision[] = { &cagma_decision_fields };
  static const CagmaFieldTable *const verdict[] = { &cagma_verdict_fields };
  static const struct {
    const char *header, *type, *prefix;
    const CagmaFieldTable *const *of;
    size_t n;
    const char *apart; /* written beside the fields, or nothing of the policy's */
  } cases[] = {
    { "policy/domain.h", "CagmaDomain", "", domain, 2, "config hold queue loadavg missratio" },
    { "policy/config.h", "CagmaConfig", "config.", domain, 1, "" },
    { "policy/domain.h", "CagmaQueuePlace", "queue.", domain, 2, "" },
    { "policy/domain.h", "CagmaLoadavg", "loadavg.", domain, 2, "" },
    { "policy/domain.h", "CagmaMissratio", "missratio.", domain, 2, "" },
    { "policy/host.h", "CagmaHost", "", host, 2, "domains n_domains" },
    { "policy/sample.h", "CagmaSample", "", sample, 1, "" },
    { "plugin/inputs.h", "CagmaInput", "", input, 1, "now_us sample" },
    { "policy/decision.h", "CagmaDecision", "", decision, 1, "demand hold" },
    { "policy/estimator.h", "CagmaDemand", "demand.", decision, 1, "" },
    { "policy/decision.h", "CagmaVerdict", "", verdict, 1, "refusal" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GHashTable) members = members_of(cases[i].header, cases[i].type);
    g_auto(GStrv) apart = g_strsplit(cases[i].apart, " ", -1);
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, members);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
      g_autofree char *name = g_strconcat(cases[i].prefix, key, NULL);

      if (!g_strv_contains((const char *const *)apart, key) && !is_in(name, cases[i].of, cases[i].n))
        g_error("%s of %s is in no table of plugin/record-fields.c", (char *)key, cases[i].type);
    }
  }
}

/* Those that are no function of the policy's. */
static void
test_inputs_of_the_daemon_s_own(void)
{
  CagmaInput input = { .kind = CAGMA_INPUT_RESUMED, .now_us = 9, .kib = CAGMA_GIB(2) };
  CagmaDomain domain;

  cagma_domain_init(&domain, 1);
  g_assert_false(cagma_input_apply(&domain, &input));
  g_assert_cmpuint(domain.target_kib, ==, CAGMA_GIB(2));

  domain.actual_kib = CAGMA_GIB(2);
  domain.has_actual = TRUE;
  input.kind = CAGMA_INPUT_SET;
  input.kib = CAGMA_GIB(1);
  cagma_input_apply(&domain, &input);
  g_assert_cmpint(domain.move, ==, CAGMA_MOVE_SHRINK);
  g_assert_cmpint(domain.shrunk_us, ==, 9);
  input.kind = CAGMA_INPUT_TAKEN_BACK;
  input.kib = CAGMA_GIB(2);
  cagma_input_apply(&domain, &input);
  g_assert_cmpuint(domain.target_kib, ==, CAGMA_GIB(2));
  g_assert_cmpint(domain.move, ==, CAGMA_MOVE_NONE);
  g_assert_cmpint(domain.shrunk_us, ==, 0);

  input.kind = CAGMA_INPUT_WITHDRAWN;
  cagma_input_apply(&domain, &input);
  g_assert_true(domain.withdraw);
}

/* What the daemon did to a domain by another way than an input wouldn't be recorded. */
static void
test_there_is_no_other_way(void)
{
  g_autofree char *path = g_build_filename(g_getenv("CAGMA_SOURCE"), "plugin", NULL);
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  g_autoptr(GRegex) other = g_regex_new("cagma_domain_(restart|feed|source_lost|press|set|refused|tick) *\\(|"
                                        "cagma_missratio_feed",
                                        0, 0, NULL);
  const char *name;
  unsigned n_looked_at = 0;

  while ((name = g_dir_read_name(dir))) {
    g_autofree char *file = g_build_filename(path, name, NULL);
    g_autofree char *text = NULL;

    if (!g_str_has_prefix(name, "manage") || !g_str_has_suffix(name, ".c"))
      continue;
    n_looked_at++;
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    if (g_regex_match(other, text, 0, NULL))
      g_error("%s does something to a domain that is no CagmaInput", name);
  }
  g_assert_cmpuint(n_looked_at, >, 5);
}

/* A host whose guests say and do anything, and its recorder. */

typedef struct {
  CagmaDomain policy;
  char *hold;
  CagmaSample sample;
} Guest;

/* What was decided, to be compared with what is read. */
typedef struct {
  int64_t now_us;
  GArray *before;    /* CagmaDomain, each just before the decision */
  GArray *decisions; /* CagmaDecision */
  CagmaVerdict verdict;
  size_t n_steps;
} Decided;

typedef struct {
  char *dir;
  char *path;
  CagmaHost host;
  CagmaPlan plan;
  GPtrArray *guests;
  GPtrArray *policies;
  CagmaRecorder *recorder;
  GRand *rand;
  int64_t now_us;
  unsigned n_named;
  GPtrArray *decided;
} Run;

static void
guest_free(gpointer data)
{
  Guest *guest = data;

  g_free(guest->hold);
  g_free(guest);
}

static void
decided_free(gpointer data)
{
  Decided *decided = data;

  g_array_unref(decided->before);
  g_array_unref(decided->decisions);
  g_free(decided);
}

static uint64_t
draw(Run *run, uint64_t below)
{
  return (((uint64_t)g_rand_int(run->rand) << 32) | g_rand_int(run->rand)) % below;
}

static Run *
run_new(guint32 seed)
{
  Run *run = g_new0(Run, 1);

  kit_log_clear();
  run->dir = kit_tmpdir();
  run->path = g_build_filename(run->dir, "record", NULL);
  run->guests = g_ptr_array_new_with_free_func(guest_free);
  run->policies = g_ptr_array_new();
  run->decided = g_ptr_array_new_with_free_func(decided_free);
  run->rand = g_rand_new_with_seed(seed);
  run->now_us = 5000 * CAGMA_SECOND_US;
  run->host = (CagmaHost){ .budget = CAGMA_BUDGET_AUTO,
                           .total_kib = CAGMA_GIB(64),
                           .available_kib = CAGMA_GIB(30),
                           .reserve_kib = CAGMA_GIB(2),
                           .pool_kib = CAGMA_MIB(512),
                           .period_us = CAGMA_SECOND_US };
  return run;
}

static void
run_open(Run *run)
{
  g_autoptr(GError) error = NULL;

  run->recorder = cagma_recorder_open(run->path, &run->host, &error);
  g_assert_no_error(error);
}

/* As a daemon that is killed leaves it, but for what wasn't written. */
static void
run_close(Run *run)
{
  g_clear_pointer(&run->recorder, cagma_recorder_close);
  g_ptr_array_set_size(run->guests, 0);
  g_ptr_array_set_size(run->policies, 0);
  run->host.domains = NULL;
  run->host.n_domains = 0;
}

static void
run_free(Run *run)
{
  run_close(run);
  cagma_plan_clear(&run->plan);
  g_ptr_array_unref(run->guests);
  g_ptr_array_unref(run->policies);
  g_ptr_array_unref(run->decided);
  g_rand_free(run->rand);
  kit_remove(run->dir);
  g_free(run->path);
  g_free(run);
}

static gboolean
tell(Run *run, Guest *guest, const CagmaInput *input)
{
  cagma_recorder_input(run->recorder, &guest->policy, input);
  return cagma_input_apply(&guest->policy, input);
}

static void
tell_size(Run *run, Guest *guest, CagmaInputKind kind, uint64_t kib)
{
  const CagmaInput input = { .kind = kind, .now_us = run->now_us, .kib = kib };

  tell(run, guest, &input);
}

static void
reindex(Run *run)
{
  run->host.domains = (CagmaDomain **)run->policies->pdata;
  run->host.n_domains = run->policies->len;
}

static Guest *
come(Run *run)
{
  Guest *guest = g_new0(Guest, 1);
  CagmaDomain *policy = &guest->policy;
  g_autofree char *name = g_strdup_printf("gäst-%u", run->n_named);
  g_autofree char *uuid = g_strdup_printf("00000000-0000-0000-0000-%012u", run->n_named++);

  cagma_domain_init(policy, run->now_us);
  cagma_recorder_add(run->recorder, policy, uuid, name, run->now_us);
  g_ptr_array_add(run->guests, guest);
  g_ptr_array_add(run->policies, policy);
  reindex(run);

  policy->managed = draw(run, 10) != 0;
  policy->max_kib = CAGMA_GIB(4);
  policy->overhead_kib = CAGMA_MIB(100);
  policy->report_period_us = CAGMA_SECOND_US;
  policy->config.estimator = (CagmaEstimatorKind)draw(run, CAGMA_N_ESTIMATORS);
  policy->config.source = (CagmaCriticalSource)draw(run, CAGMA_SOURCE_SWAPPING + 1);
  g_assert_true(cagma_config_fit(&policy->config, policy->max_kib, NULL));
  tell_size(run, guest, CAGMA_INPUT_RESUMED, CAGMA_GIB(2));
  guest->sample = (CagmaSample){ .has = CAGMA_HAS_ACTUAL | CAGMA_HAS_USABLE | CAGMA_HAS_SWAP |
                                        CAGMA_HAS_FAULTS | CAGMA_HAS_RSS | CAGMA_HAS_STAMP,
                                 .actual_kib = CAGMA_GIB(2) };
  return guest;
}

static void
go(Run *run)
{
  guint index = (guint)draw(run, run->guests->len);
  Guest *guest = run->guests->pdata[index];

  cagma_recorder_remove(run->recorder, &guest->policy);
  g_ptr_array_remove_index(run->policies, index);
  g_ptr_array_remove_index(run->guests, index);
  reindex(run);
  run->host.left_us = run->now_us;
}

/* Mostly a life; now and then nonsense. */
static void
live(Run *run, Guest *guest)
{
  CagmaSample *sample = &guest->sample;
  CagmaInput input = { .kind = CAGMA_INPUT_SAMPLE, .now_us = run->now_us };

  if (guest->policy.target_kib)
    sample->actual_kib = draw(run, 4) ? guest->policy.target_kib : sample->actual_kib;
  sample->usable_kib = draw(run, sample->actual_kib + 1);
  sample->swap_in_kib += draw(run, 3) ? 0 : draw(run, CAGMA_MIB(50));
  sample->swap_out_kib += draw(run, 3) ? 0 : draw(run, CAGMA_MIB(60));
  sample->major_faults += draw(run, 500);
  sample->rss_kib = sample->actual_kib - draw(run, CAGMA_MIB(100));
  sample->stamp++;
  input.sample = *sample;
  if (draw(run, 20) == 0)
    fill_record(&cagma_sample_fields, &input.sample);
  tell(run, guest, &input);
}

static void
press(Run *run, Guest *guest)
{
  CagmaInput input = { .kind = CAGMA_INPUT_PRESSURE, .now_us = run->now_us };
  CagmaDemand demand;

  cagma_estimate(&guest->policy, CAGMA_SECOND_US, &demand);
  input.kib = demand.critical_kib;
  tell(run, guest, &input);
}

static void
hold(Guest *guest)
{
  if (guest->hold)
    g_clear_pointer(&guest->hold, g_free);
  else
    guest->hold = g_strdup("has a passed-through device (hostdev mdev 4b20d080-1b54-4048-85b3-a6a62d165c01)");
  guest->policy.hold = guest->hold;
}

static void
happen(Run *run)
{
  Guest *guest = run->guests->len ? run->guests->pdata[draw(run, run->guests->len)] : NULL;
  const CagmaInput source_lost = { .kind = CAGMA_INPUT_SOURCE_LOST,
                                   .now_us = run->now_us,
                                   .source = CAGMA_SAMPLE_CHANNEL };

  switch (draw(run, guest ? 14 : 1)) {
  case 0:
    if (run->guests->len < 12)
      come(run);
    break;
  case 1:
    if (draw(run, 4) == 0)
      go(run);
    break;
  case 2:
    hold(guest);
    break;
  case 3:
    guest->policy.unresponsive = !guest->policy.unresponsive;
    break;
  case 4:
    guest->policy.config.shares = (uint32_t)draw(run, 3000);
    break;
  case 5:
    tell_size(run, guest, CAGMA_INPUT_RESTART, draw(run, 2) ? 0 : CAGMA_GIB(1));
    break;
  case 6:
    tell(run, guest, &source_lost);
    break;
  case 7:
    tell_size(run, guest, CAGMA_INPUT_REFUSED, CAGMA_GIB(2));
    break;
  case 8:
    tell_size(run, guest, CAGMA_INPUT_TAKEN_BACK, CAGMA_GIB(2));
    break;
  case 9:
    tell_size(run, guest, CAGMA_INPUT_WITHDRAWN, 0);
    break;
  default:
    press(run, guest);
    break;
  }
}

static void
remember(Run *run)
{
  Decided *decided = g_new0(Decided, 1);

  decided->now_us = run->now_us;
  decided->before = g_array_new(FALSE, FALSE, sizeof(CagmaDomain));
  decided->decisions = g_array_new(FALSE, FALSE, sizeof(CagmaDecision));
  for (size_t i = 0; i < run->host.n_domains; i++)
    g_array_append_val(decided->before, *run->host.domains[i]);
  g_ptr_array_add(run->decided, decided);
}

static void
decide(Run *run)
{
  g_autoptr(GError) refusal = NULL;
  Decided *decided;

  remember(run);
  decided = run->decided->pdata[run->decided->len - 1];
  cagma_recorder_deciding(run->recorder, run->now_us);
  cagma_decide(&run->host, run->now_us, &run->plan);
  /* Now and then a plan that is refused. */
  if (draw(run, 20) == 0)
    refusal = g_error_new(CAGMA_GUARD_ERROR, CAGMA_GUARD_ERROR_FLOOR, "for the test's sake");
  cagma_verdict_judge(&run->plan.verdict, refusal);
  cagma_recorder_decided(run->recorder, &run->plan);
  g_array_append_vals(decided->decisions, run->plan.decisions, (guint)run->plan.n_decisions);
  decided->verdict = run->plan.verdict;
  decided->n_steps = refusal ? 0 : run->plan.n_steps;
  for (size_t i = 0; i < decided->n_steps; i++)
    tell_size(run, run->guests->pdata[run->plan.steps[i].domain], CAGMA_INPUT_SET,
              run->plan.steps[i].target_kib);
}

static void
run_for(Run *run, unsigned decisions)
{
  for (unsigned i = 0; i < decisions; i++) {
    run->now_us += CAGMA_SECOND_US - 300 + (int64_t)draw(run, 600);
    run->host.available_kib = CAGMA_GIB(20) + draw(run, CAGMA_GIB(10));
    run->host.policy = (CagmaPolicyKind)(i / 50 % CAGMA_N_POLICIES);
    for (guint j = 0; j < run->guests->len; j++)
      live(run, run->guests->pdata[j]);
    for (uint64_t j = draw(run, 4); j > 0; j--)
      happen(run);
    decide(run);
  }
}

/* What is read of a record. */

typedef struct {
  const Run *run; /* to compare with, or NULL */
  unsigned first; /* of run->decided, to be compared with the first moment */
  unsigned n_deciding, n_moments, n_known, n_same, n_samples;
  unsigned n_runs;
  unsigned n_lost[CAGMA_LOST_UNKNOWN + 1];
  uint64_t lost_bytes;
  uint64_t lost_offset; /* of the last */
  int64_t last_us;
} Seen;

static const Decided *
decided_at(const Seen *seen, int64_t now_us)
{
  for (guint i = seen->first; i < seen->run->decided->len; i++) {
    const Decided *decided = seen->run->decided->pdata[i];

    if (decided->now_us == now_us)
      return decided;
  }
  g_error("nothing was decided at %" G_GINT64_FORMAT, now_us);
}

static void
see_deciding(const CagmaMoment *moment, void *user_data)
{
  Seen *seen = user_data;
  const Decided *decided;

  seen->n_deciding++;
  if (!seen->run)
    return;
  decided = decided_at(seen, moment->now_us);
  g_assert_cmpuint(moment->n_domains, ==, decided->before->len);
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaDomain *rebuilt = &moment->domains[i]->policy;
    const CagmaDomain *was = &g_array_index(decided->before, CagmaDomain, i);

    g_assert_true(rebuilt == moment->host->domains[i]);
    g_assert_true(cagma_same_fields(&cagma_terms_fields, rebuilt, was));
    g_assert_true(cagma_same_fields(&cagma_learned_fields, rebuilt, was));
    g_assert_cmpint(rebuilt->hold != NULL, ==, was->hold != NULL);
    seen->n_samples += moment->domains[i]->samples[CAGMA_SAMPLE_BALLOON].has != 0;
  }
}

static void
compare_known(const CagmaMoment *moment, const Decided *decided)
{
  g_assert_cmpuint(moment->plan->n_decisions, ==, decided->decisions->len);
  g_assert_true(cagma_same_fields(&cagma_verdict_fields, &moment->plan->verdict, &decided->verdict));
  g_assert_cmpstr(moment->plan->verdict.refusal, ==, decided->verdict.refusal);
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaDecision *was = &g_array_index(decided->decisions, CagmaDecision, i);
    g_autofree char *before = cagma_explain(was, &decided->verdict);
    g_autofree char *after = cagma_explain(&moment->plan->decisions[i], &moment->plan->verdict);

    g_assert_true(cagma_same_fields(&cagma_decision_fields, &moment->plan->decisions[i], was));
    g_assert_cmpstr(before, ==, after);
  }
}

static void
see_decided(const CagmaMoment *moment, void *user_data)
{
  Seen *seen = user_data;
  const Decided *decided;

  g_assert_cmpint(moment->now_us, >, seen->last_us);
  seen->last_us = moment->now_us;
  seen->n_moments++;
  seen->n_known += moment->known;
  seen->n_same += moment->known && moment->same;
  if (!seen->run)
    return;
  decided = decided_at(seen, moment->now_us);
  g_assert_cmpuint(moment->n_steps, ==, decided->n_steps);
  g_assert_true(cagma_same_fields(&cagma_verdict_fields, moment->verdict, &decided->verdict));
  if (moment->known)
    compare_known(moment, decided);
}

static void
see_lost(CagmaLost why, uint64_t offset, uint64_t bytes, void *user_data)
{
  Seen *seen = user_data;
  g_autofree char *text = cagma_lost_to_text(why, offset, bytes);

  g_assert_cmpuint(strlen(text), >, 10);
  seen->n_lost[why]++;
  seen->lost_bytes += bytes;
  seen->lost_offset = offset;
}

static void
see_begins(void *user_data)
{
  Seen *seen = user_data;

  seen->n_runs++;
}

static const CagmaRebuildFuncs seeing = {
  .begins = see_begins, .deciding = see_deciding, .decided = see_decided, .lost = see_lost
};

static gboolean
see_bytes(Seen *seen, const void *bytes, gsize length, GError **error)
{
  g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_data(bytes, (gssize)length, NULL);

  return cagma_rebuild(stream, &seeing, seen, error);
}

static void
see_file(Seen *seen, const char *path)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *bytes = NULL;
  gsize length;

  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  see_bytes(seen, bytes, length, &error);
  g_assert_no_error(error);
}

static unsigned
n_lost(const Seen *seen)
{
  return seen->n_lost[CAGMA_LOST_DAMAGED] + seen->n_lost[CAGMA_LOST_CUT_OFF] +
         seen->n_lost[CAGMA_LOST_MISSING] + seen->n_lost[CAGMA_LOST_UNKNOWN];
}

/* Where blocks begin, and where the last one ends. */
static GArray *
blocks_of(const char *bytes, gsize length)
{
  GArray *offsets = g_array_new(FALSE, FALSE, sizeof(gsize));
  gsize at = CAGMA_RECORD_FILE_HEADER;

  for (; at < length; at += CAGMA_RECORD_BLOCK_HEADER + cagma_record_u32((const uint8_t *)bytes + at + 8)) {
    g_assert_cmpmem(bytes + at, 4, cagma_record_sync, 4);
    g_array_append_val(offsets, at);
  }
  g_assert_cmpuint(at, ==, length);
  g_array_append_val(offsets, at);
  return offsets;
}

static void
test_rebuilt_as_it_was(void)
{
  for (guint32 seed = 1; seed <= 5; seed++) {
    Run *run = run_new(seed);
    Seen seen = { .run = run };

    run_open(run);
    run_for(run, 300);
    run_close(run);
    see_file(&seen, run->path);
    g_assert_cmpuint(n_lost(&seen), ==, 0);
    g_assert_cmpuint(seen.n_deciding, ==, 300);
    g_assert_cmpuint(seen.n_known, ==, 300);
    g_assert_cmpuint(seen.n_same, ==, 300);
    g_assert_cmpuint(seen.n_samples, >, 300);
    run_free(run);
  }
}

/* Each keyframe is all that is needed: what comes after it is rebuilt without what came
 * before. */
static void
test_reading_begins_at_any_keyframe(void)
{
  Run *run = run_new(11);
  g_autofree char *bytes = NULL;
  g_autoptr(GArray) blocks = NULL;
  gsize length;
  unsigned n_begun = 0;

  run_open(run);
  run_for(run, 3 * CAGMA_RECORD_KEYFRAME_BLOCKS);
  run_close(run);
  g_assert_true(g_file_get_contents(run->path, &bytes, &length, NULL));
  blocks = blocks_of(bytes, length);
  for (guint i = 0; i + 1 < blocks->len; i += CAGMA_RECORD_KEYFRAME_BLOCKS / 4) {
    gsize at = g_array_index(blocks, gsize, i);
    Seen seen = { .run = run };

    see_bytes(&seen, bytes + at, length - at, NULL);
    g_assert_cmpuint(n_lost(&seen), ==, 0);
    /* Between keyframes what was recorded is told, and what isn't known isn't. The last block
     * may hold what came after the last decision. */
    g_assert_cmpuint(seen.n_moments, ==, run->decided->len - MIN(i, run->decided->len));
    g_assert_cmpuint(seen.n_known, ==, seen.n_same);
    g_assert_cmpuint(seen.n_known, >=,
                     (blocks->len - 1 - i) / CAGMA_RECORD_KEYFRAME_BLOCKS * CAGMA_RECORD_KEYFRAME_BLOCKS);
    n_begun += seen.n_known > 0;
  }
  g_assert_cmpuint(n_begun, >, 3);
  run_free(run);
}

static void
test_cut_at_every_byte(void)
{
  Run *run = run_new(21);
  g_autofree char *bytes = NULL;
  g_autoptr(GArray) blocks = NULL;
  gsize length;
  guint whole = 0;

  run_open(run);
  run_for(run, 12);
  g_clear_pointer(&run->recorder, cagma_recorder_close);
  g_assert_true(g_file_get_contents(run->path, &bytes, &length, NULL));
  blocks = blocks_of(bytes, length);
  for (gsize cut = 0; cut <= length; cut++) {
    Seen seen = { .run = run };
    g_autoptr(GError) error = NULL;
    gsize end;

    while (whole + 1 < blocks->len && g_array_index(blocks, gsize, whole + 1) <= cut)
      whole++;
    end = g_array_index(blocks, gsize, whole);
    if (!see_bytes(&seen, bytes, cut, &error)) {
      g_assert_cmpuint(cut, <, CAGMA_RECORD_FILE_HEADER);
      g_assert_error(error, CAGMA_RECORD_ERROR, CAGMA_RECORD_ERROR_FOREIGN);
      continue;
    }
    g_assert_cmpuint(cut, >=, CAGMA_RECORD_FILE_HEADER);
    /* The last block is of steps that no decision followed. */
    g_assert_cmpuint(seen.n_same, ==, MIN(whole, 12));
    g_assert_cmpuint(n_lost(&seen), ==, cut != end);
    g_assert_cmpuint(seen.n_lost[CAGMA_LOST_CUT_OFF], ==, cut != end);
    g_assert_cmpuint(seen.lost_bytes, ==, cut - end);
    if (cut != end)
      g_assert_cmpuint(seen.lost_offset, ==, end);
  }
  run_free(run);
}

static void
test_every_byte_flipped(void)
{
  Run *run = run_new(31);
  g_autofree char *bytes = NULL;
  g_autoptr(GArray) blocks = NULL;
  gsize length;
  guint block = 0;

  run_open(run);
  run_for(run, 10);
  run_close(run);
  g_assert_true(g_file_get_contents(run->path, &bytes, &length, NULL));
  blocks = blocks_of(bytes, length);
  for (gsize i = 0; i < length; i++) {
    gboolean in_header = i < CAGMA_RECORD_FILE_HEADER;
    Seen seen = { .run = run };
    gsize begin, end;
    guint n_whole;

    while (g_array_index(blocks, gsize, block + 1) <= i)
      block++;
    begin = in_header ? 0 : g_array_index(blocks, gsize, block);
    end = in_header ? CAGMA_RECORD_FILE_HEADER : g_array_index(blocks, gsize, block + 1);
    n_whole = in_header || block >= 10 ? 10 : 9;

    bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    g_assert_true(see_bytes(&seen, bytes, length, NULL));
    bytes[i] = (char)(bytes[i] ^ (1 << i % 8));

    /* That block and no other, and not a byte beyond it. */
    g_assert_cmpuint(seen.n_moments, ==, n_whole);
    g_assert_cmpuint(seen.n_lost[CAGMA_LOST_DAMAGED] + seen.n_lost[CAGMA_LOST_CUT_OFF], ==, 1);
    g_assert_cmpuint(seen.lost_bytes, ==, end - begin);
    g_assert_cmpuint(seen.n_known, ==, in_header ? 10 : MIN(block, 10));
    g_assert_cmpuint(seen.n_same, ==, seen.n_known);
  }
  run_free(run);
}

static void
test_missing_block_is_noticed(void)
{
  Run *run = run_new(41);
  g_autofree char *bytes = NULL;
  g_autoptr(GArray) blocks = NULL;
  Seen seen = { .run = run };
  gsize length, begin, end;

  run_open(run);
  run_for(run, 2 * CAGMA_RECORD_KEYFRAME_BLOCKS);
  run_close(run);
  g_assert_true(g_file_get_contents(run->path, &bytes, &length, NULL));
  blocks = blocks_of(bytes, length);
  begin = g_array_index(blocks, gsize, 9);
  end = g_array_index(blocks, gsize, 10);
  memmove(bytes + begin, bytes + end, length - end);
  g_assert_true(see_bytes(&seen, bytes, length - (end - begin), NULL));
  g_assert_cmpuint(seen.n_lost[CAGMA_LOST_MISSING], ==, 1);
  g_assert_cmpuint(n_lost(&seen), ==, 1);
  g_assert_cmpuint(seen.n_moments, ==, 2 * CAGMA_RECORD_KEYFRAME_BLOCKS - 1);
  g_assert_cmpuint(seen.n_same, ==, 9 + CAGMA_RECORD_KEYFRAME_BLOCKS);
  run_free(run);
}

/* Two runs in one file, the first of which was killed while it wrote. */
static void
test_goes_on_after_a_damaged_tail(void)
{
  Run *run = run_new(51);
  Seen seen = { .run = run };
  g_autofree char *bytes = NULL;
  gsize length;

  run_open(run);
  run_for(run, 8);
  run_close(run);
  g_assert_true(g_file_get_contents(run->path, &bytes, &length, NULL));
  g_assert_true(g_file_set_contents(run->path, bytes, (gssize)length - 3, NULL));
  run_open(run);
  run_for(run, 8);
  run_close(run);
  see_file(&seen, run->path);
  g_assert_cmpuint(seen.n_lost[CAGMA_LOST_DAMAGED], ==, 1);
  g_assert_cmpuint(n_lost(&seen), ==, 1);
  g_assert_cmpuint(seen.n_moments, >=, 15);
  g_assert_cmpuint(seen.n_same, ==, seen.n_moments);
  run_free(run);
}

static void
test_two_runs_leave_no_gap(void)
{
  Run *run = run_new(52);
  Seen seen = { .run = run };

  for (int i = 0; i < 3; i++) {
    run_open(run);
    run_for(run, 8);
    run_close(run);
  }
  see_file(&seen, run->path);
  g_assert_cmpuint(n_lost(&seen), ==, 0);
  g_assert_cmpuint(seen.n_same, ==, 24);
  run_free(run);
}

static void
limit_files(rlim_t bytes)
{
  struct rlimit limit;

  g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
  limit.rlim_cur = MIN(bytes, limit.rlim_max);
  g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* No room: deciding goes on, it is said once, and later the record goes on. */
static void
test_full_disk(void)
{
  Run *run = run_new(61);
  Seen seen = { .run = run };
  struct stat status;

  run_open(run);
  run_for(run, 5);
  g_assert_cmpint(stat(run->path, &status), ==, 0);
  signal(SIGXFSZ, SIG_IGN);
  limit_files((rlim_t)status.st_size + 40);
  run_for(run, 5);
  limit_files(RLIM_INFINITY);
  g_assert_cmpuint(kit_logged("nothing is recorded until that is over"), ==, 1);
  g_assert_cmpuint(kit_logged("recording goes on"), ==, 0);
  run_for(run, 5);
  g_assert_cmpuint(kit_logged("nothing is recorded until that is over"), ==, 1);
  g_assert_cmpuint(kit_logged("recording goes on"), ==, 1);
  run_close(run);
  see_file(&seen, run->path);
  g_assert_cmpuint(seen.n_lost[CAGMA_LOST_DAMAGED], ==, 1);
  g_assert_cmpuint(seen.n_lost[CAGMA_LOST_MISSING], ==, 1);
  g_assert_cmpuint(seen.n_moments, ==, 10);
  g_assert_cmpuint(seen.n_same, ==, 10);
  run_free(run);
}

/* A run whose first block found no room is another run all the same. */
static void
test_full_disk_at_the_start(void)
{
  Run *run = run_new(62);
  Seen seen = { .run = run };
  struct stat status;

  run_open(run);
  run_for(run, 5);
  run_close(run);
  g_assert_cmpint(stat(run->path, &status), ==, 0);
  signal(SIGXFSZ, SIG_IGN);
  limit_files((rlim_t)status.st_size + 40);
  run_open(run);
  run_for(run, 5);
  limit_files(RLIM_INFINITY);
  g_assert_cmpuint(kit_logged("nothing is recorded until that is over"), ==, 1);
  run_for(run, 5);
  run_close(run);
  see_file(&seen, run->path);
  g_assert_cmpuint(seen.n_runs, ==, 2);
  g_assert_cmpuint(seen.n_moments, ==, 10);
  g_assert_cmpuint(seen.n_same, ==, 10);
  run_free(run);
}

static void
test_file_moved_away(void)
{
  Run *run = run_new(71);
  Seen first = { .run = run }, second = { .run = run };
  g_autofree char *old = g_strconcat(run->path, ".1", NULL);
  struct stat status;

  run_open(run);
  run_for(run, 5);
  /* In the middle of what is to be one block. */
  live(run, come(run));
  g_assert_cmpint(g_rename(run->path, old), ==, 0);
  cagma_recorder_reopen(run->recorder);
  run_for(run, 6);
  run_close(run);
  g_assert_cmpint(stat(run->path, &status), ==, 0);
  g_assert_cmpint(status.st_mode & 07777, ==, 0600);
  see_file(&first, old);
  see_file(&second, run->path);
  g_assert_cmpuint(first.n_same, ==, 5);
  g_assert_cmpuint(second.n_same, ==, 6);
  g_assert_cmpuint(n_lost(&first) + n_lost(&second), ==, 0);
  run_free(run);
}

static void
test_reopened_where_it_is(void)
{
  Run *run = run_new(73);
  Seen seen = { .run = run };

  run_open(run);
  run_for(run, 5);
  cagma_recorder_reopen(run->recorder);
  run_for(run, 5);
  run_close(run);
  see_file(&seen, run->path);
  g_assert_cmpuint(seen.n_runs, ==, 1);
  g_assert_cmpuint(seen.n_same, ==, 10);
  g_assert_cmpuint(n_lost(&seen), ==, 0);
  run_free(run);
}

/* As by logrotate's copytruncate. */
static void
test_emptied_where_it_is(void)
{
  Run *run = run_new(74);
  Seen seen = { .run = run, .first = 5 };

  run_open(run);
  run_for(run, 5);
  g_assert_cmpint(truncate(run->path, 0), ==, 0);
  cagma_recorder_reopen(run->recorder);
  run_for(run, 5);
  run_close(run);
  see_file(&seen, run->path);
  g_assert_cmpuint(seen.n_runs, ==, 1);
  g_assert_cmpuint(seen.n_same, ==, 5);
  g_assert_cmpuint(n_lost(&seen), ==, 0);
  run_free(run);
}

/* Where the new file can't be had, the old one goes on. */
static void
test_reopening_in_vain(void)
{
  Run *run = run_new(72);
  Seen seen = { .run = run };
  g_autofree char *old = g_strconcat(run->path, ".1", NULL);

  run_open(run);
  run_for(run, 5);
  g_assert_cmpint(g_rename(run->path, old), ==, 0);
  g_assert_cmpint(g_mkdir(run->path, 0700), ==, 0);
  cagma_recorder_reopen(run->recorder);
  g_assert_cmpuint(kit_logged("goes on in the file as it was"), ==, 1);
  run_for(run, 5);
  run_close(run);
  see_file(&seen, old);
  g_assert_cmpuint(seen.n_same, ==, 10);
  g_assert_cmpuint(n_lost(&seen), ==, 0);
  run_free(run);
}

static void
assert_not_opened(Run *run, const char *path, const char *why)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(cagma_recorder_open(path, &run->host, &error));
  g_assert_nonnull(error);
  kit_assert_has(error->message, path);
  kit_assert_has(error->message, why);
}

static void
test_what_is_not_appended_to(void)
{
  Run *run = run_new(81);
  g_autofree char *text = kit_write(run->dir, "text", "CAGMA is not this", -1);
  g_autofree char *fifo = g_build_filename(run->dir, "fifo", NULL);
  g_autofree char *nowhere = g_build_filename(run->dir, "no", "such", NULL);
  uint8_t header[CAGMA_RECORD_FILE_HEADER];
  g_autofree char *other = NULL;
  g_autoptr(GByteArray) block = g_byte_array_new();
  g_autoptr(GError) error = NULL;
  Seen seen = { 0 };

  assert_not_opened(run, text, "something else than a record");
  g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
  assert_not_opened(run, fifo, "no regular file");
  assert_not_opened(run, nowhere, "No such file");
  assert_not_opened(run, run->dir, "directory");
  run_open(run);
  assert_not_opened(run, run->path, "another cagmad records to it");
  run_close(run);

  /* As one of another version has it: with a sum that is right. */
  cagma_record_file_header(header);
  header[8]++;
  g_byte_array_append(block, header, 16);
  {
    uint32_t sum = ~0u;

    for (int i = 0; i < 16; i++) {
      sum ^= header[i];
      for (int bit = 0; bit < 8; bit++)
        sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
    }
    for (int i = 0; i < 4; i++)
      header[16 + i] = (uint8_t)(~sum >> (8 * i));
  }
  other = kit_write(run->dir, "other", (const char *)header, sizeof header);
  assert_not_opened(run, other, "another version");
  g_assert_false(see_bytes(&seen, header, sizeof header, &error));
  g_assert_error(error, CAGMA_RECORD_ERROR, CAGMA_RECORD_ERROR_VERSION);
  kit_assert_has(error->message, "recorded by another version: format 2 with");
  run_free(run);
}

static void
test_what_is_no_record(void)
{
  static const char *const texts[] = { "", "x", "CAGMAREC",
                                       "a file of some other kind, and not a short one" };

  for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GError) error = NULL;
    Seen seen = { 0 };

    g_assert_false(see_bytes(&seen, texts[i], strlen(texts[i]), &error));
    g_assert_error(error, CAGMA_RECORD_ERROR, CAGMA_RECORD_ERROR_FOREIGN);
    g_assert_cmpuint(seen.n_moments, ==, 0);
  }
}

/* Blocks whose sums are right and which make no sense. */
static void
test_nonsense(void)
{
  static const struct {
    const char *payload;
    gsize length;
    unsigned n_lost;
  } cases[] = {
    { "", 0, 1 },
    { "\x00", 1, 0 },
    { "\x00\x63", 2, 1 },
    { "\x00\x00", 2, 1 },
    /* A domain of which nothing is known is gone: that may be, after damage. */
    { "\x00\x04\x07", 3, 0 },
    /* A keyframe of no domains, and then: the same; a state too much; a decision at once. */
    { "\x00\x01\x01\x00\x0c\x00\x05\x00\x04\x07", 10, 1 },
    { "\x00\x01\x01\x00\x0c\x00\x05\x00\x08\x00", 10, 1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GByteArray) block = g_byte_array_new();
    Seen seen = { 0 };

    g_byte_array_set_size(block, CAGMA_RECORD_BLOCK_HEADER);
    g_byte_array_append(block, (const guint8 *)cases[i].payload, (guint)cases[i].length);
    cagma_record_seal(block, 1);
    g_assert_true(see_bytes(&seen, block->data, block->len, NULL));
    g_assert_cmpuint(seen.n_lost[CAGMA_LOST_UNKNOWN], ==, cases[i].n_lost);
    g_assert_cmpuint(n_lost(&seen), ==, cases[i].n_lost);
  }
}

static void
put_keyframe_of_none(GByteArray *block, gboolean begins)
{
  const CagmaHost host = { .period_us = CAGMA_SECOND_US };

  cagma_put_number(block, CAGMA_ITEM_KEYFRAME);
  cagma_put_number(block, (uint64_t)begins);
  cagma_put_fields(block, &cagma_settings_fields, &host, NULL);
  cagma_put_fields(block, &cagma_kept_fields, &host, NULL);
  cagma_put_number(block, 0);
}

/* A keyframe may begin another state, but not between what was decided and what is told of it. */
static void
test_keyframe_within_a_decision(void)
{
  const CagmaHost host = { .period_us = CAGMA_SECOND_US };
  const CagmaVerdict verdict = { 0 };
  const CagmaDecision decision = { 0 };
  g_autoptr(GByteArray) block = g_byte_array_new();
  Seen seen = { 0 };

  g_byte_array_set_size(block, CAGMA_RECORD_BLOCK_HEADER);
  cagma_put_signed(block, 0);
  put_keyframe_of_none(block, TRUE);
  cagma_put_number(block, CAGMA_ITEM_DECIDING);
  cagma_put_signed(block, 1);
  cagma_put_signed(block, 0);
  cagma_put_fields(block, &cagma_settings_fields, &host, NULL);
  cagma_put_number(block, CAGMA_ITEM_DECIDED);
  cagma_put_fields(block, &cagma_verdict_fields, &verdict, NULL);
  cagma_put_text(block, "");
  cagma_put_number(block, 0);
  cagma_put_number(block, CAGMA_ITEM_REMOVED);
  cagma_put_number(block, 7);
  put_keyframe_of_none(block, FALSE);
  cagma_put_number(block, CAGMA_ITEM_ADDED);
  cagma_put_number(block, 0);
  cagma_put_text(block, "00000000-0000-0000-0000-000000000000");
  cagma_put_text(block, "guest");
  cagma_put_signed(block, 0);
  cagma_put_number(block, CAGMA_ITEM_DECISION);
  cagma_put_number(block, 0);
  cagma_put_fields(block, &cagma_decision_fields, &decision, NULL);
  cagma_put_text(block, "");
  cagma_record_seal(block, 1);
  g_assert_true(see_bytes(&seen, block->data, block->len, NULL));
  g_assert_cmpuint(seen.n_moments, ==, 1);
  g_assert_cmpuint(seen.n_known, ==, 0);
  g_assert_cmpuint(seen.n_lost[CAGMA_LOST_UNKNOWN], ==, 1);
  g_assert_cmpuint(n_lost(&seen), ==, 1);
}

static const CagmaUntil always = { .n_decisions = SIZE_MAX, .real_us = INT64_MAX };

/* Numbers are a run's own. */
static void
test_domains_of_another_run(void)
{
  static const CagmaRebuildFuncs none = { 0 };
  Run *run = run_new(92);
  g_autofree char *bytes = NULL, *first = NULL, *wanted = NULL;
  g_autoptr(GArray) blocks = NULL;
  g_autoptr(GInputStream) stream = NULL;
  const Decided *decided;
  gsize length;

  for (int i = 0; i < 2; i++) {
    run_open(run);
    come(run)->policy.managed = TRUE;
    for (int j = 0; j < 3; j++) {
      run->now_us += CAGMA_SECOND_US;
      decide(run);
    }
    run_close(run);
  }
  g_assert_true(g_file_get_contents(run->path, &bytes, &length, NULL));
  blocks = blocks_of(bytes, length);
  bytes[g_array_index(blocks, gsize, 3) + 30]++;
  stream = g_memory_input_stream_new_from_data(bytes, (gssize)length, NULL);
  first = cagma_rebuild_explain(stream, "gäst-0", &always, &none, NULL, NULL);
  decided = run->decided->pdata[2];
  wanted = cagma_explain(&g_array_index(decided->decisions, CagmaDecision, 0), &decided->verdict);
  g_assert_true(g_str_has_prefix(first, wanted));
  run_free(run);
}

static void
test_explained_at_a_time(void)
{
  static const CagmaRebuildFuncs none = { 0 };
  const CagmaUntil before = { .n_decisions = SIZE_MAX, .real_us = g_get_real_time() - 1 };
  const CagmaUntil two = { .n_decisions = 2, .real_us = INT64_MAX };
  Run *run = run_new(91);
  g_autofree char *bytes = NULL, *last = NULL, *by_uuid = NULL, *unknown = NULL, *wanted = NULL,
                  *second = NULL, *wanted_second = NULL;
  g_autoptr(GInputStream) stream = NULL;
  g_autoptr(GError) error = NULL;
  const Decided *decided;
  gsize length;

  run_open(run);
  come(run)->policy.managed = TRUE;
  for (int i = 0; i < 5; i++) {
    run->now_us += CAGMA_SECOND_US;
    live(run, run->guests->pdata[0]);
    decide(run);
  }
  run_close(run);
  g_assert_true(g_file_get_contents(run->path, &bytes, &length, NULL));
  stream = g_memory_input_stream_new_from_data(bytes, (gssize)length, NULL);

  decided = run->decided->pdata[4];
  wanted = cagma_explain(&g_array_index(decided->decisions, CagmaDecision, 0), &decided->verdict);
  last = cagma_rebuild_explain(stream, "gäst-0", &always, &none, NULL, &error);
  g_assert_no_error(error);
  g_assert_true(g_str_has_prefix(last, wanted));
  kit_assert_has(last + strlen(wanted), "decided: 20");

  g_assert_true(g_seekable_seek(G_SEEKABLE(stream), 0, G_SEEK_SET, NULL, NULL));
  by_uuid =
      cagma_rebuild_explain(stream, "00000000-0000-0000-0000-000000000000", &always, &none, NULL, &error);
  g_assert_cmpstr(by_uuid, ==, last);

  g_assert_true(g_seekable_seek(G_SEEKABLE(stream), 0, G_SEEK_SET, NULL, NULL));
  decided = run->decided->pdata[1];
  wanted_second = cagma_explain(&g_array_index(decided->decisions, CagmaDecision, 0), &decided->verdict);
  second = cagma_rebuild_explain(stream, "gäst-0", &two, &none, NULL, &error);
  g_assert_true(g_str_has_prefix(second, wanted_second));
  g_assert_cmpstr(second, !=, last);

  g_assert_true(g_seekable_seek(G_SEEKABLE(stream), 0, G_SEEK_SET, NULL, NULL));
  unknown = cagma_rebuild_explain(stream, "gäst-0", &before, &none, NULL, &error);
  g_assert_null(unknown);
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  run_free(run);
}

/* Where the state isn't known, only what was recorded is told. */
static void
test_explained_after_damage(void)
{
  static const CagmaRebuildFuncs none = { 0 };
  Run *run = run_new(92);
  g_autofree char *bytes = NULL, *first = NULL, *wanted = NULL;
  g_autoptr(GArray) blocks = NULL;
  g_autoptr(GInputStream) stream = NULL;
  const Decided *decided;
  gsize length;

  run_open(run);
  come(run)->policy.managed = TRUE;
  for (uint64_t i = 0; i < 6; i++) {
    run->now_us += CAGMA_SECOND_US;
    run->host.available_kib = CAGMA_GIB(10 + i);
    decide(run);
  }
  run_close(run);
  g_assert_true(g_file_get_contents(run->path, &bytes, &length, NULL));
  blocks = blocks_of(bytes, length);
  bytes[g_array_index(blocks, gsize, 2) + 30]++;
  stream = g_memory_input_stream_new_from_data(bytes, (gssize)length, NULL);
  first = cagma_rebuild_explain(stream, "gäst-0", &always, &none, NULL, NULL);
  decided = run->decided->pdata[1];
  wanted = cagma_explain(&g_array_index(decided->decisions, CagmaDecision, 0), &decided->verdict);
  g_assert_true(g_str_has_prefix(first, wanted));
  run_free(run);
}

/* As while libvirt is away. */
static void
test_inputs_without_decisions_do_not_pile_up(void)
{
  Run *run = run_new(93);
  Seen seen = { 0 };
  struct stat status;

  run_open(run);
  come(run);
  for (int i = 0; i < 20000; i++) {
    run->now_us += CAGMA_SECOND_US;
    live(run, run->guests->pdata[0]);
  }
  g_assert_cmpint(stat(run->path, &status), ==, 0);
  g_assert_cmpuint(status.st_size, >, 256 * 1024);
  decide(run);
  run_close(run);
  seen.run = run;
  see_file(&seen, run->path);
  g_assert_cmpuint(seen.n_same, ==, 1);
  g_assert_cmpuint(n_lost(&seen), ==, 0);
  run_free(run);
}

/* The daemon's own inputs all go into the record: else it wouldn't be the same again. */

#define GUEST_CONFIG                                                                                         \
  "<cagma:memory xmlns:cagma='" CAGMA_MEMORY_URI "'><cagma:guarantee unit='MiB'>256</cagma:guarantee>"       \
  "</cagma:memory>"

static void
test_daemon_s_run_is_rebuilt(void)
{
  g_autofree char *dir = kit_tmpdir();
  g_autofree char *targets_dir = g_build_filename(dir, "targets", NULL);
  g_autofree char *path = g_build_filename(dir, "record", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaTargets) targets = cagma_targets_open(targets_dir, &error);
  g_autoptr(CagmaConf) conf = cagma_conf_parse(
      "[host]\nperiod=100ms\nreserve=0\npool=0\noverhead=0\nuri=fake:///\nbudget=3GiB\n", -1, &error);
  FakeBackend *fake = fake_new();
  CagmaManager *manager = cagma_manager_new(fake_backend(fake), targets, conf, FALSE);
  FakeGuest *hungry = fake_add(fake, "hungry", 2048, 1024, 1000, GUEST_CONFIG);
  FakeGuest *idle = fake_add(fake, "idle", 2048, 2048, 300, GUEST_CONFIG);
  CagmaSample said = { .source = CAGMA_SAMPLE_CHANNEL, .has = CAGMA_HAS_USABLE, .usable_kib = 5 };
  Seen seen = { 0 };

  kit_log_clear();
  hungry->channel = TRUE;
  g_assert_true(cagma_manager_record(manager, path, &error));
  cagma_manager_start(manager);
  fake_connect(fake);
  fake_start(fake, hungry);
  fake_start(fake, idle);
  KIT_WAIT(hungry->sets->len > 0 && idle->sets->len > 0);
  fake_speak(fake, hungry, &said, TRUE);
  fake_lose(fake, hungry, "for the test's sake");
  idle->outcome[CAGMA_REQUEST_SET] = CAGMA_OUTCOME_FAILED;
  fake_tell(fake, idle, CAGMA_EVENT_PAUSED);
  fake_tell(fake, hungry, CAGMA_EVENT_REBOOTED);
  KIT_WAIT(hungry->n_asked[CAGMA_REQUEST_SAMPLE] > 30);
  idle->paused = FALSE;
  fake_tell(fake, idle, CAGMA_EVENT_RESUMED);
  fake_stop(fake, hungry);
  fake_start(fake, hungry);
  KIT_WAIT(hungry->n_asked[CAGMA_REQUEST_SAMPLE] > 60);

  fake_backend(fake)->close(fake_backend(fake));
  cagma_manager_free(manager);
  fake_free(fake);
  see_file(&seen, path);
  g_assert_cmpuint(n_lost(&seen), ==, 0);
  g_assert_cmpuint(seen.n_moments, >, 20);
  g_assert_cmpuint(seen.n_same, ==, seen.n_moments);
  kit_remove(g_steal_pointer(&dir));
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/record/fields/round-trip", test_round_trip_of_random_records);
  g_test_add_func("/record/fields/bounds", test_beyond_the_largest_is_refused);
  g_test_add_func("/record/fields/numbers", test_numbers);
  g_test_add_func("/record/fields/no-numbers", test_numbers_that_are_none);
  g_test_add_func("/record/fields/texts", test_texts);
  g_test_add_func("/record/fields/complete", test_no_member_is_forgotten);
  g_test_add_func("/record/inputs/own", test_inputs_of_the_daemon_s_own);
  g_test_add_func("/record/inputs/pending", test_inputs_without_decisions_do_not_pile_up);
  g_test_add_func("/record/inputs/all", test_there_is_no_other_way);
  g_test_add_func("/record/rebuilt", test_rebuilt_as_it_was);
  g_test_add_func("/record/keyframes", test_reading_begins_at_any_keyframe);
  g_test_add_func("/record/cut-off", test_cut_at_every_byte);
  g_test_add_func("/record/flipped", test_every_byte_flipped);
  g_test_add_func("/record/missing-block", test_missing_block_is_noticed);
  g_test_add_func("/record/damaged-tail", test_goes_on_after_a_damaged_tail);
  g_test_add_func("/record/runs", test_two_runs_leave_no_gap);
  g_test_add_func("/record/full-disk", test_full_disk);
  g_test_add_func("/record/full-disk-at-the-start", test_full_disk_at_the_start);
  g_test_add_func("/record/moved-away", test_file_moved_away);
  g_test_add_func("/record/reopened-where-it-is", test_reopened_where_it_is);
  g_test_add_func("/record/emptied-where-it-is", test_emptied_where_it_is);
  g_test_add_func("/record/reopening-in-vain", test_reopening_in_vain);
  g_test_add_func("/record/not-appended-to", test_what_is_not_appended_to);
  g_test_add_func("/record/no-record", test_what_is_no_record);
  g_test_add_func("/record/nonsense", test_nonsense);
  g_test_add_func("/record/keyframe-within-a-decision", test_keyframe_within_a_decision);
  g_test_add_func("/record/domains-of-another-run", test_domains_of_another_run);
  g_test_add_func("/record/explained", test_explained_at_a_time);
  g_test_add_func("/record/explained-after-damage", test_explained_after_damage);
  g_test_add_func("/record/daemon", test_daemon_s_run_is_rebuilt);
  return g_test_run();
}
