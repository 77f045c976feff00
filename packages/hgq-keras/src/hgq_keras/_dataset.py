"""`Dataset`: arrays that are put on a device once and given out in batches, to Keras and to calibration."""

from __future__ import annotations

import random
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from hgq_core.errors import ConfigError, DataError
from hgq_keras._checks import positive_integer

__all__ = ["Dataset"]


class Dataset(keras.utils.PyDataset):
    """Batches of arrays that lie on one device, for ``fit``, ``evaluate``, ``predict`` and `hgq_keras.trace_minmax`.

    With ``shuffle`` the rows are in another order in each epoch, so that the batches differ too. The order follows from
    ``keras.utils.set_random_seed``, called before the dataset is made. Leave ``shuffle`` off for ``predict``: its rows
    would come in that order.

    Args:
        x_set: inputs: an array (n, ...), or a list, tuple or dict of arrays.
        y_set: targets likewise; without them a batch is ``(x,)``.
        batch_size: rows of a batch; `batch` sets it later.
        device: where the data lie, such as ``"cpu:0"`` or ``"gpu:0"``.
        drop_last: whether rows that fill no batch are left out. Without ``shuffle`` the first row is drawn anew for
            each epoch, so that these are not always the same.
        shuffle: whether the rows are in another order in each epoch.
        **kwargs: ``workers``, ``use_multiprocessing`` and ``max_queue_size`` of a ``keras.utils.PyDataset``.

    Raises:
        ConfigError: arrays of different lengths, a batch size that is no positive integer, or none when it is needed.
        DataError: no rows.

    >>> import numpy as np
    >>> data = Dataset(np.zeros((5, 3)), np.zeros(5), batch_size=2)
    >>> len(data), tuple(data[2][0].shape)
    (3, (1, 3))
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
        self._rows = _rows(x_set, y_set)
        self.device, self.drop_last, self.shuffle = device, drop_last, shuffle
        self.batch_size = None if batch_size is None else positive_integer(batch_size, "batch_size")
        with keras.device(device):
            self._parts = tuple(
                keras.tree.map_structure(ops.convert_to_tensor, part) for part in (x_set, y_set) if part is not None
            )
        self._order: np.ndarray | None = None
        self._first = 0
        self._draw()

    def batch(self, batch_size: int) -> Self:
        """Give out batches of this many rows from now on; returns the dataset."""
        self.batch_size = positive_integer(batch_size, "batch_size")
        self._draw()
        return self

    def __len__(self) -> int:
        size = self._size
        return self._rows // size if self.drop_last else -(-self._rows // size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if not 0 <= index < len(self):
            message = f"batch {index} of a Dataset of {len(self)} batches; expected 0 to {len(self) - 1}"
            raise IndexError(message)
        start = self._first + index * self._size
        stop = min(start + self._size, self._rows)
        with keras.device(self.device):
            if self._order is None:
                return tuple(keras.tree.map_structure(lambda part: part[start:stop], part) for part in self._parts)
            rows = ops.convert_to_tensor(self._order[start:stop])
            return tuple(
                keras.tree.map_structure(lambda part: ops.take(part, rows, axis=0), part) for part in self._parts
            )

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch; Keras calls it."""
        self._draw()

    @property
    def _size(self) -> int:
        if self.batch_size is None:
            message = "the Dataset has no batch size; give batch_size=, or call dataset.batch(n)"
            raise ConfigError(message)
        return self.batch_size

    def _draw(self) -> None:
        """Order and first row of an epoch, from the generator that ``keras.utils.set_random_seed`` seeds."""
        if self.shuffle:
            self._order = np.random.default_rng(random.getrandbits(64)).permutation(self._rows).astype("int32")
        elif self.drop_last and self.batch_size is not None:
            self._first = random.randint(0, self._rows % self.batch_size)


def _rows(x_set: Any, y_set: Any) -> int:
    """Rows of all arrays."""
    lengths = [len(part) for part in keras.tree.flatten((x_set, y_set)) if part is not None]
    if not lengths or 0 in lengths:
        message = "the Dataset received no rows; expected at least one"
        raise DataError(message)
    if len(set(lengths)) > 1:
        message = f"the arrays of the Dataset have different lengths: {lengths}; expected as many rows of each"
        raise ConfigError(message)
    return lengths[0]
