"""The formats in which real inputs enter, for a tool whose own first step is to make numbers fixed-point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hgq_core.errors import UnsupportedError
from hgq_core.formats import FixedPoint
from hgq_core.graph import real_tensors
from hgq_core.graph.ops import Input, Maximum, Negate, Pool, Quantize, Reduce, Relu
from hgq_core.modes import Overflow, Round
from hgq_hw._split import require_quantized

if TYPE_CHECKING:
    from hgq_core.graph import Graph

__all__ = ["Port", "ports"]

_EXTRA = {Round.TRN: 0, Round.RND: 1}
_FINE = 25
"""Bits below a step that tell how a number of float32 rounds: those of its significand and one for the tie."""
_SIGN_BLIND = (Round.TRN, Round.RND, Round.RND_CONV, Round.RND_MIN_INF)


@dataclass(frozen=True, slots=True)
class Port:
    """How a real input becomes fixed-point without a change to what the graph makes of it.

    Attributes:
        format: one for all elements.
        overflow: WRAP, or SAT where the graph's first quantizers saturate.
    """

    format: FixedPoint
    overflow: Overflow


def ports(graph: Graph) -> dict[str, Port]:
    """For each real input the narrowest format, rounded down, behind which the graph computes the same for float32.

    Rounding down to a few bits below the step of a quantizer leaves its result alone, and so does wrapping around a
    multiple of its span, or clipping beyond its range.

    Raises:
        UnsupportedError: an unquantized number reaches arithmetic or an output, or no such format exists: it names the
            layer and the remedy.
    """
    require_quantized(graph)
    real = real_tensors(graph)
    found: dict[str, Port] = {}
    for source in graph.inputs:
        if not isinstance(source.op, Input) or source.op.formats is not None:
            continue
        reached, readers = {source.name}, []
        for node in graph:
            if not reached.isdisjoint(node.inputs):
                if node.name in real:
                    reached.add(node.name)
                else:
                    readers.append(node)
        between = [graph[name].op for name in reached]
        quantizers = [(node, node.op) for node in readers if isinstance(node.op, Quantize)]
        wraps = {operation.overflow is Overflow.WRAP for _, operation in quantizers}
        chosen = any(isinstance(operation, Relu | Maximum | Pool | Reduce) for operation in between)
        blind = all(operation.round in _SIGN_BLIND for _, operation in quantizers)
        if wraps == {True, False} or (True in wraps and (chosen or not blind)):
            label = quantizers[0][0].label
            message = (
                f"layer {label!r} wraps numbers around whose size or sign also counts in another way, so that no "
                "format of the input is wide enough; let the first quantizer saturate (overflow_mode='SAT'), or use "
                "hgq_hw.hls4ml.lower and hgq_hw.da4ml.lower on hgq_keras.to_graph(model), which quantize on the host"
            )
            raise UnsupportedError(message)
        negated = any(isinstance(operation, Negate) for operation in between)
        format_ = FixedPoint(1, 0, 0)
        for _, operation in quantizers:
            alive = operation.formats.alive
            if not alive.any():
                continue
            i = operation.formats.i[alive] + (operation.formats.k[alive] - 1 if True in wraps else 1)
            extra = _FINE if negated else _EXTRA.get(operation.round, _FINE)
            f = int(operation.formats.f[alive].max()) + extra
            format_ = FixedPoint(1, max(format_.i, int(i.max())), max(format_.f, f))
        found[source.name] = Port(format_, Overflow.WRAP if True in wraps else Overflow.SAT)
    return found
