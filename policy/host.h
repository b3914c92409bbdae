/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/domain.h"
#include "policy/estimator.h"
#include "policy/policy.h"
#include "policy/state.h"

/* A host: its memory, its domains, and what is decided for them. */

typedef enum {
  CAGMA_BUDGET_AUTO,  /* what the host has available now */
  CAGMA_BUDGET_FIXED, /* a size given to guests as a whole */
} CagmaBudgetKind;

typedef enum {
  CAGMA_SURPLUS_LEAVE,   /* idle memory is left with the domains, and levelled */
  CAGMA_SURPLUS_RECLAIM, /* idle memory goes back to the host */
} CagmaSurplus;

/* With budget auto, in hand rises by this part of the host's memory a second at
 * the most: what was freed a moment ago is often wanted back the next. */
#define CAGMA_IN_HAND_RISE_PERMILLE_PER_S 50

/* Memory on its way is counted on for this long, and after that only where the pace
 * so far says that the rest takes no longer: somebody may be starving for it, and
 * others could give. */
#define CAGMA_COMING_US (3 * CAGMA_SECOND_US)

typedef struct {
  CagmaBudgetKind budget;
  uint64_t budget_kib;    /* FIXED */
  uint64_t total_kib;     /* AUTO: the host's MemTotal */
  uint64_t available_kib; /* AUTO: its MemAvailable */
  uint64_t merged_kib;    /* AUTO: what page merging saves now and a write can want back */
  uint64_t reserve_kib;   /* never given to guests */
  uint64_t incoming_kib;  /* for domains about to start, not among `domains` yet */
  uint64_t pool_kib;      /* kept free for emergencies, where nobody goes short for it */
  /* What the domains hold is only just being learned, so that too much is counted as
   * taken: nobody gives for that. */
  gboolean learning;
  /* When a domain last left, 0: never. What it held isn't slack yet: where a reboot ends a
   * domain and begins another, as on Xen, it is wanted back in seconds. */
  int64_t left_us;
  CagmaSurplus surplus;
  CagmaPolicyKind policy; /* of it, the allocator: estimators are the domains' */
  int64_t period_us;
  uint32_t without; /* CagmaRule bits: rules left out, for measurement; domains have their own */

  CagmaDomain **domains; /* the owner's */
  size_t n_domains;

  /* Kept by cagma_host_measure. */
  int64_t measured_kib; /* memory in hand by this moment's figures */
  int64_t trusted_kib;  /* as much of it as may be granted */
  int64_t trusted_us;   /* 0: never */

  /* Kept by cagma_decide. */
  int64_t spread_us;      /* when what nobody needs was last spread; 0: never */
  gboolean pool_low;      /* half of the pool was gone, and isn't back yet */
  int64_t queue_round_us; /* the `queue` allocator's last round; 0: none */
  uint64_t queue_tickets; /* given out */
} CagmaHost;

/* Measures memory in hand, KiB; negative where more is promised than there is.
 *   FIXED  budget − Σ charge − incoming − reserve
 *   AUTO   MemAvailable − reserve − merged − incoming − Σ max(0, charge + overhead − resident)
 * In AUTO a shrinking domain is charged what it started from until it has arrived,
 * since the host's and the guest's figures are not of one moment, and what may be
 * granted falls at once and rises slowly. Returns host->trusted_kib. */
int64_t cagma_host_measure(CagmaHost *host, int64_t now_us);

/* How long until memory arrives where a need arises now: it shows in the domain's next
 * report, is decided on in the next period, and the memory takes about another report
 * to arrive and be seen. */
int64_t cagma_host_horizon_us(const CagmaHost *host, const CagmaDomain *domain);

/* What shrinks under way will soon bring in, KiB. */
uint64_t cagma_host_coming(const CagmaHost *host, int64_t now_us);
