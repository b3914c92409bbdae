/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

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

CagmaManaged *
cagma_manager_add(CagmaManager *manager, const char *uuid, const char *name, int id)
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

void
cagma_manager_remove(CagmaManager *manager, CagmaManaged *managed)
{
  if (managed->awaited)
    manager->awaited--;
  if (managed->listened)
    manager->backend->listen(manager->backend, managed->uuid, FALSE);
  cagma_targets_drop(manager->targets, managed->uuid);
  g_ptr_array_remove(manager->domains, managed);
  g_hash_table_remove(manager->by_uuid, managed->uuid);
  reindex(manager);
}

size_t
cagma_manager_index_of(CagmaManager *manager, const CagmaManaged *managed)
{
  guint index;

  if (manager->plan.n_decisions && g_ptr_array_find(manager->domains, managed, &index))
    return index;
  return G_MAXSIZE;
}

CagmaManaged *
cagma_manager_find(CagmaManager *manager, const char *name_or_uuid)
{
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, name_or_uuid);

  for (guint i = 0; !managed && i < manager->domains->len; i++) {
    CagmaManaged *one = manager->domains->pdata[i];

    if (g_str_equal(one->name, name_or_uuid))
      managed = one;
  }
  return managed;
}
