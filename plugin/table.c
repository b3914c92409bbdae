/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/table.h"

#include "xml/error.h"

#define GAP "  "
#define CELL_MAX_CHARS 1000

typedef struct {
  const char *color;
  GPtrArray *cells;
} Row;

struct CagmaTable {
  const char *const *headings;
  guint n_columns;
  GPtrArray *rows;
};

static void
row_free(gpointer data)
{
  Row *row = data;

  g_ptr_array_unref(row->cells);
  g_free(row);
}

CagmaTable *
cagma_table_new(const char *const *headings)
{
  CagmaTable *table = g_new0(CagmaTable, 1);

  table->headings = headings;
  table->n_columns = g_strv_length((char **)headings);
  table->rows = g_ptr_array_new_with_free_func(row_free);
  return table;
}

void
cagma_table_free(CagmaTable *table)
{
  if (!table)
    return;
  g_ptr_array_unref(table->rows);
  g_free(table);
}

void
cagma_table_row(CagmaTable *table, const char *color)
{
  Row *row = g_new0(Row, 1);

  row->color = color;
  row->cells = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(table->rows, row);
}

void
cagma_table_cell(CagmaTable *table, const char *text)
{
  Row *row = table->rows->pdata[table->rows->len - 1];

  /* Names and reasons come from outside: no control character reaches the terminal. */
  g_ptr_array_add(row->cells, cagma_printable(text, CELL_MAX_CHARS));
}

/* The columns a terminal takes for the character. */
static int
columns_of(gunichar c)
{
  if (g_unichar_iszerowidth(c))
    return 0;
  return g_unichar_iswide(c) ? 2 : 1;
}

static int
columns(const char *text)
{
  int n = 0;

  for (; *text; text = g_utf8_next_char(text))
    n += columns_of(g_utf8_get_char(text));
  return n;
}

/* As much of the text as fits, the last column for the sign that something is missing. */
static void
cut(GString *line, int limit)
{
  const char *end = line->str;

  if (columns(line->str) <= limit)
    return;
  for (int left = limit - 1; *end; end = g_utf8_next_char(end)) {
    left -= columns_of(g_utf8_get_char(end));
    if (left < 0)
      break;
  }
  g_string_truncate(line, (gsize)(end - line->str));
  g_string_append(line, "…");
}

static gboolean
is_right(const CagmaTable *table, guint column)
{
  return table->headings[column][0] == '>';
}

static const char *
heading(const CagmaTable *table, guint column)
{
  return table->headings[column] + (is_right(table, column) ? 1 : 0);
}

static const char *
cell(const Row *row, guint column)
{
  return column < row->cells->len ? row->cells->pdata[column] : "";
}

static int
width_of(const CagmaTable *table, guint column)
{
  int width = columns(heading(table, column));

  for (guint i = 0; i < table->rows->len; i++)
    width = MAX(width, columns(cell(table->rows->pdata[i], column)));
  return width;
}

static void
pad(GString *line, int n)
{
  for (int i = 0; i < n; i++)
    g_string_append_c(line, ' ');
}

static void
add_cell(GString *line, const char *text, int width, gboolean right, gboolean last)
{
  int missing = width - columns(text);

  if (right)
    pad(line, missing);
  g_string_append(line, text);
  if (!last) {
    if (!right)
      pad(line, missing);
    g_string_append(line, GAP);
  }
}

static void
add_line(GString *out, const CagmaTable *table, const int *widths, const Row *row, const char *color,
         int limit)
{
  g_autoptr(GString) line = g_string_new(NULL);

  for (guint i = 0; i < table->n_columns; i++)
    add_cell(line, row ? cell(row, i) : heading(table, i), widths[i], is_right(table, i),
             i + 1 == table->n_columns);
  if (limit > 0)
    cut(line, limit);
  if (color)
    g_string_append_printf(out, "\033[%sm%s\033[0m\n", color, line->str);
  else
    g_string_append_printf(out, "%s\n", line->str);
}

char *
cagma_table_format(CagmaTable *table, gboolean color, int width)
{
  g_autoptr(GArray) column_widths = g_array_sized_new(FALSE, TRUE, sizeof(int), table->n_columns);
  const int *widths;
  GString *out = g_string_new(NULL);

  for (guint i = 0; i < table->n_columns; i++) {
    int column_width = width_of(table, i);

    g_array_append_val(column_widths, column_width);
  }
  widths = (const int *)(void *)column_widths->data;
  add_line(out, table, widths, NULL, color ? "1" : NULL, width);
  for (guint i = 0; i < table->rows->len; i++) {
    const Row *row = table->rows->pdata[i];

    add_line(out, table, widths, row, color ? row->color : NULL, width);
  }
  return g_string_free(out, FALSE);
}
