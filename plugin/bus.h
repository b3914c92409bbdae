/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "plugin/manager.h"

/* The daemon's two sockets, GDBus peer to peer:
 *   RUN_DIR/status   0660, group libvirt: reading
 *   RUN_DIR/control  0600: the hook
 * Peers prove who they are (EXTERNAL); the control socket takes root and our own
 * user only. At most CAGMA_BUS_PEERS_MAX connections on each, and a peer that sends a
 * message over CAGMA_BUS_MESSAGE_MAX bytes is cut off. */

#define CAGMA_BUS_PATH "/org/cagma"
#define CAGMA_BUS_PEERS_MAX 32
#define CAGMA_BUS_MESSAGE_MAX (64 * 1024)

typedef struct CagmaBus CagmaBus;

/* The addresses; free with g_free. */
char *cagma_bus_status_address(const char *run_dir);
char *cagma_bus_control_address(const char *run_dir);

/* Replaces sockets that a killed daemon left. manager is borrowed. */
CagmaBus *cagma_bus_open(const char *run_dir, CagmaManager *manager,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cagma_bus_close(CagmaBus *bus);
