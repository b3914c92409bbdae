/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/guests.h"
#include "xml/domain.h"

/* The guests' own channels (virtio-serial ports org.cagma.guest.0), read through one
 * libvirt connection kept for them, so that it works remotely, and so that what
 * guests write delays nothing else: libvirt's client buffers it without bound, which
 * is why everything is read at once, and a guest that writes too much is cut off.
 *
 * Used on the main loop; what blocks is done on a thread of its own. */

/* A guest may write this much a second: ten times what the agent does at its busiest.
 * Over it, it is cut off for a while (penalty.h). */
#define CAGMA_CHANNEL_BYTES_PER_S (256 * 1024)
/* The agent sends no more than 20 pressure events a second; more are passed over. */
#define CAGMA_CHANNEL_EVENTS_PER_S 20
/* So many lines a second are looked at, lest they cost the main loop its time. */
#define CAGMA_CHANNEL_LINES_PER_S 64
/* So many requests without an answer, and the agent is taken for gone. */
#define CAGMA_CHANNEL_UNANSWERED_MAX 3

/* The uri's guests; free with its free(). */
CagmaGuests *cagma_channels_new(const char *uri, const CagmaGuestsListener *listener, void *owner);
