/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "policy/decision.h"

/* Decisions in words, from what the decision itself holds: the domain may since have
 * moved on, or be gone, or have been another machine's. Return a new string, free with
 * g_free. */

/* One sentence without a full stop: why the domain is in its state. */
char *cagma_explain_reason(const CagmaDecision *decision);

/* The whole of it, a line a step, each ending in a newline: figures, the estimator's
 * reasoning, the allocator's share, the plan's step, and what the guard said of it. */
char *cagma_explain(const CagmaDecision *decision, const CagmaVerdict *verdict);
