/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "qga-ext/clock.h"

/* More is cut off. */
#define LINE_BYTES 512

bool
cagma_log_open(CagmaLog *log, const char *path, bool verbose)
{
  log->verbose = verbose;
  log->stamped = path != NULL;
  log->fd = STDERR_FILENO;
  if (path != NULL)
    log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  return log->fd >= 0;
}

static size_t
clamp(int written, size_t size)
{
  if (written < 0)
    return 0;
  return (size_t)written < size ? (size_t)written : size - 1;
}

__attribute__((format(printf, 2, 0))) static void
write_line(const CagmaLog *log, const char *format, va_list arguments)
{
  struct pollfd ready = { .fd = log->fd, .events = POLLOUT };
  char line[LINE_BYTES];
  size_t length = 0;

  if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
    return;
  if (log->stamped) {
    const uint64_t now_us = cagma_clock_real_us();
    length =
        clamp(snprintf(line, sizeof(line), "%llu.%06llu: ", (unsigned long long)(now_us / CAGMA_US_PER_S),
                       (unsigned long long)(now_us % CAGMA_US_PER_S)),
              sizeof(line));
  }
  length += clamp(vsnprintf(line + length, sizeof(line) - length, format, arguments), sizeof(line) - length);
  line[length++] = '\n';
  if (write(log->fd, line, length) < 0)
    return; /* there is nowhere left to say so */
}

void
cagma_log(const CagmaLog *log, const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  write_line(log, format, arguments);
  va_end(arguments);
}

void
cagma_log_verbose(const CagmaLog *log, const char *format, ...)
{
  va_list arguments;

  if (!log->verbose)
    return;
  va_start(arguments, format);
  write_line(log, format, arguments);
  va_end(arguments);
}
