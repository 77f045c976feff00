"""Convolutions with a batch normalisation folded in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_keras.layers._normalised import Normalised
from hgq_keras.layers._window import WindowLayer

if TYPE_CHECKING:
    from hgq_core.layers import Declaration
    from hgq_keras.config import QuantizerConfig

__all__ = ["QConv1DBatchNorm", "QConv2DBatchNorm", "QConv3DBatchNorm"]


class _ConvNorm(Normalised, WindowLayer):
    """Abstract over the number of spatial axes."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        *,
        kq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        iq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        parallelization_factor: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            norm=(momentum, epsilon, center, scale, synchronized),
            learned={
                "beta_initializer": beta_initializer,
                "gamma_initializer": gamma_initializer,
                "moving_mean_initializer": moving_mean_initializer,
                "moving_variance_initializer": moving_variance_initializer,
                "beta_regularizer": beta_regularizer,
                "gamma_regularizer": gamma_regularizer,
                "beta_constraint": beta_constraint,
                "gamma_constraint": gamma_constraint,
            },
            kernel={
                "activation": activation,
                "use_bias": True,
                "kernel": (kernel_initializer, kernel_regularizer, kernel_constraint),
                "bias": ("zeros", None, None),
                "kq_conf": kq_conf,
                "bq_conf": bq_conf,
                "parallelization_factor": parallelization_factor,
                "base": {
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
            },
        )
        self.take_window(filters, kernel_size, strides, padding, data_format, dilation_rate, groups)

    def declaration(self) -> Declaration:
        return self.convolution(self.norm)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self.window_config()


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConv1DBatchNorm(_ConvNorm):
    """``y = activation(convolve(iq(x), kq(kernel * scale)) + bq(beta - mean * scale))``.

    Data are ``(batch, steps, channels)``. The batch normalisation behind a convolution is folded in as in
    `QEinsumDenseBatchnorm`; the first arguments are those of `QConv1D`, without a bias, the others those of
    `QBatchNormalization`.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a tuple of one.
        strides: likewise.
        padding: ``valid``, ``same``, or ``causal``, which pads the quantized input.
        data_format: ``"channels_last"`` or ``"channels_first"``; None: as Keras is set.
        dilation_rate: as ``strides``.
        groups: number of channel groups.
        activation: ``relu``, None, or another that is not exported.
        kernel_initializer: as in Keras, and so are the next ones.
        kernel_regularizer: added to the loss for the kernel.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center: learn an offset, which is ``bn_beta``.
        scale: learn a scale, which is ``bn_gamma``.
        beta_initializer: of the learned offset.
        gamma_initializer: of the learned scale.
        moving_mean_initializer: of the moving average of the mean.
        moving_variance_initializer: of the moving average of the variance.
        beta_regularizer: of the learned offset.
        gamma_regularizer: of the learned scale.
        beta_constraint: of the learned offset.
        gamma_constraint: of the learned scale.
        synchronized: normalise with the statistics of all replicas (TensorFlow only).
        kq_conf: quantizer of the folded kernel; None: the scope's weight quantizer.
        bq_conf: quantizer of the folded bias; None: the scope's bias quantizer.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        parallelization_factor: positions that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, groups that do not divide the channels, an unknown padding or data format, numbers
            that no average has.
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConv2DBatchNorm(_ConvNorm):
    """``y = activation(convolve(iq(x), kq(kernel * scale)) + bq(beta - mean * scale))``.

    Data are ``(batch, height, width, channels)``. The batch normalisation behind a convolution is folded in as in
    `QEinsumDenseBatchnorm`; the first arguments are those of `QConv2D`, without a bias, the others those of
    `QBatchNormalization`.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a pair for height and width.
        strides: likewise.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``; None: as Keras is set.
        dilation_rate: as ``strides``.
        groups: number of channel groups.
        activation: ``relu``, None, or another that is not exported.
        kernel_initializer: as in Keras, and so are the next ones.
        kernel_regularizer: added to the loss for the kernel.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center: learn an offset, which is ``bn_beta``.
        scale: learn a scale, which is ``bn_gamma``.
        beta_initializer: of the learned offset.
        gamma_initializer: of the learned scale.
        moving_mean_initializer: of the moving average of the mean.
        moving_variance_initializer: of the moving average of the variance.
        beta_regularizer: of the learned offset.
        gamma_regularizer: of the learned scale.
        beta_constraint: of the learned offset.
        gamma_constraint: of the learned scale.
        synchronized: normalise with the statistics of all replicas (TensorFlow only).
        kq_conf: quantizer of the folded kernel; None: the scope's weight quantizer.
        bq_conf: quantizer of the folded bias; None: the scope's bias quantizer.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        parallelization_factor: positions that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, groups that do not divide the channels, an unknown padding or data format, numbers
            that no average has.
    """

    rank = 2


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConv3DBatchNorm(_ConvNorm):
    """``y = activation(convolve(iq(x), kq(kernel * scale)) + bq(beta - mean * scale))``.

    Data are ``(batch, depth, height, width, channels)``. The batch normalisation behind a convolution is folded in as
    in `QEinsumDenseBatchnorm`; the first arguments are those of `QConv3D`, without a bias, the others those of
    `QBatchNormalization`.

    Args:
        filters: number of output channels.
        kernel_size: a number, or one for each of depth, height and width.
        strides: likewise.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``; None: as Keras is set.
        dilation_rate: as ``strides``.
        groups: number of channel groups.
        activation: ``relu``, None, or another that is not exported.
        kernel_initializer: as in Keras, and so are the next ones.
        kernel_regularizer: added to the loss for the kernel.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center: learn an offset, which is ``bn_beta``.
        scale: learn a scale, which is ``bn_gamma``.
        beta_initializer: of the learned offset.
        gamma_initializer: of the learned scale.
        moving_mean_initializer: of the moving average of the mean.
        moving_variance_initializer: of the moving average of the variance.
        beta_regularizer: of the learned offset.
        gamma_regularizer: of the learned scale.
        beta_constraint: of the learned offset.
        gamma_constraint: of the learned scale.
        synchronized: normalise with the statistics of all replicas (TensorFlow only).
        kq_conf: quantizer of the folded kernel; None: the scope's weight quantizer.
        bq_conf: quantizer of the folded bias; None: the scope's bias quantizer.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        parallelization_factor: positions that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, groups that do not divide the channels, an unknown padding or data format, numbers
            that no average has.
    """

    rank = 3
