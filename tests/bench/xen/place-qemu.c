/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "place.h"

#define QUESTIONS 20

const Way place_ways[] = {
  { "events", "cagma-channel", LONG_PERIOD_S, TRUE },
  { "balloon", "balloon-stats", 1, FALSE },
  { NULL, NULL, 0, FALSE },
};

/* Both guests swap to memory, as Xen's do. */
const char place_options[] = "--channel --swap 0 --stats 1";

void
place_prepare(Guest *guest)
{
  static const char swap[] = "for module in /zram/*; do insmod $module || exit; done; "
                             "echo 256M >/sys/block/zram0/disksize && mkswap /dev/zram0 && swapon /dev/zram0";
  g_autofree char *output = guest_control(guest, (const char *[]){ "run", "/bin/sh", "-c", swap, NULL });
}

void
place_run_agent(Guest *guest, gboolean run)
{
  static const char end[] = "killall cagma-guest-agent; while pidof cagma-guest-agent; do usleep 50000; done";
  static const char begin[] = "pidof cagma-guest-agent || cagma-guest-agent </dev/null >/dev/null 2>&1 &";
  g_autofree char *output =
      guest_control(guest, (const char *[]){ "run", "/bin/sh", "-c", run ? begin : end, NULL });
}

char *
place_console(Guest *guest)
{
  return g_build_filename(guest->bed->dir, "console", guest->name, NULL);
}

Clock
place_clock(Guest *guest)
{
  virDomainPtr domain = guest_domain(guest);
  Clock clock = { 0, G_MAXINT64 };

  for (guint i = 0; i < QUESTIONS; i++) {
    int64_t asked_us = g_get_real_time(), took_us;
    long long seconds;
    unsigned int nseconds;

    g_assert_cmpint(virDomainGetTime(domain, &seconds, &nseconds, 0), ==, 0);
    took_us = g_get_real_time() - asked_us;
    if (took_us / 2 >= clock.error_us)
      continue;
    clock.error_us = took_us / 2;
    clock.offset_us = seconds * G_USEC_PER_SEC + nseconds / 1000 - (asked_us + took_us / 2);
  }
  virDomainFree(domain);
  return clock;
}
