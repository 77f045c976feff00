"""The template of every quantized layer: quantize the inputs, compute, add the cost, quantize the output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf, prod
from numbers import Integral
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.errors import ConfigError, FileError, ShapeError
from hgq_core.numbers import not_negative
from hgq_core.ops import NUMPY, Ops
from hgq_core.scope import layer_option
from hgq_keras.computed import ComputedProperties, computed
from hgq_keras.config import FORMAT, QuantizerConfig, check_format
from hgq_keras.initializers import Filled
from hgq_keras.layers._walk import children, walk
from hgq_keras.ops import KERAS
from hgq_keras.quantizer import Quantizer
from hgq_keras.start import values_at_once

if TYPE_CHECKING:
    from hgq_keras.export import Emitter

__all__ = [
    "Bits",
    "QLayer",
    "Shape",
    "check_factor",
    "configured",
    "constant_bits",
    "fixed",
    "instances",
    "parallel_share",
    "quantized_layers",
    "recording",
]

Shape = tuple[int | None, ...]
Bits = Callable[[Quantizer], Any]
_SEEN: ContextVar[list[QLayer] | None] = ContextVar("seen", default=None)


@contextmanager
def recording() -> Iterator[list[QLayer]]:
    """Inside the block the list grows by every quantized layer that is called, once for each call."""
    seen: list[QLayer] = []
    token = _SEEN.set(seen)
    try:
        yield seen
    finally:
        _SEEN.reset(token)


class QLayer(ComputedProperties, keras.Layer):
    """A Keras layer between quantizers; abstract. Its `call` and `build` are final, a layer fills in the hooks.

    Args:
        iq_conf: input quantizer, or one for each input; None: the scope's datalane quantizer.
        oq_conf: output quantizer.
        enable_iq: quantize the inputs; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with input quantizers.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: beta0 or ebops_factor negative or not finite, or no configuration of data for ``iq_conf, oq_conf``.
    """

    many_inputs = False
    """Whether `call` takes a list of tensors."""
    output_quantizer_emitted = False
    """Whether `emit` has the output quantizer inside, as in a table."""

    def __init__(
        self,
        *,
        iq_conf: QuantizerConfig | Sequence[QuantizerConfig] | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.enable_iq = _enabled(enable_iq, iq_conf, "enable_iq")
        self.enable_oq = _enabled(enable_oq, oq_conf, "enable_oq")
        wanted = layer_option("enable_ebops") and self.enable_iq if enable_ebops is None else enable_ebops
        self.enable_ebops = bool(wanted)
        given = "beta0 of the LayerConfigScope" if beta0 is None else "beta0"
        value = layer_option("beta0") if beta0 is None else beta0
        self.beta0 = not_negative(value, f"layer {self.name!r}: {given}")
        self.ebops_factor = not_negative(ebops_factor, f"layer {self.name!r}: ebops_factor")
        if isinstance(iq_conf, list | tuple):
            self._iq_conf: Any = [self._of_data(conf, "iq_conf") for conf in iq_conf]
        else:
            self._iq_conf = self._of_data(iq_conf, "iq_conf")
        self._oq_conf = self._of_data(oq_conf, "oq_conf")
        self.reported_dead = False
        self._iqs: list[Quantizer] = []
        self._oq = self.make_quantizer(self._oq_conf, "oq") if self.enable_oq else None
        if not self.many_inputs:
            self._make_input_quantizers(1)
        self.supports_masking = True

    def _of_data(self, conf: Any, argument: str) -> QuantizerConfig:
        """A configuration for what flows through the layer, which has a batch axis and other values at each call."""
        conf = configured(conf, "datalane", argument)
        if conf.place in ("weight", "bias"):
            message = (
                f"layer {self.name!r}: {argument} is a configuration for the place {conf.place!r}; "
                f"expected one for data: QuantizerConfig({conf.q_type!r}, 'datalane', ...)"
            )
            raise ConfigError(message)
        return conf

    def _make_input_quantizers(self, number: int) -> None:
        if not self.enable_iq or self._iqs:
            return
        given = self._iq_conf
        confs = [given] * number if isinstance(given, QuantizerConfig) else list(given)
        if len(confs) != number:
            message = (
                f"layer {self.name!r} has {number} input(s) and received {len(confs)} input quantizer configurations"
            )
            raise ConfigError(message)
        names = ["iq"] if number == 1 else [f"iq_{n}" for n in range(number)]
        self._iqs = [self.make_quantizer(conf, name) for conf, name in zip(confs, names, strict=True)]

    def make_quantizer(self, conf: QuantizerConfig, name: str) -> Quantizer:
        """A quantizer of this layer, of its data type, named after it and trained if it is."""
        quantizer = Quantizer(conf, name=f"{self.name}_{name}", dtype=self.dtype_policy)
        # Keras hands `trainable` on to the layers inside when it is set, and this one is made after that.
        quantizer.trainable = self.trainable
        return quantizer

    # --- hooks -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def build_operation(self, shapes: list[Shape]) -> None:
        """Create the layer's own variables and weight quantizers for these input shapes."""

    @abstractmethod
    def compute(self, inputs: list[Any], training: bool | None) -> Any:
        """The output for quantized inputs."""

    @abstractmethod
    def count_ebops(self, verbs: Ops, bits: Bits) -> Any:
        """EBOPs as a scalar in the array library of ``verbs``; ``bits`` gives a quantizer's counted widths in it."""

    @abstractmethod
    def emit(self, emitter: Emitter, inputs: list[str]) -> str:
        """Append the layer without its input and output quantizers to a Graph; returns the name of the result."""

    # --- template ----------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Build quantizers and variables. Raises ShapeError for an input without a known number of axes."""
        if self.built:
            return
        given = list(input_shape) if self.many_inputs else [input_shape]
        # Hardware is built, and counted, for one row, whatever the batch of the data that a layer is built on.
        shapes: list[Shape] = [(None, *tuple(shape)[1:]) for shape in given]
        self._make_input_quantizers(len(shapes))
        with values_at_once():
            self._build(shapes)
        super().build(input_shape)

    def _build(self, shapes: list[Shape]) -> None:
        self._beta = self.add_weight(
            name="beta", shape=(), initializer=Filled(self.beta0), trainable=False, autocast=False
        )
        for quantizer, shape in zip(self._iqs, shapes, strict=False):
            quantizer.build(shape)
        self.input_shapes = shapes
        specs = [keras.layers.InputSpec(shape=(None, *shape[1:])) for shape in shapes]
        self.input_spec = specs if self.many_inputs else specs[0]
        self.build_operation(shapes)
        if self._oq is not None:
            self._oq.build(self.compute_output_shape(shapes if self.many_inputs else shapes[0]))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Final: quantized inputs, operation, cost, quantized output."""
        seen = _SEEN.get()
        if seen is not None:
            seen.append(self)
        tensors = list(inputs) if self.many_inputs else [inputs]
        if self._iqs:
            tensors = [q(x, training=training) for q, x in zip(self._iqs, tensors, strict=True)]
        y = self.compute(tensors, training)
        if training and self.enable_ebops:
            count = ops.convert_to_tensor(self.count_ebops(KERAS, _tensor_bits))
            # In the type of the widths, as their regularisers: Keras adds up losses of one type only.
            self.add_loss(ops.cast(self._beta, count.dtype) * count * self.ebops_factor)
        return y if self._oq is None else self._oq(y, training=training)

    def load_own_variables(self, store: Any) -> None:
        """Read the layer's own variables; Keras calls it. Raises FileError for a beta that no training leaves."""
        super().load_own_variables(store)
        self.check_beta()

    def check_beta(self) -> None:
        """Raise FileError for a beta that is negative, NaN or infinite, which would make every loss so."""
        beta = float(ops.convert_to_numpy(self._beta)) if self.built else 0.0
        if not 0 <= beta < inf:
            message = f"layer {self.name!r}: beta is {beta} in the file, expected a finite number, 0 or larger"
            raise FileError(message)

    def own_weights(self) -> list[np.ndarray]:
        """The values of the layer's variables, without those of its quantizers and without beta."""
        others = {id(v) for q in self.quantizers for v in q.variables} | {id(getattr(self, "_beta", None))}
        return [ops.convert_to_numpy(v) for v in self.weights if id(v) not in others]

    # --- what users and exporters read -------------------------------------------------------------------------------

    @property
    def quantizers(self) -> tuple[Quantizer, ...]:
        """All quantizers: of the inputs, of kernel and bias (or scale and offset), of the output."""
        weights = (getattr(self, name, None) for name in ("kq", "bq"))
        return tuple(q for q in (*self._iqs, *weights, self._oq) if q is not None)

    @property
    def iq(self) -> Quantizer:
        """The input quantizer; of a layer with several inputs the first."""
        if not self._iqs:
            message = f"layer {self.name!r} has no input quantizer: enable_iq is False, or it is not built yet"
            raise ConfigError(message)
        return self._iqs[0]

    @property
    def iqs(self) -> tuple[Quantizer, ...]:
        """All input quantizers."""
        return tuple(self._iqs)

    @property
    def oq(self) -> Quantizer:
        """The output quantizer."""
        if self._oq is None:
            message = f"layer {self.name!r} has no output quantizer: pass enable_oq=True"
            raise ConfigError(message)
        return self._oq

    @property
    @computed
    def beta(self) -> float:
        """Weight of the EBOPs in the loss now; 0 if they are not counted."""
        return float(ops.convert_to_numpy(self._beta)) if self.enable_ebops else 0.0

    @property
    @computed
    def ebops(self) -> float:
        """EBOPs at the present widths, in float64; right before the first step too. 0 if they are not counted."""
        if not self.enable_ebops:
            return 0.0
        if not self.built:
            message = f"layer {self.name!r} is not built, its EBOPs are not known; call the model on data first"
            raise ConfigError(message)
        return float(self.count_ebops(NUMPY, _array_bits)) * self.ebops_factor

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        iq = self._iq_conf if isinstance(self._iq_conf, QuantizerConfig) else list(self._iq_conf)
        return super().get_config() | {
            "format": FORMAT,
            "iq_confs" if self.many_inputs else "iq_conf": serialize(iq),
            "oq_conf": serialize(self._oq_conf),
            "enable_iq": self.enable_iq,
            "enable_oq": self.enable_oq,
            "enable_ebops": self.enable_ebops,
            "beta0": self.beta0,
            "ebops_factor": self.ebops_factor,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QLayer:
        config = dict(config)
        check_format(config.pop("format", 1), cls.__name__)
        for name in config:
            if name.endswith(("_conf", "_confs")):
                config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


def _enabled(wanted: bool | None, conf: object, option: str) -> bool:
    """Whether a quantizer is used: as the caller says, or because it was given, or as the scope says."""
    if wanted is None:
        return conf is not None or bool(layer_option(option))
    return bool(wanted)


def configured(conf: Any, place: str, argument: str) -> QuantizerConfig:
    """The configuration that was given, or the scope's for this place; raises ConfigError for anything else."""
    if conf is None:
        return QuantizerConfig("default", place)
    if not isinstance(conf, QuantizerConfig):
        message = f"{argument}: received {conf!r}, expected a QuantizerConfig such as QuantizerConfig('kif', {place!r})"
        raise ConfigError(message)
    return conf


def _tensor_bits(quantizer: Quantizer) -> Any:
    return quantizer.bits


def _array_bits(quantizer: Quantizer) -> Any:
    return quantizer.array_bits


def parallel_share(factor: int, instances: int) -> float:
    """``pf / n``, the part of n identical instances that is built; -1 builds all.

    >>> parallel_share(-1, 36), parallel_share(6, 36)
    (1.0, 0.16666666666666666)
    """
    check_factor(factor)
    if factor == -1:
        return 1.0
    if not 1 <= factor <= max(instances, 1):
        message = f"parallelization_factor: received {factor}, expected -1 or 1 to {instances}, the number of instances"
        raise ConfigError(message)
    return factor / max(instances, 1)


def check_factor(factor: Any) -> None:
    """Raise ConfigError for a parallelization factor that no number of instances could have."""
    if isinstance(factor, bool) or not isinstance(factor, Integral) or (factor < 1 and factor != -1):
        message = f"parallelization_factor: received {factor!r}, expected -1 for all instances, or how many, from 1"
        raise ConfigError(message)


def fixed(sizes: Sequence[int | None], name: str) -> tuple[int, ...]:
    """The sizes; raises ShapeError if one is unknown."""
    known = tuple(int(n) for n in sizes if n is not None)
    if len(known) < len(sizes):
        message = f"layer {name!r}: the size of {tuple(sizes)} must be fixed, since hardware is built for one size"
        raise ShapeError(message)
    return known


def instances(positions: Sequence[int | None], name: str) -> int:
    """Number of positions; raises ShapeError if one is not fixed."""
    return prod(fixed(positions, name))


def quantized_layers(model: keras.Layer) -> list[QLayer]:
    """Every quantized layer of a model once, those of nested models included, in order."""
    layers = walk(model, lambda layer: () if isinstance(layer, QLayer) else children(layer))
    return [layer for layer in layers if isinstance(layer, QLayer)]


def constant_bits(quantizer: Quantizer, shape: Sequence[int]) -> Any:
    """Counted widths of a weight as integers, of its shape, for the Graph."""
    return np.broadcast_to(np.rint(quantizer.array_bits).astype(np.int64), tuple(shape))
