/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "qga-ext/port.h"

/* The command line, named as qemu-ga's: cagma-guest-agent(8). */

#define CAGMA_OWN_PORT "/dev/virtio-ports/org.cagma.guest.0"
#define CAGMA_XENSTORE_DEVICE "/dev/xen/xenbus"
#define CAGMA_STOCK_PORT "/dev/virtio-ports/org.qemu.guest_agent.0"

typedef struct {
  CagmaMethod method;
  const char *path;
  const char *multiplex; /* the stock agent's socket; NULL: none */
  const char *logfile;   /* NULL: stderr */
  const char *proc;
  bool verbose;
  bool daemonize;
} CagmaOptions;

typedef enum {
  CAGMA_OPTIONS_RUN,
  CAGMA_OPTIONS_DONE,  /* help or version was printed */
  CAGMA_OPTIONS_WRONG, /* a message was printed to stderr */
} CagmaOptionsResult;

CagmaOptionsResult cagma_options_parse(CagmaOptions *options, int argc, char **argv);
