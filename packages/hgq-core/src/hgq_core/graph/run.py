"""The outputs of a Graph, exact: chooses the number system in which the interpreter runs.

Numbers run on float64 where the prover shows that 53 bits are enough, else on exact integers; the results are
identical.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import DataError, ShapeError
from hgq_core.graph import ops as op
from hgq_core.graph.evaluate import evaluate, quantize_values, zip_inputs
from hgq_core.graph.integers import EXACT, IntegerArray
from hgq_core.graph.kinds import evaluate_graph
from hgq_core.graph.prove import prove
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY

if TYPE_CHECKING:
    from hgq_core.graph.ir import Graph, Node

__all__ = ["run"]

_FAR = 500
"""Binary exponents below this one leave float64 room for a product."""


def run(graph: Graph, *inputs: Any) -> Any:
    """The outputs of the graph, exact.

    Args:
        graph: a Graph.
        *inputs: one array ``(batch, *shape)`` per Input node, in order: floats, or anything that speaks NumPy's
            protocols and has registered `quantize_values` and `lookup_values`.

    Returns:
        The output ``(batch, *shape)``, float64 for numbers; a tuple if the graph has several outputs.

    Raises:
        DataError: NaN or infinity in the inputs, or a number that the Input's declared format does not hold.
        ShapeError: an input of the wrong shape.
    """
    numbers = all(isinstance(x, np.ndarray | list | tuple | float | int) for x in inputs)
    if not numbers:
        results = evaluate(graph, inputs)
        return results[0] if len(results) == 1 else results
    arrays = [_checked(node, _floats(node, x)) for node, x in zip_inputs(graph, inputs)]
    if prove(graph).exact_in(53) and all(map(_moderate, arrays)):
        outputs = evaluate_graph(NUMPY, graph, arrays)
    else:
        outputs = tuple(y.values for y in evaluate_graph(EXACT, graph, [IntegerArray.of(x) for x in arrays]))
    batch = arrays[0].shape[:1] if arrays else (1,)
    outputs = tuple(
        # A negative zero is a zero; a constant is the same in every row.
        (y if y.ndim > len(graph[name].shape) else np.broadcast_to(y, (*batch, *y.shape))) + 0.0
        for name, y in zip(graph.outputs, outputs, strict=True)
    )
    return outputs[0] if len(outputs) == 1 else outputs


def _floats(node: Node, x: Any) -> np.ndarray:
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        message = f"input {node.name!r}: received numbers of type {array.dtype}, expected real numbers"
        raise DataError(message)
    floats: np.ndarray = array.astype(np.float64)
    if array.dtype.kind in "iu" and array.size and max(abs(int(array.max())), abs(int(array.min()))) > 2**53:
        message = f"input {node.name!r}: received integers beyond 2**53, which have no float64 value"
        raise DataError(message)
    return floats


def _moderate(x: np.ndarray) -> bool:
    """Whether float64 can scale every number by a power of two without leaving its range."""
    magnitudes = np.abs(x[x != 0])
    return bool(np.all((magnitudes < 2.0**_FAR) & (magnitudes > 2.0**-_FAR)))


def _checked(node: Node, x: np.ndarray) -> np.ndarray:
    if x.shape[1:] != node.shape or x.ndim != len(node.shape) + 1:
        message = f"input {node.name!r}: received shape {x.shape}, expected (batch, {', '.join(map(str, node.shape))})"
        raise ShapeError(message)
    if not np.all(np.isfinite(x)):
        message = f"input {node.name!r} contains NaN or infinity; clean the data first"
        raise DataError(message)
    formats = node.op.formats if isinstance(node.op, op.Input) else None
    if formats is not None:
        if np.max(formats.width, initial=0) > 52 or not _moderate(x):
            held = quantize_values(IntegerArray.of(x), op.Quantize(formats, Round.TRN, Overflow.SAT))
            exact: Any = IntegerArray.of(x)
            outside = np.not_equal(held, exact)
        else:
            scaled = np.ldexp(x, formats.f)
            outside = (x < formats.lowest) | (x > formats.highest) | (scaled != np.rint(scaled))
        if outside.any():
            where = tuple(int(n) for n in np.argwhere(outside)[0])
            message = f"input {node.name!r}: {x[where]} at {where} is not representable in the declared input format"
            raise DataError(message)
    return x
