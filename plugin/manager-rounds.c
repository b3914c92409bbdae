/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

#include "policy/units.h"

/* How long a round waits for figures before it decides with those it has: a domain
 * that answers late must not hold up the others. */
#define GATHER_MAX_MS 500
/* However long the period: in an emergency, donors' figures have to be recent, and an
 * agent that has died isn't to be found out a minute later. */
#define FIGURES_MAX_US (3 * CAGMA_SECOND_US)
/* How often a moving balloon is looked at; Linux arrives within 65–490 ms. */
#define WATCH_INTERVAL_MS 200
/* Ten times what it takes to decide for a thousand domains. */
#define PRESSED_INTERVAL_US ((int64_t)5000)
/* How often domains that aren't managed are looked at with a fixed budget, so that one that
 * becomes managed is known already. */
#define BYSTANDER_PERIODS 10

static gboolean
decide_idle(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->decide_source = 0;
  cagma_manager_decide(manager);
  return G_SOURCE_REMOVE;
}

void
cagma_manager_decide_soon(CagmaManager *manager)
{
  if (!manager->decide_source && !manager->stopped)
    manager->decide_source = g_idle_add_full(G_PRIORITY_DEFAULT, decide_idle, manager, NULL);
}

static gboolean
short_over(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->short_source = 0;
  cagma_manager_decide(manager);
  return G_SOURCE_REMOVE;
}

/* A round that is under way decides anyway; and figures of many come together, so that the first of
 * them waits (CAGMA_SHORT_INTERVAL_US). */
void
cagma_manager_decide_between(CagmaManager *manager)
{
  int64_t wait_us = manager->decided_us + CAGMA_SHORT_INTERVAL_US - g_get_monotonic_time();

  if (manager->gather_source || manager->short_source || manager->stopped)
    return;
  manager->short_source = g_timeout_add((guint)(MAX(wait_us, 0) / 1000), short_over, manager);
}

static gboolean
pressed_over(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->pressed_source = 0;
  cagma_manager_decide(manager);
  return G_SOURCE_REMOVE;
}

/* At once; but many guests' events within a moment have it decided together, lest they keep the main
 * loop from everything else. */
void
cagma_manager_decide_pressed(CagmaManager *manager)
{
  int64_t wait_us = manager->decided_us + PRESSED_INTERVAL_US - g_get_monotonic_time();

  if (wait_us <= 0)
    cagma_manager_decide(manager);
  else if (!manager->pressed_source && !manager->stopped)
    manager->pressed_source = g_timeout_add((guint)(wait_us / 1000 + 1), pressed_over, manager);
}

static gboolean
gather_over(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->gather_source = 0;
  for (guint i = 0; i < manager->domains->len; i++)
    ((CagmaManaged *)manager->domains->pdata[i])->awaited = FALSE;
  manager->awaited = 0;
  cagma_manager_decide(manager);
  return G_SOURCE_REMOVE;
}

void
cagma_manager_arrived(CagmaManager *manager, CagmaManaged *managed)
{
  if (!managed->awaited)
    return;
  managed->awaited = FALSE;
  if (--manager->awaited == 0 && manager->gather_source) {
    g_clear_handle_id(&manager->gather_source, g_source_remove);
    cagma_manager_decide_soon(manager);
  }
}

static gboolean
manages_any(const CagmaManager *manager)
{
  for (guint i = 0; i < manager->domains->len; i++)
    if (((const CagmaManaged *)manager->domains->pdata[i])->policy.managed)
      return TRUE;
  return FALSE;
}

/* Whose figures this round needs. any: somebody is managed. */
static gboolean
is_sampled(CagmaManager *manager, const CagmaManaged *managed, gboolean any)
{
  if (!managed->xml)
    return FALSE;
  /* What one that is bounded may take changes with its bound, at anybody's word. */
  if (managed->policy.managed || managed->policy.cap_kib)
    return TRUE;
  /* What the host has available is of now, and so must be what they hold of it. */
  if (any && manager->conf->budget == CAGMA_BUDGET_AUTO)
    return TRUE;
  return manager->round % BYSTANDER_PERIODS == 0;
}

/* How many times a period figures are asked for. */
static unsigned
ticks_per_period(const CagmaManager *manager)
{
  return (unsigned)((manager->conf->period_us + FIGURES_MAX_US - 1) / FIGURES_MAX_US);
}

/* A balloon that can't go on for now is looked at with the rounds, and that is enough. */
static gboolean
is_watched(const CagmaManaged *managed)
{
  return managed->policy.move != CAGMA_MOVE_NONE && !managed->policy.hold && !managed->policy.unresponsive;
}

static gboolean
tick(gpointer user_data)
{
  CagmaManager *manager = user_data;
  gboolean decides = manager->round % ticks_per_period(manager) == 0, any;
  guint64 gather_ms = MIN((guint64)manager->conf->period_us / 2000, GATHER_MAX_MS);

  if (!manager->connected)
    return G_SOURCE_CONTINUE;
  any = manages_any(manager);
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    if (!managed->xml || managed->describe_again || cagma_manager_lacks_stats_period(manager, managed))
      cagma_manager_want(manager, managed, CAGMA_REQUEST_DESCRIBE);
    if (!is_sampled(manager, managed, any))
      continue;
    if (decides && !managed->in_flight && !managed->policy.unresponsive && !managed->awaited) {
      managed->awaited = TRUE;
      manager->awaited++;
    }
    cagma_manager_want(manager, managed, CAGMA_REQUEST_SAMPLE);
    cagma_manager_ask_guest(manager, managed);
    if (is_watched(managed))
      cagma_manager_watch(manager);
  }
  manager->round++;
  if (decides && !manager->gather_source)
    manager->gather_source = g_timeout_add((guint)gather_ms, gather_over, manager);
  return G_SOURCE_CONTINUE;
}

void
cagma_manager_start_ticking(CagmaManager *manager)
{
  g_clear_handle_id(&manager->tick_source, g_source_remove);
  manager->round = 0;
  manager->tick_source =
      g_timeout_add((guint)(manager->conf->period_us / ticks_per_period(manager) / 1000), tick, manager);
}

/* Balloons on their way are looked at until they have arrived. */
static gboolean
look(gpointer user_data)
{
  CagmaManager *manager = user_data;
  gboolean moving = FALSE;

  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    if (!is_watched(managed))
      continue;
    moving = TRUE;
    cagma_manager_want(manager, managed, CAGMA_REQUEST_SAMPLE);
  }
  if (moving)
    return G_SOURCE_CONTINUE;
  manager->watch_source = 0;
  return G_SOURCE_REMOVE;
}

void
cagma_manager_watch(CagmaManager *manager)
{
  if (!manager->watch_source)
    manager->watch_source = g_timeout_add(WATCH_INTERVAL_MS, look, manager);
}
