/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/agent-reply.h"

#include "policy/units.h"
#include "tests/fuzz/fuzz.h"

/* What a Xen guest may write to its data/cagma: any bytes. */

static void
check_sizes(const CagmaSample *sample)
{
  g_assert_cmpint(sample->source, ==, CAGMA_SAMPLE_CHANNEL);
  /* What only the host can know. */
  g_assert_cmpuint(sample->has & (CAGMA_HAS_ACTUAL | CAGMA_HAS_RSS | CAGMA_HAS_CAP | CAGMA_HAS_DRIVER |
                                  CAGMA_HAS_BLOCK_READ),
                   ==, 0);
  g_assert_cmpuint(sample->usable_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample->swap_in_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample->swap_out_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample->swap_used_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(sample->load1_permille, <=, CAGMA_MAX_KIB);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GError) error = NULL;
  CagmaAgentValue value;

  if (!cagma_agent_value_parse((const char *)data, size, &value, &error)) {
    fuzz_check_error(error);
    return 0;
  }
  g_assert_cmpuint(size, <=, CAGMA_AGENT_VALUE_MAX);
  g_assert_cmpuint(value.seq, >, 0);
  g_assert_cmpuint(value.pressure_seq, <=, value.seq);
  g_assert_cmpuint(value.stats.stamp, ==, value.seq);
  g_assert_cmpuint(value.stats.has & CAGMA_HAS_STAMP, !=, 0);
  check_sizes(&value.stats);
  if (value.has_load)
    check_sizes(&value.load);
  return 0;
}
