/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/output.h"

#include <errno.h>
#include <gio/gio.h>
#include <sys/stat.h>

FILE *
cagma_output_open(const char *path, const char *input_path, GError **error)
{
  struct stat output, input;
  FILE *file;

  if (stat(path, &output) == 0 && stat(input_path, &input) == 0 && output.st_dev == input.st_dev &&
      output.st_ino == input.st_ino) {
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "is what is read; it isn't written over");
    return NULL;
  }
  file = fopen(path, "we");
  if (!file)
    g_set_error_literal(error, G_IO_ERROR, (int)g_io_error_from_errno(errno), g_strerror(errno));
  return file;
}
