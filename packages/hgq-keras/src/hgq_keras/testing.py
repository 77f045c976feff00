"""The conformance adapter: this package, judged by `hgq_core.conformance` on any Keras backend."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.conformance.backend import Backend, Gradients, Layer, Mode, Model
from hgq_core.conformance.backend import Quantizer as JudgedQuantizer
from hgq_core.conformance.wiring import evaluated, input_count
from hgq_core.errors import ConfigError, UnsupportedError
from hgq_core.formats import Formats
from hgq_core.layers import attribute_of
from hgq_core.quantize import fixed_point
from hgq_keras import layers as quantized
from hgq_keras._calibrate import calibrating, trace_minmax
from hgq_keras.callbacks import BetaScheduler
from hgq_keras.calls import ebops
from hgq_keras.config import QuantizerConfig
from hgq_keras.export import to_graph
from hgq_keras.ops import KERAS
from hgq_keras.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hgq_core.graph import Graph
    from hgq_core.layers import Declaration, Trace, Value
    from hgq_core.modes import Overflow, Round
    from hgq_core.spec import Spec

__all__ = ["KerasBackend", "KerasModel", "KerasQuantizer"]


def configuration(
    spec: Spec,
    place: str,
    *,
    scaler: float | None = None,
    affine: tuple[float, float] | None = None,
    qnoise_factor: float | None = None,
) -> QuantizerConfig:
    """The configuration that says the same as a specification, every parameter written out."""
    axes = ("homogeneous_axis", "heterogeneous_axis")
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    given = {name: value for name, value in values.items() if name not in axes or value is not None}
    return QuantizerConfig(spec.q_type, place, scaler, affine, qnoise_factor, **given)


def gradients(quantizer: Quantizer, x: Any, g: Any) -> tuple[Any, Any, Mapping[str, Any]]:
    """``(xq, dx, {width: gradient})`` of ``sum(g * q(x))`` in training, by the running framework."""
    names = [variable.name for variable in quantizer.trainable_variables]
    if keras.backend.backend() == "jax":
        import jax

        fixed = [variable.value for variable in quantizer.non_trainable_variables]

        def forward(x: Any, trained: Any) -> Any:
            return quantizer.stateless_call(trained, fixed, x, training=True)[0]

        xq, pull_back = jax.vjp(forward, x, [variable.value for variable in quantizer.trainable_variables])
        dx, dw = pull_back(g)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            xq = quantizer(x, training=True)
        sources = [variable.value for variable in quantizer.trainable_variables]
        dx, dw = tape.gradient(xq, [x, sources], output_gradients=g)
    else:
        import torch

        x = x.requires_grad_()
        xq = quantizer(x, training=True)
        sources = [variable.value for variable in quantizer.trainable_variables]
        dx, *dw = torch.autograd.grad(xq, [x, *sources], g, allow_unused=True)
    return xq, dx, dict(zip(names, dw, strict=True))


def cost_gradients(model: keras.Model, inputs: Any) -> tuple[list[Any], list[Any]]:
    """The trainable variables, and the gradients of the sum of all losses of a layer in a training step to them."""
    variables = list(model.trainable_variables)
    values = [variable.value for variable in variables]
    if keras.backend.backend() == "jax":
        import jax

        fixed = [variable.value for variable in model.non_trainable_variables]

        def loss(trained: Any) -> Any:
            return sum(model.stateless_call(trained, fixed, inputs, training=True, return_losses=True)[2])

        return variables, jax.grad(loss)(values)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            model(inputs, training=True)
            total = sum(model.losses)
        return variables, tape.gradient(total, values)
    import torch

    model(inputs, training=True)
    return variables, list(torch.autograd.grad(sum(model.losses), values, allow_unused=True))


def _present(layer: Any, place: str) -> Quantizer | None:
    """The layer's quantizer at this place, if it has one."""
    if place in ("iq", "oq"):
        return getattr(layer, place) if getattr(layer, f"enable_{place}", False) else None
    return getattr(layer, place, None)


class KerasQuantizer(JudgedQuantizer):
    """A built `Quantizer` layer."""

    def __init__(self, quantizer: Quantizer, shape: tuple[int | None, ...]) -> None:
        self.layer = quantizer
        self.shape = shape

    def forward(self, x: np.ndarray, mode: Mode) -> np.ndarray:
        with _mode(self.layer, mode):
            return _array(self.layer(ops.convert_to_tensor(x), training=mode is Mode.TRAIN))

    def gradients(self, x: np.ndarray, g: np.ndarray) -> Gradients:
        xq, dx, widths = gradients(self.layer, ops.convert_to_tensor(x), ops.convert_to_tensor(g))
        given = {name: None if width is None else _array(width) for name, width in widths.items()}
        return Gradients(_array(xq), _array(dx), given)

    def _variables(self) -> dict[str, Any]:
        return {variable.name: variable for variable in self.layer.variables}

    def widths(self) -> dict[str, np.ndarray]:
        return {name: _array(variable) for name, variable in self._variables().items()}

    def assign(self, widths: Mapping[str, Any]) -> None:
        variables = self._variables()
        for name, value in widths.items():
            variables[name].assign(np.broadcast_to(np.asarray(value, dtype="float32"), variables[name].shape))

    def formats(self) -> Formats:
        if self.layer.config.place != "datalane":
            return self.layer.formats([int(n or 1) for n in self.shape])
        inner = self.layer.formats([int(n or 1) for n in self.shape[1:]])
        return Formats(inner.k[None], inner.i[None], inner.f[None])

    def bits(self) -> np.ndarray:
        return _array(self.layer.bits)


class KerasModel(Model):
    """A functional model and the names of those of its layers that the suite knows, by position."""

    def __init__(self, model: keras.Model, names: Mapping[int, str]) -> None:
        self.model = model
        self.names = names

    def forward(self, *inputs: np.ndarray, mode: Mode = Mode.INFER) -> np.ndarray:
        if mode is Mode.INFER and keras.backend.backend() == "jax":
            return _array(self.model.predict_on_batch(_one_or_list(inputs)))  # op by op would compile every operation
        with _mode(self.model, mode):
            return _array(self.model(_one_or_list(inputs), training=mode is Mode.TRAIN))

    def calibrate(self, *inputs: np.ndarray, batch_size: int | None = None) -> None:
        trace_minmax(self.model, _one_or_list(inputs), batch_size=batch_size or len(inputs[0]))

    def ebops(self) -> float:
        return ebops(self.model)

    def cost_gradients(self, *inputs: np.ndarray) -> Mapping[tuple[int, str], Mapping[str, np.ndarray]]:
        schedule = BetaScheduler(lambda _: 1.0)
        schedule.set_model(self.model)
        schedule.on_epoch_begin(0)
        found = {id(v): g for v, g in zip(*cost_gradients(self.model, _one_or_list(inputs)), strict=True)}
        result: dict[tuple[int, str], dict[str, np.ndarray]] = {}
        for n, name in self.names.items():
            for place in ("iq", "kq", "bq", "oq"):
                quantizer = _present(self.model.get_layer(name), place)
                if quantizer is not None:
                    given = {v.name: found[id(v)] for v in quantizer.trainable_variables}
                    result[n, place] = {w: np.zeros(1) if g is None else _array(g) for w, g in given.items()}
        return result

    def to_graph(self) -> Graph:
        return to_graph(self.model)

    def quantizer(self, layer: int, name: str) -> KerasQuantizer:
        chosen = getattr(self.model.get_layer(self.names[layer]), attribute_of(name))
        return KerasQuantizer(chosen, tuple(chosen.get_build_config()["input_shape"]))

    def save_and_load(self, folder: Path, save_format: str) -> KerasModel:
        path = folder / f"model.{save_format}"
        if save_format == "weights.h5":
            self.model.save_weights(path)
            loaded = type(self.model).from_config(self.model.get_config())
            loaded.load_weights(path)
        else:
            self.model.save(path)
            loaded = keras.saving.load_model(path)
        return KerasModel(loaded, self.names)

    def train(self, x: np.ndarray, y: np.ndarray, *, steps: int, learning_rate: float, beta: float) -> Sequence[float]:
        self.model.compile(keras.optimizers.Adam(learning_rate), loss="mse", metrics=["mse"])
        schedule = BetaScheduler(lambda _: beta)
        history = self.model.fit(x, y, batch_size=len(x), epochs=steps, shuffle=False, verbose=0, callbacks=[schedule])
        return [float(value) for value in history.history["mse"]]


class KerasBackend(Backend):
    """hgq_keras on the Keras backend that the entry point names; ``KERAS_BACKEND`` has to choose the same one.

    Raises:
        ConfigError: Keras runs on another backend.
    """

    save_formats = ("keras", "h5", "weights.h5")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        running, wanted = keras.backend.backend(), name.removeprefix("keras-")
        if name.startswith("keras-") and wanted != running:
            message = f"backend {name!r}: Keras runs on {running!r}; set KERAS_BACKEND={wanted} and start again"
            raise ConfigError(message)
        framework = getattr(import_module(running), "__version__", "")
        self.version = f"hgq-keras {version('hgq-keras')}, keras {keras.version()}, {running} {framework}"
        self.environment = {"KERAS_BACKEND": running, "floatx": keras.config.floatx()}

    def quantize(
        self,
        x: np.ndarray,
        k: np.ndarray,
        i: np.ndarray,
        f: np.ndarray,
        *,
        round_mode: Round,
        overflow_mode: Overflow,
        wrap: bool = True,
    ) -> np.ndarray:
        x, k, i, f = (ops.convert_to_tensor(part, dtype="float32") for part in (x, k, i, f))
        return _array(fixed_point(KERAS, x, k, i, f, round_mode=round_mode, overflow_mode=overflow_mode, wrap=wrap))

    def quantizer(
        self,
        spec: Spec,
        shape: tuple[int | None, ...],
        *,
        scaler: float | None = None,
        affine: tuple[float, float] | None = None,
        qnoise_factor: float | None = None,
    ) -> KerasQuantizer:
        place = "datalane" if shape[0] is None else "weight"
        config = configuration(spec, place, scaler=scaler, affine=affine, qnoise_factor=qnoise_factor)
        quantizer = Quantizer(config)
        quantizer.build(shape)
        return KerasQuantizer(quantizer, shape)

    def model(self, layers: Sequence[Layer], input_shape: tuple[int, ...]) -> KerasModel:
        made = {n: make_layer(layer, f"layer{n}") for n, layer in enumerate(layers) if layer.again is None}
        inputs = [keras.Input(input_shape) for _ in range(input_count(layers))]

        def apply(number: int, tensors: list[Any]) -> Any:
            y = made[number](_one_or_list(tensors))
            layer = layers[number]
            if layer.options.get("activation") == "relu" and layer.kind not in _WITH_ACTIVATION:
                y = keras.layers.ReLU()(y)
            return y

        model = keras.Model(_one_or_list(inputs), evaluated(layers, inputs, apply))
        for number, keras_layer in made.items():
            _assign(layers[number], keras_layer)
        return KerasModel(model, {number: f"layer{number}" for number in made})


@keras.saving.register_keras_serializable(package="hgq_keras")
class Row(quantized.QLayer):
    """Quantized layers in a row inside of one layer, as users write such a layer."""

    def __init__(self, parts: Sequence[keras.Layer], **kwargs: Any) -> None:
        super().__init__(enable_iq=False, **kwargs)
        self.parts = list(parts)

    def declaration(self) -> Declaration:
        def declare(t: Trace, x: Value) -> Value:
            for number, part in enumerate(self.parts):
                x = t.call(f"parts/{number}", part, x)
            return x

        return declare

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("enable_iq")
        return config | {"parts": [keras.saving.serialize_keras_object(part) for part in self.parts]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Row:
        parts = [keras.saving.deserialize_keras_object(part) for part in config["parts"]]
        return super().from_config({**config, "parts": parts})


_CLASSES = {
    "dense": quantized.QDense,
    "einsum_dense": quantized.QEinsumDense,
    "conv1d": quantized.QConv1D,
    "conv2d": quantized.QConv2D,
    "batch_norm": quantized.QBatchNormalization,
    "max_pool2d": quantized.QMaxPooling2D,
    "average_pool2d": quantized.QAveragePooling2D,
    "add": quantized.QAdd,
    "unary_lut": quantized.QUnaryFunctionLUT,
    "softmax": quantized.QSoftmax,
}
_WITH_ACTIVATION = ("dense", "einsum_dense", "conv1d", "conv2d")
_PLACES = {"kq": "weight", "bq": "bias", "iq": "datalane", "oq": "datalane"}
_PLACES |= {"exp/iq": "datalane", "exp/oq": "table", "inv/iq": "datalane", "inv/oq": "table"}
_WEIGHTS = {"gamma": "bn_gamma", "beta": "bn_beta"}


def make_layer(layer: Layer, name: str) -> keras.Layer:
    """The Keras layer that the suite's words describe, not built yet."""
    if layer.kind == "flatten":
        return keras.layers.Flatten(name=name)
    if layer.kind == "nested":
        return Row([make_layer(part, f"{name}_{n}") for n, part in enumerate(layer.options["parts"])], name=name)
    options = dict(layer.options)
    if "axes" in options:
        options["axis"] = [axis if axis < 0 else axis + 1 for axis in options.pop("axes")]
    if layer.kind not in _WITH_ACTIVATION and options.pop("activation", None) and "oq" in layer.quantizers:
        message = f"{layer.kind} has no activation before its output quantizer"
        raise UnsupportedError(message)
    if layer.kind == "unary_lut":
        options["activation"] = options.pop("function")
    elif "kernel" in layer.weights and layer.kind != "einsum_dense":
        options["use_bias"] = "bias" in layer.weights
    for place, spec in layer.quantizers.items():
        argument = "iq_confs" if layer.kind == "add" and place == "iq" else f"{attribute_of(place)}_conf"
        options[argument] = configuration(spec, _PLACES[place])
    enabled = {"enable_iq": "iq" in layer.quantizers, "enable_oq": "oq" in layer.quantizers}
    return _CLASSES[layer.kind](name=name, **enabled, **options)


def _assign(layer: Layer, keras_layer: Any) -> None:
    """Weights and widths of a built layer."""
    for number, part in enumerate(layer.options.get("parts", ())):
        _assign(part, keras_layer.parts[number])
    for name, value in layer.weights.items():
        getattr(keras_layer, _WEIGHTS.get(name, name)).assign(value)
    for place, widths in layer.widths.items():
        for quantizer in keras_layer.iqs if place == "iq" else [getattr(keras_layer, attribute_of(place))]:
            KerasQuantizer(quantizer, ()).assign(widths)


def _mode(layer: keras.Layer, mode: Mode) -> Any:
    return calibrating(layer) if mode is Mode.CALIBRATE else nullcontext()


def _one_or_list(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else list(parts)


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))
