/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/orders.h"

#include "qga-ext/json.h"
#include "qga-ext/way.h"

#define DEFAULT_INTERVAL_US ((uint64_t)5000000)

CagmaOrders
cagma_orders_default(void)
{
  return (CagmaOrders){ .interval_us = DEFAULT_INTERVAL_US, .trigger = CAGMA_DEFAULT_TRIGGER };
}

/* Leaves *value where the member isn't there. FALSE where it is, and isn't a whole number of
 * min to max. */
static bool
read_number(const CagmaJson *json, const char *name, int64_t min, int64_t max, int64_t *value)
{
  const CagmaJsonNode *node = cagma_json_member(json, &json->nodes[0], name);

  return node == NULL || (cagma_json_int64(json, node, value) && *value >= min && *value <= max);
}

static const char *
read_orders(const CagmaJson *json, CagmaOrders *orders)
{
  int64_t interval_ms = (int64_t)(orders->interval_us / 1000);
  int64_t stall_us = (int64_t)orders->trigger.stall_us;
  int64_t window_us = (int64_t)orders->trigger.window_us;

  if (json->nodes[0].type != CAGMA_JSON_OBJECT)
    return "not an object";
  if (!read_number(json, "interval-ms", CAGMA_INTERVAL_MIN_MS, CAGMA_INTERVAL_MAX_MS, &interval_ms))
    return "interval-ms must be 100 to 60000";
  if (!read_number(json, "window-us", (int64_t)CAGMA_WINDOW_MIN_US, (int64_t)CAGMA_WINDOW_MAX_US, &window_us))
    return "window-us must be 500000 to 10000000";
  if (!read_number(json, "stall-us", 0, window_us, &stall_us))
    return "stall-us must be 0 to window-us";
  orders->interval_us = (uint64_t)interval_ms * 1000;
  orders->trigger.stall_us = (uint64_t)stall_us;
  orders->trigger.window_us = (uint64_t)window_us;
  return NULL;
}

bool
cagma_orders_parse(CagmaOrders *orders, const char *text, size_t length, const char **problem)
{
  static CagmaJson json; /* too large for the stack */
  CagmaOrders read = cagma_orders_default();

  if (!cagma_json_parse(&json, text, length, problem))
    return false;
  *problem = read_orders(&json, &read);
  if (*problem != NULL)
    return false;
  *orders = read;
  return true;
}
