"""What cases of layers are drawn from: numbers, specifications and widths that differ from element to element."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hgq_core.conformance import expected
from hgq_core.conformance.backend import Layer
from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF, Spec

__all__ = ["BATCH", "WEIGHT_MODES", "LayerCase", "Modes", "data_spec", "data_widths", "generator", "numbers"]
__all__ += ["per_tensor", "tensors", "weight_spec", "weight_widths"]

BATCH = 8
Modes = tuple[Round, Overflow]
WEIGHT_MODES: Modes = (Round.RND, Overflow.SAT_SYM)


@dataclass(frozen=True, slots=True)
class LayerCase:
    """A graph of layers with the data that it is judged on.

    Attributes:
        layers: in the order of `hgq_core.conformance.wiring`.
        input_shape: without the batch axis.
        inputs: float32 arrays, one per input of the model.
    """

    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    inputs: tuple[NDArray[np.float32], ...]


def generator(name: str) -> np.random.Generator:
    """The random numbers of a case: the same each time."""
    return np.random.default_rng(crc32(name.encode()))


def numbers(rng: np.random.Generator, *size: int) -> NDArray[np.float32]:
    """Weights finer than their quantizers, so that ties and saturation occur."""
    return (rng.integers(-160, 161, size) / 64).astype(np.float32)


def tensors(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], ...]:
    """Inputs of a model, beyond the ranges of their quantizers too."""
    return tuple((rng.integers(-400, 401, (BATCH, *shape)) / 64).astype(np.float32) for _ in range(count))


def per_tensor() -> dict[str, Any]:
    """The granularity of one width for a whole tensor."""
    return {"homogeneous_axis": None, "heterogeneous_axis": ()}


def data_spec(modes: Modes = (Round.RND, Overflow.WRAP), *, shared: bool = False) -> Spec:
    """A quantizer of data, with a width for each element, or ``shared`` over the tensor."""
    axes: dict[str, Any] = per_tensor() if shared else {"homogeneous_axis": (0,)}
    return KIF(round_mode=modes[0], overflow_mode=modes[1], i_decay_speed=0.01, **axes)


def data_widths(rng: np.random.Generator, shape: tuple[int, ...], *, shared: bool = False) -> dict[str, Any]:
    """Stored widths of data, dead elements among them."""
    size = (1,) * (len(shape) + 1) if shared else (1, *shape)
    k = rng.integers(0, 2, size)
    widths = {"k": k, "i": rng.integers(0, 3, size), "f": rng.integers(-1, 4, size)}
    if shared:  # one dead width would silence the whole layer
        widths["f"] = np.maximum(widths["f"], 1)
    return widths


def weight_spec(modes: Modes = WEIGHT_MODES, *, is_bias: bool = False) -> Spec:
    """A quantizer of a kernel, with a width for each element, or of a bias, whose range follows it."""
    if is_bias:
        return KBI(round_mode=Round.RND, overflow_mode=Overflow.WRAP, i_decay_speed=0.01)
    return KBI(round_mode=modes[0], overflow_mode=modes[1], is_weight=True, i_decay_speed=inf)


def weight_widths(
    rng: np.random.Generator, array: NDArray[Any], modes: Modes = WEIGHT_MODES, *, is_bias: bool = False
) -> dict[str, Any]:
    """Stored widths of a kernel, dead elements among them, or of a bias; WRAP has the integer bits that it needs."""
    b = rng.integers(1, 6, array.shape)
    if not is_bias:
        b = np.where(rng.uniform(size=array.shape) < 0.15, 0, b)
    i = rng.integers(0, 3, array.shape)
    if is_bias or modes[1] is Overflow.WRAP:
        b = np.maximum(b, 1)
        flat = zip(array.ravel(), b.ravel(), strict=True)
        mode = Round.RND if is_bias else modes[0]
        i = np.array([expected.integer_bits_kbi(v, v, int(n), mode) if v else 0 for v, n in flat]).reshape(b.shape)
    return {"k": 1, "b": b, "i": i}
