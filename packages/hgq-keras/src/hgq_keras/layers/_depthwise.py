"""Convolutions of each channel by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.layers import DepthwiseConvolution
from hgq_keras._checks import positive_integer
from hgq_keras.layers._kernel import KernelLayer, declared_activation
from hgq_keras.layers._window import laid_out, position_config, take_positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_core.layers import Declaration
    from hgq_keras.config import QuantizerConfig

__all__ = ["QDepthwiseConv1D", "QDepthwiseConv2D"]


class _Depthwise(KernelLayer):
    """Abstract over the number of spatial axes; the arguments are those of `QDepthwiseConv2D`."""

    rank: int
    kernel_prefix = "depthwise"
    weight_arguments: Mapping[str, str] = {"kernel": "depthwise"}
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...]
    padding: str
    data_format: str

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        kq_conf: QuantizerConfig | None = None,
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
            activation=activation,
            use_bias=use_bias,
            kernel=(depthwise_initializer, depthwise_regularizer, depthwise_constraint),
            bias=(bias_initializer, bias_regularizer, bias_constraint),
            kq_conf=kq_conf,
            bq_conf=bq_conf,
            parallelization_factor=parallelization_factor,
            base={
                "activity_regularizer": activity_regularizer,
                "iq_conf": iq_conf,
                "oq_conf": oq_conf,
                "enable_iq": enable_iq,
                "enable_oq": enable_oq,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "ebops_factor": ebops_factor,
                **kwargs,
            },
        )
        paddings = ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")
        take_positions(self, (kernel_size, strides, padding, data_format, dilation_rate), self.rank, paddings)
        self.depth_multiplier = positive_integer(depth_multiplier, f"layer {self.name!r}: depth_multiplier")

    def declaration(self) -> Declaration:
        operation = DepthwiseConvolution(
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

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | position_config(self) | {"depth_multiplier": self.depth_multiplier}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QDepthwiseConv1D(_Depthwise):
    """``y[..., c * m + j] = activation(convolve(iq(x)[..., c], kq(kernel)[..., c, j]) + bq(bias)[c * m + j])``.

    A convolution of each channel by itself over ``(batch, steps, channels)``, with m filters each; the kernel
    is stored as that of `keras.layers.DepthwiseConv1D`, ``(*window, channels, m)``. EBOPs: those of a convolution
    with as many groups as channels.

    Args:
        kernel_size: a number, or a tuple of one.
        strides: a number, or a tuple of one.
        padding: ``valid``, ``same``, or ``causal``, which pads the quantized input.
        depth_multiplier: m, the filters of each channel.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        dilation_rate: a number, or a tuple of one.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias.
        depthwise_initializer: of the kernel, as in Keras, and so are the next ones.
        bias_initializer: of the bias.
        depthwise_regularizer: added to the loss for the kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        depthwise_constraint: applied to the kernel after a step.
        bias_constraint: to the bias.
        kq_conf: kernel quantizer, which sees ``(*window, 1, channels * m)``; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: positions that are built in hardware, -1 for all; EBOPs are scaled by
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

    >>> x = keras.ops.ones((2, 8, 3))
    >>> layer = QDepthwiseConv1D(3, padding="same", depth_multiplier=2, data_format="channels_last")
    >>> layer(x).shape == (2, 8, 6)
    True
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QDepthwiseConv2D(_Depthwise):
    """``y[..., c * m + j] = activation(convolve(iq(x)[..., c], kq(kernel)[..., c, j]) + bq(bias)[c * m + j])``.

    A convolution of each channel by itself over ``(batch, height, width, channels)``, with m filters each; the kernel
    is stored as that of `keras.layers.DepthwiseConv2D`, ``(*window, channels, m)``. EBOPs: those of a convolution
    with as many groups as channels.

    Args:
        kernel_size: a number, or a pair for height and width.
        strides: a number, or a pair for height and width.
        padding: ``valid`` or ``same``.
        depth_multiplier: m, the filters of each channel.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        dilation_rate: a number, or a pair for height and width.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias.
        depthwise_initializer: of the kernel, as in Keras, and so are the next ones.
        bias_initializer: of the bias.
        depthwise_regularizer: added to the loss for the kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        depthwise_constraint: applied to the kernel after a step.
        bias_constraint: to the bias.
        kq_conf: kernel quantizer, which sees ``(*window, 1, channels * m)``; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: positions that are built in hardware, -1 for all; EBOPs are scaled by
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

    >>> x = keras.ops.ones((2, 8, 8, 3))
    >>> layer = QDepthwiseConv2D(3, padding="same", depth_multiplier=2, data_format="channels_last")
    >>> layer(x).shape == (2, 8, 8, 6)
    True
    """

    rank = 2
