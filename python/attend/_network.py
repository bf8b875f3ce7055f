"""Transformers by themselves, of whatever task: tokens in, numbers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

import numpy as np

from . import _core
from ._arrays import Array, Arrays, as_array
from ._plot import Figure, plot


@dataclass(frozen=True)
class Look:
    """Where a model looked in a line: weights (layers, heads, tokens, tokens) of its encoder, or of its decoder, whose
    token i sees none behind it."""

    tokens: list[str]
    weights: Array

    def plot(self, layer: int = -1, head: int | None = None, **options: Any) -> Figure:
        """One head's weights, or the mean over a layer's; takes the options of attend.plot."""
        chosen = self.weights[layer].mean(0) if head is None else self.weights[layer, head]
        return plot(chosen, self.tokens, self.tokens, **options)


class Network:
    """The Transformer in a model file. Not for two threads at once. ValueError for a recurrent model."""

    def __init__(self, path: str, execution: tuple[int, int]) -> None:
        self._loaded = _core.network_load(path, *execution)
        self.sizes = _core.network_sizes(self._loaded)

    def encode(self, text: str, target: bool = False) -> list[int]:
        return _core.encode(self._loaded, text, int(target))

    def decode(self, ids: Sequence[int], target: bool = False) -> str:
        array = _integers(ids, "ids")
        if array.ndim != 1:
            raise ValueError(f"ids: {array.ndim} dimensions, expected 1")
        return _core.decode(self._loaded, array, int(target))

    def logits(self, ids: Arrays, target: Arrays | None, lengths: Arrays | None, segments: Arrays | None) -> Array:
        source, single = _rows(ids, "ids")
        towards = None if target is None else _rows(target, "target")[0]
        shape = (source if towards is None else towards).shape
        result = np.empty((*shape, self.sizes["vocabulary"]), np.float32)
        _core.network_logits(self._loaded, source, _optional(lengths, "lengths"), _optional(segments, "segments"),
                             towards, result)
        return result[0] if single else result

    def embed(self, lines: list[str]) -> Array:
        result = np.empty((len(lines), self.sizes["width"]), np.float32)
        _core.network_embed(self._loaded, lines, result)
        return result

    def classify(self, lines: list[str]) -> tuple[list[str], Array]:
        classes = _core.network_classes(self._loaded)
        result = np.empty((len(lines), len(classes)), np.float32)
        _core.network_classify(self._loaded, lines, result)
        return classes, result

    def look(self, text: str) -> Look:
        ids = self.encode(text)
        if not ids:
            raise ValueError("lines: an empty line, expected at least one token")
        layers = self.sizes["encoder_layers"] or self.sizes["decoder_layers"]
        weights = np.empty((layers, 1, self.sizes["heads"], len(ids), len(ids)), np.float32)
        places = (weights, None) if self.sizes["encoder_layers"] else (None, weights)
        _core.network_attention(self._loaded, np.array([ids], np.int32), None, None, None, *places, None)
        return Look([self.decode([i]) for i in ids], weights[:, 0])


def _integers(x: Arrays, name: str) -> Array:
    array = as_array(x, name)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name}: {array.dtype}, expected integers")
    limits = np.iinfo(np.int32)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise ValueError(f"{name}: numbers up to {array.max()}, expected int32")
    return np.ascontiguousarray(array, np.int32)


def _optional(x: Arrays | None, name: str) -> Array | None:
    return None if x is None else _integers(x, name)


def _rows(x: Arrays, name: str) -> tuple[Array, bool]:
    """(B, T), and whether there was no B."""
    array = _integers(x, name)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"{name}: shape {array.shape}, expected (B, T) or (T), not empty")
    return (array[None], True) if array.ndim == 1 else (array, False)
