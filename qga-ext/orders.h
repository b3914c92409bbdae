/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/protocol.h"

/* What the host asks of an agent that it can't talk to: how often to tell, and when memory
 * is short. An object with up to three numbers, docs/agent-protocol.md:
 *   {"interval-ms": 1000, "stall-us": 25000, "window-us": 500000} */

typedef struct {
  uint64_t interval_us;
  CagmaTriggerSpec trigger;
} CagmaOrders;

#define CAGMA_INTERVAL_MIN_MS 100
#define CAGMA_INTERVAL_MAX_MS 60000

/* Every 5 s, and CAGMA_DEFAULT_TRIGGER. */
CagmaOrders cagma_orders_default(void);

/* What isn't said is as by default; members of other names are passed over. FALSE, with
 * *problem a constant and the orders as they were, where anything is wrong. */
bool cagma_orders_parse(CagmaOrders *orders, const char *text, size_t length, const char **problem)
    __attribute__((warn_unused_result));
