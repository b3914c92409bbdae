/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/plan.h"
#include "policy/units.h"

/* A table with a few domains on it, for tests of one behaviour: the test says what
 * each guest reports, the rig passes the time. Sizes in MiB. A fixed budget, one
 * decision and one report a second. What nobody needs isn't spread (CAGMA_RULE_SPREAD), so
 * that sizes say what was needed, unless the test sets host.without to 0. */

#define RIG_MAX 16

typedef struct {
  CagmaHost host;
  CagmaPlan plan;
  CagmaDomain domains[RIG_MAX];
  CagmaSample samples[RIG_MAX]; /* what each reports next; stamps are added */
  CagmaDomain *pointers[RIG_MAX];
  gboolean silent[RIG_MAX]; /* sampled, but its report is an old one */
  int64_t now_us;
  uint64_t stamp;
} Rig;

void rig_init(Rig *rig, uint64_t budget_mib);
void rig_clear(Rig *rig);

/* A domain with a guarantee of 256 MiB, 1000 shares, a headroom of 64 MiB and no
 * overhead that stands settled at actual_mib, and has reported. */
CagmaDomain *rig_add(Rig *rig, uint64_t max_mib, uint64_t actual_mib, uint64_t usable_mib);

/* The domain is one of Xen's: bounded by its hypervisor, its driver up, and nothing would keep
 * its balloon from taking its last page. */
void rig_bound(Rig *rig, size_t index);

/* Seconds pass; each guest is sampled once in each of them. */
void rig_pass(Rig *rig, int64_t seconds);

/* The guest's agent says on its channel what the guest would next report through its
 * balloon. It knows nothing of the balloon. */
CagmaSample rig_channel(const Rig *rig, size_t index);
void rig_speak(Rig *rig, size_t index);

/* A pressure event, as the daemon takes it: the guest's figures, then its need by them. */
gboolean rig_press(Rig *rig, size_t index);

/* Decides, and asserts that the guard accepts it. Calls nothing. */
void rig_decide(Rig *rig);

/* Carries the decision out: every step is called, and every balloon gets there
 * within the second. */
void rig_obey(Rig *rig);

/* What was decided for the domain: its target, 0 where there's none. */
uint64_t rig_target_mib(const Rig *rig, size_t index);
CagmaWhy rig_why(const Rig *rig, size_t index);
