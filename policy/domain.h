/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/config.h"
#include "policy/sample.h"

/* A domain as the policy knows it: what its owner says of it, what its samples
 * said, and what is remembered of both. The owner (the daemon's manager, the
 * tests, later the simulator) embeds it, fills in the first part, feeds samples
 * and reports every call it makes. Nothing is allocated; all times are `now_us`
 * of the owner's monotonic clock. */

/* A report older than this many of its own periods is stale … */
#define CAGMA_STALE_PERIODS 4
/* … but never before this: a thrashing guest takes seconds to answer. */
#define CAGMA_STALE_MIN_US (10 * CAGMA_SECOND_US)

/* A balloon that has stood still this long is taken for settled. Linux inflates
 * at several hundred MiB/s; it pauses 200 ms when the guest has no page to give. */
#define CAGMA_SETTLE_US (5 * CAGMA_SECOND_US)

/* How far a balloon may end from its target and still have reached it: the
 * guest kernel works in chunks of 256 pages. */
#define CAGMA_REACHED_KIB CAGMA_MIB(2)

/* A move without CAGMA_REACHED_KIB of progress for this long is stuck (squeezed
 * waits 5 s too before it counts a guest out). */
#define CAGMA_STUCK_US (5 * CAGMA_SECOND_US)
/* Then the domain is left out this long, doubled each time up to the maximum. */
#define CAGMA_STUCK_BACKOFF_US (30 * CAGMA_SECOND_US)
#define CAGMA_STUCK_BACKOFF_MAX_US (600 * CAGMA_SECOND_US)

/* How long after a shrink its harm is looked for, and how long the domain is
 * then spared: doubled each time it hurts, up to the maximum. */
#define CAGMA_HURT_WINDOW_US (20 * CAGMA_SECOND_US)
#define CAGMA_HURT_BACKOFF_US (60 * CAGMA_SECOND_US)
#define CAGMA_HURT_BACKOFF_MAX_US (900 * CAGMA_SECOND_US)
/* What counts as harm within the window: this much swapped out, and this much swapped
 * in (a guest that only swaps in brings back what it lacked before the shrink) … */
#define CAGMA_HURT_SWAPPED_KIB CAGMA_MIB(2)
/* … or this many times the major faults (those for swapped pages apart) or block reads
 * of before the shrink, and at least so many a second that it shows. */
#define CAGMA_HURT_RATIO 4
/* One that swaps in as much already is hurt by something else. */
#define CAGMA_HURT_BEFORE_KIB_PER_S 512
/* The fastest swap there is: a few NVMe disks', or compressed memory's. */
#define CAGMA_SWAP_MAX_KIB_PER_S CAGMA_GIB(16)
/* A swapped page costs its guest a major fault. */
#define CAGMA_PAGE_KIB 4
#define CAGMA_HURT_FAULTS_PER_S 100
#define CAGMA_HURT_BLOCK_READ_KIB_PER_S CAGMA_MIB(8)
/* … or, where the guest tells what of its page cache it read again, twice of before. */
#define CAGMA_HURT_CACHE_KIB CAGMA_MIB(16)

/* A domain whose resident memory exceeds its balloon by this much, for this
 * long, isn't held by its balloon: distrusted. The slack covers what QEMU itself
 * holds beyond the configured overhead. */
#define CAGMA_DISTRUST_SLACK_KIB CAGMA_MIB(128)
#define CAGMA_DISTRUST_US (30 * CAGMA_SECOND_US)

/* Swap-in and -out, and pages of files read again, count as memory wanted back for about
 * this long (half-life): a guest that was given memory faults its pages in again for tens
 * of seconds. */
#define CAGMA_SWAP_BACK_HALF_LIFE_US (10 * CAGMA_SECOND_US)

/* The counters that are compared from report to report. */
#define CAGMA_COUNTERS (CAGMA_HAS_SWAP | CAGMA_HAS_FAULTS | CAGMA_HAS_REFAULT)

/* How fast foreseen consumption is forgotten (half-life): ramps come in bursts. */
#define CAGMA_CONSUMPTION_HALF_LIFE_US (2 * CAGMA_SECOND_US)

/* A source silent this long is taken for dead while a worse one still speaks. */
#define CAGMA_SOURCE_DEAD_US (5 * CAGMA_SECOND_US)

/* An emergency that isn't confirmed by another event ends after this long: what is
 * still missing then is the period's business. */
#define CAGMA_EMERGENCY_US (10 * CAGMA_SECOND_US)
/* A shrink that takes free pages is over by then. One that still goes on when its guest reports
 * pressure swaps for it, for minutes where the disk is slow, and its figures aren't known
 * meanwhile: it is called off, and decided anew. */
#define CAGMA_SHRINK_PRESSED_US (5 * CAGMA_SECOND_US)
/* And counts as stuck where less than this part of it was given by then. */
#define CAGMA_HARDLY_GIVEN_PERMILLE 250
/* So many pressure events in a row without a page swapped in between, or this many
 * major faults where there is no swap, are crying wolf: the next ones aren't listened
 * to for this long, doubled each time up to the maximum. A guest that behaves for as
 * long as the maximum is forgiven. */
#define CAGMA_WOLF_EVENTS 5
#define CAGMA_WOLF_FAULTS 16
#define CAGMA_WOLF_BACKOFF_US (30 * CAGMA_SECOND_US)
#define CAGMA_WOLF_BACKOFF_MAX_US (600 * CAGMA_SECOND_US)

/* Whether a balloon driver has come up in the guest, where its hypervisor tells. */
typedef enum {
  CAGMA_DRIVER_UNKNOWN,
  CAGMA_DRIVER_DOWN,
  CAGMA_DRIVER_UP,
} CagmaDriver;

typedef enum {
  CAGMA_MOVE_NONE,
  CAGMA_MOVE_GROW,
  CAGMA_MOVE_SHRINK,
} CagmaMove;

/* A domain's place with the `queue` allocator (queue.h). */
#define CAGMA_QUEUE_RING 5

typedef enum {
  CAGMA_QUEUE_NEITHER,
  CAGMA_QUEUE_ALLOC,   /* has less available than its critical amount */
  CAGMA_QUEUE_RELEASE, /* has more */
} CagmaQueueSet;

typedef struct {
  CagmaQueueSet set;
  uint64_t ticket;                 /* when it joined: the lower the earlier */
  uint64_t critical_kib;           /* CMA; 0: unset */
  uint64_t least_kib;              /* below which the CMA isn't lowered */
  uint32_t releases;               /* since it joined */
  uint64_t ring[CAGMA_QUEUE_RING]; /* the last of them, KiB */
} CagmaQueuePlace;

/* What the `loadavg` estimator keeps of a domain (loadavg.h). */
typedef struct {
  uint64_t vcpus; /* 0: not told */
  uint64_t load1_permille;
  uint64_t load5_permille;
  uint64_t load15_permille;
  int64_t load_us;    /* when they were told; 0: never */
  gboolean heard;     /* they are recent */
  uint64_t size_kib;  /* what it should have; 0: it hasn't been looked at yet */
  int64_t change_kib; /* the last change of that */
  int64_t look_us;    /* when it is looked at next */
  int64_t ticked_us;
} CagmaLoadavg;

/* What probing for misses did last (missratio.h). */
typedef enum {
  CAGMA_PROBE_NONE, /* misses are counted, not probed for */
  CAGMA_PROBE_HOLD, /* waits, after it gave back or for the last step to be carried out */
  CAGMA_PROBE_DOWN,
  CAGMA_PROBE_BACK, /* misses rose: gave back */
} CagmaProbe;

/* What the `missratio` estimator keeps of a domain (missratio.h). */
typedef struct {
  uint64_t bucket_kib;                    /* 0: no reuse distances yet */
  uint64_t miss_kib[CAGMA_REUSE_BUCKETS]; /* touched again at a distance ≥ i × bucket */
  int64_t fed_us;
  gboolean has_curve; /* they are recent, and enough to say something */
  uint64_t size_kib;  /* what it should have; 0: it hasn't been looked at yet */
  int64_t epoch_us;   /* when the present epoch began */
  int64_t ticked_us;
  /* Probing: the counters when the epoch began … */
  CagmaSampleSource source;
  uint32_t has_counters;
  uint64_t swap_in_kib;
  uint64_t refault_file_kib;
  uint64_t major_faults;
  /* … and what the last one came to. */
  CagmaProbe probe;
  uint64_t missed_kib;
  uint64_t reread_kib; /* of it, without swap-in */
  uint32_t hold;       /* epochs to go by before the next step down */
} CagmaMissratio;

typedef struct {
  /* The owner's: may change between any two calls. */
  CagmaConfig config;       /* fitted to the domain (cagma_config_fit) */
  gboolean managed;         /* has a configuration that is valid and not off */
  const char *hold;         /* why hands are off it, or NULL; a string that outlives the domain's use */
  gboolean pinned;          /* memory that leaves it doesn't reach the host */
  gboolean unresponsive;    /* its hypervisor process doesn't answer */
  gboolean yields;          /* its balloon gives in to any target, though its guest die of it (floor.h) */
  uint64_t max_kib;         /* the domain's <memory> */
  uint64_t overhead_kib;    /* what its process holds beside the guest's memory */
  int64_t report_period_us; /* how often its source should report */
  uint32_t without;         /* CagmaRule bits: rules left out, for measurement */

  int64_t began_us; /* the guest's start, or ours */

  /* The balloon. */
  uint64_t target_kib; /* what was last asked of it; 0: not known */
  uint64_t actual_kib; /* meaningful where has_actual */
  gboolean has_actual;
  gboolean moves;   /* it was seen moving since the start: there's a driver behind it */
  gboolean settled; /* the balloon driver is up and the balloon stood still since the start */
  CagmaDriver driver;
  uint64_t cap_kib;       /* the most its hypervisor lets it hold now; 0: not known, or not bounded */
  int64_t still_since_us; /* when actual last changed */
  CagmaMove move;
  uint64_t move_from_kib;
  int64_t move_us;        /* when it was asked for */
  uint64_t move_mark_kib; /* where the balloon was when it last made progress … */
  int64_t move_mark_us;   /* … and when that was */
  int64_t moved_us;       /* when the last move ended */
  int64_t stuck_until_us; /* 0: not stuck */
  uint32_t stuck_count;
  gboolean stuck_shrinking; /* of a shrink, so that it may grow all the same */
  gboolean waits;           /* for memory that others were asked to give for it */
  gboolean withdraw;        /* a stuck move's target is still out there: to be taken back */

  /* The last report that counted. */
  CagmaSampleSource source;
  gboolean reported;      /* ever, since the start */
  gboolean contradictory; /* the newest report makes no sense */
  uint64_t stamp;
  gboolean has_stamp;
  int64_t report_us;  /* when the newest report was first seen */
  int64_t figures_us; /* when the figures below were taken: not while the balloon moved */
  gboolean has_figures;
  uint64_t used_kib; /* actual − available: what the guest itself holds on to */
  uint64_t available_kib;
  uint64_t free_kib; /* of it, not even page cache; 0 where it isn't told */
  uint64_t rss_kib;

  uint64_t swap_used_kib; /* as the guest's agent says; 0 where has_swap_used isn't set */
  uint64_t swap_total_kib;
  gboolean has_swap_used;
  uint64_t swappable_kib; /* what of its memory could be swapped out; 0: not told */
  uint64_t largest_kib;   /* footprints of guest processes; 0: not told */
  uint64_t swapping_kib;

  /* Counters and what they amount to. */
  uint32_t has_counters; /* which of CAGMA_COUNTERS there's something to compare with */
  int64_t counters_us;
  uint64_t swap_in_kib;
  uint64_t swap_out_kib;
  uint64_t major_faults;
  uint64_t refault_file_kib;
  uint64_t refault_anon_kib;
  uint64_t block_read_kib;
  gboolean has_block_read;
  int64_t block_read_us;
  uint64_t swap_back_kib;     /* swap-in, decaying */
  uint64_t pushed_out_kib;    /* swap-out, decaying */
  uint64_t cache_back_kib;    /* file pages that came back soon after their eviction, decaying */
  uint64_t swap_in_kib_per_s; /* over the last interval */
  uint64_t swap_out_kib_per_s;
  uint64_t faults_per_s;
  uint64_t block_read_kib_per_s;
  uint64_t consumption_kib_per_s; /* how fast the guest has lately been taking up memory */
  uint64_t prev_used_kib;
  int64_t prev_used_us;
  uint64_t prev_swapped_kib; /* swap_out − swap_in then */

  /* After a shrink. */
  int64_t shrunk_us; /* 0: no shrink to watch */
  uint64_t shrunk_from_kib;
  uint64_t shrunk_swap_in_kib; /* the counters then */
  uint64_t shrunk_swap_out_kib;
  uint64_t faults_before_per_s;
  uint64_t block_read_before_kib_per_s;
  uint64_t cache_back_before_kib;
  uint64_t regain_kib; /* what a shrink that hurt took it down from */
  int64_t regain_until_us;
  uint32_t hurt_count;

  /* Pressure events. */
  gboolean emergency;           /* it said it is short, and is */
  int64_t pressed_us;           /* the last event; 0: never */
  uint64_t pressed_swapped_kib; /* swapped in and out by then */
  uint64_t pressed_faults;      /* major faults by then */
  uint32_t wolf_events;         /* in a row that nothing bore out */
  uint32_t wolf_count;
  int64_t deaf_until_us;

  /* Trust. */
  int64_t above_since_us; /* resident memory above the balloon since; 0: it isn't */
  gboolean distrusted;

  /* What the allocator and the estimator keep of it: behind the rest, since most of it is
   * seldom looked at. */
  CagmaQueuePlace queue;
  CagmaLoadavg loadavg;
  CagmaMissratio missratio;
} CagmaDomain;

/* A domain that nothing is known of yet. The owner's part is kept by reset. */
void cagma_domain_init(CagmaDomain *domain, int64_t now_us);

/* The guest began anew (start, reboot, resume from a save) or a device that pins
 * memory came: charged in full until its balloon has settled, or its cap where its
 * hypervisor enforces one. target_kib is what its balloon is now asked to be; 0 where
 * that isn't known, as at its start, when nothing is known of its cap either. */
void cagma_domain_restart(CagmaDomain *domain, uint64_t target_kib, int64_t now_us);

/* Takes in a sample, clamping it first. Counters that run backwards are a reboot. */
void cagma_domain_feed(CagmaDomain *domain, const CagmaSample *sample, int64_t now_us);

/* Its source of this kind is gone: another's reports count from the next one on. Until then
 * one that yields is blind. */
void cagma_domain_source_lost(CagmaDomain *domain, CagmaSampleSource source);

/* Its guest reports memory pressure; the sample that came with it was fed before.
 * TRUE where something is to be decided now: it has less available than it needs, and is
 * heard; or is being shrunk, and nothing would keep that from killing it, or it takes long. */
gboolean cagma_domain_press(CagmaDomain *domain, uint64_t critical_kib, int64_t now_us);

/* Says that a call setting target_kib is about to be made. Before the call, since
 * the target must count from the moment it might have been made. */
void cagma_domain_set(CagmaDomain *domain, uint64_t target_kib, int64_t now_us);

/* Says that the call announced by the last cagma_domain_set was refused, so that
 * previous_target_kib stands. The domain is left alone for a while, as if stuck. */
void cagma_domain_refused(CagmaDomain *domain, uint64_t previous_target_kib, int64_t now_us);

/* Has a shrink withdrawn that is still out there though nobody waits for it, lest it come true at
 * any time. */
void cagma_domain_withdraw_shrink(CagmaDomain *domain);

/* Time passes: backoffs end, and a move that can't go on isn't to blame for it. */
void cagma_domain_tick(CagmaDomain *domain, int64_t now_us);

/* What the domain must be assumed to hold (design: charge), KiB. */
uint64_t cagma_domain_charge(const CagmaDomain *domain);

/* The size the domain is at or on its way to, KiB. */
uint64_t cagma_domain_standing(const CagmaDomain *domain);

/* TRUE where it was heard lately, and makes sense. Its figures may be of before its balloon moved. */
gboolean cagma_domain_fresh(const CagmaDomain *domain, int64_t now_us);

/* TRUE where the newest report was made with the balloon standing still since the
 * last move: what that move did to the guest can be seen. */
gboolean cagma_domain_seen_since_move(const CagmaDomain *domain);

/* What would be swapped out now by the counters, KiB (an upper bound of what can
 * ever be swapped back in). */
uint64_t cagma_domain_swapped(const CagmaDomain *domain);
