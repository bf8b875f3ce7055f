"""The formulas of attention in double precision, as a paper writes them: what the package is compared with."""

import numpy as np


def scores(query, key, score="scaled_dot", scale=None, score_weight=None, softcap=None, bias=None):
    """(..., Tq, Tk) from query (..., Tq, D) and key (..., Tk, D)."""
    q, k = np.asarray(query, np.float64), np.asarray(key, np.float64)
    if score in ("dot", "scaled_dot"):
        e = q @ np.swapaxes(k, -1, -2)
        usual = 1 / np.sqrt(q.shape[-1]) if score == "scaled_dot" else 1.0
    elif score == "additive":
        w = np.ones(q.shape[-1]) if score_weight is None else np.asarray(score_weight, np.float64)
        e, usual = np.tanh(q[..., :, None, :] + k[..., None, :, :]) @ w, 1.0
    else:
        e, usual = np.zeros(q.shape[:-1] + k.shape[-2:-1]), 1.0
    e = e * (usual if scale is None else scale)
    if softcap is not None:
        e = softcap * np.tanh(e / softcap)
    return e if bias is None else e + bias


def softmax(e, visible=True, masked_rows="zero"):
    """Over the last axis, of the visible entries alone."""
    visible = np.broadcast_to(visible, e.shape)
    e = np.where(visible, e, -np.inf)
    top = e.max(-1, keepdims=True)
    w = np.exp(e - np.where(np.isfinite(top), top, 0))
    total = w.sum(-1, keepdims=True)
    empty = 1 / e.shape[-1] if masked_rows == "uniform" else 0.0
    return np.where(total > 0, w / np.where(total > 0, total, 1), empty)


def causal(rows, columns, offset=0):
    return np.arange(columns) <= np.arange(rows)[:, None] + offset


def band(rows, columns, left, right):
    distance = np.arange(columns) - np.arange(rows)[:, None]
    return (-left <= distance) & (distance <= right)


def numeric_gradient(f, x, step=1e-5):
    """Central differences of the scalar f() in every element of the float64 array x, which f reads."""
    gradient = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        old = x[at]
        x[at] = old + step
        above = f()
        x[at] = old - step
        below = f()
        x[at] = old
        gradient[at] = (above - below) / (2 * step)
    return gradient
