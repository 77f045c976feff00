"""The records that are being written, with what a layer needs to know of the graph."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import UnsupportedError
from hgq_core.graph import prove
from hgq_core.graph.ops import Add, Constant, Multiply, Quantize, Reshape, Transpose
from hgq_hw.hls4ml.types import HLSType, covering, narrowed, shared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_core.formats import Formats
    from hgq_core.graph import Graph, Node
    from hgq_core.graph.ops import Shape

__all__ = ["Options", "Records", "Writer"]

_RESERVED = re.compile(
    r"auto|bool|break|case|char|class|const|continue|data|default|delete|do|double|else|"
    r"enum|extern|false|float|for|friend|goto|half|if|inline|input|int|long|namespace|new|"
    r"nnet|operator|output|private|protected|public|register|return|short|signed|sizeof|static|"
    r"std|struct|switch|template|this|throw|true|try|typedef|typename|union|unsigned|using|"
    r"virtual|void|volatile|while"
)
_HLS_NAMES = re.compile(r"(layer|config|w|b|s|t|table|input)\d*(_out|_t)?|result_t")


@dataclass(frozen=True, slots=True)
class Options:
    """What decides how a graph is written.

    Attributes:
        fuse: a quantizer becomes the type of the layer before it, for targets without a type per element.
        stream: io_stream, which knows fewer layers.
        plain: a back end without layers for contractions in general and for tables.
        target: for messages, such as ``Vitis io_stream``.
    """

    fuse: bool
    stream: bool
    plain: bool
    target: str


@dataclass(slots=True)
class Records:
    """What hls4ml reads.

    Attributes:
        layers: one dictionary per layer, in order.
        types: for every layer, the C++ types of ``result``, ``accum``, ``weight``, ``bias``, ``scale``, ``table``.
        inputs: names of the input layers.
        outputs: names of the output layers, one per output of the graph.
        names: node of the graph -> layer that gives the same tensor.
    """

    layers: list[dict[str, Any]] = field(default_factory=list)
    types: dict[str, dict[str, HLSType]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


class Writer:
    """The records so far, and what the layers need to know of the graph."""

    def __init__(self, graph: Graph, options: Options) -> None:
        self.graph = graph
        self.options = options
        self.formats = prove(graph).formats
        self.out = Records()
        self.absorbed: set[str] = set()
        """Nodes that became part of another node's layer."""

    def shape(self, name: str) -> Shape:
        """Shape of an edge; a scalar is a vector of one element."""
        return self.graph[name].shape or (1,)

    def formats_of(self, name: str) -> Formats:
        """Proved formats of an edge."""
        return self.formats[name].broadcast_to(self.graph[name].shape)

    def values(self, name: str) -> NDArray[np.float64] | None:
        """The numbers of a constant, None for data."""
        operation = self.graph[name].op
        return operation.values if isinstance(operation, Constant) else None

    def refused(self, node: Node, what: str, remedy: str) -> UnsupportedError:
        """The error for a node that the target cannot take."""
        layer = f" of layer {node.label!r}" if node.label else ""
        operation = f"{type(node.op).__name__} {node.name!r}{layer}"
        return UnsupportedError(f"hls4ml {self.options.target}: {operation} {what}; {remedy}")

    def sole_reader(self, name: str) -> Node | None:
        """The node that reads this edge, if there is exactly one and the edge is no output."""
        readers = self.graph.consumers(name)
        return readers[0] if len(readers) == 1 and name not in self.graph.outputs else None

    def take_constant_reader(self, node: Node, kind: type[Add | Multiply]) -> tuple[Node, NDArray[np.float64] | None]:
        """The sum or product with a constant that alone reads ``node``, and that constant; else ``node`` and None.

        It is taken out of the graph: its layer is the one of ``node``.
        """
        reader = self.sole_reader(node.name)
        if reader is None or not isinstance(reader.op, kind) or reader.shape != node.shape:
            return node, None
        values = self.values(reader.inputs[1])
        if values is None:
            return node, None
        self.absorbed.add(reader.name)
        return reader, np.broadcast_to(values, reader.shape)

    def result_type(self, node: Node) -> HLSType:
        """The type of what a computing node gives: all that was proved, or what its only reader, a quantizer, sees."""
        full = covering(self.formats_of(node.name))
        reader = self.sole_reader(node.name)
        while self.options.fuse and reader is not None and isinstance(reader.op, Reshape | Transpose):
            reader = self.sole_reader(reader.name)
        if reader is None or not isinstance(reader.op, Quantize):
            return HLSType(full)
        if not self.options.fuse:
            return HLSType(narrowed(full, reader.op))
        common = shared(reader.op.formats)
        if common is None:
            raise self.refused(
                reader,
                "has a format per element",
                "use io_parallel with the Vitis or Vivado back end, or share the widths in the tensor "
                "(heterogeneous_axis=() for this quantizer)",
            )
        self.absorbed.add(reader.name)
        return HLSType(common, reader.op.round, reader.op.overflow)

    def type_of(self, layer: str) -> HLSType:
        """The result type of a layer that is already written."""
        return self.out.types[layer]["result"]

    def add(self, class_name: str, node: Node, types: dict[str, HLSType], *inputs: str, **fields: object) -> str:
        """Append a layer that gives the tensor ``node`` and return its name.

        Args:
            class_name: hls4ml's layer class.
            node: whose tensor the layer gives.
            types: see `Records`.
            *inputs: layers that it reads.
            **fields: what else its record holds.
        """
        name = self._identifier(node.name, "_q" if class_name == "FixedPointQuantizer" else "")
        record: dict[str, Any] = {"class_name": class_name, "name": name, **fields}
        if inputs:
            record["inputs"] = list(inputs)
        self.out.layers.append(record)
        self.out.types[name] = types
        self.out.names[node.name] = name
        for quantizer in self._quantizers_behind(node.name):
            self.out.names[quantizer] = name
        return name

    def _quantizers_behind(self, name: str) -> list[str]:
        """Fused quantizers that read this edge; their tensor is the layer's own."""
        return [reader.name for reader in self.graph.consumers(name) if self._fused(reader)]

    def _fused(self, node: Node) -> bool:
        return isinstance(node.op, Quantize) and node.name in self.absorbed

    def _identifier(self, name: str, suffix: str) -> str:
        """A C++ name that nothing else in the project has; hls4ml ignores case."""
        base = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()
        base = base if base[:1].isalpha() else f"n_{base}".rstrip("_")
        base += suffix
        if _RESERVED.fullmatch(base) or _HLS_NAMES.fullmatch(base):
            base += "_node"
        unique, number = base, 1
        while unique in self.out.types:
            number += 1
            unique = f"{base}_{number}"
        return unique
