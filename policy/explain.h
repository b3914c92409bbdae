/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>

#include "policy/plan.h"

/* Decisions in words. Both take the index of a domain in host->domains, whose
 * plan->decisions entry they read, and return a new string, free with g_free. */

/* One sentence without a full stop: why the domain is in its state. */
char *cagma_explain_reason(const CagmaHost *host, const CagmaPlan *plan, size_t index, int64_t now_us);

/* The whole of it, a line a step, each ending in a newline: figures, the
 * estimator's reasoning, the allocator's share, the plan's step. */
char *cagma_explain(const CagmaHost *host, const CagmaPlan *plan, size_t index, int64_t now_us);
