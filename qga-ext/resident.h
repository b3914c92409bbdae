/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/log.h"

/* What keeps the agent at work while the guest is short of memory. Each step that fails
 * is logged and left out: an agent without it is better than none.
 *
 * - All memory is locked. Static, that is 1.2 MiB, there from the start. Linked to a shared
 *   libc it would be 2.5 MiB, most of it never used: then what is used is locked when it
 *   is first touched (MCL_ONFAULT), 1.7 MiB, and the caller rehearses what must not wait.
 * - SCHED_RR, the lowest real-time priority, and not nice -20: real-time tasks may also
 *   take from the kernel's memory reserve what a system call needs (a virtio buffer for
 *   each write to the port) where others are made to reclaim first. When the agent runs on
 *   for a tenth of a second without waiting (RLIMIT_RTTIME), because the host floods it or
 *   it has gone wrong, it is put down to nice -20; see cagma_resident_wait().
 * - The OOM killer passes it over (oom_score_adj -1000). */
void cagma_become_resident(const CagmaLog *log);

/* To be called before the agent waits: gives it its priority back where it had lost it. */
void cagma_resident_wait(void);
