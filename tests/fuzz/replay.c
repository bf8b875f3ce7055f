/* Stands in for libFuzzer: runs the target on every file of a folder and on COPIES changed copies of each, the same
 * ones every time. */
#include "fuzz.h"

#include <dirent.h>

#include <attend/random.h>

enum { COPIES = 3000, MOST_BYTES = 1 << 16 };

static size_t read_seed(const char *folder, const char *name, uint8_t *out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    size_t n = fread(out, 1, MOST_BYTES, f);
    fclose(f);
    return n;
}

/* One change: a bit, a byte, a piece that goes, comes twice or moves. Returns the new length. */
static size_t change(uint8_t *text, size_t n, att_random *r)
{
    size_t at = (size_t)att_random_below(r, n), most = n - at < 16 ? n - at : 16;
    size_t piece = 1 + (size_t)att_random_below(r, most);
    switch (att_random_below(r, 6)) {
    case 0: text[at] ^= (uint8_t)(1u << att_random_below(r, 8)); return n;
    case 1: text[at] = (uint8_t)att_random_u32(r); return n;
    case 2: text[at] = (uint8_t) "\t\n\0\"{}[]:,-09\xff\xe2\x80"[att_random_below(r, 16)]; return n;
    case 3: memmove(text + at, text + at + piece, n - at - piece); return n - piece;
    case 4:
        if (n + piece > MOST_BYTES) return at;
        memmove(text + at + piece, text + at, n - at);
        return n + piece;
    default: return att_random_below(r, 8) ? n : at;
    }
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fputs("usage: fuzz.NAME FOLDER\n", stderr);
        return 2;
    }
    static uint8_t seed[MOST_BYTES], copy[MOST_BYTES];
    int files = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        size_t n = read_seed(argv[1], entry->d_name, seed);
        if (n == 0) continue;
        files++;
        LLVMFuzzerTestOneInput(seed, n);
        for (uint64_t i = 0; i < COPIES; i++) {
            att_random r = {.seed = att_random_mix(n, i)};
            size_t m = n;
            memcpy(copy, seed, n);
            for (uint64_t k = att_random_below(&r, 8) + 1; k > 0 && m > 0; k--) m = change(copy, m, &r);
            LLVMFuzzerTestOneInput(copy, m);
        }
    }
    closedir(folder);
    printf("%d files, %d changed copies of each\n", files, COPIES);
    return files == 0;
}
