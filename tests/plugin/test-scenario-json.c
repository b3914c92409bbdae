/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-glib/json-glib.h>
#include <string.h>

#include "plugin/scenario-json.h"
#include "policy/sim/fields.h"
#include "policy/sim/generate.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"
#include "tests/policy/scenarios.h"

#define SCENARIO(rest) "{\"cagma-scenario\": 1, \"name\": \"s\", " rest "}"
#define GUEST(rest) SCENARIO("\"guests\": [{\"name\": \"g\", \"memory-mib\": 1024, " rest "}]")
#define GUESTS "\"guests\": [{\"name\": \"g\", \"memory-mib\": 1024}]"
#define PHASE(rest) GUEST("\"parts\": [{\"kind\": \"anon\", \"phases\": [{\"mib\": 1}, {" rest "}]}]")
#define IN_PHASE "$.guests[0].parts[0].phases[1]"

static CagmaScenario *
parse(const char *text)
{
  g_autoptr(GError) error = NULL;
  CagmaScenario *scenario = cagma_scenario_parse(text, -1, &error);

  if (!scenario)
    g_error("%s: %s", text, error->message);
  return scenario;
}

static void
test_defaults(void)
{
  g_autoptr(CagmaScenario) scenario = parse(SCENARIO(GUESTS));
  const CagmaSimGuest *guest = &scenario->guests[0];

  g_assert_cmpstr(scenario->name, ==, "s");
  g_assert_cmpstr(scenario->description, ==, "");
  g_assert_cmpuint(scenario->reserve_kib, ==, CAGMA_GIB(8) / 20);
  g_assert_cmpuint(scenario->n_guests, ==, 1);
  g_assert_cmpuint(guest->count, ==, 1);
  g_assert_cmpuint(guest->start_kib, ==, CAGMA_GIB(1));
  g_assert_cmpuint(guest->config.limit_kib, ==, CAGMA_GIB(1));
  g_assert_cmpuint(guest->config.given, ==, 0);
  g_assert_cmpuint(guest->n_parts, ==, 0);
}

/* Each field, in a unit that isn't the struct's, and with what follows from it. */
static void
test_values(void)
{
  g_autoptr(CagmaScenario) scenario = parse(SCENARIO(
      "\"description\": \"d \\u00e9 \\\"q\\\"\", \"seed\": 4294967295, \"duration-s\": 1.5e2,"
      "\"host\": {\"memory-mib\": 1000, \"pool-mib\": 0, \"period-s\": 0.25, \"surplus\": \"reclaim\"},"
      "\"disk\": {\"iops\": 7, \"mib-per-s\": 1.5, \"latency-ms\": 0.125, \"swap-read-kib\": 4},"
      "\"guests\": [{\"name\": \"g\", \"memory-mib\": 512, \"count\": 2, \"guarantee-mib\": 0.0009765625,"
      "\"limit-mib\": 500.5, \"shares\": 0, \"estimator\": \"static\", \"headroom-mib\": 100,"
      "\"emergency\": false, \"driver\": false, \"reports\": \"none\", \"loss-permille\": 1000,"
      "\"parts\": [{\"phases\": [{\"mib\": 2, \"sweep-s\": 0.000001, \"from-s\": 3}], \"kind\": \"file\","
      "\"access\": \"cyclic\"}], \"disk\": [{\"tasks\": 15, \"io-kib\": 2048.0}],"
      "\"events\": [{\"at-s\": 1, \"what\": \"pause\"}, {\"at-s\": 1, \"what\": \"resume\"}]}]"));
  const CagmaSimGuest *guest = &scenario->guests[0];

  g_assert_cmpstr(scenario->description, ==, "d é \"q\"");
  g_assert_cmpuint(scenario->seed, ==, G_MAXUINT32);
  g_assert_cmpint(scenario->duration_us, ==, 150 * CAGMA_SECOND_US);
  g_assert_cmpuint(scenario->memory_kib, ==, 1000 * 1024);
  g_assert_cmpuint(scenario->reserve_kib, ==, 50 * 1024);
  g_assert_cmpuint(scenario->pool_kib, ==, 0);
  g_assert_cmpint(scenario->period_us, ==, 250000);
  g_assert_cmpint(scenario->surplus, ==, CAGMA_SURPLUS_RECLAIM);
  g_assert_cmpuint(scenario->disk.iops, ==, 7);
  g_assert_cmpuint(scenario->disk.kib_per_s, ==, 1536);
  g_assert_cmpint(scenario->disk.latency_us, ==, 125);
  g_assert_cmpuint(scenario->disk.swap_read_kib, ==, 4);
  g_assert_cmpuint(guest->count, ==, 2);
  g_assert_cmpuint(guest->config.guarantee_kib, ==, 1);
  g_assert_cmpuint(guest->config.limit_kib, ==, 500 * 1024 + 512);
  g_assert_cmpuint(guest->start_kib, ==, guest->config.limit_kib);
  g_assert_cmpuint(guest->config.shares, ==, 0);
  g_assert_cmpint(guest->config.estimator, ==, CAGMA_ESTIMATOR_STATIC);
  g_assert_cmpuint(guest->config.headroom_permille, ==, 0);
  g_assert_cmpuint(guest->config.headroom_kib, ==, CAGMA_MIB(100));
  g_assert_false(guest->config.emergency);
  g_assert_cmpuint(guest->config.given, ==,
                   CAGMA_GIVEN_GUARANTEE | CAGMA_GIVEN_LIMIT | CAGMA_GIVEN_SHARES | CAGMA_GIVEN_ESTIMATOR |
                       CAGMA_GIVEN_HEADROOM | CAGMA_GIVEN_EMERGENCY);
  g_assert_false(guest->driver);
  g_assert_cmpint(guest->reports, ==, CAGMA_REPORTS_NONE);
  g_assert_cmpuint(guest->loss_permille, ==, 1000);
  g_assert_cmpint(guest->parts[0].kind, ==, CAGMA_PART_FILE);
  g_assert_cmpint(guest->parts[0].access, ==, CAGMA_ACCESS_CYCLIC);
  g_assert_cmpint(guest->parts[0].phases[0].from_us, ==, 3 * CAGMA_SECOND_US);
  g_assert_cmpuint(guest->parts[0].phases[0].size_kib, ==, 2048);
  g_assert_cmpint(guest->parts[0].phases[0].sweep_us, ==, 1);
  g_assert_cmpuint(guest->disk[0].tasks, ==, 15);
  g_assert_cmpuint(guest->disk[0].io_kib, ==, 2048);
  g_assert_cmpint(guest->events[1].what, ==, CAGMA_BEFALLS_RESUME);
}

/* What is wrong is said by its path, and by its line where it isn't JSON. */
static void
test_refused(void)
{
  static const struct {
    const char *text;
    CagmaScenarioError code;
    const char *says; /* what the message begins with */
  } cases[] = {
    { "", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 1: not JSON" },
    { "{", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 2: a key in quotation marks is missing" },
    { "{}}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 3: something behind the end" },
    { "{} {}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 4: something behind the end" },
    { "\n {'a': 1}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 2, column 3: a key in quotation marks" },
    { "{\"a\": 'b'}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 7: not JSON" },
    { "{\"a\": 1,}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 9: a key in quotation marks" },
    { "{\"a\": [1,]}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 10: not JSON" },
    { "{\"a\" 1}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 6: ':' is missing" },
    { "{\"a\": 1 \"b\": 2}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 9: ',' or '}' is missing" },
    { "[1 2]", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 4: ',' or ']' is missing" },
    { "// no\n{}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 1: not JSON" },
    { "{/* no */}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 2: a key" },
    { "{\"a\": 1, \"a\": 1}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 10: 'a' is there twice" },
    { "{\"a\": 01}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 8: ',' or '}' is missing" },
    { "{\"a\": 1.}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 9: a number needs digits" },
    { "{\"a\": .5}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 7: not JSON" },
    { "{\"a\": +5}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 7: not JSON" },
    { "{\"a\": 0x5}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 8: ',' or '}' is missing" },
    { "{\"a\": 1e}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 9: a number needs digits in its exp" },
    { "{\"a\": 1e999}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 7: a number that is too large" },
    { "{\"a\": 99999999999999999999}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 7: a number that is" },
    { "{\"a\": NaN}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 7: not JSON" },
    { "{\"a\": True}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 7: not JSON" },
    { "{\"a\": \"\t\"}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 8: a control character" },
    { "{\"a\": \"\\x\"}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 9: no such escape" },
    { "{\"a\": \"\\u00g0\"}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 12: \\u needs four" },
    { "{\"a\": \"\\ud800\"}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 14: half of a surrogate pair" },
    { "{\"a\": \"\\udc00\"}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 14: half of a surrogate pair" },
    { "{\"a\": \"\\u0000\"}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 14: a string holds NUL" },
    { "{\"a\": \"b", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 9: a string that doesn't end" },
    { "{\"\\u0061\": 1}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 2: a key with escapes" },
    { "{\"a\": \"\xff\"}", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 8: not UTF-8" },
    { "[[[[[[[[[[[[[[[[[[[[", CAGMA_SCENARIO_ERROR_SYNTAX, "line 1, column 17: nested too deep" },
    { "[]", CAGMA_SCENARIO_ERROR_FIELD, "$: isn't an object" },
    { "7", CAGMA_SCENARIO_ERROR_FIELD, "$: isn't an object" },
    { "{}", CAGMA_SCENARIO_ERROR_FIELD, "$.cagma-scenario: is missing" },
    { "{\"cagma-scenario\": 2}", CAGMA_SCENARIO_ERROR_FIELD, "$.cagma-scenario: this program knows" },
    { "{\"cagma-scenario\": \"1\"}", CAGMA_SCENARIO_ERROR_FIELD, "$.cagma-scenario: isn't a number" },
    { "{\"cagma-scenario\": 1}", CAGMA_SCENARIO_ERROR_FIELD, "$.name: is missing" },
    { SCENARIO("\"seed\": 1"), CAGMA_SCENARIO_ERROR_FIELD, "$.guests: is missing" },
    { SCENARIO("\"guests\": []"), CAGMA_SCENARIO_ERROR_FIELD, "$.guests: must have 1 to 10000 elements" },
    { SCENARIO("\"guests\": {}"), CAGMA_SCENARIO_ERROR_FIELD, "$.guests: isn't a list" },
    { SCENARIO("\"guests\": [7]"), CAGMA_SCENARIO_ERROR_FIELD, "$.guests[0]: isn't an object" },
    { SCENARIO("\"guests\": [{\"name\": \"g\"}]"), CAGMA_SCENARIO_ERROR_FIELD,
      "$.guests[0].memory-mib: is missing" },
    { SCENARIO("\"guest\": 1"), CAGMA_SCENARIO_ERROR_FIELD, "$.guest: no such field; there are name, d" },
    { SCENARIO("\"\xc2\x9b\": 1"), CAGMA_SCENARIO_ERROR_FIELD, "$.\xef\xbf\xbd: no such field" },
    { SCENARIO(GUESTS ", \"seed\": -1"), CAGMA_SCENARIO_ERROR_FIELD, "$.seed: is negative" },
    { SCENARIO(GUESTS ", \"seed\": 1.5"), CAGMA_SCENARIO_ERROR_FIELD, "$.seed: isn't a whole number" },
    { SCENARIO(GUESTS ", \"seed\": 4294967296"), CAGMA_SCENARIO_ERROR_FIELD, "$.seed: is too large" },
    { SCENARIO(GUESTS ", \"seed\": true"), CAGMA_SCENARIO_ERROR_FIELD, "$.seed: isn't a number" },
    { SCENARIO(GUESTS ", \"seed\": null"), CAGMA_SCENARIO_ERROR_FIELD, "$.seed: isn't a number" },
    { SCENARIO(GUESTS ", \"description\": null"), CAGMA_SCENARIO_ERROR_FIELD, "$.description: isn't a st" },
    { SCENARIO(GUESTS ", \"description\": 7"), CAGMA_SCENARIO_ERROR_FIELD, "$.description: isn't a str" },
    { SCENARIO(GUESTS ", \"description\": \"\\u001b[2J\""), CAGMA_SCENARIO_ERROR_VALUE,
      "$.description: has a character that can't be printed" },
    { SCENARIO(GUESTS ", \"duration-s\": 0.5"), CAGMA_SCENARIO_ERROR_VALUE,
      "$.duration-s: must be 1 to 86400, is 0.5" },
    { SCENARIO(GUESTS ", \"host\": []"), CAGMA_SCENARIO_ERROR_FIELD, "$.host: isn't an object" },
    { SCENARIO(GUESTS ", \"host\": {\"memory-mib\": 63.5}"), CAGMA_SCENARIO_ERROR_VALUE,
      "$.host.memory-mib: must be 64 to 4294967296, is 63.5" },
    { SCENARIO(GUESTS ", \"host\": {\"surplus\": \"keep\"}"), CAGMA_SCENARIO_ERROR_FIELD,
      "$.host.surplus: must be one of \"leave\", \"reclaim\"" },
    { SCENARIO(GUESTS ", \"host\": {\"memory-mib\": 100, \"reserve-mib\": 98}"), CAGMA_SCENARIO_ERROR_VALUE,
      "$.host: reserve-mib and pool-mib leave" },
    { SCENARIO(GUESTS ", \"disk\": {\"iops\": 0}"), CAGMA_SCENARIO_ERROR_VALUE, "$.disk.iops: must be 1" },
    { GUEST("\"driver\": 1"), CAGMA_SCENARIO_ERROR_FIELD, "$.guests[0].driver: isn't true or false" },
    { GUEST("\"reports\": 0"), CAGMA_SCENARIO_ERROR_FIELD, "$.guests[0].reports: must be one of \"agent\"" },
    { GUEST("\"guarantee-mib\": 1025"), CAGMA_SCENARIO_ERROR_VALUE, "$.guests[0]: guarantee (1049600 KiB)" },
    { GUEST("\"guarantee-mib\": 600, \"limit-mib\": 500"), CAGMA_SCENARIO_ERROR_VALUE,
      "$.guests[0]: guarantee (614400 KiB) is above limit" },
    { GUEST("\"headroom-percent\": 5, \"headroom-mib\": 64"), CAGMA_SCENARIO_ERROR_FIELD,
      "$.guests[0].headroom-mib: headroom is given twice" },
    { GUEST("\"headroom-percent\": 101"), CAGMA_SCENARIO_ERROR_VALUE,
      "$.guests[0].headroom-percent: must be 0 to 100, is 101" },
    { GUEST("\"start-mib\": 1025"), CAGMA_SCENARIO_ERROR_VALUE, "$.guests[0].start-mib: is above memory" },
    { GUEST("\"start-mib\": 80"), CAGMA_SCENARIO_ERROR_VALUE, "$.guests[0].start-mib: leaves nothing" },
    { GUEST("\"limit-mib\": 80"), CAGMA_SCENARIO_ERROR_VALUE, "$.guests[0].limit-mib: leaves nothing" },
    { GUEST("\"kernel-mib\": 1024"), CAGMA_SCENARIO_ERROR_VALUE, "$.guests[0].memory-mib: leaves nothing" },
    { GUEST("\"arrives-s\": 600"), CAGMA_SCENARIO_ERROR_VALUE, "$.guests[0].arrives-s: isn't before" },
    { GUEST("\"arrives-s\": 5, \"leaves-s\": 5"), CAGMA_SCENARIO_ERROR_VALUE, "$.guests[0].leaves-s: isn't" },
    { GUEST("\"disk\": [{\"tasks\": 1}, {\"tasks\": 2}]"), CAGMA_SCENARIO_ERROR_VALUE,
      "$.guests[0].disk[1].from-s: isn't after" },
    { GUEST("\"events\": [{\"at-s\": 2, \"what\": \"stuck\"}, {\"at-s\": 1, \"what\": \"moves\"}]"),
      CAGMA_SCENARIO_ERROR_VALUE, "$.guests[0].events[1].at-s: is before" },
    { GUEST("\"events\": [{\"what\": \"stuck\"}]"), CAGMA_SCENARIO_ERROR_FIELD,
      "$.guests[0].events[0].at-s: is missing" },
    { GUEST("\"parts\": [{\"kind\": \"anon\", \"phases\": []}]"), CAGMA_SCENARIO_ERROR_FIELD,
      "$.guests[0].parts[0].phases: must have 1 to 64 elements, has 0" },
    { GUEST("\"parts\": [{\"phases\": [{\"mib\": 1}]}]"), CAGMA_SCENARIO_ERROR_FIELD,
      "$.guests[0].parts[0].kind: is missing" },
    { PHASE("\"from-s\": 1"), CAGMA_SCENARIO_ERROR_FIELD, IN_PHASE ".mib: is missing" },
    { PHASE("\"mib\": \"1\""), CAGMA_SCENARIO_ERROR_FIELD, IN_PHASE ".mib: isn't a number" },
    { PHASE("\"mib\": 4294967297"), CAGMA_SCENARIO_ERROR_VALUE, IN_PHASE ".mib: must be 0 to 4294967296" },
    { PHASE("\"mib\": 9007199254740991"), CAGMA_SCENARIO_ERROR_FIELD, IN_PHASE ".mib: is too large" },
    { PHASE("\"mib\": 1"), CAGMA_SCENARIO_ERROR_VALUE, IN_PHASE ".from-s: isn't after the phase before" },
    { PHASE("\"mib\": 1, \"from-s\": 1, \"walk-mib\": 1, \"walk-every-s\": 0"), CAGMA_SCENARIO_ERROR_VALUE,
      IN_PHASE ".walk-every-s: " },
    { PHASE("\"mib\": 1, \"from-s\": 1, \"burst-mib\": 1, \"burst-every-s\": 0.05"),
      CAGMA_SCENARIO_ERROR_VALUE, IN_PHASE ".burst-every-s: " },
    { PHASE("\"mib\": 1, \"from-s\": 1, \"burst-mib\": 1, \"burst-s\": 61"), CAGMA_SCENARIO_ERROR_VALUE,
      IN_PHASE ".burst-s: " },
    { PHASE("\"mib\": 1, \"from-s\": 1, \"burst-mib\": 1, \"burst-s\": 0"), CAGMA_SCENARIO_ERROR_VALUE,
      IN_PHASE ".burst-s: " },
    { SCENARIO("\"guests\": [{\"name\": \"g\", \"memory-mib\": 64, \"kernel-mib\": 5, \"count\": 9999}, "
               "{\"name\": \"h\", \"memory-mib\": 64, \"kernel-mib\": 5, \"count\": 2}]"),
      CAGMA_SCENARIO_ERROR_VALUE, "$.guests: make 10001 guests, 10000 at most" },
    { SCENARIO(
          "\"guests\": [{\"name\": \"g\", \"memory-mib\": 256}, {\"name\": \"g\", \"memory-mib\": 256}]"),
      CAGMA_SCENARIO_ERROR_VALUE, "$.guests[1].name: there is another guest 'g'" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(CagmaScenario) scenario = cagma_scenario_parse(cases[i].text, -1, &error);

    if (scenario)
      g_error("%s: is taken", cases[i].text);
    g_assert_error(error, CAGMA_SCENARIO_ERROR, (int)cases[i].code);
    if (!g_str_has_prefix(error->message, cases[i].says))
      g_error("%s: %s, but not %s", cases[i].text, error->message, cases[i].says);
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
  }
}

/* One over the limit is refused unread; a text needn't end with a NUL. */
static void
test_length(void)
{
  g_autofree char *blanks = g_strnfill(CAGMA_SCENARIO_MAX_BYTES + 1, ' ');
  const char text[] = SCENARIO(GUESTS) "garbage";
  g_autoptr(GError) error = NULL;
  g_autoptr(CagmaScenario) scenario = NULL;

  g_assert_null(cagma_scenario_parse(blanks, -1, &error));
  g_assert_cmpstr(error->message, ==, "larger than 4194304 bytes");
  memcpy(blanks, SCENARIO(GUESTS), strlen(SCENARIO(GUESTS)));
  scenario = cagma_scenario_parse(blanks, CAGMA_SCENARIO_MAX_BYTES, NULL);
  g_assert_nonnull(scenario);
  cagma_scenario_free(scenario);
  scenario = cagma_scenario_parse(text, (gssize)strlen(SCENARIO(GUESTS)), NULL);
  g_assert_nonnull(scenario);
}

static CagmaScenario *
assert_reads_back(const CagmaScenario *scenario)
{
  g_autofree char *json = cagma_scenario_to_json(scenario);
  g_autofree char *again_json = NULL;
  CagmaScenario *again = parse(json);

  scenarios_assert_same(scenario, again);
  again_json = cagma_scenario_to_json(again);
  g_assert_cmpstr(again_json, ==, json);
  return again;
}

/* Odd figures: to KiB and µs, which no short decimal has. */
static void
make_odd(CagmaScenario *scenario, GRand *rand)
{
  CagmaSimGuest *guest = &scenario->guests[0];

  scenario->memory_kib += (uint64_t)g_rand_int_range(rand, 0, 1024);
  scenario->disk.latency_us += g_rand_int_range(rand, 0, 1000);
  guest->start_kib += (uint64_t)g_rand_int_range(rand, 0, 1024);
  guest->memory_kib += 1023;
  guest->parts[0].phases[0].sweep_us += g_rand_int_range(rand, 0, 1000000);
  guest->parts[0].phases[0].size_kib += (uint64_t)g_rand_int_range(rand, 0, 1024);
  guest->config.headroom_permille = (uint32_t)g_rand_int_range(rand, 0, 2) * 55;
  guest->config.headroom_kib = (uint64_t)g_rand_int_range(rand, 0, 100000);
  if (guest->config.headroom_permille)
    guest->config.headroom_kib = 0;
  guest->config.given |= CAGMA_GIVEN_HEADROOM;
}

static void
test_round_trip(void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int_range(0, G_MAXINT32));

  for (int i = 0; i < 400; i++) {
    g_autoptr(CagmaScenario) scenario = g_new(CagmaScenario, 1);
    g_autoptr(CagmaScenario) again = NULL;
    g_autoptr(GError) error = NULL;

    cagma_scenario_generate(g_rand_int(rand), scenario);
    if (i % 2)
      make_odd(scenario, rand);
    if (!cagma_scenario_check(scenario, &error))
      g_error("%s: %s", scenario->name, error->message);
    again = assert_reads_back(scenario);
  }
}

/* The largest that each field may be, where it is written as a decimal. */
static void
test_round_trip_of_bounds(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_full();
  g_autoptr(CagmaScenario) again = NULL;
  CagmaPhase *phase = &scenario->guests[0].parts[0].phases[1];

  scenario->memory_kib = CAGMA_MAX_KIB - 1;
  scenario->reserve_kib = 1;
  scenario->pool_kib = 1023;
  scenario->duration_us = CAGMA_SIM_DURATION_MAX_US - 1;
  scenario->disk.latency_us = 1;
  phase->size_kib = CAGMA_MAX_KIB - 3;
  phase->from_us = CAGMA_SIM_DURATION_MAX_US - 3;
  g_free(scenario->description);
  scenario->description = g_strdup("\"\\/ é – 😀");
  g_assert_true(cagma_scenario_check(scenario, NULL));
  again = assert_reads_back(scenario);
}

/* What a program made, without saying what it gave, is written all the same. */
static void
test_not_given(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_full();
  g_autoptr(CagmaScenario) again = NULL;
  g_autofree char *json = NULL;

  scenario->guests[0].config.guarantee_kib = CAGMA_MIB(300);
  scenario->guests[0].config.shares = 7;
  g_assert_true(cagma_scenario_check(scenario, NULL));
  json = cagma_scenario_to_json(scenario);
  again = parse(json);
  g_assert_cmpuint(again->guests[0].config.guarantee_kib, ==, CAGMA_MIB(300));
  g_assert_cmpuint(again->guests[0].config.shares, ==, 7);
  g_assert_null(strstr(json, "limit-mib"));
  g_assert_null(strstr(json, "headroom"));
}

/* As a person would write it: short lines, defaults left out. */
#define WRITTEN                                                                                              \
  "{\n"                                                                                                      \
  "  \"cagma-scenario\": 1, \"name\": \"unnamed\",\n"                                                        \
  "  \"guests\": [\n"                                                                                        \
  "    {\n"                                                                                                  \
  "      \"name\": \"web\", \"count\": 2, \"memory-mib\": 2048, \"start-mib\": 1024,\n"                      \
  "      \"parts\": [{ \"kind\": \"anon\", \"phases\": [{ \"mib\": 300 }, { \"from-s\": 60, \"mib\": 0 }] "  \
  "}],\n"                                                                                                    \
  "      \"disk\": [{ \"tasks\": 3, \"io-kib\": 2048 }], "                                                   \
  "\"events\": [{ \"at-s\": 30, \"what\": \"reboot\" }]\n"                                                   \
  "    }\n"                                                                                                  \
  "  ]\n"                                                                                                    \
  "}\n"

static void
test_written(void)
{
  g_autoptr(CagmaScenario) scenario = scenarios_full();
  g_autofree char *json = NULL;

  g_assert_true(cagma_scenario_check(scenario, NULL));
  json = cagma_scenario_to_json(scenario);
  g_assert_cmpstr(json, ==, WRITTEN);
}

/* The shipped ones. */

static char *
source_path(const char *name)
{
  return g_build_filename(g_getenv("CAGMA_SOURCE"), name, NULL);
}

static void
assert_fits_its_host(const CagmaScenario *scenario)
{
  uint64_t starts_kib = 0, guarantees_kib = 0;

  for (size_t i = 0; i < scenario->n_guests; i++) {
    starts_kib += scenario->guests[i].start_kib * scenario->guests[i].count;
    guarantees_kib += scenario->guests[i].config.guarantee_kib * scenario->guests[i].count;
  }
  g_assert_cmpuint(starts_kib, <=, scenario->memory_kib - scenario->reserve_kib);
  g_assert_cmpuint(guarantees_kib, <=, cagma_permille(scenario->memory_kib, 800));
}

static void
test_shipped(void)
{
  g_autofree char *path = source_path("policy/sim/scenarios");
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  const char *name;
  size_t n = 0;

  g_assert_nonnull(dir);
  while ((name = g_dir_read_name(dir))) {
    g_autofree char *file = g_build_filename(path, name, NULL);
    g_autofree char *stem = g_strndup(name, strlen(name) - strlen(".json"));
    g_autoptr(GError) error = NULL;
    g_autoptr(CagmaScenario) scenario = NULL;
    g_autoptr(CagmaScenario) again = NULL;

    g_test_message("%s", name);
    g_assert_true(g_str_has_suffix(name, ".json"));
    scenario = cagma_scenario_load(file, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(scenario->name, ==, stem);
    g_assert_cmpuint(strlen(scenario->description), >, 100);
    assert_fits_its_host(scenario);
    again = assert_reads_back(scenario);
    n++;
  }
  g_assert_cmpuint(n, >=, 12);
}

static void
test_missing_file(void)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(cagma_scenario_load("/nonexistent.json", &error));
  g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
}

/* The manual has every field. */
static void
assert_documented(const CagmaFields *fields, const char *manual)
{
  for (size_t i = 0; i < fields->n; i++) {
    g_autofree char *name = g_strdup_printf("``%s``", fields->field[i].name);

    if (!strstr(manual, name))
      g_error("cagma-scenario(5) lacks %s", name);
    if (fields->field[i].fields)
      assert_documented(fields->field[i].fields, manual);
  }
}

static void
test_manual(void)
{
  g_autofree char *path = source_path("docs/cagma-scenario.5.rst");
  g_autofree char *manual = NULL;

  g_assert_true(g_file_get_contents(path, &manual, NULL, NULL));
  assert_documented(&cagma_scenario_fields, manual);
}

/* The schema says what the tables say: names, types, bounds, defaults, what is required. */

typedef struct {
  JsonObject *definitions;
  size_t n; /* fields compared */
} Schema;

static void compare_object(Schema *schema, const CagmaFields *fields, const void *defaults,
                           JsonObject *object);

static JsonObject *
definition(const Schema *schema, JsonObject *reference)
{
  const char *path = json_object_get_string_member(reference, "$ref");

  g_assert_true(g_str_has_prefix(path, "#/$defs/"));
  return json_object_get_object_member(schema->definitions, path + strlen("#/$defs/"));
}

static void
compare_bound(const CagmaField *field, JsonObject *property, const char *name, uint64_t bound)
{
  g_test_message("%s %s", field->name, name);
  g_assert_cmpfloat(json_object_get_double_member(property, name), ==,
                    (double)bound / (double)cagma_field_scale(field->type));
}

/* Where a default depends on other fields, the schema tells it in words. */
static gboolean
has_plain_default(const CagmaField *field)
{
  static const char *const others[] = { "reserve-mib", "pool-mib", "limit-mib", "start-mib", "headroom-mib" };

  for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
    if (!strcmp(field->name, others[i]))
      return FALSE;
  return !field->required;
}

static void
compare_number(const CagmaField *field, const void *defaults, JsonObject *property)
{
  gboolean whole = field->type == CAGMA_FIELD_COUNT || field->type == CAGMA_FIELD_KIB;

  g_assert_cmpstr(json_object_get_string_member(property, "type"), ==, whole ? "integer" : "number");
  compare_bound(field, property, "minimum", field->low);
  compare_bound(field, property, "maximum", field->high);
  g_assert_cmpint(json_object_has_member(property, "default"), ==, has_plain_default(field));
  if (has_plain_default(field))
    compare_bound(field, property, "default", cagma_field_number(field, defaults));
}

static void
compare_choice(const CagmaField *field, const void *defaults, JsonObject *property)
{
  JsonArray *names = json_object_get_array_member(property, "enum");

  for (guint i = 0; i < json_array_get_length(names); i++)
    g_assert_cmpstr(json_array_get_string_element(names, i), ==, field->name_at(i));
  g_assert_null(field->name_at(json_array_get_length(names)));
  g_assert_cmpint(json_object_has_member(property, "default"), ==, has_plain_default(field));
  if (has_plain_default(field))
    g_assert_cmpstr(json_object_get_string_member(property, "default"), ==,
                    field->name_at((unsigned int)cagma_field_number(field, defaults)));
}

static void
compare_flag(const CagmaField *field, const void *defaults, JsonObject *property)
{
  g_assert_cmpstr(json_object_get_string_member(property, "type"), ==, "boolean");
  g_assert_cmpint(json_object_get_boolean_member(property, "default"), ==,
                  cagma_field_number(field, defaults) != 0);
}

static void
compare_counted(const CagmaField *field, JsonObject *property, const char *type, const char *least,
                const char *most)
{
  g_assert_cmpstr(json_object_get_string_member(property, "type"), ==, type);
  g_assert_cmpuint((uint64_t)json_object_get_int_member(property, least), ==, field->low);
  g_assert_cmpuint((uint64_t)json_object_get_int_member(property, most), ==, field->high);
}

static void
compare_list(Schema *schema, const CagmaField *field, JsonObject *property)
{
  g_autofree void *defaults = g_malloc0(field->fields->size);

  compare_counted(field, property, "array", "minItems", "maxItems");
  if (field->fields->init)
    field->fields->init(defaults);
  compare_object(schema, field->fields, defaults,
                 definition(schema, json_object_get_object_member(property, "items")));
  cagma_fields_clear(field->fields, defaults);
}

static void
compare_field(Schema *schema, const CagmaField *field, const void *defaults, JsonObject *property)
{
  schema->n++;
  switch (field->type) {
  case CAGMA_FIELD_TEXT:
    compare_counted(field, property, "string", "minLength", "maxLength");
    return;
  case CAGMA_FIELD_FLAG:
    compare_flag(field, defaults, property);
    return;
  case CAGMA_FIELD_CHOICE:
    compare_choice(field, defaults, property);
    return;
  case CAGMA_FIELD_OBJECT:
    compare_object(schema, field->fields, (const char *)defaults + field->offset,
                   definition(schema, property));
    return;
  case CAGMA_FIELD_LIST:
    compare_list(schema, field, property);
    return;
  default:
    compare_number(field, defaults, property);
  }
}

static gboolean
is_required(JsonObject *object, const char *name)
{
  JsonArray *required;

  if (!json_object_has_member(object, "required"))
    return FALSE;
  required = json_object_get_array_member(object, "required");
  for (guint i = 0; i < json_array_get_length(required); i++)
    if (!strcmp(json_array_get_string_element(required, i), name))
      return TRUE;
  return FALSE;
}

static void
compare_object(Schema *schema, const CagmaFields *fields, const void *defaults, JsonObject *object)
{
  JsonObject *properties = json_object_get_object_member(object, "properties");
  size_t version = fields == &cagma_scenario_fields ? 1 : 0;

  g_assert_false(json_object_get_boolean_member_with_default(object, "additionalProperties", TRUE));
  g_assert_cmpuint(json_object_get_size(properties), ==, fields->n + version);
  for (size_t i = 0; i < fields->n; i++) {
    const CagmaField *field = &fields->field[i];

    g_test_message("%s", field->name);
    g_assert_true(json_object_has_member(properties, field->name));
    g_assert_cmpint(is_required(object, field->name), ==, field->required);
    compare_field(schema, field, defaults, json_object_get_object_member(properties, field->name));
  }
}

static void
test_schema(void)
{
  g_autofree char *path = source_path("docs/scenario.schema.json");
  g_autoptr(JsonParser) parser = json_parser_new_immutable();
  g_autoptr(GError) error = NULL;
  CagmaScenario defaults;
  JsonObject *root;
  Schema schema = { 0 };

  json_parser_load_from_file(parser, path, &error);
  g_assert_no_error(error);
  root = json_node_get_object(json_parser_get_root(parser));
  schema.definitions = json_object_get_object_member(root, "$defs");
  cagma_scenario_init(&defaults);
  compare_object(&schema, &cagma_scenario_fields, &defaults, root);
  cagma_scenario_clear(&defaults);
  g_assert_true(is_required(root, "cagma-scenario"));
  g_assert_cmpuint(schema.n, >, 60);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/scenario-json/defaults", test_defaults);
  g_test_add_func("/scenario-json/values", test_values);
  g_test_add_func("/scenario-json/refused", test_refused);
  g_test_add_func("/scenario-json/length", test_length);
  g_test_add_func("/scenario-json/round-trip", test_round_trip);
  g_test_add_func("/scenario-json/round-trip-of-bounds", test_round_trip_of_bounds);
  g_test_add_func("/scenario-json/not-given", test_not_given);
  g_test_add_func("/scenario-json/written", test_written);
  g_test_add_func("/scenario-json/shipped", test_shipped);
  g_test_add_func("/scenario-json/missing-file", test_missing_file);
  g_test_add_func("/scenario-json/manual", test_manual);
  g_test_add_func("/scenario-json/schema", test_schema);
  return g_test_run();
}
