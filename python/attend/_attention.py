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
              dropout: float = 0.0, seed: int = 0, return_weights: bool = False, **more: Any) -> Any:
    """output[i] = sum_j weights[i,j] value[j],  weights[i] = align(score(query[i], key[j]) + bias[i,j]).

    Parameters
    ----------
    query : (T,D), (B,T,D) or (B,H,T,D), float32 or float64
    value : (Tk,Dv), (B,Tk,Dv) or (B,Hkv,Tk,Dv); H is a multiple of Hkv
    key : as value, with query's width D; value when not given
    score : how the score of query q and key k comes about
        "scaled_dot"    q . k / sqrt(D)
        "dot"           q . k
        "general"       (q W) . k, W = score_weight (Dq,Dk)
        "additive"      sum_d w_d tanh(q_d + k_d), w = score_weight (D), ones when not given
        "concat"        v . tanh([q; k] W), W = score_weight (Dq+Dk,D), v = score_vector (D), ones when not given;
                        without score_weight Keras's w sum_d tanh(g (q_d + k_d)), w = concat_weight, g = gain
        "cosine"        scale (or strength) times q . k / (|q| |k|)
        "location"      q . W[:,j], W = score_weight (D,Tk): from the query alone
        "relative"      relative[h, j - i]: a learned distribution over offsets
        "none"          0: the bias is the score
    scale : factor of the score instead of the one that `score` implies
    bias : broadcastable to (B,H,Tq,Tk), added to the scores; -inf hides a key
    mask : broadcastable to (B,H,Tq,Tk); non-zero = query i may attend to key j
    query_mask : (B,Tq); where it is 0 the output is 0
    value_mask : (B,Tk); where it is 0 no query may attend to the key
    causal : "top-left" (or True): query i sees keys j <= i; "bottom-right": the last query sees the last key
    window : (left, right): query i sees keys i - left ... i + right
    align : "softmax"; "hard": the key with the largest score has all the weight; "sample": a key drawn with softmax's
        probability, from seed, has it; "sparsemax", "entmax15"
    local, half_width, centre : "monotonic": keys within half_width of i, or of centre (B,H,Tq); "predictive": of
        S sigmoid(centre_vector . tanh(q centre_weight)), or of centre, weights falling off as a Gaussian does
    softcap : scores e become c tanh(e/c)
    masked_rows : a query that sees no key gives "zero", or the mean of all values: "uniform"
    temperature : scores are divided by it
    dropout, seed : share of the weights that are dropped; the same seed drops the same
    more : what the library has beyond: heads, kv_heads (which split (B,T,C)), the projections w_query (Cq,H D), b_query,
        w_key, b_key, w_value, b_value, w_output, b_output; score_vector, strength, gain, concat_weight, centre_weight,
        centre_vector, coverage, coverage_weight; sigma, full; key_lengths, query_positions, key_positions, offset,
        slopes, relative, relative_kind, relative_distance, sinks, block, block_starts, block_keys; estimator. They are
        described in attend/mechanism.h and attend/attention.h.
    return_weights : also return the weights, before dropout: (Tq,Tk), (B,Tq,Tk) or (B,H,Tq,Tk)

    Returns
    -------
    output of query's shape with value's width, or (output, weights).

    Arrays are NumPy's or anything with DLPack, the buffer protocol or __array__. They are read in place; only an array
    whose last dimension is not contiguous is copied. ValueError names the argument, what was found and what was
    expected.
    """
    p = Problem(query, value, key, score, scale, score_weight, bias, mask, query_mask, value_mask, causal, window, align,
                local, half_width, centre, softcap, masked_rows, temperature, dropout, seed, **more)
    out = outputs(p, weights=return_weights)
    forward(p, out)
    if return_weights:
        return p.restore(out["o"]), p.restore_rows(out["weights"])
    return p.restore(out["o"])


def attention_grad(grad_output: Arrays, query: Arrays, value: Arrays, key: Arrays | None = None,
                   **options: Any) -> dict[str, Array]:
    """Gradients of sum(attention(query, value, key, ...) * grad_output).

    Takes the keywords of attention(), and grad_output in the shape of its output. Returns a dictionary of arrays in the
    shapes of what they are the gradients of: "query", "value", and as far as they were given "key", "score_weight",
    "bias" and every other array that has a gradient. When value serves as key, its gradient is the sum of both parts.
    """
    p = Problem(query, value, key, **options)
    out = outputs(p, lse=True)
    forward(p, out)
    grad, result = gradients(p, grad_output, key is not None)
    try:
        _core.attention_backward(p.desc, p.inputs, out, grad, *execution())
    except ValueError as reason:
        fail(reason)
    return shape_gradients(p, result, options)


def outputs(p: Problem, weights: bool = False, lse: bool = False) -> dict[str, Array]:
    """Room for what the forward computes."""
    q, k, v = p.query.shape, p.key.shape, p.value.shape
    if p.rank == 4:
        rows: tuple[int, ...] = q[:3]
        out = {"o": np.empty(rows + v[3:], p.query.dtype)}
    else:
        heads = max(p.heads, 1)
        rows = (1 if p.rank == 2 else q[0], heads, q[-2])
        out = {"o": np.empty((rows[0], rows[2], _width(p, heads)), p.query.dtype)}
    if weights:
        out["weights"] = np.empty(rows + k[-2:-1], p.query.dtype)
    if lse:
        out["lse"] = np.empty(rows, p.query.dtype)
        if "w_output" in p.inputs:
            value = p.inputs["w_output"].shape[0] // rows[1] if p.inputs["w_output"].ndim == 2 else 0
            out["context"] = np.empty(rows + (value,), p.query.dtype)
    return out


def _width(p: Problem, heads: int) -> int:
    """Of the output of (B,T,C): as wide as the last projection, or all heads' values side by side."""
    shapes = {name: p.inputs[name].shape for name in ("w_output", "w_value") if name in p.inputs}
    if any(len(shape) != 2 for shape in shapes.values()):
        return int(p.value.shape[-1])  # the library says what is wrong
    if "w_output" in shapes:
        return int(shapes["w_output"][1])
    width = shapes["w_value"][1] if "w_value" in shapes else p.value.shape[-1]
    return int(width) // (p.desc.get("kv_heads") or heads) * heads


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
    grad = {"d_o": p.batch(dense_rows(d_o)), "dq": p.batch(result["query"]), "dv": p.batch(result["value"])}
    if with_key:
        result["key"] = np.zeros(p.key.shape, p.key.dtype)
    if "k" in p.inputs:
        grad["dk"] = p.batch(result["key" if with_key else "value"])
    for argument, name, gradient in p.given:
        made = np.zeros(p.inputs[name].shape, p.query.dtype)
        grad[gradient], result[argument] = made, made
    return grad, result


def shape_gradients(p: Problem, result: dict[str, Array], options: dict[str, Any]) -> dict[str, Array]:
    """Each in the shape of what was given."""
    return {name: x.reshape(np.shape(options[name])) if name in options else x for name, x in result.items()}


def _keywords() -> inspect.Signature:
    """attention()'s keywords behind grad_output, for help() and completion."""
    first = inspect.Parameter("grad_output", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="Arrays")
    rest = [x for x in inspect.signature(attention).parameters.values() if x.name != "return_weights"]
    return inspect.Signature([first, *rest], return_annotation="dict[str, Array]")


attention_grad.__signature__ = _keywords()  # type: ignore[attr-defined]
