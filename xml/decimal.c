/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/decimal.h"

/* Appends digits to *value until something else comes, or at most max_digits.
 * Returns how many it took; *value stays above max once it is. */
static unsigned int
take_digits(const char **text, unsigned int max_digits, uint64_t max, uint64_t *value)
{
  unsigned int taken = 0;

  while (g_ascii_isdigit(**text) && taken < max_digits) {
    if (*value <= max)
      *value = *value * 10 + (uint64_t)(**text - '0');
    (*text)++;
    taken++;
  }
  return taken;
}

gboolean
cagma_decimal_parse(const char *text, unsigned int decimals, uint32_t max, uint32_t *value)
{
  uint64_t scaled = 0;
  unsigned int fraction = 0;

  if (take_digits(&text, G_MAXUINT, max, &scaled) == 0)
    return FALSE;
  if (*text == '.' && decimals > 0) {
    text++;
    fraction = take_digits(&text, decimals, max, &scaled);
    if (fraction == 0)
      return FALSE;
  }
  for (; fraction < decimals && scaled <= max; fraction++)
    scaled *= 10;
  if (*text != '\0' || scaled > max)
    return FALSE;
  *value = (uint32_t)scaled;
  return TRUE;
}

char *
cagma_decimal_format(uint32_t value, unsigned int decimals)
{
  uint32_t scale = 1;

  for (; decimals > 0 && value % 10 == 0; decimals--)
    value /= 10;
  for (unsigned int i = 0; i < decimals; i++)
    scale *= 10;
  if (decimals == 0)
    return g_strdup_printf("%u", value);
  return g_strdup_printf("%u.%0*u", value / scale, (int)decimals, value % scale);
}
