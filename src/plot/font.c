#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H
#include <fontconfig/fontconfig.h>
#include <math.h>
#include <raqm.h>
#include <string.h>
#include <utf8proc.h>

#include "plot/font.h"
#include "plot/label.h"

enum { LOAD_FLAGS = FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP };

/* The installed fonts in order of preference, opened when a character first needs them. */
typedef struct font_list {
    FcFontSet *set;
    FT_Face *face;        /* (set->nfont); NULL: not opened            */
    unsigned char *unfit; /* (set->nfont); not scalable, coloured, bad */
} font_list;

struct att_fonts {
    FcConfig *config;
    FT_Library library;
    font_list list[2]; /* regular, bold */
};

static bool pattern_is_unfit(FcPattern *p)
{
    FcBool scalable = FcTrue, color = FcFalse;
    FcPatternGetBool(p, FC_SCALABLE, 0, &scalable);
    FcPatternGetBool(p, FC_COLOR, 0, &color);
    return !scalable || color;
}

static att_status list_create(att_fonts *fonts, bool bold, font_list *list)
{
    FcPattern *wish = FcPatternCreate();
    ATT_REQUIRE(wish, ATT_E_MEMORY, "out of memory: a font pattern");
    FcPatternAddString(wish, FC_FAMILY, (const FcChar8 *)"DejaVu Sans");
    FcPatternAddString(wish, FC_FAMILY, (const FcChar8 *)"sans-serif");
    FcPatternAddInteger(wish, FC_WEIGHT, bold ? FC_WEIGHT_BOLD : FC_WEIGHT_REGULAR);
    FcPatternAddInteger(wish, FC_SLANT, FC_SLANT_ROMAN);
    FcConfigSubstitute(fonts->config, wish, FcMatchPattern);
    FcDefaultSubstitute(wish);
    FcResult result;
    list->set = FcFontSort(fonts->config, wish, FcTrue, NULL, &result);
    FcPatternDestroy(wish);
    int n = list->set ? list->set->nfont : 0, fit = 0;
    void *block;
    ATT_TRY(att_new_array(NULL, (size_t)n, sizeof(FT_Face), &block));
    list->face = block;
    ATT_TRY(att_new_array(NULL, (size_t)n, 1, &block));
    list->unfit = block;
    for (int i = 0; i < n; i++) {
        list->unfit[i] = pattern_is_unfit(list->set->fonts[i]);
        fit += !list->unfit[i];
    }
    ATT_REQUIRE(fit > 0, ATT_E_MISSING,
                "no font is installed, and a PNG needs one for its words: install any (on Debian: apt-get install "
                "fonts-dejavu-core), or write .svg, .html or .txt");
    return ATT_OK;
}

static void list_free(font_list *list)
{
    int n = list->set ? list->set->nfont : 0;
    for (int i = 0; list->face && i < n; i++)
        if (list->face[i]) FT_Done_Face(list->face[i]);
    att_free(NULL, list->face, (size_t)n * sizeof(FT_Face));
    att_free(NULL, list->unfit, (size_t)n);
    if (list->set) FcFontSetDestroy(list->set);
}

att_status att_fonts_create(att_fonts **out)
{
    void *block;
    *out = NULL;
    ATT_TRY(att_alloc_zero(NULL, sizeof(att_fonts), &block));
    att_fonts *fonts = block;
    fonts->config = FcInitLoadConfigAndFonts();
    att_status st = ATT_OK;
    if (!fonts->config)
        st = att_fail(ATT_E_MISSING, "fontconfig found no configuration: install fonts-dejavu-core");
    else if (FT_Init_FreeType(&fonts->library))
        st = att_fail(ATT_E_MEMORY, "FreeType could not start");
    for (int bold = 0; bold < 2 && st == ATT_OK; bold++) st = list_create(fonts, bold, &fonts->list[bold]);
    if (st != ATT_OK) {
        att_fonts_destroy(fonts);
        return st;
    }
    *out = fonts;
    return ATT_OK;
}

void att_fonts_destroy(att_fonts *fonts)
{
    if (!fonts) return;
    for (int bold = 0; bold < 2; bold++) list_free(&fonts->list[bold]);
    if (fonts->library) FT_Done_FreeType(fonts->library);
    if (fonts->config) FcConfigDestroy(fonts->config);
    att_free(NULL, fonts, sizeof *fonts);
}

/* Face i of the list, or NULL when its file is no good. */
static FT_Face opened(att_fonts *fonts, font_list *list, int i)
{
    if (list->unfit[i]) return NULL;
    if (!list->face[i]) {
        FcChar8 *file = NULL;
        int index = 0;
        FcPatternGetString(list->set->fonts[i], FC_FILE, 0, &file);
        FcPatternGetInteger(list->set->fonts[i], FC_INDEX, 0, &index);
        if (!file || FT_New_Face(fonts->library, (const char *)file, index, &list->face[i])) {
            list->face[i] = NULL;
            list->unfit[i] = 1;
        }
    }
    return list->face[i];
}

static FT_Face first_face(att_fonts *fonts, font_list *list)
{
    for (int i = 0; i < list->set->nfont; i++) {
        FT_Face face = opened(fonts, list, i);
        if (face) return face;
    }
    return NULL;
}

static FT_Face face_for(att_fonts *fonts, font_list *list, uint32_t c)
{
    for (int i = 0; i < list->set->nfont; i++) {
        FcCharSet *has = NULL;
        if (list->unfit[i]) continue;
        FcPatternGetCharSet(list->set->fonts[i], FC_CHARSET, 0, &has);
        if (!has || !FcCharSetHasChar(has, c)) continue;
        FT_Face face = opened(fonts, list, i);
        if (face && FT_Get_Char_Index(face, c)) return face;
    }
    return first_face(fonts, list);
}

/* Marks and joiners stay in the font of what they modify. */
static bool continues(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME ||
           k == UTF8PROC_CATEGORY_CF;
}

static size_t decode(const char *text, uint32_t *out)
{
    size_t n = 0;
    for (const utf8proc_uint8_t *s = (const utf8proc_uint8_t *)text; *s;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t took = utf8proc_iterate(s, -1, &c);
        out[n++] = took > 0 ? (uint32_t)c : 0xfffd;
        s += took > 0 ? took : 1;
    }
    return n;
}

static att_status choose_faces(att_fonts *fonts, font_list *list, raqm_t *rq, const uint32_t *c, size_t n, double size)
{
    FT_Face face = NULL;
    for (size_t i = 0; i < n; i++) {
        bool keep =
            face && continues(c[i]) &&
            (utf8proc_category((utf8proc_int32_t)c[i]) == UTF8PROC_CATEGORY_CF || FT_Get_Char_Index(face, c[i]));
        if (!keep) face = face_for(fonts, list, c[i]);
        ATT_REQUIRE(face, ATT_E_MISSING, "no installed font can be opened: install fonts-dejavu-core");
        FT_Set_Char_Size(face, 0, lround(size * 64), 72, 72);
        ATT_REQUIRE(raqm_set_freetype_face_range(rq, face, i, 1), ATT_E_MEMORY, "out of memory: shaping a label");
    }
    return ATT_OK;
}

/* The shaped line; destroy with raqm_destroy. *out is NULL for an empty text. */
static att_status shape(att_fonts *fonts, const char *text, double size, bool bold, raqm_t **out)
{
    size_t bytes = strlen(text);
    void *c;
    *out = NULL;
    if (bytes == 0) return ATT_OK;
    ATT_TRY(att_new_array(NULL, bytes, sizeof(uint32_t), &c));
    size_t n = decode(text, c);
    raqm_t *rq = raqm_create();
    att_status st = ATT_OK;
    if (!rq || !raqm_set_text(rq, c, n)) st = att_fail(ATT_E_MEMORY, "out of memory: shaping a label");
    if (st == ATT_OK) {
        raqm_set_par_direction(rq, RAQM_DIRECTION_DEFAULT);
        st = choose_faces(fonts, &fonts->list[bold], rq, c, n, size);
    }
    att_free(NULL, c, bytes * sizeof(uint32_t));
    if (st == ATT_OK && !(raqm_set_freetype_load_flags(rq, LOAD_FLAGS) && raqm_layout(rq)))
        st = att_fail(ATT_E_VALUE, "the text \"%.60s\" could not be shaped", text);
    if (st != ATT_OK && rq)
        raqm_destroy(rq);
    else
        *out = rq;
    return st;
}

double att_fonts_width(att_fonts *fonts, const char *text, double size, bool bold)
{
    raqm_t *rq = NULL;
    if (!fonts || shape(fonts, text, size, bold, &rq) != ATT_OK)
        return att_label_columns(text, strlen(text)) * size * (bold ? 0.68 : 0.62);
    size_t n = 0;
    double width = 0;
    raqm_glyph_t *glyph = rq ? raqm_get_glyphs(rq, &n) : NULL;
    for (size_t i = 0; i < n; i++) width += glyph[i].x_advance / 64.0;
    if (rq) raqm_destroy(rq);
    return width;
}

/* One outline with its origin at (x, y), y downwards, turned by the matrix. */
static void draw_glyph(FT_Face face, unsigned index, const FT_Matrix *turn, double x, double y, att_glyph_fn draw,
                       void *ctx)
{
    if (FT_Load_Glyph(face, index, LOAD_FLAGS) || face->glyph->format != FT_GLYPH_FORMAT_OUTLINE) return;
    double left = floor(x), top = floor(y);
    FT_Outline_Transform(&face->glyph->outline, turn);
    FT_Outline_Translate(&face->glyph->outline, lround((x - left) * 64), lround((top - y) * 64));
    if (FT_Render_Glyph(face->glyph, FT_RENDER_MODE_NORMAL)) return;
    const FT_Bitmap *b = &face->glyph->bitmap;
    draw(ctx, (int)left + face->glyph->bitmap_left, (int)top - face->glyph->bitmap_top, (int)b->width, (int)b->rows,
         b->buffer, b->pitch);
}

att_status att_fonts_draw(att_fonts *fonts, const char *text, double size, bool bold, double x, double y, double angle,
                          att_glyph_fn draw, void *ctx)
{
    raqm_t *rq;
    ATT_TRY(shape(fonts, text, size, bold, &rq));
    if (!rq) return ATT_OK;
    double turn = angle * 3.14159265358979323846 / 180, c = cos(turn), s = sin(turn);
    FT_Matrix matrix = {lround(c * 65536), lround(s * 65536), lround(-s * 65536), lround(c * 65536)};
    size_t n;
    raqm_glyph_t *glyph = raqm_get_glyphs(rq, &n);
    double along = 0;
    for (size_t i = 0; i < n; i++) {
        double u = along + glyph[i].x_offset / 64.0, v = -glyph[i].y_offset / 64.0;
        draw_glyph(glyph[i].ftface, glyph[i].index, &matrix, x + c * u - s * v, y + s * u + c * v, draw, ctx);
        along += glyph[i].x_advance / 64.0;
    }
    raqm_destroy(rq);
    return ATT_OK;
}
