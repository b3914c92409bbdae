/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/ctl-view.h"

#include <string.h>

#include "plugin/ctl-client.h"
#include "plugin/table.h"
#include "policy/state.h"
#include "xml/size.h"

static const char *
color_of(const char *name)
{
  CagmaState state;

  if (!cagma_state_from_string(name, &state))
    return NULL;
  switch (state) {
  case CAGMA_STATE_GROWING:
    return "32";
  case CAGMA_STATE_SHRINKING:
    return "36";
  case CAGMA_STATE_EMERGENCY:
  case CAGMA_STATE_INVALID:
  case CAGMA_STATE_DISTRUSTED:
    return "31";
  case CAGMA_STATE_STUCK:
  case CAGMA_STATE_OVER:
  case CAGMA_STATE_BLIND:
    return "33";
  case CAGMA_STATE_HELD:
  case CAGMA_STATE_UNMANAGED:
    return "2";
  default:
    return NULL;
  }
}

static char *
signed_size(gint64 kib)
{
  g_autofree char *size = cagma_size_format((uint64_t)ABS(kib));

  return g_strdup_printf("%s%s", kib < 0 ? "−" : "", size);
}

char *
cagma_ctl_view_host(GVariant *host)
{
  gboolean connected = FALSE, dry_run = FALSE;
  g_autofree char *budget = cagma_ctl_size(host, "budget-kib");
  g_autofree char *reserve = cagma_ctl_size(host, "reserve-kib");
  g_autofree char *charge = cagma_ctl_size(host, "charge-kib");
  g_autofree char *in_hand = signed_size(cagma_ctl_signed(host, "in-hand-kib", 0));
  GString *text = g_string_new(NULL);

  g_variant_lookup(host, "connected", "b", &connected);
  g_variant_lookup(host, "dry-run", "b", &dry_run);
  g_string_append_printf(text, "%s%s%s\n", cagma_ctl_text(host, "uri", "?"),
                         connected ? "" : ": not connected, trying again",
                         dry_run ? " (dry run: nothing is set)" : "");
  if (cagma_ctl_has(host, "in-hand-kib"))
    g_string_append_printf(text, "budget %s (%s), guests are charged %s, reserve %s, in hand %s\n", budget,
                           g_str_equal(cagma_ctl_text(host, "budget", ""), "auto") ? "auto: the host's memory"
                                                                                   : "fixed",
                           charge, reserve, in_hand);
  if (cagma_ctl_has(host, "without"))
    g_string_append_printf(text, "for measurement without these rules of the policy: %s\n",
                           cagma_ctl_text(host, "without", "?"));
  if (cagma_ctl_number(host, "shortfall-kib", 0)) {
    g_autofree char *shortfall = cagma_ctl_size(host, "shortfall-kib");

    g_string_append_printf(text, "the guarantees exceed what there is by %s\n", shortfall);
  }
  return g_string_free(text, FALSE);
}

char *
cagma_ctl_swap(GVariant *info)
{
  if (!cagma_ctl_has(info, "swap-in-kib-per-s"))
    return g_strdup("–");
  return g_strdup_printf("%" G_GUINT64_FORMAT " / %" G_GUINT64_FORMAT " KiB/s",
                         cagma_ctl_number(info, "swap-in-kib-per-s", 0),
                         cagma_ctl_number(info, "swap-out-kib-per-s", 0));
}

char *
cagma_ctl_change(GVariant *info)
{
  gint64 change_kib = cagma_ctl_signed(info, "change-kib", 0);
  g_autofree char *size = signed_size(change_kib);

  if (!cagma_ctl_has(info, "change-kib"))
    return g_strdup("none");
  return g_strdup_printf("%s%s at %s", change_kib > 0 ? "+" : "", size, cagma_ctl_text(info, "changed", "?"));
}

char *
cagma_ctl_view_domains(GPtrArray *domains, GHashTable *history, gboolean color, int width)
{
  static const char *const plain[] = { "GUEST",     "STATE",        ">ACTUAL", ">TARGET", ">AVAILABLE",
                                       ">CRITICAL", ">SWAP IN/OUT", "REASON",  NULL };
  static const char *const with_history[] = { "GUEST",     "STATE",        ">ACTUAL", ">TARGET", ">AVAILABLE",
                                              ">CRITICAL", ">SWAP IN/OUT", "HISTORY", "REASON",  NULL };
  g_autoptr(CagmaTable) table = cagma_table_new(history ? with_history : plain);

  for (guint i = 0; i < domains->len; i++) {
    GVariant *info = domains->pdata[i];
    const char *state = cagma_ctl_text(info, "state", "?");
    static const char *const keys[] = { "actual-kib", "target-kib", "available-kib", "critical-kib" };
    g_autofree char *swap = cagma_ctl_swap(info);

    cagma_table_row(table, color_of(state));
    cagma_table_cell(table, cagma_ctl_text(info, "name", "?"));
    cagma_table_cell(table, state);
    for (size_t k = 0; k < G_N_ELEMENTS(keys); k++) {
      g_autofree char *size = cagma_ctl_size(info, keys[k]);

      cagma_table_cell(table, size);
    }
    cagma_table_cell(table, swap);
    if (history) {
      const char *bar = g_hash_table_lookup(history, cagma_ctl_text(info, "uuid", ""));

      cagma_table_cell(table, bar ? bar : "");
    }
    cagma_table_cell(table, cagma_ctl_text(info, "reason", ""));
  }
  if (domains->len == 0)
    return g_strdup("no domain runs\n");
  return cagma_table_format(table, color, width);
}
