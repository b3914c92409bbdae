/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "plugin/cagma-dbus.h"
#include "plugin/ctl-client.h"
#include "plugin/ctl-view.h"
#include "xml/error.h"
#include "xml/size.h"

/* cagmactl status [DOM], explain DOM */

#define VALUE_MAX_CHARS 1000

static GVariant *
find(GPtrArray *domains, const char *wanted)
{
  for (guint i = 0; i < domains->len; i++)
    if (g_str_equal(cagma_ctl_text(domains->pdata[i], "name", ""), wanted) ||
        g_str_equal(cagma_ctl_text(domains->pdata[i], "uuid", ""), wanted))
      return domains->pdata[i];
  return NULL;
}

static int
no_such_domain(const char *wanted)
{
  g_printerr("cagmactl: no domain '%s' runs; 'cagmactl status' lists those that do\n", wanted);
  return CAGMA_EXIT_FAILED;
}

static void
print_json(GVariant *value)
{
  g_autofree char *text = NULL;
  JsonNode *node;

  g_variant_ref_sink(value);
  node = json_gvariant_serialize(value);
  text = json_to_string(node, TRUE);
  json_node_unref(node);
  g_variant_unref(value);
  g_print("%s\n", text);
}

static GVariant *
everything(GVariant *host, GPtrArray *domains)
{
  GVariantBuilder list;
  GVariantDict all;

  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < domains->len; i++)
    g_variant_builder_add_value(&list, domains->pdata[i]);
  g_variant_dict_init(&all, NULL);
  g_variant_dict_insert_value(&all, "host", host);
  g_variant_dict_insert_value(&all, "domains", g_variant_builder_end(&list));
  return g_variant_dict_end(&all);
}

static void
print_field(const char *label, const char *value)
{
  g_autofree char *shown = cagma_printable(value, VALUE_MAX_CHARS);

  g_print("%-12s %s\n", label, shown);
}

static void
print_size(GVariant *info, const char *label, const char *key)
{
  g_autofree char *size = cagma_ctl_size(info, key);

  if (cagma_ctl_has(info, key))
    print_field(label, size);
}

static void
print_one(GVariant *info)
{
  static const char *const sizes[][2] = {
    { "actual", "actual-kib" },       { "target", "target-kib" },       { "maximum", "maximum-kib" },
    { "guarantee", "guarantee-kib" }, { "limit", "limit-kib" },         { "used", "used-kib" },
    { "available", "available-kib" }, { "critical", "critical-kib" },   { "demand", "demand-kib" },
    { "charged", "charge-kib" },      { "swap used", "swap-used-kib" },
  };
  guint32 shares;
  g_autofree char *swap = cagma_ctl_swap(info);
  g_autofree char *change = cagma_ctl_change(info);

  print_field("domain", cagma_ctl_text(info, "name", "?"));
  print_field("uuid", cagma_ctl_text(info, "uuid", "?"));
  print_field("state", cagma_ctl_text(info, "state", "?"));
  print_field("reason", cagma_ctl_text(info, "reason", ""));
  print_field("mode", cagma_ctl_text(info, "mode", "–"));
  print_field("source", cagma_ctl_text(info, "source", "–"));
  if (g_variant_lookup(info, "shares", "u", &shares)) {
    g_autofree char *text = g_strdup_printf("%u", shares);

    print_field("shares", text);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
    print_size(info, sizes[i][0], sizes[i][1]);
  print_field("swap in/out", swap);
  print_field("last change", change);
}

static int
terminal_width(void)
{
  struct winsize size;

  if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
    return size.ws_col;
  return 0;
}

int
cagma_ctl_status(const CagmaCtl *ctl, int argc, char **argv)
{
  int status = CAGMA_EXIT_OK;
  g_autoptr(CagmaStatus1) daemon = NULL;
  g_autoptr(GVariant) host = NULL;
  g_autoptr(GPtrArray) domains = NULL;
  GVariant *one = NULL;

  if (argc > 1) {
    g_printerr("cagmactl: status takes one domain at most\n");
    return CAGMA_EXIT_USAGE;
  }
  daemon = cagma_ctl_connect(ctl, &status);
  if (!daemon)
    return status;
  host = cagma_ctl_get_host(daemon, &status);
  domains = host ? cagma_ctl_get_domains(daemon, &status) : NULL;
  if (!domains)
    return status;

  if (argc == 1) {
    one = find(domains, argv[0]);
    if (!one)
      return no_such_domain(argv[0]);
  }
  if (ctl->json) {
    print_json(one ? one : everything(host, domains));
  } else if (one) {
    print_one(one);
  } else {
    g_autofree char *heading = cagma_ctl_view_host(host);
    g_autofree char *table = cagma_ctl_view_domains(domains, NULL, ctl->color, terminal_width());

    g_print("%s%s", heading, table);
  }
  return CAGMA_EXIT_OK;
}

int
cagma_ctl_explain(const CagmaCtl *ctl, int argc, char **argv)
{
  int status = CAGMA_EXIT_OK;
  g_autoptr(CagmaStatus1) daemon = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree char *name = NULL;

  if (argc != 1) {
    g_printerr("cagmactl: explain takes one domain\n");
    return CAGMA_EXIT_USAGE;
  }
  daemon = cagma_ctl_connect(ctl, &status);
  if (!daemon)
    return status;
  if (!cagma_status1_call_explain_sync(daemon, argv[0], &text, NULL, &error)) {
    name = g_dbus_error_get_remote_error(error);
    if (g_strcmp0(name, "org.cagma.Error.NoSuchDomain") == 0)
      return no_such_domain(argv[0]);
    g_printerr("cagmactl: the daemon went away: %s\n", error->message);
    return CAGMA_EXIT_NO_DAEMON;
  }
  if (ctl->json) {
    GVariantDict answer;

    g_variant_dict_init(&answer, NULL);
    g_variant_dict_insert(&answer, "domain", "s", argv[0]);
    g_variant_dict_insert(&answer, "explanation", "s", text);
    print_json(g_variant_dict_end(&answer));
  } else {
    g_print("%s", text);
  }
  return CAGMA_EXIT_OK;
}
