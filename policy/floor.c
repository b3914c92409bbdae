/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/floor.h"

#include "policy/units.h"

uint64_t
cagma_floor(const CagmaDomain *domain)
{
  uint64_t free_swap_kib = cagma_above(domain->swap_total_kib, domain->swap_used_kib);
  uint64_t goes_kib = cagma_min_kib(domain->swappable_kib, free_swap_kib) / 2;
  uint64_t used_kib = cagma_max_kib(domain->used_kib, cagma_above(domain->actual_kib, domain->available_kib));

  if (!domain->yields || !domain->has_figures)
    return 0;
  return cagma_above(used_kib + CAGMA_FLOOR_MARGIN_KIB, goes_kib);
}
