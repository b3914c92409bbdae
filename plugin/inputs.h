/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/domain.h"

/* Everything that happens to a domain the policy knows, as a value: what the daemon does
 * to it is recorded, and done again from the record, by the same function. */

typedef enum {
  CAGMA_INPUT_RESTART,     /* kib: its balloon's target */
  CAGMA_INPUT_SAMPLE,      /* sample */
  CAGMA_INPUT_SOURCE_LOST, /* source */
  CAGMA_INPUT_PRESSURE,    /* kib: its critical amount */
  CAGMA_INPUT_SET,         /* kib: the target it is about to be asked for */
  CAGMA_INPUT_REFUSED,     /* kib: the target that stands */
  CAGMA_INPUT_TAKEN_BACK,  /* kib: the target that stands; it was never asked for the other */
  CAGMA_INPUT_RESUMED,     /* kib: what an earlier daemon asked it for */
  CAGMA_INPUT_WITHDRAWN,   /* that is to be taken back */
} CagmaInputKind;

typedef struct {
  CagmaInputKind kind;
  int64_t now_us;
  uint64_t kib;
  CagmaSampleSource source;
  CagmaSample sample;
} CagmaInput;

/* Does it to the domain. What cagma_domain_press says of PRESSURE, else FALSE. */
gboolean cagma_input_apply(CagmaDomain *domain, const CagmaInput *input);
