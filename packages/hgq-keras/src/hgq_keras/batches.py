"""What calibration runs on: arrays, lists and dicts of arrays, or a dataset, checked whole before anything changes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from hgq_core.errors import ConfigError, DataError
from hgq_keras.checks import positive_integer

__all__ = ["batches"]

_EXPECTED = (
    "expected an array (n, ...), a list or a dict of arrays for a model with several inputs, or a keras.utils.PyDataset"
)


def batches(data: Any, batch_size: int) -> list[Any]:
    """The data as inputs of a model, ``batch_size`` rows at a time; a dataset keeps its own batches.

    Raises:
        DataError: no data, NaN or infinity, or something that is not numbers in an array.
        ConfigError: a batch size that is no positive integer, inputs of different lengths, an endless dataset.
    """
    batch_size = positive_integer(batch_size, "batch_size")
    if isinstance(data, keras.utils.PyDataset):
        return _of_dataset(data)
    whole = _checked(data)
    length = len(keras.tree.flatten(whole)[0])
    return [
        keras.tree.map_structure(lambda array, n=n: array[n : n + batch_size], whole)
        for n in range(0, length, batch_size)
    ]


def _of_dataset(data: keras.utils.PyDataset) -> list[Any]:
    """The inputs in each batch ``x``, ``(x, y)`` or ``(x, y, weights)``."""
    number = data.num_batches
    if number is None:
        message = "received a PyDataset without an end; expected one whose num_batches is a number"
        raise ConfigError(message)
    items = [data[n] for n in range(number)]
    if not items:
        message = "received no data to calibrate on: a PyDataset of 0 batches; expected at least one"
        raise DataError(message)
    return [_checked(item[0] if isinstance(item, tuple) and item else item) for item in items]


def _checked(data: Any) -> Any:
    """The same with arrays, of at least one row, all of one length and finite."""
    if isinstance(data, dict):
        inputs: Any = {name: _array(part) for name, part in data.items()}
    elif isinstance(data, list | tuple):
        inputs = [_array(part) for part in data]
    else:
        inputs = _array(data)
    arrays = keras.tree.flatten(inputs)
    if not arrays or not all(len(array) for array in arrays):
        message = "received no data to calibrate on; expected at least one row"
        raise DataError(message)
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        message = f"the inputs have different lengths: {lengths}; expected as many rows of each"
        raise ConfigError(message)
    if not all(np.all(np.isfinite(array)) for array in arrays):
        message = "the calibration data contain NaN or infinity; clean the data first"
        raise DataError(message)
    return inputs


def _array(part: Any) -> np.ndarray:
    """Numbers with at least one axis; raises DataError for anything else."""
    try:
        array = np.asarray(keras.ops.convert_to_numpy(part) if keras.ops.is_tensor(part) else part)
    except (ValueError, TypeError) as error:
        message = f"calibration data: received {type(part).__name__}, which is no array ({error}); {_EXPECTED}"
        raise DataError(message) from error
    if array.ndim == 0 or array.dtype.kind in "OSUMmc":
        kind = type(part).__name__
        message = f"calibration data: received {kind}, {_EXPECTED}; convert it first, as with np.concatenate(list(...))"
        raise DataError(message)
    return array
