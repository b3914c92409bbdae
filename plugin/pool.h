/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

#include "plugin/backend.h"

/* Workers that carry out requests, a libvirt connection each. A call into libvirt
 * can't be cancelled: a QEMU that hangs keeps its caller, one of the connection's
 * five request slots and one of libvirtd's twenty workers until it goes on. So a
 * worker past its request's deadline is abandoned together with its connection,
 * and another takes its place. */

/* libvirtd serves 5 requests of a connection and has 20 workers (its defaults);
 * other clients need some too. */
#define CAGMA_POOL_WORKERS 4
/* So many more from the first time on that a balloon is to be set while all are busy. */
#define CAGMA_POOL_EXPRESS 1
/* Hung domains hold at most this many workers beyond these; a domain that holds
 * one is asked nothing more, so 12 + 3 hung at once are borne. Beyond that,
 * requests wait until one goes on. */
#define CAGMA_POOL_ABANDONED_MAX 12
/* A worker that takes longer than this isn't counted on: another is started, so that
 * several that hang at once don't keep all others waiting until their deadline.
 * Answers take milliseconds. */
#define CAGMA_POOL_SLOW_US (G_USEC_PER_SEC / 2)

/* Carries out the request on the worker's own connection; may take long. Runs on a
 * worker: it must touch nothing but its arguments. domains: that connection's
 * virDomainPtr by UUID, the worker's own. */
typedef void (*CagmaPoolWork)(virConnectPtr conn, GHashTable *domains, CagmaRequest *request);

/* A request is done, on the main loop. */
typedef void (*CagmaPoolDone)(void *owner, CagmaRequest *request);

typedef struct CagmaPool CagmaPool;

CagmaPool *cagma_pool_new(const char *uri, CagmaPoolWork work, CagmaPoolDone done, void *owner);

/* Takes the request, and gives it back through done, once. One to a domain that an abandoned
 * worker is still at comes back OCCUPIED, or, where it was its status, as TIMEOUT; but for one to
 * its guest's agent. */
void cagma_pool_push(CagmaPool *pool, CagmaRequest *request);

/* The domain's request, if it still waits, is done before all others, and its answer
 * given back at once: a balloon is to be set next. */
void cagma_pool_hurry(CagmaPool *pool, const char *uuid);

/* The daemon is gone: what waits is given back as LOST, and connections are
 * opened anew when next needed. */
void cagma_pool_reset(CagmaPool *pool);

/* Nothing is called back any more. Workers end by themselves, those that hang when
 * they go on. */
void cagma_pool_free(CagmaPool *pool);
