"""torch.nn.functional.scaled_dot_product_attention in all its modes, with gradients, and torch tensors as inputs."""

import attend
import numpy as np
import pytest
import torch
from conftest import close

SIZES = [  # query's, key's and value's leading dimensions; L, S, E, Ev
    ((), (), (), 5, 7, 4, 3), ((3,), (3,), (3,), 5, 7, 4, 3), ((2, 3), (2, 3), (2, 3), 17, 33, 8, 9),
    ((2, 3, 2), (2, 3, 2), (2, 3, 2), 4, 5, 6, 7), ((2, 3), (1, 3), (2, 1), 4, 5, 6, 7), ((2, 1), (2, 3), (3,), 4, 5, 6, 7),
    ((1, 1), (1, 1), (1, 1), 1, 1, 1, 1), ((1, 2), (1, 2), (1, 2), 130, 64, 64, 64),
]


def make(rng, size, dtype="float32"):
    q, k, v, rows, keys, width, out = size
    return [rng.normal(size=s).astype(dtype) for s in ((*q, rows, width), (*k, keys, width), (*v, keys, out))]


def compare(arrays, mask=None, **keywords):
    tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in arrays]
    torch_mask = None if mask is None else torch.from_numpy(mask)
    wanted = torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=torch_mask, **keywords)
    found = attend.scaled_dot_product_attention(*arrays, attn_mask=mask, **keywords)
    close(found, wanted.numpy(), str(arrays[0].dtype))
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("keywords", [{}, {"is_causal": True}, {"scale": 0.3}, {"scale": -1.5}, {"scale": 0.0}], ids=str)
def test_modes(rng, size, dtype, keywords):
    arrays = make(rng, size, dtype)
    if dtype == "float64" and keywords.get("scale") == 0.3:
        keywords = {"scale": 0.25}
    compare(arrays, **keywords)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["bool", "float", "-inf"])
def test_masks(rng, size, kind):
    arrays = make(rng, size)
    lead = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
    rows, keys = size[3:5]
    for shape in {lead + (rows, keys), (rows, keys), (1, keys), (1,) * len(lead) + (rows, 1), lead[:-1] + (1,) * bool(lead) + (rows, keys)}:
        mask = rng.random(shape) < 0.7
        if kind != "bool":
            mask = np.where(mask, rng.normal(size=shape), -np.inf if kind == "-inf" else 0.5).astype("float32")
        compare(arrays, mask)


def test_row_that_sees_nothing_gives_zeros(rng):
    arrays, mask = make(rng, SIZES[2]), np.ones((17, 33), bool)
    mask[3] = False
    assert not compare(arrays, mask)[:, :, 3].any()
    assert not compare(arrays, np.where(mask, 0, -np.inf).astype("float32"))[:, :, 3].any()


def test_causal_is_top_left(rng):
    found = compare(make(rng, ((), (), (), 3, 5, 4, 2)), is_causal=True)
    q, k, v = make(np.random.default_rng(20170612), ((), (), (), 3, 5, 4, 2))
    close(found[0], v[0])


@pytest.mark.parametrize("heads, groups", [(4, 2), (6, 3), (8, 1), (5, 5)])
@pytest.mark.parametrize("keywords", [{}, {"is_causal": True}], ids=str)
def test_groups(rng, heads, groups, keywords):
    compare(make(rng, ((2, heads), (2, groups), (2, groups), 5, 7, 4, 3)), enable_gqa=True, **keywords)
    compare(make(rng, ((2, heads), (2, groups), (2, groups), 5, 7, 4, 3)), rng.random((2, heads, 5, 7)) < 0.8, enable_gqa=True)


def test_mask_and_causal_exclude_each_other(rng):
    arrays, mask = make(rng, SIZES[1]), np.ones((5, 7), bool)
    with pytest.raises(RuntimeError):
        torch.nn.functional.scaled_dot_product_attention(*map(torch.from_numpy, arrays), attn_mask=torch.from_numpy(mask),
                                                         is_causal=True)
    with pytest.raises(ValueError, match="attn_mask: given with is_causal"):
        attend.scaled_dot_product_attention(*arrays, attn_mask=mask, is_causal=True)


@pytest.mark.parametrize("change, message", [
    ({"key": (2, 7, 4)}, "shapes"), ({"key": (3, 7, 5)}, "key: 5 wide"), ({"value": (3, 6, 3)}, "expected"),
    ({"query": (4,)}, "at least 2"), ({"query": (4, 5, 4), "enable_gqa": True}, "heads, kv_heads: 4 and 3"),
    ({"attn_mask": np.ones((5, 6), bool)}, "attn_mask: shape"), ({"dropout_p": 1.5}, "dropout: 1.5")], ids=str)
def test_refused(rng, change, message):
    call = dict(zip(("query", "key", "value"), make(rng, SIZES[1])))
    call |= {n: rng.normal(size=x).astype("float32") if isinstance(x, tuple) else x for n, x in change.items()}
    with pytest.raises(ValueError, match=message):
        attend.scaled_dot_product_attention(**call)


def test_nan_stays_nan(rng):
    """Some releases of PyTorch gave 0 for rows of NaN."""
    q, k, v = make(rng, SIZES[1])
    q[1, 2] = np.nan
    found = attend.scaled_dot_product_attention(q, k, v)
    assert np.isnan(found[1, 2]).all() and np.isfinite(np.delete(found[1], 2, 0)).all()


def test_dropout_applies_always_and_keeps_the_mean(rng):
    q, k = rng.normal(size=(1, 4, 8)), rng.normal(size=(1, 512, 8))
    weights = attend.scaled_dot_product_attention(q, k, np.eye(512)[None])
    dropped = attend.scaled_dot_product_attention(q, k, np.eye(512)[None], dropout_p=0.25)
    kept = dropped != 0
    assert 0.7 < kept.mean() < 0.8
    np.testing.assert_allclose(dropped[kept], weights[kept] / 0.75, rtol=1e-6)
    assert (dropped != attend.scaled_dot_product_attention(q, k, np.eye(512)[None], dropout_p=0.25)).any()
    assert not attend.scaled_dot_product_attention(q, k, np.eye(512)[None], dropout_p=1.0).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["plain", "causal", "bool", "float", "groups"])
def test_gradients(rng, dtype, mode):
    """attend.attention_grad is the gradient of the same function (query, value, key in Keras's order)."""
    heads, groups = (4, 2) if mode == "groups" else (3, 3)
    q, k, v = make(rng, ((2, heads), (2, groups), (2, groups), 17, 33, 8, 9), dtype)
    grad = rng.normal(size=(2, heads, 17, 9)).astype(dtype)
    tensors = [torch.from_numpy(x).requires_grad_() for x in (q, k, v)]
    ours, theirs = {}, {"enable_gqa": mode == "groups"}
    if mode == "causal":
        ours["causal"] = theirs["is_causal"] = True
    if mode == "bool":
        ours["mask"] = rng.random((2, 1, 17, 33)) < 0.7
        theirs["attn_mask"] = torch.from_numpy(ours["mask"])
    if mode == "float":
        ours["bias"] = rng.normal(size=(3, 17, 33)).astype(dtype)
        theirs["attn_mask"] = torch.from_numpy(ours["bias"]).requires_grad_()
    torch.nn.functional.scaled_dot_product_attention(*tensors, **theirs).backward(torch.from_numpy(grad))
    found = attend.attention_grad(grad, q, v, k, **ours)
    for name, tensor in zip(("query", "key", "value"), tensors):
        close(found[name], tensor.grad.numpy(), dtype, name)
    if mode == "float":
        close(found["bias"], theirs["attn_mask"].grad.numpy(), dtype, "bias")


def test_torch_tensors_are_read_in_place(rng):
    q, k, v = (torch.from_numpy(x) for x in make(rng, SIZES[2]))
    wanted = attend.scaled_dot_product_attention(q.numpy(), k.numpy(), v.numpy())
    np.testing.assert_array_equal(attend.scaled_dot_product_attention(q, k, v), wanted)
    turned = k.transpose(1, 2).contiguous().transpose(1, 2)  # (B,T,H,D) in memory
    np.testing.assert_array_equal(attend.scaled_dot_product_attention(q, turned, v), wanted)
    mask = torch.ones(17, 33, dtype=torch.bool).tril()
    np.testing.assert_array_equal(attend.attention(q, v, k, mask=mask), attend.attention(q, v, k, causal=True))
    with pytest.raises(ValueError, match="query: Tensor that cannot be read in place.*grad"):
        attend.attention(q.clone().requires_grad_(), v, k)
