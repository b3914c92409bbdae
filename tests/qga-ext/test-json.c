/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "qga-ext/json.h"
#include "tests/qga-ext/kit.h"

/* A literal, NULs included. */
#define TEXT(literal) literal, sizeof(literal) - 1

typedef struct {
  const char *text;
  size_t length;
} Text;

static gboolean
parses(const char *text, size_t length, const char **problem)
{
  /* Of its own size, so that a read beyond the end is seen. */
  g_autofree char *copy = length > 0 ? g_memdup2(text, length) : g_strdup("");
  CagmaJson json;

  return cagma_json_parse(&json, copy, length, problem);
}

static void
values_of_all_kinds_are_parsed(void)
{
  static const Text cases[] = {
    { TEXT("{}") },
    { TEXT("[]") },
    { TEXT(" \t\r\n{ \"a\" : [ 1 , true , null , \"x\" ] } \n") },
    { TEXT("\"\"") },
    { TEXT("0") },
    { TEXT("-0") },
    { TEXT("-12.50e+3") },
    { TEXT("1E400") },
    { TEXT("123456789012345678901234567890") },
    { TEXT("false") },
    { TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u0000\\ud83d\\uDE00\"") },
    { TEXT("\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF\"") },
    { TEXT("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]") },
    { TEXT("{\"a\": 1, \"A\": 2, \"\": 3, \"a \": {\"a\": 4}}") },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const char *problem = NULL;
    note(cases[i].text);
    g_assert_true(parses(cases[i].text, cases[i].length, &problem));
  }
}

static void
anything_else_is_refused_with_a_reason(void)
{
  static const struct {
    Text text;
    const char *says;
  } cases[] = {
    { { TEXT("") }, "nothing there" },
    { { TEXT("  ") }, "nothing there" },
    { { TEXT("{") }, "incomplete" },
    { { TEXT("[1") }, "incomplete" },
    { { TEXT("[1,") }, "incomplete" },
    { { TEXT("{\"a\"") }, "missing :" },
    { { TEXT("{\"a\":") }, "incomplete" },
    { { TEXT("{\"a\":1,}") }, "key is not a string" },
    { { TEXT("{1:2}") }, "key is not a string" },
    { { TEXT("{,}") }, "key is not a string" },
    { { TEXT("{\"a\" 1}") }, "missing :" },
    { { TEXT("[1 2]") }, "missing ," },
    { { TEXT("[1,]") }, "invalid keyword" },
    { { TEXT("[1}") }, "mismatched" },
    { { TEXT("{\"a\":1]") }, "mismatched" },
    { { TEXT("}") }, "invalid keyword" },
    { { TEXT("{} {}") }, "more than one" },
    { { TEXT("1 1") }, "more than one" },
    { { TEXT("{}\0") }, "more than one" },
    { { TEXT("\0") }, "invalid keyword" },
    { { TEXT("nul") }, "invalid keyword" },
    { { TEXT("nulll") }, "more than one" },
    { { TEXT("True") }, "invalid keyword" },
    { { TEXT("NaN") }, "invalid keyword" },
    { { TEXT("'a'") }, "invalid keyword" },
    { { TEXT("\xEF\xBB\xBF{}") }, "invalid keyword" },
    { { TEXT("// x\n1") }, "invalid keyword" },
    { { TEXT("+1") }, "invalid keyword" },
    { { TEXT("-") }, "invalid number" },
    { { TEXT("-a") }, "invalid number" },
    { { TEXT("01") }, "more than one" },
    { { TEXT("1.") }, "invalid number" },
    { { TEXT(".5") }, "invalid keyword" },
    { { TEXT("1.e1") }, "invalid number" },
    { { TEXT("1e") }, "invalid number" },
    { { TEXT("1e+") }, "invalid number" },
    { { TEXT("0x10") }, "more than one" },
    { { TEXT("\"") }, "unterminated" },
    { { TEXT("\"a") }, "unterminated" },
    { { TEXT("\"\\") }, "invalid escape" },
    { { TEXT("\"\\x41\"") }, "invalid escape" },
    { { TEXT("\"\\\0\"") }, "invalid escape" },
    { { TEXT("\"\\u12\"") }, "\\u escape" },
    { { TEXT("\"\\u12g4\"") }, "\\u escape" },
    { { TEXT("\"\\u") }, "\\u escape" },
    { { TEXT("\"\\ud800\"") }, "surrogate" },
    { { TEXT("\"\\udc00\"") }, "surrogate" },
    { { TEXT("\"\\ud800\\ud800\"") }, "surrogate" },
    { { TEXT("\"\\ud800\\u0041\"") }, "surrogate" },
    { { TEXT("\"\\ud800\\udc0") }, "surrogate" },
    { { TEXT("\"a\nb\"") }, "control character" },
    { { TEXT("\"a\0b\"") }, "control character" },
    { { TEXT("\"\x80\"") }, "UTF-8" },
    { { TEXT("\"\xC3\"") }, "UTF-8" },
    { { TEXT("\"\xC3") }, "UTF-8" },
    { { TEXT("\"\xC0\x80\"") }, "UTF-8" },
    { { TEXT("\"\xE0\x80\x80\"") }, "UTF-8" },
    { { TEXT("\"\xED\xA0\x80\"") }, "UTF-8" },
    { { TEXT("\"\xF0\x8F\xBF\xBF\"") }, "UTF-8" },
    { { TEXT("\"\xF4\x90\x80\x80\"") }, "UTF-8" },
    { { TEXT("\"\xF8\x88\x80\x80\x80\"") }, "UTF-8" },
    { { TEXT("\"\xFF\"") }, "UTF-8" },
    { { TEXT("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]") }, "too deeply" },
    { { TEXT("{\"a\":1,\"a\":2}") }, "duplicate" },
    { { TEXT("{\"b\":{\"a\":[1]},\"a\":1,\"\\u0062\":2}") }, "duplicate" },
    { { TEXT("{\"\xC3\xA9\":1,\"\\u00E9\":2}") }, "duplicate" },
    { { TEXT("{\"\xF0\x9F\x98\x80\":1,\"\\ud83d\\ude00\":2}") }, "duplicate" },
    { { TEXT("[{\"\":1,\"\":2}]") }, "duplicate" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const char *problem = NULL;
    note(cases[i].text.text);
    g_assert_false(parses(cases[i].text.text, cases[i].text.length, &problem));
    g_assert_nonnull(problem);
    g_assert_nonnull(strstr(problem, cases[i].says));
  }
}

static void
every_beginning_of_a_value_is_refused(void)
{
  static const char whole[] = "{\"execute\": \"guest-\\u0073ync\", \"arguments\": {\"id\": -12}, \"id\": "
                              "[true, {\"\xC3\xA9\": 1.5e2}]}";

  for (size_t length = 0; length < sizeof(whole) - 1; length++) {
    const char *problem;
    g_assert_false(parses(whole, length, &problem));
  }
  g_assert_true(parses(whole, sizeof(whole) - 1, &(const char *){ NULL }));
}

static void
parts_are_limited(void)
{
  for (size_t n = CAGMA_JSON_MAX_NODES - 2; n <= CAGMA_JSON_MAX_NODES + 2; n++) {
    g_autoptr(GString) text = g_string_new("[1");
    const char *problem = NULL;

    for (size_t i = 1; i < n; i++)
      g_string_append(text, ",1");
    g_string_append_c(text, ']');
    if (n + 1 <= CAGMA_JSON_MAX_NODES) {
      g_assert_true(parses(text->str, text->len, &problem));
    } else {
      g_assert_false(parses(text->str, text->len, &problem));
      g_assert_cmpstr(problem, ==, "too many values");
    }
  }
}

static void
depth_costs_nothing(void)
{
  g_autofree char *deep = g_strnfill(10000, '[');
  const char *problem = NULL;

  g_assert_false(parses(deep, 10000, &problem));
  g_assert_cmpstr(problem, ==, "nested too deeply");
}

static void
members_are_found_by_their_resolved_name(void)
{
  static const char text[] =
      "{\"x\": {\"a\": 1}, \"\\u0065xecute\": \"gu\\u0065st-ping\", \"l\": [{\"z\": 2}], \"a\": 7}";
  CagmaJson json;
  const char *problem;
  const CagmaJsonNode *node;
  int64_t value = 0;

  g_assert_true(cagma_json_parse(&json, text, sizeof(text) - 1, &problem));
  node = cagma_json_member(&json, json.nodes, "execute");
  g_assert_nonnull(node);
  g_assert_true(cagma_json_equals(&json, node, "guest-ping"));
  g_assert_false(cagma_json_equals(&json, node, "guest-pin"));
  g_assert_false(cagma_json_equals(&json, node, "guest-pings"));
  g_assert_false(cagma_json_equals(&json, node, ""));
  g_assert_true(cagma_json_int64(&json, cagma_json_member(&json, json.nodes, "a"), &value));
  g_assert_cmpint(value, ==, 7);
  g_assert_null(cagma_json_member(&json, json.nodes, "z"));
  g_assert_null(cagma_json_member(&json, json.nodes, "guest-ping"));
  g_assert_null(cagma_json_member(&json, cagma_json_member(&json, json.nodes, "l"), "z"));
}

static void
integers_are_taken_whole_or_not_at_all(void)
{
  static const struct {
    const char *text;
    gboolean ok;
    int64_t value;
  } cases[] = {
    { "0", TRUE, 0 },
    { "-0", TRUE, 0 },
    { "-1", TRUE, -1 },
    { "9223372036854775807", TRUE, INT64_MAX },
    { "-9223372036854775808", TRUE, INT64_MIN },
    { "9223372036854775808", FALSE, 0 },
    { "-9223372036854775809", FALSE, 0 },
    { "18446744073709551616", FALSE, 0 },
    { "99999999999999999999999999", FALSE, 0 },
    { "1.0", FALSE, 0 },
    { "1e2", FALSE, 0 },
    { "\"1\"", FALSE, 0 },
    { "true", FALSE, 0 },
    { "{}", FALSE, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaJson json;
    const char *problem;
    int64_t value = 77;

    note(cases[i].text);
    g_assert_true(cagma_json_parse(&json, cases[i].text, strlen(cases[i].text), &problem));
    g_assert_cmpint(cagma_json_int64(&json, json.nodes, &value), ==, cases[i].ok);
    g_assert_cmpint(value, ==, cases[i].ok ? cases[i].value : 77);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/json/values-of-all-kinds-are-parsed", values_of_all_kinds_are_parsed);
  g_test_add_func("/json/anything-else-is-refused-with-a-reason", anything_else_is_refused_with_a_reason);
  g_test_add_func("/json/every-beginning-of-a-value-is-refused", every_beginning_of_a_value_is_refused);
  g_test_add_func("/json/parts-are-limited", parts_are_limited);
  g_test_add_func("/json/depth-costs-nothing", depth_costs_nothing);
  g_test_add_func("/json/members-are-found-by-their-resolved-name", members_are_found_by_their_resolved_name);
  g_test_add_func("/json/integers-are-taken-whole-or-not-at-all", integers_are_taken_whole_or_not_at_all);
  return g_test_run();
}
