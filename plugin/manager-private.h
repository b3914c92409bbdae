/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/inputs.h"
#include "plugin/manager.h"
#include "plugin/record.h"

/* What the manager's parts share. Internal to plugin/manager*.c. */

typedef struct {
  uint64_t memory_kib;
  int64_t expires_us;
  int64_t free_us; /* when all of it was found free; 0: it wasn't, or nobody waited for that */
} Expected;

/* How long a start that was announced is waited for. */
#define CAGMA_EXPECT_US (60 * CAGMA_SECOND_US)

struct CagmaManager {
  CagmaBackend *backend;
  CagmaTargets *targets;
  const CagmaConf *conf;
  gboolean dry_run;

  GHashTable *by_uuid;  /* CagmaManaged, owned by it */
  GPtrArray *domains;   /* the same, in the order of host.domains */
  GPtrArray *policies;  /* what host.domains points to */
  GHashTable *expected; /* Expected by UUID */
  GPtrArray *waiters;   /* for room (manager-room.c) */
  CagmaHost host;
  CagmaPlan plan;
  CagmaRecorder *recorder; /* NULL: nothing is recorded */

  gboolean connected;
  int64_t learn_until_us; /* 0: not yet connected */
  int64_t decided_us;
  unsigned round;
  unsigned last_tag;
  unsigned awaited;
  guint tick_source;
  guint gather_source;
  guint short_source;
  guint pressed_source;
  guint watch_source;
  guint decide_source;
  guint room_source;

  GSourceFunc stopped; /* NULL: not stopping */
  gboolean is_stopped;
  gpointer stopped_data;
  guint stop_source;
};

/* The table of domains (manager-domains.c). name_or_uuid: as people give it. */
CagmaManaged *cagma_manager_add(CagmaManager *manager, const char *uuid, const char *name, int id);
void cagma_manager_remove(CagmaManager *manager, CagmaManaged *managed);
CagmaManaged *cagma_manager_find(CagmaManager *manager, const char *name_or_uuid);

/* All that happens to managed->policy, but for what is its owner's to set there, happens
 * through these: they have it recorded first. As cagma_input_apply. */
gboolean cagma_manager_tell(CagmaManager *manager, CagmaManaged *managed, const CagmaInput *input);
void cagma_manager_tell_sample(CagmaManager *manager, CagmaManaged *managed, const CagmaSample *sample);
void cagma_manager_tell_lost(CagmaManager *manager, CagmaManaged *managed, CagmaSampleSource source);
/* At this moment, and of this size. */
void cagma_manager_tell_size(CagmaManager *manager, CagmaManaged *managed, CagmaInputKind kind, uint64_t kib);

/* Requests (manager-requests.c): at most one in flight for each domain, the most
 * urgent first. */
void cagma_manager_want(CagmaManager *manager, CagmaManaged *managed, CagmaRequestKind kind);
void cagma_manager_pump(CagmaManager *manager, CagmaManaged *managed);
/* Without statistics a managed domain is blind. Says when it is time to ask for them. */
gboolean cagma_manager_lacks_stats_period(CagmaManager *manager, CagmaManaged *managed);

unsigned cagma_manager_next_tag(CagmaManager *manager);

/* Guests' own words (manager-guests.c). */
void cagma_manager_ask_guest(CagmaManager *manager, CagmaManaged *managed);
/* Listens to its channel where it has one and is managed. */
void cagma_manager_listen(CagmaManager *manager, CagmaManaged *managed);
/* Another agent may be there: what was known of the last one is void. */
void cagma_manager_forget_agent(CagmaManager *manager, CagmaManaged *managed);
void cagma_manager_agent_answered(CagmaManager *manager, CagmaManaged *managed, CagmaRequest *request);
void cagma_manager_on_guest(void *owner, const char *uuid, const CagmaSample *sample, gboolean pressure);
/* With each of its reports (manager-readback.c). */
void cagma_manager_read_back(CagmaManager *manager, CagmaManaged *managed);
void cagma_manager_on_read_back(void *owner, const char *uuid, uint64_t kib, gboolean done);
void cagma_manager_on_guest_lost(void *owner, const char *uuid, const char *reason);

/* Rounds (manager-rounds.c): figures of all, then a decision. */
void cagma_manager_start_ticking(CagmaManager *manager);
void cagma_manager_watch(CagmaManager *manager);
void cagma_manager_arrived(CagmaManager *manager, CagmaManaged *managed);
void cagma_manager_decide_soon(CagmaManager *manager);
/* Somebody is short by figures that came between rounds. */
void cagma_manager_decide_between(CagmaManager *manager);
void cagma_manager_decide_pressed(CagmaManager *manager);

/* Room for starts (manager-room.c). Whether one takes what was made for it just now, so that
 * what is free looks too little. */
gboolean cagma_manager_is_building(CagmaManager *manager, int64_t now_us);
void cagma_manager_dismiss_waiters(CagmaManager *manager);

/* Deciding and doing (manager-decide.c). */
void cagma_manager_decide(CagmaManager *manager);
/* The target that was announced isn't what the domain is asked for after all. */
void cagma_manager_keep_previous_target(CagmaManager *manager, CagmaManaged *managed);
/* A move that is decided but not asked for yet no longer fits what the domain now is. */
void cagma_manager_take_back(CagmaManager *manager, CagmaManaged *managed);

/* What the backend says (manager-answers.c, manager-events.c). */
void cagma_manager_on_completed(void *owner, CagmaRequest *request);
void cagma_manager_on_event(void *owner, const CagmaEvent *event);
void cagma_manager_on_connected(void *owner, GPtrArray *running);
void cagma_manager_on_disconnected(void *owner, const char *reason);

/* Stopping ends when nothing is under way any more (manager.c). */
void cagma_manager_maybe_stopped(CagmaManager *manager);
