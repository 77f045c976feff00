"""`to_graph`: a trained Keras model as a Graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import UnsupportedError
from hgq_core.graph import Graph, GraphBuilder, acts_on_real, real_tensors, warn_if_inexact
from hgq_core.graph import ops as op
from hgq_core.graph.emit import Emitter
from hgq_core.layers import append_quantizer
from hgq_keras._calibrated import uncalibrated
from hgq_keras._health import check_finite, warn_if_dead
from hgq_keras._operands import operand_names
from hgq_keras._operations import emit_operation
from hgq_keras._plain import check_unmasked, emit_plain
from hgq_keras._quantizer import Quantizer
from hgq_keras._slots import exported
from hgq_keras._subclasses import check_own_computation
from hgq_keras._topology import wiring
from hgq_keras.layers._base import QLayer, quantized_layers

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["to_graph"]


def to_graph(model: keras.Model) -> Graph:
    """The model as a Graph that computes, bit for bit, what the model computes at inference.

    Functional and Sequential models, nested ones included, of this package's layers, of plain Keras layers without
    weights that are exact (Flatten, MaxPooling2D, ReLU, Add, GlobalAveragePooling2D over 2**n numbers, ...), and of
    operators and ``keras.ops`` on tensors: ``x[:, 1:3]``, ``x + 2.0``, ``keras.ops.concatenate([x, y])``. What is not a
    layer of this package costs no EBOPs.

    Raises:
        UnsupportedError: a subclassed model, an unquantized layer with weights, or a layer without exact hardware;
            it names the layer and the remedy.
        DataError: NaN or infinity in a weight.

    Warns:
        PrecisionWarning: float32 (or the float64 of the model) may round what the graph computes exactly; it names the
            layer and the bits that it needs.
    """
    if not model.built:
        message = f"model {model.name!r} is not built; call it on data, or begin it with keras.Input"
        raise UnsupportedError(message)
    if getattr(model, "inputs", None) is None:
        raise UnsupportedError(_without_topology(model))
    for layer in quantized_layers(model):
        check_finite(layer)
    warn_if_dead(model)
    builder = GraphBuilder()
    inputs = [
        builder.add(op.Input(_fixed(tensor.shape, model.name)), name=tensor.name.split(":")[0])
        for tensor in model.inputs
    ]
    graph = builder.build(_walk(model, inputs, builder, prefix=""), uncalibrated(model))
    _check_real(graph)
    types = {layer.compute_dtype for layer in quantized_layers(model)}
    warn_if_inexact(graph, bits=53 if types == {"float64"} else 24, stacklevel=2)
    return graph


def _check_real(graph: Graph) -> None:
    """Raise UnsupportedError for arithmetic on numbers that are not quantized yet; they may move and be compared."""
    real = real_tensors(graph)
    for node in graph:
        if node.name in real and not acts_on_real(node.op):
            message = (
                f"layer {node.label!r} computes with numbers that are not quantized ({type(node.op).__name__}); "
                "give it an input quantizer (enable_iq=True), or put a Quantizer before it"
            )
            raise UnsupportedError(message)


def _fixed(shape: Sequence[int | None], name: str) -> tuple[int, ...]:
    if any(n is None for n in shape[1:]):
        message = f"model {name!r}: input shape {tuple(shape)} must be fixed after the batch axis"
        raise UnsupportedError(message)
    return tuple(int(n) for n in shape[1:] if n is not None)


def _walk(model: keras.Model, inputs: list[str], builder: GraphBuilder, prefix: str) -> list[str]:
    """Emit every layer of a model, each after those that it reads."""
    label = prefix.rstrip("/") or model.name
    if isinstance(model, keras.Sequential):
        check_own_computation(model, label)
        names = inputs
        for layer in model.layers:
            names = _emit(layer, names, builder, prefix)
        return names
    wires = wiring(model)
    if wires is None:
        raise UnsupportedError(_without_topology(model))
    check_own_computation(model, label)
    values = dict(zip(wires.inputs, inputs, strict=True))
    pending = wires.calls
    while pending:
        ready = [call for call in pending if all(key in values for key in call.reads)]
        if not ready:
            message = f"model {model.name!r}: cannot order its layers {[call.layer.name for call in pending]}"
            raise UnsupportedError(message)
        for call in ready:
            name = call.layer.name
            if call.training:
                message = f"layer {prefix + name!r}: it is called with training=True; leave that to fit and to model(x)"
                raise UnsupportedError(message)
            emitter = Emitter(builder, prefix + name, type(call.layer).__name__)
            if isinstance(call.layer, keras.Layer):
                check_unmasked(call, emitter.label)
                results = _emit(call.layer, operand_names(call, values, emitter), builder, prefix)
            else:
                results = emit_operation(call, values, emitter)
            for index, result in enumerate(results):
                values[name, call.number, index] = result
        pending = [call for call in pending if not any(call is done for done in ready)]
    return [values[key] for key in wires.outputs]


def _without_topology(model: keras.Model) -> str:
    return f"model {model.name!r} is a subclass of keras.Model without a topology; build it with the functional API"


def _emit(layer: Any, inputs: list[str], builder: GraphBuilder, prefix: str) -> list[str]:
    label = f"{prefix}{layer.name}"
    emitter = Emitter(builder, label, type(layer).__name__)
    if isinstance(layer, keras.Model):
        return _walk(layer, inputs, builder, prefix=f"{label}/")
    check_own_computation(layer, label)
    if isinstance(layer, Quantizer):
        check_finite(layer)
        return [_quantized(layer, label, inputs[0], builder)]
    if not isinstance(layer, QLayer):
        return [emit_plain(layer, inputs, emitter)]
    return list(layer.emit(builder, label, inputs))


def _quantized(layer: Quantizer, label: str, x: str, builder: GraphBuilder) -> str:
    """Append a quantizer that is a layer of its own."""
    title = f"quantizer {layer.name!r} of layer {label!r}"
    name = f"{label}/{_short(layer, label)}"
    return append_quantizer(builder, exported(layer, builder.shape(x)), x, title=title, name=name, label=label)


def _short(quantizer: Quantizer, label: str) -> str:
    """The quantizer's name without the layer's."""
    last = label.rpartition("/")[2]
    return quantizer.name.removeprefix(f"{last}_") if quantizer.name != last else "quantize"
