/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/xenstore.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "qga-ext/clock.h"

typedef struct {
  uint32_t type;
  uint32_t request_id;
  uint32_t transaction_id;
  uint32_t length; /* of what follows */
} Header;

_Static_assert(sizeof(Header) == CAGMA_XENSTORE_HEADER, "as on the wire");

/* Once, until it is well again: what fails now fails again and again. */
static void
complain(CagmaXenstore *xenstore, const char *what)
{
  if (!xenstore->complained)
    cagma_log(xenstore->log, "%s: %s; trying again and again", xenstore->path, what);
  xenstore->complained = true;
}

static void
disconnect(CagmaXenstore *xenstore)
{
  if (xenstore->fd >= 0)
    close(xenstore->fd);
  xenstore->fd = -1;
}

static void
lose(CagmaXenstore *xenstore, const char *why)
{
  disconnect(xenstore);
  complain(xenstore, why);
  xenstore->retry_us = cagma_clock_us() + xenstore->backoff_us;
  xenstore->backoff_us *= 2;
  if (xenstore->backoff_us > CAGMA_XENSTORE_RETRY_MAX_US)
    xenstore->backoff_us = CAGMA_XENSTORE_RETRY_MAX_US;
}

/* -1 with errno. */
static int
connect_socket(const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int saved;

  if (fd < 0)
    return -1;
  strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
  if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
    return fd;
  saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

static int
open_path(const char *path)
{
  struct stat status;

  if (stat(path, &status) < 0)
    return -1;
  if (S_ISSOCK(status.st_mode))
    return connect_socket(path);
  return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static void
connect_anew(CagmaXenstore *xenstore)
{
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                               .data.u32 = xenstore->tag };

  xenstore->fd = open_path(xenstore->path);
  if (xenstore->fd < 0 || epoll_ctl(xenstore->epoll_fd, EPOLL_CTL_ADD, xenstore->fd, &event) < 0) {
    lose(xenstore, strerror(errno));
    return;
  }
  xenstore->connections++;
  xenstore->request = CAGMA_XS_NONE;
  xenstore->write_errno = 0;
  xenstore->output_at = xenstore->output_length = 0;
  xenstore->taken = xenstore->input_length = 0;
  xenstore->readable = xenstore->writable = true;
  cagma_log_verbose(xenstore->log, "%s is open", xenstore->path);
}

void
cagma_xenstore_open(CagmaXenstore *xenstore, const char *path, const CagmaLog *log, int epoll_fd,
                    uint32_t tag)
{
  xenstore->path = path;
  xenstore->log = log;
  xenstore->epoll_fd = epoll_fd;
  xenstore->tag = tag;
  xenstore->backoff_us = CAGMA_XENSTORE_RETRY_MIN_US;
  connect_anew(xenstore);
}

/* The device takes a request as a whole, or says what is wrong with it: the kernel sets
 * watches itself, and that one is refused is no reason to do without the rest. */
static void
flush_output(CagmaXenstore *xenstore)
{
  while (xenstore->fd >= 0 && xenstore->writable && xenstore->output_at < xenstore->output_length) {
    const ssize_t put = write(xenstore->fd, xenstore->output + xenstore->output_at,
                              xenstore->output_length - xenstore->output_at);

    if (put >= 0)
      xenstore->output_at += (size_t)put;
    else if (errno == EAGAIN)
      xenstore->writable = false;
    else if (errno != EINTR && xenstore->request == CAGMA_XS_WATCH && xenstore->output_at == 0) {
      xenstore->write_errno = errno;
      xenstore->output_at = xenstore->output_length;
    } else if (errno != EINTR)
      lose(xenstore, strerror(errno));
  }
}

void
cagma_xenstore_handle(CagmaXenstore *xenstore, uint32_t events)
{
  xenstore->readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  xenstore->writable |= (events & EPOLLOUT) != 0; /* the device never says so, and always is */
  flush_output(xenstore);
}

static Header
first_header(const CagmaXenstore *xenstore)
{
  Header header;

  memcpy(&header, xenstore->input + xenstore->taken, sizeof(header));
  return header;
}

static bool
has_header(const CagmaXenstore *xenstore)
{
  return xenstore->input_length - xenstore->taken >= CAGMA_XENSTORE_HEADER;
}

static bool
has_message(const CagmaXenstore *xenstore)
{
  return has_header(xenstore) &&
         xenstore->input_length - xenstore->taken - CAGMA_XENSTORE_HEADER >= first_header(xenstore).length;
}

/* There may be something to take. */
static bool
has_work(const CagmaXenstore *xenstore)
{
  return xenstore->readable || xenstore->write_errno != 0 || has_message(xenstore);
}

/* Where we ourselves were held up, the answer may be there. */
void
cagma_xenstore_tick(CagmaXenstore *xenstore, uint64_t now_us)
{
  if (xenstore->fd >= 0 && xenstore->request != CAGMA_XS_NONE && now_us >= xenstore->reply_due_us &&
      !has_work(xenstore))
    lose(xenstore, "no answer");
  if (xenstore->fd < 0 && now_us >= xenstore->retry_us)
    connect_anew(xenstore);
}

uint64_t
cagma_xenstore_due_us(const CagmaXenstore *xenstore)
{
  if (xenstore->fd < 0)
    return xenstore->retry_us;
  if (has_work(xenstore))
    return 0;
  return xenstore->request != CAGMA_XS_NONE ? xenstore->reply_due_us : UINT64_MAX;
}

bool
cagma_xenstore_is_idle(const CagmaXenstore *xenstore)
{
  return xenstore->fd >= 0 && xenstore->request == CAGMA_XS_NONE;
}

void
cagma_xenstore_request(CagmaXenstore *xenstore, CagmaXenstoreType type, const char *path, const char *value,
                       size_t length, uint64_t now_us)
{
  const size_t path_length = strlen(path) + 1;
  const Header header = {
    .type = type,
    .request_id = ++xenstore->request_id,
    .length = (uint32_t)(path_length + length),
  };

  if (length > CAGMA_XENSTORE_REQUEST_MAX - path_length)
    return; /* none is: see CAGMA_XENSTORE_REQUEST_MAX */
  memcpy(xenstore->output, &header, sizeof(header));
  memcpy(xenstore->output + sizeof(header), path, path_length);
  if (length > 0)
    memcpy(xenstore->output + sizeof(header) + path_length, value, length);
  xenstore->output_at = 0;
  xenstore->output_length = sizeof(header) + path_length + length;
  xenstore->request = type;
  xenstore->reply_due_us = now_us + CAGMA_XENSTORE_REPLY_US;
  flush_output(xenstore);
}

static void
fill_input(CagmaXenstore *xenstore)
{
  ssize_t got;

  memmove(xenstore->input, xenstore->input + xenstore->taken, xenstore->input_length - xenstore->taken);
  xenstore->input_length -= xenstore->taken;
  xenstore->taken = 0;
  got = read(xenstore->fd, xenstore->input + xenstore->input_length,
             sizeof(xenstore->input) - xenstore->input_length);
  if (got > 0)
    xenstore->input_length += (size_t)got;
  else if (got == 0)
    lose(xenstore, "the connection has ended");
  else if (errno == EAGAIN)
    xenstore->readable = false;
  else if (errno != EINTR)
    lose(xenstore, strerror(errno));
}

/* The kernel itself answers to a watch, and older ones (4.4) give that no number. */
static bool
answers_request(const CagmaXenstore *xenstore, const Header *header)
{
  if (xenstore->request == CAGMA_XS_NONE)
    return false;
  if (header->request_id != xenstore->request_id &&
      (header->request_id != 0 || header->type != CAGMA_XS_WATCH))
    return false;
  return header->type == (uint32_t)xenstore->request || header->type == CAGMA_XS_ERROR;
}

/* Takes the message off. FALSE, with the connection lost, where it answers nothing of ours. */
static bool
take_message(CagmaXenstore *xenstore, CagmaXenstoreMessage *message)
{
  const Header header = first_header(xenstore);

  *message = (CagmaXenstoreMessage){
    .type = xenstore->request,
    .refused = header.type == CAGMA_XS_ERROR,
    .payload = xenstore->input + xenstore->taken + sizeof(header),
    .length = header.length,
  };
  xenstore->taken += sizeof(header) + header.length;
  if (header.type == CAGMA_XS_WATCH_EVENT) {
    message->type = CAGMA_XS_WATCH_EVENT;
    return true;
  }
  if (!answers_request(xenstore, &header)) {
    lose(xenstore, "an answer to nothing");
    return false;
  }
  xenstore->request = CAGMA_XS_NONE;
  return true;
}

static void
take_write_error(CagmaXenstore *xenstore, CagmaXenstoreMessage *message)
{
  const char *why = strerror(xenstore->write_errno);

  *message = (CagmaXenstoreMessage){
    .type = xenstore->request,
    .refused = true,
    .payload = why,
    .length = strlen(why),
  };
  xenstore->write_errno = 0;
  xenstore->request = CAGMA_XS_NONE;
}

bool
cagma_xenstore_next(CagmaXenstore *xenstore, CagmaXenstoreMessage *message)
{
  while (xenstore->fd >= 0) {
    if (xenstore->write_errno != 0) {
      take_write_error(xenstore, message);
      return true;
    }
    if (has_header(xenstore) && first_header(xenstore).length > CAGMA_XENSTORE_PAYLOAD_MAX)
      lose(xenstore, "a message that is too long");
    else if (has_message(xenstore))
      return take_message(xenstore, message);
    else if (xenstore->readable)
      fill_input(xenstore);
    else
      return false;
  }
  return false;
}

void
cagma_xenstore_is_well(CagmaXenstore *xenstore)
{
  if (xenstore->complained)
    cagma_log(xenstore->log, "%s: it works now", xenstore->path);
  xenstore->complained = false;
  xenstore->backoff_us = CAGMA_XENSTORE_RETRY_MIN_US;
}

void
cagma_xenstore_close(CagmaXenstore *xenstore)
{
  disconnect(xenstore);
}
