/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdint.h>
#include <sys/types.h>

/* The test bed: a private libvirtd with QEMU guests under TCG (tests/lab), the cagmad
 * under test, and a judge of all it does. One bed a test program, in a short-lived
 * directory below /tmp.
 *
 * The program forks: the parent brings the bed up, the child runs the tests, and
 * however that ends, the parent says what was going on and takes everything down. */

typedef struct Guest Guest;
typedef struct Bed Bed;

/* The host's budget less its reserve, from a time on. */
typedef struct {
  int64_t from_us;
  uint64_t kib;
} Capacity;

struct Bed {
  char *dir;
  char *uri;
  virConnectPtr conn;
  GPtrArray *guests;
  int timeline_fd;

  /* The daemon (daemon.h). */
  char *run_dir;
  char *conf_path;
  char *log_path;
  GPid daemon;
  gboolean dry_run;
  GArray *capacities;

  /* The judge's (judge.h). */
  GArray *calls;
  long log_offset;
  guint judged;
};

typedef void (*BedTest)(Bed *bed);

/* The whole of main(). start: brings up the guests; add: calls bed_add. */
int bed_main(int argc, char **argv, BedTest start, void (*add)(Bed *bed));

/* A test, after which the judge looks at all that happened. */
void bed_add(Bed *bed, const char *path, BedTest test);

/* libvirtd anew; the guests live on. */
void bed_restart_libvirtd(Bed *bed);

/* A file in the bed's directory; free with g_free. */
char *bed_path(Bed *bed, const char *name);

/* The path of a program of the build tree, from the environment. */
const char *bed_program(const char *variable);

/* Runs a program to its end. Output in *out and *err where they aren't NULL. Returns its
 * exit status, 128 and above for signals. */
int bed_run(const char *const *argv, const char *input, char **out, char **err);

/* The same, which has to succeed; its output without the last newline. */
char *bed_output(const char *const *argv);

/* Waits until the condition holds; ends the test where it doesn't in time. */
typedef gboolean (*BedCondition)(gpointer data);
void bed_await(int seconds, BedCondition condition, gpointer data, const char *what, ...) G_GNUC_PRINTF(4, 5);
