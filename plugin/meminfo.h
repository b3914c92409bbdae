/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* The host's own memory figures. */
typedef struct {
  uint64_t total_kib;
  uint64_t available_kib;
  uint64_t merged_kib; /* saved by page merging (KSM) */
} CagmaHostMemory;

/* Reads MemTotal and MemAvailable out of the text of /proc/meminfo. FALSE where
 * either is missing or isn't a number of kB. */
gboolean cagma_meminfo_parse(const char *text, CagmaHostMemory *memory) G_GNUC_WARN_UNUSED_RESULT;

/* /proc/meminfo and /sys/kernel/mm/ksm/pages_sharing. */
gboolean cagma_host_memory_read(CagmaHostMemory *memory, GError **error) G_GNUC_WARN_UNUSED_RESULT;
