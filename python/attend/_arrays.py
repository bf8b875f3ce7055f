"""Other people's arrays as NumPy arrays, without copies where their layout allows it."""

from __future__ import annotations

from typing import Any, Protocol, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray


class SupportsDLPack(Protocol):
    """What torch, JAX, CuPy and others give: an array that NumPy reads in place."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...


Array = NDArray[Any]
Arrays = Union[ArrayLike, SupportsDLPack]


def as_array(x: Arrays, name: str, dtype: np.dtype[Any] | None = None) -> Array:
    """`x` as an array over the same memory, native in byte order and aligned. `dtype` is what plain numbers and lists
    become; the elements of an array keep their type."""
    if type(x) is np.ndarray:
        array = x
    elif hasattr(x, "__dlpack__"):
        try:
            array = np.from_dlpack(x)  # type: ignore[arg-type]
        except (BufferError, RuntimeError, TypeError) as reason:
            raise ValueError(f"{name}: {type(x).__name__} that cannot be read in place: {reason}") from None
    elif hasattr(x, "__array__") or isinstance(x, (np.ndarray, memoryview)):
        array = np.asarray(x)
    else:
        try:
            array = np.asarray(x)
            if dtype is not None and not isinstance(x, (bytes, bytearray)) and array.dtype.kind in "iuf":
                array = array.astype(dtype, copy=False)
        except (TypeError, ValueError) as reason:
            raise ValueError(f"{name}: {reason}") from None
    flags = array.flags
    if not flags.aligned or not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="), copy=True)
    return array


def dense_rows(array: Array) -> Array:
    """The array, or a copy when its last dimension is not contiguous in memory."""
    if array.strides and array.strides[-1] != array.itemsize and array.shape[-1] > 1:
        return np.ascontiguousarray(array)
    return array


def as_mask(x: Arrays, name: str) -> Array:
    """A mask as bytes: non-zero may attend."""
    array: Array = as_array(x, name)
    if array.dtype == np.bool_ or array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name}: {array.dtype}, expected booleans or numbers")
    return np.not_equal(array, 0)
