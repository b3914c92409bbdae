/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

#include <inttypes.h>

#include "plugin/report.h"
#include "policy/rules.h"
#include "policy/units.h"
#include "xml/error.h"

#define STOP_MAX_MS 5000

CagmaManager *
cagma_manager_new(CagmaBackend *backend, CagmaTargets *targets, const CagmaConf *conf, gboolean dry_run)
{
  CagmaManager *manager = g_new0(CagmaManager, 1);

  manager->backend = backend;
  manager->targets = targets;
  manager->conf = conf;
  manager->dry_run = dry_run;
  manager->by_uuid = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)cagma_managed_free);
  manager->domains = g_ptr_array_new();
  manager->policies = g_ptr_array_new();
  manager->expected = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  manager->waiters = g_ptr_array_new();
  return manager;
}

void
cagma_manager_free(CagmaManager *manager)
{
  if (!manager)
    return;
  cagma_manager_dismiss_waiters(manager);
  g_ptr_array_unref(manager->waiters);
  g_clear_handle_id(&manager->tick_source, g_source_remove);
  g_clear_handle_id(&manager->gather_source, g_source_remove);
  g_clear_handle_id(&manager->short_source, g_source_remove);
  g_clear_handle_id(&manager->pressed_source, g_source_remove);
  g_clear_handle_id(&manager->watch_source, g_source_remove);
  g_clear_handle_id(&manager->decide_source, g_source_remove);
  g_clear_handle_id(&manager->stop_source, g_source_remove);
  cagma_recorder_close(manager->recorder);
  cagma_plan_clear(&manager->plan);
  g_ptr_array_unref(manager->domains);
  g_ptr_array_unref(manager->policies);
  g_hash_table_unref(manager->expected);
  g_hash_table_unref(manager->by_uuid);
  g_free(manager);
}

gboolean
cagma_manager_record(CagmaManager *manager, const char *path, GError **error)
{
  manager->recorder = cagma_recorder_open(path, &manager->host, error);
  return manager->recorder != NULL;
}

void
cagma_manager_reopen_record(CagmaManager *manager)
{
  if (manager->recorder)
    cagma_recorder_reopen(manager->recorder);
}

void
cagma_manager_start(CagmaManager *manager)
{
  static const CagmaListener listener = {
    .connected = cagma_manager_on_connected,
    .disconnected = cagma_manager_on_disconnected,
    .event = cagma_manager_on_event,
    .completed = cagma_manager_on_completed,
    .guest = cagma_manager_on_guest,
    .read_back = cagma_manager_on_read_back,
    .guest_lost = cagma_manager_on_guest_lost,
  };

  manager->backend->open(manager->backend, &listener, manager);
  cagma_manager_start_ticking(manager);
}

/* Tells it once. */
static void
stop_over(CagmaManager *manager)
{
  g_clear_handle_id(&manager->stop_source, g_source_remove);
  if (manager->is_stopped)
    return;
  manager->is_stopped = TRUE;
  manager->stopped(manager->stopped_data);
}

void
cagma_manager_maybe_stopped(CagmaManager *manager)
{
  if (!manager->stopped)
    return;
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    if (managed->in_flight || managed->wanted)
      return;
  }
  stop_over(manager);
}

static gboolean
stop_late(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->stop_source = 0;
  g_warning("some domains keep their status: they did not answer in time");
  stop_over(manager);
  return G_SOURCE_REMOVE;
}

static gboolean
stop_at_once(gpointer user_data)
{
  CagmaManager *manager = user_data;

  manager->stop_source = 0;
  stop_over(manager);
  return G_SOURCE_REMOVE;
}

void
cagma_manager_stop(CagmaManager *manager, GSourceFunc done, gpointer user_data)
{
  gboolean busy = FALSE;

  if (manager->stopped)
    return;
  manager->stopped = done;
  manager->stopped_data = user_data;
  cagma_manager_dismiss_waiters(manager);
  g_clear_handle_id(&manager->tick_source, g_source_remove);
  g_clear_handle_id(&manager->gather_source, g_source_remove);
  g_clear_handle_id(&manager->short_source, g_source_remove);
  g_clear_handle_id(&manager->pressed_source, g_source_remove);
  g_clear_handle_id(&manager->watch_source, g_source_remove);
  g_clear_handle_id(&manager->decide_source, g_source_remove);

  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];

    cagma_manager_take_back(manager, managed);
    managed->wanted = 0;
    if (managed->status_written && !manager->dry_run && manager->connected && !managed->policy.unresponsive)
      cagma_manager_want(manager, managed, CAGMA_REQUEST_STATUS);
    busy = busy || managed->in_flight != 0;
  }
  manager->stop_source =
      busy ? g_timeout_add(STOP_MAX_MS, stop_late, manager) : g_idle_add(stop_at_once, manager);
}

void
cagma_manager_configure(CagmaManager *manager, const CagmaConf *conf)
{
  manager->conf = conf;
  if (manager->stopped)
    return;
  cagma_manager_start_ticking(manager);
  for (guint i = 0; i < manager->domains->len; i++) {
    cagma_manager_take_back(manager, manager->domains->pdata[i]);
    cagma_manager_want(manager, manager->domains->pdata[i], CAGMA_REQUEST_DESCRIBE);
  }
}

void
cagma_manager_expect(CagmaManager *manager, const char *uuid, const char *name, uint64_t memory_kib)
{
  g_autofree char *shown = cagma_printable(name, CAGMA_QUOTE_CHARS);
  const CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, uuid);
  Expected *expected;

  /* One whose memory isn't taken bit by bit takes it anew when it reboots. */
  if (managed && !managed->policy.cap_kib)
    return;
  expected = g_new0(Expected, 1);
  expected->memory_kib = cagma_min_kib(memory_kib, CAGMA_MAX_KIB);
  expected->expires_us = g_get_monotonic_time() + CAGMA_EXPECT_US;
  g_hash_table_replace(manager->expected, g_strdup(uuid), expected);
  g_message("%s is about to start with %" PRIu64 " MiB", shown, memory_kib / 1024);
  cagma_manager_decide_soon(manager);
}

void
cagma_manager_expect_no_more(CagmaManager *manager, const char *uuid)
{
  if (g_hash_table_remove(manager->expected, uuid))
    cagma_manager_decide_soon(manager);
}

gboolean
cagma_manager_is_alive(CagmaManager *manager)
{
  return manager->connected && manager->decided_us &&
         g_get_monotonic_time() - manager->decided_us < 3 * manager->conf->period_us + CAGMA_SECOND_US;
}

GVariant *
cagma_manager_host_info(CagmaManager *manager)
{
  const CagmaHost *host = &manager->host;
  GVariantDict info;
  uint64_t charge_kib = 0;

  for (size_t i = 0; i < host->n_domains; i++)
    charge_kib += cagma_domain_charge(host->domains[i]);

  g_variant_dict_init(&info, NULL);
  g_variant_dict_insert(&info, "version", "s", CAGMA_VERSION);
  g_variant_dict_insert(&info, "uri", "s", manager->conf->uri);
  g_variant_dict_insert(&info, "connected", "b", manager->connected);
  g_variant_dict_insert(&info, "dry-run", "b", manager->dry_run);
  g_variant_dict_insert(&info, "policy", "s", cagma_policy_of(manager->conf->policy)->name);
  g_variant_dict_insert(&info, "budget", "s", manager->conf->budget == CAGMA_BUDGET_AUTO ? "auto" : "fixed");
  if (manager->conf->without) {
    g_autofree char *rules = cagma_rules_format(manager->conf->without);

    g_variant_dict_insert(&info, "without", "s", rules);
  }
  g_variant_dict_insert(&info, "charge-kib", "t", (guint64)charge_kib);
  if (manager->decided_us) {
    g_variant_dict_insert(&info, "budget-kib", "t",
                          (guint64)(host->budget == CAGMA_BUDGET_AUTO ? host->total_kib : host->budget_kib));
    if (host->budget == CAGMA_BUDGET_AUTO)
      g_variant_dict_insert(&info, "available-kib", "t", (guint64)host->available_kib);
    g_variant_dict_insert(&info, "reserve-kib", "t", (guint64)host->reserve_kib);
    g_variant_dict_insert(&info, "pool-kib", "t", (guint64)host->pool_kib);
    g_variant_dict_insert(&info, "incoming-kib", "t", (guint64)host->incoming_kib);
    g_variant_dict_insert(&info, "in-hand-kib", "x", (gint64)manager->plan.verdict.in_hand_kib);
    g_variant_dict_insert(&info, "coming-kib", "t", (guint64)manager->plan.verdict.coming_kib);
    g_variant_dict_insert(&info, "shortfall-kib", "t", (guint64)manager->plan.verdict.shortfall_kib);
  }
  return g_variant_dict_end(&info);
}

GVariant *
cagma_manager_domain_infos(CagmaManager *manager)
{
  GVariantBuilder infos;

  g_variant_builder_init(&infos, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < manager->domains->len; i++) {
    CagmaManaged *managed = manager->domains->pdata[i];
    g_autofree char *reason = cagma_report_reason(managed);

    g_variant_builder_add_value(&infos, cagma_report_info(managed, reason));
  }
  return g_variant_builder_end(&infos);
}

char *
cagma_manager_explain(CagmaManager *manager, const char *name_or_uuid)
{
  const CagmaManaged *managed = cagma_manager_find(manager, name_or_uuid);

  return managed ? cagma_report_explanation(managed, &manager->plan.verdict) : NULL;
}
