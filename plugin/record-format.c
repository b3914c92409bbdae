/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin/record-format.h"

#include <string.h>
#include <zlib.h>

const uint8_t cagma_record_magic[CAGMA_RECORD_MAGIC_BYTES] = { 'C', 'A', 'G', 'M', 'A', 'R', 'E', 'C' };
const uint8_t cagma_record_sync[CAGMA_RECORD_SYNC_BYTES] = { 0xca, 0x67, 0xf3, 0x0e };

static void
put_u32(uint8_t *bytes, uint32_t value)
{
  for (unsigned i = 0; i < 4; i++)
    bytes[i] = (uint8_t)(value >> (8 * i));
}

uint32_t
cagma_record_u32(const uint8_t *bytes)
{
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint32_t
cagma_record_sum(const void *bytes, size_t length)
{
  uint8_t tables[8];

  put_u32(tables, CAGMA_RECORD_VERSION);
  put_u32(tables + 4, cagma_fields_fingerprint());
  return (uint32_t)crc32_z(crc32_z(0, tables, sizeof tables), bytes, length);
}

void
cagma_record_file_header(uint8_t header[CAGMA_RECORD_FILE_HEADER])
{
  memcpy(header, cagma_record_magic, CAGMA_RECORD_MAGIC_BYTES);
  put_u32(header + 8, CAGMA_RECORD_VERSION);
  put_u32(header + 12, cagma_fields_fingerprint());
  put_u32(header + 16, (uint32_t)crc32_z(0, header, 16));
}

gboolean
cagma_record_is_file_header(const uint8_t header[CAGMA_RECORD_FILE_HEADER])
{
  return memcmp(header, cagma_record_magic, CAGMA_RECORD_MAGIC_BYTES) == 0 &&
         cagma_record_u32(header + 16) == (uint32_t)crc32_z(0, header, 16);
}

void
cagma_record_seal(GByteArray *block, uint32_t number)
{
  uint8_t *header = block->data;
  size_t length = block->len - CAGMA_RECORD_BLOCK_HEADER;

  memcpy(header, cagma_record_sync, CAGMA_RECORD_SYNC_BYTES);
  put_u32(header + 4, number);
  put_u32(header + 8, (uint32_t)length);
  put_u32(header + 12, cagma_record_sum(header + CAGMA_RECORD_BLOCK_HEADER, length));
  put_u32(header + 16, cagma_record_sum(header, 16));
}
