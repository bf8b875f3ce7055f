"""Attention, in C: every mechanism of the field on NumPy arrays, forward and backward, and models built from them.

    import attend, numpy as np
    output, weights = attend.attention(query, value, causal=True, return_weights=True)
"""

from ._attention import attention, attention_grad
from ._core import version as __version__
from ._dense_attention import AdditiveAttention, Attention
from ._heads import GroupQueryAttention, MultiHeadAttention
from ._model import Entry, Model, Translation
from ._network import Look
from ._plot import Figure, curves, plot, scatter
from ._runtime import get_isa, get_num_threads, set_isa, set_num_threads
from ._sdpa import scaled_dot_product_attention
from ._train import Progress, Training, Validation, train

__all__ = [
    "__version__", "attention", "attention_grad", "scaled_dot_product_attention",
    "AdditiveAttention", "Attention", "GroupQueryAttention", "MultiHeadAttention",
    "Entry", "Look", "Model", "Translation", "Figure", "curves", "plot", "scatter",
    "Progress", "Training", "Validation", "train",
    "get_isa", "get_num_threads", "set_isa", "set_num_threads",
]
