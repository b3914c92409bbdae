/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "plugin/cagma-dbus.h"
#include "plugin/ctl-client.h"
#include "plugin/ctl-view.h"

/* cagmactl top: the table, over and over, with each domain's recent sizes. */

#define HISTORY_LENGTH 16
#define CAPTION_MAX 2048

static volatile sig_atomic_t interrupted;

typedef struct {
  guint n;
  guint64 actual_kib[HISTORY_LENGTH];
} History;

static void
on_signal(int number)
{
  (void)number;
  interrupted = 1;
}

static void
remember(GHashTable *histories, GVariant *info)
{
  const char *uuid = cagma_ctl_text(info, "uuid", "");
  History *history = g_hash_table_lookup(histories, uuid);

  if (!history) {
    history = g_new0(History, 1);
    g_hash_table_insert(histories, g_strdup(uuid), history);
  }
  if (history->n == HISTORY_LENGTH)
    memmove(history->actual_kib, history->actual_kib + 1, (HISTORY_LENGTH - 1) * sizeof *history->actual_kib);
  else
    history->n++;
  history->actual_kib[history->n - 1] = cagma_ctl_number(info, "actual-kib", 0);
}

/* Eighths of the domain's limit, so that bars of one domain compare over time. */
static char *
draw(const History *history, guint64 full_kib)
{
  static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
  GString *bar = g_string_new(NULL);

  for (guint i = 0; i < history->n; i++) {
    guint64 level = full_kib ? history->actual_kib[i] * 8 / full_kib : 0;

    g_string_append(bar, blocks[MIN(level, 7)]);
  }
  return g_string_free(bar, FALSE);
}

static GHashTable *
draw_all(GHashTable *histories, GPtrArray *domains)
{
  GHashTable *bars = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

  for (guint i = 0; i < domains->len; i++) {
    GVariant *info = domains->pdata[i];
    const char *uuid = cagma_ctl_text(info, "uuid", "");
    guint64 full_kib = cagma_ctl_number(info, "limit-kib", cagma_ctl_number(info, "maximum-kib", 0));

    g_hash_table_insert(bars, g_strdup(uuid), draw(g_hash_table_lookup(histories, uuid), full_kib));
  }
  return bars;
}

static char *
read_caption(const char *path)
{
  g_autofree char *text = NULL;
  char *valid;

  if (!path || !g_file_get_contents(path, &text, NULL, NULL))
    return g_strdup("");
  if (strlen(text) > CAPTION_MAX)
    text[CAPTION_MAX] = '\0';
  valid = g_utf8_make_valid(text, -1);
  for (char *c = valid; *c; c++)
    if (g_ascii_iscntrl(*c) && *c != '\n')
      *c = '?';
  return valid;
}

static gboolean
show(const CagmaCtl *ctl, CagmaStatus1 *daemon, GHashTable *histories, gboolean screen, int *status)
{
  g_autoptr(GVariant) host = cagma_ctl_get_host(daemon, status);
  g_autoptr(GPtrArray) domains = host ? cagma_ctl_get_domains(daemon, status) : NULL;
  g_autoptr(GHashTable) bars = NULL;
  g_autofree char *caption = read_caption(ctl->caption);
  g_autofree char *heading = NULL;
  g_autofree char *table = NULL;
  struct winsize size = { 0 };

  if (!domains)
    return FALSE;
  for (guint i = 0; i < domains->len; i++)
    remember(histories, domains->pdata[i]);
  if (screen)
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  bars = draw_all(histories, domains);
  heading = cagma_ctl_view_host(host);
  table = cagma_ctl_view_domains(domains, bars, ctl->color, size.ws_col);
  /* Home, then clear what is left: less flicker than clearing first. */
  g_print("%s%s%s\n%s%s", screen ? "\033[H\033[J" : "", caption, heading, table, screen ? "" : "\n");
  fflush(stdout);
  return TRUE;
}

/* Waits for the next turn. FALSE where the user has had enough. */
static gboolean
pause_until_next(const CagmaCtl *ctl, gboolean screen)
{
  struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
  char key;

  if (poll(&input, screen ? 1 : 0, ctl->interval_ms) > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q'))
    return FALSE;
  return !interrupted;
}

int
cagma_ctl_top(const CagmaCtl *ctl, int argc, char **argv)
{
  g_autoptr(GHashTable) histories = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr(CagmaStatus1) daemon = NULL;
  gboolean screen = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
  struct sigaction action = { .sa_handler = on_signal };
  struct termios before, raw;
  int status = CAGMA_EXIT_OK;

  (void)argv;
  if (argc > 0) {
    g_printerr("cagmactl: top takes no argument\n");
    return CAGMA_EXIT_USAGE;
  }
  daemon = cagma_ctl_connect(ctl, &status);
  if (!daemon)
    return status;

  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  if (screen && tcgetattr(STDIN_FILENO, &before) == 0) {
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    g_print("\033[?1049h\033[?25l");
  } else {
    screen = FALSE;
  }
  for (int turn = 1; show(ctl, daemon, histories, screen, &status); turn++)
    if (interrupted || turn == ctl->count || !pause_until_next(ctl, screen))
      break;
  if (screen) {
    g_print("\033[?25h\033[?1049l");
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    /* What was said of it went with the screen. */
    if (status != CAGMA_EXIT_OK)
      g_printerr("cagmactl: the daemon went away\n");
  }
  return status;
}
