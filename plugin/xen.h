/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/hypervisor.h"

/* Xen: sizes and limits as the hypervisor itself has them, by libxenlight's calls into
 * it. These wait for nobody. libxl's own events, and with them its descriptors, aren't
 * used: none is about memory, and asking for them waits for xenstored. Guests are heard
 * through xenstore, see xen-guests.h. */

/* This host's. Thread-safe. NULL where the process can't get at Xen; tried again with the
 * next call. Says, once, where something else moves dom0's memory. */
CagmaHypervisor *cagma_xen_get(GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether libvirt takes from dom0 the memory that a start lacks, as its libxl driver
 * decides it (libxlGetAutoballoonConf): conf is the text of its libxl.conf, or NULL;
 * commandline is Xen's. */
gboolean cagma_xen_autoballoons(const char *conf, const char *commandline);
