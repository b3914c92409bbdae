/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "policy/state.h"
#include "xml/error.h"

/* The status document (cagma-metadata(7), status.rng), which operators read with
 * `virsh metadata DOM urn:cagma:status:1`:
 *
 *   <status state='growing'>
 *     <reason>short by 180 MiB; 400 MiB in hand</reason>
 *     <source>balloon-stats</source>
 *     <target unit='KiB'>1572864</target>
 *     <actual unit='KiB'>1310720</actual>
 *     <guarantee unit='KiB'>524288</guarantee>
 *     <limit unit='KiB'>4194304</limit>
 *     <available unit='KiB'>81920</available>
 *     <critical unit='KiB'>266240</critical>
 *     <swap-used unit='KiB'>20480</swap-used>
 *     <swap-in unit='KiB/s'>512</swap-in>
 *     <change unit='KiB' at='2026-11-21T12:55:46Z'>+262144</change>
 *     <written host='node7'>2026-11-21T12:55:56Z</written>
 *   </status>
 *
 * What is unknown is left out, and so are sizes and a rate of 0, but for the three
 * with a have_ of their own. */

#define CAGMA_STATUS_URI "urn:cagma:status:1"

/* Characters in reason and host. */
#define CAGMA_STATUS_TEXT_MAX 1000

typedef struct {
  CagmaState state;
  char *reason; /* one sentence, or NULL */
  char *source; /* one of cagma_status_source_name(), or NULL */
  uint64_t target_kib;
  uint64_t actual_kib;
  uint64_t guarantee_kib;
  uint64_t limit_kib;
  gboolean have_available;
  uint64_t available_kib;
  gboolean have_critical;
  uint64_t critical_kib;
  gboolean have_swap_used;
  uint64_t swap_used_kib;
  uint64_t swap_in_kib_per_s;
  int64_t change_kib; /* the last change of the target: negative where it shrank */
  char *changed;      /* when that was: ISO 8601 in UTC, "2026-11-21T12:55:46Z"; or NULL */
  char *written;      /* when the document was written, likewise */
  char *host;         /* which host wrote it, or NULL */
} CagmaStatus;

/* The names of sources, from index 0 up to the first NULL. */
const char *cagma_status_source_name(unsigned int index);

/* The document without namespace. Always one that cagma_status_parse() takes,
 * whatever the fields hold: characters that XML forbids and invalid UTF-8 become
 * U+FFFD, blanks are joined, long text is cut, sizes are clamped to CAGMA_MAX_KIB,
 * and times or a source of another form are left out. There are no blanks between
 * elements: libvirt then indents it wherever it shows it. Free with g_free(). */
char *cagma_status_format(const CagmaStatus *status);

/* Takes the document with or without namespace. len -1: xml ends with a NUL. NULL
 * with a CAGMA_XML_ERROR where anything is unknown or wrong. Thread-safe.
 * Free with cagma_status_free(). */
CagmaStatus *cagma_status_parse(const char *xml, gssize len, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Frees a status whose strings were allocated with g_malloc(). NULL is allowed. */
void cagma_status_free(CagmaStatus *status);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CagmaStatus, cagma_status_free)
