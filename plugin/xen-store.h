/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* xenstore, read and written by a thread that may hang, with watches that fire in the
 * main loop. Two connections: one's watches can't delay the other's reads. Everything
 * here is called, and calls back, on the main loop. */

#define CAGMA_STORE_TOKEN_SIZE 24

/* Below a domain's own directory: what its agent writes, and what it is told. */
#define CAGMA_STORE_GUEST "data/cagma"
#define CAGMA_STORE_HOST "data/cagma-host"

typedef enum {
  CAGMA_STORE_WATCH, /* its agent's value, under the token; and tells it what is wanted */
  CAGMA_STORE_READ,  /* that value */
  CAGMA_STORE_LEAVE, /* no longer watches it */
} CagmaStoreKind;

typedef struct {
  CagmaStoreKind kind;
  unsigned domid;
  char token[CAGMA_STORE_TOKEN_SIZE]; /* WATCH, LEAVE: the watch's; "": there is none */
  const char *text;                   /* WATCH: what the agent is told; static */
  gboolean take_back;                 /* LEAVE: the agent is told nothing any more */
  gboolean look_for_driver;           /* READ */
  gpointer data;                      /* the owner's, freed with free_data on any thread */
  GDestroyNotify free_data;
  /* out */
  int error;       /* errno, or 0 */
  gboolean driver; /* READ, where it was looked for: a balloon driver has come up */
  char *value;     /* READ; any bytes */
  gsize length;
} CagmaStoreTask;

typedef struct {
  /* A watch fired. */
  void (*fired)(void *owner, const char *token);
  /* A WATCH or READ is done; valid during the call. */
  void (*done)(void *owner, const CagmaStoreTask *task);
  /* The connections broke: nothing is watched any more. */
  void (*lost)(void *owner);
} CagmaStoreListener;

typedef struct CagmaStore CagmaStore;

CagmaStore *cagma_store_new(const CagmaStoreListener *listener, void *owner);

/* Takes what is in the task, but for its out. Tasks are done one after the other. */
void cagma_store_push(CagmaStore *store, const CagmaStoreTask *task);

/* Nothing is called back any more. Waits up to two seconds for the LEAVEs that were
 * pushed, so that agents aren't left with what they were told, unless the connection has
 * broken; the process is about to end. */
void cagma_store_free(CagmaStore *store);
