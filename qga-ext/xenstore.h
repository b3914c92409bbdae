/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qga-ext/log.h"

/* A client of xenstore: one request at a time, and news of a watch in between. The path is
 * that of the kernel's device, /dev/xen/xenbus, or of a socket as xenstored has; the bytes
 * are the same. Paths that don't begin with a slash are below the guest's own home.
 *
 * Reads and writes don't wait, but for one thing: the kernel itself waits for the answer to
 * a watch that is set through its device. So whoever sets one has had an answer before.
 *
 * A connection that is lost, or on which nonsense comes or no answer, is made anew: after a
 * while that doubles, until cagma_xenstore_is_well() is called. */

/* struct xsd_sockmsg and XENSTORE_PAYLOAD_MAX of xen/io/xs_wire.h. */
#define CAGMA_XENSTORE_HEADER ((size_t)16)
#define CAGMA_XENSTORE_PAYLOAD_MAX ((size_t)4096)

/* No request of ours has more payload. */
#define CAGMA_XENSTORE_REQUEST_MAX ((size_t)2048)

/* xenstored answers within a ms; dom0 may be busy, or xenstored be replaced. */
#define CAGMA_XENSTORE_REPLY_US ((uint64_t)5000000)

#define CAGMA_XENSTORE_RETRY_MIN_US ((uint64_t)200000)
#define CAGMA_XENSTORE_RETRY_MAX_US ((uint64_t)10000000)

/* enum xsd_sockmsg_type, as far as it is needed. */
typedef enum {
  CAGMA_XS_NONE = 0, /* there is one of that number, but not for us */
  CAGMA_XS_READ = 2,
  CAGMA_XS_WATCH = 4,
  CAGMA_XS_WRITE = 11,
  CAGMA_XS_WATCH_EVENT = 15,
  CAGMA_XS_ERROR = 16,
} CagmaXenstoreType;

typedef struct {
  CagmaXenstoreType type; /* of the request that is answered; CAGMA_XS_WATCH_EVENT: none */
  bool refused;           /* the payload says why: "ENOENT" */
  const char *payload;    /* valid until the next call; whatever bytes they are */
  size_t length;
} CagmaXenstoreMessage;

typedef struct {
  const char *path;
  const CagmaLog *log;
  int epoll_fd;
  uint32_t tag;
  int fd; /* -1: none */
  bool readable;
  bool writable;
  uint64_t connections; /* how often one was made */
  uint64_t retry_us;    /* when to make the next */
  uint64_t backoff_us;
  bool complained; /* since it was well */

  CagmaXenstoreType request; /* that waits for its answer */
  uint32_t request_id;
  uint64_t reply_due_us;
  int write_errno; /* the kernel's own answer to it; 0: none */

  size_t output_at;
  size_t output_length;
  char output[CAGMA_XENSTORE_HEADER + CAGMA_XENSTORE_REQUEST_MAX];
  size_t taken; /* of the input, by the message handed out last */
  size_t input_length;
  char input[CAGMA_XENSTORE_HEADER + CAGMA_XENSTORE_PAYLOAD_MAX];
} CagmaXenstore;

/* path and log must outlive it. What isn't there yet is waited for. */
void cagma_xenstore_open(CagmaXenstore *xenstore, const char *path, const CagmaLog *log, int epoll_fd,
                         uint32_t tag);

/* To be called with what epoll says about the tag. */
void cagma_xenstore_handle(CagmaXenstore *xenstore, uint32_t events);

/* To be called when due: connects anew, gives up what isn't answered. */
void cagma_xenstore_tick(CagmaXenstore *xenstore, uint64_t now_us);
uint64_t cagma_xenstore_due_us(const CagmaXenstore *xenstore);

/* TRUE where a request can be made. */
bool cagma_xenstore_is_idle(const CagmaXenstore *xenstore);

/* A path, and behind it what the request takes: nothing, the token and its NUL, the value. */
void cagma_xenstore_request(CagmaXenstore *xenstore, CagmaXenstoreType type, const char *path,
                            const char *value, size_t length, uint64_t now_us);

/* The next message. FALSE: none for now. */
bool cagma_xenstore_next(CagmaXenstore *xenstore, CagmaXenstoreMessage *message)
    __attribute__((warn_unused_result));

/* What it is there for works. */
void cagma_xenstore_is_well(CagmaXenstore *xenstore);

void cagma_xenstore_close(CagmaXenstore *xenstore);
