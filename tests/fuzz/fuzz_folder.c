/* A folder of Hugging Face's: config.json, vocab.json, merges.txt and source.spm, which a seed holds one after the
 * other with a record separator (0x1E) behind each of the first three. What is empty is not there. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <unistd.h>

#include <attend/convert.h>
#include <attend/text.h>

enum { FILES = 4, SEPARATOR = 0x1E, MOST = 512 };
static const char *const names[FILES] = {"config.json", "vocab.json", "merges.txt", "source.spm"};

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void remove_folder(void)
{
    for (int i = 0; i < FILES; i++) unlink(path_of(names[i]));
    rmdir(folder);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/dev/shm/attend-fuzz-XXXXXX");
    if (!mkdtemp(folder)) PROMISE(mkdtemp(strcpy(folder, "/tmp/attend-fuzz-XXXXXX")));
    atexit(remove_folder);
}

static void write_files(const uint8_t *data, size_t bytes)
{
    for (int i = 0; i < FILES; i++) {
        const uint8_t *stop = i < FILES - 1 && bytes ? memchr(data, SEPARATOR, bytes) : NULL;
        size_t n = stop ? (size_t)(stop - data) : bytes, used = stop ? n + 1 : n;
        const char *path = path_of(names[i]);
        if (n == 0) {
            unlink(path);
        } else {
            FILE *f = fopen(path, "wb");
            PROMISE(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
        }
        data += used;
        bytes -= used;
    }
}

/* Every id of a text is a token; what they decode to is UTF-8. */
static void use(const att_tokenizer *t)
{
    static const char text[] = "the cat \xC3\xA9\xE4\xB8\xAD  sat.\n</s> 12";
    int32_t ids[MOST];
    char out[16 * MOST];
    int64_t n;
    size_t length;
    if (att_tokenizer_encode(t, text, sizeof text - 1, ids, MOST, &n) != ATT_OK) return;
    for (int64_t i = 0; i < n; i++) PROMISE(att_tokenizer_piece(t, ids[i]) != NULL);
    if (att_tokenizer_decode(t, ids, n, out, sizeof out, &length) == ATT_OK)
        PROMISE(att_utf8_check(out, length, NULL) == ATT_OK && out[length] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    att_tokenizer *t;
    if (!*folder) make_folder();
    write_files(data, bytes);
    if (att_tokenizer_read(folder, NULL, &t) == ATT_OK)
        use(t);
    else
        PROMISE(t == NULL && *att_last_error());
    att_tokenizer_destroy(t);
    char model[128];
    snprintf(model, sizeof model, "%s/model.att", folder);
    PROMISE(att_convert_import(folder, model, NULL) != ATT_OK && *att_last_error()); /* there are no weights */
    return 0;
}
