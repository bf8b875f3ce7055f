#define _GNU_SOURCE
#include "file/safetensors.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

uint32_t att_checksum(uint32_t sum, const void *data, size_t bytes)
{
    return bytes ? (uint32_t)crc32_z(sum, data, bytes) : sum;
}

void att_checksum_text(uint32_t sum, char out[ATT_CHECKSUM_DIGITS + 1])
{
    snprintf(out, ATT_CHECKSUM_DIGITS + 1, "%08lx", (unsigned long)sum);
}

char *att_checksum_place(char *header, size_t bytes)
{
    char *mark = memmem(header, bytes, ATT_CHECKSUM_MARK, strlen(ATT_CHECKSUM_MARK));
    if (!mark) return NULL;
    mark += strlen(ATT_CHECKSUM_MARK);
    return (size_t)(header + bytes - mark) >= ATT_CHECKSUM_DIGITS ? mark : NULL;
}

bool att_checksum_key(const char *key)
{
    return strcmp(key, ATT_FORMAT_KEY) == 0 || strcmp(key, ATT_CHECKSUM_KEY) == 0 ||
           strncmp(key, ATT_CHECKSUM_PREFIX, strlen(ATT_CHECKSUM_PREFIX)) == 0;
}
