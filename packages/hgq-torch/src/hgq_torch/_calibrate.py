"""Calibration: the range of the data under WRAP, measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hgq_core.errors import DataError
from hgq_torch._dead import warn_if_dead
from hgq_torch._ebops import ebops
from hgq_torch.quantizer import Quantizer

if TYPE_CHECKING:
    from torch import nn

__all__ = ["calibrate", "calibrating"]


@contextmanager
def calibrating(module: nn.Module) -> Iterator[None]:
    """Every quantizer of the module is in CALIBRATE mode inside the block, and every other module in evaluation mode.

    >>> q = Quantizer("kif", "datalane", shape=(None, 1)).eval()
    >>> with calibrating(q):
    ...     _ = q(torch.tensor([[11.0]]))
    >>> float(q.i)
    4.0
    """
    quantizers = [m for m in module.modules() if isinstance(m, Quantizer)]
    training = {m: m.training for m in module.modules()}
    module.eval()
    for quantizer in quantizers:
        quantizer.calibrating = True
    try:
        yield
    finally:
        for quantizer in quantizers:
            quantizer.calibrating = False
        for m, was in training.items():
            m.training = was


def calibrate(model: nn.Module, data: Tensor | Iterable[Any], *, reset: bool = True) -> float:
    """Set the integer and sign bits of every WRAP quantizer to the fewest that hold all of the data.

    The model then never wraps on this data. Parameters stay as they are.

    Args:
        model: a model with quantized layers.
        data: one tensor ``(batch, ...)``, or a loader of batches: tensors, or tuples of which the first entry is the
            input, or dicts of keyword arguments.
        reset: forget the ranges of earlier data first.

    Returns:
        EBOPs of the calibrated model.

    Raises:
        DataError: no data, or NaN or infinity in it.

    >>> from hgq_torch.nn import QLinear
    >>> calibrate(QLinear(4, 2), torch.ones(3, 4))
    464.0
    """
    device = next((p.device for p in model.parameters()), None)
    with calibrating(model), torch.no_grad():
        if reset:
            for module in model.modules():
                if isinstance(module, Quantizer):
                    module.reset_range()
        batches = 0
        for batch in [data] if isinstance(data, Tensor) else data:
            batches += 1
            if isinstance(batch, Mapping):
                model(**{name: _moved(x, device, batches) for name, x in batch.items()})
            else:
                first = batch[0] if isinstance(batch, Sequence) else batch
                model(_moved(first, device, batches))
    if not batches:
        message = "calibrate received no data; expected at least one batch"
        raise DataError(message)
    warn_if_dead(model)
    return ebops(model)


def _moved(x: Any, device: torch.device | None, number: int) -> Tensor:
    tensor: Tensor = torch.as_tensor(x, device=device)
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        message = f"batch {number} of the calibration data contains NaN or infinity; clean the data first"
        raise DataError(message)
    return tensor
