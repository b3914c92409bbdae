/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "guest.h"
#include "judge.h"

#define AWAIT_INTERVAL_US (50 * 1000)
#define PATIENCE 3

/* libvirtd gives hooks a clean environment, so the paths are written in. What it says
 * is kept, since libvirt tells it only of hooks that fail. The hook itself is copied beside:
 * libvirtd's AppArmor profile lets hooks run nothing from elsewhere. */
static const char hook_wrapper[] = "#!/bin/sh\n"
                                   "export CAGMA_RUN_DIR='%s/cagma' CAGMA_CONFIG='%s/cagmad.conf'\n"
                                   "\"${0%%/*}\"/../cagma-hook \"$@\" 2>'%s/hook.err'\n"
                                   "status=$?\n"
                                   "cat '%s/hook.err' >>'%s/hook.log'\n"
                                   "cat '%s/hook.err' >&2\n"
                                   "exit $status\n";

/* The signal that is to end the parent. */
static volatile sig_atomic_t ended_by;

const char *
bed_program(const char *variable)
{
  const char *path = g_getenv(variable);

  if (!path)
    g_error("%s isn't set: run this by meson test, or see tests/live/meson.build", variable);
  return path;
}

char *
bed_path(Bed *bed, const char *name)
{
  return g_build_filename(bed->dir, name, NULL);
}

/* Runs a program. */

typedef struct {
  int fd;
  GString *text;
} Pipe;

static gpointer
drain(gpointer data)
{
  Pipe *end = data;
  char buffer[4096];
  ssize_t n;

  while ((n = read(end->fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
    if (n > 0)
      g_string_append_len(end->text, buffer, n);
  close(end->fd);
  return NULL;
}

static int
await_exit(pid_t pid)
{
  int status;

  while (waitpid(pid, &status, 0) < 0)
    g_assert_cmpint(errno, ==, EINTR);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
bed_run(const char *const *argv, const char *input, char **out, char **err)
{
  g_autoptr(GError) error = NULL;
  Pipe pipes[2] = { { .text = g_string_new(NULL) }, { .text = g_string_new(NULL) } };
  GThread *drains[2];
  GPid pid;
  int in, status;

  if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                                NULL, NULL, &pid, &in, &pipes[0].fd, &pipes[1].fd, &error))
    g_error("%s: %s", argv[0], error->message);
  for (int i = 0; i < 2; i++)
    drains[i] = g_thread_new("drain", drain, &pipes[i]);
  if (input)
    g_assert_cmpint(write(in, input, strlen(input)), ==, (gssize)strlen(input));
  close(in);
  for (int i = 0; i < 2; i++)
    g_thread_join(drains[i]);
  status = await_exit(pid);

  for (int i = 0; i < 2; i++) {
    char **wanted = i == 0 ? out : err;
    char *text = g_string_free(pipes[i].text, FALSE);

    if (wanted)
      *wanted = text;
    else
      g_free(text);
  }
  return status;
}

char *
bed_output(const char *const *argv)
{
  g_autofree char *err = NULL;
  g_autofree char *command = g_strjoinv(" ", (char **)argv);
  char *out = NULL;
  int status = bed_run(argv, NULL, &out, &err);

  if (status != 0)
    g_error("%s: exit status %d: %s%s", command, status, out, err);
  return g_strchomp(out);
}

void
bed_await(int seconds, BedCondition condition, gpointer data, const char *what, ...)
{
  /* A machine may be slower, and its neighbours busy: only what never comes costs this. */
  int64_t deadline_us = g_get_monotonic_time() + PATIENCE * seconds * G_USEC_PER_SEC;
  g_autofree char *text = NULL;
  va_list arguments;

  while (!condition(data)) {
    if (g_get_monotonic_time() >= deadline_us) {
      va_start(arguments, what);
      text = g_strdup_vprintf(what, arguments);
      va_end(arguments);
      g_error("not within %d s: %s", PATIENCE * seconds, text);
    }
    g_usleep(AWAIT_INTERVAL_US);
  }
}

/* The tests' process. */

static void
on_libvirt_error(void *data, virErrorPtr error)
{
  /* Told by those whom it concerns. */
  (void)data;
  (void)error;
}

static Bed *
bed_open(const char *dir)
{
  Bed *bed = g_new0(Bed, 1);
  g_autofree char *timeline = NULL;

  virSetErrorFunc(NULL, on_libvirt_error);
  /* A libvirtd that restarts is no reason to die. */
  signal(SIGPIPE, SIG_IGN);
  bed->dir = g_strdup(dir);
  bed->uri = bed_output((const char *[]){ bed_program("CAGMA_LAB"), "uri", dir, NULL });
  bed->run_dir = bed_path(bed, "cagma");
  bed->conf_path = bed_path(bed, "cagmad.conf");
  bed->log_path = bed_path(bed, "cagmad.log");
  bed->guests = g_ptr_array_new_with_free_func((GDestroyNotify)guest_free);
  bed->calls = g_array_new(FALSE, FALSE, sizeof(Call));
  bed->capacities = g_array_new(FALSE, FALSE, sizeof(Capacity));
  timeline = bed_path(bed, "timeline");
  bed->timeline_fd = open(timeline, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  g_assert_cmpint(bed->timeline_fd, >=, 0);
  bed->conn = virConnectOpen(bed->uri);
  if (!bed->conn)
    g_error("%s: %s", bed->uri, virGetLastErrorMessage());
  return bed;
}

static void
bed_close(Bed *bed)
{
  if (bed->daemon)
    daemon_stop(bed);
  g_ptr_array_unref(bed->guests);
  g_array_unref(bed->calls);
  g_array_unref(bed->capacities);
  virConnectClose(bed->conn);
  close(bed->timeline_fd);
  g_free(bed->log_path);
  g_free(bed->conf_path);
  g_free(bed->run_dir);
  g_free(bed->uri);
  g_free(bed->dir);
  g_free(bed);
}

void
bed_restart_libvirtd(Bed *bed)
{
  g_autofree char *output =
      bed_output((const char *[]){ bed_program("CAGMA_LAB"), "restart", bed->dir, NULL });

  virConnectClose(bed->conn);
  bed->conn = virConnectOpen(bed->uri);
  g_assert_nonnull(bed->conn);
}

typedef struct {
  Bed *bed;
  BedTest test;
} Case;

static void
run_case(gconstpointer data)
{
  const Case *one = data;

  g_test_timer_start();
  one->test(one->bed);
  judge(one->bed);
  g_test_message("%.1f s", g_test_timer_elapsed());
}

void
bed_add(Bed *bed, const char *path, BedTest test)
{
  Case *one = g_new0(Case, 1);

  one->bed = bed;
  one->test = test;
  g_test_add_data_func_full(path, one, run_case, g_free);
  /* cppcheck-suppress memleak ; it is the test's */
}

static int
run_tests(const char *dir, int argc, char **argv, BedTest start, void (*add)(Bed *bed))
{
  gint64 began_us = g_get_monotonic_time();
  Bed *bed;
  int status;

  g_test_init(&argc, &argv, NULL);
  bed = bed_open(dir);
  start(bed);
  add(bed);
  g_test_message("guests are up after %.1f s", (double)(g_get_monotonic_time() - began_us) / G_USEC_PER_SEC);
  status = g_test_run();
  bed_close(bed);
  return status;
}

/* The parent. */

static void
on_signal(int signal_number)
{
  ended_by = signal_number;
}

/* The guests have our agent, and what a benchmark adds; the log tells of agent commands too. */
static const char up_script[] = "\"$CAGMA_LAB\" image \"${CAGMA_LAB_CACHE:-/var/cache/cagma-lab}\""
                                " --add \"$CAGMA_GUEST_AGENT:/usr/sbin/cagma-guest-agent\" $CAGMA_LAB_ADD &&"
                                " \"$CAGMA_LAB\" up \"$1\" --log-filters '1:libvirt.domain 1:libvirt-qemu'"
                                " 2>&1 | sed 's/^/# /' >&2 &&"
                                " \"$CAGMA_LAB\" pid \"$1\" >/dev/null";

/* In a session of its own: whoever ends this program with all its group doesn't end that. */
static int
run_apart(const char *dir, const char *script)
{
  pid_t pid = fork();
  int status;

  if (pid == 0) {
    setsid();
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", script, "sh", dir, (char *)NULL);
    _exit(127);
  }
  if (pid < 0)
    return 127;
  /* Who ends this program doesn't wait for a bed to come up; half of one is ended as well. */
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR)
      return 127;
    if (ended_by && script == up_script)
      kill(-pid, SIGKILL);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Ends what the tests left by its id, and all processes of the bed, and removes it: also where this
 * program is killed meanwhile. */
static const char down_script[] =
    "[ ! -e \"$1\"/cagmad.pid ] || kill -CONT $(cat \"$1\"/cagmad.pid) 2>/dev/null\n"
    "[ ! -e \"$1\"/cagmad.pid ] || kill -KILL $(cat \"$1\"/cagmad.pid) 2>/dev/null\n"
    "said=$(\"$CAGMA_LAB\" down \"$1\" 2>&1)\n"
    "status=$?\n"
    "[ -z \"$said\" ] || printf '%s\\n' \"$said\" | sed 's/^/# /'\n"
    "[ -n \"$CAGMA_LIVE_KEEP\" ] || rm -rf \"$1\"\n"
    "exit $status\n";

static const char post_mortem_script[] =
    "exec 2>&1\n"
    "cd \"$1\"\n"
    "ctl() { timeout 5 \"$CAGMACTL\" --run-dir \"$1/cagma\" \"$2\" $3; }\n"
    "{\n"
    "echo '==== cagmactl status'; ctl \"$1\" status\n"
    "for guest in $(timeout 5 virsh -q -c $(\"$CAGMA_LAB\" uri \"$1\") list --name | grep -vx Domain-0); do\n"
    "  echo \"==== explain $guest\"; ctl \"$1\" explain \"$guest\"\n"
    "done\n"
    "echo '==== calls'; grep -h virDomainSetMemory log/libvirtd.log | tail -n 40\n"
    "echo '==== what was seen'; tail -n 80 timeline\n"
    "echo '==== cagmad.conf'; cat cagmad.conf\n"
    "echo '==== cagmad'; tail -n 80 cagmad.log\n"
    "echo '==== hook'; tail -n 20 hook.log\n"
    "} | sed 's/^/# /'\n";

static void
install_hook(const char *dir, const char *driver)
{
  g_autofree char *hooks = g_build_filename(dir, "etc", "hooks", driver, NULL);
  g_autofree char *path = g_build_filename(hooks, "cagma", NULL);
  g_autofree char *text = g_strdup_printf(hook_wrapper, dir, dir, dir, dir, dir, dir);
  g_autofree char *copy = g_build_filename(dir, "etc", "hooks", "cagma-hook", NULL);
  g_autofree char *program = NULL;
  gsize size;

  g_assert_cmpint(g_mkdir_with_parents(hooks, 0700), ==, 0);
  g_assert_true(g_file_get_contents(bed_program("CAGMA_HOOK"), &program, &size, NULL));
  g_assert_true(g_file_set_contents_full(copy, program, (gssize)size, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
  g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

static int
supervise(pid_t child)
{
  int status;

  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR)
      return EXIT_FAILURE;
    if (ended_by)
      kill(child, SIGKILL);
  }
  if (WIFEXITED(status))
    return WEXITSTATUS(status);
  fprintf(stderr, "# the tests ended by signal %d\n", WTERMSIG(status));
  return EXIT_FAILURE;
}

int
bed_main(int argc, char **argv, BedTest start, void (*add)(Bed *bed))
{
  char dir[] = "/tmp/cagma-XXXXXX";
  struct sigaction action = { .sa_handler = on_signal };
  pid_t child;
  int status;

  bed_program("CAGMA_LAB");
  bed_program("CAGMACTL");
  bed_program("CAGMA_GUEST_AGENT");
  g_assert_nonnull(g_mkdtemp(dir));
  install_hook(dir, "qemu.d");
  install_hook(dir, "libxl.d");
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGHUP, &action, NULL);

  if (run_apart(dir, up_script) != 0 || ended_by) {
    printf("Bail out! The bed can't be brought up\n");
    run_apart(dir, down_script);
    return EXIT_FAILURE;
  }
  child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    exit(run_tests(dir, argc, argv, start, add));
  }
  status = child < 0 ? EXIT_FAILURE : supervise(child);
  if (status != EXIT_SUCCESS && !ended_by)
    run_apart(dir, post_mortem_script);
  if (run_apart(dir, down_script) != 0)
    status = EXIT_FAILURE;
  if (g_getenv("CAGMA_LIVE_KEEP"))
    fprintf(stderr, "# kept: %s\n", dir);
  return status;
}
