/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* What an operator decides for one domain: the urn:cagma:memory:1 document as a
 * plain struct. xml/ fills it in, plugin/conf.c supplies the defaults, policy/
 * reads it. Holds no pointers; copy it by assignment. */

typedef enum {
  CAGMA_MODE_OFF,     /* leave the domain alone */
  CAGMA_MODE_OBSERVE, /* decide and show, never act */
  CAGMA_MODE_ENFORCE,
} CagmaMode;

/* How a domain's need is estimated. */
typedef enum {
  CAGMA_ESTIMATOR_CRITICAL,
  CAGMA_ESTIMATOR_STATIC,
  CAGMA_ESTIMATOR_LOADAVG,
  CAGMA_ESTIMATOR_MISSRATIO,
} CagmaEstimatorKind;

#define CAGMA_N_ESTIMATORS (CAGMA_ESTIMATOR_MISSRATIO + 1)

/* What the critical amount is taken from (design: CMA). */
typedef enum {
  CAGMA_SOURCE_DEFICIT, /* what is missing for the guest to run without swapping */
  /* CAGMA's own: whole footprints, resident and swapped out, … */
  CAGMA_SOURCE_MAX,      /* … of the guest's largest process */
  CAGMA_SOURCE_SUM,      /* … of all it holds */
  CAGMA_SOURCE_SWAPPING, /* … of the process that swaps */
} CagmaCriticalSource;

/* Which fields the document itself gave; the others hold defaults. */
typedef enum {
  CAGMA_GIVEN_MODE = 1 << 0,
  CAGMA_GIVEN_ESTIMATOR = 1 << 1,
  CAGMA_GIVEN_GUARANTEE = 1 << 2,
  CAGMA_GIVEN_LIMIT = 1 << 3,
  CAGMA_GIVEN_SHARES = 1 << 4,
  CAGMA_GIVEN_RATE = 1 << 5,
  CAGMA_GIVEN_SOURCE = 1 << 6,
  CAGMA_GIVEN_HEADROOM = 1 << 7,
  CAGMA_GIVEN_EMERGENCY = 1 << 8,
} CagmaGiven;

#define CAGMA_SHARES_MAX 1000000
#define CAGMA_RATE_MIN_PERMILLE 100
#define CAGMA_RATE_MAX_PERMILLE 10000
#define CAGMA_HEADROOM_MAX_PERMILLE 1000

typedef struct {
  CagmaMode mode;
  CagmaEstimatorKind estimator;
  uint64_t guarantee_kib; /* never shrunk below this */
  uint64_t limit_kib;     /* never set above this; 0: the domain's <memory> */
  uint32_t shares;        /* weight when memory is short; 0: the guarantee only */
  uint32_t rate_permille; /* CAGMA's factor on the critical amount */
  CagmaCriticalSource source;
  uint64_t headroom_kib;      /* where headroom_permille is 0: a fixed amount */
  uint32_t headroom_permille; /* of what is used */
  gboolean emergency;
  uint32_t given; /* CagmaGiven bits */
} CagmaConfig;

#define CAGMA_CONFIG_ERROR (cagma_config_error_quark())
GQuark cagma_config_error_quark(void);

typedef enum {
  CAGMA_CONFIG_ERROR_RANGE, /* values that contradict each other or the domain */
} CagmaConfigError;

/* The defaults CAGMA itself has, before cagmad.conf: enforce, critical with the
 * deficit source at rate 1.1 (CAGMA's own factor), a guarantee of 256 MiB
 * (CAGMA's MIN), no limit, 1000 shares, headroom 10 %. */
void cagma_config_init(CagmaConfig *config);

/* Fits the configuration to a domain whose <memory> is max_kib: a limit of 0
 * becomes max_kib, and a default guarantee above the limit becomes the limit.
 * FALSE, with an error naming element and values, where values that the operator
 * gave contradict each other or the domain; config is then unchanged. */
gboolean cagma_config_fit(CagmaConfig *config, uint64_t max_kib, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Names as the documents spell them; the from_ forms return FALSE for an unknown name. */
const char *cagma_mode_to_string(CagmaMode mode);
gboolean cagma_mode_from_string(const char *name, CagmaMode *mode);
const char *cagma_estimator_to_string(CagmaEstimatorKind estimator);
gboolean cagma_estimator_from_string(const char *name, CagmaEstimatorKind *estimator);
const char *cagma_source_to_string(CagmaCriticalSource source);
gboolean cagma_source_from_string(const char *name, CagmaCriticalSource *source);
