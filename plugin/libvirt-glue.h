/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

/* libvirt's ways in GLib's. */

#define CAGMA_LIBVIRT_ERROR (cagma_libvirt_error_quark())
GQuark cagma_libvirt_error_quark(void);

/* Sets *error to the calling thread's last libvirt error: code is virErrorNumber. */
void cagma_libvirt_error(GError **error, const char *what);

/* Keeps libvirt from printing errors to stderr. */
void cagma_libvirt_hush(void);

/* Opens a connection with keepalive, so that a dead peer is noticed. Blocks. */
virConnectPtr cagma_libvirt_open(const char *uri, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Opens a connection for one thread's calls, without events. It turns the main loop
 * only where it must (see libvirt-events.h). Blocks. */
virConnectPtr cagma_libvirt_open_for_calls(const char *uri, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Makes libvirt's event loop GLib's default main context, once a process, before any
 * connection. FALSE where events don't arrive there: another is registered. */
gboolean cagma_libvirt_join_main_loop(GError **error) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)
