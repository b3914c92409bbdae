/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "plugin/targets.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define OTHER "99999999-2222-3333-4444-555555555555"

typedef struct {
  char *dir;
  char *inner;
  CagmaTargets *targets;
} Fixture;

static void
set_up(Fixture *f, gconstpointer unused)
{
  g_autoptr(GError) error = NULL;

  (void)unused;
  f->dir = kit_tmpdir();
  f->inner = g_build_filename(f->dir, "run", "targets", NULL);
  f->targets = cagma_targets_open(f->inner, &error);
  g_assert_no_error(error);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  cagma_targets_close(f->targets);
  g_free(f->inner);
  kit_remove(f->dir);
}

static void
put(Fixture *f, const char *uuid, int id, uint64_t kib)
{
  g_autoptr(GError) error = NULL;

  g_assert_true(cagma_targets_put(f->targets, uuid, id, kib, &error));
  g_assert_no_error(error);
}

static void
test_keeps(Fixture *f, gconstpointer unused)
{
  struct stat status;

  (void)unused;
  g_assert_cmpuint(cagma_targets_get(f->targets, UUID, 7), ==, 0);
  put(f, UUID, 7, 1024);
  put(f, OTHER, 8, CAGMA_MAX_KIB);
  g_assert_cmpuint(cagma_targets_get(f->targets, UUID, 7), ==, 1024);
  g_assert_cmpuint(cagma_targets_get(f->targets, OTHER, 8), ==, CAGMA_MAX_KIB);
  put(f, UUID, 7, 2048);
  g_assert_cmpuint(cagma_targets_get(f->targets, UUID, 7), ==, 2048);
  /* Another run of the domain. */
  g_assert_cmpuint(cagma_targets_get(f->targets, UUID, 8), ==, 0);
  put(f, UUID, -1, 5);
  g_assert_cmpuint(cagma_targets_get(f->targets, UUID, -1), ==, 5);

  g_assert_cmpint(stat(f->inner, &status), ==, 0);
  g_assert_cmpint(status.st_mode & 0777, ==, 0700);
}

static void
test_survives(Fixture *f, gconstpointer unused)
{
  g_autoptr(GError) error = NULL;

  (void)unused;
  put(f, UUID, 7, 1024);
  cagma_targets_close(f->targets);
  f->targets = cagma_targets_open(f->inner, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(cagma_targets_get(f->targets, UUID, 7), ==, 1024);
}

static void
test_drops(Fixture *f, gconstpointer unused)
{
  g_autoptr(GDir) dir = NULL;

  (void)unused;
  put(f, UUID, 7, 1024);
  cagma_targets_drop(f->targets, UUID);
  g_assert_cmpuint(cagma_targets_get(f->targets, UUID, 7), ==, 0);
  cagma_targets_drop(f->targets, UUID);
  /* Nothing else is left either. */
  dir = g_dir_open(f->inner, 0, NULL);
  g_assert_null(g_dir_read_name(dir));
}

static void
test_nonsense(Fixture *f, gconstpointer unused)
{
  static const struct {
    const char *text;
    uint64_t kib; /* of run 7 */
  } cases[] = {
    { "7 1024\n", 1024 },
    { "", 0 },
    { "7", 0 },
    { "7 ", 0 },
    { "7 10", 0 }, /* cut off: 1024 perhaps */
    { "7 1024", 0 },
    { "7 \n", 0 },
    { "7\n1024\n", 0 },
    { "8 1024\n", 0 },
    { "7 -1024\n", 0 },
    { "7 -18446744073709551615\n", 0 },
    { "7 0\n", 0 },
    { "7 4398046511105\n", 0 },
    { "7 99999999999999999999999999\n", 0 },
    { "99999999999999999999 1024\n", 0 },
    { "4294967303 1024\n", 0 },
    { "7 1024\n8 2048\n", 0 },
    { "7 1024 \n", 0 },
    { "7 0x400\n", 0 },
    { "seven 1024\n", 0 },
    { "\377\376\n", 0 },
  };

  (void)unused;
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = kit_write(f->inner, UUID, cases[i].text, -1);
    uint64_t kib = cagma_targets_get(f->targets, UUID, 7);

    if (kib != cases[i].kib)
      g_error("'%s' gives %" G_GUINT64_FORMAT, cases[i].text, (guint64)kib);
  }
}

static void
test_unwritable(Fixture *f, gconstpointer unused)
{
  g_autofree char *taken = NULL;
  g_autoptr(GError) error = NULL;

  (void)unused;
  g_assert_cmpint(g_rmdir(f->inner), ==, 0);
  g_assert_false(cagma_targets_put(f->targets, UUID, 7, 1024, &error));
  g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  kit_assert_has(error->message, UUID);
  g_clear_error(&error);

  /* A file where the directory should be. */
  taken = kit_write(f->dir, "file", "", 0);
  g_assert_null(cagma_targets_open(taken, &error));
  kit_assert_has(error->message, taken);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add("/targets/keeps", Fixture, NULL, set_up, test_keeps, tear_down);
  g_test_add("/targets/survives", Fixture, NULL, set_up, test_survives, tear_down);
  g_test_add("/targets/drops", Fixture, NULL, set_up, test_drops, tear_down);
  g_test_add("/targets/nonsense", Fixture, NULL, set_up, test_nonsense, tear_down);
  g_test_add("/targets/unwritable", Fixture, NULL, set_up, test_unwritable, tear_down);
  return g_test_run();
}
