/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clock URI DOMAIN: "OFFSET-US ERROR-US" of the guest's clock against ours, through its agent.
 *
 * Its time was read somewhere between our question and the answer: the offset is taken at the middle, and is
 * wrong by half the time between the two at the most. Of several questions the quickest counts. */
#include <inttypes.h>
#include <libvirt/libvirt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define QUESTIONS 20
#define SECOND_US 1000000

static int64_t
now_us(void)
{
  struct timespec t;

  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

int
main(int argc, char **argv)
{
  int64_t offset_us = 0, shortest_us = INT64_MAX;
  virConnectPtr conn = argc == 3 ? virConnectOpen(argv[1]) : NULL;
  virDomainPtr domain = conn ? virDomainLookupByName(conn, argv[2]) : NULL;

  for (int i = 0; domain && i < QUESTIONS; i++) {
    int64_t asked_us = now_us(), took_us, guest_us;
    long long seconds;
    unsigned nseconds;

    if (virDomainGetTime(domain, &seconds, &nseconds, 0) < 0)
      break;
    took_us = now_us() - asked_us;
    guest_us = seconds * SECOND_US + nseconds / 1000;
    if (took_us < shortest_us) {
      shortest_us = took_us;
      offset_us = guest_us - (asked_us + took_us / 2);
    }
  }
  if (domain)
    virDomainFree(domain);
  if (conn)
    virConnectClose(conn);
  if (shortest_us == INT64_MAX)
    return EXIT_FAILURE;
  printf("%" PRId64 " %" PRId64 "\n", offset_us, shortest_us / 2);
  return EXIT_SUCCESS;
}
