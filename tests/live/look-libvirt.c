/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libvirt/libvirt.h>

#include "look.h"

struct Look {
  char *uri;
  char *uuid;
  virConnectPtr conn;
  virDomainPtr domain;
};

Look *
look_new(const char *uri, const char *uuid)
{
  Look *look = g_new0(Look, 1);

  look->uri = g_strdup(uri);
  look->uuid = g_strdup(uuid);
  return look;
}

static void
disconnect(Look *look)
{
  g_clear_pointer(&look->domain, virDomainFree);
  g_clear_pointer(&look->conn, virConnectClose);
}

void
look_free(Look *look)
{
  disconnect(look);
  g_free(look->uri);
  g_free(look->uuid);
  g_free(look);
}

static gboolean
ask(virDomainPtr domain, Sighting *sighting)
{
  virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
  int n;

  sighting->asked_us = g_get_real_time();
  n = virDomainMemoryStats(domain, stats, G_N_ELEMENTS(stats), 0);
  sighting->told_us = g_get_real_time();
  for (int i = 0; i < n; i++)
    switch (stats[i].tag) {
    case VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON:
      sighting->actual_kib = stats[i].val;
      break;
    case VIR_DOMAIN_MEMORY_STAT_USABLE:
      sighting->usable_kib = stats[i].val;
      break;
    case VIR_DOMAIN_MEMORY_STAT_SWAP_IN:
      sighting->swap_in_kib = stats[i].val;
      break;
    case VIR_DOMAIN_MEMORY_STAT_SWAP_OUT:
      sighting->swap_out_kib = stats[i].val;
      break;
    case VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE:
      sighting->last_update_s = stats[i].val;
      break;
    default:
      break;
    }
  return n > 0;
}

/* What is out of reach (libvirtd restarts, the guest doesn't run) is looked for anew. */
gboolean
look_at(Look *look, Sighting *sighting)
{
  if (!look->conn)
    look->conn = virConnectOpen(look->uri);
  if (look->conn && !look->domain)
    look->domain = virDomainLookupByUUIDString(look->conn, look->uuid);
  if (look->domain && ask(look->domain, sighting))
    return TRUE;
  disconnect(look);
  return FALSE;
}
