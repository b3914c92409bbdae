/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/pinned.h"

#include <string.h>

#include "xml/document.h"

/* Of a value from the XML within a reason. */
#define SHOWN_CHARS 48

static char *
attribute_for_people(const xmlNode *element, const char *name)
{
  g_autofree char *value = element ? cagma_element_attribute(element, name) : NULL;

  return cagma_printable(value ? value : "?", SHOWN_CHARS);
}

/* libvirt writes the parts of a PCI address as 0x0000; people read 0000:01:00.0. */
static char *
pci_part(const xmlNode *address, const char *name, unsigned int digits)
{
  g_autofree char *text = cagma_element_attribute(address, name);
  char *end = NULL;
  guint64 value;

  if (text == NULL)
    return g_strnfill(digits, '0');
  value = g_ascii_strtoull(text, &end, 0);
  if (end == text || *end != '\0' || value > G_MAXUINT16)
    return g_strdup("?");
  return g_strdup_printf("%0*x", (int)digits, (unsigned int)value);
}

static char *
pci_address(const xmlNode *hostdev)
{
  const xmlNode *source = cagma_element_child(hostdev, "source");
  const xmlNode *address = source ? cagma_element_child(source, "address") : NULL;
  g_autofree char *domain = NULL;
  g_autofree char *bus = NULL;
  g_autofree char *slot = NULL;
  g_autofree char *function = NULL;

  if (address == NULL)
    return g_strdup("?");
  domain = pci_part(address, "domain", 4);
  bus = pci_part(address, "bus", 2);
  slot = pci_part(address, "slot", 2);
  function = pci_part(address, "function", 1);
  return g_strdup_printf("%s:%s:%s.%s", domain, bus, slot, function);
}

static char *
mdev_uuid(const xmlNode *hostdev)
{
  const xmlNode *source = cagma_element_child(hostdev, "source");

  return attribute_for_people(source ? cagma_element_child(source, "address") : NULL, "uuid");
}

/* USB, SCSI and SCSI-host devices are served by QEMU or vhost, without VFIO. */
static char *
hostdev_reason(const xmlNode *hostdev)
{
  const gboolean pci = cagma_element_has_attribute(hostdev, "type", "pci");
  g_autofree char *which = NULL;

  if (pci)
    which = pci_address(hostdev);
  else if (cagma_element_has_attribute(hostdev, "type", "mdev"))
    which = mdev_uuid(hostdev);
  else
    return NULL;
  return g_strdup_printf("has a passed-through device (hostdev %s %s)", pci ? "pci" : "mdev", which);
}

static char *
interface_reason(const xmlNode *interface)
{
  const xmlNode *mac = cagma_element_child(interface, "mac");
  g_autofree char *address = attribute_for_people(mac, "address");

  if (cagma_element_has_attribute(interface, "type", "hostdev"))
    return g_strdup_printf("has a passed-through device (interface %s)", address);
  if (cagma_element_has_attribute(interface, "type", "vdpa"))
    return g_strdup_printf("has a vDPA device (interface %s)", address);
  return NULL;
}

/* QEMU drives a disk of type nvme through VFIO, and one of type vhostvdpa through vDPA. */
static char *
disk_reason(const xmlNode *disk)
{
  const xmlNode *target = cagma_element_child(disk, "target");
  g_autofree char *name = attribute_for_people(target, "dev");

  if (cagma_element_has_attribute(disk, "type", "nvme"))
    return g_strdup_printf("has a passed-through device (disk %s)", name);
  if (cagma_element_has_attribute(disk, "type", "vhostvdpa"))
    return g_strdup_printf("has a vDPA device (disk %s)", name);
  return NULL;
}

static char *
device_reason(const xmlNode *device)
{
  if (cagma_element_is(device, "hostdev"))
    return hostdev_reason(device);
  if (cagma_element_is(device, "interface"))
    return interface_reason(device);
  if (cagma_element_is(device, "disk"))
    return disk_reason(device);
  return NULL;
}

static char *
backing_reason(const xmlNode *domain)
{
  const xmlNode *backing = cagma_element_child(domain, "memoryBacking");

  if (cagma_element_child(domain, "launchSecurity") != NULL)
    return g_strdup("has encrypted or protected memory (launchSecurity)");
  if (backing != NULL && cagma_element_child(backing, "locked") != NULL)
    return g_strdup("has its memory locked (memoryBacking locked)");
  if (backing != NULL && cagma_element_child(backing, "hugepages") != NULL)
    return g_strdup("has its memory in huge pages (memoryBacking hugepages)");
  return NULL;
}

char *
cagma_pinned_reason(const xmlNode *domain)
{
  const xmlNode *devices = cagma_element_child(domain, "devices");
  const xmlNode *device = devices ? devices->children : NULL;
  char *reason = backing_reason(domain);

  for (; reason == NULL && device != NULL; device = device->next)
    reason = device_reason(device);
  return reason;
}
