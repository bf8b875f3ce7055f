"""attend attention against the formulas in NumPy: every score, mask and output, and the gradients along a direction."""

import json
import struct

import numpy
import pytest

RNG = numpy.random.default_rng(7)


def draw(*shape, dtype="float64"):
    return RNG.uniform(-1, 1, shape).astype(dtype)


@pytest.fixture
def save(tmp_path):
    """save(name=array, ...) -> ["--name", "name.npy", ...]; a name's _ is a -"""

    def save_arrays(**arrays):
        flags = []
        for name, array in arrays.items():
            numpy.save(tmp_path / f"{name}.npy", array)
            flags += ["--" + name.replace("_", "-"), f"{name}.npy"]
        return flags

    return save_arrays


@pytest.fixture
def load(tmp_path):
    return lambda name: numpy.load(tmp_path / name)


def softmax(x):
    x = numpy.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def unit(x):
    return x / numpy.linalg.norm(x, axis=-1, keepdims=True)


def tanh_sums(q, k, w):
    return numpy.tanh(q[..., :, None, :] + k[..., None, :, :]) @ w


Q, K, V, W = draw(2, 3, 4), draw(2, 5, 4), draw(2, 5, 6), draw(4)
M, L, BOTH = draw(4, 4), draw(4, 5), draw(8, 3)
SCORES = {
    "dot": ({}, Q @ K.swapaxes(-1, -2)),
    "scaled-dot": ({}, Q @ K.swapaxes(-1, -2) / 2),
    "general": ({"score_weight": M}, Q @ M @ K.swapaxes(-1, -2)),
    "additive": ({"score_weight": W}, tanh_sums(Q, K, W)),
    "concat": ({}, tanh_sums(Q, K, numpy.ones(4))),
    "keras-concat": ({"gain": numpy.float64(0.3), "concat_weight": numpy.array([2.0])},
                     2 * tanh_sums(0.3 * Q, 0.3 * K, numpy.ones(4))),
    "luong-concat": ({"score_weight": BOTH, "score_vector": W[:3]},
                     tanh_sums(Q @ BOTH[:4], K @ BOTH[4:], W[:3])),
    "cosine": ({}, unit(Q) @ unit(K).swapaxes(-1, -2)),
    "location": ({"score_weight": L}, Q @ L),
    "none": ({}, numpy.zeros((2, 3, 5))),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("score", SCORES)
def test_every_score(attend, save, load, score, dtype):
    extra, e = SCORES[score]
    arrays = {"query": Q, "key": K, "value": V} | extra
    flags = save(**{name: numpy.asarray(a).astype(dtype) for name, a in arrays.items()})
    attend("attention", "--score", score, *flags, "-o", "o.npy", "--weights", "w.npy", "--scores", "s.npy", "--quiet")
    near = 1e-13 if dtype == "float64" else 1e-5
    assert load("o.npy").dtype == dtype and load("o.npy").shape == (2, 3, 6)
    numpy.testing.assert_allclose(load("s.npy")[:, 0], e, atol=near)
    numpy.testing.assert_allclose(load("w.npy")[:, 0], softmax(e), atol=near)
    numpy.testing.assert_allclose(load("o.npy"), softmax(e) @ V, atol=near)


@pytest.mark.parametrize("score", SCORES)
def test_gradients_along_a_direction(attend, save, load, score):
    """d/dt of sum(G o(x + t d)) is what the written gradients say of d."""
    extra, _ = SCORES[score]
    arrays = {"query": Q, "key": K, "value": V} | {n: numpy.asarray(a, dtype=float) for n, a in extra.items()}
    steps = {name: draw(*a.shape) for name, a in arrays.items()}
    weight = draw(2, 3, 6)

    def loss(t):
        flags = save(**{name: a + t * steps[name] for name, a in arrays.items()})
        attend("attention", "--score", score, *flags, "-o", "o.npy", "--quiet")
        return (load("o.npy") * weight).sum()

    flags = save(grad_output=weight, **arrays)
    for name in arrays:
        flags += ["--grad-" + name.replace("_", "-"), f"d_{name}.npy"]
    attend("attention", "--score", score, *flags, "--quiet")
    got = sum((load(f"d_{name}.npy") * steps[name]).sum() for name in arrays)
    assert got == pytest.approx((loss(1e-5) - loss(-1e-5)) / 2e-5, abs=1e-8)


def test_two_dimensions_stay_two(attend, save, load):
    flags = save(query=Q[0], value=K[0], grad_output=numpy.ones((3, 4)))
    attend("attention", "--score", "dot", *flags, "-o", "o.npy", "--grad-value", "dv.npy")
    numpy.testing.assert_allclose(load("o.npy"), softmax(Q[0] @ K[0].T) @ K[0], atol=1e-13)
    assert load("dv.npy").shape == (5, 4)


def test_heads_split_widths(attend, save, load):
    q, k, v = draw(2, 3, 8), draw(2, 5, 4), draw(2, 5, 6)
    attend("attention", "--heads", 4, "--kv-heads", 2, *save(query=q, key=k, value=v), "-o", "o.npy")
    split = lambda x, n: x.reshape(2, -1, n, x.shape[-1] // n).swapaxes(1, 2)
    qh, kh, vh = split(q, 4), split(k, 2).repeat(2, 1), split(v, 2).repeat(2, 1)
    o = softmax(qh @ kh.swapaxes(-1, -2) / 2**0.5) @ vh
    numpy.testing.assert_allclose(load("o.npy"), o.swapaxes(1, 2).reshape(2, 3, 12), atol=1e-13)
    attend("attention", *save(query=qh, key=kh[:, ::2], value=vh[:, ::2]), "-o", "o.npy")
    numpy.testing.assert_allclose(load("o.npy"), o, atol=1e-13)


def test_projections_make_multi_head_attention(attend, save, load):
    x, wq, wk, wv, wo, b = draw(1, 6, 5), draw(5, 8), draw(5, 8), draw(5, 4), draw(4, 3), draw(3)
    flags = save(query=x, value=x, w_query=wq, w_key=wk, w_value=wv, w_output=wo, b_output=b,
                 grad_output=numpy.ones((1, 6, 3)))
    attend("attention", "--heads", 2, *flags, "-o", "o.npy", "--grad-b-output", "db.npy", "--grad-w-key", "dw.npy")
    heads = [softmax((x @ wq)[..., h] @ (x @ wk)[..., h].swapaxes(-1, -2) / 2) @ (x @ wv)[..., g]
             for h, g in [(slice(0, 4), slice(0, 2)), (slice(4, 8), slice(2, 4))]]
    numpy.testing.assert_allclose(load("o.npy"), numpy.concatenate(heads, -1) @ wo + b, atol=1e-13)
    numpy.testing.assert_allclose(load("db.npy"), numpy.full(3, 6.0))
    assert load("dw.npy").shape == (5, 8)


def masked_softmax(e, visible):
    return softmax(numpy.where(visible, e, -numpy.inf))


def test_what_is_visible(attend, save, load):
    e = Q @ K.swapaxes(-1, -2)
    i, j = numpy.arange(3)[:, None], numpy.arange(5)[None]
    mask, keys = RNG.random((2, 3, 5)) < 0.7, numpy.array([[1, 1, 0, 1, 1], [0, 1, 1, 1, 1.0]])
    mask[:, :, 1] = True
    cases = [
        (["--causal", "top-left"], {}, j <= i),
        (["--causal", "bottom-right"], {}, j <= i + 2),
        (["--window", "1,1"], {}, abs(i - j) <= 1),
        (["--window", "1,0", "--causal", "bottom-right"], {}, (j <= i + 2) & (j >= i + 1)),
        (["--causal", "top-left", "--offset", 1], {}, j <= i + 1),
        (["--local", "monotonic", "--half-width", 1], {}, abs(i - j) <= 1),
        ([], {"mask": mask}, mask),
        ([], {"mask": mask[0]}, mask[0]),
        ([], {"value_mask": keys}, keys[:, None] > 0),
        ([], {"value_mask": keys, "mask": mask}, mask & (keys[:, None] > 0)),
        ([], {"key_lengths": numpy.array([3, 4])}, j < numpy.array([3, 4])[:, None, None]),
        (["--causal", "top-left"], {"query_positions": numpy.array([4, 0, 2])}, j <= numpy.array([[4], [0], [2]])),
    ]
    base = save(query=Q, key=K, value=V)
    for n, (flags, arrays, visible) in enumerate(cases):
        attend("attention", "--score", "dot", *base, *map(str, flags), *save(**arrays), "-o", "o.npy")
        want = masked_softmax(e, numpy.broadcast_to(visible, e.shape)) @ V
        numpy.testing.assert_allclose(load("o.npy"), want, atol=1e-13, err_msg=str(n))


def test_what_is_added(attend, save, load):
    e, j = Q @ K.swapaxes(-1, -2) / 2, numpy.arange(5)[None] - numpy.arange(3)[:, None]
    bias, table, sink = draw(2, 3, 5), draw(1, 5), draw(1)
    base = save(query=Q, key=K, value=V)
    for flags, arrays, scores in [
        ([], {"bias": bias}, e + bias), ([], {"bias": bias[0]}, e + bias[0]),
        ([], {"slopes": numpy.array([0.5])}, e - 0.5 * abs(j)),
        ([], {"relative": table}, e + table[0][numpy.clip(j, -2, 2) + 2]),
        (["--softcap", "0.5"], {}, 0.5 * numpy.tanh(e / 0.5)),
        (["--temperature", "2"], {}, e / 2), (["--scale", "3"], {}, 6 * e),
    ]:
        attend("attention", *base, *flags, *save(**arrays), "-o", "o.npy")
        numpy.testing.assert_allclose(load("o.npy"), softmax(scores) @ V, atol=1e-7)
    attend("attention", *base, *save(sinks=sink), "-o", "o.npy")
    w = numpy.exp(e) / (numpy.exp(e).sum(-1, keepdims=True) + numpy.exp(sink))
    numpy.testing.assert_allclose(load("o.npy"), w @ V, atol=1e-13)


def test_hard_and_sparse(attend, save, load):
    e, base = Q @ K.swapaxes(-1, -2) / 2, save(query=Q, key=K, value=V)
    attend("attention", *base, "--align", "hard", "-o", "o.npy")
    numpy.testing.assert_allclose(load("o.npy"), numpy.take_along_axis(V, e.argmax(-1)[..., None], 1))
    attend("attention", *base, "--align", "sample", "--seed", 3, "--weights", "w.npy")
    assert set(load("w.npy").ravel()) == {0, 1} and (load("w.npy").sum(-1) == 1).all()
    for align in "sparsemax", "entmax15":
        attend("attention", *base, "--align", align, "--scale", 4, "--weights", "w.npy")
        numpy.testing.assert_allclose(load("w.npy").sum(-1), 1)
        assert (load("w.npy") == 0).any()


def test_predictive_windows(attend, save, load):
    w, v = draw(4, 3), draw(3)
    p = 5 / (1 + numpy.exp(-numpy.tanh(Q @ w) @ v))
    far = numpy.arange(5) - p[..., None]
    a = masked_softmax(Q @ K.swapaxes(-1, -2), abs(far) <= 2) * numpy.exp(-far**2 / 2)
    base = ["--score", "dot", "--local", "predictive", "--half-width", 2, *save(query=Q, key=K, value=V)]
    attend("attention", *base, *save(centre_weight=w, centre_vector=v), "-o", "o.npy", "--predicted-centre", "p.npy")
    numpy.testing.assert_allclose(load("p.npy")[:, 0], p, atol=1e-13)
    numpy.testing.assert_allclose(load("o.npy"), a @ V, atol=1e-13)
    attend("attention", *base, *save(centre=p), "-o", "given.npy")
    numpy.testing.assert_allclose(load("given.npy"), a @ V, atol=1e-13)


def test_coverage_grows(attend, save, load):
    c, u = numpy.abs(draw(2, 5)), draw(4)
    flags = save(query=Q, key=K, value=V, score_weight=W, coverage=c, coverage_weight=u)
    attend("attention", "--score", "additive", *flags, "-o", "o.npy", "--weights", "w.npy", "--new-coverage", "c.npy")
    a = softmax(tanh_sums(Q, K + c[..., None] * u, W))
    numpy.testing.assert_allclose(load("o.npy"), a @ V, atol=1e-13)
    numpy.testing.assert_allclose(load("c.npy")[:, 0], c + a.sum(1), atol=1e-13)


def test_keys_that_no_score_reads(attend, save, load):
    """Location scores come from the query alone: keys are noted, not refused, and their gradient is zero."""
    flags = save(query=Q, key=K, value=V, score_weight=L, grad_output=numpy.ones((2, 3, 6)))
    done = attend.run("attention", "--score", "location", *flags, "-o", "o.npy", "--grad-key", "dk.npy")
    assert done.returncode == 0 and b"do not look at the keys" in done.stderr
    assert (load("dk.npy") == 0).all() and load("dk.npy").shape == K.shape
    table = draw(1, 5)
    attend("attention", "--score", "relative", *save(query=Q, value=V, relative=table), "-o", "o.npy")
    e = table[0][numpy.clip(numpy.arange(5)[None] - numpy.arange(3)[:, None], -2, 2) + 2]
    numpy.testing.assert_allclose(load("o.npy"), softmax(e) @ V, atol=1e-13)


def test_what_each_row_and_key_got(attend, save, load):
    a = softmax(Q @ K.swapaxes(-1, -2) / 2)
    attend("attention", *save(query=Q, key=K, value=V), "--entropy", "e.npy", "--column-sums", "c.npy", "--lse", "l.npy",
           "--top-k", 2, "--top-keys", "k.npy", "--top-weights", "t.npy")
    numpy.testing.assert_allclose(load("e.npy")[:, 0], -(a * numpy.log(a)).sum(-1), atol=1e-13)
    numpy.testing.assert_allclose(load("c.npy")[:, 0], a.sum(1), atol=1e-13)
    assert (load("k.npy")[:, 0] == (-a).argsort(-1)[..., :2]).all()
    numpy.testing.assert_allclose(load("t.npy")[:, 0], -numpy.sort(-a)[..., :2], atol=1e-13)


def test_stages_of_the_scores(attend, save, load):
    e, base = Q @ K.swapaxes(-1, -2) / 2, save(query=Q, key=K, value=V)
    flags = ["--causal", "bottom-right", "--temperature", "2", "--dropout", "0.5", "--scores", "s.npy"]
    visible = numpy.arange(5)[None] <= numpy.arange(3)[:, None] + 2
    for stage, want in [("raw", e), ("masked", numpy.where(visible, e / 2, -numpy.inf)),
                        ("weights", masked_softmax(e / 2, visible))]:
        attend("attention", *base, *flags, "--stage", stage)
        numpy.testing.assert_allclose(load("s.npy")[:, 0], want, atol=1e-13)
    attend("attention", *base, *flags, "--stage", "dropped", "-o", "o.npy")
    numpy.testing.assert_allclose(load("s.npy")[:, 0] @ V, load("o.npy"), atol=1e-13)


def test_without_a_file_it_prints_sums(attend, save):
    a = softmax(Q @ K.swapaxes(-1, -2))
    said = attend.json("attention", "--score", "dot", *save(query=Q, key=K, value=V))
    assert said["output"] == [2, 3, 6] and said["weights"] == [2, 1, 3, 5]
    assert said["sum_of_scores"] == pytest.approx((Q @ K.swapaxes(-1, -2)).sum(), rel=1e-12)
    assert said["variance_of_weights"] == pytest.approx(a.var(), rel=1e-12)
    assert said["sum_of_output"] == pytest.approx((a @ V).sum(), rel=1e-12)
    text = attend("attention", "--score", "dot", *save(query=Q, key=K, value=V))
    assert "output   (2, 3, 6)" in text and f"{said['sum_of_output']:.15g}" in text
    assert attend("attention", *save(query=Q, key=K, value=V), "-o", "o.npy") == ""


def test_contradictions_are_refused(attend, save, tmp_path):
    base = save(query=Q, key=K, value=V)
    for flags, arrays, message in [
        (["--causal", "top-left", "--causal", "bottom-right"], {}, "--causal: given as top-left and as bottom-right"),
        (["--causal", "top-left", "--window", "2,1"], {}, "--window 2,1 beside --causal"),
        (["--window", "-1,2"], {}, "--window: '-1,2', expected LEFT,RIGHT"),
        (["--window", "1"], {}, "--window: '1'"),
        (["--heads", "3"], {}, "width 4, expected a multiple of 3"),
        (["--heads", "2", "--kv-heads", "4"], {}, "heads"),
        (["--local", "monotonic"], {}, "--half-width"),
        (["--half-width", "2"], {}, "only with --local"),
        (["--local", "predictive", "--half-width", "2"], {}, "--centre-weight and --centre-vector"),
        (["--local", "monotonic", "--half-width", "2", "--causal", "top-left"], {}, "--local beside --causal"),
        (["--score", "general"], {}, "--score-weight: absent"),
        (["--score", "general"], {"score_weight": draw(4)}, "--score-weight score_weight.npy: 1 dimensions, expected 2"),
        (["--score", "general"], {"score_weight": draw(3, 4)}, "--score-weight score_weight.npy: shape (3,4)"),
        (["--score", "additive"], {"score_weight": M}, "--score-weight score_weight.npy: shape"),
        (["--score", "dot"], {"score_weight": M}, "--score-weight score_weight.npy: given, expected none"),
        (["--estimator", "reinforce"], {}, "estimator"),
        (["--top-k", "3"], {}, "--top-keys or --top-weights"),
        (["--stage", "masked"], {}, "--scores"),
        (["--grad-query", "x.npy"], {}, "--grad-output"),
        ([], {"grad_output": draw(2, 3, 6)}, "expected a gradient to write"),
        (["--grad-query", "x.npy"], {"grad_output": draw(2, 3, 5)}, "shape (2, 3, 5), expected the output's (2, 3, 6)"),
        (["--dropout", "1"], {}, "--dropout"),
        (["--temperature", "-1"], {}, "--temperature"),
        ([], {"mask": draw(2, 3, 4)}, "--mask mask.npy: shape"),
        ([], {"bias": draw(3, 5, dtype="float32")}, "--bias bias.npy: float32, expected float64"),
        ([], {"key": draw(2, 5, 3)}, "--key key.npy: 3 wide"),
        ([], {"key": draw(5, 4)}, "--key key.npy: 2 dimensions, expected as many as --query has"),
        ([], {"value": numpy.zeros((2, 5, 6), "int32")}, "--value value.npy: int32, expected float32 or float64"),
        (["--key", "absent.npy"], {}, "absent.npy"),
        (["--block", "4"], {}, "--block-starts"),
    ]:
        save(query=Q, key=K, value=V)
        error = attend.error("attention", *base, *flags, *save(**arrays), "-o", "o.npy")
        assert message in error, (flags, error)
        assert not (tmp_path / "o.npy").exists()
    assert "--value: expected" in attend.error("attention", *save(query=Q))


def npy(header, body=b""):
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def test_broken_files_are_refused(attend, save, write):
    base = save(key=K, value=V)
    for content in [b"", b"\x93NUMPY", b"junk" * 10, npy("{"),
                    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }"),
                    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"),
                    npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }"),
                    b"\x93NUMPY\x02\x00" + struct.pack("<I", 0xFFFFFFF0) + b"{}"]:
        assert "--query: q.npy: " in attend.error("attention", "--query", write("q.npy", content), *base)


def test_fortran_order_is_read(attend, save, load):
    attend("attention", *save(query=numpy.asfortranarray(Q), key=K, value=numpy.asfortranarray(V)), "-o", "o.npy")
    numpy.testing.assert_allclose(load("o.npy"), softmax(Q @ K.swapaxes(-1, -2) / 2) @ V, atol=1e-13)


def test_masked_rows(attend, save, load):
    mask = numpy.ones((3, 5), bool)
    mask[1] = False
    flags = save(query=Q, key=K, value=V, mask=mask, grad_output=numpy.ones((2, 3, 6)))
    attend("attention", *flags, "-o", "o.npy", "--grad-query", "dq.npy")
    assert (load("o.npy")[:, 1] == 0).all() and (load("dq.npy")[:, 1] == 0).all()
    attend("attention", *flags, "--masked-rows", "uniform", "-o", "o.npy", "--grad-query", "dq.npy")
    numpy.testing.assert_allclose(load("o.npy")[:, 1], V.mean(1), atol=1e-13)
    assert numpy.isfinite(load("dq.npy")).all()
    assert json.loads(attend("attention", *flags[:8], "--json"))["dtype"] == "float64"
