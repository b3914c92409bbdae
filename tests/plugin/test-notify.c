/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <unistd.h>

#include "plugin/notify.h"
#include "tests/plugin/kit.h"

static GSocket *
listen_at(const char *path, GUnixSocketAddressType type)
{
  g_autoptr(GError) error = NULL;
  GSocket *socket =
      g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_DEFAULT, &error);
  g_autoptr(GSocketAddress) address = g_unix_socket_address_new_with_type(path, -1, type);

  g_assert_no_error(error);
  g_assert_true(g_socket_bind(socket, address, FALSE, &error));
  g_assert_no_error(error);
  g_socket_set_timeout(socket, 10);
  return socket;
}

static void
assert_hears(GSocket *socket, const char *what)
{
  char buffer[128];
  g_autoptr(GError) error = NULL;
  gssize n = g_socket_receive(socket, buffer, sizeof buffer - 1, NULL, &error);

  g_assert_no_error(error);
  buffer[n] = '\0';
  g_assert_cmpstr(buffer, ==, what);
}

static void
test_path(void)
{
  char *dir = kit_tmpdir();
  g_autofree char *path = g_build_filename(dir, "notify", NULL);
  g_autoptr(GSocket) socket = listen_at(path, G_UNIX_SOCKET_ADDRESS_PATH);

  g_setenv("NOTIFY_SOCKET", path, TRUE);
  cagma_notify("READY=1");
  cagma_notify("WATCHDOG=1");
  assert_hears(socket, "READY=1");
  assert_hears(socket, "WATCHDOG=1");
  kit_remove(dir);
}

static void
test_abstract(void)
{
  g_autofree char *name = g_strdup_printf("cagma-test-notify-%d", (int)getpid());
  g_autofree char *path = g_strconcat("@", name, NULL);
  g_autoptr(GSocket) socket = listen_at(name, G_UNIX_SOCKET_ADDRESS_ABSTRACT);

  g_setenv("NOTIFY_SOCKET", path, TRUE);
  cagma_notify("STOPPING=1");
  assert_hears(socket, "STOPPING=1");
}

static void
test_nobody_listens(void)
{
  g_autofree char *endless = g_strnfill(500, 'x');

  kit_log_clear();
  g_unsetenv("NOTIFY_SOCKET");
  cagma_notify("READY=1");
  g_setenv("NOTIFY_SOCKET", "relative", TRUE);
  cagma_notify("READY=1");
  endless[0] = '/';
  g_setenv("NOTIFY_SOCKET", endless, TRUE);
  cagma_notify("READY=1");
  g_assert_cmpuint(kit_logged("NOTIFY_SOCKET"), ==, 0);
  g_setenv("NOTIFY_SOCKET", "/nonexistent/notify", TRUE);
  cagma_notify("READY=1");
  g_assert_cmpuint(kit_logged("NOTIFY_SOCKET"), ==, 1);
}

static void
test_watchdog(void)
{
  g_autofree char *us = g_strdup_printf("%d", (int)getpid());
  static const struct {
    const char *usec;
    const char *pid; /* "own": ours */
    guint64 us;
  } cases[] = {
    { NULL, NULL, 0 },
    { "30000000", NULL, 30000000 },
    { "30000000", "own", 30000000 },
    { "30000000", "1", 0 },
    { "0", NULL, 0 },
    { "-5", NULL, 0 },
    { "abc", NULL, 0 },
    { "30s", NULL, 0 },
    { "30000000", "x", 0 },
    { "99999999999999999999", NULL, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_unsetenv("WATCHDOG_USEC");
    g_unsetenv("WATCHDOG_PID");
    if (cases[i].usec)
      g_setenv("WATCHDOG_USEC", cases[i].usec, TRUE);
    if (cases[i].pid)
      g_setenv("WATCHDOG_PID", g_str_equal(cases[i].pid, "own") ? us : cases[i].pid, TRUE);
    g_assert_cmpuint(cagma_watchdog_us(), ==, cases[i].us);
  }
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/notify/path", test_path);
  g_test_add_func("/notify/abstract", test_abstract);
  g_test_add_func("/notify/nobody-listens", test_nobody_listens);
  g_test_add_func("/notify/watchdog", test_watchdog);
  return g_test_run();
}
