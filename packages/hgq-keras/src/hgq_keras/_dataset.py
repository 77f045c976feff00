"""Arrays as a dataset of Keras, in the order and on the device that training wants."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from hgq_core.errors import ConfigError, DataError
from hgq_keras._checks import positive_integer

__all__ = ["Dataset"]


class Dataset(keras.utils.PyDataset):
    """Batches of arrays for ``fit``, ``evaluate``, ``predict`` and calibration, without copies of single rows.

    Args:
        x_set: inputs ``(n, ...)``, an array or a nested list, tuple or dict of arrays with n rows each.
        y_set: targets, likewise; None: NaN for each row, for what reads inputs only.
        batch_size: rows of a batch; None: all rows in one.
        device: where the arrays are kept, as Keras names it: ``"cpu:0"``, ``"gpu:0"``.
        drop_last: leave out the rows that fill no batch; they are others in each epoch.
        shuffle: draw the rows in a new order for each epoch, by Keras' random seed.
        **kwargs: ``workers, use_multiprocessing, max_queue_size`` of `keras.utils.PyDataset`.

    Raises:
        ConfigError: a batch size that is no positive integer.
        DataError: no rows, or arrays with different numbers of rows.

    >>> data = Dataset(np.zeros((10, 3), "float32"), np.zeros(10, "float32"), batch_size=4)
    >>> len(data), tuple(data[2][0].shape)
    (3, (2, 3))
    """

    def __init__(
        self,
        x_set: Any,
        y_set: Any = None,
        batch_size: int | None = None,
        device: str = "cpu:0",
        drop_last: bool = False,
        shuffle: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        rows = {len(array) for array in keras.tree.flatten((x_set, y_set)) if array is not None}
        if len(rows) != 1 or not min(rows):
            message = f"received arrays with {sorted(rows)} rows, expected the same number of rows in each, from 1"
            raise DataError(message)
        (self.rows,) = rows
        self.device = device
        self.drop_last = bool(drop_last)
        self.shuffle = bool(shuffle)
        self.batch_size = self.rows if batch_size is None else positive_integer(batch_size, "batch_size")
        if self.drop_last and self.batch_size > self.rows:
            message = f"batch_size: received {batch_size} with drop_last=True, expected at most {self.rows}, the rows"
            raise ConfigError(message)
        y_set = np.full(self.rows, np.nan, "float32") if y_set is None else y_set
        with keras.device(device):
            self.x_set = keras.tree.map_structure(keras.ops.convert_to_tensor, x_set)
            self.y_set = keras.tree.map_structure(keras.ops.convert_to_tensor, y_set)
        self._seed = keras.random.SeedGenerator()
        self._order: np.ndarray | None = None
        self._draw()

    def _draw(self) -> None:
        """The order of the next epoch."""
        if self.shuffle:
            drawn = keras.random.shuffle(keras.ops.arange(self.rows), seed=self._seed)
            self._order = np.asarray(keras.ops.convert_to_numpy(drawn))
        elif self.drop_last:
            start = int(keras.random.randint((), 0, self.rows % self.batch_size + 1, seed=self._seed))
            self._order = np.arange(start, self.rows)

    def __len__(self) -> int:
        whole, rest = divmod(self.rows, self.batch_size)
        return whole if self.drop_last else whole + bool(rest)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < len(self):
            message = f"received batch {index}, expected 0 to {len(self) - 1}"
            raise IndexError(message)
        chosen = slice(index * self.batch_size, (index + 1) * self.batch_size)
        if self._order is None:
            return tuple(keras.tree.map_structure(lambda array: array[chosen], part) for part in self._parts())
        rows = self._order[chosen]
        return tuple(
            keras.tree.map_structure(lambda array: keras.ops.take(array, rows, axis=0), part) for part in self._parts()
        )

    def _parts(self) -> tuple[Any, Any]:
        return self.x_set, self.y_set

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch; Keras calls it."""
        self._draw()

    def batch(self, batch_size: int) -> Dataset:
        """The same arrays in batches of another size."""
        return Dataset(self.x_set, self.y_set, batch_size, self.device, self.drop_last, self.shuffle)
