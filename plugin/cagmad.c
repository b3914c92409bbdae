/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "plugin/backend-libvirt.h"
#include "plugin/bus.h"
#include "plugin/conf.h"
#include "plugin/libvirt-glue.h"
#include "plugin/manager.h"
#include "plugin/notify.h"
#include "plugin/targets.h"
#include "policy/rules.h"

typedef struct {
  char *config_path;
  gboolean config_given;
  char *uri;
  char *run_dir;
  char *record_path;
  gboolean check;
  gboolean dry_run;
  gboolean version;
} Options;

typedef struct {
  Options options;
  GMainLoop *loop;
  CagmaConf *conf;
  gboolean had_file; /* it was read from one: that this is gone is no wish for defaults */
  CagmaManager *manager;
} Daemon;

static gboolean
parse_options(Options *options, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "connect", 'c', 0, G_OPTION_ARG_STRING, &options->uri, "libvirt connection (default: cagmad.conf's)",
      "URI" },
    { "config", 'f', 0, G_OPTION_ARG_FILENAME, &options->config_path,
      "configuration (default: " CAGMA_CONF_PATH ")", "FILE" },
    { "run-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->run_dir,
      "sockets and state (default: " CAGMA_RUN_DIR ")", "DIR" },
    { "record", 0, 0, G_OPTION_ARG_FILENAME, &options->record_path,
      "append what is decided, and upon what, for cagmactl replay", "FILE" },
    { "dry-run", 'n', 0, G_OPTION_ARG_NONE, &options->dry_run, "decide and say, but set nothing", NULL },
    { "check", 0, 0, G_OPTION_ARG_NONE, &options->check, "check the configuration and exit", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "show the version and exit", NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);

  g_option_context_set_summary(context, "Balances memory between the virtual machines of a libvirt host.");
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, error))
    return FALSE;
  if (argc > 1) {
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "unexpected argument '%s'", argv[1]);
    return FALSE;
  }
  options->config_given = options->config_path != NULL;
  if (!options->config_path)
    options->config_path = g_strdup(CAGMA_CONF_PATH);
  if (!options->run_dir)
    options->run_dir = g_strdup(CAGMA_RUN_DIR);
  return TRUE;
}

static gboolean
is_remote(const char *text)
{
  g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_NONE, NULL);
  const char *host = uri ? g_uri_get_host(uri) : NULL;

  return host && *host && !g_str_equal(host, "localhost");
}

static CagmaConf *
load_conf(const Options *options, gboolean must_exist, GError **error)
{
  CagmaConf *conf = cagma_conf_load(options->config_path, must_exist, error);

  if (conf && options->uri) {
    g_free(conf->uri);
    conf->uri = g_strdup(options->uri);
  }
  if (conf && conf->without) {
    g_autofree char *rules = cagma_rules_format(conf->without);

    g_warning("for measurement, the policy goes without these of its rules: %s", rules);
  }
  if (conf && conf->budget == CAGMA_BUDGET_AUTO && is_remote(conf->uri)) {
    g_set_error(error, CAGMA_CONF_ERROR, CAGMA_CONF_ERROR_VALUE,
                "%s: budget=auto goes by this host's memory: give that host's as a size", conf->uri);
    g_clear_pointer(&conf, cagma_conf_free);
  }
  return conf;
}

static void
reload(Daemon *daemon)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaConf) conf = load_conf(&daemon->options, daemon->had_file, &error);

  if (!conf) {
    g_warning("the configuration stays as it was: %s", error->message);
    return;
  }
  if (!g_str_equal(conf->uri, daemon->conf->uri)) {
    g_warning("uri: a change from %s to %s needs a restart; the rest is taken over", daemon->conf->uri,
              conf->uri);
    g_free(conf->uri);
    conf->uri = g_strdup(daemon->conf->uri);
  }
  cagma_manager_configure(daemon->manager, conf);
  cagma_conf_free(daemon->conf);
  daemon->conf = g_steal_pointer(&conf);
  daemon->had_file = daemon->had_file || g_file_test(daemon->options.config_path, G_FILE_TEST_EXISTS);
  g_message("configuration read from %s", daemon->options.config_path);
}

static gboolean
on_hangup(gpointer user_data)
{
  Daemon *daemon = user_data;

  reload(daemon);
  cagma_manager_reopen_record(daemon->manager);
  return G_SOURCE_CONTINUE;
}

static void
on_file_changed(GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event, gpointer user_data)
{
  (void)monitor;
  (void)file;
  (void)other;
  if (event == G_FILE_MONITOR_EVENT_CHANGES_DONE_HINT || event == G_FILE_MONITOR_EVENT_RENAMED ||
      event == G_FILE_MONITOR_EVENT_MOVED_IN)
    reload(user_data);
}

static gboolean
quit(gpointer user_data)
{
  Daemon *daemon = user_data;

  g_main_loop_quit(daemon->loop);
  return G_SOURCE_REMOVE;
}

static gboolean
on_terminate(gpointer user_data)
{
  Daemon *daemon = user_data;

  cagma_notify("STOPPING=1");
  cagma_manager_stop(daemon->manager, quit, daemon);
  return G_SOURCE_CONTINUE;
}

/* It is the main loop's turning that is watched: a lost connection is no reason to
 * be restarted. */
static gboolean
on_watchdog(gpointer user_data)
{
  (void)user_data;
  cagma_notify("WATCHDOG=1");
  return G_SOURCE_CONTINUE;
}

/* One daemon a host: two would fight over the same balloons. */
static gboolean
lock_run_dir(const char *run_dir, GError **error)
{
  g_autofree char *path = g_build_filename(run_dir, "lock", NULL);
  int fd;

  if (g_mkdir_with_parents(run_dir, 0755) < 0) {
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", run_dir, g_strerror(errno));
    return FALSE;
  }
  fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", path, g_strerror(errno));
    return FALSE;
  }
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, "%s: another cagmad runs here", run_dir);
    close(fd);
    return FALSE;
  }
  /* Held, and so kept open, until the process ends. */
  return TRUE;
}

static gboolean
run(Daemon *daemon, GError **error)
{
  g_autofree char *targets_dir = g_build_filename(daemon->options.run_dir, "targets", NULL);
  g_autoptr(GFile) file = g_file_new_for_path(daemon->options.config_path);
  g_autoptr(GFileMonitor) monitor = NULL;
  g_autoptr(CagmaTargets) targets = NULL;
  CagmaBackend *backend;
  CagmaBus *bus = NULL;
  guint64 watchdog_us = cagma_watchdog_us();

  if (!lock_run_dir(daemon->options.run_dir, error) || !cagma_libvirt_join_main_loop(error))
    return FALSE;
  targets = cagma_targets_open(targets_dir, error);
  if (!targets)
    return FALSE;
  backend = cagma_backend_libvirt_new(daemon->conf->uri);
  daemon->manager = cagma_manager_new(backend, targets, daemon->conf, daemon->options.dry_run);
  if (!daemon->options.record_path ||
      cagma_manager_record(daemon->manager, daemon->options.record_path, error))
    bus = cagma_bus_open(daemon->options.run_dir, daemon->manager, error);
  if (!bus) {
    backend->close(backend);
    cagma_manager_free(daemon->manager);
    return FALSE;
  }

  daemon->loop = g_main_loop_new(NULL, FALSE);
  g_unix_signal_add(SIGHUP, on_hangup, daemon);
  g_unix_signal_add(SIGTERM, on_terminate, daemon);
  g_unix_signal_add(SIGINT, on_terminate, daemon);
  monitor = g_file_monitor_file(file, G_FILE_MONITOR_WATCH_MOVES, NULL, NULL);
  if (monitor)
    g_signal_connect(monitor, "changed", G_CALLBACK(on_file_changed), daemon);
  if (watchdog_us)
    g_timeout_add((guint)(watchdog_us / 2000), on_watchdog, NULL);
  cagma_manager_start(daemon->manager);
  cagma_notify("READY=1");
  g_main_loop_run(daemon->loop);

  cagma_bus_close(bus);
  backend->close(backend);
  cagma_manager_free(daemon->manager);
  g_main_loop_unref(daemon->loop);
  return TRUE;
}

int
main(int argc, char **argv)
{
  Daemon daemon = { 0 };
  g_autoptr(GError) error = NULL;
  int status = EXIT_SUCCESS;

  setlocale(LC_ALL, "");
  if (!parse_options(&daemon.options, argc, argv, &error)) {
    g_printerr("cagmad: %s\nTry 'cagmad --help'.\n", error->message);
    return 2;
  }
  if (daemon.options.version) {
    g_print("cagmad " CAGMA_VERSION "\n");
    return EXIT_SUCCESS;
  }
  daemon.conf = load_conf(&daemon.options, daemon.options.config_given, &error);
  daemon.had_file =
      daemon.options.config_given || g_file_test(daemon.options.config_path, G_FILE_TEST_EXISTS);
  if (daemon.conf && daemon.options.check)
    g_print("%s: %s\n", daemon.options.config_path, daemon.had_file ? "valid" : "isn't there; defaults hold");
  else if (daemon.conf)
    run(&daemon, &error);
  if (error) {
    g_printerr("cagmad: %s\n", error->message);
    status = EXIT_FAILURE;
  }
  cagma_conf_free(daemon.conf);
  g_free(daemon.options.config_path);
  g_free(daemon.options.uri);
  g_free(daemon.options.run_dir);
  g_free(daemon.options.record_path);
  return status;
}
