/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/agent-reply.h"

/* The ways in which guests speak by themselves: their own virtio-serial channels
 * (channels.h), or xenstore (xen-guests.h). On the main loop; nothing here blocks. */

typedef struct {
  /* The agent, which was heard, no longer is. */
  void (*down)(void *owner, const char *uuid, const char *reason);
  /* It said something: STATS, PRESSURE, LOAD or READ_BACK. */
  void (*message)(void *owner, const char *uuid, const CagmaAgentMessage *message);
} CagmaGuestsListener;

typedef struct CagmaGuests CagmaGuests;

struct CagmaGuests {
  /* Listens to the domain's guest, or no longer. Adding one that is there does nothing. */
  void (*add)(CagmaGuests *guests, const char *uuid);
  void (*remove)(CagmaGuests *guests, const char *uuid);
  /* Asks its agent for its figures; without one, looks for it. Every few seconds. */
  void (*ask)(CagmaGuests *guests, const char *uuid);
  /* Asks its agent, where there is one, for its guest's load. */
  void (*ask_load)(CagmaGuests *guests, const char *uuid);
  /* Asks its agent, where there is one, to bring swapped-out memory back, up to max_kib. NULL:
   * none can be asked this way. */
  void (*read_back)(CagmaGuests *guests, const char *uuid, uint64_t max_kib);
  /* Nothing is called back any more. */
  void (*free)(CagmaGuests *guests);
};
