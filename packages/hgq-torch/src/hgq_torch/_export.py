"""`to_graph`: a trained module becomes a Graph, the hand-over to everything after training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hgq_core.errors import GraphError, ShapeError, UnsupportedError
from hgq_core.graph import Graph, run
from hgq_core.graph.announce import warn_if_inexact
from hgq_core.graph.ir import same
from hgq_torch._calls import counted
from hgq_torch._dead import uncalibrated, warn_if_dead
from hgq_torch._lazy import build, waits_for_data
from hgq_torch._record import Recorder
from hgq_torch._wrappers import unwrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["to_graph"]

_BATCHES = (2, 3)
"""Rows of the two runs."""


def to_graph(model: nn.Module, example: Tensor | Sequence[Tensor]) -> Graph:
    """The model at inference as a Graph: ``run(to_graph(model, x), x) == model.eval()(x)``.

    Bit for bit wherever `hgq_core.graph.prove` says that float32 is exact; a `PrecisionWarning` names a node where it
    is not. The forward pass is run twice, with the
    example and with other numbers, in batches of two sizes; both runs must be the same Graph, and the Graph must give
    what the model gave. So shapes, ranks, optional arguments and branches on them are free. What depends on the numbers
    themselves, or on the batch, is refused.

    Between quantized layers these operations have nodes: ReLU, clamp, maximum and minimum; sums, differences and
    products of tensors and constants; sums, maxima and minima over features; concatenation, slices, indices, padding,
    and all moves that keep the batch on axis 0. Dropout is left out, an operation in place is what it computes.
    Several outputs, in tuples, lists or dicts, are taken in their order. `torch.compile`, `torch.nn.DataParallel`,
    `torch.nn.parallel.DistributedDataParallel` and `torch.optim.swa_utils.AveragedModel` are looked through.

    Args:
        model: a module of quantized layers.
        example: one input ``(batch, ...)``, or several, for their shapes and their order of magnitude.

    Raises:
        UnsupportedError: a layer or an operation that is not quantized, or that no Graph node describes; a forward pass
            that is not the same for every batch; memory that is read through another view after it was written.
        DataError: NaN or infinity in the weights.
        ShapeError: the model cannot take the example.

    >>> from hgq_torch.nn import QLinear
    >>> graph = to_graph(torch.nn.Sequential(QLinear(4, 2), torch.nn.ReLU()), torch.zeros(1, 4))
    >>> graph[graph.outputs[0]].shape
    (2,)
    """
    root = unwrapped(model)
    examples = _checked(example)
    if waits_for_data(root):
        build(root, examples)
    training = {module: module.training for module in root.modules()}
    root.eval()
    try:
        # Tensors made in inference mode do not tell that they were overwritten.
        with torch.inference_mode(False), torch.no_grad(), torch.compiler.set_stance("force_eager"):
            batches = [[_rows(x, size, number) for x in examples] for number, size in enumerate(_BATCHES)]
            with counted(root):
                first = _recorded(root, batches[0])
            second = _recorded(root, batches[1])
    finally:
        for module, was in training.items():
            module.training = was
    graph = first[0]
    _check_same(first, second)
    if _is_exact(graph, second[2]):
        _check_values(graph, batches[1], second[2])
    warn_if_dead(model)
    return graph


_Run = tuple[Graph, Recorder, list[Tensor]]


def _checked(example: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    if not examples or any(not isinstance(x, Tensor) or not x.ndim for x in examples):  # type: ignore[redundant-expr]
        kinds = ", ".join(type(x).__name__ for x in examples) or "nothing"
        message = f"example: received {kinds}, expected a tensor (batch, ...) for each input"
        raise ShapeError(message)
    return examples


def _rows(x: Tensor, size: int, number: int) -> Tensor:
    """So many rows like those of the example; other numbers in the second run."""
    rows = x.detach() if x.shape[0] else x.new_zeros((1, *x.shape[1:]))
    index = torch.arange(size, device=x.device) % rows.shape[0]
    result = rows[index].clone(memory_format=torch.contiguous_format)
    if not x.is_floating_point():
        return result if not number or x.dtype is torch.bool else result + 1
    result = torch.nan_to_num(result, 0.0, 0.0, 0.0)
    if number:
        noise = torch.rand(result.shape, generator=torch.Generator().manual_seed(number), dtype=result.dtype)
        result = result * 0.75 + noise.to(result.device) - 0.5
    return result


def _recorded(root: nn.Module, inputs: list[Tensor]) -> _Run:
    recorder = Recorder(root, inputs[0].shape[0])
    given = [x.clone() for x in inputs]  # a forward pass may write into them
    try:
        names, outputs = recorder.run(given)
    except (RuntimeError, TypeError, IndexError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        message = f"the model does not take the example, as {shapes}: {error}"
        raise ShapeError(message) from error
    graph = recorder.builder.build(names, uncalibrated=uncalibrated(root))
    return graph, recorder, [x.clone() for x in outputs]


def _check_same(first: _Run, second: _Run) -> None:
    """What depends on the numbers or on the size of the batch is found by its difference."""
    a, b = first[0], second[0]
    if a == b:
        return
    name = next((m.name for m, n in zip(a, b, strict=False) if not same(m, n)), "output")
    place = first[1].places.get(name, "")
    message = (
        f"the forward pass is not the same for every batch: {name!r}{f', {place},' if place else ''} differs between "
        f"two runs with other numbers and with {_BATCHES[0]} and {_BATCHES[1]} rows; a graph has fixed constants and "
        "shapes: do not compute with the batch size, with values taken out of tensors, or with random numbers"
    )
    raise UnsupportedError(message)


def _is_exact(graph: Graph, outputs: list[Tensor]) -> bool:
    """Whether the model's arithmetic is exact; a warning says where it is not."""
    bits = 53 if all(y.dtype is torch.float64 for y in outputs) else 24
    try:
        return not warn_if_inexact(graph, bits=bits, stacklevel=3)
    except GraphError:  # a layer without an input quantizer: the graph has a cost and, as it says itself, no values
        return False


def _check_values(graph: Graph, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """The Graph gives what the model gave."""
    result = run(graph, *(x.double().cpu().numpy() for x in inputs))
    results = [result] if len(graph.outputs) == 1 else result
    for name, got, want in zip(graph.outputs, results, outputs, strict=True):
        if not np.array_equal(got, want.double().cpu().numpy()):
            message = (
                f"output {name!r} of the graph is not that of the model; a module or a hook changes numbers in a way "
                "that is not seen, or the forward pass of a layer of your own is not that of its declaration"
            )
            raise UnsupportedError(message)
