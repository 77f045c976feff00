"""What layers with a kernel and a bias have in common: the arguments of both, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.graph.ops import Clip, Relu
from hgq_core.layers import Activation, FrameworkFunction, check_factor, weight_of
from hgq_keras._computed import computed
from hgq_keras._ops import KERAS
from hgq_keras._slots import CallSlots
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_keras.config import QuantizerConfig

__all__ = ["KernelLayer", "argument_config", "declared_activation", "take_arguments"]


def declared_activation(function: Any) -> Activation:
    """An activation of Keras as a declaration has it; one without hardware trains only."""
    if function is None or function is keras.activations.linear:
        return None
    if function is keras.activations.relu:
        return Relu()
    if function is keras.activations.relu6:
        return Clip(0.0, 6.0)
    if function is keras.activations.hard_tanh:
        return Clip(-1.0, 1.0)
    return FrameworkFunction(function)


def take_arguments(layer: keras.Layer, prefix: str, given: tuple[Any, Any, Any]) -> None:
    """Make a weight's initializer, regularizer and constraint attributes of the layer, called after the weight."""
    setattr(layer, f"{prefix}_initializer", keras.initializers.get(given[0]))
    setattr(layer, f"{prefix}_regularizer", keras.regularizers.get(given[1]))
    setattr(layer, f"{prefix}_constraint", keras.constraints.get(given[2]))


def argument_config(layer: keras.Layer, prefix: str) -> dict[str, Any]:
    """The same three for the configuration."""
    modules = (keras.initializers, keras.regularizers, keras.constraints)
    names = [f"{prefix}_{word}" for word in ("initializer", "regularizer", "constraint")]
    return {name: module.serialize(getattr(layer, name)) for name, module in zip(names, modules, strict=True)}


class KernelLayer(QLayer):
    """``y = activation(op(iq(x), kq(kernel)) + bq(bias))``; abstract over what it declares.

    Args:
        activation: name or function; ``relu`` and linear have hardware, others need `QUnaryFunctionLUT`.
        use_bias: add a bias.
        kernel: initializer, regularizer and constraint of the kernel, as Keras takes them.
        bias: those of the bias.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: instances that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        base: arguments of `QLayer`.
    """

    kernel_prefix = "kernel"
    """What the kernel's initializer, regularizer and constraint are called after."""

    def __init__(
        self,
        *,
        activation: Any,
        use_bias: bool,
        kernel: tuple[Any, Any, Any],
        bias: tuple[Any, Any, Any],
        kq_conf: QuantizerConfig | None,
        bq_conf: QuantizerConfig | None,
        parallelization_factor: int,
        base: Mapping[str, Any],
    ) -> None:
        super().__init__(**base)
        self.activation = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        take_arguments(self, self.kernel_prefix, kernel)
        take_arguments(self, "bias", bias)
        check_factor(parallelization_factor)
        self.parallelization_factor = int(parallelization_factor)
        self._kq_conf = configured(kq_conf, "weight", "kq_conf")
        self._bq_conf = configured(bq_conf, "bias", "bq_conf")
        self.kq = self.make_quantizer(self._kq_conf, "kq")
        self.bq = self.make_quantizer(self._bq_conf, "bq") if self.use_bias else None
        self.bias = None

    @property
    @computed
    def qkernel(self) -> Any:
        """The quantized kernel as hardware has it."""
        return self.kq(weight_of(KERAS, CallSlots(self, training=False), self.program, "kq"), training=False)

    @property
    @computed
    def qbias(self) -> Any:
        """The quantized bias as hardware has it; None without a bias."""
        if self.bq is None:
            return None
        return self.bq(weight_of(KERAS, CallSlots(self, training=False), self.program, "bq"), training=False)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **argument_config(self, self.kernel_prefix),
            **argument_config(self, "bias"),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "kq_conf": serialize(self._kq_conf),
            "bq_conf": serialize(self._bq_conf),
            "parallelization_factor": self.parallelization_factor,
        }
