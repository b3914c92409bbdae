/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* decide POLICY fits|short DOMAINS CYCLES [FILE]: what decisions cost. The policy's library alone decides for
 * invented domains that live, each of which reports before each decision; measured is the CPU time of the
 * decision and of the guard's look at it. Prints, after a tenth of the cycles to warm up: median, 10th and
 * 90th percentile in ns, allocations in all these cycles, calls a cycle. FILE: the figures at the end are
 * written there, for others' rules to decide on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/guard.h"
#include "policy/missratio.h"
#include "policy/plan.h"
#include "policy/units.h"

#define PERIOD_US (3 * CAGMA_SECOND_US)
#define TRACE_CYCLES 3 /* reuse distances come each 9 s */

typedef struct {
  CagmaDomain domain;
  uint64_t base_kib; /* what it uses, about */
  uint64_t used_kib;
  uint64_t actual_kib;
  uint64_t swap_out_kib;
  uint64_t swap_in_kib;
} Guest;

typedef struct {
  CagmaHost host;
  CagmaPlan plan;
  Guest *guests;
  size_t n;
  int64_t now_us;
  uint64_t stamp;
  uint64_t random;
} Bench;

/* Every allocation of the process, whoever makes it. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static uint64_t allocations;

void *
malloc(size_t size)
{
  allocations++;
  return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
  allocations++;
  return __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
  allocations++;
  return __libc_realloc(old, size);
}

/* Of low to high; the same each time (xorshift, Marsaglia 2003). */
static uint64_t
draw(Bench *bench, uint64_t low, uint64_t high)
{
  bench->random ^= bench->random << 13;
  bench->random ^= bench->random >> 7;
  bench->random ^= bench->random << 17;
  return low + bench->random % (high - low + 1);
}

static void
invent(Bench *bench, Guest *guest, const CagmaPolicy *policy)
{
  CagmaDomain *domain = &guest->domain;

  cagma_domain_init(domain, bench->now_us);
  domain->managed = TRUE;
  domain->max_kib = CAGMA_GIB(draw(bench, 1, 8));
  domain->report_period_us = PERIOD_US;
  domain->config.estimator = policy->estimator;
  domain->config.source = policy->source;
  domain->config.guarantee_kib = domain->max_kib / 8;
  domain->config.shares = (uint32_t)draw(bench, 1, 4) * 500;
  if (!cagma_config_fit(&domain->config, domain->max_kib, NULL))
    abort();
  guest->base_kib = guest->used_kib = cagma_permille(domain->max_kib, draw(bench, 200, 700));
  guest->actual_kib = cagma_min_kib(guest->base_kib + guest->base_kib / 8, domain->max_kib);
  cagma_domain_restart(domain, guest->actual_kib, bench->now_us);
}

static void
tell_reuse(Bench *bench, Guest *guest)
{
  CagmaReuse reuse;

  cagma_reuse_init(&reuse, guest->domain.max_kib);
  cagma_reuse_add(&reuse, 0, guest->used_kib / 2);
  for (int i = 0; i < 16; i++)
    cagma_reuse_add(&reuse, draw(bench, 0, guest->used_kib), draw(bench, 0, guest->used_kib / 32));
  cagma_reuse_add(&reuse, draw(bench, guest->used_kib, guest->domain.max_kib), guest->used_kib / 64);
  cagma_missratio_feed(&guest->domain, &reuse, bench->now_us);
}

/* Its use wavers by some percent; what has no room is swapped, out and in. */
static void
live(Bench *bench, Guest *guest)
{
  CagmaSample sample = { .source = CAGMA_SAMPLE_CHANNEL,
                         .has = CAGMA_HAS_ACTUAL | CAGMA_HAS_USABLE | CAGMA_HAS_UNUSED | CAGMA_HAS_SWAP |
                                CAGMA_HAS_FAULTS | CAGMA_HAS_REFAULT | CAGMA_HAS_VCPUS | CAGMA_HAS_LOAD |
                                CAGMA_HAS_RSS | CAGMA_HAS_STAMP,
                         .vcpus = 2 };
  uint64_t room_kib = cagma_above(guest->actual_kib, CAGMA_MIB(32)), out_kib;

  guest->used_kib = cagma_permille(guest->base_kib, draw(bench, 960, 1040));
  out_kib = cagma_above(guest->used_kib, room_kib);
  guest->swap_out_kib += out_kib / 8;
  guest->swap_in_kib += out_kib / 16;
  sample.actual_kib = guest->actual_kib;
  sample.usable_kib = guest->actual_kib - cagma_min_kib(guest->used_kib, room_kib);
  sample.unused_kib = sample.usable_kib / 4;
  sample.swap_out_kib = guest->swap_out_kib;
  sample.swap_in_kib = guest->swap_in_kib;
  sample.major_faults = guest->swap_in_kib / 4;
  sample.refault_file_kib = guest->swap_in_kib / 2;
  sample.rss_kib = guest->actual_kib;
  sample.load1_permille = draw(bench, 0, 3000);
  sample.load5_permille = sample.load15_permille = draw(bench, 0, 2000);
  sample.stamp = bench->stamp;
  cagma_domain_feed(&guest->domain, &sample, bench->now_us);
}

static void
pass_period(Bench *bench)
{
  bench->now_us += PERIOD_US;
  bench->stamp++;
  for (size_t i = 0; i < bench->n; i++) {
    live(bench, &bench->guests[i]);
    if (bench->stamp % TRACE_CYCLES == 0 &&
        bench->guests[i].domain.config.estimator == CAGMA_ESTIMATOR_MISSRATIO)
      tell_reuse(bench, &bench->guests[i]);
  }
}

static int64_t
cpu_ns(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t
decide(Bench *bench)
{
  int64_t started_ns = cpu_ns(), took_ns;
  g_autoptr(GError) error = NULL;
  gboolean passed;

  cagma_decide(&bench->host, bench->now_us, &bench->plan);
  passed = cagma_guard_check(&bench->host, &bench->plan, bench->now_us, &error);
  took_ns = cpu_ns() - started_ns;
  if (!passed)
    g_error("the guard refuses: %s", error->message);
  return took_ns;
}

static void
carry_out(Bench *bench)
{
  for (size_t i = 0; i < bench->plan.n_steps; i++) {
    const CagmaStep *step = &bench->plan.steps[i];
    Guest *guest = &bench->guests[step->domain];

    cagma_domain_set(&guest->domain, step->target_kib, bench->now_us);
    guest->actual_kib = step->target_kib;
  }
}

static void
set_up(Bench *bench, const CagmaPolicy *policy, gboolean fits, size_t n)
{
  uint64_t held_kib = 0;

  bench->now_us = 1000 * CAGMA_SECOND_US;
  bench->random = 88172645463325252;
  bench->n = n;
  bench->guests = g_new0(Guest, n);
  bench->host.domains = g_new0(CagmaDomain *, n);
  bench->host.n_domains = n;
  bench->host.policy = policy->kind;
  bench->host.period_us = PERIOD_US;
  for (size_t i = 0; i < n; i++) {
    invent(bench, &bench->guests[i], policy);
    bench->host.domains[i] = &bench->guests[i].domain;
    held_kib += bench->guests[i].actual_kib;
  }
  /* Needs of about what they hold: a tenth more than that is enough for all, a tenth less isn't. */
  bench->host.budget = CAGMA_BUDGET_FIXED;
  bench->host.budget_kib = cagma_permille(held_kib, fits ? 1100 : 900);
  bench->host.pool_kib = cagma_permille(bench->host.budget_kib, 20);
}

static int
compare(const void *a, const void *b)
{
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

  return (left > right) - (left < right);
}

static void
write_figures(const Bench *bench, const char *path)
{
  FILE *file = fopen(path, "w");
  int64_t free_kib = (int64_t)bench->host.budget_kib;

  if (!file)
    g_error("%s: %s", path, g_strerror(errno));
  for (size_t i = 0; i < bench->n; i++)
    free_kib -= (int64_t)bench->guests[i].actual_kib;
  fprintf(file, "%" PRIu64 " %" PRId64 "\n", bench->host.budget_kib, MAX(free_kib, 0));
  for (size_t i = 0; i < bench->n; i++) {
    const Guest *guest = &bench->guests[i];

    fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u\n", guest->domain.max_kib,
            guest->domain.config.guarantee_kib, guest->actual_kib, guest->used_kib,
            guest->domain.config.shares);
  }
  fclose(file);
}

int
main(int argc, char **argv)
{
  const CagmaPolicy *policy = argc > 4 ? cagma_policy_by_name(argv[1]) : NULL;
  gboolean fits = policy && !strcmp(argv[2], "fits");
  size_t n = policy ? strtoul(argv[3], NULL, 10) : 0, cycles = policy ? strtoul(argv[4], NULL, 10) : 0;
  size_t warm_up = cycles / 10, steps = 0;
  uint64_t allocated = 0, before;
  Bench bench = { 0 };
  int64_t *took_ns;

  if (!n || !cycles || (!fits && strcmp(argv[2], "short")))
    g_error("usage: decide POLICY fits|short DOMAINS CYCLES [FILE]");
  took_ns = g_new0(int64_t, cycles);
  set_up(&bench, policy, fits, n);
  pass_period(&bench);
  for (size_t cycle = 0; cycle < cycles + warm_up; cycle++) {
    int64_t ns;

    pass_period(&bench);
    before = allocations;
    ns = decide(&bench);
    if (cycle >= warm_up) {
      took_ns[cycle - warm_up] = ns;
      allocated += allocations - before;
      steps += bench.plan.n_steps;
    }
    carry_out(&bench);
  }
  qsort(took_ns, cycles, sizeof *took_ns, compare);
  printf("%" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %.1f\n", took_ns[cycles / 2], took_ns[cycles / 10],
         took_ns[cycles * 9 / 10], allocated, (double)steps / (double)cycles);
  if (argc > 5)
    write_figures(&bench, argv[5]);
  cagma_plan_clear(&bench.plan);
  g_free(took_ns);
  g_free(bench.guests);
  g_free(bench.host.domains);
  return 0;
}
