/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-glib/json-glib.h>
#include <libxml/parser.h>
#include <string.h>

#include "plugin/conf.h"
#include "plugin/ctl.h"
#include "plugin/scenario-json.h"
#include "plugin/slurp.h"
#include "xml/domain.h"
#include "xml/error.h"
#include "xml/memory.h"
#include "xml/status.h"

/* cagmactl check FILE…: judges files without a daemon. What a file is, its first
 * element tells; what isn't XML is a scenario where it begins as JSON objects do, and
 * otherwise a cagmad.conf. */

#define FILE_MAX_BYTES (4 * 1024 * 1024)
/* What is wrong with a file is told in its own words, whatever they are. */
#define MESSAGE_MAX_CHARS 1000

/* The local name of the root element, without reading further. */
static char *
root_name(const char *text)
{
  const char *at = text;

  for (;;) {
    const char *end;

    at = strchr(at, '<');
    if (!at)
      return NULL;
    if (g_str_has_prefix(at, "<!--"))
      end = strstr(at, "-->");
    else if (at[1] == '?' || at[1] == '!')
      end = strchr(at, '>');
    else
      break;
    if (!end)
      return NULL;
    at = end;
  }
  at++;
  {
    size_t length = strcspn(at, " \t\r\n/>");
    const char *colon = memchr(at, ':', length);
    const char *name = colon ? colon + 1 : at;

    return g_strndup(name, length - (size_t)(name - at));
  }
}

static char
first_character(const char *text)
{
  if (g_str_has_prefix(text, "\xef\xbb\xbf"))
    text += 3;
  while (g_ascii_isspace(*text))
    text++;
  return *text;
}

static gboolean
check_domain(const char *text, gssize len, const char **kind, GError **error)
{
  g_autoptr(CagmaDomainXml) domain = cagma_domain_xml_parse(text, len, NULL, error);

  *kind = "domain";
  if (!domain)
    return FALSE;
  if (domain->config_error) {
    g_propagate_error(error, g_steal_pointer(&domain->config_error));
    return FALSE;
  }
  *kind = domain->has_config ? "domain with a cagma configuration" : "domain without a cagma configuration";
  return TRUE;
}

static gboolean
check_status(const char *text, gssize len, GError **error)
{
  g_autoptr(CagmaStatus) status = cagma_status_parse(text, len, error);

  return status != NULL;
}

static gboolean
check_scenario(const char *text, gssize len, GError **error)
{
  g_autoptr(CagmaScenario) scenario = cagma_scenario_parse(text, len, error);

  return scenario != NULL;
}

static gboolean
check_conf(const char *text, gssize len, GError **error)
{
  g_autoptr(CagmaConf) conf = cagma_conf_parse(text, len, error);

  return conf != NULL;
}

static gboolean
check_text(const char *text, gsize length, const char **kind, GError **error)
{
  g_autofree char *root = NULL;
  CagmaConfig config;
  gssize len = (gssize)length;

  if (memchr(text, '\0', length)) {
    *kind = "file";
    g_set_error(error, CAGMA_CONF_ERROR, CAGMA_CONF_ERROR_VALUE, "holds a NUL byte; not a text file");
    return FALSE;
  }
  if (first_character(text) == '{') {
    *kind = "scenario";
    return check_scenario(text, len, error);
  }
  if (first_character(text) != '<') {
    *kind = "cagmad.conf";
    return check_conf(text, len, error);
  }
  root = root_name(text);
  if (root && g_str_equal(root, "domain"))
    return check_domain(text, len, kind, error);
  if (root && g_str_equal(root, "status")) {
    *kind = "status";
    return check_status(text, len, error);
  }
  *kind = "configuration";
  return cagma_memory_parse(text, len, NULL, &config, error);
}

static gboolean
check_file(const char *path, const char **kind, GError **error)
{
  g_autofree char *text = NULL;
  gsize length;

  *kind = "file";
  text = cagma_slurp(path, FILE_MAX_BYTES, &length, error);
  if (!text)
    return FALSE;
  if (length > FILE_MAX_BYTES) {
    g_set_error(error, CAGMA_CONF_ERROR, CAGMA_CONF_ERROR_VALUE, "larger than %d bytes", FILE_MAX_BYTES);
    return FALSE;
  }
  return check_text(text, length, kind, error);
}

static void
add_json(JsonBuilder *builder, const char *path, const char *kind, const char *message)
{
  json_builder_begin_object(builder);
  json_builder_set_member_name(builder, "file");
  json_builder_add_string_value(builder, path);
  json_builder_set_member_name(builder, "kind");
  json_builder_add_string_value(builder, kind);
  json_builder_set_member_name(builder, "valid");
  json_builder_add_boolean_value(builder, message == NULL);
  if (message) {
    json_builder_set_member_name(builder, "error");
    json_builder_add_string_value(builder, message);
  }
  json_builder_end_object(builder);
}

int
cagma_ctl_check(const CagmaCtl *ctl, int argc, char **argv)
{
  g_autoptr(JsonBuilder) builder = json_builder_new();
  int status = CAGMA_EXIT_OK;

  if (argc < 1) {
    g_printerr("cagmactl: check takes the files to check\n");
    return CAGMA_EXIT_USAGE;
  }
  json_builder_begin_array(builder);
  for (int i = 0; i < argc; i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_filename_display_name(argv[i]);
    g_autofree char *message = NULL;
    const char *kind;

    if (!check_file(argv[i], &kind, &error)) {
      status = CAGMA_EXIT_FAILED;
      message = cagma_printable(error->message, MESSAGE_MAX_CHARS);
    }
    if (ctl->json)
      add_json(builder, path, kind, message);
    else if (message)
      g_printerr("%s: %s: %s\n", path, kind, message);
    else
      g_print("%s: valid (%s)\n", path, kind);
  }
  json_builder_end_array(builder);
  if (ctl->json) {
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *text = json_to_string(root, TRUE);

    g_print("%s\n", text);
  }
  return status;
}
