/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/host.h"

#include "policy/units.h"

__extension__ typedef unsigned __int128 Wide;

/* What the domain may still take of the host's free memory without any call of ours. */
static uint64_t
untouched(const CagmaDomain *domain)
{
  uint64_t charge_kib = cagma_domain_charge(domain);

  if (domain->move == CAGMA_MOVE_SHRINK)
    charge_kib = cagma_max_kib(charge_kib, domain->move_from_kib);
  return cagma_above(charge_kib + domain->overhead_kib, domain->rss_kib);
}

static int64_t
measure_fixed(const CagmaHost *host)
{
  int64_t in_hand_kib = (int64_t)host->budget_kib;

  for (size_t i = 0; i < host->n_domains; i++)
    in_hand_kib -= (int64_t)cagma_domain_charge(host->domains[i]);
  return in_hand_kib;
}

static int64_t
measure_auto(const CagmaHost *host)
{
  int64_t in_hand_kib = (int64_t)host->available_kib - (int64_t)host->merged_kib;

  for (size_t i = 0; i < host->n_domains; i++)
    in_hand_kib -= (int64_t)untouched(host->domains[i]);
  return in_hand_kib;
}

static int64_t
rise_at_most(const CagmaHost *host, int64_t now_us)
{
  int64_t per_second_kib = (int64_t)cagma_permille(host->total_kib, CAGMA_IN_HAND_RISE_PERMILLE_PER_S);

  /* After as many seconds all of the host's memory is trusted anyway. */
  int64_t elapsed_us =
      CLAMP(now_us - host->trusted_us, 0, 1000 / CAGMA_IN_HAND_RISE_PERMILLE_PER_S * CAGMA_SECOND_US);

  return per_second_kib * (elapsed_us / 1000) / 1000;
}

int64_t
cagma_host_measure(CagmaHost *host, int64_t now_us)
{
  int64_t outside_kib = (int64_t)host->reserve_kib + (int64_t)host->incoming_kib;

  if (host->budget == CAGMA_BUDGET_FIXED) {
    /* Our own accounts need no smoothing. */
    host->measured_kib = measure_fixed(host) - outside_kib;
    host->trusted_kib = host->measured_kib;
    return host->trusted_kib;
  }

  host->measured_kib = measure_auto(host) - outside_kib;
  if (!host->trusted_us || host->measured_kib <= host->trusted_kib)
    host->trusted_kib = host->measured_kib;
  else
    host->trusted_kib = MIN(host->measured_kib, host->trusted_kib + rise_at_most(host, now_us));
  host->trusted_us = now_us;
  return host->trusted_kib;
}

/* A balloon that drags, whether for want of pages or out of malice, isn't waited for. */
static gboolean
arrives_soon(const CagmaDomain *domain, int64_t now_us)
{
  int64_t elapsed_us = now_us - domain->move_us;
  uint64_t done_kib = cagma_above(domain->move_from_kib, domain->actual_kib);
  uint64_t rest_kib = cagma_above(domain->actual_kib, domain->target_kib);

  if (domain->move != CAGMA_MOVE_SHRINK)
    return FALSE;
  if (elapsed_us <= CAGMA_COMING_US)
    return TRUE;
  return (Wide)rest_kib * (uint64_t)elapsed_us <= (Wide)done_kib * CAGMA_COMING_US;
}

uint64_t
cagma_host_coming(const CagmaHost *host, int64_t now_us)
{
  uint64_t coming_kib = 0;

  for (size_t i = 0; i < host->n_domains; i++) {
    const CagmaDomain *domain = host->domains[i];

    if (!arrives_soon(domain, now_us))
      continue;
    if (host->budget == CAGMA_BUDGET_FIXED)
      coming_kib += cagma_above(cagma_domain_charge(domain), domain->target_kib);
    else
      coming_kib += cagma_above(domain->move_from_kib, domain->target_kib);
  }
  return coming_kib;
}

int64_t
cagma_host_horizon_us(const CagmaHost *host, const CagmaDomain *domain)
{
  return host->period_us + 2 * domain->report_period_us;
}
