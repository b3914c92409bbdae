/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

/* Internal to xml/: what in a domain XML keeps ballooned memory from the host.
 *
 * QEMU ignores a balloon's discards (ram_block_discard_disable) while a VFIO or vDPA
 * device may access guest memory by DMA, or where memory is encrypted: the guest
 * then loses memory and the host gains none. Locked memory is not given back either,
 * and a huge page only when the guest has ballooned all of it. */

/* NULL, or the reason as CagmaDomainXml.pinned has it. Free with g_free(). */
char *cagma_pinned_reason(const xmlNode *domain);
