/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/json.h"
#include "qga-ext/text.h"

/* A request as QMP has it: {"execute": NAME, "arguments": {…}, "id": ANY}, the last two
 * optional. Errors are worded as qemu-ga words them. */

typedef struct {
  CagmaJson json;
  const CagmaJsonNode *command;   /* a string */
  const CagmaJsonNode *arguments; /* an object, or NULL */
  const CagmaJsonNode *id;        /* any value, or NULL; set on failure too, where it could be told */
} CagmaRequest;

/* A longer id isn't echoed, and the request with it refused. */
#define CAGMA_ID_MAX ((size_t)512)

/* FALSE with a description written to problem. The text must outlive the request. */
bool cagma_request_parse(CagmaRequest *request, const char *text, size_t length, CagmaText *problem)
    __attribute__((warn_unused_result));

/* The value of the argument, or NULL. */
const CagmaJsonNode *cagma_request_argument(const CagmaRequest *request, const char *name);

/* FALSE, with a description, where there is an argument that isn't one of the names
 * (NULL-terminated). */
bool cagma_request_check_arguments(const CagmaRequest *request, const char *const *names, CagmaText *problem)
    __attribute__((warn_unused_result));

/* FALSE, with a description, where the argument is missing or no integer. */
bool cagma_request_int64(const CagmaRequest *request, const char *name, int64_t *value, CagmaText *problem)
    __attribute__((warn_unused_result));

/* A string of the request as an error may quote it: as it was written, or left out where
 * that is long. */
void cagma_request_quote(CagmaText *text, const CagmaRequest *request, const CagmaJsonNode *string);
