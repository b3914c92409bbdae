/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/record.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/record-format.h"

/* Inputs without a decision, as while libvirt is away, don't pile up beyond this. */
#define PENDING_MAX_BYTES (256 * 1024)

/* The parts of a decision that make it another one. The figures it was made with change
 * each time, and can be had by deciding again. */
typedef struct {
  CagmaState state;
  CagmaWhy why;
  uint64_t target_kib;
  uint64_t waits_kib;
  uint64_t standing_kib;
  uint64_t charge_kib;
} Gist;

typedef struct {
  const CagmaDomain *domain;
  uint64_t number;
  char *uuid;
  char *name;
  GByteArray *terms;                             /* as last written */
  CagmaSample samples[CAGMA_SAMPLE_CHANNEL + 1]; /* since the last keyframe, of each source */
  Gist gist;
} Entry;

struct CagmaRecorder {
  const CagmaHost *host;
  char *path;
  int fd; /* −1: not open yet */
  uint32_t next_block;
  uint64_t next_number;
  unsigned since_keyframe; /* decisions */
  int64_t base_us;         /* the last time in the block at hand … */
  int64_t latest_us;       /* … and the last that is known */
  gboolean keyframe_due;
  gboolean begins;   /* nothing of this run is in this file yet */
  gboolean failing;  /* which has been logged */
  gboolean deciding; /* between the decision's two halves, which are of one block */

  GPtrArray *entries; /* in the order of host->domains */
  GHashTable *by_domain;
  GByteArray *block;   /* its header's room, and what is to be written */
  GByteArray *scratch; /* terms, for comparison */
};

static void
entry_free(gpointer data)
{
  Entry *entry = data;

  g_byte_array_unref(entry->terms);
  g_free(entry->uuid);
  g_free(entry->name);
  g_free(entry);
}

static gboolean
set_errno(GError **error, const char *path)
{
  g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errno), "%s: %s", path, g_strerror(errno));
  return FALSE;
}

/* Nothing is appended to what is no record, or one that would be read with other tables. */
static gboolean
check_beginning(int fd, const char *path, GError **error)
{
  uint8_t wanted[CAGMA_RECORD_FILE_HEADER], found[CAGMA_RECORD_FILE_HEADER];
  ssize_t length = pread(fd, found, sizeof found, 0);

  cagma_record_file_header(wanted);
  if (length < 0)
    return set_errno(error, path);
  if (memcmp(found, cagma_record_magic, MIN((size_t)length, sizeof cagma_record_magic)) != 0) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "%s: holds something else than a record", path);
    return FALSE;
  }
  /* Damage, not another version, where the header's own sum is wrong. */
  if ((size_t)length == sizeof found && memcmp(found, wanted, sizeof found) != 0 &&
      cagma_record_is_file_header(found)) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                "%s: was recorded by another version of cagmad; move it away", path);
    return FALSE;
  }
  return TRUE;
}

/* An empty file gets its header. What is written to it from now on is another run. */
static gboolean
begin_file(CagmaRecorder *recorder, int fd, off_t size, GError **error)
{
  uint8_t header[CAGMA_RECORD_FILE_HEADER];

  cagma_record_file_header(header);
  if (size == 0 && write(fd, header, sizeof header) != (ssize_t)sizeof header)
    return set_errno(error, recorder->path);
  recorder->begins = TRUE;
  recorder->keyframe_due = TRUE;
  return TRUE;
}

static gboolean
check_file(int fd, const char *path, const struct stat *status, GError **error)
{
  if (!S_ISREG(status->st_mode)) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE, "%s: is no regular file", path);
    return FALSE;
  }
  if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "%s: another cagmad records to it", path);
    return FALSE;
  }
  return check_beginning(fd, path, error);
}

static gboolean
open_file(CagmaRecorder *recorder, GError **error)
{
  struct stat status, present;
  /* Not a FIFO that nobody reads, nor anything else that could keep the daemon. */
  int fd = open(recorder->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

  if (fd < 0)
    return set_errno(error, recorder->path);
  if (fstat(fd, &status) < 0) {
    set_errno(error, recorder->path);
    close(fd);
    return FALSE;
  }
  /* It wasn't moved away, at most emptied. */
  if (recorder->fd >= 0 && fstat(recorder->fd, &present) == 0 && present.st_dev == status.st_dev &&
      present.st_ino == status.st_ino) {
    close(fd);
    return status.st_size > 0 || begin_file(recorder, recorder->fd, 0, error);
  }
  if (!check_file(fd, recorder->path, &status, error) || !begin_file(recorder, fd, status.st_size, error)) {
    close(fd);
    return FALSE;
  }
  if (recorder->fd >= 0)
    close(recorder->fd);
  recorder->fd = fd;
  return TRUE;
}

static void
empty_block(CagmaRecorder *recorder)
{
  g_byte_array_set_size(recorder->block, CAGMA_RECORD_BLOCK_HEADER);
}

static gboolean
is_empty(const CagmaRecorder *recorder)
{
  return recorder->block->len == CAGMA_RECORD_BLOCK_HEADER;
}

CagmaRecorder *
cagma_recorder_open(const char *path, const CagmaHost *host, GError **error)
{
  CagmaRecorder *recorder = g_new0(CagmaRecorder, 1);

  recorder->host = host;
  recorder->path = g_strdup(path);
  recorder->fd = -1;
  recorder->next_block = g_random_int();
  recorder->entries = g_ptr_array_new_with_free_func(entry_free);
  recorder->by_domain = g_hash_table_new(NULL, NULL);
  recorder->block = g_byte_array_new();
  recorder->scratch = g_byte_array_new();
  empty_block(recorder);
  if (!open_file(recorder, error)) {
    cagma_recorder_close(recorder);
    return NULL;
  }
  return recorder;
}

static void
fail(CagmaRecorder *recorder, const char *why)
{
  if (!recorder->failing)
    g_warning("%s: %s; nothing is recorded until that is over", recorder->path, why);
  recorder->failing = TRUE;
  recorder->keyframe_due = TRUE;
}

/* Writes what is pending as a block. What couldn't be written is gone, and with it what
 * later blocks would rest on, up to the next keyframe. */
static void
flush(CagmaRecorder *recorder)
{
  ssize_t written;

  if (is_empty(recorder))
    return;
  cagma_record_seal(recorder->block, recorder->next_block++);
  written = write(recorder->fd, recorder->block->data, recorder->block->len);
  if (written < 0)
    fail(recorder, g_strerror(errno));
  else if ((size_t)written < recorder->block->len)
    fail(recorder, "only a part could be written");
  else if (recorder->failing)
    g_message("%s: recording goes on", recorder->path);
  if (written == (ssize_t)recorder->block->len) {
    recorder->failing = FALSE;
    /* A file's first whole block has its keyframe. */
    recorder->begins = FALSE;
  }
  empty_block(recorder);
}

void
cagma_recorder_close(CagmaRecorder *recorder)
{
  if (!recorder)
    return;
  flush(recorder);
  if (recorder->fd >= 0)
    close(recorder->fd);
  g_hash_table_unref(recorder->by_domain);
  g_ptr_array_unref(recorder->entries);
  g_byte_array_unref(recorder->block);
  g_byte_array_unref(recorder->scratch);
  g_free(recorder->path);
  g_free(recorder);
}

static void
put_terms(GByteArray *out, const CagmaDomain *domain)
{
  char hold[CAGMA_HOLD_BYTES];

  cagma_hold_copy(hold, domain->hold);
  cagma_put_number(out, domain->hold != NULL);
  cagma_put_fields(out, &cagma_terms_fields, domain, NULL);
  cagma_put_text(out, hold);
}

static void
put_kind(CagmaRecorder *recorder, CagmaItemKind kind)
{
  const uint8_t byte = (uint8_t)kind;

  g_byte_array_append(recorder->block, &byte, 1);
}

static void
put_time(CagmaRecorder *recorder, int64_t us)
{
  cagma_put_signed(recorder->block, us - recorder->base_us);
  recorder->base_us = us;
}

static void
put_keyframe(CagmaRecorder *recorder)
{
  put_kind(recorder, CAGMA_ITEM_KEYFRAME);
  cagma_put_number(recorder->block, recorder->begins);
  cagma_put_fields(recorder->block, &cagma_settings_fields, recorder->host, NULL);
  cagma_put_fields(recorder->block, &cagma_kept_fields, recorder->host, NULL);
  cagma_put_number(recorder->block, recorder->entries->len);
  for (guint i = 0; i < recorder->entries->len; i++) {
    Entry *entry = recorder->entries->pdata[i];

    memset(entry->samples, 0, sizeof entry->samples);
    put_kind(recorder, CAGMA_ITEM_STATE);
    cagma_put_number(recorder->block, entry->number);
    cagma_put_text(recorder->block, entry->uuid);
    cagma_put_text(recorder->block, entry->name);
    put_terms(recorder->block, entry->domain);
    cagma_put_fields(recorder->block, &cagma_learned_fields, entry->domain, NULL);
  }
}

/* Begins an item; with the first one of a block, the block as well. Nothing has been
 * applied then that isn't written, so that this is the moment for a keyframe. */
static void
begin_item(CagmaRecorder *recorder, CagmaItemKind kind)
{
  if (recorder->block->len > PENDING_MAX_BYTES && !recorder->deciding)
    flush(recorder);
  if (is_empty(recorder)) {
    recorder->base_us = recorder->latest_us;
    cagma_put_signed(recorder->block, recorder->base_us);
    if (recorder->keyframe_due)
      put_keyframe(recorder);
    recorder->keyframe_due = FALSE;
  }
  put_kind(recorder, kind);
}

void
cagma_recorder_add(CagmaRecorder *recorder, const CagmaDomain *domain, const char *uuid, const char *name,
                   int64_t now_us)
{
  Entry *entry = g_new0(Entry, 1);

  recorder->latest_us = now_us;
  begin_item(recorder, CAGMA_ITEM_ADDED);
  entry->domain = domain;
  entry->number = recorder->next_number++;
  entry->uuid = g_strdup(uuid);
  entry->name = g_strdup(name);
  entry->terms = g_byte_array_new();
  g_ptr_array_add(recorder->entries, entry);
  g_hash_table_insert(recorder->by_domain, (gpointer)domain, entry);

  cagma_put_number(recorder->block, entry->number);
  cagma_put_text(recorder->block, entry->uuid);
  cagma_put_text(recorder->block, entry->name);
  put_time(recorder, now_us);
}

void
cagma_recorder_remove(CagmaRecorder *recorder, const CagmaDomain *domain)
{
  Entry *entry = g_hash_table_lookup(recorder->by_domain, domain);

  begin_item(recorder, CAGMA_ITEM_REMOVED);
  cagma_put_number(recorder->block, entry->number);
  g_hash_table_remove(recorder->by_domain, domain);
  g_ptr_array_remove(recorder->entries, entry);
}

/* Its owner may have changed its part at any time, and needn't say so. */
static void
put_new_terms(CagmaRecorder *recorder, Entry *entry)
{
  GByteArray *terms = recorder->scratch;

  g_byte_array_set_size(terms, 0);
  put_terms(terms, entry->domain);
  if (terms->len == entry->terms->len && memcmp(terms->data, entry->terms->data, terms->len) == 0)
    return;
  begin_item(recorder, CAGMA_ITEM_TERMS);
  cagma_put_number(recorder->block, entry->number);
  g_byte_array_append(recorder->block, terms->data, terms->len);
  recorder->scratch = entry->terms;
  entry->terms = terms;
}

void
cagma_recorder_input(CagmaRecorder *recorder, const CagmaDomain *domain, const CagmaInput *input)
{
  Entry *entry = g_hash_table_lookup(recorder->by_domain, domain);
  gboolean has_sample = input->kind == CAGMA_INPUT_SAMPLE;
  CagmaInput written = *input;

  recorder->latest_us = input->now_us;
  put_new_terms(recorder, entry);
  begin_item(recorder, CAGMA_ITEM_INPUT);
  cagma_put_number(recorder->block, entry->number);
  put_time(recorder, input->now_us);
  if (has_sample)
    written.source = input->sample.source;
  cagma_put_fields(recorder->block, &cagma_input_fields, &written, NULL);
  if (!has_sample)
    return;
  cagma_put_fields(recorder->block, &cagma_sample_fields, &input->sample, &entry->samples[written.source]);
  entry->samples[written.source] = input->sample;
}

void
cagma_recorder_deciding(CagmaRecorder *recorder, int64_t now_us)
{
  recorder->latest_us = now_us;
  for (guint i = 0; i < recorder->entries->len; i++)
    put_new_terms(recorder, recorder->entries->pdata[i]);
  begin_item(recorder, CAGMA_ITEM_DECIDING);
  put_time(recorder, now_us);
  cagma_put_signed(recorder->block, g_get_real_time());
  cagma_put_fields(recorder->block, &cagma_settings_fields, recorder->host, NULL);
  recorder->deciding = TRUE;
}

static void
put_decided(CagmaRecorder *recorder, const CagmaPlan *plan)
{
  /* A plan that was refused may name anything. */
  size_t n_steps = plan->verdict.guard == CAGMA_GUARD_REFUSED ? 0 : plan->n_steps;

  put_kind(recorder, CAGMA_ITEM_DECIDED);
  cagma_put_fields(recorder->block, &cagma_verdict_fields, &plan->verdict, NULL);
  cagma_put_text(recorder->block, plan->verdict.refusal);
  cagma_put_number(recorder->block, n_steps);
  for (size_t i = 0; i < n_steps; i++) {
    const Entry *entry = recorder->entries->pdata[plan->steps[i].domain];

    cagma_put_number(recorder->block, entry->number);
    cagma_put_number(recorder->block, plan->steps[i].target_kib);
  }
}

static void
put_decision(CagmaRecorder *recorder, Entry *entry, const CagmaDecision *decision)
{
  const Gist gist = {
    .state = decision->state,
    .why = decision->why,
    .target_kib = decision->target_kib,
    .waits_kib = decision->waits_kib,
    .standing_kib = decision->standing_kib,
    .charge_kib = decision->charge_kib,
  };

  if (!decision->target_kib && memcmp(&gist, &entry->gist, sizeof gist) == 0)
    return;
  entry->gist = gist;
  put_kind(recorder, CAGMA_ITEM_DECISION);
  cagma_put_number(recorder->block, entry->number);
  cagma_put_fields(recorder->block, &cagma_decision_fields, decision, NULL);
  cagma_put_text(recorder->block, decision->hold);
}

void
cagma_recorder_decided(CagmaRecorder *recorder, const CagmaPlan *plan)
{
  recorder->deciding = FALSE;
  put_decided(recorder, plan);
  for (guint i = 0; i < recorder->entries->len; i++)
    put_decision(recorder, recorder->entries->pdata[i], &plan->decisions[i]);
  flush(recorder);
  if (++recorder->since_keyframe < CAGMA_RECORD_KEYFRAME_BLOCKS)
    return;
  recorder->since_keyframe = 0;
  recorder->keyframe_due = TRUE;
}

void
cagma_recorder_reopen(CagmaRecorder *recorder)
{
  g_autoptr(GError) error = NULL;

  flush(recorder);
  if (!open_file(recorder, &error))
    g_warning("%s; recording goes on in the file as it was", error->message);
}
