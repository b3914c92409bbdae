/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/targets.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <stdio.h>

#include "policy/units.h"

struct CagmaTargets {
  char *dir;
};

CagmaTargets *
cagma_targets_open(const char *dir, GError **error)
{
  CagmaTargets *targets;

  if (g_mkdir_with_parents(dir, 0700) < 0) {
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", dir, g_strerror(errno));
    return NULL;
  }
  targets = g_new0(CagmaTargets, 1);
  targets->dir = g_strdup(dir);
  return targets;
}

void
cagma_targets_close(CagmaTargets *targets)
{
  if (!targets)
    return;
  g_free(targets->dir);
  g_free(targets);
}

static char *
path_of(CagmaTargets *targets, const char *uuid)
{
  return g_build_filename(targets->dir, uuid, NULL);
}

gboolean
cagma_targets_put(CagmaTargets *targets, const char *uuid, int run_id, uint64_t target_kib, GError **error)
{
  g_autofree char *path = path_of(targets, uuid);
  char text[64];
  int len = g_snprintf(text, sizeof text, "%d %" PRIu64 "\n", run_id, target_kib);

  /* Consistent, not durable: the file has to survive us, not the host. */
  return g_file_set_contents_full(path, text, len, G_FILE_SET_CONTENTS_CONSISTENT, 0600, error);
}

uint64_t
cagma_targets_get(CagmaTargets *targets, const char *uuid, int run_id)
{
  g_autofree char *path = path_of(targets, uuid);
  g_autofree char *text = NULL;
  uint64_t target_kib;
  int id;
  char end;

  if (!g_file_get_contents(path, &text, NULL, NULL))
    return 0;
  if (sscanf(text, "%d %" SCNu64 "%c", &id, &target_kib, &end) != 3 || end != '\n')
    return 0;
  return id == run_id && target_kib <= CAGMA_MAX_KIB ? target_kib : 0;
}

void
cagma_targets_drop(CagmaTargets *targets, const char *uuid)
{
  g_autofree char *path = path_of(targets, uuid);

  g_unlink(path);
}
