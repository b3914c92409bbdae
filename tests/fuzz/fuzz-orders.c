/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/orders.h"

#include "tests/fuzz/fuzz.h"

/* What the host, or the guest itself, may have written to data/cagma-host. */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const CagmaOrders before = cagma_orders_default();
  CagmaOrders orders = before;
  const char *problem = NULL;

  if (!cagma_orders_parse(&orders, (const char *)data, size, &problem)) {
    g_assert_nonnull(problem);
    g_assert_cmpmem(&orders, sizeof orders, &before, sizeof before);
    return 0;
  }
  g_assert_cmpuint(orders.interval_us, >=, (uint64_t)CAGMA_INTERVAL_MIN_MS * 1000);
  g_assert_cmpuint(orders.interval_us, <=, (uint64_t)CAGMA_INTERVAL_MAX_MS * 1000);
  return 0;
}
