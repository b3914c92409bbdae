/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "plugin/agent-reply.h"
#include "xml/domain.h"

/* The guests' own channels (virtio-serial ports org.cagma.guest.0), read through one
 * libvirt connection kept for them, so that it works remotely, and so that what
 * guests write delays nothing else: libvirt's client buffers it without bound, which
 * is why everything is read at once, and a guest that writes too much is cut off.
 *
 * Used on the main loop; what blocks is done on a thread of its own. */

/* A guest may write this much a second: ten times what the agent does at its busiest.
 * Over it, it is cut off: the first time for CAGMA_CHANNEL_QUARANTINE_S, doubled each
 * time up to the maximum. One that behaves for as long as the maximum is forgiven. */
#define CAGMA_CHANNEL_BYTES_PER_S (256 * 1024)
#define CAGMA_CHANNEL_QUARANTINE_S 60
#define CAGMA_CHANNEL_QUARANTINE_MAX_S 3600
/* The agent sends no more than 20 pressure events a second; more are passed over. */
#define CAGMA_CHANNEL_EVENTS_PER_S 20
/* So many lines a second are looked at, lest they cost the main loop its time. */
#define CAGMA_CHANNEL_LINES_PER_S 64
/* So many requests without an answer, and the agent is taken for gone. */
#define CAGMA_CHANNEL_UNANSWERED_MAX 3

typedef struct {
  /* The agent, which answered, no longer does. */
  void (*down)(void *owner, const char *uuid, const char *reason);
  /* It said something: STATS, PRESSURE or LOAD. */
  void (*message)(void *owner, const char *uuid, const CagmaAgentMessage *message);
} CagmaChannelListener;

typedef struct CagmaChannels CagmaChannels;

CagmaChannels *cagma_channels_new(const char *uri, const CagmaChannelListener *listener, void *owner);

/* Nothing is called back any more. */
void cagma_channels_free(CagmaChannels *channels);

/* The domain has a channel, or no longer. Adding one that is there does nothing. */
void cagma_channels_add(CagmaChannels *channels, const char *uuid);
void cagma_channels_remove(CagmaChannels *channels, const char *uuid);

/* Asks the agent for its figures; without one, looks for it. Every few seconds. */
void cagma_channels_ask(CagmaChannels *channels, const char *uuid);

/* Asks the agent, where there is one, for its guest's load. */
void cagma_channels_ask_load(CagmaChannels *channels, const char *uuid);
