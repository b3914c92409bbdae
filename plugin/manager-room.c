/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

#include <inttypes.h>
#include <string.h>

#include "policy/units.h"

/* Room for starts that fail where their memory isn't free (Xen): whoever starts one waits
 * here until it is. The expectation makes the policy take from others what is missing;
 * here it is only watched until that has arrived. */

#define ROOM_LOOK_MS 100
/* Donors give in steps, each after the last one's figures: not only once a period, then. */
#define ROOM_DECIDE_US CAGMA_SECOND_US
/* Longer isn't waited for: libvirt holds the domain's lock meanwhile … */
#define ROOM_MAX_US (30 * CAGMA_SECOND_US)
/* … and nothing more comes where nothing has come in for so long. */
#define ROOM_STALL_US (6 * CAGMA_SECOND_US)
#define ROOM_PROGRESS_KIB CAGMA_MIB(2)
/* How long a domain takes to be built. Meanwhile its memory isn't free any more, and it
 * doesn't run yet either. */
#define ROOM_BUILD_US (5 * CAGMA_SECOND_US)

typedef struct {
  CagmaRoomAnswer answer;
  gpointer user_data;
  int64_t began_us;
  int64_t mark_us; /* when it last came closer … */
  int64_t mark_kib;
} Waiter;

/* What is free, and none of the domains may take without asking. */
static gboolean
look_for_room(CagmaManager *manager, int64_t *room_kib)
{
  g_autoptr(GError) error = NULL;
  CagmaHostMemory memory = { 0 };

  if (!manager->backend->host_memory(manager->backend, &memory, &error)) {
    g_warning("no room can be made: %s", error->message);
    return FALSE;
  }
  *room_kib = (int64_t)memory.available_kib;
  for (guint i = 0; i < manager->policies->len; i++) {
    const CagmaDomain *policy = manager->policies->pdata[i];

    *room_kib -= (int64_t)cagma_above(cagma_domain_charge(policy), policy->rss_kib);
  }
  return TRUE;
}

static int64_t
needed(CagmaManager *manager)
{
  GHashTableIter iter;
  gpointer value;
  int64_t kib = 0;

  g_hash_table_iter_init(&iter, manager->expected);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    kib += (int64_t)((const Expected *)value)->memory_kib;
  return kib;
}

static void
note_free(CagmaManager *manager, int64_t now_us)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init(&iter, manager->expected);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    Expected *expected = value;

    expected->free_us = now_us;
    expected->expires_us = MAX(expected->expires_us, now_us + CAGMA_EXPECT_US);
  }
}

static void
answer(CagmaManager *manager, guint index, gboolean is_free)
{
  g_autofree Waiter *waiter = g_ptr_array_steal_index(manager->waiters, index);

  waiter->answer(is_free, waiter->user_data);
}

static gboolean
gave_up(Waiter *waiter, int64_t missing_kib, int64_t now_us)
{
  if (missing_kib + (int64_t)ROOM_PROGRESS_KIB <= waiter->mark_kib) {
    waiter->mark_kib = missing_kib;
    waiter->mark_us = now_us;
  }
  return now_us - waiter->mark_us >= ROOM_STALL_US || now_us - waiter->began_us >= ROOM_MAX_US;
}

static gboolean
look(gpointer user_data)
{
  CagmaManager *manager = user_data;
  int64_t now_us = g_get_monotonic_time(), room_kib = 0, missing_kib;
  gboolean can_tell = manager->connected && !manager->stopped && look_for_room(manager, &room_kib);

  missing_kib = needed(manager) - room_kib;
  if (can_tell && missing_kib <= 0)
    note_free(manager, now_us);
  for (guint i = manager->waiters->len; i > 0; i--) {
    Waiter *waiter = manager->waiters->pdata[i - 1];

    if (can_tell && missing_kib <= 0) {
      answer(manager, i - 1, TRUE);
    } else if (!can_tell || manager->dry_run || gave_up(waiter, missing_kib, now_us)) {
      g_message("%" PRId64 " MiB are missing to what is about to start", missing_kib / 1024);
      answer(manager, i - 1, FALSE);
    }
  }
  if (manager->waiters->len && now_us - manager->decided_us >= ROOM_DECIDE_US)
    cagma_manager_decide_soon(manager);
  if (manager->waiters->len)
    return G_SOURCE_CONTINUE;
  manager->room_source = 0;
  return G_SOURCE_REMOVE;
}

void
cagma_manager_await_room(CagmaManager *manager, CagmaRoomAnswer answered, gpointer user_data)
{
  Waiter *waiter = g_new0(Waiter, 1);

  waiter->answer = answered;
  waiter->user_data = user_data;
  waiter->began_us = waiter->mark_us = g_get_monotonic_time();
  waiter->mark_kib = INT64_MAX;
  g_ptr_array_add(manager->waiters, waiter);
  g_clear_handle_id(&manager->room_source, g_source_remove);
  if (look(manager) == G_SOURCE_CONTINUE)
    manager->room_source = g_timeout_add(ROOM_LOOK_MS, look, manager);
}

gboolean
cagma_manager_is_building(CagmaManager *manager, int64_t now_us)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init(&iter, manager->expected);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const Expected *expected = value;

    if (expected->free_us && now_us - expected->free_us < ROOM_BUILD_US)
      return TRUE;
  }
  return FALSE;
}

void
cagma_manager_dismiss_waiters(CagmaManager *manager)
{
  g_clear_handle_id(&manager->room_source, g_source_remove);
  while (manager->waiters->len)
    answer(manager, manager->waiters->len - 1, FALSE);
}
