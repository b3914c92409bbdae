/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/contestants.h"

#include "policy/policy.h"
#include "policy/rules.h"
#include "xml/error.h"

G_DEFINE_QUARK(cagma_entrant_error_quark, cagma_entrant_error)

/* From who does nothing to who knows all. */
static const char *const usual[] = { "none",          "mom",   "proxmox",    "qubes", "squeezed",
                                     "cagma-classic", "cagma", CAGMA_ORACLE, NULL };

gboolean
cagma_entrant_is_oracle(const CagmaEntrant *entrant)
{
  return !entrant->contestant.policy && !entrant->contestant.peer;
}

char *
cagma_entrants_known(void)
{
  g_autoptr(GString) names = g_string_new(NULL);

  for (size_t i = 0; cagma_peers[i]; i++)
    g_string_append_printf(names, "%s, ", cagma_peers[i]->name);
  for (int kind = 0; kind < CAGMA_N_POLICIES; kind++)
    g_string_append_printf(names, "%s, ", cagma_policy_of((CagmaPolicyKind)kind)->name);
  g_string_append(names, CAGMA_ORACLE);
  return g_string_free(g_steal_pointer(&names), FALSE);
}

static void
set_unknown(GError **error, const char *what, const char *name, const char *known)
{
  g_autofree char *quoted = cagma_printable(name, CAGMA_QUOTE_CHARS);

  g_set_error(error, CAGMA_ENTRANT_ERROR, CAGMA_ENTRANT_ERROR_UNKNOWN, "no %s is named '%s'; there are %s",
              what, quoted, known);
}

static gboolean
find(const char *name, CagmaEntrant *entrant, GError **error)
{
  g_autofree char *known = NULL;

  *entrant = (CagmaEntrant){ .contestant = { .policy = cagma_policy_by_name(name),
                                             .peer = cagma_peer_by_name(name) } };
  if (entrant->contestant.policy) {
    entrant->name = entrant->contestant.policy->name;
  } else if (entrant->contestant.peer) {
    entrant->name = entrant->contestant.peer->name;
  } else if (g_str_equal(name, CAGMA_ORACLE)) {
    entrant->name = CAGMA_ORACLE;
  } else {
    known = cagma_entrants_known();
    set_unknown(error, "policy", name, known);
    return FALSE;
  }
  return TRUE;
}

static gboolean
is_among(const GArray *entrants, const char *name)
{
  for (guint i = 0; i < entrants->len; i++)
    if (g_str_equal(g_array_index(entrants, CagmaEntrant, i).name, name))
      return TRUE;
  return FALSE;
}

static gboolean
add_entrant(const char *name, gpointer entrants, GError **error)
{
  CagmaEntrant entrant;

  if (!find(name, &entrant, error))
    return FALSE;
  if (!is_among(entrants, entrant.name))
    g_array_append_val((GArray *)entrants, entrant);
  return TRUE;
}

static gboolean
add_rule(const char *name, gpointer rules, GError **error)
{
  g_autofree char *known = NULL;
  CagmaRule rule;

  if (!cagma_rule_from_name(name, &rule)) {
    known = cagma_rules_format(G_MAXUINT32);
    set_unknown(error, "rule", name, known);
    return FALSE;
  }
  *(uint32_t *)rules |= (uint32_t)rule;
  return TRUE;
}

typedef gboolean (*Add)(const char *name, gpointer to, GError **error);

static gboolean
add_list(const char *list, Add add, gpointer to, GError **error)
{
  g_auto(GStrv) names = g_strsplit(list, ",", -1);

  /* An empty text isn't split into one that is empty. */
  if (!names[0])
    return add("", to, error);
  for (guint i = 0; names[i]; i++)
    if (!add(g_strstrip(names[i]), to, error))
      return FALSE;
  return TRUE;
}

GArray *
cagma_entrants_parse(const char *const *lists, GError **error)
{
  g_autoptr(GArray) entrants = g_array_new(FALSE, TRUE, sizeof(CagmaEntrant));

  for (const char *const *list = lists ? lists : usual; *list; list++)
    if (!add_list(*list, add_entrant, entrants, error))
      return NULL;
  return g_steal_pointer(&entrants);
}

gboolean
cagma_rules_parse(const char *const *lists, uint32_t *rules, GError **error)
{
  *rules = 0;
  for (const char *const *list = lists; list && *list; list++)
    if (!add_list(*list, add_rule, rules, error))
      return FALSE;
  return TRUE;
}
