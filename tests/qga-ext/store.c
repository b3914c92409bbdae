/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/qga-ext/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/qga-ext/kit.h"

/* struct xsd_sockmsg. */
typedef struct {
  guint32 type;
  guint32 request_id;
  guint32 transaction_id;
  guint32 length;
} Header;

/* Between two bytes that are to be two readings. */
#define SPLIT_US 50

#define CLIENTS_MAX 16

typedef struct {
  char *path; /* as the client has it */
  char *token;
} Watch;

typedef struct {
  int fd;
  GByteArray *input;
  GPtrArray *watches;
} StoreClient;

typedef struct {
  GBytes *value; /* NULL: removed */
  guint writes;
  guint reads_before; /* of any node, before the last write of this one */
} Node;

struct Store {
  GThread *thread;
  GMutex lock; /* over all that follows */
  GCond changed;
  int listen_fd;
  int end_fd;
  GPtrArray *clients;
  GHashTable *nodes;
  guint connections;
  guint requests[STORE_TYPES];
  const char *refusals[STORE_TYPES];
  gboolean held[STORE_TYPES];
  gboolean split;
};

static void
watch_free(gpointer data)
{
  Watch *watch = data;

  g_free(watch->path);
  g_free(watch->token);
  g_free(watch);
}

static void
client_end(gpointer data)
{
  StoreClient *client = data;

  close(client->fd);
  g_byte_array_unref(client->input);
  g_ptr_array_unref(client->watches);
  g_free(client);
}

static void
node_free(gpointer data)
{
  Node *node = data;

  g_clear_pointer(&node->value, g_bytes_unref);
  g_free(node);
}

static char *
absolute(const char *path)
{
  return path[0] == '/' ? g_strdup(path) : g_strconcat(STORE_HOME, path, NULL);
}

/* The one of that path, made if need be. */
static Node *
find_node(Store *store, const char *path)
{
  g_autofree char *full = absolute(path);
  Node *node = g_hash_table_lookup(store->nodes, full);

  if (node == NULL) {
    node = g_new0(Node, 1);
    g_hash_table_insert(store->nodes, g_steal_pointer(&full), node);
  }
  return node;
}

/* A client that has gone is noticed where it is read from. */
static void
send_bytes(const Store *store, const StoreClient *client, const void *bytes, gsize length)
{
  const gsize step = store->split ? 1 : length;

  for (gsize at = 0; at < length; at += step) {
    if (send(client->fd, (const char *)bytes + at, step, MSG_NOSIGNAL) < 0)
      return;
    if (store->split)
      g_usleep(SPLIT_US);
  }
}

static void
send_message(const Store *store, const StoreClient *client, guint32 type, guint32 request_id,
             const char *payload, gsize length)
{
  const Header header = { .type = type, .request_id = request_id, .length = (guint32)length };
  g_autoptr(GByteArray) message = g_byte_array_new();

  g_byte_array_append(message, (const guint8 *)&header, sizeof(header));
  if (length > 0)
    g_byte_array_append(message, (const guint8 *)payload, (guint)length);
  send_bytes(store, client, message->data, message->len);
}

static void
send_event(const Store *store, const StoreClient *client, const char *path, const char *token)
{
  g_autoptr(GByteArray) payload = g_byte_array_new();

  g_byte_array_append(payload, (const guint8 *)path, (guint)strlen(path) + 1);
  g_byte_array_append(payload, (const guint8 *)token, (guint)strlen(token) + 1);
  send_message(store, client, STORE_WATCH_EVENT, 0, (const char *)payload->data, payload->len);
}

/* The node or one above it. The event's path is the node's, in the form the watch has. */
static void
fire_watch(const Store *store, const StoreClient *client, const Watch *watch, const char *full)
{
  g_autofree char *watched = absolute(watch->path);
  const gsize length = strlen(watched);

  if (strncmp(full, watched, length) != 0 || (full[length] != '\0' && full[length] != '/'))
    return;
  send_event(store, client, watch->path[0] == '/' ? full : full + strlen(STORE_HOME), watch->token);
}

static void
fire_watches(Store *store, const char *path)
{
  g_autofree char *full = absolute(path);

  for (guint i = 0; i < store->clients->len; i++) {
    const StoreClient *client = store->clients->pdata[i];

    for (guint j = 0; j < client->watches->len; j++)
      fire_watch(store, client, client->watches->pdata[j], full);
  }
}

static void
set_node(Store *store, const char *path, GBytes *value)
{
  Node *node = find_node(store, path);

  g_clear_pointer(&node->value, g_bytes_unref);
  node->value = value;
}

static void
reply_ok(const Store *store, const StoreClient *client, const Header *header)
{
  send_message(store, client, header->type, header->request_id, "OK", sizeof("OK"));
}

static void
reply_error(const Store *store, const StoreClient *client, const Header *header, const char *error)
{
  send_message(store, client, STORE_ERROR, header->request_id, error, strlen(error) + 1);
}

static void
grant_read(Store *store, StoreClient *client, const Header *header, const char *path)
{
  const Node *node = find_node(store, path);
  gsize length = 0;
  const char *value = node->value ? g_bytes_get_data(node->value, &length) : NULL;

  if (node->value == NULL)
    reply_error(store, client, header, "ENOENT");
  else
    send_message(store, client, STORE_READ, header->request_id, value, length);
}

static void
grant_write(Store *store, StoreClient *client, const Header *header, const char *path, const char *value,
            gsize length)
{
  Node *node = find_node(store, path);

  set_node(store, path, g_bytes_new(value, length));
  node->writes++;
  node->reads_before = store->requests[STORE_READ];
  reply_ok(store, client, header);
  fire_watches(store, path);
}

static void
grant_remove(Store *store, StoreClient *client, const Header *header, const char *path)
{
  set_node(store, path, NULL);
  reply_ok(store, client, header);
  fire_watches(store, path);
}

/* A watch begins with an event. */
static void
grant_watch(Store *store, StoreClient *client, const Header *header, const char *path, const char *token)
{
  Watch *watch = g_new0(Watch, 1);

  watch->path = g_strdup(path);
  watch->token = g_strdup(token);
  g_ptr_array_add(client->watches, watch);
  reply_ok(store, client, header);
  send_event(store, client, path, token);
}

static void
grant_unwatch(Store *store, StoreClient *client, const Header *header, const char *path, const char *token)
{
  for (guint i = 0; i < client->watches->len; i++) {
    const Watch *watch = client->watches->pdata[i];

    if (strcmp(watch->path, path) == 0 && strcmp(watch->token, token) == 0) {
      g_ptr_array_remove_index(client->watches, i);
      reply_ok(store, client, header);
      return;
    }
  }
  reply_error(store, client, header, "ENOENT");
}

/* The payload is a path and its NUL, and what follows. */
static void
grant(Store *store, StoreClient *client, const Header *header, const char *payload)
{
  const gsize path_length = strnlen(payload, header->length) + 1;
  const char *rest = payload + path_length;

  if (path_length > header->length) {
    reply_error(store, client, header, "EINVAL");
    return;
  }
  switch (header->type) {
  case STORE_READ:
    grant_read(store, client, header, payload);
    break;
  case STORE_WRITE:
    grant_write(store, client, header, payload, rest, header->length - path_length);
    break;
  case STORE_RM:
    grant_remove(store, client, header, payload);
    break;
  case STORE_WATCH:
    grant_watch(store, client, header, payload, rest);
    break;
  case STORE_UNWATCH:
    grant_unwatch(store, client, header, payload, rest);
    break;
  case STORE_TRANSACTION_START:
    send_message(store, client, header->type, header->request_id, "1", sizeof("1"));
    break;
  case STORE_TRANSACTION_END:
    reply_ok(store, client, header);
    break;
  default:
    reply_error(store, client, header, "ENOSYS");
    break;
  }
}

static void
handle_request(Store *store, StoreClient *client, const Header *header, const char *payload)
{
  const guint32 type = header->type < STORE_TYPES ? header->type : 0;

  store->requests[type]++;
  if (store->refusals[type] != NULL)
    reply_error(store, client, header, store->refusals[type]);
  else if (!store->held[type])
    grant(store, client, header, payload);
  g_cond_broadcast(&store->changed);
}

/* FALSE: it has gone. */
static gboolean
serve(Store *store, StoreClient *client)
{
  guint8 bytes[4096];
  const gssize got = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
  Header header;

  if (got < 0 && errno == EAGAIN)
    return TRUE;
  if (got <= 0)
    return FALSE;
  g_byte_array_append(client->input, bytes, (guint)got);
  while (client->input->len >= sizeof(header)) {
    g_autofree char *payload = NULL;

    memcpy(&header, client->input->data, sizeof(header));
    g_assert_cmpuint(header.length, <=, 4096);
    if (client->input->len - sizeof(header) < header.length)
      break;
    payload = g_malloc0((gsize)header.length + 2); /* a token without its NUL ends all the same */
    memcpy(payload, client->input->data + sizeof(header), header.length);
    g_byte_array_remove_range(client->input, 0, (guint)(sizeof(header) + header.length));
    handle_request(store, client, &header, payload);
  }
  return TRUE;
}

static void
accept_client(Store *store)
{
  const int fd = accept4(store->listen_fd, NULL, NULL, SOCK_CLOEXEC);
  StoreClient *client = g_new0(StoreClient, 1);

  g_assert_cmpint(fd, >=, 0);
  g_assert_cmpuint(store->clients->len, <, CLIENTS_MAX);
  client->fd = fd;
  client->input = g_byte_array_new();
  client->watches = g_ptr_array_new_with_free_func(watch_free);
  g_ptr_array_add(store->clients, client);
  store->connections++;
  g_cond_broadcast(&store->changed);
}

/* Clients are added and removed here only. */
static gpointer
run(gpointer data)
{
  Store *store = data;

  for (;;) {
    struct pollfd polled[2 + CLIENTS_MAX] = { { .fd = store->end_fd, .events = POLLIN },
                                              { .fd = store->listen_fd, .events = POLLIN } };
    const guint n = store->clients->len;

    for (guint i = 0; i < n; i++)
      polled[2 + i] =
          (struct pollfd){ .fd = ((StoreClient *)store->clients->pdata[i])->fd, .events = POLLIN };
    if (poll(polled, 2 + n, -1) < 0)
      continue;
    if (polled[0].revents != 0)
      return NULL;
    g_mutex_lock(&store->lock);
    for (guint i = n; i-- > 0;) {
      if (polled[2 + i].revents != 0 && !serve(store, store->clients->pdata[i]))
        g_ptr_array_remove_index(store->clients, i);
    }
    if (polled[1].revents != 0)
      accept_client(store);
    g_mutex_unlock(&store->lock);
  }
}

Store *
store_new(const char *socket_path)
{
  Store *store = g_new0(Store, 1);
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  g_assert_cmpuint(g_strlcpy(address.sun_path, socket_path, sizeof(address.sun_path)), <,
                   sizeof(address.sun_path));
  g_mutex_init(&store->lock);
  g_cond_init(&store->changed);
  store->clients = g_ptr_array_new_with_free_func(client_end);
  store->nodes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, node_free);
  store->end_fd = eventfd(0, EFD_CLOEXEC);
  store->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  unlink(socket_path);
  g_assert_cmpint(bind(store->listen_fd, (const struct sockaddr *)&address, sizeof(address)), ==, 0);
  g_assert_cmpint(listen(store->listen_fd, 4), ==, 0);
  store->thread = g_thread_new("store", run, store);
  return store;
}

void
store_free(Store *store)
{
  g_assert_cmpint(eventfd_write(store->end_fd, 1), ==, 0);
  g_thread_join(store->thread);
  close(store->end_fd);
  close(store->listen_fd);
  g_ptr_array_unref(store->clients);
  g_hash_table_unref(store->nodes);
  g_mutex_clear(&store->lock);
  g_cond_clear(&store->changed);
  g_free(store);
}

void
store_write(Store *store, const char *path, const char *value)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  set_node(store, path, g_bytes_new(value, strlen(value)));
  fire_watches(store, path);
}

void
store_remove(Store *store, const char *path)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  set_node(store, path, NULL);
  fire_watches(store, path);
}

static char *
copy_value(Store *store, const char *path)
{
  const Node *node = find_node(store, path);
  gsize length;
  const char *value = node->value ? g_bytes_get_data(node->value, &length) : NULL;

  return value ? g_strndup(value, length) : NULL;
}

char *
store_read(Store *store, const char *path)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  return copy_value(store, path);
}

guint
store_writes(Store *store, const char *path)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  return find_node(store, path)->writes;
}

/* With the lock held, until the counter is over that. */
static guint
await(Store *store, const guint *counter, guint more_than, const char *what)
{
  const gint64 end_us = g_get_monotonic_time() + KIT_LIMIT_US;

  while (*counter <= more_than) {
    if (!g_cond_wait_until(&store->changed, &store->lock, end_us))
      g_error("%s: only %u", what, *counter);
  }
  return *counter;
}

char *
store_await_write(Store *store, const char *path, guint more_than)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  await(store, &find_node(store, path)->writes, more_than, path);
  return copy_value(store, path);
}

char *
store_await_answer(Store *store, const char *path, guint more_than_reads)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);
  const Node *node = find_node(store, path);
  const gint64 end_us = g_get_monotonic_time() + KIT_LIMIT_US;

  while (node->reads_before <= more_than_reads || node->reads_before < store->requests[STORE_READ]) {
    if (!g_cond_wait_until(&store->changed, &store->lock, end_us))
      g_error("%s isn't written after it was read", path);
  }
  return copy_value(store, path);
}

guint
store_requests(Store *store, StoreType type)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  return store->requests[type];
}

guint
store_await_request(Store *store, StoreType type, guint more_than)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  return await(store, &store->requests[type], more_than, "requests");
}

guint
store_await_connection(Store *store, guint more_than)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  return await(store, &store->connections, more_than, "connections");
}

void
store_refuse(Store *store, StoreType type, const char *error)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  store->refusals[type] = error;
}

void
store_hold(Store *store, StoreType type, gboolean hold)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  store->held[type] = hold;
}

void
store_split(Store *store, gboolean split)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  store->split = split;
}

void
store_send(Store *store, const char *bytes, gsize length)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  for (guint i = 0; i < store->clients->len; i++)
    send_bytes(store, store->clients->pdata[i], bytes, length);
}

void
store_fire(Store *store, guint times)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  for (guint i = 0; i < store->clients->len; i++) {
    const StoreClient *client = store->clients->pdata[i];

    for (guint j = 0; j < client->watches->len * times; j++) {
      const Watch *watch = client->watches->pdata[j % client->watches->len];

      send_event(store, client, watch->path, watch->token);
    }
  }
}

void
store_disconnect(Store *store)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&store->lock);

  for (guint i = 0; i < store->clients->len; i++)
    shutdown(((StoreClient *)store->clients->pdata[i])->fd, SHUT_RDWR);
}
