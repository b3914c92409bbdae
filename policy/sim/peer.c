/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/peer.h"

#include "policy/sim/peers.h"
#include "policy/units.h"

static void
leave(G_GNUC_UNUSED gpointer memory, G_GNUC_UNUSED CagmaPeerHost *host, G_GNUC_UNUSED int64_t now_us)
{
}

static const CagmaPeer peer_none = {
  .name = "none",
  .summary = "leaves each guest at the size it starts with",
  .period_us = 10 * CAGMA_SECOND_US,
  .decide = leave,
};

const CagmaPeer *const cagma_peers[] = {
  &peer_none, &cagma_peer_mom, &cagma_peer_proxmox, &cagma_peer_qubes, &cagma_peer_squeezed, NULL,
};

const CagmaPeer *
cagma_peer_by_name(const char *name)
{
  for (const CagmaPeer *const *peer = cagma_peers; *peer; peer++) {
    if (g_str_equal((*peer)->name, name))
      return *peer;
  }
  return NULL;
}

uint64_t
cagma_peer_maximum(const CagmaPeerGuest *guest)
{
  uint64_t limit_kib = guest->config->limit_kib;

  return cagma_min_kib(limit_kib ? cagma_min_kib(limit_kib, guest->max_kib) : guest->max_kib, CAGMA_MAX_KIB);
}

uint64_t
cagma_peer_minimum(const CagmaPeerGuest *guest)
{
  return cagma_min_kib(guest->config->guarantee_kib, cagma_peer_maximum(guest));
}

CagmaSample
cagma_peer_sample(const CagmaPeerGuest *guest)
{
  CagmaSample sample = guest->sample;

  cagma_sample_clamp(&sample, guest->max_kib);
  return sample;
}
