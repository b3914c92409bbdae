/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/record-format.h"
#include "plugin/replay.h"
#include "policy/sim/infer.h"
#include "tests/fuzz/fuzz.h"

/* A record that somebody hands over is surveyed, decided again by other policies, and made a
 * scenario of. It comes as payloads of blocks, each after its length in two bytes, whose
 * sums are right. */

static GInputStream *
stream_of(const GByteArray *file)
{
  return g_memory_input_stream_new_from_data(file->data, file->len, NULL);
}

static void
compare(const GByteArray *file, const CagmaSurvey *survey, const CagmaContestant *contestant)
{
  g_autoptr(GInputStream) stream = stream_of(file);
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaComparison) comparison = cagma_compare(stream, survey, contestant, NULL, 100, &error);

  if (!comparison) {
    fuzz_check_error(error);
    return;
  }
  g_assert_cmpuint(comparison->n_decisions, <=, survey->n_known);
  g_assert_cmpuint(comparison->n_different, <=, comparison->n_decisions);
  for (guint i = 0; i < comparison->differences->len; i++) {
    const CagmaDifference *difference = &g_array_index(comparison->differences, CagmaDifference, i);

    g_assert_cmpint(difference->until_us, >=, difference->at_us);
    g_assert_true(g_utf8_validate(difference->name, -1, NULL));
  }
}

static void
replay(const GByteArray *file)
{
  g_autoptr(GInputStream) stream = stream_of(file);
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaSurvey) survey = cagma_survey(stream, 0, &error);
  g_autoptr(CagmaScenario) scenario = NULL;

  if (!survey) {
    fuzz_check_error(error);
    return;
  }
  for (int kind = 0; kind < CAGMA_N_POLICIES; kind++)
    compare(file, survey, &(CagmaContestant){ .policy = cagma_policy_of((CagmaPolicyKind)kind) });
  for (size_t i = 0; cagma_peers[i]; i++)
    compare(file, survey, &(CagmaContestant){ .peer = cagma_peers[i] });
  scenario = cagma_infer(survey->history, &error);
  if (!scenario)
    fuzz_check_error(error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GByteArray) file = g_byte_array_new();
  uint32_t number = 0;

  for (size_t at = 0; size - at >= 2;) {
    size_t length = MIN((size_t)(data[at] | data[at + 1] << 8), size - at - 2);
    g_autoptr(GByteArray) block = g_byte_array_new();

    g_byte_array_set_size(block, CAGMA_RECORD_BLOCK_HEADER);
    g_byte_array_append(block, data + at + 2, (guint)length);
    cagma_record_seal(block, number++);
    g_byte_array_append(file, block->data, block->len);
    at += 2 + length;
  }
  replay(file);
  return 0;
}
