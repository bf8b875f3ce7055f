#include "text/language.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <lzma.h>
#include <zstd.h>

static char folder[64];

static const char *path_of(const char *name)
{
    static _Thread_local char path[4][160];
    static _Thread_local int turn;
    char *out = path[turn = (turn + 1) % 4];
    snprintf(out, 160, "%s/%s", folder, name);
    return out;
}

static const char *write_file(const char *name, const void *data, size_t bytes)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
    return path;
}

static const char *write_text(const char *name, const char *text)
{
    return write_file(name, text, strlen(text));
}

static void expect_text(att_text got, const char *want)
{
    assert_int_equal(got.bytes, strlen(want));
    assert_memory_equal(got.data, want, got.bytes);
}

static void expect_tsv(const char *path, const char *const *source, const char *const *target, int64_t n)
{
    att_corpus *c;
    assert_ok(att_corpus_read_tsv(path, 0, target ? 1 : -1, NULL, &c));
    assert_int_equal(att_corpus_count(c), n);
    assert_true(!!att_corpus_target(c) == !!target);
    for (int64_t i = 0; i < n; i++) {
        expect_text(att_corpus_source(c)[i], source[i]);
        if (target) expect_text(att_corpus_target(c)[i], target[i]);
    }
    att_corpus_destroy(c);
}

static void refuse(att_status got, att_status want, const char *path, const char *message)
{
    char full[400];
    snprintf(full, sizeof full, "%s%s", path, message);
    assert_string_equal(att_last_error(), full);
    assert_int_equal(got, want);
}

static void refuse_tsv(const char *content, size_t bytes, const char *message)
{
    att_corpus *c = (att_corpus *)folder;
    const char *path = write_file("bad.tsv", content, bytes);
    refuse(att_corpus_read_tsv(path, 0, 1, NULL, &c), ATT_E_FORMAT, path, message);
    assert_null(c);
}
#define REFUSE_TSV(content, message) refuse_tsv(content, sizeof(content) - 1, message)

static void columns_are_found(void **state)
{
    (void)state;
    static const char *const source[] = {"Go.", "Hi \xC3\xA9"}, *const target[] = {"Vete.", "Hola"};
    expect_tsv(write_text("a", "Go.\tVete.\nHi \xC3\xA9\tHola\n"), source, target, 2);
    expect_tsv(write_text("a", "Go.\tVete.\nHi \xC3\xA9\tHola"), source, target, 2); /* no LF at the end */
    expect_tsv(write_text("a", "Go.\tVete.\r\nHi \xC3\xA9\tHola\r\n"), source, target, 2);
    expect_tsv(write_text("a", "\xEF\xBB\xBFGo.\tVete.\nHi \xC3\xA9\tHola\n"), source, target, 2);
    expect_tsv(write_text("a", "Go.\tVete.\tCC-BY\t\nHi \xC3\xA9\tHola\t"), source, target, 2);
    expect_tsv(write_text("a", "Go.\nHi \xC3\xA9\n"), source, NULL, 2);
    att_corpus *c;
    const char *path = write_text("a", "1\t2\t3\n4\t5\t6\n");
    assert_ok(att_corpus_read_tsv(path, 2, 0, NULL, &c));
    expect_text(att_corpus_source(c)[1], "6");
    expect_text(att_corpus_target(c)[1], "4");
    att_corpus_destroy(c);
    assert_int_equal(att_corpus_read_tsv(path, -1, 0, NULL, &c), ATT_E_VALUE);
    assert_int_equal(att_corpus_read_tsv(path, 0, -2, NULL, &c), ATT_E_VALUE);
    assert_int_equal(att_corpus_read_tsv(path, INT32_MAX, 0, NULL, &c), ATT_E_VALUE);
    refuse(att_corpus_read_tsv(path, 0, 3, NULL, &c), ATT_E_FORMAT, path,
           ":1: 3 columns, expected at least 4 separated by tabs");
    att_corpus_destroy(NULL);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    REFUSE_TSV("a\tb\nc\n", ":2: 1 column, expected at least 2 separated by tabs");
    REFUSE_TSV("a\tb\n\nc\td\n", ":2: 1 column, expected at least 2 separated by tabs");
    REFUSE_TSV("a\tb\nc\t\n", ":2: the target (column 2) is empty");
    REFUSE_TSV("a\tb\nc\t  \r\n", ":2: the target (column 2) is empty");
    REFUSE_TSV("\tb\n", ":1: the source (column 1) is empty");
    REFUSE_TSV("a\tb\nc\td\ne\tf\xC3(\n", ":3: invalid UTF-8 at byte 4 of the line: 0xc3");
    REFUSE_TSV("a\tb\nc\td\n\xFF\xFEx\ty\n", ":3: invalid UTF-8 at byte 1 of the line: 0xff");
    REFUSE_TSV("a\tb\nc\td\n\xC3", ":3: invalid UTF-8 at byte 1 of the line: 0xc3"); /* cut */
    REFUSE_TSV("a\tb\nc\0\td\n", ":2: a NUL at byte 2 of the line");
    REFUSE_TSV("", ": no lines, expected at least 1");
    REFUSE_TSV("\xEF\xBB\xBF", ": no lines, expected at least 1");
    REFUSE_TSV("\n", ":1: 1 column, expected at least 2 separated by tabs");
}

static void two_files_are_aligned(void **state)
{
    (void)state;
    att_corpus *c;
    const char *a = write_text("a", "one\ntwo\tx\nthree\n"), *b = write_text("b", "uno\r\ndos\r\ntres");
    assert_ok(att_corpus_read_pair(a, b, NULL, &c));
    assert_int_equal(att_corpus_count(c), 3);
    expect_text(att_corpus_source(c)[1], "two\tx");
    expect_text(att_corpus_target(c)[1], "dos");
    expect_text(att_corpus_target(c)[2], "tres");
    att_corpus_destroy(c);
    assert_ok(att_corpus_read_pair(a, NULL, NULL, &c));
    assert_int_equal(att_corpus_count(c), 3);
    assert_null(att_corpus_target(c));
    att_corpus_destroy(c);
    b = write_text("b", "uno\ndos\n");
    char message[400];
    snprintf(message, sizeof message, " has 3 lines and %s has 2, expected as many", b);
    refuse(att_corpus_read_pair(a, b, NULL, &c), ATT_E_FORMAT, a, message);
    refuse(att_corpus_read_pair(b, a, NULL, &c), ATT_E_FORMAT, b,
           (snprintf(message, sizeof message, " has 2 lines and %s has 3, expected as many", a), message));
    b = write_text("b", "uno\n \ntres\n");
    refuse(att_corpus_read_pair(a, b, NULL, &c), ATT_E_FORMAT, b, ":2: the target is empty");
    b = write_text("b", "");
    refuse(att_corpus_read_pair(a, b, NULL, &c), ATT_E_FORMAT, b, ": no lines, expected at least 1");
}

static void missing_and_unreadable_files(void **state)
{
    (void)state;
    att_corpus *c;
    const char *path = path_of("nowhere.tsv");
    refuse(att_corpus_read_tsv(path, 0, 1, NULL, &c), ATT_E_MISSING, path, ": no such file");
    const char *a = write_text("a", "x\n");
    refuse(att_corpus_read_pair(a, path, NULL, &c), ATT_E_MISSING, path, ": no such file");
    refuse(att_corpus_read_tsv(folder, 0, 1, NULL, &c), ATT_E_IO, folder, ": cannot be read: Is a directory");
    assert_null(c);
}

/* ---- compressed ---- */

typedef size_t packer(const void *data, size_t bytes, unsigned char *out, size_t capacity);

static size_t gzip(const void *data, size_t bytes, unsigned char *out, size_t capacity)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)bytes;
    z.next_out = out;
    z.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

static size_t zstd(const void *data, size_t bytes, unsigned char *out, size_t capacity)
{
    size_t n = ZSTD_compress(out, capacity, data, bytes, 3);
    assert_false(ZSTD_isError(n));
    return n;
}

static size_t xz(const void *data, size_t bytes, unsigned char *out, size_t capacity)
{
    size_t n = 0;
    assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, data, bytes, out, &n, capacity), LZMA_OK);
    return n;
}

static packer *const packers[] = {gzip, zstd, xz};
enum { PACKERS = sizeof packers / sizeof *packers };

/* Lines whose size makes the unpacked data more than one chunk, exactly one, and very little. */
static void compressed_files_equal_plain_ones(void **state)
{
    (void)state;
    static const size_t sizes[] = {8, 1000, 1 << 18, (1 << 18) + 8, 3 << 20};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t bytes = sizes[s];
        char *text = malloc(bytes);
        unsigned char *packed = malloc(2 * bytes + 1000);
        for (size_t i = 0; i < bytes; i += 8) memcpy(text + i, i / 8 % 3 ? "abcde\tf\n" : "uvw\txyz\n", 8);
        for (int k = 0; k < PACKERS; k++)
            for (int parts = 1; parts <= 2; parts++) { /* two: concatenated members, as `cat a.gz b.gz` makes */
                size_t half = parts == 1 ? bytes : bytes / 16 * 8;
                size_t n = half ? packers[k](text, half, packed, bytes + 500) : 0;
                if (half < bytes) n += packers[k](text + half, bytes - half, packed + n, bytes + 500);
                const char *path = write_file("name.says.nothing", packed, n);
                att_corpus *c;
                assert_ok(att_corpus_read_tsv(path, 1, 0, NULL, &c));
                assert_int_equal(att_corpus_count(c), bytes / 8);
                for (size_t i = 0; i < bytes / 8; i += 97) expect_text(att_corpus_source(c)[i], i % 3 ? "f" : "xyz");
                att_corpus_destroy(c);
            }
        free(text);
        free(packed);
    }
}

static void cut_and_damaged_data_is_refused(void **state)
{
    (void)state;
    static const char *const early[] = {"gzip data ends too early", "zstd data ends too early",
                                        "xz data ends too early"};
    enum { N = 4000 };
    char text[N];
    unsigned char packed[2 * N], copy[2 * N];
    att_random r = {.seed = 1};
    for (int i = 0; i < N; i += 4) {
        memcpy(text + i, "a\tb\n", 4);
        text[i] = (char)('a' + att_random_below(&r, 26));
        text[i + 2] = (char)('a' + att_random_below(&r, 26));
    }
    for (int k = 0; k < PACKERS; k++) {
        size_t n = packers[k](text, N, packed, sizeof packed);
        att_corpus *c;
        for (size_t kept = k < 2 ? 4 : 6; kept < n; kept += 1 + kept / 40) {
            const char *path = write_file("cut", packed, kept);
            assert_int_equal(att_corpus_read_tsv(path, 0, 1, NULL, &c), ATT_E_FORMAT);
            if (!strstr(att_last_error(), early[k])) fail_msg("%zu bytes kept: %s", kept, att_last_error());
            assert_null(c);
        }
        int64_t refused = 0;
        for (int round = 0; round < 300; round++) {
            memcpy(copy, packed, n);
            copy[4 + att_random_below(&r, n - 4)] ^= (unsigned char)(1 + att_random_below(&r, 255));
            refused += att_corpus_read_tsv(write_file("damaged", copy, n), 0, 1, NULL, &c) != ATT_OK;
            att_corpus_destroy(c);
        }
        assert_true(refused > (k == 1 ? 100 : 280)); /* the others have checksums; ZSTD_compress writes none */
    }
}

/* Any bytes at all: a corpus that can be walked, or a message. */
static void random_bytes_never_crash(void **state)
{
    (void)state;
    static const char *const head[] = {"", "\x1F\x8B\x08", "\x28\xB5\x2F\xFD", "\xEF\xBB\xBF",
                                       "\xFD"
                                       "7zXZ"};
    att_random r = {.seed = 17};
    int64_t accepted = 0;
    for (int round = 0; round < 10000; round++) {
        char data[80];
        size_t n = strlen(head[round % 5]), bytes = n + att_random_below(&r, sizeof data - n);
        memcpy(data, head[round % 5], n);
        for (size_t i = n; i < bytes; i++)
            data[i] = round % 3 ? "a\t\n\r\xC3\xA9 b"[att_random_below(&r, 8)] : (char)att_random_below(&r, 256);
        const char *path = write_file("random", data, bytes);
        att_corpus *c;
        att_status status =
            round % 2 ? att_corpus_read_tsv(path, 1, 0, NULL, &c) : att_corpus_read_pair(path, path, NULL, &c);
        if (status == ATT_OK) {
            size_t total = 0;
            for (int64_t i = 0; i < att_corpus_count(c); i++)
                total += att_corpus_source(c)[i].bytes + att_corpus_target(c)[i].bytes;
            assert_in_range(total, 2 * att_corpus_count(c), 2 * bytes);
            accepted++;
        } else {
            assert_int_equal(status, ATT_E_FORMAT);
            assert_null(c);
        }
        att_corpus_destroy(c);
    }
    assert_true(accepted > 20);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    enum { N = 400000 };
    char *text = malloc(N);
    unsigned char *packed = malloc(N);
    for (int i = 0; i < N; i += 4) memcpy(text + i, "a\tb\n", 4);
    for (int k = 0; k < 2; k++) {
        const char *path = write_file("a", packed, packers[k](text, N, packed, N));
        int64_t calls = INT64_MAX;
        for (int64_t fail_at = -1; fail_at < calls; fail_at++) {
            counting context = {.fail_at = fail_at};
            att_allocator a = {counting_resize, &context};
            att_corpus *c;
            att_status status = att_corpus_read_tsv(path, 0, 1, &a, &c);
            assert_int_equal(status, fail_at < 0 ? ATT_OK : ATT_E_MEMORY);
            att_corpus_destroy(c);
            assert_int_equal(context.live_bytes, 0);
            if (fail_at < 0) calls = context.calls;
        }
        assert_true(calls > 10);
    }
    free(text);
    free(packed);
}

#ifdef TEST_DATA_DIR
/* The real corpus: sizes that its description gives, a vocabulary, and a round trip of every sentence. */
static void spanish_and_english(void **state)
{
    (void)state;
    static const char path[] = TEST_DATA_DIR "/spa-eng/train.tsv.gz";
    if (access(path, R_OK) != 0) skip();
    att_corpus *c;
    assert_ok(att_corpus_read_tsv(path, 1, 0, NULL, &c));
    int64_t n = att_corpus_count(c), unknown = 0, lossless = 0;
    assert_int_equal(n, 113964);
    att_tokenizer *t;
    assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.vocabulary = 6000}, att_corpus_source(c), n, NULL, &t));
    assert_int_equal(att_tokenizer_size(t), 6000);
    for (int64_t i = 0; i < n; i++) {
        int32_t ids[1024];
        int64_t count;
        char out[4096], *clean;
        size_t bytes, clean_bytes;
        att_text s = att_corpus_source(c)[i];
        assert_ok(att_tokenizer_encode(t, s.data, s.bytes, ids, 1024, &count));
        int known = 1;
        for (int64_t k = 0; k < count; k++) known &= ids[k] != ATT_TOKEN_UNK;
        unknown += !known;
        if (!known) continue;
        assert_ok(att_tokenizer_decode(t, ids, count, out, sizeof out, &bytes));
        assert_ok(att_normalise_text(ATT_NORMALISE_PLAIN, s.data, s.bytes, NULL, &clean, &clean_bytes));
        assert_string_equal(out, clean);
        att_text_free(NULL, clean);
        lossless++;
    }
    assert_true(unknown < n / 50);
    assert_int_equal(lossless + unknown, n);
    att_tokenizer_destroy(t);
    att_corpus_destroy(c);
}
#endif

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/attend-XXXXXX", scratch_folder());
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "bad.tsv", "cut", "damaged", "random", "name.says.nothing"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(path_of(names[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_found),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(two_files_are_aligned),
        cmocka_unit_test(missing_and_unreadable_files),
        cmocka_unit_test(compressed_files_equal_plain_ones),
        cmocka_unit_test(cut_and_damaged_data_is_refused),
        cmocka_unit_test(random_bytes_never_crash),
        cmocka_unit_test(any_allocation_may_fail),
#ifdef TEST_DATA_DIR
        cmocka_unit_test(spanish_and_english),
#endif
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
