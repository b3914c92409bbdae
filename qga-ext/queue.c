/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/queue.h"

#include <string.h>

CagmaQueue
cagma_queue_init(char *buffer, size_t size)
{
  return (CagmaQueue){ .data = buffer, .size = size };
}

size_t
cagma_queue_length(const CagmaQueue *queue)
{
  return queue->end - queue->start;
}

size_t
cagma_queue_room(const CagmaQueue *queue)
{
  return queue->size - cagma_queue_length(queue);
}

void
cagma_queue_put(CagmaQueue *queue, const char *bytes, size_t length)
{
  if (length > queue->size - queue->end) {
    memmove(queue->data, queue->data + queue->start, cagma_queue_length(queue));
    queue->end -= queue->start;
    queue->start = 0;
  }
  memcpy(queue->data + queue->end, bytes, length);
  queue->end += length;
}

void
cagma_queue_clear(CagmaQueue *queue)
{
  queue->start = queue->end = 0;
}

const char *
cagma_queue_front(const CagmaQueue *queue)
{
  return queue->data + queue->start;
}

void
cagma_queue_drop(CagmaQueue *queue, size_t n)
{
  queue->start += n;
  if (queue->start == queue->end)
    cagma_queue_clear(queue);
}
