"""The NumPy backend: the shared quantizer body and the Graph themselves, judged like any other implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import hgq_core
from hgq_core import quantize as body
from hgq_core.conformance.backend import Backend, Gradients, Layer, Mode, Model, Quantizer
from hgq_core.conformance.numpy_layers import NumpyLayer
from hgq_core.conformance.wiring import calls_of, evaluated, input_count
from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.granularity import Granularity
from hgq_core.graph import Graph, GraphBuilder
from hgq_core.graph.ops import Input
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY
from hgq_core.quantizer import counted, declared, fraction, mode_of, second, transformed
from hgq_core.quantizer.range import follows, limited, needed, rounds_below_zero, wanted, wraps
from hgq_core.spec import KBI, KIF, Dummy, Float, Spec

__all__ = ["NumpyBackend", "NumpyQuantizer"]

Array = NDArray[Any]


class NumpyQuantizer(Quantizer):
    """One quantizer: its stored widths as arrays, its arithmetic that of `hgq_core.quantize`."""

    def __init__(
        self,
        spec: Spec,
        shape: tuple[int | None, ...],
        *,
        scaler: float | None = None,
        affine: tuple[float, float] | None = None,
        qnoise_factor: float | None = None,
    ) -> None:
        self.spec = spec
        self.scaler, self.affine, self.qnoise_factor = scaler, affine, qnoise_factor
        own = Granularity(heterogeneous_axis=()) if isinstance(spec, Dummy) else spec.granularity
        self.sharing = own.resolve(shape)
        self.stored = {width.name: np.full(self.sharing.width_shape, float(width.start)) for width in declared(spec)}

    def widths(self) -> dict[str, Array]:
        return {name: value.copy() for name, value in self.stored.items()}

    def assign(self, widths: Mapping[str, Any]) -> None:
        for name, value in widths.items():
            self.stored[name] = np.array(np.broadcast_to(value, self.sharing.width_shape), dtype=np.float64)

    def _whole(self, name: str) -> Array:
        """A stored width as whole bits."""
        whole: Array = np.rint(self.stored[name])
        return whole

    def _fixed(self) -> KIF | KBI:
        if not isinstance(self.spec, KIF | KBI):
            message = f"received a {type(self.spec).__name__}, which has no fixed-point widths; expected kif or kbi"
            raise UnsupportedError(message)
        return self.spec

    def _kif(self) -> tuple[Array, Array, Array]:
        spec, i = self._fixed(), self._whole("i")
        return self.stored["k"], i, fraction(spec, self._whole(second(spec)), i)

    def formats(self) -> Formats:
        return Formats.of(*(self.sharing.expand(NUMPY, part) for part in self._kif()))

    def bits(self) -> Array:
        bits = np.broadcast_to(counted(NUMPY, self.spec, self._whole), self.sharing.width_shape)
        expanded: Array = self.sharing.expand(NUMPY, bits)
        return expanded

    @property
    def trainable(self) -> bool:
        """Whether training and calibration may move the range."""
        return isinstance(self.spec, Dummy) or self.spec.trainable

    def _mode(self, mode: Mode) -> Mode:
        """The mode that it is in, when it is called in this one."""
        calibrating, training = mode is Mode.CALIBRATE, mode is Mode.TRAIN
        return mode_of(frozen=not self.trainable, calibrating=calibrating, training=training)

    def forward(self, x: Array, mode: Mode) -> Array:
        mode = self._mode(mode)

        def quantize(x: Array) -> Array:
            quantized: Array = self.sharing.join(NUMPY, self._quantized(self.sharing.split(NUMPY, x), mode))
            return quantized

        return self._transformed(x, None if isinstance(self.spec, Dummy) else quantize, mode)

    def _transformed(self, x: Array, quantize: Callable[[Array], Array] | None, mode: Mode) -> Array:
        result: Array = transformed(
            x, quantize, mode=mode, scaler=self.scaler, affine=self.affine, noise_factor=self.qnoise_factor
        )
        return result

    def _quantized(self, x: Array, mode: Mode) -> Array:
        quantized: Array
        if isinstance(self.spec, Float):
            quantized = body.minifloat(NUMPY, x, *(self._whole(name) for name in ("m", "e", "e0")))
            return quantized
        spec = self._fixed()
        if follows(spec, mode):
            self._follow(x, mode)
        quantized = body.fixed_point(
            NUMPY,
            x,
            *self._kif(),
            round_mode=spec.round_mode,
            overflow_mode=spec.overflow_mode,
            wrap=wraps(spec, mode),
        )
        return quantized

    def _follow(self, x: Array, mode: Mode) -> None:
        """The stored range after a batch under WRAP."""
        spec = self._fixed()
        low, high = (reduce(x, self.sharing.shared_axes) for reduce in (NUMPY.amin, NUMPY.amax))
        needs = needed(NUMPY, spec, low, high, self._whole(second(spec)))
        self.stored["i"] = limited(NUMPY, spec, wanted(NUMPY, spec, self.stored["i"], needs, mode))
        if mode is Mode.CALIBRATE:
            k, i, f = self._kif()
            self.stored["k"] = np.maximum(k, rounds_below_zero(NUMPY, spec, low, i, f))

    def gradients(self, x: Array, g: Array) -> Gradients:
        mode = self._mode(Mode.TRAIN)
        if isinstance(self.spec, Dummy):
            return Gradients(self._transformed(x, None, mode), g if self.affine is None else g * self.affine[0], {})
        scale, noise = self.scaler or 1.0, 1.0
        if self.qnoise_factor is not None and mode is Mode.TRAIN:
            noise = self.qnoise_factor
        g = g if self.affine is None else g * self.affine[0]
        inner = self._gradients(x / scale, g * (noise * scale), mode)
        y = self._transformed(x, lambda _: inner.xq, mode)
        return Gradients(y, g * (1.0 - noise) + inner.dx / scale, inner.widths)

    def _gradients(self, x: Array, g: Array, mode: Mode) -> Gradients:
        """Those of the quantization alone."""
        split, upstream = self.sharing.split(NUMPY, x), self.sharing.split(NUMPY, g)
        xq = self._quantized(split, mode)
        widths: dict[str, Array | None]
        if isinstance(self.spec, Float):
            dx, *parts = body.minifloat_gradients(
                NUMPY, upstream, split, xq, *(self._whole(name) for name in ("m", "e", "e0"))
            )
            widths = dict(zip(("m", "e", "e0"), map(self._summed, parts), strict=True))
        else:
            overflow = self._fixed().overflow_mode
            dx, di, df = self.fixed_gradients(upstream, split, xq, *self._kif(), overflow_mode=overflow)
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
    """A chain of layers, each a reading of its declaration."""

    def __init__(self, layers: Sequence[Layer], input_shape: tuple[int, ...], quantizer: type[NumpyQuantizer]) -> None:
        self.given = list(layers)
        self.input_shape = input_shape
        self._quantizer = quantizer
        self.layers: dict[int, NumpyLayer] = {}

        def shape(number: int, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
            if number not in self.layers:
                self.layers[number] = NumpyLayer(layers[number], shapes, quantizer)
            return self.layers[number].program.output_shape

        evaluated(layers, [input_shape] * input_count(layers), shape)

    def quantizer(self, layer: int, name: str) -> Quantizer:
        quantizers = self.layers[layer].quantizers
        return quantizers["iq_0" if name == "iq" and "iq_0" in quantizers else name]

    def to_graph(self) -> Graph:
        builder = GraphBuilder()
        inputs = [builder.add(Input(self.input_shape), name=f"x{n}") for n in range(input_count(self.given))]

        def emit(number: int, names: list[str]) -> str:
            return self.layers[number].emit(builder, f"layer{number}", names)

        return builder.build([evaluated(self.given, inputs, emit)])

    def forward(self, *inputs: Array, mode: Mode = Mode.INFER) -> Array:
        if mode is not Mode.INFER:
            self._not_offered(f"mode {mode}")
        arrays = [np.asarray(x, dtype=np.float64) for x in inputs]
        return np.asarray(evaluated(self.given, arrays, lambda number, xs: self.layers[number].forward(xs, mode)))

    def ebops(self) -> float:
        return sum(self.layers[call.layer].ebops() for call in calls_of(self.given))

    def cost_gradients(self, *inputs: Array) -> Mapping[tuple[int, str], Mapping[str, Array]]:
        self._not_offered("derivatives of a cost")

    def calibrate(self, *inputs: Array, batch_size: int | None = None) -> None:
        self._not_offered("calibration of a model")

    def save_and_load(self, folder: Path, save_format: str) -> Model:
        path = folder / f"model.{save_format}"
        np.savez(path, allow_pickle=False, **self.saved())
        fresh = type(self)([_bare(layer) for layer in self.given], self.input_shape, self._quantizer)
        with np.load(path) as stored:
            fresh.load({name: stored[name] for name in stored.files})
        return fresh

    def saved(self) -> dict[str, Array]:
        """What a file holds: weights and widths, by layer, slot and name."""
        held: dict[str, Array] = {}
        for number, layer in self.layers.items():
            held |= {f"{number}:{name}": layer.stored(name) for name in layer.program.weights}
            for slot, quantizer in layer.quantizers.items():
                held |= {f"{number}:{slot}:{name}": width for name, width in quantizer.widths().items()}
        return held

    def load(self, held: Mapping[str, Array]) -> None:
        """Take the weights and widths of a file."""
        for number, layer in self.layers.items():
            layer.weights = {name: held[f"{number}:{name}"] for name in layer.program.weights}
            for slot, quantizer in layer.quantizers.items():
                quantizer.assign({name: held[f"{number}:{slot}:{name}"] for name in quantizer.widths()})

    def train(
        self, x: Array | Sequence[Array], y: Array, *, steps: int, learning_rate: float, beta: float
    ) -> Sequence[float]:
        self._not_offered("training")

    def _not_offered(self, what: str) -> NoReturn:
        message = f"the NumPy backend has no {what}; use hgq-keras or hgq-torch"
        raise UnsupportedError(message)


def _bare(layer: Layer) -> Layer:
    """The layer as configured, with other weights and its initial widths: what a file has to restore."""
    options = dict(layer.options)
    if "parts" in options:
        options["parts"] = tuple(_bare(part) for part in options["parts"])
    weights = {name: np.ones_like(value) for name, value in layer.weights.items()}
    return replace(layer, options=options, weights=weights, widths={})


class NumpyBackend(Backend):
    """hgq_core on NumPy alone: quantizers with closed-form gradients, and layers as nodes of a Graph."""

    version = f"hgq-core {hgq_core.__version__}, numpy {np.__version__}"
    missing: Mapping[str, str] = {
        "training": "no automatic differentiation",
        "cost_gradients": "no automatic differentiation",
        "calibration": "no calibration of a model",
    }
    save_formats = ("npz",)
    quantizer_class: type[NumpyQuantizer] = NumpyQuantizer

    def quantize(
        self, x: Array, k: Array, i: Array, f: Array, *, round_mode: Round, overflow_mode: Overflow, wrap: bool = True
    ) -> Array:
        widths = (np.asarray(part, dtype=np.float64) for part in (k, i, f))
        quantized: Array = body.fixed_point(
            NUMPY, x, *widths, round_mode=round_mode, overflow_mode=overflow_mode, wrap=wrap
        )
        return quantized

    def quantizer(
        self,
        spec: Spec,
        shape: tuple[int | None, ...],
        *,
        scaler: float | None = None,
        affine: tuple[float, float] | None = None,
        qnoise_factor: float | None = None,
    ) -> Quantizer:
        return self.quantizer_class(spec, shape, scaler=scaler, affine=affine, qnoise_factor=qnoise_factor)

    def model(self, layers: Sequence[Layer], input_shape: tuple[int, ...]) -> Model:
        return NumpyModel(layers, input_shape, self.quantizer_class)
