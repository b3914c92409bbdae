/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/dispatch.h"
#include "qga-ext/frame.h"
#include "tests/fuzz/fuzz.h"

static void
set_trigger(void *data)
{
  CagmaDispatch *dispatch = data;

  g_assert_true(dispatch->trigger.stall_us == 0 ||
                (dispatch->trigger.window_us >= CAGMA_WINDOW_MIN_US &&
                 dispatch->trigger.window_us <= CAGMA_WINDOW_MAX_US &&
                 dispatch->trigger.stall_us <= dispatch->trigger.window_us));
}

/* Figures that can't be read: what is fuzzed is the request, not this machine. */
static CagmaDispatch *
get_dispatch(void)
{
  static CagmaScanner scanner;
  static CagmaDispatch dispatch;
  static CagmaSystem system = { .proc_fd = -1,
                                .meminfo_fd = -1,
                                .vmstat_fd = -1,
                                .loadavg_fd = -1,
                                .pressure_fds = { -1, -1, -1 },
                                .online_fd = -1,
                                .page_bytes = 4096,
                                .ticks_per_s = 100 };

  if (dispatch.system == NULL) {
    cagma_scanner_init(&scanner, &system);
    dispatch = (CagmaDispatch){ .version = "0",
                                .system = &system,
                                .scanner = &scanner,
                                .set_trigger = set_trigger,
                                .set_trigger_data = &dispatch };
  }
  return &dispatch;
}

/* A reply is one line of valid JSON and UTF-8, and either of success or of failure. */
static void
check_reply(const char *reply, size_t length)
{
  static CagmaJson json;
  const size_t delimiter = *reply == '\xFF' ? 1 : 0;
  const char *problem = NULL;

  g_assert_cmpuint(length, >, delimiter + 1);
  g_assert_cmpint(reply[length - 1], ==, '\n');
  g_assert_null(memchr(reply, '\n', length - 1));
  g_assert_true(g_utf8_validate_len(reply + delimiter, length - delimiter, NULL));
  /* guest-info has more parts than a request may have, and so may an error with a large id. */
  if (!cagma_json_parse(&json, reply + delimiter, length - delimiter, &problem)) {
    g_assert_cmpstr(problem, ==, "too many values");
    return;
  }
  g_assert_true((cagma_json_member(&json, json.nodes, "return") == NULL) !=
                (cagma_json_member(&json, json.nodes, "error") == NULL));
}

static void
check_message(const char *message, size_t length)
{
  /* Of its own size, so that a read beyond the end is seen. */
  g_autofree char *copy = g_memdup2(message, length);
  static CagmaRequest request;
  char bytes[CAGMA_REPLY_MAX];
  CagmaText reply = cagma_text_init(bytes, sizeof(bytes));

  cagma_dispatch(get_dispatch(), copy, length, &reply);
  g_assert_false(reply.overflow);
  check_reply(reply.data, reply.length);
  if (cagma_dispatch_owner(&request, copy, length) == CAGMA_NO_REQUEST)
    g_assert_cmpmem(reply.data, strlen("{\"error\": "), "{\"error\": ", strlen("{\"error\": "));
}

/* Whatever the host sends, in whatever pieces: bytes are taken one after the other, no
 * message is larger than allowed, and each gets one good reply. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static CagmaFrame frame;
  const char *bytes = (const char *)data;
  size_t at = 0;

  cagma_frame_init(&frame);
  while (at < size) {
    /* The pieces are as long as the data itself says. */
    const size_t piece = MIN(size - at, (size_t)data[at] + 1);
    CagmaFrameEvent event;
    const size_t taken = cagma_frame_feed(&frame, bytes + at, piece, &event);

    g_assert_cmpuint(taken, <=, piece);
    g_assert_cmpuint(frame.length, <=, CAGMA_MESSAGE_MAX);
    if (taken == 0)
      g_assert_true(event == CAGMA_FRAME_MESSAGE || event == CAGMA_FRAME_TOO_LONG);
    if (event == CAGMA_FRAME_MESSAGE && frame.length > 0)
      check_message(frame.message, frame.length);
    at += taken;
  }
  if (size > 0)
    check_message(bytes, size);
  return 0;
}
