/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/reporter.h"

#include <math.h>
#include <string.h>

/* An agent reports pressure at most so often (qga-ext: one event a second). */
#define PRESSURE_INTERVAL_US CAGMA_SECOND_US
/* How long its kernel takes to notice (docs/benchmarks.md: 25–60 ms after the first page). */
#define PRESSURE_DELAY_US ((int64_t)60000)
/* A tick that lost so much to waiting for memory is pressure (PSI some, 10 % of a window). */
#define PRESSURE_STALLED 0.1
/* A liar's swapping. */
#define LIE_KIB_PER_S ((double)CAGMA_GIB(1))

void
cagma_reporter_begin(CagmaWorld *world, size_t guest)
{
  CagmaSimSoul *soul = &world->guests[guest];

  if (!soul->reports)
    soul->reports = g_array_new(FALSE, FALSE, sizeof(CagmaSimReport));
  g_array_set_size(soul->reports, 0);
  soul->report_us =
      world->now_us + (int64_t)(cagma_random_unit(&soul->random) * (double)soul->body.spec->report_us);
  soul->pressed_us = world->now_us;
  soul->stamp = 0;
  soul->lied_in_kib = 0;
  memset(soul->load, 0, sizeof soul->load);
}

static uint64_t
nonsense(CagmaRandom *random)
{
  uint64_t bits = cagma_random_next(random);

  switch (cagma_random_next(random) % 5) {
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

static void
lie(CagmaSimSoul *soul, CagmaSample *sample)
{
  uint64_t *fields[] = { &sample->usable_kib,   &sample->unused_kib,   &sample->caches_kib,
                         &sample->swap_in_kib,  &sample->swap_out_kib, &sample->swap_used_kib,
                         &sample->major_faults, &sample->largest_kib,  &sample->swapping_kib };

  switch (soul->says) {
  case CAGMA_BEFALLS_SHORT:
    soul->lied_in_kib += LIE_KIB_PER_S * (double)soul->body.spec->report_us / 1e6;
    sample->usable_kib = sample->unused_kib = sample->caches_kib = 0;
    sample->swap_in_kib += (uint64_t)soul->lied_in_kib;
    sample->swap_out_kib += 2 * (uint64_t)soul->lied_in_kib;
    break;
  case CAGMA_BEFALLS_PLENTY:
    sample->usable_kib = sample->unused_kib = (uint64_t)soul->body.actual_kib;
    sample->caches_kib = 0;
    break;
  case CAGMA_BEFALLS_NONSENSE:
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
      *fields[i] = nonsense(&soul->random);
    break;
  default:
    break;
  }
}

static void
write_figures(CagmaSimSoul *soul, CagmaSample *sample)
{
  const CagmaBody *body = &soul->body;

  *sample = (CagmaSample){
    .source = CAGMA_SAMPLE_BALLOON,
    .has = CAGMA_HAS_USABLE | CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES | CAGMA_HAS_SWAP | CAGMA_HAS_FAULTS,
    .usable_kib = (uint64_t)cagma_body_available(body),
    .unused_kib = (uint64_t)cagma_body_free(body),
    .caches_kib = (uint64_t)cagma_body_cached(body),
    .swap_in_kib = (uint64_t)body->swap_in_kib,
    .swap_out_kib = (uint64_t)body->swap_out_kib,
    .major_faults = (uint64_t)(body->swap_in_kib / 4),
  };
  if (body->spec->reports == CAGMA_REPORTS_AGENT) {
    sample->source = CAGMA_SAMPLE_CHANNEL;
    sample->has |=
        CAGMA_HAS_SWAP_USED | CAGMA_HAS_REFAULT | CAGMA_HAS_VCPUS | CAGMA_HAS_LOAD | CAGMA_HAS_LARGEST;
    sample->swap_used_kib = (uint64_t)cagma_body_swapped(body);
    sample->swap_total_kib = body->spec->swap_kib;
    sample->refault_file_kib = (uint64_t)body->refault_file_kib;
    sample->refault_anon_kib = (uint64_t)body->refault_anon_kib;
    sample->load1_permille = (uint32_t)(soul->load[0] * 1000);
    sample->load5_permille = (uint32_t)(soul->load[1] * 1000);
    sample->load15_permille = (uint32_t)(soul->load[2] * 1000);
    sample->vcpus = body->spec->vcpus;
    for (size_t i = 0; i < body->n_parts; i++) {
      if (body->parts[i].anon)
        sample->largest_kib = cagma_max_kib(
            sample->largest_kib, (uint64_t)(body->parts[i].resident_kib + body->parts[i].absent_kib));
    }
  } else {
    sample->has |= CAGMA_HAS_STAMP;
    sample->stamp = ++soul->stamp;
  }
  lie(soul, sample);
}

static void
send(CagmaWorld *world, CagmaSimSoul *soul, gboolean pressure, int64_t delay_us)
{
  CagmaSimReport report = { .arrives_us = world->now_us + delay_us,
                            .pressure = pressure,
                            .actual_kib = (uint64_t)soul->body.actual_kib,
                            .swapped_kib = (uint64_t)cagma_body_swapped(&soul->body) };

  if (cagma_random_unit(&soul->random) * 1000 < soul->body.spec->loss_permille)
    return;
  write_figures(soul, &report.sample);
  g_array_append_val(soul->reports, report);
}

static void
average_load(CagmaSimSoul *soul)
{
  static const double minutes[] = { 1, 5, 15 };

  for (size_t i = 0; i < G_N_ELEMENTS(minutes); i++)
    soul->load[i] +=
        (soul->body.busy - soul->load[i]) * (1 - exp(-(double)CAGMA_SIM_TICK_US / (minutes[i] * 60e6)));
}

static gboolean
is_pressed(const CagmaSimSoul *soul)
{
  if (soul->says == CAGMA_BEFALLS_SHORT)
    return TRUE;
  return soul->body.paged_kib > 0 || soul->body.pressed >= PRESSURE_STALLED;
}

void
cagma_reporter_tick(CagmaWorld *world, size_t guest,
                    void (*deliver)(gpointer control, size_t guest, const CagmaSimReport *report),
                    gpointer control)
{
  CagmaSimSoul *soul = &world->guests[guest];
  const CagmaSimGuest *spec = soul->body.spec;
  guint left = 0;

  average_load(soul);
  if (spec->reports != CAGMA_REPORTS_NONE && soul->body.state == CAGMA_BODY_RUNS &&
      soul->says != CAGMA_BEFALLS_SILENT) {
    if (world->now_us >= soul->report_us) {
      send(world, soul, FALSE, spec->delay_us);
      /* What it was silent on isn't made up for. */
      soul->report_us += ((world->now_us - soul->report_us) / spec->report_us + 1) * spec->report_us;
    }
    if (spec->reports == CAGMA_REPORTS_AGENT && is_pressed(soul) &&
        world->now_us - soul->pressed_us >= PRESSURE_INTERVAL_US) {
      soul->pressed_us = world->now_us;
      send(world, soul, TRUE, MAX(spec->delay_us, PRESSURE_DELAY_US));
    }
  }
  for (guint i = 0; i < soul->reports->len; i++) {
    const CagmaSimReport *report = &g_array_index(soul->reports, CagmaSimReport, i);

    if (report->arrives_us > world->now_us)
      g_array_index(soul->reports, CagmaSimReport, left++) = *report;
    else
      deliver(control, guest, report);
  }
  g_array_set_size(soul->reports, left);
}
