/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/protocol.h"
#include "qga-ext/system.h"

/* Tells when the guest runs short of memory: the kernel's PSI trigger, which costs nothing
 * while it doesn't fire and fires at most once in a window; and where there is no PSI
 * (Linux before 4.20, psi=0, or not allowed), the counters of swapped pages. */

/* How often those are read. The only timer there is. */
#define CAGMA_SWAP_POLL_US ((uint64_t)250000)

typedef struct {
  const CagmaSystem *system;
  int epoll_fd;
  uint32_t tag; /* the event's data in the epoll set */
  CagmaTriggerSpec spec;
  CagmaWatch watch;
  int psi_fd; /* -1: none */
  uint64_t next_poll_us;
  uint64_t next_fire_us; /* CAGMA_WATCH_SWAP keeps to the window too */
  uint64_t swapped;      /* pages, both ways */
} CagmaTrigger;

void cagma_trigger_init(CagmaTrigger *trigger, const CagmaSystem *system, int epoll_fd, uint32_t tag);

/* Replaces what was watched. A stall_us of 0 ends it. Returns how it is watched from now on. */
CagmaWatch cagma_trigger_set(CagmaTrigger *trigger, const CagmaTriggerSpec *spec, uint64_t now_us);

/* To be called with what epoll says about the tag. TRUE where the trigger fired. */
bool cagma_trigger_handle(CagmaTrigger *trigger, uint32_t events, uint64_t now_us);

/* To be called when due. TRUE where pages were swapped. */
bool cagma_trigger_poll(CagmaTrigger *trigger, uint64_t now_us);

/* When that is; UINT64_MAX: never. */
uint64_t cagma_trigger_due_us(const CagmaTrigger *trigger);
