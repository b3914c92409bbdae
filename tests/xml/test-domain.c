/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/units.h"
#include "tests/xml/assert.h"
#include "xml/domain.h"

/* A KVM domain of 4 GiB, with these parts put inside <domain> and <devices>. */
static char *
domain_with(const char *parts, const char *devices)
{
  return g_strdup_printf("<domain type='kvm' id='3'><name>vm</name><memory unit='GiB'>4</memory>%s"
                         "<devices>%s<memballoon model='virtio'/></devices></domain>",
                         parts, devices);
}

static CagmaDomainXml *
parse(const char *xml)
{
  g_autoptr(GError) error = NULL;
  CagmaDomainXml *domain = cagma_domain_xml_parse(xml, -1, NULL, &error);

  g_assert_no_error(error);
  g_assert_nonnull(domain);
  return domain;
}

static void
the_example_is_read_in_full(void)
{
  g_autofree char *xml = read_source("../../xml/examples/domain.xml");
  g_autoptr(CagmaDomainXml) domain = parse(xml);

  g_assert_cmpstr(domain->name, ==, "web1");
  g_assert_cmpstr(domain->uuid, ==, "3f2a8e0c-6e0d-4a57-9a1c-5b8d1f6f2c11");
  g_assert_cmpint(domain->id, ==, 7);
  g_assert_cmpint(domain->virt, ==, CAGMA_VIRT_KVM);
  g_assert_cmpuint(domain->memory_kib, ==, CAGMA_GIB(4));
  g_assert_cmpuint(domain->current_kib, ==, CAGMA_GIB(2));
  g_assert_true(domain->balloon);
  g_assert_true(domain->autodeflate);
  g_assert_true(domain->free_page_reporting);
  g_assert_cmpuint(domain->stats_period_s, ==, 2);
  g_assert_true(domain->cagma_channel);
  g_assert_false(domain->agent_channel);
  g_assert_null(domain->pinned);
  g_assert_true(domain->has_config);
  g_assert_no_error(domain->config_error);
  g_assert_cmpint(domain->config.mode, ==, CAGMA_MODE_ENFORCE);
  g_assert_cmpuint(domain->config.guarantee_kib, ==, CAGMA_MIB(512));
  g_assert_cmpuint(domain->config.limit_kib, ==, CAGMA_GIB(4));
  g_assert_cmphex(domain->config.given, ==, 0x1FF);
}

static void
the_least_domain_has_no_balloon_and_the_defaults(void)
{
  g_autoptr(CagmaDomainXml) domain =
      parse("<domain type='kvm'><name>a</name><memory>1048576</memory></domain>");

  g_assert_null(domain->uuid);
  g_assert_cmpint(domain->id, ==, -1);
  g_assert_cmpuint(domain->memory_kib, ==, CAGMA_GIB(1));
  g_assert_cmpuint(domain->current_kib, ==, CAGMA_GIB(1));
  g_assert_false(domain->balloon);
  g_assert_false(domain->autodeflate);
  g_assert_false(domain->free_page_reporting);
  g_assert_cmpuint(domain->stats_period_s, ==, 0);
  g_assert_false(domain->cagma_channel);
  g_assert_false(domain->agent_channel);
  g_assert_false(domain->has_config);
  g_assert_no_error(domain->config_error);
  g_assert_cmpuint(domain->config.guarantee_kib, ==, CAGMA_MIB(256));
  g_assert_cmpuint(domain->config.limit_kib, ==, CAGMA_GIB(1));
}

static void
the_type_says_which_hypervisor_and_balloon(void)
{
  static const struct {
    const char *type, *devices;
    CagmaVirt virt;
    gboolean balloon;
  } cases[] = {
    { "kvm", "<memballoon model='virtio'/>", CAGMA_VIRT_KVM, TRUE },
    { "kvm", "<memballoon model='none'/>", CAGMA_VIRT_KVM, FALSE },
    { "kvm", "", CAGMA_VIRT_KVM, FALSE },
    { "qemu", "<memballoon model='virtio-non-transitional'/>", CAGMA_VIRT_QEMU, TRUE },
    { "xen", "", CAGMA_VIRT_XEN, TRUE },
    { "xen", "<memballoon model='xen'/>", CAGMA_VIRT_XEN, TRUE },
    { "xen", "<memballoon model='none'/>", CAGMA_VIRT_XEN, TRUE },
    { "lxc", "", CAGMA_VIRT_OTHER, FALSE },
    { "test", "<memballoon model='virtio'/>", CAGMA_VIRT_OTHER, TRUE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *xml =
        g_strdup_printf("<domain type='%s'><name>a</name><memory>1</memory><devices>%s</devices></domain>",
                        cases[i].type, cases[i].devices);
    g_autoptr(CagmaDomainXml) domain = parse(xml);
    g_assert_cmpint(domain->virt, ==, cases[i].virt);
    g_assert_cmpint(domain->balloon, ==, cases[i].balloon);
  }
}

/* On Xen our agent needs no port, the balloon tells nothing, and libvirt passes no command on
 * to a stock agent, though its port be there. */
static void
xen_has_its_own_ways(void)
{
  static const struct {
    const char *type, *ports;
    gboolean own, agent, stats;
  } cases[] = {
    { "kvm", "", FALSE, FALSE, TRUE },
    { "kvm", CAGMA_CHANNEL_NAME, TRUE, FALSE, TRUE },
    { "kvm", CAGMA_AGENT_CHANNEL_NAME, FALSE, TRUE, TRUE },
    { "xen", "", TRUE, FALSE, FALSE },
    { "xen", CAGMA_AGENT_CHANNEL_NAME, TRUE, FALSE, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *xml = g_strdup_printf("<domain type='%s'><name>a</name><memory>1</memory><devices>"
                                           "<channel><target name='%s'/></channel>"
                                           "<memballoon model='virtio'/></devices></domain>",
                                           cases[i].type, cases[i].ports);
    g_autoptr(CagmaDomainXml) domain = parse(xml);

    g_assert_cmpint(domain->own_channel, ==, cases[i].own);
    g_assert_cmpint(domain->agent_channel, ==, cases[i].agent);
    g_assert_cmpint(domain->balloon_stats, ==, cases[i].stats);
  }
}

/* By libxl's formula, worked out by hand. */
static void
a_start_on_xen_needs_its_memory_free(void)
{
  static const struct {
    const char *type, *os, *vcpu;
    uint64_t kib;
  } cases[] = {
    { "kvm", "hvm", "<vcpu>2</vcpu>", 0 },
    /* 262144 + 4 × (256 + 512) + 1024 = 266240, and that is 130 × 2 MiB. */
    { "xen", "linux", "", 266240 },
    { "xen", "linux", "<vcpu>none</vcpu>", 266240 },
    /* 262144 + 4 × (512 + 512) + 1024 = 267264, of which 131 × 2 MiB are made. */
    { "xen", "linux", "<vcpu placement='static' current='1'>2</vcpu>", 268288 },
    /* 262144 + 4 × (1024 + 1024) + 2048 = 272384, so 133 × 2 MiB. */
    { "xen", "hvm", "<vcpu>4</vcpu>", 272384 },
    { "xen", "xenpvh", "<vcpu>4</vcpu>", 272384 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *xml = g_strdup_printf(
        "<domain type='%s'><name>a</name><memory unit='MiB'>512</memory><currentMemory unit='MiB'>256"
        "</currentMemory>%s<os><type>%s</type></os></domain>",
        cases[i].type, cases[i].vcpu, cases[i].os);
    g_autoptr(CagmaDomainXml) domain = parse(xml);

    g_assert_cmpuint(cagma_domain_xml_start_kib(domain), ==, cases[i].kib);
  }
}

static void
current_memory_is_never_above_memory(void)
{
  static const struct {
    const char *current;
    uint64_t kib;
  } cases[] = {
    { "<currentMemory unit='MiB'>100</currentMemory>", 102400 },
    { "<currentMemory>0</currentMemory>", CAGMA_GIB(4) },
    { "<currentMemory unit='GiB'>5</currentMemory>", CAGMA_GIB(4) },
    { "", CAGMA_GIB(4) },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *xml = domain_with(cases[i].current, "");
    g_autoptr(CagmaDomainXml) domain = parse(xml);
    g_assert_cmpuint(domain->current_kib, ==, cases[i].kib);
  }
}

static void
memory_takes_libvirts_other_attributes(void)
{
  g_autoptr(CagmaDomainXml) domain =
      parse("<domain type='kvm'><name>a</name><maxMemory slots='4' unit='GiB'>64</maxMemory>"
            "<memory unit='MiB' dumpCore='off'>512</memory></domain>");

  g_assert_cmpuint(domain->memory_kib, ==, CAGMA_MIB(512));
}

#define PCI_ADDRESS "<source><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>"

static void
what_pins_memory_is_named(void)
{
  static const struct {
    const char *parts, *devices, *pinned;
  } cases[] = {
    { "", "", NULL },
    { "", "<hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/>" PCI_ADDRESS "</hostdev>",
      "has a passed-through device (hostdev pci 0000:01:00.0)" },
    { "",
      "<hostdev type='pci'><source><address domain='0x10000' bus='1' slot='0x1f' "
      "function='7'/></source></hostdev>",
      "has a passed-through device (hostdev pci ?:01:1f.7)" },
    { "", "<hostdev type='pci'/>", "has a passed-through device (hostdev pci ?)" },
    { "", "<hostdev type='pci' managed='no'><driver name='vfio' iommufd='yes'/>" PCI_ADDRESS "</hostdev>",
      "has a passed-through device (hostdev pci 0000:01:00.0)" },
    { "", "<hostdev type='mdev' model='vfio-pci'><source><address uuid='c2177883'/></source></hostdev>",
      "has a passed-through device (hostdev mdev c2177883)" },
    { "", "<hostdev type='usb'><source><vendor id='0x1234'/></source></hostdev>", NULL },
    { "", "<hostdev type='scsi'><source><adapter name='scsi_host0'/></source></hostdev>", NULL },
    { "", "<hostdev type='scsi_host'/>", NULL },
    { "", "<interface type='network'/>", NULL },
    { "", "<interface type='hostdev'><mac address='52:54:00:00:00:01'/></interface>",
      "has a passed-through device (interface 52:54:00:00:00:01)" },
    { "", "<interface type='vdpa'><mac address='52:54:00:00:00:02'/></interface>",
      "has a vDPA device (interface 52:54:00:00:00:02)" },
    { "", "<interface type='vdpa'/>", "has a vDPA device (interface ?)" },
    { "", "<disk type='file'><target dev='vda'/></disk>", NULL },
    { "", "<disk type='nvme'><target dev='vda'/></disk>", "has a passed-through device (disk vda)" },
    { "", "<disk type='vhostvdpa'><target dev='vdb'/></disk>", "has a vDPA device (disk vdb)" },
    { "<memoryBacking><locked/></memoryBacking>", "", "has its memory locked (memoryBacking locked)" },
    { "<memoryBacking><hugepages><page size='2048'/></hugepages></memoryBacking>", "",
      "has its memory in huge pages (memoryBacking hugepages)" },
    { "<memoryBacking><nosharepages/><source type='memfd'/></memoryBacking>", "", NULL },
    { "<launchSecurity type='sev'><cbitpos>47</cbitpos></launchSecurity>", "",
      "has encrypted or protected memory (launchSecurity)" },
    { "<metadata><locked/><x:hostdev xmlns:x='urn:x' type='pci'/></metadata>",
      "<x:hostdev xmlns:x='urn:x' type='pci'/>", NULL },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *xml = domain_with(cases[i].parts, cases[i].devices);
    g_autoptr(CagmaDomainXml) domain = parse(xml);
    g_assert_cmpstr(domain->pinned, ==, cases[i].pinned);
  }
}

static void
huge_pages_are_all_of_it_or_not(void)
{
  static const struct {
    const char *backing;
    gboolean huge_pages;
  } cases[] = {
    { "", FALSE },
    { "<memoryBacking><locked/></memoryBacking>", FALSE },
    { "<memoryBacking><hugepages/></memoryBacking>", TRUE },
    { "<memoryBacking><locked/><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking>", TRUE },
    { "<memoryBacking><hugepages><page size='2048'/><page size='1' unit='GiB' "
      "nodeset='0'/></hugepages></memoryBacking>",
      FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *xml = domain_with(cases[i].backing, "");
    g_autoptr(CagmaDomainXml) domain = parse(xml);
    g_assert_cmpint(domain->huge_pages, ==, cases[i].huge_pages);
  }
}

static void
wrong_metadata_does_not_hide_the_domain(void)
{
#define NS " xmlns:c='urn:cagma:memory:1'"
  static const struct {
    const char *metadata, *says;
  } cases[] = {
    { "<c:memory" NS " mode='on'/>", "attribute 'mode' of element 'memory' is 'on'" },
    { "<c:ram" NS "/>", "unknown element 'ram' (expected 'memory')" },
    { "<c:memory" NS "/><c:memory" NS "/>", "more than one element" },
    { "<c:memory" NS "/><c:other" NS "/>", "more than one element" },
    { "<c:memory" NS "><shares>1</shares></c:memory>", "another namespace" },
    { "<c:memory" NS "><c:limit unit='GiB'>5</c:limit></c:memory>", "above the domain's memory" },
    { "<c:memory" NS "><c:guarantee unit='GiB'>5</c:guarantee></c:memory>", "above the domain's memory" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *metadata = g_strdup_printf("<metadata>%s</metadata>", cases[i].metadata);
    g_autofree char *xml = domain_with(metadata, "");
    g_autoptr(CagmaDomainXml) domain = parse(xml);
    g_assert_cmpstr(domain->name, ==, "vm");
    g_assert_true(domain->has_config);
    assert_says(domain->config_error, cases[i].says);
    g_assert_cmphex(domain->config.given, ==, 0);
    g_assert_cmpuint(domain->config.guarantee_kib, ==, CAGMA_MIB(256));
    g_assert_cmpuint(domain->config.limit_kib, ==, CAGMA_GIB(4));
  }
#undef NS
}

static void
other_metadata_is_passed_over(void)
{
  g_autofree char *xml = domain_with("<metadata><memory mode='on'/><o:memory xmlns:o='urn:other' mode='on'/>"
                                     "<s:status xmlns:s='urn:cagma:status:1' state='steady'/></metadata>",
                                     "");
  g_autoptr(CagmaDomainXml) domain = parse(xml);

  g_assert_false(domain->has_config);
  g_assert_no_error(domain->config_error);
}

static void
defaults_come_from_the_caller(void)
{
  g_autofree char *plain = domain_with("", "");
  g_autofree char *configured =
      domain_with("<metadata><memory xmlns='urn:cagma:memory:1'><shares>9</shares></memory></metadata>", "");
  g_autoptr(CagmaDomainXml) without = NULL;
  g_autoptr(CagmaDomainXml) with = NULL;
  CagmaConfig defaults;

  cagma_config_init(&defaults);
  defaults.mode = CAGMA_MODE_OBSERVE;
  defaults.limit_kib = CAGMA_GIB(8);
  without = cagma_domain_xml_parse(plain, -1, &defaults, NULL);
  g_assert_cmpint(without->config.mode, ==, CAGMA_MODE_OBSERVE);
  g_assert_cmpuint(without->config.limit_kib, ==, CAGMA_GIB(4));
  g_assert_cmpuint(without->config.shares, ==, 1000);

  with = cagma_domain_xml_parse(configured, -1, &defaults, NULL);
  g_assert_cmpint(with->config.mode, ==, CAGMA_MODE_OBSERVE);
  g_assert_cmpuint(with->config.shares, ==, 9);
  g_assert_cmphex(with->config.given, ==, CAGMA_GIVEN_SHARES);
}

static void
what_is_no_domain_is_refused(void)
{
  static const struct {
    const char *xml, *says;
  } cases[] = {
    { "<network/>", "unknown element 'network' (expected 'domain')" },
    { "<domain xmlns='urn:x'/>", "in namespace 'urn:x' (allowed: none)" },
    { "<domain type='kvm'/>", "lacks a 'name'" },
    { "<domain type='kvm'><name/></domain>", "'name' is empty" },
    { "<domain type='kvm'><name><b/></name></domain>", "unknown element 'b' in 'name'" },
    { "<domain type='kvm'><name>a</name></domain>", "lacks a 'memory'" },
    { "<domain type='kvm'><name>a</name><memory>0</memory></domain>", "'memory' is 0" },
    { "<domain type='kvm'><name>a</name><memory>lots</memory></domain>", "element 'memory': size 'lots'" },
    { "<domain type='xen'><name>Domain-0</name><memory unit='KiB'>18014398509481983</memory></domain>",
      "element 'memory': size '18014398509481983' KiB is too large" },
    { "<domain type='kvm'><name>a</name><memory>1</memory><currentMemory unit='x'>1</currentMemory></domain>",
      "element 'currentMemory': unknown unit 'x'" },
    { "<domain type='kvm' id='x'><name>a</name><memory>1</memory></domain>",
      "'id' of element 'domain' is 'x'" },
    { "<domain type='kvm' id='99999999999'><name>a</name><memory>1</memory></domain>", "is '99999999999'" },
    { "<domain type='kvm'><name>a</name><memory>1</memory><devices><memballoon model='virtio'><stats "
      "period='-1'/>"
      "</memballoon></devices></domain>",
      "attribute 'period' of element 'stats' is '-1'" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(cagma_domain_xml_parse(cases[i].xml, -1, NULL, &error));
    g_assert_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_CONTENT);
    assert_says(error, cases[i].says);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/domain/the-example-is-read-in-full", the_example_is_read_in_full);
  g_test_add_func("/domain/the-least-domain-has-no-balloon-and-the-defaults",
                  the_least_domain_has_no_balloon_and_the_defaults);
  g_test_add_func("/domain/the-type-says-which-hypervisor-and-balloon",
                  the_type_says_which_hypervisor_and_balloon);
  g_test_add_func("/domain/xen-has-its-own-ways", xen_has_its_own_ways);
  g_test_add_func("/domain/a-start-on-xen-needs-its-memory-free", a_start_on_xen_needs_its_memory_free);
  g_test_add_func("/domain/current-memory-is-never-above-memory", current_memory_is_never_above_memory);
  g_test_add_func("/domain/memory-takes-libvirts-other-attributes", memory_takes_libvirts_other_attributes);
  g_test_add_func("/domain/what-pins-memory-is-named", what_pins_memory_is_named);
  g_test_add_func("/domain/huge-pages-are-all-of-it-or-not", huge_pages_are_all_of_it_or_not);
  g_test_add_func("/domain/wrong-metadata-does-not-hide-the-domain", wrong_metadata_does_not_hide_the_domain);
  g_test_add_func("/domain/other-metadata-is-passed-over", other_metadata_is_passed_over);
  g_test_add_func("/domain/defaults-come-from-the-caller", defaults_come_from_the_caller);
  g_test_add_func("/domain/what-is-no-domain-is-refused", what_is_no_domain_is_refused);
  return g_test_run();
}
