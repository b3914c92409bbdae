/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* Rules of the policy that can be left out, to see what each of them buys (docs/policy.md):
 * in the laboratory, and in the daemon with `without` in cagmad.conf. */
typedef enum {
  CAGMA_RULE_FORESEEN = 1 << 0,   /* growth is foreseen from the pace of consumption */
  CAGMA_RULE_SWAP_BACK = 1 << 1,  /* what is swapped in is wanted back */
  CAGMA_RULE_PUSHED_OUT = 1 << 2, /* and so is what is swapped out for want of room */
  CAGMA_RULE_CACHE_BACK = 1 << 3, /* and what of the page cache was evicted and read again */
  CAGMA_RULE_EMERGENCY = 1 << 4,  /* pressure, and figures that show shortage, are answered at once */
  CAGMA_RULE_POOL = 1 << 5,       /* some memory is kept in hand for that */
  CAGMA_RULE_SPREAD = 1 << 6,     /* memory that nobody needs is handed out beforehand */
  CAGMA_RULE_SLOW_TAKE = 1 << 7,  /* donors give by steps, each after the last one's figures */
  CAGMA_RULE_HURT = 1 << 8,       /* a shrink that hurt is given back, and not repeated for a while */
  CAGMA_RULE_DEADBAND = 1 << 9,   /* small changes aren't made */
  CAGMA_RULE_READ_BACK = 1 << 10, /* who was given memory is asked to bring back what it swapped out */
} CagmaRule;

#define CAGMA_N_RULES 11

/* Names as `cagmactl simulate --without` takes them; index: of the bit. NULL beyond the last. */
const char *cagma_rule_name(unsigned index);

/* FALSE for what is no rule's name. */
gboolean cagma_rule_from_name(const char *name, CagmaRule *rule);

/* The names of these rules, with commas between. Free with g_free. */
char *cagma_rules_format(uint32_t rules);
