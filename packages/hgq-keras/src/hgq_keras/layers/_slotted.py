"""What a quantized layer holds for the slots of its program: quantizers, weights, and the layers inside."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hgq_core.errors import ConfigError
from hgq_core.layers import attribute_of, input_slots, weight_of
from hgq_core.layers.steps import Drawn, Dropped, Nested, Statistics, Stored
from hgq_keras._computed import ComputedProperties, computed
from hgq_keras._ops import KERAS
from hgq_keras._quantizer import Quantizer
from hgq_keras.config import QuantizerConfig
from hgq_keras.layers._walk import children

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from hgq_core.layers import Program
    from hgq_core.layers.steps import QuantizerSlot, WeightSlot
    from hgq_core.scope import KeptScope

__all__ = ["Slotted"]


class Slotted(ComputedProperties, keras.Layer):
    """A Keras layer that holds what the slots of a program name; `QLayer` traces the program and reads it.

    What belongs to a slot is the attribute of the same name, ``exp_iq`` for ``exp/iq``.
    """

    weight_arguments: Mapping[str, str] = {}
    """For a weight, what its initializer, regularizer and constraint are called after, if not after the weight."""

    output_in_table = False
    """Whether the declaration places the output quantizer itself, inside a table."""

    momentum: float | None = None
    """How much of a moving average of statistics stays in each step, where the declaration takes statistics."""
    synchronized = False
    """Whether statistics are those of all replicas (TensorFlow only)."""

    input_in_table = False
    """Whether the declaration places the input quantizer itself, where data have been brought to tables."""
    dropout_seed: Any = None
    """The generator of dropout, where the declaration has one; its seed is the attribute ``seed``."""
    unrolled = False
    """Whether the steps of a loop are written out one after the other."""

    program: Program
    _written_in: KeptScope
    """The defaults of the place where the layer is written, of quantizers that are made when it is built."""
    _built_confs: dict[str, QuantizerConfig]
    """Configurations of these quantizers, by slot, which the layer has again where it is read."""
    _iq_conf: Any
    _iqs: list[Quantizer]
    _oq: Quantizer | None

    # --- by slot -----------------------------------------------------------------------------------------------------

    def make_quantizer(self, conf: QuantizerConfig, name: str) -> Quantizer:
        """A quantizer of this layer, of its data type, named after it and trained if it is."""
        quantizer = Quantizer(conf, name=f"{self.name}_{name}", dtype=self.dtype_policy)
        # Keras hands `trainable` on to the layers inside when it is set, and this one is made after that.
        quantizer.trainable = self.trainable
        return quantizer

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
        self._iqs = [self.make_quantizer(conf, name) for conf, name in zip(confs, input_slots(number), strict=True)]

    def quantizer_of_slot(self, slot: str) -> Quantizer:
        """The quantizer of a slot of the program."""
        if slot == "oq" and self._oq is not None:
            return self._oq
        if slot in input_slots(len(self._iqs)):
            return self._iqs[input_slots(len(self._iqs)).index(slot)]
        quantizer: Quantizer = getattr(self, attribute_of(slot))
        return quantizer

    def weight_of_slot(self, slot: str) -> Any:
        """The variable of a slot of the program."""
        return getattr(self, attribute_of(slot))

    def statistics(self, kind: Statistics, data: Callable[[], Any] | None, training: bool) -> tuple[Any, Any]:
        """Mean and variance: of the batch in training, which moves the averages; else the moving averages."""
        mean, variance = (ops.convert_to_tensor(self.weight_of_slot(slot)) for slot in (kind.mean, kind.variance))
        if data is None or not training or not self.trainable:
            return mean, variance
        batch = ops.moments(data(), axes=kind.axes, synchronized=self.synchronized)
        momentum: float = self.momentum or 0.0
        for slot, old, new in zip((kind.mean, kind.variance), (mean, variance), batch, strict=True):
            self.weight_of_slot(slot).assign(old * momentum + new * (1.0 - momentum))
        return batch[0], batch[1]

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
    def quantizers(self) -> tuple[Quantizer, ...]:
        """All quantizers of the layer itself: of the inputs, of what its declaration holds, of the output."""
        held = [part for part in children(self) if isinstance(part, Quantizer) and part is not self._oq]
        every = [*self._iqs, *held, *([] if self._oq is None else [self._oq])]
        return tuple({id(part): part for part in every}.values())

    @property
    @computed
    def applied(self) -> list[Any]:
        """The layers inside that one call of the layer applies, each as often as it does."""
        return [step.kind.layer for step in self.program.steps if isinstance(step.kind, Nested)]

    def own_weights(self) -> list[np.ndarray]:
        """The values of the layer's weights, without widths, beta and the weights of layers inside."""
        weights = self.program.weights if self.built else ()
        return [ops.convert_to_numpy(self.weight_of_slot(slot)) for slot in weights]

    # --- build -------------------------------------------------------------------------------------------------------

    def _make_weights_and_quantizers(self) -> None:
        """Make what the slots of the program name and the constructor has not made, and build it."""
        if any(isinstance(step.kind, Dropped | Drawn) for step in self.program.steps):
            self.dropout_seed = keras.random.SeedGenerator(getattr(self, "seed", None))
        for slot, weight in self.program.weights.items():
            setattr(self, attribute_of(slot), self._variable(slot, weight))
        for slot, described in self.program.quantizers.items():
            if not self._is_around(slot) and getattr(self, attribute_of(slot), None) is None:
                conf = self._conf_of(slot, described)
                setattr(self, attribute_of(slot), self.make_quantizer(conf, attribute_of(slot)))
            quantizer = self.quantizer_of_slot(slot)
            if described.constant and described.place == "weight":
                self._tell_weight(quantizer, slot)
            quantizer.build(described.shape if described.constant else (None, *described.shape))

    def _conf_of(self, slot: str, described: QuantizerSlot) -> QuantizerConfig:
        """The configuration of a quantizer that the constructor has not made."""
        if slot not in self._built_confs:
            with self._written_in.entered():
                self._built_confs[slot] = QuantizerConfig("default", described.place, **described.overrides)
        return self._built_confs[slot]

    def _is_around(self, slot: str) -> bool:
        """Whether it is a slot of an input or of the output, whose quantizers the constructor makes."""
        return slot in input_slots(len(self._iqs)) or (slot == "oq" and self._oq is not None)

    def _variable(self, slot: str, described: WeightSlot) -> Any:
        """A weight, with the initializer, regularizer and constraint that are attributes of the layer."""
        name = attribute_of(slot)
        prefix = self.weight_arguments.get(slot, name)
        start: Any = {"kernel": "glorot_uniform"}.get(described.start, described.start)
        if start == "edge":
            bound = sqrt(3.0 / described.shape[-2])
            start = keras.initializers.RandomUniform(-bound, bound)
        initializer = getattr(self, f"{prefix}_initializer", start)
        if not described.trainable:
            return self.add_weight(
                name=name, shape=described.shape, initializer=initializer,
                trainable=False, autocast=False, aggregation="mean",
            )  # fmt: skip
        return self.add_weight(
            name=name,
            shape=described.shape,
            initializer=initializer,
            regularizer=getattr(self, f"{prefix}_regularizer", None),
            constraint=getattr(self, f"{prefix}_constraint", None),
        )

    def _tell_weight(self, quantizer: Quantizer, slot: str) -> None:
        """Tell a weight's quantizer which variables it is computed from, and how."""
        steps = [self.program.steps[number].kind for number in self.program.constant_steps(slot)]
        slots = [kind.slot for kind in steps if isinstance(kind, Stored)]
        if len(slots) == len(steps):
            quantizer.quantizes([self.weight_of_slot(name) for name in slots], self.name)
            return
        slots += [name for kind in steps if isinstance(kind, Statistics) for name in (kind.mean, kind.variance)]

        def compute(*tensors: Any) -> Any:
            return weight_of(KERAS, _Given(dict(zip(slots, tensors, strict=True))), self.program, slot)

        quantizer.quantizes([self.weight_of_slot(name) for name in slots], self.name, compute)

    def _check_slots(self) -> None:
        """Raise ConfigError for slots that the layer cannot hold as attributes, or statistics without an average."""
        taken: dict[str, str] = {}
        weights = [(slot, "weight") for slot in self.program.weights]
        for slot, what in (*weights, *((slot, "quantizer") for slot in self.program.quantizers)):
            if what == "quantizer" and self._is_around(slot):
                continue
            attribute = attribute_of(slot)
            other = taken.setdefault(attribute, slot)
            held = getattr(self, attribute, None)
            fits = held is None or (what == "quantizer" and isinstance(held, Quantizer))
            if other != slot or hasattr(type(self), attribute) or not fits:
                reason = f"slot {other!r} is" if other != slot else "the layer has already"
                message = (
                    f"layer {self.name!r} ({type(self).__name__}): {what} {slot!r} of its declaration would be its "
                    f"attribute {attribute!r}, which {reason}; give the slot another name"
                )
                raise ConfigError(message)
        for step in self.program.steps:
            if isinstance(step.kind, Statistics) and self.momentum is None:
                message = (
                    f"layer {self.name!r} ({type(self).__name__}): its declaration takes statistics of data and it "
                    "does not say how they are averaged; give it an attribute momentum, such as 0.99, or hold a "
                    "QBatchNormalization and apply it by t.call"
                )
                raise ConfigError(message)

    def _check_held(self) -> None:
        """Raise ConfigError for a layer inside that Keras does not find, or cannot tell from another one by name."""
        mine = {id(variable) for variable in self.variables}
        found: dict[str, Any] = {}
        for place, layer in self.program.nested.items():
            if not mine.issuperset(id(variable) for variable in layer.variables):
                message = (
                    f"layer {self.name!r} applies {layer.name!r} as {place!r} and does not hold it; make it an "
                    "attribute in its constructor, or an item of a list or dict that is one, so that it is saved"
                )
                raise ConfigError(message)
            if found.setdefault(layer.name, layer) is not layer:
                message = f"layer {self.name!r} holds two layers called {layer.name!r}; give each a name of its own"
                raise ConfigError(message)


class _Given:
    """Weights that are given as tensors, for what is computed from them."""

    def __init__(self, tensors: dict[str, Any]) -> None:
        self._tensors = tensors

    def stored(self, slot: str) -> Any:
        return self._tensors[slot]

    def statistics(self, kind: Statistics, data: Any) -> tuple[Any, Any]:  # noqa: ARG002 (those that were seen)
        return self._tensors[kind.mean], self._tensors[kind.variance]
