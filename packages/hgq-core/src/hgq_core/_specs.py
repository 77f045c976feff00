"""What a quantizer is before it has variables: frozen specifications, and the numbers that their widths may be."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import inf, isnan
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hgq_core.errors import ConfigError, DataError
from hgq_core.granularity import Granularity
from hgq_core.modes import Overflow, Round
from hgq_core.numbers import LARGEST, checked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from hgq_core.ops import Ops

__all__ = ["KBI", "KIF", "WIDEST", "Bounds", "Dummy", "Float", "Spec", "check_widths"]

WIDEST = 100
"""Largest number of integer, fraction or whole bits: the powers of two and the spans of such formats are float32."""
_RANGES = {"k": (0, 1), "m": (-1, 52), "e": (0, 7), "e0": (-WIDEST, WIDEST)}
"""What else a stored width may be."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of a trained width (bits), applied to the stored float.

    Attributes:
        low: smallest width.
        high: largest width.

    Raises:
        ConfigError: low above high, or NaN.

    >>> Bounds(0, 23)
    Bounds(low=0, high=23)
    """

    low: float = -inf
    high: float = inf

    def __post_init__(self) -> None:
        if isnan(self.low) or isnan(self.high) or self.low > self.high:
            message = f"bounds of a width: received low={self.low}, high={self.high}; expected low <= high"
            raise ConfigError(message)

    def clip(self, ops: Ops, width: Any) -> Any:
        """The width inside the limits."""
        return ops.clip(width, self.low, self.high) if self.low > -inf or self.high < inf else width


@dataclass(frozen=True, slots=True)
class Dummy:
    """Identity: no quantization, no widths.

    Attributes:
        homogeneous_axis: accepted as those of the other types are, and without effect.
        heterogeneous_axis: likewise.
    """

    q_type: ClassVar[str] = "dummy"
    homogeneous_axis: tuple[int, ...] | None = ()
    heterogeneous_axis: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fixed:
    """What both parametrisations of fixed point share."""

    k0: Any = 1
    i0: Any = 2
    ic: Any = None
    ir: Any = None
    round_mode: Round = Round.RND
    overflow_mode: Overflow = Overflow.WRAP
    i_decay_speed: float = inf
    is_weight: bool = False
    homogeneous_axis: tuple[int, ...] | None = ()
    heterogeneous_axis: tuple[int, ...] | None = None
    blocks: Mapping[int, int] = field(default_factory=dict)
    trainable: bool = True
    stochastic: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "round_mode", Round.parse(self.round_mode))
        object.__setattr__(self, "overflow_mode", Overflow.parse(self.overflow_mode))
        if not checked(self.i_decay_speed, "i_decay_speed", "bits per step, 0 to inf") >= 0:
            message = f"i_decay_speed: received {self.i_decay_speed}, expected bits per step, 0 to inf"
            raise ConfigError(message)
        _check_numbers(self)
        _ = self.granularity

    @property
    def granularity(self) -> Granularity:
        """Which elements share a width."""
        return Granularity(self.homogeneous_axis, self.heterogeneous_axis, self.blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class KIF(_Fixed):
    """Fixed point with trained integer bits ``i`` and fraction bits ``f``; recommended for data.

    Initial widths are numbers or initialisers of the framework; constraints and regularisers act on the stored floats:
    `Bounds` and factors of ``sum(width)``, or what the framework takes in their place.

    Attributes:
        k0: 1 to keep negative numbers, 0 not to.
        i0: initial integer bits, without the sign.
        f0: initial fraction bits.
        ic: constraint of ``i``.
        fc: constraint of ``f``.
        ir: regulariser of ``i``.
        fr: regulariser of ``f``.
        round_mode: how numbers between two steps are rounded.
        overflow_mode: what becomes of numbers beyond the range.
        i_decay_speed: under WRAP, bits that ``i`` may fall in one step of training.
        is_weight: whether the values are known, so that the range under WRAP is recomputed from them.
        homogeneous_axis: axes along which one width is shared; give this or ``heterogeneous_axis``.
        heterogeneous_axis: axes along which every index has a width of its own.
        blocks: size of the groups that share a width, by axis.
        trainable: False keeps the widths as they are, in training too.
        stochastic: round at random in training, without bias.

    Raises:
        ConfigError: an unknown mode, widths or factors that are out of reach, or both kinds of axes.

    >>> KIF(i0=0, f0=7, overflow_mode="SAT").overflow_mode.name
    'SAT'
    """

    q_type: ClassVar[str] = "kif"
    f0: Any = 6
    fc: Any = None
    fr: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KBI(_Fixed):
    """Fixed point with trained bits ``b = i + f`` and integer bits ``i``; recommended for weights.

    Attributes:
        k0: 1 to keep negative numbers, 0 not to.
        b0: initial bits, without the sign.
        i0: initial integer bits, without the sign.
        bc: constraint of ``b``.
        ic: constraint of ``i``.
        br: regulariser of ``b``.
        ir: regulariser of ``i``.
        round_mode: as in `KIF`, and so are the parameters that follow.
        overflow_mode: what becomes of numbers beyond the range.
        i_decay_speed: under WRAP, bits that ``i`` may fall in one step of training.
        is_weight: whether the values are known, so that the range under WRAP is recomputed from them.
        homogeneous_axis: axes along which one width is shared; give this or ``heterogeneous_axis``.
        heterogeneous_axis: axes along which every index has a width of its own.
        blocks: size of the groups that share a width, by axis.
        trainable: False keeps the widths as they are, in training too.
        stochastic: round at random in training, without bias.

    Raises:
        ConfigError: as `KIF`.

    >>> KBI(b0=6, i0=0, bc=Bounds(1, 8)).b0
    6
    """

    q_type: ClassVar[str] = "kbi"
    b0: Any = 8
    bc: Any = None
    br: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Float:
    """Minifloat with trained mantissa bits, exponent bits and exponent offset.

    Attributes:
        m0: initial mantissa bits, without the sign; at -1 every value is 0.
        e0: initial exponent bits.
        e00: initial exponent offset.
        mc: constraint of the mantissa bits.
        ec: constraint of the exponent bits.
        e0c: constraint of the exponent offset.
        mr: regulariser of the mantissa bits.
        er: regulariser of the exponent bits.
        e0r: regulariser of the exponent offset.
        homogeneous_axis: axes along which one width is shared; give this or ``heterogeneous_axis``.
        heterogeneous_axis: axes along which every index has a width of its own.
        blocks: size of the groups that share a width, by axis.
        trainable: False keeps the widths as they are, in training too.

    Raises:
        ConfigError: widths or factors that are out of reach.
    """

    q_type: ClassVar[str] = "float"
    m0: Any = 2
    e0: Any = 4
    e00: Any = 0
    mc: Any = Bounds(-1, 8)
    ec: Any = Bounds(0, 4)
    e0c: Any = Bounds(-16, 16)
    mr: Any = None
    er: Any = None
    e0r: Any = None
    homogeneous_axis: tuple[int, ...] | None = ()
    heterogeneous_axis: tuple[int, ...] | None = None
    blocks: Mapping[int, int] = field(default_factory=dict)
    trainable: bool = True

    def __post_init__(self) -> None:
        _check_numbers(self)

    @property
    def granularity(self) -> Granularity:
        """Which elements share a width."""
        return Granularity(self.homogeneous_axis, self.heterogeneous_axis, self.blocks)


_STARTS = {"k0": "k", "i0": "i", "f0": "f", "b0": "b", "m0": "m", "e0": "e", "e00": "e0"}
"""The width that begins with each parameter."""


_FACTORS = ("ir", "fr", "br", "mr", "er", "e0r")


def _check_numbers(spec: _Fixed | Float) -> None:
    """Raises ConfigError for an initial width or a factor that is a number, and one that cannot be used."""
    for parameter in fields(spec):
        name, value = parameter.name, getattr(spec, parameter.name)
        if isinstance(value, bool | np.bool_) and name != "k0":
            continue
        if not isinstance(value, int | float | np.number | np.bool_):
            continue
        if name in _STARTS:
            low, high = _RANGES.get(_STARTS[name], (-WIDEST, WIDEST))
            if not low <= value <= high:
                message = f"{name}: received {value}, expected a number of bits from {low} to {high}"
                raise ConfigError(message)
        elif name in _FACTORS and not abs(float(value)) <= LARGEST:
            message = f"{name}: received {value}, expected a finite factor of the regulariser"
            raise ConfigError(message)


def check_widths(name: str, values: ArrayLike) -> None:
    """Raise DataError for stored widths that no arithmetic holds, as a damaged file or a diverged training has them.

    Args:
        name: of the width: ``k, i, f, b, m, e`` or ``e0``, perhaps behind a path: ``dense/kq/b``.
        values: what is stored, in bits.

    >>> check_widths("dense/kq/b", [8.0, 7.4])
    """
    array = np.asarray(values, dtype=np.float64)
    low, high = _RANGES.get(name.rpartition("/")[2].rpartition(".")[2], (-WIDEST, WIDEST))
    # Half a bit beyond still rounds to the limit.
    bad = ~((array >= low - 0.5) & (array <= high + 0.5))
    if bad.any():
        message = (
            f"width {name!r}: received {array[bad].flat[0]} ({int(bad.sum())} of {array.size} elements are bad), "
            f"expected bits from {low} to {high}; the training diverged or the file is damaged: restore another one"
        )
        raise DataError(message)


Spec = KIF | KBI | Float | Dummy
