"""Layers whose kernel and bias have a batch normalisation folded in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import BatchNormDense, Declaration, ShapedEinsum
from hgq_keras._checks import averaging, partial_shape, positive_integer, replicas
from hgq_keras.layers._kernel import KernelLayer, declared_activation
from hgq_keras.layers._normalised import Normalised

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = ["QBatchNormDense", "QEinsumDenseBatchnorm"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QEinsumDenseBatchnorm(Normalised):
    """``y = activation(einsum(equation, iq(x), kq(kernel * scale)) + bq(beta - mean * scale))``.

    ``scale = gamma / sqrt(variance + epsilon)``; the norm is folded into kernel and bias, and is free in hardware.
    In training mean and variance are those of the batch's ``einsum(equation, iq(x), kernel)``, of the *float* kernel:
    statistics of the folded kernel would follow the numbers that they make. The price is a second product in a step.

    Args:
        equation: as in ``keras.layers.EinsumDense``; may contain ``...``.
        output_shape: output shape without the batch axis and the axes of the ellipsis; None where it equals the input.
        activation: ``relu``, None, or another that is not exported.
        bias_axes: letters of the output along which the bias varies; None: ``normalize_axes``.
        kernel_initializer: as in Keras, and so are the next ones.
        bias_initializer: of the learned offset, if ``beta_initializer`` is not given.
        kernel_regularizer: added to the loss for the kernel.
        bias_regularizer: of the learned offset, if ``beta_regularizer`` is not given.
        kernel_constraint: applied to the kernel after a step.
        bias_constraint: of the learned offset, if ``beta_constraint`` is not given.
        kq_conf: quantizer of the folded kernel; None: the scope's weight quantizer.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        bq_conf: quantizer of the folded bias; None: the scope's bias quantizer.
        normalize_axes: letters of the output along which it normalises; None: ``bias_axes``.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center: learn an offset.
        scale: learn a scale.
        beta_initializer: of the learned offset, which is ``bn_beta``; None: ``bias_initializer``.
        gamma_initializer: of the learned scale, which is ``bn_gamma``.
        moving_mean_initializer: of the moving average of the mean.
        moving_variance_initializer: of the moving average of the variance.
        beta_regularizer: of the learned offset.
        gamma_regularizer: of the learned scale.
        beta_constraint: of the learned offset.
        gamma_constraint: of the learned scale.
        synchronized: normalise with the statistics of all replicas (TensorFlow only).
        parallelization_factor: instances that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        activity_regularizer: for the output.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: no axes, axes that output or kernel do not have, bias axes other than those that are normalised.
        ShapeError: when built, an input that the equation does not fit.

    >>> layer = QEinsumDenseBatchnorm("bi,io->bo", 3, bias_axes="o")
    >>> layer(keras.ops.ones((2, 4))).shape == (2, 3)
    True
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        kq_conf: QuantizerConfig | None = None,
        iq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        normalize_axes: str | None = None,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = None,
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        *,
        parallelization_factor: int = -1,
        activity_regularizer: Any = None,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            norm=(momentum, epsilon, center, scale, synchronized),
            learned={
                "beta_initializer": bias_initializer if beta_initializer is None else beta_initializer,
                "gamma_initializer": gamma_initializer,
                "moving_mean_initializer": moving_mean_initializer,
                "moving_variance_initializer": moving_variance_initializer,
                "beta_regularizer": bias_regularizer if beta_regularizer is None else beta_regularizer,
                "gamma_regularizer": gamma_regularizer,
                "beta_constraint": bias_constraint if beta_constraint is None else beta_constraint,
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
        self.equation = equation
        self.partial_output_shape = partial_shape(output_shape)
        self.normalize_axes = bias_axes if normalize_axes is None else normalize_axes
        if bias_axes is not None and set(bias_axes) != set(self.normalize_axes or ""):
            message = (
                f"layer {self.name!r}: received bias_axes={bias_axes!r} and normalize_axes={normalize_axes!r}, "
                "expected the same: the folded norm is the bias"
            )
            raise ConfigError(message)

    def declaration(self) -> Declaration:
        activation, factor = declared_activation(self.activation), self.parallelization_factor
        return ShapedEinsum(
            self.equation, self.partial_output_shape, self.normalize_axes, activation, factor, self.norm
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "normalize_axes": self.normalize_axes,
        }


@keras.saving.register_keras_serializable(package="hgq_keras")
class QBatchNormDense(KernelLayer):
    """``y = activation(iq(x) @ kq(kernel * scale) + bq(bias - (mean * scale) @ kernel))``: a norm before a dense layer.

    ``scale = gamma / sqrt(variance + epsilon)`` along the last axis of the *inputs*, whose mean and variance these are;
    it is folded into the kernel, and costs nothing in hardware.

    Args:
        units: size of the output's last axis.
        activation: ``relu``, None, or another that is not exported.
        use_bias: True; the folded norm is a bias.
        kernel_initializer: as in Keras, and so are the next ones.
        bias_initializer: of the bias.
        kernel_regularizer: added to the loss for the kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        bias_constraint: to the bias.
        scale: learn a scale.
        momentum: of the moving averages.
        epsilon: added to the variance.
        bn_gamma_initializer: of the learned scale.
        moving_mean_initializer: of the moving average of the mean.
        moving_variance_initializer: of the moving average of the variance.
        bn_gamma_regularizer: of the learned scale.
        bn_gamma_constraint: of the learned scale.
        synchronized: normalise with the statistics of all replicas (TensorFlow only).
        kq_conf: quantizer of the folded kernel; None: the scope's weight quantizer.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        bq_conf: quantizer of the folded bias; None: the scope's bias quantizer.
        parallelization_factor: instances that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, no bias, numbers that no average has.

    >>> QBatchNormDense(3)(keras.ops.ones((2, 4))).shape == (2, 3)
    True
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        scale: bool = True,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        bn_gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        bn_gamma_regularizer: Any = None,
        bn_gamma_constraint: Any = None,
        synchronized: bool = False,
        kq_conf: QuantizerConfig | None = None,
        iq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        *,
        parallelization_factor: int = -1,
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
            kernel=(kernel_initializer, kernel_regularizer, kernel_constraint),
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
        if not self.use_bias:
            message = f"layer {self.name!r}: received use_bias=False, expected True: the folded norm is a bias"
            raise ConfigError(message)
        self.units = positive_integer(units, "units")
        self.momentum, self.epsilon = averaging(momentum, epsilon, self.name)
        self.synchronized = replicas(synchronized, self.name)
        self.scale = bool(scale)
        self.bn_gamma_initializer = keras.initializers.get(bn_gamma_initializer)
        self.moving_mean_initializer = keras.initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = keras.initializers.get(moving_variance_initializer)
        self.bn_gamma_regularizer = keras.regularizers.get(bn_gamma_regularizer)
        self.bn_gamma_constraint = keras.constraints.get(bn_gamma_constraint)

    def declaration(self) -> Declaration:
        activation, factor = declared_activation(self.activation), self.parallelization_factor
        return BatchNormDense(self.units, self.epsilon, self.scale, activation, factor)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "units": self.units,
            "scale": self.scale,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "synchronized": self.synchronized,
            "bn_gamma_initializer": keras.initializers.serialize(self.bn_gamma_initializer),
            "moving_mean_initializer": keras.initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": keras.initializers.serialize(self.moving_variance_initializer),
            "bn_gamma_regularizer": keras.regularizers.serialize(self.bn_gamma_regularizer),
            "bn_gamma_constraint": keras.constraints.serialize(self.bn_gamma_constraint),
        }
