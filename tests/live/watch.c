/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch.h"

#include <inttypes.h>
#include <stdio.h>

#define INTERVAL_US (100 * 1000)

struct Watch {
  Look *look;
  char *name;
  int timeline_fd;
  GThread *thread;
  GMutex mutex;
  GCond wake;
  gboolean ends;
  GArray *sightings;
  int64_t calm_since_us;
};

static void
note_in_timeline(Watch *watch, const Sighting *sighting)
{
  g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(sighting->told_us / G_USEC_PER_SEC);
  g_autofree char *time = g_date_time_format(when, "%T");

  dprintf(watch->timeline_fd,
          "%s.%03d %s: actual %" PRIu64 " usable %" PRIu64 " swapped in %" PRIu64 " out %" PRIu64 " KiB\n",
          time, (int)(sighting->told_us % G_USEC_PER_SEC / 1000), watch->name, sighting->actual_kib,
          sighting->usable_kib, sighting->swap_in_kib, sighting->swap_out_kib);
}

static void
keep(Watch *watch, const Sighting *sighting)
{
  gboolean first = watch->sightings->len == 0;
  const Sighting *last = first ? NULL : &g_array_index(watch->sightings, Sighting, watch->sightings->len - 1);

  /* A QEMU that is just ending says nothing of its balloon any more. */
  if (!first && last->actual_kib && !sighting->actual_kib)
    return;
  if (first || last->swap_out_kib != sighting->swap_out_kib)
    watch->calm_since_us = sighting->told_us;
  if (first || last->actual_kib != sighting->actual_kib || last->swap_out_kib != sighting->swap_out_kib)
    note_in_timeline(watch, sighting);
  g_array_append_val(watch->sightings, *sighting);
}

static gpointer
watch_run(gpointer data)
{
  Watch *watch = data;

  g_mutex_lock(&watch->mutex);
  while (!watch->ends) {
    Sighting sighting = { 0 };
    gboolean seen;

    g_mutex_unlock(&watch->mutex);
    seen = look_at(watch->look, &sighting);
    g_mutex_lock(&watch->mutex);
    if (seen)
      keep(watch, &sighting);
    if (!watch->ends)
      g_cond_wait_until(&watch->wake, &watch->mutex, g_get_monotonic_time() + INTERVAL_US);
  }
  g_mutex_unlock(&watch->mutex);
  return NULL;
}

Watch *
watch_new(const char *uri, const char *uuid, const char *name, int timeline_fd)
{
  Watch *watch = g_new0(Watch, 1);

  watch->look = look_new(uri, uuid);
  watch->name = g_strdup(name);
  watch->timeline_fd = timeline_fd;
  watch->sightings = g_array_new(FALSE, FALSE, sizeof(Sighting));
  g_mutex_init(&watch->mutex);
  g_cond_init(&watch->wake);
  watch->thread = g_thread_new(name, watch_run, watch);
  return watch;
}

void
watch_free(Watch *watch)
{
  g_mutex_lock(&watch->mutex);
  watch->ends = TRUE;
  g_cond_signal(&watch->wake);
  g_mutex_unlock(&watch->mutex);
  g_thread_join(watch->thread);
  g_cond_clear(&watch->wake);
  g_mutex_clear(&watch->mutex);
  g_array_unref(watch->sightings);
  look_free(watch->look);
  g_free(watch->name);
  g_free(watch);
}

gboolean
watch_nth(Watch *watch, guint n, Sighting *sighting)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->mutex);

  if (n >= watch->sightings->len)
    return FALSE;
  *sighting = g_array_index(watch->sightings, Sighting, n);
  return TRUE;
}

gboolean
watch_last(Watch *watch, Sighting *sighting)
{
  return watch_before(watch, G_MAXINT64, sighting);
}

gboolean
watch_before(Watch *watch, int64_t at_us, Sighting *sighting)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->mutex);

  for (guint n = watch->sightings->len; n > 0; n--) {
    *sighting = g_array_index(watch->sightings, Sighting, n - 1);
    if (sighting->told_us <= at_us)
      return TRUE;
  }
  return FALSE;
}

gboolean
watch_after(Watch *watch, int64_t at_us, Sighting *sighting)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->mutex);
  gboolean found = FALSE;

  for (guint n = watch->sightings->len; n > 0; n--) {
    const Sighting *one = &g_array_index(watch->sightings, Sighting, n - 1);

    if (one->asked_us < at_us)
      break;
    *sighting = *one;
    found = TRUE;
  }
  return found;
}

int64_t
watch_calm_since(Watch *watch)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->mutex);

  return watch->calm_since_us;
}
