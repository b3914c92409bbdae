/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that is given memory brings back what it had swapped out, without that anybody
 * there touches it, and says meanwhile what else happens to it. */

#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "guest.h"

#define GUARANTEE_MIB 96
#define BEFORE_MIB 112
#define MEMORY_MIB 320
/* Filled once, and then left alone. */
#define HELD_MIB "150"
#define SWAPPED_MIB 60
#define BROUGHT_BACK_MIB 40
/* The disk is slow, so that there is a meanwhile. */
#define OPTIONS "--channel --iops 150 --append 'cagma.run=/usr/sbin/cagma-guest-agent'"

#define STATE_S 90
#define SWAP_S 120
/* What was swapped out in pieces comes back in pieces: 40 MiB in 70 s at worst, did nobody else
 * want the disk. */
#define BACK_S 240

static Guest *
guest(Bed *bed)
{
  return bed->guests->pdata[0];
}

static void
start(Bed *bed)
{
  guest_start(bed, "slow", BEFORE_MIB, MEMORY_MIB, GUARANTEE_MIB, OPTIONS);
  guest_await_agent(guest(bed));
  guest_await_report(guest(bed));
  guest_await_rest(guest(bed), STATE_S);
  daemon_configure(bed, 0, "pool=0\nread-back=yes");
  daemon_start(bed, NULL);
  daemon_await_source(bed, "slow", "cagma-channel", STATE_S);
}

static guint64
swapped_in_mib(Guest *one)
{
  g_autofree char *text = guest_control(one, (const char *[]){ "cat", "/proc/vmstat", NULL });
  const char *line = strstr(text, "\npswpin ");

  g_assert_nonnull(line);
  return g_ascii_strtoull(line + strlen("\npswpin "), NULL, 10) / 256;
}

typedef struct {
  Bed *bed;
  const char *first;
  const char *second;
} Said;

static gboolean
is_explained(gpointer data)
{
  Said *said = data;
  g_autofree char *text = daemon_ctl(said->bed, (const char *[]){ "explain", "slow", NULL });

  return strstr(text, said->first) && strstr(text, said->second);
}

/* Both at the same time. */
static void
await_explained(Bed *bed, int seconds, const char *first, const char *second)
{
  Said said = { bed, first, second };

  bed_await(seconds, is_explained, &said, "slow is said to do this: %s … %s", first, second);
}

static void
fill_and_leave(Guest *one)
{
  one->work = guest_control(one, (const char *[]){ "exec", "/bin/work", "--mem", HELD_MIB, "--hold", "--stat",
                                                   "/run/work.stat", NULL });
  guest_await_swapping(one, SWAPPED_MIB);
  guest_await_calm(one, SWAP_S);
}

/* Once the guest as a whole isn't short, a part of it will be, by itself. */
static char *
press_later(Guest *one)
{
  static const char script[] =
      "mkdir -p /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && "
      "echo +memory >/sys/fs/cgroup/cgroup.subtree_control && mkdir /sys/fs/cgroup/small && "
      "echo 12M >/sys/fs/cgroup/small/memory.max && "
      "until awk '/MemAvailable/ { exit $2 < 100000 }' /proc/meminfo; do usleep 100000; done && "
      "echo $$ >/sys/fs/cgroup/small/cgroup.procs && exec /bin/work --mem 20 --pace 4000 --stat "
      "/run/small.stat";

  return guest_control(one, (const char *[]){ "exec", "/bin/sh", "-c", script, NULL });
}

static void
test_what_was_swapped_out_comes_back(Bed *bed)
{
  Guest *one = guest(bed);
  g_autofree char *pressed = NULL;
  g_autofree char *killed = NULL;
  guint64 before_mib;

  fill_and_leave(one);
  pressed = press_later(one);
  before_mib = swapped_in_mib(one);
  daemon_configure(bed, MEMORY_MIB - BEFORE_MIB, "pool=0\nread-back=yes");
  await_explained(bed, STATE_S, "its guest reports pressure, but has", "its guest is bringing back, so far");
  killed = guest_control(one, (const char *[]){ "kill", pressed, NULL });
  await_explained(bed, BACK_S, "", "its guest has brought back");
  g_test_message("swapped in: %d MiB before, %d MiB after", (int)before_mib, (int)swapped_in_mib(one));
  g_assert_cmpuint(swapped_in_mib(one), >=, before_mib + BROUGHT_BACK_MIB);
  guest_stop_work(one);
}

static void
add(Bed *bed)
{
  bed_add(bed, "/live/read-back/what-was-swapped-out-comes-back", test_what_was_swapped_out_comes_back);
}

int
main(int argc, char **argv)
{
  return bed_main(argc, argv, start, add);
}
