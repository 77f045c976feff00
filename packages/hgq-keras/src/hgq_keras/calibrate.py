"""Calibration: fixes the integer bits of WRAP quantizers from data, as an explicit mode."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from rich.progress import track

from hgq_core.errors import ConfigError, DataError
from hgq_keras.health import check_finite, warn_if_dead
from hgq_keras.layers._base import QLayer, quantized_layers
from hgq_keras.layers._walk import children, walk
from hgq_keras.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["calibrating", "ebops", "quantizers", "trace_minmax"]


def quantizers(model: keras.Layer) -> list[Quantizer]:
    """Every quantizer of a model once, those inside layers and nested models included."""
    layers = walk(model, lambda layer: layer.quantizers if isinstance(layer, QLayer) else children(layer))
    return [layer for layer in layers if isinstance(layer, Quantizer)]


@contextmanager
def calibrating(model: keras.Layer) -> Iterator[None]:
    """Inside the block every quantizer of the model is in calibration mode."""
    mine = quantizers(model)
    for quantizer in mine:
        quantizer.calibrate(True)
    try:
        yield
    finally:
        for quantizer in mine:
            quantizer.calibrate(False)


@contextmanager
def _all_or_nothing(model: keras.Layer) -> Iterator[None]:
    """Puts the widths back if the block does not come to its end."""
    before = [
        (v, np.array(keras.ops.convert_to_numpy(v))) for q in quantizers(model) for v in q.non_trainable_variables
    ]
    finished = False
    try:
        yield
        finished = True
    finally:
        if not finished:
            for variable, value in before:
                variable.assign(value)


def ebops(model: keras.Layer) -> float:
    """EBOPs of a model at its present widths: every layer once, nested models included."""
    return float(sum(layer.ebops for layer in quantized_layers(model)))


def trace_minmax(
    model: keras.Model,
    data: Any,
    reset: bool = True,
    batch_size: int = 1024,
    verbose: int = 0,
    return_results: bool = False,
) -> Any:
    """Fix the ranges of WRAP quantizers so that nothing in ``data`` wraps.

    Args:
        model: a built model.
        data: array ``(n, ...)``, or a list of arrays of a model with several inputs, or a ``keras.utils.PyDataset`` of
            which only the inputs are used.
        reset: forget the ranges observed so far.
        batch_size: rows per call.
        verbose: 1 shows a progress bar.
        return_results: return the outputs instead of EBOPs.

    Returns:
        Total EBOPs, or with ``return_results`` the model's outputs: one array, or a list of arrays.

    Raises:
        DataError: no data, NaN or infinity in the data, in weights or in widths; nothing is changed then.
        ConfigError: the inputs have different lengths, or the model is not built.
    """
    if not model.built:
        message = f"model {model.name!r} is not built; call it on data, or begin it with keras.Input"
        raise ConfigError(message)
    batches = _batches(data, batch_size)
    for layer in quantized_layers(model):
        check_finite(layer)
    results: list[list[np.ndarray]] = []
    with _all_or_nothing(model), calibrating(model):
        if reset:
            for quantizer in quantizers(model):
                quantizer.reset_range()
        call = _inference(model)
        for batch in track(batches, "calibrating", disable=not verbose):
            y = call(batch)
            outputs = y if isinstance(y, list | tuple) else [y]
            if return_results:
                results.append([keras.ops.convert_to_numpy(out) for out in outputs])
    warn_if_dead(model)
    if not return_results:
        return ebops(model)
    joined = [np.concatenate(parts) for parts in zip(*results, strict=True)]
    return joined[0] if len(joined) == 1 else joined


def _inference(model: keras.Model) -> Callable[[Any], Any]:
    """The model as a function of a batch, compiled on JAX, which would otherwise compile every operation by itself."""
    if keras.backend.backend() != "jax":
        return lambda batch: model(batch, training=False)
    import jax

    @jax.jit
    def stateless(trained: list[Any], others: list[Any], batch: Any) -> Any:
        return model.stateless_call(trained, others, batch, training=False)

    def call(batch: Any) -> Any:
        trained, others = (
            [v.value for v in kind] for kind in (model.trainable_variables, model.non_trainable_variables)
        )
        y, updated = stateless(trained, others, batch)
        for variable, value in zip(model.non_trainable_variables, updated, strict=True):
            variable.assign(value)
        return y

    return call


def _batches(data: Any, batch_size: int) -> list[Any]:
    if isinstance(data, keras.utils.PyDataset):
        items = [data[n] for n in range(data.num_batches)]
        batches = [item[0] if isinstance(item, tuple) else item for item in items]
        for batch in batches:
            _check(batch if isinstance(batch, list | tuple) else [batch])
        return batches
    several = isinstance(data, list | tuple)
    arrays = [np.asarray(part) for part in data] if several else [np.asarray(data)]
    length = len(arrays[0])
    if any(len(array) != length for array in arrays):
        message = f"the inputs have different lengths: {[len(array) for array in arrays]}"
        raise ConfigError(message)
    _check(arrays)
    cuts = range(0, length, batch_size)
    return [[a[n : n + batch_size] for a in arrays] if several else arrays[0][n : n + batch_size] for n in cuts]


def _check(arrays: Sequence[Any]) -> None:
    """Raise DataError for an empty batch, NaN or infinity."""
    for array in arrays:
        if not len(array):
            message = "received no data to calibrate on; expected at least one row"
            raise DataError(message)
        if not np.all(np.isfinite(array)):
            message = "the calibration data contain NaN or infinity; clean the data first"
            raise DataError(message)
