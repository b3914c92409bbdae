/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "plugin/agent-reply.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"

/* What a guest says is a guest's to write: every line here might be meant to harm. */

#define STATS(members) "{\"return\": {" members "}}"
#define EVENT(members) "{\"event\": \"GUEST_MEMORY_PRESSURE\", \"data\": {" members "}}"
#define LOAD(members) STATS("\"load1m\": " members)
#define ALL                                                                                                  \
  (CAGMA_HAS_USABLE | CAGMA_HAS_SWAP | CAGMA_HAS_FAULTS | CAGMA_HAS_SWAP_USED | CAGMA_HAS_LARGEST |          \
   CAGMA_HAS_REFAULT | CAGMA_HAS_VCPUS)

/* The two lines of docs/agent-protocol.md. */
static const char stats_line[] =
    "{\"return\": {\"total\": 228986880, \"free\": 86204416, \"available\": 89882624, \"cached\": 11321344, "
    "\"committed\": 22544384, \"swap-total\": 536866816, \"swap-free\": 536866816, \"page-size\": 4096, "
    "\"pages-swapped-in\": 0, \"pages-swapped-out\": 0, \"major-faults\": 0, \"refaults-anon\": 0, "
    "\"refaults-file\": 0, \"oom-kills\": 0, \"vcpus\": 1, \"largest-process\": {\"pid\": 108, \"rss\": "
    "4247552, \"swap\": 0}, \"process-scan\": {\"processes\": 6, \"truncated\": false, \"age\": 23361089}}}";
static const char event_line[] =
    "{\"event\": \"GUEST_MEMORY_PRESSURE\", \"timestamp\": {\"seconds\": 1795270070, \"microseconds\": "
    "291180}, \"data\": {\"total\": 228986880, \"free\": 2572288, \"available\": 6352896, \"cached\": "
    "11337728, \"committed\": 222842880, \"swap-total\": 536866816, \"swap-free\": 536854528, \"page-size\": "
    "4096, \"pages-swapped-in\": 0, \"pages-swapped-out\": 1, \"major-faults\": 0, \"refaults-anon\": 0, "
    "\"refaults-file\": 0, \"oom-kills\": 0, \"vcpus\": 1, \"largest-process\": {\"pid\": 108, \"rss\": "
    "4247552, \"swap\": 0}, \"process-scan\": {\"processes\": 6, \"truncated\": false, \"age\": 17523032}}}";

static CagmaAgentMessage
read_line(const char *line, gssize length)
{
  CagmaAgentMessage message;
  g_autoptr(GError) error = NULL;

  if (!cagma_agent_message_parse(line, length < 0 ? strlen(line) : (gsize)length, &message, &error))
    g_error("refused: %s: %.200s", error->message, line);
  g_assert_no_error(error);
  return message;
}

static void
refuse_bytes(const char *line, gsize length, int code, const char *says)
{
  CagmaAgentMessage message;
  g_autoptr(GError) error = NULL;

  if (cagma_agent_message_parse(line, length, &message, &error))
    g_error("taken as %d: %.200s", message.kind, line);
  g_assert_error(error, CAGMA_AGENT_MESSAGE_ERROR, code);
  kit_assert_has(error->message, says);
  g_assert_true(g_utf8_validate(error->message, -1, NULL));
}

static void
test_documented_lines(void)
{
  CagmaAgentMessage stats = read_line(stats_line, -1), event = read_line(event_line, -1);

  g_assert_cmpint(stats.kind, ==, CAGMA_AGENT_STATS);
  g_assert_cmpint(stats.sample.source, ==, CAGMA_SAMPLE_CHANNEL);
  g_assert_cmpuint(stats.sample.has, ==, ALL);
  g_assert_cmpuint(stats.sample.usable_kib, ==, 89882624 / 1024);
  g_assert_cmpuint(stats.sample.swap_in_kib, ==, 0);
  g_assert_cmpuint(stats.sample.swap_out_kib, ==, 0);
  g_assert_cmpuint(stats.sample.swap_used_kib, ==, 0);
  g_assert_cmpuint(stats.sample.largest_kib, ==, 4247552 / 1024);
  g_assert_cmpuint(stats.sample.vcpus, ==, 1);
  g_assert_cmpuint(stats.sample.swap_total_kib, ==, 536866816 / 1024);

  g_assert_cmpint(event.kind, ==, CAGMA_AGENT_PRESSURE);
  g_assert_cmpint(event.sample.source, ==, CAGMA_SAMPLE_CHANNEL);
  g_assert_cmpuint(event.sample.has, ==, ALL);
  g_assert_cmpuint(event.sample.usable_kib, ==, 6352896 / 1024);
  g_assert_cmpuint(event.sample.swap_out_kib, ==, 4);
  g_assert_cmpuint(event.sample.swap_used_kib, ==, 12);
}

/* The whole sample each time: no field may come from elsewhere. */
static void
test_figures(void)
{
  static const struct {
    const char *line;
    CagmaSample sample; /* its source is the channel */
  } cases[] = {
    { STATS("\"available\": 0"), { .has = CAGMA_HAS_USABLE } },
    { STATS("\"available\": 1023"), { .has = CAGMA_HAS_USABLE } },
    { STATS("\"available\": 1024"), { .has = CAGMA_HAS_USABLE, .usable_kib = 1 } },
    { STATS("\"available\": 9223372036854775807"), { .has = CAGMA_HAS_USABLE, .usable_kib = CAGMA_MAX_KIB } },
    /* Without the figure all depends on, an event still tells of pressure. */
    { EVENT(""), { .has = 0 } },
    { EVENT("\"available\": 4096"), { .has = CAGMA_HAS_USABLE, .usable_kib = 4 } },
    { EVENT("\"pages-swapped-in\": 2, \"pages-swapped-out\": 3"),
      { .has = CAGMA_HAS_SWAP, .swap_in_kib = 8, .swap_out_kib = 12 } },
    { EVENT("\"page-size\": 16384, \"pages-swapped-in\": 2, \"pages-swapped-out\": 3"),
      { .has = CAGMA_HAS_SWAP, .swap_in_kib = 32, .swap_out_kib = 48 } },
    { EVENT("\"page-size\": 65536, \"pages-swapped-in\": 1, \"pages-swapped-out\": 0"),
      { .has = CAGMA_HAS_SWAP, .swap_in_kib = 64 } },
    { EVENT("\"page-size\": 1048576, \"pages-swapped-in\": 9223372036854775807, \"pages-swapped-out\": "
            "9223372036854775807"),
      { .has = CAGMA_HAS_SWAP, .swap_in_kib = CAGMA_MAX_KIB, .swap_out_kib = CAGMA_MAX_KIB } },
    /* One direction alone is none. */
    { EVENT("\"pages-swapped-in\": 2"), { .swap_in_kib = 8 } },
    { EVENT("\"pages-swapped-out\": 2"), { .swap_out_kib = 8 } },
    { EVENT("\"major-faults\": 7"), { .has = CAGMA_HAS_FAULTS, .major_faults = 7 } },
    { EVENT("\"refaults-file\": 7, \"refaults-anon\": 2"),
      { .has = CAGMA_HAS_REFAULT, .refault_file_kib = 28, .refault_anon_kib = 8 } },
    { EVENT("\"page-size\": 65536, \"refaults-file\": 7"),
      { .has = CAGMA_HAS_REFAULT, .refault_file_kib = 448 } },
    /* Anonymous ones alone no kernel counts. */
    { EVENT("\"refaults-anon\": 2"), { .refault_anon_kib = 8 } },
    { EVENT("\"vcpus\": 16"), { .has = CAGMA_HAS_VCPUS, .vcpus = 16 } },
    { EVENT("\"swappable\": 10215424"), { .has = CAGMA_HAS_SWAPPABLE, .swappable_kib = 9976 } },
    { EVENT("\"swap-total\": 8192, \"swap-free\": 2048"),
      { .has = CAGMA_HAS_SWAP_USED, .swap_used_kib = 6, .swap_total_kib = 8 } },
    { EVENT("\"swap-total\": 8192, \"swap-free\": 9223372036854775807"),
      { .has = CAGMA_HAS_SWAP_USED, .swap_total_kib = 8 } },
    /* What has come back isn't out, though it has its place there. */
    { EVENT("\"swap-total\": 8192, \"swap-free\": 2048, \"swap-cached\": 1024"),
      { .has = CAGMA_HAS_SWAP_USED, .swap_used_kib = 5, .swap_total_kib = 8 } },
    { EVENT("\"swap-total\": 8192, \"swap-free\": 2048, \"swap-cached\": 9223372036854775807"),
      { .has = CAGMA_HAS_SWAP_USED, .swap_total_kib = 8 } },
    { EVENT("\"swap-total\": 8192"), { .swap_used_kib = 8 } },
    { EVENT("\"largest-process\": {\"rss\": 2048, \"swap\": 1024}, \"swapping-process\": {\"rss\": 1024}"),
      { .has = CAGMA_HAS_LARGEST | CAGMA_HAS_SWAPPING, .largest_kib = 3, .swapping_kib = 1 } },
    { EVENT("\"largest-process\": {\"rss\": 9223372036854775807, \"swap\": 9223372036854775807}"),
      { .has = CAGMA_HAS_LARGEST, .largest_kib = 2 * CAGMA_MAX_KIB } },
    { EVENT("\"largest-process\": {\"swap\": 1024}"), { .largest_kib = 1 } },
    /* What isn't a process isn't one, and no reason to doubt the rest. */
    { EVENT("\"largest-process\": 5, \"swapping-process\": [], \"major-faults\": 1"),
      { .has = CAGMA_HAS_FAULTS, .major_faults = 1 } },
    { EVENT("\"largest-process\": null, \"major-faults\": 1"),
      { .has = CAGMA_HAS_FAULTS, .major_faults = 1 } },
    /* The last one counts. */
    { STATS("\"available\": 1024, \"available\": 2048"), { .has = CAGMA_HAS_USABLE, .usable_kib = 2 } },
    /* Unknown members, whatever they hold. */
    { STATS("\"available\": 1024, \"new\": [{\"a\": [1.5, null, true, \"\\u0000\"]}], \"\": -1"),
      { .has = CAGMA_HAS_USABLE, .usable_kib = 1 } },
    { "\xff" STATS("\"available\": 1024"), { .has = CAGMA_HAS_USABLE, .usable_kib = 1 } },
    { "\xff\xff\xff" STATS("\"available\": 1024") "\r", { .has = CAGMA_HAS_USABLE, .usable_kib = 1 } },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaAgentMessage message = read_line(cases[i].line, -1);
    CagmaSample expected = cases[i].sample, found = message.sample;

    expected.source = CAGMA_SAMPLE_CHANNEL;
    g_assert_cmpint(message.kind, ==,
                    strstr(cases[i].line, "event") ? CAGMA_AGENT_PRESSURE : CAGMA_AGENT_STATS);
    /* Without its mark a value is never looked at. */
    if (!(expected.has & CAGMA_HAS_SWAP))
      found.swap_in_kib = found.swap_out_kib = expected.swap_in_kib = expected.swap_out_kib = 0;
    if (!(expected.has & CAGMA_HAS_SWAP_USED))
      found.swap_used_kib = expected.swap_used_kib = found.swap_total_kib = expected.swap_total_kib = 0;
    if (!(expected.has & CAGMA_HAS_LARGEST))
      found.largest_kib = expected.largest_kib = 0;
    if (memcmp(&found, &expected, sizeof found) != 0)
      g_error("case %zu: %s: has %x, not %x, or its values differ", i, cases[i].line, found.has,
              expected.has);
  }
}

/* "12.5" is 12500. */
static void
test_loads(void)
{
  static const struct {
    const char *line;
    uint32_t has;
    uint64_t load1, load5, load15;
  } cases[] = {
    /* docs/agent-protocol.md */
    { LOAD("0.41, \"load5m\": 0.17, \"load15m\": 0.06"), CAGMA_HAS_LOAD, 410, 170, 60 },
    /* A whole number comes without a point from QEMU. */
    { LOAD("0, \"load5m\": 2, \"load15m\": 1.0"), CAGMA_HAS_LOAD, 0, 2000, 1000 },
    { LOAD("12.3456, \"load5m\": 1e1, \"load15m\": 0.0004"), CAGMA_HAS_LOAD, 12346, 10000, 0 },
    { LOAD("1e308, \"load5m\": 9223372036854775807, \"load15m\": 1e9"), CAGMA_HAS_LOAD, 1000000000000,
      1000000000000, 1000000000000 },
    { LOAD("0.41, \"load5m\": 0.17"), 0, 410, 170, 0 },
    /* Figures are figures, whatever comes with them. */
    { LOAD("0.41"), 0, 410, 0, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaAgentMessage message = read_line(cases[i].line, -1);

    g_test_message("%s", cases[i].line);
    g_assert_cmpint(message.kind, ==, CAGMA_AGENT_LOAD);
    g_assert_cmpint(message.sample.source, ==, CAGMA_SAMPLE_CHANNEL);
    g_assert_cmpuint(message.sample.has, ==, cases[i].has);
    g_assert_cmpuint(message.sample.load1_permille, ==, cases[i].load1);
    g_assert_cmpuint(message.sample.load5_permille, ==, cases[i].load5);
    g_assert_cmpuint(message.sample.load15_permille, ==, cases[i].load15);
  }
}

static void
test_other_messages(void)
{
  static const struct {
    const char *line;
    CagmaAgentKind kind;
    int64_t sync;
    const char *error;
  } cases[] = {
    { "{\"return\": 4711}", CAGMA_AGENT_SYNC, 4711, "" },
    { "\xff{\"return\": 4294967295}", CAGMA_AGENT_SYNC, 4294967295, "" },
    { "{\"return\": -1}", CAGMA_AGENT_SYNC, -1, "" },
    { "{\"return\": 0}", CAGMA_AGENT_SYNC, 0, "" },
    { "{\"return\": 4711.0}", CAGMA_AGENT_OTHER, 0, "" },
    { "{\"return\": \"4711\"}", CAGMA_AGENT_OTHER, 0, "" },
    { "{\"return\": {}}", CAGMA_AGENT_OTHER, 0, "" },
    { "{\"return\": []}", CAGMA_AGENT_OTHER, 0, "" },
    { "{\"return\": null}", CAGMA_AGENT_OTHER, 0, "" },
    { "{\"return\": {\"watch\": \"psi\", \"stall\": 25000}}", CAGMA_AGENT_OTHER, 0, "" },
    { "{\"event\": \"SOMETHING\", \"data\": {\"available\": -1}}", CAGMA_AGENT_OTHER, 0, "" },
    { "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}", CAGMA_AGENT_ERROR, 0, "no" },
    { "{\"error\": {\"desc\": 5}}", CAGMA_AGENT_ERROR, 0, "unknown error" },
    { "{\"error\": {}}", CAGMA_AGENT_ERROR, 0, "unknown error" },
    { "{\"error\": null}", CAGMA_AGENT_ERROR, 0, "unknown error" },
    { "{\"error\": [\"no\"]}", CAGMA_AGENT_ERROR, 0, "unknown error" },
    /* Nothing of it reaches a terminal or begins a line of a log. */
    { "{\"error\": {\"desc\": \"a\\n<0>b\\u001b[2J\\u009b\"}}", CAGMA_AGENT_ERROR, 0,
      "a\xef\xbf\xbd<0>b\xef\xbf\xbd[2J\xef\xbf\xbd" },
    /* An event is one, whatever else it claims to be; so is an error. */
    { "{\"return\": 1, \"event\": \"X\", \"data\": {}}", CAGMA_AGENT_OTHER, 0, "" },
    { "{\"return\": 1, \"error\": {\"desc\": \"e\"}}", CAGMA_AGENT_ERROR, 0, "e" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaAgentMessage message = read_line(cases[i].line, -1);

    if (message.kind != cases[i].kind || message.sync != cases[i].sync ||
        !g_str_equal(message.error, cases[i].error))
      g_error("case %zu: %s: kind %d, sync %" G_GINT64_FORMAT ", error '%s'", i, cases[i].line, message.kind,
              message.sync, message.error);
  }
}

static void
test_long_error_is_cut(void)
{
  g_autofree char *long_text = g_strnfill(5000, 'x');
  g_autofree char *wide = g_strconcat(long_text, "\xf0\x9f\x90\x84", NULL);
  g_auto(GStrv) cows = g_strsplit(long_text, "x", -1);
  g_autofree char *herd = g_strjoinv("\xf0\x9f\x90\x84", cows);
  const char *texts[] = { long_text, wide, herd };

  for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autofree char *line = g_strdup_printf("{\"error\": {\"desc\": \"%s\"}}", texts[i]);
    CagmaAgentMessage message = read_line(line, -1);

    g_assert_cmpint(message.kind, ==, CAGMA_AGENT_ERROR);
    g_assert_cmpuint(strlen(message.error), <, sizeof message.error);
    g_assert_true(g_utf8_validate(message.error, -1, NULL));
  }
}

static void
test_refused(void)
{
  enum { SYNTAX = CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, CONTENT = CAGMA_AGENT_MESSAGE_ERROR_CONTENT };
  static const struct {
    const char *line;
    int code;
    const char *says;
  } cases[] = {
    { "", SYNTAX, "JSON" },
    { "\xff", SYNTAX, "JSON" },
    { "\xff\xff\xff\xff", SYNTAX, "JSON" },
    { " ", SYNTAX, "JSON" },
    { "{", SYNTAX, "JSON" },
    { "}", SYNTAX, "JSON" },
    { "[]", SYNTAX, "JSON" },
    { "4711", SYNTAX, "JSON" },
    { "null", SYNTAX, "JSON" },
    { "\"return\"", SYNTAX, "JSON" },
    { "{\"return\": 4711", SYNTAX, "JSON" },
    { "{\"return\": }", SYNTAX, "JSON" },
    { "{\"return\": \"\\ud800\"}", SYNTAX, "JSON" },
    { "{\"return\": --1}", SYNTAX, "JSON" },
    { "{\"return\": 1}\xff", SYNTAX, "UTF-8" },
    { "{\"return\": \"\xff\"}", SYNTAX, "UTF-8" },
    { "{\"return\": \"\xc0\x80\"}", SYNTAX, "UTF-8" },
    { "{\"return\": \"\xed\xa0\x80\"}", SYNTAX, "UTF-8" },
    { "{\"return\": \"\xf5\x80\x80\x80\"}", SYNTAX, "UTF-8" },
    { "\xfe{\"return\": 1}", SYNTAX, "UTF-8" },
    /* json-glib would keep the first value, and forget to free the others. */
    { "{\"return\": 1}{}", SYNTAX, "JSON" },
    { "{} {\"return\": 1}", SYNTAX, "JSON" },
    { "{\"return\": 1} 7", SYNTAX, "JSON" },
    { "{\"return\": 1}}", SYNTAX, "JSON" },
    { "{\"return\": 1} // {}", SYNTAX, "JSON" },
    { "{\"return\": /* } */ 1}", SYNTAX, "JSON" },
    { "{'return': 1}", SYNTAX, "JSON" },
    { "{\"return\": \"}\\\"}\"} {}", SYNTAX, "JSON" },
    { "{}", CONTENT, "neither a reply nor an event" },
    { "{\"Return\": 1}", CONTENT, "neither a reply nor an event" },
    { "{\"event\": \"GUEST_MEMORY_PRESSURE\"}", CONTENT, "without a name or data" },
    { "{\"event\": \"GUEST_MEMORY_PRESSURE\", \"data\": 1}", CONTENT, "without a name or data" },
    { "{\"event\": \"GUEST_MEMORY_PRESSURE\", \"data\": []}", CONTENT, "without a name or data" },
    { "{\"event\": 1, \"data\": {}}", CONTENT, "without a name or data" },
    { "{\"event\": null, \"data\": {}}", CONTENT, "without a name or data" },
    { "{\"event\": {}, \"data\": {}}", CONTENT, "without a name or data" },
    { STATS("\"available\": -1"), CONTENT, "available is not a count" },
    { LOAD("-0.1, \"load5m\": 0, \"load15m\": 0"), CONTENT, "load1m is not a load" },
    { LOAD("0, \"load5m\": \"0\", \"load15m\": 0"), CONTENT, "load5m is not a load" },
    { LOAD("0, \"load5m\": 0, \"load15m\": -1"), CONTENT, "load15m is not a load" },
    { LOAD("null, \"load5m\": 0, \"load15m\": 0"), CONTENT, "load1m is not a load" },
    { LOAD("[1], \"load5m\": 0, \"load15m\": 0"), CONTENT, "load1m is not a load" },
    { LOAD("true, \"load5m\": 0, \"load15m\": 0"), CONTENT, "load1m is not a load" },
    { EVENT("\"refaults-file\": -1"), CONTENT, "refaults-file is not a count" },
    { EVENT("\"vcpus\": 1.5"), CONTENT, "vcpus is not a count" },
    { EVENT("\"swappable\": -1"), CONTENT, "swappable is not a count" },
    { STATS("\"available\": 1.5"), CONTENT, "available is not a count" },
    { STATS("\"available\": 1024.0"), CONTENT, "available is not a count" },
    { STATS("\"available\": 1e3"), CONTENT, "available is not a count" },
    { STATS("\"available\": 1e999"), CONTENT, "available is not a count" },
    { STATS("\"available\": -9223372036854775808"), CONTENT, "available is not a count" },
    { STATS("\"available\": 9223372036854775808"), CONTENT, "available is not a count" },
    { STATS("\"available\": 18446744073709551615"), CONTENT, "available is not a count" },
    { STATS("\"available\": 18446744073709551617"), CONTENT, "available is not a count" },
    { STATS("\"available\": 99999999999999999999999999999"), CONTENT, "available is not a count" },
    { STATS("\"available\": \"1024\""), CONTENT, "available is not a count" },
    { STATS("\"available\": true"), CONTENT, "available is not a count" },
    { STATS("\"available\": null"), CONTENT, "available is not a count" },
    { STATS("\"available\": {}"), CONTENT, "available is not a count" },
    { STATS("\"available\": [1024]"), CONTENT, "available is not a count" },
    { STATS("\"available\": 1, \"pages-swapped-in\": -1"), CONTENT, "pages-swapped-in" },
    { STATS("\"available\": 1, \"pages-swapped-out\": \"\""), CONTENT, "pages-swapped-out" },
    { STATS("\"available\": 1, \"major-faults\": 0.5"), CONTENT, "major-faults" },
    { STATS("\"available\": 1, \"swap-total\": -1"), CONTENT, "swap-total" },
    { STATS("\"available\": 1, \"swap-free\": -1"), CONTENT, "swap-free" },
    { STATS("\"available\": 1, \"largest-process\": {\"rss\": -1}"), CONTENT, "rss" },
    { STATS("\"available\": 1, \"swapping-process\": {\"rss\": 1, \"swap\": []}"), CONTENT, "swap" },
    { STATS("\"available\": 1, \"page-size\": 0"), CONTENT, "page-size" },
    { STATS("\"available\": 1, \"page-size\": 1"), CONTENT, "page-size" },
    { STATS("\"available\": 1, \"page-size\": -4096"), CONTENT, "page-size" },
    { STATS("\"available\": 1, \"page-size\": 1000"), CONTENT, "page-size" },
    { STATS("\"available\": 1, \"page-size\": 1025"), CONTENT, "page-size" },
    { STATS("\"available\": 1, \"page-size\": 2097152"), CONTENT, "page-size" },
    { STATS("\"available\": 1, \"page-size\": 9223372036854775807"), CONTENT, "page-size" },
    { STATS("\"available\": 1, \"page-size\": \"4096\""), CONTENT, "page-size" },
    { EVENT("\"available\": -1"), CONTENT, "available is not a count" },
    { STATS("\"done\": true"), CONTENT, "without bytes or done" },
    { STATS("\"done\": 1, \"bytes\": 5"), CONTENT, "without bytes or done" },
    { STATS("\"done\": null, \"bytes\": 5"), CONTENT, "without bytes or done" },
    { STATS("\"done\": {}, \"bytes\": 5"), CONTENT, "without bytes or done" },
    { STATS("\"done\": true, \"bytes\": -5"), CONTENT, "bytes is not a count" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    refuse_bytes(cases[i].line, strlen(cases[i].line), cases[i].code, cases[i].says);
}

static void
test_read_back(void)
{
  static const struct {
    const char *line;
    uint64_t kib;
    gboolean done;
  } cases[] = {
    { STATS("\"bytes\": 8192, \"processes\": 1, \"done\": false"), 8, FALSE },
    { STATS("\"bytes\": 0, \"done\": true"), 0, TRUE },
    { STATS("\"bytes\": 9223372036854775807, \"done\": true"), CAGMA_MAX_KIB, TRUE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    CagmaAgentMessage message;

    g_assert_true(cagma_agent_message_parse(cases[i].line, strlen(cases[i].line), &message, &error));
    g_assert_cmpint(message.kind, ==, CAGMA_AGENT_READ_BACK);
    g_assert_cmpuint(message.read_back_kib, ==, cases[i].kib);
    g_assert_cmpint(message.read_back_done, ==, cases[i].done);
  }
}

static void
test_nul_is_no_end(void)
{
  static const char behind[] = "{\"return\": 4711}\0", within[] = "{\"return\": \"a\0b\"}";

  refuse_bytes(behind, sizeof behind - 1, CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "UTF-8");
  refuse_bytes(within, sizeof within - 1, CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "UTF-8");
}

/* What isn't terminated isn't read beyond its length. */
static void
test_length_counts(void)
{
  static const char text[] = "{\"return\": 4711}";
  gsize length = strlen(text);
  g_autofree char *exact = g_memdup2(text, length);

  g_assert_cmpint(read_line(exact, (gssize)length).sync, ==, 4711);
  for (gsize i = 0; i < length; i++) {
    g_autofree char *part = g_memdup2(text, MAX(i, 1));

    refuse_bytes(part, i, CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "JSON");
  }
}

/* json-glib reads by recursion and takes more than JSON: a comment or a string may hide
 * brackets from whoever counts them. */
static void
test_nested_deeply(void)
{
  static const char *const openings[] = { "",
                                          "{\"return\": ",
                                          "{\"return\": /* \" */ ",
                                          "{\"return\": '\"', 'a': ",
                                          "// \"\n{\"return\": ",
                                          "{\"return\": \"]]]]]]\", \"b\": ",
                                          "{\"return\": \"\\\"\", \"b\": " };

  for (size_t i = 0; i < G_N_ELEMENTS(openings); i++)
    for (int n = 10000; n <= 60000; n += 50000) {
      g_autofree char *arrays = g_strnfill((gsize)n, '[');
      g_autofree char *line = g_strconcat(openings[i], arrays, NULL);
      g_autoptr(GString) nested = g_string_new(openings[i]);

      refuse_bytes(line, strlen(line), CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "nested");
      for (int k = 0; k < 10000; k++)
        g_string_append(nested, "{\"a\":");
      refuse_bytes(nested->str, nested->len, CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "nested");
    }
}

static void
test_nested_a_little(void)
{
  g_autofree char *opening = g_strnfill(500, '['), *closing = g_strnfill(500, ']');
  g_autofree char *line =
      g_strdup_printf("{\"return\": {\"available\": 1024, \"x\": %s%s}}", opening, closing);

  g_assert_cmpint(read_line(line, -1).kind, ==, CAGMA_AGENT_STATS);
}

static void
test_long_lines(void)
{
  const gsize frame = strlen("{\"return\": \"\"}");
  g_autofree char *fits = g_strnfill(CAGMA_AGENT_LINE_MAX - frame, 'x');
  g_autofree char *longer = g_strnfill(CAGMA_AGENT_LINE_MAX - frame + 1, 'x');
  g_autofree char *huge = g_strnfill(1024 * 1024, 'x');
  g_autofree char *fits_line = g_strdup_printf("{\"return\": \"%s\"}", fits);
  g_autofree char *longer_line = g_strdup_printf("{\"return\": \"%s\"}", longer);
  g_autofree char *huge_line = g_strdup_printf("{\"return\": \"%s\"}", huge);

  g_assert_cmpuint(strlen(fits_line), ==, CAGMA_AGENT_LINE_MAX);
  g_assert_cmpint(read_line(fits_line, -1).kind, ==, CAGMA_AGENT_OTHER);
  refuse_bytes(longer_line, strlen(longer_line), CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "too long");
  refuse_bytes(huge_line, strlen(huge_line), CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "too long");
}

#define COMMAND "guest-get-memory-stats"
#define INFO(commands) "{\"return\": {\"version\": \"7.2\", \"supported_commands\": " commands "}}"
#define ENTRY(name, enabled) "{\"enabled\": " enabled ", \"name\": \"" name "\", \"success-response\": true}"

static void
test_info(void)
{
  static const struct {
    const char *text;
    gboolean able;
  } cases[] = {
    { INFO("[]"), FALSE },
    { INFO("[" ENTRY("guest-ping", "true") "]"), FALSE },
    { INFO("[" ENTRY("guest-ping", "true") ", " ENTRY(COMMAND, "true") "]"), TRUE },
    { INFO("[" ENTRY(COMMAND, "true") ", " ENTRY("guest-ping", "false") "]"), TRUE },
    { INFO("[" ENTRY(COMMAND, "false") ", " ENTRY("guest-ping", "true") "]"), FALSE },
    { INFO("[" ENTRY(COMMAND "-more", "true") "]"), FALSE },
    { INFO("[" ENTRY("guest-get-memory", "true") "]"), FALSE },
    { INFO("[{\"name\": \"" COMMAND "\"}]"), FALSE },
    { INFO("[{\"name\": \"" COMMAND "\", \"enabled\": 1}]"), FALSE },
    { INFO("[{\"name\": \"" COMMAND "\", \"enabled\": \"true\"}]"), FALSE },
    { INFO("[{\"name\": \"" COMMAND "\", \"enabled\": null}]"), FALSE },
    { INFO("[{\"name\": [\"" COMMAND "\"], \"enabled\": true}]"), FALSE },
    { INFO("[{\"name\": 1, \"enabled\": true}]"), FALSE },
    { INFO("[{\"enabled\": true}]"), FALSE },
    { INFO("[1, null, [], \"" COMMAND "\", {}, " ENTRY(COMMAND, "true") "]"), TRUE },
  };
  static const char *const refused[] = {
    "",
    "\xff",
    "{",
    "{}",
    "[]",
    "{\"return\": []}",
    "{\"return\": {}}",
    "{\"return\": 4711}",
    "{\"error\": {\"desc\": \"no\"}}",
    INFO("null"),
    INFO("{}"),
    INFO("\"" COMMAND "\""),
    INFO("[\"\xff\"]"),
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    gboolean able = !cases[i].able;

    if (!cagma_agent_info_parse(cases[i].text, COMMAND, &able, &error) || able != cases[i].able)
      g_error("case %zu: %s: %d, %s", i, cases[i].text, able, error ? error->message : "");
  }
  for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
    g_autoptr(GError) error = NULL;
    gboolean able;

    if (cagma_agent_info_parse(refused[i], COMMAND, &able, &error))
      g_error("taken: %s", refused[i]);
    g_assert_nonnull(error);
  }
}

static void
test_info_of_many_commands(void)
{
  g_autoptr(GString) text = g_string_new("{\"return\": {\"supported_commands\": [");
  g_autofree char *deep = g_strnfill(20000, '[');
  gboolean able = FALSE;

  for (int i = 0; i < 300; i++)
    g_string_append_printf(text, "{\"name\": \"guest-%d\", \"enabled\": true}, ", i);
  g_string_append(text, ENTRY(COMMAND, "true") "]}}");
  g_assert_true(cagma_agent_info_parse(text->str, COMMAND, &able, NULL));
  g_assert_true(able);
  g_assert_false(cagma_agent_info_parse(deep, COMMAND, &able, NULL));
}

/* Lines, as the cutter gives them: joined with '|'. */
static void
gather(const char *line, gsize length, gpointer user_data)
{
  g_string_append_len(user_data, line, (gssize)length);
  g_string_append_c(user_data, '|');
}

static char *
cut(const char *data, gsize length, gsize step)
{
  g_autoptr(GString) lines = g_string_new(NULL);
  CagmaAgentLines cutter;
  unsigned too_long = 0;

  cagma_agent_lines_init(&cutter);
  for (gsize i = 0; i < length; i += step) {
    gsize n = MIN(step, length - i);
    /* Its own memory, so that reading beyond it is seen. */
    g_autofree char *piece = g_memdup2(data + i, n);

    too_long += cagma_agent_lines_feed(&cutter, piece, n, gather, lines);
  }
  cagma_agent_lines_clear(&cutter);
  g_assert_cmpuint(too_long, ==, 0);
  return g_strndup(lines->str, lines->len);
}

static void
test_lines_split_anywhere(void)
{
  static const char data[] = "first\n\n\nsecond line\n\xff{\"return\": 1}\r\nno end";

  for (gsize step = 1; step <= sizeof data; step++) {
    g_autofree char *lines = cut(data, sizeof data - 1, step);

    g_assert_cmpstr(lines, ==, "first|second line|\xff{\"return\": 1}\r|");
  }
}

static void
test_many_lines_in_one(void)
{
  g_autoptr(GString) data = g_string_new(NULL), expected = g_string_new(NULL);
  g_autofree char *lines = NULL;

  for (int i = 0; i < 10000; i++) {
    g_string_append_printf(data, "%d\n", i);
    g_string_append_printf(expected, "%d|", i);
  }
  lines = cut(data->str, data->len, data->len);
  g_assert_cmpstr(lines, ==, expected->str);
}

static void
test_longest_line(void)
{
  g_autofree char *longest = g_strnfill(CAGMA_AGENT_LINE_MAX, 'x');
  g_autoptr(GString) lines = g_string_new(NULL);
  CagmaAgentLines cutter;

  cagma_agent_lines_init(&cutter);
  g_assert_cmpuint(cagma_agent_lines_feed(&cutter, longest, CAGMA_AGENT_LINE_MAX, gather, lines), ==, 0);
  g_assert_cmpuint(cagma_agent_lines_feed(&cutter, "\n", 1, gather, lines), ==, 0);
  g_assert_cmpuint(lines->len, ==, CAGMA_AGENT_LINE_MAX + 1);

  g_string_truncate(lines, 0);
  g_assert_cmpuint(cagma_agent_lines_feed(&cutter, longest, CAGMA_AGENT_LINE_MAX, gather, lines), ==, 0);
  g_assert_cmpuint(cagma_agent_lines_feed(&cutter, "y", 1, gather, lines), ==, 1);
  g_assert_cmpuint(cagma_agent_lines_feed(&cutter, "z\nnext\n", 7, gather, lines), ==, 0);
  g_assert_cmpstr(lines->str, ==, "next|");
  cagma_agent_lines_clear(&cutter);
}

/* In one piece with what follows, and in many. */
static void
test_too_long_line_is_dropped(void)
{
  const gsize steps[] = { 1000, 16 * 1024, 1024 * 1024, 4 * 1024 * 1024 };
  g_autofree char *huge = g_strnfill(2 * 1024 * 1024, 'x');
  g_autofree char *data = g_strconcat("before\n", huge, "\nafter\n", huge, "\nlast\n", NULL);
  gsize length = strlen(data);

  for (size_t s = 0; s < G_N_ELEMENTS(steps); s++) {
    g_autoptr(GString) lines = g_string_new(NULL);
    CagmaAgentLines cutter;
    unsigned too_long = 0;

    cagma_agent_lines_init(&cutter);
    for (gsize i = 0; i < length; i += steps[s]) {
      too_long += cagma_agent_lines_feed(&cutter, data + i, MIN(steps[s], length - i), gather, lines);
      g_assert_cmpuint(cutter.partial->len, <=, CAGMA_AGENT_LINE_MAX);
    }
    g_assert_cmpstr(lines->str, ==, "before|after|last|");
    g_assert_cmpuint(too_long, ==, 2);
    cagma_agent_lines_clear(&cutter);
  }
}

static gsize
allocated(void)
{
  g_autofree char *text = NULL;
  gsize pages = 0;

  /* Resident, in pages. */
  if (g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
    pages = (gsize)g_ascii_strtoull(strchr(text, ' '), NULL, 10);
  return pages * 4096;
}

static void
test_no_newline_ever(void)
{
  g_autofree char *piece = g_strnfill(16 * 1024, 'x');
  g_autoptr(GString) lines = g_string_new(NULL);
  CagmaAgentLines cutter;
  unsigned too_long = 0;
  gsize before, after;

  cagma_agent_lines_init(&cutter);
  cagma_agent_lines_feed(&cutter, piece, 16 * 1024, gather, lines);
  before = allocated();
  /* A gigabyte. */
  for (int i = 0; i < 64 * 1024; i++)
    too_long += cagma_agent_lines_feed(&cutter, piece, 16 * 1024, gather, lines);
  after = allocated();
  g_assert_cmpuint(too_long, ==, 1);
  g_assert_cmpuint(lines->len, ==, 0);
  /* The memory it had is given back, and no more is taken. */
  g_assert_cmpuint(cutter.partial->len, ==, 0);
  g_assert_null(cutter.partial->data);
  g_assert_cmpuint(after, <, before + 16 * 1024 * 1024);
  cagma_agent_lines_feed(&cutter, "\nhere\n", 6, gather, lines);
  g_assert_cmpstr(lines->str, ==, "here|");
  cagma_agent_lines_clear(&cutter);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/agent-reply/documented-lines", test_documented_lines);
  g_test_add_func("/agent-reply/figures", test_figures);
  g_test_add_func("/agent-reply/loads", test_loads);
  g_test_add_func("/agent-reply/other-messages", test_other_messages);
  g_test_add_func("/agent-reply/long-error-is-cut", test_long_error_is_cut);
  g_test_add_func("/agent-reply/refused", test_refused);
  g_test_add_func("/agent-reply/read-back", test_read_back);
  g_test_add_func("/agent-reply/nul-is-no-end", test_nul_is_no_end);
  g_test_add_func("/agent-reply/length-counts", test_length_counts);
  g_test_add_func("/agent-reply/nested-deeply", test_nested_deeply);
  g_test_add_func("/agent-reply/nested-a-little", test_nested_a_little);
  g_test_add_func("/agent-reply/long-lines", test_long_lines);
  g_test_add_func("/agent-reply/info", test_info);
  g_test_add_func("/agent-reply/info-of-many-commands", test_info_of_many_commands);
  g_test_add_func("/agent-reply/lines-split-anywhere", test_lines_split_anywhere);
  g_test_add_func("/agent-reply/many-lines-in-one", test_many_lines_in_one);
  g_test_add_func("/agent-reply/longest-line", test_longest_line);
  g_test_add_func("/agent-reply/too-long-line-is-dropped", test_too_long_line_is_dropped);
  g_test_add_func("/agent-reply/no-newline-ever", test_no_newline_ever);
  return g_test_run();
}
