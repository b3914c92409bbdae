/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/bus.h"
#include "plugin/cagma-dbus.h"
#include "policy/units.h"
#include "tests/plugin/fake-backend.h"
#include "tests/plugin/kit.h"

#define UUID "11111111-2222-3333-4444-555555555555"

typedef struct {
  char *dir;
  FakeBackend *fake;
  FakeGuest *guest;
  CagmaTargets *targets;
  CagmaConf *conf;
  CagmaManager *manager;
  CagmaBus *bus;
} Fixture;

static void
open_bus(Fixture *f)
{
  g_autoptr(GError) error = NULL;

  f->bus = cagma_bus_open(f->dir, f->manager, &error);
  g_assert_no_error(error);
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  g_autofree char *targets_dir = NULL;
  g_autoptr(GError) error = NULL;

  (void)unused;
  kit_log_clear();
  f->dir = kit_tmpdir();
  targets_dir = g_build_filename(f->dir, "targets", NULL);
  f->targets = cagma_targets_open(targets_dir, &error);
  f->conf = cagma_conf_parse("[host]\nbudget=4GiB\nperiod=100ms\nuri=fake:///\n", -1, &error);
  g_assert_no_error(error);
  f->fake = fake_new();
  f->manager = cagma_manager_new(fake_backend(f->fake), f->targets, f->conf, FALSE);
  open_bus(f);
  f->guest = fake_add(f->fake, "guest", 1024, 1024, 300, "<cagma:memory xmlns:cagma='urn:cagma:memory:1'/>");
  cagma_manager_start(f->manager);
  fake_connect(f->fake);
  fake_start(f->fake, f->guest);
  KIT_WAIT(f->guest->n_asked[CAGMA_REQUEST_SAMPLE] > 3);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  cagma_bus_close(f->bus);
  /* Connections end on GDBus's thread. */
  for (int i = 0; i < 5; i++)
    kit_breathe();
  fake_backend(f->fake)->close(fake_backend(f->fake));
  cagma_manager_free(f->manager);
  fake_free(f->fake);
  cagma_targets_close(f->targets);
  cagma_conf_free(f->conf);
  kit_remove(f->dir);
}

static void
take_result(GObject *source, GAsyncResult *result, gpointer user_data)
{
  (void)source;
  *(GAsyncResult **)user_data = g_object_ref(result);
}

static GDBusConnection *
try_connect(const char *address, GError **error)
{
  g_autoptr(GAsyncResult) result = NULL;

  g_dbus_connection_new_for_address(address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL,
                                    take_result, &result);
  KIT_WAIT(result);
  return g_dbus_connection_new_for_address_finish(result, error);
}

static GDBusConnection *
connect_to(char *address)
{
  g_autofree char *owned = address;
  g_autoptr(GError) error = NULL;
  GDBusConnection *connection = try_connect(owned, &error);

  g_assert_no_error(error);
  return connection;
}

static GVariant *
call(GDBusConnection *connection, const char *interface, const char *method, GVariant *arguments,
     GError **error)
{
  g_autoptr(GAsyncResult) result = NULL;

  g_dbus_connection_call(connection, NULL, CAGMA_BUS_PATH, interface, method, arguments, NULL,
                         G_DBUS_CALL_FLAGS_NONE, 10000, NULL, take_result, &result);
  KIT_WAIT(result);
  return g_dbus_connection_call_finish(connection, result, error);
}

static void
assert_served(GDBusConnection *connection)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) answer = call(connection, "org.cagma.Status1", "GetHost", NULL, &error);

  g_assert_no_error(error);
  g_assert_true(g_variant_is_of_type(answer, G_VARIANT_TYPE("(a{sv})")));
}

static void
test_status(Fixture *f, gconstpointer unused)
{
  g_autoptr(GDBusConnection) connection = connect_to(cagma_bus_status_address(f->dir));
  g_autoptr(GAsyncResult) made = NULL;
  g_autoptr(GAsyncResult) host_result = NULL;
  g_autoptr(GAsyncResult) list_result = NULL;
  g_autoptr(GAsyncResult) text_result = NULL;
  g_autoptr(CagmaStatus1) proxy = NULL;
  g_autoptr(GVariant) host = NULL;
  g_autoptr(GVariant) domains = NULL;
  g_autoptr(GVariant) domain = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  const char *uri, *name;

  (void)unused;
  cagma_status1_proxy_new(connection, G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES, NULL, CAGMA_BUS_PATH, NULL,
                          take_result, &made);
  KIT_WAIT(made);
  proxy = cagma_status1_proxy_new_finish(made, &error);
  g_assert_no_error(error);

  cagma_status1_call_get_host(proxy, NULL, take_result, &host_result);
  cagma_status1_call_list_domains(proxy, NULL, take_result, &list_result);
  cagma_status1_call_explain(proxy, "guest", NULL, take_result, &text_result);
  KIT_WAIT(host_result && list_result && text_result);
  cagma_status1_call_get_host_finish(proxy, &host, host_result, &error);
  g_assert_no_error(error);
  cagma_status1_call_list_domains_finish(proxy, &domains, list_result, &error);
  g_assert_no_error(error);
  cagma_status1_call_explain_finish(proxy, &text, text_result, &error);
  g_assert_no_error(error);

  g_assert_true(g_variant_lookup(host, "uri", "&s", &uri));
  g_assert_cmpstr(uri, ==, "fake:///");
  g_assert_cmpuint(g_variant_n_children(domains), ==, 1);
  domain = g_variant_get_child_value(domains, 0);
  g_assert_true(g_variant_lookup(domain, "name", "&s", &name));
  g_assert_cmpstr(name, ==, "guest");
  kit_assert_has(text, "300 MiB");
}

static void
test_unknown_domain(Fixture *f, gconstpointer unused)
{
  g_autoptr(GDBusConnection) connection = connect_to(cagma_bus_status_address(f->dir));
  g_autoptr(GError) error = NULL;
  g_autofree char *name = NULL;

  (void)unused;
  g_assert_null(call(connection, "org.cagma.Status1", "Explain", g_variant_new("(s)", "nobody"), &error));
  name = g_dbus_error_get_remote_error(error);
  g_assert_cmpstr(name, ==, "org.cagma.Error.NoSuchDomain");
}

static guint64
incoming(Fixture *f)
{
  g_autoptr(GVariant) host = g_variant_ref_sink(cagma_manager_host_info(f->manager));
  guint64 kib = 0;

  g_variant_lookup(host, "incoming-kib", "t", &kib);
  return kib;
}

static void
test_control(Fixture *f, gconstpointer unused)
{
  g_autoptr(GDBusConnection) connection = connect_to(cagma_bus_control_address(f->dir));
  g_autoptr(GVariant) expected = NULL;
  g_autoptr(GVariant) no_more = NULL;
  g_autoptr(GError) error = NULL;

  (void)unused;
  expected = call(connection, "org.cagma.Control1", "Expect",
                  g_variant_new("(sst)", "new", UUID, CAGMA_GIB(1)), &error);
  g_assert_no_error(error);
  KIT_WAIT(incoming(f) == CAGMA_GIB(1));
  no_more = call(connection, "org.cagma.Control1", "ExpectNoMore", g_variant_new("(s)", UUID), &error);
  g_assert_no_error(error);
  KIT_WAIT(incoming(f) == 0);

  g_assert_null(call(connection, "org.cagma.Control1", "Expect",
                     g_variant_new("(sst)", "new", "../../etc/passwd", CAGMA_GIB(1)), &error));
  g_assert_error(error, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS);
  g_clear_error(&error);
  /* No size is too much to be counted. */
  g_variant_unref(call(connection, "org.cagma.Control1", "Expect",
                       g_variant_new("(sst)", "new", UUID, G_MAXUINT64), &error));
  g_assert_no_error(error);
  KIT_WAIT(incoming(f) == CAGMA_MAX_KIB);
}

/* Reading is all that the status socket is for. */
static void
test_status_socket_controls_nothing(Fixture *f, gconstpointer unused)
{
  g_autoptr(GDBusConnection) connection = connect_to(cagma_bus_status_address(f->dir));
  g_autoptr(GError) error = NULL;

  (void)unused;
  g_assert_null(call(connection, "org.cagma.Control1", "ExpectNoMore", g_variant_new("(s)", UUID), &error));
  g_assert_error(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD);
}

static int
mode_of(Fixture *f, const char *name)
{
  g_autofree char *path = g_build_filename(f->dir, name, NULL);
  struct stat status;

  g_assert_cmpint(stat(path, &status), ==, 0);
  g_assert_true(S_ISSOCK(status.st_mode));
  return status.st_mode & 0777;
}

static void
test_modes(Fixture *f, gconstpointer unused)
{
  int status = mode_of(f, "status");

  (void)unused;
  g_assert_cmpint(mode_of(f, "control"), ==, 0600);
  /* Where there is no group libvirt, or it may not be given to it, it is ours alone. */
  g_assert_true(status == 0660 || status == 0600);
}

static void
test_stale_sockets_are_replaced(Fixture *f, gconstpointer unused)
{
  g_autofree char *status = g_build_filename(f->dir, "status", NULL);
  g_autofree char *control = g_build_filename(f->dir, "control", NULL);
  g_autoptr(GDBusConnection) connection = NULL;

  (void)unused;
  cagma_bus_close(f->bus);
  g_assert_false(g_file_test(status, G_FILE_TEST_EXISTS));
  g_assert_false(g_file_test(control, G_FILE_TEST_EXISTS));
  for (int i = 0; i < 2; i++) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, i ? control : status, sizeof address.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    close(fd);
  }
  open_bus(f);
  connection = connect_to(cagma_bus_status_address(f->dir));
  assert_served(connection);
}

static void
test_unusable_directory(Fixture *f, gconstpointer unused)
{
  g_autofree char *nowhere = g_build_filename(f->dir, "nowhere", NULL);
  g_autofree char *name = g_strnfill(200, 'x');
  g_autofree char *too_long = g_build_filename(f->dir, name, NULL);
  g_autofree char *blocked = g_build_filename(f->dir, "blocked", NULL);
  g_autofree char *in_the_way = g_build_filename(blocked, "control", "full", NULL);
  g_autoptr(GError) error = NULL;

  (void)unused;
  g_assert_null(cagma_bus_open(nowhere, f->manager, &error));
  g_assert_nonnull(error);
  g_clear_error(&error);
  g_assert_null(cagma_bus_open(too_long, f->manager, &error));
  g_assert_nonnull(error);
  g_clear_error(&error);
  /* The first socket is there, the second can't be. */
  g_assert_cmpint(g_mkdir_with_parents(in_the_way, 0700), ==, 0);
  g_assert_null(cagma_bus_open(blocked, f->manager, &error));
  g_assert_nonnull(error);
}

static void
test_too_many(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) connections = g_ptr_array_new_with_free_func(g_object_unref);
  GDBusConnection *extra;

  (void)unused;
  for (int i = 0; i < CAGMA_BUS_PEERS_MAX; i++) {
    g_ptr_array_add(connections, connect_to(cagma_bus_status_address(f->dir)));
    assert_served(connections->pdata[i]);
  }
  extra = connect_to(cagma_bus_status_address(f->dir));
  KIT_WAIT(g_dbus_connection_is_closed(extra));
  g_object_unref(extra);
  g_assert_cmpuint(kit_logged("more than 32 connections"), ==, 1);
  for (guint i = 0; i < connections->len; i++)
    assert_served(connections->pdata[i]);

  /* One goes, one may come. */
  g_dbus_connection_close_sync(connections->pdata[0], NULL, NULL);
  g_ptr_array_remove_index(connections, 0);
  for (gboolean served = FALSE; !served;) {
    g_autoptr(GDBusConnection) next = connect_to(cagma_bus_status_address(f->dir));
    g_autoptr(GVariant) answer = call(next, "org.cagma.Status1", "GetHost", NULL, NULL);

    served = answer != NULL;
  }
}

static void
test_large_message(Fixture *f, gconstpointer unused)
{
  g_autoptr(GDBusConnection) other = connect_to(cagma_bus_status_address(f->dir));
  static const gboolean in_header[] = { FALSE, TRUE };

  (void)unused;
  for (size_t i = 0; i < G_N_ELEMENTS(in_header); i++) {
    g_autoptr(GDBusConnection) loud = connect_to(cagma_bus_status_address(f->dir));
    g_autofree char *long_text = g_strnfill(CAGMA_BUS_MESSAGE_MAX + 1, 'x');
    g_autoptr(GDBusMessage) message =
        g_dbus_message_new_method_call(NULL, CAGMA_BUS_PATH, "org.cagma.Status1", "Explain");
    g_autoptr(GError) error = NULL;

    if (in_header[i]) {
      g_autofree char *path = g_strconcat("/", long_text, NULL);

      g_dbus_message_set_path(message, path);
    }
    g_dbus_message_set_body(message, g_variant_new("(s)", in_header[i] ? "x" : long_text));
    g_assert_true(
        g_dbus_connection_send_message(loud, message, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, &error));
    KIT_WAIT(g_dbus_connection_is_closed(loud));
    g_assert_cmpuint(kit_logged("too large"), ==, i + 1);
    assert_served(other);
  }
}

static void
test_just_not_too_large(Fixture *f, gconstpointer unused)
{
  g_autoptr(GDBusConnection) connection = connect_to(cagma_bus_status_address(f->dir));
  g_autofree char *text = g_strnfill(CAGMA_BUS_MESSAGE_MAX - 512, 'x');
  g_autoptr(GError) error = NULL;
  g_autofree char *name = NULL;

  (void)unused;
  g_assert_null(call(connection, "org.cagma.Status1", "Explain", g_variant_new("(s)", text), &error));
  name = g_dbus_error_get_remote_error(error);
  g_assert_cmpstr(name, ==, "org.cagma.Error.NoSuchDomain");
}

static int
raw_connection(Fixture *f)
{
  g_autofree char *path = g_build_filename(f->dir, "status", NULL);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_strlcpy(address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  return fd;
}

static gboolean
is_cut_off(int fd)
{
  char buffer[512];
  ssize_t n;

  while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
    continue;
  return n == 0 || errno == ECONNRESET;
}

static void
test_junk(Fixture *f, gconstpointer unused)
{
  g_autoptr(GDBusConnection) other = connect_to(cagma_bus_status_address(f->dir));
  g_autofree char *auth = NULL;
  g_autofree char *hex = NULL;
  g_autoptr(GString) digits = g_string_new(NULL);
  static const char *const greetings[] = {
    "\1\2\3\4",
    "GET / HTTP/1.1\r\n\r\n",
    "\0AUTH ANONYMOUS\r\n",
  };
  static const gsize lengths[] = { 4, 18, 17 };
  int silent = raw_connection(f);

  (void)unused;
  for (size_t i = 0; i < G_N_ELEMENTS(greetings); i++) {
    int fd = raw_connection(f);

    g_assert_cmpint(send(fd, greetings[i], lengths[i], MSG_NOSIGNAL), ==, (ssize_t)lengths[i]);
    shutdown(fd, SHUT_WR);
    KIT_WAIT(is_cut_off(fd));
    close(fd);
  }

  /* Let in, and then nonsense. */
  hex = g_strdup_printf("%d", (int)getuid());
  for (const char *c = hex; *c; c++)
    g_string_append_printf(digits, "%02x", *c);
  auth = g_strdup_printf("AUTH EXTERNAL %s\r\nBEGIN\r\n", digits->str);
  {
    int fd = raw_connection(f);
    char junk[256];

    memset(junk, 0xee, sizeof junk);
    g_assert_cmpint(send(fd, "", 1, MSG_NOSIGNAL), ==, 1);
    g_assert_cmpint(send(fd, auth, strlen(auth), MSG_NOSIGNAL), ==, (ssize_t)strlen(auth));
    g_assert_cmpint(send(fd, junk, sizeof junk, MSG_NOSIGNAL), ==, (ssize_t)sizeof junk);
    KIT_WAIT(is_cut_off(fd));
    close(fd);
  }
  assert_served(other);
  close(silent);
  assert_served(other);
}

static void
test_close_with_calls_under_way(Fixture *f, gconstpointer unused)
{
  g_autoptr(GDBusConnection) connection = connect_to(cagma_bus_status_address(f->dir));
  g_autoptr(GAsyncResult) result = NULL;
  g_autoptr(GVariant) answer = NULL;
  g_autoptr(GError) error = NULL;

  (void)unused;
  for (int i = 0; i < 20; i++)
    g_dbus_connection_call(connection, NULL, CAGMA_BUS_PATH, "org.cagma.Status1", "ListDomains", NULL, NULL,
                           G_DBUS_CALL_FLAGS_NONE, 10000, NULL, i ? NULL : take_result, &result);
  g_dbus_connection_flush_sync(connection, NULL, NULL);
  cagma_bus_close(f->bus);
  f->bus = NULL;
  KIT_WAIT(result);
  /* Answered or not: it isn't left hanging. */
  answer = g_dbus_connection_call_finish(connection, result, &error);
  g_assert_true((answer != NULL) != (error != NULL));
}

#define ADD(name, function) g_test_add("/bus/" name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  ADD("status", test_status);
  ADD("unknown-domain", test_unknown_domain);
  ADD("control", test_control);
  ADD("status-socket-controls-nothing", test_status_socket_controls_nothing);
  ADD("modes", test_modes);
  ADD("stale-sockets-are-replaced", test_stale_sockets_are_replaced);
  ADD("unusable-directory", test_unusable_directory);
  ADD("too-many", test_too_many);
  ADD("large-message", test_large_message);
  ADD("just-not-too-large", test_just_not_too_large);
  ADD("junk", test_junk);
  ADD("close-with-calls-under-way", test_close_with_calls_under_way);
  return g_test_run();
}
