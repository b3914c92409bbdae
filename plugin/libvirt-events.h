/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* libvirt's event loop on GLib's default main context, as virEventRegisterDefaultImpl
 * has it since 6.1, but that connections can be kept out of it. A connection in the
 * loop costs it two turns for every call another thread makes: the client takes its
 * socket out of the loop while it waits for the answer, and puts it back. With a
 * thousand domains that was more than all else the daemon did. */

/* Once a process, before any connection. libvirt ignores it where a loop is registered
 * already: see that a timer fires. */
void cagma_libvirt_events_register(void);

/* Between these two, nothing the calling thread opens is watched by the loop: such a
 * connection has neither events nor keepalive, and notices its end at its next call. */
void cagma_libvirt_events_hold_off(void);
void cagma_libvirt_events_resume(void);
