/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/inputs.h"

gboolean
cagma_input_apply(CagmaDomain *domain, const CagmaInput *input)
{
  switch (input->kind) {
  case CAGMA_INPUT_RESTART:
    cagma_domain_restart(domain, input->kib, input->now_us);
    break;
  case CAGMA_INPUT_SAMPLE:
    cagma_domain_feed(domain, &input->sample, input->now_us);
    break;
  case CAGMA_INPUT_SOURCE_LOST:
    cagma_domain_source_lost(domain, input->source);
    break;
  case CAGMA_INPUT_PRESSURE:
    return cagma_domain_press(domain, input->kib, input->now_us);
  case CAGMA_INPUT_SET:
    cagma_domain_set(domain, input->kib, input->now_us);
    break;
  case CAGMA_INPUT_REFUSED:
    cagma_domain_refused(domain, input->kib, input->now_us);
    break;
  case CAGMA_INPUT_TAKEN_BACK:
    domain->target_kib = input->kib;
    domain->move = CAGMA_MOVE_NONE;
    domain->shrunk_us = 0;
    cagma_domain_withdraw_shrink(domain);
    break;
  case CAGMA_INPUT_RESUMED:
    domain->target_kib = input->kib;
    break;
  case CAGMA_INPUT_WITHDRAWN:
    domain->withdraw = TRUE;
    break;
  }
  return FALSE;
}
