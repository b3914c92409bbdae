/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/rules.h"

static const char *const rule_names[CAGMA_N_RULES] = {
  "foreseen", "swap-back", "pushed-out", "cache-back", "emergency", "pool",
  "spread",   "slow-take", "hurt",       "deadband",   "read-back",
};

const char *
cagma_rule_name(unsigned index)
{
  return index < CAGMA_N_RULES ? rule_names[index] : NULL;
}

gboolean
cagma_rule_from_name(const char *name, CagmaRule *rule)
{
  for (unsigned i = 0; i < CAGMA_N_RULES; i++) {
    if (g_strcmp0(name, rule_names[i]) == 0) {
      *rule = (CagmaRule)(1u << i);
      return TRUE;
    }
  }
  return FALSE;
}

char *
cagma_rules_format(uint32_t rules)
{
  GString *names = g_string_new(NULL);

  for (unsigned i = 0; i < CAGMA_N_RULES; i++)
    if (rules & (uint32_t)1 << i)
      g_string_append_printf(names, "%s%s", names->len ? ", " : "", rule_names[i]);
  return g_string_free(names, FALSE);
}
