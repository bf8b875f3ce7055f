#include "text/file.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK_BYTES ((size_t)1 << 18)

static att_status read_plain(int file, const char *path, att_buffer *out)
{
    for (;;) {
        ATT_TRY(att_buffer_reserve(out, CHUNK_BYTES));
        ssize_t got = read(file, out->data + out->bytes, CHUNK_BYTES);
        if (got < 0 && errno == EINTR) continue;
        ATT_REQUIRE(got >= 0, ATT_E_IO, "%s: cannot be read: %s", path, strerror(errno));
        if (got == 0) return ATT_OK;
        out->bytes += (size_t)got;
    }
}

static att_status gunzip_all(z_stream *z, const char *path, const att_buffer *packed, att_buffer *out)
{
    size_t at = 0;
    int state = Z_OK;
    while (at < packed->bytes || state == Z_OK) {
        if (state == Z_STREAM_END) inflateReset(z);
        ATT_TRY(att_buffer_reserve(out, CHUNK_BYTES));
        size_t left = packed->bytes - at;
        z->next_in = (Bytef *)(packed->data + at);
        z->avail_in = (uInt)(left < CHUNK_BYTES ? left : CHUNK_BYTES);
        z->next_out = (Bytef *)(out->data + out->bytes);
        z->avail_out = (uInt)CHUNK_BYTES;
        uInt offered = z->avail_in;
        state = inflate(z, Z_NO_FLUSH);
        at += offered - z->avail_in;
        out->bytes += CHUNK_BYTES - z->avail_out;
        ATT_REQUIRE(state != Z_MEM_ERROR, ATT_E_MEMORY, "%s: out of memory while unpacking gzip data", path);
        ATT_REQUIRE(state != Z_BUF_ERROR || at < packed->bytes, ATT_E_FORMAT,
                    "%s: the gzip data ends too early, after %zu bytes", path, packed->bytes);
        ATT_REQUIRE(state == Z_OK || state == Z_STREAM_END, ATT_E_FORMAT, "%s: damaged gzip data near byte %zu: %s",
                    path, at, z->msg ? z->msg : zError(state));
    }
    return ATT_OK;
}

static att_status gunzip(const char *path, const att_buffer *packed, att_buffer *out)
{
    z_stream z = {0};
    ATT_REQUIRE(inflateInit2(&z, 16 + MAX_WBITS) == Z_OK, ATT_E_MEMORY, "%s: zlib cannot start", path);
    att_status status = gunzip_all(&z, path, packed, out);
    inflateEnd(&z);
    return status;
}

static att_status unzstd_all(ZSTD_DStream *z, const char *path, const att_buffer *packed, att_buffer *out)
{
    ZSTD_inBuffer in = {packed->data, packed->bytes, 0};
    size_t hint = 1; /* 0 after a whole frame */
    bool full = false;
    while (in.pos < in.size || full) {
        ATT_TRY(att_buffer_reserve(out, CHUNK_BYTES));
        ZSTD_outBuffer to = {out->data + out->bytes, CHUNK_BYTES, 0};
        hint = ZSTD_decompressStream(z, &to, &in);
        out->bytes += to.pos;
        full = to.pos == to.size;
        ATT_REQUIRE(!ZSTD_isError(hint), ATT_E_FORMAT, "%s: damaged zstd data near byte %zu: %s", path, in.pos,
                    ZSTD_getErrorName(hint));
        if (hint == 0) full = false;
    }
    ATT_REQUIRE(hint == 0, ATT_E_FORMAT, "%s: the zstd data ends too early, after %zu bytes", path, packed->bytes);
    return ATT_OK;
}

static att_status unzstd(const char *path, const att_buffer *packed, att_buffer *out)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    ATT_REQUIRE(z, ATT_E_MEMORY, "%s: zstd cannot start", path);
    att_status status = unzstd_all(z, path, packed, out);
    ZSTD_freeDStream(z);
    return status;
}

static const char *xz_reason(lzma_ret state)
{
    switch (state) {
    case LZMA_DATA_ERROR: return "a checksum or the content is wrong";
    case LZMA_OPTIONS_ERROR: return "it needs a later liblzma";
    default: return "not the format";
    }
}

static att_status unxz_all(lzma_stream *z, const char *path, const att_buffer *packed, att_buffer *out)
{
    lzma_ret state = LZMA_OK;
    z->next_in = (const uint8_t *)packed->data;
    z->avail_in = packed->bytes;
    while (state == LZMA_OK) {
        ATT_TRY(att_buffer_reserve(out, CHUNK_BYTES));
        z->next_out = (uint8_t *)(out->data + out->bytes);
        z->avail_out = CHUNK_BYTES;
        state = lzma_code(z, LZMA_FINISH);
        out->bytes += CHUNK_BYTES - z->avail_out;
    }
    ATT_REQUIRE(state != LZMA_MEM_ERROR, ATT_E_MEMORY, "%s: out of memory while unpacking xz data", path);
    ATT_REQUIRE(state != LZMA_BUF_ERROR, ATT_E_FORMAT, "%s: the xz data ends too early, after %zu bytes", path,
                packed->bytes);
    ATT_REQUIRE(state == LZMA_STREAM_END, ATT_E_FORMAT, "%s: damaged xz data near byte %zu: %s", path,
                packed->bytes - z->avail_in, xz_reason(state));
    return ATT_OK;
}

static att_status unxz(const char *path, const att_buffer *packed, att_buffer *out)
{
    lzma_stream z = LZMA_STREAM_INIT;
    ATT_REQUIRE(lzma_stream_decoder(&z, UINT64_MAX, LZMA_CONCATENATED) == LZMA_OK, ATT_E_MEMORY,
                "%s: liblzma cannot start", path);
    att_status status = unxz_all(&z, path, packed, out);
    lzma_end(&z);
    return status;
}

static att_status unpack(const char *path, att_buffer *raw, att_buffer *out)
{
    if (raw->bytes >= 2 && memcmp(raw->data, "\x1F\x8B", 2) == 0) return gunzip(path, raw, out);
    if (raw->bytes >= 4 && memcmp(raw->data, "\x28\xB5\x2F\xFD", 4) == 0) return unzstd(path, raw, out);
    if (raw->bytes >= 6 && memcmp(raw->data,
                                  "\xFD"
                                  "7zXZ",
                                  6) == 0)
        return unxz(path, raw, out);
    if (out->data) return att_buffer_append(out, raw->data, raw->bytes);
    att_buffer swap = *out;
    *out = *raw;
    *raw = swap;
    return ATT_OK;
}

att_status att_file_read(const char *path, att_buffer *out)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ATT_REQUIRE(file >= 0 || (errno != ENOENT && errno != ENOTDIR), ATT_E_MISSING, "%s: no such file", path);
    ATT_REQUIRE(file >= 0, ATT_E_IO, "%s: cannot be opened: %s", path, strerror(errno));
    att_buffer raw = {.allocator = out->allocator};
    att_status status = read_plain(file, path, &raw);
    close(file);
    if (status == ATT_OK) status = unpack(path, &raw, out);
    att_buffer_release(&raw);
    return status;
}
