"""Graph -> combinational logic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from da4ml.trace import FixedVariableArray, HWConfig, comb_trace, to_pipeline

from hgq_core.errors import ConfigError, UnsupportedError
from hgq_core.graph.ops import Input
from hgq_hw._models import require_graph
from hgq_hw._split import require_quantized, split, with_input_formats
from hgq_hw._warn import warn_before_lowering
from hgq_hw.da4ml._design import Design
from hgq_hw.da4ml._keys import one_bit_keys, one_bit_keys_of_pipeline, require_aligned_choices
from hgq_hw.da4ml._precision import exact_decimals
from hgq_hw.da4ml._rules import evaluate
from hgq_hw.passes import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_core.formats import Formats
    from hgq_core.graph import Graph, Node

__all__ = ["check_widths", "lower", "with_batch"]

WIDEST = 48
"""Most bits of an intermediate: da4ml derives widths from float64 logarithms, which are exact up to about there."""

SHORTEST = 0.1
"""Least delay of a pipeline stage: an adder alone takes 1, and every stage holds a copy of all that crosses it."""


def lower(
    graph: Graph,
    *,
    latency_cutoff: float | None = None,
    solver: Mapping[str, Any] | None = None,
    input_formats: Formats | Mapping[str, Formats] | None = None,
    adder_size: int = 1,
    carry_size: int = -1,
) -> Design:
    """Lower a graph to distributed-arithmetic logic with da4ml.

    By default an unquantized input is quantized on the host, by the interpreter itself, and the hardware's ports carry
    the quantized numbers: no assumption about the input's precision is needed, whatever the rounding mode. With
    ``input_formats`` the ports carry numbers of those formats, the first quantizers are hardware too, and ``predict``
    refuses numbers that the ports cannot carry.

    Args:
        graph: a Graph; made canonical first.
        latency_cutoff: largest logic delay of a pipeline stage, in adder delays; None leaves the logic combinational.
        solver: options of da4ml's constant-matrix solver, such as ``{"hard_dc": 2}``.
        input_formats: formats of the unquantized inputs (bits), for one input or by name; None quantizes on the host.
        adder_size: da4ml's cost model: bits of an atomic adder.
        carry_size: da4ml's cost model: bits of a carry chain; -1 is free.

    Returns:
        A Design with ``predict``, ``cost``, ``latency`` and ``write``.

    Warns:
        UncalibratedWarning: ranges that never were calibrated; names the layers.
        LargeDesignWarning: before the work begins, for a graph that no device holds or that da4ml does not finish.

    Raises:
        UnsupportedError: something that da4ml cannot express exactly; names the node.
        ConfigError: unknown solver option, a latency cutoff below a tenth of an adder, formats for inputs that do not
            exist; or something that is no Graph.
    """
    require_graph(graph, "da4ml.lower")
    options = _options(solver)
    if latency_cutoff is not None and not latency_cutoff >= SHORTEST:
        message = (
            f"latency_cutoff: received {latency_cutoff!r} adder delays for a pipeline stage, expected at least "
            f"{SHORTEST} (2 to 10 is usual), or None for combinational logic"
        )
        raise ConfigError(message)
    prepared = graph if input_formats is None else with_input_formats(graph, input_formats)
    require_quantized(prepared)  # before the passes, which need to know what every number can be
    warn_before_lowering(graph, unrolled=True, da4ml=True)
    parts = split(canonical(prepared))
    hwconf = HWConfig(adder_size, carry_size, -1)
    with exact_decimals():
        ports = [_port(node, hwconf, options) for node in parts.core.inputs]
        symbols = evaluate(parts.core, [port[None] for port in ports])
        outputs = [_row(symbols[name], hwconf) for name in parts.core.outputs]
        flat_inputs = np.concatenate([port.ravel() for port in ports])
        comb = comb_trace(flat_inputs, np.concatenate([y.ravel() for y in outputs]))
        check_widths(comb)
        pipeline = None
        if latency_cutoff is not None:
            pipeline = one_bit_keys_of_pipeline(to_pipeline(comb, latency_cutoff, verbose=False))
        for logic in (comb,) if pipeline is None else (comb, *pipeline.solutions):
            require_aligned_choices(logic)
    return Design(
        graph=graph,
        host=parts.host,
        core=parts.core,
        comb=one_bit_keys(comb),
        pipeline=pipeline,
        latency_cutoff=latency_cutoff,
        inputs=flat_inputs,
        symbols={name: _row(value, hwconf) for name, value in symbols.items() if value is not None},
    )


def _options(solver: Mapping[str, Any] | None) -> dict[str, Any]:
    known = ("method0", "method1", "hard_dc", "decompose_dc", "search_all_decompose_dc", "offload_fn")
    options = dict(solver or {})
    if unknown := sorted(set(options) - set(known)):
        message = f"solver option {unknown[0]!r} is unknown; expected some of {list(known)}"
        raise ConfigError(message)
    return options


def _port(node: Node, hwconf: Any, options: dict[str, Any]) -> Any:
    """Symbols for one input of the hardware."""
    if not isinstance(node.op, Input) or node.op.formats is None:
        message = f"input {node.name!r} has no format"
        raise UnsupportedError(message)
    formats = node.op.formats.broadcast_to(node.shape)
    if (widest := int(formats.width.max(initial=0))) > WIDEST:
        message = f"input {node.name!r} has {widest} bits; da4ml is exact up to {WIDEST}, quantize it"
        raise UnsupportedError(message)
    step = np.where(formats.alive, formats.step, 1.0)
    return FixedVariableArray.from_lhs(formats.lowest, formats.highest, step, hwconf, solver_options=options)


def with_batch(value: Any, hwconf: Any) -> Any:
    """Symbols with a batch axis, also for a constant."""
    if isinstance(value, FixedVariableArray):
        return value
    return FixedVariableArray(np.asarray(value, dtype=np.float64).astype(object)[None], hwconf=hwconf)


def _row(value: Any, hwconf: Any) -> Any:
    """Symbols of one row; of one number per row an array without axes, and not the number."""
    symbols = with_batch(value, hwconf)
    return symbols[0] if symbols.ndim > 1 else symbols.reshape(())


def check_widths(comb: Any) -> None:
    """Raise UnsupportedError for an intermediate that is wider than what da4ml computes exactly."""
    for position, op in enumerate(comb.ops):
        size = max(abs(op.qint.min), abs(op.qint.max)) / op.qint.step
        if size >= 2.0**WIDEST:
            message = (
                f"operation {position} of the logic needs {int(np.log2(size)) + 1} bits; da4ml is exact up to "
                f"{WIDEST}, put a quantizer with fewer bits before it"
            )
            raise UnsupportedError(message)
