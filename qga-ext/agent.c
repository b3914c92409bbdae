/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/agent.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "qga-ext/clock.h"
#include "qga-ext/resident.h"

/* What epoll's events belong to. */
enum { TAG_PORT, TAG_PORT_WAIT, TAG_TRIGGER, TAG_STOCK, N_TAGS };

/* Replies that a stock agent that has gone may have owed, and are made good with errors.
 * libvirt waits for one at a time; of somebody who has sent more than these at once, the
 * connection is ended. */
#define OWED_MAX 8u

/* An event is written behind nothing, a reply behind others. */
_Static_assert(CAGMA_OUTPUT_BYTES >= (size_t)OWED_MAX * 128 + CAGMA_REPLY_MAX,
               "room for all that may be put at once");

static void
set_trigger(void *data)
{
  CagmaAgent *agent = data;

  agent->dispatch.watch = cagma_trigger_set(&agent->trigger, &agent->dispatch.trigger, cagma_clock_us());
}

/* Only where there is a stock agent: its buffer is half of what we otherwise take. */
static CagmaMux *
new_mux(const CagmaAgent *agent, const char *path)
{
  char *memory = mmap(NULL, sizeof(CagmaMux) + CAGMA_MUX_TO_STOCK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CagmaMux *mux = (CagmaMux *)(void *)memory;

  if (memory == MAP_FAILED)
    return NULL;
  cagma_mux_init(mux, path, agent->log, agent->epoll_fd, TAG_STOCK, memory + sizeof(CagmaMux));
  return mux;
}

static bool
fail(const CagmaAgent *agent, const char *what)
{
  cagma_log(agent->log, "%s: %s", what, strerror(errno));
  return false;
}

bool
cagma_agent_open(CagmaAgent *agent, const CagmaOptions *options, const CagmaLog *log)
{
  agent->log = log;
  agent->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (agent->epoll_fd < 0)
    return fail(agent, "epoll");
  if (!cagma_system_open(&agent->system, options->proc))
    return fail(agent, options->proc);
  cagma_processes_init(&agent->processes, &agent->system);
  cagma_trigger_init(&agent->trigger, &agent->system, agent->epoll_fd, TAG_TRIGGER);
  cagma_frame_init(&agent->frame);
  agent->output = cagma_queue_init(agent->output_bytes, sizeof(agent->output_bytes));
  agent->dispatch =
      (CagmaDispatch){ .version = CAGMA_VERSION, .system = &agent->system, .processes = &agent->processes };
  if (options->multiplex != NULL) {
    agent->mux = new_mux(agent, options->multiplex);
    if (agent->mux == NULL)
      return fail(agent, "memory");
  } else {
    agent->dispatch.set_trigger = set_trigger;
    agent->dispatch.set_trigger_data = agent;
    agent->dispatch.trigger = CAGMA_DEFAULT_TRIGGER;
    set_trigger(agent);
    cagma_log_verbose(log, "pressure is watched through %s",
                      agent->dispatch.watch == CAGMA_WATCH_PSI ? "PSI" : "swap counters");
  }
  if (!cagma_port_open(&agent->port, options->method, options->path, log, agent->epoll_fd, TAG_PORT,
                       TAG_PORT_WAIT))
    return fail(agent, options->path);
  return true;
}

/* Writes an event behind all that waits. FALSE where there are no figures. */
static bool
put_event(CagmaAgent *agent)
{
  static char bytes[CAGMA_REPLY_MAX];
  CagmaText text = cagma_text_init(bytes, sizeof(bytes));
  CagmaMemoryStats stats;

  if (!cagma_read_memory_stats(&agent->dispatch, &stats))
    return false;
  cagma_write_event(&text, cagma_clock_real_us(), &stats);
  if (text.overflow)
    return false;
  cagma_queue_put(&agent->output, text.data, text.length);
  return true;
}

void
cagma_agent_rehearse(CagmaAgent *agent)
{
  cagma_processes_scan(&agent->processes, CAGMA_SCAN_BUDGET, true);
  if (!put_event(agent))
    cagma_log(agent->log, "the memory figures can't be read");
  cagma_queue_clear(&agent->output);
}

static bool
host_has_gone(const CagmaAgent *agent)
{
  return agent->port.losses != agent->losses;
}

/* What was between us and the host that was connected is over. */
static void
notice_loss(CagmaAgent *agent)
{
  if (!host_has_gone(agent))
    return;
  agent->losses = agent->port.losses;
  cagma_frame_init(&agent->frame);
  agent->input_at = agent->input_length = 0;
  agent->waiting = false;
  cagma_queue_clear(&agent->output);
  if (agent->mux != NULL)
    cagma_mux_close(agent->mux);
}

/* Not to the next host what was for the one before. */
static void
flush_output(CagmaAgent *agent)
{
  while (!host_has_gone(agent) && cagma_queue_length(&agent->output) > 0) {
    const size_t put =
        cagma_port_write(&agent->port, cagma_queue_front(&agent->output), cagma_queue_length(&agent->output));
    if (put == 0)
      return;
    cagma_queue_drop(&agent->output, put);
  }
}

/* First the event, with the processes as of the last look at them, then that look. */
static void
send_event(CagmaAgent *agent)
{
  const uint64_t now_us = cagma_clock_us();

  if (!agent->port.host_connected)
    agent->event_due = false; /* whoever comes later is told by what happens later */
  if (!agent->event_due || now_us < agent->next_event_us || cagma_queue_length(&agent->output) > 0)
    return;
  agent->event_due = false;
  agent->next_event_us = now_us + CAGMA_EVENT_INTERVAL_US;
  if (!put_event(agent))
    return;
  flush_output(agent);
  cagma_log_verbose(agent->log, "event: memory pressure");
  cagma_processes_scan(&agent->processes, CAGMA_SCAN_BUDGET, true);
}

static void
put_reply(CagmaAgent *agent, const CagmaText *reply)
{
  if (reply->overflow) /* none is that long; but silence would be worst */
    cagma_log(agent->log, "a reply was too long");
  else
    cagma_queue_put(&agent->output, reply->data, reply->length);
}

static void
reply_to(CagmaAgent *agent, const char *message, size_t length)
{
  static char bytes[CAGMA_REPLY_MAX];
  CagmaText reply = cagma_text_init(bytes, sizeof(bytes));

  cagma_dispatch(&agent->dispatch, message, length, &reply);
  put_reply(agent, &reply);
}

static void
reply_error(CagmaAgent *agent, const CagmaRequest *request, const char *description)
{
  static char bytes[CAGMA_REPLY_MAX];
  CagmaText reply = cagma_text_init(bytes, sizeof(bytes));

  cagma_dispatch_error(request, description, &reply);
  put_reply(agent, &reply);
}

/* Without a stock agent beside us, or while it isn't there: what we can answer, we do. */
static void
answer_alone(CagmaAgent *agent, CagmaOwner owner, const CagmaRequest *request)
{
  if (agent->mux != NULL && owner == CAGMA_NOT_OURS)
    reply_error(agent, request, "the stock guest agent is not connected");
  else
    reply_to(agent, agent->frame.message, agent->frame.length);
}

static void
log_message(const CagmaAgent *agent)
{
  const size_t shown = agent->frame.length < 80 ? agent->frame.length : 80;

  cagma_log_verbose(agent->log, "from the host: %zu bytes: %.*s", agent->frame.length, (int)shown,
                    agent->frame.message);
}

/* FALSE where the message must wait for the stock agent. */
static bool
handle_message(CagmaAgent *agent)
{
  static CagmaRequest request;
  const char *message = agent->frame.message;
  const size_t length = agent->frame.length;
  CagmaMux *mux = agent->mux;
  const CagmaOwner owner = cagma_dispatch_owner(&request, message, length);
  const bool in_turn =
      owner == CAGMA_OURS ||
      (owner == CAGMA_BASE && cagma_json_equals(&request.json, request.command, "guest-info"));

  if (mux == NULL || (owner != CAGMA_OURS && !cagma_mux_connect(mux))) {
    answer_alone(agent, owner, &request);
    return true;
  }
  if (in_turn && !cagma_mux_is_idle(mux)) {
    cagma_mux_become_idle(mux);
    return false;
  }
  if (owner == CAGMA_OURS)
    reply_to(agent, message, length);
  else
    cagma_mux_forward(mux, message, length, owner == CAGMA_NO_REQUEST ? NULL : &request);
  return true;
}

static void
handle_too_long(CagmaAgent *agent)
{
  if (agent->mux != NULL && cagma_mux_connect(agent->mux))
    cagma_mux_forward_beginning(agent->mux, agent->frame.message, agent->frame.length);
  else if (agent->mux != NULL)
    reply_error(agent, NULL, "the stock guest agent is not connected");
  else
    reply_error(agent, NULL, "the request is longer than 64 KiB");
}

/* Bytes that are no message of ours, where there is somebody they may be for. */
static void
pass_bytes(CagmaAgent *agent, const char *bytes, size_t length)
{
  if (agent->mux != NULL && agent->mux->fd >= 0)
    cagma_mux_forward_bytes(agent->mux, bytes, length);
}

static void
handle_reset(CagmaAgent *agent)
{
  if (agent->mux != NULL && agent->frame.length > 0 && agent->mux->fd >= 0)
    cagma_mux_forward(agent->mux, agent->frame.message, agent->frame.length, NULL);
  if (agent->mux != NULL && agent->mux->fd >= 0)
    cagma_mux_forward(agent->mux, "\xFF", 1, NULL);
}

static void
handle_frame_event(CagmaAgent *agent, CagmaFrameEvent event, const char *taken, size_t length)
{
  switch (event) {
  case CAGMA_FRAME_MESSAGE:
    log_message(agent);
    agent->waiting = !handle_message(agent);
    break;
  case CAGMA_FRAME_TOO_LONG:
    handle_too_long(agent);
    break;
  case CAGMA_FRAME_RESET:
    handle_reset(agent);
    break;
  case CAGMA_FRAME_BLANK:
  case CAGMA_FRAME_REST:
    pass_bytes(agent, taken, length);
    break;
  case CAGMA_FRAME_MORE:
  default:
    break;
  }
}

/* TRUE where a request may be handled: there is room for what it leads to. */
static bool
may_handle_input(const CagmaAgent *agent)
{
  return cagma_queue_room(&agent->output) >= CAGMA_REPLY_MAX &&
         (agent->mux == NULL || cagma_queue_length(&agent->mux->to_stock) == 0);
}

static void
handle_waiting(CagmaAgent *agent)
{
  if (agent->waiting && may_handle_input(agent))
    agent->waiting = !handle_message(agent);
}

/* Handles what was read from the host, and one more reading. */
static void
handle_input(CagmaAgent *agent)
{
  if (agent->input_at == agent->input_length && !agent->waiting && may_handle_input(agent)) {
    agent->input_at = 0;
    agent->input_length = cagma_port_read(&agent->port, agent->input, sizeof(agent->input));
  }
  while (agent->input_at < agent->input_length && !agent->waiting && may_handle_input(agent) &&
         !host_has_gone(agent)) {
    const char *taken = agent->input + agent->input_at;
    CagmaFrameEvent event;
    const size_t n = cagma_frame_feed(&agent->frame, taken, agent->input_length - agent->input_at, &event);

    agent->input_at += n;
    handle_frame_event(agent, event, taken, n);
    flush_output(agent);
  }
}

/* The host gets what the stock agent owes it as errors; where the host has half a reply,
 * nothing but a new connection lets it understand what follows. */
static void
handle_stock_loss(CagmaAgent *agent)
{
  const unsigned int owed = agent->mux->owed;
  const bool too_much = agent->mux->mid_line || owed > OWED_MAX;

  cagma_mux_close(agent->mux);
  if (too_much) {
    cagma_port_reset(&agent->port);
    return;
  }
  for (unsigned int i = 0; i < owed; i++)
    reply_error(agent, NULL, "the stock guest agent has gone");
}

static void
handle_stock(CagmaAgent *agent)
{
  CagmaMuxResult result;

  if (agent->mux == NULL || agent->mux->fd < 0)
    return;
  cagma_mux_flush(agent->mux);
  /* What the room is kept for: see handle_stock_loss(). */
  if (cagma_queue_room(&agent->output) < CAGMA_REPLY_MAX)
    return;
  result = cagma_mux_read(agent->mux, &agent->output);
  if (result == CAGMA_MUX_LOST)
    handle_stock_loss(agent);
  flush_output(agent);
}

static bool
stock_has_work(const CagmaAgent *agent)
{
  return agent->mux != NULL && agent->mux->fd >= 0 && agent->mux->readable &&
         cagma_queue_room(&agent->output) >= CAGMA_REPLY_MAX;
}

static bool
input_has_work(const CagmaAgent *agent)
{
  return !agent->waiting && may_handle_input(agent) &&
         (agent->port.readable || agent->input_at < agent->input_length);
}

/* For epoll, in ms: 0 where there is work, -1 where only an event can bring some. */
static int
time_to_wait(const CagmaAgent *agent)
{
  const uint64_t now_us = cagma_clock_us();
  uint64_t due_us = cagma_trigger_due_us(&agent->trigger);

  if (input_has_work(agent) || stock_has_work(agent))
    return 0;
  if (agent->port.retry_us < due_us)
    due_us = agent->port.retry_us;
  if (agent->event_due && cagma_queue_length(&agent->output) == 0 && agent->next_event_us < due_us)
    due_us = agent->next_event_us;
  if (due_us == UINT64_MAX)
    return -1;
  if (due_us <= now_us)
    return 0;
  /* Up to the next ms, not to be a moment too early again and again. */
  return (due_us - now_us) / 1000 >= INT_MAX ? INT_MAX : (int)((due_us - now_us) / 1000) + 1;
}

static void
handle_epoll_event(CagmaAgent *agent, const struct epoll_event *event, uint64_t now_us)
{
  switch (event->data.u32) {
  case TAG_PORT:
    cagma_port_handle(&agent->port, event->events);
    break;
  case TAG_PORT_WAIT:
    cagma_port_handle_wait(&agent->port, now_us);
    break;
  case TAG_TRIGGER:
    agent->event_due |= cagma_trigger_handle(&agent->trigger, event->events, now_us);
    break;
  case TAG_STOCK:
    cagma_mux_handle(agent->mux, event->events);
    break;
  default:
    break;
  }
}

/* One turn: an event first, then the stock agent and the host, a piece each. The host may
 * go in any of them, and another one be there at once, who is none of the next's business
 * before what was for the old one is gone. */
static void
take_turn(CagmaAgent *agent)
{
  static void (*const steps[])(CagmaAgent *) = { flush_output, send_event, handle_stock, handle_waiting,
                                                 handle_input };

  for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
    notice_loss(agent);
    steps[i](agent);
  }
  notice_loss(agent);
}

void
cagma_agent_run(CagmaAgent *agent, const sigset_t *wait_mask, const volatile sig_atomic_t *ended)
{
  while (!*ended) {
    struct epoll_event events[N_TAGS];
    const int wait_ms = time_to_wait(agent);
    uint64_t now_us;
    int n;

    if (wait_ms != 0)
      cagma_resident_wait();
    n = epoll_pwait(agent->epoll_fd, events, N_TAGS, wait_ms, wait_mask);
    now_us = cagma_clock_us();
    for (int i = 0; i < n; i++)
      handle_epoll_event(agent, &events[i], now_us);
    cagma_port_retry(&agent->port, now_us);
    agent->event_due |= cagma_trigger_poll(&agent->trigger, now_us);
    take_turn(agent);
  }
}

void
cagma_agent_close(CagmaAgent *agent)
{
  cagma_port_close(&agent->port);
}
