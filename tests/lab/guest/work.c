/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * work: the guest's workload.
 *
 * With --mem, N tasks fill their part of the memory with incompressible data
 * and then change random pages of it, or with --in-order one page after the
 * other, again and again; with --read they read a file or disk over
 * and over, so that the page cache fills. The parent only watches: it is locked
 * in memory, and once a second writes one line, to standard output or over the
 * previous one in the --stat file (padded with blanks):
 *     UPTIME_MS  EVENTS_PER_SECOND  EVENTS  READY/N
 * where an event is a page changed or read, and a task is ready when it lives
 * and has filled its memory (read its file once). SIGTERM ends everything.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  PAGE_BYTES = 4096,
  PAGES_PER_MIB = 256,
  READ_BYTES = 32 * PAGE_BYTES, /* the kernel's readahead window */
  MAX_TASKS = 64,
  LINE_BYTES = 96, /* four numbers of 20 digits, padded with blanks */
};

/* How much of a page can't be compressed: all of it, unless swap is zram, to which such pages
 * could be moved, but would free nothing. */
#ifndef RANDOM_BYTES
#define RANDOM_BYTES PAGE_BYTES
#endif

static const uint64_t NS_PER_S = 1000000000;
static const uint64_t NS_PER_MS = 1000000;

typedef struct {
  uint64_t mem_mib;
  uint64_t read_mib;
  uint64_t tasks;
  uint64_t seconds;        /* 0: for ever */
  uint64_t ramp_mib_per_s; /* all tasks together; 0: as fast as it goes */
  uint64_t pages_per_s;    /* all tasks together; 0: as fast as it goes */
  bool hold;               /* fill, then leave the memory alone */
  bool in_order;           /* memory too */
  const char *file;        /* what --read reads */
  const char *stat;        /* NULL: standard output */
} Options;

/* What a task tells the parent; one cache line each. */
typedef struct {
  _Alignas(64) _Atomic uint64_t events;
  _Atomic bool ready;
} Slot;

static volatile sig_atomic_t ended;

static void
on_signal(int signum)
{
  (void)signum;
  ended = 1;
}

static void
fail(const char *what)
{
  fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static uint64_t
now_ns(void)
{
  struct timespec t;

  clock_gettime(CLOCK_BOOTTIME, &t);
  return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void
sleep_ns(uint64_t ns)
{
  struct timespec t = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };

  nanosleep(&t, NULL);
}

/* Spreads events evenly over time. */
typedef struct {
  uint64_t interval_ns; /* 0: no limit */
  uint64_t due_ns;
} Pacer;

static Pacer
pacer_new(uint64_t events_per_s, uint64_t tasks)
{
  return (Pacer){ .interval_ns = events_per_s ? tasks * NS_PER_S / events_per_s : 0, .due_ns = now_ns() };
}

static void
pacer_wait(Pacer *pacer)
{
  const uint64_t slack_ns = NS_PER_MS; /* shorter sleeps cost more than they give */
  uint64_t now;

  if (pacer->interval_ns == 0)
    return;
  pacer->due_ns += pacer->interval_ns;
  now = now_ns();
  if (pacer->due_ns > now + slack_ns)
    sleep_ns(pacer->due_ns - now);
  else if (pacer->due_ns + NS_PER_S < now)
    pacer->due_ns = now; /* after a stall go on, don't make up for it */
}

static uint64_t
next_random(uint64_t *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void
fill_page(uint64_t *page, uint64_t *random)
{
  for (size_t i = 0; i < RANDOM_BYTES / sizeof *page; i++)
    page[i] = next_random(random);
}

static void
memory_task(const Options *options, uint64_t index, Slot *slot)
{
  uint64_t random = 88172645463325252u ^ ((index + 1) * 0x9E3779B97F4A7C15u);
  const size_t words_per_page = PAGE_BYTES / sizeof(uint64_t);
  const size_t pages = options->mem_mib * PAGES_PER_MIB / options->tasks;
  Pacer ramp = pacer_new(options->ramp_mib_per_s * PAGES_PER_MIB, options->tasks);
  Pacer pace;
  size_t next = 0;
  uint64_t *memory =
      mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (memory == MAP_FAILED)
    fail("mmap");
  for (size_t page = 0; page < pages; page++) {
    fill_page(memory + page * words_per_page, &random);
    pacer_wait(&ramp);
  }
  slot->ready = true;

  pace = pacer_new(options->pages_per_s, options->tasks);
  while (!options->hold) {
    const size_t page = options->in_order ? next++ : next_random(&random);

    memory[page % pages * words_per_page]++;
    slot->events++;
    pacer_wait(&pace);
  }
  for (;;)
    pause();
}

static void
read_task(const Options *options, Slot *slot)
{
  static char buffer[READ_BYTES];
  const uint64_t limit_bytes = options->read_mib * PAGES_PER_MIB * PAGE_BYTES;
  const int fd = open(options->file, O_RDONLY | O_CLOEXEC);
  Pacer pace = pacer_new(options->pages_per_s * PAGE_BYTES / READ_BYTES, options->tasks);
  uint64_t offset = 0;

  if (fd < 0)
    fail(options->file);
  for (;;) {
    const ssize_t got = offset < limit_bytes ? pread(fd, buffer, sizeof buffer, (off_t)offset) : 0;

    if (got < 0 || (got == 0 && offset == 0))
      fail(options->file);
    if (got == 0) {
      slot->ready = true;
      offset = 0;
      continue;
    }
    offset += (uint64_t)got;
    slot->events += (uint64_t)got / PAGE_BYTES;
    pacer_wait(&pace);
  }
}

/* When memory runs out, a task is to go and not the guest's agent. */
static void
offer_to_oom_killer(void)
{
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

  if (fd < 0)
    return;
  if (write(fd, "500", 3) < 0)
    perror("work: oom_score_adj");
  close(fd);
}

static pid_t
start_task(const Options *options, uint64_t index, Slot *slot)
{
  const pid_t parent = getpid();
  const pid_t pid = fork();

  if (pid < 0)
    fail("fork");
  if (pid > 0)
    return pid;
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) /* gone before prctl */
    exit(EXIT_FAILURE);
  offer_to_oom_killer();
  if (options->mem_mib > 0)
    memory_task(options, index, slot);
  else
    read_task(options, slot);
  exit(EXIT_FAILURE);
}

/* A task that was killed is no longer ready. Returns the number of tasks alive. */
static uint64_t
reap_tasks(pid_t *tasks, Slot *slots, uint64_t n)
{
  uint64_t alive = 0;

  for (uint64_t i = 0; i < n; i++) {
    if (tasks[i] > 0 && waitpid(tasks[i], NULL, WNOHANG) == tasks[i]) {
      tasks[i] = 0;
      slots[i].ready = false;
    }
    alive += tasks[i] > 0;
  }
  return alive;
}

static void
end_tasks(const pid_t *tasks, uint64_t n)
{
  for (uint64_t i = 0; i < n; i++) {
    if (tasks[i] > 0)
      kill(tasks[i], SIGKILL);
  }
  for (uint64_t i = 0; i < n; i++) {
    if (tasks[i] > 0)
      waitpid(tasks[i], NULL, 0);
  }
}

/* The file is one locked page: writing to it allocates nothing, so that it keeps its
 * pace in a guest where every allocation waits for the swap disk. */
static char *
map_stat_file(const char *path)
{
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  char *line;

  if (fd < 0 || ftruncate(fd, LINE_BYTES) < 0)
    fail(path);
  line = mmap(NULL, LINE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (line == MAP_FAILED)
    fail(path);
  close(fd);
  return line;
}

static void
report(const Options *options, char *stat, const Slot *slots, uint64_t elapsed_ms, uint64_t *events_before)
{
  uint64_t events = 0, ready = 0;
  char figures[LINE_BYTES], line[LINE_BYTES + 1];

  for (uint64_t i = 0; i < options->tasks; i++) {
    events += slots[i].events;
    ready += slots[i].ready;
  }
  snprintf(figures, sizeof figures, "%ju %ju %ju %ju/%ju", (uintmax_t)(now_ns() / NS_PER_MS),
           (uintmax_t)((events - *events_before) * 1000 / (elapsed_ms + 1)), (uintmax_t)events,
           (uintmax_t)ready, (uintmax_t)options->tasks);
  snprintf(line, sizeof line, "%-*s\n", LINE_BYTES - 1, figures);
  if (stat != NULL) {
    memcpy(stat, line, LINE_BYTES);
  } else {
    puts(figures);
    fflush(stdout);
  }
  *events_before = events;
}

/* Reports at once, so that FILE is there, and then every second. False when no task is left. */
static bool
watch_tasks(const Options *options, char *stat, pid_t *tasks, Slot *slots)
{
  const uint64_t started_ns = now_ns();
  uint64_t reported_ns = started_ns, events = 0, alive;

  report(options, stat, slots, 0, &events);
  do {
    uint64_t now;

    sleep_ns(NS_PER_S);
    now = now_ns();
    alive = reap_tasks(tasks, slots, options->tasks);
    report(options, stat, slots, (now - reported_ns) / NS_PER_MS, &events);
    reported_ns = now;
  } while (!ended && alive > 0 &&
           (options->seconds == 0 || reported_ns - started_ns < options->seconds * NS_PER_S));
  return alive > 0;
}

static void
usage(FILE *out)
{
  fputs("usage: work --mem MIB [--hold | --in-order] [--ramp MIB_PER_S] [OPTION…]\n"
        "       work --read MIB [--file PATH (/dev/data)] [OPTION…]\n"
        "options: [--tasks N] [--seconds S (0: for ever)] [--pace PAGES_PER_S] [--stat FILE]\n",
        out);
}

static uint64_t
parse_number(const char *text)
{
  char *end;
  unsigned long long value;

  errno = 0;
  value = strtoull(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || *text == '-' || value > UINT32_MAX) {
    fprintf(stderr, "work: '%s' is not a number\n", text);
    exit(2);
  }
  return value;
}

static Options
parse_options(int argc, char **argv)
{
  static const struct option known[] = {
    { "mem", required_argument, NULL, 'm' },
    { "read", required_argument, NULL, 'r' },
    { "file", required_argument, NULL, 'f' },
    { "tasks", required_argument, NULL, 't' },
    { "seconds", required_argument, NULL, 's' },
    { "hold", no_argument, NULL, 'h' },
    { "ramp", required_argument, NULL, 'a' },
    { "stat", required_argument, NULL, 'o' },
    { "pace", required_argument, NULL, 'p' },
    { "in-order", no_argument, NULL, 'i' },
    { NULL, 0, NULL, 0 },
  };
  Options options = { .tasks = 1, .file = "/dev/data" };
  int c;

  while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
    switch (c) {
    case 'm':
      options.mem_mib = parse_number(optarg);
      break;
    case 'r':
      options.read_mib = parse_number(optarg);
      break;
    case 'f':
      options.file = optarg;
      break;
    case 't':
      options.tasks = parse_number(optarg);
      break;
    case 's':
      options.seconds = parse_number(optarg);
      break;
    case 'h':
      options.hold = true;
      break;
    case 'i':
      options.in_order = true;
      break;
    case 'a':
      options.ramp_mib_per_s = parse_number(optarg);
      break;
    case 'o':
      options.stat = optarg;
      break;
    case 'p':
      options.pages_per_s = parse_number(optarg);
      break;
    default:
      usage(stderr);
      exit(2);
    }
  }
  if (optind < argc || (options.mem_mib > 0) == (options.read_mib > 0) || options.tasks < 1 ||
      options.tasks > MAX_TASKS || (options.mem_mib > 0 && options.mem_mib < options.tasks)) {
    usage(stderr);
    exit(2);
  }
  return options;
}

int
main(int argc, char **argv)
{
  const Options options = parse_options(argc, argv);
  const struct sigaction action = { .sa_handler = on_signal };
  pid_t tasks[MAX_TASKS];
  bool done;
  char *stat = NULL;
  Slot *slots =
      mmap(NULL, MAX_TASKS * sizeof *slots, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  if (slots == MAP_FAILED)
    fail("mmap");
  if (options.stat != NULL)
    stat = map_stat_file(options.stat);
  if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) /* the tasks don't inherit it */
    perror("work: mlockall");
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  for (uint64_t i = 0; i < options.tasks; i++)
    tasks[i] = start_task(&options, i, &slots[i]);
  done = watch_tasks(&options, stat, tasks, slots);
  end_tasks(tasks, options.tasks);
  return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
