/* What contradicts itself on the command line of attend attention, said before a file is opened. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"

/* "LEFT,RIGHT", two whole numbers from 0. */
static int parse_window(attention_request *r)
{
    char *end;
    if (!r->window) return CLI_DONE;
    errno = 0;
    r->left = strtoll(r->window, &end, 10);
    bool good = end != r->window && *end == ',';
    const char *second = end + 1;
    if (good) r->right = strtoll(second, &end, 10);
    if (!good || end == second || *end || errno || r->left < 0 || r->right < 0 || strchr(r->window, ' '))
        return cli_wrong("--window: '%s', expected LEFT,RIGHT, two numbers of 0 or more keys", r->window);
    return CLI_DONE;
}

static int check_visibility(const attention_request *r)
{
    bool positions = r->in[IN_QUERY_POSITIONS] || r->in[IN_KEY_POSITIONS];
    if (r->causal && r->window && r->right > 0)
        return cli_wrong("--window %s beside --causal: expected LEFT,0, since no later key is seen", r->window);
    if (r->local && (r->causal || r->window))
        return cli_wrong("--local beside --%s: expected one of the two", r->causal ? "causal" : "window");
    if (r->causal == CAUSAL_BOTTOM_RIGHT && (r->offset || positions))
        return cli_wrong("--causal bottom-right beside --%s: both say where the queries are",
                         r->offset ? "offset" : "query-positions or --key-positions");
    if (r->offset && r->in[IN_QUERY_POSITIONS])
        return cli_wrong("--offset beside --query-positions: both say where the queries are");
    if (r->block && (!r->in[IN_BLOCK_STARTS] || !r->in[IN_BLOCK_KEYS]))
        return cli_wrong("--block %lld: expected --block-starts and --block-keys with it", (long long)r->block);
    if (!r->block && (r->in[IN_BLOCK_STARTS] || r->in[IN_BLOCK_KEYS]))
        return cli_wrong("--block-starts, --block-keys: expected --block N with them");
    return CLI_DONE;
}

static int check_local(const attention_request *r)
{
    bool learned = r->in[IN_CENTRE_WEIGHT] || r->in[IN_CENTRE_VECTOR];
    bool predictive = r->local == ATT_LOCAL_PREDICTIVE;
    if (!r->local && (r->half_width > 0 || r->sigma > 0 || r->full || r->in[IN_CENTRE] || learned))
        return cli_wrong("--half-width, --sigma, --full and --centre...: expected only with --local");
    if (r->local && r->half_width == 0)
        return cli_wrong("--local: no --half-width, expected the number of keys to either side");
    if (!predictive && (r->sigma > 0 || r->full || learned || r->out[OUT_CENTRE]))
        return cli_wrong("--sigma, --full, --centre-weight, --centre-vector and --predicted-centre: expected only with "
                         "--local predictive");
    if (predictive && r->in[IN_CENTRE] && (learned || r->out[OUT_CENTRE]))
        return cli_wrong("--centre beside --centre-weight, --centre-vector or --predicted-centre: expected one centre");
    if (predictive && !r->in[IN_CENTRE] && (!r->in[IN_CENTRE_WEIGHT] || !r->in[IN_CENTRE_VECTOR]))
        return cli_wrong("--local predictive: expected --centre, or --centre-weight and --centre-vector");
    return CLI_DONE;
}

static int check_outputs(const attention_request *r)
{
    bool wanted = false;
    for (int i = 0; i < INPUTS; i++) wanted = wanted || r->grad[i];
    if (wanted && !r->in[IN_GRAD_OUTPUT])
        return cli_wrong("--grad-...: no --grad-output, expected the gradient of the output");
    if (!wanted && r->in[IN_GRAD_OUTPUT])
        return cli_wrong("--grad-output: expected a gradient to write, such as --grad-query F.npy");
    if (r->grad[IN_KEY] && !r->in[IN_KEY])
        return cli_wrong("--grad-key: no --key; the keys are the values, and --grad-value has both parts");
    if (r->top && !r->out[OUT_TOP_KEYS] && !r->out[OUT_TOP_WEIGHTS])
        return cli_wrong("--top-k %lld: expected --top-keys or --top-weights with it", (long long)r->top);
    if (!r->top && (r->out[OUT_TOP_KEYS] || r->out[OUT_TOP_WEIGHTS]))
        return cli_wrong("--top-keys, --top-weights: expected --top-k N with them");
    if (r->stage && !r->out[OUT_SCORES]) return cli_wrong("--stage: expected --scores S.npy with it");
    if (r->out[OUT_COVERAGE] && !r->in[IN_COVERAGE]) return cli_wrong("--new-coverage: no --coverage to add to");
    return CLI_DONE;
}

int attention_check(attention_request *r)
{
    if (!r->in[IN_QUERY]) return cli_wrong("--query: expected a .npy file");
    if (!r->in[IN_VALUE]) return cli_wrong("--value: expected a .npy file");
    if (r->relative_distance && !r->relative_kind)
        return cli_wrong("--relative-distance: expected only with --relative-kind buckets or buckets-backward");
    int status = parse_window(r);
    if (status == CLI_DONE) status = check_visibility(r);
    if (status == CLI_DONE) status = check_local(r);
    return status == CLI_DONE ? check_outputs(r) : status;
}
