/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/config.h"
#include "policy/host.h"

/* A scenario: a host, its disk, its guests and what befalls them, as plain structs.
 * plugin/scenario-json reads and writes it; docs/cagma-scenario.5 says what each field
 * means to who writes one. Times count from the scenario's start. */

#define CAGMA_SIM_GUESTS_MAX 10000
#define CAGMA_SIM_PARTS_MAX 8
#define CAGMA_SIM_PHASES_MAX 64
#define CAGMA_SIM_EVENTS_MAX 64
#define CAGMA_SIM_DURATION_MAX_US (24 * 3600 * CAGMA_SECOND_US)

/* A part of a guest's memory: pages of one kind, touched in one way. */
typedef enum {
  CAGMA_PART_ANON, /* what processes hold: goes to swap */
  CAGMA_PART_FILE, /* page cache: dropped, and read again when it is wanted */
} CagmaPartKind;

typedef enum {
  CAGMA_ACCESS_RANDOM,
  CAGMA_ACCESS_CYCLIC, /* from its start to its end, again and again */
} CagmaAccess;

/* From from_us on, until the next phase. */
typedef struct {
  int64_t from_us;
  uint64_t size_kib; /* where the part's size goes … */
  int64_t ramp_us;   /* … in a straight line, in this time; 0: at once */
  int64_t sweep_us;  /* in which as many pages are touched as it has; 0: they aren't touched again */
  /* A random walk beside: a step of up to walk_kib either way each walk_every_us, between
   * nothing and twice the size. 0: none. */
  uint64_t walk_kib;
  int64_t walk_every_us;
  /* And bursts: burst_kib more for burst_us, one in each burst_every_us, at a random
   * moment in it. 0: none. */
  uint64_t burst_kib;
  int64_t burst_every_us;
  int64_t burst_us;
} CagmaPhase;

typedef struct {
  CagmaPartKind kind;
  CagmaAccess access;
  CagmaPhase *phases; /* in order of time; before the first one the part is empty */
  size_t n_phases;
} CagmaPart;

/* Disk-bound tasks beside the memory's own paging, each a read or write of io_kib after
 * the other, without pause. */
typedef struct {
  int64_t from_us;
  uint32_t tasks;
  uint64_t io_kib;
} CagmaDiskPhase;

typedef enum {
  CAGMA_BEFALLS_STUCK,    /* its balloon no longer moves … */
  CAGMA_BEFALLS_MOVES,    /* … and does again */
  CAGMA_BEFALLS_PRETENDS, /* its balloon says it gave, and the guest goes on using the memory */
  CAGMA_BEFALLS_TRUTH,    /* its reports are right … */
  CAGMA_BEFALLS_SHORT,    /* … say that it is short, whatever it has … */
  CAGMA_BEFALLS_PLENTY,   /* … that all it has is available … */
  CAGMA_BEFALLS_NONSENSE, /* … or anything at all */
  CAGMA_BEFALLS_SILENT,   /* it doesn't report */
  CAGMA_BEFALLS_REBOOT,
  CAGMA_BEFALLS_PAUSE,
  CAGMA_BEFALLS_RESUME,
} CagmaBefalls;

typedef struct {
  int64_t at_us;
  CagmaBefalls what;
} CagmaSimEvent;

/* Where a guest's figures come from. */
typedef enum {
  CAGMA_REPORTS_AGENT,   /* its own agent: period, and pressure at once */
  CAGMA_REPORTS_BALLOON, /* virtio-balloon statistics: period only */
  CAGMA_REPORTS_NONE,
} CagmaReports;

typedef struct {
  char *name; /* unique in its scenario; of each of count guests, with its number behind (web-1) */
  uint32_t count;
  CagmaConfig config;  /* guarantee, limit, shares, estimator, …; fitted to memory_kib */
  uint64_t memory_kib; /* the domain's <memory> */
  uint64_t start_kib;  /* its balloon's size at the start, or to which it goes after booting */
  uint64_t kernel_kib; /* what its kernel keeps for itself */
  uint64_t swap_kib;   /* the size of its swap */
  uint32_t vcpus;      /* how many things it does at once */
  gboolean driver;     /* has a balloon driver */
  uint64_t balloon_up_kib_per_s;
  uint64_t balloon_down_kib_per_s; /* where it has free pages to give */
  gboolean free_page_reporting;
  CagmaReports reports;
  int64_t report_us; /* period */
  int64_t delay_us;  /* how long a report takes to arrive */
  uint32_t loss_permille;
  int64_t arrives_us; /* starts then; 0: runs already */
  int64_t leaves_us;  /* 0: stays */
  CagmaPart *parts;
  size_t n_parts;
  CagmaDiskPhase *disk; /* in order of time */
  size_t n_disk;
  CagmaSimEvent *events; /* in order of time */
  size_t n_events;
} CagmaSimGuest;

/* The device all guests swap to and read from. */
typedef struct {
  uint32_t iops;            /* requests it can serve in a second … */
  uint64_t kib_per_s;       /* … and how much */
  int64_t latency_us;       /* of a request, alone; at least 1 s / iops divided by what it does at once */
  uint64_t swap_read_kib;   /* read ahead with a page swapped in, itself included (page-cluster), where
                             * pages are wanted in order; at random places, it comes alone */
  uint64_t swap_write_kib;  /* written at once */
  uint64_t file_random_kib; /* read at once from a file: at random places … */
  uint64_t file_cyclic_kib; /* … and in order */
} CagmaSimDisk;

typedef struct {
  char *name;
  char *description;
  guint32 seed;
  int64_t duration_us;
  uint64_t memory_kib; /* the host's, for guests and reserve */
  uint64_t reserve_kib;
  uint64_t pool_kib;
  int64_t period_us;
  CagmaSurplus surplus;
  gboolean read_back; /* for guests with an agent: policy/read-back.h */
  CagmaSimDisk disk;
  CagmaSimGuest *guests;
  size_t n_guests; /* entries; how many guests that makes, cagma_scenario_count says */
} CagmaScenario;

#define CAGMA_SCENARIO_ERROR (cagma_scenario_error_quark())
GQuark cagma_scenario_error_quark(void);

typedef enum {
  CAGMA_SCENARIO_ERROR_SYNTAX, /* not JSON */
  CAGMA_SCENARIO_ERROR_FIELD,  /* unknown, missing, of another type */
  CAGMA_SCENARIO_ERROR_VALUE,  /* out of range, or contradicts another */
} CagmaScenarioError;

/* What holds where a scenario says nothing. A scenario: a host of 8 GiB, 10 minutes, a
 * disk of 150 requests a second. A guest: one, with CAGMA's own configuration, its agent
 * reporting each second. */
void cagma_scenario_init(CagmaScenario *scenario);
void cagma_sim_guest_init(CagmaSimGuest *guest);
void cagma_sim_phase_init(CagmaPhase *phase);

/* Sets reserve and pool to the parts of the host's memory that they are in cagmad.conf's
 * defaults: 5 % and 2 %. */
void cagma_scenario_reserve(CagmaScenario *scenario);

/* Frees all it points to. */
void cagma_scenario_clear(CagmaScenario *scenario);
CagmaScenario *cagma_scenario_copy(const CagmaScenario *scenario);
void cagma_scenario_free(CagmaScenario *scenario);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaScenario, cagma_scenario_free)

/* Whether it can be run: ranges, orders, contradictions. Fits each guest's configuration,
 * and makes a start size of 0 the guest's limit.
 * The error names what is wrong by its JSON path, as in "$.guests[2].parts[0].phases[1].from-s". */
gboolean cagma_scenario_check(CagmaScenario *scenario, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* How many guests its entries make. */
size_t cagma_scenario_count(const CagmaScenario *scenario);

/* The name of one of an entry's guests, counted from 1. Free with g_free. */
char *cagma_sim_guest_name(const CagmaSimGuest *guest, uint32_t number);
