"""Which elements of a tensor share a width: axes, and blocks along an axis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.ops import Ops

__all__ = ["Granularity", "Sharing"]


@dataclass(frozen=True, slots=True)
class Granularity:
    """Own widths along some axes, shared widths along the others. Axis 0 of data is the batch.

    Attributes:
        homogeneous_axis: axes that share one width; every other axis has its own.
        heterogeneous_axis: axes with a width for each index; every other axis shares. Exactly one of the two is given.
        blocks: size of the groups of neighbours that share a width along an axis that has its own.

    >>> Granularity(homogeneous_axis=(0,)).resolve((None, 4, 3)).width_shape
    (1, 4, 3)
    >>> Granularity(heterogeneous_axis=(1,), blocks={1: 2}).resolve((None, 4, 3)).width_shape
    (1, 2, 1, 1)
    """

    homogeneous_axis: tuple[int, ...] | None = None
    heterogeneous_axis: tuple[int, ...] | None = None
    blocks: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.homogeneous_axis is None) == (self.heterogeneous_axis is None):
            message = (
                f"received homogeneous_axis={self.homogeneous_axis} and heterogeneous_axis={self.heterogeneous_axis}; "
                "expected exactly one of the two"
            )
            raise ConfigError(message)
        for name in ("homogeneous_axis", "heterogeneous_axis"):
            axes: object = getattr(self, name)
            if axes is not None and not isinstance(axes, tuple | list):
                message = f"{name}: received {axes!r}, expected a tuple of axes such as (0,)"
                raise ConfigError(message)

    def resolve(self, shape: Sequence[int | None]) -> Sharing:
        """How a tensor of this shape shares its widths.

        Raises:
            ConfigError: an axis is out of range or given twice, a block does not divide its axis, or there are blocks
                and more than one axis of unknown size.
            ShapeError: an axis with its own widths has an unknown size.
        """
        given = self.homogeneous_axis if self.heterogeneous_axis is None else self.heterogeneous_axis
        axes = [_normalized(axis, len(shape)) for axis in given or ()]
        if len(set(axes)) != len(axes):
            message = f"an axis is given twice in {tuple(given or ())} for shape {tuple(shape)}"
            raise ConfigError(message)
        own = set(axes) if self.heterogeneous_axis is not None else set(range(len(shape))) - set(axes)
        blocks = {_normalized(axis, len(shape)): size for axis, size in self.blocks.items()}
        split: list[int] = []
        width: list[int] = []
        shared: list[int] = []
        for axis, size in enumerate(shape):
            if axis not in own:
                shared.append(len(split))
                split.append(-1 if size is None else size)
                width.append(1)
                continue
            if size is None:
                message = (
                    f"axis {axis} of shape {tuple(shape)} has no fixed size and cannot have its own widths; "
                    f"fix the size, or share the widths there: homogeneous_axis=({axis},)"
                )
                raise ShapeError(message)
            block: object = blocks.get(axis, 1)
            if not isinstance(block, int) or block < 1 or size % block:
                message = f"blocks of {block} do not divide axis {axis} of size {size}"
                raise ConfigError(message)
            split.append(size // block)
            width.append(size // block)
            if block > 1:
                shared.append(len(split))
                split.append(block)
                width.append(1)
        if unused := set(blocks) - own:
            message = (
                f"blocks are given along axes {sorted(unused)}, which share one width; expected axes with own widths"
            )
            raise ConfigError(message)
        joined = tuple(-1 if size is None else size for size in shape)
        if blocks and joined.count(-1) > 1:
            message = f"blocks need a fixed size along every axis but one, received shape {tuple(shape)}"
            raise ConfigError(message)
        return Sharing(tuple(width), tuple(split) if blocks else None, joined, tuple(shared))


def _normalized(axis: object, rank: int) -> int:
    axis = int(axis) if isinstance(axis, np.integer) else axis
    if not isinstance(axis, int) or not -rank <= axis < rank:
        message = f"axis {axis!r} is out of range for a tensor with {rank} axes; expected {-rank} to {rank - 1}"
        raise ConfigError(message)
    return axis % rank


@dataclass(frozen=True, slots=True)
class Sharing:
    """`Granularity` for one shape.

    Attributes:
        width_shape: shape of the width tensor; it broadcasts to the tensor that `split` gives.
        split_shape: shape in which blocks are axes of their own, None without blocks.
        joined_shape: shape of the tensor, -1 where unknown.
        shared_axes: axes of the split tensor over which gradients are summed and extremes taken.
    """

    width_shape: tuple[int, ...]
    split_shape: tuple[int, ...] | None
    joined_shape: tuple[int, ...]
    shared_axes: tuple[int, ...]

    def split(self, ops: Ops, x: Any) -> Any:
        """x in the shape to which widths broadcast."""
        return x if self.split_shape is None else ops.reshape(x, self.split_shape)

    def join(self, ops: Ops, x: Any) -> Any:
        """The inverse of `split`."""
        return x if self.split_shape is None else ops.reshape(x, self.joined_shape)

    def expand(self, ops: Ops, widths: Any) -> Any:
        """Widths in a shape that broadcasts to the original tensor: blocks are repeated, the batch axis stays 1."""
        if self.split_shape is None:
            return widths
        full = [1 if n == -1 else n for n in self.split_shape]
        joined = [1 if n == -1 else n for n in self.joined_shape]
        return ops.reshape(ops.broadcast_to(widths, full), joined)
