/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

#include "plugin/backend.h"

/* Carries out one request by calls into libvirt (a CagmaPoolWork). Whatever waits for
 * the domain's QEMU is preceded by virDomainGetControlInfo, which waits for nothing,
 * so that a domain whose QEMU hangs costs one worker once. */
void cagma_libvirt_work(virConnectPtr conn, GHashTable *domains, CagmaRequest *request);

/* A request about the domain failed: its error is libvirt's last, and tells the outcome. */
void cagma_libvirt_fail(virDomainPtr domain, CagmaRequest *request, const char *what);
