/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* drive --connect URI --meminfo FILE NAME=MINIMUM-KIB…: Proxmox VE's automatic ballooning on the guests of a
 * libvirt, by the rule that the simulator has in our own words (policy/sim/proxmox.c).
 *
 * As pvestatd does, every 10 s: the host's figures (FILE in place of /proc/meminfo), each guest's size and its
 * MemFree as its balloon last reported it, then "balloon" for each guest whose size isn't the rule's. The guests
 * report every 2 s, as qemu-server has them do. A guest's maximum is its <memory>; all have the same shares.
 * One line a round goes to stdout; the first says that it is at work. */
#include <glib-unix.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/meminfo.h"
#include "policy/sim/peer.h"
#include "policy/units.h"

#define REPORTS_S 2
#define SHARES 1000
#define GUESTS_MAX 64

typedef struct {
  virDomainPtr domain;
  CagmaConfig config;
} Driven;

typedef struct {
  GMainLoop *loop;
  const CagmaPeer *peer;
  gpointer memory;
  const char *meminfo;
  Driven driven[GUESTS_MAX];
  CagmaPeerGuest guests[GUESTS_MAX];
  size_t n_guests;
} Drive;

static const char *
libvirt_says(void)
{
  virErrorPtr error = virGetLastError();

  return error && error->message ? error->message : "no reason given";
}

/* FALSE where the guest can't be asked now: it is left out of this round. */
static gboolean
look(virDomainPtr domain, CagmaSample *sample)
{
  virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
  int n = virDomainMemoryStats(domain, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);

  *sample = (CagmaSample){ 0 };
  for (int i = 0; i < n; i++) {
    if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON) {
      sample->actual_kib = stats[i].val;
      sample->has |= CAGMA_HAS_ACTUAL;
    } else if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_UNUSED) {
      sample->unused_kib = stats[i].val;
      sample->has |= CAGMA_HAS_UNUSED;
    }
  }
  if (n < 0)
    printf(" %s:(%s)", virDomainGetName(domain), libvirt_says());
  return n >= 0;
}

static void
look_at_guests(Drive *drive)
{
  for (size_t i = 0; i < drive->n_guests; i++) {
    CagmaPeerGuest *guest = &drive->guests[i];

    guest->running = look(drive->driven[i].domain, &guest->sample);
    guest->target_kib = guest->sample.actual_kib;
  }
}

static void
carry_out(Drive *drive)
{
  for (size_t i = 0; i < drive->n_guests; i++) {
    CagmaPeerGuest *guest = &drive->guests[i];
    virDomainPtr domain = drive->driven[i].domain;

    if (!guest->running)
      continue;
    printf(" %s:%" PRIu64 "/%" PRIu64, virDomainGetName(domain), guest->sample.unused_kib,
           guest->sample.actual_kib);
    if (guest->target_kib == guest->sample.actual_kib)
      continue;
    printf("->%" PRIu64, guest->target_kib);
    if (virDomainSetMemoryFlags(domain, guest->target_kib, VIR_DOMAIN_AFFECT_LIVE) < 0)
      printf("(%s)", libvirt_says());
  }
}

static gboolean
read_host(const char *path, CagmaHostMemory *host)
{
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;

  if (!g_file_get_contents(path, &text, NULL, &error)) {
    fprintf(stderr, "drive: %s\n", error->message);
    return FALSE;
  }
  if (!cagma_meminfo_parse(text, host)) {
    fprintf(stderr, "drive: %s has no usable MemTotal and MemAvailable\n", path);
    return FALSE;
  }
  return TRUE;
}

static gboolean
decide(gpointer user_data)
{
  Drive *drive = user_data;
  CagmaHostMemory memory;
  CagmaPeerHost host = { .guests = drive->guests, .n_guests = drive->n_guests };

  if (!read_host(drive->meminfo, &memory)) {
    g_main_loop_quit(drive->loop);
    return G_SOURCE_REMOVE;
  }
  host.total_kib = memory.total_kib;
  host.free_kib = memory.available_kib;
  printf("%.3f host %" PRIu64 "/%" PRIu64 ", guests free/size:", (double)g_get_real_time() / G_USEC_PER_SEC,
         host.free_kib, host.total_kib);
  look_at_guests(drive);
  drive->peer->decide(drive->memory, &host, g_get_monotonic_time());
  carry_out(drive);
  putchar('\n');
  (void)fflush(stdout);
  return G_SOURCE_CONTINUE;
}

/* NAME=MINIMUM-KIB */
static gboolean
add_guest(Drive *drive, virConnectPtr conn, const char *argument)
{
  const char *equals = strrchr(argument, '=');
  g_autofree char *name = equals ? g_strndup(argument, (gsize)(equals - argument)) : NULL;
  Driven *driven = &drive->driven[drive->n_guests];
  virDomainInfo info;
  guint64 minimum_kib;

  if (!equals || !g_ascii_string_to_unsigned(equals + 1, 10, 1, CAGMA_MAX_KIB, &minimum_kib, NULL)) {
    fprintf(stderr, "drive: '%s' isn't NAME=MINIMUM-KIB\n", argument);
    return FALSE;
  }
  driven->domain = virDomainLookupByName(conn, name);
  if (!driven->domain || virDomainGetInfo(driven->domain, &info) < 0 ||
      virDomainSetMemoryStatsPeriod(driven->domain, REPORTS_S, VIR_DOMAIN_AFFECT_LIVE) < 0) {
    fprintf(stderr, "drive: %s: %s\n", name, libvirt_says());
    return FALSE;
  }
  driven->config = (CagmaConfig){ .guarantee_kib = minimum_kib, .shares = SHARES };
  drive->guests[drive->n_guests] = (CagmaPeerGuest){ .config = &driven->config, .max_kib = info.maxMem };
  drive->n_guests++;
  return TRUE;
}

static gboolean
add_guests(Drive *drive, virConnectPtr conn, char **arguments)
{
  if (!*arguments || g_strv_length(arguments) > GUESTS_MAX) {
    fprintf(stderr, "drive: 1 to %d guests are driven\n", GUESTS_MAX);
    return FALSE;
  }
  for (; *arguments; arguments++) {
    if (!add_guest(drive, conn, *arguments))
      return FALSE;
  }
  return TRUE;
}

static gboolean
end(gpointer user_data)
{
  Drive *drive = user_data;

  g_main_loop_quit(drive->loop);
  return G_SOURCE_CONTINUE;
}

/* FALSE where it ended before it was told to. */
static gboolean
run(Drive *drive)
{
  guint timer = g_timeout_add((guint)(drive->peer->period_us / 1000), decide, drive);
  guint signal = g_unix_signal_add(SIGTERM, end, drive);
  gboolean told = FALSE;

  drive->loop = g_main_loop_new(NULL, FALSE);
  drive->memory = drive->peer->start(drive->n_guests);
  if (decide(drive)) {
    g_main_loop_run(drive->loop);
    told = g_main_context_find_source_by_id(NULL, timer) != NULL;
  }
  if (g_main_context_find_source_by_id(NULL, timer))
    g_source_remove(timer);
  g_source_remove(signal);
  drive->peer->end(drive->memory);
  g_main_loop_unref(drive->loop);
  return told;
}

int
main(int argc, char **argv)
{
  g_autofree char *uri = NULL, *meminfo = NULL;
  const GOptionEntry entries[] = {
    { "connect", 'c', 0, G_OPTION_ARG_STRING, &uri, "The libvirt connection", "URI" },
    { "meminfo", 'm', 0, G_OPTION_ARG_FILENAME, &meminfo, "The host's figures, as /proc/meminfo has them",
      "FILE" },
    { 0 },
  };
  g_autoptr(GOptionContext) options = g_option_context_new("NAME=MINIMUM-KIB…");
  g_autoptr(GError) error = NULL;
  Drive drive = { .peer = cagma_peer_by_name("proxmox") };
  virConnectPtr conn;
  gboolean ok;

  g_option_context_add_main_entries(options, entries, NULL);
  if (!g_option_context_parse(options, &argc, &argv, &error) || !uri || !meminfo) {
    fprintf(stderr, "drive: %s\n", error ? error->message : "--connect and --meminfo are needed");
    return 2;
  }
  conn = virConnectOpen(uri);
  if (!conn) {
    fprintf(stderr, "drive: %s\n", libvirt_says());
    return EXIT_FAILURE;
  }
  drive.meminfo = meminfo;
  ok = add_guests(&drive, conn, argv + 1) && run(&drive);
  for (size_t i = 0; i < GUESTS_MAX && drive.driven[i].domain; i++)
    virDomainFree(drive.driven[i].domain);
  virConnectClose(conn);
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
