"""Quantizers of which a Graph has recorded the formats, or no more than the numbers that they gave and their bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import UnsupportedError
from hgq_core.modes import Overflow
from hgq_core.spec import KBI, KIF, WIDEST, Bounds, default_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from hgq_core.formats import Formats
    from hgq_core.graph.ops import Constant, Lookup, Quantize, Shape

__all__ = ["Recorded", "of_constant", "of_formats", "of_quantize", "of_table"]

_DATA_AXES: dict[str, Any] = {"homogeneous_axis": (0,), "heterogeneous_axis": None}
"""A width of its own for every element of data."""
_FLOAT32 = 24
"""Significant bits of the numbers of trained tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A quantizer as a Graph has it: what it is, and the widths that it stands at.

    Attributes:
        spec: with the limits and factors that the place has by default, wider where a recorded width is beyond them.
        widths: stored widths by name (bits), of the shape of the tensor, for data with a leading axis of size 1.
        place: that it has in a layer.
    """

    spec: KIF | KBI
    widths: Mapping[str, NDArray[np.float64]]
    place: str

    def shared(self) -> Recorded:
        """That of data with one width along each axis on which all widths are equal, as of positions of a sequence."""
        any_width = next(iter(self.widths.values()))
        equal = [
            axis
            for axis in range(1, any_width.ndim)
            if any_width.size and all(np.all(width == width.take([0], axis)) for width in self.widths.values())
        ]
        one = tuple(slice(0, 1) if axis in equal else slice(None) for axis in range(any_width.ndim))
        widths = {name: width[one] for name, width in self.widths.items()}
        return Recorded(replace(self.spec, homogeneous_axis=(0, *equal)), widths, self.place)


# --- formats that are recorded ---


def of_quantize(name: str, operation: Quantize, shape: Shape) -> Recorded:
    """The quantizer of a Quantize node, a width for each element.

    Raises:
        UnsupportedError: more bits than the arithmetic of a quantizer holds.
    """
    modes: dict[str, Any] = {"round_mode": operation.round, "overflow_mode": operation.overflow}
    return _kif(name, operation.formats.broadcast_to(shape), modes)


def of_formats(name: str, formats: Formats, shape: Shape) -> Recorded:
    """The quantizer of numbers that are in these formats already, which nothing trains."""
    return _kif(name, formats.broadcast_to(shape), {"overflow_mode": Overflow.WRAP, "trainable": False})


def _kif(name: str, formats: Formats, parameters: dict[str, Any]) -> Recorded:
    widths = {part: getattr(formats, part)[None].astype(np.float64) for part in "kif"}
    for part, values in widths.items():
        if np.any(np.abs(values) > WIDEST):
            message = (
                f"node {name!r} quantizes with {part} of {int(values.flat[np.argmax(np.abs(values))])} bits, and a "
                f"trained quantizer (kif) holds -{WIDEST} to {WIDEST}; scale the data of the model that the graph is of"
            )
            raise UnsupportedError(message)
    default = default_parameters("kif", "datalane")
    limits = {limit: _with(default[limit], widths[limit[0]]) for limit in ("ic", "fc")}
    return Recorded(KIF(**{**default, **limits, **_DATA_AXES, **parameters}), widths, "datalane")


def _with(limit: Bounds, widths: NDArray[np.float64]) -> Bounds:
    """The limits, moved where recorded widths are beyond them."""
    low, high = widths.min(initial=limit.low), widths.max(initial=limit.high)
    return Bounds(min(limit.low, float(low)), max(limit.high, float(high)))


# --- formats of which only numbers are known ---


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers that each element of a tensor can be, as whole numbers of its coarsest step ``2**-fraction``."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    fraction: NDArray[np.int64]

    @classmethod
    def of(cls, low: NDArray[Any], high: NDArray[Any], used: NDArray[Any], fraction: NDArray[Any]) -> _Numbers:
        """From numbers in units of ``2**-fraction``, of which ``used`` has all bits that one of them has."""
        trailing = np.where(used == 0, 0, np.frexp((used & -used).astype(np.float64))[1] - 1)
        return cls(*(np.asarray(part, np.int64) for part in (low >> trailing, high >> trailing, fraction - trailing)))

    @property
    def zero(self) -> NDArray[np.bool_]:
        """Where 0 is the only number, which any format holds."""
        zero: NDArray[np.bool_] = (self.low == 0) & (self.high == 0)
        return zero

    @property
    def symmetric(self) -> NDArray[np.int64]:
        """Bits without a sign that hold them in SAT_SYM."""
        return _bits(np.maximum(-self.low, self.high))

    @property
    def complement(self) -> NDArray[np.int64]:
        """Bits without a sign that hold them in WRAP and SAT, which have one negative number more."""
        return np.maximum(_bits(np.maximum(-self.low - 1, 0)), _bits(np.maximum(self.high, 0)))


def _bits(magnitude: NDArray[np.int64]) -> NDArray[np.int64]:
    bits: NDArray[np.int64] = np.frexp(magnitude.astype(np.float64))[1].astype(np.int64)
    return bits


def of_constant(name: str, constant: Constant, place: str) -> Recorded:
    """A quantizer that gives the numbers of a Constant, which counts the bits that it has: their formats are not known.

    Integer bits are those of the largest number of the tensor, fewer where the bits of an element leave no room.

    Raises:
        UnsupportedError: an element that is no number of so few bits.
    """
    magnitude = np.abs(constant.integers)
    fraction = np.broadcast_to(constant.fraction, constant.integers.shape)
    numbers = _Numbers.of(constant.integers, constant.integers, magnitude, fraction)
    counted = np.broadcast_to(np.asarray(constant.bits), constant.integers.shape)
    return _kbi(f"constant {name!r}", numbers, counted, place, with_sign=False)


def of_table(name: str, lookup: Lookup) -> Recorded:
    """A quantizer of which every number is one that a Lookup gives, and which counts the bits that it has.

    Raises:
        UnsupportedError: an entry that is no number of so few bits, or no number of float32.
    """
    low, high = (np.array([edge(t) for t in lookup.tables], dtype=np.int64) for edge in (np.min, np.max))
    used = np.array([np.bitwise_or.reduce(np.abs(table)) for table in lookup.tables], dtype=np.int64)
    one = _Numbers.of(low, high, used, np.full(used.shape, lookup.fraction))
    index = lookup.index[None]
    numbers = _Numbers(one.low[index], one.high[index], one.fraction[index])
    if np.any(numbers.symmetric > _FLOAT32):
        message = (
            f"table {name!r} has entries of {int(numbers.symmetric.max())} bits, and tables of layers hold numbers of "
            f"float32, {_FLOAT32} bits; quantize its output to fewer bits before training it further"
        )
        raise UnsupportedError(message)
    counted = np.broadcast_to(np.asarray(lookup.bits), lookup.index.shape)[None]
    return _kbi(f"table {name!r}", numbers, counted, "table", with_sign=lookup.table_idxs is not None)


def _kbi(title: str, numbers: _Numbers, counted: NDArray[np.int64], place: str, *, with_sign: bool) -> Recorded:
    default = default_parameters("kbi", place)
    for overflow, k, b, need in _choices(numbers, counted, default["overflow_mode"], with_sign=with_sign):
        held = (need <= b) & ((k > 0) | (numbers.low >= 0))
        if np.all(held | numbers.zero):
            least = need - numbers.fraction
            typical = np.max(least, initial=-WIDEST, where=~numbers.zero) if not np.all(numbers.zero) else 0
            i = np.where(numbers.zero, typical, np.minimum(typical, b - numbers.fraction))
            axes = _DATA_AXES if place == "table" else {}
            modes: dict[str, Any] = {"overflow_mode": overflow}
            if overflow is not default["overflow_mode"]:
                # A stored range, as of data: that of the numbers alone would make steps of zeros too small.
                modes |= {"is_weight": False, "i_decay_speed": 0.01}
            limit = _with(default["bc"], b.astype(np.float64))
            widths = {name: part.astype(np.float64) for name, part in (("k", k), ("b", b), ("i", i))}
            return Recorded(KBI(**{**default, "bc": limit, **axes, **modes}), widths, place)
    message = (
        f"{title} has numbers of more bits than it counts, as behind a scaler or an affine map of its quantizer; leave "
        "these out of the model that the graph is of, or set its bits to those of its numbers"
    )
    raise UnsupportedError(message)


_Choice = tuple[Overflow, "NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]


def _choices(numbers: _Numbers, counted: NDArray[np.int64], usual: Overflow, *, with_sign: bool) -> Iterator[_Choice]:
    """Overflow mode, sign, bits without it, and bits that the numbers need in this mode; the usual mode comes first."""
    one, none = np.ones_like(counted), np.zeros_like(counted)
    alone = np.maximum(counted - 1, 0)
    if not with_sign:
        if usual is not Overflow.WRAP:
            yield Overflow.SAT_SYM, one, counted, numbers.symmetric
        yield Overflow.WRAP, one, counted, numbers.complement
        return
    # What counts its sign is narrower by it, unless no number needs one.
    unsigned = (numbers.low >= 0) & ((numbers.symmetric > alone) | (counted == 1))
    k, b = np.where(unsigned, none, one), np.where(unsigned, counted, alone)
    yield Overflow.SAT_SYM, k, b, numbers.symmetric
    yield Overflow.SAT, np.where(counted > 0, k, none), b, numbers.complement
    # A sign alone counts nothing under WRAP.
    yield Overflow.WRAP, k, b, numbers.complement + np.where((counted == 1) & ~unsigned, WIDEST, 0)
