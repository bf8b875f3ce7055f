/* What a descriptor may say. */
#include "op/attention_check.h"

#include <math.h>

#include "op/attention_views.h"

static att_status check_choices(const att_attention_desc *d)
{
    ATT_REQUIRE(d->score >= ATT_SCORE_DOT && d->score <= ATT_SCORE_CUSTOM, ATT_E_VALUE,
                "score: %d, expected ATT_SCORE_DOT, _ADDITIVE, _NONE or _CUSTOM", (int)d->score);
    ATT_REQUIRE(d->window >= ATT_WINDOW_ALL && d->window <= ATT_WINDOW_GAUSS, ATT_E_VALUE,
                "window: %d, expected ATT_WINDOW_ALL, _CAUSAL, _BAND or _GAUSS", (int)d->window);
    ATT_REQUIRE(d->align >= ATT_ALIGN_SOFTMAX && d->align <= ATT_ALIGN_ENTMAX15, ATT_E_VALUE,
                "align: %d, expected ATT_ALIGN_SOFTMAX, _ARGMAX, _SAMPLE, _SPARSEMAX or _ENTMAX15", (int)d->align);
    ATT_REQUIRE(d->masked_rows >= ATT_MASKED_ZERO && d->masked_rows <= ATT_MASKED_UNIFORM, ATT_E_VALUE,
                "masked_rows: %d, expected ATT_MASKED_ZERO or _UNIFORM", (int)d->masked_rows);
    ATT_REQUIRE(d->relative >= ATT_RELATIVE_CLIP && d->relative <= ATT_RELATIVE_BUCKETS_BACKWARD, ATT_E_VALUE,
                "desc relative: %d, expected ATT_RELATIVE_CLIP, _BUCKETS or _BUCKETS_BACKWARD", (int)d->relative);
    ATT_REQUIRE(d->estimator >= ATT_ESTIMATOR_NONE && d->estimator <= ATT_ESTIMATOR_REINFORCE, ATT_E_VALUE,
                "estimator: %d, expected ATT_ESTIMATOR_NONE, _STRAIGHT_THROUGH or _REINFORCE", (int)d->estimator);
    return ATT_OK;
}

static att_status check_numbers(const att_attention_desc *d)
{
    ATT_REQUIRE(isfinite(d->scale), ATT_E_VALUE, "scale: %g, expected a finite number", (double)d->scale);
    ATT_REQUIRE(isfinite(d->softcap) && d->softcap >= 0, ATT_E_VALUE, "softcap: %g, expected 0 (off) or more",
                (double)d->softcap);
    ATT_REQUIRE(d->dropout >= 0 && d->dropout < 1, ATT_E_VALUE, "dropout: %g, expected 0 <= p < 1", (double)d->dropout);
    ATT_REQUIRE(isfinite(d->temperature) && d->temperature >= 0, ATT_E_VALUE,
                "temperature: %g, expected more than 0, or 0 for 1", (double)d->temperature);
    ATT_REQUIRE(d->q_offset >= -ATT_FAR && d->q_offset <= ATT_FAR, ATT_E_VALUE,
                "q_offset: %lld, expected at most 2^40 away", (long long)d->q_offset);
    ATT_REQUIRE(d->block >= 0, ATT_E_VALUE, "block: %lld, expected 0 or more", (long long)d->block);
    ATT_REQUIRE(d->relative_distance >= 0 && d->relative_distance <= ATT_FAR, ATT_E_VALUE,
                "relative_distance: %lld, expected 0 (128) to 2^40", (long long)d->relative_distance);
    return att_only_with("relative_distance", d->relative_distance != 0, d->relative != ATT_RELATIVE_CLIP,
                         "ATT_RELATIVE_BUCKETS or _BUCKETS_BACKWARD");
}

static att_status check_band(const att_attention_desc *d)
{
    ATT_REQUIRE(d->left >= 0, ATT_E_VALUE, "left: %lld, expected a window of 0 or more keys", (long long)d->left);
    ATT_REQUIRE(d->right >= 0, ATT_E_VALUE, "right: %lld, expected a window of 0 or more keys", (long long)d->right);
    ATT_REQUIRE(d->window == ATT_WINDOW_BAND || (d->left == 0 && d->right == 0), ATT_E_VALUE,
                "left, right: %lld, %lld, expected 0 unless window is ATT_WINDOW_BAND", (long long)d->left,
                (long long)d->right);
    return ATT_OK;
}

static att_status check_gauss(const att_attention_desc *d)
{
    bool gauss = d->window == ATT_WINDOW_GAUSS;
    ATT_TRY(att_only_with("half_width", d->half_width != 0, gauss, "ATT_WINDOW_GAUSS"));
    ATT_TRY(att_only_with("sigma", d->sigma != 0, gauss, "ATT_WINDOW_GAUSS"));
    ATT_TRY(att_only_with("untruncated", d->untruncated != 0, gauss, "ATT_WINDOW_GAUSS"));
    ATT_REQUIRE(!gauss || (isfinite(d->half_width) && d->half_width > 0), ATT_E_VALUE,
                "half_width: %g, expected more than 0 keys", (double)d->half_width);
    ATT_REQUIRE(isfinite(d->sigma) && d->sigma >= 0, ATT_E_VALUE,
                "sigma: %g, expected more than 0 keys, or 0 for half of half_width", (double)d->sigma);
    return ATT_OK;
}

static att_status check_align(const att_attention_desc *d)
{
    bool hard = d->align == ATT_ALIGN_ARGMAX || d->align == ATT_ALIGN_SAMPLE;
    ATT_TRY(att_only_with("estimator", d->estimator != ATT_ESTIMATOR_NONE, hard, "ATT_ALIGN_ARGMAX or _SAMPLE"));
    return att_only_with("estimator ATT_ESTIMATOR_REINFORCE", d->estimator == ATT_ESTIMATOR_REINFORCE,
                         d->align == ATT_ALIGN_SAMPLE, "ATT_ALIGN_SAMPLE");
}

static att_status check_function(const att_attention_desc *d)
{
    bool custom = d->score == ATT_SCORE_CUSTOM;
    ATT_TRY(att_only_with("function", d->function != NULL, custom, "ATT_SCORE_CUSTOM"));
    ATT_REQUIRE(!custom || d->function, ATT_E_VALUE, "function: NULL, expected ATT_SCORE_CUSTOM's score function");
    ATT_REQUIRE(!custom || d->function->forward, ATT_E_VALUE, "function: forward is NULL, expected a function");
    return ATT_OK;
}

att_status att_attention_check_desc(const att_attention_desc *d)
{
    ATT_TRY(check_choices(d));
    ATT_TRY(check_numbers(d));
    ATT_TRY(check_band(d));
    ATT_TRY(check_gauss(d));
    ATT_TRY(check_align(d));
    return check_function(d);
}
