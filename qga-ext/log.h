/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Lines for whoever runs the agent, on stderr or in a file. Few: a line may block, on a
 * frozen filesystem or a slow terminal, and the agent with it. To a pipe, socket or
 * terminal that isn't ready a line is lost instead; a regular file can't tell, which is
 * why a log file is best kept where it is never frozen (/run). */

typedef struct {
  int fd;
  bool verbose;
  bool stamped; /* lines begin with the time; stderr's reader has its own */
} CagmaLog;

/* path NULL: stderr. FALSE with errno where the file can't be opened. */
bool cagma_log_open(CagmaLog *log, const char *path, bool verbose) __attribute__((warn_unused_result));

/* What the operator should know. */
void cagma_log(const CagmaLog *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* With -v only. */
void cagma_log_verbose(const CagmaLog *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
