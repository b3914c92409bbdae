/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/guest.h"
#include "qga-ext/options.h"

/* A way to tell the host. An agent has one: a conversation over a port (conversation.h),
 * or a value that is kept in xenstore (publisher.h). None of these functions waits. */

/* What epoll's events belong to: the trigger, and from CAGMA_TAG_WAY on what the way has
 * put into the epoll set. */
enum { CAGMA_TAG_TRIGGER, CAGMA_TAG_WAY };

/* At most 20 events in a second, whatever fires. The kernel keeps to one in a trigger's
 * window, which is half a second or more. */
#define CAGMA_EVENT_INTERVAL_US ((uint64_t)50000)

/* Armed from the start, so that an agent that was restarted isn't silent until the host
 * notices. Fires 25 to 55 ms after the first swap-out (measured); half of the stall would
 * fire on a single slow page. */
#define CAGMA_DEFAULT_TRIGGER ((CagmaTriggerSpec){ .stall_us = 25000, .window_us = 500000 })

typedef struct {
  /* Its memory is zeroes. The options and the guest outlive it. FALSE, logged, where it
   * can't start. */
  bool (*open)(void *way, const CagmaOptions *options, CagmaGuest *guest);

  /* Does once, without effect, all that telling of pressure takes. */
  void (*rehearse)(void *way);

  /* What epoll says about one of its tags. */
  void (*handle)(void *way, uint32_t tag, uint32_t events, uint64_t now_us);

  /* After each wait, whatever ended it: does what there is to do, a piece of each kind.
   * pressure: the trigger has fired since the last turn. */
  void (*turn)(void *way, bool pressure, uint64_t now_us);

  /* When it needs its next turn, if epoll doesn't bring it before; 0: at once, UINT64_MAX:
   * never. */
  uint64_t (*due_us)(const void *way);

  void (*close)(void *way);
} CagmaWay;
