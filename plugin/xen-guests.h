/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/guests.h"

/* Xen's guests: their agents write to data/cagma in xenstore (docs/agent-protocol.md), a
 * watch on it fires here, and it is read. Used on the main loop; what may wait for
 * xenstored is done on a thread of its own (xen-store.h): should that hang, guests are
 * no longer heard, and nothing else. */

/* How often an agent is to write, and its trigger: as with channels.c. */
#define CAGMA_XEN_GUEST_WANTED "{\"interval-ms\": 1000, \"stall-us\": 25000, \"window-us\": 500000}"
/* So long without news, and the agent is taken for gone. One that wasn't told what is wanted
 * writes each 5 s. */
#define CAGMA_XEN_GUEST_SILENT_US (8 * G_USEC_PER_SEC)
/* An agent writes no more than 20 times a second for want of memory, and once by its
 * interval. One whose watch fires more often isn't watched for a while (penalty.h), but
 * read whenever it is asked. */
#define CAGMA_XEN_GUEST_FIRES_PER_S 25

/* What it needs of the hypervisor: at once, on the main loop. */
typedef struct {
  /* FALSE: no such domain runs. */
  gboolean (*domid)(gpointer data, const char *uuid, unsigned *domid);
  /* Whether a balloon driver has come up in it. */
  void (*driver)(gpointer data, unsigned domid, gboolean up);
  gpointer data;
} CagmaXenGuestsHost;

/* Copies host. Free with its free(), which may wait for two seconds. */
CagmaGuests *cagma_xen_guests_new(const CagmaXenGuestsHost *host, const CagmaGuestsListener *listener,
                                  void *owner);
