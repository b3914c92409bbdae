/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/units.h"
#include "tests/xml/assert.h"
#include "xml/memory.h"

static void
assert_config_equal(const CagmaConfig *a, const CagmaConfig *b)
{
  g_assert_cmpint(a->mode, ==, b->mode);
  g_assert_cmpint(a->estimator, ==, b->estimator);
  g_assert_cmpuint(a->guarantee_kib, ==, b->guarantee_kib);
  g_assert_cmpuint(a->limit_kib, ==, b->limit_kib);
  g_assert_cmpuint(a->shares, ==, b->shares);
  g_assert_cmpuint(a->rate_permille, ==, b->rate_permille);
  g_assert_cmpint(a->source, ==, b->source);
  g_assert_cmpuint(a->headroom_kib, ==, b->headroom_kib);
  g_assert_cmpuint(a->headroom_permille, ==, b->headroom_permille);
  g_assert_cmpint(a->emergency, ==, b->emergency);
  g_assert_cmphex(a->given, ==, b->given);
}

static CagmaConfig
parse_over(const char *xml, const CagmaConfig *defaults)
{
  g_autoptr(GError) error = NULL;
  CagmaConfig config;
  const gboolean ok = cagma_memory_parse(xml, -1, defaults, &config, &error);

  g_assert_no_error(error);
  g_assert_true(ok);
  return config;
}

static CagmaConfig
parse(const char *xml)
{
  return parse_over(xml, NULL);
}

/* Differs from cagma's own defaults in each field. */
static CagmaConfig
other_defaults(void)
{
  return (CagmaConfig){
    .mode = CAGMA_MODE_OFF,
    .estimator = CAGMA_ESTIMATOR_STATIC,
    .guarantee_kib = 4711,
    .limit_kib = 815000,
    .shares = 42,
    .rate_permille = 2500,
    .source = CAGMA_SOURCE_DEFICIT,
    .headroom_kib = 99,
    .headroom_permille = 0,
    .emergency = FALSE,
    .given = CAGMA_GIVEN_SHARES,
  };
}

static void
the_full_document_sets_every_field(void)
{
  g_autofree char *xml = read_source("../../xml/examples/memory-full.xml");
  const CagmaConfig defaults = other_defaults();
  const CagmaConfig config = parse_over(xml, &defaults);
  const CagmaConfig expected = {
    .mode = CAGMA_MODE_ENFORCE,
    .estimator = CAGMA_ESTIMATOR_CRITICAL,
    .guarantee_kib = CAGMA_MIB(512),
    .limit_kib = CAGMA_GIB(4),
    .shares = 1000,
    .rate_permille = 1100,
    .source = CAGMA_SOURCE_DEFICIT,
    .headroom_kib = 0,
    .headroom_permille = 100,
    .emergency = TRUE,
    .given = 0x1FF,
  };

  assert_config_equal(&config, &expected);
}

static void
what_is_left_out_keeps_its_default(void)
{
  const CagmaConfig defaults = other_defaults();
  const CagmaConfig config = parse_over("<memory/>", &defaults);
  CagmaConfig expected = defaults;

  expected.given = 0; /* given by cagmad.conf perhaps, not by this document */
  assert_config_equal(&config, &expected);

  const CagmaConfig builtin = parse("<memory/>");
  cagma_config_init(&expected);
  assert_config_equal(&builtin, &expected);
}

static void
each_part_sets_its_own_field_only(void)
{
  static const struct {
    const char *xml;
    uint32_t given;
  } cases[] = {
    { "<memory mode='observe'/>", CAGMA_GIVEN_MODE },
    { "<memory estimator='static'/>", CAGMA_GIVEN_ESTIMATOR },
    { "<memory><guarantee>4096</guarantee></memory>", CAGMA_GIVEN_GUARANTEE },
    { "<memory><limit>4096</limit></memory>", CAGMA_GIVEN_LIMIT },
    { "<memory><shares>7</shares></memory>", CAGMA_GIVEN_SHARES },
    { "<memory><critical rate='2'/></memory>", CAGMA_GIVEN_RATE },
    { "<memory><critical source='deficit'/></memory>", CAGMA_GIVEN_SOURCE },
    { "<memory><critical source='max'/></memory>", CAGMA_GIVEN_SOURCE },
    { "<memory><critical/></memory>", 0 },
    { "<memory><headroom>7</headroom></memory>", CAGMA_GIVEN_HEADROOM },
    { "<memory><emergency enabled='no'/></memory>", CAGMA_GIVEN_EMERGENCY },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const CagmaConfig config = parse(cases[i].xml);
    CagmaConfig expected;

    cagma_config_init(&expected);
    expected.given = cases[i].given;
    if (expected.given & CAGMA_GIVEN_MODE)
      expected.mode = CAGMA_MODE_OBSERVE;
    if (expected.given & CAGMA_GIVEN_ESTIMATOR)
      expected.estimator = CAGMA_ESTIMATOR_STATIC;
    if (expected.given & CAGMA_GIVEN_GUARANTEE)
      expected.guarantee_kib = 4096;
    if (expected.given & CAGMA_GIVEN_LIMIT)
      expected.limit_kib = 4096;
    if (expected.given & CAGMA_GIVEN_SHARES)
      expected.shares = 7;
    if (expected.given & CAGMA_GIVEN_RATE)
      expected.rate_permille = 2000;
    if (strstr(cases[i].xml, "'max'"))
      expected.source = CAGMA_SOURCE_MAX;
    if (expected.given & CAGMA_GIVEN_HEADROOM) {
      expected.headroom_kib = 7;
      expected.headroom_permille = 0;
    }
    if (expected.given & CAGMA_GIVEN_EMERGENCY)
      expected.emergency = FALSE;
    assert_config_equal(&config, &expected);
  }
}

static void
every_spelling_means_the_same(void)
{
  static const char *const spellings[] = {
    "<memory mode='observe'><shares>5</shares></memory>",
    "<memory mode=\"observe\">\n  <!-- five -->\n  <shares> 5 </shares>\n</memory>\n",
    "<?xml version='1.0'?><memory mode='observe'><shares>005</shares></memory>",
    "<memory xmlns='urn:cagma:memory:1' mode='observe'><shares>5</shares></memory>",
    "<cagma:memory xmlns:cagma='urn:cagma:memory:1' "
    "mode='observe'><cagma:shares>5</cagma:shares></cagma:memory>",
    "<x:memory xmlns:x='urn:cagma:memory:1' mode='observe'><shares "
    "xmlns='urn:cagma:memory:1'>5</shares></x:memory>",
    "<memory mode='&#x6f;bserve'><shares><![CDATA[5]]></shares></memory>",
  };
  const CagmaConfig expected = parse(spellings[0]);

  g_assert_cmpuint(expected.shares, ==, 5);
  for (size_t i = 1; i < G_N_ELEMENTS(spellings); i++) {
    const CagmaConfig config = parse(spellings[i]);
    assert_config_equal(&config, &expected);
  }
}

static void
numbers_become_exact_integers(void)
{
  g_assert_cmpuint(parse("<memory><critical rate='0.1'/></memory>").rate_permille, ==, 100);
  g_assert_cmpuint(parse("<memory><critical rate='1.125'/></memory>").rate_permille, ==, 1125);
  g_assert_cmpuint(parse("<memory><critical rate='10'/></memory>").rate_permille, ==, 10000);
  g_assert_cmpuint(parse("<memory><headroom unit='percent'>0</headroom></memory>").headroom_permille, ==, 0);
  g_assert_cmpuint(parse("<memory><headroom unit='percent'>0</headroom></memory>").headroom_kib, ==, 0);
  g_assert_cmpuint(parse("<memory><headroom unit='percent'>7.5</headroom></memory>").headroom_permille, ==,
                   75);
  g_assert_cmpuint(parse("<memory><headroom unit='MiB'>64</headroom></memory>").headroom_kib, ==, 65536);
  g_assert_cmpuint(parse("<memory><guarantee unit='b'>1</guarantee></memory>").guarantee_kib, ==, 1);
}

static void
a_default_limit_does_not_contradict_a_given_guarantee(void)
{
  const CagmaConfig defaults = other_defaults();
  const CagmaConfig config = parse_over("<memory><guarantee unit='GiB'>2</guarantee></memory>", &defaults);

  g_assert_cmpuint(config.guarantee_kib, ==, CAGMA_GIB(2));
}

static void
a_failure_changes_nothing(void)
{
  CagmaConfig config = other_defaults();
  const CagmaConfig before = config;
  g_autoptr(GError) error = NULL;

  g_assert_false(cagma_memory_parse("<memory mode='enforce'><shares>9</shares><limit>0</limit></memory>", -1,
                                    NULL, &config, &error));
  assert_says(error, "'limit' is 0");
  assert_config_equal(&config, &before);
}

static void
length_bounds_what_is_read(void)
{
  const char text[] = "<memory mode='off'/>garbage";
  CagmaConfig config;

  g_assert_true(cagma_memory_parse(text, (gssize)strlen("<memory mode='off'/>"), NULL, &config, NULL));
  g_assert_cmpint(config.mode, ==, CAGMA_MODE_OFF);
  g_assert_false(cagma_memory_parse(text, -1, NULL, &config, NULL));
}

static void
formatting_writes_the_given_fields_for_people(void)
{
  g_autofree char *xml = read_source("../../xml/examples/memory-full.xml");
  g_autofree char *bare = NULL;
  g_autofree char *full = NULL;
  CagmaConfig config;

  cagma_config_init(&config);
  bare = cagma_memory_format(&config);
  g_assert_cmpstr(bare, ==, "<memory></memory>");

  config = parse(xml);
  full = cagma_memory_format(&config);
  g_assert_cmpstr(full, ==,
                  "<memory mode='enforce' estimator='critical'>"
                  "<guarantee unit='MiB'>512</guarantee>"
                  "<limit unit='GiB'>4</limit>"
                  "<shares>1000</shares>"
                  "<critical rate='1.1' source='deficit'/>"
                  "<headroom unit='percent'>10</headroom>"
                  "<emergency enabled='yes'/>"
                  "</memory>");
}

static CagmaConfig
random_config(const CagmaConfig *defaults)
{
  CagmaConfig config = *defaults;

  config.given = (uint32_t)g_test_rand_int_range(0, 0x200);
  if (config.given & CAGMA_GIVEN_MODE)
    config.mode = (CagmaMode)g_test_rand_int_range(0, CAGMA_MODE_ENFORCE + 1);
  if (config.given & CAGMA_GIVEN_ESTIMATOR)
    config.estimator = (CagmaEstimatorKind)g_test_rand_int_range(0, CAGMA_N_ESTIMATORS);
  if (config.given & CAGMA_GIVEN_GUARANTEE)
    config.guarantee_kib = (uint64_t)g_test_rand_int_range(0, G_MAXINT32);
  if (config.given & CAGMA_GIVEN_LIMIT)
    config.limit_kib = config.guarantee_kib + 1 + (uint64_t)g_test_rand_int_range(0, G_MAXINT32);
  if (config.given & CAGMA_GIVEN_SHARES)
    config.shares = (uint32_t)g_test_rand_int_range(0, CAGMA_SHARES_MAX + 1);
  if (config.given & CAGMA_GIVEN_RATE)
    config.rate_permille =
        (uint32_t)g_test_rand_int_range(CAGMA_RATE_MIN_PERMILLE, CAGMA_RATE_MAX_PERMILLE + 1);
  if (config.given & CAGMA_GIVEN_HEADROOM) {
    const gboolean percent = g_test_rand_bit();
    config.headroom_permille =
        percent ? (uint32_t)g_test_rand_int_range(1, CAGMA_HEADROOM_MAX_PERMILLE + 1) : 0;
    config.headroom_kib = percent ? 0 : (uint64_t)g_test_rand_int_range(0, G_MAXINT32);
  }
  if (config.given & CAGMA_GIVEN_EMERGENCY)
    config.emergency = g_test_rand_bit();
  return config;
}

static void
what_is_formatted_parses_to_the_same(void)
{
  const CagmaConfig defaults = other_defaults();

  for (int i = 0; i < 2000; i++) {
    const CagmaConfig config = random_config(&defaults);
    g_autofree char *xml = cagma_memory_format(&config);
    const CagmaConfig again = parse_over(xml, &defaults);
    assert_config_equal(&again, &config);
  }
}

static void
fitting_to_the_domain(void)
{
  const uint64_t max_kib = CAGMA_GIB(4);
  static const struct {
    const char *xml;
    uint64_t default_limit_kib;
    uint64_t guarantee_kib, limit_kib;
  } cases[] = {
    { "<memory/>", 0, CAGMA_MIB(256), CAGMA_GIB(4) },
    { "<memory/>", CAGMA_GIB(1), CAGMA_MIB(256), CAGMA_GIB(1) },
    { "<memory/>", CAGMA_GIB(9), CAGMA_MIB(256), CAGMA_GIB(4) },
    { "<memory/>", CAGMA_MIB(100), CAGMA_MIB(100), CAGMA_MIB(100) },
    { "<memory><limit unit='MiB'>100</limit></memory>", 0, CAGMA_MIB(100), CAGMA_MIB(100) },
    { "<memory><guarantee unit='GiB'>2</guarantee></memory>", CAGMA_GIB(1), CAGMA_GIB(2), CAGMA_GIB(2) },
    { "<memory><guarantee unit='GiB'>4</guarantee><limit unit='GiB'>4</limit></memory>", 0, CAGMA_GIB(4),
      CAGMA_GIB(4) },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    CagmaConfig config;
    gboolean ok;

    cagma_config_init(&config);
    config.limit_kib = cases[i].default_limit_kib;
    config = parse_over(cases[i].xml, &config);
    ok = cagma_config_fit(&config, max_kib, &error);
    g_assert_no_error(error);
    g_assert_true(ok);
    g_assert_cmpuint(config.guarantee_kib, ==, cases[i].guarantee_kib);
    g_assert_cmpuint(config.limit_kib, ==, cases[i].limit_kib);
  }
}

static void
what_contradicts_the_domain_does_not_fit(void)
{
  static const struct {
    const char *xml, *says;
  } cases[] = {
    { "<memory><limit unit='GiB'>5</limit></memory>",
      "limit (5242880 KiB) is above the domain's memory (4194304 KiB)" },
    { "<memory><guarantee unit='GiB'>5</guarantee></memory>",
      "guarantee (5242880 KiB) is above the domain's memory (4194304 KiB)" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    CagmaConfig config = parse(cases[i].xml);
    const CagmaConfig before = config;

    g_assert_false(cagma_config_fit(&config, CAGMA_GIB(4), &error));
    g_assert_error(error, CAGMA_CONFIG_ERROR, CAGMA_CONFIG_ERROR_RANGE);
    assert_says(error, cases[i].says);
    assert_config_equal(&config, &before);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/memory/the-full-document-sets-every-field", the_full_document_sets_every_field);
  g_test_add_func("/memory/what-is-left-out-keeps-its-default", what_is_left_out_keeps_its_default);
  g_test_add_func("/memory/each-part-sets-its-own-field-only", each_part_sets_its_own_field_only);
  g_test_add_func("/memory/every-spelling-means-the-same", every_spelling_means_the_same);
  g_test_add_func("/memory/numbers-become-exact-integers", numbers_become_exact_integers);
  g_test_add_func("/memory/a-default-limit-does-not-contradict-a-given-guarantee",
                  a_default_limit_does_not_contradict_a_given_guarantee);
  g_test_add_func("/memory/a-failure-changes-nothing", a_failure_changes_nothing);
  g_test_add_func("/memory/length-bounds-what-is-read", length_bounds_what_is_read);
  g_test_add_func("/memory/formatting-writes-the-given-fields-for-people",
                  formatting_writes_the_given_fields_for_people);
  g_test_add_func("/memory/what-is-formatted-parses-to-the-same", what_is_formatted_parses_to_the_same);
  g_test_add_func("/memory/fitting-to-the-domain", fitting_to_the_domain);
  g_test_add_func("/memory/what-contradicts-the-domain-does-not-fit",
                  what_contradicts_the_domain_does_not_fit);
  return g_test_run();
}
