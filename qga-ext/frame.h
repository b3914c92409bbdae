/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Cuts the bytes from the host into messages, whatever they are.
 *
 * A message begins with the first byte that is no blank. One that begins with { or [ ends
 * with the bracket that closes it, as in qemu-ga, which doesn't wait for a newline. Every
 * message ends before a newline: a broken one never takes the next one with it. The byte
 * 0xFF, which is in no JSON, breaks off what came before it (guest-sync-delimited). */

/* A longer message isn't collected, but passed through in parts. */
#define CAGMA_MESSAGE_MAX ((size_t)64 * 1024)

typedef enum {
  CAGMA_FRAME_MORE,     /* nothing complete: all bytes were taken */
  CAGMA_FRAME_BLANK,    /* the bytes taken are blanks between messages */
  CAGMA_FRAME_MESSAGE,  /* message[0..length) is complete */
  CAGMA_FRAME_TOO_LONG, /* message[0..length) is the beginning of one over the limit */
  CAGMA_FRAME_REST,     /* the bytes taken are more of that one */
  CAGMA_FRAME_RESET,    /* 0xFF was taken; message[0..length) is what it broke off */
} CagmaFrameEvent;

typedef struct {
  char message[CAGMA_MESSAGE_MAX];
  size_t length; /* valid until the next cagma_frame_feed() */
  bool finished; /* the message was handed out: the next byte begins anew */
  bool inside;   /* a message has begun */
  bool too_long; /* it is over the limit, the rest isn't collected */
  bool brackets; /* it began with a bracket, and ends with the one that closes it */
  bool in_string;
  bool escaped;
  size_t depth; /* of brackets; can't overflow before memory does */
} CagmaFrame;

void cagma_frame_init(CagmaFrame *frame);

/* Takes bytes up to the next event, and returns how many: at least one, where length is
 * not 0, except with CAGMA_FRAME_MESSAGE and CAGMA_FRAME_TOO_LONG. To be called again
 * with the rest. */
size_t cagma_frame_feed(CagmaFrame *frame, const char *bytes, size_t length, CagmaFrameEvent *event);
