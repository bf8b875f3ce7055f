/* attend attention: one mechanism, forward and backward, on .npy arrays. */
#include "attention.h"

#include <stdlib.h>

#include "commands.h"

static const char *const scores[] = {"scaled-dot", "dot",  "additive", "concat",       "general",      "cosine",
                                     "location",   "none", "relative", "keras-concat", "luong-concat", NULL};
static const char *const causals[] = {"no", "top-left", "bottom-right", NULL};
static const char *const aligns[] = {"softmax", "hard", "sample", "sparsemax", "entmax15", NULL};
static const char *const locals[] = {"no", "monotonic", "predictive", NULL};
static const char *const masked[] = {"zero", "uniform", NULL};
static const char *const relatives[] = {"clip", "buckets", "buckets-backward", NULL};
static const char *const estimators[] = {"none", "straight-through", "reinforce", NULL};
static const char *const stages[] = {"raw", "masked", "weights", "dropped", NULL};

static attention_request set;

/* clang-format off */
#define INPUT(id, flag, file, kind, field, name, help) {flag, 0, CLI_STRING, &set.in[IN_##id], file, help},
#define GRADIENT(flag, id) {"grad-" flag, 0, CLI_STRING, &set.grad[IN_##id], "F.npy", "write the gradient of --" flag}

static const cli_option options[] = {
    {"score", 0, CLI_CHOICE, &set.score, NULL, "how query and key give a score", .choices = scores},
    ATTENTION_INPUTS(INPUT)
    {"scale", 0, CLI_REAL, &set.scale, "S", "factor of the score; 0: 1/sqrt(D) for scaled-dot, 1 for the others"},
    {"causal", 0, CLI_CHOICE, &set.causal, NULL, "a query sees no later key; the corner where they are aligned", .choices = causals},
    {"window", 0, CLI_STRING, &set.window, "LEFT,RIGHT", "a query sees LEFT keys before its own and RIGHT behind"},
    {"offset", 0, CLI_INT, &set.offset, "N", "position of the first query among the keys"},
    {"heads", 0, CLI_INT, &set.heads, "N", "cut the width of (T,D) and (B,T,D) into N heads; 0: one", .min = 0, .max = 1e6},
    {"kv-heads", 0, CLI_INT, &set.kv_heads, "N", "of keys and values; 0: as --heads", .min = 0, .max = 1e6},
    {"softcap", 0, CLI_REAL, &set.softcap, "C", "scores become C tanh(score / C); 0: off", .min = 0, .max = HUGE_VAL},
    {"align", 0, CLI_CHOICE, &set.align, NULL, "how scores become weights", .choices = aligns},
    {"estimator", 0, CLI_CHOICE, &set.estimator, NULL, "hard, sample: what gradient the scores get", .choices = estimators},
    {"local", 0, CLI_CHOICE, &set.local, NULL, "a window around the query's own place, or one that it predicts", .choices = locals},
    {"half-width", 0, CLI_REAL, &set.half_width, "D", "local: keys to either side", .min = 0, .max = HUGE_VAL},
    {"sigma", 0, CLI_REAL, &set.sigma, "S", "predictive: deviation of the Gaussian; 0: half of --half-width", .min = 0, .max = HUGE_VAL},
    {"full", 0, CLI_FLAG, &set.full, NULL, "predictive: all keys stay visible, their weights only fall off"},
    {"relative-kind", 0, CLI_CHOICE, &set.relative_kind, NULL, "--relative: distances clipped, or in T5's buckets", .choices = relatives},
    {"relative-distance", 0, CLI_INT, &set.relative_distance, "N", "buckets: from here on all are one; 0: 128", .min = 0, .max = 1e9},
    {"block", 0, CLI_INT, &set.block, "N", "side of the blocks of --block-starts and --block-keys", .min = 0, .max = 1e9},
    {"masked-rows", 0, CLI_CHOICE, &set.masked_rows, NULL, "a query that sees no key: output 0, or the mean value", .choices = masked},
    {"temperature", 0, CLI_REAL, &set.temperature, "T", "scores are divided by it; 0: 1", .min = 0, .max = HUGE_VAL},
    {"dropout", 0, CLI_REAL, &set.dropout, "P", "of the weights", .min = 0, .max = 0.999999},
    CLI_SEED,
    {"output", 'o', CLI_STRING, &set.out[OUT_OUTPUT], "O.npy", "write the output"},
    {"weights", 0, CLI_STRING, &set.out[OUT_WEIGHTS], "W.npy", "write the weights before dropout, (B,H,Tq,Tk)"},
    {"scores", 0, CLI_STRING, &set.out[OUT_SCORES], "S.npy", "write the scores, (B,H,Tq,Tk), as of --stage"},
    {"stage", 0, CLI_CHOICE, &set.stage, NULL, "--scores: raw; masked and biased; weights; after dropout", .choices = stages},
    {"lse", 0, CLI_STRING, &set.out[OUT_LSE], "L.npy", "write the log sum exp of the scores, (B,H,Tq)"},
    {"entropy", 0, CLI_STRING, &set.out[OUT_ENTROPY], "E.npy", "write each row's entropy in nats, (B,H,Tq)"},
    {"top-k", 0, CLI_INT, &set.top, "N", "keys of --top-keys and --top-weights", .min = 0, .max = 1e9},
    {"top-keys", 0, CLI_STRING, &set.out[OUT_TOP_KEYS], "K.npy", "write the N heaviest keys of each row, (B,H,Tq,N)"},
    {"top-weights", 0, CLI_STRING, &set.out[OUT_TOP_WEIGHTS], "W.npy", "write their weights"},
    {"column-sums", 0, CLI_STRING, &set.out[OUT_COLUMN_SUMS], "C.npy", "write what each key received, (B,H,Tk)"},
    {"predicted-centre", 0, CLI_STRING, &set.out[OUT_CENTRE], "P.npy", "predictive: write the centres, (B,H,Tq)"},
    {"new-coverage", 0, CLI_STRING, &set.out[OUT_COVERAGE], "C.npy", "write --coverage plus these weights"},
    {"grad-output", 0, CLI_STRING, &set.in[IN_GRAD_OUTPUT], "G.npy", "gradient of the output, for the following"},
    {"grad-log-prob", 0, CLI_STRING, &set.in[IN_GRAD_LOG_PROB], "F.npy", "reinforce: factor of the sampled key's log probability"},
    {"grad-entropy", 0, CLI_STRING, &set.in[IN_GRAD_ENTROPY], "F.npy", "reinforce: factor of the entropy"},
    GRADIENT("query", QUERY), GRADIENT("key", KEY), GRADIENT("value", VALUE),
    GRADIENT("score-weight", SCORE_WEIGHT), GRADIENT("score-vector", SCORE_VECTOR), GRADIENT("bias", BIAS),
    GRADIENT("centre", CENTRE), GRADIENT("centre-weight", CENTRE_WEIGHT), GRADIENT("centre-vector", CENTRE_VECTOR),
    GRADIENT("relative", RELATIVE), GRADIENT("sinks", SINKS), GRADIENT("strength", STRENGTH), GRADIENT("gain", GAIN),
    GRADIENT("concat-weight", CONCAT_WEIGHT), GRADIENT("coverage", COVERAGE),
    GRADIENT("coverage-weight", COVERAGE_WEIGHT), GRADIENT("w-query", W_QUERY), GRADIENT("b-query", B_QUERY),
    GRADIENT("w-key", W_KEY), GRADIENT("b-key", B_KEY), GRADIENT("w-value", W_VALUE), GRADIENT("b-value", B_VALUE),
    GRADIENT("w-output", W_OUTPUT), GRADIENT("b-output", B_OUTPUT),
    CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

static int run(int argc, char **argv)
{
    (void)argc, (void)argv;
    int status = attention_check(&set);
    if (status != CLI_DONE) return status;
    attention_call *call = calloc(1, sizeof *call);
    if (!call) return cli_failed("out of memory");
    call->r = &set;
    call->exec = cli_exec();
    status = attention_read(call);
    if (status == CLI_DONE) status = attention_run(call);
    attention_free(call);
    return status;
}

const cli_command cmd_attention = {
    .name = "attention",
    .operands = "",
    .summary = "run one mechanism, forward and backward, on .npy arrays",
    .help = "Without a file to write it prints shapes, the sum of the scores that are aligned,\n"
            "the variance of the weights and the sum of the output.\n"
            "\n"
            "What --score-weight is: additive (D), a vector before the tanh; general (Dq,Dk);\n"
            "location (D,Tk); luong-concat (Dq+Dk,D). 'concat' is luong-concat with a\n"
            "two-dimensional --score-weight, and Keras's sum of tanh(q + k) without one.\n"
            "\n"
            "Arrays are float32 or float64, all alike. (T,D) is a batch of one, and outputs\n"
            "have the dimensions of the query. A mask or bias of three dimensions is\n"
            "(B,Tq,Tk) beside (B,T,D). When --key is left out, the gradient of --value is\n"
            "the sum of both parts.\n"
            "\n"
            "    attend attention --score dot --query q.npy --value v.npy -o o.npy\n",
    .options = options,
    .run = run,
};
