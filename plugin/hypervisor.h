/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

#include "plugin/backend.h"
#include "plugin/guests.h"

/* What differs below libvirt: where a domain's figures and the host's come from, and
 * how guests are heard. There is one of each kind, kept as long as the process runs: a
 * worker that hangs may come back to it at any time. */

typedef struct CagmaHypervisor CagmaHypervisor;

struct CagmaHypervisor {
  /* Fills in request->sample, or the outcome and error. On a worker; may take long. */
  void (*sample)(CagmaHypervisor *hypervisor, virDomainPtr domain, CagmaRequest *request);
  /* At once: from the main loop. */
  gboolean (*host_memory)(CagmaHypervisor *hypervisor, CagmaHostMemory *memory, GError **error);
  /* Whether the domain runs, at once, from the main loop: asked where it is said to have
   * stopped. NULL: then it has. */
  gboolean (*runs)(CagmaHypervisor *hypervisor, const char *uuid);
  /* Whether the domain of this number is the host's own system. NULL: none is. */
  gboolean (*is_host)(int id);
  CagmaGuests *(*listen)(CagmaHypervisor *hypervisor, const char *uri, const CagmaGuestsListener *listener,
                         void *owner);
};

/* QEMU's, and that of libvirt's test driver. */
CagmaHypervisor *cagma_hypervisor_qemu(void);

/* The connection's own, by its driver. Thread-safe; asks libvirt, once a connection. NULL
 * where it can't be served: built without libxenlight, Xen on another host. */
CagmaHypervisor *cagma_hypervisor_of(virConnectPtr conn, GError **error) G_GNUC_WARN_UNUSED_RESULT;
