/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/replay.h"

#include <inttypes.h>
#include <string.h>

#include "plugin/record-fields.h"
#include "plugin/shadow.h"
#include "policy/explain.h"
#include "policy/units.h"

/* The record's own time. */
typedef struct {
  gboolean begun;  /* a first decision was seen … */
  gboolean in_run; /* … and one of this run */
  int64_t first_real_us;
  int64_t clock_us;  /* the daemon's, at the last one */
  int64_t offset_us; /* to be added to it */
  int64_t now_us;
} Timeline;

static void
go_on(Timeline *time, const CagmaMoment *moment)
{
  if (!time->begun)
    time->first_real_us = moment->real_us;
  /* Another boot's clock: the run's beginning is lost. */
  if (time->in_run && moment->now_us < time->clock_us)
    time->in_run = FALSE;
  /* The wall clock may have been set back between two runs; and a record may be anybody's. */
  if (!time->in_run)
    time->offset_us =
        MIN(MAX(moment->real_us - time->first_real_us, time->now_us), (int64_t)CAGMA_RECORD_TIME_MAX_US) -
        moment->now_us;
  time->clock_us = moment->now_us;
  time->begun = TRUE;
  time->in_run = TRUE;
  time->now_us = MAX(moment->now_us + time->offset_us, time->now_us);
}

static CagmaMove
direction(uint64_t from_kib, uint64_t to_kib)
{
  if (!to_kib || to_kib == from_kib)
    return CAGMA_MOVE_NONE;
  return to_kib > from_kib ? CAGMA_MOVE_GROW : CAGMA_MOVE_SHRINK;
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
  return a > b ? a - b : b - a;
}

static void
count(CagmaReplayTotals *totals, CagmaMove *last, CagmaMove now, uint64_t moved_kib)
{
  totals->calls++;
  totals->moved_kib += moved_kib;
  if (now == CAGMA_MOVE_NONE)
    return;
  totals->reversals += *last != CAGMA_MOVE_NONE && *last != now;
  *last = now;
}

/* What was set, of each of the moment's domains; 0: nothing. */
static void
find_steps(const CagmaMoment *moment, GArray *targets_kib)
{
  g_autoptr(GHashTable) targets = NULL;

  g_array_set_size(targets_kib, 0);
  g_array_set_size(targets_kib, (guint)moment->n_domains);
  if (!moment->n_steps)
    return;
  targets = g_hash_table_new(g_int64_hash, g_int64_equal);
  for (size_t i = 0; i < moment->n_steps; i++)
    g_hash_table_insert(targets, (gpointer)&moment->steps[i].number, (gpointer)&moment->steps[i].target_kib);
  for (size_t i = 0; i < moment->n_domains; i++) {
    const uint64_t *target_kib = g_hash_table_lookup(targets, &moment->domains[i]->number);

    if (target_kib)
      g_array_index(targets_kib, uint64_t, i) = *target_kib;
  }
}

/* Surveying. */

typedef struct {
  CagmaSurvey *survey;
  Timeline time;
  int64_t at_us;       /* the time asked for */
  GArray *targets_kib; /* of the moment at hand */
  GArray *last;        /* CagmaMove of each machine */
  GArray *seen;        /* CagmaSeen, of the moment at hand */
  gboolean at_loss;    /* nothing can be made again at present */
  size_t first_loss;   /* since then */
} Surveying;

void
cagma_survey_free(CagmaSurvey *survey)
{
  if (!survey)
    return;
  g_array_unref(survey->losses);
  g_hash_table_unref(survey->machines);
  cagma_history_free(survey->history);
  g_free(survey->unlike_name);
  g_free(survey->unlike_was);
  g_free(survey->unlike_is);
  g_free(survey);
}

static size_t
machine_of(CagmaSurvey *survey, const CagmaRebuiltDomain *domain)
{
  gpointer number;

  if (g_hash_table_lookup_extended(survey->machines, domain->uuid, NULL, &number))
    return GPOINTER_TO_SIZE(number);
  number = GSIZE_TO_POINTER(g_hash_table_size(survey->machines));
  g_hash_table_insert(survey->machines, g_strdup(domain->uuid), number);
  return GPOINTER_TO_SIZE(number);
}

static char *
describe(const CagmaDecision *decision)
{
  g_autofree char *reason = cagma_explain_reason(decision);

  return decision->target_kib
             ? g_strdup_printf(CAGMA_MIB_FORMAT ": %s", cagma_mib(decision->target_kib), reason)
             : g_strdup_printf("nothing: %s", reason);
}

/* The first decision that doesn't come out as recorded. */
static void
note_unlike(CagmaSurvey *survey, const CagmaMoment *moment, int64_t at_us)
{
  if (survey->n_unlike++)
    return;
  survey->unlike_us = at_us;
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaRebuiltDomain *domain = moment->domains[i];
    const CagmaDecision *is = &moment->plan->decisions[i];

    if (!domain->is_recorded || (cagma_same_fields(&cagma_decision_fields, &domain->recorded, is) &&
                                 strcmp(domain->recorded.hold, is->hold) == 0))
      continue;
    survey->unlike_name = g_strdup(domain->name);
    survey->unlike_was = describe(&domain->recorded);
    survey->unlike_is = describe(is);
    return;
  }
}

static void
count_steps(Surveying *surveying, const CagmaMoment *moment)
{
  CagmaReplayTotals *totals = &surveying->survey->totals;

  find_steps(moment, surveying->targets_kib);
  totals->refused += moment->verdict->guard == CAGMA_GUARD_REFUSED;
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaRebuiltDomain *domain = moment->domains[i];
    uint64_t target_kib = g_array_index(surveying->targets_kib, uint64_t, i);
    size_t machine = machine_of(surveying->survey, domain);
    uint64_t from_kib;

    if (machine >= surveying->last->len)
      g_array_set_size(surveying->last, (guint)machine + 1);
    if (!target_kib)
      continue;
    /* What a step was decided with is always recorded. */
    from_kib = domain->is_recorded ? domain->recorded.standing_kib : target_kib;
    count(totals, &g_array_index(surveying->last, CagmaMove, machine), direction(from_kib, target_kib),
          distance(from_kib, target_kib));
  }
}

static void
remember(Surveying *surveying, const CagmaMoment *moment)
{
  g_array_set_size(surveying->seen, 0);
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaRebuiltDomain *domain = moment->domains[i];
    const CagmaSeen seen = { .id = domain->uuid,
                             .name = domain->name,
                             .domain = &domain->policy,
                             .sample = &domain->samples[domain->policy.source] };

    g_array_append_val(surveying->seen, seen);
  }
  cagma_history_add(surveying->survey->history, surveying->time.now_us, moment->host,
                    moment->verdict->in_hand_kib, (const CagmaSeen *)(void *)surveying->seen->data,
                    surveying->seen->len);
}

static void
end_losses(Surveying *surveying)
{
  GArray *losses = surveying->survey->losses;

  for (size_t i = surveying->first_loss; i < losses->len; i++)
    g_array_index(losses, CagmaReplayLoss, i).again_us = surveying->time.now_us;
  surveying->at_loss = FALSE;
}

static void
survey_begins(void *user_data)
{
  Surveying *surveying = user_data;

  surveying->survey->n_runs++;
  surveying->time.in_run = FALSE;
}

static void
survey_lost(CagmaLost why, uint64_t offset, uint64_t bytes, void *user_data)
{
  Surveying *surveying = user_data;
  CagmaSurvey *survey = surveying->survey;
  const CagmaReplayLoss loss = { why, offset, bytes, surveying->time.now_us, -1 };

  if (!surveying->at_loss)
    surveying->first_loss = survey->losses->len;
  surveying->at_loss = TRUE;
  survey->n_losses++;
  if (survey->losses->len < CAGMA_REPLAY_LOSSES_MAX)
    g_array_append_val(survey->losses, loss);
}

static void
survey_decided(const CagmaMoment *moment, void *user_data)
{
  Surveying *surveying = user_data;
  CagmaSurvey *survey = surveying->survey;

  go_on(&surveying->time, moment);
  survey->last_us = surveying->time.now_us;
  survey->n_decisions++;
  if (surveying->time.now_us <= surveying->at_us)
    survey->n_until = survey->n_decisions;
  survey->dry_run = survey->dry_run || moment->verdict->dry_run;
  survey->policy = moment->verdict->policy;
  survey->policies |= 1u << moment->verdict->policy;
  count_steps(surveying, moment);
  if (!moment->known)
    return;
  if (surveying->at_loss)
    end_losses(surveying);
  survey->n_known++;
  if (!moment->same)
    note_unlike(survey, moment, surveying->time.now_us);
  remember(surveying, moment);
}

CagmaSurvey *
cagma_survey(GInputStream *stream, int64_t at_us, GError **error)
{
  static const CagmaRebuildFuncs funcs = { .begins = survey_begins,
                                           .decided = survey_decided,
                                           .lost = survey_lost };
  g_autoptr(CagmaSurvey) survey = g_new0(CagmaSurvey, 1);
  g_autoptr(GArray) targets_kib = g_array_new(FALSE, TRUE, sizeof(uint64_t));
  g_autoptr(GArray) last = g_array_new(FALSE, TRUE, sizeof(CagmaMove));
  g_autoptr(GArray) seen = g_array_new(FALSE, FALSE, sizeof(CagmaSeen));
  Surveying surveying = {
    .survey = survey, .at_us = at_us, .targets_kib = targets_kib, .last = last, .seen = seen
  };

  survey->losses = g_array_new(FALSE, FALSE, sizeof(CagmaReplayLoss));
  survey->machines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  survey->history = cagma_history_new();
  if (!cagma_rebuild(stream, &funcs, &surveying, error))
    return NULL;
  survey->first_real_us = surveying.time.first_real_us;
  return g_steal_pointer(&survey);
}

/* Comparing. */

/* Nobody repeats his wish each time he decides: after so long without a word it is another
 * one. */
#define QUIET_US (30 * CAGMA_SECOND_US)

/* A machine, from one of the other policy's decisions to the next. */
typedef struct {
  CagmaMove was_last, would_last; /* directions */
  uint64_t set_kib;               /* the last that was set since; 0: nothing was */
  uint64_t set_from_kib;
  /* The other policy's wish, while it stays the same and isn't fulfilled. */
  gboolean wishes;
  CagmaMove wish;
  uint64_t wished_kib; /* how far it goes */
  guint open;          /* the difference that goes on, counted from 1; 0: none */
  int64_t spoke_us;    /* when something was set, or wished for */
} Machine;

typedef struct {
  CagmaComparison *comparison;
  const CagmaSurvey *survey;
  CagmaShadow *shadow;
  Timeline time;
  size_t limit;
  size_t n_moments;
  gboolean decides; /* the other policy, at the moment at hand */
  GArray *targets_kib;
  GArray *guests; /* size_t, of each of the moment's domains */
  Machine *machines;
} Comparing;

static void
difference_clear(gpointer data)
{
  CagmaDifference *difference = data;

  g_free(difference->name);
  g_free(difference->reason);
}

void
cagma_comparison_free(CagmaComparison *comparison)
{
  if (!comparison)
    return;
  g_array_unref(comparison->differences);
  g_free(comparison);
}

static void
compare_begins(void *user_data)
{
  Comparing *comparing = user_data;

  comparing->time.in_run = FALSE;
  cagma_shadow_forget(comparing->shadow);
}

static void
compare_lost(CagmaLost why, uint64_t offset, uint64_t bytes, void *user_data)
{
  Comparing *comparing = user_data;

  (void)why;
  (void)offset;
  (void)bytes;
  cagma_shadow_forget(comparing->shadow);
}

static void
compare_input(const CagmaRebuiltDomain *domain, const CagmaInput *input, void *user_data)
{
  Comparing *comparing = user_data;

  cagma_shadow_input(comparing->shadow, domain, input);
}

/* Which machines they are; FALSE where one wasn't in the survey. */
static gboolean
find_guests(Comparing *comparing, const CagmaMoment *moment)
{
  g_array_set_size(comparing->guests, 0);
  for (size_t i = 0; i < moment->n_domains; i++) {
    gpointer number;
    size_t guest;

    if (!g_hash_table_lookup_extended(comparing->survey->machines, moment->domains[i]->uuid, NULL, &number))
      return FALSE;
    guest = GPOINTER_TO_SIZE(number);
    g_array_append_val(comparing->guests, guest);
  }
  return TRUE;
}

static void
compare_deciding(const CagmaMoment *moment, void *user_data)
{
  Comparing *comparing = user_data;
  int64_t at_us;

  comparing->decides = FALSE;
  if (comparing->n_moments >= comparing->survey->n_decisions || !find_guests(comparing, moment))
    return;
  go_on(&comparing->time, moment);
  at_us = comparing->time.now_us;
  comparing->decides =
      cagma_shadow_decide(comparing->shadow, moment, at_us, (const size_t *)(void *)comparing->guests->data);
}

/* Counts what it wants, unless it is what it wanted before and didn't get. */
static void
count_wish(CagmaReplayTotals *totals, Machine *machine, uint64_t had_kib, uint64_t would_kib, CagmaMove was)
{
  CagmaMove wish = direction(had_kib, would_kib);
  uint64_t far_kib = distance(had_kib, would_kib);

  if (!would_kib) {
    machine->wishes = machine->wishes && was == CAGMA_MOVE_NONE;
    return;
  }
  if (machine->wishes && machine->wish == wish) {
    totals->moved_kib += cagma_above(far_kib, machine->wished_kib);
    machine->wished_kib = cagma_max_kib(far_kib, machine->wished_kib);
  } else {
    count(totals, &machine->would_last, wish, far_kib);
    machine->wished_kib = far_kib;
  }
  machine->wish = wish;
  /* Fulfilled: the next is another. */
  machine->wishes = was != wish;
}

static void
note_difference(Comparing *comparing, size_t domain, const CagmaRebuiltDomain *rebuilt, Machine *machine,
                const CagmaDifference *difference)
{
  CagmaComparison *comparison = comparing->comparison;
  CagmaDifference *open = machine->open && machine->open <= comparison->differences->len
                              ? &g_array_index(comparison->differences, CagmaDifference, machine->open - 1)
                              : NULL;
  CagmaDifference *kept;

  if (open && open->was == difference->was && open->would == difference->would) {
    open->until_us = difference->at_us;
    open->times++;
    return;
  }
  machine->open = 0;
  comparison->n_differences++;
  if (comparison->differences->len >= comparing->limit)
    return;
  g_array_append_vals(comparison->differences, difference, 1);
  machine->open = comparison->differences->len;
  kept = &g_array_index(comparison->differences, CagmaDifference, machine->open - 1);
  kept->name = g_strdup(rebuilt->name);
  kept->reason = cagma_shadow_reason(comparing->shadow, domain);
}

static gboolean
is_same(uint64_t was_kib, uint64_t would_kib)
{
  return !was_kib == !would_kib && distance(was_kib, would_kib) <= CAGMA_REACHED_KIB;
}

/* TRUE where it differs. */
static gboolean
compare_domain(Comparing *comparing, const CagmaMoment *moment, size_t i)
{
  const CagmaRebuiltDomain *domain = moment->domains[i];
  Machine *machine = &comparing->machines[g_array_index(comparing->guests, size_t, i)];
  uint64_t had_kib = moment->plan->decisions[i].standing_kib, was_kib = machine->set_kib;
  uint64_t would_kib = cagma_shadow_target(comparing->shadow, i);
  CagmaDifference difference = { .at_us = comparing->time.now_us,
                                 .until_us = comparing->time.now_us,
                                 .times = 1,
                                 .had_kib = had_kib,
                                 .was_kib = was_kib,
                                 .would_kib = would_kib,
                                 .was = direction(machine->set_from_kib, was_kib),
                                 .would = direction(had_kib, would_kib) };

  machine->set_kib = 0;
  if (was_kib || would_kib) {
    machine->spoke_us = difference.at_us;
  } else if (difference.at_us - machine->spoke_us >= QUIET_US) {
    machine->wishes = FALSE;
    machine->open = 0;
  }
  count_wish(&comparing->comparison->would, machine, had_kib, would_kib, difference.was);
  if (is_same(was_kib, would_kib)) {
    machine->open = was_kib ? 0 : machine->open;
    return FALSE;
  }
  note_difference(comparing, i, domain, machine, &difference);
  return TRUE;
}

static void
take_steps(Comparing *comparing, const CagmaMoment *moment)
{
  CagmaReplayTotals *recorded = &comparing->comparison->recorded;

  find_steps(moment, comparing->targets_kib);
  recorded->refused += moment->verdict->guard == CAGMA_GUARD_REFUSED;
  for (size_t i = 0; i < moment->n_domains; i++) {
    Machine *machine = &comparing->machines[g_array_index(comparing->guests, size_t, i)];
    uint64_t from_kib = moment->plan->decisions[i].standing_kib;

    if (!g_array_index(comparing->targets_kib, uint64_t, i))
      continue;
    machine->set_kib = g_array_index(comparing->targets_kib, uint64_t, i);
    machine->set_from_kib = from_kib;
    count(recorded, &machine->was_last, direction(from_kib, machine->set_kib),
          distance(from_kib, machine->set_kib));
  }
}

static void
compare_decided(const CagmaMoment *moment, void *user_data)
{
  Comparing *comparing = user_data;
  CagmaComparison *comparison = comparing->comparison;
  gboolean differs = FALSE;

  if (comparing->n_moments++ >= comparing->survey->n_decisions)
    return;
  /* Decisions that can't be made again pass by, but time does, too. */
  go_on(&comparing->time, moment);
  if (!moment->known || comparing->guests->len != moment->n_domains)
    return;
  take_steps(comparing, moment);
  if (!comparing->decides)
    return;
  comparison->n_decisions++;
  comparison->would.refused += cagma_shadow_refused(comparing->shadow);
  for (size_t i = 0; i < moment->n_domains; i++)
    differs |= compare_domain(comparing, moment, i);
  comparison->n_different += differs;
}

CagmaComparison *
cagma_compare(GInputStream *stream, const CagmaSurvey *survey, const CagmaContestant *contestant,
              const CagmaSurplus *surplus, size_t limit, GError **error)
{
  static const CagmaRebuildFuncs funcs = { .begins = compare_begins,
                                           .input = compare_input,
                                           .deciding = compare_deciding,
                                           .decided = compare_decided,
                                           .lost = compare_lost };
  size_t n_machines = g_hash_table_size(survey->machines);
  g_autoptr(CagmaComparison) comparison = g_new0(CagmaComparison, 1);
  g_autoptr(CagmaShadow) shadow = cagma_shadow_new(contestant, surplus, n_machines);
  g_autoptr(GArray) targets_kib = g_array_new(FALSE, TRUE, sizeof(uint64_t));
  g_autoptr(GArray) guests = g_array_new(FALSE, FALSE, sizeof(size_t));
  g_autofree Machine *machines = g_new0(Machine, n_machines);
  Comparing comparing = { .comparison = comparison,
                          .survey = survey,
                          .time = { .begun = TRUE, .first_real_us = survey->first_real_us },
                          .shadow = shadow,
                          .limit = limit,
                          .targets_kib = targets_kib,
                          .guests = guests,
                          .machines = machines };

  comparison->differences = g_array_new(FALSE, FALSE, sizeof(CagmaDifference));
  g_array_set_clear_func(comparison->differences, difference_clear);
  if (!cagma_rebuild(stream, &funcs, &comparing, error))
    return NULL;
  return g_steal_pointer(&comparison);
}
