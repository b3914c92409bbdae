/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/json.h"

#include <string.h>

/* What may come next. */
typedef enum {
  EXPECT_VALUE,
  EXPECT_VALUE_OR_END, /* after [ */
  EXPECT_KEY,          /* after , in an object */
  EXPECT_KEY_OR_END,   /* after { */
  EXPECT_COMMA_OR_END,
  EXPECT_NOTHING, /* the value is complete */
} Expect;

typedef struct {
  CagmaJson *json;
  size_t length;
  size_t at;
  Expect expect;
  uint16_t open[CAGMA_JSON_MAX_DEPTH]; /* the containers around `at` */
  size_t depth;
  const char *problem;
} Parser;

static bool
fail(Parser *parser, const char *problem)
{
  parser->problem = problem;
  return false;
}

/* The byte at `at`, or -1 at the end. */
static int
peek(const Parser *parser)
{
  return parser->at < parser->length ? (unsigned char)parser->json->text[parser->at] : -1;
}

static void
skip_blanks(Parser *parser)
{
  int c = peek(parser);

  while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
    parser->at++;
    c = peek(parser);
  }
}

static bool
is_digit(int c)
{
  return c >= '0' && c <= '9';
}

/* -1: no hexadecimal digit. */
static int
hex_value(int c)
{
  if (is_digit(c))
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* The four digits of a \u escape; -1 where they aren't there. */
static int32_t
hex4(const char *text, size_t available)
{
  int32_t value = 0;

  if (available < 4)
    return -1;
  for (size_t i = 0; i < 4; i++) {
    const int digit = hex_value((unsigned char)text[i]);
    if (digit < 0)
      return -1;
    value = value * 16 + digit;
  }
  return value;
}

/* The length of the UTF-8 sequence at the start of the text; 0 where it is none: cut
 * short, overlong, a surrogate or above U+10FFFF. */
static size_t
utf8_length(const char *text, size_t available)
{
  const unsigned char first = (unsigned char)text[0];
  const unsigned char second = available > 1 ? (unsigned char)text[1] : 0;
  size_t length;

  if (first < 0x80)
    return 1;
  if (first >= 0xC2 && first <= 0xDF)
    length = 2;
  else if (first >= 0xE0 && first <= 0xEF)
    length = 3;
  else if (first >= 0xF0 && first <= 0xF4)
    length = 4;
  else
    return 0;
  if (length > available)
    return 0;
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
    return 0;
  for (size_t i = 1; i < length; i++) {
    if (((unsigned char)text[i] & 0xC0) != 0x80)
      return 0;
  }
  return length;
}

/* A value or key begins at `start`; NULL where there are too many. */
static CagmaJsonNode *
add_node(Parser *parser, CagmaJsonType type, size_t start)
{
  CagmaJson *json = parser->json;
  CagmaJsonNode *node;

  if (json->n_nodes == CAGMA_JSON_MAX_NODES) {
    parser->problem = "too many values";
    return NULL;
  }
  node = &json->nodes[json->n_nodes++];
  *node = (CagmaJsonNode){ .type = type, .start = start, .next = (uint16_t)json->n_nodes };
  return node;
}

/* Behind the backslash. */
static bool
parse_escape(Parser *parser)
{
  const char *rest = parser->json->text + parser->at + 1;
  const size_t available = parser->length - parser->at;
  const int c = peek(parser);
  int32_t unit, low;

  parser->at++;
  if (c >= 0 && strchr("\"\\/bfnrt", c) != NULL && c != '\0')
    return true;
  if (c != 'u')
    return fail(parser, "invalid escape in string");
  unit = hex4(rest, available - 1);
  if (unit < 0)
    return fail(parser, "invalid \\\\u escape in string");
  parser->at += 4;
  if (unit < 0xD800 || unit > 0xDFFF)
    return true;
  low = available >= 11 && rest[4] == '\\' && rest[5] == 'u' ? hex4(rest + 6, 4) : -1;
  if (unit > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
    return fail(parser, "half a surrogate pair in string");
  parser->at += 6;
  return true;
}

/* At the quotation mark. */
static bool
parse_string(Parser *parser)
{
  CagmaJsonNode *node = add_node(parser, CAGMA_JSON_STRING, parser->at + 1);

  if (node == NULL)
    return false;
  parser->at++;
  for (;;) {
    const int c = peek(parser);
    size_t length;

    if (c < 0)
      return fail(parser, "unterminated string");
    if (c == '"')
      break;
    if (c < 0x20)
      return fail(parser, "control character in string");
    if (c == '\\') {
      parser->at++;
      if (!parse_escape(parser))
        return false;
      continue;
    }
    length = utf8_length(parser->json->text + parser->at, parser->length - parser->at);
    if (length == 0)
      return fail(parser, "invalid UTF-8 sequence in string");
    parser->at += length;
  }
  node->length = parser->at - node->start;
  parser->at++;
  return true;
}

static bool
skip_digits(Parser *parser)
{
  const size_t start = parser->at;

  while (is_digit(peek(parser)))
    parser->at++;
  return parser->at > start;
}

static bool
parse_number(Parser *parser)
{
  CagmaJsonNode *node = add_node(parser, CAGMA_JSON_NUMBER, parser->at);

  if (node == NULL)
    return false;
  if (peek(parser) == '-')
    parser->at++;
  if (peek(parser) == '0')
    parser->at++;
  else if (!skip_digits(parser))
    return fail(parser, "invalid number");
  if (peek(parser) == '.') {
    parser->at++;
    if (!skip_digits(parser))
      return fail(parser, "invalid number");
  }
  if (peek(parser) == 'e' || peek(parser) == 'E') {
    parser->at++;
    if (peek(parser) == '+' || peek(parser) == '-')
      parser->at++;
    if (!skip_digits(parser))
      return fail(parser, "invalid number");
  }
  node->length = parser->at - node->start;
  return true;
}

static bool
parse_literal(Parser *parser)
{
  static const char *const literals[] = { "true", "false", "null" };
  const size_t available = parser->length - parser->at;

  for (size_t i = 0; i < sizeof(literals) / sizeof(*literals); i++) {
    const size_t length = strlen(literals[i]);
    CagmaJsonNode *node;

    if (length > available || memcmp(parser->json->text + parser->at, literals[i], length) != 0)
      continue;
    node = add_node(parser, CAGMA_JSON_LITERAL, parser->at);
    if (node == NULL)
      return false;
    node->length = length;
    parser->at += length;
    return true;
  }
  return fail(parser, "invalid keyword");
}

static CagmaJsonNode *
innermost(Parser *parser)
{
  return &parser->json->nodes[parser->open[parser->depth - 1]];
}

static void
value_is_complete(Parser *parser)
{
  parser->expect = parser->depth > 0 ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
}

static bool
open_container(Parser *parser, CagmaJsonType type)
{
  if (parser->depth == CAGMA_JSON_MAX_DEPTH)
    return fail(parser, "nested too deeply");
  if (add_node(parser, type, parser->at) == NULL)
    return false;
  parser->open[parser->depth++] = (uint16_t)(parser->json->n_nodes - 1);
  parser->expect = type == CAGMA_JSON_OBJECT ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
  parser->at++;
  return true;
}

static bool
close_container(Parser *parser, int bracket)
{
  CagmaJsonNode *node = innermost(parser);

  if (bracket != (node->type == CAGMA_JSON_OBJECT ? '}' : ']'))
    return fail(parser, "mismatched bracket");
  parser->at++;
  node->length = parser->at - node->start;
  node->next = (uint16_t)parser->json->n_nodes;
  parser->depth--;
  value_is_complete(parser);
  return true;
}

static bool
parse_value(Parser *parser)
{
  const int c = peek(parser);
  bool ok;

  if (c == '{')
    return open_container(parser, CAGMA_JSON_OBJECT);
  if (c == '[')
    return open_container(parser, CAGMA_JSON_ARRAY);
  if (c == '"')
    ok = parse_string(parser);
  else if (c == '-' || is_digit(c))
    ok = parse_number(parser);
  else
    ok = parse_literal(parser);
  if (ok)
    value_is_complete(parser);
  return ok;
}

/* The character that a string's text begins with, escapes resolved. The string was
 * parsed, so that all of it is as it should be. */
static uint32_t
next_character(const char **text, size_t *length)
{
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char *at = *text;
  uint32_t character = (unsigned char)*at;
  size_t used = 1;

  if (*at == '\\' && at[1] == 'u') {
    character = (uint32_t)hex4(at + 2, 4);
    used = 6;
    if (character >= 0xD800 && character <= 0xDFFF) {
      character = 0x10000 + ((character - 0xD800) << 10) + ((uint32_t)hex4(at + 8, 4) - 0xDC00);
      used = 12;
    }
  } else if (*at == '\\') {
    character = (unsigned char)values[strchr(names, at[1]) - names];
    used = 2;
  } else if (character >= 0x80) {
    used = utf8_length(at, *length);
    character &= used == 2 ? 0x1FU : used == 3 ? 0x0FU : 0x07U;
    for (size_t i = 1; i < used; i++)
      character = character << 6 | ((unsigned char)at[i] & 0x3FU);
  }
  *text += used;
  *length -= used;
  return character;
}

static bool
same_string(const CagmaJson *json, const CagmaJsonNode *a, const CagmaJsonNode *b)
{
  const char *text_a = json->text + a->start, *text_b = json->text + b->start;
  size_t length_a = a->length, length_b = b->length;

  while (length_a > 0 && length_b > 0) {
    if (next_character(&text_a, &length_a) != next_character(&text_b, &length_b))
      return false;
  }
  return length_a == 0 && length_b == 0;
}

/* The newest node is a key of the innermost object, whose end isn't known yet. */
static bool
is_duplicate_key(Parser *parser)
{
  const CagmaJson *json = parser->json;
  const CagmaJsonNode *added = &json->nodes[json->n_nodes - 1];
  const CagmaJsonNode *key = innermost(parser) + 1;

  while (key < added) {
    if (same_string(json, key, added))
      return true;
    key = &json->nodes[cagma_json_value(key)->next];
  }
  return false;
}

static bool
parse_key(Parser *parser)
{
  if (peek(parser) != '"')
    return fail(parser, "key is not a string");
  if (!parse_string(parser))
    return false;
  if (is_duplicate_key(parser))
    return fail(parser, "duplicate key");
  skip_blanks(parser);
  if (peek(parser) != ':')
    return fail(parser, "missing : after key");
  parser->at++;
  parser->expect = EXPECT_VALUE;
  return true;
}

static bool
parse_comma_or_end(Parser *parser)
{
  const int c = peek(parser);

  if (c == '}' || c == ']')
    return close_container(parser, c);
  if (c != ',')
    return fail(parser, "missing , between values");
  parser->at++;
  parser->expect = innermost(parser)->type == CAGMA_JSON_OBJECT ? EXPECT_KEY : EXPECT_VALUE;
  return true;
}

static bool
parse_next(Parser *parser)
{
  const int c = peek(parser);

  if (c < 0)
    return fail(parser, parser->json->n_nodes == 0 ? "nothing there" : "incomplete");
  switch (parser->expect) {
  case EXPECT_VALUE_OR_END:
    return c == ']' ? close_container(parser, c) : parse_value(parser);
  case EXPECT_KEY_OR_END:
    return c == '}' ? close_container(parser, c) : parse_key(parser);
  case EXPECT_KEY:
    return parse_key(parser);
  case EXPECT_COMMA_OR_END:
    return parse_comma_or_end(parser);
  case EXPECT_VALUE:
  case EXPECT_NOTHING:
  default:
    return parse_value(parser);
  }
}

bool
cagma_json_parse(CagmaJson *json, const char *text, size_t length, const char **problem)
{
  Parser parser = { .json = json, .length = length, .expect = EXPECT_VALUE };

  json->text = text;
  json->n_nodes = 0;
  do {
    skip_blanks(&parser);
    if (!parse_next(&parser)) {
      *problem = parser.problem;
      return false;
    }
  } while (parser.expect != EXPECT_NOTHING);
  skip_blanks(&parser);
  if (parser.at < length) {
    *problem = "more than one value";
    return false;
  }
  return true;
}

const CagmaJsonNode *
cagma_json_first_key(const CagmaJson *json, const CagmaJsonNode *object)
{
  const CagmaJsonNode *key = object + 1;

  return object->type == CAGMA_JSON_OBJECT && key < &json->nodes[object->next] ? key : NULL;
}

const CagmaJsonNode *
cagma_json_next_key(const CagmaJson *json, const CagmaJsonNode *object, const CagmaJsonNode *key)
{
  const CagmaJsonNode *next = &json->nodes[cagma_json_value(key)->next];

  return next < &json->nodes[object->next] ? next : NULL;
}

const CagmaJsonNode *
cagma_json_value(const CagmaJsonNode *key)
{
  return key + 1;
}

const CagmaJsonNode *
cagma_json_member(const CagmaJson *json, const CagmaJsonNode *object, const char *name)
{
  for (const CagmaJsonNode *key = cagma_json_first_key(json, object); key != NULL;
       key = cagma_json_next_key(json, object, key)) {
    if (cagma_json_equals(json, key, name))
      return cagma_json_value(key);
  }
  return NULL;
}

bool
cagma_json_equals(const CagmaJson *json, const CagmaJsonNode *string, const char *ascii)
{
  const char *text = json->text + string->start;
  size_t length = string->length;

  if (string->type != CAGMA_JSON_STRING)
    return false;
  while (length > 0 && *ascii != '\0') {
    if (next_character(&text, &length) != (unsigned char)*ascii++)
      return false;
  }
  return length == 0 && *ascii == '\0';
}

bool
cagma_json_int64(const CagmaJson *json, const CagmaJsonNode *number, int64_t *value)
{
  const char *text = json->text + number->start;
  const bool negative = number->length > 0 && *text == '-';
  const uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
  uint64_t magnitude = 0;

  if (number->type != CAGMA_JSON_NUMBER)
    return false;
  for (size_t i = negative ? 1 : 0; i < number->length; i++) {
    const uint64_t digit = (uint64_t)(text[i] - '0');

    if (!is_digit((unsigned char)text[i]) || magnitude > (limit - digit) / 10)
      return false;
    magnitude = magnitude * 10 + digit;
  }
  *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return true;
}
