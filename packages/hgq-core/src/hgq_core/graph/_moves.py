"""Operations of the Graph that move numbers and compute nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Broadcast", "Concatenate", "Gather", "Pad", "Repeat", "Reshape", "Shape", "Slice", "Transpose"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reshape:
    """New shape without the batch axis, same order of elements (row-major).

    Attributes:
        shape: without the batch axis.
    """

    shape: Shape


@dataclass(frozen=True, slots=True)
class Transpose:
    """Permutation of the axes, which count without the batch axis.

    Attributes:
        axes: the old axis at each new place.
    """

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Concatenate:
    """Operands one after the other along ``axis``, which counts without the batch axis.

    Attributes:
        axis: without the batch axis.
    """

    axis: int


@dataclass(frozen=True, slots=True)
class Slice:
    """``x[start:stop:step]`` along each axis, batch axis left out; steps are positive.

    Attributes:
        start: first index along each axis.
        stop: index after the last, along each axis.
        step: positive, along each axis.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    step: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pad:
    """``(before, after)`` zeros along each axis, batch axis left out.

    Attributes:
        pads: ``(before, after)`` along each axis.
    """

    pads: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Repeated to ``shape`` by NumPy's rule, batch axis left out.

    Attributes:
        shape: without the batch axis.
    """

    shape: Shape


@dataclass(frozen=True, slots=True)
class Repeat:
    """Each element ``times`` times along ``axis``, which counts without the batch axis.

    Attributes:
        times: how often.
        axis: without the batch axis.
    """

    times: int
    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Gather:
    """``take(x, indices, axis)`` with constant 1-d indices; ``axis`` counts without the batch axis.

    Attributes:
        indices: constant, one axis.
        axis: without the batch axis.
    """

    indices: NDArray[np.int64]
    axis: int
