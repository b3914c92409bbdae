/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The one error domain of xml/. Messages are made for operators: they name the
 * element, the attribute, the offending value and what is allowed. They end in
 * logs, terminals and the status document, and so are always valid UTF-8, of
 * bounded length and without control characters. */

#define CAGMA_XML_ERROR (cagma_xml_error_quark())
GQuark cagma_xml_error_quark(void);

typedef enum {
  CAGMA_XML_ERROR_SYNTAX,  /* not well-formed XML, or not UTF-8 */
  CAGMA_XML_ERROR_REFUSED, /* too large, too deep, or with a DOCTYPE: hostile or not ours */
  CAGMA_XML_ERROR_CONTENT, /* well-formed, but says something that isn't allowed */
} CagmaXmlError;

/* The text as a message may show it: at most max_chars characters, then "…", with
 * control characters and invalid UTF-8 replaced by U+FFFD. Free with g_free(). */
char *cagma_printable(const char *text, gsize max_chars);

/* How much of a value an error message quotes: enough to find it. */
#define CAGMA_QUOTE_CHARS 64

/* Sets CAGMA_XML_ERROR_CONTENT and returns FALSE. Each %s must be a name of our
 * own or have gone through cagma_printable(). */
gboolean cagma_content_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
