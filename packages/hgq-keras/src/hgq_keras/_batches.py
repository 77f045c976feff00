"""What calibration runs on: whatever ``fit`` takes, as batches of inputs that are checked as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from hgq_core.errors import ConfigError, DataError
from hgq_keras._checks import positive_integer

__all__ = ["Batches"]

_EXPECTED = (
    "expected an array (n, ...), a list or a dict of arrays for a model with several inputs, or batches of them: a "
    "keras.utils.PyDataset, a tf.data.Dataset, a DataLoader or a generator"
)


class Batches:
    """Inputs of a model, batch by batch, as often as they are asked for.

    Arrays are cut into batches. Of a dataset, a loader or a generator, which keep their own, each batch is ``x``,
    ``(x, y)`` or ``(x, y, weights)``, as for ``fit``, and only ``x`` is used.

    Args:
        data: see `hgq_keras.trace_minmax`.
        batch_size: rows of a batch.
        repeated: whether it will be iterated several times; what can be read only once is kept in memory then.

    Raises:
        DataError: no data, NaN or infinity, or something that is not numbers in an array; for batches when they are
            read.
        ConfigError: a batch size that is no positive integer, inputs of different lengths, an endless dataset.
    """

    def __init__(self, data: Any, batch_size: int, *, repeated: bool) -> None:
        batch_size = positive_integer(batch_size, "batch_size")
        self._read: Callable[[], Iterable[Any]]
        self.length: int | None = None
        if isinstance(data, keras.utils.PyDataset):
            number = data.num_batches
            if number is None:
                message = "received a PyDataset without an end; expected one whose num_batches is a number"
                raise ConfigError(message)
            self.length = int(number)
            self._read = lambda: (_inputs(data[n]) for n in range(number))
        elif _gives_batches(data):
            _check_end(data)
            if isinstance(data, Iterator):
                kept = _Kept(data) if repeated else data
                self._read = lambda: map(_inputs, kept)
            else:
                self._read = lambda: map(_inputs, data)
        else:
            whole = _checked(data)
            rows = range(0, len(keras.tree.flatten(whole)[0]), batch_size)
            self.length = len(rows)
            self._read = lambda: (
                keras.tree.map_structure(lambda array, n=n: array[n : n + batch_size], whole) for n in rows
            )

    def __iter__(self) -> Iterator[Any]:
        empty = True
        for batch in self._read():
            empty = False
            yield batch
        if empty:
            message = "received no data to calibrate on: 0 batches; expected at least one"
            raise DataError(message)


class _Kept:
    """What an iterator gives, the first time from it and then from memory."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._items: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        yield from self._items
        for item in self._source:
            self._items.append(item)
            yield item


def _gives_batches(data: Any) -> bool:
    """Whether it is something that is iterated for batches, and no array, list or dict of arrays."""
    if isinstance(data, str | bytes | list | tuple | set | frozenset | Mapping) or hasattr(data, "__array__"):
        return False
    return not keras.ops.is_tensor(data) and hasattr(data, "__iter__")


def _check_end(data: Any) -> None:
    """Raise ConfigError for a ``tf.data.Dataset`` that repeats for ever."""
    cardinality = getattr(data, "cardinality", None)
    if callable(cardinality) and int(cardinality()) == -1:
        message = "received a dataset without an end; expected one that ends: dataset.take(number of batches)"
        raise ConfigError(message)


def _inputs(item: Any) -> Any:
    """The inputs in a batch ``x``, ``(x, y)`` or ``(x, y, weights)``; a DataLoader gives lists of these."""
    return _checked(item[0] if isinstance(item, tuple | list) and item else item)


def _checked(data: Any) -> Any:
    """The same with arrays, of at least one row, all of one length and finite."""
    if isinstance(data, Mapping):
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
        if keras.ops.is_tensor(part):
            part = keras.ops.convert_to_numpy(part)
        elif hasattr(part, "detach"):
            # A PyTorch tensor, whatever Keras runs on.
            part = part.detach().cpu()
        array = np.asarray(part)
    except (ValueError, TypeError) as error:
        message = f"calibration data: received {type(part).__name__}, which is no array ({error}); {_EXPECTED}"
        raise DataError(message) from error
    if array.ndim == 0 or array.dtype.kind in "OSUMmc":
        message = f"calibration data: received {type(part).__name__}; {_EXPECTED}"
        raise DataError(message)
    return array
