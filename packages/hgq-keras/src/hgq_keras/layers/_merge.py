"""Layers that combine several tensors element by element."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.cost import ADDER, merge_cost
from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Add
from hgq_keras.layers._base import Bits, QLayer, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.ops import Ops
    from hgq_keras.config import QuantizerConfig
    from hgq_keras.export import Emitter

__all__ = ["QAdd"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QAdd(QLayer):
    """``y = iq_0(x_0) + iq_1(x_1) + ...``, broadcasting as NumPy.

    Args:
        iq_confs: one quantizer configuration for all inputs, or one for each.
        **kwargs: those of `QLayer`.
    """

    many_inputs = True

    def __init__(self, iq_confs: QuantizerConfig | Sequence[QuantizerConfig] | None = None, **kwargs: Any) -> None:
        super().__init__(iq_conf=iq_confs, **kwargs)

    def build_operation(self, shapes: list[Shape]) -> None:
        if len(shapes) < 2:
            message = f"layer {self.name!r}: received {len(shapes)} tensor(s), expected a list of two or more"
            raise ConfigError(message)
        self._output = self._merged(shapes)

    def _merged(self, shapes: Sequence[Shape]) -> tuple[int, ...]:
        if any(n is None for shape in shapes for n in shape[1:]):
            message = f"layer {self.name!r}: received shapes {list(shapes)}, expected fixed sizes after the batch axis"
            raise ShapeError(message)
        try:
            return tuple(np.broadcast_shapes(*(tuple(int(n or 1) for n in shape[1:]) for shape in shapes)))
        except ValueError as error:
            message = f"layer {self.name!r}: shapes {list(shapes)} do not broadcast together"
            raise ShapeError(message) from error

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return (input_shape[0][0], *self._merged([tuple(shape) for shape in input_shape]))

    def compute(self, inputs: list[Any], training: bool | None) -> Any:  # noqa: ARG002 (the template passes it)
        return reduce(ops.add, inputs)

    def count_ebops(self, verbs: Ops, bits: Bits) -> Any:
        return merge_cost(verbs, [bits(quantizer) for quantizer in self.iqs], self._output, ADDER)

    def emit(self, emitter: Emitter, inputs: list[str]) -> str:
        return emitter.add(Add(), *inputs, factor=self.ebops_factor if self.enable_ebops else 0.0)
