/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/port.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qga-ext/clock.h"

/* Clients that wait for the one that is served. */
#define BACKLOG 4

/* Before a port that was open is opened again: long enough for the host to see it closed,
 * and not to spin on one that fails at once. */
#define REOPEN_US ((uint64_t)200000)

static bool
add_to_epoll(const CagmaPort *port, int fd, uint32_t events, uint32_t tag)
{
  struct epoll_event event = { .events = events, .data.u32 = tag };

  return epoll_ctl(port->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void
connection_is_new(CagmaPort *port)
{
  port->host_connected = true;
  cagma_log_verbose(port->log, "the host is connected");
}

static void
connection_is_lost(CagmaPort *port)
{
  port->readable = false;
  port->writable = false;
  if (!port->host_connected)
    return;
  port->host_connected = false;
  port->losses++;
  cagma_log_verbose(port->log, "the host is gone");
}

static void
close_fd(CagmaPort *port)
{
  connection_is_lost(port);
  if (port->fd >= 0)
    close(port->fd);
  port->fd = -1;
}

/* The fd is new: watches it, and supposes that there is something. */
static bool
adopt_fd(CagmaPort *port, int fd)
{
  if (!add_to_epoll(port, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, port->tag)) {
    const int saved = errno;

    close(fd);
    errno = saved;
    return false;
  }
  port->fd = fd;
  cagma_port_handle(port, EPOLLIN | EPOLLOUT);
  return true;
}

static void
accept_client(CagmaPort *port)
{
  int fd;

  if (port->fd >= 0 || port->wait_fd < 0)
    return;
  fd = accept4(port->wait_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0 && !adopt_fd(port, fd))
    cagma_log(port->log, "can't serve a client: %s", strerror(errno));
}

static bool
listen_on(CagmaPort *port)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  strncpy(address.sun_path, port->path, sizeof(address.sun_path) - 1);
  port->wait_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (port->wait_fd < 0)
    return false;
  unlink(port->path); /* left by an agent that was killed */
  return bind(port->wait_fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
         listen(port->wait_fd, BACKLOG) == 0 &&
         add_to_epoll(port, port->wait_fd, EPOLLIN | EPOLLET, port->wait_tag);
}

static bool
open_port(CagmaPort *port)
{
  const int fd = open(port->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

  return fd >= 0 && adopt_fd(port, fd);
}

/* Watches the directory that the port would appear in, or what there is of its path. */
static void
watch_directory(CagmaPort *port)
{
  char directory[PATH_MAX];
  char *slash;
  const size_t length = strlen(port->path);

  if (port->wait_fd >= 0)
    close(port->wait_fd);
  port->wait_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (port->wait_fd < 0 || length >= sizeof(directory) ||
      !add_to_epoll(port, port->wait_fd, EPOLLIN | EPOLLET, port->wait_tag))
    return; /* there still is the retry */
  memcpy(directory, port->path, length + 1);
  do {
    slash = strrchr(directory, '/');
    if (slash == NULL)
      return;
    slash[slash == directory ? 1 : 0] = '\0';
  } while (inotify_add_watch(port->wait_fd, directory, IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF) <
               0 &&
           slash != directory);
}

static void
stop_waiting(CagmaPort *port)
{
  if (port->wait_fd >= 0)
    close(port->wait_fd);
  port->wait_fd = -1;
  port->retry_us = UINT64_MAX;
  port->open_errno = 0;
}

/* First the watch, then the look: what appears between the two is not missed. */
static void
wait_for_port(CagmaPort *port, uint64_t now_us)
{
  watch_directory(port);
  if (open_port(port)) {
    stop_waiting(port);
    cagma_log_verbose(port->log, "%s is open", port->path);
    return;
  }
  if (errno != port->open_errno) {
    port->open_errno = errno;
    cagma_log(port->log, "waiting for %s: %s", port->path, strerror(errno));
  }
  port->retry_us = now_us + CAGMA_PORT_RETRY_US;
}

bool
cagma_port_open(CagmaPort *port, CagmaMethod method, const char *path, const CagmaLog *log, int epoll_fd,
                uint32_t tag, uint32_t wait_tag)
{
  *port = (CagmaPort){
    .method = method,
    .path = path,
    .log = log,
    .epoll_fd = epoll_fd,
    .tag = tag,
    .wait_tag = wait_tag,
    .fd = -1,
    .wait_fd = -1,
    .retry_us = UINT64_MAX,
  };
  if (method == CAGMA_METHOD_UNIX_LISTEN)
    return listen_on(port);
  wait_for_port(port, 0);
  return true;
}

void
cagma_port_handle(CagmaPort *port, uint32_t events)
{
  struct pollfd state = { .fd = port->fd, .events = POLLIN | POLLOUT };
  bool hung_up;

  if (port->fd < 0)
    return;
  hung_up = poll(&state, 1, 0) > 0 && (state.revents & POLLHUP);
  if (hung_up && port->method == CAGMA_METHOD_VIRTIO_SERIAL)
    connection_is_lost(port);
  else if (!port->host_connected) /* a client that has left already was here, too */
    connection_is_new(port);
  /* Also where it is hung up: reading tells whether the host or the port has gone. */
  port->readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  port->writable |= (events & EPOLLOUT) != 0;
}

void
cagma_port_handle_wait(CagmaPort *port, uint64_t now_us)
{
  if (port->method == CAGMA_METHOD_UNIX_LISTEN)
    accept_client(port);
  else if (port->fd < 0)
    wait_for_port(port, now_us);
}

void
cagma_port_retry(CagmaPort *port, uint64_t now_us)
{
  if (now_us >= port->retry_us)
    wait_for_port(port, now_us);
}

static bool
would_wait(void)
{
  return errno == EAGAIN || errno == EINTR;
}

/* The port was unplugged, or the client has gone. */
static void
give_up_fd(CagmaPort *port)
{
  close_fd(port);
  if (port->method == CAGMA_METHOD_UNIX_LISTEN)
    accept_client(port);
  else
    port->retry_us = cagma_clock_us() + REOPEN_US;
}

size_t
cagma_port_read(CagmaPort *port, char *buffer, size_t size)
{
  ssize_t got;

  if (port->fd < 0 || !port->readable)
    return 0;
  got = read(port->fd, buffer, size);
  if (got > 0)
    return (size_t)got;
  if (got < 0 && would_wait())
    port->readable = errno == EINTR;
  else if (got == 0 && port->method == CAGMA_METHOD_VIRTIO_SERIAL)
    connection_is_lost(port); /* the host's side only */
  else
    give_up_fd(port);
  return 0;
}

size_t
cagma_port_write(CagmaPort *port, const char *bytes, size_t length)
{
  ssize_t put;

  if (port->fd < 0 || !port->writable)
    return 0;
  put = write(port->fd, bytes, length);
  if (put >= 0)
    return (size_t)put;
  if (would_wait())
    port->writable = errno == EINTR;
  else
    give_up_fd(port);
  return 0;
}

void
cagma_port_reset(CagmaPort *port)
{
  cagma_log(port->log, "closing the connection to the host");
  give_up_fd(port);
}

void
cagma_port_close(CagmaPort *port)
{
  close_fd(port);
  if (port->wait_fd >= 0)
    close(port->wait_fd);
  port->wait_fd = -1;
  if (port->method == CAGMA_METHOD_UNIX_LISTEN)
    unlink(port->path);
}
