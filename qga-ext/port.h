/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qga-ext/log.h"

/* The way to the host: a virtio-serial port, or a socket that is listened on. Reads and
 * writes never wait. It may not be there yet, go, and come back: the port when it is
 * plugged, the host's side whenever it likes.
 *
 * Everything is told by edge-triggered epoll: a virtio port whose host side is closed is
 * readable and hung up for as long as that lasts, so that level-triggered waiting would
 * spin; its waitqueue is woken when the host's side opens. That is told by a message of its
 * own, which the host's first request may well overtake: what is read counts before, too. */

typedef enum {
  CAGMA_METHOD_VIRTIO_SERIAL,
  CAGMA_METHOD_UNIX_LISTEN,
  CAGMA_METHOD_XENSTORE, /* no port: publisher.h */
} CagmaMethod;

typedef struct {
  CagmaMethod method;
  const char *path;
  const CagmaLog *log;
  int epoll_fd;
  uint32_t tag;        /* of the port or client in the epoll set */
  uint32_t wait_tag;   /* of the listening socket, or of what waits for the port */
  int fd;              /* of the port or client; -1: none */
  int wait_fd;         /* the listening socket, or an inotify instance; -1: none */
  bool host_connected; /* as far as the kernel has told */
  bool readable;       /* there may be something to read */
  bool writable;       /* there may be room to write */
  uint64_t retry_us;   /* when to try to open the port again; UINT64_MAX: not */
  int open_errno;      /* why the port couldn't be opened last: logged once */
  uint64_t losses;     /* how often the host has gone: what was for it is nobody's */
} CagmaPort;

/* A port that waits is looked for this often, whatever inotify says: where no udev renews
 * the link, nothing happens in its directory. */
#define CAGMA_PORT_RETRY_US ((uint64_t)10000000)

/* path and log must outlive it. FALSE with errno where the socket can't be listened on;
 * a virtio port is waited for. */
bool cagma_port_open(CagmaPort *port, CagmaMethod method, const char *path, const CagmaLog *log, int epoll_fd,
                     uint32_t tag, uint32_t wait_tag) __attribute__((warn_unused_result));

/* To be called with what epoll says about the two tags. */
void cagma_port_handle(CagmaPort *port, uint32_t events);
void cagma_port_handle_wait(CagmaPort *port, uint64_t now_us);

/* To be called when retry_us is over. */
void cagma_port_retry(CagmaPort *port, uint64_t now_us);

/* Returns the number of bytes; 0: none for now. */
size_t cagma_port_read(CagmaPort *port, char *buffer, size_t size);
size_t cagma_port_write(CagmaPort *port, const char *bytes, size_t length);

/* Ends the connection from our side and opens the port anew: the host sees the agent go
 * and come back. */
void cagma_port_reset(CagmaPort *port);

/* Removes the socket. */
void cagma_port_close(CagmaPort *port);
