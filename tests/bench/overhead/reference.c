/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reference: what a known piece of work costs here: "READ-NS LOOP-NS".
 *
 * READ-NS is the CPU time of opening, reading and closing /proc/meminfo and /proc/vmstat, once each: the least that
 * telling a guest's memory takes. LOOP-NS is that of LOOP steps of a generator of random numbers, which no kernel has
 * a part in. Either is the median of many. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TIMES 201
#define LOOP 100000
#define NS_PER_S 1000000000

static int64_t
cpu_ns(void)
{
  struct timespec t;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void
read_file(const char *path)
{
  char text[16384];
  int fd = open(path, O_RDONLY | O_CLOEXEC);

  while (fd >= 0 && read(fd, text, sizeof text) > 0)
    continue;
  if (fd < 0 || close(fd) < 0) {
    perror(path);
    exit(EXIT_FAILURE);
  }
}

static void
read_figures(void)
{
  read_file("/proc/meminfo");
  read_file("/proc/vmstat");
}

static void
loop(void)
{
  static volatile uint64_t x = 88172645463325252;

  for (int i = 0; i < LOOP; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
}

static int
compare(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return (x > y) - (x < y);
}

static int64_t
median_ns(void (*work)(void))
{
  int64_t took_ns[TIMES];

  for (int i = 0; i < TIMES; i++) {
    took_ns[i] = -cpu_ns();
    work();
    took_ns[i] += cpu_ns();
  }
  qsort(took_ns, TIMES, sizeof *took_ns, compare);
  return took_ns[TIMES / 2];
}

int
main(void)
{
  int64_t read_ns = median_ns(read_figures);

  printf("%" PRId64 " %" PRId64 "\n", read_ns, median_ns(loop));
  return EXIT_SUCCESS;
}
