/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/plan.h"
#include "policy/units.h"

/* A host with guests that live: they touch memory, swap, drop caches, answer their
 * balloon (or don't), and report (the truth or not). Crude, but each thing a real
 * guest does to the policy happens here too. The same seed gives the same lives. */

/* What a guest's kernel keeps for itself. */
#define MODEL_KERNEL_KIB CAGMA_MIB(60)

typedef enum {
  MODEL_BALLOON_MOVES,
  MODEL_BALLOON_STICKS,
  MODEL_BALLOON_PRETENDS, /* says it gave the memory, and goes on using it */
} ModelBalloon;

typedef enum {
  MODEL_SAYS_TRUTH,
  MODEL_SAYS_SHORT,    /* nothing usable, swapping wildly */
  MODEL_SAYS_NONSENSE, /* random bits */
  MODEL_SAYS_NOTHING,
} ModelSays;

typedef struct {
  CagmaDomain domain;

  /* The test's, at any time. */
  uint64_t working_kib;    /* anonymous memory the guest touches all the time */
  uint64_t cache_kib;      /* page cache it fills where there's room */
  uint64_t noise_kib;      /* how much its usable memory wavers */
  uint64_t overstated_kib; /* how much of what it says is usable isn't */
  uint64_t balloon_kib_per_s;
  uint64_t swap_kib_per_s;
  int64_t report_period_us;
  ModelBalloon balloon;
  ModelSays says;
  gboolean speaks;  /* through an agent as well, each time it is looked at */
  gboolean presses; /* and reports pressure each time */
  gboolean traced;  /* a source sees which pages it touches */
  uint64_t vcpus;
  gboolean paused;
  gboolean bounded;    /* by its hypervisor (Xen), whose figures these then are; model_bound */
  gboolean driverless; /* and it says that no balloon driver is up */

  /* The guest's life. */
  uint64_t asked_kib; /* what the hypervisor was last asked for, by anyone */
  uint64_t actual_kib;
  uint64_t resident_kib; /* anonymous, in memory */
  uint64_t swapped_kib;
  uint64_t cached_kib;
  uint64_t touched_kib; /* what the host backs */
  uint64_t swap_in_kib;
  uint64_t swap_out_kib;
  uint64_t major_faults;
  uint64_t block_read_kib;
  uint64_t refault_kib; /* of its page cache */
  uint64_t load_permille;
  CagmaSample report;
  int64_t reported_us;

  /* What the test knows of what the policy was told, and what the policy did. */
  uint64_t told_actual_kib;
  uint64_t told_rss_kib;
  uint64_t told_cap_kib;       /* 0: not, since the start */
  uint64_t told_usable_kib;    /* by the newest report … */
  uint64_t told_swappable_kib; /* … with what of the rest could go, and the room for it */
  uint64_t told_free_swap_kib;
  uint64_t called_kib; /* our last call's target; 0: none since the start */
  int64_t told_new_us; /* when a new report was last handed over */
  gboolean told_sane;  /* and whether it made sense */
  gboolean told_by_agent;
  int64_t agent_us;   /* when its agent last told how much is available; 0: never */
  gboolean told_ever; /* a first stamp says nothing of its age */
  uint64_t told_stamp;
  CagmaMove last_direction;
  uint32_t steps;
  uint32_t reversals;
} ModelGuest;

typedef struct {
  CagmaHost host;
  CagmaPlan plan;
  ModelGuest *guests;
  CagmaDomain **domains;
  size_t n;
  GRand *rand;
  guint32 seed;
  int64_t now_us;
  uint64_t others_kib; /* AUTO: what the host itself takes */
} Model;

/* n guests of max_kib, booted at full size, with the default configuration and a
 * fixed budget, one decision a second. */
void model_init(Model *model, size_t n, uint64_t max_kib, uint64_t budget_kib, guint32 seed);
void model_clear(Model *model);

/* The guest starts anew at its full size; its balloon then goes where it was last asked to. */
void model_boot(Model *model, size_t index);

/* The guest is one of Xen's: it boots at the size it was asked for, and never has more; its
 * balloon reports nothing, and takes its last page. */
void model_bound(Model *model, size_t index);

/* Puts a guest at a size at once, as if it had long been there. */
void model_place(Model *model, size_t index, uint64_t size_kib, uint64_t working_kib);

/* Time passes for every guest; then each is sampled and fed to the policy. */
void model_live(Model *model, int64_t us);

/* One decision: decided, checked (check.h) and carried out. */
void model_decide(Model *model);

/* Lives and decides, second by second. */
void model_run(Model *model, int64_t seconds);

/* Available memory in truth. */
uint64_t model_usable(const ModelGuest *guest);
/* Sums over all guests. */
uint32_t model_steps(const Model *model);
uint32_t model_reversals(const Model *model);
