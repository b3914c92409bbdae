/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * flood: writes to a virtio-serial port what no agent would. See usage().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  REQUEST_BYTES = 65536,
  CHUNK_BYTES = 65536,
  NESTED = 20000,
  LONG_LINE = 80000,
  JUNK_PER_S = 128 * 1024,
};

typedef enum {
  EVENTS,
  ENDLESS,
  JUNK,
  LIAR,
  MUTE,
  MODES,
} Mode;

static const char *const names[MODES] = { "events", "endless", "junk", "liar", "mute" };

/* A guest in dire need, as an agent would say it. */
#define SHORT_OF_MEMORY                                                                                      \
  "{\"total\": 118489088, \"free\": 1048576, \"available\": 1048576, \"cached\": 1048576, "                  \
  "\"committed\": 918489088, \"swap-total\": 536866816, \"swap-free\": 4096, \"page-size\": 4096, "          \
  "\"pages-swapped-in\": %llu, \"pages-swapped-out\": %llu, \"major-faults\": %llu}"

/* All of them together make no sense, nor does one alone. */
static const char *const lies[] = {
  "{\"total\": 9223372036854775807, \"free\": 9223372036854775807, \"available\": 9223372036854775807, "
  "\"swap-total\": 9223372036854775807, \"swap-free\": 0, \"pages-swapped-in\": 9223372036854775807, "
  "\"pages-swapped-out\": 9223372036854775807, \"major-faults\": 9223372036854775807}",
  "{\"total\": 0, \"free\": 0, \"available\": 0, \"swap-total\": 0, \"swap-free\": 0, \"page-size\": "
  "1048576, "
  "\"pages-swapped-in\": 0, \"pages-swapped-out\": 0, \"major-faults\": 0}",
  "{\"total\": -1, \"available\": -9223372036854775808}",
  "{\"total\": 1e300, \"available\": 0.5}",
  "{\"total\": 118489088, \"available\": 118489089, \"page-size\": 0, \"pages-swapped-in\": 1, "
  "\"pages-swapped-out\": 0}",
  "{\"total\": 118489088, \"available\": 99999999999999999999999999999999999999999}",
  "{\"total\": \"much\", \"available\": {\"very\": [\"little\"]}, \"largest-process\": 7}",
  "{\"available\": 0, \"largest-process\": {\"pid\": -1, \"rss\": 9223372036854775807, \"swap\": -1}}",
  "{}",
};

static const char *const junk[] = {
  "\n",
  "\xff\xfe\xc0\xaf\xed\xa0\x80\xf8\x88\x80\x80\x80\n",
  "{\"event\": \"GUEST_MEMORY_PRESSURE\", \"data\": \"\xc3\x28\"}\n",
  "{\"return\": 99999999999999999999999999999}\n",
  "{\"event\": {\"event\": {\"event\": {}}}, \"return\": {}, \"error\": []}\n",
  "{\"event\": \"GUEST_MEMORY_PRESSURE\"}\n",
  "{\"error\": {\"class\": 5, \"desc\": null}}\n",
  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"\\u001b[2J\\nnot what it seems\\u0000\"}}\n",
  "{\"return\": {}}{\"event\": [[[], {}], \"behind the first\"]}\n",
  "{\"return\"\n: {}}\nnull\ntrue\n\"\\ud800\"\n}{][\n",
};

static unsigned long long counter;

static void
fail(const char *what)
{
  fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static void
put(int fd, const char *data, size_t length)
{
  while (length > 0) {
    const ssize_t n = write(fd, data, length);

    if (n < 0 && errno != EINTR && errno != EAGAIN)
      fail("write");
    if (n > 0) {
      data += n;
      length -= (size_t)n;
    }
  }
}

static void
put_text(int fd, const char *text)
{
  put(fd, text, strlen(text));
}

static void
put_event(int fd, const char *data)
{
  static const char head[] = "{\"event\": \"GUEST_MEMORY_PRESSURE\", \"timestamp\": {\"seconds\": 1, "
                             "\"microseconds\": 1}, \"data\": ";

  put_text(fd, head);
  put_text(fd, data);
  put_text(fd, "}\n");
}

static void
format_short(char *text, size_t size)
{
  counter += 1000;
  snprintf(text, size, SHORT_OF_MEMORY, counter, counter, counter);
}

/* The figures of a request for them, and of events. */
static const char *
figures(Mode mode)
{
  static char text[1024];

  if (mode == LIAR)
    return lies[counter++ % (sizeof lies / sizeof *lies)];
  format_short(text, sizeof text);
  return text;
}

/* Returns whether it was the sync. */
static bool
answer(int fd, Mode mode, const char *request)
{
  const char *id = strstr(request, "\"id\":");

  if (strstr(request, "guest-sync") && id) {
    dprintf(fd, "\xff{\"return\": %lld}\n", atoll(id + 5));
    return true;
  }
  put_text(fd, "{\"return\": ");
  put_text(fd, figures(mode));
  put_text(fd, "}\n");
  return false;
}

/* Answers what the host asked, waiting for it at most so long. Returns whether it has
 * synced. */
static bool
listen_to_host(int fd, Mode mode, int wait_ms)
{
  static char buffer[REQUEST_BYTES];
  static size_t have;
  struct pollfd poller = { .fd = fd, .events = POLLIN };
  bool synced = false;
  char *end;
  ssize_t n;

  if (poll(&poller, 1, wait_ms) <= 0)
    return false;
  if (!(poller.revents & POLLIN)) {
    usleep((useconds_t)wait_ms * 1000); /* the host isn't there */
    return false;
  }
  n = read(fd, buffer + have, sizeof buffer - 1 - have);
  if (n <= 0) {
    usleep(10000);
    return false;
  }
  have += (size_t)n;
  buffer[have] = '\0';
  while ((end = memchr(buffer, '\n', have)) != NULL) {
    *end = '\0';
    synced |= answer(fd, mode, buffer);
    have -= (size_t)(end + 1 - buffer);
    memmove(buffer, end + 1, have + 1);
  }
  if (have == sizeof buffer - 1)
    have = 0;
  return synced;
}

static size_t
put_repeated(int fd, const char *pattern, size_t times)
{
  for (size_t i = 0; i < times; i++)
    put_text(fd, pattern);
  return times * strlen(pattern);
}

/* One round of all kinds; returns the bytes written. */
static size_t
put_junk(int fd)
{
  size_t bytes = 0;

  for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
    put_text(fd, junk[i]);
    bytes += strlen(junk[i]);
  }
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    put_event(fd, lies[i]);
    bytes += strlen(lies[i]) + 100;
  }
  put(fd, "\0\0\n", 3);
  return bytes + 3;
}

static void
put_large_junk(int fd)
{
  static char line[LONG_LINE + 1];

  memset(line, '[', NESTED);
  line[NESTED] = '\n';
  put(fd, line, NESTED + 1);
  memset(line, 'a', LONG_LINE);
  line[LONG_LINE] = '\n';
  put(fd, line, LONG_LINE + 1);
  put_repeated(fd, "{\"a\":", 1000);
  put_text(fd, "\n");
}

static void
run(int fd, Mode mode)
{
  static char chunk[CHUNK_BYTES];

  memset(chunk, 'x', sizeof chunk);
  while (!listen_to_host(fd, mode, 1000))
    ;
  fprintf(stderr, "flood: %s\n", names[mode]);
  for (unsigned round = 0;; round++) {
    switch (mode) {
    case EVENTS:
      listen_to_host(fd, mode, 0);
      for (int i = 0; i < 100; i++)
        put_event(fd, figures(mode));
      break;
    case ENDLESS:
      put(fd, chunk, sizeof chunk);
      break;
    case JUNK:
      if (round % 128 == 0)
        put_large_junk(fd);
      listen_to_host(fd, mode, (int)(put_junk(fd) * 1000 / JUNK_PER_S));
      break;
    case LIAR:
      listen_to_host(fd, mode, 100);
      put_event(fd, figures(mode));
      break;
    default:
      pause();
    }
  }
}

static void
usage(FILE *out)
{
  fputs("usage: flood PORT MODE, once the host has synced:\n"
        "  events   pressure events as fast as it goes\n"
        "  endless  no newline, as fast as it goes\n"
        "  junk     invalid UTF-8, nested and broken JSON, long lines; 128 KiB/s\n"
        "  liar     an agent with absurd figures\n"
        "  mute     never reads, nor writes\n",
        out);
}

int
main(int argc, char **argv)
{
  int fd;

  for (int mode = 0; argc == 3 && mode < MODES; mode++) {
    if (strcmp(argv[2], names[mode]) != 0)
      continue;
    fd = open(argv[1], O_RDWR | O_CLOEXEC);
    if (fd < 0)
      fail(argv[1]);
    run(fd, (Mode)mode);
  }
  usage(stderr);
  return 2;
}
