/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "plugin/managed.h"
#include "policy/decision.h"

/* What is told of a domain: in its metadata, and to cagmactl. */

/* The state shown: the policy's, unless the configuration itself is at fault. */
CagmaState cagma_report_state(const CagmaManaged *managed);

/* Why, in a sentence without a full stop. Free with g_free. */
char *cagma_report_reason(const CagmaManaged *managed);

/* The last decision on it in sentences, each a line. verdict: of the last decision; its
 * guard unasked where there was none. Free with g_free. */
char *cagma_report_explanation(const CagmaManaged *managed, const CagmaVerdict *verdict);

/* TRUE where the status in the metadata no longer says the right thing. */
gboolean cagma_report_is_due(const CagmaManaged *managed, int64_t now_us);

/* The urn:cagma:status:1 document; notes that it is what was written. */
char *cagma_report_status(CagmaManaged *managed, const char *reason, int64_t now_us);

/* The same for cagmactl: a{sv}, floating. */
GVariant *cagma_report_info(const CagmaManaged *managed, const char *reason);

/* The present moment, ISO 8601 UTC with seconds. Free with g_free. */
char *cagma_report_now(void);
