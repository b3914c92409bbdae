/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/host.h"

/* cagmad.conf(5): a GKeyFile, read whole or not at all. */

#define CAGMA_CONF_PATH CAGMA_SYSCONFDIR "/cagma/cagmad.conf"
#define CAGMA_RUN_DIR "/run/cagma"

typedef struct {
  /* [host] */
  char *uri;
  CagmaBudgetKind budget;
  uint64_t budget_kib;       /* FIXED */
  uint64_t reserve_kib;      /* where reserve_permille is 0 */
  uint32_t reserve_permille; /* of the budget, or of the host's memory with budget auto */
  int64_t period_us;
  CagmaSurplus surplus;
  CagmaPolicyKind policy; /* sets defaults.source as well, and the estimator unless it is chosen */
  uint64_t pool_kib;      /* where pool_permille is 0 */
  uint32_t pool_permille; /* as reserve_permille */
  gboolean overhead_auto; /* a figure by the kind of virtual machine */
  uint64_t overhead_kib;
  gboolean read_back; /* guests are asked to bring back what they swapped out, once there is room */
  uint32_t without;   /* CagmaRule bits: rules of the policy that are left out */
  /* [defaults] */
  gboolean manage_all; /* domains without a configuration too */
  CagmaConfig defaults;
  gboolean estimator_chosen; /* defaults.estimator is the operator's, not the policy's */
  /* [hook] */
  gboolean hook_strict;
} CagmaConf;

#define CAGMA_CONF_ERROR (cagma_conf_error_quark())
GQuark cagma_conf_error_quark(void);

typedef enum {
  CAGMA_CONF_ERROR_UNKNOWN, /* a group or key that isn't one */
  CAGMA_CONF_ERROR_VALUE,
} CagmaConfError;

/* What holds where the file says nothing. */
CagmaConf *cagma_conf_new(void);

/* Reads text. Every group, key and value has to be known; the error names it. */
CagmaConf *cagma_conf_parse(const char *text, gssize len, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads a file of at most 64 KiB. must_exist FALSE: a file that isn't there is an
 * empty one. */
CagmaConf *cagma_conf_load(const char *path, gboolean must_exist, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void cagma_conf_free(CagmaConf *conf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaConf, cagma_conf_free)

/* "5" and "5s" are seconds, "500ms" milliseconds; at least min_us. */
gboolean cagma_duration_parse(const char *text, int64_t min_us, int64_t *us,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
