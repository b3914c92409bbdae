/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What a domain is said to be doing, in the status document and everywhere else. */
typedef enum {
  CAGMA_STATE_STEADY,
  CAGMA_STATE_GROWING,
  CAGMA_STATE_SHRINKING,
  CAGMA_STATE_EMERGENCY,  /* the guest said it is short, and is: grows, or waits for memory */
  CAGMA_STATE_OVER,       /* holds more than the host can stand behind */
  CAGMA_STATE_HELD,       /* hands off: paused, migrating, pinned memory … */
  CAGMA_STATE_STUCK,      /* its balloon or its QEMU does not move */
  CAGMA_STATE_BLIND,      /* its figures are absent, stale or contradictory */
  CAGMA_STATE_DISTRUSTED, /* its resident memory stays above its balloon */
  CAGMA_STATE_UNMANAGED,
  CAGMA_STATE_INVALID, /* its configuration can't be read */
} CagmaState;

#define CAGMA_N_STATES (CAGMA_STATE_INVALID + 1)

const char *cagma_state_to_string(CagmaState state);
gboolean cagma_state_from_string(const char *name, CagmaState *state);
