/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "xml/error.h"

/* Sizes as libvirt writes them: a whole number and a unit.
 *
 * Units are those of libvirt's <memory unit='…'> (virScaleInteger), in any case:
 *   b, byte, bytes            1
 *   KB MB GB TB PB EB         powers of 1000
 *   K M G T P E, KiB … EiB    powers of 1024
 * and, as in libvirt, KiB where the unit is absent or empty. A size that is no
 * whole number of KiB is rounded up, as virDomainParseMemory does.
 *
 * Numbers are decimal digits only: no sign, blank, fraction or exponent. The
 * largest size is CAGMA_MAX_KIB. Errors are CAGMA_XML_ERROR_CONTENT and quote the
 * text at fault; *kib is set on success only. */

/* number and unit apart, as in <limit unit='MiB'>4096</limit>. unit NULL: KiB. */
gboolean cagma_size_parse(const char *number, const char *unit, uint64_t *kib,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* One string, for cagmad.conf and command lines: "12GiB", "512 MiB", or "1024"
 * for KiB. Blanks are allowed around it and before the unit. */
gboolean cagma_size_from_string(const char *text, uint64_t *kib, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* For people: the largest unit of at least one, with at most one decimal, rounded
 * half up: "300 KiB", "512 MiB", "1.5 GiB". Free with g_free(). */
char *cagma_size_format(uint64_t kib);
