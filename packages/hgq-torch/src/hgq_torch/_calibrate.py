"""Calibration: the range of the data under WRAP, measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hgq_core.errors import ConfigError, DataError, ShapeError
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

    The model then never wraps on this data. Parameters stay as they are; so do all ranges if an error stops it.

    Args:
        model: a model with quantized layers.
        data: one tensor ``(batch, ...)``, or a loader of batches: tensors, or tuples of which the first entry is the
            input, or dicts of keyword arguments.
        reset: forget the ranges of earlier data first.

    Returns:
        EBOPs of the calibrated model.

    Raises:
        ConfigError: the data are neither a tensor nor a loader.
        DataError: no data, an empty batch, something that is not a tensor, or NaN or infinity in it.
        ShapeError: the model does not take a batch.

    >>> from hgq_torch.nn import QLinear
    >>> calibrate(QLinear(4, 2), torch.ones(3, 4))
    464.0
    """
    batches: Any = [data] if isinstance(data, Tensor) else data
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        message = f"data: received {type(data).__name__}, expected a tensor (batch, ...) or a loader of batches"
        raise ConfigError(message)
    with _ranges_kept_on_failure(model, reset):
        number = 0
        with calibrating(model), torch.no_grad():
            for number, batch in enumerate(batches, 1):
                _run(model, batch, number)
        if not number:
            message = "calibrate received no data; expected at least one batch"
            raise DataError(message)
        total = ebops(model)
    warn_if_dead(model)
    return total


@contextmanager
def _ranges_kept_on_failure(model: nn.Module, reset: bool) -> Iterator[None]:
    """The ranges inside are to be set anew, or widened; an error that leaves the block puts the old ones back."""
    quantizers = [module for module in model.modules() if isinstance(module, Quantizer)]
    kept = [quantizer.stored_range() for quantizer in quantizers]
    try:
        if reset:
            for quantizer in quantizers:
                quantizer.reset_range()
        yield
    except BaseException:
        for quantizer, was in zip(quantizers, kept, strict=True):
            quantizer.restore_range(was)
        raise


def _run(model: nn.Module, batch: Any, number: int) -> None:
    """Show the model one batch."""
    device = next((p.device for p in model.parameters()), None)
    args: tuple[Tensor, ...] = ()
    kwargs: dict[str, Tensor] = {}
    if isinstance(batch, Mapping):
        kwargs = {name: _tensor(x, device, number) for name, x in batch.items()}
    else:
        args = (_tensor(_first(batch, number), device, number),)
    try:
        model(*args, **kwargs)
    except RuntimeError as error:
        if type(error) is not RuntimeError:  # one of its kinds says more, as that memory ran out
            raise
        shapes = ", ".join(str(tuple(x.shape)) for x in (*args, *kwargs.values()))
        message = f"batch {number} of the calibration data: the model does not take {shapes}: {error}"
        raise ShapeError(message) from error


def _first(batch: Any, number: int) -> Any:
    if not isinstance(batch, Sequence) or isinstance(batch, str):
        return batch
    if not batch:
        message = f"batch {number} of the calibration data is an empty {type(batch).__name__}; expected the input first"
        raise DataError(message)
    return batch[0]


def _tensor(x: Any, device: torch.device | None, number: int) -> Tensor:
    try:
        tensor: Tensor = torch.as_tensor(x, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"batch {number} of the calibration data: received {type(x).__name__}, expected a tensor: {error}"
        raise DataError(message) from error
    if not tensor.numel():
        message = f"batch {number} of the calibration data is empty, of shape {tuple(tensor.shape)}; leave it out"
        raise DataError(message)
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        message = f"batch {number} of the calibration data contains NaN or infinity; clean the data first"
        raise DataError(message)
    return tensor
