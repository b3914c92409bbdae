/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/units.h"
#include "tests/fuzz/fuzz.h"
#include "xml/size.h"

/* A size is within bounds, or refused with a valid message; and what is formatted in
 * KiB reads back as the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup((const char *)data, size);
  g_autoptr(GError) error = NULL;
  g_autofree char *people = NULL;
  uint64_t kib = 0;

  if (!cagma_size_from_string(text, &kib, &error)) {
    fuzz_check_error(error);
    return 0;
  }
  g_assert_no_error(error);
  g_assert_cmpuint(kib, <=, CAGMA_MAX_KIB);
  people = cagma_size_format(kib);
  g_assert_cmpuint(strlen(people), <=, strlen("1023.9 MiB"));

  g_autofree char *plain = g_strdup_printf("%" G_GUINT64_FORMAT "KiB", kib);
  uint64_t again = 0;
  g_assert_true(cagma_size_from_string(plain, &again, NULL));
  g_assert_cmpuint(again, ==, kib);
  return 0;
}
