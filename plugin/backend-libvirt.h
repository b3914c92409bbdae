/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/backend.h"

/* QEMU or Xen through libvirt, whichever the connection leads to: a connection for events and for learning that the daemon
 * went away, and the pool's for everything that may take long. Connects again,
 * with growing pauses, for as long as it is open. Free with its close(). */
CagmaBackend *cagma_backend_libvirt_new(const char *uri);
