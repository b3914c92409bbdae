/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qga-ext/cgroup.h"
#include "qga-ext/clock.h"
#include "qga-ext/reader.h"
#include "qga-ext/thread.h"
#include "tests/qga-ext/kit.h"

#define PAGE ((guint64)4096)
#define NEVER UINT64_MAX
#define SWAPPED ((guint64)1 << 62)
#define PRESENT ((guint64)1 << 63)

/* What was asked of the kernel, by all. */
static struct {
  GString *asked; /* "PID:START+PAGES …" */
  guint n_awaited;
  int problem;         /* errno of advise */
  int open_problem;    /* and of open */
  volatile gint pages; /* taken notice of by advise */
  volatile gint held;  /* advise waits for it to become 0 */
} kernel;

typedef struct {
  Kit *kit;
  CagmaSystem system;
  CagmaReadBack read_back;
} Fixture;

/* A descriptor stands for a process by its number. */
static int
fake_open(uint32_t pid)
{
  char path[32];

  if (kernel.open_problem != 0) {
    errno = kernel.open_problem;
    return -1;
  }
  g_snprintf(path, sizeof path, "/proc/self/fd");
  g_string_append_printf(kernel.asked, "%u:", pid);
  return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static ssize_t
fake_advise(int fd, const struct iovec *ranges, size_t n)
{
  ssize_t bytes = 0;

  g_assert_cmpint(fcntl(fd, F_GETFD), >=, 0);
  while (g_atomic_int_get(&kernel.held))
    g_usleep(100);
  if (kernel.problem != 0) {
    errno = kernel.problem;
    return -1;
  }
  for (size_t i = 0; i < n; i++) {
    g_string_append_printf(kernel.asked, "%zx+%zu ", (size_t)ranges[i].iov_base / PAGE,
                           ranges[i].iov_len / PAGE);
    bytes += (ssize_t)ranges[i].iov_len;
    g_atomic_int_add(&kernel.pages, (gint)(ranges[i].iov_len / PAGE));
  }
  return bytes;
}

static void
fake_await(uint32_t pid, void *page)
{
  g_assert_cmpuint(pid, >, 0);
  g_assert_cmpuint((size_t)page % PAGE, ==, 0);
  kernel.n_awaited++;
}

static const CagmaReadBackCalls calls = { fake_open, fake_advise, fake_await };

static void
write_available(Fixture *f, guint kib)
{
  g_autofree char *text =
      g_strdup_printf("MemTotal: 262144 kB\nMemFree: 4096 kB\nMemAvailable: %u kB\n", kib);

  kit_write(f->kit, "meminfo", text);
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  (void)unused;
  memset(&kernel, 0, sizeof kernel);
  kernel.asked = g_string_new(NULL);
  f->kit = kit_new();
  write_available(f, 200 * 1024);
  g_assert_true(cagma_system_open(&f->system, f->kit->proc));
  f->system.page_bytes = PAGE;
  cagma_read_back_init(&f->read_back, &calls);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  cagma_read_back_reset(&f->read_back);
  kit_free(f->kit);
  g_string_free(kernel.asked, TRUE);
}

/* A process with smaps as given, and pages of it with these bits. */
static void
write_process(Fixture *f, guint pid, guint64 swap_kib, const char *smaps)
{
  g_autofree char *name = g_strdup_printf("%u/smaps", pid);

  kit_write_process(f->kit, pid, 0, 5, 1, 1, swap_kib);
  kit_write(f->kit, name, smaps);
}

static void
write_pages(Fixture *f, guint pid, guint64 first, guint64 n, guint64 bits)
{
  g_autofree char *path = g_strdup_printf("%s/%u/pagemap", f->kit->proc, pid);
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

  g_assert_cmpint(fd, >=, 0);
  for (guint64 i = 0; i < n; i++)
    g_assert_cmpint(pwrite(fd, &bits, sizeof bits, (off_t)((first + i) * sizeof bits)), ==, sizeof bits);
  close(fd);
}

#define MAPPING(range, rest, kib)                                                                            \
  range rest "Size:  4 kB\nRss:  0 kB\nSwap:  " kib " kB\nSwapPss:  0 kB\nVmFlags: rd\n"

static CagmaReadBackResult
step(Fixture *f, guint64 max_bytes)
{
  return cagma_read_back_step(&f->read_back, &f->system, max_bytes, NEVER);
}

static void
run_to_the_end(Fixture *f)
{
  guint steps = 0;

  for (; step(f, 1 << 30) == CAGMA_READ_BACK_MORE; steps++)
    g_assert_cmpuint(steps, <, 100);
}

/* smaps */

static char *
ranges_in(const char *text, gsize piece)
{
  g_autoptr(GString) found = g_string_new(NULL);
  CagmaSmaps smaps;
  const gsize length = strlen(text);

  cagma_smaps_init(&smaps);
  for (gsize at = 0; at < length;) {
    const gsize n = MIN(piece, length - at);
    CagmaRange range;

    at += cagma_smaps_feed(&smaps, text + at, n, &range);
    if (range.start < range.end)
      g_string_append_printf(found, "%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x ", range.start,
                             range.end);
  }
  return g_strdup(found->str);
}

static void
smaps_are_read_in_any_pieces(Fixture *f, gconstpointer unused)
{
  static const struct {
    const char *text, *ranges;
  } cases[] = {
    { "", "" },
    { MAPPING("1000-3000 rw-p 00000000 00:00 0 ", "\n", "8"), "1000-3000 " },
    { MAPPING("1000-3000 rw-p 00000000 00:00 0", "\n", "8"), "1000-3000 " },
    { MAPPING("1000-3000 rw-p 00000000 00:00 0 ", "   [heap]\n", "8"), "1000-3000 " },
    { MAPPING("1000-3000 ---p 00000000 00:00 0 ", "\n", "4"), "1000-3000 " },
    { MAPPING("7fffffffe000-fffffffffffff000 rw-p 00000000 00:00 0 ", "\n", "1"),
      "7fffffffe000-fffffffffffff000 " },
    /* Nothing in swap; a file's; shared. */
    { MAPPING("1000-3000 rw-p 00000000 00:00 0 ", "\n", "0"), "" },
    { MAPPING("1000-3000 rw-p 00002000 fe:01 13 ", "  /lib/x\n", "8"), "" },
    { MAPPING("1000-3000 rw-s 00000000 00:01 77 ", "  /dev/zero (deleted)\n", "8"), "" },
    { MAPPING("1000-3000 rw-s 00000000 00:00 0 ", "\n", "8"), "" },
    /* Several. */
    { MAPPING("1000-3000 rw-p 00000000 00:00 0 ", "\n", "8")
          MAPPING("3000-4000 rw-p 00000000 00:00 0 ", "\n", "0")
              MAPPING("5000-6000 rw-p 00000000 00:00 0 ", "\n", "4"),
      "1000-3000 5000-6000 " },
    /* Names that mean harm: a field belongs to the mapping before it, once. */
    { MAPPING("1000-3000 rw-p 00000000 fe:01 13 ", "/a\nSwap: 99 kB\n", "8"), "" },
    { MAPPING("1000-3000 rw-p 00000000 00:00 0 ", "[anon:x\nSwap: 99 kB]\n", "8"), "1000-3000 " },
    /* Junk. */
    { "Swap: 12 kB\n", "" },
    { "zzz\n\n\n-\n1000\n1000-\n", "" },
    { MAPPING("1000-1000 rw-p 00000000 00:00 0 ", "\n", "8"), "" },
    { MAPPING("3000-1000 rw-p 00000000 00:00 0 ", "\n", "8"), "" },
    { MAPPING("10000000000000000-20000000000000000 rw-p 00000000 00:00 0 ", "\n", "8"), "" },
    { MAPPING("1000-3000 rwp 00000000 00:00 0 ", "\n", "8"), "" },
    { MAPPING("1000-3000 rw-p 00000000 00:00 ", "\n", "8"), "" },
    { MAPPING("1000-3000 rw-p 00000000 00:00 0 ", "\n", "99999999999999999999999"), "" },
    { MAPPING("1000-3000 rw-p 00000000 00:00 0 ", "\n", "-8"), "" },
  };
  g_autofree char *filler = g_strnfill(5000, 'n');
  g_autofree char *text =
      g_strdup_printf(MAPPING("1000-3000 rw-p 00000000 00:00 0 ", "[anon:%s]\n", "8"), filler);
  g_autofree char *long_name = ranges_in(text, 64);

  (void)f, (void)unused;
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    note(cases[i].text);
    for (gsize piece = 1; piece < 400; piece += piece < 5 ? 1 : 67) {
      g_autofree char *ranges = ranges_in(cases[i].text, piece);

      g_assert_cmpstr(ranges, ==, cases[i].ranges);
    }
  }
  g_assert_cmpstr(long_name, ==, "1000-3000 ");
}

/* The work itself. */

static void
what_is_swapped_comes_in_order(Fixture *f, gconstpointer unused)
{
  (void)unused;
  write_process(f, 20, 400, MAPPING("10000-20000 rw-p 00000000 00:00 0 ", "\n", "20"));
  write_pages(f, 20, 0x10, 16, PRESENT);
  write_pages(f, 20, 0x11, 3, SWAPPED);
  write_pages(f, 20, 0x15, 1, SWAPPED);
  write_pages(f, 20, 0x1f, 1, SWAPPED);
  /* More in swap, so first; two mappings, one of them a file's. */
  write_process(f, 30, 9000,
                MAPPING("10000-20000 r--p 00000000 fe:00 3 ", "/lib/y\n", "64")
                    MAPPING("40000-42000 rw-p 00000000 00:00 0 ", "\n", "8"));
  write_pages(f, 30, 0x10, 16, SWAPPED);
  write_pages(f, 30, 0x40, 2, SWAPPED);
  /* Too little to be worth it, and none. */
  write_process(f, 40, 255, MAPPING("10000-20000 rw-p 00000000 00:00 0 ", "\n", "64"));
  write_pages(f, 40, 0x10, 16, SWAPPED);
  run_to_the_end(f);
  g_assert_cmpstr(kernel.asked->str, ==, "30:40+2 20:11+3 15+1 1f+1 ");
  g_assert_cmpuint(f->read_back.bytes, ==, 7 * PAGE);
  g_assert_cmpuint(f->read_back.processes, ==, 2);
  g_assert_cmpuint(kernel.n_awaited, ==, 2);
  g_assert_cmpint(step(f, 1 << 30), ==, CAGMA_READ_BACK_OVER);
  cagma_read_back_reset(&f->read_back);
  g_string_truncate(kernel.asked, 0);
  run_to_the_end(f);
  g_assert_cmpstr(kernel.asked->str, ==, "30:40+2 20:11+3 15+1 1f+1 ");
}

static void
a_step_is_bounded(Fixture *f, gconstpointer unused)
{
  (void)unused;
  write_process(f, 20, 40000, MAPPING("100000-a00000 rw-p 00000000 00:00 0 ", "\n", "9216"));
  write_pages(f, 20, 0x100, 0x900, SWAPPED);
  /* By what it may, … */
  g_assert_cmpint(step(f, 3 * PAGE + 17), ==, CAGMA_READ_BACK_MORE);
  g_assert_cmpstr(kernel.asked->str, ==, "20:100+3 ");
  g_assert_cmpint(step(f, PAGE - 1), ==, CAGMA_READ_BACK_NO_ROOM);
  /* … by a slice, … */
  g_assert_cmpint(step(f, 1 << 30), ==, CAGMA_READ_BACK_MORE);
  g_assert_cmpstr(kernel.asked->str, ==, "20:100+3 103+128 ");
  /* … by what is available, above the 16 MiB kept … */
  write_available(f, 16 * 1024 + 64 * PAGE / 1024);
  g_assert_cmpint(step(f, 1 << 30), ==, CAGMA_READ_BACK_MORE);
  g_assert_cmpstr(kernel.asked->str, ==, "20:100+3 103+128 183+64 ");
  write_available(f, 16 * 1024);
  g_assert_cmpint(step(f, 1 << 30), ==, CAGMA_READ_BACK_NO_ROOM);
  write_available(f, 200 * 1024);
  /* … and by time: it goes on where it was. */
  g_assert_cmpint(cagma_read_back_step(&f->read_back, &f->system, 1 << 30, 0), ==, CAGMA_READ_BACK_MORE);
  run_to_the_end(f);
  g_assert_cmpuint(f->read_back.bytes, ==, 0x900 * PAGE);
  kit_write(f->kit, "meminfo", "junk\n");
  g_assert_cmpint(step(f, 1 << 30), ==, CAGMA_READ_BACK_NO_ROOM);
}

static void
scattered_pages_are_asked_for_in_bounded_numbers(Fixture *f, gconstpointer unused)
{
  g_autoptr(GString) expected = g_string_new("20:");

  (void)unused;
  write_process(f, 20, 40000, MAPPING("100000-200000 rw-p 00000000 00:00 0 ", "\n", "512"));
  for (guint64 i = 0; i < 128; i++)
    write_pages(f, 20, 0x100 + 2 * i, 1, SWAPPED);
  g_assert_cmpint(step(f, 1 << 30), ==, CAGMA_READ_BACK_MORE);
  for (guint64 i = 0; i < CAGMA_READ_BACK_RANGES; i++)
    g_string_append_printf(expected, "%x+1 ", (guint)(0x100 + 2 * i));
  g_assert_cmpstr(kernel.asked->str, ==, expected->str);
  run_to_the_end(f);
  g_assert_cmpuint(f->read_back.bytes, ==, 128 * PAGE);
}

static void
processes_that_go_are_left(Fixture *f, gconstpointer unused)
{
  (void)unused;
  /* Without smaps, without pages, with fewer than its smaps say, and with an end that isn't one. */
  kit_write_process(f->kit, 20, 0, 5, 1, 1, 9000);
  write_process(f, 21, 8000, MAPPING("100000-200000 rw-p 00000000 00:00 0 ", "\n", "512"));
  write_process(f, 22, 7000,
                MAPPING("100000-200000 rw-p 00000000 00:00 0 ", "\n", "512")
                    MAPPING("7fffffffe000-7ffffffff000 rw-p 00000000 00:00 0 ", "\n", "4"));
  write_pages(f, 22, 0x100, 2, SWAPPED);
  write_process(f, 23, 6000, "100000-200000 rw-p 00000000 00:00 0 \nSwap:  12");
  write_pages(f, 23, 0x100, 2, SWAPPED);
  run_to_the_end(f);
  g_assert_cmpuint(f->read_back.bytes, ==, 2 * PAGE);
  g_assert_cmpuint(f->read_back.refused, ==, 0);
  g_assert_nonnull(strstr(kernel.asked->str, "22:100+2 "));
}

static void
refusals_are_counted(Fixture *f, gconstpointer unused)
{
  (void)unused;
  write_process(f, 20, 40000, MAPPING("100000-200000 rw-p 00000000 00:00 0 ", "\n", "512"));
  write_pages(f, 20, 0x100, 1, SWAPPED);
  kernel.problem = ESRCH;
  run_to_the_end(f);
  g_assert_cmpuint(f->read_back.refused, ==, 0);
  cagma_read_back_reset(&f->read_back);
  kernel.problem = EPERM;
  run_to_the_end(f);
  g_assert_cmpuint(f->read_back.refused, ==, 1);
  g_assert_cmpuint(f->read_back.bytes, ==, 0);
  cagma_read_back_reset(&f->read_back);
  kernel.open_problem = EPERM;
  run_to_the_end(f);
  g_assert_cmpuint(f->read_back.refused, ==, 1);
}

static void
those_with_most_come_first(Fixture *f, gconstpointer unused)
{
  g_autoptr(GString) expected = g_string_new(NULL);

  (void)unused;
  for (guint i = 0; i < 100; i++) {
    const guint pid = 100 + i * 37 % 100;

    write_process(f, pid, 1000 + pid, MAPPING("100000-101000 rw-p 00000000 00:00 0 ", "\n", "4"));
    write_pages(f, pid, 0x100, 1, SWAPPED);
  }
  for (guint i = 0; i < CAGMA_READ_BACK_PROCESSES; i++)
    g_string_append_printf(expected, "%u:100+1 ", 199 - i);
  run_to_the_end(f);
  g_assert_cmpstr(kernel.asked->str, ==, expected->str);
  g_assert_cmpuint(f->read_back.processes, ==, CAGMA_READ_BACK_PROCESSES);
}

static void
no_descriptor_is_left(Fixture *f, gconstpointer unused)
{
  int before, after;

  (void)unused;
  write_process(f, 20, 40000, MAPPING("100000-101000 rw-p 00000000 00:00 0 ", "\n", "4"));
  write_pages(f, 20, 0x100, 1, SWAPPED);
  kit_write_process(f->kit, 21, 0, 5, 1, 1, 9000);
  run_to_the_end(f);
  before = open("/dev/null", O_RDONLY | O_CLOEXEC);
  for (guint i = 0; i < 50; i++) {
    cagma_read_back_reset(&f->read_back);
    run_to_the_end(f);
  }
  after = open("/dev/null", O_RDONLY | O_CLOEXEC);
  g_assert_cmpint(after, ==, before + 1);
  close(before);
  close(after);
}

/* The thread. */

static CagmaReadBackProgress
await_progress(CagmaReader *reader, guint64 bytes, gboolean done)
{
  const gint64 until_us = g_get_monotonic_time() + KIT_LIMIT_US;
  CagmaReadBackProgress progress;

  do {
    g_assert_cmpint(g_get_monotonic_time(), <, until_us);
    g_usleep(1000);
    progress = cagma_reader_go_on(reader, 4 * PAGE, 5000000);
  } while (progress.done != done || progress.bytes < bytes);
  return progress;
}

static void
the_reader_goes_on_while_it_is_asked(Fixture *f, gconstpointer unused)
{
  CagmaReader *reader = cagma_reader_new(&f->system, &calls);
  CagmaReadBackProgress progress;
  gint64 began_us;

  (void)unused;
  g_assert_nonnull(reader);
  write_process(f, 20, 40000, MAPPING("100000-200000 rw-p 00000000 00:00 0 ", "\n", "512"));
  write_pages(f, 20, 0x100, 100, SWAPPED);
  /* It doesn't wait for the kernel. */
  kernel.held = 1;
  began_us = g_get_monotonic_time();
  progress = cagma_reader_go_on(reader, 4 * PAGE, 5000000);
  progress = cagma_reader_go_on(reader, 4 * PAGE, 5000000);
  g_assert_cmpint(g_get_monotonic_time() - began_us, <, G_USEC_PER_SEC);
  g_assert_cmpuint(progress.bytes, ==, 0);
  g_assert_false(progress.done);
  g_atomic_int_set(&kernel.held, 0);
  progress = await_progress(reader, 100 * PAGE, TRUE);
  g_assert_cmpuint(progress.bytes, ==, 100 * PAGE);
  g_assert_cmpuint(progress.processes, ==, 1);
  g_assert_true(cagma_reader_may(reader));
  /* Told once; then it begins anew. */
  progress = cagma_reader_go_on(reader, 4 * PAGE, 5000000);
  g_assert_false(progress.done);
  g_assert_cmpuint(progress.bytes, ==, 0);
  progress = await_progress(reader, 100 * PAGE, TRUE);
  g_assert_cmpuint(progress.bytes, ==, 100 * PAGE);
  kernel.problem = EPERM;
  cagma_reader_go_on(reader, 4 * PAGE, 5000000);
  await_progress(reader, 0, TRUE);
  g_assert_false(cagma_reader_may(reader));
}

static void
await_pages(gint pages)
{
  const gint64 until_us = g_get_monotonic_time() + KIT_LIMIT_US;

  while (g_atomic_int_get(&kernel.pages) < pages) {
    g_assert_cmpint(g_get_monotonic_time(), <, until_us);
    g_usleep(1000);
  }
}

static void
the_reader_keeps_to_its_bytes(Fixture *f, gconstpointer unused)
{
  CagmaReader *reader = cagma_reader_new(&f->system, &calls);

  (void)unused;
  write_process(f, 20, 40000, MAPPING("100000-200000 rw-p 00000000 00:00 0 ", "\n", "512"));
  write_pages(f, 20, 0x100, 100, SWAPPED);
  cagma_reader_go_on(reader, 5 * PAGE, 5000000);
  await_pages(5);
  /* Had it gone on, all would have been asked for by now. */
  cagma_reader_go_on(reader, 3 * PAGE + 1, 5000000);
  await_pages(8);
  /* No time, no work. */
  cagma_reader_go_on(reader, 3 * PAGE, 0);
  g_assert_cmpint(g_atomic_int_get(&kernel.pages), ==, 8);
  cagma_reader_go_on(reader, 92 * PAGE, 5000000);
  await_progress(reader, 100 * PAGE, TRUE);
  g_assert_cmpint(g_atomic_int_get(&kernel.pages), ==, 100);
}

static void
write_group(Fixture *f, const char *group, const char *max, const char *high, const char *current)
{
  const char *const files[][2] = { { "max", max }, { "high", high }, { "current", current } };

  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autofree char *name = g_strdup_printf("../sys/fs/cgroup%s/memory.%s", group, files[i][0]);

    kit_write(f->kit, name, files[i][1]);
  }
}

static guint64
room_of(Fixture *f, const char *groups)
{
  kit_write(f->kit, "20/cgroup", groups);
  return cagma_cgroup_room(f->system.proc_fd, 20);
}

static void
groups_have_their_own_limits(Fixture *f, gconstpointer unused)
{
  g_autofree char *filler = g_strnfill(2000, 'x');
  g_autofree char *long_path = g_strdup_printf("0::/limited/%s\n", filler);

  (void)unused;
  write_group(f, "/limited", "5000000\n", "max\n", "4000000\n");
  write_group(f, "/limited/inner", "max\n", "4500000\n", "4400000\n");
  write_group(f, "/over", "1000\n", "max\n", "2000\n");
  write_group(f, "/free", "max\n", "max\n", "9999999\n");
  g_assert_cmpuint(cagma_cgroup_room(f->system.proc_fd, 77), ==, UINT64_MAX);
  g_assert_cmpuint(room_of(f, ""), ==, UINT64_MAX);
  g_assert_cmpuint(room_of(f, "0::/\n"), ==, UINT64_MAX);
  g_assert_cmpuint(room_of(f, "0::/free\n"), ==, UINT64_MAX);
  g_assert_cmpuint(room_of(f, "0::/none/such\n"), ==, UINT64_MAX);
  g_assert_cmpuint(room_of(f, "0::/limited\n"), ==, 1000000);
  g_assert_cmpuint(room_of(f, "0::/limited"), ==, 1000000);
  g_assert_cmpuint(room_of(f, "0::/limited/inner\n"), ==, 100000);
  g_assert_cmpuint(room_of(f, "0::/limited/other\n"), ==, 1000000);
  g_assert_cmpuint(room_of(f, "4:memory:/limited\n1:name=systemd:/x\n0::/over\n"), ==, 0);
  g_assert_cmpuint(room_of(f, long_path), ==, UINT64_MAX);
}

/* What came back there would push out what is in use. */
static void
a_group_at_its_limit_is_left_alone(Fixture *f, gconstpointer unused)
{
  (void)unused;
  write_process(f, 20, 400, MAPPING("10000-20000 rw-p 00000000 00:00 0 ", "\n", "20"));
  write_pages(f, 20, 0x10, 1, SWAPPED);
  write_process(f, 30, 9000, MAPPING("30000-40000 rw-p 00000000 00:00 0 ", "\n", "20"));
  write_pages(f, 30, 0x30, 1, SWAPPED);
  kit_write(f->kit, "30/cgroup", "0::/box\n");
  write_group(f, "/box", "50000000\n", "max\n", "49900000\n");
  run_to_the_end(f);
  g_assert_cmpstr(kernel.asked->str, ==, "30:20:10+1 ");
  g_string_truncate(kernel.asked, 0);
  write_group(f, "/box", "50000000\n", "max\n", "30000000\n");
  cagma_read_back_reset(&f->read_back);
  run_to_the_end(f);
  g_assert_cmpstr(kernel.asked->str, ==, "30:30+1 20:10+1 ");
}

static void *
never_run(void *unused)
{
  (void)unused;
  g_assert_not_reached();
}

/* The C library would take one of its own instead. */
static void
a_thread_has_the_stack_it_is_given_or_none(Fixture *f, gconstpointer unused)
{
  static _Alignas(16) char stack[1024];

  (void)f, (void)unused;
  g_assert_false(cagma_thread_start(stack, sizeof stack, never_run, NULL));
  g_assert_cmpint(errno, ==, EINVAL);
}

#define ADD(name, test) g_test_add("/agent/read-back/" name, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  ADD("smaps-are-read-in-any-pieces", smaps_are_read_in_any_pieces);
  ADD("what-is-swapped-comes-in-order", what_is_swapped_comes_in_order);
  ADD("a-step-is-bounded", a_step_is_bounded);
  ADD("scattered-pages-are-asked-for-in-bounded-numbers", scattered_pages_are_asked_for_in_bounded_numbers);
  ADD("processes-that-go-are-left", processes_that_go_are_left);
  ADD("refusals-are-counted", refusals_are_counted);
  ADD("those-with-most-come-first", those_with_most_come_first);
  ADD("groups-have-their-own-limits", groups_have_their_own_limits);
  ADD("a-group-at-its-limit-is-left-alone", a_group_at_its_limit_is_left_alone);
  ADD("no-descriptor-is-left", no_descriptor_is_left);
  ADD("the-reader-goes-on-while-it-is-asked", the_reader_goes_on_while_it_is_asked);
  ADD("the-reader-keeps-to-its-bytes", the_reader_keeps_to_its_bytes);
  ADD("a-thread-has-the-stack-it-is-given-or-none", a_thread_has_the_stack_it_is_given_or_none);
  return g_test_run();
}
