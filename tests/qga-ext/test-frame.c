/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "qga-ext/frame.h"
#include "tests/qga-ext/kit.h"

/* What came of the bytes: messages as [text], the beginning of one too long as {length},
 * resets as !text!. passed collects the bytes that a multiplexer would pass on. */
static char *
feed(const char *bytes, size_t length, size_t step, GString *passed)
{
  g_autofree CagmaFrame *frame = g_new(CagmaFrame, 1);
  GString *seen = g_string_new(NULL);

  memset(frame, 0xA5, sizeof(*frame));
  cagma_frame_init(frame);
  for (size_t at = 0; at < length;) {
    const size_t n = MIN(step, length - at);
    size_t taken = 0;

    while (taken < n) {
      CagmaFrameEvent event;
      const size_t more = cagma_frame_feed(frame, bytes + at + taken, n - taken, &event);

      g_assert_cmpuint(more, <=, n - taken);
      if (more == 0)
        g_assert_true(event == CAGMA_FRAME_MESSAGE || event == CAGMA_FRAME_TOO_LONG);
      if (event == CAGMA_FRAME_MESSAGE)
        g_string_append_printf(seen, "[%.*s]", (int)frame->length, frame->message);
      else if (event == CAGMA_FRAME_TOO_LONG)
        g_string_append_printf(seen, "{%" G_GSIZE_FORMAT "}", frame->length);
      else if (event == CAGMA_FRAME_RESET)
        g_string_append_printf(seen, "!%.*s!", (int)frame->length, frame->message);
      if (event == CAGMA_FRAME_MESSAGE || event == CAGMA_FRAME_TOO_LONG || event == CAGMA_FRAME_RESET)
        g_string_append_len(passed, frame->message, (gssize)frame->length);
      if (event == CAGMA_FRAME_BLANK || event == CAGMA_FRAME_REST)
        g_string_append_len(passed, bytes + at + taken, (gssize)more);
      if (event == CAGMA_FRAME_RESET)
        g_string_append_c(passed, '\xFF');
      taken += more;
    }
    at += n;
  }
  return g_string_free(seen, FALSE);
}

static void
bytes_become_messages_however_they_come(void)
{
  static const struct {
    const char *bytes, *seen;
    gboolean all; /* nothing is left to wait for: every byte was handed out */
  } cases[] = {
    { "", "", TRUE },
    { "\n \r\n\t", "", TRUE },
    { "{}\n", "[{}]", TRUE },
    { "{}", "[{}]", TRUE },
    { "{}{}[1]\n", "[{}][{}][[1]]", TRUE },
    { "{\"a\": \"}\\\"}\"}\n{}\n", "[{\"a\": \"}\\\"}\"}][{}]", TRUE },
    { "{\"a\": {\"b\": [1, 2]}} {}\n", "[{\"a\": {\"b\": [1, 2]}}][{}]", TRUE },
    { "{\"a\n{}\n", "[{\"a][{}]", TRUE },
    { "{\"a\": 1\n{}\n", "[{\"a\": 1][{}]", TRUE },
    { "hello {} world\n{}\n", "[hello {} world][{}]", TRUE },
    { "}}}\n{}\n", "[}}}][{}]", TRUE },
    { "]{}\n{}\n", "[]{}][{}]", TRUE },
    { "{]}\n{}", "[{]][}][{}]", TRUE },
    { "\"x\\\n{}", "[\"x\\][{}]", TRUE },
    { "{\"a", "", FALSE },
    { "\xFF{}\n", "!![{}]", TRUE },
    { "{\"a\xFF{}\n", "!{\"a![{}]", TRUE },
    { "\xFF\xFF{}", "!!!![{}]", TRUE },
    { "junk\xFF{}", "!junk![{}]", TRUE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    for (size_t step = 1; step < 40; step++) {
      g_autoptr(GString) passed = g_string_new(NULL);
      g_autofree char *seen = feed(cases[i].bytes, strlen(cases[i].bytes), step, passed);
      note(cases[i].bytes);
      g_assert_cmpstr(seen, ==, cases[i].seen);
      if (cases[i].all)
        g_assert_cmpmem(passed->str, passed->len, cases[i].bytes, strlen(cases[i].bytes));
    }
  }
}

/* A message of that many bytes, then a short one. */
static void
check_length(size_t length, gboolean brackets, const char *end, const char *expected)
{
  static const size_t steps[] = { 1, 7, 4096, 1000000 };

  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
    g_autoptr(GString) bytes = g_string_new(NULL);
    g_autoptr(GString) passed = g_string_new(NULL);
    g_autofree char *seen = NULL;

    g_string_append(bytes, brackets ? "{\"" : "xx");
    while (bytes->len < length - 2)
      g_string_append_c(bytes, 'x');
    g_string_append(bytes, brackets ? "\"}" : "xx");
    g_string_append(bytes, end);
    g_string_append(bytes, "[7]\n");
    seen = feed(bytes->str, bytes->len, steps[i], passed);
    g_assert_true(g_str_has_suffix(seen, expected));
    g_assert_cmpmem(passed->str, passed->len, bytes->str, bytes->len);
  }
}

static void
messages_over_64_kib_are_passed_by(void)
{
  check_length(CAGMA_MESSAGE_MAX - 1, FALSE, "\n", "xx][[7]]");
  check_length(CAGMA_MESSAGE_MAX, FALSE, "\n", "xx][[7]]");
  check_length(CAGMA_MESSAGE_MAX, TRUE, "", "\"}][[7]]");
  check_length(CAGMA_MESSAGE_MAX + 1, FALSE, "\n", "{65536}[[7]]");
  check_length(CAGMA_MESSAGE_MAX + 1, TRUE, "", "{65536}[[7]]");
  check_length(CAGMA_MESSAGE_MAX + 1, TRUE, "\n", "{65536}[[7]]");
  check_length(CAGMA_MESSAGE_MAX + 1, FALSE, "\xFF", "{65536}!![[7]]");
  check_length(CAGMA_MESSAGE_MAX * 5, TRUE, "\n", "{65536}[[7]]");
  check_length(CAGMA_MESSAGE_MAX * 5, FALSE, "\xFF", "{65536}!![[7]]");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/frame/bytes-become-messages-however-they-come", bytes_become_messages_however_they_come);
  g_test_add_func("/frame/messages-over-64-kib-are-passed-by", messages_over_64_kib_are_passed_by);
  return g_test_run();
}
