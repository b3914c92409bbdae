/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/sample.h"

/* What a guest's agent says on its channel, docs/agent-protocol.md: lines of JSON,
 * written by a guest, so that nothing in them is believed. Pure functions on
 * buffers. */

/* A longer line isn't looked at; the agent's own are at most 4 KiB. */
#define CAGMA_AGENT_LINE_MAX (64 * 1024)

/* What is kept of an error's description; a character has up to 4 bytes. */
#define CAGMA_AGENT_ERROR_CHARS 100

typedef enum {
  CAGMA_AGENT_STATS,     /* the reply to guest-get-memory-stats */
  CAGMA_AGENT_PRESSURE,  /* GUEST_MEMORY_PRESSURE, with the same figures */
  CAGMA_AGENT_LOAD,      /* the reply to guest-get-load */
  CAGMA_AGENT_READ_BACK, /* the reply to guest-read-back-memory */
  CAGMA_AGENT_SYNC,      /* the reply to guest-sync-delimited: a number */
  CAGMA_AGENT_OTHER,     /* another reply */
  CAGMA_AGENT_ERROR,     /* an error reply */
} CagmaAgentKind;

typedef struct {
  CagmaAgentKind kind;
  int64_t sync;            /* SYNC */
  CagmaSample sample;      /* STATS, PRESSURE, LOAD; without the actual size, which only the host knows */
  uint64_t read_back_kib;  /* READ_BACK: asked for so far … */
  gboolean read_back_done; /* … and that is all there was */
  char error[CAGMA_AGENT_ERROR_CHARS * 4 + 4]; /* ERROR: its description, printable */
} CagmaAgentMessage;

#define CAGMA_AGENT_MESSAGE_ERROR (cagma_agent_message_error_quark())
GQuark cagma_agent_message_error_quark(void);

typedef enum {
  CAGMA_AGENT_MESSAGE_ERROR_SYNTAX,
  CAGMA_AGENT_MESSAGE_ERROR_CONTENT,
} CagmaAgentMessageError;

/* Reads one line, without its newline; leading 0xFF bytes are passed over. A figure
 * that is no number of 0 to 2^63−1 (a load: no number of 0 or more) is an error, one that
 * is absent is just absent. */
gboolean cagma_agent_message_parse(const char *line, gsize length, CagmaAgentMessage *message,
                                   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What a Xen guest's agent writes is no longer; the agent's own is at most 1500 bytes. */
#define CAGMA_AGENT_VALUE_MAX 2048

/* The value of a Xen guest's data/cagma in xenstore. */
typedef struct {
  uint64_t seq;          /* one more with every write; not 0 */
  uint64_t pressure_seq; /* the latest written for want of memory; 0: none was */
  CagmaSample stats;     /* its stamp is seq */
  gboolean has_load;
  CagmaSample load;
} CagmaAgentValue;

/* Reads one such value, with the same strictness. What has no seq, no pressure-seq up
 * to seq, or no stats is an error. */
gboolean cagma_agent_value_parse(const char *text, gsize length, CagmaAgentValue *value,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads the reply to guest-info: whether the agent knows the command and may use it. */
gboolean cagma_agent_info_parse(const char *text, const char *command, gboolean *able,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Cuts a stream of bytes into lines. Never holds more than CAGMA_AGENT_LINE_MAX; what
 * is longer is dropped up to its newline. */
typedef struct {
  GByteArray *partial;
  gboolean dropping;
} CagmaAgentLines;

typedef void (*CagmaAgentLine)(const char *line, gsize length, gpointer user_data);

void cagma_agent_lines_init(CagmaAgentLines *lines);
void cagma_agent_lines_clear(CagmaAgentLines *lines);

/* Calls handle for each line that data completes, without its newline; empty ones
 * not. Returns how many lines were too long. */
unsigned cagma_agent_lines_feed(CagmaAgentLines *lines, const char *data, gsize length, CagmaAgentLine handle,
                                gpointer user_data);
