"""What attention() and attention_grad() were asked for, in the words of the library: a descriptor and named inputs.

Arrays get the library's four dimensions (B,H,T,D) by leading ones; the rest of the checking is the library's."""

from __future__ import annotations

import re
from typing import Any, NoReturn, Sequence

import numpy as np

from . import _core
from ._arrays import Array, as_array, as_mask, dense_rows

SCORES = {name.replace("-", "_"): kind for name, kind in _core.mechanism_names().items()}
KEYLESS = ("none", "location", "relative")
ALIGNMENTS = {"softmax": 0, "hard": 1, "sample": 2, "sparsemax": 3, "entmax15": 4}
MASKED_ROWS = {"zero": 0, "uniform": 1}
LOCALS = {"monotonic": 1, "predictive": 2}
RELATIVES = {"clip": 0, "buckets": 1, "buckets_backward": 2}
ESTIMATORS = {"none": 0, "straight_through": 1, "reinforce": 2}
WINDOW_CAUSAL, WINDOW_BAND, WINDOW_GAUSS = 1, 2, 3

# Further keywords: the library's name of the input and of its gradient, and what kind of array it is.
ARRAYS = {
    "score_vector": ("score_w", "dscore_w", "plain"), "key_lengths": ("key_lengths", None, "integers"),
    "centre_weight": ("w_centre", "dw_centre", "plain"), "centre_vector": ("v_centre", "dv_centre", "plain"),
    "slopes": ("slopes", None, "plain"), "relative": ("relative", "drelative", "plain"),
    "sinks": ("sinks", "dsinks", "plain"), "query_positions": ("q_positions", None, "times"),
    "key_positions": ("k_positions", None, "times"), "block_starts": ("block_starts", None, "integers"),
    "block_keys": ("block_keys", None, "integers"), "strength": ("strength", "dstrength", "heads"),
    "gain": ("gain", "dgain", "number"), "concat_weight": ("concat_weight", "dconcat_weight", "number"),
    "coverage": ("coverage", "dcoverage", "heads"), "coverage_weight": ("w_coverage", "dw_coverage", "plain"),
    **{f"{x}_{part}": (f"{x}_{part}", f"d{x}_{part}", "plain") for part in ("query", "key", "value", "output") for x in "wb"},
}
NUMBERS = {"heads": "heads", "kv_heads": "kv_heads", "sigma": "sigma", "offset": "q_offset", "block": "block",
           "relative_distance": "relative_distance", "full": "untruncated"}
CHOICES = {"relative_kind": ("relative", RELATIVES), "estimator": ("estimator", ESTIMATORS)}
NAMES = {"q": "query", "k": "key", "v": "value", "o": "output", "d_o": "grad_output",
         **{names[0]: name for name, names in ARRAYS.items()}, "score_w": "score_weight", "w_score": "score_weight"}


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
    """One request. `rank` is the number of dimensions that the caller's arrays have; `given` are the inputs besides
    query, key and value that have gradients: the argument, the library's names of input and gradient."""

    __slots__ = ("rank", "query", "value", "key", "desc", "inputs", "given", "heads")

    def __init__(self, query: Any, value: Any, key: Any = None, score: str = "scaled_dot", scale: float | None = None,
                 score_weight: Any = None, bias: Any = None, mask: Any = None, query_mask: Any = None,
                 value_mask: Any = None, causal: str | bool | None = None, window: Sequence[int] | None = None,
                 align: str = "softmax", local: str | None = None, half_width: float | None = None,
                 centre: Any = None, softcap: float | None = None, masked_rows: str = "zero",
                 temperature: float = 1.0, dropout: float = 0.0, seed: int = 0, **more: Any) -> None:
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
        self.inputs = {"q": self.batch(dense_rows(q)), "k": self.batch(dense_rows(k)), "v": self.batch(dense_rows(v))}
        self.desc: dict[str, Any] = {}
        self.given: list[tuple[str, str, str]] = []
        self.heads = 0
        if more:
            self._more(more)
        self._score(score, scale, score_weight)
        if bias is not None:
            self._add("bias", "bias", "dbias", bias, "scores")
        if mask is not None or value_mask is not None:
            self.inputs["mask"] = self._mask(mask, value_mask)
        if query_mask is not None:
            m = as_mask(query_mask, "query_mask")
            self.inputs["query_mask"] = m[None] if self.rank == 2 and m.ndim == 1 else m
        if causal is not None or window is not None:
            self._window(causal, window)
        self._align(align, masked_rows, softcap, temperature)
        if local is not None or half_width is not None or centre is not None:
            self._local(local, half_width, centre)
        if dropout != 0.0:
            self.desc["dropout"], self.desc["seed"] = dropout, seed
        elif seed:
            self.desc["seed"] = seed

    def batch(self, x: Array) -> Array:
        """(T,D) as (1,T,D)."""
        return x[None] if self.rank == 2 else x

    def scores(self, x: Array) -> Array:
        """A mask or bias of three dimensions beside (B,T,D) as (B,1,Tq,Tk)."""
        return x[:, None] if x.ndim == 3 and self.rank == 3 else x

    def restore(self, x: Array) -> Array:
        """An output with as many dimensions as the caller's arrays have."""
        return x[0] if self.rank == 2 else x

    def restore_rows(self, x: Array) -> Array:
        """The library's (B,H,...), without a dimension of heads where the caller has none."""
        if self.rank == 4:
            return x
        if self.heads <= 1:
            x = x[:, 0]
        return x[0] if self.rank == 2 else x

    def _add(self, argument: str, name: str, gradient: str | None, x: Any, kind: str) -> None:
        """An optional input, in the shape that the library wants."""
        if kind in ("integers", "times"):
            array = as_array(x, argument)
            if array.dtype.kind not in "iu":
                raise ValueError(f"{argument}: {array.dtype}, expected integers")
            if array.dtype != np.int32:
                limits = np.iinfo(np.int32)
                if array.size and (array.min() < limits.min or array.max() > limits.max):
                    raise ValueError(f"{argument}: a number beyond 32 bits")
                array = array.astype(np.int32)
            self.inputs[name] = array[None] if kind == "times" and array.ndim == 1 else array
            return
        array = as_array(x, argument, self.query.dtype)
        self.inputs[name] = self._shaped(array, kind)
        if gradient is not None:
            self.given.append((argument, name, gradient))

    def _shaped(self, x: Array, kind: str) -> Array:
        if kind == "scores":
            return self.scores(x)
        if kind == "number":
            return x.reshape(1) if x.size == 1 else x
        if kind == "heads" and x.ndim < 3:  # (T) or (B,T) for (B,1,T)
            return x.reshape(x.shape[:-1] + (1,) * (3 - x.ndim) + x.shape[-1:]) if x.ndim else x
        return x

    def _more(self, more: dict[str, Any]) -> None:
        for argument, x in more.items():
            if argument in ARRAYS:
                if x is not None:
                    self._add(argument, *ARRAYS[argument][:2], x, ARRAYS[argument][2])
            elif argument in NUMBERS:
                self.desc[NUMBERS[argument]] = x
            elif argument in CHOICES:
                self.desc[CHOICES[argument][0]] = choose(argument, x, CHOICES[argument][1])
            else:
                raise TypeError(f"{argument!r} is no argument, expected one of the documented and "
                                f"{', '.join([*ARRAYS, *NUMBERS, *CHOICES])}")
        self.heads = self.desc.get("heads", 0)

    def _score(self, score: str, scale: float | None, weight: Any) -> None:
        if score == "luong_concat" or score == "luong-concat":
            score = "concat"
        elif score == "concat" and np.ndim(weight) < 2:
            score = "keras_concat"
        kind = choose("score", score, SCORES)
        self.desc["kind"] = kind
        if scale is not None:
            if scale == 0:
                raise ValueError("scale: 0, expected another number (score='none' leaves queries and keys out)")
            self.desc["scale"] = scale
        if weight is not None:
            vector = kind == SCORES["additive"]
            self._add("score_weight", "score_w" if vector else "w_score", "dscore_w" if vector else "dw_score", weight,
                      "plain")
        if kind in (SCORES[name] for name in KEYLESS):
            del self.inputs["k"]

    def _mask(self, mask: Any, value_mask: Any) -> Array:
        """mask AND value_mask (B,Tk), or either."""
        both = None
        if mask is not None:
            both = self.scores(as_mask(mask, "mask"))
        if value_mask is None:
            assert both is not None
            return both
        seen = as_mask(value_mask, "value_mask")
        expected = self.value.shape[: self.rank - 2][:1] + self.value.shape[-2:-1]
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
                self.desc["q_offset"] = self.value.shape[-2] - self.query.shape[-2]
            self.desc["window"] = WINDOW_CAUSAL
        if window is not None:
            try:
                left, right = window
            except (TypeError, ValueError):
                raise ValueError(f"window: {window!r}, expected a pair (left, right)") from None
            if "window" in self.desc and right != 0:
                raise ValueError(f"window: right {right} with causal, expected 0")
            self.desc.update(window=WINDOW_BAND, left=left, right=right)

    def _local(self, local: str | None, half_width: float | None, centre: Any) -> None:
        if local is None:
            raise ValueError("local: None beside half_width or centre, expected 'monotonic' or 'predictive'")
        kind = choose("local", local, LOCALS)
        if kind == LOCALS["predictive"] and centre is not None and "w_centre" not in self.inputs:
            self.desc["window"] = WINDOW_GAUSS  # the centres were predicted elsewhere
        else:
            self.desc["local"] = kind
        if half_width is not None:
            self.desc["half_width"] = half_width
        if centre is not None:
            self._add("centre", "centre", "dcentre", centre, "heads")

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
