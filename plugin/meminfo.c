/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/meminfo.h"

#include <string.h>
#include <unistd.h>

#include "policy/units.h"

/* The number between the label and " kB" of the line that begins with label. */
static gboolean
find_kib(const char *text, const char *label, uint64_t *kib)
{
  const char *line = text;
  char *end;

  while (line && !g_str_has_prefix(line, label)) {
    line = strchr(line, '\n');
    line = line ? line + 1 : NULL;
  }
  if (!line)
    return FALSE;
  line += strlen(label);
  while (*line == ' ')
    line++;
  if (!g_ascii_isdigit(*line))
    return FALSE;
  *kib = g_ascii_strtoull(line, &end, 10);
  return g_str_has_prefix(end, " kB") && *kib <= CAGMA_MAX_KIB;
}

gboolean
cagma_meminfo_parse(const char *text, CagmaHostMemory *memory)
{
  return find_kib(text, "MemTotal:", &memory->total_kib) &&
         find_kib(text, "MemAvailable:", &memory->available_kib);
}

static uint64_t
read_merged(void)
{
  g_autofree char *text = NULL;
  guint64 pages;

  /* A kernel without KSM merges nothing. */
  if (!g_file_get_contents("/sys/kernel/mm/ksm/pages_sharing", &text, NULL, NULL) ||
      !g_ascii_string_to_unsigned(g_strchomp(text), 10, 0, CAGMA_MAX_KIB / 64, &pages, NULL))
    return 0;
  return pages * (uint64_t)(sysconf(_SC_PAGESIZE) / 1024);
}

gboolean
cagma_host_memory_read(CagmaHostMemory *memory, GError **error)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents("/proc/meminfo", &text, NULL, error))
    return FALSE;
  if (!cagma_meminfo_parse(text, memory)) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                "/proc/meminfo has no usable MemTotal and MemAvailable");
    return FALSE;
  }
  memory->merged_kib = read_merged();
  return TRUE;
}
