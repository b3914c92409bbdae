/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdio.h>

/* Opens a file to be written anew. Not the one that is read, whatever its name there. The caller
 * closes it. */
FILE *cagma_output_open(const char *path, const char *input_path, GError **error);
