/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "bed.h"

/* The cagmad under test, with a period of a second. */
#define PERIOD_US G_USEC_PER_SEC

/* Writes its configuration: a budget of what all guests hold now, in_hand_mib more, and
 * the reserve. more: further lines, or NULL. Where it runs, waits until it has read it. */
void daemon_configure(Bed *bed, guint in_hand_mib, const char *more);

/* Starts it, and waits until it is connected. option: NULL, or one more. */
void daemon_start(Bed *bed, const char *option);
/* Ends it in an orderly way. */
void daemon_stop(Bed *bed);
void daemon_kill(Bed *bed);

/* cagmactl --json status; of one domain where name isn't NULL. NULL: it can't say. */
JsonNode *daemon_status(Bed *bed, const char *name);

/* Waits until the daemon says this of a domain; reason: a part of it, or NULL. */
void daemon_await_state(Bed *bed, const char *name, const char *state, const char *reason, int seconds);
/* The same for where it has a domain's figures from. */
void daemon_await_source(Bed *bed, const char *name, const char *source, int seconds);
gint64 daemon_number(Bed *bed, const char *name, const char *field);
gboolean daemon_is_connected(Bed *bed);

/* How often its log has the text; waits until it has it oftener than before. */
guint daemon_log_count(Bed *bed, const char *text);
void daemon_await_log(Bed *bed, const char *text, guint before, int seconds);

/* cagmactl with these arguments; has to succeed. Free with g_free. */
char *daemon_ctl(Bed *bed, const char *const *arguments);
