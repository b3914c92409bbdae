/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/domain.h"

#include <string.h>

#include "xml/decimal.h"
#include "xml/document.h"
#include "xml/memory.h"
#include "xml/pinned.h"

/* libvirt reads the stats period as an int. */
#define STATS_PERIOD_MAX_S G_MAXINT32
/* More than any hypervisor has. */
#define VCPUS_MAX 16384

#define PAGE_KIB 4
#define PAGES_A_VCPU 256
/* Xen hands memory out in superpages where it can. */
#define SUPERPAGE_KIB 2048

static gboolean
read_name(const xmlNode *root, CagmaDomainXml *domain, GError **error)
{
  const xmlNode *name = cagma_element_child(root, "name");
  const xmlNode *uuid = cagma_element_child(root, "uuid");

  if (name == NULL)
    return cagma_content_error(error, "element 'domain' lacks a 'name'");
  domain->name = cagma_element_text(name, error);
  if (domain->name == NULL)
    return FALSE;
  if (*domain->name == '\0')
    return cagma_content_error(error, "element 'name' is empty");
  if (uuid == NULL)
    return TRUE;
  domain->uuid = cagma_element_text(uuid, error);
  return domain->uuid != NULL;
}

static gboolean
read_id(const xmlNode *root, CagmaDomainXml *domain, GError **error)
{
  g_autofree char *text = cagma_element_attribute(root, "id");
  g_autofree char *shown = NULL;
  uint32_t id;

  domain->id = -1;
  if (text == NULL || strcmp(text, "-1") == 0)
    return TRUE;
  if (cagma_decimal_parse(text, 0, G_MAXINT, &id)) {
    domain->id = (int)id;
    return TRUE;
  }
  shown = cagma_printable(text, CAGMA_QUOTE_CHARS);
  return cagma_content_error(error, "attribute 'id' of element 'domain' is '%s' (a whole number is needed)",
                             shown);
}

static CagmaVirt
read_virt(const xmlNode *root)
{
  g_autofree char *type = cagma_element_attribute(root, "type");

  if (g_strcmp0(type, "kvm") == 0)
    return CAGMA_VIRT_KVM;
  if (g_strcmp0(type, "qemu") == 0)
    return CAGMA_VIRT_QEMU;
  if (g_strcmp0(type, "xen") == 0)
    return CAGMA_VIRT_XEN;
  return CAGMA_VIRT_OTHER;
}

static gboolean
read_memory(const xmlNode *root, CagmaDomainXml *domain, GError **error)
{
  const xmlNode *memory = cagma_element_child(root, "memory");
  const xmlNode *current = cagma_element_child(root, "currentMemory");

  if (memory == NULL)
    return cagma_content_error(error, "element 'domain' lacks a 'memory'");
  if (!cagma_element_size(memory, &domain->memory_kib, error))
    return FALSE;
  if (domain->memory_kib == 0)
    return cagma_content_error(error, "element 'memory' is 0");
  if (current != NULL && !cagma_element_size(current, &domain->current_kib, error))
    return FALSE;
  /* As libvirt does when it reads a definition. */
  if (domain->current_kib == 0 || domain->current_kib > domain->memory_kib)
    domain->current_kib = domain->memory_kib;
  return TRUE;
}

/* Where it isn't said, or makes no sense, there is one, as libvirt has it. */
static void
read_machine(const xmlNode *root, CagmaDomainXml *domain)
{
  const xmlNode *vcpu = cagma_element_child(root, "vcpu");
  const xmlNode *os = cagma_element_child(root, "os");
  const xmlNode *type = os ? cagma_element_child(os, "type") : NULL;
  g_autofree char *n = vcpu ? cagma_element_text(vcpu, NULL) : NULL;
  g_autofree char *kind = type ? cagma_element_text(type, NULL) : NULL;

  if (!n || !cagma_decimal_parse(n, 0, VCPUS_MAX, &domain->vcpus) || domain->vcpus == 0)
    domain->vcpus = 1;
  domain->paravirtual =
      domain->virt == CAGMA_VIRT_XEN && g_strcmp0(kind, "hvm") != 0 && g_strcmp0(kind, "xenpvh") != 0;
}

/* One <page> with a nodeset is for some of the guest's NUMA nodes. */
static gboolean
is_in_huge_pages(const xmlNode *root)
{
  const xmlNode *backing = cagma_element_child(root, "memoryBacking");
  const xmlNode *huge = backing ? cagma_element_child(backing, "hugepages") : NULL;

  for (const xmlNode *page = huge ? huge->children : NULL; page; page = page->next) {
    g_autofree char *nodes = cagma_element_is(page, "page") ? cagma_element_attribute(page, "nodeset") : NULL;

    if (nodes)
      return FALSE;
  }
  return huge != NULL;
}

static gboolean
read_stats_period(const xmlNode *balloon, CagmaDomainXml *domain, GError **error)
{
  const xmlNode *stats = cagma_element_child(balloon, "stats");
  g_autofree char *period = stats ? cagma_element_attribute(stats, "period") : NULL;
  g_autofree char *shown = NULL;

  if (period == NULL || cagma_decimal_parse(period, 0, STATS_PERIOD_MAX_S, &domain->stats_period_s))
    return TRUE;
  shown = cagma_printable(period, CAGMA_QUOTE_CHARS);
  return cagma_content_error(error, "attribute 'period' of element 'stats' is '%s' (seconds are needed)",
                             shown);
}

static gboolean
read_balloon(const xmlNode *root, CagmaDomainXml *domain, GError **error)
{
  const xmlNode *devices = cagma_element_child(root, "devices");
  const xmlNode *balloon = devices ? cagma_element_child(devices, "memballoon") : NULL;
  g_autofree char *model = NULL;

  /* A Xen guest's balloon is part of its kernel, not a device. */
  domain->balloon = domain->virt == CAGMA_VIRT_XEN;
  if (balloon == NULL)
    return TRUE;
  model = cagma_element_attribute(balloon, "model");
  if (g_strcmp0(model, "none") == 0)
    return TRUE;
  domain->balloon = TRUE;
  domain->autodeflate = cagma_element_has_attribute(balloon, "autodeflate", "on");
  domain->free_page_reporting = cagma_element_has_attribute(balloon, "freePageReporting", "on");
  return read_stats_period(balloon, domain, error);
}

static const xmlNode *
find_channel(const xmlNode *root, const char *name)
{
  const xmlNode *devices = cagma_element_child(root, "devices");

  for (const xmlNode *child = devices ? devices->children : NULL; child != NULL; child = child->next) {
    const xmlNode *target = cagma_element_is(child, "channel") ? cagma_element_child(child, "target") : NULL;

    if (target != NULL && cagma_element_has_attribute(target, "name", name))
      return child;
  }
  return NULL;
}

char *
cagma_domain_xml_channel(const char *xml)
{
  g_autoptr(xmlDoc) doc = cagma_document_parse(xml, -1, CAGMA_DOMAIN_MAX_BYTES, NULL);
  const xmlNode *channel = doc ? find_channel(xmlDocGetRootElement(doc), CAGMA_CHANNEL_NAME) : NULL;
  xmlBuffer *buffer;
  char *text = NULL;

  if (channel == NULL)
    return NULL;
  buffer = xmlBufferCreate();
  if (buffer != NULL && xmlNodeDump(buffer, doc, (xmlNode *)channel, 0, 0) >= 0)
    text = g_strdup((const char *)xmlBufferContent(buffer));
  xmlBufferFree(buffer);
  return text;
}

uint64_t
cagma_domain_xml_start_kib(const CagmaDomainXml *domain)
{
  uint64_t per_mib = domain->paravirtual ? 1 : 2;
  uint64_t shadow_kib = PAGE_KIB * (PAGES_A_VCPU * domain->vcpus + per_mib * (domain->memory_kib / 1024));
  uint64_t extra_kib = domain->paravirtual ? 1024 : 2048;
  uint64_t need_kib = domain->current_kib + shadow_kib + extra_kib;

  if (domain->virt != CAGMA_VIRT_XEN)
    return 0;
  return (need_kib + SUPERPAGE_KIB - 1) / SUPERPAGE_KIB * SUPERPAGE_KIB;
}

static gboolean
is_ours(const xmlNode *node)
{
  return node->type == XML_ELEMENT_NODE && node->ns != NULL && node->ns->href != NULL &&
         strcmp((const char *)node->ns->href, CAGMA_MEMORY_URI) == 0;
}

static gboolean
read_config(const xmlNode *root, CagmaDomainXml *domain, const CagmaConfig *defaults, GError **error)
{
  const xmlNode *metadata = cagma_element_child(root, "metadata");
  const xmlNode *found = NULL;

  for (const xmlNode *child = metadata ? metadata->children : NULL; child != NULL; child = child->next) {
    if (!is_ours(child))
      continue;
    domain->has_config = TRUE;
    if (found != NULL)
      return cagma_content_error(error,
                                 "metadata has more than one element of namespace '" CAGMA_MEMORY_URI "'");
    found = child;
  }
  return (found == NULL || cagma_memory_parse_node(found, defaults, &domain->config, error)) &&
         cagma_config_fit(&domain->config, domain->memory_kib, error);
}

/* Never fails: what is wrong with the metadata is one of the facts about the domain. */
static void
settle_config(const xmlNode *root, CagmaDomainXml *domain, const CagmaConfig *defaults)
{
  CagmaConfig fallback;

  cagma_config_init(&fallback);
  if (defaults != NULL)
    fallback = *defaults;
  /* Nothing given: then nothing can contradict, and fitting always succeeds. */
  fallback.given = 0;

  domain->config = fallback;
  if (read_config(root, domain, defaults, &domain->config_error))
    return;
  domain->config = fallback;
  if (!cagma_config_fit(&domain->config, domain->memory_kib, NULL))
    g_assert_not_reached();
}

static gboolean
read_domain(const xmlNode *root, CagmaDomainXml *domain, const CagmaConfig *defaults, GError **error)
{
  if (!cagma_document_check_root(root, "domain", NULL, error))
    return FALSE;
  domain->virt = read_virt(root);
  if (!read_name(root, domain, error) || !read_id(root, domain, error) || !read_memory(root, domain, error) ||
      !read_balloon(root, domain, error))
    return FALSE;
  domain->pinned = cagma_pinned_reason(root);
  domain->huge_pages = is_in_huge_pages(root);
  domain->cagma_channel = find_channel(root, CAGMA_CHANNEL_NAME) != NULL;
  domain->agent_channel =
      domain->virt != CAGMA_VIRT_XEN && find_channel(root, CAGMA_AGENT_CHANNEL_NAME) != NULL;
  domain->balloon_stats = domain->balloon && domain->virt != CAGMA_VIRT_XEN;
  domain->own_channel = domain->cagma_channel || domain->virt == CAGMA_VIRT_XEN;
  read_machine(root, domain);
  settle_config(root, domain, defaults);
  return TRUE;
}

CagmaDomainXml *
cagma_domain_xml_parse(const char *xml, gssize len, const CagmaConfig *defaults, GError **error)
{
  g_autoptr(xmlDoc) doc = cagma_document_parse(xml, len, CAGMA_DOMAIN_MAX_BYTES, error);
  CagmaDomainXml *domain;

  if (doc == NULL)
    return NULL;
  domain = g_new0(CagmaDomainXml, 1);
  if (read_domain(xmlDocGetRootElement(doc), domain, defaults, error))
    return domain;
  cagma_domain_xml_free(domain);
  return NULL;
}

void
cagma_domain_xml_free(CagmaDomainXml *domain)
{
  if (domain == NULL)
    return;
  g_free(domain->name);
  g_free(domain->uuid);
  g_free(domain->pinned);
  g_clear_error(&domain->config_error);
  g_free(domain);
}
