/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/frame.h"

#define DELIMITER ((char)0xFF)

/* All but the message itself, which needs no clearing. */
void
cagma_frame_init(CagmaFrame *frame)
{
  frame->length = 0;
  frame->finished = false;
  frame->inside = false;
  frame->too_long = false;
  frame->brackets = false;
  frame->in_string = false;
  frame->escaped = false;
  frame->depth = 0;
}

static bool
is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Follows strings and brackets. TRUE where the byte completes the message. */
static bool
track(CagmaFrame *frame, char c)
{
  if (frame->escaped) {
    frame->escaped = false;
    return false;
  }
  if (frame->in_string) {
    frame->escaped = c == '\\';
    frame->in_string = c != '"';
    return false;
  }
  if (c == '"')
    frame->in_string = true;
  else if (c == '{' || c == '[')
    frame->depth++;
  else if ((c == '}' || c == ']') && frame->depth > 0)
    frame->depth--;
  return frame->brackets && frame->depth == 0;
}

static size_t
count_blanks(const char *bytes, size_t length)
{
  size_t n = 0;

  while (n < length && is_blank(bytes[n]))
    n++;
  return n;
}

/* Bytes of a message that is too long, up to and with its last one. */
static size_t
skip_rest(CagmaFrame *frame, const char *bytes, size_t length)
{
  size_t n = 0;

  while (n < length && bytes[n] != '\n' && bytes[n] != DELIMITER) {
    if (track(frame, bytes[n++])) {
      frame->finished = true;
      break;
    }
  }
  if (n < length && !frame->finished)
    frame->finished = bytes[n] == '\n';
  return n;
}

static size_t
feed_inside(CagmaFrame *frame, const char *bytes, size_t length, CagmaFrameEvent *event)
{
  for (size_t n = 0; n < length; n++) {
    const char c = bytes[n];

    if (c == DELIMITER) {
      frame->finished = true;
      *event = CAGMA_FRAME_RESET;
      return n + 1;
    }
    if (c == '\n') {
      frame->finished = true;
      *event = CAGMA_FRAME_MESSAGE;
      return n;
    }
    if (frame->length == CAGMA_MESSAGE_MAX) {
      frame->too_long = true;
      *event = CAGMA_FRAME_TOO_LONG;
      return n;
    }
    frame->message[frame->length++] = c;
    if (track(frame, c)) {
      frame->finished = true;
      *event = CAGMA_FRAME_MESSAGE;
      return n + 1;
    }
  }
  *event = CAGMA_FRAME_MORE;
  return length;
}

size_t
cagma_frame_feed(CagmaFrame *frame, const char *bytes, size_t length, CagmaFrameEvent *event)
{
  *event = CAGMA_FRAME_MORE;
  if (length == 0)
    return 0;
  if (frame->finished)
    cagma_frame_init(frame);
  if (frame->too_long) {
    const size_t n = skip_rest(frame, bytes, length);

    *event = CAGMA_FRAME_REST;
    if (n > 0)
      return n;
    cagma_frame_init(frame);
  }
  if (!frame->inside && is_blank(*bytes)) {
    *event = CAGMA_FRAME_BLANK;
    return count_blanks(bytes, length);
  }
  if (!frame->inside) {
    frame->inside = true;
    frame->brackets = *bytes == '{' || *bytes == '[';
  }
  return feed_inside(frame, bytes, length, event);
}
