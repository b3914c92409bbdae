/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/text.h"

#include <string.h>

/* Digits of 2^64. */
#define UINT_DIGITS 20

CagmaText
cagma_text_init(char *buffer, size_t size)
{
  return (CagmaText){ .data = buffer, .size = size };
}

void
cagma_text_bytes(CagmaText *text, const char *bytes, size_t length)
{
  if (length > text->size - text->length) {
    text->overflow = true;
    return;
  }
  if (length > 0)
    memcpy(text->data + text->length, bytes, length);
  text->length += length;
}

void
cagma_text_string(CagmaText *text, const char *string)
{
  cagma_text_bytes(text, string, strlen(string));
}

void
cagma_text_uint(CagmaText *text, uint64_t value)
{
  char digits[UINT_DIGITS];
  size_t first = UINT_DIGITS;

  do {
    digits[--first] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  cagma_text_bytes(text, digits + first, UINT_DIGITS - first);
}

void
cagma_text_int(CagmaText *text, int64_t value)
{
  if (value < 0)
    cagma_text_bytes(text, "-", 1);
  cagma_text_uint(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void
cagma_text_hundredths(CagmaText *text, uint64_t value)
{
  const char fraction[] = { '.', (char)('0' + value / 10 % 10), (char)('0' + value % 10) };

  cagma_text_uint(text, value / 100);
  cagma_text_bytes(text, fraction, sizeof(fraction));
}

bool
cagma_text_equals(const CagmaText *text, const char *string)
{
  const size_t length = strlen(string);

  return !text->overflow && text->length == length && memcmp(text->data, string, length) == 0;
}
