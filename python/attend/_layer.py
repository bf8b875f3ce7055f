"""What all layers share: weights by name, initial values, regularisers and constraints, as Keras has them."""

from __future__ import annotations

import re
from typing import Any, Callable, Union

import numpy as np

from ._arrays import Array, Arrays, as_array

Initializer = Union[str, Callable[..., Any]]
Penalty = Union[str, Callable[[Array], Any], None]
Constraint = Union[Callable[[Array], Any], None]


Made = Callable[[tuple[int, ...], int, int], Array]  # from shape, fan-in and fan-out


def _variance_scaling(factor: float, mode: str, normal: bool) -> Made:
    """Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998."""

    def make(shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        variance = factor / max(1.0, fan_in if mode == "in" else (fan_in + fan_out) / 2)
        if not normal:
            return np.random.uniform(-np.sqrt(3 * variance), np.sqrt(3 * variance), shape)
        draws = np.random.normal(size=shape)  # within two deviations, which leaves 0.8796 of one
        while (far := np.abs(draws) > 2).any():
            draws[far] = np.random.normal(size=int(far.sum()))
        return np.asarray(np.multiply(draws, np.sqrt(variance) / 0.87962566103423978))

    return make


INITIALIZERS: dict[str, Made] = {
    "zeros": lambda shape, *_: np.zeros(shape),
    "ones": lambda shape, *_: np.ones(shape),
    "random_normal": lambda shape, *_: np.random.normal(0.0, 0.05, shape),
    "random_uniform": lambda shape, *_: np.random.uniform(-0.05, 0.05, shape),
    "glorot_uniform": _variance_scaling(1.0, "average", False),
    "glorot_normal": _variance_scaling(1.0, "average", True),
    "he_uniform": _variance_scaling(2.0, "in", False),
    "he_normal": _variance_scaling(2.0, "in", True),
    "lecun_uniform": _variance_scaling(1.0, "in", False),
    "lecun_normal": _variance_scaling(1.0, "in", True),
}
PENALTIES: dict[str, Callable[[Array], Any]] = {
    "l1": lambda x: 0.01 * np.abs(x).sum(),
    "l2": lambda x: 0.01 * np.square(x).sum(),
}


def _named(argument: str, value: Any, names: dict[str, Any]) -> Any:
    """A function given as such, or by a name such as "glorot_uniform" or "GlorotUniform"."""
    if value is None or callable(value):
        return value
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value).lower() if isinstance(value, str) else value
    if isinstance(name, str) and name in names:
        return names[name]
    raise ValueError(f"{argument}: {value!r}, expected a function or one of {', '.join(names)}")


class Weight:
    """A named array of a layer. `summed` leading dimensions meet the input: the fan-in; the others are the fan-out."""

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], initializer: Initializer = "zeros",
                 regularizer: Penalty = None, constraint: Constraint = None, summed: int = 1) -> None:
        make = _named(f"{name} initializer", initializer, INITIALIZERS)
        if make in INITIALIZERS.values():
            fan_in = int(np.prod(shape[:summed]))
            value = make(shape, fan_in, int(np.prod(shape[summed:])) if len(shape) > 1 else fan_in)
        else:
            value = make(shape, dtype=dtype)
        self.name, self.shape = name, shape
        self.value = np.array(value, dtype)
        if self.value.shape != shape:
            raise ValueError(f"{name} initializer: made shape {self.value.shape}, expected {shape}")
        self.regularizer = _named(f"{name} regularizer", regularizer, PENALTIES)
        self.constraint = _named(f"{name} constraint", constraint, {})

    def assign(self, value: Arrays) -> None:
        array = as_array(value, self.name)
        if array.shape != self.shape:
            raise ValueError(f"{self.name}: shape {array.shape}, expected {self.shape}")
        self.value = np.array(array, self.value.dtype)


class Layer:
    """A layer with Keras's manners: it is built by its first call, from the shapes of what it is called on."""

    _counts: dict[str, int] = {}

    def __init__(self, *, name: str | None = None, dtype: Any = None, trainable: bool = True) -> None:
        self.dtype = np.dtype("float32" if dtype is None else dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype: {self.dtype}, expected float32 or float64")
        if name is None:
            stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()
            count = Layer._counts.get(stem, 0)
            Layer._counts[stem] = count + 1
            name = f"{stem}_{count}" if count else stem
        self.name, self.trainable, self.built = name, trainable, False
        self.supports_masking = True
        self.weights: list[Weight] = []
        self._activity: list[Any] = []
        self._seeds: np.random.Generator | None = None
        self._drops = 0  # the seed that the latest call with dropout used

    def __call__(self, *inputs: Any, **keywords: Any) -> Any:
        return self.call(*inputs, **keywords)

    def call(self, *inputs: Any, **keywords: Any) -> Any:
        raise NotImplementedError

    def get_weights(self) -> list[Array]:
        """Copies of the weights, in the order of Keras."""
        return [w.value.copy() for w in self.weights]

    def set_weights(self, weights: list[Arrays]) -> None:
        """Replace all weights; refused before any is written when a shape does not fit."""
        if len(weights) != len(self.weights):
            raise ValueError(f"weights: {len(weights)} arrays for {self.name}, expected {len(self.weights)}: " +
                             ", ".join(f"{w.name} {w.shape}" for w in self.weights))
        for i, (own, new) in enumerate(zip(self.weights, weights)):
            shape = as_array(new, f"weights[{i}]").shape
            if shape != own.shape:
                raise ValueError(f"weights[{i}]: shape {shape}, expected {own.name}'s {own.shape}")
        for own, new in zip(self.weights, weights):
            own.assign(new)

    def count_params(self) -> int:
        return sum(w.value.size for w in self.weights)

    @property
    def losses(self) -> list[float]:
        """What the regularisers say about the weights, then about the activities of the latest call."""
        return [float(w.regularizer(w.value)) for w in self.weights if w.regularizer] + list(self._activity)

    def constrain(self) -> None:
        """Apply the constraints, as an optimiser does after each step."""
        for w in self.weights:
            if w.constraint:
                w.assign(w.constraint(w.value))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def _add_weight(self, name: str, shape: tuple[int, ...], initializer: Initializer, regularizer: Penalty = None,
                    constraint: Constraint = None, summed: int = 1) -> Weight:
        weight = Weight(name, shape, self.dtype, initializer, regularizer, constraint, summed)
        self.weights.append(weight)
        return weight

    def _cast(self, x: Any, name: str) -> Array:
        """Floating numbers in the layer's type, as Keras casts what a layer is called on."""
        array = as_array(x, name, self.dtype)
        return array.astype(self.dtype, copy=False) if array.dtype.kind == "f" else array

    def _next_drops(self, seed: int | None) -> int:
        """A new seed for each call in training; the same sequence for the same layer seed."""
        if self._seeds is None:
            self._seeds = np.random.default_rng(seed)
        self._drops = int(self._seeds.integers(1 << 63))
        return self._drops
