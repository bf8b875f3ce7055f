"""Requests that are refused: the message names the argument as it is called in Python, the value and the expectation."""

import attend
import numpy as np
import pytest

X = np.zeros((2, 3, 4), np.float32)
REFUSED = {
    "query: shape": lambda: attend.attention(np.zeros(3), np.zeros(3)),
    "value: shape": lambda: attend.attention(X, X[0]),
    "key: 3 wide in each head, expected 4": lambda: attend.attention(X, X, X[:, :, :3]),
    "value: a batch of 1, expected q's 2": lambda: attend.attention(X, X[:1]),
    "heads, kv_heads: 3 and 2": lambda: attend.attention(np.zeros((1, 3, 2, 4)), np.zeros((1, 2, 2, 4))),
    "query: int64": lambda: attend.attention(np.zeros((2, 3), int), np.zeros((2, 3), int)),
    "key: float64, expected float32": lambda: attend.attention(X, X, X.astype(float)),
    "score: 'cosinus', expected one of": lambda: attend.attention(X, X, score="cosinus"),
    "align: 'soft'": lambda: attend.attention(X, X, align="soft"),
    "causal: 'left'": lambda: attend.attention(X, X, causal="left"),
    "masked_rows: 'none'": lambda: attend.attention(X, X, masked_rows="none"),
    "window: 3, expected a pair": lambda: attend.attention(X, X, window=3),
    "left: -1": lambda: attend.attention(X, X, window=(-1, 2)),
    "window: right 2 with causal": lambda: attend.attention(X, X, window=(1, 2), causal=True),
    "score_weight: given, expected none": lambda: attend.attention(X, X, score_weight=np.ones(4, np.float32)),
    "score_weight: shape": lambda: attend.attention(X, X, score="additive", score_weight=np.ones(3, np.float32)),
    "mask: shape": lambda: attend.attention(X, X, mask=np.ones((2, 3, 4), bool)),
    "mask: <U1": lambda: attend.attention(X, X, mask=np.array(["x"])),
    "value_mask: shape": lambda: attend.attention(X, X, value_mask=np.ones((3, 3), bool)),
    "bias: float64": lambda: attend.attention(X, X, bias=np.zeros((3, 3))),
    "dropout: 1": lambda: attend.attention(X, X, dropout=1.0),
    "softcap: -1": lambda: attend.attention(X, X, softcap=-1.0),
    "scale: 0": lambda: attend.attention(X, X, scale=0.0),
    "scale: nan": lambda: attend.attention(X, X, scale=float("nan")),
    "temperature: 0": lambda: attend.attention(X, X, temperature=0),
    "grad_output: shape": lambda: attend.attention_grad(X[0], X, X),
    "grad_output: shape .*,3": lambda: attend.attention_grad(X[:, :, :3], X, X),
    "local: None beside": lambda: attend.attention(X, X, half_width=2),
    "local: 'near'": lambda: attend.attention(X, X, local="near"),
    "key_lengths: float32, expected integers": lambda: attend.attention(X, X, key_lengths=np.ones(2, np.float32)),
    "key_lengths: 4 at": lambda: attend.attention(X, X, key_lengths=[4, 1]),
    "key_lengths: a number beyond": lambda: attend.attention(X, X, key_lengths=[1 << 40, 1]),
    "relative_kind: 'rope'": lambda: attend.attention(X, X, relative_kind="rope"),
    "threads: 0": lambda: attend.set_num_threads(0),
    "isa: 'sse'": lambda: attend.set_isa("sse"),
    "query: elements of format": lambda: attend.attention(X.astype(complex), X),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()


def test_unknown_keyword():
    with pytest.raises(TypeError, match="'mask_value' is no argument, expected .*score_vector"):
        attend.attention(X, X, mask_value=X)
    with pytest.raises(TypeError, match="mask_value"):
        attend.attention_grad(X, X, X, mask_value=X)


def test_too_large_for_memory():
    one = np.zeros((1, 1), np.float32)
    huge = np.broadcast_to(one, (1 << 40, 1))  # no memory behind it
    with pytest.raises(MemoryError):
        attend.attention(huge, huge, return_weights=True)
