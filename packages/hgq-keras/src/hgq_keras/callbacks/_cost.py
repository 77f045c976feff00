"""EBOPs in the logs."""

from __future__ import annotations

from typing import Any, final

from hgq_keras.callbacks._base import EpochCallback

__all__ = ["FreeEBOPs"]


@final
class FreeEBOPs(EpochCallback):
    """Puts the model's EBOPs into the logs of each epoch, as ``ebops``: place it before callbacks that read it.

    A whole number, so that ``{ebops}`` in the name of a file is its digits.

    The number is computed from the widths at the end of the epoch; a step of training costs nothing more.
    """

    def epoch_ended(self, epoch: int, logs: dict[str, Any]) -> None:  # noqa: ARG002
        """Writes ``logs["ebops"]``."""
        self.cost(logs)
