/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "plugin/meminfo.h"
#include "policy/sample.h"

/* What the manager needs of a hypervisor: requests about one domain, answered
 * later, and events. Nothing here blocks; everything is called and answered on the
 * main loop. Implementations: libvirt (backend-libvirt.c), and a scripted one in
 * the tests. */

#define CAGMA_UUID_SIZE 37

typedef enum {
  CAGMA_REQUEST_DESCRIBE, /* its XML and state; sets the statistics period where it has none */
  CAGMA_REQUEST_SAMPLE,   /* its figures */
  CAGMA_REQUEST_SET,      /* its balloon's target */
  CAGMA_REQUEST_STATUS,   /* its status metadata */
  CAGMA_REQUEST_AGENT,    /* a command to its QEMU guest agent */
} CagmaRequestKind;

typedef enum {
  CAGMA_OUTCOME_DONE,
  CAGMA_OUTCOME_FAILED,   /* with error: refused, nothing happened */
  CAGMA_OUTCOME_BUSY,     /* a job (migration, save …) runs on the domain: nothing was asked of it */
  CAGMA_OUTCOME_OCCUPIED, /* its hypervisor process is busy answering somebody, or hangs */
  CAGMA_OUTCOME_TIMEOUT,  /* no answer by the deadline: whether it happened isn't known */
  CAGMA_OUTCOME_GONE,     /* no such domain runs */
  CAGMA_OUTCOME_LOST,     /* no connection */
} CagmaOutcome;

/* So long an agent that is there has for an answer. */
#define CAGMA_AGENT_COMMAND_S 3

typedef struct {
  CagmaRequestKind kind;
  char uuid[CAGMA_UUID_SIZE];
  unsigned tag; /* the owner's, to know its answer by */
  /* in */
  uint64_t target_kib;     /* SET */
  char *status_xml;        /* STATUS; NULL: remove it */
  unsigned stats_period_s; /* DESCRIBE: to be set where managed domains have none; 0: leave */
  gboolean block_reads;    /* SAMPLE: block reads too */
  const char *command;     /* AGENT; static */
  gboolean jobs;           /* SAMPLE: BUSY where a job runs, although its figures could be had */
  int64_t deadline_us;     /* how long it may take */
  /* out */
  CagmaOutcome outcome;
  GError *error;
  CagmaSample sample;
  char *xml;
  uint64_t max_kib; /* DESCRIBE: its <memory> where that is known, whatever the outcome; or 0 */
  gboolean paused;
  gboolean stats_period_set;
  char *reply;      /* AGENT */
  gboolean unasked; /* LOST, and it never was on its way */
} CagmaRequest;

CagmaRequest *cagma_request_new(CagmaRequestKind kind, const char *uuid);
void cagma_request_free(CagmaRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaRequest, cagma_request_free)

typedef enum {
  CAGMA_EVENT_STARTED, /* began to run: booted, restored, or arrived by migration */
  CAGMA_EVENT_STOPPED,
  CAGMA_EVENT_PAUSED,
  CAGMA_EVENT_RESUMED,
  CAGMA_EVENT_REBOOTED, /* its guest began anew */
  CAGMA_EVENT_CHANGED,  /* its XML did: metadata, devices */
  CAGMA_EVENT_DEVICE_ADDED,
  CAGMA_EVENT_BALLOON, /* its balloon has another size */
  CAGMA_EVENT_AGENT,   /* its guest agent came or went */
} CagmaEventKind;

typedef struct {
  CagmaEventKind kind;
  char uuid[CAGMA_UUID_SIZE];
  const char *name;    /* valid during the call */
  uint64_t actual_kib; /* BALLOON */
} CagmaEvent;

typedef struct {
  char uuid[CAGMA_UUID_SIZE];
  char *name;
  int id;
} CagmaRunning;

/* What a backend tells its owner. */
typedef struct {
  /* Connected; running: every domain that runs, CagmaRunning, the backend's. */
  void (*connected)(void *owner, GPtrArray *running);
  void (*disconnected)(void *owner, const char *reason);
  void (*event)(void *owner, const CagmaEvent *event);
  /* A submitted request is done, exactly once; it is now the owner's. */
  void (*completed)(void *owner, CagmaRequest *request);
  /* A domain's own agent speaks, on a way of its own; with pressure, because its guest
   * is short of memory now. sample: valid during the call. */
  void (*guest)(void *owner, const char *uuid, const CagmaSample *sample, gboolean pressure);
  /* It was asked to bring memory back, and has so far asked its kernel for kib; done: that is
   * all there was. */
  void (*read_back)(void *owner, const char *uuid, uint64_t kib, gboolean done);
  /* That agent no longer answers. */
  void (*guest_lost)(void *owner, const char *uuid, const char *reason);
} CagmaListener;

typedef struct CagmaBackend CagmaBackend;

struct CagmaBackend {
  /* Begins to connect, and goes on trying until closed. */
  void (*open)(CagmaBackend *backend, const CagmaListener *listener, void *owner);
  /* Takes the request. The owner has at most one in flight for each domain, and one
   * AGENT beside it. */
  void (*submit)(CagmaBackend *backend, CagmaRequest *request);
  /* The request it has in flight is to be done before others': its balloon is to be set
   * next. Not its AGENT request. */
  void (*hurry)(CagmaBackend *backend, const char *uuid);
  /* Listens to the domain's own agent, or no longer. */
  void (*listen)(CagmaBackend *backend, const char *uuid, gboolean on);
  /* Asks it for its figures, or looks whether it is there: once a period. */
  void (*ask)(CagmaBackend *backend, const char *uuid);
  /* Asks it for its load. */
  void (*ask_load)(CagmaBackend *backend, const char *uuid);
  /* Asks it to bring back memory that its guest has swapped out, up to max_kib. */
  void (*read_back)(CagmaBackend *backend, const char *uuid, uint64_t max_kib);
  /* The host's own figures: what it has for guests, and what of it is free now. At once:
   * the main loop waits. */
  gboolean (*host_memory)(CagmaBackend *backend, CagmaHostMemory *memory, GError **error);
  /* Ends everything; nothing is called back afterwards. Frees the backend. */
  void (*close)(CagmaBackend *backend);
};
