/* .npy files: NumPy's own (npy_golden.json) to the byte, cut at every byte, with every bit of the header turned, and
 * headers that lie. */
#include <attend/npy.h>

#include <attend/memory.h>
#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocator.h"
#include "harness.h"

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/attend-npy-XXXXXX", scratch_folder());
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/a.npy", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails when a test left anything else behind */
}

static void write_file(const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fwrite(data, 1, bytes, f) == bytes);
    assert_int_equal(fclose(f), 0);
}

static size_t read_file(unsigned char *data, size_t room)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t bytes = fread(data, 1, room, f);
    assert_true(bytes < room);
    fclose(f);
    return bytes;
}

static void expect_failure(att_status want, const char *part)
{
    att_view v;
    att_status got = att_npy_read(path, NULL, &v);
    if (got != want || !strstr(att_last_error(), part))
        fail_msg("%s \"%s\", expected %s \"%s\"", att_status_name(got), att_last_error(), att_status_name(want), part);
    assert_null(v.data);
    assert_non_null(strstr(att_last_error(), path));
}

/* An allocator that refuses more than `limit` bytes at once and knows whether all came back. */
typedef struct bounded {
    size_t limit, out;
} bounded;

static void *bounded_resize(void *ctx, void *block, size_t old_bytes, size_t new_bytes)
{
    bounded *b = ctx;
    if (new_bytes > b->limit) fail_msg("%zu bytes were asked for, the file has %zu", new_bytes, b->limit);
    b->out += new_bytes - old_bytes;
    if (new_bytes > 0) return realloc(block, new_bytes);
    free(block);
    return NULL;
}

/* Reading must end, whatever is in the file; what it gives must be whole. */
static att_status survive(size_t file_bytes)
{
    bounded b = {.limit = file_bytes ? file_bytes : 1};
    att_allocator a = {bounded_resize, &b};
    att_view v;
    unsigned sum = 0;
    att_status st = att_npy_read(path, &a, &v);
    if (st == ATT_OK) {
        size_t bytes = (size_t)att_view_count(&v) * att_dtype_bytes(v.dtype);
        for (size_t i = 0; i < bytes; i++) sum += ((unsigned char *)v.data)[i];
        assert_true(sum < UINT32_MAX);
    }
    att_npy_free(&a, &v);
    assert_true(b.out == 0);
    return st;
}

/* ---- NumPy's files ---- */

static size_t unhex(const char *hex, unsigned char *out, size_t room)
{
    size_t n = strlen(hex) / 2;
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (unsigned char)byte;
    }
    return n;
}

/* The elements of any view in C order. */
static size_t flatten(const att_view *v, unsigned char *out)
{
    int64_t n = att_view_count(v), size = (int64_t)att_dtype_bytes(v->dtype);
    for (int64_t k = 0; k < n; k++) {
        int64_t rest = k, offset = 0;
        for (int a = v->ndim - 1; a >= 0; rest /= v->dim[a--]) offset += rest % v->dim[a] * v->stride[a];
        memcpy(out + k * size, (const char *)v->data + offset * size, (size_t)size);
    }
    return (size_t)(n * size);
}

static void check_golden(const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape");
    unsigned char file[4096], want[1024], got[1024], again[4096];
    size_t file_bytes = unhex(json_string_value(json_object_get(entry, "file")), file, sizeof file);
    size_t bytes = unhex(json_string_value(json_object_get(entry, "c_order")), want, sizeof want);
    att_view v;
    write_file(file, file_bytes);
    assert_ok(att_npy_read(path, NULL, &v));
    assert_string_equal(att_dtype_name(v.dtype), strcmp(dtype, "bool") == 0 ? "uint8" : dtype);
    assert_int_equal(v.ndim, (int)json_array_size(shape));
    for (int a = 0; a < v.ndim; a++) assert_int_equal(v.dim[a], json_integer_value(json_array_get(shape, (size_t)a)));
    if (flatten(&v, got) != bytes || memcmp(got, want, bytes) != 0) fail_msg("%s: other elements", name);
    bool fortran = json_is_true(json_object_get(entry, "fortran"));
    assert_int_equal(att_view_is_dense(&v), !fortran);
    assert_ok(att_npy_write(path, &v));
    bool exact = !fortran && json_integer_value(json_object_get(entry, "version")) == 1 && strcmp(dtype, "bool") != 0;
    if (exact && (read_file(again, sizeof again) != file_bytes || memcmp(again, file, file_bytes) != 0))
        fail_msg("%s: written otherwise than NumPy would", name);
    att_npy_free(NULL, &v);
    assert_ok(att_npy_read(path, NULL, &v));
    if (flatten(&v, got) != bytes || memcmp(got, want, bytes) != 0) fail_msg("%s: other elements after writing", name);
    att_npy_free(NULL, &v);
}

static void numpys_files_are_read_and_written(void **state)
{
    (void)state;
    json_error_t error;
    json_t *root = json_load_file(TEST_DIR "/file/npy_golden.json", 0, &error), *entry;
    if (!root) fail_msg("npy_golden.json:%d: %s", error.line, error.text);
    size_t i;
    assert_true(json_array_size(json_object_get(root, "files")) > 10);
    json_array_foreach(json_object_get(root, "files"), i, entry) check_golden(entry);
    json_decref(root);
}

/* ---- damaged files ---- */

/* A version-1 file with this header text and `data_bytes` of elements; returns its length. */
static size_t make(unsigned char *out, const char *header, size_t data_bytes)
{
    size_t n = strlen(header);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (unsigned char)(n & 0xFF);
    out[9] = (unsigned char)(n >> 8);
    memcpy(out + 10, header, n);
    memset(out + 10 + n, 0x3F, data_bytes);
    return 10 + n + data_bytes;
}

static size_t written_example(unsigned char *file, size_t room)
{
    float data[6] = {1, 2, 3, 4, 5, 6};
    att_view v = att_view_2d(data, ATT_F32, 2, 3);
    assert_ok(att_npy_write(path, &v));
    return read_file(file, room);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    unsigned char file[512];
    size_t bytes = written_example(file, sizeof file);
    for (size_t n = 0; n < bytes; n++) {
        write_file(file, n);
        assert_int_equal(survive(n), ATT_E_FORMAT);
        expect_failure(ATT_E_FORMAT, n < 8 ? "does not begin as a .npy file" : "cut off");
    }
    write_file(file, bytes);
    assert_int_equal(survive(bytes), ATT_OK);
}

static void turned_bits_never_crash(void **state)
{
    (void)state;
    unsigned char file[512];
    size_t bytes = written_example(file, sizeof file), header = bytes - 24;
    for (int version = 1; version <= 2; version++) {
        if (version == 2) { /* room for the longer length: two bytes of padding go */
            memmove(file + 12, file + 10, header - 13);
            file[header - 1] = '\n';
            file[6] = 2;
            file[8] = (unsigned char)(header - 12);
            file[9] = file[10] = file[11] = 0;
            write_file(file, bytes);
            assert_int_equal(survive(bytes), ATT_OK);
        }
        for (size_t bit = 0; bit < 8 * header; bit++) {
            file[bit / 8] ^= (unsigned char)(1 << bit % 8);
            write_file(file, bytes);
            survive(bytes);
            file[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
}

static void random_headers_never_crash(void **state)
{
    (void)state;
    static const char *const parts[] = {"{",
                                        "}",
                                        "'descr'",
                                        ":",
                                        "'<f4'",
                                        ",",
                                        "'fortran_order'",
                                        "False",
                                        "True",
                                        "(",
                                        ")",
                                        "'shape'",
                                        "3",
                                        "0",
                                        " ",
                                        "'",
                                        "\"",
                                        "[",
                                        "-1",
                                        "9999999999999999999",
                                        "4611686018427387904",
                                        "L",
                                        "\n",
                                        "'|u1'",
                                        "\x80"};
    att_random r = {.seed = 11};
    unsigned char file[2048];
    for (int run = 0; run < 3000; run++) {
        char text[1024] = "";
        int64_t n = (int64_t)att_random_below(&r, 30);
        if (run % 2) strcpy(text, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
        for (int64_t i = 0; i < n; i++) strcat(text, parts[att_random_below(&r, sizeof parts / sizeof *parts)]);
        size_t bytes = make(file, text, 12);
        write_file(file, bytes);
        survive(bytes);
    }
}

static void refuse(const char *header, att_status want, const char *part)
{
    unsigned char file[1024];
    size_t bytes = make(file, header, 48);
    write_file(file, bytes);
    survive(bytes);
    expect_failure(want, part);
}

static void lying_headers_are_refused(void **state)
{
    (void)state;
#define HEAD "{'descr': '<f4', 'fortran_order': False, 'shape': "
    refuse(HEAD "(1000000000000,)}", ATT_E_FORMAT, "cut off");
    refuse(HEAD "(13,)}", ATT_E_FORMAT, "48 bytes of elements, expected 52");
    refuse(HEAD "(4611686018427387904, 4)}", ATT_E_FORMAT, "impossible shape");
    refuse(HEAD "(4611686018427387904, 0, 4611686018427387904)}", ATT_E_FORMAT, "impossible shape");
    refuse(HEAD "(99999999999999999999,)}", ATT_E_FORMAT, "above 2^63");
    refuse(HEAD "(-1,)}", ATT_E_FORMAT, "is not a size");
    refuse(HEAD "(3)}", ATT_E_FORMAT, "a comma");
    refuse(HEAD "(3 4)}", ATT_E_FORMAT, "a comma");
    refuse(HEAD "(1,1,1,1,1,1,1)}", ATT_E_UNSUPPORTED, "more than 6 dimensions");
    refuse(HEAD "(3,), 'shape': (3,)}", ATT_E_FORMAT, "each once");
    refuse(HEAD "(3,), 'extra': (3,)}", ATT_E_FORMAT, "each once");
    refuse(HEAD "(3,)} x", ATT_E_FORMAT, "end of the header");
    refuse(HEAD "(3,)", ATT_E_FORMAT, "is not");
    refuse("{'descr': '<f4', 'fortran_order': False}", ATT_E_FORMAT, "all of");
    refuse("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", ATT_E_FORMAT, "True or False");
    refuse("{'descr': '>f4', 'fortran_order': False, 'shape': ()}", ATT_E_DTYPE, "'>f4'");
    refuse("{'descr': '<c8', 'fortran_order': False, 'shape': ()}", ATT_E_DTYPE, "'<c8'");
    refuse("{'descr': '|O', 'fortran_order': False, 'shape': ()}", ATT_E_DTYPE, "'|O'");
    refuse("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", ATT_E_DTYPE, "records");
    refuse("", ATT_E_FORMAT, "start of a dictionary");
#undef HEAD
}

static void odd_but_valid_headers_are_read(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f4\"}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }\n",
        " { 'shape' : ( 2 , 3 , ) , 'descr' : '<f4' , 'fortran_order' : False , } \n\n",
    };
    unsigned char file[1024];
    for (int i = 0; i < 3; i++) {
        size_t bytes = make(file, headers[i], 24 + (size_t)i); /* what follows the array is ignored */
        write_file(file, bytes);
        att_view v;
        assert_ok(att_npy_read(path, NULL, &v));
        assert_true(v.ndim == 2 && v.dim[0] == 2 && v.dim[1] == 3 && v.stride[0] == 3);
        att_npy_free(NULL, &v);
    }
}

static void the_memory_is_the_allocators(void **state)
{
    (void)state;
    unsigned char file[512];
    written_example(file, sizeof file);
    for (int64_t fail_at = 0; fail_at < 2; fail_at++) {
        test_allocator books;
        att_view v;
        test_allocator_init(&books, fail_at);
        assert_int_equal(att_npy_read(path, &books.allocator, &v), fail_at ? ATT_E_MEMORY : ATT_OK);
        assert_true(fail_at ? v.data == NULL : books.live_bytes == 24);
        att_npy_free(&books.allocator, &v);
        assert_true(books.live_blocks == 0 && v.data == NULL);
    }
}

/* ---- writing ---- */

static void any_strides_are_written_in_order(void **state)
{
    (void)state;
    float data[60];
    for (int i = 0; i < 60; i++) data[i] = (float)i;
    att_view whole = att_view_3d(data, ATT_F32, 3, 4, 5), turned = att_view_transpose(&whole, 0, 2);
    att_view slice = att_view_slice(&turned, 1, 1, 3), row = att_view_at(&whole, 2, 4),
             flipped = att_view_1d(data + 59, ATT_F32, 60);
    att_view broadcast = att_view_2d(data + 7, ATT_F32, 3, 2);
    flipped.stride[0] = -1;
    broadcast.stride[0] = broadcast.stride[1] = 0;
    const att_view *views[] = {&whole, &turned, &slice, &row, &flipped, &broadcast};
    for (int i = 0; i < 6; i++) {
        unsigned char want[240], got[240];
        att_view v;
        assert_ok(att_npy_write(path, views[i]));
        assert_ok(att_npy_read(path, NULL, &v));
        assert_true(v.ndim == views[i]->ndim && att_view_is_dense(&v));
        assert_memory_equal(v.dim, views[i]->dim, sizeof(int64_t) * (size_t)v.ndim);
        size_t bytes = flatten(views[i], want);
        assert_true(flatten(&v, got) == bytes);
        assert_memory_equal(got, want, bytes);
        att_npy_free(NULL, &v);
    }
}

static void impossible_views_are_refused(void **state)
{
    (void)state;
    float x = 1;
    att_view absent = {0}, bf16 = att_view_1d(&x, ATT_BF16, 1), negative = att_view_1d(&x, ATT_F32, -1);
    att_view deep = {.data = &x, .ndim = 7};
    unlink(path);
    assert_int_equal(att_npy_write(path, NULL), ATT_E_VALUE);
    assert_int_equal(att_npy_write(path, &absent), ATT_E_VALUE);
    assert_int_equal(att_npy_write(path, &bf16), ATT_E_DTYPE);
    assert_int_equal(att_npy_write(path, &negative), ATT_E_SHAPE);
    assert_int_equal(att_npy_write(path, &deep), ATT_E_SHAPE);
    assert_int_equal(access(path, F_OK), -1);
    expect_failure(ATT_E_MISSING, "no such file");
}

/* A file that may not grow beyond 1000 bytes stands for a full disk. */
static void the_old_file_survives_a_full_disk(void **state)
{
    (void)state;
    unsigned char before[512], after[512];
    float *data = calloc(1000, sizeof *data);
    att_view v = att_view_1d(data, ATT_F32, 1000);
    size_t bytes = written_example(before, sizeof before);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){1000, old.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    att_status st = att_npy_write(path, &v);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(st, ATT_E_IO);
    assert_true(read_file(after, sizeof after) == bytes);
    assert_memory_equal(after, before, bytes);
    int entries = 0; /* and nothing else is left beside it */
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) entries += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    assert_int_equal(entries, 1);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numpys_files_are_read_and_written), cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(turned_bits_never_crash),           cmocka_unit_test(random_headers_never_crash),
        cmocka_unit_test(lying_headers_are_refused),         cmocka_unit_test(odd_but_valid_headers_are_read),
        cmocka_unit_test(the_memory_is_the_allocators),      cmocka_unit_test(any_strides_are_written_in_order),
        cmocka_unit_test(impossible_views_are_refused),      cmocka_unit_test(the_old_file_survives_a_full_disk),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
