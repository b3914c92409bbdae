/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/sim/body.h"
#include "policy/sim/sim.h"
#include "policy/units.h"

/* What the simulator's parts share: the host with its guests, as it really is. Internal to
 * policy/sim. */

#define CAGMA_SIM_TICK_US ((int64_t)100000)
/* Guests that run already at the start have done so for this long. */
#define CAGMA_SIM_BEFORE_US (20 * CAGMA_SECOND_US)

typedef struct {
  int64_t arrives_us;
  CagmaSample sample;
  uint64_t actual_kib;  /* the guest's size when it made it … */
  uint64_t swapped_kib; /* … and what it has in swap, whether it tells or not */
  gboolean pressure;
} CagmaSimReport;

typedef struct {
  CagmaBody body;
  CagmaRandom random;
  size_t event; /* the next one to befall it */
  gboolean present;
  CagmaBefalls says;

  /* Reporting. */
  int64_t report_us; /* the next one */
  int64_t pressed_us;
  uint64_t stamp;
  double lied_in_kib;
  double load[3];  /* averages of 1, 5 and 15 minutes */
  GArray *reports; /* CagmaSimReport: those under way; NULL: it was never there */

  CagmaMove direction; /* of its last call */
  double seen_kib;     /* its balloon's size, or what it held, when the host last looked */
} CagmaSimSoul;

typedef struct CagmaWorld CagmaWorld;

/* Who decides, from outside: told what a host is told, sets what a host can set. */
typedef struct {
  gpointer (*start)(CagmaWorld *world, const CagmaContestant *contestant);
  void (*arrived)(gpointer control, size_t guest); /* begins to boot */
  void (*rebooted)(gpointer control, size_t guest);
  void (*left)(gpointer control, size_t guest);
  void (*paused)(gpointer control, size_t guest, gboolean on);
  void (*reported)(gpointer control, size_t guest, const CagmaSimReport *report);
  void (*tick)(gpointer control);
  void (*end)(gpointer control);
} CagmaControl;

extern const CagmaControl cagma_control_policy;
extern const CagmaControl cagma_control_peer;
extern const CagmaControl cagma_control_schedule;

struct CagmaWorld {
  const CagmaScenario *scenario;
  CagmaSimSoul *guests;
  size_t n;
  double promised_kib; /* to all */
  int64_t now_us;      /* from −CAGMA_SIM_BEFORE_US on; nobody decides before 0 */
  CagmaSimResult *result;
  const CagmaSimOptions *options;
};

/* The policies' and the peers' clocks don't begin at nothing. */
static inline int64_t
cagma_world_clock(const CagmaWorld *world)
{
  return world->now_us + 1000 * CAGMA_SECOND_US;
}

/* What may be promised. */
static inline double
cagma_world_budget(const CagmaWorld *world)
{
  return (double)world->scenario->memory_kib - (double)world->scenario->reserve_kib;
}

/* Asks a guest's balloon for a size, and counts what that means. */
void cagma_world_set(CagmaWorld *world, size_t guest, uint64_t target_kib);

/* Asks a guest's agent to bring back what it has swapped out. */
void cagma_world_read_back(CagmaWorld *world, size_t guest, uint64_t kib);

/* What the host itself sees of a guest. */
void cagma_world_look(CagmaWorld *world, size_t guest, CagmaSample *sample);

/* What a guest may take without anybody being asked. */
double cagma_world_promised(const CagmaSimSoul *guest);
double cagma_world_touched(const CagmaWorld *world);

/* What each guest's random numbers come from. */
uint64_t cagma_sim_guest_seed(const CagmaScenario *scenario, size_t guest);

/* Times a decision: before, and after it. */
int64_t cagma_world_decides(const CagmaWorld *world);
void cagma_world_decided(CagmaWorld *world, int64_t since_us);
