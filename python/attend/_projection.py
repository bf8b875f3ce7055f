"""Dense projections onto and from heads, computed by the library."""

from __future__ import annotations

import numpy as np

from . import _core
from ._arrays import Array
from ._layer import Weight
from ._runtime import execution

SIGMOID = 3


def product(a: Array, b: Array, bias: Array | None = None, activation: int = 0) -> Array:
    """act(a (M,K) b (K,N) + bias (N))."""
    c = np.empty((a.shape[0], b.shape[1]), a.dtype)
    _core.product(c, a, b, bias, 0, activation, *execution())
    return c


class Projection:
    """y = act(x kernel + bias): `summed` trailing dimensions of x against the leading ones of the kernel."""

    def __init__(self, kernel: Weight, bias: Weight | None, summed: int, activation: int = 0) -> None:
        self.kernel, self.bias, self.activation = kernel, bias, activation
        self.inner, self.outer = kernel.shape[:summed], kernel.shape[summed:]

    def _matrix(self) -> Array:
        return self.kernel.value.reshape(int(np.prod(self.inner)), -1)

    def forward(self, x: Array) -> Array:
        """(..., inner) -> (..., outer)"""
        lead = x.shape[: x.ndim - len(self.inner)]
        if x.shape[len(lead):] != self.inner:
            raise ValueError(f"{self.kernel.name}: built for a width of {self.inner}, called on shape {x.shape}")
        bias = None if self.bias is None else self.bias.value.reshape(-1)
        rows = x.reshape(int(np.prod(lead)), -1)
        return product(rows, self._matrix(), bias, self.activation).reshape(lead + self.outer)

    def backward(self, x: Array, y: Array, dy: Array) -> tuple[Array, list[Array]]:
        """The gradients of x, and of kernel and bias."""
        if self.activation == SIGMOID:
            dy = dy * y * (1 - y)
        rows = int(np.prod(x.shape[: x.ndim - len(self.inner)]))
        x2, dy2 = x.reshape(rows, -1), np.ascontiguousarray(dy).reshape(rows, -1)
        dx = product(dy2, self._matrix().T).reshape(x.shape)
        own = [product(x2.T, dy2).reshape(self.kernel.shape)]
        if self.bias is not None:
            own.append(dy2.sum(0, dtype=dy2.dtype).reshape(self.bias.shape))
        return dx, own
