/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

#include "plugin/report.h"
#include "policy/units.h"

/* How often it is tried to have a domain's statistics collected, where that fails. */
#define STATS_PERIOD_RETRY_US (30 * CAGMA_SECOND_US)

static char *
status_text(CagmaManager *manager, CagmaManaged *managed)
{
  int64_t now_us = g_get_monotonic_time();
  g_autofree char *reason = NULL;

  if (manager->stopped || (!managed->policy.managed && !cagma_managed_is_invalid(managed))) {
    managed->status_us = now_us;
    return NULL;
  }
  reason = cagma_report_reason(managed);
  return cagma_report_status(managed, reason, now_us);
}

static unsigned
stats_period_s(CagmaManager *manager)
{
  /* Guests report often enough that a period has news, and not oftener than each
   * second, which is QEMU's least. */
  return (unsigned)CLAMP(manager->conf->period_us / CAGMA_SECOND_US / 2, 1, 5);
}

gboolean
cagma_manager_lacks_stats_period(CagmaManager *manager, CagmaManaged *managed)
{
  int64_t now_us = g_get_monotonic_time();

  if (manager->dry_run || !managed->policy.managed || !managed->xml->balloon_stats ||
      managed->xml->stats_period_s || managed->stats_period_s || now_us < managed->stats_period_next_us)
    return FALSE;
  managed->stats_period_next_us = now_us + STATS_PERIOD_RETRY_US;
  managed->stats_period_due = TRUE;
  return TRUE;
}

static CagmaRequest *
prepare(CagmaManager *manager, CagmaManaged *managed, CagmaRequestKind kind)
{
  CagmaRequest *request = cagma_request_new(kind, managed->uuid);

  switch (kind) {
  case CAGMA_REQUEST_DESCRIBE:
    if (managed->stats_period_due) {
      managed->stats_period_due = FALSE;
      managed->stats_period_s = stats_period_s(manager);
      request->stats_period_s = managed->stats_period_s;
    }
    break;
  case CAGMA_REQUEST_SAMPLE:
    /* Its page cache's misses show only in what it reads, and matter only where it
     * may soon be shrunk or just was. */
    request->block_reads = managed->policy.shrunk_us != 0;
    /* One that is paused may be about to arrive by migration. */
    request->jobs = managed->busy || managed->paused;
    break;
  case CAGMA_REQUEST_SET:
    managed->setting = TRUE;
    managed->setting_kib = managed->policy.target_kib;
    request->target_kib = managed->setting_kib;
    break;
  case CAGMA_REQUEST_AGENT:
    break;
  case CAGMA_REQUEST_STATUS:
    request->status_xml = status_text(manager, managed);
    break;
  }
  return request;
}

unsigned
cagma_manager_next_tag(CagmaManager *manager)
{
  if (++manager->last_tag == 0)
    manager->last_tag = 1;
  return manager->last_tag;
}

void
cagma_manager_pump(CagmaManager *manager, CagmaManaged *managed)
{
  /* First what it is now: a change takes back what was decided before. */
  static const CagmaRequestKind order[] = { CAGMA_REQUEST_DESCRIBE, CAGMA_REQUEST_SET, CAGMA_REQUEST_SAMPLE,
                                            CAGMA_REQUEST_STATUS };
  CagmaRequest *request;

  if (!manager->connected || managed->in_flight)
    return;
  for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
    if (!(managed->wanted & (1u << order[i])))
      continue;
    managed->wanted &= ~(1u << order[i]);
    request = prepare(manager, managed, order[i]);
    request->tag = managed->in_flight = cagma_manager_next_tag(manager);
    manager->backend->submit(manager->backend, request);
    /* A balloon is to be set next. */
    if (managed->wanted & (1u << CAGMA_REQUEST_SET))
      manager->backend->hurry(manager->backend, managed->uuid);
    return;
  }
}

void
cagma_manager_want(CagmaManager *manager, CagmaManaged *managed, CagmaRequestKind kind)
{
  managed->wanted |= 1u << kind;
  /* One at a time: what is under way must not keep it waiting in a queue. */
  if (kind == CAGMA_REQUEST_SET && managed->in_flight)
    manager->backend->hurry(manager->backend, managed->uuid);
  cagma_manager_pump(manager, managed);
}
