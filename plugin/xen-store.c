/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/xen-store.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#define CLOSE_WAIT_US (2 * G_USEC_PER_SEC)
/* A guest may write while it is told something. */
#define CONFLICTS_MAX 10
/* So many watches are taken in one turn of the main loop. */
#define FIRED_MAX 256
#define COMPLAINT_INTERVAL_US (60 * G_USEC_PER_SEC)

#define PATH_SIZE 64

/* The connection whose watches fire in the main loop: the thread's, and its source's. */
typedef struct {
  int refs;
  CagmaStore *store;
  struct xs_handle *xs;
} Watcher;

typedef struct {
  CagmaStore *store;
  CagmaStoreTask task;
  gboolean quit;
} Job;

struct CagmaStore {
  int refs;   /* the owner's, the thread's, and one for each thing under way */
  int closed; /* atomic */
  const CagmaStoreListener *listener;
  void *owner;
  GAsyncQueue *jobs;
  GMutex lock;
  GCond ended;
  gboolean has_ended; /* under lock: the thread has */
  /* The thread's own. */
  struct xs_handle *reader;
  Watcher *watcher;
  GSource *source;
  int64_t complained_us;
};

static CagmaStore *
store_ref(CagmaStore *store)
{
  g_atomic_int_inc(&store->refs);
  return store;
}

static void
store_unref(CagmaStore *store)
{
  if (!g_atomic_int_dec_and_test(&store->refs))
    return;
  g_async_queue_unref(store->jobs);
  g_mutex_clear(&store->lock);
  g_cond_clear(&store->ended);
  g_free(store);
}

static void
job_free(gpointer data)
{
  Job *job = data;

  if (job->task.free_data)
    job->task.free_data(job->task.data);
  free(job->task.value);
  store_unref(job->store);
  g_free(job);
}

static void
watcher_unref(gpointer data)
{
  Watcher *watcher = data;

  if (!g_atomic_int_dec_and_test(&watcher->refs))
    return;
  xs_close(watcher->xs);
  store_unref(watcher->store);
  g_free(watcher);
}

/* The main loop. */

static gboolean
on_fired(gint fd, GIOCondition condition, gpointer user_data)
{
  Watcher *watcher = user_data;
  CagmaStore *store = watcher->store;
  char **event;

  (void)fd;
  (void)condition;
  for (unsigned i = 0; i < FIRED_MAX && (event = xs_check_watch(watcher->xs)); i++) {
    if (!g_atomic_int_get(&store->closed))
      store->listener->fired(store->owner, event[XS_WATCH_TOKEN]);
    free(event);
  }
  return G_SOURCE_CONTINUE;
}

static gboolean
on_done(gpointer user_data)
{
  Job *job = user_data;

  if (!g_atomic_int_get(&job->store->closed))
    job->store->listener->done(job->store->owner, &job->task);
  return G_SOURCE_REMOVE;
}

static gboolean
on_lost(gpointer user_data)
{
  CagmaStore *store = user_data;

  if (!g_atomic_int_get(&store->closed))
    store->listener->lost(store->owner);
  store_unref(store);
  return G_SOURCE_REMOVE;
}

/* The thread: whatever may wait for xenstored. */

static void
disconnect(CagmaStore *store)
{
  if (store->source) {
    g_source_destroy(store->source);
    g_clear_pointer(&store->source, g_source_unref);
  }
  g_clear_pointer(&store->watcher, watcher_unref);
  g_clear_pointer(&store->reader, xs_close);
}

static gboolean
connect_store(CagmaStore *store)
{
  struct xs_handle *xs;

  if (store->reader)
    return TRUE;
  xs = xs_open(0);
  if (!xs)
    return FALSE;
  store->reader = xs_open(0);
  if (!store->reader || xs_fileno(xs) < 0) {
    xs_close(xs);
    g_clear_pointer(&store->reader, xs_close);
    return FALSE;
  }
  store->watcher = g_new0(Watcher, 1);
  store->watcher->refs = 2;
  store->watcher->store = store_ref(store);
  store->watcher->xs = xs;
  store->source = g_unix_fd_source_new(xs_fileno(xs), G_IO_IN);
  g_source_set_callback(store->source, G_SOURCE_FUNC(on_fired), store->watcher, watcher_unref);
  g_source_attach(store->source, NULL);
  return TRUE;
}

/* What xenstored itself may say of one request; anything else is the connection's end. */
static gboolean
is_answer(int error)
{
  switch (error) {
  case ENOENT:
  case EACCES:
  case EAGAIN:
  case EEXIST:
  case EINVAL:
  case ENOSPC:
  case EISDIR:
  case E2BIG:
  case EPERM:
    return TRUE;
  default:
    return FALSE;
  }
}

/* Only in a domain's directory that is there: below one that is gone it would be
 * dom0's, for good. */
static int
tell_once(struct xs_handle *xs, const CagmaStoreTask *task)
{
  xs_transaction_t transaction = xs_transaction_start(xs);
  char directory[PATH_SIZE], path[PATH_SIZE];
  g_autofree char *there = NULL;
  unsigned length;
  int error = 0;

  if (transaction == XBT_NULL)
    return errno;
  g_snprintf(directory, sizeof directory, "/local/domain/%u/data", task->domid);
  g_snprintf(path, sizeof path, "/local/domain/%u/" CAGMA_STORE_HOST, task->domid);
  there = xs_read(xs, transaction, directory, &length);
  if (!there || !xs_write(xs, transaction, path, task->text, (unsigned)strlen(task->text)))
    error = errno;
  if (!xs_transaction_end(xs, transaction, error != 0) && !error)
    error = errno;
  return error;
}

static int
watch(CagmaStore *store, const CagmaStoreTask *task)
{
  char path[PATH_SIZE];
  int error = EAGAIN;

  for (int i = 0; i < CONFLICTS_MAX && error == EAGAIN; i++)
    error = tell_once(store->reader, task);
  g_snprintf(path, sizeof path, "/local/domain/%u/" CAGMA_STORE_GUEST, task->domid);
  if (!error && !xs_watch(store->watcher->xs, path, task->token))
    error = errno;
  return error;
}

/* XenServer's and Windows' drivers tell of their balloon; Linux' doesn't, but it is up
 * when the kernel says that it can be shut down (drivers/xen/manage.c and xen-balloon.c
 * begin on the same notice). A toolstack may have begun either with nothing in it
 * (xenstore-paths). */
static gboolean
has_driver(struct xs_handle *xs, unsigned domid)
{
  char path[PATH_SIZE];
  g_autofree char *balloon = NULL, *poweroff = NULL;
  unsigned length;

  g_snprintf(path, sizeof path, "/local/domain/%u/control/feature-balloon", domid);
  balloon = xs_read(xs, XBT_NULL, path, &length);
  if (balloon && *balloon)
    return g_str_equal(balloon, "1");
  g_snprintf(path, sizeof path, "/local/domain/%u/control/feature-poweroff", domid);
  poweroff = xs_read(xs, XBT_NULL, path, &length);
  return poweroff && g_str_equal(poweroff, "1");
}

static int
read_value(CagmaStore *store, CagmaStoreTask *task)
{
  char path[PATH_SIZE];
  unsigned length = 0;

  if (task->look_for_driver)
    task->driver = has_driver(store->reader, task->domid);
  g_snprintf(path, sizeof path, "/local/domain/%u/" CAGMA_STORE_GUEST, task->domid);
  task->value = xs_read(store->reader, XBT_NULL, path, &length);
  task->length = length;
  return task->value ? 0 : errno;
}

static int
leave(CagmaStore *store, const CagmaStoreTask *task)
{
  char path[PATH_SIZE];
  int error = 0;

  g_snprintf(path, sizeof path, "/local/domain/%u/" CAGMA_STORE_GUEST, task->domid);
  if (*task->token && !xs_unwatch(store->watcher->xs, path, task->token))
    error = errno;
  g_snprintf(path, sizeof path, "/local/domain/%u/" CAGMA_STORE_HOST, task->domid);
  if (task->take_back && !xs_rm(store->reader, XBT_NULL, path))
    error = errno;
  return error;
}

static void
complain(CagmaStore *store, int error)
{
  int64_t now_us = g_get_monotonic_time();

  if (store->complained_us && now_us - store->complained_us < COMPLAINT_INTERVAL_US)
    return;
  store->complained_us = now_us;
  g_warning("xenstore can't be opened: %s", g_strerror(error));
}

static void
run_job(CagmaStore *store, Job *job)
{
  CagmaStoreTask *task = &job->task;

  /* At the end none is made to leave what has ended with the last one. */
  if (!store->reader && g_atomic_int_get(&store->closed))
    return;
  if (!connect_store(store)) {
    task->error = errno;
    complain(store, task->error);
    return;
  }
  switch (task->kind) {
  case CAGMA_STORE_WATCH:
    task->error = watch(store, task);
    break;
  case CAGMA_STORE_READ:
    task->error = read_value(store, task);
    break;
  case CAGMA_STORE_LEAVE:
    task->error = leave(store, task);
    break;
  }
  if (!task->error || is_answer(task->error))
    return;
  g_warning("the connection to xenstore broke: %s", g_strerror(task->error));
  disconnect(store);
  g_idle_add_full(G_PRIORITY_DEFAULT, on_lost, store_ref(store), NULL);
}

static gpointer
run(gpointer data)
{
  CagmaStore *store = data;
  gboolean quit = FALSE;

  while (!quit) {
    Job *job = g_async_queue_pop(store->jobs);

    quit = job->quit;
    /* What is left then is only to be left. */
    if (!quit && (job->task.kind == CAGMA_STORE_LEAVE || !g_atomic_int_get(&store->closed)))
      run_job(store, job);
    if (quit || job->task.kind == CAGMA_STORE_LEAVE)
      job_free(job);
    else
      g_idle_add_full(G_PRIORITY_DEFAULT, on_done, job, job_free);
  }
  disconnect(store);
  g_mutex_lock(&store->lock);
  store->has_ended = TRUE;
  g_cond_signal(&store->ended);
  g_mutex_unlock(&store->lock);
  store_unref(store);
  return NULL;
}

/* The main loop again. */

static void
push(CagmaStore *store, const CagmaStoreTask *task)
{
  Job *job = g_new0(Job, 1);

  job->store = store_ref(store);
  if (task)
    job->task = *task;
  else
    job->quit = TRUE;
  g_async_queue_push(store->jobs, job);
  /* cppcheck-suppress memleak ; it is the queue's */
}

CagmaStore *
cagma_store_new(const CagmaStoreListener *listener, void *owner)
{
  CagmaStore *store = g_new0(CagmaStore, 1);

  store->refs = 2;
  store->listener = listener;
  store->owner = owner;
  store->jobs = g_async_queue_new();
  g_mutex_init(&store->lock);
  g_cond_init(&store->ended);
  g_thread_unref(g_thread_new("cagma-xenstore", run, store));
  return store;
}

void
cagma_store_push(CagmaStore *store, const CagmaStoreTask *task)
{
  push(store, task);
}

void
cagma_store_free(CagmaStore *store)
{
  int64_t until_us = g_get_monotonic_time() + CLOSE_WAIT_US;

  g_atomic_int_set(&store->closed, TRUE);
  push(store, NULL);
  g_mutex_lock(&store->lock);
  while (!store->has_ended && g_cond_wait_until(&store->ended, &store->lock, until_us))
    ;
  g_mutex_unlock(&store->lock);
  store_unref(store);
}
