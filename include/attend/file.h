/* Model files: named tensors and metadata on disk, in the safetensors format, which any safetensors reader opens.
 *
 *     8 bytes  N, little-endian
 *     N bytes  {"__metadata__": {key: text}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
 *     the tensors' elements, little-endian, row-major, without gaps
 *
 * Files written here carry a CRC-32 of every tensor and one of the header in the metadata (attend.checksum...), so that
 * any flipped bit is found on opening; files of other programs open without. */
#ifndef ATTEND_FILE_H
#define ATTEND_FILE_H

#include <attend/export.h>
#include <attend/memory.h>
#include <attend/status.h>
#include <attend/view.h>

ATT_BEGIN

typedef struct att_file att_file; /* read-only after opening: may be used from many threads */

typedef struct att_named_view {
    const char *name;
    att_view view;
} att_named_view;

typedef struct att_metadata {
    const char *key, *value;
} att_metadata;

/* A tensor as the file describes it, also of types that att_view does not know. */
typedef struct att_file_entry {
    const char *name;
    const char *dtype; /* as in the file: "F32", "BF16", "F8_E4M3", ... */
    int64_t ndim;
    const int64_t *dim;
    const void *data; /* aligned to 64 bytes */
    size_t bytes;
} att_file_entry;

/* Read the whole file into memory and check it: the header, that the tensors fill the file exactly, and the checksums
 * where the file has them. Fails with ATT_E_MISSING, ATT_E_IO, ATT_E_FORMAT (what is wrong with it) or ATT_E_MEMORY;
 * then *out is NULL. */
ATT_API att_status att_file_open(const char *path, const att_allocator *allocator, att_file **out);
ATT_API void att_file_close(att_file *file); /* NULL is harmless */

/* Tensors, in the order of their bytes in the file; 0 <= i < count. */
ATT_API int64_t att_file_count(const att_file *file);
ATT_API const char *att_file_name(const att_file *file, int64_t i);
ATT_API const att_file_entry *att_file_entry_at(const att_file *file, int64_t i);
/* A dense view of the tensor, aligned to 64 bytes, valid until the file is closed; writing through it changes memory,
 * never the file. F32 F64 F16 BF16 I8 I32 I64 U8 and BOOL (as ATT_U8); ATT_E_UNSUPPORTED for other types and for more
 * than ATT_MAX_DIMS dimensions; ATT_E_MISSING when there is no such tensor. */
ATT_API att_status att_file_tensor(const att_file *file, const char *name, att_view *out);

/* Metadata, without the checksums. NULL when the key is absent. */
ATT_API const char *att_file_metadata(const att_file *file, const char *key);
ATT_API int64_t att_file_metadata_count(const att_file *file);
ATT_API att_metadata att_file_metadata_at(const att_file *file, int64_t i); /* 0 <= i < count, in the file's order */
/* 1 when the file carried checksums (and so passed them). */
ATT_API int att_file_has_checksums(const att_file *file);

/* Write tensors[n] (strided views become dense) and metadata[m]. The same arguments give the same bytes.
 * All or nothing: the content goes to a temporary file in the same directory, is synced, and takes the name in one
 * step; after a failure, a crash or a kill the old file is whole. Fails with ATT_E_VALUE for an impossible name (twice,
 * "__metadata__", not UTF-8; metadata keys "attend.checksum..." and "attend.format" are taken), ATT_E_IO with path and
 * reason (disk full, ...). */
ATT_API att_status att_file_save(const char *path, const att_named_view *tensors, int64_t n,
                                 const att_metadata *metadata, int64_t m);

/* Any bytes, as carefully. A device or pipe such as /dev/stdout is written directly. */
ATT_API att_status att_file_write_text(const char *path, const char *text, size_t bytes);

/* 1 when there is something at the path (also a directory). */
ATT_API int att_file_exists(const char *path);

ATT_END

#endif
