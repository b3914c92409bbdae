/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/table.h"

#define GAP "  "

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
  char *clean = g_utf8_make_valid(text, -1);

  /* Names and reasons come from outside: no control character reaches the terminal. */
  for (char *c = clean; *c; c++)
    if (g_ascii_iscntrl(*c))
      *c = '?';
  g_ptr_array_add(row->cells, clean);
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
  glong width = g_utf8_strlen(heading(table, column), -1);

  for (guint i = 0; i < table->rows->len; i++)
    width = MAX(width, g_utf8_strlen(cell(table->rows->pdata[i], column), -1));
  return (int)width;
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
  int missing = width - (int)g_utf8_strlen(text, -1);

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
add_line(GString *out, const CagmaTable *table, const int *widths, const Row *row, const char *color, int limit)
{
  g_autoptr(GString) line = g_string_new(NULL);

  for (guint i = 0; i < table->n_columns; i++)
    add_cell(line, row ? cell(row, i) : heading(table, i), widths[i], is_right(table, i), i + 1 == table->n_columns);
  if (limit > 0 && g_utf8_strlen(line->str, -1) > limit) {
    g_string_truncate(line, (gsize)(g_utf8_offset_to_pointer(line->str, limit - 1) - line->str));
    g_string_append(line, "…");
  }
  if (color)
    g_string_append_printf(out, "\033[%sm%s\033[0m\n", color, line->str);
  else
    g_string_append_printf(out, "%s\n", line->str);
}

char *
cagma_table_format(CagmaTable *table, gboolean color, int width)
{
  g_autofree int *widths = g_new0(int, table->n_columns);
  GString *out = g_string_new(NULL);

  for (guint i = 0; i < table->n_columns; i++)
    widths[i] = width_of(table, i);
  add_line(out, table, widths, NULL, color ? "1" : NULL, width);
  for (guint i = 0; i < table->rows->len; i++) {
    const Row *row = table->rows->pdata[i];

    add_line(out, table, widths, row, color ? row->color : NULL, width);
  }
  return g_string_free(out, FALSE);
}
