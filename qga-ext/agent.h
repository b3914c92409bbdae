/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <signal.h>

#include "qga-ext/dispatch.h"
#include "qga-ext/frame.h"
#include "qga-ext/mux.h"
#include "qga-ext/options.h"
#include "qga-ext/port.h"
#include "qga-ext/trigger.h"

/* The agent: requests in, replies and events out, in one thread that waits in epoll and
 * nowhere else.
 *
 * Nothing is dropped towards a host that doesn't read: its requests are left unread while
 * there is no room for a reply, and an event is only written once all before it is on its
 * way, with the figures of that moment. What was for one connection of the host is never
 * said to the next. */

/* At most 20 events in a second, whatever fires. The kernel keeps to one in a trigger's
 * window, which is half a second or more. */
#define CAGMA_EVENT_INTERVAL_US ((uint64_t)50000)

/* Armed from the start, so that an agent that was restarted isn't silent until the host
 * notices. Fires 25 to 55 ms after the first swap-out (measured); half of the stall would
 * fire on a single slow page. */
#define CAGMA_DEFAULT_TRIGGER ((CagmaTriggerSpec){ .stall_us = 25000, .window_us = 500000 })

/* Read from the host at once: what a flood may do before an event gets its turn. */
#define CAGMA_INPUT_BYTES ((size_t)4 * 1024)

/* Some replies, or what is relayed at a time. */
#define CAGMA_OUTPUT_BYTES ((size_t)16 * 1024)

typedef struct {
  const CagmaLog *log;
  int epoll_fd;
  CagmaSystem system;
  CagmaProcesses processes;
  CagmaTrigger trigger;
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
} CagmaAgent;

/* The agent's memory must be zeroes, and static, so that the pages of it that are never
 * used are never there. The options and the log must outlive it. FALSE, logged, where it can't start. */
bool cagma_agent_open(CagmaAgent *agent, const CagmaOptions *options, const CagmaLog *log)
    __attribute__((warn_unused_result));

/* Does once, without effect, all that an event takes, so that nothing of it must be
 * fetched from disk when it counts. */
void cagma_agent_rehearse(CagmaAgent *agent);

/* Serves until *ended. While it waits, and only then, the signals of wait_mask are as
 * that has them. */
void cagma_agent_run(CagmaAgent *agent, const sigset_t *wait_mask, const volatile sig_atomic_t *ended);

void cagma_agent_close(CagmaAgent *agent);
