/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/backend.h"

/* A hypervisor that does what the test tells it to: guests with a balloon, answers on
 * the main loop's next turn, or none. */

typedef struct FakeBackend FakeBackend;

#define FAKE_N_KINDS (CAGMA_REQUEST_AGENT + 1)

typedef struct {
  char uuid[CAGMA_UUID_SIZE];
  char *name;
  int id;
  gboolean runs;

  /* What it is; the test's to change at any time. */
  uint64_t memory_kib;
  uint64_t actual_kib;
  uint64_t used_kib;
  uint64_t rss_kib;    /* what its process holds; 0: isn't told */
  char *config;        /* its cagma element, or NULL; fake_configure */
  char *metadata;      /* more metadata, or NULL */
  char *xml;           /* given for its XML instead, or NULL */
  gboolean xen;        /* bounded: by bound_kib, which a start and each SET set */
  uint64_t bound_kib;  /* … the test's to change, too */
  gboolean driverless; /* and its driver isn't up */
  gboolean no_balloon;
  gboolean no_stats_period;
  gboolean passed_through;
  gboolean channel;       /* its XML has the port of our own agent … */
  gboolean agent_channel; /* … and that of a QEMU guest agent */
  gboolean paused;
  gboolean sticks; /* its balloon doesn't move */
  gboolean dumb;   /* its guest reports no figures */
  gboolean migrates;
  uint64_t swap_in_kib;
  uint64_t swap_out_kib;

  /* How requests are answered. */
  CagmaOutcome outcome[FAKE_N_KINDS];
  gboolean silent[FAKE_N_KINDS]; /* not, until fake_release */
  gboolean unasked;              /* what is LOST never was on its way */

  /* What was asked of it. */
  unsigned n_asked[FAKE_N_KINDS];
  uint64_t target_kib;  /* by the last SET that was done */
  GArray *sets;         /* uint64_t, each SET submitted */
  char *status;         /* its status metadata, or NULL */
  unsigned n_status;    /* writes of it … */
  gint64 status_us;     /* … the last one, … */
  gint64 status_gap_us; /* … and the shortest time between two */
  unsigned stats_period_s;
  unsigned n_hurried;      /* while a request was under way */
  gboolean listened;       /* to its channel */
  unsigned n_channel_asks; /* of its channel */
  unsigned n_read_backs;   /* requests to bring memory back … */
  uint64_t read_back_kib;  /* … and how much of it by the last one */
  unsigned n_load_asks;    /* of its channel, for its load */
  unsigned n_agent_loads;  /* of its QEMU guest agent */
  const char *agent_info;  /* to an AGENT request: to guest-info … */
  const char *agent_load;  /* … to guest-get-load; NULL: as to any other … */
  const char *agent_reply; /* … and to any other; static */
  const char *agent_asked; /* the last one's command */
  gboolean job_asked;      /* the last sample asked for jobs too */

  uint64_t stamp;
} FakeGuest;

/* What the host has; FALSE: its figures can't be had. */
typedef gboolean (*FakeHostMemory)(CagmaHostMemory *memory, GError **error);

/* What a SET is judged by before it is carried out. */
typedef void (*FakeJudge)(FakeGuest *guest, uint64_t target_kib, void *user_data);

FakeBackend *fake_new(void);
CagmaBackend *fake_backend(FakeBackend *fake);
/* Needed with budget=auto. */
void fake_host_memory(FakeBackend *fake, FakeHostMemory host_memory);
void fake_judge(FakeBackend *fake, FakeJudge judge, void *user_data);

/* The balloon belongs to memory_kib at first. The fake's. */
FakeGuest *fake_add(FakeBackend *fake, const char *name, uint64_t memory_mib, uint64_t actual_mib,
                    uint64_t used_mib, const char *config);
void fake_configure(FakeBackend *fake, FakeGuest *guest, const char *config);

void fake_connect(FakeBackend *fake);
void fake_disconnect(FakeBackend *fake);
gboolean fake_is_open(FakeBackend *fake);

/* Starts or stops it, under a new id each time, and tells. */
void fake_start(FakeBackend *fake, FakeGuest *guest);
void fake_stop(FakeBackend *fake, FakeGuest *guest);
void fake_tell(FakeBackend *fake, FakeGuest *guest, CagmaEventKind kind);

/* Its own agent says this on its channel, listened to or not; or is lost. */
void fake_speak(FakeBackend *fake, FakeGuest *guest, const CagmaSample *sample, gboolean pressure);
/* It has brought back so much. */
void fake_bring_back(FakeBackend *fake, FakeGuest *guest, uint64_t kib, gboolean done);
void fake_lose(FakeBackend *fake, FakeGuest *guest, const char *reason);

/* Answers what the guest was asked while silent, as outcome says. */
void fake_release(FakeBackend *fake, FakeGuest *guest, CagmaOutcome outcome);
unsigned fake_n_held(FakeBackend *fake, FakeGuest *guest);

/* After the manager's end; close() leaves it to the test to look at. */
void fake_free(FakeBackend *fake);
