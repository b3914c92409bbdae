/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests that can't, or mustn't, be balanced are left alone, with the reason; the others
 * are balanced all the same. */

#include <string.h>
#include <sys/resource.h>

#include "daemon.h"
#include "guest.h"
#include "judge.h"

/* Needs, gives; then those that would have much to give. */
enum { NEEDY, DONOR, NO_DRIVER, NO_DEVICE, PAUSED, STALE, PINNED, OBSERVED };

#define GUARANTEE_MIB 96
#define MEMORY_MIB 256
#define WORK_MIB 100
#define STATE_S 60
#define CALM_S 90

static Guest *
guest(Bed *bed, guint index)
{
  return bed->guests->pdata[index];
}

/* There is no VFIO here. Locked memory stands for a passed-through device: in both the
 * balloon's pages don't return to the host, and libvirt shows both in the XML only. The
 * limit is the one we have already, since raising it takes more privileges than root of a
 * container has. */
static char *
lock_memory(Bed *bed, const char *name, guint mib)
{
  g_autofree char *xml = guest_xml(bed, name, mib, mib, 64, "--swap 0");
  g_autoptr(GString) locked = g_string_new(xml);
  g_autofree char *backing = NULL;
  struct rlimit limit;

  g_assert_cmpint(getrlimit(RLIMIT_MEMLOCK, &limit), ==, 0);
  backing = g_strdup_printf("<memtune><hard_limit unit='KiB'>%" G_GUINT64_FORMAT "</hard_limit></memtune>"
                            "<memoryBacking><locked/></memoryBacking><features>",
                            (guint64)(limit.rlim_max == RLIM_INFINITY ? 4 << 20 : limit.rlim_max / 1024));
  g_assert_cmpuint(g_string_replace(locked, "<features>", backing, 1), ==, 1);
  return g_strdup(locked->str);
}

static void
start(Bed *bed)
{
  static const char observed[] =
      "--swap 0 --metadata '<cagma:memory xmlns:cagma=\"urn:cagma:memory:1\" mode=\"observe\"/>'";
  g_autofree char *locked = lock_memory(bed, "pinned", 160);

  guest_start(bed, "needy", 128, MEMORY_MIB, GUARANTEE_MIB, "");
  guest_start(bed, "donor", 256, MEMORY_MIB, GUARANTEE_MIB, "");
  guest_start(bed, "no-driver", 160, 160, 64, "--swap 0 --no-driver");
  guest_start(bed, "no-device", 160, 160, 64, "--swap 0 --no-balloon");
  guest_start(bed, "paused", 192, 192, 64, "--swap 0");
  guest_start(bed, "stale", 192, 192, 64, "--swap 0");
  guest_start_xml(bed, "pinned", 160, 160, 64, locked);
  guest_start(bed, "observed", 192, 192, 0, observed);
  guest_agree(guest(bed, NO_DRIVER), TERMS_OUTSIDE);
  guest_agree(guest(bed, NO_DEVICE), TERMS_OUTSIDE);
  guest_agree(guest(bed, PINNED), TERMS_OUTSIDE);
  for (guint i = NEEDY; i <= OBSERVED; i++) {
    guest_await_agent(guest(bed, i));
    if (i != NO_DRIVER && i != NO_DEVICE)
      guest_await_report(guest(bed, i));
    if (i != NO_DEVICE)
      guest_await_rest(guest(bed, i), STATE_S);
  }
  daemon_configure(bed, 4, NULL);
  daemon_start(bed, NULL);
  for (guint i = PAUSED; i <= STALE; i++)
    daemon_await_state(bed, guest(bed, i)->name, "steady", "available", STATE_S);
  daemon_await_state(bed, "needy", "steady", "available", STATE_S);
  daemon_await_state(bed, "donor", "steady", "available", STATE_S);
}

static void
set_paused(Guest *paused, gboolean pause)
{
  virDomainPtr domain = guest_domain(paused);

  if (pause)
    guest_agree(paused, TERMS_HELD);
  g_assert_cmpint(pause ? virDomainSuspend(domain) : virDomainResume(domain), ==, 0);
  if (!pause)
    guest_agree(paused, TERMS_BALANCED);
  virDomainFree(domain);
}

static void
set_stats_period(Guest *guest, int seconds)
{
  virDomainPtr domain = guest_domain(guest);

  g_assert_cmpint(virDomainSetMemoryStatsPeriod(domain, seconds, VIR_DOMAIN_AFFECT_LIVE), ==, 0);
  virDomainFree(domain);
}

/* Starves the needy until it is fed; the held ones keep what they have, and aren't called. */
static void
feed_without(Bed *bed, guint first, guint last)
{
  Guest *needy = guest(bed, NEEDY);
  int64_t began_us = g_get_real_time();
  uint64_t actual_kib[OBSERVED + 1] = { 0 };

  for (guint i = first; i <= last; i++)
    actual_kib[i] = guest_actual_kib(guest(bed, i));
  guest_work(needy, WORK_MIB);
  guest_await_actual(needy, 192 * 1024, MEMORY_MIB * 1024, STATE_S);
  guest_await_calm(needy, CALM_S);
  judge_await_call(bed, guest(bed, DONOR), TRUE, began_us, 1);
  for (guint i = first; i <= last; i++) {
    g_assert_cmpuint(judge_count(bed, guest(bed, i), began_us), ==, 0);
    g_assert_cmpuint(guest_actual_kib(guest(bed, i)), ==, actual_kib[i]);
  }
  guest_stop_work(needy);
}

static void
test_left_alone_with_the_reason(Bed *bed)
{
  set_paused(guest(bed, PAUSED), TRUE);
  /* As another client can do it at any time; the driver's last report grows old. */
  set_stats_period(guest(bed, STALE), 0);
  guest_agree(guest(bed, STALE), TERMS_HELD);

  daemon_await_state(bed, "no-driver", "blind", "without a balloon driver", STATE_S);
  daemon_await_state(bed, "no-device", "held", "has no balloon device", STATE_S);
  daemon_await_state(bed, "paused", "held", "is paused", STATE_S);
  daemon_await_state(bed, "stale", "blind", "last reported", STATE_S);
  daemon_await_state(bed, "pinned", "held", "memory locked", STATE_S);
  daemon_await_state(bed, "observed", "steady", "observed only", STATE_S);
  feed_without(bed, NO_DRIVER, OBSERVED);
}

static gboolean
tells_reason(gpointer data)
{
  Guest *guest = data;
  g_autofree char *text = guest_status_metadata(guest);
  static const struct {
    const char *name;
    const char *reason;
  } reasons[] = {
    { "no-driver", "without a balloon driver" },
    { "no-device", "has no balloon device" },
    { "paused", "is paused" },
    { "stale", "last reported" },
    { "pinned", "memory locked" },
  };

  for (guint i = 0; i < G_N_ELEMENTS(reasons); i++)
    if (strcmp(guest->name, reasons[i].name) == 0)
      return text && strstr(text, reasons[i].reason);
  return FALSE;
}

static void
test_reason_is_in_the_status_metadata(Bed *bed)
{
  for (guint i = NO_DRIVER; i <= PINNED; i++)
    bed_await(STATE_S, tells_reason, guest(bed, i), "the status metadata of %s has the reason",
              guest(bed, i)->name);
}

static void
test_counted_in_full(Bed *bed)
{
  static const guint full[] = { NO_DRIVER, NO_DEVICE, PINNED, OBSERVED };

  for (guint i = 0; i < G_N_ELEMENTS(full); i++)
    g_assert_cmpint(daemon_number(bed, guest(bed, full[i])->name, "charge-kib"), ==,
                    (gint64)guest(bed, full[i])->memory_kib);
}

static void
test_back_when_the_reason_is_gone(Bed *bed)
{
  set_paused(guest(bed, PAUSED), FALSE);
  guest_agree(guest(bed, STALE), TERMS_BALANCED);
  set_stats_period(guest(bed, STALE), 1);
  daemon_await_state(bed, "paused", "steady", "available", STATE_S);
  daemon_await_state(bed, "stale", "steady", "available", STATE_S);
}

static void
add(Bed *bed)
{
  bed_add(bed, "/live/hands-off/left-alone-with-the-reason", test_left_alone_with_the_reason);
  bed_add(bed, "/live/hands-off/reason-is-in-the-status-metadata", test_reason_is_in_the_status_metadata);
  bed_add(bed, "/live/hands-off/counted-in-full", test_counted_in_full);
  bed_add(bed, "/live/hands-off/back-when-the-reason-is-gone", test_back_when_the_reason_is_gone);
}

int
main(int argc, char **argv)
{
  return bed_main(argc, argv, start, add);
}
