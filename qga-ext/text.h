/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text written into a buffer of fixed size: the agent allocates nothing once it runs.
 * What doesn't fit is left out and `overflow` set; the text is then of no use. No NUL is
 * written: `length` says how much there is. */

typedef struct {
  char *data;
  size_t size;
  size_t length;
  bool overflow;
} CagmaText;

/* The buffer stays the caller's, and must outlive the text. */
CagmaText cagma_text_init(char *buffer, size_t size);

void cagma_text_bytes(CagmaText *text, const char *bytes, size_t length);
void cagma_text_string(CagmaText *text, const char *string);
void cagma_text_uint(CagmaText *text, uint64_t value);
void cagma_text_int(CagmaText *text, int64_t value);

/* Hundredths as a decimal number: 123 is "1.23". */
void cagma_text_hundredths(CagmaText *text, uint64_t value);

/* TRUE where the text is complete and the same as string. */
bool cagma_text_equals(const CagmaText *text, const char *string);
