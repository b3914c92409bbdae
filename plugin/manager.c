/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager.h"

#include <inttypes.h>
#include <string.h>

#include "plugin/report.h"
#include "policy/explain.h"
#include "policy/guard.h"
#include "policy/units.h"
#include "xml/error.h"
#include "xml/status.h"

/* How long a round waits for figures before it decides with those it has: a domain
 * that answers late must not hold up the others. */
#define GATHER_MAX_MS 500
/* How often a moving balloon is looked at; Linux arrives within 65–490 ms. */
#define WATCH_INTERVAL_MS 200
/* A monitor that is busy this long isn't merely serving somebody else. */
#define OCCUPIED_US (3 * CAGMA_SECOND_US)
/* How often domains that aren't managed are looked at: an automatic budget depends on
 * their resident memory, and one that becomes managed is known already. */
#define BYSTANDER_PERIODS 10
/* How long a start that was announced is waited for. */
#define EXPECT_US (60 * CAGMA_SECOND_US)
#define STOP_MAX_MS 5000
/* A balloon is known when it has stood still, or its guest has reported twice. */
#define LEARN_PERIODS 3
/* How often it is tried to have a domain's statistics collected, where that fails. */
#define STATS_PERIOD_RETRY_US (30 * CAGMA_SECOND_US)

typedef struct {
  uint64_t memory_kib;
  int64_t expires_us;
} Expected;

struct CagmaManager {
  CagmaBackend *backend;
  CagmaTargets *targets;
  const CagmaConf *conf;
  CagmaReadMemory read_memory;
  gboolean dry_run;

  GHashTable *by_uuid;  /* CagmaManaged, owned by it */
  GPtrArray *domains;   /* the same, in the order of host.domains */
  GPtrArray *policies;  /* what host.domains points to */
  GHashTable *expected; /* Expected by UUID */
  CagmaHost host;
  CagmaPlan plan;
  GError *refusal; /* why the guard refused the last plan */

  gboolean connected;
  int64_t learn_until_us; /* 0: not yet connected */
  int64_t decided_us;
  unsigned round;
  unsigned last_tag;
  unsigned awaited;
  guint tick_source;
  guint gather_source;
  guint watch_source;
  guint decide_source;

  GSourceFunc stopped; /* NULL: not stopping */
  gboolean is_stopped;
  gpointer stopped_data;
  guint stop_source;
};

static void pump(CagmaManager *manager, CagmaManaged *managed);
static void decide(CagmaManager *manager);

static void
want(CagmaManager *manager, CagmaManaged *managed, CagmaRequestKind kind)
{
  managed->wanted |= 1u << kind;
  pump(manager, managed);
}

/* The table of domains. */

static void
reindex(CagmaManager *manager)
{
  g_ptr_array_set_size(manager->policies, 0);
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    g_ptr_array_add(manager->policies, &managed->policy);
    /* A status says why, and that is decided anew. */
    if (!manager->stopped)
      managed->wanted &= ~(1u << CAGMA_REQUEST_STATUS);
  }
  manager->host.domains = (CagmaDomain **)manager->policies->pdata;
  manager->host.n_domains = manager->policies->len;
  /* Indices into the last plan mean nothing any more. */
  manager->plan.n_decisions = 0;
}

static CagmaManaged *
add_domain(CagmaManager *manager, const char *uuid, const char *name, int id)
{
  CagmaManaged *managed = cagma_managed_new(uuid, name, id, g_get_monotonic_time());
  const Expected *expected = g_hash_table_lookup(manager->expected, uuid);

  /* Counted as what was announced until it is described. */
  if (expected)
    managed->policy.max_kib = expected->memory_kib;
  g_hash_table_remove(manager->expected, uuid);
  g_hash_table_insert(manager->by_uuid, managed->uuid, managed);
  g_ptr_array_add(manager->domains, managed);
  reindex(manager);
  return managed;
}

static void
remove_domain(CagmaManager *manager, CagmaManaged *managed)
{
  if (managed->awaited)
    manager->awaited--;
  cagma_targets_drop(manager->targets, managed->uuid);
  g_ptr_array_remove(manager->domains, managed);
  g_hash_table_remove(manager->by_uuid, managed->uuid);
  reindex(manager);
}

static size_t
index_of(CagmaManager *manager, const CagmaManaged *managed)
{
  guint index;

  if (manager->plan.n_decisions && g_ptr_array_find(manager->domains, managed, &index))
    return index;
  return G_MAXSIZE;
}

/* What a domain holds can't be counted before it is known how much it has. One that
 * has no readable XML counts with that, and holds nobody up. */
static gboolean
all_counted(CagmaManager *manager)
{
  for (guint i = 0; i < manager->domains->len; i++)
    if (!((CagmaManaged *)manager->domains->pdata[i])->policy.max_kib)
      return FALSE;
  return TRUE;
}

/* Requests: at most one in flight for each domain, the most urgent first. */

static char *
status_text(CagmaManager *manager, CagmaManaged *managed, size_t index)
{
  int64_t now_us = g_get_monotonic_time();
  g_autofree char *reason = NULL;

  if (manager->stopped || (!managed->policy.managed && !cagma_managed_is_invalid(managed))) {
    managed->status_us = now_us;
    return NULL;
  }
  reason = cagma_report_reason(managed, &manager->host, &manager->plan, index, now_us);
  return cagma_report_status(managed, reason, now_us);
}

static unsigned
stats_period_s(CagmaManager *manager)
{
  /* Guests report often enough that a period has news, and not oftener than each
   * second, which is QEMU's least. */
  return (unsigned)CLAMP(manager->conf->period_us / CAGMA_SECOND_US / 2, 1, 5);
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
    request->jobs = managed->busy;
    break;
  case CAGMA_REQUEST_SET:
    managed->setting = TRUE;
    request->target_kib = managed->policy.target_kib;
    break;
  case CAGMA_REQUEST_STATUS:
    request->status_xml = status_text(manager, managed, index_of(manager, managed));
    break;
  }
  return request;
}

static unsigned
next_tag(CagmaManager *manager)
{
  if (++manager->last_tag == 0)
    manager->last_tag = 1;
  return manager->last_tag;
}

static void
pump(CagmaManager *manager, CagmaManaged *managed)
{
  static const CagmaRequestKind order[] = { CAGMA_REQUEST_SET, CAGMA_REQUEST_DESCRIBE, CAGMA_REQUEST_SAMPLE,
                                            CAGMA_REQUEST_STATUS };
  CagmaRequest *request;

  if (!manager->connected || managed->in_flight)
    return;
  for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
    if (!(managed->wanted & (1u << order[i])))
      continue;
    managed->wanted &= ~(1u << order[i]);
    request = prepare(manager, managed, order[i]);
    request->tag = managed->in_flight = next_tag(manager);
    manager->backend->submit(manager->backend, request);
    return;
  }
}

/* Rounds: figures of all, then a decision. */

static gboolean
decide_idle(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->decide_source = 0;
  decide(manager);
  return G_SOURCE_REMOVE;
}

static void
decide_soon(CagmaManager *manager)
{
  if (!manager->decide_source && !manager->stopped)
    manager->decide_source = g_idle_add_full(G_PRIORITY_DEFAULT, decide_idle, manager, NULL);
}

static gboolean
gather_over(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->gather_source = 0;
  for (guint i = 0; i < manager->domains->len; i++)
    ((CagmaManaged *)manager->domains->pdata[i])->awaited = FALSE;
  manager->awaited = 0;
  decide(manager);
  return G_SOURCE_REMOVE;
}

static void
arrived(CagmaManager *manager, CagmaManaged *managed)
{
  if (!managed->awaited)
    return;
  managed->awaited = FALSE;
  if (--manager->awaited == 0 && manager->gather_source) {
    g_clear_handle_id(&manager->gather_source, g_source_remove);
    decide_soon(manager);
  }
}

/* Whose figures this round needs. */
static gboolean
is_sampled(CagmaManager *manager, const CagmaManaged *managed)
{
  if (!managed->xml)
    return FALSE;
  if (managed->policy.managed)
    return TRUE;
  return manager->round % BYSTANDER_PERIODS == 0;
}

/* Without statistics a managed domain is blind. Says when it is time to ask for them. */
static gboolean
lacks_stats_period(CagmaManager *manager, CagmaManaged *managed)
{
  int64_t now_us = g_get_monotonic_time();

  if (manager->dry_run || !managed->policy.managed || !managed->xml->balloon ||
      managed->xml->stats_period_s || managed->stats_period_s || now_us < managed->stats_period_next_us)
    return FALSE;
  managed->stats_period_next_us = now_us + STATS_PERIOD_RETRY_US;
  managed->stats_period_due = TRUE;
  return TRUE;
}

static gboolean
tick(gpointer user_data)
{
  CagmaManager *manager = user_data;
  guint64 gather_ms = MIN((guint64)manager->conf->period_us / 2000, GATHER_MAX_MS);

  if (!manager->connected)
    return G_SOURCE_CONTINUE;
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    if (!managed->xml || managed->describe_again || lacks_stats_period(manager, managed))
      want(manager, managed, CAGMA_REQUEST_DESCRIBE);
    if (!is_sampled(manager, managed))
      continue;
    if (!managed->in_flight && !managed->policy.unresponsive && !managed->awaited) {
      managed->awaited = TRUE;
      manager->awaited++;
    }
    want(manager, managed, CAGMA_REQUEST_SAMPLE);
  }
  manager->round++;
  if (!manager->gather_source)
    manager->gather_source = g_timeout_add((guint)gather_ms, gather_over, manager);
  return G_SOURCE_CONTINUE;
}

/* Balloons on their way are looked at until they have arrived. */
static gboolean
watch(gpointer user_data)
{
  CagmaManager *manager = user_data;
  gboolean moving = FALSE;

  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    if (managed->policy.move == CAGMA_MOVE_NONE)
      continue;
    moving = TRUE;
    want(manager, managed, CAGMA_REQUEST_SAMPLE);
  }
  if (moving)
    return G_SOURCE_CONTINUE;
  manager->watch_source = 0;
  return G_SOURCE_REMOVE;
}

/* Deciding and doing. */

static gboolean
read_budget(CagmaManager *manager, int64_t now_us)
{
  const CagmaConf *conf = manager->conf;
  CagmaHost *host = &manager->host;
  g_autoptr(GError) error = NULL;
  CagmaHostMemory memory = { 0 };
  GHashTableIter iter;
  gpointer value;

  host->budget = conf->budget;
  host->surplus = conf->surplus;
  host->period_us = conf->period_us;
  host->budget_kib = conf->budget_kib;
  if (conf->budget == CAGMA_BUDGET_AUTO) {
    if (!manager->read_memory(&memory, &error)) {
      g_warning("nothing is decided: %s", error->message);
      return FALSE;
    }
    host->total_kib = memory.total_kib;
    host->available_kib = memory.available_kib;
    host->merged_kib = memory.merged_kib;
  }
  host->reserve_kib = conf->reserve_kib;
  if (conf->reserve_permille)
    host->reserve_kib = cagma_permille(conf->budget == CAGMA_BUDGET_AUTO ? host->total_kib : host->budget_kib,
                                       conf->reserve_permille);

  host->incoming_kib = 0;
  g_hash_table_iter_init(&iter, manager->expected);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    Expected *expected = value;

    if (now_us >= expected->expires_us)
      g_hash_table_iter_remove(&iter);
    else
      host->incoming_kib += expected->memory_kib;
  }
  return TRUE;
}

static void
act(CagmaManager *manager, const CagmaStep *step, int64_t now_us)
{
  CagmaManaged *managed = manager->domains->pdata[step->domain];
  uint64_t from_kib = cagma_domain_standing(&managed->policy);
  g_autofree char *reason = cagma_explain_reason(&manager->host, &manager->plan, step->domain, now_us);
  g_autoptr(GError) error = NULL;

  if (manager->dry_run) {
    if (managed->would_kib != step->target_kib)
      g_message("%s: would set %" PRIu64 " MiB → %" PRIu64 " MiB: %s", managed->name, from_kib / 1024,
                step->target_kib / 1024, reason);
    managed->would_kib = step->target_kib;
    /* Making a target known changes nothing; without it nothing else is decided. */
    if (step->target_kib == managed->policy.actual_kib)
      cagma_domain_set(&managed->policy, step->target_kib, now_us);
    return;
  }
  /* A move that couldn't be known again after a crash isn't made. */
  if (!cagma_targets_put(manager->targets, managed->uuid, managed->id, step->target_kib, &error)) {
    g_prefix_error(&error, "not set: ");
    cagma_managed_complain(managed, error->message);
    return;
  }
  g_message("%s: %" PRIu64 " MiB → %" PRIu64 " MiB: %s", managed->name, from_kib / 1024,
            step->target_kib / 1024, reason);
  if (!managed->setting && !(managed->wanted & (1u << CAGMA_REQUEST_SET)))
    managed->previous_target_kib = managed->policy.target_kib;
  cagma_domain_set(&managed->policy, step->target_kib, now_us);
  managed->change_kib = (int64_t)step->target_kib - (int64_t)from_kib;
  g_free(managed->changed);
  managed->changed = cagma_report_now();
  want(manager, managed, CAGMA_REQUEST_SET);
  if (!manager->watch_source)
    manager->watch_source = g_timeout_add(WATCH_INTERVAL_MS, watch, manager);
}

/* The target that was announced isn't what the domain is asked for after all. */
static void
keep_previous_target(CagmaManager *manager, CagmaManaged *managed)
{
  g_autoptr(GError) error = NULL;

  managed->wanted &= ~(1u << CAGMA_REQUEST_SET);
  managed->change_kib = 0;
  g_clear_pointer(&managed->changed, g_free);
  if (!managed->previous_target_kib)
    cagma_targets_drop(manager->targets, managed->uuid);
  else if (!cagma_targets_put(manager->targets, managed->uuid, managed->id, managed->previous_target_kib,
                              &error))
    cagma_managed_complain(managed, error->message);
}

/* A move that is decided but not asked for yet no longer fits what the domain now is. */
static void
take_back(CagmaManager *manager, CagmaManaged *managed)
{
  if (!(managed->wanted & (1u << CAGMA_REQUEST_SET)))
    return;
  managed->policy.target_kib = managed->previous_target_kib;
  managed->policy.move = CAGMA_MOVE_NONE;
  managed->policy.shrunk_us = 0;
  keep_previous_target(manager, managed);
}

static void
note_decisions(CagmaManager *manager, int64_t now_us)
{
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    managed->decision = manager->plan.decisions[i];
    managed->decided = TRUE;
    if (!manager->dry_run && cagma_report_is_due(managed, now_us))
      want(manager, managed, CAGMA_REQUEST_STATUS);
  }
}

/* Domains that ran before us are counted in full until their balloons are known, one
 * a little before the other. After a restart, none is to give because of that. */
static gboolean
is_learning(CagmaManager *manager, int64_t now_us)
{
  if (now_us >= manager->learn_until_us)
    return FALSE;
  for (guint i = 0; i < manager->policies->len; i++) {
    const CagmaDomain *policy = manager->policies->pdata[i];

    if (policy->managed && policy->config.mode == CAGMA_MODE_ENFORCE && !policy->hold &&
        !policy->unresponsive && (!policy->settled || !policy->target_kib))
      return TRUE;
  }
  return FALSE;
}

static void
decide(CagmaManager *manager)
{
  int64_t now_us = g_get_monotonic_time();

  if (!manager->connected || manager->stopped || !all_counted(manager) || !read_budget(manager, now_us))
    return;

  manager->host.learning = is_learning(manager, now_us);
  cagma_decide(&manager->host, now_us, &manager->plan);
  g_clear_error(&manager->refusal);
  if (cagma_guard_check(&manager->host, &manager->plan, now_us, &manager->refusal)) {
    for (size_t i = 0; i < manager->plan.n_steps; i++)
      act(manager, &manager->plan.steps[i], now_us);
  } else {
    g_critical("the plan was refused, nothing is moved: %s", manager->refusal->message);
  }
  manager->decided_us = now_us;
  note_decisions(manager, now_us);
}

/* Answers. */

static void
described(CagmaManager *manager, CagmaManaged *managed, CagmaRequest *request)
{
  CagmaDomain *policy = &managed->policy;
  g_autoptr(GError) error = NULL;
  gboolean first = !managed->xml, was_pinned = managed->xml && managed->xml->pinned;
  CagmaDomainXml *xml = cagma_domain_xml_parse(request->xml, -1, &manager->conf->defaults, &error);

  managed->describe_again = FALSE;
  if (!xml) {
    g_prefix_error(&error, "its XML can't be read: ");
    cagma_managed_complain(managed, error->message);
    decide_soon(manager);
    return;
  }
  take_back(manager, managed);
  if (xml->config_error && (first || !cagma_managed_is_invalid(managed)))
    g_warning("%s: %s; it is left untouched", managed->name, xml->config_error->message);
  cagma_managed_describe(managed, xml, request->paused, manager->conf);
  if (request->stats_period_s && !request->stats_period_set)
    managed->stats_period_s = 0;
  /* A status that a killed daemon left is ours to replace or remove. */
  if (first && strstr(request->xml, CAGMA_STATUS_URI))
    managed->status_written = TRUE;

  if (managed->begins || (xml->pinned && !first && !was_pinned))
    cagma_domain_restart(policy, managed->begins ? xml->current_kib : policy->target_kib,
                         g_get_monotonic_time());
  else if (first)
    policy->target_kib = cagma_targets_get(manager->targets, managed->uuid, managed->id);
  managed->resumed = first && !managed->begins && policy->target_kib;
  managed->begins = FALSE;

  if (lacks_stats_period(manager, managed))
    want(manager, managed, CAGMA_REQUEST_DESCRIBE);
  if (first)
    want(manager, managed, CAGMA_REQUEST_SAMPLE);
  decide_soon(manager);
}

/* An earlier daemon announced this target: if the balloon stands still elsewhere, it
 * never got to ask for it, or the guest didn't follow. Either way it is taken back. */
static void
check_resumed(CagmaManaged *managed)
{
  CagmaDomain *policy = &managed->policy;

  managed->resumed = FALSE;
  if (policy->move == CAGMA_MOVE_NONE &&
      (cagma_above(policy->target_kib, policy->actual_kib) > CAGMA_REACHED_KIB ||
       cagma_above(policy->actual_kib, policy->target_kib) > CAGMA_REACHED_KIB))
    policy->withdraw = TRUE;
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

  cagma_domain_feed(&managed->policy, &request->sample, g_get_monotonic_time());
  if (managed->resumed && managed->policy.settled)
    check_resumed(managed);
  /* A balloon that has arrived may be what a growth waits for. */
  if (before != CAGMA_MOVE_NONE && managed->policy.move == CAGMA_MOVE_NONE)
    decide_soon(manager);
}

static void
set_done(CagmaManager *manager, CagmaManaged *managed, CagmaRequest *request)
{
  switch (request->outcome) {
  case CAGMA_OUTCOME_FAILED:
  case CAGMA_OUTCOME_BUSY:
  case CAGMA_OUTCOME_OCCUPIED:
    cagma_domain_refused(&managed->policy, managed->previous_target_kib, g_get_monotonic_time());
    keep_previous_target(manager, managed);
    break;
  case CAGMA_OUTCOME_DONE:
    want(manager, managed, CAGMA_REQUEST_SAMPLE);
    /* fall through */
  default:
    /* Whether it happened isn't known, unless it is done: the target counts, and if
     * the balloon doesn't move, it is withdrawn. */
    managed->previous_target_kib = request->target_kib;
    break;
  }
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

/* Tells it once. */
static void
stop_over(CagmaManager *manager)
{
  g_clear_handle_id(&manager->stop_source, g_source_remove);
  if (manager->is_stopped)
    return;
  manager->is_stopped = TRUE;
  manager->stopped(manager->stopped_data);
}

static void
maybe_stopped(CagmaManager *manager)
{
  if (!manager->stopped)
    return;
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    if (managed->in_flight || managed->wanted)
      return;
  }
  stop_over(manager);
}

static void
on_completed(void *owner, CagmaRequest *taken)
{
  CagmaManager *manager = owner;
  g_autoptr(CagmaRequest) request = taken;
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, request->uuid);

  /* It may have stopped meanwhile, and even begun anew. */
  if (!managed || managed->in_flight != request->tag)
    return;
  managed->in_flight = 0;
  managed->setting = FALSE;
  if (managed->disregard == request->tag) {
    managed->disregard = 0;
    arrived(manager, managed);
    pump(manager, managed);
    maybe_stopped(manager);
    return;
  }
  if (request->outcome == CAGMA_OUTCOME_GONE) {
    remove_domain(manager, managed);
    decide_soon(manager);
    maybe_stopped(manager);
    return;
  }
  note_outcome(managed, request);
  if (request->error)
    cagma_managed_complain(managed, request->error->message);

  if (request->kind == CAGMA_REQUEST_SET)
    set_done(manager, managed, request);
  else if (request->kind == CAGMA_REQUEST_DESCRIBE)
    answered_description(manager, managed, request);
  else if (request->outcome == CAGMA_OUTCOME_DONE && request->kind == CAGMA_REQUEST_SAMPLE)
    sampled(manager, managed, request);
  else if (request->kind == CAGMA_REQUEST_STATUS)
    managed->status_written = (request->outcome == CAGMA_OUTCOME_DONE) == (request->status_xml != NULL);

  if (request->kind == CAGMA_REQUEST_SAMPLE)
    arrived(manager, managed);
  pump(manager, managed);
  maybe_stopped(manager);
}

/* Events. */

/* Its guest began anew: what was learned is forgotten, its size read again. */
static void
began(CagmaManager *manager, CagmaManaged *managed)
{
  take_back(manager, managed);
  managed->disregard = managed->in_flight;
  managed->setting = FALSE;
  managed->begins = TRUE;
  managed->busy = FALSE;
  managed->stats_period_s = 0;
  managed->stats_period_next_us = 0;
  managed->status_written = FALSE;
  managed->status_us = 0;
  cagma_domain_restart(&managed->policy, 0, g_get_monotonic_time());
  want(manager, managed, CAGMA_REQUEST_DESCRIBE);
}

static void
on_event(void *owner, const CagmaEvent *event)
{
  CagmaManager *manager = owner;
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, event->uuid);

  if (manager->stopped && event->kind != CAGMA_EVENT_STOPPED)
    return;
  if (event->kind == CAGMA_EVENT_STARTED) {
    if (!managed)
      managed = add_domain(manager, event->uuid, event->name, -1);
    began(manager, managed);
    return;
  }
  if (!managed)
    return;

  switch (event->kind) {
  case CAGMA_EVENT_STOPPED:
    remove_domain(manager, managed);
    decide_soon(manager);
    maybe_stopped(manager);
    break;
  case CAGMA_EVENT_PAUSED:
  case CAGMA_EVENT_RESUMED:
    managed->paused = event->kind == CAGMA_EVENT_PAUSED;
    cagma_managed_update_hold(managed);
    take_back(manager, managed);
    /* A description under way may be from before. */
    want(manager, managed, CAGMA_REQUEST_DESCRIBE);
    decide_soon(manager);
    break;
  case CAGMA_EVENT_REBOOTED:
    cagma_domain_restart(&managed->policy, managed->policy.target_kib, g_get_monotonic_time());
    decide_soon(manager);
    break;
  case CAGMA_EVENT_CHANGED:
  case CAGMA_EVENT_DEVICE_ADDED:
    want(manager, managed, CAGMA_REQUEST_DESCRIBE);
    break;
  case CAGMA_EVENT_BALLOON:
    /* The event may lag behind; the figure is asked for. */
    want(manager, managed, CAGMA_REQUEST_SAMPLE);
    break;
  default:
    break;
  }
}

static void
on_connected(void *owner, GPtrArray *running)
{
  CagmaManager *manager = owner;
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

  manager->connected = TRUE;
  if (!manager->learn_until_us)
    manager->learn_until_us =
        g_get_monotonic_time() + CAGMA_SETTLE_US + LEARN_PERIODS * manager->conf->period_us;
  for (guint i = 0; i < running->len; i++) {
    const CagmaRunning *one = running->pdata[i];
    CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, one->uuid);

    if (!managed)
      managed = add_domain(manager, one->uuid, one->name, one->id);
    else if (managed->id != one->id)
      began(manager, managed);
    managed->id = one->id;
    g_hash_table_add(seen, managed->uuid);
    want(manager, managed, CAGMA_REQUEST_DESCRIBE);
  }
  for (guint i = manager->domains->len; i > 0; i--) {
    CagmaManaged *managed = manager->domains->pdata[i - 1];

    if (!g_hash_table_contains(seen, managed->uuid))
      remove_domain(manager, managed);
  }
  g_message("connected to %s: %u domains run", manager->conf->uri, manager->domains->len);
}

static void
on_disconnected(void *owner, const char *reason)
{
  CagmaManager *manager = owner;

  manager->connected = FALSE;
  g_warning("%s: %s; nothing is moved until it is back", manager->conf->uri, reason);
}

/* The outside. */

static void
start_ticking(CagmaManager *manager)
{
  g_clear_handle_id(&manager->tick_source, g_source_remove);
  manager->tick_source = g_timeout_add((guint)(manager->conf->period_us / 1000), tick, manager);
}

CagmaManager *
cagma_manager_new(CagmaBackend *backend, CagmaTargets *targets, const CagmaConf *conf,
                  CagmaReadMemory read_memory, gboolean dry_run)
{
  CagmaManager *manager = g_new0(CagmaManager, 1);

  manager->backend = backend;
  manager->targets = targets;
  manager->conf = conf;
  manager->read_memory = read_memory;
  manager->dry_run = dry_run;
  manager->by_uuid = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)cagma_managed_free);
  manager->domains = g_ptr_array_new();
  manager->policies = g_ptr_array_new();
  manager->expected = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  return manager;
}

void
cagma_manager_free(CagmaManager *manager)
{
  if (!manager)
    return;
  g_clear_handle_id(&manager->tick_source, g_source_remove);
  g_clear_handle_id(&manager->gather_source, g_source_remove);
  g_clear_handle_id(&manager->watch_source, g_source_remove);
  g_clear_handle_id(&manager->decide_source, g_source_remove);
  g_clear_handle_id(&manager->stop_source, g_source_remove);
  cagma_plan_clear(&manager->plan);
  g_clear_error(&manager->refusal);
  g_ptr_array_unref(manager->domains);
  g_ptr_array_unref(manager->policies);
  g_hash_table_unref(manager->expected);
  g_hash_table_unref(manager->by_uuid);
  g_free(manager);
}

void
cagma_manager_start(CagmaManager *manager)
{
  static const CagmaListener listener = { on_connected, on_disconnected, on_event, on_completed };

  manager->backend->open(manager->backend, &listener, manager);
  start_ticking(manager);
}

static gboolean
stop_late(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->stop_source = 0;
  g_warning("some domains keep their status: they did not answer in time");
  stop_over(manager);
  return G_SOURCE_REMOVE;
}

static gboolean
stop_at_once(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->stop_source = 0;
  stop_over(manager);
  return G_SOURCE_REMOVE;
}

void
cagma_manager_stop(CagmaManager *manager, GSourceFunc done, gpointer user_data)
{
  gboolean busy = FALSE;

  if (manager->stopped)
    return;
  manager->stopped = done;
  manager->stopped_data = user_data;
  g_clear_handle_id(&manager->tick_source, g_source_remove);
  g_clear_handle_id(&manager->gather_source, g_source_remove);
  g_clear_handle_id(&manager->watch_source, g_source_remove);
  g_clear_handle_id(&manager->decide_source, g_source_remove);

  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    take_back(manager, managed);
    managed->wanted = 0;
    if (managed->status_written && !manager->dry_run && manager->connected && !managed->policy.unresponsive)
      want(manager, managed, CAGMA_REQUEST_STATUS);
    busy = busy || managed->in_flight != 0;
  }
  manager->stop_source =
      busy ? g_timeout_add(STOP_MAX_MS, stop_late, manager) : g_idle_add(stop_at_once, manager);
}

void
cagma_manager_configure(CagmaManager *manager, const CagmaConf *conf)
{
  manager->conf = conf;
  if (manager->stopped)
    return;
  start_ticking(manager);
  for (guint i = 0; i < manager->domains->len; i++)
    want(manager, manager->domains->pdata[i], CAGMA_REQUEST_DESCRIBE);
}

void
cagma_manager_expect(CagmaManager *manager, const char *uuid, const char *name, uint64_t memory_kib)
{
  g_autofree char *shown = cagma_printable(name, CAGMA_QUOTE_CHARS);
  Expected *expected;

  if (g_hash_table_contains(manager->by_uuid, uuid))
    return;
  expected = g_new0(Expected, 1);
  expected->memory_kib = cagma_min_kib(memory_kib, CAGMA_MAX_KIB);
  expected->expires_us = g_get_monotonic_time() + EXPECT_US;
  g_hash_table_replace(manager->expected, g_strdup(uuid), expected);
  g_message("%s is about to start with %" PRIu64 " MiB", shown, memory_kib / 1024);
  decide_soon(manager);
}

void
cagma_manager_expect_no_more(CagmaManager *manager, const char *uuid)
{
  if (g_hash_table_remove(manager->expected, uuid))
    decide_soon(manager);
}

gboolean
cagma_manager_is_alive(CagmaManager *manager)
{
  return manager->connected && manager->decided_us &&
         g_get_monotonic_time() - manager->decided_us < 3 * manager->conf->period_us + CAGMA_SECOND_US;
}

GVariant *
cagma_manager_host_info(CagmaManager *manager)
{
  const CagmaHost *host = &manager->host;
  GVariantDict info;
  uint64_t charge_kib = 0;

  for (size_t i = 0; i < host->n_domains; i++)
    charge_kib += cagma_domain_charge(host->domains[i]);

  g_variant_dict_init(&info, NULL);
  g_variant_dict_insert(&info, "version", "s", CAGMA_VERSION);
  g_variant_dict_insert(&info, "uri", "s", manager->conf->uri);
  g_variant_dict_insert(&info, "connected", "b", manager->connected);
  g_variant_dict_insert(&info, "dry-run", "b", manager->dry_run);
  g_variant_dict_insert(&info, "policy", "s", "cagma");
  g_variant_dict_insert(&info, "budget", "s", manager->conf->budget == CAGMA_BUDGET_AUTO ? "auto" : "fixed");
  g_variant_dict_insert(&info, "charge-kib", "t", (guint64)charge_kib);
  if (manager->decided_us) {
    g_variant_dict_insert(&info, "budget-kib", "t",
                          (guint64)(host->budget == CAGMA_BUDGET_AUTO ? host->total_kib : host->budget_kib));
    if (host->budget == CAGMA_BUDGET_AUTO)
      g_variant_dict_insert(&info, "available-kib", "t", (guint64)host->available_kib);
    g_variant_dict_insert(&info, "reserve-kib", "t", (guint64)host->reserve_kib);
    g_variant_dict_insert(&info, "incoming-kib", "t", (guint64)host->incoming_kib);
    g_variant_dict_insert(&info, "in-hand-kib", "x", (gint64)manager->plan.in_hand_kib);
    g_variant_dict_insert(&info, "coming-kib", "t", (guint64)manager->plan.coming_kib);
    g_variant_dict_insert(&info, "shortfall-kib", "t", (guint64)manager->plan.shortfall_kib);
  }
  return g_variant_dict_end(&info);
}

GVariant *
cagma_manager_domain_infos(CagmaManager *manager)
{
  int64_t now_us = g_get_monotonic_time();
  GVariantBuilder infos;

  g_variant_builder_init(&infos, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];
    g_autofree char *reason = cagma_report_reason(managed, &manager->host, &manager->plan, i, now_us);

    g_variant_builder_add_value(&infos, cagma_report_info(managed, reason));
  }
  return g_variant_builder_end(&infos);
}

static CagmaManaged *
find_domain(CagmaManager *manager, const char *name_or_uuid)
{
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, name_or_uuid);

  for (guint i = 0; !managed && i < manager->domains->len; i++) {
    CagmaManaged *one = manager->domains->pdata[i];

    if (g_str_equal(one->name, name_or_uuid))
      managed = one;
  }
  return managed;
}

char *
cagma_manager_explain(CagmaManager *manager, const char *name_or_uuid)
{
  CagmaManaged *managed = find_domain(manager, name_or_uuid);
  int64_t now_us = g_get_monotonic_time();
  g_autofree char *text = NULL;
  size_t index;

  if (!managed)
    return NULL;
  index = index_of(manager, managed);
  if (cagma_managed_is_invalid(managed) || !managed->decided || index == G_MAXSIZE) {
    g_autofree char *reason = cagma_report_reason(managed, &manager->host, &manager->plan, index, now_us);

    return g_strdup_printf("%s: %s.\n", cagma_state_to_string(cagma_report_state(managed)), reason);
  }
  text = cagma_explain(&manager->host, &manager->plan, index, now_us);
  if (manager->refusal)
    return g_strdup_printf("%sguard: refused the whole plan: %s.\n", text, manager->refusal->message);
  if (managed->decision.target_kib)
    return g_strdup_printf("%sguard: found the plan to keep every guarantee%s.\n", text,
                           manager->dry_run ? "; dry run: nothing was set" : "");
  return g_steal_pointer(&text);
}
