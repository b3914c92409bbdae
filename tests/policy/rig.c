/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rig.h"

#include <string.h>

#include "policy/guard.h"
#include "policy/rules.h"

void
rig_init(Rig *rig, uint64_t budget_mib)
{
  memset(rig, 0, sizeof *rig);
  rig->now_us = 1000 * CAGMA_SECOND_US;
  rig->host.budget = CAGMA_BUDGET_FIXED;
  rig->host.budget_kib = CAGMA_MIB(budget_mib);
  rig->host.period_us = CAGMA_SECOND_US;
  rig->host.domains = rig->pointers;
  rig->host.without = CAGMA_RULE_SPREAD;
}

void
rig_clear(Rig *rig)
{
  cagma_plan_clear(&rig->plan);
}

static void
feed(Rig *rig, size_t index)
{
  CagmaSample sample = rig->samples[index];

  sample.has |= CAGMA_HAS_STAMP;
  sample.stamp = rig->silent[index] ? rig->domains[index].stamp : rig->stamp;
  cagma_domain_feed(&rig->domains[index], &sample, rig->now_us);
}

CagmaDomain *
rig_add(Rig *rig, uint64_t max_mib, uint64_t actual_mib, uint64_t usable_mib)
{
  size_t index = rig->host.n_domains++;
  CagmaDomain *domain = &rig->domains[index];

  g_assert_cmpuint(index, <, RIG_MAX);
  rig->pointers[index] = domain;
  cagma_domain_init(domain, rig->now_us);
  domain->managed = TRUE;
  domain->max_kib = CAGMA_MIB(max_mib);
  domain->report_period_us = CAGMA_SECOND_US;
  domain->config.headroom_permille = 0;
  domain->config.headroom_kib = CAGMA_MIB(64);
  g_assert_true(cagma_config_fit(&domain->config, domain->max_kib, NULL));
  cagma_domain_restart(domain, CAGMA_MIB(actual_mib), rig->now_us);

  rig->samples[index] = (CagmaSample){
    .has = CAGMA_HAS_ACTUAL | CAGMA_HAS_USABLE | CAGMA_HAS_SWAP | CAGMA_HAS_FAULTS | CAGMA_HAS_RSS |
           CAGMA_HAS_BLOCK_READ,
    .actual_kib = CAGMA_MIB(actual_mib),
    .usable_kib = CAGMA_MIB(usable_mib),
    .rss_kib = CAGMA_MIB(actual_mib),
  };
  /* Two stamps make a report. */
  for (int i = 0; i < 2; i++) {
    rig->stamp++;
    feed(rig, index);
  }
  return domain;
}

void
rig_bound(Rig *rig, size_t index)
{
  CagmaSample *sample = &rig->samples[index];

  rig->domains[index].yields = TRUE;
  sample->has |= CAGMA_HAS_CAP | CAGMA_HAS_DRIVER;
  sample->cap_kib = sample->actual_kib;
  sample->driver = 1;
  rig->stamp++;
  feed(rig, index);
}

void
rig_pass(Rig *rig, int64_t seconds)
{
  while (seconds-- > 0) {
    rig->now_us += CAGMA_SECOND_US;
    rig->stamp++;
    for (size_t i = 0; i < rig->host.n_domains; i++)
      feed(rig, i);
  }
}

CagmaSample
rig_channel(const Rig *rig, size_t index)
{
  CagmaSample sample = rig->samples[index];

  sample.source = CAGMA_SAMPLE_CHANNEL;
  sample.has &= CAGMA_HAS_REPORT & ~(uint32_t)CAGMA_HAS_STAMP;
  sample.actual_kib = sample.rss_kib = 0;
  return sample;
}

void
rig_speak(Rig *rig, size_t index)
{
  CagmaSample sample = rig_channel(rig, index);

  cagma_domain_feed(&rig->domains[index], &sample, rig->now_us);
}

gboolean
rig_press(Rig *rig, size_t index)
{
  CagmaDomain *domain = &rig->domains[index];
  CagmaDemand demand;

  rig_speak(rig, index);
  cagma_estimate(domain, cagma_host_horizon_us(&rig->host, domain), &demand);
  return cagma_domain_press(domain, demand.critical_kib, rig->now_us);
}

void
rig_decide(Rig *rig)
{
  GError *error = NULL;

  cagma_decide(&rig->host, rig->now_us, &rig->plan);
  if (!cagma_guard_check(&rig->host, &rig->plan, rig->now_us, &error))
    g_error("the guard refuses: %s", error->message);
}

void
rig_obey(Rig *rig)
{
  for (size_t i = 0; i < rig->plan.n_steps; i++) {
    const CagmaStep *step = &rig->plan.steps[i];
    CagmaSample *sample = &rig->samples[step->domain];

    cagma_domain_set(&rig->domains[step->domain], step->target_kib, rig->now_us);
    sample->usable_kib = cagma_above(sample->usable_kib + step->target_kib, sample->actual_kib);
    sample->actual_kib = step->target_kib;
    sample->rss_kib = step->target_kib;
    if (sample->has & CAGMA_HAS_CAP)
      sample->cap_kib = step->target_kib;
  }
}

uint64_t
rig_target_mib(const Rig *rig, size_t index)
{
  return rig->plan.decisions[index].target_kib / 1024;
}

CagmaWhy
rig_why(const Rig *rig, size_t index)
{
  return rig->plan.decisions[index].why;
}
