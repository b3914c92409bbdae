/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The peers: what their originals did in recordings (originals/README.md) ours must do too,
 * to the KiB; the rest against numbers computed by hand from the originals' sources. */
#include <stdio.h>

#include "policy/sim/peer.h"
#include "policy/units.h"

#define GUESTS_MAX 8

typedef struct {
  const CagmaPeer *peer;
  gpointer memory;
  CagmaPeerHost host;
  CagmaPeerGuest guests[GUESTS_MAX];
  CagmaConfig configs[GUESTS_MAX];
} Table;

static void
end(Table *table)
{
  if (table->memory)
    table->peer->end(table->memory);
  table->memory = NULL;
}

static void
begin(Table *table, const char *peer)
{
  *table = (Table){ .peer = cagma_peer_by_name(peer) };
  g_assert_nonnull(table->peer);
  table->host.guests = table->guests;
}

static CagmaPeerGuest *
add(Table *table, uint64_t least_kib, uint64_t most_kib, uint64_t max_kib, uint32_t shares)
{
  size_t i = table->host.n_guests++;

  g_assert_cmpuint(i, <, GUESTS_MAX);
  table->configs[i] = (CagmaConfig){ .guarantee_kib = least_kib, .limit_kib = most_kib, .shares = shares };
  table->guests[i] = (CagmaPeerGuest){ .running = TRUE,
                                       .has_driver = TRUE,
                                       .config = &table->configs[i],
                                       .max_kib = max_kib,
                                       .sample = { .has = CAGMA_HAS_ACTUAL, .actual_kib = max_kib },
                                       .target_kib = max_kib };
  return &table->guests[i];
}

static void
decide(Table *table, int64_t now_us)
{
  if (!table->memory && table->peer->start)
    table->memory = table->peer->start(table->host.n_guests);
  table->peer->decide(table->memory, &table->host, now_us);
}

static void
tell(CagmaPeerGuest *guest, uint64_t unused_kib, uint64_t caches_kib, uint64_t swapped_kib)
{
  guest->sample.has |=
      CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES | CAGMA_HAS_SWAP | CAGMA_HAS_SWAP_USED | CAGMA_HAS_FAULTS;
  guest->sample.unused_kib = unused_kib;
  guest->sample.caches_kib = caches_kib;
  guest->sample.swap_used_kib = swapped_kib;
}

/* One guest's line; TRUE where the original changed its target. */
static gboolean
read_guest(CagmaPeerGuest *guest, const char *line, uint64_t *expected_kib)
{
  g_auto(GStrv) words = g_strsplit(line, " ", -1);
  uint64_t numbers[8];

  g_assert_cmpuint(g_strv_length(words), ==, G_N_ELEMENTS(numbers));
  for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
    numbers[i] = g_ascii_strtoull(words[i], NULL, 10);
  guest->running = numbers[0] != 0;
  guest->sample = (CagmaSample){ .has = CAGMA_HAS_ACTUAL, .actual_kib = numbers[1] };
  guest->reported_at_kib = numbers[2];
  if (!g_str_equal(words[3], "-"))
    tell(guest, numbers[3], numbers[4], numbers[5]);
  guest->target_kib = numbers[6];
  *expected_kib = numbers[7];
  return numbers[6] != numbers[7];
}

/* One moment: the lines behind it are its guests'. */
static guint
replay(Table *table, const char *path, char *const *lines, size_t at)
{
  uint64_t expected_kib[GUESTS_MAX] = { 0 }, ms;
  guint changes = 0;

  g_assert_cmpint(sscanf(lines[at],
                         "at %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                         " %" G_GUINT64_FORMAT,
                         &ms, &table->host.total_kib, &table->host.free_kib, &table->host.unclaimed_kib),
                  ==, 4);
  for (size_t i = 0; i < table->host.n_guests; i++)
    changes += read_guest(&table->guests[i], lines[at + 1 + i], &expected_kib[i]);
  decide(table, (int64_t)ms * 1000);
  for (size_t i = 0; i < table->host.n_guests; i++) {
    if (table->guests[i].target_kib != expected_kib[i])
      g_error("%s:%zu: set %" G_GUINT64_FORMAT " instead of %" G_GUINT64_FORMAT, path, at + 2 + i,
              table->guests[i].target_kib, expected_kib[i]);
  }
  return changes;
}

static void
test_recording(gconstpointer name)
{
  g_autofree char *file = g_strconcat((const char *)name, ".txt", NULL);
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, "originals", file, NULL);
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) lines = NULL;
  guint moments = 0, changes = 0;
  Table table;

  begin(&table, name);
  (void)g_file_get_contents(path, &text, NULL, &error);
  g_assert_no_error(error);
  lines = g_strsplit(text, "\n", -1);
  for (size_t at = 0; lines[at]; at++) {
    unsigned driver, shares;
    uint64_t least_kib, most_kib, max_kib;

    if (g_str_equal(lines[at], "start")) {
      end(&table);
      begin(&table, name);
    } else if (sscanf(lines[at],
                      "guest %u %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %u",
                      &driver, &least_kib, &most_kib, &max_kib, &shares) == 5) {
      add(&table, least_kib, most_kib, max_kib, shares)->has_driver = driver != 0;
    } else if (g_str_has_prefix(lines[at], "at ")) {
      changes += replay(&table, path, lines, at);
      at += table.host.n_guests;
      moments++;
    }
  }
  end(&table);
  g_test_message("%u moments, %u changes", moments, changes);
  /* Lest an empty or idle recording pass. */
  g_assert_cmpuint(moments, >=, 200);
  g_assert_cmpuint(changes, >=, 100);
}

static void
test_names(void)
{
  static const char *const names[] = { "none", "mom", "proxmox", "qubes", "squeezed" };

  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    g_assert_nonnull(cagma_peers[i]);
    g_assert_cmpstr(cagma_peers[i]->name, ==, names[i]);
    g_assert_true(cagma_peer_by_name(names[i]) == cagma_peers[i]);
    g_assert_cmpint(cagma_peers[i]->period_us, >, 0);
  }
  g_assert_null(cagma_peers[G_N_ELEMENTS(names)]);
  g_assert_null(cagma_peer_by_name("cagma"));
  g_assert_null(cagma_peer_by_name(""));
}

static void
test_none_leaves_all(void)
{
  Table table;

  begin(&table, "none");
  tell(add(&table, 0, 0, CAGMA_GIB(4), 1000), 0, 0, CAGMA_GIB(4));
  table.host.total_kib = CAGMA_GIB(8);
  table.host.free_kib = table.host.unclaimed_kib = CAGMA_GIB(4);
  for (int64_t s = 0; s < 100; s++) {
    decide(&table, s * CAGMA_SECOND_US);
    g_assert_cmpuint(table.guests[0].target_kib, ==, CAGMA_GIB(4));
  }
  end(&table);
}

/* Decides as often as the peer does, from this second to that. */
static void
run(Table *table, int64_t from_s, int64_t to_s)
{
  for (int64_t us = from_s * CAGMA_SECOND_US; us <= to_s * CAGMA_SECOND_US; us += table->peer->period_us)
    decide(table, us);
}

/* One guest of 1 000 000 KiB, on a host of 10 000 000. */
static void
test_mom_by_hand(void)
{
  static const struct {
    const char *what;
    uint64_t host_free, unused, least, most, target;
  } cases[] = {
    { "shrinks by 5 %", 1000000, 300000, 0, 4000000, 950000 },
    { "to used 870 000 and 10 %", 1000000, 130000, 0, 4000000, 970000 },
    { "not for 0.25 %", 1000000, 102500, 0, 4000000, 1000000 },
    { "not where it has less", 1000000, 80000, 0, 4000000, 1000000 },
    { "to its minimum", 1000000, 300000, 990000, 4000000, 990000 },
    { "below what it uses", 250000, 0, 0, 4000000, 975000 },
    { "not at 5 %", 500000, 0, 0, 4000000, 1000000 },
    { "grows by 5 %", 5000000, 300000, 0, 4000000, 1050000 },
    { "from 20 % on", 2000000, 300000, 0, 4000000, 1050000 },
    { "to used and 20 %", 5000000, 0, 0, 4000000, 1200000 },
    { "to its minimum", 5000000, 300000, 1300000, 4000000, 1300000 },
    { "to its maximum", 5000000, 0, 0, 1040000, 1040000 },
    { "not for 0.2 %", 5000000, 0, 0, 1002000, 1000000 },
    { "not above its maximum", 5000000, 0, 0, 900000, 1000000 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaPeerGuest *guest;
    Table table;

    g_test_message("%s", cases[i].what);
    begin(&table, "mom");
    table.host.total_kib = 10000000;
    table.host.free_kib = cases[i].host_free;
    guest = add(&table, cases[i].least, cases[i].most, 4000000, 1000);
    guest->sample.actual_kib = guest->target_kib = 1000000;
    tell(guest, cases[i].unused, 0, 0);
    run(&table, 0, 5);
    g_assert_cmpuint(guest->target_kib, ==, 1000000);
    run(&table, 10, 10);
    g_assert_cmpuint(guest->target_kib, ==, cases[i].target);
    end(&table);
  }
}

/* 300 000 KiB of free memory once, then none. Of three samples it is a third, and it
 * leaves the mean after ten. */
static void
test_mom_remembers_ten(void)
{
  CagmaPeerGuest *guest;
  Table table;

  begin(&table, "mom");
  table.host.total_kib = 10000000;
  table.host.free_kib = 5000000;
  guest = add(&table, 0, 0, 4000000, 1000);
  guest->sample.actual_kib = guest->target_kib = 1000000;
  tell(guest, 300000, 0, 0);
  run(&table, 0, 0);
  guest->sample.unused_kib = 0;
  run(&table, 5, 10);
  g_assert_cmpuint(guest->target_kib, ==, 1100000);
  run(&table, 15, 40);
  /* 300 000 / 9. */
  g_assert_cmpuint(guest->target_kib, ==, 1166666);
  run(&table, 45, 50);
  g_assert_cmpuint(guest->target_kib, ==, 1200000);

  /* Another guest in its place has no past. */
  guest->running = FALSE;
  run(&table, 55, 55);
  guest->running = TRUE;
  guest->sample.unused_kib = 100000;
  run(&table, 60, 60);
  g_assert_cmpuint(guest->target_kib, ==, 1100000);
  end(&table);
}

/* Two guests with 2000 and 1000 shares, minimum 1000 MiB, on a host of 10 000 MiB. */
static void
test_proxmox_by_hand(void)
{
  static const struct {
    const char *what;
    uint64_t host_free, size[2], unused[2], target[2];
  } cases[] = {
    { "90 MiB by shares", 2090, { 1000, 1000 }, { 0, 0 }, { 1060, 1030 } },
    { "10 MiB aren't worth it", 2010, { 1000, 1000 }, { 0, 0 }, { 1000, 1000 } },
    { "12 MiB are", 2012, { 1000, 1000 }, { 0, 0 }, { 1008, 1004 } },
    { "nor less 10 MiB", 1990, { 1300, 1300 }, { 0, 0 }, { 1300, 1300 } },
    { "in steps of 100 MiB", 8000, { 1000, 1000 }, { 0, 0 }, { 1100, 1100 } },
    { "above 250 MiB free it is relaxed", 2060, { 1000, 1000 }, { 251, 250 }, { 1000, 1060 } },
    { "the relaxed shrinks first", 1940, { 1300, 1300 }, { 251, 250 }, { 1240, 1300 } },
    /* pot = 600 − 60: fair would be 1360 and 1180, so that the second gives it all. */
    { "nobody relaxed: all do", 1940, { 1300, 1300 }, { 0, 0 }, { 1300, 1240 } },
    { "not below the minimum", 1000, { 1030, 1000 }, { 300, 300 }, { 1000, 1000 } },
    /* pot = 600 + 30: fair would be 1420 and 1210, whatever is to be given. */
    { "grows one, shrinks the other", 2030, { 1300, 1300 }, { 0, 0 }, { 1400, 1210 } },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Table table;

    g_test_message("%s", cases[i].what);
    begin(&table, "proxmox");
    table.host.total_kib = CAGMA_MIB(10000);
    table.host.free_kib = CAGMA_MIB(cases[i].host_free);
    for (size_t k = 0; k < 2; k++) {
      CagmaPeerGuest *guest = add(&table, CAGMA_MIB(1000), 0, CAGMA_MIB(2000), k ? 1000 : 2000);

      guest->sample.actual_kib = guest->target_kib = CAGMA_MIB(cases[i].size[k]);
      tell(guest, CAGMA_MIB(cases[i].unused[k]), 0, 0);
    }
    decide(&table, 0);
    for (size_t k = 0; k < 2; k++)
      g_assert_cmpuint(table.guests[k].target_kib, ==, CAGMA_MIB(cases[i].target[k]));
    end(&table);
  }
}

/* A guest that says it uses so much. Swapped tells it by counters. */
static void
use(CagmaPeerGuest *guest, uint64_t used_kib, gboolean swapped)
{
  uint64_t size_kib = guest->sample.actual_kib;

  guest->sample.has |= CAGMA_HAS_UNUSED | CAGMA_HAS_CACHES | CAGMA_HAS_SWAP;
  guest->sample.swap_in_kib = 7000;
  guest->sample.swap_out_kib = 7000 + (swapped ? 1000 : 0);
  guest->sample.unused_kib = 5000;
  guest->sample.caches_kib = size_kib - 5000 - used_kib + (swapped ? 1000 : 0);
}

/* When the guest's meminfo-writer writes: whether 1 GiB that has meanwhile become free is
 * given out. */
static void
test_qubes_hears_what_is_written(void)
{
  static const struct {
    const char *what;
    uint64_t size, before, now;
    gboolean swapped, heard;
  } cases[] = {
    { "30 000 more", 1300000, 500000, 530000, FALSE, FALSE },
    { "30 001 more", 1300000, 500000, 530001, FALSE, TRUE },
    { "30 001 more, some of it swapped out", 1300000, 500000, 530001, TRUE, TRUE },
    { "30 000 more, some of it swapped out", 1300000, 500000, 530000, TRUE, FALSE },
    { "30 000 less", 1300000, 500000, 470000, FALSE, FALSE },
    { "30 001 less", 1300000, 500000, 469999, FALSE, TRUE },
    { "15 001 more, nearly full", 1300000, 990009, 1005010, FALSE, TRUE },
    { "15 000 more, nearly full", 1300000, 990010, 1005010, FALSE, FALSE },
    { "15 001 more, just not nearly full", 1300000, 985008, 1000009, FALSE, FALSE },
    { "15 001 more, just nearly full", 1300000, 985009, 1000010, FALSE, TRUE },
    { "20 000 less, nearly full", 1300000, 1040000, 1020000, FALSE, FALSE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    uint64_t target_kib;
    CagmaPeerGuest *guest;
    Table table;

    g_test_message("%s", cases[i].what);
    begin(&table, "qubes");
    table.host.unclaimed_kib = CAGMA_MIB(50);
    guest = add(&table, 0, 0, CAGMA_GIB(64), 1000);
    guest->sample.actual_kib = guest->target_kib = cases[i].size;
    use(guest, cases[i].before, FALSE);
    decide(&table, 0);
    target_kib = guest->target_kib;
    table.host.unclaimed_kib += CAGMA_GIB(1);
    decide(&table, CAGMA_SECOND_US);
    g_assert_cmpuint(guest->target_kib, ==, target_kib);
    use(guest, cases[i].now, cases[i].swapped);
    decide(&table, 2 * CAGMA_SECOND_US);
    g_assert_cmpint(guest->target_kib > target_kib, ==, cases[i].heard);
    end(&table);
  }
}

/* What it says counts at the size it had when it said it, not at the size it has now. */
static void
test_qubes_takes_reports_as_they_were(void)
{
  CagmaPeerGuest *guest;
  uint64_t target_kib;
  Table table;

  begin(&table, "qubes");
  table.host.unclaimed_kib = CAGMA_GIB(1);
  guest = add(&table, 0, 0, CAGMA_GIB(64), 1000);
  guest->sample.actual_kib = guest->target_kib = guest->reported_at_kib = 2000000;
  use(guest, 500000, FALSE);
  decide(&table, 0);
  target_kib = guest->target_kib;
  g_assert_cmpuint(target_kib, >, 2000000);
  /* Its balloon has moved, and it hasn't said anything since. */
  guest->sample.actual_kib = target_kib;
  decide(&table, CAGMA_SECOND_US);
  g_assert_cmpuint(guest->target_kib, ==, target_kib);
  /* Nor anything new. */
  table.host.unclaimed_kib += CAGMA_GIB(1);
  guest->reported_at_kib = target_kib;
  use(guest, 500000, FALSE);
  decide(&table, 2 * CAGMA_SECOND_US);
  g_assert_cmpuint(guest->target_kib, ==, target_kib);
  /* The same figures at another size are another report. */
  guest->reported_at_kib += 30001;
  decide(&table, 3 * CAGMA_SECOND_US);
  g_assert_cmpuint(guest->target_kib, >, target_kib);
  end(&table);
}

/* One guest of 1 000 000 KiB that prefers 650 000: of what is free beyond 50 MiB it gets all,
 * less a thousandth of that and of itself. */
static void
test_qubes_moves_nothing_small(void)
{
  static const struct {
    uint64_t beyond_mib;
    gboolean moves;
  } cases[] = {
    { 75, FALSE }, /* 75 MiB and 74 */
    { 76, TRUE },  /* 76 and 75 */
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    CagmaPeerGuest *guest;
    Table table;

    begin(&table, "qubes");
    table.host.unclaimed_kib = CAGMA_MIB(50 + cases[i].beyond_mib) * 100781 / 100000 + 1;
    guest = add(&table, 0, 0, 4000000, 1000);
    guest->sample.actual_kib = guest->target_kib = 1000000;
    use(guest, 500000, FALSE);
    decide(&table, 0);
    g_assert_cmpint(guest->target_kib > 1070000, ==, cases[i].moves);
    end(&table);
  }
}

/* Where there isn't enough, who has 10 MiB more than the 650 000 KiB he prefers, gives. Xen
 * has 34.2 MiB free: so little that anything is worth it, and 45 with what is given. */
static void
test_qubes_takes_nothing_small(void)
{
  for (uint64_t surplus_mib = 9; surplus_mib <= 11; surplus_mib += 2) {
    uint64_t size_kib = 650000 + CAGMA_MIB(surplus_mib);
    CagmaPeerGuest *taker, *donor;
    Table table;

    begin(&table, "qubes");
    table.host.unclaimed_kib = CAGMA_MIB(69) / 2;
    taker = add(&table, 0, 0, 4000000, 1000);
    taker->sample.actual_kib = taker->target_kib = 1000000;
    tell(taker, 0, 0, 500000);
    donor = add(&table, 0, 0, 4000000, 1000);
    donor->sample.actual_kib = donor->target_kib = size_kib;
    tell(donor, 0, size_kib - 500000, 0);
    decide(&table, 0);
    g_assert_cmpuint(donor->target_kib, ==, surplus_mib < 10 ? size_kib : 650000);
    end(&table);
  }
}

/* A holds 2 000 000 KiB, prefers 650 000 and gives nothing; B holds 500 000 and prefers
 * 1 300 000. */
static void
begin_stuck(Table *table)
{
  begin(table, "qubes");
  table->host.unclaimed_kib = CAGMA_MIB(60);
  for (size_t i = 0; i < 2; i++) {
    CagmaPeerGuest *guest = add(table, 0, 0, 4000000, 1000);

    guest->sample.actual_kib = guest->target_kib = i ? 500000 : 2000000;
    tell(guest, 0, i ? 0 : 1500000, i ? 500000 : 0);
  }
}

static void
test_qubes_gives_up_on_the_stuck(void)
{
  uint64_t asked_kib;
  Table table;

  begin_stuck(&table);
  decide(&table, 0);
  asked_kib = table.guests[0].target_kib;
  g_assert_cmpuint(asked_kib, <, 900000);
  for (int64_t ms = 50; ms < 500; ms += 50) {
    decide(&table, ms * 1000);
    g_assert_cmpuint(table.guests[1].target_kib, ==, 500000);
  }
  /* The fifth wait is over: 500 000 + 61 440 / 1.00781 − 51 200. */
  decide(&table, 500000);
  g_assert_cmpuint(table.guests[1].target_kib, ==, 509763);

  /* A is left out until it has given, though more has become free. */
  table.host.unclaimed_kib = CAGMA_MIB(260);
  table.guests[1].sample.actual_kib = 509763;
  table.guests[1].sample.swap_used_kib = 540000;
  decide(&table, CAGMA_SECOND_US);
  g_assert_cmpuint(table.guests[0].target_kib, ==, asked_kib);
  g_assert_cmpuint(table.guests[1].target_kib, >, 509763 + CAGMA_MIB(190));
  table.guests[0].sample.actual_kib = asked_kib + CAGMA_MIB(25);
  table.guests[1].sample.actual_kib = table.guests[1].target_kib;
  table.guests[1].sample.swap_used_kib = 600000;
  decide(&table, 2 * CAGMA_SECOND_US);
  g_assert_cmpuint(table.guests[0].target_kib, !=, asked_kib);
  end(&table);
}

/* B is given what it is to get once that leaves 45 MiB. */
static void
test_qubes_waits_for_room(void)
{
  uint64_t wanted_kib;
  Table table;

  begin_stuck(&table);
  decide(&table, 0);
  table.host.unclaimed_kib = CAGMA_GIB(4);
  decide(&table, 100000);
  wanted_kib = table.guests[1].target_kib;
  g_assert_cmpuint(wanted_kib, >, 1000000);
  end(&table);

  for (guint enough = 0; enough <= 1; enough++) {
    uint64_t left_kib = CAGMA_MIB(45) + (enough ? 16 : 0) - 8;

    begin_stuck(&table);
    decide(&table, 0);
    table.host.unclaimed_kib = (wanted_kib - 500000 + left_kib) * 100781 / 100000;
    decide(&table, 100000);
    g_assert_cmpuint(table.guests[1].target_kib, ==, enough ? wanted_kib : 500000);
    end(&table);
  }
}

/* Who was left out for giving nothing isn't left out when he is short himself. */
static void
test_qubes_readmits_the_short(void)
{
  uint64_t asked_kib;
  Table table;

  begin_stuck(&table);
  for (int64_t ms = 0; ms <= 500; ms += 100)
    decide(&table, ms * 1000);
  asked_kib = table.guests[0].target_kib;
  table.host.unclaimed_kib = CAGMA_MIB(260);
  table.guests[0].sample.caches_kib = 300000;
  decide(&table, CAGMA_SECOND_US);
  g_assert_cmpuint(table.guests[0].target_kib, >, 2000000);
  g_assert_cmpuint(asked_kib, <, 900000);
  end(&table);
}

/* B has 30 MiB, and Xen nothing: 0 + 30 − 50 MiB is no size. */
static void
test_qubes_asks_for_no_less_than_nothing(void)
{
  Table table;

  begin_stuck(&table);
  table.host.unclaimed_kib = 0;
  table.guests[1].sample.actual_kib = table.guests[1].target_kib = CAGMA_MIB(30);
  for (int64_t ms = 0; ms <= 1000; ms += 100)
    decide(&table, ms * 1000);
  g_assert_cmpuint(table.guests[0].target_kib, <, 1000000);
  g_assert_cmpuint(table.guests[1].target_kib, ==, CAGMA_MIB(30));
  end(&table);
}

/* Whom it waits to give to goes: nobody is asked for anything in its name. */
static void
test_qubes_outlives_whom_it_waits_for(void)
{
  Table table;

  begin_stuck(&table);
  decide(&table, 0);
  table.guests[1].running = FALSE;
  for (int64_t ms = 100; ms <= 1000; ms += 100)
    decide(&table, ms * 1000);
  g_assert_cmpuint(table.guests[1].target_kib, ==, 500000);
  end(&table);
}

/* 1 000 000 KiB beyond 72 MiB, ranges of 1 000 000 and 3 000 000: a quarter of each. */
static void
test_squeezed_by_hand(void)
{
  Table table;

  begin(&table, "squeezed");
  table.host.unclaimed_kib = 1000000 + CAGMA_MIB(72);
  for (size_t i = 0; i < 2; i++) {
    CagmaPeerGuest *guest = add(&table, 1000000, 0, i ? 4000000 : 2000000, 1000);

    guest->sample.actual_kib = guest->target_kib = 1000000;
  }
  run(&table, 0, 9);
  g_assert_cmpuint(table.guests[0].target_kib, ==, 1000000);
  run(&table, 10, 10);
  g_assert_cmpuint(table.guests[0].target_kib, ==, 1250000);
  g_assert_cmpuint(table.guests[1].target_kib, ==, 1750000);
  end(&table);
}

/* A has 2 000 000 KiB, a range of 1 000 000, and doesn't move; B 1 000 000, and a range of
 * 2 000 000; C 1 500 000, and a range of 1 000 000. With all three γ is
 * (999 992 + 499 992) / 4 000 000. Once A is counted out, B and C get 499 992 / 3 000 000. */
static void
test_squeezed_counts_out_the_stuck(void)
{
  static const uint64_t sizes[] = { 2000000, 1000000, 1500000 }, most[] = { 2000000, 3000000, 2000000 };
  Table table;

  begin(&table, "squeezed");
  table.host.unclaimed_kib = CAGMA_MIB(72);
  for (size_t i = 0; i < 3; i++) {
    CagmaPeerGuest *guest = add(&table, 1000000, 0, most[i], 1000);

    guest->sample.actual_kib = guest->target_kib = sizes[i];
  }
  run(&table, 0, 10);
  g_assert_cmpuint(table.guests[0].target_kib, ==, 1374996);
  g_assert_cmpuint(table.guests[1].target_kib, ==, 1000000);
  g_assert_cmpuint(table.guests[2].target_kib, ==, 1374996);
  /* C gives what it is asked for. */
  table.guests[2].sample.actual_kib = 1374996;
  table.host.unclaimed_kib += 125004;
  run(&table, 11, 15);
  g_assert_cmpuint(table.guests[2].target_kib, ==, 1374996);
  /* 6 s: A is asked to be what it was asked to be; C gives more, then B gets it. */
  run(&table, 16, 16);
  g_assert_cmpuint(table.guests[0].target_kib, ==, 1374996);
  g_assert_cmpuint(table.guests[1].target_kib, ==, 1000000);
  g_assert_cmpuint(table.guests[2].target_kib, ==, 1166664);
  table.host.unclaimed_kib += 1374996 - 1166664;
  table.guests[2].sample.actual_kib = 1166664;
  run(&table, 17, 17);
  g_assert_cmpuint(table.guests[1].target_kib, ==, 1333328);
  /* A gives 100 000 KiB and B takes as much: A is back in, and as long as it is to give,
   * nobody is to take. γ is 1 499 976 / 4 000 000. */
  table.guests[0].sample.actual_kib -= 100000;
  table.guests[1].sample.actual_kib += 100000;
  run(&table, 18, 18);
  g_assert_cmpuint(table.guests[0].target_kib, ==, 1374994);
  g_assert_cmpuint(table.guests[1].target_kib, ==, 1333328);
  g_assert_cmpuint(table.guests[2].target_kib, ==, 1166664);
  /* It stops again: at 23 s it isn't yet out, at 24 s it is. */
  for (int64_t s = 19; s <= 23; s++) {
    table.guests[1].sample.actual_kib += 10;
    run(&table, s, s);
    g_assert_cmpuint(table.guests[1].target_kib, ==, 1333328);
  }
  table.guests[1].sample.actual_kib += 10;
  run(&table, 24, 24);
  g_assert_cmpuint(table.guests[1].target_kib, >, 1333328);
  /* Another guest in its place is in. */
  table.guests[0].running = FALSE;
  table.guests[1].sample.actual_kib += 10;
  run(&table, 25, 25);
  table.guests[0].running = TRUE;
  table.guests[1].sample.actual_kib += 10;
  run(&table, 26, 26);
  g_assert_cmpuint(table.guests[0].target_kib, >, 1440000);
  end(&table);
}

static uint64_t
any_bits(void)
{
  return ((uint64_t)(guint32)g_test_rand_int() << 32 | (guint32)g_test_rand_int()) >>
         g_test_rand_int_range(0, 64);
}

/* Whatever guests say, nobody is asked for more than he can be. */
static void
test_survives_nonsense(gconstpointer name)
{
  Table table;
  int64_t now_us = 0;

  begin(&table, name);
  for (size_t i = 0; i < GUESTS_MAX; i++)
    add(&table, CAGMA_MIB(64) * i, CAGMA_MIB(512), CAGMA_MIB(600), i % 3 * 1000);
  for (guint round = 0; round < 20000; round++) {
    table.host.total_kib = any_bits();
    table.host.free_kib = any_bits();
    table.host.unclaimed_kib = any_bits();
    for (size_t i = 0; i < GUESTS_MAX; i++) {
      CagmaPeerGuest *guest = &table.guests[i];

      guest->running = g_test_rand_int_range(0, 10) > 0;
      guest->sample = (CagmaSample){ .has = (uint32_t)g_test_rand_int(),
                                     .actual_kib = any_bits(),
                                     .unused_kib = any_bits(),
                                     .caches_kib = any_bits(),
                                     .swap_in_kib = any_bits(),
                                     .swap_out_kib = any_bits(),
                                     .swap_used_kib = any_bits() };
      guest->reported_at_kib = any_bits();
    }
    decide(&table, now_us);
    for (size_t i = 0; i < GUESTS_MAX; i++)
      g_assert_cmpuint(table.guests[i].target_kib, <=, CAGMA_MIB(600));
    now_us += g_test_rand_int_range(0, 12000000);
  }
  end(&table);
}

int
main(int argc, char **argv)
{
  static const char *const recorded[] = { "mom", "proxmox", "qubes", "squeezed" };

  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/peers/names", test_names);
  g_test_add_func("/peers/none/leaves-all", test_none_leaves_all);
  g_test_add_func("/peers/mom/by-hand", test_mom_by_hand);
  g_test_add_func("/peers/mom/remembers-ten", test_mom_remembers_ten);
  g_test_add_func("/peers/proxmox/by-hand", test_proxmox_by_hand);
  g_test_add_func("/peers/qubes/hears-what-is-written", test_qubes_hears_what_is_written);
  g_test_add_func("/peers/qubes/takes-reports-as-they-were", test_qubes_takes_reports_as_they_were);
  g_test_add_func("/peers/qubes/moves-nothing-small", test_qubes_moves_nothing_small);
  g_test_add_func("/peers/qubes/takes-nothing-small", test_qubes_takes_nothing_small);
  g_test_add_func("/peers/qubes/waits-for-room", test_qubes_waits_for_room);
  g_test_add_func("/peers/qubes/readmits-the-short", test_qubes_readmits_the_short);
  g_test_add_func("/peers/qubes/gives-up-on-the-stuck", test_qubes_gives_up_on_the_stuck);
  g_test_add_func("/peers/qubes/asks-for-no-less-than-nothing", test_qubes_asks_for_no_less_than_nothing);
  g_test_add_func("/peers/qubes/outlives-whom-it-waits-for", test_qubes_outlives_whom_it_waits_for);
  g_test_add_func("/peers/squeezed/by-hand", test_squeezed_by_hand);
  g_test_add_func("/peers/squeezed/counts-out-the-stuck", test_squeezed_counts_out_the_stuck);
  for (size_t i = 0; i < G_N_ELEMENTS(recorded); i++) {
    g_autofree char *as_recorded = g_strconcat("/peers/", recorded[i], "/as-recorded", NULL);
    g_autofree char *nonsense = g_strconcat("/peers/", recorded[i], "/survives-nonsense", NULL);

    g_test_add_data_func(as_recorded, recorded[i], test_recording);
    g_test_add_data_func(nonsense, recorded[i], test_survives_nonsense);
  }
  return g_test_run();
}
