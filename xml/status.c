/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/status.h"

#include <string.h>

#include "policy/units.h"
#include "xml/document.h"
#include "xml/size.h"

enum {
  REASON,
  SOURCE,
  TARGET,
  ACTUAL,
  GUARANTEE,
  LIMIT,
  AVAILABLE,
  CRITICAL,
  SWAP_USED,
  SWAP_IN,
  CHANGE,
  WRITTEN,
  N_CHILDREN
};

static const char *const child_names[N_CHILDREN + 1] = {
  [REASON] = "reason",       [SOURCE] = "source",   [TARGET] = "target",       [ACTUAL] = "actual",
  [GUARANTEE] = "guarantee", [LIMIT] = "limit",     [AVAILABLE] = "available", [CRITICAL] = "critical",
  [SWAP_USED] = "swap-used", [SWAP_IN] = "swap-in", [CHANGE] = "change",       [WRITTEN] = "written",
};

const char *
cagma_status_source_name(unsigned int index)
{
  static const char *const names[] = { "balloon-stats", "cagma-channel", "guest-agent",
                                       "host",          "xenstore",      "none" };

  return index < G_N_ELEMENTS(names) ? names[index] : NULL;
}

static const char *
state_name(unsigned int index)
{
  return cagma_state_to_string((CagmaState)index);
}

static gboolean
is_source(const char *text)
{
  for (unsigned int i = 0; cagma_status_source_name(i) != NULL; i++) {
    if (strcmp(cagma_status_source_name(i), text) == 0)
      return TRUE;
  }
  return FALSE;
}

/* "2026-11-21T12:55:46Z", optionally with 1 to 6 decimals of the second, which is
 * what g_date_time_format_iso8601() gives in UTC. */
static gboolean
is_time(const char *text)
{
  static const char form[] = "dddd-dd-ddTdd:dd:dd";
  const char *p = text;
  g_autoptr(GDateTime) time = NULL;

  for (const char *f = form; *f != '\0'; f++, p++) {
    if (*f == 'd' ? !g_ascii_isdigit(*p) : *p != *f)
      return FALSE;
  }
  if (*p == '.') {
    const size_t digits = strspn(p + 1, "0123456789");
    if (digits < 1 || digits > 6)
      return FALSE;
    p += 1 + digits;
  }
  if (strcmp(p, "Z") != 0)
    return FALSE;
  time = g_date_time_new_from_iso8601(text, NULL);
  return time != NULL;
}

/* Reading */

static gboolean
bad_value(const xmlNode *element, const char *attribute, const char *value, const char *allowed,
          GError **error)
{
  g_autofree char *shown = cagma_printable(value ? value : "", CAGMA_QUOTE_CHARS);
  const char *name = (const char *)element->name;

  if (attribute == NULL)
    return cagma_content_error(error, "element '%s' is '%s' (allowed: %s)", name, shown, allowed);
  if (value == NULL)
    return cagma_content_error(error, "element '%s' lacks the attribute '%s' (allowed: %s)", name, attribute,
                               allowed);
  return cagma_content_error(error, "attribute '%s' of element '%s' is '%s' (allowed: %s)", attribute, name,
                             shown, allowed);
}

/* Text without attributes but for one, if attribute isn't NULL. */
static char *
read_text(const xmlNode *element, const char *attribute, GError **error)
{
  const char *const attributes[] = { attribute, NULL };

  if (!cagma_element_check_attributes(element, attributes, error))
    return NULL;
  return cagma_element_text(element, error);
}

/* Empty text is none. Terminals will show what is kept, whoever wrote it. */
static gboolean
keep_text(const xmlNode *element, const char *attribute, const char *text, char **kept, GError **error)
{
  if (g_utf8_strlen(text, -1) > CAGMA_STATUS_TEXT_MAX)
    return bad_value(element, attribute, text, "at most " G_STRINGIFY(CAGMA_STATUS_TEXT_MAX) " characters",
                     error);
  if (*text != '\0')
    *kept = cagma_printable(text, CAGMA_STATUS_TEXT_MAX);
  return TRUE;
}

static gboolean
read_reason(const xmlNode *element, CagmaStatus *status, GError **error)
{
  g_autofree char *text = read_text(element, NULL, error);

  return text != NULL && keep_text(element, NULL, text, &status->reason, error);
}

static gboolean
read_source(const xmlNode *element, CagmaStatus *status, GError **error)
{
  g_autofree char *allowed = NULL;

  status->source = read_text(element, NULL, error);
  if (status->source == NULL)
    return FALSE;
  if (is_source(status->source))
    return TRUE;
  allowed = cagma_allowed_names(cagma_status_source_name);
  return bad_value(element, NULL, status->source, allowed, error);
}

static gboolean
check_fixed_unit(const xmlNode *element, const char *expected, GError **error)
{
  g_autofree char *unit = cagma_element_attribute(element, "unit");

  return g_strcmp0(unit, expected) == 0 || bad_value(element, "unit", unit, expected, error);
}

static gboolean
read_swap_in(const xmlNode *element, CagmaStatus *status, GError **error)
{
  g_autofree char *text = read_text(element, "unit", error);

  if (text == NULL || !check_fixed_unit(element, "KiB/s", error))
    return FALSE;
  if (cagma_size_parse(text, "KiB", &status->swap_in_kib_per_s, error))
    return TRUE;
  g_prefix_error(error, "element 'swap-in': ");
  return FALSE;
}

static gboolean
read_change(const xmlNode *element, CagmaStatus *status, GError **error)
{
  static const char *const attributes[] = { "unit", "at", NULL };
  g_autofree char *text = cagma_element_text(element, error);
  g_autofree char *at = cagma_element_attribute(element, "at");
  uint64_t kib;

  if (text == NULL || !cagma_element_check_attributes(element, attributes, error) ||
      !check_fixed_unit(element, "KiB", error))
    return FALSE;
  if (at != NULL && !is_time(at))
    return bad_value(element, "at", at, "a time in UTC like 2026-11-21T12:55:46Z", error);
  status->changed = g_steal_pointer(&at);

  const gboolean sign = *text == '+' || *text == '-';
  if (!cagma_size_parse(sign ? text + 1 : text, "KiB", &kib, error)) {
    g_prefix_error(error, "element 'change': ");
    return FALSE;
  }
  status->change_kib = *text == '-' ? -(int64_t)kib : (int64_t)kib;
  return TRUE;
}

static gboolean
read_written(const xmlNode *element, CagmaStatus *status, GError **error)
{
  g_autofree char *host = cagma_element_attribute(element, "host");
  g_autofree char *joined = cagma_join_blanks(host ? host : "");

  status->written = read_text(element, "host", error);
  if (status->written == NULL)
    return FALSE;
  if (!is_time(status->written))
    return bad_value(element, NULL, status->written, "a time in UTC like 2026-11-21T12:55:46Z", error);
  return keep_text(element, "host", joined, &status->host, error);
}

static gboolean
read_size(const xmlNode *element, uint64_t *kib, GError **error)
{
  static const char *const attributes[] = { "unit", NULL };

  return cagma_element_check_attributes(element, attributes, error) &&
         cagma_element_size(element, kib, error);
}

static gboolean
read_sizes(const xmlNode *const *children, CagmaStatus *status, GError **error)
{
  uint64_t *const sizes[N_CHILDREN] = {
    [TARGET] = &status->target_kib,       [ACTUAL] = &status->actual_kib,
    [GUARANTEE] = &status->guarantee_kib, [LIMIT] = &status->limit_kib,
    [AVAILABLE] = &status->available_kib, [CRITICAL] = &status->critical_kib,
    [SWAP_USED] = &status->swap_used_kib,
  };

  for (int i = 0; i < N_CHILDREN; i++) {
    if (sizes[i] != NULL && children[i] != NULL && !read_size(children[i], sizes[i], error))
      return FALSE;
  }
  status->have_available = children[AVAILABLE] != NULL;
  status->have_critical = children[CRITICAL] != NULL;
  status->have_swap_used = children[SWAP_USED] != NULL;
  return TRUE;
}

static gboolean
read_others(const xmlNode *const *children, CagmaStatus *status, GError **error)
{
  typedef gboolean (*Reader)(const xmlNode *, CagmaStatus *, GError **);
  static const Reader readers[N_CHILDREN] = {
    [REASON] = read_reason, [SOURCE] = read_source,   [SWAP_IN] = read_swap_in,
    [CHANGE] = read_change, [WRITTEN] = read_written,
  };

  for (int i = 0; i < N_CHILDREN; i++) {
    if (readers[i] != NULL && children[i] != NULL && !readers[i](children[i], status, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
read_root(const xmlNode *root, CagmaStatus *status, GError **error)
{
  static const char *const attributes[] = { "state", NULL };
  g_autofree char *state = cagma_element_attribute(root, "state");
  g_autofree char *allowed = NULL;

  if (!cagma_document_check_root(root, "status", CAGMA_STATUS_URI, error) ||
      !cagma_element_check_attributes(root, attributes, error))
    return FALSE;
  if (state != NULL && cagma_state_from_string(state, &status->state))
    return TRUE;
  allowed = cagma_allowed_names(state_name);
  return bad_value(root, "state", state, allowed, error);
}

static gboolean
read_status(const xmlNode *root, CagmaStatus *status, GError **error)
{
  const xmlNode *children[N_CHILDREN];

  return read_root(root, status, error) && cagma_element_find_children(root, child_names, children, error) &&
         read_sizes(children, status, error) && read_others(children, status, error);
}

CagmaStatus *
cagma_status_parse(const char *xml, gssize len, GError **error)
{
  g_autoptr(xmlDoc) doc = cagma_document_parse(xml, len, CAGMA_DOCUMENT_MAX_BYTES, error);
  CagmaStatus *status;

  if (doc == NULL)
    return NULL;
  status = g_new0(CagmaStatus, 1);
  if (read_status(xmlDocGetRootElement(doc), status, error))
    return status;
  cagma_status_free(status);
  return NULL;
}

/* Writing */

/* Escaped for text and attributes, with what XML can't hold replaced first. */
static char *
safe_text(const char *text)
{
  g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
  g_autofree char *joined = cagma_join_blanks(valid);
  const gboolean fits = g_utf8_strlen(joined, -1) <= CAGMA_STATUS_TEXT_MAX;
  /* One less where it is cut: the "…" counts too. */
  g_autofree char *printable = cagma_printable(joined, CAGMA_STATUS_TEXT_MAX - (fits ? 0 : 1));

  return g_markup_escape_text(printable, -1);
}

static void
append_size(GString *xml, int child, uint64_t kib)
{
  g_string_append_printf(xml, "<%s unit='KiB'>%" G_GUINT64_FORMAT "</%s>", child_names[child],
                         cagma_min_kib(kib, CAGMA_MAX_KIB), child_names[child]);
}

static void
append_sizes(GString *xml, const CagmaStatus *status)
{
  if (status->target_kib != 0)
    append_size(xml, TARGET, status->target_kib);
  if (status->actual_kib != 0)
    append_size(xml, ACTUAL, status->actual_kib);
  if (status->guarantee_kib != 0)
    append_size(xml, GUARANTEE, status->guarantee_kib);
  if (status->limit_kib != 0)
    append_size(xml, LIMIT, status->limit_kib);
  if (status->have_available)
    append_size(xml, AVAILABLE, status->available_kib);
  if (status->have_critical)
    append_size(xml, CRITICAL, status->critical_kib);
  if (status->have_swap_used)
    append_size(xml, SWAP_USED, status->swap_used_kib);
  if (status->swap_in_kib_per_s != 0)
    g_string_append_printf(xml, "<swap-in unit='KiB/s'>%" G_GUINT64_FORMAT "</swap-in>",
                           cagma_min_kib(status->swap_in_kib_per_s, CAGMA_MAX_KIB));
}

static void
append_change(GString *xml, const CagmaStatus *status)
{
  const int64_t max = (int64_t)CAGMA_MAX_KIB;
  const gboolean timed = status->changed != NULL && is_time(status->changed);

  if (!timed && status->change_kib == 0)
    return;
  g_string_append(xml, "<change unit='KiB'");
  if (timed)
    g_string_append_printf(xml, " at='%s'", status->changed);
  g_string_append_printf(xml, ">%+" G_GINT64_FORMAT "</change>", CLAMP(status->change_kib, -max, max));
}

static void
append_written(GString *xml, const CagmaStatus *status)
{
  g_autofree char *host = safe_text(status->host);

  if (status->written == NULL || !is_time(status->written))
    return;
  g_string_append(xml, "<written");
  if (*host != '\0')
    g_string_append_printf(xml, " host='%s'", host);
  g_string_append_printf(xml, ">%s</written>", status->written);
}

char *
cagma_status_format(const CagmaStatus *status)
{
  g_autofree char *reason = safe_text(status->reason);
  const char *state = cagma_state_to_string(status->state);
  GString *xml = g_string_new(NULL);

  g_string_append_printf(xml, "<status state='%s'>",
                         state ? state : cagma_state_to_string(CAGMA_STATE_INVALID));
  if (*reason != '\0')
    g_string_append_printf(xml, "<reason>%s</reason>", reason);
  if (status->source != NULL && is_source(status->source))
    g_string_append_printf(xml, "<source>%s</source>", status->source);
  append_sizes(xml, status);
  append_change(xml, status);
  append_written(xml, status);
  g_string_append(xml, "</status>");
  return g_string_free(xml, FALSE);
}

void
cagma_status_free(CagmaStatus *status)
{
  if (status == NULL)
    return;
  g_free(status->reason);
  g_free(status->source);
  g_free(status->changed);
  g_free(status->written);
  g_free(status->host);
  g_free(status);
}
