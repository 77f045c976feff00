"""Calibration: fixes the integer bits of WRAP quantizers from data, as an explicit mode."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from rich.progress import track

from hgq_core.errors import ConfigError
from hgq_keras.batches import batches
from hgq_keras.health import check_finite, warn_if_dead
from hgq_keras.layers._base import QLayer, quantized_layers
from hgq_keras.layers._walk import children, walk
from hgq_keras.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        data: array ``(n, ...)``, or a list or a dict (by name) of arrays of a model with several inputs, or a
            ``keras.utils.PyDataset`` of which only the inputs are used.
        reset: forget the ranges observed so far.
        batch_size: rows per call.
        verbose: 1 shows a progress bar.
        return_results: return the outputs instead of EBOPs.

    Returns:
        Total EBOPs, or with ``return_results`` the model's outputs: one array, a list or a dict of arrays.

    Raises:
        DataError: no data, NaN or infinity in the data, in weights or in widths; nothing is changed then.
        ConfigError: the inputs have different lengths, a batch size that is not positive, or the model is not built.
    """
    if not model.built:
        message = f"model {model.name!r} is not built; call it on data, or begin it with keras.Input"
        raise ConfigError(message)
    parts = batches(data, batch_size)
    # The innermost first, so that the message names the layer and not the model.
    for layer in (*quantized_layers(model), *quantizers(model), model):
        check_finite(layer)
    results: list[Any] = []
    with _all_or_nothing(model), calibrating(model):
        if reset:
            for quantizer in quantizers(model):
                quantizer.reset_range()
        call = _inference(model)
        for batch in track(parts, "calibrating", disable=not verbose):
            y = call(batch)
            if return_results:
                results.append(keras.tree.map_structure(keras.ops.convert_to_numpy, y))
    warn_if_dead(model)
    return _joined(results) if return_results else ebops(model)


def _joined(results: list[Any]) -> Any:
    """The outputs of all batches: as the model gives them, but a list for a tuple and an array for a list of one."""
    joined = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *results)
    if not isinstance(joined, list | tuple):
        return joined
    return joined[0] if len(joined) == 1 else list(joined)


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
