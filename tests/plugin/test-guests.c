/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "plugin/manager.h"
#include "policy/units.h"
#include "tests/plugin/fake-backend.h"
#include "tests/plugin/kit.h"
#include "xml/memory.h"

/* What guests say by themselves, and what the manager makes of it. */

#define MEMORY "<cagma:memory xmlns:cagma='" CAGMA_MEMORY_URI "'"
#define GUARANTEE "<cagma:guarantee unit='MiB'>256</cagma:guarantee>"
#define ENFORCED MEMORY ">" GUARANTEE "</cagma:memory>"
/* Nor more than it needs, nor asked to give for others' comfort: what moves is what a test makes move. */
#define NO_SHARES MEMORY ">" GUARANTEE "<cagma:shares>0</cagma:shares></cagma:memory>"
#define NO_EMERGENCY MEMORY ">" GUARANTEE "<cagma:emergency enabled='no'/></cagma:memory>"
#define OBSERVED MEMORY " mode='observe'>" GUARANTEE "</cagma:memory>"
#define BY_LOAD MEMORY " estimator='loadavg'>" GUARANTEE "</cagma:memory>"
#define OFF MEMORY " mode='off'/>"

#define POOL_MIB 64
#define HOST(budget, period)                                                                                 \
  "[host]\nuri=fake:///\nreserve=0\noverhead=0\npool=64MiB\nbudget=" budget "\nperiod=" period "\n"
/* What both guests have and the pool, and 1 GiB more. */
#define TIGHT "2112MiB"
#define WIDE "3136MiB"

/* As a QEMU guest agent answers guest-info. */
#define INFO(more)                                                                                           \
  "{\"return\":{\"version\":\"7.2.0\",\"supported_commands\":["                                              \
  "{\"enabled\":true,\"name\":\"guest-ping\",\"success-response\":true}" more "]}}"
#define STOCK INFO("")
#define ABLE INFO(",{\"enabled\":true,\"name\":\"guest-get-memory-stats\",\"success-response\":true}")
#define BLOCKED INFO(",{\"enabled\":false,\"name\":\"guest-get-memory-stats\",\"success-response\":true}")
/* 824 MiB available, as its balloon's statistics say too. */
#define AGENT_STATS "{\"return\":{\"available\":864026624,\"pages-swapped-in\":0,\"pages-swapped-out\":0}}"
#define AGENT_STATS_VCPUS                                                                                    \
  "{\"return\":{\"available\":864026624,\"pages-swapped-in\":0,\"pages-swapped-out\":0,\"vcpus\":2}}"

typedef struct {
  FakeBackend *fake;
  CagmaTargets *targets;
  CagmaConf *conf;
  CagmaConf *slow; /* once a minute */
  CagmaManager *manager;
  char *dir;
  FakeGuest *talker; /* has a channel; 1 GiB of 2, 600 MiB used */
  FakeGuest *idle;   /* 1 GiB of 2, 200 MiB used */
  uint64_t swapped_kib;
} Fixture;

static CagmaConf *
conf_of(const char *text)
{
  g_autoptr(GError) error = NULL;
  CagmaConf *conf = cagma_conf_parse(text, -1, &error);

  g_assert_no_error(error);
  return conf;
}

static void
set_up(Fixture *f, gconstpointer config)
{
  g_autofree char *targets_dir = NULL;
  g_autoptr(GError) error = NULL;

  kit_log_clear();
  f->fake = fake_new();
  f->dir = kit_tmpdir();
  targets_dir = g_build_filename(f->dir, "targets", NULL);
  f->targets = cagma_targets_open(targets_dir, &error);
  g_assert_no_error(error);
  f->conf = conf_of(HOST(TIGHT, "100ms"));
  f->slow = conf_of(HOST(TIGHT, "60s"));
  f->manager = cagma_manager_new(fake_backend(f->fake), f->targets, f->conf, FALSE);
  f->talker = fake_add(f->fake, "talker", 2048, 1024, 600, config ? config : ENFORCED);
  f->talker->channel = TRUE;
  f->idle = fake_add(f->fake, "idle", 2048, 1024, 200, NO_SHARES);
}

static void
tear_down(Fixture *f, gconstpointer config)
{
  (void)config;
  fake_backend(f->fake)->close(fake_backend(f->fake));
  cagma_manager_free(f->manager);
  fake_free(f->fake);
  cagma_targets_close(f->targets);
  cagma_conf_free(f->conf);
  cagma_conf_free(f->slow);
  kit_remove(f->dir);
}

static gboolean
says(Fixture *f, const FakeGuest *guest, const char *key, const char *fragment)
{
  g_autoptr(GVariant) infos = g_variant_ref_sink(cagma_manager_domain_infos(f->manager));

  for (gsize i = 0; i < g_variant_n_children(infos); i++) {
    g_autoptr(GVariant) info = g_variant_get_child_value(infos, i);
    const char *uuid, *text;

    g_variant_lookup(info, "uuid", "&s", &uuid);
    if (g_str_equal(uuid, guest->uuid))
      return g_variant_lookup(info, key, "&s", &text) && strstr(text, fragment);
  }
  return FALSE;
}

static uint64_t
available(Fixture *f, const FakeGuest *guest)
{
  g_autoptr(GVariant) infos = g_variant_ref_sink(cagma_manager_domain_infos(f->manager));
  guint64 kib = 0;

  for (gsize i = 0; i < g_variant_n_children(infos); i++) {
    g_autoptr(GVariant) info = g_variant_get_child_value(infos, i);
    const char *uuid;

    g_variant_lookup(info, "uuid", "&s", &uuid);
    if (g_str_equal(uuid, guest->uuid))
      g_variant_lookup(info, "available-kib", "t", &kib);
  }
  return kib;
}

static void
let_rounds_pass(FakeGuest *guest, unsigned n)
{
  unsigned until = guest->n_asked[CAGMA_REQUEST_SAMPLE] + n;

  KIT_WAIT(guest->n_asked[CAGMA_REQUEST_SAMPLE] >= until);
}

static gboolean
settled(Fixture *f, FakeGuest *guest)
{
  return says(f, guest, "state", "steady") && says(f, guest, "reason", "available and needs");
}

static void
run(Fixture *f)
{
  cagma_manager_start(f->manager);
  fake_connect(f->fake);
  fake_start(f->fake, f->talker);
  fake_start(f->fake, f->idle);
}

/* Nothing happens of itself for a minute. */
static void
slow_down(Fixture *f)
{
  unsigned described = f->talker->n_asked[CAGMA_REQUEST_DESCRIBE];

  cagma_manager_configure(f->manager, f->slow);
  KIT_WAIT(f->talker->n_asked[CAGMA_REQUEST_DESCRIBE] > described);
  for (int i = 0; i < 20; i++)
    kit_breathe();
  g_assert_true(f->talker->listened);
}

/* All is known and at rest. */
static void
settle(Fixture *f)
{
  run(f);
  KIT_WAIT(settled(f, f->talker) && settled(f, f->idle));
  slow_down(f);
  g_assert_cmpuint(f->talker->sets->len + f->idle->sets->len, ==, 0);
}

/* On a host that has more than both hold: it is handed out first. */
static void
settle_wide(Fixture *f)
{
  CagmaConf *wide = conf_of(HOST(WIDE, "100ms"));

  cagma_manager_configure(f->manager, wide);
  cagma_conf_free(f->conf);
  f->conf = wide;
  cagma_conf_free(f->slow);
  f->slow = conf_of(HOST(WIDE, "60s"));
  f->idle->used_kib = CAGMA_MIB(400);
  fake_configure(f->fake, f->idle, ENFORCED);
  run(f);
  KIT_WAIT(f->talker->actual_kib > CAGMA_GIB(1) && f->idle->actual_kib > CAGMA_GIB(1));
  KIT_WAIT(settled(f, f->talker) && settled(f, f->idle));
  /* By figures of its present size. */
  KIT_WAIT(available(f, f->idle) + f->idle->used_kib == f->idle->actual_kib);
  slow_down(f);
}

static void
speak(Fixture *f, FakeGuest *guest, uint64_t available_mib, gboolean pressure)
{
  CagmaSample sample = { .source = CAGMA_SAMPLE_CHANNEL, .has = CAGMA_HAS_USABLE | CAGMA_HAS_SWAP };

  sample.usable_kib = CAGMA_MIB(available_mib);
  sample.swap_out_kib = f->swapped_kib;
  fake_speak(f->fake, guest, &sample, pressure);
}

/* A guest in need: with each event it has swapped out some more. */
static void
cry(Fixture *f, FakeGuest *guest)
{
  f->swapped_kib += 64;
  speak(f, guest, 4, TRUE);
}

static unsigned
n_sets(Fixture *f)
{
  return f->talker->sets->len + f->idle->sets->len;
}

static void
assert_nothing_set(Fixture *f)
{
  for (int i = 0; i < 20; i++)
    kit_breathe();
  g_assert_cmpuint(n_sets(f), ==, 0);
}

/* Listening. */

static void
test_listens_where_there_is_a_channel(Fixture *f, gconstpointer unused)
{
  (void)unused;
  run(f);
  KIT_WAIT(f->talker->listened);
  let_rounds_pass(f->talker, 3);
  g_assert_cmpuint(f->talker->n_channel_asks, >=, 2);
  g_assert_false(f->idle->listened);

  /* Plugged into a running guest, and unplugged. */
  f->idle->channel = TRUE;
  fake_tell(f->fake, f->idle, CAGMA_EVENT_DEVICE_ADDED);
  KIT_WAIT(f->idle->listened);
  f->idle->channel = FALSE;
  fake_tell(f->fake, f->idle, CAGMA_EVENT_CHANGED);
  KIT_WAIT(!f->idle->listened);

  /* Unmanaged, and managed again. */
  fake_configure(f->fake, f->talker, OFF);
  KIT_WAIT(!f->talker->listened);
  fake_configure(f->fake, f->talker, OBSERVED);
  KIT_WAIT(f->talker->listened);
  fake_configure(f->fake, f->talker, NULL);
  KIT_WAIT(!f->talker->listened);
  fake_configure(f->fake, f->talker, MEMORY "><cagma:guarantee>x</cagma:guarantee></cagma:memory>");
  let_rounds_pass(f->idle, 3);
  g_assert_false(f->talker->listened);
  fake_configure(f->fake, f->talker, ENFORCED);
  KIT_WAIT(f->talker->listened);

  fake_stop(f->fake, f->talker);
  g_assert_false(f->talker->listened);
  fake_start(f->fake, f->talker);
  KIT_WAIT(f->talker->listened);
}

static void
test_source_is_shown(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->talker->agent_channel = TRUE;
  f->talker->agent_info = ABLE;
  f->talker->agent_reply = AGENT_STATS;
  run(f);
  KIT_WAIT(says(f, f->talker, "source", "guest-agent"));
  g_assert_true(says(f, f->idle, "source", "balloon-stats"));
  speak(f, f->talker, 424, FALSE);
  g_assert_true(says(f, f->talker, "source", "cagma-channel"));
  /* Whoever else goes on speaking. */
  let_rounds_pass(f->talker, 3);
  g_assert_true(says(f, f->talker, "source", "cagma-channel"));

  fake_lose(f->fake, f->talker, "it was killed");
  g_assert_cmpuint(kit_logged("talker: its agent is lost: it was killed"), ==, 1);
  KIT_WAIT(says(f, f->talker, "source", "guest-agent"));
  f->talker->outcome[CAGMA_REQUEST_AGENT] = CAGMA_OUTCOME_FAILED;
  KIT_WAIT(says(f, f->talker, "source", "balloon-stats"));
  speak(f, f->talker, 424, FALSE);
  g_assert_true(says(f, f->talker, "source", "cagma-channel"));
  f->talker->channel = FALSE;
  fake_tell(f->fake, f->talker, CAGMA_EVENT_CHANGED);
  KIT_WAIT(says(f, f->talker, "source", "balloon-stats"));
}

/* Nothing says that it is lost, but it is. */
static void
test_silent_source_is_replaced(Fixture *f, gconstpointer unused)
{
  (void)unused;
  run(f);
  KIT_WAIT(f->talker->listened && settled(f, f->talker));
  speak(f, f->talker, 424, FALSE);
  g_assert_true(says(f, f->talker, "source", "cagma-channel"));
  KIT_WAIT(says(f, f->talker, "source", "balloon-stats"));
}

/* An agent that comes and goes doesn't fill the log. */
static void
test_losses_are_logged_sparingly(Fixture *f, gconstpointer unused)
{
  (void)unused;
  run(f);
  KIT_WAIT(f->talker->listened);
  for (int i = 0; i < 20; i++) {
    speak(f, f->talker, 424, FALSE);
    fake_lose(f->fake, f->talker, "it flaps");
  }
  g_assert_cmpuint(kit_logged("talker: its agent is lost: it flaps"), ==, 5);
}

static void
test_lost_guests_that_nobody_knows(Fixture *f, gconstpointer unused)
{
  FakeGuest *stranger = fake_add(f->fake, "stranger", 1024, 1024, 100, ENFORCED);

  (void)unused;
  settle(f);
  fake_lose(f->fake, stranger, "never seen");
  fake_lose(f->fake, f->idle, "never had one");
  assert_nothing_set(f);
  g_assert_true(says(f, f->idle, "source", "balloon-stats"));
}

/* Events. */

static void
test_pressure_is_answered_within_the_call(Fixture *f, gconstpointer unused)
{
  uint64_t target_kib;

  (void)unused;
  settle(f);
  cry(f, f->talker);
  /* The main loop hasn't turned since. From the pool at once … */
  g_assert_cmpuint(f->talker->sets->len, ==, 1);
  target_kib = g_array_index(f->talker->sets, uint64_t, 0);
  g_assert_cmpuint(target_kib, >, CAGMA_MIB(1024));
  g_assert_cmpuint(target_kib, <=, CAGMA_MIB(1024 + POOL_MIB));
  g_assert_cmpuint(cagma_targets_get(f->targets, f->talker->uuid, f->talker->id), ==, target_kib);
  /* … and in the same moment the rest from who has it. */
  g_assert_cmpuint(f->idle->sets->len, ==, 1);
  g_assert_cmpuint(g_array_index(f->idle->sets, uint64_t, 0), <, CAGMA_MIB(1024));
  g_assert_cmpuint(g_array_index(f->idle->sets, uint64_t, 0), >=, CAGMA_MIB(256));
  g_assert_true(says(f, f->talker, "state", "emergency"));
  g_assert_true(says(f, f->talker, "source", "cagma-channel"));

  /* What the other gives arrives without anybody's period, too. */
  KIT_WAIT(f->talker->actual_kib > CAGMA_MIB(1024 + POOL_MIB));
  g_assert_cmpuint(f->talker->actual_kib + f->idle->actual_kib, <=, CAGMA_MIB(2048 + POOL_MIB));
}

/* A host that has handed out all it has but the pool answers as fast. */
static void
test_pressure_after_spreading(Fixture *f, gconstpointer unused)
{
  uint64_t talker_kib, idle_kib, target_kib;

  (void)unused;
  settle_wide(f);
  talker_kib = f->talker->actual_kib;
  idle_kib = f->idle->actual_kib;
  g_assert_cmpuint(n_sets(f), ==, 2);
  g_assert_cmpuint(talker_kib + idle_kib, >=, CAGMA_MIB(3072 - 8));

  cry(f, f->talker);
  g_assert_cmpuint(f->talker->sets->len, ==, 2);
  target_kib = g_array_index(f->talker->sets, uint64_t, 1);
  g_assert_cmpuint(target_kib, >, talker_kib);
  g_assert_cmpuint(target_kib, <=, talker_kib + CAGMA_MIB(POOL_MIB + 8));
  g_assert_cmpuint(f->idle->sets->len, ==, 2);
  g_assert_cmpuint(g_array_index(f->idle->sets, uint64_t, 1), <, idle_kib);
  /* It has no need to go below what it needs itself. */
  g_assert_cmpuint(g_array_index(f->idle->sets, uint64_t, 1), >=, CAGMA_MIB(464));
  KIT_WAIT(f->talker->actual_kib > talker_kib + CAGMA_MIB(POOL_MIB + 8));
  g_assert_cmpuint(f->talker->actual_kib + f->idle->actual_kib, <=, CAGMA_MIB(3072 + POOL_MIB));
}

static void
test_pressure_while_others_are_silent(Fixture *f, gconstpointer unused)
{
  (void)unused;
  settle(f);
  for (int kind = 0; kind < FAKE_N_KINDS; kind++)
    f->idle->silent[kind] = TRUE;
  f->talker->silent[CAGMA_REQUEST_SAMPLE] = TRUE;
  cry(f, f->talker);
  g_assert_cmpuint(f->talker->sets->len, ==, 1);
  KIT_WAIT(f->talker->actual_kib > CAGMA_MIB(1024));
}

/* What the domain itself has under way is hurried, since its balloon is to be set next. */
static void
test_pressure_hurries_what_is_under_way(Fixture *f, gconstpointer unused)
{
  (void)unused;
  settle(f);
  f->talker->silent[CAGMA_REQUEST_DESCRIBE] = TRUE;
  fake_tell(f->fake, f->talker, CAGMA_EVENT_CHANGED);
  KIT_WAIT(fake_n_held(f->fake, f->talker) == 1);
  g_assert_cmpuint(f->talker->n_hurried, ==, 0);
  cry(f, f->talker);
  g_assert_cmpuint(f->talker->sets->len, ==, 0);
  g_assert_cmpuint(f->talker->n_hurried, ==, 1);
}

/* Figures alone don't wait for the period either, where they show a shortage. */
static void
test_shortage_is_answered_soon(Fixture *f, gconstpointer unused)
{
  (void)unused;
  settle(f);
  speak(f, f->talker, 424, FALSE);
  assert_nothing_set(f);
  speak(f, f->talker, 20, FALSE);
  KIT_WAIT(f->idle->sets->len == 1);
  KIT_WAIT(f->talker->actual_kib > CAGMA_MIB(1024));
  g_assert_false(says(f, f->talker, "state", "emergency"));
}

static void
test_pressure_without_shortage(Fixture *f, gconstpointer unused)
{
  (void)unused;
  settle(f);
  f->swapped_kib += 64;
  speak(f, f->talker, 424, TRUE);
  g_assert_cmpuint(n_sets(f), ==, 0);
  assert_nothing_set(f);
  f->swapped_kib += 64;
  speak(f, f->talker, 424, TRUE);
  assert_nothing_set(f);
  /* Shown when the next decision is made. */
  cagma_manager_configure(f->manager, f->conf);
  KIT_WAIT(says(f, f->talker, "reason", "reports pressure, but has"));
  g_assert_true(says(f, f->talker, "state", "steady"));
}

static void
test_repeated_events_grant_once(Fixture *f, gconstpointer unused)
{
  uint64_t first_kib;

  (void)unused;
  settle(f);
  f->talker->sticks = TRUE;
  f->idle->sticks = TRUE;
  cry(f, f->talker);
  g_assert_cmpuint(f->talker->sets->len, ==, 1);
  first_kib = cagma_targets_get(f->targets, f->talker->uuid, f->talker->id);
  for (int i = 0; i < 100; i++) {
    cry(f, f->talker);
    kit_breathe();
  }
  g_assert_cmpuint(cagma_targets_get(f->targets, f->talker->uuid, f->talker->id), ==, first_kib);
  g_assert_cmpuint(f->talker->sets->len, ==, 1);
  g_assert_cmpuint(f->idle->sets->len, ==, 1);
}

/* Events that its counters don't bear out aren't listened to for ever. */
static void
test_wolf(Fixture *f, gconstpointer unused)
{
  (void)unused;
  settle(f);
  f->talker->sticks = TRUE;
  for (int i = 0; i <= CAGMA_WOLF_EVENTS; i++)
    speak(f, f->talker, 4, TRUE);
  cagma_manager_configure(f->manager, f->conf);
  KIT_WAIT(!says(f, f->talker, "state", "emergency"));
  cry(f, f->talker);
  g_assert_false(says(f, f->talker, "state", "emergency"));
}

static void
test_events_of_the_held(Fixture *f, gconstpointer unused)
{
  (void)unused;
  settle(f);
  f->talker->paused = TRUE;
  fake_tell(f->fake, f->talker, CAGMA_EVENT_PAUSED);
  cry(f, f->talker);
  assert_nothing_set(f);
  g_assert_true(says(f, f->talker, "reason", "paused"));
}

static void
test_events_of_strangers(Fixture *f, gconstpointer unused)
{
  FakeGuest *stranger = fake_add(f->fake, "stranger", 1024, 1024, 100, ENFORCED);

  (void)unused;
  settle(f);
  cry(f, stranger);
  /* It has no channel: whoever says so in its name isn't it. */
  cry(f, f->idle);
  g_assert_true(says(f, f->idle, "source", "balloon-stats"));
  assert_nothing_set(f);
  fake_configure(f->fake, f->talker, OFF);
  KIT_WAIT(!f->talker->listened);
  cry(f, f->talker);
  fake_stop(f->fake, f->talker);
  cry(f, f->talker);
  for (int i = 0; i < 20; i++)
    kit_breathe();
  /* The other's memory is asked for, since it is counted in full again. */
  g_assert_cmpuint(f->talker->sets->len, ==, 0);
}

static void
test_events_before_anything_is_known(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->talker->silent[CAGMA_REQUEST_SAMPLE] = TRUE;
  cagma_manager_start(f->manager);
  cry(f, f->talker);
  fake_connect(f->fake);
  cry(f, f->talker);
  fake_start(f->fake, f->talker);
  cry(f, f->talker);
  KIT_WAIT(f->talker->listened);
  cry(f, f->talker);
  assert_nothing_set(f);
}

static void
test_events_while_disconnected(Fixture *f, gconstpointer unused)
{
  (void)unused;
  settle(f);
  fake_disconnect(f->fake);
  cry(f, f->talker);
  assert_nothing_set(f);
}

static gboolean
note(gpointer user_data)
{
  *(gboolean *)user_data = TRUE;
  return G_SOURCE_REMOVE;
}

static void
test_events_while_stopping(Fixture *f, gconstpointer unused)
{
  gboolean stopped = FALSE;

  (void)unused;
  settle(f);
  cagma_manager_stop(f->manager, note, &stopped);
  cry(f, f->talker);
  KIT_WAIT(stopped);
  cry(f, f->talker);
  assert_nothing_set(f);
}

/* Its figures count, but it has no more haste than others. */
static void
test_no_emergency_wanted(Fixture *f, gconstpointer unused)
{
  (void)unused;
  settle(f);
  cry(f, f->talker);
  assert_nothing_set(f);
  g_assert_true(says(f, f->talker, "source", "cagma-channel"));
}

static void
test_observed_is_not_set(Fixture *f, gconstpointer unused)
{
  (void)unused;
  run(f);
  KIT_WAIT(f->talker->listened);
  /* Known well enough that it would be given memory. */
  KIT_WAIT(says(f, f->talker, "reason", "observed"));
  cry(f, f->talker);
  let_rounds_pass(f->talker, 3);
  g_assert_true(says(f, f->talker, "source", "cagma-channel"));
  g_assert_cmpuint(f->talker->sets->len, ==, 0);
}

/* Nonsense on the channel: the guest's own loss. */
static void
test_hostile_figures(Fixture *f, gconstpointer unused)
{
  static const uint64_t values[] = { 0, 1, CAGMA_MAX_KIB, G_MAXUINT64, CAGMA_GIB(1), CAGMA_GIB(2) };

  (void)unused;
  settle(f);
  for (size_t i = 0; i < 200; i++) {
    CagmaSample sample = { .source = CAGMA_SAMPLE_CHANNEL,
                           .has = i % 3 ? CAGMA_HAS_REPORT & ~(uint32_t)CAGMA_HAS_STAMP : CAGMA_HAS_SWAP };

    sample.usable_kib = values[i % 6];
    sample.swap_in_kib = values[(i + 1) % 6];
    sample.swap_out_kib = values[(i + 2) % 6];
    sample.major_faults = values[(i + 3) % 6];
    sample.swap_used_kib = values[(i + 4) % 6];
    sample.largest_kib = sample.swapping_kib = values[(i + 5) % 6];
    fake_speak(f->fake, f->talker, &sample, i % 2);
    kit_breathe();
  }
  for (guint i = 0; i < f->talker->sets->len; i++)
    g_assert_cmpuint(g_array_index(f->talker->sets, uint64_t, i), <=, CAGMA_MIB(2048));
  for (guint i = 0; i < f->idle->sets->len; i++)
    g_assert_cmpuint(g_array_index(f->idle->sets, uint64_t, i), >=, CAGMA_MIB(256));
  g_assert_cmpuint(f->talker->actual_kib + f->idle->actual_kib, <=, CAGMA_MIB(2048 + POOL_MIB));
}

/* QEMU's guest agent. */

static unsigned
n_agent(const FakeGuest *guest)
{
  return guest->n_asked[CAGMA_REQUEST_AGENT];
}

static void
test_no_agent_is_not_asked(Fixture *f, gconstpointer unused)
{
  (void)unused;
  run(f);
  let_rounds_pass(f->idle, 3);
  let_rounds_pass(f->talker, 1);
  g_assert_cmpuint(n_agent(f->idle) + n_agent(f->talker), ==, 0);
}

static void
ask_once_and_leave(Fixture *f, const char *info)
{
  FakeGuest *guest = f->idle;
  unsigned before;

  guest->agent_info = info;
  before = n_agent(guest);
  fake_tell(f->fake, guest, CAGMA_EVENT_AGENT);
  KIT_WAIT(n_agent(guest) == before + 1);
  let_rounds_pass(guest, 5);
  g_assert_cmpuint(n_agent(guest), ==, before + 1);
  kit_assert_has(guest->agent_asked, "guest-info");
  g_assert_true(says(f, guest, "source", "balloon-stats"));
}

static void
test_stock_agent_is_left_alone(Fixture *f, gconstpointer unused)
{
  FakeGuest *guest = f->idle;

  (void)unused;
  guest->agent_channel = TRUE;
  guest->agent_info = STOCK;
  run(f);
  KIT_WAIT(n_agent(guest) == 1);
  let_rounds_pass(guest, 5);
  g_assert_cmpuint(n_agent(guest), ==, 1);
  ask_once_and_leave(f, BLOCKED);
  ask_once_and_leave(f, STOCK);

  /* Another agent comes. */
  guest->agent_info = ABLE;
  guest->agent_reply = AGENT_STATS;
  fake_tell(f->fake, guest, CAGMA_EVENT_AGENT);
  KIT_WAIT(says(f, guest, "source", "guest-agent"));
  kit_assert_has(guest->agent_asked, "guest-get-memory-stats");
  ask_once_and_leave(f, STOCK);
}

static void
test_able_agent_is_asked_each_period(Fixture *f, gconstpointer unused)
{
  FakeGuest *guest = f->idle;
  unsigned before;

  (void)unused;
  guest->agent_channel = TRUE;
  guest->agent_info = ABLE;
  guest->agent_reply = AGENT_STATS;
  run(f);
  KIT_WAIT(says(f, guest, "source", "guest-agent"));
  before = n_agent(guest);
  KIT_WAIT(n_agent(guest) >= before + 3);
  g_assert_true(says(f, guest, "source", "guest-agent"));
  KIT_WAIT(settled(f, guest));

  /* The channel is better: then the agent is left to others. */
  guest->channel = TRUE;
  fake_tell(f->fake, guest, CAGMA_EVENT_DEVICE_ADDED);
  KIT_WAIT(guest->listened);
  speak(f, guest, 824, FALSE);
  let_rounds_pass(guest, 1);
  before = n_agent(guest);
  let_rounds_pass(guest, 4);
  g_assert_cmpuint(n_agent(guest), ==, before);
}

static gboolean
explains(Fixture *f, const char *name, const char *fragment)
{
  g_autofree char *text = cagma_manager_explain(f->manager, name);

  return text && strstr(text, fragment);
}

/* By the channel: once in a while, and of no domain that nobody wants the load of. */
static void
test_load_is_asked_for_where_it_counts(Fixture *f, gconstpointer unused)
{
  CagmaSample load = { .source = CAGMA_SAMPLE_CHANNEL, .has = CAGMA_HAS_LOAD, .load1_permille = 900 };
  CagmaSample vcpus = { .source = CAGMA_SAMPLE_CHANNEL,
                        .has = CAGMA_HAS_USABLE | CAGMA_HAS_VCPUS,
                        .usable_kib = CAGMA_MIB(424),
                        .vcpus = 2 };

  (void)unused;
  run(f);
  KIT_WAIT(f->talker->listened && settled(f, f->talker));
  speak(f, f->talker, 424, FALSE);
  let_rounds_pass(f->talker, 5);
  g_assert_cmpuint(f->talker->n_load_asks, ==, 0);

  fake_configure(f->fake, f->talker, BY_LOAD);
  KIT_WAIT(explains(f, "talker", "without an agent that tells its load it stays where it is"));
  speak(f, f->talker, 424, FALSE);
  KIT_WAIT(f->talker->n_load_asks == 1);
  fake_speak(f->fake, f->talker, &vcpus, FALSE);
  fake_speak(f->fake, f->talker, &load, FALSE);
  KIT_WAIT(explains(f, "talker", "load of 0.45, 0.00 and 0.00 a vCPU"));
  let_rounds_pass(f->talker, 5);
  g_assert_cmpuint(f->talker->n_load_asks, ==, 1);
}

static void
test_agent_is_asked_for_load(Fixture *f, gconstpointer unused)
{
  FakeGuest *guest = f->idle;
  unsigned before;

  (void)unused;
  guest->agent_channel = TRUE;
  guest->agent_info = ABLE;
  guest->agent_reply = AGENT_STATS_VCPUS;
  guest->agent_load = "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"no such command\"}}";
  run(f);
  KIT_WAIT(says(f, guest, "source", "guest-agent"));
  g_assert_cmpuint(guest->n_agent_loads, ==, 0);

  /* One that knows figures but no loads isn't asked again, and goes on with the rest. */
  fake_configure(f->fake, guest, BY_LOAD);
  KIT_WAIT(guest->n_agent_loads == 1);
  before = n_agent(guest);
  KIT_WAIT(n_agent(guest) >= before + 3);
  g_assert_cmpuint(guest->n_agent_loads, ==, 1);
  g_assert_true(says(f, guest, "source", "guest-agent"));

  guest->agent_load = "{\"return\":{\"load1m\":0.5,\"load5m\":1.5,\"load15m\":0.25}}";
  fake_tell(f->fake, guest, CAGMA_EVENT_AGENT);
  KIT_WAIT(explains(f, "idle", "load of 0.25, 0.75 and 0.12 a vCPU"));
  g_assert_cmpuint(guest->n_agent_loads, ==, 2);
}

/* An answer that is none: the agent rests, the balloon goes on. */
static void
fail_and_go_on(Fixture *f, FakeGuest *guest, const char *reply, CagmaOutcome outcome)
{
  unsigned before;

  guest->outcome[CAGMA_REQUEST_AGENT] = CAGMA_OUTCOME_DONE;
  guest->agent_info = ABLE;
  guest->agent_reply = AGENT_STATS;
  fake_tell(f->fake, guest, CAGMA_EVENT_AGENT);
  KIT_WAIT(says(f, guest, "source", "guest-agent"));

  guest->agent_reply = reply;
  guest->outcome[CAGMA_REQUEST_AGENT] = outcome;
  KIT_WAIT(says(f, guest, "source", "balloon-stats"));
  before = n_agent(guest);
  let_rounds_pass(guest, 3);
  if (n_agent(guest) != before)
    g_error("asked again after %.100s", reply);
  g_assert_true(says(f, guest, "source", "balloon-stats"));

  /* The same for its first answer. */
  guest->agent_info = reply;
  fake_tell(f->fake, guest, CAGMA_EVENT_AGENT);
  KIT_WAIT(n_agent(guest) == before + 1);
  let_rounds_pass(guest, 3);
  g_assert_cmpuint(n_agent(guest), ==, before + 1);
}

/* Its port is closed and opened again, as its guest may do at any time. */
static void
test_hung_agent_is_not_forgiven(Fixture *f, gconstpointer unused)
{
  FakeGuest *guest = f->idle;
  unsigned before;

  (void)unused;
  guest->agent_channel = TRUE;
  guest->agent_info = ABLE;
  guest->agent_reply = AGENT_STATS;
  guest->silent[CAGMA_REQUEST_AGENT] = TRUE;
  run(f);
  KIT_WAIT(fake_n_held(f->fake, guest) == 1);
  for (int64_t end_us = g_get_monotonic_time() + 3 * G_USEC_PER_SEC; g_get_monotonic_time() < end_us;)
    g_main_context_iteration(NULL, TRUE);
  before = n_agent(guest);
  guest->silent[CAGMA_REQUEST_AGENT] = FALSE;
  fake_release(f->fake, guest, CAGMA_OUTCOME_FAILED);
  fake_tell(f->fake, guest, CAGMA_EVENT_AGENT);
  let_rounds_pass(guest, 3);
  g_assert_cmpuint(n_agent(guest), ==, before);
  /* A guest that began anew has another one. */
  fake_start(f->fake, guest);
  KIT_WAIT(says(f, guest, "source", "guest-agent"));
}

static void
test_failing_agent_rests(Fixture *f, gconstpointer unused)
{
  static const CagmaOutcome outcomes[] = { CAGMA_OUTCOME_FAILED, CAGMA_OUTCOME_TIMEOUT, CAGMA_OUTCOME_BUSY };

  (void)unused;
  f->idle->agent_channel = TRUE;
  f->idle->agent_info = ABLE;
  f->idle->agent_reply = AGENT_STATS;
  run(f);
  for (size_t i = 0; i < G_N_ELEMENTS(outcomes); i++)
    fail_and_go_on(f, f->idle, "{}", outcomes[i]);
  /* Its agent's silence is not its QEMU's. */
  g_assert_true(settled(f, f->idle));
}

static void
test_hostile_agent(Fixture *f, gconstpointer unused)
{
  g_autofree char *deep = g_strnfill(60000, '['), *huge = g_strnfill(8 * 1024 * 1024, 'x');
  const char *replies[] = {
    "",
    "\xff",
    "null",
    "{\"return\":",
    "{\"return\":{}}",
    "{\"return\":4711}",
    "{\"error\":{\"desc\":\"\\u001b[2J\"}}",
    "{\"event\":\"GUEST_MEMORY_PRESSURE\",\"data\":{\"available\":4096}}",
    "{\"return\":{\"available\":-1}}",
    "{\"return\":{\"available\":1e99}}",
    "{\"return\":{\"available\":864026624,\"page-size\":0}}",
    deep,
    huge,
  };

  (void)unused;
  f->idle->agent_channel = TRUE;
  f->idle->agent_info = ABLE;
  f->idle->agent_reply = AGENT_STATS;
  run(f);
  for (size_t i = 0; i < G_N_ELEMENTS(replies); i++)
    fail_and_go_on(f, f->idle, replies[i], CAGMA_OUTCOME_DONE);
  g_assert_cmpuint(f->idle->sets->len, ==, 0);
}

static void
test_waiting_agent_delays_nothing(Fixture *f, gconstpointer unused)
{
  FakeGuest *guest = f->talker;

  (void)unused;
  guest->agent_channel = TRUE;
  guest->silent[CAGMA_REQUEST_AGENT] = TRUE;
  run(f);
  KIT_WAIT(fake_n_held(f->fake, guest) == 1);
  KIT_WAIT(settled(f, guest) && settled(f, f->idle));
  guest->used_kib = CAGMA_MIB(1010);
  KIT_WAIT(guest->actual_kib > CAGMA_MIB(1024 + POOL_MIB));
  cry(f, guest);
  /* One at a time, all the same. */
  g_assert_cmpuint(n_agent(guest), ==, 1);
  g_assert_cmpuint(fake_n_held(f->fake, guest), ==, 1);
}

static void
test_answer_of_an_earlier_run(Fixture *f, gconstpointer unused)
{
  FakeGuest *guest = f->idle;

  (void)unused;
  guest->agent_channel = TRUE;
  guest->agent_info = ABLE;
  guest->agent_reply = AGENT_STATS;
  run(f);
  KIT_WAIT(says(f, guest, "source", "guest-agent"));
  guest->silent[CAGMA_REQUEST_AGENT] = TRUE;
  KIT_WAIT(fake_n_held(f->fake, guest) == 1);
  /* Anew without a stop that anybody saw, or after one. */
  for (int seen = 0; seen < 2; seen++) {
    unsigned before = n_agent(guest);

    if (seen)
      fake_stop(f->fake, guest);
    fake_start(f->fake, guest);
    fake_release(f->fake, guest, CAGMA_OUTCOME_DONE);
    g_assert_false(says(f, guest, "source", "guest-agent"));
    KIT_WAIT(n_agent(guest) == before + 1 && fake_n_held(f->fake, guest) == 1);
    kit_assert_has(guest->agent_asked, "guest-info");
  }
  guest->silent[CAGMA_REQUEST_AGENT] = FALSE;
  fake_release(f->fake, guest, CAGMA_OUTCOME_DONE);
  KIT_WAIT(says(f, guest, "source", "guest-agent"));
}

/* The agent is replaced while it is asked: what it answers says nothing of the next. */
static void
test_answer_of_another_agent(Fixture *f, gconstpointer unused)
{
  FakeGuest *guest = f->idle;

  (void)unused;
  guest->agent_channel = TRUE;
  guest->agent_info = ABLE;
  guest->agent_reply = AGENT_STATS;
  run(f);
  /* While it is asked for its figures, and while it is asked what it can. */
  for (int known = 1; known >= 0; known--) {
    unsigned before;

    if (known)
      KIT_WAIT(says(f, guest, "source", "guest-agent"));
    guest->silent[CAGMA_REQUEST_AGENT] = TRUE;
    if (!known)
      fake_tell(f->fake, guest, CAGMA_EVENT_AGENT);
    KIT_WAIT(fake_n_held(f->fake, guest) == 1);
    kit_assert_has(guest->agent_asked, known ? "guest-get-memory-stats" : "guest-info");
    before = n_agent(guest);
    fake_tell(f->fake, guest, CAGMA_EVENT_AGENT);
    guest->silent[CAGMA_REQUEST_AGENT] = FALSE;
    fake_release(f->fake, guest, CAGMA_OUTCOME_DONE);
    g_assert_true(says(f, guest, "source", "balloon-stats"));
    KIT_WAIT(n_agent(guest) == before + 1);
    kit_assert_has(guest->agent_asked, "guest-info");
    KIT_WAIT(says(f, guest, "source", "guest-agent"));
  }
}

/* An answer comes after the connection went and came. */
static void
test_agent_after_reconnecting(Fixture *f, gconstpointer unused)
{
  FakeGuest *guest = f->idle;

  (void)unused;
  guest->agent_channel = TRUE;
  guest->agent_info = ABLE;
  guest->agent_reply = AGENT_STATS;
  guest->silent[CAGMA_REQUEST_AGENT] = TRUE;
  run(f);
  KIT_WAIT(fake_n_held(f->fake, guest) == 1);
  fake_disconnect(f->fake);
  guest->silent[CAGMA_REQUEST_AGENT] = FALSE;
  fake_connect(f->fake);
  let_rounds_pass(guest, 3);
  /* The loss was nobody's fault. */
  KIT_WAIT(says(f, guest, "source", "guest-agent"));
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *path;
    void (*test)(Fixture *, gconstpointer);
    const char *config;
  } tests[] = {
    { "/guests/listens-where-there-is-a-channel", test_listens_where_there_is_a_channel, NULL },
    { "/guests/source-is-shown", test_source_is_shown, NULL },
    { "/guests/silent-source-is-replaced", test_silent_source_is_replaced, NULL },
    { "/guests/losses-are-logged-sparingly", test_losses_are_logged_sparingly, NULL },
    { "/guests/lost-ones-that-nobody-knows", test_lost_guests_that_nobody_knows, NULL },
    { "/guests/pressure-is-answered-within-the-call", test_pressure_is_answered_within_the_call, NULL },
    { "/guests/pressure-after-spreading", test_pressure_after_spreading, NULL },
    { "/guests/pressure-while-others-are-silent", test_pressure_while_others_are_silent, NULL },
    { "/guests/pressure-hurries-what-is-under-way", test_pressure_hurries_what_is_under_way, NULL },
    { "/guests/shortage-is-answered-soon", test_shortage_is_answered_soon, NULL },
    { "/guests/pressure-without-shortage", test_pressure_without_shortage, NULL },
    { "/guests/repeated-events-grant-once", test_repeated_events_grant_once, NULL },
    { "/guests/wolf", test_wolf, NULL },
    { "/guests/events-of-the-held", test_events_of_the_held, NULL },
    { "/guests/events-of-strangers", test_events_of_strangers, NULL },
    { "/guests/events-before-anything-is-known", test_events_before_anything_is_known, NULL },
    { "/guests/events-while-disconnected", test_events_while_disconnected, NULL },
    { "/guests/events-while-stopping", test_events_while_stopping, NULL },
    { "/guests/no-emergency-wanted", test_no_emergency_wanted, NO_EMERGENCY },
    { "/guests/observed-is-not-set", test_observed_is_not_set, OBSERVED },
    { "/guests/hostile-figures", test_hostile_figures, NULL },
    { "/guests/no-agent-is-not-asked", test_no_agent_is_not_asked, NULL },
    { "/guests/stock-agent-is-left-alone", test_stock_agent_is_left_alone, NULL },
    { "/guests/able-agent-is-asked-each-period", test_able_agent_is_asked_each_period, NULL },
    { "/guests/load-is-asked-for-where-it-counts", test_load_is_asked_for_where_it_counts, NULL },
    { "/guests/agent-is-asked-for-load", test_agent_is_asked_for_load, NULL },
    { "/guests/failing-agent-rests", test_failing_agent_rests, NULL },
    { "/guests/hung-agent-is-not-forgiven", test_hung_agent_is_not_forgiven, NULL },
    { "/guests/hostile-agent", test_hostile_agent, NULL },
    { "/guests/waiting-agent-delays-nothing", test_waiting_agent_delays_nothing, NULL },
    { "/guests/answer-of-an-earlier-run", test_answer_of_an_earlier_run, NULL },
    { "/guests/answer-of-another-agent", test_answer_of_another_agent, NULL },
    { "/guests/agent-after-reconnecting", test_agent_after_reconnecting, NULL },
  };

  kit_init(&argc, &argv);
  for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
    g_test_add(tests[i].path, Fixture, tests[i].config, set_up, tests[i].test, tear_down);
  return g_test_run();
}
