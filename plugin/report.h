/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "plugin/managed.h"
#include "policy/host.h"
#include "policy/plan.h"

/* What is told of a domain: in its metadata, and to cagmactl. */

/* The state shown: the policy's, unless the configuration itself is at fault. */
CagmaState cagma_report_state(const CagmaManaged *managed);

/* Why, in a sentence without a full stop. index: the domain's in host, or
 * G_MAXSIZE where it hasn't been decided on yet. Free with g_free. */
char *cagma_report_reason(const CagmaManaged *managed, const CagmaHost *host, const CagmaPlan *plan,
                          size_t index, int64_t now_us);

/* TRUE where the status in the metadata no longer says the right thing. */
gboolean cagma_report_is_due(const CagmaManaged *managed, int64_t now_us);

/* The urn:cagma:status:1 document; notes that it is what was written. */
char *cagma_report_status(CagmaManaged *managed, const char *reason, int64_t now_us);

/* The same for cagmactl: a{sv}, floating. */
GVariant *cagma_report_info(const CagmaManaged *managed, const char *reason);

/* The present moment, ISO 8601 UTC with seconds. Free with g_free. */
char *cagma_report_now(void);
