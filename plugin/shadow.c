/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/shadow.h"

#include "plugin/record-fields.h"
#include "policy/explain.h"
#include "policy/guard.h"
#include "policy/units.h"

/* Clocks don't begin at nothing. */
#define CLOCK_BEGINS_US (1000 * CAGMA_SECOND_US)

/* A domain as our policy would know it. */
typedef struct {
  uint64_t number;
  CagmaDomain policy;
  char hold[CAGMA_HOLD_BYTES]; /* policy.hold points here */
} Twin;

/* When a peer's guest made its newest report. */
typedef struct {
  uint64_t stamp;
  uint64_t at_kib; /* its size then */
} Report;

struct CagmaShadow {
  CagmaContestant contestant;
  gboolean has_surplus;
  CagmaSurplus surplus;
  gboolean refused;
  gboolean begun; /* the host's own memory of things is there */

  /* A policy's: twins by number. */
  CagmaHost host;
  CagmaPlan plan;
  GHashTable *twins;
  GPtrArray *domains; /* host.domains */

  /* A peer's. */
  gpointer memory;
  CagmaPeerHost peer_host;
  GHashTable *reports; /* by number */
  GArray *targets_kib; /* uint64_t, of each of the moment's domains */
  int64_t decide_us;
  gboolean news;
};

CagmaShadow *
cagma_shadow_new(const CagmaContestant *contestant, const CagmaSurplus *surplus, size_t n_guests)
{
  CagmaShadow *shadow = g_new0(CagmaShadow, 1);

  shadow->contestant = *contestant;
  shadow->has_surplus = surplus != NULL;
  if (surplus)
    shadow->surplus = *surplus;
  shadow->twins = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
  shadow->domains = g_ptr_array_new();
  shadow->reports = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
  shadow->targets_kib = g_array_new(FALSE, TRUE, sizeof(uint64_t));
  if (contestant->peer) {
    shadow->memory = contestant->peer->start ? contestant->peer->start(n_guests) : NULL;
    shadow->peer_host.guests = g_new0(CagmaPeerGuest, n_guests);
    shadow->peer_host.n_guests = n_guests;
  }
  return shadow;
}

void
cagma_shadow_free(CagmaShadow *shadow)
{
  if (!shadow)
    return;
  if (shadow->contestant.peer && shadow->contestant.peer->end)
    shadow->contestant.peer->end(shadow->memory);
  cagma_plan_clear(&shadow->plan);
  g_hash_table_unref(shadow->twins);
  g_ptr_array_unref(shadow->domains);
  g_hash_table_unref(shadow->reports);
  g_array_unref(shadow->targets_kib);
  g_free(shadow->peer_host.guests);
  g_free(shadow);
}

void
cagma_shadow_forget(CagmaShadow *shadow)
{
  g_hash_table_remove_all(shadow->twins);
  g_hash_table_remove_all(shadow->reports);
  shadow->begun = FALSE;
}

/* What its owner says of it, but how its need is estimated where the policy says that. */
static void
set_terms(const CagmaShadow *shadow, Twin *twin, const CagmaRebuiltDomain *domain, CagmaPolicyKind recorded)
{
  const CagmaPolicy *ours = shadow->contestant.policy, *theirs = cagma_policy_of(recorded);
  CagmaConfig *config = &twin->policy.config;

  cagma_copy_fields(&cagma_terms_fields, &twin->policy, &domain->policy);
  cagma_hold_copy(twin->hold, domain->policy.hold);
  twin->policy.hold = domain->policy.hold ? twin->hold : NULL;
  twin->policy.without |= shadow->contestant.without;
  if (!(config->given & CAGMA_GIVEN_ESTIMATOR) && config->estimator == theirs->estimator)
    config->estimator = ours->estimator;
  if (!(config->given & CAGMA_GIVEN_SOURCE) && config->source == theirs->source)
    config->source = ours->source;
}

static Twin *
twin_of(CagmaShadow *shadow, const CagmaRebuiltDomain *domain, CagmaPolicyKind recorded)
{
  Twin *twin = g_hash_table_lookup(shadow->twins, &domain->number);

  if (!twin) {
    twin = g_new0(Twin, 1);
    twin->number = domain->number;
    twin->policy = domain->policy;
    g_hash_table_insert(shadow->twins, &twin->number, twin);
  }
  set_terms(shadow, twin, domain, recorded);
  return twin;
}

/* A report of the balloon's is new where its mark is; others are when they arrive. */
static void
note_report(CagmaShadow *shadow, const CagmaRebuiltDomain *domain, const CagmaSample *sample)
{
  Report *report = g_hash_table_lookup(shadow->reports, &domain->number);

  if (!(sample->has & CAGMA_HAS_REPORT) || sample->source < domain->policy.source)
    return;
  if (!report) {
    report = g_new0(Report, 1);
    g_hash_table_insert(shadow->reports, g_memdup2(&domain->number, sizeof domain->number), report);
  } else if ((sample->has & CAGMA_HAS_STAMP) && sample->stamp == report->stamp) {
    return;
  }
  report->stamp = sample->stamp;
  report->at_kib = sample->has & CAGMA_HAS_ACTUAL ? sample->actual_kib : domain->policy.actual_kib;
  shadow->news = TRUE;
}

void
cagma_shadow_input(CagmaShadow *shadow, const CagmaRebuiltDomain *domain, const CagmaInput *input)
{
  CagmaInput own = *input;
  CagmaDemand demand;
  Twin *twin;

  if (shadow->contestant.peer) {
    if (input->kind == CAGMA_INPUT_SAMPLE)
      note_report(shadow, domain, &input->sample);
    return;
  }
  twin = twin_of(shadow, domain, shadow->host.policy);
  if (input->kind == CAGMA_INPUT_PRESSURE) {
    /* Its critical amount is the policy's to say. */
    cagma_estimate(&twin->policy, cagma_host_horizon_us(&shadow->host, &twin->policy), &demand);
    own.kib = demand.critical_kib;
  }
  cagma_input_apply(&twin->policy, &own);
}

static void
drop_the_gone(CagmaShadow *shadow, const CagmaMoment *moment)
{
  g_autoptr(GHashTable) here = g_hash_table_new(g_int64_hash, g_int64_equal);
  GHashTableIter iter;
  gpointer key;

  if (g_hash_table_size(shadow->twins) == moment->n_domains)
    return;
  for (size_t i = 0; i < moment->n_domains; i++)
    g_hash_table_add(here, &moment->domains[i]->number);
  g_hash_table_iter_init(&iter, shadow->twins);
  while (g_hash_table_iter_next(&iter, &key, NULL))
    if (!g_hash_table_contains(here, key))
      g_hash_table_iter_remove(&iter);
}

static void
decide_by_policy(CagmaShadow *shadow, const CagmaMoment *moment)
{
  CagmaHost *host = &shadow->host;
  g_autoptr(GError) refusal = NULL;

  g_ptr_array_set_size(shadow->domains, 0);
  for (size_t i = 0; i < moment->n_domains; i++)
    g_ptr_array_add(shadow->domains, &twin_of(shadow, moment->domains[i], moment->host->policy)->policy);
  drop_the_gone(shadow, moment);
  cagma_copy_fields(&cagma_settings_fields, host, moment->host);
  if (!shadow->begun)
    cagma_copy_fields(&cagma_kept_fields, host, moment->host);
  shadow->begun = TRUE;
  host->domains = (CagmaDomain **)shadow->domains->pdata;
  host->n_domains = shadow->domains->len;
  host->policy = shadow->contestant.policy->kind;
  host->without |= shadow->contestant.without;
  if (shadow->has_surplus)
    host->surplus = shadow->surplus;
  cagma_decide(host, moment->now_us, &shadow->plan);
  shadow->refused = !cagma_guard_check(host, &shadow->plan, moment->now_us, &refusal);
  /* What is told of domains before the next decision is told under the recorded policy. */
  host->policy = moment->host->policy;
}

/* The newest report, and what the host itself sees beside it. */
static void
fill_sample(CagmaSample *sample, const CagmaRebuiltDomain *domain)
{
  const uint32_t hosts = CAGMA_HAS_ACTUAL | CAGMA_HAS_RSS | CAGMA_HAS_BLOCK_READ;
  const CagmaSample *host = &domain->samples[CAGMA_SAMPLE_BALLOON];

  *sample = domain->samples[domain->policy.source];
  sample->source = domain->policy.source;
  sample->has = (sample->has & ~hosts) | (host->has & hosts);
  sample->actual_kib = host->actual_kib;
  sample->rss_kib = host->rss_kib;
  sample->block_read_kib = host->block_read_kib;
}

static void
fill_guest(const CagmaShadow *shadow, CagmaPeerGuest *guest, const CagmaRebuiltDomain *domain)
{
  const CagmaDomain *policy = &domain->policy;
  const Report *report = g_hash_table_lookup(shadow->reports, &domain->number);

  guest->running = policy->managed && policy->config.mode == CAGMA_MODE_ENFORCE && policy->has_actual &&
                   !policy->hold && !policy->unresponsive;
  guest->config = &policy->config;
  guest->max_kib = policy->max_kib;
  guest->reported_at_kib = report ? report->at_kib : 0;
  guest->has_driver = policy->reported || policy->moves;
  guest->target_kib = policy->target_kib ? policy->target_kib : policy->actual_kib;
  fill_sample(&guest->sample, domain);
}

static void
fill_peer_host(CagmaShadow *shadow, const CagmaMoment *moment, const size_t *guests)
{
  static const CagmaConfig nobodys = { 0 };
  CagmaPeerHost *host = &shadow->peer_host;
  const CagmaHost *from = moment->host;
  gboolean fixed = from->budget == CAGMA_BUDGET_FIXED;
  uint64_t touched_kib = 0, taken_kib = 0;

  /* Who isn't there now. */
  for (size_t i = 0; i < host->n_guests; i++)
    host->guests[i] = (CagmaPeerGuest){ .config = &nobodys };
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaDomain *policy = &moment->domains[i]->policy;

    fill_guest(shadow, &host->guests[guests[i]], moment->domains[i]);
    touched_kib += policy->rss_kib;
    taken_kib += policy->has_actual ? policy->actual_kib : policy->max_kib;
  }
  /* Linux' view, of which MOM and Proxmox leave a fifth by themselves; and Xen's, without the reserve. */
  host->total_kib = fixed ? from->budget_kib : from->total_kib;
  host->free_kib = fixed ? cagma_above(host->total_kib, touched_kib) : from->available_kib;
  host->unclaimed_kib = cagma_above(cagma_above(host->total_kib, from->reserve_kib), taken_kib);
}

static gboolean
is_moving(const CagmaMoment *moment)
{
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaDomain *policy = &moment->domains[i]->policy;

    if (policy->move != CAGMA_MOVE_NONE || (policy->managed && !policy->settled))
      return TRUE;
  }
  return FALSE;
}

static gboolean
decide_by_peer(CagmaShadow *shadow, const CagmaMoment *moment, int64_t at_us, const size_t *guests)
{
  const CagmaPeer *peer = shadow->contestant.peer;
  int64_t now_us = CLOCK_BEGINS_US + at_us;

  if (now_us < shadow->decide_us && !(peer->at_reports && shadow->news) &&
      !(peer->at_arrivals && is_moving(moment)))
    return FALSE;
  if (now_us >= shadow->decide_us)
    shadow->decide_us = now_us + peer->period_us;
  shadow->news = FALSE;
  fill_peer_host(shadow, moment, guests);
  peer->decide(shadow->memory, &shadow->peer_host, now_us);

  g_array_set_size(shadow->targets_kib, 0);
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaPeerGuest *guest = &shadow->peer_host.guests[guests[i]];
    const CagmaDomain *policy = &moment->domains[i]->policy;
    uint64_t is_kib = policy->target_kib ? policy->target_kib : policy->actual_kib;
    uint64_t target_kib = guest->running && guest->target_kib != is_kib ? guest->target_kib : 0;

    g_array_append_val(shadow->targets_kib, target_kib);
  }
  return TRUE;
}

gboolean
cagma_shadow_decide(CagmaShadow *shadow, const CagmaMoment *moment, int64_t at_us, const size_t *guests)
{
  if (shadow->contestant.peer)
    return decide_by_peer(shadow, moment, at_us, guests);
  decide_by_policy(shadow, moment);
  return TRUE;
}

uint64_t
cagma_shadow_target(const CagmaShadow *shadow, size_t domain)
{
  if (shadow->contestant.peer)
    return g_array_index(shadow->targets_kib, uint64_t, domain);
  return shadow->refused ? 0 : shadow->plan.decisions[domain].target_kib;
}

gboolean
cagma_shadow_refused(const CagmaShadow *shadow)
{
  return shadow->refused;
}

char *
cagma_shadow_reason(const CagmaShadow *shadow, size_t domain)
{
  if (shadow->contestant.peer)
    return NULL;
  if (shadow->refused)
    return g_strdup("the guard would have refused the plan");
  return cagma_explain_reason(&shadow->plan.decisions[domain]);
}
