/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/channels.h"
#include "plugin/hypervisor.h"
#include "plugin/libvirt-ops.h"

/* QEMU: the balloon's statistics, the guest's channel, the host kernel's memory. */

static void
take_stat(CagmaSample *sample, const virDomainMemoryStatStruct *stat, unsigned *both)
{
  switch (stat->tag) {
  case VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON:
    sample->actual_kib = stat->val;
    sample->has |= CAGMA_HAS_ACTUAL;
    break;
  case VIR_DOMAIN_MEMORY_STAT_USABLE:
    sample->usable_kib = stat->val;
    sample->has |= CAGMA_HAS_USABLE;
    break;
  case VIR_DOMAIN_MEMORY_STAT_UNUSED:
    sample->unused_kib = stat->val;
    sample->has |= CAGMA_HAS_UNUSED;
    break;
  case VIR_DOMAIN_MEMORY_STAT_DISK_CACHES:
    sample->caches_kib = stat->val;
    sample->has |= CAGMA_HAS_CACHES;
    break;
  case VIR_DOMAIN_MEMORY_STAT_SWAP_IN:
    sample->swap_in_kib = stat->val;
    *both |= 1;
    break;
  case VIR_DOMAIN_MEMORY_STAT_SWAP_OUT:
    sample->swap_out_kib = stat->val;
    *both |= 2;
    break;
  case VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT:
    sample->major_faults = stat->val;
    sample->has |= CAGMA_HAS_FAULTS;
    break;
  case VIR_DOMAIN_MEMORY_STAT_RSS:
    sample->rss_kib = stat->val;
    sample->has |= CAGMA_HAS_RSS;
    break;
  case VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE:
    sample->stamp = stat->val;
    sample->has |= CAGMA_HAS_STAMP;
    break;
  default:
    break;
  }
}

static void
add_block_reads(virDomainPtr domain, CagmaSample *sample)
{
  virDomainBlockStatsStruct stats;

  /* The empty path sums over all disks. A domain may have none. */
  if (virDomainBlockStats(domain, "", &stats, sizeof stats) < 0 || stats.rd_bytes < 0)
    return;
  sample->block_read_kib = (uint64_t)stats.rd_bytes / 1024;
  sample->has |= CAGMA_HAS_BLOCK_READ;
}

static void
sample(CagmaHypervisor *hypervisor, virDomainPtr domain, CagmaRequest *request)
{
  virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
  int n = virDomainMemoryStats(domain, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);
  unsigned both = 0;

  (void)hypervisor;
  if (n < 0) {
    cagma_libvirt_fail(domain, request, "virDomainMemoryStats");
    return;
  }
  for (int i = 0; i < n; i++)
    take_stat(&request->sample, &stats[i], &both);
  /* The guest may tell one without the other. */
  if (both == 3)
    request->sample.has |= CAGMA_HAS_SWAP;
  if (request->block_reads)
    add_block_reads(domain, &request->sample);
}

static gboolean
host_memory(CagmaHypervisor *hypervisor, CagmaHostMemory *memory, GError **error)
{
  (void)hypervisor;
  return cagma_host_memory_read(memory, error);
}

static CagmaGuests *
listen_to_guests(CagmaHypervisor *hypervisor, const char *uri, const CagmaGuestsListener *listener,
                 void *owner)
{
  (void)hypervisor;
  return cagma_channels_new(uri, listener, owner);
}

CagmaHypervisor *
cagma_hypervisor_qemu(void)
{
  static CagmaHypervisor qemu = { .sample = sample, .host_memory = host_memory, .listen = listen_to_guests };

  return &qemu;
}
