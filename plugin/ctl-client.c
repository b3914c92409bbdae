/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/ctl-client.h"

#include <string.h>

#include "plugin/bus.h"
#include "plugin/cagma-dbus.h"
#include "xml/size.h"

/* The daemon answers from memory; longer means it hangs. */
#define CALL_TIMEOUT_MS 5000

static int
say_no_daemon(const char *run_dir, const GError *error)
{
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
    g_printerr("cagmactl: %s/status: permission denied; be root or in the group libvirt\n", run_dir);
  else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ||
           g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
    g_printerr(
        "cagmactl: cagmad isn't running (nothing answers at %s/status); start it with 'systemctl start "
        "cagmad'\n",
        run_dir);
  else
    g_printerr("cagmactl: %s/status: %s\n", run_dir, error->message);
  return CAGMA_EXIT_NO_DAEMON;
}

CagmaStatus1 *
cagma_ctl_connect(const CagmaCtl *ctl, int *status)
{
  g_autofree char *address = cagma_bus_status_address(ctl->run_dir);
  g_autoptr(GDBusConnection) connection = NULL;
  g_autoptr(GError) error = NULL;
  CagmaStatus1 *daemon = NULL;

  connection = g_dbus_connection_new_for_address_sync(address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT,
                                                      NULL, NULL, &error);
  if (connection)
    daemon = cagma_status1_proxy_new_sync(connection, G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES, NULL,
                                          CAGMA_BUS_PATH, NULL, &error);
  if (!daemon) {
    *status = say_no_daemon(ctl->run_dir, error);
    return NULL;
  }
  g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(daemon), CALL_TIMEOUT_MS);
  return daemon;
}

GVariant *
cagma_ctl_get_host(CagmaStatus1 *daemon, int *status)
{
  g_autoptr(GError) error = NULL;
  GVariant *host = NULL;

  if (!cagma_status1_call_get_host_sync(daemon, &host, NULL, &error)) {
    g_printerr("cagmactl: the daemon went away: %s\n", error->message);
    *status = CAGMA_EXIT_NO_DAEMON;
  }
  return host;
}

static gint
by_name(gconstpointer a, gconstpointer b)
{
  return strcmp(cagma_ctl_text(*(GVariant *const *)a, "name", ""),
                cagma_ctl_text(*(GVariant *const *)b, "name", ""));
}

GPtrArray *
cagma_ctl_get_domains(CagmaStatus1 *daemon, int *status)
{
  g_autoptr(GVariant) infos = NULL;
  g_autoptr(GError) error = NULL;
  GPtrArray *domains;

  if (!cagma_status1_call_list_domains_sync(daemon, &infos, NULL, &error)) {
    g_printerr("cagmactl: the daemon went away: %s\n", error->message);
    *status = CAGMA_EXIT_NO_DAEMON;
    return NULL;
  }
  domains = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
  for (gsize i = 0; i < g_variant_n_children(infos); i++)
    g_ptr_array_add(domains, g_variant_get_child_value(infos, i));
  g_ptr_array_sort(domains, by_name);
  return domains;
}

const char *
cagma_ctl_text(GVariant *info, const char *key, const char *otherwise)
{
  const char *text;

  return g_variant_lookup(info, key, "&s", &text) ? text : otherwise;
}

guint64
cagma_ctl_number(GVariant *info, const char *key, guint64 otherwise)
{
  guint64 number;
  guint32 small;

  if (g_variant_lookup(info, key, "t", &number))
    return number;
  return g_variant_lookup(info, key, "u", &small) ? small : otherwise;
}

gint64
cagma_ctl_signed(GVariant *info, const char *key, gint64 otherwise)
{
  gint64 number;

  return g_variant_lookup(info, key, "x", &number) ? number : otherwise;
}

gboolean
cagma_ctl_has(GVariant *info, const char *key)
{
  g_autoptr(GVariant) value = g_variant_lookup_value(info, key, NULL);

  return value != NULL;
}

char *
cagma_ctl_size(GVariant *info, const char *key)
{
  if (!cagma_ctl_has(info, key))
    return g_strdup("–");
  return cagma_size_format(cagma_ctl_number(info, key, 0));
}
