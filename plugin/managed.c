/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/managed.h"

#include "policy/units.h"
#include "xml/error.h"

/* What QEMU holds beside the guest's memory, where cagmad.conf says `auto`. KVM:
 * device buffers, VNC, threads. TCG: translated code on top (its cache grows up to
 * 1 GiB, small guests fill a fraction of it; measured 120–250 MiB). Xen: a device
 * model in dom0, outside Xen's free memory. */
#define OVERHEAD_KVM_KIB CAGMA_MIB(128)
#define OVERHEAD_TCG_KIB CAGMA_MIB(384)

/* libvirt's drivers put the name into file names. */
#define NAME_MAX_CHARS 255

/* Guests whose balloons collect no statistics report by themselves, this often. */
#define OWN_PERIOD_US CAGMA_SECOND_US

#define COMPLAINT_INTERVAL_US (600 * CAGMA_SECOND_US)

CagmaManaged *
cagma_managed_new(const char *uuid, const char *name, int id, int64_t now_us)
{
  CagmaManaged *managed = g_new0(CagmaManaged, 1);

  cagma_domain_init(&managed->policy, now_us);
  g_strlcpy(managed->uuid, uuid, sizeof managed->uuid);
  /* It is logged and shown: no control character gets that far. */
  managed->name = cagma_printable(name, NAME_MAX_CHARS);
  managed->id = id;
  return managed;
}

void
cagma_managed_free(CagmaManaged *managed)
{
  g_clear_pointer(&managed->xml, cagma_domain_xml_free);
  g_free(managed->name);
  g_free(managed->hold);
  g_free(managed->changed);
  g_free(managed->complaint);
  g_free(managed);
}

void
cagma_managed_complain(CagmaManaged *managed, const char *message)
{
  int64_t now_us = g_get_monotonic_time();

  if (g_strcmp0(managed->complaint, message) == 0 && now_us - managed->complained_us < COMPLAINT_INTERVAL_US)
    return;
  g_warning("%s: %s", managed->name, message);
  managed->complained_us = now_us;
  g_free(managed->complaint);
  managed->complaint = g_strdup(message);
}

gboolean
cagma_managed_is_invalid(const CagmaManaged *managed)
{
  return managed->xml && managed->xml->config_error;
}

static uint64_t
overhead_of(const CagmaDomainXml *xml, const CagmaConf *conf)
{
  if (!conf->overhead_auto)
    return conf->overhead_kib;
  switch (xml->virt) {
  case CAGMA_VIRT_QEMU:
    return OVERHEAD_TCG_KIB;
  case CAGMA_VIRT_XEN:
    return 0;
  default:
    return OVERHEAD_KVM_KIB;
  }
}

void
cagma_managed_update_hold(CagmaManaged *managed)
{
  const CagmaDomainXml *xml = managed->xml;

  g_clear_pointer(&managed->hold, g_free);
  if (managed->paused)
    managed->hold = g_strdup("is paused");
  else if (managed->busy)
    managed->hold = g_strdup("a migration, save or other job runs on it");
  else if (xml && xml->pinned)
    managed->hold = g_strdup(xml->pinned);
  else if (xml && !xml->balloon)
    managed->hold = g_strdup("has no balloon device");
  managed->policy.hold = managed->hold;
}

static gboolean
is_managed(const CagmaDomainXml *xml, const CagmaConf *conf)
{
  if (xml->config_error || xml->config.mode == CAGMA_MODE_OFF)
    return FALSE;
  return xml->has_config || conf->manage_all;
}

void
cagma_managed_describe(CagmaManaged *managed, CagmaDomainXml *xml, gboolean paused, const CagmaConf *conf)
{
  CagmaDomain *policy = &managed->policy;
  unsigned period_s = xml->stats_period_s ? xml->stats_period_s : managed->stats_period_s;

  g_clear_pointer(&managed->xml, cagma_domain_xml_free);
  managed->xml = xml;
  managed->paused = paused;
  managed->id = xml->id;
  policy->max_kib = xml->memory_kib;
  policy->overhead_kib = overhead_of(xml, conf);
  policy->config = xml->config;
  policy->without = conf->without;
  policy->managed = is_managed(xml, conf);
  policy->pinned = xml->pinned || !xml->balloon;
  policy->yields = xml->virt == CAGMA_VIRT_XEN;
  policy->report_period_us = xml->balloon_stats ? period_s * CAGMA_SECOND_US : OWN_PERIOD_US;
  cagma_managed_update_hold(managed);
}
