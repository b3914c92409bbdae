/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/state.h"

static const char *const state_names[CAGMA_N_STATES] = {
  [CAGMA_STATE_STEADY] = "steady",
  [CAGMA_STATE_GROWING] = "growing",
  [CAGMA_STATE_SHRINKING] = "shrinking",
  [CAGMA_STATE_EMERGENCY] = "emergency",
  [CAGMA_STATE_OVER] = "over",
  [CAGMA_STATE_HELD] = "held",
  [CAGMA_STATE_STUCK] = "stuck",
  [CAGMA_STATE_BLIND] = "blind",
  [CAGMA_STATE_DISTRUSTED] = "distrusted",
  [CAGMA_STATE_UNMANAGED] = "unmanaged",
  [CAGMA_STATE_INVALID] = "invalid",
};

const char *
cagma_state_to_string(CagmaState state)
{
  return (unsigned int)state < CAGMA_N_STATES ? state_names[state] : NULL;
}

gboolean
cagma_state_from_string(const char *name, CagmaState *state)
{
  for (unsigned int i = 0; i < CAGMA_N_STATES; i++) {
    if (g_strcmp0(state_names[i], name) == 0) {
      *state = (CagmaState)i;
      return TRUE;
    }
  }
  return FALSE;
}
