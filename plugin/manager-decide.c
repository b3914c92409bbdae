/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

#include <inttypes.h>

#include "plugin/report.h"
#include "policy/explain.h"
#include "policy/guard.h"
#include "policy/rules.h"
#include "policy/units.h"

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

/* What is still to come for a start that was announced. Of one that is only rebooting, what
 * its last run held counts already, as long as it isn't what is free that counts. */
static uint64_t
incoming(CagmaManager *manager, const char *uuid, const Expected *expected)
{
  const CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, uuid);

  if (!managed || manager->conf->budget == CAGMA_BUDGET_AUTO)
    return expected->memory_kib;
  return cagma_above(expected->memory_kib, cagma_domain_charge(&managed->policy));
}

static gboolean
read_budget(CagmaManager *manager, int64_t now_us)
{
  const CagmaConf *conf = manager->conf;
  CagmaHost *host = &manager->host;
  g_autoptr(GError) error = NULL;
  CagmaHostMemory memory = { 0 };
  GHashTableIter iter;
  gpointer uuid, value;
  uint64_t whole_kib;

  host->budget = conf->budget;
  host->surplus = conf->surplus;
  host->period_us = conf->period_us;
  host->budget_kib = conf->budget_kib;
  if (conf->budget == CAGMA_BUDGET_AUTO) {
    if (!manager->backend->host_memory(manager->backend, &memory, &error)) {
      g_warning("nothing is decided: %s", error->message);
      return FALSE;
    }
    host->total_kib = memory.total_kib;
    host->available_kib = memory.available_kib;
    host->merged_kib = memory.merged_kib;
  }
  host->policy = conf->policy;
  host->without = conf->without | (conf->read_back ? 0 : CAGMA_RULE_READ_BACK);
  whole_kib = conf->budget == CAGMA_BUDGET_AUTO ? host->total_kib : host->budget_kib;
  host->reserve_kib =
      conf->reserve_permille ? cagma_permille(whole_kib, conf->reserve_permille) : conf->reserve_kib;
  host->pool_kib = conf->pool_permille ? cagma_permille(whole_kib, conf->pool_permille) : conf->pool_kib;

  host->incoming_kib = 0;
  g_hash_table_iter_init(&iter, manager->expected);
  while (g_hash_table_iter_next(&iter, &uuid, &value)) {
    Expected *expected = value;

    if (now_us >= expected->expires_us)
      g_hash_table_iter_remove(&iter);
    else
      host->incoming_kib += incoming(manager, uuid, expected);
  }
  return TRUE;
}

static void
keep_target(CagmaManager *manager, CagmaManaged *managed, uint64_t target_kib)
{
  g_autoptr(GError) error = NULL;

  managed->wanted &= ~(1u << CAGMA_REQUEST_SET);
  managed->change_kib = 0;
  g_clear_pointer(&managed->changed, g_free);
  if (!target_kib)
    cagma_targets_drop(manager->targets, managed->uuid);
  else if (!cagma_targets_put(manager->targets, managed->uuid, managed->id, target_kib, &error))
    cagma_managed_complain(managed, error->message);
}

void
cagma_manager_keep_previous_target(CagmaManager *manager, CagmaManaged *managed)
{
  keep_target(manager, managed, managed->previous_target_kib);
}

void
cagma_manager_take_back(CagmaManager *manager, CagmaManaged *managed)
{
  /* What is under way may come true. */
  uint64_t stands_kib = managed->setting ? managed->setting_kib : managed->previous_target_kib;

  if (!(managed->wanted & (1u << CAGMA_REQUEST_SET)))
    return;
  cagma_manager_tell_size(manager, managed, CAGMA_INPUT_TAKEN_BACK, stands_kib);
  keep_target(manager, managed, stands_kib);
}

static void
act(CagmaManager *manager, const CagmaStep *step, int64_t now_us)
{
  CagmaManaged *managed = manager->domains->pdata[step->domain];
  const CagmaInput set = { .kind = CAGMA_INPUT_SET, .now_us = now_us, .kib = step->target_kib };
  uint64_t from_kib = cagma_domain_standing(&managed->policy);
  g_autofree char *reason = cagma_explain_reason(&manager->plan.decisions[step->domain]);
  g_autoptr(GError) error = NULL;

  if (manager->dry_run) {
    if (managed->would_kib != step->target_kib)
      g_message("%s: would set %" PRIu64 " MiB → %" PRIu64 " MiB: %s", managed->name, from_kib / 1024,
                step->target_kib / 1024, reason);
    managed->would_kib = step->target_kib;
    /* Making a target known changes nothing; without it nothing else is decided. */
    if (step->target_kib == managed->policy.actual_kib)
      cagma_manager_tell(manager, managed, &set);
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
  cagma_manager_tell(manager, managed, &set);
  managed->change_kib = (int64_t)step->target_kib - (int64_t)from_kib;
  g_free(managed->changed);
  managed->changed = cagma_report_now();
  cagma_manager_want(manager, managed, CAGMA_REQUEST_SET);
  cagma_manager_watch(manager);
}

static void
note_decisions(CagmaManager *manager, int64_t now_us)
{
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    managed->decision = manager->plan.decisions[i];
    managed->decided = TRUE;
    if (!manager->dry_run && cagma_report_is_due(managed, now_us))
      cagma_manager_want(manager, managed, CAGMA_REQUEST_STATUS);
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

void
cagma_manager_decide(CagmaManager *manager)
{
  int64_t now_us = g_get_monotonic_time();
  g_autoptr(GError) refusal = NULL;
  gboolean passed;

  if (!manager->connected || manager->stopped || !all_counted(manager) || !read_budget(manager, now_us))
    return;

  manager->host.learning = is_learning(manager, now_us) || cagma_manager_is_building(manager, now_us);
  if (manager->recorder)
    cagma_recorder_deciding(manager->recorder, now_us);
  cagma_decide(&manager->host, now_us, &manager->plan);
  manager->plan.verdict.dry_run = manager->dry_run;
  passed = cagma_guard_check(&manager->host, &manager->plan, now_us, &refusal);
  cagma_verdict_judge(&manager->plan.verdict, refusal);
  if (manager->recorder)
    cagma_recorder_decided(manager->recorder, &manager->plan);
  for (size_t i = 0; passed && i < manager->plan.n_steps; i++)
    act(manager, &manager->plan.steps[i], now_us);
  if (!passed)
    g_critical("the plan was refused, nothing is moved: %s", refusal->message);
  manager->decided_us = now_us;
  note_decisions(manager, now_us);
}
