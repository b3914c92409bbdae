/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "plugin/conf.h"
#include "policy/rules.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"

/* cagmad.conf: what is said of it, right and wrong. */

static CagmaConf *
parsed(const char *text)
{
  g_autoptr(GError) error = NULL;
  CagmaConf *conf = cagma_conf_parse(text, -1, &error);

  g_assert_no_error(error);
  return conf;
}

static void
test_defaults(void)
{
  g_autoptr(CagmaConf) conf = parsed("");

  g_assert_cmpstr(conf->uri, ==, "qemu:///system");
  g_assert_cmpint(conf->budget, ==, CAGMA_BUDGET_AUTO);
  g_assert_cmpuint(conf->reserve_permille, ==, 50);
  g_assert_cmpuint(conf->pool_permille, ==, 20);
  g_assert_cmpint(conf->policy, ==, CAGMA_POLICY_CAGMA);
  g_assert_cmpint(conf->defaults.source, ==, CAGMA_SOURCE_DEFICIT);
  g_assert_cmpint(conf->period_us, ==, 3 * CAGMA_SECOND_US);
  g_assert_cmpint(conf->surplus, ==, CAGMA_SURPLUS_LEAVE);
  g_assert_true(conf->overhead_auto);
  g_assert_false(conf->manage_all);
  g_assert_false(conf->hook_strict);
  g_assert_true(conf->read_back);
  g_assert_cmpuint(conf->without, ==, 0);
  g_assert_cmpuint(conf->defaults.guarantee_kib, ==, CAGMA_MIB(256));
}

static void
test_everything(void)
{
  g_autoptr(CagmaConf) conf =
      parsed("# a comment\n[host]\nuri = test:///default \nbudget=48GiB\nreserve=2 GiB\nperiod=500ms\n"
             "surplus=reclaim\noverhead=64MiB\npool=1 "
             "GiB\npolicy=cagma-classic\nread-back=no\nwithout=emergency, "
             "foreseen\n\n[defaults]\nmanage=all\nmode=observe\n"
             "estimator=static\nguarantee=1GiB\nshares=0\nheadroom=128MiB\n[hook]\nstrict=yes\n");

  g_assert_cmpstr(conf->uri, ==, "test:///default");
  g_assert_cmpint(conf->budget, ==, CAGMA_BUDGET_FIXED);
  g_assert_cmpuint(conf->budget_kib, ==, CAGMA_GIB(48));
  g_assert_cmpuint(conf->reserve_kib, ==, CAGMA_GIB(2));
  g_assert_cmpuint(conf->reserve_permille, ==, 0);
  g_assert_cmpint(conf->period_us, ==, CAGMA_SECOND_US / 2);
  g_assert_cmpint(conf->surplus, ==, CAGMA_SURPLUS_RECLAIM);
  g_assert_cmpuint(conf->pool_kib, ==, CAGMA_GIB(1));
  g_assert_cmpuint(conf->pool_permille, ==, 0);
  g_assert_cmpint(conf->policy, ==, CAGMA_POLICY_CLASSIC);
  g_assert_cmpint(conf->defaults.source, ==, CAGMA_SOURCE_MAX);
  g_assert_cmpuint(conf->defaults.given, ==, 0);
  g_assert_false(conf->overhead_auto);
  g_assert_cmpuint(conf->overhead_kib, ==, CAGMA_MIB(64));
  g_assert_true(conf->manage_all);
  g_assert_cmpint(conf->defaults.mode, ==, CAGMA_MODE_OBSERVE);
  g_assert_cmpint(conf->defaults.estimator, ==, CAGMA_ESTIMATOR_STATIC);
  g_assert_cmpuint(conf->defaults.guarantee_kib, ==, CAGMA_GIB(1));
  g_assert_cmpuint(conf->defaults.shares, ==, 0);
  g_assert_cmpuint(conf->defaults.headroom_kib, ==, CAGMA_MIB(128));
  g_assert_cmpuint(conf->defaults.headroom_permille, ==, 0);
  g_assert_true(conf->hook_strict);
  g_assert_false(conf->read_back);
  g_assert_cmpuint(conf->without, ==, CAGMA_RULE_EMERGENCY | CAGMA_RULE_FORESEEN);
}

/* Whichever policy was named last, the source is its own; and no pool is a pool of nothing. */
static void
test_policy_brings_its_source(void)
{
  g_autoptr(CagmaConf) conf = parsed("[host]\npolicy=cagma-classic\npolicy=cagma\npool=0\n");

  g_assert_cmpint(conf->policy, ==, CAGMA_POLICY_CAGMA);
  g_assert_cmpint(conf->defaults.source, ==, CAGMA_SOURCE_DEFICIT);
  g_assert_cmpuint(conf->pool_permille, ==, 0);
  g_assert_cmpuint(conf->pool_kib, ==, 0);
}

/* As GKeyFile has it, and systemd. */
static void
test_last_of_two_holds(void)
{
  g_autoptr(CagmaConf) conf =
      parsed("[host]\nperiod=1s\nperiod=2s\nwithout=pool\nwithout=\n[hook]\n[host]\nreserve=7%\n");

  g_assert_cmpint(conf->period_us, ==, 2 * CAGMA_SECOND_US);
  g_assert_cmpuint(conf->reserve_permille, ==, 70);
  g_assert_cmpuint(conf->without, ==, 0);
}

static void
test_bad(void)
{
  static const struct {
    const char *text;
    const char *says[3];
  } cases[] = {
    { "[hosts]\nuri=x\n", { "no such group", "[hosts]" } },
    { "[hosts]\n", { "no such group", "[hosts]" } },
    { "[host]\nurl=x\n", { "[host]", "no key", "'url'" } },
    { "[host]\nstrict=yes\n", { "[host]", "no key", "'strict'" } },
    { "uri=x\n", { "" } },
    { "[host\n", { "" } },
    { "[host]\nnonsense\n", { "nonsense" } },
    { "[host]\nuri=\n", { "[host] uri=''", "libvirt URI" } },
    { "[host]\nbudget=\n", { "[host] budget=''" } },
    { "[host]\nbudget=0\n", { "[host] budget='0'", "above 0" } },
    { "[host]\nbudget=12 parsecs\n", { "budget='12 parsecs'", "parsecs" } },
    { "[host]\nbudget=-1GiB\n", { "budget='-1GiB'" } },
    { "[host]\nbudget=1.5GiB\n", { "budget='1.5GiB'" } },
    { "[host]\nbudget=99999999999GiB\n", { "budget=" } },
    { "[host]\nbudget=99999999999999999999999999\n", { "budget=" } },
    { "[host]\nreserve=91%\n", { "reserve='91%'" } },
    { "[host]\nreserve=-5%\n", { "reserve='-5%'" } },
    { "[host]\nreserve=5%%\n", { "reserve='5%%'" } },
    { "[host]\nreserve=%\n", { "reserve='%'" } },
    { "[host]\nperiod=0\n", { "period='0'", "100 ms", "1 hour" } },
    { "[host]\nperiod=99ms\n", { "period='99ms'", "between 100 ms and 1 hour" } },
    { "[host]\nperiod=3601s\n", { "period='3601s'", "1 hour" } },
    { "[host]\nperiod=99999999999999999999\n", { "period=" } },
    { "[host]\nperiod=-1\n", { "period='-1'", "3s or 500ms" } },
    { "[host]\nperiod=3m\n", { "period='3m'", "3s or 500ms" } },
    { "[host]\nperiod=s\n", { "period='s'" } },
    { "[host]\nperiod=1 s\n", { "period='1 s'" } },
    { "[host]\nsurplus=keep\n", { "surplus='keep'", "leave or reclaim" } },
    { "[host]\nsurplus=Leave\n", { "surplus='Leave'", "leave or reclaim" } },
    { "[host]\noverhead=lots\n", { "overhead='lots'" } },
    { "[host]\npool=91%\n", { "pool='91%'" } },
    { "[host]\npool=-1%\n", { "pool='-1%'" } },
    { "[host]\npool=some\n", { "pool='some'" } },
    { "[host]\npolicy=mom\n", { "policy='mom'", "expected cagma, cagma-classic, baruchi, vmmb or static" } },
    { "[host]\npolicy=classic\n", { "policy='classic'", "cagma-classic" } },
    { "[host]\nread-back=on\n", { "read-back='on'", "yes or no" } },
    { "[host]\nwithout=magic\n",
      { "without='magic'", "expected rules with commas between: foreseen,", "deadband" } },
    { "[host]\nwithout=pool,,spread\n", { "without='pool,,spread'" } },
    { "[host]\nwithout=pool;spread\n", { "without='pool;spread'" } },
    { "[defaults]\nmanage=none\n", { "manage='none'", "configured", "all" } },
    { "[defaults]\nmode=on\n", { "mode='on'", "enforce, observe or off" } },
    { "[defaults]\nestimator=magic\n", { "estimator='magic'", "critical, loadavg, missratio or static" } },
    { "[defaults]\nguarantee=some\n", { "guarantee='some'" } },
    { "[defaults]\nshares=-1\n", { "shares='-1'" } },
    { "[defaults]\nshares=1000001\n", { "shares='1000001'", "1000000" } },
    { "[defaults]\nshares=1e3\n", { "shares='1e3'" } },
    { "[defaults]\nheadroom=101%\n", { "headroom='101%'" } },
    { "[defaults]\nheadroom=10 per cent\n", { "headroom=" } },
    { "[hook]\nstrict=true\n", { "strict='true'", "yes or no" } },
    { "[hook]\nstrict=1\n", { "strict='1'", "yes or no" } },
    { "[host]\nuri=\xff\xfe\n", { "uri", "UTF-8" } },
    { "\xff\xfe\x01\x02", { "" } },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    CagmaConf *conf = cagma_conf_parse(cases[i].text, -1, &error);

    if (conf)
      g_error("accepted: %s", cases[i].text);
    g_assert_nonnull(error);
    for (size_t k = 0; k < G_N_ELEMENTS(cases[i].says) && cases[i].says[k]; k++)
      kit_assert_has(error->message, cases[i].says[k]);
  }
}

/* It is printed on terminals and into logs. */
static void
test_messages_are_printable(void)
{
  static const char *const cases[] = {
    "[host]\nperiod=\033[2J\n",
    "[host]\n\302\233x=1\n",
    "[e\302\233vil]\nx=1\n",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;

    g_assert_null(cagma_conf_parse(cases[i], -1, &error));
    g_assert_null(strchr(error->message, '\033'));
    g_assert_null(strstr(error->message, "\302\233"));
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
  }
}

static void
test_long_values_are_cut(void)
{
  g_autofree char *value = g_strnfill(20000, 'x');
  g_autofree char *text = g_strdup_printf("[host]\nperiod=%s\n", value);
  g_autoptr(GError) error = NULL;

  g_assert_null(cagma_conf_parse(text, -1, &error));
  g_assert_cmpuint(strlen(error->message), <, 500);
}

static void
test_binary_junk(void)
{
  g_autoptr(GRand) random = g_rand_new_with_seed(1);

  for (int turn = 0; turn < 2000; turn++) {
    char junk[256];
    gssize len = g_rand_int_range(random, 1, sizeof junk);
    g_autoptr(GError) error = NULL;

    for (gssize i = 0; i < len; i++)
      junk[i] = (char)g_rand_int_range(random, 0, 256);
    /* Never a configuration that says something: there is no group in it. */
    junk[0] = '=';
    g_assert_null(cagma_conf_parse(junk, len, &error));
    g_assert_nonnull(error);
  }
}

static void
test_load(void)
{
  char *dir = kit_tmpdir();
  g_autofree char *missing = g_build_filename(dir, "missing", NULL);
  g_autofree char *good = kit_write(dir, "good", "[host]\nperiod=7s\n", -1);
  g_autofree char *bad = kit_write(dir, "bad", "[host]\nperiod=x\n", -1);
  g_autofree char *filling = g_strnfill(64 * 1024, '#');
  g_autofree char *huge = kit_write(dir, "huge", filling, -1);
  g_autofree char *huger_text = g_strconcat(filling, "#", NULL);
  g_autofree char *huger = kit_write(dir, "huger", huger_text, -1);
  g_autoptr(GError) error = NULL;
  CagmaConf *conf;

  conf = cagma_conf_load(missing, FALSE, &error);
  g_assert_no_error(error);
  cagma_conf_free(conf);
  g_assert_null(cagma_conf_load(missing, TRUE, &error));
  g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_clear_error(&error);
  /* What is there and can't be read isn't passed over. */
  g_assert_null(cagma_conf_load(dir, FALSE, &error));
  g_assert_nonnull(error);
  g_clear_error(&error);

  conf = cagma_conf_load(good, TRUE, &error);
  g_assert_no_error(error);
  g_assert_cmpint(conf->period_us, ==, 7 * CAGMA_SECOND_US);
  cagma_conf_free(conf);

  g_assert_null(cagma_conf_load(bad, FALSE, &error));
  kit_assert_has(error->message, bad);
  kit_assert_has(error->message, "period='x'");
  g_clear_error(&error);

  conf = cagma_conf_load(huge, FALSE, &error);
  g_assert_no_error(error);
  cagma_conf_free(conf);
  g_assert_null(cagma_conf_load(huger, FALSE, &error));
  kit_assert_has(error->message, "larger than 65536 bytes");
  kit_remove(dir);
}

static void
test_policy_brings_its_estimator(void)
{
  static const struct {
    const char *text;
    CagmaPolicyKind policy;
    CagmaEstimatorKind estimator;
  } cases[] = {
    { "[host]\npolicy=cagma\n", CAGMA_POLICY_CAGMA, CAGMA_ESTIMATOR_CRITICAL },
    { "[host]\npolicy=baruchi\n", CAGMA_POLICY_BARUCHI, CAGMA_ESTIMATOR_LOADAVG },
    { "[host]\npolicy=vmmb\n", CAGMA_POLICY_VMMB, CAGMA_ESTIMATOR_MISSRATIO },
    { "[host]\npolicy=static\n", CAGMA_POLICY_STATIC, CAGMA_ESTIMATOR_STATIC },
    { "[host]\npolicy=vmmb\npolicy=cagma\n", CAGMA_POLICY_CAGMA, CAGMA_ESTIMATOR_CRITICAL },
    /* What the operator chose stays, wherever it stands. */
    { "[host]\npolicy=vmmb\n[defaults]\nestimator=loadavg\n", CAGMA_POLICY_VMMB, CAGMA_ESTIMATOR_LOADAVG },
    { "[defaults]\nestimator=critical\n[host]\npolicy=vmmb\n", CAGMA_POLICY_VMMB, CAGMA_ESTIMATOR_CRITICAL },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(CagmaConf) conf = parsed(cases[i].text);

    g_assert_cmpint(conf->policy, ==, cases[i].policy);
    g_assert_cmpint(conf->defaults.estimator, ==, cases[i].estimator);
  }
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add_func("/conf/defaults", test_defaults);
  g_test_add_func("/conf/everything", test_everything);
  g_test_add_func("/conf/last-of-two-holds", test_last_of_two_holds);
  g_test_add_func("/conf/policy-brings-its-source", test_policy_brings_its_source);
  g_test_add_func("/conf/policy-brings-its-estimator", test_policy_brings_its_estimator);
  g_test_add_func("/conf/bad", test_bad);
  g_test_add_func("/conf/messages-are-printable", test_messages_are_printable);
  g_test_add_func("/conf/long-values-are-cut", test_long_values_are_cut);
  g_test_add_func("/conf/binary-junk", test_binary_junk);
  g_test_add_func("/conf/load", test_load);
  return g_test_run();
}
