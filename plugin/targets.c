/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

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

/* FALSE with errno set. */
static gboolean
write_new(const char *path, const char *text, size_t len)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  gboolean written;

  if (fd < 0)
    return FALSE;
  /* So little is written whole or, where the disk is full, not at all. */
  written = write(fd, text, len) == (ssize_t)len;
  return close(fd) == 0 && written;
}

gboolean
cagma_targets_put(CagmaTargets *targets, const char *uuid, int run_id, uint64_t target_kib, GError **error)
{
  g_autofree char *path = path_of(targets, uuid);
  g_autofree char *fresh = g_strconcat(path, ".new", NULL);
  char text[64];
  int len = g_snprintf(text, sizeof text, "%d %" PRIu64 "\n", run_id, target_kib);

  /* Consistent, not durable: the file has to survive us, not the host. */
  if (write_new(fresh, text, (size_t)len) && g_rename(fresh, path) == 0)
    return TRUE;
  g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", path, g_strerror(errno));
  return FALSE;
}

uint64_t
cagma_targets_get(CagmaTargets *targets, const char *uuid, int run_id)
{
  g_autofree char *path = path_of(targets, uuid);
  g_autofree char *text = NULL;
  guint64 target_kib;
  gint64 id;
  char *number, *end;

  if (!g_file_get_contents(path, &text, NULL, NULL))
    return 0;
  number = strchr(text, ' ');
  end = strchr(text, '\n');
  if (!number || !end || end[1])
    return 0;
  *number++ = *end = '\0';
  if (!g_ascii_string_to_signed(text, 10, G_MININT, G_MAXINT, &id, NULL) ||
      !g_ascii_string_to_unsigned(number, 10, 1, CAGMA_MAX_KIB, &target_kib, NULL))
    return 0;
  return id == run_id ? target_kib : 0;
}

void
cagma_targets_drop(CagmaTargets *targets, const char *uuid)
{
  g_autofree char *path = path_of(targets, uuid);

  g_unlink(path);
}
