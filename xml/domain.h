/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/config.h"
#include "xml/error.h"

/* The ports' names: our own, and the QEMU guest agent's. */
#define CAGMA_CHANNEL_NAME "org.cagma.guest.0"
#define CAGMA_AGENT_CHANNEL_NAME "org.qemu.guest_agent.0"

/* A libvirt domain XML (virDomainGetXMLDesc, a hook's stdin, a file), read for what
 * CAGMA must know of a domain. Everything else in it is passed over. */

typedef enum {
  CAGMA_VIRT_KVM,
  CAGMA_VIRT_QEMU, /* QEMU's own emulation, TCG */
  CAGMA_VIRT_XEN,
  CAGMA_VIRT_OTHER,
} CagmaVirt;

typedef struct {
  char *name;
  char *uuid; /* NULL: none yet, as in a definition not yet given to libvirt */
  int id;     /* -1: not running, or unknown */
  CagmaVirt virt;

  /* <memory>, and <currentMemory> or, where that is absent or 0, <memory>. Both
   * include plugged DIMMs, as the argument of virDomainSetMemory does, but also
   * virtio-mem devices, which that argument does not: a domain with those is
   * charged for the most they can hold, which errs on the safe side. */
  uint64_t memory_kib;
  uint64_t current_kib;

  gboolean balloon; /* there is a balloon device; on Xen there always is */
  gboolean autodeflate;
  gboolean free_page_reporting;
  gboolean balloon_stats; /* … which can be made to collect statistics: not on Xen */
  guint stats_period_s;   /* 0: no statistics are collected */

  gboolean cagma_channel; /* a port org.cagma.guest.0, for our own agent */
  gboolean agent_channel; /* a port org.qemu.guest_agent.0 to which libvirt passes commands on: not on Xen */
  gboolean own_channel;   /* our own agent has a way to speak: that port or, on Xen, xenstore */

  uint32_t vcpus;
  gboolean paravirtual; /* Xen, and neither HVM nor PVH */

  /* NULL, or why memory that the guest gives back doesn't reach the host, as the
   * end of a sentence about the domain: "has a passed-through device (hostdev pci
   * 0000:01:00.0)". Where there are several reasons, the first one found. */
  char *pinned;
  gboolean huge_pages; /* all of its memory is, so that it is of a pool apart */

  /* The urn:cagma:memory:1 metadata. Where there is none, or where config_error is
   * set, config is the defaults. It is fitted to memory_kib in any case. */
  gboolean has_config;
  CagmaConfig config;
  GError *config_error; /* why the metadata, though there, can't be followed */
} CagmaDomainXml;

/* defaults as in cagma_memory_parse(). len -1: xml ends with a NUL.
 *
 * NULL with a CAGMA_XML_ERROR where it is no domain XML, or one without a name or
 * <memory>, or where a figure in it is nonsense. Mind that libvirt gives Xen's
 * Domain-0, where Xen sets it no maximum, a <memory> above CAGMA_MAX_KIB: that one is
 * refused too. Metadata that is wrong is no failure: see config_error.
 *
 * Thread-safe. Free with cagma_domain_xml_free(). */
CagmaDomainXml *cagma_domain_xml_parse(const char *xml, gssize len, const CagmaConfig *defaults,
                                       GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What really has to be free on the host when it starts, KiB. 0: nothing has to be, since its
 * memory is taken bit by bit (QEMU). Xen takes all of it at once, and the start fails where
 * that isn't there:
 *
 *     <currentMemory> + shadow + extra, rounded up to 2 MiB
 *     shadow = 4 KiB × (256 × vCPUs + n × <memory> in MiB); n = 1 for PV, else 2
 *     extra  = 1 MiB for PV, else 2 MiB
 *
 * (libxl__domain_need_memory_calculate and libxl__get_required_paging_memory of Xen 4.17, for
 * hosts without HAP, and the libxl driver of libvirt, which counts 2 for HVM in any case). */
uint64_t cagma_domain_xml_start_kib(const CagmaDomainXml *domain);

/* The <channel> of our port as it stands there: what libvirt knows the device by. NULL
 * where there is none. Free with g_free(). */
char *cagma_domain_xml_channel(const char *xml);

/* NULL is allowed. */
void cagma_domain_xml_free(CagmaDomainXml *domain);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaDomainXml, cagma_domain_xml_free)
