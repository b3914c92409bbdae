/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <string.h>

#include "check.h"
#include "policy/missratio.h"

void
model_init(Model *model, size_t n, uint64_t max_kib, uint64_t budget_kib, guint32 seed)
{
  memset(model, 0, sizeof *model);
  model->n = n;
  model->seed = seed;
  model->rand = g_rand_new_with_seed(seed);
  model->guests = g_new0(ModelGuest, n);
  model->domains = g_new0(CagmaDomain *, n);
  model->now_us = 1000 * CAGMA_SECOND_US;
  model->host.domains = model->domains;
  model->host.n_domains = n;
  model->host.budget = CAGMA_BUDGET_FIXED;
  model->host.budget_kib = budget_kib;
  model->host.period_us = CAGMA_SECOND_US;

  for (size_t i = 0; i < n; i++) {
    ModelGuest *guest = &model->guests[i];
    CagmaDomain *domain = &guest->domain;

    model->domains[i] = domain;
    cagma_domain_init(domain, model->now_us);
    domain->managed = TRUE;
    domain->max_kib = max_kib;
    domain->overhead_kib = CAGMA_MIB(100);
    domain->report_period_us = CAGMA_SECOND_US;
    g_assert_true(cagma_config_fit(&domain->config, max_kib, NULL));
    guest->working_kib = CAGMA_MIB(200);
    guest->cache_kib = CAGMA_MIB(500);
    guest->balloon_kib_per_s = CAGMA_MIB(400);
    guest->swap_kib_per_s = CAGMA_MIB(60);
    guest->report_period_us = CAGMA_SECOND_US;
    guest->vcpus = 1;
    guest->asked_kib = max_kib;
    model_boot(model, i);
  }
}

void
model_clear(Model *model)
{
  cagma_plan_clear(&model->plan);
  g_rand_free(model->rand);
  g_free(model->guests);
  g_free(model->domains);
}

void
model_boot(Model *model, size_t index)
{
  ModelGuest *guest = &model->guests[index];

  guest->actual_kib = guest->bounded ? guest->asked_kib : guest->domain.max_kib;
  guest->resident_kib = guest->swapped_kib = guest->cached_kib = 0;
  guest->swap_in_kib = guest->swap_out_kib = guest->major_faults = guest->refault_kib = 0;
  guest->reported_us = model->now_us;
  memset(&guest->report, 0, sizeof guest->report);
}

void
model_bound(Model *model, size_t index)
{
  ModelGuest *guest = &model->guests[index];

  guest->bounded = guest->domain.yields = TRUE;
  guest->domain.overhead_kib = 0;
}

void
model_place(Model *model, size_t index, uint64_t size_kib, uint64_t working_kib)
{
  ModelGuest *guest = &model->guests[index];

  guest->asked_kib = guest->actual_kib = size_kib;
  guest->working_kib = guest->resident_kib = working_kib;
  guest->touched_kib = cagma_min_kib(size_kib, working_kib + MODEL_KERNEL_KIB);
  guest->called_kib = size_kib;
  cagma_domain_restart(&guest->domain, size_kib, model->now_us);
}

static uint64_t
room_of(const ModelGuest *guest)
{
  return cagma_above(guest->actual_kib, MODEL_KERNEL_KIB);
}

uint64_t
model_usable(const ModelGuest *guest)
{
  return cagma_above(room_of(guest), guest->resident_kib);
}

static uint64_t
in_time(uint64_t kib_per_s, int64_t us)
{
  return kib_per_s * (uint64_t)us / CAGMA_SECOND_US;
}

static void
move_balloon(ModelGuest *guest, int64_t us)
{
  uint64_t most_kib = in_time(guest->balloon_kib_per_s, us);

  if (guest->balloon == MODEL_BALLOON_STICKS)
    return;
  if (guest->actual_kib > guest->asked_kib)
    guest->actual_kib -= cagma_min_kib(most_kib, guest->actual_kib - guest->asked_kib);
  else
    guest->actual_kib += cagma_min_kib(most_kib, guest->asked_kib - guest->actual_kib);
}

static void
swap_out(ModelGuest *guest)
{
  uint64_t out_kib = cagma_above(guest->resident_kib, room_of(guest));

  guest->resident_kib -= out_kib;
  guest->swapped_kib += out_kib;
  guest->swap_out_kib += out_kib;
}

static void
touch_memory(ModelGuest *guest, int64_t us)
{
  uint64_t held_kib = guest->resident_kib + guest->swapped_kib, in_kib, kept_kib;

  if (held_kib < guest->working_kib) {
    guest->resident_kib += guest->working_kib - held_kib;
  } else {
    uint64_t freed_kib = held_kib - guest->working_kib;
    uint64_t from_swap_kib = cagma_min_kib(freed_kib, guest->swapped_kib);

    guest->swapped_kib -= from_swap_kib;
    guest->resident_kib -= freed_kib - from_swap_kib;
  }
  swap_out(guest);

  /* What is swapped out is wanted back; where there's no room something else has to go for it. */
  in_kib = cagma_min_kib(guest->swapped_kib, in_time(guest->swap_kib_per_s, us));
  kept_kib = cagma_min_kib(in_kib, model_usable(guest));
  guest->swapped_kib -= kept_kib;
  guest->resident_kib += kept_kib;
  guest->swap_in_kib += in_kib;
  guest->swap_out_kib += in_kib - kept_kib;
  guest->major_faults += in_kib / 4;
}

static void
fill_cache(ModelGuest *guest)
{
  uint64_t wanted_kib = cagma_min_kib(guest->cache_kib, model_usable(guest));

  if (wanted_kib > guest->cached_kib) {
    guest->block_read_kib += wanted_kib - guest->cached_kib;
    guest->refault_kib += (wanted_kib - guest->cached_kib) / 2;
  }
  guest->cached_kib = wanted_kib;
  guest->touched_kib =
      cagma_max_kib(guest->touched_kib, MODEL_KERNEL_KIB + guest->resident_kib + guest->cached_kib);
  if (guest->balloon != MODEL_BALLOON_PRETENDS)
    guest->touched_kib = cagma_min_kib(guest->touched_kib, guest->actual_kib);
}

static uint64_t
nonsense(GRand *rand)
{
  uint64_t bits = (uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand);

  switch (g_rand_int_range(rand, 0, 5)) {
  case 0:
    return 0;
  case 1:
    return UINT64_MAX;
  case 2:
    return bits;
  case 3:
    return bits >> 31;
  default:
    return bits >> 42;
  }
}

/* What it says is usable, off by what it can't know and what it gets wrong. */
static uint64_t
said_usable(Model *model, const ModelGuest *guest)
{
  double noise_kib = guest->noise_kib ? g_rand_double_range(model->rand, 0, (double)guest->noise_kib) : 0;
  uint64_t usable_kib = cagma_above(model_usable(guest), (uint64_t)noise_kib) + guest->overstated_kib;

  return cagma_min_kib(usable_kib, guest->actual_kib);
}

/* What it says by either way. */
static CagmaSample
figures(Model *model, ModelGuest *guest, int64_t us)
{
  CagmaSample said = {
    .has = CAGMA_HAS_USABLE | CAGMA_HAS_SWAP | CAGMA_HAS_FAULTS | CAGMA_HAS_REFAULT | CAGMA_HAS_VCPUS,
    .usable_kib = said_usable(model, guest),
    .swap_in_kib = guest->swap_in_kib,
    .swap_out_kib = guest->swap_out_kib,
    .major_faults = guest->major_faults,
    .refault_file_kib = guest->refault_kib,
    .refault_anon_kib = guest->swap_in_kib / 2,
    .vcpus = guest->vcpus,
  };

  if (guest->says == MODEL_SAYS_SHORT) {
    guest->swap_in_kib += in_time(CAGMA_GIB(1), us);
    guest->swap_out_kib += in_time(CAGMA_GIB(2), us);
    said.usable_kib = 0;
  } else if (guest->says == MODEL_SAYS_NONSENSE) {
    uint64_t *fields[] = { &said.usable_kib,       &said.unused_kib,       &said.caches_kib,
                           &said.swap_in_kib,      &said.swap_out_kib,     &said.major_faults,
                           &said.refault_file_kib, &said.refault_anon_kib, &said.vcpus,
                           &said.load1_permille,   &said.load5_permille,   &said.load15_permille };
    const uint32_t can = (CAGMA_HAS_STAMP - 1) | CAGMA_HAS_REFAULT | CAGMA_HAS_VCPUS | CAGMA_HAS_LOAD;

    said.has = g_rand_int(model->rand) & can & ~(uint32_t)CAGMA_HAS_RSS;
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
      *fields[i] = nonsense(model->rand);
  }
  return said;
}

static void
report(Model *model, ModelGuest *guest, int64_t us)
{
  uint64_t stamp = guest->report.stamp + 1;

  if (guest->says == MODEL_SAYS_NOTHING || model->now_us - guest->reported_us < guest->report_period_us)
    return;
  guest->reported_us = model->now_us;
  guest->report = figures(model, guest, us);
  guest->report.stamp = stamp;
}

/* Whether a guest's newest report can be believed, by the design's own words. */
static gboolean
makes_sense(const CagmaSample *sample, uint64_t actual_kib)
{
  if (sample->has & CAGMA_HAS_USABLE)
    return sample->usable_kib <= actual_kib;
  if ((sample->has & CAGMA_HAS_UNUSED) && (sample->has & CAGMA_HAS_CACHES))
    return sample->unused_kib <= actual_kib && sample->caches_kib <= actual_kib - sample->unused_kib;
  return FALSE;
}

static void
note_report(Model *model, ModelGuest *guest, const CagmaSample *sample)
{
  guest->told_new_us = model->now_us;
  guest->told_sane = makes_sense(sample, guest->told_actual_kib);
  guest->told_by_agent = sample->source == CAGMA_SAMPLE_CHANNEL;
  guest->told_usable_kib =
      sample->has & CAGMA_HAS_USABLE ? sample->usable_kib : sample->unused_kib + sample->caches_kib;
  guest->told_swappable_kib = sample->has & CAGMA_HAS_SWAPPABLE ? sample->swappable_kib : 0;
  guest->told_free_swap_kib = 0;
  if ((sample->has & CAGMA_HAS_SWAP_USED) && sample->swap_total_kib > sample->swap_used_kib)
    guest->told_free_swap_kib = sample->swap_total_kib - sample->swap_used_kib;
  if (guest->told_by_agent)
    guest->agent_us = model->now_us;
}

/* The load wanders; a guest that lies about the rest lies about it in its report. */
static void
speak_of_load(Model *model, ModelGuest *guest)
{
  CagmaSample sample = { .source = CAGMA_SAMPLE_CHANNEL, .has = CAGMA_HAS_LOAD };

  guest->load_permille =
      cagma_above(guest->load_permille + (uint64_t)g_rand_int_range(model->rand, 0, 401), 200);
  guest->load_permille = MIN(guest->load_permille, 4000);
  sample.load1_permille = guest->load_permille;
  sample.load5_permille = guest->load_permille * 3 / 4;
  sample.load15_permille = guest->load_permille / 2;
  cagma_domain_feed(&guest->domain, &sample, model->now_us);
}

/* What a source sees of its pages: its working set all the time, its cache now and then. */
static void
trace(Model *model, ModelGuest *guest, int64_t us)
{
  CagmaReuse reuse;

  cagma_reuse_init(&reuse, guest->domain.max_kib);
  cagma_reuse_add(&reuse, g_rand_int_range(model->rand, 0, 1 << 16), guest->resident_kib);
  cagma_reuse_add(&reuse, guest->resident_kib + guest->cached_kib / 2, in_time(guest->cached_kib / 16, us));
  cagma_reuse_add(&reuse, guest->actual_kib + guest->swapped_kib / 2, in_time(guest->swapped_kib / 4, us));
  if (guest->says == MODEL_SAYS_NONSENSE)
    for (size_t i = 0; i < CAGMA_REUSE_BUCKETS; i++)
      reuse.kib[i] = nonsense(model->rand);
  cagma_missratio_feed(&guest->domain, &reuse, model->now_us);
}

static void
speak(Model *model, ModelGuest *guest, int64_t us)
{
  const uint32_t parts = CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES;
  CagmaSample sample = figures(model, guest, us);
  CagmaDemand demand;

  sample.source = CAGMA_SAMPLE_CHANNEL;
  sample.has &= ~(uint32_t)CAGMA_HAS_ACTUAL;
  if (g_rand_boolean(model->rand)) {
    sample.has |= CAGMA_HAS_SWAP_USED | CAGMA_HAS_LARGEST | CAGMA_HAS_SWAPPING;
    sample.swap_used_kib = guest->says == MODEL_SAYS_NONSENSE ? nonsense(model->rand) : guest->swapped_kib;
    sample.largest_kib = guest->says == MODEL_SAYS_NONSENSE ? nonsense(model->rand) : guest->working_kib / 2;
    sample.swapping_kib = sample.largest_kib / 2;
    sample.swap_total_kib =
        guest->says == MODEL_SAYS_NONSENSE ? nonsense(model->rand) : guest->swapped_kib + CAGMA_MIB(300);
  }
  if (g_rand_boolean(model->rand)) {
    sample.has |= CAGMA_HAS_SWAPPABLE;
    sample.swappable_kib = guest->says == MODEL_SAYS_NONSENSE ? nonsense(model->rand) : guest->resident_kib;
  }
  if ((sample.has & CAGMA_HAS_USABLE) || (sample.has & parts) == parts)
    note_report(model, guest, &sample);
  cagma_domain_feed(&guest->domain, &sample, model->now_us);
  speak_of_load(model, guest);
  if (!guest->presses)
    return;
  cagma_estimate(&guest->domain, cagma_host_horizon_us(&model->host, &guest->domain), &demand);
  cagma_domain_press(&guest->domain, demand.critical_kib, model->now_us);
}

/* What Xen says of it: no word is the guest's. */
static void
tell_bounded(Model *model, ModelGuest *guest)
{
  const CagmaSample sample = {
    .has = CAGMA_HAS_ACTUAL | CAGMA_HAS_RSS | CAGMA_HAS_CAP | CAGMA_HAS_DRIVER,
    .actual_kib = guest->actual_kib,
    .rss_kib = guest->actual_kib,
    .cap_kib = guest->asked_kib,
    .driver = !guest->driverless,
  };

  guest->told_actual_kib = guest->told_rss_kib = guest->actual_kib;
  guest->told_cap_kib = guest->asked_kib;
  if (!guest->called_kib)
    guest->called_kib = guest->asked_kib;
  cagma_domain_feed(&guest->domain, &sample, model->now_us);
}

static void
tell(Model *model, ModelGuest *guest)
{
  CagmaSample sample = guest->report;
  gboolean lies = guest->says == MODEL_SAYS_NONSENSE && g_rand_int_range(model->rand, 0, 4) == 0;

  sample.has |= CAGMA_HAS_ACTUAL | CAGMA_HAS_RSS | CAGMA_HAS_STAMP | CAGMA_HAS_BLOCK_READ;
  sample.actual_kib = lies ? nonsense(model->rand) : guest->actual_kib;
  sample.rss_kib = guest->touched_kib + guest->domain.overhead_kib;
  sample.block_read_kib = guest->block_read_kib;

  guest->told_actual_kib = cagma_min_kib(sample.actual_kib, guest->domain.max_kib);
  guest->told_rss_kib = sample.rss_kib;
  /* A balloon's report is passed over while an agent speaks, and after that the first
   * stamp says nothing again. */
  if (guest->told_by_agent && model->now_us - guest->agent_us > 5 * CAGMA_SECOND_US)
    guest->told_by_agent = FALSE;
  if (!guest->told_by_agent && guest->told_ever && sample.stamp != guest->told_stamp && sample.stamp != 0)
    note_report(model, guest, &sample);
  guest->told_ever = !guest->told_by_agent;
  guest->told_stamp = sample.stamp;
  cagma_domain_feed(&guest->domain, &sample, model->now_us);
}

void
model_live(Model *model, int64_t us)
{
  uint64_t resident_kib = 0;

  model->now_us += us;
  for (size_t i = 0; i < model->n; i++) {
    ModelGuest *guest = &model->guests[i];

    if (!guest->paused) {
      move_balloon(guest, us);
      touch_memory(guest, us);
      fill_cache(guest);
      report(model, guest, us);
    }
    if (guest->bounded)
      tell_bounded(model, guest);
    else
      tell(model, guest);
    if (guest->speaks && !guest->paused && guest->says != MODEL_SAYS_NOTHING)
      speak(model, guest, us);
    if (guest->traced)
      trace(model, guest, us);
    resident_kib += guest->told_rss_kib;
  }
  model->host.available_kib = cagma_above(model->host.total_kib, model->others_kib + resident_kib);
}

static void
note_direction(ModelGuest *guest, uint64_t from_kib, uint64_t to_kib)
{
  CagmaMove direction = to_kib > from_kib ? CAGMA_MOVE_GROW : CAGMA_MOVE_SHRINK;

  guest->steps++;
  if (guest->last_direction != CAGMA_MOVE_NONE && guest->last_direction != direction)
    guest->reversals++;
  guest->last_direction = direction;
}

void
model_decide(Model *model)
{
  cagma_decide(&model->host, model->now_us, &model->plan);
  check_plan(model);

  for (size_t i = 0; i < model->plan.n_steps; i++) {
    const CagmaStep *step = &model->plan.steps[i];
    ModelGuest *guest = &model->guests[step->domain];

    note_direction(guest, cagma_domain_standing(&guest->domain), step->target_kib);
    cagma_domain_set(&guest->domain, step->target_kib, model->now_us);
    guest->asked_kib = step->target_kib;
    guest->called_kib = step->target_kib;
  }
}

void
model_run(Model *model, int64_t seconds)
{
  while (seconds-- > 0) {
    model_live(model, CAGMA_SECOND_US);
    model_decide(model);
  }
}

uint32_t
model_steps(const Model *model)
{
  uint32_t steps = 0;

  for (size_t i = 0; i < model->n; i++)
    steps += model->guests[i].steps;
  return steps;
}

uint32_t
model_reversals(const Model *model)
{
  uint32_t reversals = 0;

  for (size_t i = 0; i < model->n; i++)
    reversals += model->guests[i].reversals;
  return reversals;
}
