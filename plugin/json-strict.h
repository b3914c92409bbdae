/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Whether text is JSON as RFC 8259 has it, before json-glib reads it, which also takes
 * comments, single quotes and more, keeps the last of several equal keys, and recurses as
 * deep as it is told to. Beyond the RFC, refused are equal keys, keys written with
 * escapes, NUL and halves of surrogate pairs in strings, numbers from 2^53 on, and what is
 * nested deeper than this. */
#define CAGMA_JSON_DEPTH_MAX 16

/* The error is CAGMA_SCENARIO_ERROR_SYNTAX and says in which line and column it is. */
gboolean cagma_json_check(const char *text, gsize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
