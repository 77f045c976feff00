"""The slots of a quantized Keras layer, as the readings of its program ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.formats import Formats
from hgq_core.layers import Exported, FrameworkFunction, constants_of, output_bits, weight_of
from hgq_core.layers.steps import Quantized, Table
from hgq_core.ops import NUMPY
from hgq_core.spec import KBI, KIF, Dummy
from hgq_keras._loop import looped
from hgq_keras._ops import KERAS, read
from hgq_keras._remedies import refused_activation
from hgq_keras._unary import shared_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.graph import GraphBuilder
    from hgq_core.graph.ops import Shape
    from hgq_core.layers.steps import Scanned, Statistics
    from hgq_core.ops import Ops
    from hgq_keras._quantizer import Quantizer
    from hgq_keras.layers._slotted import Slotted

__all__ = ["CallSlots", "CountSlots", "GraphSlots", "exported"]


@dataclass(frozen=True, slots=True)
class CallSlots:
    """What one call of a layer acts with."""

    layer: Slotted
    training: bool | None

    def stored(self, slot: str) -> Any:
        return read(self.layer.weight_of_slot(slot))

    def statistics(self, kind: Statistics, data: Callable[[], Any] | None) -> tuple[Any, Any]:
        return self.layer.statistics(kind, data, bool(self.training))

    def quantized(self, slot: str, x: Any) -> Any:
        quantizer = self.layer.quantizer_of_slot(slot)
        if quantizer.is_watched:
            return quantizer(x, training=self.training)
        # Without the preparations of Keras' call, which the layer around has made: they cost more than small tensors.
        if self.training or not self.layer.program.quantizers[slot].constant:
            return quantizer.call(x, training=self.training)
        return quantizer.weight_at_hand(x)

    def again(self, slot: str, x: Any) -> Any:
        quantizer = self.layer.quantizer_of_slot(slot)
        quantizer.repeat(True)
        try:
            return self.quantized(slot, x)
        finally:
            quantizer.repeat(False)

    def function(self, function: Any, x: Any, *weights: Any) -> Any:
        """At inference the numbers of the table; training needs only their accuracy, and is faster without float64."""
        if self.training:
            return getattr(function, "trained", function)(KERAS, x, *weights)
        return shared_values(_of_tensor(function), x, *weights)

    def dropped(self, rate: float, x: Any, rows: int) -> Any:
        if not self.training:
            return x
        shape = ops.shape(x)
        noise = (shape[0], *[1] * rows, *shape[1 + rows :]) if rows else None
        return keras.random.dropout(x, rate, noise_shape=noise, seed=self.layer.dropout_seed)

    def drawn(self, rate: float, x: Any, shape: Sequence[int]) -> Any:
        if not self.training:
            return None
        ones = ops.ones((ops.shape(x)[0], *shape), dtype=x.dtype)
        return keras.random.dropout(ones, rate, seed=self.layer.dropout_seed)

    def surrogate(self, y: Any, smooth: Callable[[], Any]) -> Any:
        if not self.training:
            return y
        given = smooth()
        return ops.stop_gradient(y) + (given - ops.stop_gradient(given))

    def nested(self, name: str, layer: Any, args: Sequence[Any]) -> Any:  # noqa: ARG002 (part of the protocol)
        return layer(list(args) if layer.many_inputs else args[0], training=self.training)

    def scan(self, step: Callable[..., tuple[Any, ...]], xs: Any, states: Sequence[Any], kind: Scanned) -> Any:
        """The outputs of all steps by the loop of the backend."""
        slots = {part.kind.slot for part in kind.body.steps if isinstance(part.kind, Quantized | Table)}
        quantizers = [self.layer.quantizer_of_slot(slot) for slot in sorted(slots)]
        return looped(step, xs, states, kind, quantizers, training=self.training, unroll=self.layer.unrolled)


@dataclass(frozen=True, slots=True)
class CountSlots:
    """What EBOPs counts of a layer, in the array library of ``verbs``."""

    layer: Slotted
    verbs: Ops

    def bits(self, slot: str) -> Any:
        quantizer = self.layer.quantizer_of_slot(slot)
        if isinstance(quantizer.spec, Dummy):
            return None
        return quantizer.array_bits if self.verbs is NUMPY else quantizer.bits

    def full_width(self, slot: str) -> Any:
        quantizer = self.layer.quantizer_of_slot(slot)
        if isinstance(quantizer.spec, Dummy):
            return None
        return quantizer.array_full_width if self.verbs is NUMPY else quantizer.full_width

    def nested_bits(self, name: str, layer: Any, args: Sequence[Any]) -> Any:  # noqa: ARG002 (part of the protocol)
        return output_bits(self.verbs, CountSlots(layer, self.verbs), layer.program, args)


@dataclass(frozen=True, slots=True)
class GraphSlots:
    """What the Graph takes of a layer."""

    layer: Slotted

    def exported(self, slot: str, shape: Shape) -> Exported:
        quantizer = self.layer.quantizer_of_slot(slot)
        return exported(quantizer, None if self.layer.program.quantizers[slot].constant else shape)

    def weight(self, slot: str) -> np.ndarray:
        values = weight_of(KERAS, CallSlots(self.layer, training=False), self.layer.program, slot)
        quantized = self.layer.quantizer_of_slot(slot)(values, training=False)
        return np.asarray(ops.convert_to_numpy(quantized)).astype(np.float64)

    def counted(self, slot: str) -> np.ndarray | None:
        bits = CountSlots(self.layer, NUMPY).bits(slot)
        return None if bits is None else np.asarray(bits)

    def counted_with_sign(self, slot: str) -> np.ndarray | None:
        width = CountSlots(self.layer, NUMPY).full_width(slot)
        return None if width is None else np.asarray(width)

    def tabulate(self, function: Any, weights: Sequence[int]) -> Callable[[np.ndarray], np.ndarray]:
        given = constants_of(KERAS, CallSlots(self.layer, training=False), self.layer.program, weights)

        def values(x: np.ndarray) -> np.ndarray:
            y = shared_values(_of_tensor(function), ops.convert_to_tensor(x), *given)
            return np.asarray(ops.convert_to_numpy(y)).astype(np.float64)

        return values

    def refusal(self, function: Any, label: str) -> str:
        if self.layer.output_in_table:
            return f"layer {label!r}: a table needs enable_iq=True and enable_oq=True to be exported"
        return refused_activation(_of_tensor(function), label)

    def emit_nested(self, builder: GraphBuilder, name: str, layer: Any, label: str, args: Sequence[str]) -> str:
        (output,) = layer.emit(builder, f"{label.removesuffix(name)}{layer.name}", args)
        return str(output)


def exported(quantizer: Quantizer, shape: Shape | None) -> Exported:
    """A quantizer as the Graph has it, for data of this shape without the batch axis; None for a weight."""
    config = quantizer.config
    fixed = shape is not None and isinstance(quantizer.spec, KIF | KBI)
    held = np.dtype(quantizer.compute_dtype).type
    affine = None if config.affine is None else (float(held(config.affine[0])), float(held(config.affine[1])))
    return Exported(quantizer.spec, _formats(quantizer, shape or ()) if fixed else None, config.scaler, affine)


def _formats(quantizer: Quantizer, shape: Shape) -> Formats:
    """Formats without the batch axis, which widths at the place ``table`` carry."""
    if quantizer.config.place == "datalane":
        return quantizer.formats(shape)
    full = quantizer.formats((1, *shape))
    return Formats.of(full.k[0], full.i[0], full.f[0])


@dataclass(frozen=True, slots=True)
class _OnKeras:
    """A function of hgq_core on Keras tensors; equal to another one of the same function, so that it compiles once."""

    function: Any

    def __call__(self, x: Any, *weights: Any) -> Any:
        return self.function(KERAS, x, *weights)


def _of_tensor(function: Any) -> Callable[[Any], Any]:
    """A function of a table as a function of a tensor."""
    return function.function if isinstance(function, FrameworkFunction) else _OnKeras(function)
