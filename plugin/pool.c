/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/pool.h"

#include "plugin/libvirt-glue.h"

/* How often deadlines are looked at. */
#define WATCH_INTERVAL_MS 100
/* How long an answer may wait for others, while there are more requests. Each turn of
 * the main loop costs as much as a request; 10 ms are nothing to a balloon. */
#define GATHER_US 10000

typedef struct Worker Worker;

/* One request on its way. While a worker has it, only the worker touches the
 * request; when it is abandoned, the owner gets a copy of its inputs instead. */
typedef struct {
  CagmaRequest *request;
  int64_t began_us;
  unsigned epoch;
  gboolean express; /* a balloon is to be set when it is done */
} Job;

struct Worker {
  CagmaPool *pool;
  GThread *thread;
  Job *job;           /* under the pool's lock */
  gboolean abandoned; /* under the pool's lock */
};

struct CagmaPool {
  int refs; /* the owner's and one for each worker; under lock */
  char *uri;
  CagmaPoolWork work;
  CagmaPoolDone done;
  void *owner;
  GMainContext *context;

  GMutex lock;
  GCond wake;
  GQueue waiting;  /* Job */
  GQueue finished; /* CagmaRequest, to be given back on the main loop */
  GSource *giving; /* gives them back, when ready */
  gboolean closed;
  unsigned epoch; /* connections of an older one are stale */
  GList *workers; /* those not abandoned */
  unsigned n_workers;
  unsigned n_idle;
  unsigned n_slow; /* of n_workers: past CAGMA_POOL_SLOW_US when last looked at */
  unsigned n_abandoned;
  GHashTable *held; /* UUIDs of domains that abandoned workers are still at; under lock */
  GSource *watch;
};

static void
job_free(Job *job)
{
  g_clear_pointer(&job->request, cagma_request_free);
  g_free(job);
}

/* With the lock held; releases it. */
static void
unref_unlock(CagmaPool *pool)
{
  gboolean last = --pool->refs == 0;

  g_mutex_unlock(&pool->lock);
  if (!last)
    return;
  g_queue_clear_full(&pool->waiting, (GDestroyNotify)job_free);
  g_queue_clear_full(&pool->finished, (GDestroyNotify)cagma_request_free);
  g_mutex_clear(&pool->lock);
  g_cond_clear(&pool->wake);
  g_main_context_unref(pool->context);
  g_hash_table_unref(pool->held);
  g_free(pool->uri);
  g_free(pool);
}

static gboolean
give_back(gpointer user_data)
{
  CagmaPool *pool = user_data;
  GQueue finished;

  g_mutex_lock(&pool->lock);
  pool->refs++;
  finished = pool->finished;
  g_queue_init(&pool->finished);
  g_source_set_ready_time(pool->giving, -1);
  g_mutex_unlock(&pool->lock);

  /* The owner may free the pool meanwhile. */
  while (!pool->closed && !g_queue_is_empty(&finished))
    pool->done(pool->owner, g_queue_pop_head(&finished));
  g_queue_clear_full(&finished, (GDestroyNotify)cagma_request_free);

  g_mutex_lock(&pool->lock);
  unref_unlock(pool);
  return G_SOURCE_CONTINUE;
}

/* With the lock held. Answers to many requests are given back together, but none
 * waits for one that hangs; that of a balloon that was set, or the last, is at once. */
static void
finish(CagmaPool *pool, CagmaRequest *request, gboolean express)
{
  gboolean urgent = express || request->kind == CAGMA_REQUEST_SET || g_queue_is_empty(&pool->waiting);
  gboolean first = g_queue_is_empty(&pool->finished);

  g_queue_push_tail(&pool->finished, request);
  if (pool->closed)
    return;
  if (urgent)
    g_source_set_ready_time(pool->giving, 0);
  else if (first)
    g_source_set_ready_time(pool->giving, g_get_monotonic_time() + GATHER_US);
}

/* Whether what is asked waits for the domain's lock or job. Its guest's agent has a job of its
 * own, that others don't wait for. */
static gboolean
holds(const CagmaRequest *request)
{
  return request->kind != CAGMA_REQUEST_AGENT;
}

static void
free_domain(gpointer domain)
{
  virDomainFree(domain);
}

/* The worker's own connection, opened when first needed and after it broke. */
static virConnectPtr
ready_connection(CagmaPool *pool, virConnectPtr conn, GHashTable *domains, unsigned *epoch,
                 unsigned job_epoch, GError **error)
{
  if (conn && *epoch == job_epoch && virConnectIsAlive(conn) == 1)
    return conn;
  g_hash_table_remove_all(domains);
  if (conn)
    virConnectClose(conn);
  *epoch = job_epoch;
  return cagma_libvirt_open_for_calls(pool->uri, error);
}

static gpointer
worker_run(gpointer user_data)
{
  Worker *worker = user_data;
  CagmaPool *pool = worker->pool;
  g_autoptr(GHashTable) domains = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_domain);
  virConnectPtr conn = NULL;
  unsigned epoch = 0;

  g_mutex_lock(&pool->lock);
  while (!pool->closed && !worker->abandoned) {
    Job *job = g_queue_pop_head(&pool->waiting);

    if (!job && pool->n_workers > CAGMA_POOL_WORKERS + CAGMA_POOL_EXPRESS) {
      pool->workers = g_list_remove(pool->workers, worker);
      pool->n_workers--;
      break;
    }
    if (!job) {
      pool->n_idle++;
      g_cond_wait(&pool->wake, &pool->lock);
      pool->n_idle--;
      continue;
    }
    job->began_us = g_get_monotonic_time();
    worker->job = job;
    g_mutex_unlock(&pool->lock);

    conn = ready_connection(pool, conn, domains, &epoch, job->epoch, &job->request->error);
    if (conn)
      pool->work(conn, domains, job->request);
    else
      job->request->outcome = CAGMA_OUTCOME_LOST;

    g_mutex_lock(&pool->lock);
    worker->job = NULL;
    if (!worker->abandoned)
      finish(pool, g_steal_pointer(&job->request), job->express);
    else if (holds(job->request))
      g_hash_table_remove(pool->held, job->request->uuid);
    job_free(job);
  }
  if (worker->abandoned)
    pool->n_abandoned--;
  g_mutex_unlock(&pool->lock);

  g_hash_table_remove_all(domains);
  if (conn)
    virConnectClose(conn);
  g_free(worker);
  g_mutex_lock(&pool->lock);
  unref_unlock(pool);
  return NULL;
}

/* With the lock held. */
static void
start_worker(CagmaPool *pool)
{
  Worker *worker = g_new0(Worker, 1);

  worker->pool = pool;
  pool->refs++;
  pool->n_workers++;
  pool->workers = g_list_prepend(pool->workers, worker);
  worker->thread = g_thread_new("cagma-worker", worker_run, worker);
  g_thread_unref(worker->thread);
}

static gboolean
waits_to_set(CagmaPool *pool)
{
  const Job *job = g_queue_peek_head(&pool->waiting);

  return job && (job->express || job->request->kind == CAGMA_REQUEST_SET);
}

/* With the lock held: as many workers as there is work, up to the limits. Setting a
 * balloon doesn't wait for any of the others. */
static void
staff(CagmaPool *pool)
{
  unsigned most = CAGMA_POOL_WORKERS + pool->n_slow + (waits_to_set(pool) ? CAGMA_POOL_EXPRESS : 0);

  while (pool->n_workers < most && pool->n_idle < g_queue_get_length(&pool->waiting) &&
         pool->n_workers + pool->n_abandoned < CAGMA_POOL_WORKERS + CAGMA_POOL_ABANDONED_MAX)
    start_worker(pool);
}

/* What its owner goes by when it is back. */
static CagmaRequest *
stand_in(const CagmaRequest *late)
{
  CagmaRequest *request = cagma_request_new(late->kind, late->uuid);

  request->tag = late->tag;
  request->target_kib = late->target_kib;
  request->stats_period_s = late->stats_period_s;
  request->command = late->command;
  request->outcome = CAGMA_OUTCOME_TIMEOUT;
  return request;
}

static gboolean
watch_deadlines(gpointer user_data)
{
  CagmaPool *pool = user_data;
  int64_t now_us = g_get_monotonic_time();

  g_mutex_lock(&pool->lock);
  pool->n_slow = 0;
  for (GList *item = pool->workers, *next; item; item = next) {
    Worker *worker = item->data;
    int64_t taken_us = worker->job ? now_us - worker->job->began_us : 0;

    next = item->next;
    if (!worker->job || taken_us < worker->job->request->deadline_us) {
      pool->n_slow += taken_us >= CAGMA_POOL_SLOW_US;
      continue;
    }
    worker->abandoned = TRUE;
    pool->n_abandoned++;
    if (holds(worker->job->request))
      g_hash_table_add(pool->held, g_strdup(worker->job->request->uuid));
    pool->n_workers--;
    pool->workers = g_list_delete_link(pool->workers, item);
    finish(pool, stand_in(worker->job->request), FALSE);
    g_warning("domain %s: no answer within %" G_GINT64_FORMAT " ms; its worker is replaced (%u abandoned)",
              worker->job->request->uuid, worker->job->request->deadline_us / 1000, pool->n_abandoned);
  }
  staff(pool);
  g_mutex_unlock(&pool->lock);
  return G_SOURCE_CONTINUE;
}

static gboolean
dispatch_giving(GSource *source, GSourceFunc callback, gpointer user_data)
{
  (void)source;
  return callback(user_data);
}

CagmaPool *
cagma_pool_new(const char *uri, CagmaPoolWork work, CagmaPoolDone done, void *owner)
{
  static GSourceFuncs giving_funcs = { .dispatch = dispatch_giving };
  CagmaPool *pool = g_new0(CagmaPool, 1);

  pool->refs = 1;
  pool->uri = g_strdup(uri);
  pool->work = work;
  pool->done = done;
  pool->owner = owner;
  pool->context = g_main_context_ref_thread_default();
  pool->held = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_mutex_init(&pool->lock);
  g_cond_init(&pool->wake);
  g_queue_init(&pool->waiting);
  g_queue_init(&pool->finished);
  pool->giving = g_source_new(&giving_funcs, sizeof(GSource));
  g_source_set_callback(pool->giving, give_back, pool, NULL);
  g_source_attach(pool->giving, pool->context);
  pool->watch = g_timeout_source_new(WATCH_INTERVAL_MS);
  g_source_set_callback(pool->watch, watch_deadlines, pool, NULL);
  g_source_attach(pool->watch, pool->context);
  return pool;
}

/* With the lock held. */
static void
refuse(CagmaPool *pool, CagmaRequest *request)
{
  /* What is OCCUPIED may be asked for again at once, at the end. */
  request->outcome = request->kind == CAGMA_REQUEST_STATUS ? CAGMA_OUTCOME_TIMEOUT : CAGMA_OUTCOME_OCCUPIED;
  finish(pool, request, FALSE);
}

void
cagma_pool_push(CagmaPool *pool, CagmaRequest *request)
{
  Job *job;

  g_mutex_lock(&pool->lock);
  if (holds(request) && g_hash_table_contains(pool->held, request->uuid)) {
    refuse(pool, request);
    g_mutex_unlock(&pool->lock);
    return;
  }
  job = g_new0(Job, 1);
  job->request = request;
  job->epoch = pool->epoch;
  /* Setting a balloon isn't queued behind looking at others. */
  if (request->kind == CAGMA_REQUEST_SET)
    g_queue_push_head(&pool->waiting, job);
  else
    g_queue_push_tail(&pool->waiting, job);
  staff(pool);
  g_cond_signal(&pool->wake);
  g_mutex_unlock(&pool->lock);
}

void
cagma_pool_hurry(CagmaPool *pool, const char *uuid)
{
  g_mutex_lock(&pool->lock);
  for (GList *item = pool->waiting.head; item; item = item->next) {
    Job *job = item->data;

    if (job->request->kind == CAGMA_REQUEST_AGENT || !g_str_equal(job->request->uuid, uuid))
      continue;
    g_queue_unlink(&pool->waiting, item);
    g_queue_push_head_link(&pool->waiting, item);
    job->express = TRUE;
    staff(pool);
    g_cond_signal(&pool->wake);
    break;
  }
  g_mutex_unlock(&pool->lock);
}

void
cagma_pool_reset(CagmaPool *pool)
{
  Job *job;

  g_mutex_lock(&pool->lock);
  pool->epoch++;
  while ((job = g_queue_pop_head(&pool->waiting))) {
    job->request->outcome = CAGMA_OUTCOME_LOST;
    job->request->unasked = TRUE;
    finish(pool, g_steal_pointer(&job->request), FALSE);
    job_free(job);
  }
  g_mutex_unlock(&pool->lock);
}

void
cagma_pool_free(CagmaPool *pool)
{
  if (!pool)
    return;
  g_source_destroy(pool->watch);
  g_source_unref(pool->watch);
  g_mutex_lock(&pool->lock);
  pool->closed = TRUE;
  g_source_destroy(pool->giving);
  g_source_unref(pool->giving);
  g_list_free(g_steal_pointer(&pool->workers));
  g_cond_broadcast(&pool->wake);
  unref_unlock(pool);
}
