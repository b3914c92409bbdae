/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/conversation.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "qga-ext/clock.h"

/* What epoll's events belong to. */
enum { TAG_PORT = CAGMA_TAG_WAY, TAG_PORT_WAIT, TAG_STOCK };

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
  CagmaConversation *conversation = data;

  conversation->dispatch.watch =
      cagma_trigger_set(&conversation->guest->trigger, &conversation->dispatch.trigger, cagma_clock_us());
}

/* Only where there is a stock agent: its buffer is half of what we otherwise take. */
static CagmaMux *
new_mux(const CagmaConversation *conversation, const char *path)
{
  char *memory = mmap(NULL, sizeof(CagmaMux) + CAGMA_MUX_TO_STOCK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CagmaMux *mux = (CagmaMux *)(void *)memory;

  if (memory == MAP_FAILED)
    return NULL;
  cagma_mux_init(mux, path, conversation->log, conversation->guest->epoll_fd, TAG_STOCK,
                 memory + sizeof(CagmaMux));
  return mux;
}

static bool
fail(const CagmaConversation *conversation, const char *what)
{
  cagma_log(conversation->log, "%s: %s", what, strerror(errno));
  return false;
}

static bool
open_conversation(void *way, const CagmaOptions *options, CagmaGuest *guest)
{
  CagmaConversation *conversation = way;

  conversation->guest = guest;
  conversation->log = guest->log;
  cagma_frame_init(&conversation->frame);
  conversation->output = cagma_queue_init(conversation->output_bytes, sizeof(conversation->output_bytes));
  conversation->dispatch = (CagmaDispatch){
    .version = CAGMA_VERSION,
    .system = &guest->system,
    .scanner = &guest->scanner,
    .read_back = cagma_read_back_can() ? &cagma_read_back_calls : NULL,
  };
  if (options->multiplex != NULL) {
    conversation->mux = new_mux(conversation, options->multiplex);
    if (conversation->mux == NULL)
      return fail(conversation, "memory");
  } else {
    conversation->dispatch.set_trigger = set_trigger;
    conversation->dispatch.set_trigger_data = conversation;
    conversation->dispatch.trigger = CAGMA_DEFAULT_TRIGGER;
    set_trigger(conversation);
    cagma_log_verbose(guest->log, "pressure is watched through %s",
                      conversation->dispatch.watch == CAGMA_WATCH_PSI ? "PSI" : "swap counters");
  }
  if (!cagma_port_open(&conversation->port, options->method, options->path, guest->log, guest->epoll_fd,
                       TAG_PORT, TAG_PORT_WAIT))
    return fail(conversation, options->path);
  return true;
}

/* Writes an event behind all that waits. FALSE where there are no figures. */
static bool
put_event(CagmaConversation *conversation)
{
  static char bytes[CAGMA_REPLY_MAX];
  CagmaText text = cagma_text_init(bytes, sizeof(bytes));
  CagmaMemoryStats stats;

  if (!cagma_read_memory_stats(&conversation->guest->system, &conversation->guest->scanner, &stats))
    return false;
  cagma_write_event(&text, cagma_clock_real_us(), &stats);
  if (text.overflow)
    return false;
  cagma_queue_put(&conversation->output, text.data, text.length);
  return true;
}

static void
rehearse(void *way)
{
  CagmaConversation *conversation = way;

  if (!put_event(conversation))
    cagma_log(conversation->log, "the memory figures can't be read");
  cagma_queue_clear(&conversation->output);
}

static bool
host_has_gone(const CagmaConversation *conversation)
{
  return conversation->port.losses != conversation->losses;
}

/* What was between us and the host that was connected is over. */
static void
notice_loss(CagmaConversation *conversation)
{
  if (!host_has_gone(conversation))
    return;
  conversation->losses = conversation->port.losses;
  cagma_frame_init(&conversation->frame);
  conversation->input_at = conversation->input_length = 0;
  conversation->waiting = false;
  cagma_queue_clear(&conversation->output);
  if (conversation->mux != NULL)
    cagma_mux_close(conversation->mux);
}

/* Not to the next host what was for the one before. */
static void
flush_output(CagmaConversation *conversation)
{
  while (!host_has_gone(conversation) && cagma_queue_length(&conversation->output) > 0) {
    const size_t put = cagma_port_write(&conversation->port, cagma_queue_front(&conversation->output),
                                        cagma_queue_length(&conversation->output));
    if (put == 0)
      return;
    cagma_queue_drop(&conversation->output, put);
  }
}

/* First the event, with the processes as of the last look at them, then that look. */
static void
send_event(CagmaConversation *conversation)
{
  const uint64_t now_us = cagma_clock_us();

  if (!conversation->port.host_connected)
    conversation->event_due = false; /* whoever comes later is told by what happens later */
  if (!conversation->event_due || now_us < conversation->next_event_us ||
      cagma_queue_length(&conversation->output) > 0)
    return;
  conversation->event_due = false;
  conversation->next_event_us = now_us + CAGMA_EVENT_INTERVAL_US;
  if (!put_event(conversation))
    return;
  flush_output(conversation);
  cagma_log_verbose(conversation->log, "event: memory pressure");
  cagma_scanner_go_on(&conversation->guest->scanner, true, 0);
}

static void
put_reply(CagmaConversation *conversation, const CagmaText *reply)
{
  if (reply->overflow) /* none is that long; but silence would be worst */
    cagma_log(conversation->log, "a reply was too long");
  else
    cagma_queue_put(&conversation->output, reply->data, reply->length);
}

static void
reply_to(CagmaConversation *conversation, const char *message, size_t length)
{
  static char bytes[CAGMA_REPLY_MAX];
  CagmaText reply = cagma_text_init(bytes, sizeof(bytes));

  cagma_dispatch(&conversation->dispatch, message, length, &reply);
  put_reply(conversation, &reply);
}

static void
reply_error(CagmaConversation *conversation, const CagmaRequest *request, const char *description)
{
  static char bytes[CAGMA_REPLY_MAX];
  CagmaText reply = cagma_text_init(bytes, sizeof(bytes));

  cagma_dispatch_error(request, description, &reply);
  put_reply(conversation, &reply);
}

/* Without a stock agent beside us, or while it isn't there: what we can answer, we do. */
static void
answer_alone(CagmaConversation *conversation, CagmaOwner owner, const CagmaRequest *request)
{
  if (conversation->mux != NULL && owner == CAGMA_NOT_OURS)
    reply_error(conversation, request, "the stock guest agent is not connected");
  else
    reply_to(conversation, conversation->frame.message, conversation->frame.length);
}

static void
log_message(const CagmaConversation *conversation)
{
  const size_t shown = conversation->frame.length < 80 ? conversation->frame.length : 80;

  cagma_log_verbose(conversation->log, "from the host: %zu bytes: %.*s", conversation->frame.length,
                    (int)shown, conversation->frame.message);
}

/* FALSE where the message must wait for the stock agent. */
static bool
handle_message(CagmaConversation *conversation)
{
  static CagmaRequest request;
  const char *message = conversation->frame.message;
  const size_t length = conversation->frame.length;
  CagmaMux *mux = conversation->mux;
  const CagmaOwner owner = cagma_dispatch_owner(&request, message, length);
  const bool in_turn =
      owner == CAGMA_OURS ||
      (owner == CAGMA_BASE && cagma_json_equals(&request.json, request.command, "guest-info"));

  if (mux == NULL || (owner != CAGMA_OURS && !cagma_mux_connect(mux))) {
    answer_alone(conversation, owner, &request);
    return true;
  }
  if (in_turn && !cagma_mux_is_idle(mux)) {
    cagma_mux_become_idle(mux);
    return false;
  }
  if (owner == CAGMA_OURS)
    reply_to(conversation, message, length);
  else
    cagma_mux_forward(mux, message, length, owner == CAGMA_NO_REQUEST ? NULL : &request);
  return true;
}

static void
handle_too_long(CagmaConversation *conversation)
{
  if (conversation->mux != NULL && cagma_mux_connect(conversation->mux))
    cagma_mux_forward_beginning(conversation->mux, conversation->frame.message, conversation->frame.length);
  else if (conversation->mux != NULL)
    reply_error(conversation, NULL, "the stock guest agent is not connected");
  else
    reply_error(conversation, NULL, "the request is longer than 64 KiB");
}

/* Bytes that are no message of ours, where there is somebody they may be for. */
static void
pass_bytes(CagmaConversation *conversation, const char *bytes, size_t length)
{
  if (conversation->mux != NULL && conversation->mux->fd >= 0)
    cagma_mux_forward_bytes(conversation->mux, bytes, length);
}

static void
handle_reset(CagmaConversation *conversation)
{
  if (conversation->mux != NULL && conversation->frame.length > 0 && conversation->mux->fd >= 0)
    cagma_mux_forward(conversation->mux, conversation->frame.message, conversation->frame.length, NULL);
  if (conversation->mux != NULL && conversation->mux->fd >= 0)
    cagma_mux_forward(conversation->mux, "\xFF", 1, NULL);
}

static void
handle_frame_event(CagmaConversation *conversation, CagmaFrameEvent event, const char *taken, size_t length)
{
  switch (event) {
  case CAGMA_FRAME_MESSAGE:
    log_message(conversation);
    conversation->waiting = !handle_message(conversation);
    break;
  case CAGMA_FRAME_TOO_LONG:
    handle_too_long(conversation);
    break;
  case CAGMA_FRAME_RESET:
    handle_reset(conversation);
    break;
  case CAGMA_FRAME_BLANK:
  case CAGMA_FRAME_REST:
    pass_bytes(conversation, taken, length);
    break;
  case CAGMA_FRAME_MORE:
  default:
    break;
  }
}

/* TRUE where a request may be handled: there is room for what it leads to. */
static bool
may_handle_input(const CagmaConversation *conversation)
{
  return cagma_queue_room(&conversation->output) >= CAGMA_REPLY_MAX &&
         (conversation->mux == NULL || cagma_queue_length(&conversation->mux->to_stock) == 0);
}

static void
handle_waiting(CagmaConversation *conversation)
{
  if (conversation->waiting && may_handle_input(conversation))
    conversation->waiting = !handle_message(conversation);
}

/* Handles what was read from the host, and one more reading. */
static void
handle_input(CagmaConversation *conversation)
{
  if (conversation->input_at == conversation->input_length && !conversation->waiting &&
      may_handle_input(conversation)) {
    conversation->input_at = 0;
    conversation->input_length =
        cagma_port_read(&conversation->port, conversation->input, sizeof(conversation->input));
  }
  while (conversation->input_at < conversation->input_length && !conversation->waiting &&
         may_handle_input(conversation) && !host_has_gone(conversation)) {
    const char *taken = conversation->input + conversation->input_at;
    CagmaFrameEvent event;
    const size_t n = cagma_frame_feed(&conversation->frame, taken,
                                      conversation->input_length - conversation->input_at, &event);

    conversation->input_at += n;
    handle_frame_event(conversation, event, taken, n);
    flush_output(conversation);
  }
}

/* The host gets what the stock agent owes it as errors; where the host has half a reply,
 * nothing but a new connection lets it understand what follows. */
static void
handle_stock_loss(CagmaConversation *conversation)
{
  const unsigned int owed = conversation->mux->owed;
  const bool too_much = conversation->mux->mid_line || owed > OWED_MAX;

  cagma_mux_close(conversation->mux);
  if (too_much) {
    cagma_port_reset(&conversation->port);
    return;
  }
  for (unsigned int i = 0; i < owed; i++)
    reply_error(conversation, NULL, "the stock guest agent has gone");
}

static void
handle_stock(CagmaConversation *conversation)
{
  CagmaMuxResult result;

  if (conversation->mux == NULL || conversation->mux->fd < 0)
    return;
  cagma_mux_flush(conversation->mux);
  /* What the room is kept for: see handle_stock_loss(). */
  if (cagma_queue_room(&conversation->output) < CAGMA_REPLY_MAX)
    return;
  result = cagma_mux_read(conversation->mux, &conversation->output);
  if (result == CAGMA_MUX_LOST)
    handle_stock_loss(conversation);
  flush_output(conversation);
}

static bool
stock_has_work(const CagmaConversation *conversation)
{
  return conversation->mux != NULL && conversation->mux->fd >= 0 && conversation->mux->readable &&
         cagma_queue_room(&conversation->output) >= CAGMA_REPLY_MAX;
}

static bool
input_has_work(const CagmaConversation *conversation)
{
  return !conversation->waiting && may_handle_input(conversation) &&
         (conversation->port.readable || conversation->input_at < conversation->input_length);
}

static uint64_t
due_us(const void *way)
{
  const CagmaConversation *conversation = way;
  uint64_t due_us = conversation->port.retry_us;

  if (input_has_work(conversation) || stock_has_work(conversation))
    return 0;
  if (conversation->event_due && cagma_queue_length(&conversation->output) == 0 &&
      conversation->next_event_us < due_us)
    due_us = conversation->next_event_us;
  return due_us;
}

static void
handle(void *way, uint32_t tag, uint32_t events, uint64_t now_us)
{
  CagmaConversation *conversation = way;

  switch (tag) {
  case TAG_PORT:
    cagma_port_handle(&conversation->port, events);
    break;
  case TAG_PORT_WAIT:
    cagma_port_handle_wait(&conversation->port, now_us);
    break;
  case TAG_STOCK:
    cagma_mux_handle(conversation->mux, events);
    break;
  default:
    break;
  }
}

/* One turn: an event first, then the stock agent and the host, a piece each. The host may
 * go in any of them, and another one be there at once, who is none of the next's business
 * before what was for the old one is gone. */
static void
turn(void *way, bool pressure, uint64_t now_us)
{
  static void (*const steps[])(CagmaConversation *) = { flush_output,   send_event,   handle_stock,
                                                        handle_waiting, handle_input, flush_output };
  CagmaConversation *conversation = way;

  conversation->event_due |= pressure;
  cagma_port_retry(&conversation->port, now_us);
  for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
    notice_loss(conversation);
    steps[i](conversation);
  }
  notice_loss(conversation);
}

static void
close_conversation(void *way)
{
  CagmaConversation *conversation = way;

  cagma_port_close(&conversation->port);
}

const CagmaWay cagma_conversation = {
  .open = open_conversation,
  .rehearse = rehearse,
  .handle = handle,
  .turn = turn,
  .due_us = due_us,
  .close = close_conversation,
};
