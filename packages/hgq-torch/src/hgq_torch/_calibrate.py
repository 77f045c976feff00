"""Calibration: the range of the data under WRAP, measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hgq_core.calibration import refuse_cut, settle
from hgq_core.errors import ConfigError, DataError, ShapeError
from hgq_core.spec import KBI
from hgq_torch._calls import counted
from hgq_torch._dead import mark_calibrated, warn_if_dead
from hgq_torch._ebops import ebops
from hgq_torch._lazy import check_begun, unbuilt
from hgq_torch._quantizer import Quantizer
from hgq_torch._start import Start
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from numpy.typing import NDArray
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
    check_begun(module, "calibrating")
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


def calibrate(model: nn.Module, data: Any, *, reset: bool = True) -> float:
    """Set the integer and sign bits of every WRAP quantizer to the fewest that hold all of the data.

    The model then never wraps on this data; ranges that it does not come by stay as they were. In kbi, where the grid
    moves with the range, all of the data are passed again until no range moves. Parameters stay as they are, but for
    the widths of weights that they are too coarse for (see `hgq_torch.nn.QLinear`); so does everything if an error
    stops it. Ranges whose specification says ``trainable=False`` stay too.

    Args:
        model: a model with quantized layers.
        data: a tensor or NumPy array ``(batch, ...)``; a tuple ``(x, y)`` of which x is the input, or
            ``((x0, x1), y)`` for a model of several; a dict of keyword arguments; or batches of any of these: a
            `torch.utils.data.DataLoader`, a list, a generator. A generator is read once, and kept in memory if several
            passes may be needed.
        reset: forget the ranges of earlier data first.

    Returns:
        EBOPs of the calibrated model.

    Raises:
        ConfigError: the data are neither a tensor nor batches, or ranges never settle.
        DataError: no data, an empty batch, something that is not a tensor, or NaN or infinity in it; data that need
            more integer bits than a constraint or a frozen range leaves.
        ShapeError: the model does not take a batch.

    >>> from hgq_torch.nn import QLinear
    >>> calibrate(QLinear(4, 2), torch.ones(3, 4))
    464.0
    """
    batches = _batches(data)
    if unbuilt(model):
        batches = _shown(model, batches)
    mine = {name: module for name, module in model.named_modules() if isinstance(module, Quantizer)}
    moving = sum(q.follows_data and isinstance(q.spec, KBI) and q.place == "datalane" for q in mine.values())
    if moving and isinstance(batches, Iterator):
        batches = list(batches)

    def one_pass(_number: int) -> int:
        number = 0
        for number, batch in enumerate(batches, 1):
            with counted(model, more=number > 1):
                _run(model, batch, number)
        return number

    def stored() -> list[NDArray[Any]]:
        tracked = [q for q in mine.values() if q.follows_data]
        ranges = [getattr(q, name) if q.built else torch.empty(0) for q in tracked for name in ("k", "i")]
        return [part.detach().cpu().numpy() for part in ranges]

    with _kept_on_failure(model, reset) as kept:
        with calibrating(model), torch.no_grad():
            if not settle(one_pass, stored, moving=moving):
                message = "calibrate received no data; expected at least one batch"
                raise DataError(message)
        for name, quantizer in mine.items():
            cut = quantizer.cut()
            if cut is not None:
                refuse_cut(name or type(model).__name__, *cut, frozen=quantizer.fixed_by_spec)
        # What no data came by stays as it was, whatever else the model computes with other arguments.
        seen = {q for q in mine.values() if q.was_observed}
        for quantizer, widths in kept.items():
            if quantizer.follows_data and quantizer not in seen:
                quantizer.restore_widths(widths)
        total = ebops(model)
    mark_calibrated(model, seen)
    warn_if_dead(model)
    return total


@contextmanager
def _kept_on_failure(model: nn.Module, reset: bool) -> Iterator[dict[Quantizer, dict[str, Tensor] | None]]:
    """The widths inside are to be set anew, or widened; an error that leaves the block puts the old ones back.

    Gives the widths of each quantizer as they were.
    """
    layers = [module for module in model.modules() if isinstance(module, QModule)]
    quantizers = [module for module in model.modules() if isinstance(module, Quantizer)]
    kept = {quantizer: quantizer.stored_widths() for quantizer in quantizers}
    opened = {layer: layer.made.start.kernels for layer in layers if layer.made.start.is_open}
    try:
        for layer in layers:
            layer.judge_start()
        for quantizer in quantizers:
            quantizer.forget_observed()
            if reset:
                quantizer.reset_range()
        yield kept
    except BaseException:
        for quantizer, was in kept.items():
            quantizer.restore_widths(was)
        for layer, kernels in opened.items():
            layer.made.start = Start(kernels)
        raise
    finally:
        for quantizer in quantizers:
            quantizer.forget_observed()


def _batches(data: Any) -> Any:
    """The data as batches."""
    if isinstance(data, Tensor | np.ndarray | tuple | Mapping):
        return [data]
    if isinstance(data, Iterable) or hasattr(data, "__getitem__"):
        return data
    message = f"data: received {type(data).__name__}, expected a tensor (batch, ...) or a loader of batches"
    raise ConfigError(message)


def _shown(model: nn.Module, batches: Any) -> Any:
    """The batches, of which the first has told the layers their shapes."""
    if isinstance(batches, Iterator):
        first = list(islice(batches, 1))
        batches = chain(first, batches)
    else:
        first = list(islice(batches, 1))
    training = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            for batch in first:
                _run(model, batch, 1)
    finally:
        for m in model.modules():
            m.training = training.get(m, training[model])
    return batches


def _run(model: nn.Module, batch: Any, number: int) -> None:
    """Show the model one batch."""
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    args: tuple[Tensor, ...] = ()
    kwargs: dict[str, Tensor] = {}
    if isinstance(batch, Mapping):
        kwargs = {name: _tensor(x, like, number) for name, x in batch.items()}
    else:
        given = _first(batch, number)
        several = isinstance(given, list | tuple) and all(isinstance(x, Tensor | np.ndarray) for x in given)
        args = tuple(_tensor(x, like, number) for x in (given if several and given else (given,)))
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


def _tensor(x: Any, like: Tensor, number: int) -> Tensor:
    # NumPy computes in float64 where nobody says otherwise; a tensor has the type that its owner gave it.
    floats = isinstance(x, np.ndarray) and np.issubdtype(x.dtype, np.floating)
    try:
        tensor = torch.as_tensor(x, device=like.device, dtype=like.dtype if floats else None)
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"batch {number} of the calibration data: received {type(x).__name__}, expected a tensor: {error}"
        raise DataError(message) from error
    if not tensor.numel():
        message = f"batch {number} of the calibration data is empty, of shape {tuple(tensor.shape)}; leave it out"
        raise DataError(message)
    if tensor.dtype == torch.bool:
        tensor = tensor.to(like.dtype)
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        message = f"batch {number} of the calibration data contains NaN or infinity; clean the data first"
        raise DataError(message)
    return tensor
