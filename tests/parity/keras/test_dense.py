"""keras.layers.Attention and AdditiveAttention: every argument, masks of every kind, odd sizes, gradients, both types."""

import itertools

import attend
import keras
import numpy as np
import pytest
import tensorflow as tf
from peer import Pair

CONFIGS = [("Attention", {}), ("Attention", {"use_scale": True}), ("Attention", {"score_mode": "concat"}),
           ("Attention", {"score_mode": "concat", "use_scale": True}), ("AdditiveAttention", {}),
           ("AdditiveAttention", {"use_scale": False})]
SIZES = [(1, 1, 1, 1, 1), (2, 3, 4, 5, 6), (3, 17, 9, 7, 33), (2, 5, 31, 16, 8), (1, 64, 65, 8, 3)]  # B Tq Tk D Dv
EACH = pytest.mark.parametrize("kind, config", CONFIGS, ids=lambda x: x if isinstance(x, str) else ",".join(x) or "plain")


def make(rng, size, dtype, key=True):
    b, tq, tk, d, dv = size
    shapes = [(b, tq, d), (b, tk, dv), (b, tk, d)] if key else [(b, tq, d), (b, tk, d)]
    return [rng.normal(size=s).astype(dtype) for s in shapes]


@EACH
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes(rng, kind, config, size, dtype):
    Pair(kind, config, dtype).compare(make(rng, size, dtype), return_attention_scores=True)


@EACH
@pytest.mark.parametrize("causal, query_mask, value_mask, scores, key",
                         list(itertools.product([False, True], repeat=5)))
def test_masks(rng, kind, config, causal, query_mask, value_mask, scores, key):
    """Random masks of both sides, alone, together and with a causal one; rows that see nothing are among them."""
    arrays = make(rng, (3, 6, 7, 5, 5), "float32", key)
    masks = [rng.random((3, 6)) < 0.7 if query_mask else None, rng.random((3, 7)) < 0.6 if value_mask else None]
    Pair(kind, config).compare(arrays, mask=masks if query_mask or value_mask else None, use_causal_mask=causal,
                               return_attention_scores=scores)


@EACH
def test_masks_in_double(rng, kind, config):
    masks = [rng.random((3, 6)) < 0.7, rng.random((3, 7)) < 0.6]
    masks[1][:, 0] = True
    Pair(kind, config, "float64").compare(make(rng, (3, 6, 7, 5, 4), "float64"), mask=masks, use_causal_mask=True,
                                          return_attention_scores=True)


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("causal", [False, True])
def test_row_that_sees_nothing_attends_to_all(rng, close, kind, config, dtype, causal):
    """Keras subtracts 1e9 from hidden scores: in float32 exactly equal weights for ALL keys, hidden and future ones
    included; in float64 the scores survive."""
    value_mask = np.array([[False] * 7, [False, False, True, True, True, False, False], [True] * 7])
    pair = Pair(kind, config, dtype)
    output, weights = pair.compare(make(rng, (3, 6, 7, 5, 4), dtype), mask=[None, value_mask], use_causal_mask=causal,
                                   return_attention_scores=True)
    if dtype == "float32":
        np.testing.assert_array_equal(weights[0], np.full((6, 7), np.float32(1 / 7)))
        if causal:
            np.testing.assert_array_equal(weights[1, :2], np.full((2, 7), np.float32(1 / 7)))


def test_row_that_sees_nothing_with_scores_beyond_32(rng):
    """The spacing of float32 near 1e9 is 64: larger scores fall into steps of 64."""
    arrays = make(rng, (1, 3, 40, 4, 2), "float32")
    arrays[0] *= 60
    weights = Pair("Attention", {}).compare(arrays, mask=[None, np.zeros((1, 40), bool)], return_attention_scores=True)[1]
    assert len(np.unique(weights[0, 0])) > 1


def test_dot_is_not_divided_by_the_root_of_the_width():
    x = np.eye(4, dtype=np.float32)[None] * 3
    weights = attend.Attention()([x, x], return_attention_scores=True)[1]
    np.testing.assert_allclose(weights[0, 0, 0], np.exp(9) / (np.exp(9) + 3), rtol=1e-6)


def test_value_comes_second(rng):
    query, value, key = make(rng, (2, 3, 4, 5, 6), "float32")
    found = attend.Attention()([query, value, key])
    np.testing.assert_allclose(found, attend.attention(query, value, key, score="dot"), rtol=1e-6)


def test_key_defaults_to_value(rng):
    Pair("Attention", {"use_scale": True}).compare(make(rng, (2, 3, 4, 5, 5), "float32", key=False))


def test_query_mask_clears_the_output_but_not_the_scores(rng):
    mask = [np.array([[True, False, True], [False, False, True]]), None]
    pair = Pair("Attention", {})
    output, weights = pair.compare(make(rng, (2, 3, 4, 5, 6), "float32"), mask=mask, return_attention_scores=True)
    assert not output[0, 1].any() and weights[0, 1].any()
    np.testing.assert_array_equal(pair.ours.compute_mask([output, output], mask), mask[0])


def test_third_mask_is_ignored(rng):
    mask = [None, rng.random((2, 4)) < 0.6, np.zeros((2, 4), bool)]
    Pair("AdditiveAttention", {}).compare(make(rng, (2, 3, 4, 5, 6), "float32"), mask=mask)


@pytest.mark.parametrize("kind", ["Attention", "AdditiveAttention"])
@pytest.mark.parametrize("wrong", ["tuple", "one", "four", "mask tuple", "mask of one"])
def test_the_same_calls_are_refused(rng, kind, wrong):
    q, v, _ = make(rng, (2, 3, 3, 5, 5), "float32")
    m = np.ones((2, 3), bool)
    calls = {"tuple": ((q, v), None), "one": ([q], None), "four": ([q, v, v, v], None), "mask tuple": ([q, v], (m, m)),
             "mask of one": ([q, v], [m])}
    inputs, mask = calls[wrong]
    for layer in (getattr(keras.layers, kind)(), getattr(attend, kind)()):
        with pytest.raises(ValueError):
            layer(inputs, mask=mask)


def test_unknown_score_mode_is_refused():
    for layers in (keras.layers, attend):
        with pytest.raises(ValueError, match="score_mode"):
            layers.Attention(score_mode="cosine")


@pytest.mark.parametrize("kind, config", CONFIGS)
def test_initial_weights(kind, config):
    """Ones for the scalars; Glorot's uniform distribution for AdditiveAttention's vector."""
    theirs, ours = getattr(keras.layers, kind)(**config), getattr(attend, kind)(**config)
    shapes = [(2, 3, 1000), (2, 4, 1000)]
    theirs.build(shapes)
    ours.build(shapes)
    for mine, its in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert mine.shape == its.shape
        if its.ndim == 0:
            assert mine == its == 1
        else:
            limit = np.sqrt(3 / 1000)
            assert 0.9 * limit < np.abs(mine).max() <= limit and abs(mine.std() / its.std() - 1) < 0.2


@pytest.mark.parametrize("kind, config", CONFIGS)
def test_configuration(kind, config):
    theirs, ours = getattr(keras.layers, kind)(**config), getattr(attend, kind)(**config)
    mine, its = ours.get_config(), theirs.get_config()
    for name in set(its) - {"name", "dtype"}:
        assert mine[name] == its[name], name
    assert type(ours).from_config(mine).get_config() == mine


@pytest.mark.parametrize("kind", ["Attention", "AdditiveAttention"])
def test_returned_scores_are_those_after_dropout(kind):
    """Both drop whole weights and scale the others; Attention returns what was multiplied with the values."""
    x = np.random.default_rng(0).normal(size=(2, 16, 8)).astype(np.float32)
    plain = getattr(attend, kind)(dropout=0.3, seed=1)
    plain.build([x.shape, x.shape])
    theirs = getattr(keras.layers, kind)(dropout=0.3, seed=1)
    theirs.build([x.shape, x.shape])
    theirs.set_weights(plain.get_weights())
    weights = plain([x, x], return_attention_scores=True)[1]
    for layer in (plain, theirs):
        output, dropped = (np.asarray(y) for y in layer([x, x], return_attention_scores=True, training=True))
        kept = dropped != 0
        assert 0.6 < kept.mean() < 0.8
        np.testing.assert_allclose(dropped[kept], weights[kept] / 0.7, rtol=1e-5)
        np.testing.assert_allclose(output, dropped @ x, atol=1e-5)
        assert np.asarray(layer([x, x], return_attention_scores=True, training=False)[1]).all()


def test_dropout_repeats_with_its_seed_and_differs_from_call_to_call(rng):
    q, v, _ = make(rng, (2, 8, 9, 5, 5), "float32", True)
    v = np.concatenate([v, v], 1)
    one, two = attend.Attention(dropout=0.5, seed=4), attend.Attention(dropout=0.5, seed=4)
    first, second = ([layer([q, v], training=True) for _ in range(2)] for layer in (one, two))
    np.testing.assert_array_equal(first, second)
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize("blind_row", [False, True])
def test_gradients_replay_the_drops_of_the_latest_call(blind_row):
    rng = np.random.default_rng(0)
    q, v, k = (rng.normal(size=s) for s in ((1, 3, 4), (1, 5, 2), (1, 5, 4)))
    mask = [None, np.array([[not blind_row, True, False, True, True]])]
    layer = attend.AdditiveAttention(dropout=0.4, seed=2, dtype="float64")
    output = layer([q, v, k], mask=mask, training=True, use_causal_mask=True)
    grad = rng.normal(size=output.shape)
    found = layer.gradients(grad, [q, v, k], mask=mask, training=True, use_causal_mask=True)[0]
    step = rng.normal(size=v.shape)  # linear in the values: any step gives the slope exactly
    layer._seeds = None
    moved = layer([q, v + step, k], mask=mask, training=True, use_causal_mask=True)
    np.testing.assert_allclose(((moved - output) * grad).sum(), (found[1] * step).sum(), rtol=1e-9)


def test_half_precision_overflows_in_keras_only():
    """In float16 Keras's 65504 sends a row to NaN when every key is hidden and every score is at most -16."""
    x = np.full((1, 1, 4), 3, np.float16)
    theirs = keras.layers.Attention(dtype="float16")([tf.constant(x), tf.constant(-x)],
                                                     mask=[None, tf.constant([[False]])])
    assert np.isnan(np.asarray(theirs)).all()
    with pytest.raises(ValueError, match="float16, expected float32 or float64"):
        attend.Attention(dtype="float16")


def test_inputs_are_cast_to_the_type_of_the_layer(rng):
    x = rng.normal(size=(2, 3, 4))
    assert attend.Attention()([x, x]).dtype == np.float32
    assert np.asarray(keras.layers.Attention()([x, x])).dtype == np.float32
