/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sample.h"

#include <string.h>

#include "policy/units.h"

void
cagma_sample_clamp(CagmaSample *sample, uint64_t max_kib)
{
  uint64_t *sizes[] = { &sample->usable_kib,       &sample->unused_kib,       &sample->caches_kib,
                        &sample->swap_in_kib,      &sample->swap_out_kib,     &sample->rss_kib,
                        &sample->major_faults,     &sample->block_read_kib,   &sample->swap_used_kib,
                        &sample->swap_total_kib,   &sample->largest_kib,      &sample->swapping_kib,
                        &sample->refault_file_kib, &sample->refault_anon_kib, &sample->vcpus,
                        &sample->load1_permille,   &sample->load5_permille,   &sample->load15_permille,
                        &sample->cap_kib,          &sample->swappable_kib };

  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
    *sizes[i] = cagma_min_kib(*sizes[i], CAGMA_MAX_KIB);
  sample->actual_kib = cagma_min_kib(sample->actual_kib, cagma_min_kib(max_kib, CAGMA_MAX_KIB));
}

void
cagma_reuse_init(CagmaReuse *reuse, uint64_t max_kib)
{
  memset(reuse, 0, sizeof *reuse);
  reuse->bucket_kib = cagma_max_kib((max_kib + CAGMA_REUSE_BUCKETS - 1) / CAGMA_REUSE_BUCKETS, 1);
}

void
cagma_reuse_add(CagmaReuse *reuse, uint64_t distance_kib, uint64_t touched_kib)
{
  uint64_t bucket = distance_kib / reuse->bucket_kib;

  if (bucket < CAGMA_REUSE_BUCKETS)
    reuse->kib[bucket] += cagma_min_kib(touched_kib, CAGMA_MAX_KIB - reuse->kib[bucket]);
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
