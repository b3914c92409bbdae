/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A table for people: columns as wide as their widest cell. */

typedef struct CagmaTable CagmaTable;

/* headings: NULL-terminated, static. A heading that begins with '>' heads a column
 * of figures, aligned to the right. */
CagmaTable *cagma_table_new(const char *const *headings);
void cagma_table_free(CagmaTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaTable, cagma_table_free)

/* Begins a row, drawn in this colour (an SGR parameter such as "32") or NULL. */
void cagma_table_row(CagmaTable *table, const char *color);
void cagma_table_cell(CagmaTable *table, const char *text);

/* The lines, cut to width columns (0: not cut). Free with g_free. */
char *cagma_table_format(CagmaTable *table, gboolean color, int width);
