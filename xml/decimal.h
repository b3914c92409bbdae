/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* Decimal numbers as scaled integers, without floating point or locale:
 * with 3 decimals "1.1" is 1100, with 1 decimal "12.5" is 125. */

/* Digits, and where decimals > 0 optionally a point and at most that many digits.
 * FALSE for anything else, and for values above max (in scaled units); *value is
 * set on success only. */
gboolean cagma_decimal_parse(const char *text, unsigned int decimals, uint32_t max,
                             uint32_t *value) G_GNUC_WARN_UNUSED_RESULT;

/* The shortest form that parses to value again. Free with g_free(). */
char *cagma_decimal_format(uint32_t value, unsigned int decimals);
