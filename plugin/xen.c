/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/xen.h"

#include <gio/gio.h>
#include <libxl.h>
#include <libxl_utils.h>
#include <xen/xen.h>
#include <xentoollog.h>

#include "plugin/xen-guests.h"
#include "policy/units.h"

#define LIBXL_CONF "/etc/libvirt/libxl.conf"

/* What libxl lets a domain hold above its target: LIBXL_MAXMEM_CONSTANT of
 * libxl_internal.h, in KiB. */
#define ABOVE_TARGET_KIB 1024

/* Numbers of domains known by their UUID are forgotten at the latest when there are so
 * many. */
#define KNOWN_MAX 4096

typedef enum {
  DRIVER_UNKNOWN,
  DRIVER_ABSENT,
  DRIVER_UP,
} DriverState;

/* A call that failed says nothing of whether a domain runs. */
typedef enum {
  LOOKED_GONE,
  LOOKED_THERE,
  LOOKED_IN_VAIN,
} Looked;

typedef struct {
  CagmaHypervisor hypervisor;
  libxl_ctx *ctx;
  uint64_t page_kib;
  GMutex lock;
  GHashTable *domids;                 /* under lock: by UUID, as last seen */
  gint drivers[DOMID_FIRST_RESERVED]; /* atomic: DriverState by number */
} Xen;

static void
log_message(xentoollog_logger *logger, xentoollog_level level, int error, const char *context,
            const char *format, va_list arguments)
{
  g_autofree char *text = g_strdup_vprintf(format, arguments);

  (void)logger;
  (void)error;
  g_debug("libxl: %s: %s: %s", xtl_level_to_string(level), context ? context : "", text);
}

static void
log_destroy(xentoollog_logger *logger)
{
  (void)logger;
}

static void
format_uuid(const libxl_uuid *uuid, char text[CAGMA_UUID_SIZE])
{
  g_snprintf(text, CAGMA_UUID_SIZE, LIBXL_UUID_FMT, LIBXL_UUID_BYTES(*uuid));
}

static gboolean
is(const libxl_dominfo *info, const char *uuid)
{
  char text[CAGMA_UUID_SIZE];

  format_uuid(&info->uuid, text);
  return !info->dying && g_str_equal(text, uuid);
}

static gboolean
remembers(Xen *xen, const char *uuid, unsigned *domid)
{
  gpointer value;
  gboolean known;

  g_mutex_lock(&xen->lock);
  known = g_hash_table_lookup_extended(xen->domids, uuid, NULL, &value);
  g_mutex_unlock(&xen->lock);
  if (known)
    *domid = GPOINTER_TO_UINT(value);
  return known;
}

static void
remember(Xen *xen, const char *uuid, unsigned domid)
{
  g_mutex_lock(&xen->lock);
  if (g_hash_table_size(xen->domids) >= KNOWN_MAX)
    g_hash_table_remove_all(xen->domids);
  g_hash_table_insert(xen->domids, g_strdup(uuid), GUINT_TO_POINTER(domid));
  g_mutex_unlock(&xen->lock);
}

static Looked
search(Xen *xen, const char *uuid, libxl_dominfo *found)
{
  int n = 0;
  libxl_dominfo *list = libxl_list_domain(xen->ctx, &n);
  gboolean there = FALSE;

  for (int i = 0; list && i < n && !there; i++) {
    there = is(&list[i], uuid);
    if (there)
      libxl_dominfo_copy(xen->ctx, found, &list[i]);
  }
  if (list)
    libxl_dominfo_list_free(list, n);
  if (there)
    remember(xen, uuid, found->domid);
  if (!list)
    return LOOKED_IN_VAIN;
  return there ? LOOKED_THERE : LOOKED_GONE;
}

/* The domain's figures; first where it was last. */
static Looked
look_up(Xen *xen, const char *uuid, libxl_dominfo *info)
{
  unsigned domid;

  if (remembers(xen, uuid, &domid) && libxl_domain_info(xen->ctx, info, domid) == 0 && is(info, uuid))
    return LOOKED_THERE;
  libxl_dominfo_dispose(info);
  libxl_dominfo_init(info);
  return search(xen, uuid, info);
}

static void
sample(CagmaHypervisor *hypervisor, virDomainPtr domain, CagmaRequest *request)
{
  Xen *xen = (Xen *)hypervisor;
  CagmaSample *figures = &request->sample;
  libxl_dominfo info;
  Looked looked;
  gint driver;

  (void)domain;
  libxl_dominfo_init(&info);
  looked = look_up(xen, request->uuid, &info);
  if (looked == LOOKED_GONE) {
    request->outcome = CAGMA_OUTCOME_GONE;
  } else if (looked == LOOKED_IN_VAIN) {
    request->outcome = CAGMA_OUTCOME_FAILED;
    g_set_error_literal(&request->error, G_IO_ERROR, G_IO_ERROR_FAILED, "Xen doesn't tell which domains run");
  } else {
    figures->actual_kib = cagma_min_kib(info.current_memkb, CAGMA_MAX_KIB);
    figures->rss_kib = figures->actual_kib;
    figures->cap_kib = cagma_min_kib(cagma_above(info.max_memkb, ABOVE_TARGET_KIB), CAGMA_MAX_KIB);
    figures->has = CAGMA_HAS_ACTUAL | CAGMA_HAS_RSS | CAGMA_HAS_CAP;
    driver = g_atomic_int_get(&xen->drivers[info.domid]);
    figures->driver = driver == DRIVER_UP;
    if (driver != DRIVER_UNKNOWN)
      figures->has |= CAGMA_HAS_DRIVER;
  }
  libxl_dominfo_dispose(&info);
}

/* What dom0 may hold isn't for guests. */
static uint64_t
dom0_kib(Xen *xen, uint64_t total_kib)
{
  libxl_dominfo info;
  uint64_t kib = 0;

  libxl_dominfo_init(&info);
  /* Where Xen sets it no maximum, that is above all there is. */
  if (libxl_domain_info(xen->ctx, &info, 0) == 0)
    kib = info.max_memkb < total_kib ? cagma_max_kib(info.max_memkb, info.current_memkb) : info.current_memkb;
  libxl_dominfo_dispose(&info);
  return kib;
}

static gboolean
host_memory(CagmaHypervisor *hypervisor, CagmaHostMemory *memory, GError **error)
{
  Xen *xen = (Xen *)hypervisor;
  libxl_physinfo info;
  int result;

  libxl_physinfo_init(&info);
  result = libxl_get_physinfo(xen->ctx, &info);
  if (result == 0) {
    uint64_t total_kib = info.total_pages * xen->page_kib;

    memory->total_kib = cagma_above(total_kib, dom0_kib(xen, total_kib));
    /* Claimed, for domains that are being built: as good as taken. */
    memory->available_kib = cagma_above(info.free_pages, info.outstanding_pages) * xen->page_kib;
    memory->merged_kib = 0;
  } else {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "Xen doesn't tell its free memory (libxl error %d)",
                result);
  }
  libxl_physinfo_dispose(&info);
  return result == 0;
}

static gboolean
find_domid(gpointer data, const char *uuid, unsigned *domid)
{
  Xen *xen = data;
  libxl_dominfo info;
  gboolean found;

  libxl_dominfo_init(&info);
  found = look_up(xen, uuid, &info) == LOOKED_THERE && info.domid < G_N_ELEMENTS(xen->drivers);
  *domid = found ? info.domid : 0;
  libxl_dominfo_dispose(&info);
  return found;
}

static gboolean
runs(CagmaHypervisor *hypervisor, const char *uuid)
{
  libxl_dominfo info;
  Looked looked;

  libxl_dominfo_init(&info);
  looked = look_up((Xen *)hypervisor, uuid, &info);
  libxl_dominfo_dispose(&info);
  /* One that doesn't is found out with its next figures. */
  return looked != LOOKED_GONE;
}

static void
note_driver(gpointer data, unsigned domid, gboolean up)
{
  Xen *xen = data;

  g_atomic_int_set(&xen->drivers[domid], up ? DRIVER_UP : DRIVER_ABSENT);
}

static gboolean
is_host(int id)
{
  return id == 0;
}

static CagmaGuests *
listen_to_guests(CagmaHypervisor *hypervisor, const char *uri, const CagmaGuestsListener *listener,
                 void *owner)
{
  const CagmaXenGuestsHost host = { .domid = find_domid, .driver = note_driver, .data = hypervisor };

  (void)uri;
  return cagma_xen_guests_new(&host, listener, owner);
}

gboolean
cagma_xen_autoballoons(const char *conf, const char *commandline)
{
  g_autoptr(GRegex) setting =
      g_regex_new("^[ \\t]*autoballoon[ \\t]*=[ \\t]*([01])", G_REGEX_MULTILINE, 0, NULL);
  g_autoptr(GMatchInfo) match = NULL;
  g_autofree char *value = NULL;

  if (conf && g_regex_match(setting, conf, 0, &match)) {
    value = g_match_info_fetch(match, 1);
    return g_str_equal(value, "1");
  }
  return !g_regex_match_simple("(^| )dom0_mem=", commandline, 0, 0);
}

static void
warn_of_autoballoon(Xen *xen)
{
  const libxl_version_info *version = libxl_get_version_info(xen->ctx);
  g_autofree char *conf = NULL;

  g_file_get_contents(LIBXL_CONF, &conf, NULL, NULL);
  if (version && version->commandline && cagma_xen_autoballoons(conf, version->commandline))
    g_warning("libvirt takes from dom0 what a domain's start lacks (autoballoon): give Xen a fixed "
              "dom0_mem=SIZE,max:SIZE, or set autoballoon = 0 in " LIBXL_CONF);
}

static Xen *
xen_new(GError **error)
{
  static xentoollog_logger logger = { .vmessage = log_message, .destroy = log_destroy };
  const libxl_version_info *version;
  libxl_ctx *ctx = NULL;
  int result = libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, &logger);
  Xen *xen;

  if (result != 0) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                "libxenlight can't be used (error %d): is this dom0, and cagmad root?", result);
    return NULL;
  }
  version = libxl_get_version_info(ctx);
  xen = g_new0(Xen, 1);
  xen->hypervisor = (CagmaHypervisor){
    .sample = sample, .host_memory = host_memory, .runs = runs, .is_host = is_host, .listen = listen_to_guests
  };
  xen->ctx = ctx;
  xen->page_kib = version && version->pagesize >= 1024 ? (uint64_t)version->pagesize / 1024 : 4;
  xen->domids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_mutex_init(&xen->lock);
  warn_of_autoballoon(xen);
  return xen;
}

CagmaHypervisor *
cagma_xen_get(GError **error)
{
  static GMutex lock;
  static Xen *only;
  Xen *xen;

  g_mutex_lock(&lock);
  if (!only)
    only = xen_new(error);
  xen = only;
  g_mutex_unlock(&lock);
  return xen ? &xen->hypervisor : NULL;
}
