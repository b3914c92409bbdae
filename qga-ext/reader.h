/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/protocol.h"
#include "qga-ext/read-back.h"

/* Who brings swapped-out memory back: a thread beside the agent's own, of ordinary priority
 * and below, since it waits for the disk, and an event must not wait for it. The two
 * share nothing that one could hold while the other wants it. The agent's memory is locked,
 * so this is only there once it is asked for: some 82 KiB. */

/* How long it may go on after it was last asked, in ms. */
#define CAGMA_READER_MAX_MS 10000

/* One that wasn't asked for as long begins anew with the process that has most. */
#define CAGMA_READER_FORGETS_US ((uint64_t)30 * 1000000)

/* Of one slice; 16 requests take a slow disk a second. */
#define CAGMA_READER_STUCK_US ((uint64_t)120 * 1000000)

typedef struct CagmaReader CagmaReader;

/* Never ended: the agent has one for its life, but where it is stuck. The system must live as long. NULL with
 * errno where there is no memory or thread for it. */
CagmaReader *cagma_reader_new(const CagmaSystem *system, const CagmaReadBackCalls *calls);

/* Lets it go on with max_bytes from now on, for time_us at most. Returns how far it was:
 * at the first time at the beginning. Where it was done, that is said once, and the next
 * call begins anew. */
CagmaReadBackProgress cagma_reader_go_on(CagmaReader *reader, uint64_t max_bytes, uint64_t time_us);

/* It has been at one slice for minutes: memory that never comes, as of a FUSE server that doesn't
 * answer. It may be left to itself, and another one taken. */
bool cagma_reader_is_stuck(const CagmaReader *reader);

/* FALSE where it turned out that it may do this to no process. */
bool cagma_reader_may(const CagmaReader *reader);
