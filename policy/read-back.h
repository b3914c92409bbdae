/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/domain.h"
#include "policy/policy.h"

/* Reading back: once a domain has more memory, its guest is asked to bring back what it had to
 * swap out for want of it. Touched page by page that takes it a request to the disk each; its
 * agent asks for neighbours together (qga-ext/read-back.h). It brings back no more than it has
 * room for above its headroom; it is asked with its reports, until it is through, or goes on no
 * more. What comes back counts as swapped in like any other page (the kernel doesn't tell them
 * apart), so that for a while the guest is taken to want more. */

/* Below this it isn't worth a request. */
#define CAGMA_READ_BACK_LEAST_KIB CAGMA_MIB(4)
/* Pressure events may bring reports every 50 ms. */
#define CAGMA_READ_BACK_INTERVAL_US CAGMA_SECOND_US
/* So many answers without progress, or requests without an answer, and it is left. A slow disk
 * that others use too brings nothing for a while. */
#define CAGMA_READ_BACK_IDLE_MAX 20

/* A zeroed one is a domain of which nothing was seen yet. */
typedef struct {
  gboolean due;        /* it has more memory than it had, and hasn't been through yet */
  gboolean asked;      /* … since then */
  uint64_t actual_kib; /* its balloon when it last stood still; 0: not seen yet */
  uint64_t kib;        /* brought back since, as its guest says */
  unsigned idle;       /* requests since that last became more */
  int64_t next_us;     /* not asked again before */
  const char *over;    /* why it is no longer due; NULL: it is, or never was */
} CagmaReadBack;

/* Whether a host with this policy asks for it at all: the original has nothing like it. */
gboolean cagma_reads_back(const CagmaPolicy *policy, uint32_t without);

/* To be called with each of the domain's reports. How much its guest is to be asked for now,
 * KiB; 0: nothing. may_ask: else growth is only noted, for when it may be. */
uint64_t cagma_read_back_due(CagmaReadBack *state, const CagmaDomain *domain, gboolean may_ask,
                             int64_t now_us);

/* Its guest has brought back so much since it was first asked; done: it is through. */
void cagma_read_back_answered(CagmaReadBack *state, uint64_t kib, gboolean done);
