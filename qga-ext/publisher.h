/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/orders.h"
#include "qga-ext/way.h"
#include "qga-ext/xenstore.h"

/* The way over xenstore, docs/agent-protocol.md: one value that holds the newest figures,
 * written every so often, when the host has changed what it asks for, and at once when
 * memory is short. Nobody is spoken to; what the host asks for is a value, too, that is
 * watched.
 *
 * Whatever is refused is logged once and tried again, with the figures of that moment. A
 * value that tells of pressure and didn't get there is made good by the next one, since
 * pressure_seq stays. */

#define CAGMA_PUBLISHED_PATH "data/cagma"
#define CAGMA_ORDERS_PATH "data/cagma-host"

/* The value is no longer. Xenstored takes 2048 bytes by default, names and permissions
 * included (xenstored --entry-size); the longest that figures can be is some 1200. */
#define CAGMA_PUBLISHED_MAX ((size_t)1500)

/* Processes are looked through at most once in this time, after a value is written. */
#define CAGMA_PUBLISHED_SCAN_US ((uint64_t)1000000)

/* When a value is tried for again that was refused, doubling. A watch that was refused is
 * tried for after the longest of these, and the orders are read as often. */
#define CAGMA_REFUSED_MIN_US ((uint64_t)1000000)
#define CAGMA_REFUSED_MAX_US ((uint64_t)5000000)

typedef struct {
  CagmaGuest *guest;
  CagmaXenstore xenstore;
  uint64_t connections; /* of xenstore's, as far as they were noticed */
  CagmaOrders orders;
  const char *orders_problem; /* logged; NULL: none */
  bool read_complained;
  bool watch_complained;
  bool write_complained;

  bool read_due;
  uint64_t next_read_us; /* not before */
  bool watched;
  uint64_t next_watch_us;

  uint64_t seq;
  uint64_t pressure_seq;
  bool pressure;          /* to be told at once */
  uint64_t next_us;       /* the next value is due */
  uint64_t not_before_us; /* … nor before, whatever happens */
  uint64_t refused_us;    /* how long to wait when the next is refused */
  uint64_t next_scan_us;
} CagmaPublisher;

extern const CagmaWay cagma_publisher;

/* The value: figures of the moment, and the load where the kernel tells it (or NULL). */
void cagma_write_published(CagmaText *text, uint64_t seq, uint64_t pressure_seq, uint64_t real_us,
                           const CagmaMemoryStats *stats, const CagmaLoad *load);
