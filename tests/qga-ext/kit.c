/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/qga-ext/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const proc_files[][2] = {
  { "meminfo", "meminfo" },
  { "vmstat", "vmstat" },
  { "loadavg", "loadavg" },
  { "pressure-memory", "pressure/memory" },
  { "pressure-io", "pressure/io" },
  { "pressure-cpu", "pressure/cpu" },
  { "stat", "1/stat" },
  { "status", "1/status" },
};

Kit *
kit_new(void)
{
  Kit *kit = g_new0(Kit, 1);
  g_autoptr(GError) error = NULL;

  kit->directory = g_dir_make_tmp("cagma-agent-XXXXXX", &error);
  g_assert_no_error(error);
  kit->proc = kit_path(kit, "proc");
  g_assert_cmpint(g_mkdir(kit->proc, 0755), ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS(proc_files); i++) {
    g_autofree char *from = g_test_build_filename(G_TEST_DIST, "data", proc_files[i][0], NULL);
    g_autofree char *text = NULL;

    g_file_get_contents(from, &text, NULL, &error);
    g_assert_no_error(error);
    kit_write(kit, proc_files[i][1], text);
  }
  return kit;
}

static void
remove_tree(const char *path)
{
  g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
  const char *name;

  while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
    g_autofree char *child = g_build_filename(path, name, NULL);
    remove_tree(child);
  }
  g_remove(path);
}

void
kit_free(Kit *kit)
{
  remove_tree(kit->directory);
  g_free(kit->directory);
  g_free(kit->proc);
  g_free(kit);
}

char *
kit_path(const Kit *kit, const char *name)
{
  return g_build_filename(kit->directory, name, NULL);
}

void
kit_write(const Kit *kit, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename(kit->proc, name, NULL);
  g_autofree char *parent = g_path_get_dirname(path);
  const gssize length = (gssize)strlen(text);
  int fd;

  g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
  fd = g_open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  g_assert_cmpint(fd, >=, 0);
  g_assert_cmpint(pwrite(fd, text, (gsize)length, 0), ==, length);
  g_assert_cmpint(ftruncate(fd, length), ==, 0);
  close(fd);
}

void
kit_write_process(const Kit *kit, guint pid, guint64 major_faults, guint64 start_ticks, guint64 vsize,
                  guint64 rss_pages, guint64 swap_kib)
{
  g_autofree char *stat_name = g_strdup_printf("%u/stat", pid);
  g_autofree char *status_name = g_strdup_printf("%u/status", pid);
  g_autofree char *stat = g_strdup_printf("%u (a task) S 1 1 1 0 -1 0 5 0 %" G_GUINT64_FORMAT
                                          " 0 1 1 0 0 20 0 1 0 %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                                          " %" G_GUINT64_FORMAT " 0 0\n",
                                          pid, major_faults, start_ticks, vsize, rss_pages);
  g_autofree char *status = g_strdup_printf("Name:\ta task\nVmSwap:\t%" G_GUINT64_FORMAT " kB\n", swap_kib);

  kit_write(kit, stat_name, stat);
  kit_write(kit, status_name, status);
}

guint64
program_cpu_ticks(const Program *program)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)program->pid);
  g_autofree char *text = NULL;
  g_auto(GStrv) fields = NULL;
  g_autoptr(GError) error = NULL;

  g_file_get_contents(path, &text, NULL, &error);
  g_assert_no_error(error);
  /* From the third one on, behind the name: utime is the 14th, stime the 15th. */
  fields = g_strsplit(strrchr(text, ')') + 2, " ", 14);
  return g_ascii_strtoull(fields[11], NULL, 10) + g_ascii_strtoull(fields[12], NULL, 10);
}

void
kit_hold_process(const Kit *kit, guint pid)
{
  g_autofree char *parent = g_strdup_printf("%s/%u", kit->proc, pid);
  g_autofree char *path = g_build_filename(parent, "stat", NULL);

  g_assert_cmpint(g_mkdir(parent, 0755), ==, 0);
  g_assert_cmpint(mkfifo(path, 0600), ==, 0);
}

void
kit_let_process_go(const Kit *kit, guint pid)
{
  g_autofree char *path = g_strdup_printf("%s/%u/stat", kit->proc, pid);
  const int fd = g_open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);

  g_assert_cmpint(fd, >=, 0);
  g_assert_cmpint(g_unlink(path), ==, 0);
  close(fd);
}

/* So that nothing is left where a test is aborted. */
static void
end_with_the_test(gpointer unused)
{
  (void)unused;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

Program *
program_start(const char *const *argv)
{
  Program *program = g_new0(Program, 1);
  g_autoptr(GError) error = NULL;

  g_spawn_async(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH, end_with_the_test,
                NULL, &program->pid, &error);
  g_assert_no_error(error);
  return program;
}

static int
end_program(Program *program, int signum)
{
  int status = 0;

  kill(program->pid, signum);
  for (gint64 end = g_get_monotonic_time() + KIT_LIMIT_US; waitpid(program->pid, &status, WNOHANG) == 0;) {
    if (g_get_monotonic_time() > end) {
      kill(program->pid, SIGKILL);
      g_error("process %d doesn't end", program->pid);
    }
    g_usleep(1000);
  }
  g_free(program);
  return status;
}

void
program_stop(Program *program)
{
  const int status = end_program(program, SIGTERM);

  g_assert_true(WIFEXITED(status));
  g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

void
program_kill(Program *program)
{
  end_program(program, SIGKILL);
}

guint64
program_status_kib(const Program *program, const char *label)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/status", program->pid);
  g_autofree char *text = NULL;
  const char *line;

  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  line = strstr(text, label);
  g_assert_nonnull(line);
  return g_ascii_strtoull(line + strlen(label), NULL, 10);
}

Program *
agent_start(const Kit *kit, const char *first_argument, ...)
{
  g_autofree char *socket = kit_path(kit, "agent");
  g_autofree char *logfile = kit_path(kit, "log");
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  const char *agent = g_getenv("CAGMA_GUEST_AGENT");
  const char *argument = first_argument;
  va_list arguments;

  g_assert_nonnull(agent);
  g_ptr_array_add(argv, (char *)agent);
  g_ptr_array_add(argv, (char *)"--method");
  g_ptr_array_add(argv, (char *)"unix-listen");
  g_ptr_array_add(argv, (char *)"--path");
  g_ptr_array_add(argv, socket);
  g_ptr_array_add(argv, (char *)"--logfile");
  g_ptr_array_add(argv, logfile);
  va_start(arguments, first_argument);
  for (; argument != NULL; argument = va_arg(arguments, const char *))
    g_ptr_array_add(argv, (char *)argument);
  va_end(arguments);
  g_ptr_array_add(argv, NULL);
  return program_start((const char *const *)argv->pdata);
}

Client *
client_connect(const Kit *kit, const char *socket_name)
{
  g_autofree char *path = kit_path(kit, socket_name);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const gint64 end = g_get_monotonic_time() + KIT_LIMIT_US;
  Client *client = g_new0(Client, 1);

  g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof(address.sun_path)), <, sizeof(address.sun_path));
  client->received = g_string_new(NULL);
  client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  while (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
    if (g_get_monotonic_time() > end)
      g_error("%s: %s", path, g_strerror(errno));
    g_usleep(2000);
  }
  g_assert_cmpint(fcntl(client->fd, F_SETFL, O_NONBLOCK), ==, 0);
  return client;
}

void
client_free(Client *client)
{
  close(client->fd);
  g_string_free(client->received, TRUE);
  g_free(client);
}

/* FALSE: the time is over. */
static gboolean
wait_for(const Client *client, short events, gint64 end_us)
{
  const gint64 left_us = end_us - g_get_monotonic_time();
  struct pollfd state = { .fd = client->fd, .events = events };

  return left_us > 0 && poll(&state, 1, (int)(left_us / 1000) + 1) > 0;
}

gsize
client_send_for(Client *client, const char *bytes, gsize length, gint64 us)
{
  const gint64 end = g_get_monotonic_time() + us;
  gsize sent = 0;

  while (sent < length) {
    const gssize n = send(client->fd, bytes + sent, length - sent, MSG_NOSIGNAL);

    if (n > 0)
      sent += (gsize)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
      g_error("send: %s", g_strerror(errno));
    else if (!wait_for(client, POLLOUT, end))
      break;
  }
  return sent;
}

void
client_send(Client *client, const char *bytes, gsize length)
{
  g_assert_cmpuint(client_send_for(client, bytes, length, KIT_LIMIT_US), ==, length);
}

void
client_say(Client *client, const char *line)
{
  client_send(client, line, strlen(line));
  client_send(client, "\n", 1);
}

char *
client_line(Client *client)
{
  const gint64 end = g_get_monotonic_time() + KIT_LIMIT_US;
  char chunk[65536];

  for (gsize searched = 0;;) {
    const char *newline = memchr(client->received->str + searched, '\n', client->received->len - searched);
    gssize n;

    if (newline != NULL) {
      const gsize length = (gsize)(newline - client->received->str);
      char *line = g_strndup(client->received->str, length);
      g_string_erase(client->received, 0, (gssize)length + 1);
      return line;
    }
    searched = client->received->len;
    n = recv(client->fd, chunk, sizeof(chunk), 0);
    if (n > 0)
      g_string_append_len(client->received, chunk, n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
      return NULL;
    else if (!wait_for(client, POLLIN, end))
      g_error("no line within %" G_GINT64_FORMAT " s; so far: %s", KIT_LIMIT_US / G_USEC_PER_SEC,
              client->received->str);
  }
}

gboolean
client_is_silent(Client *client, gint64 us)
{
  return client->received->len == 0 && !wait_for(client, POLLIN, g_get_monotonic_time() + us);
}

char *
client_ask(Client *client, const char *line)
{
  client_say(client, line);
  return client_line(client);
}

void
assert_has(const char *line, const char *text)
{
  g_assert_nonnull(line);
  if (strstr(line, text) == NULL)
    g_error("no %s in: %s", text, line);
}

void
note(const char *text)
{
  g_autofree char *printable = g_strescape(text, NULL);

  g_test_message("%s", printable);
}
