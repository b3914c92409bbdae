/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>

#include "tests/xml/assert.h"
#include "xml/memory.h"
#include "xml/status.h"

/* The RELAX NG schemas and the parser are two descriptions of the same documents:
 * each file here is judged by both. xmllint is run for the schemas. */

/* What is wrong with each file in bad/, in the parser's words. */
static const struct {
  const char *file;
  const char *says;
  gboolean beyond_schema; /* RELAX NG can't express it: only the parser refuses */
} bad_files[] = {
  { "memory-attribute-namespaced", "unknown attribute 'mode' of element 'memory'", FALSE },
  { "memory-attribute-unknown", "unknown attribute 'modus' of element 'memory' (allowed: mode, estimator)",
    FALSE },
  { "memory-critical-text", "element 'critical' has text '1.1' where none is allowed", FALSE },
  { "memory-doctype", "a DOCTYPE is not allowed", TRUE },
  { "memory-element-in-size", "unknown element 'b' in 'limit' (allowed: none)", FALSE },
  { "memory-element-twice", "element 'shares' is given twice (line 3)", FALSE },
  { "memory-element-unknown",
    "unknown element 'ballon' in 'memory' (allowed: guarantee, limit, shares, critical, headroom, emergency)",
    FALSE },
  { "memory-emergency-missing", "element 'emergency' lacks the attribute 'enabled' (allowed: yes, no)",
    FALSE },
  { "memory-emergency-value", "attribute 'enabled' of element 'emergency' is 'true' (allowed: yes, no)",
    FALSE },
  { "memory-estimator-unknown",
    "attribute 'estimator' of element 'memory' is 'oracle' (allowed: critical, static, loadavg, missratio)",
    FALSE },
  { "memory-guarantee-above-limit", "guarantee (2097152 KiB) is above limit (1048576 KiB)", TRUE },
  { "memory-headroom-attribute", "unknown attribute 'percent' of element 'headroom' (allowed: unit)", FALSE },
  { "memory-headroom-decimals", "element 'headroom' is '10.55' percent (allowed: 0 to 100", FALSE },
  { "memory-headroom-large", "element 'headroom' is '100.1' percent (allowed: 0 to 100", FALSE },
  { "memory-headroom-unit", "headroom takes a size or unit='percent': element 'headroom': unknown unit '%'",
    FALSE },
  { "memory-limit-zero", "element 'limit' is 0 (leave it out for the domain's <memory>)", FALSE },
  { "memory-mode-blank",
    "attribute 'mode' of element 'memory' is ' enforce' (allowed: off, observe, enforce)", FALSE },
  { "memory-mode-unknown", "attribute 'mode' of element 'memory' is 'on' (allowed: off, observe, enforce)",
    FALSE },
  { "memory-namespace-mixed", "element 'shares' is in another namespace than 'memory' around it", FALSE },
  { "memory-namespace-other",
    "element 'memory' is in namespace 'urn:cagma:memory:2' (allowed: none, or urn:cagma:memory:1)", FALSE },
  { "memory-namespace-undeclared", "XML error in line 1: Namespace prefix cagma on memory is not defined",
    FALSE },
  { "memory-rate-decimals", "'rate' of element 'critical' is '1.1111' (allowed: 0.1 to 10, with at most 3",
    FALSE },
  { "memory-rate-empty", "attribute 'rate' of element 'critical' is ''", FALSE },
  { "memory-rate-large", "attribute 'rate' of element 'critical' is '10.001'", FALSE },
  { "memory-rate-small", "attribute 'rate' of element 'critical' is '0.099'", FALSE },
  { "memory-root-unknown", "unknown element 'ram' (expected 'memory')", FALSE },
  { "memory-shares-fraction", "element 'shares' is '0.5' (allowed: a whole number from 0 to 1000000)",
    FALSE },
  { "memory-shares-large", "element 'shares' is '1000001'", FALSE },
  { "memory-shares-unit", "unknown attribute 'unit' of element 'shares' (allowed: none)", FALSE },
  { "memory-size-empty", "element 'guarantee': size is empty", FALSE },
  { "memory-size-fraction", "element 'guarantee': size '1.5' is not a whole number", FALSE },
  { "memory-size-junk", "element 'guarantee': size '512 MiB' is not a whole number", FALSE },
  { "memory-size-large", "element 'limit': size '5' PiB is too large (at most 4 PiB)", TRUE },
  { "memory-size-negative", "element 'guarantee': size '-512' is not a whole number", FALSE },
  { "memory-size-overflow", "element 'limit': size '99999999999999999999999' KiB is too large", TRUE },
  { "memory-size-plus", "element 'guarantee': size '+512' is not a whole number", FALSE },
  { "memory-source-unknown",
    "attribute 'source' of element 'critical' is 'surplus' (allowed: deficit, max, sum, swapping", FALSE },
  { "memory-text", "element 'memory' has text '512' where none is allowed", FALSE },
  { "memory-truncated", "XML error in line 2: ", FALSE },
  { "memory-unit-unknown", "element 'limit': unknown unit 'MiBi' (allowed: bytes, KB, KiB", FALSE },
  { "status-change-number", "element 'change': size '-1' is not a whole number", FALSE },
  { "status-change-time", "attribute 'at' of element 'change' is 'today' (allowed: a time in UTC", FALSE },
  { "status-change-unit", "attribute 'unit' of element 'change' is 'MiB' (allowed: KiB)", FALSE },
  { "status-change-unitless", "element 'change' lacks the attribute 'unit' (allowed: KiB)", FALSE },
  { "status-element-twice", "element 'actual' is given twice", FALSE },
  { "status-element-unknown", "unknown element 'memory' in 'status' (allowed: reason, source, target",
    FALSE },
  { "status-reason-element", "unknown element 'b' in 'reason' (allowed: none)", FALSE },
  { "status-reason-long", "(allowed: at most 1000 characters)", FALSE },
  { "status-root", "unknown element 'memory' (expected 'status')", FALSE },
  { "status-size-attribute", "unknown attribute 'max' of element 'limit' (allowed: unit)", FALSE },
  { "status-source-unknown", "element 'source' is 'oracle' (allowed: balloon-stats, cagma-channel", FALSE },
  { "status-state-missing", "element 'status' lacks the attribute 'state' (allowed: steady, growing", FALSE },
  { "status-state-unknown", "attribute 'state' of element 'status' is 'fine' (allowed: steady, growing",
    FALSE },
  { "status-swap-in-unit", "attribute 'unit' of element 'swap-in' is 'KiB' (allowed: KiB/s)", FALSE },
  { "status-text", "element 'status' has text 'fine' where none is allowed", FALSE },
  { "status-written-date", "element 'written' is '2026-02-30T00:00:00Z' (allowed: a time in UTC", FALSE },
  { "status-written-empty", "element 'written' is '' (allowed: a time in UTC", FALSE },
  { "status-written-fraction", "element 'written' is '2026-11-21T12:55:56.1234567Z' (allowed", FALSE },
  { "status-written-local", "element 'written' is '2026-11-21T12:55:56+01:00' (allowed: a time in UTC",
    FALSE },
};

static gboolean
schema_accepts(const char *kind, const char *file)
{
  g_autofree char *rng = g_strdup_printf("../../xml/%s.rng", kind);
  g_autofree char *schema = g_test_build_filename(G_TEST_DIST, rng, NULL);
  const char *const command[] = { "xmllint", "--noout", "--nonet", "--relaxng", schema, file, NULL };
  g_autofree char *output = NULL;
  g_autoptr(GError) error = NULL;
  int status = 0;

  g_spawn_sync(NULL, (char **)command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &output, &status, &error);
  g_assert_no_error(error);
  /* 1: not well-formed, 3: not valid, 4: namespace errors on the way to 3. Anything
   * else, such as a broken schema (5), is no verdict. */
  g_assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 1 && WEXITSTATUS(status) != 3)
    g_error("xmllint exits with %d: %s", WEXITSTATUS(status), output);
  return WEXITSTATUS(status) == 0;
}

static gboolean
parser_accepts(const char *kind, const char *file, GError **error)
{
  g_autofree char *xml = NULL;
  gsize length = 0;
  CagmaConfig config;

  g_assert_true(g_file_get_contents(file, &xml, &length, NULL));
  if (strcmp(kind, "memory") == 0)
    return cagma_memory_parse(xml, (gssize)length, NULL, &config, error);
  g_autoptr(CagmaStatus) status = cagma_status_parse(xml, (gssize)length, error);
  return status != NULL;
}

/* The files memory-*.xml and status-*.xml of a folder, as full paths. */
static GPtrArray *
files_of(const char *folder, const char *kind)
{
  g_autofree char *path = g_test_build_filename(G_TEST_DIST, folder, NULL);
  GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  const char *name;

  g_assert_nonnull(dir);
  while ((name = g_dir_read_name(dir)) != NULL) {
    if (g_str_has_prefix(name, kind) && g_str_has_suffix(name, ".xml"))
      g_ptr_array_add(files, g_build_filename(path, name, NULL));
  }
  g_assert_cmpuint(files->len, >, 0);
  return files;
}

static void
schema_and_parser_accept_what_is_good(void)
{
  static const char *const folders[] = { "good", "../../xml/examples" };
  static const char *const kinds[] = { "memory", "status" };

  for (size_t i = 0; i < G_N_ELEMENTS(folders) * G_N_ELEMENTS(kinds); i++) {
    const char *kind = kinds[i % 2];
    g_autoptr(GPtrArray) files = files_of(folders[i / 2], kind);
    for (guint j = 0; j < files->len; j++) {
      g_autoptr(GError) error = NULL;
      const char *file = g_ptr_array_index(files, j);
      g_test_message("%s", file);
      g_assert_true(parser_accepts(kind, file, &error));
      g_assert_true(schema_accepts(kind, file));
    }
  }
}

static void
schema_and_parser_refuse_what_is_bad(void)
{
  for (size_t i = 0; i < G_N_ELEMENTS(bad_files); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strdup_printf("bad/%s.xml", bad_files[i].file);
    g_autofree char *file = g_test_build_filename(G_TEST_DIST, name, NULL);
    g_autofree char *kind = g_strndup(bad_files[i].file, strlen("memory"));

    g_test_message("%s", file);
    g_assert_false(parser_accepts(kind, file, &error));
    assert_says(error, bad_files[i].says);
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
    g_assert_cmpint(schema_accepts(kind, file), ==, bad_files[i].beyond_schema);
  }
}

static void
no_bad_file_is_forgotten(void)
{
  g_autoptr(GPtrArray) memory = files_of("bad", "memory");
  g_autoptr(GPtrArray) status = files_of("bad", "status");

  g_assert_cmpuint(memory->len + status->len, ==, G_N_ELEMENTS(bad_files));
}

static void
check_generated(const char *kind, const char *xml)
{
  g_autofree char *file = NULL;
  g_autoptr(GError) error = NULL;
  const int fd = g_file_open_tmp("cagma-schema-XXXXXX.xml", &file, &error);

  g_assert_no_error(error);
  g_assert_true(g_close(fd, NULL));
  g_assert_true(g_file_set_contents(file, xml, -1, NULL));
  g_test_message("%s", xml);
  g_assert_true(parser_accepts(kind, file, NULL));
  g_assert_true(schema_accepts(kind, file));
  g_assert_cmpint(g_unlink(file), ==, 0);
}

static void
every_name_the_code_knows_is_in_the_schema(void)
{
  CagmaConfig config;
  CagmaStatus status = { .state = CAGMA_STATE_STEADY };

  cagma_config_init(&config);
  config.given = CAGMA_GIVEN_MODE | CAGMA_GIVEN_ESTIMATOR | CAGMA_GIVEN_SOURCE;
  for (unsigned int i = 0;
       cagma_mode_to_string((CagmaMode)i) || cagma_estimator_to_string((CagmaEstimatorKind)i) ||
       cagma_source_to_string((CagmaCriticalSource)i);
       i++) {
    config.mode = cagma_mode_to_string((CagmaMode)i) ? (CagmaMode)i : config.mode;
    config.estimator =
        cagma_estimator_to_string((CagmaEstimatorKind)i) ? (CagmaEstimatorKind)i : config.estimator;
    config.source = cagma_source_to_string((CagmaCriticalSource)i) ? (CagmaCriticalSource)i : config.source;
    g_autofree char *xml = cagma_memory_format(&config);
    check_generated("memory", xml);
  }
  for (unsigned int i = 0; i < CAGMA_N_STATES || cagma_status_source_name(i); i++) {
    status.state = (CagmaState)MIN(i, CAGMA_N_STATES - 1);
    status.source = (char *)cagma_status_source_name(i);
    g_autofree char *xml = cagma_status_format(&status);
    check_generated("status", xml);
  }
}

static void
the_metadata_in_the_domain_example_is_valid(void)
{
  g_autofree char *domain = g_test_build_filename(G_TEST_DIST, "../../xml/examples/domain.xml", NULL);
  static const char *const kinds[] = { "memory", "status" };

  for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
    g_autofree char *path = g_strdup_printf("/domain/metadata/*[namespace-uri()='urn:cagma:%s:1']", kinds[i]);
    const char *const command[] = { "xmllint", "--xpath", path, domain, NULL };
    g_autofree char *element = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;

    g_spawn_sync(NULL, (char **)command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &element, NULL, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_true(g_spawn_check_wait_status(status, NULL));
    check_generated(kinds[i], element);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/schema/schema-and-parser-accept-what-is-good", schema_and_parser_accept_what_is_good);
  g_test_add_func("/schema/schema-and-parser-refuse-what-is-bad", schema_and_parser_refuse_what_is_bad);
  g_test_add_func("/schema/no-bad-file-is-forgotten", no_bad_file_is_forgotten);
  g_test_add_func("/schema/every-name-the-code-knows-is-in-the-schema",
                  every_name_the_code_knows_is_in_the_schema);
  g_test_add_func("/schema/the-metadata-in-the-domain-example-is-valid",
                  the_metadata_in_the_domain_example_is_valid);
  return g_test_run();
}
