/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/manager-private.h"

#include <string.h>

#include "plugin/agent-reply.h"
#include "policy/loadavg.h"
#include "policy/units.h"

/* What guests say by themselves, beside the balloon's statistics: through our own
 * agent's way, which pushes, or through a QEMU guest agent that knows the memory
 * commands, which is asked once a period. */

/* A stock agent under memory pressure takes seconds. Nothing waits for it. libvirt waits 5 s for it to
 * say that it is there, whatever is asked, and then CAGMA_AGENT_COMMAND_S. */
#define AGENT_DEADLINE_US ((CAGMA_AGENT_COMMAND_S + 6) * CAGMA_SECOND_US)
#define AGENT_BACKOFF_US (30 * CAGMA_SECOND_US)
#define AGENT_BACKOFF_MAX_US (600 * CAGMA_SECOND_US)
/* That a guest's agent is lost is logged no oftener than so many times in so long. */
#define LOST_MAX 5
#define LOST_INTERVAL_US (60 * CAGMA_SECOND_US)
/* An agent that failed after so long didn't answer; its guest's next one isn't asked at once. */
#define HANGS_US (3 * CAGMA_SECOND_US)
#define HUNG_US (300 * CAGMA_SECOND_US)

#define GUEST_INFO "{\"execute\":\"guest-info\"}"
#define GUEST_STATS "{\"execute\":\"guest-get-memory-stats\"}"
#define GUEST_LOAD "{\"execute\":\"guest-get-load\"}"

static gboolean
is_heard_by_channel(const CagmaManaged *managed)
{
  return managed->policy.source == CAGMA_SAMPLE_CHANNEL && managed->policy.reported;
}

/* Says when it is time to ask for its load, which one estimator alone wants. */
static gboolean
wants_load(CagmaManaged *managed)
{
  int64_t now_us = g_get_monotonic_time();

  if (managed->policy.config.estimator != CAGMA_ESTIMATOR_LOADAVG || now_us < managed->load_next_us)
    return FALSE;
  managed->load_next_us = now_us + CAGMA_LOADAVG_LOOK_US;
  return TRUE;
}

static void
submit_to_agent(CagmaManager *manager, CagmaManaged *managed, const char *command)
{
  CagmaRequest *request = cagma_request_new(CAGMA_REQUEST_AGENT, managed->uuid);

  managed->agent_asked_us = g_get_monotonic_time();
  request->command = command;
  request->deadline_us = AGENT_DEADLINE_US;
  request->tag = managed->agent_in_flight = cagma_manager_next_tag(manager);
  manager->backend->submit(manager->backend, request);
}

static void
ask_agent(CagmaManager *manager, CagmaManaged *managed)
{
  if (!managed->xml->agent_channel || managed->agent == CAGMA_AGENT_UNABLE || managed->agent_in_flight ||
      is_heard_by_channel(managed) || g_get_monotonic_time() < managed->agent_next_us)
    return;
  submit_to_agent(manager, managed, managed->agent == CAGMA_AGENT_ABLE ? GUEST_STATS : GUEST_INFO);
}

void
cagma_manager_ask_guest(CagmaManager *manager, CagmaManaged *managed)
{
  if (!managed->policy.managed || managed->policy.hold || managed->policy.unresponsive)
    return;
  if (managed->listened)
    manager->backend->ask(manager->backend, managed->uuid);
  if (managed->listened && is_heard_by_channel(managed) && wants_load(managed))
    manager->backend->ask_load(manager->backend, managed->uuid);
  ask_agent(manager, managed);
}

void
cagma_manager_listen(CagmaManager *manager, CagmaManaged *managed)
{
  gboolean wanted = managed->policy.managed && managed->xml->own_channel;

  if (wanted == managed->listened)
    return;
  managed->listened = wanted;
  manager->backend->listen(manager->backend, managed->uuid, wanted);
  if (!wanted)
    cagma_manager_tell_lost(manager, managed, CAGMA_SAMPLE_CHANNEL);
}

void
cagma_manager_forget_agent(CagmaManager *manager, CagmaManaged *managed)
{
  int64_t now_us = g_get_monotonic_time();

  managed->agent = CAGMA_AGENT_UNKNOWN;
  managed->agent_stale = managed->agent_in_flight != 0;
  managed->load_next_us = 0;
  /* Another agent may be of use at once. But a guest brings this about as often as it likes, and one
   * that doesn't answer holds a worker. */
  if (!managed->agent_hung_us || now_us - managed->agent_hung_us >= HUNG_US) {
    managed->agent_next_us = 0;
    managed->agent_backoff_us = 0;
  }
  cagma_manager_tell_lost(manager, managed, CAGMA_SAMPLE_AGENT);
}

/* Where it is blocked, frozen or gone, the balloon's statistics go on. */
static void
leave_agent(CagmaManager *manager, CagmaManaged *managed)
{
  int64_t now_us = g_get_monotonic_time();

  if (now_us - managed->agent_asked_us >= HANGS_US)
    managed->agent_hung_us = now_us;
  managed->agent_backoff_us = CLAMP(managed->agent_backoff_us * 2, AGENT_BACKOFF_US, AGENT_BACKOFF_MAX_US);
  managed->agent_next_us = now_us + managed->agent_backoff_us;
  cagma_manager_tell_lost(manager, managed, CAGMA_SAMPLE_AGENT);
}

static gboolean
take_figures(CagmaManager *manager, CagmaManaged *managed, const char *reply, CagmaAgentKind kind)
{
  CagmaAgentMessage message;
  g_autoptr(GError) error = NULL;

  if (!cagma_agent_message_parse(reply, strlen(reply), &message, &error) || message.kind != kind)
    return FALSE;
  message.sample.source = CAGMA_SAMPLE_AGENT;
  cagma_manager_tell_sample(manager, managed, &message.sample);
  return TRUE;
}

/* FALSE where the agent is of no use. */
static gboolean
take_answer(CagmaManager *manager, CagmaManaged *managed, const char *reply)
{
  g_autoptr(GError) error = NULL;
  gboolean able;

  if (managed->agent == CAGMA_AGENT_UNKNOWN) {
    if (!cagma_agent_info_parse(reply, "guest-get-memory-stats", &able, &error))
      return FALSE;
    managed->agent = able ? CAGMA_AGENT_ABLE : CAGMA_AGENT_UNABLE;
    return TRUE;
  }
  if (!take_figures(manager, managed, reply, CAGMA_AGENT_STATS))
    return FALSE;
  managed->agent_backoff_us = 0;
  /* At once: were it asked for instead of the figures, these would come too seldom. */
  if (wants_load(managed))
    submit_to_agent(manager, managed, GUEST_LOAD);
  return TRUE;
}

void
cagma_manager_agent_answered(CagmaManager *manager, CagmaManaged *managed, CagmaRequest *request)
{
  gboolean stale = managed->agent_stale, done = request->outcome == CAGMA_OUTCOME_DONE;

  managed->agent_in_flight = 0;
  managed->agent_stale = FALSE;
  /* Not asked at all: another client's question is being answered, or the connection is
   * gone; or there is another agent now. Next time, then. */
  if (stale || request->outcome == CAGMA_OUTCOME_OCCUPIED || request->outcome == CAGMA_OUTCOME_LOST)
    return;
  /* One that doesn't know its load may know the rest. */
  if (g_str_equal(request->command, GUEST_LOAD)) {
    if (!done || !take_figures(manager, managed, request->reply, CAGMA_AGENT_LOAD))
      managed->load_next_us = g_get_monotonic_time() + AGENT_BACKOFF_MAX_US;
  } else if (!done || !take_answer(manager, managed, request->reply)) {
    leave_agent(manager, managed);
  }
}

void
cagma_manager_on_guest(void *owner, const char *uuid, const CagmaSample *sample, gboolean pressure)
{
  CagmaManager *manager = owner;
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, uuid);
  CagmaInput pressed = { .kind = CAGMA_INPUT_PRESSURE, .now_us = g_get_monotonic_time() };
  CagmaDemand demand;

  if (!managed || !managed->listened || manager->stopped)
    return;
  cagma_manager_tell_sample(manager, managed, sample);
  cagma_manager_read_back(manager, managed);
  if (!pressure && cagma_is_short(&managed->policy))
    cagma_manager_decide_between(manager);
  if (!pressure || !manager->connected)
    return;
  /* Not at the next turn of the loop, nor after anybody's figures: now. */
  cagma_estimate(&managed->policy, cagma_host_horizon_us(&manager->host, &managed->policy), &demand);
  /* A guest's largest process may be of any size, by its own word. */
  pressed.kib = cagma_min_kib(demand.critical_kib, CAGMA_MAX_KIB);
  if (!cagma_manager_tell(manager, managed, &pressed))
    return;
  cagma_manager_decide_pressed(manager);
  /* What the host has available is of now; what its guests hold of that is of the last round, but this one's
   * is what has just changed. */
  if (manager->conf->budget == CAGMA_BUDGET_AUTO)
    cagma_manager_want(manager, managed, CAGMA_REQUEST_SAMPLE);
}

/* Its guest's own doing, so not as often as it likes. */
static void
say_lost(CagmaManaged *managed, const char *reason)
{
  int64_t now_us = g_get_monotonic_time();

  if (now_us - managed->lost_us >= LOST_INTERVAL_US) {
    managed->lost_us = now_us;
    managed->n_lost = 0;
  }
  if (++managed->n_lost > LOST_MAX)
    return;
  g_message("%s: its agent is lost: %s", managed->name, reason);
}

void
cagma_manager_on_guest_lost(void *owner, const char *uuid, const char *reason)
{
  CagmaManager *manager = owner;
  CagmaManaged *managed = g_hash_table_lookup(manager->by_uuid, uuid);

  if (!managed)
    return;
  say_lost(managed, reason);
  cagma_manager_tell_lost(manager, managed, CAGMA_SAMPLE_CHANNEL);
}
