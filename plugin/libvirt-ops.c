/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/libvirt-ops.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>

#include "plugin/hypervisor.h"
#include "plugin/libvirt-glue.h"
#include "xml/status.h"

#define STATUS_PREFIX "cagma"

/* A worker's domains that ended are forgotten at the latest when it knows this many. */
#define DOMAINS_MAX 4096

/* Another client's question (virsh, an exporter) occupies a QEMU for a millisecond or
 * two. A move that met one would be taken for refused and the domain left alone for
 * half a minute, so it waits this long for a free moment; so does the removal of a
 * status, which would stay for good. */
#define OCCUPIED_WAIT_MS 200
#define OCCUPIED_LOOK_MS 5

static virDomainPtr
find(virConnectPtr conn, GHashTable *domains, const char *uuid)
{
  virDomainPtr domain = g_hash_table_lookup(domains, uuid);

  if (!domain) {
    domain = virDomainLookupByUUIDString(conn, uuid);
    if (g_hash_table_size(domains) >= DOMAINS_MAX)
      g_hash_table_remove_all(domains);
    if (domain)
      g_hash_table_insert(domains, g_strdup(uuid), domain);
  }
  return domain;
}

static void
judge_error(virConnectPtr conn, CagmaRequest *request)
{
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
fail(virConnectPtr conn, CagmaRequest *request, const char *what)
{
  cagma_libvirt_error(&request->error, what);
  judge_error(conn, request);
}

void
cagma_libvirt_fail(virDomainPtr domain, CagmaRequest *request, const char *what)
{
  /* First the error: the next call, be it virDomainGetConnect, clears it. */
  cagma_libvirt_error(&request->error, what);
  judge_error(virDomainGetConnect(domain), request);
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
      cagma_libvirt_fail(domain, request, "virDomainGetControlInfo");
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

/* The same, but a QEMU that is merely answering somebody is waited for. */
static gboolean
may_ask_soon(virDomainPtr domain, CagmaRequest *request)
{
  for (int waited_ms = 0; !may_ask(domain, request); waited_ms += OCCUPIED_LOOK_MS) {
    if (request->outcome != CAGMA_OUTCOME_OCCUPIED || waited_ms >= OCCUPIED_WAIT_MS)
      return FALSE;
    g_usleep(OCCUPIED_LOOK_MS * 1000);
    request->outcome = CAGMA_OUTCOME_DONE;
  }
  return TRUE;
}

/* A migration or save blocks what changes the domain for 30 s and more. */
static gboolean
has_job(virDomainPtr domain)
{
  virDomainJobInfo info;

  /* That is QEMU's answer while a migration comes in, whose end other calls would wait for. */
  if (virDomainGetJobInfo(domain, &info) < 0)
    return virGetLastErrorCode() == VIR_ERR_OPERATION_UNSUPPORTED;
  return info.type != VIR_DOMAIN_JOB_NONE && info.type != VIR_DOMAIN_JOB_COMPLETED &&
         info.type != VIR_DOMAIN_JOB_FAILED && info.type != VIR_DOMAIN_JOB_CANCELLED;
}

static gboolean
is_paused(unsigned char state)
{
  return state == VIR_DOMAIN_PAUSED || state == VIR_DOMAIN_PMSUSPENDED || state == VIR_DOMAIN_CRASHED;
}

/* Where it fails, or can't be asked for now, the XML goes on showing no period, and
 * the domain is blind; it is described all the same. */
static void
set_stats_period(virDomainPtr domain, CagmaRequest *request)
{
  if (request->stats_period_s && may_ask(domain, request) && !has_job(domain))
    request->stats_period_set =
        virDomainSetMemoryStatsPeriod(domain, (int)request->stats_period_s, VIR_DOMAIN_AFFECT_LIVE) == 0;
  g_clear_error(&request->error);
  request->outcome = CAGMA_OUTCOME_DONE;
}

static void
describe(virDomainPtr domain, CagmaRequest *request)
{
  virDomainInfo info;

  if (virDomainGetInfo(domain, &info) < 0) {
    cagma_libvirt_fail(domain, request, "virDomainGetInfo");
    return;
  }
  if (info.state == VIR_DOMAIN_SHUTOFF) {
    request->outcome = CAGMA_OUTCOME_GONE;
    return;
  }
  request->paused = is_paused(info.state);
  request->max_kib = info.maxMem;
  set_stats_period(domain, request);
  request->xml = virDomainGetXMLDesc(domain, 0);
  if (!request->xml)
    cagma_libvirt_fail(domain, request, "virDomainGetXMLDesc");
}

static void
sample(virDomainPtr domain, CagmaRequest *request)
{
  CagmaHypervisor *hypervisor;

  if (request->jobs && has_job(domain)) {
    request->outcome = CAGMA_OUTCOME_BUSY;
    return;
  }
  hypervisor = cagma_hypervisor_of(virDomainGetConnect(domain), &request->error);
  if (hypervisor)
    hypervisor->sample(hypervisor, domain, request);
  else
    judge_error(virDomainGetConnect(domain), request);
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
    cagma_libvirt_fail(domain, request, "virDomainSetMemoryFlags");
}

static void
write_status(virDomainPtr domain, CagmaRequest *request)
{
  if (has_job(domain)) {
    request->outcome = CAGMA_OUTCOME_BUSY;
    return;
  }
  if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, request->status_xml,
                           request->status_xml ? STATUS_PREFIX : NULL, CAGMA_STATUS_URI,
                           VIR_DOMAIN_AFFECT_LIVE) == 0)
    return;
  if (!request->status_xml && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA)
    return;
  cagma_libvirt_fail(domain, request, "virDomainSetMetadata");
}

static gboolean
is_free(virDomainPtr domain, CagmaRequest *request)
{
  /* Reading a domain's XML takes no job and asks its QEMU nothing. */
  if (request->kind == CAGMA_REQUEST_DESCRIBE)
    return TRUE;
  /* These aren't asked for again: a move, and the last that is done to a domain. */
  if (request->kind == CAGMA_REQUEST_SET || (request->kind == CAGMA_REQUEST_STATUS && !request->status_xml))
    return may_ask_soon(domain, request);
  return may_ask(domain, request);
}

/* The guest's answer is waited for: within the request's deadline, lest the worker be
 * given up. Its lock is the agent's own and holds up nothing else. */
static void
ask_agent(virDomainPtr domain, CagmaRequest *request)
{
  request->reply = virDomainQemuAgentCommand(domain, request->command, CAGMA_AGENT_COMMAND_S, 0);
  if (!request->reply)
    cagma_libvirt_fail(domain, request, "virDomainQemuAgentCommand");
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
  if (!is_free(domain, request))
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
  case CAGMA_REQUEST_AGENT:
    ask_agent(domain, request);
    break;
  }
  if (request->outcome == CAGMA_OUTCOME_GONE)
    g_hash_table_remove(domains, request->uuid);
}
