/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

/* The error is there and its message contains the fragment; shows both if not. */
static inline void
assert_says(const GError *error, const char *fragment)
{
  g_assert_nonnull(error);
  if (strstr(error->message, fragment) == NULL)
    g_error("expected '%s' in '%s'", fragment, error->message);
}

/* A file below tests/xml, or with "../../" anywhere in the tree. */
static inline char *
read_source(const char *path)
{
  g_autofree char *full = g_test_build_filename(G_TEST_DIST, path, NULL);
  g_autoptr(GError) error = NULL;
  char *text = NULL;

  g_file_get_contents(full, &text, NULL, &error);
  g_assert_no_error(error);
  return text;
}
