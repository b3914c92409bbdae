/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

#include <string.h>

#include "policy/units.h"
#include "xml/status.h"

/* A monitor that is busy this long isn't merely serving somebody else. */
#define OCCUPIED_US (3 * CAGMA_SECOND_US)

/* An earlier daemon announced this target: if the balloon stands still elsewhere, it
 * never got to ask for it, or the guest didn't follow. Either way it is taken back. */
static void
check_resumed(CagmaManager *manager, CagmaManaged *managed)
{
  const CagmaDomain *policy = &managed->policy;

  managed->resumed = FALSE;
  if (policy->move == CAGMA_MOVE_NONE &&
      (cagma_above(policy->target_kib, policy->actual_kib) > CAGMA_REACHED_KIB ||
       cagma_above(policy->actual_kib, policy->target_kib) > CAGMA_REACHED_KIB))
    cagma_manager_tell_size(manager, managed, CAGMA_INPUT_WITHDRAWN, 0);
}

static void
described(CagmaManager *manager, CagmaManaged *managed, CagmaRequest *request)
{
  const CagmaDomain *policy = &managed->policy;
  g_autoptr(GError) error = NULL;
  gboolean first = !managed->xml, begins = managed->begins, was_pinned = managed->xml && managed->xml->pinned;
  CagmaDomainXml *xml = cagma_domain_xml_parse(request->xml, -1, &manager->conf->defaults, &error);

  managed->describe_again = FALSE;
  if (!xml) {
    g_prefix_error(&error, "its XML can't be read: ");
    cagma_managed_complain(managed, error->message);
    cagma_manager_decide_soon(manager);
    return;
  }
  cagma_manager_take_back(manager, managed);
  if (xml->config_error && (first || !cagma_managed_is_invalid(managed)))
    g_warning("%s: %s; it is left untouched", managed->name, xml->config_error->message);
  cagma_managed_describe(managed, xml, request->paused, manager->conf);
  if (request->stats_period_s && !request->stats_period_set)
    managed->stats_period_s = 0;
  /* A status that a killed daemon left is ours to replace or remove. */
  if (first && strstr(request->xml, CAGMA_STATUS_URI))
    managed->status_written = TRUE;

  if (managed->begins || (xml->pinned && !first && !was_pinned))
    cagma_manager_tell_size(manager, managed, CAGMA_INPUT_RESTART,
                            managed->begins ? xml->current_kib : policy->target_kib);
  else if (first)
    cagma_manager_tell_size(manager, managed, CAGMA_INPUT_RESUMED,
                            cagma_targets_get(manager->targets, managed->uuid, managed->id));
  managed->resumed = first && !managed->begins && policy->target_kib;
  managed->begins = FALSE;
  cagma_manager_listen(manager, managed);

  if (cagma_manager_lacks_stats_period(manager, managed))
    cagma_manager_want(manager, managed, CAGMA_REQUEST_DESCRIBE);
  if (first || begins)
    cagma_manager_want(manager, managed, CAGMA_REQUEST_SAMPLE);
  /* Its hypervisor bounds it, as the sample will tell: until then it would be counted in full. */
  if (!policy->yields || policy->cap_kib)
    cagma_manager_decide_soon(manager);
}

static void
answered_description(CagmaManager *manager, CagmaManaged *managed, CagmaRequest *request)
{
  if (request->max_kib && !managed->xml)
    managed->policy.max_kib = cagma_min_kib(request->max_kib, CAGMA_MAX_KIB);
  if (request->outcome == CAGMA_OUTCOME_DONE) {
    described(manager, managed, request);
    return;
  }
  /* What it would have told, the next round asks for again. */
  managed->describe_again = TRUE;
  if (request->stats_period_s)
    managed->stats_period_s = 0;
}

static void
sampled(CagmaManager *manager, CagmaManaged *managed, CagmaRequest *request)
{
  CagmaMove before = managed->policy.move;
  gboolean was_bounded = managed->policy.cap_kib != 0;

  /* Its pool isn't among what the host has available, nor are its pages among what is resident:
   * it can take no more of what is available. */
  if (managed->xml && managed->xml->huge_pages && (request->sample.has & CAGMA_HAS_RSS))
    request->sample.rss_kib += managed->policy.max_kib;
  cagma_manager_tell_sample(manager, managed, &request->sample);
  /* It began anew: what was decided was of its earlier run. */
  if (!managed->policy.settled)
    cagma_manager_take_back(manager, managed);
  if (managed->resumed && managed->policy.settled)
    check_resumed(manager, managed);
  /* A balloon that has arrived may be what a growth waits for. */
  if ((before != CAGMA_MOVE_NONE && managed->policy.move == CAGMA_MOVE_NONE) ||
      was_bounded != (managed->policy.cap_kib != 0) ||
      (managed->policy.emergency && manager->conf->budget == CAGMA_BUDGET_AUTO))
    cagma_manager_decide_soon(manager);
}

static void
set_done(CagmaManager *manager, CagmaManaged *managed, CagmaRequest *request)
{
  gboolean unasked = request->unasked || request->outcome == CAGMA_OUTCOME_BUSY ||
                     request->outcome == CAGMA_OUTCOME_OCCUPIED;

  /* Of its balloon: hands off while that lasts, but no blame. */
  if (unasked) {
    cagma_manager_tell_size(manager, managed, CAGMA_INPUT_TAKEN_BACK, managed->previous_target_kib);
    cagma_manager_keep_previous_target(manager, managed);
    return;
  }
  switch (request->outcome) {
  case CAGMA_OUTCOME_FAILED:
    cagma_manager_tell_size(manager, managed, CAGMA_INPUT_REFUSED, managed->previous_target_kib);
    cagma_manager_keep_previous_target(manager, managed);
    break;
  case CAGMA_OUTCOME_DONE:
    cagma_manager_want(manager, managed, CAGMA_REQUEST_SAMPLE);
    /* fall through */
  default:
    /* Whether it happened isn't known, unless it is done: the target counts, and if
     * the balloon doesn't move, it is withdrawn. */
    managed->previous_target_kib = request->target_kib;
    break;
  }
}

static void
answered_status(CagmaManager *manager, CagmaManaged *managed, const CagmaRequest *request)
{
  gboolean done = request->outcome == CAGMA_OUTCOME_DONE;

  /* Where it failed, an older one may stand, and a new one is due. */
  managed->status_written = !done || request->status_xml;
  if (!done)
    managed->status_target_kib = UINT64_MAX;
  /* On a clean stop it is removed as soon as the QEMU is free, or time is up. */
  if (manager->stopped && request->outcome == CAGMA_OUTCOME_OCCUPIED)
    cagma_manager_want(manager, managed, CAGMA_REQUEST_STATUS);
}

static void
note_outcome(CagmaManaged *managed, const CagmaRequest *request)
{
  int64_t now_us = g_get_monotonic_time();

  switch (request->outcome) {
  case CAGMA_OUTCOME_TIMEOUT:
    managed->policy.unresponsive = TRUE;
    break;
  case CAGMA_OUTCOME_OCCUPIED:
    if (!managed->occupied_since_us)
      managed->occupied_since_us = now_us;
    if (now_us - managed->occupied_since_us >= OCCUPIED_US)
      managed->policy.unresponsive = TRUE;
    break;
  case CAGMA_OUTCOME_BUSY:
    managed->busy = TRUE;
    break;
  case CAGMA_OUTCOME_DONE:
    /* Describing asks the QEMU nothing, so it says nothing of it. */
    if (request->kind == CAGMA_REQUEST_DESCRIBE)
      break;
    managed->policy.unresponsive = FALSE;
    managed->occupied_since_us = 0;
    /* Nor does an answer tell that a migration is over, unless that was asked. */
    if (request->kind == CAGMA_REQUEST_SAMPLE && request->jobs)
      managed->busy = FALSE;
    break;
  default:
    break;
  }
  cagma_managed_update_hold(managed);
}

void
cagma_manager_on_completed(void *owner, CagmaRequest *taken)
{
  CagmaManager *manager = owner;
  g_autoptr(CagmaRequest) request = taken;
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, request->uuid);
  gboolean figures = request->kind == CAGMA_REQUEST_SAMPLE && request->outcome == CAGMA_OUTCOME_DONE;

  if (managed && request->kind == CAGMA_REQUEST_AGENT && managed->agent_in_flight == request->tag) {
    cagma_manager_agent_answered(manager, managed, request);
    return;
  }
  /* It may have stopped meanwhile, and even begun anew. */
  if (!managed || managed->in_flight != request->tag)
    return;
  managed->in_flight = 0;
  managed->setting = FALSE;
  if (managed->disregard == request->tag) {
    managed->disregard = 0;
    cagma_manager_arrived(manager, managed);
    cagma_manager_pump(manager, managed);
    cagma_manager_maybe_stopped(manager);
    return;
  }
  if (request->outcome == CAGMA_OUTCOME_GONE) {
    cagma_manager_remove(manager, managed);
    cagma_manager_decide_soon(manager);
    cagma_manager_maybe_stopped(manager);
    return;
  }
  /* Before its hands are free again: figures that end a silence or a job are of a balloon that
   * couldn't move until now. */
  if (figures)
    sampled(manager, managed, request);
  note_outcome(managed, request);
  if (request->error)
    cagma_managed_complain(managed, request->error->message);

  if (request->kind == CAGMA_REQUEST_SET)
    set_done(manager, managed, request);
  else if (request->kind == CAGMA_REQUEST_DESCRIBE)
    answered_description(manager, managed, request);
  else if (request->kind == CAGMA_REQUEST_STATUS)
    answered_status(manager, managed, request);

  if (request->kind == CAGMA_REQUEST_SAMPLE)
    cagma_manager_arrived(manager, managed);
  cagma_manager_pump(manager, managed);
  cagma_manager_maybe_stopped(manager);
}
