/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "policy/config.h"
#include "xml/error.h"

/* The configuration document (cagma-metadata(7), memory.rng):
 *
 *   <cagma:memory xmlns:cagma='urn:cagma:memory:1' mode='enforce' estimator='critical'>
 *     <cagma:guarantee unit='MiB'>512</cagma:guarantee>
 *     <cagma:limit unit='MiB'>4096</cagma:limit>
 *     <cagma:shares>1000</cagma:shares>
 *     <cagma:critical rate='1.1' source='deficit'/>
 *     <cagma:headroom unit='percent'>10</cagma:headroom>
 *     <cagma:emergency enabled='yes'/>
 *   </cagma:memory>
 *
 * or the same without any namespace, which is what virsh takes and gives back.
 * Everything may be left out, and stand in any order; nothing else may be there. */

#define CAGMA_MEMORY_URI "urn:cagma:memory:1"

/* *config becomes the defaults (NULL: those of cagma_config_init), overridden by
 * what the document gives; `given` says what that was, and nothing else. It isn't
 * fitted to a domain yet: see cagma_config_fit(). len -1: xml ends with a NUL.
 *
 * On failure *config is unchanged, and the error says which element, attribute and
 * value is wrong and what is allowed: CAGMA_XML_ERROR for what the document says,
 * CAGMA_CONFIG_ERROR where two of its values contradict each other. Thread-safe. */
gboolean cagma_memory_parse(const char *xml, gssize len, const CagmaConfig *defaults, CagmaConfig *config,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same for an element of a document already parsed by libxml2. */
struct _xmlNode;
gboolean cagma_memory_parse_node(const struct _xmlNode *element, const CagmaConfig *defaults,
                                 CagmaConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The document without namespace, for virDomainSetMetadata and people. Holds only
 * the given fields, so that parsing it over the same defaults gives config again.
 * Without blanks between elements: libvirt then indents it wherever it shows it.
 * Free with g_free(). */
char *cagma_memory_format(const CagmaConfig *config);
