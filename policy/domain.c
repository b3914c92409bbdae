/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/domain.h"

#include <string.h>

#include "policy/estimator.h"
#include "policy/rules.h"
#include "policy/units.h"

/* Everything learned from samples; what the owner set stays, and so does what the
 * guest's crying wolf earned it: a reboot is the guest's to have, or to pretend. */
static void
forget(CagmaDomain *domain, int64_t now_us)
{
  CagmaDomain kept = *domain;

  memset(domain, 0, sizeof *domain);
  domain->config = kept.config;
  domain->managed = kept.managed;
  domain->hold = kept.hold;
  domain->pinned = kept.pinned;
  domain->unresponsive = kept.unresponsive;
  domain->yields = kept.yields;
  domain->max_kib = kept.max_kib;
  domain->overhead_kib = kept.overhead_kib;
  domain->report_period_us = kept.report_period_us;
  domain->without = kept.without;
  domain->wolf_count = kept.wolf_count;
  domain->deaf_until_us = kept.deaf_until_us;
  domain->began_us = now_us;
  domain->still_since_us = now_us;
  domain->report_us = now_us;
}

void
cagma_domain_init(CagmaDomain *domain, int64_t now_us)
{
  memset(domain, 0, sizeof *domain);
  cagma_config_init(&domain->config);
  forget(domain, now_us);
}

void
cagma_domain_restart(CagmaDomain *domain, uint64_t target_kib, int64_t now_us)
{
  uint64_t cap_kib = domain->cap_kib, actual_kib = domain->actual_kib, rss_kib = domain->rss_kib;

  forget(domain, now_us);
  domain->target_kib = target_kib;
  /* A reboot changes neither what its hypervisor lets it hold nor what it holds. A start does. */
  if (target_kib && cap_kib) {
    domain->cap_kib = cagma_max_kib(cap_kib, actual_kib);
    domain->rss_kib = rss_kib;
  }
}

static void
listen_to(CagmaDomain *domain, CagmaSampleSource source)
{
  domain->source = source;
  /* Counters of two sources are of two moments: their difference means nothing. */
  domain->has_counters = 0;
  domain->has_stamp = FALSE;
  domain->prev_used_us = 0;
  domain->has_swap_used = FALSE;
  domain->swap_used_kib = 0;
  domain->swap_total_kib = 0;
  domain->swappable_kib = 0;
  domain->largest_kib = 0;
  domain->swapping_kib = 0;
}

void
cagma_domain_source_lost(CagmaDomain *domain, CagmaSampleSource source)
{
  if (domain->source != source || source == CAGMA_SAMPLE_BALLOON)
    return;
  listen_to(domain, CAGMA_SAMPLE_BALLOON);
  /* Where nothing keeps a shrink from killing its guest, figures of one whose agent has died,
   * maybe for want of memory, aren't gone by any longer. */
  if (domain->yields)
    domain->has_figures = FALSE;
}

static gboolean
tells_available(const CagmaSample *sample)
{
  const uint32_t parts = CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES;

  return (sample->has & CAGMA_HAS_USABLE) || (sample->has & parts) == parts;
}

/* Leaves of the sample what counts: a worse source's report doesn't, as long as a
 * better one speaks; nor does one without the figure all depends on, from a source
 * that there's another beside. */
static void
choose_source(CagmaDomain *domain, CagmaSample *sample, int64_t now_us)
{
  gboolean counts = sample->source >= domain->source || now_us - domain->report_us > CAGMA_SOURCE_DEAD_US;

  if (!(sample->has & CAGMA_HAS_REPORT))
    return;
  if (!counts || (sample->source != CAGMA_SAMPLE_BALLOON && !tells_available(sample)))
    sample->has &= ~(uint32_t)CAGMA_HAS_REPORT;
  else if (sample->source != domain->source)
    listen_to(domain, sample->source);
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
  return a > b ? a - b : b - a;
}

/* Clamped, since two samples a microsecond apart make any amount a monstrous rate. */
static uint64_t
per_second(uint64_t amount, int64_t elapsed_us)
{
  if (elapsed_us <= 0)
    return 0;
  return cagma_min_kib(amount * (uint64_t)CAGMA_SECOND_US / (uint64_t)elapsed_us, CAGMA_MAX_KIB);
}

/* value × 2^(−elapsed / half-life), within 1 %: the parabola that has the right values
 * at both ends of a half-life and the right slope at its start, so that it comes to
 * the same in one long step and in many short ones. */
static uint64_t
decay(uint64_t value, int64_t elapsed_us, int64_t half_life_us)
{
  int64_t halvings = elapsed_us / half_life_us;
  uint64_t part_ppm = (uint64_t)((elapsed_us % half_life_us) * 1000000 / half_life_us);
  uint64_t lost_ppm = part_ppm * (693147 - 193147 * part_ppm / 1000000) / 1000000;

  if (halvings > 62)
    return 0;
  value >>= halvings;
  /* Rounded up, lest little be remembered for ever. */
  return value - (value * lost_ppm + 999999) / 1000000;
}

static void
move_ended(CagmaDomain *domain, int64_t now_us)
{
  gboolean shrank = domain->move == CAGMA_MOVE_SHRINK;

  domain->move = CAGMA_MOVE_NONE;
  domain->moved_us = now_us;
  /* That it grows says nothing of whether it shrinks. */
  if (!domain->stuck_shrinking || shrank)
    domain->stuck_count = 0;
}

static void
follow_balloon(CagmaDomain *domain, uint64_t actual_kib, int64_t now_us)
{
  if (!domain->has_actual || distance(actual_kib, domain->actual_kib) > 0)
    domain->still_since_us = now_us;
  if (domain->has_actual && distance(actual_kib, domain->actual_kib) > CAGMA_REACHED_KIB)
    domain->moves = TRUE;
  domain->actual_kib = actual_kib;
  domain->has_actual = TRUE;

  if (domain->move == CAGMA_MOVE_NONE)
    return;
  /* Going past the target ends the move as well: somebody else moves the balloon then. */
  if (domain->move == CAGMA_MOVE_SHRINK ? actual_kib <= domain->target_kib + CAGMA_REACHED_KIB
                                        : actual_kib + CAGMA_REACHED_KIB >= domain->target_kib) {
    move_ended(domain, now_us);
    return;
  }
  if (domain->move == CAGMA_MOVE_SHRINK ? actual_kib + CAGMA_REACHED_KIB <= domain->move_mark_kib
                                        : actual_kib >= domain->move_mark_kib + CAGMA_REACHED_KIB) {
    domain->move_mark_kib = actual_kib;
    domain->move_mark_us = now_us;
  }
}

static void
settle(CagmaDomain *domain, int64_t now_us)
{
  gboolean reached =
      domain->target_kib && distance(domain->actual_kib, domain->target_kib) <= CAGMA_REACHED_KIB;
  gboolean driven = domain->reported || domain->moves || domain->driver == CAGMA_DRIVER_UP;

  if (domain->driver == CAGMA_DRIVER_DOWN)
    domain->settled = FALSE;
  /* A balloon that nobody reports on, and that hasn't moved, may have no driver behind it, so that its
   * size says nothing of the guest's. */
  if (domain->settled || !domain->has_actual || !driven || domain->driver == CAGMA_DRIVER_DOWN)
    return;
  domain->settled = reached || now_us - domain->still_since_us >= CAGMA_SETTLE_US;
}

/* A balloon that rests below what was last asked of it follows somebody else: an
 * operator, or libvirt, whose XML says the full size while a domain starts. The rest
 * would be counted as held for ever, so it is taken back. */
static void
follow_others(CagmaDomain *domain, int64_t now_us)
{
  if (domain->settled && domain->move == CAGMA_MOVE_NONE &&
      domain->actual_kib + CAGMA_REACHED_KIB < domain->target_kib &&
      now_us - domain->still_since_us >= CAGMA_SETTLE_US)
    domain->withdraw = TRUE;
}

static void
watch_trust(CagmaDomain *domain, const CagmaSample *sample, int64_t now_us)
{
  uint64_t resident;

  if (!(sample->has & CAGMA_HAS_RSS))
    return;
  domain->rss_kib = sample->rss_kib;
  /* One that its hypervisor bounds needn't be trusted. */
  if (!domain->settled || domain->cap_kib)
    return;

  resident = cagma_above(domain->rss_kib, domain->overhead_kib);
  if (resident <= cagma_max_kib(domain->actual_kib, domain->target_kib) + CAGMA_DISTRUST_SLACK_KIB) {
    domain->above_since_us = 0;
    domain->distrusted = FALSE;
  } else if (!domain->above_since_us) {
    domain->above_since_us = now_us;
  } else if (now_us - domain->above_since_us >= CAGMA_DISTRUST_US) {
    domain->distrusted = TRUE;
  }
}

uint64_t
cagma_domain_swapped(const CagmaDomain *domain)
{
  if (domain->has_swap_used)
    return domain->swap_used_kib;
  return cagma_above(domain->swap_out_kib, domain->swap_in_kib);
}

static gboolean
ran_backwards(const CagmaDomain *domain, const CagmaSample *sample)
{
  const uint32_t both = sample->has & domain->has_counters;

  if ((both & CAGMA_HAS_SWAP) &&
      (sample->swap_in_kib < domain->swap_in_kib || sample->swap_out_kib < domain->swap_out_kib))
    return TRUE;
  if ((both & CAGMA_HAS_REFAULT) && (sample->refault_file_kib < domain->refault_file_kib ||
                                     sample->refault_anon_kib < domain->refault_anon_kib))
    return TRUE;
  return (both & CAGMA_HAS_FAULTS) && sample->major_faults < domain->major_faults;
}

/* What was swapped in since a shrink goes on from where another source's counter starts. */
static void
go_on_counting(CagmaDomain *domain, const CagmaSample *sample)
{
  uint64_t in_since_kib = cagma_above(domain->swap_in_kib, domain->shrunk_swap_in_kib);
  uint64_t out_since_kib = cagma_above(domain->swap_out_kib, domain->shrunk_swap_out_kib);

  domain->shrunk_swap_in_kib = cagma_above(sample->swap_in_kib, in_since_kib);
  domain->shrunk_swap_out_kib = cagma_above(sample->swap_out_kib, out_since_kib);
}

static void
count(CagmaDomain *domain, const CagmaSample *sample, int64_t now_us)
{
  const uint32_t both = sample->has & domain->has_counters;
  int64_t elapsed_us = now_us - domain->counters_us;
  uint64_t swapped_in = 0, swapped_out = 0, refaulted = 0;

  if ((both & CAGMA_HAS_SWAP) && elapsed_us > 0) {
    swapped_in = sample->swap_in_kib - domain->swap_in_kib;
    domain->swap_in_kib_per_s = per_second(swapped_in, elapsed_us);
    swapped_out = sample->swap_out_kib - domain->swap_out_kib;
    domain->swap_out_kib_per_s = per_second(swapped_out, elapsed_us);
  }
  if ((both & CAGMA_HAS_FAULTS) && elapsed_us > 0)
    domain->faults_per_s = per_second(sample->major_faults - domain->major_faults, elapsed_us);
  if ((both & CAGMA_HAS_REFAULT) && elapsed_us > 0)
    refaulted = sample->refault_file_kib - domain->refault_file_kib;
  /* Time passes also while there is nothing to compare with. */
  domain->swap_back_kib =
      decay(domain->swap_back_kib, MAX(elapsed_us, 0), CAGMA_SWAP_BACK_HALF_LIFE_US) + swapped_in;
  domain->pushed_out_kib =
      decay(domain->pushed_out_kib, MAX(elapsed_us, 0), CAGMA_SWAP_BACK_HALF_LIFE_US) + swapped_out;
  domain->cache_back_kib =
      decay(domain->cache_back_kib, MAX(elapsed_us, 0), CAGMA_SWAP_BACK_HALF_LIFE_US) + refaulted;

  if (sample->has & CAGMA_HAS_SWAP) {
    if (!(both & CAGMA_HAS_SWAP))
      go_on_counting(domain, sample);
    domain->swap_in_kib = sample->swap_in_kib;
    domain->swap_out_kib = sample->swap_out_kib;
  }
  if (sample->has & CAGMA_HAS_FAULTS)
    domain->major_faults = sample->major_faults;
  if (sample->has & CAGMA_HAS_REFAULT) {
    domain->refault_file_kib = sample->refault_file_kib;
    domain->refault_anon_kib = sample->refault_anon_kib;
  }
  domain->swap_back_kib = cagma_min_kib(domain->swap_back_kib, cagma_domain_swapped(domain));
  domain->pushed_out_kib = cagma_min_kib(domain->pushed_out_kib, cagma_domain_swapped(domain));
  /* The same page may have come back again and again. */
  domain->cache_back_kib = cagma_min_kib(domain->cache_back_kib, domain->max_kib);
  domain->counters_us = now_us;
  domain->has_counters |= sample->has & CAGMA_COUNTERS;
}

static void
count_block_reads(CagmaDomain *domain, const CagmaSample *sample, int64_t now_us)
{
  if (!(sample->has & CAGMA_HAS_BLOCK_READ))
    return;
  if (domain->has_block_read && now_us > domain->block_read_us)
    domain->block_read_kib_per_s = per_second(cagma_above(sample->block_read_kib, domain->block_read_kib),
                                              now_us - domain->block_read_us);
  domain->block_read_kib = sample->block_read_kib;
  domain->block_read_us = now_us;
  domain->has_block_read = TRUE;
}

/* How fast the guest takes up memory: growth of what it uses, swapped pages
 * included. Up at once, down by half in 2 s, since ramps come in bursts.
 * Down also while its balloon moves and nothing can be measured: else a burst
 * would be foreseen again and again until the memory for it has arrived. */
static void
measure_consumption(CagmaDomain *domain, int64_t now_us)
{
  uint64_t swapped_kib = cagma_domain_swapped(domain);

  if (domain->prev_used_us && now_us > domain->prev_used_us) {
    uint64_t rate = per_second(
        cagma_above(domain->used_kib + swapped_kib, domain->prev_used_kib + domain->prev_swapped_kib),
        now_us - domain->prev_used_us);

    domain->consumption_kib_per_s = cagma_max_kib(rate, domain->consumption_kib_per_s);
  }
  domain->prev_used_kib = domain->used_kib;
  domain->prev_swapped_kib = swapped_kib;
  domain->prev_used_us = now_us;
}

static void
watch_harm(CagmaDomain *domain, int64_t now_us)
{
  uint64_t swap_ins_per_s = domain->swap_in_kib_per_s / CAGMA_PAGE_KIB;
  int64_t backoff_us;
  gboolean swaps, faults, reads;

  if (!domain->shrunk_us || domain->without & CAGMA_RULE_HURT)
    return;
  if (now_us - domain->shrunk_us > CAGMA_HURT_WINDOW_US) {
    domain->shrunk_us = 0;
    domain->hurt_count = 0;
    return;
  }

  swaps = cagma_above(domain->swap_in_kib, domain->shrunk_swap_in_kib) >= CAGMA_HURT_SWAPPED_KIB &&
          cagma_above(domain->swap_out_kib, domain->shrunk_swap_out_kib) >= CAGMA_HURT_SWAPPED_KIB;
  faults = cagma_above(domain->faults_per_s, swap_ins_per_s) >=
           cagma_max_kib(CAGMA_HURT_FAULTS_PER_S, domain->faults_before_per_s * CAGMA_HURT_RATIO);
  reads =
      domain->block_read_us > domain->shrunk_us &&
      domain->block_read_kib_per_s >= cagma_max_kib(CAGMA_HURT_BLOCK_READ_KIB_PER_S,
                                                    domain->block_read_before_kib_per_s * CAGMA_HURT_RATIO);
  /* What was read again soon after its eviction says more than what was read. */
  if (domain->has_counters & CAGMA_HAS_REFAULT) {
    faults = FALSE;
    reads = domain->cache_back_kib >= cagma_max_kib(CAGMA_HURT_CACHE_KIB, 2 * domain->cache_back_before_kib);
  }
  if (!swaps && !faults && !reads)
    return;

  backoff_us = CAGMA_HURT_BACKOFF_US << MIN(domain->hurt_count, 4);
  domain->regain_kib = domain->shrunk_from_kib;
  domain->regain_until_us = now_us + MIN(backoff_us, CAGMA_HURT_BACKOFF_MAX_US);
  domain->hurt_count++;
  domain->shrunk_us = 0;
}

/* No guest swaps that fast. */
static gboolean
is_absurd(const CagmaDomain *domain, const CagmaSample *sample, int64_t now_us)
{
  uint64_t swapped_in, swapped_out;
  int64_t elapsed_us = MAX(now_us - domain->counters_us, CAGMA_SECOND_US / 10);

  if (!(sample->has & domain->has_counters & CAGMA_HAS_SWAP))
    return FALSE;
  swapped_in = sample->swap_in_kib - domain->swap_in_kib;
  swapped_out = sample->swap_out_kib - domain->swap_out_kib;
  return per_second(swapped_in, elapsed_us) > CAGMA_SWAP_MAX_KIB_PER_S ||
         per_second(swapped_out, elapsed_us) > CAGMA_SWAP_MAX_KIB_PER_S;
}

/* A report counts as new when its stamp changes; the first one seen may be hours
 * old. Sources without a stamp answer at the time of asking. */
static gboolean
is_new_report(CagmaDomain *domain, const CagmaSample *sample)
{
  gboolean changed;

  if (!(sample->has & CAGMA_HAS_REPORT))
    return FALSE;
  if (!(sample->has & CAGMA_HAS_STAMP))
    return TRUE;
  changed = domain->has_stamp && sample->stamp != domain->stamp && sample->stamp != 0;
  domain->stamp = sample->stamp;
  domain->has_stamp = TRUE;
  return changed;
}

/* What the hypervisor itself says of the domain. Whatever was asked of it before, by whomever,
 * that it enforces now. */
static void
heed_hypervisor(CagmaDomain *domain, const CagmaSample *sample)
{
  if (sample->has & CAGMA_HAS_DRIVER)
    domain->driver = sample->driver ? CAGMA_DRIVER_UP : CAGMA_DRIVER_DOWN;
  if (!(sample->has & CAGMA_HAS_CAP))
    return;
  domain->cap_kib = sample->cap_kib;
  if (!domain->target_kib)
    domain->target_kib = cagma_min_kib(domain->cap_kib, domain->max_kib);
}

/* Left out of what follows, for longer each time. */
static void
set_aside(CagmaDomain *domain, int64_t now_us)
{
  domain->move = CAGMA_MOVE_NONE;
  domain->moved_us = now_us;
  domain->shrunk_us = 0;
  domain->stuck_shrinking = FALSE;
  domain->stuck_until_us =
      now_us + MIN(CAGMA_STUCK_BACKOFF_US << MIN(domain->stuck_count, 5), CAGMA_STUCK_BACKOFF_MAX_US);
  domain->stuck_count++;
}

/* A paused guest moves nothing and is not to blame for it. */
static void
excuse_move(CagmaDomain *domain, int64_t now_us)
{
  if (domain->move == CAGMA_MOVE_NONE || domain->hold || domain->unresponsive)
    domain->move_mark_us = now_us;
}

/* Where it was just looked at, and not as time passes: what nobody looked at may have arrived. */
static void
watch_move(CagmaDomain *domain, int64_t now_us)
{
  gboolean shrinks = domain->move == CAGMA_MOVE_SHRINK;

  excuse_move(domain, now_us);
  if (domain->move == CAGMA_MOVE_NONE || now_us - domain->move_mark_us < CAGMA_STUCK_US)
    return;

  set_aside(domain, now_us);
  domain->stuck_shrinking = shrinks;
  domain->withdraw = TRUE;
}

void
cagma_domain_feed(CagmaDomain *domain, const CagmaSample *raw, int64_t now_us)
{
  CagmaSample sample = *raw;
  uint64_t available_kib, before_kib = domain->actual_kib;
  gboolean had_actual = domain->has_actual, stood_still, is_new;

  cagma_sample_clamp(&sample, domain->max_kib);
  choose_source(domain, &sample, now_us);
  if (ran_backwards(domain, &sample)) {
    cagma_domain_restart(domain, domain->target_kib, now_us);
    domain->source = sample.source;
  }

  heed_hypervisor(domain, &sample);
  if (sample.has & CAGMA_HAS_ACTUAL) {
    follow_balloon(domain, sample.actual_kib, now_us);
    watch_move(domain, now_us);
  }
  cagma_estimator_learn(domain, &sample, now_us);

  is_new = is_new_report(domain, &sample);
  if (is_new && is_absurd(domain, &sample, now_us)) {
    /* It begins to count anew, and the rest of the report isn't believed either. */
    domain->has_counters = 0;
    domain->contradictory = TRUE;
    domain->reported = TRUE;
    domain->report_us = now_us;
    is_new = FALSE;
  }
  if (is_new) {
    domain->consumption_kib_per_s = decay(domain->consumption_kib_per_s, MAX(now_us - domain->report_us, 0),
                                          CAGMA_CONSUMPTION_HALF_LIFE_US);
    domain->reported = TRUE;
    domain->report_us = now_us;
    domain->largest_kib = sample.has & CAGMA_HAS_LARGEST ? sample.largest_kib : 0;
    domain->swapping_kib = sample.has & CAGMA_HAS_SWAPPING ? sample.swapping_kib : 0;
    domain->has_swap_used = (sample.has & CAGMA_HAS_SWAP_USED) != 0;
    domain->swap_used_kib = domain->has_swap_used ? sample.swap_used_kib : 0;
    domain->swap_total_kib = domain->has_swap_used ? sample.swap_total_kib : 0;
    domain->swappable_kib = sample.has & CAGMA_HAS_SWAPPABLE ? sample.swappable_kib : 0;
    count(domain, &sample, now_us);
  }
  count_block_reads(domain, &sample, now_us);
  settle(domain, now_us);
  follow_others(domain, now_us);
  watch_trust(domain, &sample, now_us);
  watch_harm(domain, now_us);
  if (!is_new)
    return;

  /* The report was made at some moment since the last sample. If the balloon moved
   * in between, it and the balloon's size don't belong together. A source that can't
   * see the balloon is believed only while none is on its way. */
  stood_still = had_actual && distance(before_kib, domain->actual_kib) <= CAGMA_REACHED_KIB;
  if (!(sample.has & CAGMA_HAS_ACTUAL)) {
    stood_still = had_actual && domain->move == CAGMA_MOVE_NONE;
    sample.actual_kib = domain->actual_kib;
    sample.has |= CAGMA_HAS_ACTUAL;
  }
  domain->contradictory = FALSE;
  if (!stood_still)
    return;
  if (!cagma_sample_available(&sample, &available_kib)) {
    domain->contradictory = TRUE;
    return;
  }
  domain->available_kib = available_kib;
  domain->free_kib = sample.has & CAGMA_HAS_UNUSED ? cagma_min_kib(sample.unused_kib, available_kib) : 0;
  domain->used_kib = domain->actual_kib - available_kib;
  domain->figures_us = now_us;
  domain->has_figures = TRUE;
  measure_consumption(domain, now_us);
}

void
cagma_domain_set(CagmaDomain *domain, uint64_t target_kib, int64_t now_us)
{
  uint64_t from_kib = cagma_domain_standing(domain);

  domain->withdraw = FALSE;
  domain->target_kib = target_kib;
  domain->move_from_kib = domain->actual_kib;
  domain->move_us = now_us;
  domain->move_mark_kib = domain->actual_kib;
  domain->move_mark_us = now_us;
  if (distance(domain->actual_kib, target_kib) <= CAGMA_REACHED_KIB)
    domain->move = CAGMA_MOVE_NONE;
  else
    domain->move = target_kib > domain->actual_kib ? CAGMA_MOVE_GROW : CAGMA_MOVE_SHRINK;

  if (domain->move == CAGMA_MOVE_SHRINK && target_kib < from_kib) {
    /* What it suffered before, the shrink isn't to blame for. */
    domain->shrunk_us = domain->swap_in_kib_per_s > CAGMA_HURT_BEFORE_KIB_PER_S ? 0 : now_us;
    domain->shrunk_from_kib = from_kib;
    domain->shrunk_swap_in_kib = domain->swap_in_kib;
    domain->shrunk_swap_out_kib = domain->swap_out_kib;
    domain->faults_before_per_s = domain->faults_per_s;
    domain->block_read_before_kib_per_s = domain->block_read_kib_per_s;
    domain->cache_back_before_kib = domain->cache_back_kib;
  }
}

/* Whether the guest's counters bear its pressure out: pages swapped since the last
 * event, or, where it has no swap to go to, pages of files read back in earnest. */
static gboolean
bears_out(const CagmaDomain *domain)
{
  if (!domain->pressed_us || domain->pressed_swapped_kib != domain->swap_in_kib + domain->swap_out_kib)
    return TRUE;
  return distance(domain->major_faults, domain->pressed_faults) >= CAGMA_WOLF_FAULTS;
}

static gboolean
has_hardly_given(const CagmaDomain *domain)
{
  uint64_t asked_kib = cagma_above(domain->move_from_kib, domain->target_kib);

  return cagma_above(domain->move_from_kib, domain->actual_kib) <
         cagma_permille(asked_kib, CAGMA_HARDLY_GIVEN_PERMILLE);
}

gboolean
cagma_domain_press(CagmaDomain *domain, uint64_t critical_kib, int64_t now_us)
{
  gboolean borne_out = bears_out(domain);

  domain->pressed_us = now_us;
  domain->pressed_swapped_kib = domain->swap_in_kib + domain->swap_out_kib;
  domain->pressed_faults = domain->major_faults;
  if (now_us < domain->deaf_until_us || domain->without & CAGMA_RULE_EMERGENCY)
    return FALSE;
  if (now_us - domain->deaf_until_us >= CAGMA_WOLF_BACKOFF_MAX_US)
    domain->wolf_count = 0;
  domain->wolf_events = borne_out ? 0 : domain->wolf_events + 1;
  if (domain->wolf_events >= CAGMA_WOLF_EVENTS) {
    domain->wolf_events = 0;
    domain->emergency = FALSE;
    domain->deaf_until_us =
        now_us + MIN(CAGMA_WOLF_BACKOFF_US << MIN(domain->wolf_count, 5), CAGMA_WOLF_BACKOFF_MAX_US);
    domain->wolf_count++;
    return FALSE;
  }
  /* It may be the shrink that presses it, and its figures are of before. */
  if (domain->move == CAGMA_MOVE_SHRINK &&
      (domain->yields || now_us - domain->move_us >= CAGMA_SHRINK_PRESSED_US)) {
    /* One that has hardly given anything is stuck, whoever says so first. */
    if (!domain->yields && has_hardly_given(domain)) {
      set_aside(domain, now_us);
      domain->stuck_shrinking = TRUE;
    }
    domain->withdraw = TRUE;
    return TRUE;
  }
  domain->emergency = domain->config.emergency && domain->has_figures && domain->available_kib < critical_kib;
  return domain->emergency;
}

void
cagma_domain_refused(CagmaDomain *domain, uint64_t previous_target_kib, int64_t now_us)
{
  domain->target_kib = previous_target_kib;
  /* A withdrawal is no move: what the domain was set aside for stands. */
  if (domain->move != CAGMA_MOVE_NONE || !domain->stuck_until_us)
    set_aside(domain, now_us);
  cagma_domain_withdraw_shrink(domain);
}

void
cagma_domain_withdraw_shrink(CagmaDomain *domain)
{
  domain->withdraw = domain->target_kib && domain->target_kib + CAGMA_REACHED_KIB < domain->actual_kib;
}

void
cagma_domain_tick(CagmaDomain *domain, int64_t now_us)
{
  if (domain->stuck_until_us && now_us >= domain->stuck_until_us)
    domain->stuck_until_us = 0;
  if (domain->emergency && now_us - domain->pressed_us >= CAGMA_EMERGENCY_US)
    domain->emergency = FALSE;
  if (domain->regain_until_us && now_us >= domain->regain_until_us) {
    domain->regain_until_us = 0;
    domain->regain_kib = 0;
  }
  excuse_move(domain, now_us);
  cagma_estimator_tick(domain, now_us);
}

uint64_t
cagma_domain_charge(const CagmaDomain *domain)
{
  uint64_t held = cagma_max_kib(domain->actual_kib, domain->target_kib);

  if (domain->cap_kib)
    return cagma_max_kib(held, domain->cap_kib);
  if (!domain->managed || domain->config.mode != CAGMA_MODE_ENFORCE || !domain->settled ||
      !domain->target_kib || domain->distrusted || domain->pinned)
    return domain->max_kib;

  held = cagma_max_kib(held, cagma_above(domain->rss_kib, domain->overhead_kib));
  return cagma_min_kib(held, domain->max_kib);
}

uint64_t
cagma_domain_standing(const CagmaDomain *domain)
{
  if (domain->move != CAGMA_MOVE_NONE)
    return domain->target_kib;
  return domain->has_actual ? domain->actual_kib : domain->max_kib;
}

gboolean
cagma_domain_fresh(const CagmaDomain *domain, int64_t now_us)
{
  int64_t stale_us = MAX(CAGMA_STALE_PERIODS * domain->report_period_us, CAGMA_STALE_MIN_US);

  return domain->has_figures && !domain->contradictory && now_us - domain->report_us <= stale_us;
}

gboolean
cagma_domain_seen_since_move(const CagmaDomain *domain)
{
  return domain->has_figures && domain->move == CAGMA_MOVE_NONE && domain->figures_us > domain->moved_us &&
         domain->figures_us == domain->report_us;
}
