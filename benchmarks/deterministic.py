"""Numbers that do not depend on the machine: EBOPs against counting, da4ml's cost, mismatches of the lowered design.

Three fixed networks with drawn widths and weights. What they give is committed in ``results/deterministic.json``; a run
that gives something else fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import hgq_hw
from hgq_core.cost import ebops
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder, run
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round

VECTORS = 2000


def measure() -> dict[str, dict[str, Any]]:
    """EBOPs, EBOPs counted product by product, da4ml cost, latency and mismatches of each network."""
    return {name: _row(graph) for name, graph in networks().items()}


def networks() -> dict[str, Graph]:
    """A jet-sized network, a small convolution, and one with every rounding and overflow mode."""
    return {"jet 16-64-32-32-5": _dense((16, 64, 32, 32, 5)), "convolution 8x8": _convolution(), "modes": _modes()}


def _row(graph: Graph) -> dict[str, Any]:
    design = hgq_hw.da4ml.lower(graph, latency_cutoff=5)
    x = np.random.default_rng(1).normal(scale=3, size=(VECTORS, *graph.inputs[0].shape)).astype("float32")
    return {
        "ebops": ebops(graph),
        "ebops_counted": sum(_counted(graph, node.name) for node in graph),
        "da4ml_cost": float(design.cost),
        "latency_cycles": design.latency,
        "mismatches": int(np.sum(run(graph, x) != design.predict(x))),
        "compared": int(np.prod(run(graph, x).shape)),
    }


def _formats(rng: np.random.Generator, shape: tuple[int, ...]) -> Formats:
    return Formats.of(np.ones(shape, int), rng.integers(1, 3, shape), rng.integers(0, 4, shape))


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> op.Constant:
    bits = rng.choice([0, 0, 1, 2, 3, 4], size=shape)
    largest = 2**bits - 1
    integers = np.rint(rng.uniform(-1, 1, shape) * largest)
    return op.Constant.of(integers / 16, bits=bits)


def _layer(builder: GraphBuilder, rng: np.random.Generator, x: str, units: int, label: str, *, relu: bool) -> str:
    shape = builder.shape(x)
    x = builder.add(op.Quantize(_formats(rng, shape), Round.RND, Overflow.WRAP), x, label=label)
    kernel = builder.add(_weights(rng, (shape[0], units)), name=f"{label}/kernel", label=label)
    bias = builder.add(_weights(rng, (units,)), name=f"{label}/bias", label=label)
    x = builder.add(op.Contract("bi,io->bo"), x, kernel, label=label)
    x = builder.add(op.Add(), x, bias, label=label)
    return builder.add(op.Relu(), x, label=label) if relu else x


def _dense(widths: tuple[int, ...]) -> Graph:
    rng, builder = np.random.default_rng(0), GraphBuilder()
    x = builder.add(op.Input((widths[0],)), name="x")
    for number, units in enumerate(widths[1:]):
        x = _layer(builder, rng, x, units, f"dense_{number}", relu=number < len(widths) - 2)
    return builder.build([x])


def _convolution() -> Graph:
    rng, builder = np.random.default_rng(0), GraphBuilder()
    x = builder.add(op.Input((8, 8, 1)), name="x")
    x = builder.add(op.Quantize(_formats(rng, (8, 8, 1)), Round.RND, Overflow.WRAP), x, label="conv")
    kernel = builder.add(_weights(rng, (3, 3, 1, 4)), name="conv/kernel", label="conv")
    x = builder.add(op.Convolve((1, 1), ((1, 1), (1, 1)), (1, 1)), x, kernel, label="conv")
    x = builder.add(op.Relu(), x, label="conv")
    x = builder.add(op.Pool("max", (2, 2), (2, 2), ((0, 0), (0, 0))), x, label="pool", ebops_factor=0.0)
    x = builder.add(op.Reshape((64,)), x, label="flatten")
    return builder.build([_layer(builder, rng, x, 5, "dense", relu=False)])


def _modes() -> Graph:
    rng, builder = np.random.default_rng(0), GraphBuilder()
    x = builder.add(op.Input((12,)), name="x")
    x = builder.add(op.Quantize(Formats.of(1, 4, np.full(12, 5)), Round.RND, Overflow.SAT), x, label="input")
    parts = [
        builder.add(op.Quantize(_formats(rng, (12,)), mode, limit), x, label=f"{mode}_{limit}")
        for mode in Round
        for limit in Overflow
    ]
    x = builder.add(op.Concatenate(0), *parts, label="joined")
    return builder.build([_layer(builder, rng, x, 6, "dense", relu=False)])


def _counted(graph: Graph, name: str) -> float:
    """EBOPs of one node, one product at a time, in plain Python loops."""
    node = graph[name]
    widths = [_widths(graph, operand) for operand in node.inputs]
    if isinstance(node.op, op.Contract):
        data, kernel = widths
        return float(sum(data[i] * kernel[i, o] for i, o in np.ndindex(*kernel.shape)))
    if isinstance(node.op, op.Add):
        return float(sum(widths[1][o] for o in np.ndindex(*node.shape)))
    if isinstance(node.op, op.Convolve):
        data, kernel = widths
        rows, columns, _ = node.shape
        total = 0
        for r, c in np.ndindex(rows, columns):
            for i, j, channel, filters in np.ndindex(*kernel.shape):
                if 0 <= r + i - 1 < data.shape[0] and 0 <= c + j - 1 < data.shape[1]:
                    total += data[r + i - 1, c + j - 1, channel] * kernel[i, j, channel, filters]
        return float(total)
    return 0.0


def _widths(graph: Graph, name: str) -> Any:
    """Counted bits behind an edge: those of a constant, or of the quantizer that moves lead to; None elsewhere."""
    node = graph[name]
    if isinstance(node.op, op.Constant):
        return node.op.bits
    if isinstance(node.op, op.Quantize):
        formats = node.op.formats.broadcast_to(node.shape)
        return np.maximum(formats.i + formats.f, 0) + (formats.k if node.op.overflow == Overflow.SAT else 0)
    if isinstance(node.op, op.Concatenate):
        return np.concatenate([_widths(graph, operand) for operand in node.inputs])
    return None
