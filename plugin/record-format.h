/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin/record-fields.h"

/* A record as a file. Numbers outside payloads are 32 bits, least byte first.
 *
 *     file     "CAGMAREC" version fingerprint sum, then blocks
 *     block    sync number length sum header-sum, then the payload
 *     payload  a time, µs of the daemon's clock; items, whose times count from the last before
 *     item     its kind, one byte, then what the kind says
 *
 * Both sums are CRC-32, the file's and the header's of the bytes before them, the
 * block's of its payload; a block's begin with version and fingerprint, so that a block
 * written with other tables is taken for damage, not for something else. A block's number
 * is one more than that of the block before, so that it shows where one is missing.
 *
 * Items are inputs in the order in which they happened, and what was decided. A keyframe
 * is all that is known at its moment; reading can begin there. */

#define CAGMA_RECORD_MAGIC_BYTES 8
extern const uint8_t cagma_record_magic[CAGMA_RECORD_MAGIC_BYTES];
#define CAGMA_RECORD_VERSION 1
#define CAGMA_RECORD_FILE_HEADER 20
#define CAGMA_RECORD_BLOCK_HEADER 20

/* Not text, and no UTF-8. */
#define CAGMA_RECORD_SYNC_BYTES 4
extern const uint8_t cagma_record_sync[CAGMA_RECORD_SYNC_BYTES];

/* More than the keyframe of the most domains; a length beyond it is damage. */
#define CAGMA_RECORD_PAYLOAD_MAX ((uint32_t)64 << 20)
/* As many as sizes can be summed over (policy/units.h). */
#define CAGMA_RECORD_MAX_DOMAINS 16384

#define CAGMA_RECORD_NAME_BYTES 1024 /* 255 characters, NUL included */
#define CAGMA_RECORD_UUID_BYTES 37

/* Monotonic times beyond this are damage: 285 years. */
#define CAGMA_RECORD_TIME_MAX_US ((uint64_t)1 << 53)

/* What follows an item's kind. Domains are numbered in the order of their coming. */
typedef enum {
  /* whether it begins a run, settings and kept fields of the host, how many STATEs follow */
  CAGMA_ITEM_KEYFRAME = 1,
  CAGMA_ITEM_STATE,   /* number, uuid, name, terms as in TERMS, learned fields */
  CAGMA_ITEM_ADDED,   /* number, uuid, name, time */
  CAGMA_ITEM_REMOVED, /* number */
  CAGMA_ITEM_TERMS,   /* number, whether it is held, terms, hold */
  /* number, time, input, and, where that is its kind, how a sample differs from the last one
   * of its source since the keyframe */
  CAGMA_ITEM_INPUT,
  CAGMA_ITEM_DECIDING, /* time, wall clock, settings: what is decided rests on all before */
  CAGMA_ITEM_DECIDED,  /* verdict, refusal, how many steps, each a number and a target */
  CAGMA_ITEM_DECISION, /* number, decision, hold: one that has changed, or of a step */
} CagmaItemKind;

/* The sum of a block's header, and of its payload: of version and fingerprint as well. */
uint32_t cagma_record_sum(const void *bytes, size_t length);

void cagma_record_file_header(uint8_t header[CAGMA_RECORD_FILE_HEADER]);
/* TRUE where it is one of any version, undamaged. */
gboolean cagma_record_is_file_header(const uint8_t header[CAGMA_RECORD_FILE_HEADER]);

/* Fills in the header of a block whose payload follows it in the array. */
void cagma_record_seal(GByteArray *block, uint32_t number);

uint32_t cagma_record_u32(const uint8_t *bytes);
