/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "plugin/contestants.h"
#include "policy/policy.h"
#include "policy/rules.h"
#include "tests/plugin/kit.h"

static char *
names_of(GArray *entrants)
{
  g_autoptr(GString) names = g_string_new(NULL);

  for (guint i = 0; i < entrants->len; i++)
    g_string_append_printf(names, "%s%s", i ? " " : "", g_array_index(entrants, CagmaEntrant, i).name);
  return g_string_free(g_steal_pointer(&names), FALSE);
}

static void
test_parse(void)
{
  static const struct {
    const char *lists[4];
    const char *names;
  } cases[] = {
    { { "cagma" }, "cagma" },
    { { "cagma,mom" }, "cagma mom" },
    { { "mom", "oracle,cagma" }, "mom oracle cagma" },
    { { " mom , cagma" }, "mom cagma" },
    { { "cagma,mom,cagma", "mom", "oracle" }, "cagma mom oracle" },
    { { "none,proxmox,qubes,squeezed" }, "none proxmox qubes squeezed" },
    { { "cagma-classic,baruchi,vmmb,static" }, "cagma-classic baruchi vmmb static" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) entrants = cagma_entrants_parse(cases[i].lists, &error);
    g_autofree char *names = NULL;

    g_assert_no_error(error);
    names = names_of(entrants);
    g_assert_cmpstr(names, ==, cases[i].names);
  }
}

static void
test_usual(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) entrants = cagma_entrants_parse(NULL, &error);
  g_autofree char *names = NULL;

  g_assert_no_error(error);
  names = names_of(entrants);
  g_assert_cmpstr(names, ==, "none mom proxmox qubes squeezed cagma-classic cagma oracle");
}

static void
test_unknown(void)
{
  static const struct {
    const char *list;
    const char *says;
  } cases[] = {
    { "cagmo", "'cagmo'" }, { "cagma,,mom", "''" },   { "", "''" },
    { "cagma,", "''" },     { "Oracle", "'Oracle'" }, { "a\033[2J", "'a\xef\xbf\xbd[2J'" },
  };
  g_autofree char *known = cagma_entrants_known();

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const char *const lists[] = { cases[i].list, NULL };
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) entrants = cagma_entrants_parse(lists, &error);

    g_assert_null(entrants);
    g_assert_error(error, CAGMA_ENTRANT_ERROR, CAGMA_ENTRANT_ERROR_UNKNOWN);
    kit_assert_has(error->message, cases[i].says);
    kit_assert_has(error->message, known);
  }
}

/* Whoever is named as known is, under that very name, and is one of the three. */
static void
test_known(void)
{
  g_autofree char *known = cagma_entrants_known();
  const char *const lists[] = { known, NULL };
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) entrants = cagma_entrants_parse(lists, &error);
  g_auto(GStrv) names = g_strsplit(known, ", ", -1);

  g_assert_no_error(error);
  g_assert_cmpuint(entrants->len, ==, g_strv_length(names));
  for (guint i = 0; i < entrants->len; i++) {
    const CagmaEntrant *entrant = &g_array_index(entrants, CagmaEntrant, i);
    const CagmaContestant *contestant = &entrant->contestant;

    g_assert_cmpstr(entrant->name, ==, names[i]);
    g_assert_true(contestant->policy == cagma_policy_by_name(names[i]));
    g_assert_true(contestant->peer == cagma_peer_by_name(names[i]));
    g_assert_null(contestant->schedule);
    g_assert_false(contestant->policy && contestant->peer);
    g_assert_cmpint(cagma_entrant_is_oracle(entrant), ==, g_str_equal(names[i], "oracle"));
  }
}

static void
test_rules(void)
{
  static const struct {
    const char *lists[3];
    uint32_t rules;
    const char *names;
  } cases[] = {
    { { "pool" }, CAGMA_RULE_POOL, "pool" },
    { { "pool,emergency" }, CAGMA_RULE_POOL | CAGMA_RULE_EMERGENCY, "emergency, pool" },
    { { "hurt", "pool, hurt" }, CAGMA_RULE_POOL | CAGMA_RULE_HURT, "pool, hurt" },
    { { NULL }, 0, "" },
  };
  static const char *const unknown[] = { "pol", "", "pool,", "cagma" };
  g_autofree char *all = cagma_rules_format(G_MAXUINT32);
  const char *const all_lists[] = { all, NULL };
  uint32_t rules;

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *names = NULL;

    g_assert_true(cagma_rules_parse(cases[i].lists, &rules, &error));
    g_assert_cmphex(rules, ==, cases[i].rules);
    names = cagma_rules_format(rules);
    g_assert_cmpstr(names, ==, cases[i].names);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++) {
    const char *const lists[] = { unknown[i], NULL };
    g_autoptr(GError) error = NULL;

    g_assert_false(cagma_rules_parse(lists, &rules, &error));
    g_assert_error(error, CAGMA_ENTRANT_ERROR, CAGMA_ENTRANT_ERROR_UNKNOWN);
    kit_assert_has(error->message, "no rule is named '");
    kit_assert_has(error->message, all);
  }
  g_assert_true(cagma_rules_parse(NULL, &rules, NULL));
  g_assert_cmphex(rules, ==, 0);
  g_assert_true(cagma_rules_parse(all_lists, &rules, NULL));
  g_assert_cmphex(rules, ==, (1 << CAGMA_N_RULES) - 1);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/contestants/parse", test_parse);
  g_test_add_func("/contestants/usual", test_usual);
  g_test_add_func("/contestants/unknown", test_unknown);
  g_test_add_func("/contestants/known", test_known);
  g_test_add_func("/contestants/rules", test_rules);
  return g_test_run();
}
