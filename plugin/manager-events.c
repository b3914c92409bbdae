/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

#include "policy/units.h"

/* A balloon is known when it has stood still, or its guest has reported twice. */
#define LEARN_PERIODS 3

/* Its guest began anew: what was learned is forgotten, its size read again. */
static void
began(CagmaManager *manager, CagmaManaged *managed)
{
  cagma_manager_take_back(manager, managed);
  managed->disregard = managed->in_flight;
  managed->setting = FALSE;
  managed->begins = TRUE;
  managed->busy = FALSE;
  managed->stats_period_s = 0;
  managed->stats_period_next_us = 0;
  /* What was decided was of its earlier run. */
  managed->decided = FALSE;
  managed->wanted &= ~(1u << CAGMA_REQUEST_STATUS);
  managed->status_written = FALSE;
  managed->status_us = 0;
  managed->agent_in_flight = 0;
  cagma_manager_forget_agent(manager, managed);
  managed->agent_hung_us = managed->agent_next_us = managed->agent_backoff_us = 0;
  cagma_manager_tell_size(manager, managed, CAGMA_INPUT_RESTART, 0);
  cagma_manager_want(manager, managed, CAGMA_REQUEST_DESCRIBE);
}

void
cagma_manager_on_event(void *owner, const CagmaEvent *event)
{
  CagmaManager *manager = owner;
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, event->uuid);

  if (manager->stopped && event->kind != CAGMA_EVENT_STOPPED)
    return;
  if (event->kind == CAGMA_EVENT_STARTED) {
    if (managed)
      g_hash_table_remove(manager->expected, event->uuid);
    if (!managed)
      managed = cagma_manager_add(manager, event->uuid, event->name, -1);
    began(manager, managed);
    return;
  }
  if (!managed)
    return;

  switch (event->kind) {
  case CAGMA_EVENT_STOPPED:
    cagma_manager_remove(manager, managed);
    cagma_manager_decide_soon(manager);
    cagma_manager_maybe_stopped(manager);
    break;
  case CAGMA_EVENT_PAUSED:
  case CAGMA_EVENT_RESUMED:
    managed->paused = event->kind == CAGMA_EVENT_PAUSED;
    cagma_managed_update_hold(managed);
    cagma_manager_take_back(manager, managed);
    /* A description under way may be from before. */
    cagma_manager_want(manager, managed, CAGMA_REQUEST_DESCRIBE);
    cagma_manager_decide_soon(manager);
    break;
  case CAGMA_EVENT_REBOOTED:
    cagma_manager_take_back(manager, managed);
    cagma_manager_tell_size(manager, managed, CAGMA_INPUT_RESTART, managed->policy.target_kib);
    cagma_manager_decide_soon(manager);
    break;
  case CAGMA_EVENT_CHANGED:
  case CAGMA_EVENT_DEVICE_ADDED:
    cagma_manager_take_back(manager, managed);
    cagma_manager_want(manager, managed, CAGMA_REQUEST_DESCRIBE);
    break;
  case CAGMA_EVENT_BALLOON:
    /* The event may lag behind; the figure is asked for. */
    cagma_manager_want(manager, managed, CAGMA_REQUEST_SAMPLE);
    break;
  case CAGMA_EVENT_AGENT:
    cagma_manager_forget_agent(manager, managed);
    break;
  default:
    break;
  }
}

void
cagma_manager_on_connected(void *owner, GPtrArray *running)
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
      managed = cagma_manager_add(manager, one->uuid, one->name, one->id);
    else if (managed->id != one->id)
      began(manager, managed);
    managed->id = one->id;
    g_hash_table_add(seen, managed->uuid);
    cagma_manager_want(manager, managed, CAGMA_REQUEST_DESCRIBE);
  }
  for (guint i = manager->domains->len; i > 0; i--) {
    CagmaManaged *managed = manager->domains->pdata[i - 1];

    if (!g_hash_table_contains(seen, managed->uuid))
      cagma_manager_remove(manager, managed);
  }
  g_message("connected to %s: %u domains run", manager->conf->uri, manager->domains->len);
}

void
cagma_manager_on_disconnected(void *owner, const char *reason)
{
  CagmaManager *manager = owner;

  manager->connected = FALSE;
  /* When it is back, what was decided is of long ago. */
  for (guint i = 0; i < manager->domains->len; i++)
    cagma_manager_take_back(manager, manager->domains->pdata[i]);
  g_warning("%s: %s; nothing is moved until it is back", manager->conf->uri, reason);
}
