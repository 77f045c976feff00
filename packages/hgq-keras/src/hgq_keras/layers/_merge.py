"""Layers that combine several tensors element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.graph.ops import Add
from hgq_core.layers import Declaration, Merge
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_keras.config import QuantizerConfig

__all__ = ["QAdd"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QAdd(QLayer):
    """``y = iq_0(x_0) + iq_1(x_1) + ...``, broadcasting as NumPy.

    Args:
        iq_confs: one quantizer configuration for all inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: another number of configurations than of inputs; fewer than two inputs.
        ShapeError: shapes that do not broadcast together.
    """

    many_inputs = True

    def __init__(
        self,
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
            iq_conf=iq_confs,
            oq_conf=oq_conf,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )

    def declaration(self) -> Declaration:
        return Merge(Add())

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return config | {"iq_confs": config.pop("iq_conf")}
