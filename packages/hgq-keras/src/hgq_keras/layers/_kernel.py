"""What layers with a kernel and a bias have in common: the arguments of both, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import (
    NAMED,
    Activation,
    FrameworkFunction,
    check_factor,
    instances_in,
    rectifier,
    unfit,
    weight_of,
)
from hgq_keras._computed import computed
from hgq_keras._ops import KERAS
from hgq_keras._slots import CallSlots
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_core.layers import Program
    from hgq_keras.config import QuantizerConfig

__all__ = ["KernelLayer", "argument_config", "declared_activation", "rectifier_numbers", "take_arguments"]


def declared_activation(function: Any) -> Activation:
    """An activation of Keras as a declaration has it: exact where it can be; one without hardware trains only.

    Args:
        function: of `keras.activations` or `keras.ops`, a layer such as `keras.layers.LeakyReLU`, or another function.
    """
    if function is None:
        return None
    if type(function) is keras.layers.Activation:
        return declared_activation(function.activation)
    if type(function) in (keras.layers.ReLU, keras.layers.LeakyReLU):
        numbers = rectifier_numbers(function)
        return FrameworkFunction(function) if unfit(*numbers) else rectifier(*numbers)
    name = getattr(function, "__name__", "")
    if name in NAMED and any(getattr(room, name, None) is function for room in (keras.activations, keras.ops)):
        return NAMED[name]
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


def rectifier_numbers(layer: Any) -> tuple[float, float | None, float]:
    """Slope, limit and threshold of a ReLU or LeakyReLU of Keras."""
    slope = float(layer.negative_slope or 0.0)
    limit, threshold = getattr(layer, "max_value", None), getattr(layer, "threshold", 0.0)
    return slope, None if limit is None else float(limit), float(threshold or 0.0)


class KernelLayer(QLayer):
    """``y = activation(op(iq(x), kq(kernel)) + bq(bias))``; abstract over what it declares.

    Args:
        activation: name, function or layer. ``relu, relu6, hard_tanh``, `keras.layers.ReLU` and
            `keras.layers.LeakyReLU` have hardware, others need `QUnaryFunctionLUT`.
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
    def _known_program(self) -> Program:
        """The program; raises ConfigError before there is one."""
        if not self.built:
            message = f"layer {self.name!r} is not built, so that it has no kernel; call it on data first"
            raise ConfigError(message)
        return self.program

    @property
    @computed
    def n_parallel(self) -> int:
        """How many instances there are for all rows or positions; ``parallelization_factor`` of them are built."""
        return instances_in(self._known_program)

    @property
    @computed
    def qkernel(self) -> Any:
        """The quantized kernel as hardware has it."""
        return self.kq(weight_of(KERAS, CallSlots(self, training=False), self._known_program, "kq"), training=False)

    @property
    @computed
    def qbias(self) -> Any:
        """The quantized bias as hardware has it; None without a bias."""
        if self.bq is None:
            return None
        return self.bq(weight_of(KERAS, CallSlots(self, training=False), self._known_program, "bq"), training=False)

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
