/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Reads to the end, but no more than most_bytes and one, so that what is larger can be told
 * and costs no more memory than that, be it /dev/zero. A NUL stands behind the text. Free
 * with g_free. Errors are of G_FILE_ERROR, and name no file. */
char *cagma_slurp_fd(int fd, gsize most_bytes, gsize *length, GError **error);

/* The same of a file. */
char *cagma_slurp(const char *path, gsize most_bytes, gsize *length, GError **error);
