/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/bus.h"
#include "plugin/manager.h"
#include "policy/units.h"
#include "tests/plugin/fake-backend.h"
#include "tests/plugin/kit.h"

/* The hook as libvirt runs it. libvirt waits for it with the domain's lock held, so
 * that it has to be over soon whatever happens. */

#define UUID "11111111-2222-3333-4444-555555555555"
#define DOMAIN(element)                                                                                      \
  "<domain type='kvm'><name>guest</name><uuid>" UUID                                                         \
  "</uuid><memory unit='MiB'>1024</memory><metadata>" element "</metadata></domain>"
#define GOOD                                                                                                 \
  DOMAIN("<cagma:memory xmlns:cagma='urn:cagma:memory:1'><cagma:shares>5</cagma:shares></cagma:memory>")
#define BAD                                                                                                  \
  DOMAIN("<cagma:memory xmlns:cagma='urn:cagma:memory:1'><cagma:shares>few</cagma:shares></cagma:memory>")

/* A second, and what it takes to start a sanitized program on a loaded machine. */
#define SOON_US (10 * G_USEC_PER_SEC)

typedef struct {
  char *dir;
  char *run_dir_env;
  char *conf_env;
} Fixture;

static void
set_up(Fixture *f, gconstpointer conf_text)
{
  g_autofree char *conf = NULL;

  f->dir = kit_tmpdir();
  conf = kit_write(f->dir, "cagmad.conf", conf_text ? conf_text : "", -1);
  f->run_dir_env = g_strconcat("CAGMA_RUN_DIR=", f->dir, NULL);
  f->conf_env = g_strconcat("CAGMA_CONFIG=", conf, NULL);
}

static void
tear_down(Fixture *f, gconstpointer conf_text)
{
  (void)conf_text;
  g_free(f->run_dir_env);
  g_free(f->conf_env);
  kit_remove(f->dir);
}

static KitRun *
run_long(Fixture *f, const char *operation, const char *input, gssize len)
{
  const char *const argv[] = { g_getenv("CAGMA_HOOK"), "guest", operation, "begin", "-", NULL };
  const char *const env[] = { f->run_dir_env, f->conf_env, NULL };
  KitRun *done = kit_run(argv, env, input, len);

  g_assert_cmpstr(done->out, ==, "");
  return done;
}

static KitRun *
run(Fixture *f, const char *operation, const char *input, gssize len)
{
  KitRun *done = run_long(f, operation, input, len);

  g_assert_cmpint(done->took_us, <, SOON_US);
  return done;
}

static void
test_valid(Fixture *f, gconstpointer conf_text)
{
  g_autoptr(KitRun) done = run(f, "prepare", GOOD, -1);

  (void)conf_text;
  g_assert_cmpint(done->status, ==, 0);
  /* No daemon isn't worth a word. */
  g_assert_cmpstr(done->err, ==, "");
}

static void
test_without_element(Fixture *f, gconstpointer conf_text)
{
  g_autoptr(KitRun) done = run(f, "prepare", DOMAIN(""), -1);

  (void)conf_text;
  g_assert_cmpint(done->status, ==, 0);
  g_assert_cmpstr(done->err, ==, "");
}

static void
test_invalid_is_told(Fixture *f, gconstpointer conf_text)
{
  g_autoptr(KitRun) done = run(f, "prepare", BAD, -1);

  (void)conf_text;
  g_assert_cmpint(done->status, ==, 0);
  kit_assert_has(done->err, "domain guest");
  kit_assert_has(done->err, "few");
}

static void
test_invalid_may_not_start(Fixture *f, gconstpointer conf_text)
{
  g_autoptr(KitRun) prepare = run(f, "prepare", BAD, -1);
  g_autoptr(KitRun) release = run(f, "release", BAD, -1);
  g_autoptr(KitRun) good = run(f, "prepare", GOOD, -1);

  (void)conf_text;
  g_assert_cmpint(prepare->status, ==, 1);
  kit_assert_has(prepare->err, "few");
  /* Nothing but a start is up to us. */
  g_assert_cmpint(release->status, ==, 0);
  g_assert_cmpint(good->status, ==, 0);
}

static void
test_bad_conf_is_told(Fixture *f, gconstpointer conf_text)
{
  g_autoptr(KitRun) done = run(f, "prepare", GOOD, -1);

  (void)conf_text;
  g_assert_cmpint(done->status, ==, 0);
  kit_assert_has(done->err, "strict='perhaps'");
}

static void
test_other_operations(Fixture *f, gconstpointer conf_text)
{
  static const char *const operations[] = { "start",   "started",   "stopped", "migrate",
                                            "restore", "reconnect", "attach",  "" };

  (void)conf_text;
  for (size_t i = 0; i < G_N_ELEMENTS(operations); i++) {
    g_autoptr(KitRun) done = run(f, operations[i], "", -1);

    g_assert_cmpint(done->status, ==, 0);
    g_assert_cmpstr(done->err, ==, "");
  }
}

static void
test_bad_input(Fixture *f, gconstpointer conf_text)
{
  g_autofree char *huge = g_strnfill(5 * 1024 * 1024, '<');
  static const char *const inputs[] = { "", "no XML", "<domain>", "<network/>", "\xff\xfe" };

  (void)conf_text;
  for (size_t i = 0; i < G_N_ELEMENTS(inputs); i++) {
    g_autoptr(KitRun) done = run(f, "prepare", inputs[i], -1);

    g_assert_cmpint(done->status, ==, 0);
    kit_assert_has(done->err, "domain guest");
  }
  {
    g_autoptr(KitRun) done = run(f, "prepare", huge, -1);

    g_assert_cmpint(done->status, ==, 0);
    kit_assert_has(done->err, "larger than 4194304 bytes");
  }
}

static void
test_stdin_never_ends(Fixture *f, gconstpointer conf_text)
{
  g_autoptr(KitRun) done = run(f, "prepare", NULL, 0);

  (void)conf_text;
  g_assert_cmpint(done->status, ==, 0);
  kit_assert_has(done->err, "domain guest: no answer within 1 s");
}

/* A daemon that takes the call and says nothing. */
static void
test_daemon_hangs(Fixture *f, gconstpointer conf_text)
{
  g_autofree char *path = g_build_filename(f->dir, "control", NULL);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_autoptr(KitRun) done = NULL;

  (void)conf_text;
  g_strlcpy(address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint(listen(fd, 5), ==, 0);
  done = run(f, "prepare", GOOD, -1);
  g_assert_cmpint(done->status, ==, 0);
  kit_assert_has(done->err, "domain guest: no answer within 1 s");
  g_assert_cmpint(done->took_us, >=, G_USEC_PER_SEC * 9 / 10);
  close(fd);
}

static guint64
incoming(CagmaManager *manager)
{
  g_autoptr(GVariant) host = g_variant_ref_sink(cagma_manager_host_info(manager));
  guint64 kib = 0;

  g_variant_lookup(host, "incoming-kib", "t", &kib);
  return kib;
}

static void
test_daemon_makes_room(Fixture *f, gconstpointer conf_text)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *targets_dir = g_build_filename(f->dir, "targets", NULL);
  g_autoptr(CagmaTargets) targets = cagma_targets_open(targets_dir, &error);
  g_autoptr(CagmaConf) conf = cagma_conf_parse("[host]\nbudget=4GiB\nperiod=100ms\n", -1, &error);
  FakeBackend *fake = fake_new();
  CagmaManager *manager = cagma_manager_new(fake_backend(fake), targets, conf, FALSE);
  CagmaBus *bus = cagma_bus_open(f->dir, manager, &error);
  g_autoptr(KitRun) prepare = NULL;
  g_autoptr(KitRun) release = NULL;

  (void)conf_text;
  g_assert_no_error(error);
  cagma_manager_start(manager);
  fake_connect(fake);
  prepare = run(f, "prepare", GOOD, -1);
  g_assert_cmpint(prepare->status, ==, 0);
  g_assert_cmpstr(prepare->err, ==, "");
  KIT_WAIT(incoming(manager) == CAGMA_GIB(1));
  release = run(f, "release", GOOD, -1);
  g_assert_cmpstr(release->err, ==, "");
  KIT_WAIT(incoming(manager) == 0);

  cagma_bus_close(bus);
  fake_backend(fake)->close(fake_backend(fake));
  cagma_manager_free(manager);
  fake_free(fake);
}

/* Where the host's memory can't be had as it is, libvirt's start waits until it is free. */

static uint64_t available_kib;

static gboolean
host_memory(CagmaHostMemory *memory, GError **error)
{
  (void)error;
  *memory = (CagmaHostMemory){ .total_kib = CAGMA_GIB(4), .available_kib = available_kib };
  return TRUE;
}

static gboolean
free_some(gpointer user_data)
{
  (void)user_data;
  available_kib = CAGMA_GIB(1);
  return G_SOURCE_REMOVE;
}

#define XEN                                                                                                  \
  "<domain type='xen'><name>guest</name><uuid>" UUID                                                         \
  "</uuid><memory unit='MiB'>1024</memory><currentMemory unit='MiB'>512</currentMemory>"                     \
  "<os><type>linux</type></os></domain>"

static void
test_start_waits_for_its_memory(Fixture *f, gconstpointer conf_text)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *targets_dir = g_build_filename(f->dir, "targets", NULL);
  g_autoptr(CagmaTargets) targets = cagma_targets_open(targets_dir, &error);
  g_autoptr(CagmaConf) conf = cagma_conf_parse("[host]\nbudget=auto\nperiod=100ms\n", -1, &error);
  FakeBackend *fake = fake_new();
  CagmaManager *manager = cagma_manager_new(fake_backend(fake), targets, conf, FALSE);
  CagmaBus *bus = cagma_bus_open(f->dir, manager, &error);
  g_autoptr(KitRun) prepare = NULL;
  g_autoptr(KitRun) in_vain = NULL;

  (void)conf_text;
  g_assert_no_error(error);
  fake_host_memory(fake, host_memory);
  cagma_manager_start(manager);
  fake_connect(fake);
  available_kib = CAGMA_MIB(500);
  g_timeout_add(1500, free_some, NULL);
  prepare = run_long(f, "prepare", XEN, -1);
  g_assert_cmpint(prepare->status, ==, 0);
  g_assert_cmpstr(prepare->err, ==, "");
  g_assert_cmpint(prepare->took_us, >=, G_USEC_PER_SEC);
  /* 512 MiB, and 1 for a vCPU, 4 for the rest of its paging, 1 extra. */
  KIT_WAIT(incoming(manager) == CAGMA_MIB(518));

  /* Nobody has anything to give: it is tried nevertheless. */
  available_kib = 0;
  in_vain = run_long(f, "prepare", XEN, -1);
  g_assert_cmpint(in_vain->status, ==, 0);
  kit_assert_has(in_vain->err, "no room could be made for all of its memory");

  cagma_bus_close(bus);
  fake_backend(fake)->close(fake_backend(fake));
  cagma_manager_free(manager);
  fake_free(fake);
}

static void
test_usage(Fixture *f, gconstpointer conf_text)
{
  const char *const argv[] = { g_getenv("CAGMA_HOOK"), NULL };
  g_autoptr(KitRun) done = kit_run(argv, NULL, "", 0);

  (void)f;
  (void)conf_text;
  g_assert_cmpint(done->status, ==, 2);
  kit_assert_has(done->err, "usage");
  g_assert_cmpstr(done->out, ==, "");
}

static void
test_hostile_name(Fixture *f, gconstpointer conf_text)
{
  const char *const argv[] = { g_getenv("CAGMA_HOOK"), "e\033[2J\nvil", "prepare", "begin", "-", NULL };
  const char *const env[] = { f->run_dir_env, f->conf_env, NULL };
  g_autoptr(KitRun) done = kit_run(argv, env, BAD, -1);

  (void)conf_text;
  g_assert_cmpint(done->status, ==, 0);
  g_assert_null(strchr(done->err, '\033'));
  g_assert_cmpuint(strcspn(done->err, "\n"), ==, strlen(done->err) - 1);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add("/hook/valid", Fixture, NULL, set_up, test_valid, tear_down);
  g_test_add("/hook/without-element", Fixture, NULL, set_up, test_without_element, tear_down);
  g_test_add("/hook/invalid-is-told", Fixture, "[hook]\nstrict=no\n", set_up, test_invalid_is_told,
             tear_down);
  g_test_add("/hook/invalid-may-not-start", Fixture, "[hook]\nstrict=yes\n", set_up,
             test_invalid_may_not_start, tear_down);
  g_test_add("/hook/bad-conf-is-told", Fixture, "[hook]\nstrict=perhaps\n", set_up, test_bad_conf_is_told,
             tear_down);
  g_test_add("/hook/other-operations", Fixture, NULL, set_up, test_other_operations, tear_down);
  g_test_add("/hook/bad-input", Fixture, NULL, set_up, test_bad_input, tear_down);
  g_test_add("/hook/stdin-never-ends", Fixture, NULL, set_up, test_stdin_never_ends, tear_down);
  g_test_add("/hook/daemon-hangs", Fixture, NULL, set_up, test_daemon_hangs, tear_down);
  g_test_add("/hook/daemon-makes-room", Fixture, NULL, set_up, test_daemon_makes_room, tear_down);
  g_test_add("/hook/start-waits-for-its-memory", Fixture, NULL, set_up, test_start_waits_for_its_memory,
             tear_down);
  g_test_add("/hook/usage", Fixture, NULL, set_up, test_usage, tear_down);
  g_test_add("/hook/hostile-name", Fixture, NULL, set_up, test_hostile_name, tear_down);
  return g_test_run();
}
