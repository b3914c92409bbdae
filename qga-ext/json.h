/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A JSON parser (RFC 8259) for what a stranger sends: strict, without allocation, without
 * recursion, and with a bound on everything. It says what the text is made of; values are
 * taken out of the text when they are asked for.
 *
 * Refused beyond what the RFC refuses: duplicate keys, also where one of them is written
 * with escapes; \u escapes of half a surrogate pair; text deeper or with more parts than
 * below. Numbers are checked in form only. */

/* Containers inside each other. A request needs two; the rest is for its "id", which may
 * be any value. */
#define CAGMA_JSON_MAX_DEPTH 16

/* Values and keys. The largest request of ours has 15. */
#define CAGMA_JSON_MAX_NODES 128

typedef enum {
  CAGMA_JSON_OBJECT,
  CAGMA_JSON_ARRAY,
  CAGMA_JSON_STRING,
  CAGMA_JSON_NUMBER,
  CAGMA_JSON_LITERAL, /* true, false, null */
} CagmaJsonType;

typedef struct {
  CagmaJsonType type;
  uint16_t next; /* the node after this one and all inside it */
  size_t start;  /* in the text; of a string, after the quotation mark */
  size_t length; /* of a string, between the quotation marks, escapes as written */
} CagmaJsonNode;

/* Nodes stand in the order of the text: nodes[0] is the whole, an object's keys and values
 * alternate. The text stays the caller's, and must outlive this. */
typedef struct {
  const char *text;
  size_t n_nodes;
  CagmaJsonNode nodes[CAGMA_JSON_MAX_NODES];
} CagmaJson;

/* FALSE, with *problem a constant that says why, where the text isn't exactly one value. */
bool cagma_json_parse(CagmaJson *json, const char *text, size_t length, const char **problem)
    __attribute__((warn_unused_result));

/* The members of an object: the first key, the key after another, and the value of a key.
 * NULL where there is none (or no object). */
const CagmaJsonNode *cagma_json_first_key(const CagmaJson *json, const CagmaJsonNode *object);
const CagmaJsonNode *cagma_json_next_key(const CagmaJson *json, const CagmaJsonNode *object,
                                         const CagmaJsonNode *key);
const CagmaJsonNode *cagma_json_value(const CagmaJsonNode *key);

/* The value of the member of that name, or NULL. */
const CagmaJsonNode *cagma_json_member(const CagmaJson *json, const CagmaJsonNode *object, const char *name);

/* TRUE where the node is a string that, escapes resolved, equals the ASCII text. */
bool cagma_json_equals(const CagmaJson *json, const CagmaJsonNode *string, const char *ascii);

/* FALSE where the node isn't a whole number in the range of int64_t, written without
 * fraction or exponent. */
bool cagma_json_int64(const CagmaJson *json, const CagmaJsonNode *number, int64_t *value)
    __attribute__((warn_unused_result));
