"""Rows of Keras's Attention and AdditiveAttention that see no key.

Keras hides a key by subtracting 1e9 from its score. A row of which every key is hidden is therefore still a softmax,
over ALL keys, of scores rounded to the spacing of numbers near 1e9: in float32 64, so that scores below 32 give exactly
equal weights; in float64 1e-7, so that the weights are almost as if nothing were hidden. Its gradients flow likewise.
The library declares such rows zero or uniform instead; these few rows follow Keras here, in NumPy."""

from __future__ import annotations


import numpy as np

from ._arrays import Array


class BlindRows:
    """Queries q (n,D) that see no key, each with its own keys k and values v (n,Tk,.)."""

    def __init__(self, where: tuple[Array, ...], q: Array, k: Array, v: Array, factor: Array | None, additive: bool,
                 dropout: float, seed: int) -> None:
        self.where, self.additive = where, additive
        self.q, self.k, self.v = q[where], k[where[0]], v[where[0]]
        self.factor = np.ones(q.shape[-1], q.dtype) if factor is None else factor
        if additive:
            self.sums = np.tanh(self.q[:, None] + self.k)
            scores = self.sums @ self.factor
        else:
            scores = np.einsum("nd,njd->nj", self.q, self.k)
        scores = scores - scores.dtype.type(1e9)
        self.weights = np.exp(scores - scores.max(-1, keepdims=True))
        self.weights /= self.weights.sum(-1, keepdims=True)
        self.keep = np.ones_like(self.weights)
        if dropout > 0:
            self.keep = (np.random.default_rng(seed).random(self.keep.shape) >= dropout).astype(q.dtype) / (1 - dropout)

    def forward(self, output: Array, weights: Array | None) -> None:
        """Fill the rows of the output and of the returned weights, which are those after dropout."""
        kept = self.weights * self.keep
        output[self.where] = np.einsum("nj,njd->nd", kept, self.v)
        if weights is not None:
            weights[self.where] = kept

    def backward(self, grad_output: Array, dq: Array, dk: Array, dv: Array, dfactor: Array | None) -> None:
        """Add the rows' gradients.  o = sum_j w_j keep_j v_j, w = softmax(e):  de = w (dw - sum w dw)."""
        g, kept = grad_output[self.where], self.weights * self.keep
        dw = np.einsum("nd,njd->nj", g, self.v) * self.keep
        de = self.weights * (dw - (self.weights * dw).sum(-1, keepdims=True))
        if self.additive:
            inner = de[..., None] * (1 - self.sums * self.sums) * self.factor
            to_q, to_k = inner.sum(1), inner
            if dfactor is not None:
                dfactor += np.einsum("nj,njd->d", de, self.sums)
        else:
            to_q, to_k = np.einsum("nj,njd->nd", de, self.k), de[..., None] * self.q[:, None]
        np.add.at(dq, self.where, to_q)
        np.add.at(dk, self.where[0], to_k)
        np.add.at(dv, self.where[0], kept[..., None] * g[:, None])


def blind(value_mask: Array | None, causal: bool, queries: int) -> tuple[Array, ...] | None:
    """Which queries (batch, row) see no key under a value mask (B,Tk); None when all see one."""
    if value_mask is None or value_mask.shape[1] == 0:
        return None
    if value_mask[:, 0].all() if causal else value_mask.any(1).all():
        return None
    first = np.where(value_mask.any(1), value_mask.argmax(1), value_mask.shape[1])
    rows = np.arange(queries) if causal else np.full(queries, value_mask.shape[1] - 1)
    return np.nonzero(rows[None] < first[:, None])
