/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A small xenstore on a unix socket, served by a thread of its own: as much as a guest's
 * agent needs, or a program with libxenstore (XENSTORED_PATH). The test plays dom0: it
 * writes and removes nodes, and says what goes wrong. No permissions, no directories; what
 * is done in a transaction is done at once, however it ends. Paths without a slash in front
 * are below STORE_HOME. Whatever is awaited is awaited with a limit, and the test fails
 * after it. */

#define STORE_HOME "/local/domain/7/"

/* enum xsd_sockmsg_type. */
typedef enum {
  STORE_READ = 2,
  STORE_WATCH = 4,
  STORE_UNWATCH = 5,
  STORE_TRANSACTION_START = 6,
  STORE_TRANSACTION_END = 7,
  STORE_WRITE = 11,
  STORE_RM = 13,
  STORE_WATCH_EVENT = 15,
  STORE_ERROR = 16,
  STORE_TYPES,
} StoreType;

typedef struct Store Store;

Store *store_new(const char *socket_path);
void store_free(Store *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_free)

/* As dom0 does. Watches of the clients fire. */
void store_write(Store *store, const char *path, const char *value);
void store_remove(Store *store, const char *path);

/* NULL: there is no such node. Free with g_free(). */
char *store_read(Store *store, const char *path);

/* How often clients have written the node, and its value once that is more than that. Free
 * with g_free(). */
guint store_writes(Store *store, const char *path);
char *store_await_write(Store *store, const char *path, guint more_than);

/* Its value once clients have made more READ requests than that, and have written the node
 * since the last of them. */
char *store_await_answer(Store *store, const char *path, guint more_than_reads);

/* How many requests of the type, and how many connections, there have been; the number once
 * it is more than that. */
guint store_requests(Store *store, StoreType type);
guint store_await_request(Store *store, StoreType type, guint more_than);
guint store_await_connection(Store *store, guint more_than);

/* From now on: requests of the type are refused with the error ("EACCES"; NULL: granted). */
void store_refuse(Store *store, StoreType type, const char *error);

/* … requests of the type are taken, but not answered. */
void store_hold(Store *store, StoreType type, gboolean hold);

/* … all is sent in single bytes. */
void store_split(Store *store, gboolean split);

/* To all clients: bytes as they are, watches of theirs fired so often, the end. */
void store_send(Store *store, const char *bytes, gsize length);
void store_fire(Store *store, guint times);
void store_disconnect(Store *store);
