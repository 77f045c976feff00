"""From a ModelGraph that hls4ml has begun to that of our records, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.modes import Overflow, Round
from hgq_hw._models import as_graph, is_hgq_keras
from hgq_hw._ports import ports
from hgq_hw._split import with_input_formats
from hgq_hw.hls4ml.boundary import split
from hgq_hw.hls4ml.legal import legalize
from hgq_hw.hls4ml.model import check_doubles, check_types, model_settings
from hgq_hw.hls4ml.options import PER_ELEMENT, PER_TENSOR
from hgq_hw.hls4ml.records import Options, Records, records
from hgq_hw.hls4ml.types import HLSType

if TYPE_CHECKING:
    from hgq_core.graph import Graph

__all__ = ["rewrite"]


def rewrite(model: Any, place: str) -> bool:
    """Put the records of a model of hgq-keras in the place of what hls4ml's converter made; False for other models.

    Args:
        model: hls4ml's ModelGraph, before any of its own passes.
        place: class of the layers that only keep a place.

    Raises:
        UnsupportedError: the back end, an operation or a number format that cannot be exact; it names the layer and the
            remedy.
    """
    keras_model = model.config.config.get("KerasModel")
    kept = [node for node in model.graph.values() if node.class_name == place]
    if keras_model is None or not is_hgq_keras(keras_model):
        if kept:
            name, kind = kept[0].name, kept[0].attributes["original"]
            message = f"layer {name!r} ({kind}) has no handler in hls4ml; leave it out, or use a model of hgq-keras"
            raise UnsupportedError(message)
        return False
    graph = as_graph(keras_model)
    written = _written(graph, model)
    backend = model.config.backend
    settings = model_settings(written, backend.convert_precision_string, model.config.model_strategy == "resource")
    model.config.config["HLSConfig"]["Model"]["BitExact"] = False  # every type is proved
    model.config.config["HLSConfig"]["LayerName"] = settings
    for name, chosen in settings.items():
        model.config.parse_name_config(name, chosen)
    for held in (model.graph, model.output_vars):
        held.clear()
    model.inputs, model.outputs = list(written.inputs), list(written.outputs)
    for record in written.layers:
        name = record["name"]
        inputs = ["input"] if record["class_name"] == "InputLayer" else record["inputs"]
        model.graph[name] = model.make_node(record["class_name"], name, record, inputs, record.get("outputs") or [name])
    check_types(model, written, backend.convert_precision_string)
    return True


def _written(graph: Graph, model: Any) -> Records:
    """The records of the graph, its first quantizers included, for the back end that the user chose."""
    backend, stream = model.config.backend.name, model.config.get_config_value("IOType") == "io_stream"
    known = {name.lower(): name for name in (*PER_ELEMENT, *PER_TENSOR)}
    if backend.lower() not in known:
        message = f"backend {backend!r} is not exact for models of hgq-keras; expected one of {list(known.values())}"
        raise UnsupportedError(message)
    plain = known[backend.lower()] in PER_TENSOR
    found = ports(graph)
    shapes = {node.name: node.shape for node in graph.inputs}
    formats = {
        name: Formats.of(*(np.full(shapes[name], bits) for bits in (port.format.k, port.format.i, port.format.f)))
        for name, port in found.items()
    }
    legal = legalize(split(with_input_formats(graph, formats)).hardware, plain=plain, stream=stream)
    io_type = "io_stream" if stream else "io_parallel"
    written = records(legal.graph, Options(plain or stream, stream, plain, f"{known[backend.lower()]} {io_type}"))
    check_doubles(legal.graph)
    layer_of = {name: written.names[new] for name, new in legal.names.items() if new in written.names}
    for name, port in found.items():
        if port.overflow is Overflow.SAT:
            for entry in {layer_of.get(name, name)} & set(written.inputs):
                types = written.types[entry]
                types["result"] = HLSType(types["result"].format, Round.TRN, Overflow.SAT)
    return written
