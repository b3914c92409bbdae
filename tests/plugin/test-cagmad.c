/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/plugin/kit.h"

/* The daemon's own program, with libvirt's test driver. */

typedef struct {
  char *dir;
  char *conf;
  char *log;
  GPid pid; /* 0: none */
} Fixture;

static void
write_conf(Fixture *f, const char *text)
{
  g_assert_true(g_file_set_contents(f->conf, text, -1, NULL));
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->dir = kit_tmpdir();
  f->conf = g_build_filename(f->dir, "cagmad.conf", NULL);
  f->log = g_build_filename(f->dir, "log", NULL);
  f->pid = 0;
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  if (f->pid) {
    kill(f->pid, SIGKILL);
    waitpid(f->pid, NULL, 0);
  }
  kit_remove(f->dir);
  g_free(f->conf);
  g_free(f->log);
}

static void
start(Fixture *f)
{
  const char *argv[] = {
    g_getenv("CAGMAD"), "--connect", "test:///default", "--config", f->conf, "--run-dir", f->dir, NULL
  };
  int log = g_creat(f->log, 0600);
  g_autoptr(GError) error = NULL;

  g_assert_cmpint(log, >=, 0);
  g_spawn_async_with_fds(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, kit_end_with_the_test, NULL,
                         &f->pid, -1, log, log, &error);
  g_assert_no_error(error);
  close(log);
}

static gboolean
says(const Fixture *f, const char *what)
{
  g_autofree char *text = NULL;

  return g_file_get_contents(f->log, &text, NULL, NULL) && strstr(text, what);
}

static KitRun *
check(const Fixture *f, const char *uri)
{
  const char *argv[] = { g_getenv("CAGMAD"), "--check", "--connect", uri, "--config", f->conf, NULL };

  return kit_run(argv, NULL, NULL, 0);
}

/* Its memory can't be had from here. */
static void
test_another_host(Fixture *f, gconstpointer unused)
{
  g_autoptr(KitRun) automatic = NULL, fixed = NULL, local = NULL;

  (void)unused;
  write_conf(f, "");
  automatic = check(f, "qemu+tls://other/system");
  g_assert_cmpint(automatic->status, ==, 1);
  kit_assert_has(automatic->err, "qemu+tls://other/system: budget=auto goes by this host's memory");
  local = check(f, "qemu+unix:///system?socket=/nowhere");
  g_assert_cmpint(local->status, ==, 0);
  write_conf(f, "[host]\nbudget=4GiB\n");
  fixed = check(f, "qemu+tls://other/system");
  g_assert_cmpint(fixed->status, ==, 0);
}

/* Were it to mean that all is as by default, no domain would be managed any longer. */
static void
test_file_that_is_gone(Fixture *f, gconstpointer unused)
{
  int status;

  (void)unused;
  write_conf(f, "[host]\nbudget=64GiB\n");
  start(f);
  KIT_WAIT(says(f, "connected to"));
  g_assert_cmpint(g_remove(f->conf), ==, 0);
  g_assert_cmpint(kill(f->pid, SIGHUP), ==, 0);
  KIT_WAIT(says(f, "the configuration stays as it was: "));
  g_assert_false(says(f, "configuration read from"));
  write_conf(f, "[host]\nbudget=32GiB\n");
  KIT_WAIT(says(f, "configuration read from"));
  g_assert_cmpint(kill(f->pid, SIGTERM), ==, 0);
  g_assert_cmpint(waitpid(f->pid, &status, 0), ==, f->pid);
  f->pid = 0;
  g_assert_true(WIFEXITED(status));
  g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add("/cagmad/another-host", Fixture, NULL, set_up, test_another_host, tear_down);
  g_test_add("/cagmad/file-that-is-gone", Fixture, NULL, set_up, test_file_that_is_gone, tear_down);
  return g_test_run();
}
