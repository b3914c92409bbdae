/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/json-strict.h"

#include <math.h>
#include <string.h>

#include "policy/sim/scenario.h"
#include "xml/error.h"

#define NUMBER_MAX 9007199254740992.0

typedef struct {
  const char *start;
  const char *at;
  const char *end;
  unsigned int depth;
  GError **error;
} Reader;

static gboolean
fail(Reader *reader, const char *what)
{
  size_t line = 1, column = 1;

  for (const char *p = reader->start; p < reader->at; p++, column++) {
    if (*p == '\n') {
      line++;
      column = 0;
    }
  }
  g_set_error(reader->error, CAGMA_SCENARIO_ERROR, CAGMA_SCENARIO_ERROR_SYNTAX, "line %zu, column %zu: %s",
              line, column, what);
  return FALSE;
}

/* The next character; NUL at the end, which no text has inside. */
static char
peek(const Reader *reader)
{
  return reader->at < reader->end ? *reader->at : '\0';
}

static gboolean
take(Reader *reader, char c)
{
  if (peek(reader) != c)
    return FALSE;
  reader->at++;
  return TRUE;
}

static void
skip_blanks(Reader *reader)
{
  while (peek(reader) && strchr(" \t\r\n", peek(reader)))
    reader->at++;
}

static gboolean
take_hex(Reader *reader, unsigned int *unit)
{
  *unit = 0;
  for (unsigned int i = 0; i < 4; i++, reader->at++) {
    if (!g_ascii_isxdigit(peek(reader)))
      return fail(reader, "\\u needs four hexadecimal digits");
    *unit = *unit * 16 + (unsigned int)g_ascii_xdigit_value(*reader->at);
  }
  return TRUE;
}

static gboolean
read_unicode(Reader *reader)
{
  unsigned int unit;

  if (!take_hex(reader, &unit))
    return FALSE;
  if (unit == 0)
    return fail(reader, "a string holds NUL");
  if (unit < 0xD800 || unit > 0xDFFF)
    return TRUE;
  if (unit > 0xDBFF || !take(reader, '\\') || !take(reader, 'u'))
    return fail(reader, "half of a surrogate pair");
  if (!take_hex(reader, &unit))
    return FALSE;
  return (unit >= 0xDC00 && unit <= 0xDFFF) || fail(reader, "half of a surrogate pair");
}

static gboolean
read_escape(Reader *reader)
{
  char c = peek(reader);

  if (!c || !strchr("\"\\/bfnrtu", c))
    return fail(reader, "no such escape");
  reader->at++;
  return c != 'u' || read_unicode(reader);
}

static gboolean
read_string(Reader *reader)
{
  reader->at++;
  while (!take(reader, '"')) {
    if (reader->at == reader->end)
      return fail(reader, "a string that doesn't end");
    if ((unsigned char)*reader->at < 0x20)
      return fail(reader, "a control character in a string");
    if (take(reader, '\\')) {
      if (!read_escape(reader))
        return FALSE;
    } else {
      reader->at++;
    }
  }
  return TRUE;
}

static gboolean
take_digits(Reader *reader)
{
  const char *first = reader->at;

  while (g_ascii_isdigit(peek(reader)))
    reader->at++;
  return reader->at > first;
}

static gboolean
read_number(Reader *reader)
{
  const char *first = reader->at;
  g_autofree char *number = NULL;

  take(reader, '-');
  if (!take(reader, '0') && !take_digits(reader))
    return fail(reader, "not JSON");
  if (take(reader, '.') && !take_digits(reader))
    return fail(reader, "a number needs digits behind its point");
  if (take(reader, 'e') || take(reader, 'E')) {
    if (!take(reader, '+'))
      take(reader, '-');
    if (!take_digits(reader))
      return fail(reader, "a number needs digits in its exponent");
  }
  number = g_strndup(first, (gsize)(reader->at - first));
  reader->at = first;
  if (!(fabs(g_ascii_strtod(number, NULL)) < NUMBER_MAX))
    return fail(reader, "a number that is too large");
  reader->at += strlen(number);
  return TRUE;
}

static gboolean read_value(Reader *reader);

static gboolean
check_key(Reader *reader, const char *key, GHashTable *keys)
{
  g_autofree char *shown = NULL;
  g_autofree char *message = NULL;

  if (strchr(key, '\\'))
    return fail(reader, "a key with escapes");
  if (!g_hash_table_contains(keys, key))
    return TRUE;
  shown = cagma_printable(key, CAGMA_QUOTE_CHARS);
  message = g_strdup_printf("'%s' is there twice", shown);
  return fail(reader, message);
}

static gboolean
read_key(Reader *reader, GHashTable *keys)
{
  const char *first = reader->at, *end;
  g_autofree char *key = NULL;

  if (peek(reader) != '"')
    return fail(reader, "a key in quotation marks is missing");
  if (!read_string(reader))
    return FALSE;
  end = reader->at;
  key = g_strndup(first + 1, (gsize)(end - first - 2));
  reader->at = first;
  if (!check_key(reader, key, keys))
    return FALSE;
  reader->at = end;
  g_hash_table_add(keys, g_steal_pointer(&key));
  return TRUE;
}

static gboolean
read_member(Reader *reader, GHashTable *keys)
{
  skip_blanks(reader);
  if (!read_key(reader, keys))
    return FALSE;
  skip_blanks(reader);
  if (!take(reader, ':'))
    return fail(reader, "':' is missing");
  return read_value(reader);
}

static gboolean
read_members(Reader *reader)
{
  g_autoptr(GHashTable) keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

  skip_blanks(reader);
  if (take(reader, '}'))
    return TRUE;
  do {
    if (!read_member(reader, keys))
      return FALSE;
  } while (take(reader, ','));
  return take(reader, '}') || fail(reader, "',' or '}' is missing");
}

static gboolean
read_elements(Reader *reader)
{
  skip_blanks(reader);
  if (take(reader, ']'))
    return TRUE;
  do {
    if (!read_value(reader))
      return FALSE;
  } while (take(reader, ','));
  return take(reader, ']') || fail(reader, "',' or ']' is missing");
}

static gboolean
read_container(Reader *reader)
{
  gboolean is_object = peek(reader) == '{';

  if (++reader->depth > CAGMA_JSON_DEPTH_MAX)
    return fail(reader, "nested too deep");
  reader->at++;
  if (!(is_object ? read_members(reader) : read_elements(reader)))
    return FALSE;
  reader->depth--;
  return TRUE;
}

static gboolean
read_word(Reader *reader)
{
  static const char *const words[] = { "true", "false", "null" };
  size_t left = (size_t)(reader->end - reader->at);

  for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
    size_t length = strlen(words[i]);

    if (left >= length && !memcmp(reader->at, words[i], length)) {
      reader->at += length;
      return TRUE;
    }
  }
  return FALSE;
}

/* With the blanks around it. */
static gboolean
read_value(Reader *reader)
{
  gboolean good;

  skip_blanks(reader);
  if (peek(reader) == '{' || peek(reader) == '[')
    good = read_container(reader);
  else if (peek(reader) == '"')
    good = read_string(reader);
  else
    good = read_word(reader) || read_number(reader);
  skip_blanks(reader);
  return good;
}

gboolean
cagma_json_check(const char *text, gsize length, GError **error)
{
  Reader reader = { .start = text, .at = text, .end = text + length, .error = error };

  if (!g_utf8_validate_len(text, length, &reader.at))
    return fail(&reader, "not UTF-8");
  reader.at = text;
  if (!read_value(&reader))
    return FALSE;
  return reader.at == reader.end || fail(&reader, "something behind the end");
}
