/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The service manager's notification socket, sd_notify(3): $NOTIFY_SOCKET. Does
 * nothing where there is none. */
void cagma_notify(const char *state);

/* How often WATCHDOG=1 is expected, from $WATCHDOG_USEC; 0: not at all. */
guint64 cagma_watchdog_us(void);
