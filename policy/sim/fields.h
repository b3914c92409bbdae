/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* A scenario's fields, in tables: what each is called in a file, where it is in the
 * structs of scenario.h, and what is allowed. Whether a scenario can be run, how it is
 * freed, copied, read and written follows from them; docs/scenario.schema.json is held
 * to them by a test. */

typedef enum {
  CAGMA_FIELD_TEXT,         /* char *; low and high count characters */
  CAGMA_FIELD_COUNT,        /* uint32_t */
  CAGMA_FIELD_PERCENT,      /* uint32_t, permille; a file has percent */
  CAGMA_FIELD_KIB,          /* uint64_t */
  CAGMA_FIELD_MIB,          /* uint64_t, KiB; a file has MiB */
  CAGMA_FIELD_SECONDS,      /* int64_t, µs; a file has seconds … */
  CAGMA_FIELD_MILLISECONDS, /* … or milliseconds */
  CAGMA_FIELD_FLAG,         /* gboolean */
  CAGMA_FIELD_CHOICE,       /* an enum */
  CAGMA_FIELD_OBJECT,       /* a struct without pointers, or a part of this one */
  CAGMA_FIELD_LIST,         /* a pointer to structs; low and high count them */
} CagmaFieldType;

typedef struct CagmaFields CagmaFields;

typedef struct {
  const char *name;
  CagmaFieldType type;
  gboolean required; /* a file must have it */
  size_t offset;
  uint64_t low; /* numbers: in the struct's unit */
  uint64_t high;
  const char *(*name_at)(unsigned int value); /* CHOICE; NULL beyond the last one */
  const CagmaFields *fields;                  /* OBJECT, LIST */
  size_t n_offset;                            /* LIST: of the size_t that says how many there are */
  uint32_t given;                             /* a guest's configuration: the CagmaGiven bit */
} CagmaField;

struct CagmaFields {
  const CagmaField *field;
  size_t n;
  size_t size;            /* of the struct */
  void (*init)(void *at); /* what holds where a file says nothing; NULL: zeros */
};

/* A whole scenario, but for the version. */
extern const CagmaFields cagma_scenario_fields;
/* A guest, one of the lists in it. */
extern const CagmaFields cagma_sim_guest_fields;

/* How many units of the struct make one of the file. */
uint64_t cagma_field_scale(CagmaFieldType type);

/* The number that a field of a number's type holds, in the struct's unit. Negative ones
 * are given as G_MAXUINT64, which is above any field's high. */
uint64_t cagma_field_number(const CagmaField *field, const void *at);
void cagma_field_set_number(const CagmaField *field, void *at, uint64_t number);

/* LIST: its elements, and how many. */
void *cagma_field_list(const CagmaField *field, const void *at, size_t *n);

/* Frees all that the struct points to, and makes a copy own what it points to. */
void cagma_fields_clear(const CagmaFields *fields, void *at);
void cagma_fields_own(const CagmaFields *fields, void *at);
