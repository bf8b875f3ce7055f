"""What attention() and attention_grad() were asked for, in the words of the library: a descriptor and named inputs.

Arrays get the library's four dimensions (B,H,T,D) by leading ones; the rest of the checking is the library's."""

from __future__ import annotations

import re
from typing import Any, NoReturn, Sequence

import numpy as np

from ._arrays import Array, as_array, as_mask, dense_rows

SCORES = {"scaled_dot": 0, "dot": 0, "additive": 1, "none": 2}
ALIGNMENTS = {"softmax": 0, "hard": 1, "sample": 2, "sparsemax": 3, "entmax15": 4}
MASKED_ROWS = {"zero": 0, "uniform": 1}
WINDOW_CAUSAL, WINDOW_BAND = 1, 2
NAMES = {"q": "query", "k": "key", "v": "value", "o": "output", "score_w": "score_weight", "d_o": "grad_output"}


def choose(name: str, value: Any, choices: dict[str, int]) -> int:
    """The number of a named choice; '-' and '_' are the same."""
    try:
        return choices[value]
    except (KeyError, TypeError):
        pass
    if isinstance(value, str) and value.replace("-", "_") in choices:
        return choices[value.replace("-", "_")]
    raise ValueError(f"{name}: {value!r}, expected one of {', '.join(choices)}")


def fail(reason: ValueError) -> NoReturn:
    """The library's message under the names that the arguments have here."""
    head, colon, tail = str(reason).partition(":")
    if re.fullmatch(r"\w+(, \w+)*", head):
        head = ", ".join(NAMES.get(name, name) for name in head.split(", "))
    raise ValueError(head + colon + tail) from None


class Problem:
    """One request. `rank` is the number of dimensions that the caller's arrays have."""

    __slots__ = ("rank", "query", "value", "key", "desc", "inputs", "bias")

    def __init__(self, query: Any, value: Any, key: Any = None, score: str = "scaled_dot", scale: float | None = None,
                 score_weight: Any = None, bias: Any = None, mask: Any = None, query_mask: Any = None,
                 value_mask: Any = None, causal: str | bool | None = None, window: Sequence[int] | None = None,
                 align: str = "softmax", local: str | None = None, half_width: float | None = None,
                 centre: Any = None, softcap: float | None = None, masked_rows: str = "zero",
                 temperature: float = 1.0, dropout: float = 0.0, seed: int = 0) -> None:
        q = as_array(query, "query")
        v = as_array(value, "value", q.dtype)
        k = v if key is None else as_array(key, "key", q.dtype)
        self.rank = q.ndim
        if not 2 <= q.ndim <= 4:
            raise ValueError(f"query: shape {q.shape}, expected (T,D), (B,T,D) or (B,H,T,D)")
        for name, x in (("value", v), ("key", k)):
            if x.ndim != q.ndim:
                raise ValueError(f"{name}: shape {x.shape}, expected {q.ndim} dimensions like query's {q.shape}")
        self.query, self.value, self.key = q, v, k
        self.inputs = {"q": self.heads(dense_rows(q)), "k": self.heads(dense_rows(k)), "v": self.heads(dense_rows(v))}
        self.desc: dict[str, Any] = {}
        self.bias = None
        self._score(score, scale, score_weight)
        if bias is not None:
            self.bias = as_array(bias, "bias", q.dtype)
            self.inputs["bias"] = self.heads(self.bias) if self.bias.ndim == 3 else self.bias
        if mask is not None or value_mask is not None:
            self.inputs["mask"] = self._mask(mask, value_mask)
        if query_mask is not None:
            m = as_mask(query_mask, "query_mask")
            self.inputs["query_mask"] = m[None] if self.rank == 2 and m.ndim == 1 else m
        if causal is not None or window is not None:
            self._window(causal, window)
        self._align(align, masked_rows, softcap, temperature)
        if local is not None or half_width is not None or centre is not None:
            raise ValueError(f"local: {local!r}, expected None")
        if dropout != 0.0:
            self.desc["dropout"], self.desc["seed"] = dropout, seed

    def heads(self, x: Array) -> Array:
        """(T,D) or (B,T,D) as (B,H,T,D)."""
        if self.rank == 4:
            return x
        return x[:, None] if self.rank == 3 else x[None, None]

    def restore(self, x: Array) -> Array:
        """The library's (B,H,...) with as many dimensions as the caller's arrays have."""
        if self.rank == 4:
            return x
        return x[:, 0] if self.rank == 3 else x[0, 0]

    def _score(self, score: str, scale: float | None, score_weight: Any) -> None:
        self.desc["score"] = choose("score", score, SCORES)
        if scale is not None:
            if scale == 0:
                raise ValueError("scale: 0, expected another number (score='none' leaves queries and keys out)")
            self.desc["scale"] = scale
        elif score == "dot":
            self.desc["scale"] = 1.0
        if score_weight is not None:
            self.inputs["score_w"] = as_array(score_weight, "score_weight", self.query.dtype)
        if score == "none":
            del self.inputs["k"]

    def _mask(self, mask: Any, value_mask: Any) -> Array:
        """mask AND value_mask (B,Tk), or either."""
        both = None
        if mask is not None:
            both = as_mask(mask, "mask")
            if both.ndim == 3:
                both = self.heads(both)
        if value_mask is None:
            assert both is not None
            return both
        seen = as_mask(value_mask, "value_mask")
        expected = self.inputs["v"].shape[0::2] if self.rank > 2 else self.inputs["v"].shape[2:3]
        if seen.shape != expected:
            raise ValueError(f"value_mask: shape {seen.shape}, expected {expected}")
        seen = seen.reshape(-1, 1, 1, seen.shape[-1])
        try:
            return seen if both is None else np.logical_and(both, seen)
        except ValueError as reason:
            raise ValueError(f"mask, value_mask: {reason}") from None

    def _window(self, causal: str | bool | None, window: Sequence[int] | None) -> None:
        if causal not in (None, False):
            kind = choose("causal", "top_left" if causal is True else causal, {"top_left": 0, "bottom_right": 1})
            if kind == 1:
                self.desc["q_offset"] = self.inputs["v"].shape[2] - self.inputs["q"].shape[2]
            self.desc["window"] = WINDOW_CAUSAL
        if window is not None:
            try:
                left, right = window
            except (TypeError, ValueError):
                raise ValueError(f"window: {window!r}, expected a pair (left, right)") from None
            if "window" in self.desc and right != 0:
                raise ValueError(f"window: right {right} with causal, expected 0")
            self.desc.update(window=WINDOW_BAND, left=left, right=right)

    def _align(self, align: str, masked_rows: str, softcap: float | None, temperature: float) -> None:
        if align != "softmax":
            self.desc["align"] = choose("align", align, ALIGNMENTS)
        if masked_rows != "zero":
            self.desc["masked_rows"] = choose("masked_rows", masked_rows, MASKED_ROWS)
        if softcap is not None:
            self.desc["softcap"] = softcap
        if temperature != 1.0:
            if not temperature > 0:
                raise ValueError(f"temperature: {temperature}, expected more than 0")
            self.desc["temperature"] = temperature
