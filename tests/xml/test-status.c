/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/units.h"
#include "tests/xml/assert.h"
#include "xml/status.h"

static CagmaStatus *
parse(const char *xml)
{
  g_autoptr(GError) error = NULL;
  CagmaStatus *status = cagma_status_parse(xml, -1, &error);

  g_assert_no_error(error);
  g_assert_nonnull(status);
  return status;
}

static void
assert_status_equal(const CagmaStatus *a, const CagmaStatus *b)
{
  g_assert_cmpint(a->state, ==, b->state);
  g_assert_cmpstr(a->reason, ==, b->reason);
  g_assert_cmpstr(a->source, ==, b->source);
  g_assert_cmpuint(a->target_kib, ==, b->target_kib);
  g_assert_cmpuint(a->actual_kib, ==, b->actual_kib);
  g_assert_cmpuint(a->guarantee_kib, ==, b->guarantee_kib);
  g_assert_cmpuint(a->limit_kib, ==, b->limit_kib);
  g_assert_cmpint(a->have_available, ==, b->have_available);
  g_assert_cmpuint(a->available_kib, ==, b->available_kib);
  g_assert_cmpint(a->have_critical, ==, b->have_critical);
  g_assert_cmpuint(a->critical_kib, ==, b->critical_kib);
  g_assert_cmpint(a->have_swap_used, ==, b->have_swap_used);
  g_assert_cmpuint(a->swap_used_kib, ==, b->swap_used_kib);
  g_assert_cmpuint(a->swap_in_kib_per_s, ==, b->swap_in_kib_per_s);
  g_assert_cmpint(a->change_kib, ==, b->change_kib);
  g_assert_cmpstr(a->changed, ==, b->changed);
  g_assert_cmpstr(a->written, ==, b->written);
  g_assert_cmpstr(a->host, ==, b->host);
}

/* What the full example says. The strings are not to be freed. */
static CagmaStatus
full_status(void)
{
  return (CagmaStatus){
    .state = CAGMA_STATE_GROWING,
    .reason = (char *)"short by 180 MiB; 400 MiB in hand",
    .source = (char *)"balloon-stats",
    .target_kib = 1572864,
    .actual_kib = 1310720,
    .guarantee_kib = 524288,
    .limit_kib = 4194304,
    .have_available = TRUE,
    .available_kib = 81920,
    .have_critical = TRUE,
    .critical_kib = 266240,
    .have_swap_used = TRUE,
    .swap_used_kib = 20480,
    .swap_in_kib_per_s = 512,
    .change_kib = 262144,
    .changed = (char *)"2026-11-21T12:55:46Z",
    .written = (char *)"2026-11-21T12:55:56Z",
    .host = (char *)"node7",
  };
}

static void
the_full_example_is_what_we_write(void)
{
  g_autofree char *example = read_source("../../xml/examples/status-full.xml");
  g_auto(GStrv) lines = g_strsplit(example, "\n", -1);
  const CagmaStatus expected = full_status();
  g_autofree char *xml = cagma_status_format(&expected);
  g_autoptr(CagmaStatus) status = parse(example);

  /* What we write has no blanks between elements; libvirt indents. */
  for (char **line = lines; *line != NULL; line++)
    g_strstrip(*line);
  g_autofree char *joined = g_strjoinv(NULL, lines);
  g_assert_cmpstr(xml, ==, joined);
  assert_status_equal(status, &expected);
}

static void
what_is_unknown_is_left_out(void)
{
  const CagmaStatus status = { .state = CAGMA_STATE_UNMANAGED };
  g_autofree char *xml = cagma_status_format(&status);
  g_autoptr(CagmaStatus) again = parse(xml);

  g_assert_cmpstr(xml, ==, "<status state='unmanaged'></status>");
  assert_status_equal(again, &status);
}

static void
a_known_zero_is_written(void)
{
  const CagmaStatus status = { .have_available = TRUE, .have_critical = TRUE, .have_swap_used = TRUE };
  g_autofree char *xml = cagma_status_format(&status);
  g_autoptr(CagmaStatus) again = parse(xml);

  g_assert_nonnull(strstr(xml, "<available unit='KiB'>0</available>"));
  assert_status_equal(again, &status);
}

static void
each_figure_is_known_or_unknown_by_itself(void)
{
  for (int known = 0; known < 8; known++) {
    const CagmaStatus status = {
      .have_available = (known & 1) != 0,
      .available_kib = known & 1 ? 11 : 0,
      .have_critical = (known & 2) != 0,
      .critical_kib = known & 2 ? 22 : 0,
      .have_swap_used = (known & 4) != 0,
      .swap_used_kib = known & 4 ? 33 : 0,
    };
    g_autofree char *xml = cagma_status_format(&status);
    g_autoptr(CagmaStatus) again = parse(xml);
    assert_status_equal(again, &status);
  }
}

static void
every_state_and_source_survives(void)
{
  for (int state = 0; state < CAGMA_N_STATES; state++) {
    for (unsigned int i = 0; cagma_status_source_name(i) != NULL; i++) {
      CagmaStatus status = full_status();
      status.state = (CagmaState)state;
      status.source = (char *)cagma_status_source_name(i);
      g_autofree char *xml = cagma_status_format(&status);
      g_autoptr(CagmaStatus) again = parse(xml);
      assert_status_equal(again, &status);
    }
  }
}

static void
a_shrink_is_negative(void)
{
  CagmaStatus status = full_status();

  status.change_kib = -4096;
  g_autofree char *xml = cagma_status_format(&status);
  g_autoptr(CagmaStatus) again = parse(xml);
  g_assert_nonnull(strstr(xml, ">-4096</change>"));
  assert_status_equal(again, &status);
}

static void
reasons_are_escaped_and_cleaned(void)
{
  static const struct {
    const char *reason, *back;
  } cases[] = {
    { "a < b & c > 'd' \"e\"", "a < b & c > 'd' \"e\"" },
    { "</reason><state>", "</reason><state>" },
    { "]]>", "]]>" },
    { "Speicher für alle: 内存", "Speicher für alle: 内存" },
    { "  two\n lines\t ", "two lines" },
    { "bell \a and \x1b[31mred", "bell � and �[31mred" },
    { "c1 \xC2\x9B", "c1 �" },
    { "noncharacter \xEF\xBF\xBF", "noncharacter �" },
    { "invalid \xFF\xC3(", "invalid ��(" },
    { "surrogate \xED\xA0\x80", "surrogate ���" },
    { "", NULL },
    { " \n", NULL },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaStatus status = full_status();
    status.reason = (char *)cases[i].reason;
    status.host = (char *)cases[i].reason;
    g_autofree char *xml = cagma_status_format(&status);
    g_autoptr(CagmaStatus) again = parse(xml);
    g_assert_cmpstr(again->reason, ==, cases[i].back);
    g_assert_cmpstr(again->host, ==, cases[i].back);
  }
}

static void
long_reasons_are_cut(void)
{
  CagmaStatus status = full_status();
  g_autoptr(GString) reason = g_string_new(NULL);

  for (int i = 0; i < CAGMA_STATUS_TEXT_MAX; i++)
    g_string_append(reason, "ä");
  status.reason = reason->str;
  g_autofree char *fits = cagma_status_format(&status);
  g_autoptr(CagmaStatus) whole = parse(fits);
  g_assert_cmpstr(whole->reason, ==, reason->str);

  g_string_append(reason, "ä");
  status.reason = reason->str;
  g_autofree char *cut = cagma_status_format(&status);
  g_autoptr(CagmaStatus) shorter = parse(cut);
  g_assert_cmpint(g_utf8_strlen(shorter->reason, -1), ==, CAGMA_STATUS_TEXT_MAX);
  g_assert_true(g_str_has_suffix(shorter->reason, "ä…"));
}

static void
what_is_written_can_always_be_read(void)
{
  CagmaStatus status = full_status();

  status.state = (CagmaState)99;
  status.source = (char *)"oracle";
  status.target_kib = G_MAXUINT64;
  status.available_kib = G_MAXUINT64;
  status.swap_in_kib_per_s = G_MAXUINT64;
  status.change_kib = G_MININT64;
  status.changed = (char *)"yesterday";
  g_autofree char *xml = cagma_status_format(&status);
  g_autoptr(CagmaStatus) again = parse(xml);

  g_assert_cmpint(again->state, ==, CAGMA_STATE_INVALID);
  g_assert_null(again->source);
  g_assert_cmpuint(again->target_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(again->available_kib, ==, CAGMA_MAX_KIB);
  g_assert_cmpuint(again->swap_in_kib_per_s, ==, CAGMA_MAX_KIB);
  g_assert_cmpint(again->change_kib, ==, -(int64_t)CAGMA_MAX_KIB);
  g_assert_null(again->changed);

  status.written = (char *)"2026-11-21T12:55:56+01:00";
  g_autofree char *untimed = cagma_status_format(&status);
  g_autoptr(CagmaStatus) without = parse(untimed);
  g_assert_null(without->written);
}

static void
glib_writes_times_that_we_take(void)
{
  g_autoptr(GDateTime) whole = g_date_time_new_utc(2026, 11, 21, 1, 2, 3);
  g_autoptr(GDateTime) parts = g_date_time_new_utc(2026, 11, 21, 1, 2, 3.25);
  GDateTime *const times[] = { whole, parts };

  for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
    g_autofree char *text = g_date_time_format_iso8601(times[i]);
    const CagmaStatus status = { .written = text, .changed = text, .change_kib = 1 };
    g_autofree char *xml = cagma_status_format(&status);
    g_autoptr(CagmaStatus) again = parse(xml);
    assert_status_equal(again, &status);
  }
}

static void
what_others_wrote_is_cleaned_for_the_terminal(void)
{
  g_autoptr(CagmaStatus) status = parse("<status state='held'><reason>red \xC2\x9B"
                                        "31m</reason></status>");

  g_assert_cmpstr(status->reason, ==, "red �31m");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/status/the-full-example-is-what-we-write", the_full_example_is_what_we_write);
  g_test_add_func("/status/what-is-unknown-is-left-out", what_is_unknown_is_left_out);
  g_test_add_func("/status/a-known-zero-is-written", a_known_zero_is_written);
  g_test_add_func("/status/each-figure-is-known-or-unknown-by-itself",
                  each_figure_is_known_or_unknown_by_itself);
  g_test_add_func("/status/every-state-and-source-survives", every_state_and_source_survives);
  g_test_add_func("/status/a-shrink-is-negative", a_shrink_is_negative);
  g_test_add_func("/status/reasons-are-escaped-and-cleaned", reasons_are_escaped_and_cleaned);
  g_test_add_func("/status/long-reasons-are-cut", long_reasons_are_cut);
  g_test_add_func("/status/what-is-written-can-always-be-read", what_is_written_can_always_be_read);
  g_test_add_func("/status/glib-writes-times-that-we-take", glib_writes_times_that_we_take);
  g_test_add_func("/status/what-others-wrote-is-cleaned-for-the-terminal",
                  what_others_wrote_is_cleaned_for_the_terminal);
  return g_test_run();
}
