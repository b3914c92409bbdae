/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libvirt/libvirt.h>
#include <string.h>
#include <unistd.h>

#include "plugin/xen.h"
#include "tests/plugin/kit.h"

/* Which hypervisor a connection leads to: libvirt's two calls that tell are the test's
 * own. And what can be known of Xen without one. */

static const char *type, *uri;

const char *
virConnectGetType(virConnectPtr conn)
{
  (void)conn;
  return type;
}

char *
virConnectGetURI(virConnectPtr conn)
{
  (void)conn;
  return g_strdup(uri);
}

static CagmaHypervisor *
choose(const char *its_type, const char *its_uri, GError **error)
{
  static char conn;

  type = its_type;
  uri = its_uri;
  return cagma_hypervisor_of((virConnectPtr)(void *)&conn, error);
}

static void
test_choice(void)
{
  g_autoptr(GError) unknown = NULL, remote = NULL, error = NULL;
  const CagmaHypervisor *qemu = choose("QEMU", "qemu:///system", NULL);
  const CagmaHypervisor *fake = choose("TEST", "test:///default", NULL);

  g_assert_true(qemu == cagma_hypervisor_qemu());
  g_assert_true(fake == cagma_hypervisor_qemu());
  g_assert_cmpint(virInitialize(), ==, 0);
  g_assert_null(choose(NULL, NULL, &unknown));
  g_assert_nonnull(unknown);
  g_assert_null(choose("Xen", "xen+ssh://root@elsewhere/system", &remote));
  kit_assert_has(remote->message, "elsewhere");
  if (access("/proc/xen/privcmd", F_OK) == 0 || access("/dev/xen/privcmd", F_OK) == 0) {
    g_test_skip("this is a Xen host");
    return;
  }
  g_assert_null(choose("Xen", "xen:///system", &error));
  kit_assert_has(error->message, "libxenlight can't be used");
}

static void
test_autoballoon(void)
{
  const char *fixed = "placeholder dom0_mem=512M,max:512M com1=115200", *free = "com1=115200 xdom0_mem=1";

  g_assert_false(cagma_xen_autoballoons(NULL, fixed));
  g_assert_false(cagma_xen_autoballoons("# autoballoon = 1\n", fixed));
  g_assert_false(cagma_xen_autoballoons("", "dom0_mem=1G"));
  g_assert_true(cagma_xen_autoballoons(NULL, free));
  g_assert_true(cagma_xen_autoballoons("#autoballoon = 0\n", free));
  g_assert_false(cagma_xen_autoballoons("x = 1\n autoballoon=0\n", free));
  g_assert_true(cagma_xen_autoballoons("autoballoon\t= 1 # always\n", fixed));
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/xen/choice", test_choice);
  g_test_add_func("/xen/autoballoon", test_autoballoon);
  return g_test_run();
}
