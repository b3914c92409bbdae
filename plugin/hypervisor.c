/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/hypervisor.h"

#include <gio/gio.h>

#include "plugin/libvirt-glue.h"
#include "plugin/xen.h"

#define XEN_TYPE "Xen"

static CagmaHypervisor *
get_xen(virConnectPtr conn, GError **error)
{
  g_autofree char *text = virConnectGetURI(conn);
  g_autoptr(GUri) uri = text ? g_uri_parse(text, G_URI_FLAGS_NONE, NULL) : NULL;
  const char *host = uri ? g_uri_get_host(uri) : NULL;

  /* Its figures, and what its guests say, are only to be had in its dom0. */
  if (host && *host) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                "%s: a Xen host is served only by a cagmad of its own", text);
    return NULL;
  }
#ifdef CAGMA_HAVE_XEN
  return cagma_xen_get(error);
#else
  g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                      "this cagmad was built without libxenlight, and can't serve Xen");
  return NULL;
#endif
}

CagmaHypervisor *
cagma_hypervisor_of(virConnectPtr conn, GError **error)
{
  const char *type = virConnectGetType(conn);

  if (!type) {
    cagma_libvirt_error(error, "virConnectGetType");
    return NULL;
  }
  return g_str_equal(type, XEN_TYPE) ? get_xen(conn, error) : cagma_hypervisor_qemu();
}
