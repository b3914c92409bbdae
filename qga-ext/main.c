/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qga-ext/agent.h"
#include "qga-ext/log.h"
#include "qga-ext/options.h"
#include "qga-ext/resident.h"

static volatile sig_atomic_t ended;

static void
on_signal(int signum)
{
  (void)signum;
  ended = 1;
}

/* SIGTERM and SIGINT end the agent, and are only let in while it waits: wait_mask. */
static bool
catch_signals(sigset_t *wait_mask)
{
  const struct sigaction end = { .sa_handler = on_signal };
  const struct sigaction ignore = { .sa_handler = SIG_IGN };
  sigset_t blocked;

  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGINT);
  return sigprocmask(SIG_BLOCK, &blocked, wait_mask) == 0 && sigdelset(wait_mask, SIGTERM) == 0 &&
         sigdelset(wait_mask, SIGINT) == 0 && sigaction(SIGTERM, &end, NULL) == 0 &&
         sigaction(SIGINT, &end, NULL) == 0 && sigaction(SIGPIPE, &ignore, NULL) == 0 &&
         sigaction(SIGHUP, &ignore, NULL) == 0;
}

int
main(int argc, char **argv)
{
  static CagmaAgent agent; /* too large for the stack */
  CagmaOptions options;
  CagmaLog log;
  sigset_t wait_mask;

  switch (cagma_options_parse(&options, argc, argv)) {
  case CAGMA_OPTIONS_DONE:
    return EXIT_SUCCESS;
  case CAGMA_OPTIONS_WRONG:
    return 2;
  case CAGMA_OPTIONS_RUN:
  default:
    break;
  }
  if (!cagma_log_open(&log, options.logfile, options.verbose)) {
    const char *why = strerror(errno);

    log = (CagmaLog){ .fd = STDERR_FILENO };
    cagma_log(&log, "%s: %s", options.logfile, why);
    return EXIT_FAILURE;
  }
  /* Before the descriptors and the locks, which a child doesn't inherit. */
  if (options.daemonize && daemon(0, 0) < 0) {
    cagma_log(&log, "can't go into the background: %s", strerror(errno));
    return EXIT_FAILURE;
  }
  if (!catch_signals(&wait_mask) || !cagma_agent_open(&agent, &options, &log))
    return EXIT_FAILURE;
  cagma_become_resident(&log);
  cagma_agent_rehearse(&agent);
  cagma_agent_run(&agent, &wait_mask, &ended);
  cagma_agent_close(&agent);
  return EXIT_SUCCESS;
}
