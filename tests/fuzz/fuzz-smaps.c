/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/smaps.h"

#include "tests/fuzz/fuzz.h"

/* /proc/PID/smaps with names that any process of the guest has chosen. However it is cut into
 * pieces, the same ranges come out. */

typedef struct {
  unsigned n;
  uint64_t sum;
} Seen;

static Seen
feed(const char *text, size_t size, size_t piece)
{
  CagmaSmaps smaps;
  Seen seen = { 0 };

  cagma_smaps_init(&smaps);
  for (size_t at = 0; at < size;) {
    CagmaRange range;
    const size_t offered = MIN(piece, size - at),
                 taken = cagma_smaps_feed(&smaps, text + at, offered, &range);

    g_assert_cmpuint(taken, >, 0);
    g_assert_cmpuint(taken, <=, offered);
    at += taken;
    if (range.start == range.end)
      continue;
    g_assert_cmpuint(range.start, <, range.end);
    seen.n++;
    seen.sum = seen.sum * 31 + range.start * 7 + range.end;
  }
  return seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const Seen whole = feed((const char *)data, size, size), single = feed((const char *)data, size, 1);

  g_assert_cmpuint(whole.n, ==, single.n);
  g_assert_cmpuint(whole.sum, ==, single.sum);
  return 0;
}
