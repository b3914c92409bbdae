/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "plugin/inputs.h"
#include "policy/host.h"
#include "policy/plan.h"

/* The recorder: writes down what the policy is told and what it decides, so that the same
 * can be decided again (rebuild.h). The format is record-format.h's.
 *
 * Each decision is one block, with all that happened since the last one, appended by one
 * write(). What can't be written is left out, which is logged once; then all that is known
 * is written anew, so that what follows can be made sense of. */

typedef struct CagmaRecorder CagmaRecorder;

/* All that is known is written anew after so many decisions: that is how much reading may
 * have to leave out after damage. */
#define CAGMA_RECORD_KEYFRAME_BLOCKS 64

/* Appends to the file, which is created with mode 0600 where it isn't there. An error
 * where it can't be opened, is no regular file, or holds something else than a record of
 * this version. The host is the caller's, and outlives the recorder; it has no domains
 * yet. */
CagmaRecorder *cagma_recorder_open(const char *path, const CagmaHost *host,
                                   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes what isn't written yet. NULL is allowed. */
void cagma_recorder_close(CagmaRecorder *recorder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaRecorder, cagma_recorder_close)

/* Goes on in a file of the same name, which may be another one by now. */
void cagma_recorder_reopen(CagmaRecorder *recorder);

/* Domains come, at the end, and go in the order they have in host->domains. now_us: what
 * cagma_domain_init was called with. The domain is the caller's and stays where it is; what
 * its owner sets in it is looked up here whenever it may matter. */
void cagma_recorder_add(CagmaRecorder *recorder, const CagmaDomain *domain, const char *uuid,
                        const char *name, int64_t now_us);
void cagma_recorder_remove(CagmaRecorder *recorder, const CagmaDomain *domain);

/* Before it is applied. */
void cagma_recorder_input(CagmaRecorder *recorder, const CagmaDomain *domain, const CagmaInput *input);

/* Before cagma_decide; and after cagma_guard_check, before any step is carried out. */
void cagma_recorder_deciding(CagmaRecorder *recorder, int64_t now_us);
void cagma_recorder_decided(CagmaRecorder *recorder, const CagmaPlan *plan);
