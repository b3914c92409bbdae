/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* What the tests of plugin/ share. */

/* g_test_init, and logs kept for kit_logged. Criticals stay fatal: among them is a plan
 * that the guard refuses. */
void kit_init(int *argc, char ***argv);

/* How many log lines since kit_log_clear hold the fragment. Thread-safe. */
unsigned kit_logged(const char *fragment);
void kit_log_clear(void);

/* A directory of the test's own; kit_remove deletes it with what is in it, and frees. */
char *kit_tmpdir(void);
void kit_remove(char *dir);

/* Writes DIR/NAME; returns its path. Free with g_free. */
char *kit_write(const char *dir, const char *name, const char *text, gssize len);

/* Turns the main loop until the condition holds. Fails the test, naming it, where that
 * takes half a minute. */
#define KIT_WAIT(condition)                                                                                  \
  for (gint64 kit_end_us = g_get_monotonic_time() + 30 * G_USEC_PER_SEC; !(condition);)                      \
  kit_turn(kit_end_us, #condition)
void kit_turn(gint64 end_us, const char *condition);

/* One turn, or ten milliseconds. */
void kit_breathe(void);

/* A child's setup (GSpawnChildSetupFunc), so that nothing is left where a test is aborted. */
void kit_end_with_the_test(gpointer unused);

/* A program run to its end. */
typedef struct {
  int status; /* the exit status; a signal's number + 128 */
  char *out;
  char *err;
  gint64 took_us;
} KitRun;

/* env: "NAME=VALUE" to be set, NULL-terminated, or NULL. input NULL: stdin is open and
 * stays silent until the program ends. */
KitRun *kit_run(const char *const *argv, const char *const *env, const char *input, gssize len);
void kit_run_free(KitRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KitRun, kit_run_free)

#define kit_assert_has(text, fragment)                                                                       \
  G_STMT_START                                                                                               \
  {                                                                                                          \
    const char *kit_text = (text), *kit_fragment = (fragment);                                               \
    if (!kit_text || !strstr(kit_text, kit_fragment))                                                        \
      g_error("%s:%d: '%s' is not in '%s'", __FILE__, __LINE__, kit_fragment, kit_text ? kit_text : "");     \
  }                                                                                                          \
  G_STMT_END
