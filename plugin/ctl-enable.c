/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "plugin/ctl.h"
#include "plugin/libvirt-glue.h"
#include "xml/domain.h"
#include "xml/memory.h"
#include "xml/size.h"

/* cagmactl enable DOM, disable DOM: all that a domain needs to be balanced well, in
 * the running domain and in its definition; and back again. What enable changed
 * beside the configuration is noted in metadata of its own, so that disable takes
 * back that and nothing else. */

#define NOTE_URI "urn:cagma:enabled:1"
#define NOTE_KEY "cagma-enabled"
#define MEMORY_KEY "cagma"
/* Often enough for a period of 3 s to have news each time. */
#define STATS_PERIOD_S 1

#define CHANNEL_XML                                                                                          \
  "<channel type='unix'><source mode='bind'/><target type='virtio' name='" CAGMA_CHANNEL_NAME "'/></"        \
  "channel>"

/* One of the two places a domain's XML is in. */
typedef struct {
  const char *what;
  unsigned affect; /* VIR_DOMAIN_AFFECT_ */
  unsigned xml;    /* for virDomainGetXMLDesc */
} Place;

static const Place places[] = {
  { "running domain", VIR_DOMAIN_AFFECT_LIVE, 0 },
  { "definition", VIR_DOMAIN_AFFECT_CONFIG, VIR_DOMAIN_XML_INACTIVE },
};

/* Says what is changed, and tells whether it really is to be. */
static gboolean
announce(const CagmaCtl *ctl, const Place *place, const char *what)
{
  g_print("%s%s: %s\n", ctl->dry_run ? "would change " : "", place->what, what);
  return !ctl->dry_run;
}

static gboolean
refused(const char *what, GError **error)
{
  cagma_libvirt_error(error, what);
  return FALSE;
}

static gboolean
has_place(virDomainPtr domain, const Place *place)
{
  if (place->affect == VIR_DOMAIN_AFFECT_LIVE)
    return virDomainIsActive(domain) == 1;
  return virDomainIsPersistent(domain) == 1;
}

static char *
read_metadata(virDomainPtr domain, const char *uri, const Place *place)
{
  return virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, uri, place->affect);
}

static gboolean
write_metadata(virDomainPtr domain, const char *uri, const char *key, const char *text, const Place *place,
               GError **error)
{
  if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, text, text ? key : NULL, uri, place->affect) <
      0)
    return refused("setting metadata", error);
  return TRUE;
}

static gboolean
set_config(const CagmaCtl *ctl, virDomainPtr domain, const char *present, const char *text,
           const Place *place, GError **error)
{
  g_autofree char *what = g_strdup_printf("metadata %s", text);

  /* One that is there stays, unless something is asked for. */
  if (present && !ctl->config.given) {
    g_print("%s: has a configuration already, which is kept\n", place->what);
    return TRUE;
  }
  return !announce(ctl, place, what) ||
         write_metadata(domain, CAGMA_MEMORY_URI, MEMORY_KEY, text, place, error);
}

static gboolean
add_channel(const CagmaCtl *ctl, virDomainPtr domain, const CagmaDomainXml *desc, const Place *place,
            gboolean *added, GError **error)
{
  if (desc->cagma_channel) {
    g_print("%s: has the channel " CAGMA_CHANNEL_NAME " already\n", place->what);
    return TRUE;
  }
  if (!announce(ctl, place, "add the channel " CAGMA_CHANNEL_NAME))
    return *added = TRUE;
  if (virDomainAttachDeviceFlags(domain, CHANNEL_XML, place->affect) == 0)
    return *added = TRUE;
  /* A running domain without a virtio-serial controller has no place for it. Its definition
   * gets both. */
  if (place->affect == VIR_DOMAIN_AFFECT_LIVE && virDomainIsPersistent(domain) == 1) {
    g_autoptr(GError) why = NULL;

    cagma_libvirt_error(&why, "adding the channel");
    g_print("note: %s: %s; it comes with the next start\n", place->what, why->message);
    return TRUE;
  }
  return refused("adding the channel", error);
}

static gboolean
set_stats_period(const CagmaCtl *ctl, virDomainPtr domain, const CagmaDomainXml *desc, const Place *place,
                 gboolean *set, GError **error)
{
  if (desc->stats_period_s) {
    g_print("%s: collects balloon statistics already\n", place->what);
    return TRUE;
  }
  if (announce(ctl, place, "collect balloon statistics each second") &&
      virDomainSetMemoryStatsPeriod(domain, STATS_PERIOD_S, place->affect) < 0)
    return refused("setting the statistics period", error);
  *set = TRUE;
  return TRUE;
}

/* Adds to what an earlier enable did. */
static gboolean
note(const CagmaCtl *ctl, virDomainPtr domain, gboolean channel, gboolean stats, const Place *place,
     GError **error)
{
  g_autofree char *before = NULL, *text = NULL;

  if (ctl->dry_run || (!channel && !stats))
    return TRUE;
  before = read_metadata(domain, NOTE_URI, place);
  channel = channel || (before && strstr(before, "channel=\"yes\""));
  stats = stats || (before && strstr(before, "stats=\"yes\""));
  text = g_strdup_printf("<enabled channel='%s' stats='%s'/>", channel ? "yes" : "no", stats ? "yes" : "no");
  return write_metadata(domain, NOTE_URI, NOTE_KEY, text, place, error);
}

static void
advise(const CagmaDomainXml *desc)
{
  if (desc->pinned)
    g_print("note: %s, so that CAGMA leaves it alone\n", desc->pinned);
  if (desc->virt == CAGMA_VIRT_XEN) {
    g_print("note: without cagma-guest-agent --method xenstore in its guest it is left alone\n");
    return;
  }
  if (!desc->autodeflate)
    g_print("note: <memballoon autodeflate='on'> lets the guest take memory back before it runs out, should "
            "cagmad be gone; takes effect at the next start\n");
  if (!desc->free_page_reporting)
    g_print(
        "note: <memballoon freePageReporting='on'> returns memory the guest frees at once; takes effect at "
        "the next start\n");
}

/* What is there, but for what is asked for. One that is wrong is replaced as a whole. */
static CagmaConfig
merged(const CagmaConfig *asked, const char *present)
{
  CagmaConfig config;

  if (!present || !cagma_memory_parse(present, -1, NULL, &config, NULL))
    return *asked;
  if (asked->given & CAGMA_GIVEN_GUARANTEE)
    config.guarantee_kib = asked->guarantee_kib;
  if (asked->given & CAGMA_GIVEN_LIMIT)
    config.limit_kib = asked->limit_kib;
  if (asked->given & CAGMA_GIVEN_SHARES)
    config.shares = asked->shares;
  config.given |= asked->given;
  return config;
}

static gboolean
enable_place(const CagmaCtl *ctl, virDomainPtr domain, const Place *place, GError **error)
{
  g_autofree char *xml = virDomainGetXMLDesc(domain, place->xml);
  g_autofree char *present = read_metadata(domain, CAGMA_MEMORY_URI, place);
  CagmaConfig config = merged(&ctl->config, present);
  g_autofree char *text = cagma_memory_format(&config);
  g_autoptr(CagmaDomainXml) desc = NULL;
  gboolean channel = FALSE, stats = FALSE, done;

  if (!xml)
    return refused("reading its XML", error);
  desc = cagma_domain_xml_parse(xml, -1, NULL, error);
  /* One that is kept as it is isn't judged here. */
  if (!desc || (ctl->config.given && !cagma_config_fit(&config, desc->memory_kib, error)))
    return FALSE;
  if (!desc->balloon) {
    g_set_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_CONTENT,
                "has no balloon device; add <memballoon model='virtio'/> to its definition");
    return FALSE;
  }
  /* A Xen guest's agent writes to xenstore, and its balloon collects nothing. */
  done = set_config(ctl, domain, present, text, place, error) &&
         (desc->virt == CAGMA_VIRT_XEN || (set_stats_period(ctl, domain, desc, place, &stats, error) &&
                                           add_channel(ctl, domain, desc, place, &channel, error)));
  /* Also of what stopped half way, so that it can be taken back. */
  if (!note(ctl, domain, channel, stats, place, done ? error : NULL) || !done)
    return FALSE;
  if (place->affect == VIR_DOMAIN_AFFECT_LIVE || virDomainIsActive(domain) != 1)
    advise(desc);
  return TRUE;
}

static gboolean
remove_metadata(const CagmaCtl *ctl, virDomainPtr domain, const char *uri, const char *what,
                const Place *place, GError **error)
{
  g_autofree char *present = read_metadata(domain, uri, place);

  if (!present)
    return TRUE;
  return !announce(ctl, place, what) || write_metadata(domain, uri, NULL, NULL, place, error);
}

static gboolean
remove_channel(const CagmaCtl *ctl, virDomainPtr domain, const Place *place, GError **error)
{
  g_autofree char *xml = virDomainGetXMLDesc(domain, place->xml);
  g_autofree char *channel = NULL;

  if (!xml)
    return refused("reading its XML", error);
  /* A running domain's has a socket's path, and isn't found without. */
  channel = cagma_domain_xml_channel(xml);
  if (channel && announce(ctl, place, "remove the channel " CAGMA_CHANNEL_NAME) &&
      virDomainDetachDeviceFlags(domain, channel, place->affect) < 0)
    return refused("removing the channel", error);
  return TRUE;
}

static gboolean
disable_place(const CagmaCtl *ctl, virDomainPtr domain, const Place *place, GError **error)
{
  g_autofree char *done = read_metadata(domain, NOTE_URI, place);

  if (!remove_metadata(ctl, domain, CAGMA_MEMORY_URI, "remove the metadata", place, error))
    return FALSE;
  if (done && strstr(done, "channel=\"yes\"") && !remove_channel(ctl, domain, place, error))
    return FALSE;
  if (done && strstr(done, "stats=\"yes\"") && announce(ctl, place, "collect no more balloon statistics") &&
      virDomainSetMemoryStatsPeriod(domain, 0, place->affect) < 0)
    return refused("setting the statistics period", error);
  if (done && !ctl->dry_run)
    return write_metadata(domain, NOTE_URI, NULL, NULL, place, error);
  return TRUE;
}

static int
change(const CagmaCtl *ctl, int argc, char **argv,
       gboolean (*change_place)(const CagmaCtl *, virDomainPtr, const Place *, GError **),
       const char *command)
{
  virConnectPtr conn;
  g_autoptr(virDomain) domain = NULL;
  g_autoptr(GError) error = NULL;

  if (argc != 1) {
    g_printerr("cagmactl: %s takes one domain\n", command);
    return CAGMA_EXIT_USAGE;
  }
  cagma_libvirt_hush();
  conn = virConnectOpen(ctl->uri);
  if (!conn) {
    cagma_libvirt_error(&error, ctl->uri ? ctl->uri : "libvirt");
    g_printerr("cagmactl: %s\n", error->message);
    return CAGMA_EXIT_FAILED;
  }
  domain = virDomainLookupByName(conn, argv[0]);
  if (!domain)
    domain = virDomainLookupByUUIDString(conn, argv[0]);
  if (!domain)
    g_set_error(&error, CAGMA_LIBVIRT_ERROR, VIR_ERR_NO_DOMAIN,
                "no such domain; 'virsh list --all' shows them");
  for (size_t i = 0; domain && i < G_N_ELEMENTS(places); i++)
    if (has_place(domain, &places[i]) && !change_place(ctl, domain, &places[i], &error))
      break;
  g_clear_pointer(&domain, virDomainFree);
  virConnectClose(conn);
  if (!error)
    return CAGMA_EXIT_OK;
  g_printerr("cagmactl: domain %s: %s\n", argv[0], error->message);
  return CAGMA_EXIT_FAILED;
}

int
cagma_ctl_enable(const CagmaCtl *ctl, int argc, char **argv)
{
  return change(ctl, argc, argv, enable_place, "enable");
}

int
cagma_ctl_disable(const CagmaCtl *ctl, int argc, char **argv)
{
  return change(ctl, argc, argv, disable_place, "disable");
}
