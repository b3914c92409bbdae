/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "policy/sim/sim.h"

/* Who can be simulated, by name: our policies (policy.h), those of others (peer.h), and
 * "oracle", who knows the scenario beforehand (oracle.h). */

#define CAGMA_ORACLE "oracle"

typedef struct {
  const char *name;           /* static */
  CagmaContestant contestant; /* of the oracle empty: its schedule is the scenario's */
} CagmaEntrant;

#define CAGMA_ENTRANT_ERROR (cagma_entrant_error_quark())
GQuark cagma_entrant_error_quark(void);

typedef enum {
  CAGMA_ENTRANT_ERROR_UNKNOWN, /* a name that nobody, or no rule, has */
} CagmaEntrantError;

/* Those named in lists, in order and each once: NULL-terminated, each a name or several
 * with commas between. lists NULL: the usual ones. CagmaEntrant; free with g_array_unref. */
GArray *cagma_entrants_parse(const char *const *lists, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All names, with commas between. Free with g_free. */
char *cagma_entrants_known(void);

gboolean cagma_entrant_is_oracle(const CagmaEntrant *entrant);

/* The rules (rules.h) named in lists, as those above; their CagmaRule bits. lists NULL:
 * none. */
gboolean cagma_rules_parse(const char *const *lists, uint32_t *rules,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
