/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/libvirt-glue.h"

#include <libvirt/virterror.h>

G_DEFINE_QUARK(cagma - libvirt - error - quark, cagma_libvirt_error)

/* A peer silent for 5 × 3 s is taken for dead. */
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 3

/* How long a timer of no delay may take to fire at start-up. */
#define LOOP_CHECK_MS 5000

void
cagma_libvirt_error(GError **error, const char *what)
{
  virErrorPtr last = virGetLastError();

  g_set_error(error, CAGMA_LIBVIRT_ERROR, last ? last->code : VIR_ERR_INTERNAL_ERROR, "%s: %s", what,
              last && last->message ? last->message : "unknown libvirt error");
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

gboolean
cagma_libvirt_join_main_loop(GError **error)
{
  gboolean seen = FALSE, late = FALSE;
  guint limit;
  int timer;

  /* libvirt prints errors to stderr unless told otherwise; ours are logged. */
  virSetErrorFunc(NULL, quiet);
  if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0) {
    cagma_libvirt_error(error, "libvirt");
    return FALSE;
  }
  timer = virEventAddTimeout(0, fired, &seen, NULL);
  limit = g_timeout_add(LOOP_CHECK_MS, give_up, &late);
  while (!seen && !late)
    g_main_context_iteration(NULL, TRUE);
  virEventRemoveTimeout(timer);
  if (late) {
    g_set_error(error, CAGMA_LIBVIRT_ERROR, VIR_ERR_INTERNAL_ERROR,
                "this libvirt's event loop is not GLib's; libvirt 9.0 or later is needed");
    return FALSE;
  }
  g_source_remove(limit);
  return TRUE;
}
