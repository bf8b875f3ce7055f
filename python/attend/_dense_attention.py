"""Keras's Attention and AdditiveAttention."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from . import _core
from ._arrays import Array, Arrays, as_mask
from ._attention import forward, gradients, outputs
from ._blind import BlindRows, blind
from ._layer import Layer, Weight
from ._problem import Problem
from ._runtime import execution

STAGE_DROPPED = 3


class Attention(Layer):
    """Dot-product attention (Luong 2015) with the arguments, call and numbers of keras.layers.Attention.

    Parameters
    ----------
    use_scale : multiply the scores by a learnt number, 1 at first
    score_mode : "dot", or "concat": w sum_d tanh(s (q_d + k_d)) with learnt numbers w, and s when use_scale
    dropout : share of the weights that training drops
    seed : of dropout; the same seed gives the same sequence of calls the same drops

    Call
    ----
    layer([query (B,Tq,D), value (B,Tk,Dv), key (B,Tk,D) = value], mask=[query_mask (B,Tq), value_mask (B,Tk)],
          training=False, return_attention_scores=False, use_causal_mask=False)

    gives (B,Tq,Dv), or that and the weights (B,Tq,Tk), after dropout as in Keras. The score is not divided by sqrt(D). A
    row that sees no key attends to all of them, hidden ones included, as in Keras; query_mask clears rows of the output
    only. Keras itself drops other weights for the same seed.
    """

    def __init__(self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: int | None = None,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"score_mode: {score_mode!r}, expected 'dot' or 'concat'")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: {dropout}, expected 0 <= dropout < 1")
        self.use_scale, self.score_mode, self.dropout, self.seed = use_scale, score_mode, dropout, seed
        self.scale: Weight | None = None
        self.concat_score_weight: Weight | None = None

    def build(self, input_shape: Sequence[Sequence[int]]) -> None:
        """Make the weights; input_shape is the list of the inputs' shapes."""
        self._check_list(input_shape)
        if self.use_scale:
            self.scale = self._add_weight("scale", (), "ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self._add_weight("concat_score_weight", (), "ones")
        self.built = True

    def call(self, inputs: Sequence[Arrays], mask: Sequence[Arrays | None] | None = None, training: bool = False,
             return_attention_scores: bool = False, use_causal_mask: bool = False) -> Any:
        p, query_mask, dark = self._prepare(inputs, mask, training, use_causal_mask, fresh=True)
        dropped = return_attention_scores and "dropout" in p.desc
        out = outputs(p, weights=return_attention_scores and not dropped)
        forward(p, out)
        output = p.restore(out["o"])
        weights = None
        if return_attention_scores:
            weights = self._dropped_weights(p) if dropped else p.restore_rows(out["weights"])
        if dark is not None:
            dark.forward(output, weights)
        if query_mask is not None:
            output[query_mask == 0] = 0
        return (output, weights) if return_attention_scores else output

    def gradients(self, grad_output: Arrays, inputs: Sequence[Arrays], mask: Sequence[Arrays | None] | None = None,
                  training: bool = False, use_causal_mask: bool = False) -> tuple[list[Array], list[Array]]:
        """Gradients of sum(layer(inputs, ...) * grad_output): of the inputs, in their order, and of the weights, in the
        order of get_weights(). With training=True the drops are those of the latest call."""
        p, query_mask, dark = self._prepare(inputs, mask, training, use_causal_mask, fresh=False)
        out = outputs(p, lse=True)
        forward(p, out)
        d_o = self._cast(grad_output, "grad_output")
        if query_mask is not None and query_mask.shape == d_o.shape[:2]:
            d_o = np.where(query_mask[..., None] != 0, d_o, 0).astype(self.dtype)
        grad, result = gradients(p, d_o, True)
        _core.attention_backward(p.desc, p.inputs, out, grad, *execution())
        if dark is not None:
            dark.backward(d_o, result["query"], result["key"], result["value"], result.get("score_weight"))
        own = self._weight_gradients(inputs, result)
        if len(inputs) < 3:
            result["value"] += result["key"]
        return [result[name] for name in ("query", "value", "key")[: len(inputs)]], own

    def compute_mask(self, inputs: Sequence[Arrays], mask: Sequence[Arrays | None] | None = None) -> Any:
        """The query's mask, which holds for the output too."""
        self._check_list(inputs, mask)
        return None if mask is None or mask[0] is None else np.asarray(mask[0])

    def compute_output_shape(self, input_shape: Sequence[Sequence[int]]) -> tuple[int, ...]:
        return (*input_shape[0][:-1], input_shape[1][-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_scale": self.use_scale, "score_mode": self.score_mode,
                "dropout": self.dropout, "seed": self.seed}

    def _check_list(self, inputs: Any, mask: Any = None) -> None:
        kind = type(self).__name__
        if not isinstance(inputs, list) or len(inputs) not in (2, 3):
            raise ValueError(f"{kind} inputs: {type(inputs).__name__} of {len(inputs)}, expected a list [query, value] or "
                             "[query, value, key]")
        if mask is not None and (not isinstance(mask, list) or len(mask) not in (2, 3)):
            raise ValueError(f"{kind} mask: {type(mask).__name__} of {len(mask)}, expected a list [query_mask, value_mask]")

    def _prepare(self, inputs: Any, mask: Any, training: bool, causal: bool,
                 fresh: bool) -> tuple[Problem, Array | None, BlindRows | None]:
        """The library's problem, the query mask, and the rows that see nothing."""
        self._check_list(inputs, mask)
        q, v, k = (self._cast(x, name) for x, name in zip((*inputs, inputs[1])[:3], ("query", "value", "key")))
        for x, name in ((q, "query"), (v, "value"), (k, "key")):
            if x.ndim != 3:
                raise ValueError(f"{name}: shape {x.shape}, expected (B,T,D)")
        if not self.built:
            self.build([q.shape, v.shape, k.shape])
        query_mask, value_mask = (None if m is None else as_mask(m, name)
                                  for m, name in zip(mask or (None, None), ("query_mask", "value_mask")))
        if query_mask is not None and query_mask.shape != q.shape[:2]:
            raise ValueError(f"query_mask: shape {query_mask.shape}, expected {q.shape[:2]}")
        drop = self.dropout if training else 0.0
        seed = (self._next_drops(self.seed) if fresh else self._drops) if drop > 0 else 0
        q, k, score, factor = self._scores(q, k)
        p = Problem(q, v, k, score=score, score_weight=factor, value_mask=value_mask, causal=causal or None,
                    dropout=drop, seed=seed)
        where = blind(value_mask, causal, q.shape[1])
        dark = None if where is None else BlindRows(where, q, k, v, factor, score == "additive", drop, seed)
        return p, query_mask, dark

    def _scores(self, q: Array, k: Array) -> tuple[Array, Array, str, Array | None]:
        """Query and key as the score takes them, the score, and its weight."""
        scale = None if self.scale is None else self.scale.value
        if self.concat_score_weight is None:
            return q if scale is None else q * scale, k, "dot", None
        if scale is not None:
            q, k = q * scale, k * scale
        return q, k, "additive", np.full(q.shape[-1], self.concat_score_weight.value, self.dtype)

    def _weight_gradients(self, inputs: Any, result: dict[str, Array]) -> list[Array]:
        """From the gradients of what _scores made; those of query and key become the inputs' own."""
        found = []
        if self.scale is not None:
            scale = self.scale.value
            sides = [("query", inputs[0])]
            if self.concat_score_weight is not None:
                sides.append(("key", inputs[-1]))
            found.append(np.asarray(sum(np.vdot(result[side], self._cast(x, side)) for side, x in sides), self.dtype))
            for side, _ in sides:
                result[side] *= scale
        if self.concat_score_weight is not None:
            found.append(np.asarray(result["score_weight"].sum(), self.dtype))
        return found

    def _dropped_weights(self, p: Problem) -> Array:
        """The weights after dropout (B,Tq,Tk)."""
        weights = outputs(p, weights=True)["weights"]
        _core.attention_weights(p.desc, p.inputs, weights, STAGE_DROPPED, *execution())
        return p.restore_rows(weights)


class AdditiveAttention(Attention):
    """Additive attention (Bahdanau 2015) with the arguments, call and numbers of keras.layers.AdditiveAttention.

    score[i,j] = sum_d scale_d tanh(query[i,d] + key[j,d]); scale (D) is learnt, all ones unless use_scale. There are no
    projections inside. Everything else is as in Attention.
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Sequence[Sequence[int]]) -> None:
        self._check_list(input_shape)
        if self.use_scale:
            self.scale = self._add_weight("scale", (int(input_shape[0][-1]),), "glorot_uniform")
        self.built = True

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config

    def _scores(self, q: Array, k: Array) -> tuple[Array, Array, str, Array | None]:
        return q, k, "additive", None if self.scale is None else self.scale.value

    def _weight_gradients(self, inputs: Any, result: dict[str, Array]) -> list[Array]:
        return [] if self.scale is None else [result["score_weight"]]
