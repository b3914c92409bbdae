/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/scenario-json.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "plugin/json-strict.h"
#include "plugin/slurp.h"
#include "policy/sim/fields.h"
#include "policy/units.h"
#include "xml/error.h"

#define VERSION_FIELD "cagma-scenario"
#define VERSION 1

/* Reading. As in policy/sim/scenario.c, an error begins with the field at fault, and each
 * struct around it puts its own name in front. */

static gboolean wrong(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
wrong(GError **error, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  if (error)
    *error = g_error_new_valist(CAGMA_SCENARIO_ERROR, CAGMA_SCENARIO_ERROR_FIELD, format, args);
  va_end(args);
  return FALSE;
}

static gboolean
node_number(JsonNode *node, double *number)
{
  if (!JSON_NODE_HOLDS_VALUE(node))
    return FALSE;
  if (json_node_get_value_type(node) != G_TYPE_INT64 && json_node_get_value_type(node) != G_TYPE_DOUBLE)
    return FALSE;
  *number = json_node_get_double(node);
  return TRUE;
}

static gboolean
is_whole(CagmaFieldType type)
{
  return type == CAGMA_FIELD_COUNT || type == CAGMA_FIELD_KIB;
}

/* Whether it is in range, cagma_scenario_check says; here it only has to fit its type. */
static gboolean
read_number(const CagmaField *field, JsonNode *node, void *at, GError **error)
{
  const double largest = field->high <= G_MAXUINT32 ? (double)G_MAXUINT32 : (double)G_MAXINT64 / 2;
  double number, units;

  if (!node_number(node, &number))
    return wrong(error, ".%s: isn't a number", field->name);
  if (number < 0)
    return wrong(error, ".%s: is negative", field->name);
  if (is_whole(field->type) && number != floor(number))
    return wrong(error, ".%s: isn't a whole number", field->name);
  units = round(number * (double)cagma_field_scale(field->type));
  if (units > largest)
    return wrong(error, ".%s: is too large", field->name);
  cagma_field_set_number(field, at, (uint64_t)units);
  return TRUE;
}

static const char *
node_string(JsonNode *node)
{
  return JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

static gboolean
read_text(const CagmaField *field, JsonNode *node, void *at, GError **error)
{
  char **text = (char **)((char *)at + field->offset);

  if (!node_string(node))
    return wrong(error, ".%s: isn't a string", field->name);
  g_free(*text);
  *text = g_strdup(node_string(node));
  return TRUE;
}

static gboolean
read_flag(const CagmaField *field, JsonNode *node, void *at, GError **error)
{
  if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_BOOLEAN)
    return wrong(error, ".%s: isn't true or false", field->name);
  cagma_field_set_number(field, at, json_node_get_boolean(node));
  return TRUE;
}

static gboolean
read_choice(const CagmaField *field, JsonNode *node, void *at, GError **error)
{
  const char *text = node_string(node);
  g_autoptr(GString) names = g_string_new(NULL);

  for (unsigned int i = 0; field->name_at(i); i++) {
    if (g_strcmp0(text, field->name_at(i)) == 0) {
      cagma_field_set_number(field, at, i);
      return TRUE;
    }
    g_string_append_printf(names, "%s\"%s\"", i ? ", " : "", field->name_at(i));
  }
  return wrong(error, ".%s: must be one of %s", field->name, names->str);
}

static gboolean read_fields(const CagmaFields *fields, JsonNode *node, void *at, GError **error);

static gboolean
read_element(const CagmaFields *fields, JsonNode *node, void *at, GError **error)
{
  if (fields->init)
    fields->init(at);
  return read_fields(fields, node, at, error);
}

static gboolean
read_list(const CagmaField *field, JsonNode *node, void *at, GError **error)
{
  size_t *n = (size_t *)((char *)at + field->n_offset);
  JsonArray *array;
  char *elements;
  guint length;

  if (!JSON_NODE_HOLDS_ARRAY(node))
    return wrong(error, ".%s: isn't a list", field->name);
  array = json_node_get_array(node);
  length = json_array_get_length(array);
  if (length < field->low || length > field->high)
    return wrong(error, ".%s: must have %u to %u elements, has %u", field->name, (unsigned int)field->low,
                 (unsigned int)field->high, length);
  elements = length ? g_malloc0_n(length, field->fields->size) : NULL;
  *(void **)((char *)at + field->offset) = elements;
  for (*n = 0; *n < length;) {
    size_t i = (*n)++;

    if (!read_element(field->fields, json_array_get_element(array, (guint)i),
                      elements + i * field->fields->size, error)) {
      g_prefix_error(error, ".%s[%zu]", field->name, i);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
read_object(const CagmaField *field, JsonNode *node, void *at, GError **error)
{
  if (read_fields(field->fields, node, (char *)at + field->offset, error))
    return TRUE;
  g_prefix_error(error, ".%s", field->name);
  return FALSE;
}

static gboolean
read_value(const CagmaField *field, JsonNode *node, void *at, GError **error)
{
  switch (field->type) {
  case CAGMA_FIELD_TEXT:
    return read_text(field, node, at, error);
  case CAGMA_FIELD_FLAG:
    return read_flag(field, node, at, error);
  case CAGMA_FIELD_CHOICE:
    return read_choice(field, node, at, error);
  case CAGMA_FIELD_OBJECT:
    return read_object(field, node, at, error);
  case CAGMA_FIELD_LIST:
    return read_list(field, node, at, error);
  default:
    return read_number(field, node, at, error);
  }
}

/* Whether the field is one of the two that say the headroom: as an amount, or as a part
 * of what is used. */
static gboolean
is_headroom(const CagmaField *field, CagmaFieldType type)
{
  return field->given == CAGMA_GIVEN_HEADROOM && field->type == type;
}

/* Notes that a guest's configuration was given this. */
static gboolean
note_given(const CagmaField *field, CagmaSimGuest *guest, GError **error)
{
  if (guest->config.given & field->given)
    return wrong(error, ".%s: headroom is given twice", field->name);
  guest->config.given |= field->given;
  if (is_headroom(field, CAGMA_FIELD_MIB))
    guest->config.headroom_permille = 0;
  return TRUE;
}

static gboolean
unknown_field(const CagmaFields *fields, const char *name, GError **error)
{
  g_autofree char *shown = cagma_printable(name, CAGMA_QUOTE_CHARS);
  g_autoptr(GString) names = g_string_new(NULL);

  for (size_t i = 0; i < fields->n; i++)
    g_string_append_printf(names, "%s%s", i ? ", " : "", fields->field[i].name);
  return wrong(error, ".%s: no such field; there are %s", shown, names->str);
}

static const CagmaField *
find_field(const CagmaFields *fields, const char *name)
{
  for (size_t i = 0; i < fields->n; i++)
    if (!strcmp(fields->field[i].name, name))
      return &fields->field[i];
  return NULL;
}

static gboolean
read_member(const CagmaFields *fields, const char *name, JsonNode *node, void *at, GError **error)
{
  const CagmaField *field = find_field(fields, name);

  if (!field && fields == &cagma_scenario_fields && !strcmp(name, VERSION_FIELD))
    return TRUE;
  if (!field)
    return unknown_field(fields, name, error);
  if (field->given && !note_given(field, at, error))
    return FALSE;
  return read_value(field, node, at, error);
}

static gboolean
read_fields(const CagmaFields *fields, JsonNode *node, void *at, GError **error)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *member;

  if (!JSON_NODE_HOLDS_OBJECT(node))
    return wrong(error, ": isn't an object");
  json_object_iter_init(&iter, json_node_get_object(node));
  while (json_object_iter_next(&iter, &name, &member))
    if (!read_member(fields, name, member, at, error))
      return FALSE;
  for (size_t i = 0; i < fields->n; i++)
    if (fields->field[i].required &&
        !json_object_has_member(json_node_get_object(node), fields->field[i].name))
      return wrong(error, ".%s: is missing", fields->field[i].name);
  return TRUE;
}

static gboolean
check_version(JsonNode *root, GError **error)
{
  JsonNode *node;
  double version;

  if (!JSON_NODE_HOLDS_OBJECT(root))
    return wrong(error, ": isn't an object");
  node = json_object_get_member(json_node_get_object(root), VERSION_FIELD);
  if (!node)
    return wrong(error, "." VERSION_FIELD ": is missing; a scenario has \"" VERSION_FIELD "\": 1");
  if (!node_number(node, &version))
    return wrong(error, "." VERSION_FIELD ": isn't a number");
  return version == VERSION || wrong(error, "." VERSION_FIELD ": this program knows version 1 only");
}

/* What the host keeps back follows its memory, unless it is said. */
static void
set_reserve(CagmaScenario *scenario, JsonNode *root)
{
  JsonNode *host = json_object_get_member(json_node_get_object(root), "host");
  JsonObject *given = host ? json_node_get_object(host) : NULL;
  const CagmaScenario said = *scenario;

  cagma_scenario_reserve(scenario);
  if (given && json_object_has_member(given, "reserve-mib"))
    scenario->reserve_kib = said.reserve_kib;
  if (given && json_object_has_member(given, "pool-mib"))
    scenario->pool_kib = said.pool_kib;
}

static CagmaScenario *
read_scenario(JsonNode *root, GError **error)
{
  g_autoptr(CagmaScenario) scenario = g_new0(CagmaScenario, 1);

  cagma_scenario_init(scenario);
  if (!check_version(root, error) || !read_fields(&cagma_scenario_fields, root, scenario, error)) {
    g_prefix_error(error, "$");
    return NULL;
  }
  set_reserve(scenario, root);
  if (!cagma_scenario_check(scenario, error))
    return NULL;
  return g_steal_pointer(&scenario);
}

CagmaScenario *
cagma_scenario_parse(const char *text, gssize len, GError **error)
{
  g_autoptr(JsonParser) parser = json_parser_new_immutable();
  gsize length = len < 0 ? strlen(text) : (gsize)len;
  g_autoptr(GError) failure = NULL;

  if (length > CAGMA_SCENARIO_MAX_BYTES) {
    g_set_error(error, CAGMA_SCENARIO_ERROR, CAGMA_SCENARIO_ERROR_SYNTAX, "larger than %d bytes",
                CAGMA_SCENARIO_MAX_BYTES);
    return NULL;
  }
  if (!cagma_json_check(text, length, error))
    return NULL;
  if (!json_parser_load_from_data(parser, text, (gssize)length, &failure)) {
    g_set_error_literal(error, CAGMA_SCENARIO_ERROR, CAGMA_SCENARIO_ERROR_SYNTAX, failure->message);
    return NULL;
  }
  return read_scenario(json_parser_get_root(parser), error);
}

CagmaScenario *
cagma_scenario_load(const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize length;

  text = cagma_slurp(path, CAGMA_SCENARIO_MAX_BYTES, &length, error);
  if (!text)
    return NULL;
  return cagma_scenario_parse(text, (gssize)length, error);
}

/* Writing: values are put into lines as long as they fit. */

#define LINE_CHARS 100
#define INDENT 2

static char *
text_json(const char *text)
{
  g_autoptr(JsonNode) node = json_node_init_string(json_node_alloc(), text);

  return json_to_string(node, FALSE);
}

/* The shortest decimal that is read as the same number of units again. */
static char *
number_json(uint64_t units, uint64_t scale)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  char format[] = "%.0f";

  for (; format[2] < '6'; format[2]++) {
    g_ascii_formatd(text, sizeof text, format, (double)units / (double)scale);
    if (round(g_ascii_strtod(text, NULL) * (double)scale) == (double)units)
      return g_strdup(text);
  }
  return g_strdup(g_ascii_formatd(text, sizeof text, format, (double)units / (double)scale));
}

static gboolean
fits_line(GPtrArray *items, size_t used)
{
  for (guint i = 0; i < items->len; i++) {
    const char *item = g_ptr_array_index(items, i);

    used += strlen(item) + 2;
    if (used > LINE_CHARS || strchr(item, '\n'))
      return FALSE;
  }
  return TRUE;
}

static void
append_lines(GString *json, GPtrArray *items, size_t indent)
{
  size_t column = 0;

  for (guint i = 0; i < items->len; i++) {
    const char *item = g_ptr_array_index(items, i);
    gboolean block = strchr(item, '\n') != NULL;

    if (column == 0 || block || column + strlen(item) + 2 > LINE_CHARS) {
      g_string_append_printf(json, "\n%*s", (int)indent, "");
      column = indent;
    } else {
      g_string_append_c(json, ' ');
      column++;
    }
    g_string_append_printf(json, "%s%s", item, i + 1 < items->len ? "," : "");
    column = block ? 0 : column + strlen(item) + 1;
  }
}

/* used: of the line that it begins in. */
static char *
join(GPtrArray *items, const char *brackets, size_t indent, size_t used)
{
  const char *blank = brackets[0] == '{' && items->len ? " " : "";
  GString *json = g_string_new(NULL);

  g_string_append_c(json, brackets[0]);
  if (fits_line(items, used)) {
    for (guint i = 0; i < items->len; i++)
      g_string_append_printf(json, "%s%s", i ? ", " : blank, (char *)g_ptr_array_index(items, i));
    g_string_append(json, blank);
  } else {
    append_lines(json, items, indent + INDENT);
    g_string_append_printf(json, "\n%*s", (int)indent, "");
  }
  g_string_append_c(json, brackets[1]);
  return g_string_free(json, FALSE);
}

static char *fields_json(const CagmaFields *fields, const void *at, const void *defaults, size_t indent,
                         size_t used);

/* What the guest would be if the file gave no more of it than its sizes. */
static void
set_guest_defaults(CagmaSimGuest *defaults, const CagmaSimGuest *guest)
{
  cagma_config_init(&defaults->config);
  defaults->config.guarantee_kib = cagma_min_kib(defaults->config.guarantee_kib, guest->config.limit_kib);
  defaults->config.limit_kib = guest->memory_kib;
  defaults->start_kib = guest->config.limit_kib;
}

static char *
list_json(const CagmaField *field, const void *at, size_t indent, size_t used)
{
  const CagmaFields *fields = field->fields;
  g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(g_free);
  g_autofree void *defaults = g_malloc0(fields->size);
  size_t n;
  const char *elements = cagma_field_list(field, at, &n);

  if (fields->init)
    fields->init(defaults);
  for (size_t i = 0; i < n; i++) {
    const char *element = elements + i * fields->size;

    if (fields == &cagma_sim_guest_fields)
      set_guest_defaults(defaults, (const CagmaSimGuest *)element);
    g_ptr_array_add(items, fields_json(fields, element, defaults, indent + INDENT, indent + INDENT));
  }
  cagma_fields_clear(fields, defaults);
  return join(items, "[]", indent, used);
}

static char *
value_json(const CagmaField *field, const void *at, const void *defaults, size_t indent, size_t used)
{
  uint64_t number;

  switch (field->type) {
  case CAGMA_FIELD_TEXT:
    return text_json(*(char *const *)((const char *)at + field->offset));
  case CAGMA_FIELD_OBJECT:
    return fields_json(field->fields, (const char *)at + field->offset,
                       (const char *)defaults + field->offset, indent, used);
  case CAGMA_FIELD_LIST:
    return list_json(field, at, indent, used);
  default:
    number = cagma_field_number(field, at);
  }
  if (field->type == CAGMA_FIELD_CHOICE)
    return text_json(field->name_at((unsigned int)number));
  if (field->type == CAGMA_FIELD_FLAG)
    return g_strdup(number ? "true" : "false");
  return number_json(number, cagma_field_scale(field->type));
}

static gboolean
is_default(const CagmaField *field, const void *at, const void *defaults)
{
  size_t n;

  switch (field->type) {
  case CAGMA_FIELD_TEXT:
    return **(char *const *)((const char *)at + field->offset) == '\0';
  case CAGMA_FIELD_OBJECT:
    return FALSE;
  case CAGMA_FIELD_LIST:
    cagma_field_list(field, at, &n);
    return n == 0;
  default:
    return cagma_field_number(field, at) == cagma_field_number(field, defaults);
  }
}

static gboolean
is_written(const CagmaField *field, const void *at, const void *defaults)
{
  const CagmaSimGuest *guest = at;

  if (field->required)
    return TRUE;
  if (!field->given)
    return !is_default(field, at, defaults);
  if (is_headroom(field, CAGMA_FIELD_PERCENT) && guest->config.headroom_permille == 0)
    return FALSE;
  if (is_headroom(field, CAGMA_FIELD_MIB))
    return guest->config.headroom_permille == 0;
  return (guest->config.given & field->given) != 0 || !is_default(field, at, defaults);
}

static char *
fields_json(const CagmaFields *fields, const void *at, const void *defaults, size_t indent, size_t used)
{
  g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(g_free);

  if (fields == &cagma_scenario_fields)
    g_ptr_array_add(items, g_strdup("\"" VERSION_FIELD "\": 1"));
  for (size_t i = 0; i < fields->n; i++) {
    const CagmaField *field = &fields->field[i];
    g_autofree char *value = NULL;

    if (!is_written(field, at, defaults))
      continue;
    value = value_json(field, at, defaults, indent + INDENT, indent + INDENT + strlen(field->name) + 4);
    if (field->type == CAGMA_FIELD_OBJECT && !strcmp(value, "{}"))
      continue;
    g_ptr_array_add(items, g_strdup_printf("\"%s\": %s", field->name, value));
  }
  return join(items, "{}", indent, used);
}

char *
cagma_scenario_to_json(const CagmaScenario *scenario)
{
  CagmaScenario defaults, by_memory = { .memory_kib = scenario->memory_kib };
  g_autofree char *json = NULL;

  cagma_scenario_init(&defaults);
  cagma_scenario_reserve(&by_memory);
  defaults.reserve_kib = by_memory.reserve_kib;
  defaults.pool_kib = by_memory.pool_kib;
  json = fields_json(&cagma_scenario_fields, scenario, &defaults, 0, 0);
  cagma_scenario_clear(&defaults);
  return g_strconcat(json, "\n", NULL);
}
