/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "plugin/table.h"
#include "tests/plugin/kit.h"

static const char *const headings[] = { "GUEST", ">SIZE", "WHY", NULL };

static CagmaTable *
table_of(const char *name, const char *size, const char *why)
{
  CagmaTable *table = cagma_table_new(headings);

  cagma_table_row(table, "32");
  cagma_table_cell(table, name);
  cagma_table_cell(table, size);
  cagma_table_cell(table, why);
  return table;
}

static void
test_aligns(void)
{
  g_autoptr(CagmaTable) table = table_of("a", "1 MiB", "enough");
  g_autofree char *text = NULL;

  cagma_table_row(table, NULL);
  cagma_table_cell(table, "Überlänge");
  cagma_table_cell(table, "–");
  /* What a row doesn't say is empty. */
  text = cagma_table_format(table, FALSE, 0);
  g_assert_cmpstr(text, ==,
                  "GUEST       SIZE  WHY\n"
                  "a          1 MiB  enough\n"
                  "Überlänge      –  \n");
}

static void
test_wide_and_combining(void)
{
  g_autoptr(CagmaTable) table = table_of("漢字", "1", "x");
  g_autofree char *text = NULL;

  cagma_table_row(table, NULL);
  cagma_table_cell(table, "e\xcc\x81"
                          "fgh");
  cagma_table_cell(table, "22");
  cagma_table_cell(table, "y");
  text = cagma_table_format(table, FALSE, 0);
  g_assert_cmpstr(text, ==,
                  "GUEST  SIZE  WHY\n"
                  "漢字      1  x\n"
                  "e\xcc\x81"
                  "fgh     22  y\n");
}

static void
test_empty(void)
{
  g_autoptr(CagmaTable) table = cagma_table_new(headings);
  g_autofree char *text = cagma_table_format(table, FALSE, 0);

  g_assert_cmpstr(text, ==, "GUEST  SIZE  WHY\n");
}

static void
test_cuts(void)
{
  static const struct {
    const char *name;
    int width;
    const char *line;
  } cases[] = {
    { "abcdefghij", 40, "abcdefghij     1  y" },
    { "abcdefghij", 19, "abcdefghij     1  y" },
    { "abcdefghij", 18, "abcdefghij     1 …" },
    { "abcdefghij", 5, "abcd…" },
    { "abcdefghij", 1, "…" },
    { "äöüäöüäöü", 4, "äöü…" },
    { "漢字漢字", 5, "漢字…" },
    { "漢字漢字", 4, "漢…" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(CagmaTable) table = table_of(cases[i].name, "1", "y");
    g_autofree char *text = cagma_table_format(table, FALSE, cases[i].width);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    g_assert_cmpstr(lines[1], ==, cases[i].line);
  }
}

static void
test_colours(void)
{
  g_autoptr(CagmaTable) table = table_of("a", "1", "y");
  g_autofree char *colored = cagma_table_format(table, TRUE, 0);
  g_autofree char *plain = cagma_table_format(table, FALSE, 0);

  kit_assert_has(colored, "\033[32ma");
  kit_assert_has(colored, "y\033[0m\n");
  g_assert_null(strchr(plain, '\033'));
}

/* No control character of a guest's reaches the terminal, nor does junk. */
static void
test_hostile_cells(void)
{
  g_autoptr(CagmaTable) table =
      table_of("e\033[2Jvil\nline\rback\ttab\x7f", "1", "c1 \xc2\x9b\x33m \xff\xfe");
  g_autofree char *text = cagma_table_format(table, FALSE, 0);

  g_assert_true(g_utf8_validate(text, -1, NULL));
  for (const char *p = text; *p; p = g_utf8_next_char(p))
    g_assert_true(*p == '\n' || !g_unichar_iscntrl(g_utf8_get_char(p)));
  g_assert_cmpuint(strcspn(strchr(text, '\n') + 1, "\n"), ==, strlen(strchr(text, '\n') + 1) - 1);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/table/aligns", test_aligns);
  g_test_add_func("/table/wide-and-combining", test_wide_and_combining);
  g_test_add_func("/table/empty", test_empty);
  g_test_add_func("/table/cuts", test_cuts);
  g_test_add_func("/table/colours", test_colours);
  g_test_add_func("/table/hostile-cells", test_hostile_cells);
  return g_test_run();
}
