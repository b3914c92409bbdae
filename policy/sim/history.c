/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sim/history.h"

#include "policy/sim/scenario.h"
#include "policy/units.h"

/* Files' pages that count as page cache and can't be dropped (tmpfs) aren't available
 * either; what the kernel keeps of its cache for itself isn't more than this. */
#define KEPT_CACHE_KIB CAGMA_MIB(128)

static void
guest_free(gpointer data)
{
  CagmaHistoryGuest *guest = data;

  g_free(guest->id);
  g_free(guest->name);
  g_free(guest->windows);
  g_free(guest);
}

CagmaHistory *
cagma_history_new(void)
{
  CagmaHistory *history = g_new0(CagmaHistory, 1);

  history->window_us = CAGMA_SECOND_US;
  history->guests = g_ptr_array_new_with_free_func(guest_free);
  history->present = g_hash_table_new(g_str_hash, g_str_equal);
  return history;
}

void
cagma_history_free(CagmaHistory *history)
{
  if (!history)
    return;
  g_hash_table_unref(history->present);
  g_ptr_array_unref(history->guests);
  g_free(history);
}

uint64_t
cagma_history_requests(uint64_t swapped_in_kib, uint64_t swapped_out_kib, uint64_t reread_kib)
{
  return swapped_in_kib / 4 + swapped_out_kib / 128 + reread_kib / 16;
}

static void
merge(CagmaHistoryWindow *into, const CagmaHistoryWindow *a, const CagmaHistoryWindow *b)
{
  CagmaHistoryWindow both = *b;

  if (a->n) {
    both.at_us = b->n ? b->at_us : a->at_us;
    both.own_kib = cagma_max_kib(a->own_kib, b->own_kib);
    both.cached_kib = cagma_max_kib(a->cached_kib, b->cached_kib);
    both.swapped_kib = cagma_max_kib(a->swapped_kib, b->swapped_kib);
    both.least_swapped_kib =
        b->n ? cagma_min_kib(a->least_swapped_kib, b->least_swapped_kib) : a->least_swapped_kib;
  }
  both.n += a->n;
  both.swapped_in_kib += a->swapped_in_kib;
  both.swapped_out_kib += a->swapped_out_kib;
  both.reread_kib += a->reread_kib;
  *into = both;
}

static void
double_windows(CagmaHistory *history)
{
  static const CagmaHistoryWindow empty = { 0 };

  history->window_us *= 2;
  for (size_t i = 0; i < CAGMA_HISTORY_WINDOWS; i++) {
    gboolean filled = i < CAGMA_HISTORY_WINDOWS / 2;

    history->whole_kib[i] = filled ? history->whole_kib[2 * i] + history->whole_kib[2 * i + 1] : 0;
    history->n_whole[i] = filled ? history->n_whole[2 * i] + history->n_whole[2 * i + 1] : 0;
  }
  for (guint g = 0; g < history->guests->len; g++) {
    CagmaHistoryWindow *windows = ((CagmaHistoryGuest *)history->guests->pdata[g])->windows;

    for (size_t i = 0; i < CAGMA_HISTORY_WINDOWS / 2; i++)
      merge(&windows[i], &windows[2 * i], &windows[2 * i + 1]);
    for (size_t i = CAGMA_HISTORY_WINDOWS / 2; i < CAGMA_HISTORY_WINDOWS; i++)
      windows[i] = empty;
  }
}

static void
note_peaks(CagmaHistory *history, int64_t at_us)
{
  int64_t elapsed_us = at_us - history->rate_us;
  double per_s;

  if (elapsed_us < CAGMA_HISTORY_RATE_US)
    return;
  per_s = (double)CAGMA_SECOND_US / (double)elapsed_us;
  history->peak_requests_per_s = cagma_max_kib(
      history->peak_requests_per_s,
      (uint64_t)((double)cagma_history_requests(history->in_kib, history->out_kib, history->reread_kib) *
                 per_s));
  history->peak_kib_per_s =
      cagma_max_kib(history->peak_kib_per_s,
                    (uint64_t)((double)(history->in_kib + history->out_kib + history->reread_kib) * per_s));
  history->in_kib = history->out_kib = history->reread_kib = 0;
  history->rate_us = at_us;
}

static void
take_figures(CagmaHistoryGuest *guest, CagmaHistoryWindow *window, const CagmaSeen *seen, int64_t at_us)
{
  const CagmaDomain *domain = seen->domain;
  const CagmaSample *sample = seen->sample;
  uint64_t actual_kib = domain->used_kib + domain->available_kib;
  uint64_t swapped_kib = cagma_domain_swapped(domain), cached_kib = 0, held_kib = domain->used_kib;

  if (sample->has & CAGMA_HAS_UNUSED)
    cached_kib = cagma_above(domain->available_kib, domain->free_kib);
  if ((sample->has & CAGMA_HAS_UNUSED) && (sample->has & CAGMA_HAS_CACHES)) {
    cached_kib = cagma_min_kib(sample->caches_kib, cached_kib + KEPT_CACHE_KIB);
    held_kib = cagma_above(actual_kib, sample->unused_kib);
    held_kib = cagma_above(held_kib, cached_kib);
  }
  window->least_swapped_kib = window->n ? cagma_min_kib(window->least_swapped_kib, swapped_kib) : swapped_kib;
  window->n++;
  window->at_us = at_us;
  /* What a guest has in swap is its own word. */
  window->own_kib = cagma_max_kib(window->own_kib, cagma_min_kib(held_kib + swapped_kib, CAGMA_MAX_KIB));
  window->cached_kib = cagma_max_kib(window->cached_kib, cached_kib);
  window->swapped_kib = cagma_max_kib(window->swapped_kib, swapped_kib);
  guest->least_own_kib = guest->figures_us ? cagma_min_kib(guest->least_own_kib, held_kib) : held_kib;
  guest->figures_us = domain->figures_us;
}

/* What was counted since, by the same source. Counters that run backwards began anew. */
static uint64_t
flowed(uint64_t before_kib, uint64_t now_kib)
{
  return cagma_min_kib(cagma_above(now_kib, before_kib), CAGMA_MAX_KIB);
}

static void
take_counters(CagmaHistory *history, CagmaHistoryGuest *guest, CagmaHistoryWindow *window,
              const CagmaDomain *domain)
{
  uint32_t both = guest->counted == domain->source ? guest->has_counters & domain->has_counters : 0;

  if (both & CAGMA_HAS_SWAP) {
    uint64_t in_kib = flowed(guest->swap_in_kib, domain->swap_in_kib);
    uint64_t out_kib = flowed(guest->swap_out_kib, domain->swap_out_kib);

    window->swapped_in_kib += in_kib;
    window->swapped_out_kib += out_kib;
    history->in_kib += in_kib;
    history->out_kib += out_kib;
  }
  if (both & CAGMA_HAS_REFAULT) {
    uint64_t reread_kib = flowed(guest->refault_file_kib, domain->refault_file_kib);

    window->reread_kib += reread_kib;
    history->reread_kib += reread_kib;
  }
  guest->counted = domain->source;
  guest->has_counters = domain->has_counters;
  guest->swap_in_kib = domain->swap_in_kib;
  guest->swap_out_kib = domain->swap_out_kib;
  guest->refault_file_kib = domain->refault_file_kib;
}

static CagmaHistoryGuest *
guest_new(CagmaHistory *history, const CagmaSeen *seen, int64_t at_us)
{
  CagmaHistoryGuest *guest = g_new0(CagmaHistoryGuest, 1);
  const CagmaDomain *domain = seen->domain;

  guest->id = g_strdup(seen->id);
  guest->name = g_strdup(seen->name);
  guest->arrives_us = history->n_moments > 1 ? MAX(at_us, 1) : 0;
  guest->start_kib = domain->target_kib ? domain->target_kib : domain->has_actual ? domain->actual_kib : 0;
  guest->windows = g_new0(CagmaHistoryWindow, CAGMA_HISTORY_WINDOWS);
  g_ptr_array_add(history->guests, guest);
  g_hash_table_insert(history->present, guest->id, guest);
  return guest;
}

static gboolean
is_guest(const CagmaDomain *domain)
{
  return domain->managed && domain->config.mode == CAGMA_MODE_ENFORCE;
}

static void
see(CagmaHistory *history, CagmaHistoryGuest *guest, const CagmaSeen *seen, int64_t at_us)
{
  const CagmaDomain *domain = seen->domain;
  CagmaHistoryWindow *window = &guest->windows[at_us / history->window_us];

  guest->seen_us = at_us;
  guest->config = domain->config;
  guest->max_kib = domain->max_kib;
  guest->report_us = domain->report_period_us;
  guest->reported = guest->reported || domain->reported;
  guest->moved = guest->moved || domain->moves;
  if (domain->reported)
    guest->source = domain->source;
  if (seen->sample->has & CAGMA_HAS_VCPUS)
    guest->vcpus = seen->sample->vcpus;
  if (domain->has_swap_used)
    guest->swap_total_kib = domain->swap_total_kib;
  if (domain->has_figures && domain->figures_us != guest->figures_us)
    take_figures(guest, window, seen, at_us);
  take_counters(history, guest, window, domain);
}

/* Guests that aren't there any more have left. */
static gboolean
has_left(gpointer id, gpointer data, gpointer now_us)
{
  CagmaHistoryGuest *guest = data;
  int64_t at_us = *(const int64_t *)now_us;

  (void)id;
  if (guest->seen_us == at_us)
    return FALSE;
  guest->leaves_us = MAX(at_us, guest->arrives_us + 1);
  return TRUE;
}

void
cagma_history_add(CagmaHistory *history, int64_t at_us, const CagmaHost *host, int64_t in_hand_kib,
                  const CagmaSeen *seen, size_t n_seen)
{
  int64_t whole_kib = in_hand_kib + (int64_t)host->reserve_kib;
  size_t window;

  at_us = MAX(at_us, history->last_us);
  if (at_us >= CAGMA_SIM_DURATION_MAX_US) {
    history->cut = TRUE;
    return;
  }
  while (at_us / history->window_us >= CAGMA_HISTORY_WINDOWS)
    double_windows(history);
  window = (size_t)(at_us / history->window_us);
  note_peaks(history, at_us);
  history->last_us = at_us;
  history->n_moments++;
  history->host = *host;
  history->host.domains = NULL;
  history->host.n_domains = 0;

  for (size_t i = 0; i < n_seen; i++) {
    CagmaHistoryGuest *guest;

    if (!is_guest(seen[i].domain))
      continue;
    whole_kib += (int64_t)cagma_domain_charge(seen[i].domain);
    guest = g_hash_table_lookup(history->present, seen[i].id);
    if (!guest && history->guests->len >= CAGMA_SIM_GUESTS_MAX) {
      history->crowded = TRUE;
      continue;
    }
    see(history, guest ? guest : guest_new(history, &seen[i], at_us), &seen[i], at_us);
  }
  g_hash_table_foreach_remove(history->present, has_left, &at_us);
  if (whole_kib > 0) {
    history->whole_kib[window] += cagma_min_kib((uint64_t)whole_kib, CAGMA_MAX_KIB);
    history->n_whole[window]++;
  }
}
