"""The parts of attention as users and converters of a layer made of layers read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hgq_keras._quantizer import Quantizer
    from hgq_keras.layers._base import QLayer

__all__ = ["ProjectionView", "SoftmaxView", "TableProjectionView"]


@dataclass(frozen=True, eq=False)
class _View:
    """What belongs to one part of a layer, under the names that it has in a layer of its own; read only.

    Attributes:
        layer: that holds it.
        part: its path, such as ``"query"``.
    """

    layer: QLayer
    part: str

    def _held(self, slot: str) -> Any:
        return getattr(self.layer, f"{self.part}_{slot}", None)

    @property
    def name(self) -> str:
        """The part's name, under that of its layer."""
        return f"{self.layer.name}/{self.part}"

    @property
    def iq(self) -> Quantizer | None:
        """The input quantizer; None without."""
        return self._held("iq")

    @property
    def oq(self) -> Quantizer | None:
        """The output quantizer; None without."""
        return self._held("oq")

    @property
    def enable_iq(self) -> bool:
        """Whether it has an input quantizer of its own."""
        return self.iq is not None

    @property
    def enable_oq(self) -> bool:
        """Whether it has an output quantizer."""
        return self.oq is not None

    _iq, _oq, _enable_iq, _enable_oq = iq, oq, enable_iq, enable_oq


@dataclass(frozen=True, eq=False)
class _Projection(_View):
    """A projection, of whatever; with or without a bias.

    Attributes:
        parallelization_factor: that of the layer.
    """

    parallelization_factor: int

    @property
    def bias(self) -> Any:
        """The bias; None without."""
        return self._held("bias")

    @property
    def bq(self) -> Quantizer | None:
        """The bias' quantizer; None without a bias."""
        return self._held("bq")

    @property
    def qbias(self) -> Any:
        """The quantized bias as hardware has it; None without a bias."""
        return None if self.bq is None else self.bq(self.bias, training=False)


@dataclass(frozen=True, eq=False)
class ProjectionView(_Projection):
    """A projection with a kernel."""

    @property
    def kernel(self) -> Any:
        """The kernel."""
        return self._held("kernel")

    @property
    def kq(self) -> Quantizer:
        """The kernel's quantizer."""
        quantizer: Quantizer = self._held("kq")
        return quantizer

    @property
    def qkernel(self) -> Any:
        """The quantized kernel as hardware has it."""
        return self.kq(self.kernel, training=False)


@dataclass(frozen=True, eq=False)
class TableProjectionView(_Projection):
    """A projection of tables; ``iq`` stands at the tables."""

    @property
    def toq(self) -> Quantizer:
        """Of the outputs of the tables."""
        quantizer: Quantizer = self._held("toq")
        return quantizer


@dataclass(frozen=True, eq=False)
class SoftmaxView(_View):
    """Softmax of the scores; ``exp_iq, exp_oq, inv_iq, inv_oq`` are the quantizers of its tables.

    Attributes:
        axes: over which it normalises, the last ones.
        stable: whether it subtracts from the maximum first.
        input_scaler: factor of the scores.
    """

    axes: tuple[int, ...]
    stable: bool
    input_scaler: float

    @property
    def exp_iq(self) -> Quantizer:
        """Of the input of the table of exponentials."""
        quantizer: Quantizer = self._held("exp_iq")
        return quantizer

    @property
    def exp_oq(self) -> Quantizer:
        """Of its output."""
        quantizer: Quantizer = self._held("exp_oq")
        return quantizer

    @property
    def inv_iq(self) -> Quantizer:
        """Of the input of the table of reciprocals."""
        quantizer: Quantizer = self._held("inv_iq")
        return quantizer

    @property
    def inv_oq(self) -> Quantizer:
        """Of its output."""
        quantizer: Quantizer = self._held("inv_oq")
        return quantizer
