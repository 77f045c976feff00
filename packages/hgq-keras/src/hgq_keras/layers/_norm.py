"""Batch normalisation with a quantized scale and offset per channel."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hgq_core.cost import bias_cost, product_cost
from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Add, Multiply
from hgq_core.numbers import checked
from hgq_keras.checks import integer
from hgq_keras.computed import computed
from hgq_keras.layers._base import Bits, QLayer, Shape, configured, constant_bits, fixed

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.ops import Ops
    from hgq_keras.config import QuantizerConfig
    from hgq_keras.export import Emitter

__all__ = ["QBatchNormalization"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QBatchNormalization(QLayer):
    """``y = iq(x) * kq(scale) + bq(offset)``, a quantized batch normalisation.

    ``scale = gamma / sqrt(variance + epsilon)``, ``offset = beta - mean * scale``.
    In training mean and variance are those of the batch, else the moving averages. The learned offset is ``bn_beta``,
    since ``beta`` is the weight of the EBOPs.

    Under a ``tf.distribute`` strategy the moving averages are the mean over the replicas; with ``synchronized=True``
    each replica also normalises with the statistics of all.

    Args:
        axis: the last axis, -1; no other can be normalised.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center: learn an offset.
        scale: learn a scale.
        beta_initializer: of the learned offset, as in Keras.
        gamma_initializer: of the learned scale.
        moving_mean_initializer: of the moving average of the mean.
        moving_variance_initializer: of the moving average of the variance.
        beta_regularizer: of the learned offset.
        gamma_regularizer: of the learned scale.
        beta_constraint: of the learned offset.
        gamma_constraint: of the learned scale.
        synchronized: normalise with the statistics of all replicas (TensorFlow only).
        kq_conf: quantizer of the scale; None: the scope's weight quantizer.
        bq_conf: quantizer of the offset; None: the scope's bias quantizer.
        **kwargs: those of `QLayer`.

    Raises:
        ConfigError: a momentum outside [0, 1], an epsilon that is not positive, ``synchronized`` without TensorFlow,
            another axis than the last.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
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
        kq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = integer(axis, f"layer {self.name!r}: axis")
        self.momentum = _checked(momentum, "momentum", "a number from 0 to 1", lambda n: 0 <= n <= 1, self.name)
        self.epsilon = _checked(epsilon, "epsilon", "a finite number above 0", lambda n: 0 < n < inf, self.name)
        self.synchronized = bool(synchronized)
        if self.synchronized and keras.backend.backend() != "tensorflow":
            message = (
                f"layer {self.name!r}: received synchronized=True on {keras.backend.backend()}; "
                "only TensorFlow has it, expected False"
            )
            raise ConfigError(message)
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.moving_mean_initializer = keras.initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = keras.initializers.get(moving_variance_initializer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)
        self._kq_conf = configured(kq_conf, "weight", "kq_conf")
        self._bq_conf = configured(bq_conf, "bias", "bq_conf")
        self.kq = self.make_quantizer(self._kq_conf, "kq")
        self.bq = self.make_quantizer(self._bq_conf, "bq")

    def build_operation(self, shapes: list[Shape]) -> None:
        shape = shapes[0]
        if self.axis not in (-1, len(shape) - 1):
            message = f"layer {self.name!r}: received axis={self.axis} for shape {shape}, expected the last axis, -1"
            raise ConfigError(message)
        if any(n is None for n in shape[1:]):
            message = f"layer {self.name!r}: received shape {shape}, expected fixed sizes after the batch axis"
            raise ShapeError(message)
        channels = (int(shape[-1] or 0),)
        self.bn_gamma = None
        self.bn_beta = None
        if self.scale:
            self.bn_gamma = self.add_weight(
                name="gamma",
                shape=channels,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.bn_beta = self.add_weight(
                name="bn_beta",
                shape=channels,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        self.moving_mean = self.add_weight(
            name="moving_mean",
            shape=channels,
            initializer=self.moving_mean_initializer,
            trainable=False,
            autocast=False,
            aggregation="mean",
        )
        self.moving_variance = self.add_weight(
            name="moving_variance",
            shape=channels,
            initializer=self.moving_variance_initializer,
            trainable=False,
            autocast=False,
            aggregation="mean",
        )
        learned = [] if self.bn_gamma is None else [self.bn_gamma]
        self.kq.quantizes([self.moving_variance, *learned], self.name, self._scale)
        self.kq.build(channels)
        self.bq.build(channels)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return tuple(input_shape)

    def _scale(self, variance: Any, *gamma: Any) -> Any:
        """What is quantized to the scale."""
        scale = ops.rsqrt(variance + self.epsilon)
        return scale * gamma[0] if gamma else scale

    def _scale_and_offset(self, mean: Any, variance: Any, training: bool | None) -> tuple[Any, Any]:
        scale = self._scale(variance, *([] if self.bn_gamma is None else [self.bn_gamma]))
        offset = -mean * scale
        if self.bn_beta is not None:
            offset = offset + self.bn_beta
        return self.kq(scale, training=training), self.bq(offset, training=training)

    def compute(self, inputs: list[Any], training: bool | None) -> Any:
        x = inputs[0]
        mean, variance = ops.convert_to_tensor(self.moving_mean), ops.convert_to_tensor(self.moving_variance)
        if training and self.trainable:
            axes = tuple(range(len(x.shape) - 1))
            batch_mean, batch_variance = ops.moments(x, axes=axes, synchronized=self.synchronized)
            self.moving_mean.assign(mean * self.momentum + batch_mean * (1.0 - self.momentum))
            self.moving_variance.assign(variance * self.momentum + batch_variance * (1.0 - self.momentum))
            mean, variance = batch_mean, batch_variance
        scale, offset = self._scale_and_offset(mean, variance, training)
        return x * scale + offset

    @property
    @computed
    def qscaler_and_qoffset(self) -> tuple[Any, Any]:
        """The quantized scale and offset as hardware has them, each ``(channels,)``."""
        mean, variance = ops.convert_to_tensor(self.moving_mean), ops.convert_to_tensor(self.moving_variance)
        return self._scale_and_offset(mean, variance, training=False)

    def count_ebops(self, verbs: Ops, bits: Bits) -> Any:
        shape = fixed(self.input_shapes[0][1:], self.name)
        return product_cost(verbs, [bits(self.iq), bits(self.kq)], shape) + bias_cost(verbs, bits(self.bq), shape)

    def emit(self, emitter: Emitter, inputs: list[str]) -> str:
        factor = self.ebops_factor if self.enable_ebops else 0.0
        qscale, qoffset = self.qscaler_and_qoffset
        scale, offset = emitter.weight(self, "scale", qscale), emitter.weight(self, "offset", qoffset)
        scaled = emitter.constant(scale, constant_bits(self.kq, scale.shape), "scale")
        y = emitter.add(Multiply(), inputs[0], scaled, factor=factor, composite="batch_norm")
        moved = emitter.constant(offset, constant_bits(self.bq, offset.shape), "offset")
        return emitter.add(Add(), y, moved, factor=factor, composite="batch_norm")

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": keras.initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": keras.initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": keras.regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": keras.regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": keras.constraints.serialize(self.beta_constraint),
            "gamma_constraint": keras.constraints.serialize(self.gamma_constraint),
            "synchronized": self.synchronized,
            "kq_conf": serialize(self._kq_conf),
            "bq_conf": serialize(self._bq_conf),
        }


def _checked(value: Any, argument: str, expected: str, allows: Callable[[float], bool], layer: str) -> float:
    """The argument as a float; raises ConfigError if it is not as expected."""
    number = checked(value, f"layer {layer!r}: {argument}", expected)
    if not allows(number):
        message = f"layer {layer!r}: {argument}: received {value!r}, expected {expected}"
        raise ConfigError(message)
    return number
