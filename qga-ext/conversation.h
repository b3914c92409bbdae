/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/dispatch.h"
#include "qga-ext/frame.h"
#include "qga-ext/mux.h"
#include "qga-ext/port.h"
#include "qga-ext/way.h"

/* The way over a port: requests in, replies and events out.
 *
 * Nothing is dropped towards a host that doesn't read: its requests are left unread while
 * there is no room for a reply, and an event is only written once all before it is on its
 * way, with the figures of that moment. What was for one connection of the host is never
 * said to the next. */

/* Read from the host at once: what a flood may do before an event gets its turn. */
#define CAGMA_INPUT_BYTES ((size_t)4 * 1024)

/* Some replies, or what is relayed at a time. */
#define CAGMA_OUTPUT_BYTES ((size_t)16 * 1024)

typedef struct {
  CagmaGuest *guest;
  const CagmaLog *log;
  CagmaDispatch dispatch;
  CagmaPort port;
  CagmaMux *mux;   /* NULL: there is no stock agent */
  uint64_t losses; /* of the port, as far as they were noticed */

  CagmaFrame frame;
  char input[CAGMA_INPUT_BYTES];
  size_t input_at;
  size_t input_length;
  bool waiting; /* the frame's message, until the stock agent is idle */

  char output_bytes[CAGMA_OUTPUT_BYTES];
  CagmaQueue output;

  bool event_due;
  uint64_t next_event_us;
} CagmaConversation;

extern const CagmaWay cagma_conversation;
