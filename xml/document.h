/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

#include "xml/error.h"

/* Internal to xml/: reading XML that nobody vouches for, and saying precisely what
 * is wrong with it. Whoever may write a domain's metadata writes what we parse. */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/* A memory or status document is some hundred bytes; a domain XML of the largest
 * hosts some hundred KiB. More than this is refused unread. */
#define CAGMA_DOCUMENT_MAX_BYTES ((gsize)64 * 1024)
#define CAGMA_DOMAIN_MAX_BYTES ((gsize)4 * 1024 * 1024)

/* Elements inside each other; libvirt's own stay below 10, and metadata of others
 * is rarely deeper. libxml2 has a cap too, but which one depends on its version. */
#define CAGMA_XML_MAX_DEPTH 64

/* Parses len bytes (-1: up to the NUL). The text must be UTF-8; nothing is fetched,
 * included or expanded, and a DOCTYPE is refused where it begins, so that no entity
 * is ever declared. libxml2's complaints come back in error, never on stderr.
 * Thread-safe. Free with xmlFreeDoc(). */
xmlDoc *cagma_document_parse(const char *xml, gssize len, gsize max_bytes,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The root's name and namespace: name, and either none or (where not NULL) uri. */
gboolean cagma_document_check_root(const xmlNode *root, const char *name, const char *uri,
                                   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* FALSE where the element has another attribute than those in allowed
 * (NULL-terminated), or one in a namespace. */
gboolean cagma_element_check_attributes(const xmlNode *element, const char *const *allowed,
                                        GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What strict documents hold: elements named in allowed, each at most once and in
 * the namespace of the parent, without text between them. Fills found[i] with the
 * element called allowed[i], or NULL. */
gboolean cagma_element_find_children(const xmlNode *parent, const char *const *allowed, const xmlNode **found,
                                     GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The text with blanks at both ends removed and inner ones joined to one space, as
 * xsd:token has it. Free with g_free(). */
char *cagma_join_blanks(const char *text);

/* The element's text, its blanks joined. NULL with an error where it has elements
 * inside. Free with g_free(). */
char *cagma_element_text(const xmlNode *element, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* FALSE where there is any text or element inside. */
gboolean cagma_element_check_empty(const xmlNode *element, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The value of an attribute without namespace, or NULL. Free with g_free(). */
char *cagma_element_attribute(const xmlNode *element, const char *name);

/* TRUE where the attribute is there and has this value. */
gboolean cagma_element_has_attribute(const xmlNode *element, const char *name, const char *value);

/* TRUE for an element of this name without namespace. */
gboolean cagma_element_is(const xmlNode *node, const char *name);

/* The first element of this name without namespace inside parent, or NULL. */
const xmlNode *cagma_element_child(const xmlNode *parent, const char *name);

/* The element as a size: its text in its unit attribute. Other attributes are for
 * the caller to judge. */
gboolean cagma_element_size(const xmlNode *element, uint64_t *kib, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "off, observe, enforce": the names that name_at gives from 0 up to its first NULL. */
char *cagma_allowed_names(const char *(*name_at)(unsigned int));
