"""Convolutions of each channel by itself, then over the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.layers import SeparableConvolution, check_factor, weight_of
from hgq_keras._checks import positive_integer
from hgq_keras._computed import computed
from hgq_keras._ops import KERAS
from hgq_keras._slots import CallSlots
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer
from hgq_keras.layers._kernel import argument_config, declared_activation, take_arguments
from hgq_keras.layers._window import laid_out, position_config, take_positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_core.layers import Declaration
    from hgq_keras._quantizer import Quantizer
    from hgq_keras.config import QuantizerConfig

__all__ = ["QSeparableConv1D", "QSeparableConv2D"]


class _Separable(QLayer):
    """Abstract over the number of spatial axes; the arguments are those of `QSeparableConv2D`."""

    rank: int
    weight_arguments: Mapping[str, str] = {"depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise"}
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...]
    padding: str
    data_format: str

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        dkq_conf: QuantizerConfig | None = None,
        piq_conf: QuantizerConfig | None = None,
        pkq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        parallelization_factor: int = -1,
        *,
        iq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            **{
                "activity_regularizer": activity_regularizer,
                "iq_conf": iq_conf,
                "oq_conf": oq_conf,
                "enable_iq": enable_iq,
                "enable_oq": enable_oq,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "ebops_factor": ebops_factor,
                **kwargs,
            }
        )
        self.activation = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        take_arguments(self, "depthwise", (depthwise_initializer, depthwise_regularizer, depthwise_constraint))
        take_arguments(self, "pointwise", (pointwise_initializer, pointwise_regularizer, pointwise_constraint))
        take_arguments(self, "bias", (bias_initializer, bias_regularizer, bias_constraint))
        check_factor(parallelization_factor)
        self.parallelization_factor = int(parallelization_factor)
        self._confs = {
            "dkq": configured(dkq_conf, "weight", "dkq_conf"),
            "piq": self._of_data(piq_conf, "piq_conf"),
            "pkq": configured(pkq_conf, "weight", "pkq_conf"),
            "bq": configured(bq_conf, "bias", "bq_conf"),
        }
        self.dkq, self.piq, self.pkq = (self._made(slot) for slot in ("dkq", "piq", "pkq"))
        self.bq = self._made("bq") if self.use_bias else None
        self.bias = None
        paddings = ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")
        take_positions(self, (kernel_size, strides, padding, data_format, dilation_rate), self.rank, paddings)
        self.filters = positive_integer(filters, f"layer {self.name!r}: filters")
        self.depth_multiplier = positive_integer(depth_multiplier, f"layer {self.name!r}: depth_multiplier")

    def _made(self, slot: str) -> Quantizer:
        return self.make_quantizer(self._confs[slot], slot)

    def declaration(self) -> Declaration:
        operation = SeparableConvolution(
            self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            self.dilation_rate,
            self.depth_multiplier,
            self.use_bias,
            declared_activation(self.activation),
            self.parallelization_factor,
        )
        return laid_out(operation, self.data_format)

    @property
    @computed
    def qdepthwise_kernel(self) -> Any:
        """The quantized kernel of the first part as hardware has it, ``(*window, 1, channels * depth_multiplier)``."""
        return self._quantized("dkq")

    @property
    @computed
    def qpointwise_kernel(self) -> Any:
        """The quantized kernel of the second part as hardware has it."""
        return self._quantized("pkq")

    @property
    @computed
    def qbias(self) -> Any:
        """The quantized bias as hardware has it; None without a bias."""
        return None if self.bq is None else self._quantized("bq")

    def _quantized(self, slot: str) -> Any:
        values = weight_of(KERAS, CallSlots(self, training=False), self.program, slot)
        return self.quantizer_of_slot(slot)(values, training=False)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return (
            super().get_config()
            | position_config(self)
            | argument_config(self, "depthwise")
            | argument_config(self, "pointwise")
            | argument_config(self, "bias")
            | {f"{slot}_conf": serialize(conf) for slot, conf in self._confs.items()}
            | {
                "filters": self.filters,
                "depth_multiplier": self.depth_multiplier,
                "activation": keras.activations.serialize(self.activation),
                "use_bias": self.use_bias,
                "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
                "parallelization_factor": self.parallelization_factor,
            }
        )


@keras.saving.register_keras_serializable(package="hgq_keras")
class QSeparableConv1D(_Separable):
    """``y = activation(piq(depthwise(iq(x), dkq(depthwise_kernel))) @ pkq(pointwise_kernel) + bq(bias))``.

    A convolution of each channel by itself over ``(batch, steps, channels)``, then one with a window of 1 over
    the channels; weights are stored as those of `keras.layers.SeparableConv1D`. Between the two is a quantizer of
    data, ``piq``, which Keras' layer does not have: EBOPs of the second part count the widths of what it multiplies.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a tuple of one.
        strides: a number, or a tuple of one.
        padding: ``valid``, ``same``, or ``causal``, which pads the quantized input.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        dilation_rate: a number, or a tuple of one.
        depth_multiplier: filters of each channel in the first part.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias, after the second part.
        depthwise_initializer: of the first kernel, as in Keras, and so are the next ones.
        pointwise_initializer: of the second kernel.
        bias_initializer: of the bias.
        depthwise_regularizer: added to the loss for the first kernel.
        pointwise_regularizer: for the second kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        depthwise_constraint: applied to the first kernel after a step.
        pointwise_constraint: to the second kernel.
        bias_constraint: to the bias.
        dkq_conf: quantizer of the first kernel, which sees ``(*window, 1, channels * depth_multiplier)``; None: the
            scope's weight quantizer.
        piq_conf: quantizer of the data between the parts, seen channels last; None: the scope's datalane quantizer.
        pkq_conf: quantizer of the second kernel; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: positions of both parts that are built in hardware, -1 for all; EBOPs are scaled by
            ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, strides with dilation, an unknown padding or data format.
        ShapeError: data of another number of axes, or smaller than the window.

    >>> layer = QSeparableConv1D(5, 3, data_format="channels_last")
    >>> layer(keras.ops.ones((2, 8, 3))).shape == (2, 6, 5)
    True
    >>> layer.depthwise_kernel.shape, layer.piq.array_bits.shape
    ((3, 3, 1), (1, 6, 3))
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QSeparableConv2D(_Separable):
    """``y = activation(piq(depthwise(iq(x), dkq(depthwise_kernel))) @ pkq(pointwise_kernel) + bq(bias))``.

    A convolution of each channel by itself over ``(batch, height, width, channels)``, then one with a window of 1 over
    the channels; weights are stored as those of `keras.layers.SeparableConv2D`. Between the two is a quantizer of
    data, ``piq``, which Keras' layer does not have: EBOPs of the second part count the widths of what it multiplies.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a pair for height and width.
        strides: a number, or a pair for height and width.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        dilation_rate: a number, or a pair for height and width.
        depth_multiplier: filters of each channel in the first part.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias, after the second part.
        depthwise_initializer: of the first kernel, as in Keras, and so are the next ones.
        pointwise_initializer: of the second kernel.
        bias_initializer: of the bias.
        depthwise_regularizer: added to the loss for the first kernel.
        pointwise_regularizer: for the second kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        depthwise_constraint: applied to the first kernel after a step.
        pointwise_constraint: to the second kernel.
        bias_constraint: to the bias.
        dkq_conf: quantizer of the first kernel, which sees ``(*window, 1, channels * depth_multiplier)``; None: the
            scope's weight quantizer.
        piq_conf: quantizer of the data between the parts, seen channels last; None: the scope's datalane quantizer.
        pkq_conf: quantizer of the second kernel; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: positions of both parts that are built in hardware, -1 for all; EBOPs are scaled by
            ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, strides with dilation, an unknown padding or data format.
        ShapeError: data of another number of axes, or smaller than the window.

    >>> layer = QSeparableConv2D(5, 3, data_format="channels_last")
    >>> layer(keras.ops.ones((2, 8, 8, 3))).shape == (2, 6, 6, 5)
    True
    >>> layer.depthwise_kernel.shape, layer.piq.array_bits.shape
    ((3, 3, 3, 1), (1, 6, 6, 3))
    """

    rank = 2
