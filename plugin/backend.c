/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/backend.h"

/* A hung QEMU is given up on after this long. Answers take milliseconds; a host
 * under load, seconds. */
#define DEADLINE_US (5 * G_USEC_PER_SEC)

CagmaRequest *
cagma_request_new(CagmaRequestKind kind, const char *uuid)
{
  CagmaRequest *request = g_new0(CagmaRequest, 1);

  request->kind = kind;
  g_strlcpy(request->uuid, uuid, sizeof request->uuid);
  request->deadline_us = DEADLINE_US;
  return request;
}

void
cagma_request_free(CagmaRequest *request)
{
  if (!request)
    return;
  g_clear_error(&request->error);
  g_free(request->status_xml);
  g_free(request->xml);
  g_free(request->reply);
  g_free(request);
}
