#include "op/kernels_ref.h"

#include "kernel/ref/both.h"

const att_rows_kernels att_rows_ref = {
    .axpby = att_ref_axpby_f32,
    .add = att_ref_add_f32,
    .multiply = att_ref_multiply_f32,
    .exp = att_ref_exp_f32,
    .activation = att_ref_activation_f32,
    .activation_bwd = att_ref_activation_bwd_f32,
    .dropout = att_ref_dropout_f32,
    .sums = att_ref_sums_f32,
    .sum_rows = att_ref_sum_rows_f32,
    .softmax = att_ref_softmax_f32,
    .softmax_bwd = att_ref_softmax_bwd_f32,
    .layer_norm = att_ref_layer_norm_f32,
    .layer_norm_bwd = att_ref_layer_norm_bwd_f32,
    .layer_norm_bwd_gain = att_ref_layer_norm_bwd_gain_f32,
    .rotary = att_ref_rotary_f32,
    .logits = att_ref_logits_f32,
    .logits_bwd = att_ref_logits_bwd_f32,
    .adam = att_ref_adam_f32,
};

const att_rnn_kernels att_rnn_ref = {
    .gru = att_ref_gru_f32,
    .gru_bwd = att_ref_gru_bwd_f32,
    .gru_reset = att_ref_gru_reset_f32,
    .gru_blend = att_ref_gru_blend_f32,
    .gru_blend_bwd = att_ref_gru_blend_bwd_f32,
    .gru_reset_bwd = att_ref_gru_reset_bwd_f32,
    .lstm = att_ref_lstm_f32,
    .lstm_bwd = att_ref_lstm_bwd_f32,
};
