/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/mux.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qga-ext/clock.h"

/* What is read from the stock agent at once. */
#define CHUNK_BYTES ((size_t)16 * 1024)

/* Two numbers and the words around them. */
#define BARRIER_BYTES 128

static void
matcher_init(CagmaMatcher *matcher, const char *string)
{
  *matcher = (CagmaMatcher){ .string = string };
}

/* TRUE where the byte completes the string. */
static bool
matcher_feed(CagmaMatcher *matcher, char c)
{
  if (c != matcher->string[matcher->matched])
    matcher->matched = 0;
  if (c == matcher->string[matcher->matched])
    matcher->matched++;
  if (matcher->string[matcher->matched] != '\0')
    return false;
  matcher->matched = 0;
  return true;
}

void
cagma_mux_init(CagmaMux *mux, const char *path, const CagmaLog *log, int epoll_fd, uint32_t tag, char *buffer)
{
  *mux = (CagmaMux){ .path = path, .log = log, .epoll_fd = epoll_fd, .tag = tag, .fd = -1 };
  mux->to_stock = cagma_queue_init(buffer, CAGMA_MUX_TO_STOCK_BYTES);
  /* Another than that of an agent before us, whose answer may still be on its way. */
  mux->barrier_id = cagma_clock_us();
}

/* A socket that is closed with something unread is a broken connection to the other end, at
 * which qemu-ga exits. Behind the shutdown nothing more can come. */
static void
hang_up(int fd)
{
  static char chunk[4096];
  ssize_t got;

  shutdown(fd, SHUT_RDWR);
  do {
    got = read(fd, chunk, sizeof(chunk));
  } while (got > 0 || (got < 0 && errno == EINTR));
  close(fd);
}

void
cagma_mux_close(CagmaMux *mux)
{
  if (mux->fd >= 0)
    hang_up(mux->fd);
  mux->fd = -1;
  mux->readable = mux->writable = false;
  cagma_queue_clear(&mux->to_stock);
  mux->owed = 0;
  mux->unsure = false;
  mux->mid_line = false;
  mux->barrier = CAGMA_BARRIER_NONE;
  mux->line_length = mux->held_length = 0;
  mux->line_too_long = false;
  mux->merging = mux->in_list = false;
}

/* The answer is a line of its own: 0xFF and {"return": ID}. The 0xFF before the question
 * makes qemu-ga forget the half of a request that it may have; it complains about it. */
static void
send_barrier(CagmaMux *mux, CagmaBarrier barrier)
{
  char bytes[BARRIER_BYTES];
  CagmaText text = cagma_text_init(bytes, sizeof(bytes));

  cagma_text_string(&text, "\xFF{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": ");
  cagma_text_uint(&text, ++mux->barrier_id);
  cagma_text_string(&text, "}}\n");
  mux->barrier = barrier;
  mux->line_length = mux->held_length = 0;
  mux->line_too_long = false;
  cagma_mux_forward_bytes(mux, text.data, text.length);
}

static bool
is_barrier_answer(const CagmaMux *mux)
{
  char bytes[BARRIER_BYTES];
  CagmaText answer = cagma_text_init(bytes, sizeof(bytes));

  cagma_text_string(&answer, "\xFF{\"return\": ");
  cagma_text_uint(&answer, mux->barrier_id);
  cagma_text_string(&answer, "}\n");
  return !mux->line_too_long && mux->line_length == answer.length &&
         memcmp(mux->line, answer.data, answer.length) == 0;
}

static bool
try_connect(CagmaMux *mux)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = mux->tag };

  strncpy(address.sun_path, mux->path, sizeof(address.sun_path) - 1);
  mux->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return mux->fd >= 0 && connect(mux->fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
         epoll_ctl(mux->epoll_fd, EPOLL_CTL_ADD, mux->fd, &event) == 0;
}

bool
cagma_mux_connect(CagmaMux *mux)
{
  if (mux->fd >= 0)
    return true;
  if (!try_connect(mux)) {
    cagma_log_verbose(mux->log, "%s: %s", mux->path, strerror(errno));
    cagma_mux_close(mux);
    return false;
  }
  cagma_log_verbose(mux->log, "connected to %s", mux->path);
  mux->readable = mux->writable = true;
  send_barrier(mux, CAGMA_BARRIER_DROP);
  return true;
}

void
cagma_mux_handle(CagmaMux *mux, uint32_t events)
{
  if (mux->fd < 0)
    return;
  mux->readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  mux->writable |= (events & EPOLLOUT) != 0;
}

bool
cagma_mux_is_idle(const CagmaMux *mux)
{
  /* With a barrier on its way it isn't, even where the replies are all there: what is sent
   * behind the barrier would be taken for answered by it. */
  return mux->fd < 0 ||
         (mux->owed == 0 && !mux->unsure && !mux->mid_line && mux->barrier != CAGMA_BARRIER_PASS);
}

void
cagma_mux_become_idle(CagmaMux *mux)
{
  /* While the connection's own barrier is on its way, what comes back is dropped: the
   * host's answers are behind it, and so must be the end of them. */
  if (mux->barrier == CAGMA_BARRIER_NONE)
    send_barrier(mux, CAGMA_BARRIER_PASS);
}

/* Those that say nothing when they succeed ('success-response': false). */
static bool
may_be_silent(const CagmaRequest *request)
{
  static const char *const names[] = { "guest-shutdown", "guest-suspend-disk", "guest-suspend-ram",
                                       "guest-suspend-hybrid" };

  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
    if (cagma_json_equals(&request->json, request->command, names[i]))
      return true;
  }
  return false;
}

static void
start_merging(CagmaMux *mux)
{
  static const char *const quoted[CAGMA_MUX_OWN_COMMANDS] = {
    "\"" CAGMA_CMD_MEMORY_STATS "\"", "\"" CAGMA_CMD_LOAD "\"",      "\"" CAGMA_CMD_PRESSURE "\"",
    "\"" CAGMA_CMD_TRIGGER "\"",      "\"" CAGMA_CMD_READ_BACK "\"",
  };

  mux->merging = true;
  mux->in_list = false;
  matcher_init(&mux->list, "\"supported_commands\": [");
  for (size_t i = 0; i < CAGMA_MUX_OWN_COMMANDS; i++) {
    matcher_init(&mux->names[i], quoted[i]);
    mux->named[i] = false;
  }
}

void
cagma_mux_forward(CagmaMux *mux, const char *message, size_t length, const CagmaRequest *request)
{
  if (request == NULL || may_be_silent(request))
    mux->unsure = true;
  else
    mux->owed++;
  if (request != NULL && cagma_json_equals(&request->json, request->command, "guest-info"))
    start_merging(mux);
  cagma_mux_forward_bytes(mux, message, length);
}

void
cagma_mux_forward_beginning(CagmaMux *mux, const char *bytes, size_t length)
{
  mux->owed++;
  mux->unsure = true;
  cagma_mux_forward_bytes(mux, bytes, length);
}

void
cagma_mux_forward_bytes(CagmaMux *mux, const char *bytes, size_t length)
{
  cagma_queue_put(&mux->to_stock, bytes, length);
  cagma_mux_flush(mux);
}

void
cagma_mux_flush(CagmaMux *mux)
{
  while (mux->writable && cagma_queue_length(&mux->to_stock) > 0) {
    const ssize_t put =
        send(mux->fd, cagma_queue_front(&mux->to_stock), cagma_queue_length(&mux->to_stock), MSG_NOSIGNAL);

    if (put >= 0)
      cagma_queue_drop(&mux->to_stock, (size_t)put);
    else if (errno != EINTR)
      mux->writable = false; /* also where it has gone: reading will tell */
  }
}

static bool
is_enabled(const char *command)
{
  if (strcmp(command, CAGMA_CMD_READ_BACK) == 0)
    return cagma_read_back_can();
  return strcmp(command, CAGMA_CMD_TRIGGER) != 0;
}

/* Our commands that the list, whose ] comes next, doesn't name. Where the stock agent
 * has commands by our names, we answer them all the same. */
static void
complete_list(CagmaMux *mux, CagmaQueue *to_host)
{
  for (unsigned int i = 0; i < CAGMA_MUX_OWN_COMMANDS; i++) {
    char bytes[CAGMA_MUX_GROWTH / CAGMA_MUX_OWN_COMMANDS / 2];
    CagmaText text = cagma_text_init(bytes, sizeof(bytes));
    const char *name = cagma_own_command(i);

    if (mux->named[i])
      continue;
    cagma_text_string(&text, ", ");
    cagma_write_command_info(&text, name, is_enabled(name));
    cagma_queue_put(to_host, text.data, text.length);
  }
  mux->merging = false;
}

static void
merge(CagmaMux *mux, char c, CagmaQueue *to_host)
{
  if (!mux->in_list) {
    mux->in_list = matcher_feed(&mux->list, c);
    return;
  }
  for (size_t i = 0; i < CAGMA_MUX_OWN_COMMANDS; i++)
    mux->named[i] |= matcher_feed(&mux->names[i], c);
  if (c == ']')
    complete_list(mux, to_host);
}

static void
line_ended(CagmaMux *mux)
{
  mux->mid_line = false;
  mux->merging = false;
  if (mux->owed > 0)
    mux->owed--;
}

/* The number of bytes up to the end of the line, its newline included. */
static size_t
line_part(const char *bytes, size_t length)
{
  const char *newline = memchr(bytes, '\n', length);

  return newline != NULL ? (size_t)(newline - bytes) + 1 : length;
}

/* To the host: lines or parts of them. */
static void
pass(CagmaMux *mux, const char *bytes, size_t length, CagmaQueue *to_host)
{
  while (length > 0) {
    const size_t n = mux->merging ? 1 : line_part(bytes, length);

    if (mux->merging)
      merge(mux, *bytes, to_host);
    cagma_queue_put(to_host, bytes, n);
    mux->mid_line = true;
    if (bytes[n - 1] == '\n')
      line_ended(mux);
    bytes += n;
    length -= n;
  }
}

static void
pass_held(CagmaMux *mux, CagmaQueue *to_host)
{
  pass(mux, mux->held, mux->held_length, to_host);
  mux->held_length = 0;
}

/* What was held back is the complaint about the barrier's 0xFF. */
static void
finish_barrier(CagmaMux *mux)
{
  if (mux->barrier == CAGMA_BARRIER_PASS) {
    mux->owed = 0;
    mux->unsure = false;
  }
  mux->barrier = CAGMA_BARRIER_NONE;
  mux->held_length = 0;
}

static bool
is_error(const CagmaMux *mux)
{
  static const char start[] = "{\"error\": ";

  return !mux->line_too_long && mux->line_length >= sizeof(start) - 1 &&
         memcmp(mux->line, start, sizeof(start) - 1) == 0;
}

/* A line has ended, or has become too long to be collected, before the barrier's answer. */
static void
judge_line(CagmaMux *mux, CagmaQueue *to_host)
{
  const bool ended = mux->line_length > 0 && mux->line[mux->line_length - 1] == '\n';

  if (is_barrier_answer(mux)) {
    finish_barrier(mux);
  } else if (mux->barrier == CAGMA_BARRIER_PASS) {
    pass_held(mux, to_host);
    if (ended && is_error(mux)) {
      memcpy(mux->held, mux->line, mux->line_length);
      mux->held_length = mux->line_length;
    } else {
      pass(mux, mux->line, mux->line_length, to_host);
    }
  }
  mux->line_too_long = !ended && mux->barrier == CAGMA_BARRIER_DROP;
  mux->line_length = 0;
}

/* Collects a line's bytes up to its end, if it is short. */
static void
judge(CagmaMux *mux, char c, CagmaQueue *to_host)
{
  mux->line[mux->line_length++] = c;
  if (c == '\n' || mux->line_length == sizeof(mux->line))
    judge_line(mux, to_host);
}

void
cagma_mux_relay(CagmaMux *mux, const char *bytes, size_t length, CagmaQueue *to_host)
{
  while (length > 0) {
    size_t n = 1;

    if (mux->barrier == CAGMA_BARRIER_NONE) {
      n = length;
      pass(mux, bytes, n, to_host);
    } else if (mux->mid_line) { /* its beginning was passed already */
      n = line_part(bytes, length);
      pass(mux, bytes, n, to_host);
    } else {
      judge(mux, *bytes, to_host);
    }
    bytes += n;
    length -= n;
  }
}

CagmaMuxResult
cagma_mux_read(CagmaMux *mux, CagmaQueue *to_host)
{
  static char chunk[CHUNK_BYTES];
  const size_t room = cagma_queue_room(to_host);
  ssize_t got;

  if (mux->fd < 0 || !mux->readable || room <= CAGMA_MUX_GROWTH)
    return CAGMA_MUX_NOTHING;
  got = read(mux->fd, chunk, room - CAGMA_MUX_GROWTH < CHUNK_BYTES ? room - CAGMA_MUX_GROWTH : CHUNK_BYTES);
  if (got > 0) {
    cagma_mux_relay(mux, chunk, (size_t)got, to_host);
    return CAGMA_MUX_READ;
  }
  if (got < 0 && errno == EINTR)
    return CAGMA_MUX_READ;
  if (got < 0 && errno == EAGAIN) {
    mux->readable = false;
    return CAGMA_MUX_NOTHING;
  }
  cagma_log_verbose(mux->log, "%s is gone", mux->path);
  return CAGMA_MUX_LOST;
}
