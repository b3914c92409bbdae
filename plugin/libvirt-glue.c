/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/libvirt-glue.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "plugin/libvirt-events.h"
#include "xml/error.h"

G_DEFINE_QUARK(cagma_libvirt_error_quark, cagma_libvirt_error)

/* A peer silent for 5 × 3 s is taken for dead. */
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 3

/* How long a timer of no delay may take to fire at start-up. */
#define LOOP_CHECK_MS 5000

#define MESSAGE_MAX_CHARS 500

void
cagma_libvirt_error(GError **error, const char *what)
{
  virErrorPtr last = virGetLastError();
  /* It may quote what a QEMU printed, and goes into the log. */
  g_autofree char *message =
      cagma_printable(last && last->message ? last->message : "unknown libvirt error", MESSAGE_MAX_CHARS);

  g_set_error(error, CAGMA_LIBVIRT_ERROR, last ? last->code : VIR_ERR_INTERNAL_ERROR, "%s: %s", what,
              message);
}

virConnectPtr
cagma_libvirt_open(const char *uri, GError **error)
{
  virConnectPtr conn = virConnectOpen(uri);

  if (!conn) {
    cagma_libvirt_error(error, uri);
    return NULL;
  }
  /* Drivers inside the process (test:///) have no peer to keep alive. */
  virConnectSetKeepAlive(conn, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT);
  return conn;
}

/* Whether its peer is a daemon reached by a unix socket. Not so: drivers inside the
 * process (test:///, qemu:///embed), and what may lie behind an alias. */
static gboolean
is_by_unix_socket(const char *uri)
{
  g_autofree char *scheme = NULL, *host = NULL, *path = NULL;

  if (!g_uri_split(uri, G_URI_FLAGS_NONE, &scheme, NULL, &host, NULL, &path, NULL, NULL, NULL) || !scheme)
    return FALSE;
  if (strchr(scheme, '+'))
    return g_str_has_suffix(scheme, "+unix");
  return (!host || !*host) && (g_str_equal(path, "/system") || g_str_equal(path, "/session"));
}

virConnectPtr
cagma_libvirt_open_for_calls(const char *uri, GError **error)
{
  virConnectPtr conn;

  /* Behind a network a peer can vanish without a sign: there keepalive is needed. */
  if (!is_by_unix_socket(uri))
    return cagma_libvirt_open(uri, error);
  cagma_libvirt_events_hold_off();
  conn = virConnectOpen(uri);
  cagma_libvirt_events_resume();
  if (!conn)
    cagma_libvirt_error(error, uri);
  return conn;
}

static void
quiet(void *unused, virErrorPtr error)
{
  (void)unused;
  (void)error;
}

static void
fired(int timer, void *opaque)
{
  gboolean *seen = opaque;

  (void)timer;
  *seen = TRUE;
}

static gboolean
give_up(gpointer user_data)
{
  gboolean *late = user_data;

  *late = TRUE;
  return G_SOURCE_REMOVE;
}

void
cagma_libvirt_hush(void)
{
  virSetErrorFunc(NULL, quiet);
}

gboolean
cagma_libvirt_join_main_loop(GError **error)
{
  gboolean seen = FALSE, late = FALSE;
  guint limit;
  int timer;

  cagma_libvirt_hush();
  if (virInitialize() < 0) {
    cagma_libvirt_error(error, "libvirt");
    return FALSE;
  }
  cagma_libvirt_events_register();
  timer = virEventAddTimeout(0, fired, &seen, NULL);
  limit = g_timeout_add(LOOP_CHECK_MS, give_up, &late);
  while (!seen && !late)
    g_main_context_iteration(NULL, TRUE);
  virEventRemoveTimeout(timer);
  if (late) {
    g_set_error(error, CAGMA_LIBVIRT_ERROR, VIR_ERR_INTERNAL_ERROR,
                "another event loop is registered with libvirt");
    return FALSE;
  }
  g_source_remove(limit);
  return TRUE;
}
