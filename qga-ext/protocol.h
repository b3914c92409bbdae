/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/proc.h"
#include "qga-ext/processes.h"
#include "qga-ext/text.h"

/* What the agent says, as JSON: docs/agent-protocol.md is the reference. Figures in, text
 * out. Names are those of QAPI: generic, lower case, with dashes. Sizes are in bytes,
 * times in µs, counters run from boot; what the kernel doesn't tell is left out. */

#define CAGMA_CMD_MEMORY_STATS "guest-get-memory-stats"
#define CAGMA_CMD_LOAD "guest-get-load"
#define CAGMA_CMD_PRESSURE "guest-get-pressure"
#define CAGMA_CMD_TRIGGER "guest-set-pressure-trigger"
#define CAGMA_CMD_READ_BACK "guest-read-back-memory"
#define CAGMA_EVENT_PRESSURE "GUEST_MEMORY_PRESSURE"

/* No reply is longer, its newline included, an event neither. */
#define CAGMA_REPLY_MAX ((size_t)4096)

typedef struct {
  CagmaMeminfo meminfo;
  bool has_vmstat;
  CagmaVmstat vmstat;
  uint64_t page_bytes;
  uint64_t vcpus;
  CagmaProcessRound processes;
  bool processes_whole;
  uint64_t processes_age_us;
} CagmaMemoryStats;

/* When the host is told: the level's stall time reaches stall_us within window_us. */
typedef struct {
  bool full;         /* all tasks stalled, not only some */
  uint64_t stall_us; /* 0: never */
  uint64_t window_us;
} CagmaTriggerSpec;

/* The kernel's limits of the window (PSI's WINDOW_MIN_US and WINDOW_MAX_US). */
#define CAGMA_WINDOW_MIN_US ((uint64_t)500000)
#define CAGMA_WINDOW_MAX_US ((uint64_t)10000000)

/* How far bringing swapped-out memory back is. */
typedef struct {
  uint64_t bytes;     /* asked for since it began with the process that has most */
  uint64_t processes; /* whose memory that was */
  bool done;          /* all of them were gone through; asking once more begins anew */
} CagmaReadBackProgress;

/* How a trigger is watched. */
typedef enum {
  CAGMA_WATCH_NONE, /* not at all: it is disarmed */
  CAGMA_WATCH_PSI,
  CAGMA_WATCH_SWAP, /* the kernel has no PSI: pages swapped are counted */
} CagmaWatch;

/* One object each. */
void cagma_write_memory_stats(CagmaText *text, const CagmaMemoryStats *stats);
void cagma_write_load(CagmaText *text, const CagmaLoad *load);
void cagma_write_pressure(CagmaText *text, const CagmaPressure *pressure);
void cagma_write_trigger(CagmaText *text, const CagmaTriggerSpec *spec, CagmaWatch watch);
void cagma_write_read_back(CagmaText *text, const CagmaReadBackProgress *progress);

/* The whole line of an event. */
void cagma_write_event(CagmaText *text, uint64_t real_us, const CagmaMemoryStats *stats);

/* A member's beginning: `, "name": `, the comma only behind another member. Values are
 * to follow. */
void cagma_write_key(CagmaText *text, const char *name);
