/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/size.h"

#include <string.h>

#include "policy/units.h"

#define DIGITS "0123456789"
#define UNITS "bytes, KB, KiB, MB, MiB, GB, GiB, TB, TiB, PB, PiB, EB, EiB"
#define MAX_BYTES (CAGMA_MAX_KIB * 1024)

/* The bytes in one unit, or 0 for an unknown one. 1024^6 fits 64 bits. */
static uint64_t
unit_bytes(const char *unit)
{
  static const char prefixes[] = "kmgtpe";
  uint64_t base, bytes = 1;
  const char *prefix;

  if (unit == NULL || *unit == '\0')
    return 1024;
  if (g_ascii_strcasecmp(unit, "b") == 0 || g_ascii_strcasecmp(unit, "byte") == 0 ||
      g_ascii_strcasecmp(unit, "bytes") == 0)
    return 1;

  prefix = strchr(prefixes, g_ascii_tolower(*unit));
  if (prefix == NULL)
    return 0;
  if (unit[1] == '\0' || g_ascii_strcasecmp(unit + 1, "iB") == 0)
    base = 1024;
  else if (g_ascii_strcasecmp(unit + 1, "B") == 0)
    base = 1000;
  else
    return 0;

  for (const char *p = prefixes; p <= prefix; p++)
    bytes *= base;
  return bytes;
}

gboolean
cagma_size_parse(const char *number, const char *unit, uint64_t *kib, GError **error)
{
  g_autofree char *shown = cagma_printable(number, CAGMA_QUOTE_CHARS);
  const uint64_t scale = unit_bytes(unit);
  const uint64_t limit = scale ? MAX_BYTES / scale : 0;
  uint64_t value = 0;

  if (*number == '\0')
    return cagma_content_error(error, "size is empty: a whole number is needed");
  if (number[strspn(number, DIGITS)] != '\0')
    return cagma_content_error(error, "size '%s' is not a whole number (digits only)", shown);
  if (scale == 0) {
    g_autofree char *shown_unit = cagma_printable(unit, CAGMA_QUOTE_CHARS);
    return cagma_content_error(error, "unknown unit '%s' (allowed: " UNITS ")", shown_unit);
  }

  for (const char *p = number; *p != '\0'; p++) {
    value = value * 10 + (uint64_t)(*p - '0');
    if (value > limit) /* at each digit, so that value never overflows */
      return cagma_content_error(error, "size '%s' %s is too large (at most 4 PiB)", shown,
                                 unit && *unit ? unit : "KiB");
  }
  *kib = (value * scale + 1023) / 1024;
  return TRUE;
}

gboolean
cagma_size_from_string(const char *text, uint64_t *kib, GError **error)
{
  g_autofree char *stripped = g_strstrip(g_strdup(text));
  const char *unit = stripped + strspn(stripped, DIGITS);
  g_autofree char *number = g_strndup(stripped, (gsize)(unit - stripped));

  /* "-5" and "1.5 GiB" are wrong numbers, not numbers with a wrong unit. */
  if (*number == '\0' || (*unit != '\0' && !g_ascii_isalpha(*unit) && !g_ascii_isspace(*unit)))
    return cagma_size_parse(stripped, NULL, kib, error);
  while (g_ascii_isspace(*unit))
    unit++;
  return cagma_size_parse(number, unit, kib, error);
}

char *
cagma_size_format(uint64_t kib)
{
  static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
  uint64_t unit_kib = 1;
  size_t i = 0;

  while (i + 1 < G_N_ELEMENTS(units)) {
    /* One unit further as soon as rounding would print 1024 of the smaller one. */
    const uint64_t next_kib = unit_kib * 1024;
    if (kib < next_kib - unit_kib / 20)
      break;
    unit_kib = next_kib;
    i++;
  }

  const uint64_t whole = kib / unit_kib;
  const uint64_t tenths = ((kib % unit_kib) * 10 + unit_kib / 2) / unit_kib;
  if (tenths % 10 == 0)
    return g_strdup_printf("%" G_GUINT64_FORMAT " %s", whole + tenths / 10, units[i]);
  return g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT " %s", whole, tenths, units[i]);
}
