/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fuzz/fuzz.h"
#include "xml/status.h"

/* A document that is accepted says the same again once formatted and parsed; and any
 * bytes at all may be a reason or a host. */
static void
check_round_trip(const uint8_t *data, size_t size)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaStatus) status = cagma_status_parse((const char *)data, (gssize)size, &error);
  g_autofree char *xml = NULL;
  g_autofree char *xml_again = NULL;

  if (status == NULL) {
    fuzz_check_error(error);
    return;
  }
  xml = cagma_status_format(status);
  g_autoptr(CagmaStatus) again = cagma_status_parse(xml, -1, &error);
  g_assert_no_error(error);
  g_assert_cmpint(again->state, ==, status->state);
  g_assert_cmpstr(again->reason, ==, status->reason);
  g_assert_cmpstr(again->source, ==, status->source);
  g_assert_cmpint(again->change_kib, ==, status->change_kib);
  g_assert_cmpstr(again->changed, ==, status->changed);
  g_assert_cmpstr(again->written, ==, status->written);
  xml_again = cagma_status_format(again);
  g_assert_cmpstr(xml_again, ==, xml);
}

static void
check_text(const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup((const char *)data, size);
  const CagmaStatus status = { .reason = text, .host = text, .written = (char *)"2026-11-21T12:55:56Z" };
  g_autofree char *xml = cagma_status_format(&status);
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaStatus) again = cagma_status_parse(xml, -1, &error);

  g_assert_no_error(error);
  g_assert_cmpstr(again->host, ==, again->reason);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  check_round_trip(data, size);
  check_text(data, size);
  return 0;
}
