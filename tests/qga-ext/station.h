/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/qga-ext/kit.h"
#include "tests/qga-ext/store.h"

/* The agent on a scripted xenstore: what its two tests share. */

#define DATA "data/cagma"
#define ORDERS "data/cagma-host"

/* So that nothing but what a test does leads to a value. */
#define SELDOM "{\"interval-ms\": 60000, \"stall-us\": 0}"
#define SELDOM_ALERT "{\"interval-ms\": 60000}"

typedef struct {
  Kit *kit;
  char *socket;
  char *logfile;
  Store *store;
  Program *agent;
} Station;

/* A test with an agent that has its orders, and has said all it has to say. */
void station_add(const char *path, const char *orders, void (*test)(Station *, gconstpointer));

/* A test that starts its agent itself. */
void station_add_without_agent(const char *path, void (*test)(Station *, gconstpointer));
void station_start_agent(Station *f);

/* A number in a value. */
guint64 member(const char *value, const char *name);

/* How often the agent has logged the text; and waits until it has. */
guint station_logged(const Station *f, const char *text);
void station_await_log(const Station *f, const char *text);

/* Gives orders (NULL: removes them), and returns the value that this leads to. Free with
 * g_free(). */
char *station_order(Station *f, const char *orders);
