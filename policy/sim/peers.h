/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/peer.h"

/* What the peers' sources share. Internal to policy/sim. */

extern const CagmaPeer cagma_peer_mom;
extern const CagmaPeer cagma_peer_proxmox;
extern const CagmaPeer cagma_peer_qubes;
extern const CagmaPeer cagma_peer_squeezed;

/* The guest's maximum: its limit, or its <memory>. */
uint64_t cagma_peer_maximum(const CagmaPeerGuest *guest);

/* Its minimum: its guarantee, never above the maximum. */
uint64_t cagma_peer_minimum(const CagmaPeerGuest *guest);

/* Its sample, with figures that can be computed with (cagma_sample_clamp). */
CagmaSample cagma_peer_sample(const CagmaPeerGuest *guest);
