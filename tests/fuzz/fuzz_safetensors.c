#include "fuzz.h"

#include <attend/file.h>

static volatile uint8_t sink;

static void touch_tensor(const att_file *file, int64_t i)
{
    const att_file_entry *entry = att_file_entry_at(file, i);
    PROMISE(strcmp(entry->name, att_file_name(file, i)) == 0 && (uintptr_t)entry->data % 64 == 0);
    for (size_t b = 0; b < entry->bytes; b++) sink ^= ((const uint8_t *)entry->data)[b];
    att_view view;
    if (att_file_tensor(file, entry->name, &view) != ATT_OK) return;
    PROMISE(att_view_is_dense(&view));
    PROMISE((size_t)att_view_count(&view) * att_dtype_bytes(view.dtype) == entry->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    att_file *file;
    if (att_file_open(fuzz_file(data, bytes), NULL, &file) != ATT_OK) {
        PROMISE(file == NULL && *att_last_error());
        return 0;
    }
    for (int64_t i = 0; i < att_file_count(file); i++) touch_tensor(file, i);
    for (int64_t i = 0; i < att_file_metadata_count(file); i++) {
        att_metadata m = att_file_metadata_at(file, i);
        PROMISE(att_file_metadata(file, m.key) != NULL && strlen(m.value) < bytes);
    }
    att_file_close(file);
    return 0;
}
