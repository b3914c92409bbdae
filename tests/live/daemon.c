/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "judge.h"

#define RESERVE_MIB 16

/* A process of a loaded machine takes its time. */
#define START_S 30
#define STOP_S 20

static const char conf[] = "[host]\n"
                           "uri=%s\n"
                           "budget=%" G_GUINT64_FORMAT "MiB\n"
                           "reserve=%dMiB\n"
                           "pool=0\n"
                           "period=1s\n"
                           "%s\n";

void
daemon_configure(Bed *bed, guint in_hand_mib, const char *more)
{
  guint64 held_mib = (judge_held_kib(bed) + 1023) / 1024;
  g_autofree char *text =
      g_strdup_printf(conf, bed->uri, held_mib + in_hand_mib + RESERVE_MIB, RESERVE_MIB, more ? more : "");
  Capacity capacity = { g_get_real_time(), (held_mib + in_hand_mib) * 1024 };
  guint before = bed->daemon ? daemon_log_count(bed, "configuration read") : 0;
  g_autoptr(GError) error = NULL;

  g_array_append_val(bed->capacities, capacity);
  g_file_set_contents(bed->conf_path, text, -1, &error);
  g_assert_no_error(error);
  if (bed->daemon)
    daemon_await_log(bed, "configuration read", before, START_S);
}

static gboolean
is_connected(gpointer data)
{
  Bed *bed = data;

  g_assert_cmpint(waitpid(bed->daemon, NULL, WNOHANG), ==, 0);
  return daemon_is_connected(bed);
}

void
daemon_start(Bed *bed, const char *option)
{
  const char *argv[] = {
    bed_program("CAGMAD"), "--config", bed->conf_path, "--run-dir", bed->run_dir, option, NULL
  };
  g_autofree char *pid_path = bed_path(bed, "cagmad.pid");
  g_autofree char *pid = NULL;
  g_autoptr(GError) error = NULL;
  int log = open(bed->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

  g_assert_cmpint(log, >=, 0);
  g_spawn_async_with_fds(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &bed->daemon, -1,
                         log, log, &error);
  g_assert_no_error(error);
  close(log);
  pid = g_strdup_printf("%d", bed->daemon);
  g_assert_true(g_file_set_contents(pid_path, pid, -1, NULL));
  judge(bed);
  bed->dry_run = option && strcmp(option, "--dry-run") == 0;
  bed_await(START_S, is_connected, bed, "cagmad is connected");
}

static gboolean
has_ended(gpointer data)
{
  Bed *bed = data;
  int status;

  if (waitpid(bed->daemon, &status, WNOHANG) == 0)
    return FALSE;
  g_assert_true(WIFEXITED(status));
  g_assert_cmpint(WEXITSTATUS(status), ==, 0);
  return TRUE;
}

static void
forget(Bed *bed)
{
  g_autofree char *pid_path = bed_path(bed, "cagmad.pid");

  unlink(pid_path);
  bed->daemon = 0;
}

void
daemon_stop(Bed *bed)
{
  kill(bed->daemon, SIGTERM);
  bed_await(STOP_S, has_ended, bed, "cagmad ends");
  forget(bed);
}

void
daemon_kill(Bed *bed)
{
  kill(bed->daemon, SIGKILL);
  while (waitpid(bed->daemon, NULL, 0) < 0)
    g_assert_cmpint(errno, ==, EINTR);
  forget(bed);
}

static int
run_ctl(Bed *bed, const char *const *arguments, char **out, char **err)
{
  g_autoptr(GPtrArray) argv = g_ptr_array_new();

  g_ptr_array_add(argv, (char *)bed_program("CAGMACTL"));
  g_ptr_array_add(argv, (char *)"--run-dir");
  g_ptr_array_add(argv, bed->run_dir);
  for (; *arguments; arguments++)
    g_ptr_array_add(argv, (char *)*arguments);
  g_ptr_array_add(argv, NULL);
  return bed_run((const char *const *)argv->pdata, NULL, out, err);
}

char *
daemon_ctl(Bed *bed, const char *const *arguments)
{
  g_autofree char *err = NULL;
  char *out = NULL;

  if (run_ctl(bed, arguments, &out, &err) != 0)
    g_error("cagmactl %s: %s", arguments[0], err);
  return out;
}

JsonNode *
daemon_status(Bed *bed, const char *name)
{
  const char *arguments[] = { "--json", "status", name, NULL };
  g_autofree char *out = NULL;
  g_autoptr(GError) error = NULL;
  JsonNode *node;

  if (run_ctl(bed, arguments, &out, NULL) != 0)
    return NULL;
  node = json_from_string(out, &error);
  g_assert_no_error(error);
  return node;
}

typedef struct {
  Bed *bed;
  const char *name;
  const char *state;
  const char *reason;
} Wanted;

static gboolean
has_state(gpointer data)
{
  Wanted *wanted = data;
  g_autoptr(JsonNode) node = daemon_status(wanted->bed, wanted->name);
  JsonObject *domain;

  if (!node)
    return FALSE;
  domain = json_node_get_object(node);
  return strcmp(json_object_get_string_member(domain, "state"), wanted->state) == 0 &&
         (!wanted->reason || strstr(json_object_get_string_member(domain, "reason"), wanted->reason));
}

void
daemon_await_state(Bed *bed, const char *name, const char *state, const char *reason, int seconds)
{
  Wanted wanted = { bed, name, state, reason };

  bed_await(seconds, has_state, &wanted, "the status of %s is '%s', and the reason has '%s'", name, state,
            reason ? reason : "");
}

static gboolean
has_source(gpointer data)
{
  Wanted *wanted = data;
  g_autoptr(JsonNode) node = daemon_status(wanted->bed, wanted->name);

  return node &&
         g_strcmp0(json_object_get_string_member_with_default(json_node_get_object(node), "source", NULL),
                   wanted->state) == 0;
}

void
daemon_await_source(Bed *bed, const char *name, const char *source, int seconds)
{
  Wanted wanted = { bed, name, source, NULL };

  bed_await(seconds, has_source, &wanted, "the source of %s is %s", name, source);
}

gint64
daemon_number(Bed *bed, const char *name, const char *field)
{
  g_autoptr(JsonNode) node = daemon_status(bed, name);
  JsonObject *object;

  g_assert_nonnull(node);
  object = json_node_get_object(node);
  if (!name)
    object = json_object_get_object_member(object, "host");
  return json_object_get_int_member_with_default(object, field, 0);
}

gboolean
daemon_is_connected(Bed *bed)
{
  g_autoptr(JsonNode) node = daemon_status(bed, NULL);

  return node && json_object_get_boolean_member(
                     json_object_get_object_member(json_node_get_object(node), "host"), "connected");
}

guint
daemon_log_count(Bed *bed, const char *text)
{
  g_autofree char *log = NULL;
  guint count = 0;

  if (!g_file_get_contents(bed->log_path, &log, NULL, NULL))
    return 0;
  for (const char *at = strstr(log, text); at; at = strstr(at + 1, text))
    count++;
  return count;
}

typedef struct {
  Bed *bed;
  const char *text;
  guint before;
} Logged;

static gboolean
is_logged(gpointer data)
{
  Logged *logged = data;

  return daemon_log_count(logged->bed, logged->text) > logged->before;
}

void
daemon_await_log(Bed *bed, const char *text, guint before, int seconds)
{
  Logged logged = { bed, text, before };

  bed_await(seconds, is_logged, &logged, "cagmad's log has '%s' more than %u times", text, before);
}
