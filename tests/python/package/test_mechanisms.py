"""The named mechanisms and the further keywords of attend.attention, against formulas; every gradient is a slope."""

import attend
import formulas
import numpy as np
import pytest

B, TQ, TK, D, DV = 2, 4, 6, 3, 5


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def arrays(rng):
    return rng.normal(size=(B, TQ, D)), rng.normal(size=(B, TK, DV)), rng.normal(size=(B, TK, D))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def pairs(q, k):
    return np.concatenate([np.broadcast_to(q[:, :, None], (B, TQ, TK, D)), np.broadcast_to(k[:, None], (B, TQ, TK, D))], -1)


SCORES = {  # keywords by shape, and the scores of q and k
    "general": ({"score_weight": (D, D)}, lambda q, k, a: q @ a["score_weight"] @ k.swapaxes(1, 2)),
    "concat": ({"score_weight": (2 * D, 7), "score_vector": (7,)},
               lambda q, k, a: np.tanh(pairs(q, k) @ a["score_weight"]) @ a["score_vector"]),
    "keras_concat": ({"gain": (), "concat_weight": ()},
                     lambda q, k, a: a["concat_weight"] * np.tanh(a["gain"] * (q[:, :, None] + k[:, None])).sum(-1)),
    "cosine": ({"strength": (B, TQ)},
               lambda q, k, a: a["strength"][..., None] * (unit(q) @ unit(k).swapaxes(1, 2))),
    "location": ({"score_weight": (D, TK)}, lambda q, k, a: q @ a["score_weight"]),
    "relative": ({"relative": (1, 5)},
                 lambda q, k, a: np.broadcast_to(a["relative"][0][np.clip(np.arange(TK) - np.arange(TQ)[:, None], -2, 2) + 2],
                                                 (B, TQ, TK))),
}


def check_gradients(found, loss, of):
    assert set(found) == set(of)
    for name, x in of.items():
        assert found[name].shape == x.shape
        np.testing.assert_allclose(found[name], formulas.numeric_gradient(loss, x), atol=2e-8, err_msg=name)


@pytest.mark.parametrize("name", SCORES)
def test_score(rng, name):
    shapes, formula = SCORES[name]
    q, v, k = arrays(rng)
    given = {argument: np.array(rng.normal(size=shape)) for argument, shape in shapes.items()}
    output, weights = attend.attention(q, v, k, score=name, **given, return_weights=True)
    wanted = formulas.softmax(formula(q, k, given))
    np.testing.assert_allclose(weights, wanted, atol=1e-12)
    np.testing.assert_allclose(output, wanted @ v, atol=1e-12)
    grad = rng.normal(size=output.shape)

    def loss():
        return float((attend.attention(q, v, k, score=name, **given) * grad).sum())

    check_gradients(attend.attention_grad(grad, q, v, k, score=name, **given), loss, {"query": q, "value": v, "key": k, **given})


def test_concat_without_a_matrix_is_keras_s(rng):
    q, v, k = arrays(rng)
    np.testing.assert_array_equal(attend.attention(q, v, k, score="concat"), attend.attention(q, v, k, score="keras-concat"))


def test_local_monotonic(rng):
    q, v, k = arrays(rng)
    found = attend.attention(q, v, k, local="monotonic", half_width=1)
    np.testing.assert_array_equal(found, attend.attention(q, v, k, window=(1, 1)))


@pytest.mark.parametrize("full", [False, True])
def test_local_predictive(rng, full):
    q, v, k = arrays(rng)
    w, vector = rng.normal(size=(D, 4)), rng.normal(size=4)
    keywords = {"local": "predictive", "half_width": 1.5, "full": full, "score": "dot"}
    output, weights = attend.attention(q, v, k, centre_weight=w, centre_vector=vector, **keywords, return_weights=True)
    centre = TK * sigmoid(np.tanh(q @ w) @ vector)[..., None]
    distance = np.arange(TK) - centre
    near = True if full else np.abs(distance) <= 1.5
    wanted = formulas.softmax(q @ k.swapaxes(1, 2), near) * np.exp(-(distance**2) / (2 * 0.75**2))
    np.testing.assert_allclose(weights, wanted, atol=1e-12)
    np.testing.assert_allclose(output, wanted @ v, atol=1e-12)
    np.testing.assert_allclose(attend.attention(q, v, k, centre=centre[..., 0], **keywords), output, atol=1e-12)
    grad = rng.normal(size=output.shape)

    def loss():
        return float((attend.attention(q, v, k, centre_weight=w, centre_vector=vector, **keywords) * grad).sum())

    if full:  # the truncated window jumps
        found = attend.attention_grad(grad, q, v, k, centre_weight=w, centre_vector=vector, **keywords)
        check_gradients(found, loss, {"query": q, "value": v, "key": k, "centre_weight": w, "centre_vector": vector})


def test_multi_head_with_projections(rng):
    q, v, k = arrays(rng)
    heads, width = 2, 4
    given = {f"w_{x}": rng.normal(size=s) for x, s in (("query", (D, heads * width)), ("key", (D, heads * width)),
                                                       ("value", (DV, heads * 3)), ("output", (heads * 3, 7)))}
    given |= {f"b_{x}": rng.normal(size=given[f"w_{x}"].shape[1]) for x in ("query", "key", "value", "output")}
    output, weights = attend.attention(q, v, k, heads=heads, **given, return_weights=True)

    def split(x, name):
        return (x @ given[f"w_{name}"] + given[f"b_{name}"]).reshape(B, x.shape[1], heads, -1).transpose(0, 2, 1, 3)

    wanted = formulas.softmax(formulas.scores(split(q, "query"), split(k, "key")))
    mixed = (wanted @ split(v, "value")).transpose(0, 2, 1, 3).reshape(B, TQ, -1)
    np.testing.assert_allclose(weights, wanted, atol=1e-12)
    np.testing.assert_allclose(output, mixed @ given["w_output"] + given["b_output"], atol=1e-12)
    grad = rng.normal(size=output.shape)

    def loss():
        return float((attend.attention(q, v, k, heads=heads, **given) * grad).sum())

    check_gradients(attend.attention_grad(grad, q, v, k, heads=heads, **given), loss, {"query": q, "value": v, "key": k, **given})


def test_additive_with_projections_and_coverage(rng):
    q, v, k = arrays(rng)
    given = {"w_query": rng.normal(size=(D, 4)), "w_key": rng.normal(size=(D, 4)), "score_weight": rng.normal(size=4),
             "coverage": rng.random(size=(B, TK)), "coverage_weight": rng.normal(size=4)}
    keys = k @ given["w_key"] + given["coverage"][..., None] * given["coverage_weight"]
    wanted = formulas.softmax(np.tanh((q @ given["w_query"])[:, :, None] + keys[:, None]) @ given["score_weight"])
    output = attend.attention(q, v, k, score="additive", **given)
    np.testing.assert_allclose(output, wanted @ v, atol=1e-12)


@pytest.mark.parametrize("keywords, shown", [
    ({"key_lengths": [3, 6]}, lambda: np.arange(TK) < np.array([3, 6])[:, None, None]),
    ({"causal": True, "query_positions": [5, 0, 2, 1]}, lambda: np.arange(TK) <= np.array([5, 0, 2, 1])[:, None]),
    ({"causal": True, "offset": 1}, lambda: formulas.causal(TQ, TK, 1)),
    ({"block": 2, "block_starts": [0, 1, 3], "block_keys": [0, 1, 2]},
     lambda: np.array([[1, 1, 0, 0, 0, 0]] * 2 + [[0, 0, 1, 1, 1, 1]] * 2, bool)),
], ids=["lengths", "positions", "offset", "blocks"])
def test_visibility(rng, keywords, shown):
    q, v, k = arrays(rng)
    wanted = formulas.softmax(formulas.scores(q, k), shown())
    np.testing.assert_allclose(attend.attention(q, v, k, **keywords), wanted @ v, atol=1e-12)


def test_query_mask_clears_the_output_and_stops_gradients(rng):
    q, v, k = arrays(rng)
    mask = rng.random((B, TQ)) < 0.5
    wanted = attend.attention(q, v, k) * mask[..., None]
    np.testing.assert_array_equal(attend.attention(q, v, k, query_mask=mask), wanted)
    grad = rng.normal(size=wanted.shape)
    found = attend.attention_grad(grad, q, v, k, query_mask=mask)
    for name, x in attend.attention_grad(grad * mask[..., None], q, v, k).items():
        np.testing.assert_allclose(found[name], x, atol=1e-14)


def test_sinks_slopes_and_temperature(rng):
    q, v, k = arrays(rng)
    sink, slope = rng.normal(size=1), rng.random(1)
    e = formulas.scores(q, k) - slope * np.abs(np.arange(TK) - np.arange(TQ)[:, None])
    wanted = np.exp(e / 0.5) / (np.exp(e / 0.5).sum(-1, keepdims=True) + np.exp(sink / 0.5))
    found = attend.attention(q, v, k, sinks=sink, slopes=slope, temperature=0.5)
    np.testing.assert_allclose(found, wanted @ v, atol=1e-12)


@pytest.mark.parametrize("align", ["sparsemax", "entmax15"])
def test_sparse_alignments(rng, align):
    q, v, k = arrays(rng)
    e = formulas.scores(q, k, scale=3.0)
    weights = attend.attention(q, v, k, scale=3.0, align=align, return_weights=True)[1]
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-12)
    assert (weights >= 0).all() and (weights == 0).any()
    inverse = weights if align == "sparsemax" else 2 * np.sqrt(weights)  # score minus threshold where the weight is positive
    threshold = np.where(weights > 0, e - inverse, np.nan)
    assert np.nanmax(np.nanmax(threshold, -1) - np.nanmin(threshold, -1)) < 1e-9
    assert (e <= np.nanmax(threshold, -1, keepdims=True) + 1e-9)[weights == 0].all()


def test_sampled_hard_alignment_follows_the_distribution(rng):
    q, k = rng.normal(size=(1, 2000, D)) * 0 + rng.normal(size=D), rng.normal(size=(1, 4, D))
    picked = attend.attention(q, np.eye(4)[None], k, align="sample", seed=9)[0]
    np.testing.assert_array_equal(picked.sum(-1), 1)
    np.testing.assert_allclose(picked.mean(0), formulas.softmax(formulas.scores(q, k))[0, 0], atol=0.04)
    np.testing.assert_array_equal(picked, attend.attention(q, np.eye(4)[None], k, align="sample", seed=9)[0])
