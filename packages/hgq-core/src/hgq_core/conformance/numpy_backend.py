"""The NumPy backend: the shared quantizer body and the Graph themselves, judged like any other implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import hgq_core
from hgq_core import quantize as body
from hgq_core.conformance.backend import Backend, Gradients, Layer, Mode, Model, Quantizer
from hgq_core.conformance.numpy_layers import add_layer
from hgq_core.cost import counted_bits, ebops
from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder, run
from hgq_core.graph.ops import Input
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY
from hgq_core.spec import KBI, KIF, Bounds, Float, Spec

__all__ = ["NumpyBackend", "NumpyQuantizer"]

Array = NDArray[Any]


class NumpyQuantizer(Quantizer):
    """One quantizer: its stored widths as arrays, its arithmetic that of `hgq_core.quantize`."""

    def __init__(self, spec: Spec, shape: tuple[int | None, ...]) -> None:
        if not isinstance(spec, KIF | KBI | Float):
            message = f"received a {type(spec).__name__}, expected kif, kbi or float"
            raise UnsupportedError(message)
        self.spec = spec
        self.sharing = spec.granularity.resolve(shape)
        if isinstance(spec, Float):
            initial = {"m": spec.m0, "e": spec.e0, "e0": spec.e00}
        elif isinstance(spec, KIF):
            initial = {"k": spec.k0, "i": spec.i0, "f": spec.f0}
        else:
            initial = {"k": spec.k0, "b": spec.b0, "i": spec.i0}
        self.stored = {name: np.full(self.sharing.width_shape, float(value)) for name, value in initial.items()}

    def widths(self) -> dict[str, Array]:
        return {name: value.copy() for name, value in self.stored.items()}

    def assign(self, widths: Mapping[str, Any]) -> None:
        for name, value in widths.items():
            self.stored[name] = np.array(np.broadcast_to(value, self.sharing.width_shape), dtype=np.float64)

    def _kif(self) -> tuple[Array, Array, Array]:
        k, i = self.stored["k"], np.rint(self.stored["i"])
        return k, i, np.rint(self.stored["f"]) if isinstance(self.spec, KIF) else np.rint(self.stored["b"]) - i

    def formats(self) -> Formats:
        return Formats.of(*(self.sharing.expand(NUMPY, part) for part in self._kif()))

    def bits(self) -> Array:
        if isinstance(self.spec, Float):
            m, e = np.rint(self.stored["m"]), np.rint(self.stored["e"])
            counted = np.where(m < 0, 0.0, m + e + 1.0)
        else:
            counted = counted_bits(NUMPY, *self._kif(), self.spec.overflow_mode)
        expanded: Array = self.sharing.expand(NUMPY, counted)
        return expanded

    def forward(self, x: Array, mode: Mode) -> Array:
        split = self.sharing.split(NUMPY, x)
        result: Array = self.sharing.join(NUMPY, self._quantized(split, mode))
        return result

    @property
    def trainable(self) -> bool:
        """Whether training and calibration may move the range."""
        return self.spec.trainable

    def _quantized(self, x: Array, mode: Mode) -> Array:
        spec = self.spec
        if isinstance(spec, Float):
            m, e, e0 = (np.rint(self.stored[name]) for name in ("m", "e", "e0"))
            quantized: Array = body.minifloat(NUMPY, x, m, e, e0)
            return quantized
        if not self.trainable:
            mode = Mode.INFER
        wraps = spec.overflow_mode is Overflow.WRAP
        if wraps and (mode is not Mode.INFER or spec.is_weight):
            self._follow(x, mode)
        k, i, f = self._kif()
        quantized = body.fixed_point(
            NUMPY,
            x,
            k,
            i,
            f,
            round_mode=spec.round_mode,
            overflow_mode=spec.overflow_mode,
            wrap=mode is Mode.INFER and not spec.is_weight,
        )
        if wraps and mode is Mode.CALIBRATE:
            negative = NUMPY.amax(quantized < 0, self.sharing.shared_axes)
            self.stored["k"] = np.maximum(self.stored["k"], negative)
        return quantized

    def _follow(self, x: Array, mode: Mode) -> None:
        """The stored ``i`` after a batch under WRAP."""
        spec = self.spec
        if isinstance(spec, Float):
            return
        lowest, highest = (reduce(x, self.sharing.shared_axes) for reduce in (NUMPY.amin, NUMPY.amax))
        if isinstance(spec, KIF):
            needed = body.integer_bits_kif(
                NUMPY, lowest, highest, np.rint(self.stored["f"]), round_mode=spec.round_mode
            )
        else:
            needed = body.integer_bits_kbi(
                NUMPY, lowest, highest, np.rint(self.stored["b"]), round_mode=spec.round_mode
            )
        decay = 0.0 if mode is Mode.CALIBRATE else spec.i_decay_speed
        i = np.maximum(self.stored["i"] - decay, needed)
        self.stored["i"] = spec.ic.clip(NUMPY, i) if isinstance(spec.ic, Bounds) else i

    def gradients(self, x: Array, g: Array) -> Gradients:
        split, upstream = self.sharing.split(NUMPY, x), self.sharing.split(NUMPY, g)
        xq = self._quantized(split, Mode.TRAIN)
        widths: dict[str, Array | None]
        if isinstance(self.spec, Float):
            formats = tuple(np.rint(self.stored[name]) for name in ("m", "e", "e0"))
            dx, *parts = body.minifloat_gradients(NUMPY, upstream, split, xq, *formats)
            widths = dict(zip(("m", "e", "e0"), map(self._summed, parts), strict=True))
        else:
            mode = self.spec.overflow_mode
            dx, di, df = self.fixed_gradients(upstream, split, xq, *self._kif(), overflow_mode=mode)
            di, df = None if di is None else self._summed(di), self._summed(df)
            if isinstance(self.spec, KIF):
                widths = {"i": di, "f": df}
            else:
                widths = {"i": None if di is None else di - df, "b": df}
        return Gradients(self.sharing.join(NUMPY, xq), self.sharing.join(NUMPY, dx), widths)

    def fixed_gradients(self, *arrays: Array, overflow_mode: Overflow) -> tuple[Array, Array | None, Array]:
        """Gradients of each element, before those that share a width are summed."""
        return body.fixed_point_gradients(NUMPY, *arrays, overflow_mode=overflow_mode)

    def _summed(self, gradient: Array) -> Array:
        full = np.broadcast_to(gradient, np.broadcast_shapes(gradient.shape, self.sharing.width_shape))
        result: Array = NUMPY.sum(full, self.sharing.shared_axes)
        return result


class NumpyModel(Model):
    """A chain of layers, each written down as Graph nodes."""

    def __init__(self, layers: Sequence[Layer], input_shape: tuple[int, ...], quantizer: type[NumpyQuantizer]) -> None:
        self.layers = layers
        self.input_shape = input_shape
        self.quantizers: dict[int, dict[str, NumpyQuantizer]] = {}
        self._quantizer = quantizer

    def quantizer(self, layer: int, name: str) -> NumpyQuantizer:
        self.to_graph()
        return self.quantizers[layer][name]

    def _built(self, layer: int, name: str, shape: tuple[int | None, ...]) -> NumpyQuantizer:
        """The quantizer of a layer, made when its shape is first known."""
        known = self.quantizers.setdefault(layer, {})
        if name not in known:
            known[name] = self._quantizer(self.layers[layer].quantizers[name], shape)
            known[name].assign(self.layers[layer].widths.get(name, {}))
        return known[name]

    def to_graph(self) -> Graph:
        builder = GraphBuilder()
        inputs = 2 if self.layers[0].kind == "add" else 1
        current = [builder.add(Input(self.input_shape), name=f"x{n}") for n in range(inputs)]
        for number, layer in enumerate(self.layers):

            def built(name: str, shape: tuple[int | None, ...], number: int = number) -> NumpyQuantizer:
                return self._built(number, name, shape)

            current = [add_layer(builder, f"layer{number}", layer, current, built)]
        return builder.build(current)

    def forward(self, *inputs: Array, mode: Mode = Mode.INFER) -> Array:
        if mode is not Mode.INFER:
            self._not_offered(f"mode {mode}")
        return np.asarray(run(self.to_graph(), *inputs))

    def ebops(self) -> float:
        return ebops(self.to_graph())

    def cost_gradients(self, *inputs: Array) -> Mapping[tuple[int, str], Mapping[str, Array]]:
        self._not_offered("derivatives of a cost")

    def calibrate(self, *inputs: Array, batch_size: int | None = None) -> None:
        self._not_offered("calibration of a model")

    def save_and_load(self, folder: Path, save_format: str) -> Model:
        self._not_offered("a file format for models")

    def train(self, x: Array, y: Array, *, steps: int, learning_rate: float, beta: float) -> Sequence[float]:
        self._not_offered("training")

    def _not_offered(self, what: str) -> NoReturn:
        message = f"the NumPy backend has no {what}; use hgq-keras or hgq-torch"
        raise UnsupportedError(message)


class NumpyBackend(Backend):
    """hgq_core on NumPy alone: quantizers with closed-form gradients, and layers as nodes of a Graph."""

    version = f"hgq-core {hgq_core.__version__}, numpy {np.__version__}"
    missing: Mapping[str, str] = {
        "saving": "no layers of its own to save; the file of a Graph belongs to the group graph",
        "training": "no automatic differentiation",
        "cost_gradients": "no automatic differentiation",
        "calibration": "no calibration of a model",
    }
    quantizer_class: type[NumpyQuantizer] = NumpyQuantizer

    def quantize(
        self, x: Array, k: Array, i: Array, f: Array, *, round_mode: Round, overflow_mode: Overflow, wrap: bool = True
    ) -> Array:
        widths = (np.asarray(part, dtype=np.float64) for part in (k, i, f))
        quantized: Array = body.fixed_point(
            NUMPY, x, *widths, round_mode=round_mode, overflow_mode=overflow_mode, wrap=wrap
        )
        return quantized

    def quantizer(self, spec: Spec, shape: tuple[int | None, ...]) -> Quantizer:
        return self.quantizer_class(spec, shape)

    def model(self, layers: Sequence[Layer], input_shape: tuple[int, ...]) -> Model:
        return NumpyModel(layers, input_shape, self.quantizer_class)
