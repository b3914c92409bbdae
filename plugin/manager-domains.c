/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

static void
reindex(CagmaManager *manager)
{
  g_ptr_array_set_size(manager->policies, 0);
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    g_ptr_array_add(manager->policies, &managed->policy);
  }
  manager->host.domains = (CagmaDomain **)manager->policies->pdata;
  manager->host.n_domains = manager->policies->len;
}

gboolean
cagma_manager_tell(CagmaManager *manager, CagmaManaged *managed, const CagmaInput *input)
{
  if (manager->recorder)
    cagma_recorder_input(manager->recorder, &managed->policy, input);
  return cagma_input_apply(&managed->policy, input);
}

void
cagma_manager_tell_sample(CagmaManager *manager, CagmaManaged *managed, const CagmaSample *sample)
{
  const CagmaInput input = { .kind = CAGMA_INPUT_SAMPLE,
                             .now_us = g_get_monotonic_time(),
                             .sample = *sample };

  cagma_manager_tell(manager, managed, &input);
}

void
cagma_manager_tell_lost(CagmaManager *manager, CagmaManaged *managed, CagmaSampleSource source)
{
  const CagmaInput input = { .kind = CAGMA_INPUT_SOURCE_LOST,
                             .now_us = g_get_monotonic_time(),
                             .source = source };

  cagma_manager_tell(manager, managed, &input);
}

void
cagma_manager_tell_size(CagmaManager *manager, CagmaManaged *managed, CagmaInputKind kind, uint64_t kib)
{
  const CagmaInput input = { .kind = kind, .now_us = g_get_monotonic_time(), .kib = kib };

  cagma_manager_tell(manager, managed, &input);
}

CagmaManaged *
cagma_manager_add(CagmaManager *manager, const char *uuid, const char *name, int id)
{
  int64_t now_us = g_get_monotonic_time();
  CagmaManaged *managed = cagma_managed_new(uuid, name, id, now_us);
  const Expected *expected = g_hash_table_lookup(manager->expected, uuid);

  /* Counted as what was announced until it is described. */
  if (expected)
    managed->policy.max_kib = expected->memory_kib;
  g_hash_table_remove(manager->expected, uuid);
  if (manager->recorder)
    cagma_recorder_add(manager->recorder, &managed->policy, managed->uuid, managed->name, now_us);
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
  if (manager->recorder)
    cagma_recorder_remove(manager->recorder, &managed->policy);
  g_ptr_array_remove(manager->domains, managed);
  g_hash_table_remove(manager->by_uuid, managed->uuid);
  reindex(manager);
  manager->host.left_us = g_get_monotonic_time();
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
