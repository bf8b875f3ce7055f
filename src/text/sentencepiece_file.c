/* The few fields of SentencePiece's protocol buffer ModelProto that segmentation needs. */
#include "text/sentencepiece.h"
#include "text/unicode.h"

typedef struct proto {
    const unsigned char *at, *end;
    bool bad;
} proto;

/* One field: its number, and its value as a number or as bytes. */
typedef struct field {
    uint64_t number, value;
    int wire; /* 0: varint, 1: 8 bytes, 2: bytes, 5: 4 bytes */
    proto bytes;
} field;

static uint64_t varint(proto *p)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (p->at == p->end) break;
        unsigned char c = *p->at++;
        value |= (uint64_t)(c & 0x7F) << shift;
        if (c < 0x80) return value;
    }
    p->bad = true;
    return 0;
}

static uint64_t fixed(proto *p, size_t n)
{
    uint64_t value = 0;
    if ((size_t)(p->end - p->at) < n) {
        p->bad = true;
        return 0;
    }
    for (size_t i = 0; i < n; i++) value |= (uint64_t)*p->at++ << 8 * i;
    return value;
}

/* False at the end and when something is wrong (then p->bad). */
static bool next_field(proto *p, field *f)
{
    if (p->bad || p->at == p->end) return false;
    uint64_t key = varint(p);
    *f = (field){.number = key >> 3, .wire = (int)(key & 7)};
    switch (f->wire) {
    case 0: f->value = varint(p); break;
    case 1: f->value = fixed(p, 8); break;
    case 5: f->value = fixed(p, 4); break;
    case 2: {
        uint64_t n = varint(p);
        if (p->bad || n > (uint64_t)(p->end - p->at)) {
            p->bad = true;
            return false;
        }
        f->bytes = (proto){p->at, p->at + n, false};
        p->at += n;
        break;
    }
    default: p->bad = true;
    }
    return !p->bad;
}

static att_status damaged(const char *what)
{
    return att_fail(ATT_E_FORMAT, "sentencepiece: damaged: %s", what);
}

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, UNUSED = 5 };

static att_status enter_piece(att_sentencepiece *m, proto text, float score, uint64_t type)
{
    int32_t id;
    size_t bytes = (size_t)(text.end - text.at), n = (size_t)m->piece.count;
    void *scores = m->score, *kinds = m->normal;
    ATT_REQUIRE(type == NORMAL || type == UNKNOWN || type == CONTROL || type == UNUSED, ATT_E_UNSUPPORTED,
                "sentencepiece: piece %zu is of type %llu, expected normal, unknown, control or unused", n,
                (unsigned long long)type);
    if (bytes == 0 || memchr(text.at, '\0', bytes)) return damaged("an impossible piece");
    ATT_TRY(att_utf8_check((const char *)text.at, bytes, NULL));
    ATT_TRY(att_intern_add(&m->piece, (const char *)text.at, bytes, &id));
    if ((size_t)id != n) return damaged("a piece comes twice");
    ATT_TRY(att_grow(m->piece.text.allocator, &scores, &m->scores, n + 1, sizeof *m->score));
    m->score = scores;
    ATT_TRY(att_grow(m->piece.text.allocator, &kinds, &m->kinds, n + 1, sizeof *m->normal));
    m->normal = kinds;
    if (!(score > -1e30f && score < 1e30f)) return damaged("a score that is no number");
    m->score[n] = score;
    m->normal[n] = type == NORMAL;
    if (type == UNKNOWN) m->unknown = id;
    if (type == UNUSED) m->has_unused = true;
    if (type == NORMAL && score < m->least) m->least = score;
    if (type == NORMAL && bytes > m->most) m->most = bytes;
    return ATT_OK;
}

static att_status read_piece(att_sentencepiece *m, proto p)
{
    field f;
    proto text = {0};
    float score = 0;
    uint64_t type = NORMAL;
    while (next_field(&p, &f)) {
        if (f.number == 1 && f.wire == 2) text = f.bytes;
        if (f.number == 2 && f.wire == 5) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&score, &bits, sizeof score);
        }
        if (f.number == 3 && f.wire == 0) type = f.value;
    }
    return p.bad ? damaged("a piece") : enter_piece(m, text, score, type);
}

enum { UNIGRAM = 1, BPE = 2 };

static att_status read_trainer(att_sentencepiece *m, proto p)
{
    field f;
    while (next_field(&p, &f)) {
        ATT_REQUIRE(f.number != 3 || f.value == UNIGRAM || f.value == BPE, ATT_E_UNSUPPORTED,
                    "sentencepiece: model_type is %llu, expected 1 (unigram) or 2 (bpe)", (unsigned long long)f.value);
        if (f.number == 3) m->bpe = f.value == BPE;
        ATT_REQUIRE(f.number != 24 || f.value == 0, ATT_E_UNSUPPORTED,
                    "sentencepiece: treat_whitespace_as_suffix is true, expected false");
        ATT_REQUIRE(f.number != 35 || f.value == 0, ATT_E_UNSUPPORTED,
                    "sentencepiece: byte_fallback is true, expected false");
    }
    return p.bad ? damaged("trainer_spec") : ATT_OK;
}

static uint32_t little(const unsigned char *s)
{
    return (uint32_t)s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24;
}

/* The size of the double array, the double array, the replacements. */
static att_status read_map(att_charsmap *map, proto p)
{
    size_t n = (size_t)(p.end - p.at);
    if (n == 0) return ATT_OK;
    if (n < 4) return damaged("precompiled_charsmap");
    size_t trie = little(p.at);
    if (trie % 4 != 0 || trie > n - 4) return damaged("precompiled_charsmap");
    *map = (att_charsmap){p.at + 4, trie / 4, (const char *)p.at + 4 + trie, n - 4 - trie};
    if (map->bytes == 0 || map->text[map->bytes - 1] != '\0') return damaged("precompiled_charsmap");
    return ATT_OK;
}

static att_status read_normaliser(att_sentencepiece *m, proto p)
{
    field f;
    while (next_field(&p, &f)) {
        if (f.number == 2 && f.wire == 2) ATT_TRY(read_map(&m->map, f.bytes));
        if (f.number == 3) m->dummy_prefix = f.value != 0;
        if (f.number == 4) m->remove_extra = f.value != 0;
        if (f.number == 5) m->escape = f.value != 0;
    }
    return p.bad ? damaged("normalizer_spec") : ATT_OK;
}

void att_sentencepiece_init(att_sentencepiece *m, const att_allocator *allocator)
{
    *m = (att_sentencepiece){
        .file.allocator = allocator, .dummy_prefix = true, .remove_extra = true, .escape = true, .unknown = -1};
    att_intern_init(&m->piece, allocator);
}

void att_sentencepiece_release(att_sentencepiece *m)
{
    const att_allocator *a = m->file.allocator;
    att_free(a, m->score, m->scores * sizeof *m->score);
    att_free(a, m->normal, m->kinds * sizeof *m->normal);
    att_free(a, m->rank, m->rank ? (size_t)m->piece.count * sizeof *m->rank : 0);
    att_intern_release(&m->piece);
    att_buffer_release(&m->file);
}

att_status att_sentencepiece_read(att_sentencepiece *m, const char *bytes, size_t n)
{
    field f;
    ATT_TRY(att_buffer_append(&m->file, bytes, n));
    proto p = {(const unsigned char *)m->file.data, (const unsigned char *)m->file.data + n, false};
    while (next_field(&p, &f)) {
        if (f.wire != 2) continue;
        if (f.number == 1) ATT_TRY(read_piece(m, f.bytes));
        if (f.number == 2) ATT_TRY(read_trainer(m, f.bytes));
        if (f.number == 3) ATT_TRY(read_normaliser(m, f.bytes));
    }
    if (p.bad) return damaged("its end is missing");
    if (m->unknown < 0) return damaged("no piece for what is unknown");
    ATT_REQUIRE(!m->bpe || !m->has_unused, ATT_E_UNSUPPORTED,
                "sentencepiece: a piece of type unused, expected none where model_type is 2 (bpe)");
    return m->bpe ? att_sentencepiece_rank(m) : ATT_OK;
}
