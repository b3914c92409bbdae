/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/penalty.h"

#include <glib.h>

int64_t
cagma_penalty_strike(CagmaPenalty *penalty, int64_t now_us)
{
  int64_t seconds;

  if (now_us - penalty->released_us >= (int64_t)CAGMA_PENALTY_MAX_S * G_USEC_PER_SEC)
    penalty->strikes = 0;
  seconds = MIN((int64_t)CAGMA_PENALTY_S << MIN(penalty->strikes, 6), CAGMA_PENALTY_MAX_S);
  penalty->strikes++;
  penalty->released_us = now_us + seconds * G_USEC_PER_SEC;
  return seconds;
}
