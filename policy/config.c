/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/config.h"

#include "policy/units.h"

/* Each table is indexed by its enum. The to_string functions return NULL beyond
 * the end, so that a caller can list all names without knowing how many there are. */
static const char *const mode_names[] = {
  [CAGMA_MODE_OFF] = "off",
  [CAGMA_MODE_OBSERVE] = "observe",
  [CAGMA_MODE_ENFORCE] = "enforce",
};

static const char *const estimator_names[CAGMA_N_ESTIMATORS] = {
  [CAGMA_ESTIMATOR_CRITICAL] = "critical",
  [CAGMA_ESTIMATOR_STATIC] = "static",
  [CAGMA_ESTIMATOR_LOADAVG] = "loadavg",
  [CAGMA_ESTIMATOR_MISSRATIO] = "missratio",
};

static const char *const source_names[] = {
  [CAGMA_SOURCE_DEFICIT] = "deficit",
  [CAGMA_SOURCE_MAX] = "max",
  [CAGMA_SOURCE_SUM] = "sum",
  [CAGMA_SOURCE_SWAPPING] = "swapping",
};

GQuark
cagma_config_error_quark(void)
{
  return g_quark_from_static_string("cagma-config-error");
}

void
cagma_config_init(CagmaConfig *config)
{
  *config = (CagmaConfig){
    .mode = CAGMA_MODE_ENFORCE,
    .estimator = CAGMA_ESTIMATOR_CRITICAL,
    .guarantee_kib = CAGMA_MIB(256),
    .limit_kib = 0,
    .shares = 1000,
    .rate_permille = 1100,
    .source = CAGMA_SOURCE_DEFICIT,
    .headroom_kib = 0,
    .headroom_permille = 100,
    .emergency = TRUE,
    .given = 0,
  };
}

static gboolean
above(const char *what, uint64_t kib, const char *bound, uint64_t bound_kib, GError **error)
{
  g_set_error(error, CAGMA_CONFIG_ERROR, CAGMA_CONFIG_ERROR_RANGE,
              "%s (%" G_GUINT64_FORMAT " KiB) is above %s (%" G_GUINT64_FORMAT " KiB)", what, kib, bound,
              bound_kib);
  return FALSE;
}

gboolean
cagma_config_fit(CagmaConfig *config, uint64_t max_kib, GError **error)
{
  const gboolean guarantee_given = (config->given & CAGMA_GIVEN_GUARANTEE) != 0;
  const gboolean limit_given = (config->given & CAGMA_GIVEN_LIMIT) != 0 && config->limit_kib != 0;
  uint64_t limit_kib = config->limit_kib ? config->limit_kib : max_kib;

  if (limit_given && limit_kib > max_kib)
    return above("limit", limit_kib, "the domain's memory", max_kib, error);
  if (guarantee_given && config->guarantee_kib > max_kib)
    return above("guarantee", config->guarantee_kib, "the domain's memory", max_kib, error);
  if (guarantee_given && limit_given && config->guarantee_kib > limit_kib)
    return above("guarantee", config->guarantee_kib, "limit", limit_kib, error);

  limit_kib = cagma_min_kib(limit_kib, max_kib);
  /* What the operator wrote for this domain wins over a default: a default limit
   * yields to the guarantee as a default guarantee yields to the limit. */
  if (guarantee_given)
    limit_kib = cagma_max_kib(limit_kib, config->guarantee_kib);

  config->limit_kib = limit_kib;
  config->guarantee_kib = cagma_min_kib(config->guarantee_kib, limit_kib);
  return TRUE;
}

static const char *
name_of(const char *const *names, size_t n_names, unsigned int value)
{
  return value < n_names ? names[value] : NULL;
}

static gboolean
value_of(const char *const *names, size_t n_names, const char *name, unsigned int *value)
{
  for (unsigned int i = 0; i < n_names; i++) {
    if (g_strcmp0(names[i], name) == 0) {
      *value = i;
      return TRUE;
    }
  }
  return FALSE;
}

const char *
cagma_mode_to_string(CagmaMode mode)
{
  return name_of(mode_names, G_N_ELEMENTS(mode_names), mode);
}

gboolean
cagma_mode_from_string(const char *name, CagmaMode *mode)
{
  unsigned int value;

  if (!value_of(mode_names, G_N_ELEMENTS(mode_names), name, &value))
    return FALSE;
  *mode = (CagmaMode)value;
  return TRUE;
}

const char *
cagma_estimator_to_string(CagmaEstimatorKind estimator)
{
  return name_of(estimator_names, G_N_ELEMENTS(estimator_names), estimator);
}

gboolean
cagma_estimator_from_string(const char *name, CagmaEstimatorKind *estimator)
{
  unsigned int value;

  if (!value_of(estimator_names, G_N_ELEMENTS(estimator_names), name, &value))
    return FALSE;
  *estimator = (CagmaEstimatorKind)value;
  return TRUE;
}

const char *
cagma_source_to_string(CagmaCriticalSource source)
{
  return name_of(source_names, G_N_ELEMENTS(source_names), source);
}

gboolean
cagma_source_from_string(const char *name, CagmaCriticalSource *source)
{
  unsigned int value;

  if (!value_of(source_names, G_N_ELEMENTS(source_names), name, &value))
    return FALSE;
  *source = (CagmaCriticalSource)value;
  return TRUE;
}
