/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-glib/json-glib.h>
#include <string.h>

#include "plugin/bus.h"
#include "plugin/manager.h"
#include "policy/units.h"
#include "tests/plugin/fake-backend.h"
#include "tests/plugin/kit.h"

/* cagmactl as an operator runs it. */

#define MEMORY "<memory><guarantee unit='MiB'>512</guarantee></memory>"
#define DOMAIN(shares)                                                                                       \
  "<?xml version='1.0'?>\n<!-- a <comment> -->\n<domain type='kvm'><name>g</name><memory>1048576</memory>"   \
  "<metadata><cagma:memory xmlns:cagma='urn:cagma:memory:1'><cagma:shares>" shares                           \
  "</cagma:shares></cagma:memory></metadata></domain>"

#define SCENARIO(memory)                                                                                     \
  "{\"cagma-scenario\": 1, \"name\": \"s\", \"guests\": [{\"name\": \"g\", \"memory-mib\": " memory "}]}"

static KitRun *
ctl(const char *run_dir, const char *a, const char *b, const char *c)
{
  const char *const argv[] = { g_getenv("CAGMACTL"), a, b, c, NULL };
  g_autofree char *run_dir_env = g_strconcat("CAGMA_RUN_DIR=", run_dir, NULL);
  const char *const env[] = { run_dir_env, "LC_ALL=C.UTF-8", NULL };

  return kit_run(argv, env, "", 0);
}

static JsonNode *
json_of(const KitRun *run)
{
  g_autoptr(GError) error = NULL;
  JsonNode *node = json_from_string(run->out, &error);

  g_assert_no_error(error);
  g_assert_nonnull(node);
  return node;
}

static void
test_check(void)
{
  static const struct {
    const char *text;
    int status;
    const char *says[2];
  } cases[] = {
    { MEMORY, 0, { "valid (configuration)" } },
    { "\xef\xbb\xbf\n" MEMORY, 0, { "valid (configuration)" } },
    { "<memory><guarantee unit='MiB'>x</guarantee></memory>", 1, { "guarantee", "'x'" } },
    { DOMAIN("7"), 0, { "valid (domain with a cagma configuration)" } },
    { DOMAIN("seven"), 1, { "domain", "seven" } },
    { "<domain type='kvm'><name>g</name><memory>5</memory></domain>",
      0,
      { "without a cagma configuration" } },
    { "<status state='steady'/>", 0, { "valid (status)" } },
    { "<status state='happy'/>", 1, { "status", "happy" } },
    { "[host]\nperiod=5s\n", 0, { "valid (cagmad.conf)" } },
    { "[host]\nperiod=5h\n", 1, { "cagmad.conf", "period='5h'" } },
    { "", 0, { "valid (cagmad.conf)" } },
    { "<", 1, { "configuration" } },
    { "<!-- never ends", 1, { "configuration" } },
    { "<!DOCTYPE memory [<!ENTITY a 'b'>]><memory/>", 1, { "DOCTYPE" } },
    { "<other/>", 1, { "other" } },
    { "[host]\nperiod=\033[2J\n", 1, { "period=" } },
    { " \n" SCENARIO("256"), 0, { "valid (scenario)" } },
    { SCENARIO("true"), 1, { "scenario", "$.guests[0].memory-mib: isn't a number" } },
    { SCENARIO("256") "x", 1, { "scenario", "line 1, column 81: something behind the end" } },
    { "\xef\xbb\xbf{}", 1, { "scenario", "line 1, column 1: not JSON" } },
    { "{\"\033[2J\": 1}", 1, { "scenario", "line 1, column 3: a control character" } },
    { "[]", 1, { "cagmad.conf" } },
    { "\xff\xfe", 1, { "cagmad.conf" } },
  };
  char *dir = kit_tmpdir();

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = kit_write(dir, "file", cases[i].text, -1);
    g_autoptr(KitRun) run = ctl(dir, "check", path, NULL);
    const char *told = cases[i].status ? run->err : run->out;

    if (run->status != cases[i].status)
      g_error("case %zu: exit status %d, %s%s", i, run->status, run->out, run->err);
    kit_assert_has(told, path);
    for (size_t k = 0; k < G_N_ELEMENTS(cases[i].says) && cases[i].says[k]; k++)
      kit_assert_has(told, cases[i].says[k]);
    g_assert_cmpstr(cases[i].status ? run->out : run->err, ==, "");
    g_assert_null(strchr(told, '\033'));
  }
  kit_remove(dir);
}

static void
test_check_what_is_no_text(void)
{
  char *dir = kit_tmpdir();
  g_autofree char *huge_text = g_strnfill(4 * 1024 * 1024 + 1, 'x');
  g_autofree char *huge = kit_write(dir, "huge", huge_text, -1);
  g_autofree char *binary = kit_write(dir, "binary", "a\0b", 3);
  g_autofree char *missing = g_build_filename(dir, "missing", NULL);
  g_autoptr(KitRun) of_huge = ctl(dir, "check", huge, NULL);
  g_autoptr(KitRun) of_binary = ctl(dir, "check", binary, NULL);
  g_autoptr(KitRun) of_missing = ctl(dir, "check", missing, NULL);
  g_autoptr(KitRun) of_dir = ctl(dir, "check", dir, NULL);
  g_autoptr(KitRun) of_endless = ctl(dir, "check", "/dev/zero", NULL);
  g_autoptr(KitRun) simulated = ctl(dir, "simulate", "/dev/zero", NULL);

  g_assert_cmpint(of_huge->status, ==, 1);
  kit_assert_has(of_huge->err, "larger than");
  g_assert_cmpint(of_binary->status, ==, 1);
  kit_assert_has(of_binary->err, "NUL");
  g_assert_cmpint(of_missing->status, ==, 1);
  kit_assert_has(of_missing->err, "No such file");
  g_assert_cmpint(of_dir->status, ==, 1);
  g_assert_cmpint(of_endless->status, ==, 1);
  kit_assert_has(of_endless->err, "larger than");
  g_assert_cmpint(simulated->status, ==, 1);
  kit_assert_has(simulated->err, "larger than");
  kit_remove(dir);
}

static void
test_check_json(void)
{
  char *dir = kit_tmpdir();
  g_autofree char *good = kit_write(dir, "good", MEMORY, -1);
  g_autofree char *bad = kit_write(dir, "b\xff.d", "[host]\n\xff=1\n", -1);
  const char *const argv[] = { g_getenv("CAGMACTL"), "check", "--json", good, bad, NULL };
  const char *const env[] = { "LC_ALL=C.UTF-8", NULL };
  g_autoptr(KitRun) run = kit_run(argv, env, "", 0);
  g_autoptr(JsonNode) node = json_of(run);
  JsonArray *files = json_node_get_array(node);
  JsonObject *first, *second;

  g_assert_cmpint(run->status, ==, 1);
  g_assert_cmpstr(run->err, ==, "");
  g_assert_cmpuint(json_array_get_length(files), ==, 2);
  first = json_array_get_object_element(files, 0);
  second = json_array_get_object_element(files, 1);
  g_assert_true(json_object_get_boolean_member(first, "valid"));
  g_assert_cmpstr(json_object_get_string_member(first, "file"), ==, good);
  g_assert_false(json_object_has_member(first, "error"));
  g_assert_false(json_object_get_boolean_member(second, "valid"));
  g_assert_cmpstr(json_object_get_string_member(second, "kind"), ==, "cagmad.conf");
  g_assert_true(g_utf8_validate(run->out, -1, NULL));
  kit_remove(dir);
}

static void
test_usage(void)
{
  static const struct {
    const char *argv[3];
    const char *says;
  } cases[] = {
    { { NULL }, "Usage" },
    { { "fly" }, "no such command: fly" },
    { { "check" }, "check takes" },
    { { "status", "a", "b" }, "one domain at most" },
    { { "explain" }, "explain takes one" },
    { { "explain", "a", "b" }, "explain takes one" },
    { { "top", "a" }, "top takes no" },
    { { "--bogus" }, "--bogus" },
    { { "top", "--interval=0" }, "--interval" },
    { { "top", "--interval=99999" }, "--interval" },
    { { "top", "--count=-1" }, "--count" },
    { { "top", "--count=x" }, "x" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const char *const *a = cases[i].argv;
    g_autoptr(KitRun) run = ctl("/nonexistent", a[0], a[0] ? a[1] : NULL, a[0] && a[1] ? a[2] : NULL);

    if (run->status != 2)
      g_error("case %zu: exit status %d, %s", i, run->status, run->err);
    kit_assert_has(run->err, cases[i].says);
    g_assert_cmpstr(run->out, ==, "");
  }
}

static void
test_help_and_version(void)
{
  g_autoptr(KitRun) help = ctl("/nonexistent", "--help", NULL, NULL);
  g_autoptr(KitRun) version = ctl("/nonexistent", "--version", NULL, NULL);

  g_assert_cmpint(help->status, ==, 0);
  kit_assert_has(help->out, "explain DOMAIN");
  g_assert_cmpint(version->status, ==, 0);
  kit_assert_has(version->out, "cagmactl ");
}

static void
test_no_daemon(void)
{
  static const char *const commands[][2] = { { "status" }, { "status", "x" }, { "explain", "x" }, { "top" } };
  char *dir = kit_tmpdir();

  for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
    g_autoptr(KitRun) run = ctl(dir, commands[i][0], commands[i][1], NULL);

    g_assert_cmpint(run->status, ==, 3);
    kit_assert_has(run->err, "cagmad isn't running");
    kit_assert_has(run->err, dir);
    g_assert_cmpstr(run->out, ==, "");
  }
  kit_remove(dir);
}

typedef struct {
  char *dir;
  FakeBackend *fake;
  FakeGuest *guest;
  CagmaTargets *targets;
  CagmaConf *conf;
  CagmaManager *manager;
  CagmaBus *bus;
} Fixture;

static void
set_up(Fixture *f, gconstpointer unused)
{
  g_autofree char *targets_dir = NULL;
  g_autoptr(GError) error = NULL;

  (void)unused;
  f->dir = kit_tmpdir();
  targets_dir = g_build_filename(f->dir, "targets", NULL);
  f->targets = cagma_targets_open(targets_dir, &error);
  f->conf = cagma_conf_parse("[host]\nbudget=4GiB\nperiod=100ms\nuri=fake:///\n", -1, &error);
  f->fake = fake_new();
  f->manager = cagma_manager_new(fake_backend(f->fake), f->targets, f->conf, FALSE);
  f->bus = cagma_bus_open(f->dir, f->manager, &error);
  g_assert_no_error(error);
  f->guest = fake_add(f->fake, "zeta", 1024, 1024, 300, "<cagma:memory xmlns:cagma='urn:cagma:memory:1'/>");
  fake_add(f->fake, "alpha", 1024, 1024, 300, NULL);
  cagma_manager_start(f->manager);
  fake_connect(f->fake);
  fake_start(f->fake, f->guest);
  KIT_WAIT(f->guest->n_asked[CAGMA_REQUEST_SAMPLE] > 5);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  cagma_bus_close(f->bus);
  fake_backend(f->fake)->close(fake_backend(f->fake));
  cagma_manager_free(f->manager);
  fake_free(f->fake);
  cagma_targets_close(f->targets);
  cagma_conf_free(f->conf);
  kit_remove(f->dir);
}

static void
test_status(Fixture *f, gconstpointer unused)
{
  g_autoptr(KitRun) all = ctl(f->dir, "status", NULL, NULL);
  g_autoptr(KitRun) one = ctl(f->dir, "status", "zeta", NULL);
  g_autoptr(KitRun) by_uuid = ctl(f->dir, "status", f->guest->uuid, NULL);
  g_autoptr(KitRun) none = ctl(f->dir, "status", "nobody", NULL);

  (void)unused;
  g_assert_cmpint(all->status, ==, 0);
  kit_assert_has(all->out, "fake:///");
  kit_assert_has(all->out, "zeta");
  kit_assert_has(all->out, "1 GiB");
  g_assert_cmpint(one->status, ==, 0);
  kit_assert_has(one->out, "used         300 MiB");
  g_assert_cmpstr(one->out, ==, by_uuid->out);
  g_assert_cmpint(none->status, ==, 1);
  kit_assert_has(none->err, "no domain 'nobody' runs");
}

static void
test_status_json(Fixture *f, gconstpointer unused)
{
  g_autoptr(KitRun) all = ctl(f->dir, "status", "--json", NULL);
  g_autoptr(KitRun) one = ctl(f->dir, "status", "--json", "zeta");
  g_autoptr(JsonNode) of_all = json_of(all);
  g_autoptr(JsonNode) of_one = json_of(one);
  JsonObject *host = json_object_get_object_member(json_node_get_object(of_all), "host");
  JsonArray *domains = json_object_get_array_member(json_node_get_object(of_all), "domains");

  (void)unused;
  g_assert_cmpstr(json_object_get_string_member(host, "uri"), ==, "fake:///");
  g_assert_cmpuint(json_array_get_length(domains), ==, 1);
  g_assert_cmpstr(json_object_get_string_member(json_node_get_object(of_one), "name"), ==, "zeta");
  g_assert_cmpint(json_object_get_int_member(json_node_get_object(of_one), "used-kib"), ==, CAGMA_MIB(300));
}

static void
test_explain(Fixture *f, gconstpointer unused)
{
  g_autoptr(KitRun) text = ctl(f->dir, "explain", "zeta", NULL);
  g_autoptr(KitRun) json = ctl(f->dir, "explain", "--json", "zeta");
  g_autoptr(KitRun) none = ctl(f->dir, "explain", "nobody", NULL);
  g_autoptr(JsonNode) node = json_of(json);

  (void)unused;
  g_assert_cmpint(text->status, ==, 0);
  kit_assert_has(text->out, "300 MiB");
  kit_assert_has(json_object_get_string_member(json_node_get_object(node), "explanation"), "300 MiB");
  g_assert_cmpint(none->status, ==, 1);
  kit_assert_has(none->err, "no domain 'nobody' runs");
}

static void
test_top(Fixture *f, gconstpointer unused)
{
  g_autoptr(KitRun) run = ctl(f->dir, "top", "--count=2", "--interval=0.1");
  const char *first = strstr(run->out, "HISTORY");

  (void)unused;
  g_assert_cmpint(run->status, ==, 0);
  g_assert_nonnull(first);
  kit_assert_has(first + 1, "HISTORY");
  /* No terminal: no control sequences. */
  g_assert_null(strchr(run->out, '\033'));
}

/* enable and disable, on libvirt's test driver: a definition of the test's own, read
 * anew each time. It has no hot-plug and no statistics, which the live tests have. */

#define TEST_DOMAIN(more)                                                                                    \
  "<node><domain type='test'><name>g</name><uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>"                \
  "<memory unit='MiB'>1024</memory><os><type>hvm</type></os>" more "</domain></node>"

static KitRun *
ctl_on(const char *node, const char *const *args)
{
  char *dir = kit_tmpdir();
  g_autofree char *path = kit_write(dir, "node.xml", node, -1);
  g_autofree char *uri = g_strconcat("test://", path, NULL);
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  const char *const env[] = { "LC_ALL=C.UTF-8", NULL };
  KitRun *run;

  g_ptr_array_add(argv, (gpointer)g_getenv("CAGMACTL"));
  g_ptr_array_add(argv, (gpointer) "--connect");
  g_ptr_array_add(argv, uri);
  for (size_t i = 0; args[i]; i++)
    g_ptr_array_add(argv, (gpointer)args[i]);
  g_ptr_array_add(argv, NULL);
  run = kit_run((const char *const *)argv->pdata, env, "", 0);
  kit_remove(dir);
  return run;
}

#define BALLOON "<devices><memballoon model='virtio'/></devices>"
#define CONFIGURED                                                                                           \
  "<metadata><cagma:memory xmlns:cagma='urn:cagma:memory:1' "                                                \
  "mode='observe'><cagma:shares>7</cagma:shares></cagma:memory>"                                             \
  "</metadata>" BALLOON
#define EQUIPPED                                                                                             \
  "<devices><channel type='unix'><source mode='bind'/><target type='virtio' name='org.cagma.guest.0'/>"      \
  "</channel><memballoon model='virtio'><stats period='3'/></memballoon></devices>"

/* Nothing but what would be. */
static void
assert_dry(const char *out)
{
  g_auto(GStrv) lines = g_strsplit(out, "\n", -1);

  for (guint i = 0; lines[i]; i++)
    if (*lines[i] && !g_str_has_prefix(lines[i], "would change ") && !g_str_has_prefix(lines[i], "note: ") &&
        !strstr(lines[i], " already"))
      g_error("does something: %s", lines[i]);
}

static void
test_enable(void)
{
  static const struct {
    const char *more;    /* of the domain's XML */
    const char *args[7]; /* after enable */
    int status;
    const char *says[4];
    const char * not ;
  } cases[] = {
    { BALLOON,
      { "g", "--dry-run", "--guarantee", "256MiB", "--shares", "500" },
      0,
      { "would change running domain: metadata", ">256</guarantee>", "shares",
        "add the channel org.cagma.guest.0" },
      NULL },
    { BALLOON,
      { "g", "--dry-run" },
      0,
      { "would change definition: collect balloon statistics", "autodeflate", "freePageReporting" },
      "guarantee" },
    { BALLOON, { "6695eb01-f6a4-8304-79aa-97f2502e193f", "--dry-run" }, 0, { "would change" }, NULL },
    { EQUIPPED,
      { "g", "--dry-run" },
      0,
      { "has the channel org.cagma.guest.0 already", "collects balloon statistics already" },
      "add the channel" },
    { CONFIGURED, { "g", "--dry-run" }, 0, { "has a configuration already, which is kept" }, "metadata <" },
    { CONFIGURED,
      { "g", "--dry-run", "--limit", "512MiB" },
      0,
      { "would change", ">512</limit>", "<shares>7</shares>", "mode='observe'" },
      "is kept" },
    { BALLOON, { "h", "--dry-run" }, 1, { "domain h: no such domain" }, NULL },
    { BALLOON,
      { "00000000-f6a4-8304-79aa-97f2502e193f", "--dry-run" },
      1,
      { "no such domain", "virsh list --all" },
      NULL },
    { "<devices><memballoon model='none'/></devices>",
      { "g", "--dry-run" },
      1,
      { "no balloon device" },
      NULL },
    { BALLOON, { "g", "--guarantee", "2GiB" }, 1, { "domain g", "guarantee" }, NULL },
    { BALLOON, { "g", "--guarantee", "512MiB", "--limit", "256MiB" }, 1, { "guarantee" }, NULL },
    { BALLOON, { "g", "--guarantee", "much" }, 2, { "--guarantee", "much" }, NULL },
    { BALLOON, { "g", "--guarantee", "-1" }, 2, { "--guarantee" }, NULL },
    { BALLOON, { "g", "--limit", "1.5.2GiB" }, 2, { "--limit" }, NULL },
    { BALLOON, { "g", "--shares", "99999999" }, 2, { "--shares" }, NULL },
    { BALLOON, { "g", "--shares", "-1" }, 2, { "--shares" }, NULL },
    { BALLOON, { NULL }, 2, { "takes one domain" }, NULL },
    { BALLOON, { "g", "g" }, 2, { "takes one domain" }, NULL },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *node = g_strdup_printf(TEST_DOMAIN("%s"), cases[i].more);
    const char *args[G_N_ELEMENTS(cases[i].args) + 2] = { "enable" };
    g_autoptr(KitRun) run = NULL;
    g_autofree char *told = NULL;

    for (size_t k = 0; k < G_N_ELEMENTS(cases[i].args) && cases[i].args[k]; k++)
      args[k + 1] = cases[i].args[k];
    run = ctl_on(node, args);
    told = g_strconcat(run->out, run->err, NULL);
    if (run->status != cases[i].status || (cases[i].not &&strstr(told, cases[i].not )))
      g_error("case %zu: exit status %d, %s", i, run->status, told);
    for (size_t k = 0; k < G_N_ELEMENTS(cases[i].says) && cases[i].says[k]; k++)
      kit_assert_has(told, cases[i].says[k]);
    if (run->status)
      g_assert_cmpstr(run->out, ==, "");
    else
      assert_dry(run->out);
  }
}

static void
test_disable(void)
{
  static const char *const dry[] = { "disable", "g", "--dry-run", NULL }, *const wet[] = { "disable", "g",
                                                                                           NULL };
  g_autoptr(KitRun) would = ctl_on(TEST_DOMAIN(CONFIGURED), dry);
  g_autoptr(KitRun) does = ctl_on(TEST_DOMAIN(CONFIGURED), wet);
  g_autoptr(KitRun) nothing = ctl_on(TEST_DOMAIN(EQUIPPED), wet);

  g_assert_cmpint(would->status, ==, 0);
  kit_assert_has(would->out, "would change running domain: remove the metadata");
  kit_assert_has(would->out, "would change definition: remove the metadata");
  g_assert_cmpint(does->status, ==, 0);
  g_assert_cmpstr(does->out, ==, "running domain: remove the metadata\ndefinition: remove the metadata\n");
  g_assert_cmpstr(does->err, ==, "");
  /* What enable didn't bring isn't taken away. */
  g_assert_cmpint(nothing->status, ==, 0);
  g_assert_cmpstr(nothing->out, ==, "");
}

static void
test_enable_without_libvirt(void)
{
  const char *const argv[] = { g_getenv("CAGMACTL"),      "enable", "g", "--connect",
                               "test:///nonexistent.xml", NULL };
  g_autoptr(KitRun) run = kit_run(argv, NULL, "", 0);

  g_assert_cmpint(run->status, ==, 1);
  kit_assert_has(run->err, "nonexistent.xml");
  g_assert_cmpstr(run->out, ==, "");
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/ctl/check", test_check);
  g_test_add_func("/ctl/check-what-is-no-text", test_check_what_is_no_text);
  g_test_add_func("/ctl/check-json", test_check_json);
  g_test_add_func("/ctl/usage", test_usage);
  g_test_add_func("/ctl/enable", test_enable);
  g_test_add_func("/ctl/enable-without-libvirt", test_enable_without_libvirt);
  g_test_add_func("/ctl/disable", test_disable);
  g_test_add_func("/ctl/help-and-version", test_help_and_version);
  g_test_add_func("/ctl/no-daemon", test_no_daemon);
  g_test_add("/ctl/status", Fixture, NULL, set_up, test_status, tear_down);
  g_test_add("/ctl/status-json", Fixture, NULL, set_up, test_status_json, tear_down);
  g_test_add("/ctl/explain", Fixture, NULL, set_up, test_explain, tear_down);
  g_test_add("/ctl/top", Fixture, NULL, set_up, test_top, tear_down);
  return g_test_run();
}
