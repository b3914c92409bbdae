/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The manager on a hypervisor that bounds its domains itself, takes a domain's memory as a
 * whole when it starts, and has its guests report by themselves: Xen. */
#include <string.h>

#include "plugin/manager.h"
#include "policy/units.h"
#include "tests/plugin/fake-backend.h"
#include "tests/plugin/kit.h"
#include "xml/memory.h"

#define ENFORCED                                                                                             \
  "<cagma:memory xmlns:cagma='" CAGMA_MEMORY_URI "'><cagma:guarantee unit='MiB'>256</cagma:guarantee>"       \
  "</cagma:memory>"

#define CONF(budget) "[host]\nperiod=100ms\nreserve=0\npool=0\nuri=fake:///\nbudget=" budget "\n"
#define TOTAL_MIB 2048
#define NEW_UUID "11111111-2222-3333-4444-555555555555"

typedef struct {
  FakeBackend *fake;
  CagmaTargets *targets;
  CagmaConf *conf;
  CagmaManager *manager;
  char *dir;
  FakeGuest *one;
  FakeGuest *other;
  guint speaking;
  int answer; /* to await_room: -1 as long as there's none */
  uint64_t free_then_kib;
} Fixture;

/* The host has no more of it: what runs, and what is being built. */
static Fixture *hosted;
static uint64_t building_kib;
static gboolean can_tell;

static uint64_t
free_kib(void)
{
  uint64_t held_kib = building_kib;

  held_kib += hosted->one->runs ? hosted->one->actual_kib : 0;
  held_kib += hosted->other->runs ? hosted->other->actual_kib : 0;
  return cagma_above(CAGMA_MIB(TOTAL_MIB), held_kib);
}

static gboolean
host_memory(CagmaHostMemory *memory, GError **error)
{
  if (!can_tell) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "Xen says nothing");
    return FALSE;
  }
  *memory = (CagmaHostMemory){ .total_kib = CAGMA_MIB(TOTAL_MIB), .available_kib = free_kib() };
  return TRUE;
}

static void
speak(Fixture *f, FakeGuest *guest, gboolean pressure)
{
  const CagmaSample said = { .source = CAGMA_SAMPLE_CHANNEL,
                             .has = CAGMA_HAS_USABLE | CAGMA_HAS_SWAP | CAGMA_HAS_STAMP,
                             .usable_kib = cagma_above(guest->actual_kib, guest->used_kib),
                             .swap_in_kib = guest->swap_in_kib,
                             .swap_out_kib = guest->swap_out_kib,
                             .stamp = ++guest->stamp };

  if (guest->runs && guest->listened && !guest->dumb)
    fake_speak(f->fake, guest, &said, pressure);
}

static gboolean
speak_all(gpointer user_data)
{
  Fixture *f = user_data;

  speak(f, f->one, FALSE);
  speak(f, f->other, FALSE);
  return G_SOURCE_CONTINUE;
}

static void
set_up(Fixture *f, gconstpointer conf)
{
  g_autofree char *targets_dir = NULL;
  g_autoptr(GError) error = NULL;

  kit_log_clear();
  hosted = f;
  building_kib = 0;
  can_tell = TRUE;
  f->answer = -1;
  f->fake = fake_new();
  fake_host_memory(f->fake, host_memory);
  f->dir = kit_tmpdir();
  targets_dir = g_build_filename(f->dir, "targets", NULL);
  f->targets = cagma_targets_open(targets_dir, &error);
  f->conf = cagma_conf_parse(conf, -1, &error);
  g_assert_no_error(error);
  f->manager = cagma_manager_new(fake_backend(f->fake), f->targets, f->conf, FALSE);
  f->one = fake_add(f->fake, "one", 4096, 1024, 400, ENFORCED);
  f->other = fake_add(f->fake, "other", 4096, 768, 500, ENFORCED);
  f->one->xen = f->other->xen = TRUE;
  f->speaking = g_timeout_add(20, speak_all, f);
}

static void
tear_down(Fixture *f, gconstpointer conf)
{
  (void)conf;
  g_source_remove(f->speaking);
  fake_backend(f->fake)->close(fake_backend(f->fake));
  cagma_manager_free(f->manager);
  fake_free(f->fake);
  cagma_targets_close(f->targets);
  cagma_conf_free(f->conf);
  kit_remove(f->dir);
}

static GVariant *
info_of(Fixture *f, const FakeGuest *guest)
{
  g_autoptr(GVariant) infos = g_variant_ref_sink(cagma_manager_domain_infos(f->manager));

  for (gsize i = 0; i < g_variant_n_children(infos); i++) {
    GVariant *info = g_variant_get_child_value(infos, i);
    const char *uuid;

    g_variant_lookup(info, "uuid", "&s", &uuid);
    if (g_str_equal(uuid, guest->uuid))
      return info;
    g_variant_unref(info);
  }
  return NULL;
}

static gboolean
says(Fixture *f, const FakeGuest *guest, const char *key, const char *fragment)
{
  g_autoptr(GVariant) info = info_of(f, guest);
  const char *text;

  return info && g_variant_lookup(info, key, "&s", &text) && strstr(text, fragment);
}

static uint64_t
charge_of(Fixture *f, const FakeGuest *guest)
{
  g_autoptr(GVariant) info = info_of(f, guest);
  guint64 kib = 0;

  if (info)
    g_variant_lookup(info, "charge-kib", "t", &kib);
  return kib;
}

static guint64
incoming(Fixture *f)
{
  g_autoptr(GVariant) host = g_variant_ref_sink(cagma_manager_host_info(f->manager));
  guint64 kib = G_MAXUINT64;

  g_variant_lookup(host, "incoming-kib", "t", &kib);
  return kib;
}

static gboolean
rests(Fixture *f, FakeGuest *guest)
{
  return says(f, guest, "state", "steady") && says(f, guest, "reason", "available and needs");
}

static void
run(Fixture *f)
{
  cagma_manager_start(f->manager);
  fake_connect(f->fake);
  fake_start(f->fake, f->one);
  fake_start(f->fake, f->other);
  KIT_WAIT(rests(f, f->one) && rests(f, f->other));
}

static void
let_rounds_pass(FakeGuest *guest, unsigned n)
{
  unsigned until = guest->n_asked[CAGMA_REQUEST_SAMPLE] + n;

  KIT_WAIT(guest->n_asked[CAGMA_REQUEST_SAMPLE] >= until);
}

static unsigned
n_sets(const Fixture *f)
{
  return f->one->sets->len + f->other->sets->len;
}

/* Guests. */

static void
test_heard_without_a_channel(Fixture *f, gconstpointer conf)
{
  (void)conf;
  f->one->agent_channel = TRUE;
  f->one->no_stats_period = f->other->no_stats_period = TRUE;
  run(f);
  g_assert_true(f->one->listened && f->other->listened);
  g_assert_true(says(f, f->one, "source", "xenstore"));
  let_rounds_pass(f->one, 5);
  /* Neither is asked what it can't answer. */
  g_assert_cmpuint(f->one->n_asked[CAGMA_REQUEST_AGENT], ==, 0);
  g_assert_cmpuint(f->one->stats_period_s, ==, 0);
}

static void
test_not_moved_before_its_driver_is_up(Fixture *f, gconstpointer conf)
{
  (void)conf;
  f->one->driverless = TRUE;
  f->one->used_kib = CAGMA_MIB(1000);
  cagma_manager_start(f->manager);
  fake_connect(f->fake);
  fake_start(f->fake, f->one);
  fake_start(f->fake, f->other);
  KIT_WAIT(says(f, f->one, "state", "held") && says(f, f->one, "reason", "no balloon driver"));
  let_rounds_pass(f->one, 5);
  g_assert_cmpuint(f->one->sets->len, ==, 0);
  f->one->driverless = FALSE;
  KIT_WAIT(f->one->actual_kib > CAGMA_MIB(1024));
}

/* Charges. */

static void
test_never_counted_in_full(Fixture *f, gconstpointer conf)
{
  unsigned before;

  (void)conf;
  f->other->config = (g_free(f->other->config), NULL);
  f->one->runs = f->other->runs = TRUE;
  f->one->bound_kib = f->one->actual_kib;
  f->other->bound_kib = f->other->actual_kib;
  cagma_manager_start(f->manager);
  fake_connect(f->fake);
  KIT_WAIT(charge_of(f, f->one) == CAGMA_MIB(1024) && charge_of(f, f->other) == CAGMA_MIB(768));
  KIT_WAIT(rests(f, f->one));
  /* What was there before us stays as it is; what an operator gives counts at once. */
  g_assert_cmpuint(f->one->sets->len, ==, 0);
  f->other->bound_kib = CAGMA_MIB(900);
  KIT_WAIT(charge_of(f, f->other) == CAGMA_MIB(900));
  before = f->other->n_asked[CAGMA_REQUEST_SAMPLE];
  let_rounds_pass(f->one, 20);
  g_assert_cmpuint(f->other->n_asked[CAGMA_REQUEST_SAMPLE], >, before + 10);
}

static void
test_reboot_keeps_the_charge(Fixture *f, gconstpointer conf)
{
  (void)conf;
  run(f);
  fake_tell(f->fake, f->one, CAGMA_EVENT_REBOOTED);
  g_assert_cmpuint(charge_of(f, f->one), ==, CAGMA_MIB(1024));
  KIT_WAIT(rests(f, f->one));
  g_assert_cmpuint(charge_of(f, f->one), ==, CAGMA_MIB(1024));
}

/* Xen's free memory is what may be granted. */
static void
test_budget_is_what_the_hypervisor_has_free(Fixture *f, gconstpointer conf)
{
  (void)conf;
  run(f);
  f->one->used_kib = f->other->used_kib = CAGMA_MIB(3000);
  KIT_WAIT(free_kib() < CAGMA_MIB(8));
  let_rounds_pass(f->one, 10);
  g_assert_cmpuint(charge_of(f, f->one) + charge_of(f, f->other), <=, CAGMA_MIB(TOTAL_MIB));
}

/* Room. */

static void
answered(gboolean is_free, gpointer user_data)
{
  Fixture *f = user_data;

  g_assert_cmpint(f->answer, ==, -1);
  f->answer = is_free;
  f->free_then_kib = free_kib();
}

static void
expect(Fixture *f, const char *uuid, uint64_t mib)
{
  cagma_manager_expect(f->manager, uuid, "new", CAGMA_MIB(mib));
  cagma_manager_await_room(f->manager, answered, f);
}

static void
test_room_that_is_there(Fixture *f, gconstpointer conf)
{
  (void)conf;
  run(f);
  expect(f, NEW_UUID, 200);
  g_assert_cmpint(f->answer, ==, TRUE);
}

static void
test_room_is_made(Fixture *f, gconstpointer conf)
{
  unsigned before;

  (void)conf;
  run(f);
  before = n_sets(f);
  expect(f, NEW_UUID, 500);
  g_assert_cmpint(f->answer, ==, -1);
  KIT_WAIT(f->answer != -1);
  g_assert_cmpint(f->answer, ==, TRUE);
  /* It has arrived, and isn't only asked for. */
  g_assert_cmpuint(f->free_then_kib, >=, CAGMA_MIB(500));
  g_assert_cmpuint(n_sets(f), >, before);
}

/* What a guest may still take isn't room for a start. */
static void
test_room_that_others_may_take_is_none(Fixture *f, gconstpointer conf)
{
  (void)conf;
  f->one->sticks = TRUE;
  run(f);
  f->one->bound_kib = CAGMA_MIB(1024 + 200);
  KIT_WAIT(charge_of(f, f->one) == CAGMA_MIB(1224));
  expect(f, NEW_UUID, 200);
  g_assert_cmpint(f->answer, ==, -1);
}

/* While it is being built, its memory isn't free any more, and it doesn't run yet. Nobody
 * gives a second time for it. */
static void
test_nobody_gives_twice(Fixture *f, gconstpointer conf)
{
  unsigned before;

  (void)conf;
  run(f);
  expect(f, NEW_UUID, 256);
  KIT_WAIT(f->answer == TRUE);
  before = n_sets(f);
  building_kib = CAGMA_MIB(256);
  let_rounds_pass(f->one, 10);
  g_assert_cmpuint(n_sets(f), ==, before);
}

static void
test_room_that_nobody_can_give(Fixture *f, gconstpointer conf)
{
  (void)conf;
  run(f);
  expect(f, NEW_UUID, 2000);
  KIT_WAIT(f->answer != -1);
  g_assert_cmpint(f->answer, ==, FALSE);
  g_assert_cmpuint(kit_logged("are missing to what is about to start"), ==, 1);
}

static void
test_no_room_without_figures(Fixture *f, gconstpointer conf)
{
  (void)conf;
  run(f);
  can_tell = FALSE;
  expect(f, NEW_UUID, 200);
  g_assert_cmpint(f->answer, ==, FALSE);
  g_assert_cmpuint(kit_logged("no room can be made: Xen says nothing"), >=, 1);
}

static gboolean
stopped(gpointer user_data)
{
  (void)user_data;
  return G_SOURCE_REMOVE;
}

static void
test_stopping_lets_the_start_go_on(Fixture *f, gconstpointer conf)
{
  (void)conf;
  run(f);
  expect(f, NEW_UUID, 2000);
  g_assert_cmpint(f->answer, ==, -1);
  cagma_manager_stop(f->manager, stopped, NULL);
  g_assert_cmpint(f->answer, ==, FALSE);
}

/* A domain that is known is rebooting: it takes its memory anew, of which it held a part. */
static void
test_room_for_a_reboot(Fixture *f, gconstpointer conf)
{
  (void)conf;
  run(f);
  cagma_manager_expect(f->manager, f->one->uuid, "one", CAGMA_MIB(1100));
  KIT_WAIT(incoming(f) == CAGMA_MIB(1100 - 1024));
  fake_start(f->fake, f->one);
  KIT_WAIT(incoming(f) == 0);
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *path, *budget;
    void (*test)(Fixture *f, gconstpointer conf);
  } tests[] = {
    { "/bounded/guests/without-a-channel", CONF("auto"), test_heard_without_a_channel },
    { "/bounded/guests/driver", CONF("auto"), test_not_moved_before_its_driver_is_up },
    { "/bounded/charge/cap", CONF("auto"), test_never_counted_in_full },
    { "/bounded/charge/reboot", CONF("auto"), test_reboot_keeps_the_charge },
    { "/bounded/budget", CONF("auto"), test_budget_is_what_the_hypervisor_has_free },
    { "/bounded/room/there", CONF("auto"), test_room_that_is_there },
    { "/bounded/room/made", CONF("auto"), test_room_is_made },
    { "/bounded/room/made-of-a-fixed-budget", CONF("2GiB"), test_room_is_made },
    { "/bounded/room/others-may-take-it", CONF("auto"), test_room_that_others_may_take_is_none },
    { "/bounded/room/not-twice", CONF("auto"), test_nobody_gives_twice },
    { "/bounded/room/none", CONF("auto"), test_room_that_nobody_can_give },
    { "/bounded/room/no-figures", CONF("auto"), test_no_room_without_figures },
    { "/bounded/room/stopping", CONF("auto"), test_stopping_lets_the_start_go_on },
    { "/bounded/room/reboot", CONF("2GiB"), test_room_for_a_reboot },
  };

  kit_init(&argc, &argv);
  for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
    g_test_add(tests[i].path, Fixture, tests[i].budget, set_up, tests[i].test, tear_down);
  return g_test_run();
}
