/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libvirt/libvirt.h>
#include <libxl.h>
#include <stdlib.h>

#include "plugin/xen.h"
#include "tests/plugin/kit.h"

/* Which hypervisor a connection leads to: libvirt's two calls that tell are the test's
 * own, and so are libxenlight's. And what can be known of Xen without one. */

#define UUID "11111111-2222-3333-4444-555555555555"

static const char *type, *uri;
static gboolean is_dom0, is_told, is_there;

int
libxl_ctx_alloc(libxl_ctx **ctx, int version, unsigned flags, xentoollog_logger *logger)
{
  static char context;

  (void)version;
  (void)flags;
  (void)logger;
  *ctx = (libxl_ctx *)(void *)&context;
  return is_dom0 ? 0 : ERROR_FAIL;
}

const libxl_version_info *
libxl_get_version_info(libxl_ctx *ctx)
{
  (void)ctx;
  return NULL;
}

int
libxl_domain_info(libxl_ctx *ctx, libxl_dominfo *info, uint32_t domid)
{
  (void)ctx;
  (void)info;
  (void)domid;
  return ERROR_FAIL;
}

/* dom0, and the domain. */
libxl_dominfo *
libxl_list_domain(libxl_ctx *ctx, int *n)
{
  libxl_dominfo *list;

  (void)ctx;
  if (!is_told)
    return NULL;
  *n = is_there ? 2 : 1;
  list = calloc((size_t)*n, sizeof *list);
  for (int i = 0; i < *n; i++)
    libxl_dominfo_init(&list[i]);
  if (is_there) {
    list[1].domid = 7;
    list[1].current_memkb = 400;
    list[1].max_memkb = 1024 + 500;
    g_assert_cmpint(libxl_uuid_from_string(&list[1].uuid, UUID), ==, 0);
  }
  return list;
}

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
  g_assert_null(choose("Xen", "xen:///system", &error));
  kit_assert_has(error->message, "libxenlight can't be used");
}

static CagmaRequest *
sample(CagmaHypervisor *xen)
{
  CagmaRequest *request = cagma_request_new(CAGMA_REQUEST_SAMPLE, UUID);

  xen->sample(xen, NULL, request);
  return request;
}

/* A call that fails doesn't say that a domain is gone: it would be counted no more. */
static void
test_not_told(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaRequest) found = NULL, in_vain = NULL, gone = NULL;
  CagmaHypervisor *xen;

  is_dom0 = is_told = is_there = TRUE;
  xen = cagma_xen_get(&error);
  g_assert_no_error(error);
  found = sample(xen);
  g_assert_cmpint(found->outcome, ==, CAGMA_OUTCOME_DONE);
  g_assert_cmpuint(found->sample.actual_kib, ==, 400);
  g_assert_cmpuint(found->sample.cap_kib, ==, 500);
  g_assert_true(xen->runs(xen, UUID));

  is_told = FALSE;
  in_vain = sample(xen);
  g_assert_cmpint(in_vain->outcome, ==, CAGMA_OUTCOME_FAILED);
  kit_assert_has(in_vain->error->message, "which domains run");
  g_assert_true(xen->runs(xen, UUID));

  is_told = TRUE;
  is_there = FALSE;
  gone = sample(xen);
  g_assert_cmpint(gone->outcome, ==, CAGMA_OUTCOME_GONE);
  g_assert_no_error(gone->error);
  g_assert_false(xen->runs(xen, UUID));
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
  g_test_add_func("/xen/not-told", test_not_told);
  g_test_add_func("/xen/autoballoon", test_autoballoon);
  return g_test_run();
}
