"""The conformance adapter: this package, judged by `hgq_core.conformance` on any Keras backend."""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.conformance.backend import Backend, Gradients, Layer, Mode, Model
from hgq_core.conformance.backend import Quantizer as JudgedQuantizer
from hgq_core.conformance.wiring import evaluated, input_count
from hgq_core.errors import ConfigError
from hgq_core.formats import Formats
from hgq_core.layers import attribute_of
from hgq_core.quantize import fixed_point
from hgq_keras._calibrate import calibrating, trace_minmax
from hgq_keras._calls import ebops
from hgq_keras._export import to_graph
from hgq_keras._ops import KERAS
from hgq_keras._quantizer import Quantizer
from hgq_keras._testing_layers import WITH_ACTIVATION, assign, configuration, make_layer, store
from hgq_keras.callbacks import BetaScheduler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hgq_core.graph import Graph
    from hgq_core.modes import Overflow, Round
    from hgq_core.spec import Spec

__all__ = ["KerasBackend", "KerasModel", "KerasQuantizer"]


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

        return variables, jax.jit(jax.grad(loss))(values)  # as one program: alone each operation is compiled by itself
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            model(inputs, training=True)
            total = sum(model.losses)
        return variables, tape.gradient(total, values)
    import torch

    model(inputs, training=True)
    total = sum(model.losses)
    if not getattr(total, "requires_grad", False):  # a layer of moves costs nothing, whatever its widths
        return variables, [None] * len(values)
    return variables, list(torch.autograd.grad(total, values, allow_unused=True))


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
        store(self.layer, widths)

    def formats(self) -> Formats:
        if self.layer.config.place != "datalane":
            return self.layer.formats([int(n or 1) for n in self.shape])
        inner = self.layer.formats([int(n or 1) for n in self.shape[1:]])
        return Formats(inner.k[None], inner.i[None], inner.f[None])

    def bits(self) -> np.ndarray:
        return _array(self.layer.bits)


class KerasModel(Model):
    """A functional model, and the layers of the suite that it was made of, by position."""

    def __init__(self, model: keras.Model, layers: Mapping[int, Layer]) -> None:
        self.model = model
        self.layers = layers

    def forward(self, *inputs: np.ndarray, mode: Mode = Mode.INFER) -> np.ndarray:
        if mode is Mode.INFER and keras.backend.backend() != "tensorflow":
            # JAX would compile operation by operation; PyTorch keeps weights only where nothing asks for gradients.
            return _array(self.model.predict_on_batch(_one_or_list(inputs)))
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
        for n, layer in self.layers.items():
            for slot in layer.quantizers:
                given = [(v, found[id(v)]) for v in self.quantizer(n, slot).layer.trainable_variables]
                result[n, slot] = {v.name: np.zeros(v.shape) if g is None else _array(g) for v, g in given}
        return result

    def to_graph(self) -> Graph:
        return to_graph(self.model)

    def quantizer(self, layer: int, name: str) -> KerasQuantizer:
        chosen = getattr(self.model.get_layer(_name(layer)), attribute_of(name))
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
        return KerasModel(loaded, self.layers)

    def train(
        self, x: np.ndarray | Sequence[np.ndarray], y: np.ndarray, *, steps: int, learning_rate: float, beta: float
    ) -> Sequence[float]:
        self.model.compile(keras.optimizers.Adam(learning_rate), loss="mse", metrics=["mse"])
        schedule = BetaScheduler(lambda _: beta)
        inputs = x if isinstance(x, np.ndarray) else _one_or_list(x)
        history = self.model.fit(
            inputs, y, batch_size=len(y), epochs=steps, shuffle=False, verbose=0, callbacks=[schedule]
        )
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
        made = {n: make_layer(layer, _name(n)) for n, layer in enumerate(layers) if layer.again is None}
        inputs = [keras.Input(input_shape) for _ in range(input_count(layers))]

        def apply(number: int, tensors: list[Any]) -> Any:
            y = made[number](_one_or_list(tensors))
            layer = layers[number]
            if layer.options.get("activation") == "relu" and layer.kind not in WITH_ACTIVATION:
                y = keras.layers.ReLU()(y)
            return y

        model = keras.Model(_one_or_list(inputs), evaluated(layers, inputs, apply))
        for number, keras_layer in made.items():
            assign(layers[number], keras_layer)
        return KerasModel(model, {number: layers[number] for number in made})


def _name(position: int) -> str:
    """The name of the layer at this position."""
    return f"layer{position}"


def _mode(layer: keras.Layer, mode: Mode) -> Any:
    return calibrating(layer) if mode is Mode.CALIBRATE else nullcontext()


def _one_or_list(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else list(parts)


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))
