/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/memory.h"

#include <string.h>

#include "xml/decimal.h"
#include "xml/document.h"
#include "xml/size.h"

#define SHARES_MAX_TEXT G_STRINGIFY(CAGMA_SHARES_MAX)

enum { GUARANTEE, LIMIT, SHARES, CRITICAL, HEADROOM, EMERGENCY, N_CHILDREN };

static const char *const child_names[] = { "guarantee", "limit",     "shares", "critical",
                                           "headroom",  "emergency", NULL };

static const char *const no_attributes[] = { NULL };
static const char *const size_attributes[] = { "unit", NULL };

static gboolean
bad_name(const xmlNode *element, const char *attribute, const char *value,
         const char *(*name_at)(unsigned int), GError **error)
{
  g_autofree char *shown = cagma_printable(value, CAGMA_QUOTE_CHARS);
  g_autofree char *allowed = cagma_allowed_names(name_at);

  return cagma_content_error(error, "attribute '%s' of element '%s' is '%s' (allowed: %s)", attribute,
                             (const char *)element->name, shown, allowed);
}

static gboolean
read_root(const xmlNode *root, CagmaConfig *config, GError **error)
{
  static const char *const attributes[] = { "mode", "estimator", NULL };
  g_autofree char *mode = cagma_element_attribute(root, "mode");
  g_autofree char *estimator = cagma_element_attribute(root, "estimator");

  if (!cagma_element_check_attributes(root, attributes, error))
    return FALSE;
  if (mode != NULL) {
    if (!cagma_mode_from_string(mode, &config->mode))
      return bad_name(root, "mode", mode, cagma_mode_to_string, error);
    config->given |= CAGMA_GIVEN_MODE;
  }
  if (estimator != NULL) {
    if (!cagma_estimator_from_string(estimator, &config->estimator))
      return bad_name(root, "estimator", estimator, cagma_estimator_to_string, error);
    config->given |= CAGMA_GIVEN_ESTIMATOR;
  }
  return TRUE;
}

static gboolean
read_guarantee(const xmlNode *element, CagmaConfig *config, GError **error)
{
  config->given |= CAGMA_GIVEN_GUARANTEE;
  return cagma_element_check_attributes(element, size_attributes, error) &&
         cagma_element_size(element, &config->guarantee_kib, error);
}

static gboolean
read_limit(const xmlNode *element, CagmaConfig *config, GError **error)
{
  if (!cagma_element_check_attributes(element, size_attributes, error) ||
      !cagma_element_size(element, &config->limit_kib, error))
    return FALSE;
  if (config->limit_kib == 0)
    return cagma_content_error(error, "element 'limit' is 0 (leave it out for the domain's <memory>)");
  config->given |= CAGMA_GIVEN_LIMIT;
  return TRUE;
}

static gboolean
read_shares(const xmlNode *element, CagmaConfig *config, GError **error)
{
  g_autofree char *text = NULL;
  g_autofree char *shown = NULL;

  if (!cagma_element_check_attributes(element, no_attributes, error))
    return FALSE;
  text = cagma_element_text(element, error);
  if (text == NULL)
    return FALSE;
  if (cagma_decimal_parse(text, 0, CAGMA_SHARES_MAX, &config->shares)) {
    config->given |= CAGMA_GIVEN_SHARES;
    return TRUE;
  }
  shown = cagma_printable(text, CAGMA_QUOTE_CHARS);
  return cagma_content_error(
      error, "element 'shares' is '%s' (allowed: a whole number from 0 to " SHARES_MAX_TEXT ")", shown);
}

static gboolean
read_rate(const char *rate, CagmaConfig *config, GError **error)
{
  g_autofree char *shown = NULL;
  g_autofree char *min = NULL;
  g_autofree char *max = NULL;

  if (cagma_decimal_parse(rate, 3, CAGMA_RATE_MAX_PERMILLE, &config->rate_permille) &&
      config->rate_permille >= CAGMA_RATE_MIN_PERMILLE) {
    config->given |= CAGMA_GIVEN_RATE;
    return TRUE;
  }
  shown = cagma_printable(rate, CAGMA_QUOTE_CHARS);
  min = cagma_decimal_format(CAGMA_RATE_MIN_PERMILLE, 3);
  max = cagma_decimal_format(CAGMA_RATE_MAX_PERMILLE, 3);
  return cagma_content_error(
      error, "attribute 'rate' of element 'critical' is '%s' (allowed: %s to %s, with at most 3 decimals)",
      shown, min, max);
}

static gboolean
read_critical(const xmlNode *element, CagmaConfig *config, GError **error)
{
  static const char *const attributes[] = { "rate", "source", NULL };
  g_autofree char *rate = cagma_element_attribute(element, "rate");
  g_autofree char *source = cagma_element_attribute(element, "source");

  if (!cagma_element_check_attributes(element, attributes, error) ||
      !cagma_element_check_empty(element, error))
    return FALSE;
  if (rate != NULL && !read_rate(rate, config, error))
    return FALSE;
  if (source != NULL) {
    if (!cagma_source_from_string(source, &config->source))
      return bad_name(element, "source", source, cagma_source_to_string, error);
    config->given |= CAGMA_GIVEN_SOURCE;
  }
  return TRUE;
}

static gboolean
read_headroom_percent(const xmlNode *element, CagmaConfig *config, GError **error)
{
  g_autofree char *text = cagma_element_text(element, error);
  g_autofree char *shown = NULL;

  if (text == NULL)
    return FALSE;
  config->headroom_kib = 0;
  if (cagma_decimal_parse(text, 1, CAGMA_HEADROOM_MAX_PERMILLE, &config->headroom_permille))
    return TRUE;
  shown = cagma_printable(text, CAGMA_QUOTE_CHARS);
  return cagma_content_error(
      error, "element 'headroom' is '%s' percent (allowed: 0 to 100, with at most 1 decimal)", shown);
}

static gboolean
read_headroom(const xmlNode *element, CagmaConfig *config, GError **error)
{
  config->given |= CAGMA_GIVEN_HEADROOM;
  if (!cagma_element_check_attributes(element, size_attributes, error))
    return FALSE;
  if (cagma_element_has_attribute(element, "unit", "percent"))
    return read_headroom_percent(element, config, error);
  config->headroom_permille = 0;
  if (cagma_element_size(element, &config->headroom_kib, error))
    return TRUE;
  g_prefix_error(error, "headroom takes a size or unit='percent': ");
  return FALSE;
}

static gboolean
read_emergency(const xmlNode *element, CagmaConfig *config, GError **error)
{
  static const char *const attributes[] = { "enabled", NULL };
  g_autofree char *enabled = cagma_element_attribute(element, "enabled");
  g_autofree char *shown = NULL;

  if (!cagma_element_check_attributes(element, attributes, error) ||
      !cagma_element_check_empty(element, error))
    return FALSE;
  if (enabled == NULL)
    return cagma_content_error(error, "element 'emergency' lacks the attribute 'enabled' (allowed: yes, no)");

  config->given |= CAGMA_GIVEN_EMERGENCY;
  config->emergency = strcmp(enabled, "yes") == 0;
  if (config->emergency || strcmp(enabled, "no") == 0)
    return TRUE;
  shown = cagma_printable(enabled, CAGMA_QUOTE_CHARS);
  return cagma_content_error(error, "attribute 'enabled' of element 'emergency' is '%s' (allowed: yes, no)",
                             shown);
}

static gboolean
read_children(const xmlNode *root, CagmaConfig *config, GError **error)
{
  typedef gboolean (*Reader)(const xmlNode *, CagmaConfig *, GError **);
  static const Reader readers[N_CHILDREN] = {
    [GUARANTEE] = read_guarantee, [LIMIT] = read_limit,       [SHARES] = read_shares,
    [CRITICAL] = read_critical,   [HEADROOM] = read_headroom, [EMERGENCY] = read_emergency,
  };
  const xmlNode *children[N_CHILDREN];

  if (!cagma_element_find_children(root, child_names, children, error))
    return FALSE;
  for (int i = 0; i < N_CHILDREN; i++) {
    if (children[i] != NULL && !readers[i](children[i], config, error))
      return FALSE;
  }
  return TRUE;
}

/* Whether guarantee and limit fit each other; the domain's memory isn't known here. */
static gboolean
check_consistent(const CagmaConfig *config, GError **error)
{
  CagmaConfig fitted = *config;

  return cagma_config_fit(&fitted, G_MAXUINT64, error);
}

gboolean
cagma_memory_parse_node(const xmlNode *element, const CagmaConfig *defaults, CagmaConfig *config,
                        GError **error)
{
  CagmaConfig parsed;

  cagma_config_init(&parsed);
  if (defaults != NULL)
    parsed = *defaults;
  parsed.given = 0;

  if (!cagma_document_check_root(element, "memory", CAGMA_MEMORY_URI, error) ||
      !read_root(element, &parsed, error) || !read_children(element, &parsed, error) ||
      !check_consistent(&parsed, error))
    return FALSE;
  *config = parsed;
  return TRUE;
}

gboolean
cagma_memory_parse(const char *xml, gssize len, const CagmaConfig *defaults, CagmaConfig *config,
                   GError **error)
{
  g_autoptr(xmlDoc) doc = cagma_document_parse(xml, len, CAGMA_DOCUMENT_MAX_BYTES, error);

  return doc != NULL && cagma_memory_parse_node(xmlDocGetRootElement(doc), defaults, config, error);
}

/* In the largest unit that loses nothing, as a person would have written it. */
static void
append_size(GString *xml, const char *name, uint64_t kib)
{
  static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
  size_t i = 0;

  while (kib != 0 && kib % 1024 == 0 && i + 1 < G_N_ELEMENTS(units)) {
    kib /= 1024;
    i++;
  }
  g_string_append_printf(xml, "<%s unit='%s'>%" G_GUINT64_FORMAT "</%s>", name, units[i], kib, name);
}

static void
append_critical(GString *xml, const CagmaConfig *config)
{
  g_autofree char *rate = cagma_decimal_format(config->rate_permille, 3);

  if (!(config->given & (CAGMA_GIVEN_RATE | CAGMA_GIVEN_SOURCE)))
    return;
  g_string_append(xml, "<critical");
  if (config->given & CAGMA_GIVEN_RATE)
    g_string_append_printf(xml, " rate='%s'", rate);
  if (config->given & CAGMA_GIVEN_SOURCE)
    g_string_append_printf(xml, " source='%s'", cagma_source_to_string(config->source));
  g_string_append(xml, "/>");
}

static void
append_headroom(GString *xml, const CagmaConfig *config)
{
  g_autofree char *percent = cagma_decimal_format(config->headroom_permille, 1);

  if (config->headroom_permille == 0)
    append_size(xml, "headroom", config->headroom_kib);
  else
    g_string_append_printf(xml, "<headroom unit='percent'>%s</headroom>", percent);
}

char *
cagma_memory_format(const CagmaConfig *config)
{
  GString *xml = g_string_new("<memory");

  if (config->given & CAGMA_GIVEN_MODE)
    g_string_append_printf(xml, " mode='%s'", cagma_mode_to_string(config->mode));
  if (config->given & CAGMA_GIVEN_ESTIMATOR)
    g_string_append_printf(xml, " estimator='%s'", cagma_estimator_to_string(config->estimator));
  g_string_append(xml, ">");

  if (config->given & CAGMA_GIVEN_GUARANTEE)
    append_size(xml, "guarantee", config->guarantee_kib);
  if ((config->given & CAGMA_GIVEN_LIMIT) && config->limit_kib != 0)
    append_size(xml, "limit", config->limit_kib);
  if (config->given & CAGMA_GIVEN_SHARES)
    g_string_append_printf(xml, "<shares>%u</shares>", config->shares);
  append_critical(xml, config);
  if (config->given & CAGMA_GIVEN_HEADROOM)
    append_headroom(xml, config);
  if (config->given & CAGMA_GIVEN_EMERGENCY)
    g_string_append_printf(xml, "<emergency enabled='%s'/>", config->emergency ? "yes" : "no");

  g_string_append(xml, "</memory>");
  return g_string_free(xml, FALSE);
}
