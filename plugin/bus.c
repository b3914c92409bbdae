/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/bus.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/cagma-dbus.h"

/* Who may read: those who may use libvirt. */
#define STATUS_GROUP "libvirt"
#define ERROR_NO_SUCH_DOMAIN "org.cagma.Error.NoSuchDomain"

typedef struct {
  GDBusServer *server;
  GDBusAuthObserver *observer;
  GDBusInterfaceSkeleton *skeleton;
  GHashTable *peers;
  char *path;
} Door;

struct CagmaBus {
  CagmaManager *manager;
  Door status;
  Door control;
};

static char *
address_of(const char *run_dir, const char *name)
{
  g_autofree char *path = g_build_filename(run_dir, name, NULL);
  g_autofree char *escaped = g_dbus_address_escape_value(path);

  return g_strdup_printf("unix:path=%s", escaped);
}

char *
cagma_bus_status_address(const char *run_dir)
{
  return address_of(run_dir, "status");
}

char *
cagma_bus_control_address(const char *run_dir)
{
  return address_of(run_dir, "control");
}

static gboolean
on_get_host(CagmaStatus1 *skeleton, GDBusMethodInvocation *call, gpointer user_data)
{
  CagmaBus *bus = user_data;

  cagma_status1_complete_get_host(skeleton, call, cagma_manager_host_info(bus->manager));
  return TRUE;
}

static gboolean
on_list_domains(CagmaStatus1 *skeleton, GDBusMethodInvocation *call, gpointer user_data)
{
  CagmaBus *bus = user_data;

  cagma_status1_complete_list_domains(skeleton, call, cagma_manager_domain_infos(bus->manager));
  return TRUE;
}

static gboolean
on_explain(CagmaStatus1 *skeleton, GDBusMethodInvocation *call, const char *domain, gpointer user_data)
{
  CagmaBus *bus = user_data;
  g_autofree char *text = cagma_manager_explain(bus->manager, domain);

  if (text)
    cagma_status1_complete_explain(skeleton, call, text);
  else
    g_dbus_method_invocation_return_dbus_error(call, ERROR_NO_SUCH_DOMAIN, "no such domain runs");
  return TRUE;
}

static gboolean
on_expect(CagmaControl1 *skeleton, GDBusMethodInvocation *call, const char *name, const char *uuid,
          guint64 memory_kib, gpointer user_data)
{
  CagmaBus *bus = user_data;

  if (!g_uuid_string_is_valid(uuid)) {
    g_dbus_method_invocation_return_error(call, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS, "not a UUID: '%s'",
                                          uuid);
    return TRUE;
  }
  cagma_manager_expect(bus->manager, uuid, name, memory_kib);
  cagma_control1_complete_expect(skeleton, call);
  return TRUE;
}

static void
room_answered(gboolean is_free, gpointer call)
{
  g_dbus_method_invocation_return_value(call, g_variant_new("(b)", is_free));
}

static gboolean
on_await_room(CagmaControl1 *skeleton, GDBusMethodInvocation *call, gpointer user_data)
{
  CagmaBus *bus = user_data;

  (void)skeleton;
  cagma_manager_await_room(bus->manager, room_answered, call);
  return TRUE;
}

static gboolean
on_expect_no_more(CagmaControl1 *skeleton, GDBusMethodInvocation *call, const char *uuid, gpointer user_data)
{
  CagmaBus *bus = user_data;

  cagma_manager_expect_no_more(bus->manager, uuid);
  cagma_control1_complete_expect_no_more(skeleton, call);
  return TRUE;
}

static gsize
size_of(GDBusMessage *message)
{
  g_autofree guchar *fields = g_dbus_message_get_header_fields(message);
  GVariant *body = g_dbus_message_get_body(message);
  gsize size = body ? g_variant_get_size(body) : 0;

  for (const guchar *field = fields; *field != G_DBUS_MESSAGE_HEADER_FIELD_INVALID; field++)
    size += g_variant_get_size(g_dbus_message_get_header(message, *field));
  return size;
}

/* On GDBus's own thread. */
static GDBusMessage *
refuse_large(GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer user_data)
{
  gsize size;

  (void)user_data;
  if (!incoming)
    return message;
  size = size_of(message);
  if (size <= CAGMA_BUS_MESSAGE_MAX)
    return message;
  g_warning("a message of %" G_GSIZE_FORMAT " bytes is too large; its sender is cut off", size);
  g_dbus_connection_close(connection, NULL, NULL, NULL);
  g_object_unref(message);
  return NULL;
}

static gboolean
is_external(GDBusAuthObserver *observer, const char *mechanism, gpointer user_data)
{
  (void)observer;
  (void)user_data;
  return g_str_equal(mechanism, "EXTERNAL");
}

/* On a thread of GDBus's, and perhaps after the door was closed. */
static gboolean
is_allowed(GDBusAuthObserver *observer, GIOStream *stream, GCredentials *credentials, gpointer user_data)
{
  gboolean root_only = GPOINTER_TO_INT(user_data);
  uid_t uid;

  (void)observer;
  (void)stream;
  if (!credentials)
    return FALSE;
  if (!root_only)
    return TRUE;
  uid = g_credentials_get_unix_user(credentials, NULL);
  return uid != (uid_t)-1 && (uid == 0 || uid == geteuid());
}

static void
on_closed(GDBusConnection *connection, gboolean vanished, GError *error, gpointer user_data)
{
  Door *door = user_data;

  (void)vanished;
  (void)error;
  g_dbus_interface_skeleton_unexport_from_connection(door->skeleton, connection);
  g_hash_table_remove(door->peers, connection);
}

static gboolean
on_new_connection(GDBusServer *server, GDBusConnection *connection, gpointer user_data)
{
  Door *door = user_data;
  g_autoptr(GError) error = NULL;

  (void)server;
  /* One that began with nonsense is over before it came here, and said so. */
  if (g_dbus_connection_is_closed(connection)) {
    g_io_stream_close(g_dbus_connection_get_stream(connection), NULL, NULL);
    return FALSE;
  }
  if (g_hash_table_size(door->peers) >= CAGMA_BUS_PEERS_MAX) {
    g_warning("%s: more than %d connections; one is refused", door->path, CAGMA_BUS_PEERS_MAX);
    return FALSE;
  }
  if (!g_dbus_interface_skeleton_export(door->skeleton, connection, CAGMA_BUS_PATH, &error)) {
    g_warning("%s: %s", door->path, error->message);
    return FALSE;
  }
  g_dbus_connection_add_filter(connection, refuse_large, NULL, NULL);
  g_signal_connect(connection, "closed", G_CALLBACK(on_closed), door);
  g_hash_table_add(door->peers, g_object_ref(connection));
  return TRUE;
}

static gboolean
door_open(Door *door, const char *run_dir, const char *name, GDBusInterfaceSkeleton *skeleton,
          gboolean root_only, GError **error)
{
  g_autofree char *address = address_of(run_dir, name);
  g_autofree char *guid = g_dbus_generate_guid();
  mode_t before;

  door->path = g_build_filename(run_dir, name, NULL);
  door->skeleton = skeleton;
  door->peers = g_hash_table_new_full(NULL, NULL, g_object_unref, NULL);
  door->observer = g_dbus_auth_observer_new();
  g_signal_connect(door->observer, "allow-mechanism", G_CALLBACK(is_external), NULL);
  g_signal_connect(door->observer, "authorize-authenticated-peer", G_CALLBACK(is_allowed),
                   GINT_TO_POINTER(root_only));

  g_unlink(door->path);
  /* Nobody gets in between its creation and its permissions. */
  before = umask(0177);
  door->server = g_dbus_server_new_sync(address, G_DBUS_SERVER_FLAGS_NONE, guid, door->observer, NULL, error);
  umask(before);
  if (!door->server)
    return FALSE;
  g_signal_connect(door->server, "new-connection", G_CALLBACK(on_new_connection), door);
  g_dbus_server_start(door->server);
  return TRUE;
}

static void
door_close(Door *door)
{
  if (door->server) {
    g_dbus_server_stop(door->server);
    /* One that was let in already may still be on its way to the main loop. */
    g_signal_handlers_disconnect_by_data(door->server, door);
    g_unlink(door->path);
  }
  if (door->peers) {
    GHashTableIter iter;
    gpointer peer;

    g_hash_table_iter_init(&iter, door->peers);
    while (g_hash_table_iter_next(&iter, &peer, NULL)) {
      g_signal_handlers_disconnect_by_data(peer, door);
      g_dbus_interface_skeleton_unexport_from_connection(door->skeleton, peer);
      g_dbus_connection_close(peer, NULL, NULL, NULL);
    }
  }
  g_clear_pointer(&door->peers, g_hash_table_unref);
  g_clear_object(&door->server);
  g_clear_object(&door->observer);
  g_clear_object(&door->skeleton);
  g_clear_pointer(&door->path, g_free);
}

static void
let_group_in(const char *path)
{
  const struct group *group = getgrnam(STATUS_GROUP);

  if (!group)
    return;
  if (chown(path, (uid_t)-1, group->gr_gid) < 0 || chmod(path, 0660) < 0)
    g_warning("%s: group %s is kept out: %s", path, STATUS_GROUP, g_strerror(errno));
}

CagmaBus *
cagma_bus_open(const char *run_dir, CagmaManager *manager, GError **error)
{
  CagmaBus *bus = g_new0(CagmaBus, 1);
  CagmaStatus1 *status = cagma_status1_skeleton_new();
  CagmaControl1 *control = cagma_control1_skeleton_new();

  bus->manager = manager;
  g_signal_connect(status, "handle-get-host", G_CALLBACK(on_get_host), bus);
  g_signal_connect(status, "handle-list-domains", G_CALLBACK(on_list_domains), bus);
  g_signal_connect(status, "handle-explain", G_CALLBACK(on_explain), bus);
  g_signal_connect(control, "handle-expect", G_CALLBACK(on_expect), bus);
  g_signal_connect(control, "handle-await-room", G_CALLBACK(on_await_room), bus);
  g_signal_connect(control, "handle-expect-no-more", G_CALLBACK(on_expect_no_more), bus);

  if (!door_open(&bus->status, run_dir, "status", G_DBUS_INTERFACE_SKELETON(status), FALSE, error)) {
    g_object_unref(control);
    cagma_bus_close(bus);
    return NULL;
  }
  let_group_in(bus->status.path);
  if (!door_open(&bus->control, run_dir, "control", G_DBUS_INTERFACE_SKELETON(control), TRUE, error)) {
    cagma_bus_close(bus);
    return NULL;
  }
  return bus;
}

void
cagma_bus_close(CagmaBus *bus)
{
  if (!bus)
    return;
  door_close(&bus->status);
  door_close(&bus->control);
  g_free(bus);
}
