"""keras.layers.MultiHeadAttention and GroupQueryAttention: every argument, masks of every kind, odd sizes, gradients."""

import itertools

import attend
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src import backend
from peer import Pair

MHA, GQA = "MultiHeadAttention", "GroupQueryAttention"
PLAIN = {MHA: {"num_heads": 3, "key_dim": 5}, GQA: {"head_dim": 5, "num_query_heads": 6, "num_key_value_heads": 2}}
BOTH = pytest.mark.parametrize("kind", [MHA, GQA])


def make(rng, dtype="float32", b=2, t=5, s=7, c=6, cv=4, ck=8, key=True):
    shapes = [(b, t, c), (b, s, cv), (b, s, ck)]
    return [rng.normal(size=x).astype(dtype) for x in (shapes if key else shapes[:2])]


@BOTH
@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("extra", [{}, {"use_bias": False}, {"use_gate": True}, {"use_gate": True, "use_bias": False},
                                   {"sliding_window": 2}, {"dropout": 0.3}], ids=str)
def test_arguments(rng, kind, extra, dtype, scores):
    arrays = make(rng, dtype, cv=6) if kind == GQA else make(rng, dtype)
    Pair(kind, PLAIN[kind] | extra, dtype).compare(arrays, return_attention_scores=scores)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("extra", [{"value_dim": 2}, {"value_dim": 9, "use_gate": True}, {"output_shape": 11},
                                   {"output_shape": (3, 4)}, {"output_shape": [2, 3], "value_dim": 7},
                                   {"attention_axes": 1}, {"attention_axes": (1,)}, {"attention_axes": (-2,)}], ids=str)
def test_arguments_of_multi_head_alone(rng, extra, scores):
    Pair(MHA, PLAIN[MHA] | extra).compare(make(rng), return_attention_scores=scores)


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 17, 33), (2, 64, 65), (1, 130, 2)], ids=str)
@pytest.mark.parametrize("causal", [False, True])
@BOTH
def test_sizes(rng, kind, size, causal):
    b, t, s = size
    arrays = make(rng, b=b, t=t, s=s, cv=6)
    Pair(kind, PLAIN[kind]).compare(arrays, use_causal_mask=causal)
    Pair(kind, PLAIN[kind]).compare(arrays, use_causal_mask=causal, return_attention_scores=True)


@pytest.mark.parametrize("heads, groups", [(4, 4), (4, 2), (4, 1), (1, 1), (6, 3)])
def test_head_uses_group_of_consecutive_heads(rng, heads, groups):
    config = {"head_dim": 3, "num_query_heads": heads, "num_key_value_heads": groups}
    Pair(GQA, config).compare(make(rng, cv=6), return_attention_scores=True)


@BOTH
@pytest.mark.parametrize("attention, value, key, causal, scores", list(itertools.product([False, True], repeat=5)))
def test_masks(rng, kind, attention, value, key, causal, scores):
    """All joined by AND; rows that see nothing are among them."""
    call = {"use_causal_mask": causal, "return_attention_scores": scores}
    if attention:
        call["attention_mask"] = rng.random((2, 5, 7)) < 0.6
    if value:
        call["value_mask"] = rng.random((2, 7)) < 0.7
    if key:
        call["key_mask"] = rng.random((2, 7)) < 0.7
    Pair(kind, PLAIN[kind]).compare(make(rng, cv=6), **call)


@BOTH
@pytest.mark.parametrize("shape", [(2, 5, 7), (1, 5, 7), (2, 1, 7), (2, 5, 1), (5, 7), (2, 1, 5, 7), "heads"], ids=str)
@pytest.mark.parametrize("scores", [False, True])
def test_attention_mask_broadcasts(rng, kind, shape, scores):
    if shape == "heads":
        shape = (2, 3 if kind == MHA else 6, 5, 7)
    mask = rng.random(shape) < 0.6
    Pair(kind, PLAIN[kind]).compare(make(rng, cv=6), attention_mask=mask, return_attention_scores=scores)


@BOTH
@pytest.mark.parametrize("window", [1, 2, 4, 100])
@pytest.mark.parametrize("causal, masked, scores", list(itertools.product([False, True], repeat=3)))
def test_sliding_window(rng, kind, window, causal, masked, scores):
    call = {"use_causal_mask": causal, "return_attention_scores": scores}
    if masked:
        call["value_mask"] = rng.random((2, 7)) < 0.7
    Pair(kind, PLAIN[kind] | {"sliding_window": window}).compare(make(rng, t=9, cv=6), **call)


@BOTH
def test_masks_in_double(rng, kind):
    for scores in (False, True):
        Pair(kind, PLAIN[kind], "float64").compare(
            make(rng, "float64", cv=6), attention_mask=rng.random((2, 5, 7)) < 0.4, value_mask=rng.random((2, 7)) < 0.7,
            return_attention_scores=scores)


@BOTH
def test_key_defaults_to_value(rng, kind):
    Pair(kind, PLAIN[kind]).compare(make(rng, cv=6, key=False), return_attention_scores=True)


@BOTH
@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_row_that_sees_nothing_depends_on_the_path(rng, close, kind, dropout):
    """Explicit path (scores returned, or dropout set, even outside of training): zeros, so that only the bias is left.
    Fused path: the mean of all values, hidden ones included."""
    arrays, mask = make(rng, cv=6), np.zeros((2, 5, 7), bool)
    pair = Pair(kind, PLAIN[kind] | {"dropout": dropout})
    fused = pair.compare(arrays, attention_mask=mask)
    explicit, weights = pair.compare(arrays, attention_mask=mask, return_attention_scores=True)
    assert not weights.any()
    bias = pair.ours.get_weights()[-1]
    close(explicit, np.broadcast_to(bias, explicit.shape))
    if dropout:
        np.testing.assert_array_equal(fused, explicit)
    else:
        assert np.abs(fused - explicit).max() > 0.01


def test_query_mask_joins_the_attention_mask(rng, close):
    """In MultiHeadAttention it is the mask that the query tensor carries; an argument of that name is overwritten by it.
    Our arrays carry none: here the argument is the tensor's mask."""
    arrays, query_mask = make(rng), rng.random((2, 5)) < 0.6
    pair = Pair(MHA, PLAIN[MHA])
    pair.share_weights(arrays)
    for scores in (False, True):
        tensors = [tf.convert_to_tensor(x) for x in arrays]
        backend.set_keras_mask(tensors[0], tf.convert_to_tensor(query_mask))
        wanted = pair.theirs(*tensors, return_attention_scores=scores)
        found = pair.ours(*arrays, query_mask=query_mask, return_attention_scores=scores)
        for mine, its in zip(found if scores else (found,), wanted if scores else (wanted,)):
            close(mine, its)
    assert pair.ours.compute_mask(*arrays[:2], query_mask=query_mask) is query_mask
    ignored = pair.theirs(*arrays, query_mask=query_mask)
    close(pair.ours(*arrays), np.asarray(ignored))


def test_query_mask_of_grouped_heads(rng):
    Pair(GQA, PLAIN[GQA]).compare(make(rng, cv=6), query_mask=rng.random((2, 5)) < 0.6, value_mask=rng.random((2, 7)) < 0.6)


@pytest.mark.parametrize("axes", [None, (1,), (2,), (1, 2), (2, 1), (-2,)], ids=str)
@pytest.mark.parametrize("scores, masked", list(itertools.product([False, True], repeat=2)))
def test_attention_over_several_dimensions(rng, axes, scores, masked):
    b, x, y = 2, 3, 4
    resolved = [a + 4 if a < 0 else a for a in axes or (1, 2)]
    kx, ky = (5 if 1 in resolved else x), (6 if 2 in resolved else y)
    arrays = [rng.normal(size=s).astype("float32") for s in ((b, x, y, 6), (b, kx, ky, 4), (b, kx, ky, 8))]
    call = {"return_attention_scores": scores}
    if masked:
        batch = [s for a, s in ((1, x), (2, y)) if a not in resolved]
        sizes = {1: (x, kx), 2: (y, ky)}
        call["attention_mask"] = rng.random([b, *batch, *(sizes[a][0] for a in resolved),
                                             *(sizes[a][1] for a in resolved)]) < 0.6
    Pair(MHA, PLAIN[MHA] | {"attention_axes": axes}).compare(arrays, **call)


@BOTH
def test_returned_scores_are_those_before_dropout(rng, kind):
    arrays = make(rng, cv=6)
    plain = Pair(kind, PLAIN[kind])
    weights = plain.compare(arrays, return_attention_scores=True)[1]
    pair = Pair(kind, PLAIN[kind] | {"dropout": 0.4})
    pair.share_weights(arrays)
    output, kept = pair.ours(*arrays, return_attention_scores=True, training=True)
    np.testing.assert_allclose(kept, weights, atol=1e-6)
    assert np.abs(output - plain.ours(*arrays)).max() > 1e-3
    theirs = pair.theirs(*arrays, return_attention_scores=True, training=True)[1]
    np.testing.assert_allclose(kept, np.asarray(theirs), atol=1e-5)


@BOTH
def test_gradients_replay_the_drops_of_the_latest_call(rng, kind):
    arrays = make(rng, "float64", cv=6)
    pair = Pair(kind, PLAIN[kind] | {"dropout": 0.4, "seed": 3}, "float64")
    pair.share_weights(arrays)
    output = pair.ours(*arrays, training=True)
    grad, step = rng.normal(size=output.shape), rng.normal(size=arrays[1].shape)
    slope = (pair.ours.gradients(grad, *arrays, training=True)[0][1] * step).sum()
    pair.ours._seeds = None
    moved = pair.ours(arrays[0], arrays[1] + step, arrays[2], training=True)
    np.testing.assert_allclose(((moved - output) * grad).sum(), slope, rtol=1e-9)


@BOTH
def test_regularisers_and_constraints(rng, kind):
    config = PLAIN[kind] | {"kernel_regularizer": "l2", "bias_regularizer": "l1", "activity_regularizer": "l2",
                            "use_gate": True}
    arrays, pair = make(rng, cv=6), Pair(kind, config)
    pair.share_weights(arrays)
    for scores in (False, True):
        for layer in (pair.ours, pair.theirs):
            layer(*arrays, return_attention_scores=scores)
        np.testing.assert_allclose(sorted(pair.ours.losses), sorted(map(float, pair.theirs.losses)), rtol=1e-5)
    theirs = keras.constraints.NonNeg()
    layer = getattr(attend, kind)(**PLAIN[kind], kernel_constraint=lambda w: np.asarray(theirs(w)))
    layer(*arrays)
    biases = [w.copy() for w in layer.get_weights()[1::2]]
    layer.constrain()
    assert min(w.min() for w in layer.get_weights()[::2]) == 0
    for w, before in zip(layer.get_weights()[1::2], biases):
        np.testing.assert_array_equal(w, before)


@BOTH
@pytest.mark.parametrize("name", ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform",
                                  "lecun_normal", "random_normal", "random_uniform", "ones", "zeros"])
def test_initialisers(kind, name):
    config = ({"num_heads": 8, "key_dim": 16} if kind == MHA else
              {"head_dim": 16, "num_query_heads": 8, "num_key_value_heads": 4})
    layers = [getattr(module, kind)(**config, kernel_initializer=name, bias_initializer="ones")
              for module in (attend, keras.layers)]
    keras.utils.set_random_seed(5)  # NumPy's generator too, from which attend's layers draw
    for layer in layers:
        layer.build((2, 3, 64), (2, 3, 64))
    for mine, its in zip(*(layer.get_weights() for layer in layers), strict=True):
        np.testing.assert_allclose(mine.std(), its.std(), rtol=0.06)
        far = [np.quantile(np.abs(weights), 0.98) for weights in (mine, its)]
        np.testing.assert_allclose(*far, rtol=0.08)
    assert (layers[0].get_weights()[1] == 1).all()


@BOTH
def test_configuration(kind):
    theirs, ours = getattr(keras.layers, kind)(**PLAIN[kind]), getattr(attend, kind)(**PLAIN[kind])
    mine, its = ours.get_config(), theirs.get_config()
    for name in PLAIN[kind]:
        assert mine[name] == its[name]
    assert {n for n in its if not n.endswith(("izer", "straint"))} - {"query_shape", "key_shape", "value_shape"} <= set(mine)
    assert type(ours).from_config(mine).get_config() == mine


WRONG = {
    "heads": (MHA, {"num_heads": 0}), "key_dim": (MHA, {"key_dim": -1}), "value_dim": (MHA, {"value_dim": -3}),
    "sliding_window": (MHA, {"sliding_window": 0}), "output_shape": (MHA, {"output_shape": 1.5}),
    "attention_axes": (MHA, {"attention_axes": "x"}), "dropout": (MHA, {"flash_attention": True, "dropout": 0.1}),
    "num_query_heads": (GQA, {"num_query_heads": 5}), "kernel": (MHA, {"kernel_initializer": "glorot"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_same_arguments_are_refused(name):
    kind, config = WRONG[name]
    with pytest.raises(ValueError):
        getattr(keras.layers, kind)(**PLAIN[kind] | config)
    with pytest.raises(ValueError, match=name):
        getattr(attend, kind)(**PLAIN[kind] | config)


@BOTH
def test_scores_with_flash_attention_are_refused(rng, kind):
    arrays = make(rng, cv=6)
    with pytest.raises(ValueError, match="return_attention_scores"):
        getattr(attend, kind)(**PLAIN[kind], flash_attention=True)(*arrays, return_attention_scores=True)


def test_lengths_of_key_and_value_must_agree(rng):
    q, v, k = make(rng)
    for layers in (keras.layers, attend):
        with pytest.raises(ValueError):
            layers.MultiHeadAttention(2, 3)(q, v, k[:, :3])


def test_set_weights_refuses_wrong_shapes_before_writing(rng):
    layer = attend.MultiHeadAttention(2, 3)
    layer(*make(rng))
    before = layer.get_weights()
    wrong = [w + 1 for w in before]
    wrong[-1] = np.zeros(99)
    with pytest.raises(ValueError, match=r"weights\[7\]: shape \(99,\), expected attention_output/bias's \(6,\)"):
        layer.set_weights(wrong)
    with pytest.raises(ValueError, match="2 arrays"):
        layer.set_weights(wrong[:2])
    for w, b in zip(layer.get_weights(), before):
        np.testing.assert_array_equal(w, b)
