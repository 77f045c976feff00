"""Pre-flight: everything that a target will refuse or get wrong, each with its remedy, before anything is lowered."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hgq_core.errors import HGQError, HGQWarning, MissingDependencyError
from hgq_core.graph import Graph, acts_on_real, prove, real_tensors
from hgq_core.graph.ops import Constant, Input, Lookup, Quantize
from hgq_hw._models import as_graph
from hgq_hw._sets import granularities
from hgq_hw._size import REMEDY, SLOW, size_problem, sizes, time_in_words
from hgq_hw._targets import Target
from hgq_hw._tools import missing_da4ml
from hgq_hw._warn import CALIBRATE, uncalibrated_problem
from hgq_hw.hls4ml import lower

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hgq_core.graph import Node, Proof

__all__ = ["Issue", "check"]

_MAX_WIDTH = 64
_DA4ML_WIDTH = 48
_DA4ML_FRACTION = 32
_BIG_TABLE = 2**14
_SEVERITIES = ("error", "warning", "info")
_INSTALL = "install it, or choose another target"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that a target will refuse or get wrong, or that is worth knowing.

    Attributes:
        severity: ``error`` stops lowering; ``warning`` makes the hardware much larger or wrong on data; ``info`` is
            worth knowing.
        node: name of the node, empty for the whole graph.
        label: the layer that it came from.
        problem: what is wrong.
        remedy: what to do.
        topic: what issues of one kind have in common, such as ``size``.
    """

    severity: Literal["error", "warning", "info"]
    node: str
    label: str
    problem: str
    remedy: str
    topic: str = ""

    def __str__(self) -> str:
        place = self.label or self.node or "graph"
        return f"{self.severity}: {place}: {self.problem}; {self.remedy}"


def check(model: Graph | Any, target: str = "da4ml") -> list[Issue]:
    """List what keeps a graph or model from the target.

    Args:
        model: a Graph, or a Keras model if hgq-keras is installed.
        target: ``"da4ml"`` (``:verilog``, ``:vhdl``, ``:vitis``) or ``"hls4ml:<backend>:<io_type>"``, such as
            ``"hls4ml:vitis:io_stream"``.

    Returns:
        Issues, errors first, then warnings, then information, each in the order of the graph; without an error the
        graph can be lowered.

    Raises:
        ConfigError: an unknown target.
    """
    chosen = Target.parse(target)
    graph = as_graph(model)
    issues = list(_unquantized(graph))
    if issues:
        return issues  # nothing is known of the numbers behind, so that nothing more can be said
    proof = prove(graph)
    issues += _graph_as_a_whole(graph, chosen)
    issues += _widths(graph, proof, chosen)
    issues += _overflows(proof)
    issues += _sets(graph)
    issues += _da4ml(graph) if chosen.engine == "da4ml" else _hls4ml(graph, chosen)
    order = {node.name: number for number, node in enumerate(graph)}
    return sorted(issues, key=lambda issue: (_SEVERITIES.index(issue.severity), order.get(issue.node, -1)))


def _graph_as_a_whole(graph: Graph, target: Target) -> Iterator[Issue]:
    """What makes the hardware much larger than it need be, or larger than there is."""
    if problem := uncalibrated_problem(graph):
        label = graph.uncalibrated[0] if len(graph.uncalibrated) == 1 else ""
        yield Issue("warning", "", label, problem, CALIBRATE, "calibration")
    if target.io_type != "io_stream" and (problem := size_problem(graph, da4ml=target.engine == "da4ml")):
        yield Issue("warning", "", "", problem, REMEDY, "size")
    elif target.engine == "da4ml":
        for layer in sizes(graph):
            if layer.seconds > SLOW:
                problem = f"{layer.products:,} multiplications take da4ml {time_in_words(layer.seconds)}"
                yield Issue("info", "", layer.label, problem, "train with a higher beta, or use hls4ml", "size")


def _sets(graph: Graph) -> Iterator[Issue]:
    """Whether what is computed of a set depends on the order of its elements."""
    for label, quantizers in granularities(graph):
        if quantizers:
            problem = f"widths of {', '.join(quantizers)} differ from position to position: the order of a set matters"
            yield Issue("info", "", label, problem, "leave their configurations to the default for a set", "set")


def _unquantized(graph: Graph) -> Iterator[Issue]:
    real = real_tensors(graph)
    blamed: set[str] = set()
    for node in graph:
        if node.name in real and not acts_on_real(node.op) and not blamed.intersection(node.inputs):
            problem = f"{type(node.op).__name__} computes with numbers that are not quantized"
            yield Issue(
                "error", node.name, node.label, problem, "put a quantizer before it, or give the input a format"
            )
        if node.name in real and (not acts_on_real(node.op) or blamed.intersection(node.inputs)):
            blamed.add(node.name)
    for name in graph.outputs:
        if name in real and name not in blamed:
            yield Issue("error", name, graph[name].label, "an output is not quantized", "put a quantizer before it")


def _widths(graph: Graph, proof: Proof, target: Target) -> Iterator[Issue]:
    limit = _DA4ML_WIDTH if target.engine == "da4ml" else _MAX_WIDTH
    for node in graph:
        if node.name not in proof.formats or isinstance(node.op, Constant):
            continue
        widest = int(proof.formats[node.name].width.max(initial=0))
        if widest > limit:
            problem = f"needs {widest} bits, {target.engine} takes at most {limit}"
            yield Issue(
                "error", node.name, node.label, problem, "quantize its inputs or weights to fewer bits", "width"
            )


def _overflows(proof: Proof) -> Iterator[Issue]:
    for finding in proof.findings:
        if finding.kind == "overflow":
            remedy = (
                "nothing wraps on data within the calibrated range; where inputs may exceed it, calibrate on more of "
                "them, or saturate: overflow_mode='SAT'"
            )
            topic = f"overflow: {finding.detail.rpartition(': ')[2]}"
        else:
            remedy, topic = "the graph's own integers are the reference here, not the model's float32", finding.kind
        yield Issue("info", finding.node, finding.label, finding.detail, remedy, topic)


def _da4ml(graph: Graph) -> Iterator[Issue]:
    if problem := missing_da4ml():
        yield Issue("error", "", "", problem, _INSTALL)
    for node in graph:
        match node.op:
            case Constant():
                yield from _da4ml_constant(node)
            case Lookup(tables=tables):
                yield from _table(node, tables)


def _da4ml_constant(node: Node) -> Iterator[Issue]:
    if not isinstance(node.op, Constant):
        return
    deepest = int(np.where(node.op.integers == 0, 0, node.op.fraction).max(initial=0))
    scaled = np.ldexp(node.op.values, _DA4ML_FRACTION)
    if np.any(scaled != np.rint(scaled)):
        problem = f"a constant has {deepest} fraction bits, da4ml holds {_DA4ML_FRACTION}"
        yield Issue("error", node.name, node.label, problem, "quantize it coarser")


def _table(node: Node, tables: tuple[Any, ...]) -> Iterator[Issue]:
    if any(np.any(np.abs(table) >= 2**31) for table in tables):
        yield Issue("error", node.name, node.label, "a table entry exceeds 32 bits", "quantize the table's output")
    if (longest := max(len(table) for table in tables)) > _BIG_TABLE:
        problem = f"a table has {longest} entries"
        yield Issue("info", node.name, node.label, problem, "quantize its input to fewer bits")


def _hls4ml(graph: Graph, target: Target) -> Iterator[Issue]:
    """What hls4ml refuses, found by lowering without writing."""
    try:
        with tempfile.TemporaryDirectory(prefix="hgq-check-") as scratch, warnings.catch_warnings():
            warnings.simplefilter("ignore", HGQWarning)  # said already, as issues
            lower(graph, Path(scratch) / "project", backend=target.backend, io_type=target.io_type)
    except MissingDependencyError as error:
        yield Issue("error", "", "", str(error), _INSTALL)
    except HGQError as error:
        node = next((node for node in graph if repr(node.name) in str(error)), None)
        name, label = ("", "") if node is None else (node.name, node.label)
        # Its own words end with what to do.
        problem, _, remedy = str(error).rpartition("; ")
        yield Issue("error", name, label, problem or remedy, remedy if problem else "use the da4ml target")
    for node in graph.inputs:
        if (
            isinstance(node.op, Input)
            and node.op.formats is None
            and not any(isinstance(reader.op, Quantize) for reader in graph.consumers(node.name))
        ):
            yield Issue(
                "info", node.name, node.label, "its quantizer comes later", "what lies before it runs on the host"
            )
