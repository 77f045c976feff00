"""The verifier: ranges of every edge, accumulator widths, overflow of WRAP, and whether floating point is exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from hgq_core.errors import GraphError
from hgq_core.graph import ops as op
from hgq_core.graph.evaluate import evaluate_node, scanned
from hgq_core.graph.integers import bit_length
from hgq_core.graph.intervals import ZERO, Interval, formats_of, wraps_never
from hgq_core.graph.real import acts_on_real
from hgq_core.modes import Overflow
from hgq_core.ops import NUMPY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hgq_core.formats import Formats
    from hgq_core.graph.ir import Graph, Node

__all__ = ["Finding", "Proof", "prove"]

_FLOAT32 = 24
_EXPONENT = 126  # of the smallest normal number of float32


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the prover says of one node.

    Attributes:
        node: its name.
        label: the layer that it came from.
        kind: ``overflow``: a WRAP quantizer may wrap; ``inexact``: float32 may round an intermediate result.
        detail: what, in words.
        bits: bits that the widest partial sum or value needs, sign left out.
        witness: for ``inexact``, a graph input ``(1, *shape)`` per Input that shows it, if `hgq_core.graph.witness` was
            asked for one and found it.
    """

    node: str
    label: str
    kind: Literal["overflow", "inexact"]
    detail: str
    bits: int
    witness: tuple[NDArray[np.float64], ...] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of a graph for every possible input.

    Attributes:
        formats: narrowest formats of each edge, without the batch axis; real edges are missing.
        bits: bits that the widest partial sum in a node needs, counted from the node's own smallest step, sign left
            out; of a constant, those of its widest number; of a Scan, the most in its body over all steps.
        exponents: for each of these nodes the binary exponents of its smallest step and its largest partial sum.
        overflow: for each WRAP node, ``"proved"`` that it never wraps, or ``"possible"``; a node in the body of a Scan
            is called ``scan/node`` and judged over all steps.
        findings: possible overflows, and nodes where float32 may not be exact, in order.
    """

    formats: Mapping[str, Formats]
    bits: Mapping[str, int]
    exponents: Mapping[str, tuple[int, int]]
    overflow: Mapping[str, str]
    findings: tuple[Finding, ...]

    def exact_in(self, bits: int) -> bool:
        """Whether floats with this many significand bits compute every node exactly, in any order of summation.

        Their exponents too: those of float32, and within 2**-500 to 2**500 those of wider numbers.
        """
        most = _EXPONENT if bits <= _FLOAT32 else 500
        reached = all(-most <= low and high <= most for low, high in self.exponents.values())
        return reached and all(needed <= bits for needed in self.bits.values())

    @property
    def float32_exact(self) -> bool:
        """Whether float32 arithmetic gives exactly what the graph says."""
        return self.exact_in(_FLOAT32)


def prove(graph: Graph) -> Proof:
    """Interpret the graph on intervals.

    Raises:
        GraphError: an operation other than moves, relu, maximum and negation acts on a real edge, before any quantizer.

    >>> from hgq_core.formats import Formats
    >>> from hgq_core.graph import GraphBuilder
    >>> builder = GraphBuilder()
    >>> x = builder.add(op.Input((2,), Formats.of(1, 2, 3)))
    >>> y = builder.add(op.Contract("bi,io->bo"), x, builder.add(op.Constant.of([[1.0], [-0.5]])))
    >>> proof = prove(builder.build([y]))
    >>> int(proof.formats[y].i[0]), int(proof.formats[y].f[0]), proof.float32_exact
    (3, 4, True)
    """
    cached: Proof | None = graph.memo.get("proof")
    if cached is not None:
        return cached
    values: dict[str, Interval | None] = {}
    formats: dict[str, Formats] = {}
    bits: dict[str, int] = {}
    exponents: dict[str, tuple[int, int]] = {}
    overflow: dict[str, str] = {}
    findings: list[Finding] = []
    for node in graph:
        operands = [values[name] for name in node.inputs]
        judged = set(overflow)
        result, needs = _interval(node, operands, overflow)
        values[node.name] = result
        if isinstance(node.op, op.Quantize) and node.op.overflow is Overflow.WRAP:
            _judge(overflow, node.name, node.op, operands[0])
        for name, verdict in overflow.items():
            if name not in judged and verdict == "possible":
                known = "its input is real" if None in operands else "the range of its input exceeds the format"
                inner = "" if name == node.name else f" in {name!r}"
                findings.append(Finding(node.name, node.label, "overflow", f"WRAP may wrap{inner}: {known}", 0))
        if result is None:
            continue
        if not isinstance(node.op, op.Constant):
            formats[node.name] = formats_of(result)
        bits[node.name], exponents[node.name] = needs.bits, (needs.low, needs.high)
        if needs.bits > _FLOAT32:
            detail = f"needs {needs.bits} bits where float32 has {_FLOAT32}: narrow its inputs or its weights"
            findings.append(Finding(node.name, node.label, "inexact", detail, needs.bits))
        elif max(-needs.low, needs.high) > _EXPONENT:
            span = f"spans 2**{needs.low} to 2**{needs.high}"
            detail = f"{span}, beyond the normal numbers of float32: scale the data or the weights"
            findings.append(Finding(node.name, node.label, "inexact", detail, needs.bits))
    proof = Proof(formats, bits, exponents, overflow, tuple(findings))
    graph.memo["proof"] = proof
    return proof


def _judge(overflow: dict[str, str], name: str, operation: op.Quantize, x: Interval | None) -> None:
    """Note whether a WRAP quantizer may wrap; once possible, it stays so."""
    never = overflow.get(name) != "possible" and x is not None and bool(np.all(wraps_never(x, operation)))
    overflow[name] = "proved" if never else "possible"


class _Needs(NamedTuple):
    """What a floating-point type must have to hold a node's numbers and partial sums exactly."""

    bits: int
    low: int
    """Binary exponent of the smallest step."""
    high: int
    """Binary exponent of the largest partial sum."""

    def joined(self, other: _Needs) -> _Needs:
        return _Needs(max(self.bits, other.bits), min(self.low, other.low), max(self.high, other.high))


_NOTHING = _Needs(0, 0, 0)


def _interval(node: Node, operands: list[Interval | None], overflow: dict[str, str]) -> tuple[Interval | None, _Needs]:
    """The interval of a node, None for a real edge, and what it needs."""
    if isinstance(node.op, op.Input):
        return (None, _NOTHING) if node.op.formats is None else _with_needs(Interval.full(node.op.formats, node.shape))
    if isinstance(node.op, op.Constant):
        return _with_needs(Interval.of(node.op.values))
    known = [operand for operand in operands if operand is not None]
    if len(known) == len(operands):
        return _evaluated(node, known, node.name, overflow)
    if isinstance(node.op, op.Quantize):
        symmetric = node.op.overflow is Overflow.SAT_SYM
        return _with_needs(Interval.full(node.op.formats, node.shape, symmetric=symmetric))
    if acts_on_real(node.op):
        return None, _NOTHING
    message = (
        f"{type(node.op).__name__} {node.name!r} (layer {node.label!r}) acts on an input that is not quantized; "
        "put a Quantizer before it"
    )
    raise GraphError(message)


def _evaluated(node: Node, operands: list[Interval], name: str, overflow: dict[str, str]) -> tuple[Interval, _Needs]:
    """The node on intervals, and what it needs; constants enter as the plain arrays that they are."""
    if isinstance(node.op, op.Scan):
        return _unrolled(node.op, operands, name, overflow)
    plain = [
        operand.low.values
        if isinstance(node.op, op.Contract | op.Convolve) and _is_point(operand) and n
        else operand.fresh
        for n, operand in enumerate(operands)
    ]
    return _with_needs(Interval.of(evaluate_node(node, plain)))


def _unrolled(scan: op.Scan, operands: list[Interval], name: str, overflow: dict[str, str]) -> tuple[Interval, _Needs]:
    """The fixed number of steps on intervals, and the most that a node of the body needs in any of them."""
    needs = _NOTHING

    def step(*inputs: Interval) -> list[Interval]:
        nonlocal needs
        values: dict[str, Interval] = {}
        feed = iter(inputs)
        for node in scan.body:
            if isinstance(node.op, op.Input):
                values[node.name] = next(feed)
                continue
            inner = [values[operand] for operand in node.inputs]
            if isinstance(node.op, op.Constant):
                values[node.name], own = _with_needs(Interval.of(node.op.values))
            else:
                values[node.name], own = _evaluated(node, inner, f"{name}/{node.name}", overflow)
            needs = needs.joined(own)
            if isinstance(node.op, op.Quantize) and node.op.overflow is Overflow.WRAP:
                _judge(overflow, f"{name}/{node.name}", node.op, inner[0])
        return [values[output] for output in scan.body.outputs]

    stacked: Any = scanned(NUMPY, scan, operands, step)
    return stacked, needs.joined(_with_needs(stacked)[1])


def _exponents(x: Interval) -> tuple[int, int]:
    """Binary exponents of the smallest step and of the largest partial sum; zeros if all is 0."""
    steps = x.f[x.f != ZERO]
    if not steps.size:
        return 0, 0
    largest = max(int(n) for n in x.peak.integers.flat)
    return -int(steps.max()), largest.bit_length() - x.peak.fraction


def _is_point(x: Interval) -> bool:
    return x.low is x.high


def _with_needs(x: Interval) -> tuple[Interval, _Needs]:
    return x, _Needs(_bits(x), *_exponents(x))


def _bits(x: Interval) -> int:
    """Bits of the largest partial sum in units of the finest step of its element."""
    alive = x.f != ZERO
    if not alive.any():
        return 0
    fraction = max(int(x.f.max()), x.peak.fraction)
    peak = x.peak.at(fraction).astype(object)
    units = np.where(
        alive,
        peak // np.left_shift(np.ones(x.shape, object), (fraction - np.where(alive, x.f, fraction)).astype(object)),
        0,
    )
    # A power of two above 1 is exact in one bit less than its bit length.
    return int(np.max(bit_length(np.where(units > 1, units - 1, units).astype(object)), initial=0))
