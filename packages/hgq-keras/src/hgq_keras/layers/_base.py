"""The one base of every quantized layer: it traces what the layer declares, and reads it."""

from __future__ import annotations

from abc import abstractmethod
from math import inf
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hgq_core.errors import ConfigError, FileError, HGQError, ShapeError, UnsupportedError
from hgq_core.layers import Bits, Emit, Layered, Program, trace
from hgq_core.layers.steps import Nested
from hgq_core.numbers import not_negative
from hgq_core.ops import NUMPY
from hgq_core.scope import KeptScope, layer_option
from hgq_keras._checks import several_shapes
from hgq_keras._computed import computed
from hgq_keras._initializers import Filled
from hgq_keras._ops import KERAS
from hgq_keras._slots import CallSlots, CountSlots, GraphSlots
from hgq_keras._start import values_at_once
from hgq_keras.config import FORMAT, QuantizerConfig, check_format, configured
from hgq_keras.kernels.fuse import FusedValues, fused
from hgq_keras.layers._recording import record
from hgq_keras.layers._slotted import Slotted
from hgq_keras.layers._walk import children, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph import GraphBuilder
    from hgq_core.graph.ops import Shape as FixedShape
    from hgq_core.layers import Declaration

__all__ = ["QLayer", "Shape", "quantized_layers"]

Shape = tuple[int | None, ...]


class QLayer(Slotted):
    """A Keras layer between quantizers. A layer implements `declaration`; everything else is read from it.

    Tracing the declaration when the layer is built gives its `program`: the list of its quantizers and weights, its
    forward pass, its EBOPs and its nodes in the Graph. The quantizer or weight of a slot is the attribute of the same
    name, ``exp_iq`` for ``exp/iq``.

    Args:
        iq_conf: input quantizer, or one for each input; None: the scope's datalane quantizer.
        oq_conf: output quantizer.
        enable_iq: quantize the inputs; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, where quantizers of its inputs or
            inside of it tell the widths of data.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: beta0 or ebops_factor negative or not finite, or no configuration of data for ``iq_conf, oq_conf``.

    >>> import keras
    >>> from hgq_core.graph.ops import Relu
    >>> class Rectified(QLayer):
    ...     def declaration(self):
    ...         return lambda t, x: t.op(Relu(), x)
    >>> Rectified()(keras.ops.ones((2, 3))).shape == (2, 3)
    True
    """

    many_inputs = False
    """Whether it is called with a list of tensors."""

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
        self._written_in, self._built_confs = KeptScope(), {}
        self.enable_iq = _enabled(enable_iq, iq_conf, "enable_iq")
        self.enable_oq = _enabled(enable_oq, oq_conf, "enable_oq")
        # Whether it can count is known when it is built: what is inside may give the data widths too.
        self._counts_if_possible = enable_ebops is None and bool(layer_option("enable_ebops"))
        self.enable_ebops = self._counts_if_possible and self.enable_iq if enable_ebops is None else bool(enable_ebops)
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
        self._iqs = []
        self._oq = self.make_quantizer(self._oq_conf, "oq") if self.enable_oq else None
        if not self.many_inputs:
            self._make_input_quantizers(1)
        self.supports_masking = True

    @abstractmethod
    def declaration(self) -> Declaration:
        """What the layer computes between its quantizers: a function of a `hgq_core.layers.Trace` and of its inputs.

        It returns one value. Another quantized layer that this one holds is applied by ``t.call(name, layer, x)``.
        """

    # --- quantizers --------------------------------------------------------------------------------------------------

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

    # --- build and call ----------------------------------------------------------------------------------------------

    def _traced(self, shapes: Sequence[Shape], declared: Declaration | None = None) -> Program:
        """The program for inputs of these shapes, batch axes included; that of another declaration, if one is given."""
        with self._written_in.entered():
            return self._traced_here(shapes, self.declaration() if declared is None else declared)

    def _traced_here(self, shapes: Sequence[Shape], declared: object) -> Program:
        if not callable(declared):
            message = (
                f"layer {self.name!r} ({type(self).__name__}): declaration() returned {declared!r}, expected a "
                "function of a trace and of the inputs, such as lambda t, x: t.op(Relu(), x)"
            )
            raise ConfigError(message)
        declaration = Layered(
            declared, self.enable_iq and not self.input_in_table, self.enable_oq and not self.output_in_table
        )
        try:
            return trace(declaration, *(shape[1:] for shape in shapes))
        except HGQError as error:
            if str(error).startswith(f"layer {self.name!r}"):
                raise
            raise type(error)(f"layer {self.name!r}: {error}") from error

    def build(self, input_shape: Any) -> None:
        """Trace the declaration; make quantizers and variables. Raises ShapeError for a size that is not fixed."""
        if self.built:
            return
        # Hardware is built, and counted, for one row, whatever the batch of the data that a layer is built on.
        shapes: list[Shape] = [(None, *tuple(shape)[1:]) for shape in self._shapes(input_shape)]
        self._make_input_quantizers(len(shapes))
        with values_at_once():
            self._build(shapes)
        super().build(input_shape)

    def _as_list(self, inputs: Any) -> list[Any]:
        return list(inputs) if self.many_inputs else [inputs]

    def _shapes(self, given: Any) -> list[Any]:
        return several_shapes(given, self.name) if self.many_inputs else [given]

    def _build(self, shapes: list[Shape]) -> None:
        self._check_hooks()
        self.program = self._traced(shapes)
        self._running = fused(self.program)
        self._check_slots()
        self._build_inside()
        self._check_held()
        if self._counts_if_possible:
            self.enable_ebops = self.program.gives_data_widths(_program_of)
        elif self.enable_ebops:
            try:
                self.program.check_data_widths(_program_of)
            except ConfigError as error:
                raise ConfigError(f"layer {self.name!r}: {error}") from error
        self._beta = self.add_weight(
            name="beta", shape=(), initializer=Filled(self.beta0), trainable=False, autocast=False
        )
        self.input_shapes = shapes
        specs = [keras.layers.InputSpec(shape=(None, *shape[1:])) for shape in shapes]
        self.input_spec = specs if self.many_inputs else specs[0]
        self._make_weights_and_quantizers()

    def _build_inside(self) -> None:
        """Build the layers inside for what they are applied to, and freeze them if this one is frozen."""
        for step in self.program.steps:
            if not isinstance(step.kind, Nested):
                continue
            layer, shapes = step.kind.layer, [(None, *self.program.steps[n].shape) for n in step.args]
            if layer.built and layer.input_shapes != shapes:
                message = (
                    f"layer {self.name!r} applies {layer.name!r}, built for shapes {layer.input_shapes}, to {shapes}; "
                    "hardware is built for one size: hold a second layer"
                )
                raise ShapeError(message)
            if not self.trainable:
                # As for quantizers: it was made after Keras handed this on.
                layer.trainable = False
            layer.build(shapes if layer.many_inputs else shapes[0])

    def _check_hooks(self) -> None:
        """Raise ConfigError for a layer that was written for the hooks of version 0.1, which nothing calls."""
        for hook in ("build_operation", "compute", "count_ebops"):
            if hasattr(type(self), hook):
                message = (
                    f"layer {self.name!r} ({type(self).__name__}) has a method {hook!r}, which was a hook of version "
                    "0.1 and is not called; state what it computes once, in declaration()"
                )
                raise ConfigError(message)

    def traced_shape(self, *shapes: FixedShape) -> FixedShape:
        """Shape of the output for inputs of these shapes, batch axes left out, for the trace of a layer around it."""
        full: list[Shape] = [(None, *shape) for shape in shapes]
        if len(full) != 1 and not self.many_inputs:
            message = (
                f"layer {self.name!r} takes one tensor, received {len(full)}; set its attribute many_inputs = True"
            )
            raise ConfigError(message)
        (output, *others) = self._program_for(full).output_shapes
        if others:
            message = f"layer {self.name!r}: it has several results, and a layer inside of another one has to have one"
            raise ConfigError(message)
        return output

    def _program_for(self, shapes: list[Shape]) -> Program:
        known = self.built and [shape[1:] for shape in shapes] == [shape[1:] for shape in self.input_shapes]
        return self.program if known else self._traced(shapes)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = [tuple(shape) for shape in self._shapes(input_shape)]
        return (shapes[0][0], *self._program_for(shapes).output_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Final: the program on tensors; in training the cost joins the loss."""
        return self.run(self._running, self._as_list(inputs), training)

    def run(self, program: Program, inputs: Sequence[Any], training: bool | None) -> Any:
        """The result of a `fused` program of this layer, a tuple of several; in training the cost joins the loss."""
        record(self)
        y = FusedValues(KERAS, CallSlots(self, training)).read(program, inputs)
        if training and self.enable_ebops:
            count = ops.convert_to_tensor(Bits(KERAS, CountSlots(self, KERAS)).count(self.program))
            # In the type of the widths, as their regularisers: Keras adds up losses of one type only.
            self.add_loss(ops.cast(self._beta, count.dtype) * count * self.ebops_factor)
        return y

    def emit(self, builder: GraphBuilder, label: str, inputs: Sequence[str]) -> tuple[str, ...]:
        """Append the layer to a Graph, under this label; returns the names of its results.

        Raises:
            UnsupportedError: a subclass computes something else than its declaration says.
        """
        self.check_call(QLayer.call, label)
        return self.append(self.program, builder, label, inputs)

    def check_call(self, known: object, label: str) -> None:
        """Raise UnsupportedError for another call than this one, which computes what the declaration says."""
        if type(self).call is not known:
            message = (
                f"layer {label!r} ({type(self).__name__}) has its own call, which the Graph does not know; put it into "
                "its declaration"
            )
            raise UnsupportedError(message)

    def append(self, program: Program, builder: GraphBuilder, label: str, inputs: Sequence[str]) -> tuple[str, ...]:
        """Append a program of this layer to a Graph; returns the names of its results."""
        factor = self.ebops_factor if self.enable_ebops else 0.0
        return Emit(builder, GraphSlots(self), label, factor).append(program, inputs)

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

    def assign_beta(self, beta: float) -> None:
        """Set beta; a layer that only training calls is built, with its own first value, in its first step."""
        if self.built:
            self._beta.assign(beta)

    # --- what users and exporters read -------------------------------------------------------------------------------

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
        return float(Bits(NUMPY, CountSlots(self, NUMPY)).count(self.program)) * self.ebops_factor

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        iq = self._iq_conf if isinstance(self._iq_conf, QuantizerConfig) else list(self._iq_conf)
        made = {slot: serialize(conf) for slot, conf in self._built_confs.items()}
        return (
            super().get_config()
            | ({"built_confs": made} if made else {})
            | {
                "format": FORMAT,
                "iq_conf": serialize(iq),
                "oq_conf": serialize(self._oq_conf),
                "enable_iq": self.enable_iq,
                "enable_oq": self.enable_oq,
                "enable_ebops": None if self._counts_if_possible and not self.built else self.enable_ebops,
                "beta0": self.beta0,
                "ebops_factor": self.ebops_factor,
            }
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QLayer:
        config = dict(config)
        check_format(config.pop("format", 1), cls.__name__)
        for name in config:
            if name.endswith(("_conf", "_confs")):
                config[name] = keras.saving.deserialize_keras_object(config[name])
        made = config.pop("built_confs", {})
        layer = cls(**config)
        layer._built_confs = dict(made)
        return layer


def _enabled(wanted: bool | None, conf: object, option: str) -> bool:
    """Whether a quantizer is used: as the caller says, or because it was given, or as the scope says."""
    if wanted is None:
        return conf is not None or bool(layer_option(option))
    return bool(wanted)


def _program_of(layer: QLayer) -> Program | None:
    return layer.program if layer.built else None


def quantized_layers(model: keras.Layer) -> list[QLayer]:
    """Every quantized layer of a model once, those inside of nested models and of other layers included, in order."""
    return [layer for layer in walk(model, children) if isinstance(layer, QLayer)]
