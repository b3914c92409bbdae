/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/domain.h"

/* The plausibility floor: what a guest can't do without, by its own figures. QEMU's balloon
 * driver gives up where its guest has no page left; Xen's takes the last one, and the guest
 * dies of it. So a domain whose balloon gives in to any target is never shrunk below
 *
 *     used + margin − what it can still swap out
 *     used = actual − available, as told, with all that it was given since
 *     what it can still swap out = min(swappable, free swap) / 2
 *
 * swappable is what the guest itself says could go, so that locked memory, huge pages and the
 * kernel's own aren't counted on; without that figure nothing is. Half of it, since swap may
 * be compressed memory, and what is touched all the time comes back at once. */

/* A Linux guest's watermarks and per-CPU lists. One of 192 MiB, shrunk to 72, ran out of
 * memory and panicked. */
#define CAGMA_FLOOR_MARGIN_KIB CAGMA_MIB(64)

/* KiB; 0 where the domain doesn't yield, or has no figures. Never a reason to grow. */
uint64_t cagma_floor(const CagmaDomain *domain);
