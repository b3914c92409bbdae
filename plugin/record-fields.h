/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* How structs are written into a record and read back: by tables, one line a member,
 * that writing and reading share, so that the two can't differ.
 *
 * A number is written as a varint (7 bits a byte, least first), signed ones folded
 * first (0, −1, 1, −2 …). Zeros, which most members are, are written as 0 and how many
 * more follow. A text is its length and its bytes.
 *
 * What is read may be anybody's: every number is held against the largest that can be
 * meant, so that the policy can compute with it. */

typedef enum {
  CAGMA_FIELD_U32, /* flags and enumerations as well */
  CAGMA_FIELD_U64,
  CAGMA_FIELD_I64,
} CagmaFieldKind;

typedef struct {
  const char *name;
  size_t offset;
  CagmaFieldKind kind;
  size_t count;  /* more than 1: an array */
  uint64_t most; /* the largest value, sign apart */
} CagmaField;

typedef struct {
  const CagmaField *fields;
  size_t n_fields;
  size_t size; /* of the struct */
} CagmaFieldTable;

extern const CagmaFieldTable cagma_sample_fields;   /* CagmaSample */
extern const CagmaFieldTable cagma_input_fields;    /* CagmaInput, but its time and sample */
extern const CagmaFieldTable cagma_terms_fields;    /* the owner's part of a CagmaDomain, but its hold */
extern const CagmaFieldTable cagma_learned_fields;  /* the rest of it */
extern const CagmaFieldTable cagma_settings_fields; /* the owner's part of a CagmaHost */
extern const CagmaFieldTable cagma_kept_fields;     /* the rest of it */
extern const CagmaFieldTable cagma_decision_fields; /* CagmaDecision, but its hold */
extern const CagmaFieldTable cagma_verdict_fields;  /* CagmaVerdict, but its refusal */

/* A number that differs where any table does: records are only read with the tables
 * they were written with. */
uint32_t cagma_fields_fingerprint(void);

/* What is left to be read. Once something couldn't be, nothing can be any more. */
typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} CagmaCursor;

void cagma_put_number(GByteArray *out, uint64_t value);
void cagma_put_signed(GByteArray *out, int64_t value);
/* NULL is written as an empty text. */
void cagma_put_text(GByteArray *out, const char *text);
/* before: another record of the kind, to write no more than what has changed, as (signed)
 * differences; what is read must be read with the same. NULL: none. */
void cagma_put_fields(GByteArray *out, const CagmaFieldTable *table, const void *record, const void *before);

/* FALSE where it isn't there, or isn't what could have been written. */
gboolean cagma_get_number(CagmaCursor *in, uint64_t most, uint64_t *value) G_GNUC_WARN_UNUSED_RESULT;
gboolean cagma_get_signed(CagmaCursor *in, uint64_t most, int64_t *value) G_GNUC_WARN_UNUSED_RESULT;
/* A text of less than size bytes, NUL included; always one that can be shown. */
gboolean cagma_get_text(CagmaCursor *in, char *text, size_t size) G_GNUC_WARN_UNUSED_RESULT;
/* Members that the table doesn't name stay as they are. */
gboolean cagma_get_fields(CagmaCursor *in, const CagmaFieldTable *table, void *record,
                          const void *before) G_GNUC_WARN_UNUSED_RESULT;
gboolean cagma_skip_fields(CagmaCursor *in, const CagmaFieldTable *table) G_GNUC_WARN_UNUSED_RESULT;

/* Copies, and compares, what the table names of two records, and nothing else. */
void cagma_copy_fields(const CagmaFieldTable *table, void *to, const void *from);
gboolean cagma_same_fields(const CagmaFieldTable *table, const void *a, const void *b);
