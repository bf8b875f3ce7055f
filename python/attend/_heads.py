"""Keras's MultiHeadAttention and GroupQueryAttention."""

from __future__ import annotations

import math
import operator
from typing import Any, Sequence

import numpy as np

from . import _core
from ._arrays import Array, Arrays, as_mask
from ._layer import Constraint, Initializer, Layer, Penalty, Weight
from ._problem import MASKED_ROWS, WINDOW_BAND, WINDOW_CAUSAL
from ._projection import SIGMOID, Projection
from ._runtime import execution


class _Call:
    """One call: what it was given and what it made, for the gradients."""

    def __init__(self) -> None:
        self.inputs: dict[str, Array] = {}
        self.projected: dict[str, Array] = {}  # (B,...,H,D); "mixed" is the output of attention, "gated" after the gate
        self.desc: dict[str, Any] = {}
        self.views: dict[str, Array] = {}
        self.out: dict[str, Array] = {}
        self.output = np.empty(0)


class _HeadsLayer(Layer):
    """Projections, attention, an optional gate, and the projection of all heads side by side."""

    _counts_twice = False  # whether the activity regulariser also counts what the layer returns

    def _setup(self, heads: int, kv_heads: int, key_dim: int, value_dim: int, dropout: float, use_bias: bool,
               sliding_window: int | None, flash_attention: bool | None, use_gate: bool, seed: int | None,
               parts: dict[str, Any]) -> None:
        for name, value in (("heads", heads), ("key_value_heads", kv_heads), ("key_dim", key_dim),
                            ("value_dim", value_dim)):
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"{name}: {value!r}, expected a positive integer")
        if sliding_window is not None and (not isinstance(sliding_window, int) or sliding_window <= 0):
            raise ValueError(f"sliding_window: {sliding_window!r}, expected None or a positive integer")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: {dropout}, expected 0 <= dropout < 1")
        if flash_attention and dropout > 0:
            raise ValueError(f"dropout: {dropout} with flash_attention, expected 0")
        self._heads, self._kv_heads, self._widths = heads, kv_heads, (key_dim, value_dim)
        self._dropout, self._use_bias, self._use_gate, self._seed = dropout, use_bias, use_gate, seed
        self._sliding, self._flash, self._parts = sliding_window, bool(flash_attention), parts
        self._axes: tuple[int, ...] | None = None
        self._projections: dict[str, Projection] = {}

    def build(self, query_shape: Sequence[int], value_shape: Sequence[int],
              key_shape: Sequence[int] | None = None) -> None:
        """Make the weights from the shapes of the inputs."""
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(f"key: shape {tuple(key_shape)}, expected value's {tuple(value_shape)} but for the width")
        key_dim, value_dim = self._widths
        self._add_projection("query", (int(query_shape[-1]),), (self._heads, key_dim))
        self._add_projection("key", (int(key_shape[-1]),), (self._kv_heads, key_dim))
        if self._use_gate:
            self._add_projection("gate", (int(query_shape[-1]),), (self._heads, value_dim), SIGMOID)
        self._add_projection("value", (int(value_shape[-1]),), (self._kv_heads, value_dim))
        self._add_projection("attention_output", (self._heads, value_dim), self._output_dims(query_shape))
        self.built = True

    def call(self, query: Arrays, value: Arrays, key: Arrays | None = None, query_mask: Arrays | None = None,
             value_mask: Arrays | None = None, key_mask: Arrays | None = None, attention_mask: Arrays | None = None,
             return_attention_scores: bool = False, training: bool | None = None, use_causal_mask: bool = False) -> Any:
        run = self._run(query, value, key, (query_mask, value_mask, key_mask, attention_mask), bool(training),
                        use_causal_mask, return_attention_scores, fresh=True)
        found = (run.output, self._scores(run)) if return_attention_scores else (run.output,)
        if self._counts_twice:
            for y in found:
                self._penalise(y)
        return found if return_attention_scores else run.output

    def gradients(self, grad_output: Arrays, query: Arrays, value: Arrays, key: Arrays | None = None,
                  query_mask: Arrays | None = None, value_mask: Arrays | None = None, key_mask: Arrays | None = None,
                  attention_mask: Arrays | None = None, return_attention_scores: bool = False,
                  training: bool | None = None, use_causal_mask: bool = False) -> tuple[list[Array], list[Array]]:
        """Gradients of sum(output * grad_output), output being what call() gives for the same arguments: of query,
        value and, if it was given, key; and of the weights, in the order of get_weights(). With training=True the drops
        are those of the latest call."""
        run = self._run(query, value, key, (query_mask, value_mask, key_mask, attention_mask), bool(training),
                        use_causal_mask, return_attention_scores, fresh=False)
        d_output = self._cast(grad_output, "grad_output")
        if d_output.shape != run.output.shape:
            raise ValueError(f"grad_output: shape {d_output.shape}, expected {run.output.shape}")
        of_inputs, of_weights = self._backward(run, d_output)
        if key is None:
            of_inputs["value"] += of_inputs.pop("key")
        order = [name for name in ("query", "value", "key") if name in of_inputs]
        return [of_inputs[name] for name in order], of_weights

    def compute_mask(self, query: Any, value: Any = None, query_mask: Any = None, **_: Any) -> Any:
        """The query's mask, which holds for the output too."""
        return query_mask

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dropout": self._dropout, "use_bias": self._use_bias,
                "sliding_window": self._sliding, "flash_attention": self._flash or None, "use_gate": self._use_gate,
                "seed": self._seed, **self._parts}

    def _output_dims(self, query_shape: Sequence[int]) -> tuple[int, ...]:
        return (int(query_shape[-1]),)

    def _add_projection(self, name: str, inner: tuple[int, ...], outer: tuple[int, ...], activation: int = 0) -> None:
        o = self._parts
        kernel = self._add_weight(f"{name}/kernel", inner + outer, o["kernel_initializer"], o["kernel_regularizer"],
                                  o["kernel_constraint"], len(inner))
        bias: Weight | None = None
        if self._use_bias:
            bias = self._add_weight(f"{name}/bias", outer, o["bias_initializer"], o["bias_regularizer"],
                                    o["bias_constraint"])
        self._projections[name] = Projection(kernel, bias, len(inner), activation)

    # ---- shapes: (B, d1, d2, ..., H, D) and the library's (B', H, T, D) ----

    def _order(self, rank: int) -> tuple[list[int], list[int]]:
        """Which of the dimensions 0 .. rank-3 of a projected array are batch, and which are attended over."""
        axes = [a + rank - 1 if a < 0 else a for a in (self._axes or range(1, rank - 2))]
        return [a for a in range(rank - 2) if a not in axes], axes

    def _to_library(self, x: Array) -> Array:
        batch, axes = self._order(x.ndim)
        if x.ndim == 4 and axes == [1]:
            return x.transpose(0, 2, 1, 3)
        moved = x.transpose(*batch, x.ndim - 2, *axes, x.ndim - 1)
        lead = int(np.prod([x.shape[a] for a in batch]))
        return np.ascontiguousarray(moved).reshape(lead, x.shape[-2], -1, x.shape[-1])

    def _from_library(self, x: Array, like: tuple[int, ...]) -> Array:
        """Back to (B, d1, ..., H, D), `like` giving all sizes but the last."""
        batch, axes = self._order(len(like))
        order = [*batch, len(like) - 2, *axes, len(like) - 1]
        sizes = [*like[:-1], x.shape[-1]]
        return x.reshape([sizes[a] for a in order]).transpose(np.argsort(order))

    def _scores(self, run: _Call) -> Array:
        """The weights as Keras orders them: batch dimensions, heads, the query's attended ones, the key's."""
        q, k = run.projected["query"].shape, run.projected["key"].shape
        batch, axes = self._order(len(q))
        return run.out["weights"].reshape(*(q[a] for a in batch), q[-2], *(q[a] for a in axes), *(k[a] for a in axes))

    # ---- masks ----

    def _mask(self, run: _Call, masks: tuple[Any, ...], causal: bool) -> None:
        """All masks joined by AND, into the call's inputs; causal and sliding masks as the library's windows."""
        query, key = run.projected["query"], run.projected["key"]
        names = ("query_mask", "value_mask", "key_mask", "attention_mask")
        given = [None if m is None else as_mask(m, name) != 0 for m, name in zip(masks, names)]
        parts = [m[..., None] if i == 0 else m[:, None] if i < 3 else m for i, m in enumerate(given) if m is not None]
        simple = query.ndim == 4 and self._order(4)[1] == [1]
        reach = max(query.shape[1], key.shape[1])
        behind, ahead = (self._sliding - 1,) * 2 if self._sliding else (reach, reach)
        if causal:
            ahead = 0
        if simple and self._sliding:
            run.desc.update(window=WINDOW_BAND, left=behind, right=ahead)
        elif simple and causal:
            run.desc["window"] = WINDOW_CAUSAL
        elif causal or self._sliding:
            distance = np.arange(key.shape[1]) - np.arange(query.shape[1])[:, None]
            parts.append(((-behind <= distance) & (distance <= ahead))[None])
        if not parts:
            return
        try:
            mask = parts[0]
            for part in parts[1:]:
                mask = np.logical_and(mask, part)
            run.views["mask"] = self._mask_view(mask, query.shape, key.shape, simple)
        except ValueError as reason:
            raise ValueError(f"attention_mask: {reason}") from None

    def _mask_view(self, mask: Array, q: tuple[int, ...], k: tuple[int, ...], simple: bool) -> Array:
        batch, axes = self._order(len(q))
        full = [*(q[a] for a in batch), q[-2], *(q[a] for a in axes), *(k[a] for a in axes)]
        while mask.ndim < len(full) and mask.ndim >= 2 * len(axes):
            mask = np.expand_dims(mask, mask.ndim - 2 * len(axes))  # before the attended dimensions: the heads
        if simple:
            return mask
        whole = np.broadcast_to(mask, full)
        lead = int(np.prod([q[a] for a in batch]))
        return whole.reshape(lead, q[-2], int(np.prod([q[a] for a in axes])), -1)

    # ---- forward and backward ----

    def _run(self, query: Any, value: Any, key: Any, masks: tuple[Any, ...], training: bool, causal: bool,
             with_scores: bool, fresh: bool) -> _Call:
        if self._flash and with_scores:
            raise ValueError("return_attention_scores: True with flash_attention, expected False")
        run = _Call()
        given = {"query": query, "key": value if key is None else key, "value": value}
        run.inputs = {name: self._cast(x, name) for name, x in given.items()}
        self._check_ranks(run.inputs)
        if not self.built:
            self.build(*(run.inputs[name].shape for name in ("query", "value", "key")))
        self._activity = []
        if self._use_gate:
            self._project(run, "gate", run.inputs["query"])
        for name in ("query", "key", "value"):
            self._project(run, name, run.inputs[name])
        self._mask(run, masks, causal)
        explicit = self._dropout > 0 or with_scores or run.projected["query"].ndim != 4
        run.desc["masked_rows"] = MASKED_ROWS["zero" if explicit else "uniform"]  # Keras's two paths differ in this
        run.desc["scale"] = float(np.float32(1 / math.sqrt(self._widths[0])))  # Keras rounds it so for float64 too
        if training and self._dropout > 0:
            run.desc.update(dropout=self._dropout, seed=self._next_drops(self._seed) if fresh else self._drops)
        self._attend(run, with_scores)
        gated = run.projected["mixed"]
        if self._use_gate:
            gated = run.projected["gated"] = gated * run.projected["gate"]
        run.output = self._project(run, "attention_output", gated)
        return run

    def _check_ranks(self, inputs: dict[str, Array]) -> None:
        rank = inputs["query"].ndim
        for name, x in inputs.items():
            if x.ndim < 3 or x.ndim != rank:
                raise ValueError(f"{name}: shape {x.shape}, expected (B,T,C) or more dimensions, as many as query's {rank}")

    def _project(self, run: _Call, name: str, x: Array) -> Array:
        y = self._projections[name].forward(x)
        run.projected[name] = y
        self._penalise(y)
        return y

    def _penalise(self, y: Array) -> None:
        penalty = self._parts["activity_regularizer"]
        if penalty is not None:
            self._activity.append(float(penalty(y)) / y.shape[0])

    def _attend(self, run: _Call, with_scores: bool) -> None:
        q, k, v = (self._to_library(run.projected[name]) for name in ("query", "key", "value"))
        run.views.update(q=q, k=k, v=v)
        batch, heads, rows, _ = q.shape
        shape = (batch, rows, heads, v.shape[-1])  # heads innermost: side by side for the output's projection
        run.out = {"o": np.empty(shape, self.dtype).transpose(0, 2, 1, 3), "lse": np.empty(q.shape[:3], self.dtype)}
        if with_scores:
            run.out["weights"] = np.empty((batch, heads, rows, k.shape[2]), self.dtype)
        _core.attention_forward(run.desc, run.views, run.out, None, *execution())
        run.projected["mixed"] = self._from_library(run.out["o"], run.projected["query"].shape)

    def _backward(self, run: _Call, d_output: Array) -> tuple[dict[str, Array], list[Array]]:
        p, own = run.projected, {}
        gated = p["gated"] if self._use_gate else p["mixed"]
        d_mixed, own["attention_output"] = self._projections["attention_output"].backward(gated, run.output, d_output)
        of_inputs = {name: np.zeros_like(x) for name, x in run.inputs.items()}
        if self._use_gate:
            d_gate, d_mixed = d_mixed * p["mixed"], d_mixed * p["gate"]
            dx, own["gate"] = self._projections["gate"].backward(run.inputs["query"], p["gate"], d_gate)
            of_inputs["query"] += dx
        d_views = {name: np.zeros(run.views[name].shape, self.dtype) for name in "qkv"}
        grad = {"d_o": self._to_library(d_mixed), **{"d" + name: x for name, x in d_views.items()}}
        _core.attention_backward(run.desc, run.views, run.out, grad, *execution())
        for name in ("query", "key", "value"):
            dy = self._from_library(d_views[name[0]], p[name].shape)
            dx, own[name] = self._projections[name].backward(run.inputs[name], p[name], dy)
            of_inputs[name] += dx
        return of_inputs, [g for name in self._projections for g in own[name]]


class MultiHeadAttention(_HeadsLayer):
    """Multi-head attention (Vaswani 2017) with the arguments, call and numbers of keras.layers.MultiHeadAttention.

    Parameters
    ----------
    num_heads, key_dim, value_dim : heads, and the width of each for queries and keys, and for values (key_dim)
    dropout : share of the weights that training drops
    use_bias : whether the projections have biases
    output_shape : width (or widths) of the output; query's when None
    attention_axes : which dimensions are attended over; all between batch and width when None
    sliding_window : queries see keys less than so far away
    flash_attention : as in Keras it excludes dropout and returned scores; attend is always fused
    kernel_initializer ... bias_constraint : functions of an array (or of a shape), or Keras's names
    use_gate : multiply the heads' outputs by sigmoid(query W + b)
    seed : of dropout

    Call
    ----
    layer(query (B,T,C), value (B,S,Cv), key=value, query_mask=None (B,T), value_mask=None (B,S), key_mask=None (B,S),
          attention_mask=None (B,T,S) or (B,H,T,S), return_attention_scores=False, training=None, use_causal_mask=False)

    gives (B,T,C), or that and the weights (B,H,T,S), before dropout as in Keras. All masks are joined by AND. A query that
    sees no key gives zeros when scores are returned or dropout is set, the mean of all values otherwise: so does Keras.
    """

    def __init__(self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0,
                 use_bias: bool = True, output_shape: int | Sequence[int] | None = None,
                 attention_axes: int | Sequence[int] | None = None, sliding_window: int | None = None,
                 flash_attention: bool | None = None, kernel_initializer: Initializer = "glorot_uniform",
                 bias_initializer: Initializer = "zeros", kernel_regularizer: Penalty = None,
                 bias_regularizer: Penalty = None, activity_regularizer: Penalty = None,
                 kernel_constraint: Constraint = None, bias_constraint: Constraint = None, use_gate: bool = False,
                 seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._setup(num_heads, num_heads, key_dim, key_dim if value_dim is None else value_dim, dropout, use_bias,
                    sliding_window, flash_attention, use_gate, seed,
                    _parts(kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
                           activity_regularizer, kernel_constraint, bias_constraint))
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self.dropout, self.use_bias, self.seed = dropout, use_bias, seed
        self._output_shape = _integers("output_shape", output_shape)
        self._axes = self.attention_axes = _integers("attention_axes", attention_axes)

    def compute_output_shape(self, query_shape: Sequence[int], value_shape: Sequence[int],
                             key_shape: Sequence[int] | None = None) -> tuple[int, ...]:
        return (*query_shape[:-1], *self._output_dims(query_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads, "key_dim": self.key_dim,
                "value_dim": self.value_dim, "output_shape": self._output_shape, "attention_axes": self.attention_axes}

    def _output_dims(self, query_shape: Sequence[int]) -> tuple[int, ...]:
        return self._output_shape or (int(query_shape[-1]),)


class GroupQueryAttention(_HeadsLayer):
    """Grouped-query attention (Ainslie 2023) with the arguments, call and numbers of keras.layers.GroupQueryAttention:
    num_query_heads heads of width head_dim share num_key_value_heads heads of keys and values. One of them is multi-query
    attention. Arguments and call are otherwise those of MultiHeadAttention, on (B,T,C) alone.
    """

    _counts_twice = True  # as in Keras

    def __init__(self, head_dim: int, num_query_heads: int, num_key_value_heads: int, dropout: float = 0.0,
                 use_bias: bool = True, sliding_window: int | None = None, flash_attention: bool | None = None,
                 kernel_initializer: Initializer = "glorot_uniform", bias_initializer: Initializer = "zeros",
                 kernel_regularizer: Penalty = None, bias_regularizer: Penalty = None,
                 activity_regularizer: Penalty = None, kernel_constraint: Constraint = None,
                 bias_constraint: Constraint = None, use_gate: bool = False, seed: int | None = None,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._setup(num_query_heads, num_key_value_heads, head_dim, head_dim, dropout, use_bias, sliding_window,
                    flash_attention, use_gate, seed,
                    _parts(kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
                           activity_regularizer, kernel_constraint, bias_constraint))
        if num_query_heads % num_key_value_heads:
            raise ValueError(f"num_query_heads: {num_query_heads}, expected a multiple of num_key_value_heads = "
                             f"{num_key_value_heads}")
        self.head_dim, self.num_query_heads, self.num_key_value_heads = head_dim, num_query_heads, num_key_value_heads
        self.dropout, self.use_bias, self.seed = dropout, use_bias, seed

    def compute_output_shape(self, query_shape: Sequence[int], value_shape: Sequence[int],
                             key_shape: Sequence[int] | None = None) -> tuple[int, ...]:
        return tuple(query_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "head_dim": self.head_dim, "num_query_heads": self.num_query_heads,
                "num_key_value_heads": self.num_key_value_heads}

    def _check_ranks(self, inputs: dict[str, Array]) -> None:
        for name, x in inputs.items():
            if x.ndim != 3:
                raise ValueError(f"{name}: shape {x.shape}, expected (B,T,C)")


def _parts(*values: Any) -> dict[str, Any]:
    """The arguments that all projections share, checked."""
    names = ("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer",
             "kernel_constraint", "bias_constraint")
    parts = dict(zip(names, values))
    Weight("kernel", (1, 1), np.dtype("float32"), parts["kernel_initializer"], parts["kernel_regularizer"],
           parts["kernel_constraint"])
    probe = Weight("activity", (1, 1), np.dtype("float32"), regularizer=parts["activity_regularizer"])
    parts["activity_regularizer"] = probe.regularizer
    return parts


def _integers(name: str, value: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """One integer or several as a tuple; None for none."""
    if not value:
        return None
    try:
        return tuple(map(operator.index, value if isinstance(value, (tuple, list)) else (value,)))
    except TypeError:
        raise ValueError(f"{name}: {value!r}, expected an integer, a tuple or a list") from None
