/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <inttypes.h>
#include <string.h>

#include "plugin/manager.h"
#include "policy/plan.h"
#include "policy/units.h"
#include "tests/plugin/fake-backend.h"
#include "tests/plugin/kit.h"
#include "xml/memory.h"
#include "xml/status.h"

/* The manager between a policy that decides and a hypervisor that does as the test
 * tells it. Guests begin under the manager's eyes unless a test says otherwise, so
 * that their balloons settle with the second report. */

#define MEMORY "<cagma:memory xmlns:cagma='" CAGMA_MEMORY_URI "'"
#define GUARANTEED(mib) "><cagma:guarantee unit='MiB'>" #mib "</cagma:guarantee>"
/* So near that handing out what nobody needs isn't worth a call to one of 1 GiB: what moves is
 * what the test makes move. */
#define LIMITED "<cagma:limit unit='MiB'>1085</cagma:limit></cagma:memory>"
#define UNLIMITED "</cagma:memory>"
#define ENFORCED MEMORY GUARANTEED(256) LIMITED
#define WHOLE MEMORY GUARANTEED(256) UNLIMITED
#define OBSERVED MEMORY " mode='observe'/>"

#define CONF                                                                                                 \
  "[host]\nperiod=100ms\nreserve=0\npool=0\noverhead=0\nuri=fake:///\n"                                      \
  "budget="

typedef struct {
  FakeBackend *fake;
  CagmaTargets *targets;
  CagmaConf *conf;
  CagmaManager *manager;
  char *dir;
  uint64_t budget_kib;
  gboolean stopped;
} Fixture;

static CagmaHostMemory host_memory;
static gboolean memory_is_read;

static gboolean
read_memory(CagmaHostMemory *memory, GError **error)
{
  if (!memory_is_read) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "the host's memory can't be read");
    return FALSE;
  }
  *memory = host_memory;
  return TRUE;
}

static CagmaConf *
conf_of(const char *budget, const char *more)
{
  g_autofree char *text = g_strdup_printf("%s%s\n%s", CONF, budget, more);
  g_autoptr(GError) error = NULL;
  CagmaConf *conf = cagma_conf_parse(text, -1, &error);

  g_assert_no_error(error);
  return conf;
}

static Fixture *
fixture_new(const char *budget, gboolean dry_run)
{
  Fixture *f = g_new0(Fixture, 1);
  g_autofree char *targets_dir = NULL;
  g_autoptr(GError) error = NULL;

  kit_log_clear();
  memory_is_read = TRUE;
  f->fake = fake_new();
  fake_host_memory(f->fake, read_memory);
  f->dir = kit_tmpdir();
  targets_dir = g_build_filename(f->dir, "targets", NULL);
  f->targets = cagma_targets_open(targets_dir, &error);
  g_assert_no_error(error);
  f->conf = conf_of(budget, "");
  f->manager = cagma_manager_new(fake_backend(f->fake), f->targets, f->conf, dry_run);
  return f;
}

static void
start(Fixture *f)
{
  cagma_manager_start(f->manager);
  fake_connect(f->fake);
}

/* What a killed daemon leaves behind: nothing is said or undone. */
static void
die(Fixture *f)
{
  fake_backend(f->fake)->close(fake_backend(f->fake));
  g_clear_pointer(&f->manager, cagma_manager_free);
}

static void
start_another(Fixture *f)
{
  f->manager = cagma_manager_new(fake_backend(f->fake), f->targets, f->conf, FALSE);
  start(f);
}

static void
fixture_free(Fixture *f)
{
  if (f->manager)
    die(f);
  fake_free(f->fake);
  cagma_targets_close(f->targets);
  cagma_conf_free(f->conf);
  kit_remove(f->dir);
  g_free(f);
}

/* What cagmactl would show. */

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

static guint64
number(Fixture *f, const FakeGuest *guest, const char *key)
{
  g_autoptr(GVariant) info = info_of(f, guest);
  guint64 value = 0;

  if (info)
    g_variant_lookup(info, key, "t", &value);
  return value;
}

static guint64
host_number(Fixture *f, const char *key)
{
  g_autoptr(GVariant) host = g_variant_ref_sink(cagma_manager_host_info(f->manager));
  guint64 value = G_MAXUINT64;

  g_variant_lookup(host, key, "t", &value);
  return value;
}

/* So many more rounds in which the guest was looked at. */
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

static uint64_t
last_set(const FakeGuest *guest)
{
  return guest->sets->len ? g_array_index(guest->sets, uint64_t, guest->sets->len - 1) : 0;
}

/* Guarantees 1 and 2, by what the fake knows rather than the manager. */
static void
judge(FakeGuest *guest, uint64_t target_kib, void *user_data)
{
  Fixture *f = user_data;

  g_assert_cmpuint(target_kib, >=, CAGMA_MIB(256));
  g_assert_cmpuint(target_kib, <=, guest->memory_kib);
  /* Announced before it is asked for. */
  g_assert_cmpuint(cagma_targets_get(f->targets, guest->uuid, guest->id), ==, target_kib);
}

/* What it uses then, and is given at least. */
#define HUNGRY_MIB 975
#define FED_MIB 1070

/* A guest that needs more, next to one that has too much; both settled. */
static void
two_guests(Fixture *f, FakeGuest **hungry, FakeGuest **idle)
{
  fake_judge(f->fake, judge, f);
  *hungry = fake_add(f->fake, "hungry", 2048, 1024, 600, ENFORCED);
  *idle = fake_add(f->fake, "idle", 2048, 1024, 200, ENFORCED);
  start(f);
  fake_start(f->fake, *hungry);
  fake_start(f->fake, *idle);
  KIT_WAIT(settled(f, *hungry) && settled(f, *idle));
}

static void
test_moves_memory(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  g_assert_cmpuint(hungry->sets->len + idle->sets->len, ==, 0);

  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(hungry->actual_kib >= CAGMA_MIB(FED_MIB));
  g_assert_cmpuint(idle->actual_kib, <, CAGMA_MIB(1024));
  g_assert_cmpuint(idle->actual_kib, >=, CAGMA_MIB(256));
  g_assert_cmpuint(hungry->actual_kib + idle->actual_kib, <=, CAGMA_GIB(2));
  KIT_WAIT(settled(f, hungry) && settled(f, idle));
  g_assert_true(cagma_manager_is_alive(f->manager));
  fixture_free(f);
}

/* Guests that need nothing, on a host that has more than they hold: 1 GiB is handed out, in
 * proportion to what they are below their limits, with a call each. */
static void
spread_over_two(Fixture *f, FakeGuest **large, FakeGuest **small)
{
  fake_judge(f->fake, judge, f);
  *large = fake_add(f->fake, "large", 2048, 1024, 600, WHOLE);
  *small = fake_add(f->fake, "small", 2048, 1024, 400, WHOLE);
  start(f);
  fake_start(f->fake, *large);
  fake_start(f->fake, *small);
  KIT_WAIT((*large)->actual_kib > CAGMA_GIB(1) && (*small)->actual_kib > CAGMA_GIB(1));
  KIT_WAIT(settled(f, *large) && settled(f, *small));
}

static void
test_hands_out_what_nobody_needs(void)
{
  Fixture *f = fixture_new("3GiB", FALSE);
  FakeGuest *large, *small;
  gint64 again_us;

  spread_over_two(f, &large, &small);
  /* They need 664 and 464 MiB. Of the other 1944 these have parts as 347 to 397, the weights
   * being 4 MiB of what each is below its limit of 2048 then, and one more. */
  g_assert_cmpuint(large->actual_kib, >=, CAGMA_MIB(664 + 1943 * 347 / 744) - 1024);
  g_assert_cmpuint(large->actual_kib, <=, CAGMA_MIB(664 + 1945 * 347 / 744) + 1024);
  g_assert_cmpuint(large->actual_kib + small->actual_kib, <=, CAGMA_GIB(3));
  g_assert_cmpuint(large->actual_kib + small->actual_kib, >=, CAGMA_GIB(3) - 1024);
  let_rounds_pass(large, 10);
  g_assert_cmpuint(large->sets->len, ==, 1);
  g_assert_cmpuint(small->sets->len, ==, 1);

  /* Nor has a daemon that is started anew another opinion, once it looks at slack. */
  die(f);
  start_another(f);
  again_us = g_get_monotonic_time();
  KIT_WAIT(settled(f, large) && settled(f, small));
  KIT_WAIT(g_get_monotonic_time() - again_us > CAGMA_SPREAD_US + 2 * G_USEC_PER_SEC);
  g_assert_cmpuint(large->sets->len + small->sets->len, ==, 2);
  fixture_free(f);
}

/* On Xen a reboot is an end and, seconds later, a beginning. */
static void
test_what_one_left_is_not_handed_out_at_once(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *stays, *leaves;
  gint64 settled_us, left_us;

  fake_judge(f->fake, judge, f);
  stays = fake_add(f->fake, "stays", 2048, 1024, 600, WHOLE);
  leaves = fake_add(f->fake, "leaves", 2048, 1024, 600, WHOLE);
  start(f);
  fake_start(f->fake, stays);
  fake_start(f->fake, leaves);
  KIT_WAIT(settled(f, stays) && settled(f, leaves));
  /* Slack is looked at each 10 s: between two times. */
  settled_us = g_get_monotonic_time();
  KIT_WAIT(g_get_monotonic_time() - settled_us > CAGMA_SPREAD_US / 2);
  left_us = g_get_monotonic_time();
  fake_stop(f->fake, leaves);
  KIT_WAIT(stays->sets->len);
  g_assert_cmpint(g_get_monotonic_time() - left_us, >=, CAGMA_SPREAD_US);
  g_assert_cmpuint(last_set(stays), ==, CAGMA_GIB(2));
  fixture_free(f);
}

/* Handed out to one, it is still there for another. */
static void
test_what_was_handed_out_is_taken_for_a_need(void)
{
  Fixture *f = fixture_new("3GiB", FALSE);
  FakeGuest *large, *small;
  uint64_t before_kib;

  spread_over_two(f, &large, &small);
  before_kib = large->actual_kib;
  small->used_kib = CAGMA_MIB(1600);
  KIT_WAIT(small->actual_kib >= CAGMA_MIB(1600 + 160));
  KIT_WAIT(settled(f, large) && settled(f, small));
  g_assert_cmpuint(large->actual_kib, <, before_kib);
  g_assert_cmpuint(large->actual_kib, >=, CAGMA_MIB(664));
  g_assert_cmpuint(large->actual_kib + small->actual_kib, <=, CAGMA_GIB(3));
  fixture_free(f);
}

static void
test_changed_metadata_counts_at_once(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  fake_configure(f->fake, idle, MEMORY GUARANTEED(1500) UNLIMITED);
  KIT_WAIT(idle->actual_kib >= CAGMA_MIB(1500));
  g_assert_cmpuint(number(f, idle, "guarantee-kib"), ==, CAGMA_MIB(1500));
  fixture_free(f);
}

/* A shrink that waits for an answer must not be asked for after the guarantee was raised. */
static void
test_raised_guarantee_overtakes_a_shrink(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  idle->silent[CAGMA_REQUEST_DESCRIBE] = TRUE;
  fake_configure(f->fake, idle, MEMORY GUARANTEED(1024) LIMITED);
  KIT_WAIT(fake_n_held(f->fake, idle) == 1);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(cagma_targets_get(f->targets, idle->uuid, idle->id) > 0);
  idle->silent[CAGMA_REQUEST_DESCRIBE] = FALSE;
  fake_release(f->fake, idle, CAGMA_OUTCOME_DONE);
  let_rounds_pass(idle, 5);
  g_assert_cmpuint(idle->sets->len, ==, 0);
  g_assert_cmpuint(cagma_targets_get(f->targets, idle->uuid, idle->id), ==, CAGMA_MIB(1024));
  fixture_free(f);
}

/* The same, where it waits for figures: the change is described first. */
static void
test_changed_metadata_takes_a_shrink_back(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  idle->silent[CAGMA_REQUEST_SAMPLE] = TRUE;
  KIT_WAIT(fake_n_held(f->fake, idle) == 1);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(cagma_targets_get(f->targets, idle->uuid, idle->id) > 0);
  fake_configure(f->fake, idle, MEMORY GUARANTEED(1024) LIMITED);
  /* Nor what is decided while nobody could be told of the change. */
  let_rounds_pass(hungry, 3);
  idle->silent[CAGMA_REQUEST_SAMPLE] = FALSE;
  fake_release(f->fake, idle, CAGMA_OUTCOME_DONE);
  let_rounds_pass(idle, 5);
  g_assert_cmpuint(idle->sets->len, ==, 0);
  fixture_free(f);
}

/* And when libvirt is back, what was decided is of long ago. */
static void
test_disconnection_takes_a_shrink_back(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  idle->silent[CAGMA_REQUEST_SAMPLE] = TRUE;
  KIT_WAIT(fake_n_held(f->fake, idle) == 1);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(cagma_targets_get(f->targets, idle->uuid, idle->id) > 0);
  hungry->used_kib = CAGMA_MIB(300);
  let_rounds_pass(hungry, 3);
  fake_disconnect(f->fake);
  idle->silent[CAGMA_REQUEST_SAMPLE] = FALSE;
  fake_release(f->fake, idle, CAGMA_OUTCOME_LOST);
  g_assert_cmpuint(cagma_targets_get(f->targets, idle->uuid, idle->id), ==, CAGMA_MIB(1024));
  fake_connect(f->fake);
  KIT_WAIT(settled(f, hungry));
  let_rounds_pass(idle, 5);
  g_assert_cmpuint(idle->sets->len, ==, 0);
  fixture_free(f);
}

/* What may have been asked counts as asked; what never was on its way doesn't. */
static void
test_disconnection_loses_a_call(void)
{
  for (int unasked = 0; unasked < 2; unasked++) {
    Fixture *f = fixture_new("2GiB", FALSE);
    FakeGuest *hungry, *idle;
    uint64_t target_kib;

    two_guests(f, &hungry, &idle);
    idle->silent[CAGMA_REQUEST_SET] = TRUE;
    hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
    KIT_WAIT(fake_n_held(f->fake, idle) == 1);
    target_kib = last_set(idle);
    g_assert_cmpuint(target_kib, <, CAGMA_MIB(1024));
    idle->unasked = unasked;
    fake_disconnect(f->fake);
    g_assert_cmpuint(cagma_targets_get(f->targets, idle->uuid, idle->id), ==,
                     unasked ? CAGMA_MIB(1024) : target_kib);
    fixture_free(f);
  }
}

/* It is looked at with the rounds, not five times a second. */
static void
test_paused_in_mid_move_is_not_watched(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle;
  unsigned asked, rounds;

  two_guests(f, &hungry, &idle);
  idle->sticks = TRUE;
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(idle->sets->len == 1);
  idle->paused = TRUE;
  fake_tell(f->fake, idle, CAGMA_EVENT_PAUSED);
  let_rounds_pass(hungry, 3);
  hungry->used_kib = CAGMA_MIB(600);
  asked = idle->n_asked[CAGMA_REQUEST_SAMPLE];
  rounds = hungry->n_asked[CAGMA_REQUEST_SAMPLE];
  let_rounds_pass(hungry, 20);
  rounds = hungry->n_asked[CAGMA_REQUEST_SAMPLE] - rounds;
  g_assert_cmpuint(idle->n_asked[CAGMA_REQUEST_SAMPLE] - asked, <=, rounds + 1);
  fixture_free(f);
}

static void
test_invalid_metadata_concerns_only_its_domain(void)
{
  Fixture *f = fixture_new("5GiB", FALSE);
  FakeGuest *hungry, *idle, *wrong;

  wrong = fake_add(f->fake, "wrong", 2048, 1024, 200,
                   MEMORY "><cagma:guarantee unit='parsec'>5</cagma:guarantee></cagma:memory>");
  two_guests(f, &hungry, &idle);
  fake_start(f->fake, wrong);
  KIT_WAIT(wrong->status);
  kit_assert_has(wrong->status, "state='invalid'");
  kit_assert_has(wrong->status, "parsec");
  g_assert_true(says(f, wrong, "state", "invalid"));
  g_assert_true(says(f, wrong, "reason", "parsec"));
  g_assert_cmpuint(kit_logged("parsec"), ==, 1);
  g_assert_cmpuint(number(f, wrong, "charge-kib"), ==, CAGMA_GIB(2));

  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(hungry->actual_kib >= CAGMA_MIB(FED_MIB));
  g_assert_cmpuint(wrong->sets->len, ==, 0);

  /* Set right, it is a domain like the others; its status says so when it may. */
  fake_configure(f->fake, wrong, ENFORCED);
  KIT_WAIT(settled(f, wrong));
  fixture_free(f);
}

static void
test_unmanaged_is_charged_in_full(void)
{
  Fixture *f = fixture_new("6GiB", FALSE);
  FakeGuest *hungry, *idle, *stranger, *observed;

  stranger = fake_add(f->fake, "stranger", 2048, 512, 100, NULL);
  observed = fake_add(f->fake, "observed", 2048, 512, 100, OBSERVED);
  two_guests(f, &hungry, &idle);
  fake_start(f->fake, stranger);
  fake_start(f->fake, observed);
  KIT_WAIT(says(f, stranger, "state", "unmanaged") && says(f, observed, "reason", "observed"));
  g_assert_cmpuint(number(f, stranger, "charge-kib"), ==, CAGMA_GIB(2));
  g_assert_cmpuint(number(f, observed, "charge-kib"), ==, CAGMA_GIB(2));
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(hungry->actual_kib >= CAGMA_MIB(FED_MIB));
  g_assert_cmpuint(hungry->actual_kib + idle->actual_kib, <=, CAGMA_GIB(2));
  g_assert_cmpuint(stranger->sets->len + observed->sets->len, ==, 0);
  g_assert_null(stranger->status);
  fixture_free(f);
}

/* Guarantee 7: hands off, with the reason. */
static void
test_held_with_reason(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle, *pinned, *bare;

  pinned = fake_add(f->fake, "pinned", 512, 512, 100, WHOLE);
  pinned->passed_through = TRUE;
  bare = fake_add(f->fake, "bare", 512, 512, 100, WHOLE);
  bare->no_balloon = TRUE;
  two_guests(f, &hungry, &idle);
  fake_start(f->fake, pinned);
  fake_start(f->fake, bare);
  idle->paused = TRUE;
  fake_tell(f->fake, idle, CAGMA_EVENT_PAUSED);
  KIT_WAIT(says(f, pinned, "reason", "hostdev") && says(f, bare, "reason", "no balloon") &&
           says(f, idle, "reason", "paused"));
  g_assert_true(says(f, pinned, "state", "held") && says(f, bare, "state", "held") &&
                says(f, idle, "state", "held"));

  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  let_rounds_pass(hungry, 8);
  g_assert_cmpuint(idle->sets->len + pinned->sets->len + bare->sets->len, ==, 0);
  fixture_free(f);
}

static void
test_resumed_gives_again(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  idle->paused = TRUE;
  fake_tell(f->fake, idle, CAGMA_EVENT_PAUSED);
  KIT_WAIT(says(f, idle, "state", "held"));
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  let_rounds_pass(hungry, 5);
  g_assert_cmpuint(idle->sets->len, ==, 0);
  idle->paused = FALSE;
  fake_tell(f->fake, idle, CAGMA_EVENT_RESUMED);
  KIT_WAIT(hungry->actual_kib >= CAGMA_MIB(FED_MIB));
  fixture_free(f);
}

/* A description made while the domain was paused arrives after it was resumed. */
static void
test_late_description_does_not_hold(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  idle->silent[CAGMA_REQUEST_DESCRIBE] = TRUE;
  idle->paused = TRUE;
  fake_tell(f->fake, idle, CAGMA_EVENT_CHANGED);
  KIT_WAIT(fake_n_held(f->fake, idle) == 1);
  fake_tell(f->fake, idle, CAGMA_EVENT_RESUMED);
  fake_release(f->fake, idle, CAGMA_OUTCOME_DONE);
  idle->silent[CAGMA_REQUEST_DESCRIBE] = FALSE;
  idle->paused = FALSE;
  fake_release(f->fake, idle, CAGMA_OUTCOME_DONE);
  KIT_WAIT(!says(f, idle, "state", "held") && fake_n_held(f->fake, idle) == 0);
  let_rounds_pass(idle, 3);
  g_assert_false(says(f, idle, "state", "held"));
  fixture_free(f);
}

static void
test_busy_is_held_until_the_job_is_over(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  /* A migration lets itself be known when a change is asked for. */
  idle->migrates = TRUE;
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(idle->sets->len == 1);
  KIT_WAIT(says(f, idle, "state", "held") && says(f, idle, "reason", "migration"));
  let_rounds_pass(idle, 5);
  g_assert_true(idle->job_asked);
  g_assert_true(says(f, idle, "state", "held"));
  g_assert_cmpuint(idle->sets->len, ==, 1);
  /* What was announced is no longer so. */
  g_assert_cmpuint(cagma_targets_get(f->targets, idle->uuid, idle->id), ==, CAGMA_MIB(1024));

  idle->migrates = FALSE;
  KIT_WAIT(!says(f, idle, "state", "held"));
  let_rounds_pass(idle, 2);
  g_assert_false(idle->job_asked);
  fixture_free(f);
}

static void
test_occupied_for_long_is_stuck_and_recovers(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  idle->outcome[CAGMA_REQUEST_SAMPLE] = CAGMA_OUTCOME_OCCUPIED;
  let_rounds_pass(idle, 3);
  g_assert_false(says(f, idle, "state", "stuck"));
  KIT_WAIT(says(f, idle, "state", "stuck"));
  g_assert_true(says(f, idle, "reason", "does not answer"));
  idle->outcome[CAGMA_REQUEST_SAMPLE] = CAGMA_OUTCOME_DONE;
  KIT_WAIT(settled(f, idle));
  fixture_free(f);
}

/* Guarantee 4. */
static void
test_silent_domain_delays_nobody(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;
  gint64 began_us;

  two_guests(f, &hungry, &idle);
  idle->silent[CAGMA_REQUEST_SAMPLE] = TRUE;
  KIT_WAIT(fake_n_held(f->fake, idle) == 1);
  began_us = g_get_monotonic_time();
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(hungry->sets->len > 0);
  /* A period, half of one for those that don't answer, and a second report. */
  g_assert_cmpint(g_get_monotonic_time() - began_us, <, 2 * G_USEC_PER_SEC);
  g_assert_cmpuint(fake_n_held(f->fake, idle), ==, 1);

  fake_release(f->fake, idle, CAGMA_OUTCOME_TIMEOUT);
  KIT_WAIT(says(f, idle, "state", "stuck"));
  idle->silent[CAGMA_REQUEST_SAMPLE] = FALSE;
  fake_release(f->fake, idle, CAGMA_OUTCOME_DONE);
  KIT_WAIT(settled(f, idle));
  fixture_free(f);
}

/* One that can't even be described counts with what libvirt says it has. */
static void
test_unreadable_xml_delays_nobody(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle, *odd;

  odd = fake_add(f->fake, "odd", 1024, 1024, 100, NULL);
  odd->xml = g_strdup("<domain><name>odd");
  two_guests(f, &hungry, &idle);
  fake_start(f->fake, odd);
  KIT_WAIT(kit_logged("can't be read") > 0);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(hungry->actual_kib >= CAGMA_MIB(FED_MIB));
  g_assert_cmpuint(host_number(f, "charge-kib"), >=, CAGMA_GIB(3));
  g_assert_cmpuint(kit_logged("can't be read"), ==, 1);
  fixture_free(f);
}

static void
test_description_is_asked_for_again(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  idle->outcome[CAGMA_REQUEST_DESCRIBE] = CAGMA_OUTCOME_FAILED;
  fake_configure(f->fake, idle, MEMORY GUARANTEED(300) LIMITED);
  let_rounds_pass(idle, 3);
  g_assert_cmpuint(number(f, idle, "guarantee-kib"), ==, CAGMA_MIB(256));
  g_assert_cmpuint(kit_logged("the fake says no"), ==, 1);
  idle->outcome[CAGMA_REQUEST_DESCRIBE] = CAGMA_OUTCOME_DONE;
  KIT_WAIT(number(f, idle, "guarantee-kib") == CAGMA_MIB(300));
  fixture_free(f);
}

static void
test_refused_set_leaves_the_previous_target(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  hungry->outcome[CAGMA_REQUEST_SET] = CAGMA_OUTCOME_FAILED;
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(hungry->sets->len == 1 && says(f, hungry, "state", "stuck"));
  g_assert_cmpuint(kit_logged("the fake says no"), ==, 1);
  g_assert_cmpuint(number(f, hungry, "target-kib"), ==, CAGMA_MIB(1024));
  g_assert_cmpuint(number(f, hungry, "charge-kib"), ==, CAGMA_MIB(1024));
  g_assert_cmpuint(cagma_targets_get(f->targets, hungry->uuid, hungry->id), ==, CAGMA_MIB(1024));
  hungry->outcome[CAGMA_REQUEST_SET] = CAGMA_OUTCOME_DONE;
  let_rounds_pass(hungry, 8);
  g_assert_cmpuint(hungry->sets->len, ==, 1);
  fixture_free(f);
}

/* While a request is under way, two decisions may follow each other: what stands if
 * the second is refused is what libvirt was last asked for. */
static void
test_refusal_after_a_second_decision(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  hungry->silent[CAGMA_REQUEST_SET] = TRUE;
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(fake_n_held(f->fake, hungry) == 1);
  fake_configure(f->fake, hungry, MEMORY GUARANTEED(1600) UNLIMITED);
  let_rounds_pass(idle, 3);
  hungry->silent[CAGMA_REQUEST_SET] = FALSE;
  fake_release(f->fake, hungry, CAGMA_OUTCOME_FAILED);
  KIT_WAIT(says(f, hungry, "state", "stuck"));
  g_assert_cmpuint(number(f, hungry, "target-kib"), ==, CAGMA_MIB(1024));
  g_assert_cmpuint(cagma_targets_get(f->targets, hungry->uuid, hungry->id), ==, CAGMA_MIB(1024));
  let_rounds_pass(hungry, 5);
  g_assert_cmpuint(hungry->sets->len, ==, 1);
  fixture_free(f);
}

static void
test_reconnects(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;
  g_autoptr(GVariant) host = NULL;
  gboolean connected;

  two_guests(f, &hungry, &idle);
  fake_disconnect(f->fake);
  g_assert_cmpuint(kit_logged("the fake hung up"), ==, 1);
  host = g_variant_ref_sink(cagma_manager_host_info(f->manager));
  g_variant_lookup(host, "connected", "b", &connected);
  g_assert_false(connected);
  g_assert_false(cagma_manager_is_alive(f->manager));

  /* Meanwhile one went, and the other was started anew with more. */
  idle->runs = FALSE;
  hungry->id = 77;
  hungry->actual_kib = CAGMA_MIB(1040);
  hungry->used_kib = CAGMA_MIB(300);
  hungry->stamp = 0;
  fake_connect(f->fake);
  g_assert_null(info_of(f, idle));
  KIT_WAIT(settled(f, hungry));
  g_assert_cmpuint(number(f, hungry, "target-kib"), ==, CAGMA_MIB(1040));
  g_assert_cmpuint(hungry->sets->len, ==, 0);
  fixture_free(f);
}

/* Answers to what an earlier run of the domain was asked. */
static void
test_stale_answers_are_ignored(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  hungry->silent[CAGMA_REQUEST_SET] = TRUE;
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(fake_n_held(f->fake, hungry) == 1);
  fake_stop(f->fake, hungry);
  g_assert_null(info_of(f, hungry));
  g_assert_cmpuint(cagma_targets_get(f->targets, hungry->uuid, hungry->id), ==, 0);
  hungry->used_kib = CAGMA_MIB(300);
  hungry->silent[CAGMA_REQUEST_SET] = FALSE;
  fake_start(f->fake, hungry);
  KIT_WAIT(settled(f, hungry));
  fake_release(f->fake, hungry, CAGMA_OUTCOME_FAILED);
  let_rounds_pass(hungry, 3);
  g_assert_true(settled(f, hungry));
  g_assert_cmpuint(kit_logged("the fake says no"), ==, 0);
  fixture_free(f);
}

/* Started again without a word of its end: the answer is of the run before. */
static void
test_restart_in_mid_flight(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  hungry->silent[CAGMA_REQUEST_SET] = TRUE;
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(fake_n_held(f->fake, hungry) == 1);
  hungry->used_kib = CAGMA_MIB(300);
  hungry->silent[CAGMA_REQUEST_SET] = FALSE;
  fake_start(f->fake, hungry);
  fake_release(f->fake, hungry, CAGMA_OUTCOME_FAILED);
  KIT_WAIT(settled(f, hungry));
  g_assert_cmpuint(kit_logged("the fake says no"), ==, 0);
  g_assert_cmpuint(number(f, hungry, "target-kib"), ==, CAGMA_MIB(1024));
  fixture_free(f);
}

/* A move that waits for an answer isn't asked of the guest's next run. */
static void
test_restart_forgets_what_was_decided(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  idle->silent[CAGMA_REQUEST_DESCRIBE] = TRUE;
  fake_tell(f->fake, idle, CAGMA_EVENT_CHANGED);
  KIT_WAIT(fake_n_held(f->fake, idle) == 1);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(cagma_targets_get(f->targets, idle->uuid, idle->id) > 0);
  hungry->used_kib = CAGMA_MIB(300);
  idle->silent[CAGMA_REQUEST_DESCRIBE] = FALSE;
  fake_start(f->fake, idle);
  fake_release(f->fake, idle, CAGMA_OUTCOME_DONE);
  KIT_WAIT(settled(f, idle));
  g_assert_cmpuint(idle->sets->len, ==, 0);
  fixture_free(f);
}

static void
test_reboot_is_charged_in_full(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  idle->dumb = TRUE;
  fake_tell(f->fake, idle, CAGMA_EVENT_REBOOTED);
  KIT_WAIT(says(f, idle, "state", "blind"));
  g_assert_cmpuint(number(f, idle, "charge-kib"), ==, CAGMA_GIB(2));
  idle->dumb = FALSE;
  KIT_WAIT(settled(f, idle));
  g_assert_cmpuint(number(f, idle, "charge-kib"), ==, CAGMA_GIB(1));
  fixture_free(f);
}

static void
test_expected_reserves_until_it_comes(void)
{
  Fixture *f = fixture_new("6GiB", FALSE);
  FakeGuest *hungry, *idle, *coming;

  coming = fake_add(f->fake, "coming", 2048, 2048, 100, NULL);
  two_guests(f, &hungry, &idle);
  KIT_WAIT(host_number(f, "incoming-kib") == 0);
  cagma_manager_expect(f->manager, coming->uuid, "com\ning", CAGMA_GIB(2));
  g_assert_cmpuint(kit_logged("com\ning"), ==, 0);
  KIT_WAIT(host_number(f, "incoming-kib") == CAGMA_GIB(2));
  /* Not twice. */
  cagma_manager_expect(f->manager, coming->uuid, "coming", CAGMA_GIB(2));
  cagma_manager_expect(f->manager, idle->uuid, "idle", CAGMA_GIB(2));
  let_rounds_pass(idle, 2);
  g_assert_cmpuint(host_number(f, "incoming-kib"), ==, CAGMA_GIB(2));

  fake_start(f->fake, coming);
  KIT_WAIT(host_number(f, "incoming-kib") == 0);
  g_assert_cmpuint(host_number(f, "charge-kib"), ==, CAGMA_GIB(4));

  cagma_manager_expect(f->manager, "11111111-2222-3333-4444-555555555555", "other", CAGMA_GIB(1));
  KIT_WAIT(host_number(f, "incoming-kib") == CAGMA_GIB(1));
  cagma_manager_expect_no_more(f->manager, "11111111-2222-3333-4444-555555555555");
  KIT_WAIT(host_number(f, "incoming-kib") == 0);
  fixture_free(f);
}

/* Known to start, but not described: counted as announced, and nobody waits. */
static void
test_expected_counts_before_it_is_described(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle, *coming;

  coming = fake_add(f->fake, "coming", 2048, 2048, 100, NULL);
  coming->silent[CAGMA_REQUEST_DESCRIBE] = TRUE;
  two_guests(f, &hungry, &idle);
  cagma_manager_expect(f->manager, coming->uuid, "coming", CAGMA_GIB(2));
  fake_start(f->fake, coming);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(hungry->actual_kib >= CAGMA_MIB(FED_MIB));
  g_assert_cmpuint(hungry->actual_kib + idle->actual_kib, <=, CAGMA_GIB(2));
  g_assert_cmpuint(fake_n_held(f->fake, coming), ==, 1);
  fixture_free(f);
}

static void
test_dry_run_sets_nothing(void)
{
  Fixture *f = fixture_new("2GiB", TRUE);
  FakeGuest *hungry, *idle, *found;

  found = fake_add(f->fake, "found", 256, 256, 100, WHOLE);
  found->no_stats_period = TRUE;
  two_guests(f, &hungry, &idle);
  fake_start(f->fake, found);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(kit_logged("idle: would set") > 0);
  let_rounds_pass(hungry, 5);
  g_assert_cmpuint(hungry->sets->len + idle->sets->len, ==, 0);
  g_assert_null(hungry->status);
  g_assert_null(idle->status);
  g_assert_cmpuint(found->stats_period_s, ==, 0);
  /* Once for each thing it would do. */
  g_assert_cmpuint(kit_logged("idle: would set"), <=, 3);
  fixture_free(f);
}

static void
test_status_is_written_on_change_only(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;
  g_autoptr(CagmaStatus) status = NULL;
  g_autoptr(GError) error = NULL;

  two_guests(f, &hungry, &idle);
  KIT_WAIT(hungry->status && idle->status);
  /* A change that matters waits until ten seconds are over, and is one write. */
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(settled(f, hungry) && hungry->actual_kib >= CAGMA_MIB(FED_MIB));
  g_assert_cmpuint(hungry->n_status, ==, 1);
  KIT_WAIT(hungry->n_status == 2);
  g_assert_cmpint(hungry->status_gap_us, >, 9 * G_USEC_PER_SEC);
  status = cagma_status_parse(hungry->status, -1, &error);
  g_assert_no_error(error);
  g_assert_cmpint(status->state, ==, CAGMA_STATE_STEADY);
  g_assert_cmpuint(status->target_kib, ==, last_set(hungry));
  g_assert_cmpint(status->change_kib, >, 0);
  g_assert_nonnull(status->changed);
  g_assert_nonnull(status->host);
  /* It may have been seen while it settled; nothing has changed since. */
  g_assert_cmpuint(idle->n_status, <=, 2);
  let_rounds_pass(idle, 10);
  g_assert_cmpuint(idle->n_status, <=, 2);
  g_assert_cmpuint(hungry->n_status, ==, 2);
  fixture_free(f);
}

static void
test_failed_status_is_not_tried_each_period(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *guest = fake_add(f->fake, "guest", 1024, 1024, 300, WHOLE);

  guest->outcome[CAGMA_REQUEST_STATUS] = CAGMA_OUTCOME_FAILED;
  start(f);
  fake_start(f->fake, guest);
  KIT_WAIT(guest->n_asked[CAGMA_REQUEST_STATUS] > 0);
  let_rounds_pass(guest, 10);
  g_assert_cmpuint(guest->n_asked[CAGMA_REQUEST_STATUS], ==, 1);
  g_assert_cmpuint(kit_logged("the fake says no"), ==, 1);
  fixture_free(f);
}

static gboolean
note_stopped(gpointer user_data)
{
  gboolean *stopped = user_data;

  g_assert_false(*stopped);
  *stopped = TRUE;
  return G_SOURCE_REMOVE;
}

static void
test_stop_removes_the_status(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  KIT_WAIT(hungry->status && idle->status);
  cagma_manager_stop(f->manager, note_stopped, &f->stopped);
  KIT_WAIT(f->stopped);
  g_assert_null(hungry->status);
  g_assert_null(idle->status);
  /* Nothing begins any more, and it is told once. */
  fake_start(f->fake, hungry);
  cagma_manager_configure(f->manager, f->conf);
  for (int i = 0; i < 30; i++)
    kit_breathe();
  g_assert_null(hungry->status);
  fixture_free(f);
}

/* A QEMU that is busy just then is no reason to leave it there. */
static void
test_stop_waits_for_a_busy_one(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;
  unsigned asked;

  two_guests(f, &hungry, &idle);
  KIT_WAIT(hungry->status && idle->status);
  hungry->outcome[CAGMA_REQUEST_STATUS] = CAGMA_OUTCOME_OCCUPIED;
  asked = hungry->n_asked[CAGMA_REQUEST_STATUS];
  cagma_manager_stop(f->manager, note_stopped, &f->stopped);
  KIT_WAIT(hungry->n_asked[CAGMA_REQUEST_STATUS] >= asked + 3);
  g_assert_nonnull(hungry->status);
  hungry->outcome[CAGMA_REQUEST_STATUS] = CAGMA_OUTCOME_DONE;
  KIT_WAIT(f->stopped);
  g_assert_null(hungry->status);
  fixture_free(f);
}

static void
test_stop_waits_for_nobody_long(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;
  gint64 began_us;

  two_guests(f, &hungry, &idle);
  KIT_WAIT(hungry->status && idle->status);
  idle->silent[CAGMA_REQUEST_STATUS] = TRUE;
  began_us = g_get_monotonic_time();
  cagma_manager_stop(f->manager, note_stopped, &f->stopped);
  KIT_WAIT(f->stopped);
  g_assert_cmpint(g_get_monotonic_time() - began_us, <, 8 * G_USEC_PER_SEC);
  g_assert_null(hungry->status);
  /* It answers after all: too late to be told again. */
  fake_release(f->fake, idle, CAGMA_OUTCOME_DONE);
  fixture_free(f);
}

static void
test_stop_without_domains(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);

  start(f);
  cagma_manager_stop(f->manager, note_stopped, &f->stopped);
  g_assert_false(f->stopped);
  KIT_WAIT(f->stopped);
  fixture_free(f);
}

/* Guarantee 6. */
static void
test_killed_and_started_again_moves_nothing(void)
{
  Fixture *f = fixture_new("2GiB", FALSE);
  FakeGuest *hungry, *idle;
  unsigned n_sets;

  two_guests(f, &hungry, &idle);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(hungry->actual_kib >= CAGMA_MIB(FED_MIB));
  KIT_WAIT(settled(f, hungry) && settled(f, idle));
  n_sets = hungry->sets->len + idle->sets->len;
  die(f);

  start_another(f);
  KIT_WAIT(settled(f, hungry) && settled(f, idle));
  let_rounds_pass(hungry, 10);
  g_assert_cmpuint(hungry->sets->len + idle->sets->len, ==, n_sets);
  g_assert_cmpuint(number(f, hungry, "target-kib"), ==, last_set(hungry));
  fixture_free(f);
}

/* Killed between announcing a target and asking for it. */
static void
test_announced_but_never_asked_for(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *guest = fake_add(f->fake, "guest", 2048, 1024, 500, WHOLE);
  g_autoptr(GError) error = NULL;

  guest->runs = TRUE;
  guest->id = 5;
  g_assert_true(cagma_targets_put(f->targets, guest->uuid, 5, CAGMA_MIB(1900), &error));
  start(f);
  KIT_WAIT(number(f, guest, "target-kib") == CAGMA_MIB(1900));
  KIT_WAIT(guest->sets->len == 1);
  g_assert_cmpuint(last_set(guest), ==, CAGMA_MIB(1024));
  g_assert_cmpuint(number(f, guest, "charge-kib"), ==, CAGMA_MIB(1024));
  fixture_free(f);
}

/* A status that a killed daemon left on a domain that is no longer managed. */
static void
test_left_status_is_removed(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *guest = fake_add(f->fake, "guest", 2048, 1024, 500, NULL);

  guest->runs = TRUE;
  guest->id = 5;
  guest->status = g_strdup("<cagma:status xmlns:cagma='" CAGMA_STATUS_URI "' state='steady'/>");
  start(f);
  KIT_WAIT(!guest->status);
  fixture_free(f);
}

/* Nor is it forgotten that it is there where it couldn't be replaced. */
static void
test_status_that_could_not_be_replaced_is_removed(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *guest = fake_add(f->fake, "guest", 1024, 1024, 300, WHOLE);

  guest->runs = TRUE;
  guest->id = 5;
  guest->status = g_strdup("<cagma:status xmlns:cagma='" CAGMA_STATUS_URI "' state='steady'/>");
  guest->outcome[CAGMA_REQUEST_STATUS] = CAGMA_OUTCOME_BUSY;
  start(f);
  KIT_WAIT(guest->n_asked[CAGMA_REQUEST_STATUS] > 0);
  for (int i = 0; i < 5; i++)
    kit_breathe();
  guest->outcome[CAGMA_REQUEST_STATUS] = CAGMA_OUTCOME_DONE;
  cagma_manager_stop(f->manager, note_stopped, &f->stopped);
  KIT_WAIT(f->stopped);
  g_assert_null(guest->status);
  fixture_free(f);
}

static void
test_unwritable_target_moves_nothing(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  g_autofree char *targets_dir = g_build_filename(f->dir, "targets", NULL);
  FakeGuest *hungry, *idle;

  two_guests(f, &hungry, &idle);
  g_assert_cmpint(g_rmdir(targets_dir), ==, 0);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(kit_logged("hungry: not set") > 0);
  let_rounds_pass(hungry, 5);
  g_assert_cmpuint(hungry->sets->len, ==, 0);
  g_assert_cmpuint(kit_logged("hungry: not set"), ==, 1);
  g_assert_cmpuint(number(f, hungry, "target-kib"), ==, CAGMA_MIB(1024));
  fixture_free(f);
}

static void
test_statistics_are_turned_on_once(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *guest = fake_add(f->fake, "guest", 1024, 1024, 300, WHOLE);
  FakeGuest *stranger = fake_add(f->fake, "stranger", 1024, 1024, 300, NULL);

  guest->no_stats_period = stranger->no_stats_period = TRUE;
  start(f);
  fake_start(f->fake, guest);
  fake_start(f->fake, stranger);
  KIT_WAIT(settled(f, guest));
  g_assert_cmpuint(guest->stats_period_s, ==, 1);
  g_assert_cmpuint(stranger->stats_period_s, ==, 0);
  let_rounds_pass(guest, 5);
  g_assert_cmpuint(guest->n_asked[CAGMA_REQUEST_DESCRIBE], ==, 2);
  fixture_free(f);
}

static void
test_stuck_balloon_is_withdrawn(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;
  unsigned n_sets;

  two_guests(f, &hungry, &idle);
  hungry->sticks = TRUE;
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  KIT_WAIT(hungry->sets->len > 0);
  KIT_WAIT(last_set(hungry) == CAGMA_MIB(1024));
  n_sets = hungry->sets->len;
  KIT_WAIT(says(f, hungry, "state", "stuck"));
  KIT_WAIT(says(f, hungry, "reason", "did not move"));
  let_rounds_pass(hungry, 8);
  g_assert_cmpuint(hungry->sets->len, ==, n_sets);
  fixture_free(f);
}

static void
test_auto_budget(void)
{
  Fixture *f = fixture_new("auto", FALSE);
  FakeGuest *hungry, *idle;

  host_memory = (CagmaHostMemory){ .total_kib = CAGMA_GIB(16), .available_kib = CAGMA_GIB(8) };
  two_guests(f, &hungry, &idle);
  g_assert_cmpuint(host_number(f, "budget-kib"), ==, CAGMA_GIB(16));
  g_assert_cmpuint(host_number(f, "available-kib"), ==, CAGMA_GIB(8));
  /* Unknown is worse than little: nothing is decided. */
  memory_is_read = FALSE;
  KIT_WAIT(kit_logged("nothing is decided") > 0);
  hungry->used_kib = CAGMA_MIB(HUNGRY_MIB);
  let_rounds_pass(hungry, 5);
  g_assert_cmpuint(hungry->sets->len, ==, 0);
  memory_is_read = TRUE;
  KIT_WAIT(hungry->actual_kib >= CAGMA_MIB(FED_MIB));
  fixture_free(f);
}

static int64_t
in_hand_kib(Fixture *f)
{
  g_autoptr(GVariant) host = g_variant_ref_sink(cagma_manager_host_info(f->manager));
  gint64 kib = G_MININT64;

  g_variant_lookup(host, "in-hand-kib", "x", &kib);
  return kib;
}

/* Its pool isn't available to begin with, and its pages aren't resident: it takes nothing more. */
static void
test_huge_pages_are_not_counted_twice(void)
{
  Fixture *f = fixture_new("auto", FALSE);
  FakeGuest *hungry, *idle, *huge;
  int64_t before_kib;

  host_memory = (CagmaHostMemory){ .total_kib = CAGMA_GIB(16), .available_kib = CAGMA_GIB(8) };
  huge = fake_add(f->fake, "huge", 6144, 6144, 0, NULL);
  huge->rss_kib = CAGMA_MIB(200);
  huge->xml = g_strdup_printf("<domain type='kvm' id='9'><name>huge</name><uuid>%s</uuid><memory "
                              "unit='GiB'>6</memory><memoryBacking><hugepages/></memoryBacking></domain>",
                              huge->uuid);
  two_guests(f, &hungry, &idle);
  before_kib = in_hand_kib(f);
  fake_start(f->fake, huge);
  KIT_WAIT(says(f, huge, "state", "unmanaged"));
  KIT_WAIT(in_hand_kib(f) >= before_kib - (int64_t)CAGMA_MIB(64));
  fixture_free(f);
}

static void
test_configure_takes_effect(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle, *stranger;
  CagmaConf *other;

  stranger = fake_add(f->fake, "stranger", 512, 512, 100, NULL);
  two_guests(f, &hungry, &idle);
  fake_start(f->fake, stranger);
  KIT_WAIT(says(f, stranger, "state", "unmanaged"));
  other = conf_of("4GiB", "[defaults]\nmanage=all\nguarantee=333MiB\n");
  cagma_manager_configure(f->manager, other);
  cagma_conf_free(f->conf);
  f->conf = other;
  KIT_WAIT(number(f, stranger, "guarantee-kib") == CAGMA_MIB(333));
  KIT_WAIT(settled(f, stranger));
  fixture_free(f);
}

static gboolean
is_explained_with(Fixture *f, const char *name, const char *fragment)
{
  g_autofree char *text = cagma_manager_explain(f->manager, name);

  return strstr(text, fragment) != NULL;
}

static void
cry(Fixture *f, FakeGuest *guest)
{
  const CagmaSample sample = {
    .source = CAGMA_SAMPLE_CHANNEL,
    .has = CAGMA_HAS_USABLE,
    .usable_kib = CAGMA_MIB(4),
  };

  fake_speak(f->fake, guest, &sample, TRUE);
}

/* The host's and a domain's; and nobody is to forget it. */
static void
test_rules_can_be_left_out(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;
  g_autoptr(GVariant) whole = NULL;
  g_autoptr(GVariant) host = NULL;
  const char *without;
  CagmaConf *other;

  two_guests(f, &hungry, &idle);
  whole = g_variant_ref_sink(cagma_manager_host_info(f->manager));
  g_assert_false(g_variant_lookup(whole, "without", "&s", &without));
  other = conf_of("4GiB", "pool=64MiB\n");
  cagma_manager_configure(f->manager, other);
  cagma_conf_free(f->conf);
  f->conf = other;
  KIT_WAIT(is_explained_with(f, "idle", "kept for emergencies"));

  other = conf_of("4GiB", "pool=64MiB\nwithout=emergency,pool\n");
  cagma_manager_configure(f->manager, other);
  cagma_conf_free(f->conf);
  f->conf = other;
  KIT_WAIT(!is_explained_with(f, "idle", "kept for emergencies"));
  host = g_variant_ref_sink(cagma_manager_host_info(f->manager));
  g_assert_true(g_variant_lookup(host, "without", "&s", &without));
  g_assert_cmpstr(without, ==, "emergency, pool");
  hungry->channel = TRUE;
  fake_tell(f->fake, hungry, CAGMA_EVENT_CHANGED);
  KIT_WAIT(hungry->listened);
  cry(f, hungry);
  g_assert_false(says(f, hungry, "state", "emergency"));

  other = conf_of("4GiB", "");
  cagma_manager_configure(f->manager, other);
  cagma_conf_free(f->conf);
  f->conf = other;
  KIT_WAIT((cry(f, hungry), says(f, hungry, "state", "emergency")));
  fixture_free(f);
}

static void
test_infos(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *hungry, *idle;
  g_autoptr(GVariant) before = g_variant_ref_sink(cagma_manager_host_info(f->manager));
  g_autoptr(GVariant) host = NULL;
  g_autoptr(GVariant) info = NULL;
  g_autofree char *by_name = NULL;
  g_autofree char *by_uuid = NULL;
  static const char *const host_keys[] = { "version",      "uri",          "connected",   "dry-run",
                                           "policy",       "budget",       "budget-kib",  "reserve-kib",
                                           "charge-kib",   "incoming-kib", "in-hand-kib", "coming-kib",
                                           "shortfall-kib" };
  static const char *const keys[] = { "name",
                                      "uuid",
                                      "state",
                                      "reason",
                                      "maximum-kib",
                                      "charge-kib",
                                      "actual-kib",
                                      "mode",
                                      "source",
                                      "guarantee-kib",
                                      "limit-kib",
                                      "shares",
                                      "target-kib",
                                      "used-kib",
                                      "available-kib",
                                      "critical-kib",
                                      "demand-kib",
                                      "swap-in-kib-per-s",
                                      "swap-out-kib-per-s" };

  /* What isn't known yet isn't told. */
  g_assert_false(g_variant_lookup(before, "in-hand-kib", "x", NULL));
  g_assert_false(g_variant_lookup(before, "budget-kib", "t", NULL));

  two_guests(f, &hungry, &idle);
  host = g_variant_ref_sink(cagma_manager_host_info(f->manager));
  for (size_t i = 0; i < G_N_ELEMENTS(host_keys); i++) {
    g_autoptr(GVariant) value = g_variant_lookup_value(host, host_keys[i], NULL);

    if (!value)
      g_error("the host has no %s", host_keys[i]);
  }
  info = info_of(f, hungry);
  for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
    g_autoptr(GVariant) value = g_variant_lookup_value(info, keys[i], NULL);

    if (!value)
      g_error("a domain has no %s", keys[i]);
  }
  g_assert_cmpuint(number(f, hungry, "used-kib"), ==, CAGMA_MIB(600));
  g_assert_cmpuint(number(f, hungry, "available-kib"), ==, CAGMA_MIB(424));
  g_assert_cmpuint(number(f, hungry, "maximum-kib"), ==, CAGMA_GIB(2));

  by_name = cagma_manager_explain(f->manager, "hungry");
  by_uuid = cagma_manager_explain(f->manager, hungry->uuid);
  kit_assert_has(by_name, "600 MiB");
  kit_assert_has(by_name, "allocator shares");
  kit_assert_has(by_uuid, "600 MiB");
  g_assert_null(cagma_manager_explain(f->manager, "nobody"));
  fixture_free(f);
}

/* Other domains come and go: what is said of this one doesn't suffer. */
static void
test_status_is_never_written_undecided(void)
{
  Fixture *f = fixture_new("8GiB", FALSE);
  FakeGuest *guest = fake_add(f->fake, "guest", 1024, 1024, 300, WHOLE);
  FakeGuest *other = fake_add(f->fake, "other", 256, 256, 100, NULL);

  start(f);
  fake_start(f->fake, guest);
  while (guest->n_status == 0) {
    fake_start(f->fake, other);
    kit_breathe();
    fake_stop(f->fake, other);
    kit_breathe();
  }
  g_assert_null(strstr(guest->status, "decided"));
  fixture_free(f);
}

static void
test_hostile_name(void)
{
  Fixture *f = fixture_new("4GiB", FALSE);
  FakeGuest *guest = fake_add(f->fake, "evil", 1024, 1024, 300, WHOLE);

  g_free(guest->name);
  guest->name = g_strdup("e\033[2Jvil\xc2\x9b\xff");
  guest->xml = g_strdup("nonsense");
  start(f);
  fake_start(f->fake, guest);
  KIT_WAIT(kit_logged("can't be read") > 0);
  g_assert_cmpuint(kit_logged("\033"), ==, 0);
  g_assert_cmpuint(kit_logged("\xc2\x9b"), ==, 0);
  g_assert_true(says(f, guest, "name", "vil"));
  g_assert_false(says(f, guest, "name", "\033"));
  fixture_free(f);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/manager/moves-memory", test_moves_memory);
  g_test_add_func("/manager/hands-out-what-nobody-needs", test_hands_out_what_nobody_needs);
  g_test_add_func("/manager/what-one-left-is-not-handed-out-at-once",
                  test_what_one_left_is_not_handed_out_at_once);
  g_test_add_func("/manager/what-was-handed-out-is-taken-for-a-need",
                  test_what_was_handed_out_is_taken_for_a_need);
  g_test_add_func("/manager/changed-metadata-counts-at-once", test_changed_metadata_counts_at_once);
  g_test_add_func("/manager/raised-guarantee-overtakes-a-shrink", test_raised_guarantee_overtakes_a_shrink);
  g_test_add_func("/manager/changed-metadata-takes-a-shrink-back", test_changed_metadata_takes_a_shrink_back);
  g_test_add_func("/manager/disconnection-takes-a-shrink-back", test_disconnection_takes_a_shrink_back);
  g_test_add_func("/manager/disconnection-loses-a-call", test_disconnection_loses_a_call);
  g_test_add_func("/manager/paused-in-mid-move-is-not-watched", test_paused_in_mid_move_is_not_watched);
  g_test_add_func("/manager/invalid-metadata-concerns-only-its-domain",
                  test_invalid_metadata_concerns_only_its_domain);
  g_test_add_func("/manager/unmanaged-is-charged-in-full", test_unmanaged_is_charged_in_full);
  g_test_add_func("/manager/held-with-reason", test_held_with_reason);
  g_test_add_func("/manager/resumed-gives-again", test_resumed_gives_again);
  g_test_add_func("/manager/late-description-does-not-hold", test_late_description_does_not_hold);
  g_test_add_func("/manager/busy-is-held-until-the-job-is-over", test_busy_is_held_until_the_job_is_over);
  g_test_add_func("/manager/occupied-for-long-is-stuck-and-recovers",
                  test_occupied_for_long_is_stuck_and_recovers);
  g_test_add_func("/manager/silent-domain-delays-nobody", test_silent_domain_delays_nobody);
  g_test_add_func("/manager/unreadable-xml-delays-nobody", test_unreadable_xml_delays_nobody);
  g_test_add_func("/manager/description-is-asked-for-again", test_description_is_asked_for_again);
  g_test_add_func("/manager/refused-set-leaves-the-previous-target",
                  test_refused_set_leaves_the_previous_target);
  g_test_add_func("/manager/refusal-after-a-second-decision", test_refusal_after_a_second_decision);
  g_test_add_func("/manager/reconnects", test_reconnects);
  g_test_add_func("/manager/stale-answers-are-ignored", test_stale_answers_are_ignored);
  g_test_add_func("/manager/restart-in-mid-flight", test_restart_in_mid_flight);
  g_test_add_func("/manager/restart-forgets-what-was-decided", test_restart_forgets_what_was_decided);
  g_test_add_func("/manager/reboot-is-charged-in-full", test_reboot_is_charged_in_full);
  g_test_add_func("/manager/expected-reserves-until-it-comes", test_expected_reserves_until_it_comes);
  g_test_add_func("/manager/expected-counts-before-it-is-described",
                  test_expected_counts_before_it_is_described);
  g_test_add_func("/manager/dry-run-sets-nothing", test_dry_run_sets_nothing);
  g_test_add_func("/manager/status-is-written-on-change-only", test_status_is_written_on_change_only);
  g_test_add_func("/manager/failed-status-is-not-tried-each-period",
                  test_failed_status_is_not_tried_each_period);
  g_test_add_func("/manager/stop-waits-for-a-busy-one", test_stop_waits_for_a_busy_one);
  g_test_add_func("/manager/stop-removes-the-status", test_stop_removes_the_status);
  g_test_add_func("/manager/stop-waits-for-nobody-long", test_stop_waits_for_nobody_long);
  g_test_add_func("/manager/stop-without-domains", test_stop_without_domains);
  g_test_add_func("/manager/killed-and-started-again-moves-nothing",
                  test_killed_and_started_again_moves_nothing);
  g_test_add_func("/manager/announced-but-never-asked-for", test_announced_but_never_asked_for);
  g_test_add_func("/manager/left-status-is-removed", test_left_status_is_removed);
  g_test_add_func("/manager/status-that-could-not-be-replaced",
                  test_status_that_could_not_be_replaced_is_removed);
  g_test_add_func("/manager/unwritable-target-moves-nothing", test_unwritable_target_moves_nothing);
  g_test_add_func("/manager/statistics-are-turned-on-once", test_statistics_are_turned_on_once);
  g_test_add_func("/manager/stuck-balloon-is-withdrawn", test_stuck_balloon_is_withdrawn);
  g_test_add_func("/manager/auto-budget", test_auto_budget);
  g_test_add_func("/manager/huge-pages-are-not-counted-twice", test_huge_pages_are_not_counted_twice);
  g_test_add_func("/manager/configure-takes-effect", test_configure_takes_effect);
  g_test_add_func("/manager/rules-can-be-left-out", test_rules_can_be_left_out);
  g_test_add_func("/manager/infos", test_infos);
  g_test_add_func("/manager/status-is-never-written-undecided", test_status_is_never_written_undecided);
  g_test_add_func("/manager/hostile-name", test_hostile_name);
  return g_test_run();
}
