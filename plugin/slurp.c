/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/slurp.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

char *
cagma_slurp_fd(int fd, gsize most_bytes, gsize *length, GError **error)
{
  g_autoptr(GString) text = g_string_new(NULL);
  char buffer[8192];
  ssize_t n;

  while (text->len <= most_bytes &&
         (n = read(fd, buffer, MIN(sizeof buffer, most_bytes + 1 - text->len))) != 0) {
    if (n > 0) {
      g_string_append_len(text, buffer, n);
    } else if (errno != EINTR) {
      g_set_error_literal(error, G_FILE_ERROR, (int)g_file_error_from_errno(errno), g_strerror(errno));
      return NULL;
    }
  }
  *length = text->len;
  return g_string_free(g_steal_pointer(&text), FALSE);
}

char *
cagma_slurp(const char *path, gsize most_bytes, gsize *length, GError **error)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  char *text;

  if (fd < 0) {
    g_set_error_literal(error, G_FILE_ERROR, (int)g_file_error_from_errno(errno), g_strerror(errno));
    return NULL;
  }
  text = cagma_slurp_fd(fd, most_bytes, length, error);
  close(fd);
  return text;
}
