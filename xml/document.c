/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/document.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <string.h>

#include "xml/size.h"

#define SYNTAX_MESSAGE_CHARS 256

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)

/* What the parser's callbacks leave behind. */
typedef struct {
  gboolean doctype;
  int line;
  char *message; /* of the first error; later ones mostly follow from it */
} Complaint;

/* libxml2 2.12 made the problem const. */
#if LIBXML_VERSION >= 21200
typedef const xmlError *Problem;
#else
typedef xmlError *Problem;
#endif

static void
on_libxml_error(void *data, Problem problem)
{
  const xmlParserCtxt *context = data;
  Complaint *complaint = context->_private;

  if (problem->level < XML_ERR_ERROR || complaint->message != NULL)
    return;
  complaint->line = problem->line;
  complaint->message = g_strchomp(g_strdup(problem->message ? problem->message : "unknown error"));
}

/* Called at <!DOCTYPE, before anything inside it is read. */
static void
on_doctype(void *data, const xmlChar *name G_GNUC_UNUSED, const xmlChar *external_id G_GNUC_UNUSED,
           const xmlChar *system_id G_GNUC_UNUSED)
{
  xmlParserCtxt *context = data;
  Complaint *complaint = context->_private;

  complaint->doctype = TRUE;
  xmlStopParser(context);
}

static xmlParserCtxt *
new_context(Complaint *complaint)
{
  static gsize initialized = 0;
  xmlParserCtxt *context;

  /* libxml2 looks at its own flag without a lock. */
  if (g_once_init_enter(&initialized)) {
    xmlInitParser();
    g_once_init_leave(&initialized, 1);
  }
  context = xmlNewParserCtxt();
  if (context == NULL)
    g_error("out of memory"); /* as GLib itself does */
  context->_private = complaint;
  context->sax->serror = on_libxml_error;
  context->sax->internalSubset = on_doctype;
  return context;
}

static gboolean
check_bytes(const char *xml, gsize len, gsize max_bytes, GError **error)
{
  const char *end;

  if (len > max_bytes) {
    g_set_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_REFUSED,
                "a document of %" G_GSIZE_FORMAT " bytes is too large (at most %" G_GSIZE_FORMAT ")", len,
                max_bytes);
    return FALSE;
  }
  /* Finds NUL bytes too, at which libxml2 would take the document to end. */
  if (!g_utf8_validate_len(xml, len, &end)) {
    g_set_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_SYNTAX, "byte %" G_GSIZE_FORMAT " is not valid UTF-8",
                (gsize)(end - xml));
    return FALSE;
  }
  return TRUE;
}

/* Without recursion: the depth is what is in question. */
static gboolean
check_depth(const xmlNode *root, GError **error)
{
  const xmlNode *node = root;
  guint depth = 1;

  while (node != NULL) {
    if (node->type == XML_ELEMENT_NODE && depth > CAGMA_XML_MAX_DEPTH) {
      g_set_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_REFUSED,
                  "line %ld: elements are nested too deeply (at most %d)", xmlGetLineNo(node),
                  CAGMA_XML_MAX_DEPTH);
      return FALSE;
    }
    if (node->type == XML_ELEMENT_NODE && node->children != NULL) {
      node = node->children;
      depth++;
      continue;
    }
    while (node != root && node->next == NULL) {
      node = node->parent;
      depth--;
    }
    node = node == root ? NULL : node->next;
  }
  return TRUE;
}

static gboolean
check_complaint(const Complaint *complaint, const xmlDoc *doc, GError **error)
{
  g_autofree char *shown = NULL;

  if (complaint->doctype) {
    g_set_error_literal(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_REFUSED, "a DOCTYPE is not allowed");
    return FALSE;
  }
  if (complaint->message == NULL && doc != NULL && xmlDocGetRootElement(doc) != NULL)
    return TRUE;
  shown = cagma_printable(complaint->message ? complaint->message : "not well-formed", SYNTAX_MESSAGE_CHARS);
  g_set_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_SYNTAX, "XML error in line %d: %s", complaint->line,
              shown);
  return FALSE;
}

xmlDoc *
cagma_document_parse(const char *xml, gssize len, gsize max_bytes, GError **error)
{
  const gsize bytes = len < 0 ? strlen(xml) : (gsize)len;
  Complaint complaint = { .doctype = FALSE, .line = 1, .message = NULL };
  g_autoptr(xmlParserCtxt) context = NULL;
  g_autoptr(xmlDoc) doc = NULL;
  gboolean accepted;

  if (!check_bytes(xml, bytes, max_bytes, error))
    return NULL;

  context = new_context(&complaint);
  /* The encoding is forced: a declaration of another one has no say. NOCDATA makes
   * CDATA plain text. No NOENT, DTDLOAD, XINCLUDE or HUGE, here or ever. */
  doc = xmlCtxtReadMemory(context, xml, (int)bytes, NULL, "UTF-8", XML_PARSE_NONET | XML_PARSE_NOCDATA);
  accepted = check_complaint(&complaint, doc, error);
  g_free(complaint.message);
  if (!accepted || !check_depth(xmlDocGetRootElement(doc), error))
    return NULL;
  return g_steal_pointer(&doc);
}

static const char *
namespace_of(const xmlNode *node)
{
  return node->ns != NULL && node->ns->href != NULL && *node->ns->href != '\0' ? (const char *)node->ns->href
                                                                               : NULL;
}

static char *
name_of(const xmlNode *node)
{
  return cagma_printable((const char *)node->name, CAGMA_QUOTE_CHARS);
}

gboolean
cagma_document_check_root(const xmlNode *root, const char *name, const char *uri, GError **error)
{
  const char *namespace = namespace_of(root);
  g_autofree char *shown = name_of(root);
  g_autofree char *shown_namespace = NULL;

  if (strcmp((const char *)root->name, name) != 0)
    return cagma_content_error(error, "unknown element '%s' (expected '%s')", shown, name);
  if (namespace == NULL || g_strcmp0(namespace, uri) == 0)
    return TRUE;
  shown_namespace = cagma_printable(namespace, CAGMA_QUOTE_CHARS);
  return cagma_content_error(error, "element '%s' is in namespace '%s' (allowed: none%s%s)", name,
                             shown_namespace, uri ? ", or " : "", uri ? uri : "");
}

static gboolean
no_attribute_allowed(const xmlNode *element, const char *attribute, const char *const *allowed,
                     GError **error)
{
  g_autofree char *shown = name_of(element);
  g_autofree char *shown_attribute = cagma_printable(attribute, CAGMA_QUOTE_CHARS);
  g_autofree char *list = g_strjoinv(", ", (char **)allowed);

  return cagma_content_error(error, "unknown attribute '%s' of element '%s' (allowed: %s)", shown_attribute,
                             shown, *list ? list : "none");
}

gboolean
cagma_element_check_attributes(const xmlNode *element, const char *const *allowed, GError **error)
{
  for (const xmlAttr *attribute = element->properties; attribute != NULL; attribute = attribute->next) {
    if (attribute->ns != NULL || !g_strv_contains(allowed, (const char *)attribute->name))
      return no_attribute_allowed(element, (const char *)attribute->name, allowed, error);
  }
  return TRUE;
}

static gboolean
is_blank(const xmlChar *text)
{
  return text == NULL || text[strspn((const char *)text, " \t\r\n")] == '\0';
}

/* TRUE for what stands between elements without meaning anything. */
static gboolean
is_ignorable(const xmlNode *node)
{
  return node->type == XML_COMMENT_NODE || node->type == XML_PI_NODE ||
         (node->type == XML_TEXT_NODE && is_blank(node->content));
}

static gboolean
no_text_allowed(const xmlNode *parent, const xmlNode *text, GError **error)
{
  g_autofree char *shown = name_of(parent);
  g_autofree char *content = g_strstrip(g_strdup(text->content ? (const char *)text->content : ""));
  g_autofree char *shown_content = cagma_printable(content, CAGMA_QUOTE_CHARS);

  return cagma_content_error(error, "element '%s' has text '%s' where none is allowed", shown, shown_content);
}

static gboolean
no_element_allowed(const xmlNode *parent, const xmlNode *child, const char *const *allowed, GError **error)
{
  g_autofree char *shown = name_of(parent);
  g_autofree char *shown_child = name_of(child);
  g_autofree char *list = g_strjoinv(", ", (char **)allowed);

  return cagma_content_error(error, "unknown element '%s' in '%s' (allowed: %s)", shown_child, shown,
                             *list ? list : "none");
}

static gboolean
place_child(const xmlNode *parent, const xmlNode *child, const char *const *allowed, const xmlNode **found,
            GError **error)
{
  for (size_t i = 0; allowed[i] != NULL; i++) {
    if (strcmp(allowed[i], (const char *)child->name) != 0)
      continue;
    if (g_strcmp0(namespace_of(child), namespace_of(parent)) != 0)
      return cagma_content_error(error, "element '%s' is in another namespace than '%s' around it",
                                 allowed[i], (const char *)parent->name);
    if (found[i] != NULL)
      return cagma_content_error(error, "element '%s' is given twice (line %ld)", allowed[i],
                                 xmlGetLineNo(child));
    found[i] = child;
    return TRUE;
  }
  return no_element_allowed(parent, child, allowed, error);
}

gboolean
cagma_element_find_children(const xmlNode *parent, const char *const *allowed, const xmlNode **found,
                            GError **error)
{
  for (size_t i = 0; allowed[i] != NULL; i++)
    found[i] = NULL;
  for (const xmlNode *child = parent->children; child != NULL; child = child->next) {
    if (is_ignorable(child))
      continue;
    if (child->type != XML_ELEMENT_NODE)
      return no_text_allowed(parent, child, error);
    if (!place_child(parent, child, allowed, found, error))
      return FALSE;
  }
  return TRUE;
}

char *
cagma_join_blanks(const char *text)
{
  GString *result = g_string_new(NULL);

  for (const char *p = text; *p != '\0'; p++) {
    if (strchr(" \t\r\n", *p) == NULL)
      g_string_append_c(result, *p);
    else if (result->len > 0 && result->str[result->len - 1] != ' ')
      g_string_append_c(result, ' ');
  }
  if (result->len > 0 && result->str[result->len - 1] == ' ')
    g_string_truncate(result, result->len - 1);
  return g_string_free(result, FALSE);
}

char *
cagma_element_text(const xmlNode *element, GError **error)
{
  static const char *const none[] = { NULL };
  g_autoptr(GString) text = g_string_new(NULL);

  for (const xmlNode *child = element->children; child != NULL; child = child->next) {
    if (child->type == XML_TEXT_NODE && child->content != NULL)
      g_string_append(text, (const char *)child->content);
    else if (child->type == XML_ELEMENT_NODE) {
      no_element_allowed(element, child, none, error);
      return NULL;
    }
  }
  return cagma_join_blanks(text->str);
}

gboolean
cagma_element_check_empty(const xmlNode *element, GError **error)
{
  static const char *const none[] = { NULL };
  const xmlNode *found[1];

  return cagma_element_find_children(element, none, found, error);
}

char *
cagma_element_attribute(const xmlNode *element, const char *name)
{
  xmlChar *value = xmlGetNoNsProp(element, (const xmlChar *)name);
  char *copy = g_strdup((const char *)value);

  xmlFree(value);
  return copy;
}

gboolean
cagma_element_is(const xmlNode *node, const char *name)
{
  return node->type == XML_ELEMENT_NODE && namespace_of(node) == NULL &&
         strcmp((const char *)node->name, name) == 0;
}

const xmlNode *
cagma_element_child(const xmlNode *parent, const char *name)
{
  const xmlNode *child = parent->children;

  while (child != NULL && !cagma_element_is(child, name))
    child = child->next;
  return child;
}

gboolean
cagma_element_has_attribute(const xmlNode *element, const char *name, const char *value)
{
  g_autofree char *actual = cagma_element_attribute(element, name);

  return g_strcmp0(actual, value) == 0;
}

gboolean
cagma_element_size(const xmlNode *element, uint64_t *kib, GError **error)
{
  g_autofree char *text = cagma_element_text(element, error);
  g_autofree char *unit = cagma_element_attribute(element, "unit");

  if (text == NULL)
    return FALSE;
  if (cagma_size_parse(text, unit, kib, error))
    return TRUE;
  g_prefix_error(error, "element '%s': ", (const char *)element->name);
  return FALSE;
}

char *
cagma_allowed_names(const char *(*name_at)(unsigned int))
{
  GString *list = g_string_new(NULL);

  for (unsigned int i = 0; name_at(i) != NULL; i++)
    g_string_append_printf(list, "%s%s", i ? ", " : "", name_at(i));
  return g_string_free(list, FALSE);
}
