"""What da4ml's own ``trace_model(model)`` loads for Keras models: an entry point of ``dais_tracer.plugins``.

da4ml looks a plugin up by the package that the model's class is from, which is ``keras`` for every Keras model.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import numpy as np
from da4ml.converter.plugin import DAISTracerPluginBase
from da4ml.trace import FixedVariableArray, FixedVariableArrayInput, comb_trace

from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph.ops import Input
from hgq_core.modes import Overflow
from hgq_hw._models import as_graph, is_hgq_keras
from hgq_hw._ports import ports
from hgq_hw._split import require_quantized, with_input_formats
from hgq_hw.da4ml._keys import one_bit_keys, require_aligned_choices
from hgq_hw.da4ml._lower import check_widths, with_batch
from hgq_hw.da4ml._precision import exact_decimals
from hgq_hw.da4ml._rules import evaluate
from hgq_hw.passes import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GraphTracer", "tracer"]

_GROUP = "dais_tracer.plugins"


class NoTracerError(UnsupportedError, KeyError):
    """No plugin for this model: a KeyError too, after which hls4ml tries its other handlers for a layer."""

    def __str__(self) -> str:
        return str(self.args[0])


def tracer(model: Any, hwconf: Any, solver_options: Any = None, **kwargs: Any) -> Any:
    """The tracer of a Keras model: ours for layers of hgq-keras, else that of another package for ``keras``, if any.

    Raises:
        NoTracerError: a model without layers of hgq-keras, and no other plugin for Keras.
    """
    if is_hgq_keras(model):
        return GraphTracer(model, hwconf, solver_options, **kwargs)
    for other in entry_points(group=_GROUP):
        if other.name == "keras" and not other.value.startswith("hgq_hw."):
            return other.load()(model, hwconf, solver_options, **kwargs)
    message = (
        f"model {getattr(model, 'name', model)!r} has no layer of hgq-keras, and no other plugin traces Keras models"
    )
    raise NoTracerError(message)


class GraphTracer(DAISTracerPluginBase):  # type: ignore[misc]  # da4ml has no type hints
    """Traces a model by its Graph, so that the logic computes what `hgq_hw.da4ml.lower` would build.

    Inputs that are not given get the narrowest format behind which the model computes the same.

    Raises:
        UnsupportedError: what da4ml or its ``trace_model`` cannot express exactly; it names the layer and the remedy.
    """

    def __init__(self, model: Any, hwconf: Any, solver_options: Any = None, **kwargs: Any) -> None:
        super().__init__(model, hwconf, solver_options, **kwargs)
        self._graph = as_graph(model)
        require_quantized(self._graph)

    def get_input_shapes(self) -> list[tuple[int, ...]]:
        """Shapes without the batch axis."""
        return [node.shape for node in self._graph.inputs]

    def trace(self, verbose: bool = False, inputs: Any = None, inputs_kif: Any = None, dump: bool = False) -> Any:
        """See da4ml. Without ``inputs`` and ``inputs_kif`` the formats follow from the model's first quantizers."""
        if inputs is None and inputs_kif is None:
            inputs = tuple(self._port(node.name, node.shape) for node in self._graph.inputs)
        return super().trace(verbose=verbose, inputs=inputs, inputs_kif=inputs_kif, dump=dump)

    def apply_model(self, verbose: bool, inputs: Sequence[Any]) -> tuple[dict[str, Any], list[str]]:  # noqa: ARG002
        """Every tensor by its name in the Graph, and the names of the outputs."""
        symbols = [
            x.quantize(*self._format(node.name)) if isinstance(x, FixedVariableArrayInput) else x
            for node, x in zip(self._graph.inputs, inputs, strict=True)
        ]
        real = [node.name for node in self._graph.inputs if isinstance(node.op, Input) and node.op.formats is None]
        known = dict(
            zip((node.name for node in self._graph.inputs), (Formats.of(*x.kif) for x in symbols), strict=True)
        )
        graph = canonical(with_input_formats(self._graph, {name: known[name] for name in real}))
        with exact_decimals():
            values = evaluate(graph, [x[None] for x in symbols])
            traces = {name: with_batch(value, self.hwconf)[0] for name, value in values.items()}
            self._check(symbols, [traces[name] for name in graph.outputs])
        return traces, list(graph.outputs)

    def _format(self, name: str) -> tuple[int, int, int]:
        port = ports(self._graph)[name]
        if port.overflow is not Overflow.WRAP:
            message = (
                f"input {name!r}: its first quantizer saturates, and da4ml wraps the numbers that it is given; say "
                "which numbers come, trace_model(..., inputs_kif=(1, integer bits, fraction bits)), or use "
                "hgq_hw.da4ml.lower, which quantizes on the host"
            )
            raise UnsupportedError(message)
        return port.format.k, port.format.i, port.format.f

    def _port(self, name: str, shape: tuple[int, ...]) -> Any:
        k, i, f = (np.full(shape, bits, np.int64) for bits in self._format(name))
        return FixedVariableArray.from_kif(k, i, f, self.hwconf, 0, self.solver_options)

    def _check(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """`hgq_hw.da4ml.lower` mends what da4ml's emulator gets wrong; here the user builds the logic, as it is."""
        logic = comb_trace(*(np.concatenate([np.ravel(x) for x in group]) for group in (inputs, outputs)))
        check_widths(logic)
        require_aligned_choices(logic)
        if one_bit_keys(logic) != logic:
            message = (
                "the model chooses by a number of several bits, where da4ml's emulator and its Verilog disagree; use "
                "hgq_hw.da4ml.lower(hgq_keras.to_graph(model)), which builds the choice so that both agree"
            )
            raise UnsupportedError(message)
