/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decision.h"

#include <stddef.h>
#include <string.h>

/* As much of the text as fits, and no part of a character. */
static void
copy_text(char *to, size_t size, const char *text)
{
  const char *end;

  g_strlcpy(to, text, size);
  if (!g_utf8_validate(to, -1, &end))
    to[end - to] = '\0';
}

void
cagma_hold_copy(char hold[CAGMA_HOLD_BYTES], const char *reason)
{
  if (reason)
    copy_text(hold, CAGMA_HOLD_BYTES, reason);
  else
    hold[0] = '\0';
}

void
cagma_decision_begin(CagmaDecision *decision, const CagmaDomain *domain, int64_t now_us)
{
  const CagmaConfig *config = &domain->config;

  /* With thousands of domains, clearing what is seldom filled would be felt. */
  memset(decision, 0, offsetof(CagmaDecision, hold));
  cagma_hold_copy(decision->hold, domain->hold);

  decision->managed = domain->managed;
  decision->estimator = config->estimator;
  decision->shares = config->shares;
  decision->max_kib = domain->max_kib;
  decision->guarantee_kib = config->guarantee_kib;
  decision->limit_kib = config->limit_kib;

  decision->has_actual = domain->has_actual;
  decision->has_figures = domain->has_figures;
  decision->has_counters = domain->has_counters != 0;
  decision->actual_kib = domain->actual_kib;
  decision->rss_kib = domain->rss_kib;
  decision->swap_in_kib_per_s = domain->swap_in_kib_per_s;
  decision->swap_out_kib_per_s = domain->swap_out_kib_per_s;
  decision->figures_age_us = domain->has_figures ? now_us - domain->figures_us : 0;
  decision->report_age_us = now_us - domain->report_us;

  decision->move = domain->move;
  decision->move_from_kib = domain->move_from_kib;
  decision->move_to_kib = domain->target_kib;
  decision->stuck_left_us = domain->stuck_until_us ? domain->stuck_until_us - now_us : 0;
  decision->deaf_left_us = MAX(domain->deaf_until_us - now_us, 0);
}

void
cagma_verdict_judge(CagmaVerdict *verdict, const GError *refusal)
{
  verdict->guard = refusal ? CAGMA_GUARD_REFUSED : CAGMA_GUARD_PASSED;
  copy_text(verdict->refusal, sizeof verdict->refusal, refusal ? refusal->message : "");
}
