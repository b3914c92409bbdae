/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "policy/plan.h"

/* The guard: refuses a plan that breaks a guarantee, whatever computed it. It
 * shares no code with the planner, and is short enough to be read in a minute. */

#define CAGMA_GUARD_ERROR (cagma_guard_error_quark())
GQuark cagma_guard_error_quark(void);

typedef enum {
  CAGMA_GUARD_ERROR_REACH,   /* acts on a domain that hands are off */
  CAGMA_GUARD_ERROR_FLOOR,   /* shrinks one below its guarantee, or to its death (floor.h) */
  CAGMA_GUARD_ERROR_LIMIT,   /* sets one above its limit */
  CAGMA_GUARD_ERROR_BLIND,   /* shrinks one whose figures are not recent */
  CAGMA_GUARD_ERROR_IN_HAND, /* grants more than is in hand */
  CAGMA_GUARD_ERROR_TWICE,   /* sets a domain to something else than was decided, or to two things */
} CagmaGuardError;

/* FALSE, with an error that names the step's index in host->domains, where the
 * plan must not be carried out. plan->verdict.in_hand_kib isn't believed: it is measured
 * again from the host. */
gboolean cagma_guard_check(const CagmaHost *host, const CagmaPlan *plan, int64_t now_us,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
