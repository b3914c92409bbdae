/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/libvirt-ops.h"

#include <libvirt/virterror.h>

#include "plugin/libvirt-glue.h"
#include "xml/status.h"

#define STATUS_PREFIX "cagma"

static virDomainPtr
find(virConnectPtr conn, GHashTable *domains, const char *uuid)
{
  virDomainPtr domain = g_hash_table_lookup(domains, uuid);

  if (!domain) {
    domain = virDomainLookupByUUIDString(conn, uuid);
    if (domain)
      g_hash_table_insert(domains, g_strdup(uuid), domain);
  }
  return domain;
}

static void
fail(virConnectPtr conn, CagmaRequest *request, const char *what)
{
  cagma_libvirt_error(&request->error, what);
  switch (request->error->code) {
  case VIR_ERR_NO_DOMAIN:
    request->outcome = CAGMA_OUTCOME_GONE;
    break;
  /* Another job holds the domain: the same as being told so beforehand. */
  case VIR_ERR_OPERATION_TIMEOUT:
    request->outcome = CAGMA_OUTCOME_BUSY;
    break;
  default:
    request->outcome = virConnectIsAlive(conn) == 1 ? CAGMA_OUTCOME_FAILED : CAGMA_OUTCOME_LOST;
    break;
  }
}

static void
fail_domain(virDomainPtr domain, CagmaRequest *request, const char *what)
{
  fail(virDomainGetConnect(domain), request, what);
}

/* FALSE, with the outcome set, where nothing may be asked of the domain now. */
static gboolean
may_ask(virDomainPtr domain, CagmaRequest *request)
{
  virDomainControlInfo info;

  if (virDomainGetControlInfo(domain, &info, 0) < 0) {
    switch (virGetLastErrorCode()) {
    /* The test driver, and Xen's, don't know the call, nor hang. */
    case VIR_ERR_NO_SUPPORT:
      return TRUE;
    case VIR_ERR_OPERATION_INVALID:
      request->outcome = CAGMA_OUTCOME_GONE;
      return FALSE;
    default:
      fail_domain(domain, request, "virDomainGetControlInfo");
      return FALSE;
    }
  }
  switch (info.state) {
  case VIR_DOMAIN_CONTROL_OK:
    return TRUE;
  case VIR_DOMAIN_CONTROL_JOB:
    request->outcome = CAGMA_OUTCOME_BUSY;
    return FALSE;
  default:
    request->outcome = CAGMA_OUTCOME_OCCUPIED;
    return FALSE;
  }
}

/* A migration or save blocks what changes the domain for 30 s and more. */
static gboolean
has_job(virDomainPtr domain)
{
  virDomainJobInfo info;

  return virDomainGetJobInfo(domain, &info) == 0 && info.type != VIR_DOMAIN_JOB_NONE &&
         info.type != VIR_DOMAIN_JOB_COMPLETED && info.type != VIR_DOMAIN_JOB_FAILED &&
         info.type != VIR_DOMAIN_JOB_CANCELLED;
}

static gboolean
is_paused(int state)
{
  return state == VIR_DOMAIN_PAUSED || state == VIR_DOMAIN_PMSUSPENDED;
}

static void
describe(virDomainPtr domain, CagmaRequest *request)
{
  int state, reason;

  if (virDomainGetState(domain, &state, &reason, 0) < 0) {
    fail_domain(domain, request, "virDomainGetState");
    return;
  }
  if (state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED) {
    request->outcome = CAGMA_OUTCOME_GONE;
    return;
  }
  request->paused = is_paused(state);
  if (request->stats_period_s) {
    if (!may_ask(domain, request))
      return;
    /* Where it fails, the XML goes on showing no period, and the domain is blind. */
    request->stats_period_set =
        virDomainSetMemoryStatsPeriod(domain, (int)request->stats_period_s, VIR_DOMAIN_AFFECT_LIVE) == 0;
  }
  request->xml = virDomainGetXMLDesc(domain, 0);
  if (!request->xml)
    fail_domain(domain, request, "virDomainGetXMLDesc");
}

static void
take_stat(CagmaSample *sample, const virDomainMemoryStatStruct *stat)
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
    sample->has |= CAGMA_HAS_SWAP;
    break;
  case VIR_DOMAIN_MEMORY_STAT_SWAP_OUT:
    sample->swap_out_kib = stat->val;
    sample->has |= CAGMA_HAS_SWAP;
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
sample(virDomainPtr domain, CagmaRequest *request)
{
  virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
  int n = virDomainMemoryStats(domain, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);

  if (n < 0) {
    fail_domain(domain, request, "virDomainMemoryStats");
    return;
  }
  for (int i = 0; i < n; i++)
    take_stat(&request->sample, &stats[i]);
  if (request->block_reads)
    add_block_reads(domain, &request->sample);
}

static void
set(virDomainPtr domain, CagmaRequest *request)
{
  if (has_job(domain)) {
    request->outcome = CAGMA_OUTCOME_BUSY;
    return;
  }
  /* LIVE only: CONFIG would rewrite the operator's definition. */
  if (virDomainSetMemoryFlags(domain, request->target_kib, VIR_DOMAIN_AFFECT_LIVE) < 0)
    fail_domain(domain, request, "virDomainSetMemoryFlags");
}

static void
write_status(virDomainPtr domain, CagmaRequest *request)
{
  if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, request->status_xml,
                           request->status_xml ? STATUS_PREFIX : NULL, CAGMA_STATUS_URI,
                           VIR_DOMAIN_AFFECT_LIVE) == 0)
    return;
  if (!request->status_xml && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA)
    return;
  fail_domain(domain, request, "virDomainSetMetadata");
}

void
cagma_libvirt_work(virConnectPtr conn, GHashTable *domains, CagmaRequest *request)
{
  virDomainPtr domain = find(conn, domains, request->uuid);

  request->outcome = CAGMA_OUTCOME_DONE;
  if (!domain) {
    fail(conn, request, "virDomainLookupByUUIDString");
    return;
  }
  /* Reading a domain's XML takes no job and asks its QEMU nothing. */
  if (request->kind != CAGMA_REQUEST_DESCRIBE && !may_ask(domain, request))
    return;

  switch (request->kind) {
  case CAGMA_REQUEST_DESCRIBE:
    describe(domain, request);
    break;
  case CAGMA_REQUEST_SAMPLE:
    sample(domain, request);
    break;
  case CAGMA_REQUEST_SET:
    set(domain, request);
    break;
  case CAGMA_REQUEST_STATUS:
    write_status(domain, request);
    break;
  }
  if (request->outcome == CAGMA_OUTCOME_GONE)
    g_hash_table_remove(domains, request->uuid);
}
