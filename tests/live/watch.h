/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "look.h"

/* Looks at one guest ten times a second, on a thread and a connection of its own,
 * so that a QEMU that hangs keeps nobody else waiting. What it saw is kept for the
 * judge (judge.h); changes are written to a timeline, for people. Survives restarts
 * of libvirtd and of the guest. */

typedef struct Watch Watch;

/* timeline_fd is borrowed. */
Watch *watch_new(const char *uri, const char *uuid, const char *name, int timeline_fd);
/* The guest's QEMU must not hang. */
void watch_free(Watch *watch);

/* FALSE: nothing was seen yet. */
gboolean watch_last(Watch *watch, Sighting *sighting);

/* The last one told before at_us, or the first asked after it. FALSE: there is none. */
gboolean watch_before(Watch *watch, int64_t at_us, Sighting *sighting);
gboolean watch_after(Watch *watch, int64_t at_us, Sighting *sighting);

/* The sighting of this index; FALSE: not yet seen. */
gboolean watch_nth(Watch *watch, guint n, Sighting *sighting);

/* Since when swap_out hasn't grown, by what was seen; 0: nothing was. */
int64_t watch_calm_since(Watch *watch);
