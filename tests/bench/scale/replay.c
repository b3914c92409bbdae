/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The yardstick: what the same calls into libvirt cost a program that does nothing
 * else. One thread, one connection, libvirt alone.
 *
 *   replay URI PERIOD-MS CALLS
 *
 * CALLS holds the calls of one or more cycles as libvirtd saw them from the daemon:
 * a line "FUNCTION UUID" for each, an empty line after each cycle. They are made in this
 * order, a cycle each period, the first cycle again after the last, until killed. Before,
 * it looks up all domains, and says "ready". A call that fails ends the program, as then
 * not the same is measured. */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATS_MAX VIR_DOMAIN_MEMORY_STAT_NR
#define NS_PER_S 1000000000L

typedef int Act(virDomainPtr domain);

typedef struct {
  Act *act; /* NULL: the cycle ends */
  virDomainPtr domain;
} Call;

typedef struct {
  Call *calls;
  size_t n, room;
} Script;

static int
control_info(virDomainPtr domain)
{
  virDomainControlInfo info;

  return virDomainGetControlInfo(domain, &info, 0);
}

static int
memory_stats(virDomainPtr domain)
{
  virDomainMemoryStatStruct stats[STATS_MAX];

  return virDomainMemoryStats(domain, stats, STATS_MAX, 0);
}

static int
block_stats(virDomainPtr domain)
{
  virDomainBlockStatsStruct stats;

  return virDomainBlockStats(domain, "", &stats, sizeof stats);
}

static int
state(virDomainPtr domain)
{
  int now, reason;

  return virDomainGetState(domain, &now, &reason, 0);
}

static int
job_info(virDomainPtr domain)
{
  virDomainJobInfo info;

  return virDomainGetJobInfo(domain, &info);
}

static int
xml(virDomainPtr domain)
{
  char *text = virDomainGetXMLDesc(domain, 0);

  free(text);
  return text ? 0 : -1;
}

static int
lookup(virDomainPtr known)
{
  unsigned char uuid[VIR_UUID_BUFLEN];
  virDomainPtr domain;

  if (virDomainGetUUID(known, uuid) < 0)
    return -1;
  domain = virDomainLookupByUUID(virDomainGetConnect(known), uuid);
  if (!domain)
    return -1;
  return virDomainFree(domain);
}

static Act *
find_act(const char *function)
{
  static const struct {
    const char *function;
    Act *act;
  } acts[] = {
    { "virDomainGetControlInfo", control_info }, { "virDomainMemoryStats", memory_stats },
    { "virDomainBlockStats", block_stats },      { "virDomainGetState", state },
    { "virDomainGetJobInfo", job_info },         { "virDomainGetXMLDesc", xml },
    { "virDomainLookupByUUID", lookup },
  };

  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
    if (strcmp(acts[i].function, function) == 0)
      return acts[i].act;
  return NULL;
}

static void
fail(const char *what, const char *which)
{
  const char *why = virGetLastErrorCode() ? virGetLastErrorMessage() : "not possible";

  fprintf(stderr, "replay: %s %s: %s\n", what, which, why);
  exit(EXIT_FAILURE);
}

/* A domain is often named by the lines before: no need for an index. */
static virDomainPtr
find_domain(virConnectPtr conn, const Script *script, const char *uuid)
{
  char known[VIR_UUID_STRING_BUFLEN];
  virDomainPtr domain;

  for (size_t i = script->n; i > 0; i--) {
    domain = script->calls[i - 1].domain;
    if (domain && virDomainGetUUIDString(domain, known) == 0 && strcmp(known, uuid) == 0)
      return domain;
  }
  domain = virDomainLookupByUUIDString(conn, uuid);
  if (!domain)
    fail("domain", uuid);
  return domain;
}

static void
add(Script *script, Call call)
{
  if (script->n == script->room) {
    script->room = script->room ? script->room * 2 : 1024;
    script->calls = realloc(script->calls, script->room * sizeof *script->calls);
    if (!script->calls)
      abort();
  }
  script->calls[script->n++] = call;
}

static Script
read_script(virConnectPtr conn, const char *path)
{
  Script script = { 0 };
  char line[256], function[64], uuid[64];
  FILE *file = fopen(path, "r");

  if (!file)
    fail("file", path);
  while (fgets(line, sizeof line, file)) {
    Call call = { 0 };

    if (line[0] != '\n') {
      if (sscanf(line, "%63s %63s", function, uuid) != 2 || !(call.act = find_act(function)))
        fail("call", line);
      call.domain = find_domain(conn, &script, uuid);
    }
    add(&script, call);
  }
  fclose(file);
  if (script.n < 2 || script.calls[script.n - 1].act)
    fail("no whole cycle in", path);
  return script;
}

/* One cycle from `at`; where the next one begins. */
static size_t
play_cycle(const Script *script, size_t at)
{
  char uuid[VIR_UUID_STRING_BUFLEN] = "";

  for (; script->calls[at].act; at++) {
    if (script->calls[at].act(script->calls[at].domain) >= 0)
      continue;
    virDomainGetUUIDString(script->calls[at].domain, uuid);
    fail("a call failed on", uuid);
  }
  return (at + 1) % script->n;
}

static void
play(const Script *script, long period_ms)
{
  struct timespec due;

  clock_gettime(CLOCK_MONOTONIC, &due);
  for (size_t at = 0;;) {
    at = play_cycle(script, at);
    due.tv_nsec += period_ms % 1000 * 1000000;
    due.tv_sec += period_ms / 1000 + due.tv_nsec / NS_PER_S;
    due.tv_nsec %= NS_PER_S;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
  }
}

int
main(int argc, char **argv)
{
  virConnectPtr conn;
  Script script;
  long period_ms;

  if (argc != 4 || (period_ms = strtol(argv[2], NULL, 10)) <= 0) {
    fprintf(stderr, "usage: replay URI PERIOD-MS CALLS\n");
    return 2;
  }
  conn = virConnectOpen(argv[1]);
  if (!conn)
    fail("connecting to", argv[1]);
  script = read_script(conn, argv[3]);
  puts("ready");
  fflush(stdout);
  play(&script, period_ms);
}
