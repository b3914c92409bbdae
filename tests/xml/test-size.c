/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/units.h"
#include "tests/xml/assert.h"
#include "xml/decimal.h"
#include "xml/size.h"

#define GIB(n) CAGMA_GIB(n)

static void
units_are_libvirts(void)
{
  static const struct {
    const char *number, *unit;
    uint64_t kib;
  } cases[] = {
    { "1024", NULL, 1024 },
    { "1024", "", 1024 },
    { "2048", "b", 2 },
    { "2048", "byte", 2 },
    { "2048", "BYTES", 2 },
    { "1", "K", 1 },
    { "1", "k", 1 },
    { "1", "KiB", 1 },
    { "1", "kib", 1 },
    { "1024", "KB", 1000 },
    { "1", "M", 1024 },
    { "1", "MiB", 1024 },
    { "512", "MB", 500000 },
    { "3", "g", GIB(3) },
    { "3", "GiB", GIB(3) },
    { "1024", "GB", 1000000000 },
    { "2", "T", GIB(2048) },
    { "1", "TiB", GIB(1024) },
    { "1024", "TB", 1000000000000 },
    { "1", "P", GIB(1024 * 1024) },
    { "1", "PiB", GIB(1024 * 1024) },
    { "4", "PB", 3906250000000 },
    { "0", "EiB", 0 },
    { "0", NULL, 0 },
    { "0000000000000000000000000000012", "MiB", 12 * 1024 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    uint64_t kib = 77;
    const gboolean ok = cagma_size_parse(cases[i].number, cases[i].unit, &kib, &error);
    g_test_message("%s %s", cases[i].number, cases[i].unit);
    g_assert_no_error(error);
    g_assert_true(ok);
    g_assert_cmpuint(kib, ==, cases[i].kib);
  }
}

static void
parts_of_a_kib_are_rounded_up(void)
{
  static const struct {
    const char *number, *unit;
    uint64_t kib;
  } cases[] = {
    { "1", "b", 1 },  { "1024", "b", 1 }, { "1025", "b", 2 },
    { "1", "KB", 1 }, { "3", "KB", 3 },   { "1", "MB", 977 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    uint64_t kib = 77;
    g_assert_true(cagma_size_parse(cases[i].number, cases[i].unit, &kib, NULL));
    g_assert_cmpuint(kib, ==, cases[i].kib);
  }
}

static void
the_largest_size_is_4_pib(void)
{
  static const struct {
    const char *largest, *too_large, *unit;
  } cases[] = {
    { "4503599627370496", "4503599627370497", "bytes" },
    { "4398046511104", "4398046511105", NULL },
    { "4294967296", "4294967297", "MiB" },
    { "4194304", "4194305", "GiB" },
    { "4", "5", "PiB" },
    { "4", "5", "PB" },
    { "0", "1", "EiB" },
    { "0", "18446744073709551616", "KiB" },
    { "0", "36893488147419103233", "b" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    uint64_t kib = 77;
    g_assert_true(cagma_size_parse(cases[i].largest, cases[i].unit, &kib, NULL));
    g_assert_cmpuint(kib, <=, CAGMA_MAX_KIB);
    kib = 77;
    g_assert_false(cagma_size_parse(cases[i].too_large, cases[i].unit, &kib, &error));
    g_assert_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_CONTENT);
    assert_says(error, "is too large (at most 4 PiB)");
    assert_says(error, cases[i].too_large);
    g_assert_cmpuint(kib, ==, 77);
  }
}

static void
anything_else_is_an_error_that_quotes_it(void)
{
  static const struct {
    const char *number, *unit, *says;
  } cases[] = {
    { "", NULL, "size is empty" },
    { " ", NULL, "' ' is not a whole number" },
    { "-1", NULL, "'-1' is not a whole number" },
    { "+1", NULL, "'+1' is not a whole number" },
    { " 1", NULL, "' 1' is not a whole number" },
    { "1 ", NULL, "'1 ' is not a whole number" },
    { "1.5", "GiB", "'1.5' is not a whole number" },
    { "1e3", NULL, "'1e3' is not a whole number" },
    { "0x10", NULL, "'0x10' is not a whole number" },
    { "١", NULL, "'١' is not a whole number" },
    { "1\x1b[2J", NULL, "'1\xEF\xBF\xBD[2J' is not" },
    { "1", "X", "unknown unit 'X' (allowed: bytes, KB, KiB" },
    { "1", "Z", "unknown unit 'Z'" },
    { "1", "ki", "unknown unit 'ki'" },
    { "1", "KiBs", "unknown unit 'KiBs'" },
    { "1", "KBs", "unknown unit 'KBs'" },
    { "1", "bits", "unknown unit 'bits'" },
    { "1", " MiB", "unknown unit ' MiB'" },
    { "1", "percent", "unknown unit 'percent'" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    uint64_t kib = 77;
    g_assert_false(cagma_size_parse(cases[i].number, cases[i].unit, &kib, &error));
    g_assert_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_CONTENT);
    assert_says(error, cases[i].says);
    g_assert_cmpuint(kib, ==, 77);
  }
}

static void
one_string_holds_number_and_unit(void)
{
  static const struct {
    const char *text;
    uint64_t kib;
  } good[] = {
    { "12GiB", GIB(12) }, { "512 MiB", 512 * 1024 }, { "1024", 1024 },
    { " 1 G ", GIB(1) },  { "1\tmb", 977 },          { "0", 0 },
  };
  static const struct {
    const char *text, *says;
  } bad[] = {
    { "", "size is empty" },
    { "  ", "size is empty" },
    { "-5", "'-5' is not a whole number" },
    { "1.5 GiB", "'1.5 GiB' is not a whole number" },
    { "1,5 GiB", "'1,5 GiB' is not a whole number" },
    { "GiB", "'GiB' is not a whole number" },
    { "12 GiB each", "unknown unit 'GiB each'" },
    { "10%", "'10%' is not a whole number" },
    { "1 2", "unknown unit '2'" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    uint64_t kib = 77;
    const gboolean ok = cagma_size_from_string(good[i].text, &kib, &error);
    g_assert_no_error(error);
    g_assert_true(ok);
    g_assert_cmpuint(kib, ==, good[i].kib);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    uint64_t kib = 77;
    g_assert_false(cagma_size_from_string(bad[i].text, &kib, &error));
    assert_says(error, bad[i].says);
    g_assert_cmpuint(kib, ==, 77);
  }
}

static void
sizes_are_shown_for_people(void)
{
  static const struct {
    uint64_t kib;
    const char *text;
  } cases[] = {
    { 0, "0 KiB" },
    { 1, "1 KiB" },
    { 300, "300 KiB" },
    { 1023, "1023 KiB" },
    { 1024, "1 MiB" },
    { 1024 + 51, "1 MiB" },
    { 1024 + 52, "1.1 MiB" },
    { 512 * 1024, "512 MiB" },
    { GIB(1) - 1024, "1023 MiB" },
    { GIB(1) - 52, "1023.9 MiB" },
    { GIB(1) - 51, "1 GiB" },
    { GIB(1) - 1, "1 GiB" },
    { GIB(3) / 2, "1.5 GiB" },
    { GIB(2) - 1, "2 GiB" },
    { GIB(1024), "1 TiB" },
    { CAGMA_MAX_KIB, "4 PiB" },
    { G_MAXUINT64, "16384 EiB" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = cagma_size_format(cases[i].kib);
    g_assert_cmpstr(text, ==, cases[i].text);
  }
}

static void
decimals_are_exact_integers(void)
{
  static const struct {
    const char *text;
    unsigned int decimals;
    uint32_t max, value;
  } good[] = {
    { "1.1", 3, 10000, 1100 },
    { "1", 3, 10000, 1000 },
    { "0.001", 3, 10000, 1 },
    { "10.000", 3, 10000, 10000 },
    { "12.5", 1, 1000, 125 },
    { "007", 0, 1000, 7 },
    { "4294967295", 0, G_MAXUINT32, G_MAXUINT32 },
  };
  static const struct {
    const char *text;
    unsigned int decimals;
    uint32_t max;
  } bad[] = {
    { "", 3, 1000 },
    { ".", 3, 1000 },
    { "1.", 3, 1000 },
    { ".5", 3, 1000 },
    { "-1", 3, 1000 },
    { "1,1", 3, 9000 },
    { "1.0001", 3, 9000 },
    { "1.001", 3, 1000 },
    { "1.0", 0, 1000 },
    { "2", 3, 1999 },
    { "1 ", 0, 10 },
    { "18446744073709551617", 0, G_MAXUINT32 },
    { "4294967296", 0, G_MAXUINT32 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
    uint32_t value = 77;
    g_assert_true(cagma_decimal_parse(good[i].text, good[i].decimals, good[i].max, &value));
    g_assert_cmpuint(value, ==, good[i].value);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    uint32_t value = 77;
    g_assert_false(cagma_decimal_parse(bad[i].text, bad[i].decimals, bad[i].max, &value));
    g_assert_cmpuint(value, ==, 77);
  }
  for (uint32_t value = 0; value <= 10000; value++) {
    g_autofree char *text = cagma_decimal_format(value, 3);
    uint32_t again = 77;
    g_assert_true(cagma_decimal_parse(text, 3, 10000, &again));
    g_assert_cmpuint(again, ==, value);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/size/units-are-libvirts", units_are_libvirts);
  g_test_add_func("/size/parts-of-a-kib-are-rounded-up", parts_of_a_kib_are_rounded_up);
  g_test_add_func("/size/the-largest-size-is-4-pib", the_largest_size_is_4_pib);
  g_test_add_func("/size/anything-else-is-an-error-that-quotes-it", anything_else_is_an_error_that_quotes_it);
  g_test_add_func("/size/one-string-holds-number-and-unit", one_string_holds_number_and_unit);
  g_test_add_func("/size/sizes-are-shown-for-people", sizes_are_shown_for_people);
  g_test_add_func("/size/decimals-are-exact-integers", decimals_are_exact_integers);
  return g_test_run();
}
