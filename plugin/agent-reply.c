/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/agent-reply.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "policy/units.h"
#include "xml/error.h"

G_DEFINE_QUARK(cagma_agent_message_error_quark, cagma_agent_message_error)

/* json-glib reads nested values by recursion, and takes comments and other things that
 * aren't JSON, in which brackets can hide: so what opens is counted, wherever it is. A
 * stock agent's guest-info has about sixty. */
#define BRACKETS_MAX 1024

/* More processes than any guest can run. */
#define LOAD_MAX 1e9

#define DELIMITER ((char)0xff)

static gboolean
refuse(GError **error, CagmaAgentMessageError code, const char *what)
{
  g_set_error_literal(error, CAGMA_AGENT_MESSAGE_ERROR, code, what);
  return FALSE;
}

static gboolean
too_deep(const char *line, gsize length)
{
  unsigned brackets = 0;

  for (gsize i = 0; i < length; i++)
    brackets += line[i] == '{' || line[i] == '[';
  return brackets > BRACKETS_MAX;
}

/* json-glib keeps the first value of a text, and loses the memory of all others: a guest could write as
 * many as it likes. Brackets and quotes tell them apart, as long as nothing stands outside strings that
 * only json-glib's scanner knows (comments, other quotes). */
static gboolean
is_one_object(const char *line, gsize length)
{
  gboolean in_string = FALSE, over = FALSE;
  unsigned depth = 0;

  for (gsize i = 0; i < length; i++) {
    char c = line[i];

    if (in_string) {
      i += c == '\\';
      in_string = c != '"';
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      continue;
    } else if (over || (depth == 0 && c != '{') || c == '\0' || strchr("/'#;=", c)) {
      return FALSE;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (c == '}' || c == ']') {
      over = --depth == 0;
    } else {
      in_string = c == '"';
    }
  }
  return over;
}

static JsonObject *
member_object(JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member(object, name);

  return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static gboolean
not_a(const char *name, const char *what, GError **error)
{
  g_set_error(error, CAGMA_AGENT_MESSAGE_ERROR, CAGMA_AGENT_MESSAGE_ERROR_CONTENT, "%s is not a %s", name,
              what);
  return FALSE;
}

/* FALSE where it is there but isn't a count. */
static gboolean
read_count(JsonObject *object, const char *name, uint64_t *value, gboolean *known, GError **error)
{
  JsonNode *node = json_object_get_member(object, name);

  *known = node != NULL;
  if (!node)
    return TRUE;
  if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64 ||
      json_node_get_int(node) < 0)
    return not_a(name, "count", error);
  *value = (uint64_t)json_node_get_int(node);
  return TRUE;
}

static gboolean
read_kib(JsonObject *object, const char *name, uint64_t divisor, uint64_t *kib, gboolean *known,
         GError **error)
{
  uint64_t value = 0;

  if (!read_count(object, name, &value, known, error))
    return FALSE;
  *kib = cagma_min_kib(value / divisor, CAGMA_MAX_KIB);
  return TRUE;
}

/* Pages of page_bytes; both come from the guest, so the product is bounded. */
static gboolean
read_pages(JsonObject *object, const char *name, uint64_t page_kib, uint64_t *kib, gboolean *known,
           GError **error)
{
  uint64_t pages = 0;

  if (!read_count(object, name, &pages, known, error))
    return FALSE;
  *kib = cagma_min_kib(pages, CAGMA_MAX_KIB / page_kib) * page_kib;
  return TRUE;
}

static gboolean
read_page_size(JsonObject *object, uint64_t *page_kib, GError **error)
{
  uint64_t bytes = 4096;
  gboolean known;

  if (!read_count(object, "page-size", &bytes, &known, error))
    return FALSE;
  if (bytes < 1024 || bytes > 1024 * 1024 || bytes % 1024)
    return refuse(error, CAGMA_AGENT_MESSAGE_ERROR_CONTENT, "page-size is not the size of a page");
  *page_kib = bytes / 1024;
  return TRUE;
}

static gboolean
read_process(JsonObject *stats, const char *name, uint64_t *footprint_kib, gboolean *known, GError **error)
{
  JsonObject *process = member_object(stats, name);
  uint64_t rss_kib = 0, swap_kib = 0;
  gboolean has_rss, has_swap;

  *known = FALSE;
  if (!process)
    return TRUE;
  if (!read_kib(process, "rss", 1024, &rss_kib, &has_rss, error) ||
      !read_kib(process, "swap", 1024, &swap_kib, &has_swap, error))
    return FALSE;
  *footprint_kib = rss_kib + swap_kib;
  *known = has_rss;
  return TRUE;
}

/* A load average into permille. A whole one may come as an integer. */
static gboolean
read_average(JsonObject *object, const char *name, uint64_t *permille, gboolean *known, GError **error)
{
  JsonNode *node = json_object_get_member(object, name);
  GType type = node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;
  double value;

  *known = node != NULL;
  if (!node)
    return TRUE;
  if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
    return not_a(name, "load", error);
  value = json_node_get_double(node);
  if (!(value >= 0))
    return not_a(name, "load", error);
  *permille = (uint64_t)(MIN(value, LOAD_MAX) * 1000 + 0.5);
  return TRUE;
}

static void
mark(CagmaSample *sample, gboolean known, uint32_t has)
{
  if (known)
    sample->has |= has;
}

static gboolean
read_stats(JsonObject *stats, CagmaSample *sample, GError **error)
{
  uint64_t page_kib = 4, swap_free_kib = 0, swap_cached_kib = 0;
  gboolean available, in, out, faults, total, free_known, cached, largest, swapping, refaults, anon, vcpus,
      swappable;

  memset(sample, 0, sizeof *sample);
  sample->source = CAGMA_SAMPLE_CHANNEL;
  if (!read_page_size(stats, &page_kib, error) ||
      !read_kib(stats, "available", 1024, &sample->usable_kib, &available, error) ||
      !read_pages(stats, "pages-swapped-in", page_kib, &sample->swap_in_kib, &in, error) ||
      !read_pages(stats, "pages-swapped-out", page_kib, &sample->swap_out_kib, &out, error) ||
      !read_count(stats, "major-faults", &sample->major_faults, &faults, error) ||
      !read_kib(stats, "swap-total", 1024, &sample->swap_total_kib, &total, error) ||
      !read_kib(stats, "swap-free", 1024, &swap_free_kib, &free_known, error) ||
      !read_kib(stats, "swap-cached", 1024, &swap_cached_kib, &cached, error) ||
      !read_pages(stats, "refaults-file", page_kib, &sample->refault_file_kib, &refaults, error) ||
      !read_pages(stats, "refaults-anon", page_kib, &sample->refault_anon_kib, &anon, error) ||
      !read_count(stats, "vcpus", &sample->vcpus, &vcpus, error) ||
      !read_kib(stats, "swappable", 1024, &sample->swappable_kib, &swappable, error) ||
      !read_process(stats, "largest-process", &sample->largest_kib, &largest, error) ||
      !read_process(stats, "swapping-process", &sample->swapping_kib, &swapping, error))
    return FALSE;
  /* What has come back has its place in swap still, for the case that it has to go again. */
  sample->swap_used_kib = cagma_above(sample->swap_total_kib, swap_free_kib + swap_cached_kib);
  mark(sample, available, CAGMA_HAS_USABLE);
  mark(sample, in && out, CAGMA_HAS_SWAP);
  mark(sample, faults, CAGMA_HAS_FAULTS);
  mark(sample, total && free_known, CAGMA_HAS_SWAP_USED);
  /* Until Linux 5.8 there was one figure for both. */
  mark(sample, refaults, CAGMA_HAS_REFAULT);
  mark(sample, vcpus, CAGMA_HAS_VCPUS);
  mark(sample, swappable, CAGMA_HAS_SWAPPABLE);
  mark(sample, largest, CAGMA_HAS_LARGEST);
  mark(sample, swapping, CAGMA_HAS_SWAPPING);
  return TRUE;
}

static gboolean
read_load(JsonObject *load, CagmaSample *sample, GError **error)
{
  gboolean one, five, fifteen;

  memset(sample, 0, sizeof *sample);
  sample->source = CAGMA_SAMPLE_CHANNEL;
  if (!read_average(load, "load1m", &sample->load1_permille, &one, error) ||
      !read_average(load, "load5m", &sample->load5_permille, &five, error) ||
      !read_average(load, "load15m", &sample->load15_permille, &fifteen, error))
    return FALSE;
  mark(sample, one && five && fifteen, CAGMA_HAS_LOAD);
  return TRUE;
}

static gboolean
read_progress(JsonObject *progress, CagmaAgentMessage *message, GError **error)
{
  JsonNode *done = json_object_get_member(progress, "done");
  gboolean known;

  if (!read_kib(progress, "bytes", 1024, &message->read_back_kib, &known, error))
    return FALSE;
  if (!known || !JSON_NODE_HOLDS_VALUE(done) || json_node_get_value_type(done) != G_TYPE_BOOLEAN)
    return refuse(error, CAGMA_AGENT_MESSAGE_ERROR_CONTENT, "progress without bytes or done");
  message->read_back_done = json_node_get_boolean(done);
  return TRUE;
}

static void
read_error(JsonObject *root, CagmaAgentMessage *message)
{
  JsonObject *object = member_object(root, "error");
  JsonNode *node = object ? json_object_get_member(object, "desc") : NULL;
  const char *text = node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
                         ? json_node_get_string(node)
                         : "unknown error";
  g_autofree char *printable = cagma_printable(text, CAGMA_AGENT_ERROR_CHARS);

  message->kind = CAGMA_AGENT_ERROR;
  g_strlcpy(message->error, printable, sizeof message->error);
}

static gboolean
read_return(JsonNode *node, CagmaAgentMessage *message, GError **error)
{
  JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;

  message->kind = CAGMA_AGENT_OTHER;
  if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64) {
    message->kind = CAGMA_AGENT_SYNC;
    message->sync = json_node_get_int(node);
  } else if (object &&
             (json_object_has_member(object, "available") || json_object_has_member(object, "page-size"))) {
    /* Before Linux 3.14 there is no "available": it answers all the same. */
    message->kind = CAGMA_AGENT_STATS;
    return read_stats(object, &message->sample, error);
  } else if (object && json_object_has_member(object, "load1m")) {
    message->kind = CAGMA_AGENT_LOAD;
    return read_load(object, &message->sample, error);
  } else if (object && json_object_has_member(object, "done")) {
    message->kind = CAGMA_AGENT_READ_BACK;
    return read_progress(object, message, error);
  }
  return TRUE;
}

static gboolean
read_event(JsonObject *root, CagmaAgentMessage *message, GError **error)
{
  JsonNode *name = json_object_get_member(root, "event");
  JsonObject *data = member_object(root, "data");

  if (!JSON_NODE_HOLDS_VALUE(name) || json_node_get_value_type(name) != G_TYPE_STRING || !data)
    return refuse(error, CAGMA_AGENT_MESSAGE_ERROR_CONTENT, "an event without a name or data");
  message->kind = CAGMA_AGENT_OTHER;
  if (!g_str_equal(json_node_get_string(name), "GUEST_MEMORY_PRESSURE"))
    return TRUE;
  message->kind = CAGMA_AGENT_PRESSURE;
  return read_stats(data, &message->sample, error);
}

/* The object in the line, which lives as long as the parser. */
static JsonObject *
parse_object(JsonParser *parser, const char *line, gsize length, GError **error)
{
  JsonNode *node;

  if (length > CAGMA_AGENT_LINE_MAX || !g_utf8_validate_len(line, length, NULL)) {
    refuse(error, CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "not UTF-8, or too long");
    return NULL;
  }
  if (too_deep(line, length)) {
    refuse(error, CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "nested too deeply, or too much");
    return NULL;
  }
  node = is_one_object(line, length) && json_parser_load_from_data(parser, line, (gssize)length, NULL)
             ? json_parser_get_root(parser)
             : NULL;
  if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
    refuse(error, CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "not a JSON object");
    return NULL;
  }
  return json_node_get_object(node);
}

gboolean
cagma_agent_message_parse(const char *line, gsize length, CagmaAgentMessage *message, GError **error)
{
  g_autoptr(JsonParser) parser = json_parser_new_immutable();
  JsonObject *root;

  memset(message, 0, sizeof *message);
  while (length > 0 && *line == DELIMITER) {
    line++;
    length--;
  }
  root = parse_object(parser, line, length, error);
  if (!root)
    return FALSE;
  if (json_object_has_member(root, "event"))
    return read_event(root, message, error);
  if (json_object_has_member(root, "error")) {
    read_error(root, message);
    return TRUE;
  }
  if (!json_object_has_member(root, "return"))
    return refuse(error, CAGMA_AGENT_MESSAGE_ERROR_CONTENT, "neither a reply nor an event");
  return read_return(json_object_get_member(root, "return"), message, error);
}

static gboolean
read_sequence(JsonObject *root, CagmaAgentValue *value, GError **error)
{
  gboolean known, pressure_known;

  if (!read_count(root, "seq", &value->seq, &known, error) ||
      !read_count(root, "pressure-seq", &value->pressure_seq, &pressure_known, error))
    return FALSE;
  if (!known || !pressure_known || value->seq == 0)
    return refuse(error, CAGMA_AGENT_MESSAGE_ERROR_CONTENT, "without seq or pressure-seq");
  if (value->pressure_seq > value->seq)
    return refuse(error, CAGMA_AGENT_MESSAGE_ERROR_CONTENT, "ahead of its seq with its pressure-seq");
  return TRUE;
}

gboolean
cagma_agent_value_parse(const char *text, gsize length, CagmaAgentValue *value, GError **error)
{
  g_autoptr(JsonParser) parser = json_parser_new_immutable();
  JsonObject *root, *stats, *load;

  memset(value, 0, sizeof *value);
  if (length > CAGMA_AGENT_VALUE_MAX)
    return refuse(error, CAGMA_AGENT_MESSAGE_ERROR_SYNTAX, "too long");
  root = parse_object(parser, text, length, error);
  if (!root || !read_sequence(root, value, error))
    return FALSE;
  stats = member_object(root, "stats");
  load = member_object(root, "load");
  if (!stats)
    return refuse(error, CAGMA_AGENT_MESSAGE_ERROR_CONTENT, "without stats");
  if (!read_stats(stats, &value->stats, error) || (load && !read_load(load, &value->load, error)))
    return FALSE;
  value->stats.stamp = value->seq;
  value->stats.has |= CAGMA_HAS_STAMP;
  value->has_load = load != NULL;
  return TRUE;
}

static gboolean
is_enabled_command(JsonNode *node, const char *command)
{
  JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
  JsonNode *name = object ? json_object_get_member(object, "name") : NULL;
  JsonNode *enabled = object ? json_object_get_member(object, "enabled") : NULL;

  return name && JSON_NODE_HOLDS_VALUE(name) && json_node_get_value_type(name) == G_TYPE_STRING &&
         g_str_equal(json_node_get_string(name), command) && enabled && JSON_NODE_HOLDS_VALUE(enabled) &&
         json_node_get_value_type(enabled) == G_TYPE_BOOLEAN && json_node_get_boolean(enabled);
}

gboolean
cagma_agent_info_parse(const char *text, const char *command, gboolean *able, GError **error)
{
  g_autoptr(JsonParser) parser = json_parser_new_immutable();
  JsonObject *root = parse_object(parser, text, strlen(text), error);
  JsonObject *info = root ? member_object(root, "return") : NULL;
  JsonNode *node = info ? json_object_get_member(info, "supported_commands") : NULL;
  JsonArray *commands;

  if (!root)
    return FALSE;
  if (!node || !JSON_NODE_HOLDS_ARRAY(node))
    return refuse(error, CAGMA_AGENT_MESSAGE_ERROR_CONTENT, "no supported_commands");
  commands = json_node_get_array(node);
  *able = FALSE;
  for (guint i = 0; i < json_array_get_length(commands) && !*able; i++)
    *able = is_enabled_command(json_array_get_element(commands, i), command);
  return TRUE;
}

void
cagma_agent_lines_init(CagmaAgentLines *lines)
{
  lines->partial = g_byte_array_new();
  lines->dropping = FALSE;
}

void
cagma_agent_lines_clear(CagmaAgentLines *lines)
{
  g_clear_pointer(&lines->partial, g_byte_array_unref);
}

static unsigned
keep(CagmaAgentLines *lines, const char *data, gsize length)
{
  if (lines->dropping)
    return 0;
  if (lines->partial->len + length > CAGMA_AGENT_LINE_MAX) {
    /* A byte array keeps its memory; one long line isn't to cost it for ever. */
    g_byte_array_unref(lines->partial);
    lines->partial = g_byte_array_new();
    lines->dropping = TRUE;
    return 1;
  }
  g_byte_array_append(lines->partial, (const guint8 *)data, (guint)length);
  return 0;
}

unsigned
cagma_agent_lines_feed(CagmaAgentLines *lines, const char *data, gsize length, CagmaAgentLine handle,
                       gpointer user_data)
{
  const char *end = data + length, *newline;
  unsigned too_long = 0;

  while ((newline = memchr(data, '\n', (size_t)(end - data)))) {
    too_long += keep(lines, data, (gsize)(newline - data));
    if (!lines->dropping && lines->partial->len > 0)
      handle((const char *)lines->partial->data, lines->partial->len, user_data);
    g_byte_array_set_size(lines->partial, 0);
    lines->dropping = FALSE;
    data = newline + 1;
  }
  return too_long + keep(lines, data, (gsize)(end - data));
}
