/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/agent.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>

#include "qga-ext/clock.h"
#include "qga-ext/resident.h"

/* Taken out of epoll at a time. */
#define EPOLL_EVENTS 4

static bool
fail(const CagmaLog *log, const char *what)
{
  cagma_log(log, "%s: %s", what, strerror(errno));
  return false;
}

bool
cagma_agent_open(CagmaAgent *agent, const CagmaOptions *options, const CagmaLog *log)
{
  CagmaGuest *guest = &agent->guest;

  agent->way = options->method == CAGMA_METHOD_XENSTORE ? &cagma_publisher : &cagma_conversation;
  guest->log = log;
  guest->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (guest->epoll_fd < 0)
    return fail(log, "epoll");
  if (!cagma_system_open(&guest->system, options->proc))
    return fail(log, options->proc);
  cagma_scanner_init(&guest->scanner, &guest->system);
  if (!cagma_scanner_start(&guest->scanner))
    cagma_log(log, "no thread to look at processes: %s", strerror(errno)); /* we do it ourselves then */
  cagma_trigger_init(&guest->trigger, &guest->system, guest->epoll_fd, CAGMA_TAG_TRIGGER);
  return agent->way->open(&agent->ways, options, guest);
}

void
cagma_agent_rehearse(CagmaAgent *agent)
{
  cagma_scanner_go_on(&agent->guest.scanner, true, CAGMA_SCAN_WAIT_MS);
  agent->way->rehearse(&agent->ways);
}

/* For epoll, in ms: 0 where there is work, -1 where only an event can bring some. */
static int
time_to_wait(const CagmaAgent *agent)
{
  const uint64_t now_us = cagma_clock_us();
  const uint64_t trigger_due_us = cagma_trigger_due_us(&agent->guest.trigger);
  uint64_t due_us = agent->way->due_us(&agent->ways);

  if (trigger_due_us < due_us)
    due_us = trigger_due_us;
  if (due_us == UINT64_MAX)
    return -1;
  if (due_us <= now_us)
    return 0;
  /* Up to the next ms, not to be a moment too early again and again. */
  return (due_us - now_us) / 1000 >= INT_MAX ? INT_MAX : (int)((due_us - now_us) / 1000) + 1;
}

void
cagma_agent_run(CagmaAgent *agent, const sigset_t *wait_mask, const volatile sig_atomic_t *ended)
{
  while (!*ended) {
    struct epoll_event events[EPOLL_EVENTS];
    const int wait_ms = time_to_wait(agent);
    bool pressure = false;
    uint64_t now_us;
    int n;

    if (wait_ms != 0)
      cagma_resident_wait();
    n = epoll_pwait(agent->guest.epoll_fd, events, EPOLL_EVENTS, wait_ms, wait_mask);
    now_us = cagma_clock_us();
    for (int i = 0; i < n; i++) {
      if (events[i].data.u32 == CAGMA_TAG_TRIGGER)
        pressure |= cagma_trigger_handle(&agent->guest.trigger, events[i].events, now_us);
      else
        agent->way->handle(&agent->ways, events[i].data.u32, events[i].events, now_us);
    }
    pressure |= cagma_trigger_poll(&agent->guest.trigger, now_us);
    agent->way->turn(&agent->ways, pressure, now_us);
  }
}

void
cagma_agent_close(CagmaAgent *agent)
{
  agent->way->close(&agent->ways);
}
