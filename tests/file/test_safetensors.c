#include "harness.h"

#include <attend/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/safetensors.h"

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/attend-safetensors-%ld", scratch_folder(), (long)getpid());
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void write_bytes(const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    fclose(f);
}

static size_t read_bytes(unsigned char *out, size_t room)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, room, f);
    fclose(f);
    assert_true(n < room);
    return n;
}

/* ---- an allocator that counts, and fails at call `fail_at` ---- */

typedef struct counter {
    int64_t calls, fail_at, bytes_now, bytes_most;
} counter;

static void *counted_resize(void *ctx, void *block, size_t old_bytes, size_t new_bytes)
{
    counter *c = ctx;
    if (new_bytes > 0 && ++c->calls == c->fail_at) return NULL;
    c->bytes_now += (int64_t)new_bytes - (int64_t)old_bytes;
    if (c->bytes_now > c->bytes_most) c->bytes_most = c->bytes_now;
    if (new_bytes == 0) {
        free(block);
        return NULL;
    }
    void *fresh = aligned_alloc(64, (new_bytes + 63) / 64 * 64);
    assert_non_null(fresh);
    if (block) memcpy(fresh, block, old_bytes < new_bytes ? old_bytes : new_bytes);
    free(block);
    return fresh;
}

/* ---- our files ---- */

static const float weights[] = {0.5f, -1.5f, 2.25f, 3.0f, 1e-3f, -7.0f};
static const int8_t bytes3[] = {-128, 0, 127};
static const double halves[] = {0.5, 0.25};
static const int64_t ids[] = {1, -2};
static const att_metadata metadata[] = {{"config", "{\"a\":\"\\u00fc\"}"}, {"größe", "„ja“\n"}};

static int64_t sample(att_named_view out[8])
{
    union {
        const void *in;
        void *out;
    } w = {weights}, b = {bytes3}, h = {halves}, i = {ids};
    att_view m = att_view_2d(w.out, ATT_F32, 2, 3);
    int64_t n = 0;
    out[n++] = (att_named_view){"bytes", att_view_1d(b.out, ATT_I8, 3)};
    out[n++] = (att_named_view){"w", m};
    out[n++] = (att_named_view){"w.transposed", att_view_transpose(&m, 0, 1)};
    out[n++] = (att_named_view){"h\"\\\n", att_view_1d(h.out, ATT_F64, 2)};
    out[n++] = (att_named_view){"ids", att_view_1d(i.out, ATT_I64, 2)};
    out[n++] = (att_named_view){"scalar", att_view_dense(w.out, ATT_F32, 0, NULL)};
    out[n++] = (att_named_view){"empty", att_view_2d(NULL, ATT_F32, 0, 4)};
    return n;
}

static void save_sample(void)
{
    att_named_view view[8];
    assert_ok(att_file_save(path, view, sample(view), metadata, 2));
}

static void round_trip(void **state)
{
    (void)state;
    att_file *f;
    att_view v;
    save_sample();
    assert_ok(att_file_open(path, NULL, &f));
    assert_int_equal(att_file_count(f), 7);
    assert_true(att_file_has_checksums(f));
    assert_ok(att_file_tensor(f, "w", &v));
    assert_true(v.dtype == ATT_F32 && v.ndim == 2 && v.dim[0] == 2 && v.dim[1] == 3 && v.stride[0] == 3);
    assert_memory_equal(v.data, weights, sizeof weights);
    assert_int_equal((uintptr_t)v.data % 64, 0);
    assert_ok(att_file_tensor(f, "w.transposed", &v));
    assert_true(v.dim[0] == 3 && v.dim[1] == 2);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++) assert_true(((float *)v.data)[i * 2 + j] == weights[j * 3 + i]);
    assert_ok(att_file_tensor(f, "bytes", &v));
    assert_memory_equal(v.data, bytes3, sizeof bytes3);
    assert_ok(att_file_tensor(f, "h\"\\\n", &v));
    assert_memory_equal(v.data, halves, sizeof halves);
    assert_ok(att_file_tensor(f, "ids", &v));
    assert_memory_equal(v.data, ids, sizeof ids);
    assert_ok(att_file_tensor(f, "scalar", &v));
    assert_true(v.ndim == 0 && *(float *)v.data == 0.5f);
    assert_ok(att_file_tensor(f, "empty", &v));
    assert_true(v.data && v.dim[0] == 0 && v.dim[1] == 4);
    assert_int_equal(att_file_tensor(f, "v", &v), ATT_E_MISSING);
    assert_non_null(strstr(att_last_error(), path));
    assert_non_null(strstr(att_last_error(), "has no tensor 'v'"));
    assert_null(v.data);
    assert_int_equal(att_file_metadata_count(f), 2);
    assert_string_equal(att_file_metadata_at(f, 1).key, "größe");
    assert_string_equal(att_file_metadata(f, "größe"), "„ja“\n");
    assert_string_equal(att_file_metadata(f, "config"), "{\"a\":\"\\u00fc\"}");
    assert_null(att_file_metadata(f, "attend.checksum"));
    att_file_close(f);
}

static void same_arguments_give_the_same_bytes(void **state)
{
    (void)state;
    unsigned char a[4096], b[4096];
    save_sample();
    size_t n = read_bytes(a, sizeof a);
    save_sample();
    assert_int_equal(read_bytes(b, sizeof b), n);
    assert_memory_equal(a, b, n);
    assert_int_equal((8 + (a[0] | a[1] << 8)) % 64, 0);
}

static void large_strided_tensors(void **state)
{
    (void)state;
    enum { ROWS = 701, COLS = 903 }; /* more than one chunk of gathering */
    float *a = malloc(sizeof *a * ROWS * COLS);
    fill_f32(a, ROWS * COLS, 5, 1);
    att_view m = att_view_2d(a, ATT_F32, ROWS, COLS), v;
    att_named_view t = {"t", att_view_transpose(&m, 0, 1)};
    att_file *f;
    assert_ok(att_file_save(path, &t, 1, NULL, 0));
    assert_ok(att_file_open(path, NULL, &f));
    assert_ok(att_file_tensor(f, "t", &v));
    for (int64_t j = 0; j < COLS; j++)
        for (int64_t i = 0; i < ROWS; i++) assert_true(((float *)v.data)[j * ROWS + i] == a[i * COLS + j]);
    att_file_close(f);
    t.view = att_view_slice(&m, 1, 3, 3);
    assert_ok(att_file_save(path, &t, 1, NULL, 0));
    t.view = m;
    t.view.stride[0] = 0; /* a row, repeated */
    assert_ok(att_file_save(path, &t, 1, NULL, 0));
    assert_ok(att_file_open(path, NULL, &f));
    assert_ok(att_file_tensor(f, "t", &v));
    for (int64_t i = 0; i < ROWS; i++) assert_memory_equal((float *)v.data + i * COLS, a, COLS * sizeof *a);
    att_file_close(f);
    free(a);
}

static void nothing_to_save(void **state)
{
    (void)state;
    att_file *f;
    assert_ok(att_file_save(path, NULL, 0, NULL, 0));
    assert_ok(att_file_open(path, NULL, &f));
    assert_int_equal(att_file_count(f), 0);
    assert_int_equal(att_file_metadata_count(f), 0);
    att_file_close(f);
    att_file_close(NULL);
}

static void every_truncation_is_found(void **state)
{
    (void)state;
    unsigned char whole[4096];
    att_file *f;
    save_sample();
    size_t n = read_bytes(whole, sizeof whole);
    for (size_t cut = 0; cut < n; cut++) {
        write_bytes(whole, cut);
        assert_int_equal(att_file_open(path, NULL, &f), ATT_E_FORMAT);
        assert_null(f);
        assert_int_equal(strncmp(att_last_error(), path, strlen(path)), 0);
    }
    whole[n] = 0;
    write_bytes(whole, n + 1);
    assert_int_equal(att_file_open(path, NULL, &f), ATT_E_FORMAT);
    assert_non_null(strstr(att_last_error(), "1 bytes after the last tensor"));
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    unsigned char whole[4096];
    att_file *f;
    save_sample();
    size_t n = read_bytes(whole, sizeof whole), header = 8 + ((size_t)whole[0] | (size_t)whole[1] << 8);
    int64_t named = 0;
    for (size_t bit = 0; bit < n * 8; bit++) {
        whole[bit / 8] ^= (unsigned char)(1u << bit % 8);
        write_bytes(whole, n);
        if (att_file_open(path, NULL, &f) != ATT_E_FORMAT) fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
        named += bit >= header * 8 && strstr(att_last_error(), "tensor '") && strstr(att_last_error(), "damaged");
        whole[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_int_equal(named, (n - header) * 8);
}

/* Tensors are read side by side; the first damaged one is named all the same. */
static void threads_find_the_same_damage(void **state)
{
    (void)state;
    unsigned char whole[4096];
    char alone[256];
    att_file *f;
    save_sample();
    size_t n = read_bytes(whole, sizeof whole), header = 8 + ((size_t)whole[0] | (size_t)whole[1] << 8);
    assert_ok(att_file_open_with(path, &(att_exec){.threads = 4}, NULL, &f));
    att_file_close(f);
    for (size_t byte = header; byte < n; byte++) whole[byte] ^= 4;
    write_bytes(whole, n);
    assert_int_equal(att_file_open(path, NULL, &f), ATT_E_FORMAT);
    snprintf(alone, sizeof alone, "%s", att_last_error());
    assert_int_equal(att_file_open_with(path, &(att_exec){.threads = 4}, NULL, &f), ATT_E_FORMAT);
    assert_string_equal(att_last_error(), alone);
}

static void memory_outlives_the_file(void **state)
{
    (void)state;
    att_file *f;
    att_view x;
    float expected[6] = {1, 2, 3, 4, 5, 6};
    att_named_view t = {"x", att_view_2d(expected, ATT_F32, 2, 3)};
    assert_ok(att_file_save(path, &t, 1, NULL, 0));
    assert_ok(att_file_open(path, NULL, &f));
    assert_ok(att_file_tensor(f, "x", &x));
    att_span memory = att_file_take_memory(f);
    assert_int_equal(memory.bytes, att_file_memory(f));
    att_file_close(f);
    assert_ptr_equal(x.data, memory.data);
    assert_memory_equal(x.data, expected, sizeof expected);
    att_free(NULL, memory.data, memory.bytes);
}

static void failing_allocators(void **state)
{
    (void)state;
    att_file *f;
    save_sample();
    for (int64_t at = 1;; at++) {
        counter c = {.fail_at = at};
        const att_allocator a = {counted_resize, &c};
        att_status st = att_file_open(path, &a, &f);
        if (st == ATT_OK) {
            assert_true(c.calls < at);
            att_file_close(f);
            assert_int_equal(c.bytes_now, 0);
            break;
        }
        assert_int_equal(st, ATT_E_MEMORY);
        assert_null(f);
        assert_int_equal(c.bytes_now, 0);
    }
}

static void impossible_requests(void **state)
{
    (void)state;
    float x[2] = {1, 2};
    att_file *f;
    att_named_view t[2] = {{"a", att_view_1d(x, ATT_F32, 2)}, {"a", att_view_1d(x, ATT_F32, 2)}};
    att_metadata m[2] = {{"k", "v"}, {"k", "w"}};
    assert_ok(att_file_save(path, t, 1, m, 1));
    assert_int_equal(att_file_save(path, t, 2, NULL, 0), ATT_E_VALUE);
    assert_string_equal(att_last_error(), "tensor 'a': is there twice");
    assert_int_equal(att_file_save(path, t, 1, m, 2), ATT_E_VALUE);
    static const char *const names[] = {"__metadata__", "attend.checksum", "\xff", NULL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        t[0].name = names[i];
        assert_int_equal(att_file_save(path, t, 1, NULL, 0), ATT_E_VALUE);
    }
    t[0].name = "a";
    m[0] = (att_metadata){"attend.checksum.a", "0"};
    assert_int_equal(att_file_save(path, t, 1, m, 1), ATT_E_VALUE);
    m[0] = (att_metadata){"k", NULL};
    assert_int_equal(att_file_save(path, t, 1, m, 1), ATT_E_VALUE);
    m[0] = (att_metadata){"k", "\xc3"};
    assert_int_equal(att_file_save(path, t, 1, m, 1), ATT_E_VALUE);
    t[0].view.data = NULL;
    assert_int_equal(att_file_save(path, t, 1, NULL, 0), ATT_E_VALUE);
    t[0].view = att_view_1d(x, (att_dtype)77, 2);
    assert_int_equal(att_file_save(path, t, 1, NULL, 0), ATT_E_DTYPE);
    t[0].view = att_view_1d(x, ATT_F32, 2);
    t[0].view.dim[0] = -1;
    assert_int_equal(att_file_save(path, t, 1, NULL, 0), ATT_E_SHAPE);
    assert_int_equal(att_file_save(path, t, -1, NULL, 0), ATT_E_VALUE);
    assert_ok(att_file_open(path, NULL, &f)); /* what was saved first */
    assert_string_equal(att_file_metadata(f, "k"), "v");
    att_file_close(f);
}

/* ---- files of others ---- */

static void python_file(void **state)
{
    (void)state;
    att_file *f;
    att_view v;
    assert_ok(att_file_open(TEST_DIR "/file/golden/foreign.safetensors", NULL, &f));
    assert_int_equal(att_file_count(f), 11);
    assert_false(att_file_has_checksums(f));
    assert_string_equal(att_file_metadata(f, "größe"), "„ja“\n");
    assert_ok(att_file_tensor(f, "f32", &v));
    assert_true(v.dtype == ATT_F32 && v.dim[0] == 2 && v.dim[1] == 3);
    assert_memory_equal(v.data, weights, sizeof weights);
    assert_ok(att_file_tensor(f, "f64", &v));
    assert_true(v.dtype == ATT_F64 && ((double *)v.data)[0] == 1.0 / 3.0);
    assert_ok(att_file_tensor(f, "f16", &v));
    assert_true(v.dtype == ATT_F16 && ((uint16_t *)v.data)[2] == 0x7bff);
    assert_ok(att_file_tensor(f, "i8", &v));
    assert_true(v.dtype == ATT_I8 && v.ndim == 2 && v.dim[0] == 3 && v.dim[1] == 1);
    assert_memory_equal(v.data, bytes3, sizeof bytes3);
    assert_ok(att_file_tensor(f, "i32", &v));
    assert_true(v.dtype == ATT_I32 && ((int32_t *)v.data)[0] == INT32_MIN);
    assert_ok(att_file_tensor(f, "i64", &v));
    assert_true(v.dtype == ATT_I64 && ((int64_t *)v.data)[1] == INT64_MAX);
    assert_ok(att_file_tensor(f, "u8", &v));
    assert_true(v.dtype == ATT_U8 && ((uint8_t *)v.data)[1] == 255);
    assert_ok(att_file_tensor(f, "bool", &v));
    assert_true(v.dtype == ATT_U8 && ((uint8_t *)v.data)[0] == 1 && ((uint8_t *)v.data)[1] == 0);
    assert_ok(att_file_tensor(f, "scalar", &v));
    assert_true(v.ndim == 0 && *(float *)v.data == 42.0f);
    assert_ok(att_file_tensor(f, "empty", &v));
    assert_true(v.ndim == 2 && v.dim[0] == 0);
    assert_int_equal(att_file_tensor(f, "u16", &v), ATT_E_UNSUPPORTED);
    assert_non_null(strstr(att_last_error(), "tensor 'u16': dtype U16, expected F32"));
    att_file_close(f);
}

/* A file with this header over `data_bytes` zeros. */
static void write_file(const char *header, size_t header_bytes, uint64_t length, size_t data_bytes)
{
    unsigned char *all = calloc(1, 8 + header_bytes + data_bytes);
    for (int i = 0; i < 8; i++) all[i] = (unsigned char)(length >> (8 * i));
    memcpy(all + 8, header, header_bytes);
    write_bytes(all, 8 + header_bytes + data_bytes);
    free(all);
}

typedef struct hostile {
    const char *header;
    size_t data_bytes;
    const char *message; /* a part of it; NULL: the file is good */
} hostile;

static const hostile cases[] = {
    {"{}", 0, NULL},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, NULL},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":[1]}}   ", 4, NULL},
    {"{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
     "\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[1,9]}}",
     9, NULL},
    {"{\"a\":{\"dtype\":\"X9\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, NULL},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, NULL},
    {"{}", 1, "1 bytes after the last tensor"},
    {" {}", 0, "does not begin with '{'"},
    {"[]", 0, "does not begin with '{'"},
    {"{]", 0, "not valid JSON at byte"},
    {"{}x", 0, "not valid JSON at byte"},
    {"{\"a\xff\":1}", 0, "not valid JSON at byte"},
    {"{\"a\":1}", 0, "tensor 'a': not a JSON object"},
    {"{\"a\":{}}", 0, "tensor 'a': dtype is missing"},
    {"{\"a\":{\"dtype\":1,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "dtype is missing or not a text"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "shape is missing or not a list"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "shape[0] is not a whole number"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "shape[0] is not a whole number"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "data_offsets is missing or not a pair"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "not a pair"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}", 4, "not whole numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "[4, 0] are no range"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "[-4, 0] are no range"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, "ends at byte 4 of the data"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]}}", 4, "ends at byte 92"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]}}", 4, "not valid JSON"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "mean 8 bytes, but data_offsets 4"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "mean 8 bytes, but data_offsets 4"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "dtype F4"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, "shape is too large"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, "too large"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
     3, "tensor 'b': begins at byte 1 of the data, expected 2"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
     3, "tensor 'b': begins at byte 2 of the data, expected 1"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, "begins at byte 1 of the data, expected 0"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
     "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
     0, "duplicate object key"},
    {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object of texts"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "metadata 'a' is not a text"},
    {"{\"__metadata__\":{\"a\":\"\\u0000\"}}", 0, "not valid JSON"},
    {"{\"__metadata__\":{\"attend.format\":\"1\"}}", 0, "checksum is "},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[[]],\"data_offsets\":[0,0]}}", 0, "nested deeper"},
};

static void hostile_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const hostile *h = &cases[i];
        att_file *f;
        write_file(h->header, strlen(h->header), strlen(h->header), h->data_bytes);
        att_status st = att_file_open(path, NULL, &f);
        if (!h->message) {
            if (st != ATT_OK) fail_msg("%s: %s", h->header, att_last_error());
            att_view v;
            for (int64_t t = 0; t < att_file_count(f); t++)
                if (att_file_tensor(f, att_file_name(f, t), &v) == ATT_OK) assert_int_equal((uintptr_t)v.data % 64, 0);
        } else if (st != ATT_E_FORMAT || !strstr(att_last_error(), h->message)) {
            fail_msg("%s: %s, %s", h->header, att_status_name(st), att_last_error());
        }
        att_file_close(f);
    }
}

static void unreadable_dtypes_and_ranks_are_listed(void **state)
{
    (void)state;
    static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}";
    att_file *f;
    att_view v;
    write_file(header, strlen(header), strlen(header), 1);
    assert_ok(att_file_open(path, NULL, &f));
    assert_int_equal(att_file_entry_at(f, 0)->ndim, 7);
    assert_string_equal(att_file_entry_at(f, 0)->dtype, "U8");
    assert_int_equal(att_file_tensor(f, "a", &v), ATT_E_UNSUPPORTED);
    att_file_close(f);
}

static void refused(const char *file, att_status want, const char *message, size_t most_bytes)
{
    counter c = {0};
    const att_allocator a = {counted_resize, &c};
    att_file *f;
    assert_int_equal(att_file_open(file, &a, &f), want);
    if (!strstr(att_last_error(), message)) fail_msg("'%s', expected '%s'", att_last_error(), message);
    assert_true((size_t)c.bytes_most <= most_bytes);
    assert_int_equal(c.bytes_now, 0);
}

static void not_safetensors(void **state)
{
    (void)state;
    static const char text[] = "The quick brown fox jumps over the lazy dog.\n";
    write_bytes("", 0);
    refused(path, ATT_E_FORMAT, "is empty", 4096);
    write_bytes("\2\0\0\0\0\0\0\0{", 9);
    refused(path, ATT_E_FORMAT, "too few", 4096);
    write_bytes(text, strlen(text));
    refused(path, ATT_E_FORMAT, "not a safetensors file", 4096);
    write_file("{}", 2, 100000000, 0);
    refused(path, ATT_E_FORMAT, "the header should have 100000000 bytes, but 2 are left", 4096);
    write_file("{}", 2, 100000001, 0);
    refused(path, ATT_E_FORMAT, "expected at most 100000000", 4096);
    write_file("{}", 2, UINT64_MAX, 0);
    refused(path, ATT_E_FORMAT, "not a safetensors file", 4096);
    write_file("{}", 2, 0, 0);
    refused(path, ATT_E_FORMAT, "does not begin with '{'", 4096);
    refused("/tmp", ATT_E_FORMAT, "is a directory, expected a regular file", 4096);
    refused("/dev/zero", ATT_E_FORMAT, "is a device or pipe", 4096);
    refused("/nowhere/at/all", ATT_E_MISSING, "/nowhere/at/all: no such file", 4096);
}

static void deep_nesting(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    char *header = malloc(N);
    static const char open[] = "{\"a\":";
    for (size_t i = 0; i < N; i++) header[i] = open[i % 5];
    write_file(header, N, N, 0);
    refused(path, ATT_E_FORMAT, "nested deeper", 2 * N);
    memset(header + 5, '[', N - 5);
    write_file(header, N, N, 0);
    refused(path, ATT_E_FORMAT, "nested deeper", 2 * N);
    free(header);
}

/* Random damage to a foreign file (no checksums): any answer but a crash. */
static void random_damage(void **state)
{
    (void)state;
    unsigned char good[4096], bad[4096];
    att_random random = {.seed = 11};
    FILE *in = fopen(TEST_DIR "/file/golden/foreign.safetensors", "rb");
    assert_non_null(in);
    size_t n = fread(good, 1, sizeof good, in);
    fclose(in);
    int64_t opened = 0;
    for (int round = 0; round < 5000; round++) {
        memcpy(bad, good, n);
        for (uint64_t hit = 1 + att_random_below(&random, 4); hit > 0; hit--)
            bad[att_random_below(&random, n)] = (unsigned char)att_random_u32(&random);
        write_bytes(bad, n);
        att_file *f;
        att_view v;
        if (att_file_open(path, NULL, &f) == ATT_OK) {
            opened++;
            for (int64_t i = 0; i < att_file_count(f); i++) (void)att_file_tensor(f, att_file_name(f, i), &v);
        }
        att_file_close(f);
    }
    assert_in_range(opened, 1, 4999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(same_arguments_give_the_same_bytes),
        cmocka_unit_test(large_strided_tensors),
        cmocka_unit_test(nothing_to_save),
        cmocka_unit_test(every_truncation_is_found),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(threads_find_the_same_damage),
        cmocka_unit_test(memory_outlives_the_file),
        cmocka_unit_test(failing_allocators),
        cmocka_unit_test(impossible_requests),
        cmocka_unit_test(python_file),
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(unreadable_dtypes_and_ranks_are_listed),
        cmocka_unit_test(not_safetensors),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(random_damage),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
