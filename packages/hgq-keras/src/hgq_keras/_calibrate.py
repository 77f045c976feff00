"""Calibration: fixes the integer bits of WRAP quantizers from data, as an explicit mode."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from rich.progress import track

from hgq_core.calibration import refuse_cut, settle
from hgq_core.errors import ConfigError, ShapeError
from hgq_core.spec import KBI
from hgq_keras._batches import Batches
from hgq_keras._calibrated import mark_calibrated
from hgq_keras._calls import ebops
from hgq_keras._health import check_finite, warn_if_dead
from hgq_keras._quantizer import Quantizer
from hgq_keras.layers._base import quantized_layers
from hgq_keras.layers._walk import children, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["as_calibrated", "calibrate", "calibrating", "inference", "quantizers", "trace_minmax"]


def quantizers(model: keras.Layer) -> list[Quantizer]:
    """Every quantizer of a model once, those inside layers and nested models included."""
    return [layer for layer in walk(model, children) if isinstance(layer, Quantizer)]


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
def _all_or_nothing(mine: list[Quantizer]) -> Iterator[None]:
    """Puts the widths back if the block does not come to its end."""
    variables = [variable for quantizer in mine for variable in quantizer.variables]
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
    finished = False
    try:
        yield
        finished = True
    finally:
        if not finished:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)


@contextmanager
def _observing(mine: list[Quantizer]) -> Iterator[None]:
    """Inside the block every quantizer is in calibration mode; at its end ranges that cut the data are refused."""
    try:
        for quantizer in mine:
            quantizer.observe()
        yield
    except BaseException:
        for quantizer in mine:
            quantizer.conclude()
        raise
    # All of them first: the one that is refused must not leave others in calibration mode.
    for quantizer, cut in [(quantizer, quantizer.conclude()) for quantizer in mine]:
        if cut is not None:
            refuse_cut(quantizer.name, *cut, frozen=quantizer.is_frozen)


def trace_minmax(
    model: keras.Model,
    data: Any,
    reset: bool = True,
    batch_size: int = 1024,
    verbose: int = 0,
    return_results: bool = False,
) -> Any:
    """Fix the ranges of WRAP quantizers so that nothing in ``data`` wraps.

    The ranges are left as they were wherever widths are not trained, and where the data do not come by. Weights that
    were assigned, and that the widths are too coarse for, get wider ones first, with a warning.

    Args:
        model: a built model.
        data: what ``fit`` takes: an array ``(n, ...)``; a list (one array for each input) or a dict (by name) of arrays
            of a model with several inputs; a ``keras.utils.PyDataset``, a ``tf.data.Dataset``, a PyTorch ``DataLoader``
            or a generator of batches ``x``, ``(x, y)`` or ``(x, y, weights)``, of which only ``x`` is used. A generator
            is read once; it is kept in memory if data have bits shared between integer and fraction (``"kbi"`` under
            WRAP), which takes several passes.
        reset: forget the ranges observed so far.
        batch_size: rows per call.
        verbose: 1 shows a progress bar.
        return_results: return the outputs instead of EBOPs.

    Returns:
        Total EBOPs, or with ``return_results`` the model's outputs: one array, a list or a dict of arrays.

    Raises:
        DataError: no data, NaN or infinity in the data, in weights or in widths; a constraint ``ic`` or a frozen range
            that the data would wrap in. Nothing is changed then.
        ConfigError: inputs of different lengths or of another number or other names than the model's, a batch size that
            is not positive, a model that is not built or whose numbers grow from pass to pass.
    """
    results = _traced(model, data, inference(model), reset, batch_size, verbose, keep=return_results)
    return _joined(results) if return_results else ebops(model)


def calibrate(model: keras.Model, data: Any, *, reset: bool = True, batch_size: int = 1024, verbose: int = 0) -> float:
    """Set the integer and sign bits of every WRAP quantizer to the fewest that hold all of the data.

    `trace_minmax` under the name that hgq-torch has too; see there for what the data may be.

    Args:
        model: a built model.
        data: what ``fit`` takes.
        reset: forget the ranges observed so far.
        batch_size: rows per call.
        verbose: 1 shows a progress bar.

    Returns:
        EBOPs of the calibrated model.

    Raises:
        DataError: as `trace_minmax`, and so for ConfigError.

    >>> import numpy as np
    >>> from hgq_keras.layers import QDense
    >>> model = keras.Sequential([keras.Input((4,)), QDense(2)])
    >>> calibrate(model, np.ones((3, 4), "float32"))
    464.0
    """
    return float(trace_minmax(model, data, reset, batch_size, verbose))


@contextmanager
def as_calibrated(model: keras.Model, data: Any, call: Callable[[Any], Any]) -> Iterator[float]:
    """Inside the block the model is calibrated on data; after it the quantizers are what they were before.

    Args:
        model: a built model.
        data: what `trace_minmax` takes.
        call: `inference` of the model, which may serve many times.

    Yields:
        Total EBOPs of the calibrated model.

    Raises:
        DataError: as in `trace_minmax`; nothing is changed then.
        ConfigError: as in `trace_minmax`.
    """
    mine = quantizers(model)
    before: list[dict[str, np.ndarray]] = []
    for quantizer in mine:
        stored: dict[str, Any] = {}
        quantizer.save_own_variables(stored)
        before.append({name: np.array(keras.ops.convert_to_numpy(value)) for name, value in stored.items()})
    _traced(model, data, call, reset=True, batch_size=1024, verbose=0, keep=False)
    try:
        yield ebops(model)
    finally:
        for quantizer, values in zip(mine, before, strict=True):
            quantizer.load_own_variables(values)


def _traced(
    model: keras.Model, data: Any, call: Callable[[Any], Any], reset: bool, batch_size: int, verbose: int, *, keep: bool
) -> list[Any]:
    """Calibrates a model; the outputs of every batch if they are to be kept."""
    if not model.built:
        message = f"model {model.name!r} is not built; call it on data, or begin it with keras.Input"
        raise ConfigError(message)
    mine = quantizers(model)
    moving = sum(map(_moves_its_grid, mine))
    batches = Batches(data, batch_size, repeated=moving > 0)
    # The innermost first, so that the message names the layer and not the model.
    for layer in (*quantized_layers(model), *mine, model):
        check_finite(layer)
    with _all_or_nothing(mine):
        for quantizer in mine:
            quantizer.judge_weight()
        ranges = [[keras.ops.convert_to_numpy(v) for v in quantizer.non_trainable_variables] for quantizer in mine]
        with _observing(mine):
            if reset:
                for quantizer in mine:
                    quantizer.reset_range()
            results = _settled(model, mine, batches, call, verbose, moving=moving, keep=keep)
        # What no data came by stays as it was, whatever else the model computes in training or of other inputs.
        for quantizer, values in zip(mine, ranges, strict=True):
            if quantizer.follows_data and not quantizer.was_seen:
                for variable, value in zip(quantizer.non_trainable_variables, values, strict=True):
                    variable.assign(value)
    mark_calibrated(model, [quantizer for quantizer in mine if quantizer.was_seen])
    warn_if_dead(model)
    return results


def _fitting(model: keras.Model, batch: Any) -> Any:
    """The batch as the model takes it; raises ConfigError or ShapeError for inputs that are not those of the model."""
    tensors = getattr(model, "inputs", None)
    if tensors is None:
        return batch
    if isinstance(batch, list) and len(batch) != len(tensors):
        message = (
            f"model {model.name!r} has {len(tensors)} input(s) and received a list of {len(batch)} arrays, which is "
            "one array for each input; join rows with np.concatenate, or pass a generator of batches"
        )
        raise ConfigError(message)
    if not isinstance(batch, dict):
        for tensor, array in zip(tensors, batch if isinstance(batch, list) else [batch], strict=False):
            _check_shape(model, tensor, array)
    # A Sequential model has one input, and no structure of inputs.
    structure = getattr(model, "input", None)
    if not isinstance(batch, dict):
        only = isinstance(batch, list) and not isinstance(structure, list | tuple | dict)
        return batch[0] if only else batch
    expected = set(structure) if isinstance(structure, dict) else {tensor.name for tensor in tensors}
    if missing := sorted(expected - set(batch)):
        message = (
            f"model {model.name!r}: received inputs {sorted(batch)}, expected {sorted(expected)}; {missing} missing"
        )
        raise ConfigError(message)
    return batch


def _check_shape(model: keras.Model, tensor: Any, array: np.ndarray) -> None:
    """Raise ShapeError for an array that is not of the shape of an input; Keras adds or drops a last axis of size 1."""
    expected, given = tuple(tensor.shape[1:]), array.shape[1:]
    for shape in (given, (*given, 1), given[:-1] if given[-1:] == (1,) else given):
        if len(shape) == len(expected) and all(n in (None, m) for n, m in zip(expected, shape, strict=True)):
            return
    wanted = ", ".join(["n", *("any" if n is None else str(n) for n in expected)])
    message = f"model {model.name!r}: input {tensor.name!r} received shape {array.shape}, expected ({wanted})"
    raise ShapeError(message)


def _settled(
    model: keras.Model,
    mine: list[Quantizer],
    batches: Batches,
    call: Callable[[Any], Any],
    verbose: int,
    *,
    moving: int,
    keep: bool,
) -> list[Any]:
    """The outputs of every batch, if they are to be kept, once the ranges hold all of them."""

    def one_pass(number: int) -> list[Any]:
        label = "calibrating" if number == 0 else f"calibrating, pass {number + 1}"
        results = []
        for batch in track(batches, label, total=batches.length, disable=not verbose):
            outputs = call(_fitting(model, batch))
            if keep:
                results.append(keras.tree.map_structure(keras.ops.convert_to_numpy, outputs))
        return results

    def stored() -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(v) for q in mine for v in q.non_trainable_variables]

    return settle(one_pass, stored, moving=moving)


def _moves_its_grid(quantizer: Quantizer) -> bool:
    """Whether the step of data changes with its range. Weights are the same in every batch."""
    in_kbi = isinstance(quantizer.spec, KBI) and quantizer.config.place == "datalane"
    return in_kbi and quantizer.follows_data and not quantizer.is_frozen


def _joined(results: list[Any]) -> Any:
    """The outputs of all batches: as the model gives them, but a list for a tuple and an array for a list of one."""
    joined = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *results)
    if not isinstance(joined, list | tuple):
        return joined
    return joined[0] if len(joined) == 1 else list(joined)


def inference(model: keras.Model) -> Callable[[Any], Any]:
    """The model as a function of a batch, compiled on JAX, which would otherwise compile every operation by itself."""
    for quantizer in quantizers(model):
        quantizer.forget_seen()
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
