"""The layers of the NumPy backend: the declarations of hgq_core read on NumPy arrays, nothing of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from hgq_core.conformance.backend import Layer, Mode, Quantizer
from hgq_core.conformance.declarations import declaration_of
from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder
from hgq_core.graph.ops import Shape
from hgq_core.layers import Bits, Emit, Exported, Program, Values, constants_of, trace, weight_of
from hgq_core.layers.steps import Scanned, Statistics
from hgq_core.modes import Overflow
from hgq_core.ops import NUMPY
from hgq_core.quantizer.range import is_weight_range
from hgq_core.scope import resolve
from hgq_core.spec import KBI, KIF, Spec

__all__ = ["NumpyLayer"]

Array = NDArray[Any]
MakeQuantizer = Callable[[Spec, tuple[int | None, ...]], Quantizer]


class NumpyLayer:
    """One layer of a case: its program, its weights, and a quantizer for each slot.

    Attributes:
        layer: what it was made from.
        program: its declaration, traced.
        weights: by slot, in float64.
        quantizers: by slot.
        specs: of the quantizers; that of the scope where the case has none.
        mode: of the next forward pass.
    """

    def __init__(self, layer: Layer, shapes: Sequence[Shape], make: MakeQuantizer) -> None:
        self.layer = layer
        self.program: Program = trace(declaration_of(layer), *shapes)
        self.mode = Mode.INFER
        self.weights = {name: np.asarray(_weight(layer, name), dtype=np.float64) for name in self.program.weights}
        self.quantizers: dict[str, Quantizer] = {}
        self.specs: dict[str, Spec] = {}
        for name, slot in self.program.quantizers.items():
            shape = slot.shape if slot.constant else (None, *slot.shape)
            owner, own = _owner(layer, name)
            given = owner.quantizers.get(own)
            self.specs[name] = resolve(place=slot.place) if given is None else given
            self.quantizers[name] = make(self.specs[name], shape)
            self.quantizers[name].assign(owner.widths.get(own, {}))

    def forward(self, inputs: Sequence[Array], mode: Mode) -> Array:
        """The output, in float64."""
        self.mode = mode
        return np.asarray(Values(NUMPY, self).read(self.program, inputs))

    def ebops(self) -> float:
        """EBOPs of the layer."""
        return float(Bits(NUMPY, self).count(self.program))

    def emit(self, builder: GraphBuilder, label: str, inputs: Sequence[str]) -> str:
        """Append the layer to a graph."""
        return Emit(builder, self, label, 1.0).append(self.program, inputs)[0]

    # --- what the forward pass asks ---

    def stored(self, slot: str) -> Array:
        return self.weights[slot]

    def statistics(self, kind: Statistics, data: Any) -> tuple[Array, Array]:
        return self.stored(kind.mean), self.stored(kind.variance)

    def quantized(self, slot: str, x: Array) -> Array:
        return self.quantizers[slot].forward(x, self.mode)

    def again(self, slot: str, x: Array) -> Array:
        if self.mode is Mode.TRAIN:
            message = f"slot {slot!r} twice in a step of training: the NumPy backend does not train"
            raise UnsupportedError(message)
        return self.quantized(slot, x)

    def function(self, function: Any, x: Array, *weights: Array) -> Array:
        return np.asarray(function(NUMPY, x, *weights))

    def dropped(self, rate: float, x: Array, rows: int) -> Array:
        self.drawn(rate, x, x.shape)
        return x

    def drawn(self, rate: float, x: Array, shape: Sequence[int]) -> None:
        if self.mode is Mode.TRAIN:
            message = f"dropout of rate {rate} in training: the NumPy backend does not train"
            raise UnsupportedError(message)

    def surrogate(self, y: Array, smooth: Callable[[], Array]) -> Array:
        return y

    def nested(self, name: str, layer: Any, args: Sequence[Any]) -> NoReturn:
        self._refuse(name)

    def scan(self, step: Callable[..., tuple[Array, ...]], xs: Array, states: Sequence[Array], kind: Scanned) -> Array:
        ys: list[Array] = []
        for n in range(kind.steps)[:: -1 if kind.reverse else 1]:
            y, *states = step(xs[:, n], *states)
            ys.append(y)
        return np.stack(ys[:: -1 if kind.reverse else 1], 1)

    # --- what the cost asks ---

    def bits(self, slot: str) -> Array:
        if is_weight_range(self._spec(slot)):
            self.weight(slot)  # its range is that of its values, which it then stores
        return self.quantizers[slot].bits()

    def nested_bits(self, name: str, layer: Any, args: Sequence[Any]) -> NoReturn:
        self._refuse(name)

    # --- what the Graph asks ---

    def exported(self, slot: str, shape: Shape) -> Exported:
        spec = self._spec(slot)
        if not isinstance(spec, KIF | KBI):
            return Exported(spec, None, None, None)
        formats = self.quantizers[slot].formats()
        if not self.program.quantizers[slot].constant:
            # Widths are shared over the batch, so their leading axis is 1.
            formats = Formats(*(part[0] for part in (formats.k, formats.i, formats.f)))
        return Exported(spec, formats.broadcast_to(shape), None, None)

    def weight(self, slot: str) -> Array:
        return self.quantizers[slot].forward(weight_of(NUMPY, self, self.program, slot), Mode.INFER)

    def counted(self, slot: str) -> Array:
        return self.bits(slot)

    def full_width(self, slot: str) -> Array:
        bits, spec = self.bits(slot), self._spec(slot)
        signed = isinstance(spec, KIF | KBI) and spec.overflow_mode is not Overflow.SAT
        return bits + np.where(bits > 0, self.quantizers[slot].formats().k, 0) if signed else bits

    def counted_with_sign(self, slot: str) -> Array:
        return self.full_width(slot)

    def tabulate(self, function: Any, weights: Sequence[int]) -> Callable[[Array], Array]:
        given = constants_of(NUMPY, self, self.program, weights)
        return lambda x: np.asarray(function(NUMPY, x.astype(np.float64), *given))

    def refusal(self, function: Any, label: str) -> str:
        return f"layer {label!r}: {function!r} has no node of the Graph; expected a table"

    def emit_nested(self, builder: GraphBuilder, name: str, layer: Any, label: str, args: Sequence[str]) -> NoReturn:
        self._refuse(name)

    def _spec(self, slot: str) -> Spec:
        return self.specs[slot]

    def _refuse(self, name: str) -> NoReturn:
        message = f"layer {name!r}: the NumPy backend has no layers with slots of their own; declare the part inside"
        raise UnsupportedError(message)


def _weight(layer: Layer, slot: str) -> Any:
    owner, own = _owner(layer, slot)
    return owner.weights[own]


def _owner(layer: Layer, slot: str) -> tuple[Layer, str]:
    """The part that a slot belongs to, and its name there; one ``iq`` of a case serves all inputs of a layer."""
    if slot.startswith("parts/"):
        _, number, rest = slot.split("/", 2)
        return _owner(layer.options["parts"][int(number)], rest)
    return layer, "iq" if slot.startswith("iq_") else slot
