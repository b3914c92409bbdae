/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/plugin/kit.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static GMutex lock;
static GPtrArray *lines;

static GLogWriterOutput
keep(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  (void)user_data;
  for (gsize i = 0; i < n_fields; i++) {
    if (!g_str_equal(fields[i].key, "MESSAGE"))
      continue;
    g_mutex_lock(&lock);
    g_ptr_array_add(lines, g_strdup(fields[i].value));
    g_mutex_unlock(&lock);
  }
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL) || g_test_verbose())
    return g_log_writer_default(level, fields, n_fields, NULL);
  return G_LOG_WRITER_HANDLED;
}

void
kit_init(int *argc, char ***argv)
{
  lines = g_ptr_array_new_with_free_func(g_free);
  g_test_init(argc, argv, NULL);
  g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_log_set_writer_func(keep, NULL, NULL);
}

unsigned
kit_logged(const char *fragment)
{
  unsigned n = 0;

  g_mutex_lock(&lock);
  for (guint i = 0; i < lines->len; i++)
    n += strstr(lines->pdata[i], fragment) != NULL;
  g_mutex_unlock(&lock);
  return n;
}

void
kit_log_clear(void)
{
  g_mutex_lock(&lock);
  g_ptr_array_set_size(lines, 0);
  g_mutex_unlock(&lock);
}

char *
kit_tmpdir(void)
{
  g_autoptr(GError) error = NULL;
  char *dir = g_dir_make_tmp("cagma-XXXXXX", &error);

  g_assert_no_error(error);
  return dir;
}

static void
remove_all(const char *path)
{
  g_autoptr(GDir) dir = NULL;

  if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
    const char *name;

    g_chmod(path, 0700);
    dir = g_dir_open(path, 0, NULL);
    while (dir && (name = g_dir_read_name(dir))) {
      g_autofree char *inner = g_build_filename(path, name, NULL);

      remove_all(inner);
    }
  }
  g_remove(path);
}

void
kit_remove(char *dir)
{
  remove_all(dir);
  g_free(dir);
}

char *
kit_write(const char *dir, const char *name, const char *text, gssize len)
{
  char *path = g_build_filename(dir, name, NULL);
  g_autoptr(GError) error = NULL;

  g_file_set_contents(path, text, len, &error);
  g_assert_no_error(error);
  return path;
}

static gboolean
wake(gpointer user_data)
{
  (void)user_data;
  return G_SOURCE_CONTINUE;
}

void
kit_breathe(void)
{
  guint alarm = g_timeout_add(10, wake, NULL);

  g_main_context_iteration(NULL, TRUE);
  g_source_remove(alarm);
}

void
kit_turn(gint64 end_us, const char *condition)
{
  if (g_get_monotonic_time() > end_us)
    g_error("waited in vain for: %s", condition);
  kit_breathe();
}

static void
on_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
  (void)source;
  *(GAsyncResult **)user_data = g_object_ref(result);
}

/* A pipe whose other end is ours until the program has ended, or a file that is
 * already written: a program that doesn't read all of it breaks nothing. */
static int
open_input(const char *input, gsize len, int *other_end)
{
  int ends[2], fd;

  if (!input) {
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    *other_end = ends[1];
    return ends[0];
  }
  fd = memfd_create("input", MFD_CLOEXEC);
  g_assert_cmpint(write(fd, input, len), ==, (ssize_t)len);
  g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
  return fd;
}

void
kit_end_with_the_test(gpointer unused)
{
  (void)unused;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GSubprocess *
start(const char *const *argv, const char *const *env, int input)
{
  g_autoptr(GSubprocessLauncher) launcher =
      g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autoptr(GError) error = NULL;
  GSubprocess *process;

  for (; env && *env; env++) {
    g_auto(GStrv) pair = g_strsplit(*env, "=", 2);

    g_subprocess_launcher_setenv(launcher, pair[0], pair[1], TRUE);
  }
  g_subprocess_launcher_take_stdin_fd(launcher, input);
  g_subprocess_launcher_set_child_setup(launcher, kit_end_with_the_test, NULL, NULL);
  process = g_subprocess_launcher_spawnv(launcher, argv, &error);
  g_assert_no_error(error);
  return process;
}

static char *
text_of(GBytes *bytes)
{
  GString *text = g_string_new(NULL);

  if (bytes && g_bytes_get_size(bytes))
    g_string_append_len(text, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes));
  return g_string_free(text, FALSE);
}

KitRun *
kit_run(const char *const *argv, const char *const *env, const char *input, gssize len)
{
  KitRun *run = g_new0(KitRun, 1);
  gint64 began_us = g_get_monotonic_time();
  int other_end = -1;
  int stdin_fd = open_input(input, len < 0 ? strlen(input) : (gsize)len, &other_end);
  g_autoptr(GSubprocess) process = start(argv, env, stdin_fd);
  g_autoptr(GAsyncResult) result = NULL;
  g_autoptr(GBytes) out = NULL;
  g_autoptr(GBytes) err = NULL;
  g_autoptr(GError) error = NULL;

  g_subprocess_communicate_async(process, NULL, NULL, on_done, &result);
  KIT_WAIT(result);
  g_subprocess_communicate_finish(process, result, &out, &err, &error);
  g_assert_no_error(error);
  g_subprocess_wait(process, NULL, NULL);
  run->took_us = g_get_monotonic_time() - began_us;
  if (other_end >= 0)
    close(other_end);
  run->status = g_subprocess_get_if_exited(process) ? g_subprocess_get_exit_status(process)
                                                    : 128 + g_subprocess_get_term_sig(process);
  run->out = text_of(out);
  run->err = text_of(err);
  return run;
}

void
kit_run_free(KitRun *run)
{
  if (!run)
    return;
  g_free(run->out);
  g_free(run->err);
  g_free(run);
}
