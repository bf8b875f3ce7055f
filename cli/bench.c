/* attend bench: this machine's limits, and how near to them the library comes. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <attend/measure.h>

#include "commands.h"

static const char *const isas[] = {"best",       "ref",        "portable", "avx2", "avx512",
                                   "avx512vnni", "avx512bf16", "amx",      NULL};

static bench_request set = {.runs = 7};
static int isa;

/* clang-format off */
static const cli_option options[] = {
    {"shape",       0, CLI_STRING, &set.shape,       "N,...", "sizes, see above; without it those of the table"},
    {"causal",      0, CLI_FLAG,   &set.causal,      NULL,    "attention: a query sees no later key"},
    {"window",      0, CLI_STRING, &set.window,      "L,R",   "attention: a query sees L keys before its own and R behind"},
    {"backward",    0, CLI_FLAG,   &set.backward,    NULL,    "attention, additive: forward and backward"},
    {"dtype",       0, CLI_CHOICE, &set.dtype,       "NAME",  "attention: of q, k and v; decode: of the cache", .choices = bench_dtypes},
    {"score",       0, CLI_CHOICE, &set.score,       "NAME",  "attention: the score", .choices = bench_scores},
    {"prepared",    0, CLI_FLAG,   &set.prepared,    NULL,    "additive: keys prepared beforehand, as for a decoder's steps"},
    {"transpose-a", 0, CLI_FLAG,   &set.transpose_a, NULL,    "product: a lies transposed"},
    {"transpose-b", 0, CLI_FLAG,   &set.transpose_b, NULL,    "product: b lies transposed"},
    {"bfloat16",    0, CLI_FLAG,   &set.bfloat16,    NULL,    "product, train: in bfloat16 where the machine has instructions for it"},
    {"packed",      0, CLI_FLAG,   &set.packed,      NULL,    "product: b packed beforehand, as weights are"},
    {"weights",     0, CLI_CHOICE, &set.weights,     "NAME",  "product: of b, packed beforehand; translate, generate: of the model", .choices = cli_weights_names},
    {"model",       0, CLI_CHOICE, &set.model,       "NAME",  "train: the model", .choices = bench_models},
    {"width",       0, CLI_INT,    &set.width,       "N",     "of a model; 0: its own", .min = 0, .max = 65536},
    {"batch",       0, CLI_INT,    &set.batch,       "N",     "train, translate: sentences at once; 0: the model's own", .min = 0, .max = 65536},
    {"beam",        0, CLI_INT,    &set.beam,        "N",     "translate: hypotheses kept at each step; 0: 1, greedy", .min = 0, .max = 1000},
    {"prefill",     0, CLI_FLAG,   &set.prefill,     NULL,    "generate: read a prompt instead of writing"},
    {"length",      0, CLI_INT,    &set.length,      "N",     "words of each sentence, or of the text; 0: the model's own", .min = 0, .max = 65536},
    {"vocabulary",  0, CLI_INT,    &set.vocabulary,  "N",     "words of each language; 0: the model's own", .min = 0, .max = 1e7},
    {"runs",        0, CLI_INT,    &set.runs,        "N",     "measured repetitions", .min = 1, .max = 1e6},
    {"isa",         0, CLI_CHOICE, &isa,             "NAME",  "instruction set to use at most", .choices = isas},
    CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

typedef struct measurement {
    const char *name;
    int (*measure)(const bench_request *r, bench_result *out);
    const char *uses; /* which options */
} measurement;

static const measurement measurements[] = {
    {"attention", bench_attention, "shape causal window backward dtype score runs isa"},
    {"additive", bench_additive, "shape backward dtype prepared runs isa"},
    {"decode", bench_decode, "shape dtype runs isa"},
    {"product", bench_product, "shape transpose-a transpose-b bfloat16 packed weights runs isa"},
    {"train", bench_train, "model width batch length vocabulary bfloat16 runs isa"},
    {"translate", bench_translate, "weights width batch beam length vocabulary runs isa"},
    {"generate", bench_generate, "weights width prefill length vocabulary runs isa"},
    {0}};

/* What `attend bench` without a name measures. */
typedef struct table_row {
    const char *name, *shape;
    bool causal, backward, transpose_b, prepared, prefill;
    int dtype, model, weights;
    int64_t width, batch, beam;
} table_row;

/* clang-format off */
static const table_row table[] = {
    {"attention", "1,8,8,2048,2048,64"},
    {"attention", "1,16,16,4096,4096,128"},
    {"attention", "1,8,8,2048,2048,64",    .backward = true},
    {"attention", "4,8,8,512,512,64",      .causal = true},
    {"attention", "4,8,8,512,512,64",      .causal = true, .backward = true},
    {"attention", "1,8,8,128,128,64",      .causal = true},
    {"attention", "1,8,8,2048,2048,64",    .backward = true, .dtype = 1},
    {"decode",    "1,8,8,1,32768,64"},
    {"decode",    "1,32,8,1,32768,128"},
    {"decode",    "1,8,8,1,32768,64",      .dtype = 1},
    {"decode",    "1,32,8,1,32768,128",    .dtype = 1},
    {"decode",    "1,32,8,1,32768,128",    .dtype = 3},
    {"additive",  "8,256,256,256"},
    {"additive",  "8,256,256,256",         .backward = true},
    {"additive",  "64,1,16,256",           .prepared = true},
    {"product",   "64,2048,512"},
    {"product",   "64,512,512"},
    {"product",   "2048,64,2048"},
    {"product",   "128,128,64,64",         .transpose_b = true},
    {"train",     .model = 0, .width = 256},
    {"train",     .model = 0, .width = 1024},
    {"train",     .model = 1, .width = 256},
    {"train",     .model = 1, .width = 1024},
    {"train",     .model = 2, .width = 128},
    {"train",     .model = 2, .width = 512},
    {"train",     .model = 3, .width = 384},
    {"translate"},
    {"translate", .weights = 2},
    {"translate", .batch = 32},
    {"translate", .batch = 32, .weights = 2},
    {"translate", .batch = 32, .beam = 4},
    {"generate"},
    {"generate",  .weights = 1},
    {"generate",  .weights = 2},
    {"generate",  .prefill = true},
};
/* clang-format on */

double bench_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int limits(const att_exec *exec)
{
    enum { EACH_L2 = 256 << 10, EACH_L3 = 4 << 20, MEMORY = 512 << 20 };
    double fma = 0, whole = 0, pairs = 0, l2 = 0, l3 = 0, memory = 0, exps = 0, tanhs = 0, sums = 0;
    size_t threads = (size_t)exec->threads;
    att_status st = att_measure_fma(exec, &fma);
    if (st == ATT_OK) st = att_measure_i16(exec, &whole);
    if (st == ATT_OK) st = att_measure_bf16(exec, &pairs);
    if (st == ATT_OK) st = att_measure_read(exec, EACH_L2 * threads, &l2);
    if (st == ATT_OK) st = att_measure_read(exec, EACH_L3 * threads, &l3);
    if (st == ATT_OK) st = att_measure_read(exec, MEMORY, &memory);
    if (st == ATT_OK) st = att_measure_exp(exec, &exps);
    if (st == ATT_OK) st = att_measure_tanh(exec, &tanhs);
    if (st == ATT_OK) st = att_measure_tanh_sum(exec, &sums);
    if (st != ATT_OK) return cli_fail(st);
    const char *name = att_isa_name(exec->isa ? exec->isa : att_isa_detect());
    if (cli.json)
        return cli_print_json(json_pack("{s:i, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "threads",
                                        exec->threads, "isa", name, "fma_gflops", fma, "i16_gflops", whole,
                                        "bf16_gflops", pairs, "l2_gbps", l2, "l3_gbps", l3, "memory_gbps", memory,
                                        "exp_g_per_s", exps, "tanh_g_per_s", tanhs, "tanh_sum_g_per_s", sums));
    printf("%s, %d threads\n", name, exec->threads);
    printf("multiply-add, float32   %8.1f GFLOP/s\n", fma);
    printf("multiply-add, 16 bits   %8.1f GFLOP/s: in pairs, as 8-bit weights are multiplied\n", whole);
    if (pairs > 0) printf("multiply-add, bfloat16  %8.1f GFLOP/s: in pairs, as AVX512_BF16 has them\n", pairs);
    printf("read, 256 KiB each      %8.1f GB/s\n", l2);
    printf("read, 4 MiB each        %8.1f GB/s\n", l3);
    printf("read, 512 MiB in all    %8.1f GB/s\n", memory);
    printf("e^x                     %8.2f G/s\n", exps);
    printf("tanh x                  %8.2f G/s\n", tanhs);
    printf("tanh(q + k), see below  %8.2f G/s: from e^2q and e^2k, as additive attention computes it\n", sums);
    return CLI_DONE;
}

/* ---- results ---- */

static json_t *result_object(const char *name, const bench_request *r, const bench_result *x)
{
    json_t *o = json_pack("{s:s, s:s, s:i, s:s, s:f, s:f, s:I, s:I, s:s, s:f, s:s, s:f}", "name", name, "what", x->what,
                          "threads", r->exec.threads, "isa", att_isa_name(r->exec.isa ? r->exec.isa : att_isa_detect()),
                          "ms", x->ms, "ms_best", x->ms_best, "runs", (json_int_t)x->runs, "workspace_bytes",
                          (json_int_t)x->workspace_bytes, "path", x->path, "limit", x->limit.rate, "limit_name",
                          x->limit.name, "share", x->rate[0].value / x->limit.rate);
    for (int i = 0; o && i < 2 && x->rate[i].key; i++)
        json_object_set_new(o, x->rate[i].key, json_real(x->rate[i].value));
    return o;
}

static void print_head(void)
{
    printf("%-58s %10s %10s %17s %6s %-20s %9s  %s\n", "", "ms", "best", "", "share", "of the limit", "workspace",
           "path");
}

static void print_row(const char *name, const bench_result *x)
{
    char what[128], limit[64], rate[64];
    const bench_rate *shown = &x->rate[x->rate[1].key ? 1 : 0];
    snprintf(what, sizeof what, "%s %s", name, x->what);
    snprintf(limit, sizeof limit, "%s %.1f", x->limit.name, x->limit.rate);
    snprintf(rate, sizeof rate, shown->value < 100 ? "%.2f %s" : "%.1f %s", shown->value, shown->unit);
    printf("%-58s %10.3f %10.3f %17s %5.0f%% %-20s %9.2f  %s\n", what, x->ms, x->ms_best, rate,
           100 * x->rate[0].value / x->limit.rate, limit, (double)x->workspace_bytes / (1 << 20), x->path);
    fflush(stdout);
}

static const measurement *find(const char *name)
{
    const measurement *m = measurements;
    while (m->name && strcmp(m->name, name) != 0) m++;
    return m;
}

static int measure(const char *name, const bench_request *r, bench_result *out)
{
    *out = (bench_result){.runs = r->runs};
    int status = find(name)->measure(r, out);
    bench_forget();
    return status;
}

static int one(const char *name)
{
    bench_result x;
    int status = measure(name, &set, &x);
    if (status != CLI_DONE) return status;
    if (cli.json) return cli_print_json(result_object(name, &set, &x));
    print_head();
    print_row(name, &x);
    return CLI_DONE;
}

static bench_request request_of(const table_row *row)
{
    bench_request r = set;
    r.shape = row->shape;
    r.causal = row->causal;
    r.backward = row->backward;
    r.transpose_b = row->transpose_b;
    r.prepared = row->prepared;
    r.dtype = row->dtype;
    r.model = row->model;
    r.prefill = row->prefill;
    if (row->weights) r.weights = row->weights;
    if (row->width) r.width = row->width;
    if (row->batch) r.batch = row->batch;
    if (row->beam) r.beam = row->beam;
    return r;
}

static int all(void)
{
    json_t *results = json_array();
    size_t rows = sizeof table / sizeof *table;
    if (!cli.json) print_head();
    cli_progress_begin((double)rows, "measurements");
    for (size_t i = 0; i < rows; i++) {
        bench_request r = request_of(&table[i]);
        bench_result x;
        int status = measure(table[i].name, &r, &x);
        cli_progress_hide();
        if (status != CLI_DONE) return status;
        if (cli.json)
            json_array_append_new(results, result_object(table[i].name, &r, &x));
        else
            print_row(table[i].name, &x);
        cli_progress_update((double)i + 1, NULL);
    }
    cli_progress_end();
    if (cli.json) return cli_print_json(json_pack("{s:o}", "results", results));
    json_decref(results);
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    char where[64];
    const char *name = argc ? argv[0] : NULL, *uses = !name ? "runs isa" : find(name)->uses;
    snprintf(where, sizeof where, "of attend bench%s%s", name ? " " : " without a name", name ? name : "");
    int status = cli_check_given(uses ? uses : "isa", where); /* limits is no measurement */
    if (status != CLI_DONE) return status;
    set.exec = cli_exec();
    set.exec.isa = (att_isa)isa;
    if (!name) return all();
    return uses ? one(name) : limits(&set.exec);
}

static const char *const names[] = {"limits", "attention", "additive", "decode", "product",
                                    "train",  "translate", "generate", NULL};

const cli_command cmd_bench = {
    .name = "bench",
    .operands = "[limits|attention|additive|decode|product|train|translate|generate]",
    .summary = "measure on this machine, beside its limits",
    .help = "  limits     multiply-adds, reading from caches and memory, e^x and tanh\n"
            "  attention  B,Hq,Hkv,Tq,Tk,D: dot-product attention over whole sequences\n"
            "  additive   B,Tq,Tk,D: additive attention\n"
            "  decode     B,Hq,Hkv,Tq,Tk,D: few queries against a long cache\n"
            "  product    M,N,K[,BATCH]: c(M,N) = a(M,K) b(K,N)\n"
            "  train      a training step: forward, backward and Adam, on random sentences\n"
            "  translate  the base model of the Transformer's paper, 6+6 layers of width 512, 32,000\n"
            "             words, random weights: sentences of 20 words into 20 words, text to text\n"
            "  generate   GPT-2's smallest model, 12 layers of width 768, 50,257 words, random\n"
            "             weights: 64 words one after the other, or a prompt of 512\n"
            "\n"
            "Without a name a table of all at usual shapes. Times are medians of the runs,\n"
            "the workspace is in MiB. The share is that of the limit which binds the work,\n"
            "measured in the same run. nmt-step is Bahdanau's model, whose decoder runs\n"
            "step by step; in nmt all of its states attend at once.",
    .options = options,
    .words = names,
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
