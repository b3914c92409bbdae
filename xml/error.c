/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/error.h"

#define REPLACEMENT 0xFFFD

GQuark
cagma_xml_error_quark(void)
{
  return g_quark_from_static_string("cagma-xml-error");
}

/* What neither XML nor a terminal should get: C0, DEL, C1 and the noncharacters. */
static gboolean
is_printable(gunichar c)
{
  return c >= 0x20 && !(c >= 0x7F && c < 0xA0) && (c & 0xFFFE) != 0xFFFE;
}

char *
cagma_printable(const char *text, gsize max_chars)
{
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  GString *result = g_string_new(NULL);
  gsize chars = 0;

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
    const gunichar c = g_utf8_get_char(p);
    if (chars++ == max_chars) {
      g_string_append(result, "…");
      break;
    }
    g_string_append_unichar(result, is_printable(c) ? c : REPLACEMENT);
  }
  return g_string_free(result, FALSE);
}

gboolean
cagma_content_error(GError **error, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start(args, format);
  message = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_CONTENT, message);
  return FALSE;
}
