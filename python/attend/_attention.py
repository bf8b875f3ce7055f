"""attention() and its gradients."""

from __future__ import annotations

import inspect
from typing import Any, Sequence

import numpy as np

from . import _core
from ._arrays import Array, Arrays, as_array, dense_rows
from ._problem import Problem, fail
from ._runtime import execution


def attention(query: Arrays, value: Arrays, key: Arrays | None = None, *, score: str = "scaled_dot",
              scale: float | None = None, score_weight: Arrays | None = None, bias: Arrays | None = None,
              mask: Arrays | None = None, query_mask: Arrays | None = None, value_mask: Arrays | None = None,
              causal: str | bool | None = None, window: Sequence[int] | None = None, align: str = "softmax",
              local: str | None = None, half_width: float | None = None, centre: Arrays | None = None,
              softcap: float | None = None, masked_rows: str = "zero", temperature: float = 1.0,
              dropout: float = 0.0, seed: int = 0, return_weights: bool = False) -> Any:
    """output[i] = sum_j weights[i,j] value[j],  weights[i] = align(score(query[i], key[j]) + bias[i,j]).

    Parameters
    ----------
    query : (T,D), (B,T,D) or (B,H,T,D), float32 or float64
    value : (Tk,Dv), (B,Tk,Dv) or (B,Hkv,Tk,Dv); H is a multiple of Hkv
    key : as value, with query's width D; value when not given
    score : how the score of query q and key k comes about
        "scaled_dot"  q . k / sqrt(D)
        "dot"         q . k
        "additive"    sum_d w_d tanh(q_d + k_d), w = score_weight (D), ones when not given
        "none"        0: the bias is the score
    scale : factor of the score instead of the one that `score` implies
    bias : broadcastable to (B,H,Tq,Tk), added to the scores; -inf hides a key
    mask : broadcastable to (B,H,Tq,Tk); non-zero = query i may attend to key j
    query_mask : (B,Tq); where it is 0 the output is 0
    value_mask : (B,Tk); where it is 0 no query may attend to the key
    causal : "top-left" (or True): query i sees keys j <= i; "bottom-right": the last query sees the last key
    window : (left, right): query i sees keys i - left ... i + right
    align : "softmax", or "hard": the key with the largest score has all the weight
    softcap : scores e become c tanh(e/c)
    masked_rows : a query that sees no key gives "zero", or the mean of all values: "uniform"
    temperature : scores are divided by it
    dropout, seed : share of the weights that are dropped; the same seed drops the same
    return_weights : also return the weights, before dropout: (Tq,Tk), (B,Tq,Tk) or (B,H,Tq,Tk)

    Returns
    -------
    output of query's shape with value's width, or (output, weights).

    Arrays are NumPy's or anything with DLPack, the buffer protocol or __array__. They are read in place; only an array
    whose last dimension is not contiguous is copied. ValueError names the argument, what was found and what was
    expected.
    """
    p = Problem(query, value, key, score, scale, score_weight, bias, mask, query_mask, value_mask, causal, window, align,
                local, half_width, centre, softcap, masked_rows, temperature, dropout, seed)
    out = outputs(p, weights=return_weights)
    forward(p, out)
    if return_weights:
        return p.restore(out["o"]), p.restore(out["weights"])
    return p.restore(out["o"])


def attention_grad(grad_output: Arrays, query: Arrays, value: Arrays, key: Arrays | None = None,
                   **options: Any) -> dict[str, Array]:
    """Gradients of sum(attention(query, value, key, ...) * grad_output).

    Takes the keywords of attention(), and grad_output in the shape of its output. Returns a dictionary of arrays in the
    shapes of what they are the gradients of: "query", "value", and as far as they were given "key", "score_weight" and
    "bias". When value serves as key, its gradient is the sum of both parts.
    """
    p = Problem(query, value, key, **options)
    out = outputs(p, lse=True)
    forward(p, out)
    grad, result = gradients(p, grad_output, key is not None)
    try:
        _core.attention_backward(p.desc, p.inputs, out, grad, *execution())
    except ValueError as reason:
        fail(reason)
    return result


def outputs(p: Problem, weights: bool = False, lse: bool = False) -> dict[str, Array]:
    """Room for what the forward computes."""
    q, v = p.inputs["q"], p.inputs["v"]
    rows = q.shape[:3]
    out = {"o": np.empty(rows + v.shape[3:], q.dtype)}
    if weights:
        out["weights"] = np.empty(rows + v.shape[2:3], q.dtype)
    if lse:
        out["lse"] = np.empty(rows, q.dtype)
    return out


def forward(p: Problem, out: dict[str, Array]) -> None:
    try:
        _core.attention_forward(p.desc, p.inputs, out, None, *execution())
    except ValueError as reason:
        fail(reason)


def gradients(p: Problem, grad_output: Arrays, with_key: bool) -> tuple[dict[str, Array], dict[str, Array]]:
    """Room for the gradients: as the library sees it, and as the caller does. The same memory."""
    d_o = as_array(grad_output, "grad_output", p.query.dtype)
    if d_o.ndim != p.rank:
        raise ValueError(f"grad_output: shape {d_o.shape}, expected {p.rank} dimensions like query's {p.query.shape}")
    result = {"query": np.zeros(p.query.shape, p.query.dtype), "value": np.zeros(p.value.shape, p.value.dtype)}
    grad = {"d_o": p.heads(dense_rows(d_o)), "dq": p.heads(result["query"]), "dv": p.heads(result["value"])}
    if with_key:
        result["key"] = np.zeros(p.key.shape, p.key.dtype)
    if "k" in p.inputs:
        grad["dk"] = p.heads(result["key" if with_key else "value"])
    if "score_w" in p.inputs:
        result["score_weight"] = grad["dscore_w"] = np.zeros(p.inputs["score_w"].shape, p.query.dtype)
    if p.bias is not None:
        result["bias"] = np.zeros(p.bias.shape, p.query.dtype)
        grad["dbias"] = p.heads(result["bias"]) if p.bias.ndim == 3 else result["bias"]
    return grad, result


def _keywords() -> inspect.Signature:
    """attention()'s keywords behind grad_output, for help() and completion."""
    first = inspect.Parameter("grad_output", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="Arrays")
    rest = [x for x in inspect.signature(attention).parameters.values() if x.name != "return_weights"]
    return inspect.Signature([first, *rest], return_annotation="dict[str, Array]")


attention_grad.__signature__ = _keywords()  # type: ignore[attr-defined]
