"""attend.attention and attention_grad against the formulas."""

import attend
import formulas
import numpy as np
import pytest

LIMIT = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}

CASES = {  # keywords, and what they make visible
    "plain": ({}, None),
    "dot": ({"score": "dot"}, None),
    "scaled-dot with a hyphen": ({"score": "scaled-dot"}, None),
    "scale": ({"scale": 0.25}, None),
    "additive": ({"score": "additive"}, None),
    "score weight": ({"score": "additive", "score_weight": "D"}, None),
    "none": ({"score": "none", "bias": "BIAS"}, None),
    "bias": ({"bias": "BIAS"}, None),
    "softcap": ({"softcap": 0.5}, None),
    "causal": ({"causal": True}, formulas.causal(5, 7)),
    "top-left": ({"causal": "top-left"}, formulas.causal(5, 7)),
    "bottom-right": ({"causal": "bottom-right"}, formulas.causal(5, 7, 2)),
    "window": ({"window": (2, 1)}, formulas.band(5, 7, 2, 1)),
    "window behind": ({"window": (1, 0), "causal": True}, formulas.band(5, 7, 1, 0)),
}


def arrays(rng, shape, dtype, *, gqa=False):
    """query, value, key: 5 queries, 7 keys, width 6, value width 3."""
    kv = (*shape[:-1], 2) if gqa else shape
    return [rng.normal(size=s).astype(dtype) for s in ((*shape, 5, 6), (*kv, 7, 3), (*kv, 7, 6))]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def fill(rng, keywords, dtype):
    sizes = {"D": (6,), "BIAS": (5, 7)}
    return {name: rng.normal(size=sizes[x]).astype(dtype) if isinstance(x, str) and x in sizes else x
            for name, x in keywords.items()}


def expected(query, value, key, keywords, visible=True, masked_rows="zero"):
    names = ("score", "scale", "score_weight", "softcap", "bias")
    named = {n: keywords[n] for n in names if n in keywords}
    if "score" in named:
        named["score"] = named["score"].replace("-", "_")
    weights = formulas.softmax(formulas.scores(query, key, **named), visible, masked_rows)
    return weights @ np.asarray(value, np.float64), weights


def assert_close(found, wanted, dtype=None):
    limit = LIMIT[np.dtype(dtype or found.dtype)]
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= limit * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
@pytest.mark.parametrize("name", CASES)
def test_formula(rng, name, shape, dtype):
    keywords, visible = CASES[name]
    keywords = fill(rng, keywords, dtype)
    query, value, key = arrays(rng, shape, dtype)
    output, weights = attend.attention(query, value, key, **keywords, return_weights=True)
    wanted, wanted_weights = expected(query, value, key, keywords, True if visible is None else visible)
    assert output.dtype == weights.dtype == dtype
    assert_close(output, wanted)
    assert_close(weights, wanted_weights)
    np.testing.assert_array_equal(output, attend.attention(query, value, key, **keywords))


@pytest.mark.parametrize("shape", [(7, 5), (1, 7), (3, 1, 7), (3, 5, 7), (5, 7), (7,), (1, 1, 5, 1)])
def test_mask_broadcasts(rng, shape):
    query, value, key = arrays(rng, (3,), np.float64)
    if shape == (7, 5):
        with pytest.raises(ValueError, match="mask: shape"):
            attend.attention(query, value, key, mask=np.ones(shape, bool))
        return
    mask = rng.random(shape) < 0.6
    wanted, _ = expected(query, value, key, {}, mask[:, 0] if mask.ndim == 4 else mask)
    for kind in (bool, np.uint8, np.int64, np.float32):
        assert_close(attend.attention(query, value, key, mask=mask.astype(kind)), wanted)


def test_mask_of_each_head(rng):
    query, value, key = arrays(rng, (2, 4), np.float64)
    mask = rng.random((2, 4, 5, 7)) < 0.5
    assert_close(attend.attention(query, value, key, mask=mask), expected(query, value, key, {}, mask)[0])


def test_value_mask_joins_mask_and_causal(rng):
    query, value, key = arrays(rng, (3,), np.float64)
    mask, value_mask = rng.random((5, 7)) < 0.7, rng.random((3, 7)) < 0.7
    visible = mask & value_mask[:, None] & formulas.causal(5, 7)
    for masked_rows in ("zero", "uniform"):
        output = attend.attention(query, value, key, mask=mask, value_mask=value_mask, causal=True, masked_rows=masked_rows)
        assert_close(output, expected(query, value, key, {}, visible, masked_rows)[0])


def test_hidden_values_may_be_nan(rng):
    query, value, key = arrays(rng, (3,), np.float32)
    value_mask = np.ones((3, 7), bool)
    value_mask[:, 4:] = False
    wanted = attend.attention(query, value[:, :4], key[:, :4])
    value[:, 4:] = key[:, 4:] = np.nan
    assert_close(attend.attention(query, value, key, value_mask=value_mask), wanted)


def test_hard_alignment_takes_the_largest(rng):
    query, value, key = arrays(rng, (3,), np.float64)
    best = formulas.scores(query, key).argmax(-1)
    np.testing.assert_array_equal(attend.attention(query, value, key, align="hard"),
                                  np.take_along_axis(value, best[..., None], 1))


def test_grouped_heads_share_keys(rng):
    query, value, key = arrays(rng, (2, 4), np.float64, gqa=True)
    wanted = attend.attention(query, np.repeat(value, 2, 1), np.repeat(key, 2, 1))
    np.testing.assert_array_equal(attend.attention(query, value, key), wanted)


def test_key_defaults_to_value(rng):
    query, value = rng.normal(size=(3, 5, 6)), rng.normal(size=(3, 7, 6))
    np.testing.assert_array_equal(attend.attention(query, value), attend.attention(query, value, value))
    grad = rng.normal(size=(3, 5, 6))
    one, both = attend.attention_grad(grad, query, value), attend.attention_grad(grad, query, value, value)
    assert "key" not in one
    assert_close(one["value"], both["value"] + both["key"])


def test_dropout_repeats_and_keeps_the_mean(rng):
    query, value = rng.normal(size=(1, 4, 8)), np.eye(512)[None]
    key = rng.normal(size=(1, 512, 8))
    keep = {"dropout": 0.25, "seed": 3}
    dropped = attend.attention(query, value, key, **keep)  # values are unit vectors: the output is the dropped weights
    weights = attend.attention(query, value, key)
    kept = dropped != 0
    assert_close(dropped[kept], weights[kept] / 0.75)
    assert 0.70 < kept.mean() < 0.80
    np.testing.assert_array_equal(dropped, attend.attention(query, value, key, **keep))
    assert (dropped != attend.attention(query, value, key, dropout=0.25, seed=4)).any()


@pytest.mark.parametrize("name", [name for name in CASES if name != "scaled-dot with a hyphen"])
@pytest.mark.parametrize("shape", [(), (2,), (1, 2)])
def test_gradients_are_slopes(rng, name, shape):
    keywords = fill(rng, CASES[name][0], np.float64)
    query, value, key = arrays(rng, shape, np.float64)
    grad_output = rng.normal(size=(*shape, 5, 3))
    found = attend.attention_grad(grad_output, query, value, key, **keywords)

    def loss():
        return float((attend.attention(query, value, key, **keywords) * grad_output).sum())

    of = {"query": query, "value": value, "key": key}
    of |= {n: keywords[n] for n in ("score_weight", "bias") if n in keywords}
    assert set(found) == set(of)
    for argument, array in of.items():
        np.testing.assert_allclose(found[argument], formulas.numeric_gradient(loss, array), atol=1e-8, err_msg=argument)


def test_gradients_with_dropout_replay_the_drops(rng):
    query, value, key = arrays(rng, (2,), np.float64)
    keep, grad_output = {"dropout": 0.4, "seed": 11}, rng.normal(size=(2, 5, 3))

    def loss():
        return float((attend.attention(query, value, key, **keep) * grad_output).sum())

    found = attend.attention_grad(grad_output, query, value, key, **keep)
    for argument, array in (("query", query), ("value", value), ("key", key)):
        np.testing.assert_allclose(found[argument], formulas.numeric_gradient(loss, array), atol=1e-8)


@pytest.mark.parametrize("shape", [(7,), (5, 1), (2, 1, 7), (2, 5, 7)])
def test_bias_gradient_has_the_shape_of_the_bias(rng, shape):
    query, value, key = arrays(rng, (2,), np.float64)
    bias, grad_output = rng.normal(size=shape), rng.normal(size=(2, 5, 3))
    full = np.broadcast_to(bias, (2, 5, 7)).copy()
    wide = attend.attention_grad(grad_output, query, value, key, bias=full)["bias"]
    found = attend.attention_grad(grad_output, query, value, key, bias=bias)["bias"]
    lead = wide.reshape((1,) * (3 - wide.ndim) + wide.shape)
    axes = tuple(a for a in range(3) if (1,) * (3 - bias.ndim) + bias.shape != lead.shape
                 and ((1,) * (3 - bias.ndim) + bias.shape)[a] == 1)
    assert_close(found, lead.sum(axes, keepdims=True).reshape(shape))


def test_sizes_of_nothing(rng):
    nothing = attend.attention(np.zeros((2, 0, 4)), np.ones((2, 3, 4)))
    assert nothing.shape == (2, 0, 4)
    unseen = attend.attention(np.zeros((2, 3, 4)), np.ones((2, 0, 4)))
    np.testing.assert_array_equal(unseen, np.zeros((2, 3, 4)))


def test_same_bits_for_any_number_of_threads(rng):
    query, value = rng.normal(size=(2, 2, 130, 64)).astype(np.float32), rng.normal(size=(2, 2, 150, 64)).astype(np.float32)
    before = attend.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 8):
            attend.set_num_threads(threads)
            results.append(attend.attention(query, value, causal=True).tobytes())
        assert len(set(results)) == 1
    finally:
        attend.set_num_threads(before)


@pytest.mark.parametrize("isa", ["ref", "portable", "avx2", "avx512", "avx512vnni", "avx512bf16", "amx", "best"])
def test_every_instruction_set_agrees(rng, isa):
    query, value, key = arrays(rng, (2, 2), np.float32)
    try:
        attend.set_isa(isa)
        assert_close(attend.attention(query, value, key, causal=True),
                     expected(query, value, key, {}, formulas.causal(5, 7))[0])
    finally:
        attend.set_isa("best")
