/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"

static const CagmaPolicy policies[CAGMA_N_POLICIES] = {
  { CAGMA_POLICY_CAGMA, "cagma", CAGMA_ESTIMATOR_CRITICAL, CAGMA_SOURCE_DEFICIT, CAGMA_ALLOCATOR_SHARES },
  { CAGMA_POLICY_CLASSIC, "cagma-classic", CAGMA_ESTIMATOR_CRITICAL, CAGMA_SOURCE_MAX,
    CAGMA_ALLOCATOR_QUEUE },
  { CAGMA_POLICY_BARUCHI, "baruchi", CAGMA_ESTIMATOR_LOADAVG, CAGMA_SOURCE_DEFICIT, CAGMA_ALLOCATOR_SHARES },
  { CAGMA_POLICY_VMMB, "vmmb", CAGMA_ESTIMATOR_MISSRATIO, CAGMA_SOURCE_DEFICIT, CAGMA_ALLOCATOR_UTILITY },
  { CAGMA_POLICY_STATIC, "static", CAGMA_ESTIMATOR_STATIC, CAGMA_SOURCE_DEFICIT, CAGMA_ALLOCATOR_SHARES },
};

const CagmaPolicy *
cagma_policy_of(CagmaPolicyKind kind)
{
  return (unsigned int)kind < CAGMA_N_POLICIES ? &policies[kind] : NULL;
}

const CagmaPolicy *
cagma_policy_by_name(const char *name)
{
  for (size_t i = 0; i < CAGMA_N_POLICIES; i++)
    if (g_strcmp0(policies[i].name, name) == 0)
      return &policies[i];
  return NULL;
}
