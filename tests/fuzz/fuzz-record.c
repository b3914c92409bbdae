/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/rebuild.h"
#include "policy/explain.h"
#include "policy/guard.h"
#include "tests/fuzz/fuzz.h"

/* A record as somebody may hand it over: as a file, and as payloads of blocks whose sums
 * are right, each after its length in two bytes. What can be read is decided again and
 * explained. */

static void
explain_all(const CagmaMoment *moment, void *user_data)
{
  (void)user_data;
  for (size_t i = 0; i < moment->n_domains; i++) {
    const CagmaRebuiltDomain *domain = moment->domains[i];
    g_autofree char *recorded =
        domain->is_recorded ? cagma_explain(&domain->recorded, moment->verdict) : NULL;
    g_autofree char *rebuilt =
        moment->known ? cagma_explain(&moment->plan->decisions[i], &moment->plan->verdict) : NULL;

    g_assert_true(g_utf8_validate(domain->name, -1, NULL));
    g_assert_true(!recorded || g_utf8_validate(recorded, -1, NULL));
    g_assert_true(!rebuilt || g_utf8_validate(rebuilt, -1, NULL));
  }
}

static void
check_plan(const CagmaMoment *moment, void *user_data)
{
  g_autoptr(GError) refusal = NULL;

  if (moment->known && !cagma_guard_check(moment->host, moment->plan, moment->now_us, &refusal))
    fuzz_check_error(refusal);
  explain_all(moment, user_data);
}

static void
check_lost(CagmaLost why, uint64_t offset, uint64_t bytes, void *user_data)
{
  g_autofree char *text = cagma_lost_to_text(why, offset, bytes);

  g_assert_cmpuint(offset + bytes, <=, *(const size_t *)user_data);
}

static void
read_file(const uint8_t *data, size_t size)
{
  static const CagmaRebuildFuncs funcs = { .decided = check_plan, .lost = check_lost };
  g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_data(data, (gssize)size, NULL);
  g_autoptr(GError) error = NULL;

  if (!cagma_rebuild(stream, &funcs, &size, &error))
    fuzz_check_error(error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GByteArray) file = g_byte_array_new();
  uint32_t number = 0;

  read_file(data, size);
  for (size_t at = 0; size - at >= 2;) {
    size_t length = MIN((size_t)(data[at] | data[at + 1] << 8), size - at - 2);
    g_autoptr(GByteArray) block = g_byte_array_new();

    g_byte_array_set_size(block, CAGMA_RECORD_BLOCK_HEADER);
    g_byte_array_append(block, data + at + 2, (guint)length);
    cagma_record_seal(block, number++);
    g_byte_array_append(file, block->data, block->len);
    at += 2 + length;
  }
  read_file(file->data, file->len);
  return 0;
}
