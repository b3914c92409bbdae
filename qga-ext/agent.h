/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <signal.h>

#include "qga-ext/conversation.h"
#include "qga-ext/publisher.h"

/* The agent: what it has of the guest, and its way to the host, in one thread that waits in
 * epoll and nowhere else. */
typedef struct {
  CagmaGuest guest;
  const CagmaWay *way;
  union {
    CagmaConversation conversation;
    CagmaPublisher publisher;
  } ways;
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
