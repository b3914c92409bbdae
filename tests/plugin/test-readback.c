/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "plugin/manager.h"
#include "policy/units.h"
#include "tests/plugin/fake-backend.h"
#include "tests/plugin/kit.h"
#include "xml/memory.h"

/* When the manager asks a guest to bring back what it has swapped out. */

/* Nobody moves but at the test's word. */
#define TERMS(attributes)                                                                                    \
  "<cagma:memory xmlns:cagma='" CAGMA_MEMORY_URI "'" attributes                                              \
  "><cagma:guarantee unit='MiB'>256</cagma:guarantee><cagma:shares>0</cagma:shares></cagma:memory>"
#define HOST "[host]\nuri=fake:///\nreserve=0\noverhead=0\npool=0\nbudget=8GiB\nperiod=100ms\n"

#define BEFORE_MIB 1024
#define AFTER_MIB 1152

typedef struct {
  FakeBackend *fake;
  CagmaTargets *targets;
  CagmaConf *conf;
  CagmaManager *manager;
  char *dir;
  FakeGuest *guest;
} Fixture;

typedef struct {
  const char *conf;
  const char *terms;
  gboolean dry_run;
} Setting;

static const Setting usual = { HOST "read-back=yes\n", TERMS(""), FALSE };
static const Setting off = { HOST "read-back=no\n", TERMS(""), FALSE };
static const Setting observed = { HOST "read-back=yes\n", TERMS(" mode='observe'"), FALSE };
static const Setting dry = { HOST "read-back=yes\n", TERMS(""), TRUE };

static void
set_up(Fixture *f, gconstpointer data)
{
  const Setting *setting = data;
  g_autofree char *targets_dir = NULL;
  g_autoptr(GError) error = NULL;

  kit_log_clear();
  f->fake = fake_new();
  f->dir = kit_tmpdir();
  targets_dir = g_build_filename(f->dir, "targets", NULL);
  f->targets = cagma_targets_open(targets_dir, &error);
  g_assert_no_error(error);
  f->conf = cagma_conf_parse(setting->conf, -1, &error);
  g_assert_no_error(error);
  f->manager = cagma_manager_new(fake_backend(f->fake), f->targets, f->conf, setting->dry_run);
  f->guest = fake_add(f->fake, "guest", 2048, BEFORE_MIB, 600, setting->terms);
  f->guest->channel = TRUE;
  cagma_manager_start(f->manager);
  fake_connect(f->fake);
  fake_start(f->fake, f->guest);
}

static void
tear_down(Fixture *f, gconstpointer data)
{
  (void)data;
  fake_backend(f->fake)->close(fake_backend(f->fake));
  cagma_manager_free(f->manager);
  fake_free(f->fake);
  cagma_targets_close(f->targets);
  cagma_conf_free(f->conf);
  kit_remove(f->dir);
}

static uint64_t
actual_mib(Fixture *f)
{
  g_autoptr(GVariant) infos = g_variant_ref_sink(cagma_manager_domain_infos(f->manager));
  g_autoptr(GVariant) info = g_variant_n_children(infos) ? g_variant_get_child_value(infos, 0) : NULL;
  guint64 kib = 0;

  return info && g_variant_lookup(info, "actual-kib", "t", &kib) ? kib / 1024 : 0;
}

static void
report(Fixture *f, uint64_t available_mib, uint64_t swapped_mib)
{
  const CagmaSample sample = {
    .source = CAGMA_SAMPLE_CHANNEL,
    .has = CAGMA_HAS_USABLE | CAGMA_HAS_SWAP | CAGMA_HAS_SWAP_USED,
    .usable_kib = CAGMA_MIB(available_mib),
    .swap_out_kib = CAGMA_MIB(2000),
    .swap_total_kib = CAGMA_MIB(4096),
    .swap_used_kib = CAGMA_MIB(swapped_mib),
  };

  fake_speak(f->fake, f->guest, &sample, FALSE);
}

/* Reports for so many rounds. */
static void
go_on_reporting(Fixture *f, uint64_t available_mib, uint64_t swapped_mib, unsigned rounds)
{
  unsigned until = f->guest->n_asked[CAGMA_REQUEST_SAMPLE] + rounds;

  while (f->guest->n_asked[CAGMA_REQUEST_SAMPLE] < until) {
    report(f, available_mib, swapped_mib);
    kit_breathe();
  }
}

static void
grow(Fixture *f)
{
  KIT_WAIT(f->guest->listened && actual_mib(f) == BEFORE_MIB);
  go_on_reporting(f, 400, 50, 5);
  g_assert_cmpuint(f->guest->n_read_backs, ==, 0);
  f->guest->actual_kib = CAGMA_MIB(AFTER_MIB);
  KIT_WAIT(actual_mib(f) == AFTER_MIB);
}

static void
await_asked(Fixture *f, unsigned times, uint64_t available_mib, uint64_t swapped_mib)
{
  KIT_WAIT((report(f, available_mib, swapped_mib), f->guest->n_read_backs == times));
}

static void
test_a_guest_that_grew_is_asked(Fixture *f, gconstpointer data)
{
  g_autofree char *before = NULL;
  g_autofree char *meanwhile = NULL;
  g_autofree char *after = NULL;
  gint64 asked_us;

  (void)data;
  grow(f);
  before = cagma_manager_explain(f->manager, "guest");
  g_assert_null(strstr(before, "read-back"));
  await_asked(f, 1, 500, 50);
  asked_us = g_get_monotonic_time();
  g_assert_cmpuint(f->guest->read_back_kib, ==, CAGMA_MIB(50));
  fake_bring_back(f->fake, f->guest, CAGMA_MIB(0), FALSE);
  /* At most once a second; and no more than what it needs leaves. */
  await_asked(f, 2, 500, 1000);
  g_assert_cmpint(g_get_monotonic_time() - asked_us, >=, G_USEC_PER_SEC * 9 / 10);
  g_assert_cmpuint(f->guest->read_back_kib, ==, CAGMA_MIB(500) - CAGMA_MIB(652) / 10);
  fake_bring_back(f->fake, f->guest, CAGMA_MIB(20), FALSE);
  meanwhile = cagma_manager_explain(f->manager, "guest");
  kit_assert_has(meanwhile, "its guest is bringing back, so far 20 MiB of what it had swapped out.\n");
  await_asked(f, 3, 500, 30);
  /* Through: until it grows again. */
  fake_bring_back(f->fake, f->guest, CAGMA_MIB(50), TRUE);
  go_on_reporting(f, 500, 30, 15);
  g_assert_cmpuint(f->guest->n_read_backs, ==, 3);
  after = cagma_manager_explain(f->manager, "guest");
  kit_assert_has(after, "its guest has brought back 50 MiB of what it had swapped out.\n");
  f->guest->actual_kib = CAGMA_MIB(AFTER_MIB + 64);
  await_asked(f, 4, 500, 30);
}

/* An agent is asked no more for next to nothing, so that it can't say that it is through. */
static void
test_a_guest_with_little_left_is_through(Fixture *f, gconstpointer data)
{
  g_autofree char *after = NULL;

  (void)data;
  grow(f);
  await_asked(f, 1, 500, 50);
  fake_bring_back(f->fake, f->guest, CAGMA_MIB(47), FALSE);
  go_on_reporting(f, 500, 3, 5);
  after = cagma_manager_explain(f->manager, "guest");
  kit_assert_has(after, "its guest has brought back 47 MiB of what it had swapped out.\n");
  g_assert_cmpuint(f->guest->n_read_backs, ==, 1);
}

static void
test_a_guest_that_is_short_is_left(Fixture *f, gconstpointer data)
{
  (void)data;
  grow(f);
  /* Its headroom is a tenth of what it uses; little above it isn't worth a word; and nothing
   * may be swapped out. */
  go_on_reporting(f, 90, 500, 5);
  go_on_reporting(f, 107, 500, 5);
  go_on_reporting(f, 500, 0, 5);
  go_on_reporting(f, 500, 3, 5);
  g_assert_cmpuint(f->guest->n_read_backs, ==, 0);
  /* What it was given doesn't go out of date. */
  await_asked(f, 1, 500, 500);
  go_on_reporting(f, 90, 500, 15);
  g_assert_cmpuint(f->guest->n_read_backs, ==, 1);
  await_asked(f, 2, 500, 500);
}

static void
test_a_guest_without_progress_is_left(Fixture *f, gconstpointer data)
{
  (void)data;
  grow(f);
  /* It can't, or doesn't tell; nor is it believed what nobody asked it. */
  go_on_reporting(f, 90, 500, 3);
  fake_bring_back(f->fake, f->guest, CAGMA_MIB(10), TRUE);
  for (unsigned i = 1; i <= 20; i++)
    await_asked(f, i, 500, 500);
  go_on_reporting(f, 500, 500, 15);
  g_assert_cmpuint(f->guest->n_read_backs, ==, 20);
}

static void
test_nobody_else_is_asked(Fixture *f, gconstpointer data)
{
  (void)data;
  grow(f);
  go_on_reporting(f, 500, 500, 10);
  g_assert_cmpuint(f->guest->n_read_backs, ==, 0);
}

static void
test_strangers_say_nothing(Fixture *f, gconstpointer data)
{
  FakeGuest *stranger = fake_add(f->fake, "stranger", 1024, 1024, 100, TERMS(""));

  (void)data;
  fake_bring_back(f->fake, stranger, CAGMA_MIB(1), FALSE);
  grow(f);
  await_asked(f, 1, 500, 500);
  fake_bring_back(f->fake, f->guest, UINT64_MAX, FALSE);
  fake_bring_back(f->fake, f->guest, 0, FALSE);
  await_asked(f, 2, 500, 500);
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *path;
    const Setting *setting;
    void (*test)(Fixture *f, gconstpointer data);
  } tests[] = {
    { "/read-back/a-guest-that-grew-is-asked", &usual, test_a_guest_that_grew_is_asked },
    { "/read-back/a-guest-with-little-left", &usual, test_a_guest_with_little_left_is_through },
    { "/read-back/a-guest-that-is-short-is-left", &usual, test_a_guest_that_is_short_is_left },
    { "/read-back/a-guest-without-progress-is-left", &usual, test_a_guest_without_progress_is_left },
    { "/read-back/strangers-say-nothing", &usual, test_strangers_say_nothing },
    { "/read-back/not-unless-it-is-wished", &off, test_nobody_else_is_asked },
    { "/read-back/not-while-it-is-observed", &observed, test_nobody_else_is_asked },
    { "/read-back/not-in-a-dry-run", &dry, test_nobody_else_is_asked },
  };

  kit_init(&argc, &argv);
  for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
    g_test_add(tests[i].path, Fixture, tests[i].setting, set_up, tests[i].test, tear_down);
  return g_test_run();
}
