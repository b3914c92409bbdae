/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* A sample: one domain's figures as a source reported them at one time. Guests
 * write these figures, so nothing here is believed before cagma_sample_clamp. */

typedef enum {
  CAGMA_HAS_ACTUAL = 1 << 0,
  CAGMA_HAS_USABLE = 1 << 1,
  CAGMA_HAS_UNUSED = 1 << 2,
  CAGMA_HAS_CACHES = 1 << 3,
  CAGMA_HAS_SWAP = 1 << 4, /* both directions */
  CAGMA_HAS_FAULTS = 1 << 5,
  CAGMA_HAS_RSS = 1 << 6,
  CAGMA_HAS_STAMP = 1 << 7,
  CAGMA_HAS_BLOCK_READ = 1 << 8,
  CAGMA_HAS_SWAP_USED = 1 << 9,
  CAGMA_HAS_LARGEST = 1 << 10,
  CAGMA_HAS_SWAPPING = 1 << 11,
  CAGMA_HAS_REFAULT = 1 << 12, /* both kinds */
  CAGMA_HAS_VCPUS = 1 << 13,
  CAGMA_HAS_LOAD = 1 << 14, /* all three */
  CAGMA_HAS_CAP = 1 << 15,
  CAGMA_HAS_DRIVER = 1 << 16,
  CAGMA_HAS_SWAPPABLE = 1 << 17,
} CagmaSampleFields;

/* What the guest itself reports of its memory, in distinction to what its host sees of it.
 * Its load is another matter: it is asked for apart, and whoever tells it may. */
#define CAGMA_HAS_REPORT                                                                                     \
  (CAGMA_HAS_USABLE | CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES | CAGMA_HAS_SWAP | CAGMA_HAS_FAULTS |              \
   CAGMA_HAS_STAMP | CAGMA_HAS_SWAP_USED | CAGMA_HAS_LARGEST | CAGMA_HAS_SWAPPING | CAGMA_HAS_REFAULT |      \
   CAGMA_HAS_VCPUS | CAGMA_HAS_SWAPPABLE)

/* Where a report comes from, the better the later in the list. */
typedef enum {
  CAGMA_SAMPLE_BALLOON, /* virtio-balloon statistics */
  CAGMA_SAMPLE_AGENT,   /* a QEMU guest agent that knows the memory commands */
  CAGMA_SAMPLE_CHANNEL, /* the guest's agent on its own channel */
} CagmaSampleSource;

typedef struct {
  CagmaSampleSource source;
  uint32_t has;         /* CagmaSampleFields */
  uint64_t actual_kib;  /* what the balloon leaves the guest (hypervisor's figure, guest's say) */
  uint64_t usable_kib;  /* the guest's MemAvailable */
  uint64_t unused_kib;  /* the guest's MemFree */
  uint64_t caches_kib;  /* the guest's page cache that can be dropped */
  uint64_t swap_in_kib; /* counters since the guest booted */
  uint64_t swap_out_kib;
  uint64_t major_faults;
  uint64_t rss_kib;        /* resident memory of the domain's process on the host */
  uint64_t stamp;          /* the report's own mark; only its changing means anything. 0: never reported */
  uint64_t block_read_kib; /* counter since the domain started */
  uint64_t swap_used_kib;  /* what is swapped out now */
  uint64_t swap_total_kib; /* with swap_used_kib: how much could be */
  uint64_t largest_kib;    /* footprint (resident and swapped) of the guest's largest process */
  uint64_t swapping_kib;   /* and of the one that swaps */
  uint64_t swappable_kib;  /* anonymous memory that isn't locked */
  /* Counters since the guest booted: pages that came back soon after they were evicted,
   * of files and of anonymous memory (workingset_refault_*; anonymous from Linux 5.9 on). */
  uint64_t refault_file_kib;
  uint64_t refault_anon_kib;
  uint64_t vcpus;          /* the guest's, online */
  uint64_t load1_permille; /* load averages of 1, 5 and 15 minutes, of the whole guest */
  uint64_t load5_permille;
  uint64_t load15_permille;
  /* Where the hypervisor itself bounds what a domain holds (Xen): how much that is now,
   * whatever its guest does. */
  uint64_t cap_kib;
  uint64_t driver; /* 0: no balloon driver has come up in the guest; 1: one has */
} CagmaSample;

#define CAGMA_REUSE_BUCKETS 64

/* Reuse distances of one domain's memory, from a source that sees single pages: how much
 * other memory was touched between two touches of a page.
 *
 *     a page idle for a seconds is touched → d = bytes idle for less than a
 *     a swapped page comes back            → d = the domain's size + what was swapped out after it
 *
 * kib[i]: touched again at i × bucket ≤ d < (i + 1) × bucket since the source last told.
 * What lies beyond the last bucket isn't told: no size the domain can have would have
 * kept it. */
typedef struct {
  uint64_t bucket_kib;
  uint64_t kib[CAGMA_REUSE_BUCKETS];
} CagmaReuse;

/* None yet, for a domain whose <memory> is max_kib. */
void cagma_reuse_init(CagmaReuse *reuse, uint64_t max_kib);

/* touched_kib were touched again at that distance. */
void cagma_reuse_add(CagmaReuse *reuse, uint64_t distance_kib, uint64_t touched_kib);

/* Makes the sample safe to compute with: sizes and counters at most CAGMA_MAX_KIB,
 * the actual size at most max_kib, the domain's <memory>. */
void cagma_sample_clamp(CagmaSample *sample, uint64_t max_kib);

/* The guest's available memory (AVM): usable, or unused + caches where the guest
 * doesn't report usable. FALSE where it reports neither, or more than it has. */
gboolean cagma_sample_available(const CagmaSample *sample, uint64_t *available_kib) G_GNUC_WARN_UNUSED_RESULT;
