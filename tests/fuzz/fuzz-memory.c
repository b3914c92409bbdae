/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/units.h"
#include "tests/fuzz/fuzz.h"
#include "xml/memory.h"

static void
check_limits(const CagmaConfig *config)
{
  g_assert_cmpuint(config->guarantee_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(config->limit_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(config->headroom_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(config->shares, <=, CAGMA_SHARES_MAX);
  g_assert_cmpuint(config->rate_permille, >=, CAGMA_RATE_MIN_PERMILLE);
  g_assert_cmpuint(config->rate_permille, <=, CAGMA_RATE_MAX_PERMILLE);
  g_assert_cmpuint(config->headroom_permille, <=, CAGMA_HEADROOM_MAX_PERMILLE);
}

/* A document that is accepted stays within the limits, and says the same again once
 * formatted and parsed. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *xml = NULL;
  /* Zeroed, so that memcmp may compare the padding too. */
  CagmaConfig config, again;

  memset(&config, 0, sizeof(config));
  memset(&again, 0, sizeof(again));
  if (!cagma_memory_parse((const char *)data, (gssize)size, NULL, &config, &error)) {
    fuzz_check_error(error);
    return 0;
  }
  g_assert_no_error(error);
  check_limits(&config);

  xml = cagma_memory_format(&config);
  g_assert_true(cagma_memory_parse(xml, -1, NULL, &again, &error));
  g_assert_no_error(error);
  g_assert_cmpmem(&again, sizeof(again), &config, sizeof(config));
  return 0;
}
