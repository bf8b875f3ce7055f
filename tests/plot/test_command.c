/* attend plot, as a user runs it. */
#include "plot/pictures.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char output[1 << 16], errors[1 << 12];

static void load(const char *path, char *into, size_t room)
{
    size_t bytes;
    char *text = read_text(path, &bytes);
    snprintf(into, room, "%s", text);
    free(text);
}

/* Run in the directory of the pictures; the exit status, with what was printed in `output` and `errors`. */
static int attend(const char *arguments)
{
    char command[2048], directory[256];
    snprintf(directory, sizeof directory, "%s", picture_path("."));
    snprintf(command, sizeof command, "cd %s && " ATTEND_COMMAND " plot %s >out 2>err", directory, arguments);
    int status = system(command);
    load(picture_path("out"), output, sizeof output);
    load(picture_path("err"), errors, sizeof errors);
    if (!WIFEXITED(status)) fail_msg("%s: ended by signal", arguments);
    return WEXITSTATUS(status);
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(picture_path(name), "wb");
    fputs(text, f);
    fclose(f);
}

static const char attention[] =
    "{\"kind\":\"cross\",\"source\":[\"la\",\"casa\"],\"target\":[\"the\",\"house\"],\"weights\":[[[[1,0],[0,1]]]]}\n"
    "{\"kind\":\"encoder\",\"source\":[\"la\",\"casa\"],\"weights\":[[[[1,0],[0,1]],[[0,1],[1,0]]]]}\n"
    "{\"kind\":\"cross\",\"source\":[\"uno\"],\"target\":[\"one\"],\"weights\":[[[[1]]]]}\n";

static void attention_files_become_pictures(void **state)
{
    (void)state;
    write_text("a.jsonl", attention);
    assert_int_equal(attend("a.jsonl -o a.png --json"), 0);
    assert_string_equal(output, "{\"kind\":\"attention\",\"picture\":\"a.png\",\"records\":1}\n");
    free(read_png(picture_path("a.png")).rgb);
    assert_int_equal(attend("a.jsonl -o a.svg --sentence 2 --title 'A & B'"), 0);
    char *svg = read_text(picture_path("a.svg"), NULL);
    assert_true(well_formed(svg));
    assert_non_null(strstr(svg, "A &amp; B"));
    assert_non_null(strstr(svg, ">uno<"));
    free(svg);
    assert_int_equal(attend("a.jsonl -o a.html --json"), 0);
    assert_non_null(strstr(output, "\"records\":3"));
    char *html = read_text(picture_path("a.html"), NULL);
    assert_true(well_formed(html));
    free(html);
    assert_int_equal(attend("a.jsonl --kind encoder --layer 1 --head all"), 0);
    assert_non_null(strstr(output, "layer 1, head 2"));
    assert_null(strchr(output, '\x1b')); /* no terminal, no colours */
    assert_int_equal(attend("- --values < a.jsonl"), 0);
    assert_non_null(strstr(output, "house"));
    assert_int_equal(attend("a.jsonl --alignments"), 0);
    assert_string_equal(output, "0-0 1-1\n0-0\n");
}

/* A Transformer's translation has three records; the sentence is counted in the kind that is drawn. */
static void cross_attention_is_drawn_unless_another_kind_is_asked_for(void **state)
{
    (void)state;
    static const char mixed[] =
        "{\"kind\":\"encoder\",\"source\":[\"la\",\"casa\"],\"weights\":[[[[1,0],[0,1]]]]}\n"
        "{\"kind\":\"decoder\",\"target\":[\"<s>\",\"the\"],\"weights\":[[[[1,0],[0,1]]]]}\n"
        "{\"kind\":\"cross\",\"source\":[\"la\",\"casa\"],\"target\":[\"the\",\"house\"],\"weights\":[[[[1,0],[0,1]]]]}"
        "\n"
        "{\"kind\":\"encoder\",\"source\":[\"uno\"],\"weights\":[[[[1]]]]}\n"
        "{\"kind\":\"cross\",\"source\":[\"uno\"],\"target\":[\"one\"],\"weights\":[[[[1]]]]}\n";
    write_text("mixed.jsonl", mixed);
    static const struct {
        const char *arguments, *has, *lacks;
    } drawn[] = {
        {"mixed.jsonl", "house", "<s>"},
        {"- < mixed.jsonl", "house", "<s>"},
        {"mixed.jsonl --kind auto", "house", "<s>"},
        {"mixed.jsonl --kind cross --sentence 2", "one", "house"},
        {"mixed.jsonl --sentence 2", "one", "house"},
        {"mixed.jsonl --kind encoder", "casa", "house"},
        {"mixed.jsonl -k encoder --sentence 2", "uno", "one"},
        {"mixed.jsonl --kind decoder", "<s>", "house"},
        {"mixed.jsonl --alignments", "0-0 1-1\n0-0\n", "2"},
    };
    for (size_t k = 0; k < sizeof drawn / sizeof *drawn; k++) {
        assert_int_equal(attend(drawn[k].arguments), 0);
        if (!strstr(output, drawn[k].has)) fail_msg("%s: lacks %s: %s", drawn[k].arguments, drawn[k].has, output);
        if (strstr(output, drawn[k].lacks)) fail_msg("%s: has %s: %s", drawn[k].arguments, drawn[k].lacks, output);
    }
    assert_int_equal(attend("mixed.jsonl -o all.html --json"), 0);
    assert_non_null(strstr(output, "\"records\":5"));
    assert_int_equal(attend("mixed.jsonl -o encoder.html --json --kind encoder"), 0);
    assert_non_null(strstr(output, "\"records\":2"));
}

/* Without cross attention it is the kind that comes first. */
static void files_of_self_attention_show_their_first_kind(void **state)
{
    (void)state;
    write_text("self.jsonl", "{\"kind\":\"decoder\",\"target\":[\"un\"],\"weights\":[[[[1]]]]}\n"
                             "{\"kind\":\"encoder\",\"source\":[\"deux\"],\"weights\":[[[[1]]]]}\n"
                             "{\"kind\":\"decoder\",\"target\":[\"trois\"],\"weights\":[[[[1]]]]}\n");
    assert_int_equal(attend("self.jsonl"), 0);
    assert_non_null(strstr(output, "un"));
    assert_int_equal(attend("self.jsonl --sentence 2"), 0);
    assert_non_null(strstr(output, "trois"));
    assert_int_equal(attend("self.jsonl --sentence 3"), 2);
    assert_non_null(strstr(errors, "the file has 2"));
}

static void logs_become_curves(void **state)
{
    (void)state;
    write_text("log.jsonl", "{\"step\":1,\"loss\":5.5}\n{\"step\":2,\"loss\":null}\n{\"step\":3,\"loss\":3}\n"
                            "{\"step\":3,\"valid_loss\":3.5,\"valid_bleu\":12.5}\n{\"step\":4,\"lo");
    assert_int_equal(attend("log.jsonl -o log.svg --json"), 0);
    assert_non_null(strstr(errors, "log.jsonl:5: the last line is cut short"));
    assert_non_null(strstr(output, "\"kind\":\"log\""));
    char *svg = read_text(picture_path("log.svg"), NULL);
    assert_true(well_formed(svg));
    assert_non_null(strstr(svg, "validation loss"));
    assert_non_null(strstr(svg, ">BLEU<"));
    free(svg);
    assert_int_equal(attend("log.jsonl"), 0);
    assert_non_null(strstr(output, "training loss"));
}

/* Two runs over one axis: their names once in the legend, each in one colour above and below; minutes go on where a
 * resumed run counts its seconds from 0 again. */
static void logs_are_compared(void **state)
{
    (void)state;
    mkdir(picture_path("a"), 0777);
    mkdir(picture_path("b"), 0777);
    write_text("a/log.jsonl", "{\"step\":1,\"loss\":5,\"seconds\":600,\"tokens\":10}\n"
                              "{\"step\":1,\"seconds\":600,\"valid_loss\":4,\"valid_bleu\":10}\n"
                              "{\"step\":2,\"loss\":4,\"seconds\":540,\"tokens\":20}\n"
                              "{\"step\":2,\"seconds\":540,\"valid_loss\":3,\"valid_bleu\":20}\n");
    write_text("b/log.jsonl", "{\"step\":1,\"loss\":6,\"seconds\":60,\"tokens\":10}\n"
                              "{\"step\":1,\"seconds\":60,\"valid_loss\":5,\"valid_bleu\":5}\n");
    assert_int_equal(attend("a/log.jsonl b/log.jsonl --over minutes -o two.svg"), 0);
    char *svg = read_text(picture_path("two.svg"), NULL);
    assert_true(well_formed(svg));
    assert_non_null(strstr(svg, ">a<"));
    assert_non_null(strstr(svg, ">b<"));
    assert_non_null(strstr(svg, ">minutes of training<"));
    assert_non_null(strstr(svg, ">15<")); /* of 19 minutes */
    assert_null(strstr(svg, ">25<"));
    assert_non_null(strstr(svg, "#0072b2"));
    assert_non_null(strstr(svg, "#d55e00"));
    assert_null(strstr(svg, "#009e73"));
    free(svg);
    assert_int_equal(attend("a/log.jsonl b/log.jsonl --over tokens --names left,right"), 0);
    assert_non_null(strstr(output, "left"));
    assert_non_null(strstr(output, "right"));
}

static void without_fonts_only_png_fails(void **state)
{
    (void)state;
    char fonts[320];
    write_text("a.jsonl", attention);
    write_text("fonts.conf", "<?xml version=\"1.0\"?><fontconfig></fontconfig>\n");
    snprintf(fonts, sizeof fonts, "%s", picture_path("fonts.conf"));
    setenv("FONTCONFIG_FILE", fonts, 1);
    int png = attend("a.jsonl -o none.png"), named = strstr(errors, "fonts-dejavu-core") != NULL;
    int svg = attend("a.jsonl -o none.svg");
    unsetenv("FONTCONFIG_FILE");
    assert_int_equal(png, 2);
    assert_true(named);
    assert_int_equal(svg, 0);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    write_text("a.jsonl", attention);
    write_text("empty.jsonl", "\n\n");
    write_text("text.jsonl", "hello\n");
    write_text("ragged.jsonl", "{\"kind\":\"cross\",\"source\":[\"a\"],\"target\":[\"b\"],\"weights\":[[[[1,2]]]]}\n");
    write_text("bad.jsonl", "{\"step\":1,\"loss\":1}\n{\"step\":}\n");
    write_text("short.jsonl", "{\"step\":1,\"loss\":1}\n");
    write_text("none.jsonl", "{\"step\":1}\n");
    static const struct {
        const char *arguments;
        int status;
        const char *says;
    } bad[] = {
        {"", 2, "FILE"},
        {"absent.jsonl", 2, "absent.jsonl"},
        {".", 2, "directory"},
        {"empty.jsonl", 2, "empty"},
        {"text.jsonl", 2, "neither an attention file"},
        {"ragged.jsonl -o x.png", 2, "ragged.jsonl:1: "},
        {"bad.jsonl -o x.png", 2, "bad.jsonl:2: "},
        {"none.jsonl -o x.png", 2, "\"loss\""},
        {"short.jsonl --over minutes", 2, "short.jsonl:1: --over minutes"},
        {"short.jsonl a.jsonl", 2, "a.jsonl: no training log"},
        {"short.jsonl short.jsonl --names one", 2, "1 names for 2"},
        {"short.jsonl short.jsonl --names a,b,c", 2, "more names"},
        {"1 2 3 4 5 6 7 8", 2, "at most 7"},
        {"a.jsonl -o x.gif", 2, "x.gif"},
        {"a.jsonl -o x.png --sentence 3", 2, "the file has 2"},
        {"a.jsonl -o x.png --kind decoder", 2, "--kind decoder, but the file has no attention of this kind"},
        {"a.jsonl -o x.html --kind decoder", 2, "--kind decoder, but the file has no attention of this kind"},
        {"a.jsonl --alignments --kind encoder", 2, "--alignments --kind encoder: only cross"},
        {"a.jsonl --kind self", 2, "'self', expected auto, cross, encoder or decoder"},
        {"a.jsonl -o x.png --layer 2", 2, "--layer 2: expected 1 to 1"},
        {"a.jsonl -o x.png --head 1x", 2, "--head 1x"},
        {"a.jsonl -o x.html --layer 1", 2, "--sentence"},
        {"a.jsonl -o /nonexistent/x.png", 1, "/nonexistent/x.png"},
        {"a.jsonl --colors mauve", 2, "mauve"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        int status = attend(bad[k].arguments);
        if (status != bad[k].status) fail_msg("%s: status %d: %s", bad[k].arguments, status, errors);
        if (!strstr(errors, bad[k].says)) fail_msg("%s: \"%s\" lacks \"%s\"", bad[k].arguments, errors, bad[k].says);
        assert_int_not_equal(access(picture_path("x.png"), F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_files_become_pictures),
        cmocka_unit_test(cross_attention_is_drawn_unless_another_kind_is_asked_for),
        cmocka_unit_test(files_of_self_attention_show_their_first_kind),
        cmocka_unit_test(logs_become_curves),
        cmocka_unit_test(logs_are_compared),
        cmocka_unit_test(without_fonts_only_png_fails),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
