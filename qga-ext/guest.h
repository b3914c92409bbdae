/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qga-ext/log.h"
#include "qga-ext/scanner.h"
#include "qga-ext/system.h"
#include "qga-ext/trigger.h"

/* What the agent has of the guest it runs in, whichever way it tells the host. */
typedef struct {
  const CagmaLog *log;
  int epoll_fd;
  CagmaSystem system;
  CagmaScanner scanner;
  CagmaTrigger trigger;
} CagmaGuest;
