"""What a node of the Graph can do. An operation is data: frozen, without behaviour beyond its shape algebra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hgq_core.errors import GraphError
from hgq_core.formats import Formats
from hgq_core.graph._moves import Broadcast, Concatenate, Gather, Pad, Repeat, Reshape, Shape, Slice, Transpose
from hgq_core.linear import Contract, Convolve, Pool
from hgq_core.modes import Overflow, Round

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_core.graph.ir import Graph

__all__ = [
    "Add",
    "Broadcast",
    "Clip",
    "Compare",
    "Concatenate",
    "Constant",
    "Contract",
    "Convolve",
    "Gather",
    "Input",
    "Lookup",
    "Maximum",
    "Minimum",
    "Multiply",
    "Negate",
    "Operation",
    "Pad",
    "Pool",
    "Quantize",
    "Reduce",
    "Relu",
    "Repeat",
    "Reshape",
    "Scan",
    "Select",
    "Shape",
    "Slice",
    "Subtract",
    "Transpose",
]


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor from outside, ``(batch, *shape)``. ``formats`` is None for real numbers that are not quantized yet.

    Attributes:
        shape: without the batch axis.
        formats: None for real numbers.
    """

    shape: Shape
    formats: Formats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """Exact numbers ``integers * 2**-fraction``, without a batch axis.

    Attributes:
        integers: int64, of the constant's shape.
        fraction: fraction bits, int64, broadcastable to that shape.
        bits: widths in bits that EBOPs counts (`cost`), broadcastable to the shape; None if the constant costs nothing.
    """

    integers: NDArray[np.int64]
    fraction: NDArray[np.int64]
    bits: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, values: object, bits: object = None) -> Constant:
        """The constant that equals ``values`` (float64 or narrower) exactly.

        >>> Constant.of([0.75, -2.0]).integers
        array([ 3, -1])
        """
        array = np.asarray(values, dtype=np.float64)
        covering = Formats.covering(array)
        scaled = np.asarray(np.ldexp(array, covering.f), np.int64)
        return cls(scaled, covering.f, None if bits is None else np.asarray(bits, dtype=np.int64))

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers as float64; exact up to 53 bits."""
        return np.ldexp(self.integers.astype(np.float64), -self.fraction)


@dataclass(frozen=True, slots=True)
class Quantize:
    """Round and limit each element to its format; the only lossy operation. ``formats`` broadcasts to the shape.

    Attributes:
        formats: of the elements, broadcastable to the shape of the tensor.
        round: how numbers between two steps are rounded.
        overflow: what becomes of numbers beyond the range.
    """

    formats: Formats
    round: Round
    overflow: Overflow

    def __post_init__(self) -> None:
        object.__setattr__(self, "round", Round.parse(self.round))
        object.__setattr__(self, "overflow", Overflow.parse(self.overflow))


@dataclass(frozen=True, slots=True)
class Add:
    """Sum of two or more operands, broadcasting as NumPy."""


@dataclass(frozen=True, slots=True)
class Subtract:
    """Difference of two operands."""


@dataclass(frozen=True, slots=True)
class Multiply:
    """Product of two or more operands."""


@dataclass(frozen=True, slots=True)
class Maximum:
    """Largest of two or more operands."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """Smallest of two or more operands."""


@dataclass(frozen=True, slots=True)
class Negate:
    """``-x``."""


@dataclass(frozen=True, slots=True)
class Reduce:
    """Sum, maximum or minimum over ``axes``, which count without the batch axis.

    Attributes:
        kind: ``"sum"``, ``"max"`` or ``"min"``.
        axes: without the batch axis.
        keepdims: keep them with size 1.
    """

    kind: Literal["sum", "max", "min"]
    axes: tuple[int, ...]
    keepdims: bool = False


@dataclass(frozen=True, slots=True)
class Relu:
    """``max(x, 0)``."""


@dataclass(frozen=True, slots=True)
class Clip:
    """``min(max(x, low), high)`` with exact bounds.

    Attributes:
        low: smallest value.
        high: largest value.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Compare:
    """1 where the comparison of the two operands holds, else 0.

    Attributes:
        kind: ``"<"``, ``"<="``, ``"=="``, ``">="`` or ``">"``.
    """

    kind: Literal["<", "<=", "==", ">=", ">"]


@dataclass(frozen=True, slots=True)
class Select:
    """Second operand where the first is not 0, else the third."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """A table per element: ``y = tables[index][code]``, ``code = x * 2**f`` as an unsigned number of k + i + f bits.

    So the non-negative half of a signed input comes first, the negative half second. An input element must already be
    quantized to its format in ``formats``.

    Attributes:
        formats: input formats, of the shape of the input.
        tables: integer arrays, one per distinct table, in units of ``2**-fraction``.
        fraction: fraction bits of all tables.
        index: which table each element uses, of the shape of the input.
        bits: widths of the outputs that EBOPs counts, broadcastable to the shape.
        table_idxs: of a layer of one table an edge, whose EBOPs are `hgq_core.cost.edge_cost` with these numbers and
            ``bits`` with their sign; None: `hgq_core.cost.lookup_cost`.
    """

    formats: Formats
    tables: tuple[NDArray[np.int64], ...]
    fraction: int
    index: NDArray[np.int64]
    bits: NDArray[np.int64] | None = None
    table_idxs: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        sizes = 2**self.formats.width
        if self.formats.shape != self.index.shape:
            message = (
                f"lookup formats have shape {self.formats.shape}, the table index {self.index.shape}; expected the same"
            )
            raise GraphError(message)
        if self.index.size and (self.index.min() < 0 or self.index.max() >= len(self.tables)):
            message = (
                f"lookup index runs to {self.index.max()}, expected less than the number of tables, {len(self.tables)}"
            )
            raise GraphError(message)
        lengths = np.array([len(table) for table in self.tables], dtype=np.int64)
        if np.any(lengths[self.index] != sizes):
            message = "a lookup table does not have one entry per representable input, 2**(k + i + f)"
            raise GraphError(message)


@dataclass(frozen=True, slots=True)
class Scan:
    """Runs ``body`` along axis 0 (batch left out) of the first operand; the others are the initial states.

    The body's inputs are ``(x_t, *states)``, its outputs ``(y_t, *new states)``. The result stacks the ``y_t``.

    Attributes:
        body: the Graph of one step.
        steps: how often it runs, the length of axis 0.
        reverse: from the last step to the first; results stay at the place of their inputs.
    """

    body: Graph
    steps: int
    reverse: bool = False


Operation = (
    Input
    | Constant
    | Quantize
    | Contract
    | Convolve
    | Pool
    | Add
    | Subtract
    | Multiply
    | Maximum
    | Minimum
    | Negate
    | Reduce
    | Relu
    | Clip
    | Compare
    | Select
    | Lookup
    | Reshape
    | Transpose
    | Concatenate
    | Slice
    | Pad
    | Broadcast
    | Repeat
    | Gather
    | Scan
)
