"""Unary functions as lookup tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import Declaration, FrameworkFunction, UnaryFunction
from hgq_keras._unary import check_elementwise
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = ["QAffinedUnaryFunctionLUT", "QUnaryFunctionLUT"]


class _Lookup(QLayer):
    """Abstract over the affine map inside; the arguments are those of `QUnaryFunctionLUT`."""

    output_in_table = True
    affine: bool

    def __init__(
        self,
        activation: Any,
        iq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_oq: bool = True,
        enable_iq: bool = True,
        allow_heterogeneous_input: bool = True,
        allow_heterogeneous_table: bool = True,
        override_oq_k0_to_0: bool = False,
        *,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        iq_conf, oq_conf = configured(iq_conf, "datalane", "iq_conf"), configured(oq_conf, "table", "oq_conf")
        if not allow_heterogeneous_input:
            iq_conf = iq_conf.replaced(heterogeneous_axis=())
        if not allow_heterogeneous_table:
            oq_conf = oq_conf.replaced(heterogeneous_axis=())
        if override_oq_k0_to_0:
            oq_conf = oq_conf.replaced(k0=0)
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
        if self.affine and not (self.enable_iq and self.enable_oq):
            message = (
                f"layer {self.name!r}: received enable_iq or enable_oq False, expected True: both are of the table"
            )
            raise ConfigError(message)
        self.activation = keras.activations.get(activation)
        check_elementwise(self.activation, self.name)
        self.allow_heterogeneous_input = bool(allow_heterogeneous_input)
        self.allow_heterogeneous_table = bool(allow_heterogeneous_table)
        self.override_oq_k0_to_0 = bool(override_oq_k0_to_0)

    def declaration(self) -> Declaration:
        return UnaryFunction(FrameworkFunction(self.activation), self.enable_oq, self.affine)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation),
            "allow_heterogeneous_input": self.allow_heterogeneous_input,
            "allow_heterogeneous_table": self.allow_heterogeneous_table,
            "override_oq_k0_to_0": self.override_oq_k0_to_0,
        }


@keras.saving.register_keras_serializable(package="hgq_keras")
class QUnaryFunctionLUT(_Lookup):
    """``y = oq(activation(iq(x)))`` as a table over every representable input.

    Args:
        activation: function of one number, or its Keras name; not softmax or glu, which mix elements.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; None: the scope's table quantizer.
        enable_oq: quantize the output; a layer without is trained, and not exported.
        enable_iq: quantize the input; likewise.
        allow_heterogeneous_input: False shares one input width over the tensor.
        allow_heterogeneous_table: False shares one output width over the tensor.
        override_oq_k0_to_0: start with an unsigned output, for functions that are never negative.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: a function that mixes elements.
    """

    affine = False


@keras.saving.register_keras_serializable(package="hgq_keras")
class QAffinedUnaryFunctionLUT(_Lookup):
    """``y = oq(activation(scale * iq(x) + bias))`` as a table over every representable input.

    Scale and bias are one learned number each, 1 and 0 at first, inside of the table, and free in hardware.

    Args:
        activation: function of one number, or its Keras name; not softmax or glu, which mix elements.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; None: the scope's table quantizer.
        enable_oq: True; the table has an output quantizer.
        enable_iq: True; it has one entry per input.
        allow_heterogeneous_input: False shares one input width over the tensor.
        allow_heterogeneous_table: False shares one output width over the tensor.
        override_oq_k0_to_0: start with an unsigned output, for functions that are never negative.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: a function that mixes elements, or a table without quantizers.

    >>> QAffinedUnaryFunctionLUT("tanh")(keras.ops.zeros((1, 2)), training=True).shape == (1, 2)
    True
    """

    affine = True
