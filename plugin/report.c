/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/report.h"

#include "policy/explain.h"
#include "policy/units.h"
#include "xml/status.h"

/* A status write is an fsync and an event to every client: at most one a domain in
 * this time. */
#define STATUS_INTERVAL_US (10 * CAGMA_SECOND_US)

char *
cagma_report_now(void)
{
  g_autoptr(GDateTime) now = g_date_time_new_now_utc();

  return g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
}

CagmaState
cagma_report_state(const CagmaManaged *managed)
{
  if (cagma_managed_is_invalid(managed))
    return CAGMA_STATE_INVALID;
  return managed->decided ? managed->decision.state : CAGMA_STATE_STEADY;
}

char *
cagma_report_reason(const CagmaManaged *managed)
{
  if (cagma_managed_is_invalid(managed))
    return g_strdup(managed->xml->config_error->message);
  if (!managed->xml)
    return g_strdup("just found; libvirt has not described it yet");
  if (!managed->decided)
    return g_strdup("just found or started; nothing is decided yet");
  return cagma_explain_reason(&managed->decision);
}

/* NULL: nothing was asked of its guest. */
static char *
explain_read_back(const CagmaReadBack *state)
{
  if (!state->asked)
    return NULL;
  return g_strdup_printf("read-back: since it was given memory, its guest %s %" PRIu64
                         " MiB of what it had swapped out.\n",
                         state->due ? "is bringing back, so far" : "has brought back", state->kib / 1024);
}

char *
cagma_report_explanation(const CagmaManaged *managed, const CagmaVerdict *verdict)
{
  g_autofree char *reason = NULL;

  if (!cagma_managed_is_invalid(managed) && managed->decided) {
    g_autofree char *decision = cagma_explain(&managed->decision, verdict);
    g_autofree char *read_back = explain_read_back(&managed->read_back);

    return g_strconcat(decision, read_back, NULL);
  }
  reason = cagma_report_reason(managed);
  return g_strdup_printf("%s: %s.\n", cagma_state_to_string(cagma_report_state(managed)), reason);
}

gboolean
cagma_report_is_due(const CagmaManaged *managed, int64_t now_us)
{
  const CagmaDomain *policy = &managed->policy;

  /* Those that fail count too. */
  if (managed->status_us && now_us - managed->status_us < STATUS_INTERVAL_US)
    return FALSE;
  if (!managed->xml || (!policy->managed && !cagma_managed_is_invalid(managed)))
    return managed->status_written;
  if (!managed->decided)
    return FALSE;
  if (!managed->status_written)
    return TRUE;
  return managed->status_state != cagma_report_state(managed) ||
         managed->status_why != managed->decision.why || managed->status_target_kib != policy->target_kib ||
         managed->status_guarantee_kib != policy->config.guarantee_kib ||
         managed->status_limit_kib != policy->config.limit_kib;
}

static const char *
source_of(const CagmaManaged *managed)
{
  const CagmaDomain *policy = &managed->policy;

  if (!policy->has_figures)
    return "none";
  switch (policy->source) {
  case CAGMA_SAMPLE_CHANNEL:
    return managed->xml && managed->xml->virt == CAGMA_VIRT_XEN ? "xenstore" : "cagma-channel";
  case CAGMA_SAMPLE_AGENT:
    return "guest-agent";
  default:
    return "balloon-stats";
  }
}

char *
cagma_report_status(CagmaManaged *managed, const char *reason, int64_t now_us)
{
  const CagmaDomain *policy = &managed->policy;
  g_autofree char *written = cagma_report_now();
  CagmaStatus status = {
    .state = cagma_report_state(managed),
    .reason = (char *)reason,
    .written = written,
    .host = (char *)g_get_host_name(),
  };

  if (policy->managed) {
    status.source = (char *)source_of(managed);
    status.target_kib = policy->target_kib;
    status.actual_kib = policy->actual_kib;
    status.guarantee_kib = policy->config.guarantee_kib;
    status.limit_kib = policy->config.limit_kib;
    status.have_available = policy->has_figures;
    status.available_kib = policy->available_kib;
    status.have_critical = policy->has_figures;
    status.critical_kib = managed->decision.demand.critical_kib;
    status.have_swap_used = policy->has_swap_used;
    status.swap_used_kib = policy->swap_used_kib;
    status.swap_in_kib_per_s = policy->swap_in_kib_per_s;
    status.change_kib = managed->change_kib;
    status.changed = managed->changed;
  }

  managed->status_written = TRUE;
  managed->status_us = now_us;
  managed->status_state = status.state;
  managed->status_why = managed->decision.why;
  managed->status_target_kib = policy->target_kib;
  managed->status_guarantee_kib = policy->config.guarantee_kib;
  managed->status_limit_kib = policy->config.limit_kib;
  return cagma_status_format(&status);
}

static void
add_kib(GVariantBuilder *builder, const char *key, uint64_t kib)
{
  g_variant_builder_add(builder, "{sv}", key, g_variant_new_uint64(kib));
}

static void
add_text(GVariantBuilder *builder, const char *key, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid(text, -1);

  g_variant_builder_add(builder, "{sv}", key, g_variant_new_string(valid));
}

GVariant *
cagma_report_info(const CagmaManaged *managed, const char *reason)
{
  const CagmaDomain *policy = &managed->policy;
  GVariantBuilder info;
  GVariant *flat;

  g_variant_builder_init(&info, G_VARIANT_TYPE_VARDICT);
  add_text(&info, "name", managed->name);
  add_text(&info, "uuid", managed->uuid);
  add_text(&info, "state", cagma_state_to_string(cagma_report_state(managed)));
  add_text(&info, "reason", reason);
  if (managed->xml) {
    add_kib(&info, "maximum-kib", policy->max_kib);
    add_kib(&info, "charge-kib", cagma_domain_charge(policy));
  }
  if (policy->has_actual)
    add_kib(&info, "actual-kib", policy->actual_kib);
  if (policy->managed) {
    add_text(&info, "mode", cagma_mode_to_string(policy->config.mode));
    add_text(&info, "source", source_of(managed));
    add_kib(&info, "guarantee-kib", policy->config.guarantee_kib);
    add_kib(&info, "limit-kib", policy->config.limit_kib);
    g_variant_builder_add(&info, "{sv}", "shares", g_variant_new_uint32(policy->config.shares));
  }
  if (policy->managed && policy->target_kib)
    add_kib(&info, "target-kib", policy->target_kib);
  if (policy->managed && policy->has_figures) {
    add_kib(&info, "used-kib", policy->used_kib);
    add_kib(&info, "available-kib", policy->available_kib);
    add_kib(&info, "critical-kib", managed->decision.demand.critical_kib);
    add_kib(&info, "demand-kib", managed->decision.demand.demand_kib);
  }
  if (policy->managed && policy->has_counters) {
    if (policy->has_swap_used)
      add_kib(&info, "swap-used-kib", policy->swap_used_kib);
    add_kib(&info, "swap-in-kib-per-s", policy->swap_in_kib_per_s);
    add_kib(&info, "swap-out-kib-per-s", policy->swap_out_kib_per_s);
  }
  if (managed->changed) {
    g_variant_builder_add(&info, "{sv}", "change-kib", g_variant_new_int64(managed->change_kib));
    add_text(&info, "changed", managed->changed);
  }
  flat = g_variant_builder_end(&info);
  /* Flat at once: as trees, a thousand of these take megabytes, which GLib keeps. */
  g_variant_get_data(flat);
  return flat;
}
