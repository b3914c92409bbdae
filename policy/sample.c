/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sample.h"

#include "policy/units.h"

void
cagma_sample_clamp(CagmaSample *sample, uint64_t max_kib)
{
  uint64_t *sizes[] = { &sample->usable_kib,   &sample->unused_kib,     &sample->caches_kib,
                        &sample->swap_in_kib,  &sample->swap_out_kib,   &sample->rss_kib,
                        &sample->major_faults, &sample->block_read_kib, &sample->swap_used_kib,
                        &sample->largest_kib,  &sample->swapping_kib };

  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
    *sizes[i] = cagma_min_kib(*sizes[i], CAGMA_MAX_KIB);
  sample->actual_kib = cagma_min_kib(sample->actual_kib, cagma_min_kib(max_kib, CAGMA_MAX_KIB));
}

gboolean
cagma_sample_available(const CagmaSample *sample, uint64_t *available_kib)
{
  uint64_t available;

  if (!(sample->has & CAGMA_HAS_ACTUAL))
    return FALSE;

  if (sample->has & CAGMA_HAS_USABLE)
    available = sample->usable_kib;
  else if ((sample->has & CAGMA_HAS_UNUSED) && (sample->has & CAGMA_HAS_CACHES))
    available = sample->unused_kib + sample->caches_kib;
  else
    return FALSE;

  if (available > sample->actual_kib)
    return FALSE;
  *available_kib = available;
  return TRUE;
}
