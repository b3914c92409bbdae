/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/plugin/kit.h"

/* cagmactl simulate as an operator runs it. */

/* A guest that outgrows its start size, beside one that has plenty. */
#define SCENARIO                                                                                             \
  "{\"cagma-scenario\": 1, \"name\": \"two\", \"duration-s\": 60, \"seed\": 5,"                              \
  "\"host\": {\"memory-mib\": 2048, \"reserve-mib\": 128},"                                                  \
  "\"guests\": [{\"name\": \"w\", \"count\": 2, \"memory-mib\": 1500, \"start-mib\": 512,"                   \
  "\"parts\": [{\"kind\": \"anon\", \"phases\": [{\"mib\": 200, \"sweep-s\": 1},"                            \
  "{\"from-s\": 20, \"mib\": 700, \"sweep-s\": 2}]}]},"                                                      \
  "{\"name\": \"idle\", \"memory-mib\": 1024, \"start-mib\": 800}]}"

static KitRun *
simulate(const char *dir, const char *const *args)
{
  g_autofree char *path = kit_write(dir, "scenario.json", SCENARIO, -1);
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  const char *const env[] = { "LC_ALL=C.UTF-8", NULL };

  g_ptr_array_add(argv, (gpointer)g_getenv("CAGMACTL"));
  g_ptr_array_add(argv, (gpointer) "simulate");
  g_ptr_array_add(argv, path);
  for (size_t i = 0; args[i]; i++)
    g_ptr_array_add(argv, (gpointer)args[i]);
  g_ptr_array_add(argv, NULL);
  return kit_run((const char *const *)argv->pdata, env, "", 0);
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
assert_fine(const KitRun *run)
{
  if (run->status != 0)
    g_error("exit status %d: %s", run->status, run->err);
  /* No terminal: no progress. */
  g_assert_cmpstr(run->err, ==, "");
}

static void
test_table(void)
{
  static const char *const args[] = { "--policy", "none,cagma", "--policy=mom", NULL };
  char *dir = kit_tmpdir();
  g_autoptr(KitRun) run = simulate(dir, args);
  g_auto(GStrv) lines = NULL;

  assert_fine(run);
  g_assert_null(strchr(run->out, '\033'));
  lines = g_strsplit(run->out, "\n", -1);
  g_assert_cmpuint(g_strv_length(lines), ==, 7);
  g_assert_cmpstr(lines[0], ==, "two: 3 guests, 60 s, seed 5; host 2 GiB, reserve 128 MiB, surplus leave");
  g_assert_true(g_str_has_prefix(lines[1], "POLICY "));
  for (size_t i = 0; lines[i]; i++)
    g_assert_cmpint(g_utf8_strlen(lines[i], -1), <=, 120);
  g_assert_true(g_str_has_prefix(lines[3], "none "));
  g_assert_true(g_str_has_prefix(lines[4], "cagma "));
  g_assert_true(g_str_has_prefix(lines[5], "mom "));
  kit_remove(dir);
}

static void
test_guests(void)
{
  static const char *const args[] = { "--policy=none", "--guests", NULL };
  char *dir = kit_tmpdir();
  g_autoptr(KitRun) run = simulate(dir, args);
  g_auto(GStrv) lines = NULL;

  assert_fine(run);
  lines = g_strsplit(run->out, "\n", -1);
  g_assert_cmpuint(g_strv_length(lines), ==, 8);
  g_assert_true(g_str_has_prefix(lines[3], "none "));
  g_assert_true(g_str_has_prefix(lines[4], "  w"));
  g_assert_true(g_str_has_prefix(lines[5], "  w"));
  g_assert_true(g_str_has_prefix(lines[6], "  idle "));
  kit_remove(dir);
}

static double
number(JsonObject *object, const char *key)
{
  g_assert_true(json_object_has_member(object, key));
  return json_object_get_double_member(object, key);
}

static JsonObject *
policy_of(JsonNode *root, guint i)
{
  JsonArray *policies = json_object_get_array_member(json_node_get_object(root), "policies");

  return json_array_get_object_element(policies, i);
}

static void
test_json(void)
{
  static const char *const args[] = { "--policy=none,cagma,oracle", "--json", NULL };
  static const char *const summed[] = { "stall-s",         "short-mib-s", "swapped-in-mib", "swapped-out-mib",
                                        "refaulted-mib",   "moved-mib",   "allocated-mib",  "needed-mib",
                                        "maximum-mib",     "calls",       "reversals",      "oom-kills",
                                        "floor-violations" };
  char *dir = kit_tmpdir();
  g_autoptr(KitRun) run = simulate(dir, args);
  g_autoptr(JsonNode) root = NULL;
  JsonObject *scenario;

  assert_fine(run);
  root = json_of(run);
  scenario = json_object_get_object_member(json_node_get_object(root), "scenario");
  g_assert_cmpstr(json_object_get_string_member(scenario, "name"), ==, "two");
  g_assert_cmpint(json_object_get_int_member(scenario, "guests"), ==, 3);
  g_assert_cmpint(json_object_get_int_member(scenario, "seed"), ==, 5);
  g_assert_cmpfloat(number(scenario, "duration-s"), ==, 60);
  g_assert_cmpfloat(number(scenario, "memory-mib"), ==, 2048);
  g_assert_cmpfloat(number(scenario, "reserve-mib"), ==, 128);
  g_assert_cmpstr(json_object_get_string_member(scenario, "surplus"), ==, "leave");

  for (guint i = 0; i < 3; i++) {
    JsonObject *policy = policy_of(root, i);
    JsonArray *guests = json_object_get_array_member(policy, "guests");
    double maximum = number(policy, "maximum-mib");

    g_assert_cmpuint(json_array_get_length(guests), ==, 3);
    for (size_t k = 0; k < G_N_ELEMENTS(summed); k++) {
      double sum = 0;

      for (guint g = 0; g < 3; g++)
        sum += number(json_array_get_object_element(guests, g), summed[k]);
      g_assert_cmpfloat_with_epsilon(sum, number(policy, summed[k]), 1e-6 * (1 + sum));
    }
    g_assert_cmpfloat_with_epsilon(maximum, 1500 + 1500 + 1024, 1);
    g_assert_cmpfloat_with_epsilon(number(policy, "saved-permille"),
                                   1000 * (1 - number(policy, "allocated-mib") / maximum), 1e-6);
    g_assert_cmpfloat(number(policy, "fairness"), >, 0);
    g_assert_cmpfloat(number(policy, "fairness"), <=, 1);
  }
  /* Who does nothing leaves a guest of 512 MiB short of 200. */
  g_assert_cmpstr(json_object_get_string_member(policy_of(root, 0), "policy"), ==, "none");
  g_assert_cmpfloat(number(policy_of(root, 0), "short-mib-s"), >, 2 * 40 * 188);
  g_assert_cmpfloat(number(policy_of(root, 0), "moved-mib"), ==, 0);
  g_assert_cmpfloat(number(policy_of(root, 0), "swapped-out-mib"), >, 0);
  g_assert_cmpfloat(number(policy_of(root, 1), "moved-mib"), >, 0);
  g_assert_cmpfloat(number(policy_of(root, 1), "decisions"), >, 0);
  g_assert_cmpfloat(number(policy_of(root, 1), "stall-s"), <, number(policy_of(root, 0), "stall-s"));
  g_assert_cmpstr(json_object_get_string_member(policy_of(root, 2), "policy"), ==, "oracle");
  kit_remove(dir);
}

static void
test_overrides(void)
{
  static const char *const args[] = { "--policy=cagma", "--json", "--seed=4294967295", "--surplus=reclaim",
                                      NULL };
  char *dir = kit_tmpdir();
  g_autoptr(KitRun) run = simulate(dir, args);
  g_autoptr(JsonNode) root = NULL;
  JsonObject *scenario;

  assert_fine(run);
  root = json_of(run);
  scenario = json_object_get_object_member(json_node_get_object(root), "scenario");
  g_assert_cmpint(json_object_get_int_member(scenario, "seed"), ==, G_MAXUINT32);
  g_assert_cmpstr(json_object_get_string_member(scenario, "surplus"), ==, "reclaim");
  /* The idle one's memory went back to the host. */
  g_assert_cmpfloat(number(policy_of(root, 0), "moved-mib"), >, 100);
  kit_remove(dir);
}

/* Without its rules ours is another policy, and nobody else is. */
static void
test_without(void)
{
  static const char *const args[] = { "--policy=cagma,mom", "--json", NULL };
  static const char *const without_args[] = { "--policy=cagma,mom", "--json",
                                              "--without=swap-back,pushed-out,foreseen,emergency",
                                              "--without=cache-back", NULL };
  char *dir = kit_tmpdir();
  g_autoptr(KitRun) with = simulate(dir, args);
  g_autoptr(KitRun) without = simulate(dir, without_args);
  g_autoptr(JsonNode) of_with = NULL;
  g_autoptr(JsonNode) of_without = NULL;

  assert_fine(with);
  assert_fine(without);
  of_with = json_of(with);
  of_without = json_of(without);
  kit_assert_has(with->out, "\"without\" : \"\"");
  kit_assert_has(without->out, "\"without\" : \"foreseen, swap-back, pushed-out, cache-back, emergency\"");
  g_assert_cmpfloat(number(policy_of(of_without, 0), "short-mib-s"), >,
                    number(policy_of(of_with, 0), "short-mib-s"));
  g_assert_cmpfloat(number(policy_of(of_without, 1), "short-mib-s"), ==,
                    number(policy_of(of_with, 1), "short-mib-s"));
  kit_remove(dir);
}

static void
test_plot(void)
{
  static const struct {
    const char *args[3];
    const char *drawn;
  } cases[] = {
    { { "--policy=mom,cagma" }, "mom" },
    { { "--policy=mom,none", "--plot-policy=none" }, "none" },
    { { "--policy=cagma", "--json" }, "cagma" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    char *dir = kit_tmpdir();
    g_autofree char *path = g_build_filename(dir, "plot.svg", NULL);
    const char *const args[] = { "--plot", path, cases[i].args[0], cases[i].args[1], NULL };
    g_autofree char *title = g_strdup_printf("<tspan dx=\"7\">%s</tspan>", cases[i].drawn);
    g_autoptr(KitRun) run = simulate(dir, args);
    g_autofree char *svg = NULL;
    xmlDocPtr document;

    assert_fine(run);
    g_assert_true(g_file_get_contents(path, &svg, NULL, NULL));
    kit_assert_has(svg, title);
    kit_assert_has(svg, ">idle<");
    document = xmlReadMemory(svg, (int)strlen(svg), path, NULL, XML_PARSE_NONET);
    g_assert_nonnull(document);
    xmlFreeDoc(document);
    kit_remove(dir);
  }
}

/* On a terminal it is said how far it is, on a line that is wiped. */
static void
test_progress(void)
{
  static const char ending[] = "\r\033[K";
  char *dir = kit_tmpdir();
  g_autofree char *path = kit_write(dir, "scenario.json", SCENARIO, -1);
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE);
  g_autoptr(GSubprocess) process = NULL;
  g_autoptr(GError) error = NULL;
  int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  char said[4096] = "";
  ssize_t length;

  g_assert_cmpint(terminal, >=, 0);
  g_assert_cmpint(grantpt(terminal) | unlockpt(terminal), ==, 0);
  g_subprocess_launcher_take_stderr_fd(launcher, open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC));
  process = g_subprocess_launcher_spawn(launcher, &error, g_getenv("CAGMACTL"), "simulate", path,
                                        "--policy=none", NULL);
  g_assert_no_error(error);
  g_subprocess_launcher_close(launcher);
  g_assert_true(g_subprocess_wait_check(process, NULL, &error));
  g_assert_no_error(error);
  length = read(terminal, said, sizeof(said) - 1);
  g_assert_cmpint(length, >, 0);
  said[length] = '\0';
  kit_assert_has(said, "\r\033[Kpolicy none: 0 %");
  kit_assert_has(said, "policy none: 50 %");
  g_assert_true(g_str_has_suffix(said, ending));
  close(terminal);
  kit_remove(dir);
}

static void
test_errors(void)
{
  static const struct {
    const char *args[4];
    int status;
    const char *says;
  } cases[] = {
    { { "another.json" }, 2, "takes one scenario" },
    { { "--policy=cagmo" }, 2, "no policy is named 'cagmo'; there are none, " },
    { { "--policy=" }, 2, "no policy is named ''" },
    { { "--plot=/nonexistent/plot.svg", "--plot-policy=mom", "--policy=cagma" }, 2, "mom isn't among" },
    { { "--plot-policy=mom" }, 2, "--plot-policy goes with --plot" },
    { { "--all" }, 2, "--explain, --at, --scenario and --all go with replay" },
    { { "--scenario=/nonexistent/out.json" }, 2, "--scenario and --all go with replay" },
    { { "--surplus=keep" }, 2, "--surplus takes leave or reclaim" },
    { { "--without=luck" }, 2, "--without: no rule is named 'luck'; there are " },
    { { "--seed=4294967296" }, 2, "--seed takes" },
    { { "--seed=-2" }, 2, "--seed takes" },
    { { "--plot=/nonexistent/plot.svg" }, 1, "/nonexistent/plot.svg: No such file" },
    { { "--plot=/dev/full", "--policy=none" }, 1, "/dev/full: No space left" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    char *dir = kit_tmpdir();
    g_autoptr(KitRun) run = simulate(dir, cases[i].args);

    if (run->status != cases[i].status)
      g_error("case %zu: exit status %d, %s%s", i, run->status, run->out, run->err);
    kit_assert_has(run->err, cases[i].says);
    kit_remove(dir);
  }
}

/* Whatever its name there. */
static void
test_scenario_is_not_drawn_over(void)
{
  char *dir = kit_tmpdir();
  g_autofree char *path = g_build_filename(dir, "scenario.json", NULL);
  g_autofree char *link = g_build_filename(dir, "link", NULL);
  g_autofree char *plot = g_strconcat("--plot=", link, NULL);
  const char *const args[] = { "--policy=none", plot, NULL };
  g_autoptr(KitRun) run = NULL;
  g_autofree char *text = NULL;

  g_assert_cmpint(symlink(path, link), ==, 0);
  run = simulate(dir, args);
  g_assert_cmpint(run->status, ==, 1);
  kit_assert_has(run->err, "link: is what is read");
  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  g_assert_cmpstr(text, ==, SCENARIO);
  kit_remove(dir);
}

/* At once, rather than after an hour. */
static void
test_too_much_for_the_oracle(void)
{
  char *dir = kit_tmpdir();
  g_autofree char *path =
      kit_write(dir, "large.json",
                "{\"cagma-scenario\": 1, \"name\": \"large\", \"duration-s\": 86400,"
                "\"host\": {\"memory-mib\": 1048576}, \"guests\": [{\"name\": \"w\", \"count\": 1000,"
                "\"memory-mib\": 1024}]}",
                -1);
  const char *const argv[] = { g_getenv("CAGMACTL"), "simulate", path, "--policy=oracle", NULL };
  g_autoptr(KitRun) run = kit_run(argv, NULL, "", 0);

  g_assert_cmpint(run->status, ==, 1);
  kit_assert_has(run->err, "oracle: 1000 guests for 86400 s are more than it can look at");
  kit_remove(dir);
}

static KitRun *
simulate_file(const char *path)
{
  const char *const argv[] = { g_getenv("CAGMACTL"), "simulate", path, "--policy=none", NULL };

  return kit_run(argv, NULL, "", 0);
}

/* The reader's own words, with the file's name. */
static void
test_scenario_errors(void)
{
  static const struct {
    const char *text;
    const char *says;
  } cases[] = {
    { "{", "file" },
    { "{\"cagma-scenario\": 1, \"name\": \"x\", \"gests\": []}", "gests" },
    { "{\"cagma-scenario\": 1, \"name\": \"x\", \"guests\": [{\"name\": \"\\u001b[2J\", \"bad\": 1}]}",
      "$.guests[0]" },
  };
  char *dir = kit_tmpdir();
  g_autoptr(KitRun) missing = simulate_file("/nonexistent/scenario.json");

  g_assert_cmpint(missing->status, ==, 1);
  kit_assert_has(missing->err, "/nonexistent/scenario.json: ");
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = kit_write(dir, "file", cases[i].text, -1);
    g_autoptr(KitRun) run = simulate_file(path);

    g_assert_cmpint(run->status, ==, 1);
    g_assert_cmpstr(run->out, ==, "");
    kit_assert_has(run->err, path);
    kit_assert_has(run->err, cases[i].says);
    g_assert_null(strchr(run->err, '\033'));
  }
  kit_remove(dir);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/simulate/table", test_table);
  g_test_add_func("/simulate/guests", test_guests);
  g_test_add_func("/simulate/json", test_json);
  g_test_add_func("/simulate/overrides", test_overrides);
  g_test_add_func("/simulate/without", test_without);
  g_test_add_func("/simulate/plot", test_plot);
  g_test_add_func("/simulate/progress", test_progress);
  g_test_add_func("/simulate/errors", test_errors);
  g_test_add_func("/simulate/scenario-errors", test_scenario_errors);
  g_test_add_func("/simulate/scenario-is-not-drawn-over", test_scenario_is_not_drawn_over);
  g_test_add_func("/simulate/too-much-for-the-oracle", test_too_much_for_the_oracle);
  return g_test_run();
}
