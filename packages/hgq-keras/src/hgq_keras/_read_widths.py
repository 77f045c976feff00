"""What users and converters read of a quantizer: width, range and step of each element, and its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras import ops

from hgq_core.modes import Overflow
from hgq_core.spec import Dummy, Float
from hgq_keras._computed import ComputedProperties, computed
from hgq_keras._ops import KERAS
from hgq_keras._variables import StoredWidths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.spec import KBI, KIF
    from hgq_keras.config import QuantizerConfig

__all__ = ["QuantizerView", "ReadWidths"]


class ReadWidths(StoredWidths):
    """A quantizer's numbers under the names that code for HGQ2 reads; none of them changes it.

    Those without a trailing underscore have the shape of the widths, 1 where elements share; those with one, such as
    ``bits_((1, 3))``, the shape that is given, batch axis included.
    """

    config: QuantizerConfig

    @property
    @computed
    def quantizer(self) -> QuantizerView:
        """A view of the quantizer's format alone, without scaler and affine map."""
        return QuantizerView(self)

    @property
    def q_type(self) -> str:
        """Its type: ``"kif"``, ``"kbi"``, ``"float"`` or ``"dummy"``."""
        return self.spec.q_type

    @property
    @computed
    def scaler(self) -> float | None:
        """The input is divided by it before, and multiplied by it after quantization."""
        return self.config.scaler

    @property
    @computed
    def affine(self) -> tuple[float, float] | None:
        """``(scale, shift)`` that is applied to the output."""
        return self.config.affine

    @property
    @computed
    def qnoise_factor(self) -> float | None:
        """In training the output is ``x + qnoise_factor * (q(x) - x)``."""
        return self.config.qnoise_factor

    @property
    @computed
    def fbits(self) -> Any:
        """Bits of the whole number, its sign included; 0 where an element is always 0.

        ``k + i + f`` of fixed point, where that is positive; ``m + e + 1`` of a minifloat, 0 for ``m = -1``.
        """
        if isinstance(self.spec, Float | Dummy):
            return self.bits
        k, i, f = self._expanded_kif()
        return self._where_alive(k + i + f)

    @property
    @computed
    def min(self) -> Any:
        """The smallest number of the format: ``-k * 2**i``, under SAT_SYM ``-k * (2**i - 2**-f)``."""
        if isinstance(self.spec, Float):
            return -self._largest_float()
        k, i, f = self._expanded_kif()
        lowest = ops.power(2.0, i)
        return self._where_alive(-k * (lowest - ops.power(2.0, -f) if self._overflow is Overflow.SAT_SYM else lowest))

    @property
    @computed
    def max(self) -> Any:
        """The largest number of the format: ``2**i - 2**-f``."""
        if isinstance(self.spec, Float):
            return self._largest_float()
        _, i, f = self._expanded_kif()
        return self._where_alive(ops.power(2.0, i) - ops.power(2.0, -f))

    @property
    @computed
    def epsilon(self) -> Any:
        """The step of the format: ``2**-f``; of a minifloat that of its smallest numbers."""
        if isinstance(self.spec, Float):
            m, e, e0 = (self._expanded(name) for name in ("m", "e", "e0"))
            return ops.power(2.0, e0 + 1 - ops.power(2.0, e - 1)) * ops.power(2.0, -m)
        return ops.power(2.0, -self._expanded_kif()[2])

    def bits_(self, shape: Sequence[int]) -> Any:
        """`bits` of each element of a tensor of this shape."""
        return ops.broadcast_to(self.bits, tuple(shape))

    def fbits_(self, shape: Sequence[int]) -> Any:
        """`fbits` of each element of a tensor of this shape."""
        return ops.broadcast_to(self.fbits, tuple(shape))

    def min_(self, shape: Sequence[int]) -> Any:
        """The smallest number of each element of a tensor of this shape."""
        return ops.broadcast_to(self.min, tuple(shape))

    def max_(self, shape: Sequence[int]) -> Any:
        """The largest number of each element of a tensor of this shape."""
        return ops.broadcast_to(self.max, tuple(shape))

    def epsilon_(self, shape: Sequence[int]) -> Any:
        """`epsilon` of each element of a tensor of this shape."""
        return ops.broadcast_to(self.epsilon, tuple(shape))

    @property
    @computed
    def _overflow(self) -> Overflow:
        return self.fixed_spec.overflow_mode

    def _where_alive(self, values: Any) -> Any:
        """The values, 0 for an element without bits, which is always 0."""
        k, i, f = self._expanded_kif()
        # A sign alone is two numbers, 0 and -2**i, which SAT_SYM does not have.
        bits = i + f if self._overflow is Overflow.SAT_SYM else k + i + f
        return ops.where(bits > 0, values, ops.zeros_like(values))

    def _expanded(self, name: str) -> Any:
        return self._shared.expand(KERAS, self._tensor_width(name))

    def _expanded_kif(self) -> tuple[Any, Any, Any]:
        k, i, f = self.kif
        k, i, f = (self._shared.expand(KERAS, part) for part in (k, i, f))
        return ops.cast(k, f.dtype), i, f

    def _largest_float(self) -> Any:
        m, e, e0 = (self._expanded(name) for name in ("m", "e", "e0"))
        largest = ops.power(2.0, ops.power(2.0, e - 1) + e0 - 1) * (2.0 - ops.power(2.0, -m))
        return ops.where(m < 0, ops.zeros_like(largest), largest)


class QuantizerView(ComputedProperties):
    """The format of a quantizer, as converters read it: ``q.quantizer.kif``. It holds nothing and changes nothing."""

    def __init__(self, owner: ReadWidths) -> None:
        self._owner = owner

    @property
    def spec(self) -> KIF | KBI:
        """The specification; raises ConfigError for a minifloat or a dummy."""
        return self._owner.fixed_spec

    @property
    def kif(self) -> tuple[Any, Any, Any]:
        """``k, i, f`` as whole numbers (bits)."""
        return self._owner.kif

    @property
    def k(self) -> Any:
        """1 where numbers have a sign, else 0."""
        return self.kif[0]

    @property
    def i(self) -> Any:
        """Integer bits, without the sign."""
        return self.kif[1]

    @property
    def f(self) -> Any:
        """Fraction bits."""
        return self.kif[2]

    @property
    def b(self) -> Any:
        """Bits without the sign: ``max(i + f, 0)``."""
        return ops.maximum(self.i + self.f, 0)

    @property
    def round_mode(self) -> str:
        """Name of the rounding mode."""
        return self._owner.round_mode

    @property
    def overflow_mode(self) -> str:
        """Name of the overflow mode."""
        return self._owner.overflow_mode

    @property
    def symmetric(self) -> bool:
        """Whether the smallest number is minus the largest."""
        return self._owner.fixed_spec.overflow_mode is Overflow.SAT_SYM

    @property
    def trainable(self) -> bool:
        """Whether the widths are trained."""
        return self._owner.trainable

    @property
    def bits(self) -> Any:
        """Widths that EBOPs counts (bits)."""
        return self._owner.bits

    @property
    def fbits(self) -> Any:
        """Bits of the whole number, its sign included."""
        return self._owner.fbits

    @property
    def min(self) -> Any:
        """The smallest number of the format."""
        return self._owner.min

    @property
    def max(self) -> Any:
        """The largest number of the format."""
        return self._owner.max

    @property
    def epsilon(self) -> Any:
        """The step of the format."""
        return self._owner.epsilon
