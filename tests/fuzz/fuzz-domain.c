/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/units.h"
#include "tests/fuzz/fuzz.h"
#include "xml/domain.h"

/* A domain that is accepted has a name, memory, and a configuration that fits it,
 * whatever its metadata says; and reads the same a second time. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaDomainXml) domain = cagma_domain_xml_parse((const char *)data, (gssize)size, NULL, &error);
  g_autoptr(CagmaDomainXml) again = NULL;

  if (domain == NULL) {
    fuzz_check_error(error);
    return 0;
  }
  g_assert_no_error(error);
  g_assert_true(*domain->name != '\0');
  g_assert_cmpint(domain->id, >=, -1);
  g_assert_cmpuint(domain->memory_kib, >, 0);
  g_assert_cmpuint(domain->memory_kib, <=, CAGMA_MAX_KIB);
  g_assert_cmpuint(domain->current_kib, >, 0);
  g_assert_cmpuint(domain->current_kib, <=, domain->memory_kib);
  g_assert_cmpuint(domain->config.limit_kib, >, 0);
  g_assert_cmpuint(domain->config.limit_kib, <=, domain->memory_kib);
  g_assert_cmpuint(domain->config.guarantee_kib, <=, domain->config.limit_kib);
  if (domain->config_error != NULL) {
    fuzz_check_error(domain->config_error);
    g_assert_true(domain->has_config);
    g_assert_cmphex(domain->config.given, ==, 0);
  }

  again = cagma_domain_xml_parse((const char *)data, (gssize)size, NULL, NULL);
  g_assert_cmpstr(again->name, ==, domain->name);
  g_assert_cmpstr(again->pinned, ==, domain->pinned);
  g_assert_cmpuint(again->config.limit_kib, ==, domain->config.limit_kib);
  return 0;
}
