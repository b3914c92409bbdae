/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/rebuild.h"
#include "policy/sim/sim.h"

/* What another policy, ours or a peer's, would have decided at the moments of a record. It
 * is told what was recorded, and decides; then what was really set counts for it too, so
 * that at each moment it decides from the sizes that were really there.
 *
 * Our policies remember of each domain what they would have remembered: how needs are
 * estimated changes with the policy, unless a domain's own configuration, or cagmad.conf's
 * defaults, chose it. Peers see what they see in the simulator (peer.h), at their own pace,
 * but only at recorded decisions. Domains that aren't balanced aren't theirs to move. */

typedef struct CagmaShadow CagmaShadow;

/* contestant: a policy or a peer. surplus NULL: the recorded one. n_guests: how many
 * machines there are in the record. */
CagmaShadow *cagma_shadow_new(const CagmaContestant *contestant, const CagmaSurplus *surplus,
                              size_t n_guests);
void cagma_shadow_free(CagmaShadow *shadow);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaShadow, cagma_shadow_free)

/* Nothing known so far holds any more: a run of the daemon begins, or some of the record is
 * lost. */
void cagma_shadow_forget(CagmaShadow *shadow);

/* As CagmaRebuildFuncs' input. */
void cagma_shadow_input(CagmaShadow *shadow, const CagmaRebuiltDomain *domain, const CagmaInput *input);

/* Decides, from within CagmaRebuildFuncs' deciding. at_us: time since the record's beginning,
 * which never runs backwards. guests: of each of the moment's domains, which machine it is,
 * the same in all runs of the daemon. FALSE where it isn't its time to decide. */
gboolean cagma_shadow_decide(CagmaShadow *shadow, const CagmaMoment *moment, int64_t at_us,
                             const size_t *guests) G_GNUC_WARN_UNUSED_RESULT;

/* Of that decision, until the next: what the moment's domain would have been asked to be; 0:
 * nothing, as for all where the guard refuses. */
uint64_t cagma_shadow_target(const CagmaShadow *shadow, size_t domain);
gboolean cagma_shadow_refused(const CagmaShadow *shadow);

/* And why; NULL for a peer, which doesn't say. Free with g_free. */
char *cagma_shadow_reason(const CagmaShadow *shadow, size_t domain);
