"""Layers of sums of products of two tensors of data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import Contraction, Declaration, Dot, Trace, Value, check_equation, inner_axis
from hgq_core.layers.merge import several
from hgq_keras._checks import integer
from hgq_keras.layers._merge import Merged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_keras.config import QuantizerConfig

__all__ = ["QDot", "QEinsum"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QEinsum(Merged):
    """``y = einsum(equation, iq_0(x_0), iq_1(x_1))`` of two tensors of data.

    EBOPs: the same contraction of the two tensors of bits, summed.

    Args:
        equation: of two operands, the batch axis first in each and in the output: ``"bij,bjk->bik"``;
            ``...`` stands for the same axes in each.
        iq_confs: one quantizer configuration for both inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: no equation of two operands.
        ShapeError: the batch axis is not first, or the shapes do not fit.

    >>> x = keras.ops.ones((1, 2, 3))
    >>> QEinsum("bij,bkj->bik")([x, x]).shape == (1, 2, 2)
    True
    """

    def __init__(
        self,
        equation: str,
        iq_confs: QuantizerConfig | Sequence[QuantizerConfig] | None = None,
        *,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            iq_confs,
            oq_conf=oq_conf,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )
        self.equation = check_equation(equation, f"layer {self.name!r}: equation")
        self.supports_masking = False

    def declaration(self) -> Declaration:
        return Contraction(self.equation)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"equation": self.equation}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QDot(Merged):
    """The dot products of two tensors along one axis each; all other axes of the first, then of the second.

    With one axis behind the batch the result has shape ``(batch, 1)``, as that of `keras.layers.Dot`.

    Args:
        axes: one axis for both tensors, or one for each; the batch axis is 0.
        iq_confs: one quantizer configuration for both inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an axis that a tensor does not have, or the batch axis.
        ShapeError: axes of different sizes.

    >>> x = keras.ops.ones((1, 4))
    >>> QDot()([x, x]).shape == (1, 1)
    True
    """

    def __init__(
        self,
        axes: int | Sequence[int] = -1,
        iq_confs: QuantizerConfig | Sequence[QuantizerConfig] | None = None,
        *,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            iq_confs,
            oq_conf=oq_conf,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )
        both = tuple(axes) if isinstance(axes, list | tuple) else (axes, axes)
        if len(both) != 2:
            message = f"layer {self.name!r}: axes: received {axes!r}, expected a number, or one for each of both inputs"
            raise ConfigError(message)
        self.axes = tuple(integer(n, f"layer {self.name!r}: axes") for n in both)
        self.supports_masking = False

    def declaration(self) -> Declaration:
        return self._declared

    def _declared(self, t: Trace, *xs: Value) -> Value:
        several(xs, 2)
        first, second = (inner_axis(axis, len(t.shape(x)) + 1, "axes") for axis, x in zip(self.axes, xs, strict=True))
        return Dot((first, second))(t, *xs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axes": self.axes}
