/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/smaps.h"

#include <string.h>

typedef struct {
  const char *at;
  const char *end;
} Cursor;

void
cagma_smaps_init(CagmaSmaps *smaps)
{
  smaps->length = 0;
  smaps->range = (CagmaRange){ .start = 0 };
}

static int
digit_of(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* A number and the character behind it. */
static bool
take(Cursor *line, unsigned int base, uint64_t *value, char behind)
{
  const char *start = line->at;
  uint64_t n = 0;

  for (; line->at < line->end && (unsigned int)digit_of(*line->at) < base; line->at++) {
    if (n > (UINT64_MAX - base) / base)
      return false;
    n = n * base + (unsigned int)digit_of(*line->at);
  }
  *value = n;
  if (line->at == start || line->at == line->end || *line->at != behind)
    return false;
  line->at++;
  return true;
}

/* "55e0c0a00000-55e0c0a21000 rw-p 00000000 00:00 0 …": range is left empty where it isn't
 * the process's own. FALSE where the line is no mapping's. */
static bool
read_mapping(Cursor line, CagmaRange *range)
{
  CagmaRange found;
  uint64_t offset, major, minor, inode;
  bool own;

  *range = (CagmaRange){ .start = 0 };
  if (!take(&line, 16, &found.start, '-') || !take(&line, 16, &found.end, ' ') || line.end - line.at < 5 ||
      line.at[4] != ' ')
    return false;
  own = line.at[3] == 'p';
  line.at += 5;
  if (!take(&line, 16, &offset, ' ') || !take(&line, 16, &major, ':') || !take(&line, 16, &minor, ' ') ||
      !take(&line, 10, &inode, ' '))
    return false;
  if (own && inode == 0 && found.start < found.end)
    *range = found;
  return true;
}

/* "Swap:                 12 kB" */
static bool
has_swap(Cursor line)
{
  static const char label[] = "Swap:";
  uint64_t kib;

  if ((size_t)(line.end - line.at) < sizeof(label) - 1 || memcmp(line.at, label, sizeof(label) - 1) != 0)
    return false;
  line.at += sizeof(label) - 1;
  while (line.at < line.end && *line.at == ' ')
    line.at++;
  return take(&line, 10, &kib, ' ') && kib > 0;
}

/* The head of a line that has ended, its newline taken for a blank: a mapping without a
 * name ends with its inode. */
static void
end_line(CagmaSmaps *smaps, CagmaRange *found)
{
  const Cursor line = { .at = smaps->head, .end = smaps->head + smaps->length };

  if (smaps->length > 0 && digit_of(*smaps->head) < 16) {
    if (!read_mapping(line, &smaps->range))
      smaps->range = (CagmaRange){ .start = 0 };
  } else if (has_swap(line)) {
    *found = smaps->range;
    smaps->range = (CagmaRange){ .start = 0 };
  }
  smaps->length = 0;
}

size_t
cagma_smaps_feed(CagmaSmaps *smaps, const char *bytes, size_t length, CagmaRange *range)
{
  *range = (CagmaRange){ .start = 0 };
  for (size_t i = 0; i < length; i++) {
    const bool newline = bytes[i] == '\n';

    if (smaps->length < sizeof(smaps->head))
      smaps->head[smaps->length++] = newline ? ' ' : bytes[i];
    if (!newline)
      continue;
    end_line(smaps, range);
    if (range->start < range->end)
      return i + 1;
  }
  return length;
}
