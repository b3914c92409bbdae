/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "plugin/report.h"
#include "policy/units.h"
#include "tests/plugin/kit.h"
#include "xml/status.h"

#define XML                                                                                                  \
  "<domain type='kvm' id='3'><name>guest</name><uuid>11111111-2222-3333-4444-555555555555</uuid>"            \
  "<metadata><cagma:memory xmlns:cagma='urn:cagma:memory:1'>%s</cagma:memory></metadata>"                    \
  "<memory unit='MiB'>1024</memory><devices><memballoon model='virtio'/></devices></domain>"
#define T0 (1000 * CAGMA_SECOND_US)

typedef struct {
  CagmaManaged *managed;
  CagmaConf *conf;
  CagmaHost host;
  CagmaPlan plan;
  CagmaDomain *domains[1];
} Fixture;

static void
describe(Fixture *f, const char *inner)
{
  g_autofree char *text = g_strdup_printf(XML, inner);
  g_autoptr(GError) error = NULL;
  CagmaDomainXml *xml = cagma_domain_xml_parse(text, -1, &f->conf->defaults, &error);

  g_assert_no_error(error);
  cagma_managed_describe(f->managed, xml, FALSE, f->conf);
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  (void)unused;
  f->conf = cagma_conf_new();
  f->managed = cagma_managed_new("11111111-2222-3333-4444-555555555555", "guest", 3, T0);
  f->domains[0] = &f->managed->policy;
  f->host = (CagmaHost){ .budget = CAGMA_BUDGET_FIXED,
                         .budget_kib = CAGMA_GIB(4),
                         .period_us = CAGMA_SECOND_US,
                         .domains = f->domains,
                         .n_domains = 1 };
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  (void)unused;
  cagma_plan_clear(&f->plan);
  cagma_managed_free(f->managed);
  cagma_conf_free(f->conf);
}

static void
decide(Fixture *f)
{
  cagma_decide(&f->host, T0, &f->plan);
  f->managed->decision = f->plan.decisions[0];
  f->managed->decided = TRUE;
}

static char *
reason(Fixture *f)
{
  return cagma_report_reason(f->managed);
}

static void
test_states(Fixture *f, gconstpointer unused)
{
  g_autofree char *unknown = reason(f);
  g_autofree char *undecided = NULL;
  g_autofree char *decided = NULL;
  g_autofree char *wrong = NULL;

  (void)unused;
  kit_assert_has(unknown, "not described");
  g_assert_cmpint(cagma_report_state(f->managed), ==, CAGMA_STATE_STEADY);
  g_assert_false(cagma_report_is_due(f->managed, T0));

  describe(f, "");
  undecided = reason(f);
  kit_assert_has(undecided, "nothing is decided yet");
  g_assert_false(cagma_report_is_due(f->managed, T0));

  decide(f);
  decided = reason(f);
  kit_assert_has(decided, "not reported");
  g_assert_cmpint(cagma_report_state(f->managed), ==, CAGMA_STATE_BLIND);

  describe(f, "<cagma:shares>lots</cagma:shares>");
  wrong = reason(f);
  kit_assert_has(wrong, "shares");
  kit_assert_has(wrong, "lots");
  g_assert_cmpint(cagma_report_state(f->managed), ==, CAGMA_STATE_INVALID);
}

/* A decision says why it was made, whatever has become of the domain and its neighbours. */
static void
test_explanation_is_of_the_last_decision(Fixture *f, gconstpointer unused)
{
  g_autofree char *undecided = cagma_report_explanation(f->managed, &f->plan.verdict);
  g_autofree char *decided = NULL;
  g_autofree char *later = NULL;
  g_autofree char *wrong = NULL;

  (void)unused;
  g_assert_cmpstr(undecided, ==, "steady: just found; libvirt has not described it yet.\n");
  describe(f, "");
  decide(f);
  decided = cagma_report_explanation(f->managed, &f->plan.verdict);
  kit_assert_has(decided, "blind: its guest has not reported");
  kit_assert_has(decided, "\nplan: nothing to set");

  cagma_plan_clear(&f->plan);
  f->managed->policy.hold = "is paused";
  f->managed->policy.max_kib = 5;
  later = cagma_report_explanation(f->managed, &f->plan.verdict);
  kit_assert_has(later, "blind: its guest has not reported");
  kit_assert_has(later, "its memory is 1024 MiB");

  describe(f, "<cagma:shares>lots</cagma:shares>");
  wrong = cagma_report_explanation(f->managed, &f->plan.verdict);
  kit_assert_has(wrong, "invalid: ");
}

static void
test_due(Fixture *f, gconstpointer unused)
{
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;

  (void)unused;
  describe(f, "");
  decide(f);
  g_assert_true(cagma_report_is_due(f->managed, T0));
  first = cagma_report_status(f->managed, "because", T0);
  g_assert_false(cagma_report_is_due(f->managed, T0 + 60 * CAGMA_SECOND_US));

  /* A change counts, but not at once. */
  f->managed->decision.why = CAGMA_WHY_ENOUGH;
  g_assert_false(cagma_report_is_due(f->managed, T0 + 9 * CAGMA_SECOND_US));
  g_assert_true(cagma_report_is_due(f->managed, T0 + 10 * CAGMA_SECOND_US));
  second = cagma_report_status(f->managed, "because", T0 + 10 * CAGMA_SECOND_US);
  f->managed->policy.target_kib = 5;
  g_assert_false(cagma_report_is_due(f->managed, T0 + 11 * CAGMA_SECOND_US));
  g_assert_true(cagma_report_is_due(f->managed, T0 + 20 * CAGMA_SECOND_US));

  /* No longer managed: what was written goes. */
  f->managed->policy.managed = FALSE;
  g_assert_true(cagma_report_is_due(f->managed, T0 + 20 * CAGMA_SECOND_US));
  f->managed->status_written = FALSE;
  g_assert_false(cagma_report_is_due(f->managed, T0 + 40 * CAGMA_SECOND_US));
}

static void
test_document(Fixture *f, gconstpointer unused)
{
  g_autoptr(CagmaStatus) status = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;

  (void)unused;
  describe(f, "<cagma:guarantee unit='MiB'>300</cagma:guarantee>");
  decide(f);
  f->managed->policy.target_kib = CAGMA_MIB(700);
  f->managed->policy.actual_kib = CAGMA_MIB(600);
  f->managed->change_kib = -(int64_t)CAGMA_MIB(100);
  f->managed->changed = g_strdup("2026-11-21T12:00:00Z");
  text = cagma_report_status(f->managed, "hostile \033[2J <reason> & \xff", T0);
  status = cagma_status_parse(text, -1, &error);
  g_assert_no_error(error);
  g_assert_cmpint(status->state, ==, CAGMA_STATE_BLIND);
  g_assert_cmpuint(status->target_kib, ==, CAGMA_MIB(700));
  g_assert_cmpuint(status->actual_kib, ==, CAGMA_MIB(600));
  g_assert_cmpuint(status->guarantee_kib, ==, CAGMA_MIB(300));
  g_assert_cmpuint(status->limit_kib, ==, CAGMA_GIB(1));
  g_assert_cmpint(status->change_kib, ==, -(int64_t)CAGMA_MIB(100));
  g_assert_cmpstr(status->changed, ==, "2026-11-21T12:00:00Z");
  g_assert_cmpstr(status->source, ==, "none");
  g_assert_false(status->have_available);
  g_assert_null(strchr(status->reason, '\033'));
  kit_assert_has(status->reason, "<reason> &");
}

static void
test_info_leaves_out_what_is_unknown(Fixture *f, gconstpointer unused)
{
  g_autoptr(GVariant) bare = g_variant_ref_sink(cagma_report_info(f->managed, "r\xff"));
  g_autoptr(GVariant) described = NULL;
  g_autoptr(GVariant) maximum = NULL;
  g_autoptr(GVariant) used = NULL;
  const char *text;

  (void)unused;
  g_assert_cmpuint(g_variant_n_children(bare), ==, 4);
  g_assert_true(g_variant_lookup(bare, "reason", "&s", &text));
  g_assert_true(g_utf8_validate(text, -1, NULL));
  describe(f, "");
  described = g_variant_ref_sink(cagma_report_info(f->managed, "r"));
  maximum = g_variant_lookup_value(described, "maximum-kib", G_VARIANT_TYPE_UINT64);
  used = g_variant_lookup_value(described, "used-kib", NULL);
  g_assert_nonnull(maximum);
  g_assert_null(used);
}

static void
test_now(Fixture *f, gconstpointer unused)
{
  g_autofree char *now = cagma_report_now();
  g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(now, NULL);

  (void)f;
  (void)unused;
  g_assert_nonnull(time);
  g_assert_cmpuint(strlen(now), ==, strlen("2026-11-21T12:00:00Z"));
  g_assert_cmpint(ABS(g_date_time_to_unix(time) - g_get_real_time() / G_USEC_PER_SEC), <, 60);
}

int
main(int argc, char **argv)
{
  kit_init(&argc, &argv);
  g_test_add("/report/states", Fixture, NULL, set_up, test_states, tear_down);
  g_test_add("/report/explanation", Fixture, NULL, set_up, test_explanation_is_of_the_last_decision,
             tear_down);
  g_test_add("/report/due", Fixture, NULL, set_up, test_due, tear_down);
  g_test_add("/report/document", Fixture, NULL, set_up, test_document, tear_down);
  g_test_add("/report/info-leaves-out-what-is-unknown", Fixture, NULL, set_up,
             test_info_leaves_out_what_is_unknown, tear_down);
  g_test_add("/report/now", Fixture, NULL, set_up, test_now, tear_down);
  return g_test_run();
}
