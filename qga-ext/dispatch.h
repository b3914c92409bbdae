/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/protocol.h"
#include "qga-ext/reader.h"
#include "qga-ext/request.h"
#include "qga-ext/scanner.h"
#include "qga-ext/system.h"

/* From a request to its reply: one line, always. */

typedef struct {
  const char *version; /* for guest-info */
  const CagmaSystem *system;
  CagmaScanner *scanner;

  /* The trigger, for guest-get-pressure to show and guest-set-pressure-trigger to set. */
  CagmaTriggerSpec trigger;
  CagmaWatch watch;

  /* Watches `trigger` from now on, and sets `watch`. NULL where no events can be sent:
   * the command is then refused, and shown as disabled by guest-info. */
  void (*set_trigger)(void *data);
  void *set_trigger_data;

  /* What brings swapped-out memory back. NULL where nothing can: likewise. */
  const CagmaReadBackCalls *read_back;
  CagmaReader *reader;    /* NULL until it is first asked to */
  unsigned int n_readers; /* there were, each stuck but the last */
} CagmaDispatch;

/* What answers a request, where there is a stock agent beside us. */
typedef enum {
  CAGMA_OURS,       /* our own command */
  CAGMA_BASE,       /* one that every agent has: guest-sync, guest-ping, guest-info … */
  CAGMA_NOT_OURS,   /* any other request */
  CAGMA_NO_REQUEST, /* nothing that could be understood */
} CagmaOwner;

/* Of a message; *request is filled in. */
CagmaOwner cagma_dispatch_owner(CagmaRequest *request, const char *message, size_t length);

/* Replies to a message. The reply has room for CAGMA_REPLY_MAX bytes. */
void cagma_dispatch(CagmaDispatch *dispatch, const char *message, size_t length, CagmaText *reply);

/* Replies with an error of class GenericError, the request's id echoed where there is one
 * (NULL: no request). The description must need no escapes. */
void cagma_dispatch_error(const CagmaRequest *request, const char *description, CagmaText *reply);

/* The figures of guest-get-memory-stats; FALSE where the kernel doesn't tell them. Looks
 * through no processes. */
bool cagma_read_memory_stats(const CagmaSystem *system, CagmaScanner *scanner, CagmaMemoryStats *stats)
    __attribute__((warn_unused_result));

/* FALSE: no process can have anything swapped out. */
bool cagma_swap_in_use(const CagmaMeminfo *meminfo);

/* The names of our own commands, from 0 up to the first NULL. */
const char *cagma_own_command(unsigned int index);

/* An element of guest-info's supported_commands. */
void cagma_write_command_info(CagmaText *text, const char *name, bool enabled);
