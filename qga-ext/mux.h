/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/dispatch.h"
#include "qga-ext/frame.h"
#include "qga-ext/log.h"
#include "qga-ext/queue.h"

/* The stock agent (qemu-ga) behind ours. Requests go to it, and its replies come back, byte
 * for byte; two things are put in between:
 *
 * - Our own replies, which must not overtake its: a client takes replies in the order of
 *   its requests. Where the stock agent may still owe one, ours waits until it has
 *   answered a guest-sync-delimited of our own (a barrier), which is then swallowed. What
 *   it owes is counted; where that can't be (after input that was no request, and after
 *   commands that aren't answered when they succeed), it is taken to owe something.
 * - The names of our commands, in its reply to guest-info.
 *
 * guest-sync is the stock agent's to answer as long as it is there: libvirt asks it to
 * learn whether an agent lives before it sends commands that it waits for without limit.
 *
 * A connection is made when a request needs one, and begins with a barrier of its own:
 * what the agent still had for an earlier client is dropped. No timer, no retries. */

/* One whole message and a barrier. */
#define CAGMA_MUX_TO_STOCK_BYTES (CAGMA_MESSAGE_MAX + 1024)

/* Bytes by which relaying may lengthen what the stock agent says at a time: the names of
 * our commands, and a line that was held back. */
#define CAGMA_MUX_GROWTH ((size_t)1024)

typedef enum {
  CAGMA_BARRIER_NONE,
  CAGMA_BARRIER_DROP, /* what comes before its answer is nobody's */
  CAGMA_BARRIER_PASS, /* … belongs to the host */
} CagmaBarrier;

/* Finds a string in a stream of valid JSON. A string that begins inside an attempt at
 * itself isn't found; none of ours could. */
typedef struct {
  const char *string;
  size_t matched;
} CagmaMatcher;

/* The commands of our own that guest-info's reply doesn't name yet. */
#define CAGMA_MUX_OWN_COMMANDS 5

typedef struct {
  const char *path;
  const CagmaLog *log;
  int epoll_fd;
  uint32_t tag;
  int fd; /* -1: not connected */
  bool readable;
  bool writable;
  CagmaQueue to_stock;

  unsigned int owed; /* replies to come, at least */
  bool unsure;       /* … and maybe more */
  bool mid_line;     /* the beginning of a line was passed to the host, its end not yet */

  CagmaBarrier barrier;
  uint64_t barrier_id; /* the last one used */
  char line[256];      /* while there is a barrier: the line so far … */
  size_t line_length;
  bool line_too_long;
  char held[256]; /* … and an error that may be that of the barrier's own 0xFF */
  size_t held_length;

  bool merging; /* the next line is the reply to guest-info */
  bool in_list; /* inside its list of commands */
  CagmaMatcher list;
  CagmaMatcher names[CAGMA_MUX_OWN_COMMANDS];
  bool named[CAGMA_MUX_OWN_COMMANDS];
} CagmaMux;

/* path, log and the buffer of CAGMA_MUX_TO_STOCK_BYTES must outlive it. */
void cagma_mux_init(CagmaMux *mux, const char *path, const CagmaLog *log, int epoll_fd, uint32_t tag,
                    char *buffer);

/* TRUE where there is a connection, made now if need be. */
bool cagma_mux_connect(CagmaMux *mux);

/* Ends the connection. */
void cagma_mux_close(CagmaMux *mux);

/* To be called with what epoll says about the tag. */
void cagma_mux_handle(CagmaMux *mux, uint32_t events);

/* TRUE where the stock agent owes nothing, so that a reply of ours is in order. */
bool cagma_mux_is_idle(const CagmaMux *mux);

/* For a message of the host that must wait until the stock agent is idle: makes sure that
 * it will be, as far as that isn't under way. Nothing may wait to be sent. To be called
 * again until cagma_mux_is_idle(); nothing more of the host's is passed on meanwhile. */
void cagma_mux_become_idle(CagmaMux *mux);

/* Passes a message on: request is what it is, or NULL where it is none. Nothing may wait
 * to be sent. guest-info must wait until cagma_mux_is_idle(). */
void cagma_mux_forward(CagmaMux *mux, const char *message, size_t length, const CagmaRequest *request);

/* The same for the beginning of a message too long to be told what it is. */
void cagma_mux_forward_beginning(CagmaMux *mux, const char *bytes, size_t length);

/* Passes bytes on that are no message, or the rest of one. There must be room for them. */
void cagma_mux_forward_bytes(CagmaMux *mux, const char *bytes, size_t length);

/* Sends what waits. */
void cagma_mux_flush(CagmaMux *mux);

typedef enum {
  CAGMA_MUX_NOTHING, /* nothing more to read for now */
  CAGMA_MUX_READ,    /* something was read */
  CAGMA_MUX_LOST,    /* the stock agent has gone */
} CagmaMuxResult;

/* Reads from the stock agent what the host's queue has room for. After CAGMA_MUX_LOST the
 * caller owes the host `owed` replies, or where mid_line is set an end of the connection,
 * and calls cagma_mux_close(). */
CagmaMuxResult cagma_mux_read(CagmaMux *mux, CagmaQueue *to_host);

/* The pure part: what the stock agent said, put into to_host as it is to be passed on.
 * There must be room for length + CAGMA_MUX_GROWTH bytes. */
void cagma_mux_relay(CagmaMux *mux, const char *bytes, size_t length, CagmaQueue *to_host);
