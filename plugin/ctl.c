/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/ctl.h"

#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "plugin/conf.h"

static const struct {
  const char *name;
  int (*run)(const CagmaCtl *ctl, int argc, char **argv);
} commands[] = {
  { "status", cagma_ctl_status },
  { "explain", cagma_ctl_explain },
  { "top", cagma_ctl_top },
  { "check", cagma_ctl_check },
};

static const char description[] = "Commands:\n"
                                  "  status [DOMAIN]   what each domain has, needs and does\n"
                                  "  explain DOMAIN    the last decision on it, and the figures behind it\n"
                                  "  top               the same as status, live\n"
                                  "  check FILE…       judge configurations, status documents, domain XML and\n"
                                  "                    cagmad.conf, without the daemon\n"
                                  "\n"
                                  "Exit status: 0, or 1 where what was asked for isn't so, 2 for wrong usage,\n"
                                  "3 where the daemon can't be reached.\n";

static gboolean
wants_color(void)
{
  return isatty(STDOUT_FILENO) && !g_getenv("NO_COLOR") && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
}

int
main(int argc, char **argv)
{
  const char *run_dir = g_getenv("CAGMA_RUN_DIR");
  CagmaCtl ctl = { .run_dir = run_dir ? run_dir : CAGMA_RUN_DIR, .color = wants_color() };
  double interval_s = 1;
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
    { "json", 'j', 0, G_OPTION_ARG_NONE, &ctl.json, "print JSON", NULL },
    { "run-dir", 0, 0, G_OPTION_ARG_FILENAME, &ctl.run_dir, "the daemon's (default: " CAGMA_RUN_DIR ")", "DIR" },
    { "interval", 'd', 0, G_OPTION_ARG_DOUBLE, &interval_s, "top: seconds between pictures (default: 1)", "S" },
    { "count", 'n', 0, G_OPTION_ARG_INT, &ctl.count, "top: stop after so many", "N" },
    { "caption", 0, 0, G_OPTION_ARG_FILENAME, &ctl.caption, "top: show this file's text above", "FILE" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "show the version and exit", NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr(GOptionContext) context = g_option_context_new("COMMAND [ARGUMENT…]");
  g_autoptr(GError) error = NULL;

  setlocale(LC_ALL, "");
  g_option_context_set_summary(context, "Shows and checks what cagmad does.");
  g_option_context_set_description(context, description);
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error)) {
    g_printerr("cagmactl: %s\n", error->message);
    return CAGMA_EXIT_USAGE;
  }
  if (version) {
    g_print("cagmactl " CAGMA_VERSION "\n");
    return CAGMA_EXIT_OK;
  }
  if (interval_s < 0.1 || interval_s > 3600 || ctl.count < 0) {
    g_printerr("cagmactl: --interval takes 0.1 to 3600 seconds, --count no negative number\n");
    return CAGMA_EXIT_USAGE;
  }
  ctl.interval_ms = (int)(interval_s * 1000);

  for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(commands); i++)
    if (g_str_equal(commands[i].name, argv[1]))
      return commands[i].run(&ctl, argc - 2, argv + 2);
  if (argc > 1)
    g_printerr("cagmactl: no such command: %s\n", argv[1]);
  g_printerr("Usage: cagmactl status [DOMAIN] | explain DOMAIN | top | check FILE…\nTry 'cagmactl --help'.\n");
  return CAGMA_EXIT_USAGE;
}
