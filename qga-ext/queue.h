/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes on their way to a file descriptor that may not want them yet. Bounded: whoever
 * fills it asks first whether there is room, and stops reading where there is none. */

typedef struct {
  char *data;
  size_t size;
  size_t start; /* what waits is data[start..end) */
  size_t end;
} CagmaQueue;

/* The buffer stays the caller's. */
CagmaQueue cagma_queue_init(char *buffer, size_t size);

size_t cagma_queue_length(const CagmaQueue *queue);
size_t cagma_queue_room(const CagmaQueue *queue);

/* There must be room. */
void cagma_queue_put(CagmaQueue *queue, const char *bytes, size_t length);

void cagma_queue_clear(CagmaQueue *queue);

/* The bytes at the front, and taking n of them off. */
const char *cagma_queue_front(const CagmaQueue *queue);
void cagma_queue_drop(CagmaQueue *queue, size_t n);
