"""A live bar of the whole training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hgq_core.errors import ConfigError
from hgq_keras.callbacks._base import EpochCallback

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PBar"]

_LINES = 20  # at most about so many lines where there is no terminal


@final
class PBar(EpochCallback):
    """One bar for all epochs with the last epoch's loss, accuracy and EBOPs; give ``verbose=0`` to ``fit``.

    Where the output is not a terminal, it prints a line every few epochs instead.

    Args:
        metric: a format string over the logs, such as ``"loss: {loss:.2f}/{val_loss:.2f}"``; if None, the loss and
            every metric of the model, with the value on the validation data after a slash.
        disable_ebops: do not show EBOPs.

    Raises:
        ConfigError: `metric` names what the logs lack (said after the first epoch).
    """

    def __init__(self, metric: str | None = None, disable_ebops: bool = False) -> None:
        super().__init__()
        self.metric = metric
        self.disable_ebops = disable_ebops
        self._console = Console()
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Draws the bar."""
        self.on_train_end()
        if self._console.is_terminal:
            columns = ("epoch {task.fields[epoch]}/{task.total:.0f}", BarColumn(24), TimeElapsedColumn())
            text = TextColumn("{task.fields[text]}", markup=False)
            self._progress = Progress(*columns, "left", TimeRemainingColumn(), text, console=self._console)
            self._task = self._progress.add_task("", total=self.params.get("epochs"), epoch=1, text="")
            self._progress.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Moves the bar."""
        self._epoch = epoch
        self._move(epoch, epoch=epoch + 1)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Moves the bar within an epoch; it reads no value, so that the device need not be waited for."""
        self._move(self._epoch + batch / (self.params.get("steps") or batch + 1))

    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:
        """Shows the metrics of the epoch."""
        if not self.disable_ebops:
            self.cost(logs)
        text = self._text(logs)
        self._move(epoch + 1, text=text)
        epochs = self.params.get("epochs") or epoch + 1
        every = max(1, epochs // _LINES)
        if self._progress is None and (epoch == 0 or (epoch + 1) % every == 0 or epoch + 1 == epochs):
            width = len(str(epochs))
            self._console.print(f"epoch {epoch + 1:>{width}}/{epochs}  {text}", markup=False, highlight=False)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Leaves the finished bar standing."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _move(self, completed: float, **fields: Any) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=completed, **fields)

    def _text(self, logs: Mapping[str, Any]) -> str:
        parts = [_metrics(logs) if self.metric is None else _filled(self.metric, logs)]
        if not self.disable_ebops:
            parts.append(f"EBOPs {float(logs['ebops']):,.0f}")
        return "  ".join(parts)


def _metrics(logs: Mapping[str, Any]) -> str:
    """``name value/validation value`` of every metric."""
    parts = []
    for name, value in logs.items():
        if name.startswith("val_") or name in ("ebops", "beta", "learning_rate"):
            continue
        beside = f"/{float(logs[f'val_{name}']):.3f}" if f"val_{name}" in logs else ""
        parts.append(f"{name} {float(value):.3f}{beside}")
    return "  ".join(parts)


def _filled(metric: str, logs: Mapping[str, Any]) -> str:
    try:
        return metric.format(**logs)
    except (KeyError, IndexError, ValueError) as error:
        message = (
            f"PBar: received metric={metric!r}, which cannot be filled ({error}); "
            f"expected a format string over {sorted(logs)}"
        )
        raise ConfigError(message) from error
