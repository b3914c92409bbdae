/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/agent-reply.h"

#include "policy/units.h"
#include "tests/fuzz/fuzz.h"

/* What a guest may send: bytes, cut into lines, read as messages and as guest-info. */

static void
check_sample(const CagmaSample *raw)
{
  CagmaSample sample = *raw;

  g_assert_cmpint(sample.source, ==, CAGMA_SAMPLE_CHANNEL);
  /* What only the host can know. */
  g_assert_cmpuint(sample.has & (CAGMA_HAS_ACTUAL | CAGMA_HAS_RSS | CAGMA_HAS_STAMP | CAGMA_HAS_BLOCK_READ),
                   ==, 0);
  g_assert_cmpuint(sample.usable_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.swap_in_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.swap_out_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.swap_used_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.largest_kib, <=, 2 * CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.swapping_kib, <=, 2 * CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.refault_file_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.refault_anon_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.load1_permille, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.load5_permille, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample.load15_permille, <=, CAGMA_MAX_KIB);
  cagma_sample_clamp(&sample, CAGMA_GIB(1));
}

static void
read_line(const char *line, gsize length, gpointer user_data)
{
  g_autoptr(GError) error = NULL, info_error = NULL;
  g_autofree char *text = g_strndup(line, length);
  CagmaAgentMessage message;
  gboolean able = FALSE;

  if (user_data)
    g_string_append_len(user_data, line, (gssize)length);
  if (!cagma_agent_message_parse(line, length, &message, &error))
    fuzz_check_error(error);
  else if (message.kind == CAGMA_AGENT_STATS || message.kind == CAGMA_AGENT_PRESSURE ||
           message.kind == CAGMA_AGENT_LOAD)
    check_sample(&message.sample);
  else if (message.kind == CAGMA_AGENT_ERROR)
    g_assert_true(g_utf8_validate(message.error, -1, NULL));
  if (!cagma_agent_info_parse(text, "guest-get-memory-stats", &able, &info_error))
    fuzz_check_error(info_error);
}

static void
only_gather(const char *line, gsize length, gpointer user_data)
{
  g_assert_null(memchr(line, '\n', length));
  g_assert_cmpuint(length, >, 0);
  g_assert_cmpuint(length, <=, CAGMA_AGENT_LINE_MAX);
  g_string_append_len(user_data, line, (gssize)length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GString) whole = g_string_new(NULL), pieces = g_string_new(NULL);
  CagmaAgentLines lines;
  size_t step = size > 0 ? data[0] % 64 + 1 : 1;

  cagma_agent_lines_init(&lines);
  cagma_agent_lines_feed(&lines, (const char *)data, size, read_line, whole);
  cagma_agent_lines_clear(&lines);

  /* The same, however it arrives. */
  cagma_agent_lines_init(&lines);
  for (size_t i = 0; i < size; i += step)
    cagma_agent_lines_feed(&lines, (const char *)data + i, MIN(step, size - i), only_gather, pieces);
  cagma_agent_lines_clear(&lines);
  g_assert_cmpmem(whole->str, whole->len, pieces->str, pieces->len);

  /* As an agent's reply comes through libvirt: without a newline. */
  read_line((const char *)data, size, NULL);
  return 0;
}
