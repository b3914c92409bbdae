/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "plugin/libvirt-glue.h"
#include "plugin/pool.h"
#include "tests/plugin/kit.h"

/* Work that hangs for as long as the test wants, on connections to libvirt's test
 * driver. Each domain is a gate: closed, its work waits. */

#define URI "test:///default"
/* For those that hang; others have all the time that a loaded machine may take. */
#define DEADLINE_US (G_USEC_PER_SEC / 2)
#define PATIENT_US (60 * G_USEC_PER_SEC)

typedef struct {
  GMutex lock;
  GCond changed;
  GHashTable *closed; /* by uuid */
  unsigned n_inside;  /* workers at a closed gate */
  GString *order;     /* the first character of each uuid, as work on it begins */
} Gates;

static Gates gates;

typedef struct {
  CagmaPool *pool;
  GPtrArray *done; /* CagmaRequest, as they come back */
} Fixture;

static void
work(virConnectPtr conn, GHashTable *domains, CagmaRequest *request)
{
  (void)domains;
  g_assert_nonnull(conn);
  g_mutex_lock(&gates.lock);
  g_string_append_c(gates.order, request->uuid[0]);
  gates.n_inside++;
  while (g_hash_table_contains(gates.closed, request->uuid))
    g_cond_wait(&gates.changed, &gates.lock);
  gates.n_inside--;
  g_mutex_unlock(&gates.lock);
  /* As libvirt would: an answer that nobody waits for any more. */
  request->xml = g_strdup("<domain/>");
  request->outcome = CAGMA_OUTCOME_DONE;
}

static void
done(void *owner, CagmaRequest *request)
{
  Fixture *f = owner;

  g_ptr_array_add(f->done, request);
}

static void
close_gate(const char *uuid)
{
  g_mutex_lock(&gates.lock);
  g_hash_table_add(gates.closed, g_strdup(uuid));
  g_mutex_unlock(&gates.lock);
}

static void
open_gates(void)
{
  g_mutex_lock(&gates.lock);
  g_hash_table_remove_all(gates.closed);
  g_cond_broadcast(&gates.changed);
  g_mutex_unlock(&gates.lock);
}

static unsigned
n_inside(void)
{
  unsigned n;

  g_mutex_lock(&gates.lock);
  n = gates.n_inside;
  g_mutex_unlock(&gates.lock);
  return n;
}

static gboolean
has_begun(char first)
{
  gboolean begun;

  g_mutex_lock(&gates.lock);
  begun = strchr(gates.order->str, first) != NULL;
  g_mutex_unlock(&gates.lock);
  return begun;
}

static Fixture *
fixture_new(const char *uri)
{
  Fixture *f = g_new0(Fixture, 1);

  kit_log_clear();
  g_string_truncate(gates.order, 0);
  f->done = g_ptr_array_new_with_free_func((GDestroyNotify)cagma_request_free);
  f->pool = cagma_pool_new(uri, work, done, f);
  return f;
}

static void
fixture_free(Fixture *f)
{
  g_clear_pointer(&f->pool, cagma_pool_free);
  open_gates();
  KIT_WAIT(n_inside() == 0);
  g_ptr_array_unref(f->done);
  g_free(f);
}

static void
push_with_deadline(Fixture *f, CagmaRequestKind kind, const char *uuid, unsigned tag, int64_t deadline_us)
{
  CagmaRequest *request = cagma_request_new(kind, uuid);

  request->tag = tag;
  request->target_kib = 1000 + tag;
  request->deadline_us = deadline_us;
  cagma_pool_push(f->pool, request);
}

static void
push(Fixture *f, CagmaRequestKind kind, const char *uuid, unsigned tag)
{
  gboolean closed;

  g_mutex_lock(&gates.lock);
  closed = g_hash_table_contains(gates.closed, uuid);
  g_mutex_unlock(&gates.lock);
  push_with_deadline(f, kind, uuid, tag, closed ? DEADLINE_US : PATIENT_US);
}

static const CagmaRequest *
with_tag(Fixture *f, unsigned tag)
{
  const CagmaRequest *found = NULL;

  for (guint i = 0; i < f->done->len; i++) {
    const CagmaRequest *request = f->done->pdata[i];

    if (request->tag != tag)
      continue;
    /* Once each. */
    g_assert_null(found);
    found = request;
  }
  return found;
}

static void
test_answers(void)
{
  Fixture *f = fixture_new(URI);

  for (unsigned tag = 1; tag <= 100; tag++)
    push(f, CAGMA_REQUEST_SAMPLE, "a", tag);
  KIT_WAIT(f->done->len == 100);
  for (unsigned tag = 1; tag <= 100; tag++)
    g_assert_cmpint(with_tag(f, tag)->outcome, ==, CAGMA_OUTCOME_DONE);
  fixture_free(f);
}

/* Its owner knows by it what wasn't answered. */
static void
test_late_one_says_what_it_was(void)
{
  Fixture *f = fixture_new(URI);
  CagmaRequest *agent = cagma_request_new(CAGMA_REQUEST_AGENT, "h");
  CagmaRequest *describe = cagma_request_new(CAGMA_REQUEST_DESCRIBE, "i");

  close_gate("h");
  close_gate("i");
  agent->tag = 1;
  agent->command = "{}";
  describe->tag = 2;
  describe->stats_period_s = 5;
  agent->deadline_us = describe->deadline_us = DEADLINE_US;
  cagma_pool_push(f->pool, agent);
  cagma_pool_push(f->pool, describe);
  KIT_WAIT(with_tag(f, 1) && with_tag(f, 2));
  g_assert_cmpint(with_tag(f, 1)->outcome, ==, CAGMA_OUTCOME_TIMEOUT);
  g_assert_cmpstr(with_tag(f, 1)->command, ==, "{}");
  g_assert_cmpuint(with_tag(f, 2)->stats_period_s, ==, 5);
  fixture_free(f);
}

static void
test_late_one_is_given_up_once(void)
{
  Fixture *f = fixture_new(URI);
  const CagmaRequest *late;

  close_gate("h");
  push(f, CAGMA_REQUEST_SET, "h", 1);
  KIT_WAIT(with_tag(f, 1));
  late = with_tag(f, 1);
  g_assert_cmpint(late->outcome, ==, CAGMA_OUTCOME_TIMEOUT);
  g_assert_cmpint(late->kind, ==, CAGMA_REQUEST_SET);
  g_assert_cmpuint(late->target_kib, ==, 1001);
  g_assert_cmpstr(late->uuid, ==, "h");
  g_assert_null(late->xml);
  g_assert_cmpuint(kit_logged("its worker is replaced"), ==, 1);

  /* Its real answer comes after all, to nobody. */
  KIT_WAIT(n_inside() == 1);
  open_gates();
  KIT_WAIT(n_inside() == 0);
  for (unsigned tag = 2; tag <= 20; tag++)
    push(f, CAGMA_REQUEST_SAMPLE, "a", tag);
  KIT_WAIT(f->done->len == 20);
  for (unsigned tag = 1; tag <= 20; tag++)
    g_assert_nonnull(with_tag(f, tag));
  fixture_free(f);
}

/* Whatever is asked of it, it holds one worker, until that goes on. */
static void
test_one_that_hangs_is_asked_nothing_more(void)
{
  static const CagmaRequestKind kinds[] = { CAGMA_REQUEST_DESCRIBE, CAGMA_REQUEST_SAMPLE, CAGMA_REQUEST_SET };
  Fixture *f = fixture_new(URI);

  close_gate("h");
  push(f, CAGMA_REQUEST_SAMPLE, "h", 1);
  KIT_WAIT(with_tag(f, 1));
  for (unsigned tag = 2; tag <= 40; tag++) {
    push_with_deadline(f, kinds[tag % G_N_ELEMENTS(kinds)], "h", tag, PATIENT_US);
    KIT_WAIT(with_tag(f, tag));
    g_assert_cmpint(with_tag(f, tag)->outcome, ==, CAGMA_OUTCOME_OCCUPIED);
  }
  push_with_deadline(f, CAGMA_REQUEST_STATUS, "h", 41, PATIENT_US);
  KIT_WAIT(with_tag(f, 41));
  g_assert_cmpint(with_tag(f, 41)->outcome, ==, CAGMA_OUTCOME_TIMEOUT);
  KIT_WAIT(n_inside() == 1);
  g_assert_cmpuint(kit_logged("its worker is replaced"), ==, 1);

  open_gates();
  KIT_WAIT(n_inside() == 0);
  /* The worker is through before its pool knows. */
  for (unsigned tag = 42; with_tag(f, tag - 1)->outcome != CAGMA_OUTCOME_DONE; tag++) {
    push(f, CAGMA_REQUEST_SAMPLE, "h", tag);
    KIT_WAIT(with_tag(f, tag));
  }
  fixture_free(f);
}

/* Up to the tolerance that pool.h states, others are served. */
static void
test_many_hang(void)
{
  Fixture *f = fixture_new(URI);
  const unsigned n = CAGMA_POOL_ABANDONED_MAX + CAGMA_POOL_WORKERS - 1;

  for (unsigned tag = 1; tag <= n; tag++) {
    g_autofree char *uuid = g_strdup_printf("hung-%u", tag);

    close_gate(uuid);
    push(f, CAGMA_REQUEST_SAMPLE, uuid, tag);
  }
  KIT_WAIT(f->done->len == n);
  for (unsigned tag = 1; tag <= n; tag++)
    g_assert_cmpint(with_tag(f, tag)->outcome, ==, CAGMA_OUTCOME_TIMEOUT);
  KIT_WAIT(n_inside() == n);

  push(f, CAGMA_REQUEST_SAMPLE, "a", 1000);
  KIT_WAIT(with_tag(f, 1000));
  g_assert_cmpint(with_tag(f, 1000)->outcome, ==, CAGMA_OUTCOME_DONE);

  /* One more than is borne: what is asked waits until some go on. */
  close_gate("last");
  push(f, CAGMA_REQUEST_SAMPLE, "last", 1001);
  KIT_WAIT(with_tag(f, 1001));
  push(f, CAGMA_REQUEST_SAMPLE, "a", 1002);
  for (int i = 0; i < 50; i++)
    kit_breathe();
  g_assert_null(with_tag(f, 1002));
  open_gates();
  KIT_WAIT(with_tag(f, 1002));
  g_assert_cmpint(with_tag(f, 1002)->outcome, ==, CAGMA_OUTCOME_DONE);
  fixture_free(f);
}

/* As many as there are workers hang at once: nobody waits for their deadline. */
static void
test_all_hang_at_once(void)
{
  Fixture *f = fixture_new(URI);
  gint64 began_us = g_get_monotonic_time();

  for (unsigned tag = 1; tag <= CAGMA_POOL_WORKERS; tag++) {
    g_autofree char *uuid = g_strdup_printf("hung-%u", tag);
    CagmaRequest *request = cagma_request_new(CAGMA_REQUEST_SAMPLE, uuid);

    request->deadline_us = 60 * G_USEC_PER_SEC;
    request->tag = tag;
    close_gate(uuid);
    cagma_pool_push(f->pool, request);
  }
  KIT_WAIT(n_inside() == CAGMA_POOL_WORKERS);
  push(f, CAGMA_REQUEST_SAMPLE, "a", 1000);
  KIT_WAIT(with_tag(f, 1000));
  g_assert_cmpint(g_get_monotonic_time() - began_us, <, 10 * G_USEC_PER_SEC);
  g_assert_cmpuint(f->done->len, ==, 1);
  /* They go on before their deadline: nothing was given up. */
  open_gates();
  KIT_WAIT(f->done->len == CAGMA_POOL_WORKERS + 1);
  for (unsigned tag = 1; tag <= CAGMA_POOL_WORKERS; tag++)
    g_assert_cmpint(with_tag(f, tag)->outcome, ==, CAGMA_OUTCOME_DONE);
  fixture_free(f);
}

/* All workers hang: a balloon is set at once, by one more. */
static void
test_set_while_all_hang(void)
{
  Fixture *f = fixture_new(URI);

  for (unsigned tag = 1; tag <= CAGMA_POOL_WORKERS; tag++) {
    g_autofree char *uuid = g_strdup_printf("hung-%u", tag);

    close_gate(uuid);
    push_with_deadline(f, CAGMA_REQUEST_SAMPLE, uuid, tag, PATIENT_US);
  }
  KIT_WAIT(n_inside() == CAGMA_POOL_WORKERS);
  push(f, CAGMA_REQUEST_SET, "s", 1000);
  /* Were it to wait for the next look at who is slow, a turn of the loop would see to
   * that: there is none. */
  for (gint64 end_us = g_get_monotonic_time() + 20 * G_USEC_PER_SEC; !has_begun('s');) {
    g_assert_cmpint(g_get_monotonic_time(), <, end_us);
    g_usleep(1000);
  }
  KIT_WAIT(with_tag(f, 1000));
  g_assert_cmpuint(n_inside(), ==, CAGMA_POOL_WORKERS);
  g_assert_cmpint(with_tag(f, 1000)->outcome, ==, CAGMA_OUTCOME_DONE);
  g_assert_cmpuint(f->done->len, ==, 1);

  /* And the next one. */
  push(f, CAGMA_REQUEST_SET, "t", 1001);
  KIT_WAIT(with_tag(f, 1001));
  g_assert_cmpint(with_tag(f, 1001)->outcome, ==, CAGMA_OUTCOME_DONE);
  open_gates();
  KIT_WAIT(f->done->len == CAGMA_POOL_WORKERS + 2);
  fixture_free(f);
}

static void
occupy_all(Fixture *f)
{
  for (unsigned tag = 1; tag <= CAGMA_POOL_WORKERS; tag++) {
    g_autofree char *uuid = g_strdup_printf("hung-%u", tag);

    close_gate(uuid);
    push(f, CAGMA_REQUEST_SAMPLE, uuid, tag);
  }
  KIT_WAIT(n_inside() == CAGMA_POOL_WORKERS);
}

static void
open_gate(const char *uuid)
{
  g_mutex_lock(&gates.lock);
  g_hash_table_remove(gates.closed, uuid);
  g_cond_broadcast(&gates.changed);
  g_mutex_unlock(&gates.lock);
}

/* With every worker there may ever be inside, and one let out, who comes next is that
 * one's choice alone. */
static void
occupy_all_there_may_be(Fixture *f)
{
  const unsigned all = CAGMA_POOL_WORKERS + CAGMA_POOL_ABANDONED_MAX;

  for (unsigned tag = 1; tag <= all; tag++) {
    g_autofree char *uuid = g_strdup_printf("hung-%u", tag);

    close_gate(uuid);
    push_with_deadline(f, CAGMA_REQUEST_SAMPLE, uuid, tag, PATIENT_US);
  }
  KIT_WAIT(n_inside() == all);
}

static void
test_set_overtakes(void)
{
  Fixture *f = fixture_new(URI);
  const char *s, *x;

  occupy_all_there_may_be(f);
  push(f, CAGMA_REQUEST_SAMPLE, "x", 100);
  push(f, CAGMA_REQUEST_STATUS, "y", 101);
  push(f, CAGMA_REQUEST_SET, "s", 102);
  open_gate("hung-1");
  KIT_WAIT(f->done->len == 4);
  s = strchr(gates.order->str, 's');
  x = strchr(gates.order->str, 'x');
  g_assert_nonnull(s);
  g_assert_nonnull(x);
  g_assert_true(s < x);
  fixture_free(f);
}

/* What a domain has waiting is in the way of its balloon's being set. */
static void
test_hurried_one_overtakes(void)
{
  Fixture *f = fixture_new(URI);
  const char *s, *x;

  occupy_all_there_may_be(f);
  push(f, CAGMA_REQUEST_SAMPLE, "x", 100);
  push(f, CAGMA_REQUEST_AGENT, "s", 101);
  push(f, CAGMA_REQUEST_SAMPLE, "s", 102);
  cagma_pool_hurry(f->pool, "s");
  cagma_pool_hurry(f->pool, "nobody");
  open_gate("hung-1");
  KIT_WAIT(f->done->len == 4);
  s = strchr(gates.order->str, 's');
  x = strchr(gates.order->str, 'x');
  g_assert_nonnull(s);
  g_assert_nonnull(x);
  g_assert_true(s < x);
  g_assert_cmpint(with_tag(f, 102)->outcome, ==, CAGMA_OUTCOME_DONE);
  fixture_free(f);
}

static void
test_reset_loses_what_waits(void)
{
  Fixture *f = fixture_new(URI);

  occupy_all(f);
  push(f, CAGMA_REQUEST_SAMPLE, "x", 100);
  push(f, CAGMA_REQUEST_SET, "s", 101);
  cagma_pool_reset(f->pool);
  KIT_WAIT(with_tag(f, 100) && with_tag(f, 101));
  g_assert_cmpint(with_tag(f, 100)->outcome, ==, CAGMA_OUTCOME_LOST);
  g_assert_cmpint(with_tag(f, 101)->outcome, ==, CAGMA_OUTCOME_LOST);
  open_gates();
  KIT_WAIT(f->done->len == CAGMA_POOL_WORKERS + 2);

  /* On connections of its own again. */
  push(f, CAGMA_REQUEST_SAMPLE, "a", 1000);
  KIT_WAIT(with_tag(f, 1000));
  g_assert_cmpint(with_tag(f, 1000)->outcome, ==, CAGMA_OUTCOME_DONE);
  fixture_free(f);
}

static void
test_no_connection(void)
{
  Fixture *f = fixture_new("test:///no/such/file.xml");

  push(f, CAGMA_REQUEST_SAMPLE, "a", 1);
  KIT_WAIT(with_tag(f, 1));
  g_assert_cmpint(with_tag(f, 1)->outcome, ==, CAGMA_OUTCOME_LOST);
  g_assert_nonnull(with_tag(f, 1)->error);
  fixture_free(f);
}

static void
test_free_while_workers_hang(void)
{
  Fixture *f = fixture_new(URI);

  occupy_all(f);
  push(f, CAGMA_REQUEST_SAMPLE, "x", 100);
  /* Some given up, some not yet. */
  KIT_WAIT(f->done->len > 0);
  close_gate("more");
  push(f, CAGMA_REQUEST_SAMPLE, "more", 101);
  g_clear_pointer(&f->pool, cagma_pool_free);
  g_ptr_array_set_size(f->done, 0);
  open_gates();
  KIT_WAIT(n_inside() == 0);
  for (int i = 0; i < 20; i++)
    kit_breathe();
  g_assert_cmpuint(f->done->len, ==, 0);
  fixture_free(f);
}

static void
done_frees(void *owner, CagmaRequest *request)
{
  Fixture *f = owner;

  g_ptr_array_add(f->done, request);
  g_clear_pointer(&f->pool, cagma_pool_free);
}

static void
test_free_while_giving_back(void)
{
  Fixture *f = fixture_new(URI);

  cagma_pool_free(f->pool);
  f->pool = cagma_pool_new(URI, work, done_frees, f);
  for (unsigned tag = 1; tag <= 10; tag++)
    push(f, CAGMA_REQUEST_SAMPLE, "a", tag);
  KIT_WAIT(f->done->len > 0);
  for (int i = 0; i < 20; i++)
    kit_breathe();
  g_assert_cmpuint(f->done->len, ==, 1);
  fixture_free(f);
}

int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;
  int status;

  kit_init(&argc, &argv);
  gates.closed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  gates.order = g_string_new(NULL);
  if (!cagma_libvirt_join_main_loop(&error))
    g_error("%s", error->message);
  g_test_add_func("/pool/answers", test_answers);
  g_test_add_func("/pool/late-one-is-given-up-once", test_late_one_is_given_up_once);
  g_test_add_func("/pool/late-says-what-it-was", test_late_one_says_what_it_was);
  g_test_add_func("/pool/one-that-hangs", test_one_that_hangs_is_asked_nothing_more);
  g_test_add_func("/pool/many-hang", test_many_hang);
  g_test_add_func("/pool/all-hang-at-once", test_all_hang_at_once);
  g_test_add_func("/pool/set-while-all-hang", test_set_while_all_hang);
  g_test_add_func("/pool/set-overtakes", test_set_overtakes);
  g_test_add_func("/pool/hurried-one-overtakes", test_hurried_one_overtakes);
  g_test_add_func("/pool/reset-loses-what-waits", test_reset_loses_what_waits);
  g_test_add_func("/pool/no-connection", test_no_connection);
  g_test_add_func("/pool/free-while-workers-hang", test_free_while_workers_hang);
  g_test_add_func("/pool/free-while-giving-back", test_free_while_giving_back);
  status = g_test_run();
  g_hash_table_unref(gates.closed);
  g_string_free(gates.order, TRUE);
  return status;
}
