/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/xml/assert.h"
#include "xml/domain.h"
#include "xml/memory.h"
#include "xml/status.h"

/* Documents meant to harm, given to all three parsers. */

typedef gboolean (*Parser)(const char *xml, gssize len, GError **error);

static gboolean
parse_memory(const char *xml, gssize len, GError **error)
{
  CagmaConfig config;

  return cagma_memory_parse(xml, len, NULL, &config, error);
}

static gboolean
parse_status(const char *xml, gssize len, GError **error)
{
  g_autoptr(CagmaStatus) status = cagma_status_parse(xml, len, error);

  return status != NULL;
}

static gboolean
parse_domain(const char *xml, gssize len, GError **error)
{
  g_autoptr(CagmaDomainXml) domain = cagma_domain_xml_parse(xml, len, NULL, error);

  return domain != NULL;
}

static const struct {
  const char *root;
  Parser parse;
  const char *full_example;
} parsers[] = {
  { "memory", parse_memory, "../../xml/examples/memory-full.xml" },
  { "status", parse_status, "../../xml/examples/status-full.xml" },
  { "domain", parse_domain, "../../xml/examples/domain.xml" },
};

/* format holds one %s for the root element's name, thrice. */
static void
assert_all_refuse(const char *format, int code, const char *says)
{
  for (size_t i = 0; i < G_N_ELEMENTS(parsers); i++) {
    g_auto(GStrv) parts = g_strsplit(format, "ROOT", -1);
    g_autofree char *xml = g_strjoinv(parsers[i].root, parts);
    g_autoptr(GError) error = NULL;
    g_assert_false(parsers[i].parse(xml, -1, &error));
    g_assert_error(error, CAGMA_XML_ERROR, code);
    assert_says(error, says);
  }
}

static void
doctypes_are_refused_where_they_begin(void)
{
  static const char *const documents[] = {
    "<!DOCTYPE ROOT><ROOT/>",
    "<?xml version='1.0'?>\n<!-- x --><!DOCTYPE ROOT [ ]><ROOT/>",
    "<!DOCTYPE ROOT [<!ENTITY a 'x'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;'>"
    "<!ENTITY d '&c;&c;&c;&c;&c;&c;&c;'><!ENTITY e '&d;&d;&d;&d;&d;&d;&d;'><!ENTITY f "
    "'&e;&e;&e;&e;&e;&e;&e;'>]>"
    "<ROOT a='&f;'>&f;</ROOT>",
    "<!DOCTYPE ROOT [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><ROOT>&x;</ROOT>",
    "<!DOCTYPE ROOT SYSTEM 'file:///etc/passwd'><ROOT/>",
    "<!DOCTYPE ROOT PUBLIC '-//X//Y' 'http://192.0.2.1/x.dtd'><ROOT/>",
    "<!DOCTYPE ROOT [<!ENTITY % x SYSTEM 'http://192.0.2.1/x.ent'> %x;]><ROOT/>",
    "<!DOCTYPE ROOT [<!ATTLIST ROOT mode CDATA 'enforce'>]><ROOT/>",
    "<!DOCTYPE ROOT [<!ENTITY unfinished",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(documents); i++)
    assert_all_refuse(documents[i], CAGMA_XML_ERROR_REFUSED, "a DOCTYPE is not allowed");
}

static void
undeclared_entities_are_errors(void)
{
  assert_all_refuse("<ROOT>&x;</ROOT>", CAGMA_XML_ERROR_SYNTAX, "Entity 'x' not defined");
  assert_all_refuse("<ROOT a='&x;'/>", CAGMA_XML_ERROR_SYNTAX, "Entity 'x' not defined");
  assert_all_refuse("<ROOT>&#0;</ROOT>", CAGMA_XML_ERROR_SYNTAX, "XML error in line 1: ");
  assert_all_refuse("<ROOT>&#x1b;</ROOT>", CAGMA_XML_ERROR_SYNTAX, "XML error in line 1: ");
}

static void
inclusions_are_not_followed(void)
{
  g_autoptr(GError) error = NULL;

  g_assert_false(parse_memory("<memory><shares><x:include xmlns:x='http://www.w3.org/2001/XInclude' "
                              "href='/etc/passwd' parse='text'/></shares></memory>",
                              -1, &error));
  assert_says(error, "unknown element 'include' in 'shares'");
}

static void
what_is_not_well_formed_says_where(void)
{
  assert_all_refuse("", CAGMA_XML_ERROR_SYNTAX, "XML error in line 1: ");
  assert_all_refuse(" \n ", CAGMA_XML_ERROR_SYNTAX, "XML error in line");
  assert_all_refuse("ROOT", CAGMA_XML_ERROR_SYNTAX, "XML error in line 1: ");
  assert_all_refuse("<ROOT>\n<a>\n</b></ROOT>", CAGMA_XML_ERROR_SYNTAX,
                    "XML error in line 3: Opening and ending tag");
  assert_all_refuse("<ROOT/><ROOT/>", CAGMA_XML_ERROR_SYNTAX, "Extra content at the end");
  assert_all_refuse("<ROOT a='1' a='2'/>", CAGMA_XML_ERROR_SYNTAX, "Attribute a redefined");
  assert_all_refuse("<x:ROOT/>", CAGMA_XML_ERROR_SYNTAX, "Namespace prefix x");
}

static void
nesting_is_bounded(void)
{
  static const int depths[] = { 65, 100, 255, 10000 };

  for (size_t i = 0; i < G_N_ELEMENTS(depths); i++) {
    g_autoptr(GString) xml = g_string_new("<ROOT>");
    for (int j = 1; j < depths[i]; j++)
      g_string_append(xml, "<a>");
    for (int j = 1; j < depths[i]; j++)
      g_string_append(xml, "</a>");
    g_string_append(xml, "</ROOT>");
    for (size_t p = 0; p < G_N_ELEMENTS(parsers); p++) {
      g_auto(GStrv) parts = g_strsplit(xml->str, "ROOT", -1);
      g_autofree char *text = g_strjoinv(parsers[p].root, parts);
      g_autoptr(GError) error = NULL;
      g_assert_false(parsers[p].parse(text, -1, &error));
      /* The deepest meet a limit of size, libxml2 or our own first. */
      assert_says(error, depths[i] < 256                 ? "elements are nested too deeply (at most 64)"
                         : strlen(text) > 65536 && p < 2 ? "is too large"
                                                         : "epth");
    }
  }
}

static void
a_domain_may_be_as_deep_as_allowed(void)
{
  g_autoptr(GString) xml = g_string_new("<domain type='kvm'><name>a</name><memory>1</memory>");

  for (int i = 1; i < 64; i++)
    g_string_append(xml, "<a>");
  g_string_append(xml, "text");
  for (int i = 1; i < 64; i++)
    g_string_append(xml, "</a>");
  g_string_append(xml, "</domain>");
  g_assert_true(parse_domain(xml->str, -1, NULL));
}

static void
size_is_bounded(void)
{
  static const gsize limits[] = { 64 * 1024, 64 * 1024, 4 * 1024 * 1024 };

  for (size_t i = 0; i < G_N_ELEMENTS(parsers); i++) {
    g_autofree char *example = g_strchomp(read_source(parsers[i].full_example));
    const gsize length = strlen(example);
    g_autofree char *padded = g_strnfill(limits[i] + 1, ' ');
    g_autoptr(GError) error = NULL;

    memcpy(padded, example, length);
    g_assert_true(parsers[i].parse(padded, (gssize)limits[i], NULL));
    g_assert_false(parsers[i].parse(padded, (gssize)limits[i] + 1, &error));
    g_assert_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_REFUSED);
    assert_says(error, "is too large (at most");
  }
}

static void
five_mib_of_text_are_refused(void)
{
  g_autofree char *text = g_strnfill(5 * 1024 * 1024, 'x');
  g_autofree char *xml = g_strdup_printf("<ROOT>%s</ROOT>", text);

  assert_all_refuse(xml, CAGMA_XML_ERROR_REFUSED, "is too large");
}

static void
long_values_make_short_messages(void)
{
  g_autofree char *text = g_strnfill(60000, 'x');
  static const char *const documents[] = {
    "<%s/>",
    "<memory mode='%s'/>",
    "<memory %s='1'/>",
    "<memory><%s/></memory>",
    "<memory>%s</memory>",
    "<memory><limit>%s</limit></memory>",
    "<memory><limit unit='%s'>1</limit></memory>",
    "<memory xmlns='%s'/>",
    "<memory><critical rate='%s'/></memory>",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(documents); i++) {
    g_auto(GStrv) parts = g_strsplit(documents[i], "%s", -1);
    g_autofree char *xml = g_strjoinv(text, parts);
    g_autoptr(GError) error = NULL;
    g_assert_false(parse_memory(xml, -1, &error));
    g_assert_cmpuint(strlen(error->message), <, 400);
  }
}

static void
nul_bytes_are_refused(void)
{
  static const char after_root[] = "<memory/>\0<garbage";
  static const char within[] = "<memory><shares>1\0</shares></memory>";
  g_autoptr(GError) first = NULL;
  g_autoptr(GError) second = NULL;

  g_assert_false(parse_memory(after_root, sizeof(after_root) - 1, &first));
  assert_says(first, "byte 9 is not valid UTF-8");
  g_assert_false(parse_memory(within, sizeof(within) - 1, &second));
  assert_says(second, "byte 17 is not valid UTF-8");
}

static void
only_utf8_is_read(void)
{
  /* Bytes that another encoding, if it were believed, would make a valid document of. */
  static const char utf16[] = "\xFF\xFE<\0m\0e\0m\0o\0r\0y\0/\0>\0";
  static const char utf7[] = "<?xml version='1.0' encoding='UTF-7'?>+ADw-memory/+AD4-";
  g_autoptr(GError) error = NULL;

  assert_all_refuse("<ROOT a='\xFF'/>", CAGMA_XML_ERROR_SYNTAX, "is not valid UTF-8");
  assert_all_refuse("<ROOT>\xC0\x80</ROOT>", CAGMA_XML_ERROR_SYNTAX, "is not valid UTF-8");
  assert_all_refuse("<ROOT>\xED\xA0\x80</ROOT>", CAGMA_XML_ERROR_SYNTAX, "is not valid UTF-8");
  g_assert_false(parse_memory(utf16, sizeof(utf16) - 1, &error));
  assert_says(error, "byte 0 is not valid UTF-8");
  g_assert_false(parse_memory(utf7, -1, NULL));
}

static void
every_truncation_is_an_error(void)
{
  for (size_t i = 0; i < G_N_ELEMENTS(parsers); i++) {
    g_autofree char *example = g_strchomp(read_source(parsers[i].full_example));
    const gsize length = strlen(example);

    g_assert_true(parsers[i].parse(example, (gssize)length, NULL));
    for (gsize cut = 0; cut < length; cut++) {
      /* A copy of just these bytes: a read beyond them is one beyond the allocation. */
      g_autofree char *part = g_memdup2(example, cut);
      g_autoptr(GError) error = NULL;
      g_assert_false(parsers[i].parse(cut ? part : "", (gssize)cut, &error));
      g_assert_error(error, CAGMA_XML_ERROR, CAGMA_XML_ERROR_SYNTAX);
    }
  }
}

static void
every_changed_byte_is_survived(void)
{
  static const char replacements[] = { '\0', '<', '>', '&', '\'', '/', '\xFF', ' ', '9' };

  for (size_t i = 0; i < G_N_ELEMENTS(parsers); i++) {
    g_autofree char *example = read_source(parsers[i].full_example);
    const gsize length = strlen(example);

    for (gsize at = 0; at < length; at++) {
      for (size_t r = 0; r < sizeof(replacements); r++) {
        g_autofree char *changed = g_memdup2(example, length);
        g_autoptr(GError) error = NULL;
        changed[at] = replacements[r];
        /* Either verdict may be right; a refusal always has its reason. */
        const gboolean accepted = parsers[i].parse(changed, (gssize)length, &error);
        g_assert_true(accepted == (error == NULL));
      }
    }
  }
}

static void
nothing_is_printed(void)
{
  if (g_test_subprocess()) {
    doctypes_are_refused_where_they_begin();
    undeclared_entities_are_errors();
    what_is_not_well_formed_says_where();
    only_utf8_is_read();
    return;
  }
  g_test_trap_subprocess(NULL, 0, 0);
  g_test_trap_assert_passed();
  g_test_trap_assert_stderr("");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/hostile/doctypes-are-refused-where-they-begin", doctypes_are_refused_where_they_begin);
  g_test_add_func("/hostile/undeclared-entities-are-errors", undeclared_entities_are_errors);
  g_test_add_func("/hostile/inclusions-are-not-followed", inclusions_are_not_followed);
  g_test_add_func("/hostile/what-is-not-well-formed-says-where", what_is_not_well_formed_says_where);
  g_test_add_func("/hostile/nesting-is-bounded", nesting_is_bounded);
  g_test_add_func("/hostile/a-domain-may-be-as-deep-as-allowed", a_domain_may_be_as_deep_as_allowed);
  g_test_add_func("/hostile/size-is-bounded", size_is_bounded);
  g_test_add_func("/hostile/five-mib-of-text-are-refused", five_mib_of_text_are_refused);
  g_test_add_func("/hostile/long-values-make-short-messages", long_values_make_short_messages);
  g_test_add_func("/hostile/nul-bytes-are-refused", nul_bytes_are_refused);
  g_test_add_func("/hostile/only-utf8-is-read", only_utf8_is_read);
  g_test_add_func("/hostile/every-truncation-is-an-error", every_truncation_is_an_error);
  g_test_add_func("/hostile/every-changed-byte-is-survived", every_changed_byte_is_survived);
  g_test_add_func("/hostile/nothing-is-printed", nothing_is_printed);
  return g_test_run();
}
