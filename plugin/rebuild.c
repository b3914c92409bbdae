/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/rebuild.h"

#include <inttypes.h>
#include <string.h>

#include "policy/explain.h"

typedef struct {
  const CagmaRebuildFuncs *funcs;
  void *user_data;

  CagmaHost host;
  CagmaPlan plan;
  GPtrArray *domains;  /* CagmaRebuiltDomain, in the order of host.domains */
  GPtrArray *policies; /* what host.domains points to */
  GHashTable *by_number;
  GHashTable *former; /* by number: those of before the keyframe that is being read; or NULL */
  size_t awaited;     /* states of that keyframe */

  gboolean known;
  gboolean deciding; /* and the plan is of this moment */
  gboolean decided;
  CagmaMoment moment;
  GArray *steps;
  CagmaVerdict verdict;
} Rebuild;

static void
domain_free(gpointer data)
{
  CagmaRebuiltDomain *domain = data;

  g_free(domain->name);
  g_free(domain);
}

static GHashTable *
new_table(void)
{
  return g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, domain_free);
}

static CagmaRebuiltDomain *
find(const Rebuild *rebuild, uint64_t number)
{
  return g_hash_table_lookup(rebuild->by_number, &number);
}

static void
add(Rebuild *rebuild, CagmaRebuiltDomain *domain)
{
  g_hash_table_insert(rebuild->by_number, &domain->number, domain);
  g_ptr_array_add(rebuild->domains, domain);
  g_ptr_array_add(rebuild->policies, &domain->policy);
}

static void
set_terms(CagmaRebuiltDomain *domain, const CagmaRecordItem *item)
{
  cagma_copy_fields(&cagma_terms_fields, &domain->policy, &item->domain);
  g_strlcpy(domain->hold, item->hold, sizeof domain->hold);
  domain->policy.hold = item->held ? domain->hold : NULL;
}

static CagmaRebuiltDomain *
domain_new(const CagmaRecordItem *item)
{
  CagmaRebuiltDomain *domain = g_new0(CagmaRebuiltDomain, 1);

  domain->number = item->number;
  g_strlcpy(domain->uuid, item->uuid, sizeof domain->uuid);
  domain->name = g_strdup(item->name);
  return domain;
}

/* Another run's numbers are others'. */
static void
forget_all(Rebuild *rebuild)
{
  g_ptr_array_set_size(rebuild->domains, 0);
  g_ptr_array_set_size(rebuild->policies, 0);
  g_hash_table_remove_all(rebuild->by_number);
}

static void
lost(Rebuild *rebuild, CagmaLost why, uint64_t offset, uint64_t bytes)
{
  rebuild->known = FALSE;
  rebuild->awaited = 0;
  rebuild->deciding = FALSE;
  if (rebuild->funcs->lost)
    rebuild->funcs->lost(why, offset, bytes, rebuild->user_data);
}

/* What is written there can't have happened. */
static void
makes_no_sense(Rebuild *rebuild, const CagmaRecordItem *item)
{
  if (rebuild->known || rebuild->awaited)
    lost(rebuild, CAGMA_LOST_UNKNOWN, item->offset, item->bytes);
}

static void
begin_keyframe(Rebuild *rebuild, const CagmaRecordItem *item)
{
  g_clear_pointer(&rebuild->former, g_hash_table_unref);
  rebuild->former = rebuild->by_number;
  rebuild->by_number = new_table();
  g_ptr_array_set_size(rebuild->domains, 0);
  g_ptr_array_set_size(rebuild->policies, 0);
  /* Another run's numbers are others' too. */
  if (item->begins)
    g_hash_table_remove_all(rebuild->former);
  if (item->begins && rebuild->funcs->begins)
    rebuild->funcs->begins(rebuild->user_data);
  rebuild->host = item->host;
  rebuild->awaited = item->n_domains;
  rebuild->known = item->n_domains == 0;
}

static void
take_state(Rebuild *rebuild, const CagmaRecordItem *item)
{
  CagmaRebuiltDomain *domain;

  if (!rebuild->awaited || find(rebuild, item->number)) {
    makes_no_sense(rebuild, item);
    return;
  }
  /* It keeps the samples it had. */
  domain = g_hash_table_lookup(rebuild->former, &item->number);
  if (domain && strcmp(domain->uuid, item->uuid) == 0)
    g_hash_table_steal(rebuild->former, &item->number);
  else
    domain = domain_new(item);
  domain->policy = item->domain;
  set_terms(domain, item);
  add(rebuild, domain);
  rebuild->known = --rebuild->awaited == 0;
}

static void
take_added(Rebuild *rebuild, const CagmaRecordItem *item)
{
  CagmaRebuiltDomain *domain;

  if (find(rebuild, item->number) || rebuild->domains->len >= CAGMA_RECORD_MAX_DOMAINS) {
    makes_no_sense(rebuild, item);
    return;
  }
  domain = domain_new(item);
  cagma_domain_init(&domain->policy, item->now_us);
  add(rebuild, domain);
}

static void
take_removed(Rebuild *rebuild, const CagmaRecordItem *item)
{
  CagmaRebuiltDomain *domain = find(rebuild, item->number);

  if (!domain) {
    makes_no_sense(rebuild, item);
    return;
  }
  g_ptr_array_remove(rebuild->domains, domain);
  g_ptr_array_remove(rebuild->policies, &domain->policy);
  g_hash_table_remove(rebuild->by_number, &item->number);
}

static void
take_input(Rebuild *rebuild, const CagmaRecordItem *item)
{
  CagmaRebuiltDomain *domain = find(rebuild, item->number);

  if (!domain) {
    makes_no_sense(rebuild, item);
    return;
  }
  if (item->kind == CAGMA_ITEM_TERMS) {
    set_terms(domain, item);
    return;
  }
  if (item->input.kind == CAGMA_INPUT_SAMPLE)
    domain->samples[item->input.sample.source] = item->input.sample;
  if (!rebuild->known)
    return;
  if (rebuild->funcs->input)
    rebuild->funcs->input(domain, &item->input, rebuild->user_data);
  cagma_input_apply(&domain->policy, &item->input);
}

static void
fill_moment(Rebuild *rebuild)
{
  rebuild->moment.domains = (CagmaRebuiltDomain **)rebuild->domains->pdata;
  rebuild->moment.n_domains = rebuild->domains->len;
  rebuild->moment.known = rebuild->known;
  rebuild->moment.host = &rebuild->host;
  rebuild->moment.plan = &rebuild->plan;
  rebuild->moment.steps = (const CagmaRecordStep *)(void *)rebuild->steps->data;
  rebuild->moment.n_steps = rebuild->steps->len;
  rebuild->moment.verdict = &rebuild->verdict;
}

static void
decide(Rebuild *rebuild, const CagmaRecordItem *item)
{
  g_array_set_size(rebuild->steps, 0);
  for (guint i = 0; i < rebuild->domains->len; i++)
    ((CagmaRebuiltDomain *)rebuild->domains->pdata[i])->is_recorded = FALSE;
  rebuild->moment.now_us = item->now_us;
  rebuild->moment.real_us = item->real_us;
  rebuild->moment.same = TRUE;
  rebuild->deciding = TRUE;
  if (!rebuild->known)
    return;

  cagma_copy_fields(&cagma_settings_fields, &rebuild->host, &item->host);
  rebuild->host.domains = (CagmaDomain **)rebuild->policies->pdata;
  rebuild->host.n_domains = rebuild->policies->len;
  fill_moment(rebuild);
  if (rebuild->funcs->deciding)
    rebuild->funcs->deciding(&rebuild->moment, rebuild->user_data);
  cagma_decide(&rebuild->host, item->now_us, &rebuild->plan);
}

/* Whether the plan is the one whose steps are recorded. */
static gboolean
has_these_steps(const Rebuild *rebuild, const CagmaRecordItem *item)
{
  if (item->verdict.guard == CAGMA_GUARD_REFUSED)
    return TRUE;
  if (rebuild->plan.n_steps != item->n_steps)
    return FALSE;
  for (size_t i = 0; i < item->n_steps; i++) {
    const CagmaStep *step = &rebuild->plan.steps[i];
    const CagmaRebuiltDomain *domain = rebuild->domains->pdata[step->domain];

    if (domain->number != item->steps[i].number || step->target_kib != item->steps[i].target_kib)
      return FALSE;
  }
  return TRUE;
}

static void
take_decided(Rebuild *rebuild, const CagmaRecordItem *item)
{
  CagmaVerdict *verdict = &rebuild->plan.verdict;

  if (!rebuild->deciding || rebuild->decided) {
    makes_no_sense(rebuild, item);
    return;
  }
  rebuild->decided = TRUE;
  rebuild->verdict = item->verdict;
  g_array_append_vals(rebuild->steps, item->steps, (guint)item->n_steps);
  if (!rebuild->known)
    return;
  verdict->dry_run = item->verdict.dry_run;
  verdict->guard = item->verdict.guard;
  g_strlcpy(verdict->refusal, item->verdict.refusal, sizeof verdict->refusal);
  rebuild->moment.same =
      cagma_same_fields(&cagma_verdict_fields, verdict, &item->verdict) && has_these_steps(rebuild, item);
}

static void
take_decision(Rebuild *rebuild, const CagmaRecordItem *item)
{
  CagmaRebuiltDomain *domain = find(rebuild, item->number);

  if (!domain || !rebuild->decided) {
    makes_no_sense(rebuild, item);
    return;
  }
  domain->is_recorded = TRUE;
  domain->recorded = item->decision;
}

static void
compare_decisions(Rebuild *rebuild)
{
  for (guint i = 0; i < rebuild->domains->len && rebuild->moment.same; i++) {
    const CagmaRebuiltDomain *domain = rebuild->domains->pdata[i];
    const CagmaDecision *decision = &rebuild->plan.decisions[i];

    rebuild->moment.same =
        !domain->is_recorded || (cagma_same_fields(&cagma_decision_fields, &domain->recorded, decision) &&
                                 strcmp(domain->recorded.hold, decision->hold) == 0);
  }
}

static void
end_block(Rebuild *rebuild, const CagmaRecordItem *item)
{
  if (rebuild->awaited)
    makes_no_sense(rebuild, item);
  g_clear_pointer(&rebuild->former, g_hash_table_unref);
  if (rebuild->decided) {
    if (rebuild->known)
      compare_decisions(rebuild);
    fill_moment(rebuild);
    if (rebuild->funcs->decided)
      rebuild->funcs->decided(&rebuild->moment, rebuild->user_data);
  }
  rebuild->deciding = FALSE;
  rebuild->decided = FALSE;
}

static void
take(const CagmaRecordItem *item, void *user_data)
{
  Rebuild *rebuild = user_data;

  if (item->lost) {
    if (item->other_run)
      forget_all(rebuild);
    lost(rebuild, item->why, item->offset, item->bytes);
    return;
  }
  if (item->block_end) {
    end_block(rebuild, item);
    return;
  }
  /* States follow their keyframe, and nothing but what was decided a decision. */
  if ((rebuild->awaited && item->kind != CAGMA_ITEM_STATE) ||
      ((rebuild->deciding || rebuild->decided) && item->kind != CAGMA_ITEM_DECIDED &&
       item->kind != CAGMA_ITEM_DECISION)) {
    makes_no_sense(rebuild, item);
    return;
  }
  switch (item->kind) {
  case CAGMA_ITEM_KEYFRAME:
    begin_keyframe(rebuild, item);
    break;
  case CAGMA_ITEM_STATE:
    take_state(rebuild, item);
    break;
  case CAGMA_ITEM_ADDED:
    take_added(rebuild, item);
    break;
  case CAGMA_ITEM_REMOVED:
    take_removed(rebuild, item);
    break;
  case CAGMA_ITEM_TERMS:
  case CAGMA_ITEM_INPUT:
    take_input(rebuild, item);
    break;
  case CAGMA_ITEM_DECIDING:
    decide(rebuild, item);
    break;
  case CAGMA_ITEM_DECIDED:
    take_decided(rebuild, item);
    break;
  case CAGMA_ITEM_DECISION:
    take_decision(rebuild, item);
    break;
  }
}

gboolean
cagma_rebuild(GInputStream *stream, const CagmaRebuildFuncs *funcs, void *user_data, GError **error)
{
  Rebuild rebuild = { .funcs = funcs, .user_data = user_data };
  gboolean done;

  rebuild.domains = g_ptr_array_new();
  rebuild.policies = g_ptr_array_new();
  rebuild.by_number = new_table();
  rebuild.steps = g_array_new(FALSE, FALSE, sizeof(CagmaRecordStep));
  done = cagma_record_read(stream, take, &rebuild, error);
  g_clear_pointer(&rebuild.former, g_hash_table_unref);
  g_hash_table_unref(rebuild.by_number);
  g_ptr_array_unref(rebuild.domains);
  g_ptr_array_unref(rebuild.policies);
  g_array_unref(rebuild.steps);
  cagma_plan_clear(&rebuild.plan);
  return done;
}

char *
cagma_lost_to_text(CagmaLost why, uint64_t offset, uint64_t bytes)
{
  switch (why) {
  case CAGMA_LOST_CUT_OFF:
    return g_strdup_printf("the last %" PRIu64 " bytes, from byte %" PRIu64
                           " on, are the beginning of a block; "
                           "the rest of it was never written, or isn't yet",
                           bytes, offset);
  case CAGMA_LOST_MISSING:
    return g_strdup_printf("at byte %" PRIu64 ", blocks are missing", offset);
  case CAGMA_LOST_UNKNOWN:
    return g_strdup_printf("%" PRIu64 " bytes from byte %" PRIu64 " on are whole, but make no sense", bytes,
                           offset);
  case CAGMA_LOST_DAMAGED:
  default:
    return g_strdup_printf("%" PRIu64 " bytes from byte %" PRIu64 " on are damaged", bytes, offset);
  }
}

typedef struct {
  const char *wanted; /* a name or UUID */
  CagmaUntil until;
  size_t n_seen;
  const CagmaRebuildFuncs *funcs;
  void *user_data;

  gboolean found;
  int64_t real_us;
  CagmaDecision decision;
  CagmaVerdict verdict;
} Search;

static void
search_moment(const CagmaMoment *moment, void *user_data)
{
  Search *search = user_data;

  if (search->n_seen++ >= search->until.n_decisions || moment->real_us > search->until.real_us)
    return;
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaRebuiltDomain *domain = moment->domains[i];

    if (strcmp(domain->name, search->wanted) != 0 && strcmp(domain->uuid, search->wanted) != 0)
      continue;
    if (!domain->is_recorded && !moment->known)
      continue;
    search->found = TRUE;
    search->real_us = moment->real_us;
    search->decision = domain->is_recorded ? domain->recorded : moment->plan->decisions[i];
    search->verdict = *moment->verdict;
  }
}

static void
search_lost(CagmaLost why, uint64_t offset, uint64_t bytes, void *user_data)
{
  const Search *search = user_data;

  if (search->funcs->lost)
    search->funcs->lost(why, offset, bytes, search->user_data);
}

char *
cagma_rebuild_explain(GInputStream *stream, const char *name_or_uuid, const CagmaUntil *until,
                      const CagmaRebuildFuncs *funcs, void *user_data, GError **error)
{
  static const CagmaRebuildFuncs searching = { .decided = search_moment, .lost = search_lost };
  Search wanted = { .wanted = name_or_uuid, .until = *until, .funcs = funcs, .user_data = user_data };
  g_autoptr(GDateTime) when = NULL;
  g_autofree char *text = NULL, *time = NULL;

  if (!cagma_rebuild(stream, &searching, &wanted, error))
    return NULL;
  if (!wanted.found) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                "no decision on a domain '%s' is recorded until then", name_or_uuid);
    return NULL;
  }
  text = cagma_explain(&wanted.decision, &wanted.verdict);
  when = g_date_time_new_from_unix_utc(wanted.real_us / G_USEC_PER_SEC);
  time = when ? g_date_time_format_iso8601(when) : g_strdup("at a time that makes no sense");
  return g_strdup_printf("%sdecided: %s.\n", text, time);
}
