"""The Pareto front on disk: one file per model that no other model beats."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from hgq_core.errors import ConfigError, HGQWarning
from hgq_core.pareto import ParetoFront as Front
from hgq_keras._calibrate import as_calibrated, inference, quantizers
from hgq_keras.callbacks._base import EpochCallback, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import keras

__all__ = ["ParetoFront"]

_WEIGHTS = ".weights.h5"
_SUFFIXES = (".keras", _WEIGHTS)


@final
class ParetoFront(EpochCallback):
    """Saves the model after an epoch that no earlier one dominates, and deletes the files of those that it dominates.

    With ``calibrate`` each file holds a calibrated model, as hardware is built from it, and the EBOPs of the front and
    of the name are that model's. Training then goes on with the ranges that it had, and the logs keep its EBOPs. A pass
    over the data is made after each epoch that the front may take: one that no file beats whatever EBOPs calibration
    gives it. Where that costs too much, give fewer rows or an ``enable_if``.

    A model dominates another if it is at least as good in every metric. A file appears under its name only once it is
    complete; files that this callback did not write are never deleted, and one warning tells of models among them.

    Args:
        path: folder of the files, made if it is missing.
        metrics: names in the logs of an epoch; ``ebops`` is computed if no callback before this one has put it there.
        sides: for each metric +1 if larger is better, -1 if smaller is.
        fname_format: name of a file, a format string over the logs and ``epoch`` (from 1), that ends in ``.keras``
            (the model) or ``.weights.h5`` (its weights); all metrics and ``.keras`` if None.
        enable_if: takes the logs; the epoch is left out unless it returns True.
        calibrate: data on which models are calibrated before they are saved: what `trace_minmax` takes, but nothing
            that can be read only once; None saves them as they are.

    Attributes:
        paths: the files, in rising order of the first metric.
        record: their metrics, in the same order.

    Raises:
        ConfigError: as many sides as metrics are expected, each +1 or -1; an unknown suffix; a generator to calibrate
            on; a metric, or a name in `fname_format`, that the logs lack.
        DataError: a metric is NaN, or the model cannot be calibrated on the data.

    >>> front = ParetoFront("front", metrics=["val_accuracy", "ebops"], sides=[1, -1])
    >>> front.fname_format
    'epoch={epoch}-val_accuracy={val_accuracy:.5g}-ebops={ebops:.0f}.keras'
    """

    def __init__(
        self,
        path: str | Path,
        metrics: Sequence[str],
        sides: Sequence[int],
        fname_format: str | None = None,
        enable_if: Callable[[dict[str, Any]], bool] | None = None,
        calibrate: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(metrics, str) or len(metrics) != len(sides) or len(set(metrics)) != len(metrics):
            message = (
                f"ParetoFront: received metrics={metrics!r} and sides={sides!r}; expected a list of different names "
                "and one side (+1 or -1) for each"
            )
            raise ConfigError(message)
        if fname_format is None:
            shown = (f"{name}={{{name}:{'.0f' if name == 'ebops' else '.5g'}}}" for name in metrics)
            fname_format = "-".join(["epoch={epoch}", *shown]) + _SUFFIXES[0]
        if not fname_format.endswith(_SUFFIXES):
            message = f"fname_format: received {fname_format!r}, expected a name that ends in one of {_SUFFIXES}"
            raise ConfigError(message)
        self.path = Path(path)
        self.metrics = list(metrics)
        self.sides = list(sides)
        self.fname_format = fname_format
        if isinstance(calibrate, Iterator):
            message = (
                f"calibrate: received a {type(calibrate).__name__}, which can be read only once; "
                "expected arrays, a dataset or a DataLoader"
            )
            raise ConfigError(message)
        self.enable_if = enable_if
        self.calibrate = calibrate
        self._call: Callable[[Any], Any] | None = None
        self._front = Front(dict(zip(metrics, sides, strict=True)))

    @property
    def paths(self) -> list[Path]:
        """The files, in rising order of the first metric."""
        return [point.payload for point in self._front]

    @property
    def record(self) -> list[dict[str, float]]:
        """The metrics of the files, in their order."""
        return [dict(point.metrics) for point in self._front]

    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:
        """Saves the model if it belongs to the front."""
        if "ebops" in self.metrics:
            self.cost(logs)
        if self.enable_if is not None and not self.enable_if(logs):
            return
        if self.calibrate is None:
            self._offer(epoch, logs)
            return
        best = self._at_best(logs)
        self._name(epoch + 1, best)  # says at once what the logs lack
        if not self._front.accepts(best):
            return
        with as_calibrated(self.model, self.calibrate, self._inference()) as cost:
            self._offer(epoch, logs | {"ebops": whole(cost)})

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Forgets what was compiled for an earlier training, in which other layers may have been trained."""
        self._call = None
        mine = {path.name for path in self.paths}
        others = [file for file in self.path.glob("*") if file.name.endswith(_SUFFIXES) and file.name not in mine]
        if others:
            message = (
                f"ParetoFront: {str(self.path)!r} holds {len(others)} model(s) of another run, which stay and are not "
                "compared with; give each run a folder of its own"
            )
            warnings.warn(message, HGQWarning, stacklevel=2)

    def _inference(self) -> Callable[[Any], Any]:
        """The model as calibration calls it, compiled once; frozen ranges are part of what is compiled."""
        if self._call is None or any(quantizer.is_frozen for quantizer in quantizers(self.model)):
            self._call = inference(self.model)
        return self._call

    def _at_best(self, logs: dict[str, Any]) -> dict[str, Any]:
        """The logs with the best EBOPs that a calibration could give."""
        side = dict(zip(self.metrics, self.sides, strict=True)).get("ebops", -1)
        return logs | {"ebops": 0 if side < 0 else inf}

    def _offer(self, epoch: int, logs: dict[str, Any]) -> None:
        """Saves the model if the front takes it."""
        path = self.path / self._name(epoch + 1, logs)
        if not self._front.add(logs, path):
            return
        self.path.mkdir(parents=True, exist_ok=True)
        _save(self.model, path)
        for point in self._front.dropped:
            if point.payload != path:
                point.payload.unlink(missing_ok=True)

    def _name(self, epoch: int, logs: dict[str, Any]) -> str:
        numbers = {name: value if isinstance(value, int) else float(value) for name, value in logs.items()}
        known: dict[str, float] = {"epoch": epoch} | numbers
        missing = [name for name in self.metrics if name not in known]
        if missing:
            message = (
                f"ParetoFront: the logs of epoch {epoch} lack {missing}; received {sorted(known)}; compile the model "
                "with these metrics, give validation_data for names in val_, or rename them"
            )
            raise ConfigError(message)
        try:
            return self.fname_format.format(**known)
        except (KeyError, IndexError, ValueError) as error:
            message = (
                f"fname_format: received {self.fname_format!r}, which cannot be filled ({error}); "
                f"expected a format string over {sorted(known)}"
            )
            raise ConfigError(message) from error


def _save(model: keras.Model, path: Path) -> None:
    """Writes beside the file first, so that the name never stands for half a file."""
    suffix = next(suffix for suffix in _SUFFIXES if path.name.endswith(suffix))
    unfinished = path.with_name(f".{path.name.removesuffix(suffix)}.unfinished{suffix}")
    try:
        if suffix == _WEIGHTS:
            model.save_weights(unfinished, overwrite=True)
        else:
            model.save(unfinished, overwrite=True)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
