/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <paths.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "plugin/bus.h"
#include "plugin/cagma-dbus.h"
#include "plugin/conf.h"
#include "plugin/slurp.h"
#include "xml/domain.h"
#include "xml/error.h"

/* The libvirt hook: NAME OPERATION SUBOPERATION EXTRA, the domain's XML on stdin.
 * libvirt holds the domain's lock and waits, without limit, so the whole of it is
 * over in a second, and it never calls libvirt. Only where a start fails that doesn't
 * find its memory free (Xen) it waits longer, once the daemon has answered that it makes
 * room. Prints nothing on stdout: in some operations that would replace the XML. */

#define TIME_LIMIT_S 1
/* The daemon gives up before that. */
#define ROOM_LIMIT_S 40
#define XML_MAX_BYTES (4 * 1024 * 1024)

static void
complain(const char *name, const char *message)
{
  g_autofree char *shown = cagma_printable(name, CAGMA_QUOTE_CHARS);

  g_printerr("cagma: domain %s: %s\n", shown, message);
  syslog(LOG_WARNING, "domain %s: %s", shown, message);
}

/* What is said where time is up, and the system's log: both made ready beforehand, since
 * syslog() mustn't be called in a signal's handler. libvirt drops what a hook that succeeds
 * says on stderr. */
static char *too_late, *too_late_log;
static int log_fd = -1;

static void
say_in_time(int fd, const char *message)
{
  ssize_t unused = write(fd, message, strlen(message));

  (void)unused;
}

/* Balancing goes on without the hook; a start that hangs doesn't. */
static void
on_time_up(int signal_number)
{
  (void)signal_number;
  say_in_time(STDERR_FILENO, too_late);
  say_in_time(log_fd, too_late_log);
  _exit(EXIT_SUCCESS);
}

static void
connect_log(void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = _PATH_LOG };

  log_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (log_fd >= 0 && connect(log_fd, (struct sockaddr *)&address, sizeof address) < 0) {
    close(log_fd);
    log_fd = -1;
  }
}

static void
limit_time(const char *name, int seconds)
{
  const struct itimerval limit = { .it_value = { .tv_sec = seconds } }, none = { 0 };
  struct sigaction action = { .sa_handler = on_time_up };
  g_autofree char *shown = cagma_printable(name, CAGMA_QUOTE_CHARS);

  setitimer(ITIMER_REAL, &none, NULL);
  g_free(too_late);
  g_free(too_late_log);
  too_late =
      g_strdup_printf("cagma: domain %s: no answer within %d s; libvirt goes on without\n", shown, seconds);
  too_late_log = g_strdup_printf("<%d>cagma-hook: domain %s: no answer within %d s; libvirt goes on without",
                                 LOG_DAEMON | LOG_WARNING, shown, seconds);
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &limit, NULL);
}

static char *
read_xml(GError **error)
{
  gsize length;
  g_autofree char *text = cagma_slurp_fd(STDIN_FILENO, XML_MAX_BYTES, &length, error);

  if (!text) {
    g_prefix_error(error, "reading its XML: ");
    return NULL;
  }
  if (length > XML_MAX_BYTES) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "its XML is larger than %d bytes", XML_MAX_BYTES);
    return NULL;
  }
  return g_steal_pointer(&text);
}

/* Its memory is taken as a whole, so that it has to be there first. That it isn't in the end
 * is for the hypervisor to refuse. */
static gboolean
wait_for_room(CagmaControl1 *control, const CagmaDomainXml *domain, GError **error)
{
  gboolean is_free = FALSE;

  limit_time(domain->name, ROOM_LIMIT_S);
  g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(control), ROOM_LIMIT_S * 1000);
  if (!cagma_control1_call_await_room_sync(control, &is_free, NULL, error))
    return FALSE;
  if (!is_free)
    complain(domain->name, "no room could be made for all of its memory");
  return TRUE;
}

static gboolean
tell_daemon(const CagmaDomainXml *domain, gboolean begins, GError **error)
{
  const char *run_dir = g_getenv("CAGMA_RUN_DIR");
  g_autofree char *address = cagma_bus_control_address(run_dir ? run_dir : CAGMA_RUN_DIR);
  g_autoptr(GDBusConnection) connection = NULL;
  g_autoptr(CagmaControl1) control = NULL;
  uint64_t start_kib = cagma_domain_xml_start_kib(domain);

  connection = g_dbus_connection_new_for_address_sync(address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT,
                                                      NULL, NULL, error);
  if (!connection)
    return FALSE;
  control = cagma_control1_proxy_new_sync(connection, G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES, NULL,
                                          CAGMA_BUS_PATH, NULL, error);
  if (!control)
    return FALSE;
  if (begins)
    return cagma_control1_call_expect_sync(control, domain->name, domain->uuid,
                                           start_kib ? start_kib : domain->memory_kib, NULL, error) &&
           (!start_kib || wait_for_room(control, domain, error));
  return cagma_control1_call_expect_no_more_sync(control, domain->uuid, NULL, error);
}

static CagmaConf *
load_conf(const char *name)
{
  const char *path = g_getenv("CAGMA_CONFIG");
  g_autoptr(GError) error = NULL;
  CagmaConf *conf = cagma_conf_load(path ? path : CAGMA_CONF_PATH, FALSE, &error);

  if (conf)
    return conf;
  complain(name, error->message);
  return cagma_conf_new();
}

/* FALSE where the domain mustn't start. */
static gboolean
prepare(const char *name, const CagmaDomainXml *domain, gboolean strict)
{
  if (!domain->config_error)
    return TRUE;
  complain(name, domain->config_error->message);
  return !strict;
}

int
main(int argc, char **argv)
{
  const char *name = argc > 1 ? argv[1] : NULL;
  const char *operation = argc > 2 ? argv[2] : "";
  gboolean begins = g_str_equal(operation, "prepare");
  gboolean ends = g_str_equal(operation, "release");
  g_autoptr(CagmaConf) conf = NULL;
  g_autoptr(CagmaDomainXml) domain = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *xml = NULL;

  if (!name) {
    g_printerr("usage: cagma-hook NAME OPERATION SUBOPERATION EXTRA <domain.xml\n"
               "libvirt runs it; see cagma-hook(8)\n");
    return 2;
  }
  connect_log();
  limit_time(name, TIME_LIMIT_S);
  openlog("cagma-hook", LOG_PID, LOG_DAEMON);
  if (!begins && !ends)
    return EXIT_SUCCESS;

  conf = load_conf(name);
  xml = read_xml(&error);
  if (!error)
    domain = cagma_domain_xml_parse(xml, -1, &conf->defaults, &error);
  if (error) {
    complain(name, error->message);
    return EXIT_SUCCESS;
  }
  if (begins && !prepare(name, domain, conf->hook_strict))
    return EXIT_FAILURE;

  /* No daemon is no misfortune worth a line for each start. */
  if (domain->uuid && !tell_daemon(domain, begins, &error) &&
      !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) &&
      !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
    complain(name, error->message);
  return EXIT_SUCCESS;
}
