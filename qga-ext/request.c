/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/request.h"

/* Longer than any name of a command or argument. */
#define QUOTE_MAX 64

static bool
fail(CagmaText *problem, const char *before, const char *name, const char *after)
{
  cagma_text_string(problem, before);
  cagma_text_string(problem, name);
  cagma_text_string(problem, after);
  return false;
}

void
cagma_request_quote(CagmaText *text, const CagmaRequest *request, const CagmaJsonNode *string)
{
  if (string->length > QUOTE_MAX)
    cagma_text_string(text, "...");
  else
    cagma_text_bytes(text, request->json.text + string->start, string->length);
}

/* The text of an error behind the name of a member. */
static bool
fail_member(const CagmaRequest *request, const CagmaJsonNode *key, CagmaText *problem, const char *before)
{
  cagma_text_string(problem, before);
  cagma_request_quote(problem, request, key);
  cagma_text_string(problem, "' is unexpected");
  return false;
}

static bool
check_members(CagmaRequest *request, CagmaText *problem)
{
  const CagmaJson *json = &request->json;
  const CagmaJsonNode *root = json->nodes;

  for (const CagmaJsonNode *key = cagma_json_first_key(json, root); key != NULL;
       key = cagma_json_next_key(json, root, key)) {
    if (!cagma_json_equals(json, key, "execute") && !cagma_json_equals(json, key, "arguments") &&
        !cagma_json_equals(json, key, "id"))
      return fail_member(request, key, problem, "QMP input member '");
  }
  return true;
}

bool
cagma_request_parse(CagmaRequest *request, const char *text, size_t length, CagmaText *problem)
{
  CagmaJson *json = &request->json;
  const char *why;

  request->command = request->arguments = request->id = NULL;
  if (!cagma_json_parse(json, text, length, &why))
    return fail(problem, "JSON parse error, ", why, "");
  if (json->nodes[0].type != CAGMA_JSON_OBJECT)
    return fail(problem, "QMP input must be a JSON object", "", "");
  request->id = cagma_json_member(json, json->nodes, "id");
  if (request->id != NULL && request->id->length > CAGMA_ID_MAX) {
    request->id = NULL;
    return fail(problem, "QMP input member 'id' is too long", "", "");
  }
  if (!check_members(request, problem))
    return false;
  request->command = cagma_json_member(json, json->nodes, "execute");
  request->arguments = cagma_json_member(json, json->nodes, "arguments");
  if (request->command == NULL)
    return fail(problem, "QMP input lacks member 'execute'", "", "");
  if (request->command->type != CAGMA_JSON_STRING)
    return fail(problem, "QMP input member 'execute' must be a string", "", "");
  if (request->arguments != NULL && request->arguments->type != CAGMA_JSON_OBJECT)
    return fail(problem, "QMP input member 'arguments' must be an object", "", "");
  return true;
}

const CagmaJsonNode *
cagma_request_argument(const CagmaRequest *request, const char *name)
{
  return request->arguments != NULL ? cagma_json_member(&request->json, request->arguments, name) : NULL;
}

static bool
is_one_of(const CagmaRequest *request, const CagmaJsonNode *key, const char *const *names)
{
  for (; *names != NULL; names++) {
    if (cagma_json_equals(&request->json, key, *names))
      return true;
  }
  return false;
}

bool
cagma_request_check_arguments(const CagmaRequest *request, const char *const *names, CagmaText *problem)
{
  const CagmaJsonNode *arguments = request->arguments;

  if (arguments == NULL)
    return true;
  for (const CagmaJsonNode *key = cagma_json_first_key(&request->json, arguments); key != NULL;
       key = cagma_json_next_key(&request->json, arguments, key)) {
    if (!is_one_of(request, key, names))
      return fail_member(request, key, problem, "Parameter '");
  }
  return true;
}

bool
cagma_request_int64(const CagmaRequest *request, const char *name, int64_t *value, CagmaText *problem)
{
  const CagmaJsonNode *argument = cagma_request_argument(request, name);

  if (argument == NULL)
    return fail(problem, "Parameter '", name, "' is missing");
  if (!cagma_json_int64(&request->json, argument, value))
    return fail(problem, "Invalid parameter type for '", name, "', expected: integer");
  return true;
}
