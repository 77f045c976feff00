"""Sums and means over axes of one tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.layers import Declaration, Mean, Sum, check_scale, inner_axis
from hgq_keras._checks import integer
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph.ops import Shape
    from hgq_keras.config import QuantizerConfig

__all__ = ["QMeanPow2", "QSum"]


class _Reduced(QLayer):
    """Abstract over what it declares; the arguments are those of `QSum`."""

    def __init__(
        self,
        iq_conf: QuantizerConfig | None = None,
        axes: int | Sequence[int] = -1,
        keepdims: bool = False,
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
            iq_conf=iq_conf,
            oq_conf=oq_conf,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )
        given = tuple(axes) if isinstance(axes, list | tuple) else (axes,)
        self.axes = tuple(integer(n, f"layer {self.name!r}: axes") for n in given)
        self.keepdims = bool(keepdims)
        # What is masked is summed too: Keras warns that the mask ends here.
        self.supports_masking = False

    def inner_axes(self, shape: Shape) -> tuple[int, ...]:
        """The axes as declarations count them."""
        return tuple(inner_axis(axis, len(shape) + 1, "axes") for axis in self.axes)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axes": self.axes, "keepdims": self.keepdims}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QSum(_Reduced):
    """``y = scale * sum(iq(x))`` over axes.

    EBOPs: ``0.65 * (sum of bits - sum over the output of the smallest operand's bits)``.

    Args:
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        axes: over which, one or several; the batch axis is 0.
        scale: a power of two, which costs nothing.
        keepdims: keep the axes with size 1.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: the batch axis, an axis that the data do not have, or a scale that is no power of two.

    >>> QSum(axes=1)(keras.ops.ones((1, 2, 3))).shape == (1, 3)
    True
    """

    def __init__(
        self,
        iq_conf: QuantizerConfig | None = None,
        axes: int | Sequence[int] = -1,
        scale: float = 1.0,
        keepdims: bool = False,
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
            iq_conf,
            axes,
            keepdims,
            oq_conf=oq_conf,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )
        self.scale = check_scale(scale, f"layer {self.name!r}: scale")

    def declaration(self) -> Declaration:
        return lambda t, x: Sum(self.inner_axes(t.shape(x)), self.scale, self.keepdims)(t, x)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMeanPow2(_Reduced):
    """``y = 2**round(log2(1 / n)) * sum(iq(x))`` over axes of n elements: their mean, where n is a power of two.

    EBOPs are those of `QSum`.

    Args:
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        axes: over which, one or several; the batch axis is 0.
        keepdims: keep the axes with size 1.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: the batch axis, or an axis that the data do not have.

    >>> keras.ops.convert_to_numpy(QMeanPow2()(keras.ops.ones((1, 3)))).tolist()
    [0.75]
    """

    def declaration(self) -> Declaration:
        return lambda t, x: Mean(self.inner_axes(t.shape(x)), self.keepdims)(t, x)
