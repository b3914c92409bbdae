/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * errand: the tests' own hand in a guest, over /dev/xen/xenbus. Not the agent.
 *   errand               runs for ever: data/lab/request is "N COMMAND"; data/lab/reply becomes "N STATUS OUTPUT".
 *                        Five times a second data/lab/vitals is "UPTIME_MS PSWPIN PSWPOUT AVAILABLE_KIB".
 *   errand clock         runs for ever: data/lab/ask is any word; data/lab/told becomes "WORD TIME_US"
 *   errand put PATH      writes what comes on standard input there, as it is
 *   errand flood PATH SECONDS
 *                        writes it with another number as fast as that goes; prints how often
 *   errand fill PATH     makes nodes below it until that is refused; prints how many, and the error
 * The last three exit with 1, and print the store's error, where it refuses.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

enum {
  VITALS_MS = 200,
  OUTPUT_BYTES = 1000, /* what a guest may write in one value is less than 2 KiB */
};

typedef struct {
  int fd;
  bool watch_fired;
  char payload[XENSTORE_PAYLOAD_MAX + 1]; /* of the last reply, terminated */
} Store;

static void
fail(const char *what)
{
  fprintf(stderr, "errand: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static void
read_all(int fd, void *buffer, size_t size)
{
  for (size_t done = 0; done < size;) {
    const ssize_t n = read(fd, (char *)buffer + done, size - done);

    if (n <= 0)
      fail("xenbus");
    done += (size_t)n;
  }
}

static uint32_t
receive(Store *store)
{
  struct xsd_sockmsg head;

  read_all(store->fd, &head, sizeof head);
  if (head.len > XENSTORE_PAYLOAD_MAX) {
    errno = EMSGSIZE;
    fail("xenbus");
  }
  read_all(store->fd, store->payload, head.len);
  store->payload[head.len] = '\0';
  if (head.type == XS_WATCH_EVENT)
    store->watch_fired = true;
  return head.type;
}

/* A request of two parts, the first with its terminating 0. False: refused, payload says why. */
static bool
request(Store *store, uint32_t type, const char *path, const void *more, size_t size)
{
  struct xsd_sockmsg head = { .type = type, .len = (uint32_t)(strlen(path) + 1 + size) };
  char message[sizeof head + XENSTORE_PAYLOAD_MAX];
  uint32_t answer;

  if (head.len > XENSTORE_PAYLOAD_MAX) {
    strcpy(store->payload, "E2BIG"); /* the kernel would cut the connection */
    return false;
  }
  memcpy(message, &head, sizeof head);
  memcpy(message + sizeof head, path, strlen(path) + 1);
  if (size > 0)
    memcpy(message + sizeof head + strlen(path) + 1, more, size);
  if (write(store->fd, message, sizeof head + head.len) < 0) {
    snprintf(store->payload, sizeof store->payload, "%s", strerror(errno));
    return false;
  }
  do
    answer = receive(store);
  while (answer == XS_WATCH_EVENT);
  return answer != XS_ERROR;
}

static bool
put(Store *store, const char *path, const char *text)
{
  return request(store, XS_WRITE, path, text, strlen(text));
}

static uint64_t
now_ms(void)
{
  struct timespec t;

  clock_gettime(CLOCK_BOOTTIME, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Vitals. */

static uint64_t
figure(const char *file, const char *name)
{
  static char text[16384];
  const int fd = open(file, O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  const char *at;

  if (fd >= 0)
    close(fd);
  text[n > 0 ? n : 0] = '\0';
  at = strstr(text, name);
  return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void
put_vitals(Store *store)
{
  char text[128];

  snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, now_ms(),
           figure("/proc/vmstat", "pswpin "), figure("/proc/vmstat", "pswpout "),
           figure("/proc/meminfo", "MemAvailable:"));
  put(store, "data/lab/vitals", text);
}

/* Commands. */

typedef struct {
  unsigned long number; /* of the request that was begun last */
  pid_t pid;            /* 0: none runs */
  int output;
  size_t size;
  char text[OUTPUT_BYTES + 1];
} Command;

static void
begin(Store *store, Command *command)
{
  char *rest;
  unsigned long number;
  int ends[2];

  store->watch_fired = false;
  if (!request(store, XS_READ, "data/lab/request", NULL, 0))
    return;
  number = strtoul(store->payload, &rest, 10);
  if (number == command->number || *rest != ' ')
    return;
  if (pipe2(ends, O_CLOEXEC) < 0)
    fail("pipe");
  command->number = number;
  command->size = 0;
  command->output = ends[0];
  command->pid = fork();
  if (command->pid < 0)
    fail("fork");
  if (command->pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    setsid();
    execl("/bin/sh", "sh", "-c", rest + 1, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
}

static void
finish(Store *store, Command *command)
{
  char text[OUTPUT_BYTES + 64];
  int status = 0;

  while (waitpid(command->pid, &status, 0) < 0 && errno == EINTR)
    ;
  close(command->output);
  command->pid = 0;
  command->text[command->size] = '\0';
  snprintf(text, sizeof text, "%lu %d %s", command->number,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), command->text);
  put(store, "data/lab/reply", text);
}

/* What doesn't fit is read and dropped. */
static void
collect(Store *store, Command *command)
{
  char buffer[512];
  const ssize_t n = read(command->output, buffer, sizeof buffer);
  size_t room = OUTPUT_BYTES - command->size;

  if (n <= 0) {
    finish(store, command);
    return;
  }
  if ((size_t)n < room)
    room = (size_t)n;
  memcpy(command->text + command->size, buffer, room);
  command->size += room;
}

static _Noreturn void
serve(Store *store)
{
  Command command = { .number = 0 };
  uint64_t due_ms = now_ms();

  if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
    fail("mlockall");
  put(store, "data/lab/reply", "0 0 ");
  if (!request(store, XS_WATCH, "data/lab/request", "errand", sizeof "errand"))
    fail(store->payload);
  for (;;) {
    struct pollfd fds[] = { { store->fd, POLLIN, 0 }, { command.output, POLLIN, 0 } };
    const uint64_t now = now_ms();

    if (now >= due_ms) {
      put_vitals(store);
      due_ms = now + VITALS_MS;
    }
    if (store->watch_fired && command.pid == 0)
      begin(store, &command);
    if (poll(fds, command.pid != 0 ? 2 : 1, (int)(due_ms > now ? due_ms - now : 0)) < 0)
      continue;
    if (fds[0].revents)
      receive(store);
    if (command.pid != 0 && fds[1].revents)
      collect(store, &command);
  }
}

/* The time is that of the question, not of the answer. */
static _Noreturn void
tell_time(Store *store)
{
  if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
    fail("mlockall");
  if (!request(store, XS_WATCH, "data/lab/ask", "clock", sizeof "clock"))
    fail(store->payload);
  for (;;) {
    char text[64];
    struct timespec t;

    while (!store->watch_fired)
      receive(store);
    store->watch_fired = false;
    clock_gettime(CLOCK_REALTIME, &t);
    if (!request(store, XS_READ, "data/lab/ask", NULL, 0))
      continue;
    snprintf(text, sizeof text, "%.20s %lld", store->payload,
             (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
    put(store, "data/lab/told", text);
  }
}

/* Mischief. */

static int
report_refusal(const Store *store)
{
  puts(store->payload);
  return EXIT_FAILURE;
}

static int
put_input(Store *store, const char *path)
{
  static char value[XENSTORE_PAYLOAD_MAX];
  const size_t size = fread(value, 1, sizeof value, stdin);

  return request(store, XS_WRITE, path, value, size) ? EXIT_SUCCESS : report_refusal(store);
}

static int
flood(Store *store, const char *path, const char *seconds)
{
  const uint64_t end_ms = now_ms() + strtoull(seconds, NULL, 10) * 1000;
  unsigned long n = 0;

  for (; now_ms() < end_ms; n++) {
    char text[64];

    snprintf(text, sizeof text, "%lu", n);
    if (!put(store, path, text))
      return report_refusal(store);
  }
  printf("%lu\n", n);
  return EXIT_SUCCESS;
}

static int
fill(Store *store, const char *path)
{
  char node[256];
  unsigned long n = 0;

  do
    snprintf(node, sizeof node, "%s/%lu", path, ++n);
  while (put(store, node, "x"));
  printf("%lu %s\n", n, store->payload);
  return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
  static Store store;

  store.fd = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
  if (store.fd < 0)
    fail("/dev/xen/xenbus");
  if (argc == 1)
    serve(&store);
  if (argc == 2 && strcmp(argv[1], "clock") == 0)
    tell_time(&store);
  if (argc == 3 && strcmp(argv[1], "put") == 0)
    return put_input(&store, argv[2]);
  if (argc == 4 && strcmp(argv[1], "flood") == 0)
    return flood(&store, argv[2], argv[3]);
  if (argc == 3 && strcmp(argv[1], "fill") == 0)
    return fill(&store, argv[2]);
  fputs("usage: errand [clock | put PATH | flood PATH SECONDS | fill PATH]\n", stderr);
  return 2;
}
