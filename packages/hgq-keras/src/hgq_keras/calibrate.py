"""Calibration: fixes the integer bits of WRAP quantizers from data, as an explicit mode."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from rich.progress import track

from hgq_core.errors import ConfigError
from hgq_core.modes import Overflow
from hgq_core.spec import KBI
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
    mine = quantizers(model)
    before = list(zip([v for q in mine for v in q.non_trainable_variables], _stored(mine), strict=True))
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
        ConfigError: inputs of different lengths or other names than the model's, a batch size that is not positive, a
            model that is not built or whose numbers grow from pass to pass.
    """
    if not model.built:
        message = f"model {model.name!r} is not built; call it on data, or begin it with keras.Input"
        raise ConfigError(message)
    parts = batches(data, batch_size)
    _check_names(model, parts[0])
    # The innermost first, so that the message names the layer and not the model.
    for layer in (*quantized_layers(model), *quantizers(model), model):
        check_finite(layer)
    with _all_or_nothing(model), calibrating(model):
        if reset:
            for quantizer in quantizers(model):
                quantizer.reset_range()
        results = _settled(model, parts, verbose, keep=return_results)
    warn_if_dead(model)
    return _joined(results) if return_results else ebops(model)


def _check_names(model: keras.Model, part: Any) -> None:
    """Raise ConfigError for inputs by name that are not those of the model; each framework would say it its own way."""
    if not isinstance(part, dict) or not hasattr(model, "inputs"):
        return
    structure = model.input
    expected = set(structure) if isinstance(structure, dict) else {tensor.name for tensor in model.inputs}
    if missing := sorted(expected - set(part)):
        message = (
            f"model {model.name!r}: received inputs {sorted(part)}, expected {sorted(expected)}; {missing} missing"
        )
        raise ConfigError(message)


def _settled(model: keras.Model, parts: list[Any], verbose: int, *, keep: bool) -> list[Any]:
    """The outputs of every batch, if they are to be kept, once the ranges hold all of them.

    In kif the grid does not depend on the range, and one pass is enough. In kbi a batch that raises ``i`` makes the
    grid coarser for the batches before it too: they are passed again until nothing changes.
    """
    mine = quantizers(model)
    moving = [q for q in mine if _moves_its_grid(q)]
    # A pass settles at least the first quantizer that is not; one layer that is called many times may take more.
    most = 2 * len(moving) + 4
    call = _inference(model)
    for number in range(most):
        before = _stored(mine)
        label = "calibrating" if number == 0 else f"calibrating, pass {number + 1}"
        results = []
        for batch in track(parts, label, disable=not verbose):
            outputs = call(batch)
            if keep:
                results.append(keras.tree.map_structure(keras.ops.convert_to_numpy, outputs))
        if not moving or all(map(np.array_equal, before, _stored(mine))):
            return results
    message = (
        f"model {model.name!r}: ranges still grow after {most} passes over the same data, so no range holds them; "
        "expected a model that gives the same numbers for the same data: reset its state, or use the type 'kif' "
        "or overflow_mode='SAT' for data"
    )
    raise ConfigError(message)


def _moves_its_grid(quantizer: Quantizer) -> bool:
    """Whether the step of data changes with its range. Weights are the same in every batch."""
    spec = quantizer.spec
    return isinstance(spec, KBI) and spec.overflow_mode is Overflow.WRAP and quantizer.config.place == "datalane"


def _stored(mine: list[Quantizer]) -> list[np.ndarray]:
    """Copies of what calibration changes."""
    return [np.array(keras.ops.convert_to_numpy(v)) for q in mine for v in q.non_trainable_variables]


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
