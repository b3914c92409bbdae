/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/ctl.h"

#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "plugin/conf.h"
#include "xml/size.h"

static const struct {
  const char *name;
  int (*run)(const CagmaCtl *ctl, int argc, char **argv);
} commands[] = {
  { "status", cagma_ctl_status },     { "explain", cagma_ctl_explain }, { "top", cagma_ctl_top },
  { "enable", cagma_ctl_enable },     { "disable", cagma_ctl_disable }, { "check", cagma_ctl_check },
  { "simulate", cagma_ctl_simulate }, { "replay", cagma_ctl_replay },
};

static const char description[] =
    "Commands:\n"
    "  status [DOMAIN]   what each domain has, needs and does\n"
    "  explain DOMAIN    the last decision on it, and the figures behind it\n"
    "  top               the same as status, live\n"
    "  enable DOMAIN     give it a configuration, a channel for the guest's agent, and\n"
    "                    balloon statistics\n"
    "  disable DOMAIN    take back what enable changed\n"
    "  check FILE…       judge configurations, status documents, domain XML,\n"
    "                    cagmad.conf and scenarios, without the daemon\n"
    "  simulate SCENARIO\n"
    "                    what policies would do to a scenario's guests\n"
    "  replay RECORD     what is in a record of cagmad's, and what another policy\n"
    "                    would have done\n"
    "\n"
    "Exit status: 0, or 1 where what was asked for isn't so, 2 for wrong usage,\n"
    "3 where the daemon can't be reached.\n";

static gboolean
wants_color(void)
{
  return isatty(STDOUT_FILENO) && !g_getenv("NO_COLOR") && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
}

/* Nothing was asked for. */
#define NO_SHARES G_MININT

typedef struct {
  double interval_s;
  char *run_dir;
  char *caption;
  char *uri;
  char *guarantee;
  char *limit;
  int shares;
  char **policies;
  gint64 seed;
  char *surplus;
  char **without;
  char *plot;
  char *plot_policy;
  char *explain;
  char *at;
  char *scenario;
  gboolean version;
} Given;

static void
given_clear(Given *given)
{
  g_free(given->run_dir);
  g_free(given->caption);
  g_free(given->uri);
  g_free(given->guarantee);
  g_free(given->limit);
  g_strfreev(given->policies);
  g_free(given->surplus);
  g_strfreev(given->without);
  g_free(given->plot);
  g_free(given->plot_policy);
  g_free(given->explain);
  g_free(given->at);
  g_free(given->scenario);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Given, given_clear)

/* Sizes and shares for enable; FALSE, with an error that names the option. */
static gboolean
take_config(CagmaConfig *config, const Given *given, GError **error)
{
  cagma_config_init(config);
  if (given->guarantee && !cagma_size_from_string(given->guarantee, &config->guarantee_kib, error)) {
    g_prefix_error(error, "--guarantee: ");
    return FALSE;
  }
  if (given->limit && !cagma_size_from_string(given->limit, &config->limit_kib, error)) {
    g_prefix_error(error, "--limit: ");
    return FALSE;
  }
  if (given->shares != NO_SHARES && (given->shares < 0 || given->shares > CAGMA_SHARES_MAX)) {
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--shares takes 0 to %d", CAGMA_SHARES_MAX);
    return FALSE;
  }
  if (given->shares >= 0)
    config->shares = (uint32_t)given->shares;
  config->given = (given->guarantee ? CAGMA_GIVEN_GUARANTEE : 0) | (given->limit ? CAGMA_GIVEN_LIMIT : 0) |
                  (given->shares >= 0 ? CAGMA_GIVEN_SHARES : 0);
  return TRUE;
}

static void
add_simulate_options(GOptionContext *context, CagmaCtl *ctl, Given *given)
{
  const GOptionEntry entries[] = {
    { "policy", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &given->policies,
      "simulate: run these, instead of the usual ones; replay: let these decide", "NAME[,NAME…]" },
    { "seed", 0, 0, G_OPTION_ARG_INT64, &given->seed, "simulate: instead of the scenario's", "N" },
    { "surplus", 0, 0, G_OPTION_ARG_STRING, &given->surplus,
      "simulate, replay: instead of the scenario's or the recorded one", "leave|reclaim" },
    { "without", 0, 0, G_OPTION_ARG_STRING_ARRAY, &given->without,
      "simulate, replay: leave out these rules of our policies", "RULE[,RULE…]" },
    { "guests", 0, 0, G_OPTION_ARG_NONE, &ctl->guests, "simulate, replay: a row for each guest too", NULL },
    { "plot", 0, 0, G_OPTION_ARG_FILENAME, &given->plot, "simulate: draw a run into this file", "FILE.svg" },
    { "plot-policy", 0, 0, G_OPTION_ARG_STRING, &given->plot_policy,
      "simulate: whose (default: the first of --policy, or cagma)", "NAME" },
    G_OPTION_ENTRY_NULL,
  };

  g_option_context_add_main_entries(context, entries, NULL);
}

static void
add_replay_options(GOptionContext *context, CagmaCtl *ctl, Given *given)
{
  const GOptionEntry entries[] = {
    { "all", 0, 0, G_OPTION_ARG_NONE, &ctl->all, "replay: show all differences", NULL },
    { "explain", 0, 0, G_OPTION_ARG_STRING, &given->explain, "replay: explain a decision on this domain",
      "DOMAIN" },
    { "at", 0, 0, G_OPTION_ARG_STRING, &given->at,
      "replay: the last one at this time: seconds from the beginning, or ISO 8601", "TIME" },
    { "scenario", 0, 0, G_OPTION_ARG_FILENAME, &given->scenario,
      "replay: write the scenario inferred into this file", "FILE.json" },
    G_OPTION_ENTRY_NULL,
  };

  g_option_context_add_main_entries(context, entries, NULL);
}

static gboolean
take_simulate_options(CagmaCtl *ctl, const Given *given, GError **error)
{
  if (given->seed < -1 || given->seed > G_MAXUINT32) {
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--seed takes 0 to %u", G_MAXUINT32);
    return FALSE;
  }
  ctl->policies = given->policies;
  ctl->seed = given->seed;
  ctl->surplus = given->surplus;
  ctl->without = given->without;
  ctl->plot = given->plot;
  ctl->plot_policy = given->plot_policy;
  ctl->explain = given->explain;
  ctl->at = given->at;
  ctl->scenario = given->scenario;
  return TRUE;
}

static gboolean
take_options(CagmaCtl *ctl, Given *given, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "json", 'j', 0, G_OPTION_ARG_NONE, &ctl->json, "print JSON", NULL },
    { "run-dir", 0, 0, G_OPTION_ARG_FILENAME, &given->run_dir, "the daemon's (default: " CAGMA_RUN_DIR ")",
      "DIR" },
    { "interval", 'd', 0, G_OPTION_ARG_DOUBLE, &given->interval_s,
      "top: seconds between pictures (default: 1)", "S" },
    { "count", 'n', 0, G_OPTION_ARG_INT, &ctl->count, "top: stop after so many", "N" },
    { "caption", 0, 0, G_OPTION_ARG_FILENAME, &given->caption, "top: show this file's text above", "FILE" },
    { "connect", 'c', 0, G_OPTION_ARG_STRING, &given->uri, "enable, disable: libvirt connection", "URI" },
    { "dry-run", 0, 0, G_OPTION_ARG_NONE, &ctl->dry_run, "enable, disable: only say what would change",
      NULL },
    { "guarantee", 0, 0, G_OPTION_ARG_STRING, &given->guarantee, "enable: never less than this", "SIZE" },
    { "limit", 0, 0, G_OPTION_ARG_STRING, &given->limit, "enable: never more than this", "SIZE" },
    { "shares", 0, 0, G_OPTION_ARG_INT, &given->shares, "enable: weight when memory is short", "N" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &given->version, "show the version and exit", NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr(GOptionContext) context = g_option_context_new("COMMAND [ARGUMENT…]");

  g_option_context_set_summary(context, "Shows and checks what cagmad does.");
  g_option_context_set_description(context, description);
  g_option_context_add_main_entries(context, entries, NULL);
  add_simulate_options(context, ctl, given);
  add_replay_options(context, ctl, given);
  if (!g_option_context_parse(context, argc, argv, error))
    return FALSE;
  if (!(given->interval_s >= 0.1 && given->interval_s <= 3600) || ctl->count < 0) {
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "--interval takes 0.1 to 3600 seconds, --count no negative number");
    return FALSE;
  }
  if (given->run_dir)
    ctl->run_dir = given->run_dir;
  ctl->caption = given->caption;
  ctl->uri = given->uri;
  ctl->interval_ms = (int)(given->interval_s * 1000);
  return take_simulate_options(ctl, given, error) && take_config(&ctl->config, given, error);
}

int
main(int argc, char **argv)
{
  const char *run_dir = g_getenv("CAGMA_RUN_DIR");
  CagmaCtl ctl = { .run_dir = run_dir ? run_dir : CAGMA_RUN_DIR, .color = wants_color() };
  g_auto(Given) given = { .interval_s = 1, .shares = NO_SHARES, .seed = -1 };
  g_autoptr(GError) error = NULL;

  setlocale(LC_ALL, "");
  if (!take_options(&ctl, &given, &argc, &argv, &error)) {
    g_printerr("cagmactl: %s\n", error->message);
    return CAGMA_EXIT_USAGE;
  }
  if (given.version) {
    g_print("cagmactl " CAGMA_VERSION "\n");
    return CAGMA_EXIT_OK;
  }

  for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(commands); i++)
    if (g_str_equal(commands[i].name, argv[1]))
      return commands[i].run(&ctl, argc - 2, argv + 2);
  if (argc > 1)
    g_printerr("cagmactl: no such command: %s\n", argv[1]);
  g_printerr("Usage: cagmactl status [DOMAIN] | explain DOMAIN | top | enable DOMAIN | disable DOMAIN | "
             "check FILE… | simulate SCENARIO | replay RECORD\n"
             "Try 'cagmactl --help'.\n");
  return CAGMA_EXIT_USAGE;
}
