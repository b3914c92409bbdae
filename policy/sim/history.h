/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/host.h"

/* What was seen of a host and its guests over time, as far as a scenario can be made of
 * it (infer.h). Bounded, however long it is looked at: what is kept of a guest goes into
 * at most CAGMA_HISTORY_WINDOWS windows of time, all of one length, which doubles when
 * they would be more. */

#define CAGMA_HISTORY_WINDOWS 256
/* The disk's highest rates are means over this long: reports come at different moments. */
#define CAGMA_HISTORY_RATE_US (10 * CAGMA_SECOND_US)

/* What a guest was like in a window. */
typedef struct {
  uint32_t n;                 /* reports; where 0, only what flowed is known */
  int64_t at_us;              /* the last of them */
  uint64_t own_kib;           /* the most that kernel and processes held or had swapped out */
  uint64_t cached_kib;        /* the most page cache */
  uint64_t swapped_kib;       /* swapped out: the most … */
  uint64_t least_swapped_kib; /* … and the least */
  uint64_t swapped_in_kib;    /* flowed in it */
  uint64_t swapped_out_kib;
  uint64_t reread_kib; /* of files, soon after having been evicted */
} CagmaHistoryWindow;

typedef struct {
  char *id;
  char *name;
  int64_t arrives_us; /* 0: it was there from the beginning */
  int64_t leaves_us;  /* 0: it was still there at the end */
  int64_t seen_us;
  /* As last seen. */
  CagmaConfig config;
  uint64_t max_kib;
  int64_t report_us;
  CagmaSampleSource source;
  gboolean reported; /* ever */
  gboolean moved;    /* its balloon, ever */
  uint64_t vcpus;    /* 0: not told */
  uint64_t swap_total_kib;

  uint64_t start_kib;     /* at the beginning, or to which it was to go after its start */
  uint64_t least_own_kib; /* ever held by kernel and processes, without what was swapped out */
  int64_t figures_us;     /* of the domain's last figures that were taken in; 0: none */
  /* What was counted last, to tell what flowed. */
  uint32_t has_counters;
  CagmaSampleSource counted;
  uint64_t swap_in_kib, swap_out_kib, refault_file_kib;

  CagmaHistoryWindow *windows; /* CAGMA_HISTORY_WINDOWS of them */
} CagmaHistoryGuest;

typedef struct {
  int64_t window_us;
  int64_t last_us;  /* the last moment */
  size_t n_moments; /* so far */
  gboolean cut;     /* more came than a scenario can be long, and was passed over */
  gboolean crowded; /* there were more guests than a scenario can have */
  /* As last seen, without its domains. */
  CagmaHost host;

  GPtrArray *guests;   /* CagmaHistoryGuest; who comes again is another one */
  GHashTable *present; /* of them, by id */

  /* What guests could have had together, reserve included: in each window, the sum of so
   * many moments. */
  uint64_t whole_kib[CAGMA_HISTORY_WINDOWS];
  uint32_t n_whole[CAGMA_HISTORY_WINDOWS];

  /* Of all guests, since rate_us, and the highest rates so far. */
  int64_t rate_us;
  uint64_t in_kib, out_kib, reread_kib;
  uint64_t peak_requests_per_s; /* see cagma_history_requests */
  uint64_t peak_kib_per_s;
} CagmaHistory;

/* A guest at a moment. */
typedef struct {
  const char *id;   /* the same for the same machine */
  const char *name; /* for people */
  const CagmaDomain *domain;
  const CagmaSample *sample; /* its newest of domain->source; has is 0: none is known */
} CagmaSeen;

CagmaHistory *cagma_history_new(void);
void cagma_history_free(CagmaHistory *history);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaHistory, cagma_history_free)

/* Takes in a moment, at_us after the first one and not before the last: all that is seen of
 * the host then, after a decision and before it is carried out. in_hand_kib: what that
 * decision found in hand. Domains that aren't balanced are no guests; the host's memory is
 * taken to be without them. */
void cagma_history_add(CagmaHistory *history, int64_t at_us, const CagmaHost *host, int64_t in_hand_kib,
                       const CagmaSeen *seen, size_t n_seen);

/* How many requests to a disk that comes to: each page swapped in is one, pages swapped out
 * go 32 at once, and files are read 4 pages at once (the scenario's defaults, scenario.h). */
uint64_t cagma_history_requests(uint64_t swapped_in_kib, uint64_t swapped_out_kib, uint64_t reread_kib);
