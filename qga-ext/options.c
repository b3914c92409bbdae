/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qga-ext/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { OPTION_MULTIPLEX = 256, OPTION_PROC };

static void
print_help(void)
{
  printf("usage: cagma-guest-agent [-m METHOD] [-p PATH] [OPTION...]\n"
         "Tells the host how much memory this guest needs.\n"
         "\n"
         "  -m, --method METHOD     virtio-serial (default), unix-listen or xenstore\n"
         "  -p, --path PATH         the port, socket or device; for virtio-serial by default\n"
         "                          %s,\n"
         "                          with --multiplex %s,\n"
         "                          for xenstore %s\n"
         "      --multiplex SOCKET  pass all requests but our own to the stock agent\n"
         "                          (qemu-ga -m unix-listen -p SOCKET)\n"
         "  -l, --logfile FILE      log there, not to stderr\n"
         "  -v, --verbose           log requests and events\n"
         "  -d, --daemonize         go into the background\n"
         "  -V, --version\n"
         "  -h, --help\n",
         CAGMA_OWN_PORT, CAGMA_STOCK_PORT, CAGMA_XENSTORE_DEVICE);
}

static CagmaOptionsResult
wrong(const char *what, const char *value)
{
  fprintf(stderr, "cagma-guest-agent: %s%s\n", what, value);
  return CAGMA_OPTIONS_WRONG;
}

static bool
parse_method(const char *name, CagmaMethod *method)
{
  if (strcmp(name, "virtio-serial") == 0)
    *method = CAGMA_METHOD_VIRTIO_SERIAL;
  else if (strcmp(name, "unix-listen") == 0)
    *method = CAGMA_METHOD_UNIX_LISTEN;
  else if (strcmp(name, "xenstore") == 0)
    *method = CAGMA_METHOD_XENSTORE;
  else
    return false;
  return true;
}

static bool
fits_socket_path(const char *path)
{
  return strlen(path) < sizeof(((struct sockaddr_un *)NULL)->sun_path);
}

static const char *
default_path(const CagmaOptions *options)
{
  if (options->method == CAGMA_METHOD_XENSTORE)
    return CAGMA_XENSTORE_DEVICE;
  return options->multiplex != NULL ? CAGMA_STOCK_PORT : CAGMA_OWN_PORT;
}

static CagmaOptionsResult
complete(CagmaOptions *options)
{
  if (options->path == NULL && options->method == CAGMA_METHOD_UNIX_LISTEN)
    return wrong("--method unix-listen needs a --path", "");
  if (options->multiplex != NULL && options->method == CAGMA_METHOD_XENSTORE)
    return wrong("--multiplex needs a port: nobody sends requests with --method xenstore", "");
  if (options->path == NULL)
    options->path = default_path(options);
  if (options->method != CAGMA_METHOD_VIRTIO_SERIAL && !fits_socket_path(options->path))
    return wrong("socket path is too long: ", options->path);
  if (options->multiplex != NULL && !fits_socket_path(options->multiplex))
    return wrong("socket path is too long: ", options->multiplex);
  return CAGMA_OPTIONS_RUN;
}

CagmaOptionsResult
cagma_options_parse(CagmaOptions *options, int argc, char **argv)
{
  static const struct option known[] = {
    { "method", required_argument, NULL, 'm' },
    { "path", required_argument, NULL, 'p' },
    { "multiplex", required_argument, NULL, OPTION_MULTIPLEX },
    { "logfile", required_argument, NULL, 'l' },
    { "verbose", no_argument, NULL, 'v' },
    { "daemonize", no_argument, NULL, 'd' },
    { "version", no_argument, NULL, 'V' },
    { "help", no_argument, NULL, 'h' },
    { "proc", required_argument, NULL, OPTION_PROC }, /* for tests */
    { NULL, 0, NULL, 0 },
  };
  int c;

  *options = (CagmaOptions){ .method = CAGMA_METHOD_VIRTIO_SERIAL, .proc = "/proc" };
  while ((c = getopt_long(argc, argv, "m:p:l:vdVh", known, NULL)) != -1) {
    switch (c) {
    case 'm':
      if (!parse_method(optarg, &options->method))
        return wrong("unknown method ", optarg);
      break;
    case 'p':
      options->path = optarg;
      break;
    case OPTION_MULTIPLEX:
      options->multiplex = optarg;
      break;
    case 'l':
      options->logfile = optarg;
      break;
    case 'v':
      options->verbose = true;
      break;
    case 'd':
      options->daemonize = true;
      break;
    case OPTION_PROC:
      options->proc = optarg;
      break;
    case 'V':
      puts("cagma-guest-agent " CAGMA_VERSION);
      return CAGMA_OPTIONS_DONE;
    case 'h':
      print_help();
      return CAGMA_OPTIONS_DONE;
    default:
      return CAGMA_OPTIONS_WRONG; /* getopt has said why */
    }
  }
  if (optind < argc)
    return wrong("unexpected argument ", argv[optind]);
  return complete(options);
}
