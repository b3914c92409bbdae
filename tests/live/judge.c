/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"

/* How long what held before may still be followed: "a change takes effect within two
 * periods". */
#define GRACE_US (2 * PERIOD_US)

#define PAGE_KIB 4
/* Looked for ten times a second and not found for so long, a domain isn't there. */
#define ABSENT_US G_USEC_PER_SEC

/* The log. */

/* "2026-11-21 13:03:44.380+0000: …", in UTC. 0: no such line. */
static int64_t
time_of(const char *line)
{
  g_autoptr(GDateTime) when = NULL;
  int year, month, day, hour, minute, second, ms;

  if (sscanf(line, "%4d-%2d-%2d %2d:%2d:%2d.%3d+0000:", &year, &month, &day, &hour, &minute, &second, &ms) !=
      7)
    return 0;
  when = g_date_time_new_utc(year, month, day, hour, minute, second);
  return when ? g_date_time_to_unix(when) * G_USEC_PER_SEC + ms * 1000 : 0;
}

static Guest *
guest_of(Bed *bed, const char *line)
{
  for (guint i = 0; i < bed->guests->len; i++) {
    Guest *guest = bed->guests->pdata[i];
    g_autofree char *name = g_strdup_printf("(VM: name=%s, ", guest->name);

    if (strstr(line, name))
      return guest;
  }
  return NULL;
}

static void
read_line(Bed *bed, const char *line)
{
  const char *memory = strstr(line, ", memory=");
  Call call = { time_of(line), guest_of(bed, line), 0 };
  unsigned int flags = 0;

  if (!call.at_us)
    return;
  if (strstr(line, " virDomainSetMaxMemory:"))
    g_error("nobody sets the maximum: %s", line);
  if (!strstr(line, " virDomainSetMemory:") && !strstr(line, " virDomainSetMemoryFlags:"))
    return;
  /* The one without flags is logged by the one with them too, in the driver or client. */
  if (!memory || sscanf(memory, ", memory=%" SCNu64 ", flags=%x", &call.kib, &flags) != 2)
    g_error("a call of another kind: %s", line);
  if (!call.guest)
    g_error("not a guest of ours: %s", line);
  if (flags != VIR_DOMAIN_AFFECT_LIVE)
    g_error("only the live size is to be set: %s", line);
  g_array_append_val(bed->calls, call);
}

static char *
read_log(Bed *bed, long offset)
{
  g_autofree char *path = g_build_filename(bed->dir, "log", "libvirtd.log", NULL);
  FILE *file = fopen(path, "re");
  GString *text = g_string_new(NULL);
  char buffer[65536];
  size_t n;

  g_assert_nonnull(file);
  g_assert_cmpint(fseek(file, offset, SEEK_SET), ==, 0);
  while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
    g_string_append_len(text, buffer, (gssize)n);
  fclose(file);
  return g_string_free(text, FALSE);
}

void
judge_read(Bed *bed)
{
  g_autofree char *text = read_log(bed, bed->log_offset);
  char *line = text;

  /* The last line may not be all there yet. */
  for (char *end = strchr(line, '\n'); end; line = end + 1, end = strchr(line, '\n')) {
    *end = '\0';
    read_line(bed, line);
    bed->log_offset += end + 1 - line;
  }
}

int64_t
judge_configured_us(Guest *guest)
{
  g_autofree char *text = read_log(guest->bed, 0);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  int64_t at_us = 0;

  for (char **line = lines; *line; line++)
    if (strstr(*line, " virDomainSetMetadata:") && strstr(*line, "uri='urn:cagma:memory:1'") &&
        guest_of(guest->bed, *line) == guest)
      at_us = time_of(*line);
  g_assert_cmpint(at_us, >, 0);
  return at_us;
}

/* What held at a time: the loosest of what was said within the grace. */

typedef struct {
  gboolean may_be_set;
  gboolean in_full;
  uint64_t guarantee_kib;
  uint64_t limit_kib;
} Hold;

static Hold
hold_at(Guest *guest, int64_t at_us, int64_t grace_us)
{
  Hold hold = { FALSE, TRUE, G_MAXUINT64, 0 };

  for (guint i = 0; i < guest->terms->len; i++) {
    const Terms *terms = &g_array_index(guest->terms, Terms, i);
    int64_t until_us =
        i + 1 < guest->terms->len ? g_array_index(guest->terms, Terms, i + 1).from_us : G_MAXINT64;

    if (terms->from_us > at_us || until_us <= at_us - grace_us)
      continue;
    hold.may_be_set = hold.may_be_set || terms->kind == TERMS_BALANCED;
    hold.in_full = hold.in_full && terms->kind == TERMS_OUTSIDE;
    hold.guarantee_kib = MIN(hold.guarantee_kib, terms->guarantee_kib);
    hold.limit_kib = MAX(hold.limit_kib, terms->limit_kib);
  }
  return hold;
}

static uint64_t
capacity_at(Bed *bed, int64_t at_us)
{
  uint64_t most_kib = 0;

  for (guint i = 0; i < bed->capacities->len; i++) {
    const Capacity *capacity = &g_array_index(bed->capacities, Capacity, i);
    int64_t until_us =
        i + 1 < bed->capacities->len ? g_array_index(bed->capacities, Capacity, i + 1).from_us : G_MAXINT64;

    if (capacity->from_us <= at_us && until_us > at_us - GRACE_US)
      most_kib = MAX(most_kib, capacity->kib);
  }
  return most_kib;
}

/* Between which two sizes the guest's was at a time. A balloon moves one way at a time, so
 * it was between what was seen last before, and next after. */
static void
size_at(Guest *guest, int64_t at_us, uint64_t *least_kib, uint64_t *most_kib)
{
  Sighting before, after;
  gboolean has_before = watch_before(guest->watch, at_us, &before);
  gboolean has_after = watch_after(guest->watch, at_us, &after);

  if (!has_before && !has_after) {
    *least_kib = *most_kib = guest->memory_kib;
    return;
  }
  if (!has_before)
    before = after;
  if (!has_after)
    after = before;
  *least_kib = MIN(before.actual_kib, after.actual_kib);
  *most_kib = MAX(before.actual_kib, after.actual_kib);
}

static gboolean
has_reported_by(Guest *guest, int64_t at_us)
{
  Sighting after;

  return (watch_after(guest->watch, at_us, &after) || watch_last(guest->watch, &after)) &&
         after.last_update_s && (int64_t)(after.last_update_s + 1) * G_USEC_PER_SEC > guest->rebooted_us;
}

/* The least the hypervisor allowed it around a time; 0: it enforces nothing. */
static uint64_t
cap_at(Guest *guest, int64_t at_us)
{
  Sighting before, after;

  if (!watch_before(guest->watch, at_us, &before))
    return watch_after(guest->watch, at_us, &after) ? after.cap_kib : 0;
  return watch_after(guest->watch, at_us, &after) ? MIN(before.cap_kib, after.cap_kib) : before.cap_kib;
}

/* On Xen a reboot ends the domain, and begins another one: its memory is the host's in between. */
static gboolean
is_between_domains(Guest *guest, int64_t at_us)
{
  Sighting before, after;
  int64_t until_us = at_us;

  if (!guest->rebooted_us || at_us < guest->rebooted_us || (guest->back_us && at_us >= guest->back_us) ||
      !watch_before(guest->watch, at_us, &before))
    return FALSE;
  if (watch_after(guest->watch, at_us, &after))
    until_us = after.asked_us;
  return before.cap_kib && until_us - before.told_us > ABSENT_US;
}

/* What it must be taken to hold, at least, whatever cagmad thinks. */
static uint64_t
held_at(Guest *guest, int64_t at_us, int64_t grace_us)
{
  uint64_t least_kib, most_kib, cap_kib = cap_at(guest, at_us), asked_kib = guest->asked_kib;

  if (at_us < guest->started_us || at_us >= guest->ended_us || is_between_domains(guest, at_us))
    return 0;
  if (!cap_kib && (hold_at(guest, at_us, grace_us).in_full || !has_reported_by(guest, at_us)))
    return guest->memory_kib;
  /* A cap is of whole pages, rounded down. */
  if (cap_kib)
    asked_kib -= asked_kib % PAGE_KIB;
  size_at(guest, at_us, &least_kib, &most_kib);
  return MIN(MAX(MAX(least_kib, cap_kib), asked_kib), guest->memory_kib);
}

uint64_t
judge_held_kib(Bed *bed)
{
  int64_t now_us = g_get_real_time();
  uint64_t held_kib = 0;

  judge(bed);
  for (guint i = 0; i < bed->guests->len; i++)
    held_kib += held_at(bed->guests->pdata[i], now_us, 0);
  return held_kib;
}

/* Judging. */

static void
judge_in_hand(Bed *bed, const Call *call)
{
  uint64_t capacity_kib = capacity_at(bed, call->at_us), sum_kib = call->kib;
  g_autoptr(GString) account = g_string_new(NULL);

  for (guint i = 0; i < bed->guests->len; i++) {
    Guest *guest = bed->guests->pdata[i];
    uint64_t held_kib = held_at(guest, call->at_us, GRACE_US);

    if (guest == call->guest)
      continue;
    sum_kib += held_kib;
    g_string_append_printf(account, " %s %" PRIu64, guest->name, held_kib);
  }
  if (sum_kib > capacity_kib)
    g_error("In hand: %s set to %" PRIu64 " KiB, the others hold%s: together %" PRIu64 " of %" PRIu64 " KiB",
            call->guest->name, call->kib, account->str, sum_kib, capacity_kib);
}

static void
judge_call(Bed *bed, const Call *call)
{
  Guest *guest = call->guest;
  Hold hold = hold_at(guest, call->at_us, GRACE_US);
  uint64_t least_kib, most_kib;

  size_at(guest, call->at_us, &least_kib, &most_kib);
  if (bed->dry_run)
    g_error("Dry run: %s set to %" PRIu64 " KiB", guest->name, call->kib);
  if (!hold.may_be_set)
    g_error("Hands: %s set to %" PRIu64 " KiB", guest->name, call->kib);
  if (call->kib > MIN(hold.limit_kib, guest->memory_kib))
    g_error("Limit: %s set to %" PRIu64 " KiB, above its limit of %" PRIu64, guest->name, call->kib,
            hold.limit_kib);
  if (call->kib < hold.guarantee_kib && call->kib < least_kib)
    g_error("Floor: %s set to %" PRIu64 " KiB, below its guarantee of %" PRIu64, guest->name, call->kib,
            hold.guarantee_kib);
  if (call->kib > MAX(most_kib, guest->asked_kib))
    judge_in_hand(bed, call);
  guest->asked_kib = call->kib;
}

/* True sizes: below its guarantee no guest gets smaller. */
static void
judge_sightings(Guest *guest)
{
  Sighting sighting;

  for (; watch_nth(guest->watch, guest->sightings_judged, &sighting); guest->sightings_judged++) {
    Hold hold = hold_at(guest, sighting.told_us, GRACE_US);

    if (hold.may_be_set && sighting.actual_kib < hold.guarantee_kib &&
        sighting.actual_kib < guest->actual_before_kib)
      g_error("Floor: %s shrank to %" PRIu64 " KiB, below its guarantee of %" PRIu64, guest->name,
              sighting.actual_kib, hold.guarantee_kib);
    if (hold.may_be_set && sighting.cap_kib > MIN(hold.limit_kib, guest->memory_kib) &&
        sighting.actual_kib > guest->actual_before_kib)
      g_error("Limit: %s grew to %" PRIu64 " KiB, and may to %" PRIu64 ", above its limit of %" PRIu64,
              guest->name, sighting.actual_kib, sighting.cap_kib, hold.limit_kib);
    guest->actual_before_kib = sighting.actual_kib;
  }
}

void
judge(Bed *bed)
{
  judge_read(bed);
  for (; bed->judged < bed->calls->len; bed->judged++)
    judge_call(bed, &g_array_index(bed->calls, Call, bed->judged));
  for (guint i = 0; i < bed->guests->len; i++)
    judge_sightings(bed->guests->pdata[i]);
}

/* For the tests. */

guint
judge_count(Bed *bed, Guest *guest, int64_t since_us)
{
  guint count = 0;

  judge_read(bed);
  for (guint i = 0; i < bed->calls->len; i++) {
    const Call *call = &g_array_index(bed->calls, Call, i);

    count += call->at_us >= since_us && (!guest || call->guest == guest);
  }
  return count;
}

typedef struct {
  Bed *bed;
  Guest *guest;
  gboolean shrinks;
  int64_t since_us;
  Call found;
} Search;

static gboolean
is_called(gpointer data)
{
  Search *search = data;

  judge_read(search->bed);
  for (guint i = 0; i < search->bed->calls->len; i++) {
    const Call *call = &g_array_index(search->bed->calls, Call, i);
    Sighting before = { 0 };

    if (call->at_us < search->since_us || (search->guest && call->guest != search->guest))
      continue;
    watch_before(call->guest->watch, call->at_us, &before);
    if (search->shrinks ? call->kib < before.actual_kib : call->kib > before.actual_kib) {
      search->found = *call;
      return TRUE;
    }
  }
  return FALSE;
}

Call
judge_await_call(Bed *bed, Guest *guest, gboolean shrinks, int64_t since_us, int seconds)
{
  Search search = { bed, guest, shrinks, since_us, { 0 } };

  bed_await(seconds, is_called, &search, "a call that %s %s", shrinks ? "shrinks" : "grows",
            guest ? guest->name : "a guest");
  return search.found;
}
