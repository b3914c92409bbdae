/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/record-read.h"

#include <inttypes.h>
#include <string.h>

#include "policy/units.h"

#define CHUNK_BYTES (256 * 1024)

/* Blocks that turn out damaged are summed in vain. In a file that merely suffered those
 * are a few; one made of overlapping blocks would take for ever. */
/* Of one run, missing in one place: a month's, a period each. */
#define LOST_BLOCKS_MAX ((uint32_t)1 << 20)
#define WASTE_MAX_BYTES ((uint64_t)1 << 30)

G_DEFINE_QUARK(cagma_record_error_quark, cagma_record_error)

typedef struct {
  GInputStream *stream;
  CagmaRecordFunc func;
  void *user_data;
  CagmaRecordItem *item;
  GArray *steps;

  GByteArray *window; /* of the file; what is before start is done with */
  size_t start;
  uint64_t offset; /* of start in the file */
  gboolean at_end;

  uint64_t lost_bytes; /* before start, not told yet */
  gboolean cut_off;    /* they begin as a block does */
  uint64_t wasted_bytes;
  gboolean is_record; /* something in it is */
  gboolean has_block;
  uint32_t next_block;
  uint64_t block_bytes; /* of the one at hand */
  int64_t base_us;
  GHashTable *samples; /* Samples by number; NULL: what came last isn't known */
} Reader;

/* A domain's last ones, of each source. */
typedef struct {
  uint64_t number;
  CagmaSample last[CAGMA_SAMPLE_CHANNEL + 1];
} Samples;

static size_t
left(const Reader *reader)
{
  return reader->window->len - reader->start;
}

static const uint8_t *
at(const Reader *reader)
{
  return reader->window->data + reader->start;
}

/* TRUE where so many bytes are there; FALSE with an error where they can't be read, without
 * one where the file ends before. */
static gboolean
need(Reader *reader, size_t bytes, GError **error)
{
  while (left(reader) < bytes && !reader->at_end) {
    guint before;
    gssize got;

    if (reader->start >= CHUNK_BYTES) {
      g_byte_array_remove_range(reader->window, 0, (guint)reader->start);
      reader->start = 0;
    }
    before = reader->window->len;
    g_byte_array_set_size(reader->window, before + CHUNK_BYTES);
    got = g_input_stream_read(reader->stream, reader->window->data + before, CHUNK_BYTES, NULL, error);
    g_byte_array_set_size(reader->window, before + (guint)MAX(got, 0));
    if (got < 0)
      return FALSE;
    reader->at_end = got == 0;
  }
  return left(reader) >= bytes;
}

static void
skip(Reader *reader, size_t bytes)
{
  reader->start += bytes;
  reader->offset += bytes;
}

/* kind 0: the end of the block. */
static void
tell(Reader *reader, CagmaItemKind kind)
{
  reader->item->lost = FALSE;
  reader->item->block_end = kind == 0;
  reader->item->kind = kind;
  reader->item->offset = reader->offset;
  reader->item->bytes = reader->block_bytes;
  reader->func(reader->item, reader->user_data);
}

static void
tell_lost(Reader *reader, CagmaLost why, uint64_t offset, uint64_t bytes)
{
  g_clear_pointer(&reader->samples, g_hash_table_unref);
  reader->item->lost = TRUE;
  reader->item->block_end = FALSE;
  reader->item->why = why;
  reader->item->offset = offset;
  reader->item->bytes = bytes;
  reader->func(reader->item, reader->user_data);
}

static void
tell_damage(Reader *reader, CagmaLost why)
{
  if (reader->lost_bytes)
    tell_lost(reader, why, reader->offset - reader->lost_bytes, reader->lost_bytes);
  reader->lost_bytes = 0;
}

static gboolean
get_time(Reader *reader, CagmaCursor *in, int64_t *us)
{
  int64_t since_us;

  if (!cagma_get_signed(in, CAGMA_RECORD_TIME_MAX_US, &since_us))
    return FALSE;
  *us = reader->base_us + since_us;
  if (ABS(*us) > (int64_t)CAGMA_RECORD_TIME_MAX_US)
    return FALSE;
  reader->base_us = *us;
  return TRUE;
}

static gboolean
get_flag(CagmaCursor *in, gboolean *flag)
{
  uint64_t value;

  if (!cagma_get_number(in, 1, &value))
    return FALSE;
  *flag = value != 0;
  return TRUE;
}

static gboolean
get_terms(CagmaCursor *in, CagmaRecordItem *item)
{
  memset(&item->domain, 0, sizeof item->domain);
  return get_flag(in, &item->held) && cagma_get_fields(in, &cagma_terms_fields, &item->domain, NULL) &&
         cagma_get_text(in, item->hold, sizeof item->hold);
}

static gboolean
get_name(CagmaCursor *in, CagmaRecordItem *item)
{
  return cagma_get_number(in, UINT64_MAX, &item->number) &&
         cagma_get_text(in, item->uuid, sizeof item->uuid) &&
         cagma_get_text(in, item->name, sizeof item->name);
}

static gboolean
get_keyframe(Reader *reader, CagmaCursor *in, CagmaRecordItem *item)
{
  uint64_t n_domains;

  memset(&item->host, 0, sizeof item->host);
  if (!get_flag(in, &item->begins) || !cagma_get_fields(in, &cagma_settings_fields, &item->host, NULL) ||
      !cagma_get_fields(in, &cagma_kept_fields, &item->host, NULL) ||
      !cagma_get_number(in, CAGMA_RECORD_MAX_DOMAINS, &n_domains))
    return FALSE;
  item->n_domains = n_domains;
  g_clear_pointer(&reader->samples, g_hash_table_unref);
  reader->samples = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
  return TRUE;
}

static gboolean
get_removed(Reader *reader, CagmaCursor *in, CagmaRecordItem *item)
{
  if (!cagma_get_number(in, UINT64_MAX, &item->number))
    return FALSE;
  if (reader->samples)
    g_hash_table_remove(reader->samples, &item->number);
  return TRUE;
}

/* The last sample of that domain and source; NULL for one domain more than there can be. */
static CagmaSample *
last_sample(Reader *reader, uint64_t number, CagmaSampleSource source)
{
  Samples *samples = g_hash_table_lookup(reader->samples, &number);

  if (samples)
    return &samples->last[source];
  if (g_hash_table_size(reader->samples) >= CAGMA_RECORD_MAX_DOMAINS)
    return NULL;
  samples = g_new0(Samples, 1);
  samples->number = number;
  g_hash_table_insert(reader->samples, &samples->number, samples);
  return &samples->last[source];
}

static gboolean
get_sample(Reader *reader, CagmaCursor *in, CagmaRecordItem *item)
{
  CagmaSample *sample = &item->input.sample;
  CagmaSample *last;

  /* Nor does anybody know the domain then. */
  if (!reader->samples)
    return cagma_skip_fields(in, &cagma_sample_fields);
  last = last_sample(reader, item->number, item->input.source);
  if (!last || !cagma_get_fields(in, &cagma_sample_fields, sample, last))
    return FALSE;
  *last = *sample;
  return TRUE;
}

static gboolean
get_input(Reader *reader, CagmaCursor *in, CagmaRecordItem *item)
{
  CagmaInput *input = &item->input;

  memset(input, 0, sizeof *input);
  if (!cagma_get_number(in, UINT64_MAX, &item->number) || !get_time(reader, in, &input->now_us) ||
      !cagma_get_fields(in, &cagma_input_fields, input, NULL))
    return FALSE;
  return input->kind != CAGMA_INPUT_SAMPLE || get_sample(reader, in, item);
}

static gboolean
get_deciding(Reader *reader, CagmaCursor *in, CagmaRecordItem *item)
{
  memset(&item->host, 0, sizeof item->host);
  return get_time(reader, in, &item->now_us) &&
         cagma_get_signed(in, CAGMA_RECORD_TIME_MAX_US, &item->real_us) &&
         cagma_get_fields(in, &cagma_settings_fields, &item->host, NULL);
}

static gboolean
get_decided(Reader *reader, CagmaCursor *in, CagmaRecordItem *item)
{
  uint64_t n_steps;

  memset(&item->verdict, 0, sizeof item->verdict);
  g_array_set_size(reader->steps, 0);
  if (!cagma_get_fields(in, &cagma_verdict_fields, &item->verdict, NULL) ||
      !cagma_get_text(in, item->verdict.refusal, sizeof item->verdict.refusal) ||
      !cagma_get_number(in, CAGMA_RECORD_MAX_DOMAINS, &n_steps))
    return FALSE;
  for (uint64_t i = 0; i < n_steps; i++) {
    CagmaRecordStep step;

    if (!cagma_get_number(in, UINT64_MAX, &step.number) ||
        !cagma_get_number(in, CAGMA_MAX_KIB, &step.target_kib))
      return FALSE;
    g_array_append_val(reader->steps, step);
  }
  item->steps = (const CagmaRecordStep *)(void *)reader->steps->data;
  item->n_steps = reader->steps->len;
  return TRUE;
}

static gboolean
get_decision(CagmaCursor *in, CagmaRecordItem *item)
{
  memset(&item->decision, 0, sizeof item->decision);
  return cagma_get_number(in, UINT64_MAX, &item->number) &&
         cagma_get_fields(in, &cagma_decision_fields, &item->decision, NULL) &&
         cagma_get_text(in, item->decision.hold, sizeof item->decision.hold);
}

static gboolean
get_item(Reader *reader, CagmaCursor *in, CagmaItemKind kind)
{
  CagmaRecordItem *item = reader->item;

  switch (kind) {
  case CAGMA_ITEM_KEYFRAME:
    return get_keyframe(reader, in, item);
  case CAGMA_ITEM_STATE:
    return get_name(in, item) && get_terms(in, item) &&
           cagma_get_fields(in, &cagma_learned_fields, &item->domain, NULL);
  case CAGMA_ITEM_ADDED:
    return get_name(in, item) && get_time(reader, in, &item->now_us);
  case CAGMA_ITEM_REMOVED:
    return get_removed(reader, in, item);
  case CAGMA_ITEM_TERMS:
    return cagma_get_number(in, UINT64_MAX, &item->number) && get_terms(in, item);
  case CAGMA_ITEM_INPUT:
    return get_input(reader, in, item);
  case CAGMA_ITEM_DECIDING:
    return get_deciding(reader, in, item);
  case CAGMA_ITEM_DECIDED:
    return get_decided(reader, in, item);
  case CAGMA_ITEM_DECISION:
    return get_decision(in, item);
  default:
    return FALSE;
  }
}

/* Blocks of one run follow upon one another; a run begins with a keyframe that says so.
 * Before anything of the block is read, which may be written as what has changed. */
static void
check_number(Reader *reader, uint32_t number, CagmaCursor in)
{
  gboolean begins = in.end - in.at >= 2 && in.at[0] == CAGMA_ITEM_KEYFRAME && in.at[1] == 1;

  if (reader->has_block && !begins && number != reader->next_block) {
    /* A run begins to count anywhere. */
    reader->item->other_run = number - reader->next_block > LOST_BLOCKS_MAX;
    tell_lost(reader, CAGMA_LOST_MISSING, reader->offset, 0);
    reader->item->other_run = FALSE;
  }
  reader->has_block = TRUE;
  reader->next_block = number + 1;
}

static void
read_block(Reader *reader, uint32_t number, size_t length)
{
  const uint8_t *payload = at(reader) + CAGMA_RECORD_BLOCK_HEADER;
  CagmaCursor in = { .at = payload, .end = payload + length };
  gboolean whole = cagma_get_signed(&in, CAGMA_RECORD_TIME_MAX_US, &reader->base_us);

  check_number(reader, number, in);
  reader->block_bytes = CAGMA_RECORD_BLOCK_HEADER + length;
  while (whole && in.at < in.end) {
    const uint8_t *begin = in.at;
    CagmaItemKind kind = (CagmaItemKind)*in.at++;

    whole = get_item(reader, &in, kind);
    if (whole)
      tell(reader, kind);
    else
      payload = begin;
  }
  if (!whole)
    tell_lost(reader, CAGMA_LOST_UNKNOWN, reader->offset + (uint64_t)(payload - at(reader)),
              (uint64_t)(in.end - payload));
  tell(reader, 0);
}

static gboolean
is_block_header(const uint8_t *header)
{
  return memcmp(header, cagma_record_sync, CAGMA_RECORD_SYNC_BYTES) == 0 &&
         cagma_record_u32(header + 8) <= CAGMA_RECORD_PAYLOAD_MAX &&
         cagma_record_u32(header + 16) == cagma_record_sum(header, 16);
}

/* To where a block might begin. */
static void
pass_over(Reader *reader)
{
  size_t bytes = left(reader);
  const uint8_t *next = memmem(at(reader) + 1, bytes - 1, cagma_record_sync, CAGMA_RECORD_SYNC_BYTES);

  /* The beginning of one may be the last that is there yet. */
  if (next)
    bytes = (size_t)(next - at(reader));
  else if (bytes > CAGMA_RECORD_SYNC_BYTES && !reader->at_end)
    bytes -= CAGMA_RECORD_SYNC_BYTES - 1;
  reader->lost_bytes += bytes;
  skip(reader, bytes);
}

/* A block, the header of a file that was put after another, or damage. FALSE with an error. */
static gboolean
read_next(Reader *reader, GError **error)
{
  const uint8_t *header;
  GError *unread = NULL;
  size_t length;

  if (left(reader) >= CAGMA_RECORD_FILE_HEADER && cagma_record_is_file_header(at(reader))) {
    skip(reader, CAGMA_RECORD_FILE_HEADER);
    return TRUE;
  }
  if (left(reader) < CAGMA_RECORD_BLOCK_HEADER || !is_block_header(at(reader))) {
    reader->cut_off = !reader->lost_bytes && left(reader) < CAGMA_RECORD_BLOCK_HEADER;
    pass_over(reader);
    return TRUE;
  }
  length = cagma_record_u32(at(reader) + 8);
  if (!need(reader, CAGMA_RECORD_BLOCK_HEADER + length, &unread)) {
    if (unread) {
      g_propagate_error(error, unread);
      return FALSE;
    }
    reader->cut_off = reader->cut_off || !reader->lost_bytes;
    pass_over(reader);
    return TRUE;
  }
  header = at(reader);
  if (cagma_record_u32(header + 12) != cagma_record_sum(header + CAGMA_RECORD_BLOCK_HEADER, length)) {
    reader->wasted_bytes += length;
    pass_over(reader);
    if (reader->wasted_bytes <= WASTE_MAX_BYTES)
      return TRUE;
    g_set_error(error, CAGMA_RECORD_ERROR, CAGMA_RECORD_ERROR_DAMAGE,
                "more is damaged than can be sorted out, up to byte %" PRIu64, reader->offset);
    return FALSE;
  }
  tell_damage(reader, CAGMA_LOST_DAMAGED);
  reader->is_record = TRUE;
  reader->cut_off = FALSE;
  read_block(reader, cagma_record_u32(header + 4), length);
  skip(reader, CAGMA_RECORD_BLOCK_HEADER + length);
  return TRUE;
}

static gboolean
read_beginning(Reader *reader, GError **error)
{
  uint8_t wanted[CAGMA_RECORD_FILE_HEADER];
  GError *unread = NULL;
  const uint8_t *found;

  if (!need(reader, CAGMA_RECORD_FILE_HEADER, &unread)) {
    if (!unread)
      return TRUE;
    g_propagate_error(error, unread);
    return FALSE;
  }
  found = at(reader);
  if (!cagma_record_is_file_header(found))
    return TRUE;
  cagma_record_file_header(wanted);
  reader->is_record = TRUE;
  if (memcmp(found, wanted, sizeof wanted) == 0)
    return TRUE;
  g_set_error(error, CAGMA_RECORD_ERROR, CAGMA_RECORD_ERROR_VERSION,
              "recorded by another version: format %u with fields %08x, this is format %u with fields %08x",
              cagma_record_u32(found + 8), cagma_record_u32(found + 12), cagma_record_u32(wanted + 8),
              cagma_record_u32(wanted + 12));
  return FALSE;
}

static gboolean
read_all(Reader *reader, GError **error)
{
  GError *unread = NULL;

  if (!read_beginning(reader, error))
    return FALSE;
  while (TRUE) {
    need(reader, CAGMA_RECORD_BLOCK_HEADER, &unread);
    if (unread) {
      g_propagate_error(error, unread);
      return FALSE;
    }
    if (!left(reader))
      break;
    if (!read_next(reader, error))
      return FALSE;
  }
  if (!reader->is_record) {
    g_set_error(error, CAGMA_RECORD_ERROR, CAGMA_RECORD_ERROR_FOREIGN, "is no record of cagmad");
    return FALSE;
  }
  tell_damage(reader, reader->cut_off ? CAGMA_LOST_CUT_OFF : CAGMA_LOST_DAMAGED);
  return TRUE;
}

gboolean
cagma_record_read(GInputStream *stream, CagmaRecordFunc func, void *user_data, GError **error)
{
  Reader reader = { .stream = stream, .func = func, .user_data = user_data };
  gboolean done;

  reader.item = g_new0(CagmaRecordItem, 1);
  reader.steps = g_array_new(FALSE, FALSE, sizeof(CagmaRecordStep));
  reader.window = g_byte_array_new();
  done = read_all(&reader, error);
  g_clear_pointer(&reader.samples, g_hash_table_unref);
  g_byte_array_unref(reader.window);
  g_array_unref(reader.steps);
  g_free(reader.item);
  return done;
}
