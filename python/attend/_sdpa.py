"""PyTorch's scaled_dot_product_attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _core
from ._arrays import Array, Arrays, as_array, dense_rows
from ._problem import SCORES, WINDOW_CAUSAL, fail
from ._runtime import execution

_seeds = np.random.default_rng()


def scaled_dot_product_attention(query: Arrays, key: Arrays, value: Arrays, attn_mask: Arrays | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
                                 enable_gqa: bool = False, *, seed: int | None = None) -> Array:
    """softmax(query key^T * scale + attn_mask) value, with the arguments of torch.nn.functional's function.

    Parameters
    ----------
    query : (..., Hq, L, E); key : (..., H, S, E); value : (..., H, S, Ev); leading dimensions broadcast
    attn_mask : broadcastable to (..., Hq, L, S); booleans: True may attend; floats are added to the scores
    dropout_p : share of the weights that are dropped; as in PyTorch, whenever it is not 0
    is_causal : query i sees keys j <= i; excludes attn_mask
    scale : 1/sqrt(E) when None
    enable_gqa : let Hq be a multiple of H
    seed : of dropout; another one at each call when None

    Returns (..., Hq, L, Ev). A query that sees no key gives zeros.
    """
    q, k, v = as_array(query, "query"), as_array(key, "key"), as_array(value, "value")
    for name, x in (("query", q), ("key", k), ("value", v)):
        if x.ndim < 2:
            raise ValueError(f"{name}: shape {x.shape}, expected at least 2 dimensions")
    if is_causal and attn_mask is not None:
        raise ValueError("attn_mask: given with is_causal, expected one of them")
    lead = _leading(q, k, v, enable_gqa)
    inputs = {name: _four(x, lead if name == "q" or not enable_gqa else lead[:-1] + x.shape[-3:-2])
              for name, x in (("q", dense_rows(q)), ("k", dense_rows(k)), ("v", dense_rows(v)))}
    desc: dict[str, Any] = {}
    if is_causal:
        desc["window"] = WINDOW_CAUSAL
    if scale == 0:  # every score is 0: the library's "none"
        desc["kind"] = SCORES["none"]
        del inputs["k"]
    elif scale is not None:
        desc["scale"] = scale
    if dropout_p != 0:
        if dropout_p == 1:
            return np.zeros(lead + (q.shape[-2], v.shape[-1]), q.dtype)
        desc.update(dropout=dropout_p,
                    seed=int(_seeds.integers(1 << 63)) if seed is None else seed)
    if attn_mask is not None:
        _add_mask(inputs, as_array(attn_mask, "attn_mask", q.dtype), lead + (q.shape[-2], k.shape[-2]))
    out = np.empty(inputs["q"].shape[:3] + v.shape[-1:], q.dtype)
    try:
        _core.attention_forward(desc, inputs, {"o": out}, None, *execution())
    except ValueError as reason:
        fail(reason)
    return out.reshape(lead + out.shape[2:])


def _leading(q: Array, k: Array, v: Array, grouped: bool) -> tuple[int, ...]:
    """The output's dimensions before the last two."""
    try:
        if not grouped:
            return np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
        if min(q.ndim, k.ndim, v.ndim) < 3:
            raise ValueError("enable_gqa needs a dimension of heads")
        return np.broadcast_shapes(q.shape[:-3], k.shape[:-3], v.shape[:-3]) + q.shape[-3:-2]
    except ValueError as reason:
        raise ValueError(f"query, key, value: shapes {q.shape}, {k.shape}, {v.shape}: {reason}") from None


def _four(x: Array, lead: tuple[int, ...]) -> Array:
    """(..., H, T, D) broadcast to `lead`, as (B,H,T,D)."""
    whole = x if x.shape[:-2] == lead else np.broadcast_to(x, lead + x.shape[-2:])
    if len(lead) == 2:
        return whole
    if len(lead) < 2:
        return whole[(None,) * (2 - len(lead))]
    return whole.reshape(math.prod(lead[:-1]), *whole.shape[-3:])


def _add_mask(inputs: dict[str, Array], mask: Array, full: tuple[int, ...]) -> None:
    """attn_mask as the library's mask or bias."""
    name = "mask" if mask.dtype == np.bool_ else "bias"
    if mask.ndim > len(full) or any(m not in (1, f) for m, f in zip(mask.shape[::-1], full[::-1])):
        raise ValueError(f"attn_mask: shape {mask.shape}, expected one that broadcasts to {full}")
    if len(full) > 4 and mask.ndim > 3:
        mask = np.broadcast_to(mask, full[:-3] + mask.shape[-3:])
        mask = mask.reshape(math.prod(full[:-3]), *mask.shape[-3:])
    inputs[name] = mask
