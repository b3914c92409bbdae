/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/contest.h"

#include <string.h>

#include "policy/policy.h"
#include "policy/sim/oracle.h"

/* A peer this much above the oracle leaves room to be better in. */
#define ROOM 1.10
/* No worse: within so much of the best peer's stall, or of the guests' time. */
#define ALIKE 0.02
#define ALIKE_TIME 0.001
/* Of like stall: who stalls at most this much more than ours, and moves less. */
#define LIKE_STALL 1.10

static const char *const names[N_CONTESTANTS] = {
  "none", "mom", "proxmox", "qubes", "squeezed", "cagma-classic", "cagma", "oracle", "ample",
};

/* What this thread runs, for what it says when it dies. */
static _Thread_local const char *running;

const char *
contestant_name(Contestant contestant)
{
  return names[contestant];
}

Case *
case_new(CagmaScenario *scenario)
{
  Case *c = g_new0(Case, 1);

  c->scenario = scenario;
  c->guest_s = (double)cagma_scenario_count(scenario) * (double)scenario->duration_us / 1e6;
  return c;
}

void
case_free(gpointer at)
{
  Case *c = at;

  for (size_t i = 0; i < N_CONTESTANTS; i++)
    cagma_sim_result_clear(&c->results[i]);
  cagma_scenario_free(c->scenario);
  g_free(c->failure);
  g_free(c);
}

double
case_stall_s(const Case *c, Contestant contestant)
{
  return c->results[contestant].total.stall_s;
}

double
case_stalled(const Case *c, Contestant contestant)
{
  return case_stall_s(c, contestant) / c->guest_s;
}

double
case_best_s(const Case *c)
{
  return case_stall_s(c, c->best);
}

gboolean
case_is_no_worse(const Case *c, Contestant other)
{
  return case_stall_s(c, CAGMA) <= case_stall_s(c, other) * (1 + ALIKE) + ALIKE_TIME * c->guest_s;
}

double
case_distance(const Case *c)
{
  double oracle_s = case_stall_s(c, ORACLE);

  return (case_stall_s(c, CAGMA) - oracle_s) / (case_best_s(c) - oracle_s);
}

static void
find_best(Case *c)
{
  double oracle_s = case_stall_s(c, ORACLE);

  c->best = NONE;
  for (Contestant i = NONE; i < N_OTHERS; i++) {
    if (case_stall_s(c, i) < case_best_s(c))
      c->best = i;
  }
  c->has_room = case_best_s(c) > ROOM * oracle_s && case_best_s(c) - oracle_s > ALIKE_TIME * c->guest_s;
}

/* With room, at most half of the best peer's distance to the oracle; else no worse. */
static void
judge_stall(const Case *c, GString *failure)
{
  if (c->has_room ? case_distance(c) <= 0.5 : case_is_no_worse(c, c->best))
    return;
  g_string_append_printf(failure, "stall %.1f s, %s %.1f, oracle %.1f; ", case_stall_s(c, CAGMA),
                         names[c->best], case_best_s(c), case_stall_s(c, ORACLE));
}

static void
judge_guarantees(const Case *c, GString *failure)
{
  const CagmaSimResult *ours = &c->results[CAGMA];

  if (ours->total.floor_violations)
    g_string_append_printf(failure, "%" G_GUINT64_FORMAT " floor violations; ", ours->total.floor_violations);
  if (ours->reserve_violations)
    g_string_append_printf(failure, "%" G_GUINT64_FORMAT " reserve violations; ", ours->reserve_violations);
}

static void
judge_reversals(const Case *c, GString *failure)
{
  uint64_t ours = c->results[CAGMA].total.reversals;

  for (Contestant i = NONE + 1; i < N_OTHERS; i++) {
    uint64_t theirs = c->results[i].total.reversals;

    if (case_stall_s(c, i) <= LIKE_STALL * case_stall_s(c, CAGMA) && ours > theirs)
      g_string_append_printf(failure, "%" G_GUINT64_FORMAT " reversals, %s %" G_GUINT64_FORMAT "; ", ours,
                             names[i], theirs);
  }
}

static void
find_failure(Case *c)
{
  g_autoptr(GString) failure = g_string_new(NULL);

  judge_stall(c, failure);
  judge_guarantees(c, failure);
  judge_reversals(c, failure);
  if (failure->len > 0)
    c->failure = g_strndup(failure->str, failure->len - strlen("; "));
}

static void
live_in_plenty(Case *c)
{
  g_autoptr(CagmaScenario) plenty = cagma_scenario_copy(c->scenario);

  for (size_t i = 0; i < plenty->n_guests; i++) {
    CagmaSimGuest *guest = &plenty->guests[i];

    guest->start_kib = guest->memory_kib;
    plenty->memory_kib += guest->count * guest->memory_kib;
  }
  cagma_sim_run(plenty, &(CagmaContestant){ .peer = cagma_peer_by_name("none") }, NULL, &c->results[AMPLE]);
}

static void
contest(gpointer data, gpointer user_data)
{
  Case *c = data;
  const ContestSettings *settings = user_data;
  g_autoptr(CagmaSchedule) schedule = NULL;

  running = c->scenario->name;
  for (Contestant i = NONE; i < ORACLE; i++) {
    CagmaContestant contestant = { .peer = cagma_peer_by_name(names[i]) };

    if (!contestant.peer)
      contestant.policy = cagma_policy_by_name(names[i]);
    if (i == CAGMA)
      contestant.without = settings->without;
    cagma_sim_run(c->scenario, &contestant, NULL, &c->results[i]);
  }
  schedule = settings->sees ? cagma_oracle_foresee(c->scenario, &settings->sight)
                            : cagma_oracle_search(c->scenario, settings->runs, NULL, NULL);
  cagma_sim_run(c->scenario, &(CagmaContestant){ .schedule = schedule }, NULL, &c->results[ORACLE]);
  live_in_plenty(c);
  find_best(c);
  find_failure(c);
  running = NULL;
}

/* The simulator dies of a plan that the guard refuses, and doesn't know the scenario's name. */
static GLogWriterOutput
write_log(GLogLevelFlags level, const GLogField *fields, gsize n_fields, G_GNUC_UNUSED gpointer user_data)
{
  if (running)
    g_printerr("in %s:\n", running);
  return g_log_writer_default(level, fields, n_fields, NULL);
}

void
contest_run(GPtrArray *cases, const ContestSettings *settings)
{
  ContestSettings own = *settings;
  GThreadPool *pool;

  g_log_set_writer_func(write_log, NULL, NULL);
  pool = g_thread_pool_new(contest, &own, (int)g_get_num_processors(), TRUE, NULL);
  for (guint i = 0; i < cases->len; i++)
    g_thread_pool_push(pool, cases->pdata[i], NULL);
  g_thread_pool_free(pool, FALSE, TRUE);
}
