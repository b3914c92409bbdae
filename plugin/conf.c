/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/conf.h"
#include "plugin/slurp.h"

#include <string.h>

#include "policy/rules.h"
#include "policy/units.h"
#include "xml/error.h"
#include "xml/size.h"

G_DEFINE_QUARK(cagma_conf_error_quark, cagma_conf_error)

#define CONF_MAX_BYTES (64 * 1024)

/* CAGMA's own period is 3 s; guests report every second or two. */
#define DEFAULT_PERIOD_US (3 * CAGMA_SECOND_US)
#define MIN_PERIOD_US (CAGMA_SECOND_US / 10)
#define MAX_PERIOD_US (3600 * CAGMA_SECOND_US)
/* MOM calls a host with less than 5 % free critical. */
#define DEFAULT_RESERVE_PERMILLE 50
/* What one guest takes up in a second or two before its neighbours have given: 1 GiB
 * on a host of 64 GiB. */
#define DEFAULT_POOL_PERMILLE 20

typedef gboolean (*Setter)(CagmaConf *conf, const char *value, GError **error);

static gboolean
bad_value(GError **error, const char *allowed)
{
  g_set_error(error, CAGMA_CONF_ERROR, CAGMA_CONF_ERROR_VALUE, "expected %s", allowed);
  return FALSE;
}

static gboolean
parse_bool(const char *value, gboolean *out, GError **error)
{
  if (!strcmp(value, "yes"))
    *out = TRUE;
  else if (!strcmp(value, "no"))
    *out = FALSE;
  else
    return bad_value(error, "yes or no");
  return TRUE;
}

static gboolean
parse_number(const char *text, guint64 min, guint64 max, guint64 *out, GError **error)
{
  return g_ascii_string_to_unsigned(text, 10, min, max, out, error);
}

gboolean
cagma_duration_parse(const char *text, int64_t min_us, int64_t *us, GError **error)
{
  g_autofree char *number = NULL;
  int64_t unit_us = CAGMA_SECOND_US;
  guint64 n;

  if (g_str_has_suffix(text, "ms")) {
    unit_us = CAGMA_SECOND_US / 1000;
    number = g_strndup(text, strlen(text) - 2);
  } else if (g_str_has_suffix(text, "s")) {
    number = g_strndup(text, strlen(text) - 1);
  } else {
    number = g_strdup(text);
  }
  if (!parse_number(number, 0, (guint64)(MAX_PERIOD_US / unit_us), &n, NULL) ||
      (int64_t)n * unit_us < min_us) {
    g_set_error(error, CAGMA_CONF_ERROR, CAGMA_CONF_ERROR_VALUE,
                "expected a time like 3s or 500ms, between %" G_GINT64_FORMAT " ms and 1 hour",
                min_us / 1000);
    return FALSE;
  }
  *us = (int64_t)n * unit_us;
  return TRUE;
}

/* "10%" into permille. FALSE without an error where it is no percentage. */
static gboolean
parse_percent(const char *text, guint64 max, uint32_t *permille)
{
  g_autofree char *number = NULL;
  guint64 percent;

  if (!g_str_has_suffix(text, "%"))
    return FALSE;
  number = g_strndup(text, strlen(text) - 1);
  if (!parse_number(g_strchomp(number), 0, max, &percent, NULL))
    return FALSE;
  *permille = (uint32_t)percent * 10;
  return TRUE;
}

/* A size, or whole percents up to max; the other one is then 0. */
static gboolean
parse_part(const char *text, guint64 max, uint32_t *permille, uint64_t *kib, GError **error)
{
  *permille = 0;
  *kib = 0;
  if (!g_str_has_suffix(text, "%"))
    return cagma_size_from_string(text, kib, error);
  if (parse_percent(text, max, permille))
    return TRUE;
  g_set_error(error, CAGMA_CONF_ERROR, CAGMA_CONF_ERROR_VALUE,
              "expected a size, or whole percents from 0%% to %" G_GUINT64_FORMAT "%%", max);
  return FALSE;
}

static gboolean
set_uri(CagmaConf *conf, const char *value, GError **error)
{
  if (!*value)
    return bad_value(error, "a libvirt URI such as qemu:///system");
  g_free(conf->uri);
  conf->uri = g_strdup(value);
  return TRUE;
}

static gboolean
set_budget(CagmaConf *conf, const char *value, GError **error)
{
  if (!strcmp(value, "auto")) {
    conf->budget = CAGMA_BUDGET_AUTO;
    return TRUE;
  }
  conf->budget = CAGMA_BUDGET_FIXED;
  if (!cagma_size_from_string(value, &conf->budget_kib, error))
    return FALSE;
  return conf->budget_kib > 0 || bad_value(error, "auto, or a size above 0");
}

static gboolean
set_reserve(CagmaConf *conf, const char *value, GError **error)
{
  return parse_part(value, 90, &conf->reserve_permille, &conf->reserve_kib, error);
}

static gboolean
set_pool(CagmaConf *conf, const char *value, GError **error)
{
  return parse_part(value, 90, &conf->pool_permille, &conf->pool_kib, error);
}

static gboolean
set_period(CagmaConf *conf, const char *value, GError **error)
{
  return cagma_duration_parse(value, MIN_PERIOD_US, &conf->period_us, error);
}

static gboolean
set_surplus(CagmaConf *conf, const char *value, GError **error)
{
  if (!strcmp(value, "leave"))
    conf->surplus = CAGMA_SURPLUS_LEAVE;
  else if (!strcmp(value, "reclaim"))
    conf->surplus = CAGMA_SURPLUS_RECLAIM;
  else
    return bad_value(error, "leave or reclaim");
  return TRUE;
}

static gboolean
set_overhead(CagmaConf *conf, const char *value, GError **error)
{
  conf->overhead_auto = !strcmp(value, "auto");
  return conf->overhead_auto || cagma_size_from_string(value, &conf->overhead_kib, error);
}

static gboolean
set_policy(CagmaConf *conf, const char *value, GError **error)
{
  const CagmaPolicy *policy = cagma_policy_by_name(value);

  if (!policy)
    return bad_value(error, "cagma, cagma-classic, baruchi, vmmb or static");
  conf->policy = policy->kind;
  conf->defaults.source = policy->source;
  /* The other group may have come first. */
  if (!conf->estimator_chosen)
    conf->defaults.estimator = policy->estimator;
  return TRUE;
}

static gboolean
set_read_back(CagmaConf *conf, const char *value, GError **error)
{
  return parse_bool(value, &conf->read_back, error);
}

static gboolean
set_without(CagmaConf *conf, const char *value, GError **error)
{
  g_auto(GStrv) names = g_strsplit(value, ",", -1);

  conf->without = 0;
  for (char **name = names; *name; name++) {
    CagmaRule rule;

    if (!cagma_rule_from_name(g_strstrip(*name), &rule)) {
      g_autofree char *known = cagma_rules_format(G_MAXUINT32);
      g_autofree char *allowed = g_strdup_printf("rules with commas between: %s", known);

      return bad_value(error, allowed);
    }
    conf->without |= (uint32_t)rule;
  }
  return TRUE;
}

static gboolean
set_manage(CagmaConf *conf, const char *value, GError **error)
{
  if (!strcmp(value, "all"))
    conf->manage_all = TRUE;
  else if (!strcmp(value, "configured"))
    conf->manage_all = FALSE;
  else
    return bad_value(error, "configured (domains with a cagma element) or all");
  return TRUE;
}

static gboolean
set_mode(CagmaConf *conf, const char *value, GError **error)
{
  return cagma_mode_from_string(value, &conf->defaults.mode) || bad_value(error, "enforce, observe or off");
}

static gboolean
set_estimator(CagmaConf *conf, const char *value, GError **error)
{
  conf->estimator_chosen = TRUE;
  return cagma_estimator_from_string(value, &conf->defaults.estimator) ||
         bad_value(error, "critical, loadavg, missratio or static");
}

static gboolean
set_guarantee(CagmaConf *conf, const char *value, GError **error)
{
  return cagma_size_from_string(value, &conf->defaults.guarantee_kib, error);
}

static gboolean
set_shares(CagmaConf *conf, const char *value, GError **error)
{
  guint64 shares;

  if (!parse_number(value, 0, CAGMA_SHARES_MAX, &shares, error))
    return FALSE;
  conf->defaults.shares = (uint32_t)shares;
  return TRUE;
}

static gboolean
set_headroom(CagmaConf *conf, const char *value, GError **error)
{
  return parse_part(value, 100, &conf->defaults.headroom_permille, &conf->defaults.headroom_kib, error);
}

static gboolean
set_strict(CagmaConf *conf, const char *value, GError **error)
{
  return parse_bool(value, &conf->hook_strict, error);
}

static const struct {
  const char *group;
  const char *key;
  Setter set;
} keys[] = {
  { "host", "uri", set_uri },
  { "host", "budget", set_budget },
  { "host", "reserve", set_reserve },
  { "host", "pool", set_pool },
  { "host", "period", set_period },
  { "host", "surplus", set_surplus },
  { "host", "overhead", set_overhead },
  { "host", "policy", set_policy },
  { "host", "read-back", set_read_back },
  { "host", "without", set_without },
  { "defaults", "manage", set_manage },
  { "defaults", "mode", set_mode },
  { "defaults", "estimator", set_estimator },
  { "defaults", "guarantee", set_guarantee },
  { "defaults", "shares", set_shares },
  { "defaults", "headroom", set_headroom },
  { "hook", "strict", set_strict },
};

static gboolean
group_is_known(const char *group)
{
  for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
    if (!strcmp(keys[i].group, group))
      return TRUE;
  return FALSE;
}

static Setter
find_setter(const char *group, const char *key)
{
  for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
    if (!strcmp(keys[i].group, group) && !strcmp(keys[i].key, key))
      return keys[i].set;
  return NULL;
}

static gboolean
read_key(CagmaConf *conf, GKeyFile *file, const char *group, const char *key, GError **error)
{
  Setter set = find_setter(group, key);
  g_autofree char *value = NULL;

  if (!set) {
    g_autofree char *shown = cagma_printable(key, CAGMA_QUOTE_CHARS);

    g_set_error(error, CAGMA_CONF_ERROR, CAGMA_CONF_ERROR_UNKNOWN, "[%s] has no key '%s'", group, shown);
    return FALSE;
  }
  value = g_key_file_get_string(file, group, key, error);
  if (!value)
    return FALSE;
  g_strstrip(value);
  if (!set(conf, value, error)) {
    g_autofree char *shown = cagma_printable(value, CAGMA_QUOTE_CHARS);

    g_prefix_error(error, "[%s] %s='%s': ", group, key, shown);
    return FALSE;
  }
  return TRUE;
}

static gboolean
read_group(CagmaConf *conf, GKeyFile *file, const char *group, GError **error)
{
  g_auto(GStrv) names = NULL;

  if (!group_is_known(group)) {
    g_autofree char *shown = cagma_printable(group, CAGMA_QUOTE_CHARS);

    g_set_error(error, CAGMA_CONF_ERROR, CAGMA_CONF_ERROR_UNKNOWN, "no such group: [%s]", shown);
    return FALSE;
  }
  names = g_key_file_get_keys(file, group, NULL, error);
  if (!names)
    return FALSE;
  for (char **key = names; *key; key++)
    if (!read_key(conf, file, group, *key, error))
      return FALSE;
  return TRUE;
}

CagmaConf *
cagma_conf_new(void)
{
  CagmaConf *conf = g_new0(CagmaConf, 1);

  conf->uri = g_strdup("qemu:///system");
  conf->budget = CAGMA_BUDGET_AUTO;
  conf->reserve_permille = DEFAULT_RESERVE_PERMILLE;
  conf->pool_permille = DEFAULT_POOL_PERMILLE;
  conf->period_us = DEFAULT_PERIOD_US;
  conf->surplus = CAGMA_SURPLUS_LEAVE;
  conf->read_back = TRUE;
  conf->policy = CAGMA_POLICY_CAGMA;
  conf->overhead_auto = TRUE;
  cagma_config_init(&conf->defaults);
  return conf;
}

CagmaConf *
cagma_conf_parse(const char *text, gssize len, GError **error)
{
  g_autoptr(CagmaConf) conf = cagma_conf_new();
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_auto(GStrv) groups = NULL;
  size_t length = len < 0 ? strlen(text) : (size_t)len;

  if (length == 0)
    return g_steal_pointer(&conf);
  if (!g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, error))
    return NULL;
  groups = g_key_file_get_groups(file, NULL);
  for (char **group = groups; *group; group++)
    if (!read_group(conf, file, *group, error))
      return NULL;
  return g_steal_pointer(&conf);
}

CagmaConf *
cagma_conf_load(const char *path, gboolean must_exist, GError **error)
{
  g_autoptr(GError) failure = NULL;
  g_autofree char *text = NULL;
  CagmaConf *conf;
  gsize len;

  text = cagma_slurp(path, CONF_MAX_BYTES, &len, &failure);
  if (!text) {
    if (!must_exist && g_error_matches(failure, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      return cagma_conf_new();
    g_propagate_prefixed_error(error, g_steal_pointer(&failure), "%s: ", path);
    return NULL;
  }
  if (len > CONF_MAX_BYTES) {
    g_set_error(error, CAGMA_CONF_ERROR, CAGMA_CONF_ERROR_VALUE, "%s: larger than %d bytes", path,
                CONF_MAX_BYTES);
    return NULL;
  }
  conf = cagma_conf_parse(text, (gssize)len, error);
  if (!conf)
    g_prefix_error(error, "%s: ", path);
  return conf;
}

void
cagma_conf_free(CagmaConf *conf)
{
  if (!conf)
    return;
  g_free(conf->uri);
  g_free(conf);
}
