/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes as Xen itself has them, the guest's figures from guest/errand.c: neither libvirt nor
 * cagmad's way of asking is trusted. */
#include <inttypes.h>
#include <libvirt/libvirt.h>
#include <libxl.h>
#include <stdio.h>
#include <stdlib.h>
#include <xenstore.h>
#include <xentoollog.h>

#include "tests/live/look.h"

#define PAGE_KIB 4
/* libxl lets a domain have so much more than its target (LIBXL_MAXMEM_CONSTANT). */
#define SLACK_KIB 1024

struct Look {
  libxl_uuid uuid;
  xentoollog_logger *logger;
  libxl_ctx *ctx;
  struct xs_handle *store;
};

Look *
look_new(const char *uri, const char *uuid)
{
  Look *look = g_new0(Look, 1);

  (void)uri; /* there is one Xen */
  g_assert_cmpint(libxl_uuid_from_string(&look->uuid, uuid), ==, 0);
  look->logger = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
  g_assert_cmpint(libxl_ctx_alloc(&look->ctx, LIBXL_VERSION, 0, look->logger), ==, 0);
  look->store = xs_open(0);
  g_assert_nonnull(look->store);
  return look;
}

void
look_free(Look *look)
{
  xs_close(look->store);
  libxl_ctx_free(look->ctx);
  xtl_logger_destroy(look->logger);
  g_free(look);
}

/* A domain that is being destroyed keeps its uuid for a while. */
static gboolean
find(Look *look, Sighting *sighting, uint32_t *domid)
{
  int n;
  libxl_dominfo *domains = libxl_list_domain(look->ctx, &n);
  gboolean found = FALSE;

  for (int i = 0; domains && i < n && !found; i++) {
    found =
        libxl_uuid_compare(&domains[i].uuid, &look->uuid) == 0 && !domains[i].dying && !domains[i].shutdown;
    if (!found)
      continue;
    *domid = domains[i].domid;
    sighting->actual_kib = domains[i].current_memkb;
    sighting->cap_kib = MAX(domains[i].max_memkb, SLACK_KIB) - SLACK_KIB;
  }
  if (domains)
    libxl_dominfo_list_free(domains, n);
  return found;
}

static void
read_vitals(Look *look, uint32_t domid, Sighting *sighting)
{
  g_autofree char *path = g_strdup_printf("/local/domain/%u/data/lab/vitals", domid);
  char *vitals = xs_read(look->store, XBT_NULL, path, NULL);
  uint64_t in, out, available_kib;

  if (vitals && sscanf(vitals, "%*u %" SCNu64 " %" SCNu64 " %" SCNu64, &in, &out, &available_kib) == 3) {
    sighting->swap_in_kib = in * PAGE_KIB;
    sighting->swap_out_kib = out * PAGE_KIB;
    sighting->usable_kib = available_kib;
    sighting->last_update_s = (uint64_t)(sighting->told_us / G_USEC_PER_SEC);
  }
  free(vitals);
}

gboolean
look_at(Look *look, Sighting *sighting)
{
  libxl_physinfo host;
  uint32_t domid;

  sighting->asked_us = g_get_real_time();
  if (!find(look, sighting, &domid))
    return FALSE;
  libxl_physinfo_init(&host);
  if (libxl_get_physinfo(look->ctx, &host) == 0)
    sighting->host_free_kib = (host.free_pages - host.outstanding_pages) * PAGE_KIB;
  libxl_physinfo_dispose(&host);
  sighting->told_us = g_get_real_time();
  read_vitals(look, domid, sighting);
  return TRUE;
}
