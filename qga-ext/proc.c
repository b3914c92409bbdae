/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/proc.h"

#include <string.h>

/* What is left of a text. */
typedef struct {
  const char *at;
  const char *end;
} Cursor;

static Cursor
cursor(const char *text, size_t length)
{
  return (Cursor){ .at = text, .end = text + length };
}

static size_t
left(const Cursor *c)
{
  return (size_t)(c->end - c->at);
}

/* Takes the next line off, without its newline. FALSE at the end. */
static bool
next_line(Cursor *text, Cursor *line)
{
  const char *newline;

  if (left(text) == 0)
    return false;
  newline = memchr(text->at, '\n', left(text));
  *line = (Cursor){ .at = text->at, .end = newline != NULL ? newline : text->end };
  text->at = newline != NULL ? newline + 1 : text->end;
  return true;
}

/* Takes the prefix off where it is there. */
static bool
skip(Cursor *c, const char *prefix)
{
  const size_t length = strlen(prefix);

  if (left(c) < length || memcmp(c->at, prefix, length) != 0)
    return false;
  c->at += length;
  return true;
}

static void
skip_blanks(Cursor *c)
{
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
    c->at++;
}

static bool
is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static bool
take_uint(Cursor *c, uint64_t *value)
{
  const char *start = c->at;
  uint64_t n = 0;

  for (; c->at < c->end && is_digit(*c->at); c->at++) {
    const uint64_t digit = (uint64_t)(*c->at - '0');

    if (n > (UINT64_MAX - digit) / 10)
      return false;
    n = n * 10 + digit;
  }
  *value = n;
  return c->at > start;
}

/* "12.34", always with two decimals, as the kernel writes loads and percentages. */
static bool
take_hundredths(Cursor *c, uint64_t *value)
{
  uint64_t whole;

  if (!take_uint(c, &whole) || whole > UINT64_MAX / 100 - 1 || !skip(c, ".") || left(c) < 2 ||
      !is_digit(c->at[0]) || !is_digit(c->at[1]))
    return false;
  *value = whole * 100 + (uint64_t)(c->at[0] - '0') * 10 + (uint64_t)(c->at[1] - '0');
  c->at += 2;
  return true;
}

/* A line of a table: what it begins with, and where the figure goes. */
typedef struct {
  const char *label;
  CagmaFigure *figure;
} Row;

/* Each wanted line is its label, blanks, a number, and the suffix. */
static bool
read_table(const char *text, size_t length, const Row *rows, size_t n_rows, const char *suffix)
{
  Cursor rest = cursor(text, length), line;

  for (size_t i = 0; i < n_rows; i++)
    rows[i].figure->known = false;
  while (next_line(&rest, &line)) {
    for (size_t i = 0; i < n_rows; i++) {
      CagmaFigure *figure = rows[i].figure;

      if (!skip(&line, rows[i].label))
        continue;
      skip_blanks(&line);
      if (figure->known || !take_uint(&line, &figure->value) || !skip(&line, suffix) || left(&line) > 0)
        return false;
      figure->known = true;
      break;
    }
  }
  return true;
}

/* Figures in KiB become bytes. */
static bool
scale_to_bytes(const Row *rows, size_t n_rows)
{
  for (size_t i = 0; i < n_rows; i++) {
    if (!rows[i].figure->known)
      continue;
    if (rows[i].figure->value > UINT64_MAX / 1024)
      return false;
    rows[i].figure->value *= 1024;
  }
  return true;
}

bool
cagma_proc_meminfo(const char *text, size_t length, CagmaMeminfo *meminfo)
{
  const Row rows[] = {
    { "MemTotal:", &meminfo->total },           { "MemFree:", &meminfo->free },
    { "MemAvailable:", &meminfo->available },   { "Cached:", &meminfo->cached },
    { "SwapTotal:", &meminfo->swap_total },     { "SwapFree:", &meminfo->swap_free },
    { "SwapCached:", &meminfo->swap_cached },   { "Committed_AS:", &meminfo->committed },
    { "Active(anon):", &meminfo->active_anon }, { "Inactive(anon):", &meminfo->inactive_anon },
  };
  const size_t n_rows = sizeof(rows) / sizeof(*rows);

  return read_table(text, length, rows, n_rows, " kB") && meminfo->total.known && meminfo->free.known &&
         scale_to_bytes(rows, n_rows);
}

bool
cagma_proc_vmstat(const char *text, size_t length, CagmaVmstat *vmstat)
{
  CagmaFigure refaults;
  const Row rows[] = {
    { "pswpin ", &vmstat->pages_swapped_in },
    { "pswpout ", &vmstat->pages_swapped_out },
    { "pgmajfault ", &vmstat->major_faults },
    { "workingset_refault_anon ", &vmstat->refaults_anon },
    { "workingset_refault_file ", &vmstat->refaults_file },
    { "workingset_refault ", &refaults },
    { "oom_kill ", &vmstat->oom_kills },
  };
  const size_t n_rows = sizeof(rows) / sizeof(*rows);
  bool any = false;

  if (!read_table(text, length, rows, n_rows, ""))
    return false;
  for (size_t i = 0; i < n_rows; i++)
    any |= rows[i].figure->known;
  if (refaults.known && !vmstat->refaults_file.known)
    vmstat->refaults_file = refaults;
  return any;
}

static bool
take_stall(Cursor *line, CagmaStall *stall)
{
  return skip(line, " avg10=") && take_hundredths(line, &stall->avg10) && skip(line, " avg60=") &&
         take_hundredths(line, &stall->avg60) && skip(line, " avg300=") &&
         take_hundredths(line, &stall->avg300) && skip(line, " total=") &&
         take_uint(line, &stall->total_us) && left(line) == 0;
}

bool
cagma_proc_pressure(const char *text, size_t length, CagmaPressure *pressure)
{
  Cursor rest = cursor(text, length), line;
  bool has_some = false;

  pressure->has_full = false;
  while (next_line(&rest, &line)) {
    if (skip(&line, "some")) {
      if (has_some || !take_stall(&line, &pressure->some))
        return false;
      has_some = true;
    } else if (skip(&line, "full")) {
      if (pressure->has_full || !take_stall(&line, &pressure->full))
        return false;
      pressure->has_full = true;
    }
  }
  return has_some;
}

bool
cagma_proc_loadavg(const char *text, size_t length, CagmaLoad *load)
{
  Cursor c = cursor(text, length);

  return take_hundredths(&c, &load->load1m) && skip(&c, " ") && take_hundredths(&c, &load->load5m) &&
         skip(&c, " ") && take_hundredths(&c, &load->load15m) &&
         (left(&c) == 0 || *c.at == ' ' || *c.at == '\n');
}

/* The fields of /proc/PID/stat, by their numbers in proc(5). The name, field 2, is in
 * parentheses and may hold anything, parentheses and newlines included: the last one
 * ends it. */
enum { FIELD_STATE = 3, FIELD_MAJFLT = 12, FIELD_STARTTIME = 22, FIELD_VSIZE = 23, FIELD_RSS = 24 };

bool
cagma_proc_stat(const char *text, size_t length, CagmaProcessStat *stat)
{
  const char *name_end = memrchr(text, ')', length);
  Cursor c;

  if (name_end == NULL)
    return false;
  c = (Cursor){ .at = name_end + 1, .end = text + length };
  for (int field = FIELD_STATE; field <= FIELD_RSS; field++) {
    uint64_t ignored = 0;
    uint64_t *value = field == FIELD_MAJFLT      ? &stat->major_faults
                      : field == FIELD_STARTTIME ? &stat->start_ticks
                      : field == FIELD_VSIZE     ? &stat->vsize
                      : field == FIELD_RSS       ? &stat->rss_pages
                                                 : &ignored;

    if (!skip(&c, " "))
      return false;
    if (field == FIELD_STATE) {
      if (left(&c) == 0)
        return false;
      c.at++;
      continue;
    }
    if (value == &ignored)
      skip(&c, "-"); /* tpgid, priority and nice may be negative */
    if (!take_uint(&c, value))
      return false;
  }
  return left(&c) == 0 || *c.at == ' ' || *c.at == '\n';
}

bool
cagma_proc_status(const char *text, size_t length, CagmaFigure *swap)
{
  const Row rows[] = { { "VmSwap:", swap } };

  return length > 0 && read_table(text, length, rows, 1, " kB") && scale_to_bytes(rows, 1);
}

bool
cagma_proc_cpu_list(const char *text, size_t length, uint64_t *n)
{
  Cursor c = cursor(text, length);

  *n = 0;
  do {
    uint64_t first, last;

    if (!take_uint(&c, &first))
      return false;
    last = first;
    if (skip(&c, "-") && !take_uint(&c, &last))
      return false;
    if (last < first || last - first >= UINT32_MAX || *n > UINT32_MAX)
      return false;
    *n += last - first + 1;
  } while (skip(&c, ","));
  skip(&c, "\n");
  return left(&c) == 0;
}

bool
cagma_proc_pid(const char *name, uint32_t *pid)
{
  Cursor c = cursor(name, strlen(name));
  uint64_t value;

  if (!take_uint(&c, &value) || left(&c) > 0 || value == 0 || value > UINT32_MAX || *name == '0')
    return false;
  *pid = (uint32_t)value;
  return true;
}
